/* Eight BLAKE2b-256 digests at once (RFC 7693), with AVX-512.
 *
 * The four-way code (hash_blake2.c) waits for its own results much of the time: a mixing is one long chain. Registers of twice the width have twice the
 * work in flight for the same chain, rotate in one instruction, and there are enough of them for the whole state. What has no such
 * processor takes the four-way code twice. */
#include "base/codec.h"
#include "base/hash_blake2_part.h"

#define LANES 8

static void four_by_four(uint8_t out[LANES][HASH_BYTES], const slice in[LANES])
{
    blake2b_256_x4(out, in);
    blake2b_256_x4(out + 4, in + 4);
}

static void (*run_x8)(uint8_t out[LANES][HASH_BYTES], const slice in[LANES]) = four_by_four;

#ifdef __x86_64__
#include <immintrin.h>

#define AVX512        __attribute__((target("avx512f,avx512vl,avx512bw")))
#define INLINE_AVX512 __attribute__((target("avx512f,avx512vl,avx512bw"), always_inline)) static inline

typedef __m512i v8;
typedef __m256i half;

INLINE_AVX512 v8 add(v8 a, v8 b)
{
    return _mm512_add_epi64(a, b);
}
INLINE_AVX512 v8 xor (v8 a, v8 b) { return _mm512_xor_si512(a, b); } INLINE_AVX512 v8 splat(uint64_t x)
{
    return _mm512_set1_epi64((long long)x);
}

/* Four mixings of one half round side by side, so that the processor can overlap them. */
INLINE_AVX512 void mix4(v8 *v, const v8 *m, const uint8_t *s, const uint8_t at[4][4])
{
    for (int second = 0; second < 2; second++) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) v[at[i][0]] = add(add(v[at[i][0]], v[at[i][1]]), m[s[2 * i + second]]);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            v8 x = xor(v[at[i][3]], v[at[i][0]]);
            v[at[i][3]] = second ? _mm512_ror_epi64(x, 16) : _mm512_ror_epi64(x, 32);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) v[at[i][2]] = add(v[at[i][2]], v[at[i][3]]);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            v8 x = xor(v[at[i][1]], v[at[i][2]]);
            v[at[i][1]] = second ? _mm512_ror_epi64(x, 63) : _mm512_ror_epi64(x, 24);
        }
    }
}

/* m[w] = word w of four blocks, of the four words that begin at byte `from`. */
INLINE_AVX512 void load_half(half m[4], const uint8_t *const block[4], int from)
{
    half a = _mm256_loadu_si256((const half *)(const void *)(block[0] + from));
    half b = _mm256_loadu_si256((const half *)(const void *)(block[1] + from));
    half c = _mm256_loadu_si256((const half *)(const void *)(block[2] + from));
    half d = _mm256_loadu_si256((const half *)(const void *)(block[3] + from));
    half ab_even = _mm256_unpacklo_epi64(a, b), ab_odd = _mm256_unpackhi_epi64(a, b);
    half cd_even = _mm256_unpacklo_epi64(c, d), cd_odd = _mm256_unpackhi_epi64(c, d);
    m[0] = _mm256_permute2x128_si256(ab_even, cd_even, 0x20);
    m[1] = _mm256_permute2x128_si256(ab_odd, cd_odd, 0x20);
    m[2] = _mm256_permute2x128_si256(ab_even, cd_even, 0x31);
    m[3] = _mm256_permute2x128_si256(ab_odd, cd_odd, 0x31);
}

INLINE_AVX512 void load_words(v8 m[16], const uint8_t *const block[LANES])
{
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
        half low[4], high[4];
        load_half(low, block, 32 * g);
        load_half(high, block + 4, 32 * g);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) m[4 * g + i] = _mm512_inserti64x4(_mm512_castsi256_si512(low[i]), high[i], 1);
    }
}

AVX512 static void compress(v8 h[8], const uint8_t *const block[LANES], v8 counter, v8 final)
{
    static const uint8_t column[4][4] = {{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}};
    static const uint8_t diagonal[4][4] = {{0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14}};
    v8 m[16], v[16];
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

AVX512 static void take_digests(uint8_t out[LANES][HASH_BYTES], const v8 h[8], const uint64_t final[LANES])
{
    uint64_t word[4][LANES];
    for (int i = 0; i < 4; i++) _mm512_storeu_si512(word[i], h[i]);
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; final[lane] && i < 4; i++) put_u64(out[lane] + 8 * i, word[i][lane]);
}

AVX512 static void avx512_x8(uint8_t out[LANES][HASH_BYTES], const slice in[LANES])
{
    struct lane lane[LANES];
    uint8_t pad[LANES][BLOCK_BYTES];
    v8 h[8];
    size_t most = lanes_begin(lane, in, LANES);
    for (int i = 0; i < 8; i++) h[i] = splat(iv[i] ^ (i == 0 ? PARAMETERS : 0));
    for (size_t b = 0; b < most; b++) {
        const uint8_t *block[LANES];
        uint64_t counter[LANES], final[LANES], ends = 0;
        for (int i = 0; i < LANES; i++) {
            block[i] = block_of(&lane[i], b, pad[i]);
            lane_block(&lane[i], b, &counter[i], &final[i]);
            ends |= final[i];
        }
        compress(h, block, _mm512_loadu_si512(counter), _mm512_loadu_si512(final));
        if (ends) take_digests(out, h, final);
    }
}
#endif

__attribute__((constructor)) static void choose(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        run_x8 = avx512_x8;
#endif
}

void blake2b_256_x8(uint8_t out[LANES][HASH_BYTES], const slice in[LANES])
{
    run_x8(out, in);
}
