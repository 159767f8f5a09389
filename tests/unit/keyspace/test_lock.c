#include "unit/keyspace/keyspace_fixture.h"

#define LOOPS 3
#define TURNS 3000
#define KEYS  16

static void test_with_one_loop_entering_is_a_mark(void **state)
{
    struct fixture *f = *state;
    slice key = S("k");
    ks_enter(&f->c, KS_SHARED, &key, 1);
    assert_int_equal(f->c.entered, 1 + KS_SHARED);
    assert_null(f->ks->stripes);
    ks_leave(&f->c);
    assert_int_equal(f->c.entered, 0);
}

struct worker {
    struct fixture *f;
    uint16_t loop;
    unsigned seed;
    pthread_t thread;
};

static unsigned roll(struct worker *w)
{
    return w->seed = w->seed * 1103515245 + 12345, w->seed >> 16;
}

static int64_t number(struct ks_ctx *c, slice key)
{
    struct ks_value v;
    int64_t n = 0;
    if (ks_get(c, key, &v) == E_OK) memcpy(&n, v.blob.p, 8);
    return n;
}

/* Moves one between two counters; the sum stays. */
static void transfer(struct worker *w, struct ks_ctx *c)
{
    char names[2][8];
    unsigned a = roll(w) % KEYS, b = roll(w) % KEYS;
    snprintf(names[0], sizeof names[0], "n%u", a);
    snprintf(names[1], sizeof names[1], "n%u", b);
    if (a == b) return;
    slice keys[2] = {S(names[0]), S(names[1])};
    ks_enter(c, KS_SHARED, keys, 2);
    int64_t from = number(c, keys[0]) - 1, to = number(c, keys[1]) + 1;
    assert_int_equal(ks_put(c, keys[0], TYPE_STRING, slice_of(&from, 8), NULL), E_OK);
    assert_int_equal(ks_put(c, keys[1], TYPE_STRING, slice_of(&to, 8), NULL), E_OK);
    ks_leave(c);
}

/* A counter that is not held is looked at, now beside one that is; every stripe comes first or second. */
static void look_aside(struct worker *w, struct ks_ctx *c)
{
    struct ks_value v;
    uint8_t hash[HASH_BYTES];
    char names[2][8];
    snprintf(names[0], sizeof names[0], "n%u", roll(w) % KEYS);
    snprintf(names[1], sizeof names[1], "n%u", roll(w) % KEYS);
    slice own = S(names[0]), other = S(names[1]);
    ks_enter(c, KS_SHARED, &own, roll(w) % 2);
    int err = ks_stat_other(c, other, hash, &v);
    assert_true(err == E_NOTFOUND || (err == E_OK && v.type == TYPE_STRING && v.seq > 0));
    ks_leave(c);
}

static void sum_all(struct ks_ctx *c, bool batch)
{
    int64_t sum = 0;
    char name[8];
    ks_enter(c, KS_EXCLUSIVE, NULL, 0);
    if (batch) ks_begin(c);
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "n%u", i);
        sum += number(c, S(name));
        int64_t same = number(c, S(name));
        if (batch) assert_int_equal(ks_put(c, S(name), TYPE_STRING, slice_of(&same, 8), NULL), E_OK);
    }
    if (batch) assert_int_equal(ks_commit(c), E_OK);
    ks_leave(c);
    assert_int_equal(sum, 0);
}

static void work(void *arg)
{
    struct worker *w = arg;
    struct ks_ctx c = {.ks = w->f->ks, .loop = w->loop, .now_ms = w->f->c.now_ms};
    bool more;
    for (int i = 0; i < TURNS; i++) {
        transfer(w, &c);
        look_aside(w, &c);
        if (i % 100 == 0) sum_all(&c, i % 200 == 0);
        if (w->loop == 0 && i % 250 == 0) (void)!ks_expire_cycle(&c, 100, &more);
    }
}

static void test_stripes_and_gates_keep_a_sum_whole(void **state)
{
    struct fixture *f = *state;
    struct worker w[LOOPS];
    fixture_close(f);
    f->loops = LOOPS;
    f->cache_bytes = 2000; /* so that sweeping takes part */
    f->threads = true;
    fixture_open(f);
    for (uint16_t i = 0; i < LOOPS; i++) {
        w[i] = (struct worker){.f = f, .loop = i, .seed = i + 1u};
        assert_int_equal(thread_start(&w[i].thread, "worker", work, &w[i]), E_OK);
    }
    for (int i = 0; i < LOOPS; i++) thread_join(w[i].thread);
    sum_all(&f->c, false);
    ks_check(f->ks);
    assert_counts_agree(f);
}

static void test_another_key_is_looked_at_beside_those_held(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    uint8_t hash[HASH_BYTES];
    slice own[2] = {S("a"), S("b")};
    fixture_close(f);
    f->loops = LOOPS;
    fixture_open(f);
    ks_enter(&f->c, KS_EXCLUSIVE, NULL, 0);
    put(f, "a", "1");
    assert_int_equal(ks_put(&f->c, S("doc"), TYPE_DOCUMENT, S("{}"), NULL), E_OK);
    ks_leave(&f->c);
    ks_enter(&f->c, KS_SHARED, own, 2);
    uint64_t held[KS_STRIPES / 64];
    memcpy(held, f->ks->gates[0].held, sizeof held);
    assert_int_equal(ks_stat_other(&f->c, S("doc"), hash, &v), E_OK);
    assert_int_equal(v.seq, 2);
    assert_ptr_equal(v.hash, hash);
    assert_int_equal(ks_stat_other(&f->c, S("a"), hash, &v), E_OK);
    assert_null(v.hash);
    assert_int_equal(ks_stat_other(&f->c, S("nowhere"), hash, &v), E_NOTFOUND);
    assert_memory_equal(held, f->ks->gates[0].held, sizeof held);
    ks_leave(&f->c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_with_one_loop_entering_is_a_mark),
        WITH_KEYSPACE(test_another_key_is_looked_at_beside_those_held),
        WITH_KEYSPACE(test_stripes_and_gates_keep_a_sum_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
