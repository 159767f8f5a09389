/* The tool's own reader of DIR/tree: the entries (node hashes by seq), the stored tile roots, and the look-up files. */
#ifndef VARVE_TOOL_TREE_FILE_H
#define VARVE_TOOL_TREE_FILE_H

#include "tool/digest.h"
#include "tool/file.h"
#include "tool/report.h"

struct tree_file {
    struct file near, far;  /* entries: in order, and here and there */
    uint64_t size;          /* entries that count */
    bool rooted;            /* they gave the manifest's root */
    struct buf newer;       /* hashes of nodes behind `size`, 33 bytes each: known, hash */
};

enum leaf_state {
    LEAF_OK,
    LEAF_UNKNOWN, /* behind the end, not yet seen, or cannot be read */
    LEAF_ZERO,    /* lost in an earlier repair */
};

/* Checks entries, tiles and look-up files. covers: how many entries the manifest stands for, with their root (NULL: the manifest is lost, and
 * what entries there are count). */
void tree_file_check(struct tree_file *t, const char *dir, uint64_t covers, const uint8_t *root, struct report *r);
enum leaf_state tree_file_leaf(struct tree_file *t, uint64_t seq, uint8_t out[DIGEST_BYTES]);
/* The hash of a node that the tree does not have yet. */
void tree_file_put(struct tree_file *t, uint64_t seq, const uint8_t hash[DIGEST_BYTES]);
void tree_file_fini(struct tree_file *t);

#endif
