/* The manifest: the one small file that says what the store consists of. src/docs/format-manifest.md describes its bytes.
 *
 * Replaced as a whole (temporary file, sync, rename, directory sync), so it is always either the old one or the new one. What it
 * names must be on disk before it is written; what it no longer names may be deleted after. */
#ifndef VARVE_ENGINE_MANIFEST_H
#define VARVE_ENGINE_MANIFEST_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/os.h"
#include "engine/index.h"
#include "engine/seglog.h"

#define MANIFEST_NAME         "MANIFEST"
#define MANIFEST_VERSION      1
#define MANIFEST_ID_BYTES     16
#define MANIFEST_SEGMENTS_MAX (1u << 20)
#define MANIFEST_RUNS_MAX     (1u << 16)
#define MANIFEST_BYTES_MAX    (256u << 20)

struct manifest {
    uint8_t store_id[MANIFEST_ID_BYTES];
    struct hash_seed seed;
    bool clean;         /* written by an orderly stop, when all was folded */
    bool forget_due;    /* nodes were dropped that the index still names */
    uint64_t covers;    /* the books and the tree are as of this seq */
    uint64_t floor;     /* the log was on disk up to here: a shorter one is damaged */
    uint64_t newest_ms; /* largest time in the log then */
    uint64_t horizon;
    uint64_t created_ms;      /* of the store */
    uint64_t number;          /* counts manifests */
    uint64_t first_unlisted;  /* a segment from this seq on is younger than the list */
    uint8_t root[HASH_BYTES]; /* of the first `covers` entries of the tree */
    struct seg_id *segments;  /* ascending; owned */
    size_t n_segments;
    struct run_id *runs; /* owned */
    size_t n_runs;
    struct buf books; /* fold_save */
};

void manifest_fini(struct manifest *m);                          /* leaves it zeroed */
void manifest_encode(const struct manifest *m, struct buf *out); /* replaces out */
/* Checks everything. E_CORRUPT, E_VERSION. *out is written only on success; the caller releases it. */
int manifest_decode(slice bytes, struct manifest *out) MUST_CHECK;
int manifest_read(struct os *os, const char *dir, struct manifest *out) MUST_CHECK; /* E_NOTFOUND when there is none */
int manifest_write(struct os *os, const char *dir, struct manifest *m) MUST_CHECK;  /* counts `number` up */

#endif
