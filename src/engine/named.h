/* Tags and retention rules that stand: what the fold knows of SPACE_TAG and SPACE_RETAIN, held in the books.
 *
 * Tags lie in the order of their names, rules with the longest pattern first, equal ones in the order of their bytes: so the first rule that
 * matches is the one that counts. Their writers keep to ENGINE_TAGS_MAX and ENGINE_RULES_MAX; the fold takes what is in the log. Written by the folding thread, read by any thread, under the mutex (RANK_LEAF). */
#ifndef VARVE_ENGINE_NAMED_H
#define VARVE_ENGINE_NAMED_H

#include "base/thread.h"
#include "engine/engine.h"
#include <stdatomic.h>

struct named {
    uint64_t seq;  /* of its node */
    uint64_t a, b; /* tag: point, time in ms; rule: versions, age in ms */
    size_t name_bytes, by_bytes;
    uint8_t bytes[]; /* name, then who set the tag */
};

struct named_list {
    struct named **at;
    size_t n, cap;
};

struct named_set {
    struct mutex mutex;
    struct named_list tags, rules;
    _Atomic uint64_t turn; /* grows with every change, before the node counts as indexed */
    _Atomic uint64_t n_rules;
    _Atomic uint64_t rules_turn; /* grows with every change of a rule since the books were loaded */
};

void named_init(struct named_set *s);
void named_fini(struct named_set *s);
/* A node of SPACE_TAG or SPACE_RETAIN, live or its tombstone. E_CORRUPT: its payload is not one. */
int named_fold(struct named_set *s, const struct node *n) MUST_CHECK;
/* varint tags, each: seq, point, ms, name, by (texts with their length before them); varint rules, each: seq, versions, age, pattern. */
void named_save(struct named_set *s, struct buf *out);
int named_load(struct named_set *s, const uint8_t **p, const uint8_t *end) MUST_CHECK;
/* The rule for a key: the longest pattern that matches. *pattern (may be NULL) is replaced. */
bool named_rule(struct named_set *s, slice key, struct retain_rule *out, struct buf *pattern);
/* The points of all tags, ascending; the caller frees them. */
uint64_t *named_points(struct named_set *s, size_t *n);
/* Does a tag stand on a point in [from, before) that was the newest when it was set? Then nothing that held there was ever dropped. */
bool named_holds(struct named_set *s, uint64_t from, uint64_t before);
static inline uint64_t named_turn(struct named_set *s) { return atomic_load_explicit(&s->turn, memory_order_acquire); }

#endif
