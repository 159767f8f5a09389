/* The engine's one door: a log of immutable, hashed versions with everything that can be folded from it.
 *
 * Knows keys, versions, documents (JSON payloads), links, causes and sorted indexes; knows no Redis, no socket.
 * Usable as a library on its own (libvarve.a; example in src/docs/engine.md).
 *
 *   engine_open            recovery: read the manifest, fold what is newer, by the same code as while running
 *   engine_append          one node, one commit: the hot path, any thread
 *   engine_batch_*         several nodes, one commit
 *   engine_write_out/sync  acknowledgement: wait for the end address of one's own bytes
 *   engine_find …          newest version of a key at or before a point, by a search of the index
 *   engine_read            a node by seq
 *   cursors                stream, over a snapshot; never collect
 *
 * Threads: append, write_out, sync, reads and cursors from any thread. The engine owns three: sync, indexer, worker
 * (flush, merge, seal, compaction). Times are Unix milliseconds that never go backwards. */
#ifndef VARVE_ENGINE_ENGINE_H
#define VARVE_ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/os.h"
#include "engine/node.h"
#include "engine/tree.h"

struct engine;

enum engine_durability { DURABLE_NO, DURABLE_EVERYSEC, DURABLE_ALWAYS };

typedef void (*engine_progress)(void *ctx, const char *what, uint64_t done, uint64_t total);

struct engine_options {
    struct os *os;                 /* NULL: POSIX */
    const char *dir;               /* made if missing */
    enum engine_durability durability;
    size_t ring_bytes;             /* 0: default; likewise below */
    size_t segment_bytes;
    size_t index_buffer_bytes;
    uint64_t checkpoint_bytes;     /* log bytes after which a checkpoint is due (default 64 MiB), and … */
    uint64_t checkpoint_nodes;     /* … nodes (default 512 Ki): whichever comes first. What a start has to fold after a kill is about that much */
    uint64_t rest_ms;              /* so long without a write, and buffers are written out (default 1500); seven times that, and memory is given back */
    bool read_only;                /* look at a stopped store, killed or not: what the manifest does not cover is folded in memory; nothing is written */
    bool salvage;                  /* keep what is readable of a damaged log, report the rest */
    bool no_threads;               /* tests: no background threads; engine_turn() does their work */
    engine_progress progress;      /* may be NULL */
    void *progress_ctx;
};

struct engine_report {             /* what open found */
    bool fresh;                    /* the store was made just now */
    bool clean;                    /* the last stop was orderly */
    uint64_t folded_nodes, torn_bytes, sidecars_rebuilt;
    uint64_t lost_from, lost_to;   /* seqs lost (salvage), 0 = none */
    uint64_t open_us;
    char where[256];               /* where damage is, when open refuses */
};

API int engine_open(const struct engine_options *o, struct engine **out, struct engine_report *rep) MUST_CHECK;
/* Orderly: drains, syncs, checkpoints, marks the store clean. The first failure is returned; everything is released anyway. */
API int engine_close(struct engine **e);
API int engine_turn(struct engine *e);             /* with no_threads: indexer, flush, merges, seals until nothing is due */
API struct os *engine_os(struct engine *e);
API const uint8_t *engine_store_id(struct engine *e);          /* 16 bytes, random at creation */
API const struct hash_seed *engine_seed(struct engine *e);     /* of key_hash; fixed for the life of the store */
API void engine_set_durability(struct engine *e, enum engine_durability d);

/* The store's clock: max(wall clock, newest time in the log), ms. */
API uint64_t engine_now_ms(struct engine *e);

/* ---- writing ---- */
struct receipt {
    uint64_t seq;
    uint64_t end;               /* end address: safe once written_end / durable_end has reached it */
    uint8_t hash[HASH_BYTES];   /* only when asked for */
};
/* Appends one node as one commit. seq, salt and commit_pos of *n are filled in by the engine, ts_ms too when it is 0. The payload and
 * everything else are copied into the ring before this returns. E_STICKY: refused, nothing changed. */
API int engine_append(struct engine *e, struct node *n, bool want_hash, struct receipt *out) MUST_CHECK;
/* The same for who hashes several nodes together afterwards: a node of at most copy->room bytes is copied to copy->at as it is in the log, and copy->bytes tells its
 * length; no hash is computed then. A longer one is hashed here, and copy->bytes is 0. */
struct node_copy {
    uint8_t *at;
    size_t room, bytes;
};
API int engine_append_copy(struct engine *e, struct node *n, struct node_copy *copy, struct receipt *out) MUST_CHECK;
/* Leaves the hash of an appended node (never one of a batch) to the indexer, which is spared the work. */
API void engine_hash_known(struct engine *e, uint64_t seq, const uint8_t hash[HASH_BYTES]);

/* Several nodes, one commit. Between begin and commit/abort the caller keeps every other appender out (keyspace: the exclusive gate), so
 * that seqs are known at add time. add() copies. commit() publishes all or nothing; abort() leaves no trace. */
struct batch;
API struct batch *engine_batch_begin(struct engine *e);
API void engine_batch_add(struct batch *b, struct node *n, bool want_hash, struct receipt *out); /* out->end is not known yet */
API bool engine_batch_hash(const struct batch *b, uint64_t seq, uint8_t hash[HASH_BYTES]); /* of a node added; false: seq is none of them */
API bool engine_batch_raw(const struct batch *b, uint64_t seq, slice *raw); /* its bytes, valid until the next add; false as above, or there was no room for it */
API size_t engine_batch_count(const struct batch *b);
API int engine_batch_commit(struct batch **b, uint64_t *end) MUST_CHECK; /* an empty batch: E_OK, *end = reserved end */
API void engine_batch_abort(struct batch **b);

/* Brings the log out of the process's memory up to `end` (0: everything). Done by the caller itself unless someone is at it. */
API int engine_write_out(struct engine *e, uint64_t end) MUST_CHECK;
/* The same, then waits until it is on disk. Group commit: one sync serves all who wait. */
API int engine_sync(struct engine *e, uint64_t end) MUST_CHECK;
/* Asks the sync thread to make `end` durable soon; `engine_on_mark`'s callback tells when. Never waits. */
API void engine_sync_async(struct engine *e, uint64_t end);
/* fn is called from engine threads whenever durable_end or indexed_seq moved, or the log failed: it must only wake loops. */
API void engine_on_mark(struct engine *e, void (*fn)(void *ctx), void *ctx);

struct engine_marks {
    uint64_t last_seq;      /* newest handed out */
    uint64_t written_seq, written_end;
    uint64_t durable_seq, durable_end;
    uint64_t indexed_seq;   /* folded into the index */
    uint64_t flushed_seq;   /* in index runs named by the manifest: start folds from here */
    int failure;            /* 0 or the sticky code */
};
API void engine_get_marks(struct engine *e, struct engine_marks *out);
API uint64_t engine_written_end(struct engine *e);
API uint64_t engine_durable_end(struct engine *e);
API uint64_t engine_flushed_seq(struct engine *e);
API int engine_failure(struct engine *e); /* one relaxed load */
/* Returns once the index has folded everything up to seq (the caller helps folding). 0: everything written or published now. */
API int engine_catch_up(struct engine *e, uint64_t seq) MUST_CHECK;

/* ---- reading nodes ---- */
/* Bytes of a node into *mem, decoded into *out (slices point into mem). E_NOTFOUND (beyond the end), E_PRUNED, E_CORRUPT, E_IO. */
API int engine_read(struct engine *e, uint64_t seq, struct buf *mem, struct node *out) MUST_CHECK;
API int engine_read_raw(struct engine *e, uint64_t seq, struct buf *mem, slice *raw) MUST_CHECK;
API int engine_hash(struct engine *e, uint64_t seq, uint8_t out[HASH_BYTES]) MUST_CHECK; /* also of pruned nodes */
/* The commit that seq belongs to, from end to end, what was dropped of it included. E_PRUNED: nothing of it is left. */
API int engine_commit_of(struct engine *e, uint64_t seq, uint64_t *first, uint64_t *last) MUST_CHECK;
/* The same for a node that the caller has just read. */
API int engine_commit_of_node(struct engine *e, const struct node *n, uint64_t *first, uint64_t *last) MUST_CHECK;

/* ---- points ---- */
enum { ENGINE_HEAD = 0 };
API int engine_seq_by_hash(struct engine *e, slice hex_prefix, uint64_t *seq) MUST_CHECK;   /* 8..64 digits; E_SYNTAX, E_NOTFOUND, E_AMBIGUOUS */
API int engine_seq_by_time(struct engine *e, uint64_t ms, uint64_t *seq) MUST_CHECK;        /* last whole commit at or before ms; 0 = before everything */
API int engine_round_down(struct engine *e, uint64_t seq, uint64_t *point) MUST_CHECK;      /* seq inside a commit -> end of the commit before; beyond the end -> the newest */
/* The first point at which what happened at seq shows: the end of its commit, as far as anything of that is left; otherwise, or when it cannot be read, seq. */
API uint64_t engine_round_up(struct engine *e, uint64_t seq);

/* ---- databases ---- */
/* A database number maps to a lineage (SWAPDB) and its newest flush, at a point. flushed = seq of the newest flush of that lineage
 * at or before `at`: versions at or below it are hidden. */
struct db_view {
    uint16_t lineage;
    uint64_t flushed;
};
#define ENGINE_DATABASES_MAX 1024
API void engine_db_at(struct engine *e, uint16_t db, uint64_t at, struct db_view *out); /* at = UINT64_MAX: newest folded */
struct db_counts {
    uint64_t keys, docs, expiring; /* live by the log (a passed expiry counts until its removal is logged) */
};
API void engine_db_counts(struct engine *e, uint16_t lineage, struct db_counts *out); /* as of indexed_seq */

/* ---- versions ---- */
struct version {
    uint64_t seq;
    uint8_t op, type;
    uint16_t flags;
    uint64_t ver;
    uint64_t expire_ms; /* 0 = none */
    uint32_t bytes;     /* of the node */
};
enum engine_find_flags {
    FIND_ALL = 0,
    FIND_RUNS_ONLY = 1, /* the caller knows that the key has no version newer than flushed_seq */
    FIND_BASE = 2,      /* the newest version that node_is_base: where rebuilding starts */
    FIND_ENTRY = 4,     /* what the index says is enough: a version whose node was dropped is found too */
};
/* The newest version of the key at or before `at`, in any generation (compare seq with db_view.flushed). Does not wait for the index:
 * call engine_catch_up first where it matters. E_NOTFOUND: none. E_PRUNED: some existed there, all dropped: *out = the oldest still readable.
 * One that a flush at or before `at` hid is found though its node may be gone.
 * Keys, prefixes and relations may be of any length here and below: nothing has a name longer than NODE_KEY_MAX. */
API int engine_find(struct engine *e, uint8_t space, uint16_t lineage, slice key, uint64_t at, unsigned flags, struct version *out) MUST_CHECK;

/* All versions of one key, newest first or oldest first, between two seqs (inclusive). */
struct version_cursor;
API int engine_versions(struct engine *e, uint8_t space, uint16_t lineage, slice key, uint64_t from, uint64_t to, bool oldest_first, struct version_cursor **out) MUST_CHECK;
API int version_next(struct version_cursor *c, struct version *out) MUST_CHECK; /* E_END */
API void version_close(struct version_cursor **c);
/* A key is readable at p when the newest version at or before p is there (a tag's point may lie below what others read). The oldest such seq; 0 =
 * from its beginning. *dropped (may be NULL): older versions of it were there and are gone. E_NOTFOUND: nothing is left of it. */
API int engine_key_horizon(struct engine *e, uint8_t space, uint16_t lineage, slice key, uint64_t *seq, bool *dropped) MUST_CHECK;
/* The whole store's horizons: 0 = nothing was ever dropped. They rise before the first node goes, never fall, and survive restarts. */
struct engine_horizons {
    uint64_t keys;             /* below it, a key of which nothing is left may have stood: engine_find answers E_PRUNED for what it does not know */
    uint64_t documents;        /* the same for documents and links: at it and above, every list of them at a point is whole, or meets E_PRUNED in one it knows */
    uint64_t changes;          /* every node with a greater seq is there: a feed FROM p is whole when p >= changes, else PRUNED naming it */
    uint64_t document_changes; /* the same when only nodes of documents and links are asked for (a feed of collections) */
    uint64_t readable;         /* the oldest point from which on everything is readable; never less than keys and documents */
};
API void engine_get_horizons(struct engine *e, struct engine_horizons *out);
API uint64_t engine_horizon(struct engine *e); /* .readable */

/* ---- the log, forward: for those who follow it ---- */
/* The newest seq that the durability rule in force lets anybody see: durable with DURABLE_ALWAYS, else out of the process. The end of a commit. */
API uint64_t engine_safe_seq(struct engine *e);
struct change_node {
    uint64_t seq, commit_first;
    bool more;         /* another node of its commit is there behind it */
    uint32_t cut;      /* how many nodes of its commit followed and were dropped; 0 when `more` */
    slice raw;         /* its bytes; borrowed, as the node's slices are, until the next peek behind a take */
    struct node node;
};
struct change_cursor;
API int engine_changes(struct engine *e, uint64_t after, struct change_cursor **out) MUST_CHECK; /* strictly behind `after` */
/* The next node that is there with a seq up to `upto`; dropped ones are passed over. Stays the next until change_take. E_END: none now, call again later. */
API int change_peek(struct change_cursor *c, uint64_t upto, struct change_node *out) MUST_CHECK;
API void change_take(struct change_cursor *c);
/* One node by its seq: engine_read and its place in its commit in one look. Slices point into mem. */
API int engine_read_change(struct engine *e, uint64_t seq, struct buf *mem, struct change_node *out) MUST_CHECK;
/* The end of the commit that n, just peeked, belongs to, which may itself have been dropped. */
API int change_commit_last(struct change_cursor *c, const struct change_node *n, uint64_t *last) MUST_CHECK;
API void change_cursor_close(struct change_cursor **c);
/* A number for which nodes are gone: when it is the same before and after a walk, also over restarts, nothing was dropped in between. */
API uint64_t engine_drops(struct engine *e);
/* Hashes of nodes by their bytes, several at once. */
API void engine_hash_nodes(size_t n, const slice *raw, uint8_t (*out)[HASH_BYTES]);
API uint64_t engine_flushed(struct engine *e, uint16_t lineage); /* the newest folded flush of a lineage, 0 = none */
/* The first event above `after` that concerns a whole database: a flush of its lineage or of all, or a swap of its number. UINT64_MAX: none known. */
API uint64_t engine_next_event(struct engine *e, uint16_t db, uint16_t lineage, uint64_t after);

/* ---- live keys, in the order of their hash (SCAN, KEYS, RANDOMKEY) ---- */
struct live_key {
    uint64_t hash;   /* position: several keys may share one */
    slice key;       /* valid until the next call */
    uint8_t type;
    bool expires;    /* look its expiry up */
};
struct key_cursor;
API int engine_keys(struct engine *e, uint16_t lineage, uint64_t flushed, uint64_t from_hash, struct key_cursor **out) MUST_CHECK;
API int key_cursor_next(struct key_cursor *c, struct live_key *out) MUST_CHECK; /* E_END */
API void key_cursor_close(struct key_cursor **c);
/* The same as of a point that the index knows (> 0), with the flush that counts there. Costs a step or two of the index for each key that was ever there. Opening and
 * stepping answer E_PRUNED when it cannot be told any more whether a key was there. */
struct past_cursor;
API int engine_keys_at(struct engine *e, uint16_t lineage, uint64_t flushed, uint64_t at, uint64_t from_hash, struct past_cursor **out) MUST_CHECK;
/* E_END; E_PRUNED: *v as engine_find gives it; expiry is not judged. E_AGAIN: much was looked at since the last one; call again, now or on the next turn. */
API int past_cursor_next(struct past_cursor *c, struct live_key *out, struct version *v) MUST_CHECK;
API slice past_cursor_key(const struct past_cursor *c);                                              /* the key at hand, after an error too */
API void past_cursor_close(struct past_cursor **c);

/* ---- documents in key order, at a point ---- */
struct doc_cursor;
/* `after`: the last key that was seen, which may be the empty one; after.p == NULL: from the first on. */
API int engine_docs(struct engine *e, uint16_t lineage, slice prefix, slice after, uint64_t at, struct doc_cursor **out) MUST_CHECK; /* E_PRUNED: below the horizon of documents */
/* Keys whose newest version at `at` is a live document (expiry not judged), and those of which that is not known any more: engine_find answers E_PRUNED.
 * E_AGAIN: many keys were looked at since the last one; call again, now or on the next turn. */
API int doc_cursor_next(struct doc_cursor *c, slice *key) MUST_CHECK;
/* Before the first next: every key that was a document at any time from the newest flush to `at`, standing or not (for reads at an instant of valid time, which may
 * find an older version). */
API void doc_cursor_ever(struct doc_cursor *c);
API void doc_cursor_close(struct doc_cursor **c);
struct coll_counts { uint64_t docs, versions, bytes; };
/* One collection as of the newest folded seq; zeros when there is none. Cheap. */
API void engine_collection(struct engine *e, uint16_t lineage, slice coll, struct coll_counts *out);
/* Collections with at least one document at `at`, in name order; at a past point it costs what the history of the documents costs. E_PRUNED: versions that stood there were dropped. */
struct coll_cursor;
API int engine_collections_at(struct engine *e, uint16_t lineage, uint64_t at, struct coll_cursor **out) MUST_CHECK;
/* E_END. E_AGAIN: it is still being counted; call again, now or on the next turn. *coll is valid until the next call. */
API int coll_cursor_next(struct coll_cursor *c, slice *coll, struct coll_counts *n) MUST_CHECK;
API void coll_cursor_close(struct coll_cursor **c);
/* The same at one go. fn nonzero stops and is returned. */
API int engine_collections(struct engine *e, uint16_t lineage, uint64_t at, int (*fn)(void *ctx, slice coll, const struct coll_counts *n), void *ctx) MUST_CHECK;

/* ---- expiry ---- */
/* Keys whose expiry lies in (after_ms, upto_ms], by time. The caller checks that the head still says so. */
struct expiry_cursor;
API int engine_expiring(struct engine *e, uint64_t after_ms, uint64_t upto_ms, struct expiry_cursor **out) MUST_CHECK;
API int expiry_next(struct expiry_cursor *c, uint64_t *ms, uint16_t *lineage, slice *key, uint64_t *seq) MUST_CHECK;
API void expiry_close(struct expiry_cursor **c);

/* ---- links and causes ---- */
struct link {
    slice from, rel, to;
    uint64_t seq;      /* of the link's newest version at the point */
};
enum link_direction { LINK_OUT, LINK_IN };
struct link_cursor;
/* Links of one key that stand at `at`, ordered by (rel, other key); rel empty = every relation; `after` = opaque position from link_cursor_at or empty. */
API int engine_links(struct engine *e, uint16_t lineage, slice key, enum link_direction d, slice rel, uint64_t at, slice after, struct link_cursor **out) MUST_CHECK;
/* All links of a lineage that stand at `at`, ordered by (from, rel, to). */
API int engine_all_links(struct engine *e, uint16_t lineage, uint64_t at, slice after, struct link_cursor **out) MUST_CHECK;
/* E_END. E_AGAIN: many links were looked at and none of them stands there; call again, now or on the next turn. E_PRUNED: see link_cursor_oldest. Slices are
 * valid until the next call. */
API int link_cursor_next(struct link_cursor *c, struct link *out) MUST_CHECK;
API uint64_t link_cursor_oldest(const struct link_cursor *c); /* after E_PRUNED: where that link becomes readable */
API slice link_cursor_at(const struct link_cursor *c); /* position behind the last link returned or looked at; opaque bytes */
/* The position of a link that a caller knows by other means, for cursors in this direction (engine_all_links: LINK_OUT); replaces *out. */
API void engine_link_position(uint16_t lineage, enum link_direction d, slice key, slice rel, slice other, struct buf *out);
API void link_cursor_close(struct link_cursor **c);
/* Nodes that name seq as their cause, ascending. */
struct effect_cursor;
API int engine_effects(struct engine *e, uint64_t seq, struct effect_cursor **out) MUST_CHECK;
API int effect_next(struct effect_cursor *c, uint64_t *seq) MUST_CHECK;
API void effect_close(struct effect_cursor **c);
#define ENGINE_TOKEN_WINDOW_MS (24ull * 3600 * 1000) /* nodes with an idempotency token stay at least so long */
/* Seq of the newest node with this idempotency token, E_NOTFOUND. */
API int engine_find_token(struct engine *e, uint16_t lineage, slice token, uint64_t *seq) MUST_CHECK;

/* ---- sorted indexes over documents ---- */
enum sorted_kind { SORTED_ORDERED = 0, SORTED_TEXT = 1 }; /* also the payload of a definition's node: one byte */
struct sorted_info {
    uint16_t lineage;
    slice coll, path;       /* valid until the index is dropped */
    uint8_t kind;           /* enum sorted_kind */
    bool ready;
    uint8_t built_pct;
    uint64_t entries, bytes; /* live entries: documents, or pairs of word and document */
    uint64_t since;         /* seq of its definition */
};
/* Lists indexes (all, or of one collection). fn nonzero stops and is returned. Definitions are nodes in SPACE_SORTED: create = PUT, drop = DELETE. */
API int engine_sorted_list(struct engine *e, uint16_t lineage, const slice *coll, int (*fn)(void *ctx, const struct sorted_info *i), void *ctx) MUST_CHECK;
/* Documents of a collection by the value of one field, at a point. The order is by value (json_compare), then by key: keys ascend within one value also when
 * descending. A document without the field counts as null. Expiry is not judged. */
struct sorted_bound {
    slice json;        /* a checked JSON value; empty = open */
    bool inclusive;
};
struct range_options {
    uint16_t lineage;
    slice coll, path;  /* as the index was defined */
    struct sorted_bound low, high;
    bool descending;
    bool keys_only;    /* range_next gives no seq (0), which saves a look-up a row */
    bool ever;         /* what was in the range at any time from the newest flush to `at`, for reads at an instant of valid time: keys_only; a document comes once or more,
                        * in an order that serves no resume, and values of more than some hundred bytes next to a bound may lie outside it */
    slice resume;      /* empty, or a position from range_cursor_at, under the same point; bounds and direction may be others */
    uint64_t at;       /* UINT64_MAX: the newest folded */
};
struct range_cursor;
/* E_NOTFOUND: no such index; E_AGAIN: being built; E_PRUNED: the index cannot tell what stood at the point (a walk of the documents may), or the row of a resume
 * is gone; E_SYNTAX: resume is not a position in this index. Options are copied. */
API int engine_range(struct engine *e, const struct range_options *o, struct range_cursor **out) MUST_CHECK;
/* *key is valid until the next call; *seq: the document version that holds at the point. E_END.
 * E_AGAIN: many entries were looked at since the last one; call again, now or on the next turn. */
API int range_next(struct range_cursor *c, slice *key, uint64_t *seq) MUST_CHECK;
/* Position behind the last row returned (the beginning before the first): opaque bytes, valid until the next call. */
API slice range_cursor_at(struct range_cursor *c);
/* The position behind a row that a caller knows by other means: the document's value at the index's path (null when it has none), its key, and its version at the point. Appended. */
API void engine_range_position(slice value, slice key, uint64_t seq, struct buf *out);
API uint64_t range_cursor_point(const struct range_cursor *c); /* the point it reads: what to pin when `at` was UINT64_MAX */
API void range_cursor_close(struct range_cursor **c);
/* For planners: about how many index entries lie between the bounds (resume is ignored), those of the past included where the point is not the newest. Microseconds;
 * right within about a block of the index at each bound. Same errors as engine_range. */
API int engine_range_rows(struct engine *e, const struct range_options *o, uint64_t *estimate) MUST_CHECK;

/* Documents that hold a word (base/words.h) at the path of a text index, at a point, in key order, each once. */
struct text_options {
    uint16_t lineage;
    slice coll, path;  /* as the index was defined; `$` = the whole document */
    slice word;        /* folded, as words.h gives it; not empty */
    bool prefix;       /* any word that begins so */
    slice after;       /* key to start strictly behind (an empty key is one, too); p NULL = from the start */
    uint64_t at;
    bool keys_only, ever; /* as for ranges; in key order, a document may come more than once */
};
struct text_cursor;
API int engine_text(struct engine *e, const struct text_options *o, struct text_cursor **out) MUST_CHECK; /* E_NOTFOUND, E_AGAIN, E_PRUNED as engine_range */
API int text_next(struct text_cursor *c, slice *key, uint64_t *seq) MUST_CHECK;                           /* E_END, E_AGAIN as range_next */
API uint64_t text_cursor_point(const struct text_cursor *c);
API void text_cursor_close(struct text_cursor **c);
API int engine_text_rows(struct engine *e, const struct text_options *o, uint64_t *estimate) MUST_CHECK; /* as engine_range_rows; `after` is ignored */

/* ---- proofs ---- */
API uint64_t engine_tree_size(struct engine *e); /* nodes that can be proved: those that the index has folded */
/* E_INVALID: a size beyond engine_tree_size, a seq that is not 1 … size, from > to. E_CORRUPT: what the store holds of the tree is damaged; never a wrong proof. */
API int engine_root(struct engine *e, uint64_t size, uint8_t root[HASH_BYTES]) MUST_CHECK;
API int engine_prove_inclusion(struct engine *e, uint64_t seq, uint64_t size, struct tree_proof *out) MUST_CHECK;
API int engine_prove_consistency(struct engine *e, uint64_t from, uint64_t to, struct tree_proof *out) MUST_CHECK;
/* Checks records, hashes and seqs of [from, to] in one slice of about max_nodes; *next = where to go on (0 = done). */
struct verify_found { uint64_t checked, bytes, bad; };
API int engine_verify_slice(struct engine *e, uint64_t from, uint64_t to, uint64_t max_nodes, void (*bad)(void *ctx, uint64_t seq, const char *why), void *ctx,
                            struct verify_found *sum, uint64_t *next) MUST_CHECK;
API int engine_verify_tree(struct engine *e, uint64_t *bad_seq) MUST_CHECK; /* all tiles and the root */

/* ---- tags and retention: nodes of SPACE_TAG and SPACE_RETAIN, as of indexed_seq ---- */
struct engine_tag {
    slice name, by; /* who set it; empty = the default user */
    uint64_t point; /* what compaction keeps readable */
    uint64_t seq;   /* of the tag's own node */
    uint64_t ts_ms; /* when it was set */
};
#define ENGINE_TAGS_MAX  65536u /* who writes them keeps to these numbers */
#define ENGINE_RULES_MAX 1024u
API int engine_tag_find(struct engine *e, slice name, struct buf *mem, struct engine_tag *out) MUST_CHECK; /* slices point into *mem; E_NOTFOUND */
API int engine_tag_list(struct engine *e, int (*fn)(void *ctx, const struct engine_tag *t), void *ctx) MUST_CHECK; /* by name; nonzero stops and is returned */
/* A superseded version may go when `versions` newer ones of its key exist, or when it was superseded longer than age_ms ago; 0 = not for that. Both 0 = keep all. */
struct retain_rule { uint64_t versions, age_ms; };
/* The rule for a key (for links: the key they start from): of the longest pattern that matches it, of equally long ones the first in byte order; true and
 * *pattern (may be NULL) replaced. Else the default of its kind and false. */
API bool engine_retain_of(struct engine *e, slice key, bool document, struct retain_rule *out, struct buf *pattern);
API int engine_retain_list(struct engine *e, int (*fn)(void *ctx, slice pattern, const struct retain_rule *r), void *ctx) MUST_CHECK; /* longest first */
struct engine_policy {
    struct retain_rule keys, documents; /* where no rule matches; documents: links too. Zero = keep all */
    uint64_t auto_percentage;           /* compact when bytes that may go reach this share of those that stay; 0 = never by itself */
    uint64_t auto_min_bytes;            /* … and the log has at least so many */
};
API void engine_set_policy(struct engine *e, const struct engine_policy *p); /* at open: zero */
API void engine_get_policy(struct engine *e, struct engine_policy *out);

/* ---- compaction ---- */
struct compact_options {
    uint64_t keep_versions;     /* KEEP n; 0 = not given */
    uint64_t before;            /* BEFORE point: versions superseded at or before this seq may go; 0 = not given. With neither: what the rules say */
    slice prefix;               /* only keys that begin so */
    bool dry_run;
};
struct compact_stats {
    uint64_t live, dropped, held;   /* nodes */
    uint64_t bytes_before, bytes_after, horizon, segments;
    uint64_t done, total;           /* progress, in nodes */
    bool running;
    bool automatic;                 /* it started by itself */
    int result;                     /* of the last one that ended; E_NOTFOUND: none has */
    uint64_t ended_ms;              /* when that was, 0 = none has */
    uint64_t runs, automatic_runs;  /* that ended well since open, without dry runs */
};
API int engine_compact(struct engine *e, const struct compact_options *o, struct compact_stats *out) MUST_CHECK; /* waits until done; E_BUSY, E_CANCELLED */
API int engine_compact_start(struct engine *e, const struct compact_options *o) MUST_CHECK;                      /* on the worker; E_BUSY */
API void engine_compact_status(struct engine *e, struct compact_stats *out);
API void engine_compact_cancel(struct engine *e);
API void engine_set_throttle(struct engine *e, uint64_t bytes_per_second); /* of background work; 0 = none */
API int engine_checkpoint(struct engine *e) MUST_CHECK;

struct engine_stats {
    uint64_t nodes, links, docs, keys, segments, bytes_log, bytes_live, bytes_dead, bytes_index, bytes_tree;
    uint64_t ring_parks, sealed, checkpoints, last_checkpoint_ms, merges, memory_bytes;
};
API void engine_get_stats(struct engine *e, struct engine_stats *out);

#endif
