/* Transactions. Queued commands are copies. EXEC takes the whole keyspace exclusively, opens one batch, runs the queue and commits: so the transaction is one commit
 * of the log, and readers see all of it or none.
 *
 * WATCH remembers a stamp of each key (ks_watch); EXEC compares. Nothing is kept at the keys, so watching costs writers nothing. */
#include "server/multi.h"
#include "server/dispatch.h"
#include "server/output.h"
#include "server/reply.h"
#include "server/server.h"

#define QUEUE_MAX (1u << 24)

struct queued {
    const struct command_entry *e;
    slice *argv;
    int argc;
};
struct watch {
    uint16_t db;
    slice key; /* owned */
    struct ks_stamp stamp;
    bool failed;
};
struct transaction {
    struct queued *queue;
    size_t n, cap;
    size_t bytes;
    uint32_t flags;
    struct watch *watched;
    size_t n_watched, watched_cap;
};

static struct transaction *transaction_of(struct client *c)
{
    if (!c->transaction) c->transaction = mem_zalloc(sizeof *c->transaction);
    return c->transaction;
}

void multi_queue(struct client *c, const struct command_entry *e, const slice *argv, int argc)
{
    struct transaction *t = transaction_of(c);
    ASSERT(t->n < QUEUE_MAX);
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 8;
        t->queue = mem_realloc(t->queue, t->cap * sizeof *t->queue);
    }
    size_t bytes = (size_t)argc * sizeof(slice);
    for (int i = 0; i < argc; i++) bytes += argv[i].n;
    slice *copy = mem_alloc(bytes);
    uint8_t *p = (uint8_t *)(copy + argc);
    for (int i = 0; i < argc; i++) {
        if (argv[i].n) memcpy(p, argv[i].p, argv[i].n);
        copy[i] = slice_of(p, argv[i].n);
        p += argv[i].n;
    }
    t->queue[t->n++] = (struct queued){e, copy, argc};
    t->bytes += bytes;
    t->flags |= e->flags & (CMD_WRITE | CMD_DENYOOM | CMD_MAY_REPLICATE | CMD_READONLY);
}

uint32_t multi_flags(const struct client *c) { return c->transaction ? c->transaction->flags & ~(uint32_t)CMD_READONLY : 0; }
int multi_queued(const struct client *c) { return c->flags & CLIENT_MULTI ? (c->transaction ? (int)c->transaction->n : 0) : -1; }
size_t multi_bytes(const struct client *c) { return c->transaction ? c->transaction->bytes : 0; }

static void forget(struct transaction **t)
{
    if (!*t || (*t)->n || (*t)->n_watched) return;
    mem_free((*t)->queue);
    mem_free((*t)->watched);
    mem_free(*t);
    *t = NULL;
}

static void free_bytes(slice s)
{
    void *p = (void *)(uintptr_t)s.p;
    mem_free(p);
}

void multi_unwatch(struct client *c)
{
    struct transaction *t = c->transaction;
    if (!t) return;
    for (size_t i = 0; i < t->n_watched; i++) free_bytes(t->watched[i].key);
    t->n_watched = 0;
    if (!(c->flags & CLIENT_MULTI)) forget(&c->transaction);
}

void multi_discard(struct client *c)
{
    struct transaction *t = c->transaction;
    c->flags &= ~(uint32_t)(CLIENT_MULTI | CLIENT_DIRTY_EXEC);
    if (!t) return;
    for (size_t i = 0; i < t->n; i++) mem_free(t->queue[i].argv);
    t->n = t->bytes = 0;
    t->flags = 0;
    multi_unwatch(c);
    forget(&c->transaction);
}

static void cmd_multi(struct call *c)
{
    if (c->client->flags & CLIENT_MULTI) {
        reply_error(c, "ERR MULTI calls can not be nested");
        return;
    }
    c->client->flags |= CLIENT_MULTI;
    reply_ok(c);
}

static void cmd_discard(struct call *c)
{
    if (!(c->client->flags & CLIENT_MULTI)) {
        reply_error(c, "ERR DISCARD without MULTI");
        return;
    }
    multi_discard(c->client);
    reply_ok(c);
}

static bool watched_already(const struct transaction *t, uint16_t db, slice key)
{
    for (size_t i = 0; i < t->n_watched; i++)
        if (t->watched[i].db == db && slice_eq(t->watched[i].key, key)) return true;
    return false;
}

static void cmd_watch(struct call *c)
{
    struct client *client = c->client;
    if (client->flags & CLIENT_MULTI) {
        reply_error(c, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    struct transaction *t = transaction_of(client);
    for (int i = 1; i < c->argc; i++) {
        slice key = c->argv[i];
        if (watched_already(t, c->ks.db, key)) continue;
        struct ks_stamp stamp = {0};
        ks_enter(&c->ks, KS_SHARED, &key, 1);
        int rc = ks_watch(&c->ks, c->ks.db, key, &stamp);
        ks_leave(&c->ks);
        if (t->n_watched == t->watched_cap) {
            t->watched_cap = t->watched_cap ? t->watched_cap * 2 : 4;
            t->watched = mem_realloc(t->watched, t->watched_cap * sizeof *t->watched);
        }
        /* A key that cannot be read makes EXEC abort: it cannot be told whether it changed. */
        t->watched[t->n_watched++] = (struct watch){c->ks.db, slice_of(mem_dup(key.p, key.n), key.n), stamp, rc < 0};
    }
    reply_ok(c);
}

static void cmd_unwatch(struct call *c)
{
    multi_unwatch(c->client);
    reply_ok(c);
}

static bool changed(struct call *c, const struct transaction *t)
{
    for (size_t i = 0; t && i < t->n_watched; i++) {
        const struct watch *w = &t->watched[i];
        bool yes = false;
        if (w->failed || ks_watch_changed(&c->ks, w->db, w->key, &w->stamp, &yes) < 0 || yes) return true;
    }
    return false;
}

static void run_queue(struct call *c, const struct transaction *t)
{
    struct client *client = c->client;
    uint32_t errors = client->errors;
    for (size_t i = 0; i < t->n; i++) {
        const struct queued *q = &t->queue[i];
        c->argv = q->argv;
        c->argc = q->argc;
        c->resp = client->resp;
        c->ks.db = client->db;
        dispatch_inner(client, c, q->e);
    }
    client->errors = errors; /* those count against the commands that made them, not against EXEC */
}

static void cmd_exec(struct call *c)
{
    struct client *client = c->client;
    if (!(client->flags & CLIENT_MULTI)) {
        reply_error(c, "ERR EXEC without MULTI");
        return;
    }
    if (client->flags & CLIENT_DIRTY_EXEC) {
        multi_discard(client);
        reply_error(c, "EXECABORT Transaction discarded because of previous errors.");
        return;
    }
    struct transaction *t = client->transaction;
    const struct command_entry *self = client->command;
    uint64_t before = output_end(client);
    int rc = E_OK;
    ks_enter(&c->ks, KS_EXCLUSIVE, NULL, 0);
    if (changed(c, t)) {
        reply_null_array(c);
    } else if (!t || t->n == 0) {
        reply_array(c, 0);
    } else {
        bool batch = t->flags & (CMD_WRITE | CMD_READONLY);
        c->in_multi = true;
        client->flags &= ~(uint32_t)CLIENT_MULTI;
        if (batch) ks_begin(&c->ks);
        reply_array(c, t->n);
        run_queue(c, t);
        if (batch) rc = ks_commit(&c->ks);
    }
    ks_leave(&c->ks);
    if (rc < 0) {
        output_cut(client, before);
        reply_failure(c, rc);
    }
    client->command = self;
    multi_discard(client);
}

#define TX (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_ALLOW_BUSY)
static const struct command commands[] = {
    {"multi", cmd_multi, 1, TX | CMD_FAST | CMD_UNGATED, "transaction", .summary = "Begins a transaction: commands are queued until EXEC", .since = "1.2.0",
     .group = "transactions", .complexity = "O(1)", .syntax = ""},
    {"exec", cmd_exec, 1, CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG, "transaction", .summary = "Runs the queued commands as one commit", .since = "1.2.0",
     .group = "transactions", .complexity = "That of the queued commands", .syntax = ""},
    {"discard", cmd_discard, 1, TX | CMD_FAST | CMD_UNGATED, "transaction", .summary = "Forgets the queued commands and the watched keys", .since = "2.0.0",
     .group = "transactions", .complexity = "O(N) in the number of queued commands", .syntax = ""},
    {"watch", cmd_watch, -2, TX | CMD_FAST, "transaction", {{"RO", 1, NULL, -1, 1, 0}}, .summary = "Makes EXEC depend on keys staying as they are", .since = "2.2.0",
     .group = "transactions", .complexity = "O(1) a key", .syntax = "key [key ...]"},
    {"unwatch", cmd_unwatch, 1, TX | CMD_FAST | CMD_UNGATED, "transaction", .summary = "Forgets the watched keys", .since = "2.2.0", .group = "transactions",
     .complexity = "O(1)", .syntax = ""},
    {NULL},
};
FAMILY(transaction, commands);
