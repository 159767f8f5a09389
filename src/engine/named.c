/* Tags and retention rules; see named.h.
 *
 * Both lists are sorted arrays of pointers: they are short, change rarely, and are asked by binary search (tags) or from the front (rules, which
 * cannot be searched: any pattern may match). */
#include "engine/named.h"
#include "base/codec.h"
#include "base/glob.h"
#include "base/mem.h"
#include "engine/books.h"
#include <stdlib.h>

#define TAG_BYTES  8
#define RULE_BYTES 16

static slice name_of(const struct named *x)
{
    return slice_of(x->bytes, x->name_bytes);
}

void named_init(struct named_set *s)
{
    ASSERT(s);
    memset(s, 0, sizeof *s);
    mutex_init(&s->mutex, "tags and rules", RANK_LEAF);
}

static void list_fini(struct named_list *l)
{
    for (size_t i = 0; i < l->n; i++) mem_free(l->at[i]);
    mem_free(l->at);
}

void named_fini(struct named_set *s)
{
    ASSERT(s);
    list_fini(&s->tags);
    list_fini(&s->rules);
    mutex_fini(&s->mutex);
}

/* ---- the lists ---- */

static int order(bool rules, slice a, slice b)
{
    if (rules && a.n != b.n) return a.n > b.n ? -1 : 1;
    return slice_cmp(a, b);
}

/* Where the name is or belongs. */
static size_t place_of(const struct named_list *l, bool rules, slice name, bool *there)
{
    size_t lo = 0, hi = l->n;
    *there = false;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = order(rules, name_of(l->at[mid]), name);
        if (c == 0) *there = true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct named *named_new(slice name, slice by)
{
    struct named *x = mem_zalloc(sizeof *x + name.n + by.n + 1);
    x->name_bytes = name.n;
    x->by_bytes = by.n;
    if (name.n) memcpy(x->bytes, name.p, name.n);
    if (by.n) memcpy(x->bytes + name.n, by.p, by.n);
    return x;
}

/* Takes x; NULL takes the name away. */
static void list_put(struct named_list *l, bool rules, slice name, struct named *x)
{
    bool there;
    size_t at = place_of(l, rules, name, &there);
    if (there) {
        struct named *old = l->at[at];
        if (x) {
            l->at[at] = x;
        } else {
            memmove(&l->at[at], &l->at[at + 1], (l->n - at - 1) * sizeof *l->at);
            l->n--;
        }
        mem_free(old);
        return;
    }
    if (!x) return;
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 16;
        l->at = mem_realloc(l->at, l->cap * sizeof *l->at);
    }
    memmove(&l->at[at + 1], &l->at[at], (l->n - at) * sizeof *l->at);
    l->at[at] = x;
    l->n++;
}

static void set_put(struct named_set *s, bool rules, slice name, struct named *x)
{
    mutex_lock(&s->mutex);
    list_put(rules ? &s->rules : &s->tags, rules, name, x);
    atomic_store_explicit(&s->n_rules, s->rules.n, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->turn, 1, memory_order_release);
    if (rules) atomic_fetch_add_explicit(&s->rules_turn, 1, memory_order_relaxed);
    mutex_unlock(&s->mutex);
}

int named_fold(struct named_set *s, const struct node *n)
{
    ASSERT(s && n);
    ASSERT(n->space == SPACE_TAG || n->space == SPACE_RETAIN);
    bool rules = n->space == SPACE_RETAIN;
    if (!node_is_live(n)) {
        set_put(s, rules, n->key, NULL);
        return E_OK;
    }
    if (n->payload.n != (rules ? RULE_BYTES : TAG_BYTES))
        return err_note(E_CORRUPT, "%s %llu holds %zu bytes", rules ? "retention rule" : "tag", (unsigned long long)n->seq, n->payload.n);
    struct named *x = named_new(n->key, rules ? (slice){0} : n->by);
    x->seq = n->seq;
    x->a = get_u64(n->payload.p);
    x->b = rules ? get_u64(n->payload.p + 8) : n->ts_ms;
    set_put(s, rules, n->key, x);
    return E_OK;
}

/* ---- saving ---- */

static void add_number(struct buf *out, uint64_t v)
{
    uint8_t *p = buf_reserve(out, VARINT_MAX);
    out->n += (size_t)(put_varint(p, v) - p);
}

static void add_text(struct buf *out, slice s)
{
    add_number(out, s.n);
    buf_add_slice(out, s);
}

static void save_list(const struct named_list *l, bool tags, struct buf *out)
{
    add_number(out, l->n);
    for (size_t i = 0; i < l->n; i++) {
        const struct named *x = l->at[i];
        add_number(out, x->seq), add_number(out, x->a), add_number(out, x->b);
        add_text(out, name_of(x));
        if (tags) add_text(out, slice_of(x->bytes + x->name_bytes, x->by_bytes));
    }
}

void named_save(struct named_set *s, struct buf *out)
{
    ASSERT(s && out);
    mutex_lock(&s->mutex);
    save_list(&s->tags, true, out);
    save_list(&s->rules, false, out);
    mutex_unlock(&s->mutex);
}

static const uint8_t *take_text(const uint8_t *p, const uint8_t *end, slice *out)
{
    uint64_t n;
    *out = (slice){0};
    p = get_varint(p, end, &n);
    if (!p || n > NODE_KEY_MAX || n > (uint64_t)(end - p)) return NULL;
    *out = slice_of(p, n);
    return p + n;
}

static const uint8_t *load_list(struct named_set *s, bool rules, const uint8_t *p, const uint8_t *end)
{
    uint64_t n, seq = 0, a = 0, b = 0;
    p = get_varint(p, end, &n);
    for (uint64_t i = 0; p && i < n; i++) {
        slice name = {0}, by = {0};
        p = get_varint(p, end, &seq);
        if (p) p = get_varint(p, end, &a);
        if (p) p = get_varint(p, end, &b);
        if (p) p = take_text(p, end, &name);
        if (p && !rules) p = take_text(p, end, &by);
        if (!p) return NULL;
        struct named *x = named_new(name, by);
        x->seq = seq, x->a = a, x->b = b;
        set_put(s, rules, name, x);
    }
    return p;
}

int named_load(struct named_set *s, const uint8_t **p, const uint8_t *end)
{
    ASSERT(s && p);
    const uint8_t *q = load_list(s, false, *p, end);
    if (q) q = load_list(s, true, q, end);
    if (!q) return E_CORRUPT;
    atomic_store_explicit(&s->rules_turn, 0, memory_order_relaxed);
    *p = q;
    return E_OK;
}

/* ---- answers ---- */

bool named_rule(struct named_set *s, slice key, struct retain_rule *out, struct buf *pattern)
{
    ASSERT(s && out);
    bool found = false;
    if (atomic_load_explicit(&s->n_rules, memory_order_relaxed) == 0) return false;
    mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->rules.n && !found; i++) {
        const struct named *x = s->rules.at[i];
        found = glob_match(name_of(x), key, false);
        if (!found) continue;
        *out = (struct retain_rule){.versions = x->a, .age_ms = x->b};
        if (pattern) buf_clear(pattern), buf_add_slice(pattern, name_of(x));
    }
    mutex_unlock(&s->mutex);
    return found;
}

bool named_holds(struct named_set *s, uint64_t from, uint64_t before)
{
    ASSERT(s);
    ASSERT(s->tags.n == 0 || s->tags.at);
    bool holds = false;
    mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->tags.n && !holds; i++) {
        const struct named *x = s->tags.at[i];
        holds = x->a >= from && x->a < before && x->seq == x->a + 1;
    }
    mutex_unlock(&s->mutex);
    return holds;
}

static int order_u64(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

uint64_t *named_points(struct named_set *s, size_t *n)
{
    ASSERT(s && n);
    mutex_lock(&s->mutex);
    uint64_t *out = mem_alloc((s->tags.n + 1) * sizeof *out);
    *n = s->tags.n;
    for (size_t i = 0; i < s->tags.n; i++) out[i] = s->tags.at[i]->a;
    mutex_unlock(&s->mutex);
    if (*n) qsort(out, *n, sizeof *out, order_u64);
    return out;
}

static void tell_tag(const struct named *x, struct engine_tag *out)
{
    *out = (struct engine_tag){.name = name_of(x),
                               .by = slice_of(x->bytes + x->name_bytes, x->by_bytes),
                               .point = x->a,
                               .seq = x->seq,
                               .ts_ms = x->b};
}

int engine_tag_find(struct engine *e, slice name, struct buf *mem, struct engine_tag *out)
{
    ASSERT(e && e->fold);
    ASSERT(mem && out);
    struct named_set *s = &e->fold->named;
    bool there;
    mutex_lock(&s->mutex);
    size_t at = place_of(&s->tags, false, name, &there);
    if (there) {
        const struct named *x = s->tags.at[at];
        buf_clear(mem);
        buf_add(mem, x, sizeof *x + x->name_bytes + x->by_bytes);
    }
    mutex_unlock(&s->mutex);
    if (there) tell_tag((const struct named *)(const void *)mem->p, out);
    return there ? E_OK : E_NOTFOUND;
}

/* Copies, so that fn may ask the engine. */
static struct named **copy_list(struct named_set *s, const struct named_list *l, size_t *n)
{
    mutex_lock(&s->mutex);
    struct named **all = mem_alloc((l->n + 1) * sizeof(struct named *));
    *n = l->n;
    for (size_t i = 0; i < l->n; i++) all[i] = mem_dup(l->at[i], sizeof **all + l->at[i]->name_bytes + l->at[i]->by_bytes);
    mutex_unlock(&s->mutex);
    return all;
}

static void free_copies(struct named **all, size_t n)
{
    for (size_t i = 0; i < n; i++) mem_free(all[i]);
    mem_free(all);
}

int engine_tag_list(struct engine *e, int (*fn)(void *ctx, const struct engine_tag *t), void *ctx)
{
    ASSERT(e && e->fold);
    ASSERT(fn);
    size_t n;
    struct engine_tag t;
    struct named **all = copy_list(&e->fold->named, &e->fold->named.tags, &n);
    int rc = E_OK;
    for (size_t i = 0; i < n && rc == E_OK; i++) {
        tell_tag(all[i], &t);
        rc = fn(ctx, &t);
    }
    free_copies(all, n);
    return rc;
}

int engine_retain_list(struct engine *e, int (*fn)(void *ctx, slice pattern, const struct retain_rule *r), void *ctx)
{
    ASSERT(e && e->fold);
    ASSERT(fn);
    size_t n;
    struct named **all = copy_list(&e->fold->named, &e->fold->named.rules, &n);
    int rc = E_OK;
    for (size_t i = 0; i < n && rc == E_OK; i++) {
        struct retain_rule r = {.versions = all[i]->a, .age_ms = all[i]->b};
        rc = fn(ctx, name_of(all[i]), &r);
    }
    free_copies(all, n);
    return rc;
}

bool engine_retain_of(struct engine *e, slice key, bool document, struct retain_rule *out, struct buf *pattern)
{
    ASSERT(e && e->fold);
    ASSERT(out);
    if (pattern) buf_clear(pattern);
    if (named_rule(&e->fold->named, key, out, pattern)) return true;
    *out = fold_default_rule(e->fold, document);
    return false;
}
