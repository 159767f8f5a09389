/* make demo: the server does its main job on this machine's own package catalogue. */
#include "base/err.h"
#include "demo/load.h"
#include "demo/process.h"
#include "demo/tour.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long long head_seq(redisContext *r)
{
    redisReply *v = redisCommand(r, "DHEAD");
    long long seq = v && v->type == REDIS_REPLY_ARRAY && v->elements >= 2 ? v->element[1]->integer : -1;
    if (v) freeReplyObject(v);
    return seq;
}

static void print_rates(const struct load_result *l)
{
    printf("\nRates reached over one connection, %d commands in flight:\n", LOAD_WINDOW);
    printf("  %llu documents in %.2f s: %.0f documents a second\n", (unsigned long long)l->documents, l->seconds_documents,
           (double)l->documents / l->seconds_documents);
    printf("  %llu links in %.2f s: %.0f links a second\n", (unsigned long long)l->links, l->seconds_links,
           (double)l->links / l->seconds_links);
    if (l->errors) printf("  %llu commands were refused; the first: %s\n", (unsigned long long)l->errors, l->first_error);
}

/* What the second pass writes, without a server: name, version before, version then. */
static int print_changes(void)
{
    struct catalogue c;
    if (catalogue_read(&c) != E_OK) return 1;
    for (size_t i = 0; i < c.n_changed; i++) {
        const struct package *was = catalogue_find(&c, c.changed[i].name, strlen(c.changed[i].name));
        printf("%s %s %s\n", c.changed[i].name, was ? was->version : "-", c.changed[i].version);
    }
    catalogue_fini(&c);
    return 0;
}

static int run(struct process *p, const char *tool, const struct catalogue *c)
{
    struct load_result l = {0};
    redisContext *r = process_connect(p);
    if (r == NULL) return fprintf(stderr, "cannot connect to the server\n"), 1;
    printf("Loading %zu packages from %s\n", c->n_base, c->source);
    load_documents(r, c->base, c->n_base, 1, &l);
    load_links(r, c, &l);
    struct tour t = {.r = r, .tool = tool, .dir = p->dir, .c = c, .before_second = head_seq(r)};
    printf("The second pass: %zu packages in newer versions, or installed here\n", c->n_changed);
    load_documents(r, c->changed, c->n_changed, 2, &l);
    tour_walk(&t);
    print_rates(&l);
    redisFree(r);
    if (t.failures) fprintf(stderr, "%u answer%s not as promised\n", t.failures, t.failures == 1 ? " was" : "s were");
    return t.failures || l.errors ? 1 : 0;
}

/* Whichever way the demo ends, its server does not stay behind unasked. */
static struct process running;
static void stop_running(void)
{
    if (running.pid > 0) process_stop(&running);
}

int main(int argc, char **argv)
{
    const char *server = "build/varve-server", *tool = "build/varve";
    bool keep = false;
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* what is read through a pipe comes as it happens, too */
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--keep") == 0)
            keep = true;
        else if (strcmp(argv[i], "--changes") == 0)
            return print_changes();
        else if (i + 1 < argc && strcmp(argv[i], "--server") == 0)
            server = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--tool") == 0)
            tool = argv[++i];
        else
            return fprintf(stderr, "usage: %s [--server PROGRAM] [--tool PROGRAM] [--keep] | --changes\n", argv[0]), 2;
    }
    struct catalogue c;
    if (catalogue_read(&c) != E_OK) return fprintf(stderr, "this machine has neither apt lists nor a dpkg status file\n"), 1;
    process_stop_on_signals(&running);
    if (process_start(&running, server) != E_OK) return 1;
    (void)atexit(stop_running);
    printf("A server runs on port %d, data in %s\n", running.port, running.dir);
    int status = run(&running, tool, &c);
    catalogue_fini(&c);
    if (keep) {
        printf("\nThe server goes on: redis-cli -p %d    end it with: redis-cli -p %d SHUTDOWN; rm -rf %s\n", running.port,
               running.port, running.dir);
        running = (struct process){0};
    }
    return status;
}
