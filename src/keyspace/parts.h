/* The keyspace's inside, shared by the files of src/keyspace that implement keyspace.h. Nobody else includes this.
 *
 *   line   one lineage: its tables, its newest flush, its exact counts
 *   place  where a key is, or would be: line, table, hash, slot, entry
 *   undo   what an open batch has changed, newest last
 *
 * A line has one table with one loop, and KS_STRIPES tables with more: a stripe's lock guards its table whole. */
#ifndef VARVE_KEYSPACE_PARTS_H
#define VARVE_KEYSPACE_PARTS_H

#include "base/thread.h"
#include "keyspace/keyspace.h"
#include "keyspace/table.h"

#define KS_STRIPES 256
#define KS_TOKEN_LOCKS 64

struct line {
    struct table *tables; /* ks->shards of them; NULL until a key is looked up */
    uint16_t lineage;
    uint64_t flushed; /* seq of the newest flush: heads at or below it are hidden */
    uint64_t keys, expiring;
    uint64_t batch; /* the batch that has saved the counts */
};

struct gate {
    struct mutex lock;
    uint64_t held[KS_STRIPES / 64]; /* stripes taken by the command that is inside */
    uint64_t hits, misses;
    char pad[40];
};

/* A flushed line's tables, freed a few buckets at a time. */
struct grave {
    struct grave *next;
    struct table *tables;
    unsigned shards, at;
    uint64_t bucket;
};

enum undo_kind { UNDO_KEY, UNDO_COUNTS, UNDO_FLUSH, UNDO_SWAP, UNDO_THING };
struct undo {
    enum undo_kind kind;
    uint16_t lineage;         /* SWAP: first database */
    uint16_t other;           /* SWAP: second database */
    uint64_t hash;            /* KEY, THING */
    struct entry *old;        /* KEY: what the table held, owned; NULL = nothing */
    size_t key_at, key_bytes; /* KEY, THING: in ks_undo.keys */
    uint64_t a, b;            /* COUNTS: keys, expiring. FLUSH: flushed. THING: seq, ver */
    struct table *tables;     /* FLUSH: what was thrown away */
    uint8_t space;            /* THING */
    bool live;                /* THING */
};
/* The idempotency tokens of the open batch: a table by hash, and the nodes of each token's newest command side by side. */
struct token_place {
    uint64_t hash;
    size_t key_at, key_bytes; /* in names */
    size_t first, n;          /* in refs; n 0 = a free place */
    uint16_t lineage;
};
struct token_book {
    struct token_place *v;
    size_t n, cap; /* cap a power of two, at most half used */
    struct buf names, refs;
};
struct ks_undo {
    struct undo *v;
    size_t n, cap;
    struct buf keys;
    uint64_t batch;         /* number of the open batch, from 1 */
    uint64_t forgot;        /* ks->forgot at begin */
    uint64_t base_seq, end; /* of the context at begin */
    uint32_t base_nodes;
    bool open;
    struct token_book tokens;
    uint32_t *things; /* THING entries by hash: 1 + place in v, 0 = free; cap a power of two, at most half used */
    size_t n_things, things_cap;
};

/* See late.c. */
#define LATE_MAX      8u
#define LATE_NODE_MAX 2048u /* longer nodes are hashed at once: little is gained for them */
struct late_node {
    struct entry *e;
    uint64_t seq;
    size_t bytes;
    struct buf *out; /* NULL: nobody waits for the digits */
    size_t at;
};
struct late {
    unsigned n;
    uint64_t first; /* seq of of[0] */
    struct node_copy copy;
    struct late_node of[LATE_MAX];
    uint8_t node[LATE_MAX][LATE_NODE_MAX];
};

struct keyspace {
    struct engine *engine;
    struct hash_seed seed;
    unsigned databases, loops, shards;
    uint64_t cache_bytes;
    uint64_t entry_bytes; /* of all entries; atomic when shards > 1 */
    uint64_t forgot;      /* entries whose head is at or below this may have been dropped before the runs had them; 0 = none */
    bool lfu;
    bool active_expiry;
    uint64_t expired_upto_ms;   /* the cycle's position; expire.c */
    uint64_t expiry_mark_seq, expiry_mark_ms;
    uint64_t evicted, expired, loads;
    uint16_t *map;      /* database -> lineage */
    uint16_t *swaps;    /* of each database, how many: what WATCH has of them */
    struct line *lines; /* ENGINE_DATABASES_MAX of them */
    unsigned sweep_line, sweep_shard;
    struct grave *graves;
    struct mutex sweep_lock; /* one sweeper at a time; guards graves and the position */
    struct gate *gates;
    struct mutex *stripes; /* NULL with one loop */
    struct mutex *token_locks;
    struct ks_undo undo;
    struct late *late; /* NULL until one is */
};

static inline bool ks_many(const struct keyspace *ks)
{
    return ks->shards > 1;
}
static inline void ks_tally(const struct keyspace *ks, uint64_t *counter, int64_t by)
{
    if (ks_many(ks))
        __atomic_fetch_add(counter, (uint64_t)by, __ATOMIC_RELAXED);
    else
        *counter += (uint64_t)by;
}

struct place {
    struct line *line;
    struct table *table;
    uint64_t hash;
    slice key;
    uint64_t *slot; /* valid until the next insertion; NULL when the table has no entry */
    struct entry *e;
    bool absent; /* counted in table->absent */
    bool kept;   /* undo owns e: place_set must not free it */
    bool fresh;  /* the next shape must not reuse e */
};

/* ---- keyspace.c ---- */
/* Stripes of more keys for a command that is inside: false when it has some already (they are taken in one order only). */
bool lock_borrow(struct ks_ctx *c, const slice *keys, size_t n);
void lock_return(struct ks_ctx *c);
/* The stripe of one more key, for a command that has looked at none of its own yet: those are let go and taken again with it, in order. False: nothing was taken,
 * because the key is held already. Given back alone. */
bool lock_also(struct ks_ctx *c, slice key);
void lock_also_return(struct ks_ctx *c, slice key);
struct line *ks_line(struct keyspace *ks, uint16_t lineage);
struct table *ks_tables_new(struct keyspace *ks);
int64_t ks_tables_bytes(const struct keyspace *ks, const struct table *tables);
void ks_forget(struct keyspace *ks, uint64_t seq); /* entries up to seq may be missing from the tables from now on */

/* ---- place.c ---- */
static inline unsigned place_stripe(uint64_t hash)
{
    return (unsigned)(hash >> 40) % KS_STRIPES;
}
/* Looks in memory only. */
void place_find(struct ks_ctx *c, struct line *l, slice key, struct place *out);
/* Makes sure that the entry is there if the key has any version: loads the head from the index. After E_OK a NULL entry means
 * that no version exists at all. */
int place_head(struct ks_ctx *c, struct line *l, slice key, struct place *out) MUST_CHECK;
/* Brings the value into the entry. */
int place_load(struct ks_ctx *c, struct place *p) MUST_CHECK;
/* The head's hash, from the entry or the log. E_NOTFOUND when there is no head. */
int place_hash(struct ks_ctx *c, const struct place *p, uint8_t out[HASH_BYTES]) MUST_CHECK;
/* Puts `e` where the place's entry is, which is freed or kept for undo when it is another. */
void place_set(struct ks_ctx *c, struct place *p, struct entry *e);
/* An entry of the wanted shape to fill and hand to place_set; never one that undo needs. Only after the node is in the log. */
struct entry *place_shape(struct ks_ctx *c, struct place *p, unsigned marks, size_t value_bytes, size_t extra, bool keep_value);
void place_use(struct ks_ctx *c, struct entry *e);   /* notes an access */
void place_fresh(struct ks_ctx *c, struct entry *e); /* a key that has just come to be, or into memory: no access yet */
static inline bool place_due(const struct ks_ctx *c, const struct entry *e)
{
    return (e->marks & ENTRY_EXPIRES) != 0 && entry_expiry(e) <= c->now_ms;
}

/* ---- write.c ---- */
int write_node(struct ks_ctx *c, struct node *n, bool want_hash, struct receipt *r) MUST_CHECK;
/* Writes the removal of a key whose expiry has come; nothing when the context is still. */
int write_expire(struct ks_ctx *c, struct place *p) MUST_CHECK;
/* Finds the live entry: E_NOTFOUND when there is none; one that is due is expired when that is possible. */
int write_live(struct ks_ctx *c, slice key, struct place *p) MUST_CHECK;

/* ---- late.c ---- */
/* Where engine_append_copy puts the next late node; NULL: its hash may not be late. */
struct node_copy *late_room(struct ks_ctx *c);
void late_add(struct ks_ctx *c, struct entry *e, struct receipt *r); /* the node just copied is this entry's head; r gets its hash if that is known then */
void late_finish(struct keyspace *ks);

/* ---- past.c ---- */
/* Payload of an effect on a string. False: not of that form. */
bool splice_parse(slice payload, uint64_t *offset, slice *bytes);
int past_rebuild(struct keyspace *ks, uint16_t lineage, slice key, uint64_t seq, struct buf *out, uint64_t *weight) MUST_CHECK;

/* Is a key with this expiry absent at the point? A key is, once the time of the point has reached its expiry. 0 = none. */
int past_gone_by(struct keyspace *ks, uint64_t expire_ms, uint64_t at, bool *gone) MUST_CHECK;

/* ---- view.c: what the reading functions do in a view ---- */
int view_get(struct ks_ctx *c, slice key, struct ks_value *out) MUST_CHECK;
int view_usage(struct ks_ctx *c, slice key, struct ks_usage *out) MUST_CHECK;
struct db_view view_db(struct ks_ctx *c, uint16_t db);
int view_scan(struct ks_ctx *c, uint64_t *cursor, size_t count, uint8_t type, ks_visit fn, void *ctx) MUST_CHECK;

/* ---- batch.c ---- */
void undo_key(struct ks_ctx *c, struct place *p);   /* before the first change of a key in a batch */
void undo_counts(struct ks_ctx *c, struct line *l); /* before the first change of a line's counts in a batch */
struct undo *undo_add(struct ks_ctx *c, enum undo_kind kind);

/* ---- token.c ---- */
void token_note(struct ks_ctx *c, const struct node *n, const struct receipt *r); /* a node with a token has joined the batch */
void token_clear(struct token_book *b);
void token_fini(struct token_book *b);
void token_unlock(struct ks_ctx *c);

/* ---- thing.c ---- */
void thing_clear(struct ks_undo *u);

/* ---- lock.c ---- */
void lock_open(struct keyspace *ks);
void lock_close(struct keyspace *ks);

/* ---- sweep.c ---- */
void sweep_turn(struct ks_ctx *c);                     /* a small step when memory is over its limit */
bool sweep_absent(struct ks_ctx *c, unsigned buckets); /* drops absent entries that the runs know; false: none left */
void sweep_bury(struct keyspace *ks, struct table *tables);
bool sweep_graves(struct keyspace *ks, unsigned buckets);

#endif
