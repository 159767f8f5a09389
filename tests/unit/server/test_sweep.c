/* A look at every client, with one loop and with several. */
#include "serverbed.h"
#include "server/sweep.h"

static void count_all(struct sweep *w, struct client *c, struct buf *text, int64_t *count)
{
    buf_printf(text, "%llu ", (unsigned long long)c->id);
    ++*count;
}

static int64_t found;
static char order[64];
static void finish(struct sweep *w, struct call *c)
{
    found = w->count;
    snprintf(order, sizeof order, "%.*s", (int)w->text.n, (const char *)w->text.p);
}

static void oldest_first(void **state)
{
    struct bed *b = bed_new(NULL);
    for (int i = 0; i < 3; i++) bed_connect(b, i);
    struct call call = {.client = b->server.loops[0]->clients, .resp = 2};
    struct sweep *w = sweep_new(&call);
    w->visit = count_all;
    w->finish = finish;
    sweep_run(w, &call);
    assert_int_equal(found, 3);
    assert_string_equal(order, "1 2 3 ");
    bed_free(&b);
}

static void loops_are_asked_by_mail(void **state)
{
    const char *options[] = {"threads", "2", NULL};
    struct bed *b = bed_new(options);
    bed_connect(b, 0);
    bed_send(b, 0, "CLIENT LIST\r\n");
    for (int i = 0; i < 20; i++) bed_turn(b);
    assert_int_equal(atomic_load(&b->server.blocked), 1); /* the other loop has not answered yet */
    ev_run(b->server.loops[1]->ev, EVRUN_NOWAIT);
    assert_non_null(strstr(bed_read(b, 0, "PING\r\n"), "id=1 "));
    assert_int_equal(atomic_load(&b->server.blocked), 0);
    bed_ask(b, 0, "MULTI\r\nCLIENT LIST\r\nEXEC\r\n",
            "+OK\r\n+QUEUED\r\n*1\r\n-ERR this command looks at all threads and cannot wait for them inside a transaction\r\n");
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(oldest_first), cmocka_unit_test(loops_are_asked_by_mail)};
    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
