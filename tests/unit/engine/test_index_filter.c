/* The filter: never a false no, few false yeses, also after shrinking. */
#include "unit/engine/index_oracle.h"

#include "engine/index_filter.h"

static uint64_t member(uint64_t i)
{
    uint8_t b[8];
    put_u64(b, i);
    return index_filter_hash(slice_of(b, 8));
}

static void check(uint64_t announced, uint64_t n)
{
    struct index_filter f;
    index_filter_init(&f, announced);
    for (uint64_t i = 0; i < n; i++) index_filter_add(&f, member(i));
    index_filter_shrink(&f, n);
    for (uint64_t i = 0; i < n; i++) assert_true(index_filter_has(&f, member(i)));
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < 20000; i++) wrong += index_filter_has(&f, member(1u << 30 | i));
    if (n > 1000) assert_true(f.n_blocks <= 2 * (n * FILTER_BITS / 512 + 32));
    assert_true(wrong <= 20000 / 40);
    index_filter_fini(&f);
}

static void test_members_and_strangers(void **state)
{
    const uint64_t n[] = {0, 1, 5, 50, 1000, 30000};
    for (size_t i = 0; i < sizeof n / sizeof *n; i++) {
        check(n[i], n[i]);
        check(n[i] * 3 + 100, n[i]);
        check(n[i] * 40 + 1, n[i]);
    }
}

static void test_empty_says_no(void **state)
{
    struct index_filter f;
    index_filter_init(&f, 0);
    assert_false(index_filter_has(&f, member(1)));
    index_filter_fini(&f);
    index_filter_init(&f, 100);
    index_filter_shrink(&f, 0);
    assert_int_equal(f.n_blocks, 0);
    index_filter_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_members_and_strangers), cmocka_unit_test(test_empty_says_no)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
