/* Proofs and checks. Proofs are the tree's; here they wait for the index, since a seq that was answered can be proved.
 *
 * A slice of verification reads records in log order (their CRC is checked on the way), recomputes each node's hash, four at a time, and compares it
 * with the tree's entry. A record that cannot be read is reported by its seq and passed over one seq at a time, so one bad byte never hides what is
 * behind it. Seqs that compaction dropped are no damage; any other missing seq is. */
#include "engine/own.h"

#define GROUP 4

uint64_t engine_tree_size(struct engine *e)
{
    ASSERT(e && e->tree);
    return atomic_load_explicit(&e->own->indexed_seq, memory_order_acquire);
}

int engine_root(struct engine *e, uint64_t size, uint8_t root[HASH_BYTES])
{
    ASSERT(e && e->tree);
    ASSERT(root);
    return size > engine_tree_size(e) ? E_INVALID : tree_root(e->tree, size, root);
}

int engine_prove_inclusion(struct engine *e, uint64_t seq, uint64_t size, struct tree_proof *out)
{
    ASSERT(e && e->tree);
    ASSERT(out);
    if (seq == 0 || seq > size || size > engine_tree_size(e)) return E_INVALID;
    return tree_inclusion(e->tree, seq - 1, size, out);
}

int engine_prove_consistency(struct engine *e, uint64_t from, uint64_t to, struct tree_proof *out)
{
    ASSERT(e && e->tree);
    ASSERT(out);
    if (from > to || to > engine_tree_size(e)) return E_INVALID;
    return tree_consistency(e->tree, from, to, out);
}

/* One slice in progress. */
struct check {
    struct engine *e;
    void (*bad)(void *ctx, uint64_t seq, const char *why);
    void *ctx;
    struct verify_found *sum;
    struct buf bytes; /* of the waiting group */
    size_t n, off[GROUP], len[GROUP];
    uint64_t seq[GROUP];
};

static void report(struct check *c, uint64_t seq, const char *why)
{
    ASSERT(seq > 0 && why);
    c->sum->bad++;
    if (c->bad) c->bad(c->ctx, seq, why);
}

static int check_group(struct check *c)
{
    uint8_t hash[GROUP][HASH_BYTES], entry[HASH_BYTES];
    slice in[GROUP];
    for (size_t i = 0; i < c->n; i++) in[i] = slice_of(c->bytes.p + c->off[i], c->len[i]);
    if (c->n == GROUP)
        blake2b_256_x4(hash, in);
    else
        for (size_t i = 0; i < c->n; i++) blake2b_256(hash[i], in[i].p, in[i].n);
    for (size_t i = 0; i < c->n; i++) {
        struct node n;
        if (node_decode(in[i], &n) < 0) {
            report(c, c->seq[i], "the node cannot be decoded");
        } else if (n.seq != c->seq[i]) {
            report(c, c->seq[i], "the node has another seq");
        } else {
            int rc = tree_entry(c->e->tree, c->seq[i] - 1, entry);
            if (rc < 0 && rc != E_CORRUPT) return rc;
            if (rc == E_CORRUPT)
                report(c, c->seq[i], "the tree's entry is damaged");
            else if (memcmp(entry, hash[i], HASH_BYTES) != 0)
                report(c, c->seq[i], n.op == NODE_FILLER ? "the node was lost: a filler is in its place" : "the hash differs from the tree's");
        }
        c->sum->checked++;
        c->sum->bytes += c->len[i];
    }
    c->n = 0;
    buf_clear(&c->bytes);
    return E_OK;
}

static int check_node(struct check *c, uint64_t seq, slice raw)
{
    ASSERT(c->n < GROUP);
    c->seq[c->n] = seq;
    c->off[c->n] = c->bytes.n;
    c->len[c->n++] = raw.n;
    buf_add_slice(&c->bytes, raw);
    return c->n == GROUP ? check_group(c) : E_OK;
}

/* Reads seqs one by one: over damage, and over what a cursor left out. */
static int check_singly(struct check *c, uint64_t from, uint64_t to)
{
    struct buf mem = {0};
    int rc = E_OK;
    for (uint64_t seq = from; rc == E_OK && seq <= to; seq++) {
        slice raw;
        int got = seglog_read(c->e->log, seq, &mem, &raw, NULL);
        if (got == E_OK) {
            rc = check_node(c, seq, raw);
        } else if (got == E_CORRUPT) {
            c->sum->checked++;
            report(c, seq, "the record is damaged");
        } else if (got == E_NOTFOUND) {
            c->sum->checked++;
            report(c, seq, "the record is missing");
        } else if (got != E_PRUNED) {
            rc = got;
        }
    }
    buf_fini(&mem);
    return rc;
}

static int check_range(struct check *c, uint64_t from, uint64_t upto)
{
    struct seglog_cursor *cur = NULL;
    uint64_t at = from; /* everything below is done */
    int rc = seglog_cursor_open(c->e->log, from, &cur);
    while (rc == E_OK && at <= upto) {
        uint64_t seq;
        slice raw;
        bool more;
        rc = seglog_cursor_next(cur, &seq, &raw, &more);
        if (rc < 0) break;
        uint64_t skipped_to = seq > upto ? upto : seq - 1;
        if (skipped_to >= at) rc = check_singly(c, at, skipped_to);
        if (rc == E_OK && seq <= upto) rc = check_node(c, seq, raw);
        at = seq + 1;
    }
    if (cur) seglog_cursor_close(&cur);
    if (rc == E_CORRUPT || rc == E_END || rc == E_IO) rc = at <= upto ? check_singly(c, at, upto) : E_OK;
    return rc;
}

int engine_verify_slice(struct engine *e, uint64_t from, uint64_t to, uint64_t max_nodes,
                        void (*bad)(void *ctx, uint64_t seq, const char *why), void *ctx, struct verify_found *sum,
                        uint64_t *next)
{
    ASSERT(e && sum && next);
    ASSERT(max_nodes > 0);
    uint64_t last = engine_tree_size(e);
    if (from == 0) from = 1;
    if (to > last) to = last;
    *next = 0;
    if (from > to) return E_OK;
    uint64_t upto = to - from >= max_nodes ? from + max_nodes - 1 : to;
    struct check c = {.e = e, .bad = bad, .ctx = ctx, .sum = sum};
    int rc = check_range(&c, from, upto);
    if (rc == E_OK) rc = check_group(&c);
    buf_fini(&c.bytes);
    if (rc == E_OK && upto < to) *next = upto + 1;
    return rc;
}

int engine_verify_tree(struct engine *e, uint64_t *bad_seq)
{
    ASSERT(e && e->tree);
    ASSERT(bad_seq);
    uint64_t index = 0;
    int rc = tree_verify(e->tree, &index);
    if (rc == E_CORRUPT) *bad_seq = index + 1;
    return rc;
}
