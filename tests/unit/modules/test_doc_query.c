/* DQUERY and DCOUNT as commands: pages that make the whole, cursors that belong to their query only, turns with other clients, counts by the book. */
#include "unit/modules/doc_bed.h"

#define DOCS 900

static void load(struct bed *b)
{
    struct buf commands = {0};
    for (unsigned i = 0; i < DOCS; i++) buf_printf(&commands, "DPUT q:%03u '{\"a\":%u,\"b\":%u}'\r\n", i, i % 7, i * 31 % DOCS);
    say_all(b, &commands, DOCS);
    buf_fini(&commands);
}

static bool cursor_of(const char *reply, char *out, size_t room)
{
    const char *at = strstr(reply, "$6 cursor $");
    assert_non_null(at);
    char *end;
    long n = strtol(at + 11, &end, 10);
    if (n < 0) return false;
    assert_true((size_t)n < room);
    memcpy(out, end + 1, (size_t)n);
    out[n] = 0;
    return true;
}

/* Adds the reply's rows as text, without its header. */
static void add_rows(const char *reply, struct buf *out)
{
    const char *at = strstr(reply, "$4 rows *");
    assert_non_null(at);
    at = strchr(at + 8, ' ');
    if (at) buf_add_str(out, at);
}

static void test_pages_make_the_whole(void **state)
{
    static const char *const texts[] = {"FROM q WHERE a = 3", "FROM q ORDER BY b DESC LIMIT 333",
                                        "FROM q WHERE b < 200 ORDER BY a, b", "FROM q ORDER BY a LIMIT 100 OFFSET 77",
                                        "FROM q WHERE a > 1 GROUP BY b COUNT"};
    static const unsigned counts[] = {1000, 64, 13, 333, 129};
    struct bed *b = *state;
    struct peer p;
    char command[3000], cursor[2000];
    struct buf whole = {0}, pages = {0};
    load(b);
    peer_up(b, &p);
    for (size_t i = 0; i < 5; i++) {
        unsigned long long point = head_of(b);
        for (size_t k = 0; k < 5; k++) {
            if (k == 2) say(b, "DINDEX CREATE q b"), say(b, "DINDEX WAIT q b 0");
            if (k == 4) say(b, "DINDEX DROP q b");
            buf_clear(&pages);
            snprintf(command, sizeof command, "DQUERY 'FROM q AS OF %llu %s' COUNT %u", point, texts[i] + 6, counts[k]);
            for (unsigned n = 0;; n++) {
                const char *reply = peer_ask(b, &p, command);
                assert_int_equal(reply[0], '*');
                add_rows(reply, &pages);
                if (!cursor_of(reply, cursor, sizeof cursor)) break;
                assert_true(n < DOCS);
                say(b, "DPUT q:%03u '{\"a\":3,\"b\":5}'", (n * 91 + 13) % DOCS); /* the point stays */
                snprintf(command, sizeof command, "DQUERY 'FROM q AS OF %llu %s' COUNT %u CURSOR %s", point, texts[i] + 6,
                         counts[k], cursor);
            }
            if (k == 0) {
                buf_clear(&whole);
                buf_add_slice(&whole, buf_slice(&pages));
            } else if (!slice_eq(buf_slice(&whole), buf_slice(&pages))) {
                fail_msg("%s by %u", texts[i], counts[k]);
            }
        }
    }
    peer_down(b, &p);
    buf_fini(&whole), buf_fini(&pages);
}

/* A cursor is of its query, its parameters, its database and its store's seed. */
static void test_cursors_of_others(void **state)
{
    static const char *const others[] = {"DQUERY 'FROM q WHERE a = $x' PARAMS 1 x 4 CURSOR %s",
                                         "DQUERY 'FROM q WHERE a > $x' PARAMS 1 x 3 CURSOR %s",
                                         "DQUERY 'FROM q WHERE a = $x LIMIT 500' PARAMS 1 x 3 CURSOR %s",
                                         "DQUERY 'FROM r WHERE a = $x' PARAMS 1 x 3 CURSOR %s",
                                         "DQUERY 'FROM q WHERE a = $x ORDER BY b' PARAMS 1 x 3 CURSOR %s",
                                         "DQUERY 'FROM q WHERE a = 3' CURSOR %.20s"};
    struct bed *b = *state;
    struct peer p;
    char command[3000], cursor[2000];
    load(b);
    peer_up(b, &p);
    assert_true(cursor_of(peer_ask(b, &p, "DQUERY 'FROM q WHERE a = $x' PARAMS 1 x 3 COUNT 5"), cursor, sizeof cursor));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(command, sizeof command, others[i], cursor);
        assert_memory_equal(peer_ask(b, &p, command), "-BADCURSOR", 10);
    }
    snprintf(command, sizeof command, "DQUERY 'FROM q WHERE a = 3' COUNT 7 CURSOR %s",
             cursor); /* filled in, it is the same query */
    assert_non_null(strstr(peer_ask(b, &p, command), "q:038"));
    assert_string_equal(peer_ask(b, &p, "SELECT 1"), "+OK");
    assert_memory_equal(peer_ask(b, &p, command), "-BADCURSOR", 10);
    peer_down(b, &p);
}

/* Long ones side by side with short commands; some clients go. */
static void test_side_by_side(void **state)
{
    struct bed *b = *state;
    struct peer p[6];
    bool done[6] = {false};
    load(b);
    clock_slow(b, 1000);
    for (int round = 0; round < 4; round++) {
        unsigned left = 6, served = 0;
        for (int i = 0; i < 6; i++) {
            peer_up(b, &p[i]);
            peer_send(&p[i], i % 2 ? "DQUERY 'FROM q ORDER BY b LIMIT 10'" : "DCOUNT q WHERE 'a = 3 AND b > 10'");
            done[i] = false;
        }
        for (unsigned turn = 0; left > 0; turn++) {
            assert_true(turn < 1000);
            say(b, "GET nothing"); /* answered at once, whoever works */
            served++;
            for (int i = 0; i < 6; i++) {
                if (done[i]) continue;
                bool goes = i == round && turn == 1;
                if (!goes && !peer_turn(b, &p[i])) continue;
                if (!goes)
                    assert_true(i % 2 ? times_in(plain(&p[i].got), " $5 q:") == 10 || times_in((char *)p[i].got.p, "q:") == 10
                                      : strtol(plain(&p[i].got) + 1, NULL, 10) > 100);
                peer_down(b, &p[i]);
                done[i] = true;
                left--;
            }
        }
        assert_true(served >= 2);
        assert_int_equal(b->server.loops[0]->n_laters, 0);
    }
    clock_slow(b, 0);
}

/* The count by the collection's book is the count by looking, at each moment; with expiries, flushes and transactions in between. */
static void test_count_by_the_book(void **state)
{
    struct bed *b = *state;
    struct rng r = {101};
    for (unsigned i = 0; i < 400; i++) {
        char looked[40];
        switch (rng_below(&r, 9)) {
        case 0: say(b, "DEL c:%u", rng_below(&r, 30)); break;
        case 1: say(b, "SET c:%u x", rng_below(&r, 30)); break;
        case 2: say(b, "EXPIRE c:%u %d", rng_below(&r, 30), (int)rng_below(&r, 2) * 1000 - 1); break;
        case 3: say(b, "PERSIST c:%u", rng_below(&r, 30)); break;
        case 4:
            if (rng_below(&r, 10) == 0) say(b, "FLUSHDB");
            break;
        case 5:
            if (rng_below(&r, 10) == 0) say(b, "SWAPDB 0 1");
            break;
        default: say(b, "DEL c:%u", i % 30), say(b, "DPUT c:%u %u", i % 30, i);
        }
        snprintf(looked, sizeof looked, "%s", say(b, "DCOUNT c WHERE '_ver > 0'"));
        bed_expect(b, "DCOUNT c", looked);
    }
    say(b, "DPUT c:1 1");
    say(b, "MULTI");
    say(b, "DPUT c:new 1");
    say(b, "DCOUNT c");
    const char *reply = say(b, "EXEC");
    assert_true(strstr(reply, " -") != NULL); /* head is not known there once it has written */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_pages_make_the_whole),
        WITH_SERVER(test_cursors_of_others),
        WITH_SERVER(test_side_by_side),
        WITH_SERVER(test_count_by_the_book),
    };
    return cmocka_run_group_tests_name("doc_query", tests, NULL, NULL);
}
