/* Points in all their forms: a seq, a commit's time, a hash, a tag, `head`; each with the seq that it means and the instant at which expiries are judged there. */
#ifndef VARVE_TESTS_MODEL_FAMILY_POINT_H
#define VARVE_TESTS_MODEL_FAMILY_POINT_H

#include "tests/model/family_known.h"
#include <time.h>

#define TAGS 6
static struct tag {
    const char *name;
    long long seq, ts; /* seq -1: not set; ts: when it was */
} tags[TAGS] = {{"T9", -1, 0}, {"[a]*", -1, 0}, {"t0", -1, 0}, {"t1", -1, 0}, {"t10", -1, 0}, {"v/1.0\xc3\xa9", -1, 0}}; /* in the order of their bytes */

struct point {
    char text[100];
    long long seq; /* the end of a commit, or 0 */
    long long ms;
    long long raw; /* written as a number: before it was rounded */
    bool beyond;   /* the log's end: DCHANGES FROM refuses it */
};

static inline long long clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The last commit at or before an instant: of several in one millisecond the last. */
static inline long long seq_at(long long ms)
{
    long long lo = 0, hi = head;
    while (lo < hi) {
        long long mid = (lo + hi + 1) / 2;
        if (places[mid].ts <= ms) lo = mid;
        else hi = mid - 1;
    }
    return lo;
}

/* By its time, as a number or as a date. Before the first commit, between two, beside one, to come. */
static inline void time_point(struct point *p)
{
    static const char *const ends[] = {"Z", "+00:00", ""};
    long long now = clock_ms(), first = places[1].ts, t = places[1 + rnd((uint64_t)head)].ts + (long long)rnd(3) - 1;
    if (rnd(12) == 0) t = rnd(2) ? first - 1 : (long long)rnd(2) * 1000;
    if (t < 0) t = 0;
    if (rnd(12) == 0) t = now + 2000 + (rnd(2) ? 36000000 : (long long)rnd(1000));
    p->seq = seq_at(t);
    p->ms = t < now ? t : now;
    if (t == 0 && rnd(2)) {
        snprintf(p->text, sizeof p->text, "time:-5");
    } else if (rnd(3)) {
        snprintf(p->text, sizeof p->text, "time:%lld", t);
    } else {
        struct tm tm;
        time_t s = (time_t)(t / 1000);
        char date[40];
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));
        snprintf(p->text, sizeof p->text, "time:%s.%03d%s", date, (int)(t % 1000), ends[rnd(3)]);
    }
}

/* At a seq, which may lie inside a commit. */
static inline void seq_point(long long seq, struct point *p)
{
    *p = (struct point){.seq = rounded(seq)};
    p->ms = places[p->seq].ts;
    snprintf(p->text, sizeof p->text, rnd(4) ? "%lld" : "seq:%lld", seq);
    p->raw = seq;
    if (seq > 0 && rnd(4) == 0) snprintf(p->text, sizeof p->text, "hash:%.*s", rnd(2) ? 16 : 64, places[seq].hash), p->raw = 0;
    if (seq == head && rnd(2)) {
        p->beyond = rnd(2);
        if (p->beyond) snprintf(p->text, sizeof p->text, "%lld", head + 1 + (long long)rnd(9));
        else snprintf(p->text, sizeof p->text, "head"), p->ms = clock_ms();
    }
    for (int i = 0; i < TAGS; i++)
        if (tags[i].seq == seq && rnd(3)) snprintf(p->text, sizeof p->text, "tag:%s", tags[i].name), p->raw = 0, p->beyond = false, p->ms = places[p->seq].ts;
}

static inline void any_point(struct point *p)
{
    long long seq = (long long)rnd((uint64_t)head + 1);
    if (rnd(4) == 0) {
        *p = (struct point){.beyond = false};
        time_point(p);
    } else {
        bool tag = rnd(3) == 0 && tags[seq % TAGS].seq >= 0;
        seq_point(tag ? tags[seq % TAGS].seq : exact(seq), p);
    }
}

/* A key that has run out by the time of a point is absent there; only short expiries do so while this runs, and their removal follows at once. */
static inline bool run_out(const struct version *v, const struct point *p) { return v->expire && v->expire <= p->ms; }

static inline const struct version *state_at(const struct key *k, const struct point *p)
{
    const struct version *v = version_at(k, p->seq);
    return v->kind == ABSENT || run_out(v, p) ? &nothing : v;
}

static inline struct key *any_key_at(const struct point *p) { return &keys[content_at(p->seq)][rnd(KEYS)]; }

#endif
