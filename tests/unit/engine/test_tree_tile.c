/* Damage: any bit of any file turned gives E_CORRUPT or the right answer, and tree_verify finds it. */
#include "engine/tree_part.h"
#include "support/tree_ref.h"
#include "base/logline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct ref ref;
#define ENTRIES 66100

static int setup(void **state)
{
    ref_init(&ref, ENTRIES);
    log_set_level(LOG_NOTHING); /* each damage is noted, which is not what is looked at here */
    return 0;
}

static int teardown(void **state)
{
    ref_fini(&ref);
    return 0;
}

static struct os *store(uint64_t size)
{
    struct os *os = os_memory_new();
    struct tree *t = NULL;
    assert_int_equal(tree_open(os, "/s", 0, NULL, false, &t), E_OK);
    assert_int_equal(tree_append(t, (const uint8_t(*)[HASH_BYTES])ref.entry, size), E_OK);
    assert_int_equal(tree_sync(t), E_OK);
    tree_close(&t);
    return os;
}

/* Every kind of question about one index; returns how many were refused. */
static unsigned ask(struct tree *t, uint64_t i, uint64_t size)
{
    uint8_t got[HASH_BYTES], want[HASH_BYTES];
    struct tree_proof p, q = {.n = 0};
    uint64_t found = size;
    unsigned refused = 0;
    int r = tree_entry(t, i, got);
    assert_true(r == E_OK || r == E_CORRUPT);
    if (r == E_OK) assert_memory_equal(got, ref.entry[i], HASH_BYTES);
    refused += r != E_OK;
    r = tree_root(t, i, got);
    assert_true(r == E_OK || r == E_CORRUPT);
    ref_mth(&ref, 0, i, want);
    if (r == E_OK) assert_memory_equal(got, want, HASH_BYTES);
    refused += r != E_OK;
    r = tree_inclusion(t, i, size, &p);
    assert_true(r == E_OK || r == E_CORRUPT);
    ref_path(&ref, i, 0, size, &q);
    if (r == E_OK) assert_true(ref_same(&p, &q));
    refused += r != E_OK;
    r = tree_consistency(t, i, size, &p);
    assert_true(r == E_OK || r == E_CORRUPT);
    q.n = 0;
    if (i > 0) ref_subproof(&ref, i, 0, size, true, &q);
    if (r == E_OK) assert_true(ref_same(&p, &q));
    refused += r != E_OK;
    r = tree_find(t, ref.entry[i], 64, &found);
    assert_true(r == E_CORRUPT || (r == E_OK && found == i));
    return refused + (r != E_OK);
}

static unsigned damage(uint64_t size, const char *file, uint64_t off, bool while_open)
{
    struct os *os = store(size);
    struct tree *t = NULL;
    uint8_t root[HASH_BYTES];
    unsigned refused = 0;
    uint64_t bad = size;
    ref_mth(&ref, 0, size, root);
    if (!while_open) assert_int_equal(ref_flip(os, file, off, off % 8), E_OK);
    int r = tree_open(os, "/s", size, root, true, &t);
    if (while_open) {
        assert_int_equal(r, E_OK);
        assert_int_equal(ref_flip(os, file, off, off % 8), E_OK);
    }
    if (r == E_OK) {
        assert_int_equal(tree_verify(t, &bad), E_CORRUPT); /* before and after anything is cached */
        for (uint64_t i = 0; i < size; i += 1 + size / 9) refused += ask(t, i, size);
        refused += ask(t, size - 1, size);
        assert_int_equal(tree_verify(t, &bad), E_CORRUPT);
        if (file[8] == 'e') assert_true(bad == off / HASH_BYTES / TREE_TILE * TREE_TILE);
        assert_true(refused > 0);
    } else {
        assert_int_equal(r, E_CORRUPT);
        refused = 1;
    }
    tree_close(&t);
    os_free(&os);
    return refused;
}

static void small_tree(void **state)
{
    for (uint64_t off = 0; off < 700 * HASH_BYTES; off += 997)
        for (int open = 0; open < 2; open++) assert_true(damage(700, "/s/tree/entries", off, open) > 0);
    for (uint64_t off = 0; off < 2 * HASH_BYTES; off += 7)
        for (int open = 0; open < 2; open++) assert_true(damage(700, "/s/tree/t1", off, open) > 0);
}

static void large_tree(void **state)
{
    static const uint64_t entry[] = {0, 30000, 65535, 65791, ENTRIES - 1};
    static const uint64_t tile[] = {0, 117, 255, 257};
    for (int open = 0; open < 2; open++) {
        for (unsigned i = 0; i < sizeof entry / sizeof *entry; i++) damage(ENTRIES, "/s/tree/entries", entry[i] * HASH_BYTES + i, open);
        for (unsigned i = 0; i < sizeof tile / sizeof *tile; i++) damage(ENTRIES, "/s/tree/t1", tile[i] * HASH_BYTES + 31 - i, open);
        damage(ENTRIES, "/s/tree/t2", 9, open);
    }
}

/* A tile that was verified and kept stays right when the file turns; dropped, it is read again and refused. */
static void cache_holds_what_was_verified(void **state)
{
    struct os *os = store(1000);
    struct tree *t = NULL;
    uint8_t root[HASH_BYTES], e[HASH_BYTES];
    uint64_t bad;
    ref_mth(&ref, 0, 1000, root);
    assert_int_equal(tree_open(os, "/s", 1000, root, false, &t), E_OK);
    assert_int_equal(tree_entry(t, 3, e), E_OK);
    assert_int_equal(ref_flip(os, "/s/tree/entries", 100, 1), E_OK);
    assert_int_equal(tree_entry(t, 3, e), E_OK);
    assert_memory_equal(e, ref.entry[3], HASH_BYTES);
    assert_int_equal(tree_verify(t, &bad), E_CORRUPT);
    assert_int_equal(bad, 0);
    tree_cache_drop(t);
    assert_int_equal(tree_entry(t, 3, e), E_CORRUPT);
    assert_int_equal(tree_entry(t, 300, e), E_OK);
    tree_close(&t);
    os_free(&os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_tree),
        cmocka_unit_test(large_tree),
        cmocka_unit_test(cache_holds_what_was_verified),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
