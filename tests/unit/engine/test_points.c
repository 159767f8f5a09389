/* Points: rounding, commits, hashes, times, reading by seq. */
#include "unit/engine/engine_world.h"

static void reading(void **state)
{
    struct world w = {0};
    struct buf mem = {0};
    struct node n;
    world_start(&w);
    assert_int_equal(engine_read(w.e, 0, &mem, &n), E_NOTFOUND);
    assert_int_equal(engine_read(w.e, 1, &mem, &n), E_NOTFOUND);
    uint64_t s = world_put(&w, 3, "three");
    assert_int_equal(engine_read(w.e, s, &mem, &n), E_OK); /* still in the ring when asked for */
    assert_int_equal(n.seq, s);
    assert_true(slice_eq(n.payload, slice_str("three")));
    assert_int_equal(engine_read(w.e, s + 1, &mem, &n), E_NOTFOUND);
    buf_fini(&mem);
    world_stop(&w);
}

static void rounding(void **state)
{
    struct world w = {0};
    uint64_t p;
    world_start(&w);
    assert_int_equal(engine_round_down(w.e, 9, &p), E_OK);
    assert_int_equal(p, 0);
    world_put(&w, 0, "a");      /* 1 */
    world_batch(&w, 0, 4, "b"); /* 2..5 */
    world_put(&w, 0, "c");      /* 6 */
    const uint64_t want[] = {0, 1, 1, 1, 1, 5, 6, 6};
    for (uint64_t s = 0; s < 8; s++) {
        assert_int_equal(engine_round_down(w.e, s, &p), E_OK);
        assert_int_equal(p, want[s]);
    }
    assert_int_equal(engine_round_down(w.e, UINT64_MAX, &p), E_OK);
    assert_int_equal(p, 6);
    world_stop(&w);
}

static void by_hash(void **state)
{
    struct world w = {0};
    uint8_t hash[HASH_BYTES];
    char hex[2 * HASH_BYTES + 1];
    uint64_t seq;
    world_start(&w);
    for (unsigned i = 0; i < 100; i++) world_put(&w, i % 5, "v");
    for (uint64_t s = 1; s <= 100; s += 9) {
        assert_int_equal(engine_hash(w.e, s, hash), E_OK);
        hex_encode(hex, hash, HASH_BYTES);
        assert_int_equal(engine_seq_by_hash(w.e, slice_str(hex), &seq), E_OK);
        assert_int_equal(seq, s);
        assert_int_equal(engine_seq_by_hash(w.e, slice_of(hex, 9), &seq), E_OK);
        assert_int_equal(seq, s);
    }
    assert_int_equal(engine_seq_by_hash(w.e, slice_of(hex, 7), &seq), E_SYNTAX);
    assert_int_equal(engine_seq_by_hash(w.e, slice_str("xyxyxyxy"), &seq), E_SYNTAX);
    hex[0] = hex[0] == 'f' ? '0' : 'f';
    assert_int_equal(engine_seq_by_hash(w.e, slice_str(hex), &seq), E_NOTFOUND);
    world_stop(&w);
}

static void by_time(void **state)
{
    struct world w = {0};
    char name[32];
    uint64_t seq;
    struct receipt r;
    world_start(&w);
    uint64_t t0 = engine_now_ms(w.e) + 1000;
    for (unsigned i = 0; i < 10; i++) {
        struct node n = world_node(&w, 0, NODE_PUT, slice_str("v"), name);
        n.ts_ms = t0 + i / 2 * 100;
        assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
        world_took(&w, 0, &n);
    }
    assert_int_equal(engine_seq_by_time(w.e, t0 - 1, &seq), E_OK);
    assert_int_equal(seq, 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(engine_seq_by_time(w.e, t0 + i * 100, &seq), E_OK);
        assert_int_equal(seq, 2 * i + 2);
        assert_int_equal(engine_seq_by_time(w.e, t0 + i * 100 + 99, &seq), E_OK);
        assert_int_equal(seq, 2 * i + 2);
    }
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),
        cmocka_unit_test(rounding),
        cmocka_unit_test(by_hash),
        cmocka_unit_test(by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
