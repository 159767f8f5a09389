/* DTRACE: the causes of a node, or its effects, breadth first.
 *
 * Levels, not recursion: a level's seqs are gathered, sorted, and become depth d; a hash set keeps each node to one visit. Nodes are taken in the order of the reply,
 * and each is read once: for its row and for its causes. Long traces go on over several turns of the loop.
 *
 * Bounds: of a level no more can be shown than the limit leaves room for, so when twice as many (or LEVEL_MIN) were gathered, all but the smallest seqs are let go.
 * Effects come in ascending order: of one node no more are looked at than there is room. So memory is bound by the limit, whatever the graph. */
#include "modules/doc/node_map.h"
#include "modules/doc/seq_set.h"

#define TRACE_LIMIT_DEFAULT 1000
#define TRACE_SLICE_BYTES   (4u << 20) /* of nodes read in a turn */
#define LEVEL_MIN           4096       /* gathered before a level is cut */

struct trace {
    bool effects;
    uint64_t depth_max, limit;
    uint64_t *all; /* in reply order up to level_end; behind it the next level, as it was found */
    size_t n, cap;
    size_t next, level_end; /* next: the node to show and expand; level_end: where its level ends */
    uint32_t depth;         /* of that level */
    struct seq_set seen;
    struct effect_cursor *cur; /* of the node being expanded */
    size_t taken;              /* effects taken from it */
    struct node_maps maps;
    int failure;
};

/* How many of the next level can be shown. */
static size_t room(const struct trace *t)
{
    return t->limit > t->level_end ? (size_t)t->limit - t->level_end : 0;
}

/* Puts the gathered level in order and lets go what cannot be shown. */
static void cut_level(struct trace *t)
{
    seq_sort(t->all + t->level_end, t->n - t->level_end);
    if (t->n - t->level_end <= room(t)) return;
    t->n = t->level_end + room(t);
    seq_set_fini(&t->seen);
    for (size_t i = 0; i < t->n; i++) (void)seq_set_add(&t->seen, t->all[i]);
}

static void visit(struct trace *t, uint64_t seq)
{
    size_t most = 2 * room(t) > LEVEL_MIN ? 2 * room(t) : LEVEL_MIN;
    if (!seq_set_add(&t->seen, seq)) return;
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->all = mem_realloc(t->all, t->cap * sizeof *t->all);
    }
    t->all[t->n++] = seq;
    if (t->n - t->level_end >= most) cut_level(t);
}

/* Goes on with the effects of one node. *budget counts effects. E_END: all that can matter were seen. */
static int expand_effects(struct call *c, struct trace *t, uint64_t seq, size_t *budget)
{
    uint64_t effect;
    int r = E_OK;
    if (t->cur == NULL) {
        t->taken = 0;
        r = engine_effects(doc_engine(c), seq, &t->cur);
    }
    while (r == E_OK && *budget > 0) {
        r = t->taken++ < room(t) + t->level_end ? effect_next(t->cur, &effect) : E_END; /* those seen before take no room */
        if (r == E_OK) visit(t, effect);
        (*budget)--;
    }
    if (r != E_OK) effect_close(&t->cur);
    return r;
}

static void expand_causes(struct trace *t, const struct doc_view *v)
{
    struct node_ref ref;
    for (uint32_t i = 0; i < v->node.n_causes; i++) {
        node_cause(&v->node, i, &ref);
        visit(t, ref.seq);
    }
}

/* Shows the next node and gathers what it leads to, or a part of that. */
static int take_next(struct call *c, struct trace *t, size_t *budget, size_t *bytes)
{
    uint64_t seq = t->all[t->next];
    bool expand = t->depth < t->depth_max && room(t) > 0;
    int r = E_OK;
    (*budget)--;
    if (t->cur == NULL) {
        const struct doc_view *v;
        r = node_maps_read(c, &t->maps, seq, t->depth, &v);
        if (r == E_OK && !v->pruned) *bytes += v->raw.n;
        if (r == E_OK && expand && !t->effects && !v->pruned) expand_causes(t, v);
        if (r != E_OK && expand && !t->effects) return r; /* what it leads to is not known */
    }
    r = expand && t->effects ? expand_effects(c, t, seq, budget) : E_END;
    if (r == E_OK) return E_OK; /* it goes on next turn */
    t->next++;
    return r == E_END ? E_OK : r;
}

/* The next level is whole: it becomes the one to show. False when there is none. */
static bool next_level(struct trace *t)
{
    cut_level(t);
    if (t->n == t->level_end) return false;
    t->level_end = t->n;
    t->depth++;
    return true;
}

/* One turn: true when it has replied. */
static bool trace_step(struct call *c, void *state)
{
    struct trace *t = state;
    bool done = false;
    size_t bytes = 0;
    for (size_t budget = DOC_SLICE_ROWS; budget > 0 && bytes < TRACE_SLICE_BYTES && !done && t->failure == E_OK;) {
        done = t->next == t->level_end && !next_level(t);
        if (!done) t->failure = take_next(c, t, &budget, &bytes);
    }
    if (t->failure != E_OK) {
        reply_failure(c, t->failure);
        return true;
    }
    if (!done) return false;
    reply_array(c, t->maps.n);
    node_maps_reply(c, &t->maps);
    return true;
}

static void trace_drop(void *state)
{
    struct trace *t = state;
    effect_close(&t->cur);
    node_maps_fini(&t->maps);
    mem_free(t->all);
    seq_set_fini(&t->seen);
    mem_free(t);
}

static bool parse_trace(struct call *c, struct trace *t)
{
    t->depth_max = UINT32_MAX - 1;
    t->limit = TRACE_LIMIT_DEFAULT;
    struct doc_words met = {0};
    bool directed = false;
    for (int i = 2; i < c->argc; i++) {
        if (!doc_stands_once(c, &met, i)) return false;
        if (!directed && (arg_is(c, i, "CAUSES") || arg_is(c, i, "EFFECTS"))) {
            directed = true;
            t->effects = arg_is(c, i, "EFFECTS");
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
    visit(t, seq);
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
