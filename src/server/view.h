/* Connections and commands that read as of a point (DVIEW, DRUN). The state is three fields of the client; module.h has the calls that set it. */
#ifndef VARVE_SERVER_VIEW_H
#define VARVE_SERVER_VIEW_H

#include "server/client.h"

/* Gives a command of a connection with a view (CLIENT_VIEW) its context. */
void view_apply(const struct client *c, struct ks_ctx *ks);
/* Text that refuses a write. */
#define VIEW_READONLY "READONLY this connection reads the past; DVIEW OFF brings it back to the present"

#endif
