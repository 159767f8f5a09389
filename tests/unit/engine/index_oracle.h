/* What the index tests share: a sorted array that does what the index should, and keys of the kinds that the engine makes. */
#ifndef VARVE_TESTS_INDEX_ORACLE_H
#define VARVE_TESTS_INDEX_ORACLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/codec.h"
#include "base/mem.h"
#include "engine/index.h"
#include <stdio.h>
#include <stdlib.h>

struct rng {
    uint64_t s;
};
static inline uint64_t rng_next(struct rng *r)
{
    r->s += 0x9e3779b97f4a7c15u;
    uint64_t z = r->s;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static inline uint64_t rng_below(struct rng *r, uint64_t n) { return rng_next(r) % n; }

/* VARVE_TEST_SEED repeats a run; the seed is always printed. */
static inline struct rng rng_start(const char *test, uint64_t otherwise)
{
    const char *s = getenv("VARVE_TEST_SEED");
    struct rng r = {s ? strtoull(s, NULL, 0) : otherwise};
    print_message("%s: seed %llu\n", test, (unsigned long long)r.s);
    return r;
}

struct oracle_entry {
    struct buf key, value;
};
struct oracle {
    struct oracle_entry *e;
    size_t n, cap;
};

static inline size_t oracle_seek(const struct oracle *o, slice key)
{
    size_t lo = 0, hi = o->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (slice_cmp(buf_slice(&o->e[mid].key), key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}
static inline bool oracle_has(const struct oracle *o, size_t i, slice key) { return i < o->n && slice_eq(buf_slice(&o->e[i].key), key); }
static inline void oracle_put(struct oracle *o, slice key, slice value)
{
    size_t i = oracle_seek(o, key);
    if (!oracle_has(o, i, key)) {
        if (o->n == o->cap) {
            o->cap = o->cap ? 2 * o->cap : 64;
            o->e = mem_realloc(o->e, o->cap * sizeof *o->e);
        }
        memmove(o->e + i + 1, o->e + i, (o->n - i) * sizeof *o->e);
        o->e[i] = (struct oracle_entry){{0}, {0}};
        buf_add_slice(&o->e[i].key, key);
        o->n++;
    }
    buf_clear(&o->e[i].value);
    buf_add_slice(&o->e[i].value, value);
}
static inline void oracle_delete(struct oracle *o, slice key)
{
    size_t i = oracle_seek(o, key);
    if (!oracle_has(o, i, key)) return;
    buf_fini(&o->e[i].key);
    buf_fini(&o->e[i].value);
    memmove(o->e + i, o->e + i + 1, (o->n - i - 1) * sizeof *o->e);
    o->n--;
}
static inline void oracle_clear(struct oracle *o)
{
    for (size_t i = 0; i < o->n; i++) {
        buf_fini(&o->e[i].key);
        buf_fini(&o->e[i].value);
    }
    mem_free(o->e);
    *o = (struct oracle){0};
}
static inline struct oracle oracle_copy(const struct oracle *o)
{
    struct oracle c = {0};
    for (size_t i = 0; i < o->n; i++) oracle_put(&c, buf_slice(&o->e[i].key), buf_slice(&o->e[i].value));
    return c;
}

/* A version key: tag, lineage, hash of the key, key, inverted seq. Returns its filter_n; 0 for a key of another kind. */
static inline size_t version_key(struct buf *b, uint64_t id, uint64_t seq)
{
    struct rng h = {id};
    uint8_t fixed[11] = {'K', 0, (uint8_t)(id % 3)}, inverted[8];
    put_be64(fixed + 3, rng_next(&h));
    buf_clear(b);
    buf_add(b, fixed, sizeof fixed);
    buf_printf(b, "key:%llu", (unsigned long long)id);
    size_t n = b->n;
    put_be64(inverted, ~seq);
    buf_add(b, inverted, 8);
    return n;
}

static inline size_t random_key(struct rng *r, struct buf *b, uint64_t ids)
{
    uint64_t kind = rng_below(r, 16);
    if (kind < 8) return version_key(b, rng_below(r, ids), rng_below(r, 20));
    buf_clear(b);
    if (kind < 12) {
        buf_printf(b, "Doc:%llu:", (unsigned long long)rng_below(r, ids));
        if (rng_below(r, 2)) buf_add_byte(b, (uint8_t)rng_below(r, 3));
        return 0;
    }
    if (kind < 15) { /* few bytes, many zeros: where padding a cached prefix could mislead */
        size_t n = rng_below(r, 11);
        for (size_t i = 0; i < n; i++) buf_add_byte(b, (uint8_t)rng_below(r, 2));
        return 0;
    }
    buf_printf(b, "Long:");
    size_t n = rng_below(r, 8) ? rng_below(r, 300) : 3000 + rng_below(r, 9000);
    uint8_t c = (uint8_t)('a' + rng_below(r, 3));
    for (size_t i = 0; i < n; i++) buf_add_byte(b, c);
    return 0;
}

static inline void random_value(struct rng *r, struct buf *b)
{
    buf_clear(b);
    size_t n = rng_below(r, 50) ? rng_below(r, 20) : rng_below(r, 9000);
    uint64_t x = rng_next(r);
    for (size_t i = 0; i < n; i++) buf_add_byte(b, (uint8_t)(x >> (i % 8) * 8));
}

#define assert_slice(got, want)                                                                                                 \
    do {                                                                                                                       \
        slice g_ = (got), w_ = (want);                                                                                         \
        assert_int_equal(g_.n, w_.n);                                                                                          \
        if (w_.n) assert_memory_equal(g_.p, w_.p, w_.n);                                                                       \
    } while (0)

/* The iterator against the whole oracle, both ways, and a few turns and seeks. */
static inline void check_iterator(struct rng *r, struct index_snap *s, const struct oracle *o, slice lower, slice upper)
{
    size_t from = oracle_seek(o, lower), to = upper.n ? oracle_seek(o, upper) : o->n;
    if (to < from) to = from;
    struct index_iter *it = NULL;
    assert_int_equal(index_iter_open(s, lower, upper, &it), E_OK);
    for (size_t i = from; i < to; i++) {
        assert_int_equal(index_next(it), E_OK);
        assert_slice(index_key(it), buf_slice(&o->e[i].key));
        assert_slice(index_value(it), buf_slice(&o->e[i].value));
    }
    assert_int_equal(index_next(it), E_END);
    assert_int_equal(index_next(it), E_END);
    int rc = index_seek_last(it);
    for (size_t i = to; i-- > from; rc = index_prev(it)) {
        assert_int_equal(rc, E_OK);
        assert_slice(index_key(it), buf_slice(&o->e[i].key));
        assert_slice(index_value(it), buf_slice(&o->e[i].value));
    }
    assert_int_equal(rc, E_END);
    struct buf key = {0};
    for (int k = 0; k < 20; k++) {
        random_key(r, &key, 40);
        size_t at = oracle_seek(o, buf_slice(&key));
        bool before = rng_below(r, 2);
        rc = before ? index_seek_before(it, buf_slice(&key)) : index_seek(it, buf_slice(&key));
        if (before && at > to) at = to;
        if (!before && at < from) at = from;
        if (before ? at <= from : at >= to) {
            assert_int_equal(rc, E_END);
            continue;
        }
        at -= before;
        for (int j = 0; j < 12; j++) {
            assert_int_equal(rc, E_OK);
            assert_slice(index_key(it), buf_slice(&o->e[at].key));
            assert_slice(index_value(it), buf_slice(&o->e[at].value));
            bool forward = rng_below(r, 2);
            rc = forward ? index_next(it) : index_prev(it);
            if (forward ? at + 1 >= to : at == from) {
                assert_int_equal(rc, E_END);
                break;
            }
            at = forward ? at + 1 : at - 1;
        }
    }
    buf_fini(&key);
    index_iter_close(&it);
    assert_null(it);
}

/* Exact keys and first-at-or-above, against the oracle. now: also index_first_now. */
static inline void check_lookups(struct rng *r, struct index *now, struct index_snap *s, const struct oracle *o, int times)
{
    struct buf key = {0}, got = {0}, value = {0};
    for (int k = 0; k < times; k++) {
        size_t filter_n = random_key(r, &key, 40);
        slice want = buf_slice(&key);
        size_t at = oracle_seek(o, want);
        int rc = index_get(s, want, &value);
        assert_int_equal(rc, oracle_has(o, at, want) ? E_OK : E_NOTFOUND);
        if (rc == E_OK) assert_slice(buf_slice(&value), buf_slice(&o->e[at].value));
        bool hit = at < o->n && slice_starts(buf_slice(&o->e[at].key), slice_of(key.p, filter_n));
        for (int form = 0; form < (now ? 2 : 1); form++) {
            rc = form ? index_first_now(now, INDEX_ALL, want, filter_n, &got, &value) : index_first(s, want, filter_n, &got, &value);
            assert_int_equal(rc, hit ? E_OK : E_NOTFOUND);
            if (!hit) continue;
            assert_slice(buf_slice(&got), buf_slice(&o->e[at].key));
            assert_slice(buf_slice(&value), buf_slice(&o->e[at].value));
        }
    }
    buf_fini(&key);
    buf_fini(&got);
    buf_fini(&value);
}

#endif
