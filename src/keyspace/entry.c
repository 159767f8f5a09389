#include "keyspace/entry.h"
#include "base/mem.h"
#include "engine/engine.h"

/* The next size that a size-class allocator (four classes to each doubling) has: asking for all of it costs nothing. */
static size_t class_round(size_t n)
{
    ASSERT(n >= ENTRY_HEADER_BYTES);
    if (n <= 128) return (n + 15) & ~(size_t)15;
    unsigned top = 63 - (unsigned)__builtin_clzll(n - 1);
    size_t step = (size_t)1 << (top - 2);
    return (n + step - 1) & ~(step - 1);
}

struct entry *entry_new(slice key, unsigned marks, size_t value_bytes, size_t extra)
{
    ASSERT(key.n <= NODE_KEY_MAX && value_bytes <= NODE_PAYLOAD_MAX);
    ASSERT(key.p != NULL || key.n == 0);
    size_t slots = entry_slot_bytes(marks);
    size_t room = class_round(ENTRY_HEADER_BYTES + key.n + slots + value_bytes + extra);
    struct entry *e = mem_alloc(room);
    memset(e, 0, sizeof *e);
    e->room_bytes = (uint32_t)room;
    e->key_bytes = (uint16_t)key.n;
    e->marks = (uint8_t)marks;
    e->value_bytes = (uint32_t)value_bytes;
    if (key.n > 0) memcpy(entry_bytes(e), key.p, key.n);
    if (slots > 0) memset(entry_slots(e), 0, slots);
    return e;
}

/* The optional parts, taken out while an entry is laid out anew. */
struct slots {
    uint64_t expiry, weight;
    uint8_t hash[HASH_BYTES];
};

static void slots_take(const struct entry *e, struct slots *s)
{
    s->expiry = entry_expiry(e);
    s->weight = entry_weight(e);
    const uint8_t *hash = entry_hash(e);
    if (hash != NULL)
        memcpy(s->hash, hash, HASH_BYTES);
    else
        memset(s->hash, 0, HASH_BYTES);
}

static void slots_give(struct entry *e, const struct slots *s)
{
    uint8_t *p = entry_slots(e);
    if (e->marks & ENTRY_EXPIRES) put_u64(p, s->expiry), p += 8;
    if (e->marks & ENTRY_WEIGHED) put_u64(p, s->weight), p += 8;
    if (e->marks & ENTRY_HASHED) memcpy(p, s->hash, HASH_BYTES);
}

/* A big allocation that would be more than half empty is given back. */
static bool worth_keeping(size_t room, size_t need)
{
    return room <= 512 || need >= room / 2;
}

struct entry *entry_shape(struct entry *e, unsigned marks, size_t value_bytes, size_t extra, unsigned how)
{
    ASSERT(e != NULL && value_bytes <= NODE_PAYLOAD_MAX);
    size_t need = ENTRY_HEADER_BYTES + e->key_bytes + entry_slot_bytes(marks) + value_bytes;
    bool fits = need <= e->room_bytes && worth_keeping(e->room_bytes, need) && !(how & ENTRY_FRESH);
    if (fits && ((marks ^ e->marks) & ENTRY_SLOTS) == 0) {
        e->marks = (uint8_t)marks;
        e->value_bytes = (uint32_t)value_bytes;
        return e;
    }
    struct slots s;
    slots_take(e, &s);
    slice old = entry_value(e);
    struct entry *to = e;
    if (!fits) {
        size_t room = class_round(need + extra);
        to = mem_alloc(room);
        memcpy(to, e, ENTRY_HEADER_BYTES + (size_t)e->key_bytes);
        to->room_bytes = (uint32_t)room;
    }
    to->marks = (uint8_t)marks;
    to->value_bytes = (uint32_t)value_bytes;
    size_t keep = how & ENTRY_KEEP_VALUE ? (old.n < value_bytes ? old.n : value_bytes) : 0;
    if (keep > 0) memmove(entry_value_at(to), old.p, keep); /* before the slots: in place it may lie under them */
    slots_give(to, &s);
    return to;
}

void entry_free(struct entry **e)
{
    ASSERT(e != NULL);
    mem_free(*e);
    *e = NULL;
}

void entry_check(const struct entry *e)
{
    ASSERT(e->type <= TYPE_MODULE);
    ASSERT(e->head != 0 && entry_ver(e) != 0);
    ASSERT(ENTRY_HEADER_BYTES + e->key_bytes + entry_slot_bytes(e->marks) + e->value_bytes <= e->room_bytes);
    ASSERT(e->marks & ENTRY_LOADED || e->value_bytes == 0);
    ASSERT(entry_live(e) || !(e->marks & (ENTRY_LOADED | ENTRY_EXPIRES | ENTRY_WEIGHED | ENTRY_RAW)));
    ASSERT(!entry_live(e) || !(e->marks & ENTRY_TIMED_OUT));
    ASSERT(!(e->marks & ENTRY_EXPIRES) || entry_expiry(e) != 0);
}
