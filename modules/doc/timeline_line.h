/* A line of valid time that versions cover, newest first: what an older one still answers is what the newer ones left open. */
#ifndef VARVE_MODULES_DOC_TIMELINE_LINE_H
#define VARVE_MODULES_DOC_TIMELINE_LINE_H

#include "module.h"

#define LINE_GAPS_MAX 65536 /* stretches left open at a time */
#define LINE_ROWS_MAX 10000 /* stretches answered */

struct line_row {
    int64_t from, to; /* [from, to); INT64_MIN and INT64_MAX are open ends */
    uint64_t seq;
};
struct line_gap {
    int64_t from, to;
};
struct line {
    struct line_gap *gap; /* open stretches, ascending, apart */
    size_t n_gaps, gaps_cap;
    struct line_row *row;
    size_t n_rows, rows_cap;
};
void line_init(struct line *l, int64_t from, int64_t to); /* from < to */
void line_fini(struct line *l);
/* [from, to) is answered by seq, or by nothing (seq 0), as far as it is open. False: more stretches than the limits. */
bool line_cover(struct line *l, int64_t from, int64_t to, uint64_t seq) MUST_CHECK;
static inline bool line_is_full(const struct line *l)
{
    return l->n_gaps == 0;
}
void line_sort(struct line *l); /* rows by time */

#endif
