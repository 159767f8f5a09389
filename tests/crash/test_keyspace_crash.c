/* The keyspace against a dying process and a failing power supply: a random workload (puts, splices, deletes, expiry, copies, moves, links, batches, flushes,
 * swaps, cache drops, checkpoints, merges) is stopped at every event of its disk, and what comes back is held against an oracle.
 *
 *   1. what was acknowledged is there: written out (a killed process), synced (a power cut); the log ends between commits, so no batch is there by half;
 *   2. DBSIZE, the engine's counts, and two scans name the same keys, each once, and they are the oracle's;
 *   3. every key is as it was when the log ended, read cold; and as it was at earlier points, expiry judged by the time of the point;
 *   4. a key's versions are dense: ver 1, 2, 3 …, each naming the one before as its predecessor, across deletes, flushes and crashes;
 *   5. documents and links are found by the index as by the log; 6. writing goes on, and an orderly stop changes nothing of all this.
 *
 * test_keyspace_crash [--points N] [--seed S]: N crashes (0: without end). CRASH_EVENT and CRASH_MODE in the environment: one of them again. */
#include "ks_oracle.h"
#include "points.h"

#include "base/logline.h"
#include "base/os_sim.h"

#include <stdlib.h>

#define STEPS          350
#define POINTS_DEFAULT 3000
#define VALUE_MAX      1800

struct run {
    struct os *os;
    struct engine *e;
    struct keyspace *ks;
    struct ks_ctx c;
    struct oracle o;
    uint64_t written, durable; /* acknowledged */
    uint64_t commit_first;     /* of the open batch; 0 = none */
    uint64_t dice;
    struct buf name, other;
    const char *failed; /* what did not hold */
    unsigned line;
};

static slice thing_name(unsigned thing, struct buf *mem)
{
    char from[16], to[16];
    buf_clear(mem);
    if (thing < KEYS) {
        buf_printf(mem, thing < 8 ? "s:%u" : "d:%u", thing);
        return buf_slice(mem);
    }
    snprintf(from, sizeof from, "d:%u", thing);
    snprintf(to, sizeof to, "d:%u", thing + 1);
    link_key(mem, slice_str(from), slice_str("next"), slice_str(to));
    return buf_slice(mem);
}

static uint64_t roll(struct run *r, uint64_t below)
{
    return points_roll(&r->dice, below);
}

static bool holds(struct run *r, bool condition, const char *what, unsigned line)
{
    if (!condition && !r->failed) r->failed = what, r->line = line;
    return !r->failed;
}
static int open_store(struct run *r)
{
    struct engine_options o = {.os = r->os,
                               .dir = "/db",
                               .no_threads = true,
                               .ring_bytes = 1 << 16,
                               .segment_bytes = 64 << 10,
                               .index_buffer_bytes = 1 << 16,
                               .checkpoint_bytes = 12 << 10};
    int rc = engine_open(&o, &r->e, NULL);
    if (rc == E_OK)
        rc = ks_open(&(struct ks_options){.engine = r->e, .databases = DATABASES, .loops = 1, .cache_bytes = 6000}, &r->ks);
    if (rc == E_OK) r->c = (struct ks_ctx){.ks = r->ks, .now_ms = engine_now_ms(r->e)};
    return rc;
}

static int close_store(struct run *r)
{
    ks_close(&r->ks);
    return r->e ? engine_close(&r->e) : E_OK;
}

/* ---- writing, and noting what was written ---- */

static uint16_t lineage(const struct run *r)
{
    return r->o.now.lineage[r->c.db];
}
static const struct fact *live(struct run *r, unsigned thing)
{
    return view_live(&r->o, &r->o.now, lineage(r), thing);
}

static struct fact fact_of(struct run *r, uint8_t op, unsigned thing, uint8_t type)
{
    return (struct fact){.op = op, .type = type, .thing = (uint16_t)thing, .lineage = lineage(r), .ts_ms = r->c.now_ms};
}

static void note(struct run *r, struct fact f)
{
    if (r->c.batch && r->commit_first == 0) r->commit_first = r->o.last + 1;
    (void)oracle_add(&r->o, f, r->c.batch ? r->commit_first : 0);
}

/* A key that is due was found and its removal logged on the way. */
static void note_expired(struct run *r, unsigned thing)
{
    note(r, fact_of(r, NODE_EXPIRE, thing, live(r, thing)->type));
}

static slice random_value(struct run *r, uint8_t *mem)
{
    size_t n = roll(r, 5) == 0 ? 1100 + roll(r, VALUE_MAX - 1100) : 1 + roll(r, 60);
    for (size_t i = 0; i < n; i++) mem[i] = (uint8_t)('a' + (i + r->o.last) % 26);
    return slice_of(mem, n);
}

static void op_put(struct run *r, unsigned thing)
{
    uint8_t mem[VALUE_MAX];
    char json[64];
    const struct fact *was = live(r, thing);
    bool document = thing >= 8 && roll(r, 4) != 0;
    struct ks_write w = {.expiry = (enum ks_expiry)roll(r, 3), .expire_ms = r->c.now_ms + 1 + roll(r, 3000)};
    slice value = random_value(r, mem);
    if (document) snprintf(json, sizeof json, "{\"at\":%llu}", (unsigned long long)r->o.last), value = slice_str(json);
    struct fact f = fact_of(r, NODE_PUT, thing, document ? TYPE_DOCUMENT : TYPE_STRING);
    if (w.expiry == KS_EXPIRY_SET) f.expire_ms = w.expire_ms;
    if (w.expiry == KS_EXPIRY_KEEP && was && !is_due(was, r->c.now_ms)) f.expire_ms = was->expire_ms;
    if (ks_put(&r->c, thing_name(thing, &r->name), f.type, value, &w) != E_OK) return;
    f.value = mem_dup(value.p, value.n);
    f.n = value.n;
    note(r, f);
}

static void op_splice(struct run *r, unsigned thing)
{
    const struct fact *was = live(r, thing);
    uint64_t len = 0, offset = roll(r, 1400);
    slice bytes = slice_str("<spliced>");
    bool due = was && is_due(was, r->c.now_ms);
    if (was && !due && was->type != TYPE_STRING) return;
    uint32_t nodes = r->c.nodes;
    int rc = ks_splice(&r->c, thing_name(thing, &r->name), offset, bytes, &len);
    if (due && r->c.nodes > nodes) note_expired(r, thing), was = NULL;
    if (rc != E_OK) return;
    struct fact f = fact_of(r, NODE_EFFECT, thing, TYPE_STRING);
    f.n = was && was->n > offset + bytes.n ? was->n : offset + bytes.n;
    f.value = mem_zalloc(f.n);
    if (was) memcpy(f.value, was->value, was->n);
    memcpy(f.value + offset, bytes.p, bytes.n);
    f.expire_ms = was ? was->expire_ms : 0;
    holds(r, len == f.n, "a splice tells the new length", __LINE__);
    note(r, f);
}

static void op_delete(struct run *r, unsigned thing)
{
    const struct fact *was = live(r, thing);
    uint32_t nodes = r->c.nodes;
    int rc = ks_delete(&r->c, thing_name(thing, &r->name), NULL);
    if (rc == E_OK)
        note(r, fact_of(r, NODE_DELETE, thing, was ? was->type : 0));
    else if (r->c.nodes > nodes)
        note_expired(r, thing);
}

static void op_expiry(struct run *r, unsigned thing)
{
    const struct fact *was = live(r, thing);
    uint64_t ms = roll(r, 3) == 0 ? 0 : r->c.now_ms - 20 + roll(r, 2000);
    uint32_t nodes = r->c.nodes;
    int rc = ks_set_expiry(&r->c, thing_name(thing, &r->name), ms);
    if (r->c.nodes == nodes) return;
    if (rc != E_OK) return note_expired(r, thing);
    if (ms != 0 && ms <= r->c.now_ms) return note(r, fact_of(r, NODE_DELETE, thing, was->type));
    struct fact f = fact_of(r, NODE_META, thing, was->type);
    f.value = mem_dup(was->value, was->n);
    f.n = was->n;
    f.expire_ms = ms;
    note(r, f);
}

static void compare_value(struct run *r, int rc, const struct ks_value *v, const struct fact *want)
{
    HOLDS(r, rc == (want ? E_OK : E_NOTFOUND));
    if (!want) return;
    HOLDS(r, v->blob.n == want->n && memcmp(v->blob.p, want->value, want->n) == 0);
    HOLDS(r, v->type == want->type && v->ver == want->ver && v->expire_ms == want->expire_ms);
}

static void op_get(struct run *r, unsigned thing)
{
    const struct fact *was = live(r, thing);
    struct ks_value v;
    uint32_t nodes = r->c.nodes;
    int rc = ks_get(&r->c, thing_name(thing, &r->name), &v);
    if (r->c.nodes > nodes) note_expired(r, thing), was = NULL;
    if (rc == E_OK || rc == E_NOTFOUND) compare_value(r, rc, &v, was && is_due(was, r->c.now_ms) ? NULL : was);
}

static void op_move(struct run *r, unsigned thing)
{
    const struct fact *was = live(r, thing);
    unsigned to = (unsigned)roll(r, KEYS);
    if (to == thing || !was || is_due(was, r->c.now_ms)) return;
    bool move = r->c.batch && roll(r, 2);
    uint32_t nodes = r->c.nodes;
    slice from_name = thing_name(thing, &r->name), to_name = thing_name(to, &r->other);
    (void)!(move ? ks_move(&r->c, from_name, r->c.db, to_name) : ks_copy(&r->c, from_name, r->c.db, to_name));
    if (r->c.nodes == nodes) return;
    struct fact f = fact_of(r, NODE_PUT, to, was->type);
    f.value = mem_dup(was->value, was->n);
    f.n = was->n;
    f.expire_ms = was->expire_ms;
    note(r, f);
    if (r->c.nodes == nodes + 2) note(r, fact_of(r, NODE_DELETE, thing, was->type));
}

static void op_link(struct run *r)
{
    unsigned thing = KEYS + (unsigned)roll(r, LINKS);
    slice name = thing_name(thing, &r->name);
    bool put = roll(r, 3) != 0;
    uint32_t nodes = r->c.nodes;
    (void)!(put ? ks_put_thing(&r->c, SPACE_LINK, name, slice_str("{}"), NULL) : ks_delete_thing(&r->c, SPACE_LINK, name, NULL));
    if (r->c.nodes == nodes) return;
    struct fact f = fact_of(r, put ? NODE_PUT : NODE_DELETE, thing, 0);
    if (put) f.value = mem_dup("{}", 2), f.n = 2;
    note(r, f);
}

static void op_flush(struct run *r)
{
    int db = (int)roll(r, DATABASES + 1) - 1;
    struct fact f = {.op = NODE_FLUSH, .ts_ms = r->c.now_ms, .thing = NO_THING};
    f.lineage = db < 0 ? NODE_ALL_LINEAGES : r->o.now.lineage[db];
    if (ks_flush(&r->c, db) == E_OK) note(r, f);
}

static void op_swap(struct run *r)
{
    struct fact f = {.op = NODE_SWAP,
                     .ts_ms = r->c.now_ms,
                     .thing = NO_THING,
                     .a = (uint16_t)roll(r, DATABASES),
                     .b = (uint16_t)roll(r, DATABASES)};
    if (ks_swap(&r->c, f.a, f.b) == E_OK) note(r, f);
}

static void op_any(struct run *r)
{
    unsigned thing = (unsigned)roll(r, KEYS);
    r->c.db = (uint16_t)(roll(r, 4) == 0 ? 1 + roll(r, DATABASES - 1) : 0);
    switch (roll(r, 40)) {
    case 0: op_flush(r); break;
    case 1: op_swap(r); break;
    case 2:
    case 3:
    case 4: op_link(r); break;
    case 5:
    case 6:
    case 7: op_delete(r, thing); break;
    case 8:
    case 9:
    case 10:
    case 11: op_expiry(r, thing); break;
    case 12:
    case 13:
    case 14: op_move(r, thing); break;
    case 15:
    case 16:
    case 17:
    case 18: op_get(r, thing); break;
    case 19:
    case 20:
    case 21:
    case 22:
    case 23:
    case 24:
    case 25:
    case 26: op_splice(r, thing); break;
    default: op_put(r, thing);
    }
}

/* Noted before the commit: were it to vanish by half, the log's end would show it. */
static void op_batch(struct run *r)
{
    uint64_t before = r->o.last, written = r->written, durable = r->durable;
    ks_begin(&r->c);
    for (uint64_t n = 1 + roll(r, 9); n > 0; n--) op_any(r);
    int rc = ks_commit(&r->c);
    r->commit_first = 0;
    ASSERT(r->written == written && r->durable == durable);
    if (rc != E_OK) oracle_cut(&r->o, before);
}

/* Which keys an expiry cycle removed, and in what order, is read back from the log. */
static void learn_expired(struct run *r, uint64_t upto)
{
    struct buf mem = {0};
    while (r->o.last < upto && !r->failed) {
        struct node n = {0};
        unsigned thing = 0;
        int rc = engine_read(r->e, r->o.last + 1, &mem, &n);
        if (rc != E_OK && os_sim_crashed(r->os)) break;
        if (!holds(r, rc == E_OK && n.op == NODE_EXPIRE, "an expiry cycle logs removals", __LINE__)) break;
        while (thing < KEYS && !slice_eq(thing_name(thing, &r->name), n.key)) thing++;
        const struct fact *was = thing < KEYS ? view_live(&r->o, &r->o.now, n.lineage, thing) : NULL;
        if (!holds(r, was && is_due(was, n.ts_ms), "only keys that are due are removed", __LINE__)) break;
        struct fact f = {.op = NODE_EXPIRE, .type = was->type, .thing = (uint16_t)thing, .lineage = n.lineage, .ts_ms = n.ts_ms};
        (void)oracle_add(&r->o, f, 0);
    }
    buf_fini(&mem);
}

static void op_cycle(struct run *r)
{
    bool more;
    uint32_t nodes = r->c.nodes;
    (void)!ks_expire_cycle(&r->c, 1000000, &more);
    uint64_t upto = r->o.last + (r->c.nodes - nodes);
    if (engine_write_out(r->e, 0) == E_OK) learn_expired(r, upto);
}

static void op_write_out(struct run *r)
{
    if (engine_write_out(r->e, 0) == E_OK) r->written = r->o.last;
}

static void op_sync(struct run *r)
{
    if (engine_sync(r->e, 0) == E_OK) r->written = r->durable = r->o.last;
}

static void step(struct run *r)
{
    os_sim_advance(r->os, 1000 + roll(r, 300000));
    r->c.now_ms = engine_now_ms(r->e);
    switch (roll(r, 24)) {
    case 0:
    case 1:
    case 2: op_batch(r); break;
    case 3:
    case 4: op_write_out(r); break;
    case 5: op_sync(r); break;
    case 6:
    case 7: op_cycle(r); break;
    case 8: (void)!engine_turn(r->e); break;
    case 9: ks_drop_cache(&r->c); break;
    default: op_any(r);
    }
}

static void workload(struct run *r)
{
    if (open_store(r) < 0) return;
    for (unsigned i = 0; i < STEPS && !r->failed && !os_sim_crashed(r->os); i++) {
        step(r);
        if (engine_failure(r->e)) return;
    }
}

/* ---- what has to hold afterwards ---- */

struct seen {
    struct run *r;
    const struct view *view;
    unsigned times[KEYS];
    uint64_t keys;
};

static int see(void *ctx, slice key, uint8_t type)
{
    struct seen *s = ctx;
    for (unsigned k = 0; k < KEYS; k++) s->times[k] += slice_eq(thing_name(k, &s->r->other), key);
    s->keys++;
    return 0;
}

static void check_seen(struct seen *s, uint16_t line, bool due_too)
{
    uint64_t want = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        const struct fact *f = view_live(&s->r->o, s->view, line, k);
        bool there = f && (due_too || !is_due(f, s->r->c.now_ms));
        want += there;
        HOLDS(s->r, s->times[k] == there);
    }
    HOLDS(s->r, s->keys == want);
}

/* Before anything is read: what the log says, keys that are due included. */
static void check_counts(struct run *r, uint16_t db)
{
    uint16_t line = r->o.now.lineage[db];
    uint64_t keys = 0, expiring = 0, told_expiring = 0;
    struct db_counts counts;
    struct db_view view = ks_db(&r->c, db);
    struct key_cursor *it = NULL;
    struct live_key k;
    struct seen seen = {.r = r, .view = &r->o.now};
    for (unsigned i = 0; i < KEYS; i++) {
        const struct fact *f = view_live(&r->o, &r->o.now, line, i);
        keys += f != NULL;
        expiring += f && f->expire_ms;
    }
    engine_db_counts(r->e, line, &counts);
    HOLDS(r, view.lineage == line && view.flushed == r->o.now.flushed[line]);
    HOLDS(r, ks_count(&r->c, db, &told_expiring) == keys && told_expiring == expiring);
    HOLDS(r, counts.keys == keys && counts.expiring == expiring);
    HOLDS(r, engine_keys(r->e, line, view.flushed, 0, &it) == E_OK);
    int rc;
    while ((rc = key_cursor_next(it, &k)) == E_OK) see(&seen, k.key, k.type);
    key_cursor_close(&it);
    HOLDS(r, rc == E_END);
    check_seen(&seen, line, true);
}

/* Reading removes what is due; then DBSIZE is what a scan finds. */
static void check_present(struct run *r, uint16_t db)
{
    struct seen seen = {.r = r, .view = &r->o.now};
    uint64_t cursor = 0;
    r->c.db = db;
    for (unsigned k = 0; k < KEYS && !r->failed; k++) op_get(r, k);
    do HOLDS(r, ks_scan(&r->c, &cursor, 3, 0, see, &seen) == E_OK);
    while (cursor != 0);
    HOLDS(r, ks_count(&r->c, db, NULL) == seen.keys);
    check_seen(&seen, lineage(r), false);
}

static void check_version(struct run *r, unsigned thing, uint16_t line, uint64_t seq)
{
    const struct fact *want = &r->o.fact[seq];
    struct buf mem = {0};
    struct node n = {0};
    slice blob = {0};
    bool alive = want->op == NODE_PUT || want->op == NODE_EFFECT || want->op == NODE_META;
    int rc = engine_read(r->e, seq, &mem, &n);
    bool same_op = n.op == want->op || (want->op == NODE_EFFECT && n.op == NODE_PUT);
    bool fine = rc == E_OK && same_op && n.prev == want->prev && n.ver == want->ver &&
                n.seq - n.commit_pos == want->commit_first && n.lineage == line && n.ts_ms == want->ts_ms &&
                n.expire_ms == want->expire_ms && slice_eq(n.key, thing_name(thing, &r->name));
    holds(r, fine, "every version is the one that was written", __LINE__);
    if (thing < KEYS && alive && !r->failed) {
        rc = ks_value_of(&r->c, line, thing_name(thing, &r->name), seq, &mem, &blob);
        holds(r, rc == E_OK && slice_eq(blob, slice_of(want->value, want->n)), "every version's value can be rebuilt", __LINE__);
    }
    buf_fini(&mem);
}

static void check_versions(struct run *r, unsigned thing, uint16_t line)
{
    struct version_cursor *it = NULL;
    struct version v;
    uint8_t space = thing < KEYS ? SPACE_KEY : SPACE_LINK;
    uint64_t want = r->o.now.head[line][thing];
    int rc = engine_versions(r->e, space, line, thing_name(thing, &r->name), 0, UINT64_MAX, false, &it);
    while (rc == E_OK && (rc = version_next(it, &v)) == E_OK && !r->failed) {
        if (!holds(r, v.seq == want && want && v.ver == r->o.fact[want].ver, "versions are dense", __LINE__)) break;
        check_version(r, thing, line, want);
        want = r->o.fact[want].prev;
    }
    version_close(&it);
    HOLDS(r, rc == E_END && want == 0);
}

static void check_past(struct run *r, uint64_t point)
{
    struct view view;
    struct buf mem = {0};
    view_at(&r->o, point, &view);
    for (uint16_t db = 0; db < DATABASES; db++) {
        for (unsigned k = 0; k < KEYS; k++) {
            struct ks_value v;
            const struct fact *f = view_live(&r->o, &view, view.lineage[db], k);
            if (f && is_due(f, r->o.fact[point].ts_ms)) f = NULL;
            r->c.db = db;
            int rc = ks_get_at(&r->c, thing_name(k, &r->name), point, KS_ANY_VALID, &mem, &v);
            compare_value(r, rc, &v, f);
        }
    }
    buf_fini(&mem);
}

static void check_documents(struct run *r, uint16_t line, uint64_t point)
{
    struct view view;
    struct doc_cursor *it = NULL;
    slice key;
    uint64_t want = 0, found = 0;
    view_at(&r->o, point, &view);
    for (unsigned k = 8; k < KEYS; k++) {
        const struct fact *f = view_live(&r->o, &view, line, k);
        want += f && f->type == TYPE_DOCUMENT;
    }
    int rc = engine_docs(r->e, line, slice_str("d:"), (slice){0}, point, &it);
    while (rc == E_OK && (rc = doc_cursor_next(it, &key)) == E_OK) found++;
    doc_cursor_close(&it);
    HOLDS(r, rc == E_END && found == want);
}

static void check_links(struct run *r, uint16_t line, uint64_t point)
{
    struct view view;
    view_at(&r->o, point, &view);
    for (unsigned thing = KEYS; thing < THINGS; thing++) {
        char from[16];
        struct link_cursor *it = NULL;
        struct link l;
        uint64_t found = 0, seq = 0;
        snprintf(from, sizeof from, "d:%u", thing);
        int rc = engine_links(r->e, line, slice_str(from), LINK_OUT, (slice){0}, point, (slice){0}, &it);
        while (rc == E_OK && (rc = link_cursor_next(it, &l)) == E_OK) found++, seq = l.seq;
        link_cursor_close(&it);
        bool want = view_live(&r->o, &view, line, thing) != NULL;
        HOLDS(r, rc == E_END && found == want && (!want || seq == view.head[line][thing]));
    }
}

static void check_all(struct run *r)
{
    for (uint16_t db = 0; db < DATABASES && !r->failed; db++) check_counts(r, db);
    for (uint16_t db = 0; db < DATABASES && !r->failed; db++) check_present(r, db);
    HOLDS(r, engine_catch_up(r->e, 0) == E_OK);
    for (uint16_t line = 0; line < DATABASES; line++)
        for (unsigned thing = 0; thing < THINGS && !r->failed; thing++) check_versions(r, thing, line);
    for (unsigned i = 0; i < 4 && r->o.last && !r->failed; i++) {
        uint64_t point = i == 0 ? r->o.last : point_at_or_before(&r->o, 1 + roll(r, r->o.last));
        if (point == 0) continue;
        check_past(r, point);
        for (uint16_t line = 0; line < DATABASES && !r->failed; line++) {
            check_documents(r, line, point);
            check_links(r, line, point);
        }
    }
    if (!r->failed) ks_check(r->ks);
}

/* ---- one crash ---- */

static void after_crash(struct run *r, bool power_cut)
{
    struct engine_marks m;
    int rc = open_store(r);
    HOLDS(r, rc == E_OK);
    engine_get_marks(r->e, &m);
    HOLDS(r, m.last_seq >= (power_cut ? r->durable : r->written));
    learn_expired(r, m.last_seq); /* a cycle's, of which only the log can tell */
    HOLDS(r, m.last_seq <= r->o.last);
    HOLDS(r, m.last_seq == r->o.last || r->o.fact[m.last_seq + 1].commit_first == m.last_seq + 1);
    oracle_cut(&r->o, m.last_seq);
    check_all(r);
    for (unsigned i = 0; i < 12 && !r->failed; i++) step(r);
    if (r->failed) return;
    HOLDS(r, close_store(r) == E_OK);
    HOLDS(r, open_store(r) == E_OK);
    check_all(r);
}

static struct run *run_new(uint64_t seed, uint64_t event, bool process_only)
{
    struct run *r = mem_zalloc(sizeof *r);
    r->os = os_sim_new(seed);
    r->dice = seed;
    view_start(&r->o.now);
    os_sim_set(r->os, &(struct os_sim_faults){.crash_at = event, .process_only = process_only, .seed = seed * 1000003 + event});
    return r;
}

static void run_free(struct run *r)
{
    (void)!close_store(r);
    oracle_cut(&r->o, 0);
    buf_fini(&r->name);
    buf_fini(&r->other);
    os_free(&r->os);
    mem_free(r);
}

static bool one_point(uint64_t seed, uint64_t event, bool power_cut)
{
    struct run *r = run_new(seed, event, !power_cut);
    workload(r);
    /* One that outlived its last event dies now. */
    if (!os_sim_crashed(r->os))
        os_sim_set(r->os,
                   &(struct os_sim_faults){.crash_at = os_sim_events(r->os) + 1, .process_only = !power_cut, .seed = seed});
    (void)!close_store(r);
    os_sim_reboot(r->os);
    if (!r->failed) after_crash(r, power_cut);
    bool good = !r->failed;
    if (!good)
        printf("FAILED: %s at event %llu, seed %llu: line %u: %s\n", power_cut ? "power cut" : "killed",
               (unsigned long long)event, (unsigned long long)seed, r->line, r->failed);
    run_free(r);
    return good;
}

static uint64_t count_events(uint64_t seed)
{
    struct run *r = run_new(seed, 0, false);
    workload(r);
    if (r->failed) printf("FAILED: without a crash, seed %llu: line %u: %s\n", (unsigned long long)seed, r->line, r->failed);
    uint64_t events = r->failed ? 0 : os_sim_events(r->os);
    run_free(r);
    return events;
}

int main(int argc, char **argv)
{
    struct points p = points_from(argc, argv, POINTS_DEFAULT);
    if (p.only) return !one_point(p.seed, p.event, p.mode != 0);
    for (; points_left(&p); p.seed++) {
        uint64_t events = count_events(p.seed);
        if (events == 0) points_count(&p, false);
        for (uint64_t i = 0; i < 2 * events && points_left(&p); i++) points_count(&p, one_point(p.seed, 1 + i / 2, i % 2));
    }
    return points_end(&p, "keyspace");
}
