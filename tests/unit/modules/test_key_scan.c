/* Walks over a database: what SCAN promises while keys come and go, KEYS against a plain matcher, the same in the past, cursors as text. */
#include "bed_client.h"

#include "support/json_gen.h"

#define STAY 300
#define COME 200

/* Calls fn for every key of a reply [cursor, [key…]] and gives the cursor. */
static unsigned long long page(const struct peer *p, void (*fn)(void *, const char *), void *ctx)
{
    const char *at = (const char *)p->text.p;
    assert_true(text_starts(at, "*2 $"));
    unsigned long long cursor = strtoull(strchr(at + 3, ' '), NULL, 10);
    char name[64];
    int used = 0;
    at = strchr(at, '*') + 1;
    at = strchr(at, '*') + 1;
    at += strcspn(at, " ");
    while (sscanf(at, " $%*d %63s%n", name, &used) == 1) {
        fn(ctx, name);
        at += used;
    }
    return cursor;
}

struct seen {
    unsigned stay[STAY], come[COME], others;
};

static void see(void *ctx, const char *name)
{
    struct seen *s = ctx;
    unsigned i = (unsigned)strtoul(name + 1, NULL, 10);
    if (name[0] == 's')
        s->stay[i]++;
    else if (name[0] == 'c')
        s->come[i]++;
    else
        s->others++;
}

/* Keys that are there from the start to the end come exactly once, whatever the others do; those that come and go at most as often as they were put. */
static void what_stays_comes_once(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b), q = peer_new(b);
    struct rng r = {4};
    for (unsigned i = 0; i < STAY; i++) (void)peer_ask(b, &p, "SET s%u %u", i, i);
    for (unsigned round = 0; round < 12; round++) {
        struct seen seen = {0};
        unsigned puts[COME] = {0};
        unsigned long long cursor = 0, turns = 0;
        do {
            for (unsigned n = rng_below(&r, 6); n > 0; n--) {
                unsigned i = rng_below(&r, COME);
                if (rng_below(&r, 2)) {
                    (void)peer_ask(b, &q, "SET c%u x", i);
                    puts[i]++;
                } else {
                    (void)peer_ask(b, &q, "DEL c%u", i);
                }
            }
            if (rng_below(&r, 20) == 0) peer_expect(b, &q, "DEBUG RELOAD", "+OK");
            (void)peer_ask(b, &p, "SCAN %llu COUNT %u", cursor, 1 + rng_below(&r, round < 6 ? 10 : 100));
            cursor = page(&p, see, &seen);
        } while (cursor != 0 && ++turns < 5000);
        assert_int_equal(cursor, 0);
        for (unsigned i = 0; i < STAY; i++) assert_int_equal(seen.stay[i], 1);
        for (unsigned i = 0; i < COME; i++) assert_true(seen.come[i] <= puts[i] + 1);
        assert_int_equal(seen.others, 0);
    }
    peer_vanish(b, &q);
    peer_forget(&p);
}

/* * and ? only; as deep as there are stars. */
static bool plain_match(const char *pattern, const char *text)
{
    if (*pattern == 0) return *text == 0;
    if (*pattern == '*') return plain_match(pattern + 1, text) || (*text && plain_match(pattern, text + 1));
    return *text && (*pattern == '?' || *pattern == *text) && plain_match(pattern + 1, text + 1);
}

static void count_one(void *ctx, const char *name)
{
    (void)name;
    ++*(unsigned *)ctx;
}

static void patterns_and_types(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {6};
    static char names[120][8];
    unsigned n = 0;
    while (n < 120) {
        unsigned len = 1 + rng_below(&r, 6);
        for (unsigned i = 0; i < len; i++) names[n][i] = (char)('a' + rng_below(&r, 3));
        names[n][len] = 0;
        if (strcmp(peer_ask(b, &p, "EXISTS %s", names[n]), ":1") == 0) continue;
        (void)peer_ask(b, &p, n % 3 ? "SET %s 1" : "DPUT %s 1", names[n]);
        n++;
    }
    for (unsigned round = 0; round < 200; round++) {
        char pattern[8], want[16];
        unsigned len = 1 + rng_below(&r, 6), all = 0, documents = 0, got = 0;
        for (unsigned i = 0; i < len; i++) pattern[i] = "abc**?"[rng_below(&r, 6)];
        pattern[len] = 0;
        for (unsigned i = 0; i < n; i++) {
            all += plain_match(pattern, names[i]);
            documents += plain_match(pattern, names[i]) && i % 3 == 0;
        }
        snprintf(want, sizeof want, "*%u", all);
        const char *keys = peer_ask(b, &p, "KEYS %s", pattern);
        assert_true(strncmp(keys, want, strlen(want)) == 0 && (keys[strlen(want)] == ' ' || keys[strlen(want)] == 0));
        unsigned long long cursor = 0;
        do {
            (void)peer_ask(b, &p, "SCAN %llu TYPE document MATCH %s COUNT 40", cursor, pattern);
            cursor = page(&p, count_one, &got);
        } while (cursor != 0);
        assert_int_equal(got, documents);
    }
    peer_forget(&p);
}

static void cursors_as_text(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const good[] = {"0", "18446744073709551615", "00", "0000000000000000000000000000000000000000000000000000000000000", "+5", "-1"};
    static const char *const bad[] = {"18446744073709551616", "x", "1x", "0x10", "1.0", "00000000000000000000000000000000000000000000000000000000000000000"};
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++) assert_true(text_starts(peer_ask(b, &p, "SCAN %s", good[i]), "*2 $1 0 *0"));
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) assert_string_equal(peer_ask(b, &p, "SCAN %s", bad[i]), "-ERR invalid cursor");
    slice odd[] = {slice_str("SCAN"), slice_of("0\0", 2)};
    peer_words(b, &p, 2, odd);
    assert_string_equal(peer_reply(b, &p), "-ERR invalid cursor");
    odd[1] = slice_str(" 0");
    peer_words(b, &p, 2, odd);
    assert_string_equal(peer_reply(b, &p), "-ERR invalid cursor");
    odd[1] = slice_str(""); /* no digits are the number 0 */
    peer_words(b, &p, 2, odd);
    assert_true(text_starts(peer_reply(b, &p), "*2 $1 0 *0"));
    peer_expect(b, &p, "SCAN 0 COUNT 9223372036854775807", "*2 $1 0 *0");
    peer_expect(b, &p, "SCAN 0 COUNT 9223372036854775808", "-ERR value is not an integer or out of range");
    peer_expect(b, &p, "SCAN 0 COUNT -1", "-ERR syntax error");
    peer_forget(&p);
}

/* Scans as of points show what was there then, and RANDOMKEY only what is there. */
static void walks_in_the_past(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    char want[32];
    unsigned long long seq[40];
    for (unsigned i = 0; i < 40; i++) {
        (void)peer_ask(b, &p, i < 20 ? "SET k%u 1" : "DEL k%u", i % 20);
        seq[i] = bed_seq(b);
    }
    peer_expect(b, &p, "RANDOMKEY", "$-1");
    peer_expect(b, &p, "SET only 1", "+OK");
    for (unsigned i = 0; i < 20; i++) peer_expect(b, &p, "RANDOMKEY", "$4 only");
    peer_expect(b, &p, "PEXPIREAT only 1", ":1");
    peer_expect(b, &p, "RANDOMKEY", "$-1");
    for (unsigned i = 0; i < 40; i++) {
        unsigned n = i < 20 ? i + 1 : 39 - i, got = 0;
        unsigned long long cursor = 0;
        snprintf(want, sizeof want, n ? "*%u " : "*%u", n);
        assert_true(text_starts(peer_ask(b, &p, "DRUN %llu KEYS *", seq[i]), want));
        do {
            (void)peer_ask(b, &p, "DRUN %llu SCAN %llu COUNT 3", seq[i], cursor);
            cursor = page(&p, count_one, &got);
        } while (cursor != 0);
        assert_int_equal(got, n);
        assert_true(text_starts(peer_ask(b, &p, "DRUN %llu RANDOMKEY", seq[i]), n ? "$" : "$-1"));
    }
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(what_stays_comes_once),
        WITH_SERVER(patterns_and_types),
        WITH_SERVER(cursors_as_text),
        WITH_SERVER(walks_in_the_past),
    };
    return cmocka_run_group_tests_name("key_scan", tests, NULL, NULL);
}
