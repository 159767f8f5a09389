/* What came of a node: the nodes that name it as their cause, and the node that an idempotency token names. */
#include "base/mem.h"
#include "engine/books.h"

struct effect_cursor {
    struct index_iter *it;
    struct buf lower;
    bool started;
};

int engine_effects(struct engine *e, uint64_t seq, struct effect_cursor **out)
{
    ASSERT(e && out);
    ASSERT(seq > 0);
    struct index_snap *s = NULL;
    struct buf upper = {0};
    struct effect_cursor *c = mem_zalloc(sizeof *c);
    range_effect(&c->lower, seq, 0);
    range_effect(&upper, seq, UINT64_MAX);
    int rc = index_snapshot(e->index, INDEX_ALL, &s);
    if (!rc) rc = index_iter_open(s, buf_slice(&c->lower), buf_slice(&upper), &c->it);
    index_snap_close(&s);
    buf_fini(&upper);
    if (rc)
        effect_close(&c);
    else
        *out = c;
    return rc;
}

int effect_next(struct effect_cursor *c, uint64_t *seq)
{
    ASSERT(c && seq);
    ASSERT(c->it);
    int rc = c->started ? index_next(c->it) : index_seek(c->it, buf_slice(&c->lower));
    c->started = true;
    return rc ? rc : range_effect_parse(index_key(c->it), seq);
}

void effect_close(struct effect_cursor **c)
{
    ASSERT(c);
    if (!*c) return;
    index_iter_close(&(*c)->it);
    buf_fini(&(*c)->lower);
    mem_free(*c);
    *c = NULL;
}

int engine_find_token(struct engine *e, uint16_t lineage, slice token, uint64_t *seq)
{
    ASSERT(e && seq);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    struct buf *key = probe_buf(PROBE_KEY), *found = probe_buf(PROBE_FOUND), *value = probe_buf(PROBE_VALUE);
    range_token(key, lineage, token);
    int rc = index_first_now(e->index, INDEX_ALL, buf_slice(key), key->n, found, value);
    if (!rc && found->n != key->n) rc = E_NOTFOUND;
    return rc ? rc : range_seq_parse(buf_slice(value), seq);
}
