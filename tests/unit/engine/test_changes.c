/* Following the log: whole commits, what is safe and no more, the places of dropped nodes. */
#include "unit/engine/engine_world.h"

#include "base/codec.h"

static void only_what_is_safe(void **state)
{
    struct world w = {0};
    struct change_cursor *c = NULL;
    struct change_node n;
    w.o.durability = DURABLE_ALWAYS;
    world_start(&w);
    assert_int_equal(engine_safe_seq(w.e), 0);
    assert_int_equal(engine_changes(w.e, 0, &c), E_OK);
    assert_int_equal(change_peek(c, engine_safe_seq(w.e), &n), E_END);
    world_put(&w, 1, "a");
    assert_int_equal(engine_write_out(w.e, 0), E_OK);
    assert_int_equal(engine_safe_seq(w.e), 0); /* written, not on disk */
    assert_int_equal(change_peek(c, engine_safe_seq(w.e), &n), E_END);
    assert_int_equal(engine_sync(w.e, 0), E_OK);
    assert_int_equal(engine_safe_seq(w.e), 1);
    assert_int_equal(change_peek(c, engine_safe_seq(w.e), &n), E_OK);
    assert_int_equal(n.seq, 1); /* the first write is reached */
    assert_int_equal(change_peek(c, engine_safe_seq(w.e), &n), E_OK);
    assert_int_equal(n.seq, 1); /* until it is taken */
    change_take(c);
    engine_set_durability(w.e, DURABLE_EVERYSEC);
    world_put(&w, 1, "b");
    assert_int_equal(change_peek(c, engine_safe_seq(w.e), &n), E_END);
    assert_int_equal(engine_write_out(w.e, 0), E_OK);
    assert_int_equal(change_peek(c, 1, &n), E_END);
    assert_int_equal(change_peek(c, engine_safe_seq(w.e), &n), E_OK);
    assert_int_equal(n.seq, 2);
    change_cursor_close(&c);
    world_stop(&w);
}

static void commits_have_ends(void **state)
{
    struct world w = {0};
    struct change_cursor *c = NULL;
    struct change_node n;
    uint64_t last;
    world_start(&w);
    world_put(&w, 1, "a");
    world_batch(&w, 0, 5, "b");
    world_put(&w, 2, "c");
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    assert_int_equal(engine_changes(w.e, 0, &c), E_OK);
    for (uint64_t seq = 1; seq <= 7; seq++) {
        uint64_t first = seq == 1 ? 1 : seq == 7 ? 7 : 2, end = seq == 1 ? 1 : seq == 7 ? 7 : 6;
        assert_int_equal(change_peek(c, UINT64_MAX, &n), E_OK);
        assert_int_equal(n.seq, seq);
        assert_int_equal(n.commit_first, first);
        assert_int_equal(n.more, seq > 1 && seq < 6);
        assert_int_equal(change_commit_last(c, &n, &last), E_OK);
        assert_int_equal(last, end);
        change_take(c);
    }
    assert_int_equal(change_peek(c, UINT64_MAX, &n), E_END);
    change_cursor_close(&c);
    world_stop(&w);
}

static void dropped_nodes_are_passed_over(void **state)
{
    struct world w = {0};
    struct compact_stats s;
    struct change_cursor *c = NULL;
    struct change_node n;
    uint64_t seen = 0, before = 0;
    world_start(&w);
    for (unsigned i = 0; i < 20 * WORLD_KEYS; i++) world_put(&w, i % WORLD_KEYS, "a text of some length, so that there are several segments");
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    assert_int_equal(engine_changes(w.e, 5, &c), E_OK);
    assert_int_equal(change_peek(c, UINT64_MAX, &n), E_OK);
    assert_int_equal(n.seq, 6);
    change_take(c);
    struct compact_options o = {.keep_versions = 1};
    assert_int_equal(engine_compact(w.e, &o, &s), E_OK);
    while (change_peek(c, UINT64_MAX, &n) == E_OK) { /* it goes on in the segment that it had, then in what is left */
        assert_true(n.seq > before);
        before = n.seq;
        seen++;
        change_take(c);
    }
    assert_int_equal(before, 20 * WORLD_KEYS);
    assert_true(seen >= WORLD_KEYS);
    change_cursor_close(&c);
    assert_int_equal(engine_changes(w.e, 0, &c), E_OK);
    for (seen = 0; change_peek(c, UINT64_MAX, &n) == E_OK; seen++) change_take(c);
    assert_int_equal(seen, WORLD_KEYS);
    change_cursor_close(&c);
    world_stop(&w);
}

static void hashes_of_many(void **state)
{
    slice raw[7] = {{0}};
    uint8_t have[7][HASH_BYTES], want[HASH_BYTES];
    static const char text[] = "seven texts, each a little longer than the one before it";
    for (size_t n = 0; n <= 7; n++) {
        for (size_t i = 0; i < n; i++) raw[i] = slice_of(text, i * 8);
        engine_hash_nodes(n, raw, have);
        for (size_t i = 0; i < n; i++) {
            blake2b_256(want, raw[i].p, raw[i].n);
            assert_memory_equal(have[i], want, HASH_BYTES);
        }
    }
}

static void events_in_order(void **state)
{
    struct world w = {0};
    struct receipt r;
    uint8_t swap[4];
    world_start(&w);
    world_put(&w, 1, "a");
    struct node n = {.op = NODE_FLUSH, .lineage = 3};
    assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    n = (struct node){.op = NODE_FLUSH, .lineage = NODE_ALL_LINEAGES};
    assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    put_u16(swap, 0), put_u16(swap + 2, 5);
    n = (struct node){.op = NODE_SWAP, .payload = slice_of(swap, 4)};
    assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    assert_int_equal(engine_next_event(w.e, 3, 3, 0), 2);
    assert_int_equal(engine_next_event(w.e, 3, 3, 2), 3);
    assert_int_equal(engine_next_event(w.e, 3, 3, 3), UINT64_MAX);
    assert_int_equal(engine_next_event(w.e, 0, 5, 0), 3);
    assert_int_equal(engine_next_event(w.e, 0, 5, 3), 4);
    assert_int_equal(engine_next_event(w.e, 5, 0, 3), 4);
    assert_int_equal(engine_next_event(w.e, 5, 0, 4), UINT64_MAX);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_what_is_safe), cmocka_unit_test(commits_have_ends),
                                       cmocka_unit_test(dropped_nodes_are_passed_over), cmocka_unit_test(hashes_of_many),
                                       cmocka_unit_test(events_in_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
