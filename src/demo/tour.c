#include "demo/tour.h"
#include "base/mem.h"
#include "base/slice.h"
#include "demo/show.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

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
    if (print || v->type == REDIS_REPLY_ERROR) show_reply(v);
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

/* How many packages depend on each of the changed ones. */
struct needs {
    const struct catalogue *c;
    unsigned *of; /* as c->changed */
};

static void count_need(void *ctx, const char *name, size_t n)
{
    struct needs *needs = ctx;
    size_t low = 0, high = needs->c->n_changed;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = slice_cmp(slice_str(needs->c->changed[mid].name), slice_of(name, n));
        if (order == 0) needs->of[mid]++;
        if (order == 0) return;
        if (order < 0) low = mid + 1;
        else high = mid;
    }
}

/* A package that came in a newer version, and that many others need, makes the better story. */
static const char *pick(const struct catalogue *c)
{
    const struct package *best = &c->base[0];
    uint64_t most = 0;
    struct needs needs = {c, mem_zalloc((c->n_changed + 1) * sizeof(unsigned))};
    for (size_t i = 0; i < c->n_base; i++) catalogue_relations(c->base[i].depends, count_need, &needs);
    for (size_t i = 0; i < c->n_changed; i++) {
        const struct package *p = &c->changed[i], *first = catalogue_find(c, p->name, strlen(p->name));
        uint64_t worth = needs.of[i] + (p->depends ? 1u << 20 : 0);
        if (first && strcmp(first->version, p->version) != 0) worth += 1ull << 40;
        if (worth > most) most = worth, best = p;
    }
    mem_free(needs.of);
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
    printf("  > DASOF pkg:%s seq:%lld\n", name, t->before_second);
    if (v) show_reply(v);
    promise(t, v && v->type == REDIS_REPLY_ERROR && strncmp(v->str, "PRUNED", 6) == 0, "PRUNED");
    if (v) freeReplyObject(v);
}

static void tour_difference(struct tour *t, const char *name)
{
    say("What the second pass changed in it, as a JSON Patch:");
    redisReply *v = ask(t, true, "DDIFF pkg:%s seq:%lld head", name, t->before_second);
    promise(t, v->type == REDIS_REPLY_STRING, "a patch");
    freeReplyObject(v);
}

/* Rows of DQUERY, a line each; returns how many. */
static size_t query(struct tour *t, const char *nql, const char *count)
{
    redisReply *v = ask(t, false, "DQUERY %s COUNT %s", nql, count);
    const redisReply *rows = v->type == REDIS_REPLY_ARRAY ? field(v, "rows") : NULL;
    size_t n = rows ? rows->elements : 0;
    for (size_t i = 0; i < n; i++) {
        printf("    %2zu) ", i + 1);
        for (size_t j = 0; j < rows->element[i]->elements; j++)
            printf("%s%.90s", j ? "  " : "", rows->element[i]->element[j]->str ? rows->element[i]->element[j]->str : "(nil)");
        putchar('\n');
    }
    promise(t, n > 0, "rows");
    freeReplyObject(v);
    return n;
}

static void tour_queries(struct tour *t)
{
    char nql[200];
    say("Questions in a language. The largest packages of a section; how the server goes about it; and the same question about "
        "the time before the second pass:");
    (void)query(t, "FROM pkg WHERE section = 'libs' AND size > 1000 ORDER BY size DESC FIELDS version, size", "5");
    freeReplyObject(ask(t, true, "DQUERY %s EXPLAIN", "FROM pkg WHERE size > 1000"));
    (void)snprintf(nql, sizeof nql, "FROM pkg AS OF %lld WHERE size > 1000 ORDER BY size DESC FIELDS version, size",
                   t->before_second);
    (void)query(t, nql, "3");
    say("Sections with the most packages, counted and summed:");
    (void)query(t, "FROM pkg GROUP BY section COUNT SUM size ORDER BY COUNT DESC LIMIT 5", "5");
    say("Words, by a text index over the descriptions:");
    freeReplyObject(ask(t, true, "DINDEX CREATE pkg description TEXT"));
    freeReplyObject(ask(t, true, "DINDEX WAIT pkg description 60000"));
    (void)query(t, "FROM pkg SEARCH \"compress* librar*\" IN description FIELDS description", "5");
}

static void tour_traversal(struct tour *t, const char *name)
{
    say("What it needs, and what that needs:");
    redisReply *v = ask(t, false, "DTRAVERSE pkg:%s OUT REL 1 depends DEPTH 3 LIMIT 1000", name);
    size_t n = v->type == REDIS_REPLY_ARRAY ? v->elements : 0;
    for (size_t i = 0; i < n && i < 8; i++)
        printf("    depth %lld  %s\n", field(v->element[i], "depth")->integer, field(v->element[i], "key")->str);
    if (n > 8) printf("    … (%zu in all)\n", n);
    promise(t, n > 0, "dependencies");
    freeReplyObject(v);
}

/* A mistake, and the way back. */
static void tour_mistake(struct tour *t, const char *name)
{
    say("A mistake: a script spoils a package and deletes another. First a tag, to be safe; then the changes, as whoever follows "
        "the feed sees them:");
    freeReplyObject(ask(t, true, "DTAG SET before-mistake"));
    long long seq = 0;
    redisReply *v = ask(t, true, "DTAG GET before-mistake");
    if (v->type == REDIS_REPLY_ARRAY) seq = field(v, "seq")->integer;
    freeReplyObject(v);
    freeReplyObject(ask(t, true, "DPATCH pkg:%s MERGE {\"size\":null,\"maintainer\":\"nobody\"} NOTE oops", name));
    freeReplyObject(ask(t, true, "DDEL pkg:bash NOTE oops"));
    v = ask(t, false, "DCHANGES FROM %lld COUNT 10", seq);
    const redisReply *events = v->type == REDIS_REPLY_ARRAY ? field(v, "events") : NULL;
    for (size_t i = 0; events && i < events->elements; i++)
        printf("    seq %lld  %-7s %s  %s\n", field(events->element[i], "seq")->integer, field(events->element[i], "op")->str,
               field(events->element[i], "key")->str ? field(events->element[i], "key")->str : "",
               field(events->element[i], "note")->str ? field(events->element[i], "note")->str : "");
    promise(t, events && events->elements >= 2, "both changes");
    freeReplyObject(v);
    say("Any command can be asked about the past:");
    ask_and_show(t, "pkg:bash", "DRUN tag:before-mistake EXISTS %s");
    ask_and_show(t, "pkg:bash", "EXISTS %s");
    say("And the way back, first dry, then in one commit:");
    freeReplyObject(ask(t, true, "DREVERT PREFIX pkg: tag:before-mistake DRYRUN"));
    v = ask(t, true, "DREVERT PREFIX pkg: tag:before-mistake NOTE undone");
    promise(t, v->type == REDIS_REPLY_ARRAY && field(v, "changed")->integer == 2, "two packages are back");
    freeReplyObject(v);
    ask_and_show(t, "pkg:bash", "EXISTS %s");
}

static void tour_rules(struct tour *t)
{
    say("Rules say how much history is kept, key by key; what is tagged stays readable whatever they say:");
    freeReplyObject(ask(t, true, "DRETAIN SET pkg:* VERSIONS 2"));
    freeReplyObject(ask(t, true, "DRETAIN GET pkg:bash"));
    freeReplyObject(ask(t, true, "DTAG DEL before-mistake"));
}

void tour_walk(struct tour *t)
{
    const char *name = pick(t->c);
    tour_versions(t, name);
    tour_difference(t, name);
    tour_links(t, name);
    tour_traversal(t, name);
    tour_index(t);
    tour_queries(t);
    tour_proof(t, name);
    tour_mistake(t, name);
    tour_rules(t);
    tour_compaction(t, name);
}
