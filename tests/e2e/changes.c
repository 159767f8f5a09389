/* A client that knows the store from DCHANGES alone: it rebuilds keys, documents and links while others write, the server is stopped and killed, and history is compacted
 * away, and then compares what it has with what the store answers. */
#include "tests/support/server.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WRITERS 3
#define TEXTS   60
#define DOCS    12
#define ROUNDS  6
#define WRITES  1500
#define NAME    64
#define THINGS  1024
#define CONNECT_TRIES 10000

static int failures, checks;
static struct server s;
static atomic_int port;

static void expect(bool ok, const char *what)
{
    checks++;
    if (ok) return;
    failures++;
    fprintf(stderr, "failed: %s\n", what);
}

/* ---- the writers ---- */

static atomic_int writing;

static unsigned next_random(unsigned *r, unsigned below)
{
    *r = *r * 1664525u + 1013904223u;
    return (*r >> 8) % below;
}

static redisContext *connect_again(redisContext *c)
{
    if (c) redisFree(c);
    for (int tries = 0; tries < CONNECT_TRIES; tries++) {
        struct server now = {.port = atomic_load(&port)};
        c = redisConnect("127.0.0.1", now.port);
        if (c && !c->err) return c;
        if (c) redisFree(c);
        usleep(2000);
    }
    fprintf(stderr, "the server does not answer\n");
    abort();
}

static bool say(redisContext *c, const char *command)
{
    redisReply *v = redisCommand(c, command);
    if (v == NULL) return false;
    freeReplyObject(v);
    return true;
}

/* Both keys in one commit: no reader may ever see them differ. */
static bool write_twins(redisContext *c, unsigned value)
{
    char text[96];
    bool ok = say(c, "MULTI");
    for (int i = 1; ok && i <= 2; i++) {
        snprintf(text, sizeof text, "SET twin:%d %u", i, value);
        ok = say(c, text);
    }
    return ok && say(c, "EXEC");
}

static bool write_document(redisContext *c, unsigned *r)
{
    char text[160];
    unsigned a = next_random(r, DOCS), b = next_random(r, DOCS), rel = next_random(r, 2), n = next_random(r, 1000);
    switch (next_random(r, 10)) {
    case 0: snprintf(text, sizeof text, "DDEL d:%u", a); break;
    case 1: snprintf(text, sizeof text, "SET d:%u plain", a); break;
    case 2:
    case 3: snprintf(text, sizeof text, "DUNLINK d:%u r%u d:%u", a, rel, b); break;
    case 4:
    case 5: snprintf(text, sizeof text, "DLINK d:%u r%u d:%u", a, rel, b); break;
    case 6: snprintf(text, sizeof text, "DLINK d:%u r%u d:%u PROPS {\"n\":%u}", a, rel, b, n % 3); break;
    default: snprintf(text, sizeof text, "DPUT d:%u {\"n\":%u}", a, n); break;
    }
    return say(c, text);
}

static bool write_text(redisContext *c, unsigned *r)
{
    char text[160];
    unsigned a = next_random(r, TEXTS), b = next_random(r, TEXTS), n = next_random(r, 1000);
    switch (next_random(r, 12)) {
    case 0: snprintf(text, sizeof text, "DEL s:%u s:%u", a, b); break;
    case 1: snprintf(text, sizeof text, "SETRANGE s:%u %u %u", a, n * 4, n); break;
    case 2: snprintf(text, sizeof text, "SET s:%u soon PX %u", a, 1 + n % 40); break;
    case 3: snprintf(text, sizeof text, "PEXPIRE s:%u %u", a, 1 + n % 40); break;
    case 4: snprintf(text, sizeof text, "RENAME s:%u s:%u", a, b); break;
    case 5: snprintf(text, sizeof text, "COPY s:%u s:%u REPLACE", a, b); break;
    case 6:
    case 7: snprintf(text, sizeof text, "APPEND s:%u +%u", a, n); break;
    default: snprintf(text, sizeof text, "SET s:%u %u", a, n); break;
    }
    return say(c, text);
}

static void *writer(void *arg)
{
    unsigned r = (unsigned)(uintptr_t)arg;
    redisContext *c = connect_again(NULL);
    for (int i = 0; i < WRITES; i++) {
        unsigned dice = next_random(&r, 1000);
        bool ok = dice < 2     ? say(c, "FLUSHDB")
                  : dice < 3   ? say(c, "FLUSHALL")
                  : dice < 4   ? say(c, "SWAPDB 0 1")
                  : dice < 6   ? say(c, "DCOMPACT KEEP 1 ASYNC")
                  : dice < 100 ? write_twins(c, next_random(&r, 100000))
                  : dice < 500 ? write_document(c, &r)
                               : write_text(c, &r);
        if (!ok) c = connect_again(c);
    }
    redisFree(c);
    atomic_fetch_sub(&writing, 1);
    return NULL;
}

/* ---- what the feed has told ---- */

static struct thing {
    char name[NAME];
    bool link;
    char *value; /* NULL: gone */
} things[THINGS];
static size_t n_things;

static struct thing *thing_of(const char *name, bool link)
{
    for (size_t i = 0; i < n_things; i++)
        if (things[i].link == link && strcmp(things[i].name, name) == 0) return &things[i];
    if (n_things == THINGS || strlen(name) >= NAME) abort();
    struct thing *t = &things[n_things++];
    *t = (struct thing){.link = link};
    memcpy(t->name, name, strlen(name) + 1);
    return t;
}

static void forget_all(void)
{
    for (size_t i = 0; i < n_things; i++) free(things[i].value), things[i].value = NULL;
}

static struct {
    char next[64];
    long long newest;  /* seq of the newest event */
    long long began;   /* head when it began at 0 */
    bool swapped;      /* the database has another content now: begin anew */
    long long head;
    bool more;
    unsigned events, restarts, pruned;
} feed;

static void begin_anew(void)
{
    forget_all();
    strcpy(feed.next, "0");
    feed.newest = feed.began = 0;
    feed.swapped = false;
    feed.restarts++;
}

static void apply(const redisReply *e)
{
    const redisReply *key = map_get(e, "key"), *data = map_get(e, "data"), *commit = map_get(e, "commit");
    const char *op = map_get(e, "op")->str;
    long long seq = map_get(e, "seq")->integer;
    if (seq <= feed.newest) fprintf(stderr, "seq %lld behind %lld\n", seq, feed.newest);
    expect(seq > feed.newest, "events ascend, none comes twice");
    expect(commit->element[0]->integer <= seq && commit->element[1]->integer >= seq, "an event lies in its commit");
    feed.newest = seq;
    feed.events++;
    if (key->type == REDIS_REPLY_NIL) {
        if (strcmp(op, "flush") == 0) forget_all();
        if (strcmp(op, "swap") == 0 && seq > feed.began) feed.swapped = true;
        return;
    }
    struct thing *t = thing_of(key->str, strcmp(op, "link") == 0 || strcmp(op, "unlink") == 0);
    free(t->value);
    t->value = NULL;
    if (strcmp(op, "delete") == 0 || strcmp(op, "expire") == 0 || strcmp(op, "unlink") == 0) return;
    bool old = strcmp(map_get(e, "state")->str, "old") == 0; /* what its value was made from may be dropped: a later event ends it */
    if (!t->link && !old) expect(data->type == REDIS_REPLY_STRING, "a live key has its value with it");
    size_t n = data->type == REDIS_REPLY_STRING ? data->len : 0;
    t->value = calloc(1, n + 1);
    if (t->value == NULL) abort();
    if (n) memcpy(t->value, data->str, n);
}

/* One request. False: the connection broke. */
static bool read_feed(redisContext *c, unsigned count, int block_ms)
{
    char block[32] = "";
    if (block_ms) snprintf(block, sizeof block, "BLOCK %d", block_ms);
    char command[160];
    snprintf(command, sizeof command, "DCHANGES FROM %s COUNT %u WITHDATA %s", feed.next, count, block);
    redisReply *v = redisCommand(c, command);
    if (v == NULL) return false;
    if (v->type == REDIS_REPLY_ERROR) {
        if (strncmp(v->str, "PRUNED", 6) == 0) {
            feed.pruned++;
            begin_anew();
        } else {
            fprintf(stderr, "%s: %s\n", command, v->str);
            expect(false, "a feed goes on");
        }
        freeReplyObject(v);
        return true;
    }
    const redisReply *next = map_get(v, "next"), *events = map_get(v, "events");
    feed.head = map_get(v, "head")->integer;
    feed.more = map_get(v, "more")->integer != 0;
    if (feed.began == 0) feed.began = feed.head;
    if (feed.swapped && events->elements == 0 && !feed.more) begin_anew();
    for (size_t i = 0; i < events->elements; i++) apply(events->element[i]);
    if (next->type == REDIS_REPLY_INTEGER)
        snprintf(feed.next, sizeof feed.next, "%lld", next->integer);
    else
        snprintf(feed.next, sizeof feed.next, "%s", next->str);
    expect(feed.more || atoll(feed.next) == feed.head, "nothing more: it stands at the head");
    freeReplyObject(v);
    if (feed.swapped) begin_anew();
    const char *a = thing_of("twin:1", false)->value, *b = thing_of("twin:2", false)->value;
    expect((a == NULL && b == NULL) || (a && b && strcmp(a, b) == 0), "a commit is seen whole");
    return true;
}

/* ---- comparing ---- */

static bool same_key(redisContext *c, const char *name)
{
    const struct thing *t = thing_of(name, false);
    redisReply *type = redisCommand(c, "TYPE %s", name);
    if (type == NULL) abort();
    redisReply *v = redisCommand(c, strcmp(type->str, "document") == 0 ? "DGET %s" : "GET %s", name);
    if (v == NULL) abort();
    bool same = v->type == REDIS_REPLY_STRING ? t->value && strcmp(t->value, v->str) == 0 : t->value == NULL;
    freeReplyObject(v);
    freeReplyObject(type);
    return same;
}

static bool same_links(redisContext *c)
{
    size_t told = 0, there = 0;
    bool same = true;
    for (size_t i = 0; i < n_things; i++) told += things[i].link && things[i].value;
    for (unsigned d = 0; d < DOCS; d++) {
        redisReply *v = redisCommand(c, "DLINKS d:%u OUT COUNT 1000", d);
        if (v == NULL || v->type != REDIS_REPLY_ARRAY) abort();
        const redisReply *rows = v->element[1];
        there += rows->elements;
        for (size_t i = 0; i < rows->elements && same; i++) {
            char name[NAME];
            snprintf(name, sizeof name, "%s %s %s", map_get(rows->element[i], "from")->str, map_get(rows->element[i], "rel")->str,
                     map_get(rows->element[i], "to")->str);
            const redisReply *props = map_get(rows->element[i], "props");
            const char *have = thing_of(name, true)->value;
            same = have && strcmp(have, props->type == REDIS_REPLY_STRING ? props->str : "") == 0;
        }
        freeReplyObject(v);
    }
    return same && told == there;
}

static bool same_all(redisContext *c, bool tell)
{
    char name[NAME];
    bool same = same_key(c, "twin:1") && same_key(c, "twin:2");
    for (unsigned i = 0; i < TEXTS + DOCS && same; i++) {
        snprintf(name, sizeof name, i < TEXTS ? "s:%u" : "d:%u", i < TEXTS ? i : i - TEXTS);
        same = same_key(c, name);
        if (!same && tell) fprintf(stderr, "%s differs\n", name);
    }
    bool links = same_links(c);
    if (!links && tell) fprintf(stderr, "links differ\n");
    return same && links;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Keys that time ends get their node when somebody looks: so it may take a few rounds. */
static void compare(redisContext *c, const char *what)
{
    double until = now_s() + 20;
    bool same = false;
    while (!same && now_s() < until) {
        do {
            if (!read_feed(c, 500, 0)) abort();
        } while (feed.more || strcmp(feed.next, "0") == 0);
        same = same_all(c, false);
    }
    if (!same) (void)same_all(c, true);
    expect(same, what);
}

/* ---- rounds ---- */

static void interrupt_server(int how)
{
    if (how % 2)
        server_kill(&s);
    else
        server_stop(&s);
    server_again(&s);
    atomic_store(&port, s.port);
}

static void run_round(int round, unsigned *r)
{
    pthread_t thread[WRITERS];
    atomic_store(&writing, WRITERS);
    for (int i = 0; i < WRITERS; i++) pthread_create(&thread[i], NULL, writer, (void *)(uintptr_t)(round * 100 + i + 1));
    redisContext *c = connect_again(NULL);
    for (unsigned reads = 0; atomic_load(&writing) > 0; reads++) {
        if (reads == 40 && round > 0) {
            interrupt_server(round);
            c = connect_again(c);
        }
        if (!read_feed(c, 1 + next_random(r, 60), next_random(r, 3) ? 20 : 0)) c = connect_again(c);
    }
    for (int i = 0; i < WRITERS; i++) pthread_join(thread[i], NULL);
    compare(c, "the feed's state is the store's");
    redisFree(c);
}

int main(int argc, char **argv)
{
    unsigned r = argc > 1 ? (unsigned)atoi(argv[1]) : 7;
    server_start(&s, NULL, (const char *const[]){"--threads", argc > 2 ? argv[2] : "2", "--segment-bytes", "65536", "--databases", "2", NULL});
    atomic_store(&port, s.port);
    begin_anew();
    for (int round = 0; round < ROUNDS; round++) run_round(round, &r);
    begin_anew(); /* what is left rebuilds the present */
    redisContext *c = connect_again(NULL);
    compare(c, "a feed from 0 over a compacted log gives the present");
    redisFree(c);
    expect(feed.events > 1000, "there were changes");
    fprintf(stderr, "%u events, begun %u times, %u of them because of retention\n", feed.events, feed.restarts, feed.pruned);
    server_stop(&s);
    server_remove(&s);
    printf("changes: %d passed, %d failed\n", checks - failures, failures);
    return failures ? 1 : 0;
}
