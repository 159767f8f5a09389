/* The eight-way code against the reference, over lengths alike and apart, in every lane. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST 5000
static uint8_t bytes[8][MOST];

static void check(const slice in[8])
{
    uint8_t out[8][HASH_BYTES], one[HASH_BYTES];
    blake2b_256_x8(out, in);
    for (int i = 0; i < 8; i++) {
        blake2b_256(one, in[i].p, in[i].n);
        assert_memory_equal(out[i], one, HASH_BYTES);
    }
}

static void same_lengths(void **state)
{
    for (size_t n = 0; n <= 600; n++) {
        slice in[8];
        for (int i = 0; i < 8; i++) in[i] = slice_of(bytes[i], n);
        check(in);
    }
}

static void random_lengths(void **state)
{
    for (int round = 0; round < 1500; round++) {
        slice in[8];
        size_t most = round % 3 ? 300 : MOST;
        for (int i = 0; i < 8; i++) {
            size_t n = (size_t)rand() % (most + 1);
            in[i] = slice_of(bytes[i] + (size_t)rand() % (MOST - n + 1), n);
        }
        check(in);
    }
}

static void empty_and_shared(void **state)
{
    check((slice[8]){{0}});
    check((slice[8]){{NULL, 0},
                     {bytes[0], 1},
                     {bytes[0], 128},
                     {bytes[0], 129},
                     {bytes[0], 127},
                     {bytes[0], MOST},
                     {NULL, 0},
                     {bytes[0], 256}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_lengths),
        cmocka_unit_test(random_lengths),
        cmocka_unit_test(empty_and_shared),
    };
    srand(2);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < MOST; j++) bytes[i][j] = (uint8_t)(rand() >> 5);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
