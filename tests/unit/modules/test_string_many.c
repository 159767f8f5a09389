/* Several strings at once: one commit, all or nothing, whatever is wrong with one of them. */
#include "bed_client.h"

#define MANY 5000

static void send_many(struct bed *b, struct peer *p, const char *command, size_t n, size_t bad_key_bytes)
{
    slice *word = mem_alloc((2 * n + 1) * sizeof *word);
    char (*name)[16] = mem_alloc(n * sizeof *name);
    char *long_key = mem_zalloc(bad_key_bytes + 1);
    memset(long_key, 'x', bad_key_bytes);
    word[0] = slice_str(command);
    for (size_t i = 0; i < n; i++) {
        int len = snprintf(name[i], sizeof name[i], "k%zu", i);
        word[2 * i + 1] = bad_key_bytes && i == n / 2 ? slice_of(long_key, bad_key_bytes) : slice_of(name[i], (size_t)len);
        word[2 * i + 2] = slice_of(name[i] + 1, (size_t)len - 1);
    }
    peer_words(b, p, 2 * n + 1, word);
    mem_free(word);
    mem_free(name);
    mem_free(long_key);
}

static void thousands_are_one_commit(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b), q = peer_new(b);
    send_many(b, &p, "MSET", MANY, 0);
    assert_string_equal(peer_reply(b, &p), "+OK");
    unsigned long long last = bed_seq(b);
    assert_int_equal(last, MANY);
    /* A point inside the commit is before it: nothing is there in part. */
    assert_string_equal(peer_ask(b, &q, "DRUN %u DBSIZE", MANY - 1), ":0");
    assert_string_equal(peer_ask(b, &q, "DRUN %u DBSIZE", MANY), ":5000");
    assert_string_equal(peer_ask(b, &q, "GET k%u", MANY - 1), "$4 4999");
    assert_string_equal(peer_ask(b, &q, "DRUN 1 MGET k0 k1"), "*2 $-1 $-1");
    peer_vanish(b, &q);
    peer_forget(&p);
}

static void one_bad_key_spoils_all(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const commands[] = {"MSET", "MSETNX"};
    peer_expect(b, &p, "SET k1 old", "+OK");
    uint64_t seq = bed_seq(b);
    for (unsigned i = 0; i < 2; i++) {
        send_many(b, &p, commands[i], 9, 65536);
        const char *got = peer_reply(b, &p);
        assert_true(text_starts(got, "-") || (i == 1 && strcmp(got, ":0") == 0));
        assert_int_equal(bed_seq(b), seq);
    }
    peer_expect(b, &p, "DEL k1", ":1");
    send_many(b, &p, "MSETNX", 9, 65536);
    assert_true(text_starts(peer_reply(b, &p), "-"));
    peer_expect(b, &p, "DBSIZE", ":0");
    send_many(b, &p, "MSETNX", 9, 65535); /* the longest key there may be */
    assert_string_equal(peer_reply(b, &p), ":1");
    peer_expect(b, &p, "DBSIZE", ":9");
    peer_forget(&p);
}

static void a_key_that_comes_twice(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET a 0 EX 1000", "+OK");
    peer_expect(b, &p, "MSET a 1 b 2 a 3", "+OK");
    peer_expect(b, &p, "MGET a b a none", "*4 $1 3 $1 2 $1 3 $-1");
    peer_expect(b, &p, "TTL a", ":-1");
    peer_expect(b, &p, "DEL a b", ":2");
    peer_expect(b, &p, "MSETNX a 1 a 2", ":1"); /* judged before anything is written */
    peer_expect(b, &p, "GET a", "$1 2");
    assert_true(text_starts(peer_ask(b, &p, "DPUT d {}"), "*2 :"));
    peer_expect(b, &p, "MSETNX x 1 d 2", ":0");
    peer_expect(b, &p, "MGET a d", "*2 $1 2 $-1");
    peer_expect(b, &p, "MSET d 1", "+OK"); /* as SET: the old value does not matter */
    peer_expect(b, &p, "MGET x d", "*2 $-1 $1 1");
    peer_forget(&p);
}

static void a_failing_commit_changes_nothing(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "MSET a 1 b 2", "+OK");
    bed_break_log(b);
    assert_true(text_starts(peer_ask(b, &p, "MSET a 9 b 9 c 9"), "-MISCONF "));
    assert_true(text_starts(peer_ask(b, &p, "MSETNX d 9 e 9"), "-MISCONF "));
    peer_expect(b, &p, "MGET a b c d e", "*5 $1 1 $1 2 $-1 $-1 $-1");
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(thousands_are_one_commit),
        WITH_SERVER(one_bad_key_spoils_all),
        WITH_SERVER(a_key_that_comes_twice),
        WITH_SERVER(a_failing_commit_changes_nothing),
    };
    return cmocka_run_group_tests_name("string_many", tests, NULL, NULL);
}
