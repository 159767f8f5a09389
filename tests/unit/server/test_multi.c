/* Transactions. */
#include "serverbed.h"

static void queue_and_run(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "MULTI\r\nPUT a 1\r\nFETCH a\r\nSELECT 1\r\nFETCH a\r\nEXEC\r\nFETCH a\r\n",
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n+OK\r\n$1\r\n1\r\n+OK\r\n$-1\r\n$-1\r\n");
    bed_ask(b, 0, "MULTI\r\nEXEC\r\nEXEC\r\nDISCARD\r\n", "+OK\r\n*0\r\n-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n");
    bed_ask(b, 0, "MULTI\r\nMULTI\r\nPUT b 1\r\nDISCARD\r\nFETCH b\r\n", "+OK\r\n-ERR MULTI calls can not be nested\r\n+QUEUED\r\n+OK\r\n$-1\r\n");
    bed_free(&b);
}

static void one_commit(void **state)
{
    struct bed *b = bed_new(NULL);
    struct engine_marks before, after;
    engine_get_marks(b->server.engine, &before);
    bed_ask(b, 0, "MULTI\r\nPUT a 1\r\nPUT b 2\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n");
    engine_get_marks(b->server.engine, &after);
    assert_int_equal(after.last_seq, before.last_seq + 2);
    uint64_t first, last;
    assert_int_equal(engine_commit_of(b->server.engine, after.last_seq, &first, &last), E_OK);
    assert_int_equal(first, before.last_seq + 1);
    assert_int_equal(last, after.last_seq);
    bed_free(&b);
}

static void refusals_abort(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "MULTI\r\nPUT a\r\nPUT a 1\r\nEXEC\r\nFETCH a\r\n",
            "+OK\r\n-ERR wrong number of arguments for 'put' command\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n");
    bed_ask(b, 0, "MULTI\r\nNOPE\r\nEXEC\r\n",
            "+OK\r\n-ERR unknown command 'NOPE', with args beginning with: \r\n-EXECABORT Transaction discarded because of previous errors.\r\n");
    /* Whatever is wrong with EXEC itself ends the transaction, and the watching, too. */
    bed_ask(b, 0, "EXEC x\r\nMULTI\r\nEXEC x\r\nEXEC\r\n",
            "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n+OK\r\n"
            "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n-ERR EXEC without MULTI\r\n");
    bed_ask(b, 0, "WATCH a\r\nEXEC x\r\nPUT a 1\r\nMULTI\r\nPING\r\nEXEC\r\n",
            "+OK\r\n-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
    const char *info = bed_read(b, 0, "INFO commandstats errorstats\r\n");
    assert_non_null(strstr(info, "errorstat_EXECABORT:count=5\r\n"));
    bed_ask(b, 0, "MULTI\r\nSHUTDOWN\r\nDISCARD\r\n", "+OK\r\n-ERR Command not allowed inside a transaction\r\n+OK\r\n");
    bed_ask(b, 0, "MULTI\r\nPUT a 1\r\n", "+OK\r\n+QUEUED\r\n");
    bed_ask(b, 1, "PING\r\n", "+PONG\r\n");
    refuse_memory(b);
    bed_ask(b, 0, "EXEC\r\n", "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.\r\n");
    bed_free(&b);
}

static void watching(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "PUT x 1\r\nWATCH x y\r\nMULTI\r\nPING\r\nEXEC\r\n", "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
    bed_ask(b, 0, "WATCH x\r\n", "+OK\r\n");
    bed_ask(b, 1, "PUT x 2\r\n", "+OK\r\n");
    bed_ask(b, 0, "MULTI\r\nPING\r\nEXEC\r\nMULTI\r\nPING\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
    bed_ask(b, 0, "WATCH x\r\nUNWATCH\r\n", "+OK\r\n+OK\r\n");
    bed_ask(b, 1, "PUT x 3\r\n", "+OK\r\n");
    bed_ask(b, 0, "MULTI\r\nWATCH x\r\nEXEC\r\n", "+OK\r\n-ERR WATCH inside MULTI is not allowed\r\n*0\r\n");
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(queue_and_run), cmocka_unit_test(one_commit), cmocka_unit_test(refusals_abort), cmocka_unit_test(watching)};
    return cmocka_run_group_tests_name("multi", tests, NULL, NULL);
}
