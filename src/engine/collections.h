/* Collections of documents: a book of counts by (lineage, name).
 *
 * A document's collection is the part of its key before the first ':'; a key without one belongs to the empty name.
 *   docs      documents alive now
 *   versions  nodes of live documents (put, expiry changes) of the present generation that are still in the log
 *   bytes     of those nodes
 * The present is read from the book in time that grows with the number of collections. A past point has no book: see collections_past.c.
 *
 * Written by the fold, read by any thread; one mutex (RANK_LEAF). */
#ifndef VARVE_ENGINE_COLLECTIONS_H
#define VARVE_ENGINE_COLLECTIONS_H

#include "base/thread.h"
#include "engine/engine.h"

struct collection {
    struct collection *next;
    uint64_t hash;
    struct coll_counts counts;
    uint16_t lineage;
    uint16_t name_bytes;
    uint8_t name[];
};

struct collections {
    struct mutex mutex;
    struct collection **bucket;
    size_t n, buckets; /* buckets is a power of two or 0 */
};

static inline slice collection_of(slice key)
{
    const uint8_t *colon = key.n ? memchr(key.p, ':', key.n) : NULL;
    return slice_of(key.p, colon ? (size_t)(colon - key.p) : 0);
}

void collections_init(struct collections *c);
void collections_fini(struct collections *c);
/* Adds to the counts of one collection; `d` holds differences in two's complement. */
void collections_add(struct collections *c, uint16_t lineage, slice name, const struct coll_counts *d);
void collections_get(struct collections *c, uint16_t lineage, slice name, struct coll_counts *out); /* zeros when unknown */
/* Copies of one lineage's collections (NODE_ALL_LINEAGES: of all), in order of lineage and name; each and the array are the caller's to free. */
struct collection **collections_copy(struct collections *c, uint16_t lineage, size_t *n);
void collections_flush(struct collections *c, uint16_t lineage); /* or NODE_ALL_LINEAGES */
void collections_save(struct collections *c, struct buf *out);
int collections_load(struct collections *c, const uint8_t **p, const uint8_t *end) MUST_CHECK;

#endif
