/* Sorting of references: kinds of keys that stress the cached windows; stability. */
#include "unit/engine/index_oracle.h"

#include "engine/index_chunk.h"

/* Makes key i of a kind; the value is i, so that stability shows. */
static void make_key(struct rng *r, int kind, uint64_t i, struct buf *key)
{
    buf_clear(key);
    switch (kind) {
    case 0: version_key(key, rng_below(r, 5000), i); break;
    case 1: version_key(key, rng_below(r, 3), 1u << 20 | i); break;        /* hot keys: few windows, long groups */
    case 2: buf_printf(key, "a long common beginning of all keys:%llu", (unsigned long long)rng_below(r, 3000)); break;
    case 3: buf_printf(key, "user:%05llu:%llu", (unsigned long long)rng_below(r, 50), (unsigned long long)rng_below(r, 100)); break;
    default: random_key(r, key, 200);
    }
}

static void test_sorted_and_stable(void **state)
{
    struct rng r = rng_start("sorted_and_stable", 21);
    const size_t sizes[] = {1, 2, 15, 16, 17, 300, 511, 512, 5000, 20000};
    struct mutex lock;
    mutex_init(&lock, "pool", RANK_INDEX);
    struct buf key = {0};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (int kind = 0; kind < 5; kind++) {
            size_t n = sizes[k];
            struct index_buffer b;
            index_buffer_init(&b, &lock, 1 << 20, 0);
            struct ref *a = mem_alloc(n * sizeof *a), *tmp = mem_alloc(n * sizeof *tmp);
            for (size_t i = 0; i < n; i++) {
                uint8_t v[8];
                put_u64(v, i);
                make_key(&r, kind, i, &key);
                index_buffer_put(&b, buf_slice(&key), slice_of(v, 8), 0, false);
            }
            index_buffer_step(&b, 1);
            struct buffer_block **blocks = mem_alloc(sizeof *blocks * (index_buffer_blocks(&b, n) + 1));
            size_t n_blocks = index_buffer_blocks(&b, n);
            index_buffer_gather(&b, n, a, blocks);
            for (size_t i = 0; i < n; i++) assert_int_equal(get_u64(record_value(a[i].record).p), n - 1 - i);
            index_sort_refs(a, tmp, n);
            for (size_t i = 1; i < n; i++) {
                int c = slice_cmp(record_key(a[i - 1].record), record_key(a[i].record));
                assert_true(c <= 0);
                if (c == 0) assert_true(get_u64(record_value(a[i - 1].record).p) > get_u64(record_value(a[i].record).p));
                assert_int_equal(a[i].prefix, key_prefix(record_key(a[i].record)));
            }
            for (size_t i = 0; i < n_blocks; i++) index_buffer_drop(&b, blocks[i]);
            mem_free(blocks);
            mem_free(a);
            mem_free(tmp);
            index_buffer_fini(&b);
        }
    }
    buf_fini(&key);
    mutex_fini(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sorted_and_stable)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
