/* Commands that go on later: what call_later (module.h) set up, until its step has replied. The client is blocked meanwhile.
 *
 * Those that sleep until the log goes on stand in a list of their own: an idle loop does nothing for them, and a commit costs a comparison each. */
#ifndef VARVE_SERVER_LATER_H
#define VARVE_SERVER_LATER_H

#include "server/client.h"

struct later {
    struct call call;          /* with an own copy of the arguments */
    const struct command_entry *command;
    enum later_kind kind;
    bool (*step)(struct call *c, void *state);
    void (*drop)(void *state);
    void *state;
    uint64_t started_ms;
    bool asleep, timed_out;
    uint64_t sleep_seq;        /* asleep: until the log may be shown beyond it */
    uint64_t deadline_ms;      /* asleep: by the loop's mono_ms, 0 = none; the timer is active then */
    struct ev_timer timer;
    struct later *next, *prev; /* of the loop: laters or sleepers */
    struct later *wake_next;
};

/* After the command's function has returned: gives the later command its own arguments. */
void later_adopt(struct client *c);
/* Steps every later command of the loop that is due; `moved`: engine marks moved or the waiting time is over. */
void later_run(struct loop *l, bool moved);
/* Ends it without a reply (the client goes, or somebody else replied). */
void later_cancel(struct client *c);
bool later_wants_turns(const struct loop *l);
/* Steps those asleep for which the log has gone on. */
void later_wake(struct loop *l);
/* After this loop's writes became safe: other loops' sleepers hear of it. */
void later_tell_others(struct loop *l);
/* Steps one that waits as if its time were over; false when it does not wait, or not for a time. */
bool later_time_out(struct client *c);

#endif
