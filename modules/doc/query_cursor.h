/* Where a query goes on: the text between two pages. It says everything itself, so the server keeps nothing.
 *
 * A position names the last row of a page by its own name (a document's key, a version's seq), never by a place in an index: the next page may be planned
 * in another way, with indexes made or dropped in between. The order of the rows behind that name follows from the row's version at the pinned point,
 * which never changes.
 *
 * Text: lower-case hex of
 *     0  u8      1, the format's version
 *        varint  seq       the pinned point
 *        varint  ms        its instant; 0: none
 *        varint  given     rows of the result on the pages before, those of OFFSET not counted
 *        u64     digest    of the query, its parameters and the database
 *        varint  n, bytes  the last row's name
 *        u64     check     key_hash of all before, under the store's seed */
#ifndef VARVE_MODULES_DOC_QUERY_CURSOR_H
#define VARVE_MODULES_DOC_QUERY_CURSOR_H

#include "module.h"

#define QUERY_CURSOR_NAME_MAX (3 * (NODE_KEY_MAX + 1) * 2)         /* bytes of a row's name */
#define QUERY_CURSOR_TEXT_MAX (2 * (QUERY_CURSOR_NAME_MAX + 64)) /* longer texts are no cursors */

struct query_position {
    uint64_t seq, ms, given, digest;
    slice name;
};

void query_cursor_encode(const struct query_position *p, const struct hash_seed *seed, struct buf *out); /* appends */
/* E_SYNTAX: not such a text, or not of this store. p->name borrows from *mem, which is replaced. */
int query_cursor_decode(slice text, const struct hash_seed *seed, struct buf *mem, struct query_position *p) MUST_CHECK;

#endif
