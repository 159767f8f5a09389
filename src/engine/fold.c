/* The fold: one node in, index entries and books out; see fold.h and the table in ranges.h.
 *
 * What a node says is enough for most of it: NODE_CREATED and NODE_RETYPED tell when counts change, so an ordinary overwrite costs one V entry. Where what
 * was before matters (a tombstone over a document, a change of type, a document in an indexed collection) the node's predecessor is read
 * from the log, not from the index: entries put since the last index_step cannot be seen yet.
 *
 * Folding a node twice leaves the same index: entries depend only on the node, its predecessor and the books at its seq. */
#include "base/mem.h"
#include "engine/books.h"

/* What the key was before this node. */
struct before {
    bool known;       /* node holds the predecessor */
    bool live;        /* it stood, in this generation */
    struct node node; /* slices in f->mem */
};

uint64_t fold_seq(const struct fold *f)
{
    return atomic_load_explicit(&f->seq, memory_order_acquire);
}
uint64_t fold_newest_ms(const struct fold *f)
{
    return atomic_load_explicit(&f->newest_ms, memory_order_relaxed);
}

static void put(struct fold *f, size_t filter_n)
{
    index_put(f->e->index, buf_slice(&f->key), buf_slice(&f->value), filter_n);
}

/* The predecessor's entry in the index stands in for a node that compaction has dropped. */
static int before_from_index(struct fold *f, const struct node *n, struct before *b)
{
    struct version v;
    int rc = engine_find(f->e, n->space, n->lineage, n->key, n->prev, FIND_ENTRY, &v);
    if (rc || v.seq != n->prev) return rc ? rc : E_PRUNED;
    b->node = (struct node){.op = v.op,
                            .type = v.type,
                            .space = n->space,
                            .lineage = n->lineage,
                            .flags = v.flags,
                            .seq = v.seq,
                            .ver = v.ver,
                            .expire_ms = v.expire_ms,
                            .key = n->key};
    return E_OK;
}

/* Did the key not stand before this live node? The predecessor's seq tells even where the flag is missing. */
static bool is_created(struct fold *f, const struct node *n)
{
    return (n->flags & NODE_CREATED) || n->prev <= book_get(&f->dbs.flushed[n->lineage]);
}

static int before_load(struct fold *f, const struct node *n, struct before *b)
{
    ASSERT(!b->known);
    if (n->prev == 0) return E_OK;
    if (n->prev >= n->seq) return err_note(E_CORRUPT, "node %llu names a later predecessor", (unsigned long long)n->seq);
    int rc = f->read(f->e, n->prev, &f->mem, &b->node);
    if (rc == E_PRUNED) rc = before_from_index(f, n, b);
    /* A key that begins anew may follow a tombstone that compaction took: nothing of it is left to undo. */
    if ((rc == E_PRUNED || rc == E_NOTFOUND) && (n->flags & NODE_CREATED)) return E_OK;
    /* A flush or a delete ended the history before, and compaction has dropped it: nothing here depends on it. */
    if ((rc == E_PRUNED || rc == E_NOTFOUND) && node_is_live(n) && is_created(f, n)) return E_OK;
    if (rc == E_PRUNED || rc == E_NOTFOUND)
        return err_note(E_CORRUPT, "predecessor %llu of node %llu is gone", (unsigned long long)n->prev,
                        (unsigned long long)n->seq);
    if (rc) return rc;
    if (b->node.space != n->space || b->node.lineage != n->lineage || !slice_eq(b->node.key, n->key))
        return err_note(E_CORRUPT, "predecessor %llu of node %llu is of another key", (unsigned long long)n->prev,
                        (unsigned long long)n->seq);
    b->known = true;
    b->live = node_is_live(&b->node) && n->prev > book_get(&f->dbs.flushed[n->lineage]);
    return E_OK;
}

static void put_version(struct fold *f, const struct node *n, size_t bytes)
{
    struct version v = {.seq = n->seq,
                        .op = n->op,
                        .type = n->type,
                        .flags = n->flags,
                        .ver = n->ver,
                        .expire_ms = n->expire_ms,
                        .bytes = (uint32_t)bytes};
    range_version(&f->key, &f->e->seed, n->space, n->lineage, n->key, n->seq);
    range_version_value(&f->value, &v);
    put(f, range_version_prefix(n->key));
}

static void put_version_entry(struct fold *f, const struct node *n, const struct version *v)
{
    range_version(&f->key, &f->e->seed, n->space, n->lineage, n->key, v->seq);
    range_version_value(&f->value, v);
    put(f, range_version_prefix(n->key));
}

void fold_gap(struct fold *f, const struct node *n, const struct version *older, uint64_t dropped, bool unknown)
{
    ASSERT(older->seq < n->seq);
    ASSERT(dropped == 0 || (dropped > older->seq && dropped < n->seq));
    if (dropped) { /* its type is not known: nothing counts it but as a node */
        struct version v = {.seq = dropped, .op = NODE_PUT, .type = TYPE_NONE, .ver = n->ver - 1};
        put_version_entry(f, n, &v);
        book_add(&f->nodes, 1);
    }
    if (unknown) {
        struct version v = *older;
        v.flags |= RANGE_VERSION_GAP;
        put_version_entry(f, n, &v);
    }
}

static void put_causes_and_token(struct fold *f, const struct node *n)
{
    for (uint32_t i = 0; i < n->n_causes; i++) {
        struct node_ref cause;
        node_cause(n, i, &cause);
        range_effect(&f->key, cause.seq, n->seq);
        buf_clear(&f->value);
        put(f, 0);
    }
    if (n->idem.n == 0) return;
    range_token(&f->key, n->lineage, n->idem);
    range_seq_value(&f->value, n->seq);
    put(f, f->key.n);
}

static void put_transition(struct fold *f, const struct node *n, bool alive)
{
    range_doc(&f->key, n->lineage, n->key, n->seq);
    range_flag_value(&f->value, alive);
    put(f, 0);
}

/* H and E entries of a key that is live behind this node, and of what it replaces. */
static void put_live(struct fold *f, const struct node *n, const struct before *b)
{
    if (is_created(f, n) || (n->flags & NODE_RETYPED)) {
        uint64_t generation = book_get(&f->dbs.flushed[n->lineage]);
        range_live(&f->key, n->lineage, generation, key_hash(&f->e->seed, n->key.p, n->key.n), n->key);
        range_live_value(&f->value, n->type, n->expire_ms != 0);
        put(f, 0);
    }
    if (b->known && b->node.expire_ms != 0 && b->node.expire_ms != n->expire_ms) {
        range_expiry(&f->key, b->node.expire_ms, n->lineage, n->key);
        index_delete(f->e->index, buf_slice(&f->key));
    }
    if (n->expire_ms == 0) return;
    range_expiry(&f->key, n->expire_ms, n->lineage, n->key);
    range_seq_value(&f->value, n->seq);
    put(f, 0);
}

static void delete_live(struct fold *f, const struct node *n, const struct before *b)
{
    uint64_t generation = book_get(&f->dbs.flushed[n->lineage]);
    range_live(&f->key, n->lineage, generation, key_hash(&f->e->seed, n->key.p, n->key.n), n->key);
    index_delete(f->e->index, buf_slice(&f->key));
    uint64_t expiry = n->expire_ms ? n->expire_ms : b->known ? b->node.expire_ms : 0;
    if (expiry == 0) return;
    range_expiry(&f->key, expiry, n->lineage, n->key);
    index_delete(f->e->index, buf_slice(&f->key));
}

/* Must the predecessor be read? */
static bool wants_before(struct fold *f, const struct node *n, bool indexed)
{
    struct lineage_book *book = &f->lineage[n->lineage];
    bool live = node_is_live(n);
    if (n->prev == 0) return false;
    if (!live && n->has_valid) return true; /* it may follow another tombstone that ended another interval */
    if (indexed || (live && (n->flags & NODE_RETYPED))) return true;
    /* With no document and no expiry in the lineage nothing but the count of keys can depend on what ends here. */
    return !live && (book_get(&book->docs) > 0 || book_get(&book->expiring) > 0);
}

/* Counts of the lineage and of the collection, and the C range. */
static void count_key(struct fold *f, const struct node *n, const struct before *b, size_t bytes)
{
    struct lineage_book *book = &f->lineage[n->lineage];
    bool live = node_is_live(n);
    bool was = !(live && is_created(f, n)) && (b->known ? b->live : n->prev > book_get(&f->dbs.flushed[n->lineage]));
    bool doc = live && n->type == TYPE_DOCUMENT, expires = live && n->expire_ms != 0;
    bool was_doc = was && (b->known ? b->node.type == TYPE_DOCUMENT : doc);
    bool was_expiring = was && (b->known ? b->node.expire_ms != 0 : expires);
    if (live != was) book_add(&book->keys, (uint64_t)live - (uint64_t)was);
    if (expires != was_expiring) book_add(&book->expiring, (uint64_t)expires - (uint64_t)was_expiring);
    if (doc != was_doc) {
        book_add(&book->docs, (uint64_t)doc - (uint64_t)was_doc);
        put_transition(f, n, doc);
    }
    if (doc || was_doc) {
        struct coll_counts d = {.docs = (uint64_t)doc - (uint64_t)was_doc, .versions = doc, .bytes = doc ? bytes : 0};
        collections_add(&f->collections, n->lineage, collection_of(n->key), &d);
    } else if (live) {
        uint64_t full = book_get(&f->plain_n) >= PLAIN_WINDOW;
        if (full)
            book_add(&f->plain_sum, bytes - book_get(&f->plain_sum) / PLAIN_WINDOW);
        else
            book_add(&f->plain_sum, bytes), book_add(&f->plain_n, 1);
    }
}

static int fold_key(struct fold *f, const struct node *n, size_t bytes)
{
    struct before b = {0};
    bool live = node_is_live(n);
    /* What is created may stand in for a document that a flush took: its entries are closed now. */
    bool changes = !live || n->type == TYPE_DOCUMENT || (n->flags & NODE_RETYPED) || is_created(f, n);
    bool indexed = changes && sorted_covers(f, n->lineage, n->key);
    if (wants_before(f, n, indexed)) {
        int rc = before_load(f, n, &b);
        if (rc) return rc;
    }
    /* What can fail comes first, so that a node that failed can be folded again. */
    int rc = indexed ? sorted_fold(f, n, b.known ? &b.node : NULL) : E_OK;
    if (rc) return rc;
    put_version(f, n, bytes);
    if (live)
        put_live(f, n, &b);
    else
        delete_live(f, n, &b);
    fold_count_dead(f, n, bytes);
    count_key(f, n, &b, bytes);
    return E_OK;
}

static int fold_link(struct fold *f, const struct node *n, size_t bytes)
{
    slice part[3], swapped[3];
    struct lineage_book *book = &f->lineage[n->lineage];
    int rc = link_key_parse(n->key, &part[0], &part[1], &part[2]);
    if (rc) return rc;
    swapped[0] = part[2], swapped[1] = part[1], swapped[2] = part[0];
    fold_count_dead(f, n, bytes);
    put_version(f, n, bytes);
    bool live = node_is_live(n);
    range_flag_value(&f->value, live);
    range_link(&f->key, RANGE_LINK_OUT, n->lineage, part, n->seq);
    put(f, range_link_prefix(buf_slice(&f->key)));
    range_link(&f->key, RANGE_LINK_IN, n->lineage, swapped, n->seq);
    put(f, range_link_prefix(buf_slice(&f->key)));
    bool was = n->prev > book_get(&f->dbs.flushed[n->lineage]);
    if (live && (n->flags & NODE_CREATED)) book_add(&book->links, 1);
    if (!live && was && book_get(&book->links) > 0) book_add(&book->links, (uint64_t)-1);
    return E_OK;
}

static int fold_flush(struct fold *f, const struct node *n)
{
    bool all = n->lineage == NODE_ALL_LINEAGES;
    dbs_flush(&f->dbs, n->lineage, n->seq);
    for (unsigned i = all ? 0 : n->lineage; i < (all ? ENGINE_DATABASES_MAX : n->lineage + 1u); i++) {
        struct lineage_book *b = &f->lineage[i];
        fold_count_flushed(f, (uint16_t)i);
        book_set(&b->keys, 0), book_set(&b->docs, 0), book_set(&b->expiring, 0), book_set(&b->links, 0);
    }
    collections_flush(&f->collections, n->lineage);
    sorted_flush(f, n->lineage);
    range_event(&f->key, n->seq);
    range_event_value(&f->value, NODE_FLUSH, n->lineage, 0);
    put(f, 0);
    return E_OK;
}

static int fold_swap(struct fold *f, const struct node *n)
{
    if (n->payload.n != 4) return err_note(E_CORRUPT, "swap %llu has no two numbers", (unsigned long long)n->seq);
    uint16_t a = get_u16(n->payload.p), b = get_u16(n->payload.p + 2);
    if (a >= ENGINE_DATABASES_MAX || b >= ENGINE_DATABASES_MAX)
        return err_note(E_CORRUPT, "swap %llu is of databases %u and %u", (unsigned long long)n->seq, a, b);
    dbs_swap(&f->dbs, a, b, n->seq);
    range_event(&f->key, n->seq);
    range_event_value(&f->value, NODE_SWAP, a, b);
    put(f, 0);
    return E_OK;
}

static int fold_by_space(struct fold *f, const struct node *n, size_t bytes)
{
    put_causes_and_token(f, n);
    switch (n->space) {
    case SPACE_KEY: return fold_key(f, n, bytes);
    case SPACE_LINK: return fold_link(f, n, bytes);
    case SPACE_SORTED: put_version(f, n, bytes); return sorted_define(f, n);
    case SPACE_TAG:
    case SPACE_RETAIN: put_version(f, n, bytes); return named_fold(&f->named, n);
    default: put_version(f, n, bytes); return E_OK;
    }
}

int fold_node(struct fold *f, const struct node *n, size_t bytes)
{
    ASSERT(f && n);
    ASSERT(bytes <= UINT32_MAX);
    if (n->seq <= book_get(&f->seq)) return err_note(E_CORRUPT, "node %llu was folded before", (unsigned long long)n->seq);
    if (n->lineage >= ENGINE_DATABASES_MAX && !(n->op == NODE_FLUSH && n->lineage == NODE_ALL_LINEAGES) && n->op != NODE_FILLER)
        return err_note(E_CORRUPT, "node %llu is of lineage %u", (unsigned long long)n->seq, n->lineage);
    int rc = E_OK;
    if (n->ts_ms > book_get(&f->newest_ms)) {
        range_time(&f->key, n->ts_ms);
        range_seq_value(&f->value, n->seq);
        put(f, 0);
        book_set(&f->newest_ms, n->ts_ms);
    }
    switch (n->op) {
    case NODE_FILLER: break;
    case NODE_FLUSH: rc = fold_flush(f, n); break;
    case NODE_SWAP: rc = fold_swap(f, n); break;
    default: rc = fold_by_space(f, n, bytes);
    }
    if (rc) return rc;
    book_add(&f->nodes, 1);
    book_add(&f->bytes, bytes);
    atomic_store_explicit(&f->seq, n->seq, memory_order_release);
    return E_OK;
}

int fold_seq_by_time(struct fold *f, uint64_t ms, uint64_t *seq)
{
    ASSERT(f && seq);
    ASSERT(f->e->index);
    /* Read first: what is stepped later may have later times, and its T entries may not be visible. */
    uint64_t stepped = index_covers(f->e->index), later = 0;
    struct buf key = {0}, value = {0}, found = {0};
    int rc = E_NOTFOUND;
    if (ms < fold_newest_ms(f)) {
        range_time(&key, ms + 1);
        rc = index_first_now(f->e->index, INDEX_ALL, buf_slice(&key), 0, &found, &value);
        if (!rc && (found.n != 9 || found.p[0] != RANGE_TIME)) rc = E_NOTFOUND;
        if (!rc) rc = range_seq_parse(buf_slice(&value), &later);
    }
    if (!rc) *seq = later > 0 ? later - 1 : 0;
    if (rc == E_NOTFOUND) *seq = stepped;
    buf_fini(&key), buf_fini(&value), buf_fini(&found);
    return rc == E_NOTFOUND ? E_OK : rc;
}
