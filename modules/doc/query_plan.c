/* Which candidates to look at: by estimated rows.
 *
 * Costs are in documents read by a scan. A candidate from an index costs about twice as much, since it is looked up one by one; rows that have to be put into
 * order cost a little more. A plan whose candidates come in the result's order stops when the page is full, so it is judged by the rows that the
 * page wants, divided by the share of candidates that match; a plan that keeps, walks or groups looks at all of its candidates.
 *
 * An index serves when it cannot miss a row: a path that WHERE bounds, or that ORDER BY begins and ends with; for SEARCH a text index on the path that is
 * searched, or on `$`. Entries of indexes speak of the newest version at a point. VALID AS OF may mean an older one, so there the candidates are the
 * documents that an index named at any time up to the point; they may come more than once and in no useful order, which keeping rows by their places
 * makes good and counting or grouping does not: those go by keys or scan. */
#include "modules/doc/query.h"

#define COST_INDEXED   2.0
#define COST_ORDERING  0.3
#define COST_OPENING   8.0
#define CHEAP          20.0 /* not worth looking for anything better */
#define SHARE_GUESSED  0.2 /* of candidates that match what no estimate is known for */
#define POINTS_ESTIMATED 16 /* points of IN that are asked for; the others are taken to be alike */

struct index_seen {
    size_t at, n; /* path, in paths */
    uint8_t kind;
};

struct planner {
    struct call *c;
    struct query *q;
    double docs, want;       /* documents of the collection; rows that a page needs */
    double share;            /* of the collection that WHERE selects, by the best estimate */
    bool share_known;
    struct query_plan best;
    double best_cost;
    bool found;
    struct buf paths;
    struct index_seen seen[QUERY_INDEXES_MAX];
    size_t n_seen, n_useful; /* useful: on a path that the query names, or for its words */
};

void query_plan_fini(struct query_plan *p)
{
    buf_fini(&p->index);
    nql_bounds_fini(&p->bounds);
    *p = (struct query_plan){0};
}

bool query_plan_scans(const struct query_plan *p)
{
    return p->kind == QUERY_SCAN;
}

bool query_plan_key(const struct query *q, enum nql_kind kind, slice json, struct buf *out)
{
    if (json_type_of(json) != JSON_STRING) return false;
    buf_clear(out);
    ASSERT(kind == NQL_KEY || q->nql->coll.n > 0);
    if (kind == NQL_ID) {
        buf_add_slice(out, q->nql->coll);
        buf_add_byte(out, ':');
    }
    json_unescape(json, out);
    return true;
}

/* ---- what a plan yields ---- */

static bool is_walk(const struct query *q)
{
    return q->nql->traverse.given || q->nql->trace.given;
}

bool query_streams(const struct query *q)
{
    return !q->nql->grouped && !is_walk(q) && (q->counting || q->plan.in_order);
}

/* Does the result stand in the order of keys? */
static bool wants_key_order(const struct nql_query *n)
{
    if (n->n_order == 0) return true;
    const struct nql_order *o = &n->order[0];
    if (n->n_order > 1 || o->of_aggregate || o->descending || n->links) return false;
    return n->path[o->path].kind == NQL_KEY || (n->path[o->path].kind == NQL_ID && n->coll.n > 0);
}

/* Does the result stand in the order of this path's index? */
static bool wants_path_order(const struct nql_query *n, int path)
{
    return n->n_order == 1 && !n->order[0].of_aggregate && (int)n->order[0].path == path;
}

static bool has_condition(const struct nql_query *n)
{
    return n->where != NULL || n->search.given;
}

static bool is_one_term(const struct nql_query *n)
{
    return !n->search.given && (n->where == NULL || n->where->op > NQL_NOT);
}

/* Takes the plan when it is the cheapest so far; else lets it go. share: of its candidates that match. */
static void offer(struct planner *p, struct query_plan *plan, double candidates, double share, double each)
{
    double looked = candidates;
    bool whole = p->q->counting || p->q->nql->grouped || is_walk(p->q);
    if (plan->in_order && !whole) {
        double needed = p->want / (share > 1e-9 ? share : 1e-9);
        if (needed < looked) looked = needed;
    }
    double cost = looked * each + COST_OPENING + (plan->in_order || whole ? 0 : looked * COST_ORDERING);
    uint64_t max = p->q->scan_max;
    if (plan->kind == QUERY_SCAN && max > 0 && looked > (double)max) cost += 1e15; /* the last resort */
    if (p->found && cost >= p->best_cost) {
        query_plan_fini(plan);
        return;
    }
    if (p->found) query_plan_fini(&p->best);
    p->best = *plan;
    p->best_cost = cost;
    p->found = true;
}

/* ---- keys ---- */

/* A bound of _key or _id. */
static void offer_keys(struct planner *p, uint32_t path)
{
    struct query_plan plan = {.key_kind = p->q->nql->path[path].kind};
    nql_bounds(p->q->nql, path, &plan.bounds);
    struct nql_bounds *b = &plan.bounds;
    plan.in_order = wants_key_order(p->q->nql);
    if (b->kind == NQL_BOUNDS_POINTS) {
        plan.kind = QUERY_KEYS;
        plan.est_rows = b->n;
        offer(p, &plan, (double)b->n, 1, 1);
        return;
    }
    bool above = b->has_lo && json_type_of(b->lo) > JSON_STRING, below = b->has_hi && json_type_of(b->hi) < JSON_STRING;
    bool bounded = (b->has_lo && json_type_of(b->lo) == JSON_STRING) || (b->has_hi && json_type_of(b->hi) == JSON_STRING);
    if (b->kind != NQL_BOUNDS_RANGE || (!above && !below && !bounded)) {
        query_plan_fini(&plan);
        return;
    }
    plan.kind = above || below ? QUERY_NOTHING : QUERY_KEY_RANGE;
    double rows = plan.kind == QUERY_NOTHING ? 0 : p->docs / (b->has_lo && b->has_hi ? 16 : 2); /* nobody counts keys by range */
    plan.est_rows = (uint64_t)rows;
    offer(p, &plan, rows, 1, 1);
}

/* ---- ordered indexes ---- */

/* About how many entries the bounds hold. */
static int estimate(struct planner *p, slice index, const struct nql_bounds *b, uint64_t *rows)
{
    struct range_options o = {.lineage = p->q->view.db.lineage, .coll = p->q->nql->coll, .path = index, .at = p->q->view.at.seq};
    uint64_t sum = 0, one;
    int err = E_OK;
    if (b->kind == NQL_BOUNDS_RANGE) {
        if (b->has_lo) o.low = (struct sorted_bound){b->lo, !b->lo_open};
        if (b->has_hi) o.high = (struct sorted_bound){b->hi, !b->hi_open};
    }
    if (b->kind != NQL_BOUNDS_POINTS) return engine_range_rows(doc_engine(p->c), &o, rows);
    size_t n = b->n < POINTS_ESTIMATED ? b->n : POINTS_ESTIMATED;
    for (size_t i = 0; err == E_OK && i < n; i++) {
        o.low = o.high = (struct sorted_bound){b->points[i * b->n / n], true};
        err = engine_range_rows(doc_engine(p->c), &o, &one);
        if (err == E_OK) sum += one;
    }
    *rows = n ? sum * b->n / n : 0;
    return err;
}

/* An index that has gone or is not ready serves nobody; that is no failure of the query. */
static bool is_absent(int err)
{
    return err == E_NOTFOUND || err == E_AGAIN;
}

/* One value of the only index, rows in order, a page of them: at worst twice the cost of a scan, however many rows have that value. Not asking for their number
 * saves a fifth of a small query. */
static bool is_beyond_doubt(const struct planner *p, const struct query_plan *plan, bool one_point)
{
    const struct query *q = p->q;
    return one_point && plan->in_order && p->n_useful == 1 && !q->explain && !q->counting && !q->nql->grouped && !is_walk(q);
}

static int offer_ordered(struct planner *p, slice index)
{
    const struct nql_query *n = p->q->nql;
    int path = nql_path_number(n, index);
    if (path < 0) return E_OK;
    struct query_plan plan = {0};
    bool by_order = wants_path_order(n, path);
    uint64_t rows = 1;
    nql_bounds(n, (uint32_t)path, &plan.bounds);
    enum nql_bounds_kind kind = plan.bounds.kind;
    bool one_point = kind == NQL_BOUNDS_POINTS && plan.bounds.n == 1;
    if (kind == NQL_BOUNDS_NONE || (kind == NQL_BOUNDS_ALL && !by_order)) {
        query_plan_fini(&plan);
        return E_OK;
    }
    bool valid = p->q->view.valid_at != KS_ANY_VALID;
    if (valid && kind == NQL_BOUNDS_ALL) { /* all that ever was, and in no order */
        query_plan_fini(&plan);
        return E_OK;
    }
    plan.in_order = !valid && (by_order || (one_point && wants_key_order(n)));
    int err = is_beyond_doubt(p, &plan, one_point) ? E_OK : estimate(p, index, &plan.bounds, &rows);
    if (err != E_OK) {
        query_plan_fini(&plan);
        return is_absent(err) ? E_OK : err;
    }
    plan.kind = kind == NQL_BOUNDS_POINTS ? QUERY_EQUALITY : kind == NQL_BOUNDS_RANGE ? QUERY_RANGE : QUERY_ORDER;
    plan.descending = by_order && n->order[0].descending;
    plan.est_rows = rows;
    buf_add_slice(&plan.index, index);
    if (kind != NQL_BOUNDS_ALL && p->docs > 0) {
        double share = (double)rows / p->docs;
        if (!p->share_known || share < p->share) p->share = share < 1 ? share : 1;
        p->share_known = true;
    }
    offer(p, &plan, (double)rows, !has_condition(n) || (kind != NQL_BOUNDS_ALL && is_one_term(n)) ? 1 : SHARE_GUESSED, COST_INDEXED);
    return E_OK;
}

/* ---- text indexes ---- */

static int offer_text(struct planner *p, slice index)
{
    const struct query *q = p->q;
    bool whole = slice_eq(index, slice_str("$"));
    if (q->words == NULL) return E_OK;
    if (!whole && (!q->nql->search.has_path || nql_path_number(q->nql, index) != (int)q->nql->search.path)) return E_OK;
    struct query_plan plan = {.kind = QUERY_TEXT};
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < q->words->n; i++) {
        const struct words_query_word *w = &q->words->at[i];
        struct text_options o = {.lineage = q->view.db.lineage, .coll = q->nql->coll, .path = index, .word = text_word_slice(&w->word)};
        uint64_t rows;
        o.prefix = w->prefix;
        o.at = q->view.at.seq;
        int err = engine_text_rows(doc_engine(p->c), &o, &rows);
        if (err != E_OK) return is_absent(err) ? E_OK : err;
        if (rows < least) least = rows, plan.word = i;
    }
    plan.in_order = q->view.valid_at == KS_ANY_VALID && wants_key_order(q->nql);
    plan.est_rows = least;
    buf_add_slice(&plan.index, index);
    if (p->docs > 0 && (!p->share_known || (double)least / p->docs < p->share)) {
        p->share = (double)least / p->docs;
        p->share_known = true;
    }
    offer(p, &plan, (double)least, q->words->n == 1 && q->nql->where == NULL ? 1 : SHARE_GUESSED, COST_INDEXED);
    return E_OK;
}

static int see_index(void *ctx, const struct sorted_info *i)
{
    struct planner *p = ctx;
    if (!i->ready || p->n_seen == QUERY_INDEXES_MAX) return E_OK;
    p->seen[p->n_seen++] = (struct index_seen){p->paths.n, i->path.n, i->kind};
    p->n_useful += i->kind == SORTED_TEXT ? p->q->words != NULL : nql_path_number(p->q->nql, i->path) >= 0;
    buf_add_slice(&p->paths, i->path);
    return E_OK;
}

static int offer_indexes(struct planner *p)
{
    const struct query *q = p->q;
    if ((q->view.valid_at != KS_ANY_VALID && (q->counting || q->nql->grouped)) || (!has_condition(q->nql) && q->nql->n_order == 0)) return E_OK;
    int err = engine_sorted_list(doc_engine(p->c), q->view.db.lineage, &q->nql->coll, see_index, p);
    for (size_t i = 0; err == E_OK && i < p->n_seen; i++) {
        slice path = slice_of(p->paths.p + p->seen[i].at, p->seen[i].n);
        err = p->seen[i].kind == SORTED_TEXT ? offer_text(p, path) : offer_ordered(p, path);
    }
    return err;
}

/* ---- links ---- */

static void offer_links(struct planner *p)
{
    const struct nql_query *n = p->q->nql;
    for (uint32_t i = 0; i < n->n_paths; i++) {
        enum nql_kind kind = n->path[i].kind;
        if (kind != NQL_FROM && kind != NQL_TO) continue;
        struct query_plan plan = {.kind = kind == NQL_FROM ? QUERY_LINKS_OUT : QUERY_LINKS_IN, .est_rows = 10};
        nql_bounds(n, i, &plan.bounds);
        if (plan.bounds.kind != NQL_BOUNDS_POINTS || plan.bounds.n != 1 || json_type_of(plan.bounds.points[0]) != JSON_STRING) {
            query_plan_fini(&plan);
            continue;
        }
        plan.in_order = n->n_order == 0 && kind == NQL_FROM; /* those of one document, by relation and other end */
        offer(p, &plan, 10, 1, kind == NQL_FROM ? 1 : 1.5);
    }
}

/* ---- the choice ---- */

/* Some path can have no value for which WHERE holds. */
static bool is_hopeless(struct planner *p)
{
    bool none = false;
    if (p->q->nql->where == NULL) return false;
    for (uint32_t i = 0; i < p->q->nql->n_paths && !none; i++) {
        struct nql_bounds b;
        nql_bounds(p->q->nql, i, &b);
        none = b.kind == NQL_BOUNDS_NONE;
        nql_bounds_fini(&b);
    }
    return none;
}

static void offer_scan(struct planner *p)
{
    struct query_plan plan = {.kind = QUERY_SCAN, .est_rows = (uint64_t)p->docs};
    double share = !has_condition(p->q->nql) ? 1 : p->share_known ? p->share : SHARE_GUESSED;
    plan.in_order = p->q->nql->links ? p->q->nql->n_order == 0 : wants_key_order(p->q->nql);
    offer(p, &plan, p->docs, share, 1);
}

static void measure(struct planner *p)
{
    const struct query *q = p->q;
    struct coll_counts counts = {0};
    struct engine_stats stats;
    uint64_t page = q->count;
    if (q->nql->links) {
        engine_get_stats(doc_engine(p->c), &stats);
        counts.docs = stats.links;
    } else {
        engine_collection(doc_engine(p->c), q->view.db.lineage, q->nql->coll, &counts);
    }
    p->docs = (double)counts.docs;
    if (q->nql->has_limit && q->nql->limit - q->given < page) page = q->nql->limit - q->given;
    p->want = (double)page + (double)q->skip;
}

int query_plan_make(struct call *c, struct query *q, bool no_scan)
{
    struct planner p = {.c = c, .q = q};
    int err = E_OK;
    measure(&p);
    if (q->nql->links) {
        offer_links(&p);
    } else {
        for (uint32_t i = 0; i < q->nql->n_paths; i++) /* in the empty collection x and :x have one _id */
            if (q->nql->path[i].kind == NQL_KEY || (q->nql->path[i].kind == NQL_ID && q->nql->coll.n)) offer_keys(&p, i);
        if (!p.found || p.best.kind != QUERY_KEYS) err = offer_indexes(&p);
    }
    if (err == E_OK && !no_scan && !(p.found && p.best_cost <= CHEAP)) offer_scan(&p);
    if (err == E_OK && !(p.found && p.best_cost <= CHEAP) && is_hopeless(&p)) {
        struct query_plan nothing = {.kind = QUERY_NOTHING, .in_order = true};
        offer(&p, &nothing, 0, 1, 1);
    }
    buf_fini(&p.paths);
    if (err == E_OK && !p.found) err = E_NOTFOUND;
    if (err != E_OK) {
        query_plan_fini(&p.best);
        return err;
    }
    query_plan_fini(&q->plan);
    q->plan = p.best;
    return E_OK;
}

/* ---- telling ---- */

void query_plan_text(const struct query *q, struct buf *out)
{
    static const char *const names[] = {
        [QUERY_SCAN] = "scan", [QUERY_NOTHING] = "nothing", [QUERY_KEYS] = "key", [QUERY_KEY_RANGE] = "key range",
        [QUERY_EQUALITY] = "equality", [QUERY_RANGE] = "range", [QUERY_ORDER] = "order", [QUERY_TEXT] = "text",
        [QUERY_LINKS_OUT] = "link out", [QUERY_LINKS_IN] = "link in",
    };
    buf_add_str(out, names[q->plan.kind]);
    if (q->nql->traverse.given) buf_add_str(out, ", then traverse");
    if (q->nql->trace.given) buf_add_str(out, ", then trace");
    if (q->nql->grouped)
        buf_add_str(out, ", then group");
    else if (!query_streams(q))
        buf_add_str(out, ", then sort");
}

/* The first path for which an index would have narrowed the search, or given the order. */
static int advised_path(const struct nql_query *n)
{
    for (uint32_t i = 0; i < n->n_paths; i++) {
        if (n->path[i].kind != NQL_DOC || n->where == NULL) continue;
        struct nql_bounds b;
        nql_bounds(n, i, &b);
        bool helps = b.kind == NQL_BOUNDS_POINTS || b.kind == NQL_BOUNDS_RANGE;
        nql_bounds_fini(&b);
        if (helps) return (int)i;
    }
    bool ordered = n->n_order == 1 && n->valid_as_of.p == NULL && !n->order[0].of_aggregate && n->path[n->order[0].path].kind == NQL_DOC;
    return ordered ? (int)n->order[0].path : -1;
}

bool query_plan_advice(const struct query *q, struct buf *out)
{
    const struct nql_query *n = q->nql;
    int path = advised_path(n);
    slice text = path >= 0 ? n->path[path].text : slice_str("$");
    bool by_word = path < 0 && n->search.given;
    if (n->links || (q->view.valid_at != KS_ANY_VALID && (n->grouped || q->counting)) || (path < 0 && !by_word)) return false;
    if (by_word && n->search.has_path && n->path[n->search.path].kind == NQL_DOC) text = n->path[n->search.path].text;
    buf_printf(out, "DINDEX CREATE %.*s %.*s%s", (int)n->coll.n, (const char *)n->coll.p, (int)text.n, (const char *)text.p, by_word ? " TEXT" : "");
    return true;
}
