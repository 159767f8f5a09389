#include "modules/doc/views.h"

struct packed {
    uint64_t seq, commit_first, commit_last;
    uint64_t bytes; /* of the node, that follow */
    uint8_t hash[HASH_BYTES];
    uint32_t depth;
    int failure;
    enum doc_state state;
    bool pruned;
};

void views_add(struct call *c, struct views *vs, uint64_t seq, uint32_t depth)
{
    struct doc_view *v = &vs->view;
    int r = doc_view_load(c, seq, v);
    struct packed p = {.seq = seq, .depth = depth, .failure = r, .state = v->state, .pruned = v->pruned};
    p.commit_first = v->commit_first;
    p.commit_last = v->commit_last;
    memcpy(p.hash, v->hash, HASH_BYTES);
    if (r == E_OK && !v->pruned) p.bytes = v->raw.n - (vs->with_data ? 0 : v->node.payload.n); /* the payload is a node's end */
    buf_add(&vs->mem, &p, sizeof p);
    if (p.bytes) buf_add(&vs->mem, v->raw.p, (size_t)p.bytes);
    vs->n++;
}

static void reply_row(struct call *c, const struct packed *p, slice raw, bool with_data)
{
    struct doc_data data = {.wanted = with_data};
    struct doc_view v = {.seq = p->seq, .state = p->state, .pruned = p->pruned, .raw = raw};
    v.commit_first = p->commit_first;
    v.commit_last = p->commit_last;
    memcpy(v.hash, p->hash, HASH_BYTES);
    int r = p->failure;
    if (r == E_OK && !p->pruned) r = node_decode(raw, &v.node);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    bool deep = p->depth != VIEWS_NO_DEPTH;
    reply_map(c, DOC_MAP_FIELDS + (deep ? 1 : 0));
    if (deep) reply_str(c, "depth"), reply_int(c, p->depth);
    doc_reply_view(c, &v, &data);
}

void views_reply(struct call *c, const struct views *vs)
{
    slice rest = buf_slice(&vs->mem);
    for (size_t i = 0; i < vs->n; i++) {
        struct packed p;
        memcpy(&p, rest.p, sizeof p);
        slice raw = {rest.p + sizeof p, (size_t)p.bytes};
        reply_row(c, &p, raw, vs->with_data);
        rest = (slice){raw.p + raw.n, rest.n - sizeof p - raw.n};
    }
}

void views_fini(struct views *vs)
{
    buf_fini(&vs->mem);
    doc_view_fini(&vs->view);
    vs->n = 0;
}
