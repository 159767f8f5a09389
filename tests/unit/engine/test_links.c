/* Links in both directions at a point, and all links there, against the model; positions; damage of a position. */
#include "unit/engine/foldbed.h"

struct edge {
    struct buf mem;
    slice from, rel, to;
    uint64_t seq;
};

static enum link_direction sort_direction;
static int by_order(const void *x, const void *y)
{
    const struct edge *a = x, *b = y;
    int c = slice_cmp(a->rel, b->rel);
    if (c) return c;
    return sort_direction == LINK_OUT ? slice_cmp(a->to, b->to) : slice_cmp(a->from, b->from);
}

static size_t model_links(const struct bed *b, uint16_t lineage, slice key, enum link_direction d, slice rel, uint64_t at,
                          struct edge *out)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n && i < at; i++) {
        const struct node *x = &b->fact[i].n;
        struct edge e = {.seq = x->seq};
        if (x->op > NODE_EXPIRE || x->space != SPACE_LINK || model_live(b, SPACE_LINK, lineage, x->key, at) != x) continue;
        assert_int_equal(link_key_parse(x->key, &e.from, &e.rel, &e.to), E_OK);
        if (!slice_eq(d == LINK_OUT ? e.from : e.to, key) || (rel.n && !slice_eq(rel, e.rel))) continue;
        out[n++] = e;
    }
    sort_direction = d;
    qsort(out, n, sizeof out[0], by_order);
    return n;
}

static void check(struct bed *b, uint16_t lineage, slice key, enum link_direction d, slice rel, uint64_t at)
{
    struct edge want[64];
    struct link have;
    struct link_cursor *c = NULL;
    size_t n = model_links(b, lineage, key, d, rel, at, want);
    assert_int_equal(engine_links(&b->e, lineage, key, d, rel, at, (slice){0}, &c), E_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(link_cursor_next(c, &have), E_OK);
        assert_true(slice_eq(have.from, want[i].from) && slice_eq(have.rel, want[i].rel) && slice_eq(have.to, want[i].to));
        assert_int_equal(have.seq, want[i].seq);
        if (i % 2 == 0) continue; /* go on from a position, with a new cursor */
        struct buf position = {0}, known = {0};
        buf_add_slice(&position, link_cursor_at(c));
        engine_link_position(lineage, d, key, have.rel, d == LINK_OUT ? have.to : have.from, &known);
        assert_true(slice_eq(buf_slice(&known), buf_slice(&position)));
        buf_fini(&known);
        link_cursor_close(&c);
        assert_int_equal(engine_links(&b->e, lineage, key, d, rel, at, buf_slice(&position), &c), E_OK);
        buf_fini(&position);
    }
    assert_int_equal(link_cursor_next(c, &have), E_END);
    assert_int_equal(link_cursor_next(c, &have), E_END);
    link_cursor_close(&c);
    assert_null(c);
}

static int by_name(const void *x, const void *y)
{
    const struct edge *a = x, *b = y;
    int c = slice_cmp(a->from, b->from);
    if (!c) c = slice_cmp(a->rel, b->rel);
    return c ? c : slice_cmp(a->to, b->to);
}

static size_t model_all_links(const struct bed *b, uint16_t lineage, uint64_t at, struct edge *out)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n && i < at; i++) {
        const struct node *x = &b->fact[i].n;
        struct edge e = {.seq = x->seq};
        if (x->op > NODE_EXPIRE || x->space != SPACE_LINK || model_live(b, SPACE_LINK, lineage, x->key, at) != x) continue;
        assert_int_equal(link_key_parse(x->key, &e.from, &e.rel, &e.to), E_OK);
        out[n++] = e;
    }
    qsort(out, n, sizeof out[0], by_name);
    return n;
}

static void check_all(struct bed *b, uint16_t lineage, uint64_t at, bool one_by_one)
{
    struct edge want[64];
    struct link have;
    struct link_cursor *c = NULL;
    struct buf position = {0};
    size_t n = model_all_links(b, lineage, at, want);
    assert_int_equal(engine_all_links(&b->e, lineage, at, (slice){0}, &c), E_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(link_cursor_next(c, &have), E_OK);
        assert_true(slice_eq(have.from, want[i].from) && slice_eq(have.rel, want[i].rel) && slice_eq(have.to, want[i].to));
        assert_int_equal(have.seq, want[i].seq);
        if (!one_by_one) continue;
        buf_clear(&position);
        buf_add_slice(&position, link_cursor_at(c));
        link_cursor_close(&c);
        assert_int_equal(engine_all_links(&b->e, lineage, at, buf_slice(&position), &c), E_OK);
    }
    assert_int_equal(link_cursor_next(c, &have), E_END);
    link_cursor_close(&c);
    buf_fini(&position);
}

static void test_random(void **state)
{
    struct rng r = rng_start("links", 81);
    for (int round = 0; round < 4; round++) {
        struct bed *b = bed_new();
        for (int i = 0; i < 300; i++) {
            random_link(b, &r);
            random_write(b, &r, false);
        }
        bed_step(b);
        for (int i = 0; i < 600; i++)
            check(b, (uint16_t)rng_below(&r, BED_LINEAGES), slice_str(bed_keys[rng_below(&r, 5)]),
                  rng_below(&r, 2) ? LINK_OUT : LINK_IN, rng_below(&r, 2) ? slice_str(bed_rels[rng_below(&r, 2)]) : (slice){0},
                  random_point(b, &r));
        for (int i = 0; i < 100; i++)
            check_all(b, (uint16_t)rng_below(&r, BED_LINEAGES), random_point(b, &r), rng_below(&r, 2) == 0);
        bed_free(b);
    }
}

static void test_many_versions(void **state)
{
    struct bed *b = bed_new();
    for (int i = 0; i < 40; i++) {
        bed_link(b, 0, "a", "r", "x", i % 3 == 2 ? NODE_DELETE : NODE_PUT);
        bed_link(b, 0, "a", "r", "y", NODE_PUT);
    }
    bed_step(b);
    for (uint64_t at = 0; at <= b->n; at++) check(b, 0, slice_str("a"), LINK_OUT, (slice){0}, at);
    struct link_cursor *c = NULL;
    assert_int_equal(engine_links(&b->e, 0, slice_str("a"), LINK_OUT, (slice){0}, 5, slice_str("nonsense"), &c), E_INVALID);
    assert_null(c);
    struct buf longer = {0};
    engine_link_position(0, LINK_OUT, slice_str("a"), slice_str("r"), slice_str("x"), &longer);
    while (longer.n <= INDEX_KEY_MAX) buf_add_byte(&longer, 'k');
    assert_int_equal(engine_links(&b->e, 0, slice_str("a"), LINK_OUT, (slice){0}, 5, buf_slice(&longer), &c), E_INVALID);
    struct link l;
    assert_int_equal(engine_links(&b->e, 0, buf_slice(&longer), LINK_OUT, (slice){0}, 5, (slice){0}, &c), E_OK); /* nothing has such a name */
    assert_int_equal(link_cursor_next(c, &l), E_END);
    link_cursor_close(&c);
    assert_int_equal(engine_links(&b->e, 0, slice_str("a"), LINK_IN, buf_slice(&longer), 5, (slice){0}, &c), E_OK);
    assert_int_equal(link_cursor_next(c, &l), E_END);
    link_cursor_close(&c);
    buf_fini(&longer);
    bed_free(b);
}

/* Thousands that do not stand lie before one that does: the cursor gives the caller a turn, and a position taken then is as good as any. */
static void test_many_that_ended(void **state)
{
    struct bed *b = bed_new();
    struct link_cursor *c = NULL;
    struct link have;
    struct buf position = {0};
    int again = 0, rc;
    char to[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(to, sizeof to, "t%05d", i);
        bed_link(b, 0, "a", "r", to, NODE_PUT);
        bed_link(b, 0, "a", "r", to, NODE_DELETE);
    }
    uint64_t last = bed_link(b, 0, "a", "r", "z", NODE_PUT);
    bed_step(b);
    for (int all = 0; all < 2; all++) {
        again = 0;
        buf_clear(&position);
        do {
            rc = all ? engine_all_links(&b->e, 0, UINT64_MAX, buf_slice(&position), &c)
                     : engine_links(&b->e, 0, slice_str("a"), LINK_OUT, (slice){0}, UINT64_MAX, buf_slice(&position), &c);
            assert_int_equal(rc, E_OK);
            rc = link_cursor_next(c, &have);
            again += rc == E_AGAIN;
            buf_clear(&position);
            buf_add_slice(&position, link_cursor_at(c));
            if (rc == E_OK) assert_int_equal(have.seq, last);
            link_cursor_close(&c);
        } while (rc == E_AGAIN);
        assert_int_equal(rc, E_OK);
        assert_true(again >= 2 && again <= 4);
    }
    assert_int_equal(engine_all_links(&b->e, 0, UINT64_MAX, (slice){0}, &c), E_OK);
    while ((rc = link_cursor_next(c, &have)) == E_AGAIN) continue;
    assert_int_equal(rc, E_OK);
    assert_int_equal(link_cursor_next(c, &have), E_END);
    link_cursor_close(&c);
    buf_fini(&position);
    bed_free(b);
}

/* A neighbour is found by a search, however many links of others there are: a hundred blocks of them lie around, two or three are read. */
static void test_others_cost_nothing(void **state)
{
    struct bed *b = bed_new();
    struct link_cursor *c = NULL;
    struct link have;
    char from[16], to[40];
    for (int i = 0; i < 3000; i++) {
        snprintf(from, sizeof from, "f%04d", i % 1000);
        snprintf(to, sizeof to, "a rather long name %04d", i);
        if (i % 1000 == 500) bed_link(b, 0, "f0500x", "r", from, NODE_PUT);
        bed_link(b, 0, from, "r", to, NODE_PUT);
    }
    bed_count_reads(b);
    for (int round = 0; round < 6; round++) {
        uint64_t at = round % 3 == 0 ? UINT64_MAX : round % 3 == 1 ? b->n : 1800;
        bool in = round >= 3;
        int rows = 0, rc;
        bed_file_reads = 0;
        assert_int_equal(engine_links(&b->e, 0, slice_str(in ? "f0500" : "f0500x"), in ? LINK_IN : LINK_OUT, (slice){0}, at, (slice){0}, &c), E_OK);
        while ((rc = link_cursor_next(c, &have)) == E_OK || rc == E_AGAIN) rows += rc == E_OK;
        assert_int_equal(rc, E_END);
        assert_int_equal(rows, 1);
        assert_in_range(bed_file_reads, 1, 6);
        link_cursor_close(&c);
    }
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_many_versions),
                                       cmocka_unit_test(test_many_that_ended), cmocka_unit_test(test_others_cost_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
