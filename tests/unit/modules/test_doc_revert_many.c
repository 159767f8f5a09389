/* DREVERT ALL and PREFIX against a model, while others write between its slices, empty and exchange databases, or go away; and a log that fails at the commit. */
#include "bed_client.h"

#include "support/json_gen.h"

#define NAMES 40

/* Every key's value as text, "-" for none. */
static void remember(struct bed *b, struct peer *p, char state[NAMES][40])
{
    for (unsigned i = 0; i < NAMES; i++) snprintf(state[i], 40, "%.39s", peer_ask(b, p, i % 2 ? "GET k:%u" : "DGET k:%u", i));
}

static void same(struct bed *b, struct peer *p, char state[NAMES][40])
{
    char now[NAMES][40];
    remember(b, p, now);
    for (unsigned i = 0; i < NAMES; i++) assert_string_equal(now[i], state[i]);
}

static void write_one(struct bed *b, struct peer *p, struct rng *r)
{
    unsigned i = rng_below(r, NAMES), kind = rng_below(r, 4);
    if (kind == 0)
        (void)peer_ask(b, p, "DEL k:%u", i);
    else
        (void)peer_ask(b, p, i % 2 ? "SET k:%u %u" : "DPUT k:%u %u", i, rng_below(r, 1000));
}

/* Points at random; writers at work while it runs. What the revert's commit left is the point's state: read as of the commit, since writers go on. */
static void writers_between_the_slices(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b), q = peer_new(b);
    struct rng r = {13};
    for (unsigned round = 0; round < 25; round++) {
        char then[NAMES][40], after[NAMES][40];
        for (unsigned i = 0; i < 30; i++) write_one(b, &p, &r);
        remember(b, &p, then);
        unsigned long long point = bed_seq(b);
        for (unsigned i = 0; i < 30; i++) write_one(b, &p, &r);
        if (round % 5 == 4) peer_expect(b, &p, "FLUSHDB", "+OK");
        char command[64];
        snprintf(command, sizeof command, round % 2 ? "DREVERT ALL %llu" : "DREVERT PREFIX k: %llu", point);
        peer_say(b, &q, command);
        unsigned writes = rng_below(&r, 5);
        bool done = peer_hears(b, &q);
        for (unsigned i = 0; !done && i < writes; i++) {
            if (rng_below(&r, 12) == 0) peer_expect(b, &p, "FLUSHALL", "+OK");
            write_one(b, &p, &r);
            done = peer_hears(b, &q);
        }
        const char *reply = done ? (const char *)q.text.p : peer_reply(b, &q);
        assert_true(text_starts(reply, "*10 $7 changed :"));
        long long changed = text_field(reply, "changed");
        assert_int_equal(changed, text_field(reply, "restored") + text_field(reply, "deleted"));
        if (changed == 0) continue;
        unsigned long long first = (unsigned long long)text_field(reply, "first_seq"), last = (unsigned long long)text_field(reply, "last_seq");
        assert_int_equal(last - first + 1, changed);
        for (unsigned i = 0; i < NAMES; i++) {
            snprintf(after[i], 40, "%.39s", peer_ask(b, &p, i % 2 ? "DRUN %llu GET k:%u" : "DRUN %llu DGET k:%u", last, i));
            assert_string_equal(after[i], then[i]);
        }
        peer_expect(b, &p, "DEBUG CHECK", "+OK");
    }
    peer_vanish(b, &q);
    peer_forget(&p);
}

/* Thousands of keys, so that several slices are sure; whole databases are emptied and exchanged in the middle. */
static void emptied_and_exchanged_in_the_middle(void **state)
{
    struct bed *b = *state;
    static const char *const events[] = {"FLUSHDB", "SWAPDB 0 1", "FLUSHALL"};
    struct peer p = peer_own(b), q = peer_new(b);
    for (unsigned round = 0; round < 3; round++) {
        peer_expect(b, &p, "FLUSHALL", "+OK");
        peer_expect(b, &p, "DEBUG POPULATE 3000 key 8", "+OK");
        (void)peer_ask(b, &p, "DPUT d:1 1");
        unsigned long long point = bed_seq(b);
        for (unsigned i = 0; i < 600; i++) (void)peer_ask(b, &p, i % 2 ? "SET key:%u changed" : "SET new:%u x", i);
        char command[64];
        snprintf(command, sizeof command, "DREVERT ALL %llu", point);
        peer_say(b, &q, command);
        for (unsigned turn = 0; turn < 3; turn++) assert_false(peer_hears(b, &q)); /* some are compared */
        peer_expect(b, &p, events[round], "+OK");
        const char *reply = peer_reply(b, &q);
        long long changed = text_field(reply, "changed");
        assert_int_equal(text_field(reply, "last_seq") - text_field(reply, "first_seq") + 1, changed); /* what was to be deleted is gone already */
        assert_int_equal(text_field(reply, "restored"), changed);
        peer_expect(b, &p, "DBSIZE", ":3001");
        peer_expect(b, &p, "DGET d:1", "$1 1");
        assert_true(strstr(peer_ask(b, &p, "GET key:5"), "changed") == NULL);
        peer_expect(b, &p, "DEBUG CHECK", "+OK");
    }
    peer_vanish(b, &q);
    peer_forget(&p);
}

static void who_goes_away_leaves_nothing_half_done(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "DEBUG POPULATE 3000 key 8", "+OK");
    unsigned long long point = bed_seq(b);
    for (unsigned i = 0; i < 1000; i++) (void)peer_ask(b, &p, "SET key:%u changed", i);
    uint64_t seq = bed_seq(b);
    for (unsigned turns = 1; turns < 4; turns++) {
        struct peer q = peer_new(b);
        char command[64];
        snprintf(command, sizeof command, "DREVERT ALL %llu", point);
        peer_say(b, &q, command);
        bool done = false;
        for (unsigned i = 0; i < turns && !done; i++) done = peer_hears(b, &q);
        if (!done) {
            peer_vanish(b, &q);
            for (int i = 0; i < 20; i++) bed_turn(b);
            assert_int_equal(bed_seq(b), seq);
        } else {
            break;
        }
    }
    peer_expect(b, &p, "GET key:5", "$7 changed");
    peer_forget(&p);
}

static void a_failing_commit_changes_nothing(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {2};
    char before[NAMES][40];
    for (unsigned i = 0; i < 60; i++) write_one(b, &p, &r);
    unsigned long long point = bed_seq(b);
    for (unsigned i = 0; i < 60; i++) write_one(b, &p, &r);
    remember(b, &p, before);
    char dry[200], command[64];
    snprintf(dry, sizeof dry, "%.199s", peer_ask(b, &p, "DREVERT ALL %llu DRYRUN", point));
    assert_true(text_field(dry, "changed") > 10);
    snprintf(command, sizeof command, "DREVERT ALL %llu", point);
    struct peer q = peer_new(b);
    peer_say(b, &q, command);
    bool done = peer_hears(b, &q); /* it is at work; only its commit meets the failure */
    bed_break_log(b);
    assert_true(done || text_starts(peer_reply(b, &q), "-"));
    if (!done) same(b, &p, before);
    peer_vanish(b, &q);
    peer_forget(&p);
}

static void a_dry_run_says_what_then_happens(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {8};
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 40; i++) write_one(b, &p, &r);
        unsigned long long point = 1 + rng_below(&r, (unsigned)bed_seq(b));
        uint64_t seq = bed_seq(b);
        char dry[300];
        snprintf(dry, sizeof dry, "%.299s", peer_ask(b, &p, "DREVERT PREFIX k:1 %llu DRYRUN", point));
        assert_int_equal(bed_seq(b), seq);
        assert_non_null(strstr(dry, "$9 first_seq $-1 $8 last_seq $-1"));
        const char *wet = peer_ask(b, &p, "DREVERT PREFIX k:1 %llu NOTE back", point);
        static const char *const fields[] = {"changed", "restored", "deleted"};
        for (unsigned i = 0; i < 3; i++) assert_int_equal(text_field(wet, fields[i]), text_field(dry, fields[i]));
        assert_int_equal(bed_seq(b) - seq, (uint64_t)text_field(dry, "changed"));
        assert_int_equal(text_field(peer_ask(b, &p, "DREVERT PREFIX k:1 %llu", point), "changed"), 0);
    }
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(writers_between_the_slices),
        WITH_SERVER(emptied_and_exchanged_in_the_middle),
        WITH_SERVER(who_goes_away_leaves_nothing_half_done),
        WITH_SERVER(a_failing_commit_changes_nothing),
        WITH_SERVER(a_dry_run_says_what_then_happens),
    };
    return cmocka_run_group_tests_name("doc_revert_many", tests, NULL, NULL);
}
