/* The iterator: bounds, first moves, turns, ends, many sources. (Random walks against an oracle: test_index.c.) */
#include "unit/engine/index_oracle.h"

struct setup {
    struct os *os;
    struct index *ix;
    struct index_snap *s;
    struct index_iter *it;
};

/* Even numbers 00 to 98, spread over runs and chunks; odd ones were there and were deleted. */
static void start(struct setup *u, const char *lower, const char *upper)
{
    *u = (struct setup){.os = os_memory_new()};
    struct index_options o = {.os = u->os, .dir = "/db"};
    assert_int_equal(index_open(&o, &u->ix), E_OK);
    char k[8];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++) {
            snprintf(k, sizeof k, "%02d", i * 37 % 100);
            if (round && i * 37 % 2)
                index_delete(u->ix, slice_str(k));
            else
                index_put(u->ix, slice_str(k), slice_str(round ? "new" : "old"), 0);
            index_step(u->ix, (uint64_t)(round * 100 + i + 1));
            if (i % 30 == 29) {
                assert_int_equal(index_flush(u->ix), E_OK);
                assert_int_equal(index_snapshot(u->ix, INDEX_ALL, &u->s), E_OK);
                index_snap_close(&u->s);
            }
        }
    }
    assert_int_equal(index_snapshot(u->ix, INDEX_ALL, &u->s), E_OK);
    assert_int_equal(index_iter_open(u->s, slice_str(lower), slice_str(upper), &u->it), E_OK);
    index_snap_close(&u->s); /* the iterator keeps what it needs */
}

static void stop(struct setup *u)
{
    index_iter_close(&u->it);
    index_close(&u->ix);
    os_free(&u->os);
}

static void at(struct setup *u, int rc, const char *want)
{
    assert_int_equal(rc, want ? E_OK : E_END);
    if (!want) return;
    assert_slice(index_key(u->it), slice_str(want));
    assert_slice(index_value(u->it), slice_str("new"));
}

static void test_unbounded(void **state)
{
    struct setup u;
    start(&u, "", "");
    at(&u, index_next(u.it), "00");
    at(&u, index_prev(u.it), NULL);
    at(&u, index_next(u.it), NULL);
    at(&u, index_seek_last(u.it), "98");
    at(&u, index_next(u.it), NULL);
    at(&u, index_seek(u.it, slice_str("51")), "52");
    at(&u, index_prev(u.it), "50");
    at(&u, index_prev(u.it), "48");
    at(&u, index_next(u.it), "50");
    at(&u, index_next(u.it), "52");
    at(&u, index_seek_before(u.it, slice_str("52")), "50");
    at(&u, index_next(u.it), "52");
    at(&u, index_seek(u.it, slice_str("99")), NULL);
    at(&u, index_seek_before(u.it, slice_str("00")), NULL);
    int n = 0;
    for (int rc = index_seek(u.it, slice_str("")); rc == E_OK; rc = index_next(u.it)) n++;
    assert_int_equal(n, 50);
    for (int rc = index_seek_last(u.it); rc == E_OK; rc = index_prev(u.it)) n--;
    assert_int_equal(n, 0);
    stop(&u);
}

static void test_bounds(void **state)
{
    struct setup u;
    start(&u, "21", "30"); /* 22 … 28 */
    at(&u, index_prev(u.it), "28");
    at(&u, index_next(u.it), NULL);
    at(&u, index_seek(u.it, slice_str("")), "22");
    at(&u, index_prev(u.it), NULL);
    at(&u, index_seek(u.it, slice_str("29")), NULL);
    at(&u, index_seek_last(u.it), "28");
    at(&u, index_seek_before(u.it, slice_str("99")), "28");
    at(&u, index_seek_before(u.it, slice_str("22")), NULL);
    at(&u, index_seek_before(u.it, slice_str("23")), "22");
    stop(&u);
    start(&u, "5", "5");
    at(&u, index_next(u.it), NULL);
    at(&u, index_seek_last(u.it), NULL);
    stop(&u);
    start(&u, "6", "4");
    at(&u, index_seek(u.it, slice_str("5")), NULL);
    at(&u, index_seek_last(u.it), NULL);
    stop(&u);
}

static void test_nothing_there(void **state)
{
    struct setup u = {.os = os_memory_new()};
    struct index_options o = {.os = u.os, .dir = "/db"};
    assert_int_equal(index_open(&o, &u.ix), E_OK);
    assert_int_equal(index_snapshot(u.ix, INDEX_ALL, &u.s), E_OK);
    assert_int_equal(index_iter_open(u.s, slice_str(""), slice_str(""), &u.it), E_OK);
    at(&u, index_next(u.it), NULL);
    at(&u, index_seek_last(u.it), NULL);
    at(&u, index_seek_before(u.it, slice_str("x")), NULL);
    index_snap_close(&u.s);
    stop(&u);
}

/* Runs that have nothing of a prefix are left out of its walk: by their filter, unless entries of the letter are in no filter, or a tombstone spans it. */
static void test_prefix_leaves_runs_out(void **state)
{
    static const unsigned want[] = {48, 48, 49, 50, 50, 0};
    struct os *os = os_memory_new();
    struct index_options o = {.os = os, .dir = "/db"};
    struct index *ix = NULL;
    struct index_snap *s = NULL;
    char name[16], upper[16], where[200];
    assert_int_equal(index_open(&o, &ix), E_OK);
    for (unsigned run = 0; run < 6; run++) {
        for (unsigned i = 0; i < 50; i++) {
            snprintf(name, sizeof name, "L%02u.%u", run < 5 ? 10 + run : 10 + i % 3, i);
            if (run == 5 && i % 10 == 0) index_delete(ix, slice_str(name));
            /* Run 1 is as builds wrote it that had no filter on these. */
            if (run < 5) index_put(ix, slice_str(name), slice_str("v"), run == 1 ? 0 : 3);
        }
        index_step(ix, run + 1);
        assert_int_equal(index_flush(ix), E_OK);
    }
    assert_int_equal(index_snapshot(ix, INDEX_ALL, &s), E_OK);
    for (unsigned p = 0; p < 6; p++) {
        struct index_iter *it = NULL;
        unsigned n = 0;
        int rc;
        snprintf(name, sizeof name, "L%02u", 10 + p);
        snprintf(upper, sizeof upper, "L%02u", 11 + p);
        assert_int_equal(index_iter_open_prefix(s, slice_str(name), slice_str(upper), 3, &it), E_OK);
        while ((rc = index_next(it)) == E_OK) n += slice_starts(index_key(it), slice_str(name));
        assert_int_equal(rc, E_END);
        assert_int_equal(n, want[p]);
        for (rc = index_seek_last(it); rc == E_OK; rc = index_prev(it)) n--;
        assert_int_equal(rc, E_END);
        assert_int_equal(n, 0);
        index_iter_close(&it);
    }
    index_snap_close(&s);
    assert_int_equal(index_verify(ix, where, sizeof where), E_OK);
    index_close(&ix);
    os_free(&os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unbounded),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_prefix_leaves_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
