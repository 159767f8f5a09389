/* The stages of a query, in slices of about a millisecond.
 *
 *   SELECT    candidates are read and judged; rows go to the page (they come in order), to the kept places, to the groups or to the walk
 *   WALKING   TRAVERSE, TRACE: hops
 *   REACHED   what was reached is read; rows go on as those of SELECT do
 *   KEPT      kept places in order: their rows are read again and fill the page
 *   GROUPED   groups are put in order and fill the page
 *
 * OFFSET over more than can be kept: when every kept row is left out and there are more, the last of them becomes the position, and the selection begins
 * again behind it. */
#include "modules/doc/query.h"

#define PLANS_MAX 8 /* tries, while indexes come and go */

static bool is_walk(const struct query *q)
{
    return q->nql->traverse.given || q->nql->trace.given;
}

/* ---- the page ---- */

static uint64_t page_rows_max(const struct query *q)
{
    uint64_t n = q->count;
    if (q->nql->has_limit && q->nql->limit - q->given < n) n = q->nql->limit - q->given;
    return n;
}

static bool page_is_full(const struct query *q)
{
    return q->page_rows >= page_rows_max(q) || q->page.mem.n >= QUERY_PAGE_BYTES_MAX;
}

/* More rows may stand behind a page that is full; none behind LIMIT. */
static bool limit_is_reached(const struct query *q)
{
    return q->nql->has_limit && q->given + q->page_rows >= q->nql->limit;
}

static void page_add(struct query *q)
{
    struct query_row *r = &q->row;
    slice json = r->nql.json.n ? r->nql.json : slice_str("{}");
    if (q->nql->n_fields) {
        buf_clear(&r->value);
        nql_project(q->nql, &r->nql, &r->value);
        json = buf_slice(&r->value);
    }
    rows_add(&q->page, r->nql.key, json);
    q->page_rows++;
    buf_clear(&q->last);
    buf_add_slice(&q->last, r->name);
}

/* ---- where rows go ---- */

static int stream_row(struct query *q)
{
    if (q->has_position && !q->behind) {
        query_row_place(q, &q->place);
        if (slice_cmp(buf_slice(&q->place), buf_slice(&q->position)) <= 0) return E_OK;
        q->behind = true;
    }
    if (q->skip > 0) {
        q->skip--;
        return E_OK;
    }
    if (page_is_full(q)) {
        q->more = true;
        return E_END;
    }
    page_add(q);
    q->full_at = q->looked;
    return limit_is_reached(q) ? E_END : E_OK;
}

/* The page is full, and whether a row follows would take long to find out. */
static bool has_looked_enough(struct query *q)
{
    if (!query_streams(q) || q->counting || !page_is_full(q) || q->looked < q->full_at + QUERY_SLICE_ROWS) return false;
    q->more = true;
    return true;
}

static void keep_row(struct query *q)
{
    query_row_place(q, &q->place);
    if (q->has_position && slice_cmp(buf_slice(&q->place), buf_slice(&q->position)) <= 0) return;
    query_keep_offer(&q->keep, buf_slice(&q->place), q->row.name);
}

/* A row of the result. E_END: the page is full. */
static int take_row(struct query *q)
{
    if (q->counting) {
        q->total++;
        return E_OK;
    }
    if (q->groups) return nql_groups_add(q->groups, &q->row.nql);
    if (query_streams(q)) return stream_row(q);
    keep_row(q);
    return E_OK;
}

/* A row that was selected. */
static int select_row(struct query *q)
{
    uint8_t seq[8];
    if (q->walk == NULL) return take_row(q);
    put_be64(seq, q->row.nql.seq);
    return query_walk_start(q->walk, q->nql->trace.given ? slice_of(seq, sizeof seq) : q->row.name);
}

/* ---- beginning ---- */

static void keep_begin(struct query *q)
{
    uint64_t rows = q->skip + page_rows_max(q) + 1; /* one more tells whether anything is left */
    query_keep_fini(&q->keep);
    query_keep_init(&q->keep, rows < QUERY_KEEP_ROWS_MAX ? (size_t)rows : QUERY_KEEP_ROWS_MAX, QUERY_KEEP_BYTES_MAX);
}

/* The page from its beginning, by the plan in q->plan. */
static int begin_by_plan(struct call *c, struct query *q)
{
    rows_fini(&q->page);
    q->page_rows = q->total = 0;
    q->more = q->behind = false;
    q->skip_begun = q->skip;
    q->next = 0;
    query_walk_free(&q->walk);
    nql_groups_free(&q->groups);
    if (is_walk(q)) q->walk = query_walk_new();
    if (q->nql->grouped) q->groups = nql_groups_new(q->nql);
    if (!q->counting && !q->groups && !query_streams(q)) keep_begin(q);
    q->stage = QUERY_SELECT;
    return query_source_open(c, q);
}

static int begin(struct call *c, struct query *q)
{
    int err = begin_by_plan(c, q);
    for (int i = 0; err == QUERY_REPLAN && i < PLANS_MAX; i++) {
        err = query_plan_make(c, q, q->noscan);
        err = err == E_OK ? begin_by_plan(c, q) : err == E_NOTFOUND ? QUERY_NOINDEX : err;
    }
    return err == QUERY_REPLAN ? E_BUSY : err;
}

/* By another plan from the page's beginning: a scan has looked at as much as it may, or the index has gone. */
static int begin_anew(struct call *c, struct query *q, bool no_scan)
{
    int err = query_plan_make(c, q, no_scan);
    if (err == E_NOTFOUND) return QUERY_NOINDEX;
    q->skip = q->skip_begun;
    return err == E_OK ? begin(c, q) : err;
}

/* ---- selecting ---- */

static bool judge(struct query *q)
{
    return nql_match(q->nql, &q->row.nql) && query_row_found(q);
}

static int look_ahead(struct call *c, struct query *q, size_t want)
{
    struct query_ahead *a = &q->ahead;
    slice name;
    int err = E_OK;
    size_t at = 0;
    a->n = 0;
    buf_clear(&a->names);
    (void)buf_reserve(&a->names, 1); /* an empty key is a name too, and needs a place */
    while (a->n < want && (err = query_source_next(c, q, &name)) == E_OK) {
        buf_add_slice(&a->names, name);
        a->bytes[a->n++] = name.n;
    }
    for (size_t i = 0; i < a->n; at += a->bytes[i], i++) a->at[i] = slice_of(a->names.p + at, a->bytes[i]);
    if (a->n > 1 && q->view.held) ks_prefetch(&c->ks, a->at, a->n);
    return err;
}

/* One candidate. E_END: the page is full. */
static int look_at(struct call *c, struct query *q, slice name)
{
    q->looked++;
    int err = query_row_read(c, q, name);
    if (err == E_NOTFOUND) return E_OK;
    if (err == E_OK && judge(q)) err = select_row(q);
    return err;
}

static enum query_stage stage_after_select(const struct query *q)
{
    if (q->walk) return QUERY_WALKING;
    if (q->groups) return QUERY_GROUPED;
    return q->counting || query_streams(q) ? QUERY_DONE : QUERY_KEPT;
}

/* About QUERY_SLICE_ROWS candidates. */
static int select_some(struct call *c, struct query *q)
{
    struct query_ahead *a = &q->ahead;
    size_t want = q->looked < 2 ? 2 : q->looked < QUERY_AHEAD ? (size_t)q->looked : QUERY_AHEAD;
    int err = E_OK;
    for (size_t i = 0; err == E_OK && i < QUERY_SLICE_ROWS / QUERY_AHEAD; i++) {
        if (query_plan_scans(&q->plan) && q->scan_max > 0 && q->looked >= q->scan_max) return begin_anew(c, q, true);
        if (query_plan_scans(&q->plan) && q->scan_max > 0 && q->scan_max - q->looked < want) want = (size_t)(q->scan_max - q->looked);
        int got = look_ahead(c, q, want);
        for (size_t k = 0; err == E_OK && k < a->n; k++) err = look_at(c, q, a->at[k]);
        if (err == E_OK) err = got;
        if (err == E_OK && has_looked_enough(q)) err = E_END;
        if (c->in_multi && err == E_OK && q->looked >= QUERY_INLINE_SCAN_MAX) err = QUERY_INLINE;
    }
    if (err == QUERY_REPLAN) return begin_anew(c, q, q->noscan);
    if (err == E_AGAIN) return E_OK;
    if (err != E_END) return err;
    query_source_close(&q->source);
    q->stage = stage_after_select(q);
    return E_OK;
}

/* ---- reached ---- */

static int read_reached(struct call *c, struct query *q)
{
    slice name;
    bool result;
    int err = E_OK;
    for (size_t i = 0; i < QUERY_SLICE_ROWS; i++) {
        if (!query_walk_at(q->walk, q->next, &name, &result)) {
            q->next = 0;
            q->stage = q->groups ? QUERY_GROUPED : QUERY_KEPT;
            return E_OK;
        }
        q->next++;
        if (!result) continue;
        err = q->nql->trace.given ? query_row_version(c, q, name) : query_row_read(c, q, name);
        if (err == E_OK) err = take_row(q);
        if (err != E_OK && err != E_NOTFOUND) return err;
    }
    return E_OK;
}

/* ---- kept ---- */

static void set_position(struct query *q, const struct query_keep_entry *e)
{
    buf_clear(&q->position);
    buf_add_slice(&q->position, query_keep_place(e));
    buf_clear(&q->position_name);
    (void)buf_reserve(&q->position_name, 1);
    buf_add_slice(&q->position_name, query_keep_name(e));
    q->has_position = true;
}

/* Puts the kept places in order, once; leaves out those of OFFSET. */
static int order_kept(struct call *c, struct query *q)
{
    struct query_keep *k = &q->keep;
    query_keep_sort(k);
    if (q->skip >= k->n && k->dropped) {
        q->skip -= k->n;
        set_position(q, k->at[k->n - 1]);
        return begin(c, q);
    }
    q->next = q->skip < k->n ? (size_t)q->skip : k->n;
    q->skip = 0;
    return E_OK;
}

static int fill_from_kept(struct call *c, struct query *q)
{
    struct query_keep *k = &q->keep;
    if (!k->sorted) return order_kept(c, q);
    for (size_t i = 0; i < QUERY_SLICE_ROWS; i++) {
        if (q->next == k->n || page_is_full(q)) {
            q->more = !limit_is_reached(q) && (q->next < k->n || k->dropped);
            q->stage = QUERY_DONE;
            return E_OK;
        }
        slice name = query_keep_name(k->at[q->next++]);
        int err = q->nql->trace.given ? query_row_version(c, q, name) : query_row_read(c, q, name);
        if (err == E_NOTFOUND) err = E_CORRUPT; /* it was there a moment ago, and the point does not move */
        if (err != E_OK) return err;
        page_add(q);
    }
    return E_OK;
}

/* ---- groups ---- */

static int fill_from_groups(struct query *q)
{
    struct nql_column column[NQL_GROUP_MAX + NQL_AGGREGATES_MAX];
    size_t columns = q->nql->n_group + q->nql->n_aggregates;
    int err = q->next == 0 ? nql_groups_finish(q->groups, 64 * QUERY_SLICE_ROWS) : E_OK; /* in order for good once the first was taken */
    if (err != E_OK) return err == E_AGAIN ? E_OK : err;
    uint64_t before = q->skip + q->given;
    for (size_t i = 0; i < QUERY_SLICE_ROWS && err == E_OK; i++) {
        if (q->next >= before && page_is_full(q)) {
            q->more = !limit_is_reached(q) && q->next < nql_groups_count(q->groups);
            err = E_END;
            break;
        }
        err = nql_groups_next(q->groups, column);
        if (err == E_OK && q->next++ >= before) {
            for (size_t k = 0; k < columns; k++) rows_add(&q->page, column[k].name, column[k].json);
            q->page_rows++;
        }
    }
    if (err == E_END) q->stage = QUERY_DONE;
    return err == E_END ? E_OK : err;
}

/* ---- turns ---- */

static int advance(struct call *c, struct query *q)
{
    int err = E_OK;
    switch (q->stage) {
    case QUERY_SELECT: return select_some(c, q);
    case QUERY_WALKING:
        err = query_walk_step(c, q, QUERY_SLICE_ROWS);
        if (err == E_OK) q->stage = QUERY_REACHED;
        return err == E_AGAIN ? E_OK : err;
    case QUERY_REACHED: return read_reached(c, q);
    case QUERY_KEPT: return fill_from_kept(c, q);
    case QUERY_GROUPED: return fill_from_groups(q);
    case QUERY_DONE: break;
    }
    return E_OK;
}

static uint64_t now_us(struct call *c)
{
    return os_mono_us(engine_os(doc_engine(c)));
}

int query_run(struct call *c, struct query *q)
{
    uint64_t until_us = 0;
    q->view.held = q->view.valid_at == KS_ANY_VALID && ks_db(&c->ks, c->ks.db).lineage == q->view.db.lineage;
    if (q->source == NULL && q->stage == QUERY_SELECT) {
        int err = begin(c, q);
        if (err != E_OK) return err;
    }
    while (q->stage != QUERY_DONE) {
        int err = advance(c, q);
        if (err != E_OK) return err;
        if (q->stage == QUERY_DONE) break;
        uint64_t now = now_us(c);
        if (until_us == 0) until_us = now + QUERY_SLICE_US;
        if (q->deadline_us && now >= q->deadline_us) return E_TIMEOUT;
        if (!c->in_multi && now >= until_us) return E_AGAIN;
    }
    return E_OK;
}
