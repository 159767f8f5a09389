/* Queries for tests of the language's parts: parsed or refused, with the fault as text. */
#ifndef TESTS_UNIT_MODULES_NQL_BED_H
#define TESTS_UNIT_MODULES_NQL_BED_H

#include "modules/doc/nql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static inline struct nql_query *nql_where_of(slice expr, const struct nql_param *params, size_t n)
{
    struct nql_query *q = NULL;
    struct nql_fault f;
    if (nql_parse_where(slice_str("c"), expr, params, n, &q, &f) != E_OK)
        fail_msg("refused: %.*s\n at %zu: %s", (int)(expr.n > 500 ? 500 : expr.n), (const char *)expr.p, f.at, f.why);
    return q;
}

static inline struct nql_query *nql_query_of(const char *text)
{
    struct nql_query *q = NULL;
    struct nql_fault f;
    if (nql_parse(slice_str(text), NULL, 0, &q, &f) != E_OK) fail_msg("refused: %s\n at %zu: %s", text, f.at, f.why);
    return q;
}

/* "ok", or "<place> <why>" of an expression. Static. */
static inline const char *nql_verdict(slice expr, const struct nql_param *params, size_t n)
{
    static char text[NQL_WHY_MAX + 32];
    struct nql_query *q = NULL;
    struct nql_fault f;
    int r = nql_parse_where(slice_str("c"), expr, params, n, &q, &f);
    if (r == E_OK)
        snprintf(text, sizeof text, "ok");
    else
        snprintf(text, sizeof text, "%zu %s", f.at, f.why);
    assert_true((q != NULL) == (r == E_OK));
    nql_free(&q);
    return text;
}

static inline const char *nql_query_verdict(const char *query, const struct nql_param *params, size_t n)
{
    static char text[NQL_WHY_MAX + 32];
    struct nql_query *q = NULL;
    struct nql_fault f;
    int r = nql_parse(slice_str(query), params, n, &q, &f);
    if (r == E_OK)
        snprintf(text, sizeof text, "ok");
    else
        snprintf(text, sizeof text, "%zu %s", f.at, f.why);
    nql_free(&q);
    return text;
}

#endif
