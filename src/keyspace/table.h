/* A hash table of entries that grows one bucket at a time.
 *
 * Linear hashing (Litwin 1980): bucket count n lies between 2^L and 2^(L+1); a hash's bucket is its low L+1 bits, or its low L
 * bits when that bucket is not there yet. When there are more than TABLE_LOAD entries a bucket, the bucket behind the split
 * pointer is split and n grows by one: no insertion ever moves more than one bucket's entries, at any size.
 *
 * A bucket is one cache line of eight slots; a slot is an entry's address in the low 48 bits and the top 16 bits of its hash
 * above. A look-up compares eight tags at once and touches an entry only when its tag fits, so it costs two cache misses:
 * bucket and entry. A full bucket's last slot becomes a link (bit 0 set) to an overflow bucket.
 *
 * The hash of an entry is not stored: splitting computes it again, after prefetching the entries one step ahead.
 * Not thread-safe. Slot pointers are valid until the next insertion or removal. Invariants: table_check. */
#ifndef VARVE_KEYSPACE_TABLE_H
#define VARVE_KEYSPACE_TABLE_H

#include "keyspace/entry.h"

#define TABLE_SLOTS         8
#define TABLE_LOAD          5     /* entries a bucket before the table grows */
#define TABLE_SEGMENT       1024u /* buckets in one allocation */
#define TABLE_BUCKETS_FIRST 8u
#define TABLE_BUCKETS_MAX   (1ull << 38)

struct bucket {
    uint64_t slot[TABLE_SLOTS];
};

struct table {
    struct bucket **dir; /* aligned buckets of each segment */
    void **mem;          /* the allocations behind them */
    size_t segments, dir_cap;
    uint64_t buckets;  /* 0: nothing allocated yet */
    uint64_t first;    /* buckets that the first segment has room for */
    uint64_t mask;     /* 2^(L+1) - 1 */
    uint64_t count;    /* entries */
    uint64_t absent;   /* of them TYPE_NONE; kept by the caller */
    uint64_t overflow; /* overflow buckets */
    uint64_t bytes;    /* of entries; kept by the caller */
    uint64_t hand;     /* the sweep's next bucket; kept by the caller */
    const struct hash_seed *seed;
};

void table_init(struct table *t, const struct hash_seed *seed);
void table_fini(struct table *t); /* frees every entry too */
/* The slot that holds `key`, or NULL. */
uint64_t *table_find(const struct table *t, uint64_t hash, slice key);
/* The key must not be there. May split a bucket. */
void table_insert(struct table *t, uint64_t hash, struct entry *e);
/* Takes the entry out and returns it. May join buckets. */
struct entry *table_remove(struct table *t, uint64_t hash, uint64_t *slot);
/* Visits the entries of one bucket (index < t->buckets), overflow included. The visitor may replace an entry by returning another one, or
 * take it out by returning NULL; then what was there is the visitor's. */
typedef struct entry *(*table_visit)(void *ctx, struct table *t, struct entry *e);
void table_each(struct table *t, uint64_t index, table_visit fn, void *ctx);
/* Two steps of a look-up that only start memory fetches. */
void table_prefetch_bucket(const struct table *t, uint64_t hash);
void table_prefetch_entry(const struct table *t, uint64_t hash);
size_t table_bytes(const struct table *t); /* of buckets, without entries */
void table_check(struct table *t);

#define SLOT_ADDRESS 0x0000ffffffffffffu
static inline struct entry *slot_entry(uint64_t slot)
{
    return (struct entry *)(uintptr_t)(slot & SLOT_ADDRESS);
}
static inline uint64_t slot_make(const struct entry *e, uint64_t hash)
{
    uint64_t at = (uint64_t)(uintptr_t)e;
    ASSERT((at & ~SLOT_ADDRESS) == 0 && (at & 7) == 0);
    return at | (hash & ~SLOT_ADDRESS);
}
/* Puts another allocation of the same key into a slot. */
static inline void slot_replace(uint64_t *slot, const struct entry *e)
{
    *slot = (*slot & ~SLOT_ADDRESS) | (uint64_t)(uintptr_t)e;
}

#endif
