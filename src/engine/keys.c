/* Live keys in the order of their hash: SCAN, KEYS, RANDOMKEY.
 *
 * The H range of one generation holds exactly the keys that are live by the log, so a cursor is an iterator over it. A caller that stops
 * goes on at hash + 1 of the last whole position, and so sees a key that stays alive all the time exactly once, whatever else happens. */
#include "base/mem.h"
#include "engine/books.h"

struct key_cursor {
    struct index_iter *it;
    struct buf lower;
    bool started;
};

int engine_keys(struct engine *e, uint16_t lineage, uint64_t flushed, uint64_t from_hash, struct key_cursor **out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    struct index_snap *s = NULL;
    struct buf upper = {0};
    struct key_cursor *c = mem_zalloc(sizeof *c);
    range_live_from(&c->lower, lineage, flushed, from_hash);
    range_live_from(&upper, lineage, flushed, UINT64_MAX);
    range_end(&upper); /* hashes of all ones are inside: the next generation is the bound */
    int rc = index_snapshot(e->index, INDEX_ALL, &s);
    if (!rc) rc = index_iter_open(s, buf_slice(&c->lower), buf_slice(&upper), &c->it);
    index_snap_close(&s);
    buf_fini(&upper);
    if (rc)
        key_cursor_close(&c);
    else
        *out = c;
    return rc;
}

int key_cursor_next(struct key_cursor *c, struct live_key *out)
{
    ASSERT(c && out);
    ASSERT(c->it);
    int rc = c->started ? index_next(c->it) : index_seek(c->it, buf_slice(&c->lower));
    c->started = true;
    return rc ? rc : range_live_parse(index_key(c->it), index_value(c->it), out);
}

void key_cursor_close(struct key_cursor **c)
{
    ASSERT(c);
    if (!*c) return;
    index_iter_close(&(*c)->it);
    buf_fini(&(*c)->lower);
    mem_free(*c);
    *c = NULL;
}
