/* Sorted indexes on a failing machine: ordered and text indexes are defined, built slice by slice, dropped and defined anew beside writes, checkpoints, merges and
 * compactions, and at some event the process dies or the power goes.
 *
 * Then the store is opened again, builds go on where they were, and the machine may fail once more. In the end every index that is there answers, at many points and
 * in both directions, exactly what the oracle knows: it noted every version as it was written, the log's end tells how much of that is left. PRUNED is a right
 * answer only once a compaction was begun; a row left out never is.
 *
 * test_index_crash [--points N] [--seed S]: N faults (0: without end). */
#include "points.h"

#include "base/json.h"
#include "base/logline.h"
#include "base/mem.h"
#include "base/os_sim.h"
#include "base/words.h"
#include "engine/own.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS           150
#define NODES_MAX      4000
#define STEPS          160
#define POINTS_DEFAULT 600
#define CRASHES        3

enum mode { KILLED, POWER_CUT, MODES };

struct noted {
    uint32_t key, value; /* value 0: deleted; key KEYS: no document */
    bool flush;
};

struct run {
    struct os *os;
    struct engine *e;
    struct noted node[NODES_MAX + 1]; /* by seq */
    uint64_t last, acknowledged, durable;
    uint64_t dice;
    uint32_t values;
    bool compacted;
    const char *failed;
    unsigned line;
};

static const struct definition {
    const char *path;
    uint8_t kind;
} definitions[] = {{"n", SORTED_ORDERED}, {"s", SORTED_ORDERED}, {"$", SORTED_TEXT}, {"t", SORTED_TEXT}};
#define DEFINITIONS (sizeof definitions / sizeof definitions[0])

static uint64_t roll(struct run *r, uint64_t below)
{
    return points_roll(&r->dice, below);
}

static int open_store(struct run *r)
{
    struct engine_options o = {.os = r->os,
                               .dir = "/db",
                               .no_threads = true,
                               .ring_bytes = 1 << 16,
                               .segment_bytes = 64 << 10,
                               .index_buffer_bytes = 1 << 16,
                               .checkpoint_bytes = 40 << 10};
    return engine_open(&o, &r->e, NULL);
}

/* ---- the workload ---- */

static slice name_of(uint32_t key, char out[16])
{
    snprintf(out, 16, "d:%03u", key);
    return slice_str(out);
}

/* The document with this number. */
static slice json_of(uint32_t value, char out[1024])
{
    static const char *const word[] = {"red", "Red", "reddish", "blue", "green"};
    int n = snprintf(out, 1024, "{\"n\":%u,\"t\":\"%s %s\",\"u\":[\"%s\"]", value % 23, word[value % 5], word[value / 5 % 5], word[value % 3]);
    if (value % 4 == 0) { /* values that are cut */
        n += snprintf(out + n, 1024 - (size_t)n, ",\"s\":\"");
        memset(out + n, 'x', 600);
        n += 600;
        n += snprintf(out + n, 1024 - (size_t)n, "%u\"", value % 7);
    }
    n += snprintf(out + n, 1024 - (size_t)n, "}");
    return slice_of(out, (size_t)n);
}

static uint64_t head_at(const struct run *r, uint32_t key, uint64_t at)
{
    for (uint64_t s = at; s > 0; s--)
        if (r->node[s].key == key) return s;
    return 0;
}

static uint64_t flush_at(const struct run *r, uint64_t at)
{
    for (uint64_t s = at; s > 0; s--)
        if (r->node[s].flush) return s;
    return 0;
}

/* Seq of the document that stands at the point; 0 = none. */
static uint64_t stands(const struct run *r, uint32_t key, uint64_t at)
{
    uint64_t s = head_at(r, key, at);
    return s > flush_at(r, at) && r->node[s].value ? s : 0;
}

static int append(struct run *r, struct node *n, struct noted note)
{
    struct receipt got;
    if (r->last + 1 >= NODES_MAX) return E_OK;
    int rc = engine_append(r->e, n, false, &got);
    if (rc < 0) return rc;
    r->node[got.seq] = note;
    r->last = got.seq;
    return E_OK;
}

static int write_document(struct run *r)
{
    char name[16], text[1024];
    uint32_t key = (uint32_t)roll(r, KEYS);
    uint64_t head = head_at(r, key, r->last), ver = 1;
    bool live = stands(r, key, r->last) > 0;
    for (uint64_t s = 1; s <= r->last; s++) ver += r->node[s].key == key;
    struct node n = {.op = NODE_PUT, .type = TYPE_DOCUMENT, .space = SPACE_KEY, .prev = head, .ver = ver, .key = name_of(key, name)};
    if (live && roll(r, 6) == 0) {
        n.op = NODE_DELETE, n.type = 0;
        return append(r, &n, (struct noted){.key = key});
    }
    n.payload = json_of(++r->values, text);
    if (!live) n.flags = NODE_CREATED;
    return append(r, &n, (struct noted){.key = key, .value = r->values});
}

static int write_definition(struct run *r)
{
    const struct definition *d = &definitions[roll(r, DEFINITIONS)];
    uint8_t key[8] = {1, 'd', (uint8_t)d->path[0]};
    struct version v;
    int rc = engine_catch_up(r->e, 0);
    if (rc == E_OK) rc = engine_find(r->e, SPACE_SORTED, 0, slice_of(key, 3), UINT64_MAX, FIND_ALL, &v);
    if (rc && rc != E_NOTFOUND) return rc;
    bool there = rc == E_OK && v.op == NODE_PUT;
    struct node n = {.op = there ? NODE_DELETE : NODE_PUT,
                     .space = SPACE_SORTED,
                     .prev = rc ? 0 : v.seq,
                     .ver = rc ? 1 : v.ver + 1,
                     .flags = there ? 0 : NODE_CREATED,
                     .key = slice_of(key, 3)};
    if (!there) n.payload = slice_of(&d->kind, 1);
    return there && roll(r, 3) ? E_OK : append(r, &n, (struct noted){.key = KEYS});
}

static int write_flush(struct run *r)
{
    struct node n = {.op = NODE_FLUSH, .lineage = NODE_ALL_LINEAGES};
    return append(r, &n, (struct noted){.key = KEYS, .flush = true});
}

static int acknowledge(struct run *r, bool sync)
{
    int rc = sync ? engine_sync(r->e, 0) : engine_write_out(r->e, 0);
    if (rc == E_OK) r->acknowledged = r->last;
    if (rc == E_OK && sync) r->durable = r->last;
    return rc;
}

/* One slice of a build; the machine may fail before the next. */
static int build(struct run *r)
{
    int rc = engine_catch_up(r->e, 0);
    if (rc == E_OK) rc = indexer_build(r->e);
    return rc == E_AGAIN ? E_OK : rc;
}

static int compact(struct run *r)
{
    struct compact_options o = {.keep_versions = 1 + roll(r, 2)};
    r->compacted = true;
    int rc = engine_compact(r->e, &o, NULL);
    if (rc == E_OK) r->acknowledged = r->durable = r->last;
    return rc;
}

static int step(struct run *r)
{
    int rc = E_OK;
    switch (roll(r, 24)) {
    case 0:
    case 1: return write_definition(r);
    case 2:
    case 3:
    case 4: return build(r);
    case 5: return engine_checkpoint(r->e);
    case 6: return acknowledge(r, true);
    case 7: return roll(r, 3) ? acknowledge(r, false) : engine_turn(r->e);
    case 8: return roll(r, 8) ? E_OK : compact(r);
    case 9: return roll(r, 8) ? E_OK : write_flush(r);
    default:
        for (uint64_t i = 1 + roll(r, 12); i > 0 && rc == E_OK; i--) rc = write_document(r);
        return rc;
    }
}

static void workload(struct run *r)
{
    for (unsigned i = 0; i < STEPS && !os_sim_crashed(r->os); i++) {
        (void)!step(r);
        if (engine_failure(r->e)) return;
    }
}

/* ---- the checks ---- */

struct row {
    uint64_t seq;
    uint32_t key;
    slice value;
    bool descending;
    char text[1024];
};

static int row_cmp(const void *x, const void *y)
{
    const struct row *a = *(const struct row *const *)x, *b = *(const struct row *const *)y;
    int c = a->value.n ? json_compare(a->value, b->value) : 0;
    if (c) return a->descending ? -c : c;
    return a->key < b->key ? -1 : 1;
}

struct ask {
    const struct definition *d;
    uint64_t at;
    bool descending;      /* ordered */
    const char *low;      /* ordered: JSON, or NULL */
    const char *word;     /* text */
    const char *query;    /* the same as words.h puts it */
};

/* The rows that should come, in order; pointers into `space`. */
static size_t truth(const struct run *r, const struct ask *a, struct row *space, struct row **out)
{
    struct json_path path;
    size_t n = 0;
    (void)!json_path_parse(slice_str(a->d->path), &path);
    for (uint32_t key = 0; key < KEYS; key++) {
        struct row *w = &space[n];
        *w = (struct row){.seq = stands(r, key, a->at), .key = key, .descending = a->descending};
        if (!w->seq) continue;
        slice json = json_of(r->node[w->seq].value, w->text), value;
        bool found = json_find(json, &path, &value) == E_OK;
        if (a->d->kind == SORTED_TEXT) {
            if (!found || !words_match(value, slice_str(a->query))) continue;
        } else {
            w->value = found ? value : slice_str("null");
            if (a->low && json_compare(w->value, slice_str(a->low)) < 0) continue;
        }
        out[n] = w;
        n++;
    }
    if (n) qsort(out, n, sizeof out[0], row_cmp);
    return n;
}

static bool may_be_pruned(const struct run *r, int rc)
{
    return rc == E_PRUNED && r->compacted;
}

/* rows[i] come in order; at each row the cursor is made anew from its position now and then. */
static void check_range(struct run *r, const struct ask *a, struct row **want, size_t n)
{
    struct range_options o = {.coll = slice_str("d"), .path = slice_str(a->d->path), .descending = a->descending, .at = a->at};
    struct range_cursor *c = NULL;
    slice key;
    uint64_t seq;
    char name[16];
    if (a->low) o.low = (struct sorted_bound){slice_str(a->low), true};
    int rc = engine_range(r->e, &o, &c);
    for (size_t i = 0; rc == E_OK; i += rc == E_OK) {
        rc = range_next(c, &key, &seq);
        if (rc == E_AGAIN) rc = E_OK, i--;
        else if (rc == E_OK && (i >= n || seq != want[i]->seq || !slice_eq(key, name_of(want[i]->key, name)))) r->failed = "a row is right";
        else if (rc == E_END && i != n) r->failed = "no row is left out";
        if (rc != E_OK || r->failed || roll(r, 4)) continue;
        struct buf position = {0};
        buf_add_slice(&position, range_cursor_at(c));
        range_cursor_close(&c);
        o.resume = buf_slice(&position);
        rc = engine_range(r->e, &o, &c);
        buf_fini(&position);
    }
    range_cursor_close(&c);
    HOLDS(r, rc == E_OK || rc == E_END || may_be_pruned(r, rc));
}

static void check_text(struct run *r, const struct ask *a, struct row **want, size_t n)
{
    struct text_options o = {.coll = slice_str("d"), .path = slice_str(a->d->path), .word = slice_str(a->word), .at = a->at};
    struct text_cursor *c = NULL;
    slice key;
    uint64_t seq;
    char name[16];
    size_t length = strlen(a->query);
    o.prefix = a->query[length - 1] == '*';
    int rc = engine_text(r->e, &o, &c);
    for (size_t i = 0; rc == E_OK; i += rc == E_OK) {
        rc = text_next(c, &key, &seq);
        if (rc == E_AGAIN) rc = E_OK, i--;
        else if (rc == E_OK && (i >= n || seq != want[i]->seq || !slice_eq(key, name_of(want[i]->key, name)))) r->failed = "a row is right";
        else if (rc == E_END && i != n) r->failed = "no row is left out";
        if (r->failed) break;
    }
    text_cursor_close(&c);
    HOLDS(r, rc == E_OK || rc == E_END || may_be_pruned(r, rc));
}

static void check_one(struct run *r, const struct ask *a)
{
    struct row *space = mem_alloc((KEYS + 1) * sizeof *space), **want = mem_alloc(KEYS * sizeof *want);
    size_t n = truth(r, a, space, want);
    if (a->d->kind == SORTED_TEXT)
        check_text(r, a, want, n);
    else
        check_range(r, a, want, n);
    mem_free(space);
    mem_free(want);
    if (r->failed) printf("index on %s at %llu of %llu\n", a->d->path, (unsigned long long)a->at, (unsigned long long)r->last);
}

struct there {
    bool ready[DEFINITIONS];
    size_t n;
};

static int look(void *ctx, const struct sorted_info *i)
{
    struct there *t = ctx;
    for (size_t k = 0; k < DEFINITIONS; k++)
        if (slice_eq(i->path, slice_str(definitions[k].path))) t->ready[k] = i->ready;
    t->n++;
    return E_OK;
}

static void check_all(struct run *r)
{
    static const char *const words[][2] = {{"red", "RED"}, {"red", "red*"}, {"blue", "blue"}, {"r", "R*"}, {"absent", "absent"}};
    static const char *const lows[] = {NULL, "null", "5", "\"\""};
    struct there t = {0};
    HOLDS(r, engine_sorted_list(r->e, 0, NULL, look, &t) == E_OK);
    for (size_t k = 0; k < DEFINITIONS && !r->failed; k++) {
        for (int i = 0; i < 8 && t.ready[k] && !r->failed; i++) {
            size_t w = (size_t)roll(r, sizeof words / sizeof words[0]);
            struct ask a = {.d = &definitions[k],
                            .at = i == 0 ? r->last : roll(r, r->last + 1),
                            .descending = i % 2,
                            .low = lows[roll(r, 4)],
                            .word = words[w][0],
                            .query = words[w][1]};
            check_one(r, &a);
        }
    }
}

static void cut_oracle(struct run *r, uint64_t last)
{
    for (uint64_t s = last + 1; s <= r->last; s++) r->node[s] = (struct noted){.key = KEYS};
    r->last = r->acknowledged = r->durable = last;
}

static void after_fault(struct run *r, enum mode mode, bool finish)
{
    struct engine_marks m;
    HOLDS(r, open_store(r) == E_OK);
    engine_get_marks(r->e, &m);
    HOLDS(r, m.last_seq >= (mode == POWER_CUT ? r->durable : r->acknowledged) && m.last_seq <= r->last);
    cut_oracle(r, m.last_seq);
    check_all(r);
    if (r->failed || !finish) return;
    for (unsigned i = 0; i < 20; i++) HOLDS(r, step(r) == E_OK);
    HOLDS(r, acknowledge(r, true) == E_OK && engine_turn(r->e) == E_OK);
    struct there t = {0};
    HOLDS(r, engine_sorted_list(r->e, 0, NULL, look, &t) == E_OK);
    size_t ready = 0;
    for (size_t k = 0; k < DEFINITIONS; k++) ready += t.ready[k];
    HOLDS(r, ready == t.n); /* a turn ends the builds */
    check_all(r);
    if (r->failed) return;
    HOLDS(r, engine_close(&r->e) == E_OK);
}

/* ---- faults ---- */

static bool one_point(enum mode mode, uint64_t event, uint64_t seed)
{
    struct run *r = mem_zalloc(sizeof *r);
    r->os = os_sim_new(seed);
    r->dice = seed;
    for (size_t s = 0; s <= NODES_MAX; s++) r->node[s].key = KEYS;
    for (int crash = 0; crash < CRASHES && !r->failed; crash++) {
        struct os_sim_faults f = {.seed = seed * 1000003 + event, .crash_at = os_sim_events(r->os) + event, .process_only = mode == KILLED};
        os_sim_set(r->os, &f);
        bool open = r->e || open_store(r) == E_OK;
        if (open) workload(r);
        /* One that came through is left as a killed process leaves it. */
        f = (struct os_sim_faults){.crash_at = os_sim_events(r->os) + 1, .process_only = true, .seed = seed};
        if (r->e && !os_sim_crashed(r->os)) os_sim_set(r->os, &f);
        if (r->e) (void)!engine_close(&r->e);
        os_sim_reboot(r->os);
        after_fault(r, mode, crash + 1 == CRASHES);
    }
    bool fine = !r->failed;
    if (!fine)
        printf("FAILED: %s at event %llu, seed %llu: line %u: %s\n", mode == KILLED ? "killed" : "power cut", (unsigned long long)event,
               (unsigned long long)seed, r->line, r->failed);
    if (r->e) (void)!engine_close(&r->e);
    os_free(&r->os);
    mem_free(r);
    return fine;
}

int main(int argc, char **argv)
{
    struct points p = points_from(argc, argv, POINTS_DEFAULT);
    if (p.only) return !one_point((enum mode)p.mode, p.event, p.seed);
    /* Every point has a workload of its own: what counts is in what state a build is when it ends. */
    for (; points_left(&p); p.seed++) points_count(&p, one_point((enum mode)(p.seed % MODES), 1 + p.seed * 7919 % 311, p.seed));
    return points_end(&p, "index");
}
