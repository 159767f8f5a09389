/* See index_chunk.h. Freezing sorts and drops older duplicates; merging is a tournament over cached prefixes.
 *
 * Which chunks to merge: nothing up to INDEX_CHUNKS_AIM, then the newest ones as far back as the next one is at most twice their sum. So sizes
 * grow threefold where they could not be merged, the number stays near log3(entries), and 200,000 single puts rewrite an entry 9 times.
 * Large ones are merged up to their sum only, and not at all while nobody reads (index.c): a flush takes any number of chunks in one pass. */
#include "engine/index_chunk.h"

#include "base/mem.h"
#include "engine/index.h"

enum { COPY_AHEAD = 8, PACK_BYTES = 2 * INDEX_BUFFER_BLOCK_BYTES };
enum { LANE_AHEAD = 3 }; /* records of a lane that are on their way from memory */

static struct index_chunk *chunk_new(struct index_buffer *home, size_t n, size_t n_blocks)
{
    struct index_chunk *c = mem_alloc(sizeof *c + n * sizeof c->ref[0] + n_blocks * sizeof *c->blocks);
    atomic_init(&c->refs, 1);
    c->home = home;
    c->n = n;
    c->bytes = c->filtered = 0;
    c->n_blocks = n_blocks;
    c->blocks = (struct buffer_block **)(void *)(c->ref + n);
    return c;
}

static bool same_key(const struct ref *a, const struct ref *b)
{
    return a->prefix == b->prefix && slice_eq(record_key(a->record), record_key(b->record));
}

/* Keeps the first of equal keys. */
static size_t drop_duplicates(struct ref *a, size_t n)
{
    size_t o = 1;
    for (size_t i = 1; i < n; i++)
        if (!same_key(&a[o - 1], &a[i])) a[o++] = a[i];
    return o;
}

/* Moves the records into blocks of the chunk's own, in the order of their keys. A large chunk is merged when its records have long left the
 * cache; in order they come back line by line, and a fetch of each from all over the arena costs 150 ns. */
static void pack(struct index_chunk *c)
{
    struct buffer_block **own = mem_alloc((2 * c->n_blocks + 1) * sizeof *own); /* two neighbours hold more than one full block */
    size_t n_own = 0;
    uint8_t *at = NULL, *end = NULL;
    for (size_t i = 0; i < c->n; i++) {
        if (i + COPY_AHEAD < c->n) __builtin_prefetch(c->ref[i + COPY_AHEAD].record);
        size_t n = record_bytes(c->ref[i].record);
        if ((size_t)(end - at) < n) {
            ASSERT(n_own < 2 * c->n_blocks + 1);
            struct buffer_block *k = own[n_own++] = index_buffer_room(c->home, n);
            at = k->data;
            end = at + k->bytes;
        }
        memcpy(at, c->ref[i].record, n);
        c->ref[i].record = at;
        at += n;
    }
    for (size_t i = 0; i < c->n_blocks; i++) index_buffer_drop(c->home, c->blocks[i]);
    memcpy(c->blocks, own, n_own * sizeof *own);
    c->n_blocks = n_own;
    mem_free(own);
}

struct index_chunk *index_chunk_freeze(struct index_buffer *b, const struct buffer_step *upto)
{
    uint64_t from = atomic_load_explicit(&b->frozen_no, memory_order_relaxed);
    ASSERT(upto->no > from);
    ASSERT(upto->bytes > b->frozen_bytes);
    size_t n = (size_t)(upto->no - from);
    size_t n_blocks = index_buffer_blocks(b, upto->no);
    struct index_chunk *c = chunk_new(b, n, 2 * n_blocks + 1);
    c->n_blocks = n_blocks;
    index_buffer_gather(b, upto->no, c->ref, c->blocks);
    if (n > 1) {
        struct ref *tmp = n > 16 ? mem_alloc(n * sizeof *tmp) : NULL;
        index_sort_refs(c->ref, tmp, n);
        mem_free(tmp);
        c->n = drop_duplicates(c->ref, n);
    }
    c->bytes = upto->bytes - b->frozen_bytes;
    c->filtered = upto->filtered - b->frozen_filtered;
    if (c->bytes >= PACK_BYTES) pack(c);
    return c;
}

/* ---- merging: a loser tree; lane 0 is the newest, and an exhausted lane loses to all ---- */
struct lane {
    const struct ref *at, *end;
};
/* A lane as it stands in the tree, with the prefix of its entry: one comparison decides nearly always. UINT64_MAX when exhausted. */
struct player {
    uint64_t prefix, lane;
};
struct tournament {
    struct lane lane[INDEX_CHUNK_SOURCES_MAX];
    struct player loser[INDEX_CHUNK_SOURCES_MAX]; /* [0] is the winner */
    unsigned k;
};

/* Decides between equal prefixes. */
static bool beats_in_full(const struct tournament *t, uint64_t a, uint64_t b)
{
    const struct lane *x = &t->lane[a], *y = &t->lane[b];
    if (x->at == x->end) return false;
    if (y->at == y->end) return true;
    int c = ref_cmp(x->at, y->at);
    return c ? c < 0 : a < b;
}

static struct player enter(const struct tournament *t, uint64_t lane)
{
    const struct lane *l = &t->lane[lane];
    return (struct player){l->at == l->end ? UINT64_MAX : l->at->prefix, lane};
}

/* The exchange is by masks: which of two lanes wins is a coin toss that no branch predictor can know. */
static void replay(struct tournament *t, uint64_t lane)
{
    struct player w = enter(t, lane);
    for (uint64_t node = (lane + t->k) / 2; node > 0; node /= 2) {
        struct player n = t->loser[node];
        uint64_t swap = n.prefix < w.prefix;
        if (__builtin_expect(n.prefix == w.prefix, 0)) swap = beats_in_full(t, n.lane, w.lane);
        uint64_t mask = -swap, p = (n.prefix ^ w.prefix) & mask, l = (n.lane ^ w.lane) & mask;
        t->loser[node] = (struct player){n.prefix ^ p, n.lane ^ l};
        w.prefix ^= p;
        w.lane ^= l;
    }
    t->loser[0] = w;
}

static struct player play(struct tournament *t, unsigned node)
{
    if (node >= t->k) return enter(t, node - t->k);
    struct player a = play(t, 2 * node), b = play(t, 2 * node + 1);
    bool first = a.prefix != b.prefix ? a.prefix < b.prefix : beats_in_full(t, a.lane, b.lane);
    t->loser[node] = first ? b : a;
    return first ? a : b;
}

static void start(struct tournament *t, struct index_chunk *const *chunks, size_t k)
{
    ASSERT(k >= 1 && k <= INDEX_CHUNK_SOURCES_MAX);
    t->k = (unsigned)k;
    for (size_t i = 0; i < k; i++) {
        ASSERT(chunks[i]->home == chunks[0]->home);
        t->lane[i] = (struct lane){chunks[i]->ref, chunks[i]->ref + chunks[i]->n};
    }
    t->loser[0] = play(t, 1);
}

/* The next entry, older ones of its key passed by; NULL at the end. Sorted order is random order in the arena: records are asked for early. */
static const struct ref *next(struct tournament *t, const struct ref *last)
{
    for (;;) {
        struct lane *w = &t->lane[t->loser[0].lane];
        const struct ref *r = w->at;
        if (r == w->end) return NULL;
        if (w->end - r > LANE_AHEAD) {
            __builtin_prefetch(r[LANE_AHEAD].record);
            __builtin_prefetch(r[LANE_AHEAD].record + 64);
        }
        w->at++;
        replay(t, t->loser[0].lane);
        if (!last || !same_key(last, r)) return r;
    }
}

int index_chunk_each(struct index_chunk *const *chunks, size_t k, int (*fn)(void *ctx, const uint8_t *record), void *ctx)
{
    struct tournament t;
    int rc = E_OK;
    start(&t, chunks, k);
    for (const struct ref *r = NULL; rc == E_OK && (r = next(&t, r)) != NULL;) rc = fn(ctx, r->record);
    return rc;
}

struct index_chunk *index_chunk_merge(struct index_chunk *const *chunks, size_t k)
{
    struct tournament t;
    start(&t, chunks, k);
    size_t n = 0, n_blocks = 0;
    for (size_t i = 0; i < k; i++) {
        n += chunks[i]->n;
        n_blocks += chunks[i]->n_blocks;
    }
    struct index_chunk *c = chunk_new(chunks[0]->home, n, n_blocks);
    c->n = 0;
    for (const struct ref *r = NULL; (r = next(&t, r)) != NULL;) c->ref[c->n++] = *r;
    c->n_blocks = 0;
    for (size_t i = k; i-- > 0;) {
        c->bytes += chunks[i]->bytes;
        c->filtered += chunks[i]->filtered;
        for (size_t j = 0; j < chunks[i]->n_blocks; j++) {
            struct buffer_block *b = chunks[i]->blocks[j];
            if (c->n_blocks && c->blocks[c->n_blocks - 1] == b) continue; /* neighbours share a block */
            index_buffer_hold(b);
            c->blocks[c->n_blocks++] = b;
        }
    }
    return c;
}

size_t index_chunk_due(struct index_chunk *const *chunks, size_t n, size_t limit)
{
    ASSERT(limit > 0 && n > 0);
    if (n <= INDEX_CHUNKS_AIM) return 0;
    size_t k = 1, sum = chunks[0]->n;
    while (k < n && k < INDEX_CHUNK_SOURCES_MAX && chunks[k]->n <= (sum < INDEX_CHUNK_ENTRIES ? 2 * sum : sum)) {
        if (sum + chunks[k]->n > limit) break;
        sum += chunks[k++]->n;
    }
    return k > 1 ? k : 0;
}

void index_chunk_hold(struct index_chunk *c)
{
    unsigned before = atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
}

void index_chunk_drop(struct index_chunk *c)
{
    unsigned before = atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) return;
    for (size_t i = 0; i < c->n_blocks; i++) index_buffer_drop(c->home, c->blocks[i]);
    mem_free(c);
}

size_t index_chunk_seek(const struct index_chunk *c, slice key)
{
    ASSERT(c->n > 0);
    uint64_t p = key_prefix(key);
    size_t lo = 0, n = c->n;
    while (n > 0) {
        size_t h = n / 2;
        const struct ref *r = &c->ref[lo + h];
        bool below = r->prefix != p ? r->prefix < p : slice_cmp(record_key(r->record), key) < 0;
        lo += below ? h + 1 : 0;
        n = below ? n - h - 1 : h;
    }
    return lo;
}
