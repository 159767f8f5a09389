/* The names that a walk reaches: their number at its limit, hops one at a time against a naive walk, depths. */
#include "unit/modules/query_bed.h"

static void test_as_many_as_may_be(void **state)
{
    struct query_walk *w = query_walk_new();
    char name[16];
    slice got;
    bool reached;
    for (unsigned i = 0; i < QUERY_WALK_NAMES_MAX; i++) {
        int n = snprintf(name, sizeof name, "n%u", i);
        assert_int_equal(query_walk_start(w, slice_of(name, (size_t)n)), E_OK);
    }
    assert_int_equal(query_walk_start(w, slice_str("one more")), E_TOOBIG);
    assert_int_equal(query_walk_start(w, slice_str("n77")), E_OK); /* it is there already */
    for (unsigned i = 0; i < QUERY_WALK_NAMES_MAX; i += 9973) {
        snprintf(name, sizeof name, "n%u", i);
        assert_true(query_walk_at(w, i, &got, &reached));
        assert_true(slice_is(got, name) && !reached);
    }
    assert_false(query_walk_at(w, QUERY_WALK_NAMES_MAX, &got, &reached));
    query_walk_free(&w);
    assert_null(w);
    query_walk_free(&w);
}

/* Bytes of names have a limit of their own. */
static void test_long_names(void **state)
{
    struct query_walk *w = query_walk_new();
    struct buf name = {0};
    size_t n = 0;
    memset(buf_reserve(&name, NODE_KEY_MAX), 'x', NODE_KEY_MAX);
    name.n = NODE_KEY_MAX;
    int err = E_OK;
    for (; err == E_OK; n++) {
        put_be64(name.p, n);
        err = query_walk_start(w, buf_slice(&name));
    }
    assert_int_equal(err, E_TOOBIG);
    assert_int_equal(n - 1, QUERY_WALK_BYTES_MAX / NODE_KEY_MAX);
    assert_int_equal(query_walk_start(w, (slice){0}), E_OK); /* an empty key is a name */
    slice got;
    bool reached;
    assert_true(query_walk_at(w, n - 1, &got, &reached));
    assert_int_equal(got.n, 0);
    query_walk_free(&w);
    buf_fini(&name);
}

#define KEYS 40

static unsigned check_walk(struct bed *b, const char *text, const bool linked[KEYS][KEYS], bool reverse, unsigned depth_max,
                           const unsigned *start, size_t n_start, size_t budget)
{
    struct prepared p;
    prepare_query(b, &p, text);
    p.q.walk = query_walk_new();
    unsigned depth[KEYS];
    bool result[KEYS] = {false};
    for (unsigned i = 0; i < KEYS; i++) depth[i] = UINT32_MAX;
    for (size_t i = 0; i < n_start; i++) {
        char name[8];
        snprintf(name, sizeof name, "w:%02u", start[i]);
        assert_int_equal(query_walk_start(p.q.walk, slice_str(name)), E_OK);
        depth[start[i]] = 0;
    }
    for (unsigned d = 0; d < depth_max; d++)
        for (unsigned i = 0; i < KEYS; i++)
            for (unsigned k = 0; depth[i] == d && k < KEYS; k++) {
                if (!(reverse ? linked[k][i] : linked[i][k])) continue;
                result[k] = true;
                if (depth[k] == UINT32_MAX) depth[k] = d + 1;
            }
    int err;
    unsigned steps = 0;
    while ((err = query_walk_step(&p.c, &p.q, budget)) == E_AGAIN) steps++;
    assert_int_equal(err, E_OK);
    bool seen[KEYS] = {false}, reached;
    slice name;
    for (size_t i = 0; query_walk_at(p.q.walk, i, &name, &reached); i++) {
        unsigned k = (unsigned)(name.p[2] - '0') * 10 + (unsigned)(name.p[3] - '0');
        assert_true(k < KEYS && !seen[k]);
        seen[k] = true;
        assert_int_not_equal(depth[k], UINT32_MAX);
        assert_int_equal(reached, result[k]);
    }
    for (unsigned k = 0; k < KEYS; k++) assert_int_equal(seen[k], depth[k] != UINT32_MAX);
    query_walk_free(&p.q.walk);
    prepared_fini(&p);
    return steps;
}

static void test_hops(void **state)
{
    struct bed *b = *state;
    struct rng r = {71};
    static bool linked[KEYS][KEYS];
    struct buf commands = {0};
    unsigned n = 0, steps = 0;
    for (unsigned i = 0; i < KEYS; i++, n++) buf_printf(&commands, "DPUT w:%02u 1\r\n", i);
    for (unsigned i = 0; i < 55; i++, n++) {
        unsigned from = rng_below(&r, KEYS), to = rng_below(&r, KEYS);
        linked[from][to] = true;
        buf_printf(&commands, "DLINK w:%02u r w:%02u\r\n", from, to);
    }
    say_all(b, &commands, n);
    say(b, "DLINK w:00 other w:01");
    for (unsigned i = 0; i < 100; i++) {
        unsigned start[4] = {rng_below(&r, KEYS), rng_below(&r, KEYS), rng_below(&r, KEYS), 0}, depth = 1 + rng_below(&r, 6);
        bool reverse = rng_below(&r, 2);
        char text[100];
        snprintf(text, sizeof text, "FROM w TRAVERSE r%s DEPTH %u", reverse ? " REVERSE" : "", depth);
        steps += check_walk(b, text, linked, reverse, depth, start, 1 + rng_below(&r, 3), i % 3 ? 1 : 64);
    }
    assert_true(steps > 100); /* a budget of one is kept */
    buf_fini(&commands);
}

/* Effects newer than the point are not reached, and a dropped cause is told by its seq: no point has it. */
static void test_causes(void **state)
{
    struct bed *b = *state;
    struct prepared p;
    uint8_t name[8];
    slice got;
    bool reached;
    say(b, "DPUT v:1 1");
    uint64_t first = head_of(b);
    say(b, "DPUT v:2 1 CAUSEDBY 1 seq:%llu", (unsigned long long)first);
    prepare_query(b, &p, "FROM v TRACE caused_by REVERSE");
    say(b, "DPUT v:3 1 CAUSEDBY 1 seq:%llu", (unsigned long long)first);
    p.q.walk = query_walk_new();
    put_be64(name, first);
    assert_int_equal(query_walk_start(p.q.walk, slice_of(name, 8)), E_OK);
    int err;
    while ((err = query_walk_step(&p.c, &p.q, 1)) == E_AGAIN) continue;
    assert_int_equal(err, E_OK);
    assert_true(query_walk_at(p.q.walk, 1, &got, &reached) && reached);
    assert_int_equal(get_be64(got.p), first + 1);
    assert_false(query_walk_at(p.q.walk, 2, &got, &reached));
    query_walk_free(&p.q.walk);
    prepared_fini(&p);

    say(b, "DPUT v:1 2");
    say(b, "DCOMPACT KEEP 1");
    prepare_query(b, &p, "FROM v TRACE caused_by");
    p.q.walk = query_walk_new();
    put_be64(name, first + 1);
    assert_int_equal(query_walk_start(p.q.walk, slice_of(name, 8)), E_OK);
    while ((err = query_walk_step(&p.c, &p.q, 1)) == E_AGAIN) continue;
    assert_int_equal(err, E_PRUNED); /* the cause itself would have to be read */
    assert_int_equal(p.q.failed_seq, first);
    query_walk_free(&p.q.walk);
    prepared_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_as_may_be),
        cmocka_unit_test(test_long_names),
        WITH_SERVER(test_hops),
        WITH_SERVER(test_causes),
    };
    return cmocka_run_group_tests_name("doc_query_walk", tests, NULL, NULL);
}
