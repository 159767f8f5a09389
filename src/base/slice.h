/* Borrowed bytes. A slice never owns; whoever hands one out says how long it
 * stays valid. `p` may be NULL only when `n` is 0. */
#ifndef VARVE_BASE_SLICE_H
#define VARVE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct slice {
    const uint8_t *p;
    size_t n;
} slice;

static inline slice slice_of(const void *p, size_t n) { return (slice){(const uint8_t *)p, n}; }
static inline slice slice_str(const char *s) { return (slice){(const uint8_t *)s, strlen(s)}; }
static inline bool slice_eq(slice a, slice b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
/* Bytewise order, shorter first among equals; <0, 0, >0. */
static inline int slice_cmp(slice a, slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}
static inline bool slice_starts(slice s, slice prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
/* ASCII case-insensitive equality with a C string, for option words. */
bool slice_is(slice s, const char *word) __attribute__((visibility("default")));

#endif
