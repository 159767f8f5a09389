/* Whether WHERE holds for a row.
 *
 * Works on the document's bytes. When the first test asks for a field of it, all that WHERE names are found in one pass. Values
 * compare in the one total order null < false < true < number < string < array < object, also across types; a missing field fails every
 * test but IS NULL. Recursion goes as deep as the parser let the tree nest (NQL_NESTING_MAX). */
#include "modules/doc/nql_field.h"

struct sight { /* one row while it is looked at */
    const struct nql_query *q;
    const struct nql_row *row;
    bool picked;    /* found and value[] are of this row */
    uint64_t found; /* bit per path */
    slice value[NQL_PATHS_MAX];
};
_Static_assert(NQL_PATHS_MAX <= JSON_PICKS_MAX, "one bit per path");

static struct nql_field look(struct sight *s, uint32_t path)
{
    if (s->q->path[path].kind != NQL_DOC) return nql_field_of(s->q, s->row, path);
    if (!s->picked) s->found = json_pick(s->q->picker, s->row->json, s->value);
    s->picked = true;
    return s->found >> path & 1 ? nql_field_json(s->value[path]) : (struct nql_field){.form = NQL_MISSING};
}

/* ---- LIKE ---- */

/* One piece of a pattern (no NQL_LIKE_ANY in it) at the text's start: the byte behind its match, or NULL. */
static const uint8_t *piece_at(slice piece, const uint8_t *p, const uint8_t *end)
{
    for (size_t i = 0; i < piece.n; i++) {
        if (p == end || (piece.p[i] != NQL_LIKE_ONE && *p != piece.p[i])) return NULL;
        p++;
        if (piece.p[i] == NQL_LIKE_ONE)
            while (p < end && (*p & 0xc0) == 0x80) p++;
    }
    return p;
}

/* The same at the text's end; the text must not begin behind `start`. */
static bool piece_at_end(slice piece, const uint8_t *start, const uint8_t *p)
{
    for (size_t i = piece.n; i-- > 0;) {
        if (p == start) return false;
        p--;
        if (piece.p[i] == NQL_LIKE_ONE) {
            while (p > start && (*p & 0xc0) == 0x80) p--;
        } else if (*p != piece.p[i]) {
            return false;
        }
    }
    return true;
}

/* The first place of a piece in the text: the byte behind it, or NULL. */
static const uint8_t *piece_find(slice piece, const uint8_t *p, const uint8_t *end)
{
    if (piece.n == 0) return p;
    if (!memchr(piece.p, NQL_LIKE_ONE, piece.n)) {
        const uint8_t *found = memmem(p, (size_t)(end - p), piece.p, piece.n);
        return found ? found + piece.n : NULL;
    }
    for (; p < end; p++) {
        const uint8_t *behind = (*p & 0xc0) == 0x80 ? NULL : piece_at(piece, p, end);
        if (behind) return behind;
    }
    return NULL;
}

/* The first piece stands at the start, the last at the end, those between wherever they come first. */
static bool like(slice pattern, slice text)
{
    const uint8_t *p = text.p, *end = text.p + text.n, *rest = pattern.p, *stop = pattern.p + pattern.n;
    for (bool first = true;; first = false) {
        const uint8_t *any = rest < stop ? memchr(rest, NQL_LIKE_ANY, (size_t)(stop - rest)) : NULL;
        slice piece = slice_of(rest, (size_t)((any ? any : stop) - rest));
        if (!any && !first) return piece_at_end(piece, p, end);
        p = first ? piece_at(piece, p, end) : piece_find(piece, p, end);
        if (!p) return false;
        if (!any) return p == end;
        rest = any + 1;
    }
}

static bool test_like(const struct nql_field *f, const struct nql_value *v)
{
    struct buf mem = {0};
    if (nql_field_type(f) != JSON_STRING) return false;
    bool yes = like(v->text, nql_field_text(f, &mem));
    buf_fini(&mem);
    return yes;
}

/* ---- CONTAINS ---- */

static bool name_is(slice raw, slice name, struct buf *mem)
{
    if (!memchr(raw.p, '\\', raw.n)) return slice_eq(raw, name);
    buf_clear(mem);
    json_unescape(raw, mem);
    return slice_eq(buf_slice(mem), name);
}

/* An array's elements, an object's names. */
static bool container_holds(slice json, enum json_type type, const struct nql_value *v)
{
    struct buf mem = {0};
    slice name, value;
    size_t at = 0;
    bool yes = false;
    while (!yes && json_next(json, &at, &name, &value) == E_OK) {
        struct nql_field element = nql_field_json(value);
        yes = type == JSON_ARRAY ? nql_field_equal(&element, v) : name_is(name, v->text, &mem);
    }
    buf_fini(&mem);
    return yes;
}

static bool test_contains(const struct nql_field *f, const struct nql_value *v)
{
    enum json_type type = nql_field_type(f);
    if (type == JSON_ARRAY) return container_holds(f->s, type, v);
    if (v->type != JSON_STRING) return false;
    if (type == JSON_OBJECT) return container_holds(f->s, type, v);
    if (type != JSON_STRING) return false;
    struct buf mem = {0};
    slice text = nql_field_text(f, &mem);
    bool yes = v->text.n == 0 || (text.n && memmem(text.p, text.n, v->text.p, v->text.n));
    buf_fini(&mem);
    return yes;
}

/* ---- tests ---- */

/* The values are sorted. */
static bool test_in(const struct nql_field *f, const struct nql_expr *e)
{
    size_t lo = 0, hi = e->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = nql_field_compare(f, &e->value[mid]);
        if (c == 0) return true;
        if (c > 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

static bool test(const struct nql_field *f, const struct nql_expr *e)
{
    if (e->op == NQL_NULL) return f->form == NQL_MISSING || nql_field_type(f) == JSON_NULL;
    if (f->form == NQL_MISSING) return false;
    switch (e->op) {
    case NQL_EXISTS: return true;
    case NQL_NOT_NULL: return nql_field_type(f) != JSON_NULL;
    case NQL_EQ: return nql_field_equal(f, e->value);
    case NQL_NE: return !nql_field_equal(f, e->value);
    case NQL_LT: return nql_field_compare(f, e->value) < 0;
    case NQL_LE: return nql_field_compare(f, e->value) <= 0;
    case NQL_GT: return nql_field_compare(f, e->value) > 0;
    case NQL_GE: return nql_field_compare(f, e->value) >= 0;
    case NQL_BETWEEN: return nql_field_compare(f, &e->value[0]) >= 0 && nql_field_compare(f, &e->value[1]) <= 0;
    case NQL_IN: return test_in(f, e);
    case NQL_NOT_IN: return !test_in(f, e);
    case NQL_LIKE: return test_like(f, e->value);
    case NQL_CONTAINS: return test_contains(f, e->value);
    default: break;
    }
    ASSERT(!"no such operator");
    return false;
}

static bool holds(struct sight *s, const struct nql_expr *e)
{
    if (e->op == NQL_NOT) return !holds(s, e->kid);
    if (e->op != NQL_AND && e->op != NQL_OR) {
        struct nql_field f = look(s, e->path);
        return test(&f, e);
    }
    bool deciding = e->op == NQL_OR;
    for (const struct nql_expr *k = e->kid; k; k = k->next)
        if (holds(s, k) == deciding) return deciding;
    return !deciding;
}

bool nql_match(const struct nql_query *q, const struct nql_row *row)
{
    ASSERT(q && row);
    if (!q->where) return true;
    struct sight s;
    s.q = q;
    s.row = row;
    s.picked = false;
    return holds(&s, q->where);
}
