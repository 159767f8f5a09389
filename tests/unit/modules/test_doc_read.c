/* Reads of documents: paths at their limits, one instant for many keys, and at random points what was there then. */
#include "bed_client.h"

#include "support/json_gen.h"

#define KEYS 6
#define TURNS 150

static void any_point_is_what_it_was(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {10};
    static int value[TURNS + 1][KEYS];
    unsigned long long seq[TURNS + 1];
    for (unsigned k = 0; k < KEYS; k++) value[0][k] = -1;
    seq[0] = 0;
    for (unsigned i = 1; i <= TURNS; i++) {
        unsigned k = rng_below(&r, KEYS), kind = rng_below(&r, 8);
        memcpy(value[i], value[i - 1], sizeof value[i]);
        if (kind == 0) {
            peer_expect(b, &p, "FLUSHDB", "+OK");
            for (k = 0; k < KEYS; k++) value[i][k] = -1;
        } else if (kind < 3) {
            (void)peer_ask(b, &p, "DDEL k%u", k);
            value[i][k] = -1;
        } else {
            (void)peer_ask(b, &p, "DPUT k%u {\"v\":%u}", k, i);
            value[i][k] = (int)i;
        }
        seq[i] = bed_seq(b);
    }
    for (unsigned i = 0; i <= TURNS; i++) {
        char want[256];
        int n = snprintf(want, sizeof want, "*%u", KEYS);
        for (unsigned k = 0; k < KEYS; k++) {
            char one[32];
            int len = value[i][k] < 0 ? 0 : snprintf(one, sizeof one, "{\"v\":%d}", value[i][k]);
            n += len ? snprintf(want + n, sizeof want - (size_t)n, " $%d %s", len, one) : snprintf(want + n, sizeof want - (size_t)n, " $-1");
        }
        assert_string_equal(peer_ask(b, &p, "DMGET 6 k0 k1 k2 k3 k4 k5 ASOF %llu", seq[i]), want);
        for (unsigned k = 0; k < KEYS; k++) {
            char digits[16];
            snprintf(digits, sizeof digits, "%d", value[i][k]);
            snprintf(want, sizeof want, value[i][k] < 0 ? "$-1" : "$%zu %s", strlen(digits), digits);
            assert_string_equal(peer_ask(b, &p, "DASOF k%u %llu v", k, seq[i]), want);
        }
    }
    peer_forget(&p);
}

static void paths_at_their_limits(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    slice word[2 + 65] = {slice_str("DGET"), slice_str("k")};
    (void)peer_ask(b, &p, "DPUT k {\"a\":1,\"ASOF\":2}");
    for (unsigned i = 2; i < 67; i++) word[i] = slice_str("a");
    peer_words(b, &p, 66, word);
    assert_true(text_starts(peer_reply(b, &p), "*64 $1 1 $1 1"));
    peer_words(b, &p, 67, word);
    assert_true(text_starts(peer_reply(b, &p), "-TOOBIG "));
    peer_expect(b, &p, "DGET k $.ASOF", "$1 2"); /* a field named like an option */
    peer_expect(b, &p, "DGET k a none ASOF head", "*2 $1 1 $-1");
    static const char *const refused[] = {"DGET k ASOF", "DGET k ASOF 1 ASOF 1", "DGET k a..b", "DGET k VALIDAT", "DGET k VALIDAT -", "DGET k VALIDAT x", "DASOF k", "DMGET 0 k", "DMGET 2 k", "DMGET 1 k x", "DMGET -1 k"};
    for (unsigned i = 0; i < sizeof refused / sizeof *refused; i++)
        if (!text_starts(peer_ask(b, &p, "%s", refused[i]), "-")) fail_msg("%s: %s", refused[i], (const char *)p.text.p);
    peer_forget(&p);
}

static void a_transaction_reads_what_it_wrote(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    (void)peer_ask(b, &p, "DPUT k 1");
    peer_expect(b, &p, "MULTI", "+OK");
    peer_expect(b, &p, "DPUT k 2", "+QUEUED");
    peer_expect(b, &p, "DGET k", "+QUEUED");
    peer_expect(b, &p, "DGET k ASOF head", "+QUEUED");
    peer_expect(b, &p, "DASOF k 1", "+QUEUED");
    peer_expect(b, &p, "DDEL k", "+QUEUED");
    peer_expect(b, &p, "DGET k", "+QUEUED");
    const char *all = peer_ask(b, &p, "EXEC");
    assert_non_null(strstr(all, " $1 2 $1 2 $1 1 *2 :3 "));
    peer_expect(b, &p, "DGET k ASOF 2", "$1 1"); /* inside the commit is before it */
    peer_expect(b, &p, "SET s text", "+OK");
    assert_true(text_starts(peer_ask(b, &p, "DGET s"), "-WRONGTYPE "));
    peer_expect(b, &p, "DASOF s head", "$4 text");
    assert_true(text_starts(peer_ask(b, &p, "DASOF s head a"), "-WRONGTYPE "));
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(any_point_is_what_it_was), WITH_SERVER(paths_at_their_limits), WITH_SERVER(a_transaction_reads_what_it_wrote)};
    return cmocka_run_group_tests_name("doc_read", tests, NULL, NULL);
}
