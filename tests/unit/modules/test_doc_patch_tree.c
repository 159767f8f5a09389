/* The tree of pieces: opened and written out it is the same bytes; edited at random it is what a plain list says; small and large objects find
 * the same; memory and work are bounded and given back. */
#include "modules/doc/patch_tree.h"
#include "support/json_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LIST_MAX 400

/* Opens everything, some ten levels deep. */
static void open_all(struct patch_tree *t, struct patch_piece *p)
{
    if (!patch_open(t, p)) return;
    for (size_t i = 0; i < p->n; i++) open_all(t, patch_child_at(p, i)->value);
}

static void opening_changes_no_byte(void **state)
{
    (void)state;
    struct rng r = {5};
    for (unsigned i = 0; i < 400; i++) {
        struct buf text = {0}, out = {0};
        struct patch_tree t;
        slice doc;
        gen_value(&r, &text, 5);
        assert_int_equal(json_check(buf_slice(&text), &doc, NULL), E_OK);
        patch_tree_init(&t, doc);
        open_all(&t, t.root);
        patch_write(t.root, &out);
        assert_true(slice_eq(buf_slice(&out), doc));
        assert_true(slice_eq(patch_flatten(&t, t.root), doc));
        patch_tree_fini(&t);
        buf_fini(&text);
        buf_fini(&out);
    }
}

static void print_list(const int *v, size_t n, struct buf *out)
{
    buf_clear(out);
    buf_add_byte(out, '[');
    for (size_t i = 0; i < n; i++) buf_printf(out, i ? ",%d" : "%d", v[i]);
    buf_add_byte(out, ']');
}

static struct patch_piece *number_piece(struct patch_tree *t, int v)
{
    char text[16];
    return patch_raw(t, patch_keep(t, slice_of(text, (size_t)snprintf(text, sizeof text, "%d", v))));
}

static void arrays_follow_a_list(void **state)
{
    (void)state;
    struct rng r = {6};
    for (unsigned round = 0; round < 30; round++) {
        int v[LIST_MAX];
        size_t n = rng_below(&r, 40);
        struct buf doc = {0}, out = {0}, want = {0};
        struct patch_tree t;
        for (size_t i = 0; i < n; i++) v[i] = (int)i;
        print_list(v, n, &doc);
        patch_tree_init(&t, buf_slice(&doc));
        assert_true(patch_open(&t, t.root));
        for (unsigned i = 0; i < 300; i++) {
            size_t at = n ? rng_below(&r, (unsigned)n) : 0;
            if (n == 0 || (n < LIST_MAX && rng_below(&r, 5) < 3)) {
                at += rng_below(&r, 2) && n;
                memmove(v + at + 1, v + at, (n - at) * sizeof *v);
                v[at] = 1000 + (int)i;
                n++;
                patch_insert(&t, t.root, at, number_piece(&t, v[at]));
            } else {
                memmove(v + at, v + at + 1, (n - at - 1) * sizeof *v);
                n--;
                patch_remove_at(&t, t.root, at);
            }
            assert_int_equal(t.root->n, n);
        }
        patch_write(t.root, &out);
        print_list(v, n, &want);
        assert_true(slice_eq(buf_slice(&out), buf_slice(&want)));
        patch_tree_fini(&t);
        buf_fini(&doc);
        buf_fini(&out);
        buf_fini(&want);
    }
}

/* Members by number; value −1: not there. Objects of few members are searched, large ones hashed. */
static void objects_follow_a_table(void **state)
{
    (void)state;
    struct rng r = {7};
    static const unsigned starts[] = {0, 1, 8, 9, 200};
    for (unsigned s = 0; s < 5; s++) {
        int v[LIST_MAX];
        struct buf doc = {0}, out = {0};
        struct patch_tree t;
        char name[16];
        unsigned there = starts[s], seen = 0;
        buf_add_byte(&doc, '{');
        for (unsigned i = 0; i < LIST_MAX; i++) v[i] = i < there ? (int)i : -1;
        for (unsigned i = 0; i < there; i++) buf_printf(&doc, "%s\"\\u006d%u\" : %u", i ? " , " : "", i, i);
        buf_add_byte(&doc, '}');
        patch_tree_init(&t, buf_slice(&doc));
        assert_true(patch_open(&t, t.root));
        for (unsigned i = 0; i < 2000; i++) {
            unsigned k = rng_below(&r, s < 2 ? 12 : LIST_MAX);
            slice text = slice_of(name, (size_t)snprintf(name, sizeof name, "m%u", k));
            struct patch_child *c = patch_member(&t, t.root, text);
            assert_true((c != NULL) == (v[k] >= 0));
            if (c && rng_below(&r, 2)) {
                c->value = NULL;
                v[k] = -1;
            } else if (c) {
                c->value = number_piece(&t, v[k] = (int)i);
            } else {
                patch_add_member(&t, t.root, patch_keep(&t, text), number_piece(&t, v[k] = (int)i));
            }
        }
        patch_write(t.root, &out);
        assert_int_equal(json_check(buf_slice(&out), NULL, NULL), E_OK);
        size_t at = 0;
        slice inside, value;
        while (json_next(buf_slice(&out), &at, &inside, &value) == E_OK) {
            int64_t got;
            struct buf plain = {0};
            json_unescape(inside, &plain);
            buf_add_byte(&plain, 0);
            unsigned k = (unsigned)strtoul((const char *)plain.p + 1, NULL, 10);
            assert_true(json_number_i64(value, &got) && got == v[k]);
            buf_fini(&plain);
            seen++;
        }
        for (unsigned i = 0; i < LIST_MAX; i++) seen -= v[i] >= 0;
        assert_int_equal(seen, 0);
        patch_tree_fini(&t);
        buf_fini(&doc);
        buf_fini(&out);
    }
}

static void scalars_do_not_open(void **state)
{
    (void)state;
    static const char *const scalars[] = {"1", "\"{}\"", "null", "true", "\"\""};
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
        struct patch_tree t;
        patch_tree_init(&t, slice_str(scalars[i]));
        assert_false(patch_open(&t, t.root));
        assert_int_equal(t.root->kind, PATCH_RAW);
        patch_tree_fini(&t);
    }
}

static void memory_comes_back(void **state)
{
    (void)state;
    size_t before = mem_used();
    struct patch_tree t;
    struct buf big = {0};
    memset(buf_reserve(&big, 300000), 'x', 300000);
    big.n = 300000;
    patch_tree_init(&t, slice_str("[]"));
    assert_true(patch_open(&t, t.root));
    for (int i = 0; i < 20; i++) {
        slice kept = patch_keep(&t, slice_of(big.p, i % 2 ? big.n : (size_t)i));
        assert_true(kept.p != big.p && slice_eq(kept, slice_of(big.p, i % 2 ? big.n : (size_t)i)));
    }
    slice plain = slice_str("no escape"), text = patch_text(&t, plain);
    assert_ptr_equal(text.p, plain.p); /* borrowed */
    assert_true(slice_eq(patch_text(&t, slice_str("\\u00e9\\n\\ud83d\\ude00")), slice_str("\xc3\xa9\n\xf0\x9f\x98\x80")));
    for (int i = 0; i < 20000; i++) patch_insert(&t, t.root, t.root->n / 2, patch_raw(&t, slice_str("0")));
    patch_tree_fini(&t);
    assert_null(t.root);
    buf_fini(&big);
    assert_true(mem_used() <= before + (256 << 10));
}

static void work_is_counted(void **state)
{
    (void)state;
    struct patch_tree t;
    struct buf doc = {0};
    buf_add_byte(&doc, '[');
    for (int i = 0; i < 10000; i++) buf_add_str(&doc, i ? ",0" : "0");
    buf_add_byte(&doc, ']');
    patch_tree_init(&t, buf_slice(&doc));
    assert_int_equal(t.work_max, PATCH_WORK_MAX + 8 * doc.n);
    t.work_max = 5000 * PATCH_CHILD_WORK;
    assert_true(patch_open(&t, t.root));
    assert_false(patch_spend(&t, 0));
    assert_in_range(t.root->n, 4000, 5000); /* it stopped about there */
    patch_tree_fini(&t);
    /* Moving from one end to the other costs its way; changes side by side do not. */
    patch_tree_init(&t, buf_slice(&doc));
    (void)patch_open(&t, t.root);
    uint64_t opened = t.work;
    for (int i = 0; i < 1000; i++) patch_insert(&t, t.root, 5000, patch_raw(&t, slice_str("1")));
    uint64_t near = t.work - opened;
    for (int i = 0; i < 1000; i++) patch_insert(&t, t.root, i % 2 ? 0 : t.root->n, patch_raw(&t, slice_str("1")));
    assert_true(t.work - opened - near > 20 * near);
    patch_tree_fini(&t);
    buf_fini(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_changes_no_byte),
        cmocka_unit_test(arrays_follow_a_list),
        cmocka_unit_test(objects_follow_a_table),
        cmocka_unit_test(scalars_do_not_open),
        cmocka_unit_test(memory_comes_back),
        cmocka_unit_test(work_is_counted),
    };
    return cmocka_run_group_tests_name("doc_patch_tree", tests, NULL, NULL);
}
