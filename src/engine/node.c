/* Nodes and records as bytes. The layout is the table in node.h; src/docs/format.md shows one in hex.
 *
 * The encoding is canonical: for every node there is exactly one byte string, and node_decode refuses every
 * other spelling (long varints, empty optional fields, unknown bits). So decode followed by encode gives
 * the same bytes, and a hash names a meaning, not one of its spellings.
 *
 * Invariants, all checked by node_decode on the way in and asserted by node_encode on the way out:
 *   1. seq > 0 and prev < seq: history is a chain that ends;
 *   2. an optional field is present exactly when its flag is set, and is never empty or zero then;
 *   3. every length is within the maximum that node.h names. */
#include "engine/node.h"

#include "base/codec.h"

#define CAUSE_BYTES (8 + HASH_BYTES)
#define TAKEN_FLAGS (NODE_CREATED | NODE_RETYPED | NODE_ENC_RAW)
#define KNOWN_FLAGS (NODE_ENC_RAW * 2 - 1)
#define TS_MAX      ((1ull << 48) - 1)

/* Which optional fields the caller has filled in. */
static unsigned field_flags(const struct node *n)
{
    unsigned f = 0;
    if (n->prev_hash) f |= NODE_PREV_HASH;
    if (n->commit_pos) f |= NODE_IN_COMMIT;
    if (n->expire_ms) f |= NODE_EXPIRES;
    if (n->has_valid) f |= NODE_VALID;
    if (n->n_causes) f |= NODE_CAUSES;
    if (n->by.n) f |= NODE_BY;
    if (n->note.n) f |= NODE_NOTE;
    if (n->idem.n) f |= NODE_IDEM;
    return f;
}

static size_t text_size(slice s)
{
    return varint_len(s.n) + s.n;
}

size_t node_size(const struct node *n)
{
    ASSERT(n->key.n <= NODE_KEY_MAX);
    ASSERT(n->payload.n <= NODE_PAYLOAD_MAX);
    size_t size = NODE_FIXED_BYTES + varint_len(n->ver) + varint_len(n->key.n) + n->key.n + n->payload.n;
    unsigned f = field_flags(n);
    if (__builtin_expect(f == 0, 1)) return size;
    if (f & NODE_PREV_HASH) size += HASH_BYTES;
    if (f & NODE_IN_COMMIT) size += varint_len(n->commit_pos);
    if (f & NODE_EXPIRES) size += 8;
    if (f & NODE_VALID) size += 16;
    if (f & NODE_CAUSES) size += varint_len(n->n_causes) + (size_t)n->n_causes * CAUSE_BYTES;
    if (f & NODE_BY) size += text_size(n->by);
    if (f & NODE_NOTE) size += text_size(n->note);
    if (f & NODE_IDEM) size += text_size(n->idem);
    return size;
}

static uint8_t *put_bytes(uint8_t *p, const void *from, size_t n)
{
    if (n == 0) return p;
    memcpy(p, from, n);
    return p + n;
}

static uint8_t *put_text(uint8_t *p, slice s)
{
    return put_bytes(put_varint(p, s.n), s.p, s.n);
}

static uint8_t *put_fields(const struct node *n, unsigned f, uint8_t *p)
{
    ASSERT(n->n_causes <= NODE_CAUSES_MAX);
    ASSERT(n->by.n <= NODE_BY_MAX && n->note.n <= NODE_NOTE_MAX && n->idem.n <= NODE_IDEM_MAX);
    if (f & NODE_PREV_HASH) p = put_bytes(p, n->prev_hash, HASH_BYTES);
    if (f & NODE_IN_COMMIT) p = put_varint(p, n->commit_pos);
    if (f & NODE_EXPIRES) put_u64(p, n->expire_ms), p += 8;
    if (f & NODE_VALID) {
        put_u64(p, (uint64_t)n->valid_from);
        put_u64(p + 8, (uint64_t)n->valid_to);
        p += 16;
    }
    if (f & NODE_CAUSES) p = put_bytes(put_varint(p, n->n_causes), n->causes, (size_t)n->n_causes * CAUSE_BYTES);
    if (f & NODE_BY) p = put_text(p, n->by);
    if (f & NODE_NOTE) p = put_text(p, n->note);
    if (f & NODE_IDEM) p = put_text(p, n->idem);
    return p;
}

uint8_t *node_encode(const struct node *n, uint8_t *out)
{
    ASSERT(n->op >= NODE_PUT && n->op <= NODE_FILLER && n->type <= TYPE_MODULE && n->space <= SPACE_SORTED);
    ASSERT(n->seq > 0 && n->prev < n->seq && n->ts_ms <= TS_MAX);
    ASSERT(n->key.n <= NODE_KEY_MAX && n->payload.n <= NODE_PAYLOAD_MAX);
    unsigned f = field_flags(n);
    out[0] = NODE_VERSION;
    out[1] = n->op;
    put_u16(out + 2, (uint16_t)(f | (n->flags & TAKEN_FLAGS)));
    out[4] = n->type;
    out[5] = n->space;
    put_u16(out + 6, n->lineage);
    put_u64(out + 8, n->seq);
    memcpy(out + 16, n->salt, NODE_SALT_BYTES);
    put_u48(out + 32, n->ts_ms);
    put_u64(out + 38, n->prev);
    uint8_t *p = put_varint(out + NODE_FIXED_BYTES, n->ver);
    p = put_varint(p, n->key.n);
    if (__builtin_expect(f != 0, 0)) p = put_fields(n, f, p);
    p = put_bytes(p, n->key.p, n->key.n);
    return put_bytes(p, n->payload.p, n->payload.n);
}

/* ---- decoding: a reader that remembers that it ran over the end ---- */

struct reader {
    const uint8_t *p, *end;
    bool bad;
};

static const uint8_t *read_bytes(struct reader *r, size_t n)
{
    if (r->bad || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *at = r->p;
    r->p += n;
    return at;
}

static uint64_t read_u64(struct reader *r)
{
    const uint8_t *at = read_bytes(r, 8);
    return at ? get_u64(at) : 0;
}

/* Canonical varints only: the last byte of a longer one is never zero. */
static uint64_t read_varint(struct reader *r)
{
    uint64_t v = 0;
    const uint8_t *next = r->bad ? NULL : get_varint(r->p, r->end, &v);
    if (!next || (next - r->p > 1 && next[-1] == 0)) {
        r->bad = true;
        return 0;
    }
    r->p = next;
    return v;
}

static slice read_text(struct reader *r, size_t max)
{
    uint64_t n = read_varint(r);
    if (n == 0 || n > max) r->bad = true;
    const uint8_t *at = read_bytes(r, r->bad ? 0 : n);
    return r->bad ? (slice){0} : slice_of(at, n);
}

static void read_fields(struct reader *r, unsigned flags, struct node *n)
{
    if (flags & NODE_PREV_HASH) n->prev_hash = read_bytes(r, HASH_BYTES);
    if (flags & NODE_IN_COMMIT) {
        uint64_t pos = read_varint(r);
        if (pos == 0 || pos > UINT32_MAX) r->bad = true;
        n->commit_pos = (uint32_t)pos;
    }
    if (flags & NODE_EXPIRES) {
        n->expire_ms = read_u64(r);
        if (n->expire_ms == 0) r->bad = true;
    }
    if (flags & NODE_VALID) {
        n->has_valid = true;
        n->valid_from = (int64_t)read_u64(r);
        n->valid_to = (int64_t)read_u64(r);
    }
    if (flags & NODE_CAUSES) {
        uint64_t count = read_varint(r);
        if (count == 0 || count > NODE_CAUSES_MAX) r->bad = true;
        n->n_causes = r->bad ? 0 : (uint32_t)count;
        n->causes = read_bytes(r, (size_t)n->n_causes * CAUSE_BYTES);
    }
    if (flags & NODE_BY) n->by = read_text(r, NODE_BY_MAX);
    if (flags & NODE_NOTE) n->note = read_text(r, NODE_NOTE_MAX);
    if (flags & NODE_IDEM) n->idem = read_text(r, NODE_IDEM_MAX);
}

/* Fields are stored where they belong: a whole struct copied right after narrow stores into it would wait for them. */
int node_decode(slice raw, struct node *out)
{
    ASSERT(out != NULL);
    ASSERT(raw.p != NULL || raw.n == 0);
    if (raw.n < NODE_BYTES_MIN) return E_CORRUPT;
    const uint8_t *b = raw.p;
    struct node *n = out;
    if (b[0] != NODE_VERSION) return b[0] > NODE_VERSION ? E_VERSION : E_CORRUPT;
    memset(n, 0, sizeof *n);
    n->op = b[1];
    n->flags = get_u16(b + 2);
    n->type = b[4];
    n->space = b[5];
    n->lineage = get_u16(b + 6);
    n->seq = get_u64(b + 8);
    memcpy(n->salt, b + 16, NODE_SALT_BYTES);
    n->ts_ms = get_u48(b + 32);
    n->prev = get_u64(b + 38);
    if (b[1] < NODE_PUT || b[1] > NODE_FILLER || b[4] > TYPE_MODULE || b[5] > SPACE_SORTED) return E_CORRUPT;
    unsigned flags = get_u16(b + 2);
    if ((flags & ~KNOWN_FLAGS) || get_u64(b + 8) == 0 || get_u64(b + 38) >= get_u64(b + 8)) return E_CORRUPT;
    struct reader r = {b + NODE_FIXED_BYTES, b + raw.n, false};
    n->ver = read_varint(&r);
    uint64_t key_bytes = read_varint(&r);
    if (key_bytes > NODE_KEY_MAX) return E_CORRUPT;
    if (flags & (TAKEN_FLAGS ^ KNOWN_FLAGS)) read_fields(&r, flags, n);
    const uint8_t *key = read_bytes(&r, key_bytes);
    if (r.bad || (size_t)(r.end - r.p) > NODE_PAYLOAD_MAX) return E_CORRUPT;
    n->key = slice_of(key, key_bytes);
    n->payload = slice_of(r.p, (size_t)(r.end - r.p));
    return E_OK;
}

void node_cause(const struct node *n, uint32_t i, struct node_ref *out)
{
    ASSERT(i < n->n_causes);
    ASSERT(n->causes != NULL);
    const uint8_t *at = n->causes + (size_t)i * CAUSE_BYTES;
    out->seq = get_u64(at);
    memcpy(out->hash, at + 8, HASH_BYTES);
}

bool node_is_base(const struct node *n)
{
    return n->op == NODE_PUT || n->op == NODE_DELETE || n->op == NODE_EXPIRE;
}

bool node_is_live(const struct node *n)
{
    return n->op == NODE_PUT || n->op == NODE_EFFECT || n->op == NODE_META;
}

const char *node_op_name(unsigned op)
{
    static const char *const name[] = {
        [NODE_PUT] = "put",       [NODE_EFFECT] = "effect", [NODE_META] = "meta", [NODE_DELETE] = "delete",
        [NODE_EXPIRE] = "expire", [NODE_FLUSH] = "flush",   [NODE_SWAP] = "swap", [NODE_FILLER] = "filler",
    };
    return op >= NODE_PUT && op <= NODE_FILLER ? name[op] : "?";
}

/* ---- keys of links ---- */

void link_key(struct buf *out, slice from, slice rel, slice to)
{
    const slice part[3] = {from, rel, to};
    ASSERT(out != NULL);
    ASSERT(from.n <= NODE_KEY_MAX && rel.n <= NODE_KEY_MAX && to.n <= NODE_KEY_MAX);
    for (int i = 0; i < 3; i++) {
        uint8_t *p = buf_reserve(out, VARINT_MAX + part[i].n);
        out->n += (size_t)(put_text(p, part[i]) - p);
    }
}

int link_key_parse(slice key, slice *from, slice *rel, slice *to)
{
    struct reader r = {key.p, key.p + key.n, false};
    slice part[3];
    ASSERT(from && rel && to);
    for (int i = 0; i < 3; i++) {
        uint64_t n = read_varint(&r);
        if (n > NODE_KEY_MAX) return E_CORRUPT;
        part[i] = slice_of(read_bytes(&r, n), n);
    }
    if (r.bad || r.p != r.end) return E_CORRUPT;
    *from = part[0], *rel = part[1], *to = part[2];
    return E_OK;
}

/* ---- records ---- */

static uint32_t record_crc(const uint8_t word[4], const uint8_t *node, size_t node_bytes)
{
    uint32_t crc = crc32c(crc32c(0, word, 4), node, node_bytes);
    if (!(get_u32(word) & RECORD_CUT)) return crc;
    return crc32c(crc, node - RECORD_HEADER_BYTES + record_size(node_bytes), RECORD_CUT_BYTES);
}

static uint32_t seal(uint8_t *rec, size_t node_bytes, uint32_t marks)
{
    ASSERT(node_bytes >= NODE_BYTES_MIN);
    ASSERT(node_bytes <= RECORD_LENGTH);
    uint32_t word = (uint32_t)node_bytes | marks;
    uint8_t stored[4];
    put_u32(stored, word);
    uint8_t *node = rec + RECORD_HEADER_BYTES;
    put_u32(rec + 4, record_crc(stored, node, node_bytes));
    for (size_t i = node_bytes; i & 3; i++) node[i] = 0;
    return word;
}

uint32_t record_seal(uint8_t *rec, size_t node_bytes, bool more)
{
    return seal(rec, node_bytes, more ? RECORD_MORE : 0);
}

uint32_t record_seal_cut(uint8_t *rec, size_t node_bytes, uint32_t cut)
{
    ASSERT(cut > 0 && cut <= RECORD_CUT_MAX);
    put_u32(rec + record_size(node_bytes), cut);
    return seal(rec, node_bytes, RECORD_CUT);
}

int record_check(slice at, struct log_record *out)
{
    ASSERT(out);
    ASSERT(at.p != NULL || at.n == 0);
    if (at.n == 0) return E_END;
    if (at.n < 4) return E_CORRUPT;
    uint32_t word = get_u32(at.p), cut = 0;
    if (word == 0) return E_END;
    size_t n = word & RECORD_LENGTH, padded = record_size(n);
    if (n < NODE_BYTES_MIN || record_bytes(word) > at.n || (word & RECORD_MORE && word & RECORD_CUT)) return E_CORRUPT;
    const uint8_t *body = at.p + RECORD_HEADER_BYTES;
    if (record_crc(at.p, body, n) != get_u32(at.p + 4)) return E_CORRUPT;
    for (size_t i = n; i & 3; i++)
        if (body[i]) return E_CORRUPT;
    if (word & RECORD_CUT) {
        cut = get_u32(at.p + padded);
        if (cut == 0 || cut > RECORD_CUT_MAX) return E_CORRUPT;
    }
    *out = (struct log_record){.node = slice_of(body, n), .size = record_bytes(word), .cut = cut, .more = word & RECORD_MORE};
    return E_OK;
}
