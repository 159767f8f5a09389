/* Counters in strings. Integers are kept as their decimal text; floats as Redis prints its long doubles. */
#include "modules/string/string.h"

#include <math.h>

static int put_number(struct call *c, const char *text, size_t n, uint16_t flags)
{
    const struct ks_write w = {.expiry = KS_EXPIRY_KEEP, .flags = flags};
    int err = ks_put(&c->ks, c->argv[1], TYPE_STRING, slice_of(text, n), &w);
    if (err == E_OK) notify_dirty(c, 1);
    return err;
}

static void add(struct call *c, int64_t by)
{
    struct ks_value v;
    int64_t value = 0;
    char text[24];
    bool found;
    if (!string_get_to_write(c, c->argv[1], &v, &found)) return;
    if (found && !num_parse_i64(v.blob, &value)) return reply_not_integer(c);
    if (__builtin_add_overflow(value, by, &value)) return reply_error(c, "ERR increment or decrement would overflow");
    int err = put_number(c, text, num_format_i64(text, value), 0);
    if (err != E_OK) return reply_failure(c, err);
    reply_int(c, value);
}

void cmd_incr(struct call *c)
{
    add(c, 1);
}
void cmd_decr(struct call *c)
{
    add(c, -1);
}

void cmd_incrby(struct call *c)
{
    int64_t by;
    if (arg_i64(c, 2, &by)) add(c, by);
}

void cmd_decrby(struct call *c)
{
    int64_t by;
    if (!arg_i64(c, 2, &by)) return;
    if (by == INT64_MIN) return reply_error(c, "ERR decrement would overflow");
    add(c, -by);
}

void cmd_incrbyfloat(struct call *c)
{
    struct ks_value v;
    long double value = 0, by;
    char text[NUM_TEXT_MAX];
    bool found;
    if (!string_get_to_write(c, c->argv[1], &v, &found)) return;
    if ((found && !num_parse_ldouble(v.blob, &value)) || !num_parse_ldouble(c->argv[2], &by))
        return reply_error(c, "ERR value is not a valid float");
    value += by;
    if (isnan(value) || isinf(value)) return reply_error(c, "ERR increment would produce NaN or Infinity");
    size_t n = num_format_ldouble(text, value);
    int err = put_number(c, text, n, KS_ENC_TEXT); /* even when they are those of an integer */
    if (err != E_OK) return reply_failure(c, err);
    reply_bulk(c, slice_of(text, n));
}
