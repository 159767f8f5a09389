/* A follower that knows the store from DCHANGES alone: it reads at random times, some events at a time, and must then have what the oracle has. */
#ifndef VARVE_TESTS_MODEL_FAMILY_FEED_H
#define VARVE_TESTS_MODEL_FAMILY_FEED_H

#include "tests/model/family_reads.h"

static struct feed {
    char next[80];
    long long newest, began; /* seq of the newest event; the head when it began at 0 */
    bool started, swapped, more, at_end;
    char *value[KEYS], *link[KEYS][RELS][KEYS]; /* NULL: none */
    unsigned restarts, pruned;
    int compactions; /* when it was told something last */
} feeds[DBS];

static inline void feed_forget(struct feed *f)
{
    for (int i = 0; i < KEYS; i++) {
        free(f->value[i]), f->value[i] = NULL;
        for (int j = 0; j < RELS * KEYS; j++) free(f->link[i][j / KEYS][j % KEYS]), f->link[i][j / KEYS][j % KEYS] = NULL;
    }
}

static inline void feed_begin(struct feed *f)
{
    feed_forget(f);
    snprintf(f->next, sizeof f->next, "0");
    f->newest = 0;
    f->started = f->swapped = false;
    f->restarts++;
}

static inline char **feed_slot(struct feed *f, const char *name, bool link)
{
    for (int i = 0; i < KEYS; i++) {
        if (!link && strcmp(keys[0][i].name, name) == 0) return &f->value[i];
        for (int j = 0; link && j < RELS * KEYS; j++)
            if (strcmp(links[0][i][j / KEYS][j % KEYS].name, name) == 0) return &f->link[i][j / KEYS][j % KEYS];
    }
    fail("an event", "a key that is known", name);
}

static inline void feed_apply(struct feed *f, const redisReply *e)
{
    const char *op = field(e, "op")->str, *name = text_of(field(e, "key"));
    const redisReply *data = field(e, "data");
    long long seq = field(e, "seq")->integer;
    if (seq <= f->newest) fail("DCHANGES", "ascending events", "another");
    f->newest = seq;
    if (strcmp(op, "flush") == 0) {
        feed_forget(f);
        return;
    }
    if (strcmp(op, "swap") == 0) {
        f->swapped |= seq > f->began;
        return;
    }
    if (name == NULL) fail("an event without a key", "flush or swap", op);
    bool link = strcmp(op, "link") == 0 || strcmp(op, "unlink") == 0;
    bool ends = strcmp(op, "delete") == 0 || strcmp(op, "expire") == 0 || strcmp(op, "unlink") == 0;
    char **slot = feed_slot(f, name, link);
    free(*slot);
    *slot = NULL;
    if (ends) return;
    if (!link && data->type != REDIS_REPLY_STRING) fail("an event's data", "the value", text_of(data) ? text_of(data) : "(nil)");
    *slot = strdup(data->str ? data->str : "");
    const struct place *at = &places[seq];
    if (at->key) check_node(e, at->key, &at->key->v[at->i]);
}

/* One request. */
static inline void feed_read(struct feed *f)
{
    if (!f->next[0] || f->swapped) feed_begin(f);
    redisReply *v = query("DCHANGES FROM %s COUNT %d WITHDATA", f->next, 1 + (int)rnd(200));
    f->more = true;
    if (is_error(v, "PRUNED")) {
        if (compactions == f->compactions || strcmp(f->next, "0") == 0) fail("DCHANGES", "events", v->str);
        f->pruned++;
        feed_begin(f);
    } else {
        if (v->type == REDIS_REPLY_ERROR) fail("DCHANGES", "events", v->str);
        const redisReply *events = field(v, "events"), *next = field(v, "next");
        f->compactions = compactions;
        if (!f->started) f->began = field(v, "head")->integer;
        f->started = true;
        f->more = field(v, "more")->integer;
        expect_int("DCHANGES head", head, field(v, "head")->integer);
        for (size_t i = 0; i < events->elements; i++) feed_apply(f, events->element[i]);
        if (next->str) snprintf(f->next, sizeof f->next, "%s", next->str);
        else snprintf(f->next, sizeof f->next, "%lld", next->integer);
    }
    freeReplyObject(v);
}

static inline void check_feed(void)
{
    struct feed *f = &feeds[number];
    int db = content();
    if (rnd(3)) {
        feed_read(f);
        return;
    }
    for (int i = 0; i < 3000; i++) {
        feed_read(f);
        if (!f->more && !f->swapped) break;
    }
    if (f->more) fail("DCHANGES", "an end", "none");
    for (int i = 0; i < KEYS; i++) {
        const struct version *v = last_of(&keys[db][i]);
        snprintf(command, sizeof command, "the feed's %s of database %d", keys[db][i].name, number);
        expect_str("what the feed told", v->kind == ABSENT ? NULL : v->text, f->value[i]);
        for (int j = 0; j < RELS * KEYS; j++) {
            const struct key *l = &links[db][i][j / KEYS][j % KEYS];
            snprintf(command, sizeof command, "the feed's link %s of database %d", l->name, number);
            expect_str("what the feed told", last_of(l)->kind == LINKED ? last_of(l)->text : NULL, f->link[i][j / KEYS][j % KEYS]);
        }
    }
}

static inline void feeds_fini(void)
{
    for (int i = 0; i < DBS; i++) feed_forget(&feeds[i]);
}

#endif
