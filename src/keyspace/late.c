/* Late hashes: the hashes of a pipeline's documents, computed eight at a time.
 *
 * One BLAKE2b message leaves most of a vector unit idle; four at once cost little more than one, eight half as much again where the processor has the widest registers. So a document written where the context allows it
 * (ks_ctx.late_hashes) is appended and published at once, a copy of its node stays here, and its hash is computed when eight have gathered, or
 * as soon as anybody could look at it. Until then its entry's hash is undefined and its reply holds room for the digits. The log does not know of all this:
 * its records are whole, may be drained at any time, and nobody waits for a late hash but the reply it belongs to.
 *
 * Invariants:
 *   1. Only with one loop, and never inside a batch: everything below happens on one thread, and a late node's record is in the log for good.
 *   2. An entry with a late hash is in its table, of type document, and its head is at or above `first`.
 *   3. Nobody gets such an entry: place_find finishes all when the head it finds is at or above `first`; what walks, frees or replaces
 *      entries without place_find (sweep, flush, drop of the cache, batch) finishes first.
 *   4. Between a write with a late hash and ks_hash_finish nothing but writes of the same kind happens: the server finishes before
 *      any other command, at the end of each batch of requests, and so before any reply leaves and before timers and other clients run.
 *
 * Whoever wants a hash that is late for a buffer registers the place with ks_hash_into: the buffer may move and grow, but must keep those bytes and live until then. */
#include "keyspace/parts.h"

#include "base/mem.h"

struct node_copy *late_room(struct ks_ctx *c)
{
    struct keyspace *ks = c->ks;
    if (ks_many(ks) || c->batch != NULL) return NULL;
    if (ks->late == NULL) ks->late = mem_zalloc(sizeof *ks->late);
    struct late *l = ks->late;
    ASSERT(l->n < LATE_MAX);
    l->copy = (struct node_copy){.at = l->node[l->n], .room = LATE_NODE_MAX};
    return &l->copy;
}

void late_add(struct ks_ctx *c, struct entry *e, struct receipt *r)
{
    struct late *l = c->ks->late;
    ASSERT(l->copy.bytes > 0 && l->n < LATE_MAX);
    ASSERT(e->head == r->seq && (e->marks & ENTRY_HASHED) != 0);
    if (l->n == 0) l->first = r->seq;
    struct late_node *p = &l->of[l->n++];
    *p = (struct late_node){.e = e, .seq = r->seq, .bytes = l->copy.bytes};
    if (l->n < LATE_MAX) return;
    late_finish(c->ks);
    memcpy(r->hash, entry_hash(e), HASH_BYTES);
}

void late_finish(struct keyspace *ks)
{
    struct late *l = ks->late;
    uint8_t hash[LATE_MAX][HASH_BYTES];
    slice in[LATE_MAX] = {{0}};
    if (l == NULL || l->n == 0) return;
    for (unsigned i = 0; i < l->n; i++) in[i] = slice_of(l->node[i], l->of[i].bytes);
    if (l->n == 1)
        blake2b_256(hash[0], in[0].p, in[0].n);
    else if (l->n <= LATE_MAX / 2)
        blake2b_256_x4(hash, in);
    else
        blake2b_256_x8(hash, in);
    for (unsigned i = 0; i < l->n; i++) {
        const struct late_node *p = &l->of[i];
        ASSERT(p->e->head == p->seq);
        memcpy((uint8_t *)(uintptr_t)entry_hash(p->e), hash[i], HASH_BYTES);
        engine_hash_known(ks->engine, p->seq, hash[i]);
        if (p->out == NULL) continue;
        ASSERT(p->at + 2 * HASH_BYTES <= p->out->n);
        hex_digits((char *)p->out->p + p->at, hash[i], HASH_BYTES);
    }
    l->n = 0;
}

void ks_hash_finish(struct ks_ctx *c)
{
    ASSERT(c->ks != NULL);
    late_finish(c->ks);
}

bool ks_hash_waits(const struct ks_ctx *c)
{
    const struct late *l = c->ks->late;
    return l != NULL && l->n > 0;
}

bool ks_hash_into(struct ks_ctx *c, uint64_t seq, struct buf *out, size_t at)
{
    struct late *l = c->ks != NULL ? c->ks->late : NULL;
    if (l == NULL || l->n == 0 || l->of[l->n - 1].seq != seq) return false;
    struct late_node *p = &l->of[l->n - 1];
    ASSERT(p->out == NULL);
    ASSERT(at + 2 * HASH_BYTES <= out->n);
    p->out = out;
    p->at = at;
    return true;
}
