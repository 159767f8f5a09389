/* The smallest places of a result, in bounded memory: a heap with the largest on top.
 *
 * When rows or bytes would go over the limit the largest entry goes, so what is kept is always a beginning of the result, in so far as it was offered. */
#ifndef VARVE_MODULES_DOC_QUERY_KEEP_H
#define VARVE_MODULES_DOC_QUERY_KEEP_H

#include "module.h"

struct query_keep_entry {
    size_t place_bytes, name_bytes;
    uint8_t bytes[]; /* place, then name */
};

struct query_keep {
    struct query_keep_entry **at;
    size_t n, room;
    size_t rows_max, bytes_max, bytes;
    bool dropped; /* an entry was refused or went: there is more than is kept */
    bool sorted;
};

/* rows_max 1 or more. Keeps one entry at least, whatever its size. */
void query_keep_init(struct query_keep *k, size_t rows_max, size_t bytes_max);
void query_keep_fini(struct query_keep *k);
/* Copies. A place that is there already is not kept twice. */
void query_keep_offer(struct query_keep *k, slice place, slice name);
/* From now on at[] is in order; no more offers. */
void query_keep_sort(struct query_keep *k);
static inline slice query_keep_place(const struct query_keep_entry *e) { return slice_of(e->bytes, e->place_bytes); }
static inline slice query_keep_name(const struct query_keep_entry *e) { return slice_of(e->bytes + e->place_bytes, e->name_bytes); }

#endif
