/* Write options: each at and beyond its border, all refusals without a trace, and tokens across reloads, transactions and databases. */
#include "bed_client.h"
#include "modules/doc/doc.h"

/* DPUT k <value> <option> <bytes of 'x'> */
static bool takes_text(struct bed *b, struct peer *p, const char *option, size_t bytes)
{
    char *text = mem_zalloc(bytes + 1);
    memset(text, 'x', bytes);
    slice word[] = {slice_str("DPUT"), slice_str("k"), slice_str("1"), slice_str(option), slice_of(text, bytes)};
    peer_words(b, p, 5, word);
    bool ok = text_starts(peer_reply(b, p), "*2 :");
    if (!ok) assert_true(text_starts((const char *)p->text.p, "-TOOBIG "));
    mem_free(text);
    return ok;
}

static void lengths_and_counts(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    assert_true(takes_text(b, &p, "NOTE", NODE_NOTE_MAX) && !takes_text(b, &p, "NOTE", NODE_NOTE_MAX + 1) && !takes_text(b, &p, "NOTE", 0));
    assert_true(takes_text(b, &p, "IDEM", NODE_IDEM_MAX) && !takes_text(b, &p, "IDEM", NODE_IDEM_MAX + 1) && !takes_text(b, &p, "IDEM", 0));
    for (unsigned n = DOC_CAUSES_MAX; n <= DOC_CAUSES_MAX + 1; n++) {
        slice word[5 + DOC_CAUSES_MAX + 1] = {slice_str("DPUT"), slice_str("c"), slice_str("1"), slice_str("CAUSEDBY")};
        char count[8];
        snprintf(count, sizeof count, "%u", n);
        word[4] = slice_str(count);
        for (unsigned i = 0; i < n; i++) word[5 + i] = slice_str("seq:1");
        peer_words(b, &p, 5 + n, word);
        assert_true(text_starts(peer_reply(b, &p), n == DOC_CAUSES_MAX ? "*2 :" : "-ERR "));
    }
    peer_forget(&p);
}

static void what_is_refused_leaves_no_trace(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const options[] = {
        "NX XX", "XX NX", "IFSEQ 1 IFHASH 0", "IFSEQ", "IFSEQ -1", "IFSEQ 18446744073709551616", "IFHASH 12", "EX 0", "EX -1", "EX 9223372036854775807", "EX 9223372036854775", "PX 9223372036854775807", "EXAT 9223372036854776", "EX 1 PX 1",
        "EX 5 KEEPTTL", "KEEPTTL EX 5", "KEEPTTL KEEPTTL", "VALID 5 5", "VALID 6 5", "VALID 5", "VALID x 5", "VALID - x", "CAUSEDBY 0", "CAUSEDBY 2 seq:1", "CAUSEDBY 1 seq:9999", "CAUSEDBY 1 key:none", "PROPS {}", "NOTE", "IDEM", "BOGUS",
    };
    assert_true(text_starts(peer_ask(b, &p, "DPUT k 1"), "*2 :"));
    uint64_t seq = bed_seq(b);
    for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
        if (!text_starts(peer_ask(b, &p, "DPUT k 2 %s", options[i]), "-")) fail_msg("%s: %s", options[i], (const char *)p.text.p);
    for (unsigned i = 0; i < 8; i++) /* and a good one first does not help */
        if (!text_starts(peer_ask(b, &p, "DPUT k 2 NOTE fine IDEM new %s", options[i]), "-")) fail_msg("%s: %s", options[i], (const char *)p.text.p);
    assert_int_equal(bed_seq(b), seq);
    assert_true(text_starts(peer_ask(b, &p, "DPUT k 3 IDEM new"), "*2 :2 ")); /* the token was never taken */
    peer_expect(b, &p, "DGET k", "$1 3");
    peer_forget(&p);
}

static void times_and_instants_at_their_borders(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    assert_true(text_starts(peer_ask(b, &p, "DPUT k 1 PXAT 9223372036854775807"), "*2 :"));
    peer_expect(b, &p, "PEXPIRETIME k", ":9223372036854775807");
    assert_true(text_starts(peer_ask(b, &p, "DPUT k 2 KEEPTTL"), "*2 :"));
    peer_expect(b, &p, "PEXPIRETIME k", ":9223372036854775807");
    assert_true(text_starts(peer_ask(b, &p, "DPUT k 3"), "*2 :"));
    peer_expect(b, &p, "TTL k", ":-1");
    assert_true(text_starts(peer_ask(b, &p, "DPUT v 1 VALID 1999-12-31T23:59:59Z 2000-01-01T00:00:00Z"), "*2 :"));
    peer_expect(b, &p, "DGET v VALIDAT 946684799999", "$1 1");
    peer_expect(b, &p, "DGET v VALIDAT 946684800000", "$-1");
    assert_true(text_starts(peer_ask(b, &p, "DPUT w 1 VALID - -"), "*2 :"));
    peer_expect(b, &p, "DGET w VALIDAT -9000000000000000000", "$1 1");
    peer_forget(&p);
}

static void tokens(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    char first[200];
    snprintf(first, sizeof first, "%.199s", peer_ask(b, &p, "DPUT k 1 IDEM t"));
    uint64_t seq = bed_seq(b);
    peer_expect(b, &p, "DPUT k 2 IDEM t", first);
    peer_expect(b, &p, "DPUT other 3 IDEM t IFSEQ 77", first); /* the token decides before all else */
    peer_expect(b, &p, "DEBUG RELOAD", "+OK");
    peer_expect(b, &p, "DPUT k 2 IDEM t", first);
    assert_true(text_starts(peer_ask(b, &p, "DPUT k 2 IDEM T"), "*2 :2"));
    assert_int_equal(bed_seq(b), seq + 1);
    peer_expect(b, &p, "SELECT 1", "+OK"); /* another database is another lineage */
    assert_true(text_starts(peer_ask(b, &p, "DPUT k 9 IDEM t"), "*2 :3"));
    peer_expect(b, &p, "MULTI", "+OK");
    peer_expect(b, &p, "DPUT m 1 IDEM in", "+QUEUED");
    peer_expect(b, &p, "DPUT m 2 IDEM in", "+QUEUED");
    assert_true(text_starts(peer_ask(b, &p, "EXEC"), "*2 *2 :4 "));
    peer_expect(b, &p, "DGET m", "$1 1");
    peer_expect(b, &p, "MULTI", "+OK");
    peer_expect(b, &p, "DPUT n 1 IDEM dropped", "+QUEUED");
    peer_expect(b, &p, "DISCARD", "+OK");
    assert_true(text_starts(peer_ask(b, &p, "DPUT n 2 IDEM dropped"), "*2 :5"));
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(lengths_and_counts), WITH_SERVER(what_is_refused_leaves_no_trace), WITH_SERVER(times_and_instants_at_their_borders), WITH_SERVER(tokens)};
    return cmocka_run_group_tests_name("doc_options", tests, NULL, NULL);
}
