/* JSON as a tree of pieces, to be changed: what a change does not touch keeps its bytes.
 *
 * A piece is the raw text of a value until somebody looks inside; then it is a container whose children are pieces. Written out, a child that was there
 * before brings the very bytes that led to it (comma, name, colon, white space); only new children get bytes made here.
 *
 * Everything lies in one arena that lives as long as the tree. Texts given in must outlive it, and must have passed json_check.
 * Work is counted, so that a patch cannot hold up a loop: see patch_spend. Not thread-safe. */
#ifndef VARVE_MODULES_DOC_PATCH_TREE_H
#define VARVE_MODULES_DOC_PATCH_TREE_H

#include "module.h"

#define PATCH_WORK_MAX    (1ull << 26) /* bytes read, places moved, names compared by one patch; eight times the document on top */
#define PATCH_CHILD_WORK  64           /* what a child that is opened counts */
#define PATCH_FIRST_BYTES 4096         /* of the arena, on the caller's stack */
#define PATCH_DEPTH_MAX   (JSON_DEPTH_MAX + 1) /* levels of containers that are opened: pointers are not longer */

enum patch_kind { PATCH_RAW, PATCH_ARRAY, PATCH_OBJECT };
struct patch_piece;
struct patch_child {
    slice lead;                /* bytes between the value before and this one; p NULL: made here */
    slice name;                /* unescaped; empty in arrays */
    struct patch_piece *value; /* NULL: removed (objects only) */
};
struct patch_piece {
    enum patch_kind kind;
    slice raw;  /* PATCH_RAW: the text */
    slice tail; /* containers: from behind the last value to the closing bracket */
    struct patch_child
        *child; /* by patch_child_at: room for more lies in a gap where the last change was, so that changes in a row are cheap */
    size_t n, cap, gap;
    uint32_t *slot; /* large objects: place in child + 1 by hash of the name; 0 = free */
    size_t n_slots;
};
struct patch_tree {
    struct patch_piece *root;
    uint64_t work, work_max;
    size_t bytes_added; /* by the texts put in, without the document */
    uint8_t *at, *end;
    struct patch_block *blocks;
    uint8_t first[PATCH_FIRST_BYTES];
};

static inline struct patch_child *patch_child_at(const struct patch_piece *p, size_t i)
{
    ASSERT(i < p->n);
    return &p->child[i < p->gap ? i : i + (p->cap - p->n)];
}

void patch_tree_init(struct patch_tree *t, slice json);
void patch_tree_fini(struct patch_tree *t);
/* Counts work; false: the budget is used up. */
bool patch_spend(struct patch_tree *t, uint64_t work);
struct patch_piece *patch_raw(struct patch_tree *t, slice json);
/* Unescaped bytes of the inside of a JSON string: borrowed when there is nothing to unescape. */
slice patch_text(struct patch_tree *t, slice inside);
slice patch_keep(struct patch_tree *t, slice bytes); /* a copy in the arena */
/* Opens a piece; false: it is no container. Where the budget ends before it is whole, the tree is of no more use. */
bool patch_open(struct patch_tree *t, struct patch_piece *p);
/* The member of that (unescaped) name, NULL when there is none. Valid until a child is added. The piece must be open. */
struct patch_child *patch_member(struct patch_tree *t, struct patch_piece *object, slice name);
void patch_add_member(struct patch_tree *t, struct patch_piece *object, slice name,
                      struct patch_piece *value); /* the name is not there yet */
void patch_insert(struct patch_tree *t, struct patch_piece *array, size_t at, struct patch_piece *value); /* at <= n */
void patch_remove_at(struct patch_tree *t, struct patch_piece *array, size_t at);
/* The text of a piece: its own, or written into the arena. */
slice patch_flatten(struct patch_tree *t, const struct patch_piece *p);
void patch_write(const struct patch_piece *p, struct buf *out);

#endif
