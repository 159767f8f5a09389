#include "tool/digest.h"

#include "base/err.h"

#include <blake2.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define CRC_POLYNOMIAL 0x82f63b78u /* Castagnoli, reflected (RFC 3720) */

/* table[k][b]: what byte b does to the CRC when k more bytes follow it; eight bytes are taken at once. */
static uint32_t table[8][256];

static void fill_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t c = b;
        for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (c & 1 ? CRC_POLYNOMIAL : 0);
        table[0][b] = c;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t b = 0; b < 256; b++) table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 255];
}

uint32_t digest_crc(uint32_t crc, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    if (table[0][1] == 0) fill_table();
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t next = 0;
        for (int i = 0; i < 4; i++) next ^= table[7 - i][(uint8_t)(crc >> 8 * i) ^ p[i]];
        for (int i = 4; i < 8; i++) next ^= table[7 - i][p[i]];
        crc = next;
    }
    for (; n > 0; n--) crc = crc >> 8 ^ table[0][(uint8_t)crc ^ *p++];
    return ~crc;
}

void digest_blake(uint8_t out[DIGEST_BYTES], const void *p, size_t n)
{
    int rc = blake2b(out, p, NULL, DIGEST_BYTES, n, 0);
    ASSERT(rc == 0);
}

void digest_sha(uint8_t out[DIGEST_BYTES], const void *p, size_t n)
{
    static EVP_MD_CTX *ctx;
    unsigned got = 0;
    if (!ctx) ctx = EVP_MD_CTX_new();
    ASSERT(ctx);
    int ok = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) && EVP_DigestUpdate(ctx, p, n) && EVP_DigestFinal_ex(ctx, out, &got);
    ASSERT(ok && got == DIGEST_BYTES);
}

void digest_leaf(uint8_t out[DIGEST_BYTES], const uint8_t entry[DIGEST_BYTES])
{
    uint8_t m[1 + DIGEST_BYTES] = {0};
    memcpy(m + 1, entry, DIGEST_BYTES);
    digest_sha(out, m, sizeof m);
}

void digest_inner(uint8_t out[DIGEST_BYTES], const uint8_t left[DIGEST_BYTES], const uint8_t right[DIGEST_BYTES])
{
    uint8_t m[1 + 2 * DIGEST_BYTES] = {1};
    memcpy(m + 1, left, DIGEST_BYTES);
    memcpy(m + 1 + DIGEST_BYTES, right, DIGEST_BYTES);
    digest_sha(out, m, sizeof m);
}

void merkle_add(struct merkle *m, const uint8_t entry[DIGEST_BYTES])
{
    uint8_t h[DIGEST_BYTES];
    unsigned height = 0;
    digest_leaf(h, entry);
    for (;; height++) {
        ASSERT(height < 64);
        if (m->whole) m->whole(m->ctx, height, m->n >> height, h);
        if (!(m->n >> height & 1)) break;
        digest_inner(h, m->peak[height], h);
    }
    memcpy(m->peak[height], h, DIGEST_BYTES);
    m->n++;
}

void merkle_root(const struct merkle *m, uint8_t out[DIGEST_BYTES])
{
    bool any = false;
    if (m->n == 0) digest_sha(out, "", 0);
    for (unsigned height = 0; height < 64; height++) {
        if (!(m->n >> height & 1)) continue;
        if (any) digest_inner(out, m->peak[height], out);
        else memcpy(out, m->peak[height], DIGEST_BYTES);
        any = true;
    }
}

void digest_hex(char out[2 * DIGEST_BYTES + 1], const uint8_t hash[DIGEST_BYTES])
{
    for (int i = 0; i < DIGEST_BYTES; i++) (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
}
