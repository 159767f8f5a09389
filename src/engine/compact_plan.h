/* The plan of a compaction: which nodes may go, and which segments that touches. Pure choosing: reads the index, changes nothing.
 *
 * A version may go when it is superseded, at or before `base`, and a rule lets it go:
 *   KEEP n       n newer versions of its key exist
 *   BEFORE p     it was superseded at or before p
 *   rules        the longest matching pattern of DRETAIN, else the default of its kind: `versions` as KEEP, `age_ms` as BEFORE (now - age)
 * A flush of its database counts as a newer version. It stays all the same when
 *   - it is the newest version at or before a tag, or one that shows there at some instant of valid time (held), or
 *   - it carries an idempotency token that still counts (held), or
 *   - a version that stays needs it: everything down to the newest base at or below.
 * A tombstone that is a key's newest version goes when nothing else of the key is left and the rule reaches it; then the whole store's
 * horizon of keys rises to it, because nothing remembers the key; that of documents too when the key ever was one. A document's own tombstone stays.
 *
 * `forget` is smaller than `drop`: the index forgets a version only when every older one of its key is gone too. An entry above a version that stays is kept
 * although its node is gone, so that reading in the gap answers PRUNED and not the version below it. */
#ifndef VARVE_ENGINE_COMPACT_PLAN_H
#define VARVE_ENGINE_COMPACT_PLAN_H

#include "engine/parts.h"

struct compact_group { /* neighbouring segments that become one */
    uint64_t first_seq, last_seq;
    size_t segments;
    uint64_t nodes, bytes; /* now */
    uint64_t drops, drop_bytes;
    bool with_tail; /* the last one is still being written to: it has to be sealed first */
};

struct compact_plan {
    uint64_t base;    /* nothing above it is touched */
    struct engine_horizons horizons; /* the store's, after this plan */
    uint64_t live, dropped, held;
    uint64_t bytes_before, bytes_after;
    uint64_t drop_bytes;
    uint64_t waiting_bytes, waiting_ms; /* superseded, but not for as long as a rule's age: bytes, and the smallest such age */
    uint64_t turn;                      /* of tags and rules when it was made */
    uint8_t *drop, *forget;       /* one bit a seq, up to base */
    struct compact_group *groups; /* the ones worth rewriting, ascending */
    size_t n_groups;
    /* private to compact_plan.c */
    struct plan_work *work;
};

static inline bool compact_bit(const uint8_t *bits, uint64_t seq)
{
    return bits[seq >> 3] >> (seq & 7) & 1;
}

/* Chooses. No node above base is touched (what the last checkpoint covers). cancelled may be NULL. E_CANCELLED, E_IO, E_CORRUPT. */
int compact_plan_make(struct engine *e, const struct compact_options *o, uint64_t base, bool (*cancelled)(void *ctx), void *ctx,
                      struct compact_plan *out) MUST_CHECK;
/* Only `forget`, for nodes that an interrupted compaction has dropped already. */
int compact_plan_resume(struct engine *e, uint64_t base, struct compact_plan *out) MUST_CHECK;
void compact_plan_fini(struct compact_plan *p);

#endif
