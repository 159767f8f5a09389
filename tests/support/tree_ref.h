/* The Merkle tree straight from the definitions of RFC 9162 section 2.1, recursive, to compare with. Roots of whole aligned subtrees are remembered,
 * nothing else. Entry i is the SHA-256 of i and a salt. */
#ifndef VARVE_TESTS_TREE_REF_H
#define VARVE_TESTS_TREE_REF_H

#include "base/codec.h"
#include "base/mem.h"
#include "engine/tree.h"

#include <stdlib.h>

struct ref {
    uint64_t n;
    uint8_t (*entry)[HASH_BYTES];
    uint8_t (*known[40])[HASH_BYTES]; /* by height */
    bool *is_known[40];
};

static inline void ref_entry(uint64_t i, uint8_t out[HASH_BYTES])
{
    uint8_t m[16] = "salt of";
    put_u64(m + 8, i);
    sha256(out, m, sizeof m);
}

static inline void ref_init(struct ref *r, uint64_t n)
{
    *r = (struct ref){.n = n, .entry = calloc(n + 1, HASH_BYTES)};
    for (uint64_t i = 0; i < n; i++) ref_entry(i, r->entry[i]);
    for (unsigned h = 0; n >> h; h++) {
        r->known[h] = calloc(n >> h, HASH_BYTES);
        r->is_known[h] = calloc(n >> h, 1);
    }
}

static inline void ref_fini(struct ref *r)
{
    free(r->entry);
    for (unsigned h = 0; h < 40; h++) free(r->known[h]), free(r->is_known[h]);
}

/* MTH(D[first:first+n]) */
static inline void ref_mth(struct ref *r, uint64_t first, uint64_t n, uint8_t out[HASH_BYTES])
{
    if (n == 0) {
        sha256(out, "", 0);
        return;
    }
    unsigned h = (unsigned)__builtin_ctzll(n);
    bool whole = (n & (n - 1)) == 0 && first % n == 0;
    if (whole && r->is_known[h][first >> h]) {
        memcpy(out, r->known[h][first >> h], HASH_BYTES);
        return;
    }
    if (n == 1) {
        uint8_t m[1 + HASH_BYTES] = {0};
        memcpy(m + 1, r->entry[first], HASH_BYTES);
        sha256(out, m, sizeof m);
    } else {
        uint64_t k = 1;
        while (k * 2 < n) k *= 2;
        uint8_t m[1 + 2 * HASH_BYTES] = {1};
        ref_mth(r, first, k, m + 1);
        ref_mth(r, first + k, n - k, m + 1 + HASH_BYTES);
        sha256(out, m, sizeof m);
    }
    if (whole) memcpy(r->known[h][first >> h], out, HASH_BYTES), r->is_known[h][first >> h] = true;
}

/* PATH(m, D[first:first+n]) */
static inline void ref_path(struct ref *r, uint64_t m, uint64_t first, uint64_t n, struct tree_proof *p)
{
    if (n == 1) return;
    uint64_t k = 1;
    while (k * 2 < n) k *= 2;
    if (m < k) {
        ref_path(r, m, first, k, p);
        ref_mth(r, first + k, n - k, p->hash[p->n++]);
    } else {
        ref_path(r, m - k, first + k, n - k, p);
        ref_mth(r, first, k, p->hash[p->n++]);
    }
}

/* SUBPROOF(m, D[first:first+n], b) */
static inline void ref_subproof(struct ref *r, uint64_t m, uint64_t first, uint64_t n, bool b, struct tree_proof *p)
{
    if (m == n) {
        if (!b) ref_mth(r, first, n, p->hash[p->n++]);
        return;
    }
    uint64_t k = 1;
    while (k * 2 < n) k *= 2;
    if (m <= k) {
        ref_subproof(r, m, first, k, b, p);
        ref_mth(r, first + k, n - k, p->hash[p->n++]);
    } else {
        ref_subproof(r, m - k, first + k, n - k, false, p);
        ref_mth(r, first, k, p->hash[p->n++]);
    }
}

static inline bool ref_same(const struct tree_proof *a, const struct tree_proof *b)
{
    return a->n == b->n && memcmp(a->hash, b->hash, a->n * HASH_BYTES) == 0;
}

/* Flips a bit of a file, as decay would. */
static inline int ref_flip(struct os *os, const char *path, uint64_t off, unsigned bit)
{
    struct os_file *f = NULL;
    uint8_t c;
    int r = os_open(os, path, OS_WRITE, &f);
    if (r == E_OK) r = os_read_full(os, f, off, &c, 1);
    c ^= (uint8_t)(1u << bit);
    if (r == E_OK) r = os_write(os, f, off, &c, 1);
    os_close(os, &f);
    return r;
}

#endif
