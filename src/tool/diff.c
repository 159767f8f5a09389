/* varve diff: what differs between two points, key by key.
 *
 * The keys that may differ are those with a version between the points: the log names them. When a flush or an exchange of databases lies between, every
 * key of the log up to the later point may. They are sorted, so the output is in key order, each key once. */
#include "base/mem.h"
#include "base/num.h"
#include "tool/record.h"
#include "tool/tool.h"

#include <inttypes.h>
#include <stdlib.h>

#define NAME     "diff"
#define KEYS_MAX 64

struct wish {
    const char *dir, *point[2];
    slice keys[KEYS_MAX];
    size_t n_keys;
    slice prefix;
    uint64_t db;
    enum record_diff how;
    bool quiet, pager;
};

static bool take_flag(struct wish *w, const char *name)
{
    if (strcmp(name, "--name-only") == 0)
        w->how = RECORD_DIFF_NAMES;
    else if (strcmp(name, "--name-status") == 0)
        w->how = RECORD_DIFF_STATUS;
    else if (strcmp(name, "--quiet") == 0)
        w->quiet = true;
    else if (strcmp(name, "--no-pager") == 0)
        w->pager = false;
    else
        return false;
    return true;
}

static int parse(int argc, char **argv, struct wish *w)
{
    *w = (struct wish){.pager = true};
    bool words_only = false;
    for (int i = 0; i < argc; i++) {
        if (!words_only && strcmp(argv[i], "--") == 0) {
            words_only = true;
            if (!w->point[1]) w->point[1] = "head";
        } else if (!words_only && argv[i][0] == '-' && argv[i][1]) {
            if (take_flag(w, argv[i])) continue;
            bool db = strcmp(argv[i], "--db") == 0;
            if (!db && strcmp(argv[i], "--prefix") != 0) return tool_usage(NAME, "'%s' is no option", argv[i]);
            if (++i == argc) return tool_usage(NAME, "'%s' lacks its value", argv[i - 1]);
            if (!db)
                w->prefix = slice_str(argv[i]);
            else if (!num_parse_u64(slice_str(argv[i]), &w->db) || w->db >= ENGINE_DATABASES_MAX)
                return tool_usage(NAME, "'%s' is no database's number", argv[i]);
        } else if (!w->dir) {
            w->dir = argv[i];
        } else if (!w->point[0]) {
            w->point[0] = argv[i];
        } else if (!w->point[1]) {
            w->point[1] = argv[i];
        } else if (w->n_keys == KEYS_MAX) {
            return tool_usage(NAME, "more than %d keys", KEYS_MAX);
        } else {
            w->keys[w->n_keys++] = slice_str(argv[i]);
        }
    }
    if (!w->dir || !w->point[0]) return tool_usage(NAME, "which store, from which point?");
    if (!w->point[1]) w->point[1] = "head";
    return EXIT_YES;
}

/* ---- the keys ---- */

struct keys {
    struct buf bytes;
    struct place {
        size_t off, n;
    } * at;
    size_t n, cap;
};

static const uint8_t *sorting; /* qsort has no context; the tool has one thread */

static int by_bytes(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return slice_cmp(slice_of(sorting + x->off, x->n), slice_of(sorting + y->off, y->n));
}

static void keys_add(struct keys *k, slice key)
{
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 256;
        k->at = mem_realloc(k->at, k->cap * sizeof *k->at);
    }
    k->at[k->n++] = (struct place){k->bytes.n, key.n};
    buf_add_slice(&k->bytes, key);
}

/* Sorted, each once. */
static void keys_settle(struct keys *k)
{
    size_t kept = 0;
    if (k->n == 0) return;
    sorting = k->bytes.p;
    qsort(k->at, k->n, sizeof *k->at, by_bytes);
    for (size_t i = 1; i < k->n; i++)
        if (by_bytes(&k->at[kept], &k->at[i]) != 0) k->at[++kept] = k->at[i];
    k->n = kept + 1;
}

static bool asked(const struct wish *w, slice key)
{
    if (w->n_keys == 0 && w->prefix.n == 0) return true;
    for (size_t i = 0; i < w->n_keys; i++)
        if (slice_eq(key, w->keys[i])) return true;
    return w->prefix.n > 0 && slice_starts(key, w->prefix);
}

static int collect(struct past *s, const struct wish *w, uint64_t from, uint64_t to, struct keys *out, bool *whole)
{
    for (uint64_t seq = from + 1; seq <= to; seq++) {
        struct node n;
        int rc = past_node(s, seq, &n);
        if (rc == E_PRUNED) continue;
        if (rc < 0) return tool_trouble(NAME, "seq %" PRIu64 ": %s", seq, err_text(rc));
        *whole |= n.op == NODE_FLUSH || n.op == NODE_SWAP;
        if (n.space == SPACE_KEY && n.key.n && asked(w, n.key)) keys_add(out, n.key);
        if (out->n == out->cap) keys_settle(out);
    }
    return EXIT_YES;
}

static int changed_keys(struct past *s, const struct wish *w, uint64_t from, uint64_t to, struct keys *out)
{
    bool whole = false;
    int status = collect(s, w, from, to, out, &whole);
    if (status == EXIT_YES && whole) status = collect(s, w, 0, from, out, &whole);
    keys_settle(out);
    return status;
}

static int compare(struct past *s, const struct wish *w, struct paper *p, uint64_t from, uint64_t to, bool *any)
{
    struct keys keys = {0};
    int status = EXIT_YES;
    if (w->n_keys && w->prefix.n == 0)
        for (size_t i = 0; i < w->n_keys; i++) keys_add(&keys, w->keys[i]);
    else
        status = changed_keys(s, w, from, to, &keys);
    for (size_t i = 0; i < keys.n && status == EXIT_YES && !(w->quiet && *any); i++) {
        bool changed = false;
        int rc = record_diff_key(s, p, slice_of(keys.bytes.p + keys.at[i].off, keys.at[i].n), from, to, w->how, &changed);
        if (rc < 0) status = EXIT_TROUBLE;
        *any |= changed;
    }
    buf_fini(&keys.bytes);
    mem_free(keys.at);
    return status;
}

int tool_diff(int argc, char **argv)
{
    struct wish w;
    struct past s;
    struct paper p;
    uint64_t at[2];
    bool any = false;
    int status = parse(argc, argv, &w);
    if (status != EXIT_YES) return status;
    status = past_open(NAME, w.dir, (uint16_t)w.db, &s);
    if (status != EXIT_YES) return status;
    if (!past_point(&s, w.point[0], &at[0]) || !past_point(&s, w.point[1], &at[1])) {
        status = EXIT_TROUBLE;
    } else {
        bool turned = at[0] > at[1];
        FILE *nowhere = w.quiet ? fopen("/dev/null", "w") : NULL;
        paper_open(&p, w.pager && !w.quiet);
        if (nowhere) p.f = nowhere;
        status = turned ? tool_trouble(NAME, "the first point lies behind the second") : compare(&s, &w, &p, at[0], at[1], &any);
        if (!paper_close(&p)) status = tool_trouble(NAME, "standard output cannot be written");
        if (nowhere) (void)fclose(nowhere);
        if (status == EXIT_YES && w.quiet && any) status = EXIT_NO;
    }
    past_close(&s);
    return status;
}
