/* The index as a whole against an oracle: random writes, steps, snapshots, flushes, merges, reopenings. */
#include "unit/engine/index_oracle.h"

#include "base/logline.h"
#include "base/thread.h"
#include <stdatomic.h>

enum { RUNS_MAX = 64 };
#ifdef __SANITIZE_THREAD__
enum { ROUNDS = 60 };
#else
enum { ROUNDS = 400 };
#endif

struct world {
    struct os *os;
    struct index *ix;
    struct rng r;
    struct oracle now, stepped, flushed;
    struct run_id runs[RUNS_MAX];
    size_t n_runs;
    uint64_t seq;
    struct buf key, value;
};

static void reopen(struct world *w)
{
    struct index_options o = {.os = w->os, .dir = "/db", .buffer_bytes = 1 << 20, .runs = w->runs, .n_runs = w->n_runs};
    assert_int_equal(index_open(&o, &w->ix), E_OK);
}

static void start(struct world *w, const char *name, uint64_t seed)
{
    *w = (struct world){.os = os_memory_new(), .r = rng_start(name, seed)};
    reopen(w);
}

static void stop(struct world *w)
{
    index_close(&w->ix);
    oracle_clear(&w->now);
    oracle_clear(&w->stepped);
    oracle_clear(&w->flushed);
    buf_fini(&w->key);
    buf_fini(&w->value);
    os_free(&w->os);
}

static void put_random(struct world *w)
{
    size_t filter_n = random_key(&w->r, &w->key, 40);
    if (rng_below(&w->r, 5) == 0) {
        index_delete(w->ix, buf_slice(&w->key));
        oracle_delete(&w->now, buf_slice(&w->key));
        return;
    }
    random_value(&w->r, &w->value);
    index_put(w->ix, buf_slice(&w->key), buf_slice(&w->value), filter_n);
    oracle_put(&w->now, buf_slice(&w->key), buf_slice(&w->value));
}

static void become(struct oracle *to, const struct oracle *from)
{
    oracle_clear(to);
    *to = oracle_copy(from);
}

static void step(struct world *w)
{
    index_step(w->ix, ++w->seq);
    become(&w->stepped, &w->now);
}

static void manifest(struct world *w)
{
    uint64_t covers;
    w->n_runs = index_runs(w->ix, w->runs, RUNS_MAX, &covers);
    assert_true(w->n_runs <= RUNS_MAX);
    assert_int_equal(covers, index_flushed_covers(w->ix));
    index_retire(w->ix);
}

static void flush(struct world *w)
{
    int rc = index_flush(w->ix);
    assert_true(rc == E_OK || rc == E_AGAIN);
    become(&w->flushed, &w->stepped);
    assert_int_equal(index_flushed_covers(w->ix), w->seq);
}

static void merge(struct world *w)
{
    int rc = rng_below(&w->r, 4) ? index_merge(w->ix, NULL, NULL) : index_merge_all(w->ix, NULL, NULL);
    assert_true(rc == E_OK || rc == E_AGAIN);
}

static void check(struct world *w, enum index_scope scope)
{
    const struct oracle *o = scope == INDEX_ALL ? &w->stepped : &w->flushed;
    struct index_snap *s = NULL;
    assert_int_equal(index_snapshot(w->ix, scope, &s), E_OK);
    check_lookups(&w->r, scope == INDEX_ALL ? w->ix : NULL, s, o, 50);
    struct buf lower = {0}, upper = {0};
    if (rng_below(&w->r, 2)) random_key(&w->r, &lower, 40);
    if (rng_below(&w->r, 2)) random_key(&w->r, &upper, 40);
    check_iterator(&w->r, s, o, buf_slice(&lower), buf_slice(&upper));
    buf_fini(&lower);
    buf_fini(&upper);
    index_snap_close(&s);
    assert_null(s);
}

static void test_random_operations(void **state)
{
    struct world w;
    start(&w, "random_operations", 1);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t n = rng_below(&w.r, 4) ? rng_below(&w.r, 30) : rng_below(&w.r, 600);
        for (uint64_t j = 0; j < n; j++) put_random(&w);
        if (rng_below(&w.r, 4)) step(&w);
        if (rng_below(&w.r, 6) == 0) flush(&w);
        if (rng_below(&w.r, 12) == 0) merge(&w);
        if (rng_below(&w.r, 3) == 0) check(&w, INDEX_ALL);
        if (rng_below(&w.r, 6) == 0) check(&w, INDEX_RUNS_ONLY);
        if (rng_below(&w.r, 6) == 0) manifest(&w);
        if (rng_below(&w.r, 30) == 0) { /* an orderly stop: everything flushed and named */
            step(&w);
            flush(&w);
            manifest(&w);
            index_close(&w.ix);
            reopen(&w);
            assert_true(index_covers(w.ix) <= w.seq); /* less when the last steps were empty: no run recorded them */
            char where[200];
            assert_int_equal(index_verify(w.ix, where, sizeof where), E_OK);
        }
    }
    step(&w);
    check(&w, INDEX_ALL);
    stop(&w);
}

/* A snapshot keeps its state while everything goes on, and its runs stay readable when they are retired. */
static void test_snapshots_stand_still(void **state)
{
    enum { HELD = 6 };
    struct world w;
    start(&w, "snapshots_stand_still", 2);
    struct index_snap *s[HELD] = {0};
    struct oracle o[HELD] = {{0}};
    for (int i = 0; i < 120; i++) {
        for (int j = 0; j < 60; j++) put_random(&w);
        step(&w);
        for (int j = 0; j < 3; j++) put_random(&w); /* an unfinished step */
        int k = i % HELD;
        if (s[k]) check_iterator(&w.r, s[k], &o[k], slice_of(NULL, 0), slice_of(NULL, 0));
        index_snap_close(&s[k]);
        become(&o[k], &w.stepped);
        assert_int_equal(index_snapshot(w.ix, INDEX_ALL, &s[k]), E_OK);
        if (i % 3 == 0) flush(&w);
        if (i % 5 == 0) merge(&w);
        manifest(&w);
    }
    for (int k = 0; k < HELD; k++) {
        check_lookups(&w.r, NULL, s[k], &o[k], 50);
        check_iterator(&w.r, s[k], &o[k], slice_of(NULL, 0), slice_of(NULL, 0));
        index_snap_close(&s[k]);
        oracle_clear(&o[k]);
    }
    stop(&w);
}

static int count_file(void *ctx, const char *name)
{
    ++*(int *)ctx;
    return 0;
}

static int files(struct os *os)
{
    int n = 0;
    assert_int_equal(os_list(os, "/db/index", count_file, &n), E_OK);
    return n;
}

static void test_unlisted_runs_are_removed(void **state)
{
    struct world w;
    start(&w, "unlisted_runs_are_removed", 3);
    put_random(&w);
    step(&w);
    flush(&w);
    manifest(&w);
    put_random(&w);
    step(&w);
    flush(&w); /* not in the manifest */
    assert_int_equal(files(w.os), 2);
    index_close(&w.ix);
    struct index_options o = {.os = w.os, .dir = "/db", .runs = w.runs, .n_runs = w.n_runs, .read_only = true};
    assert_int_equal(index_open(&o, &w.ix), E_OK);
    assert_int_equal(files(w.os), 2);
    index_close(&w.ix);
    reopen(&w);
    assert_int_equal(files(w.os), 1);
    assert_int_equal(index_covers(w.ix), 1);
    stop(&w);
}

static void test_missing_and_wrong_runs_are_refused(void **state)
{
    struct world w;
    start(&w, "missing_and_wrong_runs", 4);
    put_random(&w);
    step(&w);
    flush(&w);
    manifest(&w);
    index_close(&w.ix);
    log_set_level(LOG_NOTHING);
    struct run_id good = w.runs[0];
    struct index_options o = {.os = w.os, .dir = "/db", .runs = w.runs, .n_runs = 1};
    w.runs[0].id++;
    assert_int_equal(index_open(&o, &w.ix), E_CORRUPT);
    w.runs[0] = good;
    w.runs[0].bytes++;
    assert_int_equal(index_open(&o, &w.ix), E_CORRUPT);
    w.runs[0] = good;
    w.runs[0].entries++;
    assert_int_equal(index_open(&o, &w.ix), E_CORRUPT);
    w.runs[0] = good;
    w.runs[1] = good;
    o.n_runs = 2;
    assert_int_equal(index_open(&o, &w.ix), E_CORRUPT);
    log_set_level(LOG_NOTICE);
    reopen(&w);
    stop(&w);
}

/* A reader after every single put: what it costs is checked by the number of chunks, which bounds it. */
static void test_alternating_put_and_read(void **state)
{
#ifdef VARVE_DEBUG
    enum { TIMES = 20000 };
#else
    enum { TIMES = 200000 };
#endif
    struct world w;
    start(&w, "alternating_put_and_read", 5);
    struct buf found = {0};
    uint64_t began = os_mono_us(w.os), most = 0;
    for (uint64_t i = 0; i < TIMES; i++) {
        size_t filter_n = version_key(&w.key, i, i);
        uint8_t v[8];
        put_u64(v, i);
        index_put(w.ix, buf_slice(&w.key), slice_of(v, 8), filter_n);
        index_step(w.ix, i + 1);
        assert_int_equal(index_first_now(w.ix, INDEX_ALL, buf_slice(&w.key), filter_n, &found, &w.value), E_OK);
        assert_int_equal(get_u64(w.value.p), i);
        if (i % 64) continue;
        struct index_stats st;
        index_get_stats(w.ix, &st);
        if (st.buffer_chunks > most) most = st.buffer_chunks;
    }
    uint64_t took = os_mono_us(w.os) - began;
    print_message("put, step, first_now: %llu ns each, at most %llu chunks\n", (unsigned long long)(took * 1000 / TIMES), (unsigned long long)most);
    assert_true(most <= 24);
    assert_true(took / TIMES < 100);
    buf_fini(&found);
    stop(&w);
}

/* ---- one writer, one background worker, two readers ---- */

struct stage {
    struct os *os;
    struct index *ix;
    atomic_uint_fast64_t stepped;
    atomic_bool done;
};

enum { STAGE_STEPS = 4000, STAGE_FLUSHES = 26, STAGE_STEPS_MAX = 5000000 };

static void stage_put(struct index *ix, const char *key, uint64_t v)
{
    uint8_t b[8];
    put_u64(b, v);
    index_put(ix, slice_str(key), slice_of(b, 8), 0);
}

/* Step i: left = right = i, and a version of key i % 500 with seq i. Goes on until the worker has merged twice. */
static void stage_writer(void *arg)
{
    struct stage *st = arg;
    struct buf key = {0};
    struct index_stats now = {0};
    for (uint64_t i = 1; i <= STAGE_STEPS || (now.flushes < STAGE_FLUSHES && i < STAGE_STEPS_MAX); i++) {
        if (i % 64 == 0) index_get_stats(st->ix, &now);
        stage_put(st->ix, "left", i);
        size_t filter_n = version_key(&key, i % 500, i);
        index_put(st->ix, buf_slice(&key), slice_of(&i, 8), filter_n);
        stage_put(st->ix, "right", i);
        index_step(st->ix, i);
        atomic_store(&st->stepped, i);
    }
    buf_fini(&key);
    atomic_store(&st->done, true);
}

static void stage_worker(void *arg)
{
    struct stage *st = arg;
    struct run_id runs[RUNS_MAX];
    uint64_t covers;
    bool last;
    do {
        last = atomic_load(&st->done);
        int rc = index_wants_flush(st->ix) || last ? index_flush(st->ix) : E_AGAIN;
        ASSERT(rc == E_OK || rc == E_AGAIN);
        rc = index_merge(st->ix, NULL, NULL);
        ASSERT(rc == E_OK || rc == E_AGAIN);
        index_runs(st->ix, runs, RUNS_MAX, &covers);
        index_retire(st->ix);
    } while (!last);
}

static uint64_t number_of(struct index_snap *s, const char *key)
{
    struct buf v = {0};
    int rc = index_get(s, slice_str(key), &v);
    uint64_t n = rc == E_OK ? get_u64(v.p) : 0;
    ASSERT(rc == E_OK || rc == E_NOTFOUND);
    buf_fini(&v);
    return n;
}

static void stage_reader(void *arg)
{
    struct stage *st = arg;
    struct buf key = {0}, found = {0}, value = {0};
    struct rng r = {77};
    while (!atomic_load(&st->done)) {
        uint64_t known = atomic_load(&st->stepped);
        struct index_snap *s = NULL;
        int rc = index_snapshot(st->ix, INDEX_ALL, &s);
        ASSERT(rc == E_OK);
        uint64_t left = number_of(s, "left");
        ASSERT(left >= known && left == number_of(s, "right"));
        uint64_t id = rng_below(&r, 500);
        size_t filter_n = version_key(&key, id, left);
        rc = index_first(s, buf_slice(&key), filter_n, &found, &value);
        uint64_t newest = left - (left + 500 - id) % 500; /* the last step up to `left` that wrote this key */
        ASSERT(left < id || id == 0 ? true : rc == E_OK && get_u64(value.p) == newest);
        index_snap_close(&s);
        rc = index_first_now(st->ix, INDEX_RUNS_ONLY, buf_slice(&key), filter_n, &found, &value);
        ASSERT(rc == E_NOTFOUND || get_u64(value.p) % 500 == id);
    }
    buf_fini(&key);
    buf_fini(&found);
    buf_fini(&value);
}

static void test_threads(void **state)
{
    struct stage st = {.os = os_memory_new()};
    struct index_options o = {.os = st.os, .dir = "/db", .buffer_bytes = 200000};
    assert_int_equal(index_open(&o, &st.ix), E_OK);
    void (*const fn[])(void *) = {stage_writer, stage_worker, stage_reader, stage_reader};
    pthread_t t[4];
    for (int i = 0; i < 4; i++) assert_int_equal(thread_start(&t[i], "stage", fn[i], &st), E_OK);
    for (int i = 0; i < 4; i++) thread_join(t[i]);
    struct index_stats stats;
    index_get_stats(st.ix, &stats);
    print_message("%llu flushes, %llu merges\n", (unsigned long long)stats.flushes, (unsigned long long)stats.merges);
    assert_true(stats.flushes >= STAGE_FLUSHES && stats.merges > 0);
    assert_int_equal(index_flushed_covers(st.ix), atomic_load(&st.stepped));
    index_close(&st.ix);
    os_free(&st.os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_snapshots_stand_still),
        cmocka_unit_test(test_unlisted_runs_are_removed),
        cmocka_unit_test(test_missing_and_wrong_runs_are_refused),
        cmocka_unit_test(test_alternating_put_and_read),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
