#include "tests/support/server.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_SECONDS 60

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;
    if (s >= 0 && bind(s, (struct sockaddr *)&a, n) == 0 && getsockname(s, (struct sockaddr *)&a, &n) == 0) port = ntohs(a.sin_port);
    if (s >= 0) close(s);
    return port;
}

_Noreturn static void run_child(const struct server *s)
{
    char port[16], log[160];
    const char *argv[SERVER_ARGS_MAX + 8];
    int n = 0;
    (void)snprintf(port, sizeof port, "%d", s->port);
    (void)snprintf(log, sizeof log, "%s.log", s->dir);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) dup2(fd, STDOUT_FILENO), dup2(fd, STDERR_FILENO);
    argv[n++] = s->program;
    argv[n++] = "--port";
    argv[n++] = port;
    argv[n++] = "--dir";
    argv[n++] = s->dir;
    argv[n++] = "--bind";
    argv[n++] = "127.0.0.1";
    for (int i = 0; i < SERVER_ARGS_MAX && s->args[i]; i++) argv[n++] = s->args[i];
    argv[n] = NULL;
    execv(s->program, (char *const *)(const void *)argv);
    _exit(127);
}

/* ---- RESP3 ----
 * The distribution's hiredis reads RESP2 only, so connections in RESP3 are read here, into the same reply objects: maps, sets and pushes become
 * arrays, booleans integers, doubles, big numbers and verbatim texts strings. */
#define CONNECTIONS_MAX 1024
static FILE *resp3_input[CONNECTIONS_MAX];

static redisReply *new_reply(int type)
{
    redisReply *v = calloc(1, sizeof *v);
    if (v == NULL) abort();
    v->type = type;
    return v;
}

static redisReply *read_text(FILE *f, int type, const char *line, bool counted)
{
    redisReply *v = new_reply(type);
    v->len = counted ? strtoul(line, NULL, 10) : strlen(line);
    v->str = calloc(1, v->len + 3);
    if (v->str == NULL) abort();
    if (counted && fread(v->str, 1, v->len + 2, f) != v->len + 2) abort();
    if (!counted) memcpy(v->str, line, v->len);
    v->str[v->len] = 0;
    return v;
}

static redisReply *read_resp3(FILE *f)
{
    char line[4096];
    if (fgets(line, sizeof line, f) == NULL) return NULL;
    line[strcspn(line, "\r\n")] = 0;
    switch (line[0]) {
    case '$': return line[1] == '-' ? new_reply(REDIS_REPLY_NIL) : read_text(f, REDIS_REPLY_STRING, line + 1, true);
    case '=': return read_text(f, REDIS_REPLY_STRING, line + 1, true);
    case '+': return read_text(f, REDIS_REPLY_STATUS, line + 1, false);
    case '-': return read_text(f, REDIS_REPLY_ERROR, line + 1, false);
    case ',':
    case '(': return read_text(f, REDIS_REPLY_STRING, line + 1, false);
    case '_': return new_reply(REDIS_REPLY_NIL);
    case ':':
    case '#': {
        redisReply *v = new_reply(REDIS_REPLY_INTEGER);
        v->integer = line[0] == ':' ? strtoll(line + 1, NULL, 10) : line[1] == 't';
        return v;
    }
    case '*':
    case '~':
    case '>':
    case '%': {
        redisReply *v = new_reply(REDIS_REPLY_ARRAY);
        v->elements = strtoul(line + 1, NULL, 10) * (line[0] == '%' ? 2 : 1);
        v->element = calloc(v->elements + 1, sizeof *v->element);
        if (v->element == NULL) abort();
        for (size_t i = 0; i < v->elements; i++)
            if ((v->element[i] = read_resp3(f)) == NULL) abort();
        return v;
    }
    default: fprintf(stderr, "unknown reply type '%c'\n", line[0]); abort();
    }
}

static void use_resp3(redisContext *r)
{
    static const char hello[] = "HELLO 3\r\n";
    if (r->fd >= CONNECTIONS_MAX) abort();
    if (resp3_input[r->fd]) fclose(resp3_input[r->fd]);
    resp3_input[r->fd] = fdopen(dup(r->fd), "r");
    if (write(r->fd, hello, sizeof hello - 1) != (ssize_t)sizeof hello - 1 || resp3_input[r->fd] == NULL) abort();
    redisReply *v = read_resp3(resp3_input[r->fd]);
    if (v == NULL || map_get(v, "proto") == NULL || map_get(v, "proto")->integer != 3) abort();
    freeReplyObject(v);
}

static void say_resp3(redisContext *r, const char *format, va_list ap)
{
    char *text = NULL;
    int n = redisvFormatCommand(&text, format, ap);
    for (int sent = 0; n > 0 && sent < n;) {
        ssize_t k = write(r->fd, text + sent, (size_t)(n - sent));
        if (k <= 0) abort();
        sent += (int)k;
    }
    redisFreeCommand(text);
}

redisContext *server_connect(const struct server *s, int resp)
{
    struct timeval wait = {30, 0};
    redisContext *r = redisConnectWithTimeout("127.0.0.1", s->port, wait);
    if (r == NULL || r->err) {
        if (r) redisFree(r);
        return NULL;
    }
    redisSetTimeout(r, wait);
    if (r->fd < CONNECTIONS_MAX && resp3_input[r->fd]) {
        fclose(resp3_input[r->fd]);
        resp3_input[r->fd] = NULL;
    }
    if (resp == 3) use_resp3(r);
    return r;
}

void server_log_tail(const struct server *s)
{
    char command[256];
    (void)snprintf(command, sizeof command, "tail -25 '%s.log' >&2", s->dir);
    fflush(stderr);
    if (system(command) != 0) fprintf(stderr, "no log of %s\n", s->dir);
}

bool server_again_may_fail(struct server *s)
{
    s->port = free_port();
    s->pid = fork();
    if (s->pid == 0) run_child(s);
    double until = seconds() + START_SECONDS;
    while (seconds() < until) {
        redisContext *r = server_connect(s, 2);
        redisReply *v = r ? redisCommand(r, "PING") : NULL;
        bool up = v && v->type == REDIS_REPLY_STATUS;
        if (v) freeReplyObject(v);
        if (r) redisFree(r);
        if (up) return true;
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            return false;
        }
        (void)poll(NULL, 0, 5);
    }
    return false;
}

void server_again(struct server *s)
{
    if (server_again_may_fail(s)) return;
    fprintf(stderr, "the server did not start:\n");
    server_log_tail(s);
    abort();
}

void server_start(struct server *s, const char *program, const char *const *args)
{
    const char *env = getenv("VARVE_SERVER");
    memset(s, 0, sizeof *s);
    s->program = program ? program : env ? env : "build/varve-server";
    for (int i = 0; args && args[i] && i < SERVER_ARGS_MAX - 1; i++) s->args[i] = args[i];
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/varve-test-XXXXXX");
    if (mkdtemp(s->dir) == NULL) abort();
    server_again(s);
}

void server_stop(struct server *s)
{
    int status = 0;
    if (s->pid <= 0) return;
    kill(s->pid, SIGTERM);
    (void)waitpid(s->pid, &status, 0);
    s->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    fprintf(stderr, "the server did not stop in order (status %x):\n", status);
    server_log_tail(s);
    abort();
}

void server_kill(struct server *s)
{
    if (s->pid <= 0) return;
    kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

void server_remove(struct server *s)
{
    char command[300];
    server_kill(s);
    if (strncmp(s->dir, "/tmp/varve-test-", 16) != 0) return;
    (void)snprintf(command, sizeof command, "rm -rf '%s' '%s.log'", s->dir, s->dir);
    if (system(command) != 0) fprintf(stderr, "could not remove %s\n", s->dir);
}

static bool is_resp3(const redisContext *r)
{
    return r->fd >= 0 && r->fd < CONNECTIONS_MAX && resp3_input[r->fd] != NULL;
}

static void vsay(redisContext *r, const char *format, va_list ap)
{
    int done = 0;
    if (is_resp3(r)) {
        say_resp3(r, format, ap);
        return;
    }
    if (redisvAppendCommand(r, format, ap) != REDIS_OK) abort();
    while (!done)
        if (redisBufferWrite(r, &done) != REDIS_OK) fprintf(stderr, "'%s' cannot be sent: %s\n", format, r->errstr), abort();
}

static redisReply *listen_for(redisContext *r)
{
    void *v = NULL;
    if (is_resp3(r)) return read_resp3(resp3_input[r->fd]);
    return redisGetReply(r, &v) == REDIS_OK ? v : NULL;
}

static redisReply *vask(redisContext *r, const char *format, va_list ap)
{
    vsay(r, format, ap);
    redisReply *v = listen_for(r);
    if (v) return v;
    fprintf(stderr, "no reply to '%s': %s\n", format, r->errstr);
    abort();
}

void ask_ahead(redisContext *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsay(r, format, ap);
    va_end(ap);
}

redisReply *hear(redisContext *r)
{
    redisReply *v = listen_for(r);
    if (v == NULL) fprintf(stderr, "no reply: %s\n", r->errstr), abort();
    return v;
}

redisReply *ask(redisContext *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    redisReply *v = vask(r, format, ap);
    va_end(ap);
    return v;
}

long long ask_int(redisContext *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    redisReply *v = vask(r, format, ap);
    va_end(ap);
    if (v->type != REDIS_REPLY_INTEGER) fprintf(stderr, "'%s' answers %s\n", format, v->str ? v->str : "no integer"), abort();
    long long n = v->integer;
    freeReplyObject(v);
    return n;
}

bool ask_ok(redisContext *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    redisReply *v = vask(r, format, ap);
    va_end(ap);
    bool ok = v->type == REDIS_REPLY_STATUS && strcmp(v->str, "OK") == 0;
    freeReplyObject(v);
    return ok;
}

redisReply *map_get(const redisReply *map, const char *name)
{
    for (size_t i = 0; i + 1 < map->elements; i += 2)
        if (map->element[i]->str && strcmp(map->element[i]->str, name) == 0) return map->element[i + 1];
    return NULL;
}
