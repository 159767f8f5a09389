/* The two streams under the cursors: which they are, what holds at a point, and where seeks put them. */
#include "unit/engine/foldbed.h"

#include "engine/intervals.h"

static void build_all(struct bed *b)
{
    bed_step(b);
    while (fold_build(b->e.fold, 2) == E_OK) bed_step(b);
}

/* a:1 is 1 at [2,4), 2 from 4 on; a:2 is 1 from 3 on. */
static struct bed *small_bed(struct sorted **d)
{
    struct bed *b = bed_new();
    bed_define(b, 0, "a", "t", NODE_PUT);
    build_all(b);
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"t\":1}");
    bed_put(b, 0, "a:2", TYPE_DOCUMENT, "{\"t\":1}");
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"t\":2}");
    bed_step(b);
    assert_int_equal(intervals_find(&b->e, SORTED_ORDERED, 0, slice_str("a"), slice_str("t"), 4, d), E_OK);
    return b;
}

static void test_streams(void **state)
{
    struct sorted *d;
    struct bed *b = small_bed(&d);
    struct intervals s;
    assert_int_equal(intervals_open(&b->e, d, UINT64_MAX, false, &s), E_OK);
    assert_true(s.head && s.at == 4 && s.side[0].it && !s.side[1].it); /* the past does not matter */
    assert_int_equal(intervals_seek(&s, (slice){0}, (slice){0}, EDGE_START, true), E_OK);
    int rows = 0;
    for (; s.side[0].valid; rows++) {
        assert_true(intervals_hold(&s, &s.side[0].v));
        assert_int_equal(intervals_next(&s.side[0]), E_OK);
    }
    assert_int_equal(rows, 2);
    intervals_close(&s);
    assert_int_equal(intervals_open(&b->e, d, 3, false, &s), E_OK);
    assert_true(!s.head && s.at == 3 && s.side[1].it);
    assert_int_equal(intervals_seek(&s, (slice){0}, (slice){0}, EDGE_END, false), E_OK);
    assert_true(s.side[0].valid && !intervals_hold(&s, &s.side[0].v)); /* a:1 is not 2 yet */
    assert_true(s.side[1].valid && intervals_hold(&s, &s.side[1].v));
    assert_int_equal(s.side[1].v.from, 2);
    assert_int_equal(s.side[1].v.to, 4);
    assert_int_equal(intervals_set_key(&s, s.side[1].v.escaped), E_OK);
    assert_true(slice_eq(buf_slice(&s.key), slice_str("a:1")));
    uint64_t seq = 0;
    assert_int_equal(intervals_version(&s, &seq), E_OK);
    assert_int_equal(seq, 2);
    intervals_close(&s);
    bed_free(b);
}

/* With `ever` both streams count whole: a:1 twice, a:2 once; but nothing newer than the point, and nothing from before a flush. */
static void test_ever(void **state)
{
    struct sorted *d;
    struct bed *b = small_bed(&d);
    static const uint64_t points[] = {1, 2, 3, 4, UINT64_MAX};
    static const int rows[] = {0, 1, 2, 3, 3};
    for (size_t i = 0; i < 5; i++) {
        struct range_options o = {.coll = slice_str("a"), .path = slice_str("t"), .at = points[i], .ever = true};
        struct range_cursor *c = NULL;
        slice key;
        uint64_t seq = 1;
        int n = 0;
        assert_int_equal(engine_range(&b->e, &o, &c), E_OK);
        for (; range_next(c, &key, &seq) == E_OK; n++) assert_int_equal(seq, 0);
        assert_int_equal(n, rows[i]);
        range_cursor_close(&c);
    }
    bed_flush(b, 0);
    bed_put(b, 0, "a:3", TYPE_DOCUMENT, "{\"t\":1}");
    bed_step(b);
    struct range_options o = {.coll = slice_str("a"), .path = slice_str("t"), .at = UINT64_MAX, .ever = true};
    struct range_cursor *c = NULL;
    slice key;
    uint64_t seq;
    assert_int_equal(engine_range(&b->e, &o, &c), E_OK);
    assert_int_equal(range_next(c, &key, &seq), E_OK);
    assert_true(slice_eq(key, slice_str("a:3")));
    assert_int_equal(range_next(c, &key, &seq), E_END);
    range_cursor_close(&c);
    bed_free(b);
}

static void test_edges(void **state)
{
    struct sorted *d;
    struct bed *b = small_bed(&d);
    struct intervals s;
    struct buf one = {0};
    uint64_t n = 0;
    sorted_key_of(d, slice_str("{\"t\":1}"), &one);
    slice key = buf_slice(&one);
    assert_int_equal(intervals_open(&b->e, d, 3, false, &s), E_OK);
    assert_int_equal(intervals_seek(&s, key, (slice){0}, EDGE_END, true), E_OK);
    assert_true(s.side[0].valid && s.side[0].v.from == 4 && !s.side[1].valid);
    assert_int_equal(intervals_seek(&s, key, (slice){0}, EDGE_START, false), E_OK);
    assert_true(!s.side[0].valid && !s.side[1].valid);
    assert_int_equal(intervals_seek(&s, key, slice_str("a:1"), EDGE_END, true), E_OK);
    assert_true(s.side[0].valid && s.side[0].v.from == 3);
    assert_int_equal(intervals_prev(&s.side[0]), E_OK);
    assert_false(s.side[0].valid);
    intervals_close(&s);
    assert_int_equal(intervals_rows(&b->e, d, 3, key, EDGE_START, key, EDGE_END, &n), E_OK);
    assert_int_equal(n, 2); /* one live, one of the past */
    assert_int_equal(intervals_rows(&b->e, d, UINT64_MAX, key, EDGE_START, key, EDGE_END, &n), E_OK);
    assert_int_equal(n, 1);
    assert_int_equal(intervals_rows(&b->e, d, UINT64_MAX, key, EDGE_END, key, EDGE_END, &n), E_OK);
    assert_int_equal(n, 0);
    assert_int_equal(intervals_rows(&b->e, d, UINT64_MAX, (slice){0}, EDGE_START, (slice){0}, EDGE_END, &n), E_OK);
    assert_int_equal(n, 2);
    buf_fini(&one);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_streams), cmocka_unit_test(test_ever), cmocka_unit_test(test_edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
