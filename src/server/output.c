/* A queue of pieces before a buffer. While there is no long reply the queue is empty, and sending is one system call. */
#include "server/output.h"
#include "server/loop.h"
#include <errno.h>
#include <sys/socket.h>

#define TURN_BYTES ((size_t)4 << 20) /* sent to one client before others have their turn, unless they lie in one buffer */

void output_queue_add(struct output_queue *q, struct buf *bytes, size_t sent)
{
    ASSERT(bytes->n > 0 && sent < bytes->n);
    struct output_piece *p = mem_zalloc(sizeof *p);
    p->bytes = *bytes;
    p->sent = sent;
    *bytes = (struct buf){0};
    if (q->last)
        q->last->next = p;
    else
        q->first = p;
    q->last = p;
    q->bytes += p->bytes.n;
    q->n++;
}

static void drop_first(struct output_queue *q)
{
    struct output_piece *p = q->first;
    q->first = p->next;
    if (!q->first) q->last = NULL;
    q->bytes -= p->bytes.n;
    q->n--;
    buf_fini(&p->bytes);
    mem_free(p);
}

void output_queue_clear(struct output_queue *q)
{
    while (q->first) drop_first(q);
}

/* The newest piece leaves the queue. Walks it: only replies that are taken back come here. */
static struct output_piece *take_last(struct output_queue *q)
{
    struct output_piece *last = q->last, *before = NULL;
    for (struct output_piece *p = q->first; p != last; p = p->next) before = p;
    q->last = before;
    if (before)
        before->next = NULL;
    else
        q->first = NULL;
    q->bytes -= last->bytes.n;
    q->n--;
    return last;
}

void output_add(struct client *c, struct output_queue *q)
{
    struct output_queue *mine = &c->pieces;
    if (!q->first) return;
    if (c->out.n > 0) { /* what was written before goes before; all of it can be sent already */
        size_t n = c->out.n;
        if (c->out_sent < n)
            output_queue_add(mine, &c->out, c->out_sent);
        else
            buf_clear(&c->out);
        c->out_base += n;
        c->out_sent = 0;
    }
    if (mine->last)
        mine->last->next = q->first;
    else
        mine->first = q->first;
    mine->last = q->last;
    mine->bytes += q->bytes;
    mine->n += q->n;
    c->out_base += q->bytes;
    *q = (struct output_queue){0};
}

void output_cut(struct client *c, uint64_t end)
{
    ASSERT(end >= output_sent(c) && end <= output_end(c));
    while (end < c->out_base) {
        struct output_piece *p = take_last(&c->pieces);
        buf_fini(&c->out);
        c->out = p->bytes;
        c->out_sent = p->sent;
        c->out_base -= c->out.n;
        mem_free(p);
    }
    c->out.n = (size_t)(end - c->out_base);
}

/* How many bytes it took; -1: the connection is broken. */
static ssize_t give_socket(struct client *c, const uint8_t *p, size_t n)
{
    ssize_t taken = send(c->fd, p, n, MSG_NOSIGNAL);
    if (taken < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    c->bytes_out += (uint64_t)taken;
    c->loop->net_out += (uint64_t)taken;
    if (taken > 0) c->loop->writes++;
    return taken;
}

/* Sends pieces. 1: all of them; 0: not all; -1: the connection is broken. */
static int send_pieces(struct client *c, uint64_t until)
{
    size_t room = TURN_BYTES;
    struct output_piece *p;
    while ((p = c->pieces.first)) {
        uint64_t at = output_sent(c);
        if (until <= at || room == 0) return 0;
        size_t n = p->bytes.n - p->sent;
        if (n > until - at) n = (size_t)(until - at);
        if (n > room) n = room;
        ssize_t taken = give_socket(c, p->bytes.p + p->sent, n);
        if (taken < 0) return -1;
        p->sent += (size_t)taken;
        room -= (size_t)taken;
        if (p->sent == p->bytes.n) drop_first(&c->pieces);
        if ((size_t)taken < n) return 0;
    }
    return 1;
}

bool output_send(struct client *c, uint64_t until)
{
    ASSERT(until <= output_end(c));
    int r = c->pieces.first ? send_pieces(c, until) : 1;
    if (r <= 0) return r == 0;
    uint64_t at = c->out_base + c->out_sent;
    if (until <= at) return true;
    ssize_t taken = give_socket(c, c->out.p + c->out_sent, (size_t)(until - at));
    if (taken > 0) c->out_sent += (size_t)taken;
    return taken >= 0;
}

void output_clear(struct client *c)
{
    ASSERT(output_waiting(c) == 0);
    c->out_base += c->out.n;
    c->out_sent = 0;
    buf_clear(&c->out);
}

void output_fini(struct client *c)
{
    output_queue_clear(&c->pieces);
    buf_fini(&c->out);
}
