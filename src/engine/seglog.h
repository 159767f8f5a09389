/* The log on disk: a directory of segments, and the only thing that knows where a seq lies.
 *
 * Files in DIR/log: `NNNNNNNNNNNNNNNN-GGGG.seg` (first seq in hex, generation: compaction makes a new
 * generation of a range) and its sidecar `.idx` once sealed. Header 64 bytes: magic "VARVESEG", u16
 * version, u16 header size, u32 flags, u64 first seq, u64 generation, 16B store id, u64 created ms,
 * u32 CRC at the end. Records follow (node.h). The tail segment is extended ahead with zeros.
 *
 * One appender at a time (the drain lock); any number of readers at any time. Reading position of a seq: segment
 * by binary search over first seqs, offset by the segment's table (dense for appended segments, sparse
 * sorted arrays for compacted ones). The tail's table is filled by the appender.
 *
 * Sealing (background worker): final size, sync, sidecar with offsets and checksum. A missing or bad sidecar is
 * rebuilt from the segment and rewritten, with a log line. Torn tail: only in the last segment, only
 * when nothing valid follows the damage; cut at the last whole commit. Damage elsewhere: open fails with
 * E_CORRUPT and the report names segment, offset and seq range; salvage mode keeps what is readable and lists the rest.
 *
 * `synced` keeps a lower bound of what was durable (syncmark.h): the tail's end is cut only behind it. After a failed append or sync the log
 * takes nothing more (E_STICKY) until it is opened anew; reads go on. Seqs that salvage could not bring back read as E_CORRUPT.
 *
 * The list of live segments is owned by the manifest (engine.c): seglog_open is told which
 * compacted segments replace which; unknown older generations are removed as leftovers. */
#ifndef VARVE_ENGINE_SEGLOG_H
#define VARVE_ENGINE_SEGLOG_H

#include "base/os.h"
#include "engine/node.h"

#define SEGMENT_BYTES_MIN     (64u << 10)
#define SEGMENT_BYTES_MAX     (1u << 30)
#define SEGMENT_BYTES_DEFAULT (128u << 20)

struct seglog;

struct seg_id {         /* one installed segment, as the manifest lists it */
    uint64_t first_seq; /* seqs [first_seq, next segment's first_seq) belong here */
    uint32_t generation;
    bool compacted; /* sparse: some seqs of the range are gone */
};

struct seglog_report {   /* what open found; for the start-up log and `varve repair` */
    uint64_t torn_bytes; /* cut from the tail */
    uint64_t durable;    /* the sync mark: the log was on disk up to this seq */
    uint64_t sidecars_rebuilt;
    uint64_t lost_from, lost_to; /* first damaged seq range, 0 = none */
    char where[256];             /* "segment …, offset …: why" of the first damage */
};

struct seglog_options {
    struct os *os;
    const char *dir;
    size_t segment_bytes;
    const struct seg_id *installed; /* the manifest's list, ascending; NULL with n=0 for a fresh store */
    size_t n_installed;
    uint64_t first_unlisted_seq; /* segments from here on are found in the directory (written after the manifest) */
    const uint8_t *store_id;     /* 16 bytes; segments of another store are refused */
    bool salvage;
    bool read_only; /* a tool looking at a stopped store: repair nothing */
    void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
    void *progress_ctx;
};

int seglog_open(const struct seglog_options *o, struct seglog **out, struct seglog_report *rep) MUST_CHECK;
void seglog_close(struct seglog **l);
uint64_t seglog_last_seq(const struct seglog *l); /* newest whole commit's last seq; 0 when empty */
/* Appends whole commits (records back to back) starting at first_seq = last + 1; rolls over first when the tail is full.
 * A failure leaves the books where they were: the same bytes are not retried by anyone (the caller goes sticky). */
int seglog_append(struct seglog *l, slice records, uint64_t first_seq, uint32_t count) MUST_CHECK;
/* Makes everything appended so far durable; *seq = newest seq now durable. Safe beside append. */
int seglog_sync(struct seglog *l, uint64_t *seq) MUST_CHECK;
/* Background: seals full segments (sync, sidecar) and extends the tail ahead. Returns E_OK, or E_AGAIN when nothing was to do. */
int seglog_background(struct seglog *l) MUST_CHECK;
/* Ends the tail, seals it (as seglog_background would) and starts a new one, so that compaction can take all that is there. Safe beside append and
 * background. E_OK also when the tail holds nothing. */
int seglog_roll(struct seglog *l) MUST_CHECK;

/* The node bytes of seq into *mem (replaced); the record's CRC is checked. E_NOTFOUND beyond the end, E_PRUNED when a
 * compacted segment no longer has it, E_CORRUPT, E_IO. `more` may be NULL. */
int seglog_read(struct seglog *l, uint64_t seq, struct buf *mem, slice *raw, bool *more) MUST_CHECK;
int seglog_record(struct seglog *l, uint64_t seq, struct buf *mem, struct log_record *out) MUST_CHECK; /* all of it */
/* Is the record of seq followed by another of the same commit? From the table, no read. E_NOTFOUND, E_PRUNED. */
int seglog_more(struct seglog *l, uint64_t seq, bool *more) MUST_CHECK;
/* How the commit of seq goes on behind it: *more as above; *cut: how many of its nodes followed and were dropped by compaction, all that there were.
 * E_NOTFOUND, E_PRUNED, E_CORRUPT, E_IO. */
int seglog_rest(struct seglog *l, uint64_t seq, bool *more, uint64_t *cut) MUST_CHECK;
/* Are all of [first, last], seqs of one commit, there? E_IO. */
int seglog_whole(struct seglog *l, uint64_t first, uint64_t last, bool *whole) MUST_CHECK;
/* Shows the records of the segment that seq belongs to, in order: seq, and whether another of its commit follows. Ends with the first failure of `see`. */
int seglog_marks(struct seglog *l, uint64_t seq, int (*see)(void *ctx, uint64_t seq, bool more), void *ctx) MUST_CHECK;
/* The nearest records: at or below seq, at or above it; 0: none in the segment that seq belongs to, which holds seq's commit whole. E_IO. */
int seglog_around(struct seglog *l, uint64_t seq, uint64_t *below, uint64_t *above) MUST_CHECK;

/* Reads forward in seq order, in large chunks; checks CRCs. The cursor keeps its segment alive. */
struct seglog_cursor;
int seglog_cursor_open(struct seglog *l, uint64_t from_seq, struct seglog_cursor **out) MUST_CHECK;
/* Next record: seq, bytes (valid until the next call, but see seglog_cursor_holds). E_END at the newest appended commit (call again later). */
int seglog_cursor_next(struct seglog_cursor *c, uint64_t *seq, slice *raw, bool *more) MUST_CHECK;
/* Of the record that it gave last: as in struct log_record. */
uint32_t seglog_cursor_cut(const struct seglog_cursor *c);
/* From the next segment on CRCs are not checked: the caller does, with seglog_cursor_check, for whatever it does not know to be right. Right behind open. */
void seglog_cursor_lazy(struct seglog_cursor *c);
/* Checks a record that the cursor answered, as long as its bytes are valid. E_CORRUPT. */
int seglog_cursor_check(const struct seglog_cursor *c, uint64_t seq, slice raw) MUST_CHECK;
/* The next call answers from what is in memory, and leaves the bytes of earlier answers where they are. False: it may not. */
bool seglog_cursor_holds(const struct seglog_cursor *c);
void seglog_cursor_close(struct seglog_cursor **c);

/* ---- compaction's side ---- */
struct seg_info {
    struct seg_id id;
    uint64_t last_seq; /* newest seq in it (present or not) */
    uint64_t nodes;    /* records present */
    uint64_t bytes;    /* file bytes used */
    bool sealed;
};
size_t seglog_segments(struct seglog *l, struct seg_info *out, size_t max); /* how many there are; fills up to max */
/* Writes a new generation that covers the segments of [first_seq, last_seq] (whole and sealed) and keeps the seqs for which keep() is true.
 * Not yet installed: the caller writes the manifest, then calls install. Synced when it returns. */
#define SEG_REWRITE_GROUP 4
struct seg_rewrite_options {
    uint64_t first_seq, last_seq;
    bool (*keep)(void *ctx, uint64_t seq);
    /* May be NULL. Sees every kept node once before it is written, in order, up to SEG_REWRITE_GROUP at once; what it answers but E_OK ends the rewrite. */
    int (*check)(void *ctx, size_t n, const uint64_t *seq, const slice *raw);
    bool (*cancelled)(void *ctx); /* may be NULL */
    void *ctx;                    /* of all three */
};
struct seg_rewrite {
    struct seg_id id;
    uint64_t last_seq, nodes, bytes_before, bytes_after;
};
int seglog_rewrite(struct seglog *l, const struct seg_rewrite_options *o, struct seg_rewrite *out) MUST_CHECK;
/* Puts the rewritten segment in the place of its range and removes the old files (readers that hold them go on). */
int seglog_install(struct seglog *l, const struct seg_rewrite *rw) MUST_CHECK;
/* Throws an uninstalled rewrite away. */
void seglog_discard(struct seglog *l, const struct seg_rewrite *rw);
uint64_t seglog_bytes(struct seglog *l); /* of all segment files, as used */

#endif
