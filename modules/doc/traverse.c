/* DTRAVERSE: what can be reached from a key over links, breadth first, each key once.
 *
 * Keys are rows as soon as they are found, and they are followed in the order of the rows: so the walk ends with the limit, and memory is bound by it. A row's `via` is
 * the relation over which its key was found first. Links are followed as DLINKS shows them: one that leads to a document that is deleted at the point is
 * followed, and the document's data is nil.
 *
 * Names lie one behind the other in one buffer; a hash table of row numbers keeps each key to one visit. Long walks go on over several turns of the loop. */
#include "modules/doc/link_walk.h"

#define TRAVERSE_LIMIT_DEFAULT 1000
#define TRAVERSE_SLICE_BYTES   (4u << 20) /* of documents read in a turn */
#define TABLE_FIRST            64

struct reached {
    uint64_t hash;
    size_t name_at;
    uint32_t name_bytes, depth;
};

struct traverse {
    struct link_choice choice;
    uint64_t depth_max, limit;
    bool with_data;
    struct reached *all; /* in reply order */
    size_t n, cap;
    size_t next;         /* whose links are followed */
    struct buf names;
    uint32_t *slot; /* row number + 1, 0 = free */
    size_t slots;
    struct link_walk walk; /* of all[next], once started */
    bool started;
    struct node_maps rows;
    uint64_t bytes; /* of the rows */
};

static slice name_of(const struct traverse *t, size_t i)
{
    return slice_of(t->names.p + t->all[i].name_at, t->all[i].name_bytes);
}

static void grow_table(struct traverse *t)
{
    mem_free(t->slot);
    t->slots = t->slots ? t->slots * 2 : TABLE_FIRST;
    t->slot = mem_zalloc(t->slots * sizeof *t->slot);
    for (size_t row = 0; row < t->n; row++) {
        size_t i = t->all[row].hash & (t->slots - 1);
        while (t->slot[i]) i = (i + 1) & (t->slots - 1);
        t->slot[i] = (uint32_t)row + 1;
    }
}

/* False when it was there. */
static bool reach(struct call *c, struct traverse *t, slice key, uint32_t depth)
{
    uint64_t hash = key_hash(engine_seed(doc_engine(c)), key.p, key.n);
    if ((t->n + 1) * 2 > t->slots) grow_table(t);
    size_t i = hash & (t->slots - 1);
    for (; t->slot[i]; i = (i + 1) & (t->slots - 1))
        if (t->all[t->slot[i] - 1].hash == hash && slice_eq(name_of(t, t->slot[i] - 1), key)) return false;
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : TABLE_FIRST;
        t->all = mem_realloc(t->all, t->cap * sizeof *t->all);
    }
    t->all[t->n++] = (struct reached){.hash = hash, .name_at = t->names.n, .name_bytes = (uint32_t)key.n, .depth = depth};
    t->slot[i] = (uint32_t)t->n;
    buf_add_slice(&t->names, key);
    return true;
}

/* The document at the point, or nil. 0, or the failure: E_PRUNED replied. */
static int add_data(struct call *c, struct traverse *t, slice key, struct buf *out)
{
    struct buf mem = {0};
    struct ks_value v;
    int r = ks_get_at(&c->ks, key, t->choice.at.seq, KS_ANY_VALID, &mem, &v);
    bool there = r == E_OK && v.type == TYPE_DOCUMENT && !doc_expired(&t->choice.at, v.expire_ms);
    if (there)
        node_map_add_bulk(out, v.blob);
    else if (r == E_OK || r == E_NOTFOUND)
        node_map_add_null(out, c->resp);
    else if (r == E_PRUNED)
        doc_reply_pruned(c, key, v.seq);
    else
        reply_failure(c, r);
    buf_fini(&mem);
    return r == E_NOTFOUND ? E_OK : r;
}

/* via NULL: the start. */
static int add_row(struct call *c, struct traverse *t, slice key, uint32_t depth, const slice *via)
{
    struct buf *out = node_maps_row(c, &t->rows);
    size_t before = out->n;
    int r = E_OK;
    node_map_add_header(out, c->resp, t->with_data ? 4 : 3);
    node_map_add_bulk(out, slice_str("key"));
    node_map_add_bulk(out, key);
    node_map_add_bulk(out, slice_str("depth"));
    node_map_add_int(out, depth);
    node_map_add_bulk(out, slice_str("via"));
    if (via)
        node_map_add_bulk(out, *via);
    else
        node_map_add_null(out, c->resp);
    if (t->with_data) {
        node_map_add_bulk(out, slice_str("data"));
        r = add_data(c, t, key, out);
    }
    t->bytes += out->n - before;
    return r;
}

/* Follows the next link of all[next], or leaves it. E_AGAIN: many were looked at in vain. Else negative: replied. */
static int follow(struct call *c, struct traverse *t)
{
    struct link k;
    slice key = name_of(t, t->next);
    uint32_t depth = t->all[t->next].depth + 1;
    if (!t->started) link_walk_start(&t->walk, &t->choice);
    t->started = true;
    int r = link_walk_next(c, &t->walk, &t->choice, key, &k);
    if (r == E_END) {
        link_walk_fini(&t->walk);
        t->started = false;
        t->next++;
        return E_OK;
    }
    if (r == E_PRUNED)
        doc_reply_pruned(c, key, t->walk.oldest);
    else if (r != E_OK && r != E_AGAIN)
        reply_failure(c, r);
    if (r != E_OK) return r;
    slice other = t->walk.direction == 0 ? k.to : k.from;
    return reach(c, t, other, depth) ? add_row(c, t, other, depth, &k.rel) : E_OK;
}

/* One turn: true when it has replied. */
static bool traverse_step(struct call *c, void *state)
{
    struct traverse *t = state;
    uint64_t bytes = t->bytes + TRAVERSE_SLICE_BYTES;
    for (size_t i = 0; i < DOC_SLICE_ROWS && t->bytes < bytes; i++) {
        bool ended = t->next == t->n || t->n >= t->limit || t->all[t->next].depth >= t->depth_max;
        if (ended) {
            reply_array(c, t->rows.n);
            node_maps_reply(c, &t->rows);
            return true;
        }
        int r = follow(c, t);
        if (r == E_AGAIN) return false;
        if (r != E_OK) return true;
    }
    return false;
}

static void traverse_drop(void *state)
{
    struct traverse *t = state;
    link_walk_fini(&t->walk);
    node_maps_fini(&t->rows);
    buf_fini(&t->names);
    mem_free(t->slot);
    mem_free(t->all);
    mem_free(t);
}

static bool parse_traverse(struct call *c, struct traverse *t)
{
    slice at = slice_str("head");
    struct doc_words met = {0};
    t->choice.out = true;
    t->depth_max = UINT32_MAX - 1;
    t->limit = TRAVERSE_LIMIT_DEFAULT;
    for (int i = 2; i < c->argc; i++) {
        bool value = i + 1 < c->argc;
        if (!doc_stands_once(c, &met, i)) return false;
        int taken = link_choice_parse(c, &i, &t->choice);
        if (taken < 0) return false;
        if (taken > 0) continue;
        if (arg_is(c, i, "WITHDATA")) {
            t->with_data = true;
        } else if (value && arg_is(c, i, "ASOF")) {
            at = c->argv[++i];
        } else if (value && arg_is(c, i, "DEPTH")) {
            int64_t depth;
            if (!arg_range(c, ++i, 0, UINT32_MAX - 1, &depth)) return false;
            t->depth_max = (uint64_t)depth;
        } else if (value && arg_is(c, i, "LIMIT")) {
            if (!doc_count(c, c->argv[++i], &t->limit)) return false;
        } else {
            reply_syntax(c);
            return false;
        }
    }
    if (!doc_point(c, at, &t->choice.at)) return false;
    engine_db_at(doc_engine(c), c->ks.db, t->choice.at.seq, &t->choice.db);
    return true;
}

void cmd_dtraverse(struct call *c)
{
    struct traverse *t = mem_zalloc(sizeof *t);
    bool done = !parse_traverse(c, t);
    if (!done) {
        (void)reach(c, t, c->argv[1], 0);
        done = add_row(c, t, c->argv[1], 0, NULL) != E_OK;
    }
    while (!done && !(done = traverse_step(c, t)) && c->in_multi) continue;
    if (done)
        traverse_drop(t);
    else
        call_later(c, LATER_TURN, traverse_step, traverse_drop, t);
}
