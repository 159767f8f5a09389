/* Seqs: a set that says whether one was there, and sorting many of them. For walks over graphs. */
#ifndef VARVE_MODULES_DOC_SEQ_SET_H
#define VARVE_MODULES_DOC_SEQ_SET_H

#include "module.h"

struct seq_set { /* zero-initialise */
    uint64_t *slot; /* open addressing, 0 = free */
    size_t cap, n;
    uint64_t *old; /* the smaller table from which they still move, NULL = none */
    size_t old_cap, moved;
};
bool seq_set_add(struct seq_set *s, uint64_t seq); /* seq > 0. False when it was there */
void seq_set_fini(struct seq_set *s);
/* Ascending. A million take some ten milliseconds; what is in order already, one. */
void seq_sort(uint64_t *seq, size_t n);

#endif
