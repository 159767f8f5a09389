#include "base/thread.h"
#include "unit/base/dies.h"

#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct shared {
    struct mutex m;
    struct cond c;
    int count, turn;
    char name[16];
    bool term_blocked, bus_open;
};

static void add(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < 20000; i++) {
        mutex_lock(&s->m);
        s->count++;
        mutex_unlock(&s->m);
    }
}

static void mutex_excludes(void **state)
{
    struct shared s = {0};
    pthread_t t[4];
    mutex_init(&s.m, "count", RANK_LEAF);
    for (int i = 0; i < 4; i++) assert_int_equal(thread_start(&t[i], "adder", add, &s), E_OK);
    for (int i = 0; i < 4; i++) thread_join(t[i]);
    assert_int_equal(s.count, 80000);
    mutex_fini(&s.m);
}

static void answer(void *arg)
{
    struct shared *s = arg;
    sigset_t blocked;
    mutex_lock(&s->m);
    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    s->term_blocked = sigismember(&blocked, SIGTERM);
    s->bus_open = !sigismember(&blocked, SIGBUS) && !sigismember(&blocked, SIGSEGV);
    while (s->turn == 0) cond_wait(&s->c, &s->m);
    s->turn = 2;
    cond_broadcast(&s->c);
    mutex_unlock(&s->m);
}

static void conditions_wake(void **state)
{
    struct shared s = {0};
    pthread_t t;
    mutex_init(&s.m, "turn", RANK_LEAF);
    cond_init(&s.c);
    assert_int_equal(thread_start(&t, "a name that is far too long", answer, &s), E_OK);
    mutex_lock(&s.m);
    assert_false(cond_wait_us(&s.c, &s.m, 2000));
    s.turn = 1;
    cond_signal(&s.c);
    while (s.turn != 2) assert_true(cond_wait_us(&s.c, &s.m, UINT64_MAX));
    mutex_unlock(&s.m);
    thread_join(t);
    assert_string_equal(s.name, "a name that is ");
    assert_true(s.term_blocked);
    assert_true(s.bus_open);
    cond_fini(&s.c);
    mutex_fini(&s.m);
}

static void trylock(void **state)
{
    struct mutex m;
    mutex_init(&m, "try", RANK_LEAF);
    assert_true(mutex_trylock(&m));
    assert_false(mutex_trylock(&m));
    mutex_unlock(&m);
    assert_true(mutex_trylock(&m));
    mutex_unlock(&m);
    mutex_fini(&m);
}

#ifdef VARVE_DEBUG
static struct mutex low, high, leaf[2], stripe[2];

static void take_downwards(void)
{
    mutex_lock(&high);
    mutex_lock(&low);
}
static void take_two_leaves(void)
{
    mutex_lock(&leaf[0]);
    mutex_lock(&leaf[1]);
}
static void take_stripes_backwards(void)
{
    mutex_lock(&stripe[1]);
    mutex_lock(&stripe[0]);
}
static void take_twice(void)
{
    mutex_lock(&low);
    mutex_lock(&low);
}
static void release_what_is_not_held(void) { mutex_unlock(&low); }
static void take_in_order(void)
{
    mutex_lock(&low);
    mutex_lock(&stripe[0]);
    mutex_lock(&stripe[1]);
    mutex_lock(&high);
    mutex_lock(&leaf[1]);
    mutex_unlock(&stripe[0]); /* releasing in any order is fine */
    mutex_unlock(&leaf[1]);
    mutex_lock(&leaf[0]);
}
static void try_downwards(void)
{
    mutex_lock(&high);
    if (!mutex_trylock(&low)) abort();
}

static void order_is_checked(void **state)
{
    mutex_init(&low, "low", RANK_GATE);
    mutex_init(&high, "high", RANK_LOG);
    for (int i = 0; i < 2; i++) {
        mutex_init(&leaf[i], "leaf", RANK_LEAF);
        mutex_init(&stripe[i], "stripe", RANK_STRIPE);
    }
    assert_true(dies(take_downwards));
    assert_true(dies(take_two_leaves));
    assert_true(dies(take_stripes_backwards));
    assert_true(dies(take_twice));
    assert_true(dies(release_what_is_not_held));
    assert_false(dies(take_in_order));
    assert_false(dies(try_downwards));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutex_excludes),
        cmocka_unit_test(conditions_wake),
        cmocka_unit_test(trylock),
#ifdef VARVE_DEBUG
        cmocka_unit_test(order_is_checked),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
