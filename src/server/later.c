/* Blocked clients. Each loop keeps its own in a list and steps them at the end of a turn, before the log is brought out, so that what a step wrote is covered by
 * the same write. The arguments are copied once, when the command has decided to wait.
 *
 * Sleepers are looked at behind the write-out, when it is known what may be shown. `sleep_floor` is the smallest seq that any of them sleeps on: while the log has
 * not passed it, nobody is looked at. Another loop's commit reads the floor behind its own mark, a sleeper publishes the floor before it looks at the mark
 * once more: one of the two sees the other. */
#include "server/later.h"
#include "server/dispatch.h"
#include "server/output.h"
#include "server/server.h"

static void list_remove(struct loop *l, struct later *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else if (w->asleep)
        l->sleepers = w->next;
    else
        l->laters = w->next;
    if (w->next) w->next->prev = w->prev;
}

static void list_add(struct loop *l, struct later *w)
{
    struct later **head = w->asleep ? &l->sleepers : &l->laters;
    w->prev = NULL;
    w->next = *head;
    if (*head) (*head)->prev = w;
    *head = w;
}

static void wake_up(struct loop *l, struct later *w)
{
    ASSERT(w->asleep);
    list_remove(l, w);
    w->asleep = false;
    list_add(l, w);
    if (ev_is_active(&w->timer)) ev_timer_stop(l->ev, &w->timer);
    if (l->sleepers == NULL) atomic_store(&l->sleep_floor, UINT64_MAX);
}

static void on_deadline(struct ev_loop *ev, struct ev_timer *t, int events);

void call_later(struct call *c, enum later_kind kind, bool (*step)(struct call *c, void *state), void (*drop)(void *state), void *state)
{
    struct client *client = c->client;
    ASSERT(!c->in_multi);
    ASSERT(!client->later);
    struct later *w = mem_zalloc(sizeof *w);
    struct loop *l = client->loop;
    w->call = *c;
    w->kind = kind;
    w->step = step;
    w->drop = drop;
    w->state = state;
    w->started_ms = l->mono_ms;
    ev_init(&w->timer, on_deadline);
    w->timer.data = w;
    list_add(l, w);
    l->n_laters++;
    client->later = w;
    atomic_fetch_add(&client->server->blocked, 1);
}

/* A step that still looks at the words as they came would mostly find them there: not in debug and sanitizer builds. Names of commands are the table's. */
static void spoil(const slice *argv, int argc, int first)
{
#ifdef VARVE_DEBUG
    for (int i = first; i < argc; i++)
        if (argv[i].n) memset((uint8_t *)(uintptr_t)argv[i].p, '?', argv[i].n);
#else
    (void)argv, (void)argc, (void)first;
#endif
}

void later_adopt(struct client *c)
{
    struct later *w = c->later;
    const slice *argv = w->call.argv;
    int argc = w->call.argc;
    size_t bytes = (size_t)argc * sizeof(slice);
    for (int i = 0; i < argc; i++) bytes += argv[i].n;
    slice *copy = mem_alloc(bytes ? bytes : 1);
    uint8_t *p = (uint8_t *)(copy + argc);
    for (int i = 0; i < argc; i++) {
        if (argv[i].n) memcpy(p, argv[i].p, argv[i].n);
        copy[i] = slice_of(p, argv[i].n);
        p += argv[i].n;
    }
    spoil(argv, argc, c->command->parent != NULL ? 2 : 1);
    w->call.argv = copy;
    w->call.argc = argc;
    w->call.ks.shelf = NULL; /* released with the command */
    w->call.ks.batch = NULL;
    w->call.ks.undo = NULL;
    w->call.ks.entered = 0;
    w->command = c->command;
}

static void unlink_later(struct client *c)
{
    struct later *w = c->later;
    struct loop *l = c->loop;
    ASSERT(w && l->n_laters > 0);
    if (w->asleep) wake_up(l, w);
    list_remove(l, w);
    l->n_laters--;
    c->later = NULL;
    atomic_fetch_sub(&c->server->blocked, 1);
    if (w->drop) w->drop(w->state);
    void *copy = (void *)(uintptr_t)w->call.argv;
    mem_free(copy);
    mem_free(w);
}

void later_cancel(struct client *c)
{
    if (c->later) unlink_later(c);
}

/* True when it has replied. */
static bool step_one(struct later *w)
{
    struct client *c = w->call.client;
    uint64_t before = output_end(c);
    uint32_t errors = c->errors;
    w->call.resp = c->resp;
    if (!w->call.ks.viewing) w->call.ks.now_ms = c->loop->now_ms;
    w->call.ks.nodes = 0;
    w->call.ks.end = c->end;
    w->call.ks.last_seq = c->last_seq;
    w->call.ks.still = atomic_load_explicit(&c->server->pause, memory_order_relaxed) != PAUSE_NONE && !(w->command->flags & CMD_WRITE);
    bool done = w->step(&w->call, w->state);
    ks_view_release(&w->call.ks);
    dispatch_wrote(c, &w->call.ks);
    if (!done) {
        ASSERT(output_end(c) == before);
        return false;
    }
    const struct command_entry *e = w->command;
    unlink_later(c);
    if (c->errors != errors) c->loop->stats[e->id].failed++;
    dispatch_replied(c, e, before);
    client_output(c);
    loop_resume(c->loop, c);
    return true;
}

void later_run(struct loop *l, bool moved)
{
    for (struct later *w = l->laters, *next; w; w = next) {
        next = w->next;
        if (w->call.client->flags & CLIENT_CLOSING) continue;
        if (moved || w->kind == LATER_TURN) {
            loop_tick(l);
            (void)step_one(w);
        }
    }
}

bool later_wants_turns(const struct loop *l)
{
    for (const struct later *w = l->laters; w; w = w->next)
        if (w->kind == LATER_TURN) return true;
    return false;
}

/* ---- asleep ---- */

static void arm(struct loop *l, struct later *w)
{
    uint64_t left = w->deadline_ms > l->mono_ms ? w->deadline_ms - l->mono_ms : 0;
    ev_timer_set(&w->timer, (double)left / 1000, 0);
    ev_timer_start(l->ev, &w->timer);
}

void later_sleep(struct call *c, uint64_t seq, uint64_t timeout_ms)
{
    struct later *w = c->client->later;
    struct loop *l = c->client->loop;
    ASSERT(w && !w->asleep);
    list_remove(l, w);
    w->asleep = true;
    w->sleep_seq = seq;
    list_add(l, w);
    w->deadline_ms = timeout_ms ? w->started_ms + timeout_ms : 0;
    if (w->deadline_ms) {
        loop_clock(l);
        arm(l, w);
    }
    if (seq < atomic_load(&l->sleep_floor)) atomic_store(&l->sleep_floor, seq);
    atomic_thread_fence(memory_order_seq_cst);
    if (engine_safe_seq(l->server->engine) > seq) loop_wake(l);
}

bool later_timed_out(const struct call *c)
{
    return c->client->later && c->client->later->timed_out;
}

static void on_deadline(struct ev_loop *ev, struct ev_timer *t, int events)
{
    struct later *w = t->data;
    struct loop *l = w->call.client->loop;
    loop_clock(l);
    if (l->mono_ms < w->deadline_ms) {
        arm(l, w);
        return;
    }
    (void)later_time_out(w->call.client);
}

bool later_time_out(struct client *c)
{
    struct later *w = c->later;
    if (!w || (!w->asleep && w->kind != LATER_WAIT)) return false;
    bool slept = w->asleep;
    if (slept) wake_up(c->loop, w);
    w->timed_out = true;
    loop_tick(c->loop);
    if (step_one(w) || slept) return true;
    w->timed_out = false;
    return false;
}

void later_wake(struct loop *l)
{
    uint64_t newest = engine_safe_seq(l->server->engine), floor = UINT64_MAX;
    struct later *woken = NULL;
    if (newest <= atomic_load_explicit(&l->sleep_floor, memory_order_relaxed)) return;
    for (struct later *w = l->sleepers, *next; w; w = next) {
        next = w->next;
        if (newest > w->sleep_seq) {
            wake_up(l, w);
            w->wake_next = woken;
            woken = w;
        } else if (w->sleep_seq < floor) {
            floor = w->sleep_seq;
        }
    }
    atomic_store(&l->sleep_floor, floor);
    loop_tick(l);
    for (struct later *w = woken, *next; w; w = next) {
        next = w->wake_next;
        (void)step_one(w);
    }
}

void later_tell_others(struct loop *l)
{
    struct server *s = l->server;
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t newest = engine_safe_seq(s->engine);
    for (unsigned i = 0; i < s->n_loops; i++) {
        struct loop *other = s->loops[i];
        if (other && other != l && newest > atomic_load_explicit(&other->sleep_floor, memory_order_relaxed)) loop_wake(other);
    }
}
