/* Rows as the reply and the cursors see them: their order, their place, the fields asked for. */
#include "modules/doc/nql_field.h"

bool nql_value_json(const struct nql_query *q, const struct nql_row *row, uint32_t path, struct buf *out)
{
    struct nql_field f = nql_field_of(q, row, path);
    if (f.form == NQL_MISSING) return false;
    nql_field_print(&f, out);
    return true;
}

void nql_project(const struct nql_query *q, const struct nql_row *row, struct buf *out)
{
    ASSERT(q->n_fields > 0);
    bool any = false;
    buf_add_byte(out, '{');
    for (uint32_t i = 0; i < q->n_fields; i++) {
        struct nql_field f = nql_field_of(q, row, q->fields[i]);
        if (f.form == NQL_MISSING) continue;
        if (any) buf_add_byte(out, ',');
        any = true;
        json_quote(q->path[q->fields[i]].text, out);
        buf_add_byte(out, ':');
        nql_field_print(&f, out);
    }
    buf_add_byte(out, '}');
}

void nql_sort_key(const struct nql_query *q, const struct nql_row *row, struct buf *out)
{
    ASSERT(!q->grouped);
    for (uint32_t i = 0; i < q->n_order; i++) {
        const struct nql_order *o = &q->order[i];
        struct nql_field f = nql_field_of(q, row, o->path);
        nql_field_key(&f, q->path[o->path].kind != NQL_DOC, o->descending, out);
    }
    buf_add_slice(out, row->key);
}

int nql_compare_rows(const struct nql_query *q, const struct nql_row *a, const struct nql_row *b)
{
    ASSERT(!q->grouped);
    for (uint32_t i = 0; i < q->n_order; i++) {
        const struct nql_order *o = &q->order[i];
        struct nql_field x = nql_field_of(q, a, o->path), y = nql_field_of(q, b, o->path);
        int c = nql_field_order(&x, &y);
        if (c) return o->descending ? -c : c;
    }
    return slice_cmp(a->key, b->key);
}
