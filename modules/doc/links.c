/* DLINK, DUNLINK and DLINKS: named links between documents, with versions of their own. */
#include "modules/doc/link_walk.h"

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
    bool possible = c->argv[1].n <= NODE_KEY_MAX && c->argv[2].n <= NODE_KEY_MAX && c->argv[3].n <= NODE_KEY_MAX;
    if (possible) link_key(&key, c->argv[1], c->argv[2], c->argv[3]);
    int r = !possible || key.n > NODE_KEY_MAX ? E_NOTFOUND : ks_delete_thing(&c->ks, SPACE_LINK, buf_slice(&key), NULL);
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
    struct link_choice choice;
    struct link_walk walk;
    uint64_t count;
    struct node_maps rows;
    struct buf position; /* behind the newest row */
    int row_direction, row_rel;
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
    const struct link_choice *k = &l->choice;
    link_walk_start(&l->walk, k);
    if (text.n == 1 && text.p[0] == '0') return true;
    bool ok = take_number(&rest, UINT64_MAX, &l->choice.at.seq) && take_number(&rest, 1, &direction) && take_number(&rest, 1000, &rel) &&
              rest.n % 2 == 0;
    uint8_t *out = buf_reserve(&l->walk.after, rest.n / 2 + 1);
    if (!ok || !hex_decode(out, (const char *)rest.p, rest.n / 2) || !doc_place_known(c, &k->at)) return bad_links_cursor(c);
    l->walk.after.n = rest.n / 2;
    if ((rel > 0 && (int)rel >= k->n_rels) || (direction == 1 && !k->in) || (direction == 0 && !k->out)) return bad_links_cursor(c);
    l->walk.direction = (int)direction;
    l->walk.rel = (int)rel;
    l->pinned = true;
    return true;
}

static bool parse_links(struct call *c, struct links *l)
{
    slice at = slice_str("head"), cursor = slice_str("0");
    struct doc_words met = {0};
    l->choice.out = true;
    l->count = 100;
    for (int i = 2; i < c->argc; i++) {
        bool value = i + 1 < c->argc;
        if (!doc_stands_once(c, &met, i)) return false;
        int taken = link_choice_parse(c, &i, &l->choice);
        if (taken < 0) return false;
        if (taken > 0) continue;
        if (value && arg_is(c, i, "ASOF")) {
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
    if (!parse_links_cursor(c, cursor, l) || (!l->pinned && !doc_point(c, at, &l->choice.at))) return false;
    engine_db_at(doc_engine(c), c->ks.db, l->choice.at.seq, &l->choice.db);
    return true;
}

static void add_text(struct buf *out, const char *name, slice value)
{
    node_map_add_bulk(out, slice_str(name));
    node_map_add_bulk(out, value);
}

static void add_link(struct call *c, struct links *l, const struct link *k)
{
    struct doc_view *v = &l->rows.view; /* for its buffer */
    struct change_node n;
    uint8_t hash[HASH_BYTES];
    int r = engine_read_change(doc_engine(c), k->seq, &v->mem, &n);
    if (r == E_OK) r = doc_node_hash(c, k->seq, n.raw, hash);
    if (r != E_OK) {
        node_maps_add_failure(c, &l->rows, r); /* in its place: the other links are still answered */
        return;
    }
    struct buf *out = node_maps_row(c, &l->rows);
    node_map_add_header(out, c->resp, 6);
    add_text(out, "from", k->from);
    add_text(out, "rel", k->rel);
    add_text(out, "to", k->to);
    node_map_add_bulk(out, slice_str("seq"));
    node_map_add_int(out, (int64_t)k->seq);
    node_map_add_bulk(out, slice_str("hash"));
    node_map_add_hash(out, hash);
    node_map_add_bulk(out, slice_str("props"));
    if (n.node.payload.n)
        node_map_add_bulk(out, n.node.payload);
    else
        node_map_add_null(out, c->resp);
}

static void reply_links(struct call *c, struct links *l)
{
    struct buf b = {0};
    if (l->more) {
        buf_printf(&b, "%llu:%d:%d:", (unsigned long long)l->choice.at.seq, l->row_direction, l->row_rel);
        for (size_t i = 0; i < l->position.n; i++) buf_printf(&b, "%02x", l->position.p[i]);
    } else {
        buf_add_str(&b, "0");
    }
    reply_array(c, 2);
    reply_bulk(c, buf_slice(&b));
    reply_array(c, l->rows.n);
    node_maps_reply(c, &l->rows);
    buf_fini(&b);
}

static void refuse_links(struct call *c, const struct links *l, int r)
{
    if (r == E_INVALID)
        (void)bad_links_cursor(c);
    else if (r == E_PRUNED)
        doc_reply_pruned(c, c->argv[1], l->walk.oldest);
    else
        reply_failure(c, r);
}

/* One turn: true when it has replied. */
static bool links_step(struct call *c, void *state)
{
    struct links *l = state;
    struct link k;
    int r = E_OK;
    for (size_t i = 0; i < DOC_SLICE_ROWS && r == E_OK && !l->more; i++) {
        r = link_walk_next(c, &l->walk, &l->choice, c->argv[1], &k);
        if (r != E_OK) break;
        l->more = l->rows.n == l->count;
        if (l->more) break;
        add_link(c, l, &k);
        l->row_direction = l->walk.direction;
        l->row_rel = l->walk.rel;
        buf_clear(&l->position);
        buf_add_slice(&l->position, buf_slice(&l->walk.after));
    }
    if (r == E_AGAIN || (r == E_OK && !l->more)) return false;
    if (r == E_OK || r == E_END)
        reply_links(c, l);
    else
        refuse_links(c, l, r);
    return true;
}

static void links_drop(void *state)
{
    struct links *l = state;
    link_walk_fini(&l->walk);
    node_maps_fini(&l->rows);
    buf_fini(&l->position);
    mem_free(l);
}

void cmd_dlinks(struct call *c)
{
    struct links *l = mem_zalloc(sizeof *l);
    bool done = !parse_links(c, l);
    if (!done) {
        while (!(done = links_step(c, l)) && c->in_multi) continue;
    }
    if (done)
        links_drop(l);
    else
        call_later(c, LATER_TURN, links_step, links_drop, l);
}
