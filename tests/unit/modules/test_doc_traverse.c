/* DTRAVERSE over random links against a naive walk; turns, a point that stays, clients that go. */
#include "unit/modules/doc_bed.h"

#define KEYS 60
#define RELS 2

static bool linked[KEYS][RELS][KEYS];

static void make_links(struct bed *b, struct rng *r)
{
    struct buf commands = {0};
    unsigned n = 0;
    memset(linked, 0, sizeof linked);
    for (unsigned i = 0; i < KEYS; i++, n++) buf_printf(&commands, "DPUT k%02u %u\r\n", i, i);
    for (unsigned i = 0; i < 110; i++) {
        unsigned from = rng_below(r, KEYS), rel = rng_below(r, RELS), to = rng_below(r, KEYS);
        if (linked[from][rel][to]) continue;
        linked[from][rel][to] = true;
        buf_printf(&commands, "DLINK k%02u r%u k%02u\r\n", from, rel, to);
        n++;
    }
    say_all(b, &commands, n);
    buf_fini(&commands);
}

/* Rows in the order in which they are found: out before in, relations ascending, other ends ascending. */
static size_t naive(unsigned start, bool out, bool in, int only, unsigned depth_max, size_t limit, unsigned *row, unsigned *depth)
{
    bool seen[KEYS] = {false};
    size_t n = 1;
    row[0] = start, depth[0] = 0;
    seen[start] = true;
    for (size_t next = 0; next < n && n < limit && depth[next] < depth_max; next++)
        for (int direction = out ? 0 : 1; direction <= (in ? 1 : 0); direction++)
            for (unsigned rel = 0; rel < RELS; rel++)
                for (unsigned k = 0; k < KEYS; k++) {
                    bool there = direction ? linked[k][rel][row[next]] : linked[row[next]][rel][k];
                    if (!there || seen[k] || (only >= 0 && (int)rel != only) || n == limit) continue;
                    seen[k] = true;
                    row[n] = k;
                    depth[n++] = depth[next] + 1;
                }
    return n;
}

static void test_random_links(void **state)
{
    static const char *const directions[] = {"OUT", "IN", "BOTH"};
    struct bed *b = *state;
    struct rng r = {61};
    struct peer p;
    unsigned row[KEYS], depth[KEYS];
    uint64_t got[KEYS], got_depth[KEYS];
    char command[120];
    make_links(b, &r);
    peer_up(b, &p);
    for (unsigned i = 0; i < 300; i++) {
        unsigned start = rng_below(&r, KEYS), d = rng_below(&r, 3), depth_max = rng_below(&r, 2) ? rng_below(&r, 6) : 1000,
                 limit = rng_below(&r, 2) ? 1 + rng_below(&r, 20) : 1000;
        int only = (int)rng_below(&r, 3) - 1;
        int at = snprintf(command, sizeof command, "DTRAVERSE k%02u %s DEPTH %u LIMIT %u%s", start, directions[d], depth_max,
                          limit, i % 5 ? "" : " WITHDATA");
        if (only >= 0) snprintf(command + at, sizeof command - (size_t)at, " REL 1 r%d", only);
        size_t n = naive(start, d != 1, d != 0, only, depth_max, limit, row, depth);
        const char *reply = peer_ask(b, &p, command);
        if ((size_t)number_after(reply, "*") != n) print_error("%s\n", command);
        assert_int_equal(number_after(reply, "*"), n);
        assert_int_equal(numbers_after(reply, "$3 key $3 k", got, KEYS), n);
        assert_int_equal(numbers_after(reply, "$5 depth :", got_depth, KEYS), n);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(got[k], row[k]);
            assert_int_equal(got_depth[k], depth[k]);
        }
    }
    peer_down(b, &p);
}

/* A chain in turns. Links behind the walk's place are cut, and documents change, while it runs: the point stays. */
static void test_turns(void **state)
{
    enum { LONG = 1500 };
    struct bed *b = *state;
    struct peer p;
    struct buf commands = {0};
    for (unsigned i = 0; i <= LONG; i++) buf_printf(&commands, "DPUT c%04u \"%u\"\r\n", i, i);
    for (unsigned i = 0; i < LONG; i++) buf_printf(&commands, "DLINK c%04u next c%04u\r\n", i, i + 1);
    for (size_t i = 0; i < commands.n; i++)
        if (commands.p[i] == '"') commands.p[i] = ' ';
    say_all(b, &commands, 2 * LONG + 1);
    for (int leave = 3; leave >= 0; leave--) {
        peer_up(b, &p);
        peer_send(&p, "DTRAVERSE c0000 LIMIT 5000 WITHDATA");
        int turns = 0;
        for (; (leave == 0 || turns < leave) && !peer_turn(b, &p); turns++)
            if (leave == 0) {
                say(b, "DUNLINK c%04d next c%04d", LONG - 1 - turns, LONG - turns);
                say(b, "DPUT c%04d 99999", LONG - 5 - turns);
            }
        if (leave == 0) {
            assert_true(turns >= 1);
            assert_int_equal(number_after(plain(&p.got), "*"), LONG + 1);
            assert_null(strstr((char *)p.got.p, "99999"));
        }
        peer_down(b, &p);
        assert_int_equal(b->server.loops[0]->n_laters, 0);
    }
    buf_fini(&commands);
}

/* Thousands of links that stand no more lie before the one that does: they cost turns, not a stall. */
static void test_links_that_are_gone(void **state)
{
    enum { GONE = 3000 };
    struct bed *b = *state;
    struct peer p;
    struct buf commands = {0};
    buf_add_str(&commands, "DPUT hub 1\r\nDPUT end 1\r\nDLINK hub z end\r\n");
    for (unsigned i = 0; i < GONE; i++) buf_printf(&commands, "DLINK hub a%04u end\r\nDUNLINK hub a%04u end\r\n", i, i);
    say_all(b, &commands, 2 * GONE + 3);
    peer_up(b, &p);
    const char *reply = peer_ask(b, &p, "DTRAVERSE hub");
    assert_int_equal(number_after(reply, "*"), 2);
    assert_non_null(strstr(reply, "$3 via $1 z"));
    peer_down(b, &p);
    buf_fini(&commands);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(test_random_links), WITH_SERVER(test_turns),
                                       WITH_SERVER(test_links_that_are_gone)};
    return cmocka_run_group_tests_name("doc_traverse", tests, NULL, NULL);
}
