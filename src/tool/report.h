/* What a check found: faults and notes with their places, printed as they are found, and what of it the end needs: counts, the files concerned, the
 * seqs that are lost.
 *
 * A fault is damage or loss. A note is something worth knowing that is neither: a tail that a crash tore, a leftover that the next start removes. */
#ifndef VARVE_TOOL_REPORT_H
#define VARVE_TOOL_REPORT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdio.h>

#define REPORT_SHOWN_MAX 200 /* faults printed; the others are counted */
#define NO_OFFSET UINT64_MAX

struct place {
    const char *file; /* relative to the store's directory; NULL = the store as a whole */
    uint64_t offset;  /* NO_OFFSET = none */
    uint64_t seq;     /* 0 = none */
};

struct lost {
    uint64_t from, to;
};

struct report {
    uint64_t faults, notes;
    bool silent;       /* count, print nothing */
    struct buf files;  /* names of files with faults, each with a NUL */
    struct lost *lost; /* ascending as found */
    size_t n_lost, cap_lost;
    const char *last_shown; /* progress */
    unsigned last_percent;
    bool terminal;     /* progress line is possible */
    bool line_open;
};

void report_init(struct report *r, bool silent);
void report_fini(struct report *r);
void report_fault(struct report *r, struct place at, const char *format, ...) PRINTF_LIKE(3, 4);
void report_note(struct report *r, struct place at, const char *format, ...) PRINTF_LIKE(3, 4);
/* Seqs [from, to] that were acknowledged or listed and are not there. The fault itself is reported apart. */
void report_lost(struct report *r, uint64_t from, uint64_t to);
uint64_t report_lost_count(const struct report *r);
void report_progress(struct report *r, const char *what, uint64_t done, uint64_t total); /* standard error, when it is a terminal */
void report_progress_end(struct report *r);

#endif
