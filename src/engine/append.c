/* Appending: the hot path, and batches.
 *
 * A single node goes straight into the ring: size, reserve, encode in place, seal, publish. No lock, no allocation and no system call
 * besides the vDSO clock. A batch encodes into its own buffer, because its size is not known before commit, and is copied into the ring as one
 * reservation; the caller keeps other appenders out, so its seqs are known from the start (asserted at commit).
 *
 * Times: a node gets its caller's time or the clock's, and never one below the largest given so far. Two writers in parallel may still place
 * their nodes the other way round by a millisecond; whoever searches by time uses the running maximum (the fold's T range). */
#include "engine/own.h"

#include "base/mem.h"

#define BATCH_BYTES_MAX (4ull << 30)

struct batch {
    struct engine *e;
    struct buf records; /* length words are zero: published last */
    uint32_t *words;
    struct {
        size_t at, bytes; /* in records */
    } *nodes;
    size_t n, cap;
    size_t last_off, last_bytes; /* of the newest record, sealed when it is known whether one follows */
    uint64_t first_seq, ts_ms;
    bool too_big;
};

void append_raise_clock(struct engine *e, uint64_t ms)
{
    _Atomic uint64_t *newest = &e->own->newest_ms;
    uint64_t now = atomic_load_explicit(newest, memory_order_relaxed);
    while (ms > now && !atomic_compare_exchange_weak_explicit(newest, &now, ms, memory_order_relaxed, memory_order_relaxed)) {}
}

uint64_t engine_now_ms(struct engine *e)
{
    uint64_t wall = os_wall_us(e->os) / 1000;
    uint64_t newest = atomic_load_explicit(&e->own->newest_ms, memory_order_relaxed);
    return wall > newest ? wall : newest;
}

/* The node's time: `asked`, or the clock, but not below what was given before. */
static uint64_t stamp(struct engine *e, uint64_t asked)
{
    uint64_t newest = atomic_load_explicit(&e->own->newest_ms, memory_order_relaxed);
    uint64_t ms = asked ? asked : os_wall_us(e->os) / 1000;
    if (ms <= newest) return newest;
    append_raise_clock(e, ms);
    return ms;
}

/* One node into the ring. copy: NULL, or see engine_append_copy. */
static inline int append(struct engine *e, struct node *n, bool want_hash, struct node_copy *copy, struct receipt *out)
{
    ASSERT(n->op >= NODE_PUT && n->op <= NODE_FILLER);
    ASSERT(out);
    struct engine_own *own = e->own;
    n->commit_pos = 0; /* before node_size, which counts it */
    size_t bytes = node_size(n);
    struct ring_slot slot;
    int rc = ring_reserve(e->ring, record_size(bytes), 1, &slot);
    if (rc < 0) return rc;
    n->seq = slot.first_seq;
    n->ts_ms = stamp(e, n->ts_ms);
    os_random(e->os, n->salt, NODE_SALT_BYTES);
    uint8_t *node = slot.at + RECORD_HEADER_BYTES;
    uint8_t *end = node_encode(n, node);
    DEBUG_ASSERT(end == node + bytes);
    (void)end;
    if (copy) {
        want_hash = bytes > copy->room;
        copy->bytes = want_hash ? 0 : bytes;
        if (!want_hash) memcpy(copy->at, node, bytes);
    }
    if (want_hash) blake2b_256(out->hash, node, bytes);
    out->seq = slot.first_seq;
    out->end = slot.end;
    ring_publish_one(e->ring, &slot, record_seal(slot.at, bytes, false));
    if (want_hash) hash_shelf_put(own->shelf, out->seq, out->hash);
    uint64_t written = atomic_load_explicit(&own->written_bytes, memory_order_relaxed);
    uint64_t indexed = atomic_load_explicit(&own->indexed_bytes, memory_order_relaxed);
    if (__builtin_expect(written > indexed + INDEXER_LAG_BYTES, 0)) indexer_help(e);
    return E_OK;
}

int engine_append(struct engine *e, struct node *n, bool want_hash, struct receipt *out)
{
    return append(e, n, want_hash, NULL, out);
}

int engine_append_copy(struct engine *e, struct node *n, struct node_copy *copy, struct receipt *out)
{
    ASSERT(copy && copy->at);
    return append(e, n, false, copy, out);
}

void engine_hash_known(struct engine *e, uint64_t seq, const uint8_t hash[HASH_BYTES])
{
    ASSERT(e && e->own);
    DEBUG_ASSERT(seq > 0 && seq <= ring_reserved_seq(e->ring));
    hash_shelf_put(e->own->shelf, seq, hash);
}

struct batch *engine_batch_begin(struct engine *e)
{
    ASSERT(e && e->ring);
    struct batch *b = mem_zalloc(sizeof(*b));
    b->e = e;
    b->first_seq = ring_reserved_seq(e->ring) + 1;
    ASSERT(b->first_seq > 0);
    return b;
}

static void seal_last(struct batch *b, bool more)
{
    ASSERT(b->n > 0);
    b->words[b->n - 1] = record_seal(b->records.p + b->last_off, b->last_bytes, more);
}

void engine_batch_add(struct batch *b, struct node *n, bool want_hash, struct receipt *out)
{
    ASSERT(b && n);
    n->seq = b->first_seq + b->n;
    n->commit_pos = (uint32_t)b->n;
    if (b->n == 0) b->ts_ms = stamp(b->e, n->ts_ms);
    n->ts_ms = b->ts_ms; /* one commit, one time */
    os_random(b->e->os, n->salt, NODE_SALT_BYTES);
    size_t bytes = node_size(n), size = record_size(bytes);
    if (out) *out = (struct receipt){.seq = n->seq};
    if (b->n >= RING_COMMIT_NODES_MAX || b->records.n + size > BATCH_BYTES_MAX) b->too_big = true;
    if (b->too_big) return;
    if (b->n) seal_last(b, true);
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 16;
        b->words = mem_realloc(b->words, b->cap * sizeof(*b->words));
        b->nodes = mem_realloc(b->nodes, b->cap * sizeof(*b->nodes));
    }
    uint8_t *rec = buf_reserve(&b->records, size);
    memset(rec, 0, RECORD_HEADER_BYTES);
    uint8_t *end = node_encode(n, rec + RECORD_HEADER_BYTES);
    ASSERT(end == rec + RECORD_HEADER_BYTES + bytes);
    if (want_hash && out) blake2b_256(out->hash, rec + RECORD_HEADER_BYTES, bytes);
    b->nodes[b->n].at = b->records.n + RECORD_HEADER_BYTES;
    b->nodes[b->n].bytes = bytes;
    b->last_off = b->records.n;
    b->last_bytes = bytes;
    b->records.n += size;
    b->n++;
}

bool engine_batch_hash(const struct batch *b, uint64_t seq, uint8_t hash[HASH_BYTES])
{
    slice raw;
    ASSERT(b);
    ASSERT(hash);
    if (!engine_batch_raw(b, seq, &raw)) return false;
    blake2b_256(hash, raw.p, raw.n);
    return true;
}

bool engine_batch_raw(const struct batch *b, uint64_t seq, slice *raw)
{
    ASSERT(b);
    ASSERT(raw);
    if (seq < b->first_seq || seq - b->first_seq >= b->n) return false;
    size_t i = (size_t)(seq - b->first_seq);
    *raw = slice_of(b->records.p + b->nodes[i].at, b->nodes[i].bytes);
    return true;
}

size_t engine_batch_count(const struct batch *b)
{
    ASSERT(b);
    return b->n;
}

int engine_batch_commit(struct batch **batch, uint64_t *end)
{
    ASSERT(batch && *batch);
    ASSERT(end);
    struct batch *b = *batch;
    struct engine *e = b->e;
    int rc = E_OK;
    if (b->too_big) {
        rc = E_TOOBIG;
    } else if (b->n == 0) {
        *end = ring_reserved_end(e->ring);
    } else {
        struct ring_slot slot;
        seal_last(b, false);
        rc = ring_reserve(e->ring, b->records.n, (uint32_t)b->n, &slot);
        if (rc == E_OK) {
            ASSERT(slot.first_seq == b->first_seq);                  /* somebody appended while the batch was open */
            memcpy(slot.at + 4, b->records.p + 4, b->records.n - 4); /* a drainer may be looking at the first word */
            ring_publish(e->ring, &slot, b->words);
            *end = slot.end;
        }
    }
    engine_batch_abort(batch);
    return rc;
}

void engine_batch_abort(struct batch **batch)
{
    ASSERT(batch);
    struct batch *b = *batch;
    if (!b) return;
    ASSERT(b->n <= RING_COMMIT_NODES_MAX);
    buf_fini(&b->records);
    mem_free(b->words);
    mem_free(b->nodes);
    mem_free(b);
    *batch = NULL;
}
