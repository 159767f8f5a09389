/* DEBUG: what tests and people who hunt bugs need. Closed unless enable-debug-command opens it. */
#include "base/hash.h"
#include "base/logline.h"
#include "server/client.h"
#include "server/loop.h"
#include "server/reply.h"
#include "server/server.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DIGEST_BYTES 20
#define SCAN_COUNT 512
#define EMBSTR_MAX 44
#define VALUE_BYTES_MAX (512 << 20)


static void bad(struct call *c)
{
    reply_error(c, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.", (int)(c->argv[1].n > 128 ? 128 : c->argv[1].n),
                (const char *)c->argv[1].p);
}

static void debug_sleep(struct call *c)
{
    char text[64];
    size_t n = c->argv[2].n < sizeof text ? c->argv[2].n : sizeof text - 1;
    memcpy(text, c->argv[2].p, n);
    text[n] = 0;
    double seconds = strtod(text, NULL);
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
    c->client->loop->clock_set = false;
    reply_ok(c);
}

static const char *encoding_of(const struct ks_value *v)
{
    int64_t ignored;
    if (v->type == TYPE_DOCUMENT) return "json";
    if (v->type != TYPE_STRING) return "raw";
    if (v->flags & NODE_ENC_RAW) return "raw";
    if (!(v->flags & KS_ENC_TEXT) && v->blob.n <= 20 && num_parse_i64(v->blob, &ignored)) return "int";
    return v->blob.n <= EMBSTR_MAX ? "embstr" : "raw";
}

static void debug_object(struct call *c)
{
    struct ks_value v;
    struct ks_usage u = {0};
    ks_enter(&c->ks, KS_SHARED, &c->argv[2], 1);
    int rc = ks_usage(&c->ks, c->argv[2], &u);
    if (rc == E_OK) rc = ks_peek(&c->ks, c->argv[2], &v);
    if (rc == E_NOTFOUND)
        reply_error(c, "ERR no such key");
    else if (rc < 0)
        reply_failure(c, rc);
    else {
        char line[256];
        snprintf(line, sizeof line, "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%llu lru_seconds_idle:%llu seq:%llu ver:%llu", (const void *)v.blob.p, encoding_of(&v),
                 v.blob.n, (unsigned long long)((c->ks.now_ms - u.idle_ms) / 1000 & 0xffffff), (unsigned long long)(u.idle_ms / 1000), (unsigned long long)v.seq,
                 (unsigned long long)v.ver);
        reply_status(c, line);
    }
    ks_leave(&c->ks);
}

/* ---- digests: a sum over values that does not depend on their order ---- */

static void add_part(struct buf *b, slice s)
{
    uint64_t n = s.n;
    buf_add(b, &n, sizeof n);
    buf_add_slice(b, s);
}

static void mix(uint8_t digest[DIGEST_BYTES], const struct buf *b)
{
    uint8_t hash[HASH_BYTES];
    blake2b_256(hash, b->p, b->n);
    for (size_t i = 0; i < DIGEST_BYTES; i++) digest[i] ^= hash[i];
}

static int value_digest(struct ks_ctx *ks, slice key, bool with_key, uint8_t digest[DIGEST_BYTES])
{
    struct ks_value v;
    struct buf b = {0};
    int rc = ks_peek(ks, key, &v);
    if (rc < 0) return rc;
    if (with_key) {
        buf_add_byte(&b, (uint8_t)ks->db);
        add_part(&b, key);
        buf_add_byte(&b, v.expire_ms != 0);
        buf_add(&b, &v.expire_ms, sizeof v.expire_ms);
    }
    buf_add_byte(&b, v.type);
    add_part(&b, v.blob);
    mix(digest, &b);
    buf_fini(&b);
    return E_OK;
}

static void reply_digest(struct call *c, const uint8_t digest[DIGEST_BYTES])
{
    char hex[DIGEST_BYTES * 2 + 1];
    hex_encode(hex, digest, DIGEST_BYTES);
    reply_status(c, hex);
}

struct key_pile {
    struct buf bytes;
};

static int pile_key(void *ctx, slice key, uint8_t type)
{
    struct key_pile *p = ctx;
    add_part(&p->bytes, key);
    return 0;
}

static int db_digest(struct ks_ctx *ks, uint8_t digest[DIGEST_BYTES])
{
    uint64_t cursor = 0;
    struct key_pile pile = {0};
    int rc;
    do {
        buf_clear(&pile.bytes);
        rc = ks_scan(ks, &cursor, SCAN_COUNT, 0, pile_key, &pile);
        for (size_t i = 0; rc == E_OK && i < pile.bytes.n;) {
            uint64_t n;
            memcpy(&n, pile.bytes.p + i, sizeof n);
            rc = value_digest(ks, slice_of(pile.bytes.p + i + sizeof n, n), true, digest);
            if (rc == E_NOTFOUND) rc = E_OK;
            i += sizeof n + n;
        }
    } while (rc == E_OK && cursor);
    buf_fini(&pile.bytes);
    return rc;
}

static void debug_digest(struct call *c)
{
    uint8_t digest[DIGEST_BYTES] = {0};
    int rc = E_OK;
    ks_enter(&c->ks, KS_EXCLUSIVE, NULL, 0);
    for (unsigned db = 0; db < ks_databases(c->ks.ks) && rc == E_OK; db++) {
        c->ks.db = (uint16_t)db;
        rc = db_digest(&c->ks, digest);
    }
    ks_leave(&c->ks);
    c->ks.db = c->client->db;
    if (rc < 0)
        reply_failure(c, rc);
    else
        reply_digest(c, digest);
}

static void debug_digest_value(struct call *c)
{
    reply_array(c, (size_t)c->argc - 2);
    ks_enter(&c->ks, KS_EXCLUSIVE, NULL, 0);
    for (int i = 2; i < c->argc; i++) {
        uint8_t digest[DIGEST_BYTES] = {0};
        int rc = value_digest(&c->ks, c->argv[i], false, digest);
        (void)rc; /* what is not there has the empty digest */
        reply_digest(c, digest);
    }
    ks_leave(&c->ks);
}

/* ---- data ---- */

static void debug_populate(struct call *c)
{
    int64_t count, size = 0;
    slice prefix = c->argc > 3 ? c->argv[3] : slice_str("key");
    struct buf key = {0}, value = {0};
    int rc = E_OK;
    if (!num_parse_i64(c->argv[2], &count) || count < 0 || (c->argc > 4 && (!num_parse_i64(c->argv[4], &size) || size < 0))) {
        reply_error(c, "ERR value is out of range, must be positive");
        return;
    }
    if (size > VALUE_BYTES_MAX) {
        reply_error(c, "ERR value is out of range, must be between 0 and %d", VALUE_BYTES_MAX);
        return;
    }
    ks_enter(&c->ks, KS_EXCLUSIVE, NULL, 0);
    for (int64_t i = 0; i < count && rc == E_OK; i++) {
        struct ks_value v;
        struct ks_write w = {0};
        buf_clear(&key);
        buf_clear(&value);
        buf_add_slice(&key, prefix);
        buf_printf(&key, ":%lld", (long long)i);
        if (ks_stat(&c->ks, buf_slice(&key), true, &v) == E_OK) continue;
        buf_printf(&value, "value:%lld", (long long)i);
        if (size > 0) {
            if ((size_t)size > value.n) memset(buf_reserve(&value, (size_t)size - value.n), 0, (size_t)size - value.n);
            value.n = (size_t)size;
        }
        rc = ks_put(&c->ks, buf_slice(&key), TYPE_STRING, buf_slice(&value), &w);
    }
    ks_leave(&c->ks);
    buf_fini(&key);
    buf_fini(&value);
    if (rc < 0)
        reply_failure(c, rc);
    else
        reply_ok(c);
}

/* The memory is emptied and what is read from now on comes from the log. */
static void debug_reload(struct call *c)
{
    for (int i = 2; i < c->argc; i++) {
        if (arg_is(c, i, "merge") || arg_is(c, i, "noflush") || arg_is(c, i, "nosave")) continue;
        reply_error(c, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
        return;
    }
    int rc = engine_write_out(c->client->server->engine, 0);
    if (rc < 0) {
        reply_failure(c, rc);
        return;
    }
    ks_enter(&c->ks, KS_EXCLUSIVE, NULL, 0);
    ks_drop_cache(&c->ks);
    ks_leave(&c->ks);
    reply_ok(c);
}

/* ---- protocol ---- */

static void debug_protocol(struct call *c)
{
    slice name = c->argv[2];
    if (slice_is(name, "string"))
        reply_str(c, "Hello World");
    else if (slice_is(name, "integer"))
        reply_int(c, 12345);
    else if (slice_is(name, "double"))
        reply_double(c, 3.141);
    else if (slice_is(name, "null"))
        reply_null(c);
    else if (slice_is(name, "bignum"))
        reply_bignum(c, "1234567999999999999999999999999999999");
    else if (slice_is(name, "array") || slice_is(name, "set")) {
        if (slice_is(name, "set"))
            reply_set(c, 3);
        else
            reply_array(c, 3);
        for (int i = 0; i < 3; i++) reply_int(c, i);
    } else if (slice_is(name, "map")) {
        reply_map(c, 3);
        for (int i = 0; i < 3; i++) {
            reply_int(c, i);
            reply_bool(c, i == 1);
        }
    } else if (slice_is(name, "attrib")) {
        if (c->resp >= 3) {
            reply_attribute(c, 1);
            reply_str(c, "key-popularity");
            reply_array(c, 2);
            reply_str(c, "key:123");
            reply_int(c, 90);
        }
        reply_str(c, "Some real reply following the attribute");
    } else if (slice_is(name, "push")) {
        if (c->resp < 3) {
            reply_error(c, "ERR RESP2 is not supported by this command");
            return;
        }
        reply_push(c, 2);
        reply_str(c, "server-cpu-usage");
        reply_int(c, 42);
        reply_str(c, "Some real reply following the push reply");
    } else if (slice_is(name, "verbatim"))
        reply_verbatim(c, "txt", slice_str("This is a verbatim\nstring"));
    else if (slice_is(name, "true"))
        reply_bool(c, true);
    else if (slice_is(name, "false"))
        reply_bool(c, false);
    else
        reply_error(c, "ERR Wrong protocol type name. Please use one of the following: "
                       "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
}

/* ---- the rest ---- */

static void debug_log(struct call *c)
{
    log_line(LOG_WARNING, "DEBUG LOG: %.*s", (int)c->argv[2].n, (const char *)c->argv[2].p);
    reply_ok(c);
}

static void debug_error(struct call *c) { reply_error(c, "%.*s", (int)c->argv[2].n, (const char *)c->argv[2].p); }

static void debug_active_expire(struct call *c)
{
    ks_set_active_expiry(c->ks.ks, !slice_is(c->argv[2], "0"));
    reply_ok(c);
}

static void debug_pause_cron(struct call *c)
{
    atomic_store(&c->client->server->cron_paused, !slice_is(c->argv[2], "0"));
    reply_ok(c);
}

/* Switches of mechanisms that this server does not have: there is nothing to switch. */
static void debug_nothing(struct call *c) { reply_ok(c); }

static void debug_replybuffer(struct call *c)
{
    int64_t ms;
    if (arg_is(c, 2, "resizing")) return reply_ok(c);
    if (!arg_is(c, 2, "peak-reset-time")) return bad(c);
    if (arg_is(c, 3, "never") || arg_is(c, 3, "reset") || arg_i64(c, 3, &ms)) reply_ok(c);
}

static void debug_rewrite_all(struct call *c)
{
    const char *why = config_rewrite(&c->client->server->config, true);
    if (why)
        reply_error(c, "ERR CONFIG-REWRITE-FORCE-ALL failed: %s", why);
    else
        reply_ok(c);
}

static void debug_segfault(struct call *c)
{
    raise(SIGSEGV);
    reply_ok(c);
}

static void debug_assert(struct call *c)
{
    assert_failed("DEBUG ASSERT", __FILE__, __LINE__);
}

static void debug_check(struct call *c)
{
    ks_enter(&c->ks, KS_EXCLUSIVE, NULL, 0);
    ks_check(c->ks.ks);
    ks_leave(&c->ks);
    reply_ok(c);
}

static void debug_help(struct call *c)
{
    reply_help(c, "DEBUG",
               "ASSERT\n    Fail an assertion.\n"
               "CHECK\n    Check the invariants of the keyspace.\n"
               "CONFIG-REWRITE-FORCE-ALL\n    As CONFIG REWRITE, with every parameter.\n"
               "DIGEST\n    Show a digest of all data.\n"
               "DIGEST-VALUE <key> [<key> ...]\n    Show digests of values.\n"
               "ERROR <string>\n    Reply with that error.\n"
               "LOADAOF\n    Forget what is in memory; the log is read again.\n"
               "LOG <message>\n    Write to the log for people.\n"
               "OBJECT <key>\n    Describe how a value is kept.\n"
               "PAUSE-CRON <0|1>\n    Stop or start work by the clock.\n"
               "POPULATE <count> [<prefix>] [<size>]\n    Make strings named key:<num>.\n"
               "PROTOCOL <type>\n    Reply with a sample of the type: string, integer, double, bignum, null, array, set, map, attrib, push, verbatim, true, false.\n"
               "QUICKLIST-PACKED-THRESHOLD, REPLYBUFFER, SET-DISABLE-DENY-SCRIPTS, SET-SKIP-CHECKSUM-VALIDATION, CHANGE-REPL-ID\n    Accepted; there is nothing to switch.\n"
               "RELOAD [NOSAVE] [NOFLUSH] [MERGE]\n    Write a checkpoint and forget what is in memory.\n"
               "SEGFAULT\n    Crash.\n"
               "SET-ACTIVE-EXPIRE <0|1>\n    Stop or start removing expired keys in the background.\n"
               "SLEEP <seconds>\n    Stop this thread for a time.");
}

static const struct {
    const char *name;
    int low, high; /* arguments with DEBUG and the name */
    void (*fn)(struct call *c);
} sub_commands[] = {
    {"sleep", 3, 3, debug_sleep},
    {"object", 3, 4, debug_object},
    {"digest", 2, 2, debug_digest},
    {"digest-value", 2, INT32_MAX, debug_digest_value},
    {"populate", 3, 5, debug_populate},
    {"reload", 2, 5, debug_reload},
    {"loadaof", 2, 2, debug_reload},
    {"protocol", 3, 3, debug_protocol},
    {"log", 3, 3, debug_log},
    {"error", 3, 3, debug_error},
    {"set-active-expire", 3, 3, debug_active_expire},
    {"pause-cron", 3, 3, debug_pause_cron},
    {"quicklist-packed-threshold", 3, 3, debug_nothing},
    {"replybuffer", 4, 4, debug_replybuffer},
    {"set-disable-deny-scripts", 3, 3, debug_nothing},
    {"set-skip-checksum-validation", 3, 3, debug_nothing},
    {"change-repl-id", 2, 2, debug_nothing},
    {"config-rewrite-force-all", 2, 2, debug_rewrite_all},
    {"segfault", 2, 2, debug_segfault},
    {"assert", 2, 2, debug_assert},
    {"panic", 2, 2, debug_assert},
    {"check", 2, 2, debug_check},
    {"help", 2, 2, debug_help},
};

static void cmd_debug(struct call *c)
{
    for (size_t i = 0; i < sizeof sub_commands / sizeof *sub_commands; i++) {
        if (!arg_is(c, 1, sub_commands[i].name)) continue;
        if (c->argc < sub_commands[i].low || c->argc > sub_commands[i].high) break;
        sub_commands[i].fn(c);
        return;
    }
    bad(c);
}

static const struct command commands[] = {
    {"debug", cmd_debug, -2, CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .summary = "Helps with tests and bugs", .since = "1.0.0", .group = "server",
     .complexity = "Depends on the sub-command", .syntax = "subcommand [arg ...]"},
    {NULL},
};
FAMILY(debug, commands);
