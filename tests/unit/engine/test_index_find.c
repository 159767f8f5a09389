/* Look-ups where filters, tombstones and runs meet. */
#include "unit/engine/index_oracle.h"

#include "base/logline.h"
#include "base/os_sim.h"

static void put(struct index *ix, const char *key, const char *value, size_t filter_n) { index_put(ix, slice_str(key), slice_str(value), filter_n); }

static void expect(struct index *ix, enum index_scope scope, const char *key, size_t prefix_n, const char *want)
{
    struct buf k = {0}, v = {0};
    buf_add_str(&k, "kept");
    int rc = index_first_now(ix, scope, slice_str(key), prefix_n, &k, &v);
    assert_int_equal(rc, want ? E_OK : E_NOTFOUND);
    assert_slice(buf_slice(&k), slice_str(want ? want : "kept")); /* written only on success */
    assert_int_equal(index_first_now(ix, scope, slice_str(key), prefix_n, NULL, NULL), rc);
    buf_fini(&k);
    buf_fini(&v);
}

static void seal(struct index *ix, uint64_t covers)
{
    index_step(ix, covers);
    assert_int_equal(index_flush(ix), E_OK);
}

static void test_tombstones_that_filters_do_not_know(void **state)
{
    struct os *os = os_memory_new();
    struct index_options o = {.os = os, .dir = "/db"};
    struct index *ix = NULL;
    assert_int_equal(index_open(&o, &ix), E_OK);
    put(ix, "pre:a", "1", 4);
    put(ix, "pre:b", "2", 4);
    put(ix, "pro:x", "3", 4);
    seal(ix, 1);
    index_delete(ix, slice_str("pre:a")); /* this run's filter says no to "pre:" */
    seal(ix, 2);
    expect(ix, INDEX_RUNS_ONLY, "pre:", 4, "pre:b");
    expect(ix, INDEX_RUNS_ONLY, "pre:a", 4, "pre:b");
    expect(ix, INDEX_RUNS_ONLY, "pre:a", 0, "pre:b");
    index_delete(ix, slice_str("pre:b"));
    index_step(ix, 3);
    expect(ix, INDEX_ALL, "pre:", 4, NULL);
    expect(ix, INDEX_RUNS_ONLY, "pre:", 4, "pre:b");
    expect(ix, INDEX_ALL, "pre:", 0, "pro:x");
    seal(ix, 4);
    expect(ix, INDEX_RUNS_ONLY, "pre:", 4, NULL);
    put(ix, "pre:a", "again", 4);
    expect(ix, INDEX_ALL, "pre:", 4, NULL); /* the step is not finished */
    index_step(ix, 5);
    expect(ix, INDEX_ALL, "pre:", 4, "pre:a");
    expect(ix, INDEX_ALL, "prz", 0, NULL);
    expect(ix, INDEX_ALL, "pra", 3, NULL);
    index_close(&ix);
    os_free(&os);
}

/* Versions of keys over many runs, some forgotten: both ways of asking agree, also after merges, and an iterator opened before them. */
static void test_newest_first(void **state)
{
    enum { KEYS = 40, STEPS = 1500 };
    struct os *os = os_memory_new();
    struct index_options o = {.os = os, .dir = "/db", .buffer_bytes = 20000};
    struct index *ix = NULL;
    struct index_snap *early = NULL;
    struct index_iter *it = NULL;
    struct rng r = {7};
    struct buf k1 = {0}, k2 = {0}, v1 = {0}, v2 = {0};
    assert_int_equal(index_open(&o, &ix), E_OK);
    for (uint64_t seq = 1; seq <= STEPS; seq++) {
        uint8_t k[24] = {'V'};
        put_be64(k + 1, rng_below(&r, KEYS));
        put_be64(k + 9, ~seq);
        index_put(ix, slice_of(k, 17), slice_of(k + 9, 8), 9);
        put_be64(k + 1, rng_below(&r, KEYS));
        put_be64(k + 9, ~rng_below(&r, seq));
        if (seq % 5 == 0) index_delete(ix, slice_of(k, 17)); /* mostly of nothing */
        index_step(ix, seq);
        if (seq % 40 == 0) assert_int_equal(index_flush(ix), E_OK);
        if (seq == 600) {
            assert_int_equal(index_snapshot(ix, INDEX_ALL, &early), E_OK);
            assert_int_equal(index_iter_open(early, slice_of(k, 1), (slice){0}, &it), E_OK);
            assert_int_equal(index_next(it), E_OK);
        }
        if (seq % 100 == 0)
            while (index_merge(ix, NULL, NULL) == E_OK) {}
        for (int i = 0; i < 5; i++) {
            uint64_t at = rng_below(&r, 3) ? rng_below(&r, seq + 2) : UINT64_MAX;
            enum index_scope scope = i & 1 ? INDEX_ALL : INDEX_RUNS_ONLY;
            put_be64(k + 1, rng_below(&r, KEYS));
            put_be64(k + 9, ~at);
            int rc = index_first_now(ix, scope, slice_of(k, 17), 9, &k1, &v1);
            assert_int_equal(index_newest_now(ix, scope, slice_of(k, 17), 9, &k2, &v2), rc);
            if (rc == E_OK) assert_slice(buf_slice(&k1), buf_slice(&k2));
            if (rc == E_OK) assert_slice(buf_slice(&v1), buf_slice(&v2));
        }
    }
    uint64_t n = 1;
    int rc;
    while ((rc = index_next(it)) == E_OK) n++;
    assert_int_equal(rc, E_END);
    assert_true(n > 400 && n <= 600);
    index_iter_close(&it);
    index_snap_close(&early);
    buf_fini(&k1), buf_fini(&k2), buf_fini(&v1), buf_fini(&v2);
    index_close(&ix);
    os_free(&os);
}

static void test_get_takes_the_newest(void **state)
{
    struct os *os = os_memory_new();
    struct index_options o = {.os = os, .dir = "/db"};
    struct index *ix = NULL;
    struct index_snap *s = NULL;
    struct buf v = {0};
    assert_int_equal(index_open(&o, &ix), E_OK);
    put(ix, "k", "1", 0);
    put(ix, "k", "2", 0);
    seal(ix, 1);
    put(ix, "k", "3", 0);
    seal(ix, 2);
    put(ix, "k", "4", 0);
    index_step(ix, 3);
    assert_int_equal(index_snapshot(ix, INDEX_RUNS_ONLY, &s), E_OK);
    assert_int_equal(index_get(s, slice_str("k"), &v), E_OK);
    assert_slice(buf_slice(&v), slice_str("3"));
    index_snap_close(&s);
    assert_int_equal(index_snapshot(ix, INDEX_ALL, &s), E_OK);
    index_delete(ix, slice_str("k"));
    index_step(ix, 4);
    assert_int_equal(index_get(s, slice_str("k"), &v), E_OK);
    assert_slice(buf_slice(&v), slice_str("4"));
    assert_int_equal(index_get(s, slice_str("j"), &v), E_NOTFOUND);
    assert_int_equal(index_get(s, slice_str(""), &v), E_NOTFOUND);
    index_snap_close(&s);
    buf_fini(&v);
    index_close(&ix);
    os_free(&os);
}

/* Damage and failing reads are errors in every kind of look-up, never a missing key. */
static void test_errors_are_not_absence(void **state)
{
    log_set_level(LOG_NOTHING);
    struct os *os = os_sim_new(1);
    struct index_options o = {.os = os, .dir = "/db"};
    struct index *ix = NULL;
    struct index_snap *s = NULL;
    struct index_iter *it = NULL;
    struct buf k = {0}, v = {0};
    assert_int_equal(index_open(&o, &ix), E_OK);
    for (int i = 0; i < 500; i++) {
        buf_clear(&k);
        buf_printf(&k, "key:%03d", i);
        index_put(ix, buf_slice(&k), slice_str("value"), 4);
    }
    seal(ix, 1);
    assert_int_equal(index_snapshot(ix, INDEX_ALL, &s), E_OK);
    assert_int_equal(index_iter_open(s, slice_str(""), slice_str(""), &it), E_OK);
    for (int form = 0; form < 4; form++) {
        struct os_sim_faults f = {.fail_read_at = 1};
        os_sim_set(os, &f);
        int rc = form == 0   ? index_get(s, slice_str("key:100"), &v)
                 : form == 1 ? index_first(s, slice_str("key:100"), 4, &k, &v)
                 : form == 2 ? index_seek(it, slice_str("key:100"))
                             : index_seek_last(it);
        if (rc != E_IO) fail_msg("form %d gave %d", form, rc);
    }
    assert_int_equal(os_sim_flip(os, "/db/index/00000001.run", 300, 1), E_OK);
    assert_int_equal(index_get(s, slice_str("key:001"), &v), E_CORRUPT);
    assert_int_equal(index_first(s, slice_str("key:001"), 4, &k, &v), E_CORRUPT);
    assert_int_equal(index_next(it), E_END); /* nowhere since the failure */
    assert_int_equal(index_seek(it, slice_str("")), E_CORRUPT);
    int rc = index_seek_last(it);
    while (rc == E_OK) rc = index_prev(it);
    assert_int_equal(rc, E_CORRUPT);
    index_iter_close(&it);
    index_snap_close(&s);
    index_close(&ix);
    buf_fini(&k);
    buf_fini(&v);
    os_free(&os);
    log_set_level(LOG_NOTICE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tombstones_that_filters_do_not_know),
        cmocka_unit_test(test_newest_first),
        cmocka_unit_test(test_get_takes_the_newest),
        cmocka_unit_test(test_errors_are_not_absence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
