/* The merger (a heap of sources by cached prefix, key and age) and on top of it the public iterator with bounds and without tombstones.
 *
 * Invariant: every source in the heap stands on its first entry not yet passed in the direction of travel; among equal keys the newest source
 * is nearest to the root. A change of direction seeks all sources anew, so no source ever has to remember where it was.
 * A failing source fails the whole step: what cannot be read is never taken for an end. */
#include "engine/index_state.h"

#include "base/mem.h"

/* ---- sources ---- */

static int source_stand(struct merge_source *s, int rc)
{
    if (rc < 0) return rc;
    s->key = s->chunk ? record_key(s->chunk->ref[s->at].record) : run_cursor_key(s->cursor);
    s->prefix = s->chunk ? s->chunk->ref[s->at].prefix : key_prefix(s->key);
    return E_OK;
}

static int source_step(struct merge_source *s, bool backward)
{
    if (!s->chunk) return source_stand(s, backward ? run_cursor_prev(s->cursor) : run_cursor_next(s->cursor));
    if (backward ? s->at == 0 : s->at + 1 == s->chunk->n) return E_END;
    s->at = backward ? s->at - 1 : s->at + 1;
    return source_stand(s, E_OK);
}

static int source_seek(struct merge_source *s, slice key)
{
    if (!s->chunk) return source_stand(s, run_cursor_seek(s->cursor, key));
    s->at = index_chunk_seek(s->chunk, key);
    return s->at == s->chunk->n ? E_END : source_stand(s, E_OK);
}

/* key NULL: the last of all. */
static int source_before(struct merge_source *s, const slice *key)
{
    if (!s->chunk) return source_stand(s, key ? run_cursor_seek_before(s->cursor, *key) : run_cursor_last(s->cursor));
    s->at = key ? index_chunk_seek(s->chunk, *key) : s->chunk->n;
    if (s->at == 0) return E_END;
    s->at--;
    return source_stand(s, E_OK);
}

/* ---- merger ---- */

void index_merger_init(struct index_merger *m, struct index_chunk *const *chunks, size_t n_chunks, struct index_run *const *runs, size_t n_runs)
{
    ASSERT(m && (chunks || !n_chunks) && (runs || !n_runs));
    *m = (struct index_merger){.n = (unsigned)(n_chunks + n_runs)};
    m->source = mem_zalloc((m->n + 1) * sizeof *m->source);
    m->heap = mem_alloc((m->n + 1) * sizeof *m->heap);
    for (size_t i = 0; i < n_chunks; i++) m->source[i].chunk = chunks[i];
    for (size_t i = 0; i < n_runs; i++) {
        m->source[n_chunks + i].cursor = mem_alloc(sizeof(struct run_cursor));
        run_cursor_init(m->source[n_chunks + i].cursor, runs[i]);
    }
}

void index_merger_fini(struct index_merger *m)
{
    for (unsigned i = 0; i < m->n; i++) {
        if (!m->source[i].cursor) continue;
        run_cursor_fini(m->source[i].cursor);
        mem_free(m->source[i].cursor);
    }
    mem_free(m->source);
    mem_free(m->heap);
    *m = (struct index_merger){0};
}

static bool precedes(const struct index_merger *m, unsigned a, unsigned b)
{
    const struct merge_source *x = &m->source[a], *y = &m->source[b];
    if (x->prefix != y->prefix) return (x->prefix < y->prefix) != m->backward;
    int c = slice_cmp(x->key, y->key);
    return c ? (c < 0) != m->backward : a < b;
}

static void sift_down(struct index_merger *m, unsigned i)
{
    unsigned moving = m->heap[i];
    for (;;) {
        unsigned child = 2 * i + 1;
        if (child >= m->heap_n) break;
        if (child + 1 < m->heap_n && precedes(m, m->heap[child + 1], m->heap[child])) child++;
        if (!precedes(m, m->heap[child], moving)) break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = moving;
}

static int build_heap(struct index_merger *m)
{
    for (unsigned i = m->heap_n / 2; i-- > 0;) sift_down(m, i);
    return m->heap_n ? E_OK : E_END;
}

/* The outcome of moving a source: beyond the bounds it has nothing more to say, and the heap is spared it. */
static int bounded(const struct index_merger *m, const struct merge_source *s, int rc)
{
    if (rc < 0) return rc;
    bool outside = m->backward ? m->lower.n && slice_cmp(s->key, m->lower) < 0 : m->upper.n && slice_cmp(s->key, m->upper) >= 0;
    return outside ? E_END : E_OK;
}

/* Takes the outcome of moving one source while the heap is being filled. */
static int admit(struct index_merger *m, unsigned source, int rc)
{
    rc = bounded(m, &m->source[source], rc);
    if (rc == E_OK) m->heap[m->heap_n++] = source;
    if (rc == E_OK || rc == E_END) return E_OK;
    m->heap_n = 0;
    return rc;
}

int index_merger_seek(struct index_merger *m, slice key)
{
    m->heap_n = 0;
    m->backward = false;
    for (unsigned i = 0; i < m->n; i++) {
        int rc = admit(m, i, source_seek(&m->source[i], key));
        if (rc < 0) return rc;
    }
    return build_heap(m);
}

static int merger_back(struct index_merger *m, const slice *key)
{
    m->heap_n = 0;
    m->backward = true;
    for (unsigned i = 0; i < m->n; i++) {
        int rc = admit(m, i, source_before(&m->source[i], key));
        if (rc < 0) return rc;
    }
    return build_heap(m);
}

int index_merger_before(struct index_merger *m, slice key) { return merger_back(m, &key); }
int index_merger_last(struct index_merger *m) { return merger_back(m, NULL); }

/* Moves the source at heap position i on and restores the order. */
static int advance(struct index_merger *m, unsigned i)
{
    struct merge_source *s = &m->source[m->heap[i]];
    int rc = bounded(m, s, source_step(s, m->backward));
    if (rc == E_END) {
        m->heap[i] = m->heap[--m->heap_n];
        if (i == m->heap_n) return E_OK;
    } else if (rc < 0) {
        m->heap_n = 0;
        return rc;
    }
    sift_down(m, i);
    return E_OK;
}

int index_merger_step(struct index_merger *m)
{
    ASSERT(m->heap_n > 0);
    /* Older entries of the same key first: the root's key must stay readable until they have passed. */
    while (m->heap_n > 1) {
        unsigned i = m->heap_n > 2 && precedes(m, m->heap[2], m->heap[1]) ? 2 : 1;
        const struct merge_source *x = &m->source[m->heap[0]], *y = &m->source[m->heap[i]];
        if (x->prefix != y->prefix || !slice_eq(x->key, y->key)) break;
        int rc = advance(m, i);
        if (rc < 0) return rc;
    }
    int rc = advance(m, 0);
    if (rc < 0) return rc;
    return m->heap_n ? E_OK : E_END;
}

slice index_merger_value(const struct index_merger *m)
{
    ASSERT(m->heap_n > 0);
    const struct merge_source *s = &m->source[m->heap[0]];
    return s->chunk ? record_value(s->chunk->ref[s->at].record) : run_cursor_entry(s->cursor)->value;
}

size_t index_merger_filter_n(const struct index_merger *m)
{
    const struct merge_source *s = &m->source[m->heap[0]];
    return s->chunk ? record_filter_n(s->chunk->ref[s->at].record) : run_cursor_entry(s->cursor)->filter_n;
}

bool index_merger_tombstone(const struct index_merger *m)
{
    const struct merge_source *s = &m->source[m->heap[0]];
    return s->chunk ? record_tombstone(s->chunk->ref[s->at].record) : run_cursor_entry(s->cursor)->tombstone;
}

/* ---- the public iterator ---- */

enum place { FRESH, ON, NOWHERE };

struct index_iter {
    struct index_view *view;
    struct index_merger merger;
    struct buf lower, upper, turn;
    enum place place;
};

int index_iter_open(struct index_snap *s, slice lower, slice upper, struct index_iter **out)
{
    return index_iter_open_prefix(s, lower, upper, 0, out);
}

int index_iter_open_prefix(struct index_snap *s, slice lower, slice upper, size_t prefix_n, struct index_iter **out)
{
    ASSERT(s && out);
    ASSERT(lower.n <= INDEX_KEY_MAX && upper.n <= INDEX_KEY_MAX && prefix_n <= lower.n);
    enum index_scope scope;
    struct index_view *v = index_snap_view(s, &scope);
    struct index_iter *it = mem_zalloc(sizeof *it);
    slice prefix = slice_of(lower.p, prefix_n);
    uint64_t hash = prefix_n ? index_filter_hash(prefix) : 0;
    struct index_run **runs = mem_alloc((v->n_runs + 1) * sizeof(struct index_run *));
    unsigned n_runs = 0;
    for (unsigned i = 0; i < v->n_runs; i++)
        if (index_run_may_have(v->runs[i], lower, upper, prefix, hash)) runs[n_runs++] = v->runs[i];
    index_view_hold(v);
    it->view = v;
    index_merger_init(&it->merger, v->chunks, scope == INDEX_ALL ? v->n_chunks : 0, runs, n_runs);
    mem_free(runs);
    buf_add_slice(&it->lower, lower);
    buf_add_slice(&it->upper, upper);
    it->merger.lower = buf_slice(&it->lower);
    it->merger.upper = buf_slice(&it->upper);
    it->place = FRESH;
    *out = it;
    return E_OK;
}

void index_iter_close(struct index_iter **pit)
{
    struct index_iter *it = *pit;
    *pit = NULL;
    if (!it) return;
    index_merger_fini(&it->merger);
    index_view_drop(it->view);
    buf_fini(&it->lower);
    buf_fini(&it->upper);
    buf_fini(&it->turn);
    mem_free(it);
}

/* Takes the merger's outcome: passes tombstones. */
static int settle(struct index_iter *it, int rc)
{
    struct index_merger *m = &it->merger;
    it->place = NOWHERE;
    for (; rc == E_OK; rc = index_merger_step(m)) {
        if (index_merger_tombstone(m)) continue;
        it->place = ON;
        return E_OK;
    }
    return rc;
}

int index_seek(struct index_iter *it, slice key)
{
    ASSERT(it);
    slice lower = buf_slice(&it->lower);
    return settle(it, index_merger_seek(&it->merger, slice_cmp(key, lower) < 0 ? lower : key));
}

int index_seek_last(struct index_iter *it)
{
    ASSERT(it);
    return settle(it, it->upper.n ? index_merger_before(&it->merger, buf_slice(&it->upper)) : index_merger_last(&it->merger));
}

int index_seek_before(struct index_iter *it, slice key)
{
    ASSERT(it);
    slice upper = buf_slice(&it->upper);
    return settle(it, index_merger_before(&it->merger, upper.n && slice_cmp(key, upper) > 0 ? upper : key));
}

static slice turning_key(struct index_iter *it)
{
    buf_clear(&it->turn);
    buf_add_slice(&it->turn, index_merger_key(&it->merger));
    return buf_slice(&it->turn);
}

int index_next(struct index_iter *it)
{
    ASSERT(it);
    if (it->place == NOWHERE) return E_END;
    if (it->place == FRESH) return index_seek(it, buf_slice(&it->lower));
    if (it->merger.backward) {
        int rc = index_merger_seek(&it->merger, turning_key(it));
        if (rc < 0) return settle(it, rc);
    }
    return settle(it, index_merger_step(&it->merger));
}

int index_prev(struct index_iter *it)
{
    ASSERT(it);
    if (it->place == NOWHERE) return E_END;
    if (it->place == FRESH) return index_seek_last(it);
    return settle(it, it->merger.backward ? index_merger_step(&it->merger) : index_merger_before(&it->merger, turning_key(it)));
}

slice index_key(const struct index_iter *it)
{
    ASSERT(it && it->place == ON);
    return index_merger_key(&it->merger);
}

slice index_value(const struct index_iter *it)
{
    ASSERT(it && it->place == ON);
    return index_merger_value(&it->merger);
}
