/* CLIENT and its sub-commands. */
#include "serverbed.h"

static void names_and_ids(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "CLIENT ID\r\n", ":1\r\n");
    bed_ask(b, 1, "CLIENT ID\r\n", ":2\r\n");
    bed_ask(b, 0, "CLIENT GETNAME\r\nCLIENT SETNAME joe\r\nCLIENT GETNAME\r\n", "$-1\r\n+OK\r\n$3\r\njoe\r\n");
    bed_ask(b, 0, "CLIENT SETNAME \"a b\"\r\n", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    bed_ask(b, 0, "CLIENT SETINFO LIB-NAME x\r\nCLIENT SETINFO LIB-X x\r\n", "+OK\r\n-ERR Unrecognized option 'LIB-X'\r\n");
    bed_ask(b, 0, "CLIENT NO-EVICT on\r\nCLIENT NO-TOUCH off\r\nCLIENT NO-TOUCH x\r\nCLIENT GETREDIR\r\n", "+OK\r\n+OK\r\n-ERR syntax error\r\n:-1\r\n");
    bed_ask(b, 0, "CLIENT FOO\r\n", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n");
    const char *list = bed_read(b, 0, "CLIENT LIST\r\n");
    assert_non_null(strstr(list, "id=1 addr=127.0.0.1:1000 laddr=127.0.0.1:1 "));
    assert_non_null(strstr(list, "name=joe "));
    assert_non_null(strstr(list, "\nid=2 addr=127.0.0.1:1001 "));
    assert_null(strstr(bed_read(b, 0, "CLIENT LIST ID 2\r\n"), "id=1 "));
    assert_non_null(strstr(bed_read(b, 0, "CLIENT INFO\r\n"), "qbuf=13 "));
    bed_free(&b);
}

static void kills(void **state)
{
    struct bed *b = bed_new(NULL);
    for (int i = 0; i < 4; i++) bed_ask(b, i, "PING\r\n", "+PONG\r\n");
    bed_ask(b, 0, "CLIENT KILL 9.9.9.9:1\r\n", "-ERR No such client\r\n");
    bed_ask(b, 0, "CLIENT KILL 127.0.0.1:1001\r\n", "+OK\r\n");
    bed_wait(b, 1, "<closed>");
    bed_ask(b, 0, "CLIENT KILL ID 3\r\n", ":1\r\n");
    bed_wait(b, 2, "<closed>");
    bed_ask(b, 0, "CLIENT KILL TYPE normal SKIPME yes\r\n", ":1\r\n");
    bed_wait(b, 3, "<closed>");
    bed_ask(b, 0, "CLIENT KILL ID 0\r\nCLIENT KILL TYPE x\r\n", "-ERR client-id should be greater than 0\r\n-ERR Unknown client type 'x'\r\n");
    bed_ask(b, 0, "CLIENT KILL ID 1 SKIPME no\r\n", ":1\r\n<closed>");
    bed_free(&b);
}

static void replies_off(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "CLIENT REPLY OFF\r\nPING\r\nPING\r\nCLIENT REPLY ON\r\nECHO a\r\n", "+OK\r\n$1\r\na\r\n");
    bed_ask(b, 0, "CLIENT REPLY SKIP\r\nPING\r\nECHO b\r\n", "$1\r\nb\r\n");
    bed_free(&b);
}

static void pause_and_go_on(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "PING\r\nCLIENT PAUSE 100000 WRITE\r\n", "+PONG\r\n+OK\r\n");
    bed_send(b, 1, "PUT a 1\r\nFETCH a\r\n");
    for (int i = 0; i < 50; i++) bed_turn(b);
    bed_ask(b, 0, "FETCH a\r\n", "$-1\r\n");
    assert_non_null(strstr(bed_read(b, 0, "INFO clients\r\n"), "blocked_clients:1\r\n"));
    assert_non_null(strstr(bed_read(b, 0, "CLIENT LIST\r\n"), " flags=b ")); /* the one that waits */
    bed_ask(b, 0, "CLIENT UNPAUSE\r\n", "+OK\r\n");
    bed_wait(b, 1, "+OK\r\n$1\r\n1\r\n");
    bed_ask(b, 0, "CLIENT PAUSE 30\r\n", "+OK\r\n");
    bed_ask(b, 1, "PING\r\n", "+PONG\r\n"); /* by itself, once the time is over */
    bed_ask(b, 0, "CLIENT PAUSE x\r\nCLIENT PAUSE -1\r\nCLIENT PAUSE 1 foo\r\n",
            "-ERR timeout is not an integer or out of range\r\n-ERR timeout is negative\r\n-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n");
    bed_free(&b);
}

static void unblock(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "PING\r\n", "+PONG\r\n");
    bed_send(b, 1, "WAIT 1 0\r\nPING\r\n");
    for (int i = 0; i < 50; i++) bed_turn(b);
    bed_ask(b, 0, "CLIENT UNBLOCK 2 ERROR\r\nCLIENT UNBLOCK 2\r\nCLIENT UNBLOCK x\r\n", ":1\r\n:0\r\n-ERR value is not an integer or out of range\r\n");
    bed_wait(b, 1, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n+PONG\r\n");
    bed_send(b, 1, "WAIT 1 0\r\nPING\r\n");
    for (int i = 0; i < 50; i++) bed_turn(b);
    bed_ask(b, 0, "CLIENT UNBLOCK 2 TIMEOUT\r\n", ":1\r\n");
    bed_wait(b, 1, ":0\r\n+PONG\r\n"); /* as when the time is over */
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_and_ids), cmocka_unit_test(kills), cmocka_unit_test(replies_off), cmocka_unit_test(pause_and_go_on),
                                       cmocka_unit_test(unblock)};
    return cmocka_run_group_tests_name("client_cmds", tests, NULL, NULL);
}
