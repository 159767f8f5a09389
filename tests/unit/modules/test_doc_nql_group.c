/* GROUP BY: groups by exact values, aggregates, order, limits; and that no answer depends on the order of the rows. */
#include "modules/doc/nql.h"
#include "modules/doc/nql_sum.h"

#include "support/json_gen.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct nql_query *query(const char *text)
{
    struct nql_query *q = NULL;
    struct nql_fault f;
    if (nql_parse(slice_str(text), NULL, 0, &q, &f) != E_OK) fail_msg("refused: %s\n at %zu: %s", text, f.at, f.why);
    return q;
}

/* All rows as text: name=json name=json; … and places that ascend. */
static void drain(struct nql_groups *g, const struct nql_query *q, size_t steps, struct buf *out)
{
    struct nql_column column[NQL_GROUP_MAX + NQL_AGGREGATES_MAX];
    struct buf last = {0};
    int r;
    size_t n = 0;
    while ((r = nql_groups_finish(g, steps)) == E_AGAIN) n++;
    assert_int_equal(r, E_OK);
    assert_int_equal(n, nql_groups_count(g) ? (nql_groups_count(g) - 1) / steps : 0);
    for (n = 0; (r = nql_groups_next(g, column)) == E_OK; n++) {
        for (uint32_t i = 0; i < q->n_group + q->n_aggregates; i++) {
            assert_int_equal(json_check(column[i].json, NULL, NULL), E_OK);
            buf_printf(out, "%s%.*s=%.*s", i ? " " : "", (int)column[i].name.n, (const char *)column[i].name.p, (int)column[i].json.n, (const char *)column[i].json.p);
        }
        buf_add_str(out, "; ");
        if (n) assert_true(slice_cmp(buf_slice(&last), nql_groups_place(g)) < 0);
        buf_clear(&last);
        buf_add_slice(&last, nql_groups_place(g));
    }
    assert_int_equal(r, E_END);
    assert_int_equal(n, nql_groups_count(g));
    buf_fini(&last);
}

static void must_give(const char *text, const char *const *docs, size_t n, const char *want)
{
    struct nql_query *q = query(text);
    for (int backward = 0; backward < 2; backward++) {
        struct nql_groups *g = nql_groups_new(q);
        struct buf out = {0};
        for (size_t i = 0; i < n; i++) {
            struct nql_row row = {.json = slice_str(docs[backward ? n - 1 - i : i]), .key = slice_str("c:k"), .seq = 10 + i, .by = slice_str("eve")};
            assert_int_equal(nql_groups_add(g, &row), E_OK);
        }
        drain(g, q, 1 + (size_t)backward, &out);
        if (!slice_eq(buf_slice(&out), slice_str(want))) fail_msg("%s\n gives %.*s\n not   %s", text, (int)out.n, (const char *)out.p, want);
        buf_fini(&out);
        nql_groups_free(&g);
        assert_null(g);
    }
    nql_free(&q);
}
#define MUST_GIVE(text, want, ...) must_give(text, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), want)

#define SALES "{\"p\":\"b\",\"n\":2,\"x\":0.5}", "{\"p\":\"a\",\"n\":1}", "{\"p\":\"b\",\"n\":5,\"x\":\"no\"}", "{\"p\":\"a\",\"n\":10,\"x\":null}", "{\"p\":\"a\",\"n\":-3,\"x\":0.25}", "{\"n\":7}"

static void aggregates(void **state)
{
    MUST_GIVE("FROM c GROUP BY p COUNT", "p=null COUNT=1; p=\"a\" COUNT=3; p=\"b\" COUNT=2; ", SALES);
    MUST_GIVE("FROM c GROUP BY p", "p=null; p=\"a\"; p=\"b\"; ", SALES);
    MUST_GIVE("FROM c GROUP BY p SUM n AVG n MIN n MAX n", "p=null SUM(n)=7 AVG(n)=7 MIN(n)=7 MAX(n)=7; p=\"a\" SUM(n)=8 AVG(n)=2.6666666666666665 MIN(n)=-3 MAX(n)=10; "
              "p=\"b\" SUM(n)=7 AVG(n)=3.5 MIN(n)=2 MAX(n)=5; ", SALES);
    MUST_GIVE("FROM c GROUP BY p SUM x AVG x MIN x MAX x", "p=null SUM(x)=0 AVG(x)=null MIN(x)=null MAX(x)=null; p=\"a\" SUM(x)=0.25 AVG(x)=0.25 MIN(x)=null MAX(x)=0.25; "
              "p=\"b\" SUM(x)=0.5 AVG(x)=0.5 MIN(x)=0.5 MAX(x)=\"no\"; ", SALES);
    MUST_GIVE("FROM c GROUP BY _by, _key SUM _seq MAX _seq MIN _id", "_by=\"eve\" _key=\"c:k\" SUM(_seq)=21 MAX(_seq)=11 MIN(_id)=\"k\"; ", "{}", "1");
    struct nql_query *q = query("FROM c GROUP BY p COUNT");
    struct nql_groups *g = nql_groups_new(q);
    struct buf out = {0};
    drain(g, q, 1, &out);
    assert_int_equal(out.n, 0);
    nql_groups_free(&g);
    nql_groups_free(&g);
    nql_free(&q);
}

static void groups_in_order(void **state)
{
    MUST_GIVE("FROM c GROUP BY p COUNT ORDER BY COUNT DESC", "p=\"a\" COUNT=3; p=\"b\" COUNT=2; p=null COUNT=1; ", SALES);
    MUST_GIVE("FROM c GROUP BY p SUM n ORDER BY SUM(n), p DESC", "p=\"b\" SUM(n)=7; p=null SUM(n)=7; p=\"a\" SUM(n)=8; ", SALES);
    MUST_GIVE("FROM c GROUP BY p SUM n ORDER BY SUM n", "p=null SUM(n)=7; p=\"b\" SUM(n)=7; p=\"a\" SUM(n)=8; ", SALES);
    MUST_GIVE("FROM c GROUP BY p MAX x ORDER BY MAX x DESC", "p=\"b\" MAX(x)=\"no\"; p=\"a\" MAX(x)=0.25; p=null MAX(x)=null; ", SALES);
    MUST_GIVE("FROM c GROUP BY p, n COUNT ORDER BY n DESC, p", "p=\"a\" n=10 COUNT=1; p=null n=7 COUNT=1; p=\"b\" n=5 COUNT=1; p=\"b\" n=2 COUNT=1; p=\"a\" n=1 COUNT=1; p=\"a\" n=-3 COUNT=1; ", SALES);
}

static void equal_values_are_one_group(void **state)
{
    MUST_GIVE("FROM c GROUP BY a COUNT", "a=1 COUNT=3; a=9007199254740992 COUNT=1; a=9007199254740993 COUNT=2; ",
              "{\"a\":1.0}", "{\"a\":1}", "{\"a\":10e-1}", "{\"a\":9007199254740993}", "{\"a\":9007199254740992}", "{\"a\":9007199254740993.0}");
    MUST_GIVE("FROM c GROUP BY a COUNT", "a=null COUNT=2; a=\"A\" COUNT=2; a=[1] COUNT=2; a={\"x\":1,\"y\":2} COUNT=2; ", "{\"a\":\"\\u0041\"}", "{\"a\":null}", "{\"a\":[1.0]}", "{}", "{\"a\":\"A\"}",
              "{\"a\":{\"y\":2, \"x\":1}}", "{\"a\":[1]}", "{\"a\":{\"x\":1,\"y\":2}}");
    MUST_GIVE("FROM c GROUP BY g MIN a MAX a", "g=null MIN(a)=1 MAX(a)=2; ", "{\"a\":1.0}", "{\"a\":1}", "{\"a\":2e0}", "{\"a\":2}", "{\"a\":2.0}");
    MUST_GIVE("FROM c GROUP BY $.count, b COUNT", "$.count=1 b=\"\" COUNT=1; $.count=\"\" b=1 COUNT=1; ", "{\"count\":\"\",\"b\":1}", "{\"count\":1,\"b\":\"\"}");
}

/* ---- sums ---- */

static void sum_is(const char *const *numbers, size_t n, const char *sum, const char *mean)
{
    struct nql_sum s = {0};
    struct buf out = {0};
    for (size_t i = 0; i < n; i++) nql_sum_add(&s, slice_str(numbers[i]));
    nql_sum_print(&s, &out);
    if (!slice_eq(buf_slice(&out), slice_str(sum))) fail_msg("sum %.*s, not %s", (int)out.n, (const char *)out.p, sum);
    buf_clear(&out);
    nql_sum_print_mean(&s, &out);
    if (!slice_eq(buf_slice(&out), slice_str(mean))) fail_msg("mean %.*s, not %s", (int)out.n, (const char *)out.p, mean);
    nql_sum_fini(&s);
    buf_fini(&out);
}
#define SUM_IS(sum, mean, ...) sum_is((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), sum, mean)

static void sums_are_exact(void **state)
{
    sum_is(NULL, 0, "0", "null");
    SUM_IS("18014398509481985", "9007199254740992", "9007199254740993", "9007199254740992");
    SUM_IS("36893488147419103230", "18446744073709552000", "18446744073709551615", "18446744073709551615");
    SUM_IS("-18446744073709551616", "-9223372036854776000", "-9223372036854775808", "-9223372036854775808.0");
    SUM_IS("0.30000000000000004", "0.15000000000000002", "0.1", "0.2");
    SUM_IS("1", "0.1", "0.1", "0.1", "0.1", "0.1", "0.1", "0.1", "0.1", "0.1", "0.1", "0.1");
    SUM_IS("1", "0.3333333333333333", "1e300", "-1e300", "1");
    SUM_IS("1", "0.25", "1e300", "1", "-1e300", "0.0");
    SUM_IS("0", "0", "0.5", "-0.5");
    SUM_IS("-0.5", "-0.25", "-1", "0.5");
    SUM_IS("5e-324", "0", "5e-324", "0"); /* half of the smallest double: to even */
    SUM_IS("null", "null", "1e308", "1e308");
    SUM_IS("null", "null", "1e400", "1");
    SUM_IS("1", "0.5", "1e-400", "1");
    SUM_IS("9007199254740994", "3002399751580331.5", "9007199254740992", "0.5", "1.0000000000000002"); /* over the half: up */
    SUM_IS("9007199254740992", "3002399751580330.5", "9007199254740992", "0.5", "0.5"); /* the half: to even */
}

/* Random doubles: any order gives the same, and long double agrees within its rounding. */
static void sums_in_any_order(void **state)
{
    struct rng rng = {3};
    for (int round = 0; round < 300; round++) {
        char text[60][40];
        size_t n = 1 + rng_below(&rng, 60);
        long double near = 0, size = 0;
        struct buf first = {0}, again = {0};
        for (size_t i = 0; i < n; i++) {
            double v = ldexp((double)rng_next(&rng) * (rng_below(&rng, 2) ? 1 : -1), (int)rng_below(&rng, 120) - 120);
            if (rng_below(&rng, 4) == 0) v = (double)(int64_t)rng_next(&rng);
            (void)snprintf(text[i], sizeof text[i], "%.17g", v);
            near += v;
            size += fabsl((long double)v);
        }
        for (int turn = 0; turn < 4; turn++) {
            struct nql_sum s = {0};
            for (size_t i = 0; i < n; i++) nql_sum_add(&s, slice_str(text[(i * (turn ? 61 : 1) + (size_t)turn) % n])); /* 61 is prime, n less */
            buf_clear(&again);
            nql_sum_print(&s, turn ? &again : &first);
            if (turn && !slice_eq(buf_slice(&first), buf_slice(&again))) fail_msg("%.*s, then %.*s", (int)first.n, (const char *)first.p, (int)again.n, (const char *)again.p);
            nql_sum_fini(&s);
        }
        double got;
        assert_true(num_parse_double(buf_slice(&first), &got));
        assert_true(fabsl((long double)got - near) <= size * 1.2e-16L);
        buf_fini(&first);
        buf_fini(&again);
    }
}

/* ---- many ---- */

static void many_groups(void **state)
{
    struct nql_query *q = query("FROM c GROUP BY a COUNT SUM b ORDER BY COUNT DESC, a");
    struct nql_groups *g = nql_groups_new(q);
    struct nql_column column[3];
    struct buf json = {0}, want = {0};
    for (unsigned i = 0; i < 3 * NQL_GROUPS_MAX / 2; i++) {
        buf_clear(&json);
        buf_printf(&json, "{\"a\":%u,\"b\":%u}", i % NQL_GROUPS_MAX, i);
        struct nql_row row = {.json = buf_slice(&json), .key = slice_str("c:1")};
        assert_int_equal(nql_groups_add(g, &row), E_OK);
    }
    struct nql_row more = {.json = slice_str("{\"a\":-1}"), .key = slice_str("c:1")}, old = {.json = slice_str("{\"a\":0,\"b\":0}"), .key = slice_str("c:1")};
    assert_int_equal(nql_groups_add(g, &more), E_TOOBIG);
    assert_int_equal(nql_groups_add(g, &old), E_OK);
    assert_int_equal(nql_groups_count(g), NQL_GROUPS_MAX);
    while (nql_groups_finish(g, 1000) == E_AGAIN) continue;
    for (unsigned i = 0; i < NQL_GROUPS_MAX; i++) {
        unsigned a = i, rows = i == 0 ? 3 : i < NQL_GROUPS_MAX / 2 ? 2 : 1, sum = rows > 1 ? 2 * a + NQL_GROUPS_MAX : a;
        assert_int_equal(nql_groups_next(g, column), E_OK);
        buf_clear(&want), buf_clear(&json);
        buf_printf(&want, "%u %u %u", a, rows, sum);
        for (int k = 0; k < 3; k++) buf_printf(&json, "%s%.*s", k ? " " : "", (int)column[k].json.n, (const char *)column[k].json.p);
        assert_true(slice_eq(buf_slice(&want), buf_slice(&json)));
    }
    assert_int_equal(nql_groups_next(g, column), E_END);
    nql_groups_free(&g);
    nql_free(&q);
    buf_fini(&json);
    buf_fini(&want);
}

static void bytes_are_limited(void **state)
{
    struct nql_query *q = query("FROM c GROUP BY a MAX a");
    struct nql_groups *g = nql_groups_new(q);
    struct buf json = {0};
    int r = E_OK;
    unsigned n = 0;
    buf_add_str(&json, "{\"a\":\"");
    size_t at = json.n;
    for (size_t i = 0; i < 8u << 20; i++) buf_add_byte(&json, 'x');
    buf_add_str(&json, "\"}");
    for (; r == E_OK && n < 100; n++) {
        json.p[at] = (uint8_t)('0' + n);
        struct nql_row row = {.json = buf_slice(&json), .key = slice_str("c:1")};
        r = nql_groups_add(g, &row);
    }
    assert_int_equal(r, E_TOOBIG);
    assert_true(n > 5 && n < 32);
    nql_groups_free(&g);
    nql_free(&q);
    buf_fini(&json);
}

/* Random rows, then the same shuffled: the same text. */
static void rows_in_any_order(void **state)
{
    static const char *const values[] = {"1", "1.0", "null", "\"a\"", "\"\\u0061\"", "0.1", "0.7", "1e17", "-1e17", "[1]", "[1.0]", "true", "3"};
    static const char *const queries[] = {"FROM c GROUP BY a COUNT SUM b AVG b MIN b MAX b", "FROM c GROUP BY a, b COUNT SUM d ORDER BY SUM d DESC", "FROM c GROUP BY d MAX a MIN b ORDER BY MAX a, MIN b DESC"};
    struct rng rng = {9};
    for (int round = 0; round < 300; round++) {
        char doc[40][120];
        struct nql_query *q = query(queries[round % 3]);
        struct buf out[2] = {{0}, {0}};
        for (int i = 0; i < 40; i++)
            (void)snprintf(doc[i], sizeof doc[i], "{\"a\":%s,\"b\":%s,\"%s\":%s}", values[rng_below(&rng, 13)], values[rng_below(&rng, 13)], rng_below(&rng, 4) ? "d" : "e", values[rng_below(&rng, 13)]);
        for (int turn = 0; turn < 2; turn++) {
            struct nql_groups *g = nql_groups_new(q);
            for (int i = 0; i < 40; i++) {
                struct nql_row row = {.json = slice_str(doc[turn ? (i * 7 + 5) % 40 : i]), .key = slice_str("c:1")};
                assert_int_equal(nql_groups_add(g, &row), E_OK);
            }
            drain(g, q, 7, &out[turn]);
            nql_groups_free(&g);
        }
        if (!slice_eq(buf_slice(&out[0]), buf_slice(&out[1])))
            fail_msg("%s\n %.*s\n %.*s", queries[round % 3], (int)out[0].n, (const char *)out[0].p, (int)out[1].n, (const char *)out[1].p);
        nql_free(&q);
        buf_fini(&out[0]), buf_fini(&out[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aggregates),  cmocka_unit_test(groups_in_order),   cmocka_unit_test(equal_values_are_one_group), cmocka_unit_test(sums_are_exact), cmocka_unit_test(sums_in_any_order),
        cmocka_unit_test(many_groups), cmocka_unit_test(bytes_are_limited), cmocka_unit_test(rows_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
