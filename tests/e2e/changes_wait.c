/* Readers that wait for changes: that they hear of the first write and of every later one, in time; that a feed never says it has caught up while it is behind; that
 * thousands cost nothing while nothing happens; and that a point which retention has passed is refused with the oldest one that is good. */
#include "tests/support/server.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define READERS_MAX 2000
#define MARKS       300

static int failures, checks;
static struct server s;

static void expect(bool ok, const char *what)
{
    checks++;
    if (ok) return;
    failures++;
    fprintf(stderr, "failed: %s\n", what);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long long field(const redisReply *v, const char *name)
{
    return map_get(v, name)->integer;
}

static long long info(redisContext *c, const char *name)
{
    redisReply *v = ask(c, "INFO");
    const char *at = strstr(v->str, name);
    long long n = at ? atoll(at + strlen(name) + 1) : -1;
    freeReplyObject(v);
    return n;
}

static void until_blocked(redisContext *c, long long want)
{
    double until = now_s() + 20;
    while (info(c, "blocked_clients") != want && now_s() < until) continue;
    expect(info(c, "blocked_clients") == want, "as many wait as have to");
}

/* The reply of a reader that waited; NULL: none within a second or so. */
static redisReply *heard(redisContext *c)
{
    void *reply = NULL;
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    while (reply == NULL) {
        if (redisGetReplyFromReader(c, &reply) != REDIS_OK) return NULL;
        if (reply) break;
        if (poll(&p, 1, 5000) <= 0 || redisBufferRead(c) != REDIS_OK) return NULL;
    }
    return reply;
}

static void send_to(redisContext *c, const char *command)
{
    int done = 0;
    redisAppendCommand(c, command);
    while (!done)
        if (redisBufferWrite(c, &done) != REDIS_OK) abort();
}

/* ---- the first write, and every later one ---- */

static bool check_first_write(redisContext *w, redisContext *r)
{
    send_to(r, "DCHANGES FROM 0 BLOCK 0");
    until_blocked(w, 1);
    expect(ask_ok(w, "SET first 1"), "a write");
    redisReply *v = heard(r);
    expect(v && map_get(v, "events")->elements == 1 && field(map_get(v, "events")->element[0], "seq") == 1, "the first write is reached");
    expect(v && field(v, "next") == 1, "and the cursor stands behind it");
    if (v) freeReplyObject(v);
    return v != NULL;
}

/* Whoever has the answer to a write finds it in the next reply that says there is no more. */
static void check_caught_up(redisContext *w, redisContext *r)
{
    long long next = 1, newest = 0;
    for (int i = 1; i <= MARKS; i++) {
        for (int k = 0; k < i % 4; k++) expect(ask_ok(w, "SET noise %d", k), "a write"); /* one page, or more */
        expect(ask_ok(w, "SET mark %d", i), "a write");
        for (bool more = true; more;) {
            redisReply *v = ask(r, "DCHANGES FROM %lld COUNT 2 WITHDATA", next);
            const redisReply *events = map_get(v, "events");
            for (size_t k = 0; k < events->elements; k++)
                if (strcmp(map_get(events->element[k], "key")->str, "mark") == 0) newest = atoll(map_get(events->element[k], "data")->str);
            next = field(v, "next");
            more = field(v, "more") != 0;
            expect(more || next == field(v, "head"), "no more: next is head");
            freeReplyObject(v);
        }
        expect(newest == i, "what was acknowledged before the question is in the answer");
    }
}

/* Each write wakes the reader; none is lost between two waits. */
static void check_each_wakes(redisContext *w, redisContext *r)
{
    long long next = ask_int(w, "STRLEN nothing");
    redisReply *v = ask(r, "DCHANGES FROM head");
    next = field(v, "next");
    freeReplyObject(v);
    double slowest = 0;
    for (int i = 0; i < MARKS; i++) {
        char command[64];
        snprintf(command, sizeof command, "DCHANGES FROM %lld BLOCK 0", next);
        send_to(r, command);
        if (i % 2) until_blocked(w, 1);
        expect(ask_ok(w, "SET wake %d", i), "a write");
        double from = now_s();
        v = heard(r);
        double took = now_s() - from;
        if (took > slowest) slowest = took;
        expect(v && map_get(v, "events")->elements == 1, "a write wakes who waits");
        if (!v) return;
        expect(field(v, "next") == next + 1, "one after the other");
        next = field(v, "next");
        freeReplyObject(v);
    }
    expect(slowest < 1, "woken by the commit, not by a timer");
    fprintf(stderr, "slowest wake-up %.2f ms\n", slowest * 1e3);
}

static void check_time_out(redisContext *w, redisContext *r)
{
    double from = now_s();
    redisReply *v = ask(r, "DCHANGES FROM head BLOCK 60");
    expect(now_s() - from >= 0.055 && map_get(v, "events")->elements == 0, "time runs out: no events");
    expect(field(v, "next") == field(v, "head") && field(v, "more") == 0, "the same map");
    freeReplyObject(v);
    /* What the filter does not want moves next on, and does not wake. */
    send_to(r, "DCHANGES FROM head KEY other BLOCK 150");
    until_blocked(w, 1);
    for (int i = 0; i < 20; i++) expect(ask_ok(w, "SET noise %d", i), "a write");
    v = heard(r);
    expect(v && map_get(v, "events")->elements == 0 && field(v, "next") == field(v, "head"), "an idle filter need not look twice");
    if (v) freeReplyObject(v);
    send_to(r, "DCHANGES FROM head KEY other BLOCK 0");
    until_blocked(w, 1);
    expect(ask_ok(w, "SET noise 1") && ask_ok(w, "SET other 1"), "two writes");
    v = heard(r);
    expect(v && map_get(v, "events")->elements == 1, "the one that is wanted");
    if (v) freeReplyObject(v);
}

static void check_unblock(redisContext *w, redisContext *r)
{
    long long id = ask_int(r, "CLIENT ID");
    send_to(r, "DCHANGES FROM head BLOCK 0");
    until_blocked(w, 1);
    expect(ask_int(w, "CLIENT UNBLOCK %lld", id) == 1, "unblocked");
    redisReply *v = heard(r);
    expect(v && v->type != REDIS_REPLY_ERROR && map_get(v, "events")->elements == 0, "as if its time had run out");
    if (v) freeReplyObject(v);
    send_to(r, "DCHANGES FROM head BLOCK 100000");
    until_blocked(w, 1);
    expect(ask_int(w, "CLIENT UNBLOCK %lld ERROR", id) == 1, "unblocked");
    v = heard(r);
    expect(v && v->type == REDIS_REPLY_ERROR && strncmp(v->str, "UNBLOCKED", 9) == 0, "with an error");
    if (v) freeReplyObject(v);
}

/* ---- thousands ---- */

static double cpu_s(void)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)s.pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fgets(line, sizeof line, f) == NULL) abort();
    fclose(f);
    unsigned long user, system;
    if (sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) abort();
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static int readers_possible(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l)) return 100;
    l.rlim_cur = l.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &l);
    return l.rlim_max == RLIM_INFINITY || l.rlim_max > READERS_MAX + 200 ? READERS_MAX : (int)l.rlim_max - 200;
}

static void check_thousands(redisContext *w, int n)
{
    static redisContext *reader[READERS_MAX];
    for (int i = 0; i < n; i++) {
        reader[i] = server_connect(&s, 2);
        send_to(reader[i], i % 4 == 3 ? "DCHANGES FROM head COLL user BLOCK 0" : "DCHANGES FROM head BLOCK 0");
    }
    until_blocked(w, n);
    double cpu = cpu_s(), from = now_s();
    struct pollfd p = {.fd = reader[0]->fd, .events = POLLIN};
    expect(poll(&p, 1, 1000) == 0, "nobody is woken by nothing");
    double share = (cpu_s() - cpu) / (now_s() - from);
    fprintf(stderr, "%d readers wait: %.1f %% of a processor\n", n, 100 * share);
    expect(share < 0.1, "waiting costs next to nothing");
    expect(ask_ok(w, "SET news 1"), "a write");
    int told = 0;
    for (int i = 0; i < n; i++) {
        if (i % 4 == 3) continue;
        redisReply *v = heard(reader[i]);
        told += v && map_get(v, "events")->elements == 1;
        if (v) freeReplyObject(v);
    }
    expect(told == n - n / 4, "everybody hears of a write");
    until_blocked(w, n / 4);
    for (int i = 0; i < n; i++) redisFree(reader[i]);
    until_blocked(w, 0);
}

/* ---- retention ---- */

static void check_pruned(redisContext *w)
{
    for (int i = 0; i < 50; i++) expect(ask_ok(w, "SET old %d", i), "a write");
    redisReply *v = ask(w, "DCOMPACT KEEP 1");
    freeReplyObject(v);
    v = ask(w, "DCHANGES FROM 5");
    long long from = v->type == REDIS_REPLY_ERROR && strstr(v->str, "from ") ? atoll(strstr(v->str, "from ") + 5) : 0;
    expect(v->type == REDIS_REPLY_ERROR && strncmp(v->str, "PRUNED", 6) == 0 && from > 5, "a point that retention has passed is refused");
    freeReplyObject(v);
    v = ask(w, "DCHANGES FROM %lld", from);
    expect(v->type != REDIS_REPLY_ERROR, "the point it names is good");
    freeReplyObject(v);
    v = ask(w, "DCHANGES FROM %lld", from - 1);
    expect(v->type == REDIS_REPLY_ERROR, "and is the oldest");
    freeReplyObject(v);
    /* From 0, page by page, below that point too. */
    char next[64] = "0";
    size_t rows = 0;
    for (bool more = true; more;) {
        v = ask(w, "DCHANGES FROM %s COUNT 1", next);
        if (v->type == REDIS_REPLY_ERROR) fprintf(stderr, "%s: %s\n", next, v->str), abort();
        rows += map_get(v, "events")->elements;
        more = field(v, "more") != 0;
        const redisReply *n = map_get(v, "next");
        if (n->type == REDIS_REPLY_INTEGER)
            snprintf(next, sizeof next, "%lld", n->integer);
        else
            snprintf(next, sizeof next, "%s", n->str);
        freeReplyObject(v);
    }
    expect((long long)rows == ask_int(w, "DBSIZE"), "what is left is one node a key");
}

static void check_pruned_again(redisContext *w)
{
    redisReply *v = ask(w, "DCHANGES FROM 0 COUNT 1");
    char next[64] = "";
    if (map_get(v, "next")->type == REDIS_REPLY_STRING) snprintf(next, sizeof next, "%s", map_get(v, "next")->str);
    expect(next[0] != 0, "below the horizon a walk has a place of its own");
    freeReplyObject(v);
    v = ask(w, "DCHANGES FROM 5");
    expect(v->type == REDIS_REPLY_ERROR && strncmp(v->str, "PRUNED", 6) == 0, "refused after a restart, too");
    freeReplyObject(v);
    v = ask(w, "DCHANGES FROM %s COUNT 1", next);
    expect(v->type != REDIS_REPLY_ERROR, "the walk goes on");
    freeReplyObject(v);
    expect(ask_ok(w, "SET first 2"), "a write");
    v = ask(w, "DCOMPACT KEEP 1");
    freeReplyObject(v);
    v = ask(w, "DCHANGES FROM %s COUNT 1", next);
    expect(v->type == REDIS_REPLY_ERROR && strncmp(v->str, "PRUNED", 6) == 0, "more was dropped under the walk: begin anew");
    freeReplyObject(v);
}

static void run(const char *sync, const char *threads, int thousands)
{
    server_start(&s, NULL, (const char *const[]){"--appendfsync", sync, "--threads", threads, "--maxclients", "10000", NULL});
    redisContext *w = server_connect(&s, 3), *r = server_connect(&s, 2);
    if (!check_first_write(w, r)) { /* the reader waits still: nothing below can go on with it */
        server_remove(&s);
        return;
    }
    check_caught_up(w, r);
    check_each_wakes(w, r);
    check_time_out(w, r);
    check_unblock(w, r);
    if (thousands) check_thousands(w, thousands);
    check_pruned(w);
    redisFree(w);
    redisFree(r);
    server_kill(&s);
    server_again(&s);
    w = server_connect(&s, 2);
    check_pruned_again(w);
    r = server_connect(&s, 2);
    send_to(r, "DCHANGES FROM head BLOCK 0");
    until_blocked(w, 1);
    server_stop(&s); /* with a reader that waits */
    redisFree(w);
    redisFree(r);
    server_remove(&s);
}

int main(void)
{
    int n = readers_possible();
    run("everysec", "1", n);
    run("everysec", "2", 200);
    run("always", "2", 0);
    run("always", "1", 0);
    printf("changes_wait: %d passed, %d failed\n", checks - failures, failures);
    return failures ? 1 : 0;
}
