/* Parts of strings against plain arrays of bytes: any ranges, any writes, every state again from the log and at its own point of the past; and the limit of length. */
#include "bed_client.h"

#include "support/json_gen.h"

#define BYTES_MAX 6000
#define WRITES    150

/* What GETRANGE means, said plainly: the bytes whose place, counted from either end, lies between both ends. */
static size_t part_of(const uint8_t *s, size_t n, long long from, long long to, uint8_t *out)
{
    size_t k = 0;
    long long len = (long long)n;
    if (from < 0) from += len;
    if (to < 0) to += len;
    for (long long i = 0; i < len; i++)
        if (i >= from && i <= to) out[k++] = s[i];
    return k;
}

static void ranges_follow_a_model(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {1};
    uint8_t s[64], want[64];
    for (unsigned round = 0; round < 60; round++) {
        size_t n = rng_below(&r, round < 30 ? 6 : 60);
        for (size_t i = 0; i < n; i++) s[i] = (uint8_t)rng_next(&r);
        slice set[] = {slice_str("SET"), slice_str("k"), slice_of(s, n)};
        peer_words(b, &p, 3, set);
        assert_string_equal(peer_reply(b, &p), "+OK");
        for (unsigned i = 0; i < 40; i++) {
            long long from = (long long)rng_below(&r, 2 * (unsigned)n + 8) - (long long)n - 4, to = (long long)rng_below(&r, 2 * (unsigned)n + 8) - (long long)n - 4;
            if (rng_below(&r, 10) == 0) from = INT64_MIN;
            if (rng_below(&r, 10) == 0) to = INT64_MAX;
            if (rng_below(&r, 20) == 0) to = INT64_MIN;
            if (to < -(long long)n) to = -(long long)n; /* Redis takes an end before the first byte for the first byte */
            if (from == INT64_MIN && to == -(long long)n && n > 0) continue;
            size_t k = from < 0 && to < 0 && from > to ? 0 : part_of(s, n, from < -(long long)n ? -(long long)n : from, to, want);
            (void)peer_ask(b, &p, "GETRANGE k %lld %lld", from, to);
            slice got = peer_bulk(&p);
            if (got.n != k) print_error("%lld %lld of %zu\n", from, to, n);
            assert_int_equal(got.n, k);
            assert_true(k == 0 || memcmp(got.p, want, k) == 0);
        }
    }
    peer_forget(&p);
}

static void write_somewhere(struct bed *b, struct peer *p, struct rng *r, uint8_t *s, size_t *n)
{
    uint8_t bytes[300];
    char offset[24], want[24];
    size_t more = rng_below(r, sizeof bytes), at = rng_below(r, (unsigned)*n + 50);
    bool append = rng_below(r, 3) == 0;
    if (append) at = *n;
    if (at + more > BYTES_MAX) more = 0;
    for (size_t i = 0; i < more; i++) bytes[i] = (uint8_t)rng_next(r);
    snprintf(offset, sizeof offset, "%zu", at);
    slice set[] = {slice_str("SETRANGE"), slice_str("k"), slice_str(offset), slice_of(bytes, more)};
    slice add[] = {slice_str("APPEND"), slice_str("k"), slice_of(bytes, more)};
    peer_words(b, p, append ? 3 : 4, append ? add : set);
    if (more) {
        if (at > *n) memset(s + *n, 0, at - *n);
        memcpy(s + at, bytes, more);
        if (at + more > *n) *n = at + more;
    }
    snprintf(want, sizeof want, ":%zu", *n);
    assert_string_equal(peer_reply(b, p), want);
}

static void writes_follow_a_model_in_the_past_too(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {77};
    static uint8_t state_of[WRITES][BYTES_MAX];
    static size_t bytes_of[WRITES];
    uint64_t seq[WRITES];
    uint8_t s[BYTES_MAX];
    size_t n = 0;
    for (unsigned i = 0; i < WRITES; i++) {
        if (i == 60) { /* in one commit with others, and shorter again */
            peer_expect(b, &p, "SET k short", "+OK");
            memcpy(s, "short", n = 5);
        }
        if (i % 17 == 0) peer_expect(b, &p, "DEBUG RELOAD", "+OK");
        write_somewhere(b, &p, &r, s, &n);
        memcpy(state_of[i], s, n);
        bytes_of[i] = n;
        seq[i] = bed_seq(b);
        (void)peer_ask(b, &p, "GET k");
        assert_true(slice_eq(peer_bulk(&p), slice_of(s, n)));
    }
    for (unsigned i = 0; i < WRITES; i++) {
        (void)peer_ask(b, &p, "DRUN %llu GET k", (unsigned long long)seq[i]);
        assert_true(slice_eq(peer_bulk(&p), slice_of(state_of[i], bytes_of[i])));
        (void)peer_ask(b, &p, "DRUN %llu GETRANGE k -40 -1", (unsigned long long)seq[i]);
        size_t last = bytes_of[i] < 40 ? bytes_of[i] : 40;
        assert_true(slice_eq(peer_bulk(&p), slice_of(state_of[i] + bytes_of[i] - last, last)));
    }
    peer_forget(&p);
}

static void the_limit_of_length(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char refused[] = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    peer_expect(b, &p, "CONFIG SET proto-max-bulk-len 1048576", "+OK");
    peer_expect(b, &p, "SETRANGE k 1048575 x", ":1048576");
    uint64_t seq = bed_seq(b);
    peer_expect(b, &p, "SETRANGE k 1048576 x", refused);
    peer_expect(b, &p, "SETRANGE k 1048575 xy", refused);
    peer_expect(b, &p, "SETRANGE none 1048576 x", refused);
    peer_expect(b, &p, "SETRANGE k 9223372036854775807 x", refused);
    peer_expect(b, &p, "APPEND k x", refused);
    peer_expect(b, &p, "SETRANGE k 9223372036854775808 x", "-ERR value is not an integer or out of range");
    peer_expect(b, &p, "SETRANGE k -9223372036854775808 x", "-ERR offset is out of range");
    peer_expect(b, &p, "SETRANGE k 0 ", "-ERR wrong number of arguments for 'setrange' command");
    assert_int_equal(bed_seq(b), seq);
    peer_expect(b, &p, "STRLEN k", ":1048576");
    peer_expect(b, &p, "EXISTS none", ":0");
    peer_expect(b, &p, "GETRANGE k 1048575 9223372036854775807", "$1 x");
    peer_forget(&p);
}

static void a_failed_log_gives_and_takes_nothing(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const commands[] = {"GETDEL k", "APPEND k x", "SETRANGE k 0 x", "SETRANGE none 3 x", "APPEND none x"};
    peer_expect(b, &p, "SET k abc", "+OK");
    bed_break_log(b);
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) assert_true(text_starts(peer_ask(b, &p, "%s", commands[i]), "-MISCONF "));
    peer_expect(b, &p, "GET k", "$3 abc");
    peer_expect(b, &p, "EXISTS none", ":0");
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(ranges_follow_a_model),
        WITH_SERVER(writes_follow_a_model_in_the_past_too),
        WITH_SERVER(the_limit_of_length),
        WITH_SERVER(a_failed_log_gives_and_takes_nothing),
    };
    return cmocka_run_group_tests_name("string_get", tests, NULL, NULL);
}
