/* Documents in key order, at a point.
 *
 * The C range has one entry for each time a key became a document or stopped being one, newest first within a key. A document stands at P when the
 * newest entry at or before P is alive and above the newest flush at P. A key with a long history of coming and going is left by
 * a seek, so the cursor's cost grows with the number of keys, not of transitions.
 *
 * Transitions that only dropped versions could show are taken away (fold_forget.c). So a key with none at or before P may have stood there all the
 * same: it is given out when its version at P was dropped, and whoever looks for that is told E_PRUNED. */
#include "base/mem.h"
#include "engine/books.h"

#define STEPS_BEFORE_SEEK 4
#define SEEK_COST         8    /* in steps */
#define FIND_COST         16
#define TURN_STEPS        4096 /* between two E_AGAINs: about half a millisecond */

struct doc_cursor {
    struct index_iter *it;
    struct engine *e;
    struct buf lower, key, last, probe;
    uint16_t lineage;
    uint64_t at, flushed;
    bool dropped; /* versions of documents were, some time */
    bool started, ended, ever;
    unsigned looked; /* steps since the last E_AGAIN */
    bool left; /* the iterator is at the key behind `last` already */
};

int engine_docs(struct engine *e, uint16_t lineage, slice prefix, slice after, uint64_t at, struct doc_cursor **out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    struct index_snap *s = NULL;
    struct buf upper = {0};
    struct doc_cursor *c = mem_zalloc(sizeof *c);
    c->lineage = lineage;
    c->at = at;
    if (prefix.n > NODE_KEY_MAX) { /* no key begins so */
        c->e = e;
        c->ended = true;
        *out = c;
        return E_OK;
    }
    if (after.n > NODE_KEY_MAX) after.n = NODE_KEY_MAX; /* the same keys are behind it */
    range_doc_from(&c->lower, lineage, prefix);
    buf_add(&upper, c->lower.p, c->lower.n);
    range_end(&upper);
    if (after.p != NULL && slice_cmp(after, prefix) >= 0) { /* the empty key is one, too */
        range_doc(&c->lower, lineage, after, 0);
        buf_add_byte(&c->lower, 0); /* behind the oldest entry of `after` */
    }
    int rc = at < book_get(&e->fold->horizon[HORIZON_DOCUMENTS]) ? E_PRUNED : index_snapshot(e->index, INDEX_ALL, &s);
    /* Read behind the snapshot: a flush that the view knows is then in no case missing here. */
    c->e = e;
    c->dropped = at != UINT64_MAX && book_get(&e->fold->horizon[HORIZON_DOCUMENT_CHANGES]) > 0;
    c->flushed = dbs_flushed(&e->fold->dbs, lineage, at);
    if (slice_cmp(buf_slice(&c->lower), buf_slice(&upper)) >= 0) c->ended = true;
    if (!rc && !c->ended) rc = index_iter_open(s, buf_slice(&c->lower), buf_slice(&upper), &c->it);
    index_snap_close(&s);
    buf_fini(&upper);
    if (rc)
        doc_cursor_close(&c);
    else
        *out = c;
    return rc;
}

/* Moves to the first entry of a key behind the one in c->last. */
static int leave_key(struct doc_cursor *c)
{
    int rc = E_OK;
    uint64_t seq;
    for (int i = 0; i < STEPS_BEFORE_SEEK; i++) {
        c->looked++;
        if ((rc = index_next(c->it)) || (rc = range_doc_parse(index_key(c->it), &c->key, &seq))) return rc;
        if (!slice_eq(buf_slice(&c->key), buf_slice(&c->last))) return E_OK;
    }
    range_doc(&c->probe, c->lineage, buf_slice(&c->last), 0);
    buf_add_byte(&c->probe, 0);
    c->looked += SEEK_COST;
    return index_seek(c->it, buf_slice(&c->probe));
}

/* The key in c->last has no transition at or before the point. When its versions begin with the first, something that was no document may have lived and gone there
 * before, but no document: the point is not below that horizon. */
static int judge_unknown(struct doc_cursor *c, bool *stands)
{
    struct version v;
    uint64_t oldest;
    bool dropped = true;
    if (!c->dropped) return E_OK;
    c->looked += FIND_COST;
    int rc = engine_find(c->e, SPACE_KEY, c->lineage, buf_slice(&c->last), c->at, FIND_ALL, &v);
    if (rc == E_NOTFOUND || rc == E_OK) return E_OK;
    if (rc == E_PRUNED) rc = engine_key_horizon(c->e, SPACE_KEY, c->lineage, buf_slice(&c->last), &oldest, &dropped);
    if (rc == E_OK || rc == E_NOTFOUND) *stands = dropped;
    return rc == E_NOTFOUND ? E_OK : rc;
}

/* With the iterator at a key's first entry: does the document stand? The key is in c->last. */
static int judge_key(struct doc_cursor *c, bool *stands)
{
    uint64_t seq;
    int rc = range_doc_parse(index_key(c->it), &c->last, &seq);
    *stands = c->left = false;
    for (int i = 0; !rc && seq > c->at; i++) {
        c->looked += i < STEPS_BEFORE_SEEK ? 1 : SEEK_COST;
        if (i < STEPS_BEFORE_SEEK) {
            rc = index_next(c->it);
        } else {
            range_doc(&c->probe, c->lineage, buf_slice(&c->last), c->at);
            rc = index_seek(c->it, buf_slice(&c->probe));
        }
        c->ended = rc == E_END;
        if (!rc) rc = range_doc_parse(index_key(c->it), &c->key, &seq);
        if (rc && !c->ended) return rc;
        c->left = c->ended || !slice_eq(buf_slice(&c->key), buf_slice(&c->last));
        if (c->left) return judge_unknown(c, stands);
    }
    if (!rc) rc = range_flag_parse(index_value(c->it), stands);
    if (c->ever) *stands = true; /* a key has entries only because it was a document once */
    if (seq <= c->flushed) *stands = false;
    return rc;
}

void doc_cursor_ever(struct doc_cursor *c)
{
    ASSERT(c && !c->started);
    c->ever = true;
}

int doc_cursor_next(struct doc_cursor *c, slice *key)
{
    ASSERT(c && key);
    int rc = E_OK;
    bool stands = false;
    while (!rc && !stands) {
        if (c->looked >= TURN_STEPS) {
            c->looked = 0;
            return E_AGAIN;
        }
        if (c->ended)
            rc = E_END;
        else if (!c->started)
            rc = index_seek(c->it, buf_slice(&c->lower));
        else if (!c->left)
            rc = leave_key(c);
        c->started = true;
        if (!rc) rc = judge_key(c, &stands);
    }
    if (rc == E_END) c->ended = true;
    if (!rc) *key = buf_slice(&c->last);
    return rc;
}

void doc_cursor_close(struct doc_cursor **c)
{
    ASSERT(c);
    if (!*c) return;
    index_iter_close(&(*c)->it);
    buf_fini(&(*c)->lower), buf_fini(&(*c)->key), buf_fini(&(*c)->last), buf_fini(&(*c)->probe);
    mem_free(*c);
    *c = NULL;
}
