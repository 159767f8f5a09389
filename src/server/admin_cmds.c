/* Commands for operators: CONFIG INFO SHUTDOWN SAVE BGSAVE BGREWRITEAOF LASTSAVE TIME WAIT WAITAOF, and the few of ACL, FUNCTION, LATENCY and
 * SLOWLOG that can be answered truly by a server with one user, no functions, no latency events and no slow log. */
#include "base/logline.h"
#include "server/background.h"
#include "server/client.h"
#include "server/info.h"
#include "server/loop.h"
#include "server/reply.h"
#include "server/server.h"


static struct server *server_of(struct call *c) { return c->client->server; }

/* ---- CONFIG ---- */

struct config_reply {
    struct call *c;
    int pattern;     /* argument being shown */
    size_t n;
};

static void add_config(void *ctx, const char *name, slice value)
{
    struct config_reply *r = ctx;
    /* A name that an earlier pattern showed is not shown again. */
    for (int i = 2; i < r->pattern; i++)
        if (glob_match(r->c->argv[i], slice_str(name), true)) return;
    reply_str(r->c, name);
    reply_bulk(r->c, value);
    r->n++;
}

static void cmd_config_get(struct call *c)
{
    struct config_reply r = {.c = c};
    size_t token = reply_begin(c);
    for (r.pattern = 2; r.pattern < c->argc; r.pattern++) config_each(&server_of(c)->config, c->argv[r.pattern], add_config, &r);
    reply_end_map(c, token, r.n);
}

static void cmd_config_set(struct call *c)
{
    char error[CONFIG_ERROR_MAX];
    if (c->argc % 2) {
        reply_syntax(c);
        return;
    }
    bool local = c->client->flags & CLIENT_LOCAL;
    if (config_set(&server_of(c)->config, c->argv + 2, (size_t)(c->argc - 2) / 2, local, error))
        reply_ok(c);
    else
        reply_error(c, "%s", error);
}

static void cmd_config_rewrite(struct call *c)
{
    const char *why = config_rewrite(&server_of(c)->config, false);
    if (why)
        reply_error(c, "ERR %s", why);
    else
        reply_ok(c);
}

static void reset_loop(struct loop *l, void *arg) { info_reset(l); }

static void cmd_config_resetstat(struct call *c)
{
    struct server *s = server_of(c);
    for (unsigned i = 0; i < s->n_loops; i++) {
        if (s->loops[i] == c->client->loop)
            info_reset(s->loops[i]);
        else
            loop_post(s->loops[i], reset_loop, NULL);
    }
    mutex_lock(&s->errors.mutex);
    s->errors.n = 0;
    s->errors.total = 0;
    mutex_unlock(&s->errors.mutex);
    reply_ok(c);
}

static void cmd_config_help(struct call *c)
{
    reply_help(c, "CONFIG",
               "GET <pattern> [<pattern> ...]\n    Show the parameters that match.\n"
               "RESETSTAT\n    Set the counters of INFO to zero.\n"
               "REWRITE\n    Write the configuration file with the values in force.\n"
               "SET <directive> <value> [<directive> <value> ...]\n    Set parameters, all or none.");
}

/* ---- INFO, TIME ---- */

static void cmd_info(struct call *c)
{
    struct buf text = {0};
    bool outside = c->ks.entered == 0 && c->ks.ks != NULL;
    if (outside) ks_enter(&c->ks, KS_SHARED, NULL, 0);
    info_text(server_of(c), c->client->loop, c->argv + 1, (size_t)c->argc - 1, &text);
    if (outside) ks_leave(&c->ks);
    reply_verbatim(c, "txt", buf_slice(&text));
    buf_fini(&text);
}

static void cmd_time(struct call *c)
{
    uint64_t us = os_wall_us(os_posix());
    reply_array(c, 2);
    reply_fmt(c, "%llu", (unsigned long long)(us / 1000000));
    reply_fmt(c, "%llu", (unsigned long long)(us % 1000000));
}

/* ---- the store ---- */

static void cmd_save(struct call *c)
{
    if (atomic_load(&server_of(c)->saving)) {
        reply_error(c, "ERR Background save already in progress");
        return;
    }
    int rc = checkpoint_now(server_of(c));
    if (rc < 0)
        reply_failure(c, rc);
    else
        reply_ok(c);
}

static void cmd_bgsave(struct call *c)
{
    if (c->argc > 2 || (c->argc == 2 && !arg_is(c, 1, "schedule"))) {
        reply_syntax(c);
        return;
    }
    int rc = background_checkpoint(server_of(c));
    if (rc == E_BUSY)
        reply_error(c, "ERR Background save already in progress");
    else if (rc < 0)
        reply_failure(c, rc);
    else
        reply_status(c, "Background saving started");
}

/* What rewriting an append-only file does for Redis, compaction by the rules does here: by default superseded versions of ordinary keys go, documents keep theirs. */
static void cmd_bgrewriteaof(struct call *c)
{
    struct compact_options o = {0};
    int rc = engine_compact_start(server_of(c)->engine, &o);
    if (rc == E_BUSY)
        reply_error(c, "ERR Background append only file rewriting already in progress");
    else if (rc < 0)
        reply_failure(c, rc);
    else
        reply_status(c, "Background append only file rewriting started");
}

static void cmd_lastsave(struct call *c) { reply_int(c, (int64_t)(atomic_load(&server_of(c)->last_save_ms) / 1000)); }

static void cmd_shutdown(struct call *c)
{
    bool save = false, nosave = false, abort = false;
    for (int i = 1; i < c->argc; i++) {
        if (arg_is(c, i, "save"))
            save = true;
        else if (arg_is(c, i, "nosave"))
            nosave = true;
        else if (arg_is(c, i, "abort"))
            abort = true;
        else if (!arg_is(c, i, "now") && !arg_is(c, i, "force")) {
            reply_syntax(c);
            return;
        }
    }
    if ((save && nosave) || (abort && c->argc > 2)) {
        reply_syntax(c);
        return;
    }
    if (abort) {
        reply_error(c, "ERR No shutdown in progress.");
        return;
    }
    c->client->flags |= CLIENT_CLOSE_AFTER_REPLY;
    server_end(server_of(c), 0);
}

/* ---- waiting ---- */

struct waiting {
    uint64_t until_ms; /* monotonic; 0 = for ever */
    uint64_t end;      /* log address */
    bool local, aof, replicas;
};

static void reply_waited(struct call *c, const struct waiting *w, bool durable)
{
    if (!w->aof) {
        reply_int(c, 0);
        return;
    }
    reply_array(c, 2);
    reply_int(c, durable);
    reply_int(c, 0);
}

static bool durable_up_to(struct call *c, uint64_t end) { return engine_durable_end(server_of(c)->engine) >= end; }

static bool wait_step(struct call *c, void *state)
{
    const struct waiting *w = state;
    bool durable = durable_up_to(c, w->end);
    bool over = later_timed_out(c) || (w->until_ms && c->client->loop->mono_ms >= w->until_ms);
    bool done = !w->replicas && (!w->local || durable);
    if (!over && !done) return false;
    reply_waited(c, w, durable);
    return true;
}

static bool timeout_arg(struct call *c, int i, uint64_t *until_ms)
{
    int64_t ms;
    if (!num_parse_i64(c->argv[i], &ms)) {
        reply_error(c, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (ms < 0) {
        reply_error(c, "ERR timeout is negative");
        return false;
    }
    *until_ms = ms ? c->client->loop->mono_ms + (uint64_t)ms : 0;
    return true;
}

static void wait_for(struct call *c, const struct waiting *w)
{
    struct engine *e = server_of(c)->engine;
    bool durable = durable_up_to(c, w->end);
    if (c->in_multi || (!w->replicas && (!w->local || durable))) {
        reply_waited(c, w, durable);
        return;
    }
    if (w->local && !durable) engine_sync_async(e, w->end);
    call_later(c, LATER_WAIT, wait_step, mem_free, mem_dup(w, sizeof *w));
}

static void cmd_wait(struct call *c)
{
    struct waiting w = {0};
    int64_t replicas;
    if (!arg_i64(c, 1, &replicas) || !timeout_arg(c, 2, &w.until_ms)) return;
    w.replicas = replicas > 0;
    wait_for(c, &w);
}

static void cmd_waitaof(struct call *c)
{
    struct waiting w = {.aof = true, .end = c->ks.end};
    int64_t local, replicas;
    if (!num_parse_i64(c->argv[1], &local) || local < 0 || local > 1) {
        reply_error(c, "ERR value is out of range, must be between 0 and 1");
        return;
    }
    if (!num_parse_i64(c->argv[2], &replicas) || replicas < 0) {
        reply_error(c, "ERR value is out of range, must be positive");
        return;
    }
    if (!timeout_arg(c, 3, &w.until_ms)) return;
    w.local = local == 1;
    w.replicas = replicas > 0;
    wait_for(c, &w);
}

/* ---- what there is of other families ---- */

static void cmd_function_flush(struct call *c)
{
    if (c->argc > 3) {
        reply_error(c, "ERR unknown subcommand or wrong number of arguments for 'flush'. Try FUNCTION HELP.");
        return;
    }
    if (c->argc == 3 && !arg_is(c, 2, "sync") && !arg_is(c, 2, "async")) {
        reply_error(c, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
        return;
    }
    reply_ok(c);
}

static void cmd_acl_whoami(struct call *c) { reply_str(c, "default"); }
static void cmd_latency_reset(struct call *c) { reply_int(c, 0); }
static void cmd_slowlog_reset(struct call *c) { reply_ok(c); }

#define ADMIN (CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
#define ROW(name, fn, arity, flags, categories, text, sinceversion, ...) \
    {name, fn, arity, (flags) | CMD_UNGATED, categories, .summary = text, .since = sinceversion, .group = "server", .complexity = "O(1)", .syntax = __VA_ARGS__}
#define BOX(name, text, sinceversion, rows) \
    {name, NULL, -2, 0, .summary = text, .since = sinceversion, .group = "server", .complexity = "Depends on the sub-command", .sub = rows}

static const struct command config_commands[] = {
    ROW("get", cmd_config_get, -3, ADMIN, NULL, "Shows parameters", "2.0.0", "parameter [parameter ...]"),
    ROW("set", cmd_config_set, -4, ADMIN, NULL, "Sets parameters, all or none", "2.0.0", "parameter value [parameter value ...]", .tips = "request_policy:all_nodes response_policy:all_succeeded"),
    ROW("rewrite", cmd_config_rewrite, 2, ADMIN, NULL, "Writes the configuration file again", "2.8.0", ""),
    ROW("resetstat", cmd_config_resetstat, 2, ADMIN, NULL, "Sets the counters of INFO to zero", "2.0.0", ""),
    ROW("help", cmd_config_help, 2, CMD_LOADING | CMD_STALE, NULL, "Shows the sub-commands", "5.0.0", ""),
    {NULL},
};
static const struct command function_commands[] = {
    ROW("flush", cmd_function_flush, -2, CMD_NOSCRIPT | CMD_WRITE, "scripting", "Deletes all functions", "7.0.0", "[ASYNC|SYNC]", .tips = "request_policy:all_shards response_policy:all_succeeded"),
    {NULL},
};
static const struct command acl_commands[] = {
    ROW("whoami", cmd_acl_whoami, 2, CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, NULL, "Shows the user of the connection", "6.0.0", ""),
    {NULL},
};
static const struct command latency_commands[] = {
    ROW("reset", cmd_latency_reset, -2, ADMIN, NULL, "Forgets latency events", "2.8.13", "[event [event ...]]",
        .tips = "request_policy:all_nodes response_policy:all_succeeded"),
    {NULL},
};
static const struct command slowlog_commands[] = {
    ROW("reset", cmd_slowlog_reset, 2, CMD_ADMIN | CMD_LOADING | CMD_STALE, NULL, "Forgets slow commands", "2.2.12", "", .tips = "request_policy:all_nodes response_policy:all_succeeded"),
    {NULL},
};
static const struct command commands[] = {
    BOX("config", "Looks at and sets parameters", "2.0.0", config_commands),
    ROW("info", cmd_info, -1, CMD_LOADING | CMD_STALE, "dangerous", "Says what the server knows about itself", "1.0.0", "[section [section ...]]", .tips = "nondeterministic_output request_policy:all_shards response_policy:special"),
    ROW("time", cmd_time, 1, CMD_LOADING | CMD_STALE | CMD_FAST, NULL, "Shows the server's time", "2.6.0", "", .tips = "nondeterministic_output"),
    ROW("save", cmd_save, 1, CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI, NULL, "Writes a checkpoint and waits for it", "1.0.0", ""),
    ROW("bgsave", cmd_bgsave, -1, CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING, NULL, "Writes a checkpoint beside other work", "1.0.0", "[SCHEDULE]"),
    ROW("bgrewriteaof", cmd_bgrewriteaof, 1, CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING, NULL, "Compacts the log beside other work", "1.0.0", ""),
    ROW("lastsave", cmd_lastsave, 1, CMD_LOADING | CMD_STALE | CMD_FAST, "admin dangerous", "Shows when the last checkpoint was asked for and written", "1.0.0", "", .tips = "nondeterministic_output"),
    ROW("shutdown", cmd_shutdown, -1, ADMIN | CMD_NO_MULTI | CMD_ALLOW_BUSY, NULL, "Stops the server in order", "1.0.0", "[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]"),
    {"wait", cmd_wait, 3, CMD_NOSCRIPT, "connection", .summary = "Waits for replicas", .since = "3.0.0", .group = "generic", .complexity = "O(1)", .syntax = "numreplicas timeout", .tips = "request_policy:all_shards response_policy:agg_min"},
    {"waitaof", cmd_waitaof, 4, CMD_NOSCRIPT, "connection", .summary = "Waits until what this connection wrote is on disk", .since = "7.2.0", .group = "generic",
     .complexity = "O(1)", .syntax = "numlocal numreplicas timeout"},
    BOX("function", "Deletes functions, of which there are none", "7.0.0", function_commands),
    BOX("acl", "Shows the user", "6.0.0", acl_commands),
    BOX("latency", "Forgets latency events", "2.8.13", latency_commands),
    BOX("slowlog", "Forgets slow commands", "2.2.12", slowlog_commands),
    {NULL},
};
FAMILY(admin, commands);
