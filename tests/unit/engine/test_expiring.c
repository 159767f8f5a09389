/* Expiries by time: every live expiry of the model is there, ranges are exact, and merging forgets only what was handed out. */
#include "unit/engine/foldbed.h"

#define DAY_MS (24ull * 3600 * 1000)

static void check_range(struct bed *b, uint64_t after, uint64_t upto)
{
    struct expiry_cursor *c = NULL;
    uint64_t ms, seq, last = after;
    uint16_t lineage;
    slice key;
    size_t live = 0, want = 0;
    int rc;
    for (uint16_t l = 0; l < BED_LINEAGES; l++)
        for (size_t i = 0; i < BED_KEYS; i++) {
            const struct node *n = model_live(b, SPACE_KEY, l, slice_str(bed_keys[i]), UINT64_MAX);
            want += n && n->expire_ms > after && n->expire_ms <= upto;
        }
    assert_int_equal(engine_expiring(&b->e, after, upto, &c), E_OK);
    while ((rc = expiry_next(c, &ms, &lineage, &key, &seq)) == E_OK) {
        assert_true(ms > after && ms <= upto && ms >= last);
        last = ms;
        const struct node *n = model_live(b, SPACE_KEY, lineage, key, UINT64_MAX);
        live += n && n->expire_ms == ms;
    }
    assert_int_equal(rc, E_END);
    assert_int_equal(live, want);
    expiry_close(&c);
    assert_null(c);
}

static void test_random(void **state)
{
    struct rng r = rng_start("expiring", 91);
    for (int round = 0; round < 4; round++) {
        struct bed *b = bed_new();
        for (int i = 0; i < 20; i++) {
            random_history(b, &r, 40);
            check_range(b, 0, UINT64_MAX);
            uint64_t from = b->now_ms - 200 + rng_below(&r, 600);
            check_range(b, from, from + rng_below(&r, 300));
        }
        bed_free(b);
    }
}

static bool drops(struct bed *b, uint64_t ms)
{
    struct buf key = {0}, value = {0};
    range_expiry(&key, ms, 0, slice_str("k"));
    range_seq_value(&value, 1);
    bool r = fold_drop(b->e.fold, buf_slice(&key), buf_slice(&value));
    buf_fini(&key), buf_fini(&value);
    return r;
}

static void run(struct bed *b, uint64_t after, uint64_t upto)
{
    struct expiry_cursor *c = NULL;
    uint64_t ms, seq;
    uint16_t lineage;
    slice key;
    assert_int_equal(engine_expiring(&b->e, after, upto, &c), E_OK);
    while (expiry_next(c, &ms, &lineage, &key, &seq) == E_OK) continue;
    expiry_close(&c);
}

static void test_forgetting(void **state)
{
    struct bed *b = bed_new();
    uint64_t start = b->now_ms;
    bed_write(b, (struct node){.op = NODE_PUT, .type = TYPE_STRING, .key = slice_str("k"), .expire_ms = start + 10});
    b->now_ms += 3 * DAY_MS;
    bed_put(b, 0, "later", TYPE_STRING, "v");
    bed_step(b);
    assert_false(drops(b, start + 10)); /* long past, but nobody has been told */
    run(b, start + 500, b->now_ms);     /* told with a gap before it */
    assert_false(drops(b, start + 10));
    run(b, 0, start + 1000);
    assert_false(drops(b, start + 10)); /* not a day ago */
    run(b, start + 1000, b->now_ms);
    assert_true(drops(b, start + 10));
    assert_false(drops(b, b->now_ms - DAY_MS));
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_forgetting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
