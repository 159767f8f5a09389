/* Reading strings, whole or in part, and writing into them. */
#include "modules/string/string.h"

static bool is_string(struct call *c, int err, const struct ks_value *v, bool *found)
{
    *found = err == E_OK;
    if (err == E_NOTFOUND) return true;
    if (err != E_OK) {
        reply_failure(c, err);
        return false;
    }
    if (__builtin_expect(v->type != TYPE_STRING, 0)) {
        reply_wrongtype(c);
        return false;
    }
    return true;
}

bool string_get(struct call *c, slice key, struct ks_value *out, bool *found)
{
    return is_string(c, ks_get(&c->ks, key, out), out, found);
}

bool string_get_to_write(struct call *c, slice key, struct ks_value *out, bool *found)
{
    return is_string(c, ks_peek(&c->ks, key, out), out, found);
}

bool string_fits(struct call *c, uint64_t old_bytes, uint64_t more_bytes)
{
    uint64_t total = old_bytes + more_bytes;
    if (total >= old_bytes && total <= limit_string_bytes() && total <= NODE_PAYLOAD_MAX) return true;
    reply_error(c, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

void cmd_get(struct call *c)
{
    struct ks_value v;
    bool found;
    if (!string_get(c, c->argv[1], &v, &found)) return;
    if (found)
        reply_bulk(c, v.blob);
    else
        reply_null(c);
}

void cmd_getdel(struct call *c)
{
    struct ks_value v;
    struct buf value = {0};
    bool found;
    if (!string_get(c, c->argv[1], &v, &found)) return;
    if (!found) return reply_null(c);
    buf_add_slice(&value, v.blob);
    int err = ks_delete(&c->ks, c->argv[1], NULL);
    if (err == E_OK) {
        notify_dirty(c, 1);
        reply_bulk(c, buf_slice(&value));
    } else {
        reply_failure(c, err);
    }
    buf_fini(&value);
}

void cmd_strlen(struct call *c)
{
    struct ks_value v;
    bool found;
    if (string_get(c, c->argv[1], &v, &found)) reply_int(c, found ? (int64_t)v.blob.n : 0);
}

/* GETRANGE and SUBSTR: both ends inclusive, negative ones count from the end. */
void cmd_getrange(struct call *c)
{
    struct ks_value v;
    int64_t from, to;
    bool found;
    if (!arg_i64(c, 2, &from) || !arg_i64(c, 3, &to)) return;
    if (!string_get(c, c->argv[1], &v, &found)) return;
    int64_t n = found ? (int64_t)v.blob.n : 0;
    if (n == 0 || (from < 0 && to < 0 && from > to)) return reply_bulk(c, (slice){0});
    if (from < 0) from = from < -n ? 0 : from + n;
    if (to < 0) to = to < -n ? 0 : to + n;
    if (to >= n) to = n - 1;
    if (from > to) return reply_bulk(c, (slice){0});
    reply_bulk(c, slice_of(v.blob.p + from, (size_t)(to - from + 1)));
}

void cmd_setrange(struct call *c)
{
    struct ks_value v;
    int64_t offset;
    uint64_t len;
    bool found;
    slice bytes = c->argv[3];
    if (!arg_i64(c, 2, &offset)) return;
    if (offset < 0) return reply_error(c, "ERR offset is out of range");
    if (!string_get_to_write(c, c->argv[1], &v, &found)) return;
    if (bytes.n == 0) return reply_int(c, found ? (int64_t)v.blob.n : 0);
    if (!string_fits(c, (uint64_t)offset, bytes.n)) return;
    int err = ks_splice(&c->ks, c->argv[1], (uint64_t)offset, bytes, &len);
    if (err != E_OK) return reply_failure(c, err);
    notify_dirty(c, 1);
    reply_int(c, (int64_t)len);
}

void cmd_append(struct call *c)
{
    struct ks_value v;
    bool found;
    slice bytes = c->argv[2];
    uint64_t len = bytes.n;
    if (!string_get_to_write(c, c->argv[1], &v, &found)) return;
    if (found && !string_fits(c, v.blob.n, bytes.n)) return;
    int err = found ? ks_splice(&c->ks, c->argv[1], v.blob.n, bytes, &len) : ks_put(&c->ks, c->argv[1], TYPE_STRING, bytes, NULL);
    if (err != E_OK) return reply_failure(c, err);
    notify_dirty(c, 1);
    reply_int(c, (int64_t)len);
}
