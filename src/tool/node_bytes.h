/* The tool's own reader of a node (src/docs/format.md, "Node"). Strict: a node has one spelling and every other is refused. */
#ifndef VARVE_TOOL_NODE_BYTES_H
#define VARVE_TOOL_NODE_BYTES_H

#include "base/slice.h"

enum node_bit { /* flags, as stored */
    BIT_PREV_HASH = 1, BIT_IN_COMMIT = 2, BIT_EXPIRES = 4, BIT_VALID = 8, BIT_CAUSES = 16, BIT_BY = 32, BIT_NOTE = 64, BIT_IDEM = 128,
    BIT_CREATED = 256, BIT_RETYPED = 512, BIT_ENC_RAW = 1024,
};
#define OP_FILLER 8u
#define NODE_OP_AT 1u
#define NODE_LEAST_BYTES 48u
#define NODE_SEQ_AT 8u
#define CAUSE_SIZE 40u

struct node_bytes {
    unsigned op, type, space, flags, lineage;
    uint64_t seq, time_ms, prev, ver, expire_ms, position; /* position: 0 = first of its commit */
    int64_t valid_from, valid_to;
    const uint8_t *salt, *prev_hash, *causes; /* borrowed; NULL where absent */
    uint64_t n_causes;
    slice by, note, idem, key, payload;
};

/* NULL when the bytes are a node (slices borrow from raw), else what is wrong. */
const char *node_bytes_parse(slice raw, struct node_bytes *out);
const char *node_bytes_op(unsigned op);
const char *node_bytes_type(unsigned type);
const char *node_bytes_space(unsigned space);

#endif
