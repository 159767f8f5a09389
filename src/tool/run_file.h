/* The tool's own reader of the index's run files (src/docs/format-index.md): every byte of one is under one of its checksums, and all are checked. */
#ifndef VARVE_TOOL_RUN_FILE_H
#define VARVE_TOOL_RUN_FILE_H

#include "base/slice.h"
#include "tool/manifest_file.h"
#include "tool/report.h"

struct run_file {
    uint64_t id, covers, entries, tombstones, blocks, bytes;
    unsigned level;
};
/* Called for each entry in order; slices are valid during the call. */
typedef void (*run_entry_fn)(void *ctx, slice key, slice value, bool tombstone);

/* Reports what is wrong as faults of `name` (below dir). want: what the manifest says, or NULL. Fills *out as far as it is known. */
void run_file_check(const char *dir, const char *name, const struct manifest_run *want, run_entry_fn fn, void *ctx, struct report *r, struct run_file *out);

#endif
