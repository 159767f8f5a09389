/* Keys that were live at a point, in the order of their hash: SCAN, KEYS and DBSIZE in the past.
 *
 * The range of live keys knows the present only, so this walks the versions (range V), where a key's stand side by side, keys by hash: for each key the newest at or
 * before the point is found by one seek, and the next key by another, however many versions there are. Cost: the keys that were ever there.
 *
 * Where the answer for a key is not there any more the walk says so (E_PRUNED) rather than leave the key out. */
#include "base/mem.h"
#include "engine/books.h"

#define SPACE_KEY_HEAD 4 /* tag, space, lineage */

struct past_cursor {
    struct engine *e;
    struct index_iter *it;
    uint16_t lineage;
    uint64_t flushed, at;
    struct buf next;  /* where to seek: just behind the versions of the key before */
    struct buf entry; /* V key of the key at hand */
    slice key;        /* in entry */
};

static void start_at(struct buf *out, struct engine *e, uint16_t lineage, uint64_t hash)
{
    range_version(out, &e->seed, SPACE_KEY, lineage, (slice){0}, 0);
    out->n = SPACE_KEY_HEAD;
    put_be64(buf_reserve(out, 8), hash);
    out->n += 8;
}

int engine_keys_at(struct engine *e, uint16_t lineage, uint64_t flushed, uint64_t at, uint64_t from_hash,
                   struct past_cursor **out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX && at > 0);
    struct index_snap *s = NULL;
    struct buf upper = {0};
    struct engine_horizons h;
    engine_get_horizons(e, &h);
    if (at < h.keys) return E_PRUNED; /* keys may have come and gone without a trace */
    struct past_cursor *c = mem_zalloc(sizeof *c);
    c->e = e;
    c->lineage = lineage;
    c->flushed = flushed;
    c->at = at;
    start_at(&c->next, e, lineage, from_hash);
    start_at(&upper, e, lineage, UINT64_MAX);
    upper.n = SPACE_KEY_HEAD;
    bool bounded = range_end(&upper);
    ASSERT(bounded);
    int rc = index_snapshot(e->index, INDEX_ALL, &s);
    if (!rc) rc = index_iter_open(s, buf_slice(&c->next), buf_slice(&upper), &c->it);
    index_snap_close(&s);
    buf_fini(&upper);
    if (rc)
        past_cursor_close(&c);
    else
        *out = c;
    return rc;
}

/* Takes the key under the iterator, and where the next one begins. */
static int take_key(struct past_cursor *c)
{
    uint8_t space;
    uint16_t lineage;
    uint64_t seq;
    buf_clear(&c->entry);
    buf_add_slice(&c->entry, index_key(c->it));
    int rc = range_version_parse(buf_slice(&c->entry), &space, &lineage, &c->key, &seq);
    if (!rc && (space != SPACE_KEY || lineage != c->lineage))
        rc = err_note(E_CORRUPT, "a version's index entry lies in a wrong place");
    if (rc) return rc;
    buf_clear(&c->next);
    buf_add_slice(&c->next, buf_slice(&c->entry));
    put_be64(c->next.p + c->next.n - 8, UINT64_MAX); /* ~0: behind its oldest */
    buf_add_byte(&c->next, 0);
    return E_OK;
}

int past_cursor_next(struct past_cursor *c, struct live_key *out, struct version *v)
{
    ASSERT(c && out && v);
    ASSERT(c->it);
    for (;;) {
        int rc = index_seek(c->it, buf_slice(&c->next));
        if (!rc) rc = take_key(c);
        if (rc) return rc;
        rc = engine_find(c->e, SPACE_KEY, c->lineage, c->key, c->at, FIND_ALL, v);
        if (rc == E_NOTFOUND) continue;
        if (rc) return rc;
        if (v->seq <= c->flushed || v->op == NODE_DELETE || v->op == NODE_EXPIRE) continue;
        *out = (struct live_key){
            .hash = get_be64(c->entry.p + SPACE_KEY_HEAD), .key = c->key, .type = v->type, .expires = v->expire_ms != 0};
        return E_OK;
    }
}

slice past_cursor_key(const struct past_cursor *c)
{
    ASSERT(c);
    return c->key;
}

void past_cursor_close(struct past_cursor **c)
{
    ASSERT(c);
    if (!*c) return;
    index_iter_close(&(*c)->it);
    buf_fini(&(*c)->next);
    buf_fini(&(*c)->entry);
    mem_free(*c);
    *c = NULL;
}
