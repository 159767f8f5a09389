/* A blocked Bloom filter over 64-bit hashes: one cache line a question, about 10 bits a member, about 1 % false answers.
 * Plain bytes: what lies in memory is what lies in a run file (format-index.md). */
#ifndef VARVE_ENGINE_INDEX_FILTER_H
#define VARVE_ENGINE_INDEX_FILTER_H

#include "base/codec.h"
#include "base/err.h"

#define FILTER_BLOCK_BYTES 64u
#define FILTER_BITS 10u /* a member */
#define FILTER_PROBES 6u

struct index_filter {
    uint8_t *bits; /* aligned to a cache line; NULL when n_blocks is 0 */
    uint64_t n_blocks;
    void *memory;
};

/* An empty filter for up to `members`; 0 makes one that says no to everything. */
void index_filter_init(struct index_filter *f, uint64_t members);
/* One of a known size whose bytes the caller fills in. */
void index_filter_init_blocks(struct index_filter *f, uint64_t n_blocks);
void index_filter_fini(struct index_filter *f);
void index_filter_add(struct index_filter *f, uint64_t hash);
/* Halves the filter while it stays large enough for `members`: for when fewer came than were announced. */
void index_filter_shrink(struct index_filter *f, uint64_t members);
uint64_t index_filter_hash(slice prefix); /* fixed: stored in the format */

static inline uint8_t *filter_block(const struct index_filter *f, uint64_t hash)
{
    return f->bits + (((hash >> 32) * f->n_blocks) >> 32) * FILTER_BLOCK_BYTES;
}
static inline uint64_t filter_probes(uint64_t hash) { return (hash ^ hash >> 29) * 0x9e3779b97f4a7c15u; }
static inline bool index_filter_has(const struct index_filter *f, uint64_t hash)
{
    if (f->n_blocks == 0) return false;
    const uint8_t *b = filter_block(f, hash);
    uint64_t g = filter_probes(hash);
    unsigned all = 1; /* all six are asked: they lie in one cache line, and leaving early costs a wrong guess of where */
    for (unsigned i = 0; i < FILTER_PROBES; i++, g >>= 9) all &= (unsigned)b[(g & 511) >> 3] >> (g & 7);
    return all & 1;
}
static inline void index_filter_prefetch(const struct index_filter *f, uint64_t hash)
{
    if (f->n_blocks) __builtin_prefetch(filter_block(f, hash));
}

#endif
