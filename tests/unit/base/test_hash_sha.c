/* SHA-256 against OpenSSL, and the two shapes of the Merkle tree. */
#include "base/hash.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST 5000
static uint8_t bytes[MOST];

static void check(const uint8_t *p, size_t n)
{
    uint8_t ours[HASH_BYTES], theirs[HASH_BYTES];
    unsigned len;
    sha256(ours, p, n);
    assert_int_equal(EVP_Digest(p, n, theirs, &len, EVP_sha256(), NULL), 1);
    assert_memory_equal(ours, theirs, HASH_BYTES);
}

static void all_short_and_random_lengths(void **state)
{
    for (size_t n = 0; n <= 300; n++) check(bytes, n);
    for (int i = 0; i < 1000; i++) {
        size_t n = (size_t)rand() % (MOST + 1);
        check(bytes + (size_t)rand() % (MOST - n + 1), n);
    }
}

static void known_value(void **state)
{
    uint8_t digest[HASH_BYTES];
    char hex[2 * HASH_BYTES + 1];
    sha256(digest, "abc", 3);
    hex_encode(hex, digest, HASH_BYTES);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void leaf_and_inner(void **state)
{
    for (int i = 0; i < 200; i++) {
        const uint8_t *l = bytes + rand() % 4000, *r = bytes + rand() % 4000;
        uint8_t m[1 + 2 * HASH_BYTES] = {0}, want[HASH_BYTES], got[HASH_BYTES];
        memcpy(m + 1, l, HASH_BYTES);
        sha256(want, m, 1 + HASH_BYTES);
        sha256_leaf(got, l);
        assert_memory_equal(got, want, HASH_BYTES);
        m[0] = 1;
        memcpy(m + 1 + HASH_BYTES, r, HASH_BYTES);
        sha256(want, m, sizeof m);
        sha256_inner(got, l, r);
        assert_memory_equal(got, want, HASH_BYTES);
        memcpy(got, l, HASH_BYTES); /* the output may be an input */
        sha256_inner(got, got, r);
        assert_memory_equal(got, want, HASH_BYTES);
    }
}

/* Many at once give what one by one gives, also in place and into a place one hash further. */
static void rows(void **state)
{
    for (size_t n = 0; n < 9; n++) {
        uint8_t in[2 * 9][HASH_BYTES], want[9][HASH_BYTES], room[2 * 9 + 1][HASH_BYTES];
        memcpy(in, bytes + rand() % 3000, sizeof in);
        for (size_t i = 0; i < n; i++) sha256_leaf(want[i], in[i]);
        memcpy(room, in, sizeof in);
        sha256_leaves(room, (const uint8_t(*)[HASH_BYTES])room, n);
        assert_memory_equal(room, want, n * HASH_BYTES);
        for (size_t i = 0; i < n; i++) sha256_inner(want[i], in[2 * i], in[2 * i + 1]);
        for (size_t shift = 0; shift < 2; shift++) {
            memcpy(room, in, sizeof in);
            sha256_row(room + shift, (const uint8_t(*)[HASH_BYTES])room, n);
            assert_memory_equal(room[shift], want, n * HASH_BYTES);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_value),
        cmocka_unit_test(all_short_and_random_lengths),
        cmocka_unit_test(leaf_and_inner),
        cmocka_unit_test(rows),
    };
    srand(3);
    for (int i = 0; i < MOST; i++) bytes[i] = (uint8_t)(rand() >> 5);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
