/* Values: escapes, exact comparison, sort keys.
 *
 * A number is compared as the decimal it is: sign, power of ten, significant digits without zeros at either end. So no
 * two different numbers meet, whatever a double would make of them.
 *
 * Sort keys. First a type byte (KEY_TYPE + enum json_type, so it is above both terminators 0 and 1), then:
 *
 *   null, false, true   nothing
 *   number              zero: 80. Positive, value = 0.d1d2d3… × 10^e: one byte 82 + (e + 64) for -64 <= e < 58, else 81 or fc
 *                       and e + 2^63 in 8 bytes big-endian; then two digits a byte as (10a + b) << 1, with bit 0 set when more
 *                       follow. Negative: all those bytes inverted.
 *   string              unescaped bytes, 00 as 01 01 and 01 as 01 02, then 00
 *   array               its elements' keys, then 00
 *   object              its members sorted, each as 01, name as a string, value; then 00
 *
 * No key is a prefix of another: each part ends by itself. That stays so when keys are cut to a fixed number of bytes,
 * because a whole key that a cut one starts with would also be a prefix of the uncut one.
 *
 * Containers are compared by their keys, so the two orders cannot disagree. */
#include "base/json.h"

#include "base/codec.h"
#include "base/json_text.h"

#include <stdlib.h>

#define KEY_TYPE 2
#define EXPONENT_MAX 1000000000000000 /* 10^15: beyond, powers of ten count as equal */
#define REPLACEMENT "\xef\xbf\xbd"    /* U+FFFD */

static slice trim(slice s)
{
    const uint8_t *p = s.p, *end = s.p + s.n;
    while (p < end && json_is_space(*p)) p++;
    while (p < end && json_is_space(end[-1])) end--;
    return slice_of(p, (size_t)(end - p));
}

static enum json_type type_at(const uint8_t *p, const uint8_t *end)
{
    if (p == end) return JSON_NULL;
    switch (*p) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    default: return json_is_digit(*p) || *p == '-' ? JSON_NUMBER : JSON_NULL;
    }
}

enum json_type json_type_of(slice value)
{
    ASSERT(value.p || value.n == 0);
    value = trim(value);
    return type_at(value.p, value.p + value.n);
}

/* ---- strings ---- */

static unsigned utf8_put(uint8_t out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6), out[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12), out[1] = (uint8_t)(0x80 | (c >> 6 & 63)), out[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18), out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 63)), out[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

const uint8_t *json_escape_bytes(const uint8_t *p, const uint8_t *end, uint8_t out[4], unsigned *n)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    *n = 1;
    out[0] = '\\';
    if (end - p < 2) return end;
    if (p[1] != 'u') {
        const char *l = memchr(letters, p[1], 5);
        out[0] = l ? (uint8_t)meanings[l - letters] : p[1];
        return p + 2;
    }
    int high = json_hex4(p, end);
    if (high < 0) return p + 1;
    p += 6;
    uint32_t c = (uint32_t)high;
    if (high >= 0xd800 && high <= 0xdfff) {
        int low = high < 0xdc00 ? json_hex4(p, end) : -1;
        bool pair = low >= 0xdc00 && low <= 0xdfff;
        c = pair ? 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)low - 0xdc00) : 0xfffd;
        if (pair) p += 6;
    }
    *n = utf8_put(out, c);
    return p;
}

/* The unescaped bytes of a string's inside, one at a time. */
struct chars {
    const uint8_t *p, *end;
    uint8_t out[4];
    unsigned i, n;
};

static struct chars chars_of(slice inside) { return (struct chars){.p = inside.p, .end = inside.p + inside.n}; }

static int chars_next(struct chars *c)
{
    if (c->i < c->n) return c->out[c->i++];
    if (c->p == c->end) return -1;
    if (*c->p != '\\') return *c->p++;
    c->p = json_escape_bytes(c->p, c->end, c->out, &c->n);
    c->i = 1;
    return c->out[0];
}

static bool has_escape(slice s) { return s.n && memchr(s.p, '\\', s.n); }

int json_text_cmp(slice a, slice b)
{
    if (!has_escape(a) && !has_escape(b)) return slice_cmp(a, b);
    struct chars x = chars_of(a), y = chars_of(b);
    for (;;) {
        int c = chars_next(&x), d = chars_next(&y);
        if (c != d) return c < d ? -1 : 1;
        if (c < 0) return 0;
    }
}

bool json_text_eq(slice a, slice b)
{
    if (slice_eq(a, b)) return true; /* equal spelling is equal meaning */
    return (has_escape(a) || has_escape(b)) && json_text_cmp(a, b) == 0;
}

static slice inside_of(slice string)
{
    if (string.n == 0 || string.p[0] != '"') return string;
    bool closed = string.n > 1 && string.p[string.n - 1] == '"';
    return slice_of(string.p + 1, string.n - 1 - closed);
}

void json_unescape(slice string, struct buf *out)
{
    ASSERT(out);
    ASSERT(string.p || string.n == 0);
    slice in = inside_of(string);
    const uint8_t *p = in.p, *end = in.p + in.n;
    while (p < end) {
        const uint8_t *slash = memchr(p, '\\', (size_t)(end - p));
        if (!slash) slash = end;
        buf_add(out, p, (size_t)(slash - p));
        p = slash;
        if (p < end) {
            uint8_t bytes[4];
            unsigned n;
            p = json_escape_bytes(p, end, bytes, &n);
            buf_add(out, bytes, n);
        }
    }
}

static void quote_special(struct buf *out, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    const char *l = c ? memchr("\b\f\n\r\t\"\\", c, 7) : NULL;
    buf_add_byte(out, '\\');
    if (l) {
        buf_add_byte(out, (uint8_t)"bfnrt\"\\"[strchr("\b\f\n\r\t\"\\", c) - "\b\f\n\r\t\"\\"]);
        return;
    }
    buf_add_str(out, "u00");
    buf_add_byte(out, (uint8_t)hex[c >> 4]);
    buf_add_byte(out, (uint8_t)hex[c & 15]);
}

void json_quote(slice bytes, struct buf *out)
{
    ASSERT(out);
    ASSERT(bytes.p || bytes.n == 0);
    const uint8_t *p = bytes.p, *end = bytes.n ? bytes.p + bytes.n : bytes.p;
    buf_reserve(out, bytes.n + 2);
    buf_add_byte(out, '"');
    while (p < end) {
        const uint8_t *plain = json_skip_plain(p, bytes.p, end), *bad;
        buf_add(out, p, (size_t)(plain - p));
        p = plain;
        if (p == end) break;
        unsigned n = json_utf8(p, end, &bad);
        if (n == 0) {
            buf_add_str(out, REPLACEMENT);
            p = bad > p ? bad : p + 1;
        } else if (n == 1) {
            quote_special(out, *p++);
        } else {
            buf_add(out, p, n);
            p += n;
        }
    }
    buf_add_byte(out, '"');
}

/* ---- numbers ---- */

/* 0.DIGITS × 10^exponent, where DIGITS are those in [digits, end), a point among them not counted; they start and end
 * with one that is not 0. No digits: zero. */
struct decimal {
    bool negative;
    int64_t exponent;
    const uint8_t *digits, *end;
};

static int64_t parse_exponent(const uint8_t *p, const uint8_t *end)
{
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    int64_t e = 0;
    for (; p < end && json_is_digit(*p); p++)
        if (e < EXPONENT_MAX) e = e * 10 + (*p - '0');
    if (e > EXPONENT_MAX) e = EXPONENT_MAX;
    return negative ? -e : e;
}

static struct decimal decimal_of(const uint8_t *p, const uint8_t *end)
{
    struct decimal d = {false, 0, NULL, NULL};
    if (p < end && *p == '-') d.negative = true, p++;
    bool fraction = false;
    for (; p < end; p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        if (!json_is_digit(*p)) break;
        if (*p != '0') {
            if (!d.digits) d.digits = p;
            d.end = p + 1;
        }
        if (d.digits && !fraction) d.exponent++;
        if (!d.digits && fraction) d.exponent--;
    }
    if (!d.digits) return (struct decimal){false, 0, p, p};
    if (p < end && (*p | 0x20) == 'e') d.exponent += parse_exponent(p + 1, end);
    return d;
}

/* Next significant digit, or -1. */
static int digit_next(struct decimal *d)
{
    if (d->digits < d->end && *d->digits == '.') d->digits++;
    return d->digits < d->end ? *d->digits++ - '0' : -1;
}

static int number_cmp(slice a, slice b)
{
    struct decimal x = decimal_of(a.p, a.p + a.n), y = decimal_of(b.p, b.p + b.n);
    int sx = x.digits == x.end ? 0 : x.negative ? -1 : 1, sy = y.digits == y.end ? 0 : y.negative ? -1 : 1;
    if (sx != sy) return sx < sy ? -1 : 1;
    if (sx == 0) return 0;
    if (x.exponent != y.exponent) return (x.exponent < y.exponent) == (sx > 0) ? -1 : 1;
    for (;;) {
        int c = digit_next(&x), d = digit_next(&y);
        if (c != d) return (c < d) == (sx > 0) ? -1 : 1;
        if (c < 0) return 0;
    }
}

bool json_number_i64(slice value, int64_t *out)
{
    ASSERT(out);
    ASSERT(value.p || value.n == 0);
    value = trim(value);
    if (type_at(value.p, value.p + value.n) != JSON_NUMBER) return false;
    struct decimal d = decimal_of(value.p, value.p + value.n);
    if (d.exponent > 19 || (d.exponent < 1 && d.digits != d.end)) return false;
    uint64_t v = 0, limit = d.negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    for (int64_t i = 0; i < d.exponent; i++) {
        int c = digit_next(&d);
        if (c < 0) c = 0;
        if (v > (limit - (uint64_t)c) / 10) return false;
        v = v * 10 + (uint64_t)c;
    }
    if (digit_next(&d) >= 0) return false; /* a fraction is left */
    *out = d.negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* ---- sort keys ---- */

struct encoder {
    struct buf *out;
    size_t max;
    const uint8_t *start, *end;
    bool cut;
    bool broken; /* the text does not parse: it was never checked */
};

static void cut_at(struct encoder *e, size_t base)
{
    if (e->out->n - base <= e->max) return;
    e->out->n = base + e->max;
    e->cut = true;
}

static void encode_number(struct encoder *e, const uint8_t *p, const uint8_t *end, size_t base)
{
    struct decimal d = decimal_of(p, end);
    if (d.digits == d.end) {
        buf_add_byte(e->out, 0x80);
        return;
    }
    uint8_t flip = d.negative ? 0xff : 0, head[9];
    size_t n = 1;
    if (d.exponent >= -64 && d.exponent < 58) {
        head[0] = (uint8_t)(0x82 + d.exponent + 64);
    } else {
        head[0] = d.exponent < 0 ? 0x81 : 0xfc;
        put_be64(head + 1, (uint64_t)d.exponent + (1ull << 63));
        n = 9;
    }
    for (size_t i = 0; i < n; i++) buf_add_byte(e->out, head[i] ^ flip);
    for (int a = digit_next(&d); a >= 0 && e->out->n - base <= e->max;) {
        int b = digit_next(&d);
        int next = b < 0 ? -1 : digit_next(&d);
        buf_add_byte(e->out, (uint8_t)((10 * a + (b < 0 ? 0 : b)) << 1 | (next >= 0)) ^ flip);
        a = next;
    }
}

static void encode_text(struct encoder *e, slice inside, size_t base)
{
    struct chars c = chars_of(inside);
    for (int b = chars_next(&c); b >= 0 && e->out->n - base <= e->max; b = chars_next(&c)) {
        if (b <= 1) buf_add_byte(e->out, 1);
        buf_add_byte(e->out, (uint8_t)(b <= 1 ? b + 1 : b));
    }
    buf_add_byte(e->out, 0);
}

static const uint8_t *encode_value(struct encoder *e, const uint8_t *p, unsigned depth);

static const uint8_t *broken(struct encoder *e)
{
    e->broken = true;
    return e->end;
}

/* Behind a value: *more when another one follows. Returns the byte behind the comma or bracket. */
static const uint8_t *after_value(struct encoder *e, const uint8_t *p, uint8_t close, bool *more)
{
    p = json_skip_space(p, e->end);
    *more = p < e->end && *p == ',';
    if (p == e->end || (*p != ',' && *p != close)) return broken(e);
    return p + 1;
}

static bool is_empty(const struct encoder *e, const uint8_t *p, uint8_t close)
{
    p = json_skip_space(p, e->end);
    return p < e->end && *p == close;
}

static const uint8_t *encode_array(struct encoder *e, const uint8_t *p, size_t base, unsigned depth)
{
    bool more = !is_empty(e, p, ']');
    if (!more) p = json_skip_space(p, e->end) + 1;
    while (more && !e->broken) {
        p = json_skip_space(p, e->end);
        if (e->out->n - base <= e->max) {
            p = encode_value(e, p, depth + 1);
        } else { /* nothing further shows: only find the end */
            p = json_value_end(p, e->start, e->end);
            if (!p) return broken(e);
        }
        if (!e->broken) p = after_value(e, p, ']', &more);
    }
    buf_add_byte(e->out, 0);
    return p;
}

struct chunk {
    size_t off, n;
};

static int chunk_cmp(const void *a, const void *b, void *bytes)
{
    const struct chunk *x = a, *y = b;
    const uint8_t *p = bytes;
    return slice_cmp(slice_of(p + x->off, x->n), slice_of(p + y->off, y->n));
}

/* Puts the members' bytes, which lie from `from` to the end of out, into the order of their chunks' bytes. */
static void sort_chunks(struct encoder *e, struct buf *chunks, size_t from)
{
    size_t n = chunks->n / sizeof(struct chunk);
    if (n < 2) return;
    struct chunk *c = (struct chunk *)(void *)chunks->p;
    qsort_r(c, n, sizeof *c, chunk_cmp, e->out->p);
    struct buf sorted = {0};
    for (size_t i = 0; i < n && sorted.n <= e->max; i++) buf_add(&sorted, e->out->p + c[i].off, c[i].n);
    if (sorted.n < e->out->n - from) e->cut = true;
    memcpy(e->out->p + from, sorted.p, sorted.n);
    e->out->n = from + sorted.n;
    buf_fini(&sorted);
}

/* Members are encoded where they come and sorted afterwards. Each is cut to max bytes of its own: what lies behind can
 * never show in the whole key. */
static const uint8_t *encode_object(struct encoder *e, const uint8_t *p, unsigned depth)
{
    struct buf chunks = {0};
    size_t from = e->out->n;
    bool more = !is_empty(e, p, '}');
    if (!more) p = json_skip_space(p, e->end) + 1;
    while (more && !e->broken) {
        p = json_skip_space(p, e->end);
        const uint8_t *close = p < e->end && *p == '"' ? json_string_close(p + 1, e->end) : NULL;
        if (!close) {
            p = broken(e);
            break;
        }
        struct chunk c = {e->out->n, 0};
        buf_add_byte(e->out, 1);
        encode_text(e, slice_of(p + 1, (size_t)(close - p - 1)), c.off);
        p = json_skip_space(close + 1, e->end);
        if (p == e->end || *p != ':') {
            p = broken(e);
            break;
        }
        p = encode_value(e, json_skip_space(p + 1, e->end), depth + 1);
        cut_at(e, c.off);
        c.n = e->out->n - c.off;
        buf_add(&chunks, &c, sizeof c);
        if (!e->broken) p = after_value(e, p, '}', &more);
    }
    sort_chunks(e, &chunks, from);
    buf_fini(&chunks);
    buf_add_byte(e->out, 0);
    return p;
}

/* Appends the key of the value at p, at most max bytes of it; returns the byte behind the value. */
static const uint8_t *encode_value(struct encoder *e, const uint8_t *p, unsigned depth)
{
    if (p == e->end || depth > JSON_DEPTH_MAX) return broken(e);
    enum json_type type = type_at(p, e->end);
    size_t base = e->out->n;
    buf_add_byte(e->out, (uint8_t)(KEY_TYPE + type));
    if (type == JSON_ARRAY) {
        p = encode_array(e, p + 1, base, depth);
    } else if (type == JSON_OBJECT) {
        p = encode_object(e, p + 1, depth);
    } else {
        const uint8_t *behind = json_value_end(p, e->start, e->end);
        if (!behind) return broken(e);
        if (type == JSON_NUMBER) encode_number(e, p, behind, base);
        if (type == JSON_STRING) encode_text(e, inside_of(slice_of(p, (size_t)(behind - p))), base);
        p = behind;
    }
    cut_at(e, base);
    return p;
}

void json_sort_key(slice value, size_t max, struct buf *out, bool *cut)
{
    ASSERT(out && max > 0);
    ASSERT(value.p || value.n == 0);
    value = trim(value);
    struct encoder e = {.out = out, .max = max, .start = value.p, .end = value.p + value.n};
    (void)encode_value(&e, value.p, 0);
    if (cut) *cut = e.cut;
}

/* ---- order ---- */

static int container_cmp(slice a, slice b)
{
    struct buf x = {0}, y = {0};
    json_sort_key(a, SIZE_MAX, &x, NULL);
    json_sort_key(b, SIZE_MAX, &y, NULL);
    int c = slice_cmp(buf_slice(&x), buf_slice(&y));
    buf_fini(&x);
    buf_fini(&y);
    return c;
}

int json_compare(slice a, slice b)
{
    ASSERT(a.p || a.n == 0);
    ASSERT(b.p || b.n == 0);
    a = trim(a), b = trim(b);
    enum json_type ta = type_at(a.p, a.p + a.n), tb = type_at(b.p, b.p + b.n);
    if (ta != tb) return ta < tb ? -1 : 1;
    if (slice_eq(a, b)) return 0;
    if (ta == JSON_NUMBER) return number_cmp(a, b);
    if (ta == JSON_STRING) return json_text_cmp(inside_of(a), inside_of(b));
    return ta >= JSON_ARRAY ? container_cmp(a, b) : 0;
}
