/* Entries of sorted indexes: kept by the fold or built later, they are the same. */
#include "unit/engine/foldbed.h"

/* All intervals of one index, as text lines in index order; the id is left out. */
static void intervals(struct bed *b, struct sorted *d, struct buf *out)
{
    const uint8_t tags[2] = {RANGE_SORTED, RANGE_CLOSED};
    struct index_snap *s = NULL;
    buf_clear(out);
    assert_int_equal(index_snapshot(b->e.index, INDEX_ALL, &s), E_OK);
    for (int i = 0; i < 2; i++) {
        struct buf lower = {0}, upper = {0};
        struct index_iter *it = NULL;
        int rc;
        range_sorted_from(&lower, tags[i], d->id, (slice){0});
        range_sorted_from(&upper, tags[i], d->id, (slice){0});
        range_end(&upper);
        assert_int_equal(index_iter_open(s, buf_slice(&lower), buf_slice(&upper), &it), E_OK);
        for (rc = index_seek(it, buf_slice(&lower)); rc == E_OK; rc = index_next(it)) {
            struct range_interval v;
            assert_int_equal(range_interval_parse(index_key(it), index_value(it), &v), E_OK);
            buf_add_slice(out, v.sort_key);
            buf_add_slice(out, v.escaped);
            buf_printf(out, " %llu %llu\n", (unsigned long long)v.from, (unsigned long long)v.to);
        }
        assert_int_equal(rc, E_END);
        index_iter_close(&it);
        buf_fini(&lower), buf_fini(&upper);
    }
    index_snap_close(&s);
}

static void build_all(struct bed *b)
{
    bed_step(b);
    while (fold_build(b->e.fold, 3) == E_OK) bed_step(b);
}

/* `plan` is kept from the beginning; `$.plan` is the same field, defined at the end and built. */
static void test_built_equals_kept(void **state)
{
    struct rng r = rng_start("built equals kept", 121);
    for (int round = 0; round < 10; round++) {
        struct bed *b = bed_new();
        struct buf kept = {0}, built = {0};
        uint8_t kind = round % 2 ? SORTED_TEXT : SORTED_ORDERED;
        bed_define_kind(b, 0, "a", "plan", NODE_PUT, kind);
        build_all(b);
        random_history(b, &r, 500);
        bed_define_kind(b, 0, "a", "$.plan", NODE_PUT, kind);
        build_all(b);
        struct sorted *x = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("plan"));
        struct sorted *y = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("$.plan"));
        assert_true(atomic_load(&y->ready));
        intervals(b, x, &kept);
        intervals(b, y, &built);
        assert_true(slice_eq(buf_slice(&kept), buf_slice(&built)));
        assert_int_equal(book_get(&x->entries), book_get(&y->entries));
        buf_fini(&kept), buf_fini(&built);
        bed_free(b);
    }
}

/* A batch that changes one document many times before it is stepped. */
static void test_unstepped(void **state)
{
    struct bed *b = bed_new();
    struct buf have = {0};
    bed_define(b, 0, "a", "plan", NODE_PUT);
    build_all(b);
    for (int i = 0; i < 2000; i++) {
        char key[16], json[32];
        snprintf(key, sizeof key, "a:%d", i % 700);
        snprintf(json, sizeof json, "{\"plan\":%d}", i % 700 % 5 + i / 700);
        bed_put(b, 0, key, TYPE_DOCUMENT, json);
    }
    bed_step(b);
    struct sorted *d = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("plan"));
    intervals(b, d, &have);
    size_t lines = 0;
    for (size_t i = 0; i < have.n; i++) lines += have.p[i] == '\n';
    assert_true(lines >= 2000); /* every version made an interval; some sort keys hold a line feed's byte */
    assert_int_equal(book_get(&d->entries), 700);
    buf_fini(&have);
    bed_free(b);
}

/* Changes of expiry alone stand for the value before them. */
static void test_meta(void **state)
{
    struct bed *b = bed_new();
    struct range_cursor *c = NULL;
    struct range_options o = {.coll = slice_str("a"), .path = slice_str("plan"), .at = UINT64_MAX};
    slice key;
    uint64_t seq;
    bed_define(b, 0, "a", "plan", NODE_PUT);
    build_all(b);
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"plan\":1}");
    for (int i = 0; i < 3; i++)
        bed_write(b,
                  (struct node){.op = NODE_META, .type = TYPE_DOCUMENT, .key = slice_str("a:1"), .expire_ms = b->now_ms + 100});
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"plan\":2}");
    bed_step(b);
    for (uint64_t at = 2; at <= b->n; at++) {
        o.at = at;
        assert_int_equal(engine_range(&b->e, &o, &c), E_OK);
        assert_int_equal(range_next(c, &key, &seq), E_OK);
        assert_int_equal(seq, at);
        assert_int_equal(range_next(c, &key, &seq), E_END);
        range_cursor_close(&c);
    }
    bed_free(b);
}

/* One document with more versions than a slice reads, changed and flushed while the build is inside it. */
static void test_long_history(void **state)
{
    struct rng r = rng_start("long history", 122);
    for (int kind = 0; kind < 2; kind++) {
        struct bed *b = bed_new();
        struct buf kept = {0}, built = {0};
        unsigned slices = 0;
        bed_define_kind(b, 0, "a", "plan", NODE_PUT, (uint8_t)kind);
        build_all(b);
        for (int i = 0; i < 600; i++) {
            char json[BED_DOCUMENT_MAX];
            random_document(&r, json, sizeof json);
            bed_put(b, 0, i % 50 == 49 ? "a:2" : "a:1", TYPE_DOCUMENT, json);
        }
        bed_define_kind(b, 0, "a", "$.plan", NODE_PUT, (uint8_t)kind);
        bed_step(b);
        while (fold_build(b->e.fold, 1) == E_OK) {
            bed_step(b);
            if (slices++ % 8 == 3) bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"plan\":\"late\"}");
            if (slices == 20) bed_flush(b, 0);
            if (slices == 30) bed_delete(b, 0, "a:1");
            bed_step(b);
        }
        assert_true(slices > 600 / 16 && slices < 120);
        struct sorted *x = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("plan"));
        struct sorted *y = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("$.plan"));
        intervals(b, x, &kept);
        intervals(b, y, &built);
        assert_true(kept.n > 1000 && slice_eq(buf_slice(&kept), buf_slice(&built)));
        assert_int_equal(book_get(&x->entries), book_get(&y->entries));
        assert_int_equal(book_get(&y->whole_from), 0);
        buf_fini(&kept), buf_fini(&built);
        bed_free(b);
    }
}

/* What is not remembered is looked up: in the runs alone where nothing newer was put, and that must never be wrong. */
static void test_forgetful(void **state)
{
    struct rng r = rng_start("forgetful", 123);
    for (int round = 0; round < 6; round++) {
        struct bed *b = bed_new();
        struct buf kept = {0}, built = {0};
        uint8_t kind = round % 2 ? SORTED_TEXT : SORTED_ORDERED;
        b->e.fold->sorted.recents = 2;
        bed_define_kind(b, 0, "a", "plan", NODE_PUT, kind);
        build_all(b);
        for (int i = 0; i < 40; i++) {
            random_history(b, &r, 25);
            if (rng_below(&r, 2)) (void)!index_flush(b->e.index);
        }
        bed_define_kind(b, 0, "a", "$.plan", NODE_PUT, kind);
        build_all(b);
        struct sorted *x = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("plan"));
        struct sorted *y = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("$.plan"));
        intervals(b, x, &kept);
        intervals(b, y, &built);
        assert_true(slice_eq(buf_slice(&kept), buf_slice(&built)));
        buf_fini(&kept), buf_fini(&built);
        bed_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_equals_kept),
        cmocka_unit_test(test_unstepped),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_long_history),
        cmocka_unit_test(test_forgetful),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
