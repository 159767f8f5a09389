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

static void sleepers_wake_for_commits_only(void **state)
{
    struct bed *b = bed_new(NULL);
    struct loop *l = b->server.loops[0];
    bed_wake_ups = 0;
    bed_send(b, 0, "WAITS 0\r\nPING\r\n");
    bed_send(b, 1, "WAITS 100000\r\n");
    for (int i = 0; i < 50; i++) bed_turn(b);
    assert_int_equal(atomic_load(&b->server.blocked), 2);
    assert_null(l->laters); /* no turn looks at them */
    assert_non_null(l->sleepers);
    assert_int_equal(bed_wake_ups, 0);
    bed_ask(b, 2, "PUT a 1\r\n", "+OK\r\n");
    bed_wait(b, 0, ":1\r\n+PONG\r\n");
    bed_wait(b, 1, ":1\r\n");
    assert_int_equal(bed_wake_ups, 2);
    assert_int_equal(atomic_load(&b->server.blocked), 0);
    assert_null(l->sleepers);
    assert_true(atomic_load(&l->sleep_floor) == UINT64_MAX);
    bed_free(&b);
}

static void sleep_ends_with_its_time(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_send(b, 0, "WAITS 20\r\n");
    bed_wait(b, 0, "$-1\r\n");
    assert_int_equal(atomic_load(&b->server.blocked), 0);
    bed_free(&b);
}

static void a_sleeper_goes(void **state)
{
    struct bed *b = bed_new(NULL);
    struct loop *l = b->server.loops[0];
    bed_send(b, 0, "WAITS 0\r\n");
    bed_send(b, 1, "WAITS 50000\r\n");
    for (int i = 0; i < 20; i++) bed_turn(b);
    close(b->fd[0]);
    close(b->fd[1]);
    b->fd[0] = b->fd[1] = -1;
    for (int i = 0; i < 20; i++) bed_turn(b);
    assert_int_equal(atomic_load(&b->server.blocked), 0);
    assert_null(l->sleepers);
    bed_send(b, 2, "WAITS 0\r\n"); /* and one that waits when all ends */
    for (int i = 0; i < 20; i++) bed_turn(b);
    assert_non_null(l->sleepers);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_client_waits_others_run), cmocka_unit_test(the_client_goes),
                                       cmocka_unit_test(sleepers_wake_for_commits_only), cmocka_unit_test(sleep_ends_with_its_time),
                                       cmocka_unit_test(a_sleeper_goes)};
    return cmocka_run_group_tests_name("later", tests, NULL, NULL);
}
