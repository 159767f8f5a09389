/* Instants as intervals take them, collections, places. What needs a store is in tests/golden. */
#include "modules/doc/doc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

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
    const struct CMUnitTest tests[] = {cmocka_unit_test(instants), cmocka_unit_test(collections_and_paths), cmocka_unit_test(places)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
