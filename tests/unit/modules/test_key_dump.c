/* DUMP and RESTORE as commands: any bytes there and back, times and marks of use at their borders, and what a refusal leaves alone. */
#include "bed_client.h"

#include "support/json_gen.h"

/* DUMP of a key as bytes of its own. */
static struct buf dump_of(struct bed *b, struct peer *p, const char *key)
{
    struct buf out = {0};
    (void)peer_ask(b, p, "DUMP %s", key);
    buf_add_slice(&out, peer_bulk(p));
    return out;
}

/* RESTORE with the options in `rest`, which are parted by blanks. */
static const char *restore(struct bed *b, struct peer *p, const char *key, const char *ttl, slice payload, const char *rest)
{
    slice word[16] = {slice_str("RESTORE"), slice_str(key), slice_str(ttl), payload};
    size_t n = 4;
    for (const char *at = rest; *at; n++) {
        word[n] = slice_of(at, strcspn(at, " "));
        at += word[n].n + (at[word[n].n] == ' ');
    }
    peer_words(b, p, n, word);
    return peer_reply(b, p);
}

static void any_bytes_there_and_back(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {3};
    static const size_t sizes[] = {0, 1, 11, 20, 63, 64, 65, 16383, 16384, 16385, 70000};
    struct buf text = {0};
    for (unsigned i = 0; i < 3 * sizeof sizes / sizeof *sizes; i++) {
        unsigned kind = i % 3; /* random, all alike, digits */
        buf_clear(&text);
        while (text.n < sizes[i / 3]) buf_add_byte(&text, kind == 0 ? (uint8_t)rng_next(&r) : kind == 1 ? 'x' : (uint8_t)('1' + text.n % 9));
        slice set[] = {slice_str("SET"), slice_str("from"), buf_slice(&text)};
        peer_words(b, &p, 3, set);
        assert_string_equal(peer_reply(b, &p), "+OK");
        struct buf payload = dump_of(b, &p, "from");
        assert_string_equal(restore(b, &p, "to", "0", buf_slice(&payload), "REPLACE"), "+OK");
        (void)peer_ask(b, &p, "GET to");
        assert_true(slice_eq(peer_bulk(&p), buf_slice(&text)));
        buf_fini(&payload);
    }
    buf_fini(&text);
    peer_forget(&p);
}

static void times_at_their_borders(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET v 1", "+OK");
    struct buf d = dump_of(b, &p, "v");
    slice s = buf_slice(&d);
    assert_string_equal(restore(b, &p, "k", "9223372036854775807", s, ""), "-ERR Invalid TTL value, must be >= 0");
    assert_string_equal(restore(b, &p, "k", "-1", s, ""), "-ERR Invalid TTL value, must be >= 0");
    assert_string_equal(restore(b, &p, "k", "9223372036854775808", s, ""), "-ERR value is not an integer or out of range");
    peer_expect(b, &p, "EXISTS k", ":0");
    assert_string_equal(restore(b, &p, "k", "9223372036854775807", s, "ABSTTL"), "+OK");
    peer_expect(b, &p, "PEXPIRETIME k", ":9223372036854775807");
    assert_string_equal(restore(b, &p, "k", "9223370000000000000", s, "REPLACE"), "+OK");
    assert_string_equal(restore(b, &p, "k", "0", s, "REPLACE ABSTTL"), "+OK"); /* 0 is none, absolute or not */
    peer_expect(b, &p, "TTL k", ":-1");
    /* A time that has passed: nothing is made, and what would have been replaced is gone. */
    assert_string_equal(restore(b, &p, "k", "1", s, "REPLACE ABSTTL"), "+OK");
    peer_expect(b, &p, "EXISTS k", ":0");
    uint64_t seq = bed_seq(b);
    assert_string_equal(restore(b, &p, "k", "1", s, "REPLACE ABSTTL"), "+OK");
    assert_int_equal(bed_seq(b), seq);
    buf_fini(&d);
    peer_forget(&p);
}

static void marks_of_use_at_their_borders(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET v 1", "+OK");
    struct buf d = dump_of(b, &p, "v");
    slice s = buf_slice(&d);
    assert_string_equal(restore(b, &p, "k", "0", s, "IDLETIME 1000"), "+OK");
    peer_expect(b, &p, "OBJECT IDLETIME k", ":1000");
    assert_string_equal(restore(b, &p, "k", "0", s, "IDLETIME -1 REPLACE"), "-ERR Invalid IDLETIME value, must be >= 0");
    assert_string_equal(restore(b, &p, "k", "0", s, "FREQ 256 REPLACE"), "-ERR Invalid FREQ value, must be >= 0 and <= 255");
    assert_string_equal(restore(b, &p, "k", "0", s, "FREQ -1 REPLACE"), "-ERR Invalid FREQ value, must be >= 0 and <= 255");
    assert_string_equal(restore(b, &p, "k", "0", s, "FREQ 1 IDLETIME 1 REPLACE"), "-ERR syntax error");
    assert_string_equal(restore(b, &p, "k", "0", s, "IDLETIME 1 FREQ 1 REPLACE"), "-ERR syntax error");
    assert_string_equal(restore(b, &p, "k", "0", s, "REPLACE FREQ"), "-ERR syntax error");
    peer_expect(b, &p, "OBJECT IDLETIME k", ":1000");
    peer_expect(b, &p, "CONFIG SET maxmemory-policy allkeys-lfu", "+OK");
    assert_string_equal(restore(b, &p, "k", "0", s, "FREQ 255 REPLACE"), "+OK");
    peer_expect(b, &p, "OBJECT FREQ k", ":255");
    assert_string_equal(restore(b, &p, "k", "0", s, "FREQ 0 REPLACE"), "+OK");
    peer_expect(b, &p, "OBJECT FREQ k", ":0");
    buf_fini(&d);
    peer_forget(&p);
}

static void a_refused_payload_changes_nothing(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {9};
    peer_expect(b, &p, "SET old standing", "+OK");
    assert_true(text_starts(peer_ask(b, &p, "DPUT d {\"a\":[1,2,\"x\"]}"), "*2 :"));
    struct buf d = dump_of(b, &p, "d");
    uint64_t seq = bed_seq(b);
    for (unsigned i = 0; i < 300; i++) {
        size_t at = rng_next(&r) % d.n;
        uint8_t was = d.p[at];
        d.p[at] ^= (uint8_t)(1 + rng_below(&r, 255));
        assert_true(text_starts(restore(b, &p, "old", "0", buf_slice(&d), "REPLACE"), "-ERR "));
        d.p[at] = was;
        assert_true(text_starts(restore(b, &p, "old", "0", slice_of(d.p, at), "REPLACE"), "-ERR "));
    }
    assert_string_equal(restore(b, &p, "old", "0", buf_slice(&d), ""), "-BUSYKEY Target key name already exists.");
    assert_int_equal(bed_seq(b), seq);
    peer_expect(b, &p, "GET old", "$8 standing");
    assert_string_equal(restore(b, &p, "old", "0", buf_slice(&d), "REPLACE"), "+OK");
    peer_expect(b, &p, "DGET old", "$15 {\"a\":[1,2,\"x\"]}");
    buf_fini(&d);
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(any_bytes_there_and_back),
        WITH_SERVER(times_at_their_borders),
        WITH_SERVER(marks_of_use_at_their_borders),
        WITH_SERVER(a_refused_payload_changes_nothing),
    };
    return cmocka_run_group_tests_name("key_dump", tests, NULL, NULL);
}
