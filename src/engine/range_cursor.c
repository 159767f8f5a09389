/* Documents of a collection in the order of one field, between two values, at a point.
 *
 * Entries (intervals.h) come in groups of one sort key. Within a group the order is by key, ascending in both directions, so a group is read forward even
 * when the groups are read backward; a group of one, the usual case, needs no seek for that.
 *
 * A sort key at its maximum may have been cut, so such a group is collected and ordered by the real values. That is the one place that holds more than
 * a row, and it needs values of more than RANGE_SORT_KEY_MAX bytes that begin alike. Every other group holds one value, so its
 * sort key alone tells on which side of a bound it lies.
 *
 * A position (what range_cursor_at gives): u8 format (1), varint n, n bytes of sort key, varint seq, key. seq is 0 unless the sort key may have been cut: then
 * it names the version that was the row, and so the value itself, which may be of any length. Nodes do not change, so a position means the same
 * whatever the index does. */
#include "base/mem.h"
#include "engine/intervals.h"
#include <stdlib.h>

#define POSITION_FORMAT 1
#define COLLECT_COST    16 /* a collected row reads its node: it counts for so many entries of a turn */

struct row {
    uint64_t seq;
    size_t key_bytes, value_bytes;
    uint8_t *bytes;  /* key, then the JSON value */
    bool descending; /* for the sort */
};

struct bound {
    bool set, inclusive;
    struct buf json, sort_key;
};

enum place { RANGE_FIRST, RANGE_BETWEEN, RANGE_IN_GROUP, RANGE_COLLECTING, RANGE_COLLECTED, RANGE_ENDED };
enum side_of { SIDE_BEFORE = -1, SIDE_INSIDE = 0, SIDE_BEHIND = 1 };

struct range_cursor {
    struct intervals in;
    bool descending, keys_only;
    enum place place;
    struct bound low, high;
    struct buf group; /* sort key of the group at hand */
    struct buf single;
    struct buf position;
    struct {
        bool set;
        struct buf sort_key, key, value; /* value: JSON, when the sort key may have been cut */
    } resume;
    struct row *rows;
    size_t n_rows, cap_rows, next_row;
    unsigned looked; /* entries since the last E_AGAIN */
    int failure;     /* what cannot be read is never passed over */
};

static bool may_be_cut(slice sort_key)
{
    return sort_key.n >= RANGE_SORT_KEY_MAX;
}

static bool in_group(const struct range_cursor *c, const struct interval_side *s)
{
    return s->valid && slice_eq(s->v.sort_key, buf_slice(&c->group));
}

/* ---- bounds ---- */

static void bound_set(struct bound *b, const struct sorted_bound *from)
{
    bool cut;
    if (from->json.n == 0) return;
    b->set = true;
    b->inclusive = from->inclusive;
    buf_add_slice(&b->json, from->json);
    json_sort_key(from->json, RANGE_SORT_KEY_MAX, &b->sort_key, &cut);
}

static void bound_fini(struct bound *b)
{
    buf_fini(&b->json), buf_fini(&b->sort_key);
}

/* May the bound's own group hold rows inside? */
static bool admits_group(const struct bound *b)
{
    return b->inclusive || may_be_cut(buf_slice(&b->sort_key));
}

/* Where the group of a sort key lies, in the order of values. */
static enum side_of group_side(const struct range_cursor *c, slice sort_key)
{
    int low = c->low.set ? slice_cmp(sort_key, buf_slice(&c->low.sort_key)) : 1;
    int high = c->high.set ? slice_cmp(sort_key, buf_slice(&c->high.sort_key)) : -1;
    if (low < 0 || (low == 0 && !admits_group(&c->low))) return SIDE_BEFORE;
    if (high > 0 || (high == 0 && !admits_group(&c->high))) return SIDE_BEHIND;
    return SIDE_INSIDE;
}

/* The same in the cursor's direction. */
static enum side_of group_place(const struct range_cursor *c, slice sort_key)
{
    int side = group_side(c, sort_key);
    return (enum side_of)(c->descending ? -side : side);
}

/* Is a value of a cut group inside? */
static bool value_inside(const struct range_cursor *c, slice value)
{
    int low = c->low.set ? json_compare(value, buf_slice(&c->low.json)) : 1;
    int high = c->high.set ? json_compare(value, buf_slice(&c->high.json)) : -1;
    return low >= (c->low.inclusive ? 0 : 1) && high <= (c->high.inclusive ? 0 : -1);
}

/* ---- values ---- */

/* The document version `seq` with the value at the index's path: a change of expiry alone leads to the one before. */
static int read_value(struct range_cursor *c, uint64_t seq, struct node *n, slice *value)
{
    struct fold *f = c->in.e->fold;
    int rc = f->read(c->in.e, seq, &c->in.mem, n);
    while (!rc && n->op == NODE_META && n->prev) rc = f->read(c->in.e, n->prev, &c->in.mem, n);
    if (!rc) *value = sorted_value_of(c->in.index, n->payload);
    return rc;
}

/* ---- positions ---- */

static void position_add(struct buf *out, slice sort_key, slice key, uint64_t seq)
{
    uint8_t *p = buf_reserve(out, 1 + VARINT_MAX), *q = p;
    *q++ = POSITION_FORMAT;
    q = put_varint(q, sort_key.n);
    out->n += (size_t)(q - p);
    buf_add_slice(out, sort_key);
    p = buf_reserve(out, VARINT_MAX);
    out->n += (size_t)(put_varint(p, may_be_cut(sort_key) ? seq : 0) - p);
    buf_add_slice(out, key);
}

static void position_set(struct range_cursor *c, slice key, uint64_t seq)
{
    buf_clear(&c->position);
    position_add(&c->position, buf_slice(&c->group), key, seq);
}

void engine_range_position(slice value, slice key, uint64_t seq, struct buf *out)
{
    struct buf sort_key = {0};
    bool cut;
    ASSERT(out && value.n > 0);
    json_sort_key(value, RANGE_SORT_KEY_MAX, &sort_key, &cut);
    position_add(out, buf_slice(&sort_key), key, seq);
    buf_fini(&sort_key);
}

/* The row's value, from the version that the position names. */
static int resume_value(struct range_cursor *c, uint64_t seq)
{
    struct node n;
    slice value;
    struct buf sort_key = {0};
    if (seq > c->in.at) return E_SYNTAX;
    int rc = read_value(c, seq, &n, &value);
    if (rc == E_NOTFOUND) rc = E_SYNTAX;
    if (rc) return rc;
    if (n.space != SPACE_KEY || n.lineage != c->in.index->lineage || n.type != TYPE_DOCUMENT || !node_is_live(&n)) return E_SYNTAX;
    if (!slice_eq(n.key, buf_slice(&c->resume.key))) return E_SYNTAX;
    sorted_key_of(c->in.index, n.payload, &sort_key);
    if (!slice_eq(buf_slice(&sort_key), buf_slice(&c->resume.sort_key))) rc = E_SYNTAX;
    if (!rc) buf_add_slice(&c->resume.value, value);
    buf_fini(&sort_key);
    return rc;
}

static int resume_parse(struct range_cursor *c, slice position)
{
    uint64_t n = 0, seq = 0;
    const uint8_t *p = position.p, *end = position.p + position.n;
    if (position.n < 2 || *p++ != POSITION_FORMAT) return E_SYNTAX;
    p = get_varint(p, end, &n);
    if (!p || n == 0 || n > RANGE_SORT_KEY_MAX || n > (size_t)(end - p)) return E_SYNTAX;
    buf_add(&c->resume.sort_key, p, n);
    p = get_varint(p + n, end, &seq);
    if (!p || (size_t)(end - p) > NODE_KEY_MAX) return E_SYNTAX;
    buf_add(&c->resume.key, p, (size_t)(end - p));
    if (!slice_eq(collection_of(buf_slice(&c->resume.key)), c->in.index->coll)) return E_SYNTAX;
    c->resume.set = true;
    buf_add_slice(&c->position, position);
    if (may_be_cut(buf_slice(&c->resume.sort_key)) != (seq > 0)) return E_SYNTAX;
    return seq > 0 ? resume_value(c, seq) : E_OK;
}

slice range_cursor_at(struct range_cursor *c)
{
    ASSERT(c);
    return buf_slice(&c->position);
}

uint64_t range_cursor_point(const struct range_cursor *c)
{
    ASSERT(c);
    return c->in.at;
}

/* ---- opening ---- */

int engine_range(struct engine *e, const struct range_options *o, struct range_cursor **out)
{
    ASSERT(e && o);
    ASSERT(out);
    struct sorted *d = NULL;
    int rc = intervals_find(e, SORTED_ORDERED, o->lineage, o->coll, o->path, o->at, &d);
    if (rc) return rc;
    struct range_cursor *c = mem_zalloc(sizeof *c);
    c->descending = o->descending;
    c->keys_only = o->keys_only || o->ever;
    bound_set(&c->low, &o->low);
    bound_set(&c->high, &o->high);
    rc = intervals_open(e, d, o->at, o->ever, &c->in);
    if (!rc && o->resume.n > 0) rc = resume_parse(c, o->resume);
    if (rc)
        range_cursor_close(&c);
    else
        *out = c;
    return rc;
}

static void rows_clear(struct range_cursor *c)
{
    for (size_t i = 0; i < c->n_rows; i++) mem_free(c->rows[i].bytes);
    c->n_rows = c->next_row = 0;
}

void range_cursor_close(struct range_cursor **out)
{
    ASSERT(out);
    struct range_cursor *c = *out;
    if (!c) return;
    rows_clear(c);
    mem_free(c->rows);
    intervals_close(&c->in);
    bound_fini(&c->low), bound_fini(&c->high);
    buf_fini(&c->group), buf_fini(&c->single), buf_fini(&c->position);
    buf_fini(&c->resume.sort_key), buf_fini(&c->resume.key), buf_fini(&c->resume.value);
    mem_free(c);
    *out = NULL;
}

/* ---- groups that may have been cut ---- */

static int row_order(const struct row *a, slice value, slice key)
{
    int order = json_compare(slice_of(a->bytes + a->key_bytes, a->value_bytes), value);
    if (order) return a->descending ? -order : order;
    return slice_cmp(slice_of(a->bytes, a->key_bytes), key);
}

static int row_cmp(const void *x, const void *y)
{
    const struct row *b = y;
    return row_order(x, slice_of(b->bytes + b->key_bytes, b->value_bytes), slice_of(b->bytes, b->key_bytes));
}

/* Takes the document in in.key, unless it lies outside the bounds or not behind the resume position. */
static int collect_row(struct range_cursor *c)
{
    struct row r = {.descending = c->descending, .key_bytes = c->in.key.n};
    struct node n;
    slice value;
    int rc = intervals_version(&c->in, &r.seq);
    if (!rc) rc = read_value(c, r.seq, &n, &value);
    if (rc || !value_inside(c, value)) return rc;
    r.value_bytes = value.n;
    r.bytes = mem_alloc(c->in.key.n + value.n + 1);
    if (c->in.key.n) memcpy(r.bytes, c->in.key.p, c->in.key.n);
    memcpy(r.bytes + c->in.key.n, value.p, value.n);
    if (c->resume.value.n && row_order(&r, buf_slice(&c->resume.value), buf_slice(&c->resume.key)) <= 0) {
        mem_free(r.bytes);
        return E_OK;
    }
    if (c->n_rows == c->cap_rows) {
        c->cap_rows = c->cap_rows ? 2 * c->cap_rows : 16;
        c->rows = mem_realloc(c->rows, c->cap_rows * sizeof c->rows[0]);
    }
    c->rows[c->n_rows++] = r;
    return E_OK;
}

/* ---- moving ---- */

/* The next entry of the group that holds; in.key is its document. E_END: the group is through; E_AGAIN: not yet, but the turn is. */
static int next_in_group(struct range_cursor *c)
{
    for (;;) {
        struct interval_side *a = &c->in.side[0], *b = &c->in.side[1], *s;
        bool in_a = in_group(c, a), in_b = in_group(c, b);
        if (!in_a && !in_b) return E_END;
        if (c->looked++ >= INTERVALS_TURN) return E_AGAIN;
        s = in_a && (!in_b || slice_cmp(a->v.escaped, b->v.escaped) <= 0) ? a : b;
        bool found = intervals_hold(&c->in, &s->v);
        int rc = found ? intervals_set_key(&c->in, s->v.escaped) : E_OK;
        if (!rc) rc = intervals_next(s);
        if (rc || found) return rc;
    }
}

static int collect_group(struct range_cursor *c)
{
    int rc;
    while ((rc = next_in_group(c)) == E_OK) {
        c->looked += COLLECT_COST;
        if ((rc = collect_row(c))) break;
    }
    if (rc != E_END) return rc;
    if (c->n_rows > 1) qsort(c->rows, c->n_rows, sizeof c->rows[0], row_cmp);
    buf_clear(&c->resume.value); /* it lies in one group only */
    c->place = RANGE_COLLECTED;
    return E_OK;
}

/* Behind the row of the resume position, inside its group. */
static int start_in_group(struct range_cursor *c)
{
    slice sort_key = buf_slice(&c->resume.sort_key);
    buf_clear(&c->group);
    buf_add_slice(&c->group, sort_key);
    if (may_be_cut(sort_key)) {
        c->place = RANGE_COLLECTING;
        return intervals_seek(&c->in, sort_key, (slice){0}, EDGE_START, true);
    }
    struct buf behind = {0};
    range_sorted(&behind, c->in.index->id, sort_key, buf_slice(&c->resume.key));
    range_sorted_from(&c->in.bound, RANGE_SORTED, c->in.index->id, sort_key);
    c->place = RANGE_IN_GROUP;
    size_t head = c->in.bound.n;
    int rc = intervals_seek(&c->in, sort_key, slice_of(behind.p + head, behind.n - head), EDGE_END, true);
    buf_fini(&behind);
    return rc;
}

static int start(struct range_cursor *c)
{
    if (c->resume.set) {
        enum side_of side = group_place(c, buf_slice(&c->resume.sort_key));
        if (side == SIDE_INSIDE) return start_in_group(c);
        if (side == SIDE_BEHIND) return E_END;
        buf_clear(&c->resume.value);
    }
    const struct bound *b = c->descending ? &c->high : &c->low;
    enum interval_edge open = c->descending ? EDGE_END : EDGE_START;
    c->place = RANGE_BETWEEN;
    if (!b->set) return intervals_seek(&c->in, (slice){0}, (slice){0}, open, !c->descending);
    bool with_group = admits_group(b);
    return intervals_seek(&c->in, buf_slice(&b->sort_key), (slice){0}, c->descending == with_group ? EDGE_END : EDGE_START,
                          !c->descending);
}

/* Backward: a group of one entry is taken where its iterator stands. *taken: it was one, and in.key is its document if *found. */
static int take_single(struct range_cursor *c, bool *taken, bool *found)
{
    bool in_i = in_group(c, &c->in.side[0]), in_j = in_group(c, &c->in.side[1]);
    struct interval_side *s = &c->in.side[in_i ? 0 : 1];
    *taken = *found = false;
    if ((in_i && in_j) || may_be_cut(buf_slice(&c->group))) return E_OK;
    bool hold = intervals_hold(&c->in, &s->v);
    buf_clear(&c->single);
    buf_add_slice(&c->single, s->v.escaped);
    int rc = intervals_prev(s);
    if (rc || in_group(c, s)) return rc;
    *taken = true;
    *found = hold;
    return hold ? intervals_set_key(&c->in, buf_slice(&c->single)) : E_OK;
}

/* Chooses the next group. E_END: none inside the bounds. */
static int choose_group(struct range_cursor *c)
{
    const struct interval_side *best = NULL;
    for (int i = 0; i < 2; i++) {
        const struct interval_side *s = &c->in.side[i];
        if (!s->valid) continue;
        int order = best ? slice_cmp(s->v.sort_key, best->v.sort_key) : 0;
        if (!best || (c->descending ? order > 0 : order < 0)) best = s;
    }
    if (!best || group_place(c, best->v.sort_key) != SIDE_INSIDE) return E_END;
    buf_clear(&c->group);
    buf_add_slice(&c->group, best->v.sort_key);
    return E_OK;
}

/* From between two groups into the next. *found: in.key is a document already. */
static int enter_group(struct range_cursor *c, bool *found)
{
    bool taken = false;
    if (c->looked++ >= INTERVALS_TURN) return E_AGAIN;
    int rc = choose_group(c);
    if (!rc && c->descending) {
        rc = take_single(c, &taken, found);
        if (rc || taken) return rc;
        rc = intervals_seek(&c->in, buf_slice(&c->group), (slice){0}, EDGE_START, true);
    }
    if (rc) return rc;
    rows_clear(c);
    c->place = may_be_cut(buf_slice(&c->group)) && !c->in.ever ? RANGE_COLLECTING : RANGE_IN_GROUP;
    return E_OK;
}

static int leave_group(struct range_cursor *c)
{
    c->place = RANGE_BETWEEN;
    return c->descending ? intervals_seek(&c->in, buf_slice(&c->group), (slice){0}, EDGE_START, false) : E_OK;
}

/* One step. *found: in.key is the next row's document. */
static int advance(struct range_cursor *c, bool *found)
{
    int rc;
    switch (c->place) {
    case RANGE_FIRST: return start(c);
    case RANGE_BETWEEN: return enter_group(c, found);
    case RANGE_COLLECTING: return collect_group(c);
    case RANGE_COLLECTED: return leave_group(c);
    case RANGE_IN_GROUP:
        rc = next_in_group(c);
        *found = rc == E_OK;
        return rc == E_END ? leave_group(c) : rc;
    default: return E_END;
    }
}

int range_next(struct range_cursor *c, slice *key, uint64_t *seq)
{
    ASSERT(c && key);
    ASSERT(seq);
    bool found = false;
    int rc = c->failure;
    while (!rc && !found) {
        if (c->place == RANGE_COLLECTED && c->next_row < c->n_rows) {
            const struct row *r = &c->rows[c->next_row++];
            *key = slice_of(r->bytes, r->key_bytes);
            *seq = r->seq;
            position_set(c, *key, *seq);
            return E_OK;
        }
        rc = advance(c, &found);
    }
    if (rc == E_END) c->place = RANGE_ENDED;
    if (rc == E_AGAIN) c->looked = 0;
    uint64_t version = 0;
    if (!rc && !c->keys_only) rc = intervals_version(&c->in, &version);
    if (rc && rc != E_END && rc != E_AGAIN) c->failure = rc;
    if (rc) return rc;
    *seq = version;
    *key = buf_slice(&c->in.key);
    position_set(c, *key, version);
    return E_OK;
}

int engine_range_rows(struct engine *e, const struct range_options *o, uint64_t *estimate)
{
    ASSERT(e && o);
    ASSERT(estimate);
    struct sorted *d = NULL;
    struct bound low = {0}, high = {0};
    int rc = intervals_find(e, SORTED_ORDERED, o->lineage, o->coll, o->path, o->at, &d);
    if (rc) return rc;
    bound_set(&low, &o->low);
    bound_set(&high, &o->high);
    rc = intervals_rows(e, d, o->at, buf_slice(&low.sort_key), low.set && !admits_group(&low) ? EDGE_END : EDGE_START,
                        buf_slice(&high.sort_key), high.set && !admits_group(&high) ? EDGE_START : EDGE_END, estimate);
    bound_fini(&low), bound_fini(&high);
    return rc;
}
