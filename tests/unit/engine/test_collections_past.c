/* Collections at past points, in turns: what the model counts, however long the histories and whatever is written meanwhile. (Random points: test_collections.) */
#include "unit/engine/foldbed.h"

#define COLLS 40
#define DOCS  1500

static void put_many(struct bed *b, const char *json)
{
    char key[32];
    for (int i = 0; i < DOCS; i++) {
        snprintf(key, sizeof key, "c%02d:%d", i % COLLS, i);
        bed_put(b, 0, key, TYPE_DOCUMENT, json);
    }
    bed_step(b);
}

/* Walks it; returns how many turns that took. Calls between() in each. */
static unsigned walk(struct bed *b, uint64_t at, void (*between)(struct bed *b), struct coll_counts *sum, unsigned *colls)
{
    struct coll_cursor *c = NULL;
    struct coll_counts n;
    struct buf last = {0};
    slice name;
    unsigned turns = 0;
    *sum = (struct coll_counts){0};
    *colls = 0;
    assert_int_equal(engine_collections_at(&b->e, 0, at, &c), E_OK);
    for (int rc; (rc = coll_cursor_next(c, &name, &n)) != E_END;) {
        turns += rc == E_AGAIN;
        if (rc == E_AGAIN && between) between(b);
        if (rc == E_AGAIN) continue;
        assert_int_equal(rc, E_OK);
        if (*colls > 0) assert_true(slice_cmp(buf_slice(&last), name) < 0);
        buf_clear(&last);
        buf_add_slice(&last, name);
        sum->docs += n.docs;
        sum->versions += n.versions;
        sum->bytes += n.bytes;
        ++*colls;
    }
    assert_int_equal(coll_cursor_next(c, &name, &n), E_END);
    coll_cursor_close(&c);
    assert_null(c);
    buf_fini(&last);
    return turns;
}

static void write_more(struct bed *b)
{
    bed_put(b, 0, "c00:0", TYPE_DOCUMENT, "{}");
    bed_put(b, 0, "other:1", TYPE_DOCUMENT, "{}");
    bed_delete(b, 0, "c01:1");
    bed_step(b);
}

/* By versions alone, and, as when something of a document was dropped some time, by documents. */
static void check_turns(bool by_documents)
{
    struct bed *b = bed_new();
    struct coll_counts sum;
    unsigned colls;
    if (by_documents) book_set(&b->e.fold->horizon[HORIZON_DOCUMENT_CHANGES], 1);
    put_many(b, "{\"n\":1}");
    uint64_t first = b->n;
    put_many(b, "{\"n\":2}");
    uint64_t second = b->n;
    bed_delete(b, 0, "c03:3");
    for (int i = 0; i < 3000; i++) bed_put(b, 0, "c04:4", TYPE_DOCUMENT, "{}");
    bed_step(b);
    uint64_t third = b->n;
    write_more(b);
    assert_true(walk(b, first, NULL, &sum, &colls) >= (by_documents ? 2 : 0));
    assert_int_equal(colls, COLLS);
    assert_int_equal(sum.docs, DOCS);
    assert_int_equal(sum.versions, DOCS);
    assert_true(walk(b, second, write_more, &sum, &colls) >= (by_documents ? 2 : 0));
    assert_int_equal(sum.docs, DOCS);
    assert_int_equal(sum.versions, 2 * DOCS);
    assert_true(walk(b, third, write_more, &sum, &colls) >= (by_documents ? 3 : 1)); /* inside the long history, too */
    assert_int_equal(colls, COLLS);
    assert_int_equal(sum.docs, DOCS - 1);
    assert_int_equal(sum.versions, 2 * DOCS + 3000);
    bed_free(b);
}

static void test_turns(void **state)
{
    check_turns(false);
    check_turns(true);
}

/* More names than are put in order as they come by their keys' hashes; and few documents among many keys. */
static void test_many_names(void **state)
{
    struct bed *b = bed_new();
    struct coll_counts sum;
    unsigned colls;
    char key[32];
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "n%d:1", i);
        bed_put(b, 0, key, TYPE_DOCUMENT, "{}");
    }
    uint64_t documents = b->n, end = documents + 80;
    for (int i = 0; i < 40; i++) bed_delete(b, 0, "n7:1"), bed_put(b, 0, "n7:1", TYPE_STRING, "x");
    bed_step(b);
    for (uint64_t at = documents; at < end; at += 40) {
        (void)walk(b, at, write_more, &sum, &colls);
        assert_int_equal(colls, at == documents ? 3000 : 2999);
        assert_int_equal(sum.docs, colls);
    }
    bed_flush(b, 0);
    bed_put(b, 0, "few:1", TYPE_DOCUMENT, "{}");
    documents = b->n;
    for (int i = 0; i < 9000; i++) {
        snprintf(key, sizeof key, "s%d", i % 300);
        bed_put(b, 0, key, TYPE_STRING, "x");
    }
    bed_step(b);
    (void)walk(b, documents, NULL, &sum, &colls);
    assert_int_equal(colls, 1);
    assert_int_equal(sum.versions, 1);
    bed_free(b);
}

/* Names that are the beginnings of others come in another order as keys than as names. */
static void test_order(void **state)
{
    static const char *const keys[] = {"a!:1", "a!b:1", "a:1", "a-b:1", "a-b-c:1", "plain", "zz", "b:1", ":x", "a#:1", "ab:1"};
    static const char *const names[] = {"", "a", "a!", "a!b", "a#", "a-b", "a-b-c", "ab", "b"};
    struct bed *b = bed_new();
    struct coll_cursor *c = NULL;
    struct coll_counts n;
    slice name;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) bed_put(b, 0, keys[i], TYPE_DOCUMENT, "{}");
    uint64_t at = b->n;
    bed_flush(b, 0);
    bed_step(b);
    assert_int_equal(engine_collections_at(&b->e, 0, at, &c), E_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(coll_cursor_next(c, &name, &n), E_OK);
        assert_true(slice_eq(name, slice_str(names[i])));
        assert_int_equal(n.docs, i == 0 ? 3 : 1);
    }
    assert_int_equal(coll_cursor_next(c, &name, &n), E_END);
    coll_cursor_close(&c);
    assert_int_equal(engine_collections_at(&b->e, 0, at + 1, &c), E_OK);
    assert_int_equal(coll_cursor_next(c, &name, &n), E_END);
    coll_cursor_close(&c);
    bed_free(b);
}

static void test_below_the_horizon(void **state)
{
    struct bed *b = bed_new();
    struct coll_cursor *c = NULL;
    for (int i = 0; i < 5; i++) bed_put(b, 0, "a:1", TYPE_DOCUMENT, "{}");
    bed_step(b);
    book_set(&b->e.fold->horizon[HORIZON_DOCUMENTS], 4);
    assert_int_equal(engine_collections_at(&b->e, 0, 3, &c), E_PRUNED);
    assert_null(c);
    assert_int_equal(engine_collections_at(&b->e, 0, 4, &c), E_OK);
    coll_cursor_close(&c);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_turns), cmocka_unit_test(test_many_names), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_below_the_horizon)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
