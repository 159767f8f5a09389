/* DINDEX and DTOP: sorted indexes over a field of a collection's documents. */
#include "modules/doc/doc.h"

#define TOP_CLOCK_ROWS 16 /* between two looks at the clock */
#define TOP_TURN_US    1000
#define TURNS_FOR_NAME 8  /* of a document cursor, to name who cannot be read */

/* Name of an index in SPACE_SORTED: varint length of the collection, the collection, the path. */
static void definition_key(struct buf *out, slice coll, slice path)
{
    uint8_t *at = buf_reserve(out, VARINT_MAX);
    out->n = (size_t)(put_varint(at, coll.n) - out->p);
    buf_add_slice(out, coll);
    buf_add_slice(out, doc_plain_path(path));
}

/* The standing definition: E_OK with its kind, or E_NOTFOUND. */
static int standing(struct call *c, slice key, uint8_t *kind)
{
    struct version v;
    struct buf mem = {0};
    struct node n;
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = engine_find(doc_engine(c), SPACE_SORTED, ks_db(&c->ks, c->ks.db).lineage, key, UINT64_MAX, FIND_ALL, &v);
    if (r == E_PRUNED || (r == E_OK && v.op != NODE_PUT)) r = E_NOTFOUND;
    if (r == E_OK) r = engine_read(doc_engine(c), v.seq, &mem, &n);
    if (r == E_OK) *kind = n.payload.n ? n.payload.p[0] : SORTED_ORDERED;
    buf_fini(&mem);
    return r;
}

void cmd_dindex_create(struct call *c)
{
    struct buf key = {0};
    uint8_t kind = SORTED_ORDERED, stands = SORTED_ORDERED;
    slice coll = c->argv[2], path = c->argv[3];
    if (!doc_check_paths(c, &path, 1)) return;
    if (c->argc > 5 || (c->argc == 5 && !arg_is(c, 4, "ORDERED") && !arg_is(c, 4, "TEXT"))) {
        reply_syntax(c);
        return;
    }
    if (c->argc == 5 && arg_is(c, 4, "TEXT")) kind = SORTED_TEXT;
    definition_key(&key, coll, path);
    int r = key.n > NODE_KEY_MAX ? E_TOOBIG : standing(c, buf_slice(&key), &stands);
    if (r == E_OK && ks_in_batch(&c->ks)) { /* the log does not know yet what the transaction did before */
        bool still = false;
        r = ks_has_thing(&c->ks, SPACE_SORTED, buf_slice(&key), &still);
        /* Of the same kind it may be written again: that changes nothing. */
        if (r == E_OK && (!still || stands == kind)) r = E_NOTFOUND;
    }
    if (r == E_OK && stands != kind) {
        reply_error(c, "ERR there is an index of the other kind; DINDEX DROP it first");
    } else if (r == E_OK) { /* it is there already: what was asked for holds */
        reply_ok(c);
    } else if (r == E_NOTFOUND && (r = ks_put_thing(&c->ks, SPACE_SORTED, buf_slice(&key), slice_of(&kind, 1), NULL)) == E_OK) {
        notify_dirty(c, 1);
        reply_ok(c);
    } else {
        reply_failure(c, r);
    }
    buf_fini(&key);
}

void cmd_dindex_drop(struct call *c)
{
    struct buf key = {0};
    definition_key(&key, c->argv[2], c->argv[3]);
    int r = key.n > NODE_KEY_MAX ? E_NOTFOUND : ks_delete_thing(&c->ks, SPACE_SORTED, buf_slice(&key), NULL);
    if (r == E_OK) notify_dirty(c, 1);
    if (r == E_OK || r == E_NOTFOUND)
        reply_int(c, r == E_OK);
    else
        reply_failure(c, r);
    buf_fini(&key);
}

void cmd_dindex_help(struct call *c)
{
    static const char *const lines[] = {
        "DINDEX <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CREATE <coll> <path> [ORDERED|TEXT]",
        "    Defines a sorted index, of values or of words, and builds it beside traffic.",
        "DROP <coll> <path>",
        "    Removes it.",
        "LIST [<coll>]",
        "    Shows the indexes and how far they are built.",
        "WAIT <coll> <path> <milliseconds>",
        "    Waits until it is built; 0 is for ever.",
        "HELP",
        "    Shows this text.",
    };
    size_t n = sizeof lines / sizeof *lines;
    reply_array(c, n);
    for (size_t i = 0; i < n; i++) reply_status(c, lines[i]);
}

struct listing {
    struct call *c;
    size_t n;
};

static int list_one(void *ctx, const struct sorted_info *i)
{
    struct listing *l = ctx;
    struct call *c = l->c;
    reply_map(c, 7);
    reply_str(c, "coll"), reply_bulk(c, i->coll);
    reply_str(c, "path"), reply_bulk(c, i->path);
    reply_str(c, "kind"), reply_str(c, i->kind == SORTED_TEXT ? "text" : "ordered");
    reply_str(c, "state"), reply_str(c, i->ready ? "ready" : "building");
    reply_str(c, "built_pct"), reply_int(c, i->built_pct);
    reply_str(c, "entries"), reply_int(c, (int64_t)i->entries);
    reply_str(c, "bytes"), reply_int(c, (int64_t)i->bytes);
    l->n++;
    return E_OK;
}

void cmd_dindex_list(struct call *c)
{
    if (c->argc > 3) {
        reply_syntax(c);
        return;
    }
    int r = engine_catch_up(doc_engine(c), 0);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    struct listing l = {c, 0};
    size_t token = reply_begin(c);
    r = engine_sorted_list(doc_engine(c), ks_db(&c->ks, c->ks.db).lineage, c->argc > 2 ? &c->argv[2] : NULL, list_one, &l);
    if (r != E_OK) {
        reply_failure(c, r);
        l.n++;
    }
    reply_end_array(c, token, l.n);
}

/* ---- DINDEX WAIT ---- */
struct wait {
    uint64_t until_ms;
};
struct lookup {
    slice path;
    bool found, ready;
    uint8_t kind;
};

static int look_one(void *ctx, const struct sorted_info *i)
{
    struct lookup *l = ctx;
    if (slice_eq(i->path, l->path)) l->found = true, l->ready = i->ready, l->kind = i->kind;
    return E_OK;
}

static int look_up(struct call *c, struct lookup *l)
{
    l->path = doc_plain_path(c->argv[3]);
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = engine_sorted_list(doc_engine(c), ks_db(&c->ks, c->ks.db).lineage, &c->argv[2], look_one, l);
    return r;
}

/* Replies when the index is ready, gone, or time is up. */
static bool wait_step(struct call *c, void *state)
{
    const struct wait *w = state;
    struct lookup l = {0};
    int r = look_up(c, &l);
    if (r != E_OK)
        reply_failure(c, r);
    else if (!l.found)
        reply_error(c, "NOINDEX no index on '%.*s' path '%.*s'", (int)c->argv[2].n, (const char *)c->argv[2].p, (int)c->argv[3].n,
                    (const char *)c->argv[3].p);
    else if (l.ready)
        reply_int(c, 1);
    else if (later_timed_out(c) || (w->until_ms && engine_now_ms(doc_engine(c)) >= w->until_ms))
        reply_int(c, 0);
    else
        return false;
    return true;
}

void cmd_dindex_wait(struct call *c)
{
    int64_t ms;
    if (!arg_range(c, 4, 0, INT64_MAX / 2, &ms)) return;
    struct wait *w = mem_zalloc(sizeof *w);
    w->until_ms = ms ? c->ks.now_ms + (uint64_t)ms : 0;
    if (c->in_multi) w->until_ms = c->ks.now_ms; /* nothing waits inside a transaction */
    if (wait_step(c, w)) {
        mem_free(w);
        return;
    }
    call_later(c, LATER_WAIT, wait_step, mem_free, w);
}

/* ---- DTOP ---- */
struct top {
    struct range_options o;
    struct doc_place at;
    struct range_cursor *cur;
    struct reply_pile *rows;
    struct buf mem;
    uint64_t wanted, n;
};

static bool parse_top(struct call *c, struct top *t)
{
    slice at = slice_str("head");
    t->o.coll = c->argv[1];
    t->o.path = c->argv[2];
    if (!arg_is(c, 3, "ASC") && !arg_is(c, 3, "DESC")) {
        reply_syntax(c);
        return false;
    }
    t->o.descending = arg_is(c, 3, "DESC");
    t->o.path = doc_plain_path(t->o.path);
    if (!doc_check_paths(c, &c->argv[2], 1) || !doc_count(c, c->argv[4], &t->wanted)) return false;
    struct doc_words met = {0};
    for (int i = 5; i < c->argc; i += 2) {
        struct json_fault fault;
        if (!doc_stands_once(c, &met, i)) return false;
        if (i + 1 < c->argc && arg_is(c, i, "ASOF")) {
            at = c->argv[i + 1];
        } else if (i + 1 < c->argc && arg_is(c, i, "AFTER")) {
            struct sorted_bound *from = t->o.descending ? &t->o.high : &t->o.low;
            if (json_check(c->argv[i + 1], &from->json, &fault) != E_OK) {
                doc_badjson(c, &fault);
                return false;
            }
        } else {
            reply_syntax(c);
            return false;
        }
    }
    if (!doc_point(c, at, &t->at)) return false;
    t->o.at = t->at.seq;
    return true;
}

/* One row; a document past its expiry is not there. */
static int add_row(struct call *c, struct top *t, slice key)
{
    struct ks_value v;
    int r = ks_get_at(&c->ks, key, t->o.at, KS_ANY_VALID, &t->mem, &v);
    if (r != E_OK) return r == E_NOTFOUND ? E_OK : r;
    if (v.type != TYPE_DOCUMENT || doc_expired(&t->at, v.expire_ms)) return E_OK;
    reply_array(c, 2);
    reply_bulk(c, key);
    reply_bulk(c, v.blob);
    t->n++;
    return E_OK;
}

/* The document of the collection that cannot be read at the point, when there is one. */
static int find_pruned(struct call *c, const struct top *t, slice prefix, struct buf *key, uint64_t *oldest)
{
    struct doc_cursor *cur = NULL;
    struct ks_value v;
    struct buf mem = {0};
    slice k;
    int r = engine_docs(doc_engine(c), t->o.lineage, prefix, (slice){0}, t->o.at, &cur);
    for (int i = 0, turns = 0; r == E_OK && i < DOC_SLICE_ROWS && turns < TURNS_FOR_NAME; i++) {
        r = doc_cursor_next(cur, &k);
        if (r == E_AGAIN) {
            turns++;
            r = E_OK;
            continue;
        }
        if (r != E_OK) break;
        r = ks_get_at(&c->ks, k, t->o.at, KS_ANY_VALID, &mem, &v);
        if (r == E_PRUNED) {
            buf_add_slice(key, k);
            *oldest = v.seq;
        } else if (r == E_NOTFOUND) {
            r = E_OK;
        }
    }
    doc_cursor_close(&cur);
    buf_fini(&mem);
    return r;
}

/* Where the index can answer. One that was built when versions were gone already may know less than a list of the documents. */
static uint64_t oldest_point(struct call *c, const struct top *t, slice prefix)
{
    struct range_cursor *cur = NULL;
    struct range_options o = t->o;
    struct db_view db;
    o.at = doc_list_oldest(c, prefix, t->o.at);
    engine_db_at(doc_engine(c), c->ks.db, o.at, &db);
    o.lineage = db.lineage;
    int r = engine_range(doc_engine(c), &o, &cur);
    range_cursor_close(&cur);
    return r == E_PRUNED ? engine_horizon(doc_engine(c)) : o.at;
}

static void reply_top_failure(struct call *c, const struct top *t, int r)
{
    struct buf key = {0}, prefix = {0};
    struct engine_horizons h;
    uint64_t oldest = 0;
    engine_get_horizons(doc_engine(c), &h);
    buf_add_slice(&prefix, t->o.coll);
    if (prefix.n) buf_add_byte(&prefix, ':');
    if (r == E_PRUNED && t->o.at >= h.documents && find_pruned(c, t, buf_slice(&prefix), &key, &oldest) == E_PRUNED)
        doc_reply_pruned(c, buf_slice(&key), oldest);
    else if (r == E_PRUNED)
        doc_reply_pruned(c, t->o.coll.n ? t->o.coll : slice_str("*"), oldest_point(c, t, buf_slice(&prefix)));
    else
        reply_failure(c, r);
    buf_fini(&key);
    buf_fini(&prefix);
}

/* Some rows. E_OK, E_END: that were all; E_AGAIN: the turn is over. */
static int pile_rows(struct call *c, struct top *t)
{
    struct os *os = engine_os(doc_engine(c));
    uint64_t until_us = os_mono_us(os) + TOP_TURN_US;
    slice key;
    uint64_t seq;
    int r = E_OK;
    reply_pile_begin(c, t->rows);
    for (size_t i = 1; r == E_OK && t->n < t->wanted; i++) {
        r = range_next(t->cur, &key, &seq);
        if (r == E_OK) r = add_row(c, t, key);
        if (r == E_OK && i % TOP_CLOCK_ROWS == 0 && os_mono_us(os) >= until_us) r = E_AGAIN;
    }
    reply_pile_end(c, t->rows);
    return r;
}

static bool top_step(struct call *c, void *state)
{
    struct top *t = state;
    int r = E_OK;
    t->o.coll = c->argv[1]; /* the arguments move when the call waits */
    while ((r = pile_rows(c, t)) == E_AGAIN)
        if (!c->in_multi) return false;
    if (r != E_OK && r != E_END) {
        reply_top_failure(c, t, r);
        return true;
    }
    reply_array(c, t->n);
    reply_pile_give(c, t->rows);
    return true;
}

static void top_drop(void *state)
{
    struct top *t = state;
    range_cursor_close(&t->cur);
    reply_pile_free(&t->rows);
    buf_fini(&t->mem);
    mem_free(t);
}

/* No ordered index: perhaps there is one of words, beside which no other can be. */
static void reply_no_index(struct call *c, const struct top *t)
{
    struct lookup l = {.path = t->o.path};
    slice coll = t->o.coll, path = t->o.path;
    bool whole = path.n == 1 && path.p[0] == '$';
    int r = engine_sorted_list(doc_engine(c), t->o.lineage, &coll, look_one, &l);
    if (r != E_OK)
        reply_failure(c, r);
    else if (l.found && l.kind == SORTED_TEXT)
        reply_error(c, "NOINDEX the index on %.*s %.*s is of words and has no order; DQUERY 'FROM %.*s SEARCH \"words\"%s%.*s' uses it", (int)coll.n, (const char *)coll.p,
                    (int)path.n, (const char *)path.p, (int)coll.n, (const char *)coll.p, whole ? "" : " IN ", whole ? 0 : (int)path.n, (const char *)path.p);
    else
        reply_error(c, "NOINDEX no such index; DINDEX CREATE %.*s %.*s would help", (int)coll.n, (const char *)coll.p, (int)path.n, (const char *)path.p);
}

void cmd_dtop(struct call *c)
{
    struct db_view db;
    struct top *t = mem_zalloc(sizeof *t);
    if (!parse_top(c, t)) {
        top_drop(t);
        return;
    }
    engine_db_at(doc_engine(c), c->ks.db, t->o.at, &db);
    t->o.lineage = db.lineage;
    t->rows = reply_pile_new();
    int r = engine_range(doc_engine(c), &t->o, &t->cur);
    if (r == E_NOTFOUND) {
        reply_no_index(c, t);
    } else if (r == E_AGAIN) {
        reply_error(c, "NOINDEX the index is still being built; DINDEX WAIT tells when it is ready");
    } else if (r != E_OK) {
        reply_top_failure(c, t, r);
    } else if (!top_step(c, t)) {
        call_later(c, LATER_TURN, top_step, top_drop, t);
        return;
    }
    top_drop(t);
}
