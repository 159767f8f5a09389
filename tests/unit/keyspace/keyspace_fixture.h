/* A keyspace over an engine in memory, for the tests of this layer. */
#ifndef VARVE_TESTS_KEYSPACE_FIXTURE_H
#define VARVE_TESTS_KEYSPACE_FIXTURE_H

#include "base/mem.h"
#include "keyspace/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct os *os;
    struct engine *e;
    struct keyspace *ks;
    struct ks_ctx c;
    unsigned loops;
    uint64_t cache_bytes;
    bool threads;
};

static inline void fixture_open(struct fixture *f)
{
    struct engine_options o = {.os = f->os, .dir = "/db", .no_threads = !f->threads};
    struct engine_report rep;
    assert_int_equal(engine_open(&o, &f->e, &rep), E_OK);
    struct ks_options k = {.engine = f->e, .databases = 16, .loops = f->loops ? f->loops : 1, .cache_bytes = f->cache_bytes};
    assert_int_equal(ks_open(&k, &f->ks), E_OK);
    f->c = (struct ks_ctx){.ks = f->ks, .now_ms = engine_now_ms(f->e)};
}

static inline void fixture_close(struct fixture *f)
{
    ks_check(f->ks);
    ks_close(&f->ks);
    assert_null(f->ks);
    assert_int_equal(engine_close(&f->e), E_OK);
}

static inline void fixture_reopen(struct fixture *f)
{
    uint64_t now = f->c.now_ms;
    fixture_close(f);
    fixture_open(f);
    if (now > f->c.now_ms) f->c.now_ms = now;
}

static inline int fixture_up(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    f->os = os_memory_new();
    fixture_open(f);
    *state = f;
    return 0;
}

static inline int fixture_down(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    os_free(&f->os);
    mem_free(f);
    return 0;
}

#define WITH_KEYSPACE(fn) cmocka_unit_test_setup_teardown(fn, fixture_up, fixture_down)

static inline slice S(const char *s)
{
    return slice_str(s);
}

static inline void put(struct fixture *f, const char *key, const char *value)
{
    assert_int_equal(ks_put(&f->c, S(key), TYPE_STRING, S(value), NULL), E_OK);
}

static inline void put_until(struct fixture *f, const char *key, const char *value, uint64_t expire_ms)
{
    struct ks_write w = {.expiry = KS_EXPIRY_SET, .expire_ms = expire_ms};
    assert_int_equal(ks_put(&f->c, S(key), TYPE_STRING, S(value), &w), E_OK);
}

static inline void assert_value(struct fixture *f, const char *key, const char *value)
{
    struct ks_value v;
    assert_int_equal(ks_get(&f->c, S(key), &v), E_OK);
    assert_int_equal(v.blob.n, strlen(value));
    assert_memory_equal(v.blob.p, value, v.blob.n);
}

static inline void assert_absent(struct fixture *f, const char *key)
{
    struct ks_value v;
    assert_int_equal(ks_get(&f->c, S(key), &v), E_NOTFOUND);
}

static inline void assert_at(struct fixture *f, const char *key, uint64_t at, const char *value)
{
    struct ks_value v;
    struct buf mem = {0};
    int err = ks_get_at(&f->c, S(key), at, KS_ANY_VALID, &mem, &v);
    if (value == NULL) {
        assert_int_equal(err, E_NOTFOUND);
    } else {
        assert_int_equal(err, E_OK);
        assert_int_equal(v.blob.n, strlen(value));
        assert_memory_equal(v.blob.p, value, v.blob.n);
    }
    buf_fini(&mem);
}

/* The keyspace's counts and the log's say the same. */
static inline void assert_counts_agree(struct fixture *f)
{
    assert_int_equal(engine_catch_up(f->e, 0), E_OK);
    for (unsigned db = 0; db < 16; db++) {
        struct db_counts n;
        uint64_t expiring, keys = ks_count(&f->c, (uint16_t)db, &expiring);
        engine_db_counts(f->e, ks_db(&f->c, (uint16_t)db).lineage, &n);
        assert_int_equal(keys, n.keys);
        assert_int_equal(expiring, n.expiring);
    }
}

static inline struct version newest(struct fixture *f, const char *key)
{
    struct version v;
    assert_int_equal(engine_catch_up(f->e, 0), E_OK);
    assert_int_equal(engine_find(f->e, SPACE_KEY, ks_db(&f->c, f->c.db).lineage, S(key), UINT64_MAX, FIND_ALL, &v), E_OK);
    return v;
}

#endif
