#include "tool/record.h"

#include "base/codec.h"
#include "base/instant.h"
#include "tool/tool.h"

#include <inttypes.h>

#define HASH_SHOWN  8 /* hex digits in lines */
#define NODES_SHOWN 1000

static void hex(struct paper *p, const uint8_t *h, size_t digits)
{
    for (size_t i = 0; i < digits; i++) fprintf(p->f, "%x", i % 2 ? h[i / 2] & 15 : h[i / 2] >> 4);
}

static int put_hash(struct past *s, struct paper *p, uint64_t seq, size_t digits)
{
    uint8_t h[HASH_BYTES];
    int rc = engine_hash(s->e, seq, h);
    if (rc == E_OK) hex(p, h, digits);
    return rc;
}

static void put_time(struct paper *p, uint64_t ms)
{
    char text[INSTANT_TEXT_MAX];
    instant_format((int64_t)ms, text);
    fputs(text, p->f);
}

static void put_link(struct paper *p, slice key)
{
    slice from, rel, to;
    if (link_key_parse(key, &from, &rel, &to) < 0) {
        paper_bytes(p, key, RECORD_KEY_SHOWN);
        return;
    }
    paper_bytes(p, from, RECORD_KEY_SHOWN);
    fputs(" -", p->f);
    paper_bytes(p, rel, RECORD_KEY_SHOWN);
    fputs("-> ", p->f);
    paper_bytes(p, to, RECORD_KEY_SHOWN);
}

static void put_index(struct paper *p, slice key)
{
    const uint8_t *end = key.p + key.n;
    uint64_t n;
    const uint8_t *at = get_varint(key.p, end, &n);
    fputs("index ", p->f);
    if (!at || n > (uint64_t)(end - at)) {
        paper_bytes(p, key, RECORD_KEY_SHOWN);
        return;
    }
    paper_bytes(p, slice_of(at, n), RECORD_KEY_SHOWN);
    putc(' ', p->f);
    paper_bytes(p, slice_of(at + n, (size_t)(end - at) - n), RECORD_KEY_SHOWN);
}

void record_subject(struct paper *p, const struct node *n)
{
    if (n->op == NODE_FLUSH) {
        if (n->lineage == NODE_ALL_LINEAGES)
            fputs("every database", p->f);
        else
            fprintf(p->f, "database line %u", n->lineage);
    } else if (n->op == NODE_SWAP && n->payload.n == 4) {
        fprintf(p->f, "databases %u and %u", get_u16(n->payload.p), get_u16(n->payload.p + 2));
    } else if (n->op == NODE_FILLER) {
        fputs("(a reservation that was given up)", p->f);
    } else if (n->space == SPACE_LINK) {
        put_link(p, n->key);
    } else if (n->space == SPACE_SORTED) {
        put_index(p, n->key);
    } else {
        fputs(n->space == SPACE_TAG ? "tag " : n->space == SPACE_RETAIN ? "rule " : "", p->f);
        paper_bytes(p, n->key, RECORD_KEY_SHOWN);
    }
}

int record_line(struct past *s, struct paper *p, uint64_t seq)
{
    struct node n;
    int rc = past_node(s, seq, &n);
    if (rc < 0 && rc != E_PRUNED) return rc;
    paper_ink(p, INK_HEAD);
    fprintf(p->f, "%" PRIu64 " ", seq);
    int found = put_hash(s, p, seq, HASH_SHOWN);
    paper_ink(p, INK_PLAIN);
    if (found < 0) return found;
    if (rc == E_PRUNED) {
        fputs(" (pruned)\n", p->f);
        return E_OK;
    }
    putc(' ', p->f);
    put_time(p, n.ts_ms);
    fprintf(p->f, " %-6s ", node_op_name(n.op));
    record_subject(p, &n);
    if (n.ver) fprintf(p->f, " v%" PRIu64, n.ver);
    if (n.note.n) {
        fputs("  ", p->f);
        paper_bytes(p, n.note, RECORD_KEY_SHOWN);
    }
    putc('\n', p->f);
    return E_OK;
}

static void put_causes(struct paper *p, const struct node *n)
{
    for (uint32_t i = 0; i < n->n_causes; i++) {
        struct node_ref r;
        node_cause(n, i, &r);
        fprintf(p->f, "Cause:  seq %" PRIu64 " ", r.seq);
        hex(p, r.hash, 2 * HASH_BYTES);
        putc('\n', p->f);
    }
}

static void put_note(struct paper *p, slice note)
{
    putc('\n', p->f);
    for (size_t from = 0; from < note.n;) {
        size_t to = from;
        while (to < note.n && note.p[to] != '\n') to++;
        fputs("    ", p->f);
        paper_bytes(p, slice_of(note.p + from, to - from), SIZE_MAX);
        putc('\n', p->f);
        from = to + 1;
    }
}

int record_commit(struct past *s, struct paper *p, uint64_t first, uint64_t last)
{
    struct node n;
    int rc = past_node(s, last, &n);
    for (uint64_t seq = last; rc == E_PRUNED && seq > first;) rc = past_node(s, --seq, &n);
    if (rc < 0 && rc != E_PRUNED) return rc;
    paper_ink(p, INK_HEAD);
    fprintf(p->f, first == last ? "commit %" PRIu64 "  " : "commit %" PRIu64 "-%" PRIu64 "  ", first, last);
    int found = put_hash(s, p, last, 2 * HASH_BYTES);
    paper_ink(p, INK_PLAIN);
    putc('\n', p->f);
    if (found < 0 || rc == E_PRUNED) return found;
    fputs("Date:   ", p->f);
    put_time(p, n.ts_ms);
    fputs("\nBy:     ", p->f);
    paper_bytes(p, n.by.n ? n.by : slice_str("default"), NODE_BY_MAX);
    putc('\n', p->f);
    put_causes(p, &n);
    if (n.note.n) put_note(p, n.note);
    putc('\n', p->f);
    return E_OK;
}

static void put_node(struct paper *p, const struct node *n, uint64_t seq)
{
    fprintf(p->f, " %8" PRIu64 "  %-6s ", seq, node_op_name(n->op));
    record_subject(p, n);
    if (n->ver) fprintf(p->f, "  v%" PRIu64, n->ver);
    if (n->op == NODE_PUT || n->op == NODE_EFFECT) fprintf(p->f, "  %zu bytes", n->payload.n);
    if (n->expire_ms) {
        fputs("  until ", p->f);
        put_time(p, n->expire_ms);
    }
    putc('\n', p->f);
}

int record_nodes(struct past *s, struct paper *p, uint64_t first, uint64_t last, record_wanted only, void *ctx)
{
    uint64_t shown = 0, left = 0;
    for (uint64_t seq = first; seq <= last; seq++) {
        struct node n;
        int rc = past_node(s, seq, &n);
        if (rc < 0 && rc != E_PRUNED) return rc;
        if (rc == E_OK && only && !only(ctx, &n)) continue;
        if (shown == NODES_SHOWN) {
            left++;
            continue;
        }
        shown++;
        if (rc == E_PRUNED)
            fprintf(p->f, " %8" PRIu64 "  (pruned)\n", seq);
        else
            put_node(p, &n, seq);
    }
    if (left) fprintf(p->f, "           … and %" PRIu64 " more\n", left);
    return E_OK;
}

/* ---- differences ---- */

struct side {
    bool there;
    struct ks_value v;
    struct buf mem, text;
};

static int load(struct past *s, slice key, uint64_t at, struct side *out)
{
    uint64_t oldest = 0;
    int rc = past_value(s, key, at, &out->mem, &out->v, &oldest);
    out->there = rc == E_OK;
    if (rc == E_OK && out->v.type == TYPE_DOCUMENT) text_pretty(out->v.blob, &out->text);
    if (rc == E_OK || rc == E_NOTFOUND) return E_OK;
    (void)past_trouble(s, rc, key, oldest);
    return rc;
}

static slice shown(const struct side *d)
{
    if (!d->there) return (slice){0};
    return d->v.type == TYPE_DOCUMENT ? buf_slice(&d->text) : d->v.blob;
}

static const char *type_name(const struct side *d)
{
    return !d->there ? "nothing" : d->v.type == TYPE_DOCUMENT ? "document" : d->v.type == TYPE_STRING ? "string" : "value";
}

static void put_side(struct paper *p, const char *mark, const struct side *d, uint64_t at)
{
    fprintf(p->f, "%s point %" PRIu64 ": %s", mark, at, type_name(d));
    if (d->there) fprintf(p->f, ", seq %" PRIu64 ", v%" PRIu64 ", %zu bytes", d->v.seq, d->v.ver, d->v.blob.n);
    if (d->there && d->v.expire_ms) {
        fputs(", until ", p->f);
        put_time(p, d->v.expire_ms);
    }
    putc('\n', p->f);
}

static void put_difference(struct paper *p, slice key, const struct side side[2], const uint64_t at[2])
{
    paper_ink(p, INK_HEAD);
    fputs("diff ", p->f);
    paper_bytes(p, key, RECORD_KEY_SHOWN);
    putc('\n', p->f);
    put_side(p, "---", &side[0], at[0]);
    put_side(p, "+++", &side[1], at[1]);
    paper_ink(p, INK_PLAIN);
    slice a = shown(&side[0]), b = shown(&side[1]);
    if (text_is_text(a) && text_is_text(b))
        text_diff(p, a, b);
    else
        fputs("binary values differ\n", p->f);
}

int record_diff_key(struct past *s, struct paper *p, slice key, uint64_t from, uint64_t to, enum record_diff how, bool *changed)
{
    struct side side[2] = {{0}, {0}};
    const uint64_t at[2] = {from, to};
    int rc = load(s, key, from, &side[0]);
    if (rc == E_OK) rc = load(s, key, to, &side[1]);
    if (rc == E_OK) {
        bool both = side[0].there && side[1].there;
        *changed = side[0].there != side[1].there ||
                   (both && (side[0].v.type != side[1].v.type || side[0].v.expire_ms != side[1].v.expire_ms ||
                             !slice_eq(side[0].v.blob, side[1].v.blob)));
        if (*changed && how == RECORD_DIFF_FULL) put_difference(p, key, side, at);
        if (*changed && how != RECORD_DIFF_FULL) {
            if (how == RECORD_DIFF_STATUS) fprintf(p->f, "%c\t", both ? 'M' : side[1].there ? 'A' : 'D');
            paper_bytes(p, key, SIZE_MAX);
            putc('\n', p->f);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        buf_fini(&side[i].mem);
        buf_fini(&side[i].text);
    }
    return rc;
}
