#include "modules/doc/query_cursor.h"

#define VERSION      1
#define FIXED_BYTES  8 /* of the digest, and of the check */
#define NUMBERS      3 /* varints in front of the digest */

static void add_varint(struct buf *b, uint64_t v)
{
    uint8_t *at = buf_reserve(b, VARINT_MAX);
    b->n = (size_t)(put_varint(at, v) - b->p);
}

static void add_u64(struct buf *b, uint64_t v)
{
    put_u64(buf_reserve(b, FIXED_BYTES), v);
    b->n += FIXED_BYTES;
}

void query_cursor_encode(const struct query_position *p, const struct hash_seed *seed, struct buf *out)
{
    struct buf b = {0};
    ASSERT(p->name.n <= QUERY_CURSOR_NAME_MAX);
    buf_add_byte(&b, VERSION);
    add_varint(&b, p->seq);
    add_varint(&b, p->ms);
    add_varint(&b, p->given);
    add_u64(&b, p->digest);
    add_varint(&b, p->name.n);
    buf_add_slice(&b, p->name);
    add_u64(&b, key_hash(seed, b.p, b.n));
    char *to = (char *)buf_reserve(out, 2 * b.n + 1);
    hex_encode(to, b.p, b.n);
    out->n += 2 * b.n;
    buf_fini(&b);
}

/* One spelling only: digits in lower case, numbers without idle bytes. */
static bool is_canonical(slice text, const struct query_position *p, const struct hash_seed *seed)
{
    struct buf again = {0};
    query_cursor_encode(p, seed, &again);
    bool same = slice_eq(text, buf_slice(&again));
    buf_fini(&again);
    return same;
}

int query_cursor_decode(slice text, const struct hash_seed *seed, struct buf *mem, struct query_position *p)
{
    uint64_t number[NUMBERS], name_bytes;
    size_t n = text.n / 2;
    if (text.n % 2 || text.n > QUERY_CURSOR_TEXT_MAX || n < 1 + NUMBERS + FIXED_BYTES + 1 + FIXED_BYTES) return E_SYNTAX;
    buf_clear(mem);
    uint8_t *bytes = buf_reserve(mem, n);
    if (!hex_decode(bytes, (const char *)text.p, n) || bytes[0] != VERSION) return E_SYNTAX;
    mem->n = n;
    const uint8_t *at = bytes + 1, *end = bytes + n - FIXED_BYTES;
    if (key_hash(seed, bytes, n - FIXED_BYTES) != get_u64(end)) return E_SYNTAX;
    for (int i = 0; i < NUMBERS; i++)
        if ((at = get_varint(at, end, &number[i])) == NULL) return E_SYNTAX;
    if ((size_t)(end - at) < FIXED_BYTES) return E_SYNTAX;
    uint64_t digest = get_u64(at);
    at = get_varint(at + FIXED_BYTES, end, &name_bytes);
    if (at == NULL || name_bytes != (uint64_t)(end - at) || name_bytes > QUERY_CURSOR_NAME_MAX) return E_SYNTAX;
    struct query_position found = {number[0], number[1], number[2], digest, slice_of(at, (size_t)name_bytes)};
    if (!is_canonical(text, &found, seed)) return E_SYNTAX;
    *p = found;
    return E_OK;
}
