/* KEYS, SCAN and DBSIZE in a view, in turns: the past is walked key by key (keyspace.h), which costs the keys that were ever there, so the client waits and others go on.
 * Inside a transaction it is done at one go. Names pile up until the walk is through: a failure on the way is the whole answer, as it is in the present. */
#include "modules/key/key.h"

struct past {
    struct ks_walk *walk;
    struct reply_pile *names; /* NULL: they are only counted */
    int match_at;             /* the argument that holds the pattern, 0 = every name fits. Arguments move when the call waits */
    bool with_cursor;         /* SCAN's reply */
    uint64_t n;
    struct call *call;        /* of the step at hand */
};

static int visit(void *ctx, slice key, uint8_t type)
{
    struct past *p = ctx;
    (void)type;
    if (p->match_at != 0 && !glob_match(p->call->argv[p->match_at], key, false)) return 0;
    p->n++;
    if (p->names) reply_bulk(p->call, key);
    return 0;
}

static int walk_some(struct call *c, struct past *p)
{
    p->call = c;
    if (p->names) reply_pile_begin(c, p->names);
    int err = ks_walk_step(&c->ks, p->walk, visit, p);
    if (p->names) reply_pile_end(c, p->names);
    return err;
}

static void reply_all(struct call *c, struct past *p)
{
    char text[24];
    if (!p->names) return reply_int(c, (int64_t)p->n);
    if (p->with_cursor) {
        reply_array(c, 2);
        reply_bulk(c, slice_of(text, num_format_u64(text, ks_walk_cursor(p->walk))));
    }
    reply_array(c, p->n);
    reply_pile_give(c, p->names);
}

/* True when it has replied. */
static bool past_step(struct call *c, void *state)
{
    struct past *p = state;
    int err = E_OK;
    while ((err = walk_some(c, p)) == E_AGAIN)
        if (!c->in_multi) return false;
    if (err != E_OK) {
        reply_failure(c, err);
        return true;
    }
    reply_all(c, p);
    return true;
}

static void past_drop(void *state)
{
    struct past *p = state;
    ks_walk_close(&p->walk);
    reply_pile_free(&p->names);
    mem_free(p);
}

/* Takes p. */
static void run(struct call *c, struct past *p, uint64_t cursor, size_t count, uint8_t type)
{
    ASSERT(c->ks.viewing);
    int err = ks_walk_open(&c->ks, cursor, count, type, &p->walk);
    if (err != E_OK)
        reply_failure(c, err);
    else if (!past_step(c, p))
        return call_later(c, LATER_TURN, past_step, past_drop, p);
    past_drop(p);
}

void key_past_names(struct call *c, int match_at)
{
    struct past *p = mem_zalloc(sizeof *p);
    p->names = reply_pile_new();
    p->match_at = match_at;
    run(c, p, 0, SIZE_MAX, 0);
}

void key_past_page(struct call *c, uint64_t cursor, size_t count, uint8_t type, int match_at)
{
    struct past *p = mem_zalloc(sizeof *p);
    p->names = reply_pile_new();
    p->match_at = match_at;
    p->with_cursor = true;
    run(c, p, cursor, count, type);
}

void key_past_count(struct call *c)
{
    run(c, mem_zalloc(sizeof(struct past)), 0, SIZE_MAX, 0);
}

/* ---- a key by chance ---- */

static bool random_step(struct call *c, void *state)
{
    struct ks_draw *d = state;
    int err;
    do err = ks_draw(&c->ks, d);
    while (err == E_AGAIN && c->in_multi);
    if (err == E_AGAIN) return false;
    if (err == E_OK)
        reply_bulk(c, buf_slice(&d->key));
    else if (err == E_NOTFOUND)
        reply_null(c);
    else
        reply_failure(c, err);
    return true;
}

static void random_drop(void *state)
{
    struct ks_draw *d = state;
    ks_draw_fini(d);
    mem_free(d);
}

void cmd_randomkey(struct call *c)
{
    struct ks_draw *d = mem_zalloc(sizeof *d);
    if (random_step(c, d))
        random_drop(d);
    else
        call_later(c, LATER_TURN, random_step, random_drop, d);
}
