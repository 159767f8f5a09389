/* A sidecar: where each record of one sealed segment lies. File `….idx` beside `….seg`; bytes in src/docs/format.md.
 *
 * Dense: entry i belongs to seq first + i. Sparse (compacted, or salvaged with losses): a sorted array of seqs (as distance from
 * first) stands before the entries. An entry is the record's file offset / 4, with bit 31 for RECORD_MORE.
 *
 * A sidecar only repeats what the segment says: it may be thrown away. One that does not match its checksums or its segment is refused
 * with E_CORRUPT, and the caller makes it anew. The exception is a salvaged one (SIDECAR_LOSSY): without it the
 * damage in its segment counts as damage again. Immutable once open; any number of threads. */
#ifndef VARVE_ENGINE_SIDECAR_H
#define VARVE_ENGINE_SIDECAR_H

#include "base/os.h"

#define SIDECAR_HEADER_BYTES 80
#define SIDECAR_VERSION      1
#define SIDECAR_ENTRIES_MAX  (1u << 30)
#define SIDECAR_RANGE_MAX    UINT32_MAX /* seqs that one sparse sidecar can span */

#define ENTRY_MORE       0x80000000u
#define ENTRY_UNIT       4u
#define ENTRY_OFFSET_MAX ((uint64_t)(ENTRY_MORE - 1) * ENTRY_UNIT) /* so a segment file stays under 8 GiB */

enum sidecar_flags {
    SIDECAR_SPARSE = 1,
    SIDECAR_LOSSY = 2, /* seqs that are not here were lost to damage, not dropped on purpose */
    SIDECAR_CUTS = 4,  /* some of its records are RECORD_CUT */
};

struct sidecar_info {
    uint64_t first_seq, last_seq; /* the range; last_seq may itself be missing in a sparse one */
    uint64_t generation;
    uint64_t segment_bytes; /* of the file that it describes */
    uint32_t flags;
    uint8_t store_id[16];
};

/* What is to become a sidecar. Zero-initialise. Seqs ascend. */
struct sidecar_draft {
    struct buf seqs, entries;
    uint64_t count;
    bool cuts; /* the caller's: whether to set SIDECAR_CUTS */
};
void sidecar_draft_add(struct sidecar_draft *d, uint64_t distance, uint64_t offset, bool more);
void sidecar_draft_fini(struct sidecar_draft *d);
/* Replaces the file `name` in `dir`, synced. */
int sidecar_write(struct os *os, const char *dir, const char *name, const struct sidecar_info *info,
                  const struct sidecar_draft *d) MUST_CHECK;

struct sidecar;
/* Checks both checksums. E_NOTFOUND, E_CORRUPT, E_VERSION, E_IO. */
int sidecar_open(struct os *os, const char *path, struct sidecar **out) MUST_CHECK;
void sidecar_close(struct sidecar **s);
const struct sidecar_info *sidecar_about(const struct sidecar *s);
uint64_t sidecar_count(const struct sidecar *s);
/* Index of the first entry at or behind seq; sidecar_count when there is none. E_IO. */
int sidecar_ceiling(const struct sidecar *s, uint64_t seq, uint64_t *index) MUST_CHECK;
/* One entry: its seq, where its record starts and where the next one starts (segment_bytes behind the last). */
struct sidecar_place {
    uint64_t seq, offset, end;
    bool more;
};
int sidecar_place(const struct sidecar *s, uint64_t index, struct sidecar_place *out) MUST_CHECK; /* index < count */
/* Shows every entry's seq and ENTRY_MORE, in order; ends with the first failure of `see`. */
int sidecar_marks(const struct sidecar *s, int (*see)(void *ctx, uint64_t seq, bool more), void *ctx) MUST_CHECK;

#endif
