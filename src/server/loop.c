/* The turn of a loop. See loop.h for its order and dispatch.c for the reply gate.
 *
 * Bringing the log out: with appendfsync everysec or no the loop writes it out itself (one write, microseconds). With always it must be on disk: when few replies
 * wait, the loop syncs inline, which costs no wake-ups; when many do, the sync thread does it and this loop goes on reading other clients, so that the next
 * group gathers meanwhile. */
#include "server/loop.h"
#include "base/logline.h"
#include "server/dispatch.h"
#include "server/later.h"
#include "server/server.h"
#include "server/timers.h"

#define RESUME_ROUNDS 64

struct job {
    void (*fn)(struct loop *l, void *arg);
    void *arg;
    struct job *next;
};

/* ---- time ---- */

void loop_clock(struct loop *l)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    l->mono_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    if (l->server->engine) {
        l->now_ms = engine_now_ms(l->server->engine);
    } else {
        clock_gettime(CLOCK_REALTIME, &t);
        l->now_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    }
    l->clock_set = true;
}

/* ---- mail ---- */

void loop_wake(struct loop *l) { ev_async_send(l->ev, &l->wake); }

void loop_post(struct loop *l, void (*fn)(struct loop *l, void *arg), void *arg)
{
    struct job *j = mem_alloc(sizeof *j);
    *j = (struct job){fn, arg, NULL};
    mutex_lock(&l->mail_mutex);
    *l->mail_end = j;
    l->mail_end = &j->next;
    mutex_unlock(&l->mail_mutex);
    loop_wake(l);
}

static void read_mail(struct loop *l)
{
    mutex_lock(&l->mail_mutex);
    struct job *j = l->mail;
    l->mail = NULL;
    l->mail_end = &l->mail;
    mutex_unlock(&l->mail_mutex);
    while (j) {
        struct job *next = j->next;
        j->fn(l, j->arg);
        mem_free(j);
        j = next;
    }
}

static void on_wake(struct ev_loop *ev, struct ev_async *w, int events)
{
    read_mail(w->data);
}

/* ---- the end of a turn ---- */

uint64_t loop_safe_end(struct loop *l)
{
    struct engine *e = l->server->engine;
    return config_num(&l->server->config, CFG_APPENDFSYNC) == DURABLE_ALWAYS ? engine_durable_end(e) : engine_written_end(e);
}

/* The log failed: what was promised by no one is not promised now. */
static void fail_turn(struct loop *l)
{
    struct server *s = l->server;
    l->failure_seen = true;
    l->gate = 0;
    if (!atomic_exchange(&s->log_failure_told, true)) {
        log_line(LOG_WARNING, "The log cannot be written: %s. Writes are refused from now on, reads go on. Nothing that was acknowledged is lost.",
                 err_text(engine_failure(s->engine)));
        struct ks_ctx ks = {.ks = s->ks, .loop = (uint16_t)l->id, .now_ms = l->now_ms};
        ks_enter(&ks, KS_EXCLUSIVE, NULL, 0);
        ks_log_failed(&ks);
        ks_leave(&ks);
    }
    uint64_t safe = loop_safe_end(l);
    for (struct client *c = l->pending; c; c = c->pending_next) {
        if (c->unsafe_count == 0) continue;
        if (c->gate <= safe)
            c->unsafe_count = 0;
        else
            dispatch_fail_replies(c);
    }
}

/* Makes the log safe up to the loop's gate, or asks for it. */
static void settle(struct loop *l)
{
    struct engine *e = l->server->engine;
    int rc = E_OK;
    bool always = config_num(&l->server->config, CFG_APPENDFSYNC) == DURABLE_ALWAYS;
    if (loop_safe_end(l) >= l->gate) {
        l->gate = l->sync_asked = 0;
        return;
    }
    if (engine_failure(e)) {
        fail_turn(l);
        return;
    }
    if (!always)
        rc = engine_write_out(e, l->gate);
    else if (l->unsafe_replies <= LOOP_SYNC_INLINE_REPLIES && l->sync_asked == 0)
        rc = engine_sync(e, l->gate);
    else {
        if (l->gate > l->sync_asked) engine_sync_async(e, l->gate);
        l->sync_asked = l->gate;
        return;
    }
    if (rc < 0 || engine_failure(e))
        fail_turn(l);
    else
        l->gate = 0;
}

static void flush_pending(struct loop *l)
{
    struct client *c = l->pending, *next;
    uint64_t safe = UINT64_MAX;
    bool asked = false, waiting = false;
    l->pending = NULL;
    for (; c; c = next) {
        next = c->pending_next;
        c->flags &= ~(uint32_t)CLIENT_PENDING;
        if (c->flags & CLIENT_CLOSING) continue;
        if (c->unsafe_count > 0) {
            if (!asked) safe = loop_safe_end(l);
            asked = true;
            if (c->gate <= safe) c->unsafe_count = 0;
        }
        client_flush(c);
        if (c->unsafe_count > 0 && !(c->flags & CLIENT_CLOSING)) {
            client_output(c);
            waiting = true;
        }
    }
    if (!waiting) l->sync_asked = 0;
    atomic_store_explicit(&l->wants_marks, waiting || l->n_laters > 0, memory_order_release);
    /* The mark may have moved between the look and the store. */
    if (waiting && loop_safe_end(l) > safe) loop_wake(l);
}

static void bury(struct loop *l)
{
    while (l->dead) {
        struct client *c = l->dead;
        l->dead = c->dead_next;
        client_free(c);
    }
}

static void run_resumed(struct loop *l)
{
    for (int round = 0; l->resume && round < RESUME_ROUNDS; round++) {
        struct client *list = l->resume;
        l->resume = NULL;
        while (list) {
            struct client *c = list;
            list = c->resume_next;
            c->flags &= ~(uint32_t)CLIENT_RESUME;
            client_resume_input(c);
        }
    }
}

void loop_resume(struct loop *l, struct client *c)
{
    if (c->flags & (CLIENT_RESUME | CLIENT_CLOSING)) return;
    c->flags |= CLIENT_RESUME;
    c->resume_next = l->resume;
    l->resume = c;
}

static void drop_dead_from_resume(struct loop *l)
{
    struct client **p = &l->resume;
    while (*p) {
        if ((*p)->flags & CLIENT_CLOSING) {
            (*p)->flags &= ~(uint32_t)CLIENT_RESUME;
            *p = (*p)->resume_next;
        } else {
            p = &(*p)->resume_next;
        }
    }
}

static void on_turn_end(struct ev_loop *ev, struct ev_prepare *w, int events)
{
    struct loop *l = w->data;
    if (l->laters) later_run(l, atomic_exchange(&l->marks_moved, false));
    if (l->resume) run_resumed(l);
    if (l->gate) {
        settle(l);
        if (l->server->n_loops > 1) later_tell_others(l);
    }
    if (l->sleepers) later_wake(l);
    if (l->pending) flush_pending(l);
    if (l->resume) drop_dead_from_resume(l);
    if (l->dead) bury(l);
    l->clock_set = false;
    l->unsafe_replies = 0;
    bool busy = l->resume || (l->laters && later_wants_turns(l));
    if (busy && !ev_is_active(&l->busy)) ev_idle_start(ev, &l->busy);
    if (!busy && ev_is_active(&l->busy)) ev_idle_stop(ev, &l->busy);
    if (l->laters || l->sleepers) atomic_store_explicit(&l->wants_marks, true, memory_order_release);
    if (l->laters) {
        if (!ev_is_active(&l->wait_timer)) ev_timer_again(ev, &l->wait_timer);
    } else if (ev_is_active(&l->wait_timer)) {
        ev_timer_stop(ev, &l->wait_timer);
    }
    if (atomic_load_explicit(&l->server->stopping, memory_order_relaxed)) {
        l->stopping = true;
        ev_break(ev, EVBREAK_ALL);
    }
}

/* ---- pauses ---- */

void loop_pause_over(struct loop *l)
{
    for (struct client *c = l->clients; c && l->n_paused > 0; c = c->next) {
        if (!(c->flags & CLIENT_PAUSED)) continue;
        c->flags &= ~(uint32_t)CLIENT_PAUSED;
        l->n_paused--;
        loop_resume(l, c);
    }
}

/* ---- life ---- */

static void on_busy(struct ev_loop *ev, struct ev_idle *w, int events) {}

static void on_wait_step(struct ev_loop *ev, struct ev_timer *w, int events)
{
    struct loop *l = w->data;
    atomic_store(&l->marks_moved, true);
}

struct loop *loop_new(struct server *s, unsigned id)
{
    struct loop *l = mem_zalloc(sizeof *l);
    l->server = s;
    l->id = id;
    l->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    ASSERT(l->ev);
    l->read_buffer = mem_alloc(LOOP_READ_BYTES);
    l->mail_end = &l->mail;
    atomic_store(&l->sleep_floor, UINT64_MAX);
    mutex_init(&l->mail_mutex, "mail", RANK_LEAF);
    ev_prepare_init(&l->before_wait, on_turn_end);
    ev_async_init(&l->wake, on_wake);
    ev_idle_init(&l->busy, on_busy);
    ev_init(&l->wait_timer, on_wait_step);
    l->wait_timer.repeat = LOOP_WAIT_STEP_MS / 1000.0;
    l->before_wait.data = l->wake.data = l->wait_timer.data = l;
    ev_prepare_start(l->ev, &l->before_wait);
    ev_async_start(l->ev, &l->wake);
    loop_clock(l);
    timers_start(l);
    return l;
}

void loop_run(struct loop *l)
{
    ev_run(l->ev, 0);
}

void loop_end_clients(struct loop *l)
{
    read_mail(l);
    while (l->clients) {
        struct client *c = l->clients;
        c->flags &= ~(uint32_t)(CLIENT_PENDING | CLIENT_RESUME);
        client_close(c);
        l->dead = NULL;
        client_free(c);
    }
}

void loop_free(struct loop **lp)
{
    struct loop *l = *lp;
    if (!l) return;
    loop_end_clients(l);
    ev_loop_destroy(l->ev);
    for (unsigned i = 0; i < l->n_spare; i++) buf_fini(&l->spare[i]);
    for (size_t i = 0; i < COMMANDS_MAX; i++) mem_free(l->latency[i]);
    resp_fini(&l->spare_parser);
    mem_free(l->read_buffer);
    mutex_fini(&l->mail_mutex);
    mem_free(l);
    *lp = NULL;
}
