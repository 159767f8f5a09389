/* The set is a hash table of the seqs themselves. When it grows, they move to the larger table a few with each that is added, and stay in the smaller one until all have: no
 * single one waits for a million others. The sort is by digits of one byte, from the lowest up, and passes over digits that are the same in all: seqs of one walk
 * differ in few. */
#include "modules/doc/seq_set.h"
#include <stdlib.h>

#define FEW 64
#define MOVED_AT_ONCE 16
#define SLOTS_FEW  64
#define SLOTS_SOME 1024
#define SLOTS_MANY 16384

/* Where the seq is in a table, or would go. */
static uint64_t *place(uint64_t *slot, size_t cap, uint64_t seq)
{
    size_t mask = cap - 1, i = (seq * 0x9e3779b97f4a7c15ull >> 20) & mask;
    while (slot[i] && slot[i] != seq) i = (i + 1) & mask;
    return &slot[i];
}

static void move_some(struct seq_set *s)
{
    size_t end = s->moved + MOVED_AT_ONCE < s->old_cap ? s->moved + MOVED_AT_ONCE : s->old_cap;
    for (; s->moved < end; s->moved++) {
        uint64_t seq = s->old[s->moved];
        if (seq) *place(s->slot, s->cap, seq) = seq;
    }
    if (s->moved < s->old_cap) return;
    mem_free(s->old);
    s->old = NULL;
}

/* In great steps while it is small: a walk that has come so far will mostly go on, and moving everybody again costs more than the room. */
static size_t next_size(size_t cap)
{
    if (cap < SLOTS_FEW) return SLOTS_FEW;
    if (cap < SLOTS_SOME) return SLOTS_SOME;
    return cap < SLOTS_MANY ? SLOTS_MANY : cap * 2;
}

/* Those that still move are few, if any: before a table grows it takes a seq for every few places of the one before it. */
static void grow(struct seq_set *s)
{
    while (s->old) move_some(s);
    s->old = s->slot;
    s->old_cap = s->cap;
    s->moved = 0;
    s->cap = next_size(s->cap);
    s->slot = mem_zalloc(s->cap * sizeof *s->slot);
}

bool seq_set_add(struct seq_set *s, uint64_t seq)
{
    ASSERT(seq > 0);
    if ((s->n + 1) * 3 > s->cap * 2) grow(s);
    if (s->old) {
        if (*place(s->old, s->old_cap, seq)) return false;
        move_some(s);
    }
    uint64_t *at = place(s->slot, s->cap, seq);
    if (*at) return false;
    *at = seq;
    s->n++;
    return true;
}

void seq_set_fini(struct seq_set *s)
{
    mem_free(s->slot);
    mem_free(s->old);
    *s = (struct seq_set){0};
}

static int compare(const void *a, const void *b)
{
    uint64_t x = get_u64(a), y = get_u64(b);
    return (x > y) - (x < y);
}

static void pass(const uint64_t *from, uint64_t *to, size_t n, unsigned shift)
{
    size_t at[256] = {0};
    for (size_t i = 0; i < n; i++) at[from[i] >> shift & 255]++;
    for (size_t digit = 0, sum = 0; digit < 256; digit++) {
        size_t count = at[digit];
        at[digit] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++) to[at[from[i] >> shift & 255]++] = from[i];
}

void seq_sort(uint64_t *seq, size_t n)
{
    uint64_t differ = 0;
    bool sorted = true;
    for (size_t i = 1; i < n; i++) {
        differ |= seq[i] ^ seq[0];
        sorted &= seq[i - 1] <= seq[i];
    }
    if (sorted) return;
    if (n <= FEW) {
        qsort(seq, n, sizeof *seq, compare);
        return;
    }
    uint64_t *other = mem_alloc(n * sizeof *other), *from = seq, *to = other;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if ((differ >> shift & 255) == 0) continue;
        pass(from, to, n, shift);
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != seq) memcpy(seq, from, n * sizeof *seq);
    mem_free(other);
}
