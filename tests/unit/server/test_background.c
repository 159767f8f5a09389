/* Checkpoints beside other work. */
#include "serverbed.h"
#include "server/background.h"

static void checkpoints(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "PUT a 1\r\nPUT b 1\r\n", "+OK\r\n+OK\r\n");
    assert_int_equal(background_dirty(&b->server), 2);
    assert_int_equal(background_checkpoint(&b->server), E_OK);
    background_finish(&b->server);
    assert_false(atomic_load(&b->server.saving));
    assert_int_equal(background_dirty(&b->server), 0);
    assert_int_equal(checkpoint_now(&b->server), E_OK);
    assert_int_equal(atomic_load(&b->server.saves), 2);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(checkpoints)};
    return cmocka_run_group_tests_name("background", tests, NULL, NULL);
}
