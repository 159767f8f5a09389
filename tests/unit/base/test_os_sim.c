/* The promises of the simulator: what is synced stays, what is not may go in
 * every way a disk loses it, and a run can be repeated by its seed. */
#include "base/hash.h"
#include "base/mem.h"
#include "base/os_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEEDS = 300 };

static struct os_file *must_open(struct os *os, const char *path, unsigned flags)
{
    struct os_file *f = NULL;
    assert_int_equal(os_open(os, path, flags, &f), E_OK);
    return f;
}

/* A file "f" of n bytes of `fill`, safe in bytes and name. */
static struct os_file *safe_file(struct os *os, uint8_t fill, size_t n)
{
    struct os_file *f = must_open(os, "f", OS_WRITE);
    uint8_t *b = mem_alloc(n);
    memset(b, fill, n);
    assert_int_equal(os_write(os, f, 0, b, n), E_OK);
    assert_int_equal(os_sync(os, f), E_OK);
    assert_int_equal(os_sync_dir(os, "."), E_OK);
    mem_free(b);
    return f;
}

static bool there(struct os *os, const char *path)
{
    struct os_file *f = NULL;
    int rc = os_open(os, path, OS_READ, &f);
    assert_true(rc == E_OK || rc == E_NOTFOUND);
    os_close(os, &f);
    return rc == E_OK;
}

static void synced_bytes_stay(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct os *os = os_sim_new(seed);
        struct os_file *f = safe_file(os, 'a', 5000);
        uint8_t b[5000];
        assert_int_equal(os_write(os, f, 2000, "unsynced", 8), E_OK);
        os_sim_reboot(os);
        assert_int_equal(os_read_full(os, f, 0, b, 1), E_IO); /* the handle is from before */
        os_close(os, &f);
        f = must_open(os, "f", OS_READ);
        assert_int_equal(os_read_full(os, f, 0, b, 5000), E_OK);
        for (int i = 0; i < 5000; i++) assert_true(b[i] == 'a' || (i >= 2000 && i < 2008));
        os_close(os, &f);
        os_free(&os);
    }
}

/* Overwrites three blocks; over many seeds each combination and tears must be seen. */
static void unsynced_writes_go_in_every_way(void **state)
{
    bool seen[8] = {false};
    int torn = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct os *os = os_sim_new(seed);
        struct os_file *f = safe_file(os, 'a', 3 * 4096);
        uint8_t b[3 * 4096];
        memset(b, 'b', 4096);
        for (uint64_t i = 0; i < 3; i++) assert_int_equal(os_write(os, f, i * 4096, b, 4096), E_OK);
        os_close(os, &f);
        os_sim_reboot(os);
        f = must_open(os, "f", OS_READ);
        assert_int_equal(os_read_full(os, f, 0, b, sizeof b), E_OK);
        int state_bits = 0, mixed = 0;
        for (int i = 0; i < 3; i++) {
            int bs = 0;
            for (int sector = 0; sector < 8; sector++) {
                const uint8_t *p = b + i * 4096 + sector * 512;
                for (int j = 1; j < 512; j++) assert_int_equal(p[j], p[0]); /* a sector is never torn */
                bs += p[0] == 'b';
            }
            state_bits |= (bs == 8) << i;
            mixed += bs != 0 && bs != 8;
        }
        torn += mixed > 0;
        if (!mixed) seen[state_bits] = true;
        os_close(os, &f);
        os_free(&os);
    }
    for (int i = 0; i < 8; i++) assert_true(seen[i]);
    assert_true(torn > SEEDS / 20);
}

static void appended_bytes_may_leave_zeros(void **state)
{
    int sizes[3] = {0}, zero_tail = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct os *os = os_sim_new(seed);
        struct os_file *f = safe_file(os, 'a', 1000);
        uint8_t b[3000];
        uint64_t size;
        memset(b, 'b', 2000);
        assert_int_equal(os_write(os, f, 1000, b, 2000), E_OK);
        os_close(os, &f);
        os_sim_reboot(os);
        f = must_open(os, "f", OS_READ);
        assert_int_equal(os_size(os, f, &size), E_OK);
        assert_in_range(size, 1000, 3000);
        assert_int_equal(os_read_full(os, f, 0, b, (size_t)size), E_OK);
        for (uint64_t i = 0; i < 1000; i++) assert_int_equal(b[i], 'a');
        sizes[size == 1000 ? 0 : size == 3000 ? 1 : 2]++;
        zero_tail += size == 3000 && b[2999] == 0;
        os_close(os, &f);
        os_free(&os);
    }
    assert_true(sizes[0] > 10 && sizes[1] > 10 && sizes[2] > 10 && zero_tail > 5);
}

static void names_need_their_own_sync(void **state)
{
    int kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct os *os = os_sim_new(seed);
        assert_int_equal(os_mkdir(os, "d"), E_OK);
        assert_int_equal(os_sync_dir(os, "."), E_OK);
        struct os_file *f = must_open(os, "d/new", OS_WRITE);
        assert_int_equal(os_write(os, f, 0, "x", 1), E_OK);
        assert_int_equal(os_sync(os, f), E_OK);
        os_close(os, &f);
        if (seed % 2) assert_int_equal(os_sync_dir(os, "d"), E_OK);
        os_sim_reboot(os);
        bool yes = there(os, "d/new");
        if (seed % 2) assert_true(yes);
        kept += yes;
        os_free(&os);
    }
    assert_in_range(kept, SEEDS / 2 + 20, SEEDS - 20);
}

/* The whole point of os_replace_file: at any event, the old content or the new. */
static void replacing_a_file_is_atomic(void **state)
{
    int old = 0, fresh = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct os *os = os_sim_new(seed);
        struct buf b = {0};
        assert_int_equal(os_replace_file(os, ".", "m", slice_str("old")), E_OK);
        struct os_sim_faults faults = {.crash_at = os_sim_events(os) + 1 + seed % 7, .seed = seed};
        os_sim_set(os, &faults);
        int rc = os_replace_file(os, ".", "m", slice_str("the new one"));
        assert_int_equal(rc == E_OK, !os_sim_crashed(os));
        os_sim_reboot(os);
        assert_false(os_sim_crashed(os));
        assert_int_equal(os_read_file(os, "m", 100, &b), E_OK);
        bool is_old = slice_eq(buf_slice(&b), slice_str("old"));
        assert_true(is_old || slice_eq(buf_slice(&b), slice_str("the new one")));
        if (rc == E_OK) assert_false(is_old);
        old += is_old;
        fresh += !is_old;
        buf_fini(&b);
        os_free(&os);
    }
    assert_true(old > 20 && fresh > 20);
}

static void after_a_crash_nothing_works(void **state)
{
    struct os *os = os_sim_new(1);
    struct os_file *f = safe_file(os, 'a', 10), *g = NULL;
    struct os_sim_faults faults = {.crash_at = os_sim_events(os) + 1};
    uint8_t b[10];
    uint64_t size;
    os_sim_set(os, &faults);
    assert_int_equal(os_write(os, f, 0, "b", 1), E_IO);
    assert_true(os_sim_crashed(os));
    assert_int_equal(os_read_full(os, f, 0, b, 1), E_IO);
    assert_int_equal(os_write(os, f, 0, "b", 1), E_IO);
    assert_int_equal(os_sync(os, f), E_IO);
    assert_int_equal(os_size(os, f, &size), E_IO);
    assert_int_equal(os_truncate(os, f, 0), E_IO);
    assert_int_equal(os_extend(os, f, 100), E_IO);
    assert_int_equal(os_open(os, "f", OS_READ, &g), E_IO);
    assert_int_equal(os_open(os, "g", OS_WRITE, &g), E_IO);
    assert_int_equal(os_remove(os, "f"), E_IO);
    assert_int_equal(os_rename(os, "f", "g"), E_IO);
    assert_int_equal(os_mkdir(os, "d"), E_IO);
    assert_int_equal(os_sync_dir(os, "."), E_IO);
    os_close(os, &f);
    os_sim_reboot(os);
    assert_true(there(os, "f"));
    os_free(&os);
}

static void a_killed_process_loses_nothing_written(void **state)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct os *os = os_sim_new(seed);
        struct os_file *f = safe_file(os, 'a', 4), *l = NULL;
        uint8_t b[12];
        assert_int_equal(os_write(os, f, 4, "bbbb", 4), E_OK);
        assert_int_equal(os_rename(os, "f", "g"), E_OK);
        assert_int_equal(os_lock(os, "lock", &l), E_OK);
        struct os_sim_faults faults = {.crash_at = os_sim_events(os) + 1, .process_only = true, .seed = seed};
        os_sim_set(os, &faults);
        assert_int_equal(os_write(os, f, 8, "cccc", 4), E_IO);
        os_sim_reboot(os);
        os_close(os, &f);
        os_close(os, &l);
        f = must_open(os, "g", OS_READ);
        size_t got = 0;
        assert_int_equal(os_read(os, f, 0, b, 12, &got), E_OK);
        assert_in_range(got, 8, 12);
        assert_memory_equal(b, "aaaabbbbcccc", got);
        os_close(os, &f);
        assert_int_equal(os_lock(os, "lock", &l), E_OK); /* the dead hold no locks */
        os_close(os, &l);
        os_free(&os);
    }
}

static void single_failures(void **state)
{
    struct os *os = os_sim_new(5);
    struct os_file *f = safe_file(os, 'a', 8);
    uint8_t b[8];
    struct os_sim_faults faults = {.fail_write_at = os_sim_events(os) + 2, .fail_read_at = 2, .seed = 1};
    os_sim_set(os, &faults);
    assert_int_equal(os_read_full(os, f, 0, b, 8), E_OK);
    assert_int_equal(os_read_full(os, f, 0, b, 8), E_IO);
    assert_int_equal(os_read_full(os, f, 0, b, 8), E_OK);
    assert_int_equal(os_write(os, f, 0, "b", 1), E_OK);
    assert_int_equal(os_write(os, f, 1, "cccc", 4), E_IO);
    assert_int_equal(os_write(os, f, 5, "d", 1), E_OK);
    assert_int_equal(os_read_full(os, f, 0, b, 8), E_OK);
    assert_true(b[0] == 'b' && b[5] == 'd' && b[6] == 'a');
    for (int i = 1; i < 5; i++) assert_true(b[i] == 'c' || b[i] == 'a');
    os_close(os, &f);
    os_free(&os);
}

/* After a failed sync the program still reads what will be gone, and a later
 * successful sync does not bring it back. */
static void a_failed_sync_loses_bytes_for_good(void **state)
{
    int lost = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct os *os = os_sim_new(seed);
        struct os_file *f = safe_file(os, 'a', 4);
        uint8_t b[4];
        struct os_sim_faults faults = {.fail_sync_at = os_sim_events(os) + 2, .seed = seed};
        os_sim_set(os, &faults);
        assert_int_equal(os_write(os, f, 0, "bbbb", 4), E_OK);
        assert_int_equal(os_sync(os, f), E_IO);
        assert_int_equal(os_read_full(os, f, 0, b, 4), E_OK);
        assert_memory_equal(b, "bbbb", 4);
        assert_int_equal(os_sync(os, f), E_OK);
        os_close(os, &f);
        os_sim_reboot(os);
        f = must_open(os, "f", OS_READ);
        assert_int_equal(os_read_full(os, f, 0, b, 4), E_OK);
        lost += b[0] == 'a';
        os_close(os, &f);
        os_free(&os);
    }
    assert_in_range(lost, 10, 90);
}

static void a_full_disk_takes_what_fits(void **state)
{
    struct os *os = os_sim_new(1);
    struct os_file *f = safe_file(os, 'a', 1000);
    struct os_sim_faults faults = {.capacity_bytes = 1500};
    uint8_t b[1000] = {0};
    uint64_t size;
    os_sim_set(os, &faults);
    assert_int_equal(os_extend(os, f, 2000), E_NOSPACE);
    assert_int_equal(os_size(os, f, &size), E_OK);
    assert_int_equal(size, 1000);
    assert_int_equal(os_write(os, f, 1000, b, 1000), E_NOSPACE);
    assert_int_equal(os_size(os, f, &size), E_OK);
    assert_int_equal(size, 1500);
    assert_int_equal(os_write(os, f, 0, b, 1000), E_OK); /* in place */
    assert_int_equal(os_truncate(os, f, 100), E_OK);
    assert_int_equal(os_write(os, f, 100, b, 1000), E_OK);
    os_close(os, &f);
    assert_int_equal(os_remove(os, "f"), E_OK);
    f = must_open(os, "g", OS_WRITE);
    assert_int_equal(os_extend(os, f, 1500), E_OK);
    os_close(os, &f);
    os_free(&os);
}

static void decay(void **state)
{
    struct os *os = os_sim_new(1);
    struct os_file *f = safe_file(os, 'a', 100);
    uint8_t b;
    assert_int_equal(os_sim_flip(os, "f", 50, 1), E_OK);
    assert_int_equal(os_read_full(os, f, 50, &b, 1), E_OK);
    assert_int_equal(b, 'a' ^ 2);
    os_sim_reboot(os);
    os_close(os, &f);
    f = must_open(os, "f", OS_READ);
    assert_int_equal(os_read_full(os, f, 50, &b, 1), E_OK);
    assert_int_equal(b, 'a' ^ 2);
    assert_int_equal(os_sim_flip(os, "f", 100, 1), E_INVALID);
    assert_int_equal(os_sim_flip(os, "f", 0, 8), E_INVALID);
    assert_int_equal(os_sim_flip(os, "g", 0, 0), E_NOTFOUND);
    os_close(os, &f);
    os_free(&os);
}

static int digest_name(void *ctx, const char *name)
{
    uint32_t *crc = ctx;
    *crc = crc32c(*crc, name, strlen(name) + 1);
    return 0;
}

/* Random calls with a crash somewhere; returns a checksum of everything seen. */
static uint32_t random_run(uint64_t seed)
{
    struct os *os = os_sim_new(seed);
    struct os_sim_faults faults = {.crash_at = 20 + seed % 30, .seed = seed};
    uint32_t crc = 0;
    uint8_t dice[4], b[3000];
    os_sim_set(os, &faults);
    for (int i = 0; i < 60; i++) {
        char name[16], other[16];
        struct os_file *f = NULL;
        size_t got = 0;
        os_random(os, dice, 4);
        os_random(os, b, sizeof b);
        snprintf(name, sizeof name, "f%d", dice[0] % 4);
        snprintf(other, sizeof other, "f%d", dice[1] % 4);
        int rc = os_open(os, name, OS_WRITE, &f);
        if (rc == E_OK) rc = os_write(os, f, dice[2] * 16u, b, dice[3] * 11u);
        if (rc == E_OK && dice[3] % 3 == 0) rc = os_sync(os, f);
        if (rc == E_OK) rc = os_read(os, f, 0, b, sizeof b, &got);
        os_close(os, &f);
        crc = crc32c(crc, b, got);
        if (dice[2] % 5 == 0) rc = os_rename(os, name, other);
        if (dice[2] % 7 == 0) rc = os_sync_dir(os, ".");
        crc = crc32c(crc, &rc, sizeof rc);
    }
    os_sim_reboot(os);
    assert_int_equal(os_list(os, ".", digest_name, &crc), E_OK);
    for (int i = 0; i < 4; i++) {
        char name[16];
        struct buf all = {0};
        snprintf(name, sizeof name, "f%d", i);
        if (os_read_file(os, name, 100000, &all) == E_OK) crc = crc32c(crc, all.p, all.n);
        buf_fini(&all);
    }
    uint64_t now = os_wall_us(os);
    os_free(&os);
    return crc32c(crc, &now, sizeof now);
}

static void runs_repeat_by_seed(void **state)
{
    uint32_t earlier = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        uint32_t crc = random_run(seed);
        assert_int_equal(crc, random_run(seed));
        assert_int_not_equal(crc, earlier);
        earlier = crc;
    }
}

static void the_clock_is_ours(void **state)
{
    struct os *os = os_sim_new(1), *other = os_sim_new(2);
    uint64_t wall = os_wall_us(os), mono = os_mono_us(os);
    assert_int_equal(os_wall_us(other), wall);
    os_sim_advance(os, 5000000);
    assert_in_range(os_wall_us(os) - wall, 5000000, 5000010);
    assert_in_range(os_mono_us(os) - mono, 5000000, 5000010);
    os_free(&os);
    os_free(&other);
}

static void moves_between_directories(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct os *os = os_sim_new(seed);
        assert_int_equal(os_mkdir(os, "a"), E_OK);
        assert_int_equal(os_mkdir(os, "b"), E_OK);
        assert_int_equal(os_sync_dir(os, "."), E_OK);
        struct os_file *f = must_open(os, "a/x", OS_WRITE);
        os_close(os, &f);
        assert_int_equal(os_rename(os, "a/x", "b/x"), E_OK);
        if (seed % 2) assert_int_equal(os_sync_dir(os, "b"), E_OK);
        os_sim_reboot(os);
        assert_false(there(os, "a/x") && there(os, "b/x"));
        if (seed % 2) assert_true(there(os, "b/x"));
        os_free(&os);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_bytes_stay),
        cmocka_unit_test(unsynced_writes_go_in_every_way),
        cmocka_unit_test(appended_bytes_may_leave_zeros),
        cmocka_unit_test(names_need_their_own_sync),
        cmocka_unit_test(replacing_a_file_is_atomic),
        cmocka_unit_test(after_a_crash_nothing_works),
        cmocka_unit_test(a_killed_process_loses_nothing_written),
        cmocka_unit_test(single_failures),
        cmocka_unit_test(a_failed_sync_loses_bytes_for_good),
        cmocka_unit_test(a_full_disk_takes_what_fits),
        cmocka_unit_test(decay),
        cmocka_unit_test(runs_repeat_by_seed),
        cmocka_unit_test(the_clock_is_ours),
        cmocka_unit_test(moves_between_directories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
