/* Digests and checksums.
 *
 * BLAKE2b-256 (RFC 7693, 32-byte digest, no key) names nodes; libb2 is the
 * reference and the fallback of the AVX2 and AVX-512 code. SHA-256 serves the
 * Merkle tree (SHA-NI where the processor has it, else OpenSSL). CRC-32C
 * (Castagnoli, RFC 3720) guards records and blocks. key_hash is a keyed 64-bit
 * hash for tables and index order: its values are stored on disk, so the
 * function and its seed handling must never change within a format version. */
#ifndef VARVE_BASE_HASH_H
#define VARVE_BASE_HASH_H

#include "base/err.h"
#include "base/slice.h"

#define HASH_BYTES 32

API void blake2b_256(uint8_t out[HASH_BYTES], const void *p, size_t n);
/* Four independent messages; same digests as four calls of blake2b_256. Lengths
 * may differ (best when their 128-byte block counts are equal). */
API void blake2b_256_x4(uint8_t out[4][HASH_BYTES], const slice in[4]);
/* Eight of them: with AVX-512 for three quarters of the time of two calls of the above, else for the same. */
API void blake2b_256_x8(uint8_t out[8][HASH_BYTES], const slice in[8]);

API void sha256(uint8_t out[HASH_BYTES], const void *p, size_t n);
/* RFC 9162: leaf = SHA-256(0x00 || 32-byte entry), inner = SHA-256(0x01 || l || r). */
API void sha256_leaf(uint8_t out[HASH_BYTES], const uint8_t entry[HASH_BYTES]);
API void sha256_inner(uint8_t out[HASH_BYTES], const uint8_t l[HASH_BYTES], const uint8_t r[HASH_BYTES]);
/* n leaves, and n inner nodes over 2n hashes: cheaper than one by one. `out` may be `entry` or lie up to one hash behind `below`. */
API void sha256_leaves(uint8_t (*out)[HASH_BYTES], const uint8_t (*entry)[HASH_BYTES], size_t n);
API void sha256_row(uint8_t (*out)[HASH_BYTES], const uint8_t (*below)[HASH_BYTES], size_t n);

/* CRC of `n` bytes continued from `crc` (0 to start). */
API uint32_t crc32c(uint32_t crc, const void *p, size_t n);

/* key_hash, exactly (a disk format; all arithmetic is modulo 2^64, loads are
 * little-endian, C0..C3 the first 64 fraction bits of sqrt 2, 3, 5, 7):
 *
 *   fold(x, y) = low64(x*y) ^ high64(x*y)         of the 128-bit product
 *   s = k[0] ^ C0;  t = k[1] ^ C1
 *   n > 16:  for each 16-byte block at i = 0, 16, … while i < n - 16:
 *                s = fold(u64[i] ^ t, u64[i+8] ^ s)
 *            a = u64[n-16];  b = u64[n-8]          (may overlap the last block)
 *   8..16:   a = u64[0];     b = u64[n-8]
 *   4..7:    a = u32[0];     b = u32[n-4]
 *   1..3:    a = p[0] | p[n/2] << 8 | p[n-1] << 16;  b = 0
 *   0:       a = b = 0
 *   m = (a ^ t) * (b ^ s)                          as 128 bits
 *   hash = fold(low64(m) ^ C2 ^ s, high64(m) ^ C3 ^ n)
 *
 * Keyed so that a client who does not know the seed cannot choose keys that
 * collide; it is no message authentication code. */
struct hash_seed {
    uint64_t k[2];
};
API uint64_t key_hash(const struct hash_seed *seed, const void *p, size_t n);

API void hex_encode(char *out, const uint8_t *p, size_t n); /* 2n digits and a NUL */
API void hex_digits(char *out, const uint8_t *p, size_t n); /* 2n digits and nothing else */
/* Decodes exactly n bytes from 2n hex digits of either case; false if not hex. */
API bool hex_decode(uint8_t *out, const char *hex, size_t n);

#endif
