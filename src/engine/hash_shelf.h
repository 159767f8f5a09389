/* Hashes of the newest nodes, left by their writers for the indexer, which then need not compute them again.
 *
 * A fixed table indexed by the low bits of seq: a newer hash takes the place of an older one, and whoever comes too late computes. What is taken is right or
 * nothing: each place holds the hash and a check word over hash and seq, so that a place being overwritten, or written by two at once, or
 * never written, does not pass for one (but for one chance in 2^64, as the words of a digest are random). So both sides are free of locks and order.
 *
 * Only hashes of nodes that are certain to be in the log with these bytes, or not at all, may be put here: never those of an open batch. */
#ifndef VARVE_ENGINE_HASH_SHELF_H
#define VARVE_ENGINE_HASH_SHELF_H

#include "base/hash.h"

/* A power of two. As many as are written while the indexer waits for a processor on a busy machine: what it finds no more here it computes. */
#define HASH_SHELF_PLACES 32768u

struct hash_shelf;

struct hash_shelf *hash_shelf_new(void);
void hash_shelf_free(struct hash_shelf **s);
/* Any thread. seq > 0. */
void hash_shelf_put(struct hash_shelf *s, uint64_t seq, const uint8_t hash[HASH_BYTES]);
/* Any thread. False: not here; *out is then not touched. */
bool hash_shelf_take(const struct hash_shelf *s, uint64_t seq, uint8_t out[HASH_BYTES]);

#endif
