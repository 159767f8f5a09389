/* The run writer: the format's worked example byte by byte, bounded blocks, failures that leave no file. */
#include "unit/engine/index_oracle.h"

#include "base/logline.h"
#include "base/os_sim.h"
#include "engine/index_run.h"

static struct index_run *write_example(struct os *os)
{
    struct run_writer *w = NULL;
    struct index_run *r = NULL;
    assert_int_equal(os_mkdir(os, "/d"), E_OK);
    assert_int_equal(run_writer_open(os, "/d", 7, 0, 1, &w), E_OK);
    assert_int_equal(run_writer_add(w, slice_str("apple"), slice_str("red"), 3, false), E_OK);
    assert_int_equal(run_writer_add(w, slice_str("apply"), slice_str(""), 0, true), E_OK);
    assert_int_equal(run_writer_add(w, slice_str("b"), slice_str(""), 0, false), E_OK);
    assert_int_equal(run_writer_finish(&w, 42, &r), E_OK);
    assert_null(w);
    return r;
}

/* Reads the dump out of src/docs/format-index.md: lines of hexadecimal bytes between ``` fences behind "## Worked example". */
static void read_dump(struct buf *out)
{
    struct buf text = {0};
    assert_int_equal(os_read_file(os_posix(), "src/docs/format-index.md", 1 << 20, &text), E_OK);
    buf_add_byte(&text, 0);
    const char *p = strstr((char *)text.p, "## Worked example");
    assert_non_null(p);
    p = strstr(p, "```\n");
    assert_non_null(p);
    for (p += 4; *p != '`'; p++) {
        char pair[3] = {p[0], p[1], 0}, *end;
        if (p[0] == ' ' || p[0] == '\n') continue;
        buf_add_byte(out, (uint8_t)strtoul(pair, &end, 16));
        assert_ptr_equal(end, pair + 2);
        p++;
    }
    buf_fini(&text);
}

static void test_worked_example(void **state)
{
    struct os *os = os_memory_new();
    struct index_run *r = write_example(os);
    assert_int_equal(r->entries, 3);
    assert_int_equal(r->tombstones, 1);
    assert_int_equal(r->covers, 42);
    struct buf file = {0}, want = {0};
    assert_int_equal(os_read_file(os, "/d/00000007.run", 1 << 20, &file), E_OK);
    read_dump(&want);
    for (size_t i = 0; i < file.n; i++) {
        if (i < want.n && file.p[i] == want.p[i]) continue;
        for (size_t j = 0; j < file.n; j++) print_message("%02x%s", file.p[j], j % 16 == 15 || j + 1 == file.n ? "\n" : " ");
        fail_msg("the file differs from the dump in src/docs/format-index.md at byte %zu", i);
    }
    assert_int_equal(file.n, want.n);
    buf_fini(&file);
    buf_fini(&want);
    index_run_drop(r);
    os_free(&os);
}

static void test_empty_run(void **state)
{
    struct os *os = os_memory_new();
    struct run_writer *w = NULL;
    struct index_run *r = NULL;
    assert_int_equal(os_mkdir(os, "/d"), E_OK);
    assert_int_equal(run_writer_open(os, "/d", 1, 2, 0, &w), E_OK);
    assert_int_equal(run_writer_finish(&w, 9, &r), E_OK);
    struct run_cursor c;
    run_cursor_init(&c, r);
    assert_int_equal(run_cursor_first(&c), E_END);
    assert_int_equal(run_cursor_last(&c), E_END);
    assert_int_equal(run_cursor_seek(&c, slice_str("x")), E_END);
    assert_int_equal(run_cursor_seek_before(&c, slice_str("x")), E_END);
    char where[100];
    assert_int_equal(index_run_verify(r, where, sizeof where), E_OK);
    assert_int_equal(r->covers, 9);
    run_cursor_fini(&c);
    index_run_drop(r);
    os_free(&os);
}

/* Largest keys and values, and blocks that stay near their size otherwise. */
static void test_blocks_are_bounded(void **state)
{
    struct os *os = os_memory_new();
    struct run_writer *w = NULL;
    struct index_run *r = NULL;
    assert_int_equal(os_mkdir(os, "/d"), E_OK);
    assert_int_equal(run_writer_open(os, "/d", 1, 0, 3000, &w), E_OK);
    struct buf key = {0};
    for (uint64_t i = 0; i < 3000; i++) {
        buf_clear(&key);
        buf_printf(&key, "key %08llu", (unsigned long long)i);
        assert_int_equal(run_writer_add(w, buf_slice(&key), slice_str("v"), 5, false), E_OK);
    }
    uint8_t *big = mem_zalloc(INDEX_VALUE_MAX);
    memset(big, 'z', INDEX_KEY_MAX);
    assert_int_equal(run_writer_add(w, slice_of(big, INDEX_KEY_MAX), slice_of(big, INDEX_VALUE_MAX), INDEX_KEY_MAX, false), E_OK);
    assert_int_equal(run_writer_finish(&w, 1, &r), E_OK);
    for (uint64_t i = 0; i + 1 < r->n_blocks; i++) assert_true(index_run_block_off(r, i + 1) - index_run_block_off(r, i) < RUN_BLOCK_BYTES + 64);
    assert_int_equal(r->filter_keys, 2);
    assert_in_range(r->filter.n_blocks, 1, 31); /* announced for 3000, folded towards what came */
    char where[100];
    assert_int_equal(index_run_verify(r, where, sizeof where), E_OK);
    struct run_cursor c;
    run_cursor_init(&c, r);
    assert_int_equal(run_cursor_last(&c), E_OK);
    assert_slice(run_cursor_key(&c), slice_of(big, INDEX_KEY_MAX));
    assert_slice(run_cursor_entry(&c)->value, slice_of(big, INDEX_VALUE_MAX));
    run_cursor_fini(&c);
    index_run_drop(r);
    mem_free(big);
    buf_fini(&key);
    os_free(&os);
}

static int count_file(void *ctx, const char *name)
{
    ++*(int *)ctx;
    return 0;
}

static void test_failures_leave_nothing(void **state)
{
    log_set_level(LOG_NOTHING);
    for (uint64_t at = 1; at < 12; at++) {
        struct os *os = os_sim_new(at);
        assert_int_equal(os_mkdir(os, "/d"), E_OK);
        uint64_t base = os_sim_events(os);
        struct os_sim_faults f = {.fail_write_at = base + at, .fail_sync_at = base + at, .seed = at};
        os_sim_set(os, &f);
        struct run_writer *w = NULL;
        struct index_run *r = NULL;
        int rc = run_writer_open(os, "/d", 3, 0, 0, &w);
        if (rc == E_OK) rc = run_writer_add(w, slice_str("k"), slice_str("v"), 0, false);
        if (rc == E_OK) rc = run_writer_finish(&w, 1, &r);
        run_writer_abort(&w);
        int files = 0;
        assert_int_equal(os_list(os, "/d", count_file, &files), E_OK);
        assert_int_equal(files, rc == E_OK);
        if (r) index_run_drop(r);
        os_free(&os);
    }
    log_set_level(LOG_NOTICE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_empty_run),
        cmocka_unit_test(test_blocks_are_bounded),
        cmocka_unit_test(test_failures_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
