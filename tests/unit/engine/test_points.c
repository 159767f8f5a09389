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

/* Compaction leaves commits whole, with holes, without their beginning or end, or not at all; where one ends stays what it was, once over and again. */
static void rounding_among_holes(void **state)
{
    enum { COMMITS = 120 };
    struct world w = {0};
    struct compact_stats dry, real;
    struct engine_stats stats;
    uint64_t first_of[COMMITS * 8 + 1] = {0}, last_of[COMMITS * 8 + 1] = {0}, seq = 0, dice = 7, p, first, last;
    struct buf mem = {0};
    struct node n;
    world_start(&w);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < COMMITS / 3; i++) {
            dice = dice * 6364136223846793005u + 1442695040888963407u;
            unsigned count = 1 + (unsigned)(dice >> 33) % 8;
            world_batch(&w, (unsigned)(dice >> 40) % (WORLD_KEYS - 8), count, "x");
            for (unsigned k = 0; k < count; k++) first_of[seq + 1 + k] = seq + 1, last_of[seq + 1 + k] = seq + count;
            seq += count;
        }
        struct compact_options o = {.keep_versions = 3 - round, .dry_run = true};
        assert_int_equal(engine_compact(w.e, &o, &dry), E_OK);
        o.dry_run = false;
        assert_int_equal(engine_compact(w.e, &o, &real), E_OK);
        assert_true(real.dropped > 0 && dry.bytes_after == real.bytes_after);
        engine_get_stats(w.e, &stats);
        assert_int_equal(stats.bytes_log, real.bytes_after);
        for (int cold = 0; cold < 2; cold++) {
            unsigned left = 0, cut = 0;
            for (uint64_t s = 1; s <= seq; s++) {
                bool any = false;
                for (uint64_t k = first_of[s]; k <= last_of[s]; k++) any |= engine_read(w.e, k, &mem, &n) == E_OK;
                assert_int_equal(engine_round_down(w.e, s, &p), E_OK);
                assert_int_equal(p, any && s < last_of[s] ? first_of[s] - 1 : s);
                int rc = engine_read(w.e, s, &mem, &n);
                assert_int_equal(engine_commit_of(w.e, s, &first, &last), any ? E_OK : E_PRUNED);
                if (any) assert_true(first == first_of[s] && last == last_of[s]);
                left += rc == E_OK;
                cut += rc == E_OK && engine_read(w.e, last, &mem, &n) == E_PRUNED;
            }
            assert_true(left == real.live && cut > 5);
            if (!cold) world_reopen(&w);
        }
    }
    buf_fini(&mem);
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
        cmocka_unit_test(rounding_among_holes),
        cmocka_unit_test(by_hash),
        cmocka_unit_test(by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
