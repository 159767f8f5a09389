#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void words_ignore_case(void **state)
{
    assert_true(slice_is(slice_str("GeT"), "get"));
    assert_true(slice_is(slice_str("get"), "GET"));
    assert_false(slice_is(slice_str("gets"), "get"));
    assert_false(slice_is(slice_str("ge"), "get"));
    assert_true(slice_is((slice){0}, ""));
    assert_false(slice_is((slice){0}, "x"));
    assert_false(slice_is(slice_of("get\0", 4), "get"));
    assert_false(slice_is(slice_str("[\\]"), "{|}")); /* 32 apart, but no letters */
    assert_false(slice_is(slice_str("\xc4"), "\xe4"));
}

static void order_is_bytewise(void **state)
{
    assert_true(slice_cmp(slice_str("a"), slice_str("b")) < 0);
    assert_true(slice_cmp(slice_str("a"), slice_str("aa")) < 0);
    assert_true(slice_cmp(slice_str("\xff"), slice_str("a")) > 0);
    assert_int_equal(slice_cmp(slice_str("ab"), slice_str("ab")), 0);
    assert_int_equal(slice_cmp((slice){0}, slice_str("")), 0);
    assert_true(slice_eq((slice){0}, slice_str("")));
    assert_false(slice_eq(slice_str("a"), slice_str("b")));
    assert_true(slice_starts(slice_str("abc"), slice_str("ab")));
    assert_true(slice_starts(slice_str("abc"), (slice){0}));
    assert_false(slice_starts(slice_str("a"), slice_str("ab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_ignore_case), cmocka_unit_test(order_is_bytewise)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
