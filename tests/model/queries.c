/* Queries against brute force: the rule is that a query gives the same rows in the same order whatever indexes there are, now and at any readable point.
 *
 * Rounds of random writes (documents, deletions, expiries, valid time, links, flushes). Then random queries at random points, each asked three ways: without
 * any index; with random indexes in one page; with random indexes in small pages, while documents are written and indexes come and go between them. All
 * must give the rows that this program selects and sorts itself from what DGET … ASOF says about every key.
 *
 *   queries [--rounds N] [--seed S] [--resp 2|3]      prints the seed first, so that a failure can be repeated */
#include "base/json.h"
#include "base/mem.h"
#include "base/words.h"
#include "tests/support/server.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS        40
#define POINTS      300
#define QUERIES     24
#define OPS         60
#define TERMS_MAX   6
#define TEXT_MAX    2000

static const char *const paths[] = {"a", "b", "n.x", "t", "l[0]", "_key", "_id"};
#define N_PATHS (sizeof paths / sizeof *paths)
static const char *const values[] = {"0",      "1",     "2",      "1.0",    "-1",   "3e0",  "9007199254740993", "9007199254740992", "\"\"",  "\"x\"", "\"xy\"",
                                     "\"xyz\"", "\"c:7\"", "\"12\"", "true", "false", "null", "[1,2]", "[1]", "{\"k\":1}", "\"\\u00e4\"", "2.5"};
#define N_VALUES (sizeof values / sizeof *values)
static const char *const words[] = {"red", "Red fox", "fo*", "blue", "x", "none", "b* red"};
#define N_WORDS (sizeof words / sizeof *words)
/* path, kind */
static const char *const indexes[][2] = {{"a", "ORDERED"}, {"b", "ORDERED"}, {"n.x", "ORDERED"}, {"t", "TEXT"}, {"$", "TEXT"}, {"l[0]", "ORDERED"}};
#define N_INDEXES (sizeof indexes / sizeof *indexes)

static uint64_t rng;
static struct server server;
static redisContext *r;
static long long points[POINTS];
static size_t n_points;
static unsigned long checks, asked;
static char query_text[2 * TEXT_MAX];
static bool no_scan;           /* ask with NOSCAN; a refusal is asked again without */
static int scan_max;           /* query-max-scan; likewise. A scan may give way to an index while it runs */
static unsigned long by_index; /* pages that were answered so */

static uint64_t rnd(uint64_t below)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return below ? rng % below : 0;
}

_Noreturn static void fail(const char *what, const char *want, const char *got)
{
    fprintf(stderr, "%s\n  query    %s\n  expected %s\n  got      %s\n", what, query_text, want, got);
    server_log_tail(&server);
    printf("queries: %lu passed, 1 failed\n", checks);
    server_remove(&server);
    exit(1);
}

/* ---- writes ---- */

static long long head_seq(void)
{
    redisReply *v = ask(r, "DHEAD");
    long long n = map_get(v, "size")->integer;
    freeReplyObject(v);
    return n;
}

static void random_key(char key[32])
{
    snprintf(key, 32, rnd(12) ? "c:%d" : "cc:%d", (int)rnd(KEYS));
}

static void random_json(char *out, size_t max)
{
    static const char *const text[] = {"red fox", "blue", "Red", "foxes jump", "x y", ""};
    size_t n = 0;
    if (rnd(30) == 0) {
        snprintf(out, max, "%s", values[rnd(N_VALUES)]);
        return;
    }
    n += (size_t)snprintf(out + n, max - n, "{\"z\":%d", (int)rnd(3));
    if (rnd(6)) n += (size_t)snprintf(out + n, max - n, ",\"a\":%s", values[rnd(rnd(2) ? 5 : N_VALUES)]);
    if (rnd(3)) n += (size_t)snprintf(out + n, max - n, ",\"b\":%s", values[rnd(N_VALUES)]);
    if (rnd(3)) n += (size_t)snprintf(out + n, max - n, ",\"n\":{\"x\":%s}", values[rnd(N_VALUES)]);
    if (rnd(2)) n += (size_t)snprintf(out + n, max - n, ",\"t\":\"%s\"", text[rnd(6)]);
    if (rnd(4) == 0) n += (size_t)snprintf(out + n, max - n, ",\"l\":[%s,\"%s\"]", values[rnd(N_VALUES)], text[rnd(6)]);
    snprintf(out + n, max - n, "}");
}

static void say(redisReply *v)
{
    if (v->type == REDIS_REPLY_ERROR && strncmp(v->str, "NOKEY", 5) != 0 && strncmp(v->str, "NOCAUSE", 7) != 0) fail("a write is refused", "no error", v->str);
    freeReplyObject(v);
}

static void random_write(void)
{
    char key[32], other[32], json[512];
    random_key(key);
    random_json(json, sizeof json);
    snprintf(other, sizeof other, "c:%d", (int)rnd(KEYS));
    switch (rnd(20)) {
    case 0: case 1: say(ask(r, "DDEL %s", key)); break;
    case 2: say(ask(r, "DPUT %s %s PX 1", key, json)); break;
    case 3: say(ask(r, "DPUT %s %s EX 10000", key, json)); break;
    case 4: case 5: say(ask(r, "DPUT %s %s VALID %d %d", key, json, (int)rnd(50), (int)(50 + rnd(50)))); break;
    case 6: say(ask(r, "DDEL %s VALID %d %d", key, (int)rnd(50), (int)(50 + rnd(50)))); break;
    case 7: case 8: case 9: say(ask(r, "DLINK c:%d %s %s", (int)rnd(KEYS), rnd(3) ? "to" : "of", other)); break;
    case 10: say(ask(r, "DUNLINK c:%d to %s", (int)rnd(KEYS), other)); break;
    case 11: if (rnd(30) == 0) say(ask(r, "FLUSHDB")); break;
    case 12: say(ask(r, "PEXPIRE %s 5000000", key)); break;
    case 13: say(ask(r, "SET %s text", key)), say(ask(r, "DEL %s", key)); break;
    case 14: case 15: say(ask(r, "DPUT %s %s CAUSEDBY 1 seq:%lld", key, json, 1 + (long long)rnd((uint64_t)head_seq()))); break;
    default: say(ask(r, "DPUT %s %s", key, json));
    }
}

static void note_point(void)
{
    long long seq = head_seq();
    points[n_points < POINTS ? n_points++ : rnd(POINTS)] = seq;
}

static void change_index(bool create)
{
    size_t i = rnd(N_INDEXES);
    if (create) {
        say(ask(r, "DINDEX CREATE c %s %s", indexes[i][0], indexes[i][1]));
        if (rnd(4)) ask_int(r, "DINDEX WAIT c %s 10000", indexes[i][0]);
    } else {
        ask_int(r, "DINDEX DROP c %s", indexes[i][0]);
    }
}

/* ---- the rows that stand at a point, by DGET ---- */

struct row {
    char key[32];
    char *json;
    int links[KEYS]; /* numbers of the keys that `to` leads to, -1 ends */
};
static struct row rows[KEYS];
static size_t n_rows;

static void load_rows(long long at, int valid)
{
    for (size_t i = 0; i < n_rows; i++) free(rows[i].json);
    n_rows = 0;
    for (int k = 0; k < KEYS; k++) {
        char key[32];
        snprintf(key, sizeof key, "c:%d", k);
        char point[32] = "head";
        if (at >= 0) snprintf(point, sizeof point, "%lld", at);
        redisReply *v = valid < 0 ? ask(r, "DGET %s ASOF %s", key, point) : ask(r, "DGET %s ASOF %s VALIDAT %d", key, point, valid);
        if (v->type == REDIS_REPLY_ERROR) fail("DGET", "a document", v->str);
        if (v->str) {
            snprintf(rows[n_rows].key, 32, "%s", key);
            rows[n_rows++].json = strdup(v->str);
        }
        freeReplyObject(v);
    }
}

/* ---- queries ---- */

enum op { EQ, NE, LT, LE, GT, GE, IN, NOT_IN, BETWEEN, IS_NULL, NOT_NULL, EXISTS, LIKE, CONTAINS, OPS_N };
struct term {
    enum op op;
    int path, value[3];
    bool negated;
};
struct query {
    struct term term[TERMS_MAX]; /* groups of ANDs joined by OR */
    int n_terms, ends[TERMS_MAX]; /* ends[i]: the i-th term is the last of its group */
    long long at;       /* -1: now */
    int valid;          /* -1: no VALID AS OF */
    int word, word_path; /* -1 */
    int order[2];       /* path numbers, -1 */
    bool descending[2];
    long long limit, offset; /* limit 0: none */
    bool traverse, reverse, grouped, trace;
    int depth;
};

static void random_query(struct query *q)
{
    memset(q, 0, sizeof *q);
    q->at = points[rnd(n_points)];
    q->valid = rnd(6) ? -1 : (int)rnd(110);
    q->n_terms = rnd(6) ? 1 + (int)rnd(rnd(2) ? 1 : 4) : 0;
    for (int i = 0; i < q->n_terms; i++) {
        struct term *t = &q->term[i];
        t->op = (enum op)rnd(OPS_N);
        t->path = (int)rnd(rnd(4) ? 5 : N_PATHS);
        for (int k = 0; k < 3; k++) t->value[k] = (int)rnd(N_VALUES);
        t->negated = rnd(8) == 0;
        q->ends[i] = rnd(3) == 0;
    }
    q->word = rnd(5) ? -1 : (int)rnd(N_WORDS);
    q->word_path = rnd(2) ? -1 : 3;
    q->order[0] = rnd(2) ? (int)rnd(N_PATHS) : -1;
    q->order[1] = q->order[0] >= 0 && rnd(4) == 0 ? (int)rnd(N_PATHS) : -1;
    if (q->order[0] >= 0 && q->order[1] == q->order[0]) q->order[1] = -1;
    for (int i = 0; i < 2; i++) q->descending[i] = rnd(2);
    q->limit = rnd(3) ? 0 : 1 + (long long)rnd(12);
    q->offset = q->limit && rnd(2) ? (long long)rnd(8) : 0;
    q->traverse = rnd(8) == 0;
    q->reverse = rnd(2);
    q->depth = 1 + (int)rnd(3);
    q->trace = !q->traverse && rnd(10) == 0;
    q->grouped = !q->traverse && rnd(10) == 0;
    if (q->grouped) q->order[0] = q->order[1] = -1;
}

/* A value that LIKE and CONTAINS take. */
static const char *like_of(const struct term *t)
{
    static const char *const patterns[] = {"\"x%\"", "\"%y%\"", "\"xy\"", "\"c:1%\"", "\"1%\"", "\"%\"", "\"_y\""};
    return patterns[t->value[0] % 7];
}

static size_t add_term(char *out, size_t max, const struct term *t)
{
    static const char *const signs[] = {"=", "!=", "<", "<=", ">", ">="};
    const char *p = paths[t->path], *v[3];
    for (int i = 0; i < 3; i++) v[i] = values[t->value[i]];
    switch (t->op) {
    case IN: return (size_t)snprintf(out, max, "%s IN (%s, %s, %s)", p, v[0], v[1], v[2]);
    case NOT_IN: return (size_t)snprintf(out, max, "%s NOT IN (%s, %s)", p, v[0], v[1]);
    case BETWEEN: return (size_t)snprintf(out, max, "%s BETWEEN %s AND %s", p, v[0], v[1]);
    case IS_NULL: return (size_t)snprintf(out, max, "%s IS NULL", p);
    case NOT_NULL: return (size_t)snprintf(out, max, "%s IS NOT NULL", p);
    case EXISTS: return (size_t)snprintf(out, max, "%s EXISTS", p);
    case LIKE: return (size_t)snprintf(out, max, "%s LIKE %s", p, like_of(t));
    case CONTAINS: return (size_t)snprintf(out, max, "%s CONTAINS %s", p, v[0]);
    default: return (size_t)snprintf(out, max, "%s %s %s", p, signs[t->op], v[0]);
    }
}

/* Parameters $v0, $v1 … stand for values that NQL has no words for (arrays, objects). */
static bool has_container(const struct query *q)
{
    for (int i = 0; i < q->n_terms; i++)
        for (int k = 0; k < 3; k++)
            if (values[q->term[i].value[k]][0] == '[' || values[q->term[i].value[k]][0] == '{') return true;
    return false;
}

static size_t add_where(const struct query *q, char *out, size_t max)
{
    size_t n = 0;
    for (int i = 0; i < q->n_terms; i++) {
        const struct term *t = &q->term[i];
        n += (size_t)snprintf(out + n, max - n, "%s%s", i == 0 ? "" : q->ends[i - 1] ? " OR " : " AND ", t->negated ? "NOT (" : "");
        n += add_term(out + n, max - n, t);
        if (t->negated) n += (size_t)snprintf(out + n, max - n, ")");
    }
    return n;
}

static void write_query(const struct query *q)
{
    char *out = query_text;
    size_t max = sizeof query_text, n = (size_t)snprintf(out, max, "FROM c");
    if (q->at >= 0) n += (size_t)snprintf(out + n, max - n, " AS OF %lld", q->at);
    if (q->valid >= 0) n += (size_t)snprintf(out + n, max - n, " VALID AS OF \"%d\"", q->valid);
    if (q->n_terms) {
        n += (size_t)snprintf(out + n, max - n, " WHERE ");
        n += add_where(q, out + n, max - n);
    }
    if (q->word >= 0) n += (size_t)snprintf(out + n, max - n, " SEARCH \"%s\"%s", words[q->word], q->word_path >= 0 ? " IN t" : "");
    if (q->traverse) n += (size_t)snprintf(out + n, max - n, " TRAVERSE to%s DEPTH %d", q->reverse ? " REVERSE" : "", q->depth);
    if (q->trace) n += (size_t)snprintf(out + n, max - n, " TRACE caused_by%s DEPTH %d", q->reverse ? " REVERSE" : "", q->depth);
    if (q->grouped) n += (size_t)snprintf(out + n, max - n, " GROUP BY a, z COUNT MIN b MAX n.x SUM z");
    for (int i = 0; i < 2; i++)
        if (q->order[i] >= 0) n += (size_t)snprintf(out + n, max - n, "%s %s %s", i ? "," : " ORDER BY", paths[q->order[i]], q->descending[i] ? "DESC" : "ASC");
    if (q->limit) n += (size_t)snprintf(out + n, max - n, " LIMIT %lld", q->limit);
    if (q->offset) snprintf(out + n, max - n, " OFFSET %lld", q->offset);
}

/* ---- brute force ---- */

/* The value at a path; n 0: missing. Pseudo paths into *mem. */
static slice value_at(const struct row *row, int path, struct buf *mem)
{
    struct json_path p;
    slice value;
    buf_clear(mem);
    if (paths[path][0] == '_') {
        json_quote(slice_str(path == 5 ? row->key : row->key + 2), mem);
        return buf_slice(mem);
    }
    if (json_path_parse(slice_str(paths[path]), &p) != E_OK) abort();
    return json_find(slice_str(row->json), &p, &value) == E_OK ? value : (slice){0};
}

static bool like(const char *p, const char *s)
{
    if (*p == 0) return *s == 0;
    if (*p == '%') return like(p + 1, s) || (*s && like(p, s + 1));
    return *s && (*p == '_' || *p == *s) && like(p + 1, s + 1);
}

static bool test_like(const struct term *t, slice v)
{
    char pattern[64], text[256];
    struct buf b = {0};
    if (json_type_of(v) != JSON_STRING) return false;
    snprintf(pattern, sizeof pattern, "%.*s", (int)strlen(like_of(t)) - 2, like_of(t) + 1);
    json_unescape(v, &b);
    snprintf(text, sizeof text, "%.*s", (int)b.n, (const char *)b.p);
    buf_fini(&b);
    if (strcmp(pattern, "_y") == 0 && (text[0] & 0x80)) return strcmp(text + 2, "y") == 0;
    return like(pattern, text);
}

static bool test_contains(slice want, slice v)
{
    struct buf a = {0}, b = {0};
    slice name, element;
    size_t at = 0;
    bool yes = false;
    enum json_type type = json_type_of(v);
    json_unescape(want, &b);
    if (type == JSON_ARRAY) {
        while (!yes && json_next(v, &at, &name, &element) == E_OK) yes = json_compare(element, want) == 0;
    } else if (json_type_of(want) == JSON_STRING && type == JSON_OBJECT) {
        while (!yes && json_next(v, &at, &name, &element) == E_OK) yes = slice_eq(name, buf_slice(&b));
    } else if (json_type_of(want) == JSON_STRING && type == JSON_STRING) {
        json_unescape(v, &a);
        yes = b.n == 0 || (a.n && memmem(a.p, a.n, b.p, b.n));
    }
    buf_fini(&a);
    buf_fini(&b);
    return yes;
}

static bool test(const struct term *t, slice v)
{
    int order[3] = {0};
    if (t->op == IS_NULL) return v.n == 0 || json_type_of(v) == JSON_NULL;
    if (v.n == 0) return false;
    for (int i = 0; i < 3; i++) order[i] = json_compare(v, slice_str(values[t->value[i]]));
    switch (t->op) {
    case EQ: return order[0] == 0;
    case NE: return order[0] != 0;
    case LT: return order[0] < 0;
    case LE: return order[0] <= 0;
    case GT: return order[0] > 0;
    case GE: return order[0] >= 0;
    case IN: return order[0] == 0 || order[1] == 0 || order[2] == 0;
    case NOT_IN: return order[0] != 0 && order[1] != 0;
    case BETWEEN: return order[0] >= 0 && order[1] <= 0;
    case NOT_NULL: return json_type_of(v) != JSON_NULL;
    case EXISTS: return true;
    case LIKE: return test_like(t, v);
    case CONTAINS: return test_contains(slice_str(values[t->value[0]]), v);
    default: abort();
    }
}

static bool selected(const struct query *q, const struct row *row)
{
    struct buf mem = {0};
    bool group = true, any = q->n_terms == 0;
    for (int i = 0; i < q->n_terms; i++) {
        group = group && test(&q->term[i], value_at(row, q->term[i].path, &mem)) != q->term[i].negated;
        if (q->ends[i] || i == q->n_terms - 1) any = any || group, group = true;
    }
    if (any && q->word >= 0) {
        slice v = q->word_path >= 0 ? value_at(row, q->word_path, &mem) : slice_str(row->json);
        any = v.n && words_match(v, slice_str(words[q->word]));
    }
    buf_fini(&mem);
    return any;
}

static const struct query *sorting;

static int by_order(const void *x, const void *y)
{
    const struct row *a = *(const struct row *const *)x, *b = *(const struct row *const *)y;
    struct buf ma = {0}, mb = {0};
    int c = 0;
    for (int i = 0; i < 2 && c == 0; i++) {
        if (sorting->order[i] < 0) continue;
        slice va = value_at(a, sorting->order[i], &ma), vb = value_at(b, sorting->order[i], &mb);
        c = json_compare(va.n ? va : slice_str("null"), vb.n ? vb : slice_str("null"));
        if (sorting->descending[i]) c = -c;
    }
    buf_fini(&ma);
    buf_fini(&mb);
    return c ? c : strcmp(a->key, b->key);
}

/* Marks what is reached from the marked ones, hop by hop. */
static void traverse(const struct query *q, bool *marked)
{
    bool start[KEYS] = {false}, reached[KEYS] = {false}, frontier[KEYS] = {false};
    for (size_t i = 0; i < n_rows; i++)
        if (marked[i]) start[atoi(rows[i].key + 2)] = frontier[atoi(rows[i].key + 2)] = true;
    char point[32] = "head";
    if (q->at >= 0) snprintf(point, sizeof point, "%lld", q->at);
    for (int d = 0; d < q->depth; d++) {
        bool next[KEYS] = {false};
        for (int k = 0; k < KEYS; k++) {
            if (!frontier[k]) continue;
            redisReply *v = ask(r, "DLINKS c:%d %s REL 1 to ASOF %s COUNT 1000", k, q->reverse ? "IN" : "OUT", point);
            redisReply *list = v->element[1];
            for (size_t i = 0; i < list->elements; i++) {
                const char *other = map_get(list->element[i], q->reverse ? "from" : "to")->str;
                int o = atoi(other + 2);
                if (!reached[o] && !start[o]) next[o] = true;
                reached[o] = true;
            }
            freeReplyObject(v);
        }
        memcpy(frontier, next, sizeof frontier);
    }
    for (size_t i = 0; i < n_rows; i++) marked[i] = reached[atoi(rows[i].key + 2)];
}

static void brute(const struct query *q, struct buf *out)
{
    const struct row *list[KEYS];
    bool marked[KEYS] = {false};
    size_t n = 0;
    buf_clear(out);
    for (size_t i = 0; i < n_rows; i++) marked[i] = selected(q, &rows[i]);
    if (q->traverse) traverse(q, marked);
    for (size_t i = 0; i < n_rows; i++)
        if (marked[i]) list[n++] = &rows[i];
    sorting = q;
    qsort(list, n, sizeof *list, by_order);
    for (size_t i = (size_t)q->offset; i < n && (!q->limit || i < (size_t)(q->offset + q->limit)); i++)
        buf_printf(out, "%s %s\n", list[i]->key, list[i]->json);
    buf_add_byte(out, 0);
}

/* ---- asking ---- */

static void add_reply(const redisReply *v, struct buf *out)
{
    if (v->type == REDIS_REPLY_ARRAY) {
        for (size_t i = 0; i < v->elements; i++) {
            add_reply(v->element[i], out);
            buf_add_byte(out, i + 1 < v->elements ? ' ' : '\n');
        }
        return;
    }
    buf_printf(out, "%s", v->str ? v->str : "(nil)");
}

static void limit_scans(int max)
{
    say(ask(r, "CONFIG SET query-max-scan %d", max));
}

/* One page; the cursor for the next into `cursor`, empty at the end. */
static void page(int count, char *cursor, size_t max, struct buf *out)
{
    const char *at = cursor[0] ? cursor : "0";
    redisReply *v = no_scan ? ask(r, "DQUERY %s COUNT %d CURSOR %s NOSCAN", query_text, count, at) : ask(r, "DQUERY %s COUNT %d CURSOR %s", query_text, count, at);
    asked++;
    if (v->type == REDIS_REPLY_ERROR && strncmp(v->str, "NOINDEX", 7) == 0) {
        freeReplyObject(v);
        limit_scans(0);
        v = ask(r, "DQUERY %s COUNT %d CURSOR %s", query_text, count, at);
        limit_scans(scan_max);
    } else {
        by_index += no_scan;
    }
    if (v->type == REDIS_REPLY_ERROR) fail("DQUERY", "rows", v->str);
    const redisReply *list = map_get(v, "rows"), *next = map_get(v, "cursor");
    if ((int)list->elements > count) fail("DQUERY", "a page", "more than COUNT rows");
    for (size_t i = 0; i < list->elements; i++) {
        struct buf one = {0};
        add_reply(list->element[i], &one);
        buf_add(out, one.p, one.n);
        buf_fini(&one);
    }
    snprintf(cursor, max, "%s", next->str ? next->str : "");
    freeReplyObject(v);
}

static void all_rows(int count, bool restless, struct buf *out)
{
    char cursor[2000] = "";
    buf_clear(out);
    for (int pages = 0;; pages++) {
        page(count, cursor, sizeof cursor, out);
        if (!cursor[0]) break;
        if (pages > 1000) fail("DQUERY", "an end", "pages without end");
        if (restless && rnd(3) == 0) random_write();
        if (restless && rnd(6) == 0) change_index(rnd(2));
        if (restless && rnd(6) == 0) count = 1 + (int)rnd(9);
    }
    buf_add_byte(out, 0);
}

static void same(const char *what, const struct buf *want, const struct buf *got)
{
    checks++;
    if (want->n != got->n || memcmp(want->p, got->p, want->n) != 0) {
        redisReply *v = ask(r, "DQUERY %s EXPLAIN", query_text);
        struct buf again = {0};
        char cursor[2000] = "";
        add_reply(v, &again);
        buf_add_str(&again, "\n");
        page(100000, cursor, sizeof cursor, &again);
        buf_add_byte(&again, 0);
        fprintf(stderr, "now: %s\n", (char *)again.p);
        all_rows(1, false, &again);
        fprintf(stderr, "now, row by row: %s\n", (char *)again.p);
        fail(what, (char *)want->p, (char *)got->p);
    }
}

static void check_count(const struct query *q, const struct buf *want)
{
    char where[TEXT_MAX];
    long long n = 0;
    if (q->valid >= 0 || q->word >= 0 || q->traverse || q->trace || q->grouped || q->limit) return;
    for (size_t i = 0; i < want->n; i++) n += want->p[i] == '\n';
    where[add_where(q, where, sizeof where)] = 0;
    char point[32] = "head";
    if (q->at >= 0) snprintf(point, sizeof point, "%lld", q->at);
    redisReply *v = q->n_terms ? ask(r, "DCOUNT c WHERE %s ASOF %s", where, point) : ask(r, "DCOUNT c ASOF %s", point);
    checks++;
    if (v->type != REDIS_REPLY_INTEGER || v->integer != n) {
        char w[32], g[32];
        snprintf(w, sizeof w, "%lld", n);
        snprintf(g, sizeof g, "%lld", v->integer);
        fail("DCOUNT", w, v->str ? v->str : g);
    }
    freeReplyObject(v);
}

static long long server_ms(void)
{
    redisReply *v = ask(r, "TIME");
    long long ms = strtoll(v->element[0]->str, NULL, 10) * 1000 + strtoll(v->element[1]->str, NULL, 10) / 1000;
    freeReplyObject(v);
    return ms;
}

/* Links: in one page, in pages, by from and by to. */
static void links_too(void)
{
    struct buf want = {0}, got = {0};
    static const char *const conditions[] = {"", " WHERE _from = \"c:%d\"", " WHERE _to = \"c:%d\"", " WHERE _rel = \"of\" AND _from >= \"c:%d\"", " ORDER BY _to, _rel DESC"};
    for (size_t i = 0; i < 5; i++) {
        char condition[100];
        snprintf(condition, sizeof condition, conditions[i], (int)rnd(KEYS));
        snprintf(query_text, sizeof query_text, "FROM __links__ AS OF %lld%s", points[rnd(n_points)], condition);
        all_rows(100000, false, &want);
        all_rows(1 + (int)rnd(5), true, &got);
        same("links in pages", &want, &got);
    }
    buf_fini(&want);
    buf_fini(&got);
}

/* Queries of the present. Nothing is written meanwhile, and what was to expire soon has expired. */
static void now_too(void)
{
    struct query q;
    struct buf want = {0}, got = {0};
    long long until = server_ms() + 3;
    while (server_ms() < until) continue;
    for (int i = 0; i < QUERIES / 4; i++) {
        do random_query(&q);
        while (has_container(&q) || q.grouped || q.trace);
        q.at = -1;
        write_query(&q);
        load_rows(q.at, q.valid);
        brute(&q, &want);
        all_rows(100000, false, &got);
        same("brute force and the present", &want, &got);
        all_rows(1 + (int)rnd(5), false, &got);
        same("brute force and the present in pages", &want, &got);
        check_count(&q, &want);
    }
    buf_fini(&want);
    buf_fini(&got);
}

static void one_round(void)
{
    static struct query q[QUERIES];
    static struct buf want[QUERIES];
    struct buf got = {0};
    for (int i = 0; i < OPS; i++) {
        random_write();
        if (rnd(4) == 0) note_point();
    }
    note_point();
    for (size_t i = 0; i < N_INDEXES; i++) ask_int(r, "DINDEX DROP c %s", indexes[i][0]);
    for (int i = 0; i < QUERIES; i++) {
        do random_query(&q[i]);
        while (has_container(&q[i]));
        write_query(&q[i]);
        all_rows(100000, false, &want[i]);
        if (q[i].grouped || q[i].trace) continue;
        load_rows(q[i].at, q[i].valid);
        brute(&q[i], &got);
        same("brute force and a scan differ", &got, &want[i]);
        check_count(&q[i], &want[i]);
    }
    for (int i = 0; i < 5; i++) change_index(true);
    now_too();
    for (int i = 0; i < QUERIES; i++) {
        write_query(&q[i]);
        all_rows(100000, false, &got);
        same("with and without indexes", &want[i], &got);
        no_scan = true;
        all_rows(100000, false, &got);
        same("by index only", &want[i], &got);
        no_scan = false;
        check_count(&q[i], &want[i]);
        if (rnd(4) == 0) change_index(rnd(2));
    }
    for (int i = 0; i < QUERIES; i++) {
        write_query(&q[i]);
        no_scan = rnd(3) == 0;
        limit_scans(scan_max = rnd(3) == 0 ? 1 + (int)rnd(20) : 0);
        all_rows(1 + (int)rnd(7), true, &got);
        no_scan = false;
        limit_scans(scan_max = 0);
        same("in pages, while everything changes", &want[i], &got);
    }
    links_too();
    buf_fini(&got);
}

int main(int argc, char **argv)
{
    unsigned long rounds = 6, seed = 1;
    int resp = 2;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--rounds") == 0) rounds = strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seed") == 0) seed = strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--resp") == 0) resp = atoi(argv[i + 1]);
    }
    rng = seed * 0x9e3779b97f4a7c15ull + 7;
    printf("queries: seed %lu, RESP%d\n", seed, resp);
    fflush(stdout);
    server_start(&server, NULL, NULL);
    r = server_connect(&server, resp);
    for (unsigned long i = 0; i < rounds; i++) {
        one_round();
        if (i % 3 == 2) {
            redisFree(r);
            server_stop(&server);
            server_again(&server);
            r = server_connect(&server, resp);
        }
    }
    redisFree(r);
    server_stop(&server);
    if (by_index < rounds * QUERIES / 6) fail("indexes are hardly used", "many pages", "few");
    server_remove(&server);
    printf("queries: %lu passed, 0 failed (%lu pages asked, %lu of them by an index for certain)\n", checks, asked, by_index);
    return 0;
}
