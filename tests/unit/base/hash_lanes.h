/* Hashes of several messages side by side against the reference, over lengths alike and apart, in every lane. A test says how many lanes (LANES) and by what (HASH_LANES),
 * then includes this file. */
#ifndef VARVE_TESTS_HASH_LANES_H
#define VARVE_TESTS_HASH_LANES_H

#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST 5000
static uint8_t bytes[LANES][MOST];

static void check(const slice in[LANES])
{
    uint8_t out[LANES][HASH_BYTES], one[HASH_BYTES];
    HASH_LANES(out, in);
    for (int i = 0; i < LANES; i++) {
        blake2b_256(one, in[i].p, in[i].n);
        assert_memory_equal(out[i], one, HASH_BYTES);
    }
}

static void same_lengths(void **state)
{
    for (size_t n = 0; n <= 600; n++) {
        slice in[LANES];
        for (int i = 0; i < LANES; i++) in[i] = slice_of(bytes[i], n);
        check(in);
    }
}

static void random_lengths(void **state)
{
    for (int round = 0; round < 1500; round++) {
        slice in[LANES];
        size_t most = round % 3 ? 300 : MOST;
        for (int i = 0; i < LANES; i++) {
            size_t n = (size_t)rand() % (most + 1);
            in[i] = slice_of(bytes[i] + (size_t)rand() % (MOST - n + 1), n);
        }
        check(in);
    }
}

/* Lengths at the ends of blocks, each in every lane, all of the same bytes. */
static void empty_and_shared(void **state)
{
    static const size_t lengths[] = {0, 1, 128, 129, 127, MOST, 0, 256, MOST};
    enum { LENGTHS = sizeof lengths / sizeof lengths[0] };
    slice in[LANES] = {{NULL, 0}};
    check(in);
    for (size_t shift = 0; shift < LENGTHS; shift++) {
        for (size_t i = 0; i < LANES; i++) {
            size_t n = lengths[(i + shift) % LENGTHS];
            in[i] = slice_of(n ? bytes[0] : NULL, n);
        }
        check(in);
    }
}

static int hash_lanes(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_lengths),
        cmocka_unit_test(random_lengths),
        cmocka_unit_test(empty_and_shared),
    };
    srand(2);
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < MOST; j++) bytes[i][j] = (uint8_t)(rand() >> 5);
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

#endif
