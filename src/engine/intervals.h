/* Entries of one sorted index as seen at one point: what the cursors over ordered and text indexes share.
 *
 * Two streams: live entries (I) and, unless the point is the newest that the snapshot shows, closed ones (J). They lie in the same order: sort key, then
 * esc(key). At most one entry of both with the same sort key and key holds at a point; any number may have held before it.
 *
 * The point is fixed when the cursor opens: a snapshot, and the newest seq that it shows. */
#ifndef VARVE_ENGINE_INTERVALS_H
#define VARVE_ENGINE_INTERVALS_H

#include "engine/books.h"

/* So many entries are looked at before a cursor answers E_AGAIN, rows among them or not: some milliseconds at most. */
#define INTERVALS_TURN 2048

struct intervals {
    struct engine *e;
    struct sorted *index;
    uint64_t at, flushed;
    bool head;              /* the point is the newest of the snapshot: closed entries do not matter */
    bool ever;              /* an entry counts when it held at any time from the newest flush to the point */
    struct interval_side {
        struct index_iter *it; /* NULL: not needed */
        bool valid;            /* v is the entry under the iterator */
        struct range_interval v;
    } side[2];              /* I, J */
    struct buf bound, key, mem;
};

enum interval_edge { EDGE_START, EDGE_END }; /* of everything that begins so */

/* E_NOTFOUND: no index of that kind; E_AGAIN: being built; E_PRUNED: the point lies below the documents' horizon, or where
 * the index was built too late to know all. */
int intervals_find(struct engine *e, enum sorted_kind kind, uint16_t lineage, slice coll, slice path, uint64_t at, struct sorted **out) MUST_CHECK;
/* The streams over the whole index. intervals_close also after a failure. */
int intervals_open(struct engine *e, struct sorted *d, uint64_t at, bool ever, struct intervals *out) MUST_CHECK;
void intervals_close(struct intervals *s);
/* Puts every stream at the edge of the entries that begin with sort_key + escaped: forward = the first from there on, else the last before it. */
int intervals_seek(struct intervals *s, slice sort_key, slice escaped, enum interval_edge edge, bool forward) MUST_CHECK;
/* The same for one stream. */
int intervals_seek_side(struct intervals *s, int side, slice sort_key, slice escaped, enum interval_edge edge, bool forward) MUST_CHECK;
int intervals_next(struct interval_side *s) MUST_CHECK; /* E_OK also at the end: then s->valid is false */
int intervals_prev(struct interval_side *s) MUST_CHECK;
static inline bool intervals_hold(const struct intervals *s, const struct range_interval *v)
{
    return v->from <= s->at && (s->ever || v->to > s->at) && v->from > s->flushed;
}
/* esc(key), into s->key. */
int intervals_set_key(struct intervals *s, slice escaped) MUST_CHECK;
/* The version at the point of the document in s->key. */
int intervals_version(struct intervals *s, uint64_t *seq) MUST_CHECK;
/* About how many entries of the index lie between two beginnings (edges of sort keys). */
int intervals_rows(struct engine *e, const struct sorted *d, uint64_t at, slice low, enum interval_edge low_edge, slice high,
                   enum interval_edge high_edge, uint64_t *estimate) MUST_CHECK;

#endif
