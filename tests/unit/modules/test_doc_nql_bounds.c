/* What WHERE says about one path: the exact shape for each kind of term, raised prefixes at the borders of Unicode, and at random that nothing that matches lies outside. */
#include "nql_bed.h"
#include "support/json_gen.h"

/* "all", "none", "points 1 2", "[1 5)": static. */
static const char *shape(const char *expr, const char *path)
{
    static char text[512];
    struct nql_query *q = nql_where_of(slice_str(expr), NULL, 0);
    struct nql_bounds b;
    int n = nql_path_number(q, slice_str(path));
    assert_true(n >= 0);
    nql_bounds(q, (uint32_t)n, &b);
    if (b.kind == NQL_BOUNDS_ALL || b.kind == NQL_BOUNDS_NONE) {
        snprintf(text, sizeof text, b.kind == NQL_BOUNDS_ALL ? "all" : "none");
    } else if (b.kind == NQL_BOUNDS_POINTS) {
        int len = snprintf(text, sizeof text, "points");
        for (size_t i = 0; i < b.n; i++) len += snprintf(text + len, sizeof text - (size_t)len, " %.*s", (int)b.points[i].n, (const char *)b.points[i].p);
    } else {
        snprintf(text, sizeof text, "%c%.*s %.*s%c", b.has_lo && !b.lo_open ? '[' : '(', b.has_lo ? (int)b.lo.n : 1, b.has_lo ? (const char *)b.lo.p : "-",
                 b.has_hi ? (int)b.hi.n : 1, b.has_hi ? (const char *)b.hi.p : "-", b.has_hi && !b.hi_open ? ']' : ')');
    }
    nql_bounds_fini(&b);
    nql_bounds_fini(&b); /* again does no harm */
    nql_free(&q);
    return text;
}

static void shapes(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"a = 1", "points 1"}, {"a IN (3, 1, 2, 1.0)", "points 1 2 3"}, {"a IS NULL", "points null"}, {"a IS NOT NULL", "(null -)"},
        {"a < 5", "(- 5)"}, {"a <= 5", "(- 5]"}, {"a > 5", "(5 -)"}, {"a >= 5", "[5 -)"}, {"a BETWEEN 1 AND 2", "[1 2]"},
        {"a BETWEEN 2 AND 1", "none"}, {"a BETWEEN 1 AND 1.0", "points 1"}, {"a != 1", "all"}, {"a NOT IN (1)", "all"}, {"a EXISTS", "all"},
        {"a CONTAINS 1", "all"}, {"NOT a = 1", "all"}, {"NOT (a = 1 AND a = 2)", "all"}, {"b = 1 AND a EXISTS", "all"}, {"b = 1 OR a = 1", "all"},
        {"a = 1 OR a = 2 AND b = 3", "points 1 2"}, {"a > 1 AND a < 5 AND b = 1", "(1 5)"}, {"a > 1 AND a >= 1", "(1 -)"}, {"a >= 1 OR a > 1", "[1 -)"},
        {"a < 5 OR a > 1", "all"}, {"a < 1 OR a = 7", "(- 7]"}, {"a > 5 OR a IN (1, 9)", "[1 -)"}, {"a = 1 AND a = 2", "none"},
        {"a > 5 AND a < 5", "none"}, {"a >= 5 AND a < 5", "none"}, {"a >= 5 AND a <= 5", "points 5"}, {"a IN (1,2,3) AND a IN (2,3,4)", "points 2 3"},
        {"a IN (1,2,3) AND a > 1", "points 2 3"}, {"a IN (1,2,3) AND a > 3", "none"}, {"a = 1 AND a = 2 OR a = 3", "points 3"},
        {"a = 'x' AND a > 5", "points \"x\""}, {"a < 5 OR a = 1 AND a = 2", "(- 5)"}, {"a BETWEEN 1 AND 3 OR a BETWEEN 7 AND 9", "[1 9]"},
        {"a > 9007199254740992 AND a < 9007199254740993", "(9007199254740992 9007199254740993)"},
        {"a > 9007199254740993 AND a < 9007199254740993.0", "none"},
        {"a >= 18446744073709551615 AND a <= 1.8446744073709551615e19", "points 18446744073709551615"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = shape(rows[i][0], "a");
        if (strcmp(got, rows[i][1]) != 0) print_error("%s\n", rows[i][0]);
        assert_string_equal(got, rows[i][1]);
    }
    assert_string_equal(shape("a.b = 1 AND a.c = 2", "$.a.c"), "points 2");
}

static void prefixes(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"a LIKE 'ab%'", "[\"ab\" \"ac\")"}, {"a LIKE 'ab_d%'", "[\"ab\" \"ac\")"}, {"a LIKE 'ab'", "points \"ab\""}, {"a LIKE '%'", "[\"\" [])"},
        {"a LIKE '_'", "[\"\" [])"}, {"a LIKE ''", "points \"\""}, {"a LIKE 'a\\\\%%'", "[\"a%\" \"a&\")"}, {"a LIKE 'a\\\\_'", "points \"a_\""},
        {"a LIKE 'a\x7f%'", "[\"a\x7f\" \"a\xc2\x80\")"}, {"a LIKE '\xc3\xa9%'", "[\"\xc3\xa9\" \"\xc3\xaa\")"},
        {"a LIKE '\xdf\xbf%'", "[\"\xdf\xbf\" \"\xe0\xa0\x80\")"},         /* U+07FF, then U+0800 */
        {"a LIKE '\xed\x9f\xbf%'", "[\"\xed\x9f\xbf\" \"\xee\x80\x80\")"}, /* over the surrogates */
        {"a LIKE '\xef\xbf\xbf%'", "[\"\xef\xbf\xbf\" \"\xf0\x90\x80\x80\")"},
        {"a LIKE 'a\xf4\x8f\xbf\xbf%'", "[\"a\xf4\x8f\xbf\xbf\" \"b\")"},  /* the last character has no next one */
        {"a LIKE '\xf4\x8f\xbf\xbf%'", "[\"\xf4\x8f\xbf\xbf\" [])"},
        {"a LIKE 'ab%' AND a LIKE 'abc%'", "[\"abc\" \"abd\")"}, {"a LIKE 'ab%' AND a = 'b'", "none"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = shape(rows[i][0], "a");
        if (strcmp(got, rows[i][1]) != 0) print_error("%s\n", rows[i][0]);
        assert_string_equal(got, rows[i][1]);
    }
}

static bool inside(const struct nql_bounds *b, slice v)
{
    if (b->kind == NQL_BOUNDS_ALL || b->kind == NQL_BOUNDS_NONE) return b->kind == NQL_BOUNDS_ALL;
    if (b->kind == NQL_BOUNDS_POINTS) {
        for (size_t i = 0; i < b->n; i++)
            if (json_compare(b->points[i], v) == 0) return true;
        return false;
    }
    if (b->has_lo && json_compare(v, b->lo) < (b->lo_open ? 1 : 0)) return false;
    return !b->has_hi || json_compare(v, b->hi) <= (b->hi_open ? -1 : 0);
}

/* Depth times: terms of the path a and, now and then, of b. */
static void random_expr(struct rng *r, struct buf *out, unsigned depth, bool only_and)
{
    static const char *const ops[] = {"=", "<", "<=", ">", ">="};
    unsigned kind = rng_below(r, 10);
    if (depth > 0 && kind < 6) {
        buf_add_byte(out, '(');
        random_expr(r, out, depth - 1, only_and);
        buf_add_str(out, only_and || kind < 3 ? " AND " : " OR ");
        random_expr(r, out, depth - 1, only_and);
        buf_add_byte(out, ')');
    } else if (kind == 6 && !only_and) {
        buf_add_str(out, "NOT ");
        buf_add_byte(out, '(');
        random_expr(r, out, 0, true);
        buf_add_byte(out, ')');
    } else if (kind == 7) {
        buf_printf(out, "a IN (%u, %u, %u)", rng_below(r, 12), rng_below(r, 12), rng_below(r, 12));
    } else if (kind == 8) {
        buf_printf(out, "a BETWEEN %u AND %u", rng_below(r, 12), rng_below(r, 12));
    } else {
        buf_printf(out, "%s %s %u", !only_and && rng_below(r, 6) == 0 ? "b" : "a", ops[rng_below(r, 5)], rng_below(r, 12));
    }
}

static void nothing_that_matches_lies_outside(void **state)
{
    (void)state;
    struct rng r = {17};
    for (unsigned round = 0; round < 3000; round++) {
        struct buf text = {0};
        struct nql_bounds b;
        bool only_and = round % 2;
        buf_add_str(&text, only_and ? "" : "a EXISTS AND ");
        random_expr(&r, &text, 3, only_and);
        struct nql_query *q = nql_where_of(buf_slice(&text), NULL, 0);
        nql_bounds(q, (uint32_t)nql_path_number(q, slice_str("a")), &b);
        for (int v = -1; v < 14; v++) {
            char json[48];
            struct nql_row row = {.key = slice_str("c:1")};
            row.json = slice_of(json, (size_t)snprintf(json, sizeof json, "{\"a\":%d,\"b\":%d}", v, (int)rng_below(&r, 12)));
            char number[8];
            slice value = slice_of(number, (size_t)snprintf(number, sizeof number, "%d", v));
            bool match = nql_match(q, &row), in = inside(&b, value);
            if ((match && !in) || (only_and && match != in)) fail_msg("%.*s at %d", (int)text.n, (const char *)text.p, v);
        }
        nql_bounds_fini(&b);
        nql_free(&q);
        buf_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(nothing_that_matches_lies_outside),
    };
    return cmocka_run_group_tests_name("doc_nql_bounds", tests, NULL, NULL);
}
