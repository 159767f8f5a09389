/* The scanner's verdicts: a hand-written corpus, cJSON as a second opinion, limits, and where faults are said to be. */
#include "base/json.h"
#include "base/mem.h"
#include "support/json_gen.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* Checks a copy that ends exactly where its allocation ends, so that a sanitizer sees any read past it. */
static int check(slice text, struct json_fault *f)
{
    uint8_t *copy = malloc(text.n ? text.n : 1);
    assert_non_null(copy);
    if (text.n) memcpy(copy, text.p, text.n);
    slice trimmed = {NULL, 0};
    int r = json_check(slice_of(copy, text.n), &trimmed, f);
    if (r == E_OK) {
        assert_true(trimmed.n > 0 && trimmed.p >= copy && trimmed.p + trimmed.n <= copy + text.n);
        assert_false(strchr(" \n\r\t", trimmed.p[0]) || strchr(" \n\r\t", trimmed.p[trimmed.n - 1]));
    } else {
        assert_int_equal(r, E_SYNTAX);
        assert_true(f->at <= text.n && f->why);
    }
    free(copy);
    return r;
}

static void accepts(void **state)
{
    static const char *const good[] = {
        "null", "true", "false", "0", "-0", "1", "-1", "10", "0.5", "1e5", "1E+5", "1e-5", "0e0", "-0.0e-0", "1.0000000000000000000000001",
        "1e400", "-1e-400", "123456789012345678901234567890123456789012345678901234567890123",
        "\"\"", "\"a\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0000\"", "\"\\uD83D\\uDE00\"", "\"\\ud83d\\ude00\"", "\"\\uFFFF\"", "\"\x7f\"",
        "\"\xc2\x80\"", "\"\xdf\xbf\"", "\"\xe0\xa0\x80\"", "\"\xed\x9f\xbf\"", "\"\xee\x80\x80\"", "\"\xf0\x90\x80\x80\"", "\"\xf4\x8f\xbf\xbf\"",
        "[]", "[ ]", "{}", "{ }", "[1]", "[1,2]", " [ 1 , 2 ] ", "\t\r\n{}\n", "[[],{}]", "{\"a\":1}", "{\"a\":{\"a\":{\"a\":1}}}",
        "{\"\":0}", "{\"a\":1,\"b\":2}", "{\"a\":1,\"A\":2}", "{\"a\":1,\"a\\u0000\":2}", "[{\"a\":1},{\"a\":2}]", "{\"a\":[{\"a\":1}],\"b\":{\"a\":1}}",
        "\"a string of more than sixteen bytes, and then another sixteen \xe2\x82\xac\"",
    };
    struct json_fault f;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (check(slice_str(good[i]), &f)) fail_msg("refused at %zu (%s): %s", f.at, f.why, good[i]);
}

static void refuses_and_says_where(void **state)
{
    static const struct {
        const char *text;
        size_t at;
        const char *why;
    } bad[] = {
        {"", 0, "unexpected end"}, {"  ", 2, "unexpected end"}, {"[", 1, "unexpected end"}, {"{\"a\"", 4, "unexpected end"},
        {"{\"a\":", 5, "unexpected end"}, {"\"abc", 4, "unexpected end"}, {"tru", 3, "unexpected end"}, {"-", 1, "unexpected end"},
        {"1.", 2, "unexpected end"}, {"1e", 2, "unexpected end"}, {"1e+", 3, "unexpected end"}, {"\"\\", 2, "unexpected end"},
        {"\"\\u12", 5, "unexpected end"}, {"\"\\ud83d\\u", 9, "unexpected end"}, {"\"\xe2\x82", 3, "unexpected end"},
        {"nul!", 3, "unknown word"}, {"TRUE", 0, "value expected"}, {"truex", 4, "text behind the value"}, {"[1] 2", 4, "text behind the value"},
        {"01", 1, "text behind the value"}, {"-a", 1, "bad number"}, {"1.a", 2, "bad number"}, {"1ea", 2, "bad number"}, {".5", 0, "value expected"},
        {"+1", 0, "value expected"}, {"[1,]", 3, "value expected"}, {"[,1]", 1, "value expected"}, {"[1 2]", 3, "',' or ']' expected"},
        {"[1}", 2, "',' or ']' expected"}, {"{\"a\":1]", 6, "',' or '}' expected"}, {"{\"a\":1,}", 7, "member name expected"},
        {"{a:1}", 1, "member name expected"}, {"{\"a\" 1}", 5, "':' expected"}, {"{\"a\":}", 5, "value expected"}, {"'a'", 0, "value expected"},
        {"NaN", 0, "value expected"}, {"\xef\xbb\xbf{}", 0, "value expected"}, {"[1]\x0b", 3, "text behind the value"},
        {"\"a\nb\"", 2, "control character in a string"}, {"\"\x1f\"", 1, "control character in a string"},
        {"\"\\x\"", 2, "bad escape"}, {"\"\\u12g4\"", 5, "bad \\u escape"},
        {"\"\\udc00\"", 4, "lone surrogate"}, {"\"\\ud800\"", 7, "lone surrogate"}, {"\"\\ud800x\"", 7, "lone surrogate"},
        {"\"\\ud800\\n\"", 8, "lone surrogate"}, {"\"\\ud800\\ud800\"", 10, "lone surrogate"}, {"\"\\ud800\\u0041\"", 9, "lone surrogate"},
        {"\"\x80\"", 1, "not UTF-8"}, {"\"\xc0\x80\"", 1, "not UTF-8"}, {"\"\xc1\xbf\"", 1, "not UTF-8"}, {"\"\xe0\x9f\xbf\"", 2, "not UTF-8"},
        {"\"\xed\xa0\x80\"", 2, "not UTF-8"}, {"\"\xf0\x8f\xbf\xbf\"", 2, "not UTF-8"}, {"\"\xf4\x90\x80\x80\"", 2, "not UTF-8"},
        {"\"\xf5\x80\x80\x80\"", 1, "not UTF-8"}, {"\"\xff\"", 1, "not UTF-8"}, {"\"\xe2\x82\"", 3, "not UTF-8"}, {"\"\xc3(\"", 2, "not UTF-8"},
        {"{\"a\":1,\"a\":2}", 7, "duplicate member name"}, {"{\"a\":1,\"\\u0061\":2}", 7, "duplicate member name"},
        {"{\"\\u00e9\":1,\"\xc3\xa9\":2}", 12, "duplicate member name"}, {"[{\"x\":{\"b\":1,\"b\":1}}]", 13, "duplicate member name"},
        {"{\"\":1,\"\":2}", 6, "duplicate member name"}, {"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", 18, "duplicate member name"},
        {"{\"a\":{\"b\":1},\"c\":2,\"a\":3}", 19, "duplicate member name"},
    };
    struct json_fault f;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (check(slice_str(bad[i].text), &f) == E_OK) fail_msg("accepted: %s", bad[i].text);
        if (f.at != bad[i].at || strcmp(f.why, bad[i].why)) fail_msg("%s: at %zu (%s), not %zu (%s)", bad[i].text, f.at, f.why, bad[i].at, bad[i].why);
    }
    assert_int_equal(check(slice_of("[1]\0", 4), &f), E_SYNTAX);
    assert_int_equal(f.at, 3);
    assert_int_equal(json_check(slice_str("[1,"), NULL, NULL), E_SYNTAX);
    assert_int_equal(json_check(slice_of(NULL, 0), NULL, &f), E_SYNTAX);
    slice t;
    assert_int_equal(json_check(slice_str(" \n[1] \t"), &t, NULL), E_OK);
    assert_true(slice_eq(t, slice_str("[1]")));
}

/* Every byte sequence of up to four bytes from the borders, against a decoder that knows only code points. */
static bool utf8_oracle(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c = p[i++], min;
        unsigned more;
        if (c < 0x80) { if (c < 0x20 || c == '"' || c == '\\') return false; continue; }
        if ((c & 0xe0) == 0xc0) more = 1, min = 0x80, c &= 31;
        else if ((c & 0xf0) == 0xe0) more = 2, min = 0x800, c &= 15;
        else if ((c & 0xf8) == 0xf0) more = 3, min = 0x10000, c &= 7;
        else return false;
        for (; more; more--) {
            if (i == n || (p[i] & 0xc0) != 0x80) return false;
            c = c << 6 | (p[i++] & 63);
        }
        if (c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return false;
    }
    return true;
}

static void utf8_borders(void **state)
{
    static const uint8_t border[] = {'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
                                     0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    enum { N = sizeof border };
    for (unsigned i = 0; i < N * N * N * N; i++) {
        uint8_t text[] = {'"', border[i % N], border[i / N % N], border[i / N / N % N], border[i / N / N / N], '"'};
        bool ok = json_check(slice_of(text, 6), NULL, NULL) == E_OK;
        if (ok != utf8_oracle(text + 1, 4)) fail_msg("%02x %02x %02x %02x: %d", text[1], text[2], text[3], text[4], ok);
    }
}

/* What cJSON 1.7 lets through although RFC 8259 does not, by the reason we refuse it:
 *   control characters in strings; bytes that are not UTF-8; duplicate names; numbers with leading zeros or without digits
 *   behind the point (strtod's grammar); \u with wrong digits, taken for \u0000; every byte up to 0x20 as white space; a byte order mark; more than 512 levels (its limit is 1000).
 * And what it refuses although it is right: a number of more than 63 characters. */
static bool is_leniency(const struct buf *b, const struct json_fault *f)
{
    uint8_t c = f->at < b->n ? b->p[f->at] : 0, before = f->at ? b->p[f->at - 1] : 0;
    if (!strcmp(f->why, "control character in a string") || !strcmp(f->why, "not UTF-8") || !strcmp(f->why, "duplicate member name") ||
        !strcmp(f->why, "bad number") || !strcmp(f->why, "bad \\u escape") || !strcmp(f->why, "nested too deep"))
        return true;
    if (!strcmp(f->why, "lone surrogate") && (before | 0x20) == 'd') /* the rest may be wrong digits */
        for (size_t i = f->at; i < b->n && i < f->at + 3; i++)
            if (!isxdigit(b->p[i])) return true;
    if (c < 0x20 && f->at < b->n) return true;
    if (f->at == 0 && c == 0xef) return true;
    if (f->at == b->n && (before == '.' || before == '-')) return true;
    return before == '0' && c >= '0' && c <= '9';
}

static bool has_long_number(const struct buf *b)
{
    size_t run = 0;
    for (size_t i = 0; i < b->n; i++) {
        run = b->p[i] && strchr("0123456789+-eE.", b->p[i]) ? run + 1 : 0;
        if (run > 63) return true;
    }
    return false;
}

static void against_cjson(struct buf *b)
{
    struct json_fault f = {0};
    bool ours = check(buf_slice(b), &f) == E_OK;
    buf_reserve(b, 1)[0] = 0; /* cJSON wants a NUL to see that nothing follows */
    cJSON *tree = cJSON_ParseWithLengthOpts((const char *)b->p, b->n + 1, NULL, true);
    if (ours && !tree && !has_long_number(b)) fail_msg("cJSON refuses: %.*s", (int)b->n, (char *)b->p);
    if (!ours && tree && !is_leniency(b, &f)) fail_msg("cJSON accepts, we say %s at %zu: %.*s", f.why, f.at, (int)b->n, (char *)b->p);
    cJSON_Delete(tree);
}

/* The text up to the fault could still become right, and with the byte at the fault it cannot. */
static void fault_is_exact(const struct buf *b)
{
    struct json_fault f, g;
    if (check(buf_slice(b), &f) == E_OK || !strcmp(f.why, "duplicate member name")) return;
    if (check(slice_of(b->p, f.at), &g)) {
        assert_string_equal(g.why, "unexpected end");
        assert_int_equal(g.at, f.at);
    }
    if (f.at == b->n) return;
    assert_int_equal(check(slice_of(b->p, f.at + 1), &g), E_SYNTAX);
    assert_int_equal(g.at, f.at);
    assert_string_equal(g.why, f.why);
}

static void random_and_damaged(void **state)
{
    struct rng r = {20};
    struct buf b = {0};
    for (int i = 0; i < 20000; i++) {
        buf_clear(&b);
        gen_value(&r, &b, 4);
        struct json_fault f;
        if (check(buf_slice(&b), &f)) fail_msg("refused at %zu (%s): %.*s", f.at, f.why, (int)b.n, (char *)b.p);
        against_cjson(&b);
        for (int k = 0; k < 4; k++) {
            gen_damage(&r, &b);
            against_cjson(&b);
            fault_is_exact(&b);
        }
    }
    buf_fini(&b);
}

static void truncations(void **state)
{
    struct rng r = {7};
    struct buf b = {0};
    for (int i = 0; i < 300; i++) {
        buf_clear(&b);
        buf_add_byte(&b, '[');
        gen_value(&r, &b, 3);
        buf_add_byte(&b, ']');
        for (size_t n = 0; n < b.n; n++) {
            struct json_fault f;
            assert_int_equal(check(slice_of(b.p, n), &f), E_SYNTAX);
            assert_int_equal(f.at, n);
            assert_string_equal(f.why, "unexpected end");
        }
    }
    buf_fini(&b);
}

static void depth_limit(void **state)
{
    struct buf b = {0};
    struct json_fault f;
    for (int levels = JSON_DEPTH_MAX - 1; levels <= JSON_DEPTH_MAX + 1; levels++)
        for (int object = 0; object < 2; object++) {
            buf_clear(&b);
            for (int i = 0; i < levels; i++) buf_add_str(&b, object ? "{\"a\":" : "[");
            buf_add_str(&b, "1");
            for (int i = 0; i < levels; i++) buf_add_byte(&b, object ? '}' : ']');
            bool ok = check(buf_slice(&b), &f) == E_OK;
            assert_int_equal(ok, levels <= JSON_DEPTH_MAX);
            if (!ok) assert_string_equal(f.why, "nested too deep");
            if (!ok) assert_int_equal(f.at, (object ? 5 : 1) * JSON_DEPTH_MAX);
        }
    buf_clear(&b);
    for (int i = 0; i < 1000000; i++) buf_add_byte(&b, '[');
    assert_int_equal(check(buf_slice(&b), &f), E_SYNTAX);
    buf_fini(&b);
    /* Refused by its length alone: not one byte is read. */
    assert_int_equal(json_check(slice_of("", (size_t)JSON_BYTES_MAX + 1), NULL, &f), E_SYNTAX);
    assert_string_equal(f.why, "too large");
}

static void members(struct buf *b, int n, int twice)
{
    buf_add_byte(b, '{');
    for (int i = 0; i < n; i++) buf_printf(b, "%s\"member %d\":%d", i ? "," : "", i == n - 1 && twice >= 0 ? twice : i, i);
    buf_add_byte(b, '}');
}

static void duplicates_at_any_size(void **state)
{
    struct buf b = {0};
    struct json_fault f;
    for (int n = 2; n < 70; n++)
        for (int twice = -1; twice < n - 1; twice++) {
            buf_clear(&b);
            members(&b, n, twice);
            int r = check(buf_slice(&b), &f);
            assert_int_equal(r, twice < 0 ? E_OK : E_SYNTAX);
            if (r) assert_string_equal(f.why, "duplicate member name");
        }
    /* A name of a large object is found again behind a nested one, and only in its own object. */
    for (int twice = 0; twice < 2; twice++) {
        buf_clear(&b);
        members(&b, 40, -1);
        b.n--;
        buf_add_str(&b, ",\"in\":[");
        for (int i = 0; i < 50; i++) {
            if (i) buf_add_byte(&b, ',');
            members(&b, 40, -1);
        }
        buf_printf(&b, "],\"%s\":1}", twice ? "member\\u00203" : "new");
        assert_int_equal(check(buf_slice(&b), &f), twice ? E_SYNTAX : E_OK);
    }
    /* Names of every length: the hash reads its ends in several ways. */
    for (int n = 0; n < 100; n++)
        for (int differ = -1; differ < n; differ++) {
            buf_clear(&b);
            buf_add_str(&b, "{\"");
            for (int i = 0; i < n; i++) buf_add_byte(&b, 'x');
            buf_add_str(&b, "\":1,\"");
            for (int i = 0; i < n; i++) buf_add_byte(&b, i == differ ? 'y' : 'x');
            buf_add_str(&b, "\":2}");
            assert_int_equal(check(buf_slice(&b), &f), differ < 0 ? E_SYNTAX : E_OK);
        }
    buf_fini(&b);
}

static void long_escaped_names(void **state)
{
    struct buf b = {0};
    struct json_fault f;
    for (int same = 0; same < 2; same++) {
        buf_clear(&b);
        buf_add_str(&b, "{\"");
        for (int i = 0; i < 1000; i++) buf_add_byte(&b, 'k');
        buf_add_str(&b, "\":1,\"");
        for (int i = 0; i < 1000; i++) buf_add_str(&b, i == 999 && !same ? "j" : "\\u006b");
        buf_add_str(&b, "\":2}");
        assert_int_equal(check(buf_slice(&b), &f), same ? E_SYNTAX : E_OK);
    }
    buf_fini(&b);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Generous bounds: quadratic cost would miss them by orders of magnitude. */
static void large_objects_are_linear(void **state)
{
    struct buf b = {0};
    struct json_fault f;
    members(&b, 100000, -1);
    double t = seconds();
    assert_int_equal(check(buf_slice(&b), &f), E_OK);
    buf_clear(&b);
    members(&b, 100000, 0);
    assert_int_equal(check(buf_slice(&b), &f), E_SYNTAX);

    buf_clear(&b); /* one huge object, then many that are just large, then one huge again */
    buf_add_byte(&b, '[');
    members(&b, 50000, -1);
    for (int i = 0; i < 10000; i++) {
        buf_add_byte(&b, ',');
        members(&b, 18, -1);
    }
    buf_add_byte(&b, ',');
    members(&b, 50000, -1);
    buf_add_byte(&b, ']');
    assert_int_equal(check(buf_slice(&b), &f), E_OK);

    buf_clear(&b); /* the shared stack of names leaves its inline array: 16 names on each of 512 levels */
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        members(&b, 15, -1);
        b.n--;
        buf_add_str(&b, ",\"down\":");
    }
    buf_add_str(&b, "0");
    for (int i = 0; i < JSON_DEPTH_MAX; i++) buf_add_byte(&b, '}');
    assert_int_equal(check(buf_slice(&b), &f), E_OK);
    assert_true(seconds() - t < 3);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses_and_says_where),
        cmocka_unit_test(utf8_borders),
        cmocka_unit_test(truncations),
        cmocka_unit_test(depth_limit),
        cmocka_unit_test(duplicates_at_any_size),
        cmocka_unit_test(long_escaped_names),
        cmocka_unit_test(large_objects_are_linear),
        cmocka_unit_test(random_and_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
