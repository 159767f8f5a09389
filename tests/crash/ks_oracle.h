/* What a keyspace was told, kept by seq: the other side of test_keyspace_crash.c, and of test_revert_crash.c, which has keys of its own.
 *
 * A fact is one node as its writer knows it. A view is what facts up to some seq add up to: which lineage a database shows, the newest flush of each, and
 * each key's newest fact. Reading the past is a view at that seq; a crash is forgetting the facts behind one. */
#ifndef VARVE_TESTS_KS_ORACLE_H
#define VARVE_TESTS_KS_ORACLE_H

#include "base/mem.h"
#include "keyspace/keyspace.h"

#include <stdio.h>

#ifndef KEYS
#define DATABASES 3
#define KEYS      14
#define LINKS     5
#define FACTS_MAX 4000
#endif
#define THINGS   (KEYS + LINKS)
#define NO_THING THINGS

struct fact {
    uint64_t commit_first, ts_ms, expire_ms, ver;
    uint64_t prev;
    uint16_t lineage, a, b; /* a, b: databases that change places */
    uint16_t thing;
    uint8_t op, type;
    uint8_t *value; /* whole, as of this fact */
    size_t n;
};

struct view {
    uint16_t lineage[DATABASES];
    uint64_t flushed[DATABASES];
    uint64_t head[DATABASES][THINGS]; /* by lineage; seq, 0 = none */
};

struct oracle {
    struct fact fact[FACTS_MAX + 1]; /* by seq */
    uint64_t last;
    struct view now; /* as of `last` */
};

static inline void view_start(struct view *v)
{
    *v = (struct view){0};
    for (uint16_t i = 0; i < DATABASES; i++) v->lineage[i] = i;
}

static inline void view_add(struct view *v, const struct fact *f, uint64_t seq)
{
    if (f->op == NODE_FLUSH) {
        for (uint16_t l = 0; l < DATABASES; l++)
            if (f->lineage == l || f->lineage == NODE_ALL_LINEAGES) v->flushed[l] = seq;
    } else if (f->op == NODE_SWAP) {
        uint16_t was = v->lineage[f->a];
        v->lineage[f->a] = v->lineage[f->b];
        v->lineage[f->b] = was;
    } else {
        v->head[f->lineage][f->thing] = seq;
    }
}

static inline void view_at(const struct oracle *o, uint64_t seq, struct view *out)
{
    view_start(out);
    for (uint64_t s = 1; s <= seq; s++) view_add(out, &o->fact[s], s);
}

/* The fact that makes the thing exist in the log's eyes, whatever its expiry says; NULL. */
static inline const struct fact *view_live(const struct oracle *o, const struct view *v, uint16_t lineage, unsigned thing)
{
    uint64_t seq = v->head[lineage][thing];
    const struct fact *f = &o->fact[seq];
    return seq > v->flushed[lineage] && f->op != NODE_DELETE && f->op != NODE_EXPIRE ? f : NULL;
}

static inline bool is_due(const struct fact *f, uint64_t now_ms)
{
    return f->expire_ms != 0 && f->expire_ms <= now_ms;
}

/* f without prev and ver when it has a thing; takes f->value over. */
static inline struct fact *oracle_add(struct oracle *o, struct fact f, uint64_t commit_first)
{
    ASSERT(o->last < FACTS_MAX);
    uint64_t seq = ++o->last;
    f.commit_first = commit_first ? commit_first : seq;
    if (f.op != NODE_FLUSH && f.op != NODE_SWAP) {
        f.prev = o->now.head[f.lineage][f.thing];
        f.ver = f.prev ? o->fact[f.prev].ver + 1 : 1;
    }
    o->fact[seq] = f;
    view_add(&o->now, &o->fact[seq], seq);
    return &o->fact[seq];
}

static inline void oracle_cut(struct oracle *o, uint64_t last)
{
    for (; o->last > last; o->last--) {
        mem_free(o->fact[o->last].value);
        o->fact[o->last] = (struct fact){0};
    }
    view_at(o, last, &o->now);
}

static inline uint64_t point_at_or_before(const struct oracle *o, uint64_t seq)
{
    return seq < o->last && o->fact[seq + 1].commit_first <= seq ? o->fact[seq + 1].commit_first - 1 : seq;
}

#endif
