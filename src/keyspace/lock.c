/* Gates and stripes.
 *
 * One gate a loop: a command holds its own loop's gate, so that whoever takes all gates, in order, is alone. One stripe a group of keys: 256, by
 * bits of the key's hash; a command takes those of its keys in rising order and holds them to its end. Order: gates, then stripes
 * (RANK_GATE, RANK_STRIPE). With one loop nothing is locked and this costs a store.
 *
 * Between commands is also where memory over the limit is given back: nobody holds a borrowed value then. */
#include "keyspace/parts.h"

#include "base/mem.h"

void lock_open(struct keyspace *ks)
{
    ks->gates = mem_zalloc(ks->loops * sizeof *ks->gates);
    for (unsigned i = 0; i < ks->loops; i++) mutex_init(&ks->gates[i].lock, "gate", RANK_GATE);
    mutex_init(&ks->sweep_lock, "sweep", RANK_STRIPE);
    if (!ks_many(ks)) return;
    ks->stripes = mem_zalloc(KS_STRIPES * sizeof *ks->stripes);
    for (unsigned i = 0; i < KS_STRIPES; i++) mutex_init(&ks->stripes[i], "stripe", RANK_STRIPE);
    ks->token_locks = mem_zalloc(KS_TOKEN_LOCKS * sizeof *ks->token_locks);
    for (unsigned i = 0; i < KS_TOKEN_LOCKS; i++) mutex_init(&ks->token_locks[i], "token", RANK_TOKEN);
}

void lock_close(struct keyspace *ks)
{
    for (unsigned i = 0; i < ks->loops; i++) mutex_fini(&ks->gates[i].lock);
    mutex_fini(&ks->sweep_lock);
    if (ks->stripes != NULL)
        for (unsigned i = 0; i < KS_STRIPES; i++) mutex_fini(&ks->stripes[i]);
    if (ks->token_locks != NULL)
        for (unsigned i = 0; i < KS_TOKEN_LOCKS; i++) mutex_fini(&ks->token_locks[i]);
    mem_free(ks->gates);
    mem_free(ks->stripes);
    mem_free(ks->token_locks);
}

static void take_stripes(struct ks_ctx *c, const slice *keys, size_t n)
{
    struct keyspace *ks = c->ks;
    uint64_t *held = ks->gates[c->loop].held;
    for (size_t i = 0; i < n; i++) {
        unsigned s = place_stripe(key_hash(&ks->seed, keys[i].p, keys[i].n));
        held[s / 64] |= 1ull << s % 64;
    }
    for (unsigned w = 0; w < KS_STRIPES / 64; w++)
        for (uint64_t m = held[w]; m != 0; m &= m - 1) mutex_lock(&ks->stripes[w * 64 + (unsigned)__builtin_ctzll(m)]);
}

static void drop_stripes(struct ks_ctx *c)
{
    struct keyspace *ks = c->ks;
    uint64_t *held = ks->gates[c->loop].held;
    for (unsigned w = 0; w < KS_STRIPES / 64; w++) {
        for (uint64_t m = held[w]; m != 0; m &= m - 1) mutex_unlock(&ks->stripes[w * 64 + (unsigned)__builtin_ctzll(m)]);
        held[w] = 0;
    }
}

bool lock_borrow(struct ks_ctx *c, const slice *keys, size_t n)
{
    ASSERT(c->entered != 0);
    if (!ks_many(c->ks) || c->entered == 1 + KS_EXCLUSIVE) return true;
    const uint64_t *held = c->ks->gates[c->loop].held;
    for (unsigned w = 0; w < KS_STRIPES / 64; w++)
        if (held[w] != 0) return false;
    take_stripes(c, keys, n);
    return true;
}

void lock_return(struct ks_ctx *c)
{
    if (ks_many(c->ks) && c->entered == 1 + KS_SHARED) drop_stripes(c);
}

bool lock_also(struct ks_ctx *c, slice key)
{
    ASSERT(c->entered != 0 && c->token == 0);
    if (!ks_many(c->ks) || c->entered == 1 + KS_EXCLUSIVE) return false;
    uint64_t *held = c->ks->gates[c->loop].held, own[KS_STRIPES / 64];
    unsigned s = place_stripe(key_hash(&c->ks->seed, key.p, key.n));
    if (held[s / 64] >> s % 64 & 1) return false;
    memcpy(own, held, sizeof own);
    drop_stripes(c);
    memcpy(held, own, sizeof own);
    take_stripes(c, &key, 1);
    return true;
}

void lock_also_return(struct ks_ctx *c, slice key)
{
    uint64_t *held = c->ks->gates[c->loop].held;
    unsigned s = place_stripe(key_hash(&c->ks->seed, key.p, key.n));
    ASSERT(held[s / 64] >> s % 64 & 1);
    mutex_unlock(&c->ks->stripes[s]);
    held[s / 64] &= ~(1ull << s % 64);
}

void ks_enter(struct ks_ctx *c, enum ks_mode mode, const slice *keys, size_t n_keys)
{
    struct keyspace *ks = c->ks;
    ASSERT(c->entered == 0);
    ASSERT(c->loop < ks->loops);
    if (ks_many(ks)) {
        if (mode == KS_EXCLUSIVE) {
            for (unsigned i = 0; i < ks->loops; i++) mutex_lock(&ks->gates[i].lock);
        } else {
            mutex_lock(&ks->gates[c->loop].lock);
            take_stripes(c, keys, n_keys);
        }
    }
    c->entered = (uint8_t)(1 + mode);
    if (__builtin_expect(__atomic_load_n(&ks->entry_bytes, __ATOMIC_RELAXED) > ks->cache_bytes, 0)) sweep_turn(c);
}

void ks_leave(struct ks_ctx *c)
{
    struct keyspace *ks = c->ks;
    ASSERT(c->entered != 0);
    ASSERT(c->batch == NULL);
    if (ks_many(ks)) {
        if (c->entered == 1 + KS_EXCLUSIVE) {
            for (unsigned i = ks->loops; i > 0; i--) mutex_unlock(&ks->gates[i - 1].lock);
        } else {
            if (c->token != 0) token_unlock(c);
            drop_stripes(c);
            mutex_unlock(&ks->gates[c->loop].lock);
        }
    }
    c->entered = 0;
}
