/* A run: an immutable sorted file of entries. Format: src/docs/format-index.md. All of its bytes are encoded in index_write.c and decoded in index_run.c.
 *
 * Block index and filter are in memory, data blocks are read on demand. A block's checksum is checked when it is first read and remembered.
 *
 * Threads: a run is immutable and counted by atomic references; a cursor belongs to one thread and borrows the run. */
#ifndef VARVE_ENGINE_INDEX_RUN_H
#define VARVE_ENGINE_INDEX_RUN_H

#include "base/codec.h"
#include "base/os.h"
#include "engine/index.h"
#include "engine/index_filter.h"
#include <stdatomic.h>

#define RUN_MAGIC "VARVERUN"
#define RUN_FOOTER_MAGIC "VARVEEND"
#define RUN_VERSION 1u
#define RUN_HEADER_BYTES 32u
#define RUN_FOOTER_BYTES 128u
#define RUN_BLOCK_BYTES 1024u /* a block is closed once its entries reach this */
#define RUN_BLOCK_SPACE 2560u /* nearly every block fits in this, those of 2 KiB that were written once as well */
#define RUN_GROUP 16u         /* entries from one restart to the next */
#define RUN_ENTRY_HEAD_MAX 20u
#define RUN_BLOCK_MAX (RUN_BLOCK_BYTES + INDEX_KEY_MAX + INDEX_VALUE_MAX + 64u * 1024u)
#define RUN_PATH_MAX 1024u
#define RUN_FILTERED_FIRST 'C' /* the letters that the footer has room for: C to Z */
#define RUN_FILTERED_LETTERS 24u

/* The bit of a key's first byte in index_run.filtered; 0 when it has none. */
static inline uint32_t run_filtered_bit(slice key)
{
    unsigned i = key.n ? (unsigned)key.p[0] - RUN_FILTERED_FIRST : RUN_FILTERED_LETTERS;
    return i < RUN_FILTERED_LETTERS ? 1u << i : 0;
}

/* How many leading bytes of a and b are equal; both have max bytes. */
static inline size_t run_agreeing(const uint8_t *a, const uint8_t *b, size_t max)
{
    size_t n = 0;
    for (; n + 8 <= max; n += 8) {
        uint64_t x = get_u64(a + n) ^ get_u64(b + n);
        if (x) return n + (unsigned)__builtin_ctzll(x) / 8;
    }
    while (n < max && a[n] == b[n]) n++;
    return n;
}

/* Where a block is in the file and its fence in `fences`: the sum of what stands here for the block and for its span. */
#define RUN_SPAN 32u /* blocks */
struct run_span {
    uint64_t off, fence;
};
struct run_place {
    uint32_t off, fence;
};

struct index_run {
    atomic_uint refs;
    atomic_bool retired; /* remove the file with the last reference */
    struct os *os;
    struct os_file *file;
    char *path;
    uint64_t id, bytes, entries, tombstones, covers, filter_keys;
    uint8_t level;
    uint32_t filtered; /* bit i: every live entry whose key begins with RUN_FILTERED_FIRST + i has its prefix in the filter */
    uint64_t n_blocks;
    uint64_t *last_prefix;   /* of every block's last key: what the search runs over */
    struct run_place *place; /* of every block; one more for where they end */
    struct run_span *span;
    uint8_t *fences; /* of every block: a varint, 2 * length + (1: it is the whole last key), and so many bytes of its last key */
    uint64_t fences_n, index_n; /* bytes; of the block index section in the file */
    uint8_t *bounds; /* the bounds section; slices below point into it */
    slice smallest, largest, tombstone_smallest, tombstone_largest;
    struct index_filter filter;
    atomic_uint_fast64_t *verified; /* a bit a block */
};

void index_run_path(char out[RUN_PATH_MAX], const char *dir, uint64_t id);
/* Opens and checks everything but the data blocks. E_CORRUPT also when the file is missing or is not `want` (id, size, entries). */
int index_run_open(struct os *os, const char *dir, const struct run_id *want, struct index_run **out) MUST_CHECK;
void index_run_hold(struct index_run *r);
void index_run_drop(struct index_run *r);
size_t index_run_memory(const struct index_run *r);
/* Number of the block that holds the first entry >= key, or, seldom, of the one before, all of which is below; n_blocks: no entry is >= key.
 * Never higher for a lower key. */
uint64_t index_run_block_of(const struct index_run *r, slice key);
/* Where the block begins in the file; no <= n_blocks: block no - 1 ends there. */
static inline uint64_t index_run_block_off(const struct index_run *r, uint64_t no) { return r->span[no / RUN_SPAN].off + r->place[no].off; }
/* Could a tombstone hide `key`, as far as the run's bounds tell? */
bool index_run_may_hide(const struct index_run *r, slice key);
/* Could the run have anything to say about keys in [lower, upper) (empty upper: to the end), which all begin with `prefix`, the filter prefix of such entries
 * (empty: no filter), whose hash is given? */
bool index_run_may_have(const struct index_run *r, slice lower, slice upper, slice prefix, uint64_t hash);
/* Reads everything and checks order, counts, bounds and filter. Notes the first damage and says where. */
int index_run_verify(struct index_run *r, char *where, size_t where_n) MUST_CHECK;

/* ---- cursor ---- */
struct run_entry {
    uint32_t key_at, key_n; /* in the cursor's keys */
    slice value;
    uint32_t filter_n;
    bool tombstone;
};

/* Stands on one entry or nowhere. Large (about 9 KiB); no need to clear it: init sets what counts. */
struct run_cursor {
    struct index_run *run;
    uint64_t block_no; /* the block in memory; UINT64_MAX: none */
    bool on;
    const uint8_t *restarts;
    uint32_t n_groups, entries_end, group, group_end, next_at;
    uint32_t decoded, at; /* entries of the group known so far, and the current one */
    uint32_t passed;      /* entries before this one were passed over by a seek and are not in `entry` */
    uint8_t *block;
    uint8_t *keys;
    size_t block_cap, keys_cap, keys_n;
    struct run_entry entry[RUN_GROUP];
    uint8_t block_space[RUN_BLOCK_SPACE];
    uint8_t keys_space[2048];
};

void run_cursor_init(struct run_cursor *c, struct index_run *r);
void run_cursor_fini(struct run_cursor *c);
/* All return E_OK (standing on an entry), E_END, E_CORRUPT or E_IO; the last three leave the cursor nowhere. A key to seek lies outside the cursor. */
int run_cursor_seek(struct run_cursor *c, slice key) MUST_CHECK;        /* first entry >= key */
int run_cursor_seek_before(struct run_cursor *c, slice key) MUST_CHECK; /* last entry < key */
int run_cursor_first(struct run_cursor *c) MUST_CHECK;
int run_cursor_last(struct run_cursor *c) MUST_CHECK;
int run_cursor_next(struct run_cursor *c) MUST_CHECK;
int run_cursor_prev(struct run_cursor *c) MUST_CHECK;
static inline const struct run_entry *run_cursor_entry(const struct run_cursor *c) { return &c->entry[c->at]; }
static inline slice run_cursor_key(const struct run_cursor *c)
{
    return slice_of(c->keys + c->entry[c->at].key_at, c->entry[c->at].key_n);
}

/* ---- writing ---- */
struct run_writer;
/* filter_keys: at most this many different filter prefixes will come. */
int run_writer_open(struct os *os, const char *dir, uint64_t id, uint8_t level, uint64_t filter_keys, struct run_writer **out) MUST_CHECK;
/* Keys strictly ascending. */
int run_writer_add(struct run_writer *w, slice key, slice value, size_t filter_n, bool tombstone) MUST_CHECK;
/* Writes the rest, syncs file and directory, opens the run for reading. The writer is released; on failure its file is removed. */
int run_writer_finish(struct run_writer **w, uint64_t covers, struct index_run **out) MUST_CHECK;
void run_writer_abort(struct run_writer **w);

#endif
