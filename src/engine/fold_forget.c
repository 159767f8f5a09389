/* Forgetting what compaction has dropped, and the check of the books.
 *
 * fold_forget walks the V range; a version whose node is gone loses its entry, a link's version also its L and M entries. Of a document's transitions those that
 * only dropped versions could show are taken away: all below its oldest kept version but the newest of them, which says what held there. Then
 * the K range: tokens of dropped nodes. Effects (R) stay: a trace shows dropped nodes as such. Closed sorted entries and dead generations go when
 * runs are merged (fold_drop).
 *
 * The position between slices: the next V or K key, and behind a V key the state of its group: u8 trim, u64 oldest kept. */
#include "engine/books.h"

#define STATE_BYTES 9

struct forget {
    struct fold *f;
    bool (*gone)(void *ctx, uint64_t seq);
    void *ctx;
    struct index_snap *snap;
    struct buf name;      /* the V key of the group at hand, without ~seq */
    bool trim;            /* a dropped version of the group may have a transition */
    uint64_t oldest_kept; /* of the group; 0 = none kept so far */
};

static int forget_link(struct forget *g, uint16_t lineage, slice key, uint64_t seq)
{
    slice part[3], swapped[3];
    int rc = link_key_parse(key, &part[0], &part[1], &part[2]);
    if (rc) return rc;
    swapped[0] = part[2], swapped[1] = part[1], swapped[2] = part[0];
    range_link(&g->f->key, RANGE_LINK_OUT, lineage, part, seq);
    index_delete(g->f->e->index, buf_slice(&g->f->key));
    range_link(&g->f->key, RANGE_LINK_IN, lineage, swapped, seq);
    index_delete(g->f->e->index, buf_slice(&g->f->key));
    return E_OK;
}

static void uncount(struct fold *f, uint8_t space, uint16_t lineage, slice key, const struct version *v)
{
    book_add(&f->nodes, (uint64_t)-1);
    book_add(&f->bytes, -(uint64_t)v->bytes);
    if (space != SPACE_KEY || v->op > NODE_META || v->type != TYPE_DOCUMENT || v->seq <= book_get(&f->dbs.flushed[lineage]))
        return;
    struct coll_counts d = {.versions = (uint64_t)-1, .bytes = -(uint64_t)v->bytes};
    collections_add(&f->collections, lineage, collection_of(key), &d);
}

/* The group is through: its document's transitions below the oldest kept version, but the newest of them. */
static int trim_transitions(struct forget *g)
{
    struct index_iter *it = NULL;
    struct buf *name = &g->name, lower = {0}, upper = {0};
    if (!g->trim || name->n < RANGE_VERSION_HEAD || name->p[1] != SPACE_KEY) return E_OK;
    slice key = slice_of(name->p + RANGE_VERSION_HEAD, name->n - RANGE_VERSION_HEAD);
    uint16_t lineage = get_be16(name->p + 2);
    uint64_t from = g->oldest_kept ? g->oldest_kept : UINT64_MAX;
    bool spare = g->oldest_kept != 0;
    range_doc(&lower, lineage, key, from);
    range_doc(&upper, lineage, key, 0);
    buf_add_byte(&upper, 0);
    int rc = index_iter_open(g->snap, buf_slice(&lower), buf_slice(&upper), &it);
    for (int step = rc ? rc : index_seek(it, buf_slice(&lower)); !rc; step = index_next(it)) {
        rc = step;
        if (!rc && !spare) index_delete(g->f->e->index, index_key(it));
        spare = false;
    }
    index_iter_close(&it);
    buf_fini(&lower), buf_fini(&upper);
    return rc == E_END ? E_OK : rc;
}

static int forget_version(struct forget *g, slice entry, slice value)
{
    uint8_t space;
    uint16_t lineage;
    slice key;
    uint64_t seq;
    struct version v;
    int rc = range_version_parse(entry, &space, &lineage, &key, &seq);
    if (!rc) rc = range_version_parse_value(value, seq, &v);
    if (rc) return rc;
    if (lineage >= ENGINE_DATABASES_MAX) return err_note(E_CORRUPT, "a version of lineage %u", lineage);
    slice name = slice_of(entry.p, entry.n - 8);
    if (!slice_eq(name, buf_slice(&g->name))) {
        if ((rc = trim_transitions(g))) return rc;
        buf_clear(&g->name);
        buf_add_slice(&g->name, name);
        g->trim = false;
        g->oldest_kept = 0;
    }
    if (!g->gone(g->ctx, seq)) {
        g->oldest_kept = seq;
        return E_OK;
    }
    index_delete(g->f->e->index, entry);
    uncount(g->f, space, lineage, key, &v);
    g->trim |= v.type == TYPE_DOCUMENT || v.op > NODE_META;
    return space == SPACE_LINK ? forget_link(g, lineage, key, seq) : E_OK;
}

static int forget_token(struct forget *g, slice entry, slice value)
{
    uint64_t seq;
    int rc = range_seq_parse(value, &seq);
    if (!rc && g->gone(g->ctx, seq)) index_delete(g->f->e->index, entry);
    return rc;
}

/* Up to budget entries of one range from `lower` on. E_END: the range is through; else *resume is the next key. */
static int forget_range(struct forget *g, uint8_t tag, slice lower, struct buf *resume, unsigned budget)
{
    const uint8_t upper = (uint8_t)(tag + 1);
    struct index_iter *it = NULL;
    int rc = index_iter_open(g->snap, lower, slice_of(&upper, 1), &it);
    if (!rc) rc = index_seek(it, lower);
    for (unsigned i = 0; i < budget && !rc; i++) {
        rc = tag == RANGE_VERSION ? forget_version(g, index_key(it), index_value(it))
                                  : forget_token(g, index_key(it), index_value(it));
        if (!rc) rc = index_next(it);
    }
    if (rc == E_END && tag == RANGE_VERSION) {
        int last = trim_transitions(g);
        if (last) rc = last;
    }
    if (!rc) {
        buf_clear(resume);
        buf_add_slice(resume, index_key(it));
    }
    index_iter_close(&it);
    return rc;
}

/* Behind the next V key: the state of its group, which is new unless the slice ended inside it. */
static int add_state(struct forget *g, struct buf *resume)
{
    bool inside = resume->n == g->name.n + 8 && slice_starts(buf_slice(resume), buf_slice(&g->name));
    int rc = inside ? E_OK : trim_transitions(g);
    if (rc) return rc;
    buf_add_byte(resume, inside && g->trim);
    put_u64(buf_reserve(resume, 8), inside ? g->oldest_kept : 0);
    resume->n += 8;
    return E_OK;
}

int fold_forget(struct fold *f, bool (*gone)(void *ctx, uint64_t seq), void *ctx, struct buf *resume, unsigned budget)
{
    ASSERT(f && gone);
    ASSERT(resume && budget > 0);
    struct forget g = {.f = f, .gone = gone, .ctx = ctx};
    struct buf lower = {0};
    if (resume->n == 0) buf_add_byte(resume, RANGE_VERSION);
    bool versions = resume->p[0] == RANGE_VERSION;
    buf_add_slice(&lower, buf_slice(resume));
    if (versions && lower.n > STATE_BYTES + 8) {
        lower.n -= STATE_BYTES;
        buf_add(&g.name, lower.p, lower.n - 8);
        g.trim = lower.p[lower.n] != 0;
        g.oldest_kept = get_u64(lower.p + lower.n + 1);
    }
    int rc = index_snapshot(f->e->index, INDEX_ALL, &g.snap);
    if (!rc) rc = forget_range(&g, resume->p[0], buf_slice(&lower), resume, budget);
    if (!rc && versions) rc = add_state(&g, resume);
    if (rc == E_END && versions) {
        buf_clear(resume);
        buf_add_byte(resume, RANGE_TOKEN);
        rc = E_OK;
    }
    index_snap_close(&g.snap);
    buf_fini(&lower), buf_fini(&g.name);
    return rc;
}

/* ---- gaps that only a flush closes ---- */

struct gaps {
    struct fold *f;
    struct buf last; /* V key of the group at hand, without ~seq */
};

static int mark_newest(void *ctx, uint8_t space, uint16_t lineage, slice key, const struct version *v)
{
    struct gaps *g = ctx;
    struct version marked = *v;
    struct buf *entry = &g->f->key;
    range_version(entry, &g->f->e->seed, space, lineage, key, v->seq);
    slice name = slice_of(entry->p, entry->n - 8);
    if (slice_eq(name, buf_slice(&g->last))) return E_OK;
    buf_clear(&g->last);
    buf_add_slice(&g->last, name);
    bool falls = space == SPACE_KEY || space == SPACE_LINK;
    if (!falls || lineage >= ENGINE_DATABASES_MAX || v->seq > book_get(&g->f->dbs.flushed[lineage])) return E_OK;
    marked.flags |= RANGE_VERSION_GAP;
    range_version_value(&g->f->value, &marked);
    index_put(g->f->e->index, buf_slice(entry), buf_slice(&g->f->value), range_version_prefix(key));
    return E_OK;
}

int fold_gaps_end(struct fold *f)
{
    ASSERT(f && f->e->index);
    struct gaps g = {.f = f};
    struct index_snap *s = NULL;
    int rc = index_snapshot(f->e->index, INDEX_ALL, &s);
    if (!rc) rc = fold_walk_versions(f, s, mark_newest, &g);
    index_snap_close(&s);
    buf_fini(&g.last);
    return rc;
}

/* ---- the check ---- */

static void check_live(struct fold *f, uint16_t lineage)
{
    struct key_cursor *c = NULL;
    struct live_key k;
    struct db_counts have = {0}, book;
    int rc = engine_keys(f->e, lineage, book_get(&f->dbs.flushed[lineage]), 0, &c);
    while (!rc && (rc = key_cursor_next(c, &k)) == E_OK) {
        ASSERT(k.hash == key_hash(&f->e->seed, k.key.p, k.key.n));
        have.keys++;
        have.docs += k.type == TYPE_DOCUMENT;
        have.expiring += k.expires;
    }
    key_cursor_close(&c);
    engine_db_counts(f->e, lineage, &book);
    ASSERT(rc != E_END || (have.keys == book.keys && have.docs == book.docs && have.expiring == book.expiring));
}

static void check_documents(struct fold *f, uint16_t lineage)
{
    struct doc_cursor *c = NULL;
    uint64_t docs = 0;
    slice key;
    int rc = engine_docs(f->e, lineage, (slice){0}, (slice){0}, UINT64_MAX, &c);
    while (!rc || rc == E_AGAIN) {
        rc = doc_cursor_next(c, &key);
        docs += rc == E_OK;
    }
    doc_cursor_close(&c);
    ASSERT(rc != E_END || docs == book_get(&f->lineage[lineage].docs));
}

void fold_check(struct fold *f)
{
    ASSERT(f && f->e->index);
    dbs_check(&f->dbs);
    if (index_covers(f->e->index) != fold_seq(f)) return; /* in the middle of a batch the index shows less than the books */
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) {
        struct lineage_book *b = &f->lineage[i];
        ASSERT(book_get(&b->docs) <= book_get(&b->keys) && book_get(&b->expiring) <= book_get(&b->keys));
        if (i >= 16 && book_get(&b->keys) == 0) continue; /* empty ones are checked where databases usually are */
        check_live(f, (uint16_t)i);
        check_documents(f, (uint16_t)i);
    }
}
