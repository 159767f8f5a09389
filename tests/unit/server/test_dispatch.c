/* The road of a command: errors in Redis's order, batches, the gate, and what a failed log makes of replies. */
#include "serverbed.h"
#include "base/os_sim.h"
#include "server/dispatch.h"
#include "server/output.h"

static void refusals(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "foo bar \"b\\\"az\" '' x\r\n", "-ERR unknown command 'foo', with args beginning with: 'bar' 'b\"az' '' 'x' \r\n");
    bed_ask(b, 0, "FETCH\r\n", "-ERR wrong number of arguments for 'fetch' command\r\n");
    bed_ask(b, 0, "CONFIG\r\nCONFIG GET\r\nCONFIG foo\r\n",
            "-ERR wrong number of arguments for 'config' command\r\n-ERR wrong number of arguments for 'config|get' command\r\n-ERR unknown subcommand 'foo'. Try CONFIG "
            "HELP.\r\n");
    bed_ask(b, 0, "CONFIG SET min-replicas-to-write 1\r\nPUT a 1\r\nCONFIG SET min-replicas-to-write 0\r\n", "+OK\r\n-NOREPLICAS Not enough good replicas to write.\r\n+OK\r\n");
    refuse_memory(b);
    bed_ask(b, 0, "PUT a 1\r\nFETCH a\r\n", "-OOM command not allowed when used memory > 'maxmemory'.\r\n$-1\r\n");
    const char *info = bed_read(b, 0, "INFO commandstats errorstats\r\n");
    assert_non_null(strstr(info, "cmdstat_put:calls=0,usec=0,usec_per_call=0.00,rejected_calls=2,failed_calls=0"));
    assert_non_null(strstr(info, "errorstat_OOM:count=1"));
    assert_non_null(strstr(info, "errorstat_ERR:count=5"));
    bed_free(&b);
}

static void guards(void **state)
{
    const char *options[] = {"enable-debug-command", "no", "enable-module-command", "no", NULL};
    struct bed *b = bed_new(options);
    assert_non_null(strstr(bed_read(b, 0, "DEBUG SLEEP 0\r\n"), "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\""));
    assert_non_null(strstr(bed_read(b, 0, "MODULE LIST\r\n"), "-ERR MODULE command not allowed."));
    bed_free(&b);
}

static void batches_are_one_commit(void **state)
{
    struct bed *b = bed_new(NULL);
    struct engine_marks m;
    uint64_t first, last;
    bed_ask(b, 0, "PUTS a 1 b 2 c 3\r\nFETCH b\r\n", "+OK\r\n$1\r\n2\r\n");
    engine_get_marks(b->server.engine, &m);
    assert_int_equal(engine_commit_of(b->server.engine, m.last_seq, &first, &last), E_OK);
    assert_int_equal(last - first, 2);
    bed_ask(b, 0, "PUTS d 4\r\n", "+OK\r\n"); /* one key: no batch is needed */
    bed_free(&b);
}

static void replies_wait_for_the_log(void **state)
{
    struct bed *b = bed_new(NULL);
    struct loop *l = b->server.loops[0];
    bed_ask(b, 0, "PING\r\nPUT a 1\r\nPING\r\n", "+PONG\r\n+OK\r\n+PONG\r\n");
    assert_int_equal(l->gate, 0);
    /* Of a turn's replies those before the first write need not wait, all others must. */
    struct client *c = l->clients;
    struct ks_ctx ks = {.nodes = 1, .end = 1000};
    const struct command_entry *e = command_find(atomic_load(&b->server.commands), slice_str("fetch"));
    uint64_t from = output_end(c);
    buf_add_str(&c->out, "early");
    dispatch_replied(c, e, from);
    assert_int_equal(c->unsafe_count, 0);
    dispatch_wrote(c, &ks);
    buf_add_str(&c->out, "late");
    dispatch_replied(c, e, from + 5);
    buf_add_str(&c->out, "later");
    dispatch_replied(c, e, from + 9);
    assert_int_equal(c->unsafe_count, 2);
    assert_int_equal(c->unsafe_from, from + 5);
    assert_int_equal(c->gate, 1000);
    dispatch_fail_replies(c);
    assert_int_equal(c->unsafe_count, 0);
    assert_true(c->out.n > 5 && memcmp(c->out.p, "early-MISCONF ", 14) == 0);
    l->gate = 0;
    buf_clear(&c->out);
    bed_free(&b);
}

/* What another loop wrote may show in a reply before it is safe: so the reply waits for it. */
static void replies_wait_for_other_loops(void **state)
{
    struct bed *b = bed_new(NULL);
    struct server *s = &b->server;
    struct loop *l = s->loops[0];
    bed_ask(b, 0, "PUT a 1\r\n", "+OK\r\n");
    struct client *c = l->clients;
    const struct command_entry *e = command_find(atomic_load(&s->commands), slice_str("fetch"));
    unsigned loops = s->n_loops;
    s->n_loops = 2;
    for (int ahead = 0; ahead < 2; ahead++) {
        uint64_t newest = loop_safe_end(l) + (ahead ? 1000 : 0);
        atomic_store(&s->newest_end, newest);
        buf_add_str(&c->out, "x");
        dispatch_replied(c, e, output_end(c) - 1);
        assert_int_equal(c->unsafe_count, ahead);
        if (ahead) assert_int_equal(c->gate, newest);
        buf_clear(&c->out);
    }
    c->unsafe_count = 0;
    l->gate = 0;
    s->n_loops = loops;
    atomic_store(&s->newest_end, 0);
    bed_free(&b);
}

static void always_waits_too(void **state)
{
    const char *options[] = {"appendfsync", "always", NULL};
    struct bed *b = bed_new(options);
    bed_ask(b, 0, "PUT a 1\r\nFETCH a\r\n", "+OK\r\n$1\r\n1\r\n");
    struct engine_marks m;
    engine_get_marks(b->server.engine, &m);
    assert_int_equal(m.durable_seq, m.last_seq);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(refusals), cmocka_unit_test(guards), cmocka_unit_test(batches_are_one_commit),
                                       cmocka_unit_test(replies_wait_for_the_log), cmocka_unit_test(replies_wait_for_other_loops),
                                       cmocka_unit_test(always_waits_too)};
    return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
