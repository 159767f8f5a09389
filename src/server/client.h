/* One client connection: its socket, input, output, selected database, transaction. Owned by one loop and touched only on that loop's thread.
 *
 * Output is one growing buffer, before which the pieces of long replies stand (output.h). Replies that must wait for the log begin at `unsafe_from`; `gate` is the log address that has to be safe
 * before anything from there on may be sent, `unsafe_count` how many replies that is (so that a failed log can turn each into an error). */
#ifndef VARVE_SERVER_CLIENT_H
#define VARVE_SERVER_CLIENT_H

#include "module.h"
#include "server/config.h"
#include "server/resp.h"
#include <ev.h>

#define CLIENT_NAME_MAX 256
#define CLIENT_ADDRESS_MAX 128

struct command_entry;
struct loop;
struct server;

enum client_flag {
    CLIENT_CLOSE_AFTER_REPLY = 1 << 0, /* no more input; closed once the output is sent */
    CLIENT_CLOSING = 1 << 1,           /* on the loop's list of the dead */
    CLIENT_PENDING = 1 << 2,           /* on the loop's list of clients with output */
    CLIENT_AUTHENTICATED = 1 << 3,
    CLIENT_MULTI = 1 << 4,             /* between MULTI and EXEC */
    CLIENT_DIRTY_EXEC = 1 << 5,        /* a queued command was refused: EXEC aborts */
    CLIENT_REPLY_OFF = 1 << 6,
    CLIENT_REPLY_SKIP_NEXT = 1 << 7,   /* set by CLIENT REPLY SKIP, becomes SKIP when that command is over */
    CLIENT_REPLY_SKIP = 1 << 8,
    CLIENT_NO_EVICT = 1 << 9,
    CLIENT_NO_TOUCH = 1 << 10,
    CLIENT_PAUSED = 1 << 11,           /* its next command waits for the end of CLIENT PAUSE */
    CLIENT_UNIX = 1 << 12,
    CLIENT_LOCAL = 1 << 13,            /* loopback or unix socket */
    CLIENT_READ_STOPPED = 1 << 14,     /* the read watcher is off */
    CLIENT_CLOCK_TOUCHED = 1 << 15,
    CLIENT_RESUME = 1 << 16,           /* on the loop's list of clients whose input goes on */
    CLIENT_INTERNAL_COMMAND = 1 << 17,
    CLIENT_VIEW = 1 << 20,             /* it reads as of view_at */
    CLIENT_REPLY_PUSH = 1 << 19,       /* what was written is not a reply to be dropped by REPLY OFF */
};

struct later;                          /* a command that goes on later (later.h) */
struct transaction;                    /* queue and watches (multi.h) */

struct output_piece {
    struct output_piece *next;
    struct buf bytes;
    size_t sent;
};
struct output_queue {
    struct output_piece *first, *last;
    size_t bytes; /* in all pieces, those of the first that were sent included */
    unsigned n;
};

struct client {
    struct ev_io reader, writer;
    struct loop *loop;
    struct server *server;
    int fd;
    uint32_t flags;
    uint8_t resp;                      /* 2 or 3 */
    uint16_t db;
    uint64_t id;
    struct resp_parser parser;
    struct buf in;                     /* input that a read did not finish; empty most of the time */
    size_t in_at;                      /* how far the parser got in it */
    size_t input_bytes;                /* of the input being worked on, for CLIENT LIST */
    struct buf out;
    size_t out_sent;
    uint64_t out_base;                 /* where `out` begins, by the places of output.h */
    struct output_queue pieces;        /* go before `out` */
    uint64_t unsafe_from;              /* see above; meaningful when unsafe_count > 0 */
    uint32_t unsafe_count;
    uint64_t gate;
    uint64_t end, last_seq;            /* newest write of this connection */
    uint64_t view_at, view_ms, view_now_ms; /* with CLIENT_VIEW: as ks_view takes and gives them */
    uint32_t errors;                   /* error replies so far: tells whether a command failed */
    struct later *later;               /* not NULL: blocked */
    struct transaction *transaction;   /* NULL until MULTI or WATCH */
    const struct command_entry *command; /* running or last */
    char *name, *lib_name, *lib_version;
    char *peer, *local;                /* addresses as CLIENT LIST shows them */
    uint64_t created_ms, active_ms, soft_over_ms;
    uint64_t bytes_in, bytes_out, commands;
    struct client *next, *prev;        /* of the loop */
    struct client *pending_next, *dead_next, *resume_next;
};

/* Takes a connected socket over; never fails. */
struct client *client_new(struct loop *l, int fd, const char *peer, const char *local, bool is_unix);
/* Ends the connection at the end of this turn; safe to call at any time on the client's loop. */
void client_close(struct client *c);
void client_free(struct client *c);    /* only by the loop, from its list of the dead */
/* Marks that there is output: it goes out at the end of the turn. */
void client_output(struct client *c);
/* Sends what may be sent. */
void client_flush(struct client *c);
/* Runs what stands in the private input buffer (after a pause or a blocking command). */
void client_resume_input(struct client *c);
void client_set_name(char **slot, slice name);
/* Appends the line of CLIENT LIST and CLIENT INFO, without line end. */
void client_describe(const struct client *c, struct buf *out);
static inline bool client_blocked(const struct client *c) { return c->later || (c->flags & (CLIENT_PAUSED | CLIENT_CLOSING | CLIENT_CLOSE_AFTER_REPLY)); }
static inline enum client_class client_class_of(const struct client *c) { return (void)c, CLASS_NORMAL; }

#endif
