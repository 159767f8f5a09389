/* A disk that fails under a running server: a sync, a write, half a write. Writes then answer MISCONF, and go on doing so when the disk is well again (nothing that
 * failed is retried as if it had not); reads go on; what was acknowledged is there, before and after a kill; what a failed write
 * refused is not.
 *
 * The failing calls are a small library (faults/shim.c), built here and preloaded into the server. */
#include "tests/support/server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEFORE        200
#define REFUSE_WITHIN 100000 /* writes until the failure must have been noticed */

static int failures, checks;
static char dir[] = "/tmp/varve-faults-XXXXXX", shim[64], trigger[64];

static bool expect(bool ok, const char *policy, char fault, const char *what)
{
    checks++;
    if (ok) return true;
    failures++;
    fprintf(stderr, "failed (%s, %c): %s\n", policy, fault, what);
    return false;
}

static bool build_shim(void)
{
    char command[256];
    const char *source = getenv("VARVE_FAULT_SHIM");
    (void)snprintf(command, sizeof command, "cc -shared -fPIC -O1 -D_GNU_SOURCE %s -o %s -ldl",
                   source ? source : "tests/e2e/faults/shim.c", shim);
    return system(command) == 0;
}

static void break_disk(char how)
{
    char name[80];
    (void)snprintf(name, sizeof name, "%s.new", trigger);
    FILE *f = fopen(name, "w");
    if (f == NULL || fputc(how, f) == EOF || fclose(f) != 0 || rename(name, trigger) != 0) abort();
}

static void mend_disk(void)
{
    (void)unlink(trigger);
}

static bool refuses(redisContext *r, const char *key)
{
    redisReply *v = redisCommand(r, "SET %s x", key);
    bool refused = v && v->type == REDIS_REPLY_ERROR && strncmp(v->str, "MISCONF", 7) == 0;
    if (v && !refused) fprintf(stderr, "SET %s: %s\n", key, v->str ? v->str : "?");
    if (v) freeReplyObject(v);
    return refused;
}

/* Sets k:from, k:from+1 … until one is refused, at most `most` of them; returns how many are acknowledged in all. */
static long write_some(redisContext *r, long from, long most)
{
    for (long i = from; i < from + most; i++) {
        redisReply *v = redisCommand(r, i % 3 == 1 ? "DPUT k:%ld {\"n\":%ld}" : "SET k:%ld %ld", i, i);
        bool ok = v && v->type != REDIS_REPLY_ERROR;
        if (v) freeReplyObject(v);
        if (!ok) return i;
    }
    return from + most;
}

static bool all_there(redisContext *r, long n)
{
    for (long i = 0; i < n; i++) {
        redisReply *v = ask(r, i % 3 == 1 ? "DGET k:%ld" : "GET k:%ld", i);
        const char *digits = v->type == REDIS_REPLY_STRING ? strpbrk(v->str, "0123456789") : NULL;
        bool ok = digits && strtol(digits, NULL, 10) == i;
        if (!ok) fprintf(stderr, "k:%ld of %ld: %s\n", i, n, v->str ? v->str : "(nil)");
        freeReplyObject(v);
        if (!ok) return false;
    }
    return true;
}

static bool verify_clean(redisContext *r)
{
    redisReply *v = ask(r, "DVERIFY");
    redisReply *bad = map_get(v, "bad"), *root = map_get(v, "root_ok");
    bool ok = bad && bad->elements == 0 && root && root->integer == 1;
    freeReplyObject(v);
    return ok;
}

static void one(const char *policy, char fault)
{
    const char *args[] = {"--appendfsync", policy, NULL};
    struct server s;
    setenv("LD_PRELOAD", shim, 1);
    server_start(&s, NULL, args);
    redisContext *r = server_connect(&s, 2);
    long n = write_some(r, 0, BEFORE);
    expect(n == BEFORE, policy, fault, "a healthy disk takes writes");
    break_disk(fault);
    n = write_some(r, n, REFUSE_WITHIN);
    expect(n < BEFORE + REFUSE_WITHIN, policy, fault, "a failing disk is noticed");
    if (fault != 's' || strcmp(policy, "always") == 0)
        expect(n == BEFORE, policy, fault, "the first write that cannot be kept is refused");
    expect(refuses(r, "other"), policy, fault, "the next one too");
    mend_disk();
    expect(refuses(r, "other"), policy, fault, "and after the disk is well again, until somebody has looked");
    expect(all_there(r, n), policy, fault, "reads go on with all that was acknowledged");
    redisReply *v = ask(r, "GET other");
    expect(v->type == REDIS_REPLY_NIL, policy, fault, "what was refused is not shown");
    freeReplyObject(v);
    if (fault != 's') expect(ask_int(r, "EXISTS k:%ld", n) == 0, policy, fault, "nor what the failing write was for");
    redisFree(r);
    server_kill(&s);
    unsetenv("LD_PRELOAD");
    if (expect(server_again_may_fail(&s), policy, fault, "the store opens again")) {
        r = server_connect(&s, 2);
        expect(all_there(r, n), policy, fault, "after a restart all that was acknowledged is there");
        v = ask(r, "GET other");
        expect(v->type == REDIS_REPLY_NIL, policy, fault, "what was refused later is not");
        freeReplyObject(v);
        if (fault != 's') expect(ask_int(r, "EXISTS k:%ld", n) == 0, policy, fault, "nor what a write refused");
        expect(write_some(r, n, 20) == n + 20 && all_there(r, n + 20), policy, fault, "writes are taken again");
        expect(verify_clean(r), policy, fault, "DVERIFY is content");
        redisFree(r);
        server_stop(&s);
    }
    server_remove(&s);
}

int main(void)
{
    static const char *const policies[] = {"always", "everysec"};
    if (mkdtemp(dir) == NULL) return 1;
    (void)snprintf(shim, sizeof shim, "%s/shim.so", dir);
    (void)snprintf(trigger, sizeof trigger, "%s/fault", dir);
    setenv("VARVE_FAULT", trigger, 1);
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 0);
    if (build_shim()) {
        for (int i = 0; i < 2; i++)
            for (const char *f = "swh"; *f; f++) one(policies[i], *f);
    } else {
        expect(false, "-", '-', "the shim can be built");
    }
    mend_disk();
    (void)unlink(shim);
    (void)rmdir(dir);
    printf("faults: %d passed, %d failed\n", checks - failures, failures);
    return failures ? 1 : 0;
}
