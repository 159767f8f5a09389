#include "keyspace/table.h"
#include "base/mem.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LINK       1u
#define LAST       (TABLE_SLOTS - 1)
#define LINE_BYTES 64

static inline struct bucket *bucket_at(const struct table *t, uint64_t i)
{
    return &t->dir[i / TABLE_SEGMENT][i % TABLE_SEGMENT];
}

static inline uint64_t bucket_index(const struct table *t, uint64_t hash)
{
    uint64_t i = hash & t->mask;
    return i < t->buckets ? i : i & (t->mask >> 1);
}

static inline bool is_link(uint64_t slot)
{
    return (slot & LINK) != 0;
}
static inline struct bucket *link_of(uint64_t slot)
{
    return (struct bucket *)(uintptr_t)(slot & SLOT_ADDRESS & ~(uint64_t)LINK);
}

/* Bit i set: slot i's tag equals the hash's. Empty slots and links may match; the caller looks. */
static inline unsigned tag_matches(const struct bucket *b, uint64_t hash)
{
#ifdef __SSE2__
    const __m128i *p = (const __m128i *)(const void *)b->slot;
    __m128i want = _mm_set1_epi32((int)(hash >> 48));
    __m128 s0 = _mm_castsi128_ps(_mm_srli_epi64(_mm_loadu_si128(p), 48));
    __m128 s1 = _mm_castsi128_ps(_mm_srli_epi64(_mm_loadu_si128(p + 1), 48));
    __m128 s2 = _mm_castsi128_ps(_mm_srli_epi64(_mm_loadu_si128(p + 2), 48));
    __m128 s3 = _mm_castsi128_ps(_mm_srli_epi64(_mm_loadu_si128(p + 3), 48));
    __m128i low = _mm_cmpeq_epi32(_mm_castps_si128(_mm_shuffle_ps(s0, s1, 0x88)), want);
    __m128i high = _mm_cmpeq_epi32(_mm_castps_si128(_mm_shuffle_ps(s2, s3, 0x88)), want);
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128()));
#else
    unsigned m = 0;
    for (unsigned i = 0; i < TABLE_SLOTS; i++) m |= (unsigned)((b->slot[i] ^ hash) >> 48 == 0) << i;
    return m;
#endif
}

void table_init(struct table *t, const struct hash_seed *seed)
{
    ASSERT(seed != NULL);
    *t = (struct table){.seed = seed};
}

/* ---- segments ---- */

static void segment_new(struct table *t, uint64_t buckets)
{
    if (t->segments == t->dir_cap) {
        t->dir_cap = t->dir_cap ? t->dir_cap * 2 : 4;
        t->dir = mem_realloc(t->dir, t->dir_cap * sizeof *t->dir);
        t->mem = mem_realloc(t->mem, t->dir_cap * sizeof *t->mem);
    }
    void *m = mem_zalloc(buckets * sizeof(struct bucket) + LINE_BYTES);
    t->mem[t->segments] = m;
    t->dir[t->segments++] = (struct bucket *)(((uintptr_t)m + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1));
}

/* Room for bucket number t->buckets. The first segment starts small and doubles; all others have their full size. */
static void reserve_bucket(struct table *t)
{
    uint64_t n = t->buckets;
    ASSERT(n < TABLE_BUCKETS_MAX);
    if (n == 0) {
        segment_new(t, TABLE_BUCKETS_FIRST);
        t->first = TABLE_BUCKETS_FIRST;
    } else if (n >= TABLE_SEGMENT) {
        if (n / TABLE_SEGMENT == t->segments) segment_new(t, TABLE_SEGMENT);
    } else if (n == t->first) {
        struct bucket *old = t->dir[0];
        void *mem = t->mem[0];
        ASSERT(t->segments == 1);
        t->segments = 0;
        segment_new(t, n * 2);
        memcpy(t->dir[0], old, n * sizeof *old);
        mem_free(mem);
        t->first = n * 2;
    }
}

static void release_bucket(struct table *t)
{
    ASSERT(t->segments > 0);
    /* One segment is kept in hand, so that a table at the border does not allocate and free in turn. */
    if (t->segments >= 3 && t->buckets <= (t->segments - 2) * TABLE_SEGMENT) mem_free(t->mem[--t->segments]);
}

static struct entry *drop_entry(void *ctx, struct table *t, struct entry *e)
{
    entry_free(&e);
    return NULL;
}

void table_fini(struct table *t)
{
    for (uint64_t i = 0; i < t->buckets; i++) table_each(t, i, drop_entry, NULL);
    ASSERT(t->count == 0 && t->overflow == 0);
    for (size_t i = 0; i < t->segments; i++) mem_free(t->mem[i]);
    mem_free(t->dir);
    mem_free(t->mem);
    table_init(t, t->seed);
}

/* ---- look-up ---- */

uint64_t *table_find(const struct table *t, uint64_t hash, slice key)
{
    if (t->buckets == 0) return NULL;
    struct bucket *b = bucket_at(t, bucket_index(t, hash));
    for (;;) {
        for (unsigned m = tag_matches(b, hash); m != 0; m &= m - 1) {
            uint64_t s = b->slot[__builtin_ctz(m)];
            if (s == 0 || is_link(s)) continue;
            const struct entry *e = slot_entry(s);
            if (slice_eq(slice_of(entry_bytes(e), e->key_bytes), key)) return &b->slot[__builtin_ctz(m)];
        }
        if (!is_link(b->slot[LAST])) return NULL;
        b = link_of(b->slot[LAST]);
    }
}

void table_prefetch_bucket(const struct table *t, uint64_t hash)
{
    if (t->buckets != 0) __builtin_prefetch(bucket_at(t, bucket_index(t, hash)));
}

void table_prefetch_entry(const struct table *t, uint64_t hash)
{
    if (t->buckets == 0) return;
    const struct bucket *b = bucket_at(t, bucket_index(t, hash));
    unsigned m = tag_matches(b, hash);
    if (m == 0) {
        if (is_link(b->slot[LAST])) __builtin_prefetch(link_of(b->slot[LAST]));
        return;
    }
    uint64_t s = b->slot[__builtin_ctz(m)];
    if (s == 0 || is_link(s)) return;
    const uint8_t *at = (const uint8_t *)slot_entry(s);
    /* Three lines hold a document of 100 bytes; for writing, as most that look this far ahead do. */
    __builtin_prefetch(at, 1);
    __builtin_prefetch(at + LINE_BYTES, 1);
    __builtin_prefetch(at + 2 * LINE_BYTES, 1);
}

/* ---- adding to and walking one bucket chain ---- */

static void chain_add(struct table *t, struct bucket *b, uint64_t slot)
{
    for (;;) {
        unsigned n = is_link(b->slot[LAST]) ? LAST : TABLE_SLOTS;
        for (unsigned i = 0; i < n; i++) {
            if (b->slot[i] != 0) continue;
            b->slot[i] = slot;
            return;
        }
        if (n == TABLE_SLOTS) {
            struct bucket *more = mem_zalloc(sizeof *more);
            ASSERT(((uintptr_t)more & 7) == 0);
            more->slot[0] = b->slot[LAST];
            b->slot[LAST] = (uint64_t)(uintptr_t)more | LINK;
            t->overflow++;
        }
        b = link_of(b->slot[LAST]);
    }
}

static bool bucket_empty(const struct bucket *b)
{
    for (unsigned i = 0; i < TABLE_SLOTS; i++)
        if (b->slot[i] != 0) return false;
    return true;
}

/* Frees overflow buckets of the chain that hold nothing. */
static void chain_trim(struct table *t, struct bucket *b)
{
    while (is_link(b->slot[LAST])) {
        struct bucket *next = link_of(b->slot[LAST]);
        uint64_t after = is_link(next->slot[LAST]) ? next->slot[LAST] : 0;
        next->slot[LAST] = after != 0 ? 0 : next->slot[LAST];
        if (bucket_empty(next)) {
            b->slot[LAST] = after;
            mem_free(next);
            t->overflow--;
        } else {
            if (after != 0) next->slot[LAST] = after;
            b = next;
        }
    }
}

void table_each(struct table *t, uint64_t index, table_visit fn, void *ctx)
{
    ASSERT(index < t->buckets);
    struct bucket *first = bucket_at(t, index);
    bool took = false;
    for (struct bucket *b = first;; b = link_of(b->slot[LAST])) {
        for (unsigned i = 0; i < TABLE_SLOTS; i++) {
            if (b->slot[i] == 0 || is_link(b->slot[i])) continue;
            struct entry *e = slot_entry(b->slot[i]), *now = fn(ctx, t, e);
            if (now == e) continue;
            if (now != NULL) {
                slot_replace(&b->slot[i], now);
            } else {
                b->slot[i] = 0;
                t->count--;
                took = true;
            }
        }
        if (!is_link(b->slot[LAST])) break;
    }
    if (took) chain_trim(t, first);
}

/* ---- growing and shrinking by one bucket ---- */

static void prefetch_entries(const struct table *t, uint64_t index)
{
    const struct bucket *b = bucket_at(t, index);
    for (unsigned i = 0; i < TABLE_SLOTS; i++)
        if (b->slot[i] != 0 && !is_link(b->slot[i])) __builtin_prefetch(slot_entry(b->slot[i]));
}

/* Takes every slot out of a chain and frees its overflow buckets; calls add for each with the entry's hash. */
static void chain_spread(struct table *t, uint64_t from)
{
    struct bucket *b = bucket_at(t, from), taken = *b;
    memset(b, 0, sizeof *b);
    struct bucket *more = NULL;
    for (const struct bucket *at = &taken;;) {
        for (unsigned i = 0; i < TABLE_SLOTS; i++) {
            uint64_t s = at->slot[i];
            if (s == 0 || is_link(s)) continue;
            const struct entry *e = slot_entry(s);
            uint64_t hash = key_hash(t->seed, entry_bytes(e), e->key_bytes);
            chain_add(t, bucket_at(t, bucket_index(t, hash)), s);
        }
        struct bucket *next = is_link(at->slot[LAST]) ? link_of(at->slot[LAST]) : NULL;
        if (more != NULL) {
            mem_free(more);
            t->overflow--;
        }
        if (next == NULL) break;
        at = more = next;
    }
}

static void split_one(struct table *t)
{
    reserve_bucket(t);
    if (t->buckets == 0) {
        t->buckets = TABLE_BUCKETS_FIRST;
        t->mask = TABLE_BUCKETS_FIRST * 2 - 1;
        return;
    }
    uint64_t from = t->buckets - (t->mask + 1) / 2;
    t->buckets++;
    chain_spread(t, from);
    if (t->buckets == t->mask + 1) t->mask = t->mask * 2 + 1;
    uint64_t next = t->buckets - (t->mask + 1) / 2;
    prefetch_entries(t, next);
    __builtin_prefetch(bucket_at(t, next + 1 < t->buckets ? next + 1 : 0));
}

static void join_one(struct table *t)
{
    ASSERT(t->buckets > TABLE_BUCKETS_FIRST);
    uint64_t last = t->buckets - 1;
    if (last == t->mask >> 1) t->mask >>= 1;
    t->buckets = last;
    chain_spread(t, last);
    release_bucket(t);
}

void table_insert(struct table *t, uint64_t hash, struct entry *e)
{
    DEBUG_ASSERT(table_find(t, hash, entry_key(e)) == NULL);
    if (t->count >= t->buckets * TABLE_LOAD) split_one(t);
    chain_add(t, bucket_at(t, bucket_index(t, hash)), slot_make(e, hash));
    t->count++;
}

struct entry *table_remove(struct table *t, uint64_t hash, uint64_t *slot)
{
    ASSERT(slot != NULL && *slot != 0);
    struct entry *e = slot_entry(*slot);
    *slot = 0;
    t->count--;
    chain_trim(t, bucket_at(t, bucket_index(t, hash)));
    for (int i = 0; i < 2 && t->buckets > TABLE_BUCKETS_FIRST && t->count < t->buckets; i++) join_one(t);
    return e;
}

size_t table_bytes(const struct table *t)
{
    uint64_t buckets = t->segments > 1 ? (uint64_t)t->segments * TABLE_SEGMENT : t->first;
    return (buckets + t->overflow) * sizeof(struct bucket) + t->dir_cap * (sizeof *t->dir + sizeof *t->mem);
}

void table_check(struct table *t)
{
    uint64_t count = 0, overflow = 0, absent = 0;
    ASSERT(t->buckets == 0 || (t->buckets > t->mask >> 1 || t->buckets == TABLE_BUCKETS_FIRST));
    ASSERT(t->buckets == 0 || t->buckets <= t->mask);
    for (uint64_t i = 0; i < t->buckets; i++) {
        for (const struct bucket *b = bucket_at(t, i);; b = link_of(b->slot[LAST])) {
            for (unsigned k = 0; k < TABLE_SLOTS; k++) {
                uint64_t s = b->slot[k];
                if (s == 0 || is_link(s)) continue;
                const struct entry *e = slot_entry(s);
                uint64_t hash = key_hash(t->seed, entry_bytes(e), e->key_bytes);
                ASSERT(bucket_index(t, hash) == i && (s ^ hash) >> 48 == 0);
                ASSERT(*table_find(t, hash, entry_key(e)) == s);
                entry_check(e);
                count++;
                absent += !entry_live(e);
            }
            if (!is_link(b->slot[LAST])) break;
            overflow++;
        }
    }
    ASSERT(count == t->count && overflow == t->overflow && absent == t->absent);
}
