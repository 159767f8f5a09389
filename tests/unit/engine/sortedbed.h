/* What the tests of ordered and of text indexes share: an index is kept beside a random history, built behind one, and broken off by crashes while it is built. Each says how
 * its indexes are defined, and compares random questions with the model. */
#ifndef VARVE_TESTS_SORTEDBED_H
#define VARVE_TESTS_SORTEDBED_H

#include "unit/engine/foldbed.h"

struct sorted_test {
    void (*define)(struct bed *b);
    void (*one)(struct bed *b, uint8_t op); /* of those: drops or makes it */
    void (*check)(struct bed *b, struct rng *r, int times);
    uint64_t seed;
};

static inline void build_all(struct bed *b)
{
    bed_step(b);
    while (fold_build(b->e.fold, 2) == E_OK) bed_step(b);
}

static inline void sorted_kept(const struct sorted_test *t)
{
    struct rng r = rng_start("kept", t->seed);
    for (int round = 0; round < 6; round++) {
        struct bed *b = bed_new();
        t->define(b);
        build_all(b);
        for (int i = 0; i < 10; i++) {
            random_history(b, &r, 60);
            t->check(b, &r, 70);
        }
        bed_free(b);
    }
}

static inline void sorted_built(const struct sorted_test *t)
{
    struct rng r = rng_start("built", t->seed + 1);
    for (int round = 0; round < 10; round++) {
        struct bed *b = bed_new();
        random_history(b, &r, 300);
        t->define(b);
        bed_step(b);
        int rc = E_OK;
        for (int i = 0; rc == E_OK; i++) { /* documents change while their turn comes */
            rc = fold_build(b->e.fold, 1);
            bed_step(b);
            random_history(b, &r, rng_below(&r, 9));
        }
        assert_int_equal(rc, E_AGAIN);
        t->check(b, &r, 100);
        random_history(b, &r, 100);
        t->check(b, &r, 100);
        if (round % 2) {
            assert_int_equal(index_flush(b->e.index), E_OK);
            t->check(b, &r, 100);
        }
        if (round % 3 == 0) { /* dropped, and defined anew */
            t->one(b, NODE_DELETE);
            random_history(b, &r, 20);
            t->one(b, NODE_PUT);
            build_all(b);
            t->check(b, &r, 100);
        }
        bed_free(b);
    }
}

static inline void build_some(struct bed *b, struct rng *r, uint64_t times, uint64_t writes)
{
    for (uint64_t i = rng_below(r, times); i > 0; i--) {
        if (fold_build(b->e.fold, 1) == E_OK) bed_step(b);
        random_history(b, r, rng_below(r, writes));
    }
}

/* A crash: books of some moment, runs of a later one, the log of a later one still. */
static inline void crash(struct bed *b, struct rng *r)
{
    struct buf saved = {0};
    struct run_id runs[64];
    uint64_t covers;
    build_some(b, r, 6, 4);
    fold_save(b->e.fold, &saved);
    uint64_t books = fold_seq(b->e.fold);
    build_some(b, r, 10, 8);
    int rc = index_flush(b->e.index);
    assert_true(rc == E_OK || rc == E_AGAIN);
    size_t n_runs = index_runs(b->e.index, runs, 64, &covers);
    index_retire(b->e.index);
    random_history(b, r, rng_below(r, 30));
    fold_close(&b->e.fold);
    index_close(&b->e.index);
    bed_open_index(b, runs, n_runs);
    bed_open_fold(b, buf_slice(&saved));
    for (uint64_t s = books + 1; s <= b->n; s++) {
        bed_refold(b, s, s);
        index_step(b->e.index, s);
        if (s < covers) assert_int_equal(fold_build(b->e.fold, 1), E_AGAIN);
    }
    buf_fini(&saved);
}

/* The build is cut by a crash, once or again and again: its position is that of the books, its entries may be ahead. */
static inline void sorted_crash(const struct sorted_test *t)
{
    struct rng r = rng_start("crash", t->seed + 2);
    for (int round = 0; round < 24; round++) {
        struct bed *b = bed_new();
        random_history(b, &r, 200);
        t->define(b);
        bed_step(b);
        for (int n = round % 2 ? 8 : 1; n > 0; n--) crash(b, &r);
        build_all(b);
        t->check(b, &r, 70);
        fold_check(b->e.fold);
        bed_free(b);
    }
}

#endif
