/* What a query says about rows: every operator by table, then random expressions against a second evaluator that knows values only by their
 * rank in a list. The same expressions check the bounds given to indexes; random orders check the sort keys. */
#include "modules/doc/nql.h"

#include "support/json_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct nql_query *where(slice expr)
{
    struct nql_query *q = NULL;
    struct nql_fault f;
    if (nql_parse_where(slice_str("c"), expr, NULL, 0, &q, &f) != E_OK)
        fail_msg("refused: %.*s\n at %zu: %s", (int)expr.n, (const char *)expr.p, f.at, f.why);
    return q;
}

static struct nql_query *query(const char *text)
{
    struct nql_query *q = NULL;
    struct nql_fault f;
    if (nql_parse(slice_str(text), NULL, 0, &q, &f) != E_OK) fail_msg("refused: %s\n at %zu: %s", text, f.at, f.why);
    return q;
}

struct check {
    const char *expr;
    bool yes;
};

static void all_of(const char *json, const struct check *c, size_t n)
{
    struct nql_row row = {.json = slice_str(json), .key = slice_str("c:1")};
    assert_int_equal(json_check(row.json, NULL, NULL), E_OK);
    for (size_t i = 0; i < n; i++) {
        struct nql_query *q = where(slice_str(c[i].expr));
        if (nql_match(q, &row) != c[i].yes) fail_msg("%s must be %s", c[i].expr, c[i].yes ? "true" : "false");
        nql_free(&q);
    }
}
#define ALL_OF(json, ...) all_of(json, (const struct check[]){__VA_ARGS__}, sizeof((const struct check[]){__VA_ARGS__}) / sizeof(struct check))

static void comparisons(void **state)
{
    ALL_OF("{\"a\":5,\"s\":\"x\",\"n\":null,\"t\":true,\"l\":[1,\"b\"],\"o\":{\"k\":1,\"q\\u0041\":2}}",
           {"a = 5", 1}, {"a = 5.0", 1}, {"a = 50e-1", 1}, {"a = \"5\"", 0}, {"a != 5", 0}, {"a != 6", 1}, {"a < 6", 1}, {"a < 5", 0}, {"a <= 5", 1},
           {"a > 4.999999999999999999999", 1}, {"a > 5", 0}, {"a >= 5", 1}, {"a >= 6", 0}, {"s = 'x'", 1}, {"s = \"\\u0078\"", 1},
           {"s > 'w'", 1}, {"n = null", 1}, {"n != null", 0}, {"t = true", 1}, {"t = false", 0}, {"l = [1,\"b\"]", 1}, {"l = [1.0, \"b\"]", 1},
           {"l[0] = 1", 1}, {"l[1] = 'b'", 1}, {"l[2] = 1", 0}, {"o.k = 1", 1}, {"o.qA = 2", 1}, {"o[\"q\\u0041\"] = 2", 1}, {"o = {\"qA\":2,\"k\":1}", 1},
           {"a.b = 1", 0}, {"$.a = 5", 1}, {"$ CONTAINS 's'", 1});
}

static void types_stand_in_one_order(void **state)
{
    ALL_OF("{\"n\":null,\"f\":false,\"t\":true,\"i\":0,\"s\":\"\",\"l\":[],\"o\":{}}",
           {"n < false", 1}, {"f < true", 1}, {"t < -1e99", 1}, {"i < ''", 1}, {"s < []", 1}, {"l < {}", 1}, {"o > []", 1}, {"o > 5", 1},
           {"i > true", 1}, {"s BETWEEN 0 AND []", 1}, {"n < null", 0}, {"n <= null", 1}, {"t > 'a'", 0});
}

static void missing_fields(void **state)
{
    ALL_OF("{\"n\":null,\"a\":1}", {"x = 3", 0}, {"x != 3", 0}, {"NOT x = 3", 1}, {"x < 3", 0}, {"x >= null", 0}, {"x = null", 0}, {"x IN (null)", 0},
           {"x NOT IN (1)", 0}, {"NOT x IN (1)", 1}, {"x BETWEEN null AND {}", 0}, {"x LIKE '%'", 0}, {"x CONTAINS 1", 0}, {"x IS NULL", 1},
           {"x IS NOT NULL", 0}, {"x EXISTS", 0}, {"n EXISTS", 1}, {"n IS NULL", 1}, {"n IS NOT NULL", 0}, {"a IS NULL", 0}, {"a IS NOT NULL", 1},
           {"n NOT IN (1)", 1}, {"n IN (1, null)", 1}, {"n != 1", 1});
    struct nql_row nothing = {.key = slice_str("k")};
    struct nql_query *q = where(slice_str("a IS NULL AND NOT $ EXISTS"));
    assert_true(nql_match(q, &nothing));
    nql_free(&q);
}

static void numbers_are_exact(void **state)
{
    ALL_OF("{\"a\":9007199254740993,\"u\":18446744073709551615,\"m\":-9223372036854775808,\"d\":0.1,\"z\":-0,\"e\":1e400}",
           {"a = 9007199254740993", 1}, {"a = 9007199254740992", 0}, {"a > 9007199254740992", 1}, {"a = 9007199254740993.0", 1}, {"a < 9007199254740993.1", 1},
           {"u = 18446744073709551615", 1}, {"u > 18446744073709551614", 1}, {"u < 18446744073709551616", 1}, {"u = 1.8446744073709551615e19", 1},
           {"m = -9223372036854775808", 1}, {"m < -9223372036854775807", 1}, {"m > -9223372036854775809", 1}, {"d = 0.1", 1}, {"d = 1e-1", 1},
           {"d < 0.1000000000000000055511151231257827", 1}, {"z = 0", 1}, {"z >= 0", 1}, {"z < 0", 0}, {"e > 1e399", 1}, {"e < 1e401", 1}, {"e = 10e399", 1},
           {"a IN (9007199254740992, 9007199254740994)", 0}, {"a IN (9007199254740992, 9007199254740993)", 1},
           {"u NOT IN (18446744073709551614, 18446744073709551616)", 1}, {"a BETWEEN 9007199254740993 AND 9007199254740993", 1});
}

static void like(void **state)
{
    ALL_OF("{\"s\":\"abcabd\",\"e\":\"\",\"u\":\"h\xc3\xa9llo\",\"p\":\"50%_\\\\x\",\"q\":\"\\u0041b\",\"n\":5,\"l\":[\"a\"]}",
           {"s LIKE 'abcabd'", 1}, {"s LIKE 'abc'", 0}, {"s LIKE 'abc%'", 1}, {"s LIKE '%abd'", 1}, {"s LIKE '%abc'", 0}, {"s LIKE '%ab%'", 1}, {"s LIKE 'a%b_'", 1},
           {"s LIKE 'a_c%d'", 1}, {"s LIKE '______'", 1}, {"s LIKE '_____'", 0}, {"s LIKE '%'", 1}, {"s LIKE '%%'", 1}, {"s LIKE 'abcabd%'", 1},
           {"s LIKE '%abcabd'", 1}, {"s LIKE 'abcab%bd'", 0}, {"s LIKE '%b_%'", 1}, {"s LIKE '%_d'", 1}, {"s LIKE '%c_b%'", 1}, {"s LIKE 'ABC%'", 0}, {"s LIKE ''", 0},
           {"e LIKE ''", 1}, {"e LIKE '%'", 1}, {"e LIKE '_'", 0}, {"e LIKE '%_'", 0}, {"u LIKE 'h_llo'", 1}, {"u LIKE 'h__llo'", 0}, {"u LIKE '%_llo'", 1}, {"u LIKE '%\\u00e9%'", 1},
           {"u LIKE '_____'", 1}, {"u LIKE '%h_l%'", 1}, {"p LIKE '50\\\\%\\\\_%'", 1}, {"p LIKE '50\\\\%x%'", 0}, {"p LIKE '%\\\\\\\\x'", 1}, {"q LIKE 'Ab'", 1},
           {"q LIKE 'A%'", 1}, {"n LIKE '5'", 0}, {"n LIKE '%'", 0}, {"l LIKE '%'", 0}, {"l[0] LIKE 'a'", 1});
}

static void contains(void **state)
{
    ALL_OF("{\"l\":[1,\"b\",[2],null,{\"x\":1}],\"s\":\"hello\",\"o\":{\"k\":1,\"q\\u0041\":2},\"n\":12,\"e\":[],\"x\":\"a\\nb\"}",
           {"l CONTAINS 1", 1}, {"l CONTAINS 1.0", 1}, {"l CONTAINS 2", 0}, {"l CONTAINS 'b'", 1}, {"l CONTAINS [2]", 1}, {"l CONTAINS null", 1}, {"l CONTAINS {\"x\":1.0}", 1},
           {"l CONTAINS 'x'", 0}, {"e CONTAINS null", 0}, {"s CONTAINS 'ell'", 1}, {"s CONTAINS ''", 1}, {"s CONTAINS 'Ell'", 0}, {"s CONTAINS 5", 0}, {"o CONTAINS 'k'", 1},
           {"o CONTAINS 'qA'", 1}, {"o CONTAINS 'q'", 0}, {"o CONTAINS 1", 0}, {"n CONTAINS 1", 0}, {"n CONTAINS '1'", 0}, {"x CONTAINS 'a\\nb'", 1}, {"x CONTAINS 'n'", 0});
}

static void precedence(void **state)
{
    ALL_OF("{\"t\":1}", {"t = 1 OR t = 1 AND t = 2", 1}, {"(t = 1 OR t = 1) AND t = 2", 0}, {"NOT t = 2 AND t = 1", 1}, {"NOT (t = 2 OR t = 1)", 0},
           {"NOT t = 1 OR t = 1", 1}, {"t = 2 AND t = 1 OR t = 1", 1}, {"t BETWEEN 0 AND 2 AND t = 1", 1}, {"t BETWEEN 2 AND 0", 0}, {"t BETWEEN 1 AND 1", 1});
}

static void pseudo_paths(void **state)
{
    uint8_t hash[HASH_BYTES] = {0xab, 0xcd};
    struct nql_row row = {.json = slice_str("{\"_id\":7,\"_from\":\"f\"}"), .key = slice_str("user:7:x"), .seq = UINT64_MAX, .ver = 3, .ts_ms = 1700000000000, .hash = hash, .by = slice_str("eve")};
    static const struct check checks[] = {
        {"_id = '7:x'", 1}, {"_key = 'user:7:x'", 1}, {"_key LIKE 'user:%'", 1}, {"$._id = 7", 1}, {"[\"_id\"] = 7", 1}, {"_seq = 18446744073709551615", 1}, {"_seq < 18446744073709551616", 1},
        {"_seq > 9223372036854775807", 1}, {"_ver = 3", 1}, {"_ver IN (1, 3.0)", 1}, {"_ver < 'a'", 1}, {"_ts BETWEEN 1e12 AND 2e12", 1}, {"_hash LIKE 'abcd00%'", 1}, {"_hash = 'abcd'", 0},
        {"_by = \"eve\"", 1}, {"_by != 'eve'", 0}, {"_from = 'f'", 1}, {"_hash EXISTS AND _seq IS NOT NULL", 1}, {"_key CONTAINS '7:'", 1}, {"_ver CONTAINS 3", 0},
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        struct nql_query *q = where(slice_str(checks[i].expr));
        if (nql_match(q, &row) != checks[i].yes) fail_msg("%s", checks[i].expr);
        nql_free(&q);
    }
    struct nql_row link = {.key = slice_str("l"), .from = slice_str("a:1"), .rel = slice_str("r"), .to = slice_str("b:2")};
    struct nql_query *q = query("FROM __links__ WHERE _from = 'a:1' AND _rel = 'r' AND _to LIKE 'b:%' AND _by IS NULL AND _hash IS NULL AND NOT n = 1");
    assert_true(nql_match(q, &link));
    nql_free(&q);
    q = query("FROM c WHERE _id = 'plain' AND _key = 'plain'");
    struct nql_row plain = {.key = slice_str("plain")};
    assert_true(nql_match(q, &plain));
    nql_free(&q);
}

/* ---- random expressions ---- */

/* Spellings of values by rank: equal ones share it. */
static const struct {
    int rank;
    const char *json;
} pool[] = {
    {0, "null"}, {1, "false"}, {2, "true"}, {3, "-1e30"}, {4, "-2"}, {5, "0"}, {5, "-0.0"}, {6, "0.5"}, {6, "5e-1"}, {7, "1"}, {7, "1.0"}, {7, "10e-1"}, {8, "2"}, {9, "9007199254740992"},
    {10, "9007199254740993"}, {11, "18446744073709551615"}, {12, "1e300"}, {13, "\"\""}, {14, "\"A\""}, {15, "\"a\""}, {15, "\"\\u0061\""}, {16, "\"ab\""}, {17, "\"abc\""},
    {17, "\"a\\u0062c\""}, {18, "\"b\""}, {19, "\"\\u00e9\""}, {19, "\"\xc3\xa9\""}, {20, "\"\\udbff\\udfff\""}, {21, "[]"}, {22, "[1]"}, {22, "[1.0]"}, {23, "[1,\"a\"]"}, {24, "[2]"}, {25, "{}"},
    {26, "{\"a\":1}"}, {26, "{ \"a\" : 1.0 }"}, {27, "{\"b\":1}"},
};
#define POOL      (sizeof pool / sizeof *pool)
#define FIELDS    4
static const char *const field_names[FIELDS] = {"a", "b.c", "[\"x y\"]", "d[1]"};
static const char *const patterns[] = {"", "%", "a%", "ab%", "%b%", "a_", "_", "abc", "%c", "a%c", "\xc3\xa9%", "\xf4\x8f\xbf\xbf%", "_b%"};
static const char *const pattern_texts[] = {"", "A", "a", "ab", "abc", "b", "\xc3\xa9", "\xf4\x8f\xbf\xbf"}; /* of ranks 13 … */

struct twig {
    enum nql_op op;
    int field, n_values, n_kids;
    unsigned value[3]; /* index into pool; LIKE: into patterns */
    struct twig *kid[3];
};

static struct twig *make(struct rng *r, unsigned depth)
{
    static const enum nql_op ops[] = {NQL_EQ, NQL_NE, NQL_LT, NQL_LE, NQL_GT, NQL_GE, NQL_LIKE, NQL_BETWEEN, NQL_IN, NQL_NOT_IN, NQL_NULL, NQL_NOT_NULL, NQL_EXISTS, NQL_EQ, NQL_LIKE};
    struct twig *e = calloc(1, sizeof *e);
    if (depth > 0 && rng_below(r, 3)) {
        e->op = (enum nql_op)rng_below(r, 3);
        e->n_kids = e->op == NQL_NOT ? 1 : 2 + (int)rng_below(r, 2);
        for (int i = 0; i < e->n_kids; i++) e->kid[i] = make(r, depth - 1);
        return e;
    }
    e->op = ops[rng_below(r, sizeof ops / sizeof *ops)];
    e->field = (int)rng_below(r, FIELDS);
    bool list = e->op == NQL_IN || e->op == NQL_NOT_IN;
    e->n_values = e->op >= NQL_NULL ? 0 : e->op == NQL_BETWEEN ? 2 : list ? 1 + (int)rng_below(r, 3) : 1;
    for (int i = 0; i < e->n_values; i++) e->value[i] = rng_below(r, e->op == NQL_LIKE ? sizeof patterns / sizeof *patterns : POOL);
    return e;
}

static void drop(struct twig *e)
{
    for (int i = 0; i < e->n_kids; i++) drop(e->kid[i]);
    free(e);
}

static void print(const struct twig *e, int parent, struct buf *b)
{
    static const char *const words[] = {[NQL_EQ] = " = ", [NQL_NE] = "!=", [NQL_LT] = "<", [NQL_LE] = " <= ", [NQL_GT] = ">", [NQL_GE] = ">= ", [NQL_LIKE] = " like ", [NQL_BETWEEN] = " Between ",
                                        [NQL_IN] = " IN (", [NQL_NOT_IN] = " not in (", [NQL_NULL] = " IS NULL", [NQL_NOT_NULL] = " is not null", [NQL_EXISTS] = " exists"};
    int level = e->op == NQL_OR ? 1 : e->op == NQL_AND ? 2 : e->op == NQL_NOT ? 3 : 4;
    bool enclosed = level < parent || (parent == 3 && level == 3);
    if (enclosed) buf_add_byte(b, '(');
    if (e->op == NQL_NOT) buf_add_str(b, "NOT ");
    for (int i = 0; i < e->n_kids; i++) {
        if (i) buf_add_str(b, e->op == NQL_OR ? " OR " : " and ");
        print(e->kid[i], level, b);
    }
    if (level == 4) {
        buf_add_str(b, field_names[e->field]);
        buf_add_str(b, words[e->op]);
        for (int i = 0; i < e->n_values; i++) {
            if (i) buf_add_str(b, e->op == NQL_BETWEEN ? " AND " : ",");
            if (e->op == NQL_LIKE)
                json_quote(slice_str(patterns[e->value[i]]), b);
            else
                buf_add_str(b, pool[e->value[i]].json);
        }
        if (e->op == NQL_IN || e->op == NQL_NOT_IN) buf_add_byte(b, ')');
    }
    if (enclosed) buf_add_byte(b, ')');
}

static bool naive_like(const char *p, const char *s)
{
    if (!*p) return !*s;
    if (*p == '%') return naive_like(p + 1, s) || (*s && naive_like(p, s + 1));
    if (!*s) return false;
    if (*p != '_') return *p == *s && naive_like(p + 1, s + 1);
    for (s++; (*s & 0xc0) == 0x80; s++) continue;
    return naive_like(p + 1, s);
}

/* doc: index into the pool per field, -1 missing. */
static bool eval(const struct twig *e, const int *doc)
{
    if (e->op == NQL_NOT) return !eval(e->kid[0], doc);
    if (e->n_kids) {
        int yes = 0;
        for (int i = 0; i < e->n_kids; i++) yes += eval(e->kid[i], doc);
        return e->op == NQL_AND ? yes == e->n_kids : yes > 0;
    }
    int f = doc[e->field], rank = f < 0 ? -1 : pool[f].rank, v = e->n_values ? pool[e->value[0]].rank : 0, listed = 0;
    for (int i = 0; i < e->n_values && e->op != NQL_LIKE; i++) listed += pool[e->value[i]].rank == rank;
    if (e->op == NQL_NULL) return rank <= 0;
    if (rank < 0) return false;
    switch (e->op) {
    case NQL_EQ: return rank == v;
    case NQL_NE: return rank != v;
    case NQL_LT: return rank < v;
    case NQL_LE: return rank <= v;
    case NQL_GT: return rank > v;
    case NQL_GE: return rank >= v;
    case NQL_BETWEEN: return rank >= v && rank <= pool[e->value[1]].rank;
    case NQL_IN: return listed > 0;
    case NQL_NOT_IN: return listed == 0;
    case NQL_NOT_NULL: return rank > 0;
    case NQL_LIKE: return rank >= 13 && rank <= 20 && naive_like(patterns[e->value[0]], pattern_texts[rank - 13]);
    default: return true;
    }
}

static void make_doc(struct rng *r, int *doc, struct buf *json)
{
    static const char *const head[FIELDS] = {"\"a\":", "\"b\" : { \"z\":[1,\"}\"], \"c\":", "\"x\\u0020y\":", "\"d\":[\"[\","}, *const tail[FIELDS] = {"", "}", "", ", 3]"};
    buf_clear(json);
    buf_add_str(json, "{\"first\":{\"a\":1}");
    unsigned from = rng_below(r, FIELDS);
    for (unsigned k = 0; k < FIELDS; k++) {
        unsigned i = (from + k) % FIELDS;
        doc[i] = rng_below(r, 5) ? (int)rng_below(r, POOL) : -1;
        if (doc[i] >= 0) buf_printf(json, ", %s%s%s", head[i], pool[doc[i]].json, tail[i]);
        if (rng_below(r, 3) == 0) buf_printf(json, ",\"k%u\":\"\\\"a\\\":1\"", i);
    }
    buf_add_byte(json, '}');
    assert_int_equal(json_check(buf_slice(json), NULL, NULL), E_OK);
}

static bool is_within(const struct nql_bounds *b, slice v)
{
    if (b->kind == NQL_BOUNDS_ALL) return true;
    if (b->kind == NQL_BOUNDS_NONE) return false;
    if (b->kind == NQL_BOUNDS_POINTS) {
        for (size_t i = 0; i < b->n; i++)
            if (json_compare(b->points[i], v) == 0) return true;
        return false;
    }
    int lo = b->has_lo ? json_compare(v, b->lo) : 1, hi = b->has_hi ? json_compare(v, b->hi) : -1;
    return (b->lo_open ? lo > 0 : lo >= 0) && (b->hi_open ? hi < 0 : hi <= 0);
}

static void check_expression(struct rng *r, const struct twig *e, slice text, unsigned *tight)
{
    struct nql_query *q = where(text);
    struct buf json = {0};
    int doc[FIELDS];
    for (int round = 0; round < 12; round++) {
        make_doc(r, doc, &json);
        struct nql_row row = {.json = buf_slice(&json), .key = slice_str("c:1")};
        bool yes = nql_match(q, &row);
        if (yes != eval(e, doc)) fail_msg("%.*s\n over %.*s is %d", (int)text.n, (const char *)text.p, (int)json.n, (const char *)json.p, yes);
        for (int i = 0; i < FIELDS; i++) {
            int number = nql_path_number(q, slice_str(field_names[i]));
            if (number < 0) continue;
            struct nql_bounds b;
            nql_bounds(q, (uint32_t)number, &b);
            bool within = is_within(&b, slice_str(doc[i] < 0 ? "null" : pool[doc[i]].json));
            if (yes && !within) fail_msg("%.*s: bounds of %s miss %.*s", (int)text.n, (const char *)text.p, field_names[i], (int)json.n, (const char *)json.p);
            *tight += !within;
            nql_bounds_fini(&b);
        }
    }
    buf_fini(&json);
    nql_free(&q);
}

static void random_expressions(void **state)
{
    struct rng rng = {11};
    struct buf text = {0};
    unsigned tight = 0;
    for (int i = 0; i < 20000; i++) {
        struct twig *e = make(&rng, rng_below(&rng, 4));
        buf_clear(&text);
        print(e, 0, &text);
        check_expression(&rng, e, buf_slice(&text), &tight);
        drop(e);
    }
    assert_true(tight > 100000);
    buf_fini(&text);
}

/* ---- bounds ---- */

static void bounds_by_table(void **state)
{
    static const struct {
        const char *expr, *want;
    } cases[] = {
        {"a = 1", "{1}"}, {"a IN (2, 1, 1.0)", "{1,2}"}, {"a < 5", "..5)"}, {"a <= 5", "..5]"}, {"a > 5", "(5.."}, {"a >= 5 AND a < 9", "[5..9)"}, {"a BETWEEN 1 AND 2", "[1..2]"},
        {"a BETWEEN 2 AND 1", "none"}, {"a = 1 AND a = 2", "none"}, {"a = 1 OR a = 2", "{1,2}"}, {"a = 1 OR a > 5", "[1.."}, {"a = 1 OR b = 2", "all"}, {"a = 1 AND b = 2", "{1}"},
        {"NOT a = 1", "all"}, {"a != 1", "all"}, {"a EXISTS", "all"}, {"a IS NULL", "{null}"}, {"a IS NOT NULL", "(null.."}, {"a LIKE 'ab%'", "[\"ab\"..\"ac\")"}, {"a LIKE 'ab'", "{\"ab\"}"},
        {"a LIKE '%b'", "[\"\"..[])"}, {"a LIKE 'a_'", "[\"a\"..\"b\")"}, {"a LIKE '\\ud7ff\\uffff%'", "[\"\xed\x9f\xbf\xef\xbf\xbf\"..\"\xed\x9f\xbf\xf0\x90\x80\x80\")"},
        {"a LIKE '\xed\x9f\xbf%'", "[\"\xed\x9f\xbf\"..\"\xee\x80\x80\")"}, {"a LIKE 'x\\udbff\\udfff%'", "[\"x\xf4\x8f\xbf\xbf\"..\"y\")"}, {"a LIKE '\\udbff\\udfff%'", "[\"\xf4\x8f\xbf\xbf\"..[])"},
        {"a LIKE '\x7f%'", "[\"\x7f\"..\"\xc2\x80\")"}, {"a LIKE '\\u07ff%'", "[\"\xdf\xbf\"..\"\xe0\xa0\x80\")"}, {"a LIKE '50\\\\%%'", "[\"50%\"..\"50&\")"}, {"a >= 5 AND a <= 5", "{5}"},
        {"a > 5 AND a <= 5", "none"}, {"a IN (1,2,3,4) AND a > 2", "{3,4}"}, {"a IN (1,2) AND a IN (2,3)", "{2}"}, {"(a = 1 AND b = 1) OR (a = 3 AND b = 2)", "{1,3}"},
        {"a > 5 OR a < 3", "all"}, {"a > 5 OR a >= 3", "[3.."}, {"a < 5 OR a <= 5", "..5]"}, {"a = 1 OR a = 1 AND a = 2", "{1}"}, {"a CONTAINS 1", "all"}, {"b = 1", "all"},
    };
    struct buf got = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf text = {0};
        struct nql_bounds b;
        buf_printf(&text, "(%s) AND a IS NULL OR (%s)", "a = 1 AND a = 2", cases[i].expr); /* the first part is never true */
        struct nql_query *q = where(buf_slice(&text));
        nql_bounds(q, (uint32_t)nql_path_number(q, slice_str("a")), &b);
        buf_clear(&got);
        if (b.kind == NQL_BOUNDS_ALL) buf_add_str(&got, "all");
        if (b.kind == NQL_BOUNDS_NONE) buf_add_str(&got, "none");
        for (size_t k = 0; b.kind == NQL_BOUNDS_POINTS && k < b.n; k++) buf_printf(&got, "%s%.*s", k ? "," : "{", (int)b.points[k].n, (const char *)b.points[k].p);
        if (b.kind == NQL_BOUNDS_POINTS) buf_add_byte(&got, '}');
        if (b.kind == NQL_BOUNDS_RANGE)
            buf_printf(&got, "%s%.*s..%.*s%s", !b.has_lo ? "" : b.lo_open ? "(" : "[", (int)b.lo.n, (const char *)b.lo.p, (int)b.hi.n, (const char *)b.hi.p, !b.has_hi ? "" : b.hi_open ? ")" : "]");
        if (!slice_eq(buf_slice(&got), slice_str(cases[i].want))) fail_msg("%s: %.*s, not %s", cases[i].expr, (int)got.n, (const char *)got.p, cases[i].want);
        nql_bounds_fini(&b);
        nql_free(&q);
        buf_fini(&text);
    }
    buf_fini(&got);
}

/* ---- order and fields ---- */

static int sign(int c) { return (c > 0) - (c < 0); }

static void sort_keys_order_rows(void **state)
{
    static const char *const orders[] = {"FROM c ORDER BY a", "FROM c ORDER BY a DESC, b.c", "FROM c ORDER BY b.c, a DESC, d[1] DESC", "FROM c", "FROM c ORDER BY _ver DESC, _id", "FROM c ORDER BY _by DESC, a",
                                         "FROM c ORDER BY _hash, _seq DESC"};
    static const char *const keys[] = {"c:1", "c:2", "c:", "c:1\x01", "c:\xff", "d"}, *const users[] = {"", "a", "ab", "\xff"};
    struct rng rng = {5};
    struct buf json[2] = {{0}, {0}}, key[2] = {{0}, {0}};
    uint8_t hash[2][HASH_BYTES] = {{0}};
    for (int i = 0; i < 30000; i++) {
        struct nql_query *q = query(orders[rng_below(&rng, sizeof orders / sizeof *orders)]);
        struct nql_row row[2] = {{{0}}};
        int doc[2][FIELDS], want = 0;
        for (int k = 0; k < 2; k++) {
            make_doc(&rng, doc[k], &json[k]);
            hash[k][0] = (uint8_t)rng_below(&rng, 2), hash[k][31] = (uint8_t)rng_below(&rng, 3);
            row[k] = (struct nql_row){.json = buf_slice(&json[k]), .key = slice_str(keys[rng_below(&rng, 6)]), .seq = rng_below(&rng, 300), .ver = rng_below(&rng, 2),
                                      .hash = rng_below(&rng, 4) ? hash[k] : NULL};
            if (rng_below(&rng, 3)) row[k].by = slice_str(users[rng_below(&rng, 4)]);
            buf_clear(&key[k]);
            nql_sort_key(q, &row[k], &key[k]);
        }
        int got = nql_compare_rows(q, &row[0], &row[1]);
        assert_int_equal(sign(got), sign(slice_cmp(buf_slice(&key[0]), buf_slice(&key[1]))));
        assert_int_equal(sign(got), -sign(nql_compare_rows(q, &row[1], &row[0])));
        if (q->n_order && q->path[q->order[0].path].kind == NQL_DOC) {
            int f = slice_eq(q->path[q->order[0].path].text, slice_str("a")) ? 0 : 1;
            int x = doc[0][f] < 0 ? 0 : pool[doc[0][f]].rank, y = doc[1][f] < 0 ? 0 : pool[doc[1][f]].rank;
            want = (x > y) - (x < y);
            if (q->order[0].descending) want = -want;
            if (want) assert_int_equal(sign(got), want);
        }
        if (q->n_order == 0) assert_int_equal(sign(got), sign(slice_cmp(row[0].key, row[1].key)));
        nql_free(&q);
    }
    for (int k = 0; k < 2; k++) buf_fini(&json[k]), buf_fini(&key[k]);
}

static void fields(void **state)
{
    uint8_t hash[HASH_BYTES] = {0x0f};
    struct nql_row row = {.json = slice_str("{\"a\":{\"b\":[1, 2]},\"x\":\"\\u0041\",\"count\":null,\"_id\":5}"), .key = slice_str("c:k\xff"), .seq = 9, .hash = hash};
    struct nql_query *q = query("FROM c FIELDS $.a.b, x, none, $.count, _id, $._id, _seq, _by, a[\"b\"][0], _hash");
    struct buf out = {0};
    nql_project(q, &row, &out);
    assert_int_equal(json_check(buf_slice(&out), NULL, NULL), E_OK);
    buf_add_byte(&out, 0);
    assert_string_equal((char *)out.p, "{\"a.b\":[1, 2],\"x\":\"\\u0041\",\"$.count\":null,\"_id\":\"k\xef\xbf\xbd\",\"$._id\":5,\"_seq\":9,\"a[\\\"b\\\"][0]\":1,"
                                       "\"_hash\":\"0f00000000000000000000000000000000000000000000000000000000000000\"}");
    buf_clear(&out);
    assert_true(nql_value_json(q, &row, q->fields[3], &out));
    assert_true(slice_eq(buf_slice(&out), slice_str("null")));
    assert_false(nql_value_json(q, &row, q->fields[2], &out));
    assert_int_equal(out.n, 4);
    nql_free(&q);
    q = query("FROM c FIELDS none");
    buf_clear(&out);
    nql_project(q, &row, &out);
    assert_true(slice_eq(buf_slice(&out), slice_str("{}")));
    nql_free(&q);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons),     cmocka_unit_test(types_stand_in_one_order), cmocka_unit_test(missing_fields), cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(like),            cmocka_unit_test(contains),                 cmocka_unit_test(precedence),     cmocka_unit_test(pseudo_paths),
        cmocka_unit_test(bounds_by_table), cmocka_unit_test(random_expressions),       cmocka_unit_test(sort_keys_order_rows),
        cmocka_unit_test(fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
