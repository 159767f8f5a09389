#include "base/num.h"
#include "unit/keyspace/keyspace_fixture.h"

#define KEYS 1000

struct seen {
    unsigned times[KEYS], others;
    uint64_t n;
};

static int see(void *ctx, slice key, uint8_t type)
{
    struct seen *s = ctx;
    int64_t i;
    s->n++;
    if (key.n > 1 && key.p[0] == 'k' && num_parse_i64(slice_of(key.p + 1, key.n - 1), &i) && i < KEYS)
        s->times[i]++;
    else
        s->others++;
    return 0;
}

static void fill(struct fixture *f)
{
    char name[16];
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "k%d", i);
        put(f, name, "v");
    }
}

static void test_a_scan_sees_every_key_once_whatever_else_happens(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    char name[16];
    uint64_t cursor = 0;
    memset(&s, 0, sizeof s);
    fill(f);
    for (int call = 0; call == 0 || cursor != 0; call++) {
        assert_true(call < 200);
        assert_int_equal(ks_scan(&f->c, &cursor, 10, 0, see, &s), E_OK);
        snprintf(name, sizeof name, "new%d", call);
        put(f, name, "x");
        snprintf(name, sizeof name, "k%d", call % 500);
        put(f, name, "again");
        if (call == 50) ks_drop_cache(&f->c);
    }
    for (int i = 0; i < KEYS; i++) assert_int_equal(s.times[i], 1);
}

static void test_only_live_keys_of_the_type_are_seen(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    uint64_t cursor = 0;
    put(f, "k1", "v");
    put(f, "k2", "v");
    assert_int_equal(ks_delete(&f->c, S("k2"), NULL), E_OK);
    put_until(f, "k3", "v", f->c.now_ms + 5);
    assert_int_equal(ks_put(&f->c, S("k4"), TYPE_DOCUMENT, S("{}"), NULL), E_OK);
    f->c.now_ms += 5;
    assert_int_equal(ks_scan(&f->c, &cursor, 100, 0, see, &s), E_OK);
    assert_int_equal(s.n, 2);
    assert_int_equal(ks_count(&f->c, 0, NULL), 2); /* the one that was due is gone now */
    s = (struct seen){0};
    assert_int_equal(ks_scan(&f->c, &cursor, 100, TYPE_DOCUMENT, see, &s), E_OK);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.times[4], 1);
    f->c.db = 1;
    s = (struct seen){0};
    assert_int_equal(ks_scan(&f->c, &cursor, 100, 0, see, &s), E_OK);
    assert_int_equal(s.n, 0);
}

static int draw(struct ks_ctx *c, struct buf *key)
{
    struct ks_draw d = {0};
    int rc = ks_draw(c, &d);
    buf_clear(key);
    buf_add_slice(key, buf_slice(&d.key));
    ks_draw_fini(&d);
    return rc;
}

static void test_a_batch_sees_its_own_writes(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    uint64_t cursor = 0;
    struct buf key = {0};
    put(f, "k1", "v");
    put(f, "k2", "v");
    ks_begin(&f->c);
    assert_int_equal(ks_delete(&f->c, S("k1"), NULL), E_OK);
    put(f, "k2", "w");
    put(f, "k3", "v");
    assert_int_equal(ks_scan(&f->c, &cursor, 100, 0, see, &s), E_OK);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.times[2] + s.times[3], 2);
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    s = (struct seen){0};
    assert_int_equal(ks_scan(&f->c, &cursor, 100, 0, see, &s), E_OK);
    assert_int_equal(s.n, 0);
    assert_int_equal(draw(&f->c, &key), E_NOTFOUND);
    put(f, "k5", "v");
    assert_int_equal(draw(&f->c, &key), E_OK);
    assert_true(slice_eq(buf_slice(&key), S("k5")));
    assert_int_equal(ks_commit(&f->c), E_OK);
    buf_fini(&key);
}

static int stop(void *ctx, slice key, uint8_t type)
{
    ++*(int *)ctx;
    return E_CANCELLED;
}

static void test_a_visitor_may_stop_the_walk(void **state)
{
    struct fixture *f = *state;
    uint64_t cursor = 0;
    int n = 0;
    fill(f);
    assert_int_equal(ks_scan(&f->c, &cursor, 100, 0, stop, &n), E_CANCELLED);
    assert_int_equal(n, 1);
    assert_int_equal(cursor, 0);
}

static void test_random_keys_are_spread(void **state)
{
    struct fixture *f = *state;
    static unsigned times[KEYS];
    struct buf key = {0};
    unsigned distinct = 0, most = 0;
    fill(f);
    for (int i = 0; i < 5000; i++) {
        int64_t k;
        assert_int_equal(draw(&f->c, &key), E_OK);
        assert_true(num_parse_i64(slice_of(key.p + 1, key.n - 1), &k));
        times[k]++;
    }
    for (int i = 0; i < KEYS; i++) {
        distinct += times[i] > 0;
        if (times[i] > most) most = times[i];
    }
    assert_true(distinct > 900);
    assert_true(most < 30);
    buf_fini(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_a_scan_sees_every_key_once_whatever_else_happens),
        WITH_KEYSPACE(test_only_live_keys_of_the_type_are_seen),
        WITH_KEYSPACE(test_a_batch_sees_its_own_writes),
        WITH_KEYSPACE(test_a_visitor_may_stop_the_walk),
        WITH_KEYSPACE(test_random_keys_are_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
