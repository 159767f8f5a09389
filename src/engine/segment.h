/* One segment: a file of records and the knowledge of where each seq lies in it.
 *
 * Two kinds of object over the same file format (src/docs/format.md). An *open* segment is appended to; its table of offsets is in memory,
 * written by the appender and read by anyone without a lock. A *sealed* one never changes; its table is its sidecar. Sealing makes a new
 * object, readers of the old one go on. Both are counted: who holds a reference may read; the last one closes the file,
 * and removes it when the segment was doomed.
 *
 * Threads: one appender at a time; segment_locate, _ceiling, _read from any thread. */
#ifndef VARVE_ENGINE_SEGMENT_H
#define VARVE_ENGINE_SEGMENT_H

#include "engine/seglog.h"
#include "engine/sidecar.h"

#define SEGMENT_HEADER_BYTES     64
#define SEGMENT_VERSION          2 /* compacted: cut commits say how long they were; 1 is read */
#define SEGMENT_VERSION_APPENDED 1
#define SEGMENT_APPEND_NODES_MAX (1u << 20) /* in one append */
#define SEGMENT_NAME_BYTES       64

enum segment_flags { SEGMENT_COMPACTED = 1 };

struct segment_header {
    uint64_t first_seq, generation, created_ms;
    uint32_t flags;
    uint32_t records; /* compacted: how many there are; else 0 */
    uint8_t store_id[16];
};
void segment_header_encode(const struct segment_header *h, uint8_t out[SEGMENT_HEADER_BYTES]);
int segment_header_decode(slice raw, struct segment_header *out) MUST_CHECK; /* E_CORRUPT, E_VERSION */

/* `NNNNNNNNNNNNNNNN-GGGG.seg` or `.idx`. */
void segment_name(char out[SEGMENT_NAME_BYTES], uint64_t first_seq, uint64_t generation, const char *ext);
bool segment_name_parse(const char *name, uint64_t *first_seq, uint32_t *generation, bool *sidecar);
/* dir/name with a NUL; replaces out. */
const char *segment_path(struct buf *out, const char *dir, const char *name);

#define SEGMENT_VIEWS_MAX 24

struct segment_table;

struct segment {
    uint32_t refs; /* atomic */
    bool doomed;   /* atomic: the last reference removes the files */
    struct os *os;
    char *dir; /* owned */
    struct os_file *file;
    struct seg_id id;
    struct sidecar *side;        /* sealed */
    struct segment_table *table; /* open */
    uint64_t count;              /* open: atomic, release by the appender; acquire by readers, who then see table and bytes */
    uint64_t end;                /* file bytes in use; open: atomic, stored before count */
    uint64_t extended;           /* open: atomic; file size reserved */
    /* Open: mapped handles over the first view_bytes[i] of the file, each larger than the one before; all live until the object goes,
     * because a reader may be in any of them. */
    struct os_file *view[SEGMENT_VIEWS_MAX];
    uint64_t view_bytes[SEGMENT_VIEWS_MAX];
    uint32_t views; /* atomic, release by the one background caller */
};

/* Takes over the file: an open segment with what is to be appended behind `end`. `bytes` is how large it may get. */
struct segment *segment_new(struct os *os, const char *dir, struct os_file **file, const struct seg_id *id, uint64_t bytes);
/* For a scan at open: records at [end, …) that are in the file already. */
void segment_add(struct segment *s, uint64_t offset, size_t size, bool more);
/* Takes over the sidecar and opens the file for reading. */
int segment_sealed(struct os *os, const char *dir, const struct seg_id *id, struct sidecar **side,
                   struct segment **out) MUST_CHECK;
struct segment *segment_ref(struct segment *s);
void segment_unref(struct segment **s);

/* Maps the file as far as it is extended, so that reads of an open segment need no system call. When it cannot, they go on as before. */
void segment_see(struct segment *s);

/* Room for this in the table? */
bool segment_fits(const struct segment *s, uint32_t count, size_t bytes);
/* Writes behind the end, then publishes. A failure leaves the books as they were and cuts off what was written if it can. */
int segment_append(struct segment *s, slice records, uint32_t count) MUST_CHECK;
/* Makes the sidecar of an open segment that gets no more appends. */
int segment_write_sidecar(struct segment *s, const uint8_t store_id[16]) MUST_CHECK;

uint64_t segment_count(const struct segment *s);
uint64_t segment_end(const struct segment *s);
bool segment_is_lossy(const struct segment *s);

/* Where the record of seq is. E_NOTFOUND (behind the newest of an open one), E_PRUNED, E_CORRUPT (lost to damage), E_IO. */
int segment_locate(const struct segment *s, uint64_t seq, struct sidecar_place *out) MUST_CHECK;
/* The first record at or behind seq. E_END: none. */
int segment_ceiling(const struct segment *s, uint64_t seq, struct sidecar_place *out) MUST_CHECK;
/* The nearest seqs that are there: at or below seq, at or above it; 0 = none in this segment. */
int segment_around(const struct segment *s, uint64_t seq, uint64_t *below, uint64_t *above) MUST_CHECK;
/* Shows every record's seq and whether its commit goes on, in order; ends with the first failure of `see`. */
int segment_marks(const struct segment *s, int (*see)(void *ctx, uint64_t seq, bool more), void *ctx) MUST_CHECK;
/* Are all of [first, last] here? Any first <= last of the segment's range. */
int segment_is_whole(const struct segment *s, uint64_t first, uint64_t last, bool *whole) MUST_CHECK;
/* May a record here be cut? */
bool segment_has_cuts(const struct segment *s);
/* Reads and checks the record. Slices point into mem. */
int segment_read(const struct segment *s, const struct sidecar_place *at, struct buf *mem, struct log_record *out) MUST_CHECK;

#endif
