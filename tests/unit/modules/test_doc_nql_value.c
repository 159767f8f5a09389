/* Values and parameters: what a text becomes, that a parameter is a value and never a piece of query, and every limit. */
#include "nql_bed.h"

static void what_a_parameter_becomes(void **state)
{
    (void)state;
    static const struct {
        const char *given, *json;
        enum json_type type;
    } rows[] = {
        {"7", "7", JSON_NUMBER}, {" 7 ", "7", JSON_NUMBER}, {"\"7\"", "\"7\"", JSON_STRING}, {"x7", "\"x7\"", JSON_STRING}, {"", "\"\"", JSON_STRING}, {"true", "true", JSON_TRUE}, {"True", "\"True\"", JSON_STRING},
        {"[1, 2]", "[1, 2]", JSON_ARRAY}, {"[1,", "\"[1,\"", JSON_STRING}, {"01", "\"01\"", JSON_STRING}, {"\"\\u0041\"", "\"A\"", JSON_STRING}, {"1' OR a = '1", "\"1' OR a = '1\"", JSON_STRING}, {"{\"a\":1,\"a\":2}", "\"{\\\"a\\\":1,\\\"a\\\":2}\"", JSON_STRING},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct nql_param p = {slice_str("v"), slice_str(rows[i].given)};
        struct nql_query *q = nql_where_of(slice_str("a = $v"), &p, 1);
        const struct nql_value *v = &q->where->value[0];
        assert_int_equal(q->where->n, 1);
        assert_int_equal(v->type, rows[i].type);
        assert_true(slice_eq(v->json, slice_str(rows[i].json)));
        nql_free(&q);
    }
}

static void whole_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool whole;
        int64_t i64;
    } rows[] = {{"1", true, 1}, {"1.0", true, 1}, {"1e2", true, 100}, {"1.5", false, 0}, {"-0", true, 0}, {"9223372036854775807", true, INT64_MAX}, {"9223372036854775808", false, 0}, {"-9223372036854775808", true, INT64_MIN},
                {"-9223372036854775809", false, 0}, {"9007199254740993", true, 9007199254740993}, {"1e-400", false, 0}, {"10e-1", true, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expr[64];
        snprintf(expr, sizeof expr, "a = %s", rows[i].text);
        struct nql_query *q = nql_where_of(slice_str(expr), NULL, 0);
        assert_int_equal(q->where->value[0].whole, rows[i].whole);
        if (rows[i].whole) assert_true(q->where->value[0].i64 == rows[i].i64);
        nql_free(&q);
    }
}

static void counts(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"1", "ok"}, {"1000000", "ok"}, {"1e3", "ok"}, {"2.0", "ok"}, {"1000001", "13 LIMIT takes a whole number from 1 to 1000000"}, {"0", "13 LIMIT takes a whole number from 1 to 1000000"}, {"1.5", "13 LIMIT takes a whole number from 1 to 1000000"},
        {"-1", "13 LIMIT takes a whole number from 1 to 1000000"}, {"18446744073709551617", "13 LIMIT takes a whole number from 1 to 1000000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char query[64];
        const struct nql_param p = {slice_str("n"), slice_str(rows[i][0])};
        snprintf(query, sizeof query, "FROM c LIMIT %s", rows[i][0]);
        assert_string_equal(nql_query_verdict(query, NULL, 0), rows[i][1]);
        assert_string_equal(nql_query_verdict("FROM c LIMIT $n", &p, 1), rows[i][1]);
    }
    assert_string_equal(nql_query_verdict("FROM c LIMIT 'x'", NULL, 0), "13 a number expected, found '''");
    const struct nql_param text = {slice_str("n"), slice_str("\"5\"")};
    assert_string_equal(nql_query_verdict("FROM c LIMIT $n", &text, 1), "13 LIMIT takes a whole number from 1 to 1000000");
}

static void faults_of_parameters(void **state)
{
    (void)state;
    const struct nql_param a = {slice_str("a"), slice_str("1")}, odd = {slice_str("a-b"), slice_str("1")}, empty = {slice_str(""), slice_str("1")}, bytes = {slice_str("a"), slice_str("\xff")};
    const struct nql_param twice[] = {a, a};
    slice expr = slice_str("x = $a");
    assert_string_equal(nql_verdict(expr, NULL, 0), "4 no value is given for $a");
    assert_string_equal(nql_verdict(slice_str("x = 1"), &a, 1), "5 parameter 'a' is not used");
    assert_string_equal(nql_verdict(expr, twice, 2), "6 parameter 'a' is given twice");
    assert_string_equal(nql_verdict(expr, &odd, 1), "6 a parameter's name is made of letters, digits and _");
    assert_string_equal(nql_verdict(expr, &empty, 1), "6 a parameter's name is made of letters, digits and _");
    assert_string_equal(nql_verdict(expr, &bytes, 1), "6 parameter 'a' is neither JSON nor UTF-8");
    assert_string_equal(nql_verdict(slice_str("x LIKE $a"), &a, 1), "7 LIKE takes a string");
    assert_string_equal(nql_verdict(slice_str("x LIKE 5"), NULL, 0), "7 a string in quotes expected, found '5'");
    assert_string_equal(nql_verdict(slice_str("x = $a AND y = $A"), &a, 1), "15 no value is given for $A");
}

static void limits_of_parameters(void **state)
{
    (void)state;
    static char names[NQL_PARAMS_MAX + 1][8];
    struct nql_param p[NQL_PARAMS_MAX + 1];
    struct buf expr = {0}, big = {0};
    for (int i = 0; i <= NQL_PARAMS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i);
        p[i] = (struct nql_param){slice_str(names[i]), slice_str("1")};
        if (i < NQL_PARAMS_MAX) buf_printf(&expr, "%sx = $p%d", i ? " OR " : "", i);
    }
    assert_string_equal(nql_verdict(buf_slice(&expr), p, NQL_PARAMS_MAX), "ok");
    char want[64];
    snprintf(want, sizeof want, "%zu more than 64 parameters", expr.n);
    assert_string_equal(nql_verdict(buf_slice(&expr), p, NQL_PARAMS_MAX + 1), want);
    memset(buf_reserve(&big, NQL_PARAM_BYTES_MAX + 1), 'x', NQL_PARAM_BYTES_MAX + 1);
    p[0].value = slice_of(big.p, NQL_PARAM_BYTES_MAX);
    assert_string_equal(nql_verdict(slice_str("x = $p0"), p, 1), "ok");
    p[0].value.n++;
    assert_string_equal(nql_verdict(slice_str("x = $p0"), p, 1), "7 parameters of more than 1048576 bytes");
    p[0].value.n--;
    assert_string_equal(nql_verdict(slice_str("x IN ($p0, $p1)"), p, 2), "15 parameters of more than 1048576 bytes");
    buf_fini(&expr);
    buf_fini(&big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_parameter_becomes), cmocka_unit_test(whole_numbers), cmocka_unit_test(counts), cmocka_unit_test(faults_of_parameters), cmocka_unit_test(limits_of_parameters),
    };
    return cmocka_run_group_tests_name("doc_nql_value", tests, NULL, NULL);
}
