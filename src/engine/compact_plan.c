/* Choosing what compaction drops. compact_plan.h has the rules.
 *
 * One walk over all versions in index order; the versions of one key are collected (16 bytes each) and judged together. Whether a version's node is
 * still there is asked of the segment table, since earlier compactions leave entries in gaps. */
#include "engine/compact_plan.h"

#include "base/codec.h"
#include "base/mem.h"
#include "engine/books.h"
#include "engine/own.h"

#define SEGMENT_HEADER_BYTES 64
#define CANCEL_EVERY         4096

struct plan_version {
    uint64_t seq;
    uint32_t bytes;
    uint8_t op, type;
    bool token;   /* carries an idempotency token */
    bool partial; /* holds in an interval of valid time only: older versions show beside it */
    bool gone;
};

/* How far one key may be cut. */
struct reach {
    uint64_t versions; /* go when so many newer ones exist; UINT64_MAX = never for that */
    uint64_t before;   /* go when superseded at or before; 0 = never for that */
    uint64_t age_ms;   /* what `before` comes from, when it comes from a rule; else 0 */
};

struct plan_work {
    struct engine *e;
    struct compact_plan *p;
    const struct compact_options *o; /* NULL: resuming */
    bool (*cancelled)(void *ctx);
    void *cancel_ctx;
    uint64_t now_ms, steps;
    struct retain_rule age_of; /* the age looked up last, and where it reaches */
    uint64_t age_seq;
    uint64_t tokens_from; /* nodes with a token above this seq stay */
    uint64_t *tags;       /* ascending */
    size_t n_tags;
    uint64_t flushed[ENGINE_DATABASES_MAX]; /* newest flush of a lineage at base */
    struct seg_info *segments;
    uint64_t *seg_drops, *seg_drop_bytes;
    int64_t *seg_cut_bytes;
    size_t n_segments;
    /* the key being collected */
    struct buf key;
    uint8_t space;
    uint16_t lineage;
    struct plan_version *v;
    size_t n, cap;
};

/* ---- tags ---- */

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

/* A key that was a document at any time is kept as one: a string in its place must not take its history along. */
static bool ever_document(const struct plan_work *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->v[i].type == TYPE_DOCUMENT) return true;
    return false;
}

static int reach_of_key(struct plan_work *w, slice name, struct reach *r)
{
    const struct compact_options *o = w->o;
    *r = (struct reach){.versions = UINT64_MAX};
    if (o->keep_versions || o->before) {
        if (o->keep_versions) r->versions = o->keep_versions;
        r->before = o->before;
        return E_OK;
    }
    bool document = w->space == SPACE_LINK || ever_document(w);
    struct retain_rule keep;
    (void)engine_retain_of(w->e, name, document, &keep, NULL);
    if (keep.versions) r->versions = keep.versions;
    if (keep.age_ms == 0) return E_OK;
    r->age_ms = keep.age_ms;
    int rc = keep.age_ms == w->age_of.age_ms ? E_OK : seq_before_age(w, keep.age_ms, &w->age_seq);
    w->age_of.age_ms = rc == E_OK ? keep.age_ms : 0;
    if (rc == E_OK) r->before = w->age_seq;
    return rc;
}

static bool reached(const struct reach *r, uint64_t newer_versions, uint64_t superseded_at)
{
    return newer_versions >= r->versions || superseded_at <= r->before;
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
    w->p->drop_bytes += v->bytes;
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

/* It is superseded, and a rule will let it go one day. */
static void await(struct plan_work *w, const struct reach *r, const struct plan_version *v)
{
    struct compact_plan *p = w->p;
    if (r->age_ms == 0) return;
    p->waiting_bytes += v->bytes;
    if (p->waiting_ms == 0 || r->age_ms < p->waiting_ms) p->waiting_ms = r->age_ms;
}

/* Marks what goes; sets gone. Returns how many versions stay. */
static size_t judge_versions(struct plan_work *w, const struct reach *r, uint64_t *newest_superseded)
{
    uint64_t newer = UINT64_MAX, flush = w->lineage < ENGINE_DATABASES_MAX ? w->flushed[w->lineage] : 0, rank = 0;
    bool chain = false, chain_held = false, shows = false, flush_counted = false;
    size_t stay = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct plan_version *v = &w->v[i];
        uint64_t superseded = newer;
        if (flush > v->seq && !flush_counted) flush_counted = true, rank++;
        if (flush > v->seq && flush < superseded) superseded = flush;
        if (i == 0) *newest_superseded = superseded;
        bool may = !v->gone && superseded <= w->p->base && reached(r, rank, superseded);
        bool flushed_between = flush > v->seq && flush < newer; /* a flush behind the newer one is behind the tag that shows it, too */
        shows = (shows && !flushed_between) || pinned(w, v->seq, newer); /* at a tag's point, at some instant of valid time */
        bool tagged = shows || (v->token && v->seq > w->tokens_from);
        bool keep = !v->gone && (!may || tagged || chain);
        if (keep && !may && superseded != UINT64_MAX) await(w, r, v);
        if (keep && may) w->p->held += tagged || chain_held;
        if (may && !keep) {
            drop(w, v);
            v->gone = true;
        }
        stay += keep;
        if (keep) chain_held = may ? tagged || chain_held : false;
        chain = keep && !is_base(v->op);
        shows = shows && keep && (v->partial || chain);
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
    if (r->versions != 1 && head->seq > r->before) {
        await(w, r, head);
        return E_OK;
    }
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

/* Was a version superseded in its own commit? Then it showed at no point. But what is forgotten can have been anything below what is left. */
static int in_one_commit(struct plan_work *w, uint64_t seq, uint64_t newer, bool *yes)
{
    struct buf mem = {0};
    struct node n;
    ASSERT(seq < newer);
    *yes = false;
    if (compact_bit(w->p->forget, seq)) return E_OK;
    uint64_t first = 0, last;
    int rc = engine_read(w->e, newer, &mem, &n);
    if (rc == E_OK) first = newer - n.commit_pos;
    if (rc == E_PRUNED) rc = engine_commit_of(w->e, newer, &first, &last);
    *yes = rc == E_OK && first <= seq;
    buf_fini(&mem);
    return rc == E_PRUNED ? E_OK : rc; /* nothing of that commit is left: what superseded it raises the horizon further */
}

/* From which seq on can the key be told at every point? What is gone hides its points up to the version behind it, or up to the flush that hid it as long as
 * its entry stands. A key of which nothing is left is told from what raise_horizon said. */
static int raise_readable(struct plan_work *w)
{
    struct engine_horizons *h = &w->p->horizons;
    bool together = false;
    for (size_t i = 0; i < w->n; i++) {
        const struct plan_version *v = &w->v[i];
        if (!v->gone) continue;
        uint64_t again = i > 0 ? v[-1].seq : UINT64_MAX;
        if (!compact_bit(w->p->forget, v->seq)) {
            uint64_t flush = dbs_flushed_next(&w->e->fold->dbs, w->lineage, v->seq);
            again = flush < again ? flush : again;
        }
        if (again == UINT64_MAX || again <= h->readable) continue;
        int rc = in_one_commit(w, v->seq, again, &together);
        if (rc != E_OK) return rc;
        if (!together) h->readable = again;
    }
    if (h->keys > h->readable) h->readable = h->keys;
    return E_OK;
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
    if (rc == E_OK) {
        mark_forgotten(w);
        rc = raise_readable(w);
    }
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
    *pv = (struct plan_version){.seq = v->seq, .bytes = v->bytes, .op = v->op, .type = v->type, .token = (v->flags & NODE_IDEM) != 0, .partial = (v->flags & NODE_VALID) != 0};
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
    w->seg_cut_bytes = mem_zalloc((n + 1) * sizeof(int64_t));
    ASSERT(n > 0 || w->p->base == 0);
}

static uint64_t bytes_left(const struct plan_work *w, size_t i)
{
    uint64_t bytes = w->segments[i].bytes, gone = w->seg_drop_bytes[i];
    return bytes > gone ? bytes - gone : 0;
}

/* A cut commit says how long it was, in the record of its last node that stays. How many bytes that is more, or less, in one segment. */
struct cuts {
    const struct plan_work *w;
    bool marked; /* the segment may have some */
    bool stays;  /* of the commit at hand, something */
    int64_t bytes;
};

static int count_cut(void *ctx, uint64_t seq, bool more)
{
    struct cuts *c = ctx;
    bool gone = seq <= c->w->p->base && compact_bit(c->w->p->drop, seq), again;
    uint64_t cut = 0;
    if (!gone) c->stays = true;
    if (more) return E_OK;
    int rc = gone && c->marked ? seglog_rest(c->w->e->log, seq, &again, &cut) : E_OK;
    if (gone && c->stays) c->bytes += RECORD_CUT_BYTES;
    if (cut) c->bytes -= RECORD_CUT_BYTES;
    c->stays = false;
    return rc;
}

static int count_cuts(struct plan_work *w)
{
    int rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < w->n_segments; i++) {
        struct cuts c = {.w = w, .marked = w->segments[i].id.compacted};
        if (w->seg_drops[i]) rc = seglog_marks(w->e->log, w->segments[i].id.first_seq, count_cut, &c);
        w->seg_cut_bytes[i] = c.bytes;
    }
    return rc;
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
            for (size_t k = i; k < at; k++) p->bytes_after += (uint64_t)w->seg_cut_bytes[k];
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
    p->turn = named_turn(&e->fold->named); /* before the points: a tag that comes between is seen by whoever compares */
    w->tags = named_points(&e->fold->named, &w->n_tags);
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
    if (rc == E_OK) rc = fold_walk_versions(w->e->fold, s, visit, w);
    if (rc == E_OK) rc = judge_key(w);
    if (s) index_snap_close(&s);
    return rc;
}

int compact_plan_make(struct engine *e, const struct compact_options *o, uint64_t base, bool (*cancelled)(void *ctx), void *ctx,
                      struct compact_plan *out)
{
    ASSERT(e && o && out);
    ASSERT(o->keep_versions == 0 || o->before == 0);
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
        /* What is told as the oldest readable point must be one: not inside a commit. */
        out->horizons.readable = engine_round_up(e, out->horizons.readable);
        rc = count_cuts(w);
        if (rc == E_OK) group_segments(w, e->own->opt.segment_bytes);
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
        mem_free(w->tags);
        mem_free(w->segments);
        mem_free(w->seg_drops);
        mem_free(w->seg_drop_bytes);
        mem_free(w->seg_cut_bytes);
        mem_free(w->v);
        buf_fini(&w->key);
        mem_free(w);
    }
    mem_free(p->drop);
    mem_free(p->forget);
    mem_free(p->groups);
    *p = (struct compact_plan){0};
}
