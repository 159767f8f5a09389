/* The visit of all clients across threads. Loops hold the sweep while their mail is on the way, so that it outlives an asker that goes. */
#include "server/sweep.h"
#include "server/loop.h"
#include "server/server.h"

struct sweep *sweep_new(struct call *c)
{
    struct sweep *w = mem_zalloc(sizeof *w);
    mutex_init(&w->mutex, "sweep", RANK_LEAF);
    atomic_init(&w->holders, 1);
    w->asker = c->client->id;
    w->kind = -1;
    return w;
}

void sweep_drop(void *sweep)
{
    struct sweep *w = sweep;
    if (atomic_fetch_sub(&w->holders, 1) != 1) return;
    buf_fini(&w->text);
    mem_free(w->ids);
    mem_free(w->address);
    mem_free(w->local);
    mem_free(w->user);
    mutex_fini(&w->mutex);
    mem_free(w);
}

static void visit_loop(struct sweep *w, struct loop *l)
{
    struct buf text = {0};
    int64_t count = 0;
    const struct client *first = l->clients;
    const struct client *last = first;
    while (last && last->next) last = last->next;
    loop_tick(l);
    /* Oldest first, as they came. */
    for (struct client *c = (struct client *)(uintptr_t)last, *before; c; c = before) {
        before = c->prev;
        if (!(c->flags & CLIENT_CLOSING)) w->visit(w, c, &text, &count);
    }
    mutex_lock(&w->mutex);
    buf_add_slice(&w->text, buf_slice(&text));
    w->count += count;
    mutex_unlock(&w->mutex);
    buf_fini(&text);
}

static void on_mail(struct loop *l, void *arg)
{
    struct sweep *w = arg;
    visit_loop(w, l);
    atomic_fetch_sub(&w->waiting, 1);
    sweep_drop(w);
}

static bool step(struct call *c, void *state)
{
    struct sweep *w = state;
    if (atomic_load(&w->waiting) > 0) return false;
    w->finish(w, c);
    return true;
}

void sweep_run(struct sweep *w, struct call *c)
{
    struct server *s = c->client->server;
    if (s->n_loops == 1) {
        visit_loop(w, c->client->loop);
        w->finish(w, c);
        sweep_drop(w);
        return;
    }
    if (c->in_multi) {
        reply_error(c, "ERR this command looks at all threads and cannot wait for them inside a transaction");
        sweep_drop(w);
        return;
    }
    atomic_store(&w->waiting, s->n_loops);
    atomic_store(&w->holders, s->n_loops + 1);
    for (unsigned i = 0; i < s->n_loops; i++) loop_post(s->loops[i], on_mail, w);
    call_later(c, LATER_TURN, step, sweep_drop, w);
}
