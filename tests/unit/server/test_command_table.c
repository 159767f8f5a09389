/* Look-up, keys and categories. */
#include "server/command_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void nothing(struct call *c) {}

/* The first argument, unless it is NONE. */
static int maybe_key(const slice *argv, int argc, int *positions, int max)
{
    if (slice_is(argv[1], "NONE")) return 0;
    if (max > 0) positions[0] = 1;
    return 1;
}

static const char *uses(const slice *argv, int argc) { return argc > 3 ? "RW ACCESS" : "OW"; }

static const struct command subs[] = {{"get", nothing, -3, CMD_ADMIN}, {"set", nothing, -4, CMD_ADMIN}, {NULL}};
static const struct command rows[] = {
    {"get", nothing, 2, CMD_READONLY | CMD_FAST, "string", KEYS_ONE("RO ACCESS")},
    {"mset", nothing, -3, CMD_WRITE, "string", {{"OW UPDATE", 1, NULL, -1, 2, 0}}},
    {"rename", nothing, 3, CMD_WRITE, "keyspace", {{"RW ACCESS DELETE", 1, NULL, 0, 1, 0}, {"OW UPDATE", 2, NULL, 0, 1, 0}}},
    {"dmget", nothing, -3, CMD_READONLY, "document", {{"RO ACCESS", 1, NULL, 0, 1, 0, 1, 1, 1}}},
    {"xread", nothing, -4, CMD_READONLY, "stream", {{"RO ACCESS", 1, "STREAMS", -1, 1, 2}}},
    {"config", NULL, -2, 0, .sub = subs},
    {"drun", nothing, -3, CMD_READONLY | CMD_WRAPS, "document", {{"RO ACCESS INCOMPLETE", .begin = 2}}},
    {"maybe", nothing, -2, CMD_READONLY, "document", {{"RO ACCESS", 1, NULL, 0, 1, 0}}, .find_keys = maybe_key},
    {"dinfo", nothing, -1, CMD_READONLY, "document", {{"RO ACCESS", 1, "KEY", 0, 1, 0}}},
    {"set", nothing, -3, CMD_WRITE, "string", KEYS_ONE("RW VARIABLE_FLAGS"), .use_keys = uses},
    {"a-name-that-is-longer-than-sixteen", nothing, 1, 0},
    {"a-name-that-is-shorter-than-sixteen", nothing, 1, 0},
    {NULL},
};
static const struct command *const tables[] = {rows, NULL};
static const struct family family = {MODULE_ABI, "test", 1, tables, sizeof(struct call)};

static struct command_table *make(void)
{
    const struct family *all[] = {&family};
    const char *clash;
    struct command_table *t = command_table_new(all, 1, NULL, &clash);
    assert_non_null(t);
    return t;
}

static const struct command_entry *find(struct command_table *t, const char *name) { return command_find(t, slice_str(name)); }

static void names_in_any_case(void **state)
{
    struct command_table *t = make();
    assert_ptr_equal(find(t, "GeT"), find(t, "get"));
    assert_string_equal(find(t, "GET")->name, "get");
    assert_null(find(t, ""));
    assert_null(find(t, "ge"));
    assert_null(find(t, "gett"));
    assert_null(find(t, "g\x05t"));
    assert_null(find(t, "@et"));
    assert_string_equal(find(t, "A-NAME-that-is-LONGER-than-sixteen")->name, "a-name-that-is-longer-than-sixteen");
    assert_null(find(t, "a-name-that-is-middle-than-sixteen"));
    assert_string_equal(command_find_full(t, slice_str("CONFIG|SET"))->name, "config|set");
    assert_null(command_find_full(t, slice_str("config|nope")));
    assert_null(command_find_full(t, slice_str("get|x")));
    assert_int_equal(command_count(t), 12);
    command_table_free(&t);
}

static void every_name_of_any_length(void **state)
{
    enum { N = 60 };
    static char names[N][N + 2];
    static struct command many[N + 1];
    for (int i = 0; i < N; i++) {
        for (int k = 0; k <= i; k++) names[i][k] = (char)('a' + (i * 7 + k) % 26);
        many[i] = (struct command){.name = names[i], .fn = nothing, .arity = 1};
    }
    const struct command *const lists[] = {many, NULL};
    struct family f = {MODULE_ABI, "many", 1, lists, sizeof(struct call)};
    const struct family *all[] = {&f};
    const char *clash;
    struct command_table *t = command_table_new(all, 1, NULL, &clash);
    assert_non_null(t);
    for (int i = 0; i < N; i++) {
        char upper[N + 2];
        for (int k = 0; k <= i + 1; k++) upper[k] = (char)(names[i][k] ? names[i][k] - 32 : 0);
        assert_string_equal(find(t, upper)->row->name, names[i]);
    }
    command_table_free(&t);
}

static void clashes_and_numbers(void **state)
{
    static const struct command again[] = {{"get", nothing, 2, 0}, {NULL}}, fresh[] = {{"fresh", nothing, 2, 0}, {NULL}};
    const struct command *const lists[][2] = {{again, NULL}, {fresh, NULL}};
    struct family a = {MODULE_ABI, "again", 1, lists[0], sizeof(struct call)}, b = {MODULE_ABI, "fresh", 1, lists[1], sizeof(struct call)};
    const struct family *clashing[] = {&family, &a}, *wider[] = {&b, &family};
    const char *clash;
    struct command_table *t = make();
    assert_null(command_table_new(clashing, 2, t, &clash));
    assert_string_equal(clash, "get");
    struct command_table *w = command_table_new(wider, 2, t, &clash);
    assert_int_equal(find(w, "get")->id, find(t, "get")->id);
    assert_ptr_equal(command_by_id(w, find(w, "fresh")->id), find(w, "fresh"));
    assert_int_equal(find(w, "fresh")->id, 14);
    command_table_free(&w);
    command_table_free(&t);
}

static const char *uses_of[8];

static int keys(struct command_table *t, const char *line, int out[8])
{
    static char text[128];
    slice argv[16];
    int n = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *p = text; *p;) {
        size_t len = strcspn(p, " ");
        argv[n++] = slice_of(p, len);
        p += len + (p[len] == ' ');
    }
    return command_keys(command_find(t, argv[0]), argv, n, out, uses_of, 8);
}

static void keys_from_specs(void **state)
{
    struct command_table *t = make();
    int k[8], first, last, step;
    assert_int_equal(find(t, "get")->first_key, 1);
    assert_int_equal(find(t, "rename")->first_key, 0);
    assert_int_equal(keys(t, "get a", k), 1);
    assert_int_equal(keys(t, "mset a 1 b 2", k), 2);
    assert_int_equal(k[1], 3);
    assert_int_equal(keys(t, "rename a b", k), 2);
    assert_int_equal(k[1], 2);
    assert_int_equal(keys(t, "dmget 2 a b", k), 2);
    assert_int_equal(k[0], 2);
    assert_int_equal(keys(t, "dmget 3 a b", k), -1);
    assert_int_equal(keys(t, "dmget x a b", k), -1);
    assert_int_equal(keys(t, "xread count 2 streams a b 0 0", k), 2);
    assert_int_equal(k[0], 4);
    assert_int_equal(k[1], 5);
    command_key_range(find(t, "rename"), &first, &last, &step);
    assert_true(first == 1 && last == 2 && step == 1);
    command_key_range(find(t, "mset"), &first, &last, &step);
    assert_true(first == 1 && last == -1 && step == 2);
    command_key_range(find(t, "dmget"), &first, &last, &step);
    assert_true(first == 0 && last == 0 && step == 0);
    command_table_free(&t);
}

static void keys_that_only_the_arguments_tell(void **state)
{
    struct command_table *t = make();
    int k[8], first, last, step;
    assert_int_equal(keys(t, "maybe a", k), 1);
    assert_true(k[0] == 1 && strcmp(uses_of[0], "RO ACCESS") == 0);
    assert_int_equal(keys(t, "maybe none", k), 0);
    assert_int_equal(find(t, "maybe")->first_key, 0);
    assert_int_equal(keys(t, "dinfo", k), 0);
    assert_int_equal(keys(t, "dinfo coll key", k), 0);
    assert_int_equal(keys(t, "dinfo key key", k), 1);
    assert_int_equal(k[0], 2);
    assert_int_equal(keys(t, "set a b", k), 1);
    assert_string_equal(uses_of[0], "OW");
    assert_int_equal(keys(t, "set a b get", k), 1);
    assert_string_equal(uses_of[0], "RW ACCESS");
    assert_int_equal(keys(t, "drun 5 rename a b", k), 2);
    assert_true(k[0] == 3 && k[1] == 4 && strcmp(uses_of[0], "RW ACCESS DELETE") == 0 && strcmp(uses_of[1], "OW UPDATE") == 0);
    assert_int_equal(keys(t, "drun 5 set a b get", k), 1);
    assert_true(k[0] == 3 && strcmp(uses_of[0], "RW ACCESS") == 0);
    assert_int_equal(keys(t, "drun 5 maybe none", k), 0);
    assert_int_equal(keys(t, "drun 5 config get x", k), 0);
    static const char *const senseless[] = {"drun 5 get", "drun 5 get a b", "drun 5 nothing a", "drun 5 config nothing", "drun 5 drun 5 get a", "drun 5 dmget 3 a"};
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++)
        if (keys(t, senseless[i], k) != -1) fail_msg("%s", senseless[i]);
    assert_int_equal(find(t, "drun")->first_key, 0);
    command_key_range(find(t, "drun"), &first, &last, &step);
    assert_true(first == 0 && last == 0 && step == 0);
    command_table_free(&t);
}

static void categories(void **state)
{
    struct command_table *t = make();
    uint64_t get = find(t, "get")->categories;
    assert_true(get >> command_category_find(slice_str("read")) & 1);
    assert_true(get >> command_category_find(slice_str("fast")) & 1);
    assert_false(get >> command_category_find(slice_str("slow")) & 1);
    assert_true(find(t, "mset")->categories >> command_category_find(slice_str("write")) & 1);
    assert_true(command_find_full(t, slice_str("config|get"))->categories >> command_category_find(slice_str("dangerous")) & 1);
    assert_int_equal(command_category_find(slice_str("nope")), -1);
    command_table_free(&t);
}

static void other_names(void **state)
{
    const struct family *all[] = {&family};
    const char *clash;
    struct command_table *t = command_table_new(all, 1, NULL, &clash), *again;
    size_t n = command_count(t);
    const struct command_entry *get = command_find(t, slice_str("get")), *config = command_find(t, slice_str("config"));
    assert_string_equal(command_table_rename(t, "none", "x"), "No such command in rename-command");
    assert_string_equal(command_table_rename(t, "get", "MSET"), "Target command name already exists");
    assert_null(command_table_rename(t, "GET", "fetch"));
    assert_null(command_table_rename(t, "config", "a-secret-name-of-many-letters"));
    assert_null(command_table_rename(t, "set", ""));
    assert_null(command_find(t, slice_str("get")));
    assert_null(command_find(t, slice_str("set")));
    assert_ptr_equal(command_find(t, slice_str("Fetch")), get);
    assert_ptr_equal(command_find(t, slice_str("A-secret-name-of-many-letters")), config);
    assert_non_null(command_find_full(t, slice_str("a-secret-name-of-many-letters|get")));
    assert_null(command_find(t, slice_str("a-secret-name-of-many-lexters")));
    assert_string_equal(get->name, "get");
    assert_int_equal(command_count(t), n - 1);
    for (size_t i = 0; i < n - 1; i++) assert_true(command_at(t, i) == get || strcmp(command_at(t, i)->name, "set") != 0);
    /* A table made from this one gives commands the numbers that they had, whatever they are called. */
    again = command_table_new(all, 1, t, &clash);
    static const char pairs[] = "get\0mset2\0nothing\0x\0mset2\0get";
    const char *which;
    assert_int_equal(command_find(again, slice_str("get"))->id, get->id);
    assert_string_equal(command_table_rename_all(again, slice_of(pairs, sizeof pairs), false, &which), "No such command in rename-command");
    assert_string_equal(which, "nothing");
    assert_non_null(command_find(again, slice_str("mset2")));
    assert_null(command_table_rename_all(again, slice_of(pairs + 10, sizeof pairs - 10), true, &which));
    assert_int_equal(command_find(again, slice_str("get"))->id, get->id);
    command_table_free(&t);
    command_table_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(other_names), cmocka_unit_test(names_in_any_case), cmocka_unit_test(every_name_of_any_length), cmocka_unit_test(clashes_and_numbers),
                                       cmocka_unit_test(keys_from_specs), cmocka_unit_test(keys_that_only_the_arguments_tell), cmocka_unit_test(categories)};
    return cmocka_run_group_tests_name("command_table", tests, NULL, NULL);
}
