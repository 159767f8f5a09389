#include "base/mem.h"
#include "unit/base/dies.h"

#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void allocates(void **state)
{
    void *p = mem_alloc(0);
    assert_non_null(p);
    mem_free(p);
    mem_free(NULL);
    uint8_t *z = mem_zalloc(1000);
    for (int i = 0; i < 1000; i++) assert_int_equal(z[i], 0);
    assert_true(mem_size(z) >= 1000);
    assert_int_equal(mem_size(NULL), 0);
    z = mem_realloc(z, 5000);
    assert_int_equal(z[999], 0);
    mem_free(z);
    char *s = mem_strdup("abc");
    assert_string_equal(s, "abc");
    mem_free(s);
    char *d = mem_dup("xyz", 2);
    assert_string_equal(d, "xy");
    mem_free(d);
    d = mem_dup(NULL, 0);
    assert_string_equal(d, "");
    mem_free(d);
}

static void counts(void **state)
{
    enum { N = 64, BYTES = 100000 };
    void *p[N];
    size_t before = mem_used();
    for (int i = 0; i < N; i++) memset(p[i] = mem_alloc(BYTES), 1, BYTES);
    size_t during = mem_used();
#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
    assert_true(during >= before + (size_t)N * BYTES);
    assert_true(during <= before + 2 * (size_t)N * BYTES);
#endif
#endif
    (void)before;
    (void)during;
    for (int i = 0; i < N; i++) mem_free(p[i]);
    assert_true(mem_rss() > 100000);
    assert_true(strncmp(mem_allocator(), "jemalloc-", 9) == 0 || strcmp(mem_allocator(), "libc") == 0);
    if (mem_allocator()[0] == 'j') assert_null(strchr(mem_allocator() + 9, '-'));
}

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__ /* they abort in their own way */
static void ask_for_too_much(void) { memset(mem_alloc((size_t)1 << 62), 1, 1); }
static void running_out_aborts(void **state) { assert_true(dies(ask_for_too_much)); }
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocates),
        cmocka_unit_test(counts),
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
        cmocka_unit_test(running_out_aborts),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
