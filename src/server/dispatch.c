/* The road of every command. The order of the checks is that of Redis 7.0, since it decides which error a client sees.
 *
 * The reply gate (design: a reply leaves the process only when the log is safe up to its end): a loop remembers the newest log address its commands wrote and has not
 * yet seen safe. From the first write of a turn on, every reply on that loop waits for that address, reads included, as they may show what the write made
 * true. With several loops the address is shared. At the end of the turn one write (or sync) makes it safe, and the replies go. */
#include "server/dispatch.h"
#include "base/logline.h"
#include "server/cycles.h"
#include "server/later.h"
#include "server/latency.h"
#include "server/multi.h"
#include "server/output.h"
#include "server/reply.h"
#include "server/server.h"
#include "server/view.h"
#include <ctype.h>
#include <stdio.h>

#define KEYS_ON_STACK 64
#define ARGS_SHOWN_BYTES 128
/* Where the last reply may be taken back: a late hash would be written over what comes instead. */
#define NO_LATE_HASHES (CLIENT_MULTI | CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT)

/* ---- refusals ---- */

static void refuse(struct client *c, const struct command_entry *e, const char *text)
{
    struct loop *l = c->loop;
    if (e) l->stats[e->id].rejected++;
    c->errors++;
    c->command = e;
    if (e && strcmp(e->row->name, "exec") == 0) {
        struct buf abort = {0};
        buf_printf(&abort, "EXECABORT Transaction discarded because of: %s", strncmp(text, "ERR ", 4) == 0 ? text + 4 : text);
        buf_add_byte(&abort, 0);
        multi_discard(c);
        server_count_error(c->server, (const char *)abort.p, abort.n - 1);
        reply_error_to(&c->out, (const char *)abort.p);
        buf_fini(&abort);
        return;
    }
    server_count_error(c->server, text, strlen(text));
    if (c->flags & CLIENT_MULTI) c->flags |= CLIENT_DIRTY_EXEC;
    reply_error_to(&c->out, text);
}

static void text_unknown(const slice *argv, int argc, struct buf *error)
{
    size_t shown = 0;
    buf_printf(error, "ERR unknown command '%.*s', with args beginning with: ", (int)(argv[0].n > 128 ? 128 : argv[0].n), (const char *)argv[0].p);
    for (int i = 1; i < argc && shown < ARGS_SHOWN_BYTES; i++) {
        size_t room = ARGS_SHOWN_BYTES - shown, n = argv[i].n < room ? argv[i].n : room;
        size_t at = error->n;
        buf_printf(error, "'%.*s' ", (int)n, (const char *)argv[i].p);
        shown += error->n - at;
    }
    buf_add_byte(error, 0);
}

const struct command_entry *dispatch_resolve(const struct command_entry *e, const slice *argv, int argc, struct buf *error)
{
    if (!e) {
        text_unknown(argv, argc, error);
        return NULL;
    }
    const struct command_entry *run = e;
    if (e->n_subs && argc > 1) {
        run = command_find_sub(e, argv[1]);
        if (!run) {
            char upper[COMMAND_NAME_MAX];
            size_t i = 0;
            for (; i < argv[0].n && i < sizeof upper - 1; i++) upper[i] = (char)toupper(argv[0].p[i]); /* as it is called here */
            upper[i] = 0;
            buf_printf(error, "ERR unknown subcommand '%.*s'. Try %s HELP.", (int)(argv[1].n > 128 ? 128 : argv[1].n), (const char *)argv[1].p, upper);
            buf_add_byte(error, 0);
            return NULL;
        }
    }
    if (!run->row->fn || !command_arity_fits(run, argc)) {
        buf_printf(error, "ERR wrong number of arguments for '%s' command", run->name);
        buf_add_byte(error, 0);
        return NULL;
    }
    return run;
}

/* The entry against which a refusal counts: wrong arguments count against the command or sub-command that they were for, unknown names against none. */
static const struct command_entry *blamed(const struct command_entry *top, const slice *argv, int argc)
{
    return top && top->n_subs && argc > 1 ? command_find_sub(top, argv[1]) : top;
}

/* A browser that a page has talked into sending a form here: the lines of its request are no commands, but what it posts could be. */
static bool from_browser(const slice *argv) { return slice_is(argv[0], "post") || slice_is(argv[0], "host:"); }

/* DEBUG and MODULE are closed unless the configuration opens them. */
static bool guarded(struct client *c, const struct command_entry *e)
{
    const struct command_entry *top = e->parent ? e->parent : e;
    bool debug = strcmp(top->row->name, "debug") == 0;
    if (!debug && strcmp(top->row->name, "module") != 0) return false;
    int64_t mode = config_num(&c->server->config, debug ? CFG_ENABLE_DEBUG_COMMAND : CFG_ENABLE_MODULE_COMMAND);
    if (mode == 1 || (mode == 2 && (c->flags & CLIENT_LOCAL))) return false;
    char text[320];
    snprintf(text, sizeof text,
             "ERR %s command not allowed. If the %s option is set to \"local\", you can run it from a local connection, otherwise you need to set this option "
             "in the configuration file, and then restart the server.",
             debug ? "DEBUG" : "MODULE", debug ? "enable-debug-command" : "enable-module-command");
    refuse(c, e, text);
    return true;
}

/* Checks that hold only now and then; true = refused. flags: the command's, with those of a queued transaction for EXEC. */
static bool refused(struct client *c, const struct command_entry *e, uint32_t flags)
{
    struct server *s = c->server;
    if (!(c->flags & CLIENT_AUTHENTICATED) && !(flags & CMD_NO_AUTH)) {
        refuse(c, e, "NOAUTH Authentication required.");
        return true;
    }
    if ((c->flags & CLIENT_MULTI) && (flags & CMD_NO_MULTI)) {
        refuse(c, e, "ERR Command not allowed inside a transaction");
        return true;
    }
    if ((flags & CMD_DENYOOM) && atomic_load_explicit(&s->over_memory, memory_order_relaxed)) {
        refuse(c, e, "OOM command not allowed when used memory > 'maxmemory'.");
        return true;
    }
    if (!(flags & CMD_WRITE)) return false;
    if (c->flags & CLIENT_VIEW) {
        refuse(c, e, VIEW_READONLY);
        return true;
    }
    if (s->engine && engine_failure(s->engine)) {
        refuse(c, e, server_log_failure_text(s));
        return true;
    }
    if (config_num(&s->config, CFG_MIN_REPLICAS_TO_WRITE) > 0 && config_num(&s->config, CFG_MIN_REPLICAS_MAX_LAG) > 0) {
        refuse(c, e, "NOREPLICAS Not enough good replicas to write.");
        return true;
    }
    return false;
}

/* ---- booking ---- */

void dispatch_wrote(struct client *c, const struct ks_ctx *ks)
{
    struct loop *l = c->loop;
    struct server *s = c->server;
    if (ks->nodes == 0) return;
    c->end = ks->end;
    c->last_seq = ks->last_seq;
    if (ks->end > l->gate) l->gate = ks->end;
    if (s->n_loops == 1) return;
    uint64_t newest = atomic_load_explicit(&s->newest_end, memory_order_relaxed);
    while (newest < ks->end && !atomic_compare_exchange_weak(&s->newest_end, &newest, ks->end)) {}
}

void dispatch_replied(struct client *c, const struct command_entry *e, uint64_t before)
{
    struct loop *l = c->loop;
    if (__builtin_expect(c->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT), 0)) {
        if (!c->later) {
            output_cut(c, before);
            c->flags &= ~(uint32_t)CLIENT_REPLY_SKIP;
            if (c->flags & CLIENT_REPLY_SKIP_NEXT) c->flags = (c->flags & ~(uint32_t)CLIENT_REPLY_SKIP_NEXT) | CLIENT_REPLY_SKIP;
        }
    }
    if (output_end(c) == before) return;
    if (c->server->n_loops > 1 && !l->failure_seen) {
        uint64_t newest = atomic_load_explicit(&c->server->newest_end, memory_order_acquire);
        if (newest > l->gate && newest > loop_safe_end(l)) l->gate = newest;
    }
    if (l->gate == 0 || ((!e || e->flags & CMD_UNGATED) && c->unsafe_count == 0)) return;
    if (c->unsafe_count++ == 0) c->unsafe_from = before;
    c->gate = l->gate;
    l->unsafe_replies++;
}

void dispatch_compute_hashes(struct loop *l)
{
    struct ks_ctx ks = {.ks = l->server->ks, .loop = (uint16_t)l->id, .now_ms = l->now_ms};
    ASSERT(l->late_hashes);
    ks_hash_finish(&ks);
    l->late_hashes = false;
}

void dispatch_fail_replies(struct client *c)
{
    ASSERT(c->unsafe_count > 0);
    output_cut(c, c->unsafe_from);
    for (; c->unsafe_count > 0; c->unsafe_count--) reply_error_to(&c->out, server_log_failure_text(c->server));
}

/* ---- running ---- */

void dispatch_prepare(struct client *c, struct call *call, const slice *argv, int argc)
{
    *call = (struct call){.argc = argc, .argv = argv, .resp = c->resp, .client = c};
    call->ks.ks = c->server->ks;
    call->ks.db = c->db;
    call->ks.loop = (uint16_t)c->loop->id;
    call->ks.now_ms = c->loop->now_ms;
    call->ks.end = c->end;
    call->ks.last_seq = c->last_seq;
    call->ks.no_touch = (c->flags & CLIENT_NO_TOUCH) != 0;
    if (__builtin_expect(c->flags & CLIENT_VIEW, 0)) view_apply(c, &call->ks);
}

/* The keys as slices for the locks. Returns how many; more than room: the caller goes exclusive. -1: the arguments make no sense, so none are touched. */
static int keys_of(const struct command_entry *e, const struct call *call, slice *keys, int room)
{
    int at[KEYS_ON_STACK];
    ASSERT(room <= KEYS_ON_STACK);
    if (e->first_key) {
        keys[0] = call->argv[e->first_key];
        return e->first_key < call->argc ? 1 : 0;
    }
    int n = command_keys(e, call->argv, call->argc, at, NULL, room);
    for (int i = 0; i < n && i < room; i++) keys[i] = call->argv[at[i]];
    return n;
}

static void run_batch(struct call *call, const struct command_entry *e, uint64_t before)
{
    ks_begin(&call->ks);
    e->row->fn(call);
    int rc = ks_commit(&call->ks);
    if (rc < 0) {
        output_cut(call->client, before);
        reply_failure(call, rc);
    }
}

static void run_locked(struct call *call, const struct command_entry *e, uint64_t before)
{
    slice keys[KEYS_ON_STACK];
    bool several_loops = call->client->server->n_loops > 1;
    if (e->flags & CMD_WHOLE) {
        ks_enter(&call->ks, KS_EXCLUSIVE, NULL, 0);
        e->row->fn(call);
    } else {
        int n = e->has_keys && !(e->flags & CMD_WRAPS) && (several_loops || (e->flags & CMD_MANY)) ? keys_of(e, call, keys, KEYS_ON_STACK) : 0;
        bool many = (e->flags & CMD_MANY) && n != 1;
        if (many || n > KEYS_ON_STACK) {
            ks_enter(&call->ks, KS_EXCLUSIVE, NULL, 0);
            if (many)
                run_batch(call, e, before);
            else
                e->row->fn(call);
        } else {
            ks_enter(&call->ks, KS_SHARED, keys, n > 0 ? (size_t)n : 0);
            e->row->fn(call);
        }
    }
    ks_leave(&call->ks);
}

static void track(struct loop *l, const struct command_entry *e, uint64_t ticks)
{
    struct latency *h = atomic_load_explicit(&l->latency[e->id], memory_order_relaxed);
    if (__builtin_expect(!h, 0)) {
        h = mem_zalloc(sizeof *h);
        atomic_store_explicit(&l->latency[e->id], h, memory_order_release);
    }
    latency_add(h, ticks);
}

static void count(struct client *c, const struct command_entry *e, uint64_t from, uint32_t errors)
{
    struct command_stats *st = &c->loop->stats[e->id];
    uint64_t now = cycles_now(), ticks = now - from;
    c->loop->ticked = now;
    st->calls++;
    st->ticks += ticks;
    st->failed += c->errors != errors;
    c->loop->commands++;
    c->commands++;
    if (config_num(&c->server->config, CFG_LATENCY_TRACKING)) track(c->loop, e, ticks);
    if (__builtin_expect(ticks > c->server->slow_ticks, 0)) c->loop->clock_set = false;
}

void dispatch_inner(struct client *c, struct call *call, const struct command_entry *e)
{
    uint32_t errors = c->errors;
    c->command = e;
    uint64_t from = cycles_now();
    e->row->fn(call);
    count(c, e, from, errors);
}

/* Commands that act on the transaction itself are never queued. */
static bool runs_in_multi(const struct command_entry *e)
{
    static const char *const names[] = {"exec", "discard", "multi", "watch", "quit", "reset"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(e->name, names[i]) == 0) return true;
    return false;
}

static bool paused(struct client *c, uint32_t flags)
{
    int kind = atomic_load_explicit(&c->server->pause, memory_order_relaxed);
    if (kind == PAUSE_NONE) return false;
    if (c->loop->mono_ms >= atomic_load(&c->server->pause_until_ms)) return false;
    return kind == PAUSE_ALL || (flags & (CMD_WRITE | CMD_MAY_REPLICATE));
}

static void run(struct client *c, const struct command_entry *e, const slice *argv, int argc, bool still)
{
    uint64_t before = output_end(c);
    uint32_t errors = c->errors;
    struct call call;
    dispatch_prepare(c, &call, argv, argc);
    call.ks.still = still;
    c->command = e;
    if (e->flags & CMD_LATE_HASH)
        call.ks.late_hashes = (c->flags & NO_LATE_HASHES) == 0;
    else
        dispatch_finish_hashes(c->loop);
    /* A reading of the clock costs some nanoseconds: one command's end is the next one's beginning. */
    uint64_t from = c->loop->ticked ? c->loop->ticked : cycles_now();
    if (e->flags & (CMD_WRITE | CMD_READONLY | CMD_WHOLE | CMD_MANY))
        run_locked(&call, e, before);
    else
        e->row->fn(&call);
    count(c, e, from, errors);
    if (call.ks.late_hashes) c->loop->late_hashes = ks_hash_waits(&call.ks);
    dispatch_wrote(c, &call.ks);
    if (__builtin_expect(call.ks.shelf != NULL, 0)) ks_view_release(&call.ks);
    if (__builtin_expect(c->later != NULL, 0)) {
        later_adopt(c);
        return;
    }
    dispatch_replied(c, e, before);
}

enum dispatch_result dispatch(struct client *c, const struct command_entry *e, slice *argv, int argc)
{
    ASSERT(argc > 0);
    loop_tick(c->loop);
    c->active_ms = c->loop->mono_ms;
    uint64_t before = output_end(c);
    if (__builtin_expect(!e || e->n_subs || !command_arity_fits(e, argc) || !e->row->fn, 0)) {
        struct buf error = {0};
        const struct command_entry *top = e;
        if (!e && from_browser(argv)) {
            log_line(LOG_WARNING, "The client at %s speaks HTTP: someone may be using a browser to send commands here. The connection is closed.", c->peer);
            client_close(c);
            return DISPATCH_DONE;
        }
        e = dispatch_resolve(e, argv, argc, &error);
        if (!e) {
            refuse(c, blamed(top, argv, argc), (const char *)error.p);
            buf_fini(&error);
            dispatch_replied(c, top, before);
            return DISPATCH_DONE;
        }
    }
    uint32_t flags = e->flags;
    if (__builtin_expect(c->flags & CLIENT_MULTI, 0) && strcmp(e->name, "exec") == 0) flags |= multi_flags(c);
    bool closed = __builtin_expect((flags & CMD_ADMIN) != 0, 0) && guarded(c, e);
    bool checked = !(c->flags & CLIENT_AUTHENTICATED) || (c->flags & CLIENT_MULTI) || (flags & (CMD_WRITE | CMD_DENYOOM));
    if (closed || (checked && refused(c, e, flags))) {
        dispatch_replied(c, e, before);
        return DISPATCH_DONE;
    }
    bool still = false;
    if (__builtin_expect(atomic_load_explicit(&c->server->pause, memory_order_relaxed) != PAUSE_NONE, 0)) {
        if (paused(c, flags)) return DISPATCH_HELD;
        still = (flags & (CMD_WRITE | CMD_MAY_REPLICATE)) == 0;
    }
    argv[e->parent != NULL] = slice_of(e->row->name, e->name_bytes);
    if (e->parent) argv[0] = slice_of(e->parent->row->name, e->parent->name_bytes);
    if (__builtin_expect(c->flags & CLIENT_MULTI, 0) && !runs_in_multi(e)) {
        c->command = e;
        multi_queue(c, e, argv, argc);
        buf_add(&c->out, "+QUEUED\r\n", 9);
        dispatch_replied(c, e, before);
        return DISPATCH_DONE;
    }
    run(c, e, argv, argc, still);
    return DISPATCH_DONE;
}
