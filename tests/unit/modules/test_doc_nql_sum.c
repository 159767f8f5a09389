/* Sums that do not depend on their order: exact integers, doubles rounded once, both ends of the range. */
#include "modules/doc/nql_sum.h"
#include "support/json_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The sum (or mean) of numbers parted by blanks. Static. */
static const char *of(const char *numbers, bool mean)
{
    static char text[128];
    struct nql_sum s = {0};
    struct buf out = {0};
    for (const char *p = numbers; *p; p += p[strcspn(p, " ")] ? strcspn(p, " ") + 1 : strcspn(p, " ")) nql_sum_add(&s, slice_of(p, strcspn(p, " ")));
    if (mean)
        nql_sum_print_mean(&s, &out);
    else
        nql_sum_print(&s, &out);
    snprintf(text, sizeof text, "%.*s", (int)out.n, (const char *)out.p);
    buf_fini(&out);
    nql_sum_fini(&s);
    return text;
}

static void borders(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"", "0", "null"}, {"0", "0", "0"}, {"1 2", "3", "1.5"}, {"9007199254740992 1", "9007199254740993", NULL}, {"9223372036854775807 1", "9223372036854775808", NULL},
        {"18446744073709551615 18446744073709551615", "36893488147419103230", NULL}, {"-9223372036854775808 -9223372036854775808", "-18446744073709551616", NULL}, {"18446744073709551615 -1", "18446744073709551614", NULL},
        {"1.0 2e0", "3", "1.5"}, {"0.1 0.2 -0.3", "2.7755575615628914e-17", NULL}, {"1e308 1e308 -1e308 -1e308", "0", "0"}, {"1e308 1e308", "null", "null"}, {"1e308 1e308 -1e308", "1e+308", NULL},
        {"1.5e16 1 -1.5e16 0.5", "1.5", NULL}, {"5e-324 5e-324", "1e-323", "5e-324"}, {"5e-324 -5e-324", "0", "0"}, {"2.2250738585072011e-308 5e-324", "2.2250738585072014e-308", NULL}, {"1e-400 5e-324", "5e-324", NULL},
        {"1e400", "null", "null"}, {"1e400 -1e400", "null", "null"}, {"-0 -0.0", "0", "0"}, {"9007199254740992.5 0.5", "9007199254740993", NULL}, {"18446744073709551616 1", "18446744073709552000", NULL},
        {"9007199254740992 1 0.0000000001", "9007199254740994", NULL}, /* just over the tie */ {"9007199254740992 1 -0.0000000001", "9007199254740992", NULL}, {"9007199254740992 0.5 0.5 1e-300", "9007199254740994", NULL},
        {"-9007199254740993 0.5 -0.5", "-9007199254740992", NULL}, {"9007199254740995 0.5 -0.5", "9007199254740996", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i][1] && strtod(of(rows[i][0], false), NULL) != strtod(rows[i][1], NULL)) print_error("%s: %s, not %s\n", rows[i][0], of(rows[i][0], false), rows[i][1]);
        if (strchr(rows[i][0], '.') || strchr(rows[i][0], 'e') || strcmp(rows[i][1], "null") == 0)
            assert_true(strtod(of(rows[i][0], false), NULL) == strtod(rows[i][1], NULL) && (*rows[i][1] == 'n') == (*of(rows[i][0], false) == 'n'));
        else if (strlen(rows[i][1]) < 20 || strcmp(rows[i][0], "18446744073709551616 1") != 0)
            assert_string_equal(of(rows[i][0], false), rows[i][1]);
        if (rows[i][2]) assert_string_equal(of(rows[i][0], true), rows[i][2]);
    }
}

/* Integers against 128 bits; multiples of 2^-20 against the same, since their sum is exact. */
static void random_sums(void **state)
{
    (void)state;
    struct rng r = {4};
    for (unsigned round = 0; round < 500; round++) {
        struct nql_sum whole = {0}, parts = {0}, backwards = {0};
        struct buf out = {0}, again = {0};
        __int128 sum = 0;
        int64_t units = 0, v[60];
        char text[64];
        for (unsigned i = 0; i < 60; i++) {
            int64_t n = (int64_t)rng_next(&r) >> rng_below(&r, 63);
            sum += n;
            nql_sum_add(&whole, slice_of(text, (size_t)snprintf(text, sizeof text, "%lld", (long long)n)));
            v[i] = (int64_t)(rng_next(&r) >> 20) - (1ll << 43);
            units += v[i];
            nql_sum_add(&parts, slice_of(text, (size_t)snprintf(text, sizeof text, "%.25g", (double)v[i] / 1048576)));
        }
        for (unsigned i = 60; i-- > 0;) nql_sum_add(&backwards, slice_of(text, (size_t)snprintf(text, sizeof text, "%.25g", (double)v[i] / 1048576)));
        nql_sum_print(&whole, &out);
        buf_add_byte(&out, 0);
        bool negative = sum < 0;
        unsigned __int128 size = negative ? -(unsigned __int128)sum : (unsigned __int128)sum;
        snprintf(text, sizeof text, "%s%llu%018llu", negative ? "-" : "", (unsigned long long)(size / 1000000000000000000ull), (unsigned long long)(size % 1000000000000000000ull));
        char *digits = text + negative;
        while (*digits == '0' && digits[1]) memmove(digits, digits + 1, strlen(digits));
        assert_string_equal((const char *)out.p, text);
        buf_clear(&out);
        nql_sum_print(&parts, &out);
        buf_add_byte(&out, 0);
        assert_true(strtod((const char *)out.p, NULL) == (double)units / 1048576);
        nql_sum_print(&backwards, &again);
        buf_add_byte(&again, 0);
        assert_string_equal((const char *)out.p, (const char *)again.p);
        nql_sum_fini(&whole);
        nql_sum_fini(&parts);
        nql_sum_fini(&backwards);
        buf_fini(&out);
        buf_fini(&again);
    }
}

static void long_texts_and_plain_counts(void **state)
{
    (void)state;
    struct buf text = {0}, out = {0};
    struct nql_sum s = {0};
    buf_add_str(&text, "0.");
    for (int i = 0; i < 500; i++) buf_add_byte(&text, '0'); /* beyond every denormal */
    buf_add_str(&text, "1e501");
    nql_sum_add(&s, buf_slice(&text));
    for (int i = 0; i < 3; i++) nql_sum_add_u64(&s, UINT64_MAX);
    nql_sum_print(&s, &out);
    assert_true(out.n > 0 && json_check(buf_slice(&out), NULL, NULL) == E_OK);
    buf_clear(&out);
    nql_sum_print_mean(&s, &out);
    buf_add_byte(&out, 0);
    assert_true(strtod((const char *)out.p, NULL) > 1e19);
    nql_sum_fini(&s);
    assert_null(s.wide);
    buf_fini(&text);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(borders),
        cmocka_unit_test(random_sums),
        cmocka_unit_test(long_texts_and_plain_counts),
    };
    return cmocka_run_group_tests_name("doc_nql_sum", tests, NULL, NULL);
}
