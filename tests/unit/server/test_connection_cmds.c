/* PING ECHO QUIT RESET HELLO AUTH SELECT. */
#include "serverbed.h"

static void small_talk(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "PING\r\n", "+PONG\r\n");
    bed_ask(b, 0, "*2\r\n$4\r\nping\r\n$2\r\nhi\r\n", "$2\r\nhi\r\n");
    bed_ask(b, 0, "PING a b\r\n", "-ERR wrong number of arguments for 'ping' command\r\n");
    bed_ask(b, 0, "ECHO \"a b\"\r\n", "$3\r\na b\r\n");
    bed_ask(b, 0, "SELECT 3\r\nSELECT 16\r\nSELECT -1\r\nSELECT x\r\n",
            "+OK\r\n-ERR DB index is out of range\r\n-ERR DB index is out of range\r\n-ERR value is not an integer or out of range\r\n");
    bed_ask(b, 0, "RESET\r\n", "+RESET\r\n");
    bed_ask(b, 0, "PING\r\nQUIT\r\nPING\r\n", "+PONG\r\n+OK\r\n<closed>");
    bed_free(&b);
}

static void passwords(void **state)
{
    const char *options[] = {"requirepass", "secret", NULL};
    struct bed *b = bed_new(options);
    bed_ask(b, 0, "PING\r\n", "-NOAUTH Authentication required.\r\n");
    bed_ask(b, 0, "AUTH wrong\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    bed_ask(b, 0, "AUTH secretsecret\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    bed_ask(b, 0, "AUTH nobody secret\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    bed_ask(b, 0, "AUTH default secret\r\nPING\r\n", "+OK\r\n+PONG\r\n");
    bed_ask(b, 0, "RESET\r\nPING\r\n", "+RESET\r\n-NOAUTH Authentication required.\r\n");
    assert_non_null(strstr(bed_read(b, 1, "HELLO 3 AUTH default secret SETNAME me\r\n"), "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n"));
    bed_ask(b, 1, "CLIENT GETNAME\r\n", "$2\r\nme\r\n");
    bed_ask(b, 2, "*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n<closed>");
    bed_free(&b);
}

static void hello(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "HELLO 4\r\nHELLO x\r\nHELLO 2 foo\r\n",
            "-NOPROTO unsupported protocol version\r\n-ERR Protocol version is not an integer or out of range\r\n-ERR Syntax error in HELLO option 'foo'\r\n");
    bed_ask(b, 0, "HELLO 3 SETNAME \"a b\"\r\n", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    assert_non_null(strstr(bed_read(b, 0, "HELLO\r\n"), "$5\r\nproto\r\n:2\r\n"));
    bed_ask(b, 0, "AUTH x\r\n",
            "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n");
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(small_talk), cmocka_unit_test(passwords), cmocka_unit_test(hello)};
    return cmocka_run_group_tests_name("connection_cmds", tests, NULL, NULL);
}
