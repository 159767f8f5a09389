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
    struct log_record r;
    if (rc >= 0) rc = seglog_record(e->log, seq, mem, &r);
    if (rc == E_OK) {
        out->raw = r.node;
        out->more = r.more;
        out->cut = r.cut;
        rc = node_decode(r.node, &out->node);
    }
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

#define AGAIN_MAX 64 /* compactions that come between two looks; more than that is a log that contradicts itself */

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

/* The end of the commit that began at `begin`, by what is left of it around `at`, which compaction took. Nothing left: `newest`. E_AGAIN: some of that
 * was taken just now. */
static int end_by_neighbours(struct engine *e, uint64_t at, uint64_t begin, uint64_t newest, uint64_t *next, uint64_t *last)
{
    uint64_t below, above, first = 0, cut = 0;
    bool more = false;
    *next = 0;
    int rc = seglog_around(e->log, at, &below, &above);
    if (rc == E_OK && above) rc = commit_first(e, above, &first);
    if (rc == E_OK && above && first == begin) {
        *next = above;
        return E_OK;
    }
    if (rc == E_OK && below) rc = commit_first(e, below, &first);
    bool ours = rc == E_OK && below && first == begin;
    if (ours) rc = seglog_rest(e->log, below, &more, &cut);
    if (rc == E_PRUNED || (rc == E_OK && more)) return E_AGAIN;
    if (rc == E_OK) *last = ours ? below + cut : newest;
    return rc;
}

/* The end of the commit that begins at `begin` and holds seq. */
static int commit_last(struct engine *e, uint64_t seq, uint64_t begin, uint64_t *last)
{
    uint64_t at = seq, next, cut;
    bool more;
    for (unsigned again = 0; again < AGAIN_MAX;) {
        int rc = seglog_rest(e->log, at, &more, &cut);
        if (rc == E_OK && !more) {
            *last = at + cut;
            return E_OK;
        }
        if (rc == E_OK) {
            at++;
            continue;
        }
        if (rc == E_PRUNED) rc = end_by_neighbours(e, at, begin, at > seq ? at - 1 : seq, &next, last);
        if (rc != E_OK && rc != E_AGAIN) return rc;
        if (rc == E_OK && next == 0) return E_OK;
        again += rc == E_AGAIN || next <= at;
        if (rc == E_OK) at = next;
    }
    return err_note(E_CORRUPT, "the commit that began at %llu has no end", (unsigned long long)begin);
}

/* What is left of the commit of seq, which was dropped: *first, and whether seq was its *end. E_PRUNED: nothing, and then nobody can tell the points inside
 * it from its end, nor needs to. */
static int by_neighbours(struct engine *e, uint64_t seq, uint64_t *first, bool *end)
{
    uint64_t below, above, cut;
    bool more = false;
    for (unsigned again = 0; again < AGAIN_MAX; again++) {
        int rc = seglog_around(e->log, seq, &below, &above);
        *end = false;
        if (rc == E_OK && above) rc = commit_first(e, above, first);
        if (rc == E_OK && above && *first <= seq) return E_OK;
        if (rc == E_OK && !below) return E_PRUNED;
        if (rc == E_OK) rc = seglog_rest(e->log, below, &more, &cut);
        if (rc == E_OK && !more && below + cut < seq) return E_PRUNED;
        if (rc == E_OK) rc = commit_first(e, below, first);
        if (rc == E_OK) *end = !more && below + cut == seq;
        if (rc != E_PRUNED) return rc; /* else a neighbour was taken just now */
    }
    return err_note(E_CORRUPT, "what is left around %llu is there and is not", (unsigned long long)seq);
}

/* Is seq inside a commit, before its end? *first: that commit's first seq. */
static int inside_commit(struct engine *e, uint64_t seq, bool *inside, uint64_t *first)
{
    uint64_t cut;
    bool more, end = true;
    int rc = seglog_rest(e->log, seq, &more, &cut);
    *inside = rc == E_OK && (more || cut);
    if (*inside) rc = commit_first(e, seq, first);
    if (rc != E_PRUNED) return rc;
    rc = by_neighbours(e, seq, first, &end);
    *inside = rc == E_OK && !end;
    return rc == E_PRUNED ? E_OK : rc;
}

int engine_commit_of(struct engine *e, uint64_t seq, uint64_t *first, uint64_t *last)
{
    ASSERT(e && e->log);
    ASSERT(first && last);
    uint64_t begin = 0;
    bool end;
    int rc = reach_log(e, seq);
    if (rc == E_OK) rc = commit_first(e, seq, &begin);
    if (rc == E_PRUNED) rc = by_neighbours(e, seq, &begin, &end);
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
    bool inside = false;
    if (seq > newest) seq = newest;
    int rc = seq ? reach_log(e, seq) : E_OK;
    if (rc >= 0 && seq) rc = inside_commit(e, seq, &inside, &first);
    if (rc < 0) return rc;
    *point = inside ? first - 1 : seq;
    return E_OK;
}

uint64_t engine_round_up(struct engine *e, uint64_t seq)
{
    uint64_t first, last;
    ASSERT(e && e->log);
    return seq && engine_commit_of(e, seq, &first, &last) == E_OK && last > seq ? last : seq;
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
