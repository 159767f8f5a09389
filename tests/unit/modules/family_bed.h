/* Command families in a whole server inside the test's process: memory store, one loop turned by hand, one client on a socket pair. Commands are
 * sent inline; replies are compared as text with every line end as one blank. */
#ifndef TESTS_UNIT_MODULES_FAMILY_BED_H
#define TESTS_UNIT_MODULES_FAMILY_BED_H

#include "base/logline.h"
#include "server/server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BED_TURNS 200000

struct exchange {
    const char *command, *reply;
};
struct bed {
    struct server server;
    int fd;
    size_t n;
    char got[1 << 16];
};

static inline int bed_up(void **state)
{
    struct bed *b = calloc(1, sizeof *b);
    char error[CONFIG_ERROR_MAX];
    int pair[2];
    log_set_level(LOG_NOTHING);
    server_init(&b->server);
    const char *options[] = {"store", "memory", "port", "0", "threads", "1", "enable-debug-command", "yes", NULL};
    for (const char *const *o = options; *o; o += 2)
        assert_null(config_preset(&b->server.config, (enum config_id)config_find(slice_str(o[0])), slice_str(o[1]), error));
    assert_int_equal(server_open(&b->server), E_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    b->fd = pair[1];
    atomic_fetch_add(&b->server.n_clients, 1);
    client_new(b->server.loops[0], pair[0], "127.0.0.1:1000", "127.0.0.1:1", false);
    *state = b;
    return 0;
}

static inline int bed_down(void **state)
{
    struct bed *b = *state;
    close(b->fd);
    ev_run(b->server.loops[0]->ev, EVRUN_NOWAIT);
    server_close(&b->server);
    free(b);
    return 0;
}

#define WITH_SERVER(fn) cmocka_unit_test_setup_teardown(fn, bed_up, bed_down)

/* The bytes of one whole reply at p, 0 while some are missing. */
static inline size_t bed_reply_bytes(const char *p, size_t n)
{
    const char *end = memchr(p, '\n', n);
    if (!end) return 0;
    size_t at = (size_t)(end - p) + 1;
    long count = strtol(p + 1, NULL, 10);
    if (*p == '$' && count >= 0) return at + (size_t)count + 2 <= n ? at + (size_t)count + 2 : 0;
    for (; *p == '*' && count > 0; count--) {
        size_t one = bed_reply_bytes(p + at, n - at);
        if (one == 0) return 0;
        at += one;
    }
    return at;
}

/* want NULL: any reply that is no error. */
static inline void bed_expect(struct bed *b, const char *command, const char *want)
{
    size_t len = 0;
    b->n = 0;
    assert_int_equal(send(b->fd, command, strlen(command), MSG_NOSIGNAL), strlen(command));
    assert_int_equal(send(b->fd, "\r\n", 2, MSG_NOSIGNAL), 2);
    for (int turn = 0; turn < BED_TURNS && len == 0; turn++) {
        ev_run(b->server.loops[0]->ev, EVRUN_NOWAIT);
        ssize_t got = recv(b->fd, b->got + b->n, sizeof b->got - b->n - 1, MSG_DONTWAIT);
        if (got > 0) b->n += (size_t)got;
        len = bed_reply_bytes(b->got, b->n);
    }
    assert_true(len > 0 && len == b->n);
    size_t out = 0;
    for (size_t i = 0; i < len; i++)
        if (b->got[i] != '\r') b->got[out++] = b->got[i] == '\n' ? ' ' : b->got[i];
    while (out > 0 && b->got[out - 1] == ' ') out--;
    b->got[out] = 0;
    if (want == NULL && b->got[0] != '-') return;
    if (want == NULL || strcmp(b->got, want) != 0)
        print_error("%s\n  wanted %s\n  got    %s\n", command, want ? want : "no error", b->got);
    assert_string_equal(b->got, want);
}

static inline void bed_talk(struct bed *b, const struct exchange *x)
{
    for (; x->command; x++) bed_expect(b, x->command, x->reply);
}

#endif
