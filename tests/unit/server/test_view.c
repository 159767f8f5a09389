/* Connections and commands that read as of a point. The bed's FETCH stands for every command that reads. */
#include "serverbed.h"

static void cmd_look(struct call *c)
{
    int64_t seq;
    if (!arg_i64(c, 1, &seq)) return;
    if (seq < 0)
        view_end(c);
    else
        view_set(c, (uint64_t)seq, 0);
}
static void cmd_once(struct call *c)
{
    int64_t seq;
    if (arg_i64(c, 1, &seq)) view_run(c, (uint64_t)seq, 0, 2);
}
static bool later_fetch(struct call *c, void *state)
{
    (void)state;
    bed_fetch(c);
    return true;
}
static void cmd_laterfetch(struct call *c) { call_later(c, LATER_TURN, later_fetch, NULL, NULL); }

static const struct command rows[] = {
    {"look", cmd_look, 2, CMD_READONLY | CMD_NO_MULTI, "string"},
    {"once", cmd_once, -3, CMD_READONLY, "string"},
    {"laterfetch", cmd_laterfetch, 2, CMD_READONLY | CMD_BLOCKING, "string", KEYS_ONE("RO ACCESS")},
    {NULL},
};
FAMILY(key, rows);

#define GONE "$-1\r\n"

static struct bed *with_history(void)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "PUT k one\r\nPUT k two\r\nPUT other x\r\n", "+OK\r\n+OK\r\n+OK\r\n");
    return b;
}

static void one_command(void **state)
{
    struct bed *b = with_history();
    bed_ask(b, 0, "ONCE 0 FETCH k\r\n", GONE);
    bed_ask(b, 0, "ONCE 1 FETCH k\r\nFETCH k\r\n", "$3\r\none\r\n$3\r\ntwo\r\n");
    bed_ask(b, 0, "ONCE 2 fetch other\r\n", GONE);
    bed_ask(b, 0, "ONCE 1 PUT k three\r\n", "-READONLY 'put' does more than reading; DRUN takes commands that only read\r\n");
    bed_ask(b, 0, "ONCE 1 PING\r\n", "-READONLY 'ping' does more than reading; DRUN takes commands that only read\r\n");
    bed_ask(b, 0, "ONCE 1 NOSUCH\r\n", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    bed_ask(b, 0, "ONCE 1 FETCH\r\n", "-ERR wrong number of arguments for 'fetch' command\r\n");
    bed_ask(b, 0, "ONCE 1 ONCE 1 FETCH k\r\n", "-ERR DRUN inside DRUN\r\n");
    bed_ask(b, 0, "FETCH k\r\n", "$3\r\ntwo\r\n");
    bed_free(&b);
}

static void a_command_that_goes_on_later(void **state)
{
    struct bed *b = with_history();
    bed_ask(b, 0, "ONCE 1 LATERFETCH k\r\nFETCH k\r\n", "$3\r\none\r\n$3\r\ntwo\r\n");
    bed_ask(b, 0, "LOOK 1\r\nLATERFETCH k\r\nLOOK -1\r\nLATERFETCH k\r\n", "+OK\r\n$3\r\none\r\n+OK\r\n$3\r\ntwo\r\n");
    bed_free(&b);
}

static void a_connection(void **state)
{
    struct bed *b = with_history();
    bed_ask(b, 0, "LOOK 1\r\nFETCH k\r\nFETCH other\r\n", "+OK\r\n$3\r\none\r\n" GONE);
    bed_ask(b, 1, "FETCH k\r\n", "$3\r\ntwo\r\n");
    bed_ask(b, 0, "PUT k three\r\n", "-READONLY this connection reads the past; DVIEW OFF brings it back to the present\r\n");
    bed_ask(b, 1, "PUT k three\r\n", "+OK\r\n");
    bed_ask(b, 0, "FETCH k\r\nLOOK 2\r\nFETCH k\r\nLOOK -1\r\nFETCH k\r\n", "$3\r\none\r\n+OK\r\n$3\r\ntwo\r\n+OK\r\n$5\r\nthree\r\n");
    bed_ask(b, 0, "LOOK 1\r\nRESET\r\nFETCH k\r\n", "+OK\r\n+RESET\r\n$5\r\nthree\r\n");
    bed_free(&b);
}

static void transactions(void **state)
{
    struct bed *b = with_history();
    bed_ask(b, 0, "LOOK 1\r\nMULTI\r\nFETCH k\r\nEXEC\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$3\r\none\r\n");
    bed_ask(b, 0, "MULTI\r\nPUT k three\r\nEXEC\r\n",
            "+OK\r\n-READONLY this connection reads the past; DVIEW OFF brings it back to the present\r\n"
            "-EXECABORT Transaction discarded because of previous errors.\r\n");
    bed_ask(b, 0, "LOOK -1\r\nMULTI\r\nPUT k three\r\nONCE 1 FETCH k\r\nFETCH k\r\nEXEC\r\n",
            "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n$3\r\none\r\n$5\r\nthree\r\n");
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_command), cmocka_unit_test(a_command_that_goes_on_later), cmocka_unit_test(a_connection),
                                       cmocka_unit_test(transactions)};
    return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
