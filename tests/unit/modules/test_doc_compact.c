/* DCOMPACT: dry runs that equal what then happens, reads before and after, clients that go away or cancel while it runs, one at a time. */
#include "bed_client.h"

#include "support/json_gen.h"

static void fill(struct bed *b, struct peer *p, unsigned keys, unsigned versions)
{
    for (unsigned v = 0; v < versions; v++)
        for (unsigned k = 0; k < keys; k++) (void)peer_ask(b, p, k % 2 ? "DPUT k:%u {\"v\":%u}" : "SET k:%u %u", k, v);
}

static void dry_runs_equal_what_happens(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {3};
    for (unsigned round = 0; round < 8; round++) {
        fill(b, &p, 20, 6);
        char how[64], dry[400];
        if (round % 2)
            snprintf(how, sizeof how, "KEEP %u", 1 + rng_below(&r, 4));
        else
            snprintf(how, sizeof how, "BEFORE %u", 1 + rng_below(&r, (unsigned)bed_seq(b)));
        if (round > 4) strncat(how, " PREFIX k:1", sizeof how - strlen(how) - 1);
        snprintf(dry, sizeof dry, "%.399s", peer_ask(b, &p, "DCOMPACT %s DRYRUN", how));
        const char *wet = peer_ask(b, &p, "DCOMPACT %s", how);
        static const char *const fields[] = {"live", "dropped", "held"};
        for (unsigned i = 0; i < 3; i++) assert_int_equal(text_field(wet, fields[i]), text_field(dry, fields[i]));
        for (unsigned k = 0; k < 20; k++) { /* the present is whole */
            const char *want = k % 2 ? "$7 {\"v\":5}" : "$1 5";
            assert_string_equal(peer_ask(b, &p, k % 2 ? "DGET k:%u" : "GET k:%u", k), want);
        }
        assert_int_equal(text_field(peer_ask(b, &p, "DCOMPACT %s DRYRUN", how), "dropped"), 0);
    }
    peer_forget(&p);
}

/* Whatever is asked for after it is either what it was or refused as pruned. */
static void the_past_is_right_or_refused(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {4};
    static char was[200][32];
    unsigned refused = 0;
    for (unsigned i = 0; i < 200; i++) {
        (void)peer_ask(b, &p, i % 7 == 6 ? "DEL d:%u" : "DPUT d:%u %u", rng_below(&r, 2), i);
        snprintf(was[i], sizeof was[i], "%.31s", peer_ask(b, &p, "DGET d:0"));
        while (bed_seq(b) < i + 1) (void)peer_ask(b, &p, "DPUT pad %u", i);
    }
    assert_true(text_field(peer_ask(b, &p, "DCOMPACT KEEP 3"), "dropped") > 0);
    for (unsigned i = 0; i < 200; i++) {
        const char *now = peer_ask(b, &p, "DGET d:0 ASOF %u", i + 1);
        refused += text_starts(now, "-PRUNED ");
        if (!text_starts(now, "-PRUNED ")) assert_string_equal(now, was[i]);
    }
    assert_in_range(refused, 1, 199);
    peer_forget(&p);
}

static void clients_that_go_away_and_writers_beside(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    fill(b, &p, 400, 8);
    for (unsigned round = 0; round < 4; round++) {
        struct peer q = peer_new(b), w = peer_new(b);
        peer_say(b, &q, "DCOMPACT KEEP 2");
        bed_turn(b);
        const char *second = peer_ask(b, &w, "DCOMPACT KEEP 1 PREFIX none DRYRUN");
        assert_true(text_starts(second, "-ERR a compaction is running already") || text_starts(second, "*14 "));
        for (unsigned k = 0; k < 30; k++) (void)peer_ask(b, &w, "DPUT n:%u %u", k, round);
        peer_vanish(b, &q); /* the compaction goes on without it */
        int turns = 0;
        while (strstr(peer_ask(b, &w, "DCOMPACT STATUS"), "$7 running :1") != NULL && ++turns < BED_TURNS) continue;
        assert_non_null(strstr((const char *)w.text.p, "$6 result $2 ok"));
        fill(b, &p, 100, 3);
        peer_vanish(b, &w);
    }
    peer_expect(b, &p, "DEBUG CHECK", "+OK");
    assert_non_null(strstr(peer_ask(b, &p, "DVERIFY ALL"), "$3 bad *0 $7 root_ok :1"));
    peer_forget(&p);
}

static void options_at_their_borders(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const refused[] = {"DCOMPACT KEEP 0", "DCOMPACT KEEP 9223372036854775808", "DCOMPACT KEEP 1 BEFORE 1", "DCOMPACT BEFORE 1 KEEP 1", "DCOMPACT BEFORE 0", "DCOMPACT BEFORE", "DCOMPACT STATUS 1", "DCOMPACT CANCEL 1"};
    fill(b, &p, 4, 3);
    uint64_t seq = bed_seq(b);
    for (unsigned i = 0; i < sizeof refused / sizeof *refused; i++) assert_true(text_starts(peer_ask(b, &p, "%s", refused[i]), "-"));
    assert_int_equal(text_field(peer_ask(b, &p, "DCOMPACT KEEP 9223372036854775807 DRYRUN"), "dropped"), 0);
    assert_non_null(strstr(peer_ask(b, &p, "DHISTORY k:1"), "*3 "));
    peer_expect(b, &p, "DCOMPACT CANCEL", "+OK"); /* nothing runs: nothing happens */
    peer_expect(b, &p, "MULTI", "+OK");
    peer_expect(b, &p, "DCOMPACT KEEP 1", "+QUEUED");
    peer_expect(b, &p, "EXEC", "*1 -ERR inside a transaction DCOMPACT needs ASYNC");
    assert_int_equal(bed_seq(b), seq);
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(dry_runs_equal_what_happens),
        WITH_SERVER(the_past_is_right_or_refused),
        WITH_SERVER(clients_that_go_away_and_writers_beside),
        WITH_SERVER(options_at_their_borders),
    };
    return cmocka_run_group_tests_name("doc_compact", tests, NULL, NULL);
}
