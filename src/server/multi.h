/* MULTI, EXEC, DISCARD, WATCH, UNWATCH: the queue of a transaction and the keys it depends on. */
#ifndef VARVE_SERVER_MULTI_H
#define VARVE_SERVER_MULTI_H

#include "server/client.h"
#include "server/command_table.h"

/* Copies the arguments. */
void multi_queue(struct client *c, const struct command_entry *e, const slice *argv, int argc);
uint32_t multi_flags(const struct client *c);  /* what the queued commands need, together */
int multi_queued(const struct client *c);      /* -1 when there is no transaction */
size_t multi_bytes(const struct client *c);
void multi_discard(struct client *c);          /* ends MULTI, forgets the queue and the watched keys */
void multi_unwatch(struct client *c);

extern const struct family transaction_family;

#endif
