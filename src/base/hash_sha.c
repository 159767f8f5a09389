#include "base/hash.h"

#include <openssl/evp.h>

void sha256(uint8_t out[HASH_BYTES], const void *p, size_t n)
{
    unsigned len = 0;
    int ok = EVP_Digest(p, n, out, &len, EVP_sha256(), NULL);
    ASSERT(ok == 1 && len == HASH_BYTES);
}

void sha256_leaf(uint8_t out[HASH_BYTES], const uint8_t entry[HASH_BYTES])
{
    uint8_t m[1 + HASH_BYTES];
    m[0] = 0;
    memcpy(m + 1, entry, HASH_BYTES);
    sha256(out, m, sizeof m);
}

void sha256_inner(uint8_t out[HASH_BYTES], const uint8_t l[HASH_BYTES], const uint8_t r[HASH_BYTES])
{
    uint8_t m[1 + 2 * HASH_BYTES];
    m[0] = 1;
    memcpy(m + 1, l, HASH_BYTES);
    memcpy(m + 1 + HASH_BYTES, r, HASH_BYTES);
    sha256(out, m, sizeof m);
}
