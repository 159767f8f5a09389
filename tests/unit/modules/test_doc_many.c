/* DMPUT: one commit or nothing. Expectations at random against a model, the same key many times, failures of every kind in the middle. */
#include "bed_client.h"

#include "support/json_gen.h"

#define NAMES 5

static void expectations_follow_a_model(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {19};
    unsigned long long seq[NAMES] = {0};
    unsigned conflicts = 0;
    for (unsigned round = 0; round < 600; round++) {
        unsigned long long now = bed_seq(b), meant[NAMES];
        unsigned n = 1 + rng_below(&r, 6);
        char command[512];
        int len = snprintf(command, sizeof command, "DMPUT %u", n);
        bool holds = true;
        memcpy(meant, seq, sizeof meant);
        for (unsigned i = 0; i < n; i++) {
            unsigned k = rng_below(&r, NAMES), kind = rng_below(&r, 12);
            unsigned long long expect = kind == 0 ? meant[k] + 1 : meant[k];
            if (kind < 9 && kind > 0 && rng_below(&r, 3) == 0)
                len += snprintf(command + len, sizeof command - (size_t)len, " k:%u %u *", k, round);
            else {
                len += snprintf(command + len, sizeof command - (size_t)len, " k:%u %u %llu", k, round, expect);
                holds &= expect == meant[k];
            }
            meant[k] = now + i + 1;
        }
        const char *reply = peer_ask(b, &p, "%s", command);
        assert_true(text_starts(reply, holds ? "*" : "-CONFLICT k:"));
        assert_int_equal(bed_seq(b), holds ? now + n : now);
        if (holds) memcpy(seq, meant, sizeof seq);
        conflicts += !holds;
        if (rng_below(&r, 10) == 0) {
            unsigned k = rng_below(&r, NAMES);
            (void)peer_ask(b, &p, "DEL k:%u", k);
            seq[k] = 0;
        }
    }
    assert_in_range(conflicts, 20, 580);
    peer_forget(&p);
}

static void a_fault_anywhere_changes_nothing(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const commands[] = {"DMPUT 2 a 1 * b [ *", "DMPUT 2 a 1 * b 2 x", "DMPUT 2 a 1 * s 2 *", "DMPUT 3 a 1 * b 2 *", "DMPUT 0 a 1 *", "DMPUT 2 a 1 * b 2 * NX", "DMPUT 2 a 1 * b 2 * CAUSEDBY 1 seq:99",
                                           "DMPUT 1 a 1 18446744073709551616", "DMPUT 1 a 1 -1", "DMPUT 1000001 a 1 *", "DMPUT 1 a 1 * NOTE"};
    peer_expect(b, &p, "SET s text", "+OK");
    uint64_t seq = bed_seq(b);
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!text_starts(peer_ask(b, &p, "%s", commands[i]), "-")) fail_msg("%s: %s", commands[i], (const char *)p.text.p);
    char *key = mem_zalloc(65537);
    memset(key, 'k', 65536);
    slice word[] = {slice_str("DMPUT"), slice_str("2"), slice_str("a"), slice_str("1"), slice_str("*"), slice_of(key, 65536), slice_str("1"), slice_str("*")};
    peer_words(b, &p, 8, word);
    assert_true(text_starts(peer_reply(b, &p), "-"));
    assert_int_equal(bed_seq(b), seq);
    peer_expect(b, &p, "DBSIZE", ":1");
    word[5].n = 65535;
    peer_words(b, &p, 8, word);
    assert_true(text_starts(peer_reply(b, &p), "*2 *2 :2"));
    mem_free(key);
    bed_break_log(b);
    assert_true(text_starts(peer_ask(b, &p, "DMPUT 2 a 7 * c 8 *"), "-MISCONF "));
    peer_expect(b, &p, "DMGET 2 a c", "*2 $1 1 $-1");
    peer_forget(&p);
}

static void one_key_hundreds_of_times(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    enum { TURNS = 500 };
    slice word[2 + 3 * TURNS + 2] = {slice_str("DMPUT"), slice_str("500")};
    static char text[TURNS][2][8];
    for (unsigned i = 0; i < TURNS; i++) {
        snprintf(text[i][0], 8, "%u", i + 1000);
        snprintf(text[i][1], 8, "%u", i); /* the seq of the turn before */
        word[2 + 3 * i] = slice_str("k:1");
        word[3 + 3 * i] = slice_str(text[i][0]);
        word[4 + 3 * i] = slice_str(text[i][1]);
    }
    word[2 + 3 * TURNS] = slice_str("IDEM");
    word[3 + 3 * TURNS] = slice_str("token");
    peer_words(b, &p, 4 + 3 * TURNS, word);
    struct buf first = {0};
    (void)peer_reply(b, &p);
    buf_add_slice(&first, buf_slice(&p.raw));
    assert_int_equal(bed_seq(b), TURNS);
    peer_expect(b, &p, "DGET k:1", "$4 1499");
    assert_string_equal(peer_ask(b, &p, "DGET k:1 ASOF %u", TURNS - 1), "$-1"); /* inside the commit is before it */
    peer_words(b, &p, 4 + 3 * TURNS, word); /* the token answers before the expectations do */
    (void)peer_reply(b, &p);
    assert_true(slice_eq(buf_slice(&first), buf_slice(&p.raw)));
    assert_int_equal(bed_seq(b), TURNS);
    buf_fini(&first);
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(expectations_follow_a_model), WITH_SERVER(a_fault_anywhere_changes_nothing), WITH_SERVER(one_key_hundreds_of_times)};
    return cmocka_run_group_tests_name("doc_many", tests, NULL, NULL);
}
