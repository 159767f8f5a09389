/* DREVERT of one key: any state of any type comes back, with its end of life; equal states write nothing; refusals leave no trace. */
#include "bed_client.h"

#include "support/json_gen.h"

static void any_state_comes_back(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {16};
    static char was[120][48];
    unsigned long long seq[120];
    for (unsigned i = 0; i < 120; i++) {
        unsigned kind = rng_below(&r, 5);
        if (kind == 0)
            (void)peer_ask(b, &p, "DEL k");
        else if (kind < 3)
            (void)peer_ask(b, &p, "SET k text%u", i);
        else
            (void)peer_ask(b, &p, "DEL k"), (void)peer_ask(b, &p, "DPUT k {\"v\":%u}", i);
        seq[i] = bed_seq(b);
        snprintf(was[i], sizeof was[i], "%.47s", peer_ask(b, &p, "DASOF k head"));
    }
    for (unsigned i = 0; i < 200; i++) {
        unsigned to = rng_below(&r, 120);
        if (seq[to] == 0) continue;
        uint64_t before = bed_seq(b);
        char now[48];
        snprintf(now, sizeof now, "%.47s", peer_ask(b, &p, "DASOF k head"));
        const char *got = peer_ask(b, &p, "DREVERT k %llu", seq[to]);
        bool equal = strcmp(now, was[to]) == 0;
        if (text_starts(got, "-")) fail_msg("%s", got);
        if (equal) assert_int_equal(bed_seq(b), before);
        peer_expect(b, &p, "DASOF k head", was[to]);
    }
    peer_forget(&p);
}

static void the_end_of_life_comes_back(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET k v PXAT 33177117420000", "+OK");
    unsigned long long timed = bed_seq(b);
    peer_expect(b, &p, "SET k other", "+OK");
    assert_true(text_starts(peer_ask(b, &p, "DREVERT k %llu", timed), "*2 :"));
    peer_expect(b, &p, "GET k", "$1 v");
    peer_expect(b, &p, "DREVERT k head", "$-1");
    peer_forget(&p);
}

static void refusals_leave_no_trace(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const bad[] = {"DREVERT k", "DREVERT k x", "DREVERT k tag:none", "DREVERT k 1 IFSEQ 77", "DREVERT k 1 BOGUS", "DREVERT k 1 CAUSEDBY 1 seq:99", "DREVERT ALL", "DREVERT PREFIX k", "DREVERT ALL 1 KEEP"};
    (void)peer_ask(b, &p, "DPUT k 1");
    (void)peer_ask(b, &p, "DPUT k 2");
    uint64_t seq = bed_seq(b);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!text_starts(peer_ask(b, &p, "%s", bad[i]), "-")) fail_msg("%s: %s", bad[i], (const char *)p.text.p);
    assert_int_equal(bed_seq(b), seq);
    bed_break_log(b);
    assert_true(text_starts(peer_ask(b, &p, "DREVERT k 1"), "-MISCONF "));
    peer_expect(b, &p, "DGET k", "$1 2");
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(any_state_comes_back), WITH_SERVER(the_end_of_life_comes_back), WITH_SERVER(refusals_leave_no_trace)};
    return cmocka_run_group_tests_name("doc_revert", tests, NULL, NULL);
}
