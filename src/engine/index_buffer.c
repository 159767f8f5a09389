/* See index_buffer.h.
 *
 * Invariants:
 *  1. references and records of entries below step_no never change;
 *  2. a block's entry count is next->first_no - first_no, and next is set before any entry of the next block is stepped;
 *  3. the chain from tail to current holds one reference on each block. */
#include "engine/index_buffer.h"

#include "base/mem.h"
#include "engine/index.h"

_Static_assert(INDEX_KEY_MAX < 1u << 19 && INDEX_VALUE_MAX < 1u << 21, "record head has 19 and 21 bits");

static struct ref *block_end(struct buffer_block *k) { return (struct ref *)(void *)(k->data + k->bytes); }

static struct buffer_block *block_new(struct index_buffer *b, size_t need, uint64_t first_no)
{
    struct buffer_block *k = NULL;
    size_t bytes = INDEX_BUFFER_BLOCK_BYTES - sizeof *k;
    if (need + sizeof(struct ref) > bytes) bytes = (need + sizeof(struct ref) + 15) & ~(size_t)15;
    if (bytes + sizeof *k == INDEX_BUFFER_BLOCK_BYTES) {
        mutex_lock(b->lock);
        k = b->pool;
        if (k) {
            b->pool = atomic_load_explicit(&k->next, memory_order_relaxed);
            b->pool_n--;
        }
        mutex_unlock(b->lock);
    }
    if (!k) {
        k = mem_alloc(sizeof *k + bytes);
        atomic_fetch_add_explicit(&b->memory_bytes, sizeof *k + bytes, memory_order_relaxed);
        k->bytes = (uint32_t)bytes;
    }
    atomic_init(&k->refs, 1);
    atomic_init(&k->next, NULL);
    k->first_no = first_no;
    return k;
}

static void block_free(struct index_buffer *b, struct buffer_block *k)
{
    atomic_fetch_sub_explicit(&b->memory_bytes, sizeof *k + k->bytes, memory_order_relaxed);
    mem_free(k);
}

static void enter(struct index_buffer *b, struct buffer_block *k)
{
    b->current = k;
    b->at = k->data;
    b->refs = block_end(k);
}

void index_buffer_init(struct index_buffer *b, struct mutex *pool_lock, size_t pool_bytes, uint64_t covers)
{
    ASSERT(b && pool_lock);
    memset(b, 0, sizeof *b);
    b->lock = pool_lock;
    b->pool_max = pool_bytes / INDEX_BUFFER_BLOCK_BYTES + 1;
    atomic_init(&b->step_covers, covers);
    struct buffer_block *k = block_new(b, 0, 0);
    enter(b, k);
    b->tail = k;
}

void index_buffer_fini(struct index_buffer *b)
{
    ASSERT(b && b->tail);
    for (struct buffer_block *k = b->tail, *next; k; k = next) {
        next = atomic_load_explicit(&k->next, memory_order_acquire);
        ASSERT(atomic_load(&k->refs) == 1);
        block_free(b, k);
    }
    for (struct buffer_block *k = b->pool, *next; k; k = next) {
        next = atomic_load_explicit(&k->next, memory_order_relaxed);
        block_free(b, k);
    }
    ASSERT(atomic_load(&b->memory_bytes) == 0);
    memset(b, 0, sizeof *b);
}

void index_buffer_put(struct index_buffer *b, slice key, slice value, size_t filter_n, bool tombstone)
{
    ASSERT(key.n <= INDEX_KEY_MAX && value.n <= INDEX_VALUE_MAX);
    ASSERT(filter_n <= key.n);
    size_t need = RECORD_HEAD_BYTES + key.n + value.n;
    if (__builtin_expect((size_t)((uint8_t *)b->refs - b->at) < need + sizeof(struct ref), 0)) {
        struct buffer_block *k = block_new(b, need, b->put_no);
        atomic_store_explicit(&b->current->next, k, memory_order_release);
        enter(b, k);
    }
    uint8_t *r = b->at;
    put_u64(r, key.n | (uint64_t)value.n << 19 | (uint64_t)filter_n << 40 | (uint64_t)tombstone << 59);
    if (key.n) memcpy(r + RECORD_HEAD_BYTES, key.p, key.n);
    if (value.n) memcpy(r + RECORD_HEAD_BYTES + key.n, value.p, value.n);
    b->at = r + need;
    *--b->refs = (struct ref){key_prefix(key), r};
    b->put_no++;
    b->put_bytes += need + sizeof(struct ref);
    b->put_filtered += filter_n > 0;
}

/* Each store releases, each load acquires: a reader that sees one new value also sees the odd lock word, so fences are not needed. */
void index_buffer_step(struct index_buffer *b, uint64_t covers)
{
    uint64_t s = atomic_load_explicit(&b->step_lock, memory_order_relaxed);
    ASSERT((s & 1) == 0);
    ASSERT(covers >= atomic_load_explicit(&b->step_covers, memory_order_relaxed));
    atomic_store_explicit(&b->step_lock, s + 1, memory_order_relaxed);
    atomic_store_explicit(&b->step_no, b->put_no, memory_order_release);
    atomic_store_explicit(&b->step_bytes, b->put_bytes, memory_order_release);
    atomic_store_explicit(&b->step_covers, covers, memory_order_release);
    atomic_store_explicit(&b->step_filtered, b->put_filtered, memory_order_release);
    atomic_store_explicit(&b->step_lock, s + 2, memory_order_release);
}

struct buffer_step index_buffer_stepped(const struct index_buffer *b)
{
    for (;;) {
        uint64_t s = atomic_load_explicit(&b->step_lock, memory_order_acquire);
        struct buffer_step step = {
            .no = atomic_load_explicit(&b->step_no, memory_order_acquire),
            .bytes = atomic_load_explicit(&b->step_bytes, memory_order_acquire),
            .covers = atomic_load_explicit(&b->step_covers, memory_order_acquire),
            .filtered = atomic_load_explicit(&b->step_filtered, memory_order_acquire),
        };
        if ((s & 1) == 0 && atomic_load_explicit(&b->step_lock, memory_order_relaxed) == s) return step;
    }
}

/* First entry number behind block k as far as `upto` needs to know. */
static uint64_t block_last(struct buffer_block *k, uint64_t upto, struct buffer_block **next)
{
    *next = atomic_load_explicit(&k->next, memory_order_acquire);
    return *next && (*next)->first_no < upto ? (*next)->first_no : upto;
}

size_t index_buffer_blocks(const struct index_buffer *b, uint64_t upto)
{
    uint64_t no = atomic_load_explicit(&b->frozen_no, memory_order_relaxed);
    ASSERT(no <= upto);
    size_t n = 0;
    for (struct buffer_block *k = b->tail, *next; no < upto; k = next) {
        ASSERT(k);
        uint64_t last = block_last(k, upto, &next);
        n += last > no;
        no = last;
    }
    return n;
}

void index_buffer_gather(struct index_buffer *b, uint64_t upto, struct ref *refs, struct buffer_block **blocks)
{
    uint64_t no = atomic_load_explicit(&b->frozen_no, memory_order_relaxed);
    ASSERT(no < upto);
    struct ref *out = refs + (upto - no);
    for (struct buffer_block *k = b->tail, *next; no < upto; k = next) {
        ASSERT(k && k->first_no <= no);
        uint64_t last = block_last(k, upto, &next);
        if (last == no) continue;
        /* Back to front in memory is newest first already. */
        size_t n = (size_t)(last - no);
        out -= n;
        memcpy(out, block_end(k) - (last - k->first_no), n * sizeof *out);
        atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
        *blocks++ = k;
        no = last;
    }
    ASSERT(out == refs);
}

void index_buffer_frozen(struct index_buffer *b, const struct buffer_step *upto)
{
    ASSERT(upto->no >= atomic_load_explicit(&b->frozen_no, memory_order_relaxed));
    ASSERT(upto->bytes >= b->frozen_bytes);
    for (;;) {
        struct buffer_block *k = b->tail, *next = atomic_load_explicit(&k->next, memory_order_acquire);
        if (!next || next->first_no > upto->no) break;
        b->tail = next;
        index_buffer_drop(b, k);
    }
    b->frozen_bytes = upto->bytes;
    b->frozen_filtered = upto->filtered;
    atomic_store_explicit(&b->frozen_no, upto->no, memory_order_release);
}

struct buffer_block *index_buffer_room(struct index_buffer *b, size_t need) { return block_new(b, need, UINT64_MAX); }

void index_buffer_hold(struct buffer_block *k)
{
    unsigned before = atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
}

void index_buffer_drop(struct index_buffer *b, struct buffer_block *k)
{
    unsigned before = atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) return;
    bool keep = false;
    if (k->bytes + sizeof *k == INDEX_BUFFER_BLOCK_BYTES) {
        mutex_lock(b->lock);
        keep = b->pool_n < b->pool_max;
        if (keep) {
            atomic_store_explicit(&k->next, b->pool, memory_order_relaxed);
            b->pool = k;
            b->pool_n++;
        }
        mutex_unlock(b->lock);
    }
    if (!keep) block_free(b, k);
}

void index_buffer_release(struct index_buffer *b)
{
    ASSERT(b && b->lock);
    mutex_lock(b->lock);
    struct buffer_block *k = b->pool;
    b->pool = NULL;
    b->pool_n = 0;
    mutex_unlock(b->lock);
    for (struct buffer_block *next; k; k = next) {
        next = atomic_load_explicit(&k->next, memory_order_relaxed);
        block_free(b, k);
    }
}
