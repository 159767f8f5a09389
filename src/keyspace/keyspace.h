/* Databases of keys over the engine: values as versions, expiry, locks, transactions. Knows no client.
 *
 * The table in memory is a cache of heads: an entry holds a key's newest seq, type, expiry and, when hot, its value (a blob: string or
 * document bytes). Invariants (ks_check):
 *   1. an entry whose head is newer than engine_flushed_seq() is never evicted; so a key without an entry has its true state in the index *runs*
 *      (looked up with FIND_RUNS_ONLY), whatever the indexer still has to do;
 *   2. an entry may say "absent" (tombstone or never existed); absent entries obey 1 like any other;
 *   3. entry state is changed only after the node is in the ring; a failed append changes nothing; a failed commit of a batch puts back what was;
 *   4. when the log fails (sticky), every entry above written_seq is dropped and loaded again from what is in the log: what was never
 *      acknowledged is not shown (ks_log_failed).
 *
 * Locks: with one loop none are taken. With more, a command holds its own loop's gate (shared side) and the stripes of its keys in
 * order; ks_enter with KS_EXCLUSIVE holds every gate. A batch (more than one node in one commit) needs the exclusive side, so that seqs are
 * known when nodes are added.
 *
 * Long strings: a splice (APPEND, SETRANGE) of a value above KS_EFFECT_MIN_BYTES is logged as NODE_EFFECT (payload: varint offset, bytes) until the
 * effects since the last base weigh more than the value; then a base is written. A change of expiry alone is NODE_META. */
#ifndef VARVE_KEYSPACE_KEYSPACE_H
#define VARVE_KEYSPACE_KEYSPACE_H

#include "engine/engine.h"

#define KS_DATABASES_DEFAULT 16
#define KS_LOOPS_MAX 64
#define KS_EFFECT_MIN_BYTES 1024

struct keyspace;

struct ks_options {
    struct engine *engine;
    unsigned databases;       /* 1..ENGINE_DATABASES_MAX */
    unsigned loops;           /* 1..KS_LOOPS_MAX */
    uint64_t cache_bytes;     /* of entries with values; 0 = half of the machine's memory */
};
API int ks_open(const struct ks_options *o, struct keyspace **out) MUST_CHECK;
API void ks_close(struct keyspace **ks);
API struct engine *ks_engine(struct keyspace *ks);
API unsigned ks_databases(const struct keyspace *ks);

/* The context of one command, one EXEC or one background job. Lives in the caller; zero-initialise, then set the inputs. */
struct ks_ctx {
    struct keyspace *ks;
    uint16_t db;              /* selected database number */
    uint16_t loop;            /* whose gate and caches to use, < loops */
    uint64_t now_ms;          /* the command's time: fixed while it runs; from engine_now_ms */
    slice by;                 /* ACL user, empty = default */
    bool late_hashes;         /* documents' hashes may come late: see ks_hash_finish */
    bool still;               /* only reads come: what is due is absent, but its removal is not written */
    bool no_touch;            /* reads are no accesses of keys */
    /* outputs, accumulated: the server resets them per command or per turn as it needs */
    uint64_t end;             /* end address of the newest node written through this context */
    uint64_t last_seq;        /* its seq */
    uint32_t nodes;           /* nodes written */
    uint64_t pruned_seq;      /* after E_PRUNED from a read in a view: the oldest readable seq of … */
    slice pruned_key;         /* … this key (empty: of the whole database); valid until ks_view_release */
    /* private to the keyspace */
    bool viewing;             /* see ks_view */
    uint64_t view_at, view_ms;
    struct ks_shelf *shelf;
    struct batch *batch;
    struct ks_undo *undo;
    uint8_t entered;
    uint8_t token; /* the lock held for one, + 1 */
};

/* ---- locks and transactions ---- */
enum ks_mode { KS_SHARED, KS_EXCLUSIVE };
API void ks_enter(struct ks_ctx *c, enum ks_mode mode, const slice *keys, size_t n_keys);
API void ks_leave(struct ks_ctx *c);
/* A batch: every write until commit belongs to one commit. Needs KS_EXCLUSIVE. Commit may fail (E_STICKY): then all is as it was before begin. */
API void ks_begin(struct ks_ctx *c);
API bool ks_in_batch(const struct ks_ctx *c);
/* The key's newest node when the open batch wrote it; its slices and its bytes (*raw) are valid until the next write. E_NOTFOUND: it did not. */
API int ks_batch_node(struct ks_ctx *c, slice key, struct node *out, slice *raw) MUST_CHECK;
API int ks_commit(struct ks_ctx *c) MUST_CHECK;
API void ks_abort(struct ks_ctx *c); /* all is as it was before begin */

/* ---- reading the present ---- */
/* A string's digits are shown as text (INCRBYFLOAT), as long as the key is in memory: the log does not tell. */
#define KS_ENC_TEXT 0x8000
struct ks_value {             /* borrowed; valid until the next write or the end of the command */
    uint8_t type;             /* enum node_type */
    uint16_t flags;           /* NODE_ENC_RAW … of the head, and KS_ENC_TEXT */
    slice blob;               /* the bytes */
    uint64_t seq, ver;
    uint64_t expire_ms;       /* 0 = none */
    const uint8_t *hash;      /* documents: the head's hash; else NULL */
};
/* The live value; loads it when it is not in memory. E_NOTFOUND: no such key (or past its expiry: then an EXPIRE node is
 * written when the context may write). E_CORRUPT, E_IO: refuse the command. */
API int ks_get(struct ks_ctx *c, slice key, struct ks_value *out) MUST_CHECK;
API int ks_peek(struct ks_ctx *c, slice key, struct ks_value *out) MUST_CHECK; /* the same, and counts as no access */
/* The same without the bytes (blob empty, blob_bytes not known): for EXISTS, TYPE, TTL. Counts as what is said: KS_USE, an access of the key, whose idle time begins
 * anew; KS_TALLY, a hit or a miss of the database. As Redis counts, reads are both or only tallied, looks before a write are only uses. */
enum ks_counts { KS_NOTHING, KS_USE = 1, KS_TALLY = 2 };
API int ks_look(struct ks_ctx *c, slice key, unsigned counts, struct ks_value *out) MUST_CHECK;
static inline int ks_stat(struct ks_ctx *c, slice key, bool peek, struct ks_value *out) { return ks_look(c, key, peek ? KS_NOTHING : KS_USE | KS_TALLY, out); }
/* What ks_stat tells, of a key that is named besides the command's own (a cause) and whose stripe it may not hold. out->hash points to `hash` or is NULL. To be asked
 * before the command looks at any of its own keys: their stripes may be let go meanwhile. Counts as nothing. */
API int ks_stat_other(struct ks_ctx *c, slice key, uint8_t hash[HASH_BYTES], struct ks_value *out) MUST_CHECK;
API void ks_tally_look(struct ks_ctx *c, bool found); /* of a look that counted as nothing */
/* Starts memory fetches for keys that will be looked up soon (a pipeline's). Cheap; may do nothing. */
API void ks_prefetch(struct ks_ctx *c, const slice *keys, size_t n);
/* Newest seqs of keys of a lineage, as far as memory knows them: 0 where it does not (then the index does). Takes their locks itself. */
#define KS_HEADS_MAX 64
API void ks_heads(struct ks_ctx *c, uint16_t lineage, const slice *keys, size_t n, uint64_t *heads);
struct ks_usage { uint64_t idle_ms; uint8_t freq; size_t bytes; bool loaded; };
API int ks_usage(struct ks_ctx *c, slice key, struct ks_usage *out) MUST_CHECK; /* OBJECT IDLETIME/FREQ, MEMORY USAGE */
/* RESTORE: what ks_usage then tells of a key that is in memory; nothing is logged. */
API void ks_set_usage(struct ks_ctx *c, slice key, uint64_t idle_s, uint8_t freq);
/* The key's state as WATCH must remember it. Inside ks_enter. */
struct ks_stamp {
    uint64_t state; /* opaque */
    uint64_t seq;   /* the newest then */
};
API int ks_watch(struct ks_ctx *c, uint16_t db, slice key, struct ks_stamp *out) MUST_CHECK;
/* Was the key written, deleted, flushed, swapped away or ended by time since? A key that was already past its expiry then, or one that was absent whenever its
 * database changed places and in those that came, did not change. Not inside a batch; with several loops in KS_EXCLUSIVE. */
API int ks_watch_changed(struct ks_ctx *c, uint16_t db, slice key, const struct ks_stamp *then, bool *yes) MUST_CHECK;

/* ---- reading the past ---- */
/* The value at a point; *mem owns the bytes. Expiry is judged by the time of the point (the newest commit at or before it). Adds E_PRUNED (then out->seq = oldest readable
 * seq). valid_at: INT64_MIN = not asked (the newest version counts whatever its interval), else the newest version whose interval holds it. */
API int ks_get_at(struct ks_ctx *c, slice key, uint64_t at, int64_t valid_at, struct buf *mem, struct ks_value *out) MUST_CHECK;
#define KS_ANY_VALID INT64_MIN
/* The same from memory alone, for reads of many keys: E_OK only when the key's newest version is at or before `at`, has no expiry and its value is in memory; else
 * E_AGAIN, and ks_get_at knows. Counts as no access. Looks at what the database number means now, which
 * after a swap may be another lineage than at the point: the caller compares ks_db with engine_db_at. Inside ks_enter; the key's stripe need not be held, and then *mem owns the bytes. */
API int ks_get_held(struct ks_ctx *c, slice key, uint64_t at, struct buf *mem, struct ks_value *out) MUST_CHECK;
/* Rebuilds the value of one version (base plus effects). */
API int ks_value_of(struct ks_ctx *c, uint16_t lineage, slice key, uint64_t seq, struct buf *mem, slice *blob) MUST_CHECK;
/* The view of the context's database now (engine_db_at for the past). */
API struct db_view ks_db(struct ks_ctx *c, uint16_t db);

typedef int (*ks_visit)(void *ctx, slice key, uint8_t type);
/* From here on ks_get, ks_stat, ks_usage, ks_scan, ks_draw and ks_db of this context answer as of `at`, the end of a commit that the index knows (0 = before
 * everything), and nothing may be written. ms: the instant that was meant, at which expiries are judged, 0 = the time of the point; now_ms becomes that time.
 * Values stay valid until ks_view_release, which the context's owner calls when the command is over. Reads may answer E_PRUNED. */
API int ks_view(struct ks_ctx *c, uint64_t at, uint64_t ms) MUST_CHECK;
API void ks_view_release(struct ks_ctx *c);
/* What ks_scan (below) does in a view, in turns, as it costs the keys that were ever there. The keys are pinned when it opens. */
struct ks_walk;
API int ks_walk_open(struct ks_ctx *c, uint64_t cursor, size_t count, uint8_t type, struct ks_walk **out) MUST_CHECK; /* E_PRUNED */
/* About a millisecond. E_AGAIN: on the next turn; E_OK: done. The context may be another one in the same view each time. */
API int ks_walk_step(struct ks_ctx *c, struct ks_walk *w, ks_visit fn, void *ctx) MUST_CHECK;
API uint64_t ks_walk_cursor(const struct ks_walk *w); /* behind the last step: the next cursor, 0 = through */
API void ks_walk_close(struct ks_walk **w);

/* ---- writing: each call is one node ---- */
enum ks_expiry { KS_EXPIRY_CLEAR, KS_EXPIRY_KEEP, KS_EXPIRY_SET };
struct ks_write {             /* zero = plain write, no expiry */
    uint16_t flags;           /* NODE_ENC_RAW, KS_ENC_TEXT */
    enum ks_expiry expiry;
    uint64_t expire_ms;
    bool want_hash;           /* documents always get theirs */
    bool late_hash;           /* … maybe late */
    bool keep_type;           /* E_CONFLICT when the key holds a live value of another type */
    bool has_valid;
    int64_t valid_from, valid_to;
    const struct node_ref *causes;
    uint32_t n_causes;
    slice note, idem;
    struct receipt *receipt;  /* may be NULL */
};
/* Sets the whole value. type STRING or DOCUMENT. Bytes are copied. Errors: E_STICKY, E_TOOBIG (nothing changed), E_IO/E_CORRUPT while looking up the head. */
API int ks_put(struct ks_ctx *c, slice key, uint8_t type, slice blob, const struct ks_write *w) MUST_CHECK;
/* Late hashes: with c->late_hashes a ks_put of a document whose w->late_hash is set may leave its hash for later, to be computed with others. The receipt's hash is
 * undefined then, until ks_hash_into was asked. Whoever sets the two calls ks_hash_finish before any call but ks_put and ks_stat is made for the keyspace. */
API void ks_hash_finish(struct ks_ctx *c);
API bool ks_hash_waits(const struct ks_ctx *c); /* a hash is not computed yet */
/* Right after ks_put gave `seq`: true: its hash is late, and its 64 digits will stand at out->p + at by the end of ks_hash_finish. out must have those bytes, keep
 * them there, and live until then. False: the receipt has the hash. */
API bool ks_hash_into(struct ks_ctx *c, uint64_t seq, struct buf *out, size_t at);
/* Writes bytes at an offset into the live string (or a new one), padding with zeros: APPEND, SETRANGE. *len = new length. */
API int ks_splice(struct ks_ctx *c, slice key, uint64_t offset, slice bytes, uint64_t *len) MUST_CHECK;
API int ks_delete(struct ks_ctx *c, slice key, const struct ks_write *w) MUST_CHECK;  /* E_NOTFOUND when nothing is live; w may be NULL */
/* One tombstone more behind the tombstone of a document, for another interval of valid time (w->has_valid). E_NOTFOUND: the key is live, or never was. */
API int ks_end_interval(struct ks_ctx *c, slice key, const struct ks_write *w) MUST_CHECK;
API int ks_set_expiry(struct ks_ctx *c, slice key, uint64_t expire_ms) MUST_CHECK;   /* 0 = persist; E_NOTFOUND. A time already past deletes. */
/* Copies the live value to (to_db, to), which is replaced; expiry goes along. Two nodes for a move. */
API int ks_copy(struct ks_ctx *c, slice from, uint16_t to_db, slice to) MUST_CHECK;
API int ks_move(struct ks_ctx *c, slice from, uint16_t to_db, slice to) MUST_CHECK;   /* needs a batch */
/* Things of other name spaces: links, tags, rules, index definitions. Waits for the index to know the thing's last version. */
API int ks_put_thing(struct ks_ctx *c, uint8_t space, slice key, slice payload, const struct ks_write *w) MUST_CHECK;
API int ks_delete_thing(struct ks_ctx *c, uint8_t space, slice key, const struct ks_write *w) MUST_CHECK;
/* What the newest command with this idempotency token wrote, in the open batch or in the log less than window_ms ago: appends its nodes as struct node_ref, oldest
 * first. E_NOTFOUND: nothing. Until ks_leave no other loop gets an answer about this token, so that looking and writing are one step. */
API int ks_token_nodes(struct ks_ctx *c, slice token, uint64_t window_ms, struct buf *refs) MUST_CHECK;
API int ks_has_thing(struct ks_ctx *c, uint8_t space, slice key, bool *yes) MUST_CHECK; /* does it stand, by the log and this batch? */
API int ks_flush(struct ks_ctx *c, int db) MUST_CHECK;                 /* one database, or all with -1; needs KS_EXCLUSIVE */
API int ks_swap(struct ks_ctx *c, uint16_t a, uint16_t b) MUST_CHECK;  /* needs KS_EXCLUSIVE */

/* ---- the whole database ---- */
API uint64_t ks_count(struct ks_ctx *c, uint16_t db, uint64_t *expiring); /* DBSIZE: exact */
/* Visits live keys in hash order from `cursor` on, at least `count` of them examined or the end reached; whole hash positions only, so that every
 * key that is there from start to end of a full iteration is visited exactly once. Returns the next cursor in *cursor (0 = done). type 0 = any. */
API int ks_scan(struct ks_ctx *c, uint64_t *cursor, size_t count, uint8_t type, ks_visit fn, void *ctx) MUST_CHECK;
/* A key by chance, into d->key. E_NOTFOUND: there is none. E_AGAIN, only in a view: on the next turn. Zero-initialise d; ks_draw_fini in every case. */
struct ks_draw {
    struct buf key;
    /* private */
    struct os *os;
    uint64_t cursor, seen;
    bool begun, whole;
    struct ks_walk *walk;
};
API int ks_draw(struct ks_ctx *c, struct ks_draw *d) MUST_CHECK;
API void ks_draw_fini(struct ks_draw *d);

/* ---- background, called by the server's timers ---- */
/* Expires due keys for at most budget_us; *more when due keys are left. Called on one loop only. */
API int ks_expire_cycle(struct ks_ctx *c, uint64_t budget_us, bool *more) MUST_CHECK;
API void ks_set_active_expiry(struct keyspace *ks, bool on); /* DEBUG SET-ACTIVE-EXPIRE */
API void ks_set_lfu(struct keyspace *ks, bool on);            /* count accesses (maxmemory-policy …-lfu) */
API void ks_log_failed(struct ks_ctx *c);                    /* see invariant 4; needs KS_EXCLUSIVE */
API void ks_drop_cache(struct ks_ctx *c);                    /* checkpoint, then forget every value and evictable entry: the next reads come from the log (tests, DEBUG RELOAD) */

struct ks_stats {
    uint64_t entries, entry_bytes, value_bytes, hits, misses, loads, evicted, expired;
};
/* With several loops inside ks_enter, without keys: tables come and go, and their locks are taken one by one. */
API void ks_get_stats(struct keyspace *ks, struct ks_stats *out);
API void ks_check(struct keyspace *ks); /* asserts every invariant; slow */

#endif
