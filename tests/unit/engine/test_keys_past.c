/* Keys at a point: those of the model, each once, in the order of their hash, from any position. */
#include "unit/engine/foldbed.h"

static size_t live_at(struct bed *b, uint16_t lineage, uint64_t at)
{
    size_t n = 0;
    for (size_t i = 0; i < BED_KEYS; i++) n += model_live(b, SPACE_KEY, lineage, slice_str(bed_keys[i]), at) != NULL;
    return n;
}

/* Returns how many there are from the position on. */
static size_t check_from(struct bed *b, uint16_t lineage, uint64_t at, uint64_t from)
{
    struct past_cursor *c = NULL;
    struct live_key k;
    struct version v;
    size_t have = 0;
    uint64_t last = 0;
    int rc;
    assert_int_equal(engine_keys_at(&b->e, lineage, model_flushed(b, lineage, at), at, from, &c), E_OK);
    while ((rc = past_cursor_next(c, &k, &v)) == E_OK || rc == E_AGAIN) {
        if (rc == E_AGAIN) continue;
        const struct node *n = model_live(b, SPACE_KEY, lineage, k.key, at);
        assert_non_null(n);
        assert_int_equal(v.seq, n->seq);
        assert_int_equal(k.type, n->type);
        assert_int_equal(k.expires, n->expire_ms != 0);
        assert_int_equal(k.hash, key_hash(&b->e.seed, k.key.p, k.key.n));
        assert_true(k.hash >= from && (have == 0 || k.hash >= last));
        assert_true(slice_eq(k.key, past_cursor_key(c)));
        last = k.hash;
        have++;
    }
    assert_int_equal(rc, E_END);
    past_cursor_close(&c);
    assert_null(c);
    return have;
}

static void test_every_point(void **state)
{
    (void)state;
    struct rng r = rng_start("keys at points", 63);
    struct bed *b = bed_new();
    for (int i = 0; i < 40; i++) {
        random_history(b, &r, 15);
        for (int probe = 0; probe < 10; probe++) {
            uint64_t at = 1 + rng_below(&r, b->n);
            for (uint16_t l = 0; l < BED_LINEAGES; l++) {
                size_t all = live_at(b, l, at), low = 0;
                assert_int_equal(check_from(b, l, at, 0), all);
                for (size_t k = 0; k < BED_KEYS; k++) {
                    slice key = slice_str(bed_keys[k]);
                    if (model_live(b, SPACE_KEY, l, key, at) && key_hash(&b->e.seed, key.p, key.n) < UINT64_MAX / 2) low++;
                }
                assert_int_equal(check_from(b, l, at, UINT64_MAX / 2), all - low);
            }
        }
    }
    bed_free(b);
}

static void test_below_the_horizon(void **state)
{
    (void)state;
    struct bed *b = bed_new();
    struct past_cursor *c = NULL;
    for (int i = 0; i < 5; i++) bed_put(b, 0, "a", TYPE_STRING, "v");
    bed_step(b);
    book_set(&b->e.fold->horizon[HORIZON_KEYS], 4);
    assert_int_equal(engine_keys_at(&b->e, 0, 0, 3, 0, &c), E_PRUNED);
    assert_null(c);
    assert_int_equal(check_from(b, 0, 4, 0), 1);
    bed_free(b);
}

/* Many keys that are newer than the point, and keys with many versions: the walk stops now and then, and misses nothing. */
static void test_turns(void **state)
{
    (void)state;
    struct bed *b = bed_new();
    struct past_cursor *c = NULL;
    struct live_key k;
    struct version v;
    char name[16];
    unsigned turns = 0, found = 0;
    for (int i = 0; i < 40; i++) bed_put(b, 0, "a", TYPE_STRING, "v");
    for (int i = 0; i < 5; i++) bed_put(b, 0, "b", TYPE_STRING, "v");
    uint64_t at = b->n;
    for (int i = 0; i < 12; i++) bed_put(b, 0, "a", TYPE_STRING, "v");
    for (int i = 0; i < 12; i++) bed_put(b, 0, "c", TYPE_STRING, "v");
    for (int i = 0; i < 9000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        bed_put(b, 0, name, TYPE_STRING, "v");
    }
    bed_step(b);
    assert_int_equal(engine_keys_at(&b->e, 0, 0, at, 0, &c), E_OK);
    for (int rc; (rc = past_cursor_next(c, &k, &v)) != E_END;) {
        turns += rc == E_AGAIN;
        if (rc == E_AGAIN) continue;
        assert_int_equal(rc, E_OK);
        found += slice_eq(k.key, slice_str("a")) && v.seq == 40;
        found += slice_eq(k.key, slice_str("b")) && v.seq == 45;
    }
    assert_int_equal(found, 2);
    assert_true(turns >= 2);
    past_cursor_close(&c);
    assert_int_equal(check_from(b, 0, at, 0), 2);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_point), cmocka_unit_test(test_below_the_horizon),
                                       cmocka_unit_test(test_turns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
