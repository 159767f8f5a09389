/* A checkpoint flushes the index and may take seconds, so BGSAVE does it on a thread. The log itself needs no saving: it is on disk already. */
#include "server/background.h"
#include "base/logline.h"
#include "server/server.h"

static int64_t changes(const struct server *s)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < s->n_loops; i++) sum += atomic_load_explicit(&s->loops[i]->changes, memory_order_relaxed);
    return sum;
}

int64_t background_dirty(const struct server *s)
{
    int64_t saved = atomic_load(&s->saved_changes); /* first: it is never above a later sum */
    return changes(s) - saved;
}

int checkpoint_now(struct server *s)
{
    int64_t upto = changes(s);
    int rc = engine_checkpoint(s->engine);
    atomic_store(&s->save_failed, rc < 0);
    if (rc < 0) {
        log_line(LOG_WARNING, "Checkpoint failed: %s", err_text(rc));
        return rc;
    }
    atomic_store(&s->saved_changes, upto);
    atomic_store(&s->last_save_ms, engine_now_ms(s->engine));
    atomic_fetch_add(&s->saves, 1);
    return E_OK;
}

static void run(void *arg)
{
    struct server *s = arg;
    if (checkpoint_now(s) == E_OK) log_line(LOG_NOTICE, "Checkpoint written");
    atomic_store(&s->saving, false);
}

int background_checkpoint(struct server *s)
{
    if (atomic_exchange(&s->saving, true)) return E_BUSY;
    if (s->saver_started) thread_join(s->saver);
    s->saver_started = thread_start(&s->saver, "checkpoint", run, s) == E_OK;
    if (s->saver_started) return E_OK;
    atomic_store(&s->saving, false);
    return E_IO;
}

void background_finish(struct server *s)
{
    if (s->saver_started) thread_join(s->saver);
    s->saver_started = false;
}
