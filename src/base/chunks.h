/* The bytes of a file that lives in memory: a list of equal chunks, where a
 * chunk nobody wrote to does not exist and reads as zeros. Growing never moves
 * bytes. Not thread-safe: the owner locks. */
#ifndef VARVE_BASE_CHUNKS_H
#define VARVE_BASE_CHUNKS_H

#include "base/err.h"
#include "base/slice.h"

#define CHUNK_BYTES ((size_t)32768)

struct chunks {
    uint8_t **v;   /* NULL entry: all zeros */
    size_t cap;    /* entries of v */
    uint64_t size; /* bytes of the file */
};

API void chunks_fini(struct chunks *c);
API size_t chunks_read(const struct chunks *c, uint64_t off, void *p, size_t n); /* bytes read: fewer at the end */
API void chunks_write(struct chunks *c, uint64_t off, const void *p, size_t n);  /* grows the size if needed */
API void chunks_resize(struct chunks *c, uint64_t size); /* bytes gained read as zeros */
API void chunks_copy(struct chunks *to, const struct chunks *from); /* replaces the content of `to` */

#endif
