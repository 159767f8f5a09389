/* A node: one immutable version record. This pair of files is the only place
 * that encodes and decodes one. Layout (all little-endian), version 1:
 *
 *   0  u8   format version (1)
 *   1  u8   op (enum node_op)
 *   2  u16  flags (NODE_*)
 *   4  u8   type of the value (enum node_type)
 *   5  u8   name space of the key (enum node_space)
 *   6  u16  lineage (which database line the key belongs to)
 *   8  u64  seq
 *  16  16B  salt, random
 *  32  u48  ts, Unix milliseconds
 *  38  u64  prev: seq of the key's version before (0 = none)
 *  46  varint  ver (1, 2, 3 … per key)
 *      varint  key length
 *   [NODE_PREV_HASH]   32B  hash of prev
 *   [NODE_IN_COMMIT]   varint  position in its commit (from 1; the first node of a commit has no such field)
 *   [NODE_EXPIRES]     u64  expiry, Unix ms
 *   [NODE_VALID]       i64 valid_from, i64 valid_to, ms (INT64_MIN / INT64_MAX = open)
 *   [NODE_CAUSES]      varint n, then n × (u64 seq, 32B hash)
 *   [NODE_BY]          varint length, bytes: the ACL user ("default" is left out)
 *   [NODE_NOTE]        varint length, bytes
 *   [NODE_IDEM]        varint length, bytes
 *   key bytes, then the payload to the end.
 *
 * The hash of a node is BLAKE2b-256 of exactly these bytes. */
#ifndef VARVE_ENGINE_NODE_H
#define VARVE_ENGINE_NODE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"

#define NODE_VERSION 1
#define NODE_SALT_BYTES 16
#define NODE_FIXED_BYTES 46
#define NODE_BYTES_MIN (NODE_FIXED_BYTES + 2)
#define NODE_KEY_MAX 65535
#define NODE_CAUSES_MAX 1024
#define NODE_BY_MAX 255
#define NODE_NOTE_MAX 4096
#define NODE_IDEM_MAX 255
#define NODE_PAYLOAD_MAX ((1u << 30) - (1u << 20)) /* a whole node stays within RECORD_LENGTH; strings stop at proto-max-bulk-len before */

enum node_op {
    NODE_PUT = 1,     /* payload = the whole value (a base) */
    NODE_EFFECT = 2,  /* payload = what to do to the value before (module's encoding) */
    NODE_META = 3,    /* value unchanged: only expiry changed */
    NODE_DELETE = 4,  /* tombstone on request */
    NODE_EXPIRE = 5,  /* tombstone because time came */
    NODE_FLUSH = 6,   /* no key; lineage flushed, or every one when lineage = NODE_ALL_LINEAGES */
    NODE_SWAP = 7,    /* no key; payload = u16 a, u16 b: database indexes that change places */
    NODE_FILLER = 8,  /* a reservation that was given up; means nothing */
};
#define NODE_ALL_LINEAGES 0xffff

/* Name spaces keep keys of users and the store's own versioned things apart. */
enum node_space {
    SPACE_KEY = 0,    /* a Redis key */
    SPACE_LINK = 1,   /* key = link_key(from, rel, to); payload = props JSON or empty */
    SPACE_TAG = 2,    /* key = tag name; payload = u64 seq */
    SPACE_RETAIN = 3, /* key = pattern; payload = u64 versions, u64 age_ms (0 = unset) */
    SPACE_SORTED = 4, /* key = varint len + coll, path; payload = u8 kind (0 ordered, 1 text) */
};

enum node_type {
    TYPE_NONE = 0, TYPE_STRING = 1, TYPE_LIST = 2, TYPE_SET = 3, TYPE_ZSET = 4, TYPE_HASH = 5,
    TYPE_STREAM = 6, TYPE_DOCUMENT = 7, TYPE_MODULE = 8,
};

enum node_flag {
    NODE_PREV_HASH = 1, NODE_IN_COMMIT = 2, NODE_EXPIRES = 4, NODE_VALID = 8, NODE_CAUSES = 16,
    NODE_BY = 32, NODE_NOTE = 64, NODE_IDEM = 128,
    NODE_CREATED = 256,  /* the key had no live version before: counts grow */
    NODE_RETYPED = 512,  /* type, or whether it expires, differs from the live version before */
    NODE_ENC_RAW = 1024, /* string value is shown as encoding raw although short (APPEND, SETRANGE) */
};

struct node_ref {
    uint64_t seq;
    uint8_t hash[HASH_BYTES];
};

/* A decoded node, and equally what to encode. Slices borrow. */
struct node {
    uint8_t op, type, space;
    uint16_t flags;             /* on encode: only CREATED, RETYPED, ENC_RAW are taken; the rest follow from the fields */
    uint16_t lineage;
    uint64_t seq;
    uint8_t salt[NODE_SALT_BYTES];
    uint64_t ts_ms;
    uint64_t prev;              /* seq, 0 = none */
    uint64_t ver;
    const uint8_t *prev_hash;   /* NULL = none */
    uint32_t commit_pos;        /* 0 = first of its commit */
    uint64_t expire_ms;         /* 0 = none */
    bool has_valid;
    int64_t valid_from, valid_to;
    const uint8_t *causes;      /* n_causes × 40 bytes as stored: u64 seq, hash */
    uint32_t n_causes;
    slice by, note, idem, key, payload;
};

/* Exact encoded size; does not depend on seq, so that space can be reserved before seq is known. */
API size_t node_size(const struct node *n);
/* Encodes into out[node_size(n)]; returns the end. Every limit above must hold (asserted). */
API uint8_t *node_encode(const struct node *n, uint8_t *out);
/* Decodes and checks every length, range and reserved bit. E_CORRUPT, E_VERSION: *out is then of no use.
 * Slices borrow from raw. */
API int node_decode(slice raw, struct node *out) MUST_CHECK;
API void node_cause(const struct node *n, uint32_t i, struct node_ref *out); /* i < n_causes */
API bool node_is_base(const struct node *n);  /* holds a whole value or ends one: PUT, DELETE, EXPIRE */
API bool node_is_live(const struct node *n);  /* leaves the key existing: PUT, EFFECT, META */
API const char *node_op_name(unsigned op);    /* "put", "effect", … ; "?" if unknown */

/* Key of a link in SPACE_LINK: varint len + from, varint len + rel, varint len + to. */
API void link_key(struct buf *out, slice from, slice rel, slice to);
API int link_key_parse(slice key, slice *from, slice *rel, slice *to) MUST_CHECK;

/* ---- records: how nodes lie in the ring and in a segment ----
 *   0 u32 length of the node in bytes; bit 31 (RECORD_MORE) set: the next record belongs to the same commit; bit 30 (RECORD_CUT) set:
 *     nodes of the commit followed here, and compaction dropped them. Never both
 *   4 u32 CRC-32C over the length word as stored, the node, and what stands behind it for RECORD_CUT
 *   8 node, zero-padded to a multiple of 4
 *   . RECORD_CUT: u32 how many nodes followed.
 * A zero length word means nothing is here (yet). */
#define RECORD_HEADER_BYTES 8
#define RECORD_BYTES_MIN (RECORD_HEADER_BYTES + NODE_BYTES_MIN)
#define RECORD_MORE   0x80000000u
#define RECORD_CUT    0x40000000u
#define RECORD_LENGTH 0x3fffffffu
#define RECORD_CUT_BYTES 4
#define RECORD_CUT_MAX   (1u << 20) /* nodes of a commit */
static inline size_t record_size(size_t node_bytes) { return (RECORD_HEADER_BYTES + node_bytes + 3) & ~(size_t)3; }
/* Of the whole record, by its length word. */
static inline size_t record_bytes(uint32_t word) { return record_size(word & RECORD_LENGTH) + (word & RECORD_CUT ? RECORD_CUT_BYTES : 0); }
/* Fills CRC and padding behind a node encoded at rec + 8; returns the length word, which the caller stores last. */
API uint32_t record_seal(uint8_t *rec, size_t node_bytes, bool more);
/* The same for the last one left of a commit of which `cut` nodes followed, 1 … RECORD_CUT_MAX. There is room for RECORD_CUT_BYTES behind record_size. */
API uint32_t record_seal_cut(uint8_t *rec, size_t node_bytes, uint32_t cut);
struct log_record {
    slice node;
    size_t size;  /* record_bytes */
    uint32_t cut; /* how many nodes of its commit followed and were dropped; 0 when `more` */
    bool more;    /* the next record belongs to its commit */
};
/* Checks the record at the start of `at`: E_OK; E_END for a zero word; E_CORRUPT. */
API int record_check(slice at, struct log_record *out) MUST_CHECK;

#endif
