/* Keys by the time of their expiry: what active expiry walks.
 *
 * The E range holds every expiry that was ever set and not yet known to be over, so entries may be stale: the caller compares with the key's
 * head. How far entries were handed out without a gap is remembered, and merging forgets what lies a day behind that (fold_drop). */
#include "base/mem.h"
#include "engine/books.h"

struct expiry_cursor {
    struct fold *fold;
    struct index_iter *it;
    struct buf lower;
    uint64_t upto_ms;
    bool gapless; /* everything before after_ms had been handed out */
    bool started;
};

int engine_expiring(struct engine *e, uint64_t after_ms, uint64_t upto_ms, struct expiry_cursor **out)
{
    ASSERT(e && e->fold);
    ASSERT(out);
    struct index_snap *s = NULL;
    struct buf upper = {0};
    struct expiry_cursor *c = mem_zalloc(sizeof *c);
    c->fold = e->fold;
    c->upto_ms = upto_ms;
    c->gapless = after_ms <= book_get(&e->fold->expired_ms) + 1;
    range_expiry(&c->lower, after_ms, NODE_ALL_LINEAGES, (slice){0});
    range_end(&c->lower); /* (after_ms, any lineage) is behind us */
    range_expiry(&upper, upto_ms, NODE_ALL_LINEAGES, (slice){0});
    range_end(&upper);
    int rc = E_OK;
    if (after_ms < upto_ms) rc = index_snapshot(e->index, INDEX_ALL, &s);
    if (s && !rc) rc = index_iter_open(s, buf_slice(&c->lower), buf_slice(&upper), &c->it);
    index_snap_close(&s);
    buf_fini(&upper);
    if (rc)
        expiry_close(&c);
    else
        *out = c;
    return rc;
}

static void handed_upto(struct expiry_cursor *c, uint64_t ms)
{
    uint64_t before = book_get(&c->fold->expired_ms);
    while (c->gapless && ms > before && !atomic_compare_exchange_weak(&c->fold->expired_ms, &before, ms)) continue;
}

int expiry_next(struct expiry_cursor *c, uint64_t *ms, uint16_t *lineage, slice *key, uint64_t *seq)
{
    ASSERT(c && ms && lineage);
    ASSERT(key && seq);
    if (!c->it) return E_END;
    int rc = c->started ? index_next(c->it) : index_seek(c->it, buf_slice(&c->lower));
    c->started = true;
    if (rc == E_END) handed_upto(c, c->upto_ms);
    if (!rc) rc = range_expiry_parse(index_key(c->it), ms, lineage, key);
    if (!rc) rc = range_seq_parse(index_value(c->it), seq);
    if (!rc && *ms > 0) handed_upto(c, *ms - 1);
    return rc;
}

void expiry_close(struct expiry_cursor **c)
{
    ASSERT(c);
    if (!*c) return;
    index_iter_close(&(*c)->it);
    buf_fini(&(*c)->lower);
    mem_free(*c);
    *c = NULL;
}
