/* What the four-way and the eight-way BLAKE2b share: constants of RFC 7693, and the blocks of a message. Nobody else includes this. */
#ifndef VARVE_BASE_HASH_BLAKE2_PART_H
#define VARVE_BASE_HASH_BLAKE2_PART_H

#include "base/hash.h"

#define BLOCK_BYTES 128

static const uint64_t iv[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

/* Parameter block of an unkeyed 32-byte digest: digest length, key length 0, fanout 1, depth 1. */
#define PARAMETERS 0x01010020u

static const uint8_t sigma[12][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
};

/* One message on its way through the lanes. */
struct lane {
    const uint8_t *p;
    size_t n;
    size_t blocks; /* at least one: the empty message has an empty block */
};

static const uint8_t zeros[BLOCK_BYTES];

/* Where block i of a lane is; a last, partial one is padded into `pad`. */
static inline const uint8_t *block_of(const struct lane *l, size_t i, uint8_t pad[BLOCK_BYTES])
{
    if (i >= l->blocks) return zeros;
    if (l->n - i * BLOCK_BYTES >= BLOCK_BYTES) return l->p + i * BLOCK_BYTES;
    size_t rest = l->n - i * BLOCK_BYTES;
    if (rest) memcpy(pad, l->p + i * BLOCK_BYTES, rest);
    memset(pad + rest, 0, BLOCK_BYTES - rest);
    return pad;
}

/* Sets up n lanes; answers the blocks of the longest. */
static inline size_t lanes_begin(struct lane *lane, const slice *in, size_t n)
{
    size_t most = 0;
    for (size_t i = 0; i < n; i++) {
        size_t blocks = in[i].n == 0 ? 1 : (in[i].n + BLOCK_BYTES - 1) / BLOCK_BYTES;
        lane[i] = (struct lane){in[i].p, in[i].n, blocks};
        if (blocks > most) most = blocks;
    }
    return most;
}

/* The bytes hashed behind block b, and all ones if it is the lane's last. */
static inline void lane_block(const struct lane *l, size_t b, uint64_t *counter, uint64_t *final)
{
    *final = b + 1 == l->blocks ? UINT64_MAX : 0;
    *counter = *final ? l->n : (b + 1) * BLOCK_BYTES;
}

#endif
