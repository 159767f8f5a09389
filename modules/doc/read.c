/* DGET, DMGET and DASOF: a document now or at a point. */
#include "modules/doc/doc.h"

struct read_options {
    slice path[DOC_PATHS_MAX];
    size_t n_paths;
    bool has_at, with_meta;
    struct doc_place at;
    int64_t valid_at;
};

static bool parse_valid_at(struct call *c, int i, struct read_options *o)
{
    if (i + 1 >= c->argc) {
        reply_syntax(c);
        return false;
    }
    if (!doc_parse_instant(c->argv[i + 1], KS_ANY_VALID, &o->valid_at) || o->valid_at == KS_ANY_VALID) {
        reply_error(c, "BADVALID VALIDAT takes Unix milliseconds or ISO 8601");
        return false;
    }
    return true;
}

/* A transaction reads what it wrote: `head` is the present then, as the log does not have it yet. */
static bool now_in_tx(const struct call *c, slice point)
{
    return doc_tx_wrote(c) && slice_is(point, "head");
}

/* [path…] [ASOF point] [VALIDAT t] [WITHMETA] from argv[i] on; DASOF has its point already. */
static bool parse_read(struct call *c, int i, bool takes_asof, struct read_options *o)
{
    struct doc_words met = {0};
    o->n_paths = 0;
    o->has_at = o->with_meta = false;
    o->valid_at = KS_ANY_VALID;
    while (i < c->argc) {
        bool option = (takes_asof && arg_is(c, i, "ASOF")) || arg_is(c, i, "VALIDAT") || arg_is(c, i, "WITHMETA");
        if (option && !doc_stands_once(c, &met, i)) return false;
        if (takes_asof && arg_is(c, i, "ASOF")) {
            if (i + 1 >= c->argc) {
                reply_syntax(c);
                return false;
            }
            o->has_at = !now_in_tx(c, c->argv[i + 1]);
            if (o->has_at && !doc_point(c, c->argv[i + 1], &o->at)) return false;
            i += 2;
        } else if (arg_is(c, i, "VALIDAT")) {
            if (!parse_valid_at(c, i, o)) return false;
            i += 2;
        } else if (arg_is(c, i, "WITHMETA")) {
            o->with_meta = true;
            i++;
        } else if (o->n_paths < DOC_PATHS_MAX) {
            o->path[o->n_paths++] = c->argv[i++];
        } else {
            reply_error(c, "TOOBIG a read takes at most %d paths", DOC_PATHS_MAX);
            return false;
        }
    }
    return doc_check_paths(c, o->path, o->n_paths);
}

/* The JSON text that WITHMETA shows as data: the value of one path, or an array of several. */
static slice picked(const struct read_options *o, slice json, struct buf *mem)
{
    struct json_path path;
    slice value;
    if (o->n_paths == 0) return json;
    if (o->n_paths > 1) buf_add_byte(mem, '[');
    for (size_t i = 0; i < o->n_paths; i++) {
        if (i) buf_add_byte(mem, ',');
        bool found = json_path_parse(o->path[i], &path) == E_OK && json_find(json, &path, &value) == E_OK;
        buf_add_slice(mem, found ? value : slice_str("null"));
    }
    if (o->n_paths > 1) buf_add_byte(mem, ']');
    return buf_slice(mem);
}

static void reply_with_meta(struct call *c, const struct read_options *o, const struct ks_value *value)
{
    struct doc_view v = {0};
    struct buf mem = {0};
    int r = doc_view_load(c, value->seq, &v);
    if (r == E_NOTFOUND) {
        doc_reply_unlogged(c);
    } else if (r != E_OK) {
        reply_failure(c, r);
    } else {
        struct doc_data data = {true, true, value->type == TYPE_DOCUMENT ? picked(o, value->blob, &mem) : value->blob};
        doc_reply_map(c, &v, &data);
    }
    buf_fini(&mem);
    doc_view_fini(&v);
}

static void reply_value(struct call *c, const struct read_options *o, const struct ks_value *v)
{
    if (o->with_meta)
        reply_with_meta(c, o, v);
    else if (v->type == TYPE_DOCUMENT)
        doc_reply_paths(c, v->blob, o->path, o->n_paths);
    else
        reply_bulk(c, v->blob);
}

/* Reads at a point and replies; any_type: DASOF serves every family. */
static void reply_at(struct call *c, slice key, const struct read_options *o, bool any_type)
{
    struct buf mem = {0};
    struct ks_value v;
    int r = ks_get_at(&c->ks, key, o->at.seq, o->valid_at, &mem, &v);
    if (r == E_OK && doc_expired(&o->at, v.expire_ms)) r = E_NOTFOUND;
    if (r == E_OK && v.type != TYPE_DOCUMENT && !(any_type && v.type == TYPE_STRING && o->n_paths == 0))
        reply_wrongtype(c);
    else if (r == E_OK)
        reply_value(c, o, &v);
    else if (r == E_NOTFOUND)
        reply_null(c);
    else if (r == E_PRUNED)
        doc_reply_pruned(c, key, v.seq);
    else
        reply_failure(c, r);
    buf_fini(&mem);
}

static void reply_now(struct call *c, const struct read_options *o, bool any_type)
{
    struct ks_value v;
    int r = ks_get(&c->ks, c->argv[1], &v);
    if (r == E_NOTFOUND)
        reply_null(c);
    else if (r != E_OK)
        reply_failure(c, r);
    else if (v.type != TYPE_DOCUMENT && !(any_type && v.type == TYPE_STRING && o->n_paths == 0))
        reply_wrongtype(c);
    else
        reply_value(c, o, &v);
}

void cmd_dget(struct call *c)
{
    struct read_options o;
    if (c->argc == 2) {
        o.n_paths = 0;
        o.with_meta = o.has_at = false;
        o.valid_at = KS_ANY_VALID;
    } else if (!parse_read(c, 2, true, &o)) {
        return;
    }
    if (o.valid_at != KS_ANY_VALID && !o.has_at) {
        if (!doc_point(c, slice_str("head"), &o.at)) return;
        o.has_at = true;
    }
    if (o.has_at) {
        reply_at(c, c->argv[1], &o, false);
        return;
    }
    reply_now(c, &o, false);
}

void cmd_dasof(struct call *c)
{
    struct read_options o;
    if (!parse_read(c, 3, false, &o)) return;
    if (now_in_tx(c, c->argv[2]) && o.valid_at == KS_ANY_VALID)
        reply_now(c, &o, true);
    else if (doc_point(c, c->argv[2], &o.at))
        reply_at(c, c->argv[1], &o, true);
}

static void reply_present_or_null(struct call *c, slice key)
{
    struct ks_value v;
    int r = ks_get(&c->ks, key, &v);
    if (r == E_OK && v.type == TYPE_DOCUMENT)
        reply_bulk(c, v.blob);
    else if (r == E_OK || r == E_NOTFOUND)
        reply_null(c);
    else
        reply_failure(c, r); /* in its place: the other keys are still answered */
}

static void reply_past_or_null(struct call *c, slice key, const struct doc_place *at)
{
    struct buf mem = {0};
    struct ks_value v;
    int r = ks_get_at(&c->ks, key, at->seq, KS_ANY_VALID, &mem, &v);
    if (r == E_OK && doc_expired(at, v.expire_ms)) r = E_NOTFOUND;
    if (r == E_OK && v.type == TYPE_DOCUMENT)
        reply_bulk(c, v.blob);
    else if (r == E_OK || r == E_NOTFOUND)
        reply_null(c);
    else if (r == E_PRUNED)
        doc_reply_pruned(c, key, v.seq);
    else
        reply_failure(c, r);
    buf_fini(&mem);
}

void cmd_dmget(struct call *c)
{
    int64_t n;
    struct doc_place at = {.seq = DOC_NOW};
    if (!arg_range(c, 1, 1, DOC_COUNT_MAX, &n)) return;
    int end = 2 + (int)n;
    if (c->argc != end && !(c->argc == end + 2 && arg_is(c, end, "ASOF"))) {
        reply_syntax(c);
        return;
    }
    if (c->argc == end + 2 && !now_in_tx(c, c->argv[end + 1]) && !doc_point(c, c->argv[end + 1], &at)) return;
    reply_array(c, (size_t)n);
    for (int i = 2; i < end; i++) {
        if (at.seq == DOC_NOW)
            reply_present_or_null(c, c->argv[i]);
        else
            reply_past_or_null(c, c->argv[i], &at);
    }
}
