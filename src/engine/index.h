/* The ordered index: a log-structured map of byte keys to byte values.
 *
 * Write buffer -> immutable sorted runs (level 0) -> levels by background merging. It has no log of its own: whatever is in the write
 * buffer is rebuilt by folding the log again, so durability = runs named by the manifest, plus `covers`, the seq that they include.
 *
 * Write buffer: the indexer (single writer) appends entries to an active chunk; a snapshot or a full chunk freezes it into a sorted immutable
 * chunk; chunks are merged when readers have looked into too many of them, and else only by the flush, in one pass. Everything a reader touches is immutable, so
 * snapshots cost a few reference counts.
 *
 * Run file DIR/index/NNNNNNNN.run: header, data blocks (about 1 KiB; entries with shared-prefix compression and restart points; CRC-32C each),
 * block index, filter (over the filter prefixes of entries, 10 bits each), footer with offsets, counts, smallest and largest key, level, covers, CRC. Blocks are verified
 * on first read and remembered as verified. A flipped byte is E_CORRUPT, never a missing key.
 *
 * Keys are at most INDEX_KEY_MAX, values INDEX_VALUE_MAX. Deletion is a tombstone that merging into the last level drops. */
#ifndef VARVE_ENGINE_INDEX_H
#define VARVE_ENGINE_INDEX_H

#include "base/buf.h"
#include "base/os.h"

#define INDEX_KEY_MAX (256u << 10)
#define INDEX_VALUE_MAX (1u << 20)
#define INDEX_LEVELS 7

struct index;
struct index_snap;
struct index_iter;

/* A run as the manifest lists it. */
struct run_id {
    uint64_t id;
    uint8_t level;
    uint64_t bytes, entries;
};

/* Says whether merging may forget an entry for good (a key range that is dead): older entries of the same key must be dead as well, for they
 * show again. Not asked about tombstones. Called from merge workers. */
typedef bool (*index_drop_fn)(void *ctx, slice key, slice value);

struct index_options {
    struct os *os;
    const char *dir;               /* the store's: the run files are in DIR/index, which is made if missing */
    size_t buffer_bytes;           /* frozen + active chunks above this make index_wants_flush true (default 24 MiB) */
    const struct run_id *runs;     /* from the manifest */
    size_t n_runs;
    index_drop_fn drop;            /* may be NULL */
    void *drop_ctx;
    bool read_only;
};

int index_open(const struct index_options *o, struct index **out) MUST_CHECK; /* unknown .run files are leftovers and removed */
void index_close(struct index **ix);

/* ---- writing: one thread at a time ---- */
/* Adds or replaces. filter_n: how many leading bytes of the key go into the run filter (0 = none). */
void index_put(struct index *ix, slice key, slice value, size_t filter_n);
void index_delete(struct index *ix, slice key);
/* Marks everything put so far as one atomic step: snapshots see whole steps only. `covers` = seq folded up to here; after a crash folding
 * begins below what the runs cover, and until it has passed that, index_covers stays. */
void index_step(struct index *ix, uint64_t covers);
uint64_t index_covers(const struct index *ix);         /* by the newest step */
uint64_t index_flushed_covers(const struct index *ix); /* by the runs */
bool index_wants_flush(const struct index *ix);
uint64_t index_put_bytes(const struct index *ix);      /* goes up with every step that has entries: who sees it stand still sees a writer at rest */
uint64_t index_buffered(const struct index *ix);       /* bytes of entries that no run has */
/* Gives spare buffer memory back, and what lies in memory of mapped runs; both cost a little when they are needed again. */
void index_release(struct index *ix);
/* Writes the buffer (as of the last step) to a level-0 run and syncs it. The writer may go on meanwhile. After this the manifest should be written
 * (index_runs) and then index_retire() called, which deletes run files that merging replaced. E_AGAIN: nothing to flush. */
int index_flush(struct index *ix) MUST_CHECK;
/* Does one merge if one is due (a level has its full number of runs; index_merge.c): reads, writes and syncs a new run and swaps it in.
 * E_AGAIN when nothing is due. Old run files stay until index_retire. `cancelled` (may be NULL) is
 * asked every 64 entries read, with no lock held: it may sleep, and it may flush and write a manifest. True: E_CANCELLED, nothing changed. */
int index_merge(struct index *ix, bool (*cancelled)(void *ctx), void *ctx) MUST_CHECK;
/* Merges everything into one level, applying drop(): used after compaction. */
int index_merge_all(struct index *ix, bool (*cancelled)(void *ctx), void *ctx) MUST_CHECK;
/* Runs to write into the manifest now: returns the count, fills up to max; *covers the seq they include. */
size_t index_runs(struct index *ix, struct run_id *out, size_t max, uint64_t *covers);
/* The manifest that names exactly the runs of the last index_runs() call is durable: older files may go. */
void index_retire(struct index *ix);

/* ---- reading: any thread ---- */
enum index_scope {
    INDEX_ALL,       /* everything stepped so far */
    INDEX_RUNS_ONLY, /* skips the write buffer: right for keys known not to be in it */
};
int index_snapshot(struct index *ix, enum index_scope scope, struct index_snap **out) MUST_CHECK;
void index_snap_close(struct index_snap **s);
/* Exact key. E_NOTFOUND. Here and below the bufs may be NULL, are replaced on success and untouched otherwise. */
int index_get(struct index_snap *s, slice key, struct buf *value) MUST_CHECK;
/* The smallest entry >= key that still begins with key's first prefix_n bytes, using the filters on that prefix
 * (prefix_n must be the filter_n of such entries). The look-up behind every "newest version at or before". E_NOTFOUND. */
int index_first(struct index_snap *s, slice key, size_t prefix_n, struct buf *found_key, struct buf *value) MUST_CHECK;
/* The same on the newest state without a snapshot object: the hot form. */
int index_first_now(struct index *ix, enum index_scope scope, slice key, size_t prefix_n, struct buf *found_key, struct buf *value) MUST_CHECK;

/* The same for prefixes under which an entry that is put later never sorts behind one that was put earlier (versions, newest first): the newest part of
 * the index that has an answer is believed. Not while what was there before a crash is being folded anew: then order of putting says nothing. */
int index_newest_now(struct index *ix, enum index_scope scope, slice key, size_t prefix_n, struct buf *found_key, struct buf *value) MUST_CHECK;

/* Streaming iterator over [lower, upper) of a snapshot (upper empty = to the end); keeps its own reference to the snapshot. */
int index_iter_open(struct index_snap *s, slice lower, slice upper, struct index_iter **out) MUST_CHECK;
/* The same for a range all of whose keys begin with lower's first prefix_n bytes, which are the filter_n of such entries: runs whose filter says no are left out. */
int index_iter_open_prefix(struct index_snap *s, slice lower, slice upper, size_t prefix_n, struct index_iter **out) MUST_CHECK;
int index_seek(struct index_iter *it, slice key) MUST_CHECK;         /* first entry >= key; E_END */
int index_seek_last(struct index_iter *it) MUST_CHECK;               /* last entry below upper; E_END */
int index_seek_before(struct index_iter *it, slice key) MUST_CHECK;  /* last entry < key; E_END */
int index_next(struct index_iter *it) MUST_CHECK;                    /* E_END */
int index_prev(struct index_iter *it) MUST_CHECK;                    /* E_END */
/* A fresh iterator's first index_next gives the first entry, its first index_prev the last. After E_END or an error it stands nowhere and
 * both give E_END until a seek. Errors are never an end: E_CORRUPT, E_IO. */
slice index_key(const struct index_iter *it);   /* valid until the iterator moves */
slice index_value(const struct index_iter *it);
void index_iter_close(struct index_iter **it);

/* About how many entries lie in [lower, upper), for planners: exact when they are few, else within a block of each run, replaced entries included. */
int index_estimate(struct index *ix, slice lower, slice upper, uint64_t *entries) MUST_CHECK;

struct index_stats {
    uint64_t entries, bytes, runs, levels, buffer_bytes, buffer_chunks, flushes, merges, merged_bytes, filter_bytes, memory_bytes;
};
void index_get_stats(struct index *ix, struct index_stats *out);
/* Reads and checks every block of every run; reports the first damage. For verify and repair. */
int index_verify(struct index *ix, char *where, size_t where_n) MUST_CHECK;

#endif
