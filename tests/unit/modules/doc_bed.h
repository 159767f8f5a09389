/* The document family in a whole server: further clients, turns one by one, and calls of the family's inner functions.
 *
 * A peer is one more client. Its command is sent without waiting (peer_send); each peer_turn turns the loop once, so that what happens between two turns of a
 * long command can be put there. A probe is a struct call of the bed's own client: what inner functions reply to it is taken by probe_text. */
#ifndef TESTS_UNIT_MODULES_DOC_BED_H
#define TESTS_UNIT_MODULES_DOC_BED_H

#include "unit/modules/family_bed.h"

#include "modules/doc/doc.h"
#include "server/dispatch.h"
#include "server/later.h"
#include "support/json_gen.h"

struct peer {
    int fd;
    struct buf got;
};

static inline void bed_turn(struct bed *b)
{
    ev_run(b->server.loops[0]->ev, EVRUN_NOWAIT);
}

static inline void peer_up(struct bed *b, struct peer *p)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    *p = (struct peer){.fd = pair[1]};
    atomic_fetch_add(&b->server.n_clients, 1);
    client_new(b->server.loops[0], pair[0], "127.0.0.1:1001", "127.0.0.1:1", false);
}

/* The client goes, in the middle of whatever it waits for. */
static inline void peer_down(struct bed *b, struct peer *p)
{
    uint64_t n = atomic_load(&b->server.n_clients);
    close(p->fd);
    for (int i = 0; i < BED_TURNS && atomic_load(&b->server.n_clients) == n; i++) bed_turn(b);
    assert_int_equal(atomic_load(&b->server.n_clients), n - 1);
    buf_fini(&p->got);
}

static inline void peer_send(struct peer *p, const char *command)
{
    buf_clear(&p->got);
    assert_int_equal(send(p->fd, command, strlen(command), MSG_NOSIGNAL), strlen(command));
    assert_int_equal(send(p->fd, "\r\n", 2, MSG_NOSIGNAL), 2);
}

/* One turn of the loop; true: the peer's whole reply has come. */
static inline bool peer_turn(struct bed *b, struct peer *p)
{
    bool news = false;
    bed_turn(b);
    for (;;) {
        ssize_t n = recv(p->fd, buf_reserve(&p->got, 1 << 16), 1 << 16, MSG_DONTWAIT);
        if (n <= 0) break;
        p->got.n += (size_t)n;
        news = true;
    }
    return news && bed_reply_bytes((const char *)p->got.p, p->got.n) == p->got.n;
}

/* Line ends become single blanks, as in bed_expect. */
static inline const char *plain(struct buf *b)
{
    size_t out = 0;
    for (size_t i = 0; i < b->n; i++)
        if (b->p[i] != '\r') b->p[out++] = b->p[i] == '\n' ? ' ' : b->p[i];
    while (out > 0 && b->p[out - 1] == ' ') out--;
    b->n = out;
    buf_add_byte(b, 0);
    b->n--;
    return (const char *)b->p;
}

/* Turns until the reply is there; returns how many turns that took. */
static inline unsigned peer_wait(struct bed *b, struct peer *p)
{
    unsigned turns = 1;
    while (!peer_turn(b, p)) assert_true(++turns < BED_TURNS);
    (void)plain(&p->got);
    return turns;
}

static inline const char *peer_ask(struct bed *b, struct peer *p, const char *command)
{
    peer_send(p, command);
    (void)peer_wait(b, p);
    return (const char *)p->got.p;
}

/* A command of the bed's client whose reply is no error. */
static inline const char *say(struct bed *b, const char *format, ...) PRINTF_LIKE(2, 3);
static inline const char *say(struct bed *b, const char *format, ...)
{
    char command[8192];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    bed_expect(b, command, NULL);
    return b->got;
}

/* Many commands at once; their replies are read and counted only. */
static inline void say_all(struct bed *b, struct buf *commands, unsigned n)
{
    unsigned replies = 0;
    size_t sent = 0, have = 0, at = 0;
    for (int turn = 0; turn < BED_TURNS && replies < n; turn++) {
        ssize_t w = sent < commands->n ? send(b->fd, commands->p + sent, commands->n - sent, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
        if (w > 0) sent += (size_t)w;
        bed_turn(b);
        ssize_t got = recv(b->fd, b->got + have, sizeof b->got - have - 1, MSG_DONTWAIT);
        if (got > 0) have += (size_t)got;
        for (size_t len; (len = bed_reply_bytes(b->got + at, have - at)) > 0; at += len, replies++)
            assert_int_not_equal(b->got[at], '-');
        memmove(b->got, b->got + at, have - at);
        have -= at;
        at = 0;
    }
    assert_int_equal(replies, n);
    buf_clear(commands);
}

/* The number behind `text` in a reply. */
static inline long number_after(const char *reply, const char *text)
{
    const char *at = strstr(reply, text);
    assert_non_null(at);
    return strtol(at + strlen(text), NULL, 10);
}

/* All numbers behind `text`, at most max; returns how many there are. Looks at each byte once: strstr would measure the whole reply each time when sanitized. */
static inline size_t numbers_after(const char *reply, const char *text, uint64_t *out, size_t max)
{
    const char *end = reply + strlen(reply), *at = reply;
    size_t n = 0, bytes = strlen(text);
    for (; (size_t)(end - at) >= bytes && (at = memchr(at, text[0], (size_t)(end - at))) != NULL; at++) {
        if ((size_t)(end - at) < bytes || memcmp(at, text, bytes) != 0) continue;
        if (n < max) out[n] = strtoull(at + bytes, NULL, 10);
        n++;
    }
    return n;
}

static inline size_t times_in(const char *reply, const char *text)
{
    return numbers_after(reply, text, NULL, 0);
}

/* The seq that head is. */
static inline uint64_t head_of(struct bed *b)
{
    struct engine_marks m;
    engine_get_marks(b->server.engine, &m);
    return m.last_seq;
}

/* ---- the clock: every look at it may be made to cost time, so that slices end where the test wants it ---- */
static struct {
    struct os_ops ops;
    const struct os_ops *real;
    struct os *os;
    _Atomic uint64_t ahead_us, step_us;
} slow_clock;

static inline uint64_t slow_mono_us(struct os *os)
{
    return slow_clock.real->mono_us(os) + (slow_clock.ahead_us += slow_clock.step_us);
}

/* From here on each look takes step_us; 0: the clock goes on as it should. Once a bed. */
static inline void clock_slow(struct bed *b, uint64_t step_us)
{
    struct os *os = engine_os(b->server.engine);
    if (slow_clock.os != os || os->ops != &slow_clock.ops) {
        slow_clock.os = os;
        slow_clock.real = os->ops;
        slow_clock.ops = *os->ops;
        slow_clock.ops.mono_us = slow_mono_us;
        os->ops = &slow_clock.ops;
    }
    slow_clock.step_us = step_us;
}

/* ---- inner functions ---- */
static inline struct client *bed_client(struct bed *b)
{
    struct client *c = b->server.loops[0]->clients;
    while (c->next) c = c->next; /* newest first */
    return c;
}

static inline struct call probe(struct bed *b, const slice *argv, int argc)
{
    struct call c;
    loop_clock(b->server.loops[0]);
    dispatch_prepare(bed_client(b), &c, argv, argc);
    return c;
}

/* What was replied to the probe, and forgets it. Valid until the next call. */
static inline const char *probe_text(struct bed *b)
{
    struct buf *out = &bed_client(b)->out;
    size_t n = out->n < sizeof b->got - 1 ? out->n : sizeof b->got - 1, k = 0;
    for (size_t i = 0; i < n; i++)
        if (out->p[i] != '\r') b->got[k++] = out->p[i] == '\n' ? ' ' : (char)out->p[i];
    while (k > 0 && b->got[k - 1] == ' ') k--;
    b->got[k] = 0;
    buf_clear(out);
    return b->got;
}

#endif
