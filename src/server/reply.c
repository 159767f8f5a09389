/* Encoding of replies, RESP2 and RESP3 (https://github.com/redis/redis-specifications). Everything appends to the client's output buffer.
 *
 * A length that is known only afterwards is inserted: reply_begin remembers the place, reply_end_* moves what came since and writes the
 * header before it. One move of bytes that are warm costs less than counting twice. */
#include "server/reply.h"
#include "server/client.h"
#include "server/server.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static struct buf *out_of(struct call *c) { return &c->client->out; }

static void add_header(struct buf *out, char kind, int64_t n)
{
    uint8_t *p = buf_reserve(out, 32);
    if (n >= 0 && n < 10) {
        p[0] = (uint8_t)kind, p[1] = (uint8_t)('0' + n), p[2] = '\r', p[3] = '\n';
        out->n += 4;
        return;
    }
    if (n >= 10 && n < 100) {
        p[0] = (uint8_t)kind, p[1] = (uint8_t)('0' + n / 10), p[2] = (uint8_t)('0' + n % 10), p[3] = '\r', p[4] = '\n';
        out->n += 5;
        return;
    }
    p[0] = (uint8_t)kind;
    size_t len = num_format_i64((char *)p + 1, n);
    p[len + 1] = '\r', p[len + 2] = '\n';
    out->n += len + 3;
}

void reply_raw(struct call *c, const char *bytes) { buf_add_str(out_of(c), bytes); }

void reply_encoded(struct call *c, slice bytes) { buf_add_slice(out_of(c), bytes); }

void reply_ok(struct call *c) { buf_add(out_of(c), "+OK\r\n", 5); }

void reply_status(struct call *c, const char *text)
{
    struct buf *out = out_of(c);
    buf_add_byte(out, '+');
    buf_add_str(out, text);
    buf_add(out, "\r\n", 2);
}

void reply_int(struct call *c, int64_t v) { add_header(out_of(c), ':', v); }

void reply_bulk(struct call *c, slice s)
{
    struct buf *out = out_of(c);
    add_header(out, '$', (int64_t)s.n);
    uint8_t *p = buf_reserve(out, s.n + 2);
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = '\r', p[s.n + 1] = '\n';
    out->n += s.n + 2;
}

void reply_str(struct call *c, const char *s) { reply_bulk(c, slice_str(s)); }

void reply_fmt(struct call *c, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    if ((size_t)n < sizeof text) {
        reply_bulk(c, slice_of(text, (size_t)n));
        return;
    }
    char *big = mem_alloc((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(big, (size_t)n + 1, fmt, ap);
    va_end(ap);
    reply_bulk(c, slice_of(big, (size_t)n));
    mem_free(big);
}

void reply_hash(struct call *c, const struct receipt *r)
{
    static const char header[] = "$64\r\n";
    enum { HEADER = sizeof header - 1, DIGITS = 2 * HASH_BYTES };
    struct buf *out = out_of(c);
    uint8_t *p = buf_reserve(out, HEADER + DIGITS + 2);
    size_t at = out->n + HEADER;
    memcpy(p, header, HEADER);
    p[HEADER + DIGITS] = '\r', p[HEADER + DIGITS + 1] = '\n';
    out->n += HEADER + DIGITS + 2;
    if (!ks_hash_into(&c->ks, r->seq, out, at)) hex_digits((char *)out->p + at, r->hash, HASH_BYTES);
}

void reply_null(struct call *c) { buf_add_str(out_of(c), c->resp >= 3 ? "_\r\n" : "$-1\r\n"); }
void reply_null_array(struct call *c) { buf_add_str(out_of(c), c->resp >= 3 ? "_\r\n" : "*-1\r\n"); }
void reply_array(struct call *c, size_t n) { add_header(out_of(c), '*', (int64_t)n); }
void reply_empty_array(struct call *c) { reply_array(c, 0); }

void reply_map(struct call *c, size_t n)
{
    if (c->resp >= 3)
        add_header(out_of(c), '%', (int64_t)n);
    else
        add_header(out_of(c), '*', (int64_t)(2 * n));
}

void reply_set(struct call *c, size_t n) { add_header(out_of(c), c->resp >= 3 ? '~' : '*', (int64_t)n); }
void reply_push(struct call *c, size_t n) { add_header(out_of(c), c->resp >= 3 ? '>' : '*', (int64_t)n); }

void reply_attribute(struct call *c, size_t n)
{
    ASSERT(c->resp >= 3);
    add_header(out_of(c), '|', (int64_t)n);
}

void reply_bool(struct call *c, bool v)
{
    if (c->resp >= 3)
        buf_add(out_of(c), v ? "#t\r\n" : "#f\r\n", 4);
    else
        reply_int(c, v);
}

void reply_double(struct call *c, double v)
{
    char text[48];
    size_t n = num_format_double(text, v);
    if (c->resp < 3) {
        reply_bulk(c, slice_of(text, n));
        return;
    }
    struct buf *out = out_of(c);
    buf_add_byte(out, ',');
    buf_add(out, text, n);
    buf_add(out, "\r\n", 2);
}

void reply_bignum(struct call *c, const char *digits)
{
    if (c->resp < 3) {
        reply_str(c, digits);
        return;
    }
    buf_add_byte(out_of(c), '(');
    buf_add_str(out_of(c), digits);
    buf_add(out_of(c), "\r\n", 2);
}

void reply_verbatim(struct call *c, const char *format3, slice s)
{
    if (c->resp < 3) {
        reply_bulk(c, s);
        return;
    }
    struct buf *out = out_of(c);
    ASSERT(strlen(format3) == 3);
    add_header(out, '=', (int64_t)s.n + 4);
    buf_add(out, format3, 3);
    buf_add_byte(out, ':');
    buf_add_slice(out, s);
    buf_add(out, "\r\n", 2);
}

void reply_error_to(struct buf *out, const char *text)
{
    buf_add_byte(out, '-');
    size_t at = out->n;
    buf_add_str(out, text);
    /* An error is one line whatever a client's bytes put into it. */
    for (size_t i = at; i < out->n; i++)
        if (out->p[i] == '\r' || out->p[i] == '\n') out->p[i] = ' ';
    buf_add(out, "\r\n", 2);
}

void reply_error(struct call *c, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ASSERT(n > 0);
    reply_error_to(out_of(c), text);
    c->client->errors++;
    if (c->client->server) server_count_error(c->client->server, text, strlen(text));
}

static void reply_pruned(struct call *c)
{
    const struct ks_ctx *k = &c->ks;
    if (k->pruned_seq == 0) {
        reply_error(c, "PRUNED %s", err_text(E_PRUNED));
        return;
    }
    unsigned long long oldest = engine_round_up(ks_engine(k->ks), k->pruned_seq);
    if (k->pruned_key.p == NULL)
        reply_error(c, "PRUNED oldest readable seq of all keys is %llu", oldest);
    else
        reply_error(c, "PRUNED oldest readable seq of '%.*s' is %llu", (int)k->pruned_key.n, (const char *)k->pruned_key.p, oldest);
}

void reply_failure(struct call *c, int code)
{
    ASSERT(code < 0);
    switch (code) {
    case E_STICKY:
    case E_NOSPACE: reply_error(c, "%s", c->client->server ? server_log_failure_text(c->client->server) : err_text(code)); break;
    case E_CORRUPT: reply_error(c, "CORRUPT %s", err_text(code)); break;
    case E_TOOBIG: reply_error(c, "TOOBIG %s", err_text(code)); break;
    case E_PRUNED: reply_pruned(c); break;
    case E_CONFLICT: reply_error(c, "CONFLICT %s", err_text(code)); break;
    case E_TIMEOUT: reply_error(c, "TIMEOUT %s", err_text(code)); break;
    case E_ERASED: reply_error(c, "ERASED %s", err_text(code)); break;
    case E_NOTFOUND: reply_error(c, "ERR no such key"); break;
    default: reply_error(c, "ERR %s", err_text(code)); break;
    }
}

void reply_wrongtype(struct call *c) { reply_error(c, "WRONGTYPE Operation against a key holding the wrong kind of value"); }
void reply_syntax(struct call *c) { reply_error(c, "ERR syntax error"); }
void reply_not_integer(struct call *c) { reply_error(c, "ERR value is not an integer or out of range"); }

/* ---- lengths that are known afterwards ---- */

size_t reply_begin(struct call *c) { return out_of(c)->n; }

static void insert_header(struct call *c, size_t token, char kind, size_t n)
{
    struct buf *out = out_of(c);
    ASSERT(token <= out->n);
    size_t body = out->n - token;
    add_header(out, kind, (int64_t)n); /* written behind, so that its length is known */
    uint8_t header[32];
    size_t len = out->n - token - body;
    memcpy(header, out->p + token + body, len);
    memmove(out->p + token + len, out->p + token, body);
    memcpy(out->p + token, header, len);
}

void reply_end_array(struct call *c, size_t token, size_t n) { insert_header(c, token, '*', n); }

void reply_end_map(struct call *c, size_t token, size_t n)
{
    if (c->resp >= 3)
        insert_header(c, token, '%', n);
    else
        insert_header(c, token, '*', 2 * n);
}

/* ---- arguments ---- */

bool arg_i64(struct call *c, int i, int64_t *out)
{
    ASSERT(i < c->argc);
    if (num_parse_i64(c->argv[i], out)) return true;
    reply_not_integer(c);
    return false;
}

bool arg_range(struct call *c, int i, int64_t lo, int64_t hi, int64_t *out)
{
    int64_t v;
    if (!arg_i64(c, i, &v)) return false;
    if (v < lo || v > hi) {
        reply_error(c, "ERR value is out of range, must be between %lld and %lld", (long long)lo, (long long)hi);
        return false;
    }
    *out = v;
    return true;
}

void notify_dirty(struct call *c, int64_t changes)
{
    if (c->client->loop == NULL) return;
    _Atomic int64_t *to = &c->client->loop->changes;
    atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + changes, memory_order_relaxed);
}

/* ---- help ---- */

void reply_help(struct call *c, const char *command, const char *lines)
{
    size_t token = reply_begin(c), n = 0;
    char head[160];
    snprintf(head, sizeof head, "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", command);
    reply_status(c, head);
    for (const char *p = lines; *p; n++) {
        size_t len = strcspn(p, "\n");
        buf_add_byte(out_of(c), '+');
        buf_add(out_of(c), p, len);
        buf_add(out_of(c), "\r\n", 2);
        p += len + (p[len] == '\n');
    }
    reply_status(c, "HELP");
    reply_status(c, "    Prints this help.");
    reply_end_array(c, token, n + 3);
}
