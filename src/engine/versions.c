/* Versions of a key: found by a search of the index, never by walking.
 *
 * The V range holds every version of a key side by side, newest first (ranges.h), so "newest at or before P" is the first entry from
 * (key, P) on. A miss costs one more look: only when the key has versions, all newer than P, is the oldest of them read, to tell
 * "did not exist yet" from "dropped by compaction".
 *
 * Threads: any. The probe buffers belong to the calling thread and are kept between calls, so a hit allocates nothing. */
#include "base/mem.h"
#include "engine/books.h"

#define BASE_PROBES 8 /* look-ups before the search for a base goes on with an iterator */

struct version_cursor {
    struct index_iter *it;
    uint64_t from, to;
    bool oldest_first, started;
    struct buf newest; /* the V key of `to` */
};

/* Name of the key as every look-up here takes it. */
struct thing {
    uint8_t space;
    uint16_t lineage;
    slice key;
};

static bool op_is_base(uint8_t op)
{
    return op == NODE_PUT || op == NODE_DELETE || op == NODE_EXPIRE;
}

static int parse_entry(slice entry, slice value, struct version *out)
{
    if (entry.n < RANGE_VERSION_HEAD + 8) return err_note(E_CORRUPT, "a version's index key is too short");
    return range_version_parse_value(value, ~get_be64(entry.p + entry.n - 8), out);
}

/* probe holds the V key of the thing with any seq; looks for its newest version at or before `at`. */
static int probe_at(struct engine *e, enum index_scope scope, struct buf *probe, uint64_t at, struct version *out)
{
    ASSERT(probe->n >= RANGE_VERSION_HEAD + 8);
    put_be64(probe->p + probe->n - 8, ~at);
    struct buf *found = probe_buf(PROBE_FOUND), *value = probe_buf(PROBE_VALUE);
    int rc = index_newest_now(e->index, scope, buf_slice(probe), probe->n - 8, found, value);
    return rc ? rc : parse_entry(buf_slice(found), buf_slice(value), out);
}

/* The same for the fold, which may be going once more over what runs have from before a crash: they can be ahead of it. */
static int probe_folding(struct engine *e, struct buf *probe, struct version *out)
{
    struct buf *found = probe_buf(PROBE_FOUND), *value = probe_buf(PROBE_VALUE);
    int rc = index_first_now(e->index, INDEX_ALL, buf_slice(probe), probe->n - 8, found, value);
    return rc ? rc : parse_entry(buf_slice(found), buf_slice(value), out);
}

/* Opens an iterator over all versions of the thing that `probe` names. */
static int iter_versions(struct engine *e, const struct buf *probe, uint64_t newest, uint64_t oldest, struct index_iter **out)
{
    struct index_snap *s = NULL;
    struct buf lower = {0}, upper = {0};
    ASSERT(oldest <= newest);
    buf_add(&lower, probe->p, probe->n);
    put_be64(lower.p + lower.n - 8, ~newest);
    buf_add(&upper, probe->p, probe->n);
    put_be64(upper.p + upper.n - 8, ~oldest);
    buf_add_byte(&upper, 0); /* just behind the oldest */
    int rc = index_snapshot(e->index, INDEX_ALL, &s);
    if (!rc) rc = index_iter_open(s, buf_slice(&lower), buf_slice(&upper), out);
    index_snap_close(&s);
    buf_fini(&lower);
    buf_fini(&upper);
    return rc;
}

static uint64_t horizon_of(struct engine *e, unsigned which)
{
    return book_get(&e->fold->horizon[which]);
}

/* Above the horizon of changes nothing was dropped. */
bool version_is_dropped(struct engine *e, uint64_t seq)
{
    ASSERT(e && seq > 0);
    bool more;
    return seq <= horizon_of(e, HORIZON_CHANGES) && seglog_more(e->log, seq, &more) == E_PRUNED;
}

/* The oldest version whose node is there. Entries below it are left only while a compaction has not come to forgetting them. */
static int oldest_version(struct engine *e, const struct buf *probe, struct version *out)
{
    struct index_iter *it = NULL;
    int rc = iter_versions(e, probe, UINT64_MAX, 0, &it);
    if (!rc) rc = index_seek_last(it);
    if (!rc) rc = parse_entry(index_key(it), index_value(it), out);
    while (!rc && version_is_dropped(e, out->seq)) {
        rc = index_prev(it);
        if (!rc) rc = parse_entry(index_key(it), index_value(it), out);
    }
    index_iter_close(&it);
    return rc == E_END ? E_NOTFOUND : rc;
}

/* Below which seq may a thing of this space have come and gone without a trace? Tags, rules and definitions are never dropped. */
static uint64_t trace_horizon(struct engine *e, uint8_t space)
{
    if (space == SPACE_KEY) return horizon_of(e, HORIZON_KEYS);
    return space == SPACE_LINK ? horizon_of(e, HORIZON_DOCUMENTS) : 0;
}

/* v is gone, and what stands here is its own entry: no version lies between it and `at`. Is there a flush, which hid whatever it said? */
static bool is_flushed(struct engine *e, uint8_t space, uint16_t lineage, const struct version *v, uint64_t at)
{
    if ((space != SPACE_KEY && space != SPACE_LINK) || (v->flags & RANGE_VERSION_GAP)) return false;
    return dbs_flushed(&e->fold->dbs, lineage, at) > v->seq;
}

/* The oldest version that is there; where that is the first one, and the point from which on it is known that nothing was before, the lower of them. */
static int oldest_readable(struct engine *e, uint8_t space, const struct buf *probe, struct version *out)
{
    uint64_t horizon = trace_horizon(e, space);
    int rc = oldest_version(e, probe, out);
    bool unknown = rc == E_NOTFOUND || (!rc && out->ver <= 1 && horizon > 0 && horizon < out->seq);
    if (unknown) *out = (struct version){.seq = horizon};
    return rc == E_NOTFOUND ? E_OK : rc;
}

/* Nothing at or before `at`: because nothing was, or because it was dropped? */
static int judge_miss(struct engine *e, uint8_t space, struct buf *probe, uint64_t at, struct version *out)
{
    struct version v;
    uint64_t all = horizon_of(e, HORIZON_READABLE);
    /* From that horizon on, whatever was dropped had been followed by then: what held is there, or the key was absent. */
    if (at == UINT64_MAX || (all > 0 && at >= all)) return E_NOTFOUND;
    int rc = probe_at(e, INDEX_ALL, probe, UINT64_MAX, &v);
    if (!rc) rc = oldest_readable(e, space, probe, &v);
    if (rc == E_NOTFOUND) v = (struct version){.seq = trace_horizon(e, space)};
    if (rc && rc != E_NOTFOUND) return rc;
    if (v.ver <= 1 && at >= trace_horizon(e, space)) return E_NOTFOUND;
    *out = v;
    return E_PRUNED;
}

/* The next newer entry of the thing whose V key with *v's seq is in probe. */
static int next_newer(struct engine *e, struct buf *probe, const struct version *v, struct version *out)
{
    struct index_iter *it = NULL;
    put_be64(probe->p + probe->n - 8, ~v->seq);
    int rc = iter_versions(e, probe, UINT64_MAX, v->seq, &it);
    if (!rc) rc = index_seek_before(it, buf_slice(probe));
    if (!rc) rc = parse_entry(index_key(it), index_value(it), out);
    index_iter_close(&it);
    return rc;
}

/* v is what was found at `at`, and versions behind it are gone, nobody knows where. It is known to hold to the end of its own commit, and up to a
 * tag that stands and was set on what was the newest point then: it would have held them, had they been older than that. */
static int judge_gap(struct engine *e, const struct thing *t, struct buf *probe, uint64_t at, struct version *v)
{
    uint64_t first, last = v->seq, end = dbs_flushed(&e->fold->dbs, t->lineage, UINT64_MAX);
    struct version newer;
    bool whole = true;
    int rc = at > v->seq ? engine_commit_of(e, v->seq, &first, &last) : E_OK;
    if (rc == E_OK && at > v->seq && at <= last) rc = seglog_whole(e->log, v->seq, last, &whole); /* what is gone may be of its own commit */
    if (rc == E_PRUNED) rc = E_OK;                                                                /* it is gone itself: whoever reads it is told */
    if (rc || (at <= last && whole)) return rc;
    rc = next_newer(e, probe, v, &newer);
    if (!rc) end = newer.seq;
    if (rc && rc != E_END && rc != E_NOTFOUND) return rc;
    if (rc && at >= end && at >= trace_horizon(e, t->space)) return E_OK; /* it is the newest, and a flush hides whatever was there */
    if (named_holds(&e->fold->named, at, end)) return E_OK;
    rc = oldest_version(e, probe, v);
    return rc ? rc : E_PRUNED;
}

/* The base at or before *out, which is no base. */
static int find_base(struct engine *e, enum index_scope scope, struct buf *probe, struct version *out)
{
    struct version v = *out;
    struct index_iter *it = NULL;
    int rc = E_OK;
    for (int i = 0; i < BASE_PROBES && !rc && !op_is_base(v.op); i++)
        rc = v.seq ? probe_at(e, scope, probe, v.seq - 1, &v) : E_NOTFOUND;
    if (!rc && !op_is_base(v.op)) {
        put_be64(probe->p + probe->n - 8, ~v.seq);
        rc = iter_versions(e, probe, v.seq, 0, &it);
        for (int step = rc ? rc : index_seek(it, buf_slice(probe)); !rc; step = index_next(it)) {
            rc = step ? step : parse_entry(index_key(it), index_value(it), &v);
            if (!rc && op_is_base(v.op)) break;
        }
        index_iter_close(&it);
    }
    if (rc == E_NOTFOUND || rc == E_END) { /* effects without the base they start from: it was dropped */
        rc = oldest_version(e, probe, out);
        return rc ? rc : E_PRUNED;
    }
    if (!rc) *out = v;
    return rc;
}

int engine_find(struct engine *e, uint8_t space, uint16_t lineage, slice key, uint64_t at, unsigned flags, struct version *out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    if (key.n > NODE_KEY_MAX) return E_NOTFOUND;
    uint8_t stack[RANGE_PROBE_BYTES];
    bool small = RANGE_VERSION_HEAD + key.n + 8 <= sizeof stack;
    struct buf on_stack = {.p = stack, .cap = sizeof stack}, *probe = small ? &on_stack : probe_buf(PROBE_KEY);
    enum index_scope scope = flags & FIND_RUNS_ONLY ? INDEX_RUNS_ONLY : INDEX_ALL;
    struct version v;
    range_version(probe, &e->seed, space, lineage, key, at);
    int rc = flags & FIND_ENTRY ? probe_folding(e, probe, &v) : probe_at(e, scope, probe, at, &v);
    if (rc == E_NOTFOUND) return judge_miss(e, space, probe, at, out);
    if (!rc && at != UINT64_MAX && !(flags & FIND_ENTRY) && __builtin_expect(version_is_dropped(e, v.seq), 0)) {
        *out = v;
        if (!(flags & FIND_BASE) && is_flushed(e, space, lineage, &v, at)) return E_OK;
        rc = oldest_readable(e, space, probe, &v);
        if (!rc) *out = v;
        return rc ? rc : E_PRUNED;
    }
    if (!rc && __builtin_expect(v.flags & RANGE_VERSION_GAP, 0)) {
        v.flags &= (uint16_t)~RANGE_VERSION_GAP;
        rc = judge_gap(e, &(struct thing){space, lineage, key}, probe, at, &v);
        if (rc == E_PRUNED) *out = v;
    }
    if (!rc && (flags & FIND_BASE) && !op_is_base(v.op)) {
        rc = find_base(e, scope, probe, &v);
        if (rc == E_PRUNED) *out = v;
    }
    if (!rc) *out = v;
    return rc;
}

/* ---- all versions ---- */

int engine_versions(struct engine *e, uint8_t space, uint16_t lineage, slice key, uint64_t from, uint64_t to, bool oldest_first,
                    struct version_cursor **out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    struct buf *probe = probe_buf(PROBE_KEY);
    struct version_cursor *c = mem_zalloc(sizeof *c);
    c->from = from;
    c->to = to;
    c->oldest_first = oldest_first;
    if (key.n > NODE_KEY_MAX) {
        *out = c;
        return E_OK;
    }
    range_version(probe, &e->seed, space, lineage, key, to);
    buf_add(&c->newest, probe->p, probe->n);
    int rc = from <= to ? iter_versions(e, probe, to, from, &c->it) : E_OK;
    if (rc) {
        version_close(&c);
        return rc;
    }
    *out = c;
    return E_OK;
}

int version_next(struct version_cursor *c, struct version *out)
{
    ASSERT(c && out);
    int rc;
    if (!c->it) return E_END;
    if (c->started)
        rc = c->oldest_first ? index_prev(c->it) : index_next(c->it);
    else
        rc = c->oldest_first ? index_seek_last(c->it) : index_seek(c->it, buf_slice(&c->newest));
    c->started = true;
    if (rc) {
        if (rc == E_END) index_iter_close(&c->it);
        return rc;
    }
    struct version v = {0};
    rc = parse_entry(index_key(c->it), index_value(c->it), &v);
    if (!rc) ASSERT(v.seq >= c->from && v.seq <= c->to);
    v.flags &= (uint16_t)~RANGE_VERSION_GAP;
    if (!rc) *out = v;
    return rc;
}

void version_close(struct version_cursor **c)
{
    ASSERT(c);
    if (!*c) return;
    index_iter_close(&(*c)->it);
    buf_fini(&(*c)->newest);
    mem_free(*c);
    *c = NULL;
}

int engine_key_horizon(struct engine *e, uint8_t space, uint16_t lineage, slice key, uint64_t *seq, bool *dropped)
{
    ASSERT(e && seq);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    struct version v;
    if (key.n > NODE_KEY_MAX) return E_NOTFOUND;
    struct buf *probe = probe_buf(PROBE_KEY);
    range_version(probe, &e->seed, space, lineage, key, UINT64_MAX);
    int rc = probe_at(e, INDEX_ALL, probe, UINT64_MAX, &v);
    if (!rc) rc = oldest_version(e, probe, &v);
    if (rc) return rc;
    uint64_t horizon = trace_horizon(e, space);
    bool began = v.ver <= 1; /* its first version is there; what is not known is whether it had a life before */
    *seq = began && horizon < v.seq ? horizon : v.seq;
    if (began && horizon == 0) *seq = 0;
    if (dropped) *dropped = !began;
    return E_OK;
}

uint64_t engine_horizon(struct engine *e)
{
    ASSERT(e && e->fold);
    return horizon_of(e, HORIZON_READABLE);
}

/* ---- every version of the store ---- */

int fold_walk_versions(struct fold *f, struct index_snap *s,
                       int (*fn)(void *ctx, uint8_t space, uint16_t lineage, slice key, const struct version *v), void *ctx)
{
    ASSERT(f && s);
    ASSERT(fn);
    static const uint8_t lower = RANGE_VERSION, upper = RANGE_VERSION + 1;
    struct index_iter *it = NULL;
    int rc = index_iter_open(s, slice_of(&lower, 1), slice_of(&upper, 1), &it);
    for (int step = rc ? rc : index_seek(it, slice_of(&lower, 1)); !rc; step = index_next(it)) {
        uint8_t space;
        uint16_t lineage;
        slice key;
        uint64_t seq;
        struct version v;
        rc = step ? step : range_version_parse(index_key(it), &space, &lineage, &key, &seq);
        if (!rc) rc = range_version_parse_value(index_value(it), seq, &v);
        if (!rc) rc = fn(ctx, space, lineage, key, &v);
    }
    index_iter_close(&it);
    return rc == E_END ? E_OK : rc;
}
