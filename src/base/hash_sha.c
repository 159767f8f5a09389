/* SHA-256 (FIPS 180-4) by the SHA instructions of x86 processors, else by
 * OpenSSL. The two shapes of the Merkle tree have lengths known beforehand, so
 * their padding is laid out directly: one block for a leaf, two for an inner
 * node.
 *
 * One message is bound by the latency of its rounds, each of which waits for the
 * one before. Two independent messages side by side fill the gaps, so the forms
 * for many leaves or nodes take them in pairs. */
#include "base/hash.h"
#include "base/codec.h"

#include <openssl/evp.h>

#define BLOCK_BYTES 64

static void openssl_sha256(uint8_t out[HASH_BYTES], const uint8_t *p, size_t n)
{
    unsigned len = 0;
    int ok = EVP_Digest(p, n, out, &len, EVP_sha256(), NULL);
    ASSERT(ok == 1 && len == HASH_BYTES);
}

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>

#define SHA_NI __attribute__((target("sha,sse4.1")))

static bool has_sha_ni; /* written once, before main */

static const uint32_t round_key[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* The instructions want the state as two registers, ABEF and CDGH, high word first. */
struct state {
    __m128i abef, cdgh;
};

SHA_NI static struct state start(void)
{
    return (struct state){_mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c),
                          _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19)};
}

#define load128(p) _mm_loadu_si128((const __m128i *)(const void *)(p))

/* Words 4g .. 4g+3 of the message schedule; w holds the last sixteen. */
SHA_NI static inline __m128i schedule(__m128i w[4], int g, const uint8_t *p)
{
    const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    __m128i *now = &w[g % 4];
    if (g < 4) {
        *now = _mm_shuffle_epi8(load128(p + 16 * g), swap);
    } else {
        __m128i last = w[(g + 3) % 4];
        __m128i x = _mm_sha256msg1_epu32(*now, w[(g + 1) % 4]);
        x = _mm_add_epi32(x, _mm_alignr_epi8(last, w[(g + 2) % 4], 4));
        *now = _mm_sha256msg2_epu32(x, last);
    }
    return _mm_add_epi32(*now, load128(round_key + 4 * g));
}

SHA_NI static void compress(struct state *s, const uint8_t *p)
{
    __m128i abef = s->abef, cdgh = s->cdgh, w[4];
#pragma GCC unroll 16
    for (int g = 0; g < 16; g++) { /* four rounds each */
        __m128i k = schedule(w, g, p);
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
    }
    s->abef = _mm_add_epi32(s->abef, abef);
    s->cdgh = _mm_add_epi32(s->cdgh, cdgh);
}

/* Two messages, one block each. */
SHA_NI static void compress_two(struct state s[2], const uint8_t *p, const uint8_t *q)
{
    __m128i abef = s[0].abef, cdgh = s[0].cdgh, w[4];
    __m128i abef2 = s[1].abef, cdgh2 = s[1].cdgh, w2[4];
#pragma GCC unroll 16
    for (int g = 0; g < 16; g++) {
        __m128i k = schedule(w, g, p), k2 = schedule(w2, g, q);
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
        cdgh2 = _mm_sha256rnds2_epu32(cdgh2, abef2, k2);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
        abef2 = _mm_sha256rnds2_epu32(abef2, cdgh2, _mm_shuffle_epi32(k2, 0x0e));
    }
    s[0].abef = _mm_add_epi32(s[0].abef, abef);
    s[0].cdgh = _mm_add_epi32(s[0].cdgh, cdgh);
    s[1].abef = _mm_add_epi32(s[1].abef, abef2);
    s[1].cdgh = _mm_add_epi32(s[1].cdgh, cdgh2);
}

SHA_NI static void finish(uint8_t out[HASH_BYTES], const struct state *s)
{
    const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    __m128i abef = _mm_shuffle_epi32(s->abef, 0x1b), ghcd = _mm_shuffle_epi32(s->cdgh, 0xb1); /* lowest word first from here */
    _mm_storeu_si128((__m128i *)(void *)out, _mm_shuffle_epi8(_mm_blend_epi16(abef, ghcd, 0xf0), swap));
    _mm_storeu_si128((__m128i *)(void *)(out + 16), _mm_shuffle_epi8(_mm_alignr_epi8(ghcd, abef, 8), swap));
}

SHA_NI static void ni_sha256(uint8_t out[HASH_BYTES], const uint8_t *p, size_t n)
{
    uint8_t tail[2 * BLOCK_BYTES] = {0};
    struct state s = start();
    size_t left = n;
    for (; left >= BLOCK_BYTES; p += BLOCK_BYTES, left -= BLOCK_BYTES) compress(&s, p);
    if (left) memcpy(tail, p, left);
    tail[left] = 0x80;
    size_t end = left + 9 <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
    put_be64(tail + end - 8, (uint64_t)n * 8);
    for (size_t at = 0; at < end; at += BLOCK_BYTES) compress(&s, tail + at);
    finish(out, &s);
}

static void lay_leaf(uint8_t block[BLOCK_BYTES], const uint8_t *entry)
{
    memset(block, 0, BLOCK_BYTES);
    memcpy(block + 1, entry, HASH_BYTES);
    block[33] = 0x80;
    put_be64(block + BLOCK_BYTES - 8, 33 * 8);
}

static void lay_inner(uint8_t block[2 * BLOCK_BYTES], const uint8_t *l, const uint8_t *r)
{
    memset(block + BLOCK_BYTES, 0, BLOCK_BYTES);
    block[0] = 1;
    memcpy(block + 1, l, HASH_BYTES);
    memcpy(block + 1 + HASH_BYTES, r, HASH_BYTES);
    block[65] = 0x80;
    put_be64(block + 2 * BLOCK_BYTES - 8, 65 * 8);
}

SHA_NI static void ni_leaf(uint8_t out[HASH_BYTES], const uint8_t entry[HASH_BYTES])
{
    uint8_t block[BLOCK_BYTES];
    struct state s = start();
    lay_leaf(block, entry);
    compress(&s, block);
    finish(out, &s);
}

SHA_NI static void ni_two_leaves(uint8_t (*out)[HASH_BYTES], const uint8_t (*entry)[HASH_BYTES])
{
    uint8_t block[2][BLOCK_BYTES];
    struct state s[2] = {start(), start()};
    for (int i = 0; i < 2; i++) lay_leaf(block[i], entry[i]);
    compress_two(s, block[0], block[1]);
    for (int i = 0; i < 2; i++) finish(out[i], &s[i]);
}

SHA_NI static void ni_inner(uint8_t out[HASH_BYTES], const uint8_t l[HASH_BYTES], const uint8_t r[HASH_BYTES])
{
    uint8_t block[2 * BLOCK_BYTES];
    struct state s = start();
    lay_inner(block, l, r);
    compress(&s, block);
    compress(&s, block + BLOCK_BYTES);
    finish(out, &s);
}

SHA_NI static void ni_two_inner(uint8_t (*out)[HASH_BYTES], const uint8_t (*below)[HASH_BYTES])
{
    uint8_t block[2][2 * BLOCK_BYTES];
    struct state s[2] = {start(), start()};
    for (int i = 0; i < 2; i++) lay_inner(block[i], below[2 * i], below[2 * i + 1]);
    compress_two(s, block[0], block[1]);
    compress_two(s, block[0] + BLOCK_BYTES, block[1] + BLOCK_BYTES);
    for (int i = 0; i < 2; i++) finish(out[i], &s[i]);
}

/* clang 14's __builtin_cpu_supports has no name for the SHA instructions, so
 * leaf 7 is read here; once, because each reading traps on virtual machines. */
__attribute__((constructor)) static void choose(void)
{
    __builtin_cpu_init();
    unsigned a, b, c, d;
    has_sha_ni = __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}
#else
#define has_sha_ni false
#define ni_sha256(out, p, n) ((void)0)
#define ni_leaf(out, entry) ((void)0)
#define ni_inner(out, l, r) ((void)0)
#define ni_two_leaves(out, entry) ((void)0)
#define ni_two_inner(out, below) ((void)0)
#endif

void sha256(uint8_t out[HASH_BYTES], const void *p, size_t n)
{
    if (has_sha_ni)
        ni_sha256(out, p, n);
    else
        openssl_sha256(out, p, n);
}

void sha256_leaf(uint8_t out[HASH_BYTES], const uint8_t entry[HASH_BYTES])
{
    if (has_sha_ni) {
        ni_leaf(out, entry);
    } else {
        uint8_t m[1 + HASH_BYTES] = {0};
        memcpy(m + 1, entry, HASH_BYTES);
        openssl_sha256(out, m, sizeof m);
    }
}

void sha256_inner(uint8_t out[HASH_BYTES], const uint8_t l[HASH_BYTES], const uint8_t r[HASH_BYTES])
{
    if (has_sha_ni) {
        ni_inner(out, l, r);
    } else {
        uint8_t m[1 + 2 * HASH_BYTES] = {1};
        memcpy(m + 1, l, HASH_BYTES);
        memcpy(m + 1 + HASH_BYTES, r, HASH_BYTES);
        openssl_sha256(out, m, sizeof m);
    }
}

void sha256_leaves(uint8_t (*out)[HASH_BYTES], const uint8_t (*entry)[HASH_BYTES], size_t n)
{
    size_t i = 0;
    for (; has_sha_ni && i + 2 <= n; i += 2) ni_two_leaves(out + i, entry + i);
    for (; i < n; i++) sha256_leaf(out[i], entry[i]);
}

void sha256_row(uint8_t (*out)[HASH_BYTES], const uint8_t (*below)[HASH_BYTES], size_t n)
{
    size_t i = 0;
    for (; has_sha_ni && i + 2 <= n; i += 2) ni_two_inner(out + i, below + 2 * i);
    for (; i < n; i++) sha256_inner(out[i], below[2 * i], below[2 * i + 1]);
}
