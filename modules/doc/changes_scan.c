/* Finding events: by a scan of the log, or, for one key, by its versions.
 *
 * Which nodes: those of keys, documents and links of the connection's database, and what happens to that database as a whole (flush, swap). The database is
 * the one that its number names now, with all of its past, as DHISTORY has it. */
#include "modules/doc/changes.h"

/* ---- which ---- */

/* Does a node of another type end a document? Its predecessor says. */
static int replaces_document(struct call *c, const struct node *n, bool *yes)
{
    struct buf mem = {0};
    struct node before;
    *yes = false;
    if (n->prev == 0) return E_OK;
    int r = engine_read(doc_engine(c), n->prev, &mem, &before);
    if (r == E_OK) *yes = before.type == TYPE_DOCUMENT;
    if (r == E_PRUNED) *yes = true; /* it may have been the one that did: told twice at worst */
    buf_fini(&mem);
    return r == E_PRUNED ? E_OK : r;
}

static int in_collection(struct call *c, const struct feed *f, const struct node *n, bool *yes, bool *hide_data)
{
    *yes = slice_eq(doc_collection(n->key), f->word);
    if (!*yes || n->type == TYPE_DOCUMENT) return E_OK;
    *hide_data = true; /* it is no document any more */
    return replaces_document(c, n, yes);
}

static int link_wanted(const struct feed *f, const struct node *n, bool *yes)
{
    slice from, rel, to;
    *yes = f->filter == FEED_ALL;
    if (*yes) return E_OK;
    int r = link_key_parse(n->key, &from, &rel, &to);
    if (r == E_OK) *yes = f->filter == FEED_PREFIX ? slice_starts(from, f->word) : slice_eq(doc_collection(from), f->word);
    return r;
}

static bool swaps(const struct node *n, uint16_t db)
{
    return n->payload.n == 4 && (get_u16(n->payload.p) == db || get_u16(n->payload.p + 2) == db);
}

int feed_wants(struct call *c, const struct feed *f, const struct node *n, bool *yes, bool *hide_data)
{
    *yes = *hide_data = false;
    if (n->op == NODE_FLUSH) *yes = n->lineage == f->lineage || n->lineage == NODE_ALL_LINEAGES;
    if (n->op == NODE_SWAP) *yes = swaps(n, f->db);
    if (!doc_node_has_key(n) || n->lineage != f->lineage) return E_OK;
    if (f->filter == FEED_KEY) {
        *yes = n->space == SPACE_KEY && slice_eq(n->key, f->word);
        return E_OK;
    }
    if (n->space == SPACE_LINK) return link_wanted(f, n, yes);
    if (n->space != SPACE_KEY) return E_OK;
    if (f->filter == FEED_COLLECTION) return in_collection(c, f, n, yes, hide_data);
    *yes = f->filter == FEED_ALL || slice_starts(n->key, f->word);
    return E_OK;
}

/* ---- rows ---- */

/* head: the key's newest seq, 0 = ask the index. */
static int judge(struct call *c, const struct feed *f, uint64_t head, struct doc_view *v)
{
    const struct node *n = &v->node;
    struct version newest = {.seq = head};
    v->state = node_is_live(n) ? DOC_OLD : DOC_DELETED;
    if (!doc_node_has_key(n)) v->state = DOC_LIVE;
    if (v->state != DOC_OLD || n->seq <= f->flushed) return E_OK;
    if (n->expire_ms != 0 && n->expire_ms <= c->ks.now_ms) return E_OK;
    int r = head ? E_OK : engine_find(doc_engine(c), n->space, n->lineage, n->key, UINT64_MAX, FIND_ALL, &newest);
    if (r == E_OK && newest.seq == n->seq) v->state = DOC_LIVE;
    return r == E_NOTFOUND || r == E_PRUNED ? E_OK : r;
}

static int decode_rows(const struct feed *f, struct node *nodes)
{
    int r = E_OK;
    for (size_t i = 0; i < f->n_waiting && r == E_OK; i++)
        r = node_decode(slice_of(f->raws.p + f->waiting[i].offset, f->waiting[i].n), &nodes[i]);
    return r;
}

/* What memory knows of the rows' keys. */
static void find_heads(struct call *c, const struct feed *f, const struct node *nodes, uint64_t *heads)
{
    slice keys[FEED_BATCH];
    for (size_t i = 0; i < f->n_waiting; i++) keys[i] = nodes[i].space == SPACE_KEY ? nodes[i].key : slice_str("");
    ks_heads(&c->ks, f->lineage, keys, f->n_waiting, heads);
    for (size_t i = 0; i < f->n_waiting; i++)
        if (nodes[i].space != SPACE_KEY) heads[i] = 0;
}

int feed_flush(struct call *c, struct feed *f)
{
    slice raw[FEED_BATCH];
    uint8_t hash[FEED_BATCH][HASH_BYTES];
    struct node nodes[FEED_BATCH];
    uint64_t heads[FEED_BATCH];
    bool with_data = f->maps.with_data;
    if (f->n_waiting == 0) return E_OK;
    for (size_t i = 0; i < f->n_waiting; i++) raw[i] = slice_of(f->raws.p + f->waiting[i].offset, f->waiting[i].n);
    engine_hash_nodes(f->n_waiting, raw, hash);
    int r = decode_rows(f, nodes);
    if (r == E_OK) find_heads(c, f, nodes, heads);
    for (size_t i = 0; i < f->n_waiting && r == E_OK; i++) {
        const struct feed_row *row = &f->waiting[i];
        struct doc_view v = {.seq = row->seq, .node = nodes[i], .commit_first = row->commit_first, .commit_last = row->commit_last};
        memcpy(v.hash, hash[i], HASH_BYTES);
        r = judge(c, f, heads[i], &v);
        f->maps.with_data = with_data && !row->hide_data;
        if (r == E_OK) node_maps_add_view(c, &f->maps, &v, NODE_MAP_NO_DEPTH);
    }
    f->maps.with_data = with_data;
    f->n_waiting = 0;
    buf_clear(&f->raws);
    return r;
}

static int take_row(struct call *c, struct feed *f, const struct change_node *n, bool hide_data)
{
    struct feed_row *row = &f->waiting[f->n_waiting];
    *row = (struct feed_row){.offset = f->raws.n, .n = n->raw.n, .seq = n->seq, .commit_first = n->commit_first, .hide_data = hide_data};
    int r = change_commit_last(f->log, n, &row->commit_last);
    if (r != E_OK) return r;
    buf_add_slice(&f->raws, n->raw);
    f->commit_first = n->commit_first;
    f->n_waiting++;
    return f->n_waiting == FEED_BATCH ? feed_flush(c, f) : E_OK;
}

static bool is_full(const struct feed *f, uint64_t commit_first)
{
    return f->maps.n + f->n_waiting >= f->count && commit_first != f->commit_first;
}

int feed_scan(struct call *c, struct feed *f)
{
    struct change_node n;
    size_t bytes = 0, rows = f->maps.n + FEED_SLICE_ROWS;
    int r = E_OK;
    if (f->log == NULL) r = engine_changes(doc_engine(c), f->at, &f->log);
    for (size_t i = 0; r == E_OK; i++) {
        bool yes, hide_data;
        r = change_peek(f->log, f->limit, &n);
        if (r != E_OK) break;
        if (is_full(f, n.commit_first)) {
            f->at = n.commit_first - 1; /* what the commits before have lost at their ends lies behind, too */
            return feed_flush(c, f);
        }
        if (i == FEED_SLICE_NODES || bytes > FEED_SLICE_BYTES || f->maps.n >= rows) {
            r = E_AGAIN;
            break;
        }
        r = feed_wants(c, f, &n.node, &yes, &hide_data);
        if (r == E_OK && yes) r = take_row(c, f, &n, hide_data);
        if (r != E_OK) break;
        bytes += n.raw.n;
        f->at = n.seq;
        change_take(f->log);
    }
    int flushed = r == E_END || r == E_AGAIN ? feed_flush(c, f) : E_OK;
    if (r == E_END) f->at = f->limit;
    return flushed != E_OK ? flushed : r;
}

/* ---- one key ---- */

/* The seq of the key's next version, once it is asked for anew with 0; UINT64_MAX: there is none. */
static int next_version(struct version_cursor *cur, uint64_t *seq)
{
    struct version v;
    if (*seq != 0) return E_OK;
    int r = version_next(cur, &v);
    if (r == E_OK) *seq = v.seq;
    if (r == E_END) *seq = UINT64_MAX;
    return r == E_END ? E_OK : r;
}

static int add_event(struct call *c, struct feed *f, uint64_t seq, bool *full)
{
    struct doc_view *v = &f->maps.view;
    int r = doc_view_load(c, seq, v);
    if (r != E_OK) return r;
    uint64_t first = v->commit_first, last;
    if (v->pruned && f->whole) {
        f->at = seq;
        return E_OK;
    }
    if (v->pruned) r = engine_commit_of(doc_engine(c), seq, &first, &last);
    if (r == E_PRUNED) first = seq; /* nothing of its commit is left: any place in that is a point */
    if (r != E_OK && r != E_PRUNED) return r;
    *full = is_full(f, first);
    if (*full) {
        f->at = first - 1;
        return E_OK;
    }
    if (v->pruned) return E_PRUNED; /* what tags and tokens hold may lie below what went */
    node_maps_add_view(c, &f->maps, v, NODE_MAP_NO_DEPTH);
    f->commit_first = first;
    f->at = seq;
    return E_OK;
}

int feed_versions(struct call *c, struct feed *f)
{
    struct engine *e = doc_engine(c);
    struct version_cursor *cur = NULL;
    uint64_t version = 0, rows = 0;
    bool full = false;
    int r = engine_versions(e, SPACE_KEY, f->lineage, f->word, f->at + 1, f->limit, true, &cur);
    while (r == E_OK && !full) {
        uint64_t event = engine_next_event(e, f->db, f->lineage, f->at);
        r = next_version(cur, &version);
        if (r != E_OK) break;
        uint64_t seq = event < version ? event : version;
        if (seq > f->limit) {
            f->at = f->limit;
            r = E_END;
        } else if (rows++ == DOC_SLICE_ROWS) {
            r = E_AGAIN;
        } else {
            r = add_event(c, f, seq, &full);
            if (seq == version) version = 0;
        }
    }
    version_close(&cur);
    return r;
}

/* ---- how far back ---- */

int feed_horizon(struct call *c, const struct feed *f, uint64_t *seq)
{
    struct engine *e = doc_engine(c);
    struct engine_horizons h;
    engine_get_horizons(e, &h);
    *seq = f->filter == FEED_COLLECTION ? h.document_changes : h.changes;
    uint64_t own = *seq;
    int r = E_OK;
    if (f->filter == FEED_KEY && own) r = engine_key_horizon(e, SPACE_KEY, f->lineage, f->word, &own, NULL);
    if (r == E_NOTFOUND) own = h.keys;
    if ((r == E_OK || r == E_NOTFOUND) && own < *seq) *seq = own;
    *seq = engine_round_up(e, *seq);
    return r == E_NOTFOUND ? E_OK : r;
}

/* The newest version of the key that was dropped, when it is among the last FEED_GAP_VERSIONS up to `changes`, where it must be; else `changes`; 0: there is none. */
static int newest_gap(struct call *c, const struct feed *f, uint64_t changes, uint64_t *seq)
{
    struct engine *e = doc_engine(c);
    struct version_cursor *cur = NULL;
    struct version v;
    struct buf mem = {0};
    slice raw;
    int r = engine_versions(e, SPACE_KEY, f->lineage, f->word, 1, changes, false, &cur);
    *seq = changes;
    for (int i = 0; r == E_OK && i < FEED_GAP_VERSIONS; i++) {
        r = version_next(cur, &v);
        if (r == E_OK) r = engine_read_raw(e, v.seq, &mem, &raw);
        if (r == E_PRUNED) *seq = v.seq;
    }
    if (r == E_END) *seq = 0;
    version_close(&cur);
    buf_fini(&mem);
    return r == E_PRUNED || r == E_END ? E_OK : r;
}

int feed_good_from(struct call *c, const struct feed *f, uint64_t *seq)
{
    struct engine_horizons h;
    uint64_t gap = 0;
    engine_get_horizons(doc_engine(c), &h);
    int r = feed_horizon(c, f, seq);
    if (r == E_OK && f->filter == FEED_KEY) r = newest_gap(c, f, h.changes, &gap);
    gap = engine_round_up(doc_engine(c), gap);
    if (r == E_OK && gap > *seq) *seq = gap;
    return r;
}

uint64_t feed_walk_end(struct call *c, const struct feed *f)
{
    struct engine_horizons h;
    engine_get_horizons(doc_engine(c), &h);
    return engine_round_up(doc_engine(c), f->filter == FEED_COLLECTION ? h.document_changes : h.changes);
}
