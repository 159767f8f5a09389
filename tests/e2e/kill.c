/* kill -9 under concurrent load, in a loop: after each restart every acknowledged write is there, and nothing is there that was never sent.
 *
 * Each writer owns its keys and writes rising numbers, so what a key may hold after a kill is exactly: the last acknowledged number, or one of those that were
 * on their way. A transaction writes one number to two keys: after a kill they are equal.
 *
 *   kill [--rounds N] */
#include "tests/support/server.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITERS 4
#define DEPTH 8 /* commands on their way per writer */

struct writer {
    pthread_t thread;
    const struct server *server;
    int id;
    bool transactions;
    long long sent, acked;
};

static bool take(redisContext *r, struct writer *w)
{
    redisReply *v = NULL;
    if (redisGetReply(r, (void **)&v) != REDIS_OK) return false;
    bool ok = v->type != REDIS_REPLY_ERROR;
    if (!ok) fprintf(stderr, "refused: %s\n", v->str);
    freeReplyObject(v);
    if (ok) w->acked++;
    return ok;
}

static void send_one(redisContext *r, struct writer *w)
{
    long long n = ++w->sent;
    switch (w->id % 3) {
    case 0: redisAppendCommand(r, "SET w:%d %lld", w->id, n); break;
    case 1: redisAppendCommand(r, "DPUT w:%d {\"n\":%lld}", w->id, n); break;
    default: redisAppendCommand(r, "MSET w:%d %lld w:%d:twin %lld", w->id, n, w->id, n); break;
    }
}

static void *write_until_cut(void *arg)
{
    struct writer *w = arg;
    redisContext *r = server_connect(w->server, 2);
    if (r == NULL) return NULL;
    w->sent = w->acked;
    for (int i = 0; i < DEPTH; i++) send_one(r, w);
    while (take(r, w)) send_one(r, w);
    redisFree(r);
    return NULL;
}

static long long number_in(const char *text)
{
    const char *digits = strpbrk(text, "0123456789");
    return digits ? strtoll(digits, NULL, 10) : -1;
}

static long long stored(redisContext *r, int id, const char *suffix)
{
    redisReply *v = id % 3 == 1 ? ask(r, "DGET w:%d%s", id, suffix) : ask(r, "GET w:%d%s", id, suffix);
    long long n = v->type == REDIS_REPLY_STRING ? number_in(v->str) : v->type == REDIS_REPLY_NIL ? 0 : -1;
    freeReplyObject(v);
    return n;
}

static bool check(redisContext *r, struct writer *w)
{
    long long n = stored(r, w->id, "");
    if (n < w->acked || n > w->sent) {
        fprintf(stderr, "writer %d: acknowledged %lld, sent %lld, stored %lld\n", w->id, w->acked, w->sent, n);
        return false;
    }
    if (w->id % 3 == 2 && stored(r, w->id, ":twin") != n) {
        fprintf(stderr, "writer %d: half a commit\n", w->id);
        return false;
    }
    w->acked = n; /* the next round goes on from what is there */
    return true;
}

static bool verify_clean(redisContext *r)
{
    redisReply *v = ask(r, "DVERIFY");
    redisReply *bad = map_get(v, "bad"), *root = map_get(v, "root_ok");
    bool ok = bad && bad->elements == 0 && root && root->integer == 1;
    if (!ok) fprintf(stderr, "DVERIFY is not content\n");
    freeReplyObject(v);
    return ok;
}

static int rounds_of(const char *policy, int rounds, unsigned seed)
{
    const char *args[] = {"--appendfsync", policy, NULL};
    struct server s;
    struct writer w[WRITERS];
    int good = 0;
    server_start(&s, NULL, args);
    memset(w, 0, sizeof w);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < WRITERS; i++) {
            w[i].server = &s;
            w[i].id = i;
            if (pthread_create(&w[i].thread, NULL, write_until_cut, &w[i])) abort();
        }
        seed = seed * 1103515245u + 12345u;
        (void)poll(NULL, 0, 30 + (int)(seed >> 16) % 300); /* when the axe falls is the test's random variable */
        server_kill(&s);
        for (int i = 0; i < WRITERS; i++) pthread_join(w[i].thread, NULL);
        server_again(&s);
        redisContext *r = server_connect(&s, 2);
        bool ok = true;
        for (int i = 0; i < WRITERS; i++) ok &= check(r, &w[i]);
        ok &= verify_clean(r);
        redisFree(r);
        good += ok;
    }
    printf("%s: %d of %d rounds good, %lld acknowledged writes\n", policy, good, rounds, w[0].acked + w[1].acked + w[2].acked + w[3].acked);
    server_stop(&s);
    server_remove(&s);
    return good;
}

int main(int argc, char **argv)
{
    int rounds = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 12, good = 0;
    static const char *const policies[] = {"always", "everysec", "no"};
    for (int i = 0; i < 3; i++) good += rounds_of(policies[i], rounds, 77u + (unsigned)i);
    printf("kill: %d passed, %d failed\n", good, 3 * rounds - good);
    return good == 3 * rounds ? 0 : 1;
}
