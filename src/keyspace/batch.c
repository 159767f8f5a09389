/* Batches: several nodes, one commit, and the way back.
 *
 * The first change of a key in a batch leaves the entry that was there to the undo list and goes on with a copy, marked
 * ENTRY_TOUCHED. A commit that fails puts the kept entries back, newest change first; one that succeeds frees them. The exclusive gate
 * is held from begin to commit, so nobody else sees what is between. */
#include "keyspace/parts.h"

#include "base/mem.h"

void ks_begin(struct ks_ctx *c)
{
    struct keyspace *ks = c->ks;
    struct ks_undo *u = &ks->undo;
    ASSERT(c->batch == NULL && !u->open);
    ASSERT(!ks_many(ks) || c->entered == 1 + KS_EXCLUSIVE);
    ASSERT(u->n == 0 && u->keys.n == 0);
    late_finish(ks);
    u->open = true;
    u->batch++;
    u->forgot = ks->forgot;
    u->base_seq = c->last_seq;
    u->end = c->end;
    u->base_nodes = c->nodes;
    c->undo = u;
    c->batch = engine_batch_begin(ks->engine);
}

bool ks_in_batch(const struct ks_ctx *c)
{
    return c->batch != NULL;
}

int ks_batch_node(struct ks_ctx *c, slice key, struct node *out, slice *raw)
{
    struct keyspace *ks = c->ks;
    ASSERT(out != NULL && raw != NULL);
    if (c->batch == NULL) return E_NOTFOUND;
    uint64_t hash = key_hash(&ks->seed, key.p, key.n);
    const uint64_t *slot = table_find(&ks_line(ks, ks->map[c->db])->tables[ks_many(ks) ? place_stripe(hash) : 0], hash, key);
    if (slot == NULL || !engine_batch_raw(c->batch, slot_entry(*slot)->head, raw)) return E_NOTFOUND;
    int err = node_decode(*raw, out);
    ASSERT(err != E_OK || slice_eq(out->key, key));
    return err;
}

struct undo *undo_add(struct ks_ctx *c, enum undo_kind kind)
{
    struct ks_undo *u = c->undo;
    ASSERT(c->batch != NULL && u->open);
    if (u->n == u->cap) {
        u->cap = u->cap ? u->cap * 2 : 64;
        u->v = mem_realloc(u->v, u->cap * sizeof *u->v);
    }
    struct undo *r = &u->v[u->n++];
    *r = (struct undo){.kind = kind};
    return r;
}

void undo_key(struct ks_ctx *c, struct place *p)
{
    ASSERT(p->e == NULL || !(p->e->marks & ENTRY_TOUCHED));
    struct undo *r = undo_add(c, UNDO_KEY);
    r->lineage = p->line->lineage;
    r->hash = p->hash;
    r->old = p->e;
    r->key_at = c->undo->keys.n;
    r->key_bytes = p->key.n;
    buf_add_slice(&c->undo->keys, p->key);
    p->kept = p->e != NULL;
}

void undo_counts(struct ks_ctx *c, struct line *l)
{
    if (c->batch == NULL || l->batch == c->undo->batch) return;
    struct undo *r = undo_add(c, UNDO_COUNTS);
    r->lineage = l->lineage;
    r->a = l->keys;
    r->b = l->expiring;
    l->batch = c->undo->batch;
}

static slice key_of(const struct ks_undo *u, const struct undo *r)
{
    return slice_of(u->keys.p + r->key_at, r->key_bytes);
}

static struct table *table_of(struct keyspace *ks, const struct undo *r)
{
    ASSERT(r->kind == UNDO_KEY);
    return &ks_line(ks, r->lineage)->tables[ks_many(ks) ? place_stripe(r->hash) : 0];
}

/* ---- the way forward ---- */

static void settle(struct keyspace *ks, struct undo *r)
{
    if (r->kind == UNDO_FLUSH) sweep_bury(ks, r->tables);
    if (r->kind != UNDO_KEY) return;
    uint64_t *slot = table_find(table_of(ks, r), r->hash, key_of(&ks->undo, r));
    if (slot != NULL) slot_entry(*slot)->marks &= (uint8_t)~ENTRY_TOUCHED;
    entry_free(&r->old);
}

/* ---- the way back ---- */

static void restore_key(struct keyspace *ks, struct undo *r)
{
    struct table *t = table_of(ks, r);
    uint64_t *slot = table_find(t, r->hash, key_of(&ks->undo, r));
    ASSERT(slot != NULL);
    struct entry *now = slot_entry(*slot);
    ASSERT(now->marks & ENTRY_TOUCHED);
    t->absent -= !entry_live(now);
    int64_t bytes = -(int64_t)now->room_bytes;
    if (r->old != NULL) {
        slot_replace(slot, r->old);
        t->absent += !entry_live(r->old);
        bytes += r->old->room_bytes;
    } else {
        table_remove(t, r->hash, slot);
    }
    t->bytes += (uint64_t)bytes;
    ks_tally(ks, &ks->entry_bytes, bytes);
    entry_free(&now);
}

static void restore(struct keyspace *ks, struct undo *r)
{
    struct line *l = ks_line(ks, r->lineage);
    switch (r->kind) {
    case UNDO_KEY: restore_key(ks, r); break;
    case UNDO_COUNTS:
        __atomic_store_n(&l->keys, r->a, __ATOMIC_RELAXED);
        __atomic_store_n(&l->expiring, r->b, __ATOMIC_RELAXED);
        l->batch = 0;
        break;
    case UNDO_FLUSH:
        ks_tally(ks, &ks->entry_bytes, ks_tables_bytes(ks, r->tables) - ks_tables_bytes(ks, l->tables));
        sweep_bury(ks, l->tables);
        l->tables = r->tables;
        l->flushed = r->a;
        break;
    case UNDO_SWAP: {
        uint16_t a = ks->map[r->lineage];
        ks->map[r->lineage] = ks->map[r->other];
        ks->map[r->other] = a;
        break;
    }
    case UNDO_THING: break;
    }
}

static void give_back(struct ks_ctx *c, struct ks_undo *u)
{
    for (size_t i = u->n; i > 0; i--) restore(c->ks, &u->v[i - 1]);
    c->ks->forgot = u->forgot;
    c->last_seq = u->base_seq;
    c->end = u->end;
    c->nodes = u->base_nodes;
}

static void end_batch(struct ks_ctx *c, struct ks_undo *u)
{
    u->n = 0;
    u->open = false;
    token_clear(&u->tokens);
    thing_clear(u);
    if (u->keys.cap > (1u << 20)) buf_fini(&u->keys);
    buf_clear(&u->keys);
    c->undo = NULL;
}

void ks_abort(struct ks_ctx *c)
{
    struct ks_undo *u = c->undo;
    ASSERT(c->batch != NULL && u != NULL && u->open);
    engine_batch_abort(&c->batch);
    give_back(c, u);
    end_batch(c, u);
}

int ks_commit(struct ks_ctx *c)
{
    struct keyspace *ks = c->ks;
    struct ks_undo *u = c->undo;
    ASSERT(c->batch != NULL && u != NULL && u->open);
    uint64_t end = 0;
    bool any = engine_batch_count(c->batch) > 0;
    int err = engine_batch_commit(&c->batch, &end);
    c->batch = NULL;
    if (err == E_OK) {
        for (size_t i = 0; i < u->n; i++) settle(ks, &u->v[i]);
        if (any) c->end = end;
    } else {
        give_back(c, u);
    }
    end_batch(c, u);
    return err;
}
