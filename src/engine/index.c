/* The index's state: opening, the writer's side, views and snapshots, figures. Look-ups are in index_find.c.
 *
 * Invariants:
 *  1. a view is immutable; the current one is replaced under `change`, and the pointer under `state` as well;
 *  2. every stepped entry is in the buffer at or above frozen_no, in a chunk of the current view, or in a run of it: a view with the new chunk
 *     is installed before frozen_no moves, so a reader that finds nothing pending also finds the chunk;
 *  3. chunks of a view cover adjacent stretches of put order, newest first, and are all newer than the runs. */
#include "engine/index_state.h"

#include "base/mem.h"
#include "base/num.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    BUFFER_BYTES_DEFAULT = 24 << 20, /* a million new keys are a dozen flushes; what a flush costs besides is a few syncs */
    MERGE_ENTRIES_HURRIED = 32 << 10, /* a reader never merges more chunk entries than this at once, if it can be helped */
};

/* ---- views ---- */

struct index_view *index_view_new(size_t n_chunks, size_t n_runs)
{
    ASSERT(n_chunks < UINT32_MAX && n_runs < UINT32_MAX);
    struct index_view *v = mem_alloc(sizeof *v + (n_chunks + n_runs) * sizeof(void *));
    atomic_init(&v->refs, 1);
    v->n_chunks = (unsigned)n_chunks;
    v->n_runs = (unsigned)n_runs;
    v->chunks = (struct index_chunk **)(void *)(v + 1);
    v->runs = (struct index_run **)(void *)(v->chunks + n_chunks);
    return v;
}

struct index_view *index_view_get(struct index *ix)
{
    mutex_lock(&ix->state);
    struct index_view *v = ix->view;
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    mutex_unlock(&ix->state);
    return v;
}

void index_view_hold(struct index_view *v)
{
    unsigned before = atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
}

void index_view_drop(struct index_view *v)
{
    unsigned before = atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) return;
    for (unsigned i = 0; i < v->n_chunks; i++) index_chunk_drop(v->chunks[i]);
    for (unsigned i = 0; i < v->n_runs; i++) index_run_drop(v->runs[i]);
    mem_free(v);
}

void index_view_install(struct index *ix, struct index_view *v)
{
    ASSERT(ix && v);
    mutex_lock(&ix->state);
    struct index_view *old = ix->view;
    ix->view = v;
    mutex_unlock(&ix->state);
    index_view_drop(old);
}

/* ---- opening ---- */

struct leftovers {
    struct index *ix;
    const struct index_options *o;
    char (*names)[32];
    size_t n, cap;
};

static int note_leftover(void *ctx, const char *name)
{
    struct leftovers *l = ctx;
    size_t n = strlen(name);
    uint64_t id;
    /* Only names that this code could have made: digits and the suffix. */
    if (n < 5 || n >= 32 || strcmp(name + n - 4, ".run") != 0) return 0;
    const char *digits = name;
    while (*digits == '0' && digits + 5 < name + n) digits++;
    if (!num_parse_u64(slice_of(digits, (size_t)(name + n - 4 - digits)), &id)) return 0;
    if (id >= l->ix->next_id) l->ix->next_id = id + 1;
    for (size_t i = 0; i < l->o->n_runs; i++)
        if (l->o->runs[i].id == id) return 0;
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 8;
        l->names = mem_realloc(l->names, l->cap * sizeof *l->names);
    }
    memcpy(l->names[l->n++], name, n + 1);
    return 0;
}

static int remove_leftovers(struct index *ix, const struct index_options *o)
{
    struct leftovers l = {.ix = ix, .o = o};
    int rc = os_list(ix->os, ix->dir, note_leftover, &l);
    if (rc == E_NOTFOUND && ix->read_only) rc = E_OK;
    for (size_t i = 0; i < l.n && rc == E_OK && !ix->read_only; i++) {
        char path[RUN_PATH_MAX + 40];
        snprintf(path, sizeof path, "%s/%s", ix->dir, l.names[i]);
        rc = os_remove(ix->os, path);
    }
    mem_free(l.names);
    return rc;
}

static int newer_first(const void *x, const void *y)
{
    const struct run_id *a = x, *b = y;
    if (a->level != b->level) return a->level < b->level ? -1 : 1;
    return a->id > b->id ? -1 : a->id < b->id;
}

static int open_runs(struct index *ix, const struct index_options *o)
{
    struct run_id *list = mem_alloc((o->n_runs + 1) * sizeof *list);
    if (o->n_runs) memcpy(list, o->runs, o->n_runs * sizeof *list);
    qsort(list, o->n_runs, sizeof *list, newer_first);
    struct index_view *v = index_view_new(0, o->n_runs);
    v->n_runs = 0;
    int rc = E_OK;
    uint64_t covers = 0;
    for (size_t i = 0; i < o->n_runs && rc == E_OK; i++) {
        const struct run_id *r = &list[i];
        bool twice = i > 0 && r->level == list[i - 1].level && r->id == list[i - 1].id;
        if (r->level >= INDEX_LEVELS || twice) {
            rc = err_note(E_CORRUPT, "index: the list of runs names run %llu twice or at a wrong level", (unsigned long long)r->id);
            break;
        }
        rc = index_run_open(ix->os, ix->dir, r, &v->runs[v->n_runs]);
        if (rc < 0) break;
        if (v->runs[v->n_runs]->covers > covers) covers = v->runs[v->n_runs]->covers;
        v->n_runs++;
        if (r->id >= ix->next_id) ix->next_id = r->id + 1;
    }
    mem_free(list);
    ix->view = v;
    ix->frozen_covers = covers;
    atomic_init(&ix->flushed_covers, covers);
    return rc;
}

int index_open(const struct index_options *o, struct index **out)
{
    ASSERT(o && o->os && o->dir && out);
    ASSERT(o->n_runs == 0 || o->runs);
    if (strlen(o->dir) + 64 > RUN_PATH_MAX) return err_note(E_TOOBIG, "index: the directory's name is too long");
    struct index *ix = mem_zalloc(sizeof *ix);
    ix->os = o->os;
    snprintf(ix->dir, sizeof ix->dir, "%s/index", o->dir);
    ix->buffer_bytes = o->buffer_bytes ? o->buffer_bytes : BUFFER_BYTES_DEFAULT;
    ix->drop = o->drop;
    ix->drop_ctx = o->drop_ctx;
    ix->read_only = o->read_only;
    ix->next_id = 1;
    mutex_init(&ix->change, "index change", RANK_INDEX_CHANGE);
    mutex_init(&ix->state, "index state", RANK_INDEX);
    int rc = ix->read_only ? E_OK : os_mkdir(ix->os, ix->dir);
    if (rc == E_OK) rc = open_runs(ix, o);
    /* The buffer is made in every case, so that closing has one form. */
    index_buffer_init(&ix->buffer, &ix->state, ix->buffer_bytes, ix->frozen_covers);
    if (!ix->view) ix->view = index_view_new(0, 0);
    if (rc == E_OK) rc = remove_leftovers(ix, o);
    if (rc < 0) {
        index_close(&ix);
        return rc;
    }
    *out = ix;
    return E_OK;
}

void index_close(struct index **pix)
{
    struct index *ix = *pix;
    *pix = NULL;
    if (!ix) return;
    ASSERT(!atomic_load(&ix->flushing) && !atomic_load(&ix->merging));
    ASSERT(atomic_load(&ix->view->refs) == 1); /* snapshots and iterators go first */
    for (size_t i = 0; i < ix->n_dead; i++) index_run_drop(ix->dead[i].run);
    mem_free(ix->dead);
    index_view_drop(ix->view);
    index_buffer_fini(&ix->buffer);
    mutex_fini(&ix->state);
    mutex_fini(&ix->change);
    mem_free(ix);
}

/* ---- writing ---- */

void index_put(struct index *ix, slice key, slice value, size_t filter_n)
{
    ASSERT(ix);
    index_buffer_put(&ix->buffer, key, value, filter_n, false);
}

void index_delete(struct index *ix, slice key)
{
    ASSERT(ix);
    index_buffer_put(&ix->buffer, key, slice_of(NULL, 0), 0, true);
}

void index_step(struct index *ix, uint64_t covers)
{
    ASSERT(ix);
    uint64_t newest = index_covers(ix);
    index_buffer_step(&ix->buffer, covers > newest ? covers : newest);
    bool wanted = atomic_load_explicit(&ix->merge_wanted, memory_order_relaxed);
    if (index_buffer_pending(&ix->buffer) < INDEX_CHUNK_ENTRIES && !wanted) return;
    mutex_lock(&ix->change);
    index_freeze(ix, true);
    mutex_unlock(&ix->change);
}

uint64_t index_covers(const struct index *ix)
{
    ASSERT(ix);
    return atomic_load_explicit(&ix->buffer.step_covers, memory_order_acquire);
}

uint64_t index_flushed_covers(const struct index *ix)
{
    ASSERT(ix);
    return atomic_load(&ix->flushed_covers);
}

uint64_t index_put_bytes(const struct index *ix)
{
    ASSERT(ix);
    return index_buffer_stepped(&ix->buffer).bytes;
}

uint64_t index_buffered(const struct index *ix)
{
    ASSERT(ix);
    uint64_t flushed = atomic_load(&ix->flushed_bytes); /* first: it never passes what was stepped */
    return index_buffer_stepped(&ix->buffer).bytes - flushed;
}

bool index_wants_flush(const struct index *ix)
{
    ASSERT(ix);
    return index_buffered(ix) > ix->buffer_bytes;
}

void index_release(struct index *ix)
{
    ASSERT(ix);
    index_buffer_release(&ix->buffer);
    struct index_view *v = index_view_get(ix);
    for (unsigned i = 0; i < v->n_runs; i++) os_forget(ix->os, v->runs[i]->file);
    index_view_drop(v);
}

/* Merges the newest of n chunks if that is due; returns how many are left. What readers froze in small pieces is merged by them, a little at a time;
 * the writer's large chunks only when readers have asked for it, or when there are so many that views become unwieldy. */
static size_t merge_chunks(struct index *ix, struct index_chunk **list, size_t n, bool unhurried, bool wanted)
{
    size_t free_n = n - ix->pinned, limit = MERGE_ENTRIES_HURRIED;
    if (free_n <= INDEX_CHUNKS_AIM) return n;
    if (wanted || n > INDEX_CHUNKS_MANY) limit = SIZE_MAX;
    else if (unhurried) return n;
    size_t k = index_chunk_due(list, free_n, limit);
    if (k < 2) return n;
    struct index_chunk *merged = index_chunk_merge(list, k);
    for (size_t i = 0; i < k; i++) index_chunk_drop(list[i]);
    list[k - 1] = merged;
    memmove(list, list + k - 1, (n - k + 1) * sizeof *list);
    return n - k + 1;
}

void index_freeze(struct index *ix, bool unhurried)
{
    struct buffer_step step = index_buffer_stepped(&ix->buffer);
    ASSERT(step.covers >= ix->frozen_covers);
    bool pending = step.no != atomic_load_explicit(&ix->buffer.frozen_no, memory_order_relaxed);
    bool wanted = unhurried && atomic_exchange_explicit(&ix->merge_wanted, false, memory_order_relaxed);
    if (wanted) atomic_store_explicit(&ix->looks, 0, memory_order_relaxed);
    ix->frozen_covers = step.covers;
    if (!pending && !wanted) return;
    struct index_view *old = ix->view;
    struct index_chunk *list[INDEX_CHUNK_SOURCES_MAX];
    ASSERT(old->n_chunks + 1 < INDEX_CHUNK_SOURCES_MAX);
    size_t n = 0;
    if (pending) list[n++] = index_chunk_freeze(&ix->buffer, &step);
    for (unsigned i = 0; i < old->n_chunks; i++) index_chunk_hold(list[n++] = old->chunks[i]);
    n = merge_chunks(ix, list, n, unhurried, wanted);
    struct index_view *v = index_view_new(n, old->n_runs);
    if (n) memcpy(v->chunks, list, n * sizeof *list);
    for (unsigned i = 0; i < old->n_runs; i++) index_run_hold(v->runs[i] = old->runs[i]);
    index_view_install(ix, v);
    if (pending) index_buffer_frozen(&ix->buffer, &step);
}

/* ---- figures ---- */

void index_get_stats(struct index *ix, struct index_stats *out)
{
    ASSERT(ix && out);
    struct index_view *v = index_view_get(ix);
    *out = (struct index_stats){.runs = v->n_runs, .buffer_chunks = v->n_chunks};
    out->entries = index_buffer_pending(&ix->buffer);
    int level = -1;
    for (unsigned i = 0; i < v->n_runs; i++) {
        const struct index_run *r = v->runs[i];
        out->entries += r->entries;
        out->bytes += r->bytes;
        out->filter_bytes += r->filter.n_blocks * FILTER_BLOCK_BYTES;
        out->memory_bytes += index_run_memory(r);
        out->levels += r->level != level;
        level = r->level;
    }
    for (unsigned i = 0; i < v->n_chunks; i++) {
        out->entries += v->chunks[i]->n;
        out->memory_bytes += mem_size(v->chunks[i]);
    }
    index_view_drop(v);
    out->buffer_bytes = index_buffered(ix);
    out->memory_bytes += atomic_load(&ix->buffer.memory_bytes);
    out->flushes = atomic_load(&ix->flushes);
    out->merges = atomic_load(&ix->merges);
    out->merged_bytes = atomic_load(&ix->merged_bytes);
}

int index_verify(struct index *ix, char *where, size_t where_n)
{
    ASSERT(ix && where && where_n > 0);
    where[0] = 0;
    struct index_view *v = index_view_get(ix);
    int rc = E_OK;
    for (unsigned i = 0; i < v->n_runs && rc == E_OK; i++) rc = index_run_verify(v->runs[i], where, where_n);
    index_view_drop(v);
    return rc;
}
