/* Listening sockets, and taking in connections. All on loop 0; accepted sockets are handed to the loops in turn. */
#ifndef VARVE_SERVER_LISTEN_H
#define VARVE_SERVER_LISTEN_H

#include "base/err.h"

struct server;
struct listeners;

/* Opens sockets for the configured port, addresses and unix socket. E_IO after logging why; E_OK with nothing open when there is nothing to listen on. */
int listen_open(struct server *s, struct listeners **out) MUST_CHECK;
void listen_start(struct listeners *l);   /* on loop 0 */
void listen_close(struct listeners **l);  /* on loop 0; removes the unix socket's file */
/* Replaces the sockets by those of the present configuration; on failure the old ones stay. Any thread, inside config_set. */
int listen_again(struct server *s) MUST_CHECK;

#endif
