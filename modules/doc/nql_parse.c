/* From a query's text to its tree: recursive descent over nql_lex.
 *
 *   query   = FROM name clause*                 each clause at most once, in any order
 *   or      = and (OR and)*        and = not (AND not)*        not = [NOT] term
 *   term    = "(" or ")" | path test
 *
 * Depth is bounded by NQL_NESTING_MAX, so the tree may be walked by recursion everywhere else. What a clause may hold often
 * depends on another one that comes later; that is checked at the end (settle_order), with the places kept until then. */
#include "modules/doc/nql_lex.h"

#include <stddef.h>
#include <stdlib.h>

struct whole { /* what nql_query lies in */
    struct nql_query q;
    struct nql_arena arena;
};

struct order_item { /* of ORDER BY, before it is known whether there is GROUP BY */
    const uint8_t *at;
    bool descending, of_aggregate;
    struct nql_aggregate aggregate; /* path too, when it is none */
};

struct bound_param {
    slice name;
    struct nql_value value;
    bool used;
};

struct parser {
    struct nql_lex l;
    struct nql_query *q;
    size_t n_params;
    unsigned nesting, terms, values;
    const uint8_t *group_at; /* the words, NULL: not there */
    const uint8_t *fields_at;
    /* What is in use is written first, so a parser begins with zeros only up to here. */
    struct order_item order[NQL_ORDER_MAX];
    struct bound_param param[NQL_PARAMS_MAX];
};

/* ---- values ---- */

static struct nql_value value_of_text(struct nql_arena *a, slice text)
{
    struct buf quoted = {0};
    json_quote(text, &quoted);
    struct nql_value v = {.type = JSON_STRING, .json = nql_arena_copy(a, buf_slice(&quoted)), .text = text};
    buf_fini(&quoted);
    return v;
}

/* json: checked, trimmed, in the arena. */
static struct nql_value value_of_json(struct nql_arena *a, slice json)
{
    struct nql_value v = {.type = json_type_of(json), .json = json};
    if (v.type == JSON_STRING) {
        struct buf plain = {0};
        json_unescape(json, &plain);
        v = value_of_text(a, nql_arena_copy(a, buf_slice(&plain)));
        buf_fini(&plain);
    } else if (v.type == JSON_NUMBER) {
        v.whole = json_number_i64(json, &v.i64);
    }
    return v;
}

static bool param_fault(struct parser *p, const char *why, slice name)
{
    return nql_lex_fail(&p->l, p->l.end, why, (int)(name.n > 32 ? 32 : name.n), (const char *)name.p);
}

static bool is_param_name(slice name)
{
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (!((uint8_t)((c | 0x20) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '_')) return false;
    }
    return name.n > 0;
}

/* A plain string has to be UTF-8: then quoting changes no byte of its meaning. */
static bool is_faithful(const struct nql_value *v)
{
    struct buf plain = {0};
    json_unescape(v->json, &plain);
    bool same = slice_eq(buf_slice(&plain), v->text);
    buf_fini(&plain);
    return same;
}

static bool bind_params(struct parser *p, const struct nql_param *params, size_t n)
{
    size_t bytes = 0;
    if (n > NQL_PARAMS_MAX) return nql_lex_fail(&p->l, p->l.end, "more than %d parameters", NQL_PARAMS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct bound_param *b = &p->param[i];
        slice trimmed, text;
        if (!is_param_name(params[i].name)) return nql_lex_fail(&p->l, p->l.end, "a parameter's name is made of letters, digits and _");
        for (size_t j = 0; j < i; j++)
            if (slice_eq(p->param[j].name, params[i].name)) return param_fault(p, "parameter '%.*s' is given twice", params[i].name);
        bytes += params[i].value.n;
        if (bytes > NQL_PARAM_BYTES_MAX) return nql_lex_fail(&p->l, p->l.end, "parameters of more than %u bytes", NQL_PARAM_BYTES_MAX);
        bool json = json_check(params[i].value, &trimmed, NULL) == E_OK;
        text = nql_arena_copy(p->l.arena, json ? trimmed : params[i].value);
        *b = (struct bound_param){params[i].name, json ? value_of_json(p->l.arena, text) : value_of_text(p->l.arena, text), false};
        if (!json && !is_faithful(&b->value)) return param_fault(p, "parameter '%.*s' is neither JSON nor UTF-8", b->name);
    }
    p->n_params = n;
    return true;
}

static bool all_params_used(struct parser *p)
{
    for (size_t i = 0; i < p->n_params; i++)
        if (!p->param[i].used) return param_fault(p, "parameter '%.*s' is not used", p->param[i].name);
    return true;
}

static bool at_param(struct parser *p) { return nql_lex_here(&p->l) < p->l.end && *p->l.p == '$'; }

static bool take_param(struct parser *p, struct nql_value *out)
{
    const uint8_t *at = nql_lex_here(&p->l);
    slice name;
    if (!nql_lex_param(&p->l, &name)) return false;
    for (size_t i = 0; i < p->n_params; i++) {
        if (!slice_eq(p->param[i].name, name)) continue;
        p->param[i].used = true;
        *out = p->param[i].value;
        return true;
    }
    return nql_lex_fail(&p->l, at, "no value is given for $%.*s", (int)(name.n > 32 ? 32 : name.n), (const char *)name.p);
}

static bool at_quote(struct parser *p) { return nql_lex_here(&p->l) < p->l.end && (*p->l.p == '"' || *p->l.p == '\''); }

static bool parse_value(struct parser *p, struct nql_value *out)
{
    slice s;
    if (at_param(p)) return take_param(p, out);
    if (at_quote(p)) {
        if (!nql_lex_string(&p->l, &s)) return false;
        *out = value_of_text(p->l.arena, s);
        return true;
    }
    if (!nql_lex_json(&p->l, &s)) return false;
    *out = value_of_json(p->l.arena, s);
    return true;
}

/* A string's bytes: quoted, or a parameter that is a string. */
static bool parse_text(struct parser *p, const char *who, struct nql_value *out)
{
    const uint8_t *at = nql_lex_here(&p->l);
    if (!at_param(p) && !at_quote(p)) return nql_lex_expected(&p->l, "a string in quotes");
    if (!parse_value(p, out)) return false;
    return out->type == JSON_STRING || nql_lex_fail(&p->l, at, "%s takes a string", who);
}

static bool parse_count(struct parser *p, const char *who, int64_t lo, int64_t hi, uint64_t *out)
{
    const uint8_t *at = nql_lex_here(&p->l);
    struct nql_value v = {0};
    if (!at_param(p) && (at == p->l.end || (*at != '-' && (uint8_t)(*at - '0') > 9))) return nql_lex_expected(&p->l, "a number");
    if (!parse_value(p, &v)) return false;
    if (!v.whole || v.i64 < lo || v.i64 > hi)
        return nql_lex_fail(&p->l, at, "%s takes a whole number from %lld to %lld", who, (long long)lo, (long long)hi);
    *out = (uint64_t)v.i64;
    return true;
}

/* ---- paths ---- */

static bool same_name(slice a, slice b)
{
    if (slice_eq(a, b)) return true;
    struct buf x = {0}, y = {0};
    json_unescape(a, &x);
    json_unescape(b, &y);
    bool same = slice_eq(buf_slice(&x), buf_slice(&y));
    buf_fini(&x);
    buf_fini(&y);
    return same;
}

static bool same_path(const struct json_path *a, const struct json_path *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->step[i].index != b->step[i].index || (a->step[i].index < 0 && !same_name(a->step[i].name, b->step[i].name))) return false;
    return true;
}

static enum nql_kind pseudo_kind(const struct nql_query *q, slice name)
{
    static const char *const names[] = {"_id", "_key", "_seq", "_ver", "_ts", "_hash", "_by", "_from", "_rel", "_to"};
    size_t n = q->links ? 10 : 7;
    for (size_t i = 0; i < n; i++)
        if (slice_eq(name, slice_str(names[i]))) return (enum nql_kind)(NQL_ID + i);
    return NQL_DOC;
}

static slice first_name(slice path)
{
    size_t n = 0;
    while (n < path.n && path.p[n] != '.' && path.p[n] != '[') n++;
    return slice_of(path.p, n);
}

/* "$.a" is "a", unless that alone would be another path or none. */
static slice path_label(const struct nql_query *q, slice text)
{
    bool rooted = slice_starts(text, slice_str("$."));
    slice plain = rooted ? slice_of(text.p + 2, text.n - 2) : text, first = first_name(plain);
    bool digit = first.n == 0 || (uint8_t)(first.p[0] - '0') < 10 || first.p[0] == '-' || first.p[0] == '$';
    return digit || nql_lex_is_reserved(first) || pseudo_kind(q, first) != NQL_DOC ? text : plain;
}

static const struct json_path *keep_path(struct nql_arena *a, const struct json_path *path)
{
    size_t bytes = offsetof(struct json_path, step) + path->n * sizeof path->step[0];
    if (bytes < offsetof(struct json_path, n) + sizeof path->n) bytes = offsetof(struct json_path, n) + sizeof path->n;
    struct json_path *kept = nql_arena_take(a, bytes);
    memcpy(kept->step, path->step, path->n * sizeof path->step[0]);
    kept->n = path->n;
    return kept;
}

static bool parse_path(struct parser *p, uint32_t *number)
{
    const uint8_t *at = nql_lex_here(&p->l);
    struct nql_query *q = p->q;
    struct json_path parsed = {.n = 0};
    slice text;
    if (!nql_lex_path(&p->l, &text)) return false;
    enum nql_kind kind = pseudo_kind(q, first_name(text));
    if (kind != NQL_DOC && first_name(text).n != text.n)
        return nql_lex_fail(&p->l, at, "'%.*s' has no members; for a field of that name write $.%.*s", (int)first_name(text).n,
                            (const char *)text.p, (int)first_name(text).n, (const char *)text.p);
    if (kind == NQL_DOC && json_path_parse(text, &parsed) != E_OK) return nql_lex_fail(&p->l, at, "bad path");
    for (uint32_t i = 0; i < q->n_paths; i++) {
        if (q->path[i].kind != kind || (kind == NQL_DOC && !same_path(q->path[i].json, &parsed))) continue;
        *number = i;
        return true;
    }
    if (q->n_paths == NQL_PATHS_MAX) return nql_lex_fail(&p->l, at, "more than %d different paths", NQL_PATHS_MAX);
    *number = q->n_paths++;
    q->path[*number] = (struct nql_path){kind, path_label(q, text), kind == NQL_DOC ? keep_path(p->l.arena, &parsed) : NULL};
    q->needs |= 1u << kind;
    return true;
}

int nql_path_number(const struct nql_query *q, slice index_path)
{
    struct json_path parsed;
    if (json_path_parse(index_path, &parsed) != E_OK) return -1;
    for (uint32_t i = 0; i < q->n_paths; i++)
        if (q->path[i].kind == NQL_DOC && same_path(q->path[i].json, &parsed)) return (int)i;
    return -1;
}

/* ---- WHERE ---- */

static struct nql_expr *parse_or(struct parser *p);

static struct nql_expr *new_expr(struct parser *p, enum nql_op op)
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
static bool keep_values(struct parser *p, struct nql_expr *e, struct nql_value *v, size_t n)
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

static bool count_value(struct parser *p, const uint8_t *at)
{
    return ++p->values <= NQL_VALUES_MAX || nql_lex_fail(&p->l, at, "more than %d values", NQL_VALUES_MAX);
}

/* IN $list: the elements of a parameter that is an array. */
static bool list_of_param(struct parser *p, struct buf *list)
{
    const uint8_t *at = nql_lex_here(&p->l);
    struct nql_value whole, v;
    slice name, element;
    size_t step = 0;
    if (!take_param(p, &whole)) return false;
    if (whole.type != JSON_ARRAY) return nql_lex_fail(&p->l, at, "IN takes (value, ...) or a parameter that is an array");
    while (json_next(whole.json, &step, &name, &element) == E_OK) {
        if (!count_value(p, at)) return false;
        v = value_of_json(p->l.arena, element);
        buf_add(list, &v, sizeof v);
    }
    return list->n > 0 || nql_lex_fail(&p->l, at, "IN takes at least one value");
}

static bool list_of_text(struct parser *p, struct buf *list)
{
    struct nql_value v = {0};
    if (!nql_lex_punct(&p->l, '(')) return nql_lex_expected(&p->l, "'(' behind IN");
    do {
        if (!count_value(p, nql_lex_here(&p->l)) || !parse_value(p, &v)) return false;
        buf_add(list, &v, sizeof v);
    } while (nql_lex_punct(&p->l, ','));
    return nql_lex_punct(&p->l, ')') || nql_lex_expected(&p->l, "',' or ')'");
}

static bool parse_in(struct parser *p, struct nql_expr *e, enum nql_op op)
{
    struct buf list = {0};
    e->op = op;
    bool ok = at_param(p) ? list_of_param(p, &list) : list_of_text(p, &list);
    if (ok) ok = keep_values(p, e, (struct nql_value *)(void *)list.p, list.n / sizeof(struct nql_value));
    buf_fini(&list);
    return ok;
}

/* Compiled: FF for %, FE for _ (neither occurs in UTF-8), escapes taken off. */
static bool parse_like(struct parser *p, struct nql_expr *e)
{
    const uint8_t *at = nql_lex_here(&p->l);
    struct nql_value v = {0};
    size_t n = 0;
    if (!count_value(p, at) || !parse_text(p, "LIKE", &v)) return false;
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
    e->op = NQL_LIKE;
    return keep_values(p, e, &v, 1);
}

static bool parse_values(struct parser *p, struct nql_expr *e, enum nql_op op)
{
    struct nql_value v[2] = {0};
    e->op = op;
    if (!count_value(p, nql_lex_here(&p->l)) || !parse_value(p, &v[0])) return false;
    if (op != NQL_BETWEEN) return keep_values(p, e, v, 1);
    if (!nql_lex_must(&p->l, "AND") || !count_value(p, nql_lex_here(&p->l)) || !parse_value(p, &v[1])) return false;
    return keep_values(p, e, v, 2);
}

/* = != < <= > >=, p at the first character. */
static bool parse_comparison(struct parser *p, struct nql_expr *e)
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

static bool parse_test(struct parser *p, struct nql_expr *e)
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

static struct nql_expr *parse_term(struct parser *p)
{
    const uint8_t *at = nql_lex_here(&p->l);
    if (nql_lex_punct(&p->l, '(')) {
        if (++p->nesting > NQL_NESTING_MAX) nql_lex_fail(&p->l, at, "nested deeper than %d", NQL_NESTING_MAX);
        struct nql_expr *e = p->l.failed ? NULL : parse_or(p);
        if (e && !nql_lex_punct(&p->l, ')')) nql_lex_expected(&p->l, "AND, OR or ')'");
        p->nesting--;
        return p->l.failed ? NULL : e;
    }
    if (++p->terms > NQL_TERMS_MAX) {
        nql_lex_fail(&p->l, at, "more than %d comparisons", NQL_TERMS_MAX);
        return NULL;
    }
    struct nql_expr *e = new_expr(p, NQL_EXISTS);
    return parse_path(p, &e->path) && parse_test(p, e) ? e : NULL;
}

static struct nql_expr *parse_not(struct parser *p)
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
static struct nql_expr *parse_chain(struct parser *p, enum nql_op op)
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

static struct nql_expr *parse_or(struct parser *p) { return parse_chain(p, NQL_OR); }

/* ---- clauses, each behind its first word ---- */

static bool clause_where(struct parser *p)
{
    p->q->where = parse_or(p);
    return p->q->where != NULL;
}

/* A point or an instant: a word, a string or a parameter; a number's text counts as it stands. */
static bool parse_place(struct parser *p, const char *what, slice *out)
{
    struct nql_value v;
    if (!at_param(p)) return nql_lex_raw(&p->l, what, out);
    const uint8_t *at = nql_lex_here(&p->l);
    if (!take_param(p, &v)) return false;
    *out = v.type == JSON_STRING ? v.text : v.json;
    return v.type == JSON_STRING || v.type == JSON_NUMBER || nql_lex_fail(&p->l, at, "%s expected", what);
}

static bool clause_as_of(struct parser *p) { return nql_lex_must(&p->l, "OF") && parse_place(p, "a point", &p->q->as_of); }

static bool clause_valid(struct parser *p)
{
    return nql_lex_must(&p->l, "AS") && nql_lex_must(&p->l, "OF") && parse_place(p, "an instant", &p->q->valid_as_of);
}

static bool clause_search(struct parser *p)
{
    const uint8_t *at = nql_lex_here(&p->l);
    struct nql_value v = {0};
    struct words_query words;
    if (!parse_text(p, "SEARCH", &v)) return false;
    int r = words_query_parse(v.text, &words);
    if (r == E_TOOBIG) return nql_lex_fail(&p->l, at, "SEARCH takes at most %d words", WORDS_QUERY_MAX);
    if (r != E_OK) return nql_lex_fail(&p->l, at, "SEARCH takes at least one word");
    p->q->search.given = true;
    p->q->search.words = v.text;
    p->q->search.has_path = nql_lex_take(&p->l, "IN");
    if (!p->q->search.has_path) return true;
    at = nql_lex_here(&p->l);
    if (!parse_path(p, &p->q->search.path)) return false;
    return p->q->path[p->q->search.path].kind == NQL_DOC || nql_lex_fail(&p->l, at, "SEARCH looks into fields of the document only");
}

static bool parse_hops(struct parser *p, bool *reverse, uint64_t *depth)
{
    *reverse = nql_lex_take(&p->l, "REVERSE");
    return !nql_lex_take(&p->l, "DEPTH") || parse_count(p, "DEPTH", 1, NQL_HOPS_MAX, depth);
}

static bool clause_traverse(struct parser *p)
{
    p->q->traverse.given = true;
    p->q->traverse.depth = 1;
    return nql_lex_name(&p->l, "a relation", false, &p->q->traverse.rel) &&
           parse_hops(p, &p->q->traverse.reverse, &p->q->traverse.depth);
}

static bool clause_trace(struct parser *p)
{
    p->q->trace.given = true;
    p->q->trace.depth = NQL_HOPS_MAX;
    return nql_lex_must(&p->l, "caused_by") && parse_hops(p, &p->q->trace.reverse, &p->q->trace.depth);
}

static bool is_aggregate(struct parser *p, enum nql_aggregate_kind *kind)
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
static bool parse_aggregate(struct parser *p, enum nql_aggregate_kind kind, struct nql_aggregate *out)
{
    static const char *const words[] = {"COUNT", "SUM", "AVG", "MIN", "MAX"};
    struct buf name = {0};
    *out = (struct nql_aggregate){.kind = kind, .name = slice_str(words[kind])};
    if (!nql_lex_must(&p->l, words[kind])) return false;
    if (kind == NQL_COUNT) return true;
    bool brackets = nql_lex_punct(&p->l, '(');
    if (!parse_path(p, &out->path)) return false;
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
static bool parse_paths(struct parser *p, const char *who, uint32_t *out, uint32_t max, uint32_t *n)
{
    do {
        const uint8_t *at = nql_lex_here(&p->l);
        uint32_t path;
        if (!parse_path(p, &path)) return false;
        if (*n == max) return nql_lex_fail(&p->l, at, "%s takes at most %u paths", who, max);
        for (uint32_t i = 0; i < *n; i++)
            if (out[i] == path) return nql_lex_fail(&p->l, at, "%s names this path twice", who);
        out[(*n)++] = path;
    } while (nql_lex_punct(&p->l, ','));
    return true;
}

static bool clause_group(struct parser *p)
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

static bool clause_order(struct parser *p)
{
    if (!nql_lex_must(&p->l, "BY")) return false;
    do {
        struct order_item item = {.at = nql_lex_here(&p->l)};
        enum nql_aggregate_kind kind;
        item.of_aggregate = is_aggregate(p, &kind);
        if (item.of_aggregate ? !parse_aggregate(p, kind, &item.aggregate) : !parse_path(p, &item.aggregate.path)) return false;
        item.descending = nql_lex_take(&p->l, "DESC");
        if (!item.descending) (void)nql_lex_take(&p->l, "ASC");
        if (p->q->n_order == NQL_ORDER_MAX) return nql_lex_fail(&p->l, item.at, "ORDER BY takes at most %d items", NQL_ORDER_MAX);
        p->order[p->q->n_order++] = item;
    } while (nql_lex_punct(&p->l, ','));
    return true;
}

static bool clause_fields(struct parser *p) { return parse_paths(p, "FIELDS", p->q->fields, NQL_FIELDS_MAX, &p->q->n_fields); }

static bool clause_limit(struct parser *p)
{
    p->q->has_limit = true;
    if (!parse_count(p, "LIMIT", 1, NQL_LIMIT_MAX, &p->q->limit)) return false;
    return !nql_lex_take(&p->l, "OFFSET") || parse_count(p, "OFFSET", 0, NQL_OFFSET_MAX, &p->q->offset);
}

enum clause { AS_OF, VALID, WHERE, SEARCH, TRAVERSE, TRACE, GROUP, ORDER, FIELDS, LIMIT, CLAUSES };
static const struct {
    const char *word;
    bool (*parse)(struct parser *p);
} clauses[CLAUSES] = {
    [AS_OF] = {"AS", clause_as_of},       [VALID] = {"VALID", clause_valid}, [WHERE] = {"WHERE", clause_where},
    [SEARCH] = {"SEARCH", clause_search}, [TRAVERSE] = {"TRAVERSE", clause_traverse},
    [TRACE] = {"TRACE", clause_trace},    [GROUP] = {"GROUP", clause_group}, [ORDER] = {"ORDER", clause_order},
    [FIELDS] = {"FIELDS", clause_fields}, [LIMIT] = {"LIMIT", clause_limit},
};
/* Those that exclude each other. */
static const enum clause apart[][2] = {{TRAVERSE, TRACE}, {GROUP, FIELDS}};

static bool parse_clauses(struct parser *p)
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

static bool settle_item(struct parser *p, const struct order_item *item, struct nql_order *out)
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

static bool settle_order(struct parser *p)
{
    struct nql_query *q = p->q;
    for (uint32_t i = 0; i < q->n_order; i++) {
        struct nql_order *o = &q->order[i];
        if (!settle_item(p, &p->order[i], o)) return false;
        for (uint32_t j = 0; j < i; j++)
            if (q->order[j].of_aggregate == o->of_aggregate && (o->of_aggregate ? q->order[j].aggregate == o->aggregate : q->order[j].path == o->path))
                return nql_lex_fail(&p->l, p->order[i].at, "ORDER BY names this twice");
    }
    return true;
}

/* Marks the document's fields that a tree names; as deep as it nests. */
static bool note_fields(const struct nql_query *q, const struct nql_expr *e, const struct json_path **fields)
{
    bool any = false;
    for (const struct nql_expr *k = e->kid; k; k = k->next) any |= note_fields(q, k, fields);
    if (e->op <= NQL_NOT || q->path[e->path].kind != NQL_DOC) return any;
    fields[e->path] = q->path[e->path].json;
    return true;
}

static void settle_where(struct nql_query *q)
{
    const struct json_path *fields[NQL_PATHS_MAX] = {NULL};
    if (q->where && note_fields(q, q->where, fields)) q->picker = json_picker_new(fields, q->n_paths);
}

static bool parse_query(struct parser *p)
{
    if (!nql_lex_must(&p->l, "FROM")) return false;
    const uint8_t *at = nql_lex_here(&p->l);
    if (!nql_lex_name(&p->l, "a collection", true, &p->q->coll)) return false;
    if (p->q->coll.n && memchr(p->q->coll.p, ':', p->q->coll.n)) return nql_lex_fail(&p->l, at, "a collection's name has no ':'");
    p->q->links = slice_eq(p->q->coll, slice_str("__links__"));
    return parse_clauses(p) && settle_order(p);
}

static bool parse_expr(struct parser *p)
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
    struct parser *p = mem_alloc(sizeof *p);
    memset(p, 0, offsetof(struct parser, order));
    p->q = &w->q;
    bool ok = nql_lex_init(&p->l, &w->arena, s->text, fault) && bind_params(p, s->params, s->n);
    if (ok && s->coll) {
        w->q.coll = nql_arena_copy(&w->arena, *s->coll);
        w->q.links = slice_eq(w->q.coll, slice_str("__links__"));
        if (s->text.p) ok = parse_expr(p);
    } else if (ok) {
        ok = parse_query(p);
    }
    ok = ok && all_params_used(p);
    ASSERT(ok != p->l.failed);
    struct nql_query *q = &w->q;
    mem_free(p);
    if (!ok) nql_free(&q);
    if (ok) settle_where(q);
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
