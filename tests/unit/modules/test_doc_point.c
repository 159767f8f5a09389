/* Instants and ISO 8601 dates as points and intervals take them. What needs a store is in tests/golden. */
#include "modules/doc/doc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void takes(const char *text, int64_t want)
{
    int64_t ms = -1;
    if (!doc_parse_iso(slice_str(text), &ms)) fail_msg("'%s' is a time", text);
    if (ms != want) fail_msg("'%s' is %lld, not %lld", text, (long long)want, (long long)ms);
}

static void refuses(const char *text)
{
    int64_t ms = 77;
    if (doc_parse_iso(slice_str(text), &ms)) fail_msg("'%s' is no time", text);
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
                assert_true(doc_parse_iso(slice_str(text), &ms));
                assert_int_equal(ms, day * 86400000);
            }
        }
}

static void instants(void **state)
{
    (void)state;
    int64_t ms = 0;
    assert_true(doc_parse_instant(slice_str("-"), INT64_MAX, &ms));
    assert_int_equal(ms, INT64_MAX);
    assert_true(doc_parse_instant(slice_str("-"), INT64_MIN, &ms));
    assert_int_equal(ms, INT64_MIN);
    assert_true(doc_parse_instant(slice_str("-5"), 0, &ms));
    assert_int_equal(ms, -5);
    assert_true(doc_parse_instant(slice_str("1763697120000"), 0, &ms));
    assert_int_equal(ms, 1763697120000);
    assert_true(doc_parse_instant(slice_str("1970-01-02"), 0, &ms));
    assert_int_equal(ms, 86400000);
    assert_false(doc_parse_instant(slice_str(""), 0, &ms));
    assert_false(doc_parse_instant(slice_str("--"), 0, &ms));
    assert_false(doc_parse_instant(slice_str("now"), 0, &ms));
    assert_false(doc_parse_instant(slice_str("9223372036854775808"), 0, &ms));
}

static void collections_and_paths(void **state)
{
    (void)state;
    static const char *const of[][2] = {{"user:7", "user"}, {"user:7:8", "user"}, {"user", ""}, {"", ""}, {":x", ""}, {"a:", "a"}};
    static const char *const plain[][2] = {{"a.b", "a.b"}, {"$.a.b", "a.b"}, {"$", "$"}, {"$.", "$."}, {"$[0]", "$[0]"}, {"$$.a", "$$.a"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) assert_true(slice_eq(doc_collection(slice_str(of[i][0])), slice_str(of[i][1])));
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        assert_true(slice_eq(doc_plain_path(slice_str(plain[i][0])), slice_str(plain[i][1])));
}

/* A place in time hides what had expired by then; a seq leaves that to the log's own times. */
static void places(void **state)
{
    (void)state;
    struct doc_place now = {.seq = 9, .ms = 1000}, seq = {.seq = 9};
    assert_false(doc_expired(&now, 0));
    assert_false(doc_expired(&now, 1001));
    assert_true(doc_expired(&now, 1000));
    assert_true(doc_expired(&now, 1));
    assert_false(doc_expired(&seq, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dates_and_times), cmocka_unit_test(what_is_no_time), cmocka_unit_test(every_day),
                                       cmocka_unit_test(instants), cmocka_unit_test(collections_and_paths), cmocka_unit_test(places)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
