/* The planner's choice where the numbers of rows are known, and how near its estimates come. */
#include "unit/modules/query_bed.h"

#define DOCS 2000

/* id: each once; half: two values; ten: ten; most: nine of ten are 0; t: every tenth has the word rare. */
static void load(struct bed *b, const char *const *indexes)
{
    struct buf commands = {0};
    for (unsigned i = 0; i < DOCS; i++)
        buf_printf(&commands, "DPUT u:%04u '{\"id\":%u,\"half\":%u,\"ten\":%u,\"most\":%u,\"t\":\"all%s\"}'\r\n", i,
                   i * 7919 % DOCS, i % 2, i % 10, i % 10 == 0, i % 10 ? "" : " rare");
    say_all(b, &commands, DOCS);
    buf_fini(&commands);
    for (; *indexes; indexes++) {
        bool text = strcmp(*indexes, "t") == 0;
        say(b, "DINDEX CREATE u %s%s", *indexes, text ? " TEXT" : "");
        say(b, "DINDEX WAIT u %s 0", *indexes);
    }
}

static const char *const all[] = {"half", "id", "most", "ten", "t", NULL};

struct choice {
    const char *text, *plan;
};

static void check(struct bed *b, const struct choice *c, size_t n, bool no_scan)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = plan_of(b, c[i].text, no_scan, NULL);
        if (strcmp(got, c[i].plan) != 0) fail_msg("%s\n  wanted %s\n  got    %s", c[i].text, c[i].plan, got);
    }
}

static void test_choices(void **state)
{
    static const struct choice wanted[] = {
        {"FROM u WHERE id = 5", "equality by id"},
        {"FROM u WHERE id = 5 AND half = 1 AND ten = 3", "equality by id"},
        {"FROM u WHERE ten = 3 AND half = 1", "equality by ten"},
        {"FROM u WHERE half = 1 AND ten = 3", "equality by ten"},
        {"FROM u WHERE id > 1950", "range, then sort by id"},
        {"FROM u WHERE id >= 0", "scan"},
        {"FROM u WHERE id > 1950 AND ten = 3", "range, then sort by id"},
        {"FROM u WHERE most = 0 GROUP BY ten COUNT", "scan, then group"},
        {"FROM u WHERE most = 1 GROUP BY ten COUNT", "equality, then group by most"},
        {"FROM u ORDER BY id LIMIT 10", "order by id"},
        {"FROM u ORDER BY id DESC", "order by id"},
        {"FROM u ORDER BY id, half", "scan, then sort"},
        {"FROM u WHERE id < 20 ORDER BY half", "range, then sort by id"},
        {"FROM u WHERE id BETWEEN 3 AND 9 ORDER BY id", "range by id"},
        {"FROM u", "scan"},
        {"FROM u WHERE _key = \"u:0005\" AND half = 1", "key"},
        {"FROM u WHERE _id IN (\"0001\", \"0003\")", "key"},
        {"FROM u WHERE _key > \"u:0100\" AND _key < \"u:0120\"", "key range"},
        {"FROM u WHERE id = 1 AND id = 2", "nothing"},
        {"FROM u WHERE NOT half = 1", "scan"},
        {"FROM u WHERE id = 3 OR ten = 1", "scan"},
        {"FROM u SEARCH \"rare\" IN t WHERE half = 1", "text by t"},
        {"FROM u SEARCH \"all rare\" IN t WHERE half = 1", "text by t"},
        {"FROM u SEARCH \"all\" IN t WHERE id = 3", "equality by id"},
        {"FROM u WHERE id = 5 TRAVERSE r", "equality, then traverse, then sort by id"},
        {"FROM u VALID AS OF \"2020-01-01\" WHERE id = 5", "equality, then sort by id"},
        {"FROM u VALID AS OF \"2020-01-01\" ORDER BY id LIMIT 5", "scan, then sort"},
        {"FROM u VALID AS OF \"2020-01-01\" WHERE id = 5 GROUP BY ten COUNT", "scan, then group"},
    };
    struct bed *b = *state;
    load(b, all);
    check(b, wanted, sizeof wanted / sizeof *wanted, false);
}

static void test_without_scanning(void **state)
{
    static const struct choice wanted[] = {
        {"FROM u", "none"},
        {"FROM u WHERE nothing = 1", "none"},
        {"FROM u WHERE id >= 0", "range, then sort by id"},
        {"FROM u WHERE half = 1 GROUP BY ten COUNT", "equality, then group by half"},
        {"FROM u WHERE id = 3 OR ten = 1", "none"},
        {"FROM u WHERE id = 1 AND id = 2", "equality by id"}, /* replaced below */
        {"FROM u SEARCH \"nowhere\" IN t", "text by t"},
        {"FROM u VALID AS OF \"2020-01-01\" WHERE id = 5 GROUP BY ten COUNT", "none"},
    };
    struct bed *b = *state;
    load(b, all);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (i != 5) check(b, &wanted[i], 1, true);
    assert_string_equal(plan_of(b, wanted[5].text, true, NULL), "nothing");
}

/* Few rows are counted well; of many it is enough to know that they are many. */
static void near(uint64_t got, uint64_t want, const char *what)
{
    uint64_t most = want <= 300 ? 2 * want + 64 : DOCS;
    if (got > most || got + 64 < want / 2)
        fail_msg("%s: %llu rows, about %llu said", what, (unsigned long long)want, (unsigned long long)got);
}

static void test_estimates(void **state)
{
    struct bed *b = *state;
    char text[9000];
    uint64_t rows = 0;
    load(b, all);
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < DOCS; i += 111) {
            snprintf(text, sizeof text, "FROM u WHERE id > %u ORDER BY half", i);
            (void)plan_of(b, text, true, &rows);
            near(rows, DOCS - 1 - i, text);
            snprintf(text, sizeof text, "FROM u WHERE id >= %u AND id < %u ORDER BY half", i / 2, i);
            if (i > 1) (void)plan_of(b, text, true, &rows), near(rows, i - i / 2, text);
        }
        (void)plan_of(b, "FROM u WHERE half = 1", true, &rows);
        near(rows, DOCS / 2, "half");
        (void)plan_of(b, "FROM u WHERE ten IN (1, 2, 77)", true, &rows);
        near(rows, DOCS / 5, "two of ten");
        (void)plan_of(b, "FROM u SEARCH \"rare\" IN t", true, &rows);
        near(rows, DOCS / 10, "a word");
        int n = snprintf(text, sizeof text, "FROM u WHERE id IN (0"); /* more points than are asked for one by one */
        for (unsigned i = 1; i < 500; i++) n += snprintf(text + n, sizeof text - (size_t)n, ",%u", i * 4);
        snprintf(text + n, sizeof text - (size_t)n, ")");
        (void)plan_of(b, text, true, &rows);
        near(rows, 500, "many points");
        assert_int_equal(engine_checkpoint(b->server.engine), E_OK); /* from memory, then from runs */
    }
}

/* Half of the documents go: the book and the indexes follow. An index that is dropped is not chosen, one that is not ready neither. */
static void test_as_things_change(void **state)
{
    struct bed *b = *state;
    struct buf commands = {0};
    load(b, (const char *const[]){"ten", "id", NULL});
    for (unsigned i = 0; i < DOCS; i++)
        if (i % 10 != 3) buf_printf(&commands, "DDEL u:%04u\r\n", i);
    assert_string_equal(plan_of(b, "FROM u WHERE ten = 3 GROUP BY half COUNT", false, NULL), "equality, then group by ten");
    say_all(b, &commands, DOCS - DOCS / 10);
    assert_string_equal(plan_of(b, "FROM u WHERE ten = 3 GROUP BY half COUNT", false, NULL),
                        "scan, then group"); /* all that are left */
    assert_string_equal(plan_of(b, "FROM u WHERE id = 3", false, NULL), "equality by id");
    say(b, "DINDEX DROP u id");
    assert_string_equal(plan_of(b, "FROM u WHERE id = 3", false, NULL), "scan");
    assert_string_equal(plan_of(b, "FROM u WHERE id = 3", true, NULL), "none");
    say(b, "FLUSHDB");
    assert_string_equal(plan_of(b, "FROM u WHERE id = 3 AND half = 1", false, NULL), "scan");
    buf_fini(&commands);
}

/* A scan that would look at more than it may is the last resort; and what would help is said. */
static void test_scan_limit_and_advice(void **state)
{
    static const struct choice advice[] = {
        {"FROM u WHERE color = 1", "DINDEX CREATE u color"},
        {"FROM u WHERE NOT color = 1 ORDER BY size", "DINDEX CREATE u size"},
        {"FROM u WHERE a = 1 OR c = 2", ""},
        {"FROM u SEARCH \"x\"", "DINDEX CREATE u $ TEXT"},
        {"FROM u SEARCH \"x\" IN body", "DINDEX CREATE u body TEXT"},
        {"FROM u VALID AS OF \"2020-01-01\" WHERE color = 1 GROUP BY a COUNT", ""},
        {"FROM __links__ WHERE p = 1", ""},
    };
    struct bed *b = *state;
    struct prepared p;
    load(b, all);
    prepare_query(b, &p, "FROM u WHERE id >= 0");
    assert_int_equal(query_plan_make(&p.c, &p.q, false), E_OK);
    assert_int_equal(p.q.plan.kind, QUERY_SCAN);
    p.q.scan_max = 50;
    assert_int_equal(query_plan_make(&p.c, &p.q, false), E_OK);
    assert_int_equal(p.q.plan.kind, QUERY_RANGE);
    p.q.scan_max = DOCS;
    assert_int_equal(query_plan_make(&p.c, &p.q, false), E_OK);
    assert_int_equal(p.q.plan.kind, QUERY_SCAN);
    prepared_fini(&p);
    for (size_t i = 0; i < sizeof advice / sizeof *advice; i++) {
        struct buf out = {0};
        prepare_query(b, &p, advice[i].text);
        assert_int_equal(query_plan_advice(&p.q, &out), *advice[i].plan != 0);
        if (!slice_is(buf_slice(&out), advice[i].plan)) fail_msg("%s: %.*s", advice[i].text, (int)out.n, (char *)out.p);
        buf_fini(&out);
        prepared_fini(&p);
    }
}

/* More indexes than are considered: the query still has its rows. */
static void test_many_indexes(void **state)
{
    struct bed *b = *state;
    char text[60];
    for (unsigned i = 0; i < QUERY_INDEXES_MAX + 6; i++) say(b, "DINDEX CREATE m f%03u", i);
    say(b, "DPUT m:1 '{\"f000\":1,\"f%03u\":1}'", QUERY_INDEXES_MAX + 5);
    for (unsigned i = 0; i < QUERY_INDEXES_MAX + 6; i++) say(b, "DINDEX WAIT m f%03u 0", i);
    for (unsigned i = 0; i <= QUERY_INDEXES_MAX + 5; i += QUERY_INDEXES_MAX + 5) {
        snprintf(text, sizeof text, "DQUERY 'FROM m WHERE f%03u = 1 FIELDS f000'", i);
        assert_non_null(strstr(say(b, "%s", text), "$3 m:1 $10 {\"f000\":1}"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_choices),          WITH_SERVER(test_without_scanning),      WITH_SERVER(test_estimates),
        WITH_SERVER(test_as_things_change), WITH_SERVER(test_scan_limit_and_advice), WITH_SERVER(test_many_indexes),
    };
    return cmocka_run_group_tests_name("doc_query_plan", tests, NULL, NULL);
}
