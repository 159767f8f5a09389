/* SET and GETEX: every mixture of options against a model that knows what may stand together and what it does; times at their borders. */
#include "bed_client.h"

#include "support/json_gen.h"

enum { NX, XX, GET, KEEPTTL, PERSIST, EX, PX, EXAT, PXAT, OPTIONS };
static const char *const option_words[OPTIONS] = {"NX", "xx", "GET", "KeepTtl", "PERSIST", "EX 1000", "PX 1000000", "EXAT 33177117420", "PXAT 33177117420000"};

/* One key: its value (0 = none) and its end: 0 none, 1 in a thousand seconds, 2 far away. */
struct model {
    unsigned value, end;
};

static bool may_stand_together(const bool *on, bool getex)
{
    unsigned times = on[EX] + on[PX] + on[EXAT] + on[PXAT] + on[KEEPTTL] + on[PERSIST];
    if (getex) return times <= 1 && !on[KEEPTTL] && !on[NX] && !on[XX] && !on[GET];
    return times <= 1 && !on[PERSIST] && !(on[NX] && on[XX]);
}

static unsigned new_end(const bool *on, unsigned old)
{
    if (on[EX] || on[PX]) return 1;
    if (on[EXAT] || on[PXAT]) return 2;
    return on[KEEPTTL] ? old : 0;
}

/* What SET must answer; the model moves on. */
static void set_by_model(struct model *m, const bool *on, unsigned value, char *want)
{
    unsigned old = m->value;
    bool met = !(on[NX] && old) && !(on[XX] && !old);
    if (!may_stand_together(on, false)) {
        snprintf(want, 32, "-ERR syntax error");
        return;
    }
    if (met) m->end = new_end(on, m->value ? m->end : 0), m->value = value;
    if (on[GET] && old)
        snprintf(want, 32, "$3 %u", old);
    else
        snprintf(want, 32, met && !on[GET] ? "+OK" : "$-1");
}

static void getex_by_model(struct model *m, const bool *on, char *want)
{
    if (!may_stand_together(on, true)) {
        snprintf(want, 32, "-ERR syntax error");
        return;
    }
    snprintf(want, 32, m->value ? "$3 %u" : "$-1", m->value);
    if (m->value && (on[PERSIST] || new_end(on, 0))) m->end = new_end(on, 0);
}

static void every_mixture_of_options(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {44};
    struct model m = {0};
    for (unsigned i = 0; i < 4000; i++) {
        char command[256], want[32];
        bool on[OPTIONS] = {0}, getex = rng_below(&r, 4) == 0;
        unsigned value = 100 + i % 900;
        int len = getex ? snprintf(command, sizeof command, "GETEX k") : snprintf(command, sizeof command, "SET k %u", value);
        for (unsigned n = rng_below(&r, 4); n > 0; n--) {
            unsigned o = rng_below(&r, OPTIONS);
            if (on[o]) continue;
            on[o] = true;
            len += snprintf(command + len, sizeof command - (size_t)len, " %s", option_words[o]);
        }
        if (getex)
            getex_by_model(&m, on, want);
        else
            set_by_model(&m, on, value, want);
        peer_expect(b, &p, command, want);
        long long ttl = strtoll(peer_ask(b, &p, "TTL k") + 1, NULL, 10);
        unsigned end = ttl < 0 ? 0 : ttl <= 1000 ? 1 : 2;
        if (end != m.end || (ttl == -2) != (m.value == 0)) print_error("%s: ttl %lld\n", command, ttl);
        assert_int_equal(end, m.end);
        assert_int_equal(ttl == -2, m.value == 0);
        if (rng_below(&r, 6) == 0) (void)peer_ask(b, &p, "DEL k"), m = (struct model){0};
    }
    peer_forget(&p);
}

static void times_at_their_borders(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char bad[] = "-ERR invalid expire time in 'set' command";
    static const struct exchange rows[] = {
        {"SET k v EX 0", bad},
        {"SET k v PX -1", bad},
        {"SET k v EXAT 0", bad},
        {"SET k v PXAT -9223372036854775808", bad},
        {"SET k v EX 9223372036854775", bad},
        {"SET k v EXAT 9223372036854776", bad},
        {"SET k v PX 9223372036854775807", bad},
        {"SET k v PX 9223372036854775808", "-ERR value is not an integer or out of range"},
        {"SeT k v eX 0", bad},
        {"SETEX k 9223372036854776 v", "-ERR invalid expire time in 'setex' command"},
        {"PSETEX k 0 v", "-ERR invalid expire time in 'psetex' command"},
        {"GETEX k EX 0", "$-1"}, /* nothing there: the time is not looked at */
        {"SET k v NX EX", "-ERR syntax error"},
        {"SET k v EX 10 EX", "-ERR syntax error"},
        {NULL, NULL},
    };
    for (const struct exchange *x = rows; x->command; x++) peer_expect(b, &p, x->command, x->reply);
    assert_int_equal(bed_seq(b), 0);
    peer_expect(b, &p, "SET k v EXAT 9223372036854775", "+OK");
    peer_expect(b, &p, "PEXPIRETIME k", ":9223372036854775000");
    peer_expect(b, &p, "SET k v PXAT 9223372036854775807", "+OK");
    peer_expect(b, &p, "PEXPIRETIME k", ":9223372036854775807");
    peer_expect(b, &p, "GETEX k EX 0", "-ERR invalid expire time in 'getex' command");
    peer_expect(b, &p, "PEXPIRETIME k", ":9223372036854775807");
    peer_expect(b, &p, "GETEX k PXAT 1", "$1 v");
    peer_expect(b, &p, "GET k", "$-1");
    peer_forget(&p);
}

static void options_that_look_meet_other_types(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char wrong[] = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    assert_true(text_starts(peer_ask(b, &p, "DPUT d 1"), "*2 :"));
    uint64_t seq = bed_seq(b);
    peer_expect(b, &p, "SET d v GET", wrong);
    peer_expect(b, &p, "GETSET d v", wrong);
    peer_expect(b, &p, "GETEX d PERSIST", wrong);
    peer_expect(b, &p, "SET d v NX", "$-1");
    peer_expect(b, &p, "SETNX d v", ":0");
    assert_int_equal(bed_seq(b), seq);
    peer_expect(b, &p, "SET d v XX", "+OK");
    peer_expect(b, &p, "TYPE d", "+string");
    peer_forget(&p);
}

static void a_failed_log_sets_nothing(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const commands[] = {"SET k 2", "SET k 2 GET", "SETNX n 2", "SETEX k 10 2", "GETEX k EX 10", "GETSET k 2", "GETEX k PERSIST"};
    peer_expect(b, &p, "SET k 1 PXAT 33177117420000", "+OK");
    bed_break_log(b);
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) assert_true(text_starts(peer_ask(b, &p, "%s", commands[i]), "-MISCONF "));
    peer_expect(b, &p, "MGET k n", "*2 $1 1 $-1");
    peer_expect(b, &p, "PEXPIRETIME k", ":33177117420000");
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(every_mixture_of_options),
        WITH_SERVER(times_at_their_borders),
        WITH_SERVER(options_that_look_meet_other_types),
        WITH_SERVER(a_failed_log_sets_nothing),
    };
    return cmocka_run_group_tests_name("string_set", tests, NULL, NULL);
}
