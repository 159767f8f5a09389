/* One event loop: one thread, one libev loop, its own clients, buffers and counters.
 *
 * A turn is: wait for sockets; read each ready one once and run its commands; then, before the next wait, run commands that go on later,
 * bring the log out once, and write replies, each client once. A reply made while something of the log was not yet safe waits for it (see client.h).
 *
 * Other threads reach a loop only by loop_post: a function run on its thread. Lists here are the loop's own. */
#ifndef VARVE_SERVER_LOOP_H
#define VARVE_SERVER_LOOP_H

#include "server/client.h"
#include "server/command_table.h"

#define LOOP_READ_BYTES (64 * 1024)
#define LOOP_SPARE_BUFFERS 64
#define LOOP_SPARE_BYTES (64 * 1024)    /* larger output buffers are not kept */
#define LOOP_SYNC_INLINE_REPLIES 256    /* appendfsync always: up to so many waiting replies the loop syncs by itself */
#define LOOP_WAIT_STEP_MS 10

struct command_stats {
    uint64_t calls, ticks, rejected, failed;
};
struct latency;                         /* latency.h */
struct job;                             /* a posted function */

struct loop {
    struct server *server;
    unsigned id;
    struct ev_loop *ev;
    pthread_t thread;
    struct ev_prepare before_wait;
    struct ev_async wake;
    struct ev_timer cron, wait_timer, pause_timer;
    struct ev_idle busy;                /* keeps the loop from sleeping while work is left */
    struct mutex mail_mutex;
    struct job *mail, **mail_end;

    struct client *clients;             /* doubly linked, newest first */
    unsigned n_clients;
    struct client *pending, *dead, *resume;
    struct later *laters, *sleepers;    /* later.h */
    _Atomic uint64_t sleep_floor;       /* no sleeper has anything to do while the log may be shown up to here only; UINT64_MAX: none */
    unsigned n_laters, n_paused;
    uint8_t *read_buffer;
    struct resp_parser spare_parser;    /* its memory is lent to the client being read */
    struct buf spare[LOOP_SPARE_BUFFERS];
    unsigned n_spare;

    uint64_t now_ms;                    /* the turn's time */
    uint64_t mono_ms;
    bool clock_set;
    _Atomic bool wants_marks;           /* somebody here waits for the engine's marks: wake this loop when they move */
    _Atomic bool marks_moved;
    uint64_t gate;                      /* newest log address that a reply on this loop depends on and that is not yet safe; 0 = none */
    uint64_t sync_asked;                /* address already asked of the sync thread */
    uint32_t unsafe_replies;            /* in this turn */
    uint64_t ticked;                    /* when the batch's last command ended, by cycles_now; 0 = outside of a batch */
    bool failure_seen;
    bool late_hashes;                   /* replies of the batch being run lack digits: dispatch_finish_hashes */
    bool stopping;

    _Atomic int64_t changes;            /* written here only, without a locked instruction: that would wait for every store before it */
    /* counters, written here only, summed by INFO */
    struct command_stats stats[COMMANDS_MAX];
    struct latency *_Atomic latency[COMMANDS_MAX]; /* NULL before the first call that was tracked */
    uint64_t commands, connections, rejected_connections, net_in, net_out, reads, writes, errors, expired_time_cap;
    uint64_t ops_sample_commands, ops_sample_ms, ops_sample_in, ops_sample_out;
    uint64_t ops_per_second, in_per_second, out_per_second;
    size_t largest_input, largest_output;
};

struct loop *loop_new(struct server *s, unsigned id);
void loop_end_clients(struct loop *l);                  /* after loop_run, while the store is still open */
void loop_free(struct loop **l);                        /* after the store's threads, which wake loops, have ended */
void loop_run(struct loop *l);                          /* until loop_stop */
void loop_stop(struct loop *l);                         /* on its own thread */
void loop_wake(struct loop *l);                         /* any thread */
/* Runs fn(loop, arg) on the loop's thread, in order of posting. Any thread. */
void loop_post(struct loop *l, void (*fn)(struct loop *l, void *arg), void *arg);
void loop_clock(struct loop *l);                        /* sets now_ms and mono_ms anew */
static inline void loop_tick(struct loop *l) { if (!l->clock_set) loop_clock(l); }
/* Address up to which the log is safe by the rule in force. */
uint64_t loop_safe_end(struct loop *l);
/* Clients that stood still go on: at the end of this turn their input is looked at again. */
void loop_resume(struct loop *l, struct client *c);
void loop_pause_over(struct loop *l);

#endif
