/* GROUP BY: rows in, groups out.
 *
 * A group is found by the keys of its values (nql_field_key), which are equal exactly when the values are: 1 and 1.0 are one group, 2^53 and
 * 2^53 + 1 are two. Nothing that comes out may depend on the order of the rows, or an index would change the answer. Therefore sums are exact until
 * they are printed (nql_sum), and among equal values that are spelled differently the shortest spelling is shown, then the lowest in bytes.
 *
 * Afterwards the groups go into a heap by their place in the result, a few a call, and are taken off it one by one: no call takes long. */
#include "modules/doc/nql_field.h"
#include "modules/doc/nql_lex.h"
#include "modules/doc/nql_sum.h"

#include <sys/random.h>

#define SLOTS_MIN 64

struct best { /* MIN or MAX so far, or a group's value */
    bool any;
    struct nql_field f;
    struct buf mem; /* what f.s stands in */
};
struct total {
    struct nql_sum sum;
    struct best best;
};
struct group {
    uint64_t hash, rows;
    slice key;
    struct buf place;
    struct best *value;  /* [n_group] */
    struct total *total; /* [n_aggregates] */
};
struct nql_groups {
    const struct nql_query *q;
    struct nql_arena arena; /* groups and their keys */
    struct group **group;   /* in the order they came; then a heap of the first n_heap */
    size_t n, cap;
    uint32_t *slot; /* index + 1 into group, 0 = free */
    size_t slots;
    uint64_t seed[2];
    size_t bytes;
    bool finishing;
    size_t n_heap, taken; /* heap and, behind it, what has been given, last first */
    struct json_picker *picker; /* finds the fields of a row in one pass */
    struct buf key, row;
};
struct sight { /* one row while it is taken in */
    const struct nql_row *row;
    uint64_t found; /* bit per path */
    slice value[NQL_PATHS_MAX];
};

static struct json_picker *picker_of(const struct nql_query *q)
{
    const struct json_path *fields[NQL_PATHS_MAX] = {NULL};
    for (uint32_t i = 0; i < q->n_group; i++) fields[q->group[i]] = q->path[q->group[i]].json;
    for (uint32_t i = 0; i < q->n_aggregates; i++)
        if (q->aggregate[i].kind != NQL_COUNT) fields[q->aggregate[i].path] = q->path[q->aggregate[i].path].json;
    return json_picker_new(fields, q->n_paths);
}

static struct nql_field look(const struct nql_query *q, const struct sight *s, uint32_t path)
{
    if (q->path[path].kind != NQL_DOC) return nql_field_of(q, s->row, path);
    return s->found >> path & 1 ? nql_field_json(s->value[path]) : (struct nql_field){.form = NQL_MISSING};
}

struct nql_groups *nql_groups_new(const struct nql_query *q)
{
    ASSERT(q->grouped && q->n_group > 0);
    struct nql_groups *g = mem_zalloc(sizeof *g);
    g->q = q;
    g->picker = picker_of(q);
    g->slots = SLOTS_MIN;
    g->slot = mem_zalloc(g->slots * sizeof *g->slot);
    if (getrandom(g->seed, sizeof g->seed, GRND_NONBLOCK) < 0) g->seed[0] = (uintptr_t)g;
    return g;
}

static void group_fini(const struct nql_groups *g, struct group *r)
{
    for (uint32_t i = 0; i < g->q->n_group; i++) buf_fini(&r->value[i].mem);
    for (uint32_t i = 0; i < g->q->n_aggregates; i++) {
        nql_sum_fini(&r->total[i].sum);
        buf_fini(&r->total[i].best.mem);
    }
    buf_fini(&r->place);
}

void nql_groups_free(struct nql_groups **at)
{
    struct nql_groups *g = *at;
    if (!g) return;
    for (size_t i = 0; i < g->n; i++) group_fini(g, g->group[i]);
    json_picker_free(&g->picker);
    nql_arena_free(&g->arena);
    buf_fini(&g->key);
    buf_fini(&g->row);
    mem_free(g->group);
    mem_free(g->slot);
    mem_free(g);
    *at = NULL;
}

size_t nql_groups_count(const struct nql_groups *g) { return g->n; }

/* ---- the table ---- */

/* Seeded, so that nobody can prepare values that meet. */
static uint64_t hash_of(const struct nql_groups *g, slice key)
{
    uint64_t h = g->seed[0] ^ key.n;
    for (size_t i = 0; i < key.n; i += 8) {
        uint64_t v = 0;
        memcpy(&v, key.p + i, key.n - i < 8 ? key.n - i : 8);
        unsigned __int128 m = (unsigned __int128)(v ^ g->seed[1]) * (h | 0x9e3779b97f4a7c15u);
        h = (uint64_t)m ^ (uint64_t)(m >> 64) ^ v;
    }
    return h ^ h >> 32;
}

static size_t slot_of(const struct nql_groups *g, uint64_t hash, slice key)
{
    size_t i = hash & (g->slots - 1);
    for (; g->slot[i]; i = (i + 1) & (g->slots - 1)) {
        const struct group *r = g->group[g->slot[i] - 1];
        if (r->hash == hash && slice_eq(r->key, key)) break;
    }
    return i;
}

static void grow(struct nql_groups *g)
{
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : SLOTS_MIN / 2;
        g->group = mem_realloc(g->group, g->cap * sizeof *g->group);
    }
    if (g->n + 1 <= g->slots / 2) return;
    mem_free(g->slot);
    g->slots *= 2;
    g->slot = mem_zalloc(g->slots * sizeof *g->slot);
    for (size_t i = 0; i < g->n; i++) {
        size_t at = g->group[i]->hash & (g->slots - 1);
        while (g->slot[at]) at = (at + 1) & (g->slots - 1);
        g->slot[at] = (uint32_t)i + 1;
    }
}

static struct group *new_group(struct nql_groups *g, uint64_t hash, slice key)
{
    const struct nql_query *q = g->q;
    grow(g);
    struct group *r = nql_arena_take(&g->arena, sizeof *r);
    r->hash = hash;
    r->key = nql_arena_copy(&g->arena, key);
    r->value = nql_arena_take(&g->arena, q->n_group * sizeof *r->value);
    r->total = nql_arena_take(&g->arena, q->n_aggregates * sizeof *r->total);
    g->bytes += sizeof *r + key.n + q->n_group * sizeof *r->value + q->n_aggregates * sizeof *r->total;
    g->slot[slot_of(g, hash, key)] = (uint32_t)g->n + 1;
    g->group[g->n++] = r;
    return r;
}

/* ---- rows in ---- */

static void keep(struct nql_groups *g, struct best *b, const struct nql_field *f)
{
    size_t before = b->mem.cap;
    b->any = true;
    b->f = *f;
    buf_clear(&b->mem);
    buf_add_slice(&b->mem, f->s);
    b->f.s = slice_of(b->mem.p ? b->mem.p : (const uint8_t *)"", f->s.n);
    g->bytes += b->mem.cap - before;
}

/* sign: -1 keeps the smallest, 1 the largest, 0: they are equal. Among equal values the spelling decides. */
static void offer(struct nql_groups *g, struct best *b, const struct nql_field *f, int sign)
{
    int c = b->any && sign ? nql_field_order(f, &b->f) * sign : 0;
    if (b->any && c == 0) {
        bool shorter = f->s.n < b->f.s.n || (f->s.n == b->f.s.n && slice_cmp(f->s, b->f.s) < 0);
        if (f->form != NQL_JSON || b->f.form != NQL_JSON || !shorter) return;
    }
    if (c >= 0) keep(g, b, f);
}

static void add_up(struct nql_groups *g, struct total *t, const struct nql_aggregate *a, const struct sight *s)
{
    struct nql_field f = look(g->q, s, a->path);
    bool wide = t->sum.wide;
    if (f.form == NQL_MISSING) return;
    if (a->kind == NQL_MIN || a->kind == NQL_MAX) {
        offer(g, &t->best, &f, a->kind == NQL_MAX ? 1 : -1);
    } else if (f.form == NQL_NUMBER) {
        nql_sum_add_u64(&t->sum, f.number);
    } else if (nql_field_type(&f) == JSON_NUMBER) {
        nql_sum_add(&t->sum, f.s);
    }
    if (!wide && t->sum.wide) g->bytes += NQL_SUM_LIMBS * sizeof *t->sum.wide;
}

int nql_groups_add(struct nql_groups *g, const struct nql_row *row)
{
    const struct nql_query *q = g->q;
    struct nql_field value[NQL_GROUP_MAX];
    struct sight s;
    ASSERT(!g->finishing);
    s.row = row;
    s.found = json_pick(g->picker, row->json, s.value);
    buf_clear(&g->key);
    for (uint32_t i = 0; i < q->n_group; i++) {
        value[i] = look(q, &s, q->group[i]);
        nql_field_key(&value[i], q->path[q->group[i]].kind != NQL_DOC, false, &g->key);
    }
    uint64_t hash = hash_of(g, buf_slice(&g->key));
    uint32_t found = g->slot[slot_of(g, hash, buf_slice(&g->key))];
    /* What one row may add at most: its values as keys, as they stand, and as the bests of every aggregate. */
    size_t most = g->key.n * 2 + row->json.n * (size_t)(1 + q->n_aggregates);
    if (g->bytes + most > NQL_GROUP_BYTES_MAX || (!found && g->n == NQL_GROUPS_MAX)) return E_TOOBIG;
    struct group *r = found ? g->group[found - 1] : new_group(g, hash, buf_slice(&g->key));
    r->rows++;
    for (uint32_t i = 0; i < q->n_group; i++) offer(g, &r->value[i], &value[i], 0);
    for (uint32_t i = 0; i < q->n_aggregates; i++)
        if (q->aggregate[i].kind != NQL_COUNT) add_up(g, &r->total[i], &q->aggregate[i], &s);
    return E_OK;
}

/* ---- groups out ---- */

static void print_aggregate(const struct nql_groups *g, const struct group *r, uint32_t i, struct buf *out)
{
    const struct total *t = &r->total[i];
    switch (g->q->aggregate[i].kind) {
    case NQL_COUNT: buf_printf(out, "%llu", (unsigned long long)r->rows); return;
    case NQL_SUM: nql_sum_print(&t->sum, out); return;
    case NQL_AVG: nql_sum_print_mean(&t->sum, out); return;
    case NQL_MIN:
    case NQL_MAX: break;
    }
    if (t->best.any)
        nql_field_print(&t->best.f, out);
    else
        buf_add_str(out, "null");
}

static void order_key(struct nql_groups *g, const struct group *r, const struct nql_order *o, struct buf *out)
{
    const struct nql_query *q = g->q;
    struct nql_field f;
    if (o->of_aggregate) {
        buf_clear(&g->row);
        print_aggregate(g, r, o->aggregate, &g->row);
        f = nql_field_json(buf_slice(&g->row));
        nql_field_key(&f, false, o->descending, out);
        return;
    }
    for (uint32_t i = 0; i < q->n_group; i++)
        if (q->group[i] == o->path) nql_field_key(&r->value[i].f, q->path[o->path].kind != NQL_DOC, o->descending, out);
}

static bool before(const struct group *a, const struct group *b) { return slice_cmp(buf_slice(&a->place), buf_slice(&b->place)) < 0; }

static void swap(struct group **a, struct group **b)
{
    struct group *t = *a;
    *a = *b;
    *b = t;
}

static void push(struct nql_groups *g)
{
    struct group **h = g->group;
    size_t i = g->n_heap++;
    for (; i > 0 && before(h[i], h[(i - 1) / 2]); i = (i - 1) / 2) swap(&h[i], &h[(i - 1) / 2]);
}

/* The first one goes behind the heap's new end. */
static struct group *pop(struct nql_groups *g)
{
    struct group **h = g->group;
    size_t n = --g->n_heap;
    swap(&h[0], &h[n]);
    for (size_t i = 0, k; (k = 2 * i + 1) < n; i = k) {
        if (k + 1 < n && before(h[k + 1], h[k])) k++;
        if (!before(h[k], h[i])) break;
        swap(&h[i], &h[k]);
    }
    g->taken++;
    return h[n];
}

int nql_groups_finish(struct nql_groups *g, size_t steps)
{
    ASSERT(steps > 0 && g->taken == 0);
    g->finishing = true;
    for (; g->n_heap < g->n && steps > 0; steps--) {
        struct group *r = g->group[g->n_heap];
        for (uint32_t i = 0; i < g->q->n_order; i++) order_key(g, r, &g->q->order[i], &r->place);
        buf_add_slice(&r->place, r->key);
        push(g);
    }
    return g->n_heap < g->n ? E_AGAIN : E_OK;
}

int nql_groups_next(struct nql_groups *g, struct nql_column *column)
{
    const struct nql_query *q = g->q;
    size_t end[NQL_GROUP_MAX + NQL_AGGREGATES_MAX], n = q->n_group + q->n_aggregates;
    ASSERT(g->finishing && g->n_heap + g->taken == g->n);
    if (g->n_heap == 0) return E_END;
    const struct group *r = pop(g);
    buf_clear(&g->row);
    for (uint32_t i = 0; i < n; i++) {
        if (i < q->n_group)
            nql_field_print(&r->value[i].f, &g->row);
        else
            print_aggregate(g, r, i - q->n_group, &g->row);
        end[i] = g->row.n;
    }
    for (uint32_t i = 0; i < n; i++) {
        size_t at = i ? end[i - 1] : 0;
        column[i].name = i < q->n_group ? q->path[q->group[i]].text : q->aggregate[i - q->n_group].name;
        column[i].json = slice_of(g->row.p + at, end[i] - at);
    }
    return E_OK;
}

slice nql_groups_place(const struct nql_groups *g)
{
    ASSERT(g->taken > 0);
    return buf_slice(&g->group[g->n_heap]->place);
}
