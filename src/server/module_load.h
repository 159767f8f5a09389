/* Command families from shared objects. */
#ifndef VARVE_SERVER_MODULE_LOAD_H
#define VARVE_SERVER_MODULE_LOAD_H

#include "module.h"

struct server;

/* Loads one and adds its commands. Negative after logging why: E_NOTFOUND (cannot be opened), E_INVALID (not a family of this ABI), E_EXISTS (name or a command
 * is there already). */
int module_load(struct server *s, const char *path) MUST_CHECK;
/* Takes its commands away. The code stays mapped, as a client may be inside it. E_NOTFOUND. */
int module_unload(struct server *s, slice name) MUST_CHECK;

extern const struct family module_family;

#endif
