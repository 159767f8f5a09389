/* COMMAND and its sub-commands: what the command table knows, in the shapes of Redis 7. */
#include "server/client.h"
#include "server/command_docs.h"
#include "server/command_table.h"
#include "server/dispatch.h"
#include "server/reply.h"
#include "server/server.h"
#include <ctype.h>
#include <stdio.h>

#define KEYS_SHOWN_MAX 4096


static const struct command_table *table_of(struct call *c) { return atomic_load_explicit(&c->client->server->commands, memory_order_acquire); }

/* ---- INFO ---- */

static const struct {
    uint32_t flag;
    const char *name;
} flag_names[] = {
    {CMD_WRITE, "write"}, {CMD_READONLY, "readonly"}, {CMD_DENYOOM, "denyoom"}, {CMD_ADMIN, "admin"}, {CMD_PUBSUB, "pubsub"}, {CMD_NOSCRIPT, "noscript"},
    {CMD_BLOCKING, "blocking"}, {CMD_LOADING, "loading"}, {CMD_STALE, "stale"}, {CMD_SKIP_MONITOR, "skip_monitor"}, {CMD_SKIP_SLOWLOG, "skip_slowlog"},
    {CMD_ASKING, "asking"}, {CMD_FAST, "fast"}, {CMD_NO_AUTH, "no_auth"}, {CMD_MAY_REPLICATE, "may_replicate"}, {CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    {CMD_NO_ASYNC_LOADING, "no_async_loading"}, {CMD_NO_MULTI, "no_multi"}, {CMD_MOVABLEKEYS, "movablekeys"}, {CMD_ALLOW_BUSY, "allow_busy"},
};

static void reply_flags(struct call *c, uint32_t flags)
{
    size_t n = sizeof flag_names / sizeof *flag_names, shown = 0;
    for (size_t i = 0; i < n; i++) shown += (flags & flag_names[i].flag) != 0;
    reply_set(c, shown);
    for (size_t i = 0; i < n; i++)
        if (flags & flag_names[i].flag) reply_status(c, flag_names[i].name);
}

static void reply_categories(struct call *c, uint64_t bits)
{
    char name[40];
    reply_set(c, (size_t)__builtin_popcountll(bits));
    for (unsigned i = 0; i < COMMAND_CATEGORIES; i++) {
        if (!(bits >> i & 1)) continue;
        snprintf(name, sizeof name, "@%s", command_category_name(i));
        reply_status(c, name);
    }
}

/* "RW ACCESS UPDATE": the first kind stays in capitals, the others are shown small. */
static void reply_key_flags(struct call *c, const char *flags)
{
    char word[40];
    size_t n = 0;
    for (const char *p = flags; *p; p += strspn(p, " ")) p += strcspn(p, " "), n++;
    reply_set(c, n);
    for (const char *p = flags; *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        for (size_t i = 0; i < len && i < sizeof word - 1; i++) word[i] = (char)(len == 2 ? p[i] : tolower((unsigned char)p[i]));
        word[len < sizeof word ? len : sizeof word - 1] = 0;
        reply_status(c, word);
        p += len;
    }
}

static void reply_number_map(struct call *c, const char *type, const char *const *names, const int64_t *values, size_t n)
{
    reply_map(c, 2);
    reply_str(c, "type");
    reply_str(c, type);
    reply_str(c, "spec");
    reply_map(c, n);
    for (size_t i = 0; i < n; i++) {
        reply_str(c, names[i]);
        reply_int(c, values[i]);
    }
}

/* Where nobody but the server can tell: a client asks GETKEYS. */
static void reply_unknown(struct call *c, const char *step)
{
    reply_str(c, step);
    reply_map(c, 2);
    reply_str(c, "type");
    reply_str(c, "unknown");
    reply_str(c, "spec");
    reply_map(c, 0);
}

static void reply_key_spec(struct call *c, const struct key_spec *k, bool known)
{
    static const char *const index_names[] = {"index"}, *const range_names[] = {"lastkey", "keystep", "limit"},
                             *const keynum_names[] = {"keynumidx", "firstkey", "keystep"};
    reply_map(c, 3);
    reply_str(c, "flags");
    reply_key_flags(c, k->flags);
    if (!known) {
        reply_unknown(c, "begin_search");
        reply_unknown(c, "find_keys");
        return;
    }
    reply_str(c, "begin_search");
    if (k->keyword) {
        reply_map(c, 2);
        reply_str(c, "type");
        reply_str(c, "keyword");
        reply_str(c, "spec");
        reply_map(c, 2);
        reply_str(c, "keyword");
        reply_str(c, k->keyword);
        reply_str(c, "startfrom");
        reply_int(c, k->begin);
    } else {
        int64_t begin = k->begin;
        reply_number_map(c, "index", index_names, &begin, 1);
    }
    reply_str(c, "find_keys");
    int step = k->step ? k->step : 1;
    if (k->keynum > 0) {
        int64_t v[] = {k->keynum - 1, k->keynum_first, k->keynum_step ? k->keynum_step : 1};
        reply_number_map(c, "keynum", keynum_names, v, 3);
    } else {
        int64_t v[] = {k->last, step, k->limit};
        reply_number_map(c, "range", range_names, v, 3);
    }
}

static void reply_tips(struct call *c, const char *tips)
{
    size_t n = 0;
    for (const char *at = tips ? tips : ""; *at; n++) at += strcspn(at, " "), at += *at == ' ';
    reply_set(c, n);
    for (const char *at = tips ? tips : ""; *at;) {
        size_t bytes = strcspn(at, " ");
        reply_bulk(c, slice_of(at, bytes));
        at += bytes + (at[bytes] == ' ');
    }
}

static void reply_info(struct call *c, const struct command_entry *e)
{
    int first, last, step;
    if (!e) {
        reply_null(c);
        return;
    }
    command_key_range(e, &first, &last, &step);
    reply_array(c, 10);
    reply_str(c, e->name);
    reply_int(c, e->row->arity);
    reply_flags(c, e->flags);
    reply_int(c, first);
    reply_int(c, last);
    reply_int(c, step);
    reply_categories(c, e->categories);
    reply_tips(c, e->row->tips);
    size_t n = 0;
    while (n < KEY_SPECS_MAX && key_spec_used(&e->row->keys[n])) n++;
    reply_set(c, n);
    for (size_t i = 0; i < n; i++) reply_key_spec(c, &e->row->keys[i], !(e->flags & CMD_WRAPS));
    if (e->n_subs)
        reply_array(c, e->n_subs);
    else
        reply_set(c, 0);
    for (size_t i = 0; i < e->n_subs; i++) reply_info(c, &e->subs[i]);
}

static void cmd_command(struct call *c)
{
    const struct command_table *t = table_of(c);
    size_t n = command_count(t);
    reply_array(c, n);
    for (size_t i = 0; i < n; i++) reply_info(c, command_at(t, i));
}

static void cmd_info(struct call *c)
{
    const struct command_table *t = table_of(c);
    if (c->argc == 2) {
        cmd_command(c);
        return;
    }
    reply_array(c, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) reply_info(c, command_find_full(t, c->argv[i]));
}

static void cmd_count(struct call *c) { reply_int(c, (int64_t)command_count(table_of(c))); }

/* ---- DOCS ---- */

static void reply_lower(struct call *c, slice s)
{
    char text[64];
    size_t n = s.n < sizeof text ? s.n : sizeof text;
    for (size_t i = 0; i < n; i++) text[i] = (char)tolower(s.p[i]);
    reply_bulk(c, slice_of(text, n));
}

static void reply_args(struct call *c, const struct syntax *s, int first, int *key_index);

static void reply_arg(struct call *c, const struct syntax *s, const struct syntax_arg *a, int *key_index)
{
    size_t token = reply_begin(c), n = 2;
    reply_str(c, "name");
    reply_lower(c, a->name);
    reply_str(c, "type");
    reply_str(c, syntax_type_name(a->type));
    if (a->type == SYNTAX_KEY) {
        reply_str(c, "key_spec_index");
        reply_int(c, (*key_index)++);
        n++;
    }
    if (a->token.n) {
        reply_str(c, "token");
        reply_bulk(c, a->token);
        n++;
    }
    if (a->optional || a->multiple) {
        reply_str(c, "flags");
        reply_set(c, (size_t)a->optional + a->multiple);
        if (a->optional) reply_status(c, "optional");
        if (a->multiple) reply_status(c, "multiple");
        n++;
    }
    if (a->child != SYNTAX_NONE) {
        reply_str(c, "arguments");
        reply_args(c, s, a->child, key_index);
        n++;
    }
    reply_end_map(c, token, n);
}

static void reply_args(struct call *c, const struct syntax *s, int first, int *key_index)
{
    reply_array(c, (size_t)syntax_length(s, first));
    for (int i = first; i != SYNTAX_NONE; i = s->args[i].next) reply_arg(c, s, &s->args[i], key_index);
}

static size_t reply_text(struct call *c, const char *name, const char *value)
{
    if (!value) return 0;
    reply_str(c, name);
    reply_str(c, value);
    return 1;
}

static bool built_in(struct call *c, const struct family *f)
{
    struct server *s = c->client->server;
    bool loaded = false;
    mutex_lock(&s->modules_mutex);
    for (size_t i = 0; i < s->n_modules; i++) loaded = loaded || s->modules[i].family == f;
    mutex_unlock(&s->modules_mutex);
    return !loaded;
}

static void reply_docs(struct call *c, const struct command_entry *e)
{
    const struct command *row = e->row;
    size_t n = 0;
    reply_str(c, e->name);
    size_t body = reply_begin(c);
    n += reply_text(c, "summary", row->summary);
    n += reply_text(c, "since", row->since);
    n += reply_text(c, "group", row->group ? row->group : "module");
    n += reply_text(c, "complexity", row->complexity);
    if (!built_in(c, e->family)) n += reply_text(c, "module", e->family->name);
    struct syntax *s = mem_alloc(sizeof *s);
    if (row->syntax && syntax_parse(row->syntax, s) == E_OK && s->first != SYNTAX_NONE) {
        int key_index = 0;
        reply_str(c, "arguments");
        reply_args(c, s, s->first, &key_index);
        n++;
    }
    mem_free(s);
    if (e->n_subs) {
        reply_str(c, "subcommands");
        reply_map(c, e->n_subs);
        for (size_t i = 0; i < e->n_subs; i++) reply_docs(c, &e->subs[i]);
        n++;
    }
    reply_end_map(c, body, n);
}

static void cmd_docs(struct call *c)
{
    const struct command_table *t = table_of(c);
    if (c->argc == 2) {
        size_t n = command_count(t);
        reply_map(c, n);
        for (size_t i = 0; i < n; i++) reply_docs(c, command_at(t, i));
        return;
    }
    size_t token = reply_begin(c), n = 0;
    for (int i = 2; i < c->argc; i++) {
        const struct command_entry *e = command_find_full(t, c->argv[i]);
        if (!e) continue;
        reply_docs(c, e);
        n++;
    }
    reply_end_map(c, token, n);
}

/* ---- LIST ---- */

struct filter {
    enum { FILTER_NONE, FILTER_MODULE, FILTER_CATEGORY, FILTER_PATTERN } kind;
    slice arg;
    int category;
};

static bool passes(struct call *c, const struct filter *f, const struct command_entry *e)
{
    switch (f->kind) {
    case FILTER_NONE: return true;
    case FILTER_MODULE: return !built_in(c, e->family) && slice_eq(f->arg, slice_str(e->family->name));
    case FILTER_CATEGORY: return f->category >= 0 && (e->categories >> f->category & 1);
    case FILTER_PATTERN: return glob_match(f->arg, slice_str(e->name), true);
    }
    return false;
}

static size_t list_some(struct call *c, const struct filter *f, const struct command_entry *e)
{
    size_t n = 0;
    if (passes(c, f, e)) {
        reply_str(c, e->name);
        n++;
    }
    for (size_t i = 0; i < e->n_subs; i++) n += list_some(c, f, &e->subs[i]);
    return n;
}

static void cmd_list(struct call *c)
{
    const struct command_table *t = table_of(c);
    struct filter f = {.kind = FILTER_NONE};
    if (c->argc != 2) {
        bool ok = c->argc == 5 && arg_is(c, 2, "filterby");
        if (ok) f.arg = c->argv[4];
        if (ok && arg_is(c, 3, "module"))
            f.kind = FILTER_MODULE;
        else if (ok && arg_is(c, 3, "aclcat"))
            f.kind = FILTER_CATEGORY, f.category = command_category_find(f.arg);
        else if (ok && arg_is(c, 3, "pattern"))
            f.kind = FILTER_PATTERN;
        else {
            reply_syntax(c);
            return;
        }
    }
    size_t token = reply_begin(c), n = 0;
    for (size_t i = 0; i < command_count(t); i++) n += list_some(c, &f, command_at(t, i));
    reply_end_array(c, token, n);
}

/* ---- GETKEYS ---- */

static void get_keys(struct call *c, bool with_flags)
{
    const slice *argv = c->argv + 2;
    int argc = c->argc - 2;
    const struct command_entry *top = command_find(table_of(c), argv[0]);
    const struct command_entry *e = top ? (top->n_subs && argc > 1 ? command_find_sub(top, argv[1]) : top) : NULL;
    if (!e) {
        reply_error(c, "ERR Invalid command specified");
        return;
    }
    if (!e->has_keys) {
        reply_error(c, "ERR The command has no key arguments");
        return;
    }
    if (!command_arity_fits(e, argc)) {
        reply_error(c, "ERR Invalid number of arguments specified for command");
        return;
    }
    int *keys = mem_alloc(KEYS_SHOWN_MAX * sizeof *keys);
    const char **flags = mem_alloc(KEYS_SHOWN_MAX * sizeof *flags);
    int n = command_keys(e, argv, argc, keys, flags, KEYS_SHOWN_MAX);
    if (n > KEYS_SHOWN_MAX) n = KEYS_SHOWN_MAX;
    if (n < 0 || (n == 0 && !(e->flags & CMD_NO_MANDATORY_KEYS))) {
        reply_error(c, "ERR Invalid arguments specified for command");
    } else {
        reply_array(c, (size_t)n);
        for (int i = 0; i < n; i++) {
            if (with_flags) reply_array(c, 2);
            reply_bulk(c, argv[keys[i]]);
            if (with_flags) reply_key_flags(c, flags[i]);
        }
    }
    mem_free(keys);
    mem_free(flags);
}

static void cmd_getkeys(struct call *c) { get_keys(c, false); }
static void cmd_getkeysandflags(struct call *c) { get_keys(c, true); }

static void cmd_help(struct call *c)
{
    reply_help(c, "COMMAND",
               "(no subcommand)\n    Describe every command.\n"
               "COUNT\n    Show how many commands there are.\n"
               "DOCS [<command-name> ...]\n    Document commands: all, or those named.\n"
               "GETKEYS <full-command>\n    Show the keys of a command line.\n"
               "GETKEYSANDFLAGS <full-command>\n    Show the keys of a command line and how it uses them.\n"
               "INFO [<command-name> ...]\n    Describe commands: all, or those named.\n"
               "LIST [FILTERBY (MODULE|ACLCAT|PATTERN) <arg>]\n    Name the commands.");
}

#define SUB(name, fn, arity, from, text, ...) \
    {name, fn, arity, CMD_LOADING | CMD_STALE | CMD_UNGATED, "connection", .summary = text, .since = from, .group = "server", .complexity = "O(N) in commands", .syntax = __VA_ARGS__}
static const struct command sub_commands[] = {
    SUB("info", cmd_info, -2, "2.8.13", "Describes commands", "[command-name [command-name ...]]", .tips = "nondeterministic_output_order"),
    SUB("count", cmd_count, 2, "2.8.13", "Shows how many commands there are", ""),
    SUB("docs", cmd_docs, -2, "7.0.0", "Documents commands", "[command-name [command-name ...]]", .tips = "nondeterministic_output_order"),
    SUB("list", cmd_list, -2, "7.0.0", "Names the commands", "[FILTERBY (MODULE module-name|ACLCAT category|PATTERN pattern)]", .tips = "nondeterministic_output_order"),
    SUB("getkeys", cmd_getkeys, -4, "2.8.13", "Shows the keys of a command line", "command [arg ...]"),
    SUB("getkeysandflags", cmd_getkeysandflags, -4, "7.0.0", "Shows the keys of a command line and their use", "command [arg ...]"),
    SUB("help", cmd_help, 2, "5.0.0", "Shows the sub-commands", ""),
    {NULL},
};
static const struct command commands[] = {
    {"command", cmd_command, -1, CMD_LOADING | CMD_STALE | CMD_UNGATED, "connection", .summary = "Describes every command", .since = "2.8.13", .group = "server",
     .complexity = "O(N) in commands", .sub = sub_commands, .tips = "nondeterministic_output_order"},
    {NULL},
};
FAMILY(command, commands);
