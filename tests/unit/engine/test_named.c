/* Tags and rules in the books: order, what counts, saving, and old books without them. */
#include "unit/engine/engine_world.h"

#include "base/codec.h"
#include "engine/books.h"

static struct node node_of(uint8_t space, uint8_t op, const char *name, slice payload, uint64_t seq)
{
    return (struct node){.op = op, .space = space, .ver = 1, .seq = seq, .ts_ms = 1000 + seq, .key = slice_str(name), .payload = payload, .by = slice_str("ann")};
}

static void put_tag(struct named_set *s, const char *name, uint64_t point, uint64_t seq)
{
    uint8_t p[8];
    put_u64(p, point);
    struct node n = node_of(SPACE_TAG, NODE_PUT, name, slice_of(p, 8), seq);
    assert_int_equal(named_fold(s, &n), E_OK);
}

static void put_rule(struct named_set *s, const char *pattern, uint64_t versions, uint64_t age_ms)
{
    uint8_t p[16];
    put_u64(p, versions);
    put_u64(p + 8, age_ms);
    struct node n = node_of(SPACE_RETAIN, NODE_PUT, pattern, slice_of(p, 16), 9);
    assert_int_equal(named_fold(s, &n), E_OK);
}

static void expect_rule(struct named_set *s, const char *key, const char *pattern, uint64_t versions)
{
    struct buf got = {0};
    struct retain_rule r;
    bool found = named_rule(s, slice_str(key), &r, &got);
    assert_int_equal(found, pattern != NULL);
    if (found) assert_true(slice_eq(buf_slice(&got), slice_str(pattern)));
    if (found) assert_int_equal(r.versions, versions);
    buf_fini(&got);
}

static void longest_pattern(void **state)
{
    struct named_set s;
    named_init(&s);
    expect_rule(&s, "user:1", NULL, 0);
    put_rule(&s, "*", 1, 0);
    put_rule(&s, "user:*", 2, 0);
    put_rule(&s, "?ser:*", 3, 0);
    put_rule(&s, "user:1", 4, 0); /* as long: '*' sorts before '1', '?' before 'u' */
    expect_rule(&s, "user:1", "?ser:*", 3);
    expect_rule(&s, "other", "*", 1);
    uint64_t turn = named_turn(&s);
    struct node gone = node_of(SPACE_RETAIN, NODE_DELETE, "?ser:*", (slice){0}, 10);
    assert_int_equal(named_fold(&s, &gone), E_OK);
    assert_int_equal(named_fold(&s, &gone), E_OK);
    assert_true(named_turn(&s) > turn);
    expect_rule(&s, "user:1", "user:*", 2);
    put_rule(&s, "user:*", 7, 0);
    expect_rule(&s, "user:1", "user:*", 7);
    struct node bad = node_of(SPACE_RETAIN, NODE_PUT, "x", slice_str("short"), 11);
    log_set_level(LOG_NOTHING);
    assert_int_equal(named_fold(&s, &bad), E_CORRUPT);
    named_fini(&s);
}

static void points_and_holds(void **state)
{
    struct named_set s;
    size_t n;
    named_init(&s);
    put_tag(&s, "c", 30, 31);
    put_tag(&s, "a", 10, 40);
    put_tag(&s, "b", 20, 21);
    uint64_t *at = named_points(&s, &n);
    assert_int_equal(n, 3);
    assert_true(at[0] == 10 && at[1] == 20 && at[2] == 30);
    mem_free(at);
    assert_true(named_holds(&s, 15, 25));
    assert_false(named_holds(&s, 5, 15)); /* set later, on an old point */
    assert_false(named_holds(&s, 15, 20));
    assert_true(named_holds(&s, 30, 31));
    named_fini(&s);
}

static void saved_and_loaded(void **state)
{
    struct named_set a, b;
    struct buf one = {0}, two = {0};
    named_init(&a);
    named_init(&b);
    put_tag(&a, "t", 5, 6);
    put_rule(&a, "k*", 1, 2);
    named_save(&a, &one);
    const uint8_t *p = one.p;
    assert_int_equal(named_load(&b, &p, one.p + one.n), E_OK);
    assert_ptr_equal(p, one.p + one.n);
    assert_int_equal(atomic_load(&b.rules_turn), 0);
    named_save(&b, &two);
    assert_true(slice_eq(buf_slice(&one), buf_slice(&two)));
    for (size_t cut = 0; cut < one.n; cut++) {
        struct named_set c;
        named_init(&c);
        p = one.p;
        assert_int_equal(named_load(&c, &p, one.p + cut), E_CORRUPT);
        named_fini(&c);
    }
    buf_fini(&one), buf_fini(&two);
    named_fini(&a);
    named_fini(&b);
}

static int count_tag(void *ctx, const struct engine_tag *t)
{
    unsigned *n = ctx;
    assert_true(slice_is(t->name, *n == 0 ? "one" : "two"));
    ++*n;
    return E_OK;
}

static int refuse_rule(void *ctx, slice pattern, const struct retain_rule *r)
{
    (void)ctx;
    return slice_is(pattern, "key:*") && r->versions == 3 ? 42 : 1;
}

static void through_the_door(void **state)
{
    struct world w = {0};
    struct receipt r;
    struct engine_tag t;
    struct retain_rule rule;
    struct buf mem = {0};
    uint8_t p[16] = {0};
    unsigned n = 0;
    world_start(&w);
    world_put(&w, 1, "v");
    put_u64(p, 1);
    struct node two = {.op = NODE_PUT, .space = SPACE_TAG, .ver = 1, .key = slice_str("two"), .payload = slice_of(p, 8), .by = slice_str("bob")};
    assert_int_equal(engine_append(w.e, &two, false, &r), E_OK);
    struct node one = {.op = NODE_PUT, .space = SPACE_TAG, .ver = 1, .key = slice_str("one"), .payload = slice_of(p, 8)};
    assert_int_equal(engine_append(w.e, &one, false, &r), E_OK);
    uint8_t q[16] = {3};
    struct node retain = {.op = NODE_PUT, .space = SPACE_RETAIN, .ver = 1, .key = slice_str("key:*"), .payload = slice_of(q, 16)};
    assert_int_equal(engine_append(w.e, &retain, false, &r), E_OK);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(engine_tag_find(w.e, slice_str("two"), &mem, &t), E_OK);
        assert_true(t.point == 1 && t.seq == 2 && slice_is(t.by, "bob") && slice_is(t.name, "two") && t.ts_ms > 0);
        assert_int_equal(engine_tag_find(w.e, slice_str("tw"), &mem, &t), E_NOTFOUND);
        n = 0;
        assert_int_equal(engine_tag_list(w.e, count_tag, &n), E_OK);
        assert_int_equal(n, 2);
        assert_int_equal(engine_retain_list(w.e, refuse_rule, NULL), 42);
        assert_true(engine_retain_of(w.e, slice_str("key:1"), false, &rule, &mem));
        assert_true(rule.versions == 3 && rule.age_ms == 0 && slice_is(buf_slice(&mem), "key:*"));
        assert_false(engine_retain_of(w.e, slice_str("other"), false, &rule, &mem));
        world_reopen(&w);
    }
    buf_fini(&mem);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(longest_pattern), cmocka_unit_test(points_and_holds), cmocka_unit_test(saved_and_loaded),
                                       cmocka_unit_test(through_the_door)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
