/* A growable byte buffer. Zero-initialise ({0}) to start; buf_fini releases.
 * Growth is geometric. Running out of memory ends the process with a log line
 * (mem.h), so appends cannot fail. */
#ifndef VARVE_BASE_BUF_H
#define VARVE_BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"

struct buf {
    uint8_t *p;
    size_t n;   /* bytes in use */
    size_t cap; /* bytes allocated */
};

API void buf_fini(struct buf *b);                    /* frees, leaves {0} */
API void buf_grow(struct buf *b, size_t more);       /* room for `more` bytes past n */
API void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline void buf_clear(struct buf *b) { b->n = 0; }
static inline slice buf_slice(const struct buf *b) { return (slice){b->p, b->n}; }
/* Room for n more bytes; returns where they go. The caller advances b->n. */
static inline uint8_t *buf_reserve(struct buf *b, size_t n)
{
    if (__builtin_expect(b->cap - b->n < n, 0)) buf_grow(b, n);
    return b->n ? b->p + b->n : b->p; /* NULL + 0 is undefined; the compiler makes one addition of it */
}
static inline void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0) return;
    memcpy(buf_reserve(b, n), p, n);
    b->n += n;
}
static inline void buf_add_slice(struct buf *b, slice s) { buf_add(b, s.p, s.n); }
static inline void buf_add_str(struct buf *b, const char *s) { buf_add(b, s, strlen(s)); }
static inline void buf_add_byte(struct buf *b, uint8_t c) { buf_reserve(b, 1)[0] = c; b->n++; }

#endif
