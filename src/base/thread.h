/* Threads and locks with a written order.
 *
 * A mutex has a rank; in debug builds taking one whose rank is not above every
 * rank the thread holds aborts with both names. Mutexes of one rank below
 * RANK_LEAF may be held together when taken in order of rising addresses (an
 * array of stripes). mutex_trylock is free of the rule, since it cannot wait.
 * The order is the table in src/README.md. pthread underneath. */
#ifndef VARVE_BASE_THREAD_H
#define VARVE_BASE_THREAD_H

#include "base/err.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mutex {
    pthread_mutex_t m;
    const char *name;
    int rank;
};
struct cond {
    pthread_cond_t c;
};

API void mutex_init(struct mutex *m, const char *name, int rank);
API void mutex_fini(struct mutex *m);
API void mutex_lock(struct mutex *m);
API bool mutex_trylock(struct mutex *m);
API void mutex_unlock(struct mutex *m);
API void cond_init(struct cond *c);
API void cond_fini(struct cond *c);
API void cond_wait(struct cond *c, struct mutex *m);
API bool cond_wait_us(struct cond *c, struct mutex *m, uint64_t us); /* false: timed out */
API void cond_signal(struct cond *c);
API void cond_broadcast(struct cond *c);
/* A joinable thread with a name (15 characters show in ps); signals blocked in it. */
API int thread_start(pthread_t *out, const char *name, void (*fn)(void *), void *arg) MUST_CHECK;
API void thread_join(pthread_t t);

/* Ranks, low is taken first. */
enum lock_rank {
    RANK_GATE = 10,       /* keyspace: one per loop, then stripes */
    RANK_STRIPE = 20,
    RANK_TOKEN = 25,      /* keyspace: idempotency tokens, from the look-up to the command's end */
    RANK_SETTING = 27,    /* server: one change of the configuration at a time */
    RANK_COMPACT = 30,    /* engine: one compaction at a time */
    RANK_CHECKPOINT = 35, /* engine: manifest writer */
    RANK_INDEXER = 40,    /* engine: the fold */
    RANK_TREE = 50,       /* engine: Merkle store */
    RANK_INDEX = 60,      /* engine: ordered index state */
    RANK_DRAIN = 70,      /* engine: who moves ring bytes to the segment */
    RANK_LOG = 80,        /* engine: segment directory */
    RANK_LEAF = 100,      /* anything that takes no other lock while held */
};

#endif
