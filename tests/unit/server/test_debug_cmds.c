/* DEBUG. */
#include "serverbed.h"

static void protocol_samples(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "DEBUG PROTOCOL attrib\r\nDEBUG PROTOCOL map\r\nDEBUG PROTOCOL verbatim\r\nDEBUG PROTOCOL null\r\n",
            "$39\r\nSome real reply following the attribute\r\n*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n$25\r\nThis is a verbatim\nstring\r\n$-1\r\n");
    bed_read(b, 0, "HELLO 3\r\n");
    bed_ask(b, 0, "DEBUG PROTOCOL bignum\r\nDEBUG PROTOCOL double\r\nDEBUG PROTOCOL push\r\nDEBUG PROTOCOL true\r\n",
            "(1234567999999999999999999999999999999\r\n,3.141\r\n>2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n$40\r\nSome real reply following the push reply\r\n#t\r\n");
    bed_free(&b);
}

static void data(void **state)
{
    struct bed *b = bed_new(NULL);
    char before[128], after[128];
    bed_ask(b, 0, "DEBUG DIGEST\r\n", "+0000000000000000000000000000000000000000\r\n");
    bed_ask(b, 0, "DEBUG POPULATE 20 p 30\r\n", "+OK\r\n");
    assert_int_equal(strncmp(bed_read(b, 0, "FETCH p:7\r\n"), "$30\r\nvalue:7", 12), 0);
    snprintf(before, sizeof before, "%s", bed_read(b, 0, "DEBUG DIGEST\r\n"));
    bed_ask(b, 0, "DEBUG RELOAD\r\nDEBUG LOADAOF\r\nDEBUG CHECK\r\n", "+OK\r\n+OK\r\n+OK\r\n");
    snprintf(after, sizeof after, "%s", bed_read(b, 0, "DEBUG DIGEST\r\n"));
    assert_string_equal(before, after);
    bed_ask(b, 0, "PUT x 1\r\nPUT y 1\r\n", "+OK\r\n+OK\r\n");
    snprintf(before, sizeof before, "%s", bed_read(b, 0, "DEBUG DIGEST-VALUE x\r\n"));
    snprintf(after, sizeof after, "%s", bed_read(b, 0, "DEBUG DIGEST-VALUE y\r\n"));
    assert_string_equal(before, after);
    assert_non_null(strstr(bed_read(b, 0, "DEBUG OBJECT x\r\n"), "encoding:int serializedlength:1 "));
    bed_ask(b, 0, "DEBUG OBJECT nokey\r\n", "-ERR no such key\r\n");
    bed_free(&b);
}

static void the_rest(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "DEBUG foo\r\nDEBUG sleep\r\nDEBUG SLEEP 0\r\nDEBUG ERROR \"MINE x\"\r\n",
            "-ERR unknown subcommand or wrong number of arguments for 'foo'. Try DEBUG HELP.\r\n"
            "-ERR unknown subcommand or wrong number of arguments for 'sleep'. Try DEBUG HELP.\r\n+OK\r\n-MINE x\r\n");
    bed_ask(b, 0, "DEBUG SET-ACTIVE-EXPIRE 0\r\nDEBUG PAUSE-CRON 1\r\nDEBUG LOG x\r\nDEBUG REPLYBUFFER RESIZING 0\r\n", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    bed_ask(b, 0, "DEBUG REPLYBUFFER PEAK-RESET-TIME never\r\nDEBUG REPLYBUFFER PEAK-RESET-TIME x\r\nDEBUG REPLYBUFFER x 1\r\nDEBUG POPULATE -1\r\nDEBUG POPULATE 1 p x\r\n",
            "+OK\r\n-ERR value is not an integer or out of range\r\n-ERR unknown subcommand or wrong number of arguments for 'REPLYBUFFER'. Try DEBUG HELP.\r\n"
            "-ERR value is out of range, must be positive\r\n-ERR value is out of range, must be positive\r\n");
    bed_ask(b, 0, "DEBUG PROTOCOL push\r\n", "-ERR RESP2 is not supported by this command\r\n");
    assert_true(atomic_load(&b->server.cron_paused));
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(protocol_samples), cmocka_unit_test(data), cmocka_unit_test(the_rest)};
    return cmocka_run_group_tests_name("debug_cmds", tests, NULL, NULL);
}
