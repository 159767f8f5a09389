/* varve log: the commits of a stopped store, or the versions of one key, newest first. */
#include "base/glob.h"
#include "base/num.h"
#include "tool/record.h"
#include "tool/tool.h"

#include <inttypes.h>
#include <stdlib.h>

#define NAME     "log"
#define KEYS_MAX 64

struct wish {
    const char *dir, *since, *until, *by, *grep;
    slice keys[KEYS_MAX];
    size_t n_keys;
    slice prefix;
    uint64_t most;
    uint64_t db;
    bool one_line, reverse, pager;
};

static bool number(const char *text, uint64_t *out)
{
    return num_parse_u64(slice_str(text), out);
}

/* Options that take a value. False: not one of them. */
static bool take_value(struct wish *w, const char *name, const char *value, bool *good)
{
    *good = true;
    if (strcmp(name, "-n") == 0 || strcmp(name, "--max-count") == 0)
        *good = number(value, &w->most);
    else if (strcmp(name, "--since") == 0)
        w->since = value;
    else if (strcmp(name, "--until") == 0)
        w->until = value;
    else if (strcmp(name, "--prefix") == 0)
        w->prefix = slice_str(value);
    else if (strcmp(name, "--by") == 0)
        w->by = value;
    else if (strcmp(name, "--grep") == 0)
        w->grep = value;
    else if (strcmp(name, "--db") == 0)
        *good = number(value, &w->db) && w->db < ENGINE_DATABASES_MAX;
    else
        return false;
    return true;
}

static bool take_flag(struct wish *w, const char *name)
{
    if (strcmp(name, "--oneline") == 0)
        w->one_line = true;
    else if (strcmp(name, "--reverse") == 0)
        w->reverse = true;
    else if (strcmp(name, "--no-pager") == 0)
        w->pager = false;
    else
        return name[0] == '-' && name[1] >= '0' && name[1] <= '9' && number(name + 1, &w->most);
    return true;
}

static int parse(int argc, char **argv, struct wish *w)
{
    *w = (struct wish){.most = UINT64_MAX, .pager = true};
    bool words_only = false;
    for (int i = 0; i < argc; i++) {
        bool good;
        if (!words_only && strcmp(argv[i], "--") == 0) {
            words_only = true;
        } else if (!words_only && argv[i][0] == '-' && argv[i][1]) {
            if (take_flag(w, argv[i])) continue;
            if (i + 1 == argc) return tool_usage(NAME, "'%s' is no option, or lacks its value", argv[i]);
            if (!take_value(w, argv[i], argv[i + 1], &good)) return tool_usage(NAME, "'%s' is no option", argv[i]);
            if (!good) return tool_usage(NAME, "'%s' is no value for %s", argv[i + 1], argv[i]);
            i++;
        } else if (!w->dir) {
            w->dir = argv[i];
        } else if (w->n_keys == KEYS_MAX) {
            return tool_usage(NAME, "more than %d keys", KEYS_MAX);
        } else {
            w->keys[w->n_keys++] = slice_str(argv[i]);
        }
    }
    return w->dir ? EXIT_YES : tool_usage(NAME, "which store?");
}

/* ---- what is shown ---- */

struct sight {
    const struct wish *w;
    struct past *s;
};

static bool holds_text(slice where, const char *what)
{
    slice t = slice_str(what);
    for (size_t i = 0; i + t.n <= where.n; i++)
        if (memcmp(where.p + i, what, t.n) == 0) return true;
    return false;
}

/* Links belong to the keys at both ends. */
static bool names_key(const struct node *n, slice key, bool prefix)
{
    slice from, rel, to;
    if (n->op == NODE_FLUSH || n->op == NODE_SWAP || n->op == NODE_FILLER) return false;
    if (n->space == SPACE_LINK && link_key_parse(n->key, &from, &rel, &to) == E_OK)
        return prefix ? slice_starts(from, key) || slice_starts(to, key) : slice_eq(from, key) || slice_eq(to, key);
    return n->space == SPACE_KEY && (prefix ? slice_starts(n->key, key) : slice_eq(n->key, key));
}

static bool wanted(void *ctx, const struct node *n)
{
    const struct sight *v = ctx;
    const struct wish *w = v->w;
    bool named = w->n_keys == 0 && w->prefix.n == 0;
    for (size_t i = 0; i < w->n_keys && !named; i++) named = names_key(n, w->keys[i], false);
    if (!named && w->prefix.n) named = names_key(n, w->prefix, true);
    if (!named) return false;
    if (w->by && !slice_eq(n->by.n ? n->by : slice_str("default"), slice_str(w->by))) return false;
    if (w->grep && !holds_text(n->note, w->grep)) return false;
    if (w->n_keys == 0 && w->prefix.n == 0) return true;
    struct db_view view;
    engine_db_at(v->s->e, (uint16_t)w->db, n->seq, &view);
    return n->lineage == view.lineage;
}

static bool filters(const struct wish *w)
{
    return w->n_keys || w->prefix.n || w->by || w->grep;
}

/* Does a node of the commit belong here? Pruned ones do when everything does. */
static int commit_wanted(struct sight *v, uint64_t first, uint64_t last, bool *yes)
{
    *yes = !filters(v->w);
    for (uint64_t seq = first; seq <= last && !*yes; seq++) {
        struct node n;
        int rc = past_node(v->s, seq, &n);
        if (rc < 0 && rc != E_PRUNED) return rc;
        *yes = rc == E_OK && wanted(v, &n);
    }
    return E_OK;
}

static int show_commit(struct sight *v, struct paper *p, uint64_t first, uint64_t last)
{
    int rc = E_OK;
    if (!v->w->one_line) {
        rc = record_commit(v->s, p, first, last);
        if (rc == E_OK) rc = record_nodes(v->s, p, first, last, filters(v->w) ? wanted : NULL, v);
        putc('\n', p->f);
        return rc;
    }
    for (uint64_t i = 0; i <= last - first && rc == E_OK; i++) {
        uint64_t seq = v->w->reverse ? first + i : last - i;
        struct node n;
        if (filters(v->w)) {
            rc = past_node(v->s, seq, &n);
            if (rc == E_PRUNED || (rc == E_OK && !wanted(v, &n))) {
                rc = E_OK;
                continue;
            }
        }
        if (rc == E_OK) rc = record_line(v->s, p, seq);
    }
    return rc;
}

/* The commit that begins or ends at seq. A pruned node stands for itself. */
static int commit_at(struct past *s, uint64_t seq, uint64_t *first, uint64_t *last)
{
    int rc = engine_commit_of(s->e, seq, first, last);
    if (rc == E_PRUNED) *first = *last = seq;
    return rc == E_PRUNED ? E_OK : rc;
}

static int walk(struct sight *v, struct paper *p, uint64_t from, uint64_t to)
{
    uint64_t shown = 0, seq = v->w->reverse ? from + 1 : to;
    while (seq > from && seq <= to && shown < v->w->most && !ferror(p->f)) {
        uint64_t first, last;
        bool yes;
        int rc = commit_at(v->s, seq, &first, &last);
        if (rc == E_OK) rc = commit_wanted(v, first, last, &yes);
        if (rc == E_OK && yes) {
            rc = show_commit(v, p, first, last);
            shown++;
        }
        if (rc < 0) return tool_trouble(NAME, "seq %" PRIu64 ": %s", seq, err_text(rc));
        seq = v->w->reverse ? last + 1 : first - 1;
    }
    return EXIT_YES;
}

int tool_log(int argc, char **argv)
{
    struct wish w;
    struct past s;
    struct paper p;
    uint64_t from = 0, to;
    int status = parse(argc, argv, &w);
    if (status != EXIT_YES) return status;
    status = past_open(NAME, w.dir, (uint16_t)w.db, &s);
    if (status != EXIT_YES) return status;
    to = s.newest;
    if ((w.since && !past_point(&s, w.since, &from)) || (w.until && !past_point(&s, w.until, &to))) {
        status = EXIT_TROUBLE;
    } else {
        struct sight v = {.w = &w, .s = &s};
        paper_open(&p, w.pager);
        status = walk(&v, &p, from, to);
        if (!paper_close(&p)) status = tool_trouble(NAME, "standard output cannot be written");
    }
    past_close(&s);
    return status;
}
