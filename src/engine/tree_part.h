/* Inside of the tree files: the store, verified tiles, and the view that a query reads through. Nobody else includes this. */
#ifndef VARVE_ENGINE_TREE_PART_H
#define VARVE_ENGINE_TREE_PART_H

#include "base/thread.h"
#include "engine/tree.h"

#include <stdatomic.h>

#define TREE_TILE_BITS 8
#define TREE_TILE (1u << TREE_TILE_BITS)
#define TREE_LEVELS 8         /* of stored hashes: 256^8 entries are all that a seq can count */
#define TREE_CHUNK 2048       /* hashes written at once: 64 KiB */
#define TREE_CACHE_TILES 64   /* verified tiles kept, 24 KiB each */
#define TREE_BLOCK_BITS 18    /* entries of one h file */
#define TREE_RECENT_MAX 8     /* whole blocks without h file whose hashes are still in memory */
#define TREE_OPEN_MAX 512     /* h files held open */

/* Locks, in the order they are taken. */
enum tree_rank {
    TREE_RANK_BUILD = RANK_TREE,     /* one builder of h files at a time */
    TREE_RANK_FIND = RANK_TREE + 1,  /* checking h files and loading the newest block */
    TREE_RANK_WRITER = RANK_TREE + 2,/* append, flush */
    TREE_RANK_META = RANK_TREE + 3,  /* what readers see; held for copies only */
};

/* One file of hashes: level 0 is `entries`, level q holds the roots of 256^q entries. */
struct tree_level {
    struct os_file *file;            /* NULL until the first write; set under meta */
    uint64_t written;                /* hashes in the file; changed under meta */
    uint8_t (*pending)[HASH_BYTES];  /* TREE_CHUNK hashes behind `written`; NULL until needed; set under meta */
    uint64_t filled;                 /* written + pending, published or not; writer */
    bool dirty;                      /* written since the last sync; writer */
};

/* Hashes' first 8 bytes of one block, for look-up before its h file exists. Elements below `from` are filled by the
 * first search, those from there on by the appender; a reader looks at those below the published size only. */
struct tree_recent {
    _Atomic unsigned refs;
    uint64_t block;
    uint64_t from;                   /* under meta; 0 = whole */
    struct tree_recent *older;       /* under meta */
    uint64_t prefix[];
};

enum tree_block_state { BLOCK_UNKNOWN, BLOCK_GOOD, BLOCK_BAD };
struct tree_block {
    struct os_file *file;            /* of a good h file; NULL when too many are open */
    enum tree_block_state state;     /* bad: missing or wrong, until the background has built it */
};

/* A verified tile and the subtree above it. */
struct tree_tile {
    _Atomic unsigned refs;
    unsigned level;
    unsigned n;                      /* hashes in it; 256 unless it is at the right edge */
    uint64_t index;
    uint8_t entry[TREE_TILE][HASH_BYTES];        /* as stored */
    uint8_t node[2 * TREE_TILE - 1][HASH_BYTES]; /* row 0: 256 (leaf hashes at level 0), row 1: 128, … row 8: the root */
};

struct tree {
    struct os *os;
    char *dir;                       /* DIR/tree */
    bool read_only;
    unsigned block_bits;
    struct mutex build, find, writer, meta;

    uint64_t work_size;                      /* writer: appended, not yet published */
    uint8_t work_peak[64][HASH_BYTES];       /* writer */
    struct tree_recent *work_recent;         /* writer: where new hashes are noted; holds a reference */
    bool dir_dirty;                          /* writer: a file was made since the last sync */
    _Atomic int failed;                      /* sticky: the first failed write or sync */
    struct tree_level level[TREE_LEVELS];

    _Atomic uint64_t size;                   /* published; changed under meta */
    uint8_t peak[64][HASH_BYTES];            /* meta: peak[l] = root of the whole subtree of 2^l entries, for the bits set in size */
    struct tree_tile *cache[TREE_CACHE_TILES]; /* meta */
    struct tree_recent *recent;              /* meta: newest block first; NULL while empty */
    struct tree_block *blocks;               /* meta */
    uint64_t n_blocks;                       /* meta: allocated */
    uint64_t n_open;                         /* meta: h files held */
    uint64_t due;                            /* build: blocks below have good h files */
};

/* ---- tree.c ---- */
/* Copies n published hashes of a level from `first` on. Not verified. */
int tree_read(struct tree *t, unsigned level, uint64_t first, size_t n, uint8_t (*out)[HASH_BYTES]) MUST_CHECK;
/* Path of a file in the tree's directory into `out`, with a NUL. */
const char *tree_path(const struct tree *t, const char *name, struct buf *out);
/* The value by which hashes are ordered in h files: their first 8 bytes, big-endian. */
uint64_t tree_prefix(const uint8_t hash[HASH_BYTES]);
/* Tests: smaller blocks (8..18 bits). Only on a tree that was just opened. */
void tree_set_block_bits(struct tree *t, unsigned bits);

/* ---- tree_tile.c: what a query has in its hands ---- */
struct tree_view {
    struct tree *t;
    bool fresh;                              /* read from disk, pass the cache by */
    struct tree_tile *held[TREE_LEVELS];     /* the last tile used of each level */
};
void tree_view_fini(struct tree_view *v);
/* The tile `index` of a level, verified up to the peaks in memory. Borrowed until the next call for that level. */
int tree_view_tile(struct tree_view *v, unsigned level, uint64_t index, const struct tree_tile **out) MUST_CHECK;
/* Root of the whole subtree of 2^height entries that is the index-th of its height. */
int tree_view_node(struct tree_view *v, unsigned height, uint64_t index, uint8_t out[HASH_BYTES]) MUST_CHECK;
/* MTH of n > 0 entries from `first` on, as RFC 9162's recursion splits them (first is aligned as there). */
int tree_view_root(struct tree_view *v, uint64_t first, uint64_t n, uint8_t out[HASH_BYTES]) MUST_CHECK;
void tree_cache_drop(struct tree *t);
/* Index in node[] where a row begins. */
static inline size_t tree_row(unsigned row) { return 2 * TREE_TILE - (2 * TREE_TILE >> row); }

/* ---- tree_find.c ---- */
/* Writer: notes the hash of entry `index`, before it is published. */
void tree_recent_note(struct tree *t, uint64_t index, const uint8_t hash[HASH_BYTES]);
void tree_find_fini(struct tree *t);

#endif
