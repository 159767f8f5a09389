/* Reading runs: cursors against the entries written, every flipped byte, failing reads. */
#include "unit/engine/index_oracle.h"

#include "base/hash.h"
#include "base/logline.h"
#include "base/os_sim.h"
#include "engine/index_run.h"

#ifdef __SANITIZE_THREAD__
enum { FLIP_STRIDE = 60 };
#elif defined(VARVE_DEBUG)
enum { FLIP_STRIDE = 3 };
#else
enum { FLIP_STRIDE = 1 };
#endif

static struct index_run *write_run(struct os *os, const struct oracle *o)
{
    struct run_writer *w = NULL;
    struct index_run *r = NULL;
    assert_int_equal(os_mkdir(os, "/d"), E_OK);
    assert_int_equal(run_writer_open(os, "/d", 1, 0, o->n, &w), E_OK);
    for (size_t i = 0; i < o->n; i++) {
        slice k = buf_slice(&o->e[i].key);
        assert_int_equal(run_writer_add(w, k, buf_slice(&o->e[i].value), k.n && k.p[0] == 'K' ? k.n - 8 : 0, false), E_OK);
    }
    assert_int_equal(run_writer_finish(&w, 1, &r), E_OK);
    return r;
}

static struct oracle some_entries(struct rng *r, size_t n)
{
    struct oracle o = {0};
    struct buf key = {0}, value = {0};
    for (size_t i = 0; i < n; i++) {
        random_key(r, &key, 60);
        random_value(r, &value);
        oracle_put(&o, buf_slice(&key), buf_slice(&value));
    }
    buf_fini(&key);
    buf_fini(&value);
    return o;
}

static void check_at(struct run_cursor *c, const struct oracle *o, size_t i)
{
    assert_slice(run_cursor_key(c), buf_slice(&o->e[i].key));
    assert_slice(run_cursor_entry(c)->value, buf_slice(&o->e[i].value));
}

static void test_cursor_walks(void **state)
{
    struct rng r = rng_start("cursor_walks", 11);
    struct os *os = os_memory_new();
    struct oracle o = some_entries(&r, 3000);
    struct index_run *run = write_run(os, &o);
    struct run_cursor c;
    run_cursor_init(&c, run);
    int rc = run_cursor_first(&c);
    for (size_t i = 0; i < o.n; i++, rc = run_cursor_next(&c)) {
        assert_int_equal(rc, E_OK);
        check_at(&c, &o, i);
    }
    assert_int_equal(rc, E_END);
    rc = run_cursor_last(&c);
    for (size_t i = o.n; i-- > 0; rc = run_cursor_prev(&c)) {
        assert_int_equal(rc, E_OK);
        check_at(&c, &o, i);
    }
    assert_int_equal(rc, E_END);
    struct buf key = {0};
    for (int k = 0; k < 3000; k++) {
        random_key(&r, &key, 80);
        size_t at = oracle_seek(&o, buf_slice(&key));
        rc = run_cursor_seek(&c, buf_slice(&key));
        assert_int_equal(rc, at < o.n ? E_OK : E_END);
        for (int j = 0; j < 6 && rc == E_OK; j++) {
            check_at(&c, &o, at);
            bool forward = rng_below(&r, 2);
            bool end = forward ? at + 1 == o.n : at == 0;
            rc = forward ? run_cursor_next(&c) : run_cursor_prev(&c);
            assert_int_equal(rc, end ? E_END : E_OK);
            at = forward ? at + 1 : at - 1;
        }
        at = oracle_seek(&o, buf_slice(&key));
        assert_int_equal(run_cursor_seek_before(&c, buf_slice(&key)), at > 0 ? E_OK : E_END);
        if (at > 0) check_at(&c, &o, at - 1);
    }
    buf_fini(&key);
    run_cursor_fini(&c);
    index_run_drop(run);
    oracle_clear(&o);
    os_free(&os);
}

/* Keys that agree in many lengths: some bytes all alike, then a few out of an alphabet of three, one of them zero. Many begin others. */
static void alike_key(struct rng *r, struct buf *b)
{
    static const size_t alike[] = {0, 1, 3, 7, 8, 9, 15, 16, 17, 24, 100, 300};
    static const uint8_t letter[] = {0, 1, 'a'};
    size_t n = alike[rng_below(r, sizeof alike / sizeof *alike)], tail = rng_below(r, 20);
    buf_clear(b);
    for (size_t i = 0; i < n; i++) buf_add_byte(b, 'a');
    for (size_t i = 0; i < tail; i++) buf_add_byte(b, letter[rng_below(r, 3)]);
}

/* The block that each entry is in, and behind them all the number of blocks. */
static uint64_t *blocks_of_entries(struct run_cursor *c, const struct oracle *o)
{
    uint64_t *block = mem_alloc((o->n + 1) * sizeof *block);
    int rc = run_cursor_first(c);
    for (size_t i = 0; rc == E_OK; i++, rc = run_cursor_next(c)) block[i] = c->block_no;
    assert_int_equal(rc, E_END);
    block[o->n] = c->run->n_blocks;
    return block;
}

/* What a seek for key finds, where it can go from there, and which block it starts in, against the oracle. */
static void check_seek(struct rng *r, struct run_cursor *c, const struct oracle *o, const uint64_t *block, slice key)
{
    size_t at = oracle_seek(o, key);
    uint64_t no = index_run_block_of(c->run, key);
    assert_true(no == block[at] || (no + 1 == block[at] && at < o->n));
    int rc = run_cursor_seek(c, key);
    assert_int_equal(rc, at < o->n ? E_OK : E_END);
    for (int steps = (int)rng_below(r, 40); rc == E_OK; steps--) {
        check_at(c, o, at);
        if (steps == 0) break;
        bool forward = rng_below(r, 3) == 0;
        rc = forward ? run_cursor_next(c) : run_cursor_prev(c);
        assert_int_equal(rc, (forward ? at + 1 == o->n : at == 0) ? E_END : E_OK);
        at = forward ? at + 1 : at - 1;
    }
    at = oracle_seek(o, key);
    assert_int_equal(run_cursor_seek_before(c, key), at > 0 ? E_OK : E_END);
    if (at > 0) check_at(c, o, at - 1);
}

static void test_seek_among_keys_alike(void **state)
{
    struct rng r = rng_start("seek_among_keys_alike", 15);
    struct os *os = os_memory_new();
    struct oracle o = {0};
    struct buf key = {0};
    for (int i = 0; i < 2000; i++) {
        alike_key(&r, &key);
        oracle_put(&o, buf_slice(&key), buf_slice(&key));
    }
    struct index_run *run = write_run(os, &o);
    struct run_cursor c;
    run_cursor_init(&c, run);
    uint64_t *block = blocks_of_entries(&c, &o), before = 0;
    for (size_t i = 0; i < o.n; i++) {
        slice k = buf_slice(&o.e[i].key);
        assert_true(index_run_block_of(run, k) >= before); /* also of the key below with a byte behind it */
        check_seek(&r, &c, &o, block, k);
        if (k.n) check_seek(&r, &c, &o, block, slice_of(k.p, k.n - 1));
        buf_clear(&key);
        buf_add_slice(&key, k);
        buf_add_byte(&key, 0);
        check_seek(&r, &c, &o, block, buf_slice(&key));
        key.p[k.n] = 255;
        check_seek(&r, &c, &o, block, buf_slice(&key));
        before = i + 1 < o.n && slice_cmp(buf_slice(&key), buf_slice(&o.e[i + 1].key)) < 0
                     ? index_run_block_of(run, buf_slice(&key))
                     : 0;
        alike_key(&r, &key);
        check_seek(&r, &c, &o, block, buf_slice(&key));
    }
    mem_free(block);
    buf_fini(&key);
    run_cursor_fini(&c);
    index_run_drop(run);
    oracle_clear(&o);
    os_free(&os);
}

/* Opens the run and reads everything. Any answer that comes must be right. */
static int read_all(struct os *os, const struct run_id *id, const struct oracle *o)
{
    struct index_run *run = NULL;
    int rc = index_run_open(os, "/d", id, &run);
    if (rc < 0) return rc;
    struct run_cursor c;
    run_cursor_init(&c, run);
    size_t i = 0;
    for (rc = run_cursor_first(&c); rc == E_OK; rc = run_cursor_next(&c)) check_at(&c, o, i++);
    if (rc == E_END) assert_int_equal(i, o->n);
    for (size_t k = 0; k < o->n; k += 7) {
        slice key = buf_slice(&o->e[k].key);
        int found = run_cursor_seek(&c, key);
        if (found == E_OK) check_at(&c, o, k);
        assert_int_not_equal(found, E_END);
        if (key.n && key.p[0] == 'K') assert_true(index_filter_has(&run->filter, index_filter_hash(slice_of(key.p, key.n - 8))));
    }
    run_cursor_fini(&c);
    index_run_drop(run);
    return rc == E_END ? E_OK : rc;
}

static void test_every_flipped_byte_is_found(void **state)
{
    struct rng r = rng_start("every_flipped_byte", 12);
    struct os *os = os_memory_new();
    struct oracle o = some_entries(&r, 260);
    struct index_run *run = write_run(os, &o);
    struct run_id id = {.id = 1, .bytes = run->bytes, .entries = run->entries};
    assert_true(run->n_blocks > 2);
    index_run_drop(run);
    struct os_file *f = NULL;
    assert_int_equal(os_open(os, "/d/00000001.run", OS_WRITE, &f), E_OK);
    log_set_level(LOG_NOTHING);
    for (uint64_t off = 0; off < id.bytes; off += 1 + rng_below(&r, FLIP_STRIDE)) {
        uint8_t b, flipped;
        assert_int_equal(os_read_full(os, f, off, &b, 1), E_OK);
        flipped = (uint8_t)(b ^ (1u << rng_below(&r, 8)));
        assert_int_equal(os_write(os, f, off, &flipped, 1), E_OK);
        assert_int_equal(read_all(os, &id, &o), E_CORRUPT);
        assert_int_equal(os_write(os, f, off, &b, 1), E_OK);
    }
    log_set_level(LOG_NOTICE);
    assert_int_equal(read_all(os, &id, &o), E_OK);
    os_close(os, &f);
    oracle_clear(&o);
    os_free(&os);
}

static void test_failing_reads_are_errors(void **state)
{
    struct rng r = rng_start("failing_reads", 13);
    struct os *os = os_sim_new(1);
    struct oracle o = some_entries(&r, 400);
    struct index_run *run = write_run(os, &o);
    struct run_id id = {.id = 1, .bytes = run->bytes, .entries = run->entries};
    index_run_drop(run);
    log_set_level(LOG_NOTHING);
    int failed = 0;
    for (uint64_t at = 1; at < 400; at++) {
        struct os_sim_faults f = {.fail_read_at = at};
        os_sim_set(os, &f);
        int rc = read_all(os, &id, &o);
        assert_true(rc == E_OK || rc == E_IO);
        failed += rc == E_IO;
    }
    assert_true(failed > 5);
    log_set_level(LOG_NOTICE);
    oracle_clear(&o);
    os_free(&os);
}

static void test_verify_names_the_place(void **state)
{
    struct rng r = rng_start("verify_names_the_place", 14);
    struct os *os = os_sim_new(1);
    struct oracle o = some_entries(&r, 400);
    struct index_run *run = write_run(os, &o);
    char where[200] = "";
    assert_int_equal(index_run_verify(run, where, sizeof where), E_OK);
    assert_int_equal(os_sim_flip(os, "/d/00000001.run", 5000, 3), E_OK);
    log_set_level(LOG_NOTHING);
    assert_int_equal(index_run_verify(run, where, sizeof where), E_CORRUPT); /* although the block was verified before */
    assert_non_null(strstr(where, "00000001.run"));
    log_set_level(LOG_NOTICE);
    index_run_drop(run);
    oracle_clear(&o);
    os_free(&os);
}

/* A block index whose checksums are right and which says that a block ends with another key. */
static void test_verify_reads_the_block_index(void **state)
{
    struct rng r = rng_start("verify_reads_the_block_index", 16);
    struct os *os = os_memory_new();
    struct oracle o = some_entries(&r, 400);
    struct index_run *run = write_run(os, &o);
    struct run_id id = {.id = 1, .bytes = run->bytes, .entries = run->entries};
    uint64_t at = index_run_block_off(run, run->n_blocks), n = run->index_n, n_block = 0, key_n = 0;
    assert_true(run->n_blocks > 2);
    index_run_drop(run);
    struct os_file *f = NULL;
    assert_int_equal(os_open(os, "/d/00000001.run", OS_WRITE, &f), E_OK);
    uint8_t *index = mem_alloc(n), footer[RUN_FOOTER_BYTES];
    assert_int_equal(os_read_full(os, f, at, index, n), E_OK);
    assert_int_equal(os_read_full(os, f, id.bytes - sizeof footer, footer, sizeof footer), E_OK);
    const uint8_t *p = get_varint(index, index + n, &n_block);
    p = p ? get_varint(p, index + n, &key_n) : NULL;
    assert_true(p && key_n > 0);
    index[(size_t)(p - index) + key_n - 1]++;
    put_u32(footer + 112, crc32c(0, index, n));
    put_u32(footer + 124, crc32c(0, footer, 124));
    assert_int_equal(os_write(os, f, at, index, n), E_OK);
    assert_int_equal(os_write(os, f, id.bytes - sizeof footer, footer, sizeof footer), E_OK);
    os_close(os, &f);
    assert_int_equal(index_run_open(os, "/d", &id, &run), E_OK);
    char where[200] = "";
    log_set_level(LOG_NOTHING);
    assert_int_equal(index_run_verify(run, where, sizeof where), E_CORRUPT);
    log_set_level(LOG_NOTICE);
    index_run_drop(run);
    mem_free(index);
    oracle_clear(&o);
    os_free(&os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursor_walks),
        cmocka_unit_test(test_seek_among_keys_alike),
        cmocka_unit_test(test_every_flipped_byte_is_found),
        cmocka_unit_test(test_failing_reads_are_errors),
        cmocka_unit_test(test_verify_names_the_place),
        cmocka_unit_test(test_verify_reads_the_block_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
