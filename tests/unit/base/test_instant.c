/* ISO 8601 dates and date-times, both ways. */
#include "base/instant.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void takes(const char *text, int64_t want)
{
    int64_t ms = -1;
    if (!instant_parse_iso(slice_str(text), &ms)) fail_msg("'%s' is a time", text);
    if (ms != want) fail_msg("'%s' is %lld, not %lld", text, (long long)want, (long long)ms);
}

static void refuses(const char *text)
{
    int64_t ms = 77;
    if (instant_parse_iso(slice_str(text), &ms)) fail_msg("'%s' is no time", text);
    assert_int_equal(ms, 77);
}

static void dates_and_times(void **state)
{
    (void)state;
    takes("1970-01-01", 0);
    takes("1970-01-01T00:00Z", 0);
    takes("1970-01-01t00:00:00z", 0);
    takes("1969-12-31", -86400000);
    takes("2000-02-29", 951782400000);
    takes("2026-11-21T03:52:00Z", 1795233120000);
    takes("2026-11-21 03:52", 1795233120000);
    takes("2026-11-21T03:52:00.5Z", 1795233120500);
    takes("2026-11-21T03:52:00.123456789Z", 1795233120123);
    takes("2026-11-21T05:52:00+02:00", 1795233120000);
    takes("2026-11-20T22:22:00-0530", 1795233120000);
    takes("0000-01-01", -62167219200000);
    takes("9999-12-31T23:59:59.999Z", 253402300799999);
}

static void what_is_no_time(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",           "2026",       "2026-11",         "2026-1-1",          "2026-13-01",           "2026-00-01",           "2026-01-00",
        "2026-01-32", "2026-02-29", "1900-02-29",      "2026-04-31",        "2026-11-21T",          "2026-11-21T3:52",      "2026-11-21T24:00",
        "+026-01-01", "2026/01/01", "2026-11-21T03",   "2026-11-21T03:60",  "2026-11-21T03:52:60",  "2026-11-21T03:52:00.", "2026-11-21T03:52Zx",
        "-2026-01-01", " 2026-01-01", "2026-11-21T03:52+2", "2026-11-21T03:52+25:00", "2026-11-21T03:52+02:60", "2026-11-21x", "2026-01-01Zz",
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) refuses(none[i]);
}

/* Every day of four centuries, against a count of days. */
static void every_day(void **state)
{
    (void)state;
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day = -25567, ms; /* 1900-01-01 */
    char text[48];
    for (int y = 1900; y < 2300; y++)
        for (int m = 1; m <= 12; m++) {
            bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
            for (int d = 1; d <= days[m - 1] + (m == 2 && leap); d++, day++) {
                snprintf(text, sizeof text, "%04d-%02d-%02d", y, m, d);
                assert_true(instant_parse_iso(slice_str(text), &ms));
                assert_int_equal(ms, day * 86400000);
            }
        }
}

static void numbers_too(void **state)
{
    (void)state;
    int64_t ms = 0;
    assert_true(instant_parse(slice_str("-5"), &ms));
    assert_int_equal(ms, -5);
    assert_true(instant_parse(slice_str("1970-01-02"), &ms));
    assert_int_equal(ms, 86400000);
    assert_false(instant_parse(slice_str("9223372036854775808"), &ms));
    assert_int_equal(ms, 86400000);
}

static void written_as_read(void **state)
{
    (void)state;
    static const int64_t at[] = {0, 1, -1, 999, -86400000, 1795233120500, 253402300799999, -62167219200000};
    char text[INSTANT_TEXT_MAX];
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        int64_t ms = 77;
        instant_format(at[i], text);
        assert_true(instant_parse_iso(slice_str(text), &ms));
        assert_int_equal(ms, at[i]);
    }
    instant_format(253402300800000, text);
    assert_string_equal(text, "253402300800000");
    instant_format(INT64_MIN, text);
    assert_string_equal(text, "-9223372036854775808");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dates_and_times), cmocka_unit_test(what_is_no_time), cmocka_unit_test(every_day),
                                       cmocka_unit_test(numbers_too), cmocka_unit_test(written_as_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
