#include "tool/proof.h"

static bool odd(uint64_t n) { return n & 1; }

/* RFC 9162 section 2.1.3.2; fn, sn, r as there. */
static const char *check_inclusion(const struct proof *p)
{
    if (p->index >= p->size) return "the index is not below the size";
    uint64_t fn = p->index, sn = p->size - 1;
    uint8_t r[DIGEST_BYTES];
    memcpy(r, p->leaf, DIGEST_BYTES);
    for (unsigned i = 0; i < p->n_path; i++) {
        if (sn == 0) return "the path is too long for this index and size";
        if (odd(fn) || fn == sn) {
            digest_inner(r, p->path[i], r);
            while (!odd(fn) && fn != 0) fn >>= 1, sn >>= 1;
        } else {
            digest_inner(r, r, p->path[i]);
        }
        fn >>= 1;
        sn >>= 1;
    }
    if (sn != 0) return "the path is too short for this index and size";
    return memcmp(r, p->root, DIGEST_BYTES) == 0 ? NULL : "leaf and path do not give the root";
}

static const char *check_trivial(const struct proof *p)
{
    uint8_t empty[DIGEST_BYTES];
    digest_sha(empty, "", 0);
    if (p->n_path) return "the path should be empty";
    if (p->from == p->to && memcmp(p->from_root, p->to_root, DIGEST_BYTES) != 0) return "one size, two roots";
    if (p->from == 0 && memcmp(p->from_root, empty, DIGEST_BYTES) != 0) return "from_root is not the root of the empty tree";
    return NULL;
}

/* RFC 9162 section 2.1.4.2; fn, sn, fr, sr as there. */
static const char *check_consistency(const struct proof *p)
{
    if (p->from > p->to) return "from is greater than to";
    if (p->from == 0 || p->from == p->to) return check_trivial(p);
    uint64_t fn = p->from - 1, sn = p->to - 1;
    unsigned i = 0;
    uint8_t fr[DIGEST_BYTES], sr[DIGEST_BYTES];
    bool whole = (p->from & (p->from - 1)) == 0; /* then the first tree is itself a node of the second */
    if (!whole && p->n_path == 0) return "the path is empty";
    const uint8_t *first = whole ? p->from_root : p->path[i++];
    while (odd(fn)) fn >>= 1, sn >>= 1;
    memcpy(fr, first, DIGEST_BYTES);
    memcpy(sr, first, DIGEST_BYTES);
    for (; i < p->n_path; i++) {
        const uint8_t *c = p->path[i];
        if (sn == 0) return "the path is too long for these sizes";
        if (odd(fn) || fn == sn) {
            digest_inner(fr, c, fr);
            digest_inner(sr, c, sr);
            while (!odd(fn) && fn != 0) fn >>= 1, sn >>= 1;
        } else {
            digest_inner(sr, sr, c);
        }
        fn >>= 1;
        sn >>= 1;
    }
    if (sn != 0) return "the path is too short for these sizes";
    if (memcmp(fr, p->from_root, DIGEST_BYTES) != 0) return "the path does not give from_root";
    return memcmp(sr, p->to_root, DIGEST_BYTES) == 0 ? NULL : "the path does not give to_root";
}

const char *proof_check(const struct proof *p)
{
    return p->kind == PROOF_INCLUSION ? check_inclusion(p) : check_consistency(p);
}

bool proof_leaf_is(const struct proof *p, slice node)
{
    uint8_t hash[DIGEST_BYTES];
    digest_blake(hash, node.p, node.n);
    digest_leaf(hash, hash);
    return memcmp(hash, p->leaf, DIGEST_BYTES) == 0;
}
