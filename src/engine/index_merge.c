/* Flushing the buffer and merging runs into levels.
 *
 * Level 0 holds what was flushed, newest first; every deeper level holds one run, and level i may grow to 10^i buffers. A due merge takes all of
 * level 0 and the run of level 1, or the runs of two neighbouring levels, and writes one run into the deeper one. An older version of a key is
 * dropped at once; a tombstone is dropped when no run lies deeper than the output; what index_drop_fn names is always dropped.
 *
 * Both work on a held view, outside every lock, and swap their result into whatever the view is by then: a flush replaces the oldest `pinned`
 * chunks, a merge replaces its inputs. A failure leaves the view as it was and the half-written file removed or, after a crash, unlisted.
 *
 * Replaced runs stay on disk until a manifest without them is durable (index_runs, index_retire), and until nobody reads them. */
#include "engine/index_state.h"

#include "base/mem.h"

enum { LEVEL0_RUNS = 4, LEVEL_GROWTH = 10, ENTRIES_PER_TURN = 64 /* about a block */ };

/* ---- flush ---- */

static int write_record(void *writer, const uint8_t *r)
{
    return run_writer_add(writer, record_key(r), record_value(r), record_filter_n(r), record_tombstone(r));
}

static int flush_chunks(struct index *ix, const struct index_view *v, uint64_t id, uint64_t covers, struct index_run **out)
{
    uint64_t filtered = 0;
    for (unsigned i = 0; i < v->n_chunks; i++) filtered += v->chunks[i]->filtered;
    struct run_writer *w = NULL;
    int rc = run_writer_open(ix->os, ix->dir, id, 0, filtered, &w);
    if (rc == E_OK) rc = index_chunk_each(v->chunks, v->n_chunks, write_record, w);
    if (rc == E_OK) rc = run_writer_finish(&w, covers, out);
    run_writer_abort(&w);
    return rc;
}

/* The current view without its oldest `pinned` chunks and with `run` in front of the runs. */
static void install_flushed(struct index *ix, struct index_run *run)
{
    struct index_view *old = ix->view;
    ASSERT(ix->pinned > 0 && ix->pinned <= old->n_chunks);
    struct index_view *v = index_view_new(old->n_chunks - ix->pinned, old->n_runs + 1);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < v->n_chunks; i++) index_chunk_hold(v->chunks[i] = old->chunks[i]);
    for (unsigned i = v->n_chunks; i < old->n_chunks; i++) bytes += old->chunks[i]->bytes;
    v->runs[0] = run;
    for (unsigned i = 0; i < old->n_runs; i++) index_run_hold(v->runs[i + 1] = old->runs[i]);
    atomic_fetch_add(&ix->flushed_bytes, bytes);
    atomic_store(&ix->flushed_covers, run->covers);
    index_view_install(ix, v);
}

int index_flush(struct index *ix)
{
    ASSERT(ix && !ix->read_only);
    bool busy = atomic_exchange(&ix->flushing, true);
    ASSERT(!busy);
    mutex_lock(&ix->change);
    index_freeze(ix, true);
    struct index_view *v = index_view_get(ix);
    uint64_t covers = ix->frozen_covers;
    ix->pinned = v->n_chunks;
    uint64_t id = v->n_chunks ? ix->next_id++ : 0;
    /* An empty buffer: the runs cover whatever has been folded. */
    if (v->n_chunks == 0) atomic_store(&ix->flushed_covers, covers);
    mutex_unlock(&ix->change);
    int rc = E_AGAIN;
    struct index_run *run = NULL;
    if (v->n_chunks) rc = flush_chunks(ix, v, id, covers, &run);
    mutex_lock(&ix->change);
    if (rc == E_OK) install_flushed(ix, run);
    ix->pinned = 0;
    mutex_unlock(&ix->change);
    index_view_drop(v);
    if (rc == E_OK) atomic_fetch_add(&ix->flushes, 1);
    atomic_store(&ix->flushing, false);
    return rc;
}

/* ---- levels ---- */

struct merge_plan {
    unsigned first, n; /* inputs: view->runs[first .. first + n) */
    uint8_t level;     /* of the output */
    bool bottom;       /* nothing older lies below the output */
};

static uint64_t level_bytes_max(const struct index *ix, unsigned level)
{
    uint64_t max = ix->buffer_bytes;
    for (unsigned i = 0; i < level; i++) max *= LEVEL_GROWTH;
    return max;
}

static bool plan_merge(const struct index *ix, const struct index_view *v, struct merge_plan *p)
{
    unsigned zero = 0;
    while (zero < v->n_runs && v->runs[zero]->level == 0) zero++;
    *p = (struct merge_plan){0};
    if (zero >= LEVEL0_RUNS) {
        p->n = zero;
        p->level = 1;
    } else {
        unsigned i = zero;
        while (i < v->n_runs && (v->runs[i]->level + 1 >= INDEX_LEVELS || v->runs[i]->bytes <= level_bytes_max(ix, v->runs[i]->level))) i++;
        if (i == v->n_runs) return false;
        p->first = i;
        p->n = 1;
        p->level = (uint8_t)(v->runs[i]->level + 1);
    }
    if (p->first + p->n < v->n_runs && v->runs[p->first + p->n]->level == p->level) p->n++;
    p->bottom = p->first + p->n == v->n_runs;
    return true;
}

static int copy_entries(struct index *ix, struct index_merger *m, struct run_writer *w, bool bottom, bool (*cancelled)(void *ctx), void *ctx)
{
    uint64_t passed = 0;
    int rc = index_merger_seek(m, slice_of(NULL, 0));
    for (; rc == E_OK; rc = index_merger_step(m)) {
        /* By what is read, not by what is written: a merge that forgets everything must be stoppable too. */
        if (cancelled && ++passed % ENTRIES_PER_TURN == 0 && cancelled(ctx)) return E_CANCELLED;
        slice key = index_merger_key(m), value = index_merger_value(m);
        bool tombstone = index_merger_tombstone(m);
        if (tombstone ? bottom : ix->drop && ix->drop(ix->drop_ctx, key, value)) continue;
        rc = run_writer_add(w, key, value, index_merger_filter_n(m), tombstone);
        if (rc < 0) return rc;
    }
    return rc == E_END ? E_OK : rc;
}

static void bury(struct index *ix, struct index_run *r)
{
    if (ix->n_dead == ix->cap_dead) {
        ix->cap_dead = ix->cap_dead ? 2 * ix->cap_dead : 8;
        ix->dead = mem_realloc(ix->dead, ix->cap_dead * sizeof *ix->dead);
    }
    index_run_hold(r);
    ix->dead[ix->n_dead++] = (struct index_dead){.run = r};
}

static bool is_input(const struct index_view *from, const struct merge_plan *p, const struct index_run *r)
{
    for (unsigned i = 0; i < p->n; i++)
        if (from->runs[p->first + i] == r) return true;
    return false;
}

/* The current view with `run` in the place of the inputs; flushes may have added runs in front meanwhile. */
static void install_merged(struct index *ix, const struct index_view *from, const struct merge_plan *p, struct index_run *run)
{
    struct index_view *old = ix->view;
    ASSERT(old->n_runs >= from->n_runs);
    struct index_view *v = index_view_new(old->n_chunks, old->n_runs - p->n + 1);
    for (unsigned i = 0; i < old->n_chunks; i++) index_chunk_hold(v->chunks[i] = old->chunks[i]);
    unsigned n = 0;
    bool placed = false;
    for (unsigned i = 0; i < old->n_runs; i++) {
        if (!is_input(from, p, old->runs[i])) {
            index_run_hold(v->runs[n++] = old->runs[i]);
            continue;
        }
        bury(ix, old->runs[i]);
        if (!placed) v->runs[n++] = run;
        placed = true;
    }
    ASSERT(n == v->n_runs && placed);
    index_view_install(ix, v);
}

static int merge_runs(struct index *ix, struct index_view *v, const struct merge_plan *p, bool (*cancelled)(void *ctx), void *ctx)
{
    uint64_t filter_keys = 0, covers = 0;
    for (unsigned i = 0; i < p->n; i++) {
        const struct index_run *r = v->runs[p->first + i];
        filter_keys += r->filter_keys;
        if (r->covers > covers) covers = r->covers;
    }
    mutex_lock(&ix->change);
    uint64_t id = ix->next_id++;
    mutex_unlock(&ix->change);
    struct run_writer *w = NULL;
    struct index_run *run = NULL;
    struct index_merger m;
    index_merger_init(&m, NULL, 0, v->runs + p->first, p->n);
    int rc = run_writer_open(ix->os, ix->dir, id, p->level, filter_keys, &w);
    if (rc == E_OK) rc = copy_entries(ix, &m, w, p->bottom, cancelled, ctx);
    if (rc == E_OK) rc = run_writer_finish(&w, covers, &run);
    run_writer_abort(&w);
    index_merger_fini(&m);
    if (rc < 0) return rc;
    atomic_fetch_add(&ix->merges, 1);
    atomic_fetch_add(&ix->merged_bytes, run->bytes);
    mutex_lock(&ix->change);
    install_merged(ix, v, p, run);
    mutex_unlock(&ix->change);
    return E_OK;
}

int index_merge(struct index *ix, bool (*cancelled)(void *ctx), void *ctx)
{
    ASSERT(ix && !ix->read_only);
    bool busy = atomic_exchange(&ix->merging, true);
    ASSERT(!busy);
    /* A writer that writes nothing does not see to it. */
    if (atomic_load_explicit(&ix->merge_wanted, memory_order_relaxed)) {
        mutex_lock(&ix->change);
        index_freeze(ix, true);
        mutex_unlock(&ix->change);
    }
    struct index_view *v = index_view_get(ix);
    struct merge_plan p;
    int rc = plan_merge(ix, v, &p) ? merge_runs(ix, v, &p, cancelled, ctx) : E_AGAIN;
    index_view_drop(v);
    atomic_store(&ix->merging, false);
    return rc;
}

int index_merge_all(struct index *ix, bool (*cancelled)(void *ctx), void *ctx)
{
    ASSERT(ix && !ix->read_only);
    bool busy = atomic_exchange(&ix->merging, true);
    ASSERT(!busy);
    struct index_view *v = index_view_get(ix);
    int rc = E_AGAIN;
    if (v->n_runs) {
        uint8_t deepest = v->runs[v->n_runs - 1]->level;
        struct merge_plan p = {.n = v->n_runs, .level = deepest ? deepest : 1, .bottom = true};
        rc = merge_runs(ix, v, &p, cancelled, ctx);
    }
    index_view_drop(v);
    atomic_store(&ix->merging, false);
    return rc;
}

/* ---- the manifest's side ---- */

size_t index_runs(struct index *ix, struct run_id *out, size_t max, uint64_t *covers)
{
    ASSERT(ix && covers && (out || max == 0));
    mutex_lock(&ix->change);
    const struct index_view *v = ix->view;
    for (unsigned i = 0; i < v->n_runs && i < max; i++) {
        const struct index_run *r = v->runs[i];
        out[i] = (struct run_id){.id = r->id, .level = r->level, .bytes = r->bytes, .entries = r->entries};
    }
    *covers = atomic_load(&ix->flushed_covers);
    size_t n = v->n_runs;
    if (n <= max)
        for (size_t i = 0; i < ix->n_dead; i++) ix->dead[i].unnamed = true;
    mutex_unlock(&ix->change);
    return n;
}

void index_retire(struct index *ix)
{
    ASSERT(ix && !ix->read_only);
    mutex_lock(&ix->change);
    size_t n = 0, kept = 0;
    struct index_run **gone = mem_alloc((ix->n_dead + 1) * sizeof *gone);
    for (size_t i = 0; i < ix->n_dead; i++) {
        if (ix->dead[i].unnamed)
            gone[n++] = ix->dead[i].run;
        else
            ix->dead[kept++] = ix->dead[i];
    }
    ix->n_dead = kept;
    mutex_unlock(&ix->change);
    for (size_t i = 0; i < n; i++) {
        atomic_store(&gone[i]->retired, true);
        index_run_drop(gone[i]);
    }
    mem_free(gone);
}
