/* When keys end: setting it, asking for it, taking it away. */
#include "modules/key/key.h"

enum condition { IF_NONE = 1, IF_SOME = 2, IF_LATER = 4, IF_EARLIER = 8 };

static bool parse_conditions(struct call *c, unsigned *out)
{
    static const struct {
        const char *word;
        unsigned bit;
    } words[] = {{"nx", IF_NONE}, {"xx", IF_SOME}, {"gt", IF_LATER}, {"lt", IF_EARLIER}};
    unsigned set = 0;
    for (int i = 3; i < c->argc; i++) {
        unsigned bit = 0;
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (arg_is(c, i, words[k].word)) bit = words[k].bit;
        if (bit == 0) {
            reply_error(c, "ERR Unsupported option %.*s", (int)c->argv[i].n, (const char *)c->argv[i].p);
            return false;
        }
        set |= bit;
    }
    if ((set & IF_NONE) && (set & ~(unsigned)IF_NONE)) {
        reply_error(c, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((set & IF_LATER) && (set & IF_EARLIER)) {
        reply_error(c, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    *out = set;
    return true;
}

/* A key without expiry lives for ever: later than every time. */
static bool holds(unsigned conditions, uint64_t current_ms, int64_t when_ms)
{
    bool some = current_ms != 0, later = some && when_ms > (int64_t)current_ms, earlier = !some || when_ms < (int64_t)current_ms;
    if ((conditions & IF_NONE) && some) return false;
    if ((conditions & IF_SOME) && !some) return false;
    if ((conditions & IF_LATER) && !later) return false;
    return !(conditions & IF_EARLIER) || earlier;
}

static void bad_time(struct call *c, bool seconds, bool relative)
{
    reply_error(c, "ERR invalid expire time in '%sexpire%s' command", seconds ? "" : "p", relative ? "" : "at");
}

static void set_expiry(struct call *c, bool seconds, bool relative)
{
    struct ks_value v;
    unsigned conditions;
    int64_t when, base = relative ? (int64_t)c->ks.now_ms : 0;
    bool found;
    if (!parse_conditions(c, &conditions) || !arg_i64(c, 2, &when)) return;
    bool fits = !seconds || (when <= INT64_MAX / 1000 && when >= INT64_MIN / 1000);
    if (fits && seconds) when *= 1000;
    if (!fits || when > INT64_MAX - base) return bad_time(c, seconds, relative);
    when += base;
    if (!key_look(c, c->argv[1], KS_USE, &v, &found)) return;
    if (!found || !holds(conditions, v.expire_ms, when)) return reply_int(c, 0);
    /* A time that has passed ends the key now. */
    int err =
        when <= (int64_t)c->ks.now_ms ? ks_delete(&c->ks, c->argv[1], NULL) : ks_set_expiry(&c->ks, c->argv[1], (uint64_t)when);
    if (err != E_OK) return reply_failure(c, err);
    notify_dirty(c, 1);
    reply_int(c, 1);
}

void cmd_expire(struct call *c)
{
    set_expiry(c, true, true);
}
void cmd_pexpire(struct call *c)
{
    set_expiry(c, false, true);
}
void cmd_expireat(struct call *c)
{
    set_expiry(c, true, false);
}
void cmd_pexpireat(struct call *c)
{
    set_expiry(c, false, false);
}

static void tell_expiry(struct call *c, bool seconds, bool relative)
{
    struct ks_value v;
    bool found;
    if (!key_look(c, c->argv[1], KS_TALLY, &v, &found)) return;
    if (!found) return reply_int(c, -2);
    if (v.expire_ms == 0) return reply_int(c, -1);
    uint64_t ms = v.expire_ms;
    if (relative) ms = ms > c->ks.now_ms ? ms - c->ks.now_ms : 0;
    reply_int(c, (int64_t)(seconds ? (ms + 500) / 1000 : ms));
}

void cmd_ttl(struct call *c)
{
    tell_expiry(c, true, true);
}
void cmd_pttl(struct call *c)
{
    tell_expiry(c, false, true);
}
void cmd_expiretime(struct call *c)
{
    tell_expiry(c, true, false);
}
void cmd_pexpiretime(struct call *c)
{
    tell_expiry(c, false, false);
}

void cmd_persist(struct call *c)
{
    struct ks_value v;
    bool found;
    if (!key_look(c, c->argv[1], KS_USE, &v, &found)) return;
    if (!found || v.expire_ms == 0) return reply_int(c, 0);
    int err = ks_set_expiry(&c->ks, c->argv[1], 0);
    if (err != E_OK) return reply_failure(c, err);
    notify_dirty(c, 1);
    reply_int(c, 1);
}
