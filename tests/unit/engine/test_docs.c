/* Documents in key order at a point, against the model. */
#include "unit/engine/foldbed.h"

static int by_key(const void *a, const void *b)
{
    return slice_cmp(*(const slice *)a, *(const slice *)b);
}

static void check(struct bed *b, uint16_t lineage, slice prefix, slice after, uint64_t at)
{
    slice want[BED_KEYS], key;
    size_t n = 0;
    struct doc_cursor *c = NULL;
    for (size_t i = 0; i < BED_KEYS; i++) {
        slice k = slice_str(bed_keys[i]);
        const struct node *live = model_live(b, SPACE_KEY, lineage, k, at);
        if (!live || live->type != TYPE_DOCUMENT || !slice_starts(k, prefix) || (after.p && slice_cmp(k, after) <= 0)) continue;
        want[n++] = k;
    }
    qsort(want, n, sizeof want[0], by_key);
    assert_int_equal(engine_docs(&b->e, lineage, prefix, after, at, &c), E_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(doc_cursor_next(c, &key), E_OK);
        assert_true(slice_eq(key, want[i]));
    }
    assert_int_equal(doc_cursor_next(c, &key), E_END);
    assert_int_equal(doc_cursor_next(c, &key), E_END);
    doc_cursor_close(&c);
    assert_null(c);
}

static void test_random(void **state)
{
    struct rng r = rng_start("docs", 71);
    const char *const prefixes[] = {"", "a", "a:", "a!:", "b:", "zz", "a:1"};
    for (int round = 0; round < 4; round++) {
        struct bed *b = bed_new();
        random_history(b, &r, 600);
        for (int i = 0; i < 500; i++) {
            slice after = rng_below(&r, 2) ? (slice){0} : slice_str(bed_keys[rng_below(&r, BED_KEYS)]);
            check(b, (uint16_t)rng_below(&r, BED_LINEAGES), slice_str(prefixes[rng_below(&r, 7)]), after, random_point(b, &r));
        }
        bed_free(b);
    }
}

/* Nothing begins with more than a key can have; what is behind such a name is behind its beginning. */
static void test_long_names(void **state)
{
    struct bed *b = bed_new();
    char *name = mem_alloc(NODE_KEY_MAX * 5);
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "1");
    bed_put(b, 0, "a:2", TYPE_DOCUMENT, "1");
    bed_step(b);
    memset(name, 0, NODE_KEY_MAX * 5);
    memcpy(name, "a:1", 3);
    check(b, 0, slice_of(name, NODE_KEY_MAX * 5), (slice){0}, UINT64_MAX);
    check(b, 0, slice_str("a:"), slice_of(name, NODE_KEY_MAX * 5), UINT64_MAX);
    mem_free(name);
    bed_free(b);
}

/* The empty key is one that a page may end with. */
static void test_behind_the_empty_name(void **state)
{
    struct bed *b = bed_new();
    struct doc_cursor *c = NULL;
    slice key;
    bed_put(b, 0, "", TYPE_DOCUMENT, "1");
    bed_put(b, 0, "a", TYPE_DOCUMENT, "1");
    bed_step(b);
    for (int behind = 0; behind < 2; behind++) {
        assert_int_equal(engine_docs(&b->e, 0, (slice){0}, behind ? slice_str("") : (slice){0}, UINT64_MAX, &c), E_OK);
        if (!behind) {
            assert_int_equal(doc_cursor_next(c, &key), E_OK);
            assert_int_equal(key.n, 0);
        }
        assert_int_equal(doc_cursor_next(c, &key), E_OK);
        assert_true(slice_eq(key, slice_str("a")));
        assert_int_equal(doc_cursor_next(c, &key), E_END);
        doc_cursor_close(&c);
    }
    bed_free(b);
}

/* A key that comes and goes many times is passed by seeks. */
static void test_restless(void **state)
{
    struct bed *b = bed_new();
    for (int i = 0; i < 50; i++) {
        bed_put(b, 0, "a:1", TYPE_DOCUMENT, "1");
        bed_delete(b, 0, "a:1");
        bed_put(b, 0, "a:2", i % 2 ? TYPE_DOCUMENT : TYPE_STRING, "1");
    }
    bed_step(b);
    for (uint64_t at = 0; at <= b->n; at++) check(b, 0, slice_str("a:"), (slice){0}, at);
    bed_free(b);
}

/* Keys that were documents since the newest flush, whatever they are now. */
static void check_ever(struct bed *b, uint16_t lineage, uint64_t at)
{
    slice want[BED_KEYS], key;
    size_t n = 0;
    struct doc_cursor *c = NULL;
    for (size_t i = 0; i < BED_KEYS; i++) {
        bool was = false;
        for (uint64_t p = model_flushed(b, lineage, at) + 1; p <= at && p <= b->n && !was; p++) {
            const struct node *live = model_live(b, SPACE_KEY, lineage, slice_str(bed_keys[i]), p);
            was = live && live->type == TYPE_DOCUMENT;
        }
        if (was) want[n++] = slice_str(bed_keys[i]);
    }
    qsort(want, n, sizeof want[0], by_key);
    assert_int_equal(engine_docs(&b->e, lineage, (slice){0}, (slice){0}, at, &c), E_OK);
    doc_cursor_ever(c);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(doc_cursor_next(c, &key), E_OK);
        assert_true(slice_eq(key, want[i]));
    }
    assert_int_equal(doc_cursor_next(c, &key), E_END);
    doc_cursor_close(&c);
}

static void test_ever(void **state)
{
    struct rng r = rng_start("docs, ever", 72);
    struct bed *b = bed_new();
    random_history(b, &r, 300);
    for (int i = 0; i < 60; i++) check_ever(b, (uint16_t)rng_below(&r, BED_LINEAGES), random_point(b, &r));
    bed_free(b);
}

/* Strings come and go and raise the horizon of keys: that hides no list of documents. */
static void test_first_versions_were_no_documents(void **state)
{
    struct bed *b = bed_new();
    struct doc_cursor *c = NULL;
    slice key;
    (void)state;
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{}");
    for (int i = 0; i < 9; i++) bed_put(b, 0, "plain", TYPE_STRING, "v");
    bed_put(b, 0, "a:2", TYPE_DOCUMENT, "{}");
    bed_step(b);
    book_set(&b->e.fold->horizon[HORIZON_KEYS], 8);
    book_set(&b->e.fold->horizon[HORIZON_DOCUMENT_CHANGES], 3); /* versions of documents were dropped, some time */
    assert_int_equal(engine_docs(&b->e, 0, (slice){0}, (slice){0}, 5, &c), E_OK);
    assert_int_equal(doc_cursor_next(c, &key), E_OK);
    assert_true(slice_eq(key, slice_str("a:1")));
    assert_int_equal(doc_cursor_next(c, &key), E_END);
    doc_cursor_close(&c);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_first_versions_were_no_documents), cmocka_unit_test(test_random), cmocka_unit_test(test_behind_the_empty_name),
        cmocka_unit_test(test_restless), cmocka_unit_test(test_long_names), cmocka_unit_test(test_ever)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
