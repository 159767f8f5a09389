#include "demo/process.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TRIES 500 /* of 20 ms */

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;
    if (s >= 0 && bind(s, (struct sockaddr *)&a, n) == 0 && getsockname(s, (struct sockaddr *)&a, &n) == 0)
        port = ntohs(a.sin_port);
    if (s >= 0) close(s);
    return port;
}

_Noreturn static void exec_server(const struct process *p, const char *server)
{
    char port[16], log[128];
    (void)snprintf(port, sizeof port, "%d", p->port);
    (void)snprintf(log, sizeof log, "%s/server.log", p->dir);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) dup2(fd, STDOUT_FILENO), dup2(fd, STDERR_FILENO);
    execl(server, server, "--port", port, "--dir", p->dir, "--bind", "127.0.0.1", (char *)NULL);
    _exit(127);
}

redisContext *process_connect(const struct process *p)
{
    struct timeval wait = {2, 0};
    redisContext *r = redisConnectWithTimeout("127.0.0.1", p->port, wait);
    if (r && !r->err) return r;
    if (r) redisFree(r);
    return NULL;
}

int process_start(struct process *p, const char *server)
{
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/varve-demo-XXXXXX");
    if (mkdtemp(p->dir) == NULL) {
        p->dir[0] = 0;
        return err_note(E_IO, "no temporary directory under /tmp");
    }
    p->port = free_port();
    p->pid = fork();
    if (p->pid < 0) return err_note(E_IO, "fork");
    if (p->pid == 0) exec_server(p, server);
    for (int i = 0; i < START_TRIES; i++) {
        redisContext *r = process_connect(p);
        redisReply *reply = r ? redisCommand(r, "PING") : NULL;
        bool up = reply && reply->type == REDIS_REPLY_STATUS;
        if (reply) freeReplyObject(reply);
        if (r) redisFree(r);
        if (up) return E_OK;
        if (waitpid(p->pid, NULL, WNOHANG) == p->pid)
            return err_note(E_IO, "the server ended while it started; see %s/server.log", p->dir);
        (void)poll(NULL, 0, 20);
    }
    return err_note(E_TIMEOUT, "the server does not answer; see %s/server.log", p->dir);
}

/* Nothing here but what a signal handler may call, too. */
void process_stop(struct process *p)
{
    if (p->pid > 0 && kill(p->pid, SIGTERM) == 0) (void)waitpid(p->pid, NULL, 0);
    p->pid = 0;
    pid_t rm = p->dir[0] ? fork() : -1;
    if (rm == 0) {
        execl("/bin/rm", "rm", "-rf", p->dir, (char *)NULL);
        _exit(127);
    }
    if (rm > 0) (void)waitpid(rm, NULL, 0);
    p->dir[0] = 0;
}

static struct process *watched;
static void on_signal(int signal)
{
    process_stop(watched);
    _exit(128 + signal);
}

void process_stop_on_signals(struct process *p)
{
    watched = p;
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
}
