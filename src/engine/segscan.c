/* The search for a record behind damage looks at every aligned position. A position is worth a checksum only when the node's fixed fields are
 * plausible and its seq lies in the window; the window alone turns away all but one in 2^40 random positions, so a damaged segment of
 * any content is searched in one pass. */
#include "engine/segscan.h"

#include "base/codec.h"

#define SECTOR     512u
#define PEEK_BYTES (RECORD_HEADER_BYTES + 16) /* up to and with the node's seq */

void segscan_init(struct segscan *s, struct os *os, struct os_file *file, uint64_t at, uint64_t limit)
{
    ASSERT(os && file);
    ASSERT(at % 4 == 0 && at <= limit);
    *s = (struct segscan){.os = os, .file = file, .at = at, .limit = limit};
}

void segscan_fini(struct segscan *s)
{
    buf_fini(&s->buf);
}

/* Makes [off, off + n) readable in the buffer; n is within the limit. */
static int need(struct segscan *s, uint64_t off, size_t n, const uint8_t **p)
{
    ASSERT(off + n <= s->limit);
    if (off < s->buf_at || off + n > s->buf_at + s->buf.n) {
        size_t take = n > SEGSCAN_CHUNK_BYTES ? n : SEGSCAN_CHUNK_BYTES;
        if (take > s->limit - off) take = (size_t)(s->limit - off);
        buf_clear(&s->buf);
        /* A cursor lives long: one huge record must not stay in memory with it. */
        if (s->buf.cap > 4 * SEGSCAN_CHUNK_BYTES && take <= SEGSCAN_CHUNK_BYTES) buf_fini(&s->buf);
        int rc = os_read_full(s->os, s->file, off, buf_reserve(&s->buf, take), take);
        /* The limit is within the file: a short read is the reader's failure, not the end of the log. */
        if (rc) return rc == E_CORRUPT ? err_note(E_IO, "segment: short read at offset %llu", (unsigned long long)off) : rc;
        s->buf.n = take;
        s->buf_at = off;
    }
    *p = s->buf.p + (off - s->buf_at);
    return E_OK;
}

int segscan_next(struct segscan *s, struct segscan_record *out)
{
    const uint8_t *p;
    uint64_t left = s->limit - s->at;
    ASSERT(s->at <= s->limit && s->at % 4 == 0);
    if (left == 0) return E_END;
    if (left < 4) return E_CORRUPT;
    int rc = need(s, s->at, 4, &p);
    if (rc) return rc;
    uint32_t word = get_u32(p);
    if (word == 0) return E_END;
    size_t size = record_bytes(word);
    if (record_size(word & RECORD_LENGTH) < RECORD_BYTES_MIN || size > left) return E_CORRUPT;
    rc = need(s, s->at, size, &p);
    if (rc) return rc;
    struct log_record r = {.node = slice_of(p + RECORD_HEADER_BYTES, word & RECORD_LENGTH), .size = size, .more = word & RECORD_MORE};
    if (!s->lazy)
        rc = record_check(slice_of(p, size), &r);
    else if (word & RECORD_CUT)
        r.cut = get_u32(p + size - RECORD_CUT_BYTES);
    if (rc) return rc;
    *out = (struct segscan_record){.node = r.node, .seq = get_u64(r.node.p + 8), .offset = s->at, .size = r.size, .cut = r.cut, .more = r.more};
    s->at += size;
    return E_OK;
}

bool segscan_holds(const struct segscan *s)
{
    ASSERT(s->at <= s->limit);
    uint64_t end = s->buf_at + s->buf.n;
    if (s->at < s->buf_at || s->at + 4 > end) return false;
    uint32_t word = get_u32(s->buf.p + (s->at - s->buf_at));
    return word != 0 && s->at + record_bytes(word) <= end;
}

static bool plausible(const uint8_t *p, uint64_t left, uint64_t min_seq, uint64_t max_seq)
{
    uint32_t word = get_u32(p);
    const uint8_t *node = p + RECORD_HEADER_BYTES;
    if (record_size(word & RECORD_LENGTH) < RECORD_BYTES_MIN || record_bytes(word) > left || node[0] != NODE_VERSION || node[1] < NODE_PUT || node[1] > NODE_FILLER)
        return false;
    uint64_t seq = get_u64(node + 8);
    return seq >= min_seq && seq <= max_seq;
}

int segscan_resync(struct segscan *s, uint64_t min_seq, uint64_t max_seq, uint64_t *used)
{
    uint64_t start = s->at;
    ASSERT(start <= s->limit && start % 4 == 0);
    ASSERT(used);
    *used = start;
    for (uint64_t at = start; at + 4 <= s->limit; at += 4) {
        const uint8_t *p;
        uint64_t left = s->limit - at;
        int rc = need(s, at, left < PEEK_BYTES ? 4 : PEEK_BYTES, &p);
        if (rc) return rc;
        if (get_u32(p) == 0) continue;
        *used = at + 4;
        if (left < RECORD_BYTES_MIN || !plausible(p, left, min_seq, max_seq)) continue;
        struct segscan_record r;
        s->at = at;
        rc = segscan_next(s, &r);
        s->at = rc == E_OK ? at : start;
        if (rc != E_CORRUPT) return rc;
    }
    return E_END;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

int segscan_is_hole(struct segscan *s, bool *hole)
{
    const uint8_t *p;
    uint64_t at = s->at, left = s->limit - at;
    *hole = left < 4;
    if (*hole) return E_OK;
    int rc = need(s, at, 4, &p);
    if (rc) return rc;
    uint64_t border = (at / SECTOR + 1) * SECTOR, size = RECORD_BYTES_MIN;
    if (get_u32(p) != 0) {
        size = record_bytes(get_u32(p));
        if (size < RECORD_BYTES_MIN) return E_OK;
        if (size > left) size = left;
    } else { /* zero from the start: up to the border, or for a record's length */
        if (size > border - at) size = border - at;
        if (size > left) size = left;
        rc = need(s, at, size, &p);
        if (rc == E_OK) *hole = all_zero(p, size);
        return rc;
    }
    for (; !*hole && border < at + size; border += SECTOR) {
        size_t n = at + size - border < SECTOR ? (size_t)(at + size - border) : SECTOR;
        rc = need(s, border, n, &p);
        if (rc) return rc;
        *hole = all_zero(p, n);
    }
    return E_OK;
}
