#include "tool/node_bytes.h"

#include "base/codec.h"

#define KEY_MOST 65535u
#define PAYLOAD_MOST (1u << 30)
#define CAUSES_MOST 1024u
#define KNOWN_BITS 2047u

static const char *const ops[] = {"?", "put", "effect", "meta", "delete", "expire", "flush", "swap", "filler"};
static const char *const types[] = {"none", "string", "list", "set", "zset", "hash", "stream", "document", "module"};
static const char *const spaces[] = {"key", "link", "tag", "retain", "sorted"};

const char *node_bytes_op(unsigned op) { return op < sizeof ops / sizeof *ops ? ops[op] : "?"; }
const char *node_bytes_type(unsigned type) { return type < sizeof types / sizeof *types ? types[type] : "?"; }
const char *node_bytes_space(unsigned space) { return space < sizeof spaces / sizeof *spaces ? spaces[space] : "?"; }

/* What is left to read; `why` is the first thing that was wrong. */
struct rest {
    const uint8_t *p, *end;
    const char *why;
};

static const uint8_t *take(struct rest *r, uint64_t n)
{
    if (r->why) return NULL;
    if ((uint64_t)(r->end - r->p) < n) {
        r->why = "a field runs over the node's end";
        return NULL;
    }
    const uint8_t *at = r->p;
    r->p += n;
    return at;
}

static uint64_t take_u64(struct rest *r)
{
    const uint8_t *at = take(r, 8);
    return at ? get_u64(at) : 0;
}

static uint64_t take_varint(struct rest *r)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 10; i++) {
        const uint8_t *at = take(r, 1);
        if (!at) return 0;
        if (i == 9 && *at > 1) break;
        v |= (uint64_t)(*at & 127) << 7 * i;
        if (*at & 128) continue;
        if (*at == 0 && i > 0) break;
        return v;
    }
    r->why = "a number is not in its one spelling";
    return 0;
}

static slice take_text(struct rest *r, uint64_t most)
{
    uint64_t n = take_varint(r);
    if (!r->why && (n == 0 || n > most)) r->why = "a text field has a length that is not allowed";
    const uint8_t *at = take(r, n);
    return at ? slice_of(at, (size_t)n) : (slice){0};
}

static void take_fields(struct rest *r, struct node_bytes *n)
{
    if (n->flags & BIT_PREV_HASH) n->prev_hash = take(r, 32);
    if (n->flags & BIT_IN_COMMIT) {
        n->position = take_varint(r);
        if (!r->why && (n->position == 0 || n->position > UINT32_MAX)) r->why = "its position in the commit is not allowed";
    }
    if (n->flags & BIT_EXPIRES) {
        n->expire_ms = take_u64(r);
        if (!r->why && n->expire_ms == 0) r->why = "its expiry is zero";
    }
    if (n->flags & BIT_VALID) {
        n->valid_from = (int64_t)take_u64(r);
        n->valid_to = (int64_t)take_u64(r);
    }
    if (n->flags & BIT_CAUSES) {
        n->n_causes = take_varint(r);
        if (!r->why && (n->n_causes == 0 || n->n_causes > CAUSES_MOST)) r->why = "its number of causes is not allowed";
        n->causes = r->why ? NULL : take(r, n->n_causes * CAUSE_SIZE);
    }
    if (n->flags & BIT_BY) n->by = take_text(r, 255);
    if (n->flags & BIT_NOTE) n->note = take_text(r, 4096);
    if (n->flags & BIT_IDEM) n->idem = take_text(r, 255);
}

const char *node_bytes_parse(slice raw, struct node_bytes *out)
{
    if (raw.n < NODE_LEAST_BYTES) return "the node is too short";
    const uint8_t *p = raw.p;
    if (p[0] != 1) return "the node's format version is not 1";
    struct node_bytes n = {.op = p[1], .flags = get_u16(p + 2), .type = p[4], .space = p[5], .lineage = get_u16(p + 6), .seq = get_u64(p + NODE_SEQ_AT), .salt = p + 16,
                           .time_ms = get_u48(p + 32), .prev = get_u64(p + 38)};
    if (n.op < 1 || n.op > 8) return "the node's op is unknown";
    if (n.type > 8 || n.space > 4) return "the node's type or name space is unknown";
    if (n.flags & ~KNOWN_BITS) return "the node has unknown flags";
    if (n.seq == 0) return "the node has no seq";
    if (n.prev >= n.seq) return "the node's prev is not before it";
    struct rest r = {.p = p + 46, .end = p + raw.n};
    n.ver = take_varint(&r);
    uint64_t key_bytes = take_varint(&r);
    if (!r.why && key_bytes > KEY_MOST) r.why = "the key is too long";
    take_fields(&r, &n);
    const uint8_t *key = take(&r, key_bytes);
    if (r.why) return r.why;
    n.key = slice_of(key, (size_t)key_bytes);
    n.payload = slice_of(r.p, (size_t)(r.end - r.p));
    if (n.payload.n > PAYLOAD_MOST) return "the payload is too long";
    *out = n;
    return NULL;
}
