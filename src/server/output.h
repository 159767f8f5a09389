/* What a client is sent: the pieces of long replies, and behind them the one buffer that everything else is written to (client->out). Pieces keep a long reply from
 * being moved, and are freed one by one as they are sent.
 *
 * Places in the output are counted from the connection's beginning, so that a place stays the same whatever is sent, and wherever its bytes lie. */
#ifndef VARVE_SERVER_OUTPUT_H
#define VARVE_SERVER_OUTPUT_H

#include "server/client.h"

static inline uint64_t output_end(const struct client *c) { return c->out_base + c->out.n; }
/* How far it has been sent. */
static inline uint64_t output_sent(const struct client *c)
{
    return c->pieces.first ? c->out_base - c->pieces.bytes + c->pieces.first->sent : c->out_base + c->out_sent;
}
/* Bytes still to be sent. */
static inline size_t output_waiting(const struct client *c) { return (size_t)(output_end(c) - output_sent(c)); }
/* A queue of pieces. Add takes the bytes, of which `sent` < n were sent, and leaves {0}. */
void output_queue_add(struct output_queue *q, struct buf *bytes, size_t sent);
void output_queue_clear(struct output_queue *q);
/* Moves the pieces of a queue behind what is there. */
void output_add(struct client *c, struct output_queue *q);
/* Takes back what is behind `end`, of which nothing has been sent. */
void output_cut(struct client *c, uint64_t end);
/* Sends what the socket takes of the output below `until`, some megabytes at most. False: the connection is broken. */
bool output_send(struct client *c, uint64_t until);
/* Begins anew after everything was sent: the buffer is empty, its memory kept. */
void output_clear(struct client *c);
void output_fini(struct client *c);

#endif
