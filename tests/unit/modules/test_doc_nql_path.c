/* Paths of a query: equal ones share a number however they are written, what a reply calls them, pseudo paths, and how many there may be. */
#include "nql_bed.h"

static void equal_paths_share_a_number(void **state)
{
    (void)state;
    struct nql_query *q = nql_where_of(slice_str("a.b = 1 AND $.a.b = 2 AND [\"a\"].b = 3 AND a[\"\\u0062\"] = 4 AND $[\"a\"][\"b\"] = 5 AND a.c = 6 AND a[0] = 7 AND a[\"0\"] = 8 AND $ EXISTS"), NULL, 0);
    assert_int_equal(q->n_paths, 5);
    uint32_t first = q->where->kid->path, n = 0;
    for (const struct nql_expr *e = q->where->kid; e; e = e->next)
        if (n++ < 5) assert_int_equal(e->path, first);
    assert_int_equal(nql_path_number(q, slice_str("$[\"\\u0061\"].b")), (int)first);
    assert_int_equal(nql_path_number(q, slice_str("$")), 4);
    assert_int_equal(nql_path_number(q, slice_str("a")), -1);
    assert_int_equal(nql_path_number(q, slice_str("a[1]")), -1);
    assert_int_equal(nql_path_number(q, slice_str("a..b")), -1);
    nql_free(&q);
}

static void labels(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"$.a.b", "a.b"}, {"a.b", "a.b"}, {"$.count", "$.count"}, {"$.count.x", "$.count.x"}, {"$.counter", "counter"}, {"$._id", "$._id"}, {"$._from", "_from"},
        {"$.7", "$.7"}, {"$.-x", "$.-x"}, {"$[0]", "$[0]"}, {"$", "$"}, {"[\"x y\"]", "[\"x y\"]"}, {"_hash", "_hash"}, {"$.$x", "$.$x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expr[64];
        snprintf(expr, sizeof expr, "%s EXISTS", rows[i][0]);
        struct nql_query *q = nql_where_of(slice_str(expr), NULL, 0);
        if (!slice_eq(q->path[0].text, slice_str(rows[i][1]))) print_error("%s is called %.*s\n", rows[i][0], (int)q->path[0].text.n, (const char *)q->path[0].text.p);
        assert_true(slice_eq(q->path[0].text, slice_str(rows[i][1])));
        /* The label leads to the same place. */
        snprintf(expr, sizeof expr, "%s EXISTS AND %s EXISTS", rows[i][0], rows[i][1]);
        nql_free(&q);
        q = nql_where_of(slice_str(expr), NULL, 0);
        assert_int_equal(q->n_paths, 1);
        nql_free(&q);
    }
}

static void pseudo_paths(void **state)
{
    (void)state;
    struct nql_query *q = nql_query_of("FROM c WHERE _id = '1' AND _from = 2 AND _ID = 3");
    assert_int_equal(q->path[0].kind, NQL_ID);
    assert_int_equal(q->path[1].kind, NQL_DOC); /* only links have ends */
    assert_int_equal(q->path[2].kind, NQL_DOC); /* names are as they are written */
    assert_int_equal(q->needs, 1u << NQL_ID | 1u << NQL_DOC);
    assert_null(q->path[0].json);
    assert_int_equal(nql_path_number(q, slice_str("_id")), -1);
    nql_free(&q);
    q = nql_query_of("FROM __links__ WHERE _from = 'a' AND _rel = 'b' AND _to = 'c' AND weight > 1");
    assert_int_equal(q->path[0].kind, NQL_FROM);
    assert_int_equal(q->path[2].kind, NQL_TO);
    assert_int_equal(q->needs, 1u << NQL_FROM | 1u << NQL_REL | 1u << NQL_TO | 1u << NQL_DOC);
    nql_free(&q);
    assert_string_equal(nql_verdict(slice_str("_key.x = 1"), NULL, 0), "0 '_key' has no members; for a field of that name write $._key");
    assert_string_equal(nql_verdict(slice_str("a = 1 AND _ts[0] = 1"), NULL, 0), "10 '_ts' has no members; for a field of that name write $._ts");
    assert_string_equal(nql_verdict(slice_str("_from.x = 1"), NULL, 0), "ok");
}

static void as_many_as_there_may_be(void **state)
{
    (void)state;
    struct buf expr = {0};
    for (int i = 0; i < NQL_PATHS_MAX; i++) buf_printf(&expr, "%sp%d = 1", i ? " AND " : "", i);
    assert_string_equal(nql_verdict(buf_slice(&expr), NULL, 0), "ok");
    size_t at = expr.n;
    buf_add_str(&expr, " AND p3 = 1 OR $.p63 = 1");
    assert_string_equal(nql_verdict(buf_slice(&expr), NULL, 0), "ok");
    expr.n = at;
    buf_add_str(&expr, " AND q = 1");
    char want[64];
    snprintf(want, sizeof want, "%zu more than 64 different paths", at + 5);
    assert_string_equal(nql_verdict(buf_slice(&expr), NULL, 0), want);
    buf_clear(&expr);
    buf_add_str(&expr, "s"); /* as many steps as a path may have */
    for (int i = 1; i < JSON_PATH_MAX; i++) buf_add_str(&expr, i % 2 ? ".s" : "[1]");
    at = expr.n;
    buf_add_str(&expr, " = 1");
    assert_string_equal(nql_verdict(buf_slice(&expr), NULL, 0), "ok");
    expr.n = at;
    buf_add_str(&expr, ".s = 1");
    assert_string_equal(nql_verdict(buf_slice(&expr), NULL, 0), "0 bad path");
    buf_fini(&expr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_paths_share_a_number),
        cmocka_unit_test(labels),
        cmocka_unit_test(pseudo_paths),
        cmocka_unit_test(as_many_as_there_may_be),
    };
    return cmocka_run_group_tests_name("doc_nql_path", tests, NULL, NULL);
}
