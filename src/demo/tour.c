#include "demo/tour.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define TEXT_SHOWN 96 /* characters of a long text that are shown */
#define ROWS_SHOWN 12

static void show_text(const char *s, size_t n)
{
    size_t shown = n < TEXT_SHOWN ? n : TEXT_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        unsigned char ch = (unsigned char)s[i];
        if (ch >= 32 && ch != 127)
            putchar(ch);
        else
            printf("\\x%02x", ch);
    }
    if (n > shown) printf("… (%zu bytes)", n);
    putchar('\n');
}

static void show(const redisReply *v, int depth)
{
    switch (v->type) {
    case REDIS_REPLY_NIL: puts("(nil)"); break;
    case REDIS_REPLY_INTEGER: printf("%lld\n", v->integer); break;
    case REDIS_REPLY_ERROR: printf("(error) "); /* fall through */
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_STRING: show_text(v->str, v->len); break;
    default:
        if (v->elements == 0) puts("(empty)");
        for (size_t i = 0; i < v->elements; i++) {
            if (i || depth == 0) printf("%*s", i || depth == 0 ? 4 + 3 * depth : 0, "");
            if (i == ROWS_SHOWN && v->elements > ROWS_SHOWN + 20) {
                printf("… (%zu in all)\n", v->elements);
                break;
            }
            printf("%zu) ", i + 1);
            show(v->element[i], depth + 1);
        }
    }
}

static void say(const char *text)
{
    printf("\n%s\n", text);
}

static redisReply *ask(struct tour *t, bool print, const char *format, ...)
{
    va_list ap;
    char shown[512];
    va_start(ap, format);
    (void)vsnprintf(shown, sizeof shown, format, ap);
    va_end(ap);
    va_start(ap, format);
    redisReply *v = redisvCommand(t->r, format, ap);
    va_end(ap);
    printf("  > %s\n", shown);
    if (v == NULL) {
        printf("    the connection is gone: %s\n", t->r->errstr);
        exit(1);
    }
    if (v->type == REDIS_REPLY_ERROR) t->failures++;
    if (print || v->type == REDIS_REPLY_ERROR) {
        if (v->type != REDIS_REPLY_ARRAY) printf("    ");
        show(v, 0);
    }
    return v;
}

static void ask_and_show(struct tour *t, const char *name, const char *format)
{
    freeReplyObject(ask(t, true, format, name));
}

/* A value in a flattened map. */
static const redisReply *field(const redisReply *map, const char *name)
{
    for (size_t i = 0; i + 1 < map->elements; i += 2)
        if (map->element[i]->str && strcmp(map->element[i]->str, name) == 0) return map->element[i + 1];
    return NULL;
}

static void promise(struct tour *t, bool kept, const char *what)
{
    if (kept) return;
    t->failures++;
    printf("    NOT AS PROMISED: %s\n", what);
}

/* A package that changed in the second pass and has many dependencies makes the better story. */
static const char *pick(const struct catalogue *c)
{
    const struct package *best = &c->base[0];
    size_t most = 0;
    for (size_t i = 0; i < c->n_changed; i++) {
        size_t n = c->changed[i].depends ? strlen(c->changed[i].depends) : 0;
        const struct package *first = catalogue_find(c, c->changed[i].name, strlen(c->changed[i].name));
        if (first && strcmp(first->version, c->changed[i].version) != 0) n += 1000;
        if (n > most) most = n, best = &c->changed[i];
    }
    return best->name;
}

static void tour_versions(struct tour *t, const char *name)
{
    say("A package as it is now:");
    redisReply *now = ask(t, true, "DGET pkg:%s", name);
    say("The same package as of the moment before the second pass:");
    redisReply *then = ask(t, true, "DASOF pkg:%s seq:%lld", name, t->before_second);
    promise(t, now->str && then->str && strcmp(now->str, then->str) != 0, "the two differ");
    freeReplyObject(now);
    freeReplyObject(then);
    say("Its history, newest first:");
    redisReply *h = ask(t, true, "DHISTORY pkg:%s", name);
    promise(t, h->elements >= 2, "two versions at least");
    freeReplyObject(h);
    say("What caused the newest version: the batch that brought it.");
    ask_and_show(t, name, "DTRACE key:pkg:%s CAUSES WITHDATA");
}

static void tour_links(struct tour *t, const char *name)
{
    say("Its neighbours: what it depends on, and what needs it.");
    ask_and_show(t, name, "DLINKS pkg:%s OUT REL 1 depends COUNT 4");
    ask_and_show(t, name, "DLINKS pkg:%s IN COUNT 3");
}

static void show_sizes(const redisReply *v)
{
    for (size_t i = 0; i < v->elements; i++) {
        const char *size = strstr(v->element[i]->element[1]->str, "\"size\":");
        printf("    %2zu) %-40s %12.1f MiB\n", i + 1, v->element[i]->element[0]->str, size ? strtod(size + 7, NULL) / 1024 : 0);
    }
}

static void tour_index(struct tour *t)
{
    say("The ten largest installed sizes, by a sorted index that is built beside traffic:");
    freeReplyObject(ask(t, true, "DINDEX CREATE pkg size"));
    freeReplyObject(ask(t, true, "DINDEX WAIT pkg size 60000"));
    redisReply *v = ask(t, false, "DTOP pkg size DESC 10");
    promise(t, v->type == REDIS_REPLY_ARRAY && v->elements > 0, "rows");
    if (v->type == REDIS_REPLY_ARRAY) show_sizes(v);
    freeReplyObject(v);
}

static void write_proof(FILE *f, const redisReply *p)
{
    const redisReply *path = field(p, "path");
    fprintf(f, "{\"index\":%lld,\"size\":%lld,\"leaf\":\"%s\",\"root\":\"%s\",\"path\":[", field(p, "index")->integer,
            field(p, "size")->integer, field(p, "leaf")->str, field(p, "root")->str);
    for (size_t i = 0; i < path->elements; i++) fprintf(f, "%s\"%s\"", i ? "," : "", path->element[i]->str);
    fprintf(f, "]}\n");
}

static void tour_proof(struct tour *t, const char *name)
{
    char file[256], node[256], command[1024];
    say("A proof that this very version is in the log, checked by the tool, which shares no code with the server's prover:");
    redisReply *p = ask(t, true, "DPROVE INCLUSION key:pkg:%s", name);
    if (p->type != REDIS_REPLY_ARRAY || !field(p, "node") || !field(p, "node")->str) {
        promise(t, false, "a proof");
        freeReplyObject(p);
        return;
    }
    (void)snprintf(file, sizeof file, "%s/proof.json", t->dir);
    (void)snprintf(node, sizeof node, "%s/proof.node", t->dir);
    FILE *f = fopen(file, "w"), *g = fopen(node, "w");
    if (f && g) {
        write_proof(f, p);
        fwrite(field(p, "node")->str, 1, field(p, "node")->len, g);
    }
    if (f) fclose(f);
    if (g) fclose(g);
    freeReplyObject(p);
    (void)snprintf(command, sizeof command, "%s verify-proof --node %s %s", t->tool, node, file);
    printf("  $ %s\n    ", command);
    fflush(stdout);
    int status = system(command);
    promise(t, WIFEXITED(status) && WEXITSTATUS(status) == 0, "the tool accepts the proof");
}

static void tour_compaction(struct tour *t, const char *name)
{
    say("History costs what its owner chose. What would be given back if only current versions were kept, then doing it:");
    freeReplyObject(ask(t, true, "DCOMPACT KEEP 1 DRYRUN"));
    redisReply *v = ask(t, true, "DCOMPACT KEEP 1");
    const redisReply *before = v->type == REDIS_REPLY_ARRAY ? field(v, "bytes_before") : NULL;
    if (before) {
        long long after = field(v, "bytes_after")->integer;
        printf("    gave back %.1f of %.1f MB\n", (double)(before->integer - after) / 1e6, (double)before->integer / 1e6);
        promise(t, after < before->integer, "less than before");
    }
    freeReplyObject(v);
    say("A read below the horizon is refused, not answered wrongly:");
    v = redisCommand(t->r, "DASOF pkg:%s seq:%lld", name, t->before_second);
    printf("  > DASOF pkg:%s seq:%lld\n    ", name, t->before_second);
    if (v) show(v, 0);
    promise(t, v && v->type == REDIS_REPLY_ERROR && strncmp(v->str, "PRUNED", 6) == 0, "PRUNED");
    if (v) freeReplyObject(v);
}

void tour_walk(struct tour *t)
{
    const char *name = pick(t->c);
    tour_versions(t, name);
    tour_links(t, name);
    tour_index(t);
    tour_proof(t, name);
    tour_compaction(t, name);
}
