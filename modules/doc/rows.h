/* Rows of (key, bytes) gathered before the reply begins, because their number, or an error, is known only at the end. */
#ifndef VARVE_MODULES_DOC_ROWS_H
#define VARVE_MODULES_DOC_ROWS_H

#include "modules/doc/doc.h"

struct rows {
    struct buf mem;
    size_t n;
};

void rows_add(struct rows *r, slice key, slice value);
/* An array of keys, or of [key, value] pairs. */
void rows_reply(struct call *c, const struct rows *r, bool with_values);
/* An array of maps of so many pairs each: rows were added pair by pair. */
void rows_reply_maps(struct call *c, const struct rows *r, size_t pairs);
void rows_fini(struct rows *r);

#endif
