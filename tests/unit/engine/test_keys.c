/* Live keys in hash order: the model's keys, each once, also when the walk is cut at any position and the store changes meanwhile. */
#include "unit/engine/foldbed.h"

static uint64_t flushed_now(struct bed *b, uint16_t lineage)
{
    return model_flushed(b, lineage, UINT64_MAX);
}

static void check_all(struct bed *b, uint16_t lineage)
{
    struct key_cursor *c = NULL;
    struct live_key k;
    size_t want = 0, have = 0;
    uint64_t last = 0;
    int rc;
    for (size_t i = 0; i < BED_KEYS; i++) want += model_live(b, SPACE_KEY, lineage, slice_str(bed_keys[i]), UINT64_MAX) != NULL;
    assert_int_equal(engine_keys(&b->e, lineage, flushed_now(b, lineage), 0, &c), E_OK);
    while ((rc = key_cursor_next(c, &k)) == E_OK) {
        const struct node *n = model_live(b, SPACE_KEY, lineage, k.key, UINT64_MAX);
        assert_non_null(n);
        assert_int_equal(k.type, n->type);
        assert_int_equal(k.expires, n->expire_ms != 0);
        assert_int_equal(k.hash, key_hash(&b->e.seed, k.key.p, k.key.n));
        assert_true(have == 0 || k.hash >= last);
        last = k.hash;
        have++;
    }
    assert_int_equal(rc, E_END);
    assert_int_equal(have, want);
    key_cursor_close(&c);
}

static void test_random(void **state)
{
    struct rng r = rng_start("keys", 61);
    struct bed *b = bed_new();
    for (int i = 0; i < 100; i++) {
        random_history(b, &r, 15);
        for (uint16_t l = 0; l < BED_LINEAGES; l++) check_all(b, l);
    }
    bed_free(b);
}

#define STAYING 300
static void name_of(char out[32], int i)
{
    snprintf(out, 32, "stays:%d", i);
}

static void test_positions(void **state)
{
    struct rng r = rng_start("positions", 62);
    struct bed *b = bed_new();
    char name[32];
    int seen[STAYING] = {0};
    for (int i = 0; i < STAYING; i++) name_of(name, i), bed_put(b, 0, name, TYPE_STRING, "v");
    bed_step(b);
    for (uint64_t from = 0, done = 0; !done;) {
        struct key_cursor *c = NULL;
        struct live_key k;
        uint64_t position = 0, batch = 1 + rng_below(&r, 20);
        int rc = E_OK;
        assert_int_equal(engine_keys(&b->e, 0, 0, from, &c), E_OK);
        for (uint64_t i = 0; (rc = key_cursor_next(c, &k)) == E_OK; i++) {
            assert_true(k.hash >= from);
            if (i >= batch && k.hash != position) break; /* whole positions only */
            position = k.hash;
            if (k.key.n > 6 && memcmp(k.key.p, "stays:", 6) == 0) seen[strtol((const char *)k.key.p + 6, NULL, 10)]++;
        }
        done = rc == E_END;
        from = position + 1;
        key_cursor_close(&c);
        for (int i = 0; i < 5; i++) { /* others come and go, and the staying ones change */
            snprintf(name, sizeof name, "goes:%d", (int)rng_below(&r, 50));
            if (model_live(b, SPACE_KEY, 0, slice_str(name), UINT64_MAX))
                bed_delete(b, 0, name);
            else
                bed_put(b, 0, name, TYPE_STRING, "v");
            name_of(name, (int)rng_below(&r, STAYING));
            bed_put(b, 0, name, rng_below(&r, 2) ? TYPE_STRING : TYPE_DOCUMENT, "1");
        }
        bed_step(b);
    }
    for (int i = 0; i < STAYING; i++) assert_int_equal(seen[i], 1);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_positions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
