/* Commands about the connection itself: PING ECHO QUIT RESET HELLO AUTH SELECT. */
#include "server/client.h"
#include "server/loop.h"
#include "server/multi.h"
#include "server/reply.h"
#include "server/server.h"


static void cmd_ping(struct call *c)
{
    if (c->argc > 2) {
        reply_error(c, "ERR wrong number of arguments for 'ping' command");
        return;
    }
    if (c->argc == 1)
        reply_raw(c, "+PONG\r\n");
    else
        reply_bulk(c, c->argv[1]);
}

static void cmd_echo(struct call *c) { reply_bulk(c, c->argv[1]); }

static void cmd_quit(struct call *c)
{
    reply_ok(c);
    c->client->flags |= CLIENT_CLOSE_AFTER_REPLY;
}

static void cmd_select(struct call *c)
{
    int64_t db;
    if (!num_parse_i64(c->argv[1], &db)) {
        reply_not_integer(c);
        return;
    }
    if (db < INT32_MIN || db > INT32_MAX) {
        reply_error(c, "ERR value is out of range, value must between %d and %d", INT32_MIN, INT32_MAX);
        return;
    }
    if (db < 0 || db >= config_num(&c->client->server->config, CFG_DATABASES)) {
        reply_error(c, "ERR DB index is out of range");
        return;
    }
    c->client->db = (uint16_t)db;
    reply_ok(c);
}

static void cmd_reset(struct call *c)
{
    struct client *client = c->client;
    multi_discard(client);
    multi_unwatch(client);
    client_set_name(&client->name, slice_of(NULL, 0));
    client->db = 0;
    client->resp = 2;
    /* A reply that is to be skipped may be RESET's own: it stays so. */
    client->flags &= ~(uint32_t)(CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP_NEXT | CLIENT_NO_EVICT | CLIENT_NO_TOUCH | CLIENT_AUTHENTICATED | CLIENT_VIEW);
    if (atomic_load(&client->server->no_auth)) client->flags |= CLIENT_AUTHENTICATED;
    reply_status(c, "RESET");
}

/* ---- authentication: one user, `default`, whose password is requirepass ---- */

/* Takes as long for a wrong password as for the right one. */
static bool same_secret(slice a, slice b)
{
    unsigned differ = a.n != b.n;
    for (size_t i = 0; i < a.n; i++) differ |= (unsigned)(a.p[i] ^ b.p[b.n ? i % b.n : 0]);
    return differ == 0;
}

static bool may_enter(struct client *c, slice user, slice password)
{
    struct buf secret = {0};
    config_text(&c->server->config, CFG_REQUIREPASS, &secret);
    bool ok = slice_eq(user, slice_str("default")) && (secret.n == 0 || (password.n > 0 && same_secret(password, buf_slice(&secret))));
    buf_fini(&secret);
    return ok;
}

static bool authenticate(struct call *c, slice user, slice password)
{
    if (!may_enter(c->client, user, password)) {
        reply_error(c, "WRONGPASS invalid username-password pair or user is disabled.");
        return false;
    }
    c->client->flags |= CLIENT_AUTHENTICATED;
    return true;
}

static void cmd_auth(struct call *c)
{
    if (c->argc > 3) {
        reply_syntax(c);
        return;
    }
    if (c->argc == 2 && atomic_load(&c->client->server->no_auth)) {
        reply_error(c, "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?");
        return;
    }
    slice user = c->argc == 3 ? c->argv[1] : slice_str("default");
    if (authenticate(c, user, c->argv[c->argc - 1])) reply_ok(c);
}

static bool good_name(slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '!' || s.p[i] > '~') return false;
    return true;
}

static void reply_hello(struct call *c)
{
    struct server *s = c->client->server;
    reply_map(c, 7);
    reply_str(c, "server");
    reply_str(c, "redis");
    reply_str(c, "version");
    reply_str(c, REDIS_VERSION);
    reply_str(c, "proto");
    reply_int(c, c->resp);
    reply_str(c, "id");
    reply_int(c, (int64_t)c->client->id);
    reply_str(c, "mode");
    reply_str(c, "standalone");
    reply_str(c, "role");
    reply_str(c, "master");
    reply_str(c, "modules");
    mutex_lock(&s->modules_mutex);
    reply_array(c, s->n_modules);
    for (size_t i = 0; i < s->n_modules; i++) {
        reply_map(c, 2);
        reply_str(c, "name");
        reply_str(c, s->modules[i].family->name);
        reply_str(c, "ver");
        reply_int(c, s->modules[i].family->version);
    }
    mutex_unlock(&s->modules_mutex);
}

static void cmd_hello(struct call *c)
{
    int64_t version = c->resp;
    slice user = {0}, password = {0}, name = {0};
    bool has_user = false, has_name = false;
    if (c->argc > 1 && !num_parse_i64(c->argv[1], &version)) {
        reply_error(c, "ERR Protocol version is not an integer or out of range");
        return;
    }
    if (version < 2 || version > 3) {
        reply_error(c, "NOPROTO unsupported protocol version");
        return;
    }
    for (int i = 2; i < c->argc; i++) {
        if (arg_is(c, i, "auth") && i + 2 < c->argc) {
            user = c->argv[i + 1], password = c->argv[i + 2], has_user = true;
            i += 2;
        } else if (arg_is(c, i, "setname") && i + 1 < c->argc) {
            name = c->argv[++i], has_name = true;
            if (!good_name(name)) {
                reply_error(c, "ERR Client names cannot contain spaces, newlines or special characters.");
                return;
            }
        } else {
            reply_error(c, "ERR Syntax error in HELLO option '%.*s'", (int)(c->argv[i].n > 128 ? 128 : c->argv[i].n), (const char *)c->argv[i].p);
            return;
        }
    }
    if (has_user && !authenticate(c, user, password)) return;
    if (!(c->client->flags & CLIENT_AUTHENTICATED)) {
        reply_error(c, "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to "
                       "authenticate the client and select the RESP protocol version at the same time");
        return;
    }
    if (has_name) client_set_name(&c->client->name, name);
    c->client->resp = (uint8_t)version;
    c->resp = (int)version;
    reply_hello(c);
}

#define FREE (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY | CMD_UNGATED)
static const struct command commands[] = {
    {"ping", cmd_ping, -1, CMD_FAST | CMD_UNGATED, "connection", .summary = "Answers PONG, or its argument", .since = "1.0.0", .group = "connection",
     .complexity = "O(1)", .syntax = "[message]", .tips = "request_policy:all_shards response_policy:all_succeeded"},
    {"echo", cmd_echo, 2, CMD_LOADING | CMD_STALE | CMD_FAST | CMD_UNGATED, "connection", .summary = "Answers its argument", .since = "1.0.0", .group = "connection",
     .complexity = "O(1)", .syntax = "message"},
    {"quit", cmd_quit, -1, FREE, "connection", .summary = "Closes the connection", .since = "1.0.0", .group = "connection", .complexity = "O(1)", .syntax = ""},
    {"reset", cmd_reset, 1, FREE, "connection", .summary = "Makes the connection as if it were new", .since = "6.2.0", .group = "connection", .complexity = "O(1)",
     .syntax = ""},
    {"hello", cmd_hello, -1, FREE, "connection", .summary = "Chooses the protocol version and says who the server is", .since = "6.0.0", .group = "connection",
     .complexity = "O(1)", .syntax = "[protover [AUTH username password] [SETNAME clientname]]"},
    {"auth", cmd_auth, -2, FREE | CMD_SENTINEL, "connection", .summary = "Authenticates the connection", .since = "1.0.0", .group = "connection",
     .complexity = "O(N) in passwords of the user", .syntax = "[username] password"},
    {"select", cmd_select, 2, CMD_LOADING | CMD_STALE | CMD_FAST | CMD_UNGATED, "connection", .summary = "Chooses the database of the connection", .since = "1.0.0",
     .group = "connection", .complexity = "O(1)", .syntax = "index"},
    {NULL},
};
FAMILY(connection, commands);
