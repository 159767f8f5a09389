/* LCS against a search that tries everything: length, that the text is a part of both, that the runs are the text; and the memory it may take. */
#include "bed_client.h"

#include "support/json_gen.h"

#define LEN_MAX 24

/* Longest common subsequence by remembered recursion, at most LEN_MAX deep on either side. */
static int longest(const char *a, const char *b, int memo[LEN_MAX + 1][LEN_MAX + 1], int i, int j)
{
    if (a[i] == 0 || b[j] == 0) return 0;
    if (memo[i][j] >= 0) return memo[i][j];
    int skip_a = longest(a, b, memo, i + 1, j), skip_b = longest(a, b, memo, i, j + 1), best = skip_a > skip_b ? skip_a : skip_b;
    if (a[i] == b[j]) {
        int both = 1 + longest(a, b, memo, i + 1, j + 1);
        if (both > best) best = both;
    }
    return memo[i][j] = best;
}

static bool is_part(slice part, const char *of)
{
    size_t k = 0;
    for (; *of && k < part.n; of++) k += (uint8_t)*of == part.p[k];
    return k == part.n;
}

static void random_text(struct rng *r, char *s)
{
    unsigned n = 1 + rng_below(r, LEN_MAX), letters = 2 + rng_below(r, 4);
    for (unsigned i = 0; i < n; i++) s[i] = (char)('a' + rng_below(r, letters));
    s[n] = 0;
}

/* Reads the runs of IDX, checks each, joins them (they come from the last) and gives how many bytes they have. */
static int joined(const char *text, const char *a, const char *b, int min, char *out)
{
    int n = 0, a0, a1, b0, b1, len, used, before_a = LEN_MAX + 1, before_b = LEN_MAX + 1;
    const char *at = strchr(strstr(text, "matches *") + 9, ' ');
    while (at && sscanf(at, " *3 *2 :%d :%d *2 :%d :%d :%d%n", &a0, &a1, &b0, &b1, &len, &used) == 5) {
        assert_true(len == a1 - a0 + 1 && len == b1 - b0 + 1 && len >= min && len > 0);
        assert_true(a1 < before_a && b1 < before_b);
        assert_memory_equal(a + a0, b + b0, (size_t)len);
        memmove(out + len, out, (size_t)n);
        memcpy(out, a + a0, (size_t)len);
        n += len;
        before_a = a0;
        before_b = b0;
        at += used;
    }
    return n;
}

static void random_strings(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {31};
    char x[LEN_MAX + 1], y[LEN_MAX + 1], runs[LEN_MAX + 1], text[LEN_MAX + 1], want[16];
    for (unsigned round = 0; round < 400; round++) {
        int memo[LEN_MAX + 1][LEN_MAX + 1];
        memset(memo, -1, sizeof memo);
        random_text(&r, x);
        random_text(&r, y);
        int best = longest(x, y, memo, 0, 0), min = 1 + (int)rng_below(&r, 4);
        (void)peer_ask(b, &p, "MSET x %s y %s", x, y);
        (void)peer_ask(b, &p, "LCS x y");
        slice got = peer_bulk(&p);
        assert_int_equal(got.n, best);
        assert_true(is_part(got, x) && is_part(got, y));
        memcpy(text, got.p, got.n);
        snprintf(want, sizeof want, ":%d", best);
        peer_expect(b, &p, "LCS x y LEN", want);
        peer_expect(b, &p, "LCS y x LEN", want);
        int n = joined(peer_ask(b, &p, "LCS x y IDX WITHMATCHLEN"), x, y, 1, runs);
        assert_true(n == best && memcmp(runs, text, (size_t)n) == 0);
        assert_int_equal(text_field(peer_ask(b, &p, "LCS x y IDX WITHMATCHLEN MINMATCHLEN %d", min), "len"), best);
        assert_true(joined((const char *)p.text.p, x, y, min, runs) <= best);
    }
    peer_forget(&p);
}

static void bytes_of_any_value(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    uint8_t all[256];
    for (unsigned i = 0; i < 256; i++) all[i] = (uint8_t)i;
    slice x[] = {slice_str("MSET"), slice_str("x"), slice_of(all, 256), slice_str("y"), slice_of(all, 256)};
    peer_words(b, &p, 5, x);
    assert_string_equal(peer_reply(b, &p), "+OK");
    (void)peer_ask(b, &p, "LCS x y");
    assert_true(slice_eq(peer_bulk(&p), slice_of(all, 256)));
    peer_expect(b, &p, "LCS x y IDX MINMATCHLEN 256", "*4 $7 matches *1 *2 *2 :0 :255 *2 :0 :255 $3 len :256");
    peer_expect(b, &p, "LCS x y IDX MINMATCHLEN 257", "*4 $7 matches *0 $3 len :256");
    peer_expect(b, &p, "LCS x y IDX MINMATCHLEN -9223372036854775808", "*4 $7 matches *1 *2 *2 :0 :255 *2 :0 :255 $3 len :256");
    peer_expect(b, &p, "LCS x x LEN", ":256");
    peer_forget(&p);
}

/* The table has (a + 1) × (b + 1) places of four bytes. */
static void memory_at_the_limit(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char refused[] = "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
    peer_expect(b, &p, "CONFIG SET proto-max-bulk-len 1048576", "+OK");
    peer_expect(b, &p, "SETRANGE x 510 e", ":511");
    peer_expect(b, &p, "SETRANGE y 510 e", ":511");
    peer_expect(b, &p, "SETRANGE z 511 e", ":512");
    peer_expect(b, &p, "LCS x y LEN", ":511");
    peer_expect(b, &p, "LCS x z LEN", refused);
    peer_expect(b, &p, "LCS z x", refused);
    size_t before = mem_used();
    for (unsigned i = 0; i < 100; i++) peer_expect(b, &p, "LCS x y LEN", ":511");
    assert_true(mem_used() < before + (32 << 20)); /* a hundred tables of 1 MiB */
    peer_expect(b, &p, "SETRANGE long 262142 e", ":262143");
    peer_expect(b, &p, "LCS none long LEN", ":0");
    peer_expect(b, &p, "APPEND long e", ":262144");
    peer_expect(b, &p, "LCS none long LEN", refused);
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(random_strings),
        WITH_SERVER(bytes_of_any_value),
        WITH_SERVER(memory_at_the_limit),
    };
    return cmocka_run_group_tests_name("string_lcs", tests, NULL, NULL);
}
