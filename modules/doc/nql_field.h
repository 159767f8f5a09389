/* Inside of NQL: one field of one row, and what can be asked of it. Borrowed from the row. */
#ifndef VARVE_MODULES_DOC_NQL_FIELD_H
#define VARVE_MODULES_DOC_NQL_FIELD_H

#include "modules/doc/nql.h"

enum nql_form {
    NQL_MISSING,
    NQL_JSON,   /* s: checked JSON without white space around it */
    NQL_BYTES,  /* s: a string's bytes, which may be no UTF-8 */
    NQL_HASHED, /* s: HASH_BYTES bytes; the value is their hex digits */
    NQL_NUMBER, /* number */
};
struct nql_field {
    enum nql_form form;
    slice s;
    uint64_t number;
};

struct nql_field nql_field_of(const struct nql_query *q, const struct nql_row *row, uint32_t path);
struct nql_field nql_field_json(slice json); /* of a value that is at hand */
enum json_type nql_field_type(const struct nql_field *f); /* not of a missing one */
/* A string's unescaped bytes: in place where that is possible, else in mem (which is overwritten). The type must be string. */
slice nql_field_text(const struct nql_field *f, struct buf *mem);
/* Against a value; the field must not be missing. */
int nql_field_compare(const struct nql_field *f, const struct nql_value *v);
bool nql_field_equal(const struct nql_field *f, const struct nql_value *v);

/* The same field of two rows; missing counts as null. */
int nql_field_order(const struct nql_field *a, const struct nql_field *b);
/* Appends bytes that order as nql_field_order does among fields of one path, none a prefix of another. pseudo: the path is not of the
 * document; descending: the other way round. */
void nql_field_key(const struct nql_field *f, bool pseudo, bool descending, struct buf *out);
/* Appends it as JSON; missing as null. */
void nql_field_print(const struct nql_field *f, struct buf *out);

#endif
