/* Acknowledgement: bringing bytes out of the process, and onto the disk.
 *
 * written  ring_drain, done by the caller itself unless another thread is at it (flat combining in the ring)
 * durable  one syncer at a time; those who come meanwhile wait for it and look again, so one fdatasync serves all of them.
 *          The end address is read before the sync: everything drained until then is covered.
 *
 * A failed write or sync is sticky (ring_fail): the pages that failed may have been dropped by the kernel, so trying again would
 * answer OK over lost bytes. Marks never go back and never move after a failure.
 *
 * The sync thread serves engine_sync_async at once, and DURABLE_EVERYSEC once a second. */
#include "engine/own.h"

#define SECOND_US        1000000u
#define POKE_BYTES       (1u << 20) /* the worker extends and seals the tail: it hears about every MiB */
#define INDEX_POKE_BYTES (256u << 10)

int sync_sink(void *engine, slice bytes, uint64_t first_seq, uint32_t count)
{
    struct engine *e = engine;
    struct engine_own *own = e->own;
    ASSERT(bytes.n > 0 && count > 0);
    ASSERT(e->log);
    int rc = seglog_append(e->log, bytes, first_seq, count);
    if (rc < 0) return rc;
    uint64_t written = atomic_load_explicit(&own->written_bytes, memory_order_relaxed) + bytes.n;
    atomic_store_explicit(&own->written_bytes, written, memory_order_release);
    if (written >= atomic_load_explicit(&own->poke_bytes, memory_order_relaxed)) {
        atomic_store_explicit(&own->poke_bytes, written + POKE_BYTES, memory_order_relaxed);
        engine_thread_poke(&own->worker);
    }
    uint64_t indexed = atomic_load_explicit(&own->indexed_bytes, memory_order_relaxed);
    if (written > indexed + INDEX_POKE_BYTES) engine_thread_poke(&own->indexer);
    return E_OK;
}

void sync_notify(struct engine *e)
{
    ASSERT(e && e->own);
    void (*fn)(void *ctx) = atomic_load_explicit(&e->own->mark_fn, memory_order_acquire);
    if (fn) fn(e->own->mark_ctx);
}

void engine_on_mark(struct engine *e, void (*fn)(void *ctx), void *ctx)
{
    ASSERT(e && e->own);
    e->own->mark_ctx = ctx;
    atomic_store_explicit(&e->own->mark_fn, fn, memory_order_release);
}

int engine_write_out(struct engine *e, uint64_t end)
{
    ASSERT(e && e->ring);
    if (end == 0) end = ring_reserved_end(e->ring);
    if (ring_drained_end(e->ring) >= end) return E_OK;
    int rc = ring_drain(e->ring, end);
    if (rc < 0) sync_notify(e);
    return rc;
}

static void raise_mark(_Atomic uint64_t *mark, uint64_t to)
{
    uint64_t now = atomic_load_explicit(mark, memory_order_relaxed);
    if (to > now) atomic_store_explicit(mark, to, memory_order_release);
}

/* One sync of what is in the segments now. The caller is the only syncer. */
static int sync_once(struct engine *e)
{
    struct engine_own *own = e->own;
    int rc = ring_failure(e->ring);
    if (rc < 0) return rc;
    uint64_t end = ring_drained_end(e->ring), seq = 0;
    rc = seglog_sync(e->log, &seq);
    if (rc < 0) {
        log_line(LOG_WARNING, "Sync of the log failed (%s): no more writes until an operator has looked.", err_text(rc));
        ring_fail(e->ring, rc);
        sync_notify(e);
        return rc;
    }
    raise_mark(&own->durable_seq, seq);
    raise_mark(&own->durable_end, end);
    return E_OK;
}

/* Becomes the syncer, or waits for the one there is; returns after one sync that ended. True in *mine when it was this thread's. */
static int sync_round(struct engine *e, bool *mine)
{
    struct engine_own *own = e->own;
    int rc = E_OK;
    mutex_lock(&own->sync_lock);
    *mine = !own->syncing;
    if (own->syncing) {
        cond_wait(&own->sync_done, &own->sync_lock);
        mutex_unlock(&own->sync_lock);
        return ring_failure(e->ring);
    }
    own->syncing = true;
    mutex_unlock(&own->sync_lock);
    rc = sync_once(e);
    mutex_lock(&own->sync_lock);
    own->syncing = false;
    cond_broadcast(&own->sync_done);
    mutex_unlock(&own->sync_lock);
    return rc;
}

int sync_log(struct engine *e)
{
    ASSERT(e && e->log);
    bool mine = false;
    int rc = E_OK;
    while (rc == E_OK && !mine) rc = sync_round(e, &mine);
    return rc;
}

int engine_sync(struct engine *e, uint64_t end)
{
    struct engine_own *own = e->own;
    ASSERT(e->ring && e->log);
    if (end == 0) end = ring_reserved_end(e->ring);
    if (atomic_load_explicit(&own->durable_end, memory_order_acquire) >= end) return E_OK;
    int rc = engine_write_out(e, end);
    bool mine;
    while (rc == E_OK && atomic_load_explicit(&own->durable_end, memory_order_acquire) < end) rc = sync_round(e, &mine);
    ASSERT(rc < 0 || atomic_load_explicit(&own->durable_end, memory_order_relaxed) >= end);
    return rc;
}

void engine_sync_async(struct engine *e, uint64_t end)
{
    struct engine_own *own = e->own;
    ASSERT(own);
    if (end == 0) end = ring_reserved_end(e->ring);
    uint64_t now = atomic_load_explicit(&own->async_end, memory_order_relaxed);
    while (end > now && !atomic_compare_exchange_weak(&own->async_end, &now, end)) {}
    engine_thread_poke(&own->syncer);
}

/* What the thread has to make durable now: a request, or, when its second has come, everything. */
static void sync_thread_turn(struct engine *e, uint64_t *next_us)
{
    struct engine_own *own = e->own;
    uint64_t now = os_mono_us(e->os), asked = atomic_load(&own->async_end);
    bool tick = now >= *next_us;
    if (tick) {
        *next_us = now + SECOND_US;
        if (engine_write_out(e, 0) < 0) return;
        if (atomic_load(&own->durability) != DURABLE_NO) asked = ring_drained_end(e->ring);
    }
    if (atomic_load(&own->durable_end) >= asked) return;
    if (engine_sync(e, asked) == E_OK) sync_notify(e);
}

void sync_thread(void *engine)
{
    struct engine *e = engine;
    struct engine_own *own = e->own;
    uint64_t next_us = os_mono_us(e->os) + SECOND_US, served = 0;
    ASSERT(own);
    while (!engine_thread_stopping(&own->syncer)) {
        uint64_t asked = atomic_load(&own->async_end);
        if (ring_failure(e->ring) < 0) {
            engine_thread_sleep(&own->syncer, SECOND_US);
            continue;
        }
        sync_thread_turn(e, &next_us);
        /* Whoever asked for what was durable already still hears of it. */
        if (asked > served) sync_notify(e);
        served = asked;
        uint64_t now = os_mono_us(e->os);
        if (atomic_load(&own->async_end) <= served) engine_thread_sleep(&own->syncer, next_us > now ? next_us - now : 1);
    }
}

void engine_set_durability(struct engine *e, enum engine_durability d)
{
    ASSERT(e && e->own);
    ASSERT(d <= DURABLE_ALWAYS);
    atomic_store(&e->own->durability, (int)d);
}

/* ---- marks ---- */

uint64_t engine_written_end(struct engine *e)
{
    return ring_drained_end(e->ring);
}
uint64_t engine_durable_end(struct engine *e)
{
    return atomic_load_explicit(&e->own->durable_end, memory_order_acquire);
}
uint64_t engine_flushed_seq(struct engine *e)
{
    return atomic_load_explicit(&e->own->flushed_seq, memory_order_acquire);
}
int engine_failure(struct engine *e)
{
    return ring_failure(e->ring);
}

void engine_get_marks(struct engine *e, struct engine_marks *out)
{
    struct engine_own *own = e->own;
    ASSERT(own && out);
    /* Read from the slowest mark to the fastest, so that their order holds in what is shown. */
    out->flushed_seq = engine_flushed_seq(e);
    out->indexed_seq = atomic_load_explicit(&own->indexed_seq, memory_order_acquire);
    out->durable_seq = atomic_load_explicit(&own->durable_seq, memory_order_acquire);
    out->durable_end = engine_durable_end(e);
    out->written_end = ring_drained_end(e->ring);
    out->written_seq = ring_drained_seq(e->ring);
    if (out->written_seq < out->durable_seq) out->written_seq = out->durable_seq; /* between sink and cursor */
    out->last_seq = ring_reserved_seq(e->ring);
    out->failure = ring_failure(e->ring);
}
