/* Encodings of index keys and values; the table is in ranges.h. */
#include "engine/ranges.h"

#define ESCAPE       0x00
#define ESCAPED_ZERO 0xff
#define ESCAPE_END   0x01
#define LONG_INDEX   0xf0 /* numbers from here on are written with four more bytes */

static void add_be16(struct buf *b, uint16_t v)
{
    put_be16(buf_reserve(b, 2), v);
    b->n += 2;
}

static void add_be64(struct buf *b, uint64_t v)
{
    put_be64(buf_reserve(b, 8), v);
    b->n += 8;
}

static void add_varint(struct buf *b, uint64_t v)
{
    uint8_t *p = buf_reserve(b, VARINT_MAX);
    b->n += (size_t)(put_varint(p, v) - p);
}

/* The part of esc() before its end mark: also the start of every esc(x) whose x begins with s. */
static void add_escaped_open(struct buf *b, slice s)
{
    while (s.n > 0) {
        const uint8_t *zero = memchr(s.p, 0, s.n);
        size_t plain = zero ? (size_t)(zero - s.p) : s.n;
        buf_add(b, s.p, plain);
        if (!zero) return;
        buf_add_byte(b, ESCAPE);
        buf_add_byte(b, ESCAPED_ZERO);
        s.p += plain + 1;
        s.n -= plain + 1;
    }
}

static void add_escaped(struct buf *b, slice s)
{
    add_escaped_open(b, s);
    buf_add_byte(b, ESCAPE);
    buf_add_byte(b, ESCAPE_END);
}

static void begin(struct buf *b, uint8_t tag)
{
    b->n = 0;
    buf_add_byte(b, tag);
}

void range_version(struct buf *out, const struct hash_seed *seed, uint8_t space, uint16_t lineage, slice key, uint64_t seq)
{
    ASSERT(seed && key.n <= NODE_KEY_MAX);
    out->n = 0;
    uint8_t *p = buf_reserve(out, RANGE_VERSION_HEAD + key.n + 8);
    p[0] = RANGE_VERSION;
    p[1] = space;
    put_be16(p + 2, lineage);
    put_be64(p + 4, key_hash(seed, key.p, key.n));
    put_be16(p + 12, (uint16_t)key.n);
    if (key.n) memcpy(p + RANGE_VERSION_HEAD, key.p, key.n);
    put_be64(p + RANGE_VERSION_HEAD + key.n, ~seq);
    out->n = RANGE_VERSION_HEAD + key.n + 8;
}

void range_live_from(struct buf *out, uint16_t lineage, uint64_t generation, uint64_t hash)
{
    begin(out, RANGE_LIVE);
    add_be16(out, lineage);
    add_be64(out, generation);
    add_be64(out, hash);
}

void range_live(struct buf *out, uint16_t lineage, uint64_t generation, uint64_t hash, slice key)
{
    ASSERT(key.n <= NODE_KEY_MAX);
    range_live_from(out, lineage, generation, hash);
    add_be16(out, (uint16_t)key.n);
    buf_add_slice(out, key);
}

void range_doc_from(struct buf *out, uint16_t lineage, slice prefix)
{
    begin(out, RANGE_DOC);
    add_be16(out, lineage);
    add_escaped_open(out, prefix);
}

void range_doc(struct buf *out, uint16_t lineage, slice key, uint64_t seq)
{
    ASSERT(key.n <= NODE_KEY_MAX);
    begin(out, RANGE_DOC);
    add_be16(out, lineage);
    add_escaped(out, key);
    add_be64(out, ~seq);
}

void range_expiry(struct buf *out, uint64_t ms, uint16_t lineage, slice key)
{
    ASSERT(key.n <= NODE_KEY_MAX);
    begin(out, RANGE_EXPIRY);
    add_be64(out, ms);
    add_be16(out, lineage);
    buf_add_slice(out, key);
}

void range_link(struct buf *out, uint8_t tag, uint16_t lineage, const slice part[3], uint64_t seq)
{
    ASSERT(tag == RANGE_LINK_OUT || tag == RANGE_LINK_IN);
    begin(out, tag);
    add_be16(out, lineage);
    for (int i = 0; i < 3; i++) add_escaped(out, part[i]);
    add_be64(out, ~seq);
}

void range_link_from(struct buf *out, uint8_t tag, uint16_t lineage, slice key, slice rel)
{
    ASSERT(tag == RANGE_LINK_OUT || tag == RANGE_LINK_IN);
    begin(out, tag);
    add_be16(out, lineage);
    add_escaped(out, key);
    if (rel.n > 0) add_escaped(out, rel);
}

size_t range_link_prefix(slice entry)
{
    ASSERT(entry.n > 3 && (entry.p[0] == RANGE_LINK_OUT || entry.p[0] == RANGE_LINK_IN));
    size_t at = 3;
    while (entry.p[at] != ESCAPE || entry.p[at + 1] != ESCAPE_END) {
        at += entry.p[at] == ESCAPE ? 2 : 1;
        ASSERT(at + 1 < entry.n);
    }
    return at + 2;
}

void range_link_all(struct buf *out, uint16_t lineage)
{
    begin(out, RANGE_LINK_OUT);
    add_be16(out, lineage);
}

void range_effect(struct buf *out, uint64_t cause, uint64_t effect)
{
    begin(out, RANGE_EFFECT);
    add_be64(out, cause);
    add_be64(out, effect);
}

void range_time(struct buf *out, uint64_t ms)
{
    begin(out, RANGE_TIME);
    add_be64(out, ms);
}

void range_token(struct buf *out, uint16_t lineage, slice token)
{
    begin(out, RANGE_TOKEN);
    add_be16(out, lineage);
    buf_add_slice(out, token);
}

void range_event(struct buf *out, uint64_t seq)
{
    begin(out, RANGE_EVENT);
    add_be64(out, seq);
}

void range_sorted_from(struct buf *out, uint8_t tag, uint32_t index, slice sort_key)
{
    ASSERT(tag == RANGE_SORTED || tag == RANGE_CLOSED);
    begin(out, tag);
    buf_add_byte(out, index < LONG_INDEX ? (uint8_t)index : LONG_INDEX);
    if (index >= LONG_INDEX) {
        put_be32(buf_reserve(out, 4), index);
        out->n += 4;
    }
    buf_add_slice(out, sort_key);
}

void range_sorted(struct buf *out, uint32_t index, slice sort_key, slice key)
{
    ASSERT(sort_key.n > 0);
    range_sorted_from(out, RANGE_SORTED, index, sort_key);
    add_escaped(out, key);
}

void range_closed(struct buf *out, uint32_t index, slice sort_key, slice key, uint64_t from)
{
    ASSERT(sort_key.n > 0);
    range_sorted_from(out, RANGE_CLOSED, index, sort_key);
    add_escaped(out, key);
    add_be64(out, from);
}

bool range_end(struct buf *prefix)
{
    while (prefix->n > 0 && prefix->p[prefix->n - 1] == 0xff) prefix->n--;
    if (prefix->n == 0) return false;
    prefix->p[prefix->n - 1]++;
    return true;
}

/* ---- values ---- */

void range_version_value(struct buf *out, const struct version *v)
{
    out->n = 0;
    uint8_t *p = buf_reserve(out, 4 + 3 * VARINT_MAX), *q = p;
    *q++ = v->op;
    *q++ = v->type;
    put_u16(q, v->flags);
    q = put_varint(q + 2, v->ver);
    q = put_varint(q, v->expire_ms);
    q = put_varint(q, v->bytes);
    out->n = (size_t)(q - p);
}

void range_live_value(struct buf *out, uint8_t type, bool expires)
{
    out->n = 0;
    buf_add_byte(out, type);
    buf_add_byte(out, expires);
}

void range_flag_value(struct buf *out, bool alive)
{
    out->n = 0;
    buf_add_byte(out, alive);
}

void range_seq_value(struct buf *out, uint64_t seq)
{
    out->n = 0;
    add_varint(out, seq);
}

void range_event_value(struct buf *out, uint8_t kind, uint16_t a, uint16_t b)
{
    out->n = 0;
    uint8_t *p = buf_reserve(out, 5);
    p[0] = kind;
    put_u16(p + 1, a);
    put_u16(p + 3, b);
    out->n = 5;
}

void range_sorted_value(struct buf *out, size_t sort_key_bytes, uint64_t seq)
{
    out->n = 0;
    add_varint(out, sort_key_bytes);
    add_varint(out, seq);
}

/* ---- parsing: these bytes come from the disk ---- */

static int bad(const char *what)
{
    return err_note(E_CORRUPT, "index entry of %s does not parse", what);
}

int range_version_parse(slice entry, uint8_t *space, uint16_t *lineage, slice *key, uint64_t *seq)
{
    if (entry.n < RANGE_VERSION_HEAD + 8 || entry.p[0] != RANGE_VERSION) return bad("a version");
    size_t n = get_be16(entry.p + 12);
    if (entry.n != RANGE_VERSION_HEAD + n + 8) return bad("a version");
    *space = entry.p[1];
    *lineage = get_be16(entry.p + 2);
    *key = slice_of(entry.p + RANGE_VERSION_HEAD, n);
    *seq = ~get_be64(entry.p + RANGE_VERSION_HEAD + n);
    return E_OK;
}

int range_version_parse_value(slice value, uint64_t seq, struct version *out)
{
    ASSERT(out);
    const uint8_t *p = value.p, *end = value.p + value.n;
    uint64_t ver, expire, bytes;
    if (value.n < 7) return bad("a version");
    if (!(p = get_varint(p + 4, end, &ver)) || !(p = get_varint(p, end, &expire)) || !(p = get_varint(p, end, &bytes)) ||
        p != end)
        return bad("a version");
    if (bytes > UINT32_MAX || value.p[0] < NODE_PUT || value.p[0] > NODE_EXPIRE) return bad("a version");
    *out = (struct version){.seq = seq,
                            .op = value.p[0],
                            .type = value.p[1],
                            .flags = get_u16(value.p + 2),
                            .ver = ver,
                            .expire_ms = expire,
                            .bytes = (uint32_t)bytes};
    return E_OK;
}

int range_live_parse(slice entry, slice value, struct live_key *out)
{
    if (entry.n < 21 || entry.p[0] != RANGE_LIVE || value.n != 2) return bad("a live key");
    size_t n = get_be16(entry.p + 19);
    if (entry.n != 21 + n) return bad("a live key");
    *out = (struct live_key){
        .hash = get_be64(entry.p + 11), .key = slice_of(entry.p + 21, n), .type = value.p[0], .expires = value.p[1] != 0};
    return E_OK;
}

int range_unescape(slice in, struct buf *out, size_t *used)
{
    size_t at = 0;
    for (;;) {
        const uint8_t *zero = at < in.n ? memchr(in.p + at, ESCAPE, in.n - at) : NULL;
        if (!zero || zero + 1 >= in.p + in.n) return bad("an escaped name");
        size_t plain = (size_t)(zero - in.p) - at;
        buf_add(out, in.p + at, plain);
        at += plain + 2;
        if (zero[1] == ESCAPE_END) break;
        if (zero[1] != ESCAPED_ZERO) return bad("an escaped name");
        buf_add_byte(out, 0);
    }
    *used = at;
    return E_OK;
}

int range_doc_parse(slice entry, struct buf *mem, uint64_t *seq)
{
    if (entry.n < 13 || entry.p[0] != RANGE_DOC) return bad("a document");
    size_t used;
    buf_clear(mem);
    int rc = range_unescape(slice_of(entry.p + 3, entry.n - 3), mem, &used);
    if (rc) return rc;
    if (3 + used + 8 != entry.n) return bad("a document");
    *seq = ~get_be64(entry.p + 3 + used);
    return E_OK;
}

int range_expiry_parse(slice entry, uint64_t *ms, uint16_t *lineage, slice *key)
{
    if (entry.n < 11 || entry.p[0] != RANGE_EXPIRY) return bad("an expiry");
    *ms = get_be64(entry.p + 1);
    *lineage = get_be16(entry.p + 9);
    *key = slice_of(entry.p + 11, entry.n - 11);
    return E_OK;
}

int range_link_parse(slice entry, struct buf *mem, slice part[3], uint64_t *seq)
{
    if (entry.n < 3 || (entry.p[0] != RANGE_LINK_OUT && entry.p[0] != RANGE_LINK_IN)) return bad("a link");
    size_t at = 3, ends[3];
    buf_clear(mem);
    for (int i = 0; i < 3; i++) {
        size_t used;
        int rc = range_unescape(slice_of(entry.p + at, entry.n - at), mem, &used);
        if (rc) return rc;
        at += used;
        ends[i] = mem->n;
    }
    if (at + 8 != entry.n) return bad("a link");
    for (int i = 0; i < 3; i++) {
        size_t start = i ? ends[i - 1] : 0;
        part[i] = slice_of(mem->p ? mem->p + start : NULL, ends[i] - start);
    }
    *seq = ~get_be64(entry.p + at);
    return E_OK;
}

int range_effect_parse(slice entry, uint64_t *effect)
{
    if (entry.n != 17 || entry.p[0] != RANGE_EFFECT) return bad("an effect");
    *effect = get_be64(entry.p + 9);
    return E_OK;
}

int range_flag_parse(slice value, bool *alive)
{
    if (value.n != 1 || value.p[0] > 1) return bad("a transition");
    *alive = value.p[0] == 1;
    return E_OK;
}

int range_seq_parse(slice value, uint64_t *seq)
{
    const uint8_t *end = value.p + value.n;
    if (value.n == 0 || get_varint(value.p, end, seq) != end) return bad("a seq");
    return E_OK;
}

int range_event_parse(slice entry, slice value, uint64_t *seq, uint8_t *kind, uint16_t ab[2])
{
    if (entry.n != 9 || entry.p[0] != RANGE_EVENT || value.n != 5) return bad("a store event");
    if (value.p[0] != NODE_FLUSH && value.p[0] != NODE_SWAP) return bad("a store event");
    *seq = get_be64(entry.p + 1);
    *kind = value.p[0];
    ab[0] = get_u16(value.p + 1);
    ab[1] = get_u16(value.p + 3);
    bool all = value.p[0] == NODE_FLUSH && ab[0] == NODE_ALL_LINEAGES;
    if ((ab[0] >= ENGINE_DATABASES_MAX && !all) || ab[1] >= ENGINE_DATABASES_MAX) return bad("a store event");
    return E_OK;
}

int range_sorted_index(slice entry, uint32_t *index, size_t *used)
{
    if (entry.n < 2 || (entry.p[0] != RANGE_SORTED && entry.p[0] != RANGE_CLOSED)) return bad("a sorted index");
    bool wide = entry.p[1] == LONG_INDEX;
    if (entry.p[1] > LONG_INDEX || (wide && entry.n < 6)) return bad("a sorted index");
    *index = wide ? get_be32(entry.p + 2) : entry.p[1];
    *used = wide ? 6 : 2;
    return E_OK;
}

int range_interval_parse(slice entry, slice value, struct range_interval *out)
{
    uint64_t n, seq;
    const uint8_t *end = value.p + value.n, *p = value.n ? get_varint(value.p, end, &n) : NULL;
    if (!p || get_varint(p, end, &seq) != end) return bad("a sorted index");
    size_t head;
    int rc = range_sorted_index(entry, &out->index, &head);
    if (rc) return rc;
    bool closed = entry.p[0] == RANGE_CLOSED;
    size_t tail = closed ? 8 : 0;
    if (n == 0 || n > entry.n || head + n + 2 + tail > entry.n) return bad("a sorted index");
    out->sort_key = slice_of(entry.p + head, n);
    out->escaped = slice_of(entry.p + head + n, entry.n - head - n - tail);
    out->from = closed ? get_be64(entry.p + entry.n - 8) : seq;
    out->to = closed ? seq : UINT64_MAX;
    return E_OK;
}
