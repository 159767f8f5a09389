/* The write buffer: records, steps, gathering across blocks, the pool. */
#include "unit/engine/index_oracle.h"

#include "engine/index_buffer.h"

static void put_number(struct index_buffer *b, uint64_t i, size_t value_n)
{
    uint8_t key[8];
    put_be64(key, i);
    uint8_t *v = mem_zalloc(value_n + 1);
    index_buffer_put(b, slice_of(key, 8), slice_of(v, value_n), 3, i % 2);
    mem_free(v);
}

static void test_records_and_steps(void **state)
{
    struct mutex lock;
    mutex_init(&lock, "pool", RANK_INDEX);
    struct index_buffer b;
    index_buffer_init(&b, &lock, 1 << 20, 17);
    assert_int_equal(index_buffer_stepped(&b).covers, 17);
    put_number(&b, 0, 5);
    assert_int_equal(index_buffer_pending(&b), 0); /* an unfinished step is nobody's business */
    put_number(&b, 1, 0);
    index_buffer_step(&b, 20);
    put_number(&b, 2, 0);
    assert_int_equal(index_buffer_pending(&b), 2);
    struct buffer_step s = index_buffer_stepped(&b);
    assert_int_equal(s.no, 2);
    assert_int_equal(s.covers, 20);
    assert_int_equal(index_buffer_blocks(&b, 2), 1);
    struct ref refs[2];
    struct buffer_block *block;
    index_buffer_gather(&b, 2, refs, &block);
    assert_int_equal(refs[0].prefix, 1); /* newest first */
    assert_true(record_tombstone(refs[0].record));
    assert_false(record_tombstone(refs[1].record));
    assert_int_equal(record_value(refs[1].record).n, 5);
    assert_int_equal(record_filter_n(refs[1].record), 3);
    index_buffer_frozen(&b, &s);
    assert_int_equal(index_buffer_pending(&b), 0);
    index_buffer_drop(&b, block);
    index_buffer_fini(&b);
    mutex_fini(&lock);
}

/* Blocks fill, large records get their own, frozen blocks come back through the pool. */
static void test_many_blocks(void **state)
{
    struct mutex lock;
    mutex_init(&lock, "pool", RANK_INDEX);
    struct index_buffer b;
    index_buffer_init(&b, &lock, 4 << 20, 0);
    uint64_t no = 0;
    size_t high = 0;
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 9000; i++) put_number(&b, no++, i == 4000 ? INDEX_VALUE_MAX : (size_t)i % 50);
        index_buffer_step(&b, no);
        struct buffer_step s = index_buffer_stepped(&b);
        size_t n = index_buffer_blocks(&b, s.no);
        struct ref *refs = mem_alloc(9000 * sizeof *refs);
        struct buffer_block **blocks = mem_alloc(n * sizeof *blocks);
        index_buffer_gather(&b, s.no, refs, blocks);
        for (uint64_t i = 0; i < 9000; i++) assert_int_equal(refs[i].prefix, no - 1 - i);
        index_buffer_frozen(&b, &s);
        index_buffer_hold(blocks[0]);
        for (size_t i = 0; i < n; i++) index_buffer_drop(&b, blocks[i]);
        index_buffer_drop(&b, blocks[0]);
        mem_free(refs);
        mem_free(blocks);
        size_t now = atomic_load(&b.memory_bytes);
        if (round == 4) high = now;
        if (round > 4) assert_true(now <= high + INDEX_BUFFER_BLOCK_BYTES + INDEX_VALUE_MAX + 4096);
    }
    index_buffer_fini(&b);
    mutex_fini(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_records_and_steps), cmocka_unit_test(test_many_blocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
