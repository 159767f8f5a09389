/* Ends of keys: conditions against a model, times at the borders of their numbers, rounding, and the same questions asked of the past. */
#include "bed_client.h"

#include "support/json_gen.h"

#define FAR_MS 33177117420000ll

static bool may_set(unsigned conditions, int64_t now_set, int64_t when)
{
    /* As words: NX has none yet; XX has one; GT moves it back in time, none being the end of time; LT brings it nearer. */
    if ((conditions & 1) && now_set) return false;
    if ((conditions & 2) && !now_set) return false;
    if ((conditions & 4) && (!now_set || when <= now_set)) return false;
    if ((conditions & 8) && now_set && when >= now_set) return false;
    return true;
}

static void conditions_follow_a_model(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {2};
    int64_t set = 0;
    char want[32];
    peer_expect(b, &p, "SET k v", "+OK");
    for (unsigned i = 0; i < 1500; i++) {
        unsigned conditions = rng_below(&r, 16);
        int64_t when = FAR_MS + 1000 * rng_below(&r, 5);
        bool seconds = rng_below(&r, 2), together = (conditions & 1) && (conditions & 14), both = (conditions & 12) == 12;
        const char *got = peer_ask(b, &p, "%s k %lld%s%s%s%s", seconds ? "EXPIREAT" : "PEXPIREAT", (long long)(seconds ? when / 1000 : when),
                                   conditions & 1 ? " NX" : "", conditions & 2 ? " XX" : "", conditions & 4 ? " gt" : "", conditions & 8 ? " Lt" : "");
        if (together || both) {
            assert_true(text_starts(got, "-ERR "));
        } else {
            assert_string_equal(got, may_set(conditions, set, when) ? ":1" : ":0");
            if (may_set(conditions, set, when)) set = when;
        }
        if (rng_below(&r, 8) == 0) {
            assert_string_equal(peer_ask(b, &p, "PERSIST k"), set ? ":1" : ":0");
            set = 0;
        }
        snprintf(want, sizeof want, ":%lld", (long long)(set ? set : -1));
        peer_expect(b, &p, "PEXPIRETIME k", want);
    }
    peer_forget(&p);
}

static void borders(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const struct exchange refused[] = {
        {"EXPIRE k 9223372036854775", "-ERR invalid expire time in 'expire' command"},
        {"EXPIRE k 9223372036854776", "-ERR invalid expire time in 'expire' command"},
        {"EXPIRE k -9223372036854776", "-ERR invalid expire time in 'expire' command"},
        {"EXPIREAT k 9223372036854776", "-ERR invalid expire time in 'expireat' command"},
        {"EXPIREAT k 9223372036854775808", "-ERR value is not an integer or out of range"},
        {"PEXPIRE k 9223372036854775000", "-ERR invalid expire time in 'pexpire' command"},
        {"EXPIRE k 1.5", "-ERR value is not an integer or out of range"},
        {NULL, NULL},
    };
    peer_expect(b, &p, "SET k v", "+OK");
    uint64_t seq = bed_seq(b);
    for (const struct exchange *x = refused; x->command; x++) peer_expect(b, &p, x->command, x->reply);
    assert_int_equal(bed_seq(b), seq);
    peer_expect(b, &p, "EXPIREAT k 9223372036854775", ":1");
    peer_expect(b, &p, "PEXPIRETIME k", ":9223372036854775000");
    peer_expect(b, &p, "PEXPIREAT k 9223372036854775807", ":1");
    peer_expect(b, &p, "PEXPIRETIME k", ":9223372036854775807");
    peer_expect(b, &p, "EXPIRETIME k", ":9223372036854776");
    static const char *const past[] = {"PEXPIREAT k -9223372036854775808", "EXPIRE k -9223372036854775", "EXPIREAT k 0", "PEXPIRE k 0"};
    for (unsigned i = 0; i < 4; i++) {
        peer_expect(b, &p, "SET k v", "+OK");
        peer_expect(b, &p, past[i], ":1");
        peer_expect(b, &p, "EXISTS k", ":0");
        peer_expect(b, &p, past[i], ":0");
    }
    peer_forget(&p);
}

static void seconds_are_rounded_to_the_nearest(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    char want[32];
    peer_expect(b, &p, "SET k v", "+OK");
    for (int ms = 0; ms < 1000; ms += ms < 490 || ms > 510 ? 70 : 1) {
        (void)peer_ask(b, &p, "PEXPIREAT k %lld", FAR_MS + ms);
        snprintf(want, sizeof want, ":%lld", FAR_MS / 1000 + (ms >= 500));
        peer_expect(b, &p, "EXPIRETIME k", want);
    }
    peer_forget(&p);
}

/* At a point of the past a key has the time to live that it had there, and an end set later does not count. */
static void the_past_keeps_its_own_ends(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET k v", "+OK");
    unsigned long long plain = bed_seq(b);
    peer_expect(b, &p, "PEXPIRE k 100000", ":1");
    unsigned long long timed = bed_seq(b);
    peer_expect(b, &p, "EXPIRE k 50", ":1");
    peer_expect(b, &p, "PERSIST k", ":1");
    peer_expect(b, &p, "PEXPIRE k -5", ":1");
    assert_string_equal(peer_ask(b, &p, "DRUN %llu PTTL k", plain), ":-1");
    assert_string_equal(peer_ask(b, &p, "DRUN %llu TTL k", timed), ":100");
    assert_string_equal(peer_ask(b, &p, "DRUN %llu TTL k", timed + 1), ":50");
    assert_string_equal(peer_ask(b, &p, "DRUN %llu EXPIRETIME k", timed + 2), ":-1");
    assert_string_equal(peer_ask(b, &p, "DRUN %llu TTL k", timed + 3), ":-2");
    assert_true(text_starts(peer_ask(b, &p, "DRUN %llu EXPIRE k 5", timed), "-"));
    peer_forget(&p);
}

static void a_failed_log_keeps_the_end(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET k v PXAT 33177117420000", "+OK");
    bed_break_log(b);
    assert_true(text_starts(peer_ask(b, &p, "PERSIST k"), "-MISCONF "));
    assert_true(text_starts(peer_ask(b, &p, "EXPIRE k 10"), "-MISCONF "));
    assert_true(text_starts(peer_ask(b, &p, "EXPIRE k -1"), "-MISCONF "));
    peer_expect(b, &p, "PEXPIRETIME k", ":33177117420000");
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(conditions_follow_a_model),
        WITH_SERVER(borders),
        WITH_SERVER(seconds_are_rounded_to_the_nearest),
        WITH_SERVER(the_past_keeps_its_own_ends),
        WITH_SERVER(a_failed_log_keeps_the_end),
    };
    return cmocka_run_group_tests_name("key_expiry", tests, NULL, NULL);
}
