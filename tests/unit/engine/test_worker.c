/* Checkpoints, merges, seals: what is due gets done, and a start after it is short. */
#include "unit/engine/engine_world.h"

#include "base/os_sim.h"

static void due_by_bytes(void **state)
{
    struct world w = {.o.checkpoint_bytes = 20000};
    struct engine_stats s;
    world_start(&w);
    for (unsigned i = 0; i < 1000; i++) world_put(&w, i % WORLD_KEYS, "v");
    assert_int_equal(engine_write_out(w.e, 0), E_OK);
    assert_int_equal(engine_turn(w.e), E_OK);
    engine_get_stats(w.e, &s);
    assert_true(s.checkpoints >= 1);
    assert_int_equal(engine_flushed_seq(w.e), 1000);
    assert_int_equal(engine_turn(w.e), E_OK);
    struct engine_stats again;
    engine_get_stats(w.e, &again);
    assert_int_equal(again.checkpoints, s.checkpoints); /* nothing new, nothing done */
    world_stop(&w);
}

/* Small nodes cost a start as much as large ones. */
static void due_by_nodes(void **state)
{
    struct world w = {.o.checkpoint_nodes = 500};
    world_start(&w);
    for (unsigned i = 0; i < 499; i++) world_put(&w, i % WORLD_KEYS, "v");
    assert_int_equal(engine_write_out(w.e, 0), E_OK);
    assert_int_equal(engine_turn(w.e), E_OK);
    assert_int_equal(engine_flushed_seq(w.e), 0);
    world_put(&w, 0, "v");
    assert_int_equal(engine_write_out(w.e, 0), E_OK);
    assert_int_equal(engine_turn(w.e), E_OK);
    assert_int_equal(engine_flushed_seq(w.e), 500);
    world_stop(&w);
}

/* Killed again and again, always before a checkpoint is due by what was written since: the tail does not grow. */
static void folded_tail_counts(void **state)
{
    struct world w = {.os = os_sim_new(4), .o = {.no_threads = true, .checkpoint_bytes = 40000}};
    log_set_level(LOG_NOTHING);
    world_open(&w);
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 300; i++) world_put(&w, i % WORLD_KEYS, "v"); /* about 25 kB */
        assert_int_equal(engine_write_out(w.e, 0), E_OK);
        assert_int_equal(engine_turn(w.e), E_OK);
        os_sim_set(w.os, &(struct os_sim_faults){.crash_at = os_sim_events(w.os) + 1, .process_only = true, .seed = 5});
        (void)!engine_close(&w.e);
        os_sim_reboot(w.os);
        world_open(&w);
        assert_true(w.rep.folded_nodes <= 600);
    }
    world_stop(&w);
}

static void many_checkpoints_merge(void **state)
{
    struct world w = {0};
    struct engine_stats s;
    world_start(&w);
    for (unsigned round = 0; round < 12; round++) {
        for (unsigned i = 0; i < 200; i++) world_put(&w, i % WORLD_KEYS, "v");
        assert_int_equal(engine_checkpoint(w.e), E_OK);
        assert_int_equal(engine_turn(w.e), E_OK);
    }
    engine_get_stats(w.e, &s);
    assert_true(s.merges > 0);
    world_reopen(&w);
    assert_int_equal(w.rep.folded_nodes, 0);
    for (unsigned k = 0; k < WORLD_KEYS; k++) world_expect(&w, k, UINT64_MAX, "v", 0);
    world_stop(&w);
}

/* A store at rest writes its buffer out and lets go of it, once; a small buffer stays. */
static void rest_makes_small(void **state)
{
    struct world w = {.o.rest_ms = 1};
    struct engine_stats s, again;
    world_start(&w);
    for (unsigned i = 0; i < 300; i++) world_put(&w, i % WORLD_KEYS, "v");
    assert_int_equal(engine_write_out(w.e, 0), E_OK);
    for (uint64_t until = os_mono_us(w.os) + 5000; os_mono_us(w.os) < until;) assert_int_equal(engine_turn(w.e), E_OK);
    assert_int_equal(engine_flushed_seq(w.e), 0);
    for (unsigned i = 0; i < 20000; i++) world_put(&w, i % WORLD_KEYS, "v");
    assert_int_equal(engine_write_out(w.e, 0), E_OK);
    for (unsigned i = 0; i < 1000000 && engine_flushed_seq(w.e) == 0; i++) assert_int_equal(engine_turn(w.e), E_OK);
    assert_int_equal(engine_flushed_seq(w.e), 20300);
    engine_get_stats(w.e, &s);
    assert_int_equal(s.checkpoints, 1);
    for (uint64_t until = os_mono_us(w.os) + 5000; os_mono_us(w.os) < until;) assert_int_equal(engine_turn(w.e), E_OK);
    engine_get_stats(w.e, &again);
    assert_int_equal(again.checkpoints, 1);
    for (unsigned k = 0; k < WORLD_KEYS; k++) world_expect(&w, k, UINT64_MAX, "v", 0);
    world_stop(&w);
}

static void failed_checkpoint_is_not_sticky(void **state)
{
    struct world w = {.os = os_sim_new(4), .o = {.no_threads = true}};
    log_set_level(LOG_NOTHING);
    world_open(&w);
    world_put(&w, 0, "a");
    assert_int_equal(engine_sync(w.e, 0), E_OK);
    os_sim_set(w.os, &(struct os_sim_faults){.fail_write_at = os_sim_events(w.os) + 2, .seed = 1});
    assert_true(engine_checkpoint(w.e) < 0);
    assert_int_equal(engine_failure(w.e), E_OK);
    os_sim_set(w.os, &(struct os_sim_faults){0});
    world_put(&w, 0, "b");
    assert_int_equal(engine_checkpoint(w.e), E_OK);
    assert_int_equal(engine_flushed_seq(w.e), 2);
    world_reopen(&w);
    world_expect(&w, 0, UINT64_MAX, "b", 0);
    world_stop(&w);
}

/* Whichever call of a checkpoint failed: the next one that succeeds is on the disk, also when nothing was written between the two. */
static void failed_checkpoint_is_done_again(void **state)
{
    unsigned failed = 0;
    for (uint64_t at = 1;; at++) {
        struct world w = {.os = os_sim_new(4), .o = {.no_threads = true}};
        log_set_level(LOG_NOTHING);
        world_open(&w);
        world_put(&w, 0, "a");
        assert_int_equal(engine_checkpoint(w.e), E_OK);
        world_put(&w, 0, "b");
        os_sim_set(w.os, &(struct os_sim_faults){.fail_write_at = os_sim_events(w.os) + at, .seed = at});
        bool ended = engine_checkpoint(w.e) == E_OK;
        os_sim_set(w.os, &(struct os_sim_faults){0});
        bool again = engine_checkpoint(w.e) == E_OK; /* not where the log or the tree has failed: they take no more */
        failed += !ended && again;
        os_sim_set(w.os, &(struct os_sim_faults){.crash_at = os_sim_events(w.os) + 1, .seed = at}); /* the power goes */
        (void)!engine_close(&w.e);
        os_sim_reboot(w.os);
        world_open(&w);
        if (again) assert_int_equal(w.rep.folded_nodes, 0);
        if (again) world_expect(&w, 0, UINT64_MAX, "b", 0);
        world_stop(&w);
        if (ended) break;
    }
    assert_true(failed >= 6); /* of making a run and of writing the manifest */
}

static void clean_mark_stays_while_nothing_happens(void **state)
{
    struct world w = {0};
    world_start(&w);
    world_put(&w, 0, "a");
    world_reopen(&w);
    assert_true(w.rep.clean);
    assert_int_equal(engine_checkpoint(w.e), E_OK);
    world_reopen(&w);
    assert_true(w.rep.clean);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(due_by_bytes),
        cmocka_unit_test(due_by_nodes),
        cmocka_unit_test(folded_tail_counts),
        cmocka_unit_test(many_checkpoints_merge),
        cmocka_unit_test(rest_makes_small),
        cmocka_unit_test(failed_checkpoint_is_not_sticky),
        cmocka_unit_test(failed_checkpoint_is_done_again),
        cmocka_unit_test(clean_mark_stays_while_nothing_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
