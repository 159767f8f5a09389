/* What must be readable still after compaction, and from where on: computed from what went (`gone`, `forgotten`), so that a PRUNED which did not have to be is a fault.
 *
 * A key is readable at a point when its newest version at or before it is there. Where that is gone but the index knows it, a flush that hid it is known too, and so is
 * every newer version. Below the oldest version that is left nothing is known, unless that is the key's first; of a key of which nothing is left, and of one that
 * never was, it is known what they were from the store's horizon on: `keys`, for links `documents`. */
#ifndef VARVE_TESTS_MODEL_FAMILY_KNOWN_H
#define VARVE_TESTS_MODEL_FAMILY_KNOWN_H

#include "tests/model/family.h"

/* Of the whole store. A key that went for good may have been a document once, of which the index need not have kept a trace: then `documents` is not raised for certain,
 * but up to documents_most. */
static struct {
    long long keys, documents, documents_most, changes, document_changes;
} horizon;
static long long newest_flush[DBS]; /* of a content */
static int compactions;
static long long nodes_gone, nodes_forgotten;

static inline long long trace_horizon(const struct key *k) { return k->link ? horizon.documents_most : horizon.keys; }

/* The oldest version that is there; NULL: none. */
static inline const struct version *oldest_left(const struct key *k)
{
    for (size_t i = 0; i < k->n; i++)
        if (!k->v[i].flush && !k->v[i].gone) return &k->v[i];
    return NULL;
}

/* Below every version that is there. */
static inline bool known_below(const struct key *k, long long at)
{
    const struct version *oldest = oldest_left(k);
    return (oldest == NULL || oldest->ver <= 1) && at >= trace_horizon(k);
}

static inline bool readable(const struct key *k, long long at)
{
    size_t i = k->n;
    bool flushed = false;
    while (i > 0 && k->v[i - 1].seq > at) i--;
    for (; i > 0 && k->v[i - 1].flush; i--) flushed = true;
    if (i == 0 || k->v[i - 1].forgotten) return known_below(k, at);
    return !k->v[i - 1].gone || flushed;
}

/* At an instant of valid time: every version from the newest to the one that holds must be there. */
static inline bool readable_valid(const struct key *k, long long at, long long instant)
{
    for (size_t i = k->n; i > 0; i--) {
        const struct version *v = &k->v[i - 1];
        if (v->seq > at) continue;
        if (v->gone) return false;
        if (v->flush || (!v->meta && holds(v, instant))) return v->flush ? readable(k, at) : true;
    }
    return known_below(k, at);
}

static inline bool readable_link(const struct key *k, long long at) { return at >= horizon.documents_most && readable(k, at); }

/* Every key and link of a content, and those that may have been without a trace. */
static inline bool readable_all(int db, long long at)
{
    if (at < horizon.keys || at < horizon.documents_most) return false;
    for (int i = 0; i < KEYS; i++) {
        if (!readable(&keys[db][i], at)) return false;
        for (int j = 0; j < RELS * KEYS; j++)
            if (!readable_link(&links[db][i][j / KEYS][j % KEYS], at)) return false;
    }
    return true;
}

/* What -PRUNED and DINFO KEY name: the end of the commit of the oldest version that is there; where it is the first, that from which on it is known that nothing was before. */
static inline long long oldest_readable(const struct key *k)
{
    const struct version *oldest = oldest_left(k);
    long long known = trace_horizon(k);
    return rounded_up(oldest == NULL || (oldest->ver <= 1 && known > 0 && known < oldest->seq) ? known : oldest->seq);
}

/* The newest point at which this key cannot be read; -1: none. Between two versions nothing changes but where the store's horizon lies. */
static inline long long newest_unreadable(const struct key *k)
{
    long long found = -1, at = trace_horizon(k) - 1;
    if (at >= 0 && !readable(k, rounded(at))) found = rounded(at);
    for (size_t i = 0; i < k->n; i++) {
        at = rounded(k->v[i].seq - 1);
        if (at > found && !readable(k, at)) found = at;
    }
    if (!readable(k, head)) found = head;
    return found;
}

/* The newer of the two; *worst: whose it is. */
static inline long long newer_of(long long found, const struct key *k, const struct key **worst)
{
    long long own = newest_unreadable(k);
    if (own > found) *worst = k;
    return own > found ? own : found;
}

static inline void check_horizon(long long got)
{
    static const struct key never = {.name = "never"}, never_linked = {.name = "never", .link = true};
    const struct key *worst = &never;
    long long found = newer_of(newest_unreadable(&never), &never_linked, &worst), end;
    for (int d = 0; d < DBS; d++)
        for (int i = 0; i < KEYS; i++) {
            found = newer_of(found, &keys[d][i], &worst);
            for (int j = 0; j < RELS * KEYS; j++) {
                const struct key *l = &links[d][i][j / KEYS][j % KEYS];
                if (l->n) found = newer_of(found, l, &worst);
            }
        }
    if (horizon.documents == horizon.documents_most || found >= horizon.documents_most) {
        end = got > 0 ? rounded(got - 1) : -1;
        snprintf(command, sizeof command, "the horizon, %lld; %s is the last that cannot be read", got, worst->name);
        if (found < 0) expect_int("the horizon where everything is readable", 0, got);
        else if (end != found) expect_int("the last point below the horizon", found, end);
    }
    checks++;
}

#endif
