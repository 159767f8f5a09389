/* Chunks: freezing drops older duplicates, merging keeps the newest, the number of chunks stays small. */
#include "unit/engine/index_oracle.h"

#include "engine/index_chunk.h"

struct setup {
    struct mutex lock;
    struct index_buffer b;
    struct rng r;
    struct oracle o;
    struct buf key, value;
};

static void start(struct setup *s, const char *name, uint64_t seed)
{
    *s = (struct setup){.r = rng_start(name, seed)};
    mutex_init(&s->lock, "pool", RANK_INDEX);
    index_buffer_init(&s->b, &s->lock, 1 << 20, 0);
}

static void stop(struct setup *s)
{
    index_buffer_fini(&s->b);
    mutex_fini(&s->lock);
    oracle_clear(&s->o);
    buf_fini(&s->key);
    buf_fini(&s->value);
}

static struct index_chunk *freeze(struct setup *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t filter_n = random_key(&s->r, &s->key, 30);
        random_value(&s->r, &s->value);
        index_buffer_put(&s->b, buf_slice(&s->key), buf_slice(&s->value), filter_n, false);
        oracle_put(&s->o, buf_slice(&s->key), buf_slice(&s->value));
    }
    index_buffer_step(&s->b, 1);
    struct buffer_step step = index_buffer_stepped(&s->b);
    struct index_chunk *c = index_chunk_freeze(&s->b, &step);
    index_buffer_frozen(&s->b, &step);
    return c;
}

static void check_whole(struct setup *s, const struct index_chunk *c)
{
    assert_int_equal(c->n, s->o.n);
    for (size_t i = 0; i < c->n; i++) {
        assert_slice(record_key(c->ref[i].record), buf_slice(&s->o.e[i].key));
        assert_slice(record_value(c->ref[i].record), buf_slice(&s->o.e[i].value));
    }
    for (int k = 0; k < 500; k++) {
        random_key(&s->r, &s->key, 40);
        assert_int_equal(index_chunk_seek(c, buf_slice(&s->key)), oracle_seek(&s->o, buf_slice(&s->key)));
    }
}

static void test_freeze(void **state)
{
    const size_t sizes[] = {1, 2, 17, 600, 4000, 24000}; /* the last one is packed */
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct setup s;
        start(&s, "freeze", 31 + k);
        struct index_chunk *c = freeze(&s, sizes[k]);
        check_whole(&s, c);
        index_chunk_drop(c);
        stop(&s);
    }
}

static void test_merge(void **state)
{
    for (size_t k = 1; k <= 14; k++) {
        struct setup s;
        struct index_chunk *list[14];
        start(&s, "merge", 40 + k);
        for (size_t i = k; i-- > 0;) list[i] = freeze(&s, 1 + rng_below(&s.r, 500));
        struct index_chunk *all = index_chunk_merge(list, k);
        uint64_t bytes = 0;
        for (size_t i = 0; i < k; i++) {
            bytes += list[i]->bytes;
            index_chunk_drop(list[i]);
        }
        assert_int_equal(all->bytes, bytes);
        check_whole(&s, all); /* the blocks live on through the merged chunk */
        index_chunk_drop(all);
        stop(&s);
    }
}

static void test_number_stays_small(void **state)
{
    struct index_chunk *list[40];
    struct index_chunk *spare[41];
    for (int i = 0; i < 41; i++) spare[i] = mem_zalloc(sizeof **spare);
    size_t n = 0, most = 0, free_n = 41;
    uint64_t moved = 0;
    for (int i = 0; i < 200000; i++) {
        memmove(list + 1, list, n * sizeof *list);
        list[0] = spare[--free_n];
        list[0]->n = 1;
        n++;
        size_t k = index_chunk_due(list, n, SIZE_MAX);
        for (size_t j = 1; j < k; j++) {
            list[k - 1]->n += list[j - 1]->n;
            spare[free_n++] = list[j - 1];
        }
        if (k > 1) {
            moved += list[k - 1]->n;
            n -= k - 1;
            memmove(list, list + k - 1, n * sizeof *list);
        }
        if (n > most) most = n;
    }
    assert_true(most <= INDEX_CHUNKS_AIM + 4);
    assert_true(moved / 200000 <= 12);
    for (size_t i = 0; i < n; i++) spare[free_n++] = list[i];
    for (int i = 0; i < 41; i++) mem_free(spare[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_freeze), cmocka_unit_test(test_merge), cmocka_unit_test(test_number_stays_small)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
