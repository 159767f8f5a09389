/* Forgetting dropped versions: what is kept reads as before, what is gone says so, whatever the size of the slices. */
#include "unit/engine/foldbed.h"

static bool is_gone(void *ctx, uint64_t seq)
{
    struct bed *b = ctx;
    return b->fact[seq - 1].gone;
}

/* Drops random versions that are neither heads nor the newest at or before the horizon, and whole histories that end before it. */
static void drop_some(struct bed *b, struct rng *r, uint64_t horizon)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct node *n = &b->fact[i].n;
        if (n->op > NODE_EXPIRE || n->space == SPACE_SORTED || n->seq >= horizon) continue;
        const struct node *at = model_find(b, n->space, n->lineage, n->key, horizon);
        bool dead = !node_is_live(at) && at == model_find(b, n->space, n->lineage, n->key, UINT64_MAX);
        if (at != n || dead) b->fact[i].gone = dead || rng_below(r, 3) > 0;
    }
}

static void forget_all(struct bed *b, unsigned budget)
{
    struct buf resume = {0};
    int rc;
    while ((rc = fold_forget(b->e.fold, is_gone, b, &resume, budget)) == E_OK) bed_step(b);
    assert_int_equal(rc, E_END);
    bed_step(b);
    buf_fini(&resume);
}

static void check_kept(struct bed *b, uint64_t horizon)
{
    uint64_t nodes = 0, bytes = 0;
    struct fold_totals t;
    for (size_t i = 0; i < b->n; i++) {
        const struct node *n = &b->fact[i].n;
        struct version v;
        nodes += !b->fact[i].gone;
        bytes += b->fact[i].gone ? 0 : b->fact[i].size;
        if (n->op > NODE_EXPIRE) continue;
        int rc = engine_find(&b->e, n->space, n->lineage, n->key, n->seq, FIND_ALL, &v);
        if (b->fact[i].gone)
            assert_true(rc == E_PRUNED || rc == E_NOTFOUND || v.seq < n->seq);
        else
            assert_true(rc == E_OK && v.seq == n->seq);
    }
    fold_get_totals(b->e.fold, &t);
    assert_int_equal(t.nodes, nodes);
    assert_int_equal(t.bytes_log, bytes);
    fold_check(b->e.fold);
}

/* At and above the horizon the lists of documents and links are what they were. */
static void check_lists(struct bed *b, uint64_t at, uint16_t lineage)
{
    struct doc_cursor *c = NULL;
    slice key;
    size_t want = 0, have = 0;
    for (size_t i = 0; i < BED_KEYS; i++) {
        const struct node *n = model_live(b, SPACE_KEY, lineage, slice_str(bed_keys[i]), at);
        want += n && n->type == TYPE_DOCUMENT;
    }
    assert_int_equal(engine_docs(&b->e, lineage, (slice){0}, (slice){0}, at, &c), E_OK);
    while (doc_cursor_next(c, &key) == E_OK) have++;
    doc_cursor_close(&c);
    assert_int_equal(have, want);
    size_t links = 0, want_links = 0;
    for (size_t i = 0; i < 4; i++) {
        struct link_cursor *l = NULL;
        struct link k;
        assert_int_equal(engine_links(&b->e, lineage, slice_str(bed_keys[i]), LINK_OUT, (slice){0}, at, (slice){0}, &l), E_OK);
        while (link_cursor_next(l, &k) == E_OK) links++;
        link_cursor_close(&l);
    }
    for (size_t i = 0; i < b->n && i < at; i++) {
        const struct node *n = &b->fact[i].n;
        want_links += n->op <= NODE_META && n->space == SPACE_LINK && n->lineage == lineage &&
                      model_live(b, SPACE_LINK, lineage, n->key, at) == n;
    }
    assert_int_equal(links, want_links);
}

static void test_forget(void **state)
{
    struct rng r = rng_start("forget", 111);
    for (int round = 0; round < 12; round++) {
        struct bed *b = bed_new();
        random_history(b, &r, 400);
        uint64_t horizon = 1 + rng_below(&r, b->n);
        drop_some(b, &r, horizon);
        forget_all(b, round % 3 == 0 ? 1 : round % 3 == 1 ? 7 : 1000000);
        fold_raise_horizons(b->e.fold, &(struct engine_horizons){.keys = horizon, .documents = horizon});
        check_kept(b, horizon);
        for (uint64_t at = horizon; at <= b->n; at += 1 + rng_below(&r, 20))
            for (uint16_t l = 0; l < BED_LINEAGES; l++) check_lists(b, at, l);
        bed_free(b);
    }
}

static void test_tokens(void **state)
{
    struct bed *b = bed_new();
    uint64_t seq;
    bed_write(b, (struct node){.op = NODE_PUT, .type = TYPE_STRING, .key = slice_str("a"), .idem = slice_str("old")});
    bed_write(b, (struct node){.op = NODE_PUT, .type = TYPE_STRING, .key = slice_str("a"), .idem = slice_str("new")});
    bed_step(b);
    b->fact[0].gone = true;
    forget_all(b, 1);
    assert_int_equal(engine_find_token(&b->e, 0, slice_str("old"), &seq), E_NOTFOUND);
    assert_int_equal(engine_find_token(&b->e, 0, slice_str("new"), &seq), E_OK);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forget), cmocka_unit_test(test_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
