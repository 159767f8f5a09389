/* DINFO and DSYNC: the state of the store, and waiting for the disk. */
#include "modules/doc/doc.h"

static void pair(struct call *c, const char *name, uint64_t v)
{
    reply_str(c, name);
    reply_int(c, (int64_t)v);
}

static int count_index(void *ctx, const struct sorted_info *i)
{
    (void)i;
    ++*(uint64_t *)ctx;
    return E_OK;
}

/* Of every database. */
static int count_indexes(struct call *c, uint64_t *n)
{
    int r = E_OK;
    for (unsigned i = 0; r == E_OK && i < ks_databases(c->ks.ks); i++)
        r = engine_sorted_list(doc_engine(c), ks_db(&c->ks, (uint16_t)i).lineage, NULL, count_index, n);
    return r;
}

static void info_store(struct call *c)
{
    struct engine *e = doc_engine(c);
    struct engine_marks m;
    struct engine_stats s;
    struct compact_stats k;
    uint8_t root[HASH_BYTES];
    uint64_t indexes = 0;
    int r = engine_catch_up(e, 0);
    if (r == E_OK) r = engine_root(e, engine_tree_size(e), root);
    if (r == E_OK) r = count_indexes(c, &indexes);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    engine_get_marks(e, &m);
    engine_get_stats(e, &s);
    engine_compact_status(e, &k);
    reply_map(c, 15);
    pair(c, "seq", m.last_seq);
    pair(c, "written_seq", m.written_seq);
    pair(c, "durable_seq", m.durable_seq);
    pair(c, "indexed_seq", m.indexed_seq);
    reply_str(c, "root"), doc_reply_hash(c, root);
    pair(c, "docs", s.docs);
    pair(c, "keys", s.keys);
    pair(c, "nodes", s.nodes);
    pair(c, "links", s.links);
    pair(c, "segments", s.segments);
    pair(c, "bytes_live", s.bytes_live);
    pair(c, "bytes_dead", s.bytes_dead);
    pair(c, "horizon", engine_horizon(e));
    pair(c, "indexes", indexes);
    reply_str(c, "compaction"), reply_str(c, k.running ? "running" : "idle");
}

/* The newest version that is seen: this transaction's, the view's, else the log's. E_PRUNED: v->seq is the oldest there. */
static int newest_version(struct call *c, slice key, struct version *v, uint64_t *horizon)
{
    struct engine *e = doc_engine(c);
    uint16_t lineage = ks_db(&c->ks, c->ks.db).lineage;
    struct node n;
    slice raw;
    int r = ks_batch_node(&c->ks, key, &n, &raw);
    if (r == E_OK) {
        *v = (struct version){.seq = n.seq, .op = n.op, .ver = n.ver, .bytes = (uint32_t)record_size(raw.n)};
        r = engine_key_horizon(e, SPACE_KEY, lineage, key, horizon, NULL);
        return r == E_NOTFOUND ? E_OK : r; /* nothing of it is in the log yet */
    }
    if (r == E_NOTFOUND && DOC_NEWEST(c) > 0) r = engine_find(e, SPACE_KEY, lineage, key, DOC_NEWEST(c), FIND_ALL, v);
    return r == E_OK ? engine_key_horizon(e, SPACE_KEY, lineage, key, horizon, NULL) : r;
}

static void info_key(struct call *c, slice key)
{
    struct version v;
    uint64_t horizon = 0;
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = newest_version(c, key, &v, &horizon);
    if (r == E_NOTFOUND) {
        reply_null(c);
        return;
    }
    if (r == E_PRUNED) {
        doc_reply_pruned(c, key, v.seq);
        return;
    }
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    reply_map(c, 6);
    reply_str(c, "key"), reply_bulk(c, key);
    pair(c, "seq", v.seq);
    pair(c, "ver", v.ver);
    reply_str(c, "op"), reply_str(c, node_op_name(v.op));
    pair(c, "bytes", v.bytes);
    pair(c, "horizon", engine_round_up(doc_engine(c), horizon));
}

/* ---- DINFO COLL: the counts of one collection; of the past all are counted, in turns ---- */
struct info_coll {
    struct coll_cursor *cur;
    uint64_t at;
};

static void info_coll_drop(void *state)
{
    struct info_coll *o = state;
    coll_cursor_close(&o->cur);
    mem_free(o);
}

static void reply_coll(struct call *c, slice coll, const struct coll_counts *n)
{
    uint64_t indexes = 0;
    int r = engine_sorted_list(doc_engine(c), ks_db(&c->ks, c->ks.db).lineage, &coll, count_index, &indexes);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    reply_map(c, 5);
    reply_str(c, "coll"), reply_bulk(c, coll);
    pair(c, "docs", n->docs);
    pair(c, "versions", n->versions);
    pair(c, "bytes", n->bytes);
    pair(c, "indexes", indexes);
}

/* True when it has replied. */
static bool info_coll_step(struct call *c, void *state)
{
    struct info_coll *o = state;
    struct coll_counts n;
    slice coll;
    int r = E_OK;
    bool found = false;
    for (int i = 0; i < DOC_SLICE_ROWS && r == E_OK && !found; i++) {
        r = coll_cursor_next(o->cur, &coll, &n);
        found = r == E_OK && slice_eq(coll, c->argv[2]);
    }
    if (!found && (r == E_OK || r == E_AGAIN)) return false;
    if (found)
        reply_coll(c, coll, &n);
    else if (r == E_END)
        reply_null(c);
    else if (r == E_PRUNED)
        doc_refuse_colls(c, o->at);
    else
        reply_failure(c, r);
    return true;
}

static void info_coll(struct call *c)
{
    if (doc_tx_wrote(c)) {
        doc_refuse_head(c);
        return;
    }
    struct info_coll *o = mem_zalloc(sizeof *o);
    bool done = false;
    o->at = DOC_NEWEST(c);
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = engine_collections_at(doc_engine(c), ks_db(&c->ks, c->ks.db).lineage, o->at, &o->cur);
    if (r == E_PRUNED)
        doc_refuse_colls(c, o->at);
    else if (r != E_OK)
        reply_failure(c, r);
    while (r == E_OK && !(done = info_coll_step(c, o)) && c->in_multi) continue;
    if (r != E_OK || done)
        info_coll_drop(o);
    else
        call_later(c, LATER_TURN, info_coll_step, info_coll_drop, o);
}

void cmd_dinfo(struct call *c)
{
    if (c->argc == 1)
        info_store(c);
    else if (c->argc == 3 && arg_is(c, 1, "KEY"))
        info_key(c, c->argv[2]);
    else if (c->argc == 3 && arg_is(c, 1, "COLL"))
        info_coll(c);
    else
        reply_syntax(c);
}

/* ---- DSYNC ---- */
struct sync_wait {
    uint64_t end, until_ms;
};

static bool sync_step(struct call *c, void *state)
{
    const struct sync_wait *w = state;
    struct engine_marks m;
    engine_get_marks(doc_engine(c), &m);
    if (m.durable_end >= w->end)
        reply_int(c, (int64_t)m.durable_seq);
    else if (m.failure)
        reply_failure(c, m.failure);
    else if (later_timed_out(c) || (w->until_ms && engine_now_ms(doc_engine(c)) >= w->until_ms))
        reply_null(c);
    else
        return false;
    return true;
}

/* Waits for everything written so far, by anyone: a superset of this connection's own writes. */
void cmd_dsync(struct call *c)
{
    int64_t ms = 0;
    if (c->argc > 2) {
        reply_syntax(c);
        return;
    }
    if (c->argc == 2 && !arg_range(c, 1, 0, INT64_MAX / 2, &ms)) return;
    if (c->in_multi) {
        reply_error(c, "ERR DSYNC is not possible inside a transaction");
        return;
    }
    int r = engine_write_out(doc_engine(c), 0);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    struct sync_wait *w = mem_alloc(sizeof *w);
    *w = (struct sync_wait){engine_written_end(doc_engine(c)), ms ? engine_now_ms(doc_engine(c)) + (uint64_t)ms : 0};
    engine_sync_async(doc_engine(c), w->end);
    call_later(c, LATER_WAIT, sync_step, mem_free, w);
}
