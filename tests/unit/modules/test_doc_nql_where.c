/* Expressions: the shape of the tree, lists sorted and each value once, compiled patterns, and every limit at and beyond its border. */
#include "nql_bed.h"

static void chains_are_flat(void **state)
{
    (void)state;
    struct nql_query *q = nql_where_of(slice_str("a = 1 AND (b = 2 AND (c = 3 AND d = 4)) AND (e = 5 OR (f = 6 OR g = 7))"), NULL, 0);
    assert_int_equal(q->where->op, NQL_AND);
    assert_int_equal(q->where->n, 5);
    const struct nql_expr *e = q->where->kid;
    for (int i = 0; i < 4; i++, e = e->next) assert_int_equal(e->op, NQL_EQ);
    assert_true(e->op == NQL_OR && e->n == 3 && e->next == NULL);
    nql_free(&q);
    q = nql_where_of(slice_str("((a = 1))"), NULL, 0);
    assert_int_equal(q->where->op, NQL_EQ);
    nql_free(&q);
    q = nql_where_of(slice_str("NOT a = 1 AND b = 2"), NULL, 0); /* NOT binds closer */
    assert_true(q->where->op == NQL_AND && q->where->kid->op == NQL_NOT && q->where->kid->n == 1);
    nql_free(&q);
    q = nql_where_of(slice_str("a NOT IN (1) OR NOT b IN (1)"), NULL, 0);
    assert_true(q->where->kid->op == NQL_NOT_IN && q->where->kid->next->op == NQL_NOT);
    nql_free(&q);
}

static void lists(void **state)
{
    (void)state;
    const struct nql_param p = {slice_str("l"), slice_str("[3, \"b\", 1.0, null, 1, 10e-1, \"\\u0062\", [2], true]")};
    static const char *const spellings[] = {"a IN $l", "a IN (3, 'b', 1.0, null, 1, 10e-1, \"\\u0062\", [2], true)", "a IN ([2], 10e-1, true, 1, 1.0, 'b', null, 3)"};
    static const char *const want[] = {"null", "true", "1", "3", "\"b\"", "[2]"};
    for (int i = 0; i < 3; i++) {
        struct nql_query *q = nql_where_of(slice_str(spellings[i]), &p, i == 0);
        assert_int_equal(q->where->n, 6);
        for (int k = 0; k < 6; k++) assert_true(slice_eq(q->where->value[k].json, slice_str(want[k])));
        nql_free(&q);
    }
    const struct nql_param none = {slice_str("l"), slice_str("[]")}, one = {slice_str("l"), slice_str("1")};
    assert_string_equal(nql_verdict(slice_str("a IN $l"), &none, 1), "5 IN takes at least one value");
    assert_string_equal(nql_verdict(slice_str("a IN $l"), &one, 1), "5 IN takes (value, ...) or a parameter that is an array");
    assert_string_equal(nql_verdict(slice_str("a IN ()"), NULL, 0), "6 a value expected, found ')'");
    assert_string_equal(nql_verdict(slice_str("a IN (1,)"), NULL, 0), "8 a value expected, found ')'");
    assert_string_equal(nql_verdict(slice_str("a IN (1 2)"), NULL, 0), "8 ',' or ')' expected, found '2'");
}

static void patterns(void **state)
{
    (void)state;
    struct nql_query *q = nql_where_of(slice_str("a LIKE 'x%_\\\\%\\\\_\\\\\\\\'"), NULL, 0);
    assert_true(slice_eq(q->where->value[0].text, slice_of("x\xff\xfe%_\\", 6)));
    nql_free(&q);
    static const char why[] = "7 in a LIKE pattern a backslash stands before %, _ or a backslash";
    assert_string_equal(nql_verdict(slice_str("a LIKE 'x\\\\'"), NULL, 0), why);
    assert_string_equal(nql_verdict(slice_str("a LIKE '\\\\x'"), NULL, 0), why);
    char expr[256], middle[80];
    for (int n = NQL_LIKE_PIECE_MAX; n <= NQL_LIKE_PIECE_MAX + 1; n++) {
        memset(middle, 'm', sizeof middle);
        middle[0] = '_';
        snprintf(expr, sizeof expr, "a LIKE '%%%.*s%%'", n, middle);
        assert_string_equal(nql_verdict(slice_str(expr), NULL, 0), n > NQL_LIKE_PIECE_MAX ? "7 more than 64 bytes with _ between two %" : "ok");
        snprintf(expr, sizeof expr, "a LIKE '%.*s%%'", n, middle); /* at either end it costs nothing */
        assert_string_equal(nql_verdict(slice_str(expr), NULL, 0), "ok");
        middle[0] = 'm';
        snprintf(expr, sizeof expr, "a LIKE '%%%.*s%%'", n, middle);
        assert_string_equal(nql_verdict(slice_str(expr), NULL, 0), "ok");
    }
}

static void repeat(struct buf *b, const char *text, int n)
{
    while (n-- > 0) buf_add_str(b, text);
}

static void nesting(void **state)
{
    (void)state;
    static const char *const open[] = {"(", "NOT ("};
    for (int kind = 0; kind < 2; kind++)
        for (int over = 0; over < 2; over++) {
            struct buf expr = {0};
            int n = (kind ? NQL_NESTING_MAX / 2 : NQL_NESTING_MAX) + over;
            repeat(&expr, open[kind], n);
            buf_add_str(&expr, "a = 1");
            repeat(&expr, ")", n);
            const char *got = nql_verdict(buf_slice(&expr), NULL, 0);
            if (over)
                assert_non_null(strstr(got, "nested deeper than 64"));
            else
                assert_string_equal(got, "ok");
            buf_fini(&expr);
        }
    /* Side by side is not deep. */
    struct buf expr = {0};
    for (int i = 0; i < 200; i++) buf_add_str(&expr, i ? " AND (NOT (a = 1))" : "((a = 1))");
    assert_string_equal(nql_verdict(buf_slice(&expr), NULL, 0), "ok");
    buf_fini(&expr);
}

static void terms_and_values(void **state)
{
    (void)state;
    struct buf expr = {0};
    char want[64];
    buf_add_str(&expr, "a = 1");
    repeat(&expr, " OR a = 1", NQL_TERMS_MAX - 1);
    assert_string_equal(nql_verdict(buf_slice(&expr), NULL, 0), "ok");
    snprintf(want, sizeof want, "%zu more than 256 comparisons", expr.n + 4);
    buf_add_str(&expr, " OR a = 1");
    assert_string_equal(nql_verdict(buf_slice(&expr), NULL, 0), want);
    buf_clear(&expr);
    buf_add_str(&expr, "a = 1 AND a IN (0"); /* all values of the expression count, equal ones too */
    repeat(&expr, ",0", NQL_VALUES_MAX - 2);
    size_t n = expr.n;
    buf_add_byte(&expr, ')');
    assert_string_equal(nql_verdict(buf_slice(&expr), NULL, 0), "ok");
    expr.n = n;
    buf_add_str(&expr, ",0)");
    snprintf(want, sizeof want, "%zu more than 4096 values", n + 1);
    assert_string_equal(nql_verdict(buf_slice(&expr), NULL, 0), want);
    buf_fini(&expr);
}

static void faults(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"a <> 1", "2 an operator expected; 'not equal' is !="}, {"a == 1", "2 an operator expected; 'equal' is ="}, {"a ~ 1", "2 an operator expected, found '~'"}, {"a", "1 an operator expected at the end"},
        {"a NOT LIKE 'x'", "6 IN expected; but for NOT IN, NOT stands before the path"}, {"a IS 1", "5 NULL expected, found '1'"}, {"a BETWEEN 1, 2", "11 AND expected, found ','"}, {"(a = 1", "6 AND, OR or ')' expected at the end"},
        {"a = 1 AND", "9 a path expected at the end"}, {"NOT", "3 a path expected at the end"}, {"a = b", "4 a value expected, found 'b'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(nql_verdict(slice_str(rows[i][0]), NULL, 0), rows[i][1]) != 0) print_error("%s\n", rows[i][0]);
        assert_string_equal(nql_verdict(slice_str(rows[i][0]), NULL, 0), rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_are_flat), cmocka_unit_test(lists), cmocka_unit_test(patterns), cmocka_unit_test(nesting), cmocka_unit_test(terms_and_values), cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests_name("doc_nql_where", tests, NULL, NULL);
}
