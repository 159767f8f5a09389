/* Counters: sums at the borders of 64 bits against wider arithmetic, texts that are no numbers, floats at both ends of their range. */
#include "bed_client.h"

#include "support/json_gen.h"

static int64_t near_a_border(struct rng *r)
{
    static const int64_t borders[] = {0, 1ll << 31, 1ll << 53, INT64_MAX, INT64_MIN, -(1ll << 53), 10000, -1};
    int64_t v = borders[rng_below(r, 8)], by = rng_below(r, 5) - 2ll, sum;
    return __builtin_add_overflow(v, by, &sum) ? v : sum;
}

static void sums_follow_wider_arithmetic(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {12};
    char want[80];
    unsigned over = 0;
    for (unsigned i = 0; i < 1500; i++) {
        int64_t v = near_a_border(&r), by = near_a_border(&r);
        unsigned kind = rng_below(&r, 4);
        (void)peer_ask(b, &p, "SET n %lld", (long long)v);
        __int128 sum = kind == 0 ? (__int128)v + 1 : kind == 1 ? (__int128)v - 1 : kind == 2 ? (__int128)v + by : (__int128)v - by;
        bool fits = sum >= INT64_MIN && sum <= INT64_MAX;
        snprintf(want, sizeof want, ":%lld", (long long)sum);
        if (!fits) snprintf(want, sizeof want, "-ERR increment or decrement would overflow");
        if (kind == 3 && by == INT64_MIN) snprintf(want, sizeof want, "-ERR decrement would overflow"), fits = false;
        const char *got = kind < 2 ? peer_ask(b, &p, kind ? "DECR n" : "INCR n") : peer_ask(b, &p, kind == 2 ? "INCRBY n %lld" : "DECRBY n %lld", (long long)by);
        if (strcmp(got, want) != 0) print_error("kind %u: %lld, %lld\n", kind, (long long)v, (long long)by);
        assert_string_equal(got, want);
        over += !fits;
        (void)peer_ask(b, &p, "GET n");
        char left[32];
        int len = snprintf(left, sizeof left, "%lld", (long long)(fits ? (int64_t)sum : v));
        assert_true(slice_eq(peer_bulk(&p), slice_of(left, (size_t)len)));
    }
    assert_in_range(over, 50, 1400);
    peer_forget(&p);
}

static void what_is_no_number_stays(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const texts[] = {"", " 1", "1 ", "+1", "01", "-0", "1.0", "0x1", "9223372036854775808", "-9223372036854775809", "1e1", "99999999999999999999", "--1", "-"};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        slice set[] = {slice_str("SET"), slice_str("n"), slice_str(texts[i])};
        slice by[] = {slice_str("INCRBY"), slice_str("one"), slice_str(texts[i])};
        peer_words(b, &p, 3, set);
        (void)peer_reply(b, &p);
        uint64_t seq = bed_seq(b);
        peer_expect(b, &p, "INCR n", "-ERR value is not an integer or out of range");
        peer_words(b, &p, 3, by);
        assert_string_equal(peer_reply(b, &p), "-ERR value is not an integer or out of range");
        assert_int_equal(bed_seq(b), seq);
    }
    peer_expect(b, &p, "EXISTS one", ":0");
    peer_forget(&p);
}

static void floats_at_both_ends(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const struct {
        const char *from, *by, *want;
    } rows[] = {
        {"0", "4.9e-324", "$1 0"},      /* seventeen places are shown, and kept */
        {"0", "1e-17", "$19 0.00000000000000001"},
        {"9007199254740992", "1", "$16 9007199254740993"}, /* long doubles are wider than doubles */
        {"18446744073709551615", "1", "$20 18446744073709551616"},
        {"-9223372036854775808", "-1", "$20 -9223372036854775809"},
        {"1e2", "-100", "$1 0"},
        {"-0", "-0", "$1 0"},
        {"1", "inf", "-ERR increment would produce NaN or Infinity"},
        {"1", "-inf", "-ERR increment would produce NaN or Infinity"},
        {"inf", "-inf", "-ERR increment would produce NaN or Infinity"},
        {"1", "nan", "-ERR value is not a valid float"},
        {"1", "1e5000", "-ERR value is not a valid float"},
        {"1", "1e", "-ERR value is not a valid float"},
        {"1x", "1", "-ERR value is not a valid float"},
        {"0x10", "1", "$2 17"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)peer_ask(b, &p, "SET f %s", rows[i].from);
        const char *got = peer_ask(b, &p, "INCRBYFLOAT f %s", rows[i].by);
        if (strcmp(got, rows[i].want) != 0) print_error("%s + %s\n", rows[i].from, rows[i].by);
        assert_string_equal(got, rows[i].want);
        if (*rows[i].want == '-') {
            (void)peer_ask(b, &p, "GET f");
            assert_true(slice_eq(peer_bulk(&p), slice_str(rows[i].from)));
        }
    }
    /* The widest finite number has its thousands of digits, and one more step is too far. */
    peer_expect(b, &p, "SET f 1e4931", "+OK");
    assert_true(text_starts(peer_ask(b, &p, "INCRBYFLOAT f 1e4931"), "$4932 2"));
    peer_expect(b, &p, "SET f 1.1e4932", "+OK");
    peer_expect(b, &p, "INCRBYFLOAT f 1.1e4932", "-ERR increment would produce NaN or Infinity");
    peer_forget(&p);
}

static void the_end_of_life_stays(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET n 5 PXAT 33177117420000", "+OK");
    peer_expect(b, &p, "INCRBY n 5", ":10");
    peer_expect(b, &p, "INCRBYFLOAT n 0.5", "$4 10.5");
    peer_expect(b, &p, "PEXPIRETIME n", ":33177117420000");
    bed_break_log(b);
    assert_true(text_starts(peer_ask(b, &p, "INCR n"), "-"));
    assert_true(text_starts(peer_ask(b, &p, "INCRBYFLOAT n 1"), "-MISCONF "));
    assert_true(text_starts(peer_ask(b, &p, "INCR m"), "-MISCONF "));
    peer_expect(b, &p, "MGET n m", "*2 $4 10.5 $-1");
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(sums_follow_wider_arithmetic),
        WITH_SERVER(what_is_no_number_stays),
        WITH_SERVER(floats_at_both_ends),
        WITH_SERVER(the_end_of_life_stays),
    };
    return cmocka_run_group_tests_name("string_incr", tests, NULL, NULL);
}
