/* How many entries lie between two keys, roughly, for planners.
 *
 * A short probe answers exactly where there are few: that is where an error of one block would matter. Beyond that, chunks are arrays and tell by
 * two searches, and a run's blocks hold about the same number of entries each. Entries that newer ones replace or delete count as well. */
#include "engine/index_state.h"

#define PROBE_ENTRIES 64

/* *n = entries found, at most PROBE_ENTRIES; E_END: there are no more. */
static int probe(struct index_snap *s, slice lower, slice upper, uint64_t *n)
{
    struct index_iter *it = NULL;
    *n = 0;
    int rc = index_iter_open(s, lower, upper, &it);
    if (!rc) rc = index_seek(it, lower);
    while (!rc && ++*n < PROBE_ENTRIES) rc = index_next(it);
    index_iter_close(&it);
    return rc;
}

static uint64_t from_chunk(const struct index_chunk *c, slice lower, slice upper)
{
    size_t from = index_chunk_seek(c, lower), to = index_chunk_seek(c, upper);
    return to > from ? to - from : 0;
}

static uint64_t from_run(const struct index_run *r, slice lower, slice upper)
{
    uint64_t from = index_run_block_of(r, lower), to = index_run_block_of(r, upper);
    ASSERT(from <= to && to <= r->n_blocks);
    return r->n_blocks ? (uint64_t)((double)(to - from) * (double)r->entries / (double)r->n_blocks) : 0;
}

int index_estimate(struct index *ix, slice lower, slice upper, uint64_t *entries)
{
    ASSERT(ix && entries);
    struct index_snap *s = NULL;
    enum index_scope scope;
    uint64_t n = 0, sum = 0;
    *entries = 0;
    if (slice_cmp(lower, upper) >= 0) return E_OK;
    int rc = index_snapshot(ix, INDEX_ALL, &s);
    if (!rc) rc = probe(s, lower, upper, &n);
    if (!rc) {
        const struct index_view *v = index_snap_view(s, &scope);
        for (unsigned i = 0; i < v->n_chunks; i++) sum += from_chunk(v->chunks[i], lower, upper);
        for (unsigned i = 0; i < v->n_runs; i++) sum += from_run(v->runs[i], lower, upper);
    }
    index_snap_close(&s);
    if (rc && rc != E_END) return rc;
    *entries = sum > n ? sum : n;
    return E_OK;
}
