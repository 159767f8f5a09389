/* Reading nodes by seq, and turning what people call a point into a seq.
 *
 * Only the segment directory knows where a seq lies; nothing here remembers an address. A node that is still in the ring is brought out first, so
 * that a seq once handed out can always be read. */
#include "engine/own.h"

/* Is the seq in the segments? Brings it there when it was handed out already. */
static int reach_log(struct engine *e, uint64_t seq)
{
    if (seq == 0) return E_NOTFOUND;
    if (__builtin_expect(seq <= ring_drained_seq(e->ring), 1)) return E_OK;
    if (seq <= seglog_last_seq(e->log)) return E_OK;
    if (seq > ring_reserved_seq(e->ring)) return E_NOTFOUND;
    int rc = engine_write_out(e, ring_reserved_end(e->ring));
    return rc < 0 && seq > seglog_last_seq(e->log) ? rc : E_OK;
}

int engine_read_raw(struct engine *e, uint64_t seq, struct buf *mem, slice *raw)
{
    ASSERT(e && e->log);
    ASSERT(mem && raw);
    int rc = reach_log(e, seq);
    return rc < 0 ? rc : seglog_read(e->log, seq, mem, raw, NULL);
}

int engine_read(struct engine *e, uint64_t seq, struct buf *mem, struct node *out)
{
    ASSERT(out);
    slice raw;
    int rc = engine_read_raw(e, seq, mem, &raw);
    if (rc == E_OK) rc = node_decode(raw, out);
    if (rc == E_OK && out->seq != seq)
        rc = err_note(E_CORRUPT, "the record of seq %llu calls itself %llu", (unsigned long long)seq,
                      (unsigned long long)out->seq);
    ASSERT(rc != E_END);
    return rc;
}

int engine_read_change(struct engine *e, uint64_t seq, struct buf *mem, struct change_node *out)
{
    ASSERT(e && e->log);
    ASSERT(mem && out);
    int rc = reach_log(e, seq);
    if (rc >= 0) rc = seglog_read(e->log, seq, mem, &out->raw, &out->more);
    if (rc == E_OK) rc = node_decode(out->raw, &out->node);
    if (rc == E_OK && (out->node.seq != seq || out->node.commit_pos >= seq))
        rc = err_note(E_CORRUPT, "the record of seq %llu calls itself %llu", (unsigned long long)seq, (unsigned long long)out->node.seq);
    if (rc == E_OK) {
        out->seq = seq;
        out->commit_first = seq - out->node.commit_pos;
    }
    return rc;
}

int engine_hash(struct engine *e, uint64_t seq, uint8_t out[HASH_BYTES])
{
    ASSERT(e && e->tree);
    ASSERT(out);
    if (seq == 0) return E_NOTFOUND;
    if (seq <= atomic_load_explicit(&e->own->indexed_seq, memory_order_acquire)) return tree_entry(e->tree, seq - 1, out);
    struct buf mem = {0};
    slice raw;
    int rc = engine_read_raw(e, seq, &mem, &raw);
    if (rc == E_OK) blake2b_256(out, raw.p, raw.n);
    buf_fini(&mem);
    return rc;
}

/* ---- commits ---- */

/* First seq of the commit that a present node belongs to. */
static int commit_first(struct engine *e, uint64_t seq, uint64_t *first)
{
    struct buf mem = {0};
    struct node n;
    int rc = engine_read(e, seq, &mem, &n);
    if (rc == E_OK && n.commit_pos >= seq)
        rc = err_note(E_CORRUPT, "node %llu has place %u in its commit", (unsigned long long)seq, n.commit_pos);
    if (rc == E_OK) *first = seq - n.commit_pos;
    buf_fini(&mem);
    return rc;
}

/* The nearest seq above that is present, or E_NOTFOUND within a commit's reach: then nothing of seq's commit is left behind it. */
static int next_present(struct engine *e, uint64_t seq, uint64_t *next)
{
    int rc = E_PRUNED;
    bool more;
    for (uint64_t at = seq + 1; rc == E_PRUNED && at <= seq + RING_COMMIT_NODES_MAX; at++) {
        rc = seglog_more(e->log, at, &more);
        if (rc == E_OK) *next = at;
    }
    return rc == E_PRUNED ? E_NOTFOUND : rc;
}

/* Does the commit of seq go on behind it, as far as nodes are left to say so? *first: its first seq. */
static int commit_goes_on(struct engine *e, uint64_t seq, bool *on, uint64_t *first)
{
    uint64_t next = 0;
    int rc = next_present(e, seq, &next);
    *on = false;
    if (rc == E_NOTFOUND) return E_OK;
    if (rc == E_OK) rc = commit_first(e, next, first);
    if (rc == E_OK) *on = *first <= seq;
    return rc;
}

/* The end of the commit that begins at `begin` and holds seq. */
static int commit_last(struct engine *e, uint64_t seq, uint64_t begin, uint64_t *last)
{
    uint64_t end = seq;
    bool more = false;
    int rc;
    while ((rc = seglog_more(e->log, end, &more)) == E_OK && more) end++;
    if (rc == E_PRUNED) { /* compaction took nodes out of the commit's middle or end */
        bool on = true;
        uint64_t start = begin;
        for (rc = E_OK, end--; rc == E_OK && on && start == begin;) {
            rc = commit_goes_on(e, end, &on, &start);
            if (rc == E_OK && on && start == begin) rc = next_present(e, end, &end);
        }
    }
    if (rc == E_OK) *last = end;
    return rc;
}

int engine_commit_of(struct engine *e, uint64_t seq, uint64_t *first, uint64_t *last)
{
    ASSERT(e && e->log);
    ASSERT(first && last);
    uint64_t begin = 0;
    int rc = reach_log(e, seq);
    if (rc == E_OK) rc = commit_first(e, seq, &begin);
    if (rc == E_OK) rc = commit_last(e, seq, begin, last);
    if (rc == E_OK) *first = begin;
    return rc;
}

int engine_commit_of_node(struct engine *e, const struct node *n, uint64_t *first, uint64_t *last)
{
    ASSERT(e && e->log);
    ASSERT(n->seq > n->commit_pos);
    int rc = commit_last(e, n->seq, n->seq - n->commit_pos, last);
    if (rc == E_OK) *first = n->seq - n->commit_pos;
    return rc;
}

int engine_round_down(struct engine *e, uint64_t seq, uint64_t *point)
{
    ASSERT(e && e->log);
    ASSERT(point);
    uint64_t newest = ring_reserved_seq(e->ring), first = 0;
    bool more = false;
    if (seq > newest) seq = newest;
    if (seq == 0) {
        *point = 0;
        return E_OK;
    }
    int rc = reach_log(e, seq);
    if (rc < 0) return rc;
    rc = seglog_more(e->log, seq, &more);
    if (rc == E_OK && more) rc = commit_first(e, seq, &first);
    if (rc == E_PRUNED) rc = commit_goes_on(e, seq, &more, &first);
    if (rc < 0) return rc;
    *point = more ? first - 1 : seq;
    return E_OK;
}

/* ---- other names of points ---- */

int engine_seq_by_hash(struct engine *e, slice hex_prefix, uint64_t *seq)
{
    ASSERT(e && e->tree);
    ASSERT(seq);
    if (hex_prefix.n < 8 || hex_prefix.n > 2 * HASH_BYTES) return E_SYNTAX;
    char digits[2 * HASH_BYTES];
    uint8_t bytes[HASH_BYTES];
    uint64_t index = 0;
    memset(digits, '0', sizeof(digits));
    memcpy(digits, hex_prefix.p, hex_prefix.n);
    if (!hex_decode(bytes, digits, HASH_BYTES)) return E_SYNTAX;
    int rc = engine_catch_up(e, 0);
    if (rc == E_OK) rc = tree_find(e->tree, bytes, (unsigned)hex_prefix.n, &index);
    if (rc == E_OK) *seq = index + 1;
    return rc;
}

int engine_seq_by_time(struct engine *e, uint64_t ms, uint64_t *seq)
{
    ASSERT(e && e->fold);
    ASSERT(seq);
    uint64_t found = 0;
    int rc = engine_catch_up(e, 0);
    if (rc == E_OK) rc = fold_seq_by_time(e->fold, ms, &found);
    /* A commit has one time, so the found seq is the end of one; rounding only guards against what an older log may hold. */
    return rc < 0 ? rc : engine_round_down(e, found, seq);
}
