/* DCHANGES and those who wait: who wakes, who goes, what a feed that was interrupted in every way still adds up to. */
#include "unit/modules/doc_bed.h"

#define READERS 60

static uint64_t next_of(const char *reply)
{
    return (uint64_t)number_after(reply, "$4 next :");
}

static size_t events_of(const char *reply)
{
    return (size_t)number_after(reply, "$6 events *");
}

/* Many sleep, each on something else; a write wakes the one it is for, and only that one. */
static void test_sleepers(void **state)
{
    static struct peer p[READERS];
    struct bed *b = *state;
    char command[100];
    say(b, "DPUT start 1");
    uint64_t from = head_of(b);
    for (unsigned i = 0; i < READERS; i++) {
        peer_up(b, &p[i]);
        snprintf(command, sizeof command, "DCHANGES FROM %llu %s w%02u%s BLOCK 0", (unsigned long long)from,
                 i % 3 == 0   ? "COLL"
                 : i % 3 == 1 ? "PREFIX"
                              : "KEY",
                 i, i % 3 ? ":" : "");
        peer_send(&p[i], command);
        assert_false(peer_turn(b, &p[i]));
    }
    for (unsigned i = 0; i < 10; i++) say(b, "SET nobody %u", i); /* wakes nobody for good */
    assert_int_equal(b->server.loops[0]->n_laters, READERS);
    for (unsigned i = 0; i < READERS; i++) {
        unsigned k = (i * 7 + 3) % READERS;
        say(b, "DPUT w%02u: %u", k, i);
        const char *reply = (peer_wait(b, &p[k]), (const char *)p[k].got.p);
        assert_int_equal(events_of(reply), 1);
        assert_int_equal(next_of(reply), head_of(b));
        assert_int_equal(b->server.loops[0]->n_laters, READERS - 1 - i);
        peer_down(b, &p[k]);
    }
}

static void test_waiting_ends(void **state)
{
    struct bed *b = *state;
    struct peer p;
    char command[100];
    say(b, "DPUT k 1");
    uint64_t from = head_of(b);
    for (int how = 0; how < 5; how++) {
        peer_up(b, &p);
        snprintf(command, sizeof command, "DCHANGES FROM %llu KEY z BLOCK %d", (unsigned long long)from, how == 0 ? 20 : 0);
        peer_send(&p, command);
        if (how > 0) assert_false(peer_turn(b, &p)); /* 20 ms may be over by then */
        if (how == 1) say(b, "CLIENT UNBLOCK %llu", (unsigned long long)b->server.loops[0]->clients->id);
        if (how == 2) say(b, "FLUSHALL");
        if (how == 3) say(b, "SWAPDB 0 1");
        if (how == 4) say(b, "DPUT k 2"); /* it goes while it is being woken for nothing */
        if (how < 4) {
            (void)peer_wait(b, &p);
            assert_int_equal(events_of((char *)p.got.p), how > 1);
            assert_true(next_of((char *)p.got.p) >= from);
        }
        peer_down(b, &p);
        assert_int_equal(b->server.loops[0]->n_laters, 0);
        from = head_of(b);
        if (how == 3) say(b, "SWAPDB 0 1"), from = head_of(b);
    }
}

/* The database is the one that the number names now, and states are those of now, also where the feed ends earlier; gaps are told, and a walk from 0 passes them. */
static void test_ends_in_the_past(void **state)
{
    struct bed *b = *state;
    say(b, "DPUT k 1");
    assert_int_equal(events_of(say(b, "DCHANGES FROM 0 TO 1")), 1);
    say(b, "FLUSHDB");
    assert_non_null(strstr(say(b, "DCHANGES FROM 0 TO 1"), "$5 state $3 old"));
    say(b, "SWAPDB 0 1");
    assert_int_equal(events_of(say(b, "DCHANGES FROM 0 TO 1")), 0);
    assert_int_equal(events_of(say(b, "DCHANGES FROM 0 TO 1 KEY k")), 0);
    say(b, "SELECT 1");
    assert_int_equal(events_of(say(b, "DCHANGES FROM 0 TO 1 KEY k")), 1);
    say(b, "SELECT 0");
}

static void test_gaps_of_a_key(void **state)
{
    struct bed *b = *state;
    for (int i = 0; i < 2; i++) say(b, "DPUT k %d", i); /* 1, 2 */
    say(b, "DTAG SET t");                               /* 3 */
    for (int i = 0; i < 3; i++) say(b, "DPUT k %d", i); /* 4 to 6 */
    say(b, "DPUT other 1"), say(b, "DPUT other 2");     /* 7, 8 */
    say(b, "DCOMPACT KEEP 1");
    bed_expect(b, "DCHANGES FROM 1 KEY k", "-PRUNED a feed can begin at 0, or from 5 on: older changes were dropped by retention");
    bed_expect(b, "DCHANGES FROM 2 KEY k", "-PRUNED a feed can begin at 0, or from 5 on: older changes were dropped by retention");
    assert_int_equal(events_of(say(b, "DCHANGES FROM 5 KEY k")), 1);
    assert_int_equal(events_of(say(b, "DCHANGES FROM 0 KEY k")), 2);
    const char *reply = say(b, "DCHANGES FROM 0 KEY k COUNT 1"), *next = strstr(reply, "$4 next $");
    assert_non_null(next);
    char command[100];
    next = strchr(next + 9, ' ') + 1;
    snprintf(command, sizeof command, "DCHANGES FROM %.*s KEY k COUNT 1", (int)strcspn(next, " "), next);
    reply = say(b, "%s", command);
    assert_int_equal(events_of(reply), 1);
    assert_int_equal(next_of(reply), 8);
}

/* A feed from 0, read in bits of random size while writes and compactions go on, adds up to the keys as they are. */
static void test_the_feed_adds_up(void **state)
{
    enum { KEYS = 25 };
    struct bed *b = *state;
    struct rng r = {131};
    struct peer p;
    char command[120], next[60] = "0";
    long value[KEYS], fed[KEYS];
    for (unsigned i = 0; i < KEYS; i++) value[i] = fed[i] = 0;
    peer_up(b, &p);
    for (unsigned step = 1; step < 500; step++) {
        unsigned k = rng_below(&r, KEYS);
        if (rng_below(&r, 5) == 0 && value[k])
            say(b, "DDEL k%02u", k), value[k] = 0;
        else
            say(b, "DPUT k%02u %u", k, step), value[k] = step;
        if (step % 120 == 0) say(b, "DCOMPACT KEEP 1");
        if (step % 3 && step < 480) continue;
        bool more = true;
        while (more) {
            snprintf(command, sizeof command, "DCHANGES FROM %s COUNT %u WITHDATA", next, 1 + rng_below(&r, 8));
            const char *reply = peer_ask(b, &p, command);
            if (strncmp(reply, "-PRUNED", 7) == 0) { /* from the beginning: what is left is enough */
                snprintf(next, sizeof next, "0");
                for (unsigned i = 0; i < KEYS; i++) fed[i] = 0;
                continue;
            }
            assert_int_equal(reply[0], '*');
            for (const char *at = reply; (at = strstr(at, "$3 key $3 k")) != NULL; at++) {
                unsigned key = (unsigned)strtoul(at + 11, NULL, 10);
                const char *data = strstr(at, "$4 data $");
                assert_true(key < KEYS && data != NULL);
                fed[key] = data[9] == '-' ? 0 : strtol(strchr(data + 9, ' '), NULL, 10);
            }
            more = number_after(reply, "$4 more :") == 1;
            const char *at = strstr(reply, "$4 next ") + 8; /* a number, or a word while the walk is below the horizon */
            if (*at == '$') at = strchr(at, ' ');
            snprintf(next, sizeof next, "%.*s", (int)strcspn(at + 1, " "), at + 1);
            if (rng_below(&r, 4) == 0) break;
        }
    }
    for (bool more = true; more;) {
        snprintf(command, sizeof command, "DCHANGES FROM %s WITHDATA", next);
        const char *reply = peer_ask(b, &p, command);
        for (const char *at = reply; (at = strstr(at, "$3 key $3 k")) != NULL; at++) {
            const char *data = strstr(at, "$4 data $");
            fed[strtoul(at + 11, NULL, 10)] = data[9] == '-' ? 0 : strtol(strchr(data + 9, ' '), NULL, 10);
        }
        more = number_after(reply, "$4 more :") == 1;
        snprintf(next, sizeof next, "%llu", (unsigned long long)next_of(reply));
    }
    assert_memory_equal(fed, value, sizeof value);
    peer_down(b, &p);
}

/* Nodes go between two turns of one answer: a feed from a point is refused then, one from 0 begins anew. */
static void test_compaction_between_turns(void **state)
{
    struct bed *b = *state;
    struct peer p;
    struct buf commands = {0};
    for (int from = 0; from < 2; from++) {
        char command[80];
        uint64_t start = head_of(b);
        for (unsigned i = 0; i < 3000; i++) buf_printf(&commands, "DPUT k:%u %u\r\n", i % 300, i);
        say_all(b, &commands, 3000);
        peer_up(b, &p);
        snprintf(command, sizeof command, "DCHANGES FROM %llu COUNT 100000", from ? (unsigned long long)start : 0ull);
        peer_send(&p, command);
        assert_false(peer_turn(b, &p));
        struct compact_options all = {.keep_versions = 1};
        struct compact_stats stats;
        assert_int_equal(engine_compact(b->server.engine, &all, &stats), E_OK);
        (void)peer_wait(b, &p);
        if (from) {
            assert_memory_equal(p.got.p, "-PRUNED", 7);
        } else {
            assert_int_equal(events_of((char *)p.got.p), 300);
            assert_int_equal(times_in((char *)p.got.p, "$5 state $4 live"), 300);
        }
        peer_down(b, &p);
    }
    buf_fini(&commands);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_sleepers),
        WITH_SERVER(test_waiting_ends),
        WITH_SERVER(test_ends_in_the_past),
        WITH_SERVER(test_gaps_of_a_key),
        WITH_SERVER(test_the_feed_adds_up),
        WITH_SERVER(test_compaction_between_turns),
    };
    return cmocka_run_group_tests_name("doc_changes", tests, NULL, NULL);
}
