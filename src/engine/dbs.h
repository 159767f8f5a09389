/* Databases over time: which lineage a database number named at a point, and when lineages were flushed.
 *
 * Fed by the fold (one writer), read by any thread, once per command: the newest state is a handful of loads under a sequence counter;
 * the past is a binary search under a short mutex (RANK_LEAF).
 *
 * Invariants (dbs_check): (1) every list ascends by seq; (2) lineage_of is a permutation of the numbers; (3) the newest state equals what a
 * search at UINT64_MAX finds. */
#ifndef VARVE_ENGINE_DBS_H
#define VARVE_ENGINE_DBS_H

#include "base/thread.h"
#include "engine/engine.h"
#include <stdatomic.h>

struct dbs_list {
    uint64_t *at;
    size_t n, cap;
};

struct dbs {
    struct mutex mutex;                              /* guards the lists */
    _Atomic uint64_t turn;                           /* odd while the newest state changes */
    _Atomic uint64_t newest_event;
    _Atomic uint16_t lineage_of[ENGINE_DATABASES_MAX];
    _Atomic uint64_t flushed[ENGINE_DATABASES_MAX];  /* by lineage */
    struct dbs_list flushes[ENGINE_DATABASES_MAX];   /* by lineage: seqs */
    struct dbs_list flushes_of_all;
    struct dbs_list moves[ENGINE_DATABASES_MAX];     /* by number: seq, lineage from there on, alternating */
};

void dbs_init(struct dbs *d);
void dbs_fini(struct dbs *d);
/* seq must be above every event before. lineage may be NODE_ALL_LINEAGES. */
void dbs_flush(struct dbs *d, uint16_t lineage, uint64_t seq);
void dbs_swap(struct dbs *d, uint16_t a, uint16_t b, uint64_t seq);
void dbs_at(struct dbs *d, uint16_t db, uint64_t at, struct db_view *out);
uint64_t dbs_flushed(struct dbs *d, uint16_t lineage, uint64_t at);      /* newest flush at or before `at`, 0 = none */
uint64_t dbs_flushed_next(struct dbs *d, uint16_t lineage, uint64_t seq); /* first flush above seq, UINT64_MAX = none */
uint64_t dbs_moved_next(struct dbs *d, uint16_t db, uint64_t seq);        /* first swap of the number above seq, UINT64_MAX = none */
void dbs_check(struct dbs *d);

#endif
