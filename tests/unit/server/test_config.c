/* Parameters: every one shows a value that can be set again; wrong values are refused with Redis's sentences; several are set all or none. */
#include "server/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char error[CONFIG_ERROR_MAX];

static bool set(struct config *c, const char *name, const char *value)
{
    slice pair[2] = {slice_str(name), slice_str(value)};
    return config_set(c, pair, 1, true, error);
}

static void assert_shows(struct config *c, const char *name, const char *want)
{
    struct buf b = {0};
    int id = config_find(slice_str(name));
    assert_true(id >= 0);
    config_show(c, (enum config_id)id, &b);
    buf_add_byte(&b, 0);
    assert_string_equal((const char *)b.p, want);
    buf_fini(&b);
}

static void each_default_round_trips(void **state)
{
    struct config c;
    config_init(&c);
    for (int i = 0; i < CFG_COUNT; i++) {
        struct buf before = {0}, after = {0};
        unsigned flags = config_flags((enum config_id)i);
        config_show(&c, (enum config_id)i, &before);
        buf_add_byte(&before, 0);
        bool ok = set(&c, config_name((enum config_id)i), (const char *)before.p);
        bool fixed = (flags & CONFIG_GUARDED) || ((flags & CONFIG_FIXED) && !(flags & CONFIG_OWN));
        if (ok == fixed) fail_msg("%s: %s", config_name((enum config_id)i), error);
        config_show(&c, (enum config_id)i, &after);
        buf_add_byte(&after, 0);
        assert_string_equal((const char *)before.p, (const char *)after.p);
        buf_fini(&before);
        buf_fini(&after);
    }
    config_fini(&c);
}

static void wrong_values_are_named(void **state)
{
    static const struct {
        const char *name, *value, *why;
    } cases[] = {
        {"timeout", "abc", "argument couldn't be parsed into an integer"},
        {"port", "70000", "argument must be between 0 and 65535 inclusive"},
        {"timeout", "-1", "argument must be between 0 and 2147483647 inclusive"},
        {"appendonly", "foo", "argument must be 'yes' or 'no'"},
        {"loglevel", "foo", "argument(s) must be one of the following: debug, verbose, notice, warning"},
        {"maxmemory", "foo", "argument must be a memory value"},
        {"maxmemory", "1e3", "argument must be a memory value"},
        {"maxmemory", "9223372036854775808", "argument must be between 0 and 9223372036854775807 inclusive"},
        {"maxmemory", "99999999999999999999gb", "argument must be between 0 and 9223372036854775807 inclusive"},
        {"repl-backlog-size", "", "argument must be between 1 and 9223372036854775807 inclusive"},
        {"slowlog-log-slower-than", "-2", "argument must be between -1 and 9223372036854775807 inclusive"},
        {"acl-pubsub-default", "", "argument(s) must be one of the following: allchannels, resetchannels"},
        {"maxmemory-clients", "foo", "argument must be a memory or percent value"},
        {"databases", "4", "can't set immutable config"},
        {"dir", "/", "can't set protected config"},
        {"save", "foo", "Invalid save parameters"},
        {"client-output-buffer-limit", "normal 1 2", "Wrong number of arguments in buffer limit configuration."},
        {"client-output-buffer-limit", "normal x 2 3", "Error in hard, soft or soft_seconds setting in buffer limit configuration."},
        {"notify-keyspace-events", "q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."},
    };
    struct config c;
    char want[CONFIG_ERROR_MAX];
    config_init(&c);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false(set(&c, cases[i].name, cases[i].value));
        snprintf(want, sizeof want, "ERR CONFIG SET failed (possibly related to argument '%s') - %s", cases[i].name, cases[i].why);
        assert_string_equal(error, want);
    }
    assert_false(set(&c, "foo", "bar"));
    assert_string_equal(error, "ERR Unknown option or number of arguments for CONFIG SET - 'foo'");
    config_fini(&c);
}

static void several_are_set_all_or_none(void **state)
{
    struct config c;
    config_init(&c);
    slice good[] = {slice_str("timeout"), slice_str("7"), slice_str("maxmemory"), slice_str("1mb"), slice_str("masteruser"), slice_str("me")};
    slice bad[] = {slice_str("timeout"), slice_str("8"), slice_str("masteruser"), slice_str("you"), slice_str("hz"), slice_str("x")};
    slice twice[] = {slice_str("timeout"), slice_str("8"), slice_str("TIMEOUT"), slice_str("9")};
    assert_true(config_set(&c, good, 3, true, error));
    assert_shows(&c, "timeout", "7");
    assert_shows(&c, "maxmemory", "1048576");
    assert_false(config_set(&c, bad, 3, true, error));
    assert_false(config_set(&c, twice, 2, true, error));
    assert_string_equal(error, "ERR CONFIG SET failed (possibly related to argument 'TIMEOUT') - duplicate parameter");
    assert_shows(&c, "timeout", "7");
    assert_shows(&c, "masteruser", "me");
    config_fini(&c);
}

/* What the store cannot be opened with is refused when it is named, not when it is used. */
static void sizes_have_a_default_and_a_range(void **state)
{
    static const struct {
        const char *name, *value, *why; /* NULL: taken */
    } cases[] = {
        {"segment-bytes", "0", NULL},
        {"segment-bytes", "64kb", NULL},
        {"segment-bytes", "1gb", NULL},
        {"segment-bytes", "65535", "argument must be 0 or between 65536 and 1073741824 inclusive"},
        {"segment-bytes", "1", "argument must be 0 or between 65536 and 1073741824 inclusive"},
        {"segment-bytes", "1073741825", "argument must be 0 or between 65536 and 1073741824 inclusive"},
        {"ring-bytes", "0", NULL},
        {"ring-bytes", "64kb", NULL},
        {"ring-bytes", "128mb", NULL},
        {"ring-bytes", "100000", "argument must be a power of two"},
        {"ring-bytes", "32768", "argument must be 0 or between 65536 and 134217728 inclusive"},
        {"ring-bytes", "256mb", "argument must be 0 or between 65536 and 134217728 inclusive"},
    };
    struct config c;
    config_init(&c);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int id = config_find(slice_str(cases[i].name));
        assert_true(id >= 0);
        const char *why = config_preset(&c, (enum config_id)id, slice_str(cases[i].value), error);
        if (cases[i].why)
            assert_string_equal(why, cases[i].why);
        else
            assert_null(why);
    }
    config_fini(&c);
}

static bool refuse_big(void *ctx, enum config_id id, const char **why)
{
    struct config *c = ctx;
    *why = "too big today";
    return id != CFG_TIMEOUT || config_num(c, CFG_TIMEOUT) < 100;
}

static void the_owner_may_refuse(void **state)
{
    struct config c;
    config_init(&c);
    c.apply = refuse_big;
    c.ctx = &c;
    assert_true(set(&c, "timeout", "99"));
    assert_false(set(&c, "timeout", "100"));
    assert_non_null(strstr(error, "too big today"));
    assert_shows(&c, "timeout", "99");
    config_fini(&c);
}

static void values_take_their_shown_form(void **state)
{
    struct config c;
    config_init(&c);
    assert_true(set(&c, "notify-keyspace-events", "KEA"));
    assert_shows(&c, "notify-keyspace-events", "AKE");
    assert_true(set(&c, "client-output-buffer-limit", "normal 1mb 2kb 3 replica 5 6 7"));
    assert_shows(&c, "client-output-buffer-limit", "normal 1048576 2048 3 slave 5 6 7 pubsub 33554432 8388608 60");
    struct output_limit limits[CLASS_COUNT];
    config_output_limits(&c, limits);
    assert_int_equal(limits[CLASS_NORMAL].hard, 1048576);
    assert_int_equal(limits[CLASS_REPLICA].soft_seconds, 7);
    assert_true(set(&c, "save", ""));
    assert_shows(&c, "save", "");
    assert_true(set(&c, "maxmemory", "1kb"));
    assert_true(set(&c, "maxmemory", "")); /* no digits are 0 */
    assert_shows(&c, "maxmemory", "0");
    assert_true(set(&c, "slave-priority", "9"));
    assert_shows(&c, "replica-priority", "9");
    config_fini(&c);
}

static void count(void *ctx, const char *name, slice value) { ++*(int *)ctx; }

static void patterns_show_both_names_and_hide_some(void **state)
{
    struct config c;
    int n = 0;
    config_init(&c);
    config_each(&c, slice_str("hash-max-*-entries"), count, &n);
    assert_int_equal(n, 2);
    n = 0;
    config_each(&c, slice_str("rdb-key-save-del*"), count, &n);
    assert_int_equal(n, 0);
    config_each(&c, slice_str("rdb-key-save-delay"), count, &n);
    assert_int_equal(n, 1);
    config_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_default_round_trips),    cmocka_unit_test(wrong_values_are_named),       cmocka_unit_test(several_are_set_all_or_none),
        cmocka_unit_test(sizes_have_a_default_and_a_range), cmocka_unit_test(the_owner_may_refuse),
        cmocka_unit_test(values_take_their_shown_form), cmocka_unit_test(patterns_show_both_names_and_hide_some),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
