/* The soak: every command mixed, for as long as one likes, with kills, compaction and checks.
 *
 *   soak [--minutes N] [--seed S]
 *
 * A round: a server over the same data, writers each with keys of their own, a reader of everything, a caretaker (compaction, rules, indexes, tags, settings), and a
 * follower that rebuilds the documents from the feed alone. It ends with an orderly stop or a kill at any time. Each writer knows what its keys must hold: the state
 * after its last acknowledged command, or after the one that was on its way, of all its keys together. What it wrote at a seq must be read there ever after, or be
 * PRUNED. An error that a command should not give, a wrong answer, a server that ends by itself, or damage that the tool finds fails the soak.
 *
 * Prints a line a round: what was done, memory and disk. */
#include "tests/support/server.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WRITERS       4
#define DOCS          16
#define STRINGS       8
#define FACTS         3000 /* remembered (seq, key, value) of each writer */
#define ROUND_SECONDS 12
#define FEED_DOCS     4096
#define COMMAND_MAX   2048

struct doc {
    bool live;
    long long n;
};
struct world {
    struct doc doc[DOCS];
    struct {
        bool live;
        char text[64];
    } string[STRINGS];
};
struct fact {
    long long seq, n;
    int doc;
    bool live;
};
struct writer {
    pthread_t thread;
    int id;
    uint64_t rng;
    redisContext *c;
    struct world now, next; /* next: after the command on its way */
    bool on_its_way;
    struct fact fact[FACTS];
    size_t n_facts;
    long long done, token;
};

static struct server server;
static struct writer writers[WRITERS];
static atomic_bool stopping, failed;
static atomic_long asked, errors_expected, feed_events, feed_resets;
static uint64_t seed;

static uint64_t rnd_of(uint64_t *s, uint64_t below)
{
    *s ^= *s << 13, *s ^= *s >> 7, *s ^= *s << 17;
    return below ? (*s >> 11) % below : 0;
}
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "soak FAILED (seed %" PRIu64 "): ", seed);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    atomic_store(&failed, true);
    atomic_store(&stopping, true);
}

/* NULL: there is no server, since it was killed. */
static redisContext *connected(void)
{
    redisContext *c = redisConnect("127.0.0.1", server.port);
    if (c == NULL || c->err == 0) return c;
    redisFree(c);
    return NULL;
}

/* NULL: the connection was cut. */
static redisReply *command(redisContext *c, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    redisReply *r = redisvCommand(c, format, ap);
    va_end(ap);
    atomic_fetch_add(&asked, 1);
    return r;
}
static bool begins(const redisReply *r, const char *code)
{
    return r->type == REDIS_REPLY_ERROR && strncmp(r->str, code, strlen(code)) == 0;
}
static long long field(const redisReply *map, const char *name)
{
    const redisReply *f = map ? map_get(map, name) : NULL;
    return f && f->type == REDIS_REPLY_INTEGER ? f->integer : -1;
}

/* ---- a writer: commands with their effect on its world ---- */

static uint64_t roll(struct writer *w, uint64_t below)
{
    return rnd_of(&w->rng, below);
}

static void remember(struct writer *w, int doc, long long seq)
{
    size_t at = w->n_facts < FACTS ? w->n_facts++ : roll(w, FACTS);
    w->fact[at] = (struct fact){seq, w->next.doc[doc].n, doc, w->next.doc[doc].live};
}

/* Sends a command whose effect is in w->next. kind: '*' [seq, hash], 'i' any integer, '+' OK, 'e' EXEC. False: cut. *took: it was done. */
static bool act(struct writer *w, const char *text, char kind, int doc, bool *took)
{
    bool done;
    w->on_its_way = true;
    redisReply *r = command(w->c, text);
    *took = false;
    if (!r) return false;
    done = r->type != REDIS_REPLY_ERROR && r->type != REDIS_REPLY_NIL;
    if (r->type == REDIS_REPLY_ERROR && !begins(r, "PRUNED")) fail("'%s' answered '%s'", text, r->str);
    if (begins(r, "PRUNED")) atomic_fetch_add(&errors_expected, 1);
    if (done && kind == '*' && r->type != REDIS_REPLY_ARRAY) fail("'%s' answered no [seq, hash]", text);
    if (done) {
        if (kind == '*' && doc >= 0 && r->elements == 2 && r->element[0]->type == REDIS_REPLY_INTEGER)
            remember(w, doc, r->element[0]->integer);
        w->now = w->next;
    }
    *took = done;
    w->on_its_way = false;
    w->next = w->now;
    w->done++;
    freeReplyObject(r);
    return true;
}

static bool write_document(struct writer *w, int d)
{
    char text[COMMAND_MAX];
    bool took;
    long long n = (long long)roll(w, 1000);
    struct doc *next = &w->next.doc[d];
    bool live = next->live;
    switch (roll(w, 8)) {
    case 0:
        if (!live) return true;
        next->n = n;
        (void)snprintf(text, sizeof text, "DPATCH w%d:%d MERGE {\"n\":%lld}", w->id, d, n);
        return act(w, text, '*', d, &took);
    case 1:
        if (!live) return true;
        next->n = n;
        (void)snprintf(text, sizeof text, "DPATCH w%d:%d OPS [{\"op\":\"replace\",\"path\":\"/n\",\"value\":%lld}]", w->id, d, n);
        return act(w, text, '*', d, &took);
    case 2:
        if (!live) return true;
        next->n += 7;
        (void)snprintf(text, sizeof text, "DINCRBY w%d:%d n 7", w->id, d);
        return act(w, text, 'i', -1, &took);
    case 3:
        if (!live) return true;
        next->live = false;
        (void)snprintf(text, sizeof text, "DDEL w%d:%d", w->id, d);
        return act(w, text, '*', d, &took);
    case 4:
        next->live = true, next->n = n;
        (void)snprintf(text, sizeof text,
                       "DPUT w%d:%d {\"n\":%lld,\"g\":%lld,\"s\":\"word%lld-lorem\"} IDEM w%d-%lld NOTE soak EX 100000", w->id, d,
                       n, n % 5, n % 50, w->id, ++w->token);
        return act(w, text, '*', d, &took);
    default:
        next->live = true, next->n = n;
        (void)snprintf(text, sizeof text, "DPUT w%d:%d {\"n\":%lld,\"g\":%lld,\"s\":\"word%lld-ipsum\",\"pad\":\"%.*s\"}", w->id,
                       d, n, n % 5, n % 50, (int)roll(w, 300),
                       "........................................................................................................."
                       "................................................"
                       "........................................................................................................."
                       "...............................................");
        return act(w, text, '*', d, &took);
    }
}

static bool write_several(struct writer *w)
{
    char text[COMMAND_MAX];
    bool took;
    int a = (int)roll(w, DOCS), b = (int)roll(w, DOCS);
    long long n = (long long)roll(w, 1000);
    if (a == b) return true;
    switch (roll(w, 5)) {
    case 0:
        w->next.doc[a] = w->next.doc[b] = (struct doc){true, n};
        (void)snprintf(text, sizeof text, "DMPUT 2 w%d:%d {\"n\":%lld} * w%d:%d {\"n\":%lld} *", w->id, a, n, w->id, b, n);
        return act(w, text, '*', -1, &took);
    case 1:
        if (!w->now.doc[a].live) return true;
        w->next.doc[b] = w->next.doc[a];
        w->next.doc[a].live = false;
        (void)snprintf(text, sizeof text, "RENAME w%d:%d w%d:%d", w->id, a, w->id, b);
        return act(w, text, '+', -1, &took);
    case 2:
        if (!w->now.doc[a].live) return true;
        w->next.doc[b] = w->next.doc[a];
        (void)snprintf(text, sizeof text, "COPY w%d:%d w%d:%d REPLACE", w->id, a, w->id, b);
        return act(w, text, 'i', -1, &took);
    case 3:
        if (!w->now.doc[a].live || !w->now.doc[b].live) return true;
        (void)snprintf(text, sizeof text, roll(w, 3) ? "DLINK w%d:%d knows w%d:%d" : "DUNLINK w%d:%d knows w%d:%d", w->id, a,
                       w->id, b);
        return act(w, text, '?', -1, &took);
    default: {
        redisReply *r;
        w->next.doc[a] = (struct doc){true, n};
        w->next.string[0].live = true;
        (void)snprintf(w->next.string[0].text, sizeof w->next.string[0].text, "%lld", n);
        if (!(r = command(w->c, "MULTI"))) return false;
        freeReplyObject(r);
        if (!(r = command(w->c, "SET s%d:0 %lld", w->id, n))) return false;
        freeReplyObject(r);
        if (!(r = command(w->c, "DPUT w%d:%d {\"n\":%lld}", w->id, a, n))) return false;
        freeReplyObject(r);
        return act(w, "EXEC", 'e', -1, &took);
    }
    }
}

static bool write_string(struct writer *w)
{
    char text[COMMAND_MAX];
    bool took;
    int i = (int)roll(w, STRINGS);
    size_t n = strlen(w->now.string[i].text);
    if (!w->now.string[i].live) n = 0;
    switch (roll(w, 5)) {
    case 0:
        if (!w->now.string[i].live) return true;
        w->next.string[i].live = false;
        (void)snprintf(text, sizeof text, "DEL s%d:%d", w->id, i);
        return act(w, text, 'i', -1, &took);
    case 1:
        if (n + 2 >= sizeof w->next.string[i].text) return true;
        w->next.string[i].live = true;
        memcpy(w->next.string[i].text + n, "+", 2);
        (void)snprintf(text, sizeof text, "APPEND s%d:%d +", w->id, i);
        return act(w, text, 'i', -1, &took);
    default:
        w->next.string[i].live = true;
        (void)snprintf(w->next.string[i].text, sizeof w->next.string[i].text, "v%u", (unsigned)roll(w, 100000));
        (void)snprintf(text, sizeof text, "SET s%d:%d %s", w->id, i, w->next.string[i].text);
        return act(w, text, '+', -1, &took);
    }
}

/* Back to a fact: one key, as it was at a seq of its own. */
static bool revert_document(struct writer *w)
{
    char text[COMMAND_MAX];
    bool took;
    if (w->n_facts == 0) return true;
    const struct fact *f = &w->fact[roll(w, w->n_facts)];
    w->next.doc[f->doc] = (struct doc){f->live, f->n};
    (void)snprintf(text, sizeof text, "DREVERT w%d:%d %lld", w->id, f->doc, f->seq);
    return act(w, text, '*', f->doc, &took);
}

/* ---- a writer's checks ---- */

static bool holds_document(struct writer *w, int d, const struct doc *want, bool *same)
{
    redisReply *r = command(w->c, "DGET w%d:%d n", w->id, d);
    if (!r) return false;
    *same = want->live ? r->type == REDIS_REPLY_STRING && strtoll(r->str, NULL, 10) == want->n : r->type == REDIS_REPLY_NIL;
    freeReplyObject(r);
    return true;
}

static bool holds_world(struct writer *w, const struct world *want, bool *same)
{
    *same = true;
    for (int d = 0; d < DOCS && *same; d++)
        if (!holds_document(w, d, &want->doc[d], same)) return false;
    for (int i = 0; i < STRINGS && *same; i++) {
        redisReply *r = command(w->c, "GET s%d:%d", w->id, i);
        if (!r) return false;
        *same = want->string[i].live ? r->type == REDIS_REPLY_STRING && strcmp(r->str, want->string[i].text) == 0
                                     : r->type == REDIS_REPLY_NIL;
        freeReplyObject(r);
    }
    return true;
}

static bool check_fact(struct writer *w)
{
    if (w->n_facts == 0) return true;
    struct fact f = w->fact[roll(w, w->n_facts)];
    redisReply *r = roll(w, 2) ? command(w->c, "DASOF w%d:%d %lld n", w->id, f.doc, f.seq)
                               : command(w->c, "DRUN %lld DGET w%d:%d n", f.seq, w->id, f.doc);
    if (!r) return false;
    if (r->type == REDIS_REPLY_ERROR ? !begins(r, "PRUNED")
        : f.live                     ? r->type != REDIS_REPLY_STRING || strtoll(r->str, NULL, 10) != f.n
                                     : r->type != REDIS_REPLY_NIL)
        fail("w%d:%d at %lld is %s, not %lld", w->id, f.doc, f.seq, r->str ? r->str : "nil", f.live ? f.n : -1);
    if (r->type == REDIS_REPLY_ERROR) atomic_fetch_add(&errors_expected, 1);
    freeReplyObject(r);
    return true;
}

static bool check_query(struct writer *w)
{
    long long low = (long long)roll(w, 1000), want = 0, live = 0, have;
    for (int d = 0; d < DOCS; d++) live += w->now.doc[d].live, want += w->now.doc[d].live && w->now.doc[d].n >= low;
    char nql[200];
    (void)snprintf(nql, sizeof nql, "FROM w%d WHERE n >= $low ORDER BY n DESC", w->id);
    redisReply *r = command(w->c, "DQUERY %s PARAMS 1 low %lld COUNT 1000", nql, low);
    if (!r) return false;
    const redisReply *rows = r->type == REDIS_REPLY_ARRAY ? map_get(r, "rows") : NULL;
    have = rows ? (long long)rows->elements : -1;
    if (have != want) fail("w%d: %lld documents with n >= %lld, not %lld (%s)", w->id, want, low, have, r->str ? r->str : "rows");
    freeReplyObject(r);
    r = command(w->c, "DCOUNT w%d", w->id);
    if (!r) return false;
    if (r->type != REDIS_REPLY_INTEGER || r->integer != live)
        fail("w%d: DCOUNT %lld, not %lld", w->id, r->type == REDIS_REPLY_INTEGER ? r->integer : -1, live);
    freeReplyObject(r);
    return true;
}

static void *write_on(void *arg)
{
    struct writer *w = arg;
    bool on = true;
    while (on && !atomic_load(&stopping)) {
        switch (roll(w, 12)) {
        case 0:
        case 1: on = write_several(w); break;
        case 2:
        case 3: on = write_string(w); break;
        case 4: on = revert_document(w); break;
        case 5: on = check_fact(w); break;
        case 6: on = roll(w, 4) ? true : check_query(w); break;
        default: on = write_document(w, (int)roll(w, DOCS));
        }
    }
    return NULL;
}

/* After a restart: the world is the one before or the one after what was on its way. */
static void settle(struct writer *w)
{
    bool same = false;
    w->c = server_connect(&server, 2);
    if (!holds_world(w, &w->now, &same)) return fail("the server went while it was checked");
    if (!same && w->on_its_way) {
        if (!holds_world(w, &w->next, &same)) return fail("the server went while it was checked");
        if (same) w->now = w->next;
    }
    if (!same) fail("writer %d: its keys are neither as acknowledged nor as on the way", w->id);
    w->on_its_way = false;
    w->next = w->now;
    for (int i = 0; i < 50; i++) (void)check_fact(w);
    (void)check_query(w);
}

/* ---- the reader and the caretaker: commands that must not fail in ways they should not ---- */

static bool may_fail(const redisReply *r)
{
    static const char *const codes[] = {"PRUNED",   "NOINDEX",  "TIMEOUT",          "NOKEY",
                                        "NOCAUSE",  "CONFLICT", "ERR a compaction", "ERR the compaction was cancelled",
                                        "BADPOINT", "TOOBIG",   "BADPATCH"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (begins(r, codes[i])) return true;
    return false;
}

static bool try(redisContext *c, const char *text)
{
    redisReply *r = redisCommand(c, text);
    atomic_fetch_add(&asked, 1);
    if (!r) return false;
    if (r->type == REDIS_REPLY_ERROR && !may_fail(r)) fail("'%s' answered '%s'", text, r->str);
    if (r->type == REDIS_REPLY_ERROR) atomic_fetch_add(&errors_expected, 1);
    freeReplyObject(r);
    return true;
}

static void *read_on(void *arg)
{
    redisContext *c = connected();
    uint64_t rng = *(uint64_t *)arg;
    char text[COMMAND_MAX];
    static const char *const forms[] = {
        "DHISTORY w%1$d:%2$d COUNT 20 WITHDATA",
        "DHISTORY s%1$d:%2$d",
        "DTRACE key:w%1$d:%2$d CAUSES DEPTH 5",
        "DTRACE key:w%1$d:%2$d EFFECTS DEPTH 3 LIMIT 50",
        "DTRAVERSE w%1$d:%2$d BOTH DEPTH 4",
        "DLINKS w%1$d:%2$d BOTH",
        "DTIMELINE w%1$d:%2$d",
        "DDIFF w%1$d:%2$d %3$d head",
        "DSCAN 0 COLL w%1$d COUNT 50 WITHDATA",
        "DCOLLS",
        "DCOLLS ASOF %3$d",
        "DINFO",
        "DINFO KEY w%1$d:%2$d",
        "DHEAD",
        "DPROVE INCLUSION seq:%3$d",
        "DVERIFY KEY w%1$d:%2$d",
        "DRUN %3$d MGET s%1$d:0 s%1$d:1",
        "DRUN %3$d DBSIZE",
        "DRUN %3$d SCAN 0 COUNT 100",
        "SCAN 0 COUNT 50",
        "DBSIZE",
        "INFO",
        "DMGET 3 w%1$d:0 w%1$d:1 w%1$d:2",
        "DMGET 2 w%1$d:0 w%1$d:1 ASOF %3$d",
        "DNODE seq:%3$d",
        "DNODE key:w%1$d:%2$d RAW",
        "DCHANGES FROM %3$d COUNT 50",
        "DCHANGES FROM 0 KEY w%1$d:%2$d COUNT 20 WITHDATA",
        "OBJECT ENCODING s%1$d:%2$d",
        "TTL w%1$d:%2$d",
        "DINDEX LIST",
        "DRETAIN LIST",
        "DTAG LIST",
        "DCOMPACT STATUS",
        "COMMAND COUNT",
        "DGET w%1$d:%2$d n s ASOF %3$d",
        "RANDOMKEY",
        "DSYNC 50",
        "DREVERT ALL %3$d DRYRUN",
    };
    static const char *const queries[] = {
        "FROM w%d WHERE g = %d",
        "FROM w%d WHERE g IN (1, %d) ORDER BY n LIMIT 5",
        "FROM w%d GROUP BY g COUNT SUM n",
        "FROM w%d SEARCH \"word%d\"",
        "FROM w%d AS OF %d WHERE n > 500",
        "FROM w%d WHERE s LIKE 'word%d%%' ORDER BY s DESC",
        "FROM w%d WHERE n < %d TRAVERSE knows DEPTH 2",
        "FROM w%d WHERE n < %d TRACE caused_by DEPTH 2",
        "FROM __links__ WHERE _from = 'w%d:%d'",
    };
    while (c && !atomic_load(&stopping)) {
        int w = (int)rnd_of(&rng, WRITERS), d = (int)rnd_of(&rng, DOCS), seq = 1 + (int)rnd_of(&rng, 20000);
        if (rnd_of(&rng, 4) == 0) {
            char nql[300];
            (void)snprintf(nql, sizeof nql, queries[rnd_of(&rng, sizeof queries / sizeof *queries)], w, d);
            redisReply *r = redisCommand(c, rnd_of(&rng, 3) ? "DQUERY %s COUNT 10" : "DQUERY %s EXPLAIN", nql);
            atomic_fetch_add(&asked, 1);
            if (!r) break;
            if (r->type == REDIS_REPLY_ERROR && !may_fail(r)) fail("DQUERY '%s' answered '%s'", nql, r->str);
            freeReplyObject(r);
            continue;
        }
        (void)snprintf(text, sizeof text, forms[rnd_of(&rng, sizeof forms / sizeof *forms)], w, d, seq);
        if (!try(c, text)) break;
    }
    if (c) redisFree(c);
    return NULL;
}

static void *take_care(void *arg)
{
    redisContext *c = connected();
    uint64_t rng = *(uint64_t *)arg + 99;
    char text[COMMAND_MAX];
    static const char *const forms[] = {
        "DCOMPACT KEEP %1$d",
        "DCOMPACT",
        "DCOMPACT DRYRUN",
        "DCOMPACT ASYNC",
        "DCOMPACT KEEP 2 PREFIX w%2$d ASYNC",
        "DCOMPACT CANCEL",
        "DCOMPACT STATUS",
        "DINDEX CREATE w%2$d n",
        "DINDEX CREATE w%2$d g ORDERED",
        "DINDEX CREATE w%2$d $ TEXT",
        "DINDEX CREATE w%2$d s TEXT",
        "DINDEX DROP w%2$d n",
        "DINDEX DROP w%2$d g",
        "DINDEX DROP w%2$d $",
        "DINDEX WAIT w%2$d n 100",
        "DTAG SET t%2$d FORCE",
        "DTAG DEL t%2$d",
        "DRETAIN SET w%2$d:* VERSIONS %1$d",
        "DRETAIN SET s* VERSIONS 2",
        "DRETAIN DEL w%2$d:*",
        "DRETAIN SET w* AGE %3$d",
        "DRETAIN DEL w*",
        "BGSAVE",
        "BGREWRITEAOF",
        "DVERIFY ALL",
        "CONFIG SET appendfsync always",
        "CONFIG SET appendfsync everysec",
        "CONFIG SET appendfsync no",
        "DSYNC 100",
        "DRUN tag:t%2$d DSCAN 0 COLL w%2$d",
        "DEBUG RELOAD",
    };
    while (c && !atomic_load(&stopping)) {
        usleep(30000); /* now and then: the rest of the time belongs to the others */
        (void)snprintf(text, sizeof text, forms[rnd_of(&rng, sizeof forms / sizeof *forms)], 1 + (int)rnd_of(&rng, 20),
                       (int)rnd_of(&rng, WRITERS), 1000 * (1 + (int)rnd_of(&rng, 60)));
        redisReply *r = redisCommand(c, text);
        atomic_fetch_add(&asked, 1);
        if (!r) break;
        const redisReply *bad = strncmp(text, "DVERIFY", 7) == 0 && r->type == REDIS_REPLY_ARRAY ? map_get(r, "bad") : NULL;
        if (bad && bad->elements) fail("DVERIFY ALL found %zu bad nodes", bad->elements);
        if (r->type == REDIS_REPLY_ERROR && !may_fail(r) && !begins(r, "ERR Background") && !begins(r, "ERR no such index") &&
            !begins(r, "EXISTS") && !begins(r, "ERR there is"))
            fail("'%s' answered '%s'", text, r->str);
        freeReplyObject(r);
    }
    if (c) redisFree(c);
    return NULL;
}

/* ---- the follower: documents from the feed alone ---- */

static struct {
    char key[24];
    char *data; /* NULL = not there */
} feed[FEED_DOCS];
static size_t n_feed;
static char feed_next[64] = "0"; /* a seq, or a word that says where a walk from 0 has come to */

static size_t feed_place(const char *key)
{
    for (size_t i = 0; i < n_feed; i++)
        if (strcmp(feed[i].key, key) == 0) return i;
    if (n_feed == FEED_DOCS) abort();
    (void)snprintf(feed[n_feed].key, sizeof feed[0].key, "%s", key);
    return n_feed++;
}

static void feed_forget(void)
{
    for (size_t i = 0; i < n_feed; i++) free(feed[i].data);
    n_feed = 0;
    memcpy(feed_next, "0", 2);
    atomic_fetch_add(&feed_resets, 1);
}

static void feed_apply(const redisReply *e)
{
    const redisReply *key = map_get(e, "key"), *op = map_get(e, "op"), *data = map_get(e, "data");
    if (!key || key->type != REDIS_REPLY_STRING || key->str[0] != 'w' || strchr(key->str, ' ')) return;
    size_t i = feed_place(key->str);
    if (strcmp(op->str, "put") == 0) {
        free(feed[i].data);
        feed[i].data = strdup(data && data->type == REDIS_REPLY_STRING ? data->str : "");
    } else if (strcmp(op->str, "delete") == 0 || strcmp(op->str, "expire") == 0) {
        free(feed[i].data);
        feed[i].data = NULL;
    }
}

/* One reply of the feed. False: cut. *more: something may follow at once. */
static bool feed_turn(redisContext *c, bool *more)
{
    redisReply *r = command(c, "DCHANGES FROM %s PREFIX w COUNT 500 BLOCK 50 WITHDATA", feed_next);
    if (!r) return false;
    *more = true;
    if (begins(r, "PRUNED")) {
        feed_forget();
    } else if (r->type == REDIS_REPLY_ERROR) {
        fail("DCHANGES FROM %s answered '%s'", feed_next, r->str);
    } else {
        const redisReply *events = map_get(r, "events");
        for (size_t i = 0; i < events->elements; i++) feed_apply(events->element[i]);
        atomic_fetch_add(&feed_events, (long)events->elements);
        const redisReply *next = map_get(r, "next");
        if (next->type == REDIS_REPLY_STRING)
            (void)snprintf(feed_next, sizeof feed_next, "%s", next->str);
        else
            (void)snprintf(feed_next, sizeof feed_next, "%lld", next->integer);
        *more = field(r, "more") == 1 || events->elements > 0;
    }
    freeReplyObject(r);
    return true;
}

static void *follow(void *arg)
{
    redisContext *c = connected();
    bool more;
    (void)arg;
    while (c && !atomic_load(&stopping) && feed_turn(c, &more)) continue;
    if (c) redisFree(c);
    return NULL;
}

/* With nobody writing: caught up, it has what the store has. */
static void compare_feed(void)
{
    redisContext *c = server_connect(&server, 2);
    bool more = true;
    while (more && !atomic_load(&failed))
        if (!feed_turn(c, &more)) return fail("the server went while the feed caught up");
    size_t there = 0, have = 0;
    for (size_t i = 0; i < n_feed; i++) {
        redisReply *r = command(c, "DGET %s", feed[i].key);
        bool same =
            r && (feed[i].data ? r->type == REDIS_REPLY_STRING && strcmp(r->str, feed[i].data) == 0 : r->type == REDIS_REPLY_NIL);
        if (!same)
            fail("%s: the feed says %s, the store %s", feed[i].key, feed[i].data ? feed[i].data : "nothing",
                 r && r->str ? r->str : "nothing");
        there += feed[i].data != NULL;
        if (r) freeReplyObject(r);
    }
    for (int w = 0; w < WRITERS; w++)
        for (int d = 0; d < DOCS; d++) have += writers[w].now.doc[d].live;
    if (there != have) fail("the feed knows %zu documents, there are %zu", there, have);
    redisFree(c);
}

/* ---- rounds ---- */

static long rss_kib(void)
{
    char path[64], line[256];
    long kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)server.pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmRSS:", 6) == 0) kib = strtol(line + 6, NULL, 10);
    if (f) fclose(f);
    return kib;
}

static long long bytes_in(const char *dir)
{
    char path[512];
    long long sum = 0;
    struct dirent *e;
    DIR *d = opendir(dir);
    while (d && (e = readdir(d))) {
        struct stat st;
        if (e->d_name[0] == '.') continue;
        (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (stat(path, &st) != 0) continue;
        sum += S_ISDIR(st.st_mode) ? bytes_in(path) : (long long)st.st_blocks * 512;
    }
    if (d) closedir(d);
    return sum;
}

static void verify_stopped(void)
{
    char line[400];
    const char *program = getenv("VARVE_SERVER");
    (void)snprintf(line, sizeof line, "%.*s/varve verify %s >%s.verify 2>&1", (int)(strrchr(program, '/') - program), program,
                   server.dir, server.dir);
    if (system(line) != 0) fail("varve verify: see %s.verify", server.dir);
}

static void start_round(bool first)
{
    static const char *const threads[] = {"1", "1", "2"}, *const sync[] = {"everysec", "always", "no"};
    uint64_t rng = seed + (uint64_t)(seconds() * 1000);
    static const char *args[] = {
        "--threads", "1", "--appendfsync", "everysec", "--auto-compact-min-size", "1mb", "--enable-debug-command", "yes", NULL};
    args[1] = threads[rnd_of(&rng, 3)];
    args[3] = sync[rnd_of(&rng, 3)];
    if (first)
        server_start(&server, NULL, args);
    else {
        for (int i = 0; args[i]; i++) server.args[i] = args[i];
        server_again(&server);
    }
    for (int w = 0; w < WRITERS; w++) settle(&writers[w]);
}

static void round_of(uint64_t *rng, double length, bool kill_it)
{
    pthread_t reader, caretaker, follower;
    uint64_t reader_seed = rnd_of(rng, UINT64_MAX) | 1;
    atomic_store(&stopping, false);
    for (int w = 0; w < WRITERS; w++) (void)pthread_create(&writers[w].thread, NULL, write_on, &writers[w]);
    (void)pthread_create(&reader, NULL, read_on, &reader_seed);
    (void)pthread_create(&caretaker, NULL, take_care, &reader_seed);
    (void)pthread_create(&follower, NULL, follow, NULL);
    double end = seconds() + length;
    while (seconds() < end && !atomic_load(&failed)) {
        usleep(20000);
        int status;
        if (waitpid(server.pid, &status, WNOHANG) == server.pid) {
            server.pid = 0;
            fail("the server ended by itself, status %d; its log is %s.log", status, server.dir);
        }
    }
    if (kill_it && !atomic_load(&failed)) server_kill(&server);
    atomic_store(&stopping, true);
    for (int w = 0; w < WRITERS; w++) (void)pthread_join(writers[w].thread, NULL);
    (void)pthread_join(reader, NULL);
    (void)pthread_join(caretaker, NULL);
    (void)pthread_join(follower, NULL);
}

int main(int argc, char **argv)
{
    double minutes = 30;
    seed = (uint64_t)getpid();
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--minutes") == 0) minutes = strtod(argv[i + 1], NULL);
        if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 10);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    printf("soak: seed %" PRIu64 ", %.1f minutes\n", seed, minutes);
    uint64_t rng = seed * 0x9e3779b97f4a7c15u + 1;
    for (int w = 0; w < WRITERS; w++)
        writers[w] = (struct writer){.id = w, .rng = (seed + (uint64_t)w + 1) * 0x9e3779b97f4a7c15u};
    double begin = seconds(), end = begin + minutes * 60;
    long kills = 0, stops = 0;
    for (int round = 1; seconds() < end && !atomic_load(&failed); round++) {
        start_round(round == 1);
        bool kill_it = rnd_of(&rng, 5) < 3;
        double length = kill_it ? (double)rnd_of(&rng, ROUND_SECONDS * 1000) / 1000 : ROUND_SECONDS;
        if (!atomic_load(&failed)) round_of(&rng, length, kill_it);
        long rss = server.pid > 0 ? rss_kib() : 0;
        if (!kill_it && !atomic_load(&failed)) {
            for (int w = 0; w < WRITERS; w++) {
                redisFree(writers[w].c);
                settle(&writers[w]);
            }
            compare_feed();
            server_stop(&server);
        }
        for (int w = 0; w < WRITERS; w++) redisFree(writers[w].c);
        kills += kill_it;
        stops += !kill_it;
        if (!atomic_load(&failed)) verify_stopped();
        long long acked = 0;
        for (int w = 0; w < WRITERS; w++) acked += writers[w].done;
        printf("%6.1f s  round %d %s  %lld writes  %ld commands  %ld refused as they may be  %ld feed events, %ld resets  %ld "
               "KiB  %lld KiB on disk\n",
               seconds() - begin, round, kill_it ? "killed " : "stopped", acked, atomic_load(&asked),
               atomic_load(&errors_expected), atomic_load(&feed_events), atomic_load(&feed_resets), rss,
               bytes_in(server.dir) / 1024);
        fflush(stdout);
    }
    if (atomic_load(&failed)) {
        server_log_tail(&server);
        printf("soak: 0 passed, 1 failed; the data is in %s\n", server.dir);
        return 1;
    }
    server_remove(&server);
    printf("soak: %ld kills, %ld stops, 1 passed, 0 failed\n", kills, stops);
    return 0;
}
