/* What every implementation of the OS must do alike: one set of cases, run on each. */
#include "base/mem.h"
#include "base/os.h"
#include "base/os_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct world {
    struct os *os;
    char dir[40];
    char path[100]; /* of the last at() */
};

static const char *at(struct world *w, const char *name)
{
    snprintf(w->path, sizeof w->path, "%s/%s", w->dir, name);
    return w->path;
}

static struct os_file *must_open(struct world *w, const char *name, unsigned flags)
{
    struct os_file *f = NULL;
    assert_int_equal(os_open(w->os, at(w, name), flags, &f), E_OK);
    assert_non_null(f);
    return f;
}

static void opening(void **state)
{
    struct world *w = *state;
    struct os_file *f = NULL, *g = NULL;
    uint64_t size = 9;
    assert_int_equal(os_open(w->os, at(w, "none"), OS_READ, &f), E_NOTFOUND);
    assert_int_equal(os_open(w->os, at(w, "no/dir"), OS_WRITE, &f), E_NOTFOUND);
    assert_null(f);
    f = must_open(w, "a", OS_WRITE);
    assert_int_equal(os_open(w->os, at(w, "a"), OS_WRITE | OS_EXCLUSIVE, &g), E_EXISTS);
    assert_int_equal(os_write(w->os, f, 0, "abc", 3), E_OK);
    g = must_open(w, "a", OS_READ);
    assert_int_equal(os_size(w->os, g, &size), E_OK);
    assert_int_equal(size, 3);
    os_close(w->os, &g);
    assert_null(g);
    os_close(w->os, &g);
    g = must_open(w, "a", OS_WRITE);
    assert_int_equal(os_size(w->os, g, &size), E_OK);
    assert_int_equal(size, 3);
    os_close(w->os, &g);
    g = must_open(w, "a", OS_WRITE | OS_TRUNCATE);
    assert_int_equal(os_size(w->os, f, &size), E_OK);
    assert_int_equal(size, 0);
    os_close(w->os, &g);
    os_close(w->os, &f);
}

static void reading_and_writing(void **state)
{
    struct world *w = *state;
    struct os_file *f = must_open(w, "rw", OS_WRITE);
    enum { BIG = 300000 };
    uint8_t *big = mem_alloc(BIG), *back = mem_alloc(BIG);
    size_t got = 7;
    for (int i = 0; i < BIG; i++) big[i] = (uint8_t)(i * 31 >> 3);
    assert_int_equal(os_read(w->os, f, 0, back, 10, &got), E_OK);
    assert_int_equal(got, 0);
    assert_int_equal(os_write(w->os, f, 5, big, BIG), E_OK);
    assert_int_equal(os_read(w->os, f, 0, back, 8, &got), E_OK);
    assert_int_equal(got, 8);
    assert_memory_equal(back, "\0\0\0\0\0", 5);
    assert_memory_equal(back + 5, big, 3);
    assert_int_equal(os_read_full(w->os, f, 5, back, BIG), E_OK);
    assert_memory_equal(back, big, BIG);
    assert_int_equal(os_read(w->os, f, BIG, back, 100, &got), E_OK);
    assert_int_equal(got, 5);
    assert_int_equal(os_read_full(w->os, f, BIG, back, 6), E_CORRUPT);
    assert_int_equal(os_read(w->os, f, 10 * BIG, back, 1, &got), E_OK);
    assert_int_equal(got, 0);
    assert_int_equal(os_write(w->os, f, 100, "xyz", 3), E_OK);
    assert_int_equal(os_write(w->os, f, 100, NULL, 0), E_OK);
    assert_int_equal(os_sync(w->os, f), E_OK);
    assert_int_equal(os_read_full(w->os, f, 99, back, 5), E_OK);
    assert_memory_equal(back + 1, "xyz", 3);
    os_close(w->os, &f);
    f = must_open(w, "rw", OS_MAPPED);
    assert_int_equal(os_read_full(w->os, f, 99, back, 5), E_OK);
    assert_memory_equal(back + 1, "xyz", 3);
    assert_int_equal(os_read(w->os, f, BIG, back, 100, &got), E_OK);
    assert_int_equal(got, 5);
    os_close(w->os, &f);
    mem_free(big);
    mem_free(back);
}

static void sizes(void **state)
{
    struct world *w = *state;
    struct os_file *f = must_open(w, "size", OS_WRITE);
    uint8_t b[8];
    uint64_t size;
    assert_int_equal(os_extend(w->os, f, 100000), E_OK);
    assert_int_equal(os_size(w->os, f, &size), E_OK);
    assert_int_equal(size, 100000);
    assert_int_equal(os_read_full(w->os, f, 99992, b, 8), E_OK);
    assert_memory_equal(b, "\0\0\0\0\0\0\0", 8);
    assert_int_equal(os_write(w->os, f, 50000, "abcdefgh", 8), E_OK);
    assert_int_equal(os_extend(w->os, f, 10), E_OK); /* never shrinks */
    assert_int_equal(os_size(w->os, f, &size), E_OK);
    assert_int_equal(size, 100000);
    assert_int_equal(os_truncate(w->os, f, 50004), E_OK);
    assert_int_equal(os_truncate(w->os, f, 60000), E_OK);
    assert_int_equal(os_read_full(w->os, f, 50000, b, 8), E_OK);
    assert_memory_equal(b, "abcd\0\0\0", 8);
    os_close(w->os, &f);
}

static int collect(void *ctx, const char *name)
{
    buf_add_str(ctx, name);
    buf_add_byte(ctx, ' ');
    return 0;
}

static int stop_at_once(void *ctx, const char *name) { return ++*(int *)ctx == 1 ? 77 : -1; }

static bool lists(struct world *w, const char *dir, const char *name)
{
    struct buf b = {0};
    char word[50];
    buf_add_byte(&b, ' ');
    assert_int_equal(os_list(w->os, dir, collect, &b), E_OK);
    buf_add_byte(&b, 0);
    snprintf(word, sizeof word, " %s ", name);
    bool yes = strstr((char *)b.p, word) != NULL;
    buf_fini(&b);
    return yes;
}

static void names(void **state)
{
    struct world *w = *state;
    char other[100];
    struct os_file *f = must_open(w, "one", OS_WRITE), *g = must_open(w, "two", OS_WRITE);
    uint8_t b[3];
    int calls = 0;
    assert_int_equal(os_write(w->os, f, 0, "one", 3), E_OK);
    assert_int_equal(os_write(w->os, g, 0, "two", 3), E_OK);
    assert_true(lists(w, w->dir, "one") && lists(w, w->dir, "two"));
    assert_int_equal(os_list(w->os, w->dir, stop_at_once, &calls), 77);
    snprintf(other, sizeof other, "%s/two", w->dir);
    assert_int_equal(os_rename(w->os, at(w, "one"), other), E_OK);
    assert_false(lists(w, w->dir, "one"));
    assert_int_equal(os_read_full(w->os, g, 0, b, 3), E_OK); /* replaced, but open */
    assert_memory_equal(b, "two", 3);
    os_close(w->os, &g);
    g = must_open(w, "two", OS_READ);
    assert_int_equal(os_read_full(w->os, g, 0, b, 3), E_OK);
    assert_memory_equal(b, "one", 3);
    assert_int_equal(os_remove(w->os, other), E_OK);
    assert_int_equal(os_remove(w->os, other), E_NOTFOUND);
    assert_int_equal(os_read_full(w->os, f, 0, b, 3), E_OK); /* removed, but open */
    assert_int_equal(os_rename(w->os, at(w, "one"), other), E_NOTFOUND);
    os_close(w->os, &f);
    os_close(w->os, &g);
}

static void directories(void **state)
{
    struct world *w = *state;
    struct os_file *f = NULL;
    assert_int_equal(os_mkdir(w->os, at(w, "d/e/f")), E_OK);
    assert_int_equal(os_mkdir(w->os, at(w, "d/e/f/")), E_OK);
    assert_true(lists(w, at(w, "d/e"), "f"));
    f = must_open(w, "d/e/f/g", OS_WRITE);
    os_close(w->os, &f);
    assert_int_equal(os_mkdir(w->os, at(w, "d/e/f/g")), E_EXISTS);
    assert_int_equal(os_sync_dir(w->os, at(w, "d/e/f")), E_OK);
    assert_int_equal(os_sync_dir(w->os, at(w, "d/nope")), E_NOTFOUND);
    assert_int_equal(os_list(w->os, at(w, "d/nope"), collect, NULL), E_NOTFOUND);
    assert_int_equal(os_remove(w->os, at(w, "d/e")), E_EXISTS);
    assert_int_equal(os_remove(w->os, at(w, "d/e/f/g")), E_OK);
    assert_int_equal(os_remove(w->os, at(w, "d/e/f")), E_OK);
    assert_false(lists(w, at(w, "d/e"), "f"));
}

static void locks(void **state)
{
    struct world *w = *state;
    struct os_file *a = NULL, *b = NULL;
    assert_int_equal(os_lock(w->os, at(w, "lock"), &a), E_OK);
    assert_int_equal(os_lock(w->os, at(w, "lock"), &b), E_LOCKED);
    assert_null(b);
    b = must_open(w, "lock", OS_READ); /* closing another handle keeps the lock */
    os_close(w->os, &b);
    assert_int_equal(os_lock(w->os, at(w, "lock"), &b), E_LOCKED);
    os_close(w->os, &a);
    assert_int_equal(os_lock(w->os, at(w, "lock"), &b), E_OK);
    os_close(w->os, &b);
}

static void whole_files(void **state)
{
    struct world *w = *state;
    struct buf b = {0};
    assert_int_equal(os_read_file(w->os, at(w, "whole"), 100, &b), E_NOTFOUND);
    assert_int_equal(os_replace_file(w->os, w->dir, "whole", slice_str("first")), E_OK);
    assert_int_equal(os_replace_file(w->os, w->dir, "whole", slice_str("and second")), E_OK);
    buf_add_str(&b, "> ");
    assert_int_equal(os_read_file(w->os, at(w, "whole"), 10, &b), E_OK);
    assert_true(slice_eq(buf_slice(&b), slice_str("> and second")));
    assert_int_equal(os_read_file(w->os, at(w, "whole"), 9, &b), E_TOOBIG);
    assert_int_equal(b.n, 12);
    assert_false(lists(w, w->dir, "whole.tmp"));
    assert_int_equal(os_replace_file(w->os, at(w, "nodir"), "x", slice_str("")), E_NOTFOUND);
    assert_int_equal(os_replace_file(w->os, w->dir, "empty", (slice){0}), E_OK);
    assert_int_equal(os_read_file(w->os, at(w, "empty"), 0, &b), E_OK);
    assert_int_equal(b.n, 12);
    buf_fini(&b);
}

static const struct os_ops *plain;
static struct world *interrupted;

/* Before the first file gets its name, another of the folder is replaced as a whole. */
static int rename_later(struct os *os, const char *from, const char *to)
{
    struct world *w = interrupted;
    interrupted = NULL;
    if (w) assert_int_equal(os_replace_file(os, w->dir, "right", slice_str("the right one")), E_OK);
    return plain->rename(os, from, to);
}

/* What is written beside the old file has a name of its own for each name. */
static void two_at_once(void **state)
{
    struct world *w = *state;
    struct os_ops hooked = *(plain = w->os->ops);
    struct buf b = {0};
    hooked.rename = rename_later;
    interrupted = w;
    w->os->ops = &hooked;
    int rc = os_replace_file(w->os, w->dir, "left", slice_str("the left one; "));
    w->os->ops = plain;
    assert_int_equal(rc, E_OK);
    assert_null(interrupted);
    assert_int_equal(os_read_file(w->os, at(w, "left"), 100, &b), E_OK);
    assert_int_equal(os_read_file(w->os, at(w, "right"), 100, &b), E_OK);
    assert_true(slice_eq(buf_slice(&b), slice_str("the left one; the right one")));
    buf_fini(&b);
}

static void clock_and_randomness(void **state)
{
    struct world *w = *state;
    uint8_t a[3000], b[3000];
    uint64_t before = os_mono_us(w->os);
    assert_true(os_wall_us(w->os) > (uint64_t)1600000000 * 1000000);
    for (int i = 0; i < 100; i++) {
        uint64_t now = os_mono_us(w->os);
        assert_true(now >= before);
        before = now;
    }
    os_random(w->os, a, 0);
    for (size_t n = 8; n < sizeof a; n += 101) {
        memset(a, 0, sizeof a);
        os_random(w->os, a, n);
        os_random(w->os, b, n);
        assert_memory_not_equal(a, b, n);
        for (size_t i = n; i < sizeof a; i++) assert_int_equal(a[i], 0);
        if (n < 100) continue;
        int ones = 0;
        for (size_t i = 0; i < n; i++) ones += __builtin_popcount(a[i]);
        assert_in_range(ones, 3 * n, 5 * n);
    }
}

static int start_posix(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    snprintf(w->dir, sizeof w->dir, "/tmp/varve-os-XXXXXX");
    w->os = os_posix();
    *state = w;
    return mkdtemp(w->dir) ? 0 : -1;
}
static int start_memory(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    snprintf(w->dir, sizeof w->dir, "/data");
    w->os = os_memory_new();
    *state = w;
    return os_mkdir(w->os, w->dir);
}
static int start_sim(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    snprintf(w->dir, sizeof w->dir, "data");
    w->os = os_sim_new(1);
    *state = w;
    return os_mkdir(w->os, w->dir);
}

static int remove_all(struct world *w, const char *dir)
{
    struct buf names_in = {0};
    int rc = os_list(w->os, dir, collect, &names_in);
    for (size_t i = 0; rc == E_OK && i < names_in.n;) {
        char *name = (char *)names_in.p + i, path[200];
        size_t n = (size_t)((char *)memchr(name, ' ', names_in.n - i) - name);
        name[n] = 0;
        i += n + 1;
        snprintf(path, sizeof path, "%s/%s", dir, name);
        rc = os_remove(w->os, path);
        if (rc == E_EXISTS) rc = remove_all(w, path);
    }
    buf_fini(&names_in);
    return rc == E_OK ? os_remove(w->os, dir) : rc;
}

static int finish(void **state)
{
    struct world *w = *state;
    int rc = remove_all(w, w->dir);
    os_free(&w->os);
    assert_null(w->os);
    mem_free(w);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening), cmocka_unit_test(reading_and_writing), cmocka_unit_test(sizes),
        cmocka_unit_test(names),   cmocka_unit_test(directories),         cmocka_unit_test(locks),
        cmocka_unit_test(whole_files), cmocka_unit_test(two_at_once), cmocka_unit_test(clock_and_randomness),
    };
    int failed = cmocka_run_group_tests_name("posix", tests, start_posix, finish);
    failed += cmocka_run_group_tests_name("memory", tests, start_memory, finish);
    return failed + cmocka_run_group_tests_name("simulator", tests, start_sim, finish);
}
