#include "modules/doc/rows.h"

static void add_part(struct buf *b, slice s)
{
    uint8_t *at = buf_reserve(b, 8);
    put_u64(at, s.n);
    b->n += 8;
    buf_add_slice(b, s);
}

void rows_add(struct rows *r, slice key, slice value)
{
    add_part(&r->mem, key);
    add_part(&r->mem, value);
    r->n++;
}

static slice take_part(slice *rest)
{
    size_t n = (size_t)get_u64(rest->p);
    slice part = {rest->p + 8, n};
    *rest = (slice){rest->p + 8 + n, rest->n - 8 - n};
    return part;
}

void rows_reply(struct call *c, const struct rows *r, bool with_values)
{
    slice rest = buf_slice(&r->mem);
    reply_array(c, r->n);
    for (size_t i = 0; i < r->n; i++) {
        slice key = take_part(&rest), value = take_part(&rest);
        if (with_values) reply_array(c, 2);
        reply_bulk(c, key);
        if (with_values) reply_bulk(c, value);
    }
}

void rows_reply_maps(struct call *c, const struct rows *r, size_t pairs)
{
    slice rest = buf_slice(&r->mem);
    ASSERT(pairs > 0 && r->n % pairs == 0);
    reply_array(c, r->n / pairs);
    for (size_t i = 0; i < r->n; i++) {
        slice name = take_part(&rest), value = take_part(&rest);
        if (i % pairs == 0) reply_map(c, pairs);
        reply_bulk(c, name);
        reply_bulk(c, value);
    }
}

void rows_fini(struct rows *r)
{
    buf_fini(&r->mem);
    r->n = 0;
}
