/* Reading and writing of connections: pieces, pipelines, limits, slow readers. */
#include "serverbed.h"

static void requests_byte_by_byte(void **state)
{
    static const char text[] = "*3\r\n$3\r\nPUT\r\n$1\r\nk\r\n$5\r\nvalue\r\n\r\nFETCH k\r\n*2\r\n$5\r\nFETCH\r\n$1\r\nk\r\n";
    struct bed *b = bed_new(NULL);
    bed_connect(b, 0);
    for (size_t i = 0; text[i]; i++) {
        assert_int_equal(send(b->fd[0], text + i, 1, 0), 1);
        bed_turn(b);
    }
    bed_wait(b, 0, "+OK\r\n$5\r\nvalue\r\n$5\r\nvalue\r\n");
    bed_free(&b);
}

static void long_pipelines(void **state)
{
    struct bed *b = bed_new(NULL);
    struct buf in = {0}, want = {0};
    for (int i = 0; i < 500; i++) {
        buf_printf(&in, "*3\r\n$3\r\nPUT\r\n$%d\r\nk%d\r\n$1\r\n%d\r\nFETCH k%d\r\n", i < 10 ? 2 : i < 100 ? 3 : 4, i, i % 10, i);
        buf_printf(&want, "+OK\r\n$1\r\n%d\r\n", i % 10);
    }
    buf_add_byte(&in, 0);
    buf_add_byte(&want, 0);
    bed_ask(b, 0, (const char *)in.p, (const char *)want.p);
    buf_fini(&in);
    buf_fini(&want);
    bed_free(&b);
}

static void big_values_in_pieces(void **state)
{
    struct bed *b = bed_new(NULL);
    enum { N = 300000 };
    char *value = malloc(N), head[64];
    memset(value, 'v', N);
    bed_connect(b, 0);
    snprintf(head, sizeof head, "*3\r\n$3\r\nPUT\r\n$3\r\nbig\r\n$%d\r\n", N);
    bed_send(b, 0, head);
    for (size_t sent = 0; sent < N;) {
        ssize_t n = send(b->fd[0], value + sent, N - sent > 7777 ? 7777 : N - sent, MSG_DONTWAIT);
        if (n > 0) sent += (size_t)n;
        bed_turn(b);
    }
    bed_ask(b, 0, "\r\nPING\r\n", "+OK\r\n+PONG\r\n");
    /* And back to a reader who takes little at a time. */
    bed_send(b, 0, "FETCH big\r\n");
    size_t got = 0;
    for (int turn = 0; turn < BED_TURNS && got < N + 11; turn++) {
        bed_turn(b);
        ssize_t n = recv(b->fd[0], b->got, 4096, MSG_DONTWAIT);
        if (n > 0) got += (size_t)n;
    }
    assert_int_equal(got, N + 11); /* $300000\r\n … \r\n */
    bed_ask(b, 0, "PING\r\n", "+PONG\r\n");
    free(value);
    bed_free(&b);
}

static void protocol_errors_close(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "PING\r\n*1\r\n:5\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n<closed>");
    bed_ask(b, 1, "PUT a b\r\nSET \"x\r\n", "+OK\r\n-ERR Protocol error: unbalanced quotes in request\r\n<closed>");
    bed_free(&b);
}

static void slow_readers_are_cut(void **state)
{
    const char *options[] = {"client-output-buffer-limit", "normal 500000 0 0", NULL};
    struct bed *b = bed_new(options);
    struct buf value = {0};
    buf_add_str(&value, "PUT k ");
    for (int i = 0; i < 50000; i++) buf_add_byte(&value, 'x');
    buf_add(&value, "\r\n", 3);
    bed_ask(b, 0, (const char *)value.p, "+OK\r\n");
    for (int i = 0; i < 100; i++)
        if (send(b->fd[0], "FETCH k\r\n", 9, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    for (int turn = 0; turn < 2000 && b->server.loops[0]->n_clients; turn++) bed_turn(b);
    assert_int_equal(b->server.loops[0]->n_clients, 0);
    buf_fini(&value);
    bed_free(&b);
}

static void input_limit_closes(void **state)
{
    const char *options[] = {"client-query-buffer-limit", "1mb", NULL};
    struct bed *b = bed_new(options);
    static char block[65536];
    memset(block, 'x', sizeof block);
    bed_ask(b, 0, "PING\r\n", "+PONG\r\n");
    bed_send(b, 0, "*1\r\n$2000000\r\n");
    for (int i = 0; i < 400 && b->server.loops[0]->n_clients; i++) {
        (void)!send(b->fd[0], block, sizeof block, MSG_NOSIGNAL | MSG_DONTWAIT);
        bed_turn(b);
    }
    assert_int_equal(b->server.loops[0]->n_clients, 0);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests_byte_by_byte), cmocka_unit_test(long_pipelines), cmocka_unit_test(big_values_in_pieces),
                                       cmocka_unit_test(protocol_errors_close), cmocka_unit_test(slow_readers_are_cut), cmocka_unit_test(input_limit_closes)};
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
