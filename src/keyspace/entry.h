/* One key in memory: a single allocation.
 *
 *    0 header, 32 bytes
 *   32 key bytes
 *      [ENTRY_EXPIRES] u64 expiry, Unix ms
 *      [ENTRY_WEIGHED] u64 log bytes of effects since the last base
 *      [ENTRY_HASHED]  32B hash of the head node
 *      [ENTRY_LOADED]  value bytes, then slack up to `room_bytes`
 *
 * The optional parts stand behind the key, so that a look-up compares at a fixed place. A new value that fits is written in
 * place; sizes are rounded up to what the allocator hands out anyway, which makes most overwrites fit.
 *
 * An entry of type TYPE_NONE says that the key is absent; its head and version number go on. Not thread-safe: whoever
 * holds the key's stripe may touch it. */
#ifndef VARVE_KEYSPACE_ENTRY_H
#define VARVE_KEYSPACE_ENTRY_H

#include "base/codec.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"

enum entry_mark {
    ENTRY_LOADED = 1, /* the value is here */
    ENTRY_EXPIRES = 2,
    ENTRY_WEIGHED = 4,
    ENTRY_HASHED = 8,
    ENTRY_RAW = 16,        /* NODE_ENC_RAW */
    ENTRY_USED = 32,       /* read or written since the hand came by */
    ENTRY_TOUCHED = 64,    /* changed by the open batch: its earlier state is kept for undo */
    ENTRY_TIMED_OUT = 128, /* absent because its expiry came */
};
#define ENTRY_SLOTS (ENTRY_EXPIRES | ENTRY_WEIGHED | ENTRY_HASHED)

struct entry {
    uint64_t head; /* seq of the newest node */
    uint32_t ver_low;
    uint16_t ver_high;
    uint8_t type;         /* enum node_type; TYPE_NONE = absent */
    uint8_t marks;        /* enum entry_mark */
    uint32_t value_bytes; /* 0 unless loaded */
    uint32_t room_bytes;  /* of the whole allocation */
    uint32_t used_s : 24; /* second of the last access, modulo 2^24 */
    uint32_t freq : 8;    /* logarithmic access counter */
    uint16_t key_bytes;
    uint16_t as_text; /* not 0: KS_ENC_TEXT */
};
#define ENTRY_HEADER_BYTES 32
_Static_assert(sizeof(struct entry) == ENTRY_HEADER_BYTES, "the header is half a cache line");

static inline uint64_t entry_ver(const struct entry *e)
{
    return e->ver_low | (uint64_t)e->ver_high << 32;
}
static inline void entry_set_ver(struct entry *e, uint64_t v)
{
    e->ver_low = (uint32_t)v;
    e->ver_high = (uint16_t)(v >> 32);
}
static inline uint8_t *entry_bytes(const struct entry *e)
{
    return (uint8_t *)(uintptr_t)e + ENTRY_HEADER_BYTES;
}
static inline slice entry_key(const struct entry *e)
{
    return (slice){entry_bytes(e), e->key_bytes};
}
static inline size_t entry_slot_bytes(unsigned marks)
{
    return (marks & ENTRY_EXPIRES ? 8u : 0u) + (marks & ENTRY_WEIGHED ? 8u : 0u) + (marks & ENTRY_HASHED ? HASH_BYTES : 0u);
}
static inline uint8_t *entry_slots(const struct entry *e)
{
    return entry_bytes(e) + e->key_bytes;
}
static inline uint8_t *entry_value_at(const struct entry *e)
{
    return entry_slots(e) + entry_slot_bytes(e->marks);
}
static inline slice entry_value(const struct entry *e)
{
    return (slice){entry_value_at(e), e->value_bytes};
}
static inline size_t entry_value_room(const struct entry *e)
{
    return e->room_bytes - ENTRY_HEADER_BYTES - e->key_bytes - entry_slot_bytes(e->marks);
}
static inline bool entry_live(const struct entry *e)
{
    return e->type != 0;
}
static inline uint64_t entry_expiry(const struct entry *e)
{
    return e->marks & ENTRY_EXPIRES ? get_u64(entry_slots(e)) : 0;
}
static inline void entry_set_expiry(struct entry *e, uint64_t ms)
{
    ASSERT((e->marks & ENTRY_EXPIRES) != 0);
    put_u64(entry_slots(e), ms);
}
static inline uint8_t *entry_weight_at(const struct entry *e)
{
    return entry_slots(e) + (e->marks & ENTRY_EXPIRES ? 8 : 0);
}
static inline uint64_t entry_weight(const struct entry *e)
{
    return e->marks & ENTRY_WEIGHED ? get_u64(entry_weight_at(e)) : 0;
}
static inline const uint8_t *entry_hash(const struct entry *e)
{
    return e->marks & ENTRY_HASHED ? entry_weight_at(e) + (e->marks & ENTRY_WEIGHED ? 8 : 0) : NULL;
}

/* A new entry for `key` (at most NODE_KEY_MAX), all zero but the layout: slots of `marks` and value_bytes (at most NODE_PAYLOAD_MAX). */
struct entry *entry_new(slice key, unsigned marks, size_t value_bytes, size_t extra);

enum entry_how { ENTRY_REUSE = 0, ENTRY_FRESH = 1, ENTRY_KEEP_VALUE = 2 };
/* Lays `e` out for the slots in `marks` (others of its marks are replaced by those given too) and a value of value_bytes with
 * `extra` bytes to grow. Slots that both layouts have keep their content; with ENTRY_KEEP_VALUE the value's first bytes do,
 * else the value is not defined. Returns `e` itself when it fits and ENTRY_FRESH is not set, else a new allocation: the
 * caller then owns both. */
struct entry *entry_shape(struct entry *e, unsigned marks, size_t value_bytes, size_t extra, unsigned how);
void entry_free(struct entry **e);
void entry_check(const struct entry *e);

#endif
