/* The set against a table of bits, the sort against qsort. */
#include "modules/doc/seq_set.h"

#include "support/json_gen.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 1000000

static void test_a_million_seqs(void **state)
{
    struct rng r = {5};
    struct seq_set s = {0};
    uint8_t *seen = calloc(1, 2 * MANY);
    size_t n = 0;
    for (size_t i = 0; i < MANY; i++) {
        uint64_t seq = 1 + rng_next(&r) % (2 * MANY - 1);
        assert_int_equal(seq_set_add(&s, seq), !seen[seq]);
        n += !seen[seq];
        seen[seq] = 1;
    }
    assert_int_equal(s.n, n);
    for (uint64_t seq = 1; seq < 2 * MANY; seq++)
        if (seen[seq]) assert_false(seq_set_add(&s, seq));
    assert_true(s.n * 3 <= s.cap * 2);
    free(seen);
    seq_set_fini(&s);
}

/* Strides as walks have them: every node, one in 64, the ends of large commits. None may make the table slow. */
static void test_strides_and_reuse(void **state)
{
    static const uint64_t stride[] = {1, 64, 1000, 1 << 16, 1 << 20};
    struct seq_set s = {0};
    for (size_t k = 0; k < sizeof stride / sizeof *stride; k++) {
        for (uint64_t i = 1; i <= 100000; i++) assert_true(seq_set_add(&s, i * stride[k]));
        for (uint64_t i = 1; i <= 100000; i++) assert_false(seq_set_add(&s, i * stride[k]));
        assert_true(seq_set_add(&s, UINT64_MAX));
        assert_false(seq_set_add(&s, UINT64_MAX));
        seq_set_fini(&s);
        assert_true(s.slot == NULL && s.n == 0 && s.cap == 0);
    }
    seq_set_fini(&s);
}

/* The table grows, and seqs move while others come: nothing is lost at any size. */
static void test_borders_of_growth(void **state)
{
    struct seq_set s = {0};
    for (uint64_t i = 1; i <= 5000; i++) {
        assert_true(seq_set_add(&s, i * 7));
        if (i < 70 || (i & (i - 1)) == 0)
            for (uint64_t k = 1; k <= i; k++) assert_false(seq_set_add(&s, k * 7));
        assert_int_equal(s.n, i);
    }
    seq_set_fini(&s);
}

static int compare(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static uint64_t number_of(struct rng *r, unsigned shape, size_t i, size_t n)
{
    switch (shape) {
    case 0: return rng_next(r);
    case 1: return i;
    case 2: return n - i;
    case 3: return 77;
    case 4: return 1ull << 40 | rng_below(r, 200); /* one byte differs: one pass, the result is in the other memory */
    case 5: return rng_next(r) & 0xff0000ff;       /* two, with equal ones between */
    case 6: return rng_next(r) & 0xffffff;         /* three */
    case 7: return i == n - 1 ? 0 : i + 1;         /* in order but for the last */
    default: return (rng_next(r) & 1) << 63 | rng_below(r, 3);
    }
}

static void test_sort(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 63, 64, 65, 66, 255, 256, 1000, 70000};
    struct rng r = {9};
    uint64_t *got = malloc(70000 * sizeof *got), *want = malloc(70000 * sizeof *want);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (unsigned shape = 0; shape < 9; shape++) {
            size_t n = sizes[k];
            for (size_t i = 0; i < n; i++) got[i] = want[i] = number_of(&r, shape, i, n);
            qsort(want, n, sizeof *want, compare);
            seq_sort(got, n);
            assert_memory_equal(got, want, n * sizeof *got);
            seq_sort(got, n); /* what is in order stays so */
            assert_memory_equal(got, want, n * sizeof *got);
        }
    free(got);
    free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_million_seqs),
        cmocka_unit_test(test_strides_and_reuse),
        cmocka_unit_test(test_borders_of_growth),
        cmocka_unit_test(test_sort),
    };
    return cmocka_run_group_tests_name("doc_seq_set", tests, NULL, NULL);
}
