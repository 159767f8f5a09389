/* DLINK, DUNLINK and DLINKS: named links between documents, with versions of their own. */
#include "modules/doc/doc.h"

/* The newest version of a link when it stands (not unlinked, not flushed). E_NOTFOUND. */
static int standing_link(struct call *c, slice key, struct version *v)
{
    struct db_view db = ks_db(&c->ks, c->ks.db);
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = engine_find(doc_engine(c), SPACE_LINK, db.lineage, key, UINT64_MAX, FIND_ALL, v);
    if (r == E_PRUNED || (r == E_OK && (v->op != NODE_PUT || v->seq <= db.flushed))) r = E_NOTFOUND;
    return r;
}

static bool need_document(struct call *c, slice key)
{
    struct ks_value v;
    int r = ks_stat(&c->ks, key, false, &v);
    if (r == E_OK && v.type == TYPE_DOCUMENT) return true;
    if (r == E_OK)
        reply_wrongtype(c);
    else if (r == E_NOTFOUND)
        reply_error(c, "NOKEY no such document '%.*s'", (int)(key.n > 200 ? 200 : key.n), (const char *)key.p);
    else
        reply_failure(c, r);
    return false;
}

/* Does the standing link say exactly what is asked for? 1, 0, or <0. */
static int same_link(struct call *c, uint64_t seq, const struct doc_options *o)
{
    struct buf mem = {0};
    struct node n;
    int r = engine_read(doc_engine(c), seq, &mem, &n);
    if (r == E_OK)
        r = slice_eq(n.payload, o->props) && n.has_valid == o->write.has_valid &&
            (!n.has_valid || (n.valid_from == o->write.valid_from && n.valid_to == o->write.valid_to));
    buf_fini(&mem);
    return r;
}

static void put_link(struct call *c, slice key, struct doc_options *o)
{
    struct version v;
    /* Within a transaction the log does not know yet what it wrote before: a version more is right, one less is not. */
    int r = ks_in_batch(&c->ks) ? E_NOTFOUND : standing_link(c, key, &v);
    if (r == E_OK) r = same_link(c, v.seq, o);
    if (r == 1) {
        (void)doc_reply_written(c, v.seq);
        return;
    }
    if (r == E_OK || r == E_NOTFOUND) r = ks_put_thing(&c->ks, SPACE_LINK, key, o->props, &o->write);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    notify_dirty(c, 1);
    doc_reply_pair(c, o->receipt.seq, o->receipt.hash);
}

void cmd_dlink(struct call *c)
{
    struct doc_options o;
    struct buf key = {0};
    if (!doc_options_parse(c, 4, DOC_OPT_PROPS | DOC_OPT_VALID, &o)) return;
    if (c->argv[2].n == 0 || c->argv[2].n > 255) {
        reply_error(c, "TOOBIG a relation's name takes 1 to 255 bytes");
        return;
    }
    if (doc_answered_before(c, o.write.idem)) return;
    if (!need_document(c, c->argv[1]) || !need_document(c, c->argv[3])) return;
    link_key(&key, c->argv[1], c->argv[2], c->argv[3]);
    if (key.n > NODE_KEY_MAX)
        reply_failure(c, E_TOOBIG);
    else
        put_link(c, buf_slice(&key), &o);
    buf_fini(&key);
}

void cmd_dunlink(struct call *c)
{
    struct buf key = {0};
    link_key(&key, c->argv[1], c->argv[2], c->argv[3]);
    int r = key.n > NODE_KEY_MAX ? E_NOTFOUND : ks_delete_thing(&c->ks, SPACE_LINK, buf_slice(&key), NULL);
    if (r == E_OK) notify_dirty(c, 1);
    if (r == E_OK || r == E_NOTFOUND)
        reply_int(c, r == E_OK);
    else
        reply_failure(c, r);
    buf_fini(&key);
}

/* ---- DLINKS ----
 * The cursor is text: pinned seq, direction in use, number of the relation in use, position in hex. */
struct links {
    bool out, in;
    int first_rel, n_rels; /* argv positions; 0 = every relation */
    struct doc_place at;
    uint64_t count;
    int direction, rel; /* where the walk is */
    struct buf after;
    struct buf seqs; /* of the page's links */
    size_t rows;
    uint64_t oldest;            /* after E_PRUNED */
    bool pinned, more;
};

/* Takes the number before the next colon. */
static bool take_number(slice *rest, uint64_t max, uint64_t *out)
{
    const uint8_t *colon = rest->n ? memchr(rest->p, ':', rest->n) : NULL;
    if (colon == NULL) return false;
    slice number = {rest->p, (size_t)(colon - rest->p)};
    *rest = (slice){colon + 1, rest->n - number.n - 1};
    return num_parse_u64(number, out) && *out <= max;
}

static bool bad_links_cursor(struct call *c)
{
    reply_error(c, "BADCURSOR a cursor is 0 or what DLINKS returned for the same key and relations");
    return false;
}

static bool parse_links_cursor(struct call *c, slice text, struct links *l)
{
    uint64_t direction, rel;
    slice rest = text;
    if (text.n == 1 && text.p[0] == '0') return true;
    bool ok = take_number(&rest, UINT64_MAX, &l->at.seq) && take_number(&rest, 1, &direction) && take_number(&rest, 1000, &rel) &&
              rest.n % 2 == 0;
    uint8_t *out = buf_reserve(&l->after, rest.n / 2 + 1);
    if (!ok || !hex_decode(out, (const char *)rest.p, rest.n / 2) || !doc_place_known(c, &l->at)) return bad_links_cursor(c);
    l->after.n = rest.n / 2;
    l->direction = (int)direction;
    l->rel = (int)rel;
    l->pinned = true;
    return true;
}

static bool parse_rels(struct call *c, int *i, struct links *l)
{
    int64_t n;
    if (*i + 1 >= c->argc) {
        reply_syntax(c);
        return false;
    }
    if (!arg_range(c, *i + 1, 1, 1000, &n)) return false;
    if (*i + 1 + n >= c->argc) {
        reply_syntax(c);
        return false;
    }
    l->first_rel = *i + 2;
    l->n_rels = (int)n;
    *i += 1 + (int)n;
    return true;
}

static bool parse_links(struct call *c, struct links *l)
{
    slice at = slice_str("head"), cursor = slice_str("0");
    l->out = true;
    l->count = 100;
    for (int i = 2; i < c->argc; i++) {
        bool value = i + 1 < c->argc;
        if (arg_is(c, i, "OUT")) {
            l->out = true, l->in = false;
        } else if (arg_is(c, i, "IN")) {
            l->out = false, l->in = true;
        } else if (arg_is(c, i, "BOTH")) {
            l->out = l->in = true;
        } else if (arg_is(c, i, "REL")) {
            if (!parse_rels(c, &i, l)) return false;
        } else if (value && arg_is(c, i, "ASOF")) {
            at = c->argv[++i];
        } else if (value && arg_is(c, i, "CURSOR")) {
            cursor = c->argv[++i];
        } else if (value && arg_is(c, i, "COUNT")) {
            if (!doc_count(c, c->argv[++i], &l->count)) return false;
        } else {
            reply_syntax(c);
            return false;
        }
    }
    l->direction = l->out ? 0 : 1;
    return parse_links_cursor(c, cursor, l) && (l->pinned || doc_point(c, at, &l->at));
}

static void reply_link(struct call *c, uint64_t seq)
{
    struct buf mem = {0};
    struct node n;
    slice from, rel, to;
    uint8_t hash[HASH_BYTES];
    int r = engine_read(doc_engine(c), seq, &mem, &n);
    if (r == E_OK) r = engine_hash(doc_engine(c), seq, hash);
    if (r == E_OK) r = link_key_parse(n.key, &from, &rel, &to);
    if (r != E_OK) {
        reply_failure(c, r); /* in its place: the other links are still answered */
    } else {
        reply_map(c, 6);
        reply_str(c, "from"), reply_bulk(c, from);
        reply_str(c, "rel"), reply_bulk(c, rel);
        reply_str(c, "to"), reply_bulk(c, to);
        reply_str(c, "seq"), reply_int(c, (int64_t)seq);
        reply_str(c, "hash"), doc_reply_hash(c, hash);
        reply_str(c, "props");
        if (n.payload.n)
            reply_bulk(c, n.payload);
        else
            reply_null(c);
    }
    buf_fini(&mem);
}

/* Is the relation in use named before, or empty, which no link has? */
static bool rel_is_done(struct call *c, const struct links *l)
{
    const slice *rels = c->argv + l->first_rel;
    if (l->n_rels == 0) return false;
    for (int i = 0; i < l->rel; i++)
        if (slice_eq(rels[i], rels[l->rel])) return true;
    return rels[l->rel].n == 0;
}

/* Links of one direction and relation. Leaves l->more when the page is full. */
static int walk_one(struct call *c, struct links *l, const struct db_view *db)
{
    struct link_cursor *cur = NULL;
    struct link k;
    slice rel = l->n_rels ? c->argv[l->first_rel + l->rel] : (slice){0};
    enum link_direction d = l->direction == 0 ? LINK_OUT : LINK_IN;
    int r = engine_links(doc_engine(c), db->lineage, c->argv[1], d, rel, l->at.seq, buf_slice(&l->after), &cur);
    while (r == E_OK && ((r = link_cursor_next(cur, &k)) == E_OK || r == E_AGAIN)) {
        if (r == E_AGAIN) {
            r = E_OK;
            continue;
        }
        if (k.seq <= db->flushed) continue;
        if (l->out && d == LINK_IN && slice_eq(k.from, k.to)) continue; /* seen among those that go out */
        if (l->rows == l->count) {
            l->more = true;
            break;
        }
        buf_add(&l->seqs, &k.seq, sizeof k.seq);
        l->rows++;
        slice at = link_cursor_at(cur);
        buf_clear(&l->after);
        buf_add_slice(&l->after, at);
    }
    if (r == E_PRUNED) l->oldest = link_cursor_oldest(cur);
    link_cursor_close(&cur);
    return r == E_END ? E_OK : r;
}

static int walk_links(struct call *c, struct links *l, const struct db_view *db)
{
    int last = l->in ? 1 : 0;
    for (; l->direction <= last; l->direction++, l->rel = 0) {
        do {
            int r = rel_is_done(c, l) ? E_OK : walk_one(c, l, db);
            if (r != E_OK || l->more) return r;
            buf_clear(&l->after);
        } while (++l->rel < l->n_rels);
    }
    return E_OK;
}

static void reply_links_cursor(struct call *c, const struct links *l)
{
    struct buf b = {0};
    if (l->more) {
        buf_printf(&b, "%llu:%d:%d:", (unsigned long long)l->at.seq, l->direction, l->rel);
        for (size_t i = 0; i < l->after.n; i++) buf_printf(&b, "%02x", l->after.p[i]);
    } else {
        buf_add_str(&b, "0");
    }
    reply_bulk(c, buf_slice(&b));
    buf_fini(&b);
}

void cmd_dlinks(struct call *c)
{
    struct links l = {0};
    struct db_view db;
    if (!parse_links(c, &l)) {
        buf_fini(&l.after);
        return;
    }
    if ((l.rel > 0 && l.rel >= l.n_rels) || (l.direction == 1 && !l.in) || (l.pinned && l.direction == 0 && !l.out)) {
        bad_links_cursor(c);
        buf_fini(&l.after);
        return;
    }
    engine_db_at(doc_engine(c), c->ks.db, l.at.seq, &db);
    int r = walk_links(c, &l, &db);
    if (r == E_OK) {
        reply_array(c, 2);
        reply_links_cursor(c, &l);
        reply_array(c, l.rows);
        for (size_t i = 0; i < l.rows; i++) reply_link(c, get_u64(l.seqs.p + i * 8));
    } else if (r == E_INVALID) {
        bad_links_cursor(c);
    } else if (r == E_PRUNED) {
        doc_reply_pruned(c, c->argv[1], l.oldest);
    } else {
        reply_failure(c, r);
    }
    buf_fini(&l.seqs);
    buf_fini(&l.after);
}
