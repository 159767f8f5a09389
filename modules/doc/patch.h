/* Patches of JSON texts: merge patches (RFC 7396), operations (RFC 6902 with the pointers of RFC 6901), and the way from one text to another. */
#ifndef VARVE_MODULES_DOC_PATCH_H
#define VARVE_MODULES_DOC_PATCH_H

#include "modules/doc/patch_tree.h"

extern const char *const patch_too_much; /* why: the budget is used up */

/* Where a pointer leads. */
struct patch_place {
    struct patch_piece *parent; /* NULL: the whole document */
    struct patch_piece **value; /* NULL: nothing is there yet (add only) */
    slice name;                 /* last token, parent an object */
    size_t index;               /* parent an array; n = behind the last */
};
/* Follows a pointer (unescaped text). `add`: the last token may name what is not there yet. NULL, or why it leads nowhere (static text). */
const char *patch_locate(struct patch_tree *t, slice pointer, bool add, struct patch_place *out) MUST_CHECK;
/* Appends one pointer token, escaped as in RFC 6901: "/" and the name. */
void patch_pointer_add(struct buf *pointer, slice name);

/* Applies an array of operations (checked text). NULL, or why not; then *op is the operation's place from 0. The tree may be half changed. */
const char *patch_ops(struct patch_tree *t, slice ops, size_t bytes_max, size_t *op) MUST_CHECK;
/* Applies a merge patch (checked text). NULL, or why not. */
const char *patch_merge(struct patch_tree *t, slice patch, size_t bytes_max) MUST_CHECK;

/* Appends operations that make `to` of `from`: a JSON array; nothing is appended when they are equal (json_compare). */
void patch_diff_ops(slice from, slice to, struct buf *out);
/* Appends a merge patch that makes `to` of `from`; nothing when they are equal. False: none can, *pointer is the null that it would lose. */
bool patch_diff_merge(slice from, slice to, struct buf *out, struct buf *pointer) MUST_CHECK;

#endif
