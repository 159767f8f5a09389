/* Beside family_bed.h: further clients of a bed, arguments of any bytes, replies of any length, and a log that fails when the test says so. */
#ifndef TESTS_UNIT_MODULES_BED_CLIENT_H
#define TESTS_UNIT_MODULES_BED_CLIENT_H

#include "unit/modules/family_bed.h"

#include <errno.h>

#define SAY_BYTES_MAX 8192
#define SAY_WORDS_MAX 64

struct peer {
    int fd;
    struct buf in;   /* received, not taken */
    struct buf text; /* the last reply as text: every line end as one blank, none at the end */
    struct buf raw;  /* the same as it came */
};

static inline struct peer peer_new(struct bed *b)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    atomic_fetch_add(&b->server.n_clients, 1);
    client_new(b->server.loops[0], pair[0], "127.0.0.1:1001", "127.0.0.1:1", false);
    return (struct peer){.fd = pair[1]};
}

/* The bed's own client; not to be closed. */
static inline struct peer peer_own(struct bed *b) { return (struct peer){.fd = b->fd}; }

static inline void peer_forget(struct peer *p)
{
    buf_fini(&p->in);
    buf_fini(&p->text);
    buf_fini(&p->raw);
}

static inline void bed_turn(struct bed *b) { ev_run(b->server.loops[0]->ev, EVRUN_NOWAIT); }

/* The client goes away, whatever it waits for. */
static inline void peer_vanish(struct bed *b, struct peer *p)
{
    close(p->fd);
    for (int i = 0; i < 3; i++) bed_turn(b);
    peer_forget(p);
}

static inline void peer_words(struct bed *b, struct peer *p, size_t n, const slice *word)
{
    struct buf out = {0};
    buf_printf(&out, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&out, "$%zu\r\n", word[i].n);
        if (word[i].n) buf_add_slice(&out, word[i]);
        buf_add_str(&out, "\r\n");
    }
    for (size_t at = 0; at < out.n;) {
        ssize_t sent = send(p->fd, out.p + at, out.n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            at += (size_t)sent;
        else
            bed_turn(b);
    }
    buf_fini(&out);
}

/* Sends words parted by blanks. */
static inline void peer_say(struct bed *b, struct peer *p, const char *text)
{
    slice word[SAY_WORDS_MAX];
    size_t n = 0;
    for (const char *at = text; *at != 0; n++) {
        assert_true(n < SAY_WORDS_MAX);
        word[n] = slice_of(at, strcspn(at, " "));
        at += word[n].n;
        if (*at == ' ') at++;
    }
    peer_words(b, p, n, word);
}

/* Takes a whole reply, when there is one; one turn of the loop goes before. */
static inline bool peer_hears(struct bed *b, struct peer *p)
{
    bed_turn(b);
    for (;;) {
        ssize_t got = recv(p->fd, buf_reserve(&p->in, 1 << 16), 1 << 16, MSG_DONTWAIT);
        if (got <= 0) break;
        p->in.n += (size_t)got;
    }
    size_t len = p->in.n ? bed_reply_bytes((const char *)p->in.p, p->in.n) : 0;
    if (len == 0) return false;
    buf_clear(&p->raw);
    buf_clear(&p->text);
    buf_add(&p->raw, p->in.p, len);
    for (size_t i = 0; i < len; i++)
        if (p->in.p[i] != '\r') buf_add_byte(&p->text, p->in.p[i] == '\n' ? ' ' : p->in.p[i]);
    while (p->text.n > 0 && p->text.p[p->text.n - 1] == ' ') p->text.n--;
    buf_add_byte(&p->text, 0);
    memmove(p->in.p, p->in.p + len, p->in.n - len);
    p->in.n -= len;
    return true;
}

static inline const char *peer_reply(struct bed *b, struct peer *p)
{
    int turn = 0;
    while (turn < BED_TURNS * 10 && !peer_hears(b, p)) turn++;
    assert_true(turn < BED_TURNS * 10);
    return (const char *)p->text.p;
}

/* Says words parted by blanks and gives the reply. */
static inline const char *peer_ask(struct bed *b, struct peer *p, const char *fmt, ...) PRINTF_LIKE(3, 4);
static inline const char *peer_ask(struct bed *b, struct peer *p, const char *fmt, ...)
{
    char text[SAY_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert_in_range(n, 1, (int)sizeof text - 1);
    peer_say(b, p, text);
    return peer_reply(b, p);
}

static inline void peer_expect(struct bed *b, struct peer *p, const char *command, const char *want)
{
    const char *got = peer_ask(b, p, "%s", command);
    if (strcmp(got, want) != 0) print_error("%s\n", command);
    assert_string_equal(got, want);
}

static inline bool text_starts(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* The bytes of a bulk reply; p NULL: nil. */
static inline slice peer_bulk(const struct peer *p)
{
    assert_true(p->raw.n > 4 && p->raw.p[0] == '$');
    long n = strtol((const char *)p->raw.p + 1, NULL, 10);
    const uint8_t *nl = memchr(p->raw.p, '\n', p->raw.n);
    if (n < 0) return (slice){0};
    assert_true(nl != NULL && (size_t)n + (size_t)(nl + 1 - p->raw.p) + 2 == p->raw.n);
    return slice_of(nl + 1, (size_t)n);
}

/* The newest seq handed out. */
static inline uint64_t bed_seq(struct bed *b)
{
    struct engine_marks m;
    engine_get_marks(b->server.engine, &m);
    return m.last_seq;
}

/* The integer behind "name :" in a map's text. */
static inline long long text_field(const char *text, const char *name)
{
    char mark[64];
    snprintf(mark, sizeof mark, "$%zu %s :", strlen(name), name);
    const char *at = strstr(text, mark);
    if (!at) fail_msg("no integer %s in %.400s", name, text);
    return strtoll(at + strlen(mark), NULL, 10);
}

static inline int os_write_fails(struct os *os, struct os_file *f, uint64_t off, const void *p, size_t n)
{
    (void)os, (void)f, (void)off, (void)p, (void)n;
    return E_IO;
}

/* From here on no byte can be written to the store. */
static inline void bed_break_log(struct bed *b)
{
    static struct os_ops broken;
    broken = *b->server.os->ops;
    broken.write = os_write_fails;
    __atomic_store_n(&b->server.os->ops, &broken, __ATOMIC_SEQ_CST);
}

#endif
