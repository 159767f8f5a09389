/* The index's write buffer: an arena that one writer fills and that readers freeze piece by piece.
 *
 * Records lie in blocks of about 256 KiB: records grow from the front, references ({8-byte key prefix, record}) from the back, so a put
 * is two bumps and two copies. Entries are numbered in put order; index_buffer_step publishes a number, and everything below it is immutable
 * and visible to whoever reads that number. Nothing here is locked for a put.
 *
 * Threads: put and step by the one writer. stepped and pending from any thread. gather by one thread at a time (the index's change lock).
 * Block references may be dropped from any thread; empty blocks return to a pool, because a fresh page costs more than filling it. */
#ifndef VARVE_ENGINE_INDEX_BUFFER_H
#define VARVE_ENGINE_INDEX_BUFFER_H

#include "base/codec.h"
#include "base/thread.h"
#include <stdatomic.h>

#define INDEX_BUFFER_BLOCK_BYTES (256u << 10)

/* A record: u64 head (19 bits key length, 21 bits value length, 19 bits filter_n, 1 bit tombstone), key, value. */
#define RECORD_HEAD_BYTES 8

struct ref {
    uint64_t prefix; /* the key's first 8 bytes, big-endian, zero-padded */
    const uint8_t *record;
};

struct buffer_block {
    atomic_uint refs;
    uint32_t bytes; /* of data */
    uint64_t first_no;
    _Atomic(struct buffer_block *) next; /* release by the writer, acquire by gather */
    _Alignas(16) uint8_t data[];
};

/* What one step published. */
struct buffer_step {
    uint64_t no;     /* entries put so far */
    uint64_t bytes;  /* memory they take */
    uint64_t covers;
    uint64_t filtered;   /* entries put so far that have a filter prefix */
};

struct index_buffer {
    /* the writer's own */
    struct buffer_block *current;
    uint8_t *at;      /* next record */
    struct ref *refs; /* the newest reference; the next one goes below */
    uint64_t put_no, put_bytes, put_filtered;
    /* a sequence lock: odd while the others are being written */
    atomic_uint_fast64_t step_lock, step_no, step_bytes, step_covers, step_filtered;
    /* gather's own; frozen_no is also read by pending */
    struct buffer_block *tail;
    atomic_uint_fast64_t frozen_no;
    uint64_t frozen_bytes, frozen_filtered;
    /* the pool */
    struct mutex *lock;
    struct buffer_block *pool;
    size_t pool_n, pool_max;
    atomic_size_t memory_bytes;
};

void index_buffer_init(struct index_buffer *b, struct mutex *pool_lock, size_t pool_bytes, uint64_t covers);
void index_buffer_fini(struct index_buffer *b); /* every gathered block must have been dropped */
void index_buffer_put(struct index_buffer *b, slice key, slice value, size_t filter_n, bool tombstone);
void index_buffer_step(struct index_buffer *b, uint64_t covers);
struct buffer_step index_buffer_stepped(const struct index_buffer *b);
/* Entries stepped but not yet gathered. */
static inline uint64_t index_buffer_pending(const struct index_buffer *b)
{
    uint64_t frozen = atomic_load_explicit(&b->frozen_no, memory_order_acquire);
    uint64_t no = atomic_load_explicit(&b->step_no, memory_order_acquire);
    return no > frozen ? no - frozen : 0;
}
/* Blocks that hold the entries [frozen_no, upto): for sizing gather's output. */
size_t index_buffer_blocks(const struct index_buffer *b, uint64_t upto);
/* Copies the references of [frozen_no, upto), newest first, and the blocks, oldest first, each with a reference of its own. Does not move frozen_no. */
void index_buffer_gather(struct index_buffer *b, uint64_t upto, struct ref *refs, struct buffer_block **blocks);
/* Everything below upto is in a chunk that readers can see. */
void index_buffer_frozen(struct index_buffer *b, const struct buffer_step *upto);
/* A block outside the chain with room for `need` bytes at least, for copies of records; one reference. Any thread. */
struct buffer_block *index_buffer_room(struct index_buffer *b, size_t need);
/* Frees the pooled blocks. Any thread. */
void index_buffer_release(struct index_buffer *b);
void index_buffer_hold(struct buffer_block *k);
void index_buffer_drop(struct index_buffer *b, struct buffer_block *k);

static inline uint64_t key_prefix(slice key)
{
    if (key.n >= 8) return get_be64(key.p);
    uint8_t pad[8] = {0};
    if (key.n) memcpy(pad, key.p, key.n);
    return get_be64(pad);
}
static inline uint64_t record_head(const uint8_t *r) { return get_u64(r); }
static inline slice record_key(const uint8_t *r) { return slice_of(r + RECORD_HEAD_BYTES, record_head(r) & 0x7ffff); }
static inline slice record_value(const uint8_t *r)
{
    uint64_t h = record_head(r);
    return slice_of(r + RECORD_HEAD_BYTES + (h & 0x7ffff), h >> 19 & 0x1fffff);
}
static inline size_t record_bytes(const uint8_t *r) { return RECORD_HEAD_BYTES + (record_head(r) & 0x7ffff) + (record_head(r) >> 19 & 0x1fffff); }
static inline size_t record_filter_n(const uint8_t *r) { return record_head(r) >> 40 & 0x7ffff; }
static inline bool record_tombstone(const uint8_t *r) { return record_head(r) >> 59 & 1; }

/* Bytewise order of the keys; <0, 0, >0. Touches the records only when the prefixes are equal. */
static inline int ref_cmp(const struct ref *a, const struct ref *b)
{
    if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
    return slice_cmp(record_key(a->record), record_key(b->record));
}

#endif
