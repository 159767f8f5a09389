/* The sync mark: a lower bound of what was durable, kept beside the segments (file `synced`).
 *
 * It is written after a sync and not synced itself, so what a power cut leaves of it is an older mark or none: always true. At start it
 * tells two things apart that look alike in the tail: writes that a power cut lost or reordered (behind the mark: cut) and damage to what was
 * on disk (before the mark: refuse). It never goes back: a salvage fills the log up to it. Two slots in two sectors, written in turn. */
#ifndef VARVE_ENGINE_SYNCMARK_H
#define VARVE_ENGINE_SYNCMARK_H

#include "base/os.h"

#define SYNCMARK_NAME        "synced"
#define SYNCMARK_INTERVAL_US 100000 /* it may lag by this much */

struct syncmark;

/* *seq = the mark; 0 when there is none. Makes the file unless read_only. */
int syncmark_open(struct os *os, const char *dir, const uint8_t store_id[16], bool read_only, struct syncmark **out,
                  uint64_t *seq) MUST_CHECK;
void syncmark_close(struct syncmark **m);
/* seq is durable. Written at most once an interval, unless `now`. Failure to write is no failure: the mark stays older. */
void syncmark_put(struct syncmark *m, uint64_t seq, bool now);

#endif
