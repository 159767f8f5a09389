/* DRETAIN: which rule holds for a key, against a plain search; limits; and that compaction by rules keeps exactly what they say. */
#include "bed_client.h"

#include "support/json_gen.h"

static void the_longest_pattern_wins(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const patterns[] = {"*", "a*", "b*", "*a", "a:*", "*:1", "a:1", "??1", "a:?"};
    struct rng r = {5};
    bool set[9] = {0};
    for (unsigned round = 0; round < 150; round++) {
        unsigned i = rng_below(&r, 9);
        if (rng_below(&r, 3))
            assert_string_equal(peer_ask(b, &p, "DRETAIN SET %s VERSIONS %u", patterns[i], i + 1), "+OK"), set[i] = true;
        else
            assert_string_equal(peer_ask(b, &p, "DRETAIN DEL %s", patterns[i]), set[i] ? ":1" : ":0"), set[i] = false;
        char key[4] = {"ab"[rng_below(&r, 2)], "a:"[rng_below(&r, 2)], "a1"[rng_below(&r, 2)], 0};
        int best = -1;
        for (int k = 0; k < 9; k++) {
            if (!set[k] || !glob_match(slice_str(patterns[k]), slice_str(key), false)) continue;
            size_t n = strlen(patterns[k]), m = best < 0 ? 0 : strlen(patterns[best]);
            if (best < 0 || n > m || (n == m && strcmp(patterns[k], patterns[best]) < 0)) best = k;
        }
        const char *got = peer_ask(b, &p, "DRETAIN GET %s", key);
        if (best < 0)
            assert_non_null(strstr(got, "$7 pattern $-1"));
        else
            assert_int_equal(text_field(got, "versions"), best + 1);
    }
    peer_forget(&p);
}

static void limits(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const refused[] = {"DRETAIN SET x VERSIONS 0", "DRETAIN SET x AGE 0", "DRETAIN SET x VERSIONS -1", "DRETAIN SET x VERSIONS 9223372036854775808", "DRETAIN SET x VERSIONS", "DRETAIN SET x VERSIONS 1 VERSIONS 2", "DRETAIN SET x BYTES 1"};
    for (unsigned i = 0; i < sizeof refused / sizeof *refused; i++) assert_true(text_starts(peer_ask(b, &p, "%s", refused[i]), "-ERR "));
    assert_int_equal(bed_seq(b), 0);
    peer_expect(b, &p, "DRETAIN SET x VERSIONS 9223372036854775807 AGE 9223372036854775807", "+OK");
    char pattern[1026];
    memset(pattern, 'p', sizeof pattern);
    slice word[] = {slice_str("DRETAIN"), slice_str("SET"), slice_of(pattern, 1024)};
    peer_words(b, &p, 3, word);
    assert_string_equal(peer_reply(b, &p), "+OK");
    word[2].n = 1025;
    peer_words(b, &p, 3, word);
    assert_true(text_starts(peer_reply(b, &p), "-ERR a pattern has 1 to 1024 bytes"));
    for (unsigned i = 2; i < ENGINE_RULES_MAX; i++) assert_string_equal(peer_ask(b, &p, "DRETAIN SET r%u", i), "+OK");
    assert_true(text_starts(peer_ask(b, &p, "DRETAIN SET more"), "-ERR there are 1024 rules"));
    peer_expect(b, &p, "DRETAIN SET r5 AGE 7", "+OK"); /* one that stands may change */
    peer_expect(b, &p, "DRETAIN DEL r6", ":1");
    peer_expect(b, &p, "DRETAIN SET more", "+OK");
    peer_forget(&p);
}

static void rules_keep_what_they_say(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    char want[8];
    peer_expect(b, &p, "DRETAIN SET k:* VERSIONS 3", "+OK");
    peer_expect(b, &p, "DRETAIN SET k:1* VERSIONS 7", "+OK");
    peer_expect(b, &p, "DRETAIN SET k:2*", "+OK"); /* all */
    for (unsigned v = 1; v <= 10; v++)
        for (unsigned k = 0; k < 3; k++) (void)peer_ask(b, &p, "DPUT k:%u %u", k, v);
    char dry[64];
    snprintf(dry, sizeof dry, "%lld", text_field(peer_ask(b, &p, "DCOMPACT DRYRUN"), "dropped"));
    long long dropped = text_field(peer_ask(b, &p, "DCOMPACT"), "dropped");
    assert_int_equal(dropped, strtoll(dry, NULL, 10));
    static const unsigned kept[] = {3, 7, 10};
    for (unsigned k = 0; k < 3; k++) {
        unsigned n = 0;
        for (const char *at = peer_ask(b, &p, "DHISTORY k:%u", k); (at = strstr(at, "$5 state ")) != NULL; at++) n += !text_starts(at, "$5 state $6 pruned");
        assert_int_equal(n, kept[k]);
        snprintf(want, sizeof want, "$2 10");
        assert_string_equal(peer_ask(b, &p, "DGET k:%u", k), want);
    }
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(the_longest_pattern_wins), WITH_SERVER(limits), WITH_SERVER(rules_keep_what_they_say)};
    return cmocka_run_group_tests_name("doc_retain", tests, NULL, NULL);
}
