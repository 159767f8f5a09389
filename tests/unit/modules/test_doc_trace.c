/* DTRACE over graphs made at random, against a naive walk; wide levels, turns, clients that go. */
#include "unit/modules/doc_bed.h"

#define NODES  400
#define CAUSES 4

static uint64_t node_seq[NODES];
static unsigned cause[NODES][CAUSES], causes[NODES];

static void make_graph(struct bed *b, struct rng *r)
{
    for (unsigned i = 0; i < NODES; i++) {
        char command[200];
        causes[i] = i ? rng_below(r, (i < CAUSES ? i : CAUSES) + 1) : 0;
        int n = snprintf(command, sizeof command, "DPUT g:%u 1", i);
        if (causes[i]) n += snprintf(command + n, sizeof command - (size_t)n, " CAUSEDBY %u", causes[i]);
        for (unsigned k = 0; k < causes[i]; k++) {
            bool again = true;
            while (again) {
                cause[i][k] = i < 30 || rng_below(r, 4) == 0 ? rng_below(r, i) : i - 1 - rng_below(r, 20);
                again = false;
                for (unsigned m = 0; m < k; m++) again |= cause[i][m] == cause[i][k];
            }
            n += snprintf(command + n, sizeof command - (size_t)n, " seq:%llu", (unsigned long long)node_seq[cause[i][k]]);
        }
        say(b, "%s", command);
        node_seq[i] = head_of(b);
    }
}

static bool leads(unsigned from, unsigned to, bool effects)
{
    unsigned of = effects ? to : from, c = effects ? from : to;
    for (unsigned k = 0; k < causes[of]; k++)
        if (cause[of][k] == c) return true;
    return false;
}

/* Level by level; within a level by number, which is the order of seqs. */
static size_t naive(unsigned start, bool effects, unsigned depth_max, size_t limit, uint64_t *seq, uint64_t *depth_of)
{
    static unsigned depth[NODES];
    size_t n = 0;
    for (unsigned i = 0; i < NODES; i++) depth[i] = UINT32_MAX;
    depth[start] = 0;
    for (unsigned d = 0; d <= depth_max; d++) {
        bool any = false;
        for (unsigned i = 0; i < NODES; i++) {
            if (depth[i] != d) continue;
            any = true;
            if (n == limit) return n;
            seq[n] = node_seq[i];
            depth_of[n++] = d;
            for (unsigned k = 0; k < NODES; k++)
                if (depth[k] == UINT32_MAX && leads(i, k, effects)) depth[k] = d + 1;
        }
        if (!any) break;
    }
    return n;
}

static void test_random_graphs(void **state)
{
    static uint64_t want[NODES], want_depth[NODES], got[NODES], got_depth[NODES];
    struct bed *b = *state;
    struct rng r = {41};
    struct peer p;
    char command[100];
    make_graph(b, &r);
    peer_up(b, &p);
    for (unsigned i = 0; i < 150; i++) {
        unsigned start = rng_below(&r, NODES), depth = rng_below(&r, 3) ? rng_below(&r, 12) : NODES,
                 limit = rng_below(&r, 2) ? 1 + rng_below(&r, 60) : 1000;
        bool effects = i & 1;
        snprintf(command, sizeof command, "DTRACE seq:%llu %s DEPTH %u LIMIT %u", (unsigned long long)node_seq[start],
                 effects ? "EFFECTS" : "CAUSES", depth, limit);
        size_t n = naive(start, effects, depth, limit, want, want_depth);
        const char *reply = peer_ask(b, &p, command);
        if ((size_t)number_after(reply, "*") != n) print_error("%s\n", command);
        assert_int_equal(number_after(reply, "*"), n);
        assert_int_equal(numbers_after(reply, "$3 seq :", got, NODES), n);
        assert_int_equal(numbers_after(reply, "$5 depth :", got_depth, NODES), n);
        assert_memory_equal(got, want, n * sizeof *got);
        assert_memory_equal(got_depth, want_depth, n * sizeof *got);
    }
    peer_down(b, &p);
}

/* A level wider than is gathered: the smallest seqs are shown, and what leads to them over two ways is there once. */
static void test_wide_level(void **state)
{
    enum { WIDE = 9000 };
    static uint64_t got[WIDE + 4];
    struct bed *b = *state;
    struct peer p;
    struct buf commands = {0};
    char command[80];
    say(b, "DPUT root 1");
    uint64_t root = head_of(b);
    say(b, "DPUT twin 1 CAUSEDBY 1 seq:%llu", (unsigned long long)root);
    for (unsigned i = 0; i < WIDE; i++)
        buf_printf(&commands, "DPUT w:%u 1 CAUSEDBY 2 seq:%llu seq:%llu\r\n", i, (unsigned long long)root,
                   (unsigned long long)root + 1);
    say_all(b, &commands, WIDE);
    peer_up(b, &p);
    static const unsigned limits[] = {1, 2, 3, 700, 2048, 2050, WIDE + 1, WIDE + 2, WIDE + 3};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        snprintf(command, sizeof command, "DTRACE seq:%llu EFFECTS LIMIT %u", (unsigned long long)root, limits[i]);
        const char *reply = peer_ask(b, &p, command);
        size_t n = limits[i] < WIDE + 2 ? limits[i] : WIDE + 2;
        assert_int_equal(numbers_after(reply, "$3 seq :", got, WIDE + 4), n);
        for (size_t k = 0; k < n; k++) assert_int_equal(got[k], root + k);
    }
    peer_down(b, &p);
    buf_fini(&commands);
}

/* A long chain takes turns: others run and write, also effects of what was shown already; the client may go at any turn. */
static void test_turns(void **state)
{
    enum { LONG = 3000 };
    static uint64_t got[LONG];
    struct bed *b = *state;
    struct peer p;
    struct buf commands = {0};
    char command[80];
    uint64_t first = head_of(b) + 1;
    buf_add_str(&commands, "DPUT c 0\r\n");
    for (unsigned i = 1; i < LONG; i++)
        buf_printf(&commands, "DPUT c %u CAUSEDBY 1 seq:%llu\r\n", i, (unsigned long long)first + i - 1);
    say_all(b, &commands, LONG);
    snprintf(command, sizeof command, "DTRACE key:c LIMIT %u WITHDATA", LONG);
    for (int leave = 4; leave >= 0; leave--) {
        peer_up(b, &p);
        peer_send(&p, command);
        int turns = 0;
        for (; (leave == 0 || turns < leave) && !peer_turn(b, &p); turns++)
            say(b, "DPUT other 1 CAUSEDBY 1 seq:%llu", (unsigned long long)first);
        if (leave == 0) {
            assert_true(turns >= 2);
            assert_int_equal(numbers_after(plain(&p.got), "$3 seq :", got, LONG), LONG);
            for (size_t i = 0; i < LONG; i++) assert_int_equal(got[i], first + LONG - 1 - i);
        }
        peer_down(b, &p);
        assert_int_equal(b->server.loops[0]->n_laters, 0);
    }
    buf_fini(&commands);
}

/* Causes that retention has dropped are rows all the same; behind them nothing is known. */
static void test_dropped_between_turns(void **state)
{
    enum { LONG = 2000 };
    struct bed *b = *state;
    struct peer p;
    struct buf commands = {0};
    uint64_t first = head_of(b) + 1;
    buf_add_str(&commands, "DPUT c 0\r\n");
    for (unsigned i = 1; i < LONG; i++)
        buf_printf(&commands, "DPUT c %u CAUSEDBY 1 seq:%llu\r\n", i, (unsigned long long)first + i - 1);
    say_all(b, &commands, LONG);
    peer_up(b, &p);
    peer_send(&p, "DTRACE key:c LIMIT 5000");
    assert_false(peer_turn(b, &p));
    struct compact_options all = {.keep_versions = 1};
    struct compact_stats stats;
    assert_int_equal(engine_compact(b->server.engine, &all, &stats), E_OK);
    (void)peer_wait(b, &p);
    const char *reply = (const char *)p.got.p;
    size_t pruned = times_in(reply, "$5 state $6 pruned"), rows = times_in(reply, "$3 seq :");
    assert_int_equal(pruned, 1);
    assert_true(rows > 500 && rows < LONG);
    assert_int_equal(number_after(reply, "*"), rows);
    peer_down(b, &p);
    buf_fini(&commands);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_random_graphs),
        WITH_SERVER(test_wide_level),
        WITH_SERVER(test_turns),
        WITH_SERVER(test_dropped_between_turns),
    };
    return cmocka_run_group_tests_name("doc_trace", tests, NULL, NULL);
}
