#include "base/hash.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct hash_seed seed = {{0x0123456789abcdefu, 0xfedcba9876543210u}};

static void blake2b_vectors(void **state)
{
    uint8_t digest[HASH_BYTES];
    char hex[2 * HASH_BYTES + 1];
    blake2b_256(digest, "", 0); /* as b2sum -l 256 prints them */
    hex_encode(hex, digest, HASH_BYTES);
    assert_string_equal(hex, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    blake2b_256(digest, "abc", 3);
    hex_encode(hex, digest, HASH_BYTES);
    assert_string_equal(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

/* The values are a disk format: these constants must never change. */
static void key_hash_values_are_frozen(void **state)
{
    static const uint64_t golden[] = {
        0xbd414fb6145499fau, 0xbfaa3d8ddc3fe3bcu, 0xd9d49e55c43a9a58u, 0xa5b588e5f93a1d63u, 0x78f46d70e8efbbc2u, 0xa4acaccbb0982543u, 0x96c78ec893fbabd7u, 0x7b99ed56ac4480dau, 0x50481977502a706fu, 0x0cad31d3d0c1e788u, 0x2a7b848bfab7c4eau,
    };
    uint8_t text[40];
    for (int i = 0; i < 40; i++) text[i] = (uint8_t)(i * 11 + 3);
    static const size_t length[] = {0, 1, 3, 4, 7, 8, 16, 17, 32, 33, 40};
    for (size_t i = 0; i < sizeof length / sizeof length[0]; i++)
        assert_int_equal(key_hash(&seed, text, length[i]), golden[i]);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void no_collisions_on_sequential_keys(void **state)
{
    enum { N = 1000000 };
    static const char *const shape[] = {"%d", "key:%012d", "user:%d:profile:settings:and:more"};
    uint64_t *h = mem_alloc(N * sizeof *h);
    for (size_t s = 0; s < 3; s++) {
        size_t low = 0, top[256] = {0};
        for (int i = 0; i < N; i++) {
            char key[64];
            int n = snprintf(key, sizeof key, shape[s], i);
            h[i] = key_hash(&seed, key, (size_t)n);
            low += (h[i] & 15) == 7;
            top[h[i] >> 56]++;
        }
        qsort(h, N, sizeof *h, compare_u64);
        for (int i = 1; i < N; i++) assert_int_not_equal(h[i - 1], h[i]);
        assert_in_range(low, N / 16 - 1500, N / 16 + 1500); /* six sigma is 1452 */
        for (int i = 0; i < 256; i++) assert_in_range(top[i], N / 256 - 375, N / 256 + 375);
    }
    mem_free(h);
}

/* A flipped input bit flips each output bit half of the time. */
static void avalanche(void **state)
{
    static const size_t length[] = {1, 2, 3, 4, 5, 8, 12, 16, 17, 24, 32, 33, 64};
    srand(1);
    for (size_t l = 0; l < sizeof length / sizeof length[0]; l++) {
        size_t n = length[l];
        enum { ROUNDS = 2000 };
        for (size_t bit = 0; bit < 8 * n; bit += 1 + n / 8) {
            unsigned flips[64] = {0};
            for (int r = 0; r < ROUNDS; r++) {
                uint8_t m[64];
                for (size_t i = 0; i < n; i++) m[i] = (uint8_t)(rand() >> 7);
                struct hash_seed random = {{(uint64_t)rand() << 32 ^ (uint64_t)rand(), (uint64_t)rand() << 33 ^ (uint64_t)rand()}};
                uint64_t a = key_hash(&random, m, n);
                m[bit / 8] ^= (uint8_t)(1 << bit % 8);
                a ^= key_hash(&random, m, n);
                for (int i = 0; i < 64; i++) flips[i] += a >> i & 1;
            }
            for (int i = 0; i < 64; i++) assert_in_range(flips[i], ROUNDS / 2 - 150, ROUNDS / 2 + 150);
        }
    }
}

static void length_and_seed_matter(void **state)
{
    static const uint8_t zeros[100];
    uint64_t seen[101];
    for (size_t n = 0; n <= 100; n++) {
        seen[n] = key_hash(&seed, zeros, n);
        for (size_t i = 0; i < n; i++) assert_int_not_equal(seen[i], seen[n]);
        struct hash_seed other = {{seed.k[0] ^ 1, seed.k[1]}}, third = {{seed.k[0], seed.k[1] ^ 1}};
        assert_int_not_equal(key_hash(&other, zeros, n), seen[n]);
        assert_int_not_equal(key_hash(&third, zeros, n), seen[n]);
    }
}

static void hex(void **state)
{
    const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff, 0xa5};
    uint8_t back[6];
    char text[13];
    hex_encode(text, bytes, 6);
    assert_string_equal(text, "00017f80ffa5");
    assert_true(hex_decode(back, "00017F80ffA5", 6));
    assert_memory_equal(back, bytes, 6);
    assert_false(hex_decode(back, "0g", 1));
    assert_false(hex_decode(back, "g0", 1));
    assert_false(hex_decode(back, "", 1));
    assert_false(hex_decode(back, "0", 1));
    assert_true(hex_decode(back, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blake2b_vectors), cmocka_unit_test(key_hash_values_are_frozen),
        cmocka_unit_test(no_collisions_on_sequential_keys), cmocka_unit_test(avalanche),
        cmocka_unit_test(length_and_seed_matter), cmocka_unit_test(hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
