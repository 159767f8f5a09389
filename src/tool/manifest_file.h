/* The tool's own reader of MANIFEST (src/docs/format-manifest.md). */
#ifndef VARVE_TOOL_MANIFEST_FILE_H
#define VARVE_TOOL_MANIFEST_FILE_H

#include "base/buf.h"
#include "tool/digest.h"

#define MANIFEST_FILE "MANIFEST"
#define MANIFEST_IS_CLEAN 1u
#define MANIFEST_MUST_FORGET 2u

struct manifest_segment {
    uint64_t first;
    uint32_t generation, flags; /* flags: 1 = compacted */
};
struct manifest_run {
    uint64_t id, bytes, entries, level;
};

struct manifest_file {
    bool there, good;
    uint32_t flags;
    uint8_t store_id[16];
    uint64_t covers, floor, newest_ms, horizon, created_ms, number, first_unlisted;
    uint8_t root[DIGEST_BYTES];
    uint32_t n_segments, n_runs, books_bytes;
    struct buf bytes;
};

/* NULL or what is wrong; there = false and NULL when there is none. */
const char *manifest_file_read(const char *dir, struct manifest_file *out);
void manifest_file_fini(struct manifest_file *m);
void manifest_file_segment(const struct manifest_file *m, uint32_t i, struct manifest_segment *out);
void manifest_file_run(const struct manifest_file *m, uint32_t i, struct manifest_run *out);

#endif
