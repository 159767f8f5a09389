/* Terms: the sort keys under which an index files one document. An ordered index has exactly one, that of the value at its path; a text index one
 * for every distinct word there (the word and a 00 byte, so that no term begins another), or none.
 *
 * A set keeps its terms ascending and remembers for each of them since when it holds. Memory grows with the distinct words of the document. */
#ifndef VARVE_ENGINE_SORTED_TERMS_H
#define VARVE_ENGINE_SORTED_TERMS_H

#include "base/buf.h"

struct sorted;
struct sorted_term {
    size_t at, n;  /* in bytes */
    uint64_t from; /* the caller's */
};
struct sorted_terms { /* zero-initialise */
    struct buf bytes, mem;
    struct sorted_term *term;
    size_t n, cap;
    size_t settle_at; /* while words are gathered: so many are sorted and rid of repeats */
};

/* Replaces what the set holds; every `from` is 0. Empty JSON has no words, and the value null. */
void sorted_terms_of(const struct sorted *d, slice json, struct sorted_terms *out);
void sorted_terms_clear(struct sorted_terms *s);
void sorted_terms_fini(struct sorted_terms *s);
static inline slice sorted_terms_at(const struct sorted_terms *s, size_t i)
{
    return slice_of(s->bytes.p + s->term[i].at, s->term[i].n);
}
/* Walks two sets side by side: the next term in order. in_a, in_b tell who holds it; *a and *b are places, from 0. False: both are through. */
bool sorted_terms_next(const struct sorted_terms *x, const struct sorted_terms *y, size_t *a, size_t *b, bool *in_a, bool *in_b);

#endif
