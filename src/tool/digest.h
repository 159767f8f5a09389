/* The tool's own checksums and hashes. Nothing here is shared with what writes a store: CRC-32C has its own table, BLAKE2b is libb2's, SHA-256 is
 * OpenSSL's, and the Merkle root comes from a stack of subtree roots, so that an error in the engine's code cannot vouch for itself. One thread. */
#ifndef VARVE_TOOL_DIGEST_H
#define VARVE_TOOL_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32

uint32_t digest_crc(uint32_t crc, const void *p, size_t n); /* CRC-32C, continued from crc (0 to start) */
void digest_blake(uint8_t out[DIGEST_BYTES], const void *p, size_t n);
void digest_sha(uint8_t out[DIGEST_BYTES], const void *p, size_t n);
/* RFC 9162 section 2.1.1: leaf = SHA-256(0x00 || entry), inner = SHA-256(0x01 || left || right). */
void digest_leaf(uint8_t out[DIGEST_BYTES], const uint8_t entry[DIGEST_BYTES]);
void digest_inner(uint8_t out[DIGEST_BYTES], const uint8_t left[DIGEST_BYTES], const uint8_t right[DIGEST_BYTES]);

/* Root of a growing list. Zero-initialise; `whole` (may be NULL) is told the root of each whole aligned subtree as it is finished. */
struct merkle {
    uint64_t n;
    uint8_t peak[64][DIGEST_BYTES]; /* peak[h]: root of the whole subtree of 2^h leaves, where bit h of n is set */
    void (*whole)(void *ctx, unsigned height, uint64_t index, const uint8_t root[DIGEST_BYTES]);
    void *ctx;
};
void merkle_add(struct merkle *m, const uint8_t entry[DIGEST_BYTES]);
void merkle_root(const struct merkle *m, uint8_t out[DIGEST_BYTES]);

void digest_hex(char out[2 * DIGEST_BYTES + 1], const uint8_t hash[DIGEST_BYTES]);

#endif
