/* Pointers: RFC 6901's own table, every place of random documents, what may be added where, and pointers at the limits of depth, number and work. */
#include "modules/doc/patch.h"
#include "support/json_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *locate(struct patch_tree *t, const char *pointer, bool add, struct patch_place *at)
{
    return patch_locate(t, slice_str(pointer), add, at);
}

static void rfc_table(void **state)
{
    (void)state;
    static const char doc[] = "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}";
    static const char *const rows[][2] = {{"", doc}, {"/foo", "[\"bar\",\"baz\"]"}, {"/foo/0", "\"bar\""}, {"/", "0"}, {"/a~1b", "1"}, {"/c%d", "2"},
                                          {"/e^f", "3"}, {"/g|h", "4"}, {"/i\\j", "5"}, {"/k\"l", "6"}, {"/ ", "7"}, {"/m~0n", "8"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct patch_tree t;
        struct patch_place at;
        patch_tree_init(&t, slice_str(doc));
        assert_null(locate(&t, rows[i][0], false, &at));
        assert_non_null(at.value);
        assert_true(slice_eq(patch_flatten(&t, *at.value), slice_str(rows[i][1])));
        assert_true((at.parent == NULL) == (i == 0));
        patch_tree_fini(&t);
    }
}

/* Every value of a document, by a walk of its own, is where its pointer leads; the deepest is some ten levels down. */
static unsigned walk(slice doc, slice value, struct buf *pointer)
{
    struct patch_tree t;
    struct patch_place at;
    unsigned n = 1;
    patch_tree_init(&t, doc);
    assert_null(patch_locate(&t, buf_slice(pointer), false, &at));
    assert_true((*at.value)->kind == PATCH_RAW && slice_eq((*at.value)->raw, value));
    patch_tree_fini(&t);
    size_t step = 0, was = pointer->n, i = 0;
    slice name, child;
    while (json_next(value, &step, &name, &child) == E_OK) {
        struct buf plain = {0};
        if (*value.p == '{')
            json_unescape(name, &plain);
        else
            buf_printf(&plain, "%zu", i);
        patch_pointer_add(pointer, buf_slice(&plain));
        n += walk(doc, child, pointer);
        pointer->n = was;
        buf_fini(&plain);
        i++;
    }
    return n;
}

static void every_place_of_random_documents(void **state)
{
    (void)state;
    struct rng r = {21};
    unsigned places = 0;
    for (unsigned i = 0; i < 150; i++) {
        struct buf text = {0}, pointer = {0};
        slice doc;
        gen_value(&r, &text, 4);
        if (json_check(buf_slice(&text), &doc, NULL) == E_OK) places += walk(doc, doc, &pointer);
        buf_fini(&text);
        buf_fini(&pointer);
    }
    assert_true(places > 1000);
}

static void what_may_be_added(void **state)
{
    (void)state;
    struct patch_tree t;
    struct patch_place at;
    patch_tree_init(&t, slice_str("{\"a\":[1,2],\"~\":{}}"));
    assert_null(locate(&t, "/a/-", true, &at));
    assert_true(at.index == 2 && at.value == NULL && at.parent->kind == PATCH_ARRAY);
    assert_null(locate(&t, "/a/2", true, &at));
    assert_true(at.index == 2 && at.value == NULL);
    assert_null(locate(&t, "/a/1", true, &at));
    assert_true(at.index == 1 && at.value != NULL);
    assert_null(locate(&t, "/~0/new~1name", true, &at));
    assert_true(at.value == NULL && slice_eq(at.name, slice_str("new/name")));
    assert_null(locate(&t, "/~0/~01", true, &at));
    assert_true(slice_eq(at.name, slice_str("~1")));
    assert_non_null(locate(&t, "/a/3", true, &at));
    assert_non_null(locate(&t, "/b/c", true, &at)); /* only the last one may be missing */
    assert_non_null(locate(&t, "/a/-/x", true, &at));
    assert_non_null(locate(&t, "/a/-", false, &at));
    patch_tree_fini(&t);
}

static void what_leads_nowhere(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"a", "a pointer is empty or begins with /"}, {" /a", "a pointer is empty or begins with /"}, {"#/a", "a pointer is empty or begins with /"},
        {"/a/01", "an array index is a number without leading zeros"}, {"/a/+0", "an array index is a number without leading zeros"},
        {"/a/-1", "an array index is a number without leading zeros"}, {"/a/", "an array index is a number without leading zeros"},
        {"/a/1e0", "an array index is a number without leading zeros"}, {"/a/ 0", "an array index is a number without leading zeros"},
        {"/a/18446744073709551616", "an array index is a number without leading zeros"}, {"/a/18446744073709551615", "no such element"},
        {"/a/4294967296", "no such element"}, {"/a/2", "no such element"}, {"/A", "no such member"}, {"/a~1", "no such member"}, {"//", "no such member"},
        {"/a/0/x", "the pointer leads into a value that is no container"}, {"/s/0", "the pointer leads into a value that is no container"},
        {"/a~", "a pointer has ~ only in ~0 and ~1"}, {"/a~2", "a pointer has ~ only in ~0 and ~1"}, {"/~~0", "a pointer has ~ only in ~0 and ~1"}, {"/a~/0", "a pointer has ~ only in ~0 and ~1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct patch_tree t;
        struct patch_place at;
        patch_tree_init(&t, slice_str("{\"a\":[1,2],\"s\":\"text\"}"));
        const char *why = locate(&t, rows[i][0], false, &at);
        if (!why) print_error("%s leads somewhere\n", rows[i][0]);
        assert_non_null(why);
        assert_string_equal(why, rows[i][1]);
        patch_tree_fini(&t);
    }
}

static void depth_at_the_limit(void **state)
{
    (void)state;
    struct buf doc = {0}, pointer = {0};
    struct patch_tree t;
    struct patch_place at;
    for (int i = 0; i < JSON_DEPTH_MAX; i++) buf_add_byte(&doc, '[');
    for (int i = 0; i < JSON_DEPTH_MAX; i++) buf_add_byte(&doc, ']');
    assert_int_equal(json_check(buf_slice(&doc), NULL, NULL), E_OK);
    patch_tree_init(&t, buf_slice(&doc));
    for (int i = 0; i < JSON_DEPTH_MAX - 1; i++) buf_add_str(&pointer, "/0");
    assert_null(patch_locate(&t, buf_slice(&pointer), false, &at));
    assert_true(slice_eq((*at.value)->raw, slice_str("[]")));
    buf_add_str(&pointer, "/0");
    assert_non_null(patch_locate(&t, buf_slice(&pointer), false, &at));
    assert_null(patch_locate(&t, buf_slice(&pointer), true, &at));
    patch_insert(&t, at.parent, at.index, patch_raw(&t, slice_str("[[1]]")));
    buf_add_str(&pointer, "/0");
    const char *why = patch_locate(&t, buf_slice(&pointer), false, &at);
    assert_non_null(why);
    assert_string_equal(why, "nested too deep");
    patch_tree_fini(&t);
    buf_fini(&doc);
    buf_fini(&pointer);
}

static void work_at_the_limit(void **state)
{
    (void)state;
    struct buf doc = {0};
    struct patch_tree t;
    struct patch_place at;
    buf_add_str(&doc, "[[0");
    for (int i = 1; i < 1000; i++) buf_printf(&doc, ",%d", i);
    buf_add_str(&doc, "]]");
    patch_tree_init(&t, buf_slice(&doc));
    assert_null(locate(&t, "/0/999", false, &at));
    uint64_t needed = t.work;
    patch_tree_fini(&t);
    for (int short_by = 0; short_by < 2; short_by++) {
        patch_tree_init(&t, buf_slice(&doc));
        t.work_max = needed - (unsigned)short_by;
        assert_ptr_equal(locate(&t, "/0/999", false, &at), short_by ? patch_too_much : NULL);
        patch_tree_fini(&t);
    }
    buf_fini(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_table),
        cmocka_unit_test(every_place_of_random_documents),
        cmocka_unit_test(what_may_be_added),
        cmocka_unit_test(what_leads_nowhere),
        cmocka_unit_test(depth_at_the_limit),
        cmocka_unit_test(work_at_the_limit),
    };
    return cmocka_run_group_tests_name("doc_patch_pointer", tests, NULL, NULL);
}
