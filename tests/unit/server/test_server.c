/* Opening, running on threads, stopping. */
#include "serverbed.h"
#include <arpa/inet.h>

static void *run(void *arg)
{
    struct bed *b = arg;
    return (void *)(intptr_t)server_run(&b->server);
}

static void threads_run_and_stop(void **state)
{
    const char *options[] = {"threads", "3", NULL};
    struct bed *b = bed_new(options);
    pthread_t t;
    void *code = NULL;
    assert_int_equal(b->server.n_loops, 3);
    assert_int_equal(pthread_create(&t, NULL, run, b), 0);
    server_end(&b->server, 3);
    server_end(&b->server, 4);
    pthread_join(t, &code);
    assert_int_equal((intptr_t)code, 3);
    bed_free(&b);
}

static void errors_are_counted_by_code(void **state)
{
    struct bed *b = bed_new(NULL);
    server_count_error(&b->server, "ERR x", 5);
    server_count_error(&b->server, "ERR y", 5);
    server_count_error(&b->server, "ODD", 3);
    assert_int_equal(b->server.errors.n, 2);
    assert_string_equal(b->server.errors.of[0].code, "ERR");
    assert_int_equal(b->server.errors.of[0].count, 2);
    assert_int_equal(b->server.errors.total, 3);
    bed_free(&b);
}

static void memory_is_judged(void **state)
{
    if (mem_used() < 2) skip(); /* sanitizer builds do not count */
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "CONFIG SET maxmemory 1\r\n", "+OK\r\n");
    assert_true(atomic_load(&b->server.over_memory));
    bed_ask(b, 0, "CONFIG SET maxmemory-policy allkeys-lru\r\n", "+OK\r\n");
    assert_false(atomic_load(&b->server.over_memory));
    bed_free(&b);
}

static void failure_texts(void **state)
{
    struct bed *b = bed_new(NULL);
    assert_int_equal(strncmp(server_log_failure_text(&b->server), "MISCONF ", 8), 0);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_run_and_stop), cmocka_unit_test(errors_are_counted_by_code), cmocka_unit_test(memory_is_judged),
                                       cmocka_unit_test(failure_texts)};
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
