/* The server as a child process on a free port, with its data in a temporary directory. */
#ifndef VARVE_DEMO_PROCESS_H
#define VARVE_DEMO_PROCESS_H

#include "base/err.h"
#include <hiredis/hiredis.h>
#include <sys/types.h>

struct process {
    pid_t pid;
    int port;
    char dir[64];
};
int process_start(struct process *p, const char *server) MUST_CHECK; /* waits until it answers; E_TIMEOUT, E_IO */
redisContext *process_connect(const struct process *p);              /* NULL when it cannot */
void process_stop(struct process *p);                                /* SIGTERM by pid, waits, removes the directory */
void process_stop_on_signals(struct process *p);                     /* the same when SIGINT or SIGTERM end the program */

#endif
