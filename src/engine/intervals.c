/* Streams of interval entries; see intervals.h. */
#include "engine/intervals.h"

#define SNAPSHOT_TRIES 8

static const uint8_t tags[2] = {RANGE_SORTED, RANGE_CLOSED};

int intervals_find(struct engine *e, enum sorted_kind kind, uint16_t lineage, slice coll, slice path, uint64_t at, struct sorted **out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    struct sorted *d = sorted_find(&e->fold->sorted, lineage, coll, path);
    if (!d || d->kind != kind) return E_NOTFOUND;
    if (!atomic_load_explicit(&d->ready, memory_order_acquire)) return E_AGAIN;
    if (at < book_get(&e->fold->horizon[HORIZON_DOCUMENTS]) || at < book_get(&d->whole_from)) return E_PRUNED;
    *out = d;
    return E_OK;
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

static int open_side(struct intervals *s, struct index_snap *snap, int i)
{
    struct buf lower = {0}, upper = {0};
    range_sorted_from(&lower, tags[i], s->index->id, (slice){0});
    range_sorted_from(&upper, tags[i], s->index->id, (slice){0});
    range_end(&upper);
    int rc = index_iter_open(snap, buf_slice(&lower), buf_slice(&upper), &s->side[i].it);
    buf_fini(&lower), buf_fini(&upper);
    return rc;
}

int intervals_open(struct engine *e, struct sorted *d, uint64_t at, bool ever, struct intervals *out)
{
    ASSERT(e && d);
    ASSERT(out);
    struct index_snap *snap = NULL;
    uint64_t covers = 0;
    *out = (struct intervals){.e = e, .index = d, .ever = ever};
    int rc = fixed_snapshot(e, &snap, &covers, &out->head);
    if (!rc) {
        out->head = out->head && at >= covers;
        out->at = at < covers ? at : covers;
        out->flushed = dbs_flushed(&e->fold->dbs, d->lineage, out->at);
    }
    for (int i = 0; i < (out->head && !ever ? 1 : 2) && !rc; i++) rc = open_side(out, snap, i);
    index_snap_close(&snap);
    return rc;
}

void intervals_close(struct intervals *s)
{
    ASSERT(s);
    for (int i = 0; i < 2; i++) index_iter_close(&s->side[i].it);
    buf_fini(&s->bound), buf_fini(&s->key), buf_fini(&s->mem);
}

static int side_load(struct interval_side *s, int rc)
{
    s->valid = false;
    if (rc == E_END) return E_OK;
    if (!rc) rc = range_interval_parse(index_key(s->it), index_value(s->it), &s->v);
    s->valid = rc == E_OK;
    return rc;
}

int intervals_next(struct interval_side *s)
{
    ASSERT(s->it && s->valid);
    return side_load(s, index_next(s->it));
}

int intervals_prev(struct interval_side *s)
{
    ASSERT(s->it && s->valid);
    return side_load(s, index_prev(s->it));
}

int intervals_seek_side(struct intervals *s, int side, slice sort_key, slice escaped, enum interval_edge edge, bool forward)
{
    ASSERT(side == 0 || side == 1);
    struct interval_side *i = &s->side[side];
    if (!i->it) return E_OK;
    range_sorted_from(&s->bound, tags[side], s->index->id, sort_key);
    buf_add_slice(&s->bound, escaped);
    if (edge == EDGE_END) range_end(&s->bound);
    return side_load(i, forward ? index_seek(i->it, buf_slice(&s->bound)) : index_seek_before(i->it, buf_slice(&s->bound)));
}

int intervals_seek(struct intervals *s, slice sort_key, slice escaped, enum interval_edge edge, bool forward)
{
    ASSERT(s && s->index);
    int rc = intervals_seek_side(s, 0, sort_key, escaped, edge, forward);
    return rc ? rc : intervals_seek_side(s, 1, sort_key, escaped, edge, forward);
}

int intervals_set_key(struct intervals *s, slice escaped)
{
    size_t used;
    buf_clear(&s->key);
    return range_unescape(escaped, &s->key, &used);
}

int intervals_version(struct intervals *s, uint64_t *seq)
{
    ASSERT(s && seq);
    struct version v;
    int rc = engine_find(s->e, SPACE_KEY, s->index->lineage, buf_slice(&s->key), s->at, FIND_ALL, &v);
    if (!rc) *seq = v.seq;
    return rc == E_NOTFOUND ? err_note(E_CORRUPT, "a sorted index names a document without versions") : rc;
}

int intervals_rows(struct engine *e, const struct sorted *d, uint64_t at, slice low, enum interval_edge low_edge, slice high,
                   enum interval_edge high_edge, uint64_t *estimate)
{
    ASSERT(e && d);
    ASSERT(estimate);
    struct buf lower = {0}, upper = {0};
    uint64_t sum = 0, n = 0;
    int rc = E_OK;
    for (int i = 0; i < (at >= index_covers(e->index) ? 1 : 2) && !rc; i++) {
        range_sorted_from(&lower, tags[i], d->id, low);
        range_sorted_from(&upper, tags[i], d->id, high);
        if (low_edge == EDGE_END) range_end(&lower);
        if (high_edge == EDGE_END) range_end(&upper);
        rc = index_estimate(e->index, buf_slice(&lower), buf_slice(&upper), &n);
        sum += rc ? 0 : n;
    }
    buf_fini(&lower), buf_fini(&upper);
    if (!rc) *estimate = sum;
    return rc;
}
