/* One field of a row: what each kind of path gives, comparison with values at the borders of numbers, sort keys whose bytes order as the fields do, printing. */
#include "modules/doc/nql_field.h"
#include "nql_bed.h"
#include "support/json_gen.h"

static const uint8_t some_hash[HASH_BYTES] = {0x00, 0xff, 0x10};

static const char *printed(const struct nql_field *f)
{
    static char text[256];
    struct buf out = {0};
    nql_field_print(f, &out);
    snprintf(text, sizeof text, "%.*s", (int)out.n, (const char *)out.p);
    buf_fini(&out);
    return text;
}

static void fields_of_a_row(void **state)
{
    (void)state;
    struct nql_query *q = nql_query_of("FROM __links__ FIELDS a.b, _id, _key, _seq, _ver, _ts, _hash, _by, _from, _rel, _to, none");
    struct nql_row row = {.json = slice_str("{\"a\":{\"b\":[1, 2]}}"), .key = slice_str("x:y:z"), .seq = UINT64_MAX, .ver = 1, .ts_ms = 2, .hash = some_hash,
                          .by = slice_str("\xff"), .from = slice_str(""), .rel = slice_str("r"), .to = slice_str("t")};
    static const char *const want[] = {"[1, 2]", "\"y:z\"", "\"x:y:z\"", "18446744073709551615", "1", "2", "\"00ff10", "\"\xef\xbf\xbd\"", "\"\"", "\"r\"", "\"t\"", "null"};
    assert_int_equal(q->n_fields, 12);
    for (uint32_t i = 0; i < q->n_fields; i++) {
        struct nql_field f = nql_field_of(q, &row, q->fields[i]);
        assert_int_equal(strncmp(printed(&f), want[i], strlen(want[i])), 0);
        assert_true((f.form == NQL_MISSING) == (i == 11));
    }
    struct nql_row empty = {0};
    static const char *const bare[] = {"null", "\"\"", "\"\"", "0", "0", "0", "null", "null", "null", "null", "null", "null"};
    for (uint32_t i = 0; i < q->n_fields; i++) {
        struct nql_field f = nql_field_of(q, &empty, q->fields[i]);
        assert_string_equal(printed(&f), bare[i]);
    }
    nql_free(&q);
}

/* The value of an expression `a = <json>`. */
static void against(const char *field, const char *value, int want)
{
    char expr[128];
    snprintf(expr, sizeof expr, "a = %s", value);
    struct nql_query *q = nql_where_of(slice_str(expr), NULL, 0);
    struct nql_field f = nql_field_json(slice_str(field));
    int c = nql_field_compare(&f, &q->where->value[0]);
    c = (c > 0) - (c < 0);
    if (c != want) print_error("%s against %s\n", field, value);
    assert_int_equal(c, want);
    assert_true(nql_field_equal(&f, &q->where->value[0]) == (want == 0));
    nql_free(&q);
}

static void numbers_at_their_borders(void **state)
{
    (void)state;
    /* Ascending. */
    static const char *const n[] = {"-1e400", "-18446744073709551616", "-9223372036854775809", "-9223372036854775808", "-9007199254740993", "-9007199254740992", "-1", "-5e-324", "0", "4.9e-324", "5e-324", "0.1",
                                    "1", "123456789012345678", "1234567890123456789", "9007199254740992e3", "9007199254740993e3", "9223372036854775807", "9223372036854775808", "18446744073709551614", "18446744073709551615", "18446744073709551616", "1e308", "1e309"};
    size_t count = sizeof n / sizeof *n;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) against(n[i], n[j], (i > j) - (i < j));
    against("1.0", "1", 0);
    against("10e-1", "1", 0);
    against("-0", "0", 0);
    against("000", "0", 0); /* never in checked JSON; but the quick way must not trip over it */
    struct nql_field big = {.form = NQL_NUMBER, .number = UINT64_MAX};
    struct nql_query *q = nql_where_of(slice_str("a IN (9223372036854775807, 18446744073709551614, 18446744073709551615.0, 18446744073709551616, -1)"), NULL, 0);
    static const int want[] = {1, 1, 1, 0, -1};
    for (uint32_t i = 0; i < 5; i++) {
        int c = nql_field_compare(&big, &q->where->value[i]);
        assert_int_equal((c > 0) - (c < 0), want[i]);
    }
    nql_free(&q);
}

static void texts_are_unescaped(void **state)
{
    (void)state;
    struct buf mem = {0};
    slice plain = slice_str("\"abc\"");
    struct nql_field f = nql_field_json(plain);
    slice text = nql_field_text(&f, &mem);
    assert_ptr_equal(text.p, plain.p + 1); /* in place */
    f = nql_field_json(slice_str("\"a\\u00e9\\n\\\"\""));
    assert_true(slice_eq(nql_field_text(&f, &mem), slice_str("a\xc3\xa9\n\"")));
    f = nql_field_json(slice_str("\"\""));
    assert_int_equal(nql_field_text(&f, &mem).n, 0);
    f = (struct nql_field){.form = NQL_HASHED, .s = slice_of(some_hash, HASH_BYTES)};
    text = nql_field_text(&f, &mem);
    assert_true(text.n == 2 * HASH_BYTES && memcmp(text.p, "00ff10", 6) == 0);
    against("\"\\u0061\"", "'a'", 0);
    against("\"a\"", "'ab'", -1);
    against("\"\xef\xbf\xbf\"", "'\xf0\x90\x80\x80'", -1); /* bytes, which is by code point */
    buf_fini(&mem);
}

static struct nql_field random_field(struct rng *r, unsigned kind, struct buf *mem)
{
    static const char bytes[] = {0, 0, 1, 'a', (char)0xff, (char)0xfe};
    if (rng_below(r, 8) == 0) return (struct nql_field){.form = NQL_MISSING};
    size_t at = mem->n, n = rng_below(r, 5);
    if (kind == 0) return (struct nql_field){.form = NQL_NUMBER, .number = rng_below(r, 2) ? rng_next(r) : rng_below(r, 4)};
    if (kind == 2) n = HASH_BYTES;
    for (size_t i = 0; i < n; i++) buf_add_byte(mem, (uint8_t)bytes[rng_below(r, 6)]);
    return (struct nql_field){.form = kind == 1 ? NQL_BYTES : NQL_HASHED, .s = slice_of(mem->p + at, n)};
}

/* Keys of pseudo paths and of JSON values: bytewise they order as the fields do, either way, and none begins another. */
static void keys_order_as_fields(void **state)
{
    (void)state;
    struct rng r = {14};
    static const char *const json[] = {"null", "false", "true", "-1", "0", "1", "1.5", "1e400", "\"\"", "\"a\"", "\"a\\u0000\"", "\"a\\u0000b\"", "[]", "[null]", "[1]", "{}", "{\"a\":1}", "{\"a\":2}"};
    for (unsigned i = 0; i < 6000; i++) {
        struct buf mem = {0}, x = {0}, y = {0};
        unsigned kind = i % 4;
        bool down = rng_below(&r, 2);
        buf_reserve(&mem, 256);
        struct nql_field a = kind < 3 ? random_field(&r, kind, &mem) : nql_field_json(slice_str(json[rng_below(&r, 18)]));
        struct nql_field b = kind < 3 ? random_field(&r, kind, &mem) : nql_field_json(slice_str(json[rng_below(&r, 18)]));
        nql_field_key(&a, kind < 3, down, &x);
        nql_field_key(&b, kind < 3, down, &y);
        int order = nql_field_order(&a, &b), bytes = slice_cmp(buf_slice(&x), buf_slice(&y));
        if (down) order = -order;
        assert_int_equal((order > 0) - (order < 0), (bytes > 0) - (bytes < 0));
        if (bytes != 0) assert_false(slice_starts(buf_slice(&x), buf_slice(&y)) || slice_starts(buf_slice(&y), buf_slice(&x)));
        buf_fini(&mem);
        buf_fini(&x);
        buf_fini(&y);
    }
    /* Missing is null: below everything, and the same as null. */
    struct nql_field missing = {.form = NQL_MISSING}, null = nql_field_json(slice_str("null")), no = nql_field_json(slice_str("false"));
    assert_int_equal(nql_field_order(&missing, &null), 0);
    assert_true(nql_field_order(&missing, &no) < 0 && nql_field_order(&no, &missing) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_a_row),
        cmocka_unit_test(numbers_at_their_borders),
        cmocka_unit_test(texts_are_unescaped),
        cmocka_unit_test(keys_order_as_fields),
    };
    return cmocka_run_group_tests_name("doc_nql_field", tests, NULL, NULL);
}
