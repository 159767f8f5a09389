/* Clients on several loops at once, each with pipelines that name keys of others: causes, references, figures of the whole server, flushes and settings. What is
 * answered is only looked at roughly; under a sanitizer (tests/support/run-sanitized) it is the server's locks that are tested. */
#include "tests/support/server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS 8
#define KEYS    50
#define BATCH   60
#define ROUNDS  25

static unsigned long passed, failed;
static unsigned seed = 1;

static unsigned roll(unsigned n) { return seed = seed * 1103515245 + 12345, (seed >> 16) % n; }

static void check(const char *what, bool ok)
{
    if (ok) {
        passed++;
        return;
    }
    failed++;
    fprintf(stderr, "failed: %s\n", what);
}

static void ask_one(redisContext *r)
{
    unsigned a = roll(KEYS), b = roll(KEYS);
    switch (roll(16)) {
    case 0:
    case 1:
    case 2: redisAppendCommand(r, "DPUT d:%u {\"n\":%u} CAUSEDBY 2 key:d:%u key:d:%u", a, b, b, roll(KEYS)); break;
    case 3: redisAppendCommand(r, "DPUT d:%u %u", a, b); break;
    case 4: redisAppendCommand(r, "DPUT d:%u %u PX %u", a, b, 1 + roll(50)); break;
    case 5: redisAppendCommand(r, "DDEL d:%u CAUSEDBY 1 key:d:%u", a, b); break;
    case 6: redisAppendCommand(r, "DMPUT 2 d:%u 1 * e:%u {\"n\":2} * CAUSEDBY 1 key:d:%u", a, b, b); break;
    case 7: redisAppendCommand(r, "DLINK d:%u to d:%u CAUSEDBY 1 key:e:%u", a, b, a); break;
    case 8: redisAppendCommand(r, "DNODE key:d:%u", a); break;
    case 9: redisAppendCommand(r, "DTRACE key:d:%u LIMIT 20", a); break;
    case 10: redisAppendCommand(r, "DPROVE INCLUSION key:d:%u", a); break;
    case 11: redisAppendCommand(r, "SET k:%u %u PX %u", a, b, 1 + roll(50)); break;
    case 12: redisAppendCommand(r, "GET k:%u", a); break;
    case 13: redisAppendCommand(r, "INFO"); break;
    case 14: redisAppendCommand(r, "CONFIG SET client-output-buffer-limit %s", roll(2) ? "normal 90000000 80000000 60" : "normal 0 0 0"); break;
    default: redisAppendCommand(r, roll(4) ? "DINCRBY e:%u n 1 CAUSEDBY 1 key:d:2" : "FLUSHDB", a); break;
    }
}

int main(void)
{
    static const char *const args[] = {"--threads", "4", "--cache-memory", "100000", NULL};
    struct server s;
    redisContext *r[CLIENTS];
    redisReply *v;
    server_start(&s, NULL, args);
    for (unsigned i = 0; i < CLIENTS; i++) r[i] = server_connect(&s, 2);
    for (unsigned k = 0; k < ROUNDS; k++) {
        for (unsigned i = 0; i < CLIENTS; i++) {
            for (unsigned n = 0; n < BATCH; n++) ask_one(r[i]);
            int done = 0;
            while (!done && redisBufferWrite(r[i], &done) == REDIS_OK) continue;
        }
        for (unsigned i = 0; i < CLIENTS; i++)
            for (unsigned n = 0; n < BATCH; n++) {
                if (redisGetReply(r[i], (void **)&v) != REDIS_OK) {
                    fprintf(stderr, "the connection broke: %s\n", r[i]->errstr);
                    abort();
                }
                static const char *const fine[] = {"NOCAUSE", "NOKEY", "ERR no such"};
                bool ok = v->type != REDIS_REPLY_ERROR;
                for (size_t j = 0; !ok && j < sizeof fine / sizeof *fine; j++) ok = strncmp(v->str, fine[j], strlen(fine[j])) == 0;
                check(ok ? "a reply" : v->str, ok);
                freeReplyObject(v);
            }
    }
    v = ask(r[0], "DVERIFY");
    check("DVERIFY", map_get(v, "bad") && map_get(v, "bad")->elements == 0 && map_get(v, "root_ok")->integer == 1);
    freeReplyObject(v);
    for (unsigned i = 0; i < CLIENTS; i++) redisFree(r[i]);
    server_stop(&s);
    server_remove(&s);
    printf("threads: %lu passed, %lu failed\n", passed, failed);
    return failed > 0;
}
