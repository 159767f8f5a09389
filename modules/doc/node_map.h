/* Node maps as bytes of the protocol: how a version is shown, written in one pass into a buffer. Rows of long replies are gathered so, over several turns.
 * Field order is part of the contract; new fields go to the end. */
#ifndef VARVE_MODULES_DOC_NODE_MAP_H
#define VARVE_MODULES_DOC_NODE_MAP_H

#include "modules/doc/doc.h"

#define NODE_MAP_NO_DEPTH UINT32_MAX

/* Rows of an array, in the making. Zero-initialise. A row, or a field of it, that could not be read is an error in its place: it is never left out. */
struct node_maps {
    struct reply_pile *pile; /* NULL before the first row */
    size_t n;                /* rows, those that wait included */
    bool with_data;
    struct doc_view view; /* a row's buffer for callers of node_maps_add_view, used again for the next */
    struct node_maps_queue *queue; /* rows that wait */
};

/* Adds the row of a node. It waits to be finished together with those that follow (doc_views_finish). depth: shown before the node's fields unless NODE_MAP_NO_DEPTH. */
void node_maps_add(struct call *c, struct node_maps *m, uint64_t seq, uint32_t depth);
/* The same, and shows what was read (doc_view_read), which stays till the next row is added. A failure is the row; *v is set to NULL then. */
int node_maps_read(struct call *c, struct node_maps *m, uint64_t seq, uint32_t depth, const struct doc_view **v);
/* The same for a node at hand; v is loaded (doc_view_load, or filled by the caller). */
void node_maps_add_view(struct call *c, struct node_maps *m, const struct doc_view *v, uint32_t depth);
/* A row that is an error. */
void node_maps_add_failure(struct call *c, struct node_maps *m, int code);
/* A row that another file encodes: bytes go behind what is there. The buffer is good till the next row. */
struct buf *node_maps_row(struct call *c, struct node_maps *m);
/* Forgets the rows. */
void node_maps_clear(struct node_maps *m);
/* The rows, one after the other; the caller has begun the array. None are left. */
void node_maps_reply(struct call *c, struct node_maps *m);
void node_maps_fini(struct node_maps *m);

/* Appends one map; *data = NULL: nil. */
void node_map_encode(struct buf *out, int resp, const struct doc_view *v, const slice *data, uint32_t depth);
/* The reply that is one map. data_code: E_OK; E_NOTFOUND: nil; another is an error in the place of the data. */
void node_map_reply(struct call *c, const struct doc_view *v, const slice *data, int data_code);
/* Elements of rows that other files encode. */
void node_map_add_header(struct buf *out, int resp, size_t pairs);
void node_map_add_bulk(struct buf *out, slice s);
void node_map_add_int(struct buf *out, int64_t v);
void node_map_add_null(struct buf *out, int resp);
void node_map_add_hash(struct buf *out, const uint8_t hash[HASH_BYTES]);
/* What a link's node is called in a map: "from rel to", with a backslash before each space and backslash of the three. */
void node_map_link_name(struct buf *out, slice from, slice rel, slice to);
#endif
