/* The incremental request parser. Its limits and error texts are those of Redis 7.0, so that clients that test for them work.
 *
 * Two facts shape it. First, a request is nearly always complete in one read: then every argument is found by reading one short length and adding it,
 * without a search and without a copy. Second, nothing may be parsed twice: a value of 512 MB arrives in thousands of reads, so the state
 * (missing, bulk, args) survives between calls. */
#include "server/resp.h"
#include "base/mem.h"
#include "base/num.h"
#include <stdio.h>

static void push(struct resp_parser *p, slice s)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->args = mem_realloc(p->args, p->cap * sizeof *p->args);
    }
    p->args[p->n++] = s;
}

static enum resp_result fail(struct resp_parser *p, const char *text)
{
    snprintf(p->error, sizeof p->error, "%s", text);
    return RESP_ERROR;
}

/* A length line "<sign>digits\r\n" whose first byte is at `at`. Returns the byte behind it, NULL when it is not all there. */
static const uint8_t *length_line(const uint8_t *at, const uint8_t *end, int64_t *out, bool *bad)
{
    const uint8_t *p = at + 1;
    int64_t v = 0;
    *bad = false;
    /* The usual case: one to nine digits, then CR LF. */
    while (p < end && (unsigned)(*p - '0') < 10 && p - at < 10) v = v * 10 + (*p++ - '0');
    if (p < end && *p == '\r' && p > at + 1 && (at[1] != '0' || p == at + 2)) {
        if (end - p < 2) return NULL;
        *out = v;
        return p + 2;
    }
    const uint8_t *cr = memchr(at + 1, '\r', (size_t)(end - at - 1));
    if (!cr || end - cr < 2) return NULL;
    *bad = !num_parse_i64(slice_of(at + 1, (size_t)(cr - at - 1)), out);
    return cr + 2;
}

static bool line_too_long(const uint8_t *at, const uint8_t *end)
{
    return end - at > RESP_LINE_MAX && !memchr(at, '\r', (size_t)(end - at));
}

static enum resp_result next_inline(struct resp_parser *p, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *lf = memchr(*at, '\n', (size_t)(end - *at));
    /* A line with a NUL has no end, as when lines were C strings: running what stands before the NUL would be another command than was sent. */
    if (lf && memchr(*at, 0, (size_t)(lf - *at))) lf = NULL;
    if (!lf) return end - *at > RESP_LINE_MAX ? fail(p, "Protocol error: too big inline request") : RESP_MORE;
    size_t n = (size_t)(lf - *at);
    if (n && lf[-1] == '\r') n--;
    if (n > RESP_LINE_MAX) return fail(p, "Protocol error: too big inline request");
    buf_clear(&p->words);
    buf_grow(&p->words, n + 1); /* words are never longer than the line, so slices into it stay valid */
    int max = (int)(n / 2 + 1);
    slice *words = mem_alloc((size_t)max * sizeof *words);
    int found = resp_split_words(slice_of(*at, n), &p->words, words, max);
    for (int i = 0; i < found; i++) push(p, words[i]);
    mem_free(words);
    if (found < 0) return fail(p, "Protocol error: unbalanced quotes in request");
    *at = lf + 1;
    return found ? RESP_REQUEST : RESP_NOTHING;
}

/* The array header: how many arguments follow. RESP_REQUEST here means: go on with them. */
static enum resp_result next_header(struct resp_parser *p, const uint8_t **at, const uint8_t *end, const struct resp_limits *limits)
{
    bool bad;
    int64_t count = 0;
    const uint8_t *behind = length_line(*at, end, &count, &bad);
    if (!behind) return line_too_long(*at, end) ? fail(p, "Protocol error: too big mbulk count string") : RESP_MORE;
    if (bad || count > RESP_ARGS_MAX) return fail(p, "Protocol error: invalid multibulk length");
    if (count > RESP_ANON_ARGS_MAX && limits->anonymous) return fail(p, "Protocol error: unauthenticated multibulk length");
    *at = behind;
    if (count <= 0) return RESP_NOTHING;
    p->missing = count;
    p->bulk = -1;
    return RESP_REQUEST;
}

static enum resp_result next_bulk_length(struct resp_parser *p, const uint8_t **at, const uint8_t *end, const struct resp_limits *limits)
{
    bool bad;
    int64_t size = 0;
    if (*at == end) return RESP_MORE;
    if (**at == '\r' && end - *at > 1) return fail(p, "Protocol error: expected '$', got '\r'");
    const uint8_t *behind = length_line(*at, end, &size, &bad);
    if (!behind && line_too_long(*at, end)) return fail(p, "Protocol error: too big bulk count string");
    if (!behind) return RESP_MORE;
    if (**at != '$') {
        snprintf(p->error, sizeof p->error, "Protocol error: expected '$', got '%c'", **at);
        return RESP_ERROR;
    }
    if (bad || size < 0 || (uint64_t)size > limits->bulk_max) return fail(p, "Protocol error: invalid bulk length");
    if (size > RESP_ANON_BULK_MAX && limits->anonymous) return fail(p, "Protocol error: unauthenticated bulk length");
    *at = behind;
    p->bulk = size;
    return RESP_REQUEST;
}

/* A length line of one or two digits at p, whose bytes up to p[5] may be read: its length in bytes, 0 when it is another. */
static inline unsigned short_line(const uint8_t *p, unsigned *v)
{
    unsigned a = (unsigned)p[1] - '0', b = (unsigned)p[2] - '0';
    if (a < 10 && p[2] == '\r') {
        *v = a;
        return 4;
    }
    *v = a * 10 + b;
    return a - 1 < 9 && b < 10 && p[3] == '\r' ? 5 : 0;
}

/* The request that nearly all are: all there, and no length over 99. Takes it whole or leaves everything as it is. */
static bool short_request(struct resp_parser *p, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *q = *at;
    unsigned count, size, line;
    if (end - q < 6 || (line = short_line(q, &count)) == 0 || count == 0 || p->n + count > p->cap) return false;
    slice *to = p->args + p->n;
    q += line;
    for (unsigned i = 0; i < count; i++) {
        if (end - q < 6 || *q != '$' || (line = short_line(q, &size)) == 0 || (size_t)(end - q) < line + size + 2) return false;
        to[i] = slice_of(q + line, size);
        q += line + size + 2;
    }
    p->n += count;
    *at = q;
    return true;
}

enum resp_result resp_next(struct resp_parser *p, const uint8_t **at, const uint8_t *end, const struct resp_limits *limits, size_t *argc)
{
    ASSERT(*at <= end);
    if (p->missing == 0 && *at < end && **at == '*' && !limits->anonymous && short_request(p, at, end)) {
        *argc = p->n - p->first;
        return RESP_REQUEST;
    }
    if (p->missing == 0) {
        if (*at == end) return RESP_MORE;
        ASSERT(p->n == p->first);
        enum resp_result r = **at == '*' ? next_header(p, at, end, limits) : next_inline(p, at, end);
        *argc = p->n - p->first;
        if (r != RESP_REQUEST || p->missing == 0) return r;
    }
    while (p->missing > 0) {
        if (p->bulk < 0) {
            enum resp_result r = next_bulk_length(p, at, end, limits);
            if (r != RESP_REQUEST) return r;
        }
        if (end - *at < p->bulk + 2) return RESP_MORE;
        push(p, slice_of(*at, (size_t)p->bulk));
        *at += p->bulk + 2;
        p->bulk = -1;
        p->missing--;
    }
    *argc = p->n - p->first;
    return RESP_REQUEST;
}

void resp_take(struct resp_parser *p)
{
    ASSERT(p->missing == 0);
    p->first = p->n;
}

void resp_forget(struct resp_parser *p)
{
    ASSERT(p->first <= p->n);
    if (p->first == 0) return;
    if (p->n > p->first) memmove(p->args, p->args + p->first, (p->n - p->first) * sizeof *p->args);
    p->n -= p->first;
    p->first = 0;
}

void resp_reset(struct resp_parser *p)
{
    p->n = p->first = 0;
    p->missing = 0;
    p->bulk = -1;
}

void resp_moved(struct resp_parser *p, const uint8_t *from, const uint8_t *to)
{
    for (size_t i = p->first; i < p->n; i++) p->args[i].p = to + (p->args[i].p - from);
}

void resp_fini(struct resp_parser *p)
{
    mem_free(p->args);
    buf_fini(&p->words);
    memset(p, 0, sizeof *p);
}

size_t resp_big_rest(const struct resp_parser *p, size_t have)
{
    if (p->missing == 0 || p->bulk < RESP_BIG_BULK) return 0;
    size_t want = (size_t)p->bulk + 2;
    return want > have ? want - have : 0;
}

/* ---- words of a line ---- */

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_blank(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Decodes the escape behind a backslash at p inside double quotes; returns the byte behind it. */
static const uint8_t *unescape(const uint8_t *p, const uint8_t *end, struct buf *text)
{
    if (end - p >= 3 && *p == 'x' && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
        buf_add_byte(text, (uint8_t)(hex_digit(p[1]) * 16 + hex_digit(p[2])));
        return p + 3;
    }
    uint8_t c = *p;
    switch (c) {
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case 'b': c = '\b'; break;
    case 'a': c = '\a'; break;
    default: break;
    }
    buf_add_byte(text, c);
    return p + 1;
}

/* One quoted word from behind its quote to behind the closing one; NULL when it does not close or is not followed by a blank. */
static const uint8_t *quoted(const uint8_t *p, const uint8_t *end, uint8_t quote, struct buf *text)
{
    while (p < end && *p != quote) {
        if (*p == '\\' && quote == '"' && p + 1 < end) {
            p = unescape(p + 1, end, text);
        } else if (*p == '\\' && quote == '\'' && p + 1 < end && p[1] == '\'') {
            buf_add_byte(text, '\'');
            p += 2;
        } else {
            buf_add_byte(text, *p++);
        }
    }
    if (p == end || (p + 1 < end && !is_blank(p[1]))) return NULL;
    return p + 1;
}

int resp_split_words(slice line, struct buf *text, slice *words, int max)
{
    const uint8_t *p = line.p, *end = line.p + line.n;
    int n = 0;
    buf_grow(text, line.n + 1);
    for (;;) {
        while (p < end && is_blank(*p)) p++;
        /* A NUL ends the line, as it did when lines were C strings. */
        if (p == end || *p == 0) return n;
        if (n == max) return -2;
        size_t from = text->n;
        while (p < end && *p && !is_blank(*p)) {
            if (*p == '"' || *p == '\'') {
                p = quoted(p + 1, end, *p, text);
                if (!p) return -1;
                break;
            }
            buf_add_byte(text, *p++);
        }
        words[n++] = slice_of(text->p + from, text->n - from);
    }
}
