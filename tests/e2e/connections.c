/* Connections: thousands at once, malformed requests, long pipelines, slow readers, the limit of clients, several threads. */
#include "tests/support/server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MANY 10000
#define WAIT_MS 20000

static int failures, checks;

static void expect(bool ok, const char *what)
{
    checks++;
    if (ok) return;
    failures++;
    fprintf(stderr, "failed: %s\n", what);
}

static int dial(const struct server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)s->port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

/* Reads until `want` bytes, the end, or the time is over; returns how many. */
static size_t read_some(int fd, char *to, size_t want)
{
    size_t n = 0;
    while (n < want) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, WAIT_MS) <= 0) break;
        ssize_t got = recv(fd, to + n, want - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
    }
    return n;
}

static void say(int fd, const char *text) { (void)!send(fd, text, strlen(text), MSG_NOSIGNAL); }

/* The answer to `text`, up to the close. */
static bool answers_and_closes(const struct server *s, const char *text, size_t n, const char *want)
{
    char got[512];
    int fd = dial(s);
    if (fd < 0) return false;
    for (size_t sent = 0; sent < n;) {
        ssize_t k = send(fd, text + sent, n - sent, MSG_NOSIGNAL);
        if (k <= 0) break;
        sent += (size_t)k;
    }
    size_t len = read_some(fd, got, sizeof got - 1);
    got[len] = 0;
    close(fd);
    if (strcmp(got, want) == 0) return true;
    fprintf(stderr, "got '%s', want '%s'\n", got, want);
    return false;
}

static void thousands(const struct server *s)
{
    static int fd[MANY];
    struct rlimit r;
    int n = 0, answered = 0;
    char pong[8];
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    int most = r.rlim_cur < MANY + 100 ? (int)r.rlim_cur - 100 : MANY - 50;
    while (n < most && (fd[n] = dial(s)) >= 0) n++;
    expect(n == most, "ten thousand connections open");
    for (int i = 0; i < n; i++) say(fd[i], "PING\r\n");
    for (int i = 0; i < n; i++) answered += read_some(fd[i], pong, 7) == 7 && memcmp(pong, "+PONG\r\n", 7) == 0;
    expect(answered == n, "each of them answers");
    for (int i = 0; i < n; i++) close(fd[i]);
    redisContext *c = server_connect(s, 2);
    char text[64] = "";
    bool empty = false;
    for (int i = 0; i < 1000 && !empty; i++) {
        redisReply *v = ask(c, "INFO clients");
        const char *at = strstr(v->str, "connected_clients:");
        snprintf(text, sizeof text, "%.30s", at ? at : "");
        empty = strncmp(text, "connected_clients:1\r", 20) == 0;
        freeReplyObject(v);
        if (!empty) poll(NULL, 0, 5);
    }
    expect(empty, "all are gone again");
    redisFree(c);
}

static void malformed(const struct server *s)
{
    static char line[70000];
    expect(answers_and_closes(s, "*1\r\n:1\r\n", 8, "-ERR Protocol error: expected '$', got ':'\r\n"), "wrong type of argument");
    expect(answers_and_closes(s, "*x\r\n", 4, "-ERR Protocol error: invalid multibulk length\r\n"), "wrong count");
    expect(answers_and_closes(s, "*3000000000\r\n", 13, "-ERR Protocol error: invalid multibulk length\r\n"), "huge count");
    expect(answers_and_closes(s, "*1\r\n$-5\r\n", 9, "-ERR Protocol error: invalid bulk length\r\n"), "negative length");
    expect(answers_and_closes(s, "*1\r\n$2000000000\r\n", 17, "-ERR Protocol error: invalid bulk length\r\n"), "huge length");
    expect(answers_and_closes(s, "GET \"x\r\n", 8, "-ERR Protocol error: unbalanced quotes in request\r\n"), "open quote");
    memset(line, 'a', sizeof line);
    expect(answers_and_closes(s, line, sizeof line, "-ERR Protocol error: too big inline request\r\n"), "endless line");
    expect(answers_and_closes(s, "PING\r\nQUIT\r\nPING\r\n", 18, "+PONG\r\n+OK\r\n"), "nothing after QUIT");
}

static void pipeline(const struct server *s)
{
    enum { N = 100000 };
    redisContext *c = server_connect(s, 2);
    bool ok = true;
    for (int i = 0; i < N; i++) redisAppendCommand(c, "SET pipe:%d %d", i % 1000, i);
    for (int i = 0; i < N; i++) redisAppendCommand(c, "GET pipe:%d", i % 1000);
    for (int i = 0; i < 2 * N && ok; i++) {
        redisReply *v = NULL;
        char want[16];
        ok = redisGetReply(c, (void **)&v) == REDIS_OK;
        snprintf(want, sizeof want, "%d", N - 1000 + (i - N) % 1000);
        ok = ok && strcmp(v->str, i < N ? "OK" : want) == 0;
        if (v) freeReplyObject(v);
    }
    expect(ok, "a pipeline of 200000 commands answers in order");
    redisFree(c);
}

static void slow_reader(const struct server *s)
{
    redisContext *c = server_connect(s, 2);
    static char value[1 << 20];
    memset(value, 'v', sizeof value);
    redisReply *v = ask(c, "SET big %b", value, sizeof value);
    freeReplyObject(v);
    expect(ask_ok(c, "CONFIG SET client-output-buffer-limit %s", "normal 20mb 0 0"), "the limit is set");
    int fd = dial(s);
    for (int i = 0; i < 60; i++) say(fd, "GET big\r\n");
    bool cut = false;
    for (int i = 0; i < 2000 && !cut; i++) {
        redisReply *list = ask(c, "CLIENT LIST");
        int clients = 0;
        for (const char *p = list->str; (p = strstr(p, "id=")) != NULL; p++) clients++;
        cut = clients == 1;
        freeReplyObject(list);
        if (!cut) poll(NULL, 0, 5);
    }
    expect(cut, "a client that reads nothing is cut off");
    expect(ask_ok(c, "CONFIG SET client-output-buffer-limit %s", "normal 0 0 0"), "the limit is lifted");
    close(fd);
    redisFree(c);
}

static void limit_of_clients(const struct server *s)
{
    redisContext *c = server_connect(s, 2);
    char got[64];
    expect(ask_ok(c, "CONFIG SET maxclients 3"), "maxclients is set");
    int a = dial(s), b = dial(s);
    say(b, "PING\r\n");
    expect(read_some(b, got, 7) == 7, "the third client is served");
    int d = dial(s);
    size_t n = read_some(d, got, sizeof got - 1);
    got[n] = 0;
    expect(strcmp(got, "-ERR max number of clients reached\r\n") == 0, "the fourth is refused");
    close(a), close(b), close(d);
    expect(ask_ok(c, "CONFIG SET maxclients 10000"), "maxclients is put back");
    redisFree(c);
}

static void across_threads(const struct server *s)
{
    redisContext *c[4];
    long long id[4];
    for (int i = 0; i < 4; i++) c[i] = server_connect(s, 2);
    for (int i = 0; i < 4; i++) id[i] = ask_int(c[i], "CLIENT ID");
    redisReply *list = ask(c[0], "CLIENT LIST");
    int seen = 0;
    for (const char *p = list->str; (p = strstr(p, "id=")) != NULL; p++) seen++;
    freeReplyObject(list);
    expect(seen == 4, "CLIENT LIST shows the clients of every thread");
    expect(ask_int(c[0], "CLIENT KILL ID %lld", id[3]) == 1, "CLIENT KILL reaches another thread");
    char byte;
    expect(read_some(c[3]->fd, &byte, 1) == 0, "and the connection is closed");
    for (int round = 0; round < 200; round++)
        for (int i = 0; i < 3; i++) freeReplyObject(ask(c[i], "INCR shared"));
    expect(ask_int(c[1], "INCR shared") == 601, "no increment is lost between threads");
    expect(ask_ok(c[0], "MULTI"), "MULTI");
    freeReplyObject(ask(c[0], "SET a 1"));
    freeReplyObject(ask(c[0], "SET b 1"));
    redisReply *v = ask(c[0], "EXEC");
    expect(v->type == REDIS_REPLY_ARRAY && v->elements == 2, "EXEC with threads");
    freeReplyObject(v);
    for (int i = 0; i < 4; i++) redisFree(c[i]);
}

static void run(const char *threads)
{
    const char *const args[] = {"--threads", threads, NULL};
    struct server s = {0};
    server_start(&s, NULL, args);
    if (strcmp(threads, "1") == 0) {
        thousands(&s);
        slow_reader(&s);
    } else {
        across_threads(&s);
    }
    malformed(&s);
    pipeline(&s);
    limit_of_clients(&s);
    server_stop(&s);
    server_remove(&s);
}

int main(void)
{
    run("1");
    run("3");
    printf("connections: %d passed, %d failed\n", checks - failures, failures);
    return failures != 0;
}
