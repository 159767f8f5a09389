/* Flush and merge: levels, what merging may forget, retirement of files, failures, and a power cut at every event. */
#include "unit/engine/index_oracle.h"

#include "base/logline.h"
#include "base/os_sim.h"

enum { RUNS_MAX = 64, LEVEL0_FULL = 12, LEVEL_FULL = 6 };

static slice number_key(uint8_t out[16], char tag, uint64_t i)
{
    out[0] = (uint8_t)tag;
    put_be64(out + 1, i);
    return slice_of(out, 9);
}

static void put_number(struct index *ix, char tag, uint64_t i, uint64_t value)
{
    uint8_t k[16], v[8];
    put_u64(v, value);
    index_put(ix, number_key(k, tag, i), slice_of(v, 8), 9);
}

static uint64_t count(struct index *ix, char tag)
{
    uint8_t lower = (uint8_t)tag, upper = (uint8_t)(tag + 1);
    struct index_snap *s = NULL;
    struct index_iter *it = NULL;
    uint64_t n = 0;
    int rc;
    assert_int_equal(index_snapshot(ix, INDEX_ALL, &s), E_OK);
    assert_int_equal(index_iter_open(s, slice_of(&lower, 1), slice_of(&upper, 1), &it), E_OK);
    while ((rc = index_next(it)) == E_OK) n++;
    assert_int_equal(rc, E_END);
    index_iter_close(&it);
    index_snap_close(&s);
    return n;
}

static struct index_stats stats(struct index *ix)
{
    struct index_stats st;
    index_get_stats(ix, &st);
    return st;
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

static bool drop_d(void *ctx, slice key, slice value) { return key.n > 0 && key.p[0] == 'D' && *(bool *)ctx; }

static void test_levels_and_forgetting(void **state)
{
    struct os *os = os_memory_new();
    bool dropping = false;
    struct index_options o = {.os = os, .dir = "/db", .buffer_bytes = 4096, .drop = drop_d, .drop_ctx = &dropping};
    struct index *ix = NULL;
    assert_int_equal(index_open(&o, &ix), E_OK);
    assert_int_equal(index_flush(ix), E_AGAIN);
    assert_int_equal(index_merge(ix, NULL, NULL), E_AGAIN);
    assert_int_equal(index_merge_all(ix, NULL, NULL), E_AGAIN);
    uint64_t seq = 0;
    for (uint64_t round = 0; round < 40; round++) {
        for (uint64_t i = 0; i < 100; i++) {
            put_number(ix, 'A', round * 100 + i, i);
            put_number(ix, 'D', i, round);
        }
        index_step(ix, ++seq);
        assert_true(index_wants_flush(ix));
        assert_int_equal(index_flush(ix), E_OK);
        assert_false(index_wants_flush(ix));
        assert_int_equal(index_flushed_covers(ix), seq);
        while (index_merge(ix, NULL, NULL) == E_OK) {}
        struct run_id runs[RUNS_MAX];
        uint64_t covers;
        unsigned of_level[INDEX_LEVELS] = {0};
        size_t n = index_runs(ix, runs, RUNS_MAX, &covers);
        for (size_t i = 0; i < n; i++) of_level[runs[i].level]++;
        for (unsigned i = 0; i < INDEX_LEVELS; i++) assert_true(of_level[i] < (i ? LEVEL_FULL : LEVEL0_FULL));
    }
    assert_int_equal(stats(ix).levels, 2);
    assert_int_equal(count(ix, 'A'), 4000);
    assert_int_equal(count(ix, 'D'), 100);
    uint8_t k[16];
    for (uint64_t i = 0; i < 4000; i += 2) index_delete(ix, number_key(k, 'A', i));
    index_step(ix, ++seq);
    assert_int_equal(count(ix, 'A'), 2000);
    assert_int_equal(index_flush(ix), E_OK);
    dropping = true;
    assert_int_equal(index_merge_all(ix, NULL, NULL), E_OK);
    struct index_stats st = stats(ix);
    assert_int_equal(st.runs, 1);
    assert_int_equal(st.entries, 2000); /* neither tombstones nor what drop named */
    assert_int_equal(count(ix, 'D'), 0);
    assert_int_equal(index_flushed_covers(ix), seq);
    for (uint64_t i = 1; i < 4000; i += 2) index_delete(ix, number_key(k, 'A', i));
    index_step(ix, ++seq);
    assert_int_equal(index_flush(ix), E_OK);
    assert_int_equal(index_merge_all(ix, NULL, NULL), E_OK);
    assert_int_equal(stats(ix).entries, 0);
    assert_int_equal(index_flushed_covers(ix), seq); /* an empty run still says what it covers */
    index_close(&ix);
    os_free(&os);
}

static void test_files_go_when_no_manifest_names_them(void **state)
{
    struct os *os = os_memory_new();
    struct index_options o = {.os = os, .dir = "/db"};
    struct index *ix = NULL;
    struct index_snap *s = NULL;
    struct run_id runs[RUNS_MAX];
    uint64_t covers;
    uint8_t k[16];
    assert_int_equal(index_open(&o, &ix), E_OK);
    for (uint64_t i = 0; i < LEVEL0_FULL; i++) {
        assert_int_equal(index_merge(ix, NULL, NULL), E_AGAIN);
        put_number(ix, 'A', i, i);
        index_step(ix, i + 1);
        assert_int_equal(index_flush(ix), E_OK);
    }
    assert_int_equal(index_runs(ix, runs, RUNS_MAX, &covers), LEVEL0_FULL);
    assert_int_equal(index_snapshot(ix, INDEX_RUNS_ONLY, &s), E_OK);
    assert_int_equal(index_merge(ix, NULL, NULL), E_OK);
    index_retire(ix); /* of the manifest that names them all */
    assert_int_equal(files(os), LEVEL0_FULL + 1);
    assert_int_equal(index_runs(ix, runs, RUNS_MAX, &covers), 1);
    assert_int_equal(covers, LEVEL0_FULL);
    index_retire(ix);
    assert_int_equal(files(os), LEVEL0_FULL + 1); /* a snapshot reads them */
    struct buf v = {0};
    assert_int_equal(index_get(s, number_key(k, 'A', 2), &v), E_OK);
    index_snap_close(&s);
    assert_int_equal(files(os), 1);
    buf_fini(&v);
    index_close(&ix);
    os_free(&os);
}

/* A merge between the list for a manifest and its being durable: what that manifest names stays, though nobody reads it. */
static void test_named_runs_stay(void **state)
{
    struct os *os = os_memory_new();
    struct index_options o = {.os = os, .dir = "/db"};
    struct index *ix = NULL;
    struct run_id runs[RUNS_MAX];
    uint64_t covers;
    assert_int_equal(index_open(&o, &ix), E_OK);
    for (uint64_t i = 0; i < LEVEL0_FULL; i++) {
        put_number(ix, 'A', i, i);
        index_step(ix, i + 1);
        assert_int_equal(index_flush(ix), E_OK);
    }
    assert_int_equal(index_runs(ix, runs, RUNS_MAX, &covers), LEVEL0_FULL);
    assert_int_equal(index_merge(ix, NULL, NULL), E_OK);
    index_retire(ix);
    assert_int_equal(files(os), LEVEL0_FULL + 1);
    assert_int_equal(index_runs(ix, runs, RUNS_MAX, &covers), 1);
    assert_int_equal(files(os), LEVEL0_FULL + 1); /* the list alone is no manifest */
    index_retire(ix);
    assert_int_equal(files(os), 1);
    index_close(&ix);
    os_free(&os);
}

static bool after_some(void *ctx) { return ++*(int *)ctx > 3; }

static void test_cancelled_merge_changes_nothing(void **state)
{
    struct os *os = os_memory_new();
    struct index_options o = {.os = os, .dir = "/db"};
    struct index *ix = NULL;
    assert_int_equal(index_open(&o, &ix), E_OK);
    for (uint64_t i = 0; i < LEVEL0_FULL; i++) {
        for (uint64_t j = 0; j < 1000; j++) put_number(ix, 'A', i * 1000 + j, i);
        index_step(ix, i + 1);
        assert_int_equal(index_flush(ix), E_OK);
    }
    int asked = 0;
    assert_int_equal(index_merge(ix, after_some, &asked), E_CANCELLED);
    assert_int_equal(stats(ix).runs, LEVEL0_FULL);
    assert_int_equal(files(os), LEVEL0_FULL);
    assert_int_equal(count(ix, 'A'), 12000);
    assert_int_equal(index_merge(ix, NULL, NULL), E_OK);
    assert_int_equal(count(ix, 'A'), 12000);
    index_close(&ix);
    os_free(&os);
}

/* ---- write amplification ---- */

/* Versions of a few keys, as a server of many writes makes them: never one key twice. Returns bytes written to runs for each byte flushed. */
static double amplification(unsigned flushes, unsigned each, uint64_t *most_runs)
{
    struct os *os = os_memory_new();
    struct index_options o = {.os = os, .dir = "/db", .buffer_bytes = 65536};
    struct index *ix = NULL;
    struct run_id runs[RUNS_MAX];
    uint64_t covers, flushed = 0, seq = 0;
    *most_runs = 0;
    assert_int_equal(index_open(&o, &ix), E_OK);
    for (unsigned f = 0; f < flushes; f++) {
        for (unsigned i = 0; i < each; i++) {
            uint8_t k[24] = {'V'}, v[8] = {0};
            seq++;
            put_be64(k + 1, seq * 0x9e3779b97f4a7c15u >> 54);
            put_be64(k + 9, ~seq);
            index_put(ix, slice_of(k, 17), slice_of(v, 7), 9);
        }
        index_step(ix, seq);
        assert_int_equal(index_flush(ix), E_OK);
        index_runs(ix, runs, RUNS_MAX, &covers);
        flushed += runs[0].bytes;
        while (index_merge(ix, NULL, NULL) == E_OK) {}
        uint64_t n = index_runs(ix, runs, RUNS_MAX, &covers);
        index_retire(ix);
        if (n > *most_runs) *most_runs = n;
    }
    assert_int_equal(count(ix, 'V'), flushes * each);
    double a = (double)(flushed + stats(ix).merged_bytes) / (double)flushed;
    index_close(&ix);
    os_free(&os);
    return a;
}

static void test_an_entry_is_written_once_a_level(void **state)
{
    uint64_t runs;
    assert_true(amplification(11, 300, &runs) < 1.01);
    assert_true(amplification(70, 300, &runs) < 2.1); /* level 1 */
    assert_true(amplification(430, 300, &runs) < 3.1);
    assert_true(runs <= LEVEL0_FULL + 2 * LEVEL_FULL);
}

/* Flushes of next to nothing: an entry is rewritten where it lies, but not once a flush, and runs stay few. */
static void test_tiny_flushes_stay_cheap(void **state)
{
    uint64_t runs;
    double a = amplification(1500, 2, &runs);
    print_message("%.1f times, at most %llu runs\n", a, (unsigned long long)runs);
    assert_true(a < 12);
    assert_true(runs <= 20);
}

static void expect_values(struct index *ix, uint64_t round)
{
    struct index_snap *s = NULL;
    struct buf v = {0};
    uint8_t k[16];
    assert_int_equal(index_snapshot(ix, INDEX_ALL, &s), E_OK);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(index_get(s, number_key(k, 'A', i), &v), E_OK);
        assert_int_equal(get_u64(v.p), round - (round + 10 - i) % 10);
    }
    buf_fini(&v);
    index_snap_close(&s);
}

/* The newest wins, also after opening again, where only levels and ids tell the age of runs. */
static void test_age_survives_opening(void **state)
{
    struct os *os = os_memory_new();
    struct run_id runs[RUNS_MAX];
    size_t n = 0;
    for (uint64_t round = 10; round < 600; round++) {
        struct index_options o = {.os = os, .dir = "/db", .buffer_bytes = 8192, .runs = runs, .n_runs = n};
        struct index *ix = NULL;
        uint64_t covers;
        assert_int_equal(index_open(&o, &ix), E_OK);
        if (round == 10)
            for (uint64_t i = 0; i < 10; i++) put_number(ix, 'A', i, i);
        put_number(ix, 'A', round % 10, round);
        for (uint64_t i = 0; i < round * 7 % 40; i++) put_number(ix, 'B', round * 100 + i, i); /* runs of different sizes */
        index_step(ix, round);
        assert_int_equal(index_flush(ix), E_OK);
        int rc = round % 3 ? index_merge(ix, NULL, NULL) : E_AGAIN;
        assert_true(rc == E_OK || rc == E_AGAIN);
        expect_values(ix, round);
        n = index_runs(ix, runs, RUNS_MAX, &covers);
        assert_true(n <= RUNS_MAX && covers == round);
        index_retire(ix);
        index_close(&ix);
    }
    os_free(&os);
}

/* ---- power cuts ---- */

enum { STEPS = 60, KEYS = 25 };

static int write_manifest(struct os *os, struct index *ix)
{
    struct run_id runs[RUNS_MAX];
    uint64_t covers;
    size_t n = index_runs(ix, runs, RUNS_MAX, &covers);
    int rc = os_replace_file(os, "/db", "manifest", slice_of(runs, n * sizeof *runs));
    if (rc == E_OK) index_retire(ix);
    return rc;
}

static int open_listed(struct os *os, struct index **ix)
{
    struct buf list = {0};
    int rc = os_read_file(os, "/db/manifest", 1 << 20, &list);
    assert_true(rc == E_OK || rc == E_NOTFOUND);
    struct run_id runs[RUNS_MAX];
    if (list.n) memcpy(runs, list.p, list.n);
    struct index_options o = {.os = os, .dir = "/db", .buffer_bytes = 400, .runs = runs, .n_runs = list.n / sizeof *runs};
    rc = index_open(&o, ix);
    buf_fini(&list);
    return rc;
}

/* Step i sets key i % KEYS to i and deletes key i * 7 % KEYS. Ends at the first failure. *durable: covers of the last manifest written. */
static int scenario(struct os *os, uint64_t *durable)
{
    struct index *ix = NULL;
    int rc = os_mkdir(os, "/db");
    if (rc == E_OK) rc = os_sync_dir(os, "/");
    if (rc == E_OK) rc = open_listed(os, &ix);
    for (uint64_t i = 1; i <= STEPS && rc == E_OK; i++) {
        uint8_t k[16];
        put_number(ix, 'A', i % KEYS, i);
        index_delete(ix, number_key(k, 'A', i * 7 % KEYS));
        index_step(ix, i);
        if (i % 4 < 2) rc = index_flush(ix);
        if (i % 8 == 0 && rc == E_OK && (rc = index_merge(ix, NULL, NULL)) == E_AGAIN) rc = E_OK;
        if (i % 50 == 0 && rc == E_OK) rc = index_merge_all(ix, NULL, NULL);
        if (i % 4 == 0 && rc == E_OK && (rc = write_manifest(os, ix)) == E_OK) *durable = i;
    }
    index_close(&ix);
    return rc;
}

static void check_state(struct index *ix, uint64_t covers)
{
    struct index_snap *s = NULL;
    struct buf v = {0};
    assert_int_equal(index_snapshot(ix, INDEX_ALL, &s), E_OK);
    for (uint64_t key = 0; key < KEYS; key++) {
        uint64_t want = 0;
        for (uint64_t i = 1; i <= covers; i++) {
            if (i % KEYS == key) want = i;
            if (i * 7 % KEYS == key) want = 0;
        }
        uint8_t k[16];
        int rc = index_get(s, number_key(k, 'A', key), &v);
        assert_int_equal(rc, want ? E_OK : E_NOTFOUND);
        if (want) assert_int_equal(get_u64(v.p), want);
    }
    buf_fini(&v);
    index_snap_close(&s);
}

static void test_power_cut_at_every_event(void **state)
{
    log_set_level(LOG_NOTHING);
    struct os *os = os_sim_new(1);
    uint64_t durable = 0;
    assert_int_equal(scenario(os, &durable), E_OK);
    assert_int_equal(durable, STEPS);
    uint64_t events = os_sim_events(os);
    os_free(&os);
    print_message("%llu events\n", (unsigned long long)events);
    for (uint64_t n = 0; n < 4 * events; n++) {
        uint64_t at = 1 + n % events;
        os = os_sim_new(n);
        struct os_sim_faults f = {.crash_at = at, .seed = n, .process_only = n / events == 3};
        os_sim_set(os, &f);
        durable = 0;
        scenario(os, &durable);
        assert_true(os_sim_crashed(os));
        os_sim_reboot(os);
        struct index *ix = NULL;
        char where[200];
        assert_int_equal(open_listed(os, &ix), E_OK);
        uint64_t covers = index_flushed_covers(ix);
        assert_true(covers >= durable && covers <= durable + 4);
        assert_int_equal(index_verify(ix, where, sizeof where), E_OK);
        check_state(ix, covers);
        index_close(&ix);
        os_free(&os);
    }
    log_set_level(LOG_NOTICE);
}

/* A failing write, sync or a full disk: the call fails, everything stays readable, and the next attempt succeeds. */
static void test_failed_calls_change_nothing(void **state)
{
    log_set_level(LOG_NOTHING);
    for (uint64_t at = 1; at < 110; at++) {
        struct os *os = os_sim_new(at);
        struct index_options o = {.os = os, .dir = "/db"};
        struct index *ix = NULL;
        assert_int_equal(index_open(&o, &ix), E_OK);
        struct os_sim_faults f = {.fail_write_at = os_sim_events(os) + at, .fail_sync_at = os_sim_events(os) + at, .seed = at};
        if (at % 3 == 0) f = (struct os_sim_faults){.capacity_bytes = at * 100};
        os_sim_set(os, &f);
        for (uint64_t i = 0; i < LEVEL0_FULL; i++) {
            put_number(ix, 'A', i, i);
            index_step(ix, i + 1);
            if (index_flush(ix) < 0) {
                f = (struct os_sim_faults){0};
                os_sim_set(os, &f);
                assert_int_equal(count(ix, 'A'), i + 1);
                assert_int_equal(index_flushed_covers(ix), i);
                assert_int_equal(index_flush(ix), E_OK);
            }
        }
        if (index_merge(ix, NULL, NULL) < 0) {
            f = (struct os_sim_faults){0};
            os_sim_set(os, &f);
            assert_int_equal(stats(ix).runs, LEVEL0_FULL);
            assert_int_equal(index_merge(ix, NULL, NULL), E_OK);
        }
        assert_int_equal(count(ix, 'A'), LEVEL0_FULL);
        assert_int_equal(stats(ix).runs, 1);
        index_close(&ix);
        os_free(&os);
    }
    log_set_level(LOG_NOTICE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels_and_forgetting),
        cmocka_unit_test(test_files_go_when_no_manifest_names_them),
        cmocka_unit_test(test_named_runs_stay),
        cmocka_unit_test(test_cancelled_merge_changes_nothing),
        cmocka_unit_test(test_an_entry_is_written_once_a_level),
        cmocka_unit_test(test_tiny_flushes_stay_cheap),
        cmocka_unit_test(test_age_survives_opening),
        cmocka_unit_test(test_power_cut_at_every_event),
        cmocka_unit_test(test_failed_calls_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
