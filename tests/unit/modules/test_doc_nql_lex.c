/* The words of a query: strings and their escapes, paths, values, names, points; that the first fault stands at its place; the limit of length; the arena. */
#include "modules/doc/nql_lex.h"
#include "nql_bed.h"
#include "support/json_gen.h"

struct one {
    struct nql_lex l;
    struct nql_arena arena;
    struct nql_fault fault;
};

static bool open_text(struct one *o, slice text)
{
    memset(o, 0, sizeof *o);
    return nql_lex_init(&o->l, &o->arena, text, &o->fault);
}

static void close_text(struct one *o) { nql_arena_free(&o->arena); }

typedef bool take(struct nql_lex *l, slice *out);
static bool take_name(struct nql_lex *l, slice *out) { return nql_lex_name(l, "a name", false, out); }
static bool take_collection(struct nql_lex *l, slice *out) { return nql_lex_name(l, "a name", true, out); }
static bool take_point(struct nql_lex *l, slice *out) { return nql_lex_raw(l, "a point", out); }

/* "<what was taken>|<what is left>" or "<place> <why>". Static. */
static const char *taken(take *fn, const char *text)
{
    static char out[512];
    struct one o;
    slice s = {0};
    if (open_text(&o, slice_str(text)) && fn(&o.l, &s))
        snprintf(out, sizeof out, "%.*s|%.*s", (int)s.n, (const char *)s.p, (int)(o.l.end - o.l.p), (const char *)o.l.p);
    else
        snprintf(out, sizeof out, "%zu %s", o.fault.at, o.fault.why);
    close_text(&o);
    return out;
}

struct row {
    take *fn;
    const char *text, *want;
};

static void expect(const struct row *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = taken(row[i].fn, row[i].text);
        if (strcmp(got, row[i].want) != 0) print_error("%s\n", row[i].text);
        assert_string_equal(got, row[i].want);
    }
}
#define EXPECT(rows) expect(rows, sizeof rows / sizeof *rows)

static void strings(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {nql_lex_string, " 'a' x", "a| x"}, {nql_lex_string, "\"it's\"", "it's|"}, {nql_lex_string, "'say \"x\"'", "say \"x\"|"}, {nql_lex_string, "'it\\'s'", "it's|"},
        {nql_lex_string, "''", "|"}, {nql_lex_string, "'\\\\'", "\\|"}, {nql_lex_string, "'\\u0041\\n\\/'", "A\n/|"}, {nql_lex_string, "'\\ud83d\\ude00'", "\xf0\x9f\x98\x80|"},
        {nql_lex_string, " 'abc", "1 a string without its closing quote"}, {nql_lex_string, "'a\\", "2 bad escape in a string"}, {nql_lex_string, "'a\\x'", "2 bad escape in a string"},
        {nql_lex_string, "'\\ud83d'", "0 bad \\u escape in a string"}, {nql_lex_string, "'\\u12'", "0 bad \\u escape in a string"}, {nql_lex_string, "'a\tb'", "2 control character in a string"},
        {nql_lex_string, "'a\\'", "0 a string without its closing quote"},
    };
    EXPECT(rows);
}

static void paths(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {nql_lex_path, "a.b[0].c = 1", "a.b[0].c| = 1"}, {nql_lex_path, "$", "$|"}, {nql_lex_path, "$.count>1", "$.count|>1"}, {nql_lex_path, "[\"a]b\"].c)", "[\"a]b\"].c|)"},
        {nql_lex_path, "a-b", "a-b|"}, {nql_lex_path, "\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9|"}, {nql_lex_path, "a[\"\\\"]\"]x", "a[\"\\\"]\"]|x"},
        {nql_lex_path, "count", "0 a path expected, found the key word 'count'; for a field of that name write $.count"}, {nql_lex_path, " $p", "1 a path expected, found a parameter"},
        {nql_lex_path, "a..b", "1 bad path"}, {nql_lex_path, "a.", "1 bad path"}, {nql_lex_path, "a[", "1 bad path"}, {nql_lex_path, "a[x]", "0 bad path"}, {nql_lex_path, "a[01]", "0 bad path"},
        {nql_lex_path, "5", "0 a path expected, found '5'"}, {nql_lex_path, "", "0 a path expected at the end"}, {nql_lex_path, "\x01", "0 a path expected"},
    };
    EXPECT(rows);
}

static void values(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {nql_lex_json, "1.5e+3,", "1.5e+3|,"}, {nql_lex_json, "-0)", "-0|)"}, {nql_lex_json, "TRUE x", "true| x"}, {nql_lex_json, "[1,{\"]\":\"[\"}] x", "[1,{\"]\":\"[\"}]| x"},
        {nql_lex_json, "{\"a\":\"\\\"}\"}", "{\"a\":\"\\\"}\"}|"}, {nql_lex_json, "01", "0 bad number"}, {nql_lex_json, "1-2", "0 bad number"}, {nql_lex_json, "+1", "0 bad number"}, {nql_lex_json, ".5", "0 bad number"},
        {nql_lex_json, "1x", "0 bad number"}, {nql_lex_json, "[1,", "0 a list or object without its end"}, {nql_lex_json, "[\"]", "0 a list or object without its end"}, {nql_lex_json, "truely", "0 a value expected, found 'truely'"},
        {nql_lex_json, "", "0 a value expected at the end"},
        {nql_lex_json, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "0 a value expected, found 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'"},
    };
    EXPECT(rows);
    assert_int_equal(strncmp(taken(nql_lex_json, " [1,]"), "4 bad JSON: ", 12), 0);
    assert_int_equal(strncmp(taken(nql_lex_json, "{\"a\":1,\"a\":2}"), "7 bad JSON: ", 12), 0);
}

static void names_and_points(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {take_name, "a-b.c/d@e:f x", "a-b.c/d@e:f| x"}, {take_name, "'any thing' x", "any thing| x"}, {take_name, "from", "0 a name expected, found a key word; put it in quotes if it is meant"},
        {take_collection, "from x", "from| x"}, {take_name, "$p", "0 a name expected, found '$p'"}, {take_name, "", "0 a name expected at the end"},
        {take_point, "time:2026-01-01T00:00:00Z x", "time:2026-01-01T00:00:00Z| x"}, {take_point, "'tag:a b'", "tag:a b|"}, {take_point, "WHERE", "0 a point expected, found 'WHERE'"},
        {nql_lex_param, "$a_1-b", "a_1|-b"}, {nql_lex_param, "$$", "0 a parameter's name must follow '$'"}, {nql_lex_param, "$", "0 a parameter's name must follow '$'"},
    };
    EXPECT(rows);
    assert_true(nql_lex_is_name(slice_str("a:b")) && nql_lex_is_name(slice_str("7")) && !nql_lex_is_name(slice_str("")) && !nql_lex_is_name(slice_str("a b")));
    assert_false(nql_lex_is_name(slice_str("\xff")) || nql_lex_is_name(slice_str("$a")));
    assert_true(nql_lex_is_reserved(slice_str("bEtWeEn")) && !nql_lex_is_reserved(slice_str("betwee")) && !nql_lex_is_reserved(slice_str("")));
}

static void words_and_the_first_fault(void **state)
{
    (void)state;
    struct one o;
    assert_true(open_text(&o, slice_str(" \t\n wHeRe wherever ( x")));
    assert_false(nql_lex_take(&o.l, "WHEREVER"));
    assert_true(nql_lex_take(&o.l, "WHERE"));
    assert_false(nql_lex_is(&o.l, "WHERE")); /* not the beginning of a longer word */
    assert_false(nql_lex_punct(&o.l, '('));
    assert_true(nql_lex_take(&o.l, "wherever") && nql_lex_punct(&o.l, '('));
    assert_false(nql_lex_must(&o.l, "AND"));
    assert_int_equal(o.fault.at, 21);
    assert_string_equal(o.fault.why, "AND expected, found 'x'");
    assert_false(nql_lex_fail(&o.l, o.l.start, "another"));
    assert_int_equal(o.fault.at, 21);
    close_text(&o);
}

static void length_and_encoding(void **state)
{
    (void)state;
    struct one o;
    struct buf text = {0};
    memset(buf_reserve(&text, NQL_BYTES_MAX + 1), 'a', NQL_BYTES_MAX + 1);
    text.n = NQL_BYTES_MAX;
    assert_true(open_text(&o, buf_slice(&text)));
    close_text(&o);
    text.n++;
    assert_false(open_text(&o, buf_slice(&text)));
    assert_int_equal(o.fault.at, NQL_BYTES_MAX);
    close_text(&o);
    static const struct {
        const char *bytes;
        size_t n, at;
    } bad[] = {{"a\xff", 2, 1}, {"ab\xc3", 3, 2}, {"\xc0\x80", 2, 0}, {"x\xed\xa0\x80", 4, 1}, {"\xf4\x90\x80\x80", 4, 0}, {"\xe2\x82", 2, 0}, {"\xf5", 1, 0}, {"a\x80", 2, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(open_text(&o, slice_of(bad[i].bytes, bad[i].n)));
        assert_int_equal(o.fault.at, bad[i].at);
        close_text(&o);
    }
    buf_fini(&text);
}

static void one_arena(void)
{
    struct nql_arena a = {0};
    struct rng r = {1};
    uint8_t *piece[200];
    size_t bytes[200];
    for (unsigned i = 0; i < 200; i++) {
        bytes[i] = i % 50 == 7 ? 10000 : rng_below(&r, 100);
        piece[i] = nql_arena_take(&a, bytes[i]);
        assert_int_equal((uintptr_t)piece[i] % 16, 0);
        for (size_t k = 0; k < bytes[i]; k++) assert_int_equal(piece[i][k], 0);
        memset(piece[i], (int)i, bytes[i]);
    }
    for (unsigned i = 0; i < 200; i++)
        for (size_t k = 0; k < bytes[i]; k++) assert_int_equal(piece[i][k], i); /* none lies in another */
    slice empty = nql_arena_copy(&a, (slice){0});
    assert_true(empty.p != NULL && empty.n == 0);
    nql_arena_free(&a);
    nql_arena_free(&a);
}

static void the_arena(void **state)
{
    (void)state;
    one_arena();
    size_t before = mem_used();
    for (int i = 0; i < 50; i++) one_arena();
    assert_true(mem_used() < before + (256 << 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),          cmocka_unit_test(paths),
        cmocka_unit_test(values),           cmocka_unit_test(names_and_points),
        cmocka_unit_test(words_and_the_first_fault), cmocka_unit_test(length_and_encoding),
        cmocka_unit_test(the_arena),
    };
    return cmocka_run_group_tests_name("doc_nql_lex", tests, NULL, NULL);
}
