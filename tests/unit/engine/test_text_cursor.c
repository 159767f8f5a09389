/* Documents by their words through a text index, against looking into every document of the model. */
#include "unit/engine/sortedbed.h"

#include "base/words.h"

static const char *const paths[] = {"$", "plan", "dog[1]"};
#define PATHS (sizeof paths / sizeof paths[0])

/* Does the value at the path hold the word? */
struct search {
    slice word;
    bool prefix;
};

static int compare_word(void *ctx, const struct text_word *w)
{
    const struct search *s = ctx;
    return s->prefix ? slice_starts(text_word_slice(w), s->word) : slice_eq(text_word_slice(w), s->word);
}

static bool holds(const struct bed *b, const struct node *n, const struct text_options *o)
{
    struct json_path path;
    slice value;
    struct buf mem = {0};
    struct search s = {o->word, o->prefix};
    assert_int_equal(json_path_parse(o->path, &path), E_OK);
    if (json_find(model_json(b, n), &path, &value) != E_OK) return false;
    bool found = words_of_json(value, &mem, compare_word, &s) != 0;
    buf_fini(&mem);
    return found;
}

static int node_cmp(const void *x, const void *y)
{
    const struct node *const *a = x, *const *b = y;
    return slice_cmp((*a)->key, (*b)->key);
}

static size_t model_text(const struct bed *b, const struct text_options *o, const struct node **out)
{
    size_t n = 0;
    for (size_t i = 0; i < BED_KEYS; i++) {
        slice key = slice_str(bed_keys[i]);
        if (!slice_eq(collection_of(key), o->coll)) continue;
        const struct node *live = model_live(b, SPACE_KEY, o->lineage, key, o->at);
        if (!live || live->type != TYPE_DOCUMENT || !holds(b, live, o)) continue;
        if (o->after.p && slice_cmp(key, o->after) <= 0) continue;
        out[n++] = live;
    }
    if (n) qsort(out, n, sizeof out[0], node_cmp);
    return n;
}

static int next_row(struct text_cursor *c, slice *key, uint64_t *seq)
{
    int rc;
    while ((rc = text_next(c, key, seq)) == E_AGAIN) continue;
    return rc;
}

static void check_text(struct bed *b, const struct text_options *o, bool resume)
{
    const struct node *want[BED_KEYS];
    struct text_cursor *c = NULL;
    slice key;
    uint64_t seq, estimate = 0;
    size_t n = model_text(b, o, want);
    assert_int_equal(engine_text(&b->e, o, &c), E_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(next_row(c, &key, &seq), E_OK);
        assert_int_equal(seq, want[i]->seq);
        assert_true(slice_eq(key, want[i]->key));
        if (!resume) continue;
        struct text_options rest = *o;
        rest.at = text_cursor_point(c);
        rest.after = want[i]->key;
        check_text(b, &rest, false);
    }
    for (int i = 0; i < 2; i++) assert_int_equal(next_row(c, &key, &seq), E_END);
    text_cursor_close(&c);
    assert_null(c);
    assert_int_equal(engine_text_rows(&b->e, o, &estimate), E_OK);
    assert_true(estimate >= n);
}

static void check_random(struct bed *b, struct rng *r, int times)
{
    static const char *const words[] = {"cat", "cats", "catalogue", "dog", "d\xc3\xb6g", "ox", "oxen", "2", "2b", "b", "plan", "absent",
                                        "catx012345678901234567890123456789012345678901234567890123456789"};
    for (int i = 0; i < times; i++) {
        slice word = slice_str(words[rng_below(r, sizeof words / sizeof words[0])]);
        struct text_options o = {.lineage = (uint16_t)rng_below(r, 2),
                                 .coll = slice_str(rng_below(r, 2) ? "a" : ""),
                                 .path = slice_str(paths[rng_below(r, PATHS)]),
                                 .word = word,
                                 .prefix = rng_below(r, 2),
                                 .at = random_point(b, r)};
        if (o.prefix && rng_below(r, 2)) o.word.n = 1 + rng_below(r, word.n);
        if (rng_below(r, 5) == 0) o.after = slice_str(bed_keys[rng_below(r, BED_KEYS)]);
        check_text(b, &o, true);
    }
}

static void define(struct bed *b)
{
    for (uint16_t l = 0; l < 2; l++)
        for (size_t i = 0; i < PATHS; i++) {
            bed_define_kind(b, l, "a", paths[i], NODE_PUT, SORTED_TEXT);
            bed_define_kind(b, l, "", paths[i], NODE_PUT, SORTED_TEXT);
        }
}

static void define_one(struct bed *b, uint8_t op)
{
    bed_define_kind(b, 0, "a", "$", op, SORTED_TEXT);
}

static const struct sorted_test text_index = {define, define_one, check_random, 51};
static void test_kept(void **state) { sorted_kept(&text_index); }
static void test_built(void **state) { sorted_built(&text_index); }
static void test_crash(void **state) { sorted_crash(&text_index); }

/* Many documents and many words under one prefix: passes, each of them cut by turns. */
static void test_passes(void **state)
{
    enum { DOCUMENTS = 9000 };
    struct rng r = rng_start("passes", 54);
    struct bed *b = bed_new();
    bed_define_kind(b, 0, "a", "$", NODE_PUT, SORTED_TEXT);
    build_all(b);
    for (int version = 0; version < 2; version++)
        for (int i = 0; i < DOCUMENTS; i++) {
            char key[16], json[64];
            snprintf(key, sizeof key, "a:%05d", i);
            snprintf(json, sizeof json, "[\"w%d common%d w%d\",\"%s\"]", (int)rng_below(&r, 3000), i % 3, (int)rng_below(&r, 3000),
                     i % 7 ? "x" : "wx");
            if (version == 0 || i % 2) bed_put(b, 0, key, TYPE_DOCUMENT, json);
        }
    bed_step(b);
    static const struct {
        const char *word;
        bool prefix;
        int modulo; /* every how-manieth document has it */
    } ask[] = {{"w", true, 1}, {"c", true, 1}, {"common", true, 1}, {"common1", false, 3}, {"common1", true, 3}, {"wx", false, 7}, {"wx", true, 7}};
    for (size_t k = 0; k < sizeof ask / sizeof ask[0]; k++)
        for (int past = 0; past < 2; past++) {
            struct text_options o = {.coll = slice_str("a"), .path = slice_str("$"), .word = slice_str(ask[k].word), .prefix = ask[k].prefix,
                                     .at = past ? 1 + DOCUMENTS + DOCUMENTS / 4 : UINT64_MAX};
            struct text_cursor *c = NULL;
            slice key;
            uint64_t seq;
            char want[16];
            assert_int_equal(engine_text(&b->e, &o, &c), E_OK);
            for (int i = 0; i < DOCUMENTS; i++) {
                if (i % ask[k].modulo != (ask[k].modulo == 3)) {
                    if (ask[k].modulo > 1) continue;
                }
                snprintf(want, sizeof want, "a:%05d", i);
                assert_int_equal(next_row(c, &key, &seq), E_OK);
                assert_true(slice_eq(key, slice_str(want)));
            }
            assert_int_equal(next_row(c, &key, &seq), E_END);
            text_cursor_close(&c);
        }
    bed_free(b);
}

static void test_answers(void **state)
{
    struct bed *b = bed_new();
    struct text_cursor *c = NULL;
    struct text_options o = {.coll = slice_str("a"), .path = slice_str("$"), .word = slice_str("x"), .at = UINT64_MAX};
    uint64_t estimate;
    assert_int_equal(engine_text(&b->e, &o, &c), E_NOTFOUND);
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "\"X y\"");
    bed_define_kind(b, 0, "a", "$", NODE_PUT, SORTED_TEXT);
    bed_step(b);
    assert_int_equal(engine_text(&b->e, &o, &c), E_AGAIN);
    assert_int_equal(engine_text_rows(&b->e, &o, &estimate), E_AGAIN);
    build_all(b);
    check_text(b, &o, true);
    assert_int_equal(engine_text_rows(&b->e, &o, &estimate), E_OK);
    assert_int_equal(estimate, 1);
    atomic_store(&b->e.fold->horizon[HORIZON_DOCUMENTS], 2);
    o.at = 1;
    assert_int_equal(engine_text(&b->e, &o, &c), E_PRUNED);
    bed_define(b, 0, "a", "plan", NODE_PUT);
    build_all(b);
    o.at = UINT64_MAX;
    o.path = slice_str("plan");
    assert_int_equal(engine_text(&b->e, &o, &c), E_NOTFOUND);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers), cmocka_unit_test(test_kept),   cmocka_unit_test(test_built),
        cmocka_unit_test(test_crash),   cmocka_unit_test(test_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
