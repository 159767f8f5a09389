/* Rows as replies and cursors see them: the fields asked for, and places whose bytes order as the rows do. */
#include "nql_bed.h"
#include "support/json_gen.h"

static void fields_asked_for(void **state)
{
    (void)state;
    struct nql_query *q = nql_query_of("FROM c FIELDS $._id, _id, n, gone, $.count, [\"x y\"]");
    struct nql_row row = {.json = slice_str("{\"n\":null,\"_id\":[1 ],\"count\":2,\"x y\":\"\\u0041\"}"), .key = slice_str("c:\xff\"")};
    struct buf out = {0};
    nql_project(q, &row, &out);
    assert_true(slice_eq(buf_slice(&out), slice_str("{\"$._id\":[1 ],\"_id\":\"\xef\xbf\xbd\\\"\",\"n\":null,\"$.count\":2,\"[\\\"x y\\\"]\":\"\\u0041\"}")));
    assert_int_equal(json_check(buf_slice(&out), NULL, NULL), E_OK);
    buf_clear(&out);
    assert_false(nql_value_json(q, &row, q->fields[3], &out));
    assert_int_equal(out.n, 0);
    assert_true(nql_value_json(q, &row, q->fields[2], &out)); /* null is there */
    assert_true(slice_eq(buf_slice(&out), slice_str("null")));
    buf_clear(&out);
    struct nql_row nothing = {.key = slice_str("c")};
    nql_project(q, &nothing, &out);
    assert_true(slice_eq(buf_slice(&out), slice_str("{\"_id\":\"c\"}")));
    buf_fini(&out);
    nql_free(&q);
}

static void places_order_as_rows(void **state)
{
    (void)state;
    static const char *const queries[] = {"FROM c", "FROM c ORDER BY a", "FROM c ORDER BY a DESC, _seq", "FROM c ORDER BY _seq DESC, a, b DESC", "FROM c ORDER BY _by, _key DESC"};
    static const char *const docs[] = {"{}", "{\"a\":null}", "{\"a\":1}", "{\"a\":1.0,\"b\":2}", "{\"a\":\"x\"}", "{\"a\":\"x\\u0000\"}", "{\"a\":[1],\"b\":false}", "{\"a\":9007199254740993}", "{\"a\":9007199254740992}"};
    static const char *const keys[] = {"c:1", "c:10", "c:2", "c:\x01", "c:"};
    struct rng r = {3};
    for (unsigned i = 0; i < 8000; i++) {
        struct nql_query *q = nql_query_of(queries[i % 5]);
        struct nql_row row[2];
        memset(row, 0, sizeof row);
        struct buf place[2];
        memset(place, 0, sizeof place);
        for (int k = 0; k < 2; k++) {
            row[k].json = slice_str(docs[rng_below(&r, 9)]);
            row[k].key = slice_str(keys[rng_below(&r, 5)]);
            row[k].seq = rng_below(&r, 3) ? rng_below(&r, 3) : UINT64_MAX;
            if (rng_below(&r, 2)) row[k].by = slice_of("a\0b", rng_below(&r, 4));
            nql_sort_key(q, &row[k], &place[k]);
        }
        int order = nql_compare_rows(q, &row[0], &row[1]), bytes = slice_cmp(buf_slice(&place[0]), buf_slice(&place[1]));
        assert_int_equal((order > 0) - (order < 0), (bytes > 0) - (bytes < 0));
        assert_int_equal(-((order > 0) - (order < 0)), (nql_compare_rows(q, &row[1], &row[0]) > 0) - (nql_compare_rows(q, &row[1], &row[0]) < 0));
        buf_fini(&place[0]);
        buf_fini(&place[1]);
        nql_free(&q);
    }
}

static void missing_is_null_and_keys_decide(void **state)
{
    (void)state;
    struct nql_query *q = nql_query_of("FROM c ORDER BY a DESC");
    struct nql_row x = {.json = slice_str("{}"), .key = slice_str("c:1")}, y = {.json = slice_str("{\"a\":null}"), .key = slice_str("c:2")}, z = {.json = slice_str("{\"a\":false}"), .key = slice_str("c:3")};
    assert_true(nql_compare_rows(q, &x, &y) < 0); /* keys ascend whatever the order */
    assert_true(nql_compare_rows(q, &z, &x) < 0);
    assert_int_equal(nql_compare_rows(q, &x, &x), 0);
    nql_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_asked_for),
        cmocka_unit_test(places_order_as_rows),
        cmocka_unit_test(missing_is_null_and_keys_decide),
    };
    return cmocka_run_group_tests_name("doc_nql_rows", tests, NULL, NULL);
}
