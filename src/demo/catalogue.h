/* This machine's own package catalogue: the apt lists if there are any, else the dpkg status file.
 *
 * Two sets are read: `base`, the packages of the oldest list, and `changed`, packages that newer lists (updates, security) carry in another
 * version, or that are installed here. Strings live as long as the catalogue. */
#ifndef VARVE_DEMO_CATALOGUE_H
#define VARVE_DEMO_CATALOGUE_H

#include "base/buf.h"
#include <stdbool.h>

#define CATALOGUE_RELATIONS_MAX 64 /* dependencies taken of one package */

struct package {
    const char *name, *version, *section, *maintainer, *description;
    const char *installed; /* version installed on this machine, NULL = not */
    uint64_t size_kb;
    const char *depends, *recommends; /* as written in the list, NULL = none */
};
struct catalogue {
    struct package *base;
    size_t n_base;
    struct package *changed;
    size_t n_changed;
    char source[256]; /* for people */
};

int catalogue_read(struct catalogue *out) MUST_CHECK; /* E_NOTFOUND when this machine has neither */
void catalogue_fini(struct catalogue *c);
const struct package *catalogue_find(const struct catalogue *c, const char *name, size_t n); /* in base; NULL */
/* Calls fn for each relation's first alternative: "libc6 (>= 2.36) | x, y:any" gives libc6, y. */
void catalogue_relations(const char *text, void (*fn)(void *ctx, const char *name, size_t n), void *ctx);

#endif
