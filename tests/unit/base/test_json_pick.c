/* json_pick against json_find, over given and random texts, whole and damaged. */
#include "base/json.h"
#include "base/mem.h"
#include "support/json_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const texts[] = {"a", "b", "a.b", "a.b[0]", "a[1]", "[0]", "[2]", "[1].a", "$", "a[\"x y\"]", "[\"\\u0061\\u0062\"]", "ab", "a.b.c.d", "a[0][0]", "name#0", "[\"\"]", "a[0]", "e#1", "[\"\\\"#2\"]"};
#define TEXTS (sizeof texts / sizeof *texts)

static void compare(slice json, const struct json_path *const *paths, size_t n, bool checked)
{
    struct json_picker *k = json_picker_new(paths, n);
    slice got[JSON_PICKS_MAX], want;
    uint64_t found = json_pick(k, json, got);
    for (size_t i = 0; i < n; i++) {
        if (found >> i & 1) assert_true(got[i].p >= json.p && got[i].p + got[i].n <= json.p + json.n && got[i].n > 0);
        if (!checked || !paths[i]) continue;
        bool there = json_find(json, paths[i], &want) == E_OK;
        if (there != (found >> i & 1) || (there && (got[i].p != want.p || got[i].n != want.n)))
            fail_msg("path %zu of %.*s: %d, %.*s", i, (int)json.n, (const char *)json.p, (int)there, there ? (int)want.n : 0, (const char *)json.p);
    }
    for (size_t i = 0; i < n; i++)
        if (!paths[i]) assert_false(found >> i & 1);
    json_picker_free(&k);
    assert_null(k);
}

static void given_texts(void **state)
{
    static const char *const docs[] = {
        "{\"a\":{\"b\":[1,2],\"x y\":null},\"b\":\"}\",\"ab\":[[3]]}", "[[5],{\"a\":\"\\\"\"},true]", "5", "\"x\"", " { } ", "[]", "{\"a\":[[\"deep\"],7]}", "{\"\\u0061\":{\"\\u0062\":1},\"ab\":2,\"\":3}",
        "{ \"z\" : [ { \"a\" : 1 } , [ ] ] , \"a\" : [ 1 , 2 ] , \"b\" : 1e5 }", "{\"long name that has more than sixteen bytes\":\"and a long value too, \\n with an escape\",\"a\":{\"c\":{},\"b\":{\"c\":{\"d\":0}}}}",
    };
    struct json_path path[TEXTS];
    const struct json_path *all[TEXTS];
    for (size_t i = 0; i < TEXTS; i++) {
        assert_int_equal(json_path_parse(slice_str(texts[i]), &path[i]), E_OK);
        all[i] = &path[i];
    }
    for (size_t d = 0; d < sizeof docs / sizeof *docs; d++) {
        assert_int_equal(json_check(slice_str(docs[d]), NULL, NULL), E_OK);
        compare(slice_str(docs[d]), all, TEXTS, true);
        for (size_t i = 0; i < TEXTS; i++) compare(slice_str(docs[d]), &all[i], 1, true);
    }
    const struct json_path *none[] = {NULL, NULL};
    compare(slice_str("{\"a\":1}"), none, 2, true);
    compare(slice_str("{\"a\":1}"), NULL, 0, true);
    compare((slice){NULL, 0}, all, TEXTS, true);
}

static void random_texts(void **state)
{
    struct rng rng = {21};
    struct buf json = {0};
    struct json_path path[TEXTS];
    for (size_t i = 0; i < TEXTS; i++) assert_int_equal(json_path_parse(slice_str(texts[i]), &path[i]), E_OK);
    for (int round = 0; round < 20000; round++) {
        const struct json_path *chosen[8];
        size_t n = 1 + rng_below(&rng, 8);
        for (size_t i = 0; i < n; i++) chosen[i] = rng_below(&rng, 9) ? &path[rng_below(&rng, TEXTS)] : NULL;
        buf_clear(&json);
        gen_value(&rng, &json, 4);
        bool whole = round % 3 != 0;
        if (!whole) gen_damage(&rng, &json);
        slice exact = slice_of(mem_dup(json.p, json.n), json.n); /* its own allocation: reading past its end is seen */
        compare(exact, chosen, n, whole && json_check(exact, NULL, NULL) == E_OK);
        mem_free((void *)(uintptr_t)exact.p);
    }
    buf_fini(&json);
}

static void many_long_paths(void **state)
{
    static char text[JSON_PICKS_MAX][4 * JSON_PATH_MAX];
    static struct json_path path[JSON_PICKS_MAX];
    const struct json_path *all[JSON_PICKS_MAX];
    struct buf json = {0};
    for (int i = 0; i < JSON_PICKS_MAX; i++) {
        int at = snprintf(text[i], sizeof text[i], "k%d", i);
        for (int k = 1; k < JSON_PATH_MAX; k++) at += snprintf(text[i] + at, sizeof text[i] - (size_t)at, ".a");
        assert_int_equal(json_path_parse(slice_str(text[i]), &path[i]), E_OK);
        all[i] = &path[i];
        buf_printf(&json, "%c\"k%d\":", i ? ',' : '{', i);
        for (int k = 1; k < JSON_PATH_MAX; k++) buf_add_str(&json, "{\"a\":");
        buf_printf(&json, "%d", i);
        for (int k = 1; k < JSON_PATH_MAX; k++) buf_add_byte(&json, '}');
    }
    buf_add_byte(&json, '}');
    assert_int_equal(json_check(buf_slice(&json), NULL, NULL), E_OK);
    compare(buf_slice(&json), all, JSON_PICKS_MAX, true);
    buf_fini(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(given_texts), cmocka_unit_test(random_texts), cmocka_unit_test(many_long_paths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
