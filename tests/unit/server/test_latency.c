/* Classes of times, and percentiles against the times themselves in order. */
#include "server/latency.h"

#include "support/json_gen.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every time has one class, classes follow each other without a gap, and none is wider than 1/64 of its times. */
static void classes(void **state)
{
    uint64_t from = 0;
    for (unsigned i = 0; i < LATENCY_CLASSES; i++) {
        uint64_t to = latency_longest(i);
        assert_true(to >= from);
        assert_int_equal(latency_class(from), i);
        assert_int_equal(latency_class(to), i);
        assert_true((to - from + 1) * 64 <= to + 1 || to == from);
        from = to + 1;
    }
    assert_int_equal(from, (uint64_t)1 << LATENCY_BITS);
    assert_int_equal(latency_class(from), LATENCY_CLASSES - 1);
    assert_int_equal(latency_class(UINT64_MAX), LATENCY_CLASSES - 1);
}

static int ascending(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void percentiles(void **state)
{
    static const double asked[] = {0, 1, 33.333, 50, 99, 99.9, 100};
    struct rng r = {11};
    for (int round = 0; round < 200; round++) {
        static uint64_t t[1000];
        static struct latency l;
        size_t n = 1 + rng_below(&r, 1000);
        memset(&l, 0, sizeof l);
        for (size_t i = 0; i < n; i++) {
            t[i] = rng_next(&r) >> (23 + rng_below(&r, 40));
            latency_add(&l, t[i]);
        }
        qsort(t, n, sizeof *t, ascending);
        for (size_t k = 0; k < sizeof asked / sizeof *asked; k++) {
            size_t rank = 1;
            while (rank < n && (double)rank * 100 < asked[k] * (double)n) rank++;
            assert_int_equal(latency_percentile(&l, asked[k]), latency_longest(latency_class(t[rank - 1])));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(classes), cmocka_unit_test(percentiles)};
    return cmocka_run_group_tests_name("latency", tests, NULL, NULL);
}
