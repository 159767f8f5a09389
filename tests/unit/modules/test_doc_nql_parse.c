/* The parser: what it takes and in which one spelling, what it refuses and where, parameters, limits. */
#include "modules/doc/nql.h"

#include "support/json_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct nql_query *parsed(slice text, const struct nql_param *params, size_t n)
{
    struct nql_query *q = NULL;
    struct nql_fault f;
    if (nql_parse(text, params, n, &q, &f) != E_OK) fail_msg("refused: %.*s\n at %zu: %s", (int)text.n, (const char *)text.p, f.at, f.why);
    return q;
}

static void must_print(const char *text, const struct nql_param *params, size_t n, const char *want)
{
    struct nql_query *q = parsed(slice_str(text), params, n), *again;
    struct buf once = {0}, twice = {0};
    nql_print(q, false, &once);
    if (!slice_eq(buf_slice(&once), slice_str(want))) fail_msg("%s\n gives %.*s\n not   %s", text, (int)once.n, (const char *)once.p, want);
    again = parsed(buf_slice(&once), NULL, 0);
    nql_print(again, false, &twice);
    assert_true(slice_eq(buf_slice(&once), buf_slice(&twice)));
    assert_true(nql_digest(q, false) == nql_digest(again, false));
    nql_free(&q);
    nql_free(&again);
    assert_null(q);
    buf_fini(&once);
    buf_fini(&twice);
}

static void must_fail(slice text, const struct nql_param *params, size_t n, size_t at, const char *why)
{
    struct nql_query *q = NULL;
    struct nql_fault f;
    if (nql_parse(text, params, n, &q, &f) == E_OK) fail_msg("accepted: %.*s", (int)text.n, (const char *)text.p);
    assert_null(q);
    if (f.at != at || strcmp(f.why, why) != 0)
        fail_msg("%.*s\n at %zu: %s\n not %zu: %s", (int)text.n, (const char *)text.p, f.at, f.why, at, why);
}

static void queries_have_one_spelling(void **state)
{
    static const char *const good[][2] = {
        {"FROM plan",
         "FROM plan"},
        {"FROM \"\" LIMIT 5 OFFSET 2",
         "FROM \"\" LIMIT 5 OFFSET 2"},
        {"FROM order WHERE $.order = 1 AND a[\"b.c\"][0].d != -1.5e3",
         "FROM order WHERE $.order = 1 AND a[\"b.c\"][0].d != -1.5e3"},
        {"FROM plan WHERE x IS NULL AND y IS NOT NULL OR z EXISTS OR w LIKE 'a\\\\%%' OR v CONTAINS [1,{\"a\":2}]",
         "FROM plan WHERE x IS NULL AND y IS NOT NULL OR z EXISTS OR w LIKE \"a\\\\%%\" OR v CONTAINS [1,{\"a\":2}]"},
        {"FROM plan AS OF tag:x VALID AS OF \"2026-01-01\" WHERE _id = 'a' GROUP BY a, $.count COUNT SUM p AVG(q.r) ORDER BY COUNT DESC, SUM(p), a",
         "FROM plan AS OF \"tag:x\" VALID AS OF \"2026-01-01\" WHERE _id = \"a\" GROUP BY a, $.count COUNT SUM(p) AVG(q.r) ORDER BY COUNT DESC, SUM(p), a"},
        {"FROM plan TRACE caused_by DEPTH 2",
         "FROM plan TRACE caused_by DEPTH 2"},
        {"FROM plan SEARCH \"red car\" IN a.b",
         "FROM plan SEARCH \"red car\" IN a.b"},
        {"FROM __links__ WHERE _from = \"a\" AND _rel='x' AND _to LIKE '%'",
         "FROM __links__ WHERE _from = \"a\" AND _rel = \"x\" AND _to LIKE \"%\""},
        {"FROM plan WHERE _from = 1 ORDER BY _seq DESC, a",
         "FROM plan WHERE _from = 1 ORDER BY _seq DESC, a"},
        {"FROM plan WHERE NOT (NOT a = 1) AND NOT b = 2",
         "FROM plan WHERE NOT (NOT a = 1) AND NOT b = 2"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) must_print(good[i][0], NULL, 0, good[i][1]);
}

static void faults_have_places(void **state)
{
    static const struct {
        const char *text;
        size_t at;
        const char *why;
    } bad[] = {
        {"", 0, "FROM expected at the end"},
        {"FRM plan", 0, "FROM expected, found 'FRM'"},
        {"FROM", 4, "a collection expected at the end"},
        {"FROM plan WHERE", 15, "a path expected at the end"},
        {"FROM plan WHERE a", 17, "an operator expected at the end"},
        {"FROM plan WHERE a = ", 20, "a value expected at the end"},
        {"FROM plan WHERE a == 1", 18, "an operator expected; 'equal' is ="},
        {"FROM plan WHERE a <> 1", 18, "an operator expected; 'not equal' is !="},
        {"FROM plan WHERE a = 1 b = 2", 22, "a clause expected, found 'b'"},
        {"FROM plan WHERE a = 1 AND", 25, "a path expected at the end"},
        {"FROM plan WHERE (a = 1", 22, "AND, OR or ')' expected at the end"},
        {"FROM plan WHERE a = 1)", 21, "a clause expected, found ')'"},
        {"FROM plan WHERE order = 1", 16, "a path expected, found the key word 'order'; for a field of that name write $.order"},
        {"FROM plan WHERE a NOT LIKE 'x'", 22, "IN expected; but for NOT IN, NOT stands before the path"},
        {"FROM plan WHERE NOT NOT a = 1", 20, "a path expected, found the key word 'NOT'; for a field of that name write $.NOT"},
        {"FROM plan WHERE a = \"abc", 20, "a string without its closing quote"},
        {"FROM plan WHERE a = \"a\\x\"", 22, "bad escape in a string"},
        {"FROM plan WHERE a = 01", 20, "bad number"},
        {"FROM plan WHERE a = 5AND b = 1", 20, "bad number"},
        {"FROM plan WHERE a = abc", 20, "a value expected, found 'abc'"},
        {"FROM plan WHERE a. = 1", 17, "bad path"},
        {"FROM plan WHERE a[x] = 1", 16, "bad path"},
        {"FROM plan WHERE a = $q", 20, "no value is given for $q"},
        {"FROM plan LIMIT 0", 16, "LIMIT takes a whole number from 1 to 1000000"},
        {"FROM plan LIMIT 1.5", 16, "LIMIT takes a whole number from 1 to 1000000"},
        {"FROM plan LIMIT ten", 16, "a number expected, found 'ten'"},
        {"FROM plan OFFSET 5", 10, "OFFSET stands behind LIMIT n"},
        {"FROM plan LIMIT 5 LIMIT 6", 18, "LIMIT is there already"},
        {"FROM plan TRAVERSE a TRACE caused_by", 21, "TRAVERSE and TRACE exclude each other"},
        {"FROM plan GROUP BY a FIELDS b", 21, "GROUP and FIELDS exclude each other"},
        {"FROM plan FIELDS a, b, a", 23, "FIELDS names this path twice"},
        {"FROM plan FIELDS a, $.a", 20, "FIELDS names this path twice"},
        {"FROM plan ORDER BY COUNT", 19, "an aggregate needs GROUP BY"},
        {"FROM plan GROUP BY a COUNT ORDER BY b", 36, "ORDER BY names a path that is not in GROUP BY"},
        {"FROM plan GROUP BY a COUNT ORDER BY SUM x", 36, "ORDER BY names an aggregate that GROUP BY does not give"},
        {"FROM plan GROUP BY a, COUNT", 22, "a path expected, found the key word 'COUNT'; for a field of that name write $.COUNT"},
        {"FROM plan GROUP BY a COUNT COUNT", 27, "this aggregate is there already"},
        {"FROM plan TRACE causes", 16, "caused_by expected, found 'causes'"},
        {"FROM plan TRAVERSE order", 19, "a relation expected, found a key word; put it in quotes if it is meant"},
        {"FROM plan SEARCH words", 17, "a string in quotes expected, found 'words'"},
        {"FROM plan SEARCH \"  \"", 17, "SEARCH takes at least one word"},
        {"FROM plan SEARCH '*, -'", 17, "SEARCH takes at least one word"},
        {"FROM plan SEARCH \"a\" IN _id", 24, "SEARCH looks into fields of the document only"},
        {"FROM a:b", 5, "a collection's name has no ':'"},
        {"FROM plan AS OF", 15, "a point expected at the end"},
        {"FROM plan AS OF WHERE a = 1", 16, "a point expected, found 'WHERE'"},
        {"FROM plan WHERE _id.x = 1", 16, "'_id' has no members; for a field of that name write $._id"},
        {"FROM plan WHERE a LIKE 5", 23, "a string in quotes expected, found '5'"},
        {"FROM plan WHERE a LIKE 'a\\\\b'", 23, "in a LIKE pattern a backslash stands before %, _ or a backslash"},
        {"FROM plan WHERE a IN ()", 22, "a value expected, found ')'"},
        {"FROM plan WHERE a IN (1,)", 24, "a value expected, found ')'"},
        {"FROM plan WHERE a IN 5", 21, "'(' behind IN expected, found '5'"},
        {"FROM plan WHERE a BETWEEN 1 2", 28, "AND expected, found '2'"},
        {"FROM plan WHERE a = [1,2", 20, "a list or object without its end"},
        {"FROM plan WHERE a = [1,,2]", 23, "bad JSON: value expected"},
        {"FROM plan; DROP", 9, "a clause expected, found ';'"},
        {"FROM plan WHERE a = \"\\ud800\"", 20, "bad \\u escape in a string"},
        {"FROM plan WHERE a IS 5", 21, "NULL expected, found '5'"},
        {"FROM plan ORDER BY a SIDEWAYS", 21, "a clause expected, found 'SIDEWAYS'"},
        {"FROM plan ORDER BY a, a DESC", 22, "ORDER BY names this twice"},
        {"FROM \"a:b\"", 5, "a collection's name has no ':'"},
        {"FROM plan LIMIT -1", 16, "LIMIT takes a whole number from 1 to 1000000"},
        {"FROM plan LIMIT 1000001", 16, "LIMIT takes a whole number from 1 to 1000000"},
        {"FROM plan LIMIT 5 OFFSET -1", 25, "OFFSET takes a whole number from 0 to 1000000000"},
        {"FROM plan LIMIT 5 OFFSET 1000000001", 25, "OFFSET takes a whole number from 0 to 1000000000"},
        {"FROM plan TRAVERSE a DEPTH 0", 27, "DEPTH takes a whole number from 1 to 1000000"},
        {"FROM plan TRAVERSE a DEPTH 3 REVERSE", 29, "a clause expected, found 'REVERSE'"},
        {"FROM plan WHERE a = 'x' WHERE b = 1", 24, "WHERE is there already"},
        {"FROM plan WHERE a CONTAINS", 26, "a value expected at the end"},
        {"FROM plan WHERE a.b[1 = 2", 19, "bad path"},
        {"FROM plan WHERE a = +1", 20, "bad number"},
        {"FROM plan WHERE a = .5", 20, "bad number"},
        {"FROM plan WHERE a = -", 20, "bad number"},
        {"FROM plan WHERE a ~ 1", 18, "an operator expected, found '~'"},
        {"FROM plan WHERE a =! 1", 19, "a value expected, found '!'"},
        {"FROM plan WHERE a != !", 21, "a value expected, found '!'"},
        {"FROM plan WHERE \"a\" = 1", 16, "a path expected, found '\"'"},
        {"FROM plan WHERE 5 = a", 16, "a path expected, found '5'"},
        {"FROM plan WHERE ()", 17, "a path expected, found ')'"},
        {"FROM plan VALID \"x\"", 16, "AS expected, found '\"'"},
        {"FROM plan VALID OF", 16, "AS expected, found 'OF'"},
        {"FROM plan GROUP a", 16, "BY expected, found 'a'"},
        {"FROM plan GROUP BY a SUM", 24, "a path expected at the end"},
        {"FROM plan GROUP BY a SUM(b", 26, "')' expected at the end"},
        {"FROM plan GROUP BY a, a", 22, "GROUP BY names this path twice"},
        {"FROM plan GROUP BY a COUNT, SUM b", 26, "a clause expected, found ','"},
        {"FROM plan WHERE a = 1;", 21, "a clause expected, found ';'"},
        {"FROM plan WHERE a IS NOT 5", 25, "NULL expected, found '5'"},
        {"FROM plan WHERE \303\251 = 1 \303\266", 23, "a clause expected"},
        {"FROM plan WHERE a = \"tab\tin\"", 24, "control character in a string"},
        {"FROM 'plan' SEARCH 'a' SEARCH 'b'", 23, "SEARCH is there already"},
        {"FROM plan FIELDS", 16, "a path expected at the end"},
        {"FROM plan FIELDS a,", 19, "a path expected at the end"},
        {"FROM plan FIELDS a b", 19, "a clause expected, found 'b'"},
        {"FROM plan WHERE a = $ ", 20, "a parameter's name must follow '$'"},
        {"FROM plan WHERE a BETWEEN 1 AND", 31, "a value expected at the end"},
        {"FROM plan WHERE a = tru", 20, "a value expected, found 'tru'"},
        {"FROM plan where a['b'] = 1", 16, "bad path"},
        {"FROM plan AS OF \"unclosed", 16, "a string without its closing quote"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) must_fail(slice_str(bad[i].text), NULL, 0, bad[i].at, bad[i].why);
    must_fail(slice_of("FROM a WHERE b = \"\xc3\x28\"", 21), NULL, 0, 18, "not UTF-8");
    must_fail(slice_of("FROM a\0", 7), NULL, 0, 6, "a clause expected");
    must_fail(slice_of("FROM a WHERE b = \"x\0\"", 21), NULL, 0, 19, "control character in a string");
}

#define PARAM(name, value) {{(const uint8_t *)(name), sizeof(name) - 1}, {(const uint8_t *)(value), sizeof(value) - 1}}

static void parameters_are_values(void **state)
{
    const struct nql_param number[] = {PARAM("p", " 5 ")}, text[] = {PARAM("p", "x \"y")}, list[] = {PARAM("p", "[3,1.0,1,\"a\"]")},
                           json[] = {PARAM("p", "\"q\\u0041\""), PARAM("long_name2", "{\"a\":[1]}")};
    must_print("FROM a WHERE b = $p AND c IN ($p, 6)", number, 1, "FROM a WHERE b = 5 AND c IN (5, 6)");
    must_print("FROM a AS OF $p LIMIT $p OFFSET $p", number, 1, "FROM a AS OF \"5\" LIMIT 5 OFFSET 5");
    must_print("FROM a WHERE b LIKE $p SEARCH $p", text, 1, "FROM a WHERE b LIKE \"x \\\"y\" SEARCH \"x \\\"y\"");
    must_print("FROM a WHERE b IN $p OR c NOT IN $p OR d = $p", list, 1,
               "FROM a WHERE b IN (1, 3, \"a\") OR c NOT IN (1, 3, \"a\") OR d = [3,1.0,1,\"a\"]");
    must_print("FROM a WHERE b=$p AND c=$long_name2", json, 2, "FROM a WHERE b = \"qA\" AND c = {\"a\":[1]}");
}

static void parameters_that_do_not_fit(void **state)
{
    const struct nql_param p[] = {PARAM("p", "5"), PARAM("q", "6")}, twice[] = {PARAM("p", "5"), PARAM("p", "5")}, sign[] = {PARAM("$p", "5")},
                           raw[] = {PARAM("p", "\xff")}, empty[] = {PARAM("p", "[]")}, none[] = {PARAM("", "1")};
    slice text = slice_str("FROM a WHERE b = $p");
    struct nql_param many[NQL_PARAMS_MAX + 1] = {0};
    must_fail(text, NULL, 0, 17, "no value is given for $p");
    must_fail(text, p, 2, 19, "parameter 'q' is not used");
    must_fail(text, twice, 2, 19, "parameter 'p' is given twice");
    must_fail(text, sign, 1, 19, "a parameter's name is made of letters, digits and _");
    must_fail(text, none, 1, 19, "a parameter's name is made of letters, digits and _");
    must_fail(text, raw, 1, 19, "parameter 'p' is neither JSON nor UTF-8");
    must_fail(text, many, NQL_PARAMS_MAX + 1, 19, "more than 64 parameters");
    must_fail(slice_str("FROM a WHERE b IN $p"), p, 1, 18, "IN takes (value, ...) or a parameter that is an array");
    must_fail(slice_str("FROM a WHERE b IN $p"), empty, 1, 18, "IN takes at least one value");
    must_fail(slice_str("FROM a WHERE b LIKE $p"), p, 1, 20, "LIKE takes a string");
    must_fail(slice_str("FROM a LIMIT $p"), twice + 1, 0, 13, "no value is given for $p");
    must_fail(slice_str("FROM a LIMIT $p"), empty, 1, 13, "LIMIT takes a whole number from 1 to 1000000");
    must_fail(slice_str("FROM a AS OF $p"), empty, 1, 13, "a point expected");
    must_fail(slice_str("FROM a WHERE $p = 5"), p, 1, 13, "a path expected, found a parameter");
    must_fail(slice_str("FROM $p"), p, 1, 5, "a collection expected, found '$p'");
}

static void the_tree(void **state)
{
    struct nql_query *q = parsed(slice_str("FROM c WHERE (a = 1 OR b = 2) AND NOT c LIKE 'a\\\\%%_' AND (d = 1 AND a IN (2, 1, 1.0)) "
                                           "ORDER BY b DESC, _key FIELDS $.a, x[\"y\"] LIMIT 7 OFFSET 3"), NULL, 0);
    const struct nql_expr *w = q->where;
    assert_int_equal(w->op, NQL_AND);
    assert_int_equal(w->n, 4);
    assert_int_equal(w->kid->op, NQL_OR);
    const struct nql_expr *e = w->kid->next;
    assert_int_equal(e->op, NQL_NOT);
    assert_true(slice_eq(e->kid->value->text, slice_str("a%\xff\xfe")));
    e = e->next->next;
    assert_int_equal(e->op, NQL_IN);
    assert_int_equal(e->n, 2);
    assert_int_equal(e->value[1].i64, 2);
    assert_null(e->next);
    assert_int_equal(e->path, w->kid->kid->path);
    assert_int_equal(q->n_order, 2);
    assert_true(q->order[0].descending && !q->order[1].descending);
    assert_int_equal(q->path[q->order[1].path].kind, NQL_KEY);
    assert_int_equal(q->needs, 1u << NQL_DOC | 1u << NQL_KEY);
    assert_int_equal(q->n_fields, 2);
    assert_int_equal(q->fields[0], e->path);
    assert_true(slice_eq(q->path[q->fields[0]].text, slice_str("a")));
    assert_int_equal(nql_path_number(q, slice_str("x.y")), (int)q->fields[1]);
    assert_int_equal(nql_path_number(q, slice_str("$.a")), (int)e->path);
    assert_int_equal(nql_path_number(q, slice_str("_key")), -1);
    assert_int_equal(nql_path_number(q, slice_str("a.b")), -1);
    assert_true(q->has_limit && q->limit == 7 && q->offset == 3);
    nql_free(&q);
}

static void defaults_and_links(void **state)
{
    struct nql_query *q = parsed(slice_str("FROM __links__ TRAVERSE 'a b' WHERE _from = 'x'"), NULL, 0);
    assert_true(q->links && q->traverse.given && !q->traverse.reverse && q->traverse.depth == 1);
    assert_true(slice_eq(q->traverse.rel, slice_str("a b")));
    assert_int_equal(q->needs, 1u << NQL_FROM);
    assert_null(q->as_of.p);
    nql_free(&q);
    q = parsed(slice_str("FROM c TRACE CAUSED_BY REVERSE WHERE _from = 'x' AS OF 42"), NULL, 0);
    assert_true(!q->links && q->trace.given && q->trace.reverse && q->trace.depth == NQL_HOPS_MAX);
    assert_int_equal(q->needs, 1u << NQL_DOC);
    assert_true(slice_eq(q->as_of, slice_str("42")));
    nql_free(&q);
    struct nql_query *p = parsed(slice_str("FROM c TRACE CAUSED_BY REVERSE WHERE _from = 'x' AS OF 43"), NULL, 0);
    q = parsed(slice_str("FROM c AS OF 42 WHERE _from = 'x' TRACE caused_by REVERSE"), NULL, 0);
    assert_true(nql_digest(p, true) == nql_digest(q, true));
    assert_true(nql_digest(p, false) != nql_digest(q, false));
    nql_free(&p);
    nql_free(&q);
}

static void where_alone(void **state)
{
    struct nql_query *q = NULL;
    struct nql_fault f;
    const struct nql_param p[] = {PARAM("p", "5")};
    assert_int_equal(nql_parse_where(slice_str("c"), slice_str("a = $p"), p, 1, &q, &f), E_OK);
    assert_true(slice_eq(q->coll, slice_str("c")));
    assert_int_equal(q->where->op, NQL_EQ);
    nql_free(&q);
    assert_int_equal(nql_parse_where(slice_str("__links__"), (slice){NULL, 0}, NULL, 0, &q, &f), E_OK);
    assert_true(q->links);
    assert_null(q->where);
    nql_free(&q);
    assert_int_equal(nql_parse_where(slice_str("c"), slice_str(""), NULL, 0, &q, &f), E_SYNTAX);
    assert_int_equal(f.at, 0);
    assert_int_equal(nql_parse_where(slice_str("c"), slice_str("a = 1 LIMIT 5"), NULL, 0, &q, &f), E_SYNTAX);
    assert_int_equal(f.at, 6);
    assert_string_equal(f.why, "AND, OR or the end expected, found 'LIMIT'");
    nql_free(&q);
}

/* text, then `n` times a piece: the longest that is allowed, and one more. */
static void at_most(const char *head, const char *piece, const char *tail, unsigned n, const char *why)
{
    struct buf b = {0};
    struct nql_query *q = NULL;
    struct nql_fault f;
    for (unsigned more = 0; more < 2; more++) {
        buf_clear(&b);
        buf_add_str(&b, head);
        for (unsigned i = 0; i < n + more; i++) buf_printf(&b, piece, i, i);
        buf_add_str(&b, tail);
        for (unsigned i = 0; *piece == '(' && i < n + more; i++) buf_add_byte(&b, ')');
        int r = nql_parse(buf_slice(&b), NULL, 0, &q, &f);
        if (r != (more ? E_SYNTAX : E_OK)) fail_msg("%s %u: %d %s", head, n + more, r, r ? f.why : "");
        if (r) assert_string_equal(f.why, why);
        nql_free(&q);
    }
    buf_fini(&b);
}

static void limits(void **state)
{
    at_most("FROM a WHERE ", "(", "b = 1", NQL_NESTING_MAX, "nested deeper than 64");
    at_most("FROM a WHERE ", "a = 1 OR ", "b = 1", NQL_TERMS_MAX - 1, "more than 256 comparisons");
    at_most("FROM a WHERE b IN (", "%u, ", "1)", NQL_VALUES_MAX - 1, "more than 4096 values");
    at_most("FROM a WHERE ", "a%u = 1 OR ", "b = 1", NQL_PATHS_MAX - 1, "more than 64 different paths");
    at_most("FROM a GROUP BY ", "a%u, ", "b", NQL_GROUP_MAX - 1, "GROUP BY takes at most 8 paths");
    at_most("FROM a GROUP BY b ", "SUM a%u ", "MIN b", NQL_AGGREGATES_MAX - 1, "more than 16 aggregates");
    at_most("FROM a ORDER BY ", "a%u, ", "b", NQL_ORDER_MAX - 1, "ORDER BY takes at most 8 items");
    at_most("FROM a SEARCH 'b", " w%u", "'", WORDS_QUERY_MAX - 1, "SEARCH takes at most 32 words");
    at_most("FROM a WHERE b LIKE '%_", "x", "%'", NQL_LIKE_PIECE_MAX - 1, "more than 64 bytes with _ between two %");
    at_most("FROM a FIELDS ", "a%u, ", "b", NQL_FIELDS_MAX - 1, "more than 64 different paths");
    struct buf b = {0};
    struct nql_query *q = NULL;
    struct nql_fault f;
    buf_add_str(&b, "FROM a");
    while (b.n < NQL_BYTES_MAX) buf_add_byte(&b, ' ');
    assert_int_equal(nql_parse(buf_slice(&b), NULL, 0, &q, &f), E_OK);
    nql_free(&q);
    buf_add_byte(&b, ' ');
    must_fail(buf_slice(&b), NULL, 0, NQL_BYTES_MAX, "longer than 65536 bytes");
    buf_fini(&b);
}

/* Damaged queries: whatever is taken prints and parses again to the same; whatever is not has a place in the text. */
static void damaged_queries(void **state)
{
    static const char *const seeds[] = {
        "FROM plan WHERE a = 1 AND (b.c[0] != \"x\" OR NOT d IN (1, 'y', null)) ORDER BY a DESC, _key LIMIT 5 OFFSET 2",
        "FROM 'p q' AS OF tag:x VALID AS OF \"2026-01-01\" SEARCH \"a b\" IN x TRAVERSE r REVERSE DEPTH 2 FIELDS a, $.b",
        "FROM plan GROUP BY a, $.count COUNT SUM p AVG(q) MIN r MAX s ORDER BY COUNT DESC, a WHERE x BETWEEN -1 AND 2e5 AND y LIKE '%a_'",
        "FROM __links__ WHERE _from = \"a\" AND _hash LIKE 'ab%' OR p CONTAINS {\"a\":[1,2]} AND q EXISTS TRACE caused_by",
    };
    struct rng rng = {7};
    struct buf b = {0}, once = {0}, twice = {0};
    unsigned taken = 0;
    for (unsigned i = 0; i < 60000; i++) {
        struct nql_query *q = NULL, *again = NULL;
        struct nql_fault f;
        buf_clear(&b), buf_clear(&once), buf_clear(&twice);
        buf_add_str(&b, seeds[i % 4]);
        gen_damage(&rng, &b);
        if (nql_parse(buf_slice(&b), NULL, 0, &q, &f) != E_OK) {
            assert_true(f.at <= b.n && f.why[0]);
            continue;
        }
        taken++;
        nql_print(q, false, &once);
        again = parsed(buf_slice(&once), NULL, 0);
        nql_print(again, false, &twice);
        assert_true(slice_eq(buf_slice(&once), buf_slice(&twice)));
        nql_free(&q);
        nql_free(&again);
    }
    assert_true(taken > 1000);
    buf_fini(&b), buf_fini(&once), buf_fini(&twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_have_one_spelling), cmocka_unit_test(faults_have_places), cmocka_unit_test(parameters_are_values),
        cmocka_unit_test(parameters_that_do_not_fit), cmocka_unit_test(the_tree), cmocka_unit_test(defaults_and_links),
        cmocka_unit_test(where_alone), cmocka_unit_test(limits), cmocka_unit_test(damaged_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
