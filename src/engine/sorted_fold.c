/* Keeping sorted indexes while folding, and building new ones; see sorted.h.
 *
 * A change of a document's sort key closes the live entry and opens a new one. To close it, its `from` must be known: it is looked up among the entries
 * put since the last step (they cannot be seen in the index yet) and then in the index. When folding is done again after a crash the index may
 * already be ahead: then the live entry is missing or younger than its end, its closed form is there already, and nothing is put. */
#include "base/mem.h"
#include "engine/books.h"

#define PENDING_FIRST 256        /* slots, a power of two */
#define PENDING_KEPT  (1u << 14) /* likewise: more are given back */
#define RECENT_SLOTS  (1u << 20) /* likewise */
#define TOUCHED_BITS  (1u << 24)

#define VERSIONS_A_DOCUMENT 16   /* read by a slice for each document of its budget */
#define SPENT_BYTES         4096 /* of JSON count as one version more */

/* ---- live entries not yet stepped: open addressing over the bytes of the I key ---- */

struct pending_slot {
    size_t at, n; /* in keys; n = 0: free */
    uint64_t from;
};
/* A live entry put not long ago, found without the index: its whole hash stands for its key, under the store's secret seed. */
struct recent {
    uint64_t hash, from; /* from = 0: free */
};
/* Which live entries were put or deleted since the index was last flushed, by two bits of their hash each; some that were not look so. What was not touched is
 * as the runs say: looking there only spares the freezing of what this very fold has just put, and the search of all its pieces. */
struct touched {
    uint64_t *old, *new; /* TOUCHED_BITS each; old: at or before `until` */
    uint64_t until;
};
struct sorted_pending {
    struct recent *recent; /* pairs */
    size_t recents;
    struct touched touched;
    struct buf keys;
    struct pending_slot *slot;
    size_t slots, used;
    uint64_t covers; /* the index's newest step when the first was put */
};

void sorted_pending_free(struct sorted_pending **p)
{
    ASSERT(p);
    if (!*p) return;
    buf_fini(&(*p)->keys);
    mem_free((*p)->recent);
    mem_free((*p)->touched.old);
    mem_free((*p)->touched.new);
    mem_free((*p)->slot);
    mem_free(*p);
    *p = NULL;
}

static struct pending_slot *pending_lookup(struct fold *f, slice key)
{
    struct sorted_pending *p = f->sorted.pending;
    ASSERT(p && p->used < p->slots);
    size_t i = key_hash(&f->e->seed, key.p, key.n) & (p->slots - 1);
    while (p->slot[i].n && !slice_eq(slice_of(p->keys.p + p->slot[i].at, p->slot[i].n), key)) i = (i + 1) & (p->slots - 1);
    return &p->slot[i];
}

static struct sorted_pending *pending_now(struct fold *f)
{
    uint64_t covers = index_covers(f->e->index);
    struct sorted_pending *p = f->sorted.pending;
    if (!p) {
        p = f->sorted.pending = mem_zalloc(sizeof *p);
        p->slots = PENDING_FIRST;
        p->slot = mem_zalloc(p->slots * sizeof p->slot[0]);
        p->recents = f->sorted.recents ? f->sorted.recents : RECENT_SLOTS;
        p->recent = mem_zalloc(p->recents * sizeof p->recent[0]);
        p->touched.old = mem_zalloc(TOUCHED_BITS / 8);
        p->touched.new = mem_zalloc(TOUCHED_BITS / 8);
        p->touched.until = fold_seq(f);
        p->covers = covers;
    } else if (p->covers != covers) {
        if (p->slots > PENDING_KEPT) { /* one huge document; the many after it should not clear its room */
            mem_free(p->slot);
            p->slots = PENDING_FIRST;
            p->slot = mem_zalloc(p->slots * sizeof p->slot[0]);
        } else if (p->used) {
            memset(p->slot, 0, p->slots * sizeof p->slot[0]);
        }
        buf_clear(&p->keys);
        p->used = 0;
        p->covers = covers;
    }
    return p;
}

/* Between two nodes: everything touched so far was put before whatever the index steps behind fold_seq. */
static void touched_turn(struct fold *f)
{
    struct touched *t = &pending_now(f)->touched;
    if (index_flushed_covers(f->e->index) <= t->until) return;
    memset(t->old, 0, TOUCHED_BITS / 8); /* the runs hold it now */
    uint64_t *x = t->old;
    t->old = t->new;
    t->new = x;
    t->until = fold_seq(f);
}

static bool touched_has(const uint64_t *bits, uint64_t hash)
{
    uint64_t a = hash % TOUCHED_BITS, b = (hash >> 32) % TOUCHED_BITS;
    return (bits[a / 64] >> a % 64 & 1) && (bits[b / 64] >> b % 64 & 1);
}

static void touched_add(struct touched *t, uint64_t hash)
{
    uint64_t a = hash % TOUCHED_BITS, b = (hash >> 32) % TOUCHED_BITS;
    t->new[a / 64] |= 1ull << a % 64;
    t->new[b / 64] |= 1ull << b % 64;
}

/* The place that holds this hash, else the one to put it into: the younger of two, whose holder takes the place of the older. */
static struct recent *recent_slot(struct fold *f, slice key, uint64_t *hash)
{
    struct sorted_pending *p = pending_now(f);
    ASSERT(key.n > 0);
    *hash = key_hash(&f->e->seed, key.p, key.n);
    struct recent *pair = &p->recent[*hash % (p->recents / 2) * 2];
    return pair[1].from && pair[1].hash == *hash ? &pair[1] : pair;
}

/* Follows every put (from > 0) and delete (0) of a live entry, so that what it holds is always what the index holds. */
static void recent_set(struct fold *f, slice key, uint64_t from)
{
    uint64_t hash;
    struct recent *r = recent_slot(f, key, &hash);
    bool held = r->from && r->hash == hash;
    touched_add(&f->sorted.pending->touched, hash);
    if (!held && from == 0) return;
    if (!held && r->from) r[1] = r[0];
    *r = (struct recent){hash, from};
}

static void pending_put(struct fold *f, slice key, uint64_t from)
{
    struct sorted_pending *p = pending_now(f);
    if (2 * p->used >= p->slots) {
        struct pending_slot *old = p->slot;
        size_t n = p->slots;
        p->slots *= 2;
        p->slot = mem_zalloc(p->slots * sizeof p->slot[0]);
        for (size_t i = 0; i < n; i++)
            if (old[i].n) *pending_lookup(f, slice_of(p->keys.p + old[i].at, old[i].n)) = old[i];
        mem_free(old);
    }
    struct pending_slot *s = pending_lookup(f, key);
    if (s->n == 0) {
        *s = (struct pending_slot){.at = p->keys.n, .n = key.n};
        buf_add_slice(&p->keys, key);
        p->used++;
    }
    s->from = from;
}

/* Since when does the live entry `key` hold? E_NOTFOUND. */
static int live_since(struct fold *f, slice key, uint64_t *from)
{
    uint64_t hash;
    const struct recent *r = recent_slot(f, key, &hash);
    const struct pending_slot *s = pending_lookup(f, key);
    if (s->n || (r->from && r->hash == hash)) {
        *from = s->n ? s->from : r->from;
        return E_OK;
    }
    struct buf *found = probe_buf(PROBE_FOUND), *value = probe_buf(PROBE_VALUE);
    struct range_interval v;
    const struct touched *t = &f->sorted.pending->touched;
    enum index_scope scope = touched_has(t->old, hash) || touched_has(t->new, hash) ? INDEX_ALL : INDEX_RUNS_ONLY;
    int rc = index_first_now(f->e->index, scope, key, key.n, found, value);
    if (!rc && found->n != key.n) rc = E_NOTFOUND;
    if (!rc) rc = range_interval_parse(buf_slice(found), buf_slice(value), &v);
    if (!rc) *from = v.from;
    return rc;
}

/* ---- entries ---- */

static void open_entry(struct fold *f, struct sorted *d, slice sort_key, slice key, uint64_t from)
{
    struct sorted_set *s = &f->sorted;
    range_sorted(&s->entry, d->id, sort_key, key);
    range_sorted_value(&s->value, sort_key.n, from);
    index_put(f->e->index, buf_slice(&s->entry), buf_slice(&s->value), s->entry.n);
    recent_set(f, buf_slice(&s->entry), from);
    book_add(&d->bytes, s->entry.n + s->value.n);
}

static void delete_entry(struct fold *f)
{
    slice key = buf_slice(&f->sorted.entry);
    recent_set(f, key, 0);
    index_delete(f->e->index, key);
}

static void put_closed(struct fold *f, struct sorted *d, slice sort_key, slice key, uint64_t from, uint64_t to)
{
    struct sorted_set *s = &f->sorted;
    ASSERT(from < to);
    range_closed(&s->entry, d->id, sort_key, key, from);
    range_sorted_value(&s->value, sort_key.n, to);
    index_put(f->e->index, buf_slice(&s->entry), buf_slice(&s->value), 0);
}

static int close_entry(struct fold *f, struct sorted *d, slice sort_key, slice key, uint64_t to)
{
    struct sorted_set *s = &f->sorted;
    uint64_t from = 0;
    range_sorted(&s->entry, d->id, sort_key, key);
    int rc = live_since(f, buf_slice(&s->entry), &from);
    if (rc && rc != E_NOTFOUND) return rc;
    delete_entry(f);
    if (!rc && from < to) put_closed(f, d, sort_key, key, from, to);
    book_add(&d->bytes, 8); /* the closed form is that much longer */
    return E_OK;
}

/* ---- upkeep ---- */

/* Is this key's document kept by the fold, or left to the build? */
static bool is_kept(struct sorted *d, slice key)
{
    return atomic_load_explicit(&d->ready, memory_order_relaxed) || (d->started && slice_cmp(key, buf_slice(&d->position)) <= 0);
}

/* The value that `prev` left standing: a change of expiry alone has none of its own. */
static int old_document(struct fold *f, const struct node *prev, slice *json)
{
    struct node at = *prev;
    int rc = E_OK;
    while (!rc && at.op == NODE_META && at.prev) rc = f->read(f->e, at.prev, &f->sorted.doc, &at);
    if (!rc) *json = at.payload;
    return rc;
}

struct change {
    const struct node *n;
    bool was, is;     /* a document before, after */
    slice old, new;   /* its JSON */
    uint64_t old_end; /* where the old value stops holding */
    bool counted;     /* the old entry is in `entries` */
};

static int term_goes(struct fold *f, struct sorted *d, const struct change *c, slice term)
{
    int rc = close_entry(f, d, term, c->n->key, c->old_end);
    if (!rc && c->counted && book_get(&d->entries) > 0) book_add(&d->entries, (uint64_t)-1);
    return rc;
}

static void term_comes(struct fold *f, struct sorted *d, const struct change *c, slice term)
{
    open_entry(f, d, term, c->n->key, c->n->seq);
    pending_put(f, buf_slice(&f->sorted.entry), c->n->seq);
    book_add(&d->entries, 1);
}

static int change_one(struct fold *f, struct sorted *d, const struct change *c)
{
    struct sorted_terms *old = &f->sorted.old_terms, *new = &f->sorted.new_terms;
    bool in_old, in_new, goes_on = c->was && c->is && c->old_end == c->n->seq;
    int rc = E_OK;
    sorted_terms_clear(old), sorted_terms_clear(new);
    if (c->was) sorted_terms_of(d, c->old, old);
    if (c->is) sorted_terms_of(d, c->new, new);
    for (size_t a = 0, b = 0; !rc && sorted_terms_next(old, new, &a, &b, &in_old, &in_new); a += in_old, b += in_new) {
        if (in_old && in_new && goes_on) continue;
        if (in_old) rc = term_goes(f, d, c, sorted_terms_at(old, a));
        if (!rc && in_new) term_comes(f, d, c, sorted_terms_at(new, b));
    }
    return rc;
}

int sorted_fold(struct fold *f, const struct node *n, const struct node *prev)
{
    ASSERT(f && n->space == SPACE_KEY);
    ASSERT(!prev || prev->seq == n->prev);
    touched_turn(f);
    slice coll = collection_of(n->key);
    struct change c = {.n = n, .new = n->payload, .is = node_is_live(n) && n->type == TYPE_DOCUMENT};
    int rc = E_OK;
    if (prev && node_is_live(prev) && prev->type == TYPE_DOCUMENT) {
        c.was = true;
        c.counted = prev->seq > book_get(&f->dbs.flushed[n->lineage]);
        c.old_end = c.counted ? n->seq : dbs_flushed_next(&f->dbs, n->lineage, prev->seq);
        if (n->op == NODE_META && c.is) return E_OK;
        rc = old_document(f, prev, &c.old);
        if (!rc && c.counted && c.old.n == 0)
            rc = err_note(E_CORRUPT, "the document before node %llu is gone", (unsigned long long)n->seq);
    }
    for (size_t i = 0; i < f->sorted.live.n && !rc; i++) {
        struct sorted *d = f->sorted.live.at[i];
        if (d->lineage == n->lineage && slice_eq(d->coll, coll) && is_kept(d, n->key)) rc = change_one(f, d, &c);
    }
    return rc;
}

/* ---- building ---- */

/* A document may have more versions than a slice should read: then the next slice goes on where this one stopped. Until all of them are read the position
 * stays before the document, so the fold leaves it alone and nothing of this needs to be saved. */
struct sorted_build {
    struct fold *f;
    struct sorted *d;
    uint32_t id;                      /* d's number when the document was begun */
    bool begun;                       /* what follows is of a document that is not through */
    struct buf key;
    bool open;                        /* a document stands, under the terms in `now` */
    bool gap;                         /* part of the history is gone */
    bool unknown;                     /* … and what stands behind it is not known yet */
    uint64_t last, ver;               /* of the version before */
    struct sorted_terms now, fresh;
    struct buf mem;
    uint64_t spent;                   /* by this slice: versions, and SPENT_BYTES of them */
};

void sorted_build_free(struct sorted_build **out)
{
    ASSERT(out);
    struct sorted_build *b = *out;
    if (!b) return;
    buf_fini(&b->key), buf_fini(&b->mem);
    sorted_terms_fini(&b->now), sorted_terms_fini(&b->fresh);
    mem_free(b);
    *out = NULL;
}

/* A term of the past: its live entry must not exist, whatever an earlier, unsaved stretch of the build put. */
static void build_close(struct sorted_build *b, size_t i, uint64_t to)
{
    struct sorted_set *s = &b->f->sorted;
    slice term = sorted_terms_at(&b->now, i);
    put_closed(b->f, b->d, term, buf_slice(&b->key), b->now.term[i].from, to);
    book_add(&b->d->bytes, s->entry.n + s->value.n);
    range_sorted(&s->entry, b->d->id, term, buf_slice(&b->key));
    delete_entry(b->f);
}

static void build_close_all(struct sorted_build *b, uint64_t to)
{
    for (size_t i = 0; i < b->now.n; i++) build_close(b, i, to);
    sorted_terms_clear(&b->now);
    b->open = false;
}

/* What went is closed, what stays keeps its beginning. */
static void build_change(struct sorted_build *b, uint64_t seq)
{
    bool in_now, in_fresh;
    for (size_t x = 0, y = 0; sorted_terms_next(&b->now, &b->fresh, &x, &y, &in_now, &in_fresh); x += in_now, y += in_fresh) {
        if (in_now && !in_fresh) build_close(b, x, seq);
        if (in_fresh) b->fresh.term[y].from = in_now ? b->now.term[x].from : seq;
    }
    struct sorted_terms t = b->now;
    b->now = b->fresh;
    b->fresh = t;
    b->open = true;
}

/* From `seq` on it is known again what stood. */
static void build_known(struct sorted_build *b, uint64_t seq)
{
    if (b->unknown && seq > book_get(&b->d->whole_from)) book_set(&b->d->whole_from, seq);
    b->unknown = false;
}

static int build_version(struct sorted_build *b, const struct version *v)
{
    uint64_t flush = b->open ? dbs_flushed_next(&b->f->dbs, b->d->lineage, b->last) : UINT64_MAX;
    if (flush < v->seq) build_close_all(b, flush);
    if (v->ver != b->ver + 1) b->gap = b->unknown = true;
    b->last = v->seq;
    b->ver = v->ver;
    bool doc = v->op <= NODE_META && v->type == TYPE_DOCUMENT;
    if (!doc && b->open) build_close_all(b, v->seq);
    if (!doc) build_known(b, v->seq);
    if (!doc || v->op == NODE_META) return E_OK;
    struct node n;
    int rc = b->f->read(b->f->e, v->seq, &b->mem, &n);
    if (rc == E_PRUNED) { /* who asks for such a point is told so, by whole_from */
        b->gap = b->unknown = true;
        return E_OK;
    }
    if (rc) return rc;
    b->spent += n.payload.n / SPENT_BYTES;
    build_known(b, v->seq);
    sorted_terms_of(b->d, n.payload, &b->fresh);
    build_change(b, v->seq);
    return E_OK;
}

static void build_begin(struct sorted_build *b, slice key)
{
    if (b->begun && b->id == b->d->id && slice_eq(buf_slice(&b->key), key)) return;
    b->begun = true;
    b->id = b->d->id;
    buf_clear(&b->key);
    buf_add_slice(&b->key, key);
    b->open = b->gap = b->unknown = false;
    b->last = b->ver = 0;
    sorted_terms_clear(&b->now);
}

/* All entries of one document, from its whole history. E_AGAIN: the slice has spent `limit` before the end of it. */
static int build_key(struct sorted_build *b, slice key, uint64_t limit)
{
    struct version_cursor *c = NULL;
    struct version v;
    build_begin(b, key);
    int rc = engine_versions(b->f->e, SPACE_KEY, b->d->lineage, key, b->last + 1, UINT64_MAX, true, &c);
    while (!rc && (rc = version_next(c, &v)) == E_OK) {
        if (b->spent++ >= limit) rc = E_AGAIN;
        if (!rc) rc = build_version(b, &v);
    }
    version_close(&c);
    if (rc != E_END) return rc;
    b->begun = false;
    build_known(b, b->last + 1);
    bool counted = b->last > book_get(&b->f->dbs.flushed[b->d->lineage]);
    for (size_t i = 0; i < b->now.n; i++) {
        open_entry(b->f, b->d, sorted_terms_at(&b->now, i), key, b->now.term[i].from);
        if (counted) book_add(&b->d->entries, 1);
    }
    return E_OK;
}

/* An iterator over the documents still to do: those of the collection whose key is above the position. */
static int build_iter(struct fold *f, struct sorted *d, struct index_iter **out)
{
    struct index_snap *s = NULL;
    struct buf lower = {0}, upper = {0}, prefix = {0};
    buf_add_slice(&prefix, d->coll);
    if (d->coll.n > 0) buf_add_byte(&prefix, ':');
    range_doc_from(&upper, d->lineage, buf_slice(&prefix));
    range_end(&upper);
    if (d->started) {
        range_doc(&lower, d->lineage, buf_slice(&d->position), 0);
        buf_add_byte(&lower, 0);
    } else {
        range_doc_from(&lower, d->lineage, buf_slice(&prefix));
    }
    int rc = E_END;
    if (slice_cmp(buf_slice(&lower), buf_slice(&upper)) < 0) rc = index_snapshot(f->e->index, INDEX_ALL, &s);
    if (!rc) rc = index_iter_open(s, buf_slice(&lower), buf_slice(&upper), out);
    if (!rc) rc = index_seek(*out, buf_slice(&lower));
    index_snap_close(&s);
    buf_fini(&lower), buf_fini(&upper), buf_fini(&prefix);
    return rc;
}

/* The slice's place among definitions and documents; its scratch is kept from slice to slice. */
static struct sorted_build *build_state(struct fold *f, struct sorted *d)
{
    struct sorted_build *b = f->sorted.build;
    if (!b) b = f->sorted.build = mem_zalloc(sizeof *b);
    b->f = f;
    b->d = d;
    b->spent = 0;
    return b;
}

static int build_slice(struct fold *f, struct sorted *d, unsigned budget)
{
    struct index_iter *it = NULL;
    struct sorted_build *b = build_state(f, d);
    struct buf key = {0};
    unsigned done = 0;
    int rc = build_iter(f, d, &it);
    while (!rc && done < budget) {
        uint64_t seq;
        rc = range_doc_parse(index_key(it), &key, &seq);
        bool same = d->started && slice_eq(buf_slice(&key), buf_slice(&d->position));
        if (!rc && !same) {
            bool ours = slice_eq(collection_of(buf_slice(&key)), d->coll);
            if (ours) rc = build_key(b, buf_slice(&key), (uint64_t)budget * VERSIONS_A_DOCUMENT);
            if (rc) break;
            if (ours && b->gap && d->resumed) { /* an entry of before may belong to a version that is gone: nothing names it */
                sorted_renew(&f->sorted, d);
                break;
            }
            buf_clear(&d->position);
            buf_add_slice(&d->position, buf_slice(&key));
            d->started = true;
            book_add(&d->built, 1);
            done++;
        }
        if (!rc) rc = index_next(it);
    }
    /* Ready only when a slice finds nothing more: the entries of the one before have been stepped, so every reader sees them. */
    if (rc == E_END && done == 0) atomic_store_explicit(&d->ready, true, memory_order_release);
    if (rc == E_END && done == 0) sorted_build_free(&f->sorted.build);
    index_iter_close(&it);
    buf_fini(&key);
    return rc == E_END || rc == E_AGAIN ? E_OK : rc;
}

int sorted_build(struct fold *f, unsigned budget)
{
    ASSERT(f && budget > 0);
    /* Between batches only, and when folding again after a crash not before it has caught up with the runs. */
    if (index_covers(f->e->index) != fold_seq(f) || index_flushed_covers(f->e->index) > fold_seq(f)) return E_AGAIN;
    for (size_t i = 0; i < f->sorted.live.n; i++) {
        struct sorted *d = f->sorted.live.at[i];
        if (d->stale) sorted_renew(&f->sorted, d);
        if (!atomic_load_explicit(&d->ready, memory_order_relaxed)) return build_slice(f, d, budget);
    }
    return E_AGAIN;
}
