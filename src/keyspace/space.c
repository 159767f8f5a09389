/* Flushing and swapping databases: one node each, whatever they hold.
 *
 * A flush takes the line's tables away whole and frees them later in slices. Their heads may be newer than the index runs, so the keyspace remembers
 * up to where it has forgotten (place.c). In a batch, entries that the batch itself changed are carried over as absent: their
 * nodes are in no index yet, and a later write of the batch must still name them as its predecessor. */
#include "keyspace/parts.h"

static void carry_over(struct ks_ctx *c, struct line *l, struct table *from)
{
    const struct ks_undo *u = c->undo;
    size_t n = u->n;
    for (size_t i = 0; i < n; i++) {
        const struct undo *r = &u->v[i];
        if (r->kind != UNDO_KEY || r->lineage != l->lineage) continue;
        slice key = slice_of(u->keys.p + r->key_at, r->key_bytes);
        unsigned shard = ks_many(c->ks) ? place_stripe(r->hash) : 0;
        uint64_t *slot = table_find(&from[shard], r->hash, key);
        ASSERT(slot != NULL);
        const struct entry *old = slot_entry(*slot);
        struct place p;
        place_find(c, l, key, &p);
        ASSERT(p.e == NULL); /* a key has one record in a batch */
        const uint8_t *hash = entry_hash(old);
        struct entry *e = entry_new(key, ENTRY_TOUCHED | (hash != NULL ? ENTRY_HASHED : 0), 0, 0);
        e->head = old->head;
        entry_set_ver(e, entry_ver(old));
        if (hash != NULL) memcpy((uint8_t *)(uintptr_t)entry_hash(e), hash, HASH_BYTES);
        place_set(c, &p, e);
    }
}

static void flush_line(struct ks_ctx *c, struct line *l, uint64_t seq)
{
    struct keyspace *ks = c->ks;
    undo_counts(c, l);
    struct table *old = l->tables;
    l->tables = ks_tables_new(ks);
    ks_tally(ks, &ks->entry_bytes, -ks_tables_bytes(ks, old));
    if (c->batch != NULL) {
        struct undo *r = undo_add(c, UNDO_FLUSH);
        r->lineage = l->lineage;
        r->a = l->flushed;
        r->tables = old;
        carry_over(c, l, old);
    } else {
        sweep_bury(ks, old);
    }
    l->flushed = seq;
    /* Some count keys from outside the gates (ks_count, the expiry cycle). */
    __atomic_store_n(&l->keys, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&l->expiring, 0, __ATOMIC_RELAXED);
}

int ks_flush(struct ks_ctx *c, int db)
{
    struct keyspace *ks = c->ks;
    struct receipt r;
    ASSERT(db >= -1 && db < (int)ks->databases);
    ASSERT(!ks_many(ks) || c->entered == 1 + KS_EXCLUSIVE);
    uint16_t lineage = db < 0 ? NODE_ALL_LINEAGES : ks->map[db];
    struct node n = {.op = NODE_FLUSH, .space = SPACE_KEY, .lineage = lineage};
    int err = write_node(c, &n, false, &r);
    if (err != E_OK) return err;
    /* Inside a batch nothing of it can be caught up with before the commit. */
    uint64_t published = c->batch != NULL ? r.seq - engine_batch_count(c->batch) : r.seq;
    ks_forget(ks, published);
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) {
        struct line *l = &ks->lines[i];
        if (l->tables == NULL || (db >= 0 && l->lineage != lineage)) continue;
        flush_line(c, l, r.seq);
    }
    return E_OK;
}

int ks_swap(struct ks_ctx *c, uint16_t a, uint16_t b)
{
    struct keyspace *ks = c->ks;
    struct receipt r;
    uint8_t payload[4];
    ASSERT(a < ks->databases && b < ks->databases);
    ASSERT(!ks_many(ks) || c->entered == 1 + KS_EXCLUSIVE);
    put_u16(payload, a);
    put_u16(payload + 2, b);
    struct node n = {.op = NODE_SWAP, .space = SPACE_KEY, .payload = slice_of(payload, sizeof payload)};
    int err = write_node(c, &n, false, &r);
    if (err != E_OK) return err;
    if (c->batch != NULL) {
        struct undo *u = undo_add(c, UNDO_SWAP);
        u->lineage = a;
        u->other = b;
    }
    ks->swaps[a]++;
    ks->swaps[b]++;
    uint16_t was = ks->map[a];
    ks->map[a] = ks->map[b];
    ks->map[b] = was;
    return E_OK;
}
