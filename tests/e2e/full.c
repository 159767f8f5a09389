/* A full disk: writes answer MISCONF, reads go on, and nothing acknowledged is lost. On a small tmpfs of its own (needs root; skipped without). */
#include "tests/support/server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define SMALL "size=24m"
#define LARGE "size=256m"

static int failures, checks;

static void expect(bool ok, const char *what)
{
    checks++;
    if (ok) return;
    failures++;
    fprintf(stderr, "failed: %s\n", what);
}

/* Writes until refused; returns how many were acknowledged. */
static long fill(redisContext *r, char *refusal, size_t n)
{
    static char value[4000];
    memset(value, 'x', sizeof value - 1);
    for (long i = 0; i < 100000; i++) {
        redisReply *v = redisCommand(r, "SET k:%ld %ld:%s", i, i, value);
        bool refused = v == NULL || v->type == REDIS_REPLY_ERROR;
        if (refused) (void)snprintf(refusal, n, "%s", v ? v->str : "the connection was closed");
        if (v) freeReplyObject(v);
        if (refused) return i;
    }
    return -1;
}

static bool all_there(redisContext *r, long n)
{
    for (long i = 0; i < n; i++) {
        redisReply *v = ask(r, "GETRANGE k:%ld 0 20", i);
        bool ok = v->type == REDIS_REPLY_STRING && strtol(v->str, NULL, 10) == i && strchr(v->str, ':');
        freeReplyObject(v);
        if (!ok) {
            fprintf(stderr, "k:%ld of %ld is not what was acknowledged\n", i, n);
            return false;
        }
    }
    return true;
}

int main(void)
{
    char dir[] = "/tmp/varve-full-XXXXXX", data[64], refusal[512] = "";
    if (mkdtemp(dir) == NULL) return 1;
    if (mount("varve-test", dir, "tmpfs", 0, SMALL) != 0) {
        (void)rmdir(dir);
        printf("full: no tmpfs can be mounted here\nfull: 0 passed, 0 failed, 1 skipped\n");
        return 0;
    }
    (void)snprintf(data, sizeof data, "%s/data", dir);
    const char *args[] = {"--dir", data, "--segment-bytes", "1mb", NULL};
    struct server s;
    server_start(&s, NULL, args);
    redisContext *r = server_connect(&s, 2);
    long n = fill(r, refusal, sizeof refusal);
    expect(n > 100, "the disk takes some writes before it is full");
    expect(strncmp(refusal, "MISCONF", 7) == 0, "a write on a full disk answers MISCONF");
    fprintf(stderr, "after %ld writes: %s\n", n, refusal);
    redisReply *v = redisCommand(r, "SET again 1");
    expect(v && v->type == REDIS_REPLY_ERROR && strncmp(v->str, "MISCONF", 7) == 0, "so do the writes after it");
    if (v) freeReplyObject(v);
    expect(all_there(r, n), "reads go on with all that was acknowledged");
    v = ask(r, "GET k:%ld", n);
    expect(v->type == REDIS_REPLY_NIL, "what was refused is not there");
    freeReplyObject(v);
    redisFree(r);
    server_kill(&s);
    expect(mount("varve-test", dir, "tmpfs", MS_REMOUNT, LARGE) == 0, "the disk grows");
    server_again(&s);
    r = server_connect(&s, 2);
    expect(all_there(r, n), "after a restart all that was acknowledged is there");
    expect(ask_ok(r, "SET again 1"), "writes are taken again");
    redisFree(r);
    server_stop(&s);
    server_remove(&s);
    if (umount(dir) != 0) (void)umount2(dir, MNT_DETACH);
    (void)rmdir(dir);
    printf("full: %d passed, %d failed\n", checks - failures, failures);
    return failures ? 1 : 0;
}
