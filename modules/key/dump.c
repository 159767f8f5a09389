/* DUMP and RESTORE of strings and documents. */
#include "modules/key/key.h"
#include "modules/key/rdb.h"

void cmd_dump(struct call *c)
{
    struct ks_value v;
    struct buf out = {0};
    int err = ks_get(&c->ks, c->argv[1], &v);
    if (err == E_NOTFOUND) return reply_null(c);
    if (err != E_OK) return reply_failure(c, err);
    if (v.type != TYPE_STRING && v.type != TYPE_DOCUMENT) return reply_failure(c, E_UNSUPPORTED);
    rdb_dump(v.type, v.blob, &out);
    reply_bulk(c, buf_slice(&out));
    buf_fini(&out);
}

struct restore {
    bool replace, absolute;
    int64_t ttl_ms, idle_s, freq; /* the last two -1 = not given */
};

static bool parse_options(struct call *c, struct restore *o)
{
    *o = (struct restore){.idle_s = -1, .freq = -1};
    for (int i = 4; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        if (arg_is(c, i, "replace")) {
            o->replace = true;
        } else if (arg_is(c, i, "absttl")) {
            o->absolute = true;
        } else if (arg_is(c, i, "idletime") && more && o->freq == -1) {
            if (!arg_i64(c, ++i, &o->idle_s)) return false;
            if (o->idle_s >= 0) continue;
            reply_error(c, "ERR Invalid IDLETIME value, must be >= 0");
            return false;
        } else if (arg_is(c, i, "freq") && more && o->idle_s == -1) {
            if (!arg_i64(c, ++i, &o->freq)) return false;
            if (o->freq >= 0 && o->freq <= UINT8_MAX) continue;
            reply_error(c, "ERR Invalid FREQ value, must be >= 0 and <= 255");
            return false;
        } else {
            reply_syntax(c);
            return false;
        }
    }
    return true;
}

static bool parse_ttl(struct call *c, struct restore *o)
{
    if (!arg_i64(c, 2, &o->ttl_ms)) return false;
    int64_t now = (int64_t)c->ks.now_ms;
    if (o->ttl_ms < 0 || (!o->absolute && o->ttl_ms > INT64_MAX - now)) {
        reply_error(c, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    if (o->ttl_ms > 0 && !o->absolute) o->ttl_ms += now;
    return true;
}

/* A time that has passed: the key is not made, and one that would be replaced goes. */
static void put_and_reply(struct call *c, const struct restore *o, uint8_t type, slice value)
{
    struct ks_write w = {.expiry = o->ttl_ms ? KS_EXPIRY_SET : KS_EXPIRY_CLEAR, .expire_ms = (uint64_t)o->ttl_ms};
    bool past = o->ttl_ms != 0 && (uint64_t)o->ttl_ms <= c->ks.now_ms;
    int err = past ? ks_delete(&c->ks, c->argv[1], NULL) : ks_put(&c->ks, c->argv[1], type, value, &w);
    if (err == E_NOTFOUND) return reply_ok(c);
    if (err != E_OK) return reply_failure(c, err);
    if (!past && o->idle_s >= 0 && !limit_lfu()) ks_set_usage(&c->ks, c->argv[1], (uint64_t)o->idle_s, 0);
    if (!past && o->freq >= 0 && limit_lfu()) ks_set_usage(&c->ks, c->argv[1], 0, (uint8_t)o->freq);
    notify_dirty(c, 1);
    reply_ok(c);
}

void cmd_restore(struct call *c)
{
    struct restore o;
    struct ks_value v;
    struct buf mem = {0};
    slice value;
    uint8_t type;
    bool found;
    if (!parse_options(c, &o) || !key_look(c, c->argv[1], KS_USE, &v, &found)) return;
    if (found && !o.replace) return reply_error(c, "BUSYKEY Target key name already exists.");
    if (!parse_ttl(c, &o)) return;
    int err = rdb_restore(c->argv[3], limit_string_bytes(), &mem, &type, &value);
    if (err == E_VERSION)
        reply_error(c, "ERR DUMP payload version or checksum are wrong");
    else if (err != E_OK)
        reply_error(c, "ERR Bad data format");
    else
        put_and_reply(c, &o, type, value);
    buf_fini(&mem);
}
