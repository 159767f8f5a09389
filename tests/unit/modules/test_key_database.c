/* Whole databases against a model of sets: sizes now and at every point of the past, exchanges and emptying in any order, and a log that refuses them. */
#include "bed_client.h"

#include "support/json_gen.h"

#define DATABASES 3
#define NAMES     8
#define ROUNDS    300

struct world {
    bool there[DATABASES][NAMES];
};
struct moment {
    uint64_t seq;
    unsigned size[DATABASES];
};

static unsigned size_of(const struct world *w, unsigned db)
{
    unsigned n = 0;
    for (unsigned i = 0; i < NAMES; i++) n += w->there[db][i];
    return n;
}

static void change(struct bed *b, struct peer *p, struct rng *r, struct world *w, unsigned db)
{
    unsigned kind = rng_below(r, 20), other = rng_below(r, DATABASES), name = rng_below(r, NAMES);
    if (kind == 0) {
        peer_expect(b, p, rng_below(r, 2) ? "FLUSHDB" : "FLUSHDB ASYNC", "+OK");
        memset(w->there[db], 0, sizeof w->there[db]);
    } else if (kind == 1) {
        peer_expect(b, p, "FLUSHALL SYNC", "+OK");
        memset(w, 0, sizeof *w);
    } else if (kind < 5) {
        bool was[NAMES];
        (void)peer_ask(b, p, "SWAPDB %u %u", db, other);
        memcpy(was, w->there[db], sizeof was);
        memcpy(w->there[db], w->there[other], sizeof was);
        memcpy(w->there[other], was, sizeof was);
    } else if (kind < 8 && other != db) {
        bool moves = w->there[db][name] && !w->there[other][name];
        assert_string_equal(peer_ask(b, p, "MOVE k%u %u", name, other), moves ? ":1" : ":0");
        if (moves) w->there[db][name] = false, w->there[other][name] = true;
    } else if (kind < 11) {
        assert_string_equal(peer_ask(b, p, "DEL k%u", name), w->there[db][name] ? ":1" : ":0");
        w->there[db][name] = false;
    } else {
        (void)peer_ask(b, p, "SET k%u %u", name, kind);
        w->there[db][name] = true;
    }
}

static void sizes_follow_a_model_at_every_point(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {5};
    struct world w = {0};
    static struct moment past[ROUNDS];
    char want[32];
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned db = rng_below(&r, DATABASES);
        (void)peer_ask(b, &p, "SELECT %u", db);
        change(b, &p, &r, &w, db);
        past[i].seq = bed_seq(b);
        for (unsigned d = 0; d < DATABASES; d++) past[i].size[d] = size_of(&w, d);
        snprintf(want, sizeof want, ":%u", past[i].size[db]);
        peer_expect(b, &p, "DBSIZE", want);
    }
    for (unsigned d = 0; d < DATABASES; d++) {
        (void)peer_ask(b, &p, "SELECT %u", d);
        for (unsigned i = 0; i < ROUNDS; i++) {
            snprintf(want, sizeof want, ":%u", past[i].size[d]);
            assert_string_equal(peer_ask(b, &p, "DRUN %llu DBSIZE", (unsigned long long)past[i].seq), want);
        }
    }
    peer_expect(b, &p, "DEBUG CHECK", "+OK");
    peer_forget(&p);
}

static void a_swap_with_itself_writes_nothing(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    peer_expect(b, &p, "SET a 1", "+OK");
    uint64_t seq = bed_seq(b);
    peer_expect(b, &p, "SWAPDB 3 3", "+OK");
    peer_expect(b, &p, "SWAPDB 0 -1", "-ERR DB index is out of range");
    peer_expect(b, &p, "SWAPDB 16 0", "-ERR DB index is out of range");
    peer_expect(b, &p, "SWAPDB 2147483648 0", "-ERR invalid first DB index");
    peer_expect(b, &p, "SWAPDB 0 -2147483649", "-ERR invalid second DB index");
    peer_expect(b, &p, "SWAPDB -2147483648 0", "-ERR DB index is out of range");
    assert_int_equal(bed_seq(b), seq);
    peer_expect(b, &p, "SWAPDB 15 0", "+OK");
    assert_int_equal(bed_seq(b), seq + 1);
    peer_expect(b, &p, "DBSIZE", ":0");
    peer_forget(&p);
}

static void a_failed_log_refuses_and_keeps(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const commands[] = {"FLUSHALL", "FLUSHDB", "SWAPDB 0 1"};
    peer_expect(b, &p, "MSET a 1 b 2", "+OK");
    bed_break_log(b);
    for (unsigned i = 0; i < 3; i++) assert_true(text_starts(peer_ask(b, &p, "%s", commands[i]), "-MISCONF "));
    peer_expect(b, &p, "DBSIZE", ":2");
    peer_expect(b, &p, "GET b", "$1 2");
    peer_forget(&p);
}

/* A reader that has begun to walk a database meets an empty one in the middle, and that of another after a swap. */
static void emptying_under_a_transaction(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b), q = peer_new(b);
    peer_expect(b, &p, "SET a 1", "+OK");
    peer_expect(b, &q, "WATCH a", "+OK");
    peer_expect(b, &p, "FLUSHALL", "+OK");
    peer_expect(b, &q, "MULTI", "+OK");
    peer_expect(b, &q, "SET a 2", "+QUEUED");
    peer_expect(b, &q, "EXEC", "*-1");
    peer_expect(b, &q, "WATCH a", "+OK"); /* absent, and so it stays */
    peer_expect(b, &p, "FLUSHALL", "+OK");
    peer_expect(b, &q, "MULTI", "+OK");
    peer_expect(b, &q, "SET a 2", "+QUEUED");
    peer_expect(b, &q, "SWAPDB 0 1", "+QUEUED");
    peer_expect(b, &q, "DBSIZE", "+QUEUED");
    peer_expect(b, &q, "FLUSHDB", "+QUEUED");
    peer_expect(b, &q, "EXEC", "*4 +OK +OK :0 +OK");
    peer_expect(b, &p, "DBSIZE", ":0");
    peer_expect(b, &p, "SELECT 1", "+OK");
    peer_expect(b, &p, "GET a", "$1 2");
    peer_vanish(b, &q);
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(sizes_follow_a_model_at_every_point),
        WITH_SERVER(a_swap_with_itself_writes_nothing),
        WITH_SERVER(a_failed_log_refuses_and_keeps),
        WITH_SERVER(emptying_under_a_transaction),
    };
    return cmocka_run_group_tests_name("key_database", tests, NULL, NULL);
}
