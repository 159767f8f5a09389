/* One key or a list of them: existence, type, removal, and moving under another name or into another database. */
#include "modules/key/key.h"

const char *key_type_name(uint8_t type)
{
    static const char *const names[] = {"none", "string", "list", "set", "zset", "hash", "stream", "document", "module"};
    ASSERT(type < sizeof names / sizeof *names);
    return names[type];
}

bool key_look(struct call *c, slice key, unsigned counts, struct ks_value *out, bool *found)
{
    int err = ks_look(&c->ks, key, counts, out);
    *found = err == E_OK;
    if (err == E_OK || err == E_NOTFOUND) return true;
    reply_failure(c, err);
    return false;
}

bool key_database(struct call *c, int at, uint16_t *out)
{
    int64_t db;
    if (!num_parse_i64(c->argv[at], &db)) {
        reply_not_integer(c);
        return false;
    }
    if (db < INT32_MIN || db > INT32_MAX) {
        reply_error(c, "ERR value is out of range, value must between %d and %d", INT32_MIN, INT32_MAX);
        return false;
    }
    if (db < 0 || db >= (int64_t)ks_databases(c->ks.ks)) {
        reply_error(c, "ERR DB index is out of range");
        return false;
    }
    *out = (uint16_t)db;
    return true;
}

/* DEL and UNLINK: removal costs a node, whatever the size, so they are one. With several keys this runs in a batch. */
void cmd_del(struct call *c)
{
    int64_t gone = 0;
    for (int i = 1; i < c->argc; i++) {
        int err = ks_delete(&c->ks, c->argv[i], NULL);
        if (err == E_OK)
            gone++;
        else if (err != E_NOTFOUND && gone == 0)
            return reply_failure(c, err);
    }
    if (gone > 0) notify_dirty(c, gone);
    reply_int(c, gone);
}

static void count_keys(struct call *c, unsigned counts)
{
    int64_t found = 0;
    for (int i = 1; i < c->argc; i++) {
        struct ks_value v;
        int err = ks_look(&c->ks, c->argv[i], counts, &v);
        if (err != E_OK && err != E_NOTFOUND) return reply_failure(c, err);
        found += err == E_OK;
    }
    reply_int(c, found);
}

void cmd_exists(struct call *c)
{
    count_keys(c, KS_TALLY);
}
void cmd_touch(struct call *c)
{
    c->ks.no_touch = false; /* it is what TOUCH is for */
    count_keys(c, KS_USE | KS_TALLY);
}

void cmd_type(struct call *c)
{
    struct ks_value v;
    bool found;
    if (key_look(c, c->argv[1], KS_TALLY, &v, &found)) reply_status(c, key_type_name(found ? v.type : TYPE_NONE));
}

/* Moves in a commit of its own when none is open. */
static int move(struct call *c, slice from, uint16_t to_db, slice to)
{
    if (ks_in_batch(&c->ks)) return ks_move(&c->ks, from, to_db, to);
    ks_begin(&c->ks);
    int err = ks_move(&c->ks, from, to_db, to);
    int committed = ks_commit(&c->ks);
    return err != E_OK ? err : committed;
}

static void rename_key(struct call *c, bool only_new)
{
    struct ks_value v;
    bool found, taken;
    if (!key_look(c, c->argv[1], KS_USE, &v, &found)) return;
    if (!found) return reply_error(c, "ERR no such key");
    if (slice_eq(c->argv[1], c->argv[2])) return only_new ? reply_int(c, 0) : reply_ok(c);
    if (only_new) {
        if (!key_look(c, c->argv[2], KS_USE, &v, &taken)) return;
        if (taken) return reply_int(c, 0);
    }
    int err = move(c, c->argv[1], c->ks.db, c->argv[2]);
    if (err != E_OK) return reply_failure(c, err);
    notify_dirty(c, 1);
    if (only_new)
        reply_int(c, 1);
    else
        reply_ok(c);
}

void cmd_rename(struct call *c)
{
    rename_key(c, false);
}
void cmd_renamenx(struct call *c)
{
    rename_key(c, true);
}

/* Is (db, key) taken? */
static int taken_in(struct call *c, uint16_t db, slice key, bool *taken)
{
    struct ks_value v;
    uint16_t own = c->ks.db;
    c->ks.db = db;
    int err = ks_look(&c->ks, key, KS_USE, &v);
    c->ks.db = own;
    *taken = err == E_OK;
    return err == E_NOTFOUND ? E_OK : err;
}

void cmd_copy(struct call *c)
{
    struct ks_value v;
    uint16_t db = c->ks.db;
    bool replace = false, found, taken = false;
    for (int i = 3; i < c->argc; i++) {
        if (arg_is(c, i, "replace")) {
            replace = true;
        } else if (arg_is(c, i, "db") && i + 1 < c->argc) {
            if (!key_database(c, ++i, &db)) return;
        } else {
            return reply_syntax(c);
        }
    }
    if (db == c->ks.db && slice_eq(c->argv[1], c->argv[2]))
        return reply_error(c, "ERR source and destination objects are the same");
    if (!key_look(c, c->argv[1], KS_USE | KS_TALLY, &v, &found)) return;
    if (!found) return reply_int(c, 0);
    int err = replace ? E_OK : taken_in(c, db, c->argv[2], &taken);
    if (err == E_OK && taken) return reply_int(c, 0);
    if (err == E_OK) err = ks_copy(&c->ks, c->argv[1], db, c->argv[2]);
    if (err != E_OK) return reply_failure(c, err);
    notify_dirty(c, 1);
    reply_int(c, 1);
}

void cmd_move(struct call *c)
{
    struct ks_value v;
    uint16_t db;
    bool found, taken = false;
    if (!key_database(c, 2, &db)) return;
    if (db == c->ks.db) return reply_error(c, "ERR source and destination objects are the same");
    if (!key_look(c, c->argv[1], KS_USE, &v, &found)) return;
    if (!found) return reply_int(c, 0);
    int err = taken_in(c, db, c->argv[1], &taken);
    if (err == E_OK && taken) return reply_int(c, 0);
    if (err == E_OK) err = move(c, c->argv[1], db, c->argv[1]);
    if (err != E_OK) return reply_failure(c, err);
    notify_dirty(c, 1);
    reply_int(c, 1);
}
