/* DQUERY and DCOUNT: arguments, the pinned point, the cursor, turns and replies. The work is in query_run.c.
 *
 * A query lives in the heap from its first turn on, and is freed by the command when one turn did it, else by the server when it is over or the client
 * goes. The arguments move when a command waits, so nothing of them is kept: NQL copies what it needs. */
#include "modules/doc/query.h"

#define TIMEOUT_MS_MAX (INT64_MAX / 2000)

void query_fini(struct query *q)
{
    query_source_close(&q->source);
    query_walk_free(&q->walk);
    nql_groups_free(&q->groups);
    query_plan_fini(&q->plan);
    query_keep_fini(&q->keep);
    query_row_fini(&q->row);
    rows_fini(&q->page);
    nql_free(&q->nql);
    mem_free(q->words);
    buf_fini(&q->ahead.names);
    buf_fini(&q->position);
    buf_fini(&q->position_name);
    buf_fini(&q->place);
    buf_fini(&q->last);
    buf_fini(&q->failed_key);
}

static void query_free(struct query **out)
{
    query_fini(*out);
    mem_free(*out);
    *out = NULL;
}

static void query_drop(void *state)
{
    struct query *q = state;
    query_free(&q);
}

/* ---- arguments ---- */

struct arguments {
    struct nql_param param[NQL_PARAMS_MAX];
    size_t n_params;
    slice cursor, as_of;
};

static bool parse_params(struct call *c, int *i, struct arguments *a)
{
    int64_t n;
    if (*i + 1 >= c->argc) {
        reply_syntax(c);
        return false;
    }
    if (!arg_range(c, *i + 1, 0, NQL_PARAMS_MAX, &n)) return false;
    if (*i + 1 + 2 * n >= c->argc) {
        reply_syntax(c);
        return false;
    }
    for (int k = 0; k < n; k++) a->param[k] = (struct nql_param){c->argv[*i + 2 + 2 * k], c->argv[*i + 3 + 2 * k]};
    a->n_params = (size_t)n;
    *i += 1 + 2 * (int)n;
    return true;
}

static bool parse_option(struct call *c, int *i, struct query *q, struct arguments *a)
{
    bool value = *i + 1 < c->argc;
    int64_t ms;
    if (arg_is(c, *i, "PARAMS")) return parse_params(c, i, a);
    if (arg_is(c, *i, "NOSCAN")) {
        q->noscan = true;
    } else if (arg_is(c, *i, "EXPLAIN")) {
        q->explain = true;
    } else if (value && arg_is(c, *i, "CURSOR")) {
        a->cursor = c->argv[++*i];
    } else if (value && arg_is(c, *i, "COUNT")) {
        return doc_count(c, c->argv[++*i], &q->count);
    } else if (value && arg_is(c, *i, "TIMEOUT")) {
        if (!arg_range(c, ++*i, 1, TIMEOUT_MS_MAX, &ms)) return false;
        q->timeout_ms = (uint64_t)ms;
    } else {
        reply_syntax(c);
        return false;
    }
    return true;
}

static bool parse_query(struct call *c, struct query *q, struct arguments *a)
{
    struct nql_fault fault;
    q->count = QUERY_COUNT_DEFAULT;
    struct doc_words met = {0};
    for (int i = 2; i < c->argc; i++)
        if (!doc_stands_once(c, &met, i) || !parse_option(c, &i, q, a)) return false;
    if (nql_parse(c->argv[1], a->param, a->n_params, &q->nql, &fault) != E_OK) {
        nql_fault_reply(c, &fault);
        return false;
    }
    return true;
}

static bool parse_count(struct call *c, struct query *q, struct arguments *a)
{
    struct nql_fault fault;
    slice where = {0};
    q->count = DOC_COUNT_MAX;
    q->counting = true;
    struct doc_words met = {0};
    for (int i = 2; i < c->argc; i++) {
        bool value = i + 1 < c->argc;
        if (!doc_stands_once(c, &met, i)) return false;
        if (arg_is(c, i, "PARAMS")) {
            if (!parse_params(c, &i, a)) return false;
        } else if (value && arg_is(c, i, "WHERE")) {
            where = c->argv[++i];
        } else if (value && arg_is(c, i, "ASOF")) {
            a->as_of = c->argv[++i];
        } else {
            reply_syntax(c);
            return false;
        }
    }
    if (nql_parse_where(c->argv[1], where, a->param, a->n_params, &q->nql, &fault) != E_OK) {
        nql_fault_reply(c, &fault);
        return false;
    }
    return true;
}

/* ---- the point and the position ---- */

static bool set_words(struct call *c, struct query *q)
{
    if (!q->nql->search.given) return true;
    q->words = mem_alloc(sizeof *q->words);
    int err = words_query_parse(q->nql->search.words, q->words);
    if (err == E_TOOBIG)
        reply_error(c, "TOOBIG SEARCH takes %d words at most", WORDS_QUERY_MAX);
    else if (err != E_OK)
        reply_error(c, "BADQUERY at byte 0: SEARCH holds no word");
    return err == E_OK;
}

static bool bad_cursor(struct call *c)
{
    reply_error(c, "BADCURSOR a cursor is what DQUERY returned for the same query and parameters");
    return false;
}

static uint64_t digest_of(const struct call *c, const struct query *q)
{
    return nql_digest(q->nql, false) ^ ((uint64_t)c->ks.db + 1) * 0x9e3779b97f4a7c15u;
}

/* The pinned point of the page before, and its last row. */
static bool take_cursor(struct call *c, struct query *q, slice text)
{
    struct query_position p;
    struct buf mem = {0};
    bool ok = query_cursor_decode(text, engine_seed(doc_engine(c)), &mem, &p) == E_OK && p.digest == digest_of(c, q) &&
              (!q->nql->has_limit || p.given < q->nql->limit) && (!q->nql->grouped || p.name.n == 0);
    if (ok) {
        q->view.at = (struct doc_place){p.seq, p.ms};
        ok = doc_place_known(c, &q->view.at);
    }
    if (ok) {
        q->given = p.given;
        q->resumed = true;
        (void)buf_reserve(&q->position_name, 1); /* an empty key is a name, too */
        buf_add_slice(&q->position_name, p.name);
    }
    buf_fini(&mem);
    return ok || bad_cursor(c);
}

static bool set_view(struct call *c, struct query *q, const struct arguments *a)
{
    const struct nql_query *n = q->nql;
    slice at = n->as_of.p ? n->as_of : a->as_of.p ? a->as_of : slice_str("head");
    q->view.valid_at = KS_ANY_VALID;
    if (n->valid_as_of.p && !instant_parse(n->valid_as_of, &q->view.valid_at)) {
        reply_error(c, "BADVALID VALID AS OF takes Unix milliseconds or ISO 8601");
        return false;
    }
    q->skip = n->offset;
    if (a->cursor.p && !(a->cursor.n == 1 && a->cursor.p[0] == '0')) {
        if (!take_cursor(c, q, a->cursor)) return false;
        if (!n->grouped) q->skip = 0;
    } else if (!doc_point(c, at, &q->view.at)) {
        return false;
    }
    engine_db_at(doc_engine(c), c->ks.db, q->view.at.seq, &q->view.db);
    return true;
}

/* Where no row can be read: the collection's name in the error, and from where on it can. Links have no list of their own to look at. */
static void refuse_collection(struct call *c, const struct query *q)
{
    struct buf prefix = {0};
    slice coll = q->nql->coll;
    if (q->nql->links) {
        doc_reply_pruned(c, coll, engine_horizon(doc_engine(c)));
        return;
    }
    buf_add_slice(&prefix, coll);
    if (coll.n) buf_add_byte(&prefix, ':');
    doc_refuse_list(c, coll, buf_slice(&prefix), q->view.at.seq);
    buf_fini(&prefix);
}

/* Below this horizon documents that are gone may be forgotten, and rows would be left out in silence. */
static bool is_readable(struct call *c, const struct query *q)
{
    struct engine_horizons h;
    engine_get_horizons(doc_engine(c), &h);
    if (q->view.at.seq >= h.documents) return true;
    refuse_collection(c, q);
    return false;
}

/* The place of the row that the page before ended with. */
static int find_position(struct call *c, struct query *q)
{
    if (!q->resumed || q->nql->grouped) return E_OK;
    slice name = buf_slice(&q->position_name);
    int err = E_SYNTAX;
    if (!q->nql->trace.given)
        err = query_row_read(c, q, name);
    else if (name.n == sizeof(uint64_t))
        err = query_row_version(c, q, name);
    if (err != E_OK) return err == E_NOTFOUND ? E_SYNTAX : err;
    query_row_place(q, &q->position);
    q->has_position = true;
    return E_OK;
}

/* ---- replies ---- */

static void reply_no_index(struct call *c, const struct query *q)
{
    struct buf advice = {0};
    bool helps = query_plan_advice(q, &advice);
    slice coll = q->nql->coll;
    if (helps)
        reply_error(c, "NOINDEX the query would scan '%.*s'; %.*s would help", (int)coll.n, (const char *)coll.p, (int)advice.n, (const char *)advice.p);
    else
        reply_error(c, "NOINDEX the query would scan '%.*s', and no index would help", (int)coll.n, (const char *)coll.p);
    buf_fini(&advice);
}

static void reply_query_failure(struct call *c, const struct query *q, int err)
{
    switch (err) {
    case QUERY_NOINDEX: reply_no_index(c, q); return;
    case QUERY_INLINE: reply_error(c, "TOOBIG a query inside a transaction looks at %d documents at most", QUERY_INLINE_SCAN_MAX); return;
    case E_TIMEOUT: reply_error(c, "TIMEOUT the query took more than %llu ms", (unsigned long long)q->timeout_ms); return;
    case E_SYNTAX:
    case E_INVALID: (void)bad_cursor(c); return;
    case E_TOOBIG:
        if (q->walk)
            reply_error(c, "TOOBIG a query reaches %d documents or versions at most", QUERY_WALK_NAMES_MAX);
        else
            reply_error(c, "TOOBIG a query has %d groups of %u MiB together at most", NQL_GROUPS_MAX, NQL_GROUP_BYTES_MAX >> 20);
        return;
    case E_PRUNED:
        if (q->failed_seq)
            reply_error(c, "PRUNED node %llu was dropped by retention", (unsigned long long)q->failed_seq);
        else if (q->failed_key.n)
            doc_reply_pruned(c, buf_slice(&q->failed_key), q->oldest);
        else
            refuse_collection(c, q);
        return;
    default: reply_failure(c, err);
    }
}

static void reply_cursor(struct call *c, const struct query *q)
{
    struct buf text = {0};
    struct query_position p = {.seq = q->view.at.seq, .ms = q->view.at.ms, .given = q->given + q->page_rows, .digest = digest_of(c, q)};
    if (!q->more) {
        reply_null(c);
        return;
    }
    if (!q->nql->grouped) p.name = buf_slice(&q->last);
    query_cursor_encode(&p, engine_seed(doc_engine(c)), &text);
    reply_bulk(c, buf_slice(&text));
    buf_fini(&text);
}

static void reply_page(struct call *c, const struct query *q)
{
    if (q->counting) {
        reply_int(c, (int64_t)q->total);
        return;
    }
    reply_map(c, 3);
    reply_str(c, "seq"), reply_int(c, (int64_t)q->view.at.seq);
    reply_str(c, "cursor"), reply_cursor(c, q);
    reply_str(c, "rows");
    if (q->nql->grouped)
        rows_reply_maps(c, &q->page, q->nql->n_group + q->nql->n_aggregates);
    else
        rows_reply(c, &q->page, true);
}

static void reply_plan(struct call *c, const struct query *q)
{
    struct buf text = {0};
    reply_map(c, 3);
    query_plan_text(q, &text);
    reply_str(c, "plan"), reply_bulk(c, buf_slice(&text));
    buf_clear(&text);
    buf_printf(&text, "%.*s %.*s", (int)q->nql->coll.n, (const char *)q->nql->coll.p, (int)q->plan.index.n, (const char *)q->plan.index.p);
    reply_str(c, "index");
    if (q->plan.index.n)
        reply_bulk(c, buf_slice(&text));
    else
        reply_null(c);
    reply_str(c, "est_rows"), reply_int(c, (int64_t)q->plan.est_rows);
    buf_fini(&text);
}

/* ---- turns ---- */

/* One turn: true when it has replied. */
static bool query_step(struct call *c, void *state)
{
    struct query *q = state;
    bool entered = c->ks.entered != 0;
    if (!entered) ks_enter(&c->ks, KS_SHARED, NULL, 0);
    int err = query_run(c, q);
    if (!entered) ks_leave(&c->ks);
    if (err == E_AGAIN) return false;
    if (err == E_OK)
        reply_page(c, q);
    else
        reply_query_failure(c, q, err);
    return true;
}

/* All that can be refused before the first row. False: replied. */
static bool prepare(struct call *c, struct query *q)
{
    q->scan_max = limit_query_scan();
    int err = find_position(c, q);
    if (err == E_OK) err = query_plan_make(c, q, q->noscan && !q->explain);
    if (err == E_NOTFOUND) err = QUERY_NOINDEX;
    if (err != E_OK) {
        reply_query_failure(c, q, err);
        return false;
    }
    if (q->explain) {
        reply_plan(c, q);
        return false;
    }
    if (q->timeout_ms) q->deadline_us = os_mono_us(engine_os(doc_engine(c))) + q->timeout_ms * 1000;
    return true;
}

/* Everything that the arguments settle. False: replied. */
static bool settle(struct call *c, struct query *q, const struct arguments *a)
{
    if (q->nql->links && (q->nql->traverse.given || q->nql->trace.given)) {
        reply_error(c, "BADQUERY at byte 0: TRAVERSE and TRACE start from documents");
        return false;
    }
    return set_words(c, q) && set_view(c, q, a) && is_readable(c, q);
}

/* Works until the reply, or goes on in later turns; q is freed in any case. */
static void run(struct call *c, struct query *q)
{
    if (!prepare(c, q) || query_step(c, q)) {
        query_free(&q);
    } else {
        ASSERT(!c->in_multi); /* there a turn ends with the reply */
        call_later(c, LATER_TURN, query_step, query_drop, q);
    }
}

void cmd_dquery(struct call *c)
{
    struct arguments a;
    struct query *q = mem_zalloc(sizeof *q);
    a.n_params = 0;
    a.cursor = a.as_of = (slice){0};
    if (parse_query(c, q, &a) && settle(c, q, &a))
        run(c, q);
    else
        query_free(&q);
}

/* The book of the collection is exact at the newest point when no live document has an expiry. */
static bool count_from_book(struct call *c, const struct query *q, uint64_t *n)
{
    struct db_counts db;
    struct coll_counts coll;
    struct engine_marks m;
    uint64_t flushed = q->view.db.flushed;
    if (q->nql->where || q->nql->links || ks_in_batch(&c->ks)) return false;
    engine_get_marks(doc_engine(c), &m);
    if (q->view.at.seq != m.last_seq || m.indexed_seq != m.last_seq || ks_db(&c->ks, c->ks.db).flushed != flushed) return false;
    engine_db_counts(doc_engine(c), q->view.db.lineage, &db);
    if (db.expiring > 0) return false;
    engine_collection(doc_engine(c), q->view.db.lineage, q->nql->coll, &coll);
    *n = coll.docs;
    return true;
}

void cmd_dcount(struct call *c)
{
    struct arguments a;
    struct query *q = mem_zalloc(sizeof *q);
    uint64_t n;
    a.n_params = 0;
    a.cursor = a.as_of = (slice){0};
    if (!parse_count(c, q, &a) || !settle(c, q, &a)) {
        query_free(&q);
    } else if (count_from_book(c, q, &n)) {
        reply_int(c, (int64_t)n);
        query_free(&q);
    } else {
        run(c, q);
    }
}
