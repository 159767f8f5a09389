/* Encoders of both protocols. */
#include "fixture.h"
#include "server/reply.h"
#include <math.h>

static void both(void (*fn)(struct call *c), const char *resp2, const char *resp3)
{
    struct fixture f;
    fn(fixture_call(&f, 2));
    assert_replied(&f, resp2);
    fixture_fini(&f);
    fn(fixture_call(&f, 3));
    assert_replied(&f, resp3);
    fixture_fini(&f);
}

static void simple(struct call *c)
{
    reply_ok(c);
    reply_status(c, "X");
    reply_int(c, 7);
    reply_int(c, -12345678901);
    reply_bulk(c, slice_of("a\0b", 3));
    reply_str(c, "");
    reply_fmt(c, "%d-%s", 5, "x");
}
static void nulls(struct call *c)
{
    reply_null(c);
    reply_null_array(c);
}
static void aggregates(struct call *c)
{
    reply_array(c, 12);
    reply_map(c, 2);
    reply_set(c, 3);
    reply_push(c, 1);
}
static void scalars(struct call *c)
{
    reply_bool(c, true);
    reply_bool(c, false);
    reply_double(c, 3.5);
    reply_double(c, INFINITY);
    reply_bignum(c, "123");
    reply_verbatim(c, "txt", slice_str("ab"));
}
static void errors(struct call *c)
{
    reply_error(c, "ERR bad\r\nthing %d", 1);
    reply_wrongtype(c);
    reply_failure(c, E_NOTFOUND);
}
static void afterwards(struct call *c)
{
    size_t a = reply_begin(c);
    reply_int(c, 1);
    size_t b = reply_begin(c);
    reply_int(c, 2);
    reply_int(c, 3);
    reply_end_map(c, b, 1);
    reply_end_array(c, a, 2);
}

static void encodings(void **state)
{
    struct fixture f;
    simple(fixture_call(&f, 2));
    assert_int_equal(f.client.out.n, strlen("+OK\r\n+X\r\n:7\r\n:-12345678901\r\n$3\r\na.b\r\n$0\r\n\r\n$3\r\n5-x\r\n"));
    fixture_fini(&f);
    both(nulls, "$-1\r\n*-1\r\n", "_\r\n_\r\n");
    both(aggregates, "*12\r\n*4\r\n*3\r\n*1\r\n", "*12\r\n%2\r\n~3\r\n>1\r\n");
    both(scalars, ":1\r\n:0\r\n$3\r\n3.5\r\n$3\r\ninf\r\n$3\r\n123\r\n$2\r\nab\r\n", "#t\r\n#f\r\n,3.5\r\n,inf\r\n(123\r\n=6\r\ntxt:ab\r\n");
    both(errors, "-ERR bad  thing 1\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n-ERR no such key\r\n",
         "-ERR bad  thing 1\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n-ERR no such key\r\n");
    both(afterwards, "*2\r\n:1\r\n*2\r\n:2\r\n:3\r\n", "*2\r\n:1\r\n%1\r\n:2\r\n:3\r\n");
}

static void long_texts(void **state)
{
    struct fixture f;
    char text[3000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = 0;
    reply_fmt(fixture_call(&f, 2), "%s", text);
    assert_int_equal(f.client.out.n, 2999 + 9);
    fixture_fini(&f);
}

static void arguments(void **state)
{
    struct fixture f;
    struct call *c = fixture_call(&f, 2);
    int64_t v = 0;
    fixture_arg(&f, "12");
    fixture_arg(&f, "x");
    assert_true(arg_i64(c, 0, &v) && v == 12);
    assert_false(arg_i64(c, 1, &v));
    assert_replied(&f, "-ERR value is not an integer or out of range\r\n");
    assert_false(arg_range(c, 0, 0, 11, &v));
    assert_replied(&f, "-ERR value is out of range, must be between 0 and 11\r\n");
    assert_int_equal(f.client.errors, 2);
    fixture_fini(&f);
}

static void help(void **state)
{
    struct fixture f;
    reply_help(fixture_call(&f, 2), "X", "A\n    Does a.");
    assert_replied(&f, "*5\r\n+X <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n+A\r\n+    Does a.\r\n+HELP\r\n+    Prints this help.\r\n");
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(encodings), cmocka_unit_test(long_texts), cmocka_unit_test(arguments), cmocka_unit_test(help)};
    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
