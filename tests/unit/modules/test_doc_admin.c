/* DINFO against a model of what was written, and DSYNC: who waits, who gives up, who goes away, and a disk that fails. */
#include "bed_client.h"

#include "support/json_gen.h"

static void counts_follow_a_model(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {18};
    bool there[20] = {0};
    unsigned versions = 0;
    for (unsigned i = 0; i < 200; i++) {
        unsigned k = rng_below(&r, 20), docs = 0;
        if (rng_below(&r, 3) == 0) {
            versions += there[k];
            (void)peer_ask(b, &p, "DDEL c:%u", k);
            there[k] = false;
        } else {
            (void)peer_ask(b, &p, "DPUT c:%u %u", k, i);
            versions++;
            there[k] = true;
        }
        for (unsigned j = 0; j < 20; j++) docs += there[j];
        if (i % 10) continue;
        const char *info = peer_ask(b, &p, "DINFO");
        assert_int_equal(text_field(info, "seq"), bed_seq(b));
        assert_int_equal(text_field(info, "nodes"), versions);
        assert_int_equal(text_field(info, "docs"), docs);
        if (docs > 0) assert_int_equal(text_field(peer_ask(b, &p, "DINFO COLL c"), "docs"), docs);
    }
    peer_expect(b, &p, "DINFO COLL none", "$-1");
    peer_expect(b, &p, "DINFO KEY none", "$-1");
    assert_true(text_starts(peer_ask(b, &p, "DINFO KEY"), "-ERR syntax"));
    peer_forget(&p);
}

static void waiting_for_the_disk(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    for (unsigned i = 0; i < 20; i++) {
        struct peer q = peer_new(b), gone = peer_new(b);
        (void)peer_ask(b, &p, "SET k %u", i);
        peer_say(b, &q, i % 2 ? "DSYNC" : "DSYNC 100000");
        peer_say(b, &gone, "DSYNC");
        bed_turn(b);
        peer_vanish(b, &gone);
        const char *got = peer_reply(b, &q);
        assert_true(got[0] == ':' && strtoull(got + 1, NULL, 10) >= bed_seq(b));
        peer_vanish(b, &q);
    }
    assert_true(text_starts(peer_ask(b, &p, "DSYNC -1"), "-ERR"));
    assert_true(text_starts(peer_ask(b, &p, "DSYNC 9223372036854775807"), "-ERR"));
    assert_true(text_starts(peer_ask(b, &p, "DSYNC 1 2"), "-ERR"));
    peer_expect(b, &p, "MULTI", "+OK");
    peer_expect(b, &p, "DSYNC", "+QUEUED");
    peer_expect(b, &p, "EXEC", "*1 -ERR DSYNC is not possible inside a transaction");
    peer_forget(&p);
}

static void a_failing_disk_is_told(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET k 1", "+OK");
    bed_break_log(b);
    assert_true(text_starts(peer_ask(b, &p, "SET k 2"), "-MISCONF "));
    assert_true(text_starts(peer_ask(b, &p, "DSYNC 100"), "-"));
    peer_expect(b, &p, "GET k", "$1 1");
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(counts_follow_a_model), WITH_SERVER(waiting_for_the_disk), WITH_SERVER(a_failing_disk_is_told)};
    return cmocka_run_group_tests_name("doc_admin", tests, NULL, NULL);
}
