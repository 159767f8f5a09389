/* DMPUT: several documents in one commit, all or nothing.
 *
 * First everything is judged, then everything is written: an error changes nothing. A key that comes twice meets at its second turn what its first wrote. Inside the
 * batch seqs are dense and known ahead, so that is judged exactly too. */
#include "modules/doc/doc.h"

#include <stdlib.h>

#define DMPUT_WORDS 3 /* key, json, expect */

struct entry {
    slice key, json;
    bool any;
    uint64_t expect;
    int before; /* place + 1 of the same key's turn before; 0 = this is its first */
};
struct many {
    struct entry *v;
    int n;
};

static bool parse_entry(struct call *c, int at, struct entry *e)
{
    struct json_fault fault;
    *e = (struct entry){.key = c->argv[at]};
    if (json_check(c->argv[at + 1], &e->json, &fault) != E_OK) {
        doc_badjson(c, &fault);
        return false;
    }
    e->any = arg_is(c, at + 2, "*");
    if (!e->any && !num_parse_u64(c->argv[at + 2], &e->expect)) {
        reply_error(c, "ERR an expectation is *, 0 or a seq");
        return false;
    }
    return true;
}

static bool parse(struct call *c, struct many *m, struct doc_options *o)
{
    int64_t n;
    if (!arg_range(c, 1, 1, DOC_COUNT_MAX, &n)) return false;
    if (n > (c->argc - 2) / DMPUT_WORDS) {
        reply_syntax(c);
        return false;
    }
    m->n = (int)n;
    m->v = mem_alloc((size_t)n * sizeof *m->v);
    for (int i = 0; i < m->n; i++)
        if (!parse_entry(c, 2 + i * DMPUT_WORDS, &m->v[i])) return false;
    return doc_options_parse(c, 2 + m->n * DMPUT_WORDS, 0, o);
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    int order = slice_cmp(x->key, y->key);
    return order ? order : (x > y) - (x < y);
}

static void find_repeats(struct many *m)
{
    struct entry **order = mem_alloc((size_t)m->n * sizeof(struct entry *));
    for (int i = 0; i < m->n; i++) order[i] = &m->v[i];
    qsort(order, (size_t)m->n, sizeof(struct entry *), by_key);
    for (int i = 1; i < m->n; i++)
        if (slice_eq(order[i]->key, order[i - 1]->key)) order[i]->before = (int)(order[i - 1] - m->v) + 1;
    mem_free(order);
}

/* The seq that the node now written next will get. Only inside a batch, where nobody else writes. */
static uint64_t next_seq(struct call *c)
{
    struct engine_marks m;
    engine_get_marks(doc_engine(c), &m);
    return m.last_seq + c->ks.nodes + 1;
}

/* Every key is looked at before anything is written, so that expired ones have their removal in the log by then. */
static bool look_all(struct call *c, const struct many *m, uint64_t *found)
{
    struct ks_value v;
    for (int i = 0; i < m->n; i++) {
        if (m->v[i].key.n > NODE_KEY_MAX) {
            reply_failure(c, E_TOOBIG);
            return false;
        }
        int live = m->v[i].before ? 0 : doc_live(c, m->v[i].key, false, &v);
        if (live < 0) return false;
        found[i] = live ? v.seq : 0;
    }
    return true;
}

static bool expectations_hold(struct call *c, const struct many *m)
{
    uint64_t *found = mem_alloc((size_t)m->n * sizeof *found);
    bool hold = look_all(c, m, found);
    uint64_t first = hold ? next_seq(c) : 0;
    for (int i = 0; hold && i < m->n; i++) {
        const struct entry *e = &m->v[i];
        uint64_t here = e->before ? first + (uint64_t)e->before - 1 : found[i];
        if (e->any || e->expect == here) continue;
        reply_error(c, "CONFLICT %.*s expected %llu found %llu", (int)(e->key.n > 200 ? 200 : e->key.n), (const char *)e->key.p,
                    (unsigned long long)e->expect, (unsigned long long)here);
        hold = false;
    }
    mem_free(found);
    return hold;
}

static void reply_refs(struct call *c, const struct buf *refs)
{
    struct node_ref ref;
    size_t n = refs->n / sizeof ref;
    reply_array(c, n);
    for (size_t i = 0; i < n; i++) {
        memcpy(&ref, refs->p + i * sizeof ref, sizeof ref);
        doc_reply_pair(c, ref.seq, ref.hash);
    }
}

/* A write inside a batch fails only by a head that cannot be read, and every head has just been. */
static void write_all(struct call *c, const struct many *m, struct doc_options *o)
{
    struct buf refs = {0};
    struct node_ref ref;
    int r = E_OK;
    for (int i = 0; i < m->n && r == E_OK; i++) {
        r = ks_put(&c->ks, m->v[i].key, TYPE_DOCUMENT, m->v[i].json, &o->write);
        ref.seq = o->receipt.seq;
        memcpy(ref.hash, o->receipt.hash, HASH_BYTES);
        if (r == E_OK) buf_add(&refs, &ref, sizeof ref);
    }
    if (r == E_OK) {
        notify_dirty(c, m->n);
        reply_refs(c, &refs);
    } else {
        reply_failure(c, r);
    }
    buf_fini(&refs);
}

void cmd_dmput(struct call *c)
{
    struct many m = {0};
    struct doc_options o;
    struct buf refs = {0};
    if (parse(c, &m, &o)) {
        int seen = doc_idem_nodes(c, o.write.idem, &refs);
        if (seen > 0) reply_refs(c, &refs);
        find_repeats(&m);
        if (seen == 0 && expectations_hold(c, &m)) write_all(c, &m, &o);
    }
    buf_fini(&refs);
    mem_free(m.v);
}
