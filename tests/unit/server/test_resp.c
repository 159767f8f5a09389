/* The request parser: whole, in pieces of every size, wrong, and over every limit. */
#include "base/mem.h"
#include "server/resp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct resp_limits open_limits = {.bulk_max = 512u << 20};

/* Feeds `text` in pieces of `step` bytes, each time in fresh memory, and writes the requests as lines of words. */
static enum resp_result feed(const char *text, size_t n, size_t step, const struct resp_limits *limits, struct buf *out, char error[96])
{
    struct resp_parser p = {0};
    uint8_t *have = NULL;
    size_t have_n = 0, at = 0, start = 0, given = 0;
    enum resp_result r = RESP_MORE;
    while (given < n && r != RESP_ERROR) {
        size_t more = n - given < step ? n - given : step;
        uint8_t *grown = mem_alloc(have_n + more);
        if (have_n) memcpy(grown, have, have_n);
        memcpy(grown + have_n, text + given, more);
        resp_moved(&p, have, grown);
        mem_free(have);
        have = grown;
        have_n += more;
        given += more;
        const uint8_t *q = have + at;
        size_t argc;
        while ((r = resp_next(&p, &q, have + have_n, limits, &argc)) == RESP_REQUEST || r == RESP_NOTHING) {
            for (size_t i = 0; r == RESP_REQUEST && i < argc; i++) buf_printf(out, "%s%.*s", i ? "|" : "", (int)p.args[p.first + i].n, (const char *)p.args[p.first + i].p);
            if (r == RESP_REQUEST) buf_add_byte(out, '\n');
            resp_take(&p);
            resp_forget(&p);
            start = (size_t)(q - have);
        }
        at = (size_t)(q - have);
    }
    (void)start;
    snprintf(error, 96, "%s", r == RESP_ERROR ? p.error : "");
    resp_fini(&p);
    mem_free(have);
    return r;
}

static void expect(const char *text, size_t n, const char *want)
{
    for (size_t step = 1; step <= n; step++) {
        struct buf out = {0};
        char error[96];
        enum resp_result r = feed(text, n, step, &open_limits, &out, error);
        buf_add_byte(&out, 0);
        assert_int_equal(r, RESP_MORE);
        assert_string_equal((const char *)out.p, want);
        buf_fini(&out);
    }
}

static void expect_error(const char *text, const char *want, const struct resp_limits *limits)
{
    struct buf out = {0};
    char error[96];
    assert_int_equal(feed(text, strlen(text), strlen(text), limits, &out, error), RESP_ERROR);
    assert_string_equal(error, want);
    buf_fini(&out);
}
#define EXPECT(text, want) expect(text, sizeof(text) - 1, want)

static void requests_in_pieces_of_any_size(void **state)
{
    EXPECT("*1\r\n$4\r\nPING\r\n", "PING\n");
    EXPECT("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhe\r\nl\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "SET|a|he\r\nl\nGET|\n");
    EXPECT("*0\r\n*-5\r\n*1\r\n$1\r\nx\r\n", "x\n");
    EXPECT("*2\r\n$1\r\na\r\n$12\r\n123456789012\r\n", "a|123456789012\n");
    EXPECT("*1\r\n$4\r\nPING\r\nPING hello\r\n*1\r\n$4\r\nECHO\r\n", "PING\nPING|hello\nECHO\n");
}

static void inline_commands(void **state)
{
    EXPECT("PING\r\n", "PING\n");
    EXPECT("\r\n  \r\nPING\n", "PING\n");
    EXPECT("SET  key \"a\\x41\\n\\\"b\"  'it\\'s \\n'\r\n", "SET|key|aA\n\"b|it's \\n\n");
    EXPECT("set a \"\" ''\r\n", "set|a||\n");
    EXPECT("PING\r\nset a b\0c\r\nPING\r\n", "PING\n"); /* a line with a NUL has no end */
}

static void protocol_errors(void **state)
{
    struct resp_limits anonymous = {.bulk_max = 512u << 20, .anonymous = true}, small = {.bulk_max = 1000};
    expect_error("*a\r\n", "Protocol error: invalid multibulk length", &open_limits);
    expect_error("*3000000000\r\n", "Protocol error: invalid multibulk length", &open_limits);
    expect_error("*-0x\r\n", "Protocol error: invalid multibulk length", &open_limits);
    expect_error("*1\r\n:1\r\n", "Protocol error: expected '$', got ':'", &open_limits);
    expect_error("*1\r\n\r\n", "Protocol error: expected '$', got '\r'", &open_limits);
    expect_error("*1\r\n$-1\r\n", "Protocol error: invalid bulk length", &open_limits);
    expect_error("*1\r\n$x\r\n", "Protocol error: invalid bulk length", &open_limits);
    expect_error("*1\r\n$1001\r\n", "Protocol error: invalid bulk length", &small);
    expect_error("*11\r\n", "Protocol error: unauthenticated multibulk length", &anonymous);
    expect_error("*1\r\n$16385\r\n", "Protocol error: unauthenticated bulk length", &anonymous);
    expect_error("SET a \"b\r\n", "Protocol error: unbalanced quotes in request", &open_limits);
    expect_error("SET a 'b'c\r\n", "Protocol error: unbalanced quotes in request", &open_limits);
}

static void lines_without_end(void **state)
{
    size_t n = RESP_LINE_MAX + 100;
    char *text = malloc(n + 1);
    memset(text, 'x', n);
    text[n] = 0;
    expect_error(text, "Protocol error: too big inline request", &open_limits);
    memset(text, '1', n);
    text[0] = '*';
    expect_error(text, "Protocol error: too big mbulk count string", &open_limits);
    memcpy(text, "*1\r\n$", 5);
    expect_error(text, "Protocol error: too big bulk count string", &open_limits);
    free(text);
}

static void a_pipeline_stays_in_args(void **state)
{
    static const char text[] = "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n*2\r\n$3\r\nGE";
    struct resp_parser p = {0};
    const uint8_t *at = (const uint8_t *)text, *end = at + sizeof text - 1;
    size_t argc;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(resp_next(&p, &at, end, &open_limits, &argc), RESP_REQUEST);
        assert_int_equal(p.first, i * 2);
        resp_take(&p);
    }
    assert_int_equal(resp_next(&p, &at, end, &open_limits, &argc), RESP_MORE);
    assert_true(slice_is(p.args[1], "a") && slice_is(p.args[3], "b"));
    assert_int_equal(p.missing, 2);
    resp_forget(&p);
    assert_int_equal(p.n, 0);
    resp_reset(&p);
    assert_int_equal(p.missing, 0);
    resp_fini(&p);
}

static void big_bulks_say_what_they_need(void **state)
{
    struct resp_parser p = {0};
    static const char text[] = "*1\r\n$100000\r\nabc";
    const uint8_t *at = (const uint8_t *)text;
    size_t argc;
    assert_int_equal(resp_next(&p, &at, at + sizeof text - 1, &open_limits, &argc), RESP_MORE);
    assert_int_equal(resp_big_rest(&p, 3), 100002 - 3);
    assert_int_equal(resp_big_rest(&p, 200000), 0);
    resp_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_in_pieces_of_any_size), cmocka_unit_test(inline_commands),          cmocka_unit_test(protocol_errors),
        cmocka_unit_test(lines_without_end),              cmocka_unit_test(a_pipeline_stays_in_args), cmocka_unit_test(big_bulks_say_what_they_need),
    };
    return cmocka_run_group_tests_name("resp", tests, NULL, NULL);
}
