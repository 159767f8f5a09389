#include "base/mem.h"
#include "engine/node.h"
#include "keyspace/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct hash_seed seed = {{11, 22}};

static slice name(char mem[32], uint64_t i)
{
    int n = snprintf(mem, 32, "key:%012llu", (unsigned long long)i);
    return slice_of(mem, (size_t)n);
}

static uint64_t hash_of(slice key)
{
    return key_hash(&seed, key.p, key.n);
}

static void add(struct table *t, uint64_t i)
{
    char mem[32];
    slice key = name(mem, i);
    struct entry *e = entry_new(key, 0, 0, 0);
    e->head = i + 1;
    e->type = TYPE_STRING;
    entry_set_ver(e, 1);
    table_insert(t, hash_of(key), e);
}

static struct entry *get(struct table *t, uint64_t i)
{
    char mem[32];
    slice key = name(mem, i);
    uint64_t *slot = table_find(t, hash_of(key), key);
    return slot != NULL ? slot_entry(*slot) : NULL;
}

static void take(struct table *t, uint64_t i)
{
    char mem[32];
    slice key = name(mem, i);
    uint64_t hash = hash_of(key);
    struct entry *e = table_remove(t, hash, table_find(t, hash, key));
    entry_free(&e);
}

static void test_an_empty_table_finds_nothing(void **state)
{
    struct table t;
    table_init(&t, &seed);
    assert_null(get(&t, 1));
    table_prefetch_bucket(&t, 5);
    table_prefetch_entry(&t, 5);
    table_check(&t);
    table_fini(&t);
}

static void test_every_key_is_found_while_the_table_grows_and_shrinks(void **state)
{
    struct table t;
    const uint64_t n = 30000;
    table_init(&t, &seed);
    for (uint64_t i = 0; i < n; i++) {
        add(&t, i);
        assert_non_null(get(&t, i / 2));
        if (i % 5000 == 0) table_check(&t);
    }
    table_check(&t);
    for (uint64_t i = 0; i < n; i++) assert_int_equal(get(&t, i)->head, i + 1);
    assert_null(get(&t, n));
    uint64_t most = t.buckets;
    for (uint64_t i = 0; i < n; i++) {
        take(&t, i);
        if (i % 5000 == 0) table_check(&t);
        if (i + 1 < n) assert_non_null(get(&t, n - 1));
    }
    assert_int_equal(t.count, 0);
    assert_true(t.buckets < most / 4);
    for (uint64_t i = 0; i < n; i++) add(&t, i); /* grows again over kept segments */
    table_check(&t);
    table_fini(&t);
}

/* A slice of no bytes may have no address. */
static void test_the_empty_key_needs_no_address(void **state)
{
    struct table t;
    table_init(&t, &seed);
    uint64_t hash = hash_of(slice_str(""));
    assert_int_equal(hash_of((slice){0}), hash);
    table_insert(&t, hash, entry_new(slice_str(""), 0, 0, 0));
    assert_non_null(table_find(&t, hash, slice_str("")));
    assert_ptr_equal(table_find(&t, hash, (slice){0}), table_find(&t, hash, slice_str("")));
    struct entry *e = table_remove(&t, hash, table_find(&t, hash, (slice){0}));
    entry_free(&e);
    table_fini(&t);
}

static void test_no_insertion_moves_more_than_a_bucket(void **state)
{
    struct table t;
    table_init(&t, &seed);
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t before = t.buckets;
        add(&t, i);
        if (before >= TABLE_BUCKETS_FIRST) assert_true(t.buckets - before <= 1);
    }
    assert_true(t.overflow < t.buckets / 2);
    assert_true(table_bytes(&t) < 20000 * 20 + 2 * TABLE_SEGMENT * 64);
    table_fini(&t);
}

struct visits {
    uint64_t seen, odd;
};

static struct entry *drop_odd(void *ctx, struct table *t, struct entry *e)
{
    struct visits *v = ctx;
    v->seen++;
    if (e->head % 2 == 0) {
        struct entry *other = entry_shape(e, ENTRY_LOADED, 50, 0, ENTRY_FRESH);
        entry_free(&e);
        return other;
    }
    v->odd++;
    entry_free(&e);
    return NULL;
}

static void test_a_visitor_may_replace_and_take_out(void **state)
{
    struct table t;
    struct visits v = {0};
    table_init(&t, &seed);
    for (uint64_t i = 0; i < 5000; i++) add(&t, i);
    for (uint64_t b = 0; b < t.buckets; b++) table_each(&t, b, drop_odd, &v);
    assert_int_equal(v.seen, 5000);
    assert_int_equal(t.count, 5000 - v.odd);
    table_check(&t);
    for (uint64_t i = 0; i < 5000; i++) assert_int_equal(get(&t, i) != NULL, (i + 1) % 2 == 0);
    table_fini(&t);
}

static void test_a_replaced_entry_keeps_its_slot(void **state)
{
    struct table t;
    char mem[32];
    table_init(&t, &seed);
    for (uint64_t i = 0; i < 100; i++) add(&t, i);
    slice key = name(mem, 42);
    uint64_t *slot = table_find(&t, hash_of(key), key);
    struct entry *old = slot_entry(*slot), *now = entry_shape(old, ENTRY_LOADED, 1000, 0, ENTRY_FRESH);
    slot_replace(slot, now);
    entry_free(&old);
    assert_ptr_equal(get(&t, 42), now);
    table_check(&t);
    table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_table_finds_nothing),
        cmocka_unit_test(test_every_key_is_found_while_the_table_grows_and_shrinks),
        cmocka_unit_test(test_the_empty_key_needs_no_address),
        cmocka_unit_test(test_no_insertion_moves_more_than_a_bucket),
        cmocka_unit_test(test_a_visitor_may_replace_and_take_out),
        cmocka_unit_test(test_a_replaced_entry_keeps_its_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
