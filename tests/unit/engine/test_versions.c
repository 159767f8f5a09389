/* Versions of a key against the model: newest at or before a point, bases, cursors, horizons. */
#include "unit/engine/foldbed.h"

static void same_version(const struct version *v, const struct node *n, size_t bytes)
{
    assert_int_equal(v->seq, n->seq);
    assert_int_equal(v->op, n->op);
    assert_int_equal(v->type, n->type);
    assert_int_equal(v->flags, n->flags);
    assert_int_equal(v->ver, n->ver);
    assert_int_equal(v->expire_ms, n->expire_ms);
    assert_int_equal(v->bytes, bytes);
}

static void check_find(struct bed *b, uint16_t lineage, slice key, uint64_t at)
{
    struct version v;
    const struct node *n = model_find(b, SPACE_KEY, lineage, key, at);
    int rc = engine_find(&b->e, SPACE_KEY, lineage, key, at, FIND_ALL, &v);
    assert_int_equal(rc, n ? E_OK : E_NOTFOUND);
    if (n) same_version(&v, n, b->fact[n->seq - 1].size);
    while (n && !node_is_base(n)) n = n->prev ? &b->fact[n->prev - 1].n : NULL;
    rc = engine_find(&b->e, SPACE_KEY, lineage, key, at, FIND_BASE, &v);
    assert_int_equal(rc, n ? E_OK : E_NOTFOUND);
    if (n) assert_int_equal(v.seq, n->seq);
}

static void check_cursor(struct bed *b, uint16_t lineage, slice key, uint64_t from, uint64_t to, bool oldest_first)
{
    struct version_cursor *c = NULL;
    struct version v;
    assert_int_equal(engine_versions(&b->e, SPACE_KEY, lineage, key, from, to, oldest_first, &c), E_OK);
    for (size_t i = 0; i < b->n; i++) {
        const struct node *n = &b->fact[oldest_first ? i : b->n - 1 - i].n;
        if (!is_of(n, SPACE_KEY, lineage, key) || n->seq < from || n->seq > to) continue;
        assert_int_equal(version_next(c, &v), E_OK);
        same_version(&v, n, b->fact[n->seq - 1].size);
    }
    assert_int_equal(version_next(c, &v), E_END);
    assert_int_equal(version_next(c, &v), E_END);
    version_close(&c);
    assert_null(c);
}

static void test_random_points(void **state)
{
    struct rng r = rng_start("versions", 11);
    for (int round = 0; round < 4; round++) {
        struct bed *b = bed_new();
        random_history(b, &r, 600);
        for (int i = 0; i < 800; i++) {
            uint16_t lineage = (uint16_t)rng_below(&r, BED_LINEAGES);
            slice key = slice_str(bed_keys[rng_below(&r, BED_KEYS)]);
            check_find(b, lineage, key, random_point(b, &r));
            check_cursor(b, lineage, key, rng_below(&r, b->n), random_point(b, &r), rng_below(&r, 2));
        }
        bed_free(b);
    }
}

static void test_long_keys(void **state)
{
    struct bed *b = bed_new();
    char *key = mem_alloc(NODE_KEY_MAX + 2);
    size_t lengths[] = {0, 1, 255, 256, 297, 298, 299, 300, 5000, NODE_KEY_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(key, 'k', lengths[i]);
        bed_write(b, (struct node){.op = NODE_PUT, .type = TYPE_STRING, .key = slice_of(key, lengths[i])});
    }
    bed_step(b);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) check_find(b, 0, slice_of(key, lengths[i]), UINT64_MAX);
    slice longer = slice_of(key, NODE_KEY_MAX + 1); /* a client may ask for any name: nothing has this one */
    struct version v;
    struct version_cursor *c = NULL;
    uint64_t seq;
    assert_int_equal(engine_find(&b->e, SPACE_KEY, 0, longer, UINT64_MAX, FIND_ALL, &v), E_NOTFOUND);
    assert_int_equal(engine_key_horizon(&b->e, SPACE_KEY, 0, longer, &seq, NULL), E_NOTFOUND);
    assert_int_equal(engine_versions(&b->e, SPACE_KEY, 0, longer, 1, UINT64_MAX, false, &c), E_OK);
    assert_int_equal(version_next(c, &v), E_END);
    version_close(&c);
    mem_free(key);
    bed_free(b);
}

static void test_pruned(void **state)
{
    struct bed *b = bed_new();
    struct version v;
    uint64_t seq;
    for (int i = 0; i < 5; i++) bed_put(b, 0, "k", TYPE_STRING, "v");
    bed_step(b);
    assert_int_equal(engine_key_horizon(&b->e, SPACE_KEY, 0, slice_str("k"), &seq, NULL), E_OK);
    assert_int_equal(seq, 0);
    assert_int_equal(engine_key_horizon(&b->e, SPACE_KEY, 0, slice_str("no"), &seq, NULL), E_NOTFOUND);
    struct buf key = {0};
    for (uint64_t s = 1; s <= 3; s++) {
        range_version(&key, &b->e.seed, SPACE_KEY, 0, slice_str("k"), s);
        index_delete(b->e.index, buf_slice(&key));
    }
    bed_step(b);
    assert_int_equal(engine_find(&b->e, SPACE_KEY, 0, slice_str("k"), 2, FIND_ALL, &v), E_PRUNED);
    assert_int_equal(v.seq, 4);
    assert_int_equal(engine_find(&b->e, SPACE_KEY, 0, slice_str("k"), 4, FIND_ALL, &v), E_OK);
    assert_int_equal(engine_find(&b->e, SPACE_KEY, 0, slice_str("none"), 2, FIND_ALL, &v), E_NOTFOUND);
    assert_int_equal(engine_key_horizon(&b->e, SPACE_KEY, 0, slice_str("k"), &seq, NULL), E_OK);
    assert_int_equal(seq, 4);
    buf_fini(&key);
    bed_free(b);
}

/* Many effects on one base: found at once near it, by an iterator far from it, and reported when the base is gone. */
static void test_base(void **state)
{
    struct bed *b = bed_new();
    struct version v;
    struct buf key = {0};
    bed_put(b, 0, "k", TYPE_STRING, "v");
    bed_put(b, 0, "k", TYPE_STRING, "v");
    for (int i = 0; i < 40; i++) bed_write(b, (struct node){.op = NODE_EFFECT, .type = TYPE_STRING, .key = slice_str("k")});
    bed_step(b);
    for (uint64_t at = 2; at <= 42; at++) {
        assert_int_equal(engine_find(&b->e, SPACE_KEY, 0, slice_str("k"), at, FIND_BASE, &v), E_OK);
        assert_int_equal(v.seq, 2);
    }
    for (uint64_t s = 1; s <= 2; s++) {
        range_version(&key, &b->e.seed, SPACE_KEY, 0, slice_str("k"), s);
        index_delete(b->e.index, buf_slice(&key));
    }
    bed_step(b);
    for (uint64_t at = 3; at <= 42; at += 20) {
        assert_int_equal(engine_find(&b->e, SPACE_KEY, 0, slice_str("k"), at, FIND_BASE, &v), E_PRUNED);
        assert_int_equal(v.seq, 3);
    }
    buf_fini(&key);
    bed_free(b);
}

static void test_runs_only(void **state)
{
    struct bed *b = bed_new();
    struct version v;
    bed_put(b, 0, "k", TYPE_STRING, "v");
    bed_step(b);
    assert_int_equal(engine_find(&b->e, SPACE_KEY, 0, slice_str("k"), UINT64_MAX, FIND_RUNS_ONLY, &v), E_NOTFOUND);
    assert_int_equal(index_flush(b->e.index), E_OK);
    assert_int_equal(engine_find(&b->e, SPACE_KEY, 0, slice_str("k"), UINT64_MAX, FIND_RUNS_ONLY, &v), E_OK);
    assert_int_equal(v.seq, 1);
    bed_free(b);
}

struct walk {
    struct bed *b;
    size_t seen;
    uint64_t last_seq;
    struct buf last;
};

static int on_version(void *ctx, uint8_t space, uint16_t lineage, slice key, const struct version *v)
{
    struct walk *w = ctx;
    struct buf name = {0};
    const struct node *n = &w->b->fact[v->seq - 1].n;
    assert_true(is_of(n, space, lineage, key));
    range_version(&name, &w->b->e.seed, space, lineage, key, 0);
    if (slice_eq(buf_slice(&name), buf_slice(&w->last))) assert_true(v->seq < w->last_seq);
    buf_clear(&w->last);
    buf_add_slice(&w->last, buf_slice(&name));
    w->last_seq = v->seq;
    w->seen++;
    buf_fini(&name);
    return 0;
}

static int on_any(void *ctx, uint8_t space, uint16_t lineage, slice key, const struct version *v)
{
    return 7;
}

static void test_walk(void **state)
{
    struct rng r = rng_start("walk", 5);
    struct bed *b = bed_new();
    struct walk w = {.b = b};
    struct index_snap *s = NULL;
    size_t versions = 0;
    random_history(b, &r, 500);
    for (size_t i = 0; i < b->n; i++) versions += b->fact[i].n.op <= NODE_EXPIRE;
    assert_int_equal(index_snapshot(b->e.index, INDEX_ALL, &s), E_OK);
    assert_int_equal(fold_walk_versions(b->e.fold, s, on_version, &w), E_OK);
    assert_int_equal(w.seen, versions);
    assert_int_equal(fold_walk_versions(b->e.fold, s, on_any, NULL), 7);
    index_snap_close(&s);
    buf_fini(&w.last);
    assert_int_equal(engine_horizon(&b->e), 0);
    fold_raise_horizons(b->e.fold, &(struct engine_horizons){.keys = 5, .documents = 5});
    fold_raise_horizons(b->e.fold, &(struct engine_horizons){.keys = 3, .documents = 3});
    assert_int_equal(engine_horizon(&b->e), 5);
    bed_free(b);
}

/* A point in the past is found by a search: the versions between it and now, some fifty blocks of them, are not walked. */
static void test_the_past_costs_no_more(void **state)
{
    enum { N = 6000 };
    struct bed *b = bed_new();
    struct version v;
    struct version_cursor *c = NULL;
    for (int i = 0; i < N; i++) bed_put(b, 0, "k", TYPE_STRING, "v");
    bed_count_reads(b);
    for (uint64_t at = 1; at <= N; at += 599) {
        bed_file_reads = 0;
        assert_int_equal(engine_find(&b->e, SPACE_KEY, 0, slice_str("k"), at, FIND_ALL, &v), E_OK);
        assert_int_equal(v.seq, at);
        assert_in_range(bed_file_reads, 1, 3);
        bed_file_reads = 0;
        assert_int_equal(engine_versions(&b->e, SPACE_KEY, 0, slice_str("k"), at, at + 1, at % 2, &c), E_OK);
        assert_int_equal(version_next(c, &v), E_OK);
        assert_true(v.seq == at || v.seq == at + 1);
        assert_in_range(bed_file_reads, 1, 4);
        version_close(&c);
    }
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_points), cmocka_unit_test(test_long_keys), cmocka_unit_test(test_pruned),
        cmocka_unit_test(test_base),          cmocka_unit_test(test_runs_only), cmocka_unit_test(test_walk),
        cmocka_unit_test(test_the_past_costs_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
