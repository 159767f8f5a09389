/* Serialized values. The hexadecimal ones were made by redis-server 7.0.15. */
#include "modules/key/rdb.h"
#include "support/json_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LIMIT (1u << 20)

static void checksum(void **state)
{
    (void)state;
    assert_true(rdb_crc64(0, "123456789", 9) == 0xe9c6d914c4b8d9cau);
    assert_true(rdb_crc64(rdb_crc64(0, "1234", 4), "56789", 5) == 0xe9c6d914c4b8d9cau);
}

static void there_and_back(uint8_t type, slice value)
{
    struct buf out = {0}, mem = {0};
    slice got;
    uint8_t got_type = 99;
    rdb_dump(type, value, &out);
    assert_int_equal(rdb_restore(buf_slice(&out), LIMIT, &mem, &got_type, &got), E_OK);
    assert_int_equal(got_type, type);
    assert_true(slice_eq(got, value));
    for (size_t i = 0; i < out.n; i += 1 + out.n / 50) { /* no flipped bit passes */
        out.p[i] ^= 4;
        assert_true(rdb_restore(buf_slice(&out), LIMIT, &mem, &got_type, &got) < 0);
        out.p[i] ^= 4;
        assert_true(rdb_restore(slice_of(out.p, i), LIMIT, &mem, &got_type, &got) < 0);
    }
    buf_fini(&out);
    buf_fini(&mem);
}

static void values(void **state)
{
    (void)state;
    static const char *const strings[] = {"", "a", "0", "-1", "127", "128", "-129", "32768", "2147483647", "2147483648", "-2147483648", "007", "12345678901"};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) there_and_back(TYPE_STRING, slice_str(strings[i]));
    struct buf text = {0};
    static const size_t sizes[] = {63, 64, 16383, 16384, 70000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        while (text.n < sizes[i]) buf_add_byte(&text, (uint8_t)(text.n * 7));
        there_and_back(TYPE_STRING, buf_slice(&text));
    }
    buf_fini(&text);
    there_and_back(TYPE_DOCUMENT, slice_str("{\"a\":[1,2.0,12345678901234567890]}"));
    there_and_back(TYPE_DOCUMENT, slice_str("1"));
}

static void unhex(const char *hex, struct buf *out)
{
    size_t n = strlen(hex) / 2;
    buf_clear(out);
    buf_reserve(out, n);
    assert_true(hex_decode(out->p, hex, n));
    out->n = n;
}

static void redis_payloads(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"hello", "000568656c6c6f0a006372df766534200a"},
        {"12", "00c00c0a003c2af8515c04bcd5"},
        {"-300", "00c1d4fe0a00c6c48623febede2e"},
        {"70000", "00c2701101000a0001a408fe953095a5"},
        {"99999999999", "000b39393939393939393939390a0023b048fb0edbef7f"},
        {"", "00000a005d9b5c400f7fa2da"},
    };
    struct buf in = {0}, mem = {0}, out = {0};
    uint8_t type;
    slice got;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unhex(rows[i][1], &in);
        assert_int_equal(rdb_restore(buf_slice(&in), LIMIT, &mem, &type, &got), E_OK);
        assert_int_equal(type, TYPE_STRING);
        assert_true(slice_eq(got, slice_str(rows[i][0])));
        buf_clear(&out);
        rdb_dump(TYPE_STRING, got, &out); /* short ones come out as Redis writes them */
        assert_true(slice_eq(buf_slice(&out), buf_slice(&in)));
    }
    /* Packed: a hundred of one letter, and three letters over and over. */
    unhex("00c3094064016161e057000161610a00e8a3b507b06df271", &in);
    assert_int_equal(rdb_restore(buf_slice(&in), LIMIT, &mem, &type, &got), E_OK);
    assert_int_equal(got.n, 100);
    for (size_t i = 0; i < got.n; i++) assert_int_equal(got.p[i], 'a');
    assert_int_equal(rdb_restore(buf_slice(&in), 99, &mem, &type, &got), E_CORRUPT);
    unhex("00c30f416b0361626361e0ff02e153070278797a0a00fe64ad62e1cfb39d", &in);
    assert_int_equal(rdb_restore(buf_slice(&in), LIMIT, &mem, &type, &got), E_OK);
    assert_int_equal(got.n, 363);
    for (size_t i = 0; i < 360; i++) assert_int_equal(got.p[i], "abc"[i % 3]);
    assert_memory_equal(got.p + 360, "xyz", 3);
    buf_fini(&in);
    buf_fini(&mem);
    buf_fini(&out);
}

static void refused(void **state)
{
    (void)state;
    struct buf out = {0}, mem = {0};
    slice got;
    uint8_t type;
    rdb_dump(TYPE_STRING, slice_str("hello"), &out);
    assert_int_equal(rdb_restore(buf_slice(&out), 4, &mem, &type, &got), E_CORRUPT);
    assert_int_equal(rdb_restore(slice_of(out.p, 9), LIMIT, &mem, &type, &got), E_VERSION);
    assert_int_equal(rdb_restore((slice){0}, LIMIT, &mem, &type, &got), E_VERSION);
    put_u16(out.p + out.n - 10, RDB_VERSION + 1);
    put_u64(out.p + out.n - 8, rdb_crc64(0, out.p, out.n - 8));
    assert_int_equal(rdb_restore(buf_slice(&out), LIMIT, &mem, &type, &got), E_VERSION);
    buf_fini(&out);
    buf_fini(&mem);
}

/* Any bytes with a right checksum: never a wild read, and documents only when they are JSON. */
static void random_bodies(void **state)
{
    (void)state;
    struct rng r = {3};
    struct buf mem = {0};
    unsigned good = 0;
    for (int i = 0; i < 200000; i++) {
        uint8_t p[40];
        size_t n = 1 + rng_below(&r, 20);
        for (size_t k = 0; k < n; k++) p[k] = (uint8_t)(rng_below(&r, 3) ? rng_below(&r, 12) : rng_next(&r));
        p[0] = rng_below(&r, 8) ? 0 : 7;
        if (rng_below(&r, 2)) p[1] = (uint8_t)(0xc0 + rng_below(&r, 5));
        put_u16(p + n, 9);
        put_u64(p + n + 2, rdb_crc64(0, p, n + 2));
        slice got;
        uint8_t type;
        uint8_t *copy = mem_dup(p, n + 10);
        int e = rdb_restore(slice_of(copy, n + 10), LIMIT, &mem, &type, &got);
        assert_true(e == E_OK || e == E_CORRUPT);
        if (e == E_OK) good++, assert_true(got.n <= LIMIT);
        mem_free(copy);
    }
    assert_true(good > 100);
    buf_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(checksum), cmocka_unit_test(values), cmocka_unit_test(redis_payloads), cmocka_unit_test(refused),
                                       cmocka_unit_test(random_bodies)};
    return cmocka_run_group_tests_name("key_rdb", tests, NULL, NULL);
}
