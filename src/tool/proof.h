/* Proofs of the log's Merkle tree, checked as RFC 9162 says (2.1.3.2 inclusion, 2.1.4.2 consistency), and their JSON form: the object that DPROVE replies,
 * or the flat array that a RESP2 client gets. */
#ifndef VARVE_TOOL_PROOF_H
#define VARVE_TOOL_PROOF_H

#include "base/buf.h"
#include "tool/digest.h"

#define PROOF_PATH_MAX 128

enum proof_kind { PROOF_INCLUSION, PROOF_CONSISTENCY };

struct proof {
    enum proof_kind kind;
    uint64_t index, size;                                   /* inclusion */
    uint8_t leaf[DIGEST_BYTES], root[DIGEST_BYTES];
    uint64_t from, to;                                      /* consistency */
    uint8_t from_root[DIGEST_BYTES], to_root[DIGEST_BYTES];
    uint8_t path[PROOF_PATH_MAX][DIGEST_BYTES];
    unsigned n_path;
    bool has_node;
    slice node; /* the JSON string's inside, escapes and all; borrowed from the text */
};

/* NULL, or what is wrong with the text. White space around it is allowed. */
const char *proof_read(slice json, struct proof *out);
/* NULL when the path leads to the root(s), else the step that fails. */
const char *proof_check(const struct proof *p);
/* Is the node inside the JSON the one whose hash the leaf is made of? *node is filled with its bytes then. A client may have written bytes that are
 * no text in one of three ways: as they are, as \u00xx or its UTF-8, or as \xhh. */
bool proof_node(const struct proof *p, struct buf *node);
/* Does this node's BLAKE2b-256 give the leaf? */
bool proof_leaf_is(const struct proof *p, slice node);

#endif
