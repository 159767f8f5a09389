#include "unit/keyspace/keyspace_fixture.h"

static void test_a_flush_empties_one_database_or_all(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    f->c.db = 1;
    put(f, "a", "2");
    f->c.db = 2;
    put(f, "a", "3");
    f->c.db = 0;
    assert_int_equal(ks_flush(&f->c, 1), E_OK);
    assert_value(f, "a", "1");
    f->c.db = 1;
    assert_absent(f, "a");
    assert_int_equal(ks_count(&f->c, 1, NULL), 0);
    assert_int_equal(ks_flush(&f->c, -1), E_OK);
    for (uint16_t db = 0; db < 3; db++) {
        f->c.db = db;
        assert_absent(f, "a");
    }
    assert_counts_agree(f);
    fixture_reopen(f);
    for (f->c.db = 0; f->c.db < 3; f->c.db++) assert_absent(f, "a");
}

static void test_many_flushes_in_a_row_keep_versions_apart(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        put(f, "a", "x");
        assert_int_equal(newest(f, "a").ver, i + 1);
        assert_int_equal(ks_flush(&f->c, i % 2 ? -1 : 0), E_OK);
        if (i % 5 == 0) assert_int_equal(engine_checkpoint(f->e), E_OK);
    }
    assert_counts_agree(f);
}

static void test_swapped_databases_change_places_and_survive(void **state)
{
    struct fixture *f = *state;
    put(f, "only zero", "0");
    f->c.db = 5;
    put(f, "only five", "5");
    assert_int_equal(ks_swap(&f->c, 0, 5), E_OK);
    for (int round = 0; round < 2; round++) {
        f->c.db = 5;
        assert_value(f, "only zero", "0");
        assert_absent(f, "only five");
        f->c.db = 0;
        assert_value(f, "only five", "5");
        assert_int_equal(ks_count(&f->c, 0, NULL), 1);
        fixture_reopen(f);
    }
    assert_int_equal(ks_flush(&f->c, 5), E_OK);
    assert_value(f, "only five", "5");
    f->c.db = 5;
    assert_absent(f, "only zero");
}

static void test_a_big_flush_returns_before_its_memory(void **state)
{
    struct fixture *f = *state;
    char name[32];
    bool more;
    for (int i = 0; i < 70000; i++) {
        snprintf(name, sizeof name, "key:%d", i);
        put(f, name, "v");
    }
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    assert_non_null(f->ks->graves);
    assert_int_equal(ks_count(&f->c, 0, NULL), 0);
    assert_absent(f, "key:1");
    while (f->ks->graves != NULL) assert_int_equal(ks_expire_cycle(&f->c, 1000, &more), E_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_a_flush_empties_one_database_or_all),
        WITH_KEYSPACE(test_many_flushes_in_a_row_keep_versions_apart),
        WITH_KEYSPACE(test_swapped_databases_change_places_and_survive),
        WITH_KEYSPACE(test_a_big_flush_returns_before_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
