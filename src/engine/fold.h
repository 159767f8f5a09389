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

/* `saved` is what fold_save wrote into the manifest (empty for a fresh store). Loads the database history and index definitions.
 * e->index must be open. The caller then folds from fold_seq() + 1, whatever the index covers: folding a node again changes nothing. */
int fold_open(struct engine *e, slice saved, struct fold **out) MUST_CHECK;
void fold_close(struct fold **f);
/* The books, as of fold_seq(). Between two commits, and before the index_flush whose runs the same manifest names (so that the books are never
 * newer than the runs: fold_open answers E_CORRUPT to that). */
void fold_save(struct fold *f, struct buf *out);
uint64_t fold_seq(const struct fold *f); /* newest seq in the books. Any thread. */
/* Folds one node (decoded from `bytes` record bytes). E_CORRUPT when it contradicts the books; E_IO while reading an earlier version. */
int fold_node(struct fold *f, const struct node *n, size_t bytes) MUST_CHECK;
/* Before fold_node, while an index is made anew over a log with gaps: between n and `older`, the version of its key that is there, others are gone. When
 * `dropped` is not 0, that is the seq of the newest of them, and it gets its entry back (reading it answers E_PRUNED); `unknown` says that there are
 * more, with seqs that nothing tells: then engine_find answers E_PRUNED behind `older`. */
void fold_gap(struct fold *f, const struct node *n, const struct version *older, uint64_t dropped, bool unknown);
/* At the end of that: of keys whose newest version lies before a flush, what was newer may be gone too. */
int fold_gaps_end(struct fold *f) MUST_CHECK;
/* A slice of background work: building sorted indexes, about `budget` documents. Called by the indexer between batches, followed by
 * index_step. E_AGAIN: nothing to build. */
int fold_build(struct fold *f, unsigned budget) MUST_CHECK;
/* May merging forget this entry for good? (dead generations, history below the horizon, dropped indexes) Any thread. */
bool fold_drop(void *fold, slice key, slice value);
/* Compaction drops only nodes that were superseded at or before engine_flushed_seq (folding again after a crash reads a node's predecessor). */
/* Compaction tells what is gone: the index forgets versions whose node was dropped. `gone` answers for a seq. Called on the indexer in slices:
 * *resume holds the position (empty to start); E_END when through. */
int fold_forget(struct fold *f, bool (*gone)(void *ctx, uint64_t seq), void *ctx, struct buf *resume, unsigned budget) MUST_CHECK;
/* Raises what is lower; they never fall. */
void fold_raise_horizons(struct fold *f, const struct engine_horizons *to);
/* Are all four as they were saved? Else (books of an older version, or made anew) the caller raises them to what is sure. */
bool fold_knows_horizons(const struct fold *f);

/* ---- fold_dead.c ---- */
struct retain_rule fold_default_rule(struct fold *f, bool document);
void fold_count_dead(struct fold *f, const struct node *n, size_t bytes); /* a node of a key or a link */
void fold_count_flushed(struct fold *f, uint16_t lineage);
uint64_t fold_dead(struct fold *f, uint64_t *waiting); /* the estimates; waiting may be NULL. Any thread */
/* A plan knows better: of the `counted` that the estimate was, `dead` are left, and `waiting` wait for their age. The indexer's lock is held. */
void fold_settle_dead(struct fold *f, uint64_t counted, uint64_t dead, uint64_t waiting);
struct fold_totals { uint64_t nodes, links, docs, keys, bytes_log, bytes_dead; };
void fold_get_totals(struct fold *f, struct fold_totals *out);
/* Newest seq whose effective time (the largest up to it) is at or before ms; 0 = none. May lie inside a commit. Any thread. */
int fold_seq_by_time(struct fold *f, uint64_t ms, uint64_t *seq) MUST_CHECK;
uint64_t fold_newest_ms(const struct fold *f); /* largest time folded. Any thread. */
/* Every version in the snapshot: by space, lineage, hash of key, key, newest first within a key. fn nonzero stops and is returned. Any thread. */
int fold_walk_versions(struct fold *f, struct index_snap *s,
                       int (*fn)(void *ctx, uint8_t space, uint16_t lineage, slice key, const struct version *v), void *ctx) MUST_CHECK;
void fold_check(struct fold *f); /* asserts the books against the index; slow, debug builds */

#endif
