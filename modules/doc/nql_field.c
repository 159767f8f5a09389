/* One field of one row. See the header.
 *
 * Keys of fields: those of JSON values are json_sort_key's. The others belong to pseudo paths, whose fields all have one form, so that
 * their keys need only order among themselves:
 *
 *   missing   00
 *   bytes     01, the bytes with 00 as 00 ff, then 00 00
 *   hash      01, the 32 bytes
 *   number    01, 8 bytes big-endian */
#include "modules/doc/nql_field.h"

#define DIGITS_AT_ONCE 18 /* an int64 holds them all */

static struct nql_field bytes_field(slice s)
{
    return (struct nql_field){.form = s.p ? NQL_BYTES : NQL_MISSING, .s = s};
}

static struct nql_field number_field(uint64_t v) { return (struct nql_field){.form = NQL_NUMBER, .number = v}; }

/* The key is always there, be it empty. */
static slice key_of(const struct nql_row *row) { return row->key.n ? row->key : slice_of("", 0); }

static slice id_of(slice key)
{
    const uint8_t *colon = key.n ? memchr(key.p, ':', key.n) : NULL;
    return colon ? slice_of(colon + 1, key.n - (size_t)(colon - key.p) - 1) : key;
}

struct nql_field nql_field_json(slice json) { return (struct nql_field){.form = NQL_JSON, .s = json}; }

static struct nql_field document_field(const struct json_path *path, slice json)
{
    struct nql_field f = {.form = NQL_MISSING};
    if (json.n && json_find(json, path, &f.s) == E_OK) f.form = NQL_JSON;
    return f;
}

struct nql_field nql_field_of(const struct nql_query *q, const struct nql_row *row, uint32_t path)
{
    ASSERT(path < q->n_paths);
    switch (q->path[path].kind) {
    case NQL_DOC: return document_field(q->path[path].json, row->json);
    case NQL_ID: return bytes_field(id_of(key_of(row)));
    case NQL_KEY: return bytes_field(key_of(row));
    case NQL_SEQ: return number_field(row->seq);
    case NQL_VER: return number_field(row->ver);
    case NQL_TS: return number_field(row->ts_ms);
    case NQL_BY: return bytes_field(row->by);
    case NQL_FROM: return bytes_field(row->from);
    case NQL_REL: return bytes_field(row->rel);
    case NQL_TO: return bytes_field(row->to);
    case NQL_HASH: break;
    }
    return (struct nql_field){.form = row->hash ? NQL_HASHED : NQL_MISSING, .s = slice_of(row->hash, row->hash ? HASH_BYTES : 0)};
}

enum json_type nql_field_type(const struct nql_field *f)
{
    ASSERT(f->form != NQL_MISSING);
    if (f->form != NQL_JSON) return f->form == NQL_NUMBER ? JSON_NUMBER : JSON_STRING;
    switch (f->s.n ? *f->s.p : 0) {
    case '"': return JSON_STRING;
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n':
    case 0: return JSON_NULL;
    default: return JSON_NUMBER;
    }
}

static slice number_text(const struct nql_field *f, char out[24])
{
    return f->form == NQL_NUMBER ? slice_of(out, num_format_u64(out, f->number)) : f->s;
}

static void add_hex(slice hash, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < hash.n; i++) {
        buf_add_byte(out, (uint8_t)hex[hash.p[i] >> 4]);
        buf_add_byte(out, (uint8_t)hex[hash.p[i] & 15]);
    }
}

slice nql_field_text(const struct nql_field *f, struct buf *mem)
{
    ASSERT(f->form == NQL_JSON || f->form == NQL_BYTES || f->form == NQL_HASHED);
    if (f->form == NQL_BYTES) return f->s;
    buf_clear(mem);
    if (f->form == NQL_HASHED) {
        add_hex(f->s, mem);
        return buf_slice(mem);
    }
    ASSERT(f->s.n >= 2);
    slice inside = slice_of(f->s.p + 1, f->s.n - 2);
    if (inside.n == 0 || !memchr(inside.p, '\\', inside.n)) return inside;
    json_unescape(f->s, mem);
    return buf_slice(mem);
}

/* A number written as an integer of few digits, as nearly all are. */
static bool quick_integer(slice s, int64_t *out)
{
    bool negative = s.n && *s.p == '-';
    const uint8_t *p = s.p + negative, *end = s.p + s.n;
    int64_t v = 0;
    if (end - p > DIGITS_AT_ONCE) return false;
    for (; p < end; p++) {
        if ((uint8_t)(*p - '0') > 9) return false;
        v = v * 10 + (*p - '0');
    }
    *out = negative ? -v : v;
    return true;
}

static int compare_numbers(const struct nql_field *f, const struct nql_value *v)
{
    char digits[24];
    int64_t n = (int64_t)f->number;
    if (v->whole && (f->form == NQL_NUMBER ? f->number <= INT64_MAX : quick_integer(f->s, &n))) return (n > v->i64) - (n < v->i64);
    return json_compare(number_text(f, digits), v->json);
}

int nql_field_compare(const struct nql_field *f, const struct nql_value *v)
{
    enum json_type type = nql_field_type(f);
    if (type != v->type) return type < v->type ? -1 : 1;
    if (type == JSON_NUMBER) return compare_numbers(f, v);
    if (type >= JSON_ARRAY) return json_compare(f->s, v->json);
    if (type != JSON_STRING) return 0;
    struct buf mem = {0};
    int c = slice_cmp(nql_field_text(f, &mem), v->text);
    buf_fini(&mem);
    return c;
}

bool nql_field_equal(const struct nql_field *f, const struct nql_value *v)
{
    return nql_field_type(f) == v->type && nql_field_compare(f, v) == 0;
}

int nql_field_order(const struct nql_field *a, const struct nql_field *b)
{
    const slice null = slice_of("null", 4);
    bool missing_a = a->form == NQL_MISSING, missing_b = b->form == NQL_MISSING;
    if (a->form == NQL_JSON || b->form == NQL_JSON) return json_compare(missing_a ? null : a->s, missing_b ? null : b->s);
    if (missing_a || missing_b) return (int)missing_b - (int)missing_a;
    if (a->form == NQL_NUMBER) return (a->number > b->number) - (a->number < b->number);
    return slice_cmp(a->s, b->s);
}

static void bytes_key(slice s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        buf_add_byte(out, s.p[i]);
        if (s.p[i] == 0) buf_add_byte(out, 0xff);
    }
    buf_add(out, "\0", 2);
}

static void pseudo_key(const struct nql_field *f, struct buf *out)
{
    buf_add_byte(out, f->form != NQL_MISSING);
    if (f->form == NQL_BYTES) bytes_key(f->s, out);
    if (f->form == NQL_HASHED) buf_add_slice(out, f->s);
    if (f->form == NQL_NUMBER) {
        put_be64(buf_reserve(out, 8), f->number);
        out->n += 8;
    }
}

void nql_field_key(const struct nql_field *f, bool pseudo, bool descending, struct buf *out)
{
    size_t from = out->n;
    if (pseudo)
        pseudo_key(f, out);
    else
        json_sort_key(f->form == NQL_JSON ? f->s : slice_of("null", 4), SIZE_MAX, out, NULL);
    for (size_t i = from; descending && i < out->n; i++) out->p[i] ^= 0xff;
}

void nql_field_print(const struct nql_field *f, struct buf *out)
{
    char digits[24];
    switch (f->form) {
    case NQL_MISSING: buf_add_str(out, "null"); return;
    case NQL_JSON: buf_add_slice(out, f->s); return;
    case NQL_BYTES: json_quote(f->s, out); return;
    case NQL_NUMBER: buf_add_slice(out, number_text(f, digits)); return;
    case NQL_HASHED: break;
    }
    buf_add_byte(out, '"');
    add_hex(f->s, out);
    buf_add_byte(out, '"');
}
