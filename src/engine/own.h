/* The engine core's private state, shared by engine.c, append.c, sync.c, indexer.c, worker.c, compact.c, salvage.c,
 * points.c and verify.c.
 *
 * Lock order (base/thread.h): compact -> checkpoint -> indexer -> {tree, index, drain, log} -> leaf. The three threads each have a leaf lock
 * of their own for sleeping; it is never held while anything is done. */
#ifndef VARVE_ENGINE_OWN_H
#define VARVE_ENGINE_OWN_H

#include "base/logline.h"
#include "base/thread.h"
#include "engine/fold.h"
#include "engine/hash_shelf.h"
#include "engine/manifest.h"
#include "engine/parts.h"

#include <stdatomic.h>

#define CACHE_LINE_BYTES 64

/* A background thread that sleeps until poked or until its time-out. */
struct engine_thread {
    pthread_t thread;
    struct mutex lock; /* leaf: held while deciding to sleep, and while waking */
    struct cond wake;
    bool started;
    atomic_bool stop, poked;
    atomic_bool idle; /* it sleeps: a poke is worth a system call */
};

/* The indexer's batch: nodes lent by the log's cursor, enough of them that eight can be hashed at once. */
struct fold_batch {
    size_t n;
    struct fold_item {
        uint64_t seq;
        slice raw; /* in the cursor's buffer: valid until the next batch */
        bool more;
    } * items;
    uint8_t (*hashes)[HASH_BYTES];
};

struct engine_own {
    struct engine_options opt; /* dir points at `dir` */
    char *dir;
    struct os_file *lock_file;
    uint8_t store_id[MANIFEST_ID_BYTES];
    _Atomic int durability;
    uint64_t created_ms;
    void *mark_ctx;
    void (*_Atomic mark_fn)(void *ctx); /* set once, behind mark_ctx (release; read with acquire) */

    char pad0[CACHE_LINE_BYTES];
    _Atomic uint64_t newest_ms; /* append.c: largest time given to a node */
    char pad1[CACHE_LINE_BYTES];
    _Atomic uint64_t written_bytes; /* the sink: record bytes handed to the log since open */
    _Atomic uint64_t poke_bytes;    /* written_bytes at which the worker is poked next */
    char pad2[CACHE_LINE_BYTES];
    _Atomic uint64_t indexed_seq, indexed_bytes; /* indexer: stores release, pair with acquire loads in catch_up */
    _Atomic int index_failure;                   /* 0 or why folding stopped for good */
    char pad3[CACHE_LINE_BYTES];

    /* sync.c */
    struct mutex sync_lock; /* leaf: `syncing`, and the order of durable marks */
    struct cond sync_done;
    bool syncing;
    _Atomic uint64_t durable_seq, durable_end, async_end;
    struct engine_thread syncer;

    /* indexer.c */
    struct mutex fold_lock; /* RANK_INDEXER */
    struct seglog_cursor *cursor;
    uint64_t cursor_seq; /* newest seq that it returned, 0 = none yet */
    struct fold_batch batch;
    struct hash_shelf *shelf; /* hashes that writers left here */
    bool rebuilding;          /* folding a log with gaps from its start: predecessors may be missing */
    struct os_file *old_entries; /* salvage: the leaves as they were, for nodes that are not there; NULL: none */
    uint64_t n_old;
    atomic_uint fold_waiters; /* who wants fold_lock: the indexer steps back */
    struct engine_thread indexer;

    /* worker.c */
    struct mutex checkpoint_lock; /* RANK_CHECKPOINT: manifest, and index flushes and merges, which exclude each other */
    struct manifest manifest;     /* as last written, or as it must be written next */
    bool manifest_dirty;          /* the file may differ from `manifest` */
    _Atomic uint64_t flushed_seq;
    _Atomic uint64_t checkpoint_mark; /* indexed_bytes at the last checkpoint; below 0 (modulo 2^64) when that was before open */
    _Atomic uint64_t retry_at_us;     /* after a failure in the background: not before this */
    _Atomic uint64_t checkpoints, last_checkpoint_ms, sealed;
    struct engine_thread worker;
    uint64_t rest_mark, rest_since_us; /* the worker's: index_put_bytes, and since when it has not moved */
    bool rested, released;             /* the worker's: since then the buffer was written out; memory was given back */

    /* compact.c */
    struct mutex compact_lock; /* RANK_COMPACT: one compaction */
    struct mutex status_lock;  /* leaf: status and the waiting request */
    struct compact_stats status;
    struct compact_options request;
    struct buf request_prefix;
    bool requested;
    atomic_bool cancel;
    _Atomic uint64_t throttle; /* bytes per second, 0 = none */
    _Atomic uint64_t horizon;
    bool forget_due; /* under fold_lock: the index still names dropped nodes */
    bool blocked;    /* a manifest write failed half way: no compaction until restart */
    uint64_t ended_ms, runs, automatic_runs; /* under status_lock */
    uint64_t auto_after_us, auto_pause_us;   /* the worker's: not again by itself before; how long it waits after an attempt that came to little */
    uint64_t auto_turn;                      /* the worker's: of the rules at the last attempt */
    uint64_t waiting_until_us;               /* the worker's: then what waits for its age may be due */
};

/* ---- engine.c ---- */
typedef void (*engine_thread_fn)(void *engine);
int engine_thread_start(struct engine_thread *t, const char *name, engine_thread_fn fn, struct engine *e) MUST_CHECK;
void engine_thread_stop(struct engine_thread *t);
void engine_thread_poke(struct engine_thread *t);
/* Sleeps up to us, or until poked. Called by the thread itself. */
void engine_thread_sleep(struct engine_thread *t, uint64_t us);
static inline bool engine_thread_stopping(struct engine_thread *t)
{
    return atomic_load_explicit(&t->stop, memory_order_relaxed);
}
void engine_path(struct buf *out, const char *dir, const char *name); /* dir/name with a NUL behind; replaces out */

/* ---- append.c ---- */
void append_raise_clock(struct engine *e, uint64_t ms);

/* ---- sync.c ---- */
int sync_sink(void *engine, slice bytes, uint64_t first_seq, uint32_t count);
void sync_thread(void *engine);
void sync_notify(struct engine *e);        /* marks moved, or the log failed */
int sync_log(struct engine *e) MUST_CHECK; /* syncs what is in the segments now; a failure is sticky */

/* ---- indexer.c ---- */
int indexer_open(struct engine *e, uint64_t folded) MUST_CHECK;
void indexer_close(struct engine *e);
void indexer_thread(void *engine);
void indexer_help(struct engine *e); /* the log is too far ahead of the index: fold some of it here */
#define INDEXER_LAG_BYTES (64ull << 20) /* some 0.6 million small nodes: what a start after a kill folds of it takes half a second */
/* Folds whole commits until the index has reached seq or the log's end. Takes fold_lock. */
int indexer_reach(struct engine *e, uint64_t seq) MUST_CHECK;
int indexer_build(struct engine *e) MUST_CHECK; /* one slice of sorted index building; E_AGAIN */
void indexer_lock(struct engine *e);
void indexer_unlock(struct engine *e);
int indexer_fail(struct engine *e, int code, uint64_t seq);

/* ---- salvage.c: while opening only ---- */
/* Of all segment files, ascending by first seq and generation: those that are the log, when no manifest tells. */
int salvage_segments(struct engine *e, struct manifest *m) MUST_CHECK;
int salvage_begin_tree(struct engine *e) MUST_CHECK; /* sets the old leaves aside, before the tree is opened empty */
int salvage_leaves(struct engine *e, uint64_t first, size_t n, uint8_t (*out)[HASH_BYTES]) MUST_CHECK; /* zeros where there is none */
int salvage_end_tree(struct engine *e) MUST_CHECK; /* a manifest names the new root: the old leaves go */

/* ---- worker.c ---- */
void worker_thread(void *engine);
bool worker_checkpoint_due(struct engine *e);
int worker_checkpoint(struct engine *e, bool clean) MUST_CHECK;
int worker_turn(struct engine *e) MUST_CHECK; /* one round of everything that is due; E_AGAIN: nothing was */
/* Fills segments and runs of the manifest from what is installed now; `instead` replaces the segments that it covers. checkpoint_lock held. */
int worker_write_manifest(struct engine *e, const struct seg_rewrite *instead) MUST_CHECK;

/* ---- compact.c ---- */
int compact_turn(struct engine *e) MUST_CHECK; /* a requested compaction, or the rest of an interrupted one; E_AGAIN */
void compact_fini(struct engine *e);

/* ---- compact_auto.c: the worker only ---- */
bool compact_auto_due(struct engine *e);
/* Is what the plan lets go worth the work? */
bool compact_auto_worth(struct engine *e, uint64_t drop_bytes);
/* An attempt is over: E_OK, why it failed, or E_AGAIN (not worth it). waiting_ms: 0 = nothing waits for its age; rules_turn: as it was before the plan. */
void compact_auto_ended(struct engine *e, int result, uint64_t waiting_ms, uint64_t rules_turn);

#endif
