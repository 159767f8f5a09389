/* Terms: one of a value, or the distinct words; and walking two sets side by side. */
#include "unit/engine/foldbed.h"

static struct sorted definition(const char *path, enum sorted_kind kind)
{
    struct sorted d = {.kind = (uint8_t)kind, .path = slice_str(path)};
    d.steps_ok = json_path_parse(d.path, &d.steps) == E_OK;
    return d;
}

static void expect(const struct sorted *d, const char *json, const char *want)
{
    struct sorted_terms s = {0};
    struct buf have = {0};
    for (int again = 0; again < 2; again++) { /* a set can be used again */
        sorted_terms_of(d, slice_str(json), &s);
        buf_clear(&have);
        for (size_t i = 0; i < s.n; i++) {
            slice t = sorted_terms_at(&s, i);
            assert_true(t.n > 1 && t.p[t.n - 1] == 0);
            assert_int_equal(s.term[i].from, 0);
            buf_add(&have, t.p, t.n - 1);
            buf_add_byte(&have, ' ');
        }
        buf_add_byte(&have, 0);
        assert_string_equal((char *)have.p, want);
    }
    sorted_terms_fini(&s);
    buf_fini(&have);
}

static void test_words(void **state)
{
    struct sorted whole = definition("$", SORTED_TEXT), field = definition("t", SORTED_TEXT), broken = definition("x[", SORTED_TEXT);
    expect(&whole, "\"b a B, a\"", "a b ");
    expect(&whole, "{\"t\":\"one Two\",\"u\":[\"two three\",7]}", "one three two ");
    expect(&field, "{\"t\":\"one Two\",\"u\":[\"two three\",7]}", "one two ");
    expect(&field, "{\"u\":\"x\"}", "");
    expect(&field, "{\"t\":12}", "");
    expect(&broken, "{\"t\":\"x\"}", "");
    expect(&whole, "", "");
}

static void test_value(void **state)
{
    struct sorted d = definition("t", SORTED_ORDERED);
    struct sorted_terms s = {0};
    struct buf want = {0};
    static const char *const json[] = {"{\"t\":1}", "{}", "{\"t\":\"a b\"}", ""};
    for (size_t i = 0; i < sizeof json / sizeof json[0]; i++) {
        sorted_key_of(&d, slice_str(json[i]), &want);
        sorted_terms_of(&d, slice_str(json[i]), &s);
        assert_int_equal(s.n, 1);
        assert_true(slice_eq(sorted_terms_at(&s, 0), buf_slice(&want)));
    }
    sorted_terms_fini(&s);
    buf_fini(&want);
}

/* Far more words than are sorted at once, most of them repeats. */
static void test_many(void **state)
{
    struct rng r = rng_start("many", 61);
    struct sorted d = definition("$", SORTED_TEXT);
    struct sorted_terms s = {0};
    static bool seen[5000];
    struct buf json = {0};
    size_t distinct = 0;
    memset(seen, 0, sizeof seen);
    buf_add_byte(&json, '"');
    for (int i = 0; i < 60000; i++) {
        size_t w = rng_below(&r, 2) ? rng_below(&r, 5000) : rng_below(&r, 10);
        distinct += !seen[w];
        seen[w] = true;
        buf_printf(&json, "w%04zu ", w);
    }
    buf_add_byte(&json, '"');
    sorted_terms_of(&d, buf_slice(&json), &s);
    assert_int_equal(s.n, distinct);
    assert_true(s.bytes.cap < 200000); /* repeats take no room for long */
    for (size_t i = 1; i < s.n; i++) assert_true(slice_cmp(sorted_terms_at(&s, i - 1), sorted_terms_at(&s, i)) < 0);
    sorted_terms_fini(&s);
    buf_fini(&json);
}

static void test_side_by_side(void **state)
{
    struct sorted d = definition("$", SORTED_TEXT);
    struct sorted_terms x = {0}, y = {0};
    struct buf have = {0};
    bool in_x, in_y;
    sorted_terms_of(&d, slice_str("\"a b d\""), &x);
    sorted_terms_of(&d, slice_str("\"b c d e\""), &y);
    for (size_t a = 0, b = 0; sorted_terms_next(&x, &y, &a, &b, &in_x, &in_y); a += in_x, b += in_y)
        buf_printf(&have, "%s%c", in_x ? in_y ? "=" : "-" : "+", in_x ? x.bytes.p[x.term[a].at] : y.bytes.p[y.term[b].at]);
    buf_add_byte(&have, 0);
    assert_string_equal((char *)have.p, "-a=b+c=d+e");
    sorted_terms_clear(&x), sorted_terms_clear(&y);
    size_t a = 0, b = 0;
    assert_false(sorted_terms_next(&x, &y, &a, &b, &in_x, &in_y));
    sorted_terms_fini(&x), sorted_terms_fini(&y);
    buf_fini(&have);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_value), cmocka_unit_test(test_many),
                                       cmocka_unit_test(test_side_by_side)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
