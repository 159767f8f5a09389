/* DHISTORY and DNODE: the versions themselves. */
#include "modules/doc/node_map.h"

struct history_options {
    uint64_t from, to, count;
    bool oldest_first, with_data;
};

static bool parse_history(struct call *c, struct history_options *o)
{
    *o = (struct history_options){.from = 0, .to = DOC_NEWEST(c), .count = 100};
    struct doc_words met = {0};
    for (int i = 2; i < c->argc; i++) {
        if (!doc_stands_once(c, &met, i)) return false;
        if (arg_is(c, i, "REV")) {
            o->oldest_first = true;
        } else if (arg_is(c, i, "WITHDATA")) {
            o->with_data = true;
        } else if (i + 1 < c->argc && arg_is(c, i, "FROM")) {
            if (!doc_point_seq(c, c->argv[++i], &o->from)) return false;
        } else if (i + 1 < c->argc && arg_is(c, i, "TO")) {
            if (!doc_point_seq(c, c->argv[++i], &o->to)) return false;
        } else if (i + 1 < c->argc && arg_is(c, i, "COUNT")) {
            if (!doc_count(c, c->argv[++i], &o->count)) return false;
        } else {
            reply_syntax(c);
            return false;
        }
    }
    return true;
}

/* The row that says: older versions were dropped; what is left begins at `horizon`. */
static void reply_horizon_row(struct call *c, slice key, uint64_t horizon)
{
    static const char *const before[] = {"prev", "ts", "op"};
    static const char *const after[] = {"by", "note", "valid_from", "valid_to"};
    reply_map(c, DOC_MAP_FIELDS);
    reply_str(c, "key"), reply_bulk(c, key);
    reply_str(c, "seq"), reply_int(c, (int64_t)horizon);
    reply_str(c, "ver"), reply_null(c);
    reply_str(c, "hash"), reply_null(c);
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) reply_str(c, before[i]), reply_null(c);
    reply_str(c, "state"), reply_str(c, "pruned");
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) reply_str(c, after[i]), reply_null(c);
    reply_str(c, "caused_by"), reply_array(c, 0);
    reply_str(c, "commit"), reply_null(c);
    reply_str(c, "data"), reply_null(c);
    reply_str(c, "type"), reply_null(c);
    reply_str(c, "expires"), reply_null(c);
}

struct history {
    struct history_options o;
    struct version_cursor *cur;
    struct node_maps maps;
    uint64_t horizon;
    bool dropped; /* there was more than is left */
    bool ended; /* every version asked for is among the rows */
    int failure;
};

static void history_drop(void *state)
{
    struct history *h = state;
    version_close(&h->cur);
    node_maps_fini(&h->maps);
    mem_free(h);
}

/* Older versions than those shown are wanted and were dropped. */
static bool wants_horizon_row(const struct history *h)
{
    return h->dropped && h->o.from < h->horizon && (h->ended || h->o.oldest_first);
}

static void reply_history(struct call *c, struct history *h)
{
    bool horizon = wants_horizon_row(h), broken = h->failure != E_OK;
    reply_array(c, h->maps.n + (horizon ? 1 : 0) + (broken ? 1 : 0));
    node_maps_reply(c, &h->maps);
    if (broken) reply_failure(c, h->failure); /* the list is not whole: an element says why */
    if (horizon) reply_horizon_row(c, c->argv[1], h->horizon);
}

/* One turn: true when it has replied. The row that ends a list does not count. */
static bool history_step(struct call *c, void *state)
{
    struct history *h = state;
    struct version v;
    int r = E_OK;
    for (size_t i = 0; i < DOC_SLICE_ROWS && r == E_OK; i++) {
        r = version_next(h->cur, &v);
        if (r == E_OK && h->maps.n == h->o.count) break;
        if (r == E_OK) node_maps_add(c, &h->maps, v.seq, NODE_MAP_NO_DEPTH);
    }
    if (r == E_OK && h->maps.n < h->o.count) return false;
    h->ended = r == E_END;
    h->failure = r == E_OK || r == E_END ? E_OK : r;
    reply_history(c, h);
    return true;
}

void cmd_dhistory(struct call *c)
{
    struct history *h = mem_zalloc(sizeof *h);
    struct engine *e = doc_engine(c);
    uint16_t lineage = ks_db(&c->ks, c->ks.db).lineage;
    bool parsed = parse_history(c, &h->o);
    bool head = parsed && h->o.to == DOC_NOW && doc_tx_wrote(c);
    if (head) doc_refuse_head(c);
    if (!parsed || head) {
        history_drop(h);
        return;
    }
    h->maps.with_data = h->o.with_data;
    int r = engine_catch_up(e, 0);
    if (r == E_OK) r = engine_key_horizon(e, SPACE_KEY, lineage, c->argv[1], &h->horizon, &h->dropped);
    if (r == E_NOTFOUND) r = E_OK;
    if (r == E_OK) r = engine_versions(e, SPACE_KEY, lineage, c->argv[1], h->o.from, h->o.to, h->o.oldest_first, &h->cur);
    if (r != E_OK) {
        reply_failure(c, r);
        history_drop(h);
        return;
    }
    bool done;
    while (!(done = history_step(c, h)) && c->in_multi) continue;
    if (done)
        history_drop(h);
    else
        call_later(c, LATER_TURN, history_step, history_drop, h);
}

static void reply_raw(struct call *c, uint64_t seq)
{
    struct buf mem = {0};
    slice raw;
    int r = engine_catch_up(doc_engine(c), seq);
    if (r == E_OK) r = engine_read_raw(doc_engine(c), seq, &mem, &raw);
    if (r == E_OK)
        reply_bulk(c, raw);
    else if (r == E_NOTFOUND)
        doc_reply_unlogged(c);
    else if (r == E_PRUNED)
        reply_error(c, "PRUNED node %llu was dropped by retention", (unsigned long long)seq);
    else
        reply_failure(c, r);
    buf_fini(&mem);
}

void cmd_dnode(struct call *c)
{
    uint64_t seq;
    struct doc_view v = {0};
    struct doc_data data = {.wanted = true};
    bool raw = c->argc == 3 && arg_is(c, 2, "RAW");
    if (c->argc > 3 || (c->argc == 3 && !raw)) {
        reply_syntax(c);
        return;
    }
    if (!doc_ref(c, c->argv[1], DOC_ABSENT_NULL, &seq)) return;
    if (raw) {
        reply_raw(c, seq);
        return;
    }
    int r = doc_view_load(c, seq, &v);
    if (r == E_OK)
        doc_reply_map(c, &v, &data);
    else if (r == E_NOTFOUND)
        doc_reply_unlogged(c); /* doc_ref has found it */
    else
        reply_failure(c, r);
    doc_view_fini(&v);
}
