/* Candidates: the names of rows that a plan leads to, streamed.
 *
 * Ordered kinds go on behind the position's name: by key where rows come in key order; by the position's value and key, read again at the pinned point, where
 * rows come in the order of an index. */
#include "modules/doc/query.h"

struct query_source {
    enum query_plan_kind kind;
    struct doc_cursor *docs;
    struct range_cursor *range;
    struct text_cursor *text;
    struct link_cursor *links;
    struct range_options options; /* of RANGE kinds: for the next of several points */
    size_t point, points_left;    /* KEYS, and points of an index */
    struct buf prefix, low, high, after, name, resume;
    bool has_low, has_high, low_open, high_open; /* KEY_RANGE */
};

void query_source_close(struct query_source **out)
{
    struct query_source *s = *out;
    if (s == NULL) return;
    doc_cursor_close(&s->docs);
    range_cursor_close(&s->range);
    text_cursor_close(&s->text);
    link_cursor_close(&s->links);
    buf_fini(&s->prefix);
    buf_fini(&s->low);
    buf_fini(&s->high);
    buf_fini(&s->after);
    buf_fini(&s->name);
    buf_fini(&s->resume);
    mem_free(s);
    *out = NULL;
}

static void set_bytes(struct buf *b, slice s)
{
    buf_clear(b);
    buf_add_slice(b, s);
}

/* Does the source begin behind the position? Not where rows are kept or walked from: those select from the start. */
static bool goes_on(const struct query *q)
{
    return q->has_position && query_streams(q);
}

static slice position_of(const struct query *q)
{
    return goes_on(q) ? buf_slice(&q->position_name) : (slice){0};
}

/* ---- by key ---- */

static int open_docs(struct call *c, struct query *q, struct query_source *s)
{
    slice after = position_of(q);
    set_bytes(&s->prefix, q->nql->coll);
    if (s->prefix.n) buf_add_byte(&s->prefix, ':');
    /* A key that begins so and lies just before the lower bound; an open bound or the position lies behind. */
    if (s->has_low && slice_cmp(buf_slice(&s->low), after) > 0) after = buf_slice(&s->low);
    set_bytes(&s->after, after);
    bool at_low = s->has_low && !s->low_open && slice_eq(after, buf_slice(&s->low));
    if (at_low && s->after.n) { /* the bound itself belongs to the range: go on behind what is just before it */
        uint8_t last = s->after.p[--s->after.n];
        if (last > 0) {
            buf_add_byte(&s->after, (uint8_t)(last - 1));
            buf_add_byte(&s->after, 0xff); /* what lies between is passed over by key_below */
        }
    }
    int err = engine_docs(doc_engine(c), q->view.db.lineage, buf_slice(&s->prefix), buf_slice(&s->after), q->view.at.seq, &s->docs);
    if (err == E_OK && q->view.valid_at != KS_ANY_VALID) doc_cursor_ever(s->docs);
    return err;
}

static int open_key_range(struct call *c, struct query *q, struct query_source *s)
{
    const struct nql_bounds *b = &q->plan.bounds;
    const slice lowest = slice_str("\"\"");
    s->low_open = b->lo_open;
    s->high_open = b->hi_open;
    /* Keys are strings: what is below all strings bounds nothing, what is above all of them leaves nothing (the plan has seen to that). */
    if (b->has_lo && json_type_of(b->lo) == JSON_STRING && !slice_eq(b->lo, lowest)) s->has_low = query_plan_key(q, q->plan.key_kind, b->lo, &s->low);
    if (b->has_hi && json_type_of(b->hi) == JSON_STRING) s->has_high = query_plan_key(q, q->plan.key_kind, b->hi, &s->high);
    return open_docs(c, q, s);
}

static bool of_collection(const struct query *q, slice key)
{
    return slice_eq(doc_collection(key), q->nql->coll);
}

static int next_doc(struct query *q, struct query_source *s, slice *name)
{
    int err = doc_cursor_next(s->docs, name);
    if (err != E_OK) return err;
    if (s->has_high) {
        int order = slice_cmp(*name, buf_slice(&s->high));
        if (order > 0 || (order == 0 && s->high_open)) return E_END;
    }
    if (s->has_low) {
        int order = slice_cmp(*name, buf_slice(&s->low));
        if (order < 0 || (order == 0 && s->low_open)) return E_AGAIN;
    }
    return of_collection(q, *name) ? E_OK : E_AGAIN;
}

/* Points ascend, and so do keys. */
static int next_key(struct query *q, struct query_source *s, slice *name)
{
    const struct nql_bounds *b = &q->plan.bounds;
    while (s->point < b->n) {
        slice json = b->points[s->point++];
        if (!query_plan_key(q, q->plan.key_kind, json, &s->name) || !of_collection(q, buf_slice(&s->name))) continue;
        if (goes_on(q) && slice_cmp(buf_slice(&s->name), position_of(q)) <= 0) continue;
        *name = buf_slice(&s->name);
        return E_OK;
    }
    return E_END;
}

/* ---- by an ordered index ---- */

/* An index may go, and another one of its name be begun, between two turns or before the first. */
static int index_opened(int err)
{
    return err == E_NOTFOUND || err == E_AGAIN ? QUERY_REPLAN : err;
}

/* Opens the range of the point in use, or of the range. */
static int open_points(struct call *c, struct query *q, struct query_source *s, slice resume)
{
    const struct nql_bounds *b = &q->plan.bounds;
    range_cursor_close(&s->range);
    s->options.resume = resume;
    if (b->kind == NQL_BOUNDS_POINTS) {
        slice json = b->points[q->plan.descending ? b->n - 1 - s->point : s->point];
        s->options.low = s->options.high = (struct sorted_bound){json, true};
    } else if (b->kind == NQL_BOUNDS_RANGE) {
        if (b->has_lo) s->options.low = (struct sorted_bound){b->lo, !b->lo_open};
        if (b->has_hi) s->options.high = (struct sorted_bound){b->hi, !b->hi_open};
    }
    return index_opened(engine_range(doc_engine(c), &s->options, &s->range));
}

/* Passes over the points before the position's value. */
static void skip_points(struct query *q, struct query_source *s, slice value)
{
    const struct nql_bounds *b = &q->plan.bounds;
    for (; s->point < b->n; s->point++) {
        int order = json_compare(b->points[q->plan.descending ? b->n - 1 - s->point : s->point], value);
        if (q->plan.descending ? order <= 0 : order >= 0) return;
    }
}

static int open_range(struct call *c, struct query *q, struct query_source *s)
{
    slice value = slice_str("null");
    struct buf json = {0};
    int err = E_OK;
    s->options = (struct range_options){.lineage = q->view.db.lineage, .coll = q->nql->coll, .path = buf_slice(&q->plan.index)};
    s->options.descending = q->plan.descending;
    s->options.at = q->view.at.seq;
    s->options.keys_only = true;
    s->options.ever = q->view.valid_at != KS_ANY_VALID;
    if (goes_on(q)) {
        err = query_row_read(c, q, buf_slice(&q->position_name));
        int path = nql_path_number(q->nql, buf_slice(&q->plan.index));
        if (err == E_OK && path >= 0 && nql_value_json(q->nql, &q->row.nql, (uint32_t)path, &json)) value = buf_slice(&json);
        if (err == E_OK) engine_range_position(value, q->row.nql.key, q->row.nql.seq, &s->resume);
        if (err == E_OK && q->plan.bounds.kind == NQL_BOUNDS_POINTS) skip_points(q, s, value);
    }
    if (err == E_OK && q->plan.bounds.kind == NQL_BOUNDS_POINTS && s->point >= q->plan.bounds.n) err = E_END;
    if (err == E_OK) err = open_points(c, q, s, buf_slice(&s->resume));
    buf_fini(&json);
    return err == E_END ? E_OK : err;
}

static int next_in_range(struct call *c, struct query *q, struct query_source *s, slice *name)
{
    uint64_t seq;
    if (s->range == NULL) return E_END;
    int err = range_next(s->range, name, &seq);
    if (err != E_END || q->plan.bounds.kind != NQL_BOUNDS_POINTS || ++s->point >= q->plan.bounds.n) return err;
    err = open_points(c, q, s, (slice){0});
    return err == E_OK ? E_AGAIN : err;
}

/* ---- words and links ---- */

static int open_text(struct call *c, struct query *q, struct query_source *s)
{
    const struct words_query_word *w = &q->words->at[q->plan.word];
    struct text_options o = {.lineage = q->view.db.lineage, .coll = q->nql->coll, .path = buf_slice(&q->plan.index), .word = text_word_slice(&w->word)};
    o.prefix = w->prefix;
    o.after = position_of(q);
    o.at = q->view.at.seq;
    o.keys_only = true;
    o.ever = q->view.valid_at != KS_ANY_VALID;
    return index_opened(engine_text(doc_engine(c), &o, &s->text));
}

static int open_links(struct call *c, struct query *q, struct query_source *s)
{
    slice after = {0}, from, rel, to, position = position_of(q);
    bool in = q->plan.kind == QUERY_LINKS_IN;
    if (position.n) {
        int err = link_key_parse(position, &from, &rel, &to);
        if (err != E_OK) return E_INVALID;
        engine_link_position(q->view.db.lineage, in ? LINK_IN : LINK_OUT, in ? to : from, rel, in ? from : to, &s->resume);
        after = buf_slice(&s->resume);
    }
    if (q->plan.kind == QUERY_SCAN) return engine_all_links(doc_engine(c), q->view.db.lineage, q->view.at.seq, after, &s->links);
    json_unescape(q->plan.bounds.points[0], &s->prefix);
    return engine_links(doc_engine(c), q->view.db.lineage, buf_slice(&s->prefix), in ? LINK_IN : LINK_OUT, (slice){0}, q->view.at.seq, after,
                        &s->links);
}

static int next_link(struct query *q, struct query_source *s, slice *name)
{
    struct link k;
    int err = link_cursor_next(s->links, &k);
    if (err == E_PRUNED) {
        set_bytes(&q->failed_key, q->nql->coll);
        q->oldest = link_cursor_oldest(s->links);
    }
    if (err != E_OK) return err;
    if (k.seq <= q->view.db.flushed) return E_AGAIN;
    buf_clear(&s->name);
    link_key(&s->name, k.from, k.rel, k.to);
    *name = buf_slice(&s->name);
    return E_OK;
}

/* ---- all of them ---- */

int query_source_open(struct call *c, struct query *q)
{
    struct query_source *s = mem_zalloc(sizeof *s);
    int err = E_OK;
    query_source_close(&q->source);
    s->kind = q->plan.kind;
    q->source = s;
    switch (s->kind) {
    case QUERY_NOTHING:
    case QUERY_KEYS: break;
    case QUERY_SCAN: err = q->nql->links ? open_links(c, q, s) : open_docs(c, q, s); break;
    case QUERY_KEY_RANGE: err = open_key_range(c, q, s); break;
    case QUERY_EQUALITY:
    case QUERY_RANGE:
    case QUERY_ORDER: err = open_range(c, q, s); break;
    case QUERY_TEXT: err = open_text(c, q, s); break;
    case QUERY_LINKS_OUT:
    case QUERY_LINKS_IN: err = open_links(c, q, s); break;
    }
    if (err != E_OK) query_source_close(&q->source);
    return err;
}

int query_source_next(struct call *c, struct query *q, slice *name)
{
    struct query_source *s = q->source;
    uint64_t seq;
    ASSERT(s != NULL);
    switch (s->kind) {
    case QUERY_NOTHING: return E_END;
    case QUERY_KEYS: return next_key(q, s, name);
    case QUERY_SCAN: return q->nql->links ? next_link(q, s, name) : next_doc(q, s, name);
    case QUERY_KEY_RANGE: return next_doc(q, s, name);
    case QUERY_EQUALITY:
    case QUERY_RANGE:
    case QUERY_ORDER: return next_in_range(c, q, s, name);
    case QUERY_TEXT: return text_next(s->text, name, &seq);
    case QUERY_LINKS_OUT:
    case QUERY_LINKS_IN: return next_link(q, s, name);
    }
    return E_END;
}
