/* Reads that go over much, most of them of the past, beside other clients: while one works, another's PING is answered, in the order of events and not by the clock; who asks
 * gets the same as at one go; who goes away leaves nothing. */
#include "tests/support/server.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYS     100000
#define EARLY    1000
#define PIPELINE 1000
#define ROUNDS   30 /* tries, while a machine in a hurry gives no turn between */

static struct server server;
static redisContext *r;
static unsigned long passed, failed;

static void check(const char *what, bool ok)
{
    if (ok) {
        passed++;
        return;
    }
    failed++;
    fprintf(stderr, "failed: %s\n", what);
}

static void send_all(redisContext *c)
{
    int done = 0;
    while (!done && redisBufferWrite(c, &done) == REDIS_OK) continue;
}

static void many(int n, const char *format)
{
    redisReply *v;
    for (int i = 0; i < n; i += PIPELINE) {
        for (int k = i; k < i + PIPELINE && k < n; k++) redisAppendCommand(r, format, k, k);
        for (int k = i; k < i + PIPELINE && k < n; k++) {
            if (redisGetReply(r, (void **)&v) != REDIS_OK || v->type == REDIS_REPLY_ERROR) abort();
            freeReplyObject(v);
        }
    }
}

static long long info(const char *which)
{
    redisReply *v = ask(r, "INFO");
    const char *at = strstr(v->str, which);
    long long n = at ? strtoll(at + strlen(which), NULL, 10) : -1;
    freeReplyObject(v);
    return n;
}

struct points {
    long long early, keys, docs;
};

/* A few keys, many that come later, documents over them, all of that much newer again, and one of many versions that have one cause. */
static struct points load(void)
{
    struct points p;
    many(EARLY, "SET early:%d v%d");
    p.early = info("last_seq:");
    many(KEYS, "SET key:%d v%d");
    p.keys = info("last_seq:");
    many(KEYS, "DPUT d:%d {\"n\":%d}");
    p.docs = info("last_seq:");
    many(KEYS, "DPUT e:%d {\"n\":%d}");
    many(KEYS, "DPUT d:%d {\"n\":-%d}");
    many(KEYS, "DPUT often [%d,%d] CAUSEDBY 1 key:d:1");
    return p;
}

/* Is something of the reply there? */
static bool has_come(const redisContext *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

/* The command's reply, and whether another client's PINGs were answered between its beginning and its end: it is blocked when they ask. */
static redisReply *beside(redisContext *other, const char *command, bool *answered)
{
    redisReply *v = NULL;
    *answered = false;
    for (int round = 0; round < ROUNDS && !*answered; round++) {
        freeReplyObject(v);
        redisAppendCommand(other, command);
        send_all(other);
        /* Seen blocked, it waits for its turns; PING is answered; and then it is still blocked: so PING came in between. */
        while (!*answered && !has_come(other)) {
            if (info("blocked_clients:") == 0) continue;
            redisReply *pong = ask(r, "PING");
            check("PING", pong->type == REDIS_REPLY_STATUS);
            freeReplyObject(pong);
            *answered = info("blocked_clients:") > 0;
        }
        if (redisGetReply(other, (void **)&v) != REDIS_OK) abort();
    }
    return v;
}

static bool same(const redisReply *a, const redisReply *b)
{
    if (a->type != b->type || a->integer != b->integer || a->elements != b->elements) return false;
    if ((a->str == NULL) != (b->str == NULL) || (a->str && (a->len != b->len || memcmp(a->str, b->str, a->len) != 0))) return false;
    for (size_t i = 0; i < a->elements; i++)
        if (!same(a->element[i], b->element[i])) return false;
    return true;
}

/* The same inside a transaction, where it has to be done at one go. */
static redisReply *at_one_go(redisContext *other, const char *command)
{
    freeReplyObject(ask(other, "MULTI"));
    freeReplyObject(ask(other, command));
    redisReply *v = ask(other, "EXEC");
    check("EXEC", v->type == REDIS_REPLY_ARRAY && v->elements == 1);
    return v;
}

static void test_each(const struct points *p, size_t n_commands, char commands[][120])
{
    redisContext *other = server_connect(&server, 2);
    for (size_t i = 0; i < n_commands; i++) {
        bool answered;
        redisReply *v = beside(other, commands[i], &answered), *whole = at_one_go(other, commands[i]);
        check(commands[i], v->type != REDIS_REPLY_ERROR);
        check("a PING is answered before it ends", answered);
        check("the same at one go", strstr(commands[i], "RANDOMKEY") || same(v, whole->element[0]));
        if (!answered) fprintf(stderr, "no turn beside %s\n", commands[i]);
        freeReplyObject(v);
        freeReplyObject(whole);
    }
    redisReply *v = ask(other, "DRUN %lld DBSIZE", p->early);
    check("DBSIZE then", v->integer == EARLY);
    freeReplyObject(v);
    v = ask(other, "DRUN %lld KEYS *", p->keys);
    check("KEYS then", v->type == REDIS_REPLY_ARRAY && v->elements == EARLY + KEYS);
    freeReplyObject(v);
    redisFree(other);
}

/* Clients that go in the middle, and ones that are killed there. */
static void test_gone(size_t n_commands, char commands[][120])
{
    long long before = info("total_connections_received:"), gone = 0;
    for (size_t i = 0; i < n_commands; i++) {
        for (int killed = 0; killed < 2; killed++, gone++) {
            redisContext *other = server_connect(&server, 2);
            long long id = ask_int(other, "CLIENT ID");
            redisAppendCommand(other, commands[i]);
            send_all(other);
            if (killed) freeReplyObject(ask(r, "CLIENT KILL ID %lld", id));
            redisFree(other);
        }
    }
    for (int i = 0; i < 100000 && info("total_connections_received:") < before + gone; i++) continue;
    for (int i = 0; i < 100000 && info("connected_clients:") > 1; i++) continue;
    check("clients that went are forgotten", info("connected_clients:") == 1 && info("blocked_clients:") == 0);
}

static void run(const char *threads)
{
    server_start(&server, NULL, (const char *const[]){"--threads", threads, NULL});
    r = server_connect(&server, 2);
    freeReplyObject(ask(r, "DINDEX CREATE d n"));
    struct points p = load();
    char commands[13][120];
    size_t n = 0;
    snprintf(commands[n++], sizeof commands[0], "DRUN %lld KEYS *", p.keys);
    snprintf(commands[n++], sizeof commands[0], "DRUN %lld KEYS nothing*", p.early);
    snprintf(commands[n++], sizeof commands[0], "DRUN %lld DBSIZE", p.early);
    snprintf(commands[n++], sizeof commands[0], "DRUN 1 RANDOMKEY");
    snprintf(commands[n++], sizeof commands[0], "DRUN %lld SCAN 0 COUNT 1000000", p.keys);
    snprintf(commands[n++], sizeof commands[0], "DCOLLS ASOF %lld", p.docs);
    snprintf(commands[n++], sizeof commands[0], "DSCAN 0 COUNT 10 ASOF %lld", p.early);
    snprintf(commands[n++], sizeof commands[0], "DSCAN 0 COUNT 100000 WITHDATA ASOF %lld", p.docs);
    snprintf(commands[n++], sizeof commands[0], "DTOP d n DESC 10000 ASOF %lld", p.docs);
    snprintf(commands[n++], sizeof commands[0], "DTOP d n DESC 10 ASOF %lld", p.keys);
    snprintf(commands[n++], sizeof commands[0], "DTRACE key:d:1 EFFECTS LIMIT %d WITHDATA", KEYS);
    snprintf(commands[n++], sizeof commands[0], "DHISTORY often COUNT %d", KEYS);
    snprintf(commands[n++], sizeof commands[0], "DCHANGES FROM 0 COUNT %d", KEYS);
    test_each(&p, n, commands);
    test_gone(n, commands);
    redisFree(r);
    server_stop(&server);
    server_remove(&server);
}

int main(void)
{
    run("1");
    run("2");
    printf("%lu passed, %lu failed\n", passed, failed);
    return failed > 0;
}
