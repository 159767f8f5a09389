/* A candidate's version at the point, as NQL sees it.
 *
 * The short way is the keyspace's memory: the newest version, when it is not newer than the point. Else the index finds the version and the log gives it. */
#include "modules/doc/query.h"

#define NEEDS(q, kind) (((q)->nql->needs >> (kind)) & 1u)

static int pruned(struct query *q, slice key, uint64_t oldest)
{
    buf_clear(&q->failed_key);
    buf_add_slice(&q->failed_key, key);
    q->oldest = oldest;
    return E_PRUNED;
}

/* What only the node itself tells. */
static int read_node_parts(struct call *c, struct query *q)
{
    struct query_row *r = &q->row;
    struct node n;
    int err = E_OK;
    if (NEEDS(q, NQL_HASH) && r->nql.hash == NULL) {
        err = engine_catch_up(doc_engine(c), r->nql.seq);
        if (err == E_OK) err = engine_hash(doc_engine(c), r->nql.seq, r->hash);
        r->nql.hash = r->hash;
    }
    if (err != E_OK || !(NEEDS(q, NQL_TS) || NEEDS(q, NQL_BY))) return err;
    err = engine_read(doc_engine(c), r->nql.seq, &r->node_mem, &n);
    if (err != E_OK) return err;
    r->nql.ts_ms = n.ts_ms;
    r->nql.by = n.by.n ? n.by : slice_str("default");
    return E_OK;
}

static int read_document(struct call *c, struct query *q, slice key)
{
    struct query_row *r = &q->row;
    struct ks_value v = {0};
    int err = q->view.held ? ks_get_held(&c->ks, key, q->view.at.seq, &r->mem, &v) : E_AGAIN;
    if (err != E_OK) {
        err = ks_get_at(&c->ks, key, q->view.at.seq, q->view.valid_at, &r->mem, &v);
        if (err == E_PRUNED) return pruned(q, key, v.seq);
        if (err == E_OK && doc_expired(&q->view.at, v.expire_ms)) err = E_NOTFOUND;
    }
    if (err == E_OK && v.type != TYPE_DOCUMENT) err = E_NOTFOUND;
    if (err != E_OK) return err;
    r->nql = (struct nql_row){.json = v.blob, .key = key, .seq = v.seq, .ver = v.ver, .hash = v.hash};
    return read_node_parts(c, q);
}

/* ---- links ---- */

static bool holds(const struct node *n, int64_t valid_at)
{
    return valid_at == KS_ANY_VALID || !n->has_valid || (valid_at >= n->valid_from && valid_at < n->valid_to);
}

int query_link_at(struct call *c, const struct query_view *v, slice key, struct buf *mem, struct node *n)
{
    struct version_cursor *it = NULL;
    struct version found;
    int err = engine_versions(doc_engine(c), SPACE_LINK, v->db.lineage, key, v->db.flushed + 1, v->at.seq, false, &it);
    while (err == E_OK) {
        err = version_next(it, &found);
        if (err == E_END || (err == E_OK && found.op != NODE_PUT)) err = E_NOTFOUND; /* what was before an end does not come back */
        if (err == E_OK) err = engine_read(doc_engine(c), found.seq, mem, n);
        if (err != E_OK || holds(n, v->valid_at)) break;
    }
    version_close(&it);
    return err;
}

/* ["from","rel","to"] */
static void show_link(struct buf *out, const slice part[3])
{
    buf_clear(out);
    for (int i = 0; i < 3; i++) {
        buf_add_byte(out, i ? ',' : '[');
        json_quote(part[i], out);
    }
    buf_add_byte(out, ']');
}

int query_link_pruned(struct call *c, struct query *q, slice name)
{
    slice part[3];
    uint64_t oldest = 0;
    int err = link_key_parse(name, &part[0], &part[1], &part[2]);
    if (err == E_OK) err = engine_key_horizon(doc_engine(c), SPACE_LINK, q->view.db.lineage, name, &oldest, NULL);
    if (err != E_OK && err != E_NOTFOUND) return err;
    show_link(&q->row.shown, part);
    return pruned(q, buf_slice(&q->row.shown), err == E_OK ? oldest : engine_horizon(doc_engine(c)));
}

static int read_link(struct call *c, struct query *q, slice name)
{
    struct query_row *r = &q->row;
    struct node n;
    slice part[3];
    int err = query_link_at(c, &q->view, name, &r->mem, &n);
    if (err == E_PRUNED) return query_link_pruned(c, q, name);
    if (err == E_OK) err = link_key_parse(n.key, &part[0], &part[1], &part[2]);
    if (err != E_OK) return err;
    show_link(&r->shown, part);
    r->nql = (struct nql_row){.json = n.payload, .key = buf_slice(&r->shown), .seq = n.seq, .ver = n.ver, .ts_ms = n.ts_ms};
    r->nql.by = n.by.n ? n.by : slice_str("default");
    r->nql.from = part[0], r->nql.rel = part[1], r->nql.to = part[2];
    if (!NEEDS(q, NQL_HASH)) return E_OK;
    r->nql.hash = r->hash;
    return engine_hash(doc_engine(c), n.seq, r->hash);
}

int query_row_read(struct call *c, struct query *q, slice name)
{
    q->row.name = name;
    return q->nql->links ? read_link(c, q, name) : read_document(c, q, name);
}

int query_row_version(struct call *c, struct query *q, slice name)
{
    struct query_row *r = &q->row;
    struct node n;
    ASSERT(name.n == sizeof(uint64_t));
    uint64_t seq = get_be64(name.p);
    r->name = name;
    int err = engine_read(doc_engine(c), seq, &r->node_mem, &n);
    if (err == E_PRUNED) q->failed_seq = seq;
    if (err != E_OK) return err;
    if (n.space != SPACE_KEY || n.type != TYPE_DOCUMENT || !node_is_live(&n) || n.lineage != q->view.db.lineage) return E_NOTFOUND;
    slice json = n.payload;
    if (n.op != NODE_PUT) err = ks_value_of(&c->ks, n.lineage, n.key, seq, &r->mem, &json);
    if (err == E_PRUNED) q->failed_seq = seq;
    if (err != E_OK) return err;
    buf_clear(&r->shown);
    buf_add_slice(&r->shown, n.key);
    r->nql = (struct nql_row){.json = json, .key = buf_slice(&r->shown), .seq = seq, .ver = n.ver, .ts_ms = n.ts_ms};
    r->nql.by = n.by.n ? n.by : slice_str("default");
    if (!NEEDS(q, NQL_HASH)) return E_OK;
    r->nql.hash = r->hash;
    return engine_hash(doc_engine(c), seq, r->hash);
}

bool query_row_found(struct query *q)
{
    const struct nql_query *n = q->nql;
    slice value = q->row.nql.json;
    if (q->words == NULL) return true;
    if (value.n == 0) return false;
    if (n->search.has_path) {
        const struct nql_path *p = &n->path[n->search.path];
        if (p->kind == NQL_DOC) {
            if (json_find(value, p->json, &value) != E_OK) return false;
        } else {
            buf_clear(&q->row.value);
            if (!nql_value_json(n, &q->row.nql, n->search.path, &q->row.value)) return false;
            value = buf_slice(&q->row.value);
        }
    }
    return words_query_match(q->words, value);
}

/* ---- places ---- */

/* Zeros doubled by FF, closed by 00 01: parts one after the other compare as tuples do. */
static void add_part(struct buf *out, slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        buf_add_byte(out, s.p[i]);
        if (s.p[i] == 0) buf_add_byte(out, 0xff);
    }
    buf_add(out, "\0\1", 2);
}

void query_row_place(struct query *q, struct buf *out)
{
    struct query_row *r = &q->row;
    struct nql_row row = r->nql;
    bool of_version = q->nql->trace.given;
    buf_clear(out);
    if (q->nql->links) { /* the order of the index: by from, rel, to */
        buf_clear(&r->value);
        add_part(&r->value, row.from);
        add_part(&r->value, row.rel);
        add_part(&r->value, row.to);
        row.key = buf_slice(&r->value);
    }
    nql_sort_key(q->nql, &row, out);
    if (of_version) buf_add_slice(out, r->name);
}

void query_row_fini(struct query_row *r)
{
    buf_fini(&r->mem);
    buf_fini(&r->node_mem);
    buf_fini(&r->shown);
    buf_fini(&r->value);
}
