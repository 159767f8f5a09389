/* Node maps: how a version is shown. Field order is part of the contract; new fields go to the end. */
#include "modules/doc/doc.h"

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
                (unsigned long long)oldest);
}

void doc_badjson(struct call *c, const struct json_fault *f)
{
    reply_error(c, "BADJSON at byte %zu: %s", f->at, f->why);
}

static bool has_key(const struct node *n)
{
    return n->op != NODE_FLUSH && n->op != NODE_SWAP && n->op != NODE_FILLER;
}

/* Is the node's whole database line flushed behind it? */
static bool is_flushed(struct call *c, const struct node *n)
{
    for (unsigned i = 0; i < ks_databases(c->ks.ks); i++) {
        struct db_view db = ks_db(&c->ks, (uint16_t)i);
        if (db.lineage == n->lineage) return n->seq <= db.flushed;
    }
    return false;
}

/* Live, old or deleted: by what the index holds as the key's newest version. */
static int judge_state(struct call *c, struct doc_view *v)
{
    struct version newest;
    v->state = node_is_live(&v->node) ? DOC_OLD : DOC_DELETED;
    if (!has_key(&v->node)) {
        v->state = DOC_LIVE;
        return E_OK;
    }
    if (v->state == DOC_DELETED) return E_OK;
    int r = engine_find(doc_engine(c), v->node.space, v->node.lineage, v->node.key, UINT64_MAX, FIND_ALL, &newest);
    if (r == E_OK && newest.seq == v->seq) {
        bool gone = v->node.expire_ms != 0 && v->node.expire_ms <= c->ks.now_ms;
        bool falls = v->node.space == SPACE_KEY || v->node.space == SPACE_LINK; /* what a flush reaches */
        if (!gone && !(falls && is_flushed(c, &v->node))) v->state = DOC_LIVE;
    }
    return r == E_NOTFOUND || r == E_PRUNED ? E_OK : r;
}

int doc_view_load(struct call *c, uint64_t seq, struct doc_view *v)
{
    struct engine *e = doc_engine(c);
    struct buf mem = v->mem;
    *v = (struct doc_view){.seq = seq, .mem = mem};
    int r = engine_catch_up(e, seq);
    if (r == E_OK) r = engine_hash(e, seq, v->hash);
    if (r != E_OK) return r;
    r = engine_read_raw(e, seq, &v->mem, &v->raw);
    if (r == E_OK) r = node_decode(v->raw, &v->node);
    if (r == E_OK && v->node.seq != seq) r = E_CORRUPT;
    if (r == E_PRUNED) {
        v->pruned = true;
        v->state = DOC_PRUNED;
        return E_OK;
    }
    if (r == E_OK) r = engine_commit_of_node(e, &v->node, &v->commit_first, &v->commit_last);
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

static const char *const state_names[] = {
    [DOC_LIVE] = "live", [DOC_OLD] = "old", [DOC_DELETED] = "deleted", [DOC_PRUNED] = "pruned"};

static void reply_name(struct call *c, const struct node *n)
{
    slice from, rel, to;
    if (n->space == SPACE_LINK && link_key_parse(n->key, &from, &rel, &to) == E_OK)
        reply_fmt(c, "%.*s %.*s %.*s", (int)from.n, (const char *)from.p, (int)rel.n, (const char *)rel.p, (int)to.n,
                  (const char *)to.p);
    else if (has_key(n))
        reply_bulk(c, n->key);
    else
        reply_null(c);
}

/* What a client calls the operation: links, tags and the rest have words of their own. */
static const char *op_word(const struct node *n)
{
    static const char *const put[] = {"put", "link", "tag", "retain", "index"};
    static const char *const gone[] = {"delete", "unlink", "untag", "unretain", "unindex"};
    if (n->space <= SPACE_SORTED && n->op == NODE_PUT) return put[n->space];
    if (n->space <= SPACE_SORTED && n->op == NODE_DELETE) return gone[n->space];
    return node_op_name(n->op);
}

static void reply_end_of_interval(struct call *c, bool given, int64_t ms)
{
    if (given && ms != INT64_MIN && ms != INT64_MAX)
        reply_int(c, ms);
    else
        reply_null(c);
}

static void reply_causes(struct call *c, const struct node *n)
{
    struct node_ref ref;
    reply_array(c, n->n_causes);
    for (uint32_t i = 0; i < n->n_causes; i++) {
        node_cause(n, i, &ref);
        doc_reply_pair(c, ref.seq, ref.hash);
    }
}

static void reply_data(struct call *c, struct doc_view *v, const struct doc_data *data)
{
    struct buf mem = {0};
    slice bytes;
    if (!data->wanted || v->pruned || !node_is_live(&v->node) || !has_key(&v->node)) {
        reply_null(c);
    } else if (data->given) {
        reply_bulk(c, data->bytes);
    } else if (v->node.space == SPACE_LINK && v->node.payload.n == 0) {
        reply_null(c);
    } else if (v->node.op == NODE_PUT) {
        reply_bulk(c, v->node.payload);
    } else {
        int r = ks_value_of(&c->ks, v->node.lineage, v->node.key, v->seq, &mem, &bytes);
        if (r == E_OK)
            reply_bulk(c, bytes);
        else if (r == E_NOTFOUND || r == E_PRUNED)
            reply_null(c);
        else
            reply_failure(c, r); /* in its place: the other fields are still answered */
    }
    buf_fini(&mem);
}

static void pair_seq(struct call *c, const char *name, uint64_t seq)
{
    reply_str(c, name);
    if (seq)
        reply_int(c, (int64_t)seq);
    else
        reply_null(c);
}

static void reply_pruned_fields(struct call *c, const struct doc_view *v)
{
    static const char *const rest[] = {"by", "note", "valid_from", "valid_to"};
    reply_str(c, "key"), reply_null(c);
    pair_seq(c, "seq", v->seq);
    reply_str(c, "ver"), reply_null(c);
    reply_str(c, "hash"), doc_reply_hash(c, v->hash);
    reply_str(c, "prev"), reply_null(c);
    reply_str(c, "ts"), reply_null(c);
    reply_str(c, "op"), reply_null(c);
    reply_str(c, "state"), reply_str(c, "pruned");
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) reply_str(c, rest[i]), reply_null(c);
    reply_str(c, "caused_by"), reply_array(c, 0);
    reply_str(c, "commit"), reply_null(c);
    reply_str(c, "data"), reply_null(c);
}

void doc_reply_view(struct call *c, struct doc_view *v, const struct doc_data *data)
{
    const struct node *n = &v->node;
    if (v->pruned) {
        reply_pruned_fields(c, v);
        return;
    }
    reply_str(c, "key"), reply_name(c, n);
    pair_seq(c, "seq", v->seq);
    reply_str(c, "ver"), reply_int(c, (int64_t)n->ver);
    reply_str(c, "hash"), doc_reply_hash(c, v->hash);
    pair_seq(c, "prev", n->prev);
    reply_str(c, "ts"), reply_int(c, (int64_t)n->ts_ms);
    reply_str(c, "op"), reply_str(c, op_word(n));
    reply_str(c, "state"), reply_str(c, state_names[v->state]);
    reply_str(c, "by"), reply_bulk(c, n->by.n ? n->by : slice_str("default"));
    reply_str(c, "note");
    if (n->note.n)
        reply_bulk(c, n->note);
    else
        reply_null(c);
    reply_str(c, "valid_from"), reply_end_of_interval(c, n->has_valid, n->valid_from);
    reply_str(c, "valid_to"), reply_end_of_interval(c, n->has_valid, n->valid_to);
    reply_str(c, "caused_by"), reply_causes(c, n);
    reply_str(c, "commit"), reply_array(c, 2), reply_int(c, (int64_t)v->commit_first), reply_int(c, (int64_t)v->commit_last);
    reply_str(c, "data"), reply_data(c, v, data);
}

void doc_reply_map(struct call *c, struct doc_view *v, const struct doc_data *data)
{
    reply_map(c, DOC_MAP_FIELDS);
    doc_reply_view(c, v, data);
}
