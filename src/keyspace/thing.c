/* Versioned things that are not keys: links, tags, retention rules, index definitions. Rare, so nothing of them is cached: the index
 * is brought up to date and asked. Within a batch, what the batch wrote itself is remembered in the undo list. */
#include "keyspace/parts.h"

struct known {
    uint64_t seq, ver;
    bool live;
};

static const struct undo *in_batch(const struct ks_ctx *c, uint8_t space, uint16_t lineage, slice key)
{
    const struct ks_undo *u = c->undo;
    for (size_t i = u != NULL ? u->n : 0; i > 0; i--) {
        const struct undo *r = &u->v[i - 1];
        if (r->kind == UNDO_THING && r->space == space && r->lineage == lineage &&
            slice_eq(slice_of(u->keys.p + r->key_at, r->key_bytes), key))
            return r;
    }
    return NULL;
}

static int look_up(struct ks_ctx *c, uint8_t space, const struct line *l, slice key, struct known *out)
{
    struct version v;
    uint64_t hidden = space == SPACE_LINK ? l->flushed : 0;
    *out = (struct known){0};
    const struct undo *r = in_batch(c, space, l->lineage, key);
    if (r != NULL) {
        *out = (struct known){.seq = r->a, .ver = r->b, .live = r->live && r->a > hidden};
        return E_OK;
    }
    int err = engine_catch_up(c->ks->engine, 0);
    if (err == E_OK) err = engine_find(c->ks->engine, space, l->lineage, key, UINT64_MAX, FIND_ALL, &v);
    if (err == E_NOTFOUND || err == E_PRUNED) return E_OK;
    if (err != E_OK) return err;
    *out = (struct known){.seq = v.seq, .ver = v.ver, .live = v.op == NODE_PUT && v.seq > hidden};
    return E_OK;
}

static int write_thing(struct ks_ctx *c, uint8_t op, uint8_t space, slice key, slice payload, const struct ks_write *w)
{
    struct receipt r;
    struct known was;
    ASSERT(space != SPACE_KEY && space <= SPACE_SORTED);
    ASSERT(c->db < c->ks->databases);
    if (key.n > NODE_KEY_MAX || payload.n > NODE_PAYLOAD_MAX) return E_TOOBIG;
    bool global = space == SPACE_TAG || space == SPACE_RETAIN;
    const struct line *l = ks_line(c->ks, global ? 0 : c->ks->map[c->db]);
    int err = look_up(c, space, l, key, &was);
    if (err != E_OK) return err;
    if (op == NODE_DELETE && !was.live) return E_NOTFOUND;
    struct node n = {
        .op = op, .space = space, .lineage = l->lineage, .key = key, .payload = payload, .prev = was.seq, .ver = was.ver + 1};
    n.flags = op == NODE_PUT && !was.live ? NODE_CREATED : 0;
    if (w != NULL) {
        n.has_valid = w->has_valid;
        n.valid_from = w->valid_from;
        n.valid_to = w->valid_to;
        n.causes = (const uint8_t *)w->causes;
        n.n_causes = w->n_causes;
        n.note = w->note;
        n.idem = w->idem;
    }
    err = write_node(c, &n, w != NULL && w->want_hash, &r);
    if (err != E_OK) return err;
    if (c->batch != NULL) {
        struct undo *u = undo_add(c, UNDO_THING);
        u->space = space;
        u->lineage = l->lineage;
        u->a = r.seq;
        u->b = n.ver;
        u->live = op == NODE_PUT;
        u->key_at = c->undo->keys.n;
        u->key_bytes = key.n;
        buf_add_slice(&c->undo->keys, key);
    }
    if (w != NULL && w->receipt != NULL) *w->receipt = r;
    return E_OK;
}

int ks_put_thing(struct ks_ctx *c, uint8_t space, slice key, slice payload, const struct ks_write *w)
{
    return write_thing(c, NODE_PUT, space, key, payload, w);
}

int ks_delete_thing(struct ks_ctx *c, uint8_t space, slice key, const struct ks_write *w)
{
    return write_thing(c, NODE_DELETE, space, key, (slice){0}, w);
}

int ks_has_thing(struct ks_ctx *c, uint8_t space, slice key, bool *yes)
{
    struct known was;
    ASSERT(space != SPACE_KEY && space <= SPACE_SORTED);
    ASSERT(yes != NULL);
    bool global = space == SPACE_TAG || space == SPACE_RETAIN;
    int err = look_up(c, space, ks_line(c->ks, global ? 0 : c->ks->map[c->db]), key, &was);
    if (err == E_OK) *yes = was.live;
    return err;
}
