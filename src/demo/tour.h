/* The guided tour: prints each command and its answer. */
#ifndef VARVE_DEMO_TOUR_H
#define VARVE_DEMO_TOUR_H

#include "demo/catalogue.h"
#include <hiredis/hiredis.h>

struct tour {
    redisContext *r;
    const char *tool; /* path of the varve tool, which checks the proof */
    const char *dir;  /* a place for files */
    const struct catalogue *c;
    long long before_second; /* the seq between the passes */
    unsigned failures;       /* answers that were not as promised */
};
void tour_walk(struct tour *t);

#endif
