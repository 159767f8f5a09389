/* A query turn by turn, under a clock that makes each turn short: what happens between turns changes nothing in the rows of the pinned point. */
#include "unit/modules/query_bed.h"

#define DOCS 1500

static const char *const texts[] = {
    "FROM u WHERE a = 3 AND c > 5",
    "FROM u",
    "FROM u ORDER BY b DESC LIMIT 700",
    "FROM u ORDER BY c, b LIMIT 300 OFFSET 200",
    "FROM u WHERE b >= 100 AND b < 900 ORDER BY c",
    "FROM u WHERE a = 4 GROUP BY c COUNT SUM b ORDER BY c",
    "FROM u SEARCH \"odd\" IN t",
    "FROM u WHERE a = 1 TRAVERSE r DEPTH 3",
    "FROM u WHERE a IN (1, 2, 3, 4)",
    "FROM u WHERE b > 10 ORDER BY b LIMIT 20 OFFSET 1000",
};
#define TEXTS (sizeof texts / sizeof *texts)

static void load(struct bed *b, bool indexes)
{
    struct buf commands = {0};
    unsigned n = DOCS;
    for (unsigned i = 0; i < DOCS; i++)
        buf_printf(&commands, "DPUT u:%04u '{\"a\":%u,\"b\":%u,\"c\":%u,\"t\":\"%s\"}'\r\n", i, i % 7, i * 7919 % DOCS, i % 11,
                   i % 2 ? "odd" : "even");
    for (unsigned i = 0; i + 7 < DOCS; i += 5, n++) buf_printf(&commands, "DLINK u:%04u r u:%04u\r\n", i, (i * 13 + 7) % DOCS);
    say_all(b, &commands, n);
    if (indexes) {
        say(b, "DINDEX CREATE u a"), say(b, "DINDEX CREATE u b"), say(b, "DINDEX CREATE u t TEXT");
        say(b, "DINDEX WAIT u a 0"), say(b, "DINDEX WAIT u b 0"), say(b, "DINDEX WAIT u t 0");
    }
    buf_fini(&commands);
}

static int one_turn(struct prepared *p)
{
    ks_enter(&p->c.ks, KS_SHARED, NULL, 0);
    int err = query_run(&p->c, &p->q);
    ks_leave(&p->c.ks);
    return err;
}

static void start(struct bed *b, struct prepared *p, const char *text, uint64_t count)
{
    prepare_query(b, p, text);
    p->q.count = count;
    assert_int_equal(query_plan_make(&p->c, &p->q, false), E_OK);
}

static void disturb(struct bed *b, unsigned turn)
{
    unsigned i = turn * 37 % DOCS;
    say(b, "DPUT u:%04u '{\"a\":3,\"b\":1,\"c\":9,\"t\":\"odd\"}'", i);
    say(b, "DDEL u:%04u", (i + 1) % DOCS);
    say(b, "DPUT u:new%u '{\"a\":3,\"b\":1,\"c\":9}'", turn);
    say(b, "DUNLINK u:%04u r u:%04u", i / 5 * 5, (i / 5 * 5 * 13 + 7) % DOCS);
}

/* With writes between all turns, and the indexes dropped after the first of them: the same page as in one go. */
static void test_whatever_happens_between(void **state)
{
    struct bed *b = *state;
    struct buf want[TEXTS] = {{0}};
    load(b, true);
    for (size_t i = 0; i < TEXTS; i++) {
        struct prepared p;
        start(b, &p, texts[i], 1000);
        int err;
        while ((err = one_turn(&p)) == E_AGAIN) continue;
        assert_int_equal(err, E_OK);
        buf_add_slice(&want[i], buf_slice(&p.q.page.mem));
        assert_true(p.q.page_rows > 3);
        prepared_fini(&p);
    }
    clock_slow(b, 1000);
    struct prepared all[TEXTS];
    bool done[TEXTS] = {false};
    unsigned turns[TEXTS] = {0}, left = TEXTS;
    for (size_t i = 0; i < TEXTS; i++) start(b, &all[i], texts[i], 1000);
    for (unsigned turn = 0; left > 0; turn++) { /* all of them side by side */
        assert_true(turn < 1000);
        for (size_t i = 0; i < TEXTS; i++) {
            if (done[i]) continue;
            turns[i]++;
            int err = one_turn(&all[i]);
            if (err == E_AGAIN) continue;
            assert_int_equal(err, E_OK);
            done[i] = true;
            left--;
        }
        disturb(b, turn);
        if (turn == 0) say(b, "DINDEX DROP u a"), say(b, "DINDEX DROP u b"), say(b, "DINDEX DROP u t");
    }
    for (size_t i = 0; i < TEXTS; i++) {
        if (!slice_eq(buf_slice(&all[i].q.page.mem), buf_slice(&want[i]))) fail_msg("%s", texts[i]);
        assert_true(turns[i] >= 2);
        prepared_fini(&all[i]);
        buf_fini(&want[i]);
    }
    clock_slow(b, 0);
}

/* A turn's work is bounded whatever the query: so many candidates between two looks at the clock. */
static void test_turns_are_short(void **state)
{
    struct bed *b = *state;
    load(b, false);
    clock_slow(b, 1000);
    for (size_t i = 0; i < TEXTS; i++) {
        struct prepared p;
        uint64_t before = 0;
        int err;
        start(b, &p, texts[i], 1000);
        while ((err = one_turn(&p)) == E_AGAIN) {
            assert_true(p.q.looked - before <= 2 * QUERY_SLICE_ROWS || p.q.looked < before);
            before = p.q.looked;
        }
        assert_int_equal(err, E_OK);
        prepared_fini(&p);
    }
    clock_slow(b, 0);
}

static void test_time_is_up(void **state)
{
    struct bed *b = *state;
    struct prepared p;
    int err;
    load(b, false);
    clock_slow(b, 1000000);
    start(b, &p, "FROM u ORDER BY c, b", 1000);
    p.q.deadline_us = os_mono_us(engine_os(b->server.engine)) + 8000000;
    unsigned turns = 0;
    while ((err = one_turn(&p)) == E_AGAIN) turns++;
    assert_int_equal(err, E_TIMEOUT);
    assert_true(turns >= 1 && turns < 8);
    prepared_fini(&p);
    clock_slow(b, 0);
}

/* A scan that may look at so many only: one more and another plan is taken, or none is. */
static void test_scan_limit(void **state)
{
    struct bed *b = *state;
    struct prepared p;
    int err;
    load(b, false);
    for (unsigned max = DOCS - 1; max <= DOCS + 1; max++) {
        start(b, &p, "FROM u ORDER BY c, b", 10);
        p.q.scan_max = max;
        while ((err = one_turn(&p)) == E_AGAIN) continue;
        assert_int_equal(err, max <= DOCS ? QUERY_NOINDEX : E_OK); /* the end itself is met behind the last document */
        assert_true(p.q.looked <= max);
        prepared_fini(&p);
    }
    start(b, &p, "FROM u", 10); /* a page that is full ends the scan before */
    p.q.scan_max = 200;
    while ((err = one_turn(&p)) == E_AGAIN) continue;
    assert_int_equal(err, E_OK);
    assert_int_equal(p.q.page_rows, 10);
    assert_true(p.q.more);
    prepared_fini(&p);
}

/* OFFSET over more than is kept at once: the selection goes on behind what was kept, as often as needed. */
static void test_offset_beyond_what_is_kept(void **state)
{
    struct bed *b = *state;
    struct prepared p;
    struct buf want = {0};
    int err;
    load(b, false);
    start(b, &p, "FROM u ORDER BY c, b LIMIT 25 OFFSET 1200", 1000);
    while ((err = one_turn(&p)) == E_AGAIN) continue;
    buf_add_slice(&want, buf_slice(&p.q.page.mem));
    assert_int_equal(p.q.page_rows, 25);
    prepared_fini(&p);
    clock_slow(b, 1000);
    start(b, &p, "FROM u ORDER BY c, b LIMIT 25 OFFSET 1200", 1000);
    unsigned rounds = 0;
    while ((err = one_turn(&p)) == E_AGAIN) {
        if (p.q.stage == QUERY_SELECT && p.q.keep.rows_max > 100) {
            rounds++;
            query_keep_fini(&p.q.keep);
            query_keep_init(&p.q.keep, 100,
                            QUERY_KEEP_BYTES_MAX); /* as if memory were small: what was kept is offered again from the start */
            query_source_close(&p.q.source);
            p.q.looked = 0;
            assert_int_equal(query_source_open(&p.c, &p.q), E_OK);
        }
    }
    assert_int_equal(err, E_OK);
    assert_true(rounds >= 10);
    assert_true(slice_eq(buf_slice(&p.q.page.mem), buf_slice(&want)));
    prepared_fini(&p);
    clock_slow(b, 0);
    buf_fini(&want);
}

/* More groups than a slice gives out: they go on where the slice before ended. */
static void test_many_groups(void **state)
{
    struct bed *b = *state;
    load(b, false);
    for (int slow = 0; slow < 2; slow++)
        for (unsigned offset = 0; offset < 1400; offset += 455) {
            struct prepared p;
            char text[100], want[40];
            int err;
            clock_slow(b, slow ? 1000 : 0);
            snprintf(text, sizeof text, "FROM u GROUP BY b COUNT ORDER BY b LIMIT 800 OFFSET %u", offset);
            start(b, &p, text, 700);
            while ((err = one_turn(&p)) == E_AGAIN) continue;
            assert_int_equal(err, E_OK);
            unsigned left = DOCS - offset, rows = left < 700 ? left : 700;
            assert_int_equal(p.q.page_rows, rows);
            assert_int_equal(p.q.more, left > 700);
            snprintf(want, sizeof want, "%u", offset + rows - 1); /* the last group's value stands before its count */
            size_t tail = 8 + 5 + 8 + 1;                          /* COUNT, 1 */
            assert_memory_equal(p.q.page.mem.p + p.q.page.mem.n - tail - strlen(want), want, strlen(want));
            prepared_fini(&p);
        }
    clock_slow(b, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_whatever_happens_between),
        WITH_SERVER(test_turns_are_short),
        WITH_SERVER(test_time_is_up),
        WITH_SERVER(test_scan_limit),
        WITH_SERVER(test_offset_beyond_what_is_kept),
        WITH_SERVER(test_many_groups),
    };
    return cmocka_run_group_tests_name("doc_query_run", tests, NULL, NULL);
}
