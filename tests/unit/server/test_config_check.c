/* Values with a form of their own. */
#include "server/config_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void accepts(config_check fn, const char *value, const char *was, const char *want)
{
    struct buf out = {0};
    assert_null(fn(slice_str(value), slice_str(was), &out));
    buf_add_byte(&out, 0);
    assert_string_equal((const char *)out.p, want);
    buf_fini(&out);
}

static void refuses(config_check fn, const char *value)
{
    struct buf out = {0};
    assert_non_null(fn(slice_str(value), slice_str(""), &out));
    buf_fini(&out);
}

static void forms(void **state)
{
    accepts(check_octal, "700", "", "700");
    refuses(check_octal, "798");
    refuses(check_octal, "");
    refuses(check_octal, "1000");
    accepts(check_save, " 900  1 ", "", "900 1");
    accepts(check_save, "", "", "");
    refuses(check_save, "900");
    refuses(check_save, "0 1");
    accepts(check_percentiles, "50.0 99.9 1e1", "", "50 99.9 10");
    refuses(check_percentiles, "101");
    accepts(check_events, "Kg$lshzxetd", "", "AK");
    accepts(check_events, "gKx", "", "gxK");
    accepts(check_events, "mKng", "", "gnKm");
    refuses(check_events, "y");
    accepts(check_memory_percent, "50%", "", "50%");
    accepts(check_memory_percent, "0%", "", "0");
    accepts(check_memory_percent, "1kb", "", "1024");
    refuses(check_memory_percent, "101%");
    accepts(check_three_integers, "0 200 800", "", "0 200 800");
    refuses(check_three_integers, "800 200 0");
    refuses(check_three_integers, "0 1");
    accepts(check_shutdown, "nosave force", "", "nosave force");
    accepts(check_shutdown, "FORCE  now default now", "", "now force");
    accepts(check_shutdown, "default", "", "default");
    accepts(check_replicaof, "", "", "");
    accepts(check_replicaof, "no ONE", "", "");
    accepts(check_replicaof, "h  1", "", "h 1");
    refuses(check_replicaof, "h x");
    refuses(check_replicaof, "h");
    accepts(check_bind, " a  -b ", "", "a -b");
    refuses(check_bind, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17");
    refuses(check_shutdown, "maybe");
    refuses(check_shutdown, "save nosave");
    refuses(check_shutdown, "");
    accepts(check_output_limits, "pubsub 1 2 3", "normal 9 8 7 slave 0 0 0 pubsub 0 0 0", "normal 9 8 7 slave 0 0 0 pubsub 1 2 3");
    refuses(check_output_limits, "client 1 2 3");
    accepts(check_output_limits, "", "normal 9 8 7 slave 0 0 0 pubsub 0 0 0", "normal 9 8 7 slave 0 0 0 pubsub 0 0 0");
}

static void words(void **state)
{
    slice w[3];
    assert_int_equal(config_words(slice_str("  a  bc d "), w, 3), 3);
    assert_true(slice_is(w[1], "bc"));
    assert_int_equal(config_words(slice_str("   "), w, 3), 0);
    assert_int_equal(config_words(slice_str("a b c d"), w, 3), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(forms), cmocka_unit_test(words)};
    return cmocka_run_group_tests_name("config_check", tests, NULL, NULL);
}
