/* Estimates: exact when few, near enough when many, in chunks and in runs. */
#include "unit/engine/foldbed.h"

static void key_of(char out[16], unsigned i)
{
    snprintf(out, 16, "k%08u", i);
}

static uint64_t estimate(struct bed *b, unsigned from, unsigned to)
{
    char lower[16], upper[16];
    uint64_t n = 0;
    key_of(lower, from);
    key_of(upper, to);
    assert_int_equal(index_estimate(b->e.index, slice_str(lower), slice_str(upper), &n), E_OK);
    return n;
}

static void check(struct bed *b, unsigned entries, struct rng *r)
{
    for (int i = 0; i < 500; i++) {
        unsigned from = (unsigned)rng_below(r, entries), want = rng_below(r, 2) ? (unsigned)rng_below(r, 63) : (unsigned)rng_below(r, entries - from);
        if (from + want > entries) want = entries - from;
        uint64_t have = estimate(b, from, from + want);
        if (want < 64)
            assert_int_equal(have, want);
        else
            assert_true(have + 400 + want / 10 >= want && have <= want + 400 + want / 10);
    }
    assert_int_equal(estimate(b, 5, 5), 0);
    assert_int_equal(estimate(b, 6, 5), 0);
    assert_int_equal(estimate(b, entries, entries + 10), 0);
}

static void test_estimates(void **state)
{
    enum { ENTRIES = 60000 };
    struct rng r = rng_start("estimates", 71);
    struct bed *b = bed_new();
    assert_int_equal(estimate(b, 0, 10), 0);
    uint64_t covers = 0;
    for (int part = 0; part < 3; part++) { /* runs and chunks hold every third */
        for (unsigned i = (unsigned)part; i < ENTRIES; i += 3) {
            char key[16];
            key_of(key, i);
            index_put(b->e.index, slice_str(key), slice_str("value"), 0);
        }
        index_step(b->e.index, ++covers);
        if (part < 2) assert_int_equal(index_flush(b->e.index), E_OK);
    }
    check(b, ENTRIES, &r);
    assert_int_equal(index_flush(b->e.index), E_OK);
    check(b, ENTRIES, &r);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_estimates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
