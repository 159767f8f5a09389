/* Order of values: hand-written chains, an oracle for numbers, and a model tree whose order needs no JSON at all. */
#include "base/json.h"
#include "base/mem.h"
#include "support/json_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int sign(int c) { return (c > 0) - (c < 0); }

/* Order by json_compare; asserts that whole keys and keys cut at every length say the same. */
static int order(slice a, slice b)
{
    int c = sign(json_compare(a, b));
    assert_int_equal(sign(json_compare(b, a)), -c);
    struct buf x = {0}, y = {0};
    bool cut_x = true, cut_y = true;
    json_sort_key(a, 1 << 20, &x, &cut_x);
    json_sort_key(b, 1 << 20, &y, &cut_y);
    assert_false(cut_x || cut_y);
    if (sign(slice_cmp(buf_slice(&x), buf_slice(&y))) != c) fail_msg("key order differs: %.*s ? %.*s", (int)a.n, (const char *)a.p, (int)b.n, (const char *)b.p);
    if (c) assert_false(slice_starts(buf_slice(&x), buf_slice(&y)) || slice_starts(buf_slice(&y), buf_slice(&x)));
    for (size_t max = 1; max < 40; max += 1 + max / 8) {
        struct buf s = {0}, t = {0};
        json_sort_key(a, max, &s, &cut_x);
        json_sort_key(b, max, &t, &cut_y);
        assert_int_equal(cut_x, x.n > max);
        assert_true(slice_eq(buf_slice(&s), slice_of(x.p, x.n < max ? x.n : max)));
        int cut_order = sign(slice_cmp(buf_slice(&s), buf_slice(&t)));
        assert_true(cut_order == c || (cut_order == 0 && (cut_x || cut_y)));
        buf_fini(&s);
        buf_fini(&t);
    }
    buf_fini(&x);
    buf_fini(&y);
    return c;
}

/* Each line is above the one before; spellings on one line, separated by spaces, are equal. */
static void check_chain(const char *const *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            for (const char *a = line[i]; *a; a += strspn(a, " ")) {
                size_t la = strcspn(a, " ");
                for (const char *b = line[j]; *b; b += strspn(b, " ")) {
                    size_t lb = strcspn(b, " ");
                    if (order(slice_of(a, la), slice_of(b, lb)) != (i > j) - (i < j)) fail_msg("%.*s ? %.*s", (int)la, a, (int)lb, b);
                    b += lb;
                }
                a += la;
            }
}
#define CHAIN(c) check_chain(c, sizeof c / sizeof *c)

static const char *const numbers[] = {
    "-2e99999999999999999999999999",
    "-1e100000000000000000000000 -1e99999999999999999999999999",
    "-1e401",
    "-1e400 -10e399 -0.1E+401",
    "-1.7976931348623157e308",
    "-18446744073709551616",
    "-9223372036854775809",
    "-9223372036854775808 -9223372036854775808.0 -9.223372036854775808e18",
    "-9223372036854775807",
    "-9007199254740993",
    "-9007199254740992 -9007199254740992.0",
    "-9007199254740991",
    "-100 -1e2 -1E+2 -100.000",
    "-10.5",
    "-10 -1e1",
    "-1.5",
    "-1.05",
    "-1 -1.0 -1e0 -10e-1 -0.1e1",
    "-0.5",
    "-0.05",
    "-1e-64",
    "-1e-65",
    "-1e-66",
    "-4.9406564584124654e-324",
    "-1e-400",
    "0 -0 0.0 -0.0e5 0e400 0e-99999999999999999999",
    "1e-400",
    "1e-399",
    "4.9406564584124654e-324",
    "2.2250738585072009e-308",
    "2.2250738585072014e-308",
    "1e-66",
    "1e-65",
    "1e-64",
    "0.001 1e-3 0.1e-2 10e-4",
    "0.1 0.10 1e-1",
    "0.1000000000000000000000000001",
    "0.1000000000000000055511151231257827",
    "0.11",
    "0.2",
    "0.25",
    "0.3",
    "0.9999999999999999999",
    "1 1.0 1e0 10e-1 0.1e1 1.000",
    "1.0000000000000001",
    "1.5",
    "2",
    "9",
    "10 1e1 10.0",
    "10.01",
    "11",
    "99",
    "100 1E2 1e+2",
    "101",
    "9007199254740991",
    "9007199254740992 9007199254740992.0 9.007199254740992e15",
    "9007199254740992.5",
    "9007199254740993",
    "9007199254740994",
    "9223372036854775807",
    "9223372036854775808 9223372036854775808.0",
    "9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "1e57",
    "1e58",
    "1e59",
    "123456789012345678901234567890123456789012345678901234567890123456789",
    "123456789012345678901234567890123456789012345678901234567890123456790",
    "1.7976931348623157e308",
    "1e400 10e399",
    "1.1e400",
    "1e401",
    "1e999999999999",
    "1e99999999999999999999 1e9999999999999999999999",
};

static void number_order(void **state) { CHAIN(numbers); }

static void type_order(void **state)
{
    static const char *const chain[] = {"null", "false", "true", "-1e400", "0", "1e400", "\"\"", "\"\xf4\x8f\xbf\xbf\"", "[]", "[[]]", "{}", "{\"a\":0}"};
    CHAIN(chain);
    for (size_t i = 0; i < sizeof chain / sizeof *chain; i++) {
        static const enum json_type type[] = {JSON_NULL,   JSON_FALSE,  JSON_TRUE,  JSON_NUMBER, JSON_NUMBER, JSON_NUMBER,
                                              JSON_STRING, JSON_STRING, JSON_ARRAY, JSON_ARRAY,  JSON_OBJECT, JSON_OBJECT};
        assert_int_equal(json_type_of(slice_str(chain[i])), type[i]);
    }
    assert_int_equal(json_type_of(slice_str(" \n[1]")), JSON_ARRAY);
    assert_int_equal(json_type_of(slice_of(NULL, 0)), JSON_NULL);
    assert_int_equal(order(slice_str(" 1 "), slice_str("1")), 0);
}

static void string_order(void **state)
{
    static const char *const chain[] = {
        "\"\"", "\"\\u0000\"", "\"\\u0000\\u0000\"", "\"\\u0000a\"", "\"\\u0001\"", "\"\\u0001\\u0000\"", "\"\\u0001\\u0001\"", "\"\\u0002\"",
        "\"\\n\" \"\\u000a\"", "\"A\" \"\\u0041\"", "\"Aa\"", "\"a\"", "\"a\\u0000\"", "\"aa\"", "\"ab\" \"\\u0061b\" \"a\\u0062\"", "\"b\"",
        "\"\\u00e9\" \"\xc3\xa9\"", "\"\\u20ac\" \"\xe2\x82\xac\"", "\"\\uffff\"", "\"\\ud83d\\ude00\" \"\xf0\x9f\x98\x80\"",
    };
    CHAIN(chain);
}

static void container_order(void **state)
{
    static const char *const arrays[] = {"[]", "[null]", "[null,null]", "[0]", "[0,0]", "[0,1]", "[1]", "[\"\"]", "[\"\",1]", "[[]]", "[[],0]", "[[0]]", "[{}]", "[{},0]"};
    static const char *const objects[] = {
        "{}", "{\"\":1}", "{\"\":1,\"\\u0000\":1}", "{\"\":1,\"a\":1}", "{\"\\u0000\":1}", "{\"a\":1}", "{\"a\":1,\"b\":1} {\"b\":1,\"a\":1.0} {\"b\":1,\"\\u0061\":1}",
        "{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":0}", "{\"a\":2}", "{\"a\":2,\"aa\":1}", "{\"a\":{}}", "{\"a\":{\"x\":1,\"y\":[2,3]}} {\"a\":{\"y\":[2,3],\"x\":1}}",
        "{\"aa\":0}", "{\"b\":0}",
    };
    CHAIN(arrays);
    CHAIN(objects);
}

/* v / 10^places in one of its many spellings. */
static void spell(struct rng *r, struct buf *b, bool minus, uint64_t v, int places)
{
    char digits[48];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
    for (unsigned zeros = rng_below(r, 4); zeros > 0; zeros--, places++) digits[n++] = '0';
    int point = (int)rng_below(r, (unsigned)n + 1); /* digits before it */
    if (v == 0 && point > 1) point = 1;
    if (minus) buf_add_byte(b, '-');
    if (point == 0) buf_add_byte(b, '0');
    buf_add(b, digits, (size_t)point);
    if (point < n) buf_add_byte(b, '.');
    buf_add(b, digits + point, (size_t)(n - point));
    int e = n - point - places;
    if (e != 0 || rng_below(r, 2)) buf_printf(b, rng_below(r, 2) ? "e%+03d" : "E%d", e);
}

static void number_oracle(void **state)
{
    struct rng r = {3};
    enum { N = 150 };
    struct buf text[N] = {0};
    __int128 value[N]; /* times 10^6 */
    for (int i = 0; i < N; i++) {
        uint64_t v = 0;
        for (unsigned k = rng_below(&r, 20); k > 0; k--) v = v * 10 + (rng_below(&r, 3) ? rng_below(&r, 10) : 0);
        int places = (int)rng_below(&r, 7);
        bool minus = rng_below(&r, 2);
        value[i] = minus ? -(__int128)v : (__int128)v;
        for (int k = places; k < 6; k++) value[i] *= 10;
        spell(&r, &text[i], minus, v, places);
        if (json_check(buf_slice(&text[i]), NULL, NULL)) fail_msg("%.*s", (int)text[i].n, (char *)text[i].p);
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) assert_int_equal(order(buf_slice(&text[i]), buf_slice(&text[j])), (value[i] > value[j]) - (value[i] < value[j]));
    for (int i = 0; i < N; i++) {
        int64_t v;
        bool fits = value[i] % 1000000 == 0 && value[i] / 1000000 >= INT64_MIN && value[i] / 1000000 <= INT64_MAX;
        assert_int_equal(json_number_i64(buf_slice(&text[i]), &v), fits);
        if (fits) assert_true(v == (int64_t)(value[i] / 1000000));
        buf_fini(&text[i]);
    }
}

static void i64(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t v;
    } t[] = {
        {"0", true, 0}, {"-0", true, 0}, {"1", true, 1}, {"-1", true, -1}, {"1.0", true, 1}, {"1e2", true, 100}, {"1.50e1", true, 15}, {" 7 ", true, 7},
        {"9223372036854775807", true, INT64_MAX}, {"-9223372036854775808", true, INT64_MIN}, {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0}, {"9.223372036854775807e18", true, INT64_MAX}, {"1e18", true, 1000000000000000000}, {"1e19", false, 0},
        {"0.5", false, 0}, {"1.5", false, 0}, {"1e-1", false, 0}, {"10e-1", true, 1}, {"1e99999999999999999999", false, 0}, {"0e99999", true, 0},
        {"99999999999999999999", false, 0}, {"\"1\"", false, 0}, {"null", false, 0}, {"", false, 0}, {"[1]", false, 0},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int64_t v = 77;
        if (json_number_i64(slice_str(t[i].text), &v) != t[i].ok) fail_msg("%s", t[i].text);
        assert_int_equal(v, t[i].ok ? t[i].v : 77);
    }
}

/* A model value, whose order is known without JSON: numbers by their line in the chain above, strings as C strings,
 * members by their place in a sorted list of names. */
struct model {
    enum json_type type;
    unsigned rank, n, names;
    char text[4];
    struct model *kid[6];
};

static const char *const names[] = {"", "\\u0001", "a", "aa", "\\u0062", "\xc3\xa9"}; /* as spelled; ascending */

static struct model *model_new(struct rng *r, unsigned depth)
{
    static const enum json_type pick[] = {JSON_NULL, JSON_TRUE, JSON_NUMBER, JSON_NUMBER, JSON_STRING, JSON_STRING, JSON_ARRAY, JSON_OBJECT, JSON_ARRAY, JSON_OBJECT};
    struct model *m = calloc(1, sizeof *m);
    m->type = pick[rng_below(r, depth ? 10 : 6)];
    m->rank = rng_below(r, 4) ? 50 + rng_below(r, 3) : rng_below(r, sizeof numbers / sizeof *numbers);
    for (unsigned n = rng_below(r, 4); n > 0; n--) m->text[strlen(m->text)] = "\x01" "a"[rng_below(r, 2)];
    if (m->type == JSON_OBJECT) m->names = rng_below(r, 64);
    if (m->type == JSON_ARRAY) m->n = rng_below(r, 4);
    if (m->type == JSON_OBJECT) m->n = (unsigned)__builtin_popcount(m->names);
    for (unsigned i = 0; i < m->n; i++) m->kid[i] = model_new(r, depth - 1);
    return m;
}

static void model_free(struct model *m)
{
    for (unsigned i = 0; i < m->n; i++) model_free(m->kid[i]);
    free(m);
}

/* Index of the k-th name that is set. */
static unsigned name_of(const struct model *m, unsigned k)
{
    unsigned set = m->names;
    for (; k > 0; k--) set &= set - 1;
    return (unsigned)__builtin_ctz(set);
}

static int model_cmp(const struct model *a, const struct model *b)
{
    if (a->type != b->type) return a->type < b->type ? -1 : 1;
    if (a->type == JSON_NUMBER) return (a->rank > b->rank) - (a->rank < b->rank);
    if (a->type == JSON_STRING) return sign(strcmp(a->text, b->text));
    for (unsigned i = 0; i < a->n && i < b->n; i++) {
        if (a->type == JSON_OBJECT && name_of(a, i) != name_of(b, i)) return name_of(a, i) < name_of(b, i) ? -1 : 1;
        int c = model_cmp(a->kid[i], b->kid[i]);
        if (c) return c;
    }
    return (a->n > b->n) - (a->n < b->n);
}

static void model_write(struct rng *r, const struct model *m, struct buf *b)
{
    gen_space(r, b);
    if (m->type == JSON_NUMBER) {
        const char *line = numbers[m->rank];
        for (unsigned skip = rng_below(r, 4); skip > 0 && strchr(line, ' '); skip--) line = strchr(line, ' ') + 1;
        buf_add(b, line, strcspn(line, " "));
    } else if (m->type == JSON_STRING) {
        json_quote(slice_str(m->text), b);
    } else if (m->type < JSON_ARRAY) {
        buf_add_str(b, m->type == JSON_NULL ? "null" : "true");
    } else {
        buf_add_byte(b, m->type == JSON_ARRAY ? '[' : '{');
        unsigned turn = m->type == JSON_OBJECT && m->n ? rng_below(r, m->n) : 0;
        for (unsigned i = 0; i < m->n; i++) {
            unsigned k = (i + turn) % m->n;
            if (i) buf_add_byte(b, ',');
            if (m->type == JSON_OBJECT) buf_printf(b, "\"%s\":", names[name_of(m, k)]);
            model_write(r, m->kid[k], b);
        }
        buf_add_byte(b, m->type == JSON_ARRAY ? ']' : '}');
    }
    gen_space(r, b);
}

static void random_values(void **state)
{
    struct rng r = {9};
    enum { N = 120 };
    for (int round = 0; round < 4; round++) {
        struct model *m[N];
        struct buf text[N] = {0};
        for (int i = 0; i < N; i++) {
            m[i] = model_new(&r, 3);
            model_write(&r, m[i], &text[i]);
            struct json_fault f;
            if (json_check(buf_slice(&text[i]), NULL, &f)) fail_msg("%s: %.*s", f.why, (int)text[i].n, (char *)text[i].p);
        }
        for (int i = 0; i < N; i++)
            for (int j = i; j < N; j++) {
                slice a = buf_slice(&text[i]), b = buf_slice(&text[j]);
                if (order(a, b) != model_cmp(m[i], m[j])) fail_msg("%.*s\n?\n%.*s", (int)a.n, (const char *)a.p, (int)b.n, (const char *)b.p);
            }
        for (int i = 0; i < N; i++) {
            struct buf again = {0}; /* other spelling and member order, same value */
            model_write(&r, m[i], &again);
            assert_int_equal(order(buf_slice(&text[i]), buf_slice(&again)), 0);
            buf_fini(&again);
            buf_fini(&text[i]);
            model_free(m[i]);
        }
    }
}

/* Unchecked bytes: any answer, but an end and no wild read. */
static void survives_unchecked_bytes(void **state)
{
    struct rng r = {31};
    struct buf b = {0}, out = {0};
    for (int i = 0; i < 20000; i++) {
        buf_clear(&b);
        gen_value(&r, &b, 3);
        gen_damage(&r, &b);
        size_t n = rng_below(&r, 2) ? b.n : rng_next(&r) % (b.n + 1);
        uint8_t *copy = malloc(n ? n : 1);
        if (n) memcpy(copy, b.p, n);
        int64_t v;
        buf_clear(&out);
        json_sort_key(slice_of(copy, n), i % 2 ? 50 : SIZE_MAX, &out, NULL);
        (void)json_compare(slice_of(copy, n), slice_of(copy, n / 2));
        (void)json_number_i64(slice_of(copy, n), &v);
        json_unescape(slice_of(copy, n), &out);
        buf_clear(&out);
        json_quote(slice_of(copy, n), &out);
        assert_int_equal(json_check(buf_slice(&out), NULL, NULL), E_OK);
        free(copy);
    }
    buf_clear(&b);
    for (int i = 0; i < 100000; i++) buf_add_byte(&b, '[');
    json_sort_key(buf_slice(&b), SIZE_MAX, &out, NULL);
    buf_fini(&b);
    buf_fini(&out);
}

static void quote_and_unescape(void **state)
{
    static const struct {
        const char *bytes, *quoted;
    } t[] = {
        {"", "\"\""}, {"a\"b\\c/", "\"a\\\"b\\\\c/\""}, {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""}, {"\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\""},
        {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
        {"a\xffz", "\"a\xef\xbf\xbdz\""}, {"\xe2\x82", "\"\xef\xbf\xbd\""}, {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    struct buf q = {0}, u = {0};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        buf_clear(&q);
        json_quote(slice_str(t[i].bytes), &q);
        assert_true(slice_eq(buf_slice(&q), slice_str(t[i].quoted)));
        if (i > 4) continue;
        buf_clear(&u);
        json_unescape(buf_slice(&q), &u);
        assert_true(slice_eq(buf_slice(&u), slice_str(t[i].bytes)));
    }
    buf_clear(&u);
    json_unescape(slice_str("\\ud83d\\ude00\\u20AC\\/\\u0000x"), &u);
    assert_true(slice_eq(buf_slice(&u), slice_of("\xf0\x9f\x98\x80\xe2\x82\xac/\0x", 10)));
    buf_clear(&q);
    json_quote(slice_of("\0", 1), &q);
    assert_true(slice_eq(buf_slice(&q), slice_str("\"\\u0000\"")));
    buf_fini(&q);
    buf_fini(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_order), cmocka_unit_test(type_order), cmocka_unit_test(string_order), cmocka_unit_test(container_order), cmocka_unit_test(i64),
        cmocka_unit_test(number_oracle), cmocka_unit_test(random_values), cmocka_unit_test(quote_and_unescape), cmocka_unit_test(survives_unchecked_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
