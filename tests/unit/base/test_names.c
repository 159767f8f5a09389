#include "base/mem.h"
#include "base/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int one, two;

static void cleaning(void **state)
{
    static const char *const cases[][2] = {{"/a/b", "/a/b"}, {"//a///b/", "/a/b"}, {"a", "a"}, {"./a", "a"}, {"a/./b", "a/b"}, {"/", "/"}, {".", "."}, {"./", "."},
                                           {"/.", "/"}, {"a/.b", "a/.b"}, {"/a/.", "/a"}};
    static const char *const parents[][2] = {{"/a/b", "/a"}, {"/a", "/"}, {"a", "."}, {"a/b", "a"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *clean = names_clean(cases[i][0]);
        assert_string_equal(clean, cases[i][1]);
        mem_free(clean);
    }
    for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
        char *parent = names_parent(parents[i][0]);
        assert_string_equal(parent, parents[i][1]);
        mem_free(parent);
    }
}

static void put_find_drop(void **state)
{
    struct names t = {0};
    void *file = NULL;
    assert_false(names_find(&t, "a", NULL));
    for (int i = 0; i < 100; i++) {
        char path[20];
        snprintf(path, sizeof path, "f%d", i * 37 % 100);
        names_put(&t, path, &one);
    }
    names_put(&t, "f7", &two);
    assert_int_equal(t.n, 100);
    for (size_t i = 1; i < t.n; i++) assert_true(strcmp(t.v[i - 1].path, t.v[i].path) < 0);
    assert_true(names_find(&t, "f7", &file) && file == &two);
    assert_true(names_drop(&t, "f7"));
    assert_false(names_drop(&t, "f7"));
    assert_int_equal(t.n, 99);
    names_fini(&t);
}

static void directories(void **state)
{
    struct names t = {0}, u = {0};
    struct buf b = {0};
    void *file = NULL, *replaced = NULL;
    names_put(&t, "/d", NULL);
    names_put(&t, "/d/e", NULL);
    names_put(&t, "/d/e/f", &one);
    names_put(&t, "/d-x", &two); /* sorts between /d and /d/e */
    assert_true(names_is_dir(&t, "/") && names_is_dir(&t, "/d/e") && !names_is_dir(&t, "/d-x") && !names_is_dir(&t, "/q"));
    assert_true(names_has_children(&t, "/d") && !names_has_children(&t, "/d-x"));
    names_children(&t, "/d", &b);
    assert_true(slice_eq(buf_slice(&b), slice_of("e", 2)));
    buf_clear(&b);
    names_children(&t, "/", &b);
    assert_true(slice_eq(buf_slice(&b), slice_of("d\0d-x", 6)));
    assert_int_equal(names_check_move(&t, "/d", "/d/e/g", &replaced), E_INVALID);
    assert_int_equal(names_check_move(&t, "/q", "/z", &replaced), E_NOTFOUND);
    assert_int_equal(names_check_move(&t, "/d-x", "/q/z", &replaced), E_NOTFOUND);
    assert_int_equal(names_check_move(&t, "/d-x", "/d", &replaced), E_EXISTS);
    assert_int_equal(names_check_move(&t, "/d-x", "/d/e/f", &replaced), E_OK);
    assert_ptr_equal(replaced, &one);
    names_move(&t, "/d", "/m");
    assert_true(names_find(&t, "/m/e/f", &file) && file == &one);
    assert_int_equal(t.n, 4);
    names_copy(&u, &t);
    names_drop(&u, "/m");
    names_drop_orphans(&u);
    assert_int_equal(u.n, 1);
    assert_int_equal(t.n, 4);
    names_fini(&t);
    names_fini(&u);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cleaning), cmocka_unit_test(put_find_drop), cmocka_unit_test(directories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
