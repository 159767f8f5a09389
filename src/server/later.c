/* Blocked clients. Each loop keeps its own in a list and steps them at the end of a turn, before the log is brought out, so that what a step wrote is covered by
 * the same write. The arguments are copied once, when the command has decided to wait. */
#include "server/later.h"
#include "server/dispatch.h"
#include "server/server.h"

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
    w->next = l->laters;
    if (l->laters) l->laters->prev = w;
    l->laters = w;
    l->n_laters++;
    client->later = w;
    atomic_fetch_add(&client->server->blocked, 1);
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
    if (w->prev)
        w->prev->next = w->next;
    else
        l->laters = w->next;
    if (w->next) w->next->prev = w->prev;
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

static void step_one(struct later *w)
{
    struct client *c = w->call.client;
    size_t before = c->out.n;
    uint32_t errors = c->errors;
    w->call.resp = c->resp;
    if (!w->call.ks.viewing) w->call.ks.now_ms = c->loop->now_ms;
    w->call.ks.nodes = 0;
    w->call.ks.end = c->end;
    w->call.ks.last_seq = c->last_seq;
    bool done = w->step(&w->call, w->state);
    ks_view_release(&w->call.ks);
    dispatch_wrote(c, &w->call.ks);
    if (!done) {
        ASSERT(c->out.n == before);
        return;
    }
    const struct command_entry *e = w->command;
    unlink_later(c);
    if (c->errors != errors) c->loop->stats[e->id].failed++;
    dispatch_replied(c, e, before);
    client_output(c);
    loop_resume(c->loop, c);
}

void later_run(struct loop *l, bool moved)
{
    for (struct later *w = l->laters, *next; w; w = next) {
        next = w->next;
        if (w->call.client->flags & CLIENT_CLOSING) continue;
        if (moved || w->kind == LATER_TURN) {
            loop_tick(l);
            step_one(w);
        }
    }
}

bool later_wants_turns(const struct loop *l)
{
    for (const struct later *w = l->laters; w; w = w->next)
        if (w->kind == LATER_TURN) return true;
    return false;
}
