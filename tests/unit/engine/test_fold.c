/* The fold against the model: counts, time, and that the same log always gives the same index and the same books, however it is cut
 * into steps, from scratch, and again after a crash. */
#include "unit/engine/foldbed.h"
#include <sched.h>

static void check_counts(struct bed *b)
{
    uint64_t all_keys = 0, all_docs = 0, all_links = 0;
    for (uint16_t l = 0; l < BED_LINEAGES; l++) {
        struct db_counts have, want = {0};
        uint64_t links = 0, flushed = model_flushed(b, l, UINT64_MAX);
        for (size_t i = flushed; i < b->n; i++) {
            const struct node *n = &b->fact[i].n;
            if (n->op > NODE_META || n->lineage != l || model_find(b, n->space, l, n->key, UINT64_MAX) != n) continue;
            if (n->space == SPACE_LINK) links++;
            if (n->space != SPACE_KEY) continue;
            want.keys++;
            want.docs += n->type == TYPE_DOCUMENT;
            want.expiring += n->expire_ms != 0;
        }
        engine_db_counts(&b->e, l, &have);
        assert_int_equal(have.keys, want.keys);
        assert_int_equal(have.docs, want.docs);
        assert_int_equal(have.expiring, want.expiring);
        assert_int_equal(book_get(&b->e.fold->lineage[l].links), links);
        all_keys += want.keys, all_docs += want.docs, all_links += links;
    }
    struct fold_totals t;
    fold_get_totals(b->e.fold, &t);
    assert_int_equal(t.keys, all_keys);
    assert_int_equal(t.docs, all_docs);
    assert_int_equal(t.links, all_links);
    assert_int_equal(t.nodes, b->n);
    assert_true(t.bytes_dead <= t.bytes_log);
}

static void test_counts(void **state)
{
    struct rng r = rng_start("counts", 21);
    for (int round = 0; round < 20; round++) {
        struct bed *b = bed_new();
        for (int i = 0; i < 20; i++) {
            random_history(b, &r, 25);
            check_counts(b);
            fold_check(b->e.fold);
        }
        bed_free(b);
    }
}

static void dump(struct bed *b, struct buf *out)
{
    struct index_snap *s = NULL;
    struct index_iter *it = NULL;
    int rc;
    buf_clear(out);
    assert_int_equal(index_snapshot(b->e.index, INDEX_ALL, &s), E_OK);
    assert_int_equal(index_iter_open(s, (slice){0}, (slice){0}, &it), E_OK);
    for (rc = index_seek(it, (slice){0}); rc == E_OK; rc = index_next(it)) {
        buf_printf(out, "%zu %zu ", index_key(it).n, index_value(it).n);
        buf_add_slice(out, index_key(it));
        buf_add_slice(out, index_value(it));
    }
    assert_int_equal(rc, E_END);
    index_iter_close(&it);
    index_snap_close(&s);
}

static void same_state(struct bed *a, struct bed *b)
{
    struct buf x = {0}, y = {0};
    dump(a, &x), dump(b, &y);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.p, y.p, x.n);
    buf_clear(&x), buf_clear(&y);
    fold_save(a->e.fold, &x), fold_save(b->e.fold, &y);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.p, y.p, x.n);
    buf_fini(&x), buf_fini(&y);
}

/* A bed with the same log and an empty index. */
static struct bed *bed_copy(const struct bed *b)
{
    struct bed *c = bed_new();
    c->n = c->cap = b->n;
    c->fact = mem_zalloc(b->n * sizeof c->fact[0]);
    for (size_t i = 0; i < b->n; i++) {
        c->fact[i].size = b->fact[i].size;
        c->fact[i].bytes = mem_dup(b->fact[i].bytes, b->fact[i].size);
        assert_int_equal(node_decode(slice_of(c->fact[i].bytes, c->fact[i].size), &c->fact[i].n), E_OK);
    }
    return c;
}

static void fold_all(struct bed *b, struct rng *r, uint64_t from)
{
    for (uint64_t s = from; s <= b->n; s++) {
        bed_refold(b, s, s);
        if (r && rng_below(r, 5) == 0) index_step(b->e.index, s);
    }
    bed_step(b);
}

/* A definition before any document: kept by the fold alone, so that no build slices differ. */
static void define_first(struct bed *b)
{
    bed_define(b, 0, "a", "plan", NODE_PUT);
    bed_define(b, 1, "", "plan", NODE_PUT);
    bed_step(b);
    while (fold_build(b->e.fold, 10) == E_OK) bed_step(b);
}

static void test_rebuild(void **state)
{
    struct rng r = rng_start("rebuild", 22);
    for (int round = 0; round < 10; round++) {
        struct bed *b = bed_new();
        define_first(b);
        random_history(b, &r, 500);
        struct bed *c = bed_copy(b);
        bed_refold(c, 1, 2);
        index_step(c->e.index, 2);
        while (fold_build(c->e.fold, 10) == E_OK) index_step(c->e.index, 2);
        fold_all(c, round % 2 ? &r : NULL, 3);
        same_state(b, c);
        fold_check(c->e.fold);
        bed_free(c);
        bed_free(b);
    }
}

/* Books saved at X, runs that cover Y >= X, folding again from X + 1: the same as if nothing had happened. */
static void test_fold_again(void **state)
{
    struct rng r = rng_start("fold again", 23);
    for (int round = 0; round < 20; round++) {
        struct bed *b = bed_new();
        struct buf saved = {0};
        define_first(b);
        random_history(b, &r, 200 + rng_below(&r, 200));
        fold_save(b->e.fold, &saved);
        uint64_t books = fold_seq(b->e.fold);
        random_history(b, &r, rng_below(&r, 100)); /* covered by the runs, not by the books */
        assert_int_equal(index_flush(b->e.index), E_OK);
        struct run_id runs[8];
        uint64_t covers;
        size_t n_runs = index_runs(b->e.index, runs, 8, &covers);
        index_retire(b->e.index);
        assert_true(covers >= books);
        random_history(b, &r, rng_below(&r, 100)); /* lost with the write buffer */
        struct buf x = {0}, y = {0}, books_x = {0}, books_y = {0};
        dump(b, &x);
        fold_save(b->e.fold, &books_x);
        fold_close(&b->e.fold);
        index_close(&b->e.index);
        bed_open_index(b, runs, n_runs);
        bed_open_fold(b, buf_slice(&saved));
        assert_int_equal(fold_seq(b->e.fold), books);
        fold_all(b, &r, books + 1);
        dump(b, &y);
        fold_save(b->e.fold, &books_y);
        assert_int_equal(x.n, y.n);
        assert_memory_equal(x.p, y.p, x.n);
        assert_int_equal(books_x.n, books_y.n);
        assert_memory_equal(books_x.p, books_y.p, books_x.n);
        fold_check(b->e.fold);
        buf_fini(&x), buf_fini(&y), buf_fini(&books_x), buf_fini(&books_y), buf_fini(&saved);
        bed_free(b);
    }
}

static void test_time(void **state)
{
    struct rng r = rng_start("time", 24);
    struct bed *b = bed_new();
    uint64_t seq;
    assert_int_equal(fold_seq_by_time(b->e.fold, 5, &seq), E_OK);
    assert_int_equal(seq, 0);
    for (int i = 0; i < 300; i++) {
        b->now_ms = 1000000 + (uint64_t)i + rng_below(&r, 10); /* times of nodes may go back a little */
        bed_put(b, 0, "k", TYPE_STRING, "v");
        if (rng_below(&r, 3) == 0) bed_step(b);
    }
    bed_step(b);
    for (uint64_t ms = 999990; ms < 1000330; ms++) {
        uint64_t want = 0, running = 0;
        for (size_t i = 0; i < b->n; i++) {
            if (b->fact[i].n.ts_ms > running) running = b->fact[i].n.ts_ms;
            if (running <= ms) want = i + 1;
        }
        assert_int_equal(fold_seq_by_time(b->e.fold, ms, &seq), E_OK);
        assert_int_equal(seq, want);
    }
    assert_int_equal(fold_seq_by_time(b->e.fold, UINT64_MAX, &seq), E_OK);
    assert_int_equal(seq, b->n);
    bed_free(b);
}

static void test_refused(void **state)
{
    struct bed *b = bed_new();
    bed_put(b, 0, "k", TYPE_STRING, "v");
    bed_put(b, 0, "k", TYPE_DOCUMENT, "1");
    struct node n = b->fact[1].n;
    assert_int_equal(fold_node(b->e.fold, &n, 100), E_CORRUPT); /* folded before */
    n.seq = 3;
    n.lineage = ENGINE_DATABASES_MAX;
    assert_int_equal(fold_node(b->e.fold, &n, 100), E_CORRUPT);
    n = (struct node){
        .op = NODE_PUT, .type = TYPE_STRING, .flags = NODE_RETYPED, .seq = 3, .prev = 2, .ver = 2, .key = slice_str("other")};
    assert_int_equal(fold_node(b->e.fold, &n, 100), E_CORRUPT); /* predecessor of another key */
    n.prev = 3;
    assert_int_equal(fold_node(b->e.fold, &n, 100), E_CORRUPT);
    n = (struct node){.op = NODE_SWAP, .seq = 3, .payload = slice_str("ab")};
    assert_int_equal(fold_node(b->e.fold, &n, 100), E_CORRUPT);
    n = (struct node){.op = NODE_FILLER, .seq = 3, .lineage = 0};
    assert_int_equal(fold_node(b->e.fold, &n, 100), E_OK);
    assert_int_equal(fold_seq(b->e.fold), 3);
    bed_free(b);
}

/* Plain overwrites must not look anything up; a predecessor that compaction dropped is known from the index. */
static void test_reads(void **state)
{
    struct bed *b = bed_new();
    struct db_counts k;
    b->no_reads = true;
    for (int i = 0; i < 10; i++) bed_put(b, 0, "k", TYPE_STRING, "v");
    bed_delete(b, 0, "k");
    bed_put(b, 0, "k", TYPE_STRING, "v");
    bed_put(b, 0, "doc:1", TYPE_DOCUMENT, "{}");
    bed_put(b, 0, "doc:1", TYPE_DOCUMENT, "{}");
    b->no_reads = false;
    bed_step(b);
    b->fact[b->n - 1].gone = true;
    bed_delete(b, 0, "doc:1");
    engine_db_counts(&b->e, 0, &k);
    assert_int_equal(k.docs, 0);
    assert_int_equal(k.keys, 1);
    assert_int_equal(b->reads, 1);
    bed_step(b);
    fold_check(b->e.fold);
    bed_free(b);
}

static bool is_gone(void *ctx, uint64_t seq)
{
    return ((struct bed *)ctx)->fact[seq - 1].gone;
}

/* A writer may still name a predecessor that compaction dropped behind a flush or a delete. */
static void test_dropped_predecessor(void **state)
{
    struct bed *b = bed_new();
    struct buf resume = {0};
    bed_define(b, 0, "a", "plan", NODE_PUT);
    bed_step(b);
    while (fold_build(b->e.fold, 10) == E_OK) bed_step(b);
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"plan\":1}");
    bed_put(b, 0, "a:2", TYPE_DOCUMENT, "{\"plan\":1}");
    bed_delete(b, 0, "a:2");
    bed_flush(b, 0);
    bed_step(b);
    for (int i = 1; i <= 3; i++) b->fact[i].gone = true;
    while (fold_forget(b->e.fold, is_gone, b, &resume, 10) == E_OK) bed_step(b);
    bed_step(b);
    bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{\"plan\":2}");
    bed_put(b, 0, "a:2", TYPE_DOCUMENT, "{\"plan\":2}");
    bed_step(b);
    fold_check(b->e.fold);
    b->fact[b->n - 1].gone = true; /* a head: no compaction does that */
    struct node n = b->fact[b->n - 1].n;
    n.seq++, n.prev++, n.flags = 0;
    assert_int_equal(fold_node(b->e.fold, &n, 100), E_CORRUPT);
    buf_fini(&resume);
    bed_free(b);
}

/* ---- readers beside the fold ---- */

struct beside {
    struct bed *b;
    atomic_bool stop;
    _Atomic uint64_t rows, passes;
};

static int count_collection(void *ctx, slice coll, const struct coll_counts *n)
{
    return 0;
}

static void read_all(struct beside *x, struct rng *r)
{
    struct engine *e = &x->b->e;
    struct db_view view;
    struct version v;
    struct doc_cursor *docs = NULL;
    struct key_cursor *keys = NULL;
    struct range_cursor *range = NULL;
    struct range_options o = {.coll = slice_str("a"), .path = slice_str("plan"), .descending = rng_below(r, 2), .at = UINT64_MAX};
    struct live_key k;
    slice key, last = {0};
    uint64_t seq, at = 1 + rng_below(r, fold_seq(e->fold) + 1), rows = 0;
    engine_db_at(e, (uint16_t)rng_below(r, BED_LINEAGES), at, &view);
    int rc = engine_find(e, SPACE_KEY, 0, slice_str("a:1"), at, FIND_ALL, &v);
    if (rc == E_OK) assert_true(v.seq <= at);
    assert_int_equal(engine_docs(e, 0, slice_str("a:"), last, at, &docs), E_OK);
    while (doc_cursor_next(docs, &key) == E_OK) rows++;
    doc_cursor_close(&docs);
    assert_int_equal(engine_keys(e, 0, view.flushed, 0, &keys), E_OK);
    while (key_cursor_next(keys, &k) == E_OK) rows++;
    key_cursor_close(&keys);
    assert_int_equal(engine_collections(e, 0, at, count_collection, NULL), E_OK);
    rc = engine_range(e, &o, &range);
    while (rc == E_OK && (rc = range_next(range, &key, &seq)) == E_OK) rows++; /* every entry must lead to a version */
    assert_true(rc == E_END || rc == E_AGAIN || rc == E_NOTFOUND);
    range_cursor_close(&range);
    struct text_cursor *text = NULL;
    struct text_options t = {.coll = slice_str("a"), .path = slice_str("$"), .word = slice_str("c"), .prefix = true, .at = UINT64_MAX};
    rc = engine_text(e, &t, &text);
    while (rc == E_OK && (rc = text_next(text, &key, &seq)) == E_OK) rows++;
    assert_true(rc == E_END || rc == E_AGAIN || rc == E_NOTFOUND);
    text_cursor_close(&text);
    x->rows += rows;
    x->passes++;
}

static void *read_beside(void *arg)
{
    struct beside *x = arg;
    struct rng r = {77};
    while (!x->stop) read_all(x, &r);
    return NULL;
}

/* The log is written first: the model is not for two threads. */
static void test_beside(void **state)
{
    struct rng r = rng_start("beside", 25);
    struct bed *plan = bed_new();
    bed_define(plan, 0, "a", "plan", NODE_PUT);
    for (int i = 0; i < 1500; i++) random_write(plan, &r, true);
    struct bed *b = bed_copy(plan);
    struct beside x = {.b = b};
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, read_beside, &x), 0);
    for (uint64_t s = 1; s <= b->n; s++) {
        bed_refold(b, s, s);
        if (rng_below(&r, 4) == 0 || s == b->n) {
            index_step(b->e.index, s);
            if (fold_build(b->e.fold, 2) == E_OK) index_step(b->e.index, s);
        }
        if (s == b->n / 2) assert_int_equal(index_flush(b->e.index), E_OK);
    }
    while (x.passes < 3) sched_yield();
    x.stop = true;
    assert_int_equal(pthread_join(t, NULL), 0);
    fold_check(b->e.fold);
    bed_free(b);
    bed_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_rebuild),
        cmocka_unit_test(test_fold_again),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_dropped_predecessor),
        cmocka_unit_test(test_beside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
