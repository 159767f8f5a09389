/* Commands that go on later. */
#include "serverbed.h"
#include "server/later.h"

static void the_client_waits_others_run(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_steps_left = 1000000;
    bed_send(b, 0, "SLOWLY hello\r\nPING\r\n");
    for (int i = 0; i < 20; i++) bed_turn(b);
    assert_int_equal(atomic_load(&b->server.blocked), 1);
    assert_true(later_wants_turns(b->server.loops[0]));
    bed_ask(b, 1, "PING\r\n", "+PONG\r\n");
    bed_steps_left = 3;
    bed_wait(b, 0, "$5\r\nhello\r\n+PONG\r\n");
    assert_int_equal(atomic_load(&b->server.blocked), 0);
    bed_free(&b);
}

static void the_client_goes(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_steps_left = 1000000;
    bed_send(b, 0, "SLOWLY hello\r\n");
    for (int i = 0; i < 20; i++) bed_turn(b);
    close(b->fd[0]);
    b->fd[0] = -1;
    for (int i = 0; i < 20; i++) bed_turn(b);
    assert_int_equal(atomic_load(&b->server.blocked), 0);
    assert_null(b->server.loops[0]->laters);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_client_waits_others_run), cmocka_unit_test(the_client_goes)};
    return cmocka_run_group_tests_name("later", tests, NULL, NULL);
}
