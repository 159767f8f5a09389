/* The check word is linear in the words of the digest: that is enough, since what it tells apart are mixtures of two digests, whose words differ
 * at random. A place that was never written is all zero; the check word of zeros and a seq above zero is not. */
#include "engine/hash_shelf.h"

#include "base/codec.h"
#include "base/mem.h"

#include <stdatomic.h>

#define WORDS (HASH_BYTES / 8)
#define ODD   0x9e3779b97f4a7c15u

struct place {
    _Atomic uint64_t word[WORDS];
    _Atomic uint64_t check;
};

struct hash_shelf {
    struct place place[HASH_SHELF_PLACES];
};

_Static_assert((HASH_SHELF_PLACES & (HASH_SHELF_PLACES - 1)) == 0, "places are found by the low bits of seq");

static inline uint64_t turn(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static inline uint64_t check_of(const uint64_t w[WORDS], uint64_t seq)
{
    return w[0] ^ turn(w[1], 13) ^ turn(w[2], 29) ^ turn(w[3], 47) ^ seq * ODD;
}

struct hash_shelf *hash_shelf_new(void)
{
    return mem_zalloc(sizeof(struct hash_shelf));
}

void hash_shelf_free(struct hash_shelf **s)
{
    ASSERT(s);
    mem_free(*s);
    *s = NULL;
}

void hash_shelf_put(struct hash_shelf *s, uint64_t seq, const uint8_t hash[HASH_BYTES])
{
    uint64_t w[WORDS];
    ASSERT(s && seq > 0);
    struct place *p = &s->place[seq & (HASH_SHELF_PLACES - 1)];
    for (unsigned i = 0; i < WORDS; i++) {
        w[i] = get_u64(hash + 8 * i);
        atomic_store_explicit(&p->word[i], w[i], memory_order_relaxed);
    }
    atomic_store_explicit(&p->check, check_of(w, seq), memory_order_relaxed);
}

bool hash_shelf_take(const struct hash_shelf *s, uint64_t seq, uint8_t out[HASH_BYTES])
{
    uint64_t w[WORDS];
    ASSERT(s && seq > 0);
    const struct place *p = &s->place[seq & (HASH_SHELF_PLACES - 1)];
    for (unsigned i = 0; i < WORDS; i++) w[i] = atomic_load_explicit(&p->word[i], memory_order_relaxed);
    if (atomic_load_explicit(&p->check, memory_order_relaxed) != check_of(w, seq)) return false;
    for (unsigned i = 0; i < WORDS; i++) put_u64(out + 8 * i, w[i]);
    return true;
}
