/* The fold: turns each node of the log, in order, into index entries and books (counts, database map, index definitions).
 *
 * The same function runs while the server works and when it starts, so a cold start cannot come to another result. It is called by the
 * indexer only (one thread at a time); the books may be read from any thread. fold_node puts entries into e->index; the caller
 * ends a batch with index_step after the last node of a commit.
 *
 * Index key ranges (ranges.h encodes them): see the table there. */
#ifndef VARVE_ENGINE_FOLD_H
#define VARVE_ENGINE_FOLD_H

#include "engine/parts.h"

/* `saved` is what fold_save wrote into the manifest (empty for a fresh store). Loads the database history and index definitions. */
int fold_open(struct engine *e, slice saved, struct fold **out) MUST_CHECK;
void fold_close(struct fold **f);
void fold_save(struct fold *f, struct buf *out);
/* Folds one node (decoded from `bytes` record bytes). E_CORRUPT when it contradicts the books; E_IO while reading an earlier version. */
int fold_node(struct fold *f, const struct node *n, size_t bytes) MUST_CHECK;
/* A slice of background work: building sorted indexes, about `budget` documents. Called by the indexer between batches, followed by
 * index_step. E_AGAIN: nothing to build. */
int fold_build(struct fold *f, unsigned budget) MUST_CHECK;
/* May merging forget this entry for good? (dead generations, history below the horizon, dropped indexes) Any thread. */
bool fold_drop(void *fold, slice key, slice value);
/* Compaction tells what is gone: the index forgets versions whose node was dropped. `gone` answers for a seq. Called on the indexer in slices:
 * *resume holds the position (empty to start); E_END when through. */
int fold_forget(struct fold *f, bool (*gone)(void *ctx, uint64_t seq), void *ctx, struct buf *resume, unsigned budget) MUST_CHECK;
void fold_set_horizon(struct fold *f, uint64_t horizon);
struct fold_totals { uint64_t nodes, links, docs, keys, bytes_log, bytes_live; };
void fold_get_totals(struct fold *f, struct fold_totals *out);
void fold_check(struct fold *f); /* asserts the books against the index; slow, debug builds */

#endif
