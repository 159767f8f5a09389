/* Out before in, relations in the order in which they were named. */
#include "modules/doc/link_walk.h"

#define RELS_MAX 1000

static bool parse_rels(struct call *c, int *i, struct link_choice *l)
{
    int64_t n;
    if (*i + 1 >= c->argc) {
        reply_syntax(c);
        return false;
    }
    if (!arg_range(c, *i + 1, 1, RELS_MAX, &n)) return false;
    if (*i + 1 + n >= c->argc) {
        reply_syntax(c);
        return false;
    }
    l->first_rel = *i + 2;
    l->n_rels = (int)n;
    *i += 1 + (int)n;
    return true;
}

int link_choice_parse(struct call *c, int *i, struct link_choice *l)
{
    if (arg_is(c, *i, "REL")) return parse_rels(c, i, l) ? 1 : -1;
    bool out = arg_is(c, *i, "OUT"), in = arg_is(c, *i, "IN"), both = arg_is(c, *i, "BOTH");
    if (!out && !in && !both) return 0;
    if (l->directed) {
        reply_syntax(c);
        return -1;
    }
    l->directed = true;
    l->out = out || both;
    l->in = in || both;
    return 1;
}

void link_walk_start(struct link_walk *w, const struct link_choice *l)
{
    w->direction = l->out ? 0 : 1;
    w->rel = 0;
    buf_clear(&w->after);
}

/* Is the relation in use named before, or empty, which no link has? */
static bool rel_is_done(struct call *c, const struct link_choice *l, int rel)
{
    const slice *rels = c->argv + l->first_rel;
    if (l->n_rels == 0) return false;
    for (int i = 0; i < rel; i++)
        if (slice_eq(rels[i], rels[rel])) return true;
    return rels[rel].n == 0;
}

/* On to the next relation or direction; false: that was all. */
static bool leave(struct link_walk *w, const struct link_choice *l)
{
    link_cursor_close(&w->cur);
    buf_clear(&w->after);
    if (++w->rel < l->n_rels) return true;
    w->rel = 0;
    return ++w->direction <= (l->in ? 1 : 0);
}

static int open_cursor(struct call *c, struct link_walk *w, const struct link_choice *l, slice key)
{
    slice rel = l->n_rels ? c->argv[l->first_rel + w->rel] : (slice){0};
    enum link_direction d = w->direction == 0 ? LINK_OUT : LINK_IN;
    return engine_links(doc_engine(c), l->db.lineage, key, d, rel, l->at.seq, buf_slice(&w->after), &w->cur);
}

int link_walk_next(struct call *c, struct link_walk *w, const struct link_choice *l, slice key, struct link *out)
{
    int r = E_OK;
    while (w->direction <= (l->in ? 1 : 0)) {
        if (w->cur == NULL) r = rel_is_done(c, l, w->rel) ? E_END : open_cursor(c, w, l, key);
        if (r == E_OK) r = link_cursor_next(w->cur, out);
        if (r == E_OK || r == E_AGAIN) {
            buf_clear(&w->after);
            buf_add_slice(&w->after, link_cursor_at(w->cur));
            if (r == E_AGAIN) return r;
            bool seen = l->out && w->direction == 1 && slice_eq(out->from, out->to); /* among those that go out */
            if (!seen && out->seq > l->db.flushed) return E_OK;
            continue;
        }
        if (r == E_PRUNED) w->oldest = link_cursor_oldest(w->cur);
        if (r != E_END) return r;
        r = E_OK;
        if (!leave(w, l)) break;
    }
    return E_END;
}

void link_walk_fini(struct link_walk *w)
{
    link_cursor_close(&w->cur);
    buf_fini(&w->after);
}
