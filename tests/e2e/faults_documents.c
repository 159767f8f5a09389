/* What stores of versions get wrong, asked of a real server as a client would: tests/README.md numbers the faults that these checks stand for.
 *
 * Everything is asked before and after a kill -9, and the two answers are compared as a whole: an answer that lives in memory only, or is worked out differently
 * by a cold start, shows there. */
#include "tests/support/server.h"
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures, checks;
static struct server s;
static redisContext *r;

static void expect(bool ok, const char *what)
{
    checks++;
    if (ok) return;
    failures++;
    fprintf(stderr, "failed: %s\n", what);
}

/* ---- replies as text ---- */

struct text {
    char *p;
    size_t n, cap;
};

static void add(struct text *t, const char *p, size_t n)
{
    if (t->n + n + 1 > t->cap) {
        t->cap = 2 * (t->n + n + 1);
        t->p = realloc(t->p, t->cap);
        if (t->p == NULL) abort();
    }
    memcpy(t->p + t->n, p, n);
    t->p[t->n += n] = 0;
}

static void flatten(struct text *t, const redisReply *v)
{
    char number[32];
    switch (v->type) {
    case REDIS_REPLY_INTEGER: add(t, number, (size_t)snprintf(number, sizeof number, "%lld ", v->integer)); break;
    case REDIS_REPLY_NIL: add(t, "nil ", 4); break;
    case REDIS_REPLY_ARRAY:
        add(t, "[ ", 2);
        for (size_t i = 0; i < v->elements; i++) flatten(t, v->element[i]);
        add(t, "] ", 2);
        break;
    default: add(t, v->str, v->len), add(t, " ", 1);
    }
}

static struct text all_answers; /* of a round */

/* Asks, keeps the answer for the comparison with the other round, and compares it now when `want` is given. */
static void is(const char *want, const char *command)
{
    struct text t = {0};
    redisReply *v = redisCommand(r, command);
    if (v == NULL) abort();
    add(&t, "", 0);
    flatten(&t, v);
    if (t.n && t.p[t.n - 1] == ' ') t.p[--t.n] = 0;
    add(&all_answers, command, strlen(command));
    add(&all_answers, " => ", 4);
    add(&all_answers, t.p, t.n);
    add(&all_answers, "\n", 1);
    bool ok = want == NULL ? v->type != REDIS_REPLY_ERROR : strcmp(want, t.p) == 0;
    if (!ok) fprintf(stderr, "%s\n  expected %s\n  got      %s\n", command, want ? want : "no error", t.p);
    expect(ok, command);
    freeReplyObject(v);
    free(t.p);
}

static void is_error(const char *command)
{
    redisReply *v = redisCommand(r, command);
    bool ok = v && v->type == REDIS_REPLY_ERROR && strncmp(v->str, "ERR unknown command", 19) != 0;
    if (!ok) fprintf(stderr, "%s: %s\n", command, v && v->str ? v->str : "answered");
    expect(ok, command);
    if (v) freeReplyObject(v);
}

static void run(const char *command)
{
    redisReply *v = redisCommand(r, command);
    if (v == NULL || v->type == REDIS_REPLY_ERROR)
        fprintf(stderr, "%s: %s\n", command, v ? v->str : "closed"), expect(false, command);
    if (v) freeReplyObject(v);
}

static long long field(const char *command, size_t row, const char *name)
{
    redisReply *v = ask(r, command), *f = row < v->elements ? map_get(v->element[row], name) : NULL;
    long long n = f && f->type == REDIS_REPLY_INTEGER ? f->integer : -1;
    freeReplyObject(v);
    return n;
}

/* ---- the story: seqs from 1 on ---- */

static void write_story(void)
{
    run("DPUT user:1 {\"age\":30}"); /* 1 */
    run("DPUT user:2 {\"age\":20}"); /* 2 */
    run("DINDEX CREATE user age");   /* 3 */
    run("DPUT user:1 {\"age\":10}"); /* 4 */
    run("DDEL user:1");              /* 5 */
    run("DPUT user:1 {\"age\":25}"); /* 6 */
    run("MULTI");                    /* 7, 8, 9: one commit */
    run("DPUT user:2 {\"age\":40}");
    run("DPUT user:2 {\"age\":50}");
    run("DPUT user:3 {\"age\":35}");
    run("EXEC");
    run("DPUT user:4 {\"age\":9007199254740993}"); /* 10 */
    run("DPUT user:5 {\"age\":9007199254740992}"); /* 11 */
    run("DPUT user:6 {\"age\":9007199254740994}"); /* 12 */
    run("DDEL user:3");                            /* 13 */
    run("DINDEX WAIT user age 10000");
}

/* 1, 2, 6: heads and seqs; 3: deletes are versions; 4: indexes know the past; 5: two writes to one key in one commit; 11: exact numbers. */
static void ask_all(void)
{
    is(NULL, "DHEAD");
    is("{\"age\":30}", "DASOF user:1 3");
    is("nil", "DASOF user:1 5");
    is("{\"age\":25}", "DGET user:1");
    is("{\"age\":20}", "DASOF user:2 8"); /* inside the commit: the one before */
    is("{\"age\":50}", "DASOF user:2 9");
    is("nil", "DGET user:3");
    is("{\"age\":35}", "DASOF user:3 12");
    expect(field("DHISTORY user:1", 0, "ver") == 4 && field("DHISTORY user:1", 0, "prev") == 5,
           "re-creation goes on with the history");
    expect(field("DHISTORY user:2", 0, "prev") == 7 && field("DHISTORY user:2", 1, "prev") == 2,
           "two writes in one commit follow each other");
    is(NULL, "DHISTORY user:1");
    is(NULL, "DHISTORY user:2");
    is(NULL, "DHISTORY user:3");
    is("[ [ user:1 {\"age\":25} ] [ user:2 {\"age\":50} ] [ user:5 {\"age\":9007199254740992} ] [ user:4 "
       "{\"age\":9007199254740993} ] "
       "[ user:6 {\"age\":9007199254740994} ] ]",
       "DTOP user age ASC 10");
    is("[ [ user:4 {\"age\":9007199254740993} ] [ user:6 {\"age\":9007199254740994} ] ]",
       "DTOP user age ASC 10 AFTER 9007199254740992");
    expect(ask_int(r, "DCOUNT user WHERE %s", "age > 9007199254740992") == 2, "numbers above 2^53 are compared as they are");
    is("[ [ user:1 {\"age\":10} ] [ user:2 {\"age\":20} ] ]", "DTOP user age ASC 10 ASOF 4");
    is("[ [ user:2 {\"age\":20} ] [ user:1 {\"age\":25} ] ]", "DTOP user age ASC 10 ASOF 7");
    is("[ [ user:2 {\"age\":20} ] ]", "DTOP user age ASC 10 ASOF 5");
    for (int seq = 1; seq <= 13; seq++) {
        char command[32];
        snprintf(command, sizeof command, "DNODE seq:%d", seq);
        is(NULL, command);
    }
}

static void again_after_a_kill(void)
{
    ask_all();
    struct text before = all_answers;
    all_answers = (struct text){0};
    redisFree(r);
    server_kill(&s);
    server_again(&s);
    r = server_connect(&s, 2);
    run("DINDEX WAIT user age 10000"); /* a build that no checkpoint had seen begins anew */
    ask_all();
    expect(before.n == all_answers.n && memcmp(before.p, all_answers.p, before.n) == 0,
           "a cold start answers as the running server did");
    run("DPUT user:9 {\"age\":1}");
    expect(field("DHISTORY user:9", 0, "seq") == 14, "no seq is given out twice");
    free(before.p);
    free(all_answers.p);
}

/* ---- 13, 19: scans and options ---- */

static void check_scan(void)
{
    char cursor[256] = "0";
    int seen[100] = {0}, rounds = 0;
    for (int i = 0; i < 100; i++) freeReplyObject(ask(r, "DPUT scan:%02d {\"i\":%d}", i, i));
    do {
        redisReply *v = ask(r, "DSCAN %s COLL scan COUNT 3 MATCH *7", cursor);
        if (v->type != REDIS_REPLY_ARRAY || v->elements != 2) abort();
        snprintf(cursor, sizeof cursor, "%s", v->element[0]->str);
        for (size_t i = 0; i < v->element[1]->elements; i++) seen[strtol(v->element[1]->element[i]->str + 5, NULL, 10) % 100]++;
        freeReplyObject(v);
        freeReplyObject(ask(r, "DDEL scan:%02d", (rounds * 7 + 50) % 100)); /* the scan is of the point at which it began */
        freeReplyObject(ask(r, "DPUT scan:%02d7 {\"i\":0}", rounds));
    } while (strcmp(cursor, "0") != 0 && ++rounds < 200);
    bool once = true;
    for (int i = 0; i < 100; i++) once = once && seen[i] == (i % 10 == 7);
    expect(rounds < 200 && once, "a scan with a filter beside writes shows every match once, and ends");
}

static void check_unknown_words(void)
{
    static const char *const refused[] = {"DSCAN 0 LIMIT 3",        "DSCAN 0 COLL",
                                          "DTOP user age UP 3",     "DTOP user age ASC 3 WHERE x",
                                          "DTOP user nosuch ASC 3", "DHISTORY user:1 COUNT x",
                                          "DHISTORY user:1 LAST",   "DLINKS user:1 SIDEWAYS",
                                          "DCOMPACT KEEP 1 NOW",    "DCOMPACT KEEP 0",
                                          "DASOF user:1 soon",      "DPUT user:1 {} MAYBE",
                                          "DDEL user:1 IFSEQ x",    "DVERIFY SOME",
                                          "DTRACE seq:1 UP"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) is_error(refused[i]);
}

/* ---- 18: names ---- */

#define OUTSIDE "varve-escaped"

static int strangers;

static void stranger(const char *path)
{
    fprintf(stderr, "a file that nobody expects: %s\n", path);
    strangers++;
}

/* Ours are words that the program has, or numbers. */
static int look_at_name(const char *path, const struct stat *st, int type, struct FTW *at)
{
    static const char *const ours[] = {"LOCK", "MANIFEST", "MANIFEST.tmp", "log", "index", "tree", "synced", "entries", "next.tmp", "tail.tmp"};
    static const char *const kinds[] = {".seg", ".idx", ".idx.tmp", ".run"};
    const char *name = path + at->base, *end = name + strspn(name, "0123456789abcdef-");
    bool known = at->level == 0;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) known = known || strcmp(name, ours[i]) == 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) known = known || (end - name >= 8 && strcmp(end, kinds[i]) == 0);
    if (!known) stranger(path);
    return 0;
}

static void look_outside(void)
{
    DIR *dir = opendir("/tmp");
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        char path[300];
        if (strncmp(e->d_name, OUTSIDE, strlen(OUTSIDE)) != 0) continue;
        snprintf(path, sizeof path, "/tmp/%s", e->d_name);
        stranger(path);
        unlink(path); /* or the next run would find it, too */
    }
    if (dir) closedir(dir);
}

static void check_names(void)
{
    static const char path[] = "../../../tmp/" OUTSIDE ":1", binary[] = "a/b\0c\n\r*:?";
    size_t n = 60000;
    char *name = malloc(n);
    if (name == NULL) abort();
    memset(name, '/', n);
    freeReplyObject(ask(r, "DPUT %s {\"p\":1}", path));
    freeReplyObject(ask(r, "DINDEX CREATE ../../../tmp/" OUTSIDE " p"));
    freeReplyObject(ask(r, "SET %b one", binary, sizeof binary - 1));
    freeReplyObject(ask(r, "SET %b two", name, n));
    redisFree(r);
    server_kill(&s);
    server_again(&s);
    r = server_connect(&s, 2);
    redisReply *a = ask(r, "DGET %s", path), *b = ask(r, "GET %b", binary, sizeof binary - 1), *c = ask(r, "GET %b", name, n);
    expect(a->type == REDIS_REPLY_STRING && strcmp(a->str, "{\"p\":1}") == 0, "a key that looks like a path is a key");
    expect(b->type == REDIS_REPLY_STRING && strcmp(b->str, "one") == 0, "a key with every kind of byte is a key");
    expect(c->type == REDIS_REPLY_STRING && strcmp(c->str, "two") == 0, "a key longer than any file name is a key");
    freeReplyObject(a), freeReplyObject(b), freeReplyObject(c);
    free(name);
    expect(nftw(s.dir, look_at_name, 8, FTW_PHYS) == 0, "the store's files are listed");
    look_outside();
    expect(strangers == 0, "no file bears a client's name");
}

int main(void)
{
    server_start(&s, NULL, (const char *const[]){NULL});
    r = server_connect(&s, 2);
    write_story();
    again_after_a_kill();
    check_scan();
    check_unknown_words();
    check_names();
    redisFree(r);
    server_stop(&s);
    server_remove(&s);
    printf("faults_documents: %d passed, %d failed\n", checks - failures, failures);
    return failures ? 1 : 0;
}
