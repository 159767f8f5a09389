/* Compaction end to end: what stays is all there, what went answers PRUNED, proofs go on, dry runs tell the truth. */
#include "unit/engine/engine_world.h"

#include "base/codec.h"
#include "base/os_sim.h"
#include "base/thread.h"

#include <sched.h>
#include <stdatomic.h>

#define READS_ROUNDS 20
#define TEXT "a payload of some length, so that there is something to win, and segments fill up after a few hundred"

static void fill(struct world *w, unsigned rounds)
{
    for (unsigned i = 0; i < rounds * WORLD_KEYS; i++) world_put(w, i % WORLD_KEYS, TEXT);
    assert_int_equal(engine_write_out(w->e, 0), E_OK);
    if (w->o.no_threads) assert_int_equal(engine_turn(w->e), E_OK);
}

static void check_all(struct world *w, uint64_t dropped_upto)
{
    for (unsigned k = 0; k < WORLD_KEYS; k++) {
        world_expect(w, k, UINT64_MAX, TEXT, 0);
        if (dropped_upto) world_expect(w, k, k + 1, NULL, E_PRUNED);
    }
}

static void count_bad(void *ctx, uint64_t seq, const char *why)
{
    (void)ctx;
    print_error("seq %llu: %s\n", (unsigned long long)seq, why);
}

static int count_segment(void *ctx, const char *name)
{
    *(uint64_t *)ctx += strstr(name, ".seg") != NULL;
    return 0;
}

static void keeps_newest_only(void **state)
{
    struct world w = {0};
    struct compact_stats dry, real, status;
    uint8_t before[HASH_BYTES], after[HASH_BYTES];
    world_start(&w);
    fill(&w, 40);
    uint64_t nodes = 40 * WORLD_KEYS;
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    assert_int_equal(engine_root(w.e, nodes, before), E_OK);
    struct compact_options o = {.keep_versions = 1, .dry_run = true};
    assert_int_equal(engine_compact(w.e, &o, &dry), E_OK);
    assert_int_equal(dry.dropped, nodes - WORLD_KEYS);
    check_all(&w, 0);
    world_expect(&w, 5, 6, TEXT, 0); /* a dry run drops nothing */
    o.dry_run = false;
    assert_int_equal(engine_compact(w.e, &o, &real), E_OK);
    assert_int_equal(real.dropped, dry.dropped);
    assert_int_equal(real.live, dry.live);
    assert_int_equal(real.bytes_before, dry.bytes_before);
    assert_int_equal(real.bytes_after, dry.bytes_after);
    assert_int_equal(real.segments, dry.segments);
    engine_compact_status(w.e, &status);
    assert_false(status.running);
    assert_int_equal(status.result, E_OK);
    struct engine_stats s;
    engine_get_stats(w.e, &s);
    assert_int_equal(s.bytes_log, real.bytes_after);
    uint64_t files = 0; /* what was replaced is gone from the disk */
    assert_int_equal(os_list(w.os, "/db/log", count_segment, &files), E_OK);
    assert_int_equal(files, s.segments);
    for (int round = 0; round < 2; round++) {
        check_all(&w, nodes - WORLD_KEYS);
        struct verify_found f = {0};
        uint64_t next;
        assert_int_equal(engine_root(w.e, nodes, after), E_OK);
        assert_memory_equal(before, after, HASH_BYTES);
        assert_int_equal(engine_hash(w.e, 3, after), E_OK); /* leaves outlive their nodes */
        assert_int_equal(engine_verify_slice(w.e, 1, UINT64_MAX, UINT64_MAX, count_bad, NULL, &f, &next), E_OK);
        assert_int_equal(f.bad, 0);
        assert_int_equal(f.checked, WORLD_KEYS);
        world_reopen(&w);
    }
    assert_int_equal(world_put(&w, 0, "next"), nodes + 1);
    world_stop(&w);
}

static void second_run_finds_nothing(void **state)
{
    struct world w = {0};
    struct compact_stats s;
    struct compact_options o = {.keep_versions = 2};
    world_start(&w);
    fill(&w, 30);
    assert_int_equal(engine_compact(w.e, &o, &s), E_OK);
    assert_true(s.dropped > 0);
    assert_int_equal(engine_compact(w.e, &o, &s), E_OK);
    assert_int_equal(s.dropped, 0);
    assert_int_equal(s.live, 2 * WORLD_KEYS);
    fill(&w, 3);
    assert_int_equal(engine_compact(w.e, &o, &s), E_OK);
    assert_int_equal(s.dropped, 3 * WORLD_KEYS);
    check_all(&w, 0);
    world_stop(&w);
}

static void deleted_keys_answer_pruned(void **state)
{
    struct world w = {0};
    struct compact_stats s;
    world_start(&w);
    world_put(&w, 1, "gone soon"); /* 1 */
    world_put(&w, 2, "stays");     /* 2 */
    world_delete(&w, 1);           /* 3 */
    assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
    assert_int_equal(s.dropped, 2);
    assert_int_equal(engine_horizon(w.e), 3);
    for (int round = 0; round < 2; round++) {
        world_expect(&w, 1, 1, NULL, E_PRUNED);
        world_expect(&w, 1, 3, NULL, E_NOTFOUND);
        world_expect(&w, 2, 2, "stays", 0);
        world_reopen(&w);
    }
    world_put(&w, 1, "back"); /* continues a key whose tombstone is gone */
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    world_expect(&w, 1, UINT64_MAX, "back", 0);
    world_reopen(&w);
    world_expect(&w, 1, UINT64_MAX, "back", 0);
    world_stop(&w);
}

static atomic_bool stop_writing;
static void write_on(void *ctx)
{
    struct world *w = ctx;
    /* As long as compactions run, but not so much that they fall behind on a slow machine. */
    for (int round = 0; round < 200 && !atomic_load(&stop_writing); round++) {
        for (unsigned i = 0; i < 64; i++) world_put(w, i % WORLD_KEYS, TEXT);
        assert_int_equal(engine_write_out(w->e, 0), E_OK);
        sched_yield();
    }
}

static void beside_traffic(void **state)
{
    struct world w = {.o = {.segment_bytes = 64 << 10, .checkpoint_bytes = 256 << 10}};
    pthread_t t;
    struct compact_stats s;
    log_set_level(LOG_NOTHING);
    w.os = os_memory_new();
    world_open(&w);
    fill(&w, 40);
    assert_int_equal(thread_start(&t, "writer", write_on, &w), E_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 3}, &s), E_OK);
        assert_int_equal(engine_compact_start(w.e, &(struct compact_options){.keep_versions = 2}), E_OK);
        do {
            engine_compact_status(w.e, &s);
            sched_yield();
        } while (s.running);
        assert_int_equal(s.result, E_OK);
    }
    atomic_store(&stop_writing, true);
    thread_join(t);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    check_all(&w, 1);
    world_reopen(&w);
    assert_int_equal(w.rep.folded_nodes, 0);
    check_all(&w, 1);
    struct verify_found f = {0};
    uint64_t next;
    assert_int_equal(engine_verify_slice(w.e, 1, UINT64_MAX, UINT64_MAX, count_bad, NULL, &f, &next), E_OK);
    assert_int_equal(f.bad, 0);
    world_stop(&w);
}

static atomic_bool stop_reading;
static atomic_uint rounds, lost, back; /* of the reader; keys that it did not find; versions older than what it had seen */

static void read_on(void *ctx)
{
    struct world *w = ctx;
    uint64_t seen[WORLD_KEYS] = {0};
    char name[32];
    struct version v;
    while (!atomic_load(&stop_reading)) {
        for (unsigned k = 0; k < WORLD_KEYS; k++) {
            int rc = engine_find(w->e, SPACE_KEY, 0, world_name(k, name), UINT64_MAX, FIND_ALL, &v);
            if (rc != E_OK)
                atomic_fetch_add(&lost, 1);
            else if (v.seq < seen[k])
                atomic_fetch_add(&back, 1);
            else
                seen[k] = v.seq;
        }
        atomic_fetch_add(&rounds, 1);
    }
}

/* While the index forgets, every key is there all the time, and never as it was before. */
static void beside_readers(void **state)
{
    struct world w = {.o = {.segment_bytes = 64 << 10}};
    pthread_t t;
    struct compact_stats s;
    log_set_level(LOG_NOTHING);
    w.os = os_memory_new();
    world_open(&w);
    fill(&w, 20);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    assert_int_equal(thread_start(&t, "reader", read_on, &w), E_OK);
    for (unsigned i = 0; i < 20; i++) {
        fill(&w, 10);
        unsigned before = atomic_load(&rounds);
        assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
        assert_true(s.dropped >= 10 * WORLD_KEYS);
        while (atomic_load(&rounds) == before) sched_yield();
    }
    atomic_store(&stop_reading, true);
    thread_join(t);
    assert_int_equal(lost, 0);
    assert_int_equal(back, 0);
    world_stop(&w);
}

static void cancelled_and_throttled(void **state)
{
    struct world w = {.o = {.segment_bytes = 64 << 10}};
    struct compact_stats s;
    log_set_level(LOG_NOTHING);
    w.os = os_memory_new();
    world_open(&w);
    fill(&w, 100);
    engine_set_throttle(w.e, 20000); /* would take half a minute */
    assert_int_equal(engine_compact_start(w.e, &(struct compact_options){.keep_versions = 1}), E_OK);
    assert_int_equal(engine_compact_start(w.e, &(struct compact_options){.keep_versions = 1}), E_BUSY);
    do engine_compact_status(w.e, &s);
    while (s.running && s.done == 0);
    engine_compact_cancel(w.e);
    do {
        engine_compact_status(w.e, &s);
        sched_yield();
    } while (s.running);
    assert_int_equal(s.result, E_CANCELLED);
    check_all(&w, 0);
    engine_set_throttle(w.e, 0);
    assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
    check_all(&w, 1);
    world_stop(&w);
}

/* A tag that is set while compaction runs holds what is still there: the rest is planned again. */
static void tag_in_the_middle(void **state)
{
    struct world w = {.o = {.segment_bytes = 64 << 10}};
    struct compact_stats s;
    struct receipt r;
    uint8_t point[8];
    const uint64_t at = 99 * WORLD_KEYS; /* one version of every key before the last */
    log_set_level(LOG_NOTHING);
    w.os = os_memory_new();
    world_open(&w);
    fill(&w, 100);
    engine_set_throttle(w.e, 20000);
    assert_int_equal(engine_compact_start(w.e, &(struct compact_options){.keep_versions = 1}), E_OK);
    do engine_compact_status(w.e, &s);
    while (s.running && s.done == 0);
    put_u64(point, at);
    struct node n = {.op = NODE_PUT, .space = SPACE_TAG, .ver = 1, .flags = NODE_CREATED, .key = slice_str("t"), .payload = slice_of(point, 8)};
    assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    assert_true(s.running);
    engine_set_throttle(w.e, 0);
    do {
        engine_compact_status(w.e, &s);
        sched_yield();
    } while (s.running);
    assert_int_equal(s.result, E_OK);
    assert_int_equal(s.held, WORLD_KEYS);
    assert_int_equal(s.dropped, 98 * WORLD_KEYS);
    assert_int_equal(s.live, 2 * WORLD_KEYS + 1);
    for (unsigned k = 0; k < WORLD_KEYS; k++) {
        world_expect(&w, k, at, TEXT, 0);
        world_expect(&w, k, at - WORLD_KEYS, NULL, E_PRUNED);
    }
    world_stop(&w);
}

static int take_last(void *ctx, const char *name)
{
    char(*last)[64] = ctx;
    size_t n = strlen(name);
    if (n < sizeof(*last) && strcmp(name + n - 4, ".seg") == 0 && strcmp(name, *last) > 0) snprintf(*last, sizeof(*last), "%s", name);
    return 0;
}

static int flip_run(void *ctx, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "/db/index/%.100s", name);
    for (uint64_t off = 100; os_sim_flip(ctx, path, off, 3) == E_OK;) off += 500;
    return 0;
}
/* All blocks of the index; once more, and they are as they were. */
static void flip_index(struct os *os)
{
    assert_int_equal(os_list(os, "/db/index", flip_run, os), E_OK);
}

/* Alters a node where it lies, and gives its record the checksum that fits. */
static void alter(struct os *os, const char *path, uint64_t seq)
{
    struct buf file = {0};
    struct os_file *f = NULL;
    struct log_record r;
    bool done = false;
    assert_int_equal(os_read_file(os, path, 1 << 20, &file), E_OK);
    for (size_t at = 64; !done && record_check(slice_of(file.p + at, file.n - at), &r) == E_OK; at += r.size) {
        if (get_u64(r.node.p + 8) != seq) continue;
        assert_int_equal(r.cut, 0);
        file.p[at + RECORD_HEADER_BYTES + r.node.n - 2] ^= 1;
        put_u32(file.p + at, record_seal(file.p + at, r.node.n, r.more));
        done = true;
    }
    assert_true(done);
    assert_int_equal(os_open(os, path, OS_WRITE, &f), E_OK);
    assert_int_equal(os_write(os, f, 0, file.p, file.n), E_OK);
    os_close(os, &f);
    buf_fini(&file);
}

/* What has another hash than it was written with is not given a new home. */
static void damage_is_not_copied(void **state)
{
    struct world w = {0};
    char last[64] = "", path[128];
    uint64_t nodes = 40 * WORLD_KEYS, altered = nodes - 9, next;
    struct compact_stats s;
    struct verify_found f = {0};
    world_start(&w);
    fill(&w, 40);
    assert_int_equal(engine_close(&w.e), E_OK);
    assert_int_equal(os_list(w.os, "/db/log", take_last, &last), E_OK);
    snprintf(path, sizeof(path), "/db/log/%s", last);
    alter(w.os, path, altered);
    world_open(&w);
    assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_CORRUPT);
    assert_int_equal(s.result, E_CORRUPT);
    for (int round = 0; round < 2; round++) { /* it can still be found, where it was */
        f = (struct verify_found){0};
        assert_int_equal(engine_verify_slice(w.e, 1, UINT64_MAX, UINT64_MAX, NULL, NULL, &f, &next), E_OK);
        assert_int_equal(f.bad, 1);
        world_expect(&w, 3, UINT64_MAX, TEXT, 0);
        world_reopen(&w);
    }
    world_stop(&w);
}

/* A compaction that was killed before the index had forgotten what went, and now the index cannot be read: that is tried again, but not all the time. */
static void forgetting_fails(void **state)
{
    struct world w;
    struct compact_stats s;
    unsigned seen = 0;
    for (uint64_t at = 1; seen == 0; at++) {
        assert_true(at < 200);
        w = (struct world){.os = os_sim_new(5), .o = {.no_threads = true, .segment_bytes = 64 << 10}};
        log_set_level(LOG_NOTHING);
        world_open(&w);
        fill(&w, 20);
        assert_int_equal(engine_checkpoint(w.e), E_OK);
        os_sim_set(w.os, &(struct os_sim_faults){.crash_at = os_sim_events(w.os) + at, .process_only = true, .seed = at});
        assert_true(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s) < 0);
        (void)!engine_close(&w.e);
        os_sim_reboot(w.os);
        world_open(&w);
        flip_index(w.os);
        if (engine_turn(w.e) < 0) { /* the rest of the compaction is due */
            for (int i = 0; i < 3; i++) assert_int_equal(engine_turn(w.e), E_OK);
            os_sim_advance(w.os, 11000000);
            assert_int_equal(engine_turn(w.e), E_CORRUPT);
            seen++;
        }
        flip_index(w.os);
        os_sim_advance(w.os, 11000000);
        assert_int_equal(engine_turn(w.e), E_OK);
        world_stop(&w);
    }
}

/* What every version answers, and the horizons. */
struct picture {
    int rc[1 + READS_ROUNDS * WORLD_KEYS];
    struct engine_horizons h;
    uint64_t keys;
};
static void take_picture(struct world *w, struct picture *p)
{
    struct buf mem = {0};
    struct node n;
    struct db_counts counts;
    memset(p, 0, sizeof(*p));
    for (uint64_t s = 1; s <= READS_ROUNDS * WORLD_KEYS; s++) p->rc[s] = engine_read(w->e, s, &mem, &n);
    engine_get_horizons(w->e, &p->h);
    engine_db_counts(w->e, 0, &counts);
    p->keys = counts.keys;
    buf_fini(&mem);
}

/* Every read in turn fails once: the compaction ends with an error or is right, and the next one is. */
static void failing_reads(void **state)
{
    struct picture *want = mem_alloc(sizeof(*want)), *got = mem_alloc(sizeof(*got));
    unsigned failed = 0;
    for (uint64_t at = 0;; at++) {
        struct world w = {.os = os_sim_new(5), .o = {.no_threads = true, .segment_bytes = 64 << 10}};
        struct compact_stats s;
        log_set_level(LOG_NOTHING);
        world_open(&w);
        fill(&w, READS_ROUNDS);
        assert_int_equal(engine_checkpoint(w.e), E_OK);
        world_reopen(&w); /* nothing is in memory */
        if (at) os_sim_set(w.os, &(struct os_sim_faults){.fail_read_at = at, .seed = at});
        int rc = engine_compact(w.e, &(struct compact_options){.keep_versions = 3}, &s);
        os_sim_set(w.os, &(struct os_sim_faults){0});
        assert_int_equal(engine_failure(w.e), E_OK);
        failed += rc != E_OK;
        for (unsigned k = 0; k < WORLD_KEYS; k++) world_expect(&w, k, UINT64_MAX, TEXT, 0);
        if (rc != E_OK) { /* nothing went without the horizon saying so */
            struct buf mem = {0};
            struct node n;
            struct engine_horizons h;
            engine_get_horizons(w.e, &h);
            for (uint64_t q = h.changes + 1; q <= READS_ROUNDS * WORLD_KEYS; q++) assert_int_equal(engine_read(w.e, q, &mem, &n), E_OK);
            buf_fini(&mem);
            world_reopen(&w); /* what was left half way is known only then */
            assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 3}, &s), E_OK);
        }
        take_picture(&w, at ? got : want);
        if (at && memcmp(got, want, sizeof(*want)) != 0) print_error("read %llu (%s)\n", (unsigned long long)at, err_text(rc));
        if (at) assert_memory_equal(got, want, sizeof(*want));
        world_stop(&w);
        if (at && rc == E_OK && at > failed + 20) break;
    }
    assert_true(failed > 10);
    mem_free(want);
    mem_free(got);
}

struct sizes {
    struct os *os;
    const char *dir;
    uint64_t sum;
};
static int add_size(void *ctx, const char *name)
{
    struct sizes *s = ctx;
    char path[200];
    struct os_file *f = NULL;
    uint64_t n = 0;
    snprintf(path, sizeof(path), "%s/%.100s", s->dir, name);
    if (os_open(s->os, path, OS_READ, &f) == E_OK && os_size(s->os, f, &n) == E_OK) s->sum += n;
    os_close(s->os, &f);
    return 0;
}

/* The disk has room for some records, not for one more segment: a compaction does not come off, and writing goes on. */
static void nearly_full_disk(void **state)
{
    static const char *const dirs[] = {"/db", "/db/log", "/db/index", "/db/tree"};
    unsigned refused = 0;
    for (unsigned n = 20; n < 34; n++) { /* the tail is full to different degrees */
        struct world w = {.os = os_sim_new(5), .o = {.no_threads = true, .segment_bytes = 64 << 10}};
        struct compact_stats s;
        log_set_level(LOG_NOTHING);
        world_open(&w);
        fill(&w, n);
        assert_int_equal(engine_checkpoint(w.e), E_OK);
        assert_int_equal(engine_turn(w.e), E_OK);
        struct sizes used = {.os = w.os};
        for (int i = 0; i < 4; i++) used.dir = dirs[i], assert_int_equal(os_list(w.os, dirs[i], add_size, &used), E_OK);
        os_sim_set(w.os, &(struct os_sim_faults){.capacity_bytes = used.sum + 3000, .seed = 1});
        refused += engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s) == E_NOSPACE;
        world_put(&w, 1, "x");
        assert_int_equal(engine_write_out(w.e, 0), E_OK);
        os_sim_set(w.os, &(struct os_sim_faults){0});
        os_sim_advance(w.os, 11000000);
        assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
        world_expect(&w, 1, UINT64_MAX, "x", 0);
        world_stop(&w);
    }
    assert_true(refused > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_newest_only),          cmocka_unit_test(second_run_finds_nothing),
        cmocka_unit_test(deleted_keys_answer_pruned), cmocka_unit_test(beside_traffic),
        cmocka_unit_test(cancelled_and_throttled),    cmocka_unit_test(damage_is_not_copied),
        cmocka_unit_test(tag_in_the_middle),          cmocka_unit_test(beside_readers),
        cmocka_unit_test(forgetting_fails),           cmocka_unit_test(failing_reads),
        cmocka_unit_test(nearly_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
