/* Sorted indexes: their definitions, and how the fold keeps their entries. An ordered index files a document under the sort key of one value, a text index under
 * each of its words (sorted_terms.h); what is said here of one sort key holds for each.
 *
 * Entries are intervals (ranges.h: I live, J closed): document `key` had this sort key at points [from, to). A version that keeps a sort key leaves its
 * entry alone. A flush closes nothing by itself: a live entry from at or below it does not hold any more, and is closed for good
 * when its key comes back.
 *
 * A new definition is built beside traffic, documents in key order, a slice at a time. `position` is the last key done: documents up to it are kept by the
 * fold, documents behind it are left to the build, which reads their whole history when their turn comes. The position is saved with the
 * books; after a crash entries may exist for keys behind it, so the build also takes away live entries that are none. It knows them by the document's
 * history: where part of that was dropped meanwhile, it begins again under a new number. So does a text index made by another version of Unicode.
 *
 * Definitions: written by the fold, read by any thread under the mutex (RANK_LEAF). A struct sorted lives until fold_close, so that
 * readers need no counts; `dropped` says when it went. */
#ifndef VARVE_ENGINE_SORTED_H
#define VARVE_ENGINE_SORTED_H

#include "base/json.h"
#include "base/thread.h"
#include "engine/engine.h"
#include "engine/sorted_terms.h"
#include <stdatomic.h>

struct sorted {
    uint32_t id;                   /* its number, from 1, never used again: what its entries are named by */
    uint64_t since;                /* seq of the definition */
    uint16_t lineage;
    uint8_t kind;                  /* enum sorted_kind */
    uint32_t unicode;              /* text: the words of which version of Unicode its entries are (words.h) */
    bool stale;                    /* of another version than ours: not ready, and to be built anew under a new number. Folding thread only */
    uint8_t *names;                /* coll, then path */
    slice coll, path;
    struct json_path steps;
    bool steps_ok;                 /* false: the path does not parse and no document has a value there */
    _Atomic bool ready;
    _Atomic uint64_t dropped;      /* seq of the drop, 0 = alive */
    _Atomic uint64_t entries, bytes, built;
    bool started;                  /* false: no document built yet */
    _Atomic uint64_t whole_from;   /* below this point documents may have stood whose versions were dropped before the build came to them */
    bool resumed;                  /* loaded before it was ready: entries may exist for keys behind the position */
    struct buf position;           /* folding thread only */
};

struct sorted_build;               /* a build between two slices */
struct sorted_pending;             /* live entries put since the index's last step, which look-ups cannot see yet */

struct sorted_list {
    struct sorted **at;
    size_t n, cap;
};

struct sorted_set {
    struct mutex mutex;            /* guards both lists */
    struct sorted_list live, dropped;
    uint32_t *renewed;               /* numbers given up since the fold was opened: a crash may bring them back, so they are not dead yet */
    size_t n_renewed;
    uint32_t newest_id, opened_id; /* newest number given, now and when the fold was opened; under the mutex too */
    struct sorted_pending *pending;
    size_t recents;                  /* places for live entries put not long ago; 0: as many as is good. Tests have few */
    struct sorted_build *build;      /* of the document that a slice is at; NULL: none. Folding thread */
    struct sorted_terms old_terms, new_terms; /* scratch of the folding thread, as what follows */
    struct buf entry, value, doc;
};

struct fold;
void sorted_init(struct sorted_set *s);
void sorted_fini(struct sorted_set *s);
/* A node of SPACE_SORTED. E_CORRUPT when its key does not parse. */
int sorted_define(struct fold *f, const struct node *n) MUST_CHECK;
/* Is there an index over the collection of this key? */
bool sorted_covers(struct fold *f, uint16_t lineage, slice key);
/* Keeps every index over the collection of n's key. prev = the key's version before, NULL = none. */
int sorted_fold(struct fold *f, const struct node *n, const struct node *prev) MUST_CHECK;
void sorted_flush(struct fold *f, uint16_t lineage); /* or NODE_ALL_LINEAGES: counts of entries only */
int sorted_build(struct fold *f, unsigned budget) MUST_CHECK;
/* May entries of this index be forgotten? Any thread. */
bool sorted_is_dead(struct fold *f, uint32_t id);
void sorted_save(struct fold *f, struct buf *out);
int sorted_load(struct fold *f, const uint8_t **p, const uint8_t *end) MUST_CHECK;
/* Gives a loaded definition a new number, so that it is built anew and its old entries are forgotten. Folding thread, and not before folding is past the
 * runs: those may hold entries of numbers that definitions still to be folded will get. */
void sorted_renew(struct sorted_set *s, struct sorted *d);
/* The document's value at the index's path: null when it has none. */
slice sorted_value_of(const struct sorted *s, slice json);
void sorted_key_of(const struct sorted *s, slice json, struct buf *out); /* its sort key in an ordered index; replaces *out */
/* The definition over (lineage, coll, path), NULL when there is none. Valid until fold_close. Any thread. */
struct sorted *sorted_find(struct sorted_set *s, uint16_t lineage, slice coll, slice path);
void sorted_pending_free(struct sorted_pending **p);
void sorted_build_free(struct sorted_build **b);

#endif
