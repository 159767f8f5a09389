/* The fold's inside: its books, shared by the files that fold and the files that answer from the books. Nobody else includes this.
 *
 * Written by whoever folds (one thread at a time, ordered by the indexer's lock); counters are relaxed atomics so that any thread may read
 * them; lists have their own mutex. Scratch buffers belong to the folding thread. */
#ifndef VARVE_ENGINE_BOOKS_H
#define VARVE_ENGINE_BOOKS_H

#include "engine/collections.h"
#include "engine/dbs.h"
#include "engine/fold.h"
#include "engine/named.h"
#include "engine/ranges.h"
#include "engine/sorted.h"

struct lineage_book {
    _Atomic uint64_t keys, docs, expiring, links;
};

enum { HORIZON_KEYS, HORIZON_DOCUMENTS, HORIZON_CHANGES, HORIZON_DOCUMENT_CHANGES, HORIZON_READABLE, HORIZONS };
enum { POLICY_KEYS_VERSIONS, POLICY_KEYS_AGE, POLICY_DOCUMENTS_VERSIONS, POLICY_DOCUMENTS_AGE, POLICY_PERCENTAGE, POLICY_MIN_BYTES, POLICY_WORDS };

struct fold {
    struct engine *e;
    int (*read)(struct engine *e, uint64_t seq, struct buf *mem, struct node *out); /* engine_read; tests put their own here */
    struct dbs dbs;
    struct collections collections;
    struct sorted_set sorted;
    struct named_set named;
    struct lineage_book lineage[ENGINE_DATABASES_MAX];
    _Atomic uint64_t seq;         /* newest folded */
    _Atomic uint64_t newest_ms;   /* largest time folded */
    _Atomic uint64_t horizon[HORIZONS]; /* struct engine_horizons, in its order */
    bool horizons_known;                /* false: saved when there was one only, or not saved at all */
    _Atomic uint64_t nodes, bytes; /* folded and not forgotten */
    _Atomic uint64_t policy[POLICY_WORDS]; /* struct engine_policy, in its order. Any thread */
    atomic_bool policy_known;     /* it was set once */
    _Atomic uint64_t dead;        /* estimate: bytes that the rules let go now; fold_dead.c */
    _Atomic uint64_t waiting;     /* of those superseded, what rules let go only when it is older */
    _Atomic uint64_t expired_ms;  /* every expiry up to here was handed to a caller */
    /* Mean size of ordinary keys' nodes: sum over about the last PLAIN_WINDOW of them. */
    _Atomic uint64_t plain_sum, plain_n;
    struct buf key, value, mem;   /* scratch */
};
#define PLAIN_WINDOW 1024

static inline uint64_t book_get(_Atomic uint64_t *p) { return atomic_load_explicit(p, memory_order_relaxed); }
static inline void book_set(_Atomic uint64_t *p, uint64_t v) { atomic_store_explicit(p, v, memory_order_relaxed); }
/* Only the folding thread writes, so a load and a store do. */
static inline void book_add(_Atomic uint64_t *p, uint64_t d) { book_set(p, book_get(p) + d); }

/* Was the node of a version's index entry dropped? */
bool version_is_dropped(struct engine *e, uint64_t seq);

/* A buffer for the running thread's probes: kept between calls, freed when the thread ends. which < PROBE_BUFS. */
enum { PROBE_KEY, PROBE_VALUE, PROBE_FOUND, PROBE_BUFS };
struct buf *probe_buf(unsigned which);

#endif
