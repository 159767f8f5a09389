/* Candidates: each plan's are the rows that match and perhaps some more, once each; behind every position the rest; none of an index that has gone. */
#include "unit/modules/query_bed.h"

#define DOCS 150

static void load(struct bed *b)
{
    struct buf commands = {0};
    unsigned n = 0;
    for (unsigned i = 0; i < DOCS; i++, n++)
        buf_printf(&commands, "DPUT s:%03u '{\"a\":%u,\"b\":%u,\"t\":\"one %s\"}'\r\n", i, i % 7, i * 31 % DOCS,
                   i % 5 ? "two" : "three");
    for (unsigned i = 0; i < DOCS; i += 9, n++) buf_printf(&commands, "DDEL s:%03u\r\n", i);
    for (unsigned i = 1; i < DOCS; i += 13, n++) buf_printf(&commands, "DPUT s:%03u '{\"a\":3,\"b\":-%u}'\r\n", i, i);
    buf_add_str(&commands, "DPUT s2:1 '{\"a\":3}'\r\nDPUT s 1\r\nDPUT s:x:y '{\"a\":3,\"b\":77}'\r\n");
    say_all(b, &commands, n + 3);
    for (unsigned i = 10; i < DOCS; i++)
        if (i % 9 && i % 3 == 0) say(b, "DLINK s:%03u r%u s:010", i, i % 2);
    say(b, "DINDEX CREATE s a");
    say(b, "DINDEX CREATE s b");
    say(b, "DINDEX CREATE s t TEXT");
    say(b, "DINDEX WAIT s a 0"), say(b, "DINDEX WAIT s b 0"), say(b, "DINDEX WAIT s t 0");
    buf_fini(&commands);
}

/* All names from the source, each followed by its length before it; those that match only, when asked. Code of the end. */
static int drain(struct prepared *p, bool matching, struct rows *out)
{
    slice name;
    int err;
    while ((err = query_source_next(&p->c, &p->q, &name)) == E_OK || err == E_AGAIN) {
        if (err == E_AGAIN) continue;
        struct buf copy = {0};
        buf_add_slice(&copy, name);
        bool yes = true;
        if (matching) {
            int got = query_row_read(&p->c, &p->q, buf_slice(&copy));
            assert_true(got == E_OK || got == E_NOTFOUND);
            yes = got == E_OK && nql_match(p->q.nql, &p->q.row.nql) && query_row_found(&p->q);
        }
        if (yes) rows_add(out, buf_slice(&copy), (slice){0});
        buf_fini(&copy);
    }
    return err;
}

static slice nth_name(const struct rows *r, size_t n)
{
    const uint8_t *at = r->mem.p;
    for (size_t i = 0; i < n; i++) at += 16 + get_u64(at);
    return slice_of(at + 8, (size_t)get_u64(at));
}

static int by_name(const void *a, const void *b)
{
    return slice_cmp(*(const slice *)a, *(const slice *)b);
}

/* The names of a full scan that match, in the order of names. */
static size_t naive(struct bed *b, const char *text, struct rows *mem, slice *names)
{
    struct prepared p;
    prepare_query(b, &p, text);
    p.q.plan = (struct query_plan){.kind = QUERY_SCAN};
    assert_int_equal(query_source_open(&p.c, &p.q), E_OK);
    assert_int_equal(drain(&p, true, mem), E_END);
    for (size_t i = 0; i < mem->n; i++) names[i] = nth_name(mem, i);
    qsort(names, mem->n, sizeof *names, by_name);
    prepared_fini(&p);
    return mem->n;
}

static void check_tail(struct bed *b, const char *text, const struct rows *whole, size_t from)
{
    struct prepared p;
    struct rows tail = {0};
    prepare_query(b, &p, text);
    assert_int_equal(query_plan_make(&p.c, &p.q, true), E_OK);
    buf_add_slice(&p.q.position_name, nth_name(whole, from));
    p.q.has_position = true;
    assert_int_equal(query_source_open(&p.c, &p.q), E_OK);
    assert_int_equal(drain(&p, true, &tail), E_END);
    size_t skip = 0; /* the source may begin a little early: what comes is judged by its place */
    while (skip < tail.n && !(from + 1 < whole->n && slice_eq(nth_name(&tail, skip), nth_name(whole, from + 1)))) skip++;
    if (tail.n - skip != whole->n - from - 1) print_error("%s behind %zu\n", text, from);
    assert_int_equal(tail.n - skip, whole->n - from - 1);
    for (size_t i = 0; skip + i < tail.n; i++) assert_true(slice_eq(nth_name(&tail, skip + i), nth_name(whole, from + 1 + i)));
    rows_fini(&tail);
    prepared_fini(&p);
}

static void test_every_plan(void **state)
{
    static const struct {
        const char *text;
        enum query_plan_kind kind;
    } all[] = {
        {"FROM s WHERE a = 3", QUERY_EQUALITY},
        {"FROM s WHERE a IN (1, 3, 99)", QUERY_EQUALITY},
        {"FROM s WHERE b > 20 AND b <= 90", QUERY_RANGE},
        {"FROM s WHERE b > 20 AND b <= 90 ORDER BY b", QUERY_RANGE},
        {"FROM s WHERE b < 30 ORDER BY b DESC", QUERY_RANGE},
        {"FROM s ORDER BY a", QUERY_ORDER},
        {"FROM s ORDER BY a DESC", QUERY_ORDER},
        {"FROM s WHERE a IN (5, 2) ORDER BY a DESC", QUERY_EQUALITY},
        {"FROM s SEARCH \"three\" IN t", QUERY_TEXT},
        {"FROM s SEARCH \"t*\" IN t", QUERY_TEXT},
        {"FROM s WHERE _key IN (\"s:001\", \"s:009\", \"s2:1\", \"s:x:y\", \"s:148\")", QUERY_KEYS},
        {"FROM s WHERE _id IN (\"001\", \"148\")", QUERY_KEYS},
        {"FROM s WHERE _key >= \"s:050\" AND _key < \"s:060\"", QUERY_KEY_RANGE},
        {"FROM s WHERE _id > \"050\" AND _id <= \"060\"", QUERY_KEY_RANGE},
        {"FROM s WHERE _key LIKE \"s:01%\"", QUERY_KEY_RANGE},
        {"FROM __links__ WHERE _from = \"s:012\"", QUERY_LINKS_OUT},
        {"FROM __links__ WHERE _to = \"s:010\"", QUERY_LINKS_IN},
    };
    struct bed *b = *state;
    load(b);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct prepared p;
        struct rows mem = {0}, got = {0};
        slice want[2 * DOCS], names[2 * DOCS];
        size_t n = naive(b, all[i].text, &mem, want);
        prepare_query(b, &p, all[i].text);
        assert_int_equal(query_plan_make(&p.c, &p.q, true), E_OK);
        if (p.q.plan.kind != all[i].kind) fail_msg("%s: plan %d", all[i].text, (int)p.q.plan.kind);
        assert_int_equal(query_source_open(&p.c, &p.q), E_OK);
        assert_int_equal(drain(&p, true, &got), E_END);
        bool streams = query_streams(&p.q);
        prepared_fini(&p);
        if (got.n != n) fail_msg("%s: %zu of %zu", all[i].text, got.n, n);
        for (size_t k = 0; k < n; k++) names[k] = nth_name(&got, k);
        qsort(names, n, sizeof *names, by_name);
        for (size_t k = 0; k < n; k++) assert_true(slice_eq(names[k], want[k]));
        for (size_t k = 0; streams && k < n; k += n < 30 ? 1 : 5) check_tail(b, all[i].text, &got, k);
        rows_fini(&mem), rows_fini(&got);
    }
}

/* Bounds of keys at every edge: open and closed, with bytes around zero, keys that begin alike. */
static void test_key_bounds(void **state)
{
    static const char *const ids[] = {"a", "a\001", "a\002", "aa", "b", "a~", "\x7f", "A", "a:a"};
    struct bed *b = *state;
    char text[120];
    for (size_t i = 0; i < 9; i++) say(b, "DPUT \"e:%s\" 1", ids[i]);
    for (size_t lo = 0; lo < 9; lo++)
        for (size_t hi = 0; hi < 9; hi++)
            for (int open = 0; open < 4; open++) {
                struct prepared p;
                struct rows got = {0};
                size_t want = 0;
                if (ids[lo][1] == 1 || ids[lo][1] == 2 || ids[hi][1] == 1 || ids[hi][1] == 2)
                    continue; /* not to be written in JSON like this */
                snprintf(text, sizeof text, "FROM e WHERE _id %s \"%s\" AND _id %s \"%s\"", open & 1 ? ">" : ">=", ids[lo],
                         open & 2 ? "<" : "<=", ids[hi]);
                for (size_t i = 0; i < 9; i++) {
                    int low = strcmp(ids[i], ids[lo]), high = strcmp(ids[i], ids[hi]);
                    want += (open & 1 ? low > 0 : low >= 0) && (open & 2 ? high < 0 : high <= 0);
                }
                prepare_query(b, &p, text);
                assert_int_equal(query_plan_make(&p.c, &p.q, false), E_OK);
                assert_int_equal(query_source_open(&p.c, &p.q), E_OK);
                assert_int_equal(drain(&p, true, &got), E_END);
                if (got.n != want) fail_msg("%s: %zu, not %zu", text, got.n, want);
                rows_fini(&got);
                prepared_fini(&p);
            }
}

/* The index goes before the source opens, or between two candidates, or another of its name is there: the query is told to plan anew. */
static void test_index_goes(void **state)
{
    static const char *const texts[] = {"FROM s WHERE a = 3", "FROM s WHERE a IN (1, 2, 3)", "FROM s ORDER BY b",
                                        "FROM s SEARCH \"one\" IN t"},
                             *const drop[] = {"a", "a", "b", "t"};
    struct bed *b = *state;
    load(b);
    for (int when = 0; when < 3; when++)
        for (size_t i = 0; i < 4; i++) {
            struct prepared p;
            slice name;
            int err;
            prepare_query(b, &p, texts[i]);
            assert_int_equal(query_plan_make(&p.c, &p.q, true), E_OK);
            if (when > 0) {
                assert_int_equal(query_source_open(&p.c, &p.q), E_OK);
                assert_int_equal(query_source_next(&p.c, &p.q, &name), E_OK);
            }
            say(b, "DINDEX DROP s %s", drop[i]);
            assert_int_equal(engine_catch_up(b->server.engine, 0), E_OK);
            if (when == 2) say(b, "DINDEX CREATE s %s%s", drop[i], i == 3 ? " TEXT" : "");
            struct rows rest = {0};
            if (when == 0)
                err = query_source_open(&p.c, &p.q);
            else
                err = drain(&p, false, &rest);
            assert_true(err == QUERY_REPLAN ||
                        (when > 0 && err == E_END)); /* what was open may be read to its end, never cut short */
            if (err == E_END) {
                struct rows mem = {0};
                slice want[2 * DOCS];
                assert_int_equal(rest.n + 1, naive(b, texts[i], &mem, want));
                rows_fini(&mem);
            }
            rows_fini(&rest);
            prepared_fini(&p);
            if (when != 2) say(b, "DINDEX CREATE s %s%s", drop[i], i == 3 ? " TEXT" : "");
            say(b, "DINDEX WAIT s %s 0", drop[i]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(test_every_plan), WITH_SERVER(test_key_bounds), WITH_SERVER(test_index_goes)};
    return cmocka_run_group_tests_name("doc_query_source", tests, NULL, NULL);
}
