/* What compaction may drop: rule by rule, on stores small enough to say every seq. */
#include "unit/engine/engine_world.h"

#include "base/codec.h"
#include "engine/compact_plan.h"

static struct compact_plan plan_of(struct world *w, const struct compact_options *o)
{
    struct compact_plan p;
    assert_int_equal(engine_catch_up(w->e, 0), E_OK);
    assert_int_equal(compact_plan_make(w->e, o, engine_tree_size(w->e), NULL, NULL, &p), E_OK);
    return p;
}

/* `want` has one letter a seq, from seq 1: D dropped and forgotten, d dropped but remembered (a gap), . kept. */
static void expect_plan(struct world *w, const struct compact_options *o, const char *want, uint64_t held, uint64_t horizon)
{
    struct compact_plan p = plan_of(w, o);
    char got[128] = "";
    assert_int_equal(p.base, strlen(want));
    for (uint64_t s = 1; s <= p.base; s++) {
        bool drop = compact_bit(p.drop, s), forget = compact_bit(p.forget, s);
        got[s - 1] = drop ? forget ? 'D' : 'd' : forget ? '!' : '.';
    }
    assert_string_equal(got, want);
    assert_int_equal(p.held, held);
    assert_int_equal(p.horizons.keys, horizon);
    compact_plan_fini(&p);
}

static void expect_rules(struct world *w, struct engine_policy policy, const char *want, uint64_t held, uint64_t horizon)
{
    engine_set_policy(w->e, &policy);
    expect_plan(w, &(struct compact_options){0}, want, held, horizon);
}

static void keep_n(void **state)
{
    struct world w = {0};
    world_start(&w);
    for (int i = 0; i < 4; i++) world_put(&w, 1, "v"); /* 1..4 */
    world_put(&w, 2, "v");                             /* 5 */
    world_delete(&w, 3);                               /* 6: nothing below it */
    world_put(&w, 4, "v"), world_delete(&w, 4);        /* 7, 8 */
    expect_plan(&w, &(struct compact_options){.keep_versions = 1}, "DDD..DDD", 0, 8);
    expect_plan(&w, &(struct compact_options){.keep_versions = 2}, "DD......", 0, 0);
    expect_plan(&w, &(struct compact_options){.keep_versions = 1, .prefix = slice_str("key:0004")}, "......DD", 0, 8);
    world_stop(&w);
}

static void before_point(void **state)
{
    struct world w = {0};
    world_start(&w);
    for (int i = 0; i < 5; i++) world_put(&w, 1, "v"); /* 1..5 */
    world_put(&w, 2, "v"), world_delete(&w, 2);        /* 6, 7 */
    expect_plan(&w, &(struct compact_options){.before = 3}, "DD.....", 0, 0);
    expect_plan(&w, &(struct compact_options){.before = 7}, "DDDD.DD", 0, 7);
    expect_plan(&w, &(struct compact_options){.before = 6}, "DDDD...", 0, 0);
    world_stop(&w);
}

static void effects_keep_their_base(void **state)
{
    struct world w = {0};
    world_start(&w);
    world_put(&w, 1, "base");                        /* 1 */
    world_write(&w, 1, NODE_EFFECT, slice_str("e")); /* 2 */
    world_put(&w, 1, "base");                        /* 3 */
    world_write(&w, 1, NODE_EFFECT, slice_str("e")); /* 4 */
    world_write(&w, 1, NODE_EFFECT, slice_str("e")); /* 5 */
    expect_plan(&w, &(struct compact_options){.keep_versions = 1}, "DD...", 0, 0);
    expect_plan(&w, &(struct compact_options){.before = 2}, ".....", 0, 0); /* 2 stays and stands on 1 */
    expect_plan(&w, &(struct compact_options){.before = 3}, "DD...", 0, 0);
    world_stop(&w);
}

static void thing(struct world *w, uint8_t space, const char *key, const void *payload, size_t n)
{
    struct receipt r;
    struct node x = {
        .op = NODE_PUT, .space = space, .ver = 1, .flags = NODE_CREATED, .key = slice_str(key), .payload = slice_of(payload, n)};
    assert_int_equal(engine_append(w->e, &x, false, &r), E_OK);
}

static void tags_hold(void **state)
{
    struct world w = {0};
    uint8_t seq[8];
    world_start(&w);
    for (int i = 0; i < 5; i++) world_put(&w, 1, "v"); /* 1..5 */
    put_u64(seq, 2);
    thing(&w, SPACE_TAG, "release", seq, 8); /* 6 */
    /* 3 and 4 go, but the index remembers them: above a version that stays. */
    expect_plan(&w, &(struct compact_options){.keep_versions = 1}, "D.dd..", 1, 0);
    world_stop(&w);
}

/* At a tag's point the key was deleted: that has to be told from never having been. */
static void tags_hold_tombstones(void **state)
{
    struct world w = {0};
    uint8_t seq[8];
    world_start(&w);
    world_put(&w, 1, "v"), world_delete(&w, 1); /* 1, 2 */
    world_put(&w, 2, "v"), world_delete(&w, 2); /* 3, 4 */
    put_u64(seq, 3);
    thing(&w, SPACE_TAG, "release", seq, 8); /* 5: behind the end of 1, before that of 2 */
    expect_plan(&w, &(struct compact_options){.keep_versions = 1}, "D....", 1, 0);
    expect_plan(&w, &(struct compact_options){.before = 5}, "D....", 1, 0);
    world_stop(&w);
}

static void write_with_token(struct world *w, unsigned k, uint8_t op, const char *token)
{
    char name[32];
    struct receipt r;
    struct node n = world_node(w, k, op, op == NODE_PUT ? slice_str("v") : (slice){0}, name);
    n.idem = slice_str(token);
    assert_int_equal(engine_append(w->e, &n, false, &r), E_OK);
    world_took(w, k, &n);
}

/* Who asks again within a day is told what came of the first time, so that node has to be there. */
static void tokens_hold_for_a_day(void **state)
{
    struct world w = {0};
    char name[32];
    struct receipt r;
    world_start(&w);
    world_put(&w, 1, "v");                       /* 1 */
    write_with_token(&w, 1, NODE_PUT, "a");      /* 2 */
    world_put(&w, 1, "v");                       /* 3 */
    world_put(&w, 1, "v");                       /* 4 */
    world_put(&w, 2, "v");                       /* 5 */
    write_with_token(&w, 2, NODE_DELETE, "b");   /* 6 */
    expect_plan(&w, &(struct compact_options){.keep_versions = 1}, "D.d.D.", 1, 0);
    struct node n = world_node(&w, 3, NODE_PUT, slice_str("v"), name);
    n.ts_ms = engine_now_ms(w.e) + ENGINE_TOKEN_WINDOW_MS + 60000; /* the clock goes along */
    assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    expect_plan(&w, &(struct compact_options){.keep_versions = 1}, "DDD.DD.", 0, 6);
    world_stop(&w);
}

static void rule(struct world *w, const char *pattern, uint64_t versions, uint64_t age_ms)
{
    uint8_t p[16];
    put_u64(p, versions);
    put_u64(p + 8, age_ms);
    thing(w, SPACE_RETAIN, pattern, p, sizeof(p));
}

static void rules(void **state)
{
    struct world w = {0};
    world_start(&w);
    for (int i = 0; i < 3; i++) world_put(&w, 1, "v"), world_put(&w, 2, "v"); /* 1, 3, 5 and 2, 4, 6 */
    expect_plan(&w, &(struct compact_options){0}, "......", 0, 0);
    expect_rules(&w, (struct engine_policy){.keys = {.versions = 2}}, "DD....", 0, 0);
    expect_rules(&w, (struct engine_policy){.documents = {.versions = 1}}, "......", 0, 0);
    rule(&w, "key:*", 1, 0);     /* 7 */
    rule(&w, "key:0002*", 0, 0); /* 8: longer, keeps all */
    expect_rules(&w, (struct engine_policy){.keys = {.versions = 2}}, "D.D.....", 0, 0);
    world_stop(&w);
}

static void ages(void **state)
{
    struct world w = {0};
    char name[32];
    struct receipt r;
    world_start(&w);
    uint64_t now = engine_now_ms(w.e);
    for (unsigned i = 0; i < 4; i++) { /* at now, +10 s, +20 s, +30 s */
        struct node n = world_node(&w, 1, NODE_PUT, slice_str("v"), name);
        n.ts_ms = now + i * 10000;
        assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
        world_took(&w, 1, &n);
    }
    /* The clock stands at +30 s: 15 s back, versions superseded up to +10 s may go. */
    expect_rules(&w, (struct engine_policy){.keys = {.age_ms = 15000}}, "D...", 0, 0);
    expect_rules(&w, (struct engine_policy){.keys = {.age_ms = 1}}, "DD..", 0, 0);
    expect_rules(&w, (struct engine_policy){.keys = {.age_ms = 10000000}}, "....", 0, 0);
    world_stop(&w);
}

static void flush_supersedes(void **state)
{
    struct world w = {0};
    struct receipt r;
    world_start(&w);
    world_put(&w, 1, "v"), world_put(&w, 1, "v"); /* 1, 2 */
    world_put(&w, 2, "v");                        /* 3 */
    struct node n = {.op = NODE_FLUSH};           /* 4 */
    assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    w.key[2].live = false;
    world_put(&w, 2, "again"); /* 5 */
    expect_plan(&w, &(struct compact_options){.keep_versions = 1}, "DDD..", 0, 4);
    expect_plan(&w, &(struct compact_options){.before = 3}, "D....", 0, 0);
    world_stop(&w);
}

static void put_often(struct world *w, unsigned k, int times)
{
    struct batch *b = engine_batch_begin(w->e);
    for (int i = 0; i < times; i++) {
        struct receipt r;
        char name[32];
        struct node n = world_node(w, k, NODE_PUT, slice_str("v"), name);
        engine_batch_add(b, &n, false, &r);
        world_took(w, k, &n);
    }
    assert_int_equal(engine_batch_commit(&b, &w->end), E_OK);
}

static void expect_readable(struct world *w, uint64_t from)
{
    struct compact_plan p = plan_of(w, &(struct compact_options){.keep_versions = 1});
    assert_int_equal(p.horizons.readable, from);
    compact_plan_fini(&p);
}

/* What was superseded in its own commit showed at no point: that it goes hides nothing, as long as something older is there. */
static void superseded_in_its_commit(void **state)
{
    struct world w = {0};
    struct compact_stats s;
    uint8_t point[8];
    world_start(&w);
    world_put(&w, 1, "v"); /* 1 */
    put_u64(point, 1);
    thing(&w, SPACE_TAG, "t", point, 8); /* 2 */
    put_often(&w, 1, 3);                 /* 3 to 5 */
    expect_plan(&w, &(struct compact_options){.keep_versions = 1}, "..dd.", 1, 0);
    expect_readable(&w, 0);
    assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
    assert_int_equal(s.dropped, 2);
    expect_readable(&w, 0);
    world_put(&w, 2, "v"), world_put(&w, 2, "v"); /* 6, 7 */
    expect_readable(&w, 7);
    put_often(&w, 3, 2); /* 8, 9: below 9 nobody knows that there was nothing before 8 */
    expect_readable(&w, 9);
    world_stop(&w);
}

static void groups_and_counts(void **state)
{
    struct world w = {0};
    world_start(&w);
    for (unsigned i = 0; i < 10; i++) world_put(&w, 1, "v");
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    struct compact_plan p = plan_of(&w, &(struct compact_options){.keep_versions = 1});
    assert_int_equal(p.n_groups, 1);
    assert_int_equal(p.groups[0].drops, 9);
    assert_true(p.groups[0].with_tail);
    assert_int_equal(p.live + p.dropped, 10);
    compact_plan_fini(&p);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keep_n),
        cmocka_unit_test(before_point),
        cmocka_unit_test(effects_keep_their_base),
        cmocka_unit_test(tags_hold),
        cmocka_unit_test(tags_hold_tombstones),
        cmocka_unit_test(tokens_hold_for_a_day),
        cmocka_unit_test(rules),
        cmocka_unit_test(ages),
        cmocka_unit_test(flush_supersedes),
        cmocka_unit_test(superseded_in_its_commit),
        cmocka_unit_test(groups_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
