/* A stopped store as its directory shows it: the manifest, and which segment files are the log. Holds the store's lock while it is open. */
#ifndef VARVE_TOOL_STORE_H
#define VARVE_TOOL_STORE_H

#include "base/os.h"
#include "tool/manifest_file.h"
#include "tool/segment_file.h"

struct store_segment {
    struct segment_name name;
    bool compacted;
    bool listed;    /* by the manifest; else found behind its list */
    bool there;     /* the file exists */
    uint64_t upto;  /* seqs [name.first, upto) belong here; UINT64_MAX in the last */
};

struct store {
    const char *dir;
    struct os_file *lock;
    struct manifest_file manifest;
    const char *manifest_why;       /* what is wrong with it, or NULL */
    struct store_segment *segments; /* the log, ascending */
    size_t n_segments;
    struct buf leftovers;           /* names of files that are no part of the store, each with a NUL */
    uint64_t mark;                  /* the sync mark; 0 = none */
    const char *mark_why[3];        /* what is wrong with its slots, and between them */
    bool mark_there;
};

/* EXIT_YES, or EXIT_TROUBLE after saying why: a server has it open, it is no store, it cannot be read. */
int store_open(const char *command, const char *dir, struct store *out);
void store_close(struct store *s);
/* The log is safe up to here, by manifest and mark: an end before it is loss. */
uint64_t store_floor(const struct store *s);

#endif
