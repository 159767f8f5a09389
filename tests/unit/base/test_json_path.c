/* Paths, json_find and json_next, with cJSON's tree as the second opinion. */
#include "base/json.h"
#include "base/mem.h"
#include "support/json_gen.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int find(const char *json, const char *path, slice *value)
{
    struct json_path p;
    int r = json_path_parse(slice_str(path), &p);
    return r ? r : json_find(slice_str(json), &p, value);
}

static void paths_that_parse(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *last; /* name of the last step, NULL: an index */
        int64_t index;
    } good[] = {
        {"$", 0, NULL, 0}, {"plan", 1, "plan", -1}, {"a.b", 2, "b", -1}, {"$.a.b", 2, "b", -1}, {"a.b[0]", 3, NULL, 0}, {"[12]", 1, NULL, 12},
        {"$[3].x", 2, "x", -1}, {"$ref", 1, "$ref", -1}, {"a[\"b.c\"]", 2, "b.c", -1}, {"[\"a\\\"b\"]", 1, "a\\\"b", -1}, {"$[\"\"]", 1, "", -1},
        {"a b.c d", 2, "c d", -1}, {"a[0][1]", 3, NULL, 1}, {"\xc3\xa9.x", 2, "x", -1}, {"a.$", 2, "$", -1}, {"[999999999999999999]", 1, NULL, 999999999999999999},
        {"a[\"]\"].b", 3, "b", -1},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct json_path p;
        if (json_path_parse(slice_str(good[i].text), &p)) fail_msg("refused: %s", good[i].text);
        assert_int_equal(p.n, good[i].n);
        if (p.n == 0) continue;
        const struct json_step *s = &p.step[p.n - 1];
        assert_int_equal(s->index, good[i].last ? -1 : good[i].index);
        if (good[i].last) assert_true(slice_eq(s->name, slice_str(good[i].last)));
    }
}

static void paths_that_do_not(void **state)
{
    static const char *const bad[] = {"", ".", "$.", "a.", ".a", "a..b", "a[", "a[]", "a[-1]", "a[01]", "a[x]", "a[1", "a[\"b]", "a[\"b\"", "a]", "a\"b",
                                      "a\\b", "a[1]b", "$[", "$$.[", "a[1000000000000000000]", "a[\"\\x\"]", "a[\"\xff\"]", "a[ 1]", "a.[0]"};
    struct json_path p;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (json_path_parse(slice_str(bad[i]), &p) != E_SYNTAX) fail_msg("accepted: %s", bad[i]);
    struct buf b = {0};
    buf_add_byte(&b, 'a');
    for (int i = 1; i < JSON_PATH_MAX; i++) buf_add_str(&b, ".a");
    assert_int_equal(json_path_parse(buf_slice(&b), &p), E_OK);
    assert_int_equal(p.n, JSON_PATH_MAX);
    buf_add_str(&b, ".a");
    assert_int_equal(json_path_parse(buf_slice(&b), &p), E_SYNTAX);
    buf_fini(&b);
}

static void finds(void **state)
{
    static const char doc[] = " { \"a\" : { \"b\" : [ 1 , {\"c\":\"x\\\"]}\"} , [ ] ] } , \"\\u00e9\" : 2, \"b.c\":3,\"q\\\"\":4 ,\"\":5,\"z\":-1.5e3}";
    static const struct {
        const char *path, *value;
    } hit[] = {
        {"a.b[0]", "1"}, {"a.b[1].c", "\"x\\\"]}\""}, {"a.b[2]", "[ ]"}, {"a.b", "[ 1 , {\"c\":\"x\\\"]}\"} , [ ] ]"}, {"\xc3\xa9", "2"},
        {"[\"b.c\"]", "3"}, {"[\"q\\\"\"]", "4"}, {"[\"q\\u0022\"]", "4"}, {"[\"\"]", "5"}, {"z", "-1.5e3"}, {"[\"\\u007a\"]", "-1.5e3"},
    };
    static const char *const miss[] = {"x", "a.x", "a.b[3]", "a.b.c", "a[0]", "[0]", "z.a", "z[0]", "a.b[1].c.d", "a.b[2][0]"};
    slice v;
    for (size_t i = 0; i < sizeof hit / sizeof *hit; i++) {
        if (find(doc, hit[i].path, &v)) fail_msg("not found: %s", hit[i].path);
        if (!slice_eq(v, slice_str(hit[i].value))) fail_msg("%s: %.*s", hit[i].path, (int)v.n, (const char *)v.p);
    }
    for (size_t i = 0; i < sizeof miss / sizeof *miss; i++) assert_int_equal(find(doc, miss[i], &v), E_NOTFOUND);
    assert_int_equal(find(" 7 ", "$", &v), E_OK);
    assert_true(slice_eq(v, slice_str("7")));
    assert_int_equal(find("", "$", &v), E_CORRUPT);
}

/* Bytes that were never checked: some answer, no wild read (the copy ends where its allocation ends). */
static void survives_unchecked_bytes(void **state)
{
    static const char *const path[] = {"$", "a", "[0]", "[1].name", "a.b[0]"};
    struct rng r = {5};
    struct buf b = {0};
    for (int i = 0; i < 20000; i++) {
        buf_clear(&b);
        gen_value(&r, &b, 3);
        gen_damage(&r, &b);
        size_t n = rng_below(&r, 2) ? b.n : rng_next(&r) % (b.n + 1);
        uint8_t *copy = malloc(n ? n : 1);
        if (n) memcpy(copy, b.p, n);
        for (size_t k = 0; k < sizeof path / sizeof *path; k++) {
            struct json_path p;
            assert_int_equal(json_path_parse(slice_str(path[k]), &p), E_OK);
            slice v;
            int e = json_find(slice_of(copy, n), &p, &v);
            assert_true(e == E_OK || e == E_NOTFOUND || e == E_CORRUPT);
            if (e == E_OK) assert_true(v.p >= copy && v.p + v.n <= copy + n);
        }
        slice name, v;
        size_t steps = 0;
        for (size_t at = 0; json_next(slice_of(copy, n), &at, &name, &v) == E_OK; steps++) assert_true(at <= n && steps <= n);
        free(copy);
    }
    buf_fini(&b);
}

/* Looks every value of the tree up by its path and compares with cJSON's reading of the same bytes. */
static void walk_tree(slice json, const cJSON *tree, struct buf *path, size_t *seen)
{
    struct json_path p;
    slice v;
    assert_int_equal(json_path_parse(buf_slice(path), &p), E_OK);
    assert_int_equal(json_find(json, &p, &v), E_OK);
    cJSON *again = cJSON_ParseWithLength((const char *)v.p, v.n);
    assert_true(cJSON_Compare(tree, again, true));
    cJSON_Delete(again);
    ++*seen;

    size_t at = 0, base = path->n;
    int64_t i = 0;
    slice name, value;
    for (const cJSON *c = tree->child; c; c = c->next, i++) {
        assert_int_equal(json_next(v, &at, &name, &value), E_OK);
        path->n = base;
        if (cJSON_IsObject(tree)) {
            assert_non_null(name.p);
            struct buf plain = {0};
            json_unescape(name, &plain);
            assert_true(slice_eq(buf_slice(&plain), slice_str(c->string)));
            buf_add_byte(path, '[');
            json_quote(buf_slice(&plain), path); /* spelled otherwise than in the document */
            buf_add_byte(path, ']');
            buf_fini(&plain);
        } else {
            assert_null(name.p);
            buf_printf(path, "[%lld]", (long long)i);
        }
        walk_tree(json, c, path, seen);
    }
    path->n = base;
    bool container = cJSON_IsObject(tree) || cJSON_IsArray(tree);
    assert_int_equal(json_next(v, &at, &name, &value), container ? E_END : E_INVALID);
}

static void random_documents(void **state)
{
    struct rng r = {11};
    struct buf b = {0}, path = {0};
    size_t seen = 0;
    for (int i = 0; i < 1500; i++) {
        buf_clear(&b);
        gen_value(&r, &b, 4);
        slice trimmed;
        assert_int_equal(json_check(buf_slice(&b), &trimmed, NULL), E_OK);
        cJSON *tree = cJSON_ParseWithLength((const char *)b.p, b.n);
        assert_non_null(tree);
        buf_clear(&path);
        buf_add_byte(&path, '$');
        walk_tree(trimmed, tree, &path, &seen);
        cJSON_Delete(tree);
    }
    assert_true(seen > 5000);
    buf_fini(&b);
    buf_fini(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_parse), cmocka_unit_test(paths_that_do_not),        cmocka_unit_test(finds),
        cmocka_unit_test(random_documents), cmocka_unit_test(survives_unchecked_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
