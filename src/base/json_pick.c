/* Several paths found in one pass over JSON text.
 *
 * The paths form a tree of steps. Where a value of the text lies on a path, the walk goes into it; all others are skipped. It ends as soon as every
 * path is found, and leaves a container as soon as nothing more can be in it. Recursion goes as deep as the longest path: JSON_PATH_MAX.
 *
 * Invariants: an edge's node has a higher number than the node it starts from; wanted bits stand at exactly one node per path. */
#include "base/json_text.h"

#include "base/json.h"
#include "base/mem.h"

#define NO_EDGE UINT16_MAX

struct edge {
    slice name;
    int64_t index; /* -1: a member */
    bool escaped;  /* the name holds an escape */
    uint16_t node, next;
};
struct spot {
    uint64_t wanted; /* the paths that end here */
    uint16_t edges;  /* the first of a chain */
    uint16_t members, elements;
};
struct json_picker {
    uint64_t all;
    uint16_t n_spots, n_edges;
    struct spot *spot;
    struct edge edge[];
};
_Static_assert(JSON_PICKS_MAX * JSON_PATH_MAX < NO_EDGE, "numbers of edges fit");

static bool same_step(const struct edge *e, const struct json_step *s)
{
    return e->index == s->index && (s->index >= 0 || json_text_eq(e->name, s->name));
}

static uint16_t step_from(struct json_picker *k, uint16_t from, const struct json_step *s)
{
    struct spot *spot = &k->spot[from];
    for (uint16_t i = spot->edges; i != NO_EDGE; i = k->edge[i].next)
        if (same_step(&k->edge[i], s)) return k->edge[i].node;
    uint16_t to = k->n_spots++;
    k->spot[to] = (struct spot){.edges = NO_EDGE};
    bool escaped = s->index < 0 && s->name.n && memchr(s->name.p, '\\', s->name.n);
    k->edge[k->n_edges] = (struct edge){s->name, s->index, escaped, to, spot->edges};
    spot->edges = k->n_edges++;
    if (s->index < 0)
        spot->members++;
    else
        spot->elements++;
    return to;
}

struct json_picker *json_picker_new(const struct json_path *const *paths, size_t n)
{
    size_t steps = 0;
    ASSERT(n <= JSON_PICKS_MAX);
    for (size_t i = 0; i < n; i++) steps += paths[i] ? paths[i]->n : 0;
    struct json_picker *k = mem_zalloc(sizeof *k + steps * sizeof k->edge[0]);
    k->spot = mem_alloc((steps + 1) * sizeof *k->spot);
    k->spot[0] = (struct spot){.edges = NO_EDGE};
    k->n_spots = 1;
    for (size_t i = 0; i < n; i++) {
        uint16_t at = 0;
        if (!paths[i]) continue;
        for (size_t s = 0; s < paths[i]->n; s++) at = step_from(k, at, &paths[i]->step[s]);
        k->spot[at].wanted |= 1ull << i;
        k->all |= 1ull << i;
    }
    ASSERT(k->n_edges <= steps);
    return k;
}

void json_picker_free(struct json_picker **k)
{
    if (*k) mem_free((*k)->spot);
    mem_free(*k);
    *k = NULL;
}

/* ---- the walk ---- */

struct pass {
    const struct json_picker *k;
    const uint8_t *start, *end;
    slice *value;
    uint64_t found;
};

static inline const uint8_t *past_space(const uint8_t *p, const uint8_t *end)
{
    return p < end && *p <= ' ' ? json_skip_space(p, end) : p;
}

/* The closing quote of the string whose inside starts at p; nearly all are short and hold no escape. */
static inline const uint8_t *string_close(const uint8_t *p, const uint8_t *end, bool *escaped)
{
    *escaped = false;
#ifdef __SSE2__
    if (end - p >= 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i m = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
        unsigned bits = (unsigned)_mm_movemask_epi8(m);
        if (bits && p[__builtin_ctz(bits)] == '"') return p + __builtin_ctz(bits);
    }
#endif
    const uint8_t *close = json_string_close(p, end);
    *escaped = close && memchr(p, '\\', (size_t)(close - p));
    return close;
}

static inline const uint8_t *value_end(const struct pass *w, const uint8_t *p)
{
    bool escaped;
    if (p == w->end) return NULL;
    if (*p == '"') {
        p = string_close(p + 1, w->end, &escaped);
        return p ? p + 1 : NULL;
    }
    if (*p == '{' || *p == '[') return json_container_rest(p + 1, w->start, w->end);
    const uint8_t *first = p;
    while (p < w->end && *p != ',' && *p != ']' && *p != '}' && *p > ' ') p++;
    return p > first ? p : NULL;
}

static inline bool name_matches(const struct edge *e, slice name, bool escaped)
{
    if (e->index >= 0) return false;
    if (e->escaped || escaped) return json_text_eq(e->name, name);
    return e->name.n == name.n && (name.n == 0 || (*e->name.p == *name.p && memcmp(e->name.p, name.p, name.n) == 0));
}

static const uint8_t *visit(struct pass *w, const uint8_t *p, uint16_t at);

/* Over `"name":` to the value; *node is where that leads, 0: nowhere. */
static inline const uint8_t *take_name(const struct pass *w, const uint8_t *p, uint16_t edges, uint16_t *node)
{
    bool escaped;
    if (p == w->end || *p != '"') return NULL;
    const uint8_t *close = string_close(p + 1, w->end, &escaped);
    if (!close) return NULL;
    slice name = slice_of(p + 1, (size_t)(close - p - 1));
    for (uint16_t i = edges; i != NO_EDGE; i = w->k->edge[i].next)
        if (name_matches(&w->k->edge[i], name, escaped)) {
            *node = w->k->edge[i].node;
            break;
        }
    p = past_space(close + 1, w->end);
    return p < w->end && *p == ':' ? past_space(p + 1, w->end) : NULL;
}

static uint16_t node_of_index(const struct pass *w, uint16_t edges, int64_t index)
{
    for (uint16_t i = edges; i != NO_EDGE; i = w->k->edge[i].next)
        if (w->k->edge[i].index == index) return w->k->edge[i].node;
    return 0;
}

/* p at the bracket; behind the container afterwards. */
static const uint8_t *visit_container(struct pass *w, const uint8_t *p, const struct spot *spot)
{
    bool object = *p++ == '{';
    unsigned left = object ? spot->members : spot->elements;
    for (int64_t index = 0; left > 0; index++) {
        uint16_t node = 0;
        p = past_space(p, w->end);
        if (p == w->end) return NULL;
        if (index == 0 && *p == (object ? '}' : ']')) return p + 1;
        if (object) {
            p = take_name(w, p, spot->edges, &node);
            if (!p) return NULL;
        } else {
            node = node_of_index(w, spot->edges, index);
        }
        p = node ? visit(w, p, node) : value_end(w, p);
        if (!p) return NULL;
        left -= node != 0;
        p = past_space(p, w->end);
        if (p == w->end) return NULL;
        if (*p == (object ? '}' : ']')) return p + 1;
        if (*p++ != ',') return NULL;
    }
    return json_container_rest(p, w->start, w->end);
}

/* The value at p and all that is wanted in it. NULL: there is no reason to go on, because all are found or the text does not parse. */
static const uint8_t *visit(struct pass *w, const uint8_t *p, uint16_t at)
{
    const struct spot *spot = &w->k->spot[at];
    const uint8_t *first = p;
    bool into = p < w->end && ((*p == '{' && spot->members) || (*p == '[' && spot->elements));
    p = into ? visit_container(w, p, spot) : value_end(w, p);
    if (!p) return NULL;
    for (uint64_t bits = spot->wanted; bits; bits &= bits - 1)
        w->value[__builtin_ctzll(bits)] = slice_of(first, (size_t)(p - first));
    w->found |= spot->wanted;
    return w->found == w->k->all ? NULL : p;
}

uint64_t json_pick(const struct json_picker *k, slice json, slice *value)
{
    ASSERT(k && value);
    ASSERT(json.p || json.n == 0);
    if (json.n == 0 || k->all == 0) return 0;
    struct pass w = {k, json.p, json.p + json.n, value, 0};
    (void)visit(&w, past_space(json.p, w.end), 0);
    return w.found;
}
