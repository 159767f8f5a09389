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

/* Nobody has to guess which of two counts. */
static void an_option_stands_once(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const asked[] = {
        "DPUT k 2 IFSEQ 1 IFSEQ 1", "DPUT k 2 IFCHANGED IFCHANGED", "DPUT k 2 VALID 1 2 VALID 3 4", "DPUT k 2 NOTE a note b", "DPUT k 2 IDEM a IDEM a",
        "DPUT k 2 CAUSEDBY 1 seq:1 NOTE a CAUSEDBY 1 seq:1", "DPUT k 2 EX 5 EX 5",
        "DPUT k 2 IFHASH 0000000000000000000000000000000000000000000000000000000000000000 IFHASH 0000000000000000000000000000000000000000000000000000000000000000",
        "DDEL k NOTE a NOTE b", "DDEL k VALID 1 2 VALID 1 2", "DMPUT 1 k 2 * NOTE a NOTE a", "DPATCH k MERGE 2 IFSEQ 1 IFSEQ 1", "DINCRBY k a 2 NOTE a NOTE b", "DREVERT k 1 NOTE a NOTE b",
        "DREVERT ALL 1 DRYRUN NOTE a NOTE b", "DREVERT PREFIX k 1 DRYRUN DRYRUN", "DLINK k r k PROPS {} PROPS {}", "DLINK k r k VALID 1 2 VALID 1 2",
        "DLINKS k REL 1 a REL 1 b", "DLINKS k OUT IN", "DLINKS k BOTH BOTH", "DLINKS k COUNT 1 COUNT 1", "DLINKS k ASOF 1 ASOF 1", "DLINKS k CURSOR 0 CURSOR 0",
        "DTRAVERSE k REL 1 a OUT REL 1 a", "DTRAVERSE k IN OUT", "DTRAVERSE k DEPTH 1 DEPTH 2", "DTRAVERSE k LIMIT 1 LIMIT 1", "DTRAVERSE k WITHDATA WITHDATA",
        "DTRACE seq:1 CAUSES EFFECTS", "DTRACE seq:1 EFFECTS EFFECTS", "DTRACE seq:1 DEPTH 1 DEPTH 1", "DTRACE seq:1 LIMIT 1 WITHDATA LIMIT 1",
        "DGET k VALIDAT 1 VALIDAT 1", "DGET k ASOF head ASOF head", "DGET k WITHMETA WITHMETA", "DASOF k 1 a WITHMETA b WITHMETA", "DSCAN 0 COLL a COLL b", "DSCAN 0 PREFIX a PREFIX b",
        "DSCAN 0 MATCH a MATCH b", "DSCAN 0 COUNT 1 COUNT 1", "DSCAN 0 ASOF 1 ASOF 1", "DSCAN 0 WITHDATA WITHDATA", "DHISTORY k FROM 1 FROM 1", "DHISTORY k TO 1 TO 1", "DHISTORY k REV REV",
        "DHISTORY k COUNT 1 COUNT 1", "DTIMELINE k ASOF 1 ASOF 1", "DTIMELINE k FROM 1 FROM 1", "DTIMELINE k TO 2 TO 2", "DTOP c p ASC 1 ASOF 1 ASOF 1", "DTOP c p ASC 1 AFTER 1 AFTER 1",
        "DCHANGES FROM 0 TO 1 TO 1", "DCHANGES FROM 0 COUNT 1 COUNT 1", "DCHANGES FROM 0 BLOCK 1 BLOCK 1", "DCHANGES FROM 0 WITHDATA WITHDATA", "DCHANGES FROM 0 KEY k COLL c",
        "DCOUNT c WHERE a=1 WHERE a=2", "DCOUNT c PARAMS 0 PARAMS 0", "DCOUNT c ASOF 1 ASOF 1", "DCOMPACT KEEP 1 KEEP 2 DRYRUN", "DCOMPACT BEFORE 1 BEFORE 1 DRYRUN", "DCOMPACT PREFIX a PREFIX a DRYRUN",
        "DCOMPACT DRYRUN DRYRUN", "DCOMPACT DRYRUN ASYNC ASYNC", "DRETAIN SET k VERSIONS 1 VERSIONS 1",
    };
    static const char *const queries[] = {"PARAMS 0 PARAMS 0", "CURSOR x CURSOR x", "COUNT 1 COUNT 1", "TIMEOUT 1 TIMEOUT 1", "NOSCAN NOSCAN", "EXPLAIN EXPLAIN"};
    assert_true(text_starts(peer_ask(b, &p, "DPUT k {\"a\":1}"), "*2 :"));
    uint64_t seq = bed_seq(b);
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++)
        if (!text_starts(peer_ask(b, &p, "%s", asked[i]), "-ERR syntax error")) fail_msg("%s: %s", asked[i], (const char *)p.text.p);
    for (unsigned i = 0; i < sizeof queries / sizeof *queries; i++) {
        char words[64];
        slice word[6] = {slice_str("DQUERY"), slice_str("FROM k")};
        size_t n = 2;
        snprintf(words, sizeof words, "%s", queries[i]);
        for (char *at = words; n < 6; at = strchr(at, ' ') + 1) {
            word[n++] = slice_of(at, strcspn(at, " "));
            if (strchr(at, ' ') == NULL) break;
        }
        peer_words(b, &p, n, word);
        if (!text_starts(peer_reply(b, &p), "-ERR syntax error")) fail_msg("%s: %s", queries[i], (const char *)p.text.p);
    }
    assert_int_equal(bed_seq(b), seq);
    assert_true(text_starts(peer_ask(b, &p, "DPUT k 2 CAUSEDBY 2 seq:1 seq:1 NOTE note"), "*2 :2")); /* a list may name one twice, and a value may read like an option */
    assert_true(text_starts(peer_ask(b, &p, "DGET k a a"), "*2 "));
    peer_expect(b, &p, "DPUT k 3 NX NX", "$-1"); /* as SET */
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
    const struct CMUnitTest tests[] = {WITH_SERVER(lengths_and_counts), WITH_SERVER(what_is_refused_leaves_no_trace), WITH_SERVER(an_option_stands_once), WITH_SERVER(times_and_instants_at_their_borders), WITH_SERVER(tokens)};
    return cmocka_run_group_tests_name("doc_options", tests, NULL, NULL);
}
