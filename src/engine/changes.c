/* Reading the log forward for those who follow it: nodes in seq order, with the ends of their commits.
 *
 * A follower may see what the durability rule in force calls safe, and no more: what a crash could take back was never said. The safe end is always the end
 * of a commit, since the log takes whole commits. */
#include "base/mem.h"
#include "engine/own.h"

#define CHANGE_HASHES  4  /* hashed at once */
#define SEGMENTS_AHEAD 64 /* may be added between counting and listing; those are not compacted ones */

struct change_cursor {
    struct engine *e;
    struct seglog_cursor *log;
    struct change_node ahead; /* read, but not yet taken */
    bool has_ahead;
    uint64_t first, last; /* of the commit that was asked about */
};

uint64_t engine_safe_seq(struct engine *e)
{
    ASSERT(e && e->own);
    if (atomic_load_explicit(&e->own->durability, memory_order_relaxed) == DURABLE_ALWAYS)
        return atomic_load_explicit(&e->own->durable_seq, memory_order_acquire);
    return seglog_last_seq(e->log);
}

int engine_changes(struct engine *e, uint64_t after, struct change_cursor **out)
{
    ASSERT(e && out);
    ASSERT(after < UINT64_MAX);
    struct change_cursor *c = mem_zalloc(sizeof *c);
    c->e = e;
    int rc = seglog_cursor_open(e->log, after + 1, &c->log);
    if (rc)
        change_cursor_close(&c);
    else
        *out = c;
    return rc;
}

int change_peek(struct change_cursor *c, uint64_t upto, struct change_node *out)
{
    ASSERT(c && out);
    struct change_node *a = &c->ahead;
    if (!c->has_ahead) {
        int rc = seglog_cursor_next(c->log, &a->seq, &a->raw, &a->more);
        if (rc == E_OK) a->cut = seglog_cursor_cut(c->log);
        if (rc == E_OK) rc = node_decode(a->raw, &a->node);
        if (rc == E_OK && (a->node.seq != a->seq || a->node.commit_pos >= a->seq))
            rc = err_note(E_CORRUPT, "the record of seq %llu calls itself %llu", (unsigned long long)a->seq, (unsigned long long)a->node.seq);
        if (rc) return rc;
        a->commit_first = a->seq - a->node.commit_pos;
        c->has_ahead = true;
    }
    if (a->seq > upto) return E_END;
    *out = *a;
    return E_OK;
}

void change_take(struct change_cursor *c)
{
    ASSERT(c && c->has_ahead);
    c->has_ahead = false;
}

int change_commit_last(struct change_cursor *c, const struct change_node *n, uint64_t *last)
{
    ASSERT(c && n && last);
    if (!n->more) {
        *last = n->seq + n->cut;
        return E_OK;
    }
    if (c->first != n->commit_first || c->last < n->seq) {
        int rc = engine_commit_of_node(c->e, &n->node, &c->first, &c->last);
        if (rc) {
            c->first = 0;
            return rc;
        }
    }
    /* Compaction may have taken the node, which the cursor still sees, and what is behind it. */
    *last = c->last > n->seq ? c->last : n->seq;
    return E_OK;
}

void change_cursor_close(struct change_cursor **c)
{
    ASSERT(c);
    if (!*c) return;
    if ((*c)->log) seglog_cursor_close(&(*c)->log);
    mem_free(*c);
    *c = NULL;
}

uint64_t engine_drops(struct engine *e)
{
    ASSERT(e && e->log);
    uint64_t mix = 0;
    size_t n = seglog_segments(e->log, NULL, 0), room = n + SEGMENTS_AHEAD;
    struct seg_info *info = mem_alloc(room * sizeof *info);
    n = seglog_segments(e->log, info, room);
    if (n > room) n = room;
    for (size_t i = 0; i < n; i++)
        if (info[i].id.compacted) mix = (mix ^ info[i].id.first_seq ^ (uint64_t)info[i].id.generation << 40) * 0x9e3779b97f4a7c15ull + 1;
    mem_free(info);
    return mix;
}

void engine_hash_nodes(size_t n, const slice *raw, uint8_t (*out)[HASH_BYTES])
{
    ASSERT(n == 0 || (raw && out));
    size_t i = 0;
    for (; i + CHANGE_HASHES <= n; i += CHANGE_HASHES) blake2b_256_x4(out + i, raw + i);
    for (; i < n; i++) blake2b_256(out[i], raw[i].p, raw[i].n);
}
