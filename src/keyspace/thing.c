/* Versioned things that are not keys: links, tags, retention rules, index definitions. Rare, so nothing of them is cached: the index
 * is brought up to date and asked. Within a batch, what the batch wrote itself is remembered in the undo list, and found there by a hash table: a batch may
 * write very many links. */
#include "keyspace/parts.h"

#include "base/mem.h"

#define THINGS_MIN 64

struct known {
    uint64_t seq, ver;
    bool live;
};

static uint64_t hash_of(const struct ks_ctx *c, uint8_t space, uint16_t lineage, slice key)
{
    return key_hash(&c->ks->seed, key.p, key.n) + space * 0x9e3779b97f4a7c15ull + lineage;
}

/* Where the thing's newest entry is named, or would be. */
static uint32_t *slot_of(const struct ks_undo *u, uint64_t hash, uint8_t space, uint16_t lineage, slice key)
{
    for (size_t i = hash & (u->things_cap - 1);; i = (i + 1) & (u->things_cap - 1)) {
        if (u->things[i] == 0) return &u->things[i];
        const struct undo *r = &u->v[u->things[i] - 1];
        ASSERT(r->kind == UNDO_THING);
        if (r->hash == hash && r->space == space && r->lineage == lineage &&
            slice_eq(slice_of(u->keys.p + r->key_at, r->key_bytes), key))
            return &u->things[i];
    }
}

static void grow(struct ks_undo *u)
{
    uint32_t *old = u->things;
    size_t cap = u->things_cap;
    u->things_cap = cap != 0 ? cap * 2 : THINGS_MIN;
    u->things = mem_zalloc(u->things_cap * sizeof *u->things);
    for (size_t i = 0; i < cap; i++) {
        if (old[i] == 0) continue;
        const struct undo *r = &u->v[old[i] - 1];
        *slot_of(u, r->hash, r->space, r->lineage, slice_of(u->keys.p + r->key_at, r->key_bytes)) = old[i];
    }
    mem_free(old);
}

void thing_clear(struct ks_undo *u)
{
    mem_free(u->things);
    u->things = NULL;
    u->things_cap = u->n_things = 0;
}

static const struct undo *in_batch(const struct ks_ctx *c, uint8_t space, uint16_t lineage, slice key)
{
    const struct ks_undo *u = c->undo;
    if (u == NULL || u->things_cap == 0) return NULL;
    uint32_t at = *slot_of(u, hash_of(c, space, lineage, key), space, lineage, key);
    return at != 0 ? &u->v[at - 1] : NULL;
}

static void remember(struct ks_ctx *c, const struct node *n, uint64_t seq)
{
    struct ks_undo *u = c->undo;
    if (u->things_cap < 2 * (u->n_things + 1)) grow(u);
    struct undo *r = undo_add(c, UNDO_THING);
    r->hash = hash_of(c, n->space, n->lineage, n->key);
    r->space = n->space;
    r->lineage = n->lineage;
    r->a = seq;
    r->b = n->ver;
    r->live = n->op == NODE_PUT;
    r->key_at = u->keys.n;
    r->key_bytes = n->key.n;
    buf_add_slice(&u->keys, n->key);
    uint32_t *slot = slot_of(u, r->hash, n->space, n->lineage, n->key);
    u->n_things += *slot == 0;
    *slot = (uint32_t)u->n;
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
    if (c->batch != NULL) remember(c, &n, r.seq);
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
