/* A tick ten times a second on every loop; loop 0 does what belongs to the whole server. Expiry gets a slice of each tick, more of it while keys are overdue. */
#include "server/timers.h"
#include "base/logline.h"
#include "server/output.h"
#include "server/server.h"

#define TICK_S 0.1
#define EXPIRE_SLICE_US 2000
#define EXPIRE_HURRY_US 25000 /* a quarter of the tick, while keys are overdue */
#define SAMPLE_MS 1000

static void sample(struct loop *l)
{
    uint64_t ms = l->mono_ms - l->ops_sample_ms;
    if (ms < SAMPLE_MS) return;
    if (l->ops_sample_ms) {
        l->ops_per_second = (l->commands - l->ops_sample_commands) * 1000 / ms;
        l->in_per_second = (l->net_in - l->ops_sample_in) * 1000 / ms;
        l->out_per_second = (l->net_out - l->ops_sample_out) * 1000 / ms;
    }
    l->ops_sample_ms = l->mono_ms;
    l->ops_sample_commands = l->commands;
    l->ops_sample_in = l->net_in;
    l->ops_sample_out = l->net_out;
    l->largest_input = l->largest_output = 0;
}

static void close_idle(struct loop *l)
{
    uint64_t limit_ms = (uint64_t)config_num(&l->server->config, CFG_TIMEOUT) * 1000;
    if (limit_ms == 0) return;
    for (struct client *c = l->clients; c; c = c->next) {
        if (c->later || c->flags & CLIENT_PAUSED || l->mono_ms - c->active_ms <= limit_ms) continue;
        log_line(LOG_VERBOSE, "Closing idle client");
        client_close(c);
    }
}

/* The soft output limit is looked at when a reply is added (client.c), which notes since when it is exceeded. Whoever neither reads nor asks is looked at here.
 * Clients are all of one class as yet. */
static void close_slow(struct loop *l)
{
    struct output_limit limit = server_output_limit(l->server, CLASS_NORMAL);
    if (limit.soft == 0) return;
    for (struct client *c = l->clients; c; c = c->next) {
        if (output_waiting(c) < limit.soft) c->soft_over_ms = 0;
        if (c->soft_over_ms == 0 || c->flags & CLIENT_CLOSING || l->mono_ms + 1 - c->soft_over_ms <= limit.soft_seconds * 1000) continue;
        log_line(LOG_WARNING, "Client %s closed: its output is over the soft limit of client-output-buffer-limit for too long", c->peer);
        client_close(c);
    }
}

static void expire(struct loop *l)
{
    struct server *s = l->server;
    static const uint64_t slices[] = {EXPIRE_SLICE_US, EXPIRE_HURRY_US};
    bool more = true;
    if (!s->ks || atomic_load(&s->cron_paused) || engine_failure(s->engine) || atomic_load(&s->pause) != PAUSE_NONE) return;
    for (int i = 0; i < 2 && more; i++) {
        struct ks_ctx ks = {.ks = s->ks, .loop = (uint16_t)l->id, .now_ms = l->now_ms};
        int rc = ks_expire_cycle(&ks, slices[i], &more);
        if (ks.nodes > 0 && ks.end > l->gate) l->gate = ks.end;
        if (rc < 0) return;
        if (more && i == 1) l->expired_time_cap++;
    }
}

static void pause_maybe_over(struct loop *l)
{
    struct server *s = l->server;
    bool on = atomic_load(&s->pause) != PAUSE_NONE;
    if (on && l->mono_ms >= atomic_load(&s->pause_until_ms)) {
        atomic_store(&s->pause, PAUSE_NONE);
        on = false;
    }
    if (!on && l->n_paused > 0) loop_pause_over(l);
}

static void on_tick(struct ev_loop *ev, struct ev_timer *w, int events)
{
    struct loop *l = w->data;
    struct server *s = l->server;
    loop_clock(l);
    sample(l);
    close_idle(l);
    close_slow(l);
    pause_maybe_over(l);
    if (l->id != 0) return;
    server_judge_memory(s);
    expire(l);
}

static void on_pause_end(struct ev_loop *ev, struct ev_timer *w, int events)
{
    struct loop *l = w->data;
    loop_clock(l);
    pause_maybe_over(l);
    if (l->n_paused > 0) timers_pause(l);
}

void timers_pause(struct loop *l)
{
    loop_clock(l);
    uint64_t until = atomic_load(&l->server->pause_until_ms);
    ev_timer_stop(l->ev, &l->pause_timer);
    ev_timer_set(&l->pause_timer, until > l->mono_ms ? (double)(until - l->mono_ms) / 1000 : 0, 0);
    ev_timer_start(l->ev, &l->pause_timer);
}

void timers_start(struct loop *l)
{
    ev_timer_init(&l->cron, on_tick, TICK_S, TICK_S);
    ev_timer_init(&l->pause_timer, on_pause_end, 0, 0);
    l->cron.data = l->pause_timer.data = l;
    ev_timer_start(l->ev, &l->cron);
}
