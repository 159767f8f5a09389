/* OBJECT: how a value is kept. Strings answer as Redis would keep them; here they are all bytes. */
#include "modules/key/key.h"

#define EMBSTR_BYTES_MAX 44
#define SHARED_INTEGERS  10000

static bool as_integer(const struct ks_value *v, int64_t *out)
{
    return v->type == TYPE_STRING && !(v->flags & (NODE_ENC_RAW | KS_ENC_TEXT)) && num_parse_i64(v->blob, out);
}

static const char *encoding(const struct ks_value *v)
{
    static const char *const of_type[] = {"none",     "raw",    "quicklist", "hashtable", "listpack",
                                          "listpack", "stream", "json",      "unknown"};
    int64_t n;
    ASSERT(v->type < sizeof of_type / sizeof *of_type);
    if (v->type != TYPE_STRING) return of_type[v->type];
    if (as_integer(v, &n)) return "int";
    return v->blob.n <= EMBSTR_BYTES_MAX && !(v->flags & NODE_ENC_RAW) ? "embstr" : "raw";
}

/* Asking is no use of a key, but a hit or a miss. False: answered, with nil or an error. */
static bool look(struct call *c, struct ks_value *v)
{
    int err = ks_peek(&c->ks, c->argv[2], v);
    if (err == E_OK || err == E_NOTFOUND) ks_tally_look(&c->ks, err == E_OK);
    if (err == E_OK) return true;
    if (err == E_NOTFOUND)
        reply_null(c);
    else
        reply_failure(c, err);
    return false;
}

void cmd_object_encoding(struct call *c)
{
    struct ks_value v;
    if (look(c, &v)) reply_str(c, encoding(&v));
}

/* Small integers are shared in Redis, and say so by an impossible count. */
void cmd_object_refcount(struct call *c)
{
    struct ks_value v;
    int64_t n;
    if (look(c, &v)) reply_int(c, as_integer(&v, &n) && n >= 0 && n < SHARED_INTEGERS ? INT32_MAX : 1);
}

static bool usage(struct call *c, struct ks_usage *u)
{
    int err = ks_usage(&c->ks, c->argv[2], u);
    if (err == E_OK || err == E_NOTFOUND) ks_tally_look(&c->ks, err == E_OK);
    if (err == E_OK) return true;
    if (err == E_NOTFOUND)
        reply_null(c);
    else
        reply_failure(c, err);
    return false;
}

void cmd_object_idletime(struct call *c)
{
    struct ks_usage u;
    if (!usage(c, &u)) return;
    if (limit_lfu())
        return reply_error(
            c, "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between "
               "policies at runtime LRU and LFU data will take some time to adjust.");
    reply_int(c, (int64_t)(u.idle_ms / 1000));
}

void cmd_object_freq(struct call *c)
{
    struct ks_usage u;
    if (!usage(c, &u)) return;
    if (!limit_lfu())
        return reply_error(
            c, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching "
               "between policies at runtime LRU and LFU data will take some time to adjust.");
    reply_int(c, u.freq);
}

void cmd_object_help(struct call *c)
{
    static const char *const lines[] = {
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    How the value is kept.",
        "FREQ <key>",
        "    How often the key is used, on a logarithmic scale.",
        "IDLETIME <key>",
        "    Seconds since the key was last used.",
        "REFCOUNT <key>",
        "    How many references the value has.",
        "HELP",
        "    Shows this text.",
    };
    size_t n = sizeof lines / sizeof *lines;
    reply_array(c, n);
    for (size_t i = 0; i < n; i++) reply_status(c, lines[i]);
}
