/* CONFIG, TIME, SAVE, WAIT, SHUTDOWN and the small ones. */
#include "serverbed.h"
#include "server/background.h"

static void config(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "CONFIG GET port maxmemory-s* maxmemory-samples\r\nCONFIG GET nope\r\n",
            "*4\r\n$4\r\nport\r\n$1\r\n0\r\n$17\r\nmaxmemory-samples\r\n$1\r\n5\r\n*0\r\n");
    bed_free(&b);
}

static void settings(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "CONFIG SET timeout 5 maxmemory 1gb\r\nCONFIG GET timeout\r\n", "+OK\r\n*2\r\n$7\r\ntimeout\r\n$1\r\n5\r\n");
    bed_ask(b, 0, "CONFIG SET timeout x\r\nCONFIG SET a b c\r\nCONFIG REWRITE\r\nCONFIG RESETSTAT\r\n",
            "-ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into an integer\r\n"
            "-ERR syntax error\r\n-ERR The server is running without a config file\r\n+OK\r\n");
    bed_ask(b, 0, "CONFIG SET requirepass x\r\n", "+OK\r\n");
    bed_ask(b, 1, "PING\r\n", "-NOAUTH Authentication required.\r\n");
    bed_ask(b, 0, "CONFIG SET requirepass \"\" hz 1000\r\nCONFIG GET hz\r\n", "+OK\r\n*2\r\n$2\r\nhz\r\n$3\r\n500\r\n");
    bed_free(&b);
}

static void the_store(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "PUT a 1\r\nSAVE\r\nBGSAVE x\r\nBGSAVE SCHEDULE\r\n", "+OK\r\n+OK\r\n-ERR syntax error\r\n+Background saving started\r\n");
    for (int i = 0; i < 1000 && atomic_load(&b->server.saving); i++) usleep(1000);
    assert_int_equal(background_dirty(&b->server), 0);
    assert_int_equal(atomic_load(&b->server.saves), 2);
    bed_ask(b, 0, "BGREWRITEAOF\r\n", "+Background append only file rewriting started\r\n");
    assert_int_equal(bed_read(b, 0, "LASTSAVE\r\n")[0], ':');
    assert_int_equal(strncmp(bed_read(b, 0, "TIME\r\n"), "*2\r\n$10\r\n", 9), 0);
    bed_free(&b);
}

static void waiting(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "WAIT 0 0\r\nWAIT 1 20\r\nPING\r\n", ":0\r\n:0\r\n+PONG\r\n");
    bed_ask(b, 0, "PUT a 1\r\nWAITAOF 1 0 0\r\n", "+OK\r\n*2\r\n:1\r\n:0\r\n");
    bed_ask(b, 0, "WAITAOF 0 1 20\r\nWAITAOF 2 0 0\r\nWAITAOF 0 -1 0\r\n",
            "*2\r\n:1\r\n:0\r\n-ERR value is out of range, must be between 0 and 1\r\n-ERR value is out of range, must be positive\r\n");
    bed_ask(b, 0, "WAIT a b\r\nWAIT 0 a\r\nWAIT 0 -1\r\n",
            "-ERR value is not an integer or out of range\r\n-ERR timeout is not an integer or out of range\r\n-ERR timeout is negative\r\n");
    bed_ask(b, 0, "MULTI\r\nWAIT 1 0\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n:0\r\n");
    bed_free(&b);
}

static void small_ones(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "ACL WHOAMI\r\nFUNCTION FLUSH\r\nFUNCTION FLUSH x\r\nLATENCY RESET\r\nSLOWLOG RESET\r\n",
            "$7\r\ndefault\r\n+OK\r\n-ERR FUNCTION FLUSH only supports SYNC|ASYNC option\r\n:0\r\n+OK\r\n");
    bed_ask(b, 0, "SHUTDOWN x\r\nSHUTDOWN SAVE NOSAVE\r\nSHUTDOWN ABORT\r\n", "-ERR syntax error\r\n-ERR syntax error\r\n-ERR No shutdown in progress.\r\n");
    assert_false(atomic_load(&b->server.stopping));
    bed_ask(b, 0, "SHUTDOWN NOW\r\n", "<closed>");
    assert_true(atomic_load(&b->server.stopping));
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(config), cmocka_unit_test(settings), cmocka_unit_test(the_store), cmocka_unit_test(waiting), cmocka_unit_test(small_ones)};
    return cmocka_run_group_tests_name("admin_cmds", tests, NULL, NULL);
}
