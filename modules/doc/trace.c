/* DTRACE: the causes of a node, or its effects, breadth first.
 *
 * Levels, not recursion: a level's seqs are gathered, sorted, and become depth d; a hash set keeps each node to one visit. Long traces go on over several
 * turns of the loop: first the walk, then the rows, then one reply. A level is gathered until it is sure to hold the smallest seqs that the limit leaves
 * room for: effects come in ascending order, so of one node no more are looked at than that. */
#include "modules/doc/node_map.h"
#include <stdlib.h>

#define TRACE_LIMIT_DEFAULT 1000

struct found {
    uint64_t seq;
    uint32_t depth;
};

struct trace {
    bool effects;
    uint64_t depth_max, limit;
    struct found *all; /* in reply order; the tail from level_at on is the newest level */
    size_t n, cap;
    size_t level_at, next; /* next: the node of the newest level to expand */
    size_t level_end;
    uint64_t *seen; /* open addressing, 0 = free */
    size_t seen_cap;
    struct effect_cursor *cur; /* of the node being expanded */
    size_t expand_from;        /* t->n when it began */
    struct node_maps maps;
    bool walked;
    int failure;
};

static bool seen_add(struct trace *t, uint64_t seq);

static void seen_grow(struct trace *t)
{
    uint64_t *old = t->seen;
    size_t cap = t->seen_cap;
    t->seen_cap = cap ? cap * 2 : 64;
    t->seen = mem_zalloc(t->seen_cap * sizeof *t->seen);
    for (size_t i = 0; i < cap; i++)
        if (old[i]) (void)seen_add(t, old[i]);
    mem_free(old);
}

/* False when it was there. */
static bool seen_add(struct trace *t, uint64_t seq)
{
    size_t mask = t->seen_cap - 1, i = (seq * 0x9e3779b97f4a7c15ull >> 20) & mask;
    while (t->seen[i]) {
        if (t->seen[i] == seq) return false;
        i = (i + 1) & mask;
    }
    t->seen[i] = seq;
    return true;
}

static void visit(struct trace *t, uint64_t seq, uint32_t depth)
{
    if ((t->n + 1) * 2 > t->seen_cap) seen_grow(t);
    if (!seen_add(t, seq)) return;
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->all = mem_realloc(t->all, t->cap * sizeof *t->all);
    }
    t->all[t->n++] = (struct found){seq, depth};
}

static int expand_causes(struct call *c, struct trace *t, struct found f)
{
    struct buf mem = {0};
    struct node n;
    struct node_ref ref;
    int r = engine_read(doc_engine(c), f.seq, &mem, &n);
    if (r == E_OK)
        for (uint32_t i = 0; i < n.n_causes; i++) {
            node_cause(&n, i, &ref);
            visit(t, ref.seq, f.depth + 1);
        }
    buf_fini(&mem);
    return r == E_PRUNED ? E_OK : r;
}

/* Goes on with the effects of one node. *budget counts effects. E_END: all that can matter were seen. */
static int expand_effects(struct call *c, struct trace *t, struct found f, size_t *budget)
{
    uint64_t seq;
    int r = E_OK;
    if (t->cur == NULL) {
        t->expand_from = t->n;
        r = engine_effects(doc_engine(c), f.seq, &t->cur);
    }
    while (r == E_OK && *budget > 0) {
        if (t->n - t->expand_from + t->level_end >= t->limit) {
            r = E_END;
            break;
        }
        r = effect_next(t->cur, &seq);
        if (r == E_OK) visit(t, seq, f.depth + 1);
        (*budget)--;
    }
    if (r != E_OK) effect_close(&t->cur);
    return r;
}

static int by_seq(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* The newest level is whole: it is put in order and becomes the one to expand. False when that was the last. */
static bool next_level(struct trace *t)
{
    qsort(t->all + t->level_end, t->n - t->level_end, sizeof *t->all, by_seq);
    if (t->n == t->level_end || t->n >= t->limit) return false;
    t->level_at = t->next = t->level_end;
    t->level_end = t->n;
    return true;
}

/* Expands the next node, or a part of its effects. */
static int expand_next(struct call *c, struct trace *t, size_t *budget)
{
    struct found f = t->all[t->next];
    int r = E_END;
    (*budget)--;
    if (f.depth < t->depth_max) r = t->effects ? expand_effects(c, t, f, budget) : expand_causes(c, t, f);
    if (r == E_OK && t->cur != NULL) return E_OK; /* it goes on next turn */
    t->next++;
    return r == E_END ? E_OK : r;
}

/* True when the walk is over. */
static bool walk(struct call *c, struct trace *t, size_t budget)
{
    while (budget > 0) {
        if (t->next == t->level_end && !next_level(t)) return true;
        t->failure = expand_next(c, t, &budget);
        if (t->failure != E_OK) return true;
    }
    return false;
}

/* One turn: true when it has replied. */
static bool trace_step(struct call *c, void *state)
{
    struct trace *t = state;
    if (!t->walked) {
        t->walked = walk(c, t, DOC_SLICE_ROWS);
        if (!t->walked) return false;
        if (t->n > t->limit) t->n = t->limit;
    }
    if (t->failure != E_OK) {
        reply_failure(c, t->failure);
        return true;
    }
    for (size_t i = 0; i < DOC_SLICE_ROWS && t->maps.n < t->n; i++) {
        struct found f = t->all[t->maps.n];
        node_maps_add(c, &t->maps, f.seq, f.depth);
    }
    if (t->maps.n < t->n) return false;
    reply_array(c, t->n);
    node_maps_reply(c, &t->maps);
    return true;
}

static void trace_drop(void *state)
{
    struct trace *t = state;
    effect_close(&t->cur);
    node_maps_fini(&t->maps);
    mem_free(t->all);
    mem_free(t->seen);
    mem_free(t);
}

static bool parse_trace(struct call *c, struct trace *t)
{
    t->depth_max = UINT32_MAX - 1;
    t->limit = TRACE_LIMIT_DEFAULT;
    for (int i = 2; i < c->argc; i++) {
        if (arg_is(c, i, "CAUSES")) {
            t->effects = false;
        } else if (arg_is(c, i, "EFFECTS")) {
            t->effects = true;
        } else if (arg_is(c, i, "WITHDATA")) {
            t->maps.with_data = true;
        } else if (i + 1 < c->argc && arg_is(c, i, "DEPTH")) {
            int64_t depth;
            if (!arg_range(c, ++i, 0, UINT32_MAX - 1, &depth)) return false;
            t->depth_max = (uint64_t)depth;
        } else if (i + 1 < c->argc && arg_is(c, i, "LIMIT")) {
            if (!doc_count(c, c->argv[++i], &t->limit)) return false;
        } else {
            reply_syntax(c);
            return false;
        }
    }
    return true;
}

void cmd_dtrace(struct call *c)
{
    struct trace *t = mem_zalloc(sizeof *t);
    uint64_t seq;
    int r = E_OK;
    if (!parse_trace(c, t) || !doc_ref(c, c->argv[1], DOC_ABSENT_NULL, &seq)) {
        trace_drop(t);
        return;
    }
    r = engine_catch_up(doc_engine(c), t->effects ? 0 : seq);
    if (r == E_OK) r = doc_is_logged(c, seq);
    if (r != E_OK) {
        if (r == E_NOTFOUND)
            doc_reply_unlogged(c);
        else
            reply_failure(c, r);
        trace_drop(t);
        return;
    }
    visit(t, seq, 0);
    t->level_end = 1;
    if (c->in_multi) {
        while (!trace_step(c, t)) continue;
        trace_drop(t);
    } else if (trace_step(c, t)) {
        trace_drop(t);
    } else {
        call_later(c, LATER_TURN, trace_step, trace_drop, t);
    }
}
