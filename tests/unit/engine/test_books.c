/* The books: saved and loaded, refused when damaged or ahead of the index, totals, and what merging may forget. */
#include "unit/engine/foldbed.h"

#include "engine/manifest.h"
#include "support/page.h"

static void test_saved(void **state)
{
    struct rng r = rng_start("saved", 101);
    struct bed *b = bed_new();
    struct buf saved = {0}, again = {0};
    struct fold *f = NULL;
    for (int i = 0; i < 200; i++) random_write(b, &r, true);
    bed_step(b);
    fold_save(b->e.fold, &saved);
    assert_int_equal(fold_open(&b->e, buf_slice(&saved), &f), E_OK);
    fold_save(f, &again);
    assert_true(slice_eq(buf_slice(&saved), buf_slice(&again)));
    assert_int_equal(fold_newest_ms(f), fold_newest_ms(b->e.fold));
    fold_close(&f);
    for (size_t n = 1; n < saved.n; n++) {
        assert_int_equal(fold_open(&b->e, slice_of(saved.p, n), &f), E_CORRUPT);
        assert_null(f);
    }
    saved.p[0]++;
    assert_int_equal(fold_open(&b->e, buf_slice(&saved), &f), E_VERSION);
    saved.p[0]--;
    bed_put(b, 0, "k", TYPE_STRING, "v"); /* folded, not stepped: the books are ahead */
    buf_clear(&saved);
    fold_save(b->e.fold, &saved);
    assert_int_equal(fold_open(&b->e, buf_slice(&saved), &f), E_CORRUPT);
    buf_fini(&saved), buf_fini(&again);
    bed_free(b);
}

/* The books in the example of src/docs/format-manifest.md say what the page says they do, and are saved again byte for byte. */
static void test_documented(void **state)
{
    struct bed *b = bed_new();
    struct buf page = {0}, again = {0};
    struct manifest m;
    struct fold *f = NULL;
    struct db_counts n;
    struct coll_counts c;
    struct retain_rule rule;
    struct engine_tag tag;
    bed_put(b, 0, "k", TYPE_STRING, "v"), bed_put(b, 0, "l", TYPE_STRING, "v");
    bed_step(b);
    assert_true(page_example("src/docs/format-manifest.md", "manifest", &page));
    assert_int_equal(manifest_decode(buf_slice(&page), &m), E_OK);
    assert_int_equal(fold_open(&b->e, buf_slice(&m.books), &f), E_OK);
    struct fold *own = b->e.fold;
    b->e.fold = f;
    assert_int_equal(fold_seq(f), 2);
    assert_int_equal(fold_newest_ms(f), 1700000000000);
    engine_db_counts(&b->e, 0, &n);
    assert_true(n.keys == 2 && n.docs == 1 && n.expiring == 0);
    engine_collection(&b->e, 0, slice_str("user"), &c);
    assert_true(c.docs == 1 && c.versions == 1 && c.bytes == 92);
    assert_int_equal(engine_tag_find(&b->e, slice_str("v1"), &again, &tag), E_OK);
    assert_true(tag.seq == 2 && tag.point == 1 && tag.ts_ms == 1700000000000 && tag.by.n == 0);
    assert_true(engine_retain_of(&b->e, slice_str("pkg:bash"), true, &rule, NULL));
    assert_true(rule.versions == 5 && rule.age_ms == 0);
    assert_true(sorted_covers(f, 0, slice_str("user:7")));
    buf_clear(&again);
    fold_save(f, &again);
    assert_true(slice_eq(buf_slice(&again), buf_slice(&m.books)));
    b->e.fold = own;
    fold_close(&f);
    manifest_fini(&m);
    buf_fini(&page), buf_fini(&again);
    bed_free(b);
}

/* Books of version 2 do not say from where on everything is readable: from their own end on it is. */
static void test_version_two(void **state)
{
    struct bed *b = bed_new();
    struct buf saved = {0}, old = {0};
    struct fold *f = NULL;
    struct engine_horizons h;
    for (int i = 0; i < 5; i++) bed_put(b, 0, "k", TYPE_STRING, "v");
    bed_step(b);
    for (uint64_t dropped = 0; dropped < 3; dropped += 2) {
        fold_raise_horizons(b->e.fold, &(struct engine_horizons){.changes = dropped, .readable = dropped ? dropped + 1 : 0});
        buf_clear(&saved), buf_clear(&old);
        fold_save(b->e.fold, &saved);
        const uint8_t *p = saved.p + 1, *end = saved.p + saved.n;
        uint64_t v;
        for (int i = 0; i < 10; i++) p = get_varint(p, end, &v);
        buf_add_byte(&old, 2);
        buf_add(&old, saved.p + 1, (size_t)(p - saved.p) - 1);
        p = get_varint(p, end, &v);
        assert_int_equal(v, dropped ? 3 : 0);
        buf_add(&old, p, (size_t)(end - p));
        assert_int_equal(fold_open(&b->e, buf_slice(&old), &f), E_OK);
        struct fold *now = b->e.fold;
        b->e.fold = f;
        engine_get_horizons(&b->e, &h);
        b->e.fold = now;
        fold_close(&f);
        assert_int_equal(h.changes, dropped);
        assert_int_equal(h.readable, dropped ? 5 : 0);
    }
    buf_fini(&saved), buf_fini(&old);
    bed_free(b);
}

static void test_live_estimate(void **state)
{
    struct bed *b = bed_new();
    struct fold_totals t;
    char key[32], value[101];
    memset(value, 'v', 100);
    value[100] = 0;
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "k%d", i % 500);
        bed_put(b, 0, key, TYPE_STRING, value);
    }
    bed_step(b);
    fold_get_totals(b->e.fold, &t);
    assert_int_equal(t.nodes, 5000);
    assert_int_equal(t.bytes_dead, 0); /* nobody said that anything may go */
    bed_free(b);
}

static void test_drop(void **state)
{
    struct bed *b = bed_new();
    struct buf key = {0}, value = {0};
    bed_put(b, 0, "k", TYPE_STRING, "v");
    range_live(&key, 0, 0, 1, slice_str("k"));
    range_live_value(&value, TYPE_STRING, false);
    bed_step(b);
    assert_false(fold_drop(b->e.fold, buf_slice(&key), buf_slice(&value)));
    assert_false(fold_drop(NULL, buf_slice(&key), buf_slice(&value)));
    bed_flush(b, 0);
    bed_step(b);
    assert_false(fold_drop(b->e.fold, buf_slice(&key), buf_slice(&value))); /* a crash may take the flush back */
    assert_int_equal(index_flush(b->e.index), E_OK);
    assert_true(fold_drop(b->e.fold, buf_slice(&key), buf_slice(&value)));
    range_live(&key, 1, 0, 1, slice_str("k"));
    assert_false(fold_drop(b->e.fold, buf_slice(&key), buf_slice(&value)));
    bed_define(b, 0, "a", "plan", NODE_PUT);
    uint32_t id = sorted_find(&b->e.fold->sorted, 0, slice_str("a"), slice_str("plan"))->id;
    range_closed(&key, id, slice_str("s"), slice_str("a:1"), 4);
    range_sorted_value(&value, 1, 9);
    assert_false(fold_drop(b->e.fold, buf_slice(&key), buf_slice(&value)));
    fold_raise_horizons(b->e.fold, &(struct engine_horizons){.keys = 8, .documents = 8});
    assert_false(fold_drop(b->e.fold, buf_slice(&key), buf_slice(&value)));
    fold_raise_horizons(b->e.fold, &(struct engine_horizons){.keys = 9, .documents = 9});
    assert_true(fold_drop(b->e.fold, buf_slice(&key), buf_slice(&value)));
    range_version(&key, &b->e.seed, SPACE_KEY, 0, slice_str("k"), 1);
    assert_false(fold_drop(b->e.fold, buf_slice(&key), buf_slice(&value)));
    buf_fini(&key), buf_fini(&value);
    bed_free(b);
}

static void *use_probe(void *arg)
{
    buf_add_str(probe_buf(PROBE_KEY), "freed when the thread ends");
    return NULL;
}

static void test_probes(void **state)
{
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, use_probe, NULL), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_ptr_not_equal(probe_buf(PROBE_KEY), probe_buf(PROBE_VALUE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_saved), cmocka_unit_test(test_documented), cmocka_unit_test(test_version_two),
        cmocka_unit_test(test_live_estimate),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_probes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
