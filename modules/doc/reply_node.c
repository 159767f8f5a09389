/* Versions on their way into replies: loading one, and judging whether it is live, old or deleted. */
#include "modules/doc/node_map.h"

#define HASH_ANEW_BYTES 512

void doc_reply_hash(struct call *c, const uint8_t hash[HASH_BYTES])
{
    char hex[2 * HASH_BYTES + 1];
    hex_encode(hex, hash, HASH_BYTES);
    reply_bulk(c, slice_of(hex, 2 * HASH_BYTES));
}

void doc_reply_pair(struct call *c, uint64_t seq, const uint8_t hash[HASH_BYTES])
{
    reply_array(c, 2);
    reply_int(c, (int64_t)seq);
    doc_reply_hash(c, hash);
}

bool doc_reply_written(struct call *c, uint64_t seq)
{
    uint8_t hash[HASH_BYTES];
    if (!doc_hash_of(c, seq, hash)) return false;
    doc_reply_pair(c, seq, hash);
    return true;
}

void doc_reply_pruned(struct call *c, slice key, uint64_t oldest)
{
    reply_error(c, "PRUNED oldest readable seq of '%.*s' is %llu", (int)(key.n > 200 ? 200 : key.n), (const char *)key.p,
                (unsigned long long)engine_round_up(doc_engine(c), oldest));
}

void doc_badjson(struct call *c, const struct json_fault *f)
{
    reply_error(c, "BADJSON at byte %zu: %s", f->at, f->why);
}

/* Is the node's whole database line flushed behind it? */
static bool is_flushed(struct call *c, const struct node *n)
{
    if (!ks_in_batch(&c->ks)) return n->seq <= engine_flushed(doc_engine(c), n->lineage);
    for (unsigned i = 0; i < ks_databases(c->ks.ks); i++) {
        struct db_view db = ks_db(&c->ks, (uint16_t)i);
        if (db.lineage == n->lineage) return n->seq <= db.flushed;
    }
    return false;
}

/* The key's newest seq, by memory or by the index. */
static int newest_of(struct call *c, const struct node *n, uint64_t *seq)
{
    struct version newest;
    *seq = 0;
    if (n->space == SPACE_KEY) ks_heads(&c->ks, n->lineage, &n->key, 1, seq);
    if (*seq != 0) return E_OK;
    int r = engine_find(doc_engine(c), n->space, n->lineage, n->key, UINT64_MAX, FIND_ALL, &newest);
    if (r == E_OK) *seq = newest.seq;
    return r == E_NOTFOUND || r == E_PRUNED ? E_OK : r;
}

/* Live, old or deleted: by the key's newest version and the newest flush, so the index has to know all that was written, not only this node. */
static int judge_state(struct call *c, struct doc_view *v)
{
    const struct node *n = &v->node;
    uint64_t newest;
    v->state = node_is_live(n) ? DOC_OLD : DOC_DELETED;
    if (!doc_node_has_key(n)) v->state = DOC_LIVE;
    if (v->state != DOC_OLD) return E_OK;
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = newest_of(c, n, &newest);
    if (r != E_OK || newest != v->seq) return r;
    bool gone = n->expire_ms != 0 && n->expire_ms <= c->ks.now_ms;
    bool falls = n->space == SPACE_KEY || n->space == SPACE_LINK; /* what a flush reaches */
    if (!gone && !(falls && is_flushed(c, n))) v->state = DOC_LIVE;
    return E_OK;
}

int doc_node_hash(struct call *c, uint64_t seq, slice raw, uint8_t hash[HASH_BYTES])
{
    if (raw.n == 0 || raw.n > HASH_ANEW_BYTES) return engine_hash(doc_engine(c), seq, hash);
    blake2b_256(hash, raw.p, raw.n);
    return E_OK;
}

int doc_view_load(struct call *c, uint64_t seq, struct doc_view *v)
{
    struct engine *e = doc_engine(c);
    struct buf mem = v->mem;
    struct change_node n;
    *v = (struct doc_view){.seq = seq, .mem = mem};
    int r = engine_catch_up(e, seq);
    if (r == E_OK) r = engine_read_change(e, seq, &v->mem, &n);
    v->pruned = r == E_PRUNED;
    if (v->pruned) {
        v->state = DOC_PRUNED;
        return doc_node_hash(c, seq, (slice){0}, v->hash);
    }
    if (r != E_OK) return r;
    v->raw = n.raw;
    v->node = n.node;
    v->commit_first = n.commit_first;
    v->commit_last = seq + n.cut;
    if (n.more) r = engine_commit_of_node(e, &v->node, &v->commit_first, &v->commit_last);
    if (r == E_OK) r = doc_node_hash(c, seq, v->raw, v->hash);
    return r == E_OK ? judge_state(c, v) : r;
}

int doc_is_logged(struct call *c, uint64_t seq)
{
    uint8_t hash[HASH_BYTES];
    return engine_hash(doc_engine(c), seq, hash);
}

void doc_reply_unlogged(struct call *c)
{
    reply_error(c, "ERR this version is not in the log before EXEC ends");
}

void doc_view_fini(struct doc_view *v)
{
    buf_fini(&v->mem);
}

int doc_view_data(struct call *c, const struct doc_view *v, struct buf *mem, slice *data)
{
    const struct node *n = &v->node;
    if (v->pruned || !node_is_live(n) || !doc_node_has_key(n)) return E_NOTFOUND;
    if (n->space == SPACE_LINK && n->payload.n == 0) return E_NOTFOUND;
    if (n->op == NODE_PUT) {
        *data = n->payload;
        return E_OK;
    }
    int r = ks_value_of(&c->ks, n->lineage, n->key, v->seq, mem, data);
    return r == E_PRUNED ? E_NOTFOUND : r;
}

void doc_reply_map(struct call *c, const struct doc_view *v, const struct doc_data *data)
{
    struct node_maps m = {.with_data = data->wanted && !data->given};
    if (data->wanted && data->given)
        node_map_encode(node_maps_row(&m), c->resp, v, &data->bytes, NODE_MAP_NO_DEPTH);
    else
        node_maps_add_view(c, &m, v, NODE_MAP_NO_DEPTH);
    node_maps_reply(c, &m);
    node_maps_fini(&m);
}
