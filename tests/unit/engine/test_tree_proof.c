/* Roots and proofs against the definitions, for every size that is small and around the borders of tiles; and the verifier against every wrong proof
 * that one change makes. */
#include "support/page.h"
#include "support/tree_ref.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct os *os;
static struct ref ref;
#define SIZE_MAX_HERE 66100

static int setup(void **state)
{
    os = os_memory_new();
    ref_init(&ref, SIZE_MAX_HERE);
    return 0;
}

static int teardown(void **state)
{
    ref_fini(&ref);
    os_free(&os);
    return 0;
}

static struct tree *tree_of(const char *dir, uint64_t size)
{
    struct tree *t = NULL;
    assert_int_equal(tree_open(os, dir, 0, NULL, false, &t), E_OK);
    assert_int_equal(tree_append(t, (const uint8_t(*)[HASH_BYTES])ref.entry, size), E_OK);
    assert_int_equal(tree_size(t), size);
    return t;
}

static void check_root(struct tree *t, uint64_t size)
{
    uint8_t root[HASH_BYTES], want[HASH_BYTES];
    assert_int_equal(tree_root(t, size, root), E_OK);
    ref_mth(&ref, 0, size, want);
    assert_memory_equal(root, want, HASH_BYTES);
}

static void check_inclusion(struct tree *t, uint64_t index, uint64_t size)
{
    struct tree_proof p, want = {.n = 0};
    uint8_t root[HASH_BYTES];
    assert_int_equal(tree_inclusion(t, index, size, &p), E_OK);
    ref_path(&ref, index, 0, size, &want);
    assert_true(ref_same(&p, &want));
    ref_mth(&ref, 0, size, root);
    assert_true(tree_check_inclusion(ref.entry[index], index, size, &p, root));
}

static void check_consistency(struct tree *t, uint64_t from, uint64_t to)
{
    struct tree_proof p, want = {.n = 0};
    uint8_t a[HASH_BYTES], b[HASH_BYTES];
    assert_int_equal(tree_consistency(t, from, to, &p), E_OK);
    if (from > 0) ref_subproof(&ref, from, 0, to, true, &want);
    assert_true(ref_same(&p, &want));
    ref_mth(&ref, 0, from, a);
    ref_mth(&ref, 0, to, b);
    assert_true(tree_check_consistency(from, to, a, b, &p));
}

/* The root of nothing is SHA-256 of nothing. */
static void empty(void **state)
{
    static const uint8_t root[HASH_BYTES] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
                                             0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
    struct tree *t = tree_of("/empty", 0);
    uint8_t got[HASH_BYTES];
    struct tree_proof p;
    uint64_t bad;
    assert_int_equal(tree_root(t, 0, got), E_OK);
    assert_memory_equal(got, root, HASH_BYTES);
    assert_int_equal(tree_root(t, 1, got), E_INVALID);
    assert_int_equal(tree_entry(t, 0, got), E_INVALID);
    assert_int_equal(tree_inclusion(t, 0, 0, &p), E_INVALID);
    assert_int_equal(tree_consistency(t, 0, 0, &p), E_OK);
    assert_int_equal(tree_consistency(t, 0, 1, &p), E_INVALID);
    assert_int_equal(tree_verify(t, &bad), E_OK);
    tree_close(&t);
    assert_null(t);
}

/* Every size from one tree, and each size while it is the newest. */
static void every_small_size(void **state)
{
    struct tree *t = NULL;
    assert_int_equal(tree_open(os, "/grown", 0, NULL, false, &t), E_OK);
    for (uint64_t size = 0; size <= 300; size++) {
        check_root(t, size);
        if (size > 0) check_inclusion(t, size - 1, size);
        check_consistency(t, size / 2, size);
        assert_int_equal(tree_append(t, (const uint8_t(*)[HASH_BYTES])ref.entry + size, 1), E_OK);
    }
    for (uint64_t size = 0; size <= 300; size++) {
        check_root(t, size);
        for (uint64_t i = 0; i < size; i += size > 130 ? 7 : 1) check_inclusion(t, i, size);
        for (uint64_t i = 0; i <= size; i += size > 130 ? 9 : 1) check_consistency(t, i, size);
    }
    for (uint64_t i = 0; i < 300; i++) {
        uint8_t e[HASH_BYTES];
        assert_int_equal(tree_entry(t, i, e), E_OK);
        assert_memory_equal(e, ref.entry[i], HASH_BYTES);
    }
    struct tree_proof p;
    assert_int_equal(tree_inclusion(t, 5, 5, &p), E_INVALID);
    assert_int_equal(tree_inclusion(t, 5, 302, &p), E_INVALID);
    assert_int_equal(tree_consistency(t, 6, 5, &p), E_INVALID);
    tree_close(&t);
}

static void around_tile_borders(void **state)
{
    static const uint64_t size[] = {255, 256, 257, 511, 512, 513, 2047, 2048, 2049, 4095, 4097, 32768, 65279, 65280, 65281, 65535, 65536, 65537, 65791, 65792, 65793, SIZE_MAX_HERE};
    enum { N = sizeof size / sizeof *size };
    struct tree *t = tree_of("/large", SIZE_MAX_HERE);
    for (int i = 0; i < N; i++) {
        check_root(t, size[i]);
        check_inclusion(t, 0, size[i]);
        check_inclusion(t, size[i] - 1, size[i]);
        for (int k = 0; k < N; k++) {
            if (size[k] <= size[i]) check_consistency(t, size[k], size[i]);
            if (size[k] < size[i]) check_inclusion(t, size[k], size[i]);
        }
    }
    uint64_t bad;
    assert_int_equal(tree_verify(t, &bad), E_OK);
    tree_close(&t);
}

/* One change to a proof, an index, a size or a root: no longer accepted. */
static void verifier_refuses(void **state)
{
    for (uint64_t size = 1; size <= 40; size++)
        for (uint64_t index = 0; index < size; index++) {
            struct tree_proof p = {.n = 0}, q;
            uint8_t root[HASH_BYTES], wrong[HASH_BYTES];
            ref_path(&ref, index, 0, size, &p);
            ref_mth(&ref, 0, size, root);
            memcpy(wrong, root, HASH_BYTES);
            wrong[7] ^= 1;
            assert_true(tree_check_inclusion(ref.entry[index], index, size, &p, root));
            assert_false(tree_check_inclusion(ref.entry[index], index, size, &p, wrong));
            assert_false(tree_check_inclusion(ref.entry[index + 1], index, size, &p, root));
            assert_false(tree_check_inclusion(ref.entry[index], size, size, &p, root));
            if (index + 1 < size) assert_false(tree_check_inclusion(ref.entry[index], index + 1, size, &p, root));
            for (uint32_t i = 0; i < p.n; i++) {
                q = p, q.hash[i][31] ^= 0x80;
                assert_false(tree_check_inclusion(ref.entry[index], index, size, &q, root));
            }
            q = p, q.n++;
            memset(q.hash[p.n], 0, HASH_BYTES);
            assert_false(tree_check_inclusion(ref.entry[index], index, size, &q, root));
            q.n = TREE_PATH_MAX + 1;
            assert_false(tree_check_inclusion(ref.entry[index], index, size, &q, root));
            if (p.n > 0) q = p, q.n--, assert_false(tree_check_inclusion(ref.entry[index], index, size, &q, root));
        }
    for (uint64_t to = 1; to <= 40; to++)
        for (uint64_t from = 0; from <= to; from++) {
            struct tree_proof p = {.n = 0}, q;
            uint8_t a[HASH_BYTES], b[HASH_BYTES], wrong[HASH_BYTES];
            if (from > 0) ref_subproof(&ref, from, 0, to, true, &p);
            ref_mth(&ref, 0, from, a);
            ref_mth(&ref, 0, to, b);
            assert_true(tree_check_consistency(from, to, a, b, &p));
            memcpy(wrong, a, HASH_BYTES), wrong[0] ^= 4;
            assert_false(tree_check_consistency(from, to, wrong, b, &p));
            memcpy(wrong, b, HASH_BYTES), wrong[0] ^= 4;
            if (from > 0) assert_false(tree_check_consistency(from, to, a, wrong, &p));
            assert_false(tree_check_consistency(to + 1, to, a, b, &p));
            for (uint32_t i = 0; i < p.n; i++) {
                q = p, q.hash[i][0] ^= 1;
                assert_false(tree_check_consistency(from, to, a, b, &q));
            }
            q = p, q.n++;
            memset(q.hash[p.n], 0, HASH_BYTES);
            assert_false(tree_check_consistency(from, to, a, b, &q));
            if (p.n > 0) q = p, q.n--, assert_false(tree_check_consistency(from, to, a, b, &q));
        }
}

/* The example in src/docs/format-tree.md, its sentences about proofs too. */
static void documented(void **state)
{
    struct buf entries = {0}, hashes = {0}, file = {0};
    struct tree *t = NULL;
    struct tree_proof p;
    uint8_t root[HASH_BYTES], leaf[HASH_BYTES];
    assert_true(page_example("src/docs/format-tree.md", "entries", &entries) && page_example("src/docs/format-tree.md", "hashes", &hashes));
    assert_int_equal(entries.n, 3 * HASH_BYTES);
    assert_int_equal(hashes.n, 5 * HASH_BYTES);
    assert_int_equal(tree_open(os, "/page", 0, NULL, false, &t), E_OK);
    assert_int_equal(tree_append(t, (const uint8_t(*)[HASH_BYTES])entries.p, 3), E_OK);
    for (size_t i = 0; i < 3; i++) {
        sha256_leaf(leaf, entries.p + i * HASH_BYTES);
        assert_memory_equal(leaf, hashes.p + i * HASH_BYTES, HASH_BYTES);
    }
    assert_int_equal(tree_root(t, 2, root), E_OK);
    assert_memory_equal(root, hashes.p + 3 * HASH_BYTES, HASH_BYTES);
    assert_int_equal(tree_root(t, 3, root), E_OK);
    assert_memory_equal(root, hashes.p + 4 * HASH_BYTES, HASH_BYTES);
    assert_int_equal(tree_inclusion(t, 0, 3, &p), E_OK);
    assert_int_equal(p.n, 2);
    assert_memory_equal(p.hash, hashes.p + HASH_BYTES, 2 * HASH_BYTES);
    assert_int_equal(tree_consistency(t, 2, 3, &p), E_OK);
    assert_int_equal(p.n, 1);
    assert_memory_equal(p.hash, hashes.p + 2 * HASH_BYTES, HASH_BYTES);
    assert_int_equal(tree_sync(t), E_OK);
    assert_int_equal(os_read_file(os, "/page/tree/entries", 1000, &file), E_OK);
    assert_true(slice_eq(buf_slice(&file), buf_slice(&entries)));
    tree_close(&t);
    buf_fini(&entries), buf_fini(&hashes), buf_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty), cmocka_unit_test(documented), cmocka_unit_test(verifier_refuses), cmocka_unit_test(every_small_size), cmocka_unit_test(around_tile_borders),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
