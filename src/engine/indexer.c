/* The indexer: folds the log into tree, index and books, in log order, behind the writers and at start alike.
 *
 * One batch: borrow up to BATCH_NODES records from the log's cursor, hash them eight at a time (those whose writers left no hash), append the hashes to the tree, fold each node, and step the
 * index at every commit's end. Records whose writers left a hash were written by this process a moment ago, from the bytes that were hashed: their CRCs are not computed again here
 * (whoever reads them later does). The fold lock is given up only between commits, so whoever takes it finds tree, index and books at one seq.
 *
 * No wake-up stands between a write and a query that needs it: engine_catch_up folds what is missing in the caller's thread (combining). The thread
 * itself polls, quickly after work and slowly when idle, and is poked when it falls behind.
 *
 * Invariants: indexed_seq is always the last seq of a commit; tree_size >= indexed_seq outside the lock (greater only while
 * rebuilding an index whose tree survived). A failure is final: index_failure is set, the log becomes sticky. */
#include "engine/own.h"

#include "base/mem.h"

#define BATCH_NODES     256
#define POLL_MIN_US     2000
#define POLL_MAX_US     100000
#define BUILD_DOCUMENTS 64
#define HELP_BYTES      (16u << 20)
#define GAP_CHUNK       64
#define HASH_GROUP      8

int indexer_open(struct engine *e, uint64_t folded)
{
    struct engine_own *own = e->own;
    ASSERT(e->log && e->tree && e->index && e->fold);
    ASSERT(!own->cursor);
    own->batch.items = mem_zalloc(BATCH_NODES * sizeof(*own->batch.items));
    own->batch.hashes = mem_alloc(BATCH_NODES * sizeof(*own->batch.hashes));
    own->shelf = hash_shelf_new();
    atomic_store(&own->indexed_seq, folded);
    own->cursor_seq = folded;
    int rc = seglog_cursor_open(e->log, folded + 1, &own->cursor);
    if (rc == E_OK) seglog_cursor_lazy(own->cursor);
    return rc;
}

void indexer_close(struct engine *e)
{
    struct engine_own *own = e->own;
    ASSERT(own);
    if (own->cursor) seglog_cursor_close(&own->cursor);
    mem_free(own->batch.items);
    mem_free(own->batch.hashes);
    own->batch = (struct fold_batch){0};
    hash_shelf_free(&own->shelf);
}

void indexer_lock(struct engine *e)
{
    ASSERT(e->own);
    atomic_fetch_add(&e->own->fold_waiters, 1);
    mutex_lock(&e->own->fold_lock);
    atomic_fetch_sub(&e->own->fold_waiters, 1);
}

void indexer_unlock(struct engine *e)
{
    mutex_unlock(&e->own->fold_lock);
}

int indexer_fail(struct engine *e, int code, uint64_t seq)
{
    ASSERT(code < 0);
    ASSERT(e->own);
    int none = 0;
    if (atomic_compare_exchange_strong(&e->own->index_failure, &none, code)) {
        log_line(LOG_WARNING, "Folding the log stopped at seq %llu: %s. No more writes; reads of the index are refused.",
                 (unsigned long long)seq, err_text(code));
        ring_fail(e->ring, code);
        sync_notify(e);
    }
    return code;
}

/* Takes the next records, as many as one buffer of the cursor has. E_END when the log has no more now. */
static int fill_batch(struct engine *e, struct fold_batch *b)
{
    struct engine_own *own = e->own;
    b->n = 0;
    while (b->n < BATCH_NODES && (b->n == 0 || seglog_cursor_holds(own->cursor))) {
        struct fold_item *it = &b->items[b->n];
        int rc = seglog_cursor_next(own->cursor, &it->seq, &it->raw, &it->more);
        if (rc == E_END) return b->n ? E_OK : E_END;
        if (rc < 0) return rc;
        if (it->seq <= own->cursor_seq)
            return err_note(E_CORRUPT, "the log answers seq %llu behind %llu", (unsigned long long)it->seq,
                            (unsigned long long)own->cursor_seq);
        own->cursor_seq = it->seq;
        b->n++;
    }
    return E_OK;
}

/* Hashes the items of a group, or of what is left of one. */
static void hash_group(struct fold_batch *b, const size_t group[HASH_GROUP], size_t n)
{
    uint8_t out[HASH_GROUP][HASH_BYTES];
    slice in[HASH_GROUP] = {{0}};
    ASSERT(n <= HASH_GROUP);
    if (n == 0) return;
    for (size_t k = 0; k < n; k++) in[k] = b->items[group[k]].raw;
    if (n <= HASH_GROUP / 2)
        blake2b_256_x4(out, in);
    else
        blake2b_256_x8(out, in);
    for (size_t k = 0; k < n; k++) memcpy(b->hashes[group[k]], out[k], HASH_BYTES);
}

static bool hash_is_right(const struct fold_item *it, const uint8_t hash[HASH_BYTES])
{
    uint8_t again[HASH_BYTES];
    blake2b_256(again, it->raw.p, it->raw.n);
    return memcmp(again, hash, HASH_BYTES) == 0;
}

static int hash_batch(const struct engine_own *own, struct fold_batch *b)
{
    size_t group[HASH_GROUP], n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct fold_item *it = &b->items[i];
        bool known = hash_shelf_take(own->shelf, it->seq, b->hashes[i]);
        DEBUG_ASSERT(!known || hash_is_right(it, b->hashes[i]));
        if (known) continue;
        int rc = seglog_cursor_check(own->cursor, it->seq, it->raw);
        if (rc < 0) return rc;
        group[n++] = i;
        if (n < HASH_GROUP) continue;
        hash_group(b, group, n);
        n = 0;
    }
    hash_group(b, group, n);
    return E_OK;
}

/* Leaves whose node is gone (only after a repair): the old ones keep the root as it was, zeros at least the places of the others. */
static int fill_gap(struct engine *e, uint64_t upto)
{
    uint8_t leaf[GAP_CHUNK][HASH_BYTES];
    int rc = E_OK;
    while (rc == E_OK && tree_size(e->tree) < upto) {
        uint64_t size = tree_size(e->tree), n = upto - size < GAP_CHUNK ? upto - size : GAP_CHUNK;
        rc = salvage_leaves(e, size, n, leaf);
        if (rc == E_OK) rc = tree_append(e->tree, (const uint8_t(*)[HASH_BYTES])leaf, n);
    }
    return rc;
}

static int grow_tree(struct engine *e, struct fold_batch *b)
{
    for (size_t i = 0; i < b->n;) {
        uint64_t size = tree_size(e->tree), seq = b->items[i].seq;
        if (seq <= size) { /* rebuilding under a tree that survived */
            i++;
            continue;
        }
        int rc = fill_gap(e, seq - 1);
        size_t run = 1;
        while (i + run < b->n && b->items[i + run].seq == seq + run) run++;
        if (rc == E_OK) rc = tree_append(e->tree, (const uint8_t(*)[HASH_BYTES]) & b->hashes[i], run);
        if (rc < 0) return rc;
        i += run;
    }
    return E_OK;
}

/* While rebuilding: a node whose predecessor is gone follows what the index has of its key instead, so that counts come out right. */
static int adopt(struct engine *e, struct node *n)
{
    bool more;
    struct version v;
    struct buf mem = {0};
    struct node before;
    ASSERT(n->prev > 0 && n->prev < n->seq);
    int there = seglog_more(e->log, n->prev, &more);
    if (there == E_OK && engine_read(e, n->prev, &mem, &before) == E_OK) {
        buf_fini(&mem);
        return E_OK;
    }
    buf_fini(&mem);
    int rc = engine_find(e, n->space, n->lineage, n->key, n->seq - 1, FIND_ENTRY, &v);
    if (rc < 0 && rc != E_NOTFOUND && rc != E_PRUNED) return rc;
    if (rc == E_OK && v.seq < n->prev) {
        bool dropped = there == E_PRUNED; /* lost ones are known no more: compaction would have to ask for them again and again */
        fold_gap(e->fold, n, &v, dropped ? n->prev : 0, !dropped || n->ver != v.ver + 2);
    }
    bool live = rc == E_OK && v.op != NODE_DELETE && v.op != NODE_EXPIRE;
    n->prev = live ? v.seq : 0;
    if (!live && node_is_live(n)) n->flags |= NODE_CREATED;
    return E_OK;
}

/* Folds the batch's nodes. *open tells whether the last commit goes on behind it. */
static int fold_items(struct engine *e, struct fold_batch *b, bool *open)
{
    struct engine_own *own = e->own;
    uint64_t newest = 0, bytes = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct fold_item *it = &b->items[i];
        struct node n;
        int rc = node_decode(it->raw, &n);
        if (rc == E_OK && n.seq != it->seq)
            rc = err_note(E_CORRUPT, "the record of seq %llu calls itself %llu", (unsigned long long)it->seq,
                          (unsigned long long)n.seq);
        if (rc == E_OK && own->rebuilding && n.prev && n.prev < n.seq) rc = adopt(e, &n);
        if (rc == E_OK) rc = fold_node(e->fold, &n, record_size(it->raw.n));
        if (rc < 0) return indexer_fail(e, rc, it->seq);
        if (n.ts_ms > newest) newest = n.ts_ms;
        bytes += record_size(it->raw.n);
        *open = it->more;
        if (it->more) continue;
        index_step(e->index, it->seq);
        atomic_store_explicit(&own->indexed_seq, it->seq, memory_order_release);
    }
    atomic_fetch_add_explicit(&own->indexed_bytes, bytes, memory_order_relaxed);
    append_raise_clock(e, newest);
    return E_OK;
}

/* One batch, and more of them until a commit has ended. fold_lock held. E_END: nothing to fold. */
static int fold_some(struct engine *e)
{
    struct engine_own *own = e->own;
    bool open = false;
    do {
        int rc = atomic_load_explicit(&own->index_failure, memory_order_relaxed);
        if (rc == E_OK) rc = fill_batch(e, &own->batch);
        if (rc == E_END && !open) return E_END;
        if (rc == E_END)
            rc = err_note(E_CORRUPT, "the log ends inside a commit behind seq %llu", (unsigned long long)own->cursor_seq);
        if (rc == E_OK) {
            rc = hash_batch(own, &own->batch);
            if (rc == E_OK) rc = grow_tree(e, &own->batch);
        }
        if (rc < 0) return indexer_fail(e, rc, own->cursor_seq);
        rc = fold_items(e, &own->batch, &open);
        if (rc < 0) return rc;
    } while (open);
    return E_OK;
}

int indexer_reach(struct engine *e, uint64_t seq)
{
    struct engine_own *own = e->own;
    ASSERT(own->cursor);
    int rc = E_OK;
    if (atomic_load_explicit(&own->indexed_seq, memory_order_acquire) >= seq) return atomic_load(&own->index_failure);
    indexer_lock(e);
    while (rc == E_OK && atomic_load_explicit(&own->indexed_seq, memory_order_relaxed) < seq) rc = fold_some(e);
    indexer_unlock(e);
    return rc == E_END ? E_OK : rc;
}

int engine_catch_up(struct engine *e, uint64_t seq)
{
    struct engine_own *own = e->own;
    ASSERT(own && e->ring);
    if (seq == 0) seq = ring_failure(e->ring) ? ring_drained_seq(e->ring) : ring_reserved_seq(e->ring);
    int rc = atomic_load_explicit(&own->index_failure, memory_order_relaxed);
    if (rc < 0 || atomic_load_explicit(&own->indexed_seq, memory_order_acquire) >= seq) return rc;
    if (ring_drained_seq(e->ring) < seq) {
        uint64_t last = ring_reserved_seq(e->ring);
        if (seq > last) seq = last; /* what was never handed out cannot be waited for */
        rc = engine_write_out(e, ring_reserved_end(e->ring));
        if (rc < 0 && ring_drained_seq(e->ring) < seq) return rc;
    }
    return indexer_reach(e, seq);
}

void indexer_help(struct engine *e)
{
    struct engine_own *own = e->own;
    ASSERT(own);
    if (atomic_load(&own->index_failure) || !own->cursor) return;
    uint64_t from = atomic_load(&own->indexed_bytes);
    indexer_lock(e);
    while (atomic_load(&own->indexed_bytes) < from + HELP_BYTES)
        if (fold_some(e) != E_OK) break;
    indexer_unlock(e);
}

int indexer_build(struct engine *e)
{
    struct engine_own *own = e->own;
    ASSERT(own->cursor);
    int rc = atomic_load(&own->index_failure);
    if (rc < 0) return E_AGAIN;
    indexer_lock(e);
    rc = fold_build(e->fold, BUILD_DOCUMENTS);
    if (rc == E_OK) index_step(e->index, atomic_load(&own->indexed_seq));
    if (rc < 0 && rc != E_AGAIN) indexer_fail(e, rc, atomic_load(&own->indexed_seq));
    indexer_unlock(e);
    return rc;
}

/* One burst of the thread: until the log's end, or until somebody else wants the fold. */
static bool burst(struct engine *e)
{
    struct engine_own *own = e->own;
    bool moved = false;
    while (!engine_thread_stopping(&own->indexer) && atomic_load_explicit(&own->fold_waiters, memory_order_relaxed) == 0) {
        indexer_lock(e);
        int rc = fold_some(e);
        indexer_unlock(e);
        if (rc != E_OK) break;
        moved = true;
    }
    return moved;
}

void indexer_thread(void *engine)
{
    struct engine *e = engine;
    struct engine_own *own = e->own;
    uint64_t poll_us = POLL_MIN_US;
    ASSERT(own->cursor);
    while (!engine_thread_stopping(&own->indexer)) {
        bool moved = atomic_load(&own->index_failure) == 0 && burst(e);
        bool built = atomic_load(&own->index_failure) == 0 && indexer_build(e) == E_OK;
        if (moved) {
            sync_notify(e);
            if (worker_checkpoint_due(e)) engine_thread_poke(&own->worker);
        }
        if (moved || built)
            poll_us = POLL_MIN_US;
        else if (poll_us < POLL_MAX_US)
            poll_us *= 2;
        if (!built) engine_thread_sleep(&own->indexer, poll_us);
    }
}
