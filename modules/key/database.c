/* Whole databases: size, emptying, changing places. */
#include "modules/key/key.h"

void cmd_dbsize(struct call *c)
{
    if (c->ks.viewing) return key_past_count(c);
    reply_int(c, (int64_t)ks_count(&c->ks, c->ks.db, NULL));
}

/* Emptying is one node and a table put aside, so SYNC and ASYNC differ in nothing that a client can see. */
static void flush(struct call *c, int db)
{
    if (c->argc > 2 || (c->argc == 2 && !arg_is(c, 1, "sync") && !arg_is(c, 1, "async"))) return reply_syntax(c);
    uint64_t keys = 0;
    for (unsigned i = 0; i < ks_databases(c->ks.ks); i++)
        if (db < 0 || i == (unsigned)db) keys += ks_count(&c->ks, (uint16_t)i, NULL);
    int err = ks_flush(&c->ks, db);
    if (err != E_OK) return reply_failure(c, err);
    notify_dirty(c, (int64_t)keys + (db < 0));
    reply_ok(c);
}

void cmd_flushdb(struct call *c)
{
    flush(c, c->ks.db);
}
void cmd_flushall(struct call *c)
{
    flush(c, -1);
}

void cmd_swapdb(struct call *c)
{
    int64_t first, second;
    uint16_t a, b;
    if (!num_parse_i64(c->argv[1], &first) || first < INT32_MIN || first > INT32_MAX)
        return reply_error(c, "ERR invalid first DB index");
    if (!num_parse_i64(c->argv[2], &second) || second < INT32_MIN || second > INT32_MAX)
        return reply_error(c, "ERR invalid second DB index");
    if (!key_database(c, 1, &a) || !key_database(c, 2, &b)) return;
    int err = a == b ? E_OK : ks_swap(&c->ks, a, b);
    if (err != E_OK) return reply_failure(c, err);
    notify_dirty(c, 1);
    reply_ok(c);
}
