/* TRAVERSE and TRACE: what is reached from the rows that were selected.
 *
 * Breadth first without recursion: names stand in the order in which they were first seen, so that depths never fall, and `next` is the one to expand. A
 * name is expanded once, at its smallest depth. Names that were selected have depth 0; when a hop leads to one of them it becomes a result too.
 *
 * TRAVERSE: a name is a document's key; hops are links that stand at the point. TRACE: a name is a version's seq; hops are causes, or, REVERSE, effects not
 * newer than the point. */
#include "modules/doc/query.h"

#define FIRST_SLOTS 64

struct reached {
    size_t at;       /* of the name, in names */
    uint32_t bytes, depth;
    uint64_t hash;
    bool result;
};

struct query_walk {
    struct reached *all;
    size_t n, room;
    struct buf names;
    uint32_t *slot; /* index into all, plus 1; 0 = free */
    size_t slots;   /* a power of two */
    size_t next;
    struct link_cursor *links;     /* of the name being expanded, likewise effects */
    struct effect_cursor *effects;
    struct buf key, mem;
};

struct query_walk *query_walk_new(void)
{
    return mem_zalloc(sizeof(struct query_walk));
}

void query_walk_free(struct query_walk **out)
{
    struct query_walk *w = *out;
    if (w == NULL) return;
    link_cursor_close(&w->links);
    effect_close(&w->effects);
    mem_free(w->all);
    mem_free(w->slot);
    buf_fini(&w->names);
    buf_fini(&w->key);
    buf_fini(&w->mem);
    mem_free(w);
    *out = NULL;
}

static slice name_at(const struct query_walk *w, size_t i)
{
    return slice_of(w->names.p + w->all[i].at, w->all[i].bytes);
}

static void grow_slots(struct query_walk *w)
{
    w->slots = w->slots ? 2 * w->slots : FIRST_SLOTS;
    mem_free(w->slot);
    w->slot = mem_zalloc(w->slots * sizeof *w->slot);
    for (size_t i = 0; i < w->n; i++) {
        size_t s = w->all[i].hash & (w->slots - 1);
        while (w->slot[s]) s = (s + 1) & (w->slots - 1);
        w->slot[s] = (uint32_t)i + 1;
    }
}

/* A hop leads here, or (depth 0) it was selected. */
static int reach(struct query_walk *w, slice name, uint32_t depth)
{
    static const struct hash_seed seed = {{0x77616c6b, 0x6e616d65}};
    uint64_t hash = key_hash(&seed, name.p, name.n);
    if (2 * (w->n + 1) > w->slots) grow_slots(w);
    size_t s = hash & (w->slots - 1);
    for (; w->slot[s]; s = (s + 1) & (w->slots - 1)) {
        struct reached *r = &w->all[w->slot[s] - 1];
        if (r->hash != hash || !slice_eq(name_at(w, w->slot[s] - 1), name)) continue;
        if (depth > 0) r->result = true;
        return E_OK;
    }
    if (w->n == QUERY_WALK_NAMES_MAX || w->names.n + name.n > QUERY_WALK_BYTES_MAX) return E_TOOBIG;
    if (w->n == w->room) {
        w->room = w->room ? 2 * w->room : FIRST_SLOTS;
        w->all = mem_realloc(w->all, w->room * sizeof *w->all);
    }
    (void)buf_reserve(&w->names, 1);
    w->all[w->n] = (struct reached){w->names.n, (uint32_t)name.n, depth, hash, depth > 0};
    buf_add_slice(&w->names, name);
    w->slot[s] = (uint32_t)++w->n;
    return E_OK;
}

int query_walk_start(struct query_walk *w, slice name)
{
    return reach(w, name, 0);
}

static int reach_seq(struct query_walk *w, uint64_t seq, uint32_t depth)
{
    uint8_t name[8];
    put_be64(name, seq);
    return reach(w, slice_of(name, sizeof name), depth);
}

static int fail_pruned(struct query *q, slice key, uint64_t oldest)
{
    buf_clear(&q->failed_key);
    buf_add_slice(&q->failed_key, key);
    q->oldest = oldest;
    return E_PRUNED;
}

/* ---- hops: E_OK after one, E_END when the name has no more ---- */

/* Does the link hold at the instant that the query is about? */
static int link_counts(struct call *c, struct query *q, const struct link *k, bool *yes)
{
    struct query_walk *w = q->walk;
    struct node n;
    *yes = k->seq > q->view.db.flushed;
    if (!*yes || q->view.valid_at == KS_ANY_VALID) return E_OK;
    struct buf key = {0};
    link_key(&key, k->from, k->rel, k->to);
    int err = query_link_at(c, &q->view, buf_slice(&key), &w->mem, &n);
    if (err == E_PRUNED) err = query_link_pruned(c, q, buf_slice(&key));
    buf_fini(&key);
    *yes = err == E_OK;
    return err == E_NOTFOUND ? E_OK : err;
}

static int hop_link(struct call *c, struct query *q, uint32_t depth)
{
    struct query_walk *w = q->walk;
    bool in = q->nql->traverse.reverse, counts = false;
    struct link k;
    int err = E_OK;
    if (w->links == NULL) {
        buf_clear(&w->key); /* names may move while the cursor is open */
        buf_add_slice(&w->key, name_at(w, w->next));
        err = engine_links(doc_engine(c), q->view.db.lineage, buf_slice(&w->key), in ? LINK_IN : LINK_OUT, q->nql->traverse.rel, q->view.at.seq,
                           (slice){0}, &w->links);
    }
    if (err == E_OK) err = link_cursor_next(w->links, &k);
    if (err == E_AGAIN) return E_OK; /* counted, so that others get their turn */
    if (err == E_PRUNED) return fail_pruned(q, buf_slice(&w->key), w->links ? link_cursor_oldest(w->links) : engine_horizon(doc_engine(c)));
    if (err == E_OK) err = link_counts(c, q, &k, &counts);
    if (err == E_OK && counts) err = reach(w, in ? k.from : k.to, depth + 1);
    if (err != E_OK) link_cursor_close(&w->links);
    return err;
}

static int hop_effect(struct call *c, struct query *q, uint64_t seq, uint32_t depth)
{
    struct query_walk *w = q->walk;
    uint64_t effect;
    int err = E_OK;
    if (w->effects == NULL) err = engine_effects(doc_engine(c), seq, &w->effects);
    if (err == E_OK) err = effect_next(w->effects, &effect);
    if (err == E_OK && effect > q->view.at.seq) err = E_END; /* they ascend */
    if (err == E_OK) err = reach_seq(w, effect, depth + 1);
    if (err != E_OK) effect_close(&w->effects);
    return err;
}

/* All causes at once: their number is bounded. */
static int hop_causes(struct call *c, struct query *q, uint64_t seq, uint32_t depth)
{
    struct query_walk *w = q->walk;
    struct node n;
    struct node_ref ref;
    int err = engine_read(doc_engine(c), seq, &w->mem, &n);
    if (err == E_PRUNED) q->failed_seq = seq;
    for (uint32_t i = 0; err == E_OK && i < n.n_causes; i++) {
        node_cause(&n, i, &ref);
        err = reach_seq(w, ref.seq, depth + 1);
    }
    return err == E_OK ? E_END : err;
}

int query_walk_step(struct call *c, struct query *q, size_t budget)
{
    struct query_walk *w = q->walk;
    uint64_t depth_max = q->nql->trace.given ? q->nql->trace.depth : q->nql->traverse.depth;
    for (; budget > 0 && w->next < w->n; budget--) {
        uint32_t depth = w->all[w->next].depth;
        int err = E_END;
        if (depth >= depth_max) {
            w->next = w->n; /* depths never fall */
            break;
        }
        if (q->nql->traverse.given) {
            err = hop_link(c, q, depth);
        } else {
            uint64_t seq = get_be64(name_at(w, w->next).p);
            err = q->nql->trace.reverse ? hop_effect(c, q, seq, depth) : hop_causes(c, q, seq, depth);
        }
        if (err == E_END)
            w->next++;
        else if (err != E_OK)
            return err;
    }
    return w->next < w->n ? E_AGAIN : E_OK;
}

bool query_walk_at(const struct query_walk *w, size_t i, slice *name, bool *reached)
{
    if (i >= w->n) return false;
    *name = name_at(w, i);
    *reached = w->all[i].result;
    return true;
}
