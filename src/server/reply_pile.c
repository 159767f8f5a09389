/* Replies that are made over several turns (module.h): whole elements pile up beside the client's output until their number, or an error, is known.
 *
 * They lie in pieces, so that growing never moves what is there, and in the end the pieces become part of the client's output as they are: no turn's work grows with the
 * reply, and the memory is that of the reply. Only what is one small piece is copied, and what becomes part of a transaction's reply. */
#include "server/output.h"

#define PIECE_BYTES ((size_t)256 << 10)
#define PIECE_SPARE ((size_t)16 << 10) /* a piece is full when less is left: the next elements would mostly not fit */

struct reply_pile {
    struct output_queue full;
    struct buf open; /* what is written now; the client's output while the pile is swapped in */
    bool on;
};

struct reply_pile *reply_pile_new(void)
{
    return mem_zalloc(sizeof(struct reply_pile));
}

void reply_pile_clear(struct reply_pile *p)
{
    ASSERT(p && !p->on);
    output_queue_clear(&p->full);
    buf_clear(&p->open);
}

void reply_pile_free(struct reply_pile **out)
{
    struct reply_pile *p = *out;
    if (!p) return;
    reply_pile_clear(p);
    buf_fini(&p->open);
    mem_free(p);
    *out = NULL;
}

static void swap(struct call *c, struct reply_pile *p)
{
    struct buf out = c->client->out;
    c->client->out = p->open;
    p->open = out;
    p->on = !p->on;
}

void reply_pile_begin(struct call *c, struct reply_pile *p)
{
    ASSERT(!p->on);
    swap(c, p);
}

void reply_pile_end(struct call *c, struct reply_pile *p)
{
    ASSERT(p->on);
    swap(c, p);
    reply_pile_grown(p);
}

struct buf *reply_pile_open(struct reply_pile *p)
{
    ASSERT(!p->on);
    return &p->open;
}

void reply_pile_grown(struct reply_pile *p)
{
    ASSERT(!p->on);
    if (p->open.n < PIECE_BYTES - PIECE_SPARE) return;
    output_queue_add(&p->full, &p->open, 0);
    buf_grow(&p->open, PIECE_BYTES); /* there will be more: it need not grow by and by */
}

void reply_pile_give(struct call *c, struct reply_pile *p)
{
    struct client *client = c->client;
    ASSERT(!p->on);
    if (p->full.first && client->later) {
        if (p->open.n) output_queue_add(&p->full, &p->open, 0);
        output_add(client, &p->full);
        return;
    }
    for (struct output_piece *piece = p->full.first; piece; piece = piece->next) reply_encoded(c, buf_slice(&piece->bytes));
    reply_encoded(c, buf_slice(&p->open));
    reply_pile_clear(p);
}
