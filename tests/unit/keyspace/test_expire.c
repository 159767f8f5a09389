#include "unit/keyspace/keyspace_fixture.h"

static void cycle(struct fixture *f)
{
    bool more = true;
    for (int i = 0; more; i++) {
        assert_true(i < 1000);
        assert_int_equal(engine_catch_up(f->e, 0), E_OK); /* the cycle itself does not wait for the index */
        assert_int_equal(ks_expire_cycle(&f->c, 1000000, &more), E_OK);
    }
}

static uint64_t expired(struct fixture *f)
{
    struct ks_stats s;
    ks_get_stats(f->ks, &s);
    return s.expired;
}

static void test_due_keys_go_without_being_read(void **state)
{
    struct fixture *f = *state;
    char name[16];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "k%d", i);
        put_until(f, name, "v", f->c.now_ms + 1 + (uint64_t)i);
    }
    put(f, "stays", "v");
    f->c.now_ms += 100;
    cycle(f);
    assert_int_equal(ks_count(&f->c, 0, NULL), 201);
    f->c.now_ms += 1000;
    cycle(f);
    assert_int_equal(ks_count(&f->c, 0, NULL), 1);
    assert_int_equal(expired(f), 300);
    uint64_t seq = f->c.last_seq;
    f->c.now_ms += 5000;
    cycle(f);
    assert_int_equal(f->c.last_seq, seq);
    assert_counts_agree(f);
}

static void test_an_expiry_that_was_changed_does_not_count(void **state)
{
    struct fixture *f = *state;
    put_until(f, "later", "v", f->c.now_ms + 10);
    put_until(f, "never", "v", f->c.now_ms + 10);
    put_until(f, "overwritten", "v", f->c.now_ms + 10);
    put_until(f, "deleted", "v", f->c.now_ms + 10);
    assert_int_equal(ks_set_expiry(&f->c, S("later"), f->c.now_ms + 500), E_OK);
    assert_int_equal(ks_set_expiry(&f->c, S("never"), 0), E_OK);
    put(f, "overwritten", "v");
    assert_int_equal(ks_delete(&f->c, S("deleted"), NULL), E_OK);
    f->c.now_ms += 100;
    cycle(f);
    assert_int_equal(expired(f), 0);
    f->c.now_ms += 500;
    cycle(f);
    assert_int_equal(expired(f), 1);
    assert_int_equal(ks_count(&f->c, 0, NULL), 2);
}

static void test_cold_keys_and_other_databases_expire_too(void **state)
{
    struct fixture *f = *state;
    f->c.db = 4;
    put_until(f, "k", "v", f->c.now_ms + 10);
    f->c.db = 0;
    fixture_reopen(f);
    f->c.now_ms += 10;
    cycle(f);
    assert_int_equal(ks_count(&f->c, 4, NULL), 0);
    assert_counts_agree(f);
}

static void test_switched_off_only_reads_expire(void **state)
{
    struct fixture *f = *state;
    ks_set_active_expiry(f->ks, false);
    put_until(f, "k", "v", f->c.now_ms + 10);
    f->c.now_ms += 10;
    cycle(f);
    assert_int_equal(ks_count(&f->c, 0, NULL), 1);
    assert_absent(f, "k");
    assert_int_equal(ks_count(&f->c, 0, NULL), 0);
    ks_set_active_expiry(f->ks, true);
}

static void test_a_small_budget_gets_there_in_the_end(void **state)
{
    struct fixture *f = *state;
    char name[16];
    bool more = true;
    int calls = 0;
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        put_until(f, name, "v", f->c.now_ms + 1 + (uint64_t)(i / 7));
    }
    f->c.now_ms += 2000;
    for (; more; calls++) {
        assert_true(calls < 10000);
        assert_int_equal(engine_catch_up(f->e, 0), E_OK);
        assert_int_equal(ks_expire_cycle(&f->c, 1, &more), E_OK);
    }
    assert_true(calls > 5);
    assert_int_equal(ks_count(&f->c, 0, NULL), 0);
}

/* Cycles while the index has not folded an expiry: it must not be passed by. */
static void test_the_index_may_be_late(void **state)
{
    struct fixture *f = *state;
    bool more;
    put_until(f, "first", "v", f->c.now_ms + 100000);
    cycle(f);
    put_until(f, "late", "v", f->c.now_ms + 10);
    for (int i = 0; i < 5; i++) {
        f->c.now_ms += 3000;
        assert_int_equal(ks_expire_cycle(&f->c, 1000000, &more), E_OK);
    }
    assert_int_equal(ks_count(&f->c, 0, NULL), 2);
    cycle(f);
    assert_int_equal(ks_count(&f->c, 0, NULL), 1);
    assert_int_equal(expired(f), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_due_keys_go_without_being_read),
        WITH_KEYSPACE(test_an_expiry_that_was_changed_does_not_count),
        WITH_KEYSPACE(test_cold_keys_and_other_databases_expire_too),
        WITH_KEYSPACE(test_switched_off_only_reads_expire),
        WITH_KEYSPACE(test_the_index_may_be_late),
        WITH_KEYSPACE(test_a_small_budget_gets_there_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
