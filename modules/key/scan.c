/* Walking a database as it is now: KEYS, SCAN (as it was: walk.c). Names are collected before the first byte of the reply, so that a failure on the way is the whole
 * answer and not the end of a half one. */
#include "modules/key/key.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#define SCAN_COUNT_DEFAULT 10
#define CURSOR_TEXT_MAX    64

struct found {
    slice pattern;
    int pattern_at; /* its argument */
    bool all;
    struct buf names; /* varint length, bytes */
    size_t n;
};

static int collect(void *ctx, slice key, uint8_t type)
{
    struct found *f = ctx;
    if (!f->all && !glob_match(f->pattern, key, false)) return 0;
    uint8_t *p = buf_reserve(&f->names, VARINT_MAX);
    f->names.n = (size_t)(put_varint(p, key.n) - f->names.p);
    buf_add_slice(&f->names, key);
    f->n++;
    return 0;
}

static void reply_found(struct call *c, struct found *f)
{
    reply_array(c, f->n);
    const uint8_t *p = f->names.p, *end = p + f->names.n;
    for (size_t i = 0; i < f->n; i++) {
        uint64_t n;
        p = get_varint(p, end, &n);
        ASSERT(p != NULL && n <= (uint64_t)(end - p));
        reply_bulk(c, slice_of(p, n));
        p += n;
    }
}

void cmd_keys(struct call *c)
{
    struct found f = {.pattern = c->argv[1], .all = slice_is(c->argv[1], "*")};
    uint64_t cursor = 0;
    if (c->ks.viewing) return key_past_names(c, f.all ? 0 : 1);
    int err = ks_scan(&c->ks, &cursor, SIZE_MAX, 0, collect, &f);
    if (err != E_OK)
        reply_failure(c, err);
    else
        reply_found(c, &f);
    buf_fini(&f.names);
}

static bool parse_cursor(struct call *c, uint64_t *out)
{
    char text[CURSOR_TEXT_MAX];
    slice s = c->argv[1];
    char *end = text;
    *out = 0;
    if (s.n == 0) return true; /* as Redis has it: no digits are the number 0 */
    if (s.n < sizeof text && !isspace(s.p[0]) && memchr(s.p, 0, s.n) == NULL) {
        memcpy(text, s.p, s.n);
        text[s.n] = 0;
        errno = 0;
        *out = strtoull(text, &end, 10);
        if (*end == 0 && end != text && errno != ERANGE) return true;
    }
    reply_error(c, "ERR invalid cursor");
    return false;
}

struct scan_options {
    int64_t count;
    uint8_t type;      /* 0 = any */
    bool no_such_type; /* a name that no type has: nothing matches */
};

static bool parse_scan(struct call *c, struct scan_options *o, struct found *f)
{
    *o = (struct scan_options){.count = SCAN_COUNT_DEFAULT};
    f->all = true;
    for (int i = 2; i < c->argc; i += 2) {
        bool value = i + 1 < c->argc;
        if (value && arg_is(c, i, "count")) {
            if (!arg_i64(c, i + 1, &o->count)) return false;
            if (o->count >= 1) continue;
        } else if (value && arg_is(c, i, "match")) {
            f->pattern = c->argv[i + 1];
            f->pattern_at = i + 1;
            f->all = slice_is(f->pattern, "*");
            continue;
        } else if (value && arg_is(c, i, "type")) {
            o->type = 0;
            for (unsigned t = TYPE_STRING; t <= TYPE_MODULE; t++)
                if (slice_is(c->argv[i + 1], key_type_name((uint8_t)t))) o->type = (uint8_t)t;
            o->no_such_type = o->type == 0;
            continue;
        }
        reply_syntax(c);
        return false;
    }
    return true;
}

void cmd_scan(struct call *c)
{
    struct found f = {0};
    struct scan_options o;
    uint64_t cursor;
    char text[24];
    if (!parse_cursor(c, &cursor) || !parse_scan(c, &o, &f)) return;
    if (o.no_such_type) o.type = UINT8_MAX;
    if (c->ks.viewing) return key_past_page(c, cursor, (size_t)o.count, o.type, f.all ? 0 : f.pattern_at);
    int err = ks_scan(&c->ks, &cursor, (size_t)o.count, o.type, collect, &f);
    if (err != E_OK) {
        reply_failure(c, err);
    } else {
        reply_array(c, 2);
        reply_bulk(c, slice_of(text, num_format_u64(text, cursor)));
        reply_found(c, &f);
    }
    buf_fini(&f.names);
}
