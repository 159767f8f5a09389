/* Commands that go on later: what call_later (module.h) set up, until its step has replied. The client is blocked meanwhile. */
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
    struct later *next, *prev; /* of the loop */
};

/* After the command's function has returned: gives the later command its own arguments. */
void later_adopt(struct client *c);
/* Steps every later command of the loop that is due; `moved`: engine marks moved or the waiting time is over. */
void later_run(struct loop *l, bool moved);
/* Ends it without a reply (the client goes, or somebody else replied). */
void later_cancel(struct client *c);
bool later_wants_turns(const struct loop *l);

#endif
