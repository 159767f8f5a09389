/* From where on can a list be read again? Below the horizon of documents a list may lack what is forgotten; at it and above it meets the documents of which something is
 * left, and any of them may be pruned there. So the seq for a list is found by looking at its documents, from one that cannot be read to its next version; for a long
 * list the store's horizon, from which on everything can be read, has to do. What is named can be read in any case. */
#include "modules/doc/doc.h"

#define LOOKS_MAX DOC_SLICE_ROWS /* keys looked at for one error */

/* Where a key that cannot be read at *at may be read again: at its next version, or when its database is emptied or exchanged. E_END: nowhere. */
static int move_on(struct call *c, uint16_t lineage, slice key, uint64_t *at)
{
    struct engine *e = doc_engine(c);
    struct version_cursor *cur = NULL;
    struct version v;
    uint64_t event = engine_next_event(e, c->ks.db, lineage, *at);
    int r = engine_versions(e, SPACE_KEY, lineage, key, *at + 1, UINT64_MAX, true, &cur);
    if (r == E_OK) r = version_next(cur, &v);
    version_close(&cur);
    if (r == E_END && event == UINT64_MAX) return r;
    if (r != E_OK && r != E_END) return r;
    *at = r == E_OK && v.seq < event ? v.seq : event;
    return E_OK;
}

/* Looks at the documents of a point. E_OK: all of them can be read there. E_AGAIN: not so, *at has moved to where the one that cannot may be. */
static int look(struct call *c, slice prefix, uint64_t *at, size_t *looks)
{
    struct engine *e = doc_engine(c);
    struct doc_cursor *cur = NULL;
    struct db_view db;
    struct version v;
    struct buf name = {0};
    slice key;
    engine_db_at(e, c->ks.db, *at, &db);
    int r = engine_docs(e, db.lineage, prefix, (slice){0}, *at, &cur);
    while (r == E_OK) {
        r = doc_cursor_next(cur, &key);
        if (r == E_AGAIN || (r == E_OK && ++*looks > LOOKS_MAX)) r = E_TOOBIG; /* E_AGAIN: it passed over many that do not stand there */
        if (r == E_OK) r = engine_find(e, SPACE_KEY, db.lineage, key, *at, FIND_ALL, &v);
        if (r == E_NOTFOUND) r = E_OK;
        if (r != E_PRUNED) continue;
        buf_add_slice(&name, key);
        r = move_on(c, db.lineage, buf_slice(&name), at);
        if (r == E_OK) r = E_AGAIN;
        break;
    }
    doc_cursor_close(&cur);
    buf_fini(&name);
    return r == E_END ? E_OK : r;
}

uint64_t doc_list_oldest(struct call *c, slice prefix, uint64_t at)
{
    struct engine *e = doc_engine(c);
    struct engine_horizons h;
    size_t looks = 0;
    int r = E_AGAIN;
    engine_get_horizons(e, &h);
    uint64_t n = at + 1 > h.documents ? at + 1 : h.documents;
    while (r == E_AGAIN) {
        n = engine_round_up(e, n); /* points lie between commits */
        r = look(c, prefix, &n, &looks);
    }
    uint64_t all = h.readable;
    if (r != E_OK) return n > all ? n : all;
    return n > all && all > at && look(c, prefix, &all, &looks) == E_OK ? h.readable : n;
}

/* Can the collections be counted there? No, where that would take long. */
static bool countable(struct call *c, uint64_t at)
{
    struct coll_cursor *cur = NULL;
    struct coll_counts n;
    struct db_view db;
    slice coll;
    engine_db_at(doc_engine(c), c->ks.db, at, &db);
    int r = engine_collections_at(doc_engine(c), db.lineage, at, &cur);
    for (int i = 0; r == E_OK && i < LOOKS_MAX; i++) r = coll_cursor_next(cur, &coll, &n);
    coll_cursor_close(&cur);
    return r == E_END;
}

/* Counting needs more of a document than listing it. */
void doc_refuse_colls(struct call *c, uint64_t at)
{
    uint64_t n = doc_list_oldest(c, (slice){0}, at), all = engine_horizon(doc_engine(c));
    doc_reply_pruned(c, slice_str("*"), n < all && !countable(c, n) ? all : n);
}

void doc_refuse_list(struct call *c, slice what, slice prefix, uint64_t at)
{
    doc_reply_pruned(c, what.n ? what : slice_str("*"), doc_list_oldest(c, prefix, at));
}

bool doc_list_readable(struct call *c, slice what, slice prefix, uint64_t at)
{
    struct engine_horizons h;
    engine_get_horizons(doc_engine(c), &h);
    if (at >= h.documents) return true;
    doc_refuse_list(c, what, prefix, at);
    return false;
}
