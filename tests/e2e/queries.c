/* Long queries beside other clients: turns, time limits, clients that go, pages that weigh much. */
#include "tests/support/server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DOCS      150000
#define PIPELINE  1000
#define SLOW_MS   250 /* generous: the machine may be busy. One turn is a millisecond */

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

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void load(void)
{
    redisReply *v;
    for (int i = 0; i < DOCS; i += PIPELINE) {
        for (int k = i; k < i + PIPELINE; k++)
            redisAppendCommand(r, "DPUT d:%d %s", k, k % 2 ? "{\"n\":1,\"t\":\"some words in a row that have to be looked at\"}" : "{\"n\":2,\"t\":\"others\"}");
        for (int k = 0; k < PIPELINE; k++) {
            if (redisGetReply(r, (void **)&v) != REDIS_OK) abort();
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

static long long blocked_clients(void)
{
    return info("blocked_clients:");
}

static void send_slow(redisContext *other)
{
    redisAppendCommand(other, "DQUERY %s", "FROM d WHERE t LIKE \"%zzz%\" OR t LIKE \"%yyy%\" ORDER BY t, n");
    int done = 0;
    while (!done) redisBufferWrite(other, &done);
}

/* While one client's query goes over everything, another one's commands are answered. */
static void test_turns(void)
{
    redisContext *other = server_connect(&server, 2);
    redisReply *v = NULL;
    double worst = 0;
    int between = 0;
    for (int round = 0; round < 100 && between < 5; round++) {
        send_slow(other);
        while (blocked_clients() > 0) {
            double from = now_ms();
            check("a read beside a query", ask_int(r, "EXISTS d:7") == 1);
            double took = now_ms() - from;
            if (took > worst) worst = took;
            between++;
        }
        check("the query answers", redisGetReply(other, (void **)&v) == REDIS_OK && v->type == REDIS_REPLY_ARRAY);
        check("it found nothing", map_get(v, "rows")->elements == 0);
        freeReplyObject(v);
    }
    check("others got their turns", between >= 3);
    check("and soon", worst < SLOW_MS);
    redisFree(other);
}

static void test_timeout(void)
{
    redisReply *v = ask(r, "DQUERY %s TIMEOUT 1", "FROM d WHERE t LIKE \"%zzz%\" OR t LIKE \"%yyy%\" ORDER BY t, n");
    check("TIMEOUT", v->type == REDIS_REPLY_ERROR && strncmp(v->str, "TIMEOUT ", 8) == 0);
    freeReplyObject(v);
    check("nobody is left waiting", blocked_clients() == 0);
    v = ask(r, "DQUERY %s TIMEOUT 600000 COUNT 3", "FROM d WHERE n = 2 ORDER BY t");
    check("time enough", v->type == REDIS_REPLY_ARRAY && map_get(v, "rows")->elements == 3);
    freeReplyObject(v);
}

/* Clients that go away in the middle leave nothing behind. */
static void test_gone(void)
{
    long long before = info("total_connections_received:");
    for (int i = 0; i < 20; i++) {
        redisContext *other = server_connect(&server, 2);
        send_slow(other);
        redisFree(other);
    }
    double until = now_ms() + 60000;
    while (info("total_connections_received:") < before + 20 && now_ms() < until) continue;
    while (info("connected_clients:") > 1 && now_ms() < until) continue;
    check("clients that went are forgotten", info("connected_clients:") == 1 && blocked_clients() == 0);
    check("and the server goes on", ask_int(r, "EXISTS d:7") == 1);
}

/* Inside a transaction there are no turns: it is answered at one go. */
static void test_transaction(void)
{
    freeReplyObject(ask(r, "MULTI"));
    freeReplyObject(ask(r, "DCOUNT d WHERE %s", "n = 2"));
    freeReplyObject(ask(r, "DQUERY %s COUNT 2", "FROM d WHERE n = 2 ORDER BY t"));
    redisReply *v = ask(r, "EXEC");
    check("EXEC", v->type == REDIS_REPLY_ARRAY && v->elements == 2);
    check("a count in a transaction", v->element[0]->integer == DOCS / 2);
    check("a query in a transaction", map_get(v->element[1], "rows")->elements == 2);
    freeReplyObject(v);
}

/* A page ends early when its rows weigh much; all of them come, in order, over the pages. */
static void test_heavy_pages(const char *nql)
{
    size_t bytes = 1 << 20, rows = 0, pages = 0;
    char *json = malloc(bytes), cursor[4096] = "0";
    memset(json, 'x', bytes);
    json[0] = json[bytes - 2] = '"', json[bytes - 1] = 0;
    for (int i = 0; i < 40; i++) check("a heavy document", ask(r, "DPUT heavy:%d %s", 10 + i, json)->type == REDIS_REPLY_ARRAY);
    for (bool more = true; more && pages < 50; pages++) {
        redisReply *v = ask(r, "DQUERY %s COUNT 1000 CURSOR %s", nql, cursor);
        check("a heavy page", v->type == REDIS_REPLY_ARRAY);
        redisReply *list = map_get(v, "rows"), *next = map_get(v, "cursor");
        for (size_t i = 0; i < list->elements; i++, rows++) {
            char key[32];
            snprintf(key, sizeof key, "heavy:%zu", 10 + rows);
            check("in order", strcmp(list->element[i]->element[0]->str, key) == 0);
        }
        more = next->str != NULL;
        snprintf(cursor, sizeof cursor, "%s", more ? next->str : "");
        freeReplyObject(v);
    }
    check("all rows", rows == 40);
    check("over several pages", pages >= 3 && pages < 10);
    free(json);
}

/* Pages go on over a restart. */
static void test_restart(void)
{
    char cursor[4096];
    redisReply *v = ask(r, "DQUERY %s COUNT 2", "FROM d WHERE n = 1 ORDER BY n");
    snprintf(cursor, sizeof cursor, "%s", map_get(v, "cursor")->str);
    freeReplyObject(v);
    redisFree(r);
    server_stop(&server);
    server_again(&server);
    r = server_connect(&server, 2);
    v = ask(r, "DQUERY %s COUNT 2 CURSOR %s", "FROM d WHERE n = 1 ORDER BY n", cursor);
    check("a cursor outlives a restart", v->type == REDIS_REPLY_ARRAY && map_get(v, "rows")->elements == 2);
    check("and goes on where it was", v->type == REDIS_REPLY_ARRAY && strcmp(map_get(v, "rows")->element[0]->element[0]->str, "d:100003") == 0);
    freeReplyObject(v);
}

int main(void)
{
    server_start(&server, NULL, (const char *const[]){"--threads", "1", NULL});
    r = server_connect(&server, 2);
    load();
    test_turns();
    test_timeout();
    test_gone();
    test_transaction();
    test_heavy_pages("FROM heavy");
    test_heavy_pages("FROM heavy ORDER BY _key");
    test_heavy_pages("FROM heavy ORDER BY $, _key");
    test_restart();
    redisFree(r);
    server_stop(&server);
    server_remove(&server);
    printf("%lu passed, %lu failed\n", passed, failed);
    return failed > 0;
}
