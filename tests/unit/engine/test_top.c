/* Order by one field through a sorted index, against sorting the model's documents. */
#include "unit/engine/foldbed.h"

struct want {
    const struct node *n;
    slice value;
};

static const char *path_text = "plan";

static slice value_of(const struct bed *b, const struct node *n)
{
    struct json_path path;
    slice value;
    assert_int_equal(json_path_parse(slice_str(path_text), &path), E_OK);
    return json_find(model_json(b, n), &path, &value) == E_OK ? value : slice_str("null");
}

static bool descending;
static int want_cmp(const void *x, const void *y)
{
    const struct want *a = x, *b = y;
    int c = json_compare(a->value, b->value);
    if (c) return descending ? -c : c;
    return slice_cmp(a->n->key, b->n->key);
}

static size_t model_top(const struct bed *b, const struct top_options *o, struct want *out)
{
    size_t n = 0;
    for (size_t i = 0; i < BED_KEYS; i++) {
        slice key = slice_str(bed_keys[i]);
        if (!slice_eq(collection_of(key), o->coll)) continue;
        const struct node *live = model_live(b, SPACE_KEY, o->lineage, key, o->at);
        if (!live || live->type != TYPE_DOCUMENT) continue;
        struct want w = {live, value_of(b, live)};
        int c = o->after.n ? json_compare(w.value, o->after) : 0;
        if (o->after.n && (o->descending ? c >= 0 : c <= 0)) continue;
        out[n++] = w;
    }
    descending = o->descending;
    qsort(out, n, sizeof out[0], want_cmp);
    return n;
}

static void check_top(struct bed *b, const struct top_options *o)
{
    struct want want[BED_KEYS];
    struct top_cursor *c = NULL;
    slice key;
    uint64_t seq;
    size_t n = model_top(b, o, want);
    assert_int_equal(engine_top(&b->e, o, &c), E_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(top_next(c, &key, &seq), E_OK);
        assert_int_equal(seq, want[i].n->seq);
        assert_true(slice_eq(key, want[i].n->key));
    }
    assert_int_equal(top_next(c, &key, &seq), E_END);
    assert_int_equal(top_next(c, &key, &seq), E_END);
    top_close(&c);
    assert_null(c);
}

static void build_all(struct bed *b)
{
    bed_step(b);
    while (fold_build(b->e.fold, 2) == E_OK) bed_step(b);
}

static void check_random(struct bed *b, struct rng *r, int times)
{
    char json[RANGE_SORT_KEY_MAX + 200];
    for (int i = 0; i < times; i++) {
        struct top_options o = {.lineage = (uint16_t)rng_below(r, 2),
                                .coll = slice_str(rng_below(r, 2) ? "a" : ""),
                                .path = slice_str(path_text),
                                .descending = rng_below(r, 2),
                                .at = random_point(b, r)};
        random_document(r, json, sizeof json);
        struct node n = {.op = NODE_PUT, .payload = slice_str(json)};
        if (rng_below(r, 3) == 0) o.after = value_of(b, &n);
        check_top(b, &o);
    }
}

static void define(struct bed *b)
{
    for (uint16_t l = 0; l < 2; l++) {
        bed_define(b, l, "a", path_text, NODE_PUT);
        bed_define(b, l, "", path_text, NODE_PUT);
    }
}

static void test_kept(void **state)
{
    struct rng r = rng_start("kept", 41);
    for (int round = 0; round < 6; round++) {
        struct bed *b = bed_new();
        define(b);
        build_all(b);
        for (int i = 0; i < 10; i++) {
            random_history(b, &r, 60);
            check_random(b, &r, 60);
        }
        bed_free(b);
    }
}

static void test_built(void **state)
{
    struct rng r = rng_start("built", 42);
    for (int round = 0; round < 10; round++) {
        struct bed *b = bed_new();
        random_history(b, &r, 300);
        define(b);
        bed_step(b);
        int rc = E_OK;
        for (int i = 0; rc == E_OK; i++) { /* documents change while their turn comes */
            rc = fold_build(b->e.fold, 1);
            bed_step(b);
            random_history(b, &r, rng_below(&r, 12));
        }
        assert_int_equal(rc, E_AGAIN);
        check_random(b, &r, 200);
        random_history(b, &r, 100);
        check_random(b, &r, 200);
        if (round % 2) {
            assert_int_equal(index_flush(b->e.index), E_OK);
            check_random(b, &r, 100);
        }
        bed_free(b);
    }
}

/* The build is cut by a crash: its position is that of the books, its entries may be ahead. */
static void test_crash(void **state)
{
    struct rng r = rng_start("crash", 43);
    for (int round = 0; round < 30; round++) {
        struct bed *b = bed_new();
        struct buf saved = {0};
        struct run_id runs[8];
        uint64_t covers;
        random_history(b, &r, 200);
        define(b);
        bed_step(b);
        for (uint64_t i = rng_below(&r, 6); i > 0; i--) {
            if (fold_build(b->e.fold, 1) == E_OK) bed_step(b);
            random_history(b, &r, rng_below(&r, 4));
        }
        fold_save(b->e.fold, &saved);
        uint64_t books = fold_seq(b->e.fold);
        for (uint64_t i = rng_below(&r, 12); i > 0; i--) {
            random_history(b, &r, rng_below(&r, 10));
            if (fold_build(b->e.fold, 1) == E_OK) bed_step(b);
        }
        assert_int_equal(index_flush(b->e.index), E_OK);
        size_t n_runs = index_runs(b->e.index, runs, 8, &covers);
        index_retire(b->e.index);
        random_history(b, &r, rng_below(&r, 30));
        fold_close(&b->e.fold);
        index_close(&b->e.index);
        bed_open_index(b, runs, n_runs);
        bed_open_fold(b, buf_slice(&saved));
        for (uint64_t s = books + 1; s <= b->n; s++) {
            bed_refold(b, s, s);
            index_step(b->e.index, s);
            if (s < covers) assert_int_equal(fold_build(b->e.fold, 1), E_AGAIN);
        }
        build_all(b);
        check_random(b, &r, 150);
        fold_check(b->e.fold);
        buf_fini(&saved);
        bed_free(b);
    }
}

static void test_answers(void **state)
{
    struct bed *b = bed_new();
    struct top_cursor *c = NULL;
    struct top_options o = {.coll = slice_str("a"), .path = slice_str("plan"), .at = UINT64_MAX};
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"plan\":1}");
    assert_int_equal(engine_top(&b->e, &o, &c), E_NOTFOUND);
    bed_define(b, 0, "a", "plan", NODE_PUT);
    bed_step(b);
    assert_int_equal(engine_top(&b->e, &o, &c), E_AGAIN);
    build_all(b);
    check_top(b, &o);
    o.at = 0;
    check_top(b, &o);
    fold_raise_horizons(b->e.fold, &(struct engine_horizons){.documents = 2});
    o.at = 1;
    assert_int_equal(engine_top(&b->e, &o, &c), E_PRUNED);
    bed_define(b, 0, "a", "plan", NODE_DELETE);
    bed_step(b);
    o.at = UINT64_MAX;
    assert_int_equal(engine_top(&b->e, &o, &c), E_NOTFOUND);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_built),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
