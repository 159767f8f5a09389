/* Choosing what compaction drops. compact_plan.h has the rules.
 *
 * One walk over all versions in index order; the versions of one key are collected (16 bytes each) and judged together. Whether a version's node is
 * still there is asked of the segment table, since earlier compactions leave entries in gaps. */
#include "engine/compact_plan.h"

#include "base/codec.h"
#include "base/glob.h"
#include "base/mem.h"
#include "engine/own.h"
#include "engine/ranges.h"

#include <stdlib.h>

#define SEGMENT_HEADER_BYTES 64
#define CANCEL_EVERY         4096
#define RULES_MAX            (1u << 16)
#define TAGS_MAX             (1u << 20)

struct plan_rule {
    struct buf pattern;
    struct retain_rule keep;
};

struct plan_version {
    uint64_t seq;
    uint32_t bytes;
    uint8_t op, type;
    bool token; /* carries an idempotency token */
    bool gone;
};

/* How far one key may be cut. */
struct reach {
    uint64_t versions; /* go when so many newer ones exist; UINT64_MAX = never for that */
    uint64_t before;   /* go when superseded at or before; 0 = never for that */
    bool both;         /* KEEP together with BEFORE: both must hold */
};

struct plan_work {
    struct engine *e;
    struct compact_plan *p;
    const struct compact_options *o; /* NULL: resuming */
    bool (*cancelled)(void *ctx);
    void *cancel_ctx;
    uint64_t now_ms, steps;
    struct plan_rule *rules;
    size_t n_rules;
    uint64_t tokens_from; /* nodes with a token above this seq stay */
    uint64_t *tags;       /* ascending */
    size_t n_tags;
    uint64_t flushed[ENGINE_DATABASES_MAX]; /* newest flush of a lineage at base */
    struct seg_info *segments;
    uint64_t *seg_drops, *seg_drop_bytes;
    size_t n_segments;
    /* the key being collected */
    struct buf key;
    uint8_t space;
    uint16_t lineage;
    struct plan_version *v;
    size_t n, cap;
};

/* ---- tags and rules ---- */

static int add_tag(struct plan_work *w, slice payload)
{
    if (payload.n != 8) return err_note(E_CORRUPT, "a tag holds %zu bytes", payload.n);
    if (w->n_tags >= TAGS_MAX) return E_TOOBIG;
    if ((w->n_tags & (w->n_tags - 1)) == 0) w->tags = mem_realloc(w->tags, (w->n_tags ? w->n_tags * 2 : 1) * sizeof(*w->tags));
    w->tags[w->n_tags++] = get_u64(payload.p);
    return E_OK;
}

static int add_rule(struct plan_work *w, slice pattern, slice payload)
{
    if (payload.n != 16) return err_note(E_CORRUPT, "a retention rule holds %zu bytes", payload.n);
    if (w->n_rules >= RULES_MAX) return E_TOOBIG;
    if ((w->n_rules & (w->n_rules - 1)) == 0)
        w->rules = mem_realloc(w->rules, (w->n_rules ? w->n_rules * 2 : 1) * sizeof(*w->rules));
    struct plan_rule *r = &w->rules[w->n_rules++];
    *r = (struct plan_rule){.keep = {.versions = get_u64(payload.p), .age_ms = get_u64(payload.p + 8)}};
    buf_add_slice(&r->pattern, pattern);
    return E_OK;
}

static int add_thing(struct plan_work *w, uint8_t space, slice key, uint64_t seq)
{
    struct buf mem = {0};
    struct node n;
    int rc = engine_read(w->e, seq, &mem, &n);
    if (rc == E_OK && node_is_live(&n)) rc = space == SPACE_TAG ? add_tag(w, n.payload) : add_rule(w, key, n.payload);
    buf_fini(&mem);
    return rc;
}

static int order_u64(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The newest version of everything in one of the store's own spaces. */
static int load_things(struct plan_work *w, struct index_snap *s, uint8_t space)
{
    const uint8_t lower[] = {RANGE_VERSION, space}, upper[] = {RANGE_VERSION, (uint8_t)(space + 1)};
    struct index_iter *it = NULL;
    struct buf last = {0};
    int rc = index_iter_open(s, slice_of(lower, 2), slice_of(upper, 2), &it);
    if (rc == E_OK) rc = index_seek(it, slice_of(lower, 2));
    while (rc == E_OK) {
        uint8_t sp;
        uint16_t lineage;
        slice key, entry = index_key(it);
        uint64_t seq;
        rc = range_version_parse(entry, &sp, &lineage, &key, &seq);
        slice head = slice_of(entry.p, entry.n - 8);
        if (rc == E_OK && !slice_eq(head, buf_slice(&last))) {
            buf_clear(&last);
            buf_add_slice(&last, head);
            rc = add_thing(w, space, key, seq);
        }
        if (rc == E_OK) rc = index_next(it);
    }
    if (it) index_iter_close(&it);
    buf_fini(&last);
    return rc == E_END ? E_OK : rc;
}

static bool pinned(const struct plan_work *w, uint64_t seq, uint64_t newer)
{
    size_t lo = 0, hi = w->n_tags;
    while (lo < hi) { /* first tag at or above seq */
        size_t mid = (lo + hi) / 2;
        if (w->tags[mid] < seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < w->n_tags && w->tags[lo] < newer;
}

/* ---- one key ---- */

static bool is_tombstone(uint8_t op)
{
    return op == NODE_DELETE || op == NODE_EXPIRE;
}
static bool is_base(uint8_t op)
{
    return op == NODE_PUT || is_tombstone(op);
}

static int seq_before_age(struct plan_work *w, uint64_t age_ms, uint64_t *seq)
{
    *seq = 0;
    if (age_ms == 0 || age_ms >= w->now_ms) return E_OK;
    return fold_seq_by_time(w->e->fold, w->now_ms - age_ms, seq);
}

/* The name that patterns and PREFIX are compared with: a link belongs to the key it starts from. */
static int key_name(const struct plan_work *w, slice *name)
{
    slice rel, to;
    *name = buf_slice(&w->key);
    return w->space == SPACE_LINK ? link_key_parse(buf_slice(&w->key), name, &rel, &to) : E_OK;
}

/* Of the newest version that has one: a tombstone need not. */
static uint8_t key_type(const struct plan_work *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->v[i].type != TYPE_NONE) return w->v[i].type;
    return TYPE_NONE;
}

static int reach_of_key(struct plan_work *w, slice name, struct reach *r)
{
    const struct compact_options *o = w->o;
    *r = (struct reach){.versions = UINT64_MAX};
    if (o->keep_versions || o->before) {
        if (o->keep_versions) r->versions = o->keep_versions;
        r->before = o->before;
        r->both = o->keep_versions && o->before;
        return E_OK;
    }
    bool document = w->space == SPACE_LINK || key_type(w) == TYPE_DOCUMENT;
    struct retain_rule keep = document ? o->documents_default : o->keys_default;
    size_t longest = 0;
    for (size_t i = 0; i < w->n_rules; i++) {
        const struct plan_rule *rule = &w->rules[i];
        if (rule->pattern.n + 1 <= longest || !glob_match(buf_slice(&rule->pattern), name, false)) continue;
        longest = rule->pattern.n + 1;
        keep = rule->keep;
    }
    if (keep.versions) r->versions = keep.versions;
    return seq_before_age(w, keep.age_ms, &r->before);
}

static bool reached(const struct reach *r, uint64_t newer_versions, uint64_t superseded_at)
{
    bool by_count = newer_versions >= r->versions, by_point = superseded_at <= r->before;
    return r->both ? by_count && by_point : by_count || by_point;
}

static size_t segment_of(const struct plan_work *w, uint64_t seq)
{
    size_t lo = 0, hi = w->n_segments;
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (w->segments[mid].id.first_seq <= seq)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* Does it count for who asks for documents and links only? A tombstone need not say what it ended. */
static bool is_document(const struct plan_work *w, const struct plan_version *v)
{
    return w->space == SPACE_LINK || v->type == TYPE_DOCUMENT || (v->type == TYPE_NONE && key_type(w) == TYPE_DOCUMENT);
}

static void drop(struct plan_work *w, const struct plan_version *v)
{
    bool document = is_document(w, v);
    ASSERT(v->seq > 0 && v->seq <= w->p->base);
    ASSERT(w->n_segments > 0);
    size_t s = segment_of(w, v->seq);
    w->p->drop[v->seq >> 3] |= (uint8_t)(1u << (v->seq & 7));
    w->p->dropped++;
    struct engine_horizons *h = &w->p->horizons;
    if (v->seq > h->changes) h->changes = v->seq;
    if (document && v->seq > h->document_changes) h->document_changes = v->seq;
    w->seg_drops[s]++;
    w->seg_drop_bytes[s] += v->bytes;
}

/* Was the key ever a document? Its transitions tell as long as anything of it is left. */
static int was_document(struct plan_work *w, bool *yes)
{
    struct buf from = {0}, found = {0}, value = {0}, key = {0};
    uint64_t seq;
    *yes = w->space == SPACE_LINK || key_type(w) == TYPE_DOCUMENT;
    if (*yes) return E_OK;
    range_doc(&from, w->lineage, buf_slice(&w->key), UINT64_MAX);
    int rc = index_first_now(w->e->index, INDEX_ALL, buf_slice(&from), 0, &found, &value);
    if (rc == E_OK && found.n > 3 && found.p[0] == RANGE_DOC && get_be16(found.p + 1) == w->lineage) {
        rc = range_doc_parse(buf_slice(&found), &key, &seq);
        *yes = rc == E_OK && slice_eq(buf_slice(&key), buf_slice(&w->key));
    }
    buf_fini(&from), buf_fini(&found), buf_fini(&value), buf_fini(&key);
    return rc == E_NOTFOUND ? E_OK : rc;
}

/* Nothing of the key will be left that could say what it was before seq. */
static int raise_horizon(struct plan_work *w, uint64_t seq)
{
    struct engine_horizons *h = &w->p->horizons;
    bool document = false;
    int rc = seq > h->documents ? was_document(w, &document) : E_OK;
    if (seq > h->keys) h->keys = seq;
    if (document) h->documents = seq;
    return rc;
}

/* Marks what goes; sets gone. Returns how many versions stay. */
static size_t judge_versions(struct plan_work *w, const struct reach *r, uint64_t *newest_superseded)
{
    uint64_t newer = UINT64_MAX, flush = w->lineage < ENGINE_DATABASES_MAX ? w->flushed[w->lineage] : 0, rank = 0;
    bool chain = false, chain_held = false, flush_counted = false;
    size_t stay = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct plan_version *v = &w->v[i];
        uint64_t superseded = newer;
        if (flush > v->seq && !flush_counted) flush_counted = true, rank++;
        if (flush > v->seq && flush < superseded) superseded = flush;
        if (i == 0) *newest_superseded = superseded;
        bool may = !v->gone && superseded <= w->p->base && reached(r, rank, superseded);
        bool tagged = pinned(w, v->seq, newer) || (v->token && v->seq > w->tokens_from);
        bool keep = !v->gone && (!may || tagged || chain);
        if (keep && may) w->p->held += tagged || chain_held;
        if (may && !keep) {
            drop(w, v);
            v->gone = true;
        }
        stay += keep;
        if (keep) chain_held = may ? tagged || chain_held : false;
        chain = keep && !is_base(v->op);
        newer = v->seq;
        rank++;
    }
    return stay;
}

/* The last thing left of a key is its tombstone: may that go too? Not a document's: its version numbers and hashes go on from there. */
static int judge_tombstone(struct plan_work *w, const struct reach *r)
{
    struct plan_version *head = &w->v[0];
    if (head->type == TYPE_DOCUMENT || w->space == SPACE_LINK || (head->token && head->seq > w->tokens_from)) return E_OK;
    if (head->gone || !is_tombstone(head->op) || head->seq > w->p->base || pinned(w, head->seq, UINT64_MAX)) return E_OK;
    bool by_count = r->versions == 1, by_point = head->seq <= r->before;
    if (r->both ? !(by_count && by_point) : !(by_count || by_point)) return E_OK;
    drop(w, head);
    head->gone = true;
    return raise_horizon(w, head->seq);
}

/* From the oldest upward: what is gone and has nothing standing below it. */
static void mark_forgotten(struct plan_work *w)
{
    for (size_t i = w->n; i-- > 0 && w->v[i].gone;) {
        uint64_t seq = w->v[i].seq;
        ASSERT(seq <= w->p->base);
        w->p->forget[seq >> 3] |= (uint8_t)(1u << (seq & 7));
    }
}

static int judge_key(struct plan_work *w)
{
    if (w->n == 0) return E_OK;
    slice name;
    struct reach r;
    uint64_t superseded = UINT64_MAX;
    int rc = key_name(w, &name);
    if (rc == E_OK && w->o && slice_starts(name, w->o->prefix)) {
        rc = reach_of_key(w, name, &r);
        if (rc == E_OK) {
            size_t stay = judge_versions(w, &r, &superseded);
            if (stay == 0 && superseded != UINT64_MAX) rc = raise_horizon(w, superseded); /* the flush that hid it is all that tells */
            if (stay == 1) rc = judge_tombstone(w, &r);
        }
    }
    if (rc == E_OK) mark_forgotten(w);
    w->n = 0;
    return rc;
}

static int is_gone(struct plan_work *w, uint64_t seq, bool *gone)
{
    bool more;
    *gone = false;
    if (seq > w->p->base) return E_OK;
    /* Nothing is gone from a segment that no compaction has been at; resuming, there is no list to tell. */
    if (w->n_segments && !w->segments[segment_of(w, seq)].id.compacted) return E_OK;
    int rc = seglog_more(w->e->log, seq, &more);
    *gone = rc == E_PRUNED;
    return rc == E_PRUNED ? E_OK : rc;
}

static int visit(void *ctx, uint8_t space, uint16_t lineage, slice key, const struct version *v)
{
    struct plan_work *w = ctx;
    int rc = E_OK;
    if (space != SPACE_KEY && space != SPACE_LINK) return E_OK;
    if (++w->steps % CANCEL_EVERY == 0 && w->cancelled && w->cancelled(w->cancel_ctx)) return E_CANCELLED;
    if (w->n && (space != w->space || lineage != w->lineage || !slice_eq(key, buf_slice(&w->key)))) rc = judge_key(w);
    if (rc < 0) return rc;
    if (w->n == 0) {
        buf_clear(&w->key);
        buf_add_slice(&w->key, key);
        w->space = space;
        w->lineage = lineage;
    }
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->v = mem_realloc(w->v, w->cap * sizeof(*w->v));
    }
    struct plan_version *pv = &w->v[w->n++];
    *pv = (struct plan_version){.seq = v->seq, .bytes = v->bytes, .op = v->op, .type = v->type, .token = (v->flags & NODE_IDEM) != 0};
    return is_gone(w, v->seq, &pv->gone);
}

/* ---- segments ---- */

static void list_segments(struct plan_work *w)
{
    size_t room = 0, n = 16;
    while (n > room) {
        room = n + 16;
        w->segments = mem_realloc(w->segments, room * sizeof(*w->segments));
        n = seglog_segments(w->e->log, w->segments, room);
    }
    w->n_segments = n;
    w->seg_drops = mem_zalloc((n + 1) * sizeof(uint64_t));
    w->seg_drop_bytes = mem_zalloc((n + 1) * sizeof(uint64_t));
    ASSERT(n > 0 || w->p->base == 0);
}

static uint64_t bytes_left(const struct plan_work *w, size_t i)
{
    uint64_t bytes = w->segments[i].bytes, gone = w->seg_drop_bytes[i];
    return bytes > gone ? bytes - gone : 0;
}

/* Worth joining to a neighbour: something goes from it, or it is a small rest of an earlier compaction. Nodes above base are copied along. */
static bool joins(const struct plan_work *w, size_t i, uint64_t segment_bytes)
{
    return w->seg_drops[i] || (w->segments[i].sealed && w->segments[i].id.compacted && w->segments[i].bytes < segment_bytes / 2);
}

static void group_segments(struct plan_work *w, uint64_t segment_bytes)
{
    struct compact_plan *p = w->p;
    p->groups = mem_zalloc((w->n_segments + 1) * sizeof(*p->groups));
    for (size_t i = 0; i < w->n_segments;) {
        struct compact_group g = {.first_seq = w->segments[i].id.first_seq};
        uint64_t left = 0;
        size_t at = i;
        while (at < w->n_segments && joins(w, at, segment_bytes) && (at == i || left + bytes_left(w, at) <= segment_bytes)) {
            left += bytes_left(w, at);
            g.last_seq = w->segments[at].last_seq;
            g.nodes += w->segments[at].nodes;
            g.bytes += w->segments[at].bytes;
            g.drops += w->seg_drops[at];
            g.drop_bytes += w->seg_drop_bytes[at];
            g.with_tail = !w->segments[at].sealed;
            g.segments++;
            at++;
        }
        if (g.drops || g.segments > 1) {
            p->groups[p->n_groups++] = g;
            p->bytes_after += g.bytes - g.drop_bytes - (g.segments - 1) * SEGMENT_HEADER_BYTES;
            p->bytes_after += g.with_tail ? SEGMENT_HEADER_BYTES : 0;
        } else {
            if (at == i) at++;
            for (size_t k = i; k < at; k++) p->bytes_after += w->segments[k].bytes;
        }
        i = at;
    }
}

/* ---- the whole ---- */

static struct plan_work *work_new(struct engine *e, const struct compact_options *o, struct compact_plan *p)
{
    struct plan_work *w = mem_zalloc(sizeof(*w));
    size_t bytes = (size_t)(p->base >> 3) + 1;
    w->e = e;
    w->o = o;
    w->p = p;
    w->now_ms = engine_now_ms(e);
    p->drop = mem_zalloc(bytes);
    p->forget = mem_zalloc(bytes);
    p->work = w;
    for (unsigned db = 0; db < ENGINE_DATABASES_MAX; db++) {
        struct db_view view;
        engine_db_at(e, (uint16_t)db, p->base, &view);
        ASSERT(view.lineage < ENGINE_DATABASES_MAX);
        w->flushed[view.lineage] = view.flushed;
    }
    return w;
}

static int walk(struct plan_work *w)
{
    struct index_snap *s = NULL;
    int rc = index_snapshot(w->e->index, INDEX_ALL, &s);
    if (rc == E_OK) rc = seq_before_age(w, ENGINE_TOKEN_WINDOW_MS, &w->tokens_from);
    if (rc == E_OK && w->o) rc = load_things(w, s, SPACE_TAG);
    if (rc == E_OK && w->o) rc = load_things(w, s, SPACE_RETAIN);
    if (w->n_tags) qsort(w->tags, w->n_tags, sizeof(*w->tags), order_u64);
    if (rc == E_OK) rc = fold_walk_versions(w->e->fold, s, visit, w);
    if (rc == E_OK) rc = judge_key(w);
    if (s) index_snap_close(&s);
    return rc;
}

int compact_plan_make(struct engine *e, const struct compact_options *o, uint64_t base, bool (*cancelled)(void *ctx), void *ctx,
                      struct compact_plan *out)
{
    ASSERT(e && o && out);
    ASSERT(base <= engine_tree_size(e));
    *out = (struct compact_plan){.base = base};
    engine_get_horizons(e, &out->horizons);
    struct plan_work *w = work_new(e, o, out);
    w->cancelled = cancelled;
    w->cancel_ctx = ctx;
    list_segments(w);
    int rc = walk(w);
    if (rc == E_OK) {
        uint64_t nodes = 0;
        for (size_t i = 0; i < w->n_segments; i++) {
            nodes += w->segments[i].nodes;
            out->bytes_before += w->segments[i].bytes;
        }
        out->live = nodes > out->dropped ? nodes - out->dropped : 0;
        group_segments(w, e->own->opt.segment_bytes);
    }
    if (rc < 0) compact_plan_fini(out);
    return rc;
}

int compact_plan_resume(struct engine *e, uint64_t base, struct compact_plan *out)
{
    ASSERT(e && out);
    ASSERT(base <= engine_tree_size(e));
    *out = (struct compact_plan){.base = base};
    engine_get_horizons(e, &out->horizons);
    int rc = walk(work_new(e, NULL, out));
    if (rc < 0) compact_plan_fini(out);
    return rc;
}

void compact_plan_fini(struct compact_plan *p)
{
    ASSERT(p);
    struct plan_work *w = p->work;
    if (w) {
        for (size_t i = 0; i < w->n_rules; i++) buf_fini(&w->rules[i].pattern);
        mem_free(w->rules);
        mem_free(w->tags);
        mem_free(w->segments);
        mem_free(w->seg_drops);
        mem_free(w->seg_drop_bytes);
        mem_free(w->v);
        buf_fini(&w->key);
        mem_free(w);
    }
    mem_free(p->drop);
    mem_free(p->forget);
    mem_free(p->groups);
    *p = (struct compact_plan){0};
}
