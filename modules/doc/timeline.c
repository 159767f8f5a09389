/* DTIMELINE: which version answers at which instant of valid time, as seen from a point.
 *
 * Versions are read newest first until the line is full, some a turn; then the rows are loaded, some a turn. A key that is absent at the point because of its expiry
 * has an empty line. Where older versions were dropped and part of the line is still open, nobody knows what they said: PRUNED. */
#include "modules/doc/doc.h"
#include "modules/doc/timeline_line.h"

#define DATA_BYTES_MAX (256u << 20) /* of all rows together */

struct loaded {
    uint8_t hash[HASH_BYTES];
    size_t at, bytes; /* in data */
};
struct timeline {
    struct doc_place at;
    int64_t from, to;
    struct db_view view;
    struct version_cursor *cur;
    struct line line;
    bool ended, dropped;
    uint64_t last_ver, last_seq; /* of the version read last; 0 = none yet */
    uint64_t horizon;
    struct loaded *rows;
    size_t n_loaded;
    struct buf data;
};

static void timeline_drop(void *state)
{
    struct timeline *t = state;
    version_close(&t->cur);
    line_fini(&t->line);
    mem_free(t->rows);
    buf_fini(&t->data);
    mem_free(t);
}

static bool parse_end(struct call *c, int i, int64_t open, int64_t *ms)
{
    if (i < c->argc && doc_parse_instant(c->argv[i], open, ms)) return true;
    if (i < c->argc)
        reply_error(c, "BADVALID an end is Unix milliseconds, ISO 8601 or -");
    else
        reply_syntax(c);
    return false;
}

static bool parse(struct call *c, struct timeline *t)
{
    slice point = slice_str("head");
    t->from = INT64_MIN;
    t->to = INT64_MAX;
    struct doc_words met = {0};
    for (int i = 2; i < c->argc; i += 2) {
        if (!doc_stands_once(c, &met, i)) return false;
        if (arg_is(c, i, "ASOF") && i + 1 < c->argc) {
            point = c->argv[i + 1];
        } else if (arg_is(c, i, "FROM")) {
            if (!parse_end(c, i + 1, INT64_MIN, &t->from)) return false;
        } else if (arg_is(c, i, "TO")) {
            if (!parse_end(c, i + 1, INT64_MAX, &t->to)) return false;
        } else {
            reply_syntax(c);
            return false;
        }
    }
    if (t->from >= t->to) {
        reply_error(c, "BADVALID the interval is empty");
        return false;
    }
    return doc_point(c, point, &t->at);
}

/* The newest version says whether the key is there at all: its expiry counts for every instant. */
static int judge_newest(struct call *c, struct timeline *t, const struct version *v, bool *gone)
{
    uint64_t last_before;
    int r = E_OK;
    *gone = doc_expired(&t->at, v->expire_ms);
    if (v->expire_ms != 0 && !*gone) {
        r = engine_seq_by_time(doc_engine(c), v->expire_ms - 1, &last_before);
        if (r == E_OK) *gone = t->at.seq > last_before;
    }
    bool live = v->op == NODE_PUT || v->op == NODE_EFFECT || v->op == NODE_META;
    return r == E_OK && live && !*gone && v->type != TYPE_DOCUMENT ? E_INVALID : r;
}

/* One version covers what it says. A change of expiry alone says nothing. */
static int cover(struct call *c, struct timeline *t, const struct version *v)
{
    struct buf mem = {0};
    struct node n;
    int64_t from = INT64_MIN, to = INT64_MAX;
    if (v->op == NODE_META) return E_OK;
    if (v->flags & NODE_VALID) {
        int r = engine_read(doc_engine(c), v->seq, &mem, &n);
        if (r == E_OK && n.has_valid) from = n.valid_from, to = n.valid_to;
        buf_fini(&mem);
        if (r != E_OK) return r;
    }
    bool document = v->op == NODE_PUT && v->type == TYPE_DOCUMENT;
    return line_cover(&t->line, from, to, document ? v->seq : 0) ? E_OK : E_TOOBIG;
}

static void reply_bad(struct call *c, const struct timeline *t, int r)
{
    if (r == E_INVALID)
        reply_wrongtype(c);
    else if (r == E_PRUNED)
        doc_reply_pruned(c, c->argv[1], t->horizon);
    else if (r == E_TOOBIG)
        reply_error(c, "TOOBIG the line has more than %d stretches or too much data: ask for a part with FROM and TO",
                    LINE_ROWS_MAX);
    else
        reply_failure(c, r);
}

static void reply_end_of_line(struct call *c, int64_t ms)
{
    if (ms == INT64_MIN || ms == INT64_MAX)
        reply_null(c);
    else
        reply_int(c, ms);
}

static void reply_line(struct call *c, const struct timeline *t)
{
    reply_array(c, t->line.n_rows);
    for (size_t i = 0; i < t->line.n_rows; i++) {
        const struct line_row *row = &t->line.row[i];
        reply_map(c, 5);
        reply_str(c, "valid_from"), reply_end_of_line(c, row->from);
        reply_str(c, "valid_to"), reply_end_of_line(c, row->to);
        reply_str(c, "seq"), reply_int(c, (int64_t)row->seq);
        reply_str(c, "hash"), doc_reply_hash(c, t->rows[i].hash);
        reply_str(c, "data"), reply_bulk(c, slice_of(t->data.p + t->rows[i].at, t->rows[i].bytes));
    }
}

/* All that is left was looked at. E_END: a flush hides what was dropped. */
static int judge_older(struct call *c, const struct timeline *t)
{
    struct buf mem = {0};
    struct node n;
    if (!t->dropped || t->horizon <= t->view.flushed) return E_END;
    int r = engine_read(doc_engine(c), t->horizon, &mem, &n);
    if (r == E_OK) r = n.prev <= t->view.flushed ? E_END : E_PRUNED;
    buf_fini(&mem);
    return r;
}

/* Versions for one turn. E_END: the line is as full as it gets. */
static int read_some(struct call *c, struct timeline *t)
{
    struct version v;
    for (size_t i = 0; i < DOC_SLICE_ROWS; i++) {
        if (line_is_full(&t->line)) return E_END;
        int r = version_next(t->cur, &v);
        if (r == E_END) return judge_older(c, t);
        if (r != E_OK) return r;
        bool gone = false;
        if (t->last_ver == 0) r = judge_newest(c, t, &v, &gone);
        if (t->last_ver > v.ver + 1) { /* one between was dropped */
            t->horizon = t->last_seq;
            return E_PRUNED;
        }
        t->last_ver = v.ver;
        t->last_seq = v.seq;
        if (gone) return E_END;
        if (r == E_OK) r = cover(c, t, &v);
        if (r != E_OK) return r;
    }
    return E_OK;
}

static int load_some(struct call *c, struct timeline *t)
{
    struct buf mem = {0};
    struct node n;
    int r = E_OK;
    for (size_t i = 0; i < DOC_SLICE_ROWS && r == E_OK && t->n_loaded < t->line.n_rows; i++) {
        struct loaded *row = &t->rows[t->n_loaded];
        uint64_t seq = t->line.row[t->n_loaded].seq;
        r = engine_read(doc_engine(c), seq, &mem, &n);
        if (r == E_OK) r = engine_hash(doc_engine(c), seq, row->hash);
        if (r == E_OK && t->data.n + n.payload.n > DATA_BYTES_MAX) r = E_TOOBIG;
        if (r != E_OK) break;
        row->at = t->data.n;
        row->bytes = n.payload.n;
        buf_add_slice(&t->data, n.payload);
        t->n_loaded++;
    }
    buf_fini(&mem);
    return r == E_OK && t->n_loaded == t->line.n_rows ? E_END : r;
}

static bool timeline_step(struct call *c, void *state)
{
    struct timeline *t = state;
    int r = t->ended ? load_some(c, t) : read_some(c, t);
    if (r == E_OK) return false;
    if (r == E_END && !t->ended) {
        t->ended = true;
        line_sort(&t->line);
        t->rows = mem_alloc((t->line.n_rows + 1) * sizeof *t->rows);
        return timeline_step(c, t); /* once: ended is set now */
    }
    if (r == E_END)
        reply_line(c, t);
    else
        reply_bad(c, t, r);
    return true;
}

static int timeline_open(struct call *c, struct timeline *t)
{
    struct engine *e = doc_engine(c);
    struct version v = {0};
    slice key = c->argv[1];
    engine_db_at(e, c->ks.db, t->at.seq, &t->view);
    line_init(&t->line, t->from, t->to);
    if (t->at.seq <= t->view.flushed || key.n > NODE_KEY_MAX) {
        t->ended = true;
        t->rows = mem_alloc(sizeof *t->rows);
        return E_OK;
    }
    int r = engine_key_horizon(e, SPACE_KEY, t->view.lineage, key, &t->horizon, &t->dropped);
    if (r == E_OK || r == E_NOTFOUND) r = engine_find(e, SPACE_KEY, t->view.lineage, key, t->at.seq, FIND_ALL, &v);
    if (r == E_PRUNED) t->horizon = v.seq;
    if (r == E_OK || r == E_NOTFOUND)
        r = engine_versions(e, SPACE_KEY, t->view.lineage, key, t->view.flushed + 1, t->at.seq, false, &t->cur);
    return r;
}

void cmd_dtimeline(struct call *c)
{
    struct timeline *t = mem_zalloc(sizeof *t);
    if (!parse(c, t)) {
        timeline_drop(t);
        return;
    }
    int r = timeline_open(c, t);
    if (r != E_OK) {
        reply_bad(c, t, r);
        timeline_drop(t);
        return;
    }
    bool done;
    while (!(done = timeline_step(c, t)) && c->in_multi) continue;
    if (done)
        timeline_drop(t);
    else
        call_later(c, LATER_TURN, timeline_step, timeline_drop, t);
}
