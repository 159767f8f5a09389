/* The whole check of a store, as `varve verify` does it and `varve repair` before and after. */
#ifndef VARVE_TOOL_VERIFY_H
#define VARVE_TOOL_VERIFY_H

#include "tool/report.h"
#include "tool/store.h"
#include "tool/tree_file.h"

struct verify_sum {
    uint64_t segments, nodes, bytes; /* bytes: of records */
    uint64_t last;                   /* seq at the end of the newest whole commit */
    uint64_t dropped;                /* seqs that compaction took out */
    uint64_t runs, entries;          /* of the index */
    uint64_t tree_size;
};
void verify_store(struct store *s, struct report *r, struct verify_sum *sum);
/* The log's part: records, nodes, commits, seqs, sidecars. */
void verify_log(struct store *s, struct tree_file *t, struct report *r, struct verify_sum *sum);

#endif
