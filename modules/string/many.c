/* Commands over several strings. The writing ones run in a batch: one commit, all or nothing. */
#include "modules/string/string.h"

void cmd_mget(struct call *c)
{
    reply_array(c, (size_t)c->argc - 1);
    for (int i = 1; i < c->argc; i++) {
        struct ks_value v;
        int err = ks_get(&c->ks, c->argv[i], &v);
        if (err == E_OK && v.type == TYPE_STRING)
            reply_bulk(c, v.blob);
        else if (err == E_OK || err == E_NOTFOUND)
            reply_null(c);
        else
            reply_failure(c, err); /* an element of its own: the others are whole */
    }
}

static bool pairs(struct call *c)
{
    if (c->argc % 2 == 1) return true;
    reply_error(c, "ERR wrong number of arguments for '%s' command", slice_is(c->argv[0], "mset") ? "mset" : "msetnx");
    return false;
}

/* Sizes are checked first: after the first write no error may follow. */
static int put_all(struct call *c)
{
    for (int i = 1; i < c->argc; i += 2)
        if (c->argv[i].n > NODE_KEY_MAX || c->argv[i + 1].n > NODE_PAYLOAD_MAX) return E_TOOBIG;
    for (int i = 1; i < c->argc; i += 2) {
        int err = ks_put(&c->ks, c->argv[i], TYPE_STRING, c->argv[i + 1], NULL);
        if (err != E_OK) return err;
    }
    notify_dirty(c, (c->argc - 1) / 2);
    return E_OK;
}

void cmd_mset(struct call *c)
{
    if (!pairs(c)) return;
    int err = put_all(c);
    if (err != E_OK) return reply_failure(c, err);
    reply_ok(c);
}

void cmd_msetnx(struct call *c)
{
    if (!pairs(c)) return;
    for (int i = 1; i < c->argc; i += 2) {
        struct ks_value v;
        int err = ks_look(&c->ks, c->argv[i], KS_USE, &v);
        if (err == E_OK) return reply_int(c, 0);
        if (err != E_NOTFOUND) return reply_failure(c, err);
    }
    int err = put_all(c);
    if (err != E_OK) return reply_failure(c, err);
    reply_int(c, 1);
}
