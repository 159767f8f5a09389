/* Expressions: recursive descent.
 *
 *   or      = and (OR and)*        and = not (AND not)*        not = [NOT] term
 *   term    = "(" or ")" | path test
 *
 * Depth is bounded by NQL_NESTING_MAX, so the tree may be walked by recursion everywhere else. */
#include "modules/doc/nql_parser.h"

#include <stdlib.h>

static struct nql_expr *new_expr(struct nql_parser *p, enum nql_op op)
{
    struct nql_expr *e = nql_arena_take(p->l.arena, sizeof *e);
    e->op = op;
    return e;
}

static int value_order(const void *a, const void *b)
{
    const struct nql_value *x = a, *y = b;
    int c = json_compare(x->json, y->json);
    return c ? c : slice_cmp(x->json, y->json); /* which spelling of a value stays must not be left to chance */
}

/* Into the tree; a list sorted, each value once. */
static bool keep_values(struct nql_parser *p, struct nql_expr *e, struct nql_value *v, size_t n)
{
    if (e->op == NQL_IN || e->op == NQL_NOT_IN) {
        size_t kept = 0;
        qsort(v, n, sizeof *v, value_order);
        for (size_t i = 0; i < n; i++)
            if (kept == 0 || json_compare(v[kept - 1].json, v[i].json) != 0) v[kept++] = v[i];
        n = kept;
    }
    struct nql_value *copy = nql_arena_take(p->l.arena, n * sizeof *copy);
    memcpy(copy, v, n * sizeof *copy);
    e->value = copy;
    e->n = (uint32_t)n;
    return true;
}

static bool count_value(struct nql_parser *p, const uint8_t *at)
{
    return ++p->values <= NQL_VALUES_MAX || nql_lex_fail(&p->l, at, "more than %d values", NQL_VALUES_MAX);
}

/* IN $list: the elements of a parameter that is an array. */
static bool list_of_param(struct nql_parser *p, struct buf *list)
{
    const uint8_t *at = nql_lex_here(&p->l);
    struct nql_value whole, v;
    slice name, element;
    size_t step = 0;
    if (!nql_value_take_param(p, &whole)) return false;
    if (whole.type != JSON_ARRAY) return nql_lex_fail(&p->l, at, "IN takes (value, ...) or a parameter that is an array");
    while (json_next(whole.json, &step, &name, &element) == E_OK) {
        if (!count_value(p, at)) return false;
        v = nql_value_of_json(p->l.arena, element);
        buf_add(list, &v, sizeof v);
    }
    return list->n > 0 || nql_lex_fail(&p->l, at, "IN takes at least one value");
}

static bool list_of_text(struct nql_parser *p, struct buf *list)
{
    struct nql_value v = {0};
    if (!nql_lex_punct(&p->l, '(')) return nql_lex_expected(&p->l, "'(' behind IN");
    do {
        if (!count_value(p, nql_lex_here(&p->l)) || !nql_value_parse(p, &v)) return false;
        buf_add(list, &v, sizeof v);
    } while (nql_lex_punct(&p->l, ','));
    return nql_lex_punct(&p->l, ')') || nql_lex_expected(&p->l, "',' or ')'");
}

static bool parse_in(struct nql_parser *p, struct nql_expr *e, enum nql_op op)
{
    struct buf list = {0};
    e->op = op;
    bool ok = nql_value_at_param(p) ? list_of_param(p, &list) : list_of_text(p, &list);
    if (ok) ok = keep_values(p, e, (struct nql_value *)(void *)list.p, list.n / sizeof(struct nql_value));
    buf_fini(&list);
    return ok;
}

/* A piece between two % is tried at every place of the text; without _ there is a quicker way, which has no limit. */
static bool pieces_are_short(slice pattern)
{
    size_t from = 0;
    bool first = true, one = false;
    for (size_t i = 0; i < pattern.n; i++) {
        one |= pattern.p[i] == NQL_LIKE_ONE;
        if (pattern.p[i] != NQL_LIKE_ANY) continue;
        if (!first && one && i - from > NQL_LIKE_PIECE_MAX) return false;
        from = i + 1;
        first = one = false;
    }
    return true;
}

/* Compiled: FF for %, FE for _ (neither occurs in UTF-8), escapes taken off. */
static bool parse_like(struct nql_parser *p, struct nql_expr *e)
{
    const uint8_t *at = nql_lex_here(&p->l);
    struct nql_value v = {0};
    size_t n = 0;
    if (!count_value(p, at) || !nql_value_parse_text(p, "LIKE", &v)) return false;
    uint8_t *out = nql_arena_take(p->l.arena, v.text.n + 1);
    for (size_t i = 0; i < v.text.n; i++) {
        uint8_t c = v.text.p[i];
        if (c == '\\') {
            if (++i == v.text.n || !memchr("%_\\", v.text.p[i], 3))
                return nql_lex_fail(&p->l, at, "in a LIKE pattern a backslash stands before %%, _ or a backslash");
            out[n++] = v.text.p[i];
        } else {
            out[n++] = c == '%' ? NQL_LIKE_ANY : c == '_' ? NQL_LIKE_ONE : c;
        }
    }
    v.text = slice_of(out, n);
    if (!pieces_are_short(v.text)) return nql_lex_fail(&p->l, at, "more than %d bytes with _ between two %%", NQL_LIKE_PIECE_MAX);
    e->op = NQL_LIKE;
    return keep_values(p, e, &v, 1);
}

static bool parse_values(struct nql_parser *p, struct nql_expr *e, enum nql_op op)
{
    struct nql_value v[2] = {0};
    e->op = op;
    if (!count_value(p, nql_lex_here(&p->l)) || !nql_value_parse(p, &v[0])) return false;
    if (op != NQL_BETWEEN) return keep_values(p, e, v, 1);
    if (!nql_lex_must(&p->l, "AND") || !count_value(p, nql_lex_here(&p->l)) || !nql_value_parse(p, &v[1])) return false;
    return keep_values(p, e, v, 2);
}

/* = != < <= > >=, p at the first character. */
static bool parse_comparison(struct nql_parser *p, struct nql_expr *e)
{
    static const struct {
        char text[3];
        enum nql_op op;
    } ops[] = {{"!=", NQL_NE}, {"<=", NQL_LE}, {">=", NQL_GE}, {"=", NQL_EQ}, {"<", NQL_LT}, {">", NQL_GT}};
    const uint8_t *at = nql_lex_here(&p->l);
    slice rest = slice_of(at, (size_t)(p->l.end - at));
    if (slice_starts(rest, slice_str("<>"))) return nql_lex_fail(&p->l, at, "an operator expected; 'not equal' is !=");
    if (slice_starts(rest, slice_str("=="))) return nql_lex_fail(&p->l, at, "an operator expected; 'equal' is =");
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (!slice_starts(rest, slice_str(ops[i].text))) continue;
        p->l.p += strlen(ops[i].text);
        return parse_values(p, e, ops[i].op);
    }
    return nql_lex_expected(&p->l, "an operator");
}

static bool parse_test(struct nql_parser *p, struct nql_expr *e)
{
    struct nql_lex *l = &p->l;
    if (nql_lex_take(l, "IS")) {
        e->op = nql_lex_take(l, "NOT") ? NQL_NOT_NULL : NQL_NULL;
        return nql_lex_must(l, "NULL");
    }
    if (nql_lex_take(l, "EXISTS")) {
        e->op = NQL_EXISTS;
        return true;
    }
    if (nql_lex_take(l, "NOT"))
        return nql_lex_is(l, "IN") ? nql_lex_take(l, "IN") && parse_in(p, e, NQL_NOT_IN)
                                   : nql_lex_fail(l, nql_lex_here(l), "IN expected; but for NOT IN, NOT stands before the path");
    if (nql_lex_take(l, "IN")) return parse_in(p, e, NQL_IN);
    if (nql_lex_take(l, "LIKE")) return parse_like(p, e);
    if (nql_lex_take(l, "CONTAINS")) return parse_values(p, e, NQL_CONTAINS);
    if (nql_lex_take(l, "BETWEEN")) return parse_values(p, e, NQL_BETWEEN);
    return parse_comparison(p, e);
}

static struct nql_expr *parse_term(struct nql_parser *p)
{
    const uint8_t *at = nql_lex_here(&p->l);
    if (nql_lex_punct(&p->l, '(')) {
        if (++p->nesting > NQL_NESTING_MAX) nql_lex_fail(&p->l, at, "nested deeper than %d", NQL_NESTING_MAX);
        struct nql_expr *e = p->l.failed ? NULL : nql_where_parse(p);
        if (e && !nql_lex_punct(&p->l, ')')) nql_lex_expected(&p->l, "AND, OR or ')'");
        p->nesting--;
        return p->l.failed ? NULL : e;
    }
    if (++p->terms > NQL_TERMS_MAX) {
        nql_lex_fail(&p->l, at, "more than %d comparisons", NQL_TERMS_MAX);
        return NULL;
    }
    struct nql_expr *e = new_expr(p, NQL_EXISTS);
    return nql_path_parse(p, &e->path) && parse_test(p, e) ? e : NULL;
}

static struct nql_expr *parse_not(struct nql_parser *p)
{
    const uint8_t *at = nql_lex_here(&p->l);
    if (!nql_lex_take(&p->l, "NOT")) return parse_term(p);
    if (++p->nesting > NQL_NESTING_MAX) nql_lex_fail(&p->l, at, "nested deeper than %d", NQL_NESTING_MAX);
    struct nql_expr *kid = p->l.failed ? NULL : parse_term(p);
    p->nesting--;
    if (!kid) return NULL;
    struct nql_expr *e = new_expr(p, NQL_NOT);
    e->kid = kid;
    e->n = 1;
    return e;
}

/* A chain of one operator. Kids that are chains of the same one (from parentheses) are taken in. */
static struct nql_expr *parse_chain(struct nql_parser *p, enum nql_op op)
{
    const char *word = op == NQL_OR ? "OR" : "AND";
    struct nql_expr *chain = NULL, **last = NULL;
    for (;;) {
        struct nql_expr *e = op == NQL_OR ? parse_chain(p, NQL_AND) : parse_not(p);
        if (!e) return NULL;
        if (!chain && !nql_lex_is(&p->l, word)) return e;
        if (!chain) {
            chain = new_expr(p, op);
            last = &chain->kid;
        }
        *last = e->op == op ? e->kid : e;
        chain->n += e->op == op ? e->n : 1;
        while (*last) last = &(*last)->next;
        if (!nql_lex_take(&p->l, word)) return chain;
    }
}

struct nql_expr *nql_where_parse(struct nql_parser *p) { return parse_chain(p, NQL_OR); }

/* Marks the document's fields that a tree names; as deep as it nests. */
static bool note_fields(const struct nql_query *q, const struct nql_expr *e, const struct json_path **fields)
{
    bool any = false;
    for (const struct nql_expr *k = e->kid; k; k = k->next) any |= note_fields(q, k, fields);
    if (e->op <= NQL_NOT || q->path[e->path].kind != NQL_DOC) return any;
    fields[e->path] = q->path[e->path].json;
    return true;
}

void nql_where_settle(struct nql_query *q)
{
    const struct json_path *fields[NQL_PATHS_MAX] = {NULL};
    if (q->where && note_fields(q, q->where, fields)) q->picker = json_picker_new(fields, q->n_paths);
}
