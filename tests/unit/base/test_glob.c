/* Globs: a table of cases, and random ones against a plain recursive matcher. */
#include "base/glob.h"

#include <time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void table(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool sensitive, insensitive;
    } cases[] = {
        {"", "", 1, 1}, {"", "a", 0, 0}, {"*", "", 1, 1}, {"**", "", 0, 0}, {"*", "abc", 1, 1}, {"a*", "a", 1, 1},
        {"a**", "a", 1, 1}, {"*a*", "a", 1, 1}, {"?", "a", 1, 1}, {"?", "", 0, 0}, {"a?c", "abc", 1, 1}, {"a?c", "ac", 0, 0},
        {"h[ae]llo", "hello", 1, 1}, {"h[ae]llo", "hillo", 0, 0}, {"h[^e]llo", "hello", 0, 0}, {"h[^e]llo", "hbllo", 1, 1},
        {"[a-c]", "b", 1, 1}, {"[c-a]", "b", 1, 1}, {"[a-c]", "B", 0, 1}, {"[A-C]", "b", 0, 1}, {"[abc", "b", 1, 1},
        {"[a-", "-", 1, 1}, {"[", "[", 0, 0}, {"[^", "x", 1, 1}, {"[]", "]", 0, 0}, {"[^]", "]", 1, 1},
        {"[]a]", "a]", 0, 0}, {"[\\]]", "]", 1, 1}, {"[\\A]", "a", 0, 0}, {"[A]", "a", 0, 1}, {"[a-]]", "^", 1, 1},
        {"\\*", "*", 1, 1}, {"\\*", "a", 0, 0}, {"\\", "\\", 1, 1}, {"a\\", "a\\", 1, 1}, {"\\a", "A", 0, 1},
        {"ABC", "abc", 0, 1}, {"*.c", "glob.c", 1, 1}, {"*.c", "glob.h", 0, 0}, {"a*b*c", "a-b-b-c", 1, 1},
        {"a*b*c", "a-c-b", 0, 0}, {"*aab", "aaaab", 1, 1}, {"\xc4", "\xe4", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        slice p = slice_str(cases[i].pattern), t = slice_str(cases[i].text);
        if (glob_match(p, t, false) != cases[i].sensitive || glob_match(p, t, true) != cases[i].insensitive)
            fail_msg("%s on %s", cases[i].pattern, cases[i].text);
    }
    assert_true(glob_match(slice_of("a\0*", 3), slice_of("a\0b", 3), false));
    assert_false(glob_match(slice_of("a\0b", 3), slice_of("a\0c", 3), false));
}

static bool plain(const char *p, const char *t)
{
    if (*p == 0) return *t == 0;
    if (*p == '*') return plain(p + 1, t) || (*t && plain(p, t + 1));
    return *t && (*p == '?' || *p == *t) && plain(p + 1, t + 1);
}

static void random_stars(void **state)
{
    srand(5);
    for (int i = 0; i < 200000; i++) {
        char p[10] = {0}, t[10] = {0};
        for (int j = rand() % 9; j > 0; j--) p[j - 1] = "abb*?"[rand() % 5];
        for (int j = 1 + rand() % 8; j > 0; j--) t[j - 1] = "ab"[rand() % 2];
        if (glob_match(slice_str(p), slice_str(t), rand() % 2) != plain(p, t)) fail_msg("%s on %s", p, t);
    }
}

static void random_bytes_stay_inside(void **state)
{
    for (int i = 0; i < 200000; i++) {
        size_t n = (size_t)rand() % 7, m = (size_t)rand() % 7;
        uint8_t *p = malloc(n + 1), *t = malloc(m + 1); /* exact, for the sanitizer */
        p = realloc(p, n ? n : 1);
        t = realloc(t, m ? m : 1);
        for (size_t j = 0; j < n; j++) p[j] = (uint8_t)"[]^-\\*?a\0b"[rand() % 10];
        for (size_t j = 0; j < m; j++) t[j] = (uint8_t)"[]^-\\a\0b"[rand() % 8];
        glob_match(slice_of(p, n), slice_of(t, m), rand() % 2);
        free(p);
        free(t);
    }
}

static void no_blow_up(void **state)
{
    static char pattern[2001], text[20001];
    for (int i = 0; i < 1000; i++) memcpy(pattern + 2 * i, "a*", 2);
    pattern[1999] = 'b';
    memset(text, 'a', 20000);
    clock_t before = clock();
    assert_false(glob_match(slice_str(pattern), slice_str(text), false));
    assert_true((clock() - before) / CLOCKS_PER_SEC < 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(random_stars),
        cmocka_unit_test(random_bytes_stay_inside),
        cmocka_unit_test(no_blow_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
