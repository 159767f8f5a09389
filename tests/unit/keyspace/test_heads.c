/* Newest seqs of many keys, as far as memory knows them. */
#include "unit/keyspace/keyspace_fixture.h"

static int many_up(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    f->os = os_memory_new();
    f->loops = 4;
    fixture_open(f);
    *state = f;
    return 0;
}

static void test_one_loop(void **state)
{
    struct fixture *f = *state;
    slice keys[4] = {slice_str("a"), slice_str("b"), slice_str("gone"), slice_str("never")};
    uint64_t heads[4] = {9, 9, 9, 9};
    struct ks_value v;
    put(f, "a", "1");
    put(f, "b", "1");
    put(f, "a", "2");
    put(f, "gone", "1");
    assert_int_equal(ks_delete(&f->c, keys[2], NULL), E_OK);
    ks_heads(&f->c, 0, keys, 4, heads);
    assert_int_equal(heads[0], 3);
    assert_int_equal(heads[1], 2);
    assert_int_equal(heads[2], 5); /* its tombstone */
    assert_int_equal(heads[3], 0);
    ks_heads(&f->c, 3, keys, 4, heads);
    for (int i = 0; i < 4; i++) assert_int_equal(heads[i], 0);
    ks_drop_cache(&f->c);
    ks_heads(&f->c, 0, keys, 1, heads);
    assert_int_equal(heads[0], 0); /* the index knows */
    assert_int_equal(ks_get(&f->c, keys[0], &v), E_OK);
    ks_heads(&f->c, 0, keys, 1, heads);
    assert_int_equal(heads[0], 3);
}

static void test_locks_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct ks_write w = {0};
    slice keys[2] = {slice_str("a"), slice_str("b")};
    uint64_t heads[2] = {0};
    ks_enter(&f->c, KS_SHARED, keys, 2);
    for (int i = 0; i < 2; i++) assert_int_equal(ks_put(&f->c, keys[i], TYPE_STRING, slice_str("x"), &w), E_OK);
    ks_heads(&f->c, 0, keys, 2, heads);
    assert_int_equal(heads[0], 0); /* it holds locks of keys already */
    ks_leave(&f->c);
    for (int how = 0; how < 3; how++) {
        if (how) ks_enter(&f->c, how == 1 ? KS_SHARED : KS_EXCLUSIVE, NULL, 0);
        memset(heads, 0, sizeof heads);
        ks_heads(&f->c, 0, keys, 2, heads);
        assert_int_equal(heads[0], 1);
        assert_int_equal(heads[1], 2);
        if (how) ks_leave(&f->c);
        assert_int_equal(f->c.entered, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_one_loop, fixture_up, fixture_down),
                                       cmocka_unit_test_setup_teardown(test_locks_of_its_own, many_up, fixture_down)};
    return cmocka_run_group_tests_name("heads", tests, NULL, NULL);
}
