/* One look at every client of every loop, on the thread that owns it: CLIENT LIST, KILL, UNBLOCK.
 *
 * With one loop it happens at once. With more, each loop gets the visit as mail, and the asking client goes on when the last has answered. */
#ifndef VARVE_SERVER_SWEEP_H
#define VARVE_SERVER_SWEEP_H

#include "module.h"
#include "server/client.h"

#define SWEEP_IDS_MAX 1024

struct sweep {
    /* set by the caller; freed with the sweep when it is mem_alloc'd text */
    void (*visit)(struct sweep *w, struct client *c, struct buf *text, int64_t *count);
    void (*finish)(struct sweep *w, struct call *c);
    uint64_t asker;                 /* id of the asking client */
    int kind;                       /* client class, -1 = any */
    bool skip_me, unblock_error;
    uint64_t *ids;
    size_t n_ids;
    char *address, *local, *user;
    /* the result */
    struct buf text;
    int64_t count;
    bool kills_asker;               /* set on its own loop */
    /* private */
    struct mutex mutex;
    _Atomic unsigned waiting, holders;
};

struct sweep *sweep_new(struct call *c);
/* Runs it; replies through finish, now or later. Takes the sweep over. */
void sweep_run(struct sweep *w, struct call *c);
void sweep_drop(void *sweep);       /* gives up one hold; the last frees */

#endif
