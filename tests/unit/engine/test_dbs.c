/* Databases over time against a replay of the events. */
#include "unit/engine/foldbed.h"

#define EVENTS  300
#define NUMBERS 5

struct event {
    uint64_t seq;
    bool swap;
    uint16_t a, b;
};

static void model_at(const struct event *e, uint16_t db, uint64_t at, struct db_view *out)
{
    uint16_t of[NUMBERS];
    for (uint16_t i = 0; i < NUMBERS; i++) of[i] = i;
    for (int i = 0; i < EVENTS && e[i].seq <= at; i++) {
        if (!e[i].swap) continue;
        uint16_t t = of[e[i].a];
        of[e[i].a] = of[e[i].b], of[e[i].b] = t;
    }
    *out = (struct db_view){.lineage = of[db]};
    for (int i = 0; i < EVENTS && e[i].seq <= at; i++)
        if (!e[i].swap && (e[i].a == out->lineage || e[i].a == NODE_ALL_LINEAGES)) out->flushed = e[i].seq;
}

static void test_history(void **state)
{
    struct rng r = rng_start("dbs", 31);
    struct bed *b = bed_new();
    struct event e[EVENTS];
    for (int i = 0; i < EVENTS; i++) {
        for (uint64_t k = rng_below(&r, 3); k > 0; k--) bed_put(b, 0, "k", TYPE_STRING, "v");
        e[i] = (struct event){
            .swap = rng_below(&r, 2), .a = (uint16_t)rng_below(&r, NUMBERS), .b = (uint16_t)rng_below(&r, NUMBERS)};
        if (!e[i].swap && rng_below(&r, 4) == 0) e[i].a = NODE_ALL_LINEAGES;
        uint8_t payload[4];
        put_u16(payload, e[i].a), put_u16(payload + 2, e[i].b);
        struct node n = {.op = e[i].swap ? NODE_SWAP : NODE_FLUSH, .lineage = e[i].swap ? 0 : e[i].a};
        if (e[i].swap) n.payload = slice_of(payload, 4);
        e[i].seq = bed_add(b, &n);
    }
    bed_step(b);
    for (int again = 0; again < 2; again++) {
        for (uint64_t at = 0; at <= b->n + 2; at++)
            for (uint16_t db = 0; db < NUMBERS; db++) {
                struct db_view have, want;
                engine_db_at(&b->e, db, at == b->n + 2 ? UINT64_MAX : at, &have);
                model_at(e, db, at, &want);
                assert_int_equal(have.lineage, want.lineage);
                assert_int_equal(have.flushed, want.flushed);
            }
        dbs_check(&b->e.fold->dbs);
        struct buf saved = {0};
        fold_save(b->e.fold, &saved);
        fold_close(&b->e.fold);
        bed_open_fold(b, buf_slice(&saved)); /* the same again from the index */
        buf_fini(&saved);
    }
    bed_free(b);
}

static void test_next_flush(void **state)
{
    struct dbs *d = mem_alloc(sizeof *d);
    dbs_init(d);
    assert_int_equal(dbs_flushed_next(d, 0, 0), UINT64_MAX);
    dbs_flush(d, 0, 5);
    dbs_flush(d, NODE_ALL_LINEAGES, 9);
    dbs_flush(d, 0, 12);
    assert_int_equal(dbs_flushed_next(d, 0, 4), 5);
    assert_int_equal(dbs_flushed_next(d, 0, 5), 9);
    assert_int_equal(dbs_flushed_next(d, 0, 9), 12);
    assert_int_equal(dbs_flushed_next(d, 0, 12), UINT64_MAX);
    assert_int_equal(dbs_flushed_next(d, 1, 4), 9);
    assert_int_equal(dbs_flushed(d, 0, 11), 9);
    assert_int_equal(dbs_flushed(d, 0, 4), 0);
    dbs_fini(d);
    mem_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_history), cmocka_unit_test(test_next_flush)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
