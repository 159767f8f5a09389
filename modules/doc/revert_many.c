/* DREVERT PREFIX p | ALL point: keys and the links that begin at them become what they were at a point, in one commit.
 *
 * Which keys may differ is read from the log: whatever changed has a node behind the point. Only when the whole database was emptied or exchanged in between are the keys
 * of both points listed. Each is then compared, point against present, and what has to be written is gathered. All that goes in slices beside other
 * clients; then, with every other writer kept out, what was written meanwhile is compared again and one batch writes the rest. So the commit is exactly the
 * difference, and a failure on the way has changed nothing.
 *
 * A key comes back with its expiry, unless that has passed: then it is as if it had not been there. Versions come back without an interval of valid time. Tags,
 * rules and index definitions are not data and stay as they are. */
#include "modules/doc/doc.h"

#define REVERT_KEYS_MAX  (1u << 20) /* what one commit takes */
#define REVERT_BYTES_MAX (1u << 30) /* of names and values held */
#define CHANGES_A_TURN   4096
#define KEYS_A_TURN      256
#define PASSES_MAX       16 /* over what was written meanwhile, before writers have to wait for it */

enum duty { NOTHING, RESTORE, EXPIRY, DELETE };

struct one {
    size_t name_at, blob_at, blob_bytes; /* in bytes */
    uint32_t name_bytes;
    uint8_t space, duty, type;
    uint16_t flags;
    uint64_t expire_ms;
};

enum phase { CHANGES, KEYS_THEN, KEYS_NOW, LINKS_THEN, LINKS_NOW, COMPARE };

struct revert {
    struct doc_place at;
    uint64_t from, upto; /* this pass looks at what was written in (from, upto] */
    bool dry, listed;    /* listed: the whole database was looked at, by its keys */
    int passes;
    struct buf prefix, note;
    enum phase phase;
    struct ks_ctx then, now;
    struct change_cursor *changes;
    struct link_cursor *links;
    struct ks_walk *walk; /* over the keys of one of the views */
    struct buf bytes;
    struct one *v;
    size_t n, cap, next; /* next: to compare in this pass */
    uint32_t *due;       /* places in v to compare in this pass */
    size_t n_due, due_cap;
    uint32_t *table; /* 1 + place in v by hash of the name, 0 = free; a power of two, at most half used */
    size_t table_cap;
};

static void revert_drop(void *state)
{
    struct revert *r = state;
    change_cursor_close(&r->changes);
    link_cursor_close(&r->links);
    ks_walk_close(&r->walk);
    ks_view_release(&r->then);
    ks_view_release(&r->now);
    buf_fini(&r->bytes);
    buf_fini(&r->prefix);
    buf_fini(&r->note);
    mem_free(r->v);
    mem_free(r->due);
    mem_free(r->table);
    mem_free(r);
}

static slice name_of(const struct revert *r, const struct one *o)
{
    return slice_of(r->bytes.p + o->name_at, o->name_bytes);
}

/* ---- the set of keys and links ---- */

static uint32_t *place_of(const struct revert *r, uint8_t space, slice name)
{
    static const struct hash_seed seed = {{0, 0}};
    for (size_t i = key_hash(&seed, name.p, name.n) + space;; i++) {
        uint32_t *at = &r->table[i & (r->table_cap - 1)];
        if (*at == 0 || (r->v[*at - 1].space == space && slice_eq(name_of(r, &r->v[*at - 1]), name))) return at;
    }
}

static void grow_table(struct revert *r)
{
    mem_free(r->table);
    r->table_cap = r->table_cap ? 2 * r->table_cap : 1024;
    r->table = mem_zalloc(r->table_cap * sizeof *r->table);
    for (size_t i = 0; i < r->n; i++) *place_of(r, r->v[i].space, name_of(r, &r->v[i])) = (uint32_t)i + 1;
}

static int compare_later(struct revert *r, uint32_t place)
{
    if (r->n_due == r->due_cap) {
        r->due_cap = r->due_cap ? 2 * r->due_cap : 256;
        r->due = mem_realloc(r->due, r->due_cap * sizeof *r->due);
    }
    r->due[r->n_due++] = place;
    return E_OK;
}

/* Once a pass is enough for a name; that it may come twice in one only costs time. */
static int add(struct revert *r, uint8_t space, slice name)
{
    if (2 * (r->n + 1) > r->table_cap) grow_table(r);
    uint32_t *at = place_of(r, space, name);
    if (*at != 0) return r->passes > 0 ? compare_later(r, *at - 1) : E_OK;
    if (r->n == REVERT_KEYS_MAX || r->bytes.n + name.n > REVERT_BYTES_MAX) return E_TOOBIG;
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 256;
        r->v = mem_realloc(r->v, r->cap * sizeof *r->v);
    }
    r->v[r->n] = (struct one){.name_at = r->bytes.n, .name_bytes = (uint32_t)name.n, .space = space};
    buf_add_slice(&r->bytes, name);
    *at = (uint32_t)++r->n;
    return compare_later(r, *at - 1);
}

static int add_key(void *state, slice key, uint8_t type)
{
    struct revert *r = state;
    (void)type;
    return slice_starts(key, buf_slice(&r->prefix)) ? add(r, SPACE_KEY, key) : E_OK;
}

static int add_link(struct revert *r, slice from, slice rel, slice to)
{
    struct buf name = {0};
    if (!slice_starts(from, buf_slice(&r->prefix))) return E_OK;
    link_key(&name, from, rel, to);
    int rc = add(r, SPACE_LINK, buf_slice(&name));
    buf_fini(&name);
    return rc;
}

static int add_node(struct revert *r, const struct node *n, uint16_t lineage)
{
    slice from, rel, to;
    if (n->lineage != lineage || n->key.n == 0 || n->op > NODE_EXPIRE) return E_OK;
    if (n->space == SPACE_KEY) return add_key(r, n->key, n->type);
    if (n->space != SPACE_LINK) return E_OK;
    int rc = link_key_parse(n->key, &from, &rel, &to);
    return rc == E_OK ? add_link(r, from, rel, to) : rc;
}

/* ---- where to look ---- */

/* Was the database emptied or exchanged between the points? Then keys differ that no node names. */
static bool is_whole(struct call *c, struct revert *r)
{
    uint16_t then = ks_db(&r->then, c->ks.db).lineage, now = ks_db(&r->now, c->ks.db).lineage;
    return then != now || engine_next_event(doc_engine(c), c->ks.db, now, r->at.seq) <= r->upto;
}

/* E_AGAIN: more next turn. E_END: through. */
static int look_at_changes(struct call *c, struct revert *r, size_t budget)
{
    uint16_t lineage = ks_db(&r->now, c->ks.db).lineage;
    struct change_node n;
    int rc = r->changes ? E_OK : engine_changes(doc_engine(c), r->from, &r->changes);
    for (size_t i = 0; rc == E_OK; i++) {
        if (i == budget) return E_AGAIN;
        rc = change_peek(r->changes, r->upto, &n);
        if (rc == E_OK) rc = add_node(r, &n.node, lineage);
        if (rc == E_OK) change_take(r->changes);
    }
    if (rc == E_END) change_cursor_close(&r->changes);
    return rc;
}

static int look_at_keys(struct ks_ctx *view, struct revert *r)
{
    int rc = r->walk ? E_OK : ks_walk_open(view, 0, SIZE_MAX, 0, &r->walk);
    if (rc == E_OK) rc = ks_walk_step(view, r->walk, add_key, r);
    if (rc == E_AGAIN) return rc;
    ks_walk_close(&r->walk);
    return rc == E_OK ? E_END : rc;
}

static int look_at_links(struct call *c, struct ks_ctx *view, struct revert *r)
{
    struct link l;
    int rc = E_OK;
    if (view->view_at == 0) return E_END;
    if (!r->links) rc = engine_all_links(doc_engine(c), ks_db(view, c->ks.db).lineage, view->view_at, (slice){0}, &r->links);
    for (size_t i = 0; rc == E_OK; i++) {
        if (i == KEYS_A_TURN) return E_AGAIN;
        rc = link_cursor_next(r->links, &l);
        if (rc == E_OK) rc = add_link(r, l.from, l.rel, l.to);
    }
    if (rc == E_PRUNED) {
        view->pruned_seq = link_cursor_oldest(r->links);
        view->pruned_key = slice_str("its links");
    }
    if (rc == E_END) link_cursor_close(&r->links);
    return rc;
}

/* ---- comparing ---- */

struct state {
    bool live;
    uint8_t type;
    uint16_t flags;
    uint64_t expire_ms;
    slice blob; /* valid until the view is released, or in mem */
    struct buf mem;
};

static int key_state(struct ks_ctx *view, slice name, struct state *s)
{
    struct ks_value v;
    int rc = ks_get(view, name, &v);
    s->live = rc == E_OK;
    if (s->live) s->type = v.type, s->flags = v.flags & NODE_ENC_RAW, s->expire_ms = v.expire_ms, s->blob = v.blob;
    return rc == E_NOTFOUND ? E_OK : rc;
}

static int link_state(struct ks_ctx *view, slice name, struct state *s)
{
    struct engine *e = ks_engine(view->ks);
    struct version v;
    struct node n;
    struct db_view db = ks_db(view, view->db);
    if (view->view_at == 0) return E_OK;
    int rc = engine_find(e, SPACE_LINK, db.lineage, name, view->view_at, FIND_ALL, &v);
    if (rc == E_PRUNED) view->pruned_seq = v.seq, view->pruned_key = slice_str("its links");
    if (rc == E_NOTFOUND || (rc == E_OK && (v.op != NODE_PUT || v.seq <= db.flushed))) return E_OK;
    if (rc == E_OK) rc = engine_read(e, v.seq, &s->mem, &n);
    if (rc != E_OK) return rc;
    s->live = true;
    s->blob = n.payload;
    return E_OK;
}

static int settle(struct revert *r, struct one *o, const struct state *then, const struct state *now)
{
    bool back = then->live && (then->expire_ms == 0 || then->expire_ms > r->now.now_ms);
    bool same = back && now->live && then->type == now->type && slice_eq(then->blob, now->blob);
    o->duty = !back ? (now->live ? DELETE : NOTHING) : !same ? RESTORE : then->expire_ms != now->expire_ms ? EXPIRY : NOTHING;
    o->expire_ms = then->expire_ms;
    o->type = then->type;
    o->flags = then->flags;
    if (o->duty != RESTORE) return E_OK;
    if (r->bytes.n + then->blob.n > REVERT_BYTES_MAX) return E_TOOBIG;
    o->blob_at = r->bytes.n;
    o->blob_bytes = then->blob.n;
    buf_add_slice(&r->bytes, then->blob);
    return E_OK;
}

static int compare(struct revert *r, struct one *o)
{
    struct state then = {0}, now = {0};
    struct buf name = {0}; /* bytes may move */
    buf_add_slice(&name, name_of(r, o));
    int (*look)(struct ks_ctx *, slice, struct state *) = o->space == SPACE_KEY ? key_state : link_state;
    int rc = look(&r->then, buf_slice(&name), &then);
    if (rc == E_OK) rc = look(&r->now, buf_slice(&name), &now);
    if (rc == E_OK) rc = settle(r, o, &then, &now);
    if (rc == E_OK) {
        ks_view_release(&r->then);
        ks_view_release(&r->now);
    }
    buf_fini(&then.mem);
    buf_fini(&now.mem);
    buf_fini(&name);
    return rc;
}

static int compare_some(struct revert *r, size_t budget)
{
    int rc = E_OK;
    for (size_t i = 0; rc == E_OK && r->next < r->n_due; i++) {
        if (i == budget) return E_AGAIN;
        rc = compare(r, &r->v[r->due[r->next++]]);
    }
    return rc == E_OK ? E_END : rc;
}

/* One piece of this pass. E_END: the pass is over. */
static int advance(struct call *c, struct revert *r, bool all)
{
    int rc = E_END;
    switch (r->phase) {
    case CHANGES: rc = look_at_changes(c, r, all ? SIZE_MAX : CHANGES_A_TURN); break;
    case KEYS_THEN: rc = r->at.seq ? look_at_keys(&r->then, r) : E_END; break;
    case KEYS_NOW: rc = look_at_keys(&r->now, r); break;
    case LINKS_THEN: rc = look_at_links(c, &r->then, r); break;
    case LINKS_NOW: rc = look_at_links(c, &r->now, r); break;
    case COMPARE: return compare_some(r, all ? SIZE_MAX : KEYS_A_TURN);
    }
    if (rc != E_END) return rc;
    if (r->phase == CHANGES && !(is_whole(c, r) && !r->listed))
        r->phase = COMPARE;
    else
        r->phase++;
    if (r->phase == COMPARE) r->listed |= is_whole(c, r);
    return E_AGAIN;
}

/* The next pass looks at what was written since the last one. */
static int begin_pass(struct call *c, struct revert *r, uint64_t upto)
{
    r->from = r->upto;
    r->upto = upto;
    r->passes++;
    r->phase = CHANGES;
    r->n_due = r->next = 0;
    uint64_t was = r->from;
    if (engine_next_event(doc_engine(c), c->ks.db, ks_db(&r->now, c->ks.db).lineage, was) <= upto) {
        r->listed = false; /* emptied or exchanged meanwhile: what was to be deleted may be gone, and no list names it */
        for (size_t i = 0; i < r->n; i++) (void)compare_later(r, (uint32_t)i);
    }
    r->now.viewing = false;
    r->now.now_ms = c->ks.now_ms;
    return ks_view(&r->now, upto, c->ks.now_ms);
}

/* ---- the end ---- */

static int write_one(struct call *c, const struct revert *r, const struct one *o)
{
    slice name = name_of(r, o), blob = slice_of(r->bytes.p + o->blob_at, o->blob_bytes);
    struct ks_write w = {.note = buf_slice(&r->note),
                         .flags = o->flags,
                         .expiry = o->expire_ms ? KS_EXPIRY_SET : KS_EXPIRY_CLEAR,
                         .expire_ms = o->expire_ms};
    int rc = E_OK;
    if (o->duty == RESTORE && o->space == SPACE_LINK)
        rc = ks_put_thing(&c->ks, SPACE_LINK, name, blob, &w);
    else if (o->duty == RESTORE)
        rc = ks_put(&c->ks, name, o->type, blob, &w);
    else if (o->duty == EXPIRY)
        rc = ks_set_expiry(&c->ks, name, o->expire_ms);
    else if (o->duty == DELETE)
        rc = o->space == SPACE_LINK ? ks_delete_thing(&c->ks, SPACE_LINK, name, &w) : ks_delete(&c->ks, name, &w);
    return rc == E_NOTFOUND ? E_OK : rc; /* time has ended it meanwhile */
}

static void reply_done(struct call *c, const struct revert *r, uint64_t first, uint64_t last)
{
    int64_t restored = 0, deleted = 0;
    for (size_t i = 0; i < r->n; i++) {
        restored += r->v[i].duty == RESTORE || r->v[i].duty == EXPIRY;
        deleted += r->v[i].duty == DELETE;
    }
    reply_map(c, 5);
    reply_str(c, "changed"), reply_int(c, restored + deleted);
    reply_str(c, "restored"), reply_int(c, restored);
    reply_str(c, "deleted"), reply_int(c, deleted);
    reply_str(c, "first_seq");
    if (last)
        reply_int(c, (int64_t)first);
    else
        reply_null(c);
    reply_str(c, "last_seq");
    if (last)
        reply_int(c, (int64_t)last);
    else
        reply_null(c);
    if (last) notify_dirty(c, restored + deleted);
}

static void reply_refused(struct call *c, const struct revert *r, int rc)
{
    const struct ks_ctx *view = r->then.pruned_seq ? &r->then : &r->now;
    if (rc == E_TOOBIG) {
        reply_error(c, "TOOBIG more than %u keys or %u MiB differ; revert them by prefixes", REVERT_KEYS_MAX,
                    REVERT_BYTES_MAX >> 20);
        return;
    }
    c->ks.pruned_seq = view->pruned_seq;
    c->ks.pruned_key = view->pruned_key;
    reply_failure(c, rc);
    c->ks.pruned_seq = 0;
}

/* With every other writer kept out: the last pass, then the batch. */
static int write_all(struct call *c, struct revert *r, uint64_t *first, uint64_t *last)
{
    struct engine_marks m;
    uint32_t nodes = c->ks.nodes;
    int rc = engine_catch_up(doc_engine(c), 0);
    engine_get_marks(doc_engine(c), &m);
    if (rc == E_OK && m.last_seq > r->upto) {
        if (r->passes < PASSES_MAX && m.last_seq - r->upto > CHANGES_A_TURN) return E_AGAIN;
        rc = begin_pass(c, r, m.last_seq);
        while (rc == E_OK || rc == E_AGAIN) rc = advance(c, r, true);
        if (rc == E_END) rc = E_OK;
    }
    if (rc != E_OK) return rc;
    ks_begin(&c->ks);
    for (size_t i = 0; i < r->n && rc == E_OK; i++) rc = write_one(c, r, &r->v[i]);
    if (rc != E_OK) {
        ks_abort(&c->ks);
        return rc;
    }
    rc = ks_commit(&c->ks);
    *last = c->ks.nodes > nodes ? c->ks.last_seq : 0;
    *first = *last - (c->ks.nodes - nodes) + 1;
    return rc;
}

static bool finish(struct call *c, struct revert *r)
{
    struct engine_marks m;
    uint64_t first = 0, last = 0;
    if (r->dry) {
        reply_done(c, r, 0, 0);
        return true;
    }
    ks_enter(&c->ks, KS_EXCLUSIVE, NULL, 0);
    int rc = write_all(c, r, &first, &last);
    ks_leave(&c->ks);
    if (rc == E_AGAIN) {
        engine_get_marks(doc_engine(c), &m);
        rc = engine_round_down(doc_engine(c), m.indexed_seq, &m.indexed_seq);
        if (rc == E_OK) rc = begin_pass(c, r, m.indexed_seq);
        if (rc == E_OK) return false;
    }
    if (rc == E_OK)
        reply_done(c, r, first, last);
    else
        reply_refused(c, r, rc);
    return true;
}

static bool revert_step(struct call *c, void *state)
{
    struct revert *r = state;
    int rc = advance(c, r, false);
    if (rc == E_AGAIN) return false;
    if (rc == E_END) return finish(c, r);
    reply_refused(c, r, rc);
    return true;
}

static bool parse(struct call *c, struct revert *r)
{
    bool by_prefix = arg_is(c, 1, "PREFIX");
    int i = by_prefix ? 4 : 3;
    struct doc_words met = {0};
    if (c->argc < i) {
        reply_syntax(c);
        return false;
    }
    for (; i < c->argc; i++) {
        if (!doc_stands_once(c, &met, i)) return false;
        if (arg_is(c, i, "DRYRUN")) {
            r->dry = true;
        } else if (arg_is(c, i, "NOTE") && i + 1 < c->argc) {
            buf_add_slice(&r->note, c->argv[++i]);
        } else {
            reply_syntax(c);
            return false;
        }
    }
    if (r->note.n > NODE_NOTE_MAX) {
        reply_error(c, "TOOBIG a note has at most %d bytes", NODE_NOTE_MAX);
        return false;
    }
    if (by_prefix) buf_add_slice(&r->prefix, c->argv[2]);
    return doc_point(c, c->argv[by_prefix ? 3 : 2], &r->at);
}

static int open_views(struct call *c, struct revert *r)
{
    struct engine_marks m;
    struct engine_horizons h;
    struct engine *e = doc_engine(c);
    struct ks_ctx plain = {.ks = c->ks.ks, .db = c->ks.db, .loop = c->ks.loop, .now_ms = c->ks.now_ms};
    r->then = r->now = plain;
    int rc = engine_catch_up(e, 0);
    if (rc != E_OK) return rc;
    engine_get_marks(e, &m);
    engine_get_horizons(e, &h);
    rc = engine_round_down(e, m.indexed_seq, &r->upto);
    if (rc != E_OK) return rc;
    r->from = r->at.seq;
    uint64_t horizon = h.keys > h.documents ? h.keys : h.documents;
    if (r->at.seq < horizon) {
        r->then.pruned_seq = h.readable;
        return E_PRUNED;
    }
    rc = ks_view(&r->then, r->at.seq, r->at.ms);
    if (rc == E_OK) rc = ks_view(&r->now, r->upto, c->ks.now_ms);
    return rc;
}

bool doc_revert_many(struct call *c)
{
    if (!arg_is(c, 1, "ALL") && !(arg_is(c, 1, "PREFIX") && c->argc > 3)) return false;
    if (c->in_multi) {
        reply_error(c, "ERR inside a transaction DREVERT takes one key");
        return true;
    }
    struct revert *r = mem_zalloc(sizeof *r);
    int rc = E_OK;
    if (!parse(c, r) || (rc = open_views(c, r)) != E_OK) {
        if (rc != E_OK) reply_refused(c, r, rc);
        revert_drop(r);
        return true;
    }
    call_later(c, LATER_TURN, revert_step, revert_drop, r);
    return true;
}
