/* CLIENT and its sub-commands. */
#include "server/client.h"
#include "server/dispatch.h"
#include "server/later.h"
#include "server/loop.h"
#include "server/output.h"
#include "server/reply.h"
#include "server/server.h"
#include "server/sweep.h"
#include "server/timers.h"


static bool printable(slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '!' || s.p[i] > '~') return false;
    return true;
}

/* What a sub-command with a choice of its own says to arguments that are none of its forms. */
static void reply_no_such_form(struct call *c)
{
    reply_error(c, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try CLIENT HELP.", (int)c->argv[1].n, (const char *)c->argv[1].p);
}

static void cmd_id(struct call *c) { reply_int(c, (int64_t)c->client->id); }

static void cmd_info(struct call *c)
{
    struct buf text = {0};
    client_describe(c->client, &text);
    buf_add_byte(&text, '\n');
    reply_verbatim(c, "txt", buf_slice(&text));
    buf_fini(&text);
}

static void cmd_getname(struct call *c)
{
    if (c->client->name)
        reply_str(c, c->client->name);
    else
        reply_null(c);
}

static void cmd_setname(struct call *c)
{
    if (!printable(c->argv[2])) {
        reply_error(c, "ERR Client names cannot contain spaces, newlines or special characters.");
        return;
    }
    client_set_name(&c->client->name, c->argv[2]);
    reply_ok(c);
}

static void cmd_setinfo(struct call *c)
{
    bool name = arg_is(c, 2, "lib-name"), version = arg_is(c, 2, "lib-ver");
    if (!name && !version) {
        reply_error(c, "ERR Unrecognized option '%.*s'", (int)(c->argv[2].n > 128 ? 128 : c->argv[2].n), (const char *)c->argv[2].p);
        return;
    }
    if (!printable(c->argv[3])) {
        reply_error(c, "ERR %s cannot contain spaces, newlines or special characters.", name ? "lib-name" : "lib-ver");
        return;
    }
    client_set_name(name ? &c->client->lib_name : &c->client->lib_version, c->argv[3]);
    reply_ok(c);
}

static void cmd_reply(struct call *c)
{
    struct client *client = c->client;
    if (arg_is(c, 2, "on")) {
        client->flags &= ~(uint32_t)(CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT);
        reply_ok(c);
    } else if (arg_is(c, 2, "off")) {
        client->flags |= CLIENT_REPLY_OFF;
    } else if (arg_is(c, 2, "skip")) {
        if (!(client->flags & CLIENT_REPLY_OFF)) client->flags |= CLIENT_REPLY_SKIP_NEXT;
    } else {
        reply_syntax(c);
    }
}

static void on_off(struct call *c, uint32_t flag)
{
    if (arg_is(c, 2, "on"))
        c->client->flags |= flag;
    else if (arg_is(c, 2, "off"))
        c->client->flags &= ~flag;
    else {
        reply_syntax(c);
        return;
    }
    reply_ok(c);
}

static void cmd_no_evict(struct call *c) { on_off(c, CLIENT_NO_EVICT); }
static void cmd_no_touch(struct call *c) { on_off(c, CLIENT_NO_TOUCH); }
static void cmd_getredir(struct call *c) { reply_int(c, -1); }

/* ---- pause ---- */

static void arm_pause(struct loop *l, void *arg) { timers_pause(l); }

static void cmd_pause(struct call *c)
{
    struct server *s = c->client->server;
    int64_t ms;
    int kind = PAUSE_ALL;
    if (c->argc > 4) return reply_no_such_form(c);
    if (c->argc == 4 && arg_is(c, 3, "write"))
        kind = PAUSE_WRITE;
    else if (c->argc == 4 && !arg_is(c, 3, "all")) {
        reply_error(c, "ERR CLIENT PAUSE mode must be WRITE or ALL");
        return;
    }
    if (!num_parse_i64(c->argv[2], &ms)) {
        reply_error(c, "ERR timeout is not an integer or out of range");
        return;
    }
    if (ms < 0) {
        reply_error(c, "ERR timeout is negative");
        return;
    }
    uint64_t until = c->client->loop->mono_ms + (uint64_t)ms;
    if (until > atomic_load(&s->pause_until_ms) || atomic_load(&s->pause) == PAUSE_NONE) atomic_store(&s->pause_until_ms, until);
    if (kind > atomic_load(&s->pause)) atomic_store(&s->pause, kind);
    for (unsigned i = 0; i < s->n_loops; i++) loop_post(s->loops[i], arm_pause, NULL);
    reply_ok(c);
}

static void end_pause(struct loop *l, void *arg) { loop_pause_over(l); }

static void cmd_unpause(struct call *c)
{
    struct server *s = c->client->server;
    atomic_store(&s->pause, PAUSE_NONE);
    for (unsigned i = 0; i < s->n_loops; i++) loop_post(s->loops[i], end_pause, NULL);
    reply_ok(c);
}

/* ---- over all clients ---- */

static int class_by_name(slice name)
{
    if (slice_is(name, "normal")) return CLASS_NORMAL;
    if (slice_is(name, "slave") || slice_is(name, "replica")) return CLASS_REPLICA;
    if (slice_is(name, "pubsub")) return CLASS_PUBSUB;
    return slice_is(name, "master") ? CLASS_COUNT : -1;
}

static bool class_arg(struct call *c, int i, int *kind)
{
    *kind = class_by_name(c->argv[i]);
    if (*kind >= 0) return true;
    reply_error(c, "ERR Unknown client type '%.*s'", (int)(c->argv[i].n > 128 ? 128 : c->argv[i].n), (const char *)c->argv[i].p);
    return false;
}

static bool matches(const struct sweep *w, const struct client *c)
{
    bool listed = w->n_ids == 0;
    for (size_t i = 0; i < w->n_ids; i++) listed = listed || w->ids[i] == c->id;
    if (!listed) return false;
    if (w->kind >= 0 && (int)client_class_of(c) != w->kind) return false;
    if (w->address && strcmp(w->address, c->peer) != 0) return false;
    if (w->local && strcmp(w->local, c->local) != 0) return false;
    if (w->user && strcmp(w->user, "default") != 0) return false;
    return !(w->skip_me && c->id == w->asker);
}

static void visit_list(struct sweep *w, struct client *c, struct buf *text, int64_t *count)
{
    if (!matches(w, c)) return;
    client_describe(c, text);
    buf_add_byte(text, '\n');
    ++*count;
}

static void finish_list(struct sweep *w, struct call *c) { reply_verbatim(c, "txt", buf_slice(&w->text)); }

static void cmd_list(struct call *c)
{
    struct sweep *w = sweep_new(c);
    w->visit = visit_list;
    w->finish = finish_list;
    if (c->argc == 4 && arg_is(c, 2, "type")) {
        if (!class_arg(c, 3, &w->kind)) goto refused;
    } else if (c->argc > 3 && arg_is(c, 2, "id")) {
        w->ids = mem_alloc((size_t)c->argc * sizeof *w->ids);
        for (int i = 3; i < c->argc; i++) {
            int64_t id;
            if (!num_parse_i64(c->argv[i], &id)) {
                reply_error(c, "ERR Invalid client ID");
                goto refused;
            }
            w->ids[w->n_ids++] = (uint64_t)id;
        }
    } else if (c->argc != 2) {
        reply_syntax(c);
        goto refused;
    }
    sweep_run(w, c);
    return;
refused:
    sweep_drop(w);
}

static void visit_kill(struct sweep *w, struct client *c, struct buf *text, int64_t *count)
{
    if (!matches(w, c)) return;
    ++*count;
    if (c->id != w->asker) {
        client_close(c);
        return;
    }
    w->kills_asker = true; /* when it has its answer */
}

static void finish_kill_one(struct sweep *w, struct call *c)
{
    if (w->count == 0)
        reply_error(c, "ERR No such client");
    else
        reply_ok(c);
    if (w->kills_asker) c->client->flags |= CLIENT_CLOSE_AFTER_REPLY;
}

static void finish_count(struct sweep *w, struct call *c)
{
    reply_int(c, w->count);
    if (w->kills_asker) c->client->flags |= CLIENT_CLOSE_AFTER_REPLY;
}

static bool kill_filter(struct call *c, struct sweep *w, int i)
{
    slice value = c->argv[i + 1];
    int64_t id;
    if (arg_is(c, i, "id")) {
        if (!num_parse_i64(value, &id) || id < 1) {
            reply_error(c, "ERR client-id should be greater than 0");
            return false;
        }
        if (!w->ids) w->ids = mem_alloc((size_t)c->argc * sizeof *w->ids);
        w->n_ids = 0;
        w->ids[w->n_ids++] = (uint64_t)id;
        return true;
    }
    if (arg_is(c, i, "type")) return class_arg(c, i + 1, &w->kind);
    char **text = arg_is(c, i, "addr") ? &w->address : arg_is(c, i, "laddr") ? &w->local : arg_is(c, i, "user") ? &w->user : NULL;
    if (text) {
        if (text == &w->user && !slice_eq(value, slice_str("default"))) {
            reply_error(c, "ERR No such user '%.*s'", (int)(value.n > 128 ? 128 : value.n), (const char *)value.p);
            return false;
        }
        mem_free(*text);
        *text = mem_dup(value.p, value.n);
        return true;
    }
    if (arg_is(c, i, "skipme") && (slice_is(value, "yes") || slice_is(value, "no"))) {
        w->skip_me = slice_is(value, "yes");
        return true;
    }
    reply_syntax(c);
    return false;
}

static void cmd_kill(struct call *c)
{
    struct sweep *w = sweep_new(c);
    w->visit = visit_kill;
    w->finish = finish_count;
    w->skip_me = true;
    if (c->argc == 3) {
        w->skip_me = false;
        w->address = mem_dup(c->argv[2].p, c->argv[2].n);
        w->finish = finish_kill_one;
    } else if (c->argc % 2) {
        reply_syntax(c);
        goto refused;
    }
    for (int i = 2; c->argc > 3 && i < c->argc; i += 2)
        if (!kill_filter(c, w, i)) goto refused;
    sweep_run(w, c);
    return;
refused:
    sweep_drop(w);
}

static void visit_unblock(struct sweep *w, struct client *c, struct buf *text, int64_t *count)
{
    if (!matches(w, c) || !c->later || c->id == w->asker) return;
    if (!w->unblock_error) {
        *count += later_time_out(c); /* it says itself what it says when its time is over; one that works has none */
        return;
    }
    uint64_t before = output_end(c);
    struct call call = c->later->call;
    const struct command_entry *e = c->later->command;
    reply_error(&call, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    later_cancel(c);
    dispatch_replied(c, e, before);
    client_output(c);
    loop_resume(c->loop, c);
    ++*count;
}

static void cmd_unblock(struct call *c)
{
    int64_t id;
    if (c->argc > 4) return reply_no_such_form(c);
    struct sweep *w = sweep_new(c);
    w->visit = visit_unblock;
    w->finish = finish_count;
    if (c->argc == 4 && arg_is(c, 3, "error"))
        w->unblock_error = true;
    else if (c->argc == 4 && !arg_is(c, 3, "timeout")) {
        reply_error(c, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        sweep_drop(w);
        return;
    }
    if (!arg_i64(c, 2, &id)) {
        sweep_drop(w);
        return;
    }
    w->ids = mem_alloc(sizeof *w->ids);
    w->ids[w->n_ids++] = (uint64_t)id;
    sweep_run(w, c);
}

static void cmd_help(struct call *c)
{
    reply_help(c, "CLIENT",
               "GETNAME\n    Show the name of this connection.\n"
               "GETREDIR\n    Show where invalidations go: -1, as nothing is tracked.\n"
               "ID\n    Show the number of this connection.\n"
               "INFO\n    Describe this connection.\n"
               "KILL <ip:port>\n    Close the connection from that address.\n"
               "KILL <option> <value> [<option> <value> [...]]\n    Close connections; options: ID, ADDR, LADDR, TYPE, USER, SKIPME (yes|no).\n"
               "LIST [TYPE (NORMAL|REPLICA|PUBSUB)] [ID <id> [...]]\n    Describe connections.\n"
               "NO-EVICT (ON|OFF)\n    Spare this connection when memory is short.\n"
               "NO-TOUCH (ON|OFF)\n    Do not count reads of this connection as accesses.\n"
               "PAUSE <timeout> [WRITE|ALL]\n    Let commands wait for that many milliseconds.\n"
               "REPLY (ON|OFF|SKIP)\n    Choose whether replies are sent.\n"
               "SETINFO (LIB-NAME|LIB-VER) <value>\n    Name the client library.\n"
               "SETNAME <name>\n    Name this connection.\n"
               "UNBLOCK <clientid> [TIMEOUT|ERROR]\n    End the waiting of a blocked client.\n"
               "UNPAUSE\n    End a pause.");
}

#define SUB(name, fn, arity, extra, from, text, ...) \
    {name, fn, arity, CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_UNGATED | (extra), "connection", .summary = text, .since = from, .group = "connection", .complexity = "O(1)", .syntax = __VA_ARGS__}
static const struct command sub_commands[] = {
    SUB("id", cmd_id, 2, 0, "5.0.0", "Shows the number of this connection", ""),
    SUB("info", cmd_info, 2, 0, "6.2.0", "Describes this connection", "", .tips = "nondeterministic_output"),
    SUB("getname", cmd_getname, 2, 0, "2.6.9", "Shows the name of this connection", ""),
    SUB("setname", cmd_setname, 3, 0, "2.6.9", "Names this connection", "connection-name"),
    SUB("setinfo", cmd_setinfo, 4, 0, "7.2.0", "Names the client library", "LIB-NAME|LIB-VER value"),
    SUB("reply", cmd_reply, 3, 0, "3.2.0", "Chooses whether replies are sent", "ON|OFF|SKIP"),
    SUB("no-evict", cmd_no_evict, 3, CMD_ADMIN, "7.0.0", "Spares this connection when memory is short", "ON|OFF"),
    SUB("no-touch", cmd_no_touch, 3, 0, "7.2.0", "Does not count reads as accesses", "ON|OFF"),
    SUB("getredir", cmd_getredir, 2, 0, "6.0.0", "Shows where invalidations go", ""),
    SUB("pause", cmd_pause, -3, CMD_ADMIN, "2.9.50", "Lets commands wait for a time", "timeout [WRITE|ALL]"),
    SUB("unpause", cmd_unpause, 2, CMD_ADMIN, "6.2.0", "Ends a pause", ""),
    SUB("list", cmd_list, -2, CMD_ADMIN, "2.4.0", "Describes connections", "[TYPE normal|master|replica|pubsub] [ID client-id [client-id ...]]", .tips = "nondeterministic_output"),
    SUB("kill", cmd_kill, -3, CMD_ADMIN, "2.4.0", "Closes connections",
        "[ip:port] [ID client-id] [TYPE normal|master|replica|pubsub] [USER username] [ADDR ip:port] [LADDR ip:port] [SKIPME yes/no]"),
    SUB("unblock", cmd_unblock, -3, CMD_ADMIN, "5.0.0", "Ends the waiting of a blocked client", "client-id [TIMEOUT|ERROR]"),
    SUB("help", cmd_help, 2, 0, "5.0.0", "Shows the sub-commands", ""),
    {NULL},
};
static const struct command commands[] = {
    {"client", NULL, -2, 0, .summary = "Looks at and steers connections", .since = "2.4.0", .group = "connection", .complexity = "Depends on the sub-command",
     .sub = sub_commands},
    {NULL},
};
FAMILY(client, commands);
