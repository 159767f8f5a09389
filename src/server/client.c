/* Reading and writing of one connection.
 *
 * Reading: one read() a turn, into the loop's buffer when nothing is left over from before (the usual case: requests are parsed and run where
 * they arrived), else behind what is left over in the client's own buffer. A bulk string of RESP_BIG_BULK bytes or more gets a buffer of its size.
 * Up to BATCH requests of a pipeline are parsed before the first runs, so that the memory of their keys can be fetched together.
 * When a request blocks or is held, those behind it are parsed again later: nothing in the input has been changed by parsing.
 *
 * Writing: one send() a turn; what the socket does not take waits for the writer watcher. */
#include "server/client.h"
#include "base/logline.h"
#include "server/dispatch.h"
#include "server/later.h"
#include "server/loop.h"
#include "server/multi.h"
#include "server/output.h"
#include "server/reply.h"
#include "server/server.h"
#include "server/timers.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 24
#define OUTPUT_SMALL_BYTES (16 * 1024) /* shown as obl up to here, as omem above */

struct request {
    const struct command_entry *e;
    size_t first;
    int argc;
    size_t begin, end; /* offsets in the input */
};

/* ---- life ---- */

static void on_readable(struct ev_loop *ev, struct ev_io *w, int events);
static void on_writable(struct ev_loop *ev, struct ev_io *w, int events);

struct client *client_new(struct loop *l, int fd, const char *peer, const char *local, bool is_unix)
{
    struct client *c = mem_zalloc(sizeof *c);
    struct server *s = l->server;
    c->loop = l;
    c->server = s;
    c->fd = fd;
    c->resp = 2;
    c->id = atomic_fetch_add(&s->next_client_id, 1) + 1;
    c->peer = mem_strdup(peer);
    c->local = mem_strdup(local);
    loop_tick(l);
    c->created_ms = c->active_ms = l->mono_ms;
    if (is_unix) c->flags |= CLIENT_UNIX | CLIENT_LOCAL;
    if (strncmp(peer, "127.", 4) == 0 || strncmp(peer, "[::1]", 5) == 0 || strncmp(peer, "::1:", 4) == 0) c->flags |= CLIENT_LOCAL;
    if (atomic_load(&s->no_auth)) c->flags |= CLIENT_AUTHENTICATED;
    ev_io_init(&c->reader, on_readable, fd, EV_READ);
    ev_io_init(&c->writer, on_writable, fd, EV_WRITE);
    c->reader.data = c->writer.data = c;
    ev_io_start(l->ev, &c->reader);
    c->next = l->clients;
    if (l->clients) l->clients->prev = c;
    l->clients = c;
    l->n_clients++;
    l->connections++;
    return c;
}

void client_close(struct client *c)
{
    struct loop *l = c->loop;
    if (c->flags & CLIENT_CLOSING) return;
    c->flags |= CLIENT_CLOSING;
    ev_io_stop(l->ev, &c->reader);
    ev_io_stop(l->ev, &c->writer);
    later_cancel(c);
    c->dead_next = l->dead;
    l->dead = c;
}

void client_free(struct client *c)
{
    struct loop *l = c->loop;
    ASSERT(c->flags & CLIENT_CLOSING);
    ASSERT(!(c->flags & (CLIENT_PENDING | CLIENT_RESUME)));
    if (c->prev)
        c->prev->next = c->next;
    else
        l->clients = c->next;
    if (c->next) c->next->prev = c->prev;
    l->n_clients--;
    if (c->flags & CLIENT_PAUSED) l->n_paused--;
    atomic_fetch_sub(&c->server->n_clients, 1);
    close(c->fd);
    multi_discard(c);
    resp_fini(&c->parser);
    buf_fini(&c->in);
    output_fini(c);
    mem_free(c->name);
    mem_free(c->lib_name);
    mem_free(c->lib_version);
    mem_free(c->peer);
    mem_free(c->local);
    mem_free(c);
}

void client_set_name(char **slot, slice name)
{
    mem_free(*slot);
    *slot = name.n ? mem_dup(name.p, name.n) : NULL;
}

/* ---- output ---- */

void client_output(struct client *c)
{
    if (c->flags & (CLIENT_PENDING | CLIENT_CLOSING) || (output_waiting(c) == 0 && !(c->flags & CLIENT_CLOSE_AFTER_REPLY))) return;
    c->flags |= CLIENT_PENDING;
    c->pending_next = c->loop->pending;
    c->loop->pending = c;
}

static void recycle_output(struct client *c)
{
    struct loop *l = c->loop;
    output_clear(c);
    c->soft_over_ms = 0;
    if (c->out.cap <= LOOP_SPARE_BYTES && l->n_spare < LOOP_SPARE_BUFFERS) {
        l->spare[l->n_spare++] = c->out;
        memset(&c->out, 0, sizeof c->out);
    } else {
        buf_fini(&c->out);
    }
}

static void stop_if_over(struct client *c)
{
    struct output_limit limit = server_output_limit(c->server, client_class_of(c));
    size_t waiting = output_waiting(c);
    if (waiting > c->loop->largest_output) c->loop->largest_output = waiting;
    bool over = limit.hard && waiting >= limit.hard;
    if (limit.soft && waiting >= limit.soft) {
        if (c->soft_over_ms == 0) c->soft_over_ms = c->loop->mono_ms + 1;
        if (c->loop->mono_ms + 1 - c->soft_over_ms > limit.soft_seconds * 1000) over = true;
    } else {
        c->soft_over_ms = 0;
    }
    if (!over || c->flags & CLIENT_CLOSING) return;
    struct buf text = {0};
    client_describe(c, &text);
    log_line(LOG_WARNING, "Client %.*s closed: it reads too slowly, its output is over client-output-buffer-limit", (int)text.n, (const char *)text.p);
    buf_fini(&text);
    client_close(c);
}

void client_flush(struct client *c)
{
    struct loop *l = c->loop;
    uint64_t until = c->unsafe_count ? c->unsafe_from : output_end(c);
    if (c->flags & CLIENT_CLOSING) return;
    if (!output_send(c, until)) {
        client_close(c);
        return;
    }
    if (output_waiting(c) == 0) {
        if (ev_is_active(&c->writer)) ev_io_stop(l->ev, &c->writer);
        recycle_output(c);
        if (c->flags & CLIENT_CLOSE_AFTER_REPLY) client_close(c);
    } else {
        if (output_sent(c) < until && !ev_is_active(&c->writer)) ev_io_start(l->ev, &c->writer);
        stop_if_over(c);
    }
    if (c->flags & CLIENT_READ_STOPPED && c->unsafe_count == 0 && !(c->flags & CLIENT_CLOSING)) {
        c->flags &= ~(uint32_t)CLIENT_READ_STOPPED;
        ev_io_start(l->ev, &c->reader);
    }
}

static void on_writable(struct ev_loop *ev, struct ev_io *w, int events)
{
    client_flush(w->data);
}

/* ---- input ---- */

/* Parses up to BATCH requests. Returns the last result; RESP_REQUEST when the batch is full. */
static enum resp_result collect(struct client *c, const uint8_t *base, const uint8_t **at, const uint8_t *end, struct request *batch, int *n)
{
    struct server *s = c->server;
    const struct command_table *table = atomic_load_explicit(&s->commands, memory_order_acquire);
    struct resp_limits limits = {(uint64_t)config_num(&s->config, CFG_PROTO_MAX_BULK_LEN), !(c->flags & CLIENT_AUTHENTICATED)};
    enum resp_result r = RESP_REQUEST;
    size_t begin = 0;
    /* Authentication may change the limits for what follows, so before it requests are taken one by one. */
    int max = limits.anonymous ? 1 : BATCH;
    *n = 0;
    while (*n < max) {
        if (c->parser.missing == 0) begin = (size_t)(*at - base);
        bool is_inline = c->parser.missing == 0 && *at < end && **at != '*';
        if (is_inline && *n > 0) break; /* its words would lie where those of an earlier one may lie */
        size_t argc = 0;
        r = resp_next(&c->parser, at, end, &limits, &argc);
        if (r == RESP_MORE || r == RESP_ERROR) break;
        if (r == RESP_NOTHING) {
            resp_take(&c->parser);
            continue;
        }
        struct request *q = &batch[(*n)++];
        q->first = c->parser.first;
        q->argc = (int)argc;
        q->begin = begin;
        q->end = (size_t)(*at - base);
        resp_take(&c->parser);
        q->e = command_find(table, c->parser.args[q->first]);
        if (is_inline) break;
    }
    return r;
}

static void prefetch(struct client *c, const struct request *batch, int n)
{
    slice keys[BATCH];
    size_t n_keys = 0;
    for (int i = 0; i < n; i++) {
        const struct request *q = &batch[i];
        if (q->e && q->e->first_key && q->e->first_key < q->argc) keys[n_keys++] = c->parser.args[q->first + q->e->first_key];
    }
    if (n_keys < 2 || !c->server->ks) return;
    struct ks_ctx ks = {.ks = c->server->ks, .db = c->db, .loop = (uint16_t)c->loop->id, .now_ms = c->loop->now_ms};
    ks_prefetch(&ks, keys, n_keys);
}

static bool run_requests(struct client *c, const struct request *batch, int n, size_t *go_on)
{
    for (int i = 0; i < n; i++) {
        const struct request *q = &batch[i];
        if (dispatch(c, q->e, c->parser.args + q->first, q->argc) == DISPATCH_HELD) {
            c->flags |= CLIENT_PAUSED;
            if (c->loop->n_paused++ == 0) timers_pause(c->loop);
            *go_on = q->begin;
            return false;
        }
        if (output_waiting(c) > LOOP_SPARE_BYTES) stop_if_over(c);
        if (client_blocked(c)) {
            *go_on = q->end;
            return false;
        }
    }
    return true;
}

/* Runs a batch. False when it stopped early: then *go_on is the offset in the input from which to go on later. */
static bool run_batch(struct client *c, const struct request *batch, int n, size_t *go_on)
{
    c->loop->ticked = 0;
    bool whole = run_requests(c, batch, n, go_on);
    dispatch_finish_hashes(c->loop);
    return whole;
}

static void protocol_error(struct client *c)
{
    uint64_t before = output_end(c);
    char text[128];
    snprintf(text, sizeof text, "ERR %s", c->parser.error);
    reply_error_to(&c->out, text);
    server_count_error(c->server, text, strlen(text));
    if (c->unsafe_count) {
        /* It waits behind replies that wait, and is one more that a failed log replaces. */
        ASSERT(c->unsafe_from <= before);
        c->unsafe_count++;
    }
    log_line(LOG_VERBOSE, "%s from client %s", c->parser.error, c->peer);
    c->flags |= CLIENT_CLOSE_AFTER_REPLY;
}

/* Parses and runs what stands in [base, base+n), from *at on. Sets *keep to the start of the unfinished request (n when there is none). */
static void consume(struct client *c, const uint8_t *base, size_t n, size_t *at, size_t *keep)
{
    const uint8_t *p = base + *at, *end = base + n;
    struct request batch[BATCH];
    bool unfinished = c->parser.missing > 0;
    if (!unfinished) *keep = *at;
    while (!client_blocked(c)) {
        int count;
        enum resp_result r = collect(c, base, &p, end, batch, &count);
        if (count > 1) prefetch(c, batch, count);
        size_t go_on;
        if (!run_batch(c, batch, count, &go_on)) {
            resp_reset(&c->parser);
            *at = *keep = go_on;
            return;
        }
        resp_forget(&c->parser);
        if (r == RESP_ERROR) {
            protocol_error(c);
            break;
        }
        /* An unfinished request keeps its bytes from its own start; when it began in this call, that is behind the last complete one. */
        if (count > 0 || c->parser.missing == 0) *keep = count > 0 ? batch[count - 1].end : (size_t)(p - base);
        if (r == RESP_MORE) break;
    }
    *at = (size_t)(p - base);
}

static void lend_buffers(struct client *c)
{
    struct loop *l = c->loop;
    if (!c->parser.args) {
        c->parser.args = l->spare_parser.args;
        c->parser.cap = l->spare_parser.cap;
        l->spare_parser.args = NULL;
        l->spare_parser.cap = 0;
    }
    if (!c->out.p && l->n_spare > 0) c->out = l->spare[--l->n_spare];
}

static void take_back(struct client *c)
{
    struct loop *l = c->loop;
    if (c->parser.n == 0) {
        if (!l->spare_parser.args && c->parser.cap <= 4096) {
            l->spare_parser.args = c->parser.args;
            l->spare_parser.cap = c->parser.cap;
        } else {
            mem_free(c->parser.args);
        }
        c->parser.args = NULL;
        c->parser.cap = 0;
        buf_fini(&c->parser.words);
    }
    if (c->out.n == 0 && c->out.p && l->n_spare < LOOP_SPARE_BUFFERS && c->out.cap <= LOOP_SPARE_BYTES) {
        l->spare[l->n_spare++] = c->out;
        memset(&c->out, 0, sizeof c->out);
    }
}

static void process_own(struct client *c)
{
    size_t keep = 0, at = c->in_at;
    c->input_bytes = c->in.n;
    consume(c, c->in.p, c->in.n, &at, &keep);
    size_t left = c->in.n - keep;
    if (left == 0) {
        buf_fini(&c->in);
        c->in_at = 0;
    } else {
        if (keep > 0) {
            memmove(c->in.p, c->in.p + keep, left);
            resp_moved(&c->parser, c->in.p + keep, c->in.p);
        }
        c->in.n = left;
        c->in_at = at - keep;
    }
}

static void process_lent(struct client *c, const uint8_t *base, size_t n)
{
    size_t keep = 0, at = 0;
    c->input_bytes = n;
    consume(c, base, n, &at, &keep);
    if (keep == n) return;
    ASSERT(c->in.n == 0);
    buf_add(&c->in, base + keep, n - keep);
    resp_moved(&c->parser, base + keep, c->in.p);
    c->in_at = at - keep;
}

/* Room behind the left-over input: a big bulk's exact rest, else one read's worth. Slices of the unfinished request follow the buffer when it moves. */
static void make_room(struct client *c)
{
    size_t rest = resp_big_rest(&c->parser, c->in.n - c->in_at);
    size_t need = rest > LOOP_READ_BYTES ? rest : LOOP_READ_BYTES / 4;
    if (c->in.cap - c->in.n >= need) return;
    const uint8_t *before = c->in.p;
    if (rest > LOOP_READ_BYTES) {
        c->in.p = mem_realloc(c->in.p, c->in.n + need);
        c->in.cap = c->in.n + need;
    } else {
        buf_grow(&c->in, need);
    }
    if (c->in.p != before) resp_moved(&c->parser, before, c->in.p);
}

static void after_input(struct client *c)
{
    if (c->in.n > (uint64_t)config_num(&c->server->config, CFG_CLIENT_QUERY_BUFFER_LIMIT) && !(c->flags & CLIENT_CLOSING)) {
        log_line(LOG_WARNING, "Client %s closed: its input is over client-query-buffer-limit", c->peer);
        client_close(c);
    }
    if (c->in.n > c->loop->largest_input) c->loop->largest_input = c->in.n;
    c->input_bytes = 0;
    take_back(c);
    client_output(c);
}

static void on_readable(struct ev_loop *ev, struct ev_io *w, int events)
{
    struct client *c = w->data;
    struct loop *l = c->loop;
    if (c->unsafe_count > 0) {
        /* Its replies wait for a sync: it is not read until they are out, so that waiting replies stay bounded. */
        c->flags |= CLIENT_READ_STOPPED;
        ev_io_stop(ev, &c->reader);
        return;
    }
    bool own = c->in.n > 0;
    if (own) make_room(c);
    uint8_t *to = own ? c->in.p + c->in.n : l->read_buffer;
    ssize_t n = recv(c->fd, to, own ? c->in.cap - c->in.n : LOOP_READ_BYTES, 0);
    l->reads++;
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) client_close(c);
        return;
    }
    c->bytes_in += (uint64_t)n;
    l->net_in += (uint64_t)n;
    loop_tick(l);
    c->active_ms = l->mono_ms;
    lend_buffers(c);
    if (own) {
        c->in.n += (size_t)n;
        process_own(c);
    } else {
        process_lent(c, l->read_buffer, (size_t)n);
    }
    after_input(c);
}

void client_resume_input(struct client *c)
{
    if (c->flags & CLIENT_CLOSING) return;
    if (c->in.n > 0 && !client_blocked(c)) {
        lend_buffers(c);
        process_own(c);
    }
    after_input(c);
}

/* ---- description ---- */

void client_describe(const struct client *c, struct buf *out)
{
    char flags[16];
    size_t n = 0;
    uint64_t now = c->loop->mono_ms;
    if (c->flags & CLIENT_MULTI) flags[n++] = 'x';
    if (c->later || c->flags & CLIENT_PAUSED) flags[n++] = 'b';
    if (c->flags & CLIENT_CLOSE_AFTER_REPLY) flags[n++] = 'c';
    if (c->flags & CLIENT_CLOSING) flags[n++] = 'A';
    if (c->flags & CLIENT_UNIX) flags[n++] = 'U';
    if (c->flags & CLIENT_NO_EVICT) flags[n++] = 'e';
    if (n == 0) flags[n++] = 'N';
    flags[n] = 0;
    size_t waiting = output_waiting(c), memory = c->pieces.bytes + c->out.cap, tx = multi_bytes(c), input = c->input_bytes > c->in.n ? c->input_bytes : c->in.n;
    bool large = waiting > OUTPUT_SMALL_BYTES;
    buf_printf(out,
               "id=%llu addr=%s laddr=%s fd=%d name=%s age=%llu idle=%llu flags=%s db=%u sub=0 psub=0 ssub=0 multi=%d qbuf=%zu qbuf-free=%zu "
               "argv-mem=%zu multi-mem=%zu rbs=%zu rbp=%zu obl=%zu oll=%u omem=%zu tot-mem=%zu events=%s cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s",
               (unsigned long long)c->id, c->peer, c->local, c->fd, c->name ? c->name : "", (unsigned long long)((now - c->created_ms) / 1000),
               (unsigned long long)((now - c->active_ms) / 1000), flags, c->db, multi_queued(c), input, c->in.cap - c->in.n,
               c->parser.cap * sizeof(slice), tx, c->out.cap, c->out.cap, large ? 0 : waiting, c->pieces.n, large ? memory : 0, sizeof *c + c->in.cap + memory + tx,
               ev_is_active(&c->writer) ? "rw" : "r", c->command ? c->command->name : "NULL", c->resp, c->lib_name ? c->lib_name : "",
               c->lib_version ? c->lib_version : "");
}
