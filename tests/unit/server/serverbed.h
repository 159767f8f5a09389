/* A whole server in the test's own process: memory store, one loop that the test turns by hand, clients on socket pairs.
 *
 * It has two data commands of its own, PUT key value and FETCH key (and PUTS key value key value, which needs a batch; SLOWLY, which goes on later), since
 * families live in a layer below. */
#ifndef TESTS_UNIT_SERVER_SERVERBED_H
#define TESTS_UNIT_SERVER_SERVERBED_H

#include "base/logline.h"
#include "server/server.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BED_CLIENTS 8
#define BED_TURNS 200000

static void bed_put(struct call *c)
{
    struct ks_write w = {0};
    for (int i = 1; i + 1 < c->argc; i += 2) {
        int rc = ks_put(&c->ks, c->argv[i], TYPE_STRING, c->argv[i + 1], &w);
        if (rc < 0) {
            reply_failure(c, rc);
            return;
        }
    }
    notify_dirty(c, 1);
    reply_ok(c);
}

static void bed_fetch(struct call *c)
{
    struct ks_value v;
    int rc = ks_get(&c->ks, c->argv[1], &v);
    if (rc == E_NOTFOUND)
        reply_null(c);
    else if (rc < 0)
        reply_failure(c, rc);
    else
        reply_bulk(c, v.blob);
}

static int bed_steps_left;
static bool bed_step(struct call *c, void *state)
{
    if (--bed_steps_left > 0) return false;
    reply_bulk(c, c->argv[1]);
    return true;
}
static void bed_slowly(struct call *c) { call_later(c, LATER_TURN, bed_step, NULL, NULL); }

/* WAITS ms: answers with the newest seq that may be shown once it has grown, or nil when the time is over. */
static int bed_wake_ups;
static bool bed_waits_step(struct call *c, void *state)
{
    bed_wake_ups++;
    if (later_timed_out(c))
        reply_null(c);
    else
        reply_int(c, (int64_t)engine_safe_seq(ks_engine(c->ks.ks)));
    return true;
}
static void bed_waits(struct call *c)
{
    int64_t ms;
    if (!arg_i64(c, 1, &ms)) return;
    call_later(c, LATER_TURN, bed_waits_step, NULL, NULL);
    later_sleep(c, engine_safe_seq(ks_engine(c->ks.ks)), (uint64_t)ms);
}

static const struct command bed_rows[] = {
    {"put", bed_put, 3, CMD_WRITE | CMD_DENYOOM, "string", KEYS_ONE("OW UPDATE")},
    {"puts", bed_put, -3, CMD_WRITE | CMD_DENYOOM | CMD_MANY, "string", {{"OW UPDATE", 1, NULL, -1, 2, 0}}},
    {"fetch", bed_fetch, 2, CMD_READONLY | CMD_FAST, "string", KEYS_ONE("RO ACCESS")},
    {"slowly", bed_slowly, 2, CMD_BLOCKING, "string"},
    {"waits", bed_waits, 2, CMD_BLOCKING, "string"},
    {NULL},
};
FAMILY(string, bed_rows);

struct bed {
    struct server server;
    int fd[BED_CLIENTS];
    char got[1 << 16];
};

/* options: name, value, … NULL */
static inline struct bed *bed_new(const char *const *options)
{
    struct bed *b = calloc(1, sizeof *b);
    char error[CONFIG_ERROR_MAX];
    log_set_level(LOG_NOTHING);
    server_init(&b->server);
    const char *always[] = {"store", "memory", "port", "0", "threads", "1", "enable-debug-command", "yes", "enable-module-command", "yes", NULL};
    for (const char *const *o = always; *o; o += 2) assert_null(config_preset(&b->server.config, (enum config_id)config_find(slice_str(o[0])), slice_str(o[1]), error));
    for (const char *const *o = options; o && *o; o += 2)
        assert_null(config_preset(&b->server.config, (enum config_id)config_find(slice_str(o[0])), slice_str(o[1]), error));
    assert_int_equal(server_open(&b->server), E_OK);
    for (int i = 0; i < BED_CLIENTS; i++) b->fd[i] = -1;
    return b;
}

static inline void bed_turn(struct bed *b) { ev_run(b->server.loops[0]->ev, EVRUN_NOWAIT); }

static inline void bed_connect(struct bed *b, int i)
{
    int pair[2];
    char peer[32];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    b->fd[i] = pair[1];
    snprintf(peer, sizeof peer, "127.0.0.1:%d", 1000 + i);
    atomic_fetch_add(&b->server.n_clients, 1);
    client_new(b->server.loops[0], pair[0], peer, "127.0.0.1:1", false);
    bed_turn(b);
}

static inline void bed_send(struct bed *b, int i, const char *text)
{
    if (b->fd[i] < 0) bed_connect(b, i);
    assert_int_equal(send(b->fd[i], text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turns the loop until client i has received exactly `want` ('\0'-free). A closed connection reads as "<closed>". */
static inline void bed_wait(struct bed *b, int i, const char *want)
{
    size_t n = 0, need = strlen(want);
    bool open = true;
    for (int turn = 0; turn < BED_TURNS && n < need && open; turn++) {
        bed_turn(b);
        ssize_t got = recv(b->fd[i], b->got + n, sizeof b->got - n - 16, MSG_DONTWAIT);
        if (got > 0) n += (size_t)got;
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            open = false;
            memcpy(b->got + n, "<closed>", 8);
            n += 8;
            close(b->fd[i]);
            b->fd[i] = -1;
        }
    }
    b->got[n] = 0;
    assert_string_equal(b->got, want);
}

static inline void bed_ask(struct bed *b, int i, const char *request, const char *want)
{
    bed_send(b, i, request);
    bed_wait(b, i, want);
}

/* Turns until something came and the loop is quiet; the text is in b->got. */
static inline const char *bed_read(struct bed *b, int i, const char *request)
{
    size_t n = 0;
    bed_send(b, i, request);
    for (int quiet = 0; quiet < 20;) {
        bed_turn(b);
        ssize_t got = recv(b->fd[i], b->got + n, sizeof b->got - n - 1, MSG_DONTWAIT);
        if (got > 0) n += (size_t)got;
        quiet = got > 0 || n == 0 ? 0 : quiet + 1;
    }
    b->got[n] = 0;
    return b->got;
}

/* As maxmemory would have it; sanitizer builds do not know how much memory is used. */
static inline void refuse_memory(struct bed *b)
{
    ev_timer_stop(b->server.loops[0]->ev, &b->server.loops[0]->cron); /* it would judge again */
    atomic_store(&b->server.over_memory, true);
}

static inline void bed_free(struct bed **bp)
{
    struct bed *b = *bp;
    for (int i = 0; i < BED_CLIENTS; i++)
        if (b->fd[i] >= 0) close(b->fd[i]);
    bed_turn(b);
    server_close(&b->server);
    free(b);
    *bp = NULL;
}

#endif
