/* Mail between threads, time, the safe end. */
#include "serverbed.h"

static int sum;
static void add(struct loop *l, void *arg) { sum = sum * 10 + (int)(intptr_t)arg; }

static void mail_in_order(void **state)
{
    struct bed *b = bed_new(NULL);
    sum = 0;
    for (intptr_t i = 1; i <= 4; i++) loop_post(b->server.loops[0], add, (void *)i);
    bed_turn(b);
    bed_turn(b);
    assert_int_equal(sum, 1234);
    bed_free(&b);
}


static int counted;
static void count(struct loop *l, void *arg) { counted++; }
static void *count_many(void *arg)
{
    for (int i = 0; i < 1000; i++) loop_post(arg, count, NULL);
    return NULL;
}

static void mail_from_threads(void **state)
{
    struct bed *b = bed_new(NULL);
    pthread_t t[3];
    counted = 0;
    for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, count_many, b->server.loops[0]);
    for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < 100; i++) bed_turn(b);
    assert_int_equal(counted, 3000);
    bed_free(&b);
}

static void time_is_set_once_a_turn(void **state)
{
    struct bed *b = bed_new(NULL);
    struct loop *l = b->server.loops[0];
    bed_turn(b);
    assert_false(l->clock_set);
    loop_tick(l);
    uint64_t now = l->now_ms;
    for (struct timespec t = {0}; (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 <= now + 1;) clock_gettime(CLOCK_REALTIME, &t);
    loop_tick(l);
    assert_int_equal(l->now_ms, now);
    loop_clock(l);
    assert_true(l->now_ms > now);
    assert_true(loop_safe_end(l) <= engine_written_end(b->server.engine));
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mail_in_order), cmocka_unit_test(mail_from_threads), cmocka_unit_test(time_is_set_once_a_turn)};
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
