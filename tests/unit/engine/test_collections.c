/* Counts of collections, now and at points, against the model. */
#include "unit/engine/foldbed.h"

struct seen {
    size_t n;
    struct buf name[16];
    struct coll_counts counts[16];
};

static int on_collection(void *ctx, slice coll, const struct coll_counts *n)
{
    struct seen *s = ctx;
    assert_true(s->n < 16);
    if (s->n) assert_true(slice_cmp(buf_slice(&s->name[s->n - 1]), coll) < 0);
    buf_clear(&s->name[s->n]);
    buf_add_slice(&s->name[s->n], coll);
    s->counts[s->n++] = *n;
    return 0;
}

static int on_stop(void *ctx, slice coll, const struct coll_counts *n)
{
    return 42;
}

static struct coll_counts model_counts(const struct bed *b, uint16_t lineage, slice coll, uint64_t at)
{
    struct coll_counts k = {0};
    uint64_t flushed = model_flushed(b, lineage, at);
    for (size_t i = flushed; i < b->n && i < at; i++) {
        const struct node *n = &b->fact[i].n;
        if (n->op > NODE_META || n->space != SPACE_KEY || n->lineage != lineage || n->type != TYPE_DOCUMENT) continue;
        if (!slice_eq(collection_of(n->key), coll)) continue;
        k.versions++;
        k.bytes += b->fact[i].size;
        k.docs += model_find(b, SPACE_KEY, lineage, n->key, at) == n;
    }
    return k;
}

static void check(struct bed *b, uint16_t lineage, uint64_t at, struct seen *s)
{
    size_t want = 0;
    const char *const all[] = {"", "a", "a!", "b", "c"};
    s->n = 0;
    assert_int_equal(engine_collections(&b->e, lineage, at, on_collection, s), E_OK);
    for (size_t i = 0; i < 5; i++) {
        struct coll_counts k = model_counts(b, lineage, slice_str(all[i]), at);
        if (k.docs == 0) continue;
        assert_true(want < s->n);
        assert_true(slice_eq(buf_slice(&s->name[want]), slice_str(all[i])));
        assert_int_equal(s->counts[want].docs, k.docs);
        assert_int_equal(s->counts[want].versions, k.versions);
        assert_int_equal(s->counts[want].bytes, k.bytes);
        if (at >= b->n) {
            struct coll_counts one;
            engine_collection(&b->e, lineage, slice_str(all[i]), &one);
            assert_memory_equal(&one, &k, sizeof k);
        }
        want++;
    }
    assert_int_equal(s->n, want);
}

static void test_points(void **state)
{
    struct rng r = rng_start("collections", 51);
    struct seen s = {0};
    for (int round = 0; round < 4; round++) {
        struct bed *b = bed_new();
        for (int i = 0; i < 10; i++) {
            random_history(b, &r, 50);
            for (int k = 0; k < 20; k++) {
                uint64_t at = random_point(b, &r);
                uint16_t lineage = (uint16_t)rng_below(&r, BED_LINEAGES);
                for (uint64_t dropped = 0; dropped < 2; dropped++) { /* the past is counted in another way when something was */
                    book_set(&b->e.fold->horizon[HORIZON_DOCUMENT_CHANGES], dropped);
                    check(b, lineage, at, &s);
                }
                book_set(&b->e.fold->horizon[HORIZON_DOCUMENT_CHANGES], 0);
            }
        }
        bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{}");
        bed_step(b);
        assert_int_equal(engine_collections(&b->e, 0, UINT64_MAX, on_stop, NULL), 42);
        bed_free(b);
    }
    for (int i = 0; i < 16; i++) buf_fini(&s.name[i]);
}

static void test_book(void **state)
{
    struct collections c, d;
    struct coll_counts one = {1, 2, 3}, k;
    struct buf saved = {0};
    char name[32];
    collections_init(&c);
    collections_init(&d);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "c%d", i);
        collections_add(&c, (uint16_t)(i % 3), slice_str(name), &one);
    }
    collections_save(&c, &saved);
    const uint8_t *p = saved.p;
    assert_int_equal(collections_load(&d, &p, saved.p + saved.n), E_OK);
    assert_ptr_equal(p, saved.p + saved.n);
    collections_get(&d, 1, slice_str("c1"), &k);
    assert_int_equal(k.versions, 2);
    collections_get(&d, 2, slice_str("c1"), &k);
    assert_int_equal(k.versions, 0);
    collections_flush(&d, 1);
    collections_get(&d, 1, slice_str("c1"), &k);
    assert_int_equal(k.docs, 0);
    for (size_t n = 0; n < 200; n++) {
        struct collections cut;
        collections_init(&cut);
        p = saved.p;
        assert_int_equal(collections_load(&cut, &p, saved.p + n), E_CORRUPT);
        collections_fini(&cut);
    }
    collections_fini(&c);
    collections_fini(&d);
    buf_fini(&saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_points), cmocka_unit_test(test_book)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
