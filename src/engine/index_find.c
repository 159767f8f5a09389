/* Snapshots and single look-ups.
 *
 * index_first: the filters leave the runs that may hold a live entry with the prefix (nearly always one or none); each is asked for its first
 * entry at or above the key, and the smallest key wins, the newest among equals. Filters know no tombstones, so a found entry is checked
 * against the newer runs that were left out and whose tombstones span its key. A tombstone in the way is rare: then a merger finds what is behind it.
 *
 * index_newest_now asks the sources from the newest on and takes the first answer. So a key that is in every run costs one look, not one a run. */
#include "engine/index_state.h"

#include "base/mem.h"

/* Looks at chunks that cost what merging half a million entries costs: until readers have paid that, the writer does not merge for them. */
enum { LOOKS_WORTH_MERGING = 128 << 10 };

struct index_snap {
    struct index_view *view;
    enum index_scope scope;
};

static struct index_view *view_for(struct index *ix, enum index_scope scope)
{
    if (scope == INDEX_ALL && index_buffer_pending(&ix->buffer)) {
        mutex_lock(&ix->change);
        index_freeze(ix, false);
        mutex_unlock(&ix->change);
    }
    struct index_view *v = index_view_get(ix);
    if (scope == INDEX_ALL && v->n_chunks > INDEX_CHUNKS_AIM) {
        unsigned more = v->n_chunks - INDEX_CHUNKS_AIM;
        uint64_t looks = atomic_fetch_add_explicit(&ix->looks, more, memory_order_relaxed);
        if (looks + more >= LOOKS_WORTH_MERGING) atomic_store_explicit(&ix->merge_wanted, true, memory_order_relaxed);
    }
    return v;
}

int index_snapshot(struct index *ix, enum index_scope scope, struct index_snap **out)
{
    ASSERT(ix && out);
    struct index_snap *s = mem_alloc(sizeof *s);
    s->view = view_for(ix, scope);
    s->scope = scope;
    *out = s;
    return E_OK;
}

void index_snap_close(struct index_snap **ps)
{
    struct index_snap *s = *ps;
    *ps = NULL;
    if (!s) return;
    index_view_drop(s->view);
    mem_free(s);
}

struct index_view *index_snap_view(struct index_snap *s, enum index_scope *scope)
{
    ASSERT(s && scope);
    *scope = s->scope;
    return s->view;
}

static void give(struct buf *b, slice s)
{
    if (!b) return;
    buf_clear(b);
    buf_add_slice(b, s);
}

/* ---- exact keys ---- */

/* E_OK: the run has the key, as an entry or a tombstone; the cursor stands on it. */
static int run_exact(struct run_cursor *c, slice key)
{
    if (slice_cmp(key, c->run->smallest) < 0) return E_NOTFOUND;
    int rc = run_cursor_seek(c, key);
    if (rc == E_END) return E_NOTFOUND;
    if (rc < 0) return rc;
    return slice_eq(run_cursor_key(c), key) ? E_OK : E_NOTFOUND;
}

int index_get(struct index_snap *s, slice key, struct buf *value)
{
    ASSERT(s && s->view);
    ASSERT(key.n <= INDEX_KEY_MAX);
    const struct index_view *v = s->view;
    for (unsigned i = 0; s->scope == INDEX_ALL && i < v->n_chunks; i++) {
        const struct index_chunk *k = v->chunks[i];
        size_t at = index_chunk_seek(k, key);
        if (at == k->n || !slice_eq(record_key(k->ref[at].record), key)) continue;
        if (record_tombstone(k->ref[at].record)) return E_NOTFOUND;
        give(value, record_value(k->ref[at].record));
        return E_OK;
    }
    for (unsigned i = 0; i < v->n_runs; i++) {
        struct run_cursor c;
        run_cursor_init(&c, v->runs[i]);
        int rc = run_exact(&c, key);
        bool tombstone = rc == E_OK && run_cursor_entry(&c)->tombstone;
        if (rc == E_OK && !tombstone) give(value, run_cursor_entry(&c)->value);
        run_cursor_fini(&c);
        if (tombstone) return E_NOTFOUND;
        if (rc != E_NOTFOUND) return rc;
    }
    return E_NOTFOUND;
}

/* ---- the first at or above ---- */

/* The best entry so far. When it lies in a run, its bytes are in cursor[held]; the other cursor is free. */
struct best {
    bool found, tombstone, in_run;
    unsigned held, run;
    slice key, value;
    struct run_cursor cursor[2];
};

struct question {
    enum index_scope scope;
    bool newest; /* the newest source that knows an answer knows the best */
    slice key, prefix;
    uint64_t hash; /* of the prefix */
};

static void first_in_chunks(const struct index_view *v, const struct question *q, struct best *b)
{
    for (unsigned i = 0; i < v->n_chunks && !(q->newest && b->found); i++) {
        const struct index_chunk *k = v->chunks[i];
        size_t at = index_chunk_seek(k, q->key);
        if (at == k->n) continue;
        const uint8_t *r = k->ref[at].record;
        slice found = record_key(r);
        if (!slice_starts(found, q->prefix) || (b->found && slice_cmp(found, b->key) >= 0)) continue;
        b->found = true;
        b->key = found;
        b->value = record_value(r);
        b->tombstone = record_tombstone(r);
    }
}

static int first_in_run(struct index_run *run, unsigned no, const struct question *q, struct best *b)
{
    unsigned mine = b->in_run ? !b->held : 0;
    struct run_cursor *c = &b->cursor[mine];
    run_cursor_init(c, run);
    int rc = run_cursor_seek(c, q->key);
    slice found = rc == E_OK ? run_cursor_key(c) : slice_of(NULL, 0);
    if (rc < 0 || !slice_starts(found, q->prefix) || (b->found && slice_cmp(found, b->key) >= 0)) {
        run_cursor_fini(c);
        return rc == E_END ? E_OK : rc;
    }
    if (b->in_run) run_cursor_fini(&b->cursor[b->held]);
    const struct run_entry *e = run_cursor_entry(c);
    b->found = b->in_run = true;
    b->held = mine;
    b->run = no;
    b->key = found;
    b->value = e->value;
    b->tombstone = e->tombstone;
    return E_OK;
}

/* Asks the runs whose filter says maybe, or all when there is no prefix. */
static int first_in_runs(const struct index_view *v, const struct question *q, struct best *b)
{
    if (q->newest && b->found) return E_OK;
    for (unsigned i = 0; q->prefix.n && i < v->n_runs; i++) index_filter_prefetch(&v->runs[i]->filter, q->hash);
    for (unsigned i = 0; i < v->n_runs && !(q->newest && b->found); i++) {
        if (q->prefix.n && !index_filter_has(&v->runs[i]->filter, q->hash)) continue;
        int rc = first_in_run(v->runs[i], i, q, b);
        if (rc < 0) return rc;
    }
    return E_OK;
}

/* Does a tombstone in a run that its filter left out, newer than the best entry, hide it? */
static int hidden(const struct index_view *v, const struct best *b, const struct question *q, bool *out)
{
    *out = false;
    if (!b->in_run || q->prefix.n == 0) return E_OK;
    for (unsigned i = 0; i < b->run; i++) {
        struct index_run *r = v->runs[i];
        if (!index_run_may_hide(r, b->key) || index_filter_has(&r->filter, q->hash)) continue;
        struct run_cursor c;
        run_cursor_init(&c, r);
        int rc = run_exact(&c, b->key);
        run_cursor_fini(&c);
        if (rc == E_OK) *out = true;
        if (rc != E_NOTFOUND) return rc;
    }
    return E_OK;
}

/* The general way, past any number of tombstones. */
static int first_live(const struct index_view *v, const struct question *q, struct buf *found_key, struct buf *value)
{
    struct index_merger m;
    index_merger_init(&m, v->chunks, q->scope == INDEX_ALL ? v->n_chunks : 0, v->runs, v->n_runs);
    int rc = index_merger_seek(&m, q->key);
    while (rc == E_OK && index_merger_tombstone(&m) && slice_starts(index_merger_key(&m), q->prefix)) rc = index_merger_step(&m);
    if (rc == E_OK && !slice_starts(index_merger_key(&m), q->prefix)) rc = E_END;
    if (rc == E_OK) {
        give(found_key, index_merger_key(&m));
        give(value, index_merger_value(&m));
    }
    index_merger_fini(&m);
    return rc == E_END ? E_NOTFOUND : rc;
}

static int view_first(const struct index_view *v, struct question *q, struct buf *found_key, struct buf *value)
{
    ASSERT(q->prefix.n <= q->key.n && q->key.n <= INDEX_KEY_MAX);
    q->hash = q->prefix.n ? index_filter_hash(q->prefix) : 0;
    struct best b;
    b.found = b.in_run = b.tombstone = false;
    b.held = b.run = 0;
    if (q->scope == INDEX_ALL) first_in_chunks(v, q, &b);
    int rc = first_in_runs(v, q, &b);
    bool blocked = b.tombstone;
    if (rc == E_OK && b.found && !blocked) rc = hidden(v, &b, q, &blocked);
    if (rc == E_OK && b.found && !blocked) {
        give(found_key, b.key);
        give(value, b.value);
    }
    if (b.in_run) run_cursor_fini(&b.cursor[b.held]);
    if (rc < 0) return rc;
    if (blocked) return first_live(v, q, found_key, value);
    return b.found ? E_OK : E_NOTFOUND;
}

int index_first(struct index_snap *s, slice key, size_t prefix_n, struct buf *found_key, struct buf *value)
{
    ASSERT(s && s->view);
    struct question q = {.scope = s->scope, .key = key, .prefix = slice_of(key.p, prefix_n)};
    return view_first(s->view, &q, found_key, value);
}

static int first_now(struct index *ix, struct question *q, struct buf *found_key, struct buf *value)
{
    ASSERT(ix);
    struct index_view *v = view_for(ix, q->scope);
    int rc = view_first(v, q, found_key, value);
    index_view_drop(v);
    return rc;
}

int index_first_now(struct index *ix, enum index_scope scope, slice key, size_t prefix_n, struct buf *found_key, struct buf *value)
{
    struct question q = {.scope = scope, .key = key, .prefix = slice_of(key.p, prefix_n)};
    return first_now(ix, &q, found_key, value);
}

int index_newest_now(struct index *ix, enum index_scope scope, slice key, size_t prefix_n, struct buf *found_key, struct buf *value)
{
    ASSERT(prefix_n > 0);
    struct question q = {.scope = scope, .newest = true, .key = key, .prefix = slice_of(key.p, prefix_n)};
    return first_now(ix, &q, found_key, value);
}
