/* The smallest places of a result, in bounded memory. */
#include "modules/doc/query_keep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t state_of_rng = 88172645463325252u;

static uint64_t rnd(uint64_t below)
{
    state_of_rng ^= state_of_rng << 13, state_of_rng ^= state_of_rng >> 7, state_of_rng ^= state_of_rng << 17;
    return state_of_rng % below;
}

static void offer(struct query_keep *k, unsigned place)
{
    char text[16], name[16];
    snprintf(text, sizeof text, "%08u", place);
    snprintf(name, sizeof name, "n%u", place);
    query_keep_offer(k, slice_str(text), slice_str(name));
}

static unsigned place_of(const struct query_keep *k, size_t i)
{
    char text[16];
    slice p = query_keep_place(k->at[i]);
    snprintf(text, sizeof text, "%.*s", (int)p.n, (const char *)p.p);
    return (unsigned)strtoul(text, NULL, 10);
}

/* What is kept is a beginning of what was offered, whole as far as the limits let it be. */
static void test_smallest(void **state)
{
    for (int round = 0; round < 200; round++) {
        struct query_keep k = {0};
        size_t n = 1 + rnd(300), rows = 1 + rnd(80), bytes = rnd(3) ? 1 << 20 : 200 + rnd(3000);
        unsigned *order = malloc(n * sizeof *order);
        for (size_t i = 0; i < n; i++) order[i] = (unsigned)i;
        for (size_t i = n; i > 1; i--) {
            size_t j = rnd(i);
            unsigned t = order[i - 1];
            order[i - 1] = order[j], order[j] = t;
        }
        query_keep_init(&k, rows, bytes);
        for (size_t i = 0; i < n; i++) offer(&k, order[i]);
        query_keep_sort(&k);
        assert_true(k.n >= 1 && k.n <= rows && (k.n == 1 || k.bytes <= bytes));
        for (size_t i = 0; i < k.n; i++) {
            char name[24];
            assert_int_equal(place_of(&k, i), i);
            snprintf(name, sizeof name, "n%zu", i);
            assert_true(slice_eq(query_keep_name(k.at[i]), slice_str(name)));
        }
        assert_int_equal(k.dropped, k.n < n);
        if (bytes == 1 << 20) assert_int_equal(k.n, n < rows ? n : rows);
        query_keep_fini(&k);
        free(order);
    }
}

static void test_one_place_once(void **state)
{
    struct query_keep k = {0};
    query_keep_init(&k, 10, 1 << 20);
    for (unsigned i = 0; i < 9; i++) offer(&k, i % 3);
    query_keep_sort(&k);
    assert_int_equal(k.n, 3);
    for (unsigned i = 0; i < 3; i++) assert_int_equal(place_of(&k, i), i);
    query_keep_fini(&k);
}

/* One entry is kept even when it alone is over the limit: a page makes progress whatever rows weigh. */
static void test_too_big_for_the_limit(void **state)
{
    struct query_keep k = {0};
    query_keep_init(&k, 10, 10);
    offer(&k, 5);
    offer(&k, 3);
    offer(&k, 4);
    query_keep_sort(&k);
    assert_int_equal(k.n, 1);
    assert_int_equal(place_of(&k, 0), 3);
    assert_true(k.dropped);
    query_keep_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_smallest), cmocka_unit_test(test_one_place_once),
                                       cmocka_unit_test(test_too_big_for_the_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
