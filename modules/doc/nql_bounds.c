/* What WHERE says about one path, for indexes.
 *
 * Each part of the tree gives a superset of the values with which it can hold: a sorted set of points, a range, all, or none. AND
 * intersects, OR joins (two sets of points to one, all else to the range around both); a term of another path, NOT and what says nothing
 * about order give all. Missing counts as null here, as it does in indexes: so IS NULL is the point null, and a test that a missing field
 * fails may still let null in. Too much never harms, too little would. */
#include "modules/doc/nql_lex.h"

#define JSON_NULL_TEXT    ((slice){(const uint8_t *)"null", 4})
#define FIRST_STRING_TEXT ((slice){(const uint8_t *)"\"\"", 2})
#define FIRST_ARRAY_TEXT  ((slice){(const uint8_t *)"[]", 2})

static const struct nql_bounds all = {.kind = NQL_BOUNDS_ALL}, none = {.kind = NQL_BOUNDS_NONE};

static struct nql_bounds point(struct nql_arena *a, slice value)
{
    slice *p = nql_arena_take(a, sizeof *p);
    *p = value;
    return (struct nql_bounds){.kind = NQL_BOUNDS_POINTS, .points = p, .n = 1};
}

static struct nql_bounds from(slice lo, bool open)
{
    return (struct nql_bounds){.kind = NQL_BOUNDS_RANGE, .has_lo = true, .lo_open = open, .lo = lo};
}

static struct nql_bounds up_to(slice hi, bool open)
{
    return (struct nql_bounds){.kind = NQL_BOUNDS_RANGE, .has_hi = true, .hi_open = open, .hi = hi};
}

/* ---- sets ---- */

static bool is_inside(slice v, const struct nql_bounds *r)
{
    int lo = r->has_lo ? json_compare(v, r->lo) : 1, hi = r->has_hi ? json_compare(v, r->hi) : -1;
    return (lo > 0 || (lo == 0 && !r->lo_open)) && (hi < 0 || (hi == 0 && !r->hi_open));
}

static struct nql_bounds both_ranges(struct nql_arena *a, struct nql_bounds x, const struct nql_bounds *y)
{
    int c = x.has_lo && y->has_lo ? json_compare(x.lo, y->lo) : 0;
    if (y->has_lo && (!x.has_lo || c < 0 || (c == 0 && y->lo_open))) x.has_lo = true, x.lo = y->lo, x.lo_open = y->lo_open;
    c = x.has_hi && y->has_hi ? json_compare(x.hi, y->hi) : 0;
    if (y->has_hi && (!x.has_hi || c > 0 || (c == 0 && y->hi_open))) x.has_hi = true, x.hi = y->hi, x.hi_open = y->hi_open;
    if (!x.has_lo || !x.has_hi) return x;
    c = json_compare(x.lo, x.hi);
    if (c > 0 || (c == 0 && (x.lo_open || x.hi_open))) return none;
    return c == 0 ? point(a, x.lo) : x;
}

static struct nql_bounds some_points(slice *p, size_t n)
{
    return n ? (struct nql_bounds){.kind = NQL_BOUNDS_POINTS, .points = p, .n = n} : none;
}

static struct nql_bounds intersect(struct nql_arena *a, const struct nql_bounds *x, const struct nql_bounds *y)
{
    if (x->kind == NQL_BOUNDS_NONE || y->kind == NQL_BOUNDS_ALL) return *x;
    if (y->kind == NQL_BOUNDS_NONE || x->kind == NQL_BOUNDS_ALL) return *y;
    if (x->kind == NQL_BOUNDS_RANGE && y->kind == NQL_BOUNDS_RANGE) return both_ranges(a, *x, y);
    if (x->kind == NQL_BOUNDS_RANGE) return intersect(a, y, x);
    slice *kept = nql_arena_take(a, x->n * sizeof *kept);
    size_t n = 0;
    for (size_t i = 0, j = 0; i < x->n; i++) {
        if (y->kind == NQL_BOUNDS_RANGE) {
            if (is_inside(x->points[i], y)) kept[n++] = x->points[i];
            continue;
        }
        while (j < y->n && json_compare(y->points[j], x->points[i]) < 0) j++;
        if (j < y->n && json_compare(y->points[j], x->points[i]) == 0) kept[n++] = x->points[i];
    }
    return some_points(kept, n);
}

static struct nql_bounds join_points(struct nql_arena *a, const struct nql_bounds *x, const struct nql_bounds *y)
{
    slice *kept = nql_arena_take(a, (x->n + y->n) * sizeof *kept);
    size_t n = 0, i = 0, j = 0;
    while (i < x->n || j < y->n) {
        int c = i == x->n ? 1 : j == y->n ? -1 : json_compare(x->points[i], y->points[j]);
        kept[n++] = c <= 0 ? x->points[i] : y->points[j];
        i += c <= 0;
        j += c >= 0;
    }
    return some_points(kept, n);
}

/* The range around a set. */
static struct nql_bounds around(const struct nql_bounds *x)
{
    if (x->kind != NQL_BOUNDS_POINTS) return *x;
    return (struct nql_bounds){
        .kind = NQL_BOUNDS_RANGE, .has_lo = true, .has_hi = true, .lo = x->points[0], .hi = x->points[x->n - 1]};
}

static struct nql_bounds join(struct nql_arena *a, const struct nql_bounds *x, const struct nql_bounds *y)
{
    if (x->kind == NQL_BOUNDS_NONE || y->kind == NQL_BOUNDS_ALL) return *y;
    if (y->kind == NQL_BOUNDS_NONE || x->kind == NQL_BOUNDS_ALL) return *x;
    if (x->kind == NQL_BOUNDS_POINTS && y->kind == NQL_BOUNDS_POINTS) return join_points(a, x, y);
    struct nql_bounds r = around(x), s = around(y);
    int c = r.has_lo && s.has_lo ? json_compare(r.lo, s.lo) : 0;
    r.lo_open = c == 0 ? r.lo_open && s.lo_open : c > 0 ? s.lo_open : r.lo_open;
    if (c > 0) r.lo = s.lo;
    r.has_lo = r.has_lo && s.has_lo;
    c = r.has_hi && s.has_hi ? json_compare(r.hi, s.hi) : 0;
    r.hi_open = c == 0 ? r.hi_open && s.hi_open : c < 0 ? s.hi_open : r.hi_open;
    if (c < 0) r.hi = s.hi;
    r.has_hi = r.has_hi && s.has_hi;
    if (!r.has_lo) r.lo = (slice){0};
    if (!r.has_hi) r.hi = (slice){0};
    return r.has_lo || r.has_hi ? r : all;
}

/* ---- terms ---- */

static slice quoted(struct nql_arena *a, slice text)
{
    struct buf b = {0};
    json_quote(text, &b);
    slice kept = nql_arena_copy(a, buf_slice(&b));
    buf_fini(&b);
    return kept;
}

/* The last character of p[0..n): its value; *n becomes where it begins. */
static uint32_t last_character(const uint8_t *p, size_t *n)
{
    uint32_t c = 0;
    unsigned shift = 0;
    while (*n > 1 && (p[*n - 1] & 0xc0) == 0x80) c |= (uint32_t)(p[--*n] & 0x3f) << shift, shift += 6;
    uint8_t lead = p[--*n];
    return c | (uint32_t)(shift == 0 ? lead : lead & (0x3f >> shift / 6)) << shift;
}

static size_t put_character(uint8_t *p, uint32_t c)
{
    if (c < 0x80) {
        p[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) p[i] = (uint8_t)(0x80 | (c & 0x3f));
    p[0] = (uint8_t)((0xf0u << (4 - n) & 0xff) | c);
    return n;
}

/* The first string behind all that begin so: the last character that has a next one is raised, what follows it dropped. False: there is none. */
static bool behind_prefix(struct nql_arena *a, slice prefix, slice *out)
{
    uint8_t *p = nql_arena_take(a, prefix.n + 4);
    memcpy(p, prefix.p, prefix.n);
    for (size_t n = prefix.n; n > 0;) {
        uint32_t c = last_character(p, &n);
        if (c == 0x10ffff) continue;
        n += put_character(p + n, c == 0xd7ff ? 0xe000 : c + 1);
        *out = quoted(a, slice_of(p, n));
        return true;
    }
    return false;
}

static struct nql_bounds like(struct nql_arena *a, const struct nql_value *v)
{
    size_t n = 0;
    while (n < v->text.n && v->text.p[n] < NQL_LIKE_ONE) n++;
    slice prefix = slice_of(v->text.p, n);
    if (n == v->text.n) return point(a, quoted(a, prefix));
    struct nql_bounds r = from(n ? quoted(a, prefix) : FIRST_STRING_TEXT, false);
    r.has_hi = r.hi_open = true;
    if (!behind_prefix(a, prefix, &r.hi)) r.hi = FIRST_ARRAY_TEXT;
    return r;
}

static struct nql_bounds term(struct nql_arena *a, const struct nql_expr *e)
{
    slice v = e->n ? e->value[0].json : JSON_NULL_TEXT;
    struct nql_bounds lo, hi;
    slice *p;
    switch (e->op) {
    case NQL_EQ:
    case NQL_NULL: return point(a, v);
    case NQL_NOT_NULL: return from(v, true);
    case NQL_LT: return up_to(v, true);
    case NQL_LE: return up_to(v, false);
    case NQL_GT: return from(v, true);
    case NQL_GE: return from(v, false);
    case NQL_LIKE: return like(a, &e->value[0]);
    case NQL_BETWEEN:
        lo = from(v, false);
        hi = up_to(e->value[1].json, false);
        return intersect(a, &lo, &hi);
    case NQL_IN:
        p = nql_arena_take(a, e->n * sizeof *p);
        for (uint32_t i = 0; i < e->n; i++) p[i] = e->value[i].json;
        return some_points(p, e->n);
    default: return all;
    }
}

/* As deep as the tree nests: NQL_NESTING_MAX. */
static struct nql_bounds bounds(struct nql_arena *a, const struct nql_expr *e, uint32_t path)
{
    if (e->op == NQL_NOT) return all;
    if (e->op != NQL_AND && e->op != NQL_OR) return e->path == path ? term(a, e) : all;
    struct nql_bounds r = e->op == NQL_AND ? all : none;
    for (const struct nql_expr *k = e->kid; k; k = k->next) {
        struct nql_bounds one = bounds(a, k, path);
        r = e->op == NQL_AND ? intersect(a, &r, &one) : join(a, &r, &one);
    }
    return r;
}

void nql_bounds(const struct nql_query *q, uint32_t path, struct nql_bounds *out)
{
    ASSERT(path < q->n_paths && out);
    struct nql_arena *a = mem_zalloc(sizeof *a);
    *out = q->where ? bounds(a, q->where, path) : all;
    out->mem = a;
}

void nql_bounds_fini(struct nql_bounds *b)
{
    if (b->mem) {
        nql_arena_free(b->mem);
        mem_free(b->mem);
    }
    *b = all;
}
