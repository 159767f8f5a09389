/* Inside of NQL's parser: what its files share. nql_value.c takes values and parameters, nql_path.c paths, nql_where.c expressions,
 * nql_parse.c clauses and the whole. What returns bool or a pointer has noted its fault (nql_lex_fail) when it gives false or NULL. */
#ifndef VARVE_MODULES_DOC_NQL_PARSER_H
#define VARVE_MODULES_DOC_NQL_PARSER_H

#include "modules/doc/nql_lex.h"

struct nql_order_item { /* of ORDER BY, before it is known whether there is GROUP BY */
    const uint8_t *at;
    bool descending, of_aggregate;
    struct nql_aggregate aggregate; /* path too, when it is none */
};
struct nql_bound_param {
    slice name;
    struct nql_value value;
    bool used;
};
struct nql_parser {
    struct nql_lex l;
    struct nql_query *q;
    struct nql_bound_param param[NQL_PARAMS_MAX];
    size_t n_params;
    unsigned nesting, terms, values; /* against their limits */
    struct nql_order_item order[NQL_ORDER_MAX];
};

bool nql_value_bind(struct nql_parser *p, const struct nql_param *params, size_t n); /* parameters, before anything is parsed */
bool nql_value_all_used(struct nql_parser *p);                                      /* and afterwards */
bool nql_value_at_param(struct nql_parser *p);                                      /* a parameter is next */
bool nql_value_take_param(struct nql_parser *p, struct nql_value *out);             /* it, when one is next */
struct nql_value nql_value_of_json(struct nql_arena *a, slice json);                /* json: checked, trimmed, in the arena */
bool nql_value_parse(struct nql_parser *p, struct nql_value *out);
/* A string in quotes, or a parameter that is a string; who: the word that takes it. */
bool nql_value_parse_text(struct nql_parser *p, const char *who, struct nql_value *out);
bool nql_value_parse_count(struct nql_parser *p, const char *who, int64_t lo, int64_t hi, uint64_t *out);
bool nql_path_parse(struct nql_parser *p, uint32_t *number);
struct nql_expr *nql_where_parse(struct nql_parser *p);
void nql_where_settle(struct nql_query *q); /* makes the picker of a whole query */

#endif
