/* Definitions of sorted indexes: created, listed, dropped, saved; sort keys of documents. */
#include "unit/engine/foldbed.h"

#include "base/words.h"

struct listed {
    size_t n;
    struct sorted_info info[8];
};

static int on_index(void *ctx, const struct sorted_info *i)
{
    struct listed *l = ctx;
    assert_true(l->n < 8);
    l->info[l->n++] = *i;
    return 0;
}
static int on_stop(void *ctx, const struct sorted_info *i)
{
    return 9;
}

static void list(struct bed *b, uint16_t lineage, const char *coll, struct listed *l)
{
    slice c = slice_str(coll ? coll : "");
    l->n = 0;
    assert_int_equal(engine_sorted_list(&b->e, lineage, coll ? &c : NULL, on_index, l), E_OK);
}

static void test_definitions(void **state)
{
    struct bed *b = bed_new();
    struct listed l;
    struct buf saved = {0};
    uint64_t a = bed_define(b, 0, "a", "plan", NODE_PUT);
    bed_define(b, 0, "a", "x.y[0]", NODE_PUT);
    bed_define(b, 1, "a", "plan", NODE_PUT);
    bed_define(b, 0, "", "plan", NODE_PUT);
    bed_define(b, 0, "a", "plan", NODE_PUT); /* again: the one that is there stays */
    list(b, 0, NULL, &l);
    assert_int_equal(l.n, 3);
    list(b, 0, "a", &l);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.info[0].since, a);
    assert_false(l.info[0].ready);
    assert_int_equal(engine_sorted_list(&b->e, 0, NULL, on_stop, NULL), 9);
    bed_step(b);
    while (fold_build(b->e.fold, 1) == E_OK) bed_step(b);
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"plan\":1}");
    bed_put(b, 0, "a:2", TYPE_DOCUMENT, "{\"plan\":2}");
    bed_step(b);
    fold_save(b->e.fold, &saved);
    fold_close(&b->e.fold);
    bed_open_fold(b, buf_slice(&saved));
    list(b, 0, "a", &l);
    assert_int_equal(l.n, 2);
    assert_true(l.info[0].ready && l.info[0].built_pct == 100 && l.info[0].entries == 2 && l.info[0].bytes > 0);
    assert_true(slice_eq(l.info[0].path, slice_str("plan")) && slice_eq(l.info[0].coll, slice_str("a")));
    assert_false(sorted_is_dead(b->e.fold, 1));
    bed_flush(b, 0);
    list(b, 0, "a", &l);
    assert_int_equal(l.info[0].entries, 0);
    bed_define(b, 0, "a", "plan", NODE_DELETE);
    list(b, 0, "a", &l);
    assert_int_equal(l.n, 1);
    assert_false(sorted_is_dead(b->e.fold, 1)); /* a crash may take the drop back */
    bed_step(b);
    assert_int_equal(index_flush(b->e.index), E_OK);
    assert_true(sorted_is_dead(b->e.fold, 1));
    uint64_t again = bed_define(b, 0, "a", "plan", NODE_PUT);
    assert_false(sorted_is_dead(b->e.fold, 5));
    list(b, 0, "a", &l);
    assert_int_equal(l.info[1].since, again);
    buf_fini(&saved);
    bed_free(b);
}

static void build_all(struct bed *b)
{
    bed_step(b);
    while (fold_build(b->e.fold, 1) == E_OK) bed_step(b);
}

static void test_text(void **state)
{
    struct bed *b = bed_new();
    struct listed l;
    static const uint8_t text = SORTED_TEXT;
    uint8_t key[8] = {9, 'a', 't'};
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"t\":\"one two, One\",\"u\":\"three\"}");
    bed_define_kind(b, 0, "a", "t", NODE_PUT, SORTED_TEXT);
    bed_step(b);
    list(b, 0, "a", &l);
    assert_true(l.n == 1 && l.info[0].kind == SORTED_TEXT && !l.info[0].ready);
    assert_true(sorted_covers(b->e.fold, 0, slice_str("a:1")));
    build_all(b);
    list(b, 0, "a", &l);
    assert_true(l.info[0].ready && l.info[0].entries == 2);
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"t\":[\"two\",{\"x\":\"four five\"}]}");
    bed_step(b);
    list(b, 0, "a", &l);
    assert_int_equal(l.info[0].entries, 3);
    /* Another kind at the same place takes it. */
    bed_define(b, 0, "a", "t", NODE_PUT);
    build_all(b);
    list(b, 0, "a", &l);
    assert_true(l.n == 1 && l.info[0].kind == SORTED_ORDERED && l.info[0].entries == 1);
    struct node n = {
        .op = NODE_PUT, .space = SPACE_SORTED, .seq = b->n + 1, .ver = 1, .key = slice_of(key, 3), .payload = slice_of(&text, 1)};
    assert_int_equal(fold_node(b->e.fold, &n, 100), E_CORRUPT);
    bed_free(b);
}

/* Closes and opens the books, with the runs that there are now. */
static void reopen(struct bed *b, const struct buf *saved)
{
    struct run_id runs[16];
    uint64_t covers;
    int rc = index_flush(b->e.index);
    assert_true(rc == E_OK || rc == E_AGAIN);
    size_t n = index_runs(b->e.index, runs, 16, &covers);
    index_retire(b->e.index);
    fold_close(&b->e.fold);
    index_close(&b->e.index);
    bed_open_index(b, runs, n);
    bed_open_fold(b, buf_slice(saved));
}

/* An index of words by another version of Unicode is made anew under another number; what is saved before that says so too. */
static void test_unicode(void **state)
{
    struct bed *b = bed_new();
    struct buf saved = {0}, again = {0};
    struct listed l;
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"t\":\"one two\"}");
    bed_define_kind(b, 0, "a", "t", NODE_PUT, SORTED_TEXT);
    build_all(b);
    struct sorted *d = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("t"));
    assert_true(d->unicode == words_unicode_version() && atomic_load(&d->ready));
    d->unicode--;
    fold_save(b->e.fold, &saved);
    for (int round = 0; round < 2; round++) {
        reopen(b, round ? &again : &saved);
        d = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("t"));
        assert_true(d->stale && !atomic_load(&d->ready) && d->id == 1);
        if (round == 0) fold_save(b->e.fold, &again);
    }
    build_all(b);
    assert_true(!d->stale && atomic_load(&d->ready) && d->id == 2 && d->unicode == words_unicode_version());
    list(b, 0, "a", &l);
    assert_int_equal(l.info[0].entries, 2);
    assert_false(sorted_is_dead(b->e.fold, 1)); /* a crash may bring the old books back */
    assert_false(sorted_is_dead(b->e.fold, 2));
    buf_clear(&saved);
    fold_save(b->e.fold, &saved);
    reopen(b, &saved);
    assert_true(sorted_is_dead(b->e.fold, 1));
    assert_false(sorted_is_dead(b->e.fold, 2));
    list(b, 0, "a", &l);
    assert_true(l.info[0].ready && l.info[0].entries == 2);
    buf_fini(&saved), buf_fini(&again);
    bed_free(b);
}

/* A crash in the middle of a build, and history that was dropped before it went on: entries that nothing names must not come to light. */
static void test_gap(void **state)
{
    for (int forgotten = 0; forgotten < 2; forgotten++) {
        struct bed *b = bed_new();
        struct buf saved = {0};
        bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"t\":1}");
        bed_put(b, 0, "a:2", TYPE_DOCUMENT, "{\"t\":2}");
        bed_define(b, 0, "a", "t", NODE_PUT);
        bed_step(b);
        assert_int_equal(fold_build(b->e.fold, 1), E_OK);
        bed_step(b);
        fold_save(b->e.fold, &saved);
        uint64_t books = fold_seq(b->e.fold);
        assert_int_equal(fold_build(b->e.fold, 1), E_OK); /* a:2 is entered; its position is not saved */
        bed_step(b);
        bed_put(b, 0, "plain", TYPE_STRING, "x");
        bed_step(b);
        reopen(b, &saved);
        bed_refold(b, books + 1, b->n);
        bed_step(b);
        uint64_t gone = 2;
        bed_put(b, 0, "a:2", TYPE_DOCUMENT, "{\"t\":3}");
        bed_step(b);
        b->fact[gone - 1].gone = true;
        if (forgotten) {
            struct buf entry = {0};
            range_version(&entry, &b->e.seed, SPACE_KEY, 0, slice_str("a:2"), gone);
            index_delete(b->e.index, buf_slice(&entry));
            bed_step(b);
            buf_fini(&entry);
        }
        build_all(b);
        struct sorted *d = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("t"));
        assert_true(atomic_load(&d->ready));
        assert_int_equal(d->id, 2);
        struct range_options o = {.coll = slice_str("a"), .path = slice_str("t"), .at = UINT64_MAX};
        struct range_cursor *c = NULL;
        slice key;
        uint64_t seq;
        int rows = 0;
        assert_int_equal(engine_range(&b->e, &o, &c), E_OK);
        while (range_next(c, &key, &seq) == E_OK) rows++;
        assert_int_equal(rows, 2);
        range_cursor_close(&c);
        buf_fini(&saved);
        bed_free(b);
    }
}

static void test_values(void **state)
{
    struct bed *b = bed_new();
    struct buf key = {0}, null = {0};
    bool cut;
    bed_define(b, 0, "a", "x.y", NODE_PUT);
    bed_define(b, 0, "a", "x[", NODE_PUT); /* no path: every document sorts as null */
    struct sorted *d = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("x.y"));
    struct sorted *broken = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("x["));
    assert_non_null(d);
    assert_non_null(broken);
    json_sort_key(slice_str("null"), RANGE_SORT_KEY_MAX, &null, &cut);
    assert_true(slice_eq(sorted_value_of(d, slice_str("{\"x\":{\"y\":[1]}}")), slice_str("[1]")));
    sorted_key_of(d, slice_str("{\"x\":1}"), &key);
    assert_true(slice_eq(buf_slice(&key), buf_slice(&null)));
    sorted_key_of(broken, slice_str("{\"x\":1}"), &key);
    assert_true(slice_eq(buf_slice(&key), buf_slice(&null)));
    sorted_key_of(d, slice_str("{\"x\":{\"y\":0}}"), &key);
    assert_true(slice_cmp(buf_slice(&null), buf_slice(&key)) < 0);
    /* Neighbours above 2^53, which are one number to a double. */
    static const char *const next[] = {"9007199254740992", "9007199254740993", "9007199254740994", "9007199254740994.5", "18014398509481985", "18014398509481986"};
    struct buf before = {0};
    char json[64];
    for (size_t i = 0; i < sizeof next / sizeof next[0]; i++) {
        snprintf(json, sizeof json, "{\"x\":{\"y\":%s}}", next[i]);
        sorted_key_of(d, slice_str(json), &key);
        assert_true(slice_cmp(buf_slice(&before), buf_slice(&key)) < 0);
        buf_clear(&before);
        buf_add_slice(&before, buf_slice(&key));
    }
    buf_fini(&key), buf_fini(&null), buf_fini(&before);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_definitions), cmocka_unit_test(test_text), cmocka_unit_test(test_unicode), cmocka_unit_test(test_gap),
                                       cmocka_unit_test(test_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
