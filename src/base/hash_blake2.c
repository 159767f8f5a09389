/* Four BLAKE2b-256 digests at once (RFC 7693).
 *
 * Each 256-bit register holds one 64-bit word of four independent messages, so
 * the rounds are the scalar algorithm written with vectors and nothing has to
 * move between lanes but the message words as they are loaded. A lane whose
 * message has ended takes zeros along until the longest is done; its digest has
 * been taken out by then.
 *
 * The processor is asked once, before main: each asking traps on a virtual
 * machine. Without AVX2 the reference does one message after the other. */
#include "base/codec.h"
#include "base/hash_blake2_part.h"

static void one_by_one(uint8_t out[4][HASH_BYTES], const slice in[4])
{
    for (int i = 0; i < 4; i++) blake2b_256(out[i], in[i].p, in[i].n);
}

static void (*run_x4)(uint8_t out[4][HASH_BYTES], const slice in[4]) = one_by_one;

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define INLINE_AVX2 __attribute__((target("avx2"), always_inline)) static inline

typedef __m256i v4;

INLINE_AVX2 v4 add(v4 a, v4 b) { return _mm256_add_epi64(a, b); }
INLINE_AVX2 v4 xor(v4 a, v4 b) { return _mm256_xor_si256(a, b); }
INLINE_AVX2 v4 splat(uint64_t x) { return _mm256_set1_epi64x((long long)x); }
INLINE_AVX2 v4 ror32(v4 x) { return _mm256_shuffle_epi32(x, 0xb1); }
INLINE_AVX2 v4 ror24(v4 x)
{
    return _mm256_shuffle_epi8(x, _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, 3, 4, 5, 6, 7, 0, 1,
                                                   2, 11, 12, 13, 14, 15, 8, 9, 10));
}
INLINE_AVX2 v4 ror16(v4 x)
{
    return _mm256_shuffle_epi8(x, _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, 2, 3, 4, 5, 6, 7, 0,
                                                   1, 10, 11, 12, 13, 14, 15, 8, 9));
}
INLINE_AVX2 v4 ror63(v4 x) { return xor(_mm256_srli_epi64(x, 63), add(x, x)); }

/* Four mixings of one half round side by side: they are independent, and the
 * processor overlaps them only if they are interleaved. */
INLINE_AVX2 void mix4(v4 *v, const v4 *m, const uint8_t *s, const uint8_t at[4][4])
{
    for (int half = 0; half < 2; half++) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) v[at[i][0]] = add(add(v[at[i][0]], v[at[i][1]]), m[s[2 * i + half]]);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            v4 x = xor(v[at[i][3]], v[at[i][0]]);
            v[at[i][3]] = half ? ror16(x) : ror32(x);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) v[at[i][2]] = add(v[at[i][2]], v[at[i][3]]);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            v4 x = xor(v[at[i][1]], v[at[i][2]]);
            v[at[i][1]] = half ? ror63(x) : ror24(x);
        }
    }
}

/* m[w] = word w of the four blocks. */
INLINE_AVX2 void load_words(v4 m[16], const uint8_t *const block[4])
{
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
        v4 a = _mm256_loadu_si256((const v4 *)(const void *)(block[0] + 32 * g));
        v4 b = _mm256_loadu_si256((const v4 *)(const void *)(block[1] + 32 * g));
        v4 c = _mm256_loadu_si256((const v4 *)(const void *)(block[2] + 32 * g));
        v4 d = _mm256_loadu_si256((const v4 *)(const void *)(block[3] + 32 * g));
        v4 ab_even = _mm256_unpacklo_epi64(a, b), ab_odd = _mm256_unpackhi_epi64(a, b);
        v4 cd_even = _mm256_unpacklo_epi64(c, d), cd_odd = _mm256_unpackhi_epi64(c, d);
        m[4 * g] = _mm256_permute2x128_si256(ab_even, cd_even, 0x20);
        m[4 * g + 1] = _mm256_permute2x128_si256(ab_odd, cd_odd, 0x20);
        m[4 * g + 2] = _mm256_permute2x128_si256(ab_even, cd_even, 0x31);
        m[4 * g + 3] = _mm256_permute2x128_si256(ab_odd, cd_odd, 0x31);
    }
}

AVX2 static void compress(v4 h[8], const uint8_t *const block[4], v4 counter, v4 final)
{
    static const uint8_t column[4][4] = {{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}};
    static const uint8_t diagonal[4][4] = {{0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14}};
    v4 m[16], v[16];
    load_words(m, block);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        v[i] = h[i];
        v[i + 8] = splat(iv[i]);
    }
    v[12] = xor(v[12], counter); /* lengths stay far below 2^64, so its high word is zero */
    v[14] = xor(v[14], final);
#pragma GCC unroll 12
    for (int r = 0; r < 12; r++) {
        mix4(v, m, sigma[r], column);
        mix4(v, m, sigma[r] + 8, diagonal);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) h[i] = xor(h[i], xor(v[i], v[i + 8]));
}

AVX2 static void take_digest(uint8_t out[HASH_BYTES], const v4 h[8], int lane)
{
    for (int i = 0; i < 4; i++) {
        uint64_t word[4];
        _mm256_storeu_si256((v4 *)(void *)word, h[i]);
        put_u64(out + 8 * i, word[lane]);
    }
}

AVX2 static void avx2_x4(uint8_t out[4][HASH_BYTES], const slice in[4])
{
    struct lane lane[4];
    uint8_t pad[4][BLOCK_BYTES];
    v4 h[8];
    size_t most = lanes_begin(lane, in, 4);
    for (int i = 0; i < 8; i++) h[i] = splat(iv[i] ^ (i == 0 ? PARAMETERS : 0));
    for (size_t b = 0; b < most; b++) {
        const uint8_t *block[4];
        uint64_t counter[4], final[4];
        for (int i = 0; i < 4; i++) {
            block[i] = block_of(&lane[i], b, pad[i]);
            lane_block(&lane[i], b, &counter[i], &final[i]);
        }
        compress(h, block, _mm256_loadu_si256((const v4 *)(const void *)counter),
                 _mm256_loadu_si256((const v4 *)(const void *)final));
        for (int i = 0; i < 4; i++)
            if (final[i]) take_digest(out[i], h, i);
    }
}
#endif

__attribute__((constructor)) static void choose(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) run_x4 = avx2_x4;
#endif
}

void blake2b_256_x4(uint8_t out[4][HASH_BYTES], const slice in[4]) { run_x4(out, in); }
