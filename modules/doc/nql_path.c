/* Paths of a query: each gets a number, equal ones the same. */
#include "modules/doc/nql_parser.h"

#include <stddef.h>

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

bool nql_path_parse(struct nql_parser *p, uint32_t *number)
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
