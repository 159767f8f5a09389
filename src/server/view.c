/* Reading as of a point: for a connection until it says otherwise, or for one command.
 *
 * Nothing of a command changes: its context is a view (keyspace.h), so what it reads lies at the point. Only commands that read are let through. A command inside
 * DRUN may go on later like any other; its context goes along by value, and the values that it holds are released after each step. */
#include "server/view.h"
#include "server/dispatch.h"
#include "server/server.h"

void view_apply(const struct client *c, struct ks_ctx *ks)
{
    ASSERT(c->flags & CLIENT_VIEW);
    ks->viewing = true;
    ks->view_at = c->view_at;
    ks->view_ms = c->view_ms;
    ks->now_ms = c->view_now_ms;
}

static int look(const struct call *c, uint64_t seq, uint64_t ms, struct ks_ctx *out)
{
    *out = c->ks;
    out->batch = NULL;
    out->undo = NULL;
    out->shelf = NULL;
    return ks_view(out, seq, ms);
}

void view_set(struct call *c, uint64_t seq, uint64_t ms)
{
    struct client *client = c->client;
    struct ks_ctx ks;
    int rc = look(c, seq, ms, &ks);
    if (rc < 0) {
        reply_failure(c, rc);
        return;
    }
    client->view_at = seq;
    client->view_ms = ms;
    client->view_now_ms = ks.now_ms;
    client->flags |= CLIENT_VIEW;
    reply_ok(c);
}

void view_end(struct call *c)
{
    c->client->flags &= ~(uint32_t)CLIENT_VIEW;
    reply_ok(c);
}

void view_run(struct call *c, uint64_t seq, uint64_t ms, int from)
{
    struct client *client = c->client;
    const struct command_entry *self = client->command;
    const struct command_table *table = atomic_load_explicit(&client->server->commands, memory_order_acquire);
    struct buf error = {0};
    ASSERT(from > 0 && from < c->argc);
    const slice *argv = c->argv + from;
    const struct command_entry *e = dispatch_resolve(command_find(table, argv[0]), argv, c->argc - from, &error);
    if (!e) {
        reply_error(c, "%s", (const char *)error.p);
    } else if (!(e->flags & CMD_READONLY) || (e->flags & (CMD_WRITE | CMD_NO_MULTI))) { /* DVIEW turns the connection, not its own reply */
        reply_error(c, "READONLY '%s' does more than reading; DRUN takes commands that only read", e->name);
    } else if (e == self) {
        reply_error(c, "ERR DRUN inside DRUN");
    } else {
        struct call inner = *c;
        inner.argv = argv;
        inner.argc = c->argc - from;
        int rc = look(c, seq, ms, &inner.ks);
        if (rc < 0) {
            reply_failure(c, rc);
        } else {
            dispatch_inner(client, &inner, e);
            ks_view_release(&inner.ks);
        }
        if (!client->later) client->command = self;
    }
    buf_fini(&error);
}
