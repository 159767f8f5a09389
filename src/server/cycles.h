/* A clock that costs a few nanoseconds, for timing commands: the processor's time stamp counter, else the monotonic clock. */
#ifndef VARVE_SERVER_CYCLES_H
#define VARVE_SERVER_CYCLES_H

#include <stdint.h>
#include <time.h>
#if defined __x86_64__
#include <x86intrin.h>
static inline uint64_t cycles_now(void) { return __rdtsc(); }
#else
static inline uint64_t cycles_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
#endif

#endif
