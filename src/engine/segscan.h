/* Walks the records of one segment file forward, in large reads, and finds the way back to a record behind damage.
 *
 * Checks each record's CRC, unless told not to; what the seqs must be is the caller's business. One thread. */
#ifndef VARVE_ENGINE_SEGSCAN_H
#define VARVE_ENGINE_SEGSCAN_H

#include "base/os.h"
#include "engine/node.h"

#define SEGSCAN_CHUNK_BYTES (256u << 10)

struct segscan {
    struct os *os;
    struct os_file *file; /* borrowed */
    uint64_t at;          /* offset of the next record */
    uint64_t limit;       /* nothing at or behind it is read; the caller may raise it */
    uint64_t buf_at;      /* file offset of buf */
    struct buf buf;
    bool lazy; /* the caller checks the CRCs, with record_check */
};

void segscan_init(struct segscan *s, struct os *os, struct os_file *file, uint64_t at, uint64_t limit);
void segscan_fini(struct segscan *s);

struct segscan_record {
    slice node; /* valid until the next call (but see segscan_holds) */
    uint64_t seq, offset;
    size_t size;  /* of the record */
    uint32_t cut; /* as in struct log_record */
    bool more;
};
/* The record at s->at, and steps over it. E_END: s->at == limit, or a zero word is there (s->at < limit). E_CORRUPT: what is there is no record;
 * s->at stays. E_IO: could not be read, which says nothing about what is there. */
int segscan_next(struct segscan *s, struct segscan_record *out) MUST_CHECK;
/* The record at s->at is in memory whole: segscan_next will not move the buffer, and what it answered before stays valid. */
bool segscan_holds(const struct segscan *s);

/* Moves s->at to the first valid record at or behind it, at any multiple of four, whose seq is in [min_seq, max_seq]; E_END when there is none (s->at is
 * unchanged then). *used = end of the last non-zero word seen behind s->at (s->at when all is zero). E_IO. */
int segscan_resync(struct segscan *s, uint64_t min_seq, uint64_t max_seq, uint64_t *used) MUST_CHECK;

/* Can a lost write explain what is at s->at, where no record is? That is: bytes that should have been written are zero, from there or from a
 * sector border within the record on. Damage by decay does not look so. E_OK with *hole, E_IO. */
int segscan_is_hole(struct segscan *s, bool *hole) MUST_CHECK;

#endif
