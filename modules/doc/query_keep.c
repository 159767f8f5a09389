#include "modules/doc/query_keep.h"
#include <stdlib.h>

#define FIRST_ROOM 64

void query_keep_init(struct query_keep *k, size_t rows_max, size_t bytes_max)
{
    ASSERT(rows_max > 0 && k->at == NULL);
    *k = (struct query_keep){.rows_max = rows_max, .bytes_max = bytes_max};
}

void query_keep_fini(struct query_keep *k)
{
    for (size_t i = 0; i < k->n; i++) mem_free(k->at[i]);
    mem_free(k->at);
    *k = (struct query_keep){0};
}

static size_t weight(const struct query_keep_entry *e)
{
    return sizeof *e + sizeof(void *) + e->place_bytes + e->name_bytes;
}

static int by_place(const struct query_keep_entry *a, const struct query_keep_entry *b)
{
    return slice_cmp(query_keep_place(a), query_keep_place(b));
}

static void sift_down(struct query_keep *k, size_t i)
{
    struct query_keep_entry *e = k->at[i];
    for (;;) {
        size_t kid = 2 * i + 1;
        if (kid >= k->n) break;
        if (kid + 1 < k->n && by_place(k->at[kid + 1], k->at[kid]) > 0) kid++;
        if (by_place(e, k->at[kid]) >= 0) break;
        k->at[i] = k->at[kid];
        i = kid;
    }
    k->at[i] = e;
}

static void sift_up(struct query_keep *k, size_t i)
{
    struct query_keep_entry *e = k->at[i];
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (by_place(k->at[parent], e) >= 0) break;
        k->at[i] = k->at[parent];
        i = parent;
    }
    k->at[i] = e;
}

static void drop_largest(struct query_keep *k)
{
    ASSERT(k->n > 1);
    struct query_keep_entry *e = k->at[0];
    k->bytes -= weight(e);
    mem_free(e);
    k->at[0] = k->at[--k->n];
    sift_down(k, 0);
    k->dropped = true;
}

/* Is the largest so small that this place is of no use? */
static bool is_beyond(const struct query_keep *k, slice place)
{
    return (k->n == k->rows_max || k->dropped) && k->n > 0 && slice_cmp(place, query_keep_place(k->at[0])) >= 0;
}

void query_keep_offer(struct query_keep *k, slice place, slice name)
{
    ASSERT(!k->sorted && k->rows_max > 0);
    if (is_beyond(k, place)) {
        k->dropped = true;
        return;
    }
    struct query_keep_entry *e = mem_alloc(sizeof *e + place.n + name.n);
    e->place_bytes = place.n;
    e->name_bytes = name.n;
    if (place.n) memcpy(e->bytes, place.p, place.n);
    if (name.n) memcpy(e->bytes + place.n, name.p, name.n);
    if (k->n == k->room) {
        k->room = k->room ? 2 * k->room : FIRST_ROOM;
        k->at = mem_realloc(k->at, k->room * sizeof(struct query_keep_entry *));
    }
    k->at[k->n++] = e;
    k->bytes += weight(e);
    sift_up(k, k->n - 1);
    while (k->n > k->rows_max || (k->n > 1 && k->bytes > k->bytes_max)) drop_largest(k);
}

static int for_sort(const void *a, const void *b)
{
    return by_place(*(struct query_keep_entry *const *)a, *(struct query_keep_entry *const *)b);
}

void query_keep_sort(struct query_keep *k)
{
    ASSERT(!k->sorted);
    if (k->n > 1) qsort(k->at, k->n, sizeof(struct query_keep_entry *), for_sort);
    k->sorted = true;
    size_t n = 0;
    for (size_t i = 0; i < k->n; i++) {
        if (n > 0 && by_place(k->at[n - 1], k->at[i]) == 0)
            mem_free(k->at[i]);
        else
            k->at[n++] = k->at[i];
    }
    k->n = n;
}
