/* From a parsed request to a reply: look-up, checks, locks, running, counting, and the gate that keeps a reply until the log is safe. */
#ifndef VARVE_SERVER_DISPATCH_H
#define VARVE_SERVER_DISPATCH_H

#include "server/client.h"
#include "server/command_table.h"
#include "server/loop.h"

enum dispatch_result { DISPATCH_DONE, DISPATCH_HELD }; /* HELD: not run, CLIENT PAUSE is in force; run it again later */

/* `e` is what command_find said for argv[0] (NULL: unknown). The name (and a sub-command's) in argv becomes the table's, in small letters, as
 * families put it into error texts. */
enum dispatch_result dispatch(struct client *c, const struct command_entry *e, slice *argv, int argc);
/* Finds the entry that runs: a sub-command when e is a container. NULL after writing the standard error to *error (no code of its own: "ERR …"). */
const struct command_entry *dispatch_resolve(const struct command_entry *e, const slice *argv, int argc, struct buf *error);
/* Runs the command's function inside EXEC: locks and batch are the caller's. */
void dispatch_inner(struct client *c, struct call *call, const struct command_entry *e);
/* Books what a command wrote: the gate of this turn. */
void dispatch_wrote(struct client *c, const struct ks_ctx *ks);
/* Books a reply that begins at `before` (output_end, before it was written): it is gated when it has to be, dropped when the client wants none. e: NULL for a command that there is not. */
void dispatch_replied(struct client *c, const struct command_entry *e, uint64_t before);
/* Every reply of the client that the failed log held back becomes an error. */
void dispatch_fail_replies(struct client *c);
/* Computes the hashes that replies of the batch being run still lack (ks_hash_finish): before a command that may look at them, and before the batch's replies may leave. */
void dispatch_compute_hashes(struct loop *l);
static inline void dispatch_finish_hashes(struct loop *l)
{
    if (__builtin_expect(l->late_hashes, 0)) dispatch_compute_hashes(l);
}
/* Prepares a call of this client: time, database, user. */
void dispatch_prepare(struct client *c, struct call *call, const slice *argv, int argc);

#endif
