/* A view: a context whose reads are answered as of a point (keyspace.h). Every reading function of the present asks c->viewing first and comes here.
 *
 * Values of the past are rebuilt from the log into buffers that the context owns (its shelf), so that several can be looked at together as the entries' can;
 * they go with the command. Nothing here touches the entries in memory, so it needs no locks. */
#include "keyspace/parts.h"

#include "base/mem.h"

struct ks_shelf {
    struct buf *v;
    size_t n, cap;
    uint8_t hash[HASH_BYTES];
    struct buf pruned; /* key */
};

static struct ks_shelf *shelf_of(struct ks_ctx *c)
{
    ASSERT(c->viewing);
    if (c->shelf == NULL) c->shelf = mem_zalloc(sizeof *c->shelf);
    return c->shelf;
}

static struct buf *shelf_place(struct ks_ctx *c)
{
    struct ks_shelf *s = shelf_of(c);
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4;
        s->v = mem_realloc(s->v, s->cap * sizeof *s->v);
    }
    s->v[s->n] = (struct buf){0};
    return &s->v[s->n++];
}

int ks_view(struct ks_ctx *c, uint64_t at, uint64_t ms)
{
    ASSERT(c->batch == NULL && c->shelf == NULL);
    struct buf mem = {0};
    struct node n;
    uint64_t now = ms;
    int err = at == 0 ? E_NOTFOUND : engine_read(c->ks->engine, at, &mem, &n);
    if (err == E_OK && n.ts_ms > now) now = n.ts_ms;
    buf_fini(&mem);
    if (err != E_OK && err != E_NOTFOUND && err != E_PRUNED) return err;
    c->viewing = true;
    c->view_at = at;
    c->view_ms = ms;
    if (now != 0) c->now_ms = now;
    return E_OK;
}

void ks_view_release(struct ks_ctx *c)
{
    struct ks_shelf *s = c->shelf;
    if (s == NULL) return;
    for (size_t i = 0; i < s->n; i++) buf_fini(&s->v[i]);
    buf_fini(&s->pruned);
    mem_free(s->v);
    mem_free(s);
    c->shelf = NULL;
    c->pruned_seq = 0;
}

/* Remembers what reply_failure tells. */
static int pruned(struct ks_ctx *c, slice key, uint64_t oldest)
{
    struct ks_shelf *s = shelf_of(c);
    buf_clear(&s->pruned);
    buf_add_slice(&s->pruned, key);
    c->pruned_key = buf_slice(&s->pruned);
    c->pruned_seq = oldest;
    return E_PRUNED;
}

static bool timed_out(const struct ks_ctx *c, uint64_t expire_ms)
{
    return expire_ms != 0 && c->view_ms >= expire_ms;
}

int view_get(struct ks_ctx *c, slice key, struct ks_value *out)
{
    struct buf *mem = shelf_place(c);
    struct ks_value v;
    int err = c->view_at == 0 ? E_NOTFOUND : ks_get_at(c, key, c->view_at, KS_ANY_VALID, mem, &v);
    if (err == E_PRUNED) return pruned(c, key, v.seq);
    if (err == E_OK && timed_out(c, v.expire_ms)) err = E_NOTFOUND;
    if (err == E_OK && v.type == TYPE_DOCUMENT) {
        struct buf *hash = shelf_place(c);
        err = engine_hash(c->ks->engine, v.seq, buf_reserve(hash, HASH_BYTES));
        v.hash = hash->p;
    }
    if (err == E_OK) *out = v;
    return err;
}

int view_usage(struct ks_ctx *c, slice key, struct ks_usage *out)
{
    struct ks_value v;
    int err = view_get(c, key, &v);
    if (err == E_OK) *out = (struct ks_usage){.bytes = key.n + v.blob.n};
    return err;
}

struct db_view view_db(struct ks_ctx *c, uint16_t db)
{
    struct db_view v;
    engine_db_at(c->ks->engine, db, c->view_at, &v);
    return v;
}

/* E_NOTFOUND: past its expiry by the time of the view. */
static int standing(struct ks_ctx *c, const struct version *v)
{
    bool gone = timed_out(c, v->expire_ms);
    int err = gone ? E_OK : past_gone_by(c->ks, v->expire_ms, c->view_at, &gone);
    return err != E_OK ? err : gone ? E_NOTFOUND : E_OK;
}

/* ---- walks ---- */

#define WALK_TURN_US    1000
#define WALK_CLOCK_KEYS 64 /* between two looks at the clock */

struct ks_walk {
    struct past_cursor *it; /* NULL: nothing was before everything */
    uint64_t cursor;        /* where the next walk goes on; 0 = nowhere */
    uint64_t last;          /* position of the key before */
    size_t left;            /* keys to be looked at */
    uint8_t type;
};

int ks_walk_open(struct ks_ctx *c, uint64_t cursor, size_t count, uint8_t type, struct ks_walk **out)
{
    ASSERT(c->viewing && c->db < c->ks->databases);
    struct past_cursor *it = NULL;
    struct db_view db = view_db(c, c->db);
    int err = c->view_at == 0 ? E_OK : engine_keys_at(c->ks->engine, db.lineage, db.flushed, c->view_at, cursor, &it);
    if (err == E_PRUNED) return pruned(c, (slice){0}, engine_horizon(c->ks->engine));
    if (err != E_OK) return err;
    struct ks_walk *w = mem_zalloc(sizeof *w);
    w->it = it;
    w->left = count;
    w->type = type;
    *out = w;
    return E_OK;
}

void ks_walk_close(struct ks_walk **w)
{
    if (*w == NULL) return;
    past_cursor_close(&(*w)->it);
    mem_free(*w);
    *w = NULL;
}

uint64_t ks_walk_cursor(const struct ks_walk *w)
{
    return w->cursor;
}

/* The next key is visited, or ends the walk (E_END). */
static int walk_key(struct ks_ctx *c, struct ks_walk *w, ks_visit fn, void *ctx)
{
    struct live_key k;
    struct version v;
    int err = past_cursor_next(w->it, &k, &v);
    if (err == E_PRUNED) return pruned(c, past_cursor_key(w->it), v.seq);
    if (err != E_OK) return err;
    if (w->left == 0 && k.hash != w->last) {
        w->cursor = k.hash;
        return E_END;
    }
    w->last = k.hash;
    if (w->left > 0) w->left--;
    if (w->type != 0 && k.type != w->type) return E_OK;
    err = standing(c, &v);
    if (err == E_NOTFOUND) return E_OK;
    return err != E_OK ? err : fn(ctx, k.key, k.type);
}

int ks_walk_step(struct ks_ctx *c, struct ks_walk *w, ks_visit fn, void *ctx)
{
    ASSERT(c->viewing && fn != NULL);
    struct os *os = engine_os(c->ks->engine);
    uint64_t until_us = os_mono_us(os) + WALK_TURN_US;
    if (w->it == NULL) return E_OK;
    for (unsigned i = 1;; i++) {
        int err = walk_key(c, w, fn, ctx);
        if (err == E_END) return E_OK;
        if (err != E_OK) return err;
        if (i % WALK_CLOCK_KEYS == 0 && os_mono_us(os) >= until_us) return E_AGAIN;
    }
}

int view_scan(struct ks_ctx *c, uint64_t *cursor, size_t count, uint8_t type, ks_visit fn, void *ctx)
{
    struct ks_walk *w = NULL;
    int err = ks_walk_open(c, *cursor, count, type, &w);
    while (err == E_OK && (err = ks_walk_step(c, w, fn, ctx)) == E_AGAIN) err = E_OK;
    if (err == E_OK) *cursor = ks_walk_cursor(w);
    ks_walk_close(&w);
    return err;
}
