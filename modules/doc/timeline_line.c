/* Lines of valid time. The open stretches are kept, not the covered ones: each is cut or closed by what covers it, and when none is left no older version matters. */
#include "modules/doc/timeline_line.h"

#include <stdlib.h>

void line_init(struct line *l, int64_t from, int64_t to)
{
    ASSERT(from < to);
    *l = (struct line){.gaps_cap = 8, .n_gaps = 1};
    l->gap = mem_alloc(l->gaps_cap * sizeof *l->gap);
    l->gap[0] = (struct line_gap){from, to};
}

void line_fini(struct line *l)
{
    mem_free(l->gap);
    mem_free(l->row);
    *l = (struct line){0};
}

/* Place of the first gap that ends behind `from`. */
static size_t first_behind(const struct line *l, int64_t from)
{
    size_t lo = 0, hi = l->n_gaps;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (l->gap[mid].to <= from)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool add_row(struct line *l, int64_t from, int64_t to, uint64_t seq)
{
    if (seq == 0) return true;
    if (l->n_rows == LINE_ROWS_MAX) return false;
    if (l->n_rows == l->rows_cap) {
        l->rows_cap = l->rows_cap ? l->rows_cap * 2 : 16;
        l->row = mem_realloc(l->row, l->rows_cap * sizeof *l->row);
    }
    l->row[l->n_rows++] = (struct line_row){from, to, seq};
    return true;
}

/* Gaps [at, at + n) give way to `more` others (0 to 2). */
static bool splice(struct line *l, size_t at, size_t n, const struct line_gap *with, size_t more)
{
    size_t left = l->n_gaps - n + more;
    ASSERT(at + n <= l->n_gaps && more <= 2);
    if (left > LINE_GAPS_MAX) return false;
    if (left > l->gaps_cap) {
        l->gaps_cap = left * 2;
        l->gap = mem_realloc(l->gap, l->gaps_cap * sizeof *l->gap);
    }
    memmove(&l->gap[at + more], &l->gap[at + n], (l->n_gaps - at - n) * sizeof *l->gap);
    for (size_t i = 0; i < more; i++) l->gap[at + i] = with[i];
    l->n_gaps = left;
    return true;
}

bool line_cover(struct line *l, int64_t from, int64_t to, uint64_t seq)
{
    struct line_gap rest[2];
    size_t at = first_behind(l, from), end = at, more = 0;
    ASSERT(from < to);
    for (; end < l->n_gaps && l->gap[end].from < to; end++) {
        const struct line_gap *g = &l->gap[end];
        if (!add_row(l, g->from > from ? g->from : from, g->to < to ? g->to : to, seq)) return false;
        if (g->from < from) rest[more++] = (struct line_gap){g->from, from};
        if (g->to > to) rest[more++] = (struct line_gap){to, g->to};
    }
    return at == end || splice(l, at, end - at, rest, more);
}

static int by_time(const void *a, const void *b)
{
    const struct line_row *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

void line_sort(struct line *l)
{
    if (l->n_rows > 1) qsort(l->row, l->n_rows, sizeof *l->row, by_time);
}
