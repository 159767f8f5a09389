/* What memory knows of many keys at once: for feeds, which show for each version whether it is still the newest.
 *
 * Two rounds over the keys start the memory fetches of buckets and entries before anything is compared, so that their latencies overlap. */
#include "keyspace/parts.h"

static void look_up(struct keyspace *ks, struct line *l, const uint64_t *hash, const slice *keys, size_t n, uint64_t *heads)
{
    bool many = ks_many(ks);
    struct table *t[KS_HEADS_MAX];
    for (size_t i = 0; i < n; i++) {
        t[i] = &l->tables[many ? place_stripe(hash[i]) : 0];
        table_prefetch_bucket(t[i], hash[i]);
    }
    for (size_t i = 0; i < n; i++) table_prefetch_entry(t[i], hash[i]);
    for (size_t i = 0; i < n; i++) {
        const uint64_t *slot = table_find(t[i], hash[i], keys[i]);
        heads[i] = slot != NULL ? slot_entry(*slot)->head : 0;
    }
}

void ks_heads(struct ks_ctx *c, uint16_t lineage, const slice *keys, size_t n, uint64_t *heads)
{
    struct keyspace *ks = c->ks;
    uint64_t hash[KS_HEADS_MAX];
    ASSERT(n <= KS_HEADS_MAX && keys != NULL && heads != NULL);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    bool outside = c->entered == 0, borrowed = false;
    if (outside) ks_enter(c, KS_SHARED, keys, n);
    if (!outside) borrowed = lock_borrow(c, keys, n);
    if (outside || borrowed) {
        for (size_t i = 0; i < n; i++) hash[i] = key_hash(&ks->seed, keys[i].p, keys[i].n);
        look_up(ks, ks_line(ks, lineage), hash, keys, n, heads);
    } else {
        memset(heads, 0, n * sizeof *heads);
    }
    if (outside) ks_leave(c);
    if (borrowed) lock_return(c);
}
