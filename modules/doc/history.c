/* DHISTORY and DNODE: the versions themselves. */
#include "modules/doc/doc.h"

struct history_options {
    uint64_t from, to, count;
    bool oldest_first, with_data;
};

static bool parse_history(struct call *c, struct history_options *o)
{
    *o = (struct history_options){.from = 0, .to = UINT64_MAX, .count = 100};
    for (int i = 2; i < c->argc; i++) {
        if (arg_is(c, i, "REV")) {
            o->oldest_first = true;
        } else if (arg_is(c, i, "WITHDATA")) {
            o->with_data = true;
        } else if (i + 1 < c->argc && arg_is(c, i, "FROM")) {
            if (!doc_point(c, c->argv[++i], &o->from)) return false;
        } else if (i + 1 < c->argc && arg_is(c, i, "TO")) {
            if (!doc_point(c, c->argv[++i], &o->to)) return false;
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
}

/* One row; a node that cannot be read is an error in its place, never left out. */
static void reply_version(struct call *c, uint64_t seq, bool with_data)
{
    struct doc_view v;
    struct doc_data data = {.wanted = with_data};
    int r = doc_view_load(c, seq, &v);
    if (r == E_OK)
        doc_reply_map(c, &v, &data);
    else
        reply_failure(c, r);
    doc_view_fini(&v);
}

/* Whether the list ran into the end where older versions are missing. */
static bool reaches_horizon(const struct history_options *o, uint64_t horizon, uint64_t rows)
{
    if (horizon == 0 || o->from >= horizon) return false;
    return o->oldest_first || rows < o->count;
}

void cmd_dhistory(struct call *c)
{
    struct history_options o;
    struct version_cursor *cur = NULL;
    struct version v;
    struct engine *e = doc_engine(c);
    slice key = c->argv[1];
    uint16_t lineage = ks_db(&c->ks, c->ks.db).lineage;
    uint64_t horizon = 0, rows = 0;
    if (!parse_history(c, &o)) return;
    int r = engine_catch_up(e, 0);
    if (r == E_OK) r = engine_key_horizon(e, SPACE_KEY, lineage, key, &horizon);
    if (r == E_NOTFOUND) r = E_OK;
    if (r == E_OK) r = engine_versions(e, SPACE_KEY, lineage, key, o.from, o.to, o.oldest_first, &cur);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    size_t token = reply_begin(c);
    if (o.oldest_first && reaches_horizon(&o, horizon, 0)) reply_horizon_row(c, key, horizon), rows++;
    while (rows < o.count && (r = version_next(cur, &v)) == E_OK) {
        reply_version(c, v.seq, o.with_data);
        rows++;
    }
    if (rows < o.count && r != E_END && r != E_OK) {
        reply_failure(c, r); /* the list is not whole: its last element says why */
        rows++;
    } else if (!o.oldest_first && reaches_horizon(&o, horizon, rows)) {
        reply_horizon_row(c, key, horizon);
        rows++;
    }
    reply_end_array(c, token, rows);
    version_close(&cur);
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
        reply_null(c);
    else if (r == E_PRUNED)
        reply_error(c, "PRUNED node %llu was dropped by retention", (unsigned long long)seq);
    else
        reply_failure(c, r);
    buf_fini(&mem);
}

void cmd_dnode(struct call *c)
{
    uint64_t seq;
    struct doc_view v;
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
        reply_null(c);
    else
        reply_failure(c, r);
    doc_view_fini(&v);
}
