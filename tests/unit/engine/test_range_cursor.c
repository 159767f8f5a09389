/* Ranges of one field through a sorted index, against sorting the model's documents. */
#include "unit/engine/sortedbed.h"

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

static size_t model_range(const struct bed *b, const struct range_options *o, struct want *out)
{
    size_t n = 0;
    for (size_t i = 0; i < BED_KEYS; i++) {
        slice key = slice_str(bed_keys[i]);
        if (!slice_eq(collection_of(key), o->coll)) continue;
        const struct node *live = model_live(b, SPACE_KEY, o->lineage, key, o->at);
        if (!live || live->type != TYPE_DOCUMENT) continue;
        struct want w = {live, value_of(b, live)};
        int low = o->low.json.n ? json_compare(w.value, o->low.json) : 1, high = o->high.json.n ? json_compare(w.value, o->high.json) : -1;
        if (low < 0 || (low == 0 && !o->low.inclusive) || high > 0 || (high == 0 && !o->high.inclusive)) continue;
        out[n++] = w;
    }
    descending = o->descending;
    qsort(out, n, sizeof out[0], want_cmp);
    return n;
}

static int next_row(struct range_cursor *c, slice *key, uint64_t *seq)
{
    int rc;
    while ((rc = range_next(c, key, seq)) == E_AGAIN) continue;
    return rc;
}

static void check_row(struct range_cursor *c, const struct want *w)
{
    slice key;
    uint64_t seq;
    assert_int_equal(next_row(c, &key, &seq), E_OK);
    assert_int_equal(seq, w->n->seq);
    assert_true(slice_eq(key, w->n->key));
}

static void check_end(struct range_cursor *c)
{
    slice key;
    uint64_t seq;
    for (int i = 0; i < 2; i++) assert_int_equal(next_row(c, &key, &seq), E_END);
}

/* The rest of the rows from a position. */
static void check_resume(struct bed *b, struct range_options o, slice position, const struct want *want, size_t n)
{
    struct range_cursor *c = NULL;
    o.resume = position;
    assert_int_equal(engine_range(&b->e, &o, &c), E_OK);
    assert_true(slice_eq(range_cursor_at(c), position));
    for (size_t i = 0; i < n; i++) check_row(c, &want[i]);
    check_end(c);
    range_cursor_close(&c);
    assert_null(c);
}

/* Every row, and from every row on. */
static void check_range(struct bed *b, const struct range_options *o)
{
    struct want want[BED_KEYS];
    struct range_cursor *c = NULL;
    struct range_options pinned = *o;
    size_t n = model_range(b, o, want);
    uint64_t estimate = 99999;
    assert_int_equal(engine_range(&b->e, o, &c), E_OK);
    pinned.at = range_cursor_point(c);
    assert_int_equal(range_cursor_at(c).n, 0);
    for (size_t i = 0; i < n; i++) {
        check_row(c, &want[i]);
        struct buf position = {0};
        struct buf known = {0};
        buf_add_slice(&position, range_cursor_at(c));
        engine_range_position(sorted_value_of(sorted_find(&b->e.fold->sorted, o->lineage, o->coll, o->path), model_json(b, want[i].n)), want[i].n->key,
                              want[i].n->seq, &known);
        assert_true(slice_eq(buf_slice(&known), buf_slice(&position)));
        buf_fini(&known);
        check_resume(b, pinned, buf_slice(&position), want + i + 1, n - i - 1);
        buf_fini(&position);
    }
    check_end(c);
    range_cursor_close(&c);
    assert_null(c);
    assert_int_equal(engine_range_rows(&b->e, o, &estimate), E_OK);
    assert_true(estimate >= n && estimate <= b->n);
}

static slice a_value(struct bed *b, struct rng *r, char *json)
{
    random_document(r, json, BED_DOCUMENT_MAX);
    struct node n = {.op = NODE_PUT, .payload = slice_str(json)};
    return value_of(b, &n);
}

static struct range_options random_options(struct bed *b, struct rng *r, char json[2][BED_DOCUMENT_MAX])
{
    struct range_options o = {.lineage = (uint16_t)rng_below(r, 2),
                              .coll = slice_str(rng_below(r, 2) ? "a" : ""),
                              .path = slice_str(path_text),
                              .descending = rng_below(r, 2),
                              .at = random_point(b, r)};
    uint64_t dice = rng_below(r, 5);
    if (dice == 1 || dice > 2) o.low = (struct sorted_bound){a_value(b, r, json[0]), rng_below(r, 2)};
    if (dice >= 2) o.high = (struct sorted_bound){dice == 4 ? o.low.json : a_value(b, r, json[1]), rng_below(r, 2)};
    return o;
}

static void check_random(struct bed *b, struct rng *r, int times)
{
    char json[2][BED_DOCUMENT_MAX];
    for (int i = 0; i < times; i++) {
        struct range_options o = random_options(b, r, json);
        check_range(b, &o);
    }
}

static void define(struct bed *b)
{
    for (uint16_t l = 0; l < 2; l++) {
        bed_define(b, l, "a", path_text, NODE_PUT);
        bed_define(b, l, "", path_text, NODE_PUT);
    }
}

static void define_one(struct bed *b, uint8_t op)
{
    bed_define(b, 0, "a", path_text, op);
}

static const struct sorted_test ordered_index = {define, define_one, check_random, 41};
static void test_kept(void **state) { sorted_kept(&ordered_index); }
static void test_built(void **state) { sorted_built(&ordered_index); }
static void test_crash(void **state) { sorted_crash(&ordered_index); }

/* A position stays right while the index moves on, and when it is dropped and made anew. */
static void test_pinned(void **state)
{
    struct rng r = rng_start("pinned", 44);
    struct want want[BED_KEYS];
    char json[2][BED_DOCUMENT_MAX];
    for (int round = 0; round < 40; round++) {
        struct bed *b = bed_new();
        define(b);
        random_history(b, &r, 120);
        build_all(b);
        struct range_options o = random_options(b, &r, json);
        struct range_cursor *c = NULL;
        assert_int_equal(engine_range(&b->e, &o, &c), E_OK);
        o.at = range_cursor_point(c);
        size_t n = model_range(b, &o, want);
        for (size_t i = 0; i < n; i++) {
            check_row(c, &want[i]);
            struct buf position = {0};
            buf_add_slice(&position, range_cursor_at(c));
            random_history(b, &r, 30);
            if (rng_below(&r, 4) == 0) {
                bed_define(b, o.lineage, rng_below(&r, 2) ? "a" : "", path_text, NODE_DELETE);
                define(b);
                build_all(b);
            }
            n = model_range(b, &o, want); /* facts may have moved in memory */
            check_resume(b, o, buf_slice(&position), want + i + 1, n - i - 1);
            buf_fini(&position);
        }
        check_end(c);
        range_cursor_close(&c);
        bed_free(b);
    }
}

/* Positions from elsewhere: refused, or a place in the order; never harm. */
static void test_bad_positions(void **state)
{
    struct rng r = rng_start("bad positions", 45);
    struct bed *b = bed_new();
    char json[2][BED_DOCUMENT_MAX];
    size_t refused = 0;
    define(b);
    random_history(b, &r, 300);
    build_all(b);
    for (int i = 0; i < 4000; i++) {
        struct range_options o = random_options(b, &r, json);
        struct range_cursor *c = NULL;
        struct buf position = {0};
        slice key;
        uint64_t seq;
        assert_int_equal(engine_range(&b->e, &o, &c), E_OK);
        for (uint64_t k = rng_below(&r, 4); k > 0 && next_row(c, &key, &seq) == E_OK; k--) continue;
        buf_add_slice(&position, range_cursor_at(c));
        range_cursor_close(&c);
        if (position.n == 0) buf_add_byte(&position, 1);
        for (uint64_t k = rng_below(&r, 3) + 1; k > 0; k--) {
            size_t at = rng_below(&r, position.n);
            if (rng_below(&r, 3) == 0)
                position.n = at > 0 ? at : 1;
            else
                position.p[at] = (uint8_t)rng_next(&r);
        }
        o.resume = buf_slice(&position);
        int rc = engine_range(&b->e, &o, &c);
        assert_true(rc == E_OK || rc == E_SYNTAX);
        refused += rc == E_SYNTAX;
        size_t rows = 0;
        if (!rc)
            while (next_row(c, &key, &seq) == E_OK) rows++;
        assert_true(rows <= BED_KEYS);
        range_cursor_close(&c);
        buf_fini(&position);
    }
    assert_true(refused > 1000);
    bed_free(b);
}

/* Many entries without a row: the cursor gives way, and loses nothing. */
static void test_turns(void **state)
{
    struct bed *b = bed_new();
    struct range_options o = {.coll = slice_str("a"), .path = slice_str("plan")};
    bed_define(b, 0, "a", "plan", NODE_PUT);
    build_all(b);
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"plan\":1}");
    bed_put(b, 0, "a:2", TYPE_DOCUMENT, "{\"plan\":20000}");
    o.at = b->n;
    for (int i = 0; i < 10000; i++) {
        char json[32];
        snprintf(json, sizeof json, "{\"plan\":%d}", 2 + i);
        bed_put(b, 0, "a:1", TYPE_DOCUMENT, json);
    }
    bed_step(b);
    for (int direction = 0; direction < 2; direction++) {
        struct range_cursor *c = NULL;
        slice key;
        uint64_t seq;
        int turns = 0, rc, rows = 0;
        o.descending = direction;
        assert_int_equal(engine_range(&b->e, &o, &c), E_OK);
        while ((rc = range_next(c, &key, &seq)) != E_END) {
            assert_true(rc == E_OK || rc == E_AGAIN);
            turns += rc == E_AGAIN;
            rows += rc == E_OK;
        }
        assert_int_equal(rows, 2);
        assert_true(turns >= 3 && turns < 12);
        range_cursor_close(&c);
    }
    bed_free(b);
}

static void test_answers(void **state)
{
    struct bed *b = bed_new();
    struct range_cursor *c = NULL;
    struct range_options o = {.coll = slice_str("a"), .path = slice_str("plan"), .at = UINT64_MAX};
    uint64_t estimate;
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"plan\":1}");
    assert_int_equal(engine_range(&b->e, &o, &c), E_NOTFOUND);
    assert_int_equal(engine_range_rows(&b->e, &o, &estimate), E_NOTFOUND);
    bed_define(b, 0, "a", "plan", NODE_PUT);
    bed_step(b);
    assert_int_equal(engine_range(&b->e, &o, &c), E_AGAIN);
    assert_int_equal(engine_range_rows(&b->e, &o, &estimate), E_AGAIN);
    build_all(b);
    check_range(b, &o);
    o.at = 0;
    check_range(b, &o);
    atomic_store(&b->e.fold->horizon[HORIZON_DOCUMENTS], 2);
    o.at = 1;
    assert_int_equal(engine_range(&b->e, &o, &c), E_PRUNED);
    bed_define(b, 0, "a", "plan", NODE_DELETE);
    bed_step(b);
    o.at = UINT64_MAX;
    assert_int_equal(engine_range(&b->e, &o, &c), E_NOTFOUND);
    bed_define_kind(b, 0, "a", "plan", NODE_PUT, SORTED_TEXT);
    build_all(b);
    assert_int_equal(engine_range(&b->e, &o, &c), E_NOTFOUND);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers), cmocka_unit_test(test_kept),          cmocka_unit_test(test_built), cmocka_unit_test(test_crash),
        cmocka_unit_test(test_pinned),  cmocka_unit_test(test_bad_positions), cmocka_unit_test(test_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
