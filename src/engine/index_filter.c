/* See index_filter.h. The block is chosen by scaling the hash's upper half, so that joining neighbouring blocks pairwise is the same as
 * having built a filter of half the size. */
#include "engine/index_filter.h"

#include "base/hash.h"
#include "base/mem.h"

static uint64_t blocks_for(uint64_t members)
{
    uint64_t n = (members * FILTER_BITS + FILTER_BLOCK_BYTES * 8 - 1) / (FILTER_BLOCK_BYTES * 8);
    return n < UINT32_MAX ? n : UINT32_MAX;
}

void index_filter_init_blocks(struct index_filter *f, uint64_t n_blocks)
{
    ASSERT(n_blocks <= UINT32_MAX + (uint64_t)64);
    f->n_blocks = n_blocks;
    f->memory = NULL;
    f->bits = NULL;
    if (n_blocks == 0) return;
    f->memory = mem_zalloc(n_blocks * FILTER_BLOCK_BYTES + FILTER_BLOCK_BYTES - 1);
    f->bits = (uint8_t *)(((uintptr_t)f->memory + FILTER_BLOCK_BYTES - 1) & ~(uintptr_t)(FILTER_BLOCK_BYTES - 1));
    ASSERT(((uintptr_t)f->bits & (FILTER_BLOCK_BYTES - 1)) == 0);
}

void index_filter_init(struct index_filter *f, uint64_t members)
{
    uint64_t n = blocks_for(members);
    /* Divisible by a power of two, so that shrink can halve it down to 16 to 31 blocks; at most a sixteenth larger. */
    uint64_t grain = 1;
    while (grain * 32 <= n) grain *= 2;
    n = (n + grain - 1) / grain * grain;
    index_filter_init_blocks(f, n < UINT32_MAX ? n : UINT32_MAX);
}

void index_filter_fini(struct index_filter *f)
{
    mem_free(f->memory);
    *f = (struct index_filter){0};
}

void index_filter_add(struct index_filter *f, uint64_t hash)
{
    ASSERT(f->n_blocks > 0);
    uint8_t *b = filter_block(f, hash);
    uint64_t g = filter_probes(hash);
    for (unsigned i = 0; i < FILTER_PROBES; i++, g >>= 9) b[(g & 511) >> 3] |= (uint8_t)(1u << (g & 7));
    DEBUG_ASSERT(index_filter_has(f, hash));
}

void index_filter_shrink(struct index_filter *f, uint64_t members)
{
    uint64_t want = blocks_for(members);
    ASSERT(f->n_blocks > 0 || members == 0);
    if (want == 0) want = members > 0;
    while (f->n_blocks % 2 == 0 && f->n_blocks / 2 >= want && f->n_blocks > 1) {
        f->n_blocks /= 2;
        for (uint64_t i = 0; i < f->n_blocks; i++) {
            uint8_t *to = f->bits + i * FILTER_BLOCK_BYTES, *from = f->bits + 2 * i * FILTER_BLOCK_BYTES;
            for (unsigned j = 0; j < FILTER_BLOCK_BYTES; j++) to[j] = from[j] | from[j + FILTER_BLOCK_BYTES];
        }
    }
    if (members == 0) f->n_blocks = 0;
}

uint64_t index_filter_hash(slice prefix)
{
    static const struct hash_seed fixed = {{0, 0}};
    return key_hash(&fixed, prefix.p, prefix.n);
}
