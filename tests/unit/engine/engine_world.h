/* A store in memory with a few keys, for the tests of the engine core: keeps what a caller of the engine has to know (prev, ver, live). */
#ifndef TEST_ENGINE_WORLD_H
#define TEST_ENGINE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/logline.h"
#include "base/mem.h"
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

#define WORLD_KEYS 64

struct world_key {
    uint64_t seq, ver;
    bool live;
};
struct world {
    struct os *os;
    struct engine *e;
    struct engine_options o;
    struct engine_report rep;
    struct world_key key[WORLD_KEYS];
    uint64_t end; /* of the newest node */
};

static inline void world_open(struct world *w)
{
    w->o.os = w->os;
    w->o.dir = "/db";
    int rc = engine_open(&w->o, &w->e, &w->rep);
    if (rc) print_error("open: %s; %s\n", err_text(rc), w->rep.where);
    assert_int_equal(rc, E_OK);
}

static inline void world_start(struct world *w)
{
    log_set_level(LOG_NOTHING);
    w->os = os_memory_new();
    w->o.no_threads = true;
    if (!w->o.segment_bytes) w->o.segment_bytes = 64 << 10;
    w->o.ring_bytes = 1 << 16;
    w->o.index_buffer_bytes = 1 << 20;
    world_open(w);
}

static inline void world_reopen(struct world *w)
{
    assert_int_equal(engine_close(&w->e), E_OK);
    world_open(w);
}

static inline void world_stop(struct world *w)
{
    if (w->e) assert_int_equal(engine_close(&w->e), E_OK);
    os_free(&w->os);
}

static inline slice world_name(unsigned k, char name[32])
{
    snprintf(name, 32, "key:%04u", k);
    return slice_str(name);
}

/* The node that a caller would write for this key now; op NODE_PUT, NODE_EFFECT or NODE_DELETE. */
static inline struct node world_node(const struct world *w, unsigned k, uint8_t op, slice payload, char name[32])
{
    const struct world_key *x = &w->key[k];
    struct node n = {.op = op,
                     .type = TYPE_STRING,
                     .space = SPACE_KEY,
                     .prev = x->seq,
                     .ver = x->ver + 1,
                     .key = world_name(k, name),
                     .payload = payload};
    if (op == NODE_PUT && !x->live) n.flags = NODE_CREATED;
    return n;
}

static inline void world_took(struct world *w, unsigned k, const struct node *n)
{
    w->key[k] = (struct world_key){n->seq, n->ver, node_is_live(n)};
}

static inline uint64_t world_write(struct world *w, unsigned k, uint8_t op, slice payload)
{
    char name[32];
    struct node n = world_node(w, k, op, payload, name);
    struct receipt r;
    assert_int_equal(engine_append(w->e, &n, false, &r), E_OK);
    assert_int_equal(r.seq, n.seq);
    w->end = r.end;
    world_took(w, k, &n);
    return r.seq;
}
static inline uint64_t world_put(struct world *w, unsigned k, const char *text)
{
    return world_write(w, k, NODE_PUT, slice_str(text));
}
static inline uint64_t world_delete(struct world *w, unsigned k)
{
    return world_write(w, k, NODE_DELETE, (slice){0});
}

/* A commit of count puts to keys from `k` on. Returns the first seq. */
static inline uint64_t world_batch(struct world *w, unsigned k, unsigned count, const char *text)
{
    struct batch *b = engine_batch_begin(w->e);
    uint64_t first = 0;
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        unsigned at = (k + i) % WORLD_KEYS;
        struct node n = world_node(w, at, NODE_PUT, slice_str(text), name);
        struct receipt r;
        engine_batch_add(b, &n, false, &r);
        world_took(w, at, &n);
        if (i == 0) first = r.seq;
    }
    assert_int_equal(engine_batch_count(b), count);
    assert_int_equal(engine_batch_commit(&b, &w->end), E_OK);
    return first;
}

/* Finds and reads; the payload must be `text` (NULL: the find or the read must answer want_rc). */
static inline void world_expect(struct world *w, unsigned k, uint64_t at, const char *text, int want_rc)
{
    char name[32];
    struct version v;
    struct buf mem = {0};
    struct node n;
    int rc = engine_find(w->e, SPACE_KEY, 0, world_name(k, name), at, FIND_ALL, &v);
    if (rc == E_OK) rc = engine_read(w->e, v.seq, &mem, &n);
    assert_int_equal(rc, text ? E_OK : want_rc);
    if (text) {
        assert_int_equal(n.payload.n, strlen(text));
        assert_memory_equal(n.payload.p, text, n.payload.n);
    }
    buf_fini(&mem);
}

#endif
