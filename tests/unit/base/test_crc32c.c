/* CRC-32C against its definition, bit by bit. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST 5000
static uint8_t bytes[MOST];

static uint32_t by_definition(uint32_t crc, const uint8_t *p, size_t n)
{
    crc = ~crc;
    while (n--) {
        crc ^= *p++;
        for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

static void known_values(void **state)
{
    uint8_t b[32] = {0};
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(crc32c(0, b, 32), 0x8a9136aau); /* RFC 3720, B.4 */
    memset(b, 0xff, 32);
    assert_int_equal(crc32c(0, b, 32), 0x62a8ab43u);
    assert_int_equal(crc32c(0, NULL, 0), 0);
    assert_int_equal(crc32c(77, NULL, 0), 77);
}

static void lengths_and_alignments(void **state)
{
    for (size_t n = 0; n < 200; n++) assert_int_equal(crc32c(0, bytes + n % 9, n), by_definition(0, bytes + n % 9, n));
    for (size_t n = 700; n < 860; n++) assert_int_equal(crc32c(5, bytes, n), by_definition(5, bytes, n));
    for (int i = 0; i < 600; i++) {
        size_t n = (size_t)rand() % (MOST + 1), at = (size_t)rand() % (MOST - n + 1);
        uint32_t start = (uint32_t)rand();
        assert_int_equal(crc32c(start, bytes + at, n), by_definition(start, bytes + at, n));
    }
}

static void continues(void **state)
{
    for (size_t cut = 0; cut <= MOST; cut += 113)
        assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, MOST - cut), crc32c(0, bytes, MOST));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(lengths_and_alignments),
        cmocka_unit_test(continues),
    };
    srand(4);
    for (int i = 0; i < MOST; i++) bytes[i] = (uint8_t)(rand() >> 5);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
