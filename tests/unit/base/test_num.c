#include "base/num.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void integers(void **state)
{
    static const char *const bad[] = {"", "-", "+1", "01", "-0", "-01", "00", " 1", "1 ", "1a", "a", "1.0", "0x1", "--1",
                                      "9223372036854775808", "-9223372036854775809", "99999999999999999999", "100000000000000000000"};
    static const int64_t good[] = {0, 1, -1, 9, 10, -10, 123456789, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1};
    int64_t i = 42;
    uint64_t u = 42;
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
        if (num_parse_i64(slice_str(bad[k]), &i)) fail_msg("%s", bad[k]);
    assert_false(num_parse_i64(slice_of("1\0", 2), &i));
    assert_int_equal(i, 42); /* written only on success */
    for (size_t k = 0; k < sizeof good / sizeof good[0]; k++) {
        char text[24], want[24];
        snprintf(want, sizeof want, "%lld", (long long)good[k]);
        assert_int_equal(num_format_i64(text, good[k]), strlen(want));
        assert_string_equal(text, want);
        assert_true(num_parse_i64(slice_str(text), &i));
        assert_int_equal(i, good[k]);
    }
    char text[24];
    assert_int_equal(num_format_u64(text, UINT64_MAX), 20);
    assert_string_equal(text, "18446744073709551615");
    assert_true(num_parse_u64(slice_str(text), &u) && u == UINT64_MAX);
    assert_false(num_parse_u64(slice_str("18446744073709551616"), &u));
    assert_false(num_parse_u64(slice_str("-1"), &u));
    assert_false(num_parse_u64(slice_str("007"), &u));
}

static void floats_are_read_strictly(void **state)
{
    static const char *const bad[] = {"", " 1", "1 ", "1x", "nan", "-nan", "x", "1e400", "-1e400", "1e-400", "1..0", "--1"};
    static const struct {
        const char *text;
        double v;
    } good[] = {{"1", 1}, {"-1", -1}, {"+1", 1}, {"01", 1}, {"1.5", 1.5}, {".5", .5}, {"5.", 5}, {"1e3", 1000}, {"0x10", 16}, {"inf", INFINITY},
                {"-inf", -INFINITY}, {"Infinity", INFINITY}, {"9007199254740993", 9007199254740992.0}, {"123456789012345678", 123456789012345680.0},
                {"4.9e-324", 4.9406564584124654e-324}, {"-0", 0}};
    double d = 42;
    long double l = 42;
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        if (num_parse_double(slice_str(bad[k]), &d)) fail_msg("%s", bad[k]);
        if (strstr(bad[k], "e") == NULL && num_parse_ldouble(slice_str(bad[k]), &l)) fail_msg("%s", bad[k]);
    }
    assert_true(d == 42 && l == 42);
    assert_false(num_parse_double(slice_of("1\0", 2), &d));
    assert_false(num_parse_ldouble(slice_str("1e5000"), &l));
    for (size_t k = 0; k < sizeof good / sizeof good[0]; k++) {
        assert_true(num_parse_double(slice_str(good[k].text), &d));
        assert_true(d == good[k].v);
        assert_true(num_parse_ldouble(slice_str(good[k].text), &l));
        assert_true((double)l == good[k].v);
    }
    assert_true(num_parse_double(slice_of("12345", 3), &d) && d == 123); /* no NUL behind */
    static char endless[NUM_TEXT_MAX + 1];
    memset(endless, '1', NUM_TEXT_MAX);
    assert_false(num_parse_ldouble(slice_str(endless), &l));
}

static void long_doubles_are_written_for_people(void **state)
{
    static const struct {
        long double v;
        const char *text;
    } cases[] = {{0, "0"}, {-0.0L, "0"}, {3, "3"}, {10, "10"}, {3.1L, "3.1"}, {-0.5L, "-0.5"}, {0.1L + 0.2L, "0.3"}, {1e-20L, "0"}, {-1e-20L, "0"},
                 {100000000000000000000.0L, "100000000000000000000"}, {5.0e3L, "5000"}, {INFINITY, "inf"}, {-INFINITY, "-inf"}};
    char text[NUM_TEXT_MAX];
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        assert_int_equal(num_format_ldouble(text, cases[k].v), strlen(cases[k].text));
        assert_string_equal(text, cases[k].text);
    }
    assert_true(num_format_ldouble(text, -LDBL_MAX) > 4900);
    assert_int_equal(num_format_ldouble(text, (long double)NAN), 3);
}

static void check_shortest(double v)
{
    char text[40], best[40];
    double back;
    size_t n = num_format_double(text, v);
    assert_int_equal(n, strlen(text));
    assert_true(num_parse_double(slice_str(text), &back));
    if (back != v) fail_msg("%s is not %.17g", text, v);
    int digits = 0, least = 1;
    for (; least < 17; least++) {
        snprintf(best, sizeof best, "%.*e", least - 1, v);
        if (strtod(best, NULL) == v) break;
    }
    const char *p = text;
    while (*p == '-' || *p == '0' || *p == '.') p++; /* leading zeros do not count */
    for (; *p && *p != 'e'; p++) digits += *p != '.';
    if (strchr(text, '.') && digits > least) fail_msg("%s has more than %d digits", text, least);
}

static void doubles_are_shortest(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"}, {-0.0, "-0"}, {1, "1"}, {-1, "-1"}, {0.1, "0.1"}, {0.30000000000000004, "0.30000000000000004"}, {3.14, "3.14"},
                 {100, "100"}, {1e15, "1000000000000000"}, {1e17, "100000000000000000"}, {1e18, "1000000000000000000"}, {1e19, "1e+19"}, {1e21, "1e+21"},
                 {123456789012345680.0, "123456789012345680"}, {1.5e300, "1.5e+300"}, {1e-5, "0.00001"}, {1e-7, "1e-7"},
                 {1.25e-7, "1.25e-7"}, {5e-324, "5e-324"}, {DBL_MAX, "1.7976931348623157e+308"}, {DBL_MIN, "2.2250738585072014e-308"},
                 {INFINITY, "inf"}, {-INFINITY, "-inf"}, {NAN, "nan"}, {-12.5, "-12.5"}};
    char text[40];
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        num_format_double(text, cases[k].v);
        assert_string_equal(text, cases[k].text);
    }
    srand(6);
    for (int i = 0; i < 30000; i++) {
        uint64_t bits = (uint64_t)rand() << 62 ^ (uint64_t)rand() << 31 ^ (uint64_t)rand();
        double v;
        memcpy(&v, &bits, 8);
        if (!isnan(v) && !isinf(v)) check_shortest(v);
        check_shortest((rand() % 2000000 - 1000000) / 1000.0);
        check_shortest(ldexp(1, rand() % 2000 - 1040));
        check_shortest(rand() % 1000 * 4.9406564584124654e-324);
    }
}

static void scores(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{3.1, "3.1000000000000001"}, {1e17, "1e+17"}, {1e16, "10000000000000000"}, {0.1, "0.10000000000000001"}, {0, "0"},
                 {1e-7, "9.9999999999999995e-08"}, {123456789012345680.0, "1.2345678901234568e+17"}, {INFINITY, "inf"}, {-3, "-3"}};
    char text[40];
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        assert_int_equal(num_format_score(text, cases[k].v), strlen(cases[k].text));
        assert_string_equal(text, cases[k].text);
    }
}

static void memory_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t v;
    } good[] = {{"0", 0}, {"12", 12}, {"012", 12}, {"1b", 1}, {"1k", 1000}, {"1kb", 1024}, {"1Kb", 1024}, {"2m", 2000000}, {"2MB", 2 << 20}, {"3g", 3000000000},
                {"3GB", 3ull << 30}, {"18446744073709551615", UINT64_MAX}};
    static const char *const bad[] = {"", "kb", "-1", "1x", "1 kb", "1kbs", "18446744073709551616", "18446744073709551615k", "1.5g"};
    uint64_t v = 7;
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
        if (num_parse_memory(slice_str(bad[k]), &v)) fail_msg("%s", bad[k]);
    for (size_t k = 0; k < sizeof good / sizeof good[0]; k++) {
        assert_true(num_parse_memory(slice_str(good[k].text), &v));
        assert_int_equal(v, good[k].v);
    }
}

/* Around every power of ten and of two: the length is found before the digits are. */
static void test_lengths_of_integers(void **state)
{
    char want[32], got[24];
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int near = -1; near <= 1; near++) {
            uint64_t v = ((uint64_t)1 << bit) + (uint64_t)near;
            snprintf(want, sizeof want, "%llu", (unsigned long long)v);
            assert_int_equal(num_format_u64(got, v), strlen(want));
            assert_string_equal(got, want);
        }
    }
    uint64_t power = 1;
    for (int n = 0; n < 20; n++, power *= 10) {
        for (int near = -1; near <= 1; near++) {
            uint64_t v = power + (uint64_t)near;
            snprintf(want, sizeof want, "%llu", (unsigned long long)v);
            assert_int_equal(num_format_u64(got, v), strlen(want));
            assert_string_equal(got, want);
            if (v > INT64_MAX) continue;
            snprintf(want, sizeof want, "%lld", -(long long)v);
            assert_int_equal(num_format_i64(got, -(int64_t)v), strlen(want));
            assert_string_equal(got, want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths_of_integers), 
        cmocka_unit_test(integers), cmocka_unit_test(floats_are_read_strictly), cmocka_unit_test(long_doubles_are_written_for_people),
        cmocka_unit_test(doubles_are_shortest), cmocka_unit_test(scores), cmocka_unit_test(memory_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
