/* Flushing the buffer and merging runs into levels.
 *
 * Level 0 holds what was flushed, newest first. A deeper level holds a few runs of about one size, newest first as well, and entries only ever move down by
 * whole levels: RUNS_ALIKE runs of a level become one of the next. So an entry is written once a level, log(size) times in all, whatever the order
 * of its key: keys of versions never repeat, so rewriting a deep level for a shallow one's sake would gain nothing. A look-up may meet
 * LEVEL0_RUNS_MAX + RUNS_ALIKE * (INDEX_LEVELS - 1) runs at worst; filters, and the seqs that a run begins and ends at, leave one or two.
 *
 * Level 0 goes down once its runs come to a quarter of a buffer. Until then (a store that is flushed often with little in it) its newest runs of like size are
 * joined where they are, as far back as the next is at most ALIKE times their sum: sizes grow threefold where they cannot be joined, so few remain.
 *
 * Order: within a level a higher id is newer. What is joined within a level is its newest runs or all of them, and its id is taken in the same
 * moment as the view, with no flush on its way, so every run that is newer gets a higher id.
 *
 * An older version of a key is dropped at once; a tombstone is dropped when no run is older than the output; what index_drop_fn names is always dropped.
 *
 * Both work on a held view, outside every lock, and swap their result into whatever the view is by then: a flush replaces the oldest `pinned`
 * chunks, a merge replaces its inputs. A failure leaves the view as it was and the half-written file removed or, after a crash, unlisted.
 *
 * Replaced runs stay on disk until a manifest without them is durable (index_runs, index_retire), and until nobody reads them. */
#include "engine/index_state.h"

#include "base/mem.h"

enum {
    LEVEL0_RUNS = 12,     /* so many are merged … */
    LEVEL0_RUNS_MAX = 20, /* … if they are alike, so many in any case */
    RUNS_ALIKE = 6,       /* of a deeper level */
    ALIKE = 2,
    LEVEL1_SHARE = 4,     /* a run of level 1 is at least 1/4 of a buffer */
    ENTRIES_PER_TURN = 64 /* about a block */
};

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
    uint64_t id;       /* of the output */
};

/* How many of the newest n runs are alike enough to be joined. */
static unsigned newest_alike(const struct index_view *v, unsigned n)
{
    uint64_t sum = v->runs[0]->bytes;
    unsigned k = 1;
    while (k < n && v->runs[k]->bytes <= ALIKE * sum) sum += v->runs[k++]->bytes;
    return k;
}

static bool plan_level0(const struct index *ix, const struct index_view *v, unsigned n, struct merge_plan *p)
{
    uint64_t bytes = 0;
    if (n < LEVEL0_RUNS) return false;
    for (unsigned i = 0; i < n; i++) bytes += v->runs[i]->bytes;
    p->n = n;
    p->level = bytes >= ix->buffer_bytes / LEVEL1_SHARE;
    if (p->level == 0 && n < LEVEL0_RUNS_MAX) p->n = newest_alike(v, n);
    /* A run that is being flushed has its id already and is newer than what this would write into its level. */
    return p->n > 1 && (p->level > 0 || ix->pinned == 0);
}

/* `change` held. */
static bool plan_merge(struct index *ix, const struct index_view *v, struct merge_plan *p)
{
    *p = (struct merge_plan){0};
    bool due = false;
    for (unsigned i = 0, n; i < v->n_runs && !due; i += n) {
        uint8_t level = v->runs[i]->level;
        for (n = 1; i + n < v->n_runs && v->runs[i + n]->level == level;) n++;
        if (level == 0) due = plan_level0(ix, v, n, p);
        else if (n >= RUNS_ALIKE) {
            *p = (struct merge_plan){.first = i, .n = n, .level = (uint8_t)(level + 1 < INDEX_LEVELS ? level + 1 : level)};
            due = true;
        }
    }
    p->bottom = p->first + p->n == v->n_runs;
    if (due) p->id = ix->next_id++;
    return due;
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
    struct run_writer *w = NULL;
    struct index_run *run = NULL;
    struct index_merger m;
    index_merger_init(&m, NULL, 0, v->runs + p->first, p->n);
    int rc = run_writer_open(ix->os, ix->dir, p->id, p->level, filter_keys, &w);
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
    mutex_lock(&ix->change);
    /* A writer that writes nothing does not see to it. */
    if (atomic_load_explicit(&ix->merge_wanted, memory_order_relaxed)) index_freeze(ix, true);
    struct index_view *v = index_view_get(ix);
    struct merge_plan p;
    bool due = plan_merge(ix, v, &p);
    mutex_unlock(&ix->change);
    int rc = due ? merge_runs(ix, v, &p, cancelled, ctx) : E_AGAIN;
    index_view_drop(v);
    atomic_store(&ix->merging, false);
    return rc;
}

int index_merge_all(struct index *ix, bool (*cancelled)(void *ctx), void *ctx)
{
    ASSERT(ix && !ix->read_only);
    bool busy = atomic_exchange(&ix->merging, true);
    ASSERT(!busy);
    mutex_lock(&ix->change);
    struct index_view *v = index_view_get(ix);
    struct merge_plan p = {.n = v->n_runs, .bottom = true};
    if (p.n) p.id = ix->next_id++;
    mutex_unlock(&ix->change);
    int rc = E_AGAIN;
    if (p.n) {
        uint8_t deepest = v->runs[p.n - 1]->level;
        p.level = deepest ? deepest : 1;
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
