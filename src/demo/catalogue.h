/* This machine's own package catalogue: the apt lists if there are any, else the dpkg status file.
 *
 * Two sets are read: `base`, the packages of the release's lists, and `changed`, those of which other lists (updates, security, backports) have a newer
 * version, and those that are installed here. Strings live as long as the catalogue. */
#ifndef VARVE_DEMO_CATALOGUE_H
#define VARVE_DEMO_CATALOGUE_H

#include "base/buf.h"
#include <stdbool.h>

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
/* Calls fn once for each package that is the first alternative of a relation: "libc6 (>= 2.36) | x, y:any, libc6 (<< 3)" gives libc6, y. */
void catalogue_relations(const char *text, void (*fn)(void *ctx, const char *name, size_t n), void *ctx);

#endif
