/* KEYS, SCAN, DBSIZE and RANDOMKEY in a view, over many keys: others go on meanwhile, the point does not move, and clients that go leave nothing. */
#include "unit/modules/doc_bed.h"

#define EARLY 300
#define LATE  30000

static uint64_t fill(struct bed *b)
{
    struct buf commands = {0};
    for (unsigned i = 0; i < EARLY; i++) buf_printf(&commands, i % 3 ? "SET early:%u 1\r\n" : "DPUT early:%u 1\r\n", i);
    say_all(b, &commands, EARLY);
    uint64_t then = head_of(b);
    for (unsigned i = 0; i < LATE; i++) buf_printf(&commands, "SET late:%u 1\r\n", i);
    say_all(b, &commands, LATE);
    for (unsigned i = 0; i < EARLY / 2; i++) buf_printf(&commands, "DEL early:%u\r\n", i);
    say_all(b, &commands, EARLY / 2);
    buf_fini(&commands);
    assert_int_equal(engine_catch_up(b->server.engine, 0), E_OK);
    return then;
}

/* How many turns another's command got before the reply. */
static unsigned turns_beside(struct bed *b, struct peer *p, const char *command)
{
    unsigned turns = 0;
    peer_send(p, command);
    for (; !peer_turn(b, p); turns++) bed_expect(b, "PING", "+PONG");
    (void)plain(&p->got);
    return turns;
}

static void others_go_on(void **state)
{
    struct bed *b = *state;
    struct peer p;
    char command[80];
    unsigned long long then = fill(b);
    static const struct {
        const char *command, *reply; /* what it begins with */
        size_t names;
    } asked[] = {
        {"KEYS *", "*300 ", EARLY}, {"KEYS early:1*", "*111 ", 111}, {"KEYS nothing", "*0", 0}, {"DBSIZE", ":300", 0},
        {"SCAN 0 COUNT 1000000", "*2 $1 0 *300 ", EARLY}, {"SCAN 0 COUNT 1000000 TYPE document MATCH early:1*", "*2 $1 0 *36 ", 36},
        {"RANDOMKEY", "$7 early:0", 1}, /* of one: as of 1 */
    };
    peer_up(b, &p);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        for (int way = 0; way < 2; way++) {
            unsigned long long point = asked[i].reply[0] == '$' ? 1 : then;
            snprintf(command, sizeof command, "DVIEW %llu", point);
            if (way) assert_string_equal(peer_ask(b, &p, command), "+OK");
            snprintf(command, sizeof command, "DRUN %llu %s", point, asked[i].command);
            unsigned turns = turns_beside(b, &p, way ? asked[i].command : command);
            assert_true(turns >= 2 || asked[i].reply[0] == '$'); /* it may be found soon */
            assert_true(strncmp((const char *)p.got.p, asked[i].reply, strlen(asked[i].reply)) == 0);
            assert_int_equal(times_in((const char *)p.got.p, " early:"), asked[i].names);
            if (way) assert_string_equal(peer_ask(b, &p, "DVIEW OFF"), "+OK");
        }
    }
    assert_int_equal(atomic_load(&b->server.blocked), 0);
    peer_down(b, &p);
}

/* Inside a transaction there are no turns. */
static void at_one_go_in_a_transaction(void **state)
{
    struct bed *b = *state;
    struct peer p;
    char command[200];
    peer_up(b, &p);
    snprintf(command, sizeof command, "DVIEW %llu", (unsigned long long)fill(b));
    assert_string_equal(peer_ask(b, &p, command), "+OK");
    peer_send(&p, "MULTI\r\nDBSIZE\r\nKEYS early:9*\r\nSCAN 0 COUNT 1000000 MATCH early:29?\r\nRANDOMKEY\r\nGET early:7\r\nEXEC");
    while (times_in((const char *)(buf_add_byte(&p.got, 0), p.got.n--, p.got.p), "$1\r\n1\r\n") == 0) (void)peer_turn(b, &p);
    const char *got = plain(&p.got);
    assert_true(strncmp(got, "+OK +QUEUED +QUEUED +QUEUED +QUEUED +QUEUED *5 :300 *11 $", 57) == 0);
    assert_int_equal(times_in(got, "*2 $1 0 *10 $9 early:29"), 1);
    peer_down(b, &p);
}

static void clients_that_go(void **state)
{
    struct bed *b = *state;
    static const char *const asked[] = {"KEYS *", "DBSIZE", "SCAN 0 COUNT 1000000", "RANDOMKEY"};
    char command[80];
    unsigned long long then = fill(b);
    for (size_t i = 0; i < 4; i++) {
        struct peer p;
        if (i == 3) { /* none, which takes a whole round to tell */
            bed_expect(b, "FLUSHALL", "+OK");
            then = head_of(b);
        }
        peer_up(b, &p);
        snprintf(command, sizeof command, "DRUN %llu %s", then, asked[i]);
        peer_send(&p, command);
        for (int k = 0; k < BED_TURNS && atomic_load(&b->server.blocked) == 0; k++) assert_false(peer_turn(b, &p));
        assert_int_equal(atomic_load(&b->server.blocked), 1);
        peer_down(b, &p);
        assert_int_equal(atomic_load(&b->server.blocked), 0);
    }
}

/* What is written, deleted and dropped while a walk waits does not change its answer; where it could, the answer is PRUNED. */
static void the_point_does_not_move(void **state)
{
    struct bed *b = *state;
    struct peer p;
    char command[80];
    unsigned long long then = fill(b);
    peer_up(b, &p);
    snprintf(command, sizeof command, "DRUN %llu KEYS *", then);
    peer_send(&p, command);
    for (int k = 0; k < BED_TURNS && atomic_load(&b->server.blocked) == 0; k++) assert_false(peer_turn(b, &p));
    bed_expect(b, "FLUSHALL", "+OK");
    bed_expect(b, "SET new 1", "+OK");
    (void)peer_wait(b, &p);
    assert_int_equal(times_in((const char *)p.got.p, " early:"), EARLY);
    assert_int_equal(times_in((const char *)p.got.p, " new"), 0);
    peer_send(&p, command);
    for (int k = 0; k < BED_TURNS && atomic_load(&b->server.blocked) == 0; k++) assert_false(peer_turn(b, &p));
    (void)say(b, "DCOMPACT KEEP 1");
    (void)peer_wait(b, &p);
    bool pruned = strncmp((const char *)p.got.p, "-PRUNED ", 8) == 0;
    assert_true(pruned || times_in((const char *)p.got.p, " early:") == EARLY);
    assert_true(strncmp(peer_ask(b, &p, command), "-PRUNED ", 8) == 0);
    peer_down(b, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(others_go_on), WITH_SERVER(at_one_go_in_a_transaction), WITH_SERVER(clients_that_go), WITH_SERVER(the_point_does_not_move)};
    return cmocka_run_group_tests_name("key_walk", tests, NULL, NULL);
}
