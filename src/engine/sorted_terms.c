/* Terms of a document; see sorted_terms.h. */
#include "engine/sorted_terms.h"
#include "base/mem.h"
#include "base/words.h"
#include "engine/ranges.h"
#include "engine/sorted.h"
#include <stdlib.h>

#define SETTLE_FIRST 512 /* words gathered before repeats are dropped for the first time */

void sorted_terms_clear(struct sorted_terms *s)
{
    ASSERT(s);
    buf_clear(&s->bytes);
    s->n = 0;
    s->settle_at = SETTLE_FIRST;
}

void sorted_terms_fini(struct sorted_terms *s)
{
    ASSERT(s);
    buf_fini(&s->bytes), buf_fini(&s->mem);
    mem_free(s->term);
    *s = (struct sorted_terms){0};
}

static void add(struct sorted_terms *s, size_t n)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 8;
        s->term = mem_realloc(s->term, s->cap * sizeof s->term[0]);
    }
    s->term[s->n++] = (struct sorted_term){.at = s->bytes.n, .n = n};
    s->bytes.n += n;
}

static int term_cmp(const void *x, const void *y, void *bytes)
{
    const struct sorted_term *a = x, *b = y;
    const uint8_t *p = bytes;
    return slice_cmp(slice_of(p + a->at, a->n), slice_of(p + b->at, b->n));
}

/* Sorts and drops repeats. */
static void settle(struct sorted_terms *s)
{
    size_t n = 0;
    if (s->n < 2) return;
    qsort_r(s->term, s->n, sizeof s->term[0], term_cmp, s->bytes.p);
    for (size_t i = 0; i < s->n; i++)
        if (n == 0 || !slice_eq(sorted_terms_at(s, n - 1), sorted_terms_at(s, i))) s->term[n++] = s->term[i];
    s->n = n;
}

/* The bytes of dropped repeats go too. */
static void compact(struct sorted_terms *s)
{
    struct buf bytes = {0};
    for (size_t i = 0; i < s->n; i++) {
        size_t at = bytes.n;
        buf_add_slice(&bytes, sorted_terms_at(s, i));
        s->term[i].at = at;
    }
    buf_fini(&s->bytes);
    s->bytes = bytes;
}

/* A set that doubles before it is sorted again costs what sorting once does, whatever the words are; a hash table's cost would be the client's choice. */
static int add_word(void *ctx, const struct text_word *w)
{
    struct sorted_terms *s = ctx;
    uint8_t *p = buf_reserve(&s->bytes, w->n + 1);
    memcpy(p, w->bytes, w->n);
    p[w->n] = 0;
    add(s, w->n + 1);
    if (s->n < s->settle_at) return 0;
    settle(s);
    compact(s);
    s->settle_at = 2 * s->n > SETTLE_FIRST ? 2 * s->n : SETTLE_FIRST;
    return 0;
}

void sorted_terms_of(const struct sorted *d, slice json, struct sorted_terms *out)
{
    ASSERT(d && out);
    sorted_terms_clear(out);
    slice value = sorted_value_of(d, json);
    if (d->kind == SORTED_TEXT) {
        (void)words_of_json(value, &out->mem, add_word, out);
        settle(out);
        return;
    }
    bool cut;
    json_sort_key(value, RANGE_SORT_KEY_MAX, &out->bytes, &cut);
    size_t n = out->bytes.n;
    out->bytes.n = 0;
    add(out, n);
    ASSERT(n > 0);
}

bool sorted_terms_next(const struct sorted_terms *x, const struct sorted_terms *y, size_t *a, size_t *b, bool *in_a, bool *in_b)
{
    ASSERT(x && y);
    ASSERT(*a <= x->n && *b <= y->n);
    bool more_a = *a < x->n, more_b = *b < y->n;
    if (!more_a && !more_b) return false;
    int order = !more_a ? 1 : !more_b ? -1 : slice_cmp(sorted_terms_at(x, *a), sorted_terms_at(y, *b));
    *in_a = order <= 0;
    *in_b = order >= 0;
    return true;
}
