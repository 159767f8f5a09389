#include "demo/load.h"
#include "base/json.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- progress ---- */
struct bar {
    const char *what, *of; /* what is made, of how many what */
    size_t total;
    double begin, shown;
};

static void bar_show(struct bar *b, size_t done)
{
    double now = now_seconds();
    if (done < b->total && now - b->shown < 0.1) return;
    b->shown = now;
    int filled = b->total ? (int)(done * 30 / b->total) : 30;
    double rate = now > b->begin ? (double)done / (now - b->begin) : 0;
    if (!isatty(STDOUT_FILENO) && done < b->total) return;
    printf("%s  %-9s [%.*s%*s] %zu of %zu %s, %.0f a second", isatty(STDOUT_FILENO) ? "\r" : "", b->what, filled, "##############################", 30 - filled, "", done,
           b->total, b->of, rate);
    if (done >= b->total) putchar('\n');
    fflush(stdout);
}

/* ---- the pipeline ---- */
struct pipeline {
    redisContext *r;
    struct load_result *out;
    size_t in_flight;
};

static void note_error(struct pipeline *p, const char *text)
{
    if (p->out->errors++ == 0) (void)snprintf(p->out->first_error, sizeof p->out->first_error, "%s", text);
}

static void take_replies(struct pipeline *p, size_t leave)
{
    while (p->in_flight > leave) {
        redisReply *reply = NULL;
        if (redisGetReply(p->r, (void **)&reply) != REDIS_OK) {
            note_error(p, p->r->errstr);
            p->in_flight = 0;
            return;
        }
        if (reply->type == REDIS_REPLY_ERROR) note_error(p, reply->str);
        freeReplyObject(reply);
        p->in_flight--;
    }
}

static void send(struct pipeline *p, int argc, const char **argv, const size_t *lens)
{
    redisAppendCommandArgv(p->r, argc, argv, lens);
    if (++p->in_flight >= LOAD_WINDOW) take_replies(p, LOAD_WINDOW / 2);
}

/* ---- documents ---- */
static void member(struct buf *b, const char *name, const char *text)
{
    if (text == NULL) return;
    if (b->p[b->n - 1] != '{') buf_add_byte(b, ',');
    json_quote(slice_str(name), b);
    buf_add_byte(b, ':');
    json_quote(slice_str(text), b);
}

static void package_json(struct buf *b, const struct package *p)
{
    buf_clear(b);
    buf_add_byte(b, '{');
    member(b, "name", p->name);
    member(b, "version", p->version);
    member(b, "section", p->section);
    buf_printf(b, ",\"size\":%llu", (unsigned long long)p->size_kb);
    member(b, "maintainer", p->maintainer);
    member(b, "description", p->description);
    member(b, "installed", p->installed);
    buf_add_byte(b, '}');
}

static void put_batch(struct pipeline *p, const char *key, int pass, size_t from, size_t n)
{
    struct buf json = {0};
    buf_printf(&json, "{\"pass\":%d,\"from\":%zu,\"packages\":%zu}", pass, from, n);
    const char *argv[] = {"DPUT", key, (const char *)json.p, "NOTE", "one batch of the package catalogue"};
    size_t lens[] = {4, strlen(key), json.n, 4, strlen(argv[4])};
    send(p, 5, argv, lens);
    buf_fini(&json);
}

void load_documents(redisContext *r, const struct package *pk, size_t n, int pass, struct load_result *out)
{
    struct pipeline p = {r, out, 0};
    struct bar bar = {pass == 1 ? "documents" : "changes", "packages", n, now_seconds(), 0};
    struct buf json = {0}, key = {0};
    char batch[64], cause[80];
    for (size_t i = 0; i < n; i++) {
        if (i % LOAD_BATCH == 0) {
            (void)snprintf(batch, sizeof batch, "batch:%d-%04zu", pass, i / LOAD_BATCH);
            (void)snprintf(cause, sizeof cause, "key:%s", batch);
            put_batch(&p, batch, pass, i, n - i < LOAD_BATCH ? n - i : LOAD_BATCH);
        }
        package_json(&json, &pk[i]);
        buf_clear(&key);
        buf_printf(&key, "pkg:%s", pk[i].name);
        const char *argv[] = {"DPUT", (const char *)key.p, (const char *)json.p, "CAUSEDBY", "1", cause};
        size_t lens[] = {4, key.n, json.n, 8, 1, strlen(cause)};
        send(&p, 6, argv, lens);
        bar_show(&bar, i);
    }
    take_replies(&p, 0);
    bar_show(&bar, n);
    out->documents += n;
    out->seconds_documents += now_seconds() - bar.begin;
    buf_fini(&json);
    buf_fini(&key);
}

/* ---- links ---- */
struct linking {
    struct pipeline p;
    const struct catalogue *c;
    struct buf from, to;
    const char *rel;
};

static void link_one(void *ctx, const char *name, size_t n)
{
    struct linking *l = ctx;
    if (catalogue_find(l->c, name, n) == NULL) return; /* virtual packages have no document */
    buf_clear(&l->to);
    buf_printf(&l->to, "pkg:%.*s", (int)n, name);
    const char *argv[] = {"DLINK", (const char *)l->from.p, l->rel, (const char *)l->to.p};
    size_t lens[] = {5, l->from.n, strlen(l->rel), l->to.n};
    send(&l->p, 4, argv, lens);
    l->p.out->links++;
}

void load_links(redisContext *r, const struct catalogue *c, struct load_result *out)
{
    struct linking l = {.p = {r, out, 0}, .c = c};
    struct bar bar = {"links", "packages", c->n_base, now_seconds(), 0};
    for (size_t i = 0; i < c->n_base; i++) {
        buf_clear(&l.from);
        buf_printf(&l.from, "pkg:%s", c->base[i].name);
        l.rel = "depends";
        catalogue_relations(c->base[i].depends, link_one, &l);
        l.rel = "recommends";
        catalogue_relations(c->base[i].recommends, link_one, &l);
        bar_show(&bar, i);
    }
    take_replies(&l.p, 0);
    bar_show(&bar, c->n_base);
    out->seconds_links += now_seconds() - bar.begin;
    buf_fini(&l.from);
    buf_fini(&l.to);
}
