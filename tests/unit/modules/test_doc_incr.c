/* DINCRBY: one number changes and no other byte; sums at the borders of integers and doubles; paths that lead nowhere leave everything. */
#include "bed_client.h"

#include "support/json_gen.h"

static const char *incr(struct bed *b, struct peer *p, const char *doc, const char *path, const char *by)
{
    slice put[] = {slice_str("DPUT"), slice_str("k"), slice_str(doc)};
    peer_words(b, p, 3, put);
    assert_true(text_starts(peer_reply(b, p), "*2 :"));
    slice word[] = {slice_str("DINCRBY"), slice_str("k"), slice_str(path), slice_str(by)};
    peer_words(b, p, 4, word);
    return peer_reply(b, p);
}

static void borders(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const struct {
        const char *from, *by, *want;
    } rows[] = {
        {"9007199254740992", "1", "9007199254740993"}, {"9223372036854775807", "1", "9223372036854775808"}, {"18446744073709551614", "1", "18446744073709551615"}, {"18446744073709551615", "1", NULL}, {"-9223372036854775808", "-1", NULL},
        {"18446744073709551615", "-18446744073709551615", "0"}, {"5e-324", "0", "5e-324"}, {"5e-324", "-5e-324", "0"}, {"1e308", "1e308", NULL}, {"1e400", "-1", NULL}, {"0.1", "0.2", "0.30000000000000004"}, {"1.5", "1.5", "3"}, {"-0", "0", "0"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        char doc[128], want[128];
        snprintf(doc, sizeof doc, " {\"a\" : [ {\"n\":%s} ,\t2] } ", rows[i].from);
        const char *got = incr(b, &p, doc, "a[0].n", rows[i].by);
        const char *sum = rows[i].want ? rows[i].want : "";
        snprintf(want, sizeof want, "*3 $%zu %s :", strlen(sum), sum);
        if (!text_starts(got, rows[i].want ? want : "-ERR increment")) fail_msg("%s + %s: %s", rows[i].from, rows[i].by, got);
        (void)peer_ask(b, &p, "DGET k");
        int n = snprintf(want, sizeof want, "{\"a\" : [ {\"n\":%s} ,\t2] }", rows[i].want ? rows[i].want : rows[i].from);
        assert_true(slice_eq(peer_bulk(&p), slice_of(want, (size_t)n)));
    }
    peer_forget(&p);
}

static void paths_that_lead_nowhere(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const paths[] = {"a.b.c", "x.y", "l[3]", "l[0]", "l.x", "s", "o", "l", "$", "a[0]", "", "a..b", "n[0]", "o.s.x"};
    static const char doc[] = "{\"a\":{},\"l\":[\"x\",1,2],\"s\":\"5\",\"o\":{\"s\":null},\"n\":1}";
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
        const char *got = incr(b, &p, doc, paths[i], "1");
        if (!text_starts(got, "-BADPATH ")) fail_msg("%s: %s", paths[i], got);
        (void)peer_ask(b, &p, "DGET k");
        assert_true(slice_eq(peer_bulk(&p), slice_str(doc)));
    }
    assert_true(text_starts(incr(b, &p, doc, "new", "-7"), "*3 $2 -7 :")); /* a missing last member begins at 0 */
    assert_true(text_starts(incr(b, &p, doc, "a[\"q.r\"]", "1e3"), "*3 $4 1000 :"));
    assert_true(text_starts(incr(b, &p, "{}", "count", "1"), "*3 $1 1 :"));
    peer_expect(b, &p, "DGET k", "$11 {\"count\":1}");
    assert_true(text_starts(incr(b, &p, "5", "$", "1"), "*3 $1 6 :"));
    static const char *const by[] = {"x", "\"1\"", "", "01", "+1", "null", "nan", "inf"};
    for (unsigned i = 0; i < sizeof by / sizeof *by; i++) assert_true(text_starts(incr(b, &p, "{\"n\":1}", "n", by[i]), "-ERR value is not a number"));
    peer_forget(&p);
}

static void counters_keep_count(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b), q = peer_new(b);
    struct rng r = {6};
    int64_t sum[3] = {0};
    char want[128];
    (void)peer_ask(b, &p, "DPUT c {\"a\":0,\"b\":{\"c\":0},\"l\":[0]}");
    for (unsigned i = 0; i < 300; i++) {
        static const char *const paths[] = {"a", "b.c", "l[0]"};
        unsigned k = rng_below(&r, 3);
        int64_t by = (int64_t)rng_below(&r, 2001) - 1000;
        sum[k] += by;
        if (i % 7 == 0) { /* a token counts once */
            char first[256];
            snprintf(first, sizeof first, "%.255s", peer_ask(b, &p, "DINCRBY c %s %lld IDEM t%u", paths[k], (long long)by, i));
            assert_string_equal(peer_ask(b, &q, "DINCRBY c %s %lld IDEM t%u", paths[k], (long long)by, i), first);
        } else {
            assert_true(text_starts(peer_ask(b, i % 2 ? &p : &q, "DINCRBY c %s %lld", paths[k], (long long)by), "*3 $"));
        }
    }
    assert_int_equal(bed_seq(b), 301);
    int n = snprintf(want, sizeof want, "{\"a\":%lld,\"b\":{\"c\":%lld},\"l\":[%lld]}", (long long)sum[0], (long long)sum[1], (long long)sum[2]);
    (void)peer_ask(b, &p, "DGET c");
    assert_true(slice_eq(peer_bulk(&p), slice_of(want, (size_t)n)));
    bed_break_log(b);
    assert_true(text_starts(peer_ask(b, &p, "DINCRBY c a 1"), "-MISCONF "));
    peer_vanish(b, &q);
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(borders), WITH_SERVER(paths_that_lead_nowhere), WITH_SERVER(counters_keep_count)};
    return cmocka_run_group_tests_name("doc_incr", tests, NULL, NULL);
}
