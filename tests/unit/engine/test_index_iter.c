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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_unbounded), cmocka_unit_test(test_bounds), cmocka_unit_test(test_nothing_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
