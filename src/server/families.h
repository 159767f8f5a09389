/* The command families that are built in. */
#ifndef VARVE_SERVER_FAMILIES_H
#define VARVE_SERVER_FAMILIES_H

#include "module.h"

/* Those that are linked in, in the order in which COMMAND lists them; returns how many. */
size_t families_built_in(const struct family **out, size_t max);

#endif
