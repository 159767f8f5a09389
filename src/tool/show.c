/* varve show: one commit with what it changed, or the value of a key at a point. */
#include "base/num.h"
#include "tool/record.h"
#include "tool/tool.h"

#include <inttypes.h>

#define NAME "show"

struct wish {
    const char *dir, *point, *key;
    uint64_t db;
    bool pretty, pager;
};

static int parse(int argc, char **argv, struct wish *w)
{
    *w = (struct wish){.pager = true};
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--pretty") == 0)
            w->pretty = true;
        else if (strcmp(argv[i], "--no-pager") == 0)
            w->pager = false;
        else if (strcmp(argv[i], "--db") == 0) {
            if (i + 1 == argc || !num_parse_u64(slice_str(argv[++i]), &w->db) || w->db >= ENGINE_DATABASES_MAX)
                return tool_usage(NAME, "--db takes a database's number");
        } else if (argv[i][0] == '-' && argv[i][1] == '-' && !w->point)
            return tool_usage(NAME, "'%s' is no option", argv[i]);
        else if (!w->dir)
            w->dir = argv[i];
        else if (!w->point)
            w->point = argv[i];
        else if (!w->key)
            w->key = argv[i];
        else
            return tool_usage(NAME, "one point, one key");
    }
    if (!w->dir) return tool_usage(NAME, "which store?");
    if (w->pretty && !w->key) return tool_usage(NAME, "--pretty goes with a key");
    return EXIT_YES;
}

/* The exact bytes, so that they can be piped on; --pretty for eyes. */
static int show_value(struct past *s, const struct wish *w)
{
    struct buf mem = {0}, text = {0};
    struct ks_value v;
    uint64_t at, oldest = 0;
    slice key = slice_str(w->key);
    if (!past_point(s, w->point, &at)) return EXIT_TROUBLE;
    int rc = past_value(s, key, at, &mem, &v, &oldest), status = EXIT_YES;
    if (rc == E_NOTFOUND) {
        (void)tool_trouble(NAME, "there is no '%s' at %s", w->key, w->point);
        status = EXIT_NO;
    } else if (rc < 0) {
        status = past_trouble(s, rc, key, oldest);
    } else {
        slice out = v.blob;
        if (w->pretty && v.type == TYPE_DOCUMENT) {
            text_pretty(out, &text);
            out = buf_slice(&text);
        }
        if (fwrite(out.p, 1, out.n, stdout) != out.n) status = tool_trouble(NAME, "standard output cannot be written");
    }
    buf_fini(&mem);
    buf_fini(&text);
    return status;
}

/* Each key of the commit once, as it was before and after. */
static int show_changes(struct past *s, struct paper *p, uint64_t first, uint64_t last)
{
    struct buf key = {0};
    int rc = E_OK;
    for (uint64_t seq = first; seq <= last && rc == E_OK; seq++) {
        struct node n;
        bool changed = false;
        rc = past_node(s, seq, &n);
        if (rc == E_PRUNED)
            rc = E_OK;
        else if (rc == E_OK && n.space == SPACE_KEY && n.key.n &&
                 (n.prev < first || n.prev == 0)) { /* later versions in the commit are in its end */
            struct db_view view;
            engine_db_at(s->e, s->c.db, last, &view);
            if (n.lineage != view.lineage) continue;
            buf_clear(&key);
            buf_add_slice(&key, n.key);
            rc = record_diff_key(s, p, buf_slice(&key), first - 1, last, RECORD_DIFF_FULL, &changed);
            if (rc == E_PRUNED) rc = E_OK; /* said already */
        }
    }
    buf_fini(&key);
    return rc;
}

static int show_commit(struct past *s, const struct wish *w)
{
    struct paper p;
    uint64_t first, last;
    if (!w->point && s->newest == 0) return tool_trouble(NAME, "nothing was written yet");
    if (!past_commit(s, w->point ? w->point : "head", &first, &last)) return EXIT_TROUBLE;
    paper_open(&p, w->pager);
    int rc = record_commit(s, &p, first, last);
    if (rc == E_OK) rc = record_nodes(s, &p, first, last, NULL, NULL);
    putc('\n', p.f);
    if (rc == E_OK) rc = show_changes(s, &p, first, last);
    int status = rc < 0 ? tool_trouble(NAME, "%s", err_text(rc)) : EXIT_YES;
    if (!paper_close(&p)) status = tool_trouble(NAME, "standard output cannot be written");
    return status;
}

int tool_show(int argc, char **argv)
{
    struct wish w;
    struct past s;
    int status = parse(argc, argv, &w);
    if (status != EXIT_YES) return status;
    status = past_open(NAME, w.dir, (uint16_t)w.db, &s);
    if (status != EXIT_YES) return status;
    status = w.key ? show_value(&s, &w) : show_commit(&s, &w);
    past_close(&s);
    return status;
}
