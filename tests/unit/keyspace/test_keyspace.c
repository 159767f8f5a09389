#include "unit/keyspace/keyspace_fixture.h"

static void test_what_was_written_is_there_after_reopening(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    put(f, "b", "2");
    assert_int_equal(ks_delete(&f->c, S("b"), NULL), E_OK);
    put_until(f, "c", "3", f->c.now_ms + 100000);
    fixture_reopen(f);
    assert_value(f, "a", "1");
    assert_absent(f, "b");
    assert_value(f, "c", "3");
    uint64_t expiring;
    assert_int_equal(ks_count(&f->c, 0, &expiring), 2);
    assert_int_equal(expiring, 1);
    assert_counts_agree(f);
}

static void test_options_outside_their_range_are_refused(void **state)
{
    struct fixture *f = *state;
    struct keyspace *ks = NULL;
    struct ks_options o = {.engine = f->e, .databases = 0, .loops = 1};
    assert_int_equal(ks_open(&o, &ks), E_INVALID);
    o.databases = ENGINE_DATABASES_MAX + 1;
    assert_int_equal(ks_open(&o, &ks), E_INVALID);
    o.databases = 1, o.loops = KS_LOOPS_MAX + 1;
    assert_int_equal(ks_open(&o, &ks), E_INVALID);
    assert_null(ks);
}

static void test_dropping_the_cache_loses_nothing(void **state)
{
    struct fixture *f = *state;
    char name[32];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "k%d", i);
        put(f, name, name);
    }
    put_until(f, "soon", "x", f->c.now_ms + 50);
    ks_drop_cache(&f->c);
    struct ks_stats s;
    ks_get_stats(f->ks, &s);
    assert_int_equal(s.entries, 0);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_value(f, name, name);
    }
    assert_int_equal(ks_count(&f->c, 0, NULL), 501);
    f->c.now_ms += 100;
    assert_absent(f, "soon");
    ks_get_stats(f->ks, &s);
    assert_int_equal(s.loads, 500);
    assert_int_equal(s.expired, 1);
    assert_true(s.hits >= 500 && s.misses >= 1);
    assert_counts_agree(f);
}

/* ---- random work against a simple model ---- */

#define MODEL_KEYS 60
#define MODEL_DBS  3

struct model {
    char value[MODEL_DBS][MODEL_KEYS][40];
    bool live[MODEL_DBS][MODEL_KEYS];
    uint64_t expire_ms[MODEL_DBS][MODEL_KEYS];
};

static bool model_live(const struct fixture *f, const struct model *m, unsigned db, unsigned k)
{
    return m->live[db][k] && (m->expire_ms[db][k] == 0 || m->expire_ms[db][k] > f->c.now_ms);
}

static void compare(struct fixture *f, const struct model *m)
{
    char name[16];
    for (unsigned db = 0; db < MODEL_DBS; db++) {
        f->c.db = (uint16_t)db;
        for (unsigned k = 0; k < MODEL_KEYS; k++) {
            snprintf(name, sizeof name, "key%u", k);
            if (model_live(f, m, db, k))
                assert_value(f, name, m->value[db][k]);
            else
                assert_absent(f, name);
        }
    }
    f->c.db = 0;
}

static void step(struct fixture *f, struct model *m)
{
    unsigned db = (unsigned)rand() % MODEL_DBS, k = (unsigned)rand() % MODEL_KEYS, k2 = (unsigned)rand() % MODEL_KEYS;
    char name[16], other[16], *value = m->value[db][k];
    f->c.db = (uint16_t)db;
    snprintf(name, sizeof name, "key%u", k);
    snprintf(other, sizeof other, "key%u", k2);
    bool live = model_live(f, m, db, k);
    uint64_t len, at = f->c.now_ms + 1 + (uint64_t)rand() % 50;
    switch (rand() % 12) {
    case 0:
    case 1:
    case 2:
    case 3:
        snprintf(value, 40, "v%d", rand());
        put(f, name, value);
        m->live[db][k] = true, m->expire_ms[db][k] = 0;
        break;
    case 4:
        snprintf(value, 40, "e%d", rand());
        put_until(f, name, value, at);
        m->live[db][k] = true, m->expire_ms[db][k] = at;
        break;
    case 5:
    case 6:
        assert_int_equal(ks_delete(&f->c, S(name), NULL), live ? E_OK : E_NOTFOUND);
        m->live[db][k] = false;
        break;
    case 7:
        assert_int_equal(ks_set_expiry(&f->c, S(name), rand() % 2 ? at : 0), live ? E_OK : E_NOTFOUND);
        if (live) m->expire_ms[db][k] = newest(f, name).expire_ms;
        break;
    case 8:
        if (live && strlen(value) > 30) break;
        if (!live) value[0] = 0, m->expire_ms[db][k] = 0;
        assert_int_equal(ks_splice(&f->c, S(name), strlen(value), S("+"), &len), E_OK);
        strcat(value, "+");
        assert_int_equal(len, strlen(value));
        m->live[db][k] = true;
        break;
    case 9:
        if (k == k2) break;
        assert_int_equal(ks_copy(&f->c, S(name), (uint16_t)db, S(other)), live ? E_OK : E_NOTFOUND);
        if (!live) break;
        memcpy(m->value[db][k2], value, 40);
        m->live[db][k2] = true, m->expire_ms[db][k2] = m->expire_ms[db][k];
        break;
    case 10: f->c.now_ms += (uint64_t)rand() % 4; break;
    default:
        if (rand() % 40 != 0) break;
        assert_int_equal(ks_flush(&f->c, (int)db), E_OK);
        memset(m->live[db], 0, sizeof m->live[db]);
    }
}

static void swap_model(struct fixture *f, struct model *m)
{
    static struct model was;
    was = *m;
    assert_int_equal(ks_swap(&f->c, 0, 1), E_OK);
    for (unsigned db = 0; db < 2; db++) {
        memcpy(m->value[db], was.value[1 - db], sizeof m->value[db]);
        memcpy(m->live[db], was.live[1 - db], sizeof m->live[db]);
        memcpy(m->expire_ms[db], was.expire_ms[1 - db], sizeof m->expire_ms[db]);
    }
}

static void test_random_work_agrees_with_a_model(void **state)
{
    struct fixture *f = *state;
    static struct model m;
    memset(&m, 0, sizeof m);
    srand(7);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 100; i++) step(f, &m);
        f->c.db = 0;
        if (round % 3 == 0) ks_drop_cache(&f->c);
        if (round % 7 == 0) swap_model(f, &m);
        if (round % 10 == 9) fixture_reopen(f);
        compare(f, &m);
        ks_check(f->ks);
        assert_counts_agree(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_what_was_written_is_there_after_reopening),
        WITH_KEYSPACE(test_options_outside_their_range_are_refused),
        WITH_KEYSPACE(test_dropping_the_cache_loses_nothing),
        WITH_KEYSPACE(test_random_work_agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
