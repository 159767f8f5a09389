/* Links and causes: neighbours, what can be reached, what led to what. */
#ifndef VARVE_TESTS_MODEL_FAMILY_GRAPH_H
#define VARVE_TESTS_MODEL_FAMILY_GRAPH_H

#include "tests/model/family_reads.h"

/* Must the links of a key be listed at a point? Those that ever were, and those that may have been without a trace. way: 0 out, 1 in, 2 both. */
static inline bool links_known(int db, int key, int way, int only, long long at)
{
    if (at < horizon.documents_most) return false;
    for (int rel = 0; rel < RELS; rel++)
        for (int o = 0; o < KEYS; o++) {
            if (only >= 0 && rel != only) continue;
            const struct key *out = &links[db][key][rel][o], *in = &links[db][o][rel][key];
            if ((way != 1 && !readable_link(out, at)) || (way != 0 && !readable_link(in, at))) return false;
        }
    return true;
}

static inline const struct key *link_at(int db, int rel, int key, int other, bool in, long long at)
{
    const struct key *l = in ? &links[db][other][rel][key] : &links[db][key][rel][other];
    return version_at(l, at)->kind == LINKED ? l : NULL;
}

static inline size_t check_link(const redisReply *list, size_t i, const struct key *l, long long at)
{
    const struct version *v = version_at(l, at);
    if (i >= list->elements) fail("DLINKS", l->name, "no more rows");
    const redisReply *row = list->element[i];
    expect_str("from", keys[l->db][l->index].name, text_of(field(row, "from")));
    expect_str("rel", rels[l->rel], text_of(field(row, "rel")));
    expect_str("to", keys[l->db][l->other].name, text_of(field(row, "to")));
    expect_int("seq", v->seq, field(row, "seq")->integer);
    expect_str("hash", v->hash, text_of(field(row, "hash")));
    expect_str("props", v->text[0] ? v->text : NULL, text_of(field(row, "props")));
    return i + 1;
}

/* Keys in the order of their bytes. */
static inline const int *by_name(void)
{
    static const int order[KEYS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    return order;
}

static inline void check_links(void)
{
    struct point p;
    any_point(&p);
    long long at = p.seq;
    int db = content_at(at), way = (int)rnd(3), only = rnd(2) ? (int)rnd(RELS) : -1;
    struct key *k = any_key_at(&p);
    char cursor[300] = "0", more[40] = "";
    if (only >= 0) snprintf(more, sizeof more, " REL 1 %s", rels[only]);
    const struct key *want[4 * RELS * KEYS];
    size_t n = 0, i = 0;
    for (int in = 0; in < 2; in++)
        for (int rel = 0; rel < RELS; rel++)
            for (int o = 0; o < KEYS; o++) {
                if ((way == 0 && in) || (way == 1 && !in) || (only >= 0 && rel != only)) continue;
                const struct key *l = link_at(db, rel, k->index, by_name()[o], in, at);
                if (l && !(way == 2 && in && l->index == l->other)) want[n++] = l;
            }
    static const char *const ways[] = {"OUT", "IN", "BOTH"};
    bool known = links_known(db, k->index, way, only, at);
    do {
        redisReply *v = query("DLINKS %s %s%s ASOF %s COUNT %d CURSOR %s", k->name, ways[way], more, p.text, 1 + (int)rnd(5), cursor);
        if (is_error(v, "PRUNED") && !known) {
            freeReplyObject(v);
            return;
        }
        if (v->type != REDIS_REPLY_ARRAY) fail("DLINKS", "a page", text_of(v) ? text_of(v) : "(nil)");
        for (size_t j = 0; j < v->element[1]->elements; j++) {
            if (i >= n) fail("DLINKS", "no more rows", "another");
            (void)check_link(v->element[1], j, want[i++], at);
        }
        snprintf(cursor, sizeof cursor, "%s", v->element[0]->str);
        freeReplyObject(v);
    } while (strcmp(cursor, "0") != 0);
    expect_int("rows of DLINKS", (long long)n, (long long)i);
}

static inline void check_traverse(void)
{
    struct point p;
    any_point(&p);
    long long at = p.seq;
    int db = content_at(at), way = (int)rnd(3), depth = 1 + (int)rnd(4), order[KEYS], depths[KEYS], via[KEYS], n = 0;
    bool seen[KEYS] = {false}, known = true;
    struct key *k = any_key_at(&p);
    if (state_at(k, &p)->kind != DOCUMENT) return;
    order[n] = k->index, depths[n] = 0, via[n++] = -1, seen[k->index] = true;
    for (int i = 0; i < n; i++)
        for (int in = way == 1; in < 1 + (way > 0) && depths[i] < depth; in++)
            for (int rel = 0; rel < RELS; rel++)
                for (int o = 0; o < KEYS; o++) {
                    if (seen[o] || !link_at(db, rel, order[i], o, in, at)) continue;
                    seen[o] = true;
                    order[n] = o, depths[n] = depths[i] + 1, via[n++] = rel;
                }
    static const char *const ways[] = {"OUT", "IN", "BOTH"};
    for (int i = 0; i < n; i++) known &= readable(&keys[db][order[i]], at) && (depths[i] == depth || links_known(db, order[i], way, -1, at));
    redisReply *v = query("DTRAVERSE %s %s DEPTH %d ASOF %s WITHDATA", k->name, ways[way], depth, p.text);
    if (!is_error(v, "PRUNED") || known) {
        if (v->type != REDIS_REPLY_ARRAY) fail("DTRAVERSE", "rows", text_of(v) ? text_of(v) : "(nil)");
        expect_int("rows of DTRAVERSE", n, (long long)v->elements);
        for (int i = 0; i < n; i++) {
            const struct version *s = state_at(&keys[db][order[i]], &p);
            const redisReply *data = field(v->element[i], "data");
            expect_str("DTRAVERSE", keys[db][order[i]].name, text_of(field(v->element[i], "key")));
            expect_int("depth", depths[i], field(v->element[i], "depth")->integer);
            expect_str("via", via[i] < 0 ? NULL : rels[via[i]], text_of(field(v->element[i], "via")));
            expect_str("data", s->kind == DOCUMENT ? s->text : NULL, text_of(data));
        }
    }
    freeReplyObject(v);
}

/* ---- causes ---- */

static inline const struct version *node_at(long long seq)
{
    return places[seq].key ? &places[seq].key->v[places[seq].i] : NULL;
}

static inline int by_seq(const void *a, const void *b)
{
    long long x = *(const long long *)a, y = *(const long long *)b;
    return (x > y) - (x < y);
}

static inline int neighbours(long long seq, bool effects, long long *out, int max)
{
    const struct version *v = node_at(seq);
    int n = 0;
    if (!effects && v)
        for (int i = 0; i < v->n_causes; i++) out[n++] = v->cause[i];
    for (long long s = seq + 1; effects && s <= head; s++) {
        const struct version *e = node_at(s);
        for (int i = 0; e && i < e->n_causes && n < max; i++)
            if (e->cause[i] == seq && (n == 0 || out[n - 1] != s)) out[n++] = s;
    }
    return n;
}

#define TRACE_MAX 600

static inline void check_trace(void)
{
    static long long row[TRACE_MAX * 2], next[64];
    static int depth_of[TRACE_MAX * 2];
    bool effects = rnd(2);
    int n = 0, from = 0, depth = 1 + (int)rnd(6);
    long long start = (long long)rnd((uint64_t)head) + 1;
    if (node_at(start) == NULL) return;
    redisReply *v = query("DTRACE seq:%lld %s DEPTH %d LIMIT %d WITHDATA", start, effects ? "EFFECTS" : "CAUSES", depth, TRACE_MAX);
    if (v->type != REDIS_REPLY_ARRAY) fail("DTRACE", "rows", text_of(v) ? text_of(v) : "(nil)");
    char *seen = calloc((size_t)head + 2, 1);
    if (!seen) abort();
    row[n] = start, depth_of[n++] = 0, seen[start] = 1;
    /* What a node that is gone said of its causes is gone with it; its effects are known still. */
    for (int d = 0, to = n; d < depth && from < to && n < TRACE_MAX; d++, from = to, to = n) {
        for (int i = from; i < to; i++) {
            int found = is_gone(row[i]) && !effects ? 0 : neighbours(row[i], effects, next, 64);
            for (int j = 0; j < found && n < TRACE_MAX; j++)
                if (!seen[next[j]]) seen[next[j]] = 1, depth_of[n] = d + 1, row[n++] = next[j];
        }
        qsort(row + to, (size_t)(n - to), sizeof *row, by_seq);
    }
    free(seen);
    for (int i = 0; i < n && n < TRACE_MAX; i++) {
        if ((size_t)i >= v->elements) fail("DTRACE", "more rows", "none");
        expect_int("DTRACE seq", row[i], field(v->element[i], "seq")->integer);
        expect_int("depth", depth_of[i], field(v->element[i], "depth")->integer);
        expect_str("hash", places[row[i]].hash, text_of(field(v->element[i], "hash")));
        expect_int("DTRACE pruned", is_gone(row[i]), strcmp(field(v->element[i], "state")->str, "pruned") == 0);
        if (node_at(row[i]) && !is_gone(row[i])) check_node(v->element[i], places[row[i]].key, node_at(row[i]));
    }
    if (n < TRACE_MAX) expect_int("rows of DTRACE", n, (long long)v->elements);
    freeReplyObject(v);
}

#endif
