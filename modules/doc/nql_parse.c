/* From a query's text to its tree: FROM name, then clauses in any order, each at most once.
 *
 * What a clause may hold often depends on another one that comes later; that is checked at the end (settle_order), with the places kept
 * until then. */
#include "modules/doc/nql_parser.h"

struct whole { /* what nql_query lies in */
    struct nql_query q;
    struct nql_arena arena;
};

/* ---- clauses, each behind its first word ---- */

static bool clause_where(struct nql_parser *p)
{
    p->q->where = nql_where_parse(p);
    return p->q->where != NULL;
}

/* A point or an instant: a word, a string or a parameter; a number's text counts as it stands. */
static bool parse_place(struct nql_parser *p, const char *what, slice *out)
{
    struct nql_value v;
    if (!nql_value_at_param(p)) return nql_lex_raw(&p->l, what, out);
    const uint8_t *at = nql_lex_here(&p->l);
    if (!nql_value_take_param(p, &v)) return false;
    *out = v.type == JSON_STRING ? v.text : v.json;
    return v.type == JSON_STRING || v.type == JSON_NUMBER || nql_lex_fail(&p->l, at, "%s expected", what);
}

static bool clause_as_of(struct nql_parser *p) { return nql_lex_must(&p->l, "OF") && parse_place(p, "a point", &p->q->as_of); }

static bool clause_valid(struct nql_parser *p)
{
    return nql_lex_must(&p->l, "AS") && nql_lex_must(&p->l, "OF") && parse_place(p, "an instant", &p->q->valid_as_of);
}

static bool clause_search(struct nql_parser *p)
{
    const uint8_t *at = nql_lex_here(&p->l);
    struct nql_value v = {0};
    struct words_query words;
    if (!nql_value_parse_text(p, "SEARCH", &v)) return false;
    int r = words_query_parse(v.text, &words);
    if (r == E_TOOBIG) return nql_lex_fail(&p->l, at, "SEARCH takes at most %d words", WORDS_QUERY_MAX);
    if (r != E_OK) return nql_lex_fail(&p->l, at, "SEARCH takes at least one word");
    p->q->search.given = true;
    p->q->search.words = v.text;
    p->q->search.has_path = nql_lex_take(&p->l, "IN");
    if (!p->q->search.has_path) return true;
    at = nql_lex_here(&p->l);
    if (!nql_path_parse(p, &p->q->search.path)) return false;
    return p->q->path[p->q->search.path].kind == NQL_DOC || nql_lex_fail(&p->l, at, "SEARCH looks into fields of the document only");
}

static bool parse_hops(struct nql_parser *p, bool *reverse, uint64_t *depth)
{
    *reverse = nql_lex_take(&p->l, "REVERSE");
    return !nql_lex_take(&p->l, "DEPTH") || nql_value_parse_count(p, "DEPTH", 1, NQL_HOPS_MAX, depth);
}

static bool clause_traverse(struct nql_parser *p)
{
    p->q->traverse.given = true;
    p->q->traverse.depth = 1;
    return nql_lex_name(&p->l, "a relation", false, &p->q->traverse.rel) &&
           parse_hops(p, &p->q->traverse.reverse, &p->q->traverse.depth);
}

static bool clause_trace(struct nql_parser *p)
{
    p->q->trace.given = true;
    p->q->trace.depth = NQL_HOPS_MAX;
    return nql_lex_must(&p->l, "caused_by") && parse_hops(p, &p->q->trace.reverse, &p->q->trace.depth);
}

static bool is_aggregate(struct nql_parser *p, enum nql_aggregate_kind *kind)
{
    static const char *const words[] = {"COUNT", "SUM", "AVG", "MIN", "MAX"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (nql_lex_is(&p->l, words[i])) {
            *kind = (enum nql_aggregate_kind)i;
            return true;
        }
    return false;
}

/* COUNT | SUM path | SUM(path), the word being next. */
static bool parse_aggregate(struct nql_parser *p, enum nql_aggregate_kind kind, struct nql_aggregate *out)
{
    static const char *const words[] = {"COUNT", "SUM", "AVG", "MIN", "MAX"};
    struct buf name = {0};
    *out = (struct nql_aggregate){.kind = kind, .name = slice_str(words[kind])};
    if (!nql_lex_must(&p->l, words[kind])) return false;
    if (kind == NQL_COUNT) return true;
    bool brackets = nql_lex_punct(&p->l, '(');
    if (!nql_path_parse(p, &out->path)) return false;
    if (brackets && !nql_lex_punct(&p->l, ')')) return nql_lex_expected(&p->l, "')'");
    buf_add_slice(&name, out->name);
    buf_add_byte(&name, '(');
    buf_add_slice(&name, p->q->path[out->path].text);
    buf_add_byte(&name, ')');
    out->name = nql_arena_copy(p->l.arena, buf_slice(&name));
    buf_fini(&name);
    return true;
}

static bool same_aggregate(const struct nql_aggregate *a, const struct nql_aggregate *b)
{
    return a->kind == b->kind && (a->kind == NQL_COUNT || a->path == b->path);
}

/* path, path, … each once. */
static bool parse_paths(struct nql_parser *p, const char *who, uint32_t *out, uint32_t max, uint32_t *n)
{
    do {
        const uint8_t *at = nql_lex_here(&p->l);
        uint32_t path;
        if (!nql_path_parse(p, &path)) return false;
        if (*n == max) return nql_lex_fail(&p->l, at, "%s takes at most %u paths", who, max);
        for (uint32_t i = 0; i < *n; i++)
            if (out[i] == path) return nql_lex_fail(&p->l, at, "%s names this path twice", who);
        out[(*n)++] = path;
    } while (nql_lex_punct(&p->l, ','));
    return true;
}

static bool clause_group(struct nql_parser *p)
{
    struct nql_query *q = p->q;
    enum nql_aggregate_kind kind;
    q->grouped = true;
    if (!nql_lex_must(&p->l, "BY") || !parse_paths(p, "GROUP BY", q->group, NQL_GROUP_MAX, &q->n_group)) return false;
    while (is_aggregate(p, &kind)) {
        const uint8_t *at = nql_lex_here(&p->l);
        struct nql_aggregate a;
        if (!parse_aggregate(p, kind, &a)) return false;
        if (q->n_aggregates == NQL_AGGREGATES_MAX) return nql_lex_fail(&p->l, at, "more than %d aggregates", NQL_AGGREGATES_MAX);
        for (uint32_t i = 0; i < q->n_aggregates; i++)
            if (same_aggregate(&q->aggregate[i], &a)) return nql_lex_fail(&p->l, at, "this aggregate is there already");
        q->aggregate[q->n_aggregates++] = a;
    }
    return true;
}

static bool clause_order(struct nql_parser *p)
{
    if (!nql_lex_must(&p->l, "BY")) return false;
    do {
        struct nql_order_item item = {.at = nql_lex_here(&p->l)};
        enum nql_aggregate_kind kind;
        item.of_aggregate = is_aggregate(p, &kind);
        if (item.of_aggregate ? !parse_aggregate(p, kind, &item.aggregate) : !nql_path_parse(p, &item.aggregate.path)) return false;
        item.descending = nql_lex_take(&p->l, "DESC");
        if (!item.descending) (void)nql_lex_take(&p->l, "ASC");
        if (p->q->n_order == NQL_ORDER_MAX) return nql_lex_fail(&p->l, item.at, "ORDER BY takes at most %d items", NQL_ORDER_MAX);
        p->order[p->q->n_order++] = item;
    } while (nql_lex_punct(&p->l, ','));
    return true;
}

static bool clause_fields(struct nql_parser *p) { return parse_paths(p, "FIELDS", p->q->fields, NQL_FIELDS_MAX, &p->q->n_fields); }

static bool clause_limit(struct nql_parser *p)
{
    p->q->has_limit = true;
    if (!nql_value_parse_count(p, "LIMIT", 1, NQL_LIMIT_MAX, &p->q->limit)) return false;
    return !nql_lex_take(&p->l, "OFFSET") || nql_value_parse_count(p, "OFFSET", 0, NQL_OFFSET_MAX, &p->q->offset);
}

enum clause { AS_OF, VALID, WHERE, SEARCH, TRAVERSE, TRACE, GROUP, ORDER, FIELDS, LIMIT, CLAUSES };
static const struct {
    const char *word;
    bool (*parse)(struct nql_parser *p);
} clauses[CLAUSES] = {
    [AS_OF] = {"AS", clause_as_of},       [VALID] = {"VALID", clause_valid}, [WHERE] = {"WHERE", clause_where},
    [SEARCH] = {"SEARCH", clause_search}, [TRAVERSE] = {"TRAVERSE", clause_traverse},
    [TRACE] = {"TRACE", clause_trace},    [GROUP] = {"GROUP", clause_group}, [ORDER] = {"ORDER", clause_order},
    [FIELDS] = {"FIELDS", clause_fields}, [LIMIT] = {"LIMIT", clause_limit},
};
/* Those that exclude each other. */
static const enum clause apart[][2] = {{TRAVERSE, TRACE}, {GROUP, FIELDS}};

static bool parse_clauses(struct nql_parser *p)
{
    bool seen[CLAUSES] = {false};
    for (const uint8_t *at; (at = nql_lex_here(&p->l)) < p->l.end;) {
        unsigned i = 0;
        while (i < CLAUSES && !nql_lex_is(&p->l, clauses[i].word)) i++;
        if (i == CLAUSES && nql_lex_is(&p->l, "OFFSET")) return nql_lex_fail(&p->l, at, "OFFSET stands behind LIMIT n");
        if (i == CLAUSES) return nql_lex_expected(&p->l, "a clause");
        if (seen[i]) return nql_lex_fail(&p->l, at, "%s is there already", clauses[i].word);
        seen[i] = true;
        for (size_t k = 0; k < sizeof apart / sizeof *apart; k++)
            if (seen[apart[k][0]] && seen[apart[k][1]])
                return nql_lex_fail(&p->l, at, "%s and %s exclude each other", clauses[apart[k][0]].word, clauses[apart[k][1]].word);
        p->l.p += strlen(clauses[i].word);
        if (!clauses[i].parse(p)) return false;
    }
    return true;
}

/* ---- the end ---- */

static bool settle_item(struct nql_parser *p, const struct nql_order_item *item, struct nql_order *out)
{
    const struct nql_query *q = p->q;
    *out = (struct nql_order){.descending = item->descending, .of_aggregate = item->of_aggregate, .path = item->aggregate.path};
    if (!q->grouped) return !item->of_aggregate || nql_lex_fail(&p->l, item->at, "an aggregate needs GROUP BY");
    if (item->of_aggregate) {
        while (out->aggregate < q->n_aggregates && !same_aggregate(&q->aggregate[out->aggregate], &item->aggregate)) out->aggregate++;
        return out->aggregate < q->n_aggregates || nql_lex_fail(&p->l, item->at, "ORDER BY names an aggregate that GROUP BY does not give");
    }
    for (uint32_t i = 0; i < q->n_group; i++)
        if (q->group[i] == out->path) return true;
    return nql_lex_fail(&p->l, item->at, "ORDER BY names a path that is not in GROUP BY");
}

static bool same_order(const struct nql_order *a, const struct nql_order *b)
{
    if (a->of_aggregate != b->of_aggregate) return false;
    return a->of_aggregate ? a->aggregate == b->aggregate : a->path == b->path;
}

static bool settle_order(struct nql_parser *p)
{
    struct nql_query *q = p->q;
    for (uint32_t i = 0; i < q->n_order; i++) {
        struct nql_order *o = &q->order[i];
        if (!settle_item(p, &p->order[i], o)) return false;
        for (uint32_t j = 0; j < i; j++)
            if (same_order(&q->order[j], o)) return nql_lex_fail(&p->l, p->order[i].at, "ORDER BY names this twice");
    }
    return true;
}

static bool parse_query(struct nql_parser *p)
{
    if (!nql_lex_must(&p->l, "FROM")) return false;
    const uint8_t *at = nql_lex_here(&p->l);
    if (!nql_lex_name(&p->l, "a collection", true, &p->q->coll)) return false;
    if (p->q->coll.n && memchr(p->q->coll.p, ':', p->q->coll.n)) return nql_lex_fail(&p->l, at, "a collection's name has no ':'");
    p->q->links = slice_eq(p->q->coll, slice_str("__links__"));
    return parse_clauses(p) && settle_order(p);
}

static bool parse_expr(struct nql_parser *p)
{
    if (!clause_where(p)) return false;
    return nql_lex_here(&p->l) == p->l.end || nql_lex_expected(&p->l, "AND, OR or the end");
}

struct source {
    slice text;
    const slice *coll; /* NULL: text is a whole query */
    const struct nql_param *params;
    size_t n;
};

static int parse(const struct source *s, struct nql_query **out, struct nql_fault *fault)
{
    struct whole *w = mem_zalloc(sizeof *w);
    struct nql_parser parser, *p = &parser; /* most of it need not be cleared */
    p->q = &w->q;
    p->n_params = 0;
    p->nesting = p->terms = p->values = 0;
    bool ok = nql_lex_init(&p->l, &w->arena, s->text, fault) && nql_value_bind(p, s->params, s->n);
    if (ok && s->coll) {
        w->q.coll = nql_arena_copy(&w->arena, *s->coll);
        w->q.links = slice_eq(w->q.coll, slice_str("__links__"));
        if (s->text.p) ok = parse_expr(p);
    } else if (ok) {
        ok = parse_query(p);
    }
    ok = ok && nql_value_all_used(p);
    ASSERT(ok != p->l.failed);
    struct nql_query *q = &w->q;
    if (!ok) nql_free(&q);
    if (ok) nql_where_settle(q);
    if (ok) *out = q;
    return ok ? E_OK : E_SYNTAX;
}

int nql_parse(slice text, const struct nql_param *params, size_t n, struct nql_query **out, struct nql_fault *fault)
{
    ASSERT(out && fault);
    ASSERT(params || n == 0);
    return parse(&(struct source){text, NULL, params, n}, out, fault);
}

int nql_parse_where(slice coll, slice expr, const struct nql_param *params, size_t n, struct nql_query **out, struct nql_fault *fault)
{
    ASSERT(out && fault);
    ASSERT(params || n == 0);
    return parse(&(struct source){expr, &coll, params, n}, out, fault);
}

void nql_free(struct nql_query **q)
{
    if (!*q) return;
    struct whole *w = (struct whole *)(void *)*q;
    json_picker_free(&w->q.picker);
    nql_arena_free(&w->arena);
    mem_free(w);
    *q = NULL;
}
