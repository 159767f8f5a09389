/* Merge patches: the table of RFC 7396's appendix A, and that bytes stay. */
#include "modules/doc/patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *merged_max(const char *doc, const char *patch, size_t max)
{
    static char text[1024];
    struct patch_tree t;
    struct buf out = {0};
    slice d, p;
    assert_int_equal(json_check(slice_str(doc), &d, NULL), E_OK);
    assert_int_equal(json_check(slice_str(patch), &p, NULL), E_OK);
    patch_tree_init(&t, d);
    const char *why = patch_merge(&t, p, max);
    if (!why) patch_write(t.root, &out);
    if (!why) assert_int_equal(json_check(buf_slice(&out), NULL, NULL), E_OK);
    snprintf(text, sizeof text, "%.*s", why ? (int)strlen(why) : (int)out.n, why ? why : (const char *)out.p);
    patch_tree_fini(&t);
    buf_fini(&out);
    return text;
}

static void rfc_table(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        /* the example of its third section */
        {"{\"title\":\"Goodbye!\",\"author\":{\"givenName\":\"John\",\"familyName\":\"Doe\"},\"tags\":[\"example\",\"sample\"],\"content\":\"x\"}",
         "{\"title\":\"Hello!\",\"phoneNumber\":\"+01-123\",\"author\":{\"familyName\":null},\"tags\":[\"example\"]}",
         "{\"title\":\"Hello!\",\"author\":{\"givenName\":\"John\"},\"tags\":[\"example\"],\"content\":\"x\",\"phoneNumber\":\"+01-123\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_string_equal(merged_max(rows[i][0], rows[i][1], 1000), rows[i][2]);
}

static void bytes_stay(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"{ \"a\" : 12345678901234567890,\n  \"b\" : 1.0 }", "{}", "{ \"a\" : 12345678901234567890,\n  \"b\" : 1.0 }"},
        {"{ \"a\" : 12345678901234567890,\n  \"b\" : 1.0 }", "{\"c\":1.50}", "{ \"a\" : 12345678901234567890,\n  \"b\" : 1.0,\"c\":1.50 }"},
        {"{ \"a\" : 1,\n  \"b\" : 1.0 }", "{\"a\":null}", "{\n  \"b\" : 1.0 }"},
        {"{\"\\u0061\":{\"x\":1}}", "{\"a\":{\"x\":2}}", "{\"\\u0061\":{\"x\":2}}"},
        {"{}", "{\"a\":{ \"n\" : null , \"v\" : [ null ] } }", "{\"a\":{ \"v\" : [ null ] }}"},
        {"1", "{ \"a\" : { \"b\" : 1 } }", "{ \"a\" : { \"b\" : 1 } }"},
        {"{\"a\":{\"b\":1}}", "{\"a\":{}}", "{\"a\":{\"b\":1}}"},
        {"{\"a\":1}", "{\"z\":null}", "{\"a\":1}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_string_equal(merged_max(rows[i][0], rows[i][1], 1000), rows[i][2]);
    assert_string_equal(merged_max("{}", "{\"a\":\"0123456789\"}", 5), "the document grows too large");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rfc_table), cmocka_unit_test(bytes_stay)};
    return cmocka_run_group_tests_name("doc_patch_merge", tests, NULL, NULL);
}
