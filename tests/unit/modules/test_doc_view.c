/* Views: long commands in them, what others write meanwhile, and that nothing of a view is left behind. */
#include "unit/modules/doc_bed.h"

static void write_versions(struct bed *b, unsigned n)
{
    struct buf commands = {0};
    for (unsigned i = 0; i < n; i++) buf_printf(&commands, "DPUT k %u\r\n", i);
    say_all(b, &commands, n);
    buf_fini(&commands);
}

/* A command in a view that takes many turns keeps its point while the present goes on. */
static void test_long_command_in_a_view(void **state)
{
    struct bed *b = *state;
    struct peer p;
    char command[80];
    write_versions(b, 1300);
    uint64_t point = head_of(b);
    write_versions(b, 10);
    peer_up(b, &p);
    for (int way = 0; way < 2; way++) {
        if (way) {
            snprintf(command, sizeof command, "DVIEW %llu", (unsigned long long)point);
            assert_string_equal(peer_ask(b, &p, command), "+OK");
        }
        snprintf(command, sizeof command, way ? "DHISTORY k COUNT 100000" : "DRUN %llu DHISTORY k COUNT 100000",
                 (unsigned long long)point);
        peer_send(&p, command);
        unsigned turns = 0;
        for (; !peer_turn(b, &p); turns++) say(b, "DPUT k 5");
        assert_true(turns >= 1);
        assert_int_equal(times_in(plain(&p.got), "$3 seq :"), 1300);
    }
    assert_string_equal(peer_ask(b, &p, "DVIEW OFF"), "+OK");
    assert_true(number_after(peer_ask(b, &p, "DHISTORY k COUNT 100000"), "*") > 1310);
    peer_down(b, &p);
}

/* Whatever the inner command does, the next one reads the present and may write. */
static void test_nothing_is_left(void **state)
{
    static const char *const inner[] = {"GET s",
                                        "GET nothing",
                                        "DGET s",
                                        "NOSUCH",
                                        "GET",
                                        "SET s 2",
                                        "DRUN 1 GET s",
                                        "DVIEW 1",
                                        "DHISTORY s",
                                        "KEYS *",
                                        "MULTI",
                                        "EVAL x 0",
                                        "SUBSCRIBE c",
                                        "DCHANGES FROM 0",
                                        "DCHANGES FROM 0 BLOCK 5",
                                        "DQUERY nonsense",
                                        "DQUERY 'FROM d'",
                                        "OBJECT ENCODING s",
                                        "DINDEX WAIT d n 1"};
    struct bed *b = *state;
    struct peer p;
    char command[120];
    say(b, "SET s 1");
    uint64_t point = head_of(b);
    say(b, "SET s now");
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
        peer_up(b, &p);
        snprintf(command, sizeof command, "DRUN %llu %s", (unsigned long long)point, inner[i]);
        (void)peer_ask(b, &p, command);
        if (strcmp(peer_ask(b, &p, "GET s"), "$3 now") != 0) fail_msg("%s left its view: %s", command, (char *)p.got.p);
        assert_string_equal(peer_ask(b, &p, "SET other 1"), "+OK");
        peer_down(b, &p);
    }
    bed_expect(b, "GET s", "$3 now");
}

/* In a view writes are refused, one by one and in transactions; each client has its own. */
static void test_each_client_its_own(void **state)
{
    struct bed *b = *state;
    struct peer p[3];
    char command[64];
    uint64_t point[3];
    for (int i = 0; i < 3; i++) {
        say(b, "SET s %d", i);
        point[i] = head_of(b);
    }
    for (int i = 0; i < 3; i++) {
        peer_up(b, &p[i]);
        snprintf(command, sizeof command, "DVIEW %llu", (unsigned long long)point[i]);
        assert_string_equal(peer_ask(b, &p[i], command), "+OK");
    }
    say(b, "SET s 9");
    for (int i = 2; i >= 0; i--) {
        snprintf(command, sizeof command, "$1 %d", i);
        assert_string_equal(peer_ask(b, &p[i], "GET s"), command);
        assert_memory_equal(peer_ask(b, &p[i], "SET s 7"), "-READONLY", 9);
        assert_memory_equal(peer_ask(b, &p[i], "DPUT d 7"), "-READONLY", 9);
    }
    bed_expect(b, "GET s", "$1 9");
    assert_string_equal(peer_ask(b, &p[1], "DVIEW OFF"), "+OK");
    assert_string_equal(peer_ask(b, &p[1], "GET s"), "$1 9");
    assert_string_equal(peer_ask(b, &p[0], "GET s"), "$1 0");
    for (int i = 0; i < 3; i++) peer_down(b, &p[i]);
}

static void test_client_goes_in_its_view(void **state)
{
    struct bed *b = *state;
    char command[80];
    write_versions(b, 1300);
    snprintf(command, sizeof command, "DRUN %llu DHISTORY k COUNT 100000", (unsigned long long)head_of(b));
    for (int i = 0; i < 4; i++) {
        struct peer p;
        peer_up(b, &p);
        if (i & 1) (void)peer_ask(b, &p, "DVIEW 10");
        peer_send(&p, i & 1 ? "DHISTORY k COUNT 100000" : command);
        (void)peer_turn(b, &p);
        peer_down(b, &p);
        assert_int_equal(b->server.loops[0]->n_laters, 0);
    }
    say(b, "DPUT k 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_long_command_in_a_view),
        WITH_SERVER(test_nothing_is_left),
        WITH_SERVER(test_each_client_its_own),
        WITH_SERVER(test_client_goes_in_its_view),
    };
    return cmocka_run_group_tests_name("doc_view", tests, NULL, NULL);
}
