/* What clients asked of a store of keys and links, and what the log may have come to by it: the other side of test_revert_crash.c.
 *
 * An *asking* is one command that is on its way: it may write one commit or nothing. What it would write is worked out from the oracle when the log is looked
 * at, not when it is sent, so several may be on their way. `learn` walks the log's new nodes: each commit has to be exactly what the next asking of a client
 * writes, every key of it once, its values, predecessors and version numbers right; the log ends between commits. That is how a commit by half is seen. */
#ifndef VARVE_TESTS_ASKED_H
#define VARVE_TESTS_ASKED_H

#define DATABASES  2
#define STRINGS    300 /* keys s:000 to s:299; behind them documents d:000 to d:299 */
#define KEYS       600
#define LINKS      20
#define LINK_FIRST 100 /* links lead from d:100 to d:101, from d:101 to d:102, … */
#define FACTS_MAX  16000
#include "ks_oracle.h"
#include "points.h"

#define ASKED_MAX 128

enum act { ASK_NOTHING, ASK_PUT, ASK_DELETE, ASK_EXPIRY, ASK_APPEND, ASK_LINK, ASK_UNLINK, ASK_FLUSH, ASK_SWAP, ASK_RULE, ASK_REVERT };

struct asking {
    enum act act;
    unsigned peer;
    uint16_t db;
    bool replied, acknowledged, refused, done; /* refused: nothing can have been written; done: its nodes are facts */
    bool idle;       /* at some moment it had nothing to write: its turn may have been then */
    bool text;       /* ASK_PUT: strings, whatever the keys; else documents */
    bool documents;  /* ASK_DELETE: DDEL */
    bool everywhere; /* ASK_FLUSH */
    bool dry;
    unsigned first, n; /* things */
    uint64_t now_ms, expire_ms, serial, point;
    size_t pad;
    char prefix[8];                                        /* ASK_REVERT */
    int64_t changed, restored, deleted, first_seq, last_seq; /* as replied */
};

/* What the asking at hand writes of one thing. */
struct due {
    uint8_t op, type;
    uint16_t lineage;
    uint64_t expire_ms;
    uint64_t as; /* seq whose value it has; 0: the asking's own */
    bool left;
};

struct world {
    struct oracle o;
    struct engine *e;
    struct asking asked[ASKED_MAX];
    unsigned n_asked;
    struct due due[THINGS + 1];
    uint16_t order[THINGS + 1]; /* places in due */
    unsigned n_due, n_left, n_changed, n_deleted;
    struct asking *open; /* whose commit is being learned */
    uint64_t open_first;
    uint64_t acknowledged; /* newest seq of an acknowledged asking */
    struct buf name, value;
    const char *failed; /* what did not hold */
    unsigned line;
};

/* ---- names and values ---- */

static inline slice thing_name(unsigned thing, struct buf *mem)
{
    char from[16], to[16];
    buf_clear(mem);
    if (thing < KEYS) {
        buf_printf(mem, thing < STRINGS ? "s:%03u" : "d:%03u", thing < STRINGS ? thing : thing - STRINGS);
        return buf_slice(mem);
    }
    snprintf(from, sizeof from, "d:%03u", LINK_FIRST + thing - KEYS);
    snprintf(to, sizeof to, "d:%03u", LINK_FIRST + thing - KEYS + 1);
    link_key(mem, slice_str(from), slice_str("next"), slice_str(to));
    return buf_slice(mem);
}

/* What a prefix is held against. */
static inline bool thing_starts(unsigned thing, const char *prefix, struct buf *mem)
{
    unsigned key = thing < KEYS ? thing : STRINGS + LINK_FIRST + thing - KEYS;
    return slice_starts(thing_name(key, mem), slice_str(prefix));
}

/* THINGS when it is none. */
static inline unsigned thing_of(const struct node *n, struct buf *mem)
{
    unsigned thing = THINGS, number = 0;
    slice name = n->key, rel, to;
    if (n->space == SPACE_LINK && link_key_parse(n->key, &name, &rel, &to) != E_OK) return THINGS;
    if (name.n != 5 || (n->space != SPACE_KEY && n->space != SPACE_LINK)) return THINGS;
    for (int i = 2; i < 5; i++) number = number * 10 + (name.p[i] - '0');
    if (n->space == SPACE_LINK)
        thing = KEYS + number - LINK_FIRST;
    else
        thing = number + (name.p[0] == 'd' ? STRINGS : 0);
    return thing < THINGS && slice_eq(thing_name(thing, mem), n->key) ? thing : THINGS;
}

/* Without blanks; no two askings have one in common. */
static inline slice value_of(const struct asking *a, unsigned thing, struct buf *mem)
{
    bool json = !a->text && a->act != ASK_APPEND;
    buf_clear(mem);
    buf_printf(mem, json ? "{\"at\":%llu,\"of\":%u,\"pad\":\"" : "%llu.%u.", (unsigned long long)a->serial, thing);
    memset(buf_reserve(mem, a->pad), 'a' + (int)(a->serial % 26), a->pad);
    mem->n += a->pad;
    if (json) buf_add_str(mem, "\"}");
    return buf_slice(mem);
}

/* ---- what an asking writes, by the oracle as it stands ---- */

static inline const struct fact *stands(const struct world *w, const struct asking *a, unsigned thing)
{
    const struct fact *f = view_live(&w->o, &w->o.now, w->o.now.lineage[a->db], thing);
    return f && !is_due(f, a->now_ms) ? f : NULL;
}

static inline uint64_t seq_of(const struct world *w, const struct fact *f) { return (uint64_t)(f - w->o.fact); }

static inline void due_add(struct world *w, const struct asking *a, unsigned thing, struct due d)
{
    d.lineage = w->o.now.lineage[a->db];
    d.left = true;
    w->due[thing] = d;
    w->order[w->n_due++] = (uint16_t)thing;
}

static inline void expect_put(struct world *w, const struct asking *a)
{
    const struct fact *was;
    for (unsigned k = a->first; k < a->first + a->n && !a->text; k++)
        if ((was = stands(w, a, k)) && was->type != TYPE_DOCUMENT) return; /* refused as a whole */
    for (unsigned k = a->first; k < a->first + a->n; k++)
        due_add(w, a, k, (struct due){.op = NODE_PUT, .type = a->text ? TYPE_STRING : TYPE_DOCUMENT, .expire_ms = a->expire_ms});
}

static inline void expect_change(struct world *w, const struct asking *a, unsigned k)
{
    const struct fact *was = stands(w, a, k);
    uint8_t type = was ? was->type : TYPE_STRING;
    if (a->act == ASK_APPEND && type == TYPE_STRING)
        due_add(w, a, k, (struct due){.op = was ? NODE_EFFECT : NODE_PUT, .type = type, .expire_ms = was ? was->expire_ms : 0});
    if (a->act == ASK_EXPIRY && was && (a->expire_ms || was->expire_ms))
        due_add(w, a, k, (struct due){.op = NODE_META, .type = type, .expire_ms = a->expire_ms, .as = seq_of(w, was)});
    if (a->act == ASK_DELETE && was && (!a->documents || type == TYPE_DOCUMENT)) due_add(w, a, k, (struct due){.op = NODE_DELETE, .type = type});
}

static inline void expect_link(struct world *w, const struct asking *a)
{
    unsigned from = a->first - KEYS + STRINGS + LINK_FIRST;
    const struct fact *f = stands(w, a, from), *t = stands(w, a, from + 1);
    if (a->act == ASK_UNLINK && stands(w, a, a->first)) due_add(w, a, a->first, (struct due){.op = NODE_DELETE});
    if (a->act == ASK_LINK && f && f->type == TYPE_DOCUMENT && t && t->type == TYPE_DOCUMENT)
        due_add(w, a, a->first, (struct due){.op = NODE_PUT});
}

static inline void expect_revert(struct world *w, const struct asking *a)
{
    struct view then;
    view_at(&w->o, a->point, &then);
    for (unsigned k = 0; k < THINGS; k++) {
        if (!thing_starts(k, a->prefix, &w->name)) continue;
        const struct fact *t = view_live(&w->o, &then, then.lineage[a->db], k), *now = stands(w, a, k);
        if (t && (is_due(t, w->o.fact[a->point].ts_ms) || is_due(t, a->now_ms))) t = NULL;
        bool same = t && now && t->type == now->type && slice_eq(slice_of(t->value, t->n), slice_of(now->value, now->n));
        if (!t && now) due_add(w, a, k, (struct due){.op = NODE_DELETE, .type = now->type}), w->n_deleted++;
        if (t && !same) due_add(w, a, k, (struct due){.op = NODE_PUT, .type = t->type, .expire_ms = t->expire_ms, .as = seq_of(w, t)});
        if (same && t->expire_ms != now->expire_ms)
            due_add(w, a, k, (struct due){.op = NODE_META, .type = t->type, .expire_ms = t->expire_ms, .as = seq_of(w, now)});
    }
}

static inline void expect(struct world *w, const struct asking *a)
{
    w->n_due = w->n_left = w->n_deleted = 0;
    if (a->refused) return;
    switch (a->act) {
    case ASK_PUT: expect_put(w, a); break;
    case ASK_APPEND:
    case ASK_EXPIRY:
    case ASK_DELETE:
        for (unsigned k = a->first; k < a->first + a->n; k++) expect_change(w, a, k);
        break;
    case ASK_LINK:
    case ASK_UNLINK: expect_link(w, a); break;
    case ASK_FLUSH: due_add(w, a, NO_THING, (struct due){.op = NODE_FLUSH}); break;
    case ASK_SWAP: due_add(w, a, NO_THING, (struct due){.op = NODE_SWAP}); break;
    case ASK_RULE: due_add(w, a, NO_THING, (struct due){.op = NODE_PUT}); break;
    case ASK_REVERT: expect_revert(w, a); break;
    case ASK_NOTHING: break;
    }
    w->n_changed = w->n_due;
    if (a->dry) w->n_due = 0;
    w->n_left = w->n_due;
}

/* What was replied is what was expected a moment ago. */
static inline void check_reply(struct world *w, const struct asking *a)
{
    if (a->act != ASK_REVERT || !a->acknowledged) return;
    HOLDS(w, a->changed == (int64_t)w->n_changed && a->deleted == (int64_t)w->n_deleted && a->restored == a->changed - a->deleted);
    HOLDS(w, a->dry || a->changed == 0 || a->last_seq - a->first_seq + 1 == a->changed);
}

/* The whole value of a thing once the asking's node is there. */
static inline slice value_after(struct world *w, const struct asking *a, unsigned thing)
{
    const struct due *d = &w->due[thing];
    const struct fact *was = stands(w, a, thing);
    if (d->as) return slice_of(w->o.fact[d->as].value, w->o.fact[d->as].n);
    if (a->act != ASK_APPEND || !was) return value_of(a, thing, &w->value);
    struct buf bytes = {0};
    slice more = value_of(a, thing, &bytes);
    buf_clear(&w->value);
    buf_add(&w->value, was->value, was->n);
    buf_add_slice(&w->value, more);
    buf_fini(&bytes);
    return buf_slice(&w->value);
}

/* ---- the log ---- */

/* The thing of this node when the asking that is expected now may have written it so; else THINGS + 1. */
static inline unsigned fits(struct world *w, const struct asking *a, const struct node *n)
{
    unsigned thing = thing_of(n, &w->name);
    const struct due *d = &w->due[thing];
    if (w->n_left == 0 || !d->left) return THINGS + 1;
    if (thing == NO_THING) {
        bool rule = a->act == ASK_RULE && (n->space == SPACE_RETAIN || n->space == SPACE_TAG);
        return n->op == d->op && (rule || n->key.n == 0) ? thing : THINGS + 1;
    }
    bool effect = d->op == NODE_EFFECT;
    if ((n->op != d->op && !(effect && n->op == NODE_PUT)) || n->lineage != d->lineage || n->expire_ms != d->expire_ms) return THINGS + 1;
    if (n->op != NODE_DELETE && thing < KEYS && n->type != d->type) return THINGS + 1;
    return n->op != NODE_PUT || slice_eq(n->payload, value_after(w, a, thing)) ? thing : THINGS + 1;
}

static inline void due_clear(struct world *w)
{
    for (unsigned i = 0; i < w->n_due; i++) w->due[w->order[i]].left = false;
    w->n_due = w->n_left = 0;
}

/* Whose commit does this node begin? Askings of one client take their turns; those before it wrote nothing. */
static inline void take_up(struct world *w, const struct node *n)
{
    for (unsigned peer = 0; peer < 2 && !w->open; peer++) {
        for (unsigned i = 0; i < w->n_asked; i++) {
            struct asking *a = &w->asked[i];
            if (a->peer != peer || a->done) continue;
            expect(w, a);
            if (w->n_left && fits(w, a, n) <= THINGS) {
                for (unsigned k = 0; k < i; k++) w->asked[k].done |= w->asked[k].peer == peer;
                check_reply(w, a);
                w->open = a;
                w->open_first = n->seq - n->commit_pos;
                return;
            }
            bool writes = w->n_left > 0;
            due_clear(w);
            if (writes) break;
            a->idle = true;
        }
    }
}

static inline void learn_expired(struct world *w, const struct node *n)
{
    unsigned thing = thing_of(n, &w->name);
    const struct fact *was = thing < KEYS ? view_live(&w->o, &w->o.now, n->lineage, thing) : NULL;
    HOLDS(w, was && is_due(was, n->ts_ms)); /* only keys that are due are removed */
    struct fact f = {.op = NODE_EXPIRE, .type = was->type, .thing = (uint16_t)thing, .lineage = n->lineage, .ts_ms = n->ts_ms};
    struct fact *added = oracle_add(&w->o, f, n->seq - n->commit_pos);
    HOLDS(w, added->prev == n->prev && added->ver == n->ver);
}

static inline void learn_node(struct world *w, const struct node *n)
{
    if (n->op == NODE_EXPIRE) {
        learn_expired(w, n);
        return;
    }
    if (!w->open) take_up(w, n);
    struct asking *a = w->open;
    HOLDS(w, a != NULL); /* somebody asked for it */
    HOLDS(w, n->seq - n->commit_pos == w->open_first);
    unsigned thing = fits(w, a, n);
    HOLDS(w, thing <= THINGS);
    const struct due *d = &w->due[thing];
    struct fact f = {.op = d->op, .type = d->type, .thing = (uint16_t)thing, .lineage = d->lineage, .expire_ms = d->expire_ms, .ts_ms = n->ts_ms};
    if (thing == NO_THING) f.lineage = a->everywhere ? NODE_ALL_LINEAGES : d->lineage;
    if (a->act == ASK_SWAP) f.b = 1;
    if (a->act == ASK_RULE) f.op = NODE_SWAP; /* of a database with itself: of no interest to keys */
    if (thing != NO_THING && d->op != NODE_DELETE) {
        slice value = value_after(w, a, thing);
        f.value = mem_dup(value.p, value.n);
        f.n = value.n;
    }
    struct fact *added = oracle_add(&w->o, f, w->open_first);
    HOLDS(w, thing == NO_THING || (added->prev == n->prev && added->ver == n->ver));
    w->due[thing].left = false;
    if (--w->n_left > 0) return;
    due_clear(w);
    a->done = true;
    w->open = NULL;
    if (a->acknowledged) w->acknowledged = n->seq;
    HOLDS(w, !a->acknowledged || a->act != ASK_REVERT || (a->first_seq == (int64_t)w->open_first && a->last_seq == (int64_t)n->seq));
}

/* What is new in the log up to the end of a commit. */
static inline void learn(struct world *w, uint64_t upto)
{
    struct buf mem = {0};
    while (w->o.last < upto && !w->failed) {
        struct node n = {0};
        int rc = engine_read(w->e, w->o.last + 1, &mem, &n);
        if (rc != E_OK) w->failed = err_text(rc), w->line = __LINE__;
        if (!w->failed) learn_node(w, &n);
    }
    buf_fini(&mem);
    HOLDS(w, w->open == NULL); /* no commit by half */
}

/* Everything that was asked is settled: what is not in the log by now has written nothing. lost: acknowledged ones may be gone; running: none may. */
static inline void settle(struct world *w, bool lost, bool running)
{
    bool gone[2] = {false, false};
    for (unsigned i = 0; i < w->n_asked && !w->failed; i++) {
        struct asking *a = &w->asked[i];
        if (a->done || gone[a->peer]) continue;
        expect(w, a);
        gone[a->peer] = w->n_left > 0 && !(a->idle && a->changed == 0);
        if (w->n_left > 0 && !gone[a->peer]) w->n_changed = w->n_deleted = 0;
        due_clear(w);
        HOLDS(w, !gone[a->peer] || (!running && (lost || !a->acknowledged)));
        if (!gone[a->peer]) check_reply(w, a);
    }
    w->n_asked = 0;
}

#endif
