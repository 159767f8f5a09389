/* The tree's store: what is on disk after a sync, reopening at any size, tiles built anew, failed writes, readers beside the appender. */
#include "base/os_sim.h"
#include "base/thread.h"
#include "engine/tree_part.h"
#include "support/tree_ref.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct ref ref;
#define ENTRIES 70000

static int setup(void **state)
{
    ref_init(&ref, ENTRIES);
    return 0;
}

static int teardown(void **state)
{
    ref_fini(&ref);
    return 0;
}

static void append(struct tree *t, uint64_t upto)
{
    uint64_t size = tree_size(t);
    assert_int_equal(tree_append(t, (const uint8_t(*)[HASH_BYTES])ref.entry + size, upto - size), E_OK);
}

static struct tree *reopen(struct os *os, uint64_t size, bool read_only)
{
    struct tree *t = NULL;
    uint8_t root[HASH_BYTES];
    ref_mth(&ref, 0, size, root);
    assert_int_equal(tree_open(os, "/s", size, root, read_only, &t), E_OK);
    assert_int_equal(tree_size(t), size);
    return t;
}

static void check(struct tree *t, uint64_t size)
{
    uint8_t root[HASH_BYTES], want[HASH_BYTES];
    uint64_t bad;
    ref_mth(&ref, 0, size, want);
    assert_int_equal(tree_root(t, size, root), E_OK);
    assert_memory_equal(root, want, HASH_BYTES);
    for (uint64_t i = 0; i < size; i += 1 + size / 5) {
        struct tree_proof p;
        assert_int_equal(tree_inclusion(t, i, size, &p), E_OK);
        assert_true(tree_check_inclusion(ref.entry[i], i, size, &p, want));
    }
    if (size < 3000) assert_int_equal(tree_verify(t, &bad), E_OK);
}

/* Cut at any size below what is there, go on from it, and come back. */
static void reopens_at_any_size(void **state)
{
    struct os *os = os_memory_new();
    struct tree *t = reopen(os, 0, false);
    append(t, 1300);
    assert_int_equal(tree_sync(t), E_OK);
    tree_close(&t);
    for (uint64_t size = 0; size <= 1300; size += size < 600 ? 1 : 37) {
        t = reopen(os, size, true);
        check(t, size);
        tree_close(&t);
    }
    for (uint64_t size = 1300;; size -= size > 500 ? 61 : 13) {
        t = reopen(os, size, false);
        check(t, size);
        append(t, size + 300);
        check(t, size);
        check(t, size + 300);
        assert_int_equal(tree_sync(t), E_OK);
        tree_close(&t);
        t = reopen(os, size + 300, false);
        check(t, size + 300);
        tree_close(&t);
        if (size < 20) break;
    }
    os_free(&os);
}

static void large_and_odd_portions(void **state)
{
    struct os *os = os_memory_new();
    struct tree *t = reopen(os, 0, false);
    uint64_t step[] = {1, 255, 256, 257, 2047, 2048, 2049, 5000, 3}, at = 0;
    for (unsigned i = 0; at + 5000 < ENTRIES; i++) {
        at += step[i % 9];
        append(t, at);
        if (i % 4 == 0) assert_int_equal(tree_sync(t), E_OK);
        if (i % 8 == 0) check(t, at);
    }
    append(t, ENTRIES);
    check(t, ENTRIES);
    check(t, 65536);
    assert_int_equal(tree_sync(t), E_OK);
    tree_close(&t);
    t = reopen(os, 65537, false);
    check(t, 65537);
    tree_close(&t);
    os_free(&os);
}

static void root_must_fit(void **state)
{
    struct os *os = os_memory_new();
    struct tree *t = reopen(os, 0, false);
    uint8_t root[HASH_BYTES];
    append(t, 700);
    assert_int_equal(tree_sync(t), E_OK);
    tree_close(&t);
    ref_mth(&ref, 0, 700, root);
    assert_int_equal(tree_open(os, "/s", 699, root, false, &t), E_CORRUPT);
    assert_int_equal(tree_open(os, "/s", 701, root, false, &t), E_CORRUPT);
    assert_null(t);
    t = reopen(os, 700, false);
    check(t, 700);
    tree_close(&t);
    os_free(&os);
}

/* Missing, short and wrong tile files are built anew; not by a reader, and not from wrong entries. */
static void tiles_are_rebuilt(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct os *os = os_memory_new();
        struct tree *t = reopen(os, 0, false);
        struct os_file *f = NULL;
        uint8_t root[HASH_BYTES];
        append(t, 66000);
        assert_int_equal(tree_sync(t), E_OK);
        tree_close(&t);
        ref_mth(&ref, 0, 66000, root);
        if (how == 0) assert_int_equal(os_remove(os, "/s/tree/t1"), E_OK);
        if (how == 1) {
            assert_int_equal(os_open(os, "/s/tree/t1", OS_WRITE, &f), E_OK);
            assert_int_equal(os_truncate(os, f, 100), E_OK);
            os_close(os, &f);
        }
        if (how == 2) assert_int_equal(ref_flip(os, "/s/tree/t2", 5, 3), E_OK);
        assert_int_equal(tree_open(os, "/s", 66000, root, true, &t), E_CORRUPT);
        assert_int_equal(ref_flip(os, "/s/tree/entries", 32 * 1000, 0), E_OK);
        assert_int_equal(tree_open(os, "/s", 66000, root, false, &t), E_CORRUPT);
        assert_int_equal(ref_flip(os, "/s/tree/entries", 32 * 1000, 0), E_OK);
        t = reopen(os, 66000, false);
        check(t, 66000);
        append(t, 66400);
        assert_int_equal(tree_sync(t), E_OK);
        tree_close(&t);
        t = reopen(os, 66400, true);
        check(t, 66400);
        tree_close(&t);
        os_free(&os);
    }
}

struct beside {
    struct tree *t;
    _Atomic bool done;
    uint64_t checked;
    bool wrong;
};

static void reader(void *arg)
{
    struct beside *b = arg;
    uint64_t seed = (uintptr_t)&seed;
    while (!atomic_load(&b->done) || b->checked == 0) {
        struct tree_proof p;
        uint8_t root[HASH_BYTES], old[HASH_BYTES], entry[HASH_BYTES];
        uint64_t size = tree_size(b->t);
        if (size == 0) continue;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t from = (seed >> 20) % size, found;
        if (seed >> 60 < 4) size = from + 1;
        bool ok = tree_root(b->t, size, root) == E_OK && tree_root(b->t, from, old) == E_OK && tree_entry(b->t, from, entry) == E_OK;
        ok = ok && tree_inclusion(b->t, from, size, &p) == E_OK && tree_check_inclusion(entry, from, size, &p, root);
        ok = ok && tree_consistency(b->t, from, size, &p) == E_OK && tree_check_consistency(from, size, old, root, &p);
        if (seed >> 60 == 5) ok = ok && tree_find(b->t, entry, 64, &found) == E_OK && found == from;
        if (!ok || memcmp(entry, ref.entry[from], HASH_BYTES) != 0) {
            b->wrong = true;
            return;
        }
        b->checked++;
    }
}

static void worker(void *arg)
{
    struct beside *b = arg;
    while (!atomic_load(&b->done)) {
        int r = tree_background(b->t);
        if (r != E_OK && r != E_AGAIN) b->wrong = true;
        if (tree_sync(b->t) != E_OK) b->wrong = true;
    }
}

static void readers_beside_the_appender(void **state)
{
    struct os *os = os_memory_new();
    struct tree *t = reopen(os, 0, false);
    tree_set_block_bits(t, 10);
    struct beside b[3] = {{.t = t}, {.t = t}, {.t = t}};
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) assert_int_equal(thread_start(&thread[i], "beside", i < 2 ? reader : worker, &b[i]), E_OK);
    for (uint64_t at = 0; at < 30000;) {
        at += 1 + at % 97;
        append(t, at);
    }
    for (int i = 0; i < 3; i++) atomic_store(&b[i].done, true);
    for (int i = 0; i < 3; i++) thread_join(thread[i]);
    for (int i = 0; i < 3; i++) assert_false(b[i].wrong);
    assert_true(b[0].checked > 0 && b[1].checked > 0);
    check(t, tree_size(t));
    tree_close(&t);
    os_free(&os);
}

/* Fails the n-th call of one kind. */
static struct os_ops ops;
static const struct os_ops *real;
static int writes_left, syncs_left;

static int failing_write(struct os *os, struct os_file *f, uint64_t off, const void *p, size_t n)
{
    return writes_left-- == 0 ? E_NOSPACE : real->write(os, f, off, p, n);
}

static int failing_sync(struct os *os, struct os_file *f) { return syncs_left-- == 0 ? E_IO : real->sync(os, f); }

/* step: 1000 are written by the sync, 2500 in part by the appender. */
static void fails_for_good(uint64_t step)
{
    for (int kind = 0; kind < 2; kind++)
        for (int nth = 0; nth < 3; nth++) {
            struct os *os = os_memory_new();
            struct tree *t = reopen(os, 0, false);
            append(t, 300);
            assert_int_equal(tree_sync(t), E_OK);
            real = os->ops;
            ops = *real;
            ops.write = failing_write;
            ops.sync = failing_sync;
            os->ops = &ops;
            writes_left = kind == 0 ? nth : -1;
            syncs_left = kind == 1 ? nth : -1;
            int r = E_OK;
            uint64_t size = 300;
            for (int i = 0; i < 10 && r == E_OK; i++) {
                r = tree_append(t, (const uint8_t(*)[HASH_BYTES])ref.entry + size, step);
                if (r == E_OK) size += step, r = tree_sync(t);
            }
            int want = kind == 0 ? E_NOSPACE : E_IO;
            assert_int_equal(r, want);
            assert_int_equal(tree_append(t, (const uint8_t(*)[HASH_BYTES])ref.entry + size, 1), want);
            assert_int_equal(tree_sync(t), want);
            check(t, tree_size(t)); /* reads go on */
            os->ops = real;
            tree_close(&t);
            t = reopen(os, 300, false);
            append(t, 5000);
            assert_int_equal(tree_sync(t), E_OK);
            check(t, 5000);
            tree_close(&t);
            os_free(&os);
        }
}

static void failures_are_sticky(void **state)
{
    fails_for_good(1000);
    fails_for_good(2500);
}

/* Power goes at every event of a run that grows, syncs and now and then reopens: what was synced is there, at that size. */
static void survives_power_cuts(void **state)
{
    bool ended = false; /* the last run meets no crash: every event had its turn */
    for (uint64_t crash = 1; crash < 400 && !ended; crash++) {
        struct os *os = os_sim_new(crash);
        assert_int_equal(os_mkdir(os, "/s"), E_OK);
        assert_int_equal(os_sync_dir(os, "/"), E_OK);
        struct os_sim_faults faults = {.crash_at = os_sim_events(os) + crash, .seed = crash * 77};
        os_sim_set(os, &faults);
        struct tree *t = NULL;
        uint64_t synced = 0, step = 100 + crash * 13 % 1500;
        int r = tree_open(os, "/s", 0, NULL, false, &t);
        for (int i = 0; i < 40 && r == E_OK && !os_sim_crashed(os); i++) {
            uint64_t size = tree_size(t);
            r = tree_append(t, (const uint8_t(*)[HASH_BYTES])ref.entry + size, step);
            if (r == E_OK) r = tree_sync(t);
            if (r == E_OK) synced = size + step;
            if (r == E_OK && i % 3 == 2) {
                uint8_t root[HASH_BYTES];
                tree_close(&t);
                ref_mth(&ref, 0, synced, root);
                r = tree_open(os, "/s", synced, root, false, &t);
            }
        }
        tree_close(&t);
        bool crashed = os_sim_crashed(os);
        os_sim_reboot(os);
        t = reopen(os, synced, false);
        check(t, synced);
        append(t, synced + 300);
        assert_int_equal(tree_sync(t), E_OK);
        check(t, synced + 300);
        tree_close(&t);
        os_free(&os);
        ended = !crashed;
    }
    assert_true(ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reopens_at_any_size),  cmocka_unit_test(large_and_odd_portions),      cmocka_unit_test(root_must_fit),
        cmocka_unit_test(tiles_are_rebuilt),    cmocka_unit_test(failures_are_sticky),         cmocka_unit_test(readers_beside_the_appender),
        cmocka_unit_test(survives_power_cuts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
