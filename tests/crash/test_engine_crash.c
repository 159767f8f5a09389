/* The engine against a failing machine: at every event of a workload the power goes, the process dies, a write fails, a sync fails, or the disk is full.
 *
 * The workload (appends, batches, write_out, sync, checkpoints, turns with merges and seals, compactions) is a function of its seed, so the run up to event
 * n is the same each time. After the fault the store is opened again and held against an oracle that noted every node as it was handed
 * out and every acknowledgement as it was given:
 *   1. all that was acknowledged is there: written out (a killed process), synced (a power cut, a failed sync);
 *   2. the log ends at the end of a commit; seqs are dense; every node is the one that was appended;
 *   3. heads, versions at older points, counts and live keys are those of the oracle, cut at the log's end (so the index is what folding gives);
 *   4. a root that was given out still stands, and hashes, tree and records agree;
 *   5. what compaction took answers PRUNED, and only what it was allowed to take; the horizons say so;
 *   6. writing goes on with the next seq, and the store opens once more.
 *
 * test_engine_crash [--points N] [--seed S]: N faults (0: without end). */
#include "points.h"

#include "base/logline.h"
#include "base/mem.h"
#include "base/os_sim.h"
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS           24
#define NODES_MAX      6000
#define STEPS          200
#define FLUSHES        8
#define POINTS_DEFAULT 2400

enum mode { KILLED, POWER_CUT, WRITE_FAILS, SYNC_FAILS, DISK_FULL, MODES };
static const char *const mode_names[] = {"killed", "power cut", "write fails", "sync fails", "disk full"};

struct noted {
    uint64_t prev, ver, commit_first;
    uint32_t value;
    uint8_t key, op;
    bool flushed; /* a flush, of everything */
};

struct oracle {
    struct noted node[NODES_MAX + 1]; /* by seq */
    uint64_t last;                    /* newest handed out */
    uint64_t written, durable;        /* acknowledged */
    uint64_t keep;                    /* smallest KEEP of a compaction that was begun, asked for or automatic; 0 = none was */
    uint64_t compacted_at;            /* newest seq when the last one was begun, or may have been */
    uint64_t tagged;                  /* a point that a tag holds */
    uint64_t tag_seq;                 /* the tag's own node */
    uint64_t rule_seq;                /* of the rule's node: from then on compaction may begin by itself, KEEP 2 */
    uint64_t root_size;
    uint8_t root[HASH_BYTES];
    struct {
        uint64_t seq, ver;
        bool live;
    } head[KEYS];
    uint32_t values;
};

struct run {
    struct os *os;
    struct engine *e;
    struct oracle o;
    uint64_t dice;
    const char *failed; /* what did not hold */
    unsigned line;
};

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
    int rc = engine_open(&o, &r->e, NULL);
    /* Nothing may go by itself before a rule says so. */
    if (rc == E_OK) engine_set_policy(r->e, &(struct engine_policy){.auto_percentage = 30, .auto_min_bytes = 1});
    return rc;
}

/* ---- the workload ---- */

static slice name_of(unsigned key, char out[16])
{
    snprintf(out, 16, "k:%02u", key);
    return slice_str(out);
}

/* 40 to 1000 bytes, told by its number. */
static slice value_of(uint32_t value, char out[1024])
{
    size_t n = 40 + value * 37 % 400 + (value % 29 == 0 ? 500 : 0);
    memset(out, 'a' + (int)(value % 26), n);
    snprintf(out, 16, "%u", value);
    return slice_of(out, n);
}

static struct node next_node(struct run *r, unsigned key, uint8_t op, char name[16], char text[1024])
{
    struct node n = {.op = op,
                     .type = TYPE_STRING,
                     .space = SPACE_KEY,
                     .prev = r->o.head[key].seq,
                     .ver = r->o.head[key].ver + 1,
                     .key = name_of(key, name)};
    r->o.values++;
    if (op != NODE_DELETE) n.payload = value_of(r->o.values, text);
    if (op == NODE_PUT && !r->o.head[key].live) n.flags = NODE_CREATED;
    return n;
}

static void note(struct run *r, unsigned key, const struct node *n, uint64_t commit_first)
{
    struct oracle *o = &r->o;
    o->node[n->seq] = (struct noted){n->prev, n->ver, commit_first, o->values, (uint8_t)key, n->op, false};
    o->head[key].seq = n->seq;
    o->head[key].ver = n->ver;
    o->head[key].live = node_is_live(n);
    o->last = n->seq;
}

static uint8_t choose_op(struct run *r, unsigned key)
{
    if (!r->o.head[key].live) return NODE_PUT;
    uint64_t x = roll(r, 10);
    return x == 0 ? NODE_DELETE : x < 4 ? NODE_EFFECT : NODE_PUT;
}

static int write_one(struct run *r)
{
    char name[16], text[1024];
    unsigned key = (unsigned)roll(r, KEYS);
    struct node n = next_node(r, key, choose_op(r, key), name, text);
    struct receipt got;
    int rc = engine_append(r->e, &n, false, &got);
    if (rc == E_OK) note(r, key, &n, n.seq);
    return rc;
}

/* Noted before the commit: were it to vanish, the oracle's end would show it. */
static int write_batch(struct run *r)
{
    struct oracle *before = mem_dup(&r->o, sizeof(r->o));
    struct batch *b = engine_batch_begin(r->e);
    uint64_t count = 2 + roll(r, 30), first = 0, end;
    for (uint64_t i = 0; i < count; i++) {
        char name[16], text[1024];
        unsigned key = (unsigned)roll(r, KEYS);
        struct node n = next_node(r, key, choose_op(r, key), name, text);
        engine_batch_add(b, &n, false, NULL);
        if (i == 0) first = n.seq;
        note(r, key, &n, first);
    }
    int rc = engine_batch_commit(&b, &end);
    if (rc < 0) r->o = *before;
    mem_free(before);
    return rc;
}

static int write_flush(struct run *r)
{
    struct node n = {.op = NODE_FLUSH, .lineage = NODE_ALL_LINEAGES};
    struct receipt got;
    int rc = engine_append(r->e, &n, false, &got);
    if (rc < 0) return rc;
    r->o.node[got.seq] = (struct noted){.commit_first = got.seq, .op = NODE_FLUSH, .key = KEYS, .flushed = true};
    r->o.last = got.seq;
    for (unsigned k = 0; k < KEYS; k++) r->o.head[k].live = false;
    return E_OK;
}

static int write_tag(struct run *r)
{
    uint8_t payload[8];
    memcpy(payload, &r->o.last, 8);
    struct node n = {.op = NODE_PUT,
                     .space = SPACE_TAG,
                     .ver = 1,
                     .flags = NODE_CREATED,
                     .key = slice_str("tag"),
                     .payload = slice_of(payload, 8)};
    struct receipt got;
    uint64_t point = r->o.last;
    int rc = engine_append(r->e, &n, false, &got);
    if (rc < 0) return rc;
    r->o.tagged = point;
    r->o.tag_seq = got.seq;
    r->o.node[got.seq] = (struct noted){.commit_first = got.seq, .op = NODE_PUT, .key = KEYS, .ver = 1};
    r->o.last = got.seq;
    return E_OK;
}

/* Keys of the workload keep two versions from now on, and compaction may begin by itself. */
static int write_rule(struct run *r)
{
    uint8_t payload[16] = {2};
    struct node n = {.op = NODE_PUT,
                     .space = SPACE_RETAIN,
                     .ver = 1,
                     .flags = NODE_CREATED,
                     .key = slice_str("k:*"),
                     .payload = slice_of(payload, 16)};
    struct receipt got;
    int rc = engine_append(r->e, &n, false, &got);
    if (rc < 0) return rc;
    r->o.rule_seq = got.seq;
    r->o.node[got.seq] = (struct noted){.commit_first = got.seq, .op = NODE_PUT, .key = KEYS, .ver = 1};
    r->o.last = got.seq;
    return E_OK;
}

/* A turn that may compact by itself. */
static int turn(struct run *r)
{
    if (r->o.rule_seq) {
        if (!r->o.keep || r->o.keep > 2) r->o.keep = 2;
        r->o.compacted_at = r->o.last;
    }
    return engine_turn(r->e);
}

static int write_out(struct run *r)
{
    int rc = engine_write_out(r->e, 0);
    if (rc == E_OK) r->o.written = r->o.last;
    return rc;
}

static int sync_all(struct run *r)
{
    int rc = engine_sync(r->e, 0);
    if (rc == E_OK) r->o.written = r->o.durable = r->o.last;
    return rc;
}

static int publish_root(struct run *r)
{
    uint8_t root[HASH_BYTES];
    int rc = sync_all(r);
    if (rc == E_OK) rc = engine_catch_up(r->e, 0);
    uint64_t size = rc == E_OK ? engine_tree_size(r->e) : 0;
    if (rc == E_OK) rc = engine_root(r->e, size, root);
    if (rc < 0) return rc;
    r->o.root_size = size;
    memcpy(r->o.root, root, HASH_BYTES);
    return E_OK;
}

static int compact(struct run *r)
{
    struct compact_options o = {.keep_versions = roll(r, 4)};
    if (o.keep_versions == 0 && !r->o.rule_seq) o.keep_versions = 1;
    uint64_t keep = o.keep_versions ? o.keep_versions : 2; /* 0: by the rule */
    if (!r->o.keep || keep < r->o.keep) r->o.keep = keep;
    r->o.compacted_at = r->o.last;
    int rc = engine_compact(r->e, &o, NULL);
    if (rc == E_OK) r->o.written = r->o.durable = r->o.last;
    return rc;
}

/* Small runs, until they are merged. */
static int flush_often(struct run *r)
{
    int rc = E_OK;
    for (int i = 0; rc == E_OK && i < FLUSHES && !os_sim_crashed(r->os); i++) {
        rc = write_one(r);
        if (rc == E_OK) rc = engine_checkpoint(r->e);
    }
    return rc < 0 ? rc : turn(r);
}

static int step(struct run *r, unsigned i)
{
    if (i == STEPS * 3 / 4) return flush_often(r);
    if (i == STEPS / 3) return write_tag(r);
    if (i == STEPS * 3 / 5) return write_rule(r);
    if (i == STEPS / 2 || i == STEPS - 10) return compact(r);
    if (i == STEPS * 2 / 3) return write_flush(r);
    switch (roll(r, 14)) {
    case 0:
    case 1: return write_batch(r);
    case 2: return write_out(r);
    case 3: return sync_all(r);
    case 4: return i % 3 == 0 ? engine_checkpoint(r->e) : write_out(r);
    case 5: {
        int rc = write_out(r);
        return rc < 0 ? rc : turn(r);
    }
    case 6: return publish_root(r);
    default: return write_one(r);
    }
}

/* Runs until the end, or until something fails. A failed background step alone does not stop it: the log goes on. */
static void workload(struct run *r)
{
    if (open_store(r) < 0) return;
    for (unsigned i = 0; i < STEPS && !os_sim_crashed(r->os); i++) {
        (void)!step(r, i);
        if (engine_failure(r->e)) return;
    }
}

/* ---- the oracle ---- */

/* The head of a key when the log ends at `last`: 0 = none. */
static uint64_t head_at(const struct oracle *o, unsigned key, uint64_t last)
{
    for (uint64_t s = last; s > 0; s--)
        if (o->node[s].key == key) return s;
    return 0;
}

static uint64_t first_of(const struct oracle *o, unsigned key)
{
    for (uint64_t s = 1; s <= o->last; s++)
        if (o->node[s].key == key) return s;
    return 0;
}

static uint64_t flush_at(const struct oracle *o, uint64_t last)
{
    for (uint64_t s = last; s > 0; s--)
        if (o->node[s].flushed) return s;
    return 0;
}

static bool live_at(const struct oracle *o, unsigned key, uint64_t last)
{
    uint64_t s = head_at(o, key, last);
    return s > flush_at(o, last) && o->node[s].op != NODE_DELETE;
}

/* Might a compaction have been allowed to take it? */
static bool may_be_gone(const struct oracle *o, uint64_t seq)
{
    const struct noted *n = &o->node[seq];
    if (!o->keep || n->key >= KEYS || seq > o->compacted_at) return false;
    if (o->tag_seq && o->tag_seq <= o->compacted_at && seq <= o->tagged && head_at(o, n->key, o->tagged) == seq &&
        n->op != NODE_EFFECT)
        return false;
    uint64_t newer = 0;
    for (uint64_t s = seq + 1; s <= o->compacted_at; s++) newer += o->node[s].key == n->key || o->node[s].flushed;
    return newer >= o->keep || n->op == NODE_DELETE;
}

static bool same_node(const struct oracle *o, const struct node *n)
{
    const struct noted *want = &o->node[n->seq];
    char name[16], text[1024];
    if (n->op != want->op || n->seq - n->commit_pos != want->commit_first) return false;
    if (want->key >= KEYS) return true;
    if (!slice_eq(n->key, name_of(want->key, name)) || n->prev != want->prev || n->ver != want->ver) return false;
    return n->op == NODE_DELETE || slice_eq(n->payload, value_of(want->value, text));
}

static void check_nodes(struct run *r, uint64_t last)
{
    struct buf mem = {0};
    struct engine_horizons h;
    engine_get_horizons(r->e, &h);
    uint8_t hash[HASH_BYTES], entry[HASH_BYTES];
    for (uint64_t s = 1; s <= last; s++) {
        struct node n;
        slice raw;
        int rc = engine_read(r->e, s, &mem, &n);
        bool fine = rc == E_OK ? same_node(&r->o, &n) : rc == E_PRUNED && may_be_gone(&r->o, s) && s <= h.changes;
        if (fine && rc == E_OK) {
            fine = engine_read_raw(r->e, s, &mem, &raw) == E_OK && engine_hash(r->e, s, entry) == E_OK;
            blake2b_256(hash, raw.p, fine ? raw.n : 0);
            fine = fine && memcmp(hash, entry, HASH_BYTES) == 0;
        }
        if (!fine) {
            printf("seq %llu: %s\n", (unsigned long long)s, err_text(rc));
            r->failed = "every node is the one that was appended, or was dropped by leave";
            break;
        }
    }
    buf_fini(&mem);
}

/* The key at a point: the oracle's version, or PRUNED where that is allowed. */
static void check_key(struct run *r, unsigned key, uint64_t at)
{
    char name[16];
    struct version v = {0};
    struct buf mem = {0};
    struct node n;
    struct engine_horizons h;
    uint64_t newest = engine_tree_size(r->e);
    engine_get_horizons(r->e, &h);
    if (at > newest) at = newest; /* UINT64_MAX asks for the head */
    uint64_t want = head_at(&r->o, key, at);
    int rc = engine_find(r->e, SPACE_KEY, 0, name_of(key, name), at == newest ? UINT64_MAX : at, FIND_ALL, &v);
    if (rc == E_OK) rc = engine_read(r->e, v.seq, &mem, &n);
    buf_fini(&mem);
    bool fine =
        rc == E_OK ? v.seq == want && v.op == r->o.node[want].op && v.ver == r->o.node[want].ver
        : rc == E_NOTFOUND
            ? want == 0 || (may_be_gone(&r->o, want) && !live_at(&r->o, key, at) && at >= h.keys)
            : rc == E_PRUNED && at < h.readable &&
                  may_be_gone(&r->o, want ? want : first_of(&r->o, key)); /* before the oldest kept version all is unknown */
    if (!fine)
        printf("key %u at %llu: found %llu (%s), expected %llu\n", key, (unsigned long long)at, (unsigned long long)v.seq,
               err_text(rc), (unsigned long long)want);
    HOLDS(r, fine);
}

static void check_live(struct run *r, uint64_t last)
{
    struct key_cursor *c = NULL;
    struct live_key k;
    struct db_counts counts;
    uint64_t want = 0, found = 0;
    for (unsigned key = 0; key < KEYS; key++) want += live_at(&r->o, key, last);
    engine_db_counts(r->e, 0, &counts);
    HOLDS(r, counts.keys == want);
    HOLDS(r, engine_keys(r->e, 0, flush_at(&r->o, last), 0, &c) == E_OK);
    while (key_cursor_next(c, &k) == E_OK) found++;
    key_cursor_close(&c);
    HOLDS(r, found == want);
}

static void check_proofs(struct run *r, uint64_t last)
{
    uint8_t root[HASH_BYTES];
    struct verify_found sum = {0};
    uint64_t next, bad;
    HOLDS(r, engine_tree_size(r->e) == last);
    if (r->o.root_size) {
        HOLDS(r, engine_root(r->e, r->o.root_size, root) == E_OK);
        HOLDS(r, memcmp(root, r->o.root, HASH_BYTES) == 0);
    }
    HOLDS(r, engine_verify_slice(r->e, 1, UINT64_MAX, UINT64_MAX, NULL, NULL, &sum, &next) == E_OK && sum.bad == 0);
    HOLDS(r, engine_verify_tree(r->e, &bad) == E_OK);
}

static void check_all(struct run *r, uint64_t last)
{
    check_nodes(r, last);
    for (unsigned key = 0; key < KEYS && !r->failed; key++) {
        check_key(r, key, UINT64_MAX);
        if (!r->failed && last) check_key(r, key, 1 + last * (key + 1) / (KEYS + 1));
    }
    if (!r->failed && r->o.tag_seq && r->o.tag_seq <= last && r->o.keep) check_key(r, (unsigned)roll(r, KEYS), r->o.tagged);
    if (!r->failed) check_live(r, last);
    if (!r->failed) check_proofs(r, last);
}

/* ---- one fault ---- */

/* What was not there after the fault never was. */
static void cut_oracle(struct run *r, uint64_t last)
{
    struct oracle *o = &r->o;
    o->last = o->written = o->durable = last;
    if (o->tag_seq > last) o->tag_seq = o->tagged = 0;
    if (o->rule_seq > last) o->rule_seq = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        uint64_t s = head_at(o, k, last);
        o->head[k].seq = s;
        o->head[k].ver = s ? o->node[s].ver : 0;
        o->head[k].live = live_at(o, k, last);
    }
}

static void write_on(struct run *r)
{
    uint64_t last = r->o.last;
    HOLDS(r, write_one(r) == E_OK);
    HOLDS(r, r->o.last == last + 1);
    for (int i = 0; i < 5; i++) HOLDS(r, write_one(r) == E_OK && write_batch(r) == E_OK);
    HOLDS(r, write_out(r) == E_OK);
    HOLDS(r, turn(r) == E_OK);
}

static void after_fault(struct run *r, enum mode mode)
{
    struct engine_marks m;
    HOLDS(r, open_store(r) == E_OK);
    engine_get_marks(r->e, &m);
    uint64_t acknowledged = mode == POWER_CUT || mode == SYNC_FAILS ? r->o.durable : r->o.written;
    if (m.last_seq < acknowledged)
        printf("the log ends at %llu, %llu was acknowledged\n", (unsigned long long)m.last_seq, (unsigned long long)acknowledged);
    HOLDS(r, m.last_seq >= acknowledged);
    HOLDS(r, m.last_seq <= r->o.last);
    HOLDS(r, m.last_seq == r->o.last || r->o.node[m.last_seq + 1].commit_first == m.last_seq + 1);
    HOLDS(r, m.indexed_seq == m.last_seq);
    check_all(r, m.last_seq);
    if (r->failed) return;
    cut_oracle(r, m.last_seq);
    write_on(r);
    if (r->failed) return;
    HOLDS(r, engine_close(&r->e) == E_OK);
    HOLDS(r, open_store(r) == E_OK);
    check_all(r, r->o.last);
    if (r->failed) return;
    HOLDS(r, engine_close(&r->e) == E_OK);
}

/* The store still answers after a failure; nothing that it refuses has happened. */
static void reads_go_on(struct run *r)
{
    struct buf mem = {0};
    struct node n;
    struct receipt got;
    struct node refused = {.op = NODE_PUT, .type = TYPE_STRING, .ver = 1, .flags = NODE_CREATED, .key = slice_str("refused")};
    HOLDS(r, engine_append(r->e, &refused, false, &got) == E_STICKY);
    if (r->o.written == 0) return;
    int rc = engine_read(r->e, r->o.written, &mem, &n);
    buf_fini(&mem);
    HOLDS(r, rc == E_OK || (rc == E_PRUNED && may_be_gone(&r->o, r->o.written)));
}

static struct os_sim_faults faults_of(enum mode mode, uint64_t event, uint64_t seed)
{
    struct os_sim_faults f = {.seed = seed};
    switch (mode) {
    case KILLED: f.crash_at = event, f.process_only = true; break;
    case POWER_CUT: f.crash_at = event; break;
    case WRITE_FAILS: f.fail_write_at = event, f.process_only = true; break;
    case SYNC_FAILS: f.fail_sync_at = event; break;
    default: f.capacity_bytes = event * 2000, f.process_only = true; break;
    }
    return f;
}

static bool one_point(enum mode mode, uint64_t event, uint64_t seed)
{
    struct run *r = mem_zalloc(sizeof(*r));
    r->os = os_sim_new(seed);
    r->dice = seed;
    struct os_sim_faults f = faults_of(mode, event, seed * 1000003 + event);
    os_sim_set(r->os, &f);
    workload(r);
    bool crashed = os_sim_crashed(r->os);
    if (r->e && !crashed && engine_failure(r->e)) reads_go_on(r);
    /* A failed engine is put away; a healthy one is left as a killed process leaves it. */
    if (r->e && !crashed && !engine_failure(r->e))
        os_sim_set(r->os, &(struct os_sim_faults){.crash_at = os_sim_events(r->os) + 1, .process_only = true, .seed = seed});
    if (r->e) (void)!engine_close(&r->e);
    os_sim_reboot(r->os);
    if (!r->failed) after_fault(r, mode);
    bool fine = !r->failed;
    if (!fine)
        printf("FAILED: %s at event %llu, seed %llu: line %u: %s\n", mode_names[mode], (unsigned long long)event, (unsigned long long)seed,
               r->line, r->failed);
    if (r->e) (void)!engine_close(&r->e);
    os_free(&r->os);
    mem_free(r);
    return fine;
}

/* Events of the whole workload without a fault. */
static uint64_t count_events(uint64_t seed, uint64_t *automatic, uint64_t *merges)
{
    struct compact_stats s = {0};
    struct engine_stats done = {0};
    struct run *r = mem_zalloc(sizeof(*r));
    r->os = os_sim_new(seed);
    r->dice = seed;
    os_sim_set(r->os, &(struct os_sim_faults){.seed = seed});
    workload(r);
    uint64_t events = os_sim_events(r->os);
    if (r->e) engine_compact_status(r->e, &s), engine_get_stats(r->e, &done);
    *automatic = s.automatic_runs;
    *merges = done.merges;
    if (r->e) (void)!engine_close(&r->e);
    os_free(&r->os);
    mem_free(r);
    return events;
}

int main(int argc, char **argv)
{
    struct points p = points_from(argc, argv, POINTS_DEFAULT);
    if (p.only) return !one_point((enum mode)p.mode, p.event, p.seed);
    for (; points_left(&p); p.seed++) {
        uint64_t automatic, merges, events = count_events(p.seed, &automatic, &merges);
        printf("seed %llu: %llu events, %llu merges, %llu compactions began by themselves\n", (unsigned long long)p.seed, (unsigned long long)events,
               (unsigned long long)merges, (unsigned long long)automatic);
        if (merges == 0) points_count(&p, false); /* a workload without them shows less than it is for */
        /* Modes take turns, so that any number of points has all of them. */
        for (uint64_t i = 0; i < events * MODES && points_left(&p); i++) points_count(&p, one_point((enum mode)(i % MODES), 1 + i / MODES, p.seed));
    }
    return points_end(&p, "engine");
}
