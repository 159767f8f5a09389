/* Words: every character against the Unicode database itself, and a plain definition of matching. */
#include "base/words.h"

#include "base/json.h"
#include "support/json_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CODES 0x110000

static uint32_t *folds;   /* 0: belongs to no word */
static uint32_t version;

static FILE *open_data(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "/usr/share/unicode/%s", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    return f;
}

static int load(void **state)
{
    char line[1024];
    folds = calloc(CODES, sizeof *folds);
    FILE *f = open_data("UnicodeData.txt");
    uint32_t first = 0;
    while (fgets(line, sizeof line, f)) {
        uint32_t c = (uint32_t)strtoul(line, NULL, 16);
        const char *name = strchr(line, ';') + 1, *category = strchr(name, ';') + 1;
        if (strstr(line, ", First>")) first = c;
        uint32_t from = strstr(line, ", Last>") ? first : c;
        for (; from <= c && strchr("LMN", category[0]); from++) folds[from] = from;
    }
    fclose(f);
    f = open_data("CaseFolding.txt");
    unsigned v[3] = {0};
    assert_non_null(fgets(line, sizeof line, f));
    assert_int_equal(sscanf(line, "# CaseFolding-%u.%u.%u", &v[0], &v[1], &v[2]), 3);
    version = v[0] << 16 | v[1] << 8 | v[2];
    while (fgets(line, sizeof line, f)) {
        char *end;
        uint32_t c = (uint32_t)strtoul(line, &end, 16);
        if (line[0] == '#' || end == line || !strchr("CS", end[2])) continue;
        if (folds[c]) folds[c] = (uint32_t)strtoul(end + 4, NULL, 16);
    }
    fclose(f);
    return 0;
}

static int unload(void **state)
{
    free(folds);
    return 0;
}

static size_t utf8(uint32_t c, char *out)
{
    if (c < 0x80) return (size_t)sprintf(out, "%c", (int)c);
    if (c < 0x800) return (size_t)sprintf(out, "%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 0x3f)));
    if (c < 0x10000) return (size_t)sprintf(out, "%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 0x3f)), (int)(0x80 | (c & 0x3f)));
    return (size_t)sprintf(out, "%c%c%c%c", (int)(0xf0 | c >> 18), (int)(0x80 | (c >> 12 & 0x3f)), (int)(0x80 | (c >> 6 & 0x3f)),
                           (int)(0x80 | (c & 0x3f)));
}

static void test_every_character(void **state)
{
    assert_int_equal(words_unicode_version(), version);
    for (uint32_t c = 1; c < CODES; c++) {
        char text[16], want[16];
        struct text_word w;
        size_t at = 0, n = utf8(c, text), want_n = 0;
        bool surrogate = c >= 0xd800 && c < 0xe000;
        if (folds[c] && !surrogate) want_n = utf8(folds[c], want);
        text[n] = '!';
        bool found = words_next(slice_of(text, n + 1), &at, &w);
        if (found != (want_n > 0) || (found && (w.n != want_n || memcmp(w.bytes, want, want_n) != 0))) fail_msg("U+%04X", c);
        assert_int_equal(at, found ? n : n + 1);
    }
}

/* The words of a text, joined by |. */
static void expect(const char *text, const char *want)
{
    struct buf have = {0};
    struct text_word w;
    for (size_t at = 0; words_next(slice_str(text), &at, &w);) {
        if (have.n) buf_add_byte(&have, '|');
        buf_add_slice(&have, text_word_slice(&w));
    }
    buf_add_byte(&have, 0);
    assert_string_equal((char *)have.p, want);
    buf_fini(&have);
}

static void test_cutting(void **state)
{
    char text[400], want[400];
    expect("", "");
    expect(" ,;", "");
    expect("One two-THREE_four", "one|two|three|four");
    expect("a\xff" "b\xc3", "a|b");
    expect("STRASSE Straße \xe1\xba\x9e", "strasse|straße|ß");
    expect("ΣΑΣ σας Ⅳ ٣", "σασ|σασ|ⅳ|٣");
    expect("e\xcc\x81t", "e\xcc\x81t"); /* a mark belongs to its word */
    memset(text, 'X', 200), text[200] = 0;
    memset(want, 'x', 64), want[64] = 0;
    strcat(text, " y"), strcat(want, "|y");
    expect(text, want);
    /* A character that does not fit ends the word, though shorter ones follow. */
    memset(text, 'x', 63);
    strcpy(text + 63, "éabc d");
    memset(want, 'x', 63);
    strcpy(want + 63, "|d");
    expect(text, want);
    /* U+023A is two bytes, its folding three. */
    text[0] = 0, want[0] = 0;
    for (int i = 0; i < 30; i++) strcat(text, "\xc8\xba");
    for (int i = 0; i < 21; i++) strcat(want, "\xe2\xb1\xa5");
    expect(text, want);
}

static int join(void *ctx, const struct text_word *w)
{
    buf_add_slice(ctx, text_word_slice(w));
    buf_add_byte(ctx, '|');
    return E_OK;
}

static void expect_json(const char *json, const char *want)
{
    struct buf have = {0}, mem = {0};
    assert_int_equal(words_of_json(slice_str(json), &mem, join, &have), 0);
    buf_add_byte(&have, 0);
    assert_string_equal((char *)have.p, want);
    buf_fini(&have), buf_fini(&mem);
}

static void test_json(void **state)
{
    expect_json("\"One two\"", "one|two|");
    expect_json("12", "");
    expect_json("null", "");
    expect_json("[\"a\",\"B\",[[\"c d\"]],true,7]", "a|b|c|d|");
    expect_json("{\"name\" : \"x\",\"o\":{\"p\":[\"y\"],\"q\":{}}}", "x|y|");
    expect_json("[\"a:b\", \"c\" ,\"d\"]", "a|b|c|d|");
    expect_json("{\"a\\\"b\":\"c\\\"d\\u00c4\\n\\\\x\"}", "c|dä|x|");
    expect_json("[\"\", \":\", \"\\\"\"]", "");
}

static void test_match(void **state)
{
    static const char doc[] = "{\"title\":\"The Quick brown\",\"tags\":[\"Fox\",\"jumps 2\"],\"lazy\":1}";
    static const char *const yes[] = {"quick", "QUICK the", "fox jumps", "qu*", "bro* 2", "the the qu* quick", "the, FOX!"};
    static const char *const no[] = {"lazy", "qui", "title", "quickbrown", "fox dog", "x*", "", " * ", "1", "quick *uick"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        if (!words_match(slice_str(doc), slice_str(yes[i]))) fail_msg("%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (words_match(slice_str(doc), slice_str(no[i]))) fail_msg("%s", no[i]);
    assert_false(words_match((slice){0}, slice_str("a")));
}

static void test_query(void **state)
{
    struct words_query q;
    struct buf many = {0};
    assert_int_equal(words_query_parse(slice_str("Ab ab cd* cd AB*"), &q), E_OK);
    assert_int_equal(q.n, 4);
    assert_true(slice_eq(text_word_slice(&q.at[0].word), slice_str("ab")) && !q.at[0].prefix);
    assert_true(slice_eq(text_word_slice(&q.at[1].word), slice_str("cd")) && q.at[1].prefix);
    assert_true(!q.at[2].prefix && q.at[3].prefix);
    assert_int_equal(words_query_parse((slice){0}, &q), E_SYNTAX);
    assert_int_equal(words_query_parse(slice_str("*"), &q), E_SYNTAX);
    for (int i = 0; i < WORDS_QUERY_MAX; i++) buf_printf(&many, "w%d ", i);
    assert_int_equal(words_query_parse(buf_slice(&many), &q), E_OK);
    assert_int_equal(q.n, WORDS_QUERY_MAX);
    buf_add_str(&many, "more");
    assert_int_equal(words_query_parse(buf_slice(&many), &q), E_TOOBIG);
    buf_fini(&many);
}

/* Strings by the tree walk of json_next give the same words. */
static void walk(slice value, struct buf *out, struct buf *mem, int depth)
{
    slice name, v;
    size_t at = 0;
    if (json_type_of(value) == JSON_STRING) {
        struct text_word w;
        buf_clear(mem);
        json_unescape(value, mem);
        for (size_t i = 0; words_next(buf_slice(mem), &i, &w);) (void)join(out, &w);
    }
    while (depth < 20 && json_next(value, &at, &name, &v) == E_OK) walk(v, out, mem, depth + 1);
}

static void test_random_json(void **state)
{
    struct rng r = {77};
    struct buf json = {0}, have = {0}, want = {0}, mem = {0};
    for (int i = 0; i < 20000; i++) {
        buf_clear(&json), buf_clear(&have), buf_clear(&want);
        gen_value(&r, &json, 4);
        assert_int_equal(json_check(buf_slice(&json), NULL, NULL), E_OK);
        walk(buf_slice(&json), &want, &mem, 0);
        assert_int_equal(words_of_json(buf_slice(&json), &mem, join, &have), 0);
        assert_true(slice_eq(buf_slice(&have), buf_slice(&want)));
    }
    buf_fini(&json), buf_fini(&have), buf_fini(&want), buf_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character), cmocka_unit_test(test_cutting), cmocka_unit_test(test_json),
        cmocka_unit_test(test_match),           cmocka_unit_test(test_query),   cmocka_unit_test(test_random_json),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
