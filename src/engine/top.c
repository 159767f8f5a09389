/* Documents of a collection in the order of one field, at a point, through a sorted index.
 *
 * Two streams are merged: live entries (I) and, for a point of the past, closed ones (J); an entry counts when it holds at the point. Entries come in
 * groups of one sort key. Within a group the order is by key, ascending in both directions, so a group is read forward even when the groups are
 * read backward; a group of one, the usual case at the head, needs no seek for that.
 *
 * A sort key at its maximum may have been cut, so such a group is collected and ordered by the real values. That is the one place that holds more than
 * a row, and it needs values of more than RANGE_SORT_KEY_MAX bytes that begin alike.
 *
 * The point is fixed when the cursor opens: a snapshot, and the newest seq that it shows. */
#include "base/mem.h"
#include "engine/books.h"
#include <stdlib.h>

#define SNAPSHOT_TRIES 8

struct side {
    struct index_iter *it;
    bool valid; /* v is the entry under the iterator */
    struct range_interval v;
};

struct row {
    uint64_t seq;
    size_t key_bytes, value_bytes;
    uint8_t *bytes;  /* key, then the JSON value */
    bool descending; /* for the sort */
};

enum place { TOP_START, TOP_BETWEEN, TOP_IN_GROUP, TOP_COLLECTED, TOP_ENDED };

struct top_cursor {
    struct engine *e;
    struct sorted *index;
    bool descending, head; /* head: the point is the newest of the snapshot, closed entries do not matter */
    uint64_t at, flushed;
    enum place place;
    struct side side[2];         /* I, J */
    struct buf group;            /* sort key of the group at hand */
    struct buf after, after_key; /* JSON value to start behind, and its sort key; empty = none */
    struct buf bound, key, mem, single;
    struct row *rows;
    size_t n_rows, cap_rows, next_row;
};

static int side_load(struct side *s, int rc)
{
    s->valid = false;
    if (rc == E_END) return E_OK;
    if (!rc) rc = range_interval_parse(index_key(s->it), index_value(s->it), &s->v);
    s->valid = rc == E_OK;
    return rc;
}

static bool in_group(const struct top_cursor *c, const struct side *s)
{
    return s->valid && slice_eq(s->v.sort_key, buf_slice(&c->group));
}

static bool holds(const struct top_cursor *c, const struct range_interval *v)
{
    return v->from <= c->at && (v->to == UINT64_MAX || v->to > c->at) && v->from > c->flushed;
}

enum where { GROUP_START, GROUP_END };

/* Puts every side at the edge of the group that `sort_key` names: forward = first entry from there on, else the last before it. */
static int seek_edge(struct top_cursor *c, slice sort_key, enum where edge, bool forward)
{
    static const uint8_t tags[2] = {RANGE_SORTED, RANGE_CLOSED};
    int rc = E_OK;
    for (int i = 0; i < 2 && !rc; i++) {
        if (!c->side[i].it) continue;
        range_sorted_from(&c->bound, tags[i], c->index->id, sort_key);
        if (edge == GROUP_END) range_end(&c->bound);
        rc = forward ? index_seek(c->side[i].it, buf_slice(&c->bound)) : index_seek_before(c->side[i].it, buf_slice(&c->bound));
        rc = side_load(&c->side[i], rc);
    }
    return rc;
}

/* ---- opening ---- */

static int open_sides(struct top_cursor *c, struct index_snap *s)
{
    static const uint8_t tags[2] = {RANGE_SORTED, RANGE_CLOSED};
    int rc = E_OK;
    for (int i = 0; i < (c->head ? 1 : 2) && !rc; i++) {
        struct buf lower = {0}, upper = {0};
        range_sorted_from(&lower, tags[i], c->index->id, (slice){0});
        range_sorted_from(&upper, tags[i], c->index->id, (slice){0});
        range_end(&upper);
        rc = index_iter_open(s, buf_slice(&lower), buf_slice(&upper), &c->side[i].it);
        buf_fini(&lower), buf_fini(&upper);
    }
    return rc;
}

/* A snapshot and a seq up to which it shows everything; *head when it shows nothing newer. */
static int fixed_snapshot(struct engine *e, struct index_snap **s, uint64_t *covers, bool *head)
{
    for (int i = 0;; i++) {
        *covers = index_covers(e->index);
        int rc = index_snapshot(e->index, INDEX_ALL, s);
        if (rc) return rc;
        *head = index_covers(e->index) == *covers;
        if (*head || i == SNAPSHOT_TRIES) return E_OK;
        index_snap_close(s);
    }
}

int engine_top(struct engine *e, const struct top_options *o, struct top_cursor **out)
{
    ASSERT(e && o);
    ASSERT(out && o->lineage < ENGINE_DATABASES_MAX);
    struct sorted *d = sorted_find(&e->fold->sorted, o->lineage, o->coll, o->path);
    if (!d || d->kind != SORTED_ORDERED) return E_NOTFOUND;
    if (!atomic_load_explicit(&d->ready, memory_order_acquire)) return E_AGAIN;
    if (o->at < book_get(&e->fold->horizon[HORIZON_DOCUMENTS])) return E_PRUNED;
    struct index_snap *s = NULL;
    uint64_t covers;
    struct top_cursor *c = mem_zalloc(sizeof *c);
    c->e = e;
    c->index = d;
    c->descending = o->descending;
    int rc = fixed_snapshot(e, &s, &covers, &c->head);
    if (!rc) {
        c->head = c->head && o->at >= covers;
        c->at = o->at < covers ? o->at : covers;
        c->flushed = dbs_flushed(&e->fold->dbs, o->lineage, c->at);
        rc = open_sides(c, s);
    }
    index_snap_close(&s);
    if (o->after.n > 0) {
        bool cut;
        buf_add_slice(&c->after, o->after);
        json_sort_key(o->after, RANGE_SORT_KEY_MAX, &c->after_key, &cut);
    }
    if (rc)
        top_close(&c);
    else
        *out = c;
    return rc;
}

/* ---- rows ---- */

/* The value at the index's path in the version that stands at the point: a change of expiry alone leads to the one before. */
static int read_value(struct top_cursor *c, uint64_t seq, slice *value)
{
    struct node n = {0};
    int rc = c->e->fold->read(c->e, seq, &c->mem, &n);
    while (!rc && n.op == NODE_META && n.prev) rc = c->e->fold->read(c->e, n.prev, &c->mem, &n);
    if (!rc) *value = sorted_value_of(c->index, n.payload);
    return rc;
}

/* The version of the document in c->key at the point. */
static int find_seq(struct top_cursor *c, uint64_t *seq)
{
    struct version v;
    int rc = engine_find(c->e, SPACE_KEY, c->index->lineage, buf_slice(&c->key), c->at, FIND_ALL, &v);
    if (!rc) *seq = v.seq;
    return rc == E_NOTFOUND ? err_note(E_CORRUPT, "a sorted index names a document without versions") : rc;
}

static int set_key(struct top_cursor *c, slice escaped)
{
    size_t used;
    buf_clear(&c->key);
    return range_unescape(escaped, &c->key, &used);
}

/* The next entry of the group that holds; c->key is its document. E_END: the group is through. */
static int next_in_group(struct top_cursor *c)
{
    for (;;) {
        struct side *a = &c->side[0], *b = &c->side[1], *s;
        bool in_a = in_group(c, a), in_b = in_group(c, b);
        if (!in_a && !in_b) return E_END;
        s = in_a && (!in_b || slice_cmp(a->v.escaped, b->v.escaped) <= 0) ? a : b;
        bool found = holds(c, &s->v);
        int rc = found ? set_key(c, s->v.escaped) : E_OK;
        if (!rc) rc = side_load(s, index_next(s->it));
        if (rc || found) return rc;
    }
}

static int row_cmp(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    int order =
        json_compare(slice_of(a->bytes + a->key_bytes, a->value_bytes), slice_of(b->bytes + b->key_bytes, b->value_bytes));
    if (order) return a->descending ? -order : order;
    return slice_cmp(slice_of(a->bytes, a->key_bytes), slice_of(b->bytes, b->key_bytes));
}

static void rows_clear(struct top_cursor *c)
{
    for (size_t i = 0; i < c->n_rows; i++) mem_free(c->rows[i].bytes);
    c->n_rows = c->next_row = 0;
}

static int collect_row(struct top_cursor *c)
{
    struct row r = {.descending = c->descending, .key_bytes = c->key.n};
    slice value;
    int rc = find_seq(c, &r.seq);
    if (!rc) rc = read_value(c, r.seq, &value);
    if (rc) return rc;
    if (c->after.n > 0) {
        int order = json_compare(value, buf_slice(&c->after));
        if (c->descending ? order >= 0 : order <= 0) return E_OK;
    }
    r.value_bytes = value.n;
    r.bytes = mem_alloc(c->key.n + value.n + 1);
    if (c->key.n) memcpy(r.bytes, c->key.p, c->key.n);
    memcpy(r.bytes + c->key.n, value.p, value.n);
    if (c->n_rows == c->cap_rows) {
        c->cap_rows = c->cap_rows ? 2 * c->cap_rows : 16;
        c->rows = mem_realloc(c->rows, c->cap_rows * sizeof c->rows[0]);
    }
    c->rows[c->n_rows++] = r;
    return E_OK;
}

static int collect_group(struct top_cursor *c)
{
    int rc;
    rows_clear(c);
    while ((rc = next_in_group(c)) == E_OK)
        if ((rc = collect_row(c))) break;
    if (rc != E_END) return rc;
    if (c->n_rows > 1) qsort(c->rows, c->n_rows, sizeof c->rows[0], row_cmp);
    return E_OK;
}

/* ---- groups ---- */

static bool may_be_cut(slice sort_key)
{
    return sort_key.n >= RANGE_SORT_KEY_MAX;
}

static int start(struct top_cursor *c)
{
    c->place = TOP_BETWEEN;
    slice after = buf_slice(&c->after_key);
    if (after.n == 0) return seek_edge(c, (slice){0}, c->descending ? GROUP_END : GROUP_START, !c->descending);
    /* The group of a cut `after` may hold values behind it; of any other it holds none. */
    bool with_group = may_be_cut(after);
    enum where edge = c->descending == with_group ? GROUP_END : GROUP_START;
    return seek_edge(c, after, edge, !c->descending);
}

/* Backward: a group of one entry is taken where its iterator stands. *taken: it was one, and c->key is its document if *found. */
static int take_single(struct top_cursor *c, bool *taken, bool *found)
{
    bool in_i = in_group(c, &c->side[0]), in_j = in_group(c, &c->side[1]);
    struct side *s = &c->side[in_i ? 0 : 1];
    *taken = *found = false;
    if ((in_i && in_j) || may_be_cut(buf_slice(&c->group))) return E_OK;
    bool hold = holds(c, &s->v);
    buf_clear(&c->single);
    buf_add_slice(&c->single, s->v.escaped);
    int rc = side_load(s, index_prev(s->it));
    if (rc || in_group(c, s)) return rc;
    *taken = true;
    *found = hold;
    return hold ? set_key(c, buf_slice(&c->single)) : E_OK;
}

/* Chooses the next group. E_END: none. */
static int choose_group(struct top_cursor *c)
{
    const struct side *best = NULL;
    for (int i = 0; i < 2; i++) {
        const struct side *s = &c->side[i];
        if (!s->valid) continue;
        int order = best ? slice_cmp(s->v.sort_key, best->v.sort_key) : 0;
        if (!best || (c->descending ? order > 0 : order < 0)) best = s;
    }
    if (!best) return E_END;
    buf_clear(&c->group);
    buf_add_slice(&c->group, best->v.sort_key);
    return E_OK;
}

/* From between two groups into the next. *found: c->key is a document already. */
static int enter_group(struct top_cursor *c, bool *found)
{
    bool taken = false;
    *found = false;
    int rc = choose_group(c);
    if (!rc && c->descending) {
        rc = take_single(c, &taken, found);
        if (rc || taken) return rc;
        rc = seek_edge(c, buf_slice(&c->group), GROUP_START, true);
    }
    if (rc) return rc;
    c->place = TOP_IN_GROUP;
    if (!may_be_cut(buf_slice(&c->group))) return E_OK;
    c->place = TOP_COLLECTED;
    return collect_group(c);
}

static int leave_group(struct top_cursor *c)
{
    c->place = TOP_BETWEEN;
    return c->descending ? seek_edge(c, buf_slice(&c->group), GROUP_START, false) : E_OK;
}

int top_next(struct top_cursor *c, slice *key, uint64_t *seq)
{
    ASSERT(c && key);
    ASSERT(seq);
    bool found = false;
    int rc = c->place == TOP_START ? start(c) : E_OK;
    while (!rc && !found) {
        if (c->place == TOP_ENDED) return E_END;
        if (c->place == TOP_COLLECTED && c->next_row < c->n_rows) {
            const struct row *r = &c->rows[c->next_row++];
            *key = slice_of(r->bytes, r->key_bytes);
            *seq = r->seq;
            return E_OK;
        }
        if (c->place == TOP_BETWEEN) {
            rc = enter_group(c, &found);
            if (rc == E_END) c->place = TOP_ENDED;
            continue;
        }
        rc = c->place == TOP_IN_GROUP ? next_in_group(c) : E_END;
        found = rc == E_OK;
        if (rc == E_END) rc = leave_group(c);
    }
    if (!rc) rc = find_seq(c, seq);
    if (!rc) *key = buf_slice(&c->key);
    return rc;
}

void top_close(struct top_cursor **out)
{
    ASSERT(out);
    struct top_cursor *c = *out;
    if (!c) return;
    rows_clear(c);
    mem_free(c->rows);
    for (int i = 0; i < 2; i++) index_iter_close(&c->side[i].it);
    buf_fini(&c->group), buf_fini(&c->after), buf_fini(&c->after_key), buf_fini(&c->bound);
    buf_fini(&c->key), buf_fini(&c->mem), buf_fini(&c->single);
    mem_free(c);
    *out = NULL;
}
