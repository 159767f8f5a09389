/* Roots and proofs as RFC 9162 section 2.1 defines them, and the verifier's algorithms.
 *
 * The proofs are built from verified tiles; before one is given out, the verifier runs on it, so a mistake here or a byte that turned in memory is
 * E_CORRUPT for the caller and never a proof that fails elsewhere. */
#include "engine/tree_part.h"

/* Largest power of two below n; n > 1. */
static uint64_t split(uint64_t n) { return 1ull << (63 - __builtin_clzll(n - 1)); }

static int root_in(struct tree_view *v, uint64_t size, uint8_t root[HASH_BYTES])
{
    if (size > 0) return tree_view_root(v, 0, size, root);
    sha256(root, "", 0);
    return E_OK;
}

/* Appends MTH of n entries from `first` on. */
static int proof_add(struct tree_view *v, struct tree_proof *p, uint64_t first, uint64_t n)
{
    ASSERT(p->n < TREE_PATH_MAX);
    return tree_view_root(v, first, n, p->hash[p->n++]);
}

static void proof_reverse(struct tree_proof *p)
{
    for (uint32_t i = 0; i < p->n / 2; i++) {
        uint8_t h[HASH_BYTES];
        memcpy(h, p->hash[i], HASH_BYTES);
        memcpy(p->hash[i], p->hash[p->n - 1 - i], HASH_BYTES);
        memcpy(p->hash[p->n - 1 - i], h, HASH_BYTES);
    }
}

/* PATH of section 2.1.3.1, walked from the root down; the definition lists it from the leaf up. */
static int build_inclusion(struct tree_view *v, uint64_t index, uint64_t size, struct tree_proof *p)
{
    uint64_t first = 0;
    p->n = 0;
    while (size > 1) {
        uint64_t k = split(size);
        bool right = index - first >= k;
        int r = right ? proof_add(v, p, first, k) : proof_add(v, p, first + k, size - k);
        if (r) return r;
        first += right ? k : 0;
        size = right ? size - k : k;
    }
    proof_reverse(p);
    return E_OK;
}

/* SUBPROOF of section 2.1.4.1, from the root down. `known`: the old root itself needs no mention. */
static int build_consistency(struct tree_view *v, uint64_t from, uint64_t to, struct tree_proof *p)
{
    uint64_t first = 0;
    bool known = true;
    p->n = 0;
    if (from == 0 || from == to) return E_OK;
    while (from != to) {
        uint64_t k = split(to);
        bool right = from > k;
        int r = right ? proof_add(v, p, first, k) : proof_add(v, p, first + k, to - k);
        if (r) return r;
        first += right ? k : 0;
        from -= right ? k : 0;
        to = right ? to - k : k;
        known = known && !right;
    }
    if (!known) {
        int r = proof_add(v, p, first, to);
        if (r) return r;
    }
    proof_reverse(p);
    return E_OK;
}

int tree_root(struct tree *t, uint64_t size, uint8_t root[HASH_BYTES])
{
    ASSERT(t && root);
    if (size > tree_size(t)) return E_INVALID;
    struct tree_view v = {.t = t};
    uint8_t got[HASH_BYTES];
    int r = root_in(&v, size, got);
    tree_view_fini(&v);
    if (r == E_OK) memcpy(root, got, HASH_BYTES);
    return r;
}

static int entry_in(struct tree_view *v, uint64_t index, uint8_t entry[HASH_BYTES])
{
    const struct tree_tile *tile;
    int r = tree_view_tile(v, 0, index / TREE_TILE, &tile);
    if (r == E_OK) memcpy(entry, tile->entry[index % TREE_TILE], HASH_BYTES);
    return r;
}

int tree_entry(struct tree *t, uint64_t index, uint8_t entry[HASH_BYTES])
{
    ASSERT(t && entry);
    if (index >= tree_size(t)) return E_INVALID;
    struct tree_view v = {.t = t};
    int r = entry_in(&v, index, entry);
    tree_view_fini(&v);
    return r;
}

int tree_inclusion(struct tree *t, uint64_t index, uint64_t size, struct tree_proof *out)
{
    ASSERT(t && out);
    if (index >= size || size > tree_size(t)) return E_INVALID;
    struct tree_view v = {.t = t};
    struct tree_proof p;
    uint8_t entry[HASH_BYTES], root[HASH_BYTES];
    int r = entry_in(&v, index, entry);
    if (r == E_OK) r = root_in(&v, size, root);
    if (r == E_OK) r = build_inclusion(&v, index, size, &p);
    if (r == E_OK && !tree_check_inclusion(entry, index, size, &p, root))
        r = err_note(E_CORRUPT, "tree %s: inclusion of %llu in %llu fails its own check", t->dir, (unsigned long long)index, (unsigned long long)size);
    tree_view_fini(&v);
    if (r == E_OK) *out = p;
    return r;
}

int tree_consistency(struct tree *t, uint64_t from, uint64_t to, struct tree_proof *out)
{
    ASSERT(t && out);
    if (from > to || to > tree_size(t)) return E_INVALID;
    struct tree_view v = {.t = t};
    struct tree_proof p;
    uint8_t from_root[HASH_BYTES], to_root[HASH_BYTES];
    int r = root_in(&v, from, from_root);
    if (r == E_OK) r = root_in(&v, to, to_root);
    if (r == E_OK) r = build_consistency(&v, from, to, &p);
    if (r == E_OK && !tree_check_consistency(from, to, from_root, to_root, &p))
        r = err_note(E_CORRUPT, "tree %s: consistency of %llu with %llu fails its own check", t->dir, (unsigned long long)from, (unsigned long long)to);
    tree_view_fini(&v);
    if (r == E_OK) *out = p;
    return r;
}

int tree_verify(struct tree *t, uint64_t *bad)
{
    ASSERT(t && bad);
    uint64_t size = tree_size(t);
    struct tree_view v = {.t = t, .fresh = true}; /* what the cache has was read at another time */
    int r = E_OK;
    for (uint64_t i = 0; i < size && r == E_OK; i += TREE_TILE) {
        const struct tree_tile *tile;
        r = tree_view_tile(&v, 0, i / TREE_TILE, &tile);
        if (r) *bad = i;
    }
    tree_view_fini(&v);
    return r;
}

/* ---- the verifier's side ---- */

/* Section 2.1.3.2. */
bool tree_check_inclusion(const uint8_t entry[HASH_BYTES], uint64_t index, uint64_t size, const struct tree_proof *p, const uint8_t root[HASH_BYTES])
{
    if (index >= size || p->n > TREE_PATH_MAX) return false;
    uint64_t fn = index, sn = size - 1;
    uint8_t r[HASH_BYTES];
    sha256_leaf(r, entry);
    for (uint32_t i = 0; i < p->n; i++) {
        if (sn == 0) return false;
        if ((fn & 1) || fn == sn) {
            sha256_inner(r, p->hash[i], r);
            while (!(fn & 1) && fn != 0) fn >>= 1, sn >>= 1;
        } else {
            sha256_inner(r, r, p->hash[i]);
        }
        fn >>= 1, sn >>= 1;
    }
    return sn == 0 && memcmp(r, root, HASH_BYTES) == 0;
}

/* Section 2.1.4.2, with the two cases it leaves out: equal sizes and an empty old tree, both with an empty path. */
bool tree_check_consistency(uint64_t from, uint64_t to, const uint8_t from_root[HASH_BYTES], const uint8_t to_root[HASH_BYTES], const struct tree_proof *p)
{
    if (from > to || p->n > TREE_PATH_MAX) return false;
    if (from == to) return p->n == 0 && memcmp(from_root, to_root, HASH_BYTES) == 0;
    if (from == 0) {
        uint8_t empty[HASH_BYTES];
        sha256(empty, "", 0);
        return p->n == 0 && memcmp(from_root, empty, HASH_BYTES) == 0;
    }
    if (p->n == 0) return false;
    uint64_t fn = from - 1, sn = to - 1;
    while (fn & 1) fn >>= 1, sn >>= 1;
    bool power = (from & (from - 1)) == 0; /* then the path starts with the old root, unsaid */
    uint32_t i = power ? 0 : 1;
    uint8_t fr[HASH_BYTES], sr[HASH_BYTES];
    memcpy(fr, power ? from_root : p->hash[0], HASH_BYTES);
    memcpy(sr, fr, HASH_BYTES);
    for (; i < p->n; i++) {
        if (sn == 0) return false;
        if ((fn & 1) || fn == sn) {
            sha256_inner(fr, p->hash[i], fr);
            sha256_inner(sr, p->hash[i], sr);
            while (!(fn & 1) && fn != 0) fn >>= 1, sn >>= 1;
        } else {
            sha256_inner(sr, sr, p->hash[i]);
        }
        fn >>= 1, sn >>= 1;
    }
    return sn == 0 && memcmp(fr, from_root, HASH_BYTES) == 0 && memcmp(sr, to_root, HASH_BYTES) == 0;
}
