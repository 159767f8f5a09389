/* Everything that can be asked of a store, asked in a fixed order, and the answers kept so that two rounds can be compared.
 *
 * An answer is a row of bytes and a code. Held against the answer of the undamaged store it is *right* (same rows, same code), *refused* (E_CORRUPT or
 * E_IO, after none or some of the right rows), or *wrong*: anything else, a row left out or "not found" above all. Asking writes
 * nothing: the questions carry a time at which no key is due. */
#ifndef VARVE_TESTS_ANSWERS_H
#define VARVE_TESTS_ANSWERS_H

#include "base/mem.h"
#include "keyspace/keyspace.h"

#include <stdio.h>

#define ASK_POINTS    6
#define ASK_DATABASES 3

struct questions {
    const char *const *keys; /* every key that was ever written, and one that was not */
    size_t n_keys;
    uint64_t last_seq, now_ms;
    uint64_t point[ASK_POINTS]; /* ascending; the last one is last_seq */
    const char *token;
    uint8_t hash[HASH_BYTES]; /* of a node, to be found by its first digits */
};

struct answer {
    const char *what;
    uint64_t a, b;
    size_t at, n; /* rows, in answers.rows */
    int rc;
};
struct answers {
    struct buf rows;
    struct answer *v;
    size_t n, cap;
};

static inline void answers_fini(struct answers *s)
{
    buf_fini(&s->rows);
    mem_free(s->v);
    *s = (struct answers){0};
}

static inline void answers_clear(struct answers *s)
{
    buf_clear(&s->rows);
    s->n = 0;
}

static inline void tell(struct answers *s, const char *what, uint64_t a, uint64_t b)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 1024;
        s->v = mem_realloc(s->v, s->cap * sizeof *s->v);
    }
    s->v[s->n++] = (struct answer){.what = what, .a = a, .b = b, .at = s->rows.n};
}
static inline void told(struct answers *s, int rc)
{
    s->v[s->n - 1].rc = rc;
    s->v[s->n - 1].n = s->rows.n - s->v[s->n - 1].at;
}
static inline void row_number(struct answers *s, uint64_t v)
{
    buf_add(&s->rows, &v, sizeof v);
}
static inline void row_bytes(struct answers *s, slice v)
{
    row_number(s, v.n);
    buf_add_slice(&s->rows, v);
}

/* ---- the questions ---- */

static inline void row_value(struct answers *s, const struct ks_value *v, bool blob)
{
    row_number(s, v->type | (uint64_t)v->flags << 8);
    row_number(s, v->seq);
    row_number(s, v->ver);
    row_number(s, v->expire_ms);
    if (blob) row_bytes(s, v->blob);
}

static inline void ask_key(struct answers *s, const struct questions *q, struct ks_ctx *c, size_t k)
{
    slice key = slice_str(q->keys[k]);
    struct ks_value v = {0};
    struct buf mem = {0};
    tell(s, "stat", c->db, k);
    int rc = ks_stat(c, key, true, &v);
    if (rc == E_OK) row_value(s, &v, false);
    told(s, rc);
    tell(s, "get", c->db, k);
    rc = ks_get(c, key, &v);
    if (rc == E_OK) row_value(s, &v, true);
    told(s, rc);
    for (unsigned p = 0; p < ASK_POINTS; p++) {
        tell(s, "get as of", (uint64_t)c->db << 32 | k, q->point[p]);
        v = (struct ks_value){0};
        rc = ks_get_at(c, key, q->point[p], KS_ANY_VALID, &mem, &v);
        if (rc == E_OK) row_value(s, &v, true);
        if (rc == E_PRUNED) row_number(s, v.seq);
        told(s, rc);
    }
    buf_fini(&mem);
}

static inline void ask_history(struct answers *s, const struct questions *q, struct engine *e, uint16_t lineage, size_t k)
{
    for (unsigned oldest_first = 0; oldest_first < 2; oldest_first++) {
        struct version_cursor *it = NULL;
        struct version v;
        tell(s, "versions", (uint64_t)lineage << 32 | k, oldest_first);
        int rc = engine_versions(e, SPACE_KEY, lineage, slice_str(q->keys[k]), 0, q->last_seq, oldest_first, &it);
        while (rc == E_OK && (rc = version_next(it, &v)) == E_OK) {
            row_number(s, v.seq);
            row_number(s, v.ver);
            row_number(s, (uint64_t)v.op | (uint64_t)v.type << 8 | (uint64_t)v.flags << 16);
            row_number(s, v.expire_ms);
        }
        version_close(&it);
        told(s, rc);
    }
    uint64_t horizon = 0;
    tell(s, "key horizon", lineage, k);
    int rc = engine_key_horizon(e, SPACE_KEY, lineage, slice_str(q->keys[k]), &horizon, NULL);
    if (rc == E_OK) row_number(s, horizon);
    told(s, rc);
}

static inline void ask_nodes(struct answers *s, const struct questions *q, struct engine *e)
{
    struct buf mem = {0};
    uint8_t hash[HASH_BYTES];
    for (uint64_t seq = 1; seq <= q->last_seq; seq++) {
        slice raw;
        uint64_t first, last;
        tell(s, "node", seq, 0);
        int rc = engine_read_raw(e, seq, &mem, &raw);
        if (rc == E_OK) row_bytes(s, raw);
        told(s, rc);
        if (seq % 5) continue; /* each checks a whole tile */
        tell(s, "hash", seq, 0);
        rc = engine_hash(e, seq, hash);
        if (rc == E_OK) row_bytes(s, slice_of(hash, HASH_BYTES));
        told(s, rc);
        tell(s, "commit", seq, 0);
        rc = engine_commit_of(e, seq, &first, &last);
        if (rc == E_OK) row_number(s, first << 32 | last);
        told(s, rc);
    }
    buf_fini(&mem);
}

static inline void ask_proofs(struct answers *s, const struct questions *q, struct engine *e)
{
    static const char digits[] = "0123456789abcdef";
    struct tree_proof p;
    uint8_t root[HASH_BYTES];
    char hex[17] = "";
    uint64_t seq = 0;
    tell(s, "tree size", 0, 0);
    row_number(s, engine_tree_size(e));
    told(s, E_OK);
    for (unsigned i = 0; i < ASK_POINTS; i++) {
        tell(s, "root", q->point[i], 0);
        int rc = engine_root(e, q->point[i], root);
        if (rc == E_OK) row_bytes(s, slice_of(root, HASH_BYTES));
        told(s, rc);
        for (uint64_t of = 1 + i; of <= q->point[i]; of += 53) {
            tell(s, "inclusion", of, q->point[i]);
            rc = engine_prove_inclusion(e, of, q->point[i], &p);
            if (rc == E_OK) buf_add(&s->rows, p.hash, (size_t)p.n * HASH_BYTES);
            told(s, rc);
        }
        tell(s, "consistency", q->point[i], q->last_seq);
        rc = engine_prove_consistency(e, q->point[i], q->last_seq, &p);
        if (rc == E_OK) buf_add(&s->rows, p.hash, (size_t)p.n * HASH_BYTES);
        told(s, rc);
    }
    for (unsigned i = 0; i < 16; i++) hex[i] = digits[q->hash[i / 2] >> (i % 2 ? 0 : 4) & 15];
    tell(s, "seq by hash", 0, 0);
    int rc = engine_seq_by_hash(e, slice_str(hex), &seq);
    if (rc == E_OK) row_number(s, seq);
    told(s, rc);
    tell(s, "seq by time", 0, 0);
    rc = engine_seq_by_time(e, q->now_ms - 400, &seq);
    if (rc == E_OK) row_number(s, seq);
    told(s, rc);
}

static inline int row_key(void *answers, slice key, uint8_t type)
{
    struct answers *s = answers;
    row_bytes(s, key);
    row_number(s, type);
    return 0;
}

static inline void ask_database(struct answers *s, const struct questions *q, struct ks_ctx *c)
{
    uint64_t cursor = 0, expiring = 0;
    tell(s, "count", c->db, 0);
    row_number(s, ks_count(c, c->db, &expiring));
    row_number(s, expiring);
    told(s, E_OK);
    tell(s, "scan", c->db, 0);
    int rc = E_OK;
    do rc = ks_scan(c, &cursor, 7, 0, row_key, s);
    while (rc == E_OK && cursor != 0);
    told(s, rc);
    for (size_t k = 0; k < q->n_keys; k++) ask_key(s, q, c, k);
}

static inline int row_collection(void *answers, slice coll, const struct coll_counts *n)
{
    struct answers *s = answers;
    row_bytes(s, coll);
    row_number(s, n->docs);
    row_number(s, n->versions);
    return 0;
}

static inline void ask_documents(struct answers *s, struct engine *e, uint16_t lineage, uint64_t at)
{
    struct doc_cursor *it = NULL;
    slice key;
    tell(s, "documents", lineage, at);
    int rc = engine_docs(e, lineage, slice_str("user:"), (slice){0}, at, &it);
    while (rc == E_OK && (rc = doc_cursor_next(it, &key)) == E_OK) row_bytes(s, key);
    doc_cursor_close(&it);
    told(s, rc);
    tell(s, "collections", lineage, at);
    rc = engine_collections(e, lineage, at, row_collection, s);
    told(s, rc);
    for (unsigned descending = 0; descending < 2; descending++) {
        struct range_options o = {
            .lineage = lineage, .coll = slice_str("user"), .path = slice_str("age"), .descending = descending, .at = at};
        struct range_cursor *range = NULL;
        uint64_t seq;
        tell(s, "range", (uint64_t)lineage << 32 | descending, at);
        rc = engine_range(e, &o, &range);
        while (rc == E_OK && ((rc = range_next(range, &key, &seq)) == E_OK || rc == E_AGAIN)) {
            if (rc == E_AGAIN) {
                rc = E_OK;
                continue;
            }
            row_bytes(s, key);
            row_number(s, seq);
        }
        range_cursor_close(&range);
        told(s, rc);
    }
}

static inline void ask_links(struct answers *s, const struct questions *q, struct engine *e, uint64_t at)
{
    for (size_t k = 0; k < q->n_keys; k++) {
        if (strncmp(q->keys[k], "user:", 5) != 0) continue;
        for (unsigned d = LINK_OUT; d <= LINK_IN; d++) {
            struct link_cursor *it = NULL;
            struct link l;
            tell(s, "links", d << 16 | k, at);
            int rc = engine_links(e, 0, slice_str(q->keys[k]), (enum link_direction)d, (slice){0}, at, (slice){0}, &it);
            while (rc == E_OK && (rc = link_cursor_next(it, &l)) == E_OK) {
                row_bytes(s, l.from);
                row_bytes(s, l.rel);
                row_bytes(s, l.to);
                row_number(s, l.seq);
            }
            link_cursor_close(&it);
            told(s, rc);
        }
    }
}

static inline void ask_rest(struct answers *s, const struct questions *q, struct engine *e)
{
    struct expiry_cursor *it = NULL;
    uint64_t ms, seq;
    uint16_t lineage;
    slice key;
    tell(s, "expiring", 0, 0);
    int rc = engine_expiring(e, 0, UINT64_MAX, &it);
    while (rc == E_OK && (rc = expiry_next(it, &ms, &lineage, &key, &seq)) == E_OK) {
        row_number(s, ms);
        row_bytes(s, key);
        row_number(s, seq);
    }
    expiry_close(&it);
    told(s, rc);
    tell(s, "token", 0, 0);
    rc = engine_find_token(e, 0, slice_str(q->token), &seq);
    if (rc == E_OK) row_number(s, seq);
    told(s, rc);
    for (uint64_t cause = 1; cause <= q->last_seq; cause += 9) {
        struct effect_cursor *effects = NULL;
        tell(s, "effects", cause, 0);
        rc = engine_effects(e, cause, &effects);
        while (rc == E_OK && (rc = effect_next(effects, &seq)) == E_OK) row_number(s, seq);
        effect_close(&effects);
        told(s, rc);
    }
    tell(s, "horizon", 0, 0);
    row_number(s, engine_horizon(e));
    told(s, E_OK);
}

/* Replaces s. */
static inline void ask_all(struct answers *s, const struct questions *q, struct keyspace *ks)
{
    struct engine *e = ks_engine(ks);
    answers_clear(s);
    for (uint16_t db = 0; db < ASK_DATABASES; db++) {
        struct ks_ctx c = {.ks = ks, .db = db, .now_ms = q->now_ms};
        ask_database(s, q, &c);
    }
    for (size_t k = 0; k < q->n_keys * ASK_DATABASES; k++) ask_history(s, q, e, (uint16_t)(k % ASK_DATABASES), k / ASK_DATABASES);
    ask_nodes(s, q, e);
    ask_proofs(s, q, e);
    for (unsigned i = 0; i < ASK_POINTS; i++) {
        ask_documents(s, e, 0, q->point[i]);
        ask_links(s, q, e, q->point[i]);
    }
    ask_rest(s, q, e);
}

/* ---- comparing ---- */

/* *refused grows by the answers that were refused. NULL, or the first answer that is wrong. */
static inline const struct answer *answers_differ(const struct answers *want, const struct answers *got, size_t *refused)
{
    for (size_t i = 0; i < got->n; i++) {
        const struct answer *w = &want->v[i], *g = &got->v[i];
        bool hard = g->rc == E_CORRUPT || g->rc == E_IO;
        ASSERT(i < want->n && w->what == g->what && w->a == g->a && w->b == g->b);
        bool same = hard ? g->n <= w->n : g->n == w->n && g->rc == w->rc;
        if (!same || memcmp(want->rows.p + w->at, got->rows.p + g->at, g->n) != 0) return g;
        *refused += hard;
    }
    return got->n == want->n ? NULL : &got->v[got->n - 1];
}

#endif
