/* The dump format's few pieces that DUMP and RESTORE need. */
#include "modules/key/rdb.h"

#define KIND_STRING        0
#define KIND_MODULE        7
#define OPCODE_END         0
#define OPCODE_STRING      5
#define FOOTER_BYTES       10
#define INTEGER_DIGITS_MAX 11
#define LZF_RATIO_MAX      132 /* three bytes become 264 at the most, and then some */

enum { PACKED_INT8, PACKED_INT16, PACKED_INT32, PACKED_LZF };

/* ---- CRC-64 ---- */

static uint64_t crc_of_byte(uint64_t v)
{
    for (int i = 0; i < 8; i++) v = v & 1 ? v >> 1 ^ 0x95ac9329ac4bc9b5u : v >> 1; /* the polynomial, its bits reversed */
    return v;
}

uint64_t rdb_crc64(uint64_t crc, const void *bytes, size_t n)
{
    static uint64_t table[256];
    static bool ready;
    if (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) { /* two threads would write the same */
        for (unsigned i = 0; i < 256; i++) __atomic_store_n(&table[i], crc_of_byte(i), __ATOMIC_RELAXED);
        __atomic_store_n(&ready, true, __ATOMIC_RELEASE);
    }
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++) crc = table[(crc ^ p[i]) & 255] ^ crc >> 8;
    return crc;
}

/* ---- LZF ---- */

int rdb_lzf(slice packed, uint8_t *out, size_t n)
{
    const uint8_t *p = packed.p, *end = p + packed.n;
    size_t at = 0;
    while (p < end) {
        unsigned c = *p++;
        if (c < 32) { /* c + 1 bytes as they are */
            size_t len = c + 1;
            if ((size_t)(end - p) < len || n - at < len) return E_CORRUPT;
            memcpy(out + at, p, len);
            p += len;
            at += len;
            continue;
        }
        size_t len = c >> 5;
        if (len == 7) {
            if (p == end) return E_CORRUPT;
            len += *p++;
        }
        if (p == end) return E_CORRUPT;
        size_t back = ((size_t)(c & 31) << 8 | *p++) + 1;
        len += 2;
        if (back > at || n - at < len) return E_CORRUPT;
        for (size_t i = 0; i < len; i++) out[at + i] = out[at + i - back]; /* the two may overlap: then they repeat */
        at += len;
    }
    return at == n ? E_OK : E_CORRUPT;
}

/* ---- writing ---- */

static void add_length(struct buf *out, uint64_t n)
{
    uint8_t b[9];
    size_t bytes;
    if (n < 64) {
        b[0] = (uint8_t)n;
        bytes = 1;
    } else if (n < 16384) {
        b[0] = (uint8_t)(64 | n >> 8);
        b[1] = (uint8_t)n;
        bytes = 2;
    } else if (n <= UINT32_MAX) {
        b[0] = 0x80;
        put_be32(b + 1, (uint32_t)n);
        bytes = 5;
    } else {
        b[0] = 0x81;
        put_be64(b + 1, n);
        bytes = 9;
    }
    buf_add(out, b, bytes);
}

static bool add_integer(struct buf *out, slice s)
{
    int64_t v;
    uint8_t b[5];
    if (s.n > INTEGER_DIGITS_MAX || !num_parse_i64(s, &v) || v < INT32_MIN || v > INT32_MAX) return false;
    int kind = v >= INT8_MIN && v <= INT8_MAX ? PACKED_INT8 : v >= INT16_MIN && v <= INT16_MAX ? PACKED_INT16 : PACKED_INT32;
    b[0] = (uint8_t)(0xc0 | kind);
    put_u32(b + 1, (uint32_t)v);
    buf_add(out, b, 1 + ((size_t)1 << kind));
    return true;
}

/* Six bits a character of the name, ten of an encoding version. */
static uint64_t document_id(void)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t id = 0;
    for (const char *p = "varve-doc"; *p; p++) id = id << 6 | (uint64_t)(strchr(letters, *p) - letters);
    return id << 10;
}

static void add_string(struct buf *out, slice s)
{
    add_length(out, s.n);
    buf_add_slice(out, s);
}

void rdb_dump(uint8_t type, slice value, struct buf *out)
{
    uint8_t footer[FOOTER_BYTES];
    size_t from = out->n;
    ASSERT(type == TYPE_STRING || type == TYPE_DOCUMENT);
    if (type == TYPE_STRING) {
        buf_add_byte(out, KIND_STRING);
        if (!add_integer(out, value)) add_string(out, value);
    } else {
        buf_add_byte(out, KIND_MODULE);
        add_length(out, document_id());
        add_length(out, OPCODE_STRING);
        add_string(out, value);
        add_length(out, OPCODE_END);
    }
    put_u16(footer, RDB_VERSION);
    put_u64(footer + 2, rdb_crc64(rdb_crc64(0, out->p + from, out->n - from), footer, 2));
    buf_add(out, footer, sizeof footer);
}

/* ---- reading ---- */

static const uint8_t *take(slice *s, size_t n)
{
    if (s->n < n) return NULL;
    const uint8_t *p = s->p;
    *s = slice_of(p + n, s->n - n);
    return p;
}

/* A length, or with *packed the number of a special form. */
static bool read_length(slice *s, bool *packed, uint64_t *n)
{
    const uint8_t *p = take(s, 1), *more = NULL;
    *packed = false;
    if (!p) return false;
    uint8_t c = *p;
    switch (c >> 6) {
    case 0: *n = c; return true;
    case 1:
        more = take(s, 1);
        if (more) *n = (uint64_t)(c & 63) << 8 | *more;
        return more != NULL;
    case 3:
        *packed = true;
        *n = c & 63;
        return true;
    default: break;
    }
    if (c != 0x80 && c != 0x81) return false;
    more = take(s, c == 0x80 ? 4 : 8);
    if (more) *n = c == 0x80 ? get_be32(more) : get_be64(more);
    return more != NULL;
}

static bool read_integer(slice *s, uint64_t kind, struct buf *mem, slice *out)
{
    const uint8_t *p = take(s, (size_t)1 << kind);
    char text[24];
    if (!p) return false;
    int64_t v = kind == PACKED_INT8 ? (int8_t)*p : kind == PACKED_INT16 ? (int16_t)get_u16(p) : (int32_t)get_u32(p);
    buf_clear(mem);
    buf_add(mem, text, num_format_i64(text, v));
    *out = buf_slice(mem);
    return true;
}

static bool read_packed(slice *s, size_t bytes_max, struct buf *mem, slice *out)
{
    uint64_t packed_n, n;
    bool special;
    if (!read_length(s, &special, &packed_n) || special || !read_length(s, &special, &n) || special) return false;
    const uint8_t *p = packed_n <= s->n ? take(s, (size_t)packed_n) : NULL;
    if (!p || n > bytes_max || n > packed_n * LZF_RATIO_MAX) return false;
    buf_clear(mem);
    buf_reserve(mem, (size_t)n);
    if (rdb_lzf(slice_of(p, (size_t)packed_n), mem->p, (size_t)n) != E_OK) return false;
    mem->n = (size_t)n;
    *out = buf_slice(mem);
    return true;
}

static bool read_string(slice *s, size_t bytes_max, struct buf *mem, slice *out)
{
    uint64_t n;
    bool packed;
    if (!read_length(s, &packed, &n)) return false;
    if (packed && n == PACKED_LZF) return read_packed(s, bytes_max, mem, out);
    if (packed) return n < PACKED_LZF && read_integer(s, n, mem, out);
    if (n > bytes_max || n > s->n) return false;
    *out = slice_of(take(s, (size_t)n), (size_t)n);
    return true;
}

static bool expect_length(slice *s, uint64_t want)
{
    uint64_t n;
    bool packed;
    return read_length(s, &packed, &n) && !packed && n == want;
}

static bool read_document(slice *s, size_t bytes_max, struct buf *mem, slice *out)
{
    slice json;
    if (!expect_length(s, document_id()) || !expect_length(s, OPCODE_STRING) || !read_string(s, bytes_max, mem, &json))
        return false;
    return expect_length(s, OPCODE_END) && json_check(json, out, NULL) == E_OK;
}

int rdb_restore(slice payload, size_t bytes_max, struct buf *mem, uint8_t *type, slice *value)
{
    if (payload.n < FOOTER_BYTES) return E_VERSION;
    size_t body = payload.n - FOOTER_BYTES;
    if (get_u16(payload.p + body) > RDB_VERSION) return E_VERSION;
    if (rdb_crc64(0, payload.p, body + 2) != get_u64(payload.p + body + 2)) return E_VERSION;
    slice s = slice_of(payload.p, body);
    const uint8_t *kind = take(&s, 1);
    bool good = false;
    if (kind && *kind == KIND_STRING) {
        *type = TYPE_STRING;
        good = read_string(&s, bytes_max, mem, value);
    } else if (kind && *kind == KIND_MODULE) {
        *type = TYPE_DOCUMENT;
        good = read_document(&s, bytes_max, mem, value);
    }
    return good && s.n == 0 ? E_OK : E_CORRUPT;
}
