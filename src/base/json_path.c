/* Paths into JSON text, and the walk over members and elements.
 *
 * The text has been checked before it was stored, so the walk only finds where values end: inside a container it looks
 * for quotes and brackets sixteen bytes at a time and counts depth. It still never trusts the text with its own
 * safety: every step is bounded by the end of the text, and what does not parse is E_CORRUPT. */
#include "base/json_text.h"

#include "base/json.h"

/* ---- skipping ---- */

const uint8_t *json_string_close(const uint8_t *p, const uint8_t *end)
{
    for (;;) {
#ifdef __SSE2__
        const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
        for (; end - p >= 16; p += 16) {
            __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
            unsigned m = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, slash)));
            if (m) {
                p += __builtin_ctz(m);
                break;
            }
        }
#endif
        while (p < end && *p != '"' && *p != '\\') p++;
        if (p == end) return NULL;
        if (*p == '"') return p;
        if (end - p < 2) return NULL;
        p += 2;
    }
}

#ifdef __SSE2__
/* '[' and '{', ']' and '}' differ in bit 5 only, so two comparisons find all four. */
static inline unsigned structure_mask(const uint8_t *p)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i lower = _mm_or_si128(x, _mm_set1_epi8(0x20));
    __m128i m = _mm_or_si128(_mm_cmpeq_epi8(lower, _mm_set1_epi8('{')), _mm_cmpeq_epi8(lower, _mm_set1_epi8('}')));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(m, _mm_cmpeq_epi8(x, _mm_set1_epi8('"'))));
}
#endif

static inline bool is_structure(uint8_t c) { return c == '"' || (c | 0x20) == '{' || (c | 0x20) == '}'; }

/* Next quote or bracket, or end. */
static inline const uint8_t *next_structure(const uint8_t *p, const uint8_t *start, const uint8_t *end)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        unsigned m = structure_mask(p);
        if (m) return p + __builtin_ctz(m);
    }
    if (end - start >= 16) {
        unsigned m = structure_mask(end - 16) >> (16 - (end - p));
        return m ? p + __builtin_ctz(m) : end;
    }
#endif
    while (p < end && !is_structure(*p)) p++;
    return p;
}

const uint8_t *json_container_rest(const uint8_t *p, const uint8_t *start, const uint8_t *end)
{
    for (size_t depth = 1;;) {
        p = next_structure(p, start, end);
        if (p == end) return NULL;
        uint8_t c = *p++;
        if (c == '"') {
            p = json_string_close(p, end);
            if (!p) return NULL;
            p++;
        } else if ((c | 0x20) == '{') {
            depth++;
        } else if (--depth == 0) {
            return p;
        }
    }
}

const uint8_t *json_value_end(const uint8_t *p, const uint8_t *start, const uint8_t *end)
{
    if (p >= end) return NULL;
    if (*p == '{' || *p == '[') return json_container_rest(p + 1, start, end);
    if (*p == '"') {
        p = json_string_close(p + 1, end);
        return p ? p + 1 : NULL;
    }
    const uint8_t *first = p;
    while (p < end && *p != ',' && *p != ']' && *p != '}' && !json_is_space(*p)) p++;
    return p > first ? p : NULL;
}

/* ---- walking ---- */

struct walk {
    const uint8_t *start, *p, *end;
    bool object, first;
};

static int walk_begin(struct walk *w, slice container)
{
    w->start = container.p;
    w->end = container.p + container.n;
    w->p = json_skip_space(w->start, w->end);
    if (w->p == w->end) return E_CORRUPT;
    if (*w->p != '{' && *w->p != '[') return E_INVALID;
    w->object = *w->p++ == '{';
    w->first = true;
    return E_OK;
}

/* Stands behind the bracket or behind a value; goes to the start of the next value. E_END at the closing bracket. */
static int walk_next(struct walk *w, slice *name)
{
    const uint8_t *p = json_skip_space(w->p, w->end), *end = w->end;
    if (p == end) return E_CORRUPT;
    if (*p == (w->object ? '}' : ']')) return E_END;
    if (!w->first) {
        if (*p != ',') return E_CORRUPT;
        p = json_skip_space(p + 1, end);
    }
    w->first = false;
    *name = (slice){NULL, 0};
    if (w->object) {
        if (p == end || *p != '"') return E_CORRUPT;
        const uint8_t *close = json_string_close(p + 1, end);
        if (!close) return E_CORRUPT;
        *name = slice_of(p + 1, (size_t)(close - p - 1));
        p = json_skip_space(close + 1, end);
        if (p == end || *p != ':') return E_CORRUPT;
        p = json_skip_space(p + 1, end);
    }
    if (p == end) return E_CORRUPT;
    w->p = p;
    return E_OK;
}

int json_next(slice container, size_t *at, slice *name, slice *value)
{
    ASSERT(at && name && value);
    ASSERT(container.p || container.n == 0);
    if (*at > container.n) return E_CORRUPT;
    struct walk w;
    int r = walk_begin(&w, container);
    if (r) return r;
    if (*at) {
        w.p = container.p + *at;
        w.first = false;
    }
    slice found;
    r = walk_next(&w, &found);
    if (r) return r;
    const uint8_t *behind = json_value_end(w.p, w.start, w.end);
    if (!behind) return E_CORRUPT;
    *name = found;
    *value = slice_of(w.p, (size_t)(behind - w.p));
    *at = (size_t)(behind - container.p);
    return E_OK;
}

/* Moves *in from a container to the text that starts with the value one step below (its end is not looked for). */
static int step_into(slice *in, const struct json_step *step)
{
    struct walk w;
    int r = walk_begin(&w, *in);
    if (r) return r == E_INVALID ? E_NOTFOUND : r;
    if (w.object != (step->index < 0)) return E_NOTFOUND;
    for (int64_t i = 0;; i++) {
        slice name;
        r = walk_next(&w, &name);
        if (r) return r == E_END ? E_NOTFOUND : r;
        if (w.object ? json_text_eq(name, step->name) : i == step->index) break;
        w.p = json_value_end(w.p, w.start, w.end);
        if (!w.p) return E_CORRUPT;
    }
    *in = slice_of(w.p, (size_t)(w.end - w.p));
    return E_OK;
}

int json_find(slice json, const struct json_path *path, slice *value)
{
    ASSERT(path->n <= JSON_PATH_MAX);
    ASSERT(json.p || json.n == 0);
    for (size_t i = 0; i < path->n; i++) {
        int r = step_into(&json, &path->step[i]);
        if (r) return r;
    }
    if (json.n == 0) return E_CORRUPT;
    const uint8_t *p = json_skip_space(json.p, json.p + json.n);
    const uint8_t *behind = json_value_end(p, json.p, json.p + json.n);
    if (!behind) return E_CORRUPT;
    *value = slice_of(p, (size_t)(behind - p));
    return E_OK;
}

/* ---- path texts ---- */

static const uint8_t *parse_name(const uint8_t *p, const uint8_t *end, struct json_step *step)
{
    const uint8_t *first = p;
    while (p < end && *p != '.' && *p != '[' && *p != ']' && *p != '"' && *p != '\\') p++;
    if (p == first) return NULL;
    *step = (struct json_step){slice_of(first, (size_t)(p - first)), -1};
    return p;
}

/* [digits] or ["name"], p behind the bracket. */
static const uint8_t *parse_bracket(const uint8_t *p, const uint8_t *end, struct json_step *step)
{
    if (p < end && *p == '"') {
        bool escapes = false;
        const uint8_t *bad;
        const char *why;
        const uint8_t *close = json_check_inside(p + 1, p, end, &escapes, &bad, &why);
        if (!close) return NULL;
        *step = (struct json_step){slice_of(p + 1, (size_t)(close - p - 1)), -1};
        p = close + 1;
    } else {
        const uint8_t *last = json_skip_digits(p, end);
        if (last == p || last - p > 18 || (*p == '0' && last - p > 1)) return NULL;
        int64_t index = 0;
        for (; p < last; p++) index = index * 10 + (*p - '0');
        *step = (struct json_step){{NULL, 0}, index};
    }
    return p < end && *p == ']' ? p + 1 : NULL;
}

int json_path_parse(slice text, struct json_path *out)
{
    ASSERT(out);
    ASSERT(text.p || text.n == 0);
    if (text.n == 0) return E_SYNTAX;
    const uint8_t *p = text.p, *end = text.p + text.n;
    out->n = 0;
    /* A name may begin with '$' too: only `$`, `$.` and `$[` mean the whole value. */
    bool rooted = *p == '$' && (text.n == 1 || p[1] == '.' || p[1] == '[');
    if (rooted) p++;
    bool name_next = !rooted && *p != '[';
    while (p < end || name_next) {
        if (out->n == JSON_PATH_MAX) return E_SYNTAX;
        struct json_step *step = &out->step[out->n++];
        if (name_next) {
            p = parse_name(p, end, step);
        } else if (*p == '[') {
            p = parse_bracket(p + 1, end, step);
        } else if (*p == '.') {
            p = parse_name(p + 1, end, step);
        } else {
            return E_SYNTAX;
        }
        if (!p) return E_SYNTAX;
        name_next = false;
    }
    return E_OK;
}
