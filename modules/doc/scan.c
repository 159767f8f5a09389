/* DSCAN and DCOLLS: documents in key order, at one point.
 *
 * A cursor is text: the pinned seq, the pinned instant (for expiry; 0 = that of the seq) and the last key in hex. It says everything, so the server keeps nothing, and every
 * document that is there at the pinned seq comes exactly once, however long the client takes. */
#include "modules/doc/doc.h"

#define CLOCK_ROWS 16 /* between two looks at the clock */
#define TURN_US    1000

/* Arguments move when the call waits, so nothing of them is kept. */
struct scan {
    struct doc_place at;
    uint64_t count, examined;
    bool has_coll, has_prefix, with_data, has_at;
    bool last;        /* no document is behind the page */
    int match_at;     /* the argument that holds the pattern, 0 = none */
    struct buf prefix; /* with COLL: the collection, and a colon unless it is the empty one */
    struct buf after; /* last key looked at, of the page before at first */
    struct doc_cursor *cur;
    struct reply_pile *pile;
    size_t n;
    struct buf mem;
    uint64_t oldest;  /* behind E_PRUNED: of the key in after */
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
        buf_clear(&s->prefix);
        buf_add_slice(&s->prefix, v);
        if (v.n) buf_add_byte(&s->prefix, ':');
    } else if (arg_is(c, *i, "PREFIX") && !s->has_coll) {
        s->has_prefix = true;
        buf_clear(&s->prefix);
        buf_add_slice(&s->prefix, v);
    } else if (arg_is(c, *i, "MATCH")) {
        s->match_at = *i + 1;
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

static bool wanted(struct call *c, const struct scan *s, slice key)
{
    slice coll = buf_slice(&s->prefix);
    if (coll.n) coll.n--; /* the colon */
    if (s->has_coll && !slice_eq(doc_collection(key), coll)) return false;
    return s->match_at == 0 || glob_match(c->argv[s->match_at], key, false);
}

/* The key in s->after, when it stands. */
static int add_row(struct call *c, struct scan *s)
{
    struct ks_value v;
    slice key = buf_slice(&s->after);
    int r = ks_get_at(&c->ks, key, s->at.seq, KS_ANY_VALID, &s->mem, &v);
    if (r == E_PRUNED) s->oldest = v.seq;
    if (r != E_OK) return r == E_NOTFOUND ? E_OK : r;
    if (doc_expired(&s->at, v.expire_ms) || v.type != TYPE_DOCUMENT) return E_OK;
    if (s->with_data) reply_array(c, 2);
    reply_bulk(c, key);
    if (s->with_data) reply_bulk(c, v.blob);
    s->n++;
    return E_OK;
}

/* Some of a page. E_OK: more may follow it; E_END: it is the last; E_AGAIN: the turn is over. */
static int pile_some(struct call *c, struct scan *s)
{
    struct os *os = engine_os(doc_engine(c));
    uint64_t until_us = os_mono_us(os) + TURN_US;
    slice key;
    int r = E_OK;
    reply_pile_begin(c, s->pile);
    while (r == E_OK && s->examined < s->count) {
        r = doc_cursor_next(s->cur, &key);
        if (r != E_OK) break;
        s->examined++;
        buf_clear(&s->after);
        buf_add_slice(&s->after, key);
        if (wanted(c, s, key)) r = add_row(c, s);
        if (r == E_OK && s->examined % CLOCK_ROWS == 0 && os_mono_us(os) >= until_us) r = E_AGAIN;
    }
    reply_pile_end(c, s->pile);
    return r;
}

static void reply_page(struct call *c, const struct scan *s)
{
    struct buf cursor = {0};
    reply_array(c, 2);
    if (s->last) {
        reply_str(c, "0");
    } else {
        buf_printf(&cursor, "%llu:%llu:", (unsigned long long)s->at.seq, (unsigned long long)s->at.ms);
        for (size_t i = 0; i < s->after.n; i++) buf_printf(&cursor, "%02x", s->after.p[i]);
        reply_bulk(c, buf_slice(&cursor));
    }
    reply_array(c, s->n);
    reply_pile_give(c, s->pile);
    buf_fini(&cursor);
}

/* True when it has replied. */
static bool scan_step(struct call *c, void *state)
{
    struct scan *s = state;
    int r = E_OK;
    while ((r = pile_some(c, s)) == E_AGAIN)
        if (!c->in_multi) return false;
    if (r == E_PRUNED) {
        doc_reply_pruned(c, buf_slice(&s->after), s->oldest);
        return true;
    }
    if (r != E_OK && r != E_END) {
        reply_failure(c, r);
        return true;
    }
    s->last |= r == E_END;
    reply_page(c, s);
    return true;
}

static void scan_drop(void *state)
{
    struct scan *s = state;
    doc_cursor_close(&s->cur);
    reply_pile_free(&s->pile);
    buf_fini(&s->after);
    buf_fini(&s->prefix);
    buf_fini(&s->mem);
    mem_free(s);
}

static int scan_open(struct call *c, struct scan *s)
{
    struct db_view db;
    s->pile = reply_pile_new();
    engine_db_at(doc_engine(c), c->ks.db, s->at.seq, &db);
    return engine_docs(doc_engine(c), db.lineage, buf_slice(&s->prefix), buf_slice(&s->after), s->at.seq, &s->cur);
}

void cmd_dscan(struct call *c)
{
    struct scan *s = mem_zalloc(sizeof *s);
    if (parse_scan(c, s) && doc_list_readable(c, buf_slice(&s->prefix), buf_slice(&s->prefix), s->at.seq)) {
        int r = scan_open(c, s);
        if (r == E_PRUNED)
            doc_refuse_list(c, buf_slice(&s->prefix), buf_slice(&s->prefix), s->at.seq);
        else if (r != E_OK)
            reply_failure(c, r);
        else if (!scan_step(c, s))
            return call_later(c, LATER_TURN, scan_step, scan_drop, s);
    }
    scan_drop(s);
}

/* ---- DCOLLS ---- */
struct colls {
    struct coll_cursor *cur;
    struct reply_pile *pile;
    uint64_t at;
    uint16_t lineage;
    size_t n;
};

static int count_one(void *ctx, const struct sorted_info *i)
{
    (void)i;
    ++*(int64_t *)ctx;
    return E_OK;
}

static int reply_coll(struct call *c, struct colls *k, slice coll, const struct coll_counts *n)
{
    int64_t indexes = 0;
    int r = engine_sorted_list(doc_engine(c), k->lineage, &coll, count_one, &indexes);
    if (r != E_OK) return r;
    reply_map(c, 5);
    reply_str(c, "coll"), reply_bulk(c, coll);
    reply_str(c, "docs"), reply_int(c, (int64_t)n->docs);
    reply_str(c, "versions"), reply_int(c, (int64_t)n->versions);
    reply_str(c, "bytes"), reply_int(c, (int64_t)n->bytes);
    reply_str(c, "indexes"), reply_int(c, indexes);
    k->n++;
    return E_OK;
}

static void reply_colls_failure(struct call *c, const struct colls *k, int r)
{
    if (r == E_PRUNED)
        doc_refuse_colls(c, k->at);
    else
        reply_failure(c, r);
}

/* Some rows. E_END: that were all; E_AGAIN: the turn is over. */
static int pile_colls(struct call *c, struct colls *k)
{
    struct coll_counts n;
    slice coll;
    int r = E_OK;
    reply_pile_begin(c, k->pile);
    for (size_t i = 0; i < DOC_SLICE_ROWS && r == E_OK; i++) {
        r = coll_cursor_next(k->cur, &coll, &n);
        if (r == E_OK) r = reply_coll(c, k, coll, &n);
    }
    if (r != E_OK && r != E_END && r != E_AGAIN && k->n > 0) { /* a list that is not whole says so in its last element */
        reply_colls_failure(c, k, r);
        k->n++;
        r = E_END;
    }
    reply_pile_end(c, k->pile);
    return r == E_OK ? E_AGAIN : r;
}

/* True when it has replied. */
static bool colls_step(struct call *c, void *state)
{
    struct colls *k = state;
    int r = E_OK;
    while ((r = pile_colls(c, k)) == E_AGAIN)
        if (!c->in_multi) return false;
    if (r != E_OK && r != E_END) {
        reply_colls_failure(c, k, r);
        return true;
    }
    reply_array(c, k->n);
    reply_pile_give(c, k->pile);
    return true;
}

static void colls_drop(void *state)
{
    struct colls *k = state;
    coll_cursor_close(&k->cur);
    reply_pile_free(&k->pile);
    mem_free(k);
}

static void run_colls(struct call *c, uint64_t at)
{
    struct db_view db;
    struct colls *k = mem_zalloc(sizeof *k);
    engine_db_at(doc_engine(c), c->ks.db, at, &db);
    k->at = at;
    k->lineage = db.lineage;
    k->pile = reply_pile_new();
    int r = engine_collections_at(doc_engine(c), db.lineage, at, &k->cur);
    if (r != E_OK)
        reply_colls_failure(c, k, r);
    else if (!colls_step(c, k))
        return call_later(c, LATER_TURN, colls_step, colls_drop, k);
    colls_drop(k);
}

void cmd_dcolls(struct call *c)
{
    uint64_t at = DOC_NEWEST(c);
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
    if (r != E_OK)
        reply_failure(c, r);
    else
        run_colls(c, at);
}
