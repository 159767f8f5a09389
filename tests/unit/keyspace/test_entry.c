#include "base/mem.h"
#include "engine/node.h"
#include "keyspace/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct entry *filled(const char *key, unsigned marks, size_t n)
{
    struct entry *e = entry_new(slice_str(key), marks | ENTRY_LOADED, n, 0);
    for (size_t i = 0; i < n; i++) entry_value_at(e)[i] = (uint8_t)(i * 7);
    e->head = 5;
    e->type = TYPE_STRING;
    entry_set_ver(e, 0x123456789abcu);
    return e;
}

static void assert_filled(const struct entry *e, size_t n)
{
    assert_true(entry_value(e).n >= n);
    for (size_t i = 0; i < n; i++) assert_int_equal(entry_value(e).p[i], (uint8_t)(i * 7));
}

static void test_a_new_entry_holds_its_key_and_nothing_else(void **state)
{
    struct entry *e = entry_new(slice_str("user:1"), ENTRY_EXPIRES, 3, 0);
    assert_true(slice_eq(entry_key(e), slice_str("user:1")));
    assert_int_equal(entry_expiry(e), 0);
    assert_int_equal(e->head, 0);
    assert_false(entry_live(e));
    assert_int_equal(entry_value(e).n, 3);
    entry_free(&e);
    assert_null(e);
}

static void test_a_common_key_and_value_fit_in_160_bytes(void **state)
{
    struct entry *e = filled("key:000000000012", 0, 100);
    assert_true(e->room_bytes <= 160);
    entry_free(&e);
    e = entry_new(slice_str("key:000000000012"), 0, 0, 0);
    assert_int_equal(e->room_bytes, 48);
    entry_free(&e);
}

static void test_versions_have_48_bits(void **state)
{
    struct entry *e = filled("k", 0, 0);
    assert_int_equal(entry_ver(e), 0x123456789abcu);
    entry_free(&e);
}

static void test_an_overwrite_that_fits_stays_in_place(void **state)
{
    struct entry *e = filled("k", 0, 10);
    struct entry *same = entry_shape(e, ENTRY_LOADED, 14, 0, 0);
    assert_ptr_equal(same, e);
    assert_int_equal(entry_value(e).n, 14);
    entry_free(&e);
}

static void test_fresh_makes_a_second_entry(void **state)
{
    struct entry *e = filled("k", ENTRY_EXPIRES, 10);
    entry_set_expiry(e, 77);
    struct entry *copy = entry_shape(e, e->marks | ENTRY_TOUCHED, 10, 0, ENTRY_FRESH | ENTRY_KEEP_VALUE);
    assert_ptr_not_equal(copy, e);
    assert_filled(copy, 10);
    assert_int_equal(entry_expiry(copy), 77);
    assert_int_equal(entry_ver(copy), entry_ver(e));
    entry_free(&e);
    entry_free(&copy);
}

/* Every pair of layouts, in place and moved, keeps slots and value. */
static void test_slots_come_and_go_without_harm(void **state)
{
    for (unsigned from = 0; from < 8; from++) {
        for (unsigned to = 0; to < 8; to++) {
            for (size_t n = 0; n < 300; n += 37) {
                unsigned had = from << 1, want = to << 1;
                struct entry *e = filled("some key", had, n);
                if (had & ENTRY_EXPIRES) entry_set_expiry(e, 1000);
                if (had & ENTRY_WEIGHED) put_u64(entry_weight_at(e), 2000);
                if (had & ENTRY_HASHED) memset((uint8_t *)(uintptr_t)entry_hash(e), 9, HASH_BYTES);
                struct entry *now = entry_shape(e, want | ENTRY_LOADED, n, 0, ENTRY_KEEP_VALUE);
                if (now != e) entry_free(&e);
                assert_filled(now, n);
                assert_true(slice_eq(entry_key(now), slice_str("some key")));
                if (want & ENTRY_EXPIRES) assert_int_equal(entry_expiry(now), had & ENTRY_EXPIRES ? 1000 : 0);
                if (want & ENTRY_WEIGHED) assert_int_equal(entry_weight(now), had & ENTRY_WEIGHED ? 2000 : 0);
                if (want & had & ENTRY_HASHED) assert_int_equal(entry_hash(now)[31], 9);
                entry_free(&now);
            }
        }
    }
}

static void test_a_big_value_gives_its_memory_back(void **state)
{
    struct entry *e = filled("k", 0, 100000);
    struct entry *small = entry_shape(e, ENTRY_LOADED, 3, 0, 0);
    assert_ptr_not_equal(small, e);
    assert_true(small->room_bytes < 128);
    entry_free(&e);
    entry_free(&small);
}

static void test_extra_room_is_for_growing(void **state)
{
    struct entry *e = filled("k", 0, 2000);
    struct entry *big = entry_shape(e, ENTRY_LOADED, 2100, 2100, ENTRY_KEEP_VALUE);
    entry_free(&e);
    assert_true(entry_value_room(big) >= 4200);
    assert_ptr_equal(entry_shape(big, ENTRY_LOADED, 4200, 0, ENTRY_KEEP_VALUE), big);
    assert_filled(big, 2000);
    entry_free(&big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_entry_holds_its_key_and_nothing_else),
        cmocka_unit_test(test_a_common_key_and_value_fit_in_160_bytes),
        cmocka_unit_test(test_versions_have_48_bits),
        cmocka_unit_test(test_an_overwrite_that_fits_stays_in_place),
        cmocka_unit_test(test_fresh_makes_a_second_entry),
        cmocka_unit_test(test_slots_come_and_go_without_harm),
        cmocka_unit_test(test_a_big_value_gives_its_memory_back),
        cmocka_unit_test(test_extra_room_is_for_growing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
