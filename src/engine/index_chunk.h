/* A chunk: a sorted, immutable piece of the index's write buffer. One entry per key (the newest of the piece).
 * Holds references on the buffer blocks that its records lie in. Any thread may read it; the count of references is atomic. */
#ifndef VARVE_ENGINE_INDEX_CHUNK_H
#define VARVE_ENGINE_INDEX_CHUNK_H

#include "engine/index_buffer.h"

#define INDEX_CHUNK_ENTRIES 16384u /* the writer freezes at this many: the sort stays inside the second-level cache */
#define INDEX_CHUNKS_AIM 12u       /* what readers like to see: merging for them starts above this many */
#define INDEX_CHUNKS_MANY 128u     /* merging starts above this many although nobody reads */
#define INDEX_CHUNK_SOURCES_MAX 256u

struct index_chunk {
    atomic_uint refs;
    struct index_buffer *home;
    size_t n;         /* entries */
    uint64_t filtered; /* at most so many entries have a filter prefix */
    uint64_t bytes;   /* buffer memory that freezing took over, dead duplicates included */
    size_t n_blocks;
    struct buffer_block **blocks; /* oldest first */
    struct ref ref[]; /* ascending keys */
};

/* Freezes [frozen, upto) of the buffer; upto must be beyond frozen. The caller makes it visible, then calls index_buffer_frozen. */
struct index_chunk *index_chunk_freeze(struct index_buffer *b, const struct buffer_step *upto);
/* Merges k >= 1 chunks, given newest first, adjacent in age. The newest entry of a key wins. */
struct index_chunk *index_chunk_merge(struct index_chunk *const *chunks, size_t k);
/* The same merge, each entry handed to fn instead: E_OK, or the first negative answer. */
int index_chunk_each(struct index_chunk *const *chunks, size_t k, int (*fn)(void *ctx, const uint8_t *record), void *ctx) MUST_CHECK;
/* How many of the newest chunks (of n, newest first) to merge to keep their number low: 0 = none. Never more than `limit` entries. */
size_t index_chunk_due(struct index_chunk *const *chunks, size_t n, size_t limit);
void index_chunk_hold(struct index_chunk *c);
void index_chunk_drop(struct index_chunk *c);
/* Index of the first entry >= key; n when there is none. */
size_t index_chunk_seek(const struct index_chunk *c, slice key);

/* Stable sort by key; equal keys keep their order. tmp has room for n. */
void index_sort_refs(struct ref *a, struct ref *tmp, size_t n);

#endif
