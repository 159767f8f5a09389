/* DSCAN page by page while everything changes, cursors that are none, and the books of DCOLLS against a count. */
#include "unit/modules/doc_bed.h"

#define KEYS 90

static const char *const colls[] = {"a", "b", "ab", ""};

static void key_of(unsigned i, char *out, size_t n)
{
    const char *coll = colls[i % 4];
    snprintf(out, n, "%s%s%c%02u", coll, *coll ? ":" : "", i % 3 ? 'x' : 'y', i);
}

/* From the reply of a page: its cursor, and its keys marked. Rows without values. */
static void take_page(const char *reply, char *cursor, size_t room, unsigned *seen)
{
    char *end;
    assert_memory_equal(reply, "*2 $", 4);
    size_t n = (size_t)strtol(reply + 4, &end, 10);
    assert_true(n < room);
    memcpy(cursor, end + 1, n);
    cursor[n] = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        char key[20], word[30];
        key_of(i, key, sizeof key);
        snprintf(word, sizeof word, "$%zu %s", strlen(key), key);
        const char *at = strstr(end + 1 + n, word);
        if (at && (at[strlen(word)] == ' ' || at[strlen(word)] == 0)) seen[i]++;
    }
}

static bool matches(unsigned i, unsigned way)
{
    const char *coll = colls[i % 4];
    if (way == 1) return strcmp(coll, "a") == 0;
    if (way == 2) return coll[0] == 'a';
    if (way == 3) return i % 3 != 0;
    if (way == 4) return *coll == 0;
    return true;
}

static void test_pages_of_what_was(void **state)
{
    static const char *const ways[] = {"", "COLL a", "PREFIX a", "MATCH *x*", "COLL ''"};
    static const unsigned counts[] = {1, 3, 10, 89, 90, 1000};
    struct bed *b = *state;
    struct rng r = {111};
    char key[20], command[300], cursor[200];
    for (unsigned round = 0; round < 30; round++) {
        bool there[KEYS];
        unsigned seen[KEYS] = {0}, way = round % 5, count = counts[round / 5], pages = 0;
        say(b, "FLUSHDB");
        for (unsigned i = 0; i < KEYS; i++) {
            there[i] = rng_below(&r, 3) > 0;
            key_of(i, key, sizeof key);
            if (there[i])
                say(b, "DPUT %s %u", key, i);
            else if (i % 2)
                say(b, "SET %s text", key);
        }
        snprintf(cursor, sizeof cursor, "0");
        do {
            snprintf(command, sizeof command, "DSCAN %s %s COUNT %u", cursor, ways[way], count);
            take_page(say(b, "%s", command), cursor, sizeof cursor, seen);
            assert_true(++pages <= KEYS + 2);
            for (int k = 0; k < 4; k++) { /* what happens from now on is not seen */
                key_of(rng_below(&r, KEYS), key, sizeof key);
                say(b, "DEL %s", key);
                if (k & 1) say(b, "DPUT %s 7", key);
            }
            if (pages == 3) say(b, "FLUSHDB");
        } while (strcmp(cursor, "0") != 0);
        for (unsigned i = 0; i < KEYS; i++)
            if (seen[i] != (there[i] && matches(i, way)))
                fail_msg("%s COUNT %u: key %u was seen %u times", ways[way], count, i, seen[i]);
    }
}

static void test_cursors_that_are_none(void **state)
{
    static const char *const bad[] = {"1",      "00",          "",        "1:",    "1:0",
                                      ":0:",    "1::",         "x:0:",    "1:x:",  "1:0:0",
                                      "1:0:zz", "99999999:0:", "1:0:61:", "-1:0:", "18446744073709551616:0:"};
    struct bed *b = *state;
    char command[80];
    say(b, "DPUT a 1");
    say(b, "DPUT b 2");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(command, sizeof command, "DSCAN '%s'", bad[i]);
        bed_expect(b, command, "-BADCURSOR a cursor is 0 or what DSCAN returned");
    }
    bed_expect(b, "DSCAN 1:0:", "*2 $1 0 *1 $1 a");
    bed_expect(b, "DSCAN 2:0:61", "*2 $1 0 *1 $1 b");
    bed_expect(b, "DSCAN 2:0:61ff WITHDATA", "*2 $1 0 *1 *2 $1 b $1 2");
}

/* Live documents of each collection, as counted here. */
static void test_books(void **state)
{
    struct bed *b = *state;
    struct rng r = {121};
    bool there[KEYS] = {false};
    uint64_t got[8], points[10];
    static unsigned docs_at[10][4];
    char key[20];
    for (unsigned i = 0; i < 600; i++) {
        unsigned k = rng_below(&r, KEYS), kind = rng_below(&r, 12);
        key_of(k, key, sizeof key);
        if (kind < 3)
            say(b, "DEL %s", key), there[k] = false;
        else if (kind == 3)
            say(b, "SET %s x", key), there[k] = false;
        else if (kind == 4 && i % 50 == 0)
            say(b, "FLUSHDB"), memset(there, 0, sizeof there);
        else
            say(b, "DEL %s", key), say(b, "DPUT %s %u", key, i), there[k] = true;
        if (i % 60 != 59) continue;
        unsigned *docs = docs_at[i / 60], named = 0;
        points[i / 60] = head_of(b);
        for (unsigned c = 0; c < 4; c++) docs[c] = 0;
        for (unsigned m = 0; m < KEYS; m++) docs[m % 4] += there[m];
        for (unsigned c = 0; c < 4; c++) named += docs[c] > 0;
        for (unsigned p = 0; p <= i / 60; p++) { /* now, and at all points before */
            const char *reply = say(b, "DCOLLS ASOF %llu", (unsigned long long)points[p]);
            static const unsigned by_name[] = {3, 0, 2, 1};
            size_t n = numbers_after(reply, "$4 docs :", got, 8), at = 0;
            for (unsigned c = 0; c < 4; c++)
                if (docs_at[p][by_name[c]]) assert_int_equal(got[at++], docs_at[p][by_name[c]]);
            assert_int_equal(n, at);
        }
        assert_int_equal(number_after(say(b, "DCOLLS"), "*"), named);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(test_pages_of_what_was), WITH_SERVER(test_cursors_that_are_none),
                                       WITH_SERVER(test_books)};
    return cmocka_run_group_tests_name("doc_scan", tests, NULL, NULL);
}
