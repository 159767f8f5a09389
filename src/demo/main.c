/* make demo: the server does its main job on this machine's own package catalogue. */
#include "base/err.h"
#include "demo/load.h"
#include "demo/process.h"
#include "demo/tour.h"
#include <stdio.h>
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
    if (t.failures) fprintf(stderr, "%u answers were not as promised\n", t.failures);
    return t.failures || l.errors ? 1 : 0;
}

int main(int argc, char **argv)
{
    const char *server = "build/varve-server", *tool = "build/varve";
    bool keep = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--keep") == 0)
            keep = true;
        else if (i + 1 < argc && strcmp(argv[i], "--server") == 0)
            server = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--tool") == 0)
            tool = argv[++i];
        else
            return fprintf(stderr, "usage: %s [--server PROGRAM] [--tool PROGRAM] [--keep]\n", argv[0]), 2;
    }
    struct catalogue c;
    struct process p = {0};
    if (catalogue_read(&c) != E_OK) return fprintf(stderr, "this machine has neither apt lists nor a dpkg status file\n"), 1;
    if (process_start(&p, server) != E_OK) return 1;
    printf("A server runs on port %d, data in %s\n", p.port, p.dir);
    int status = run(&p, tool, &c);
    catalogue_fini(&c);
    if (keep) {
        printf("\nThe server goes on: redis-cli -p %d    end it with: redis-cli -p %d SHUTDOWN; rm -rf %s\n", p.port, p.port,
               p.dir);
        return status;
    }
    process_stop(&p);
    return status;
}
