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

/* What memory knows of the newest seqs of the views' keys; 0 where it knows nothing. */
static void find_heads(struct call *c, const struct doc_view *v, size_t n, uint64_t *heads)
{
    bool asked[DOC_VIEWS_MAX];
    for (size_t i = 0; i < n; i++) {
        heads[i] = 0;
        asked[i] = v[i].state != DOC_OLD || v[i].node.space != SPACE_KEY;
    }
    for (size_t i = 0; i < n; i++) { /* one question for each lineage, and there is hardly ever a second */
        slice keys[DOC_VIEWS_MAX];
        uint64_t found[DOC_VIEWS_MAX];
        size_t which[DOC_VIEWS_MAX], m = 0;
        for (size_t j = i; j < n; j++) {
            if (asked[j] || v[j].node.lineage != v[i].node.lineage) continue;
            asked[j] = true;
            which[m] = j;
            keys[m++] = v[j].node.key;
        }
        if (m > 0) ks_heads(&c->ks, v[i].node.lineage, keys, m, found);
        for (size_t j = 0; j < m; j++) heads[which[j]] = found[j];
    }
}

/* Live or old, for what is not gone: by the key's newest version and the newest flush. head: its seq, 0 = ask the index. */
static int judge_state(struct call *c, struct doc_view *v, uint64_t head)
{
    const struct node *n = &v->node;
    struct version newest = {.seq = head};
    int r = head ? E_OK : engine_find(doc_engine(c), n->space, n->lineage, n->key, UINT64_MAX, FIND_ALL, &newest);
    if (r == E_NOTFOUND || r == E_PRUNED) return E_OK;
    if (r != E_OK || newest.seq != v->seq) return r;
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

int doc_view_read(struct call *c, uint64_t seq, struct doc_view *v)
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
        return E_OK;
    }
    if (r != E_OK) return r;
    v->raw = n.raw;
    v->node = n.node;
    v->commit_first = n.commit_first;
    v->commit_last = seq + n.cut;
    v->state = node_is_live(&v->node) ? DOC_OLD : DOC_DELETED;
    if (!doc_node_has_key(&v->node)) v->state = DOC_LIVE;
    return n.more ? engine_commit_of_node(e, &v->node, &v->commit_first, &v->commit_last) : E_OK;
}

/* Short nodes four at a time. */
static void find_hashes(struct call *c, struct doc_view *v, size_t n, int *code)
{
    slice raw[DOC_VIEWS_MAX];
    uint8_t hash[DOC_VIEWS_MAX][HASH_BYTES];
    size_t which[DOC_VIEWS_MAX], m = 0;
    for (size_t i = 0; i < n; i++) {
        code[i] = E_OK;
        if (v[i].raw.n == 0 || v[i].raw.n > HASH_ANEW_BYTES) {
            code[i] = engine_hash(doc_engine(c), v[i].seq, v[i].hash);
        } else {
            which[m] = i;
            raw[m++] = v[i].raw;
        }
    }
    if (m == 0) return;
    engine_hash_nodes(m, raw, hash);
    for (size_t i = 0; i < m; i++) memcpy(v[which[i]].hash, hash[i], HASH_BYTES);
}

void doc_views_finish(struct call *c, struct doc_view *v, size_t n, int *code)
{
    uint64_t heads[DOC_VIEWS_MAX];
    ASSERT(n > 0 && n <= DOC_VIEWS_MAX);
    find_hashes(c, v, n, code);
    bool open = false;
    for (size_t i = 0; i < n; i++) open |= v[i].state == DOC_OLD;
    if (!open) return;
    int r = engine_catch_up(doc_engine(c), 0); /* for the index to know all that was written, not only these nodes */
    find_heads(c, v, n, heads);
    for (size_t i = 0; i < n; i++) {
        if (code[i] != E_OK || v[i].state != DOC_OLD) continue;
        code[i] = r == E_OK ? judge_state(c, &v[i], heads[i]) : r;
    }
}

int doc_view_load(struct call *c, uint64_t seq, struct doc_view *v)
{
    int r = doc_view_read(c, seq, v);
    if (r == E_OK) doc_views_finish(c, v, 1, &r);
    return r;
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
    struct buf mem = {0};
    slice bytes = data->bytes;
    int r = data->wanted ? E_OK : E_NOTFOUND;
    if (data->wanted && !data->given) r = doc_view_data(c, v, &mem, &bytes);
    node_map_reply(c, v, &bytes, r);
    buf_fini(&mem);
}
