/* The commit ring: many writers, one ordered log.
 *
 * A ring of bytes (size a power of two, mapped twice in a row so that every
 * record is contiguous). Positions are 64-bit byte addresses that only grow;
 * the *end address* of a commit is what acknowledgement waits for.
 *
 *   reserve  one atomic fetch-and-add on one word hands out the byte range and
 *            the run of seqs together. The word packs [seq : 24 | units : 40]
 *            with unit = 4 bytes; both wrap, a carry out of `units` adds one to
 *            the seq field and is taken back by arithmetic (carries = absolute
 *            units >> 40). Absolute values are rebuilt from the drain cursor,
 *            which cannot pass an unpublished reservation.
 *   fill     the writer encodes records straight into the ring.
 *   publish  length words are stored last to first, each with release; the
 *            drainer's acquire load of a commit's first word thus sees all of it.
 *   drain    whoever holds the drain lock walks headers from the cursor, stops at
 *            the first zero word, hands contiguous bytes to the sink, zeroes them
 *            and moves the cursor (release): space is free again.
 *   abandon  a reservation that cannot be filled is published as NODE_FILLER
 *            records, one for each seq.
 *   park     a writer whose range is not free yet waits; any parked writer may
 *            drain. After a sticky failure it gets E_STICKY, and its range is
 *            published as filler (nothing is drained any more).
 *   oversize a commit above ring_bytes/4 or RING_DIRECT_NODES_MAX nodes reserves only one slot of 32
 *            bytes that points to a heap buffer; the drainer writes that buffer in its place.
 *            Acknowledgement still waits for the slot's end address.
 *
 * Invariants: (1) what the sink receives is a gap-free sequence of whole commits
 * in seq order; (2) seqs are dense; (3) nothing is handed twice; (4) after a sink
 * error nothing more is handed over, ever (sticky). Model: tests/model/ring.pml. */
#ifndef VARVE_ENGINE_RING_H
#define VARVE_ENGINE_RING_H

#include "base/err.h"
#include "base/slice.h"
#include "engine/node.h"

#define RING_BYTES_MIN        (1u << 16)
#define RING_BYTES_MAX        (1u << 27)
#define RING_BYTES_DEFAULT    (1u << 20) /* what a core keeps in its second-level cache: a larger one is written to and copied from farther away, and holds no more, as every turn drains it */
#define RING_COMMIT_NODES_MAX (1u << 20)
#define RING_DIRECT_NODES_MAX 4096 /* a commit of more nodes takes the oversize path */
#define RING_WRITERS_MAX      1024 /* threads in ring_reserve at once: keeps the seqs in flight under 2^24 (ring.c) */

struct ring;

/* Receives whole commits in order: `bytes` are records as on disk, `first_seq` the first record's
 * seq, `count` how many records. Returns 0 or a negative code, which becomes sticky. */
typedef int (*ring_sink)(void *ctx, slice bytes, uint64_t first_seq, uint32_t count);

struct ring_slot {
    uint8_t *at; /* where the records go: n contiguous record_size() spaces */
    uint64_t first_seq;
    uint64_t end; /* end address */
    uint32_t count;
    size_t bytes;
};

/* ring_bytes: a power of two in [RING_BYTES_MIN, RING_BYTES_MAX]. next_seq > 0: the first seq to hand out. E_IO. */
int ring_open(size_t ring_bytes, uint64_t next_seq, ring_sink sink, void *ctx, struct ring **out) MUST_CHECK;
void ring_close(struct ring **r); /* everything published must have been drained or failed */
/* Reserves `bytes` (sum of record sizes, multiple of 4) for `count` nodes and waits for space. E_STICKY. Whoever has a
 * slot fills everything but the length words (node_encode at record + 8, then record_seal), and must publish or abandon it before
 * waiting for anything in the ring. */
int ring_reserve(struct ring *r, size_t bytes, uint32_t count, struct ring_slot *out) MUST_CHECK;
/* Publishes a filled slot. words[i] is the length word of record i (from record_seal). */
void ring_publish(struct ring *r, const struct ring_slot *s, const uint32_t *words);
/* Same for one record: the hot path. */
void ring_publish_one(struct ring *r, const struct ring_slot *s, uint32_t word);
void ring_abandon(struct ring *r, const struct ring_slot *s);
/* Drains until the cursor is at or past `end` (0 = whatever is published now). Waits for writers that
 * have reserved below `end` and not yet published. The sticky code when failed. */
int ring_drain(struct ring *r, uint64_t end) MUST_CHECK;
int ring_failure(const struct ring *r);           /* 0 or the sticky code; one relaxed load */
void ring_fail(struct ring *r, int code);         /* a failed sync makes the log sticky too */
uint64_t ring_reserved_seq(const struct ring *r); /* newest seq handed out */
uint64_t ring_reserved_end(const struct ring *r);
uint64_t ring_drained_seq(const struct ring *r);
uint64_t ring_drained_end(const struct ring *r);
/* Counters since open; each is exact, the five together are not one instant. */
struct ring_stats {
    uint64_t parks, drains, bytes, oversize, fillers;
};
void ring_get_stats(const struct ring *r, struct ring_stats *out);

#endif
