#include "base/chunks.h"
#include "base/mem.h"

void chunks_fini(struct chunks *c)
{
    for (size_t i = 0; i < c->cap; i++) mem_free(c->v[i]);
    mem_free(c->v);
    *c = (struct chunks){0};
}

static void reserve(struct chunks *c, size_t entries)
{
    if (entries <= c->cap) return;
    size_t cap = c->cap ? c->cap : 4;
    while (cap < entries) cap *= 2;
    c->v = mem_realloc(c->v, cap * sizeof *c->v);
    memset(c->v + c->cap, 0, (cap - c->cap) * sizeof *c->v);
    c->cap = cap;
}

static size_t at_most(size_t n, size_t max) { return n < max ? n : max; }

size_t chunks_read(const struct chunks *c, uint64_t off, void *p, size_t n)
{
    if (off >= c->size) return 0;
    if (n > c->size - off) n = (size_t)(c->size - off);
    for (size_t done = 0; done < n;) {
        size_t i = (size_t)((off + done) / CHUNK_BYTES), in = (size_t)((off + done) % CHUNK_BYTES);
        size_t take = at_most(n - done, CHUNK_BYTES - in);
        uint8_t *to = (uint8_t *)p + done;
        if (i < c->cap && c->v[i])
            memcpy(to, c->v[i] + in, take);
        else
            memset(to, 0, take);
        done += take;
    }
    return n;
}

void chunks_write(struct chunks *c, uint64_t off, const void *p, size_t n)
{
    if (n == 0) return;
    reserve(c, (size_t)((off + n - 1) / CHUNK_BYTES) + 1);
    for (size_t done = 0; done < n;) {
        size_t i = (size_t)((off + done) / CHUNK_BYTES), in = (size_t)((off + done) % CHUNK_BYTES);
        size_t take = at_most(n - done, CHUNK_BYTES - in);
        if (c->v[i] == NULL) c->v[i] = mem_zalloc(CHUNK_BYTES);
        memcpy(c->v[i] + in, (const uint8_t *)p + done, take);
        done += take;
    }
    if (off + n > c->size) c->size = off + n;
}

void chunks_resize(struct chunks *c, uint64_t size)
{
    if (size < c->size) {
        size_t i = (size_t)(size / CHUNK_BYTES), in = (size_t)(size % CHUNK_BYTES);
        /* What is cut off must not come back when the file grows again. */
        if (in && i < c->cap && c->v[i]) memset(c->v[i] + in, 0, CHUNK_BYTES - in);
        for (i += in != 0; i < c->cap; i++) {
            mem_free(c->v[i]);
            c->v[i] = NULL;
        }
    }
    c->size = size;
}

void chunks_copy(struct chunks *to, const struct chunks *from)
{
    ASSERT(to != from);
    chunks_fini(to);
    size_t used = from->cap;
    while (used > 0 && from->v[used - 1] == NULL) used--;
    reserve(to, used);
    for (size_t i = 0; i < used; i++)
        if (from->v[i]) to->v[i] = mem_dup(from->v[i], CHUNK_BYTES);
    to->size = from->size;
}
