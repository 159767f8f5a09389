/* DHEAD, DPROVE and DVERIFY: answers checked as a client would, tree sizes at their borders, and verification beside writers and clients that go away. */
#include "bed_client.h"

#include "base/hash.h"

/* The 64 digits behind "$64 " at the n-th place after a mark. */
static void hash_at(const char *text, const char *mark, unsigned n, uint8_t out[HASH_BYTES])
{
    const char *at = strstr(text, mark);
    assert_non_null(at);
    for (unsigned i = 0; i <= n; i++) {
        at = strstr(at, "$64 ");
        assert_non_null(at);
        at += 4;
    }
    assert_true(hex_decode(out, at, HASH_BYTES));
}

static void inner(uint8_t out[HASH_BYTES], const uint8_t *left, const uint8_t *right)
{
    struct buf both = {0};
    buf_add_byte(&both, 1);
    buf_add(&both, left, HASH_BYTES);
    buf_add(&both, right, HASH_BYTES);
    sha256(out, both.p, both.n);
    buf_fini(&both);
}

/* RFC 9162, 2.1.3.2, in its own words. */
static void check_inclusion(struct bed *b, struct peer *p, uint64_t seq, uint64_t size)
{
    uint8_t r[HASH_BYTES], sibling[HASH_BYTES], root[HASH_BYTES], node[HASH_BYTES];
    const char *text = peer_ask(b, p, "DPROVE INCLUSION seq:%llu SIZE %llu", (unsigned long long)seq, (unsigned long long)size);
    uint64_t fn = seq - 1, sn = size - 1;
    assert_int_equal(text_field(text, "index"), fn);
    hash_at(text, "$4 root", 0, root);
    assert_int_equal(engine_hash(b->server.engine, seq, node), E_OK);
    sha256_leaf(r, node);
    hash_at(text, "$4 leaf", 0, sibling);
    assert_memory_equal(r, sibling, HASH_BYTES);
    unsigned n = (unsigned)strtoul(strstr(text, "$4 path *") + 9, NULL, 10);
    for (unsigned i = 0; i < n; i++) {
        hash_at(text, "$4 path", i, sibling);
        assert_true(sn != 0);
        if ((fn & 1) || fn == sn) {
            inner(r, sibling, r);
            while (!(fn & 1) && fn != 0) fn >>= 1, sn >>= 1;
        } else {
            inner(r, r, sibling);
        }
        fn >>= 1;
        sn >>= 1;
    }
    assert_true(sn == 0);
    assert_memory_equal(r, root, HASH_BYTES);
}

static void every_leaf_of_every_small_tree(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    for (unsigned i = 0; i < 33; i++) (void)peer_ask(b, &p, "DPUT k:%u %u", i % 5, i);
    for (uint64_t size = 1; size <= 33; size += size < 9 ? 1 : 4)
        for (uint64_t seq = 1; seq <= size; seq++) check_inclusion(b, &p, seq, size);
    peer_forget(&p);
}

static void sizes_at_their_borders(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    assert_non_null(strstr(peer_ask(b, &p, "DHEAD"), "$4 size :0 $4 root $64 e3b0c44298fc1c149afbf4c8996fb924")); /* SHA-256 of nothing */
    for (unsigned i = 0; i < 10; i++) (void)peer_ask(b, &p, "DPUT k %u", i);
    static const char *const good[] = {"DHEAD ASOF 0", "DHEAD ASOF seq:10", "DPROVE CONSISTENCY 0 0", "DPROVE CONSISTENCY 0 10", "DPROVE CONSISTENCY 10 10", "DPROVE INCLUSION seq:10 SIZE 10", "DVERIFY RANGE 1 1", "DVERIFY RANGE 10 10", "DVERIFY KEY none"};
    static const char *const bad[] = {"DHEAD ASOF 11", "DHEAD ASOF -1", "DHEAD ASOF head", "DPROVE CONSISTENCY 0 11", "DPROVE CONSISTENCY 3 2", "DPROVE CONSISTENCY 0", "DPROVE INCLUSION seq:10 SIZE 9", "DPROVE INCLUSION seq:1 SIZE 11",
                                      "DPROVE INCLUSION seq:1 SIZE 0", "DVERIFY RANGE 0 1", "DVERIFY RANGE 2 1", "DVERIFY RANGE 1 11", "DVERIFY KEY", "DVERIFY SOME"};
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++)
        if (!text_starts(peer_ask(b, &p, "%s", good[i]), "*")) fail_msg("%s: %s", good[i], (const char *)p.text.p);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!text_starts(peer_ask(b, &p, "%s", bad[i]), "-")) fail_msg("%s: %s", bad[i], (const char *)p.text.p);
    peer_expect(b, &p, "DPROVE INCLUSION seq:11", "$-1");
    peer_forget(&p);
}

static void verifying_beside_writers(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "DEBUG POPULATE 20000 key 40", "+OK");
    for (unsigned round = 0; round < 6; round++) {
        struct peer q = peer_new(b), gone = peer_new(b);
        peer_say(b, &q, round % 2 ? "DVERIFY" : "DVERIFY RANGE 1 20000");
        peer_say(b, &gone, "DVERIFY ALL");
        bed_turn(b);
        for (unsigned i = 0; i < 50; i++) (void)peer_ask(b, &p, "SET w:%u %u", i, round);
        if (round == 3) peer_expect(b, &p, "FLUSHALL", "+OK");
        if (round == 4) assert_true(text_starts(peer_ask(b, &p, "DCOMPACT KEEP 1"), "*14 "));
        peer_vanish(b, &gone); /* its thread is joined */
        const char *text = peer_reply(b, &q);
        assert_non_null(strstr(text, "$3 bad *0 $7 root_ok :1"));
        if (round < 4) assert_true(text_field(text, "checked") >= 20000);
        peer_vanish(b, &q);
    }
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(every_leaf_of_every_small_tree),
        WITH_SERVER(sizes_at_their_borders),
        WITH_SERVER(verifying_beside_writers),
    };
    return cmocka_run_group_tests_name("doc_proof", tests, NULL, NULL);
}
