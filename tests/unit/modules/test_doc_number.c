/* Sums of JSON numbers. */
#include "modules/doc/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *sum(const char *a, const char *b)
{
    static char text[NUMBER_TEXT_MAX + 1];
    size_t n = 0;
    enum number_sum r = number_add(slice_str(a), slice_str(b), text, &n);
    if (r == NUMBER_OVERFLOW) return "overflow";
    if (r == NUMBER_INFINITE) return "infinite";
    assert_in_range(n, 1, NUMBER_TEXT_MAX);
    text[n] = 0;
    assert_int_equal(json_check(slice_of(text, n), NULL, NULL), E_OK);
    return text;
}

static void sums(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"1", "2", "3"},
        {"-1", "1", "0"},
        {"-0", "0", "0"},
        {"9007199254740992", "1", "9007199254740993"},
        {"9223372036854775807", "1", "9223372036854775808"},
        {"18446744073709551614", "1", "18446744073709551615"},
        {"18446744073709551615", "1", "overflow"},
        {"18446744073709551615", "-18446744073709551615", "0"},
        {"-9223372036854775808", "-1", "overflow"},
        {"-9223372036854775807", "-1", "-9223372036854775808"},
        {"18446744073709551615", "-9223372036854775808", "9223372036854775807"},
        {"1.0", "2", "3"},
        {"1e2", "1", "101"},
        {"0.1", "0.2", "0.30000000000000004"},
        {"1.5", "1.5", "3"},
        {"1e308", "1e308", "infinite"},
        {"-1e308", "-1e308", "infinite"},
        {"1e400", "0", "infinite"},
        {"5e-324", "0", "5e-324"},
        {"1e300", "1", "1e+300"},
        {"3", "-0.5", "2.5"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(sum(rows[i][0], rows[i][1]), rows[i][2]);
        assert_string_equal(sum(rows[i][1], rows[i][0]), rows[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums)};
    return cmocka_run_group_tests_name("doc_number", tests, NULL, NULL);
}
