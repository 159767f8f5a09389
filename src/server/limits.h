/* The parameters that families ask for (module.h) without a server at hand. Kept by the server when the configuration changes. */
#ifndef VARVE_SERVER_LIMITS_H
#define VARVE_SERVER_LIMITS_H

#include "server/config.h"

struct keyspace;
void limits_take(struct config *c, struct keyspace *ks); /* from the values in force; ks may be NULL */

#endif
