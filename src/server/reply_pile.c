/* Replies that are made over several turns (module.h): whole elements pile up beside the client's output until their number, or an error, is known.
 *
 * They lie in pieces, so that growing never moves what is there; in the end the pieces are brought into one buffer, some of them a turn, each freed when it has been
 * copied, and that buffer becomes the client's output. So no turn's work grows with the reply, and the memory is that of the reply and one piece.
 *
 * The one buffer begins with room for what goes before the elements: a header, and what else the output holds. */
#include "server/client.h"

#define PIECE_BYTES ((size_t)256 << 10)
#define JOIN_BYTES  ((size_t)1 << 20) /* a turn; fresh memory costs more than the copying */
#define HEAD_ROOM   128

struct piece {
    struct piece *next;
    struct buf bytes;
};
struct reply_pile {
    struct piece *first, *newest; /* full ones, oldest first */
    size_t bytes;                 /* in them */
    size_t joined;                /* bytes of the first that are in `whole` */
    struct buf open;              /* what is written now; the client's output while the pile is swapped in */
    struct buf whole;
    bool on;
};

struct reply_pile *reply_pile_new(void)
{
    return mem_zalloc(sizeof(struct reply_pile));
}

static void drop_first(struct reply_pile *p)
{
    struct piece *gone = p->first;
    p->first = gone->next;
    p->joined = 0;
    buf_fini(&gone->bytes);
    mem_free(gone);
}

void reply_pile_free(struct reply_pile **out)
{
    struct reply_pile *p = *out;
    if (!p) return;
    ASSERT(!p->on);
    while (p->first) drop_first(p);
    buf_fini(&p->open);
    buf_fini(&p->whole);
    mem_free(p);
    *out = NULL;
}

static void swap_out(struct call *c, struct reply_pile *p)
{
    struct buf out = c->client->out;
    c->client->out = p->open;
    p->open = out;
    p->on = !p->on;
}

void reply_pile_begin(struct call *c, struct reply_pile *p)
{
    ASSERT(!p->on && p->whole.n == 0);
    swap_out(c, p);
}

static void close_piece(struct reply_pile *p)
{
    struct piece *full = mem_zalloc(sizeof *full);
    full->bytes = p->open;
    p->bytes += p->open.n;
    p->open = (struct buf){0};
    if (p->first)
        p->newest->next = full;
    else
        p->first = full;
    p->newest = full;
}

void reply_pile_end(struct call *c, struct reply_pile *p)
{
    ASSERT(p->on);
    swap_out(c, p);
    if (p->open.n >= PIECE_BYTES) close_piece(p);
}

bool reply_pile_join(struct call *c, struct reply_pile *p)
{
    ASSERT(!p->on);
    if (!p->first) return true; /* all of it is one small piece, or joined already */
    if (p->whole.n == 0) {
        close_piece(p);
        buf_grow(&p->whole, HEAD_ROOM + p->bytes);
        memset(p->whole.p, 0, HEAD_ROOM);
        p->whole.n = HEAD_ROOM;
    }
    for (size_t room = JOIN_BYTES; p->first && (room > 0 || c->in_multi);) {
        slice rest = buf_slice(&p->first->bytes);
        rest = slice_of(rest.p + p->joined, rest.n - p->joined);
        size_t n = rest.n < room || c->in_multi ? rest.n : room;
        buf_add(&p->whole, rest.p, n);
        p->joined += n;
        room -= c->in_multi ? 0 : n;
        if (n == rest.n) drop_first(p);
    }
    return p->first == NULL;
}

/* What the output holds goes before the elements, and their buffer becomes the output. Whoever keeps places in it moves them by as much as out_sent moves. */
static void become_output(struct client *client, struct reply_pile *p)
{
    size_t shift = HEAD_ROOM - client->out.n;
    if (client->out.n) memcpy(p->whole.p + shift, client->out.p, client->out.n);
    buf_fini(&client->out);
    client->out = p->whole;
    client->out_sent += shift;
    if (client->unsafe_count) client->unsafe_from += shift;
    p->whole = (struct buf){0};
}

void reply_pile_give(struct call *c, struct reply_pile *p)
{
    struct client *client = c->client;
    ASSERT(!p->on && !p->first);
    if (p->whole.n == 0) {
        reply_encoded(c, buf_slice(&p->open));
    } else if (client->later && client->out.n <= HEAD_ROOM) {
        become_output(client, p);
    } else {
        reply_encoded(c, slice_of(p->whole.p + HEAD_ROOM, p->whole.n - HEAD_ROOM));
    }
}
