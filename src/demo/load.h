/* Pipelined loading over one connection, with a progress bar. */
#ifndef VARVE_DEMO_LOAD_H
#define VARVE_DEMO_LOAD_H

#include "demo/catalogue.h"
#include <hiredis/hiredis.h>

#define LOAD_WINDOW 256  /* commands in flight */
#define LOAD_BATCH  2000 /* packages that share one cause */

struct load_result {
    uint64_t documents, links, errors;
    double seconds_documents, seconds_links;
    char first_error[256];
};

/* Writes packages as documents, each batch's record first: it is the cause of its packages. */
void load_documents(redisContext *r, const struct package *p, size_t n, int pass, struct load_result *out);
void load_links(redisContext *r, const struct catalogue *c, struct load_result *out);

#endif
