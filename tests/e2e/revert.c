/* DREVERT of many keys: afterwards everything reads as it did at the point, in one commit; a dry run counts what then happens; writers may go on meanwhile; a kill
 * in the middle leaves all or nothing. */
#include "tests/support/server.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYS     60
#define ROUNDS   25
#define WRITES   120
#define TEXT_MAX (1 << 20)

static int failures, checks;
static unsigned seed;

static void expect(bool ok, const char *what)
{
    checks++;
    if (ok) return;
    failures++;
    fprintf(stderr, "failed (seed %u): %s\n", seed, what);
}

static unsigned dice(unsigned n)
{
    return (unsigned)rand() % n;
}

static void drop(redisReply *r)
{
    freeReplyObject(r);
}

static void key_name(char out[32], unsigned i)
{
    (void)snprintf(out, 32, "%s:%u", i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "ab", i);
}

static void write_once(redisContext *c, bool flush)
{
    char k[32], l[32];
    key_name(k, dice(KEYS));
    key_name(l, dice(KEYS));
    switch (dice(14)) {
    case 0: drop(ask(c, "DEL %s", k)); break;
    case 1: drop(ask(c, "DLINK %s knows %s PROPS {\"n\":%u}", k, l, dice(9))); break;
    case 2: drop(ask(c, "DUNLINK %s knows %s", k, l)); break;
    case 3: drop(ask(c, "EXPIRE %s %u", k, 10000 + dice(100))); break;
    case 4: drop(ask(c, "PERSIST %s", k)); break;
    case 5: drop(ask(c, "SET %s v%u PX %u", k, dice(1000), 1 + dice(3))); break;
    case 6:
    case 7:
    case 8: drop(ask(c, "SET %s v%u", k, dice(1000))); break;
    case 9:
        if (flush && dice(40) == 0) drop(ask(c, dice(2) ? "FLUSHDB" : "SWAPDB 0 1"));
        break;
    default: drop(ask(c, "DPUT %s {\"n\":%u}", k, dice(1000)));
    }
}

static void add(char *text, size_t *n, const redisReply *r)
{
    if (r->type == REDIS_REPLY_ARRAY) {
        *n += (size_t)snprintf(text + *n, TEXT_MAX - *n, "[");
        for (size_t i = 0; i < r->elements; i++) add(text, n, r->element[i]);
        *n += (size_t)snprintf(text + *n, TEXT_MAX - *n, "]");
    } else if (r->type == REDIS_REPLY_INTEGER) {
        *n += (size_t)snprintf(text + *n, TEXT_MAX - *n, "%lld ", r->integer);
    } else {
        *n += (size_t)snprintf(text + *n, TEXT_MAX - *n, "%s ", r->type == REDIS_REPLY_NIL ? "nil" : r->str);
    }
}

/* Everything of the keys that begin with `prefix`, as of `point` (a DRUN word pair, or nothing). */
static char *state_of(redisContext *c, const char *prefix, const char *as_of)
{
    char *text = calloc(1, TEXT_MAX), k[32], command[120];
    size_t n = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        static const char *const reads[] = {"TYPE", "GET", "DGET", "PEXPIRETIME"};
        key_name(k, i);
        if (strncmp(k, prefix, strlen(prefix)) != 0) continue;
        n += (size_t)snprintf(text + n, TEXT_MAX - n, "\n%s: ", k);
        for (size_t j = 0; j < 4; j++) {
            (void)snprintf(command, sizeof command, "%s%s %s", as_of, reads[j], k);
            redisReply *r = redisCommand(c, command);
            add(text, &n, r);
            drop(r);
        }
        (void)snprintf(command, sizeof command, "%sDLINKS %s COUNT 1000", as_of, k);
        redisReply *r = redisCommand(c, command);
        for (size_t j = 0; r->type == REDIS_REPLY_ARRAY && j < r->element[1]->elements; j++) {
            add(text, &n, map_get(r->element[1]->element[j], "to"));
            add(text, &n, map_get(r->element[1]->element[j], "props"));
        }
        drop(r);
    }
    return text;
}

static long long count_of(const redisReply *r, const char *name)
{
    const redisReply *f = map_get(r, name);
    return f && f->type == REDIS_REPLY_INTEGER ? f->integer : -1;
}

static long long newest_seq(redisContext *c)
{
    redisReply *r = ask(c, "DINFO");
    long long seq = count_of(r, "seq");
    drop(r);
    return seq;
}

static void check_commit(redisContext *c, const redisReply *r)
{
    long long first = count_of(r, "first_seq"), last = count_of(r, "last_seq"), changed = count_of(r, "changed");
    expect(changed == count_of(r, "restored") + count_of(r, "deleted"), "changed is what was restored and deleted");
    expect((changed == 0) == (last < 0), "seqs are nil when nothing was written");
    if (changed <= 0) return;
    expect(last - first + 1 == changed, "a node for each change");
    redisReply *n = ask(c, "DNODE seq:%lld", first);
    const redisReply *commit = map_get(n, "commit"), *note = map_get(n, "note");
    expect(commit && commit->element[0]->integer == first && commit->element[1]->integer == last, "one commit");
    expect(!note || note->type != REDIS_REPLY_STRING || strcmp(note->str, "back") == 0, "the note");
    drop(n);
}

static void show_difference(const char *command, const char *want, const char *have)
{
    size_t line = 0, i = 0;
    for (; want[i] && want[i] == have[i]; i++)
        if (want[i] == '\n') line = i + 1;
    fprintf(stderr, "%s\nwant %.*s\nhave %.*s\n", command, (int)strcspn(want + line, "\n"), want + line,
            (int)strcspn(have + line, "\n"), have + line);
}

static void revert_and_check(redisContext *c, long long point, const char *prefix)
{
    char as_of[64], where[64];
    (void)snprintf(as_of, sizeof as_of, "DRUN %lld ", point);
    if (*prefix)
        (void)snprintf(where, sizeof where, "PREFIX %s", prefix);
    else
        (void)snprintf(where, sizeof where, "ALL");
    char dry[160], real[160];
    (void)snprintf(dry, sizeof dry, "DREVERT %s %lld DRYRUN", where, point);
    (void)snprintf(real, sizeof real, "DREVERT %s %lld NOTE back", where, point);
    char *before = state_of(c, "", ""), *want = state_of(c, prefix, as_of);
    redisReply *plan = redisCommand(c, dry);
    char *same = state_of(c, "", "");
    expect(strcmp(before, same) == 0, "a dry run changes nothing");
    redisReply *done = redisCommand(c, real);
    if (done->type == REDIS_REPLY_ERROR) fprintf(stderr, "%s: %s\n", real, done->str);
    char *have = state_of(c, prefix, "");
    expect(strcmp(want, have) == 0, "the keys are what they were");
    if (strcmp(want, have) != 0) show_difference(real, want, have);
    static const char *const counts[] = {"changed", "restored", "deleted"};
    for (size_t i = 0; i < 3; i++) expect(count_of(plan, counts[i]) == count_of(done, counts[i]), "the dry run counted right");
    check_commit(c, done);
    redisReply *again = redisCommand(c, real);
    expect(count_of(again, "changed") == 0, "a second time there is nothing to do");
    drop(plan), drop(done), drop(again);
    free(before), free(want), free(same), free(have);
}

/* Expiries of a millisecond are over for every point that is looked at once this has passed. */
static void let_time_pass(redisContext *c)
{
    redisReply *r = ask(c, "TIME");
    long long s = atoll(r->element[0]->str), us = atoll(r->element[1]->str), now;
    drop(r);
    do {
        r = ask(c, "TIME");
        now = (atoll(r->element[0]->str) - s) * 1000000 + atoll(r->element[1]->str) - us;
        drop(r);
    } while (now < 8000);
    drop(ask(c, "SET other:tick 1"));
}

static void test_random(struct server *s)
{
    redisContext *c = server_connect(s, 2);
    for (int round = 0; round < ROUNDS; round++) {
        long long points[4];
        for (int i = 0; i < 4; i++) {
            for (int w = 0; w < WRITES; w++) write_once(c, true);
            let_time_pass(c);
            points[i] = newest_seq(c);
        }
        static const char *const prefixes[] = {"", "a", "ab:", "b:", "nothing"};
        revert_and_check(c, points[dice(4)], prefixes[dice(5)]);
    }
    redisFree(c);
}

/* ---- beside writers ---- */

struct writer {
    const struct server *s;
    atomic_bool stop;
    atomic_long done;
};

static void *write_on(void *arg)
{
    struct writer *w = arg;
    redisContext *c = server_connect(w->s, 2);
    for (long i = 1; !atomic_load(&w->stop); i++) {
        redisReply *r = redisCommand(c, "SET busy:%ld %ld", i % 50, i);
        if (r) drop(r);
        atomic_store(&w->done, i);
    }
    redisFree(c);
    return NULL;
}

static void test_beside_writers(struct server *s)
{
    redisContext *c = server_connect(s, 2);
    struct writer w = {.s = s};
    pthread_t t;
    drop(ask(c, "FLUSHALL"));
    drop(ask(c, "SET still 1"));
    long long point = newest_seq(c);
    if (pthread_create(&t, NULL, write_on, &w) != 0) abort();
    for (int i = 0; i < 20; i++) {
        long before = atomic_load(&w.done);
        while (atomic_load(&w.done) < before + 200) usleep(100);
        redisReply *r = ask(c, "DREVERT ALL %lld", point);
        expect(r->type == REDIS_REPLY_ARRAY, "a revert beside writers ends");
        long long last = count_of(r, "last_seq");
        drop(r);
        if (last < 0) continue;
        r = ask(c, "DRUN %lld KEYS *", last);
        expect(r->type == REDIS_REPLY_ARRAY && r->elements == 1 && strcmp(r->element[0]->str, "still") == 0,
               "at its commit only the old key is there");
        drop(r);
    }
    atomic_store(&w.stop, true);
    (void)pthread_join(t, NULL);
    redisFree(c);
}

/* ---- kills ---- */

static void test_kills(struct server *s)
{
    for (int i = 0; i < 8; i++) {
        redisContext *c = server_connect(s, 2);
        drop(ask(c, "FLUSHALL"));
        for (int k = 0; k < 20000; k++) redisAppendCommand(c, "SET k:%d old", k);
        redisReply *r;
        for (int k = 0; k < 20000; k++)
            if (redisGetReply(c, (void **)&r) == REDIS_OK) drop(r);
        long long point = newest_seq(c);
        for (int k = 0; k < 20000; k++) redisAppendCommand(c, k % 2 ? "SET k:%d new" : "DEL k:%d", k);
        for (int k = 0; k < 20000; k++)
            if (redisGetReply(c, (void **)&r) == REDIS_OK) drop(r);
        redisAppendCommand(c, "DREVERT ALL %lld", point);
        int done = 0;
        (void)redisBufferWrite(c, &done);
        usleep(1000 * dice(60)); /* anywhere on the way, or behind it */
        server_kill(s);
        redisFree(c);
        server_again(s);
        c = server_connect(s, 2);
        long long n = ask_int(c, "DBSIZE");
        expect(n == 10000 || n == 20000, "after a kill the revert is there or not");
        r = ask(c, "GET k:1");
        expect(strcmp(r->str, n == 20000 ? "old" : "new") == 0, "the whole of it");
        drop(r);
        redisFree(c);
    }
}

static void test_refusals(struct server *s)
{
    redisContext *c = server_connect(s, 2);
    static const char *const bad[][2] = {
        {"DREVERT ALL nowhere", "BADPOINT"}, {"DREVERT ALL 1 SOON", "ERR syntax"}, {"DREVERT PREFIX a 1 NOTE", "ERR syntax"}};
    long long before = newest_seq(c);
    for (size_t i = 0; i < 3; i++) {
        redisReply *r = redisCommand(c, bad[i][0]);
        expect(r->type == REDIS_REPLY_ERROR && strncmp(r->str, bad[i][1], strlen(bad[i][1])) == 0, bad[i][0]);
        drop(r);
    }
    drop(ask(c, "MULTI"));
    drop(ask(c, "DREVERT ALL 1"));
    redisReply *r = ask(c, "EXEC");
    expect(r->elements == 1 && r->element[0]->type == REDIS_REPLY_ERROR, "not inside a transaction");
    drop(r);
    expect(newest_seq(c) == before, "refusals write nothing");
    redisFree(c);
}

int main(void)
{
    struct server s = {0};
    const char *given = getenv("SEED");
    seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)getpid();
    srand(seed);
    server_start(&s, NULL, NULL);
    test_random(&s);
    test_beside_writers(&s);
    test_refusals(&s);
    test_kills(&s);
    server_remove(&s);
    printf("revert: %d passed, %d failed\n", checks - failures, failures);
    return failures ? 1 : 0;
}
