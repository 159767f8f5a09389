/* The estimate of dead bytes: what counts under which rules, and how a plan sets it right. */
#include "unit/engine/engine_world.h"

#include "engine/books.h"

static uint64_t dead_of(struct world *w)
{
    assert_int_equal(engine_catch_up(w->e, 0), E_OK);
    return fold_dead(w->e->fold, NULL);
}

static void counts_what_rules_reach(void **state)
{
    struct world w = {0};
    struct engine_stats s;
    world_start(&w);
    for (int i = 0; i < 10; i++) world_put(&w, 1, "0123456789");
    assert_int_equal(dead_of(&w), 0); /* keep all */
    engine_set_policy(w.e, &(struct engine_policy){.keys = {.versions = 1}});
    for (int i = 0; i < 10; i++) world_put(&w, 1, "0123456789");
    uint64_t ten = dead_of(&w);
    engine_get_stats(w.e, &s);
    assert_int_equal(ten, (s.bytes_log - 64) / 2); /* ten of twenty */
    assert_int_equal(s.bytes_dead, ten);
    assert_int_equal(s.bytes_live, s.bytes_log - ten);
    world_put(&w, 2, "0123456789"); /* the first of its key */
    assert_int_equal(dead_of(&w), ten);
    world_delete(&w, 2);
    assert_true(dead_of(&w) > ten);
    ten = dead_of(&w);
    world_reopen(&w);
    assert_int_equal(fold_dead(w.e->fold, NULL), ten);
    world_stop(&w);
}

static void documents_and_flushes(void **state)
{
    struct world w = {0};
    struct receipt r;
    world_start(&w);
    engine_set_policy(w.e, &(struct engine_policy){.keys = {.versions = 1}});
    for (uint64_t i = 0; i < 5; i++) {
        struct node n = {.op = NODE_PUT, .type = TYPE_DOCUMENT, .flags = i ? 0 : NODE_CREATED, .prev = i, .ver = i + 1, .key = slice_str("d:1"), .payload = slice_str("1")};
        assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    }
    assert_int_equal(dead_of(&w), 0);
    for (unsigned k = 0; k < 8; k++) world_put(&w, k, "0123456789");
    assert_int_equal(dead_of(&w), 0);
    struct node flush = {.op = NODE_FLUSH};
    assert_int_equal(engine_append(w.e, &flush, false, &r), E_OK);
    assert_true(dead_of(&w) > 8 * 50); /* the strings; documents keep their history */
    world_stop(&w);
}

static void compaction_settles_it(void **state)
{
    struct world w = {0};
    struct compact_stats s;
    uint64_t waiting;
    world_start(&w);
    engine_set_policy(w.e, &(struct engine_policy){.keys = {.versions = 1}});
    for (int i = 0; i < 20; i++) world_put(&w, 1, "0123456789");
    uint64_t all = dead_of(&w);
    assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 11}, &s), E_OK);
    assert_int_equal(s.dropped, 9);
    assert_int_equal(dead_of(&w), all / 19 * 10);
    assert_int_equal(engine_compact(w.e, &(struct compact_options){0}, &s), E_OK);
    assert_int_equal(dead_of(&w), 0);
    engine_set_policy(w.e, &(struct engine_policy){.keys = {.age_ms = 3600000}});
    for (int i = 0; i < 5; i++) world_put(&w, 1, "0123456789");
    assert_true(dead_of(&w) > 0);
    assert_int_equal(engine_compact(w.e, &(struct compact_options){0}, &s), E_OK);
    assert_int_equal(s.dropped, 0);
    assert_int_equal(fold_dead(w.e->fold, &waiting), 0);
    assert_true(waiting > 0); /* superseded, but not for an hour */
    struct engine_policy p;
    engine_get_policy(w.e, &p);
    assert_true(p.keys.age_ms == 3600000 && p.keys.versions == 0 && p.auto_percentage == 0);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_what_rules_reach), cmocka_unit_test(documents_and_flushes), cmocka_unit_test(compaction_settles_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
