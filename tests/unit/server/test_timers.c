/* What happens by the clock. */
#include "serverbed.h"
#include "server/timers.h"

static void turn_until(struct bed *b, bool (*over)(struct bed *b))
{
    for (int i = 0; i < 3000 && !over(b); i++) {
        bed_turn(b);
        usleep(1000);
    }
    assert_true(over(b));
}

static bool nobody(struct bed *b) { return b->server.loops[0]->n_clients == 0; }
static bool expired(struct bed *b)
{
    struct ks_stats st;
    ks_get_stats(b->server.ks, &st);
    return st.expired == 1;
}

static void idle_clients_are_closed(void **state)
{
    const char *options[] = {"timeout", "1", NULL};
    struct bed *b = bed_new(options);
    bed_ask(b, 0, "PING\r\n", "+PONG\r\n");
    turn_until(b, nobody);
    bed_free(&b);
}

/* Who neither reads nor asks is closed when its output is over the soft limit for as long as that says. */
static void slow_clients_are_closed(void **state)
{
    const char *options[] = {"client-output-buffer-limit", "normal 0 500000 1", NULL};
    struct bed *b = bed_new(options);
    struct buf value = {0};
    buf_add_str(&value, "PUT k ");
    for (int i = 0; i < 50000; i++) buf_add_byte(&value, 'x');
    buf_add(&value, "\r\n", 3);
    bed_ask(b, 0, (const char *)value.p, "+OK\r\n");
    for (int i = 0; i < 100; i++) assert_int_equal(send(b->fd[0], "FETCH k\r\n", 9, MSG_NOSIGNAL | MSG_DONTWAIT), 9);
    for (int i = 0; i < 20; i++) bed_turn(b);
    assert_int_equal(b->server.loops[0]->n_clients, 1);
    turn_until(b, nobody);
    buf_fini(&value);
    bed_free(&b);
}

static void keys_expire(void **state)
{
    struct bed *b = bed_new(NULL);
    struct ks_ctx ks = {.ks = b->server.ks, .now_ms = engine_now_ms(b->server.engine)};
    struct ks_write w = {.expiry = KS_EXPIRY_SET, .expire_ms = ks.now_ms + 20};
    assert_int_equal(ks_put(&ks, slice_str("k"), TYPE_STRING, slice_str("v"), &w), E_OK);
    turn_until(b, expired);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(idle_clients_are_closed), cmocka_unit_test(slow_clients_are_closed), cmocka_unit_test(keys_expire)};
    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
