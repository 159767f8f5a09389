/* The small parsers that the document family shares: collections, plain paths, counts at their borders. */
#include "bed_client.h"

#include "modules/doc/doc.h"

static void collections(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"user:7", "user"}, {"user", ""}, {"", ""}, {":7", ""}, {"a:b:c", "a"}, {"a:", "a"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_true(slice_eq(doc_collection(slice_str(rows[i][0])), slice_str(rows[i][1])));
    assert_int_equal(doc_collection((slice){0}).n, 0);
    assert_true(slice_eq(doc_collection(slice_of("a\0b:c", 5)), slice_of("a\0b", 3)));
}

static void plain_paths(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"$.a.b", "a.b"}, {"a.b", "a.b"}, {"$", "$"}, {"$.", "$."}, {"$[0]", "$[0]"}, {"$a", "$a"}, {"", ""}, {"$.$x", "$x"}, {"$.$", "$.$"},
                                            {"$.$.a", "$.$.a"}, {"$.$[0]", "$.$[0]"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_true(slice_eq(doc_plain_path(slice_str(rows[i][0])), slice_str(rows[i][1])));
}

static void counts_at_their_borders(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const bad[] = {"0", "-1", "1000001", "01", "1.0", "x", "18446744073709551616"};
    (void)peer_ask(b, &p, "DPUT k 1");
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) assert_string_equal(peer_ask(b, &p, "DHISTORY k COUNT %s", bad[i]), "-ERR a count is a number from 1 to 1000000");
    assert_true(text_starts(peer_ask(b, &p, "DHISTORY k COUNT 1000000"), "*1 "));
    assert_true(text_starts(peer_ask(b, &p, "DHISTORY k COUNT 1"), "*1 "));
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(collections), cmocka_unit_test(plain_paths), WITH_SERVER(counts_at_their_borders)};
    return cmocka_run_group_tests_name("doc_doc", tests, NULL, NULL);
}
