/* DTRACE: the causes of a node, or its effects, breadth first.
 *
 * Levels, not recursion: a level's seqs are gathered, sorted, and become depth d; a hash set keeps each node to one visit. Long traces go on over several
 * turns of the loop, first walking, then replying. */
#include "modules/doc/doc.h"
#include <stdlib.h>

#define TRACE_LIMIT_DEFAULT 1000

struct found {
    uint64_t seq;
    uint32_t depth;
};

struct trace {
    bool effects, with_data;
    uint64_t depth_max, limit;
    struct found *all; /* in reply order; the tail from level_at on is the newest level */
    size_t n, cap;
    size_t level_at, next; /* next: the node of the newest level to expand */
    size_t level_end;
    uint64_t *seen; /* open addressing, 0 = free */
    size_t seen_cap;
    size_t replied;
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

static int expand_effects(struct call *c, struct trace *t, struct found f)
{
    struct effect_cursor *cur = NULL;
    uint64_t seq;
    int r = engine_effects(doc_engine(c), f.seq, &cur);
    while (r == E_OK && t->n < t->limit + 1 && (r = effect_next(cur, &seq)) == E_OK) visit(t, seq, f.depth + 1);
    effect_close(&cur);
    return r == E_END ? E_OK : r;
}

static int by_seq(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Walks at most `budget` nodes; true when the walk is over. */
static bool walk(struct call *c, struct trace *t, size_t budget)
{
    while (budget-- > 0) {
        if (t->next == t->level_end) {
            if (t->n == t->level_end || t->n >= t->limit) {
                qsort(t->all + t->level_end, t->n - t->level_end, sizeof *t->all, by_seq);
                return true;
            }
            t->level_at = t->level_end;
            t->level_end = t->n;
            t->next = t->level_at;
            qsort(t->all + t->level_at, t->level_end - t->level_at, sizeof *t->all, by_seq);
        }
        struct found f = t->all[t->next++];
        if (f.depth >= t->depth_max) continue;
        t->failure = t->effects ? expand_effects(c, t, f) : expand_causes(c, t, f);
        if (t->failure != E_OK) return true;
    }
    return false;
}

static void reply_one(struct call *c, const struct trace *t, struct found f)
{
    struct doc_view v;
    struct doc_data data = {.wanted = t->with_data};
    int r = doc_view_load(c, f.seq, &v);
    if (r == E_OK) {
        reply_map(c, DOC_MAP_FIELDS + 1);
        reply_str(c, "depth"), reply_int(c, f.depth);
        doc_reply_view(c, &v, &data);
    } else {
        reply_failure(c, r);
    }
    doc_view_fini(&v);
}

/* One turn: true when the reply is complete. */
static bool trace_step(struct call *c, void *state)
{
    struct trace *t = state;
    if (!t->walked) {
        t->walked = walk(c, t, DOC_SLICE_ROWS);
        if (t->walked && t->failure == E_OK) {
            if (t->n > t->limit) t->n = t->limit;
            reply_array(c, t->n);
        } else if (t->walked) {
            reply_failure(c, t->failure);
            return true;
        }
        if (!t->walked) return false;
    }
    for (size_t i = 0; i < DOC_SLICE_ROWS && t->replied < t->n; i++) reply_one(c, t, t->all[t->replied++]);
    return t->replied == t->n;
}

static void trace_drop(void *state)
{
    struct trace *t = state;
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
            t->with_data = true;
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
    if (t->effects || seq) r = engine_catch_up(doc_engine(c), t->effects ? 0 : seq);
    if (r != E_OK) {
        reply_failure(c, r);
        trace_drop(t);
        return;
    }
    visit(t, seq, 0);
    if (c->in_multi) {
        while (!trace_step(c, t)) continue;
        trace_drop(t);
    } else if (trace_step(c, t)) {
        trace_drop(t);
    } else {
        call_later(c, LATER_TURN, trace_step, trace_drop, t);
    }
}
