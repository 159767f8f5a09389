/* A real server under test: a child process on a free loopback port with its data in a temporary directory; ended by its own pid. */
#ifndef VARVE_TESTS_SERVER_H
#define VARVE_TESTS_SERVER_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

#define SERVER_ARGS_MAX 24

struct server {
    pid_t pid;
    int port;
    char dir[96];
    const char *program;
    const char *args[SERVER_ARGS_MAX]; /* further options, NULL-ended */
};

/* program NULL: $VARVE_SERVER or build/varve-server. Makes the directory. Aborts the test when the server does not come up. */
void server_start(struct server *s, const char *program, const char *const *args);
void server_again(struct server *s);             /* starts on the same data, on a new port */
bool server_again_may_fail(struct server *s);    /* false when it ends instead of answering */
void server_stop(struct server *s);              /* SIGTERM, waits; the exit status must be 0 */
void server_kill(struct server *s);              /* SIGKILL, waits */
void server_remove(struct server *s);            /* kills if needed and removes the data */
redisContext *server_connect(const struct server *s, int resp);
void server_log_tail(const struct server *s);    /* to stderr */

/* A command that must not fail to be sent; the reply is the caller's. */
redisReply *ask(redisContext *r, const char *format, ...);
/* The two halves of it: the answer of a command that was asked ahead is heard later, on the same connection, in turn. */
void ask_ahead(redisContext *r, const char *format, ...);
redisReply *hear(redisContext *r);
/* The same for its integer, status or text; the reply is freed. */
long long ask_int(redisContext *r, const char *format, ...);
bool ask_ok(redisContext *r, const char *format, ...);
/* Looks a field up in a map reply (RESP3 map or flattened array). NULL: not there. */
redisReply *map_get(const redisReply *map, const char *name);

#endif
