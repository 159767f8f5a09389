#include "server/latency.h"
#include <math.h>

uint64_t latency_longest(unsigned class_no)
{
    ASSERT(class_no < LATENCY_CLASSES);
    unsigned octave = class_no >> LATENCY_FINE;
    uint64_t fine = class_no & ((1u << LATENCY_FINE) - 1);
    if (octave == 0) return fine;
    unsigned shift = octave - 1; /* the class begins with (64 + fine) << shift */
    return (((1u << LATENCY_FINE) + fine + 1) << shift) - 1;
}

uint64_t latency_percentile(const struct latency *l, double percentile)
{
    uint64_t all = 0, seen = 0;
    ASSERT(percentile >= 0 && percentile <= 100);
    for (unsigned i = 0; i < LATENCY_CLASSES; i++) all += l->n[i];
    ASSERT(all > 0);
    uint64_t rank = (uint64_t)ceil(percentile / 100 * (double)all);
    if (rank < 1) rank = 1;
    if (rank > all) rank = all;
    unsigned i = 0;
    for (; i < LATENCY_CLASSES - 1; i++) {
        seen += l->n[i];
        if (seen >= rank) break;
    }
    return latency_longest(i);
}
