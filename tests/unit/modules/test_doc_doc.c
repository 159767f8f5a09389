/* The family's small parsers, at their borders. */
#include "unit/modules/doc_bed.h"

static void test_counts(void **state)
{
    static const char *const bad[] = {"", "0", "-1", "1000001", "18446744073709551616", "1x", " 1", "+1", "1.0"};
    struct bed *b = *state;
    struct call c = probe(b, NULL, 0);
    uint64_t n;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(doc_count(&c, slice_str(bad[i]), &n));
        assert_string_equal(probe_text(b), "-ERR a count is a number from 1 to 1000000");
    }
    assert_true(doc_count(&c, slice_str("1"), &n) && n == 1);
    assert_true(doc_count(&c, slice_str("1000000"), &n) && n == DOC_COUNT_MAX);
    assert_string_equal(probe_text(b), "");
}

static void test_names(void **state)
{
    static const char *const of[][2] = {{"user:7", "user"}, {"user:7:8", "user"}, {"user", ""}, {":7", ""}, {"", ""}, {"user:", "user"}};
    static const char *const plain_path[][2] = {{"$.a", "a"}, {"a", "a"}, {"$", "$"}, {"$.", "$."}, {"$[0]", "$[0]"}, {"$.$.a", "$.a"}, {"", ""}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) assert_true(slice_is(doc_collection(slice_str(of[i][0])), of[i][1]));
    for (size_t i = 0; i < sizeof plain_path / sizeof *plain_path; i++)
        assert_true(slice_is(doc_plain_path(slice_str(plain_path[i][0])), plain_path[i][1]));
    assert_int_equal(doc_collection((slice){0}).n, 0);
    assert_int_equal(doc_collection(slice_of("a\0b:c", 5)).n, 3);
}

static void test_paths(void **state)
{
    struct bed *b = *state;
    struct call c = probe(b, NULL, 0);
    char name[200];
    slice paths[] = {slice_str("a"), slice_str("a.b[1]"), slice_str("none"), slice_str("$")};
    slice json = slice_str("{\"a\":{\"b\":[0, {\"c\" : 1}]}}");
    assert_true(doc_check_paths(&c, paths, 4));
    doc_reply_paths(&c, json, paths, 0);
    assert_string_equal(probe_text(b), "$26 {\"a\":{\"b\":[0, {\"c\" : 1}]}}");
    doc_reply_paths(&c, json, paths + 1, 1);
    assert_string_equal(probe_text(b), "$9 {\"c\" : 1}");
    doc_reply_paths(&c, json, paths + 1, 2);
    assert_string_equal(probe_text(b), "*2 $9 {\"c\" : 1} $-1");
    c.resp = 3;
    doc_reply_paths(&c, json, paths + 2, 1);
    assert_string_equal(probe_text(b), "_");
    memset(name, '[', sizeof name);
    paths[2] = slice_of(name, sizeof name); /* of a long one the beginning is said */
    assert_false(doc_check_paths(&c, paths, 3));
    assert_int_equal(strlen(probe_text(b)), strlen("-BADPATH ''") + 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(test_counts), cmocka_unit_test(test_names), WITH_SERVER(test_paths)};
    return cmocka_run_group_tests_name("doc_doc", tests, NULL, NULL);
}
