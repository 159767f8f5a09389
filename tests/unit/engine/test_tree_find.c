/* Look-up by the first digits: in memory, in h files, without them, with bad ones; blocks of 256 to 1024 entries here, one of real size. */
#include "base/codec.h"
#include "base/logline.h"
#include "engine/tree_part.h"
#include "support/tree_ref.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct ref ref;
#define ENTRIES 5000

static int setup(void **state)
{
    ref_init(&ref, ENTRIES);
    /* Some that share digits: 1000 and 3000 the first 40, 1500 and 1501 all but the last, 2000 and 4999 the first 9. */
    memcpy(ref.entry[3000], ref.entry[1000], 20);
    memcpy(ref.entry[1501], ref.entry[1500], HASH_BYTES);
    ref.entry[1501][31] ^= 1;
    memcpy(ref.entry[4999], ref.entry[2000], 4);
    ref.entry[4999][4] = (uint8_t)((ref.entry[2000][4] & 0xf0) | (~ref.entry[2000][4] & 0xf));
    log_set_level(LOG_NOTHING);
    return 0;
}

static int teardown(void **state)
{
    ref_fini(&ref);
    return 0;
}

static struct tree *open_at(struct os *os, uint64_t size, bool read_only, unsigned bits)
{
    struct tree *t = NULL;
    uint8_t root[HASH_BYTES];
    ref_mth(&ref, 0, size, root);
    assert_int_equal(tree_open(os, "/s", size, root, read_only, &t), E_OK);
    tree_set_block_bits(t, bits);
    return t;
}

static void append(struct tree *t, uint64_t upto)
{
    uint64_t size = tree_size(t);
    assert_int_equal(tree_append(t, (const uint8_t(*)[HASH_BYTES])ref.entry + size, upto - size), E_OK);
}

static void background(struct tree *t)
{
    int r;
    while ((r = tree_background(t)) == E_OK) continue;
    assert_int_equal(r, E_AGAIN);
}

static void check_some(struct tree *t, uint64_t step)
{
    uint64_t size = tree_size(t), at;
    for (uint64_t i = 0; i < size; i += i > size - 3 ? 1 : step) {
        assert_int_equal(tree_find(t, ref.entry[i], 64, &at), E_OK);
        assert_int_equal(at, i);
        bool shares = i == 1000 || i == 3000 || i == 1500 || i == 1501 || i == 2000 || i == 4999;
        for (unsigned digits = 10; digits < 64 && !shares; digits += 9) {
            assert_int_equal(tree_find(t, ref.entry[i], digits, &at), E_OK);
            assert_int_equal(at, i);
        }
        uint8_t other[HASH_BYTES];
        for (unsigned digit = 9; digit < 64; digit += 13) { /* one digit turned, asked up to it */
            memcpy(other, ref.entry[i], HASH_BYTES);
            other[digit / 2] ^= digit % 2 ? 8 : 0x80;
            assert_int_equal(tree_find(t, other, digit + 1, &at), E_NOTFOUND);
        }
    }
}

static void check_shared(struct tree *t)
{
    uint64_t at = 77;
    assert_int_equal(tree_find(t, ref.entry[1000], 8, &at), E_AMBIGUOUS);
    assert_int_equal(tree_find(t, ref.entry[1000], 16, &at), E_AMBIGUOUS);
    assert_int_equal(tree_find(t, ref.entry[1000], 40, &at), E_AMBIGUOUS);
    assert_int_equal(tree_find(t, ref.entry[1500], 63, &at), E_AMBIGUOUS);
    assert_int_equal(tree_find(t, ref.entry[2000], 9, &at), E_AMBIGUOUS);
    assert_int_equal(at, 77);
    assert_int_equal(tree_find(t, ref.entry[2000], 10, &at), E_OK);
    assert_int_equal(at, 2000);
    assert_int_equal(tree_find(t, ref.entry[4999], 10, &at), E_OK);
    assert_int_equal(at, 4999);
    assert_int_equal(tree_find(t, ref.entry[1501], 64, &at), E_OK);
    assert_int_equal(at, 1501);
    assert_int_equal(tree_find(t, ref.entry[1000], 7, &at), E_INVALID);
    assert_int_equal(tree_find(t, ref.entry[1000], 65, &at), E_INVALID);
}

static void in_every_way(void **state)
{
    for (unsigned bits = 8; bits <= 10; bits++) {
        struct os *os = os_memory_new();
        struct tree *t = open_at(os, 0, false, bits);
        append(t, 100);
        check_some(t, 7);
        append(t, ENTRIES); /* more whole blocks than are kept in memory */
        check_some(t, 33);
        check_shared(t);
        background(t);
        check_some(t, 33);
        check_shared(t);
        assert_int_equal(tree_sync(t), E_OK);
        tree_close(&t);
        t = open_at(os, ENTRIES, false, bits); /* files are checked at their first use */
        check_some(t, 33);
        check_shared(t);
        background(t);
        check_some(t, 501);
        tree_close(&t);
        t = open_at(os, ENTRIES, true, bits);
        assert_int_equal(tree_background(t), E_AGAIN);
        check_some(t, 501);
        check_shared(t);
        tree_close(&t);
        os_free(&os);
    }
}

/* The newest block is asked, left, added to and asked again, before and after it becomes whole. */
static void newest_block_grows(void **state)
{
    struct os *os = os_memory_new();
    struct tree *t = open_at(os, 0, false, 10);
    append(t, 1300);
    assert_int_equal(tree_sync(t), E_OK);
    tree_close(&t);
    for (int ask_first = 0; ask_first < 2; ask_first++) {
        t = open_at(os, 1300, false, 10);
        if (ask_first) check_some(t, 50);
        append(t, 1400);
        check_some(t, 50);
        append(t, 2048);
        check_some(t, 50);
        append(t, 2100);
        check_some(t, 50);
        background(t);
        check_some(t, 50);
        tree_close(&t);
    }
    os_free(&os);
}

/* Every kind of wrong file is noticed, answered around, and replaced by the background. */
static void bad_files_are_rebuilt(void **state)
{
    for (int how = 0; how < 6; how++) {
        struct os *os = os_memory_new();
        struct tree *t = open_at(os, 0, false, 9);
        append(t, 3000);
        background(t);
        assert_int_equal(tree_sync(t), E_OK);
        tree_close(&t);
        struct os_file *f = NULL;
        if (how == 0) assert_int_equal(os_remove(os, "/s/tree/h00000002"), E_OK);
        if (how == 1) assert_int_equal(ref_flip(os, "/s/tree/h00000002", 0, 0), E_OK);
        if (how == 2) assert_int_equal(ref_flip(os, "/s/tree/h00000002", 100, 5), E_OK);
        if (how == 3) assert_int_equal(ref_flip(os, "/s/tree/h00000002", 7000, 2), E_OK);
        if (how == 4) assert_int_equal(os_rename(os, "/s/tree/h00000001", "/s/tree/h00000002"), E_OK);
        if (how == 5) {
            assert_int_equal(os_open(os, "/s/tree/h00000002", OS_WRITE, &f), E_OK);
            assert_int_equal(os_truncate(os, f, 5000), E_OK);
            os_close(os, &f);
        }
        t = open_at(os, 3000, how % 2, 9);
        check_some(t, 40);
        tree_close(&t);
        t = open_at(os, 3000, false, 9);
        background(t);
        check_some(t, 40);
        tree_close(&t);
        t = open_at(os, 3000, false, 9);
        struct tree_view v = {.t = t};
        assert_int_equal(t->n_blocks, 0);
        background(t);
        for (uint64_t b = 0; b < 5; b++) assert_int_equal(t->blocks[b].state, BLOCK_GOOD);
        tree_view_fini(&v);
        tree_close(&t);
        os_free(&os);
    }
}

/* Cut back and grown with other entries: the files of the old ones are not believed. */
static void other_entries_after_a_cut(void **state)
{
    struct os *os = os_memory_new();
    struct tree *t = open_at(os, 0, false, 8);
    append(t, 2000);
    background(t);
    assert_int_equal(tree_sync(t), E_OK);
    tree_close(&t);
    t = open_at(os, 1000, false, 8);
    uint64_t at;
    assert_int_equal(tree_find(t, ref.entry[1100], 64, &at), E_NOTFOUND);
    assert_int_equal(tree_append(t, (const uint8_t(*)[HASH_BYTES])ref.entry + 2500, 1000), E_OK);
    for (int built = 0; built < 2; built++) {
        for (uint64_t i = 0; i < 1000; i += 50) {
            assert_int_equal(tree_find(t, ref.entry[2500 + i], 64, &at), E_OK);
            assert_int_equal(at, 1000 + i);
            assert_int_equal(tree_find(t, ref.entry[1000 + i + (i == 0)], 64, &at), E_NOTFOUND);
        }
        background(t);
    }
    tree_close(&t);
    os_free(&os);
}

/* A damaged entry: its neighbours in other tiles are still found, and the background passes its block by. */
static void damaged_entries(void **state)
{
    struct os *os = os_memory_new();
    struct tree *t = open_at(os, 0, false, 9);
    append(t, 2000);
    assert_int_equal(tree_sync(t), E_OK);
    tree_close(&t);
    assert_int_equal(ref_flip(os, "/s/tree/entries", 600 * HASH_BYTES + 1, 0), E_OK);
    t = open_at(os, 2000, false, 9);
    int r, corrupt = 0;
    while ((r = tree_background(t)) != E_AGAIN) corrupt += r == E_CORRUPT;
    assert_int_equal(corrupt, 1);
    uint64_t at;
    assert_int_equal(tree_find(t, ref.entry[600], 64, &at), E_CORRUPT); /* not: not found */
    assert_int_equal(tree_find(t, ref.entry[1700], 64, &at), E_CORRUPT);
    tree_close(&t);
    os_free(&os);
}

static void real_block_size(void **state)
{
    enum { BLOCK = 1 << TREE_BLOCK_BITS, TAIL = 100 };
    struct os *os = os_memory_new();
    struct tree *t = NULL;
    uint8_t (*e)[HASH_BYTES] = malloc((size_t)(BLOCK + TAIL) * HASH_BYTES), root[HASH_BYTES];
    uint64_t at, x = 1;
    for (int i = 0; i < BLOCK + TAIL; i++)
        for (int k = 0; k < 4; k++) x = x * 6364136223846793005u + 1442695040888963407u, put_u64(e[i] + 8 * k, x ^ x >> 29);
    assert_int_equal(tree_open(os, "/s", 0, NULL, false, &t), E_OK);
    assert_int_equal(tree_append(t, (const uint8_t(*)[HASH_BYTES])e, BLOCK + TAIL), E_OK);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BLOCK + TAIL; i += 13001) {
            assert_int_equal(tree_find(t, e[i], 20, &at), E_OK);
            assert_int_equal(at, i);
            e[i][9] ^= 1;
            assert_int_equal(tree_find(t, e[i], 20, &at), E_NOTFOUND);
            e[i][9] ^= 1;
        }
        if (round == 0) background(t);
        if (round != 1) continue;
        assert_int_equal(tree_root(t, BLOCK + TAIL, root), E_OK);
        assert_int_equal(tree_sync(t), E_OK);
        tree_close(&t);
        assert_int_equal(tree_open(os, "/s", BLOCK + TAIL, root, false, &t), E_OK);
    }
    tree_close(&t);
    free(e);
    os_free(&os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_every_way),    cmocka_unit_test(newest_block_grows), cmocka_unit_test(bad_files_are_rebuilt), cmocka_unit_test(other_entries_after_a_cut),
        cmocka_unit_test(damaged_entries), cmocka_unit_test(real_block_size),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
