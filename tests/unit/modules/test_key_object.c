/* OBJECT: the encodings that clients of Redis expect, by a rule of their own, through rewriting, copying and reloading; and that asking is no use. */
#include "bed_client.h"

#include "support/json_gen.h"

/* Redis' rule, said anew: text of an int64 as it would be printed; else short or long. */
static const char *expected(const char *text)
{
    char printed[32];
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    snprintf(printed, sizeof printed, "%lld", v);
    if (errno == 0 && *text && *end == 0 && strcmp(printed, text) == 0) return "$3 int";
    return strlen(text) <= 44 ? "$6 embstr" : "$3 raw";
}

static void encodings_of_strings(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {8};
    static const char *const rows[] = {"0", "-0", "+1", "01", "-1", "1.0", "1e3", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
                                       "18446744073709551615", "x", "00000000000000000000000000000000000000000000", "000000000000000000000000000000000000000000000"};
    char text[64];
    for (unsigned i = 0; i < 400; i++) {
        if (i < sizeof rows / sizeof *rows) {
            snprintf(text, sizeof text, "%s", rows[i]);
        } else {
            size_t n = 1 + rng_below(&r, i % 2 ? 20 : 50);
            for (size_t k = 0; k < n; k++) text[k] = "0123456789-"[rng_below(&r, k ? 10 : 11)];
            text[n] = 0;
        }
        (void)peer_ask(b, &p, "SET k %s", text);
        peer_expect(b, &p, "OBJECT ENCODING k", expected(text));
        (void)peer_ask(b, &p, "COPY k c REPLACE");
        peer_expect(b, &p, "OBJECT ENCODING c", expected(text));
    }
    peer_forget(&p);
}

/* A string that was written into stays raw: in the log, in copies and under other names, until it is set anew. */
static void raw_stays_raw(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET a 1", "+OK");
    peer_expect(b, &p, "APPEND a 2", ":2");
    peer_expect(b, &p, "OBJECT ENCODING a", "$3 raw");
    peer_expect(b, &p, "OBJECT REFCOUNT a", ":1");
    peer_expect(b, &p, "DEBUG RELOAD", "+OK");
    peer_expect(b, &p, "OBJECT ENCODING a", "$3 raw");
    peer_expect(b, &p, "EXPIRE a 1000", ":1");
    peer_expect(b, &p, "DEBUG RELOAD", "+OK");
    peer_expect(b, &p, "OBJECT ENCODING a", "$3 raw");
    peer_expect(b, &p, "INCR a", ":13");
    peer_expect(b, &p, "OBJECT ENCODING a", "$3 int");
    peer_expect(b, &p, "SETRANGE a 0 5", ":2");
    peer_expect(b, &p, "OBJECT ENCODING a", "$3 raw");
    peer_expect(b, &p, "SET a 12", "+OK");
    peer_expect(b, &p, "OBJECT ENCODING a", "$3 int");
    peer_forget(&p);
}

/* What INCRBYFLOAT made is text, integer or not, until it is set or counted anew. */
static void floats_are_text(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET a 10 EX 1000", "+OK");
    peer_expect(b, &p, "INCRBYFLOAT a 1", "$2 11");
    peer_expect(b, &p, "OBJECT ENCODING a", "$6 embstr");
    peer_expect(b, &p, "OBJECT REFCOUNT a", ":1");
    peer_expect(b, &p, "EXPIRE a 2000", ":1");
    peer_expect(b, &p, "OBJECT ENCODING a", "$6 embstr");
    peer_expect(b, &p, "COPY a b", ":1");
    peer_expect(b, &p, "RENAME b c", "+OK");
    peer_expect(b, &p, "OBJECT ENCODING c", "$6 embstr");
    peer_expect(b, &p, "SET c 11", "+OK");
    peer_expect(b, &p, "OBJECT ENCODING c", "$3 int");
    peer_expect(b, &p, "INCR a", ":12");
    peer_expect(b, &p, "OBJECT ENCODING a", "$3 int");
    peer_expect(b, &p, "INCRBYFLOAT new 3", "$1 3");
    peer_expect(b, &p, "OBJECT ENCODING new", "$6 embstr");
    peer_expect(b, &p, "MULTI", "+OK");
    peer_expect(b, &p, "PERSIST new", "+QUEUED");
    peer_expect(b, &p, "OBJECT ENCODING new", "+QUEUED");
    peer_expect(b, &p, "EXEC", "*2 :0 $6 embstr");
    peer_expect(b, &p, "APPEND new 1", ":2");
    peer_expect(b, &p, "OBJECT ENCODING new", "$3 raw");
    peer_expect(b, &p, "DEL new", ":1");
    peer_expect(b, &p, "SET new 3", "+OK");
    peer_expect(b, &p, "OBJECT ENCODING new", "$3 int");
    peer_expect(b, &p, "DEBUG RELOAD", "+OK");
    peer_expect(b, &p, "OBJECT ENCODING a", "$3 int");
    peer_forget(&p);
}

static void shared_integers(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const struct exchange rows[] = {{"-1", ":1"}, {"0", ":2147483647"}, {"9999", ":2147483647"}, {"10000", ":1"}, {"007", ":1"}};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)peer_ask(b, &p, "SET k %s", rows[i].command);
        peer_expect(b, &p, "OBJECT REFCOUNT k", rows[i].reply);
    }
    assert_true(text_starts(peer_ask(b, &p, "DPUT d 5"), "*2 :"));
    peer_expect(b, &p, "OBJECT REFCOUNT d", ":1");
    peer_forget(&p);
}

static void asking_is_no_use_of_a_key(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET k 1", "+OK");
    (void)peer_ask(b, &p, "DUMP k");
    struct buf d = {0};
    buf_add_slice(&d, peer_bulk(&p));
    slice word[] = {slice_str("RESTORE"), slice_str("old"), slice_str("0"), buf_slice(&d), slice_str("IDLETIME"), slice_str("5000")};
    peer_words(b, &p, 6, word);
    assert_string_equal(peer_reply(b, &p), "+OK");
    static const char *const asks[] = {"OBJECT ENCODING old", "OBJECT REFCOUNT old", "OBJECT IDLETIME old", "EXISTS old", "TYPE old", "TTL old"};
    for (unsigned i = 0; i < sizeof asks / sizeof *asks; i++) {
        (void)peer_ask(b, &p, "%s", asks[i]);
        if (strcmp(peer_ask(b, &p, "OBJECT IDLETIME old"), ":5000") != 0) print_error("after %s\n", asks[i]);
        peer_expect(b, &p, "OBJECT IDLETIME old", ":5000");
    }
    peer_expect(b, &p, "TOUCH old", ":1");
    peer_expect(b, &p, "OBJECT IDLETIME old", ":0");
    buf_fini(&d);
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(encodings_of_strings),
        WITH_SERVER(raw_stays_raw),
        WITH_SERVER(floats_are_text),
        WITH_SERVER(shared_integers),
        WITH_SERVER(asking_is_no_use_of_a_key),
    };
    return cmocka_run_group_tests_name("key_object", tests, NULL, NULL);
}
