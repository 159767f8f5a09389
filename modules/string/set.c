/* SET and its older relatives, and GETEX, which takes the same options for time. */
#include "modules/string/string.h"

enum option {
    OPT_NX = 1,
    OPT_XX = 2,
    OPT_GET = 4,
    OPT_KEEPTTL = 8,
    OPT_PERSIST = 16,
    OPT_EX = 32,
    OPT_PX = 64,
    OPT_EXAT = 128,
    OPT_PXAT = 256,
};
#define OPT_TIMES (OPT_EX | OPT_PX | OPT_EXAT | OPT_PXAT)

struct options {
    unsigned set; /* enum option */
    int time_at;  /* argument that holds the time */
};

struct word {
    const char *name;
    unsigned option, excludes;
    bool in_set, in_getex, takes_time;
};

static const struct word words[] = {
    {"nx", OPT_NX, OPT_XX, true, false, false},
    {"xx", OPT_XX, OPT_NX, true, false, false},
    {"get", OPT_GET, 0, true, false, false},
    {"keepttl", OPT_KEEPTTL, OPT_TIMES, true, false, false},
    {"persist", OPT_PERSIST, OPT_TIMES, false, true, false},
    {"ex", OPT_EX, OPT_KEEPTTL | OPT_PERSIST | (OPT_TIMES & ~OPT_EX), true, true, true},
    {"px", OPT_PX, OPT_KEEPTTL | OPT_PERSIST | (OPT_TIMES & ~OPT_PX), true, true, true},
    {"exat", OPT_EXAT, OPT_KEEPTTL | OPT_PERSIST | (OPT_TIMES & ~OPT_EXAT), true, true, true},
    {"pxat", OPT_PXAT, OPT_KEEPTTL | OPT_PERSIST | (OPT_TIMES & ~OPT_PXAT), true, true, true},
};

static const struct word *word_of(slice arg, bool getex)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (slice_is(arg, words[i].name)) return (getex ? words[i].in_getex : words[i].in_set) ? &words[i] : NULL;
    return NULL;
}

/* False: a syntax error; nothing has been replied. */
static bool parse_options(const struct call *c, int from, bool getex, struct options *o)
{
    *o = (struct options){0};
    for (int i = from; i < c->argc; i++) {
        const struct word *w = word_of(c->argv[i], getex);
        if (w == NULL || (o->set & w->excludes) || (w->takes_time && i + 1 == c->argc)) return false;
        o->set |= w->option;
        if (w->takes_time) o->time_at = ++i;
    }
    return true;
}

/* The command's name in lower case, as the table has it. */
static void bad_time(struct call *c)
{
    char name[16];
    size_t n = c->argv[0].n < sizeof name ? c->argv[0].n : sizeof name - 1;
    for (size_t i = 0; i < n; i++) name[i] = (char)(c->argv[0].p[i] | 0x20);
    reply_error(c, "ERR invalid expire time in '%.*s' command", (int)n, name);
}

/* The time in an argument as Unix ms. False: an error has been replied. */
static bool parse_time(struct call *c, int at, bool seconds, bool relative, uint64_t *out)
{
    int64_t v, now = (int64_t)c->ks.now_ms;
    if (!arg_i64(c, at, &v)) return false;
    if (v <= 0 || (seconds && v > INT64_MAX / 1000)) goto bad;
    if (seconds) v *= 1000;
    if (relative && v > INT64_MAX - now) goto bad;
    *out = (uint64_t)(relative ? v + now : v);
    return true;
bad:
    bad_time(c);
    return false;
}

static bool option_time(struct call *c, const struct options *o, uint64_t *out)
{
    return parse_time(c, o->time_at, (o->set & (OPT_EX | OPT_EXAT)) != 0, (o->set & (OPT_EX | OPT_PX)) != 0, out);
}

static void put_and_reply_ok(struct call *c, slice value, const struct ks_write *w)
{
    int err = ks_put(&c->ks, c->argv[1], TYPE_STRING, value, w);
    if (err != E_OK) return reply_failure(c, err);
    notify_dirty(c, 1);
    reply_ok(c);
}

/* The parts of SET that need to know what is there. */
static void set_after_look(struct call *c, const struct options *o, const struct ks_write *w)
{
    struct ks_value v;
    struct buf old = {0};
    bool found;
    if (o->set & OPT_GET) {
        if (!string_get(c, c->argv[1], &v, &found)) return;
        if (found) buf_add_slice(&old, v.blob);
    } else {
        int err = ks_look(&c->ks, c->argv[1], KS_USE, &v);
        if (err != E_OK && err != E_NOTFOUND) return reply_failure(c, err);
        found = err == E_OK;
    }
    bool met = !((o->set & OPT_NX) && found) && !((o->set & OPT_XX) && !found);
    int err = met ? ks_put(&c->ks, c->argv[1], TYPE_STRING, c->argv[2], w) : E_OK;
    if (met && err == E_OK) notify_dirty(c, 1);
    if (err != E_OK)
        reply_failure(c, err);
    else if ((o->set & OPT_GET) && found)
        reply_bulk(c, buf_slice(&old));
    else if (!met || (o->set & OPT_GET))
        reply_null(c);
    else
        reply_ok(c);
    buf_fini(&old);
}

static void set_with_options(struct call *c)
{
    struct options o;
    struct ks_write w = {0};
    if (!parse_options(c, 3, false, &o)) return reply_syntax(c);
    if (o.set & OPT_TIMES) {
        w.expiry = KS_EXPIRY_SET;
        if (!option_time(c, &o, &w.expire_ms)) return;
    } else if (o.set & OPT_KEEPTTL) {
        w.expiry = KS_EXPIRY_KEEP;
    }
    if (o.set & (OPT_GET | OPT_NX | OPT_XX))
        set_after_look(c, &o, &w);
    else
        put_and_reply_ok(c, c->argv[2], &w);
}

void cmd_set(struct call *c)
{
    if (c->argc == 3)
        put_and_reply_ok(c, c->argv[2], NULL);
    else
        set_with_options(c);
}

void cmd_setnx(struct call *c)
{
    struct ks_value v;
    int err = ks_look(&c->ks, c->argv[1], KS_USE, &v);
    if (err == E_OK) return reply_int(c, 0);
    if (err == E_NOTFOUND) err = ks_put(&c->ks, c->argv[1], TYPE_STRING, c->argv[2], NULL);
    if (err != E_OK) return reply_failure(c, err);
    notify_dirty(c, 1);
    reply_int(c, 1);
}

static void set_with_time(struct call *c, bool seconds)
{
    struct ks_write w = {.expiry = KS_EXPIRY_SET};
    if (parse_time(c, 2, seconds, true, &w.expire_ms)) put_and_reply_ok(c, c->argv[3], &w);
}

void cmd_setex(struct call *c)
{
    set_with_time(c, true);
}
void cmd_psetex(struct call *c)
{
    set_with_time(c, false);
}

void cmd_getset(struct call *c)
{
    struct options o = {.set = OPT_GET};
    set_after_look(c, &o, &(struct ks_write){0});
}

void cmd_getex(struct call *c)
{
    struct options o;
    struct ks_value v;
    struct buf value = {0};
    uint64_t expire_ms = 0;
    bool found;
    if (!parse_options(c, 2, true, &o)) return reply_syntax(c);
    if (!string_get(c, c->argv[1], &v, &found)) return;
    if (!found) return reply_null(c);
    if ((o.set & OPT_TIMES) && !option_time(c, &o, &expire_ms)) return;
    bool change = (o.set & OPT_TIMES) || ((o.set & OPT_PERSIST) && v.expire_ms != 0);
    if (!change) return reply_bulk(c, v.blob);
    buf_add_slice(&value, v.blob);
    int err = ks_set_expiry(&c->ks, c->argv[1], expire_ms);
    if (err == E_OK) {
        notify_dirty(c, 1);
        reply_bulk(c, buf_slice(&value));
    } else {
        reply_failure(c, err);
    }
    buf_fini(&value);
}
