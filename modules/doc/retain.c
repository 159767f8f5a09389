/* DRETAIN: rules that say how much of a key's history is kept. They hold in every database; DCOMPACT and automatic compaction carry them out. */
#include "modules/doc/doc.h"

#define PATTERN_MAX 1024

static int count_rule(void *ctx, slice pattern, const struct retain_rule *r)
{
    (void)pattern, (void)r;
    ++*(uint64_t *)ctx;
    return E_OK;
}

static bool parse_rule(struct call *c, struct retain_rule *r)
{
    int64_t n;
    *r = (struct retain_rule){0};
    for (int i = 3; i < c->argc; i += 2) {
        uint64_t *to = arg_is(c, i, "VERSIONS") ? &r->versions : arg_is(c, i, "AGE") ? &r->age_ms : NULL;
        if (!to || *to || i + 1 == c->argc) {
            reply_syntax(c);
            return false;
        }
        if (!arg_range(c, i + 1, 1, INT64_MAX, &n)) return false;
        *to = (uint64_t)n;
    }
    return true;
}

static bool check_pattern(struct call *c, slice pattern)
{
    uint64_t n = 0;
    bool standing = false;
    if (pattern.n == 0 || pattern.n > PATTERN_MAX) {
        reply_error(c, "ERR a pattern has 1 to %d bytes", PATTERN_MAX);
        return false;
    }
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = ks_has_thing(&c->ks, SPACE_RETAIN, pattern, &standing);
    if (r == E_OK && !standing) r = engine_retain_list(doc_engine(c), count_rule, &n);
    if (r == E_OK && n < ENGINE_RULES_MAX) return true;
    if (r == E_OK)
        reply_error(c, "ERR there are %u rules, which is the most there may be", ENGINE_RULES_MAX);
    else
        reply_failure(c, r);
    return false;
}

void cmd_dretain_set(struct call *c)
{
    struct retain_rule rule;
    uint8_t payload[16];
    if (!parse_rule(c, &rule) || !check_pattern(c, c->argv[2])) return;
    put_u64(payload, rule.versions);
    put_u64(payload + 8, rule.age_ms);
    int r = ks_put_thing(&c->ks, SPACE_RETAIN, c->argv[2], slice_of(payload, sizeof payload), NULL);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    notify_dirty(c, 1);
    reply_ok(c);
}

void cmd_dretain_del(struct call *c)
{
    slice pattern = c->argv[2];
    int r = pattern.n > PATTERN_MAX ? E_NOTFOUND : ks_delete_thing(&c->ks, SPACE_RETAIN, pattern, NULL);
    if (r == E_OK) notify_dirty(c, 1);
    if (r == E_OK || r == E_NOTFOUND)
        reply_int(c, r == E_OK);
    else
        reply_failure(c, r);
}

static void pair_limit(struct call *c, const char *name, uint64_t v)
{
    reply_str(c, name);
    if (v)
        reply_int(c, (int64_t)v);
    else
        reply_null(c);
}

/* Pattern NULL: the default. A limit that is not set is nil. */
static void reply_rule(struct call *c, const slice *pattern, const struct retain_rule *r)
{
    reply_map(c, 3);
    reply_str(c, "pattern");
    if (pattern)
        reply_bulk(c, *pattern);
    else
        reply_null(c);
    pair_limit(c, "versions", r->versions);
    pair_limit(c, "age", r->age_ms);
}

/* Of a key that is gone, its newest version tells. */
static int is_document(struct call *c, slice key, bool *yes)
{
    struct ks_value v;
    struct version newest;
    int r = ks_stat(&c->ks, key, true, &v);
    *yes = r == E_OK && v.type == TYPE_DOCUMENT;
    if (r != E_NOTFOUND) return r;
    r = engine_find(doc_engine(c), SPACE_KEY, ks_db(&c->ks, c->ks.db).lineage, key, UINT64_MAX, FIND_ALL, &newest);
    *yes = r == E_OK && newest.type == TYPE_DOCUMENT;
    return r == E_NOTFOUND ? E_OK : r;
}

void cmd_dretain_get(struct call *c)
{
    struct retain_rule rule;
    struct buf pattern = {0};
    bool document = false;
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = is_document(c, c->argv[2], &document);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    bool found = engine_retain_of(doc_engine(c), c->argv[2], document, &rule, &pattern);
    slice text = buf_slice(&pattern);
    reply_rule(c, found ? &text : NULL, &rule);
    buf_fini(&pattern);
}

struct listing {
    struct call *c;
    size_t n;
};

static int list_one(void *ctx, slice pattern, const struct retain_rule *r)
{
    struct listing *l = ctx;
    reply_rule(l->c, &pattern, r);
    l->n++;
    return E_OK;
}

void cmd_dretain_list(struct call *c)
{
    struct listing l = {.c = c};
    int r = engine_catch_up(doc_engine(c), 0);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    size_t token = reply_begin(c);
    (void)!engine_retain_list(doc_engine(c), list_one, &l); /* list_one never stops it */
    reply_end_array(c, token, l.n);
}

void cmd_dretain_help(struct call *c)
{
    static const char *const lines[] = {
        "DRETAIN <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "SET <pattern> [VERSIONS <n>] [AGE <ms>]",
        "    Keys that match keep n versions, and none that was superseded longer ago. With neither they keep all.",
        "GET <key>",
        "    Shows the rule of a key: of the longest pattern that matches.",
        "DEL <pattern>",
        "    Removes a rule.",
        "LIST",
        "    Shows the rules, longest patterns first.",
        "HELP",
        "    Shows this text.",
    };
    size_t n = sizeof lines / sizeof *lines;
    reply_array(c, n);
    for (size_t i = 0; i < n; i++) reply_status(c, lines[i]);
}
