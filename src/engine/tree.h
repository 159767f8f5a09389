/* The Merkle tree over seq order (RFC 9162, SHA-256) and the store of node hashes.
 *
 * Entry i (leaf seq-1) is the node's 32-byte BLAKE2b hash. Entries are kept for ever, also when a node is pruned. Files in DIR/tree: `entries`
 * (32 bytes a seq), and tiles `t1`, `t2`, … : entry k of t1 is the root of entries [256k, 256k+256), of t2 the root of 256 entries of t1, and so on; only whole ones.
 * `hNNNNNNNN`: for each whole block of 2^18 entries, the block's hashes sorted by their first 8 bytes with their place, with a filter and CRC, for look-up by hash;
 * rebuilt when missing or bad. The newest partial block is searched in memory.
 *
 * One appender (the indexer), any readers. Size at the last checkpoint and its root are in the manifest; what is newer is folded again after a crash
 * (tree_open cuts to that size and checks that root from the tiles).
 *
 * Every proof and every entry that is handed out has been checked against the root first: damage is E_CORRUPT, never a wrong proof. */
#ifndef VARVE_ENGINE_TREE_H
#define VARVE_ENGINE_TREE_H

#include "base/hash.h"
#include "base/os.h"

#define TREE_PATH_MAX 128 /* hashes in any proof */

struct tree;

struct tree_proof {
    uint8_t hash[TREE_PATH_MAX][HASH_BYTES];
    uint32_t n;
};

/* `dir` is the store's directory (DIR above; DIR/tree is made). `root` may be NULL when size is 0. Tiles that are missing or do not give the
 * root are built anew from the entries; E_CORRUPT when those do not give it either (or when read_only).
 * Read-only, what is appended stays in memory, and tree_sync is not called. */
int tree_open(struct os *os, const char *dir, uint64_t size, const uint8_t root[HASH_BYTES], bool read_only, struct tree **out) MUST_CHECK;
void tree_close(struct tree **t);
/* Appends n entries. Buffered: on disk at tree_sync. The first failed write or sync is sticky: every later append and sync returns it. */
int tree_append(struct tree *t, const uint8_t (*entries)[HASH_BYTES], size_t n) MUST_CHECK;
int tree_sync(struct tree *t) MUST_CHECK; /* entries and tiles so far are durable; beside appends, one caller at a time */
uint64_t tree_size(const struct tree *t);
/* Root of the first `size` entries (0 <= size <= tree_size): from tiles, O(log size) of them. */
int tree_root(struct tree *t, uint64_t size, uint8_t root[HASH_BYTES]) MUST_CHECK;
int tree_entry(struct tree *t, uint64_t index, uint8_t entry[HASH_BYTES]) MUST_CHECK; /* checked; E_INVALID unless index < tree_size */
/* n entries from `first` on as they are stored, not checked against the root: only for who compares them with hashes of nodes and asks tree_entry where they differ. */
int tree_entries_unchecked(struct tree *t, uint64_t first, size_t n, uint8_t (*out)[HASH_BYTES]) MUST_CHECK; /* E_INVALID beyond tree_size */
int tree_inclusion(struct tree *t, uint64_t index, uint64_t size, struct tree_proof *out) MUST_CHECK;   /* E_INVALID unless index < size <= tree_size */
int tree_consistency(struct tree *t, uint64_t from, uint64_t to, struct tree_proof *out) MUST_CHECK;    /* E_INVALID unless from <= to <= tree_size */
/* Looks a hash up by its first `digits` hex digits' worth of bits (8..64 digits). *index on E_OK; E_NOTFOUND; E_AMBIGUOUS. */
int tree_find(struct tree *t, const uint8_t *prefix, unsigned digits, uint64_t *index) MUST_CHECK;
int tree_background(struct tree *t) MUST_CHECK; /* checks or builds one due `h` file; E_AGAIN when none is due */
/* Checks every entry against every tile and the root. *bad = first index of the first tile of 256 that
 * cannot be verified (E_CORRUPT, E_IO). */
int tree_verify(struct tree *t, uint64_t *bad) MUST_CHECK;

/* The verifier's side: pure functions, shared with nothing above (the tool has its own). */
API bool tree_check_inclusion(const uint8_t entry[HASH_BYTES], uint64_t index, uint64_t size, const struct tree_proof *p, const uint8_t root[HASH_BYTES]);
API bool tree_check_consistency(uint64_t from, uint64_t to, const uint8_t from_root[HASH_BYTES], const uint8_t to_root[HASH_BYTES], const struct tree_proof *p);

#endif
