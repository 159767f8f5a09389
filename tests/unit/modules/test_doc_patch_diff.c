/* The way from one text to another: some by hand, then the property over random pairs that applying it gives the other. */
#include "modules/doc/patch.h"
#include "support/json_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PAIRS 4000

static const char *ops(const char *from, const char *to)
{
    static char text[2048];
    struct buf out = {0};
    patch_diff_ops(slice_str(from), slice_str(to), &out);
    snprintf(text, sizeof text, "%.*s", (int)out.n, (const char *)out.p);
    buf_fini(&out);
    return text;
}

static const char *merge(const char *from, const char *to)
{
    static char text[2048];
    struct buf out = {0}, pointer = {0};
    if (patch_diff_merge(slice_str(from), slice_str(to), &out, &pointer))
        snprintf(text, sizeof text, "%.*s", (int)out.n, (const char *)out.p);
    else
        snprintf(text, sizeof text, "lost %.*s", (int)pointer.n, (const char *)pointer.p);
    buf_fini(&out);
    buf_fini(&pointer);
    return text;
}

static void operations(void **state)
{
    (void)state;
    assert_string_equal(ops("{\"a\":1}", "{\"a\":1.0}"), "");
    assert_string_equal(ops("1", "2"), "[{\"op\":\"replace\",\"path\":\"\",\"value\":2}]");
    assert_string_equal(ops("{\"a\":1,\"b/~\":2}", "{\"b/~\":3,\"c\":4}"),
                        "[{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"replace\",\"path\":\"/b~1~0\",\"value\":3},{\"op\":\"add\",\"path\":\"/c\",\"value\":4}]");
    assert_string_equal(ops("[1,2,3,4,5]", "[1,3,4,9,5]"), "[{\"op\":\"remove\",\"path\":\"/1\"},{\"op\":\"add\",\"path\":\"/3\",\"value\":9}]");
    assert_string_equal(ops("[1,2,3]", "[0,1,2,3]"), "[{\"op\":\"add\",\"path\":\"/0\",\"value\":0}]");
    assert_string_equal(ops("[1,2,3]", "[1,2]"), "[{\"op\":\"remove\",\"path\":\"/2\"}]");
    assert_string_equal(ops("[{\"a\":1,\"b\":2}]", "[{\"a\":1,\"b\":3}]"), "[{\"op\":\"replace\",\"path\":\"/0/b\",\"value\":3}]");
    assert_string_equal(ops("{\"a\":[]}", "{\"a\":{}}"), "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":{}}]");
    assert_string_equal(ops("{\"\\u0061\":1}", "{\"a\":1}"), "");
    assert_string_equal(ops("{\"\\\"\":1}", "{}"), "[{\"op\":\"remove\",\"path\":\"/\\\"\"}]");
}

static void merge_patches(void **state)
{
    (void)state;
    assert_string_equal(merge("{\"a\":1}", "{\"a\":1e0}"), "");
    assert_string_equal(merge("{\"a\":1,\"b\":{\"c\":2,\"d\":3}}", "{\"b\":{\"c\":2}}"), "{\"a\":null,\"b\":{\"d\":null}}");
    assert_string_equal(merge("{\"a\":{\"b\":1}}", "{\"a\":{}}"), "{\"a\":{\"b\":null}}");
    assert_string_equal(merge("{\"a\":1}", "{\"a\":{}}"), "{\"a\":{}}");
    assert_string_equal(merge("{\"a\":1}", "null"), "null");
    assert_string_equal(merge("{\"a\":1}", "{\"a\":[null]}"), "{\"a\":[null]}");
    assert_string_equal(merge("{\"a\":null}", "{\"a\":null,\"b\":1}"), "{\"b\":1}");
    assert_string_equal(merge("{\"a\":1}", "{\"a\":null}"), "lost /a");
    assert_string_equal(merge("{\"a\":1}", "{\"a\":{\"b/\":{\"c\":null}}}"), "lost /a/b~1/c");
    assert_string_equal(merge("[]", "{\"a\":null}"), "lost /a");
}

/* ---- random pairs that are alike in most places ---- */

static void gen_alone(struct rng *r, struct buf *b, unsigned depth)
{
    static const char *const scalar[] = {"null", "true", "1", "1.0", "2", "\"x\"", "\"\\u0078\"", "-0", "12345678901234567890"};
    unsigned kind = rng_below(r, depth ? 4 : 2), n = rng_below(r, 4);
    if (kind < 2) {
        buf_add_str(b, scalar[rng_below(r, sizeof scalar / sizeof *scalar)]);
        return;
    }
    buf_add_byte(b, kind == 2 ? '[' : '{');
    for (unsigned i = 0; i < n; i++) {
        if (i) buf_add_str(b, " ,");
        if (kind == 3) buf_printf(b, "\"%c\" :", 'a' + (int)i);
        gen_alone(r, b, depth - 1);
    }
    buf_add_byte(b, kind == 2 ? ']' : '}');
}

static void gen_pair(struct rng *r, struct buf *a, struct buf *b, unsigned depth)
{
    if (depth == 0 || rng_below(r, 6) == 0) {
        size_t at = a->n;
        gen_alone(r, a, depth);
        if (rng_below(r, 3) == 0)
            gen_alone(r, b, depth);
        else
            buf_add(b, a->p + at, a->n - at);
        return;
    }
    bool object = rng_below(r, 2), first_a = true, first_b = true;
    unsigned n = rng_below(r, 30) == 0 ? 20 : rng_below(r, 6);
    buf_add_byte(a, object ? '{' : '[');
    buf_add_byte(b, object ? '{' : '[');
    for (unsigned i = 0; i < n; i++) {
        struct buf x = {0}, y = {0};
        unsigned where = rng_below(r, 10);
        if (object) buf_printf(&x, "\"k~%u\":", i), buf_printf(&y, "\"k\\u007e%u\" : ", i);
        gen_pair(r, &x, &y, depth - 1);
        if (where != 0) {
            if (!first_a) buf_add_byte(a, ',');
            buf_add_slice(a, buf_slice(&x));
            first_a = false;
        }
        if (where != 1) {
            if (!first_b) buf_add_str(b, "\n,");
            buf_add_slice(b, buf_slice(&y));
            first_b = false;
        }
        buf_fini(&x);
        buf_fini(&y);
    }
    buf_add_byte(a, object ? '}' : ']');
    buf_add_byte(b, object ? '}' : ']');
}

static void apply(slice doc, slice patch, bool is_ops, struct buf *out)
{
    struct patch_tree t;
    size_t op = 0;
    assert_int_equal(json_check(patch, NULL, NULL), E_OK);
    patch_tree_init(&t, doc);
    const char *why = is_ops ? patch_ops(&t, patch, SIZE_MAX, &op) : patch_merge(&t, patch, SIZE_MAX);
    if (why) print_error("op %zu: %s\n%.*s\n%.*s\n", op, why, (int)doc.n, (const char *)doc.p, (int)patch.n, (const char *)patch.p);
    assert_null(why);
    patch_write(t.root, out);
    patch_tree_fini(&t);
    assert_int_equal(json_check(buf_slice(out), NULL, NULL), E_OK);
}

static void there_and_back(void **state)
{
    (void)state;
    struct rng r = {42};
    struct buf a = {0}, b = {0}, patch = {0}, got = {0}, pointer = {0};
    unsigned merged = 0, lost = 0, same = 0;
    for (int i = 0; i < PAIRS; i++) {
        buf_clear(&a), buf_clear(&b), buf_clear(&patch), buf_clear(&got), buf_clear(&pointer);
        gen_pair(&r, &a, &b, rng_below(&r, 6));
        slice from = buf_slice(&a), to = buf_slice(&b);
        assert_int_equal(json_check(from, NULL, NULL), E_OK);
        bool equal = json_compare(from, to) == 0;
        patch_diff_ops(from, to, &patch);
        assert_int_equal(patch.n == 0, equal);
        same += equal;
        if (!equal) {
            apply(from, buf_slice(&patch), true, &got);
            assert_int_equal(json_compare(buf_slice(&got), to), 0);
        }
        buf_clear(&patch), buf_clear(&got);
        if (!patch_diff_merge(from, to, &patch, &pointer)) {
            lost++;
            assert_non_null(memmem(to.p, to.n, "null", 4));
            continue;
        }
        assert_int_equal(patch.n == 0, equal);
        if (equal) continue;
        merged++;
        apply(from, buf_slice(&patch), false, &got);
        assert_int_equal(json_compare(buf_slice(&got), to), 0);
    }
    assert_true(merged > PAIRS / 10 && lost > PAIRS / 50 && same > PAIRS / 50);
    buf_fini(&a), buf_fini(&b), buf_fini(&patch), buf_fini(&got), buf_fini(&pointer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(operations), cmocka_unit_test(merge_patches), cmocka_unit_test(there_and_back)};
    return cmocka_run_group_tests_name("doc_patch_diff", tests, NULL, NULL);
}
