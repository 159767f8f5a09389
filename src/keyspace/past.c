/* Reading the past: find the version that holds at a point, then rebuild its value from the newest base at or before it and the effects
 * since. Nothing here touches the entries in memory. */
#include "keyspace/parts.h"

bool splice_parse(slice payload, uint64_t *offset, slice *bytes)
{
    const uint8_t *end = payload.p + payload.n, *p = get_varint(payload.p, end, offset);
    if (p == NULL) return false;
    *bytes = slice_of(p, (size_t)(end - p));
    return *offset <= NODE_PAYLOAD_MAX && *offset + bytes->n <= NODE_PAYLOAD_MAX;
}

static int read_node(struct keyspace *ks, uint64_t seq, slice key, struct buf *mem, struct node *n)
{
    mem->n = 0;
    int err = engine_read(ks->engine, seq, mem, n);
    if (err == E_NOTFOUND) err = err_note(E_CORRUPT, "seq %llu is in the index but not in the log", (unsigned long long)seq);
    if (err == E_OK && !slice_eq(n->key, key))
        err = err_note(E_CORRUPT, "seq %llu is of another key than the index says", (unsigned long long)seq);
    return err;
}

static int apply(struct buf *value, slice payload)
{
    uint64_t offset;
    slice bytes;
    if (!splice_parse(payload, &offset, &bytes)) return err_note(E_CORRUPT, "an effect that does not parse");
    size_t len = offset + bytes.n > value->n ? offset + bytes.n : value->n;
    if (len > value->n) {
        buf_reserve(value, len - value->n);
        memset(value->p + value->n, 0, len - value->n);
        value->n = len;
    }
    if (bytes.n > 0) memcpy(value->p + offset, bytes.p, bytes.n);
    return E_OK;
}

static int replay(struct keyspace *ks, slice key, struct version_cursor *it, struct buf *value, uint64_t *weight)
{
    struct buf mem = {0};
    struct node n;
    struct version v;
    int err;
    while ((err = version_next(it, &v)) == E_OK) {
        if (v.op == NODE_META) continue;
        if (v.op != NODE_EFFECT)
            err = err_note(E_CORRUPT, "seq %llu: a base where only effects may be", (unsigned long long)v.seq);
        if (err == E_OK) err = read_node(ks, v.seq, key, &mem, &n);
        if (err == E_OK) err = apply(value, n.payload);
        if (err != E_OK) break;
        *weight += v.bytes;
    }
    buf_fini(&mem);
    return err == E_END ? E_OK : err;
}

/* *weight grows by the bytes of the effects; *out is the value, replaced. */
int past_rebuild(struct keyspace *ks, uint16_t lineage, slice key, uint64_t seq, struct buf *out, uint64_t *weight)
{
    struct version base;
    struct version_cursor *it = NULL;
    struct buf mem = {0};
    struct node n;
    ASSERT(seq != 0 && out != NULL);
    int err = engine_find(ks->engine, SPACE_KEY, lineage, key, seq, FIND_BASE, &base);
    if (err != E_OK) return err;
    if (base.op != NODE_PUT) return E_NOTFOUND;
    err = read_node(ks, base.seq, key, &mem, &n);
    if (err != E_OK) goto done;
    buf_clear(out);
    buf_add_slice(out, n.payload);
    if (base.seq == seq) goto done;
    err = engine_versions(ks->engine, SPACE_KEY, lineage, key, base.seq + 1, seq, true, &it);
    if (err == E_OK) err = replay(ks, key, it, out, weight);
    version_close(&it);
done:
    buf_fini(&mem);
    return err;
}

int ks_value_of(struct ks_ctx *c, uint16_t lineage, slice key, uint64_t seq, struct buf *mem, slice *blob)
{
    uint64_t weight = 0;
    int err = past_rebuild(c->ks, lineage, key, seq, mem, &weight);
    if (err == E_OK) *blob = buf_slice(mem);
    return err;
}

/* Does the version at seq hold at this instant of valid time? */
static int holds(struct keyspace *ks, slice key, const struct version *v, int64_t valid_at, bool *yes)
{
    *yes = true;
    if (!(v->flags & NODE_VALID)) return E_OK;
    struct buf mem = {0};
    struct node n;
    int err = read_node(ks, v->seq, key, &mem, &n);
    if (err == E_OK) *yes = !n.has_valid || (valid_at >= n.valid_from && valid_at < n.valid_to);
    buf_fini(&mem);
    return err;
}

/* None of the versions that are there holds: might one that was dropped? */
static int judge_older(struct keyspace *ks, const struct db_view *view, slice key)
{
    uint64_t oldest;
    bool dropped;
    int err = engine_key_horizon(ks->engine, SPACE_KEY, view->lineage, key, &oldest, &dropped);
    if (err != E_OK) return err;
    if (!dropped || oldest <= view->flushed) return E_NOTFOUND;
    struct buf mem = {0};
    struct node n;
    err = read_node(ks, oldest, key, &mem, &n);
    bool hidden = err == E_OK && n.prev <= view->flushed; /* a flush lies between it and what was dropped */
    buf_fini(&mem);
    return err != E_OK ? err : hidden ? E_NOTFOUND : E_PRUNED;
}

/* The newest version in (view->flushed, at] whose interval holds valid_at. A change of expiry alone has no interval of its own. */
static int find_valid(struct keyspace *ks, const struct db_view *view, slice key, uint64_t at, int64_t valid_at,
                      struct version *out)
{
    struct version_cursor *it = NULL;
    struct version v;
    int err = engine_versions(ks->engine, SPACE_KEY, view->lineage, key, view->flushed + 1, at, false, &it);
    if (err != E_OK) return err;
    while ((err = version_next(it, &v)) == E_OK) {
        bool yes;
        if (v.op == NODE_META) continue;
        err = holds(ks, key, &v, valid_at, &yes);
        if (err != E_OK || yes) break;
    }
    version_close(&it);
    if (err == E_OK) *out = v;
    return err == E_END ? judge_older(ks, view, key) : err;
}

/* A key is absent once the time of the point has reached its expiry: once the point lies behind every commit before it. */
int past_gone_by(struct keyspace *ks, uint64_t expire_ms, uint64_t at, bool *gone)
{
    *gone = false;
    if (expire_ms == 0) return E_OK;
    uint64_t last_before;
    int err = engine_seq_by_time(ks->engine, expire_ms - 1, &last_before);
    if (err == E_OK) *gone = at > last_before;
    return err;
}

static int tell_version(struct ks_ctx *c, const struct db_view *view, slice key, const struct version *v, struct buf *mem,
                        struct ks_value *out)
{
    struct node n;
    struct ks_value val = {.type = v->type, .flags = v->flags, .seq = v->seq, .ver = v->ver, .expire_ms = v->expire_ms};
    int err;
    mem->n = 0;
    if (v->op == NODE_PUT) {
        err = read_node(c->ks, v->seq, key, mem, &n);
        if (err == E_OK) val.blob = n.payload;
    } else {
        err = ks_value_of(c, view->lineage, key, v->seq, mem, &val.blob);
    }
    if (err == E_OK) *out = val;
    return err;
}

int ks_get_at(struct ks_ctx *c, slice key, uint64_t at, int64_t valid_at, struct buf *mem, struct ks_value *out)
{
    struct keyspace *ks = c->ks;
    struct engine_marks marks;
    struct db_view view;
    struct version v, newest;
    bool gone;
    ASSERT(c->db < ks->databases && mem != NULL);
    engine_get_marks(ks->engine, &marks);
    if (at > marks.last_seq) at = marks.last_seq;
    if (at == 0 || key.n > NODE_KEY_MAX) return E_NOTFOUND;
    int err = engine_catch_up(ks->engine, at);
    if (err != E_OK) return err;
    engine_db_at(ks->engine, c->db, at, &view);
    err = engine_find(ks->engine, SPACE_KEY, view.lineage, key, at, FIND_ALL, &newest);
    if (err == E_PRUNED) out->seq = newest.seq;
    if (err != E_OK) return err;
    if (newest.seq <= view.flushed) return E_NOTFOUND;
    v = newest;
    if (valid_at != KS_ANY_VALID) err = find_valid(ks, &view, key, at, valid_at, &v);
    if (err == E_PRUNED && engine_key_horizon(ks->engine, SPACE_KEY, view.lineage, key, &at, NULL) == E_OK) out->seq = at;
    if (err != E_OK) return err;
    if (v.op == NODE_DELETE || v.op == NODE_EXPIRE) return E_NOTFOUND;
    err = past_gone_by(ks, newest.expire_ms, at, &gone);
    if (err != E_OK) return err;
    if (gone) return E_NOTFOUND;
    return tell_version(c, &view, key, &v, mem, out);
}
