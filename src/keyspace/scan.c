/* Walking the live keys in the order of their hash: SCAN, KEYS, RANDOMKEY.
 *
 * The index lists them, so the order is the same after a restart and does not depend on what is in memory. What an open batch has written is in no index
 * yet: keys it touched are left out of the walk and visited from the undo list, by the same range of hash positions. */
#include "keyspace/parts.h"

#define RANDOM_CHOICES 16

/* Live and not due, by the entry or, for keys that expire, after loading the head. Due keys are expired on the way. */
static int visible(struct ks_ctx *c, struct line *l, const struct live_key *k, uint8_t *type)
{
    struct place p;
    place_find(c, l, k->key, &p);
    *type = k->type;
    if (p.e == NULL && !k->expires) return E_OK;
    if (p.e != NULL && (p.e->marks & ENTRY_TOUCHED)) return E_NOTFOUND;
    int err = write_live(c, k->key, &p);
    if (err == E_STICKY) return E_NOTFOUND;
    if (err == E_OK) *type = p.e->type;
    return err;
}

static int visit_touched(struct ks_ctx *c, uint64_t from, uint64_t upto, uint8_t type, ks_visit fn, void *ctx)
{
    struct ks_undo *u = c->undo;
    struct line *l = ks_line(c->ks, c->ks->map[c->db]);
    size_t n = u->n;
    for (size_t i = 0; i < n; i++) {
        struct place p;
        const struct undo *r = &u->v[i];
        if (r->kind != UNDO_KEY || r->lineage != l->lineage || r->hash < from || (upto != 0 && r->hash >= upto)) continue;
        place_find(c, l, slice_of(u->keys.p + r->key_at, r->key_bytes), &p);
        if (p.e == NULL || !entry_live(p.e) || place_due(c, p.e) || (type != 0 && type != p.e->type)) continue;
        int err = fn(ctx, entry_key(p.e), p.e->type);
        if (err != 0) return err;
    }
    return E_OK;
}

static int walk(struct ks_ctx *c, struct key_cursor *it, uint64_t *cursor, size_t count, uint8_t type, ks_visit fn, void *ctx)
{
    struct line *l = ks_line(c->ks, c->ks->map[c->db]);
    struct live_key k;
    uint64_t last = 0;
    int err;
    for (size_t seen = 0; (err = key_cursor_next(it, &k)) == E_OK; seen++) {
        uint8_t is;
        if (seen >= count && k.hash != last) {
            *cursor = k.hash;
            return E_OK;
        }
        last = k.hash;
        if (type != 0 && k.type != type) continue;
        err = visible(c, l, &k, &is);
        if (err == E_NOTFOUND) continue;
        if (err == E_OK) err = fn(ctx, k.key, is);
        if (err != E_OK) return err;
    }
    *cursor = 0;
    return err == E_END ? E_OK : err;
}

int ks_scan(struct ks_ctx *c, uint64_t *cursor, size_t count, uint8_t type, ks_visit fn, void *ctx)
{
    struct keyspace *ks = c->ks;
    struct key_cursor *it = NULL;
    ASSERT(c->db < ks->databases && fn != NULL);
    if (c->viewing) return view_scan(c, cursor, count, type, fn, ctx);
    ASSERT(!ks_many(ks) || c->entered == 1 + KS_EXCLUSIVE);
    const struct line *l = ks_line(ks, ks->map[c->db]);
    uint64_t from = *cursor, next = from;
    int err = engine_catch_up(ks->engine, 0);
    if (err == E_OK || err == E_STICKY) err = engine_keys(ks->engine, l->lineage, l->flushed, from, &it);
    if (err == E_OK) err = walk(c, it, &next, count, type, fn, ctx);
    key_cursor_close(&it);
    if (err == E_OK && c->batch != NULL) err = visit_touched(c, from, next, type, fn, ctx);
    if (err == E_OK) *cursor = next;
    return err;
}

/* ---- a random key ---- */

/* Each of n keys is kept with chance 1/n in the end. */
static int choose(void *ctx, slice key, uint8_t type)
{
    struct ks_draw *d = ctx;
    uint64_t r;
    os_random(d->os, &r, sizeof r);
    if (r % ++d->seen != 0) return 0;
    buf_clear(&d->key);
    buf_add_slice(&d->key, key);
    return 0;
}

/* Some keys from d->cursor on. */
static int draw_some(struct ks_ctx *c, struct ks_draw *d)
{
    if (!c->viewing) return ks_scan(c, &d->cursor, RANDOM_CHOICES, 0, choose, d);
    int err = d->walk ? E_OK : ks_walk_open(c, d->cursor, RANDOM_CHOICES, 0, &d->walk);
    if (err == E_OK) err = ks_walk_step(c, d->walk, choose, d);
    if (err == E_OK) d->cursor = ks_walk_cursor(d->walk);
    if (err != E_AGAIN) ks_walk_close(&d->walk);
    return err;
}

/* One of the first few keys behind a random position: behind a wide gap in the hashes stands one key, but a choice
 * among sixteen evens out the gaps. Few keys are chosen from evenly. None may be left of many that are past their expiry: one whole round tells. */
int ks_draw(struct ks_ctx *c, struct ks_draw *d)
{
    int err = E_OK;
    if (!d->begun) {
        d->begun = true;
        d->os = engine_os(c->ks->engine);
        if (c->viewing || ks_count(c, c->db, NULL) > RANDOM_CHOICES) os_random(d->os, &d->cursor, sizeof d->cursor);
        d->whole = d->cursor == 0;
    }
    while (err == E_OK && d->seen == 0) {
        err = draw_some(c, d);
        if (err != E_OK || d->seen > 0 || d->cursor != 0) continue;
        if (d->whole) return E_NOTFOUND;
        d->whole = true; /* from the start now */
    }
    return err;
}

void ks_draw_fini(struct ks_draw *d)
{
    ks_walk_close(&d->walk);
    buf_fini(&d->key);
}
