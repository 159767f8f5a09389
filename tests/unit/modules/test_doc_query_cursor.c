/* The text between two pages: what was put in comes out, and nothing else is taken. */
#include "modules/doc/query_cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct hash_seed seed = {{3, 5}}, other = {{3, 6}};

static void encode(const struct query_position *p, struct buf *out)
{
    buf_clear(out);
    query_cursor_encode(p, &seed, out);
}

static void test_round_trip(void **state)
{
    static const uint64_t numbers[] = {0, 1, 127, 128, 1ull << 32, UINT64_MAX};
    static const char *const names[] = {"", "u:1", "a much longer name with \xff bytes"};
    struct buf text = {0}, mem = {0};
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < 3; k++) {
            struct query_position p = {numbers[i], numbers[(i + 1) % 6], numbers[(i + 2) % 6], numbers[(i + 3) % 6], slice_str(names[k])}, got;
            encode(&p, &text);
            assert_int_equal(query_cursor_decode(buf_slice(&text), &seed, &mem, &got), E_OK);
            assert_true(got.seq == p.seq && got.ms == p.ms && got.given == p.given && got.digest == p.digest);
            assert_true(slice_eq(got.name, p.name));
            assert_int_equal(query_cursor_decode(buf_slice(&text), &other, &mem, &got), E_SYNTAX);
        }
    buf_fini(&text);
    buf_fini(&mem);
}

static void test_longest_name(void **state)
{
    struct buf text = {0}, mem = {0}, name = {0};
    struct query_position got;
    memset(buf_reserve(&name, QUERY_CURSOR_NAME_MAX), 'n', QUERY_CURSOR_NAME_MAX);
    name.n = QUERY_CURSOR_NAME_MAX;
    struct query_position p = {UINT64_MAX, UINT64_MAX, UINT64_MAX, 1, buf_slice(&name)};
    encode(&p, &text);
    assert_int_equal(query_cursor_decode(buf_slice(&text), &seed, &mem, &got), E_OK);
    assert_true(slice_eq(got.name, p.name));
    buf_fini(&text);
    buf_fini(&mem);
    buf_fini(&name);
}

/* Every digit in every other spelling, every shorter text, every longer one. */
static void test_mangled(void **state)
{
    static const char digits[] = "0123456789abcdefABCDEFg ";
    struct buf text = {0}, mem = {0};
    struct query_position p = {300, 1234567890123, 7, 0xfeedbeef, slice_str("user:7")}, got;
    encode(&p, &text);
    for (size_t i = 0; i < text.n; i++) {
        uint8_t was = text.p[i];
        for (const char *d = digits; *d; d++) {
            text.p[i] = (uint8_t)*d;
            if (text.p[i] != was) assert_int_equal(query_cursor_decode(buf_slice(&text), &seed, &mem, &got), E_SYNTAX);
        }
        text.p[i] = was;
        assert_int_equal(query_cursor_decode(slice_of(text.p, i), &seed, &mem, &got), E_SYNTAX);
    }
    buf_add_str(&text, "00");
    assert_int_equal(query_cursor_decode(buf_slice(&text), &seed, &mem, &got), E_SYNTAX);
    buf_fini(&text);
    buf_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_longest_name), cmocka_unit_test(test_mangled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
