/* DTAG: names for points. What a tag names stays readable: compaction keeps what shows there. */
#include "modules/doc/doc.h"

#define TAG_NAME_MAX 255

static bool check_name(struct call *c, slice name)
{
    if (name.n == 0 || name.n > TAG_NAME_MAX) {
        reply_error(c, "ERR a tag's name has 1 to %d bytes", TAG_NAME_MAX);
        return false;
    }
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] < ' ' || name.p[i] == 0x7f) {
            reply_error(c, "ERR a tag's name has no control characters");
            return false;
        }
    return true;
}

static int count_tag(void *ctx, const struct engine_tag *t)
{
    (void)t;
    ++*(uint64_t *)ctx;
    return E_OK;
}

/* May the name be set? Replies when not. */
static bool may_set(struct call *c, slice name, bool force)
{
    struct buf mem = {0};
    struct engine_tag t;
    bool standing = false;
    uint64_t n = 0;
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = ks_has_thing(&c->ks, SPACE_TAG, name, &standing);
    if (r == E_OK && !standing) r = engine_tag_list(doc_engine(c), count_tag, &n);
    if (r != E_OK) {
        reply_failure(c, r);
    } else if (n >= ENGINE_TAGS_MAX) {
        reply_error(c, "ERR there are %u tags, which is the most there may be", ENGINE_TAGS_MAX);
        r = E_TOOBIG;
    } else if (standing && !force) {
        if (engine_tag_find(doc_engine(c), name, &mem, &t) == E_OK)
            reply_error(c, "ERR tag '%.*s' stands at seq %llu; FORCE moves it", (int)name.n, (const char *)name.p, (unsigned long long)t.point);
        else
            reply_error(c, "ERR tag '%.*s' was set in this transaction; FORCE moves it", (int)name.n, (const char *)name.p);
        r = E_EXISTS;
    }
    buf_fini(&mem);
    return r == E_OK;
}

void cmd_dtag_set(struct call *c)
{
    uint8_t payload[8];
    slice name = c->argv[2];
    int at = 3;
    bool has_point = c->argc > at && !arg_is(c, at, "FORCE");
    slice point = has_point ? c->argv[at++] : slice_str("head");
    bool force = c->argc > at && arg_is(c, at, "FORCE");
    uint64_t seq;
    if (c->argc != at + force) {
        reply_syntax(c);
        return;
    }
    if (!check_name(c, name) || !doc_point_seq(c, point, &seq)) return;
    if (seq == 0) {
        reply_error(c, "BADPOINT nothing lies before the first seq");
        return;
    }
    if (!may_set(c, name, force)) return;
    put_u64(payload, seq);
    int r = ks_put_thing(&c->ks, SPACE_TAG, name, slice_of(payload, sizeof payload), NULL);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    notify_dirty(c, 1);
    reply_ok(c);
}

void cmd_dtag_del(struct call *c)
{
    slice name = c->argv[2];
    int r = name.n > TAG_NAME_MAX ? E_NOTFOUND : ks_delete_thing(&c->ks, SPACE_TAG, name, NULL);
    if (r == E_OK) notify_dirty(c, 1);
    if (r == E_OK || r == E_NOTFOUND)
        reply_int(c, r == E_OK);
    else
        reply_failure(c, r);
}

static int reply_tag(struct call *c, const struct engine_tag *t)
{
    uint8_t hash[HASH_BYTES];
    int r = engine_hash(doc_engine(c), t->point, hash);
    if (r != E_OK) return r;
    reply_map(c, 5);
    reply_str(c, "name"), reply_bulk(c, t->name);
    reply_str(c, "seq"), reply_int(c, (int64_t)t->point);
    reply_str(c, "ts"), reply_int(c, (int64_t)t->ts_ms);
    reply_str(c, "hash"), doc_reply_hash(c, hash);
    reply_str(c, "by"), reply_bulk(c, t->by.n ? t->by : slice_str("default"));
    return E_OK;
}

void cmd_dtag_get(struct call *c)
{
    struct buf mem = {0};
    struct engine_tag t;
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = engine_tag_find(doc_engine(c), c->argv[2], &mem, &t);
    if (r == E_OK) r = reply_tag(c, &t);
    if (r == E_NOTFOUND)
        reply_null(c);
    else if (r != E_OK)
        reply_failure(c, r);
    buf_fini(&mem);
}

struct listing {
    struct call *c;
    slice glob;
    size_t n;
};

static int list_one(void *ctx, const struct engine_tag *t)
{
    struct listing *l = ctx;
    if (l->glob.n && !glob_match(l->glob, t->name, false)) return E_OK;
    l->n++;
    int r = reply_tag(l->c, t);
    if (r != E_OK) reply_failure(l->c, r); /* in its place: the others are still shown */
    return E_OK;
}

void cmd_dtag_list(struct call *c)
{
    struct listing l = {.c = c};
    if (c->argc > 3) {
        reply_syntax(c);
        return;
    }
    if (c->argc == 3) l.glob = c->argv[2];
    int r = engine_catch_up(doc_engine(c), 0);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    size_t token = reply_begin(c);
    (void)!engine_tag_list(doc_engine(c), list_one, &l); /* list_one never stops it */
    reply_end_array(c, token, l.n);
}

void cmd_dtag_help(struct call *c)
{
    static const char *const lines[] = {
        "DTAG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "SET <name> [<point>] [FORCE]",
        "    Names a point, the newest when none is given. FORCE moves a tag that stands.",
        "DEL <name>",
        "    Takes the name away.",
        "GET <name>",
        "    Shows the tag.",
        "LIST [<glob>]",
        "    Shows the tags in the order of their names.",
        "HELP",
        "    Shows this text.",
    };
    size_t n = sizeof lines / sizeof *lines;
    reply_array(c, n);
    for (size_t i = 0; i < n; i++) reply_status(c, lines[i]);
}
