/* DSCAN and DCOLLS: documents in key order, at one point.
 *
 * A cursor is text: the pinned seq, the pinned instant (for expiry; 0 = that of the seq) and the last key in hex. It says everything, so the server keeps nothing, and every
 * document that is there at the pinned seq comes exactly once, however long the client takes. */
#include "modules/doc/rows.h"

struct scan {
    struct doc_place at;
    uint64_t count;
    bool has_coll, has_prefix, has_match, with_data, has_at;
    slice coll, match;
    struct buf prefix;
    struct buf after; /* last key of the page before */
};

static bool bad_cursor(struct call *c)
{
    reply_error(c, "BADCURSOR a cursor is 0 or what DSCAN returned");
    return false;
}

static bool parse_cursor(struct call *c, slice text, struct scan *s)
{
    if (text.n == 1 && text.p[0] == '0') return true;
    const uint8_t *first = text.n ? memchr(text.p, ':', text.n) : NULL;
    const uint8_t *end = text.p + text.n;
    const uint8_t *second = first ? memchr(first + 1, ':', (size_t)(end - first) - 1) : NULL;
    if (second == NULL) return bad_cursor(c);
    slice seq = {text.p, (size_t)(first - text.p)}, ms = {first + 1, (size_t)(second - first) - 1};
    slice hex = {second + 1, (size_t)(end - second) - 1};
    if (!num_parse_u64(seq, &s->at.seq) || !num_parse_u64(ms, &s->at.ms) || hex.n % 2) return bad_cursor(c);
    uint8_t *out = buf_reserve(&s->after, hex.n / 2 + 1);
    if (!hex_decode(out, (const char *)hex.p, hex.n / 2) || !doc_place_known(c, &s->at)) return bad_cursor(c);
    s->after.n = hex.n / 2;
    s->has_at = true;
    return true;
}

static bool parse_option(struct call *c, int *i, struct scan *s, slice *at_text)
{
    if (arg_is(c, *i, "WITHDATA")) {
        s->with_data = true;
        return true;
    }
    if (*i + 1 >= c->argc) return false;
    slice v = c->argv[*i + 1];
    if (arg_is(c, *i, "COLL") && !s->has_prefix) {
        s->has_coll = true;
        s->coll = v;
        buf_clear(&s->prefix);
        buf_add_slice(&s->prefix, v);
        if (v.n) buf_add_byte(&s->prefix, ':');
    } else if (arg_is(c, *i, "PREFIX") && !s->has_coll) {
        s->has_prefix = true;
        buf_clear(&s->prefix);
        buf_add_slice(&s->prefix, v);
    } else if (arg_is(c, *i, "MATCH")) {
        s->has_match = true;
        s->match = v;
    } else if (arg_is(c, *i, "ASOF")) {
        *at_text = v;
    } else {
        return false;
    }
    (*i)++;
    return true;
}

static bool parse_scan(struct call *c, struct scan *s)
{
    slice at_text = {0};
    struct doc_words met = {0};
    s->count = 10;
    if (!parse_cursor(c, c->argv[1], s)) return false;
    for (int i = 2; i < c->argc; i++) {
        if (!doc_stands_once(c, &met, i)) return false;
        if (i + 1 < c->argc && arg_is(c, i, "COUNT")) {
            if (!doc_count(c, c->argv[++i], &s->count)) return false;
        } else if (!parse_option(c, &i, s, &at_text)) {
            reply_syntax(c);
            return false;
        }
    }
    if (s->has_at) return true; /* a page after the first is pinned, whatever ASOF says */
    return doc_point(c, at_text.p ? at_text : slice_str("head"), &s->at);
}

/* Below the store's horizon documents that are gone may be forgotten: a list would leave them out in silence. */
static bool is_readable(struct call *c, uint64_t at, slice what)
{
    struct engine_horizons h;
    engine_get_horizons(doc_engine(c), &h);
    if (at >= h.documents) return true;
    doc_reply_pruned(c, what.n ? what : slice_str("*"), h.documents);
    return false;
}

static bool wanted(const struct scan *s, slice key)
{
    if (s->has_coll && !slice_eq(doc_collection(key), s->coll)) return false;
    if (s->has_coll && s->coll.n == 0 && key.n && memchr(key.p, ':', key.n)) return false;
    return !s->has_match || glob_match(s->match, key, false);
}

/* One page. E_OK: more may follow; E_END: that was the last. */
static int gather(struct call *c, struct scan *s, struct doc_cursor *cur, struct rows *rows, slice *pruned_key, uint64_t *oldest)
{
    struct buf mem = {0};
    struct ks_value v;
    slice key;
    uint64_t examined = 0;
    int r = E_OK;
    while (r == E_OK && examined < s->count) {
        r = doc_cursor_next(cur, &key);
        if (r != E_OK) break;
        examined++;
        buf_clear(&s->after);
        buf_add_slice(&s->after, key);
        if (!wanted(s, key)) continue;
        int got = ks_get_at(&c->ks, buf_slice(&s->after), s->at.seq, KS_ANY_VALID, &mem, &v);
        if (got == E_OK && doc_expired(&s->at, v.expire_ms)) got = E_NOTFOUND;
        if (got == E_OK && v.type == TYPE_DOCUMENT) rows_add(rows, buf_slice(&s->after), s->with_data ? v.blob : (slice){0});
        if (got == E_PRUNED) *pruned_key = buf_slice(&s->after), *oldest = v.seq;
        if (got != E_OK && got != E_NOTFOUND) r = got;
    }
    buf_fini(&mem);
    return r;
}

static void reply_page(struct call *c, const struct scan *s, const struct rows *rows, bool last)
{
    struct buf cursor = {0};
    reply_array(c, 2);
    if (last) {
        reply_str(c, "0");
    } else {
        buf_printf(&cursor, "%llu:%llu:", (unsigned long long)s->at.seq, (unsigned long long)s->at.ms);
        for (size_t i = 0; i < s->after.n; i++) buf_printf(&cursor, "%02x", s->after.p[i]);
        reply_bulk(c, buf_slice(&cursor));
    }
    rows_reply(c, rows, s->with_data);
    buf_fini(&cursor);
}

void cmd_dscan(struct call *c)
{
    struct scan s = {0};
    struct rows rows = {0};
    struct doc_cursor *cur = NULL;
    struct db_view db;
    slice pruned_key = {0};
    uint64_t oldest = 0;
    struct buf after = {0};
    if (parse_scan(c, &s) && is_readable(c, s.at.seq, buf_slice(&s.prefix))) {
        engine_db_at(doc_engine(c), c->ks.db, s.at.seq, &db);
        buf_add_slice(&after, buf_slice(&s.after));
        int r = engine_docs(doc_engine(c), db.lineage, buf_slice(&s.prefix), buf_slice(&after), s.at.seq, &cur);
        if (r == E_OK) r = gather(c, &s, cur, &rows, &pruned_key, &oldest);
        if (r == E_OK || r == E_END)
            reply_page(c, &s, &rows, r == E_END);
        else if (r == E_PRUNED)
            doc_reply_pruned(c, pruned_key, oldest);
        else
            reply_failure(c, r);
    }
    doc_cursor_close(&cur);
    rows_fini(&rows);
    buf_fini(&after);
    buf_fini(&s.after);
    buf_fini(&s.prefix);
}

/* ---- DCOLLS ---- */
struct colls {
    struct call *c;
    uint16_t lineage;
    size_t n;
};

static int count_one(void *ctx, const struct sorted_info *i)
{
    (void)i;
    ++*(int64_t *)ctx;
    return E_OK;
}

static int reply_coll(void *ctx, slice coll, const struct coll_counts *n)
{
    struct colls *k = ctx;
    int64_t indexes = 0;
    int r = engine_sorted_list(doc_engine(k->c), k->lineage, &coll, count_one, &indexes);
    if (r != E_OK) return r;
    reply_map(k->c, 5);
    reply_str(k->c, "coll"), reply_bulk(k->c, coll);
    reply_str(k->c, "docs"), reply_int(k->c, (int64_t)n->docs);
    reply_str(k->c, "versions"), reply_int(k->c, (int64_t)n->versions);
    reply_str(k->c, "bytes"), reply_int(k->c, (int64_t)n->bytes);
    reply_str(k->c, "indexes"), reply_int(k->c, indexes);
    k->n++;
    return E_OK;
}

void cmd_dcolls(struct call *c)
{
    uint64_t at = DOC_NEWEST(c);
    struct db_view db;
    if (c->argc != 1 && !(c->argc == 3 && arg_is(c, 1, "ASOF"))) {
        reply_syntax(c);
        return;
    }
    if (c->argc == 1 && doc_tx_wrote(c)) {
        doc_refuse_head(c);
        return;
    }
    if (c->argc == 3 && !doc_point_seq(c, c->argv[2], &at)) return;
    int r = engine_catch_up(doc_engine(c), at == DOC_NOW ? 0 : at);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    if (!is_readable(c, at, (slice){0})) return;
    engine_db_at(doc_engine(c), c->ks.db, at, &db);
    struct colls k = {c, db.lineage, 0};
    size_t token = reply_begin(c);
    r = engine_collections(doc_engine(c), db.lineage, at, reply_coll, &k);
    if (r != E_OK) { /* a list that is not whole says so in its last element */
        if (r == E_PRUNED)
            doc_reply_pruned(c, slice_str("*"), engine_horizon(doc_engine(c)));
        else
            reply_failure(c, r);
        if (k.n++ == 0) return;
    }
    reply_end_array(c, token, k.n);
}
