/* How often a command took how long: counts in classes that are 1/64 wide at most, as HdrHistogram has them (http://hdrhistogram.org). Times are ticks of cycles_now.
 * Written by one loop; what other threads read of it may be some counts behind. */
#ifndef VARVE_SERVER_LATENCY_H
#define VARVE_SERVER_LATENCY_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

#define LATENCY_FINE    6 /* bits of a time that its class keeps, behind the first */
#define LATENCY_BITS    42 /* longer times count as the longest: hours */
#define LATENCY_CLASSES ((LATENCY_BITS - LATENCY_FINE + 1) << LATENCY_FINE)

struct latency {
    uint64_t n[LATENCY_CLASSES];
};

static inline unsigned latency_class(uint64_t ticks)
{
    if (ticks >> LATENCY_FINE == 0) return (unsigned)ticks;
    unsigned high = 63 - (unsigned)__builtin_clzll(ticks);
    if (high >= LATENCY_BITS) return LATENCY_CLASSES - 1;
    return ((high - LATENCY_FINE + 1) << LATENCY_FINE) + (unsigned)(ticks >> (high - LATENCY_FINE) & ((1u << LATENCY_FINE) - 1));
}

static inline void latency_add(struct latency *l, uint64_t ticks) { l->n[latency_class(ticks)]++; }

/* The longest time of a class. */
uint64_t latency_longest(unsigned class_no);
/* The times below or at which `percentile` (0 to 100) of what was counted lie, in ticks; the shortest one for 0. At least one was counted. */
uint64_t latency_percentile(const struct latency *l, double percentile);

#endif
