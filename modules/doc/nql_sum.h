/* Inside of NQL: a sum of JSON numbers that does not depend on the order in which they come.
 *
 * Integers of 64 bits add up exactly in 128. All other numbers are taken as doubles and add up exactly too, in a fixed-point number wide
 * enough for every double; rounding happens once, when the sum is asked for. */
#ifndef VARVE_MODULES_DOC_NQL_SUM_H
#define VARVE_MODULES_DOC_NQL_SUM_H

#include "module.h"

#define NQL_SUM_LIMBS 34 /* 2^-1074 … 2^1024, and 2^60 of them */

struct nql_sum { /* zero-initialise; nql_sum_fini */
    __int128 whole;
    uint64_t n;     /* numbers taken */
    uint64_t *wide; /* NQL_SUM_LIMBS, two's complement, unit 2^-1074; NULL: nothing but integers so far */
    bool beyond;    /* a number that no double can hold was among them */
};
void nql_sum_fini(struct nql_sum *s);
void nql_sum_add(struct nql_sum *s, slice number); /* a checked JSON number */
void nql_sum_add_u64(struct nql_sum *s, uint64_t v);
/* The sum as JSON: exact as long as all were integers, else the nearest double; null when it is beyond doubles. 0 of nothing. */
void nql_sum_print(const struct nql_sum *s, struct buf *out);
/* The mean as JSON: a double; null of nothing or beyond doubles. */
void nql_sum_print_mean(const struct nql_sum *s, struct buf *out);

#endif
