/* Text and numbers as Redis converts them. The C library does the hard part;
 * what is here is the strictness and the exact shape of the output. */
#include "base/num.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define EXACT_INT ((int64_t)1 << 53)             /* integers up to here are doubles exactly */
#define PLAIN_INT ((double)((int64_t)1 << 62))   /* integral doubles below this print as integers */

static bool parse_digits(const uint8_t *p, size_t n, uint64_t *out)
{
    uint64_t v = 0;
    if (n == 0 || n > 20) return false;
    if (p[0] == '0' && n > 1) return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(p[i] - '0'), &v)) return false;
    }
    *out = v;
    return true;
}

bool num_parse_u64(slice s, uint64_t *out) { return parse_digits(s.p, s.n, out); }

bool num_parse_i64(slice s, int64_t *out)
{
    bool minus = s.n > 0 && s.p[0] == '-';
    uint64_t v;
    if (!parse_digits(minus ? s.p + 1 : s.p, s.n - minus, &v)) return false;
    if (minus ? v == 0 || v > (uint64_t)1 << 63 : v > INT64_MAX) return false;
    *out = (int64_t)(minus ? 0 - v : v);
    return true;
}

/* A NUL-ended copy for the C library. Text longer than any number we write is refused. */
static bool copy_text(char to[NUM_TEXT_MAX], slice s)
{
    if (s.n == 0 || s.n >= NUM_TEXT_MAX || isspace(s.p[0])) return false;
    memcpy(to, s.p, s.n);
    to[s.n] = 0;
    return true;
}

bool num_parse_ldouble(slice s, long double *out)
{
    char text[NUM_TEXT_MAX], *end;
    if (!copy_text(text, s)) return false;
    errno = 0;
    long double v = strtold(text, &end);
    if (end != text + s.n || isnan(v)) return false;
    /* Denormal results set ERANGE too; only overflow and underflow to zero are failures. */
    if (errno == ERANGE && (isinf(v) || v == 0)) return false;
    *out = v;
    return true;
}

bool num_parse_double(slice s, double *out)
{
    char text[NUM_TEXT_MAX], *end;
    int64_t i;
    if (s.n <= 17 && num_parse_i64(s, &i) && i <= EXACT_INT && i >= -EXACT_INT) {
        *out = (double)i;
        return true;
    }
    if (!copy_text(text, s)) return false;
    errno = 0;
    double v = strtod(text, &end);
    if (end != text + s.n || isnan(v)) return false;
    if (errno == ERANGE && (isinf(v) || v == 0)) return false;
    *out = v;
    return true;
}

/* How many digits v has. */
static unsigned digits(uint64_t v)
{
    static const uint64_t power[] = {
        0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000,
        100000000000000, 1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000, 10000000000000000000u,
    };
    unsigned guess = (64 - (unsigned)__builtin_clzll(v | 1)) * 1233 >> 12; /* bits times log10(2): the number of digits or one less */
    return guess + (v >= power[guess]);
}

/* Two digits a division: the divisions are what it costs. They go where they belong at once: what has just been stored byte by byte is slow to copy. */
static size_t put_digits(char *out, uint64_t v)
{
    static const char pair[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";
    size_t n = digits(v), at = n;
    while (v >= 100) {
        memcpy(out + (at -= 2), pair + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10)
        memcpy(out, pair + v * 2, 2);
    else
        out[0] = (char)('0' + v);
    out[n] = 0;
    return n;
}

size_t num_format_u64(char out[24], uint64_t v) { return put_digits(out, v); }

size_t num_format_i64(char out[24], int64_t v)
{
    if (v >= 0) return put_digits(out, (uint64_t)v);
    out[0] = '-';
    return 1 + put_digits(out + 1, 0 - (uint64_t)v);
}

static size_t put_word(char *out, const char *word)
{
    size_t n = strlen(word);
    memcpy(out, word, n + 1);
    return n;
}

size_t num_format_ldouble(char out[NUM_TEXT_MAX], long double v)
{
    if (isnan(v)) return put_word(out, "nan");
    if (isinf(v)) return put_word(out, v > 0 ? "inf" : "-inf");
    size_t n = (size_t)snprintf(out, NUM_TEXT_MAX, "%.17Lf", v);
    ASSERT(n < NUM_TEXT_MAX);
    while (out[n - 1] == '0') n--; /* ends at the point, which is always there */
    if (out[n - 1] == '.') n--;
    out[n] = 0;
    return strcmp(out, "-0") == 0 ? put_word(out, "0") : n;
}

struct decimal {
    char digits[20]; /* no zeros at the end, no NUL */
    int n;
    int point; /* value = 0.DIGITS * 10^point */
};

/* The fewest digits that read back to v (finite, positive). Fifteen digits always
 * survive the way through a double, so if they read back, they are v's shortest
 * form behind padding zeros. Subnormals carry fewer digits than that: there each
 * length is tried. */
static void shortest(double v, struct decimal *d)
{
    char text[40];
    for (int digits = v < 0x1p-1021 ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, v);
        if (strtod(text, NULL) == v) break;
    }
    d->n = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p != '.') d->digits[d->n++] = *p;
    d->point = (int)strtol(p + 1, NULL, 10) + 1;
    while (d->n > 1 && d->digits[d->n - 1] == '0') d->n--;
}

static size_t put_zeros(char *out, int n)
{
    memset(out, '0', (size_t)n);
    return (size_t)n;
}

/* Plain notation as long as it stays short, else d.ddde±x. The borders are those
 * of the conversion that Redis uses, so that replies are equal byte for byte. */
static size_t lay_out(char *out, const struct decimal *d)
{
    int trailing = d->point - d->n, exponent = d->point - 1, size = abs(exponent);
    size_t n = 0;
    if (trailing >= 0 && size < d->n + 7) {
        memcpy(out, d->digits, (size_t)d->n);
        n = (size_t)d->n + put_zeros(out + d->n, trailing);
    } else if (trailing < 0 && (trailing > -7 || size < 4)) {
        if (d->point <= 0) {
            n = put_word(out, "0.");
            n += put_zeros(out + n, -d->point);
            memcpy(out + n, d->digits, (size_t)d->n);
            n += (size_t)d->n;
        } else {
            memcpy(out, d->digits, (size_t)d->point);
            out[d->point] = '.';
            memcpy(out + d->point + 1, d->digits + d->point, (size_t)(d->n - d->point));
            n = (size_t)d->n + 1;
        }
    } else {
        out[n++] = d->digits[0];
        if (d->n > 1) {
            out[n++] = '.';
            memcpy(out + n, d->digits + 1, (size_t)d->n - 1);
            n += (size_t)d->n - 1;
        }
        out[n++] = 'e';
        out[n++] = exponent < 0 ? '-' : '+';
        n += put_digits(out + n, (uint64_t)size);
    }
    out[n] = 0;
    return n;
}

size_t num_format_double(char out[40], double v)
{
    struct decimal d;
    if (isnan(v)) return put_word(out, "nan");
    if (isinf(v)) return put_word(out, v > 0 ? "inf" : "-inf");
    if (v == 0) return put_word(out, signbit(v) ? "-0" : "0");
    if (fabs(v) < PLAIN_INT && v == (double)(int64_t)v) return num_format_i64(out, (int64_t)v);
    size_t minus = v < 0;
    if (minus) out[0] = '-';
    shortest(fabs(v), &d);
    return minus + lay_out(out + minus, &d);
}

size_t num_format_score(char out[40], double v)
{
    if (isnan(v) || isinf(v) || v == 0) return num_format_double(out, v);
    if (fabs(v) <= (double)EXACT_INT && v == (double)(int64_t)v) return num_format_i64(out, (int64_t)v);
    return (size_t)snprintf(out, 40, "%.17g", v);
}

bool num_parse_memory(slice s, uint64_t *out)
{
    static const struct {
        const char *word;
        uint64_t factor;
    } unit[] = {{"", 1}, {"b", 1}, {"k", 1000}, {"kb", 1 << 10}, {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30}};
    size_t digits = 0;
    uint64_t v = 0;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9') {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[digits] - '0'), &v)) return false;
        digits++;
    }
    if (digits == 0) return false;
    slice rest = {s.p + digits, s.n - digits};
    for (size_t i = 0; i < sizeof unit / sizeof unit[0]; i++)
        if (slice_is(rest, unit[i].word)) return !__builtin_mul_overflow(v, unit[i].factor, out);
    return false;
}
