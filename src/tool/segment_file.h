/* The tool's own reader of segment files and their sidecars (src/docs/format.md). It takes nothing for granted: whatever does not parse is returned with
 * a reason and the reader stands where it was. */
#ifndef VARVE_TOOL_SEGMENT_FILE_H
#define VARVE_TOOL_SEGMENT_FILE_H

#include "tool/file.h"
#include "tool/node_bytes.h"

#define SEGMENT_HEAD 64u
#define SEGMENT_NAME_MOST 64u
#define RECORD_HEAD 8u
#define RECORD_LEAST (RECORD_HEAD + NODE_LEAST_BYTES)
#define LENGTH_MORE 0x80000000u
#define LENGTH_CUT 0x40000000u
#define LENGTH_BITS 0x3fffffffu
#define COMMIT_MOST (1u << 20) /* nodes */
#define SECTOR_BYTES 512u

struct segment_name {
    uint64_t first;
    uint32_t generation;
};
void segment_name_write(char out[SEGMENT_NAME_MOST], const struct segment_name *n, const char *ext); /* with "log/" in front */
/* Only the one spelling. */
bool segment_name_read(const char *name, struct segment_name *out, bool *is_sidecar);

struct segment_head {
    uint32_t flags, records; /* flags: 1 = compacted; records: of a compacted one */
    uint64_t first, generation, created_ms;
    uint8_t store_id[16];
};
/* NULL or what is wrong. *out is filled as far as there are bytes. */
const char *segment_head_read(struct file *f, struct segment_head *out);

struct record {
    uint64_t offset, size; /* size: with padding */
    slice node;            /* valid until the next read of the file */
    uint64_t seq;
    uint32_t cut; /* how many nodes of its commit followed and were dropped */
    bool more;
};
enum record_result {
    RECORD_OK,
    RECORD_NONE,  /* a zero word, or the limit */
    RECORD_BAD,   /* *why */
    RECORD_IO,    /* could not be read */
};
enum record_result record_read(struct file *f, uint64_t at, uint64_t limit, struct record *out, const char **why);
struct seq_window {
    uint64_t lo, hi;
};
/* The next valid record behind `at` whose seq is in the window: RECORD_OK with its offset, RECORD_NONE, RECORD_IO. */
enum record_result record_search(struct file *f, uint64_t at, uint64_t limit, const struct seq_window *w, uint64_t *found);
/* Does the place look like a write that never reached the disk: zeros from there, or from a sector border within the record on? */
bool record_is_hole(struct file *f, uint64_t at, uint64_t limit);

#define SIDECAR_IS_SPARSE 1u
#define SIDECAR_IS_LOSSY 2u
struct sidecar_file {
    bool there, good;
    uint32_t flags;
    uint64_t first, last, generation, count, segment_bytes;
    uint8_t store_id[16];
    struct buf bytes;      /* the whole file */
    const uint8_t *seqs, *entries; /* seqs: NULL when dense */
};
/* NULL or what is wrong with it; there = false and NULL when it does not exist. */
const char *sidecar_file_read(const char *dir, const struct segment_name *n, struct sidecar_file *out);
void sidecar_file_fini(struct sidecar_file *s);
uint64_t sidecar_file_seq(const struct sidecar_file *s, uint64_t i);
uint64_t sidecar_file_offset(const struct sidecar_file *s, uint64_t i, bool *more);

#endif
