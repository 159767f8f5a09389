/* Digests of single messages, key_hash and hexadecimal text. */
#include "base/hash.h"
#include "base/codec.h"

#include <blake2.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

void blake2b_256(uint8_t out[HASH_BYTES], const void *p, size_t n)
{
    int rc = blake2b(out, p, NULL, HASH_BYTES, n, 0);
    ASSERT(rc == 0);
}

/* First 64 bits of the fractions of the square roots of 2, 3, 5 and 7: numbers
 * that nobody chose for a purpose. */
#define C0 0x6a09e667f3bcc908u
#define C1 0xbb67ae8584caa73bu
#define C2 0x3c6ef372fe94f82bu
#define C3 0xa54ff53a5f1d36f1u

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t key_hash(const struct hash_seed *seed, const void *data, size_t n)
{
    const uint8_t *p = data;
    uint64_t s = seed->k[0] ^ C0, t = seed->k[1] ^ C1, a, b;
    if (__builtin_expect(n <= 16, 1)) {
        if (n >= 8) {
            a = get_u64(p);
            b = get_u64(p + n - 8);
        } else if (n >= 4) {
            a = get_u32(p);
            b = get_u32(p + n - 4);
        } else if (n > 0) {
            a = (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
            b = 0;
        } else {
            a = b = 0;
        }
    } else {
        const uint8_t *last = p + n - 16;
        for (; p < last; p += 16) s = fold(get_u64(p) ^ t, get_u64(p + 8) ^ s);
        a = get_u64(last);
        b = get_u64(last + 8);
    }
    unsigned __int128 m = (unsigned __int128)(a ^ t) * (b ^ s);
    return fold((uint64_t)m ^ C2 ^ s, (uint64_t)(m >> 64) ^ C3 ^ n);
}

/* Sixteen bytes at once, where every processor of the kind can: both digits of all of them side by side, then in turn. */
#ifdef __SSE2__
static inline __m128i digits_of(__m128i nibbles)
{
    __m128i letters = _mm_and_si128(_mm_cmpgt_epi8(nibbles, _mm_set1_epi8(9)), _mm_set1_epi8('a' - '0' - 10));
    return _mm_add_epi8(_mm_add_epi8(nibbles, _mm_set1_epi8('0')), letters);
}

static void sixteen(char *out, const uint8_t *p)
{
    __m128i low4 = _mm_set1_epi8(15), bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i high = digits_of(_mm_and_si128(_mm_srli_epi16(bytes, 4), low4)), low = digits_of(_mm_and_si128(bytes, low4));
    _mm_storeu_si128((__m128i *)(void *)out, _mm_unpacklo_epi8(high, low));
    _mm_storeu_si128((__m128i *)(void *)(out + 16), _mm_unpackhi_epi8(high, low));
}
#endif

void hex_digits(char *out, const uint8_t *p, size_t n)
{
    static const char digit[] = "0123456789abcdef";
#ifdef __SSE2__
    for (; n >= 16; n -= 16, p += 16, out += 32) sixteen(out, p);
#endif
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digit[p[i] >> 4];
        out[2 * i + 1] = digit[p[i] & 15];
    }
}

void hex_encode(char *out, const uint8_t *p, size_t n)
{
    hex_digits(out, p, n);
    out[2 * n] = 0;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool hex_decode(uint8_t *out, const char *hex, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int hi = nibble(hex[2 * i]);
        if (hi < 0) return false; /* before the next digit is read: the text may end here */
        int lo = nibble(hex[2 * i + 1]);
        if (lo < 0) return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}
