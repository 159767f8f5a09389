/* What the index's own sources share: its state, views, and the merger. Private to src/engine/index*.c. */
#ifndef VARVE_ENGINE_INDEX_STATE_H
#define VARVE_ENGINE_INDEX_STATE_H

#include "engine/index_chunk.h"
#include "engine/index_run.h"

#define RANK_INDEX_CHANGE (RANK_INDEX - 1)

/* Everything a reader needs at one moment: immutable, counted. Chunks newest first; runs newest first (by level, within a level by id downward). */
struct index_view {
    atomic_uint refs;
    unsigned n_chunks, n_runs;
    struct index_chunk **chunks;
    struct index_run **runs;
};

/* A run that merging replaced and that a manifest may still name. */
struct index_dead {
    struct index_run *run;
    bool unnamed; /* the last index_runs() did not list it */
};

struct index {
    struct os *os;
    char dir[RUN_PATH_MAX]; /* where the run files are */
    size_t buffer_bytes;
    index_drop_fn drop;
    void *drop_ctx;
    bool read_only;
    struct index_buffer buffer;
    struct mutex change; /* whoever replaces the view; may be held while a chunk is sorted */
    struct mutex state;  /* guards the pointer `view` and the buffer's pool: a few instructions; taken inside `change` */
    struct index_view *view;
    unsigned pinned; /* oldest chunks that a flush is writing; under change */
    uint64_t frozen_covers; /* what chunks and runs together include; under change */
    struct index_dead *dead; /* under change */
    size_t n_dead, cap_dead;
    uint64_t next_id; /* under change */
    atomic_uint_fast64_t flushed_covers, flushed_bytes, flushes, merges, merged_bytes;
    atomic_bool flushing, merging;
    atomic_bool merge_wanted;   /* readers have looked into too many chunks for too long */
    atomic_uint_fast64_t looks; /* at chunks above INDEX_CHUNKS_AIM, since they were last merged */
};

struct index_view *index_view_new(size_t n_chunks, size_t n_runs); /* arrays unset */
struct index_view *index_view_get(struct index *ix);               /* the current one, held */
void index_view_hold(struct index_view *v);
void index_view_drop(struct index_view *v);
/* Makes v the current view; `change` is held. */
void index_view_install(struct index *ix, struct index_view *v);
/* Freezes what was stepped, if anything is pending; `change` is held. unhurried: large merges of chunks are fine, where wanted. */
void index_freeze(struct index *ix, bool unhurried);
struct index_view *index_snap_view(struct index_snap *s, enum index_scope *scope); /* borrowed */

/* ---- merger: entries of several sources in key order, the newest of a key only, tombstones included ---- */
struct merge_source {
    const struct index_chunk *chunk; /* NULL: a run */
    size_t at;
    struct run_cursor *cursor;
    uint64_t prefix;
    slice key;
};
struct index_merger {
    unsigned n;                  /* sources, newest first */
    struct merge_source *source;
    unsigned *heap;              /* indexes of sources that stand on an entry; [0] is the current one */
    unsigned heap_n;
    bool backward;
    slice lower, upper;          /* sources beyond [lower, upper) are at their end; both empty: no bounds. Borrowed */
};

void index_merger_init(struct index_merger *m, struct index_chunk *const *chunks, size_t n_chunks, struct index_run *const *runs, size_t n_runs);
void index_merger_fini(struct index_merger *m);
/* E_OK: standing on an entry. E_END, E_CORRUPT, E_IO: nowhere. */
int index_merger_seek(struct index_merger *m, slice key) MUST_CHECK;   /* first >= key, then forward */
int index_merger_before(struct index_merger *m, slice key) MUST_CHECK; /* last < key, then backward */
int index_merger_last(struct index_merger *m) MUST_CHECK;              /* last of all, then backward */
int index_merger_step(struct index_merger *m) MUST_CHECK;              /* on in the same direction */
static inline slice index_merger_key(const struct index_merger *m) { return m->source[m->heap[0]].key; }
slice index_merger_value(const struct index_merger *m);
size_t index_merger_filter_n(const struct index_merger *m);
bool index_merger_tombstone(const struct index_merger *m);

#endif
