/* What the programs of this folder share at their door: `--points N --seed S`, and one point again by CRASH_EVENT and CRASH_MODE, which is what a failure prints. */
#ifndef VARVE_TESTS_POINTS_H
#define VARVE_TESTS_POINTS_H

#include "base/logline.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_FAILED_MAX 20 /* then there is nothing more to learn */

struct points {
    uint64_t wanted, seed; /* wanted: UINT64_MAX without end */
    uint64_t passed, failed;
    bool only; /* one point, for looking into it: `event`, `mode` */
    uint64_t event;
    unsigned mode;
};

static inline struct points points_from(int argc, char **argv, uint64_t wanted)
{
    struct points p = {.wanted = wanted, .seed = 1};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--points") == 0) p.wanted = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seed") == 0) p.seed = strtoull(argv[i + 1], NULL, 10);
    }
    if (p.wanted == 0) p.wanted = UINT64_MAX;
    const char *event = getenv("CRASH_EVENT"), *mode = getenv("CRASH_MODE");
    p.only = event != NULL;
    p.event = event ? strtoull(event, NULL, 10) : 0;
    p.mode = mode ? (unsigned)strtoul(mode, NULL, 10) : 0;
    log_set_level(p.only ? LOG_DEBUG : LOG_NOTHING);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return p;
}

static inline bool points_left(const struct points *p) { return p->passed + p->failed < p->wanted && p->failed < POINTS_FAILED_MAX; }

static inline void points_count(struct points *p, bool good)
{
    if (good)
        p->passed++;
    else
        p->failed++;
}

/* Dice of a point (splitmix64, Steele et al.): the same state gives the same numbers. */
static inline uint64_t points_roll(uint64_t *dice, uint64_t below)
{
    uint64_t z = *dice += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

/* For checkers that take a run with `failed` and `line`: notes the first condition that did not hold, and returns. */
#define HOLDS(r, condition)                                                                                                      \
    do {                                                                                                                         \
        if (!(condition) && !(r)->failed) (r)->failed = #condition, (r)->line = __LINE__;                                        \
        if ((r)->failed) return;                                                                                                 \
    } while (0)

/* The last line, and what main returns. */
static inline int points_end(const struct points *p, const char *name)
{
    printf("%s crash points: %llu passed, %llu failed\n", name, (unsigned long long)p->passed, (unsigned long long)p->failed);
    return p->failed ? 1 : 0;
}

#endif
