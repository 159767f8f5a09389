/* A query in one spelling: however it was written, parsed again it prints the same; digests that stay; the point left out. */
#include "nql_bed.h"
#include "support/json_gen.h"

static struct buf printed(const struct nql_query *q, bool without_point)
{
    struct buf out = {0};
    nql_print(q, without_point, &out);
    return out;
}

static void becomes(const char *query, const char *want)
{
    struct nql_query *q = nql_query_of(query);
    struct buf text = printed(q, false);
    if (!slice_eq(buf_slice(&text), slice_str(want))) fail_msg("%s\n became %.*s\n not    %s", query, (int)text.n, (const char *)text.p, want);
    struct nql_query *again = nql_query_of(want);
    assert_true(nql_digest(q, false) == nql_digest(again, false));
    nql_free(&q);
    nql_free(&again);
    buf_fini(&text);
}

static void one_spelling(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"from c", "FROM c"}, {"FROM 'c'", "FROM c"}, {"FROM 'two words'", "FROM \"two words\""}, {"FROM ''", "FROM \"\""},
        {"FROM c LIMIT 5 where (a=1)", "FROM c WHERE a = 1 LIMIT 5"}, {"FROM c WHERE (a = 1 AND (b = 2 AND c = 3))", "FROM c WHERE a = 1 AND b = 2 AND c = 3"},
        {"FROM c WHERE a = 1 AND (b = 2 OR c = 3)", "FROM c WHERE a = 1 AND (b = 2 OR c = 3)"}, {"FROM c WHERE (a = 1 AND b = 2) OR c = 3", "FROM c WHERE a = 1 AND b = 2 OR c = 3"},
        {"FROM c WHERE NOT (a = 1)", "FROM c WHERE NOT a = 1"}, {"FROM c WHERE NOT (NOT a = 1)", "FROM c WHERE NOT (NOT a = 1)"}, {"FROM c WHERE NOT (a = 1 AND b = 2)", "FROM c WHERE NOT (a = 1 AND b = 2)"},
        {"FROM c WHERE a IN (3,1,2,1)", "FROM c WHERE a IN (1, 2, 3)"}, {"FROM c WHERE a NOT IN ('x')", "FROM c WHERE a NOT IN (\"x\")"}, {"FROM c WHERE a BETWEEN 1 AND 2", "FROM c WHERE a BETWEEN 1 AND 2"},
        {"FROM c WHERE $.a is not null", "FROM c WHERE a IS NOT NULL"}, {"FROM c WHERE a like '%x\\\\%'", "FROM c WHERE a LIKE \"%x\\\\%\""},
        {"FROM c AS OF 5 VALID AS OF '2026-01-01'", "FROM c AS OF \"5\" VALID AS OF \"2026-01-01\""},
        {"FROM c SEARCH 'two words' IN t", "FROM c SEARCH \"two words\" IN t"},
        {"FROM c TRAVERSE 'r' REVERSE DEPTH 3", "FROM c TRAVERSE r REVERSE DEPTH 3"}, {"FROM c TRAVERSE r", "FROM c TRAVERSE r DEPTH 1"}, {"FROM c TRACE caused_by DEPTH 2", "FROM c TRACE caused_by DEPTH 2"},
        {"FROM c TRAVERSE 'from'", "FROM c TRAVERSE \"from\" DEPTH 1"}, {"FROM 'from'", "FROM from"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        becomes(rows[i][0], rows[i][1]);
}

/* Up to `depth` deep. */
static void random_expr(struct rng *r, struct buf *out, unsigned depth)
{
    static const char *const terms[] = {"a = 1", "b.c != 'x\"y'", "$.count IN (2, 1)", "a NOT IN (\"z\")", "_ts > 5", "a LIKE '%\\\\%_'", "b CONTAINS {\"k\":[1 ,2]}", "a BETWEEN -0 AND 1e3",
                                        "[\"q.r\"] IS NULL", "a EXISTS", "_id IS NOT NULL", "a = 'it\\'s'", "b <= null", "$ CONTAINS 'k'"};
    unsigned kind = rng_below(r, 6);
    if (depth == 0 || kind == 0) {
        buf_add_str(out, terms[rng_below(r, sizeof terms / sizeof *terms)]);
    } else if (kind == 1) {
        buf_add_str(out, "NOT (");
        random_expr(r, out, depth - 1);
        buf_add_str(out, ")");
    } else {
        unsigned n = 2 + rng_below(r, 2);
        for (unsigned i = 0; i < n; i++) {
            if (i) buf_add_str(out, kind < 4 ? " AND " : " or ");
            buf_add_byte(out, '(');
            random_expr(r, out, depth - 1);
            buf_add_byte(out, ')');
        }
    }
}

static void printing_again_changes_nothing(void **state)
{
    (void)state;
    struct rng r = {9};
    static const char *const tails[] = {"", " ORDER BY a DESC, $.desc LIMIT 7 OFFSET 9", " GROUP BY a, b.c COUNT AVG(a) ORDER BY AVG(a)", " FIELDS a, b LIMIT 1", " SEARCH 'x \"y\"'", " TRAVERSE knows DEPTH 4", " AS OF tag:x"};
    for (unsigned i = 0; i < 1500; i++) {
        struct buf text = {0};
        buf_add_str(&text, "FROM \"a b\" WHERE ");
        random_expr(&r, &text, 4);
        buf_add_str(&text, tails[rng_below(&r, sizeof tails / sizeof *tails)]);
        buf_add_byte(&text, 0);
        struct nql_query *q = nql_query_of((const char *)text.p);
        struct buf once = printed(q, false);
        buf_add_byte(&once, 0);
        struct nql_query *again = nql_query_of((const char *)once.p);
        struct buf twice = printed(again, false);
        buf_add_byte(&twice, 0);
        assert_string_equal((const char *)once.p, (const char *)twice.p);
        nql_free(&q);
        nql_free(&again);
        buf_fini(&text);
        buf_fini(&once);
        buf_fini(&twice);
    }
}

static void digests(void **state)
{
    (void)state;
    struct nql_query *now = nql_query_of("FROM c WHERE a = 1"), *then = nql_query_of("FROM c AS OF 5 WHERE a = 1"), *later = nql_query_of("FROM c AS OF tag:x WHERE (a=1)");
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *p = "FROM c WHERE a = 1"; *p; p++) h = (h ^ (uint8_t)*p) * 0x100000001b3u; /* FNV-1a: cursors of other processes hold it */
    assert_true(nql_digest(now, false) == h && nql_digest(now, true) == h);
    assert_true(nql_digest(then, true) == h && nql_digest(later, true) == h);
    assert_true(nql_digest(then, false) != h && nql_digest(then, false) != nql_digest(later, false));
    nql_free(&now);
    nql_free(&then);
    nql_free(&later);
    const struct nql_param p = {slice_str("v"), slice_str("1")};
    struct nql_query *with = nql_where_of(slice_str("a = $v"), &p, 1), *without = nql_where_of(slice_str("a = 1"), NULL, 0), *other = nql_where_of(slice_str("a = '1'"), NULL, 0);
    assert_true(nql_digest(with, false) == nql_digest(without, false) && nql_digest(with, false) != nql_digest(other, false));
    nql_free(&with);
    nql_free(&without);
    nql_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_spelling),
        cmocka_unit_test(printing_again_changes_nothing),
        cmocka_unit_test(digests),
    };
    return cmocka_run_group_tests_name("doc_nql_print", tests, NULL, NULL);
}
