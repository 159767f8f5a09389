/* A query in one spelling: clauses in a fixed order, key words in capitals, parameters filled in, parentheses only where they are needed.
 * Parsed again it gives the same tree. */
#include "modules/doc/nql_lex.h"

#define FNV_START 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

static void add_text(struct buf *out, slice s) { json_quote(s, out); }

/* As a word where that reads back as one, else in quotes. A collection may be a key word, a relation not. */
static void add_name(struct buf *out, slice s, bool reserved_too)
{
    if (nql_lex_is_name(s) && (reserved_too || !nql_lex_is_reserved(s)))
        buf_add_slice(out, s);
    else
        add_text(out, s);
}

static void add_path(struct buf *out, const struct nql_query *q, uint32_t path) { buf_add_slice(out, q->path[path].text); }

static void add_paths(struct buf *out, const struct nql_query *q, const uint32_t *path, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i) buf_add_str(out, ", ");
        add_path(out, q, path[i]);
    }
}

static void add_test(struct buf *out, const struct nql_query *q, const struct nql_expr *e)
{
    static const char *const words[] = {
        [NQL_EQ] = " = ", [NQL_NE] = " != ", [NQL_LT] = " < ", [NQL_LE] = " <= ", [NQL_GT] = " > ", [NQL_GE] = " >= ",
        [NQL_LIKE] = " LIKE ", [NQL_CONTAINS] = " CONTAINS ", [NQL_BETWEEN] = " BETWEEN ", [NQL_IN] = " IN (", [NQL_NOT_IN] = " NOT IN (",
        [NQL_NULL] = " IS NULL", [NQL_NOT_NULL] = " IS NOT NULL", [NQL_EXISTS] = " EXISTS",
    };
    bool list = e->op == NQL_IN || e->op == NQL_NOT_IN;
    add_path(out, q, e->path);
    buf_add_str(out, words[e->op]);
    for (uint32_t i = 0; i < e->n; i++) {
        if (i) buf_add_str(out, list ? ", " : " AND ");
        buf_add_slice(out, e->value[i].json);
    }
    if (list) buf_add_byte(out, ')');
}

/* As deep as the tree nests: NQL_NESTING_MAX. */
static void add_expr(struct buf *out, const struct nql_query *q, const struct nql_expr *e, enum nql_op parent)
{
    if (e->op > NQL_NOT) {
        add_test(out, q, e);
        return;
    }
    bool enclosed = (parent == NQL_AND && e->op == NQL_OR) || parent == NQL_NOT;
    if (enclosed) buf_add_byte(out, '(');
    if (e->op == NQL_NOT) buf_add_str(out, "NOT ");
    for (const struct nql_expr *k = e->kid; k; k = k->next) {
        add_expr(out, q, k, e->op);
        if (k->next) buf_add_str(out, e->op == NQL_AND ? " AND " : " OR ");
    }
    if (enclosed) buf_add_byte(out, ')');
}

static void add_hops(struct buf *out, bool reverse, uint64_t depth)
{
    if (reverse) buf_add_str(out, " REVERSE");
    buf_printf(out, " DEPTH %llu", (unsigned long long)depth);
}

static void add_where(struct buf *out, const struct nql_query *q)
{
    if (q->where) {
        buf_add_str(out, " WHERE ");
        add_expr(out, q, q->where, NQL_EXISTS);
    }
    if (q->search.given) {
        buf_add_str(out, " SEARCH ");
        add_text(out, q->search.words);
        if (q->search.has_path) {
            buf_add_str(out, " IN ");
            add_path(out, q, q->search.path);
        }
    }
    if (q->traverse.given) {
        buf_add_str(out, " TRAVERSE ");
        add_name(out, q->traverse.rel, false);
        add_hops(out, q->traverse.reverse, q->traverse.depth);
    }
    if (q->trace.given) {
        buf_add_str(out, " TRACE caused_by");
        add_hops(out, q->trace.reverse, q->trace.depth);
    }
}

static void add_shape(struct buf *out, const struct nql_query *q)
{
    if (q->grouped) buf_add_str(out, " GROUP BY ");
    add_paths(out, q, q->group, q->n_group);
    for (uint32_t i = 0; i < q->n_aggregates; i++) {
        buf_add_byte(out, ' ');
        buf_add_slice(out, q->aggregate[i].name);
    }
    for (uint32_t i = 0; i < q->n_order; i++) {
        const struct nql_order *o = &q->order[i];
        buf_add_str(out, i ? ", " : " ORDER BY ");
        buf_add_slice(out, o->of_aggregate ? q->aggregate[o->aggregate].name : q->path[o->path].text);
        if (o->descending) buf_add_str(out, " DESC");
    }
    if (q->n_fields) buf_add_str(out, " FIELDS ");
    add_paths(out, q, q->fields, q->n_fields);
    if (q->has_limit) buf_printf(out, " LIMIT %llu", (unsigned long long)q->limit);
    if (q->offset) buf_printf(out, " OFFSET %llu", (unsigned long long)q->offset);
}

void nql_print(const struct nql_query *q, bool without_point, struct buf *out)
{
    ASSERT(q && out);
    buf_add_str(out, "FROM ");
    add_name(out, q->coll, true);
    if (q->as_of.p && !without_point) {
        buf_add_str(out, " AS OF ");
        add_text(out, q->as_of);
    }
    if (q->valid_as_of.p) {
        buf_add_str(out, " VALID AS OF ");
        add_text(out, q->valid_as_of);
    }
    add_where(out, q);
    add_shape(out, q);
}

uint64_t nql_digest(const struct nql_query *q, bool without_point)
{
    struct buf text = {0};
    uint64_t h = FNV_START;
    nql_print(q, without_point, &text);
    for (size_t i = 0; i < text.n; i++) h = (h ^ text.p[i]) * FNV_PRIME;
    buf_fini(&text);
    return h;
}
