#include "unit/keyspace/keyspace_fixture.h"

#define KEYS 3000

static void enter(struct fixture *f)
{
    ks_enter(&f->c, KS_SHARED, NULL, 0);
    ks_leave(&f->c);
}

static void write_some(struct fixture *f, int from, int to)
{
    char name[16], value[200];
    for (int i = from; i < to; i++) {
        snprintf(name, sizeof name, "k%d", i);
        memset(value, 'a' + i % 26, sizeof value - 1);
        value[sizeof value - 1] = 0;
        put(f, name, value);
        enter(f);
    }
}

static void assert_all(struct fixture *f)
{
    char name[16], value[200];
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "k%d", i);
        memset(value, 'a' + i % 26, sizeof value - 1);
        value[sizeof value - 1] = 0;
        assert_value(f, name, value);
        enter(f);
    }
}

/* cache_bytes is far below the data: every key is there all the same. */
static void test_memory_stays_near_its_limit(void **state)
{
    struct fixture *f = *state;
    struct ks_stats s;
    fixture_close(f);
    f->cache_bytes = 100000;
    fixture_open(f);
    write_some(f, 0, KEYS);
    assert_int_equal(engine_checkpoint(f->e), E_OK);
    for (int i = 0; i < 1000; i++) enter(f);
    assert_true(f->ks->entry_bytes <= 100000);
    assert_all(f);
    ks_get_stats(f->ks, &s);
    assert_true(f->ks->entry_bytes < 150000);
    assert_true(s.evicted > KEYS && s.loads >= KEYS / 2);
    ks_check(f->ks);
    assert_int_equal(ks_count(&f->c, 0, NULL), KEYS);
}

/* Invariant 1: what the runs do not have stays known, though its value may go. */
static void test_unflushed_heads_are_never_forgotten(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    f->cache_bytes = 1000;
    fixture_open(f);
    write_some(f, 0, KEYS);
    for (int i = 0; i < 1000; i++) enter(f);
    struct ks_stats s;
    ks_get_stats(f->ks, &s);
    assert_int_equal(s.entries, KEYS);
    assert_int_equal(s.evicted, 0);
    assert_true(f->ks->entry_bytes < KEYS * 100); /* the values went */
    assert_all(f);
}

static void test_tombstones_go_once_the_runs_know(void **state)
{
    struct fixture *f = *state;
    struct ks_stats s;
    bool more;
    char name[16];
    write_some(f, 0, 100);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_int_equal(ks_delete(&f->c, S(name), NULL), E_OK);
    }
    put(f, "live", "v");
    assert_int_equal(ks_expire_cycle(&f->c, 1000, &more), E_OK);
    ks_get_stats(f->ks, &s);
    assert_int_equal(s.entries, 101);
    assert_int_equal(engine_checkpoint(f->e), E_OK);
    for (int i = 0; i < 100; i++) assert_int_equal(ks_expire_cycle(&f->c, 1000, &more), E_OK);
    ks_get_stats(f->ks, &s);
    assert_int_equal(s.entries, 1);
    assert_value(f, "live", "v");
    put(f, "k7", "again");
    assert_int_equal(newest(f, "k7").ver, 3);
}

static void test_nothing_is_swept_inside_a_batch(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    f->cache_bytes = 1;
    fixture_open(f);
    put(f, "a", "1");
    assert_int_equal(engine_checkpoint(f->e), E_OK);
    ks_enter(&f->c, KS_EXCLUSIVE, NULL, 0);
    ks_begin(&f->c);
    put(f, "a", "2");
    sweep_turn(&f->c);
    assert_value(f, "a", "2");
    assert_int_equal(ks_commit(&f->c), E_OK);
    ks_leave(&f->c);
    assert_value(f, "a", "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_memory_stays_near_its_limit),
        WITH_KEYSPACE(test_unflushed_heads_are_never_forgotten),
        WITH_KEYSPACE(test_tombstones_go_once_the_runs_know),
        WITH_KEYSPACE(test_nothing_is_swept_inside_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
