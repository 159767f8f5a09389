#include "base/buf.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define FIRST_CAP 64
/* From here on growth is by half: doubling would waste up to as much again. */
#define HALF_GROWTH_FROM ((size_t)16 << 20)

void buf_fini(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){0};
}

void buf_grow(struct buf *b, size_t more)
{
    ASSERT(b->n <= b->cap);
    ASSERT(more <= SIZE_MAX / 4 && b->n <= SIZE_MAX / 4);
    size_t need = b->n + more;
    if (need <= b->cap) return;
    size_t cap = b->cap < HALF_GROWTH_FROM ? b->cap * 2 : b->cap + b->cap / 2;
    if (cap < FIRST_CAP) cap = FIRST_CAP;
    if (cap < need) cap = need;
    b->p = mem_realloc(b->p, cap);
    b->cap = cap;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    size_t room = b->cap - b->n;
    int n = vsnprintf(b->p ? (char *)b->p + b->n : NULL, room, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    if ((size_t)n >= room) {
        /* One more than the text: vsnprintf ends it with a NUL, which is not part of the buffer. */
        buf_grow(b, (size_t)n + 1);
        vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    b->n += (size_t)n;
}
