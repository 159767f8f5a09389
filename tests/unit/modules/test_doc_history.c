/* DHISTORY: any window of many versions against a list kept by the test, in turns, with others writing and compacting between them. */
#include "unit/modules/doc_bed.h"

#define VERSIONS 1600 /* more than three turns' rows */

static uint64_t seqs[VERSIONS];

static void write_versions(struct bed *b, unsigned n)
{
    struct buf commands = {0};
    uint64_t at = head_of(b);
    for (unsigned i = 0; i < n; i++) buf_printf(&commands, "DPUT k %u\r\nDPUT other %u\r\n", i, i);
    say_all(b, &commands, 2 * n);
    for (unsigned i = 0; i < n; i++) seqs[i] = at + 1 + 2 * i;
    assert_int_equal(head_of(b), at + 2 * n);
    buf_fini(&commands);
}

/* The naive answer: how many, and the i-th. */
static size_t window(uint64_t from, uint64_t to, bool oldest_first, size_t count, size_t n, uint64_t *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k < count; i++) {
        uint64_t seq = seqs[oldest_first ? i : n - 1 - i];
        if (seq >= from && seq <= to) out[k++] = seq;
    }
    return k;
}

static void test_windows(void **state)
{
    static uint64_t want[VERSIONS], got[VERSIONS];
    static const unsigned counts[] = {1, 2, 511, 512, 513, 1024, VERSIONS - 1, VERSIONS, VERSIONS + 1};
    struct bed *b = *state;
    struct peer p;
    struct rng r = {31};
    char command[160];
    write_versions(b, VERSIONS);
    peer_up(b, &p);
    for (unsigned i = 0; i < 60; i++) {
        uint64_t from = i < 18 ? 0 : rng_below(&r, 2 * VERSIONS), to = i < 18 ? head_of(b) : from + rng_below(&r, 2 * VERSIONS);
        unsigned count = counts[i % 9];
        bool rev = i & 1;
        if (to > head_of(b)) to = head_of(b);
        snprintf(command, sizeof command, "DHISTORY k FROM %llu TO %llu COUNT %u%s", (unsigned long long)from,
                 (unsigned long long)to, count, rev ? " REV" : "");
        const char *reply = peer_ask(b, &p, command);
        size_t n = window(from, to, rev, count, VERSIONS, want);
        assert_int_equal(number_after(reply, "*"), n);
        assert_int_equal(numbers_after(reply, "$3 seq :", got, VERSIONS), n);
        assert_memory_equal(got, want, n * sizeof *got);
    }
    peer_down(b, &p);
}

/* It takes turns; others are served in between, and what they write behind the point that was meant is not shown. */
static void test_turns(void **state)
{
    static uint64_t got[VERSIONS + 8];
    struct bed *b = *state;
    struct peer p;
    char command[80];
    write_versions(b, VERSIONS);
    uint64_t head = head_of(b);
    peer_up(b, &p);
    snprintf(command, sizeof command, "DHISTORY k TO %llu COUNT 100000 WITHDATA", (unsigned long long)head);
    peer_send(&p, command);
    unsigned others = 0;
    while (!peer_turn(b, &p)) {
        say(b, "DPUT k '\"later\"'");
        others++;
    }
    assert_true(others >= 2);
    const char *reply = plain(&p.got);
    assert_int_equal(numbers_after(reply, "$3 seq :", got, VERSIONS), VERSIONS);
    assert_null(strstr(reply, "later"));
    for (size_t i = 0; i < VERSIONS; i++) assert_int_equal(got[i], seqs[VERSIONS - 1 - i]);
    peer_down(b, &p);
}

static void test_client_goes(void **state)
{
    struct bed *b = *state;
    write_versions(b, VERSIONS);
    for (int turns = 0; turns < 3; turns++) {
        struct peer p;
        peer_up(b, &p);
        peer_send(&p, turns == 1 ? "DHISTORY k COUNT 100000 REV" : "DHISTORY k COUNT 100000");
        for (int i = 0; i <= turns; i++) assert_false(peer_turn(b, &p));
        peer_down(b, &p);
        assert_int_equal(b->server.loops[0]->n_laters, 0);
    }
}

/* Versions go while the list is on its way: each row is a version or says that it was dropped, and none is missing in between. */
static void test_compaction_between_turns(void **state)
{
    static uint64_t got[VERSIONS + 8];
    struct bed *b = *state;
    struct peer p;
    write_versions(b, VERSIONS);
    peer_up(b, &p);
    peer_send(&p, "DHISTORY k COUNT 100000");
    assert_false(peer_turn(b, &p));
    struct compact_options all = {.keep_versions = 1};
    struct compact_stats stats;
    assert_int_equal(engine_compact(b->server.engine, &all, &stats), E_OK);
    (void)peer_wait(b, &p);
    const char *reply = (const char *)p.got.p;
    size_t n = numbers_after(reply, "$3 seq :", got, VERSIONS + 8), live = times_in(reply, "$5 state $4 live"),
           old = times_in(reply, "$5 state $3 old"), pruned = times_in(reply, "$5 state $6 pruned");
    assert_int_equal(number_after(reply, "*"), n + (times_in(reply, " -") > 0));
    assert_int_equal(live, 1);
    assert_true(old >= 500 && pruned >= 1);
    assert_int_equal(live + old + pruned, n);
    for (size_t i = 0; i + 1 < n; i++) assert_int_equal(got[i], seqs[VERSIONS - 1 - i]); /* the last one may be the horizon's */
    reply = peer_ask(b, &p, "DHISTORY k");
    assert_int_equal(number_after(reply, "*"), 2);
    assert_int_equal(times_in(reply, "$5 state $6 pruned"), 1);
    peer_down(b, &p);
}

/* Inside a transaction nothing waits: the whole list at once. */
static void test_in_a_transaction(void **state)
{
    static uint64_t got[VERSIONS + 8];
    struct bed *b = *state;
    struct peer p;
    write_versions(b, VERSIONS);
    peer_up(b, &p);
    (void)peer_ask(b, &p, "MULTI");
    (void)peer_ask(b, &p, "DHISTORY k COUNT 100000");
    peer_send(&p, "EXEC");
    unsigned turns = peer_wait(b, &p);
    assert_int_equal(numbers_after((const char *)p.got.p, "$3 seq :", got, VERSIONS), VERSIONS);
    assert_true(turns < 200);
    peer_down(b, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_windows),          WITH_SERVER(test_turns),
        WITH_SERVER(test_client_goes),      WITH_SERVER(test_compaction_between_turns),
        WITH_SERVER(test_in_a_transaction),
    };
    return cmocka_run_group_tests_name("doc_history", tests, NULL, NULL);
}
