/* The worker: checkpoints, merges, sealing, the tree's look-up files, compaction.
 *
 * A checkpoint makes the start after it short. Its order is what makes it true at every moment of a crash:
 *   1. under the fold lock: the books, as of seq S, with nothing half folded;
 *   2. index_flush: runs that include at least S (they may include more: folding a node again changes nothing);
 *   3. tree_sync, and the root of the first S entries;
 *   4. the list of segments, then the log's sync: whatever the runs or the list speak of is on disk;
 *   5. the manifest; 6. files that no manifest names any more are deleted.
 * A failure before 5 leaves the old manifest true. A failure in 5 leaves either, and both are true, since 6 did not happen.
 *
 * Background failures are not sticky (the log is unharmed): they are logged and tried again after RETRY_US with new files. */
#include "engine/own.h"

#include "base/mem.h"

#define POLL_US    100000u
#define RETRY_US   10000000u
#define LIST_SLACK 16
#define REST_BYTES_MIN (1u << 20) /* less is not worth a checkpoint: stores that are written to now and then would write hardly anything else */
#define REST_RELEASE   7u /* times rest_ms */

/* ---- the manifest's lists ---- */

static void list_runs(struct engine *e, struct manifest *m)
{
    uint64_t covers;
    size_t room = 0, n = LIST_SLACK;
    while (n > room) {
        room = n + LIST_SLACK;
        m->runs = mem_realloc(m->runs, room * sizeof(*m->runs));
        n = index_runs(e->index, m->runs, room, &covers);
    }
    ASSERT(n <= MANIFEST_RUNS_MAX);
    m->n_runs = n;
}

static void list_segments(struct engine *e, struct manifest *m, const struct seg_rewrite *instead)
{
    struct seg_info *info = NULL;
    size_t room = 0, n = LIST_SLACK;
    while (n > room) {
        room = n + LIST_SLACK;
        info = mem_realloc(info, room * sizeof(*info));
        n = seglog_segments(e->log, info, room);
    }
    ASSERT(n <= MANIFEST_SEGMENTS_MAX);
    m->segments = mem_realloc(m->segments, (n + 1) * sizeof(*m->segments));
    m->n_segments = 0;
    m->first_unlisted = n == 0 ? 1 : info[n - 1].sealed ? info[n - 1].last_seq + 1 : info[n - 1].id.first_seq + 1;
    for (size_t i = 0; i < n; i++) {
        const struct seg_id *id = &info[i].id;
        bool covered = instead && id->first_seq >= instead->id.first_seq && id->first_seq <= instead->last_seq;
        if (covered && id->first_seq == instead->id.first_seq) m->segments[m->n_segments++] = instead->id;
        if (!covered) m->segments[m->n_segments++] = *id;
    }
    mem_free(info);
}

int worker_write_manifest(struct engine *e, const struct seg_rewrite *instead)
{
    struct engine_own *own = e->own;
    struct manifest *m = &own->manifest;
    ASSERT(!own->opt.read_only);
    list_runs(e, m);
    list_segments(e, m, instead);
    int rc = sync_log(e);
    if (rc < 0) return rc;
    m->floor = atomic_load(&own->durable_seq);
    if (m->floor < m->covers)
        return err_note(E_CORRUPT, "the log is durable up to seq %llu, the books are as of %llu", (unsigned long long)m->floor,
                        (unsigned long long)m->covers);
    own->manifest_dirty = true;
    rc = manifest_write(e->os, own->dir, m);
    if (rc < 0) return rc;
    own->manifest_dirty = false;
    index_retire(e->index);
    return E_OK;
}

/* ---- checkpoint ---- */

bool worker_checkpoint_due(struct engine *e)
{
    struct engine_own *own = e->own;
    ASSERT(own->opt.checkpoint_bytes > 0 && own->opt.checkpoint_nodes > 0);
    uint64_t bytes = atomic_load_explicit(&own->indexed_bytes, memory_order_relaxed) - atomic_load_explicit(&own->checkpoint_mark, memory_order_relaxed);
    uint64_t covered = atomic_load_explicit(&own->flushed_seq, memory_order_relaxed);
    uint64_t indexed = atomic_load_explicit(&own->indexed_seq, memory_order_relaxed);
    return bytes >= own->opt.checkpoint_bytes || indexed >= covered + own->opt.checkpoint_nodes || index_wants_flush(e->index);
}

/* Step 1. */
static int take_books(struct engine *e, struct manifest *m, uint64_t *mark)
{
    struct engine_own *own = e->own;
    indexer_lock(e);
    int rc = atomic_load(&own->index_failure);
    if (rc == E_OK) {
        fold_save(e->fold, &m->books);
        m->covers = fold_seq(e->fold);
        m->newest_ms = fold_newest_ms(e->fold);
        m->forget_due = own->forget_due;
        m->horizon = atomic_load(&own->horizon);
        *mark = atomic_load(&own->indexed_bytes);
        ASSERT(tree_size(e->tree) >= m->covers);
    }
    indexer_unlock(e);
    return rc;
}

/* Does b say all that a would? (A store marked clean stays so while nothing happens.) */
static bool same_state(const struct manifest *a, const struct manifest *b)
{
    return a->covers == b->covers && (b->clean || !a->clean) && a->forget_due == b->forget_due && a->horizon == b->horizon;
}

/* Steps 1 to 6. checkpoint_lock held. */
static int checkpoint(struct engine *e, bool clean)
{
    struct engine_own *own = e->own;
    struct manifest *m = &own->manifest, next = {.clean = clean};
    uint64_t mark = 0;
    int rc = ring_failure(e->ring);
    if (rc == E_OK) rc = take_books(e, &next, &mark);
    if (rc < 0) goto done;
    rc = index_flush(e->index);
    bool nothing = rc == E_AGAIN && same_state(&next, m) && !own->manifest_dirty;
    if (rc < 0 && rc != E_AGAIN) goto done;
    rc = E_OK;
    if (!nothing) {
        rc = tree_sync(e->tree);
        if (rc == E_OK) rc = tree_root(e->tree, next.covers, next.root);
        if (rc < 0) goto done;
        m->clean = next.clean;
        m->covers = next.covers;
        m->newest_ms = next.newest_ms;
        m->forget_due = next.forget_due;
        m->horizon = next.horizon;
        memcpy(m->root, next.root, HASH_BYTES);
        buf_fini(&m->books);
        m->books = next.books;
        next.books = (struct buf){0};
        rc = worker_write_manifest(e, NULL);
    }
    if (rc < 0) goto done;
    atomic_store(&own->checkpoint_mark, mark);
    atomic_store_explicit(&own->flushed_seq, m->covers, memory_order_release);
    atomic_fetch_add(&own->checkpoints, 1);
    atomic_store(&own->last_checkpoint_ms, os_wall_us(e->os) / 1000);
done:
    buf_fini(&next.books);
    return rc;
}

int worker_checkpoint(struct engine *e, bool clean)
{
    struct engine_own *own = e->own;
    ASSERT(own && !own->opt.read_only);
    mutex_lock(&own->checkpoint_lock);
    int rc = checkpoint(e, clean);
    mutex_unlock(&own->checkpoint_lock);
    return rc;
}

int engine_checkpoint(struct engine *e)
{
    ASSERT(e && e->own);
    if (e->own->opt.read_only) return E_UNSUPPORTED;
    int rc = engine_catch_up(e, 0);
    return rc < 0 ? rc : worker_checkpoint(e, false);
}

/* ---- the rounds ---- */

static bool paused(struct engine *e)
{
    uint64_t until = atomic_load_explicit(&e->own->retry_at_us, memory_order_relaxed);
    return until != 0 && os_mono_us(e->os) < until;
}

/* A background step that failed is left alone for a while. */
static int background_failed(struct engine *e, const char *what, int rc)
{
    ASSERT(rc < 0);
    log_line(LOG_WARNING, "Background %s failed: %s Next try in %u s.", what, err_text(rc), RETRY_US / 1000000u);
    atomic_store(&e->own->retry_at_us, os_mono_us(e->os) + RETRY_US);
    return rc;
}

static int checkpoint_if_due(struct engine *e)
{
    if (!worker_checkpoint_due(e)) return E_AGAIN;
    int rc = worker_checkpoint(e, false);
    if (rc == E_AGAIN || rc == E_OK) return E_OK;
    return ring_failure(e->ring) ? rc : background_failed(e, "checkpoint", rc);
}

/* Asked between the blocks of a merge: a checkpoint does not wait for it. */
static bool merge_turn(void *engine)
{
    struct engine *e = engine;
    if (engine_thread_stopping(&e->own->worker)) return true;
    return !e->own->opt.no_threads && !paused(e) && checkpoint_if_due(e) < 0 && ring_failure(e->ring) < 0;
}

static int merge(struct engine *e)
{
    struct engine_own *own = e->own;
    int rc = index_merge(e->index, merge_turn, e);
    if (rc == E_AGAIN || rc == E_CANCELLED || rc == E_BUSY) return E_AGAIN;
    if (rc == E_OK) {
        mutex_lock(&own->checkpoint_lock);
        own->manifest.clean = false;
        rc = worker_write_manifest(e, NULL);
        mutex_unlock(&own->checkpoint_lock);
    }
    return rc == E_OK ? E_OK : background_failed(e, "merge of the index", rc);
}

static int seal(struct engine *e)
{
    int rc = seglog_background(e->log);
    if (rc == E_OK) atomic_fetch_add(&e->own->sealed, 1);
    return rc == E_OK || rc == E_AGAIN ? rc : background_failed(e, "sealing", rc);
}

static int grow_lookups(struct engine *e)
{
    int rc = tree_background(e->tree);
    return rc == E_OK || rc == E_AGAIN ? rc : background_failed(e, "building of hash look-ups", rc);
}

/* A store that nobody writes to is made small: first what the index's buffer holds goes to a run if it is much, where it is found quicker; later free memory goes
 * to the system, for who writes in bursts needs it again. Once each, until something is written again. Only the worker comes here, so whoever writes next waits for none of it. */
static int rest(struct engine *e)
{
    struct engine_own *own = e->own;
    uint64_t now = os_mono_us(e->os), mark = index_put_bytes(e->index);
    ASSERT(own->opt.rest_ms > 0);
    if (mark != own->rest_mark || own->rest_since_us == 0) {
        own->rest_mark = mark;
        own->rest_since_us = now;
        own->rested = own->released = false;
        return E_AGAIN;
    }
    uint64_t idle_ms = (now - own->rest_since_us) / 1000;
    if (!own->rested && idle_ms >= own->opt.rest_ms) {
        own->rested = true;
        int rc = index_buffered(e->index) >= REST_BYTES_MIN ? worker_checkpoint(e, false) : E_OK;
        if (rc >= 0 || rc == E_AGAIN) return E_OK;
        own->rested = false;
        return ring_failure(e->ring) ? rc : background_failed(e, "checkpoint", rc);
    }
    if (own->released || idle_ms / REST_RELEASE < own->opt.rest_ms) return E_AGAIN;
    own->released = true;
    index_release(e->index);
    mem_release();
    return E_OK;
}

int worker_turn(struct engine *e)
{
    static int (*const steps[])(struct engine *) = {checkpoint_if_due, seal, merge, grow_lookups, compact_turn, rest};
    bool moved = false;
    ASSERT(!e->own->opt.read_only);
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        if (ring_failure(e->ring) < 0 || paused(e)) return E_AGAIN;
        int rc = steps[i](e);
        if (rc == E_OK) moved = true;
        if (rc == E_OK || rc == E_AGAIN) continue;
        /* A compaction whose rest cannot be done: the whole index is read for it. */
        return ring_failure(e->ring) < 0 || paused(e) ? rc : background_failed(e, "work", rc);
    }
    return moved ? E_OK : E_AGAIN;
}

void worker_thread(void *engine)
{
    struct engine *e = engine;
    struct engine_thread *t = &e->own->worker;
    ASSERT(e->own);
    while (!engine_thread_stopping(t))
        if (worker_turn(e) != E_OK) engine_thread_sleep(t, POLL_US);
}

int engine_turn(struct engine *e)
{
    struct engine_own *own = e->own;
    ASSERT(own->opt.no_threads);
    int rc = E_OK;
    while (rc == E_OK) {
        rc = indexer_reach(e, ring_drained_seq(e->ring));
        while (rc == E_OK) rc = indexer_build(e);
        if (rc == E_AGAIN) rc = own->opt.read_only ? E_AGAIN : worker_turn(e);
    }
    return rc == E_AGAIN ? E_OK : rc;
}
