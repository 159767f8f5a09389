/* Operations on documents: what RFC 6902's examples say, what they must refuse, and that what is not touched keeps its bytes. */
#include "modules/doc/patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LIMIT (1u << 20)

/* The patched text, or "<op> <why>". Static. */
static const char *patched_max(const char *doc, const char *ops, size_t max)
{
    static char text[4096];
    struct patch_tree t;
    struct buf out = {0};
    struct json_fault fault;
    slice d, p;
    size_t op = 99;
    assert_int_equal(json_check(slice_str(doc), &d, NULL), E_OK);
    assert_int_equal(json_check(slice_str(ops), &p, NULL), E_OK);
    patch_tree_init(&t, d);
    const char *why = patch_ops(&t, p, max, &op);
    if (why) {
        snprintf(text, sizeof text, "%zu %s", op, why);
    } else {
        patch_write(t.root, &out);
        assert_true(out.n <= d.n + t.bytes_added + 16);
        int r = json_check(buf_slice(&out), NULL, &fault);
        snprintf(text, sizeof text, "%.*s", r == E_OK ? (int)out.n : 0, (const char *)out.p);
        if (r != E_OK) snprintf(text, sizeof text, "invalid: %s", fault.why);
    }
    buf_fini(&out);
    patch_tree_fini(&t);
    return text;
}

static const char *patched(const char *doc, const char *ops)
{
    return patched_max(doc, ops, LIMIT);
}

struct example {
    const char *doc, *ops, *want;
};

static void expect(const struct example *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = patched(x[i].doc, x[i].ops);
        if (strcmp(got, x[i].want) != 0) print_error("%s\n%s\n", x[i].doc, x[i].ops);
        assert_string_equal(got, x[i].want);
    }
}
#define EXPECT(x) expect(x, sizeof x / sizeof *x)

/* The facts of RFC 6902's appendix A, in its order. */
static void rfc_examples(void **state)
{
    (void)state;
    static const struct example x[] = {
        {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]", "{\"foo\":\"bar\",\"baz\":\"qux\"}"},
        {"{\"foo\":[\"bar\",\"baz\"]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]", "{\"foo\":[\"bar\",\"qux\",\"baz\"]}"},
        {"{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"remove\",\"path\":\"/baz\"}]", "{\"foo\":\"bar\"}"},
        {"{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]", "{\"foo\":[\"bar\",\"baz\"]}"},
        {"{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]", "{\"baz\":\"boo\",\"foo\":\"bar\"}"},
        {"{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}",
         "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
         "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}"},
        {"{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}", "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
         "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}"},
        {"{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}",
         "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2}]",
         "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}"},
        {"{\"baz\":\"qux\"}", "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"bar\"}]", "0 the test failed"},
        {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]",
         "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}"},
        {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"xyz\":123}]", "{\"foo\":\"bar\",\"baz\":\"qux\"}"},
        {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz/bat\",\"value\":\"qux\"}]", "0 no such member"},
        {"{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}]", "{\"/\":9,\"~1\":10}"},
        {"{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":\"10\"}]", "0 the test failed"},
        {"{\"foo\":[\"bar\"]}", "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]", "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}"},
    };
    EXPECT(x);
}

/* RFC 6901's table of pointers, by way of test. */
static void pointers(void **state)
{
    (void)state;
    const char *doc = "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}";
    static const char *const rows[][2] = {
        {"/foo", "[\"bar\",\"baz\"]"}, {"/foo/0", "\"bar\""}, {"/", "0"},         {"/a~1b", "1"}, {"/c%d", "2"},  {"/e^f", "3"},
        {"/g|h", "4"},                 {"/i\\\\j", "5"},      {"/k\\\"l", "6"}, {"/ ", "7"},    {"/m~0n", "8"},
    };
    char ops[256];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(ops, sizeof ops, "[{\"op\":\"test\",\"path\":\"%s\",\"value\":%s}]", rows[i][0], rows[i][1]);
        assert_string_equal(patched(doc, ops), doc);
    }
    snprintf(ops, sizeof ops, "[{\"op\":\"test\",\"path\":\"\",\"value\":%.200s}]", doc);
    assert_string_equal(patched(doc, ops), doc);
    static const struct example bad[] = {
        {"{\"a\":[0]}", "[{\"op\":\"test\",\"path\":\"a\",\"value\":0}]", "0 a pointer is empty or begins with /"},
        {"{\"a\":[0]}", "[{\"op\":\"test\",\"path\":\"/a/01\",\"value\":0}]", "0 an array index is a number without leading zeros"},
        {"{\"a\":[0]}", "[{\"op\":\"test\",\"path\":\"/a/x\",\"value\":0}]", "0 an array index is a number without leading zeros"},
        {"{\"a\":[0]}", "[{\"op\":\"test\",\"path\":\"/a/-\",\"value\":0}]", "0 no such element"},
        {"{\"a\":[0]}", "[{\"op\":\"test\",\"path\":\"/a/1\",\"value\":0}]", "0 no such element"},
        {"{\"a\":[0]}", "[{\"op\":\"add\",\"path\":\"/a/2\",\"value\":0}]", "0 no such element"},
        {"{\"a\":[0]}", "[{\"op\":\"test\",\"path\":\"/a/0/b\",\"value\":0}]", "0 the pointer leads into a value that is no container"},
        {"{\"a\":[0]}", "[{\"op\":\"test\",\"path\":\"/a~\",\"value\":0}]", "0 a pointer has ~ only in ~0 and ~1"},
        {"{\"a\":[0]}", "[{\"op\":\"test\",\"path\":\"/a~2\",\"value\":0}]", "0 a pointer has ~ only in ~0 and ~1"},
    };
    EXPECT(bad);
}

static void bytes_stay(void **state)
{
    (void)state;
    static const struct example x[] = {
        {"{ \"a\" : 12345678901234567890 , \"b\" : [ 1.0 , 1e400 , -0 ] }", "[{\"op\":\"add\",\"path\":\"/c\",\"value\":1}]",
         "{ \"a\" : 12345678901234567890 , \"b\" : [ 1.0 , 1e400 , -0 ],\"c\":1 }"},
        {"{ \"a\" : 1.0 , \"b\" : [ 1.0 , 1e400 , -0 ] }", "[{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"remove\",\"path\":\"/b/1\"}]",
         "{ \"b\" : [ 1.0 , -0 ] }"},
        {"[ 1 , 2 ]", "[{\"op\":\"remove\",\"path\":\"/0\"},{\"op\":\"add\",\"path\":\"/0\",\"value\":0}]", "[0 , 2 ]"},
        {"[1]", "[{\"op\":\"remove\",\"path\":\"/0\"}]", "[]"},
        {"{ }", "[{\"op\":\"add\",\"path\":\"/\\u0061~1\\\"\",\"value\": [ ] }]", "{\"a/\\\"\":[ ] }"},
        {"{\"\\u0061\":1}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":2}]", "{\"\\u0061\":2}"},
        {"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"add\",\"path\":\"/a\",\"value\":2}]", "{\"a\":2}"},
        {"{\"a\":1,\"b\":2}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":{\"x\":1.50}}]", "{\"a\":{\"x\":1.50},\"b\":2}"},
        {"{\"a\":{\"b\":{\"c\":[1,{\"d\":1}]}}}", "[{\"op\":\"replace\",\"path\":\"/a/b/c/1/d\",\"value\":2}]",
         "{\"a\":{\"b\":{\"c\":[1,{\"d\":2}]}}}"},
        {"1", "[{\"op\":\"replace\",\"path\":\"\",\"value\":{\"a\":1}},{\"op\":\"add\",\"path\":\"/b\",\"value\":2}]", "{\"a\":1,\"b\":2}"},
        {"{\"a\":[1,2]}", "[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/b\"},{\"op\":\"add\",\"path\":\"/a/-\",\"value\":3}]",
         "{\"a\":[1,2,3],\"b\":{\"a\":[1,2]}}"},
        {"{\"a\":[1,2]}", "[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":3},{\"op\":\"move\",\"from\":\"/a\",\"path\":\"\"}]", "[1,2,3]"},
        {"{\"a\":1}", "[]", "{\"a\":1}"},
        {"{\"a\":1}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a\"}]", "{\"a\":1}"},
        {"{\"a\":{\"x\":1,\"y\":[2]}}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":{\"y\":[2.0],\"x\":1e0}}]", "{\"a\":{\"x\":1,\"y\":[2]}}"},
    };
    EXPECT(x);
}

static void refusals(void **state)
{
    (void)state;
    static const struct example x[] = {
        {"{}", "{}", "0 a patch is an array of operations"},
        {"{}", "[1]", "0 an operation is an object"},
        {"{}", "[{}]", "0 op is missing"},
        {"{}", "[{\"op\":\"add\"}]", "0 path is missing"},
        {"{}", "[{\"op\":1,\"path\":\"\"}]", "0 op, path and from are strings"},
        {"{}", "[{\"op\":\"add\",\"path\":\"/a\"}]", "0 value is missing"},
        {"{}", "[{\"op\":\"copy\",\"path\":\"/a\"}]", "0 from is missing"},
        {"{}", "[{\"op\":\"spin\",\"path\":\"/a\"}]", "0 op is one of add, remove, replace, move, copy and test"},
        {"{}", "[{\"op\":\"Add\",\"path\":\"/a\",\"value\":1}]", "0 op is one of add, remove, replace, move, copy and test"},
        {"{}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1},{\"op\":\"remove\",\"path\":\"/b\"}]", "1 no such member"},
        {"{}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}]", "0 no such member"},
        {"{}", "[{\"op\":\"remove\",\"path\":\"\"}]", "0 the whole document cannot be removed, use DDEL"},
        {"{\"a\":{}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]", "0 a value cannot move into itself"},
        {"{\"a\":1,\"ab\":{}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/ab/c\"}]", "{\"ab\":{\"c\":1}}"},
    };
    EXPECT(x);
}

/* Doubling by copies stops at the limit; a pointer deeper than documents may be is refused. */
static void bounds(void **state)
{
    (void)state;
    struct buf ops = {0};
    buf_add_str(&ops, "[");
    for (int i = 0; i < 40; i++) buf_printf(&ops, "%s{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a\"}", i ? "," : "");
    buf_add_str(&ops, "]");
    buf_add_byte(&ops, 0);
    assert_non_null(strstr(patched_max("{\"b\":[1,2,3]}", (const char *)ops.p, 10000), "grows too large"));
    buf_clear(&ops);
    buf_add_str(&ops, "[{\"op\":\"add\",\"value\":1,\"path\":\"/"); /* a name counts as it will be written */
    for (int i = 0; i < 50; i++) buf_add_str(&ops, "\\u0001\\\"");
    buf_add_str(&ops, "\"}]");
    buf_add_byte(&ops, 0);
    assert_non_null(strstr(patched_max("{}", (const char *)ops.p, 300), "grows too large"));
    assert_true(strlen(patched_max("{}", (const char *)ops.p, 1000)) > 400);
    buf_clear(&ops);
    buf_add_str(&ops, "[{\"op\":\"test\",\"value\":1,\"path\":\"");
    for (int i = 0; i <= JSON_DEPTH_MAX; i++) buf_add_str(&ops, "/0");
    buf_add_str(&ops, "\"}]");
    buf_add_byte(&ops, 0);
    struct buf deep = {0};
    for (int i = 0; i < JSON_DEPTH_MAX; i++) buf_add_byte(&deep, '[');
    for (int i = 0; i < JSON_DEPTH_MAX; i++) buf_add_byte(&deep, ']');
    buf_add_byte(&deep, 0);
    assert_string_equal(patched("[]", (const char *)ops.p), "0 no such element");
    buf_clear(&ops);
    buf_add_str(&ops, "[{\"op\":\"add\",\"value\":[],\"path\":\"");
    for (int i = 0; i < JSON_DEPTH_MAX - 1; i++) buf_add_str(&ops, "/0");
    buf_add_str(&ops, "/-\"}]");
    buf_add_byte(&ops, 0);
    assert_string_equal(patched((const char *)deep.p, (const char *)ops.p), "invalid: nested too deep");
    buf_fini(&ops);
    buf_fini(&deep);
}

/* Many members: the table by hash must give what comparing one by one gives. */
static void large_objects(void **state)
{
    (void)state;
    struct patch_tree t;
    struct buf doc = {0}, out = {0}, want = {0}, name = {0};
    buf_add_str(&doc, "{");
    for (int i = 0; i < 1000; i++) buf_printf(&doc, "%s\"k%d\":%d", i ? "," : "", i, i);
    buf_add_str(&doc, "}");
    patch_tree_init(&t, buf_slice(&doc));
    assert_true(patch_open(&t, t.root));
    for (int i = 0; i < 1000; i += 2) {
        buf_clear(&name);
        buf_printf(&name, "k%d", i);
        struct patch_child *c = patch_member(&t, t.root, buf_slice(&name));
        assert_non_null(c);
        c->value = NULL;
        assert_null(patch_member(&t, t.root, buf_slice(&name)));
    }
    for (int i = 0; i < 1000; i += 4) {
        buf_clear(&name);
        buf_printf(&name, "k%d", i);
        patch_add_member(&t, t.root, patch_keep(&t, buf_slice(&name)), patch_raw(&t, slice_str("-1")));
        assert_non_null(patch_member(&t, t.root, buf_slice(&name)));
    }
    patch_write(t.root, &out);
    buf_add_str(&want, "{");
    for (int i = 1; i < 1000; i += 2) buf_printf(&want, "%s\"k%d\":%d", i > 1 ? "," : "", i, i);
    for (int i = 0; i < 1000; i += 4) buf_printf(&want, ",\"k%d\":-1", i);
    buf_add_str(&want, "}");
    assert_true(slice_eq(buf_slice(&out), buf_slice(&want)));
    patch_tree_fini(&t);
    buf_fini(&doc);
    buf_fini(&out);
    buf_fini(&want);
    buf_fini(&name);
}

/* Edits at random places of an array against a plain one. */
static void long_arrays(void **state)
{
    (void)state;
    struct patch_tree t;
    struct buf doc = {0}, out = {0}, want = {0};
    int plain[4000], n = 1000;
    unsigned x = 1;
    buf_add_str(&doc, "[");
    for (int i = 0; i < n; i++) buf_printf(&doc, "%s%d", i ? "," : "", plain[i] = i);
    buf_add_str(&doc, "]");
    patch_tree_init(&t, buf_slice(&doc));
    assert_true(patch_open(&t, t.root));
    for (int i = 0; i < 20000; i++) {
        x = x * 1103515245 + 12345;
        int at = (int)(x >> 16) % (n + 1);
        bool add = n < 10 || (n < 3999 && (int)((x >> 8) % 5) < 3 - i / 10000 * 2);
        if (add) {
            char text[24];
            size_t len = num_format_i64(text, -i);
            memmove(plain + at + 1, plain + at, (size_t)(n++ - at) * sizeof *plain);
            plain[at] = -i;
            patch_insert(&t, t.root, (size_t)at, patch_raw(&t, patch_keep(&t, slice_of(text, len))));
        } else if (at < n) {
            memmove(plain + at, plain + at + 1, (size_t)(--n - at) * sizeof *plain);
            patch_remove_at(&t, t.root, (size_t)at);
        }
    }
    buf_add_str(&want, "[");
    for (int i = 0; i < n; i++) buf_printf(&want, "%s%d", i ? "," : "", plain[i]);
    buf_add_str(&want, "]");
    patch_write(t.root, &out);
    assert_true(n > 5 && t.root->n == (size_t)n);
    assert_true(slice_eq(buf_slice(&out), buf_slice(&want)));
    patch_tree_fini(&t);
    buf_fini(&doc);
    buf_fini(&out);
    buf_fini(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rfc_examples), cmocka_unit_test(pointers), cmocka_unit_test(bytes_stay),
                                       cmocka_unit_test(refusals),     cmocka_unit_test(bounds),   cmocka_unit_test(large_objects), cmocka_unit_test(long_arrays)};
    return cmocka_run_group_tests_name("doc_patch_ops", tests, NULL, NULL);
}
