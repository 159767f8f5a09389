/* Node maps gathered over several turns of the loop, replied in one. Each row holds what its map needs and no more: without data the
 * payload is left out. */
#ifndef VARVE_MODULES_DOC_VIEWS_H
#define VARVE_MODULES_DOC_VIEWS_H

#include "modules/doc/doc.h"

#define VIEWS_NO_DEPTH UINT32_MAX

struct views {
    struct buf mem;
    size_t n;
    bool with_data;
    struct doc_view view; /* one row's buffer, used again for the next */
};

/* Adds the row of a node. depth: shown before the node's fields unless VIEWS_NO_DEPTH. A node that cannot be read becomes a row that
 * says so: it is never left out. */
void views_add(struct call *c, struct views *v, uint64_t seq, uint32_t depth);
/* The maps, one after the other; the caller has begun the array. */
void views_reply(struct call *c, const struct views *v);
void views_fini(struct views *v);

#endif
