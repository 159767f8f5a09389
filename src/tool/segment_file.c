#include "tool/segment_file.h"

#include "base/codec.h"
#include "tool/digest.h"

#include <stdio.h>
#include <stdlib.h>

#define SIDECAR_HEAD 80u
#define SIDECAR_MOST (5ull << 30)
#define UNIT 4u

/* ---- names and header ---- */

void segment_name_write(char out[SEGMENT_NAME_MOST], const struct segment_name *n, const char *ext)
{
    (void)snprintf(out, SEGMENT_NAME_MOST, "log/%016llx-%04x.%s", (unsigned long long)n->first, n->generation, ext);
}

bool segment_name_read(const char *name, struct segment_name *out, bool *is_sidecar)
{
    static const char *const ext[] = {"seg", "idx"};
    char *end, again[SEGMENT_NAME_MOST];
    struct segment_name n = {.first = strtoull(name, &end, 16)};
    if (*end != '-' || n.first == 0) return false;
    n.generation = (uint32_t)strtoul(end + 1, NULL, 16);
    for (int i = 0; i < 2; i++) {
        segment_name_write(again, &n, ext[i]);
        if (strcmp(again + 4, name) != 0) continue;
        *out = n;
        *is_sidecar = i == 1;
        return true;
    }
    return false;
}

const char *segment_head_read(struct file *f, struct segment_head *out)
{
    const uint8_t *p = file_at(f, 0, SEGMENT_HEAD);
    *out = (struct segment_head){0};
    if (!p) return f->size < SEGMENT_HEAD ? "the file is shorter than its header" : "the header cannot be read";
    *out = (struct segment_head){.flags = get_u32(p + 12), .records = get_u32(p + 56), .first = get_u64(p + 16), .generation = get_u64(p + 24), .created_ms = get_u64(p + 48)};
    memcpy(out->store_id, p + 32, 16);
    if (memcmp(p, "VARVESEG", 8) != 0) return "the header does not begin with VARVESEG";
    if (digest_crc(0, p, 60) != get_u32(p + 60)) return "the header's checksum is wrong";
    uint16_t version = get_u16(p + 8);
    if (version < 1 || version > 2 || get_u16(p + 10) != SEGMENT_HEAD) return "the header is of an unknown version";
    return out->flags > 1 || ((out->records || version == 2) && !out->flags) ? "the header has unknown flags" : NULL;
}

/* ---- records ---- */

static uint64_t padded(uint64_t node_bytes) { return (RECORD_HEAD + node_bytes + 3) & ~(uint64_t)3; }
/* Of a whole record, by its length word. */
static uint64_t whole(uint32_t word) { return padded(word & LENGTH_BITS) + (word & LENGTH_CUT ? 4 : 0); }

enum record_result record_read(struct file *f, uint64_t at, uint64_t limit, struct record *out, const char **why)
{
    if (limit - at < 4) {
        *why = "less than a word is left";
        return at == limit ? RECORD_NONE : RECORD_BAD;
    }
    const uint8_t *p = file_at(f, at, 4);
    if (!p) return RECORD_IO;
    uint32_t word = get_u32(p), n = word & LENGTH_BITS, cut = 0;
    uint64_t size = whole(word);
    if (word == 0) return RECORD_NONE;
    *why = "the record's length is not possible";
    if (n < NODE_LEAST_BYTES || size > limit - at || (word & LENGTH_MORE && word & LENGTH_CUT)) return RECORD_BAD;
    p = file_at(f, at, (size_t)size);
    if (!p) return RECORD_IO;
    *why = "the record's checksum is wrong";
    uint32_t crc = digest_crc(digest_crc(0, p, 4), p + RECORD_HEAD, n);
    if (word & LENGTH_CUT) {
        crc = digest_crc(crc, p + padded(n), 4);
        cut = get_u32(p + padded(n));
    }
    if (crc != get_u32(p + 4)) return RECORD_BAD;
    *why = "the record's padding is not zero";
    for (uint64_t i = RECORD_HEAD + n; i < padded(n); i++)
        if (p[i]) return RECORD_BAD;
    *why = "the number of nodes that followed is not possible";
    if (word & LENGTH_CUT && (cut == 0 || cut > COMMIT_MOST)) return RECORD_BAD;
    *out = (struct record){.offset = at, .size = size, .node = slice_of(p + RECORD_HEAD, n), .seq = get_u64(p + RECORD_HEAD + NODE_SEQ_AT), .cut = cut, .more = word & LENGTH_MORE};
    return RECORD_OK;
}

enum record_result record_search(struct file *f, uint64_t at, uint64_t limit, const struct seq_window *w, uint64_t *found)
{
    for (at = (at & ~(uint64_t)3) + 4; at + RECORD_LEAST <= limit; at += 4) {
        struct record r;
        const char *why;
        const uint8_t *p = file_at(f, at, RECORD_HEAD + NODE_SEQ_AT + 8);
        if (!p) return RECORD_IO;
        uint64_t n = get_u32(p) & LENGTH_BITS, seq = get_u64(p + RECORD_HEAD + NODE_SEQ_AT);
        if (n < NODE_LEAST_BYTES || whole(get_u32(p)) > limit - at || p[RECORD_HEAD] != 1 || seq < w->lo || seq > w->hi) continue;
        if (record_read(f, at, limit, &r, &why) != RECORD_OK) continue;
        *found = at;
        return RECORD_OK;
    }
    return RECORD_NONE;
}

bool record_is_hole(struct file *f, uint64_t at, uint64_t limit)
{
    const uint8_t *p = limit - at < 4 ? NULL : file_at(f, at, 4);
    if (!p) return limit - at < 4;
    uint64_t border = (at / SECTOR_BYTES + 1) * SECTOR_BYTES, size = whole(get_u32(p));
    if (get_u32(p) == 0) { /* a whole header's worth of zeros, or all up to the border */
        uint64_t to = at + RECORD_LEAST < border ? at + RECORD_LEAST : border;
        return file_is_zero(f, at, to < limit ? to : limit);
    }
    if (size < RECORD_LEAST) return false;
    uint64_t end = size > limit - at ? limit : at + size;
    for (; border < end; border += SECTOR_BYTES)
        if (file_is_zero(f, border, border + SECTOR_BYTES < end ? border + SECTOR_BYTES : end)) return true;
    return false;
}

/* ---- sidecars ---- */

static const char *sidecar_parse(struct sidecar_file *s)
{
    const uint8_t *p = s->bytes.p;
    if (s->bytes.n < SIDECAR_HEAD) return "the file is shorter than its header";
    if (memcmp(p, "VARVEIDX", 8) != 0) return "it does not begin with VARVEIDX";
    if (digest_crc(0, p, 76) != get_u32(p + 76)) return "the header's checksum is wrong";
    if (get_u16(p + 8) != 1 || get_u16(p + 10) != SIDECAR_HEAD) return "it is of an unknown version";
    s->flags = get_u32(p + 12);
    s->first = get_u64(p + 16);
    s->last = get_u64(p + 24);
    s->generation = get_u64(p + 32);
    s->count = get_u64(p + 40);
    s->segment_bytes = get_u64(p + 48);
    memcpy(s->store_id, p + 56, 16);
    if (s->flags > 7) return "it has unknown flags";
    bool sparse = s->flags & SIDECAR_IS_SPARSE;
    if (s->count > (s->bytes.n - SIDECAR_HEAD) / UNIT || SIDECAR_HEAD + s->count * UNIT * (sparse ? 2 : 1) != s->bytes.n) return "its length does not fit its count";
    if (digest_crc(0, p + SIDECAR_HEAD, s->bytes.n - SIDECAR_HEAD) != get_u32(p + 72)) return "the checksum of its entries is wrong";
    s->seqs = sparse ? p + SIDECAR_HEAD : NULL;
    s->entries = p + SIDECAR_HEAD + (sparse ? s->count * UNIT : 0);
    for (uint64_t i = 1; i < s->count; i++) {
        bool more;
        if (sidecar_file_seq(s, i) <= sidecar_file_seq(s, i - 1) || sidecar_file_offset(s, i, &more) <= sidecar_file_offset(s, i - 1, &more)) return "its entries do not ascend";
    }
    return NULL;
}

const char *sidecar_file_read(const char *dir, const struct segment_name *n, struct sidecar_file *out)
{
    char name[SEGMENT_NAME_MOST];
    segment_name_write(name, n, "idx");
    *out = (struct sidecar_file){0};
    int rc = file_load(dir, name, SIDECAR_MOST, &out->bytes);
    if (rc == E_NOTFOUND) return NULL;
    out->there = true;
    const char *why = rc ? "it cannot be read" : sidecar_parse(out);
    out->good = why == NULL;
    return why;
}

void sidecar_file_fini(struct sidecar_file *s)
{
    buf_fini(&s->bytes);
    *s = (struct sidecar_file){0};
}

uint64_t sidecar_file_seq(const struct sidecar_file *s, uint64_t i) { return s->first + (s->seqs ? get_u32(s->seqs + i * UNIT) : i); }

uint64_t sidecar_file_offset(const struct sidecar_file *s, uint64_t i, bool *more)
{
    uint32_t e = get_u32(s->entries + i * UNIT);
    *more = e & LENGTH_MORE;
    return (uint64_t)(e & ~LENGTH_MORE) * UNIT;
}
