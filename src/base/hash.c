/* Digests of single messages, key_hash and hexadecimal text. */
#include "base/hash.h"
#include "base/codec.h"

#include <blake2.h>

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

void hex_encode(char *out, const uint8_t *p, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digit[p[i] >> 4];
        out[2 * i + 1] = digit[p[i] & 15];
    }
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
