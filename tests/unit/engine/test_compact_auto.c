/* Compaction that starts by itself: when dead bytes outweigh live ones, not before, not again and again, and never for what keeps all. */
#include "unit/engine/engine_world.h"

#include "base/codec.h"
#include "engine/books.h"
#include "engine/own.h"

#define TEXT "a payload of some length, so that there is something to win"

static const struct engine_policy policy = {.keys = {.versions = 1}, .auto_percentage = 100, .auto_min_bytes = 20000};

static void turn(struct world *w)
{
    assert_int_equal(engine_write_out(w->e, 0), E_OK);
    assert_int_equal(engine_turn(w->e), E_OK);
}

static void fill(struct world *w, unsigned rounds)
{
    for (unsigned i = 0; i < rounds * WORLD_KEYS; i++) world_put(w, i % WORLD_KEYS, TEXT);
    turn(w);
}

static struct compact_stats status_of(struct world *w)
{
    struct compact_stats s;
    engine_compact_status(w->e, &s);
    return s;
}

static uint64_t log_bytes(struct world *w)
{
    struct engine_stats s;
    engine_get_stats(w->e, &s);
    return s.bytes_log;
}

static void starts_by_itself(void **state)
{
    struct world w = {0};
    world_start(&w);
    assert_int_equal(status_of(&w).result, E_NOTFOUND);
    fill(&w, 3); /* nobody has asked for it */
    assert_int_equal(status_of(&w).runs, 0);
    engine_set_policy(w.e, &policy);
    fill(&w, 1);
    assert_int_equal(status_of(&w).runs, 0); /* what was counted before the policy does not count */
    fill(&w, 4);
    struct compact_stats s = status_of(&w);
    assert_int_equal(s.runs, 1);
    assert_int_equal(s.automatic_runs, 1);
    assert_true(s.automatic && s.result == E_OK && s.dropped > 0 && s.ended_ms > 0);
    assert_true(log_bytes(&w) < 4u * WORLD_KEYS * 150);
    for (unsigned k = 0; k < WORLD_KEYS; k++) world_expect(&w, k, UINT64_MAX, TEXT, 0);
    for (unsigned i = 0; i < 30; i++) fill(&w, 1);
    s = status_of(&w);
    assert_true(s.runs >= 5 && s.runs <= 31); /* it goes on, once for every doubling or so */
    assert_true(log_bytes(&w) < 4u * WORLD_KEYS * 150);
    world_stop(&w);
}

static void too_small_or_kept(void **state)
{
    struct world w = {0};
    struct engine_policy p = policy;
    struct receipt r;
    world_start(&w);
    p.auto_min_bytes = 1 << 20;
    engine_set_policy(w.e, &p);
    fill(&w, 10);
    assert_int_equal(status_of(&w).runs, 0); /* below the size */
    p.auto_min_bytes = 0;
    p.auto_percentage = 100000;
    engine_set_policy(w.e, &p);
    fill(&w, 10);
    assert_int_equal(status_of(&w).runs, 0); /* below the share */
    p.keys.versions = 0;
    p.auto_percentage = 1;
    engine_set_policy(w.e, &p);
    for (uint64_t i = 0; i < 500; i++) {
        struct node n = {.op = NODE_PUT, .type = TYPE_DOCUMENT, .flags = i ? 0 : NODE_CREATED, .prev = i ? r.seq : 0, .ver = i + 1, .key = slice_str("d:1"), .payload = slice_str(TEXT)};
        assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    }
    fill(&w, 10);
    assert_int_equal(status_of(&w).runs, 0); /* all keep all */
    world_stop(&w);
}

static void not_again_at_once(void **state)
{
    struct world w = {0};
    uint8_t seq[8];
    struct receipt r;
    world_start(&w);
    engine_set_policy(w.e, &policy);
    for (unsigned i = 0; i < 300; i++) { /* every version is held by a tag */
        char name[16];
        put_u64(seq, world_put(&w, i % 3, TEXT));
        snprintf(name, sizeof name, "t%u", i);
        struct node n = {.op = NODE_PUT, .space = SPACE_TAG, .ver = 1, .flags = NODE_CREATED, .key = slice_str(name), .payload = slice_of(seq, 8)};
        assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    }
    w.e->own->opt.checkpoint_bytes = 1 << 30;
    turn(&w);
    struct compact_stats s = status_of(&w);
    assert_int_equal(s.runs, 0);
    assert_int_equal(s.result, E_NOTFOUND); /* a look that came to nothing leaves no trace in the status … */
    assert_true(w.e->own->auto_after_us > 0); /* … but a pause */
    uint64_t pause = w.e->own->auto_pause_us;
    fill(&w, 10);
    assert_int_equal(w.e->own->auto_pause_us, pause); /* nobody has looked again */
    compact_auto_ended(w.e, E_AGAIN, 0, 0);
    assert_int_equal(w.e->own->auto_pause_us, 2 * pause);
    for (int i = 0; i < 20; i++) compact_auto_ended(w.e, E_IO, 5000, 0);
    assert_int_equal(w.e->own->auto_pause_us, 3600ull * 1000000);
    compact_auto_ended(w.e, E_OK, 0, atomic_load(&w.e->fold->named.rules_turn));
    assert_int_equal(w.e->own->auto_after_us, 0);
    fill(&w, 1);
    assert_int_equal(status_of(&w).automatic_runs, 1); /* now there is enough */
    world_stop(&w);
}

static void rules_are_a_reason(void **state)
{
    struct world w = {0};
    struct receipt r;
    uint8_t p[16] = {1};
    struct engine_policy keep_all = policy;
    world_start(&w);
    keep_all.keys.versions = 0;
    engine_set_policy(w.e, &keep_all);
    fill(&w, 20);
    assert_int_equal(status_of(&w).runs, 0);
    struct node n = {.op = NODE_PUT, .space = SPACE_RETAIN, .ver = 1, .flags = NODE_CREATED, .key = slice_str("key:*"), .payload = slice_of(p, 16)};
    assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    turn(&w);
    assert_int_equal(status_of(&w).automatic_runs, 1);
    assert_int_equal(status_of(&w).dropped, 19 * WORLD_KEYS);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(starts_by_itself), cmocka_unit_test(too_small_or_kept), cmocka_unit_test(not_again_at_once), cmocka_unit_test(rules_are_a_reason)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
