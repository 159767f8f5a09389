/* Appending: single nodes, batches, times, salts, hashes. */
#include "unit/engine/engine_world.h"

static void seqs_are_dense(void **state)
{
    struct world w = {0};
    world_start(&w);
    for (unsigned i = 1; i <= 500; i++) assert_int_equal(world_put(&w, i % WORLD_KEYS, "v"), i);
    assert_int_equal(world_batch(&w, 0, 10, "b"), 501);
    assert_int_equal(world_put(&w, 0, "v"), 511);
    world_stop(&w);
}

static void hash_is_of_the_bytes(void **state)
{
    struct world w = {0};
    char name[32];
    uint8_t want[HASH_BYTES];
    struct receipt r[2];
    struct buf mem = {0};
    slice raw;
    world_start(&w);
    struct node n = world_node(&w, 1, NODE_PUT, slice_str("{\"a\":1}"), name);
    assert_int_equal(engine_append(w.e, &n, true, &r[0]), E_OK);
    world_took(&w, 1, &n);
    struct batch *b = engine_batch_begin(w.e);
    struct node m = world_node(&w, 1, NODE_PUT, slice_str("{\"a\":2}"), name);
    engine_batch_add(b, &m, true, &r[1]);
    uint64_t end;
    assert_int_equal(engine_batch_commit(&b, &end), E_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(engine_read_raw(w.e, r[i].seq, &mem, &raw), E_OK);
        blake2b_256(want, raw.p, raw.n);
        assert_memory_equal(want, r[i].hash, HASH_BYTES);
    }
    assert_memory_not_equal(n.salt, m.salt, NODE_SALT_BYTES);
    buf_fini(&mem);
    world_stop(&w);
}

static void times_never_go_back(void **state)
{
    struct world w = {0};
    struct receipt r;
    char name[32];
    world_start(&w);
    uint64_t far = engine_now_ms(w.e) + 100000;
    struct node n = world_node(&w, 1, NODE_PUT, slice_str("a"), name);
    n.ts_ms = far;
    assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    assert_int_equal(n.ts_ms, far);
    assert_int_equal(engine_now_ms(w.e), far);
    struct node m = world_node(&w, 2, NODE_PUT, slice_str("a"), name);
    m.ts_ms = far - 5000;
    assert_int_equal(engine_append(w.e, &m, false, &r), E_OK);
    assert_int_equal(m.ts_ms, far);
    world_reopen(&w);
    assert_int_equal(engine_now_ms(w.e), far);
    world_stop(&w);
}

static void batch_is_one_commit(void **state)
{
    struct world w = {0};
    uint64_t first, last;
    world_start(&w);
    world_put(&w, 0, "x");
    uint64_t b = world_batch(&w, 0, 20, "y");
    world_put(&w, 0, "z");
    for (uint64_t s = b; s < b + 20; s++) {
        assert_int_equal(engine_commit_of(w.e, s, &first, &last), E_OK);
        assert_int_equal(first, b);
        assert_int_equal(last, b + 19);
    }
    assert_int_equal(engine_commit_of(w.e, b + 20, &first, &last), E_OK);
    assert_int_equal(first, b + 20);
    world_stop(&w);
}

static void aborted_batch_leaves_no_trace(void **state)
{
    struct world w = {0};
    char name[32];
    struct receipt r;
    uint64_t end;
    world_start(&w);
    struct batch *b = engine_batch_begin(w.e);
    struct node n = world_node(&w, 0, NODE_PUT, slice_str("never"), name);
    slice raw;
    struct node back;
    assert_false(engine_batch_raw(b, 1, &raw));
    engine_batch_add(b, &n, false, &r);
    assert_true(engine_batch_raw(b, r.seq, &raw));
    assert_false(engine_batch_raw(b, r.seq + 1, &raw) || engine_batch_raw(b, 0, &raw));
    assert_int_equal(node_decode(raw, &back), E_OK);
    assert_int_equal(back.seq, r.seq);
    assert_int_equal(raw.n, node_size(&n));
    assert_true(slice_eq(back.payload, slice_str("never")));
    engine_batch_abort(&b);
    assert_null(b);
    assert_int_equal(world_put(&w, 0, "first"), 1);
    b = engine_batch_begin(w.e);
    assert_int_equal(engine_batch_commit(&b, &end), E_OK);
    assert_int_equal(end, w.end);
    world_stop(&w);
}

/* A commit of more nodes than one may have is refused as a whole, however far it came. */
static void too_large_batch_is_refused(void **state)
{
    struct world w = {0};
    struct receipt r;
    struct node n = {.op = NODE_PUT, .type = TYPE_STRING, .ver = 1, .key = slice_str("k")};
    uint64_t end;
    world_start(&w);
    struct batch *b = engine_batch_begin(w.e);
    for (unsigned i = 0; i <= 1u << 20; i++) engine_batch_add(b, &n, false, &r);
    assert_int_equal(engine_batch_commit(&b, &end), E_TOOBIG);
    assert_null(b);
    assert_int_equal(engine_failure(w.e), E_OK);
    assert_int_equal(world_put(&w, 0, "first"), 1);
    world_reopen(&w);
    assert_int_equal(engine_tree_size(w.e), 1);
    world_stop(&w);
}

/* Larger than the whole ring. */
static void large_nodes_and_batches(void **state)
{
    struct world w = {0};
    char *text = mem_zalloc(300001);
    memset(text, 'x', 300000);
    world_start(&w);
    world_put(&w, 1, text);
    uint64_t b = world_batch(&w, 2, 3, text);
    assert_int_equal(world_batch(&w, 0, 5000, "small"), b + 3);
    world_put(&w, 1, "after");
    world_reopen(&w);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    world_expect(&w, 1, 1, text, 0);
    world_expect(&w, 2, b, text, 0);
    world_expect(&w, 1, UINT64_MAX, "after", 0);
    mem_free(text);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seqs_are_dense),
        cmocka_unit_test(hash_is_of_the_bytes),
        cmocka_unit_test(times_never_go_back),
        cmocka_unit_test(batch_is_one_commit),
        cmocka_unit_test(aborted_batch_leaves_no_trace),
        cmocka_unit_test(too_large_batch_is_refused), cmocka_unit_test(large_nodes_and_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
