/* DINDEX WAIT as others come and go, DTOP against a sorted list, in turns and when its index is dropped meanwhile. */
#include "unit/modules/doc_bed.h"

#define DOCS 1400

static void load(struct bed *b)
{
    struct buf commands = {0};
    for (unsigned i = 0; i < DOCS; i++) buf_printf(&commands, "DPUT t:%04u '{\"n\":%u}'\r\n", i, i * 37 % DOCS / 2);
    say_all(b, &commands, DOCS);
    buf_fini(&commands);
}

/* i-th document by (n, key): n = v / 2 for v = 37 i mod DOCS. */
static void sorted_ids(unsigned *ids)
{
    unsigned at = 0;
    for (unsigned n = 0; n < DOCS / 2; n++)
        for (unsigned i = 0; i < DOCS; i++)
            if (i * 37 % DOCS / 2 == n) ids[at++] = i;
    assert_int_equal(at, DOCS);
}

static void test_top(void **state)
{
    static unsigned ids[DOCS];
    static uint64_t got[DOCS];
    static const unsigned counts[] = {1, 2, 511, 512, 513, DOCS - 1, DOCS, DOCS + 1};
    struct bed *b = *state;
    struct peer p;
    char command[80];
    load(b);
    sorted_ids(ids);
    say(b, "DINDEX CREATE t n");
    say(b, "DINDEX WAIT t n 0");
    peer_up(b, &p);
    for (size_t i = 0; i < 8; i++) {
        snprintf(command, sizeof command, "DTOP t n ASC %u", counts[i]);
        const char *reply = peer_ask(b, &p, command);
        size_t n = counts[i] < DOCS ? counts[i] : DOCS;
        assert_int_equal(numbers_after(reply, "$6 t:", got, DOCS), n);
        for (size_t k = 0; k < n; k++) assert_int_equal(got[k], ids[k]);
        snprintf(command, sizeof command, "DTOP t n ASC %u AFTER %u", counts[i], DOCS / 4);
        reply = peer_ask(b, &p, command);
        size_t from = 0, left;
        while (ids[from] * 37 % DOCS / 2 <= DOCS / 4) from++;
        left = DOCS - from < counts[i] ? DOCS - from : counts[i];
        assert_int_equal(numbers_after(reply, "$6 t:", got, DOCS), left);
        for (size_t k = 0; k < left; k++) assert_int_equal(got[k], ids[from + k]);
    }
    peer_down(b, &p);
}

/* In turns: documents change, and the index goes. What was begun is whole or says that the index has gone; nothing in between. */
static void test_top_in_turns(void **state)
{
    static unsigned ids[DOCS];
    static uint64_t got[DOCS];
    struct bed *b = *state;
    struct peer p;
    load(b);
    sorted_ids(ids);
    for (int what = 0; what < 3; what++) {
        say(b, "DINDEX CREATE t n");
        say(b, "DINDEX WAIT t n 0");
        peer_up(b, &p);
        peer_send(&p, "DTOP t n ASC 100000");
        assert_false(peer_turn(b, &p));
        if (what == 2) {
            peer_down(b, &p);
            assert_int_equal(b->server.loops[0]->n_laters, 0);
            break;
        }
        if (what == 0) bed_expect(b, "DPUT t:0000 '{\"n\":999999}'", NULL);
        if (what == 1) bed_expect(b, "DINDEX DROP t n", ":1");
        (void)peer_wait(b, &p);
        const char *reply = (const char *)p.got.p;
        if (reply[0] == '-') {
            assert_int_equal(what, 1);
        } else {
            assert_int_equal(numbers_after(reply, "$6 t:", got, DOCS), DOCS);
            for (size_t k = 0; what == 0 && k < DOCS; k++) assert_int_equal(got[k], ids[k]);
        }
        peer_down(b, &p);
    }
}

/* Somebody waits for an index that is dropped; another one's client goes; a third one's time is over; in a transaction nobody waits. */
static void test_waiting(void **state)
{
    struct bed *b = *state;
    struct peer p, q;
    load(b);
    for (int round = 0; round < 20; round++) {
        peer_up(b, &p), peer_up(b, &q);
        say(b, "DINDEX CREATE t n");
        peer_send(&p, "DINDEX WAIT t n 0");
        peer_send(&q, "DINDEX WAIT t n 0");
        if (round & 1) bed_turn(b);
        peer_down(b, &q);
        if (round & 2) say(b, "DINDEX DROP t n");
        (void)peer_wait(b, &p);
        const char *reply = (const char *)p.got.p;
        assert_true(strcmp(reply, ":1") == 0 || ((round & 2) && strcmp(reply, "-NOINDEX no index on 't' path 'n'") == 0));
        say(b, "DINDEX DROP t n");
        bed_expect(b, "DINDEX WAIT t n 0", "-NOINDEX no index on 't' path 'n'");
        peer_down(b, &p);
        assert_int_equal(b->server.loops[0]->n_laters, 0);
    }
    say(b, "DINDEX CREATE t m");
    say(b, "MULTI");
    say(b, "DINDEX WAIT t m 0");
    const char *reply = say(b, "EXEC");
    assert_true(strcmp(reply, "*1 :0") == 0 || strcmp(reply, "*1 :1") == 0);
}

/* Made and dropped in one transaction, twice the same, twice of another kind: what stands at the end is what was said last. */
static void test_transactions(void **state)
{
    static const struct {
        const char *words[4];
        const char *exec;
        bool stands;
    } all[] = {
        {{"DINDEX CREATE x p", "DINDEX CREATE x p"}, "*2 +OK +OK", true},
        {{"DINDEX DROP x p", "DINDEX CREATE x p TEXT"}, "*2 :1 +OK", true},
        {{"DINDEX CREATE x p TEXT", "DINDEX DROP x p", "DINDEX DROP x p"}, "*3 +OK :1 :0", false},
        {{"DINDEX CREATE x p", "DINDEX DROP x p"}, "*2 +OK :1", false},
        {{"DINDEX CREATE x $.p", "DINDEX DROP x p", "DINDEX CREATE x p"}, "*3 +OK :1 +OK", true},
    };
    struct bed *b = *state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        say(b, "MULTI");
        for (int k = 0; k < 4 && all[i].words[k]; k++) say(b, "%s", all[i].words[k]);
        bed_expect(b, "EXEC", all[i].exec);
        const char *list = say(b, "DINDEX LIST x");
        assert_int_equal(strcmp(list, "*0") != 0, all[i].stands);
        assert_true(times_in(list, "$4 path $1 p") <= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(test_top), WITH_SERVER(test_top_in_turns), WITH_SERVER(test_waiting),
                                       WITH_SERVER(test_transactions)};
    return cmocka_run_group_tests_name("doc_sorted", tests, NULL, NULL);
}
