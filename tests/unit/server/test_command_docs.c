/* The syntax line as a tree. */
#include "server/command_docs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct syntax s;

/* One line that shows the whole tree: name:type[token]?* (children). */
static void draw(int first, struct buf *out)
{
    for (int i = first; i != SYNTAX_NONE; i = s.args[i].next) {
        const struct syntax_arg *a = &s.args[i];
        if (i != first) buf_add_byte(out, ' ');
        buf_printf(out, "%.*s:%s", (int)a->name.n, (const char *)a->name.p, syntax_type_name(a->type));
        if (a->token.n) buf_printf(out, "[%.*s]", (int)a->token.n, (const char *)a->token.p);
        if (a->optional) buf_add_byte(out, '?');
        if (a->multiple) buf_add_byte(out, '*');
        if (a->child != SYNTAX_NONE) {
            buf_add_byte(out, '(');
            draw(a->child, out);
            buf_add_byte(out, ')');
        }
    }
}

static void expect(const char *line, const char *want)
{
    struct buf out = {0};
    assert_int_equal(syntax_parse(line, &s), E_OK);
    draw(s.first, &out);
    buf_add_byte(&out, 0);
    assert_string_equal((const char *)out.p, want);
    buf_fini(&out);
}

static void trees(void **state)
{
    expect("", "");
    expect("key value", "key:key value:string");
    expect("key [key ...]", "key:key*");
    expect("key path...", "key:key path:string*");
    expect("[NX|XX]", "NX:oneof?(NX:pure-token[NX] XX:pure-token[XX])");
    expect("[GET] [EX seconds|KEEPTTL]", "GET:pure-token[GET]? seconds:oneof?(seconds:integer[EX] KEEPTTL:pure-token[KEEPTTL])");
    expect("[LIMIT offset count]", "offset:block[LIMIT]?(offset:integer count:integer)");
    expect("[CAUSEDBY n ref...]", "n:block[CAUSEDBY]?(n:integer ref:string*)");
    expect("ON|OFF", "ON:oneof(ON:pure-token[ON] OFF:pure-token[OFF])");
    expect("[TYPE normal|replica]", "normal:oneof[TYPE]?(normal:string replica:string)");
    expect("name [point] [FORCE]", "name:string point:string? FORCE:pure-token[FORCE]?");
    expect("[a [b c]]", "a:block?(a:string b:block?(b:string c:string))");
}

static void nonsense(void **state)
{
    assert_int_equal(syntax_parse("[a", &s), E_SYNTAX);
    assert_int_equal(syntax_parse("a]", &s), E_SYNTAX);
    assert_int_equal(syntax_parse("[]", &s), E_SYNTAX);
    assert_int_equal(syntax_parse("[[[[[[[[[[a]]]]]]]]]]", &s), E_SYNTAX);
    assert_int_equal(syntax_parse("[a|]", &s), E_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(trees), cmocka_unit_test(nonsense)};
    return cmocka_run_group_tests_name("command_docs", tests, NULL, NULL);
}
