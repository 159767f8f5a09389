/* Inside of the json files: steps over JSON text that all three share. Nothing here reads outside [p, end).
 *
 * SSE2 is part of x86-64, so it needs no run-time choice; other processors take the byte loops. The last 15 bytes of
 * a text are looked at with one load that ends at `end`, which is why the finders also want the text's start. */
#ifndef VARVE_BASE_JSON_TEXT_H
#define VARVE_BASE_JSON_TEXT_H

#include "base/slice.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool json_is_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
static inline bool json_is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }

static inline const uint8_t *json_skip_space(const uint8_t *p, const uint8_t *end)
{
    while (p < end && json_is_space(*p)) p++;
    return p;
}

static inline const uint8_t *json_skip_digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && json_is_digit(*p)) p++;
    return p;
}

#ifdef __SSE2__
/* Signed comparison: one test finds both the control characters and everything from 0x80 up. */
static inline unsigned json_special_mask(const uint8_t *p)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i m = _mm_cmplt_epi8(x, _mm_set1_epi8(0x20));
    m = _mm_or_si128(m, _mm_cmpeq_epi8(x, _mm_set1_epi8('"')));
    m = _mm_or_si128(m, _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
    return (unsigned)_mm_movemask_epi8(m);
}
#endif

/* First byte of a string's inside that is not plain: quote, backslash, control character, not ASCII; or end. */
static inline const uint8_t *json_skip_plain(const uint8_t *p, const uint8_t *start, const uint8_t *end)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        unsigned m = json_special_mask(p);
        if (m) return p + __builtin_ctz(m);
    }
    if (end - start >= 16) {
        unsigned m = json_special_mask(end - 16) >> (16 - (end - p));
        return m ? p + __builtin_ctz(m) : end;
    }
#endif
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') p++;
    return p;
}

/* Bytes of the UTF-8 sequence at p (1..4), or 0 when it is none; then *bad is the first byte that is wrong, or end.
 * Ranges are those of RFC 3629, so overlong forms, surrogates and values over U+10FFFF are none. */
static inline unsigned json_utf8(const uint8_t *p, const uint8_t *end, const uint8_t **bad)
{
    uint8_t c = *p, lo = 0x80, hi = 0xbf;
    if (c < 0x80) return 1;
    *bad = p;
    if (c < 0xc2 || c > 0xf4) return 0;
    unsigned n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (c == 0xe0) lo = 0xa0;
    if (c == 0xed) hi = 0x9f;
    if (c == 0xf0) lo = 0x90;
    if (c == 0xf4) hi = 0x8f;
    for (unsigned i = 1; i < n; i++) {
        *bad = p + i;
        if (p + i == end || p[i] < lo || p[i] > hi) return 0;
        lo = 0x80, hi = 0xbf;
    }
    return n;
}

static inline int json_hex_digit(uint8_t c)
{
    if (json_is_digit(c)) return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Value of the four digits of \uXXXX with p at the backslash, or -1. */
static inline int json_hex4(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') return -1;
    int v = 0;
    for (int i = 2; i < 6; i++) {
        int d = json_hex_digit(p[i]);
        if (d < 0) return -1;
        v = v << 4 | d;
    }
    return v;
}

/* The escape at p (a backslash) as 1..4 bytes in out; returns the byte behind it. What cannot be an escape (text that
 * was never checked) comes out as U+FFFD or as it stands. */
const uint8_t *json_escape_bytes(const uint8_t *p, const uint8_t *end, uint8_t out[4], unsigned *n);

/* Order of two strings' insides by their unescaped bytes. */
int json_text_cmp(slice a, slice b);
/* The same for equality, quick when neither holds an escape. */
bool json_text_eq(slice a, slice b);
/* Closing quote of the string whose inside starts at p, or NULL. */
const uint8_t *json_string_close(const uint8_t *p, const uint8_t *end);
/* Byte behind the value that starts at p (no white space before it), or NULL when the text ends first. */
const uint8_t *json_value_end(const uint8_t *p, const uint8_t *start, const uint8_t *end);
/* The same for what is left of a container, p anywhere between its brackets but not inside a value. */
const uint8_t *json_container_rest(const uint8_t *p, const uint8_t *start, const uint8_t *end);
/* Byte behind the string's inside from p: its closing quote. NULL: *bad and *why say where and why it cannot be one. */
const uint8_t *json_check_inside(const uint8_t *p, const uint8_t *start, const uint8_t *end, bool *escapes, const uint8_t **bad,
                                 const char **why);

#endif
