/* Databases over time; see dbs.h. */
#include "engine/dbs.h"
#include "base/mem.h"
#include "engine/books.h"

void dbs_init(struct dbs *d)
{
    ASSERT(d);
    memset(d, 0, sizeof *d);
    mutex_init(&d->mutex, "databases", RANK_LEAF);
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) atomic_init(&d->lineage_of[i], (uint16_t)i);
}

void dbs_fini(struct dbs *d)
{
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) {
        mem_free(d->flushes[i].at);
        mem_free(d->moves[i].at);
    }
    mem_free(d->flushes_of_all.at);
    mutex_fini(&d->mutex);
}

static void list_add(struct dbs_list *l, uint64_t v)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 4;
        l->at = mem_realloc(l->at, l->cap * sizeof *l->at);
    }
    l->at[l->n++] = v;
}

/* How many records of `stride` words have a first word <= v. */
static size_t list_upto(const struct dbs_list *l, size_t stride, uint64_t v)
{
    size_t lo = 0, hi = l->n / stride;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (l->at[mid * stride] <= v)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The newest state changes between these two; a reader that saw `turn` odd or changed reads again. The stores between are release, so that none
 * is seen before the odd turn; the reader's loads are acquire, so that none is done after its second look at the turn. */
static void turn_begin(struct dbs *d)
{
    uint64_t t = atomic_load_explicit(&d->turn, memory_order_relaxed);
    ASSERT((t & 1) == 0);
    atomic_store_explicit(&d->turn, t + 1, memory_order_relaxed);
}

static void turn_end(struct dbs *d, uint64_t seq)
{
    atomic_store_explicit(&d->newest_event, seq, memory_order_release);
    uint64_t t = atomic_load_explicit(&d->turn, memory_order_relaxed);
    ASSERT(t & 1);
    atomic_store_explicit(&d->turn, t + 1, memory_order_release);
}

void dbs_flush(struct dbs *d, uint16_t lineage, uint64_t seq)
{
    ASSERT(seq > atomic_load_explicit(&d->newest_event, memory_order_relaxed));
    ASSERT(lineage < ENGINE_DATABASES_MAX || lineage == NODE_ALL_LINEAGES);
    bool all = lineage == NODE_ALL_LINEAGES;
    mutex_lock(&d->mutex);
    list_add(all ? &d->flushes_of_all : &d->flushes[lineage], seq);
    turn_begin(d);
    for (unsigned i = all ? 0 : lineage; i < (all ? ENGINE_DATABASES_MAX : lineage + 1u); i++)
        atomic_store_explicit(&d->flushed[i], seq, memory_order_release);
    turn_end(d, seq);
    mutex_unlock(&d->mutex);
}

void dbs_swap(struct dbs *d, uint16_t a, uint16_t b, uint64_t seq)
{
    ASSERT(seq > atomic_load_explicit(&d->newest_event, memory_order_relaxed));
    ASSERT(a < ENGINE_DATABASES_MAX && b < ENGINE_DATABASES_MAX);
    uint16_t of_a = atomic_load_explicit(&d->lineage_of[a], memory_order_relaxed);
    uint16_t of_b = atomic_load_explicit(&d->lineage_of[b], memory_order_relaxed);
    mutex_lock(&d->mutex);
    if (a != b) {
        list_add(&d->moves[a], seq);
        list_add(&d->moves[a], of_b);
        list_add(&d->moves[b], seq);
        list_add(&d->moves[b], of_a);
    }
    turn_begin(d);
    atomic_store_explicit(&d->lineage_of[a], of_b, memory_order_release);
    atomic_store_explicit(&d->lineage_of[b], of_a, memory_order_release);
    turn_end(d, seq);
    mutex_unlock(&d->mutex);
}

static uint64_t search_flushed(const struct dbs *d, uint16_t lineage, uint64_t at)
{
    const struct dbs_list *own = &d->flushes[lineage], *all = &d->flushes_of_all;
    size_t i = list_upto(own, 1, at), j = list_upto(all, 1, at);
    uint64_t a = i ? own->at[i - 1] : 0, b = j ? all->at[j - 1] : 0;
    return a > b ? a : b;
}

static uint16_t search_lineage(const struct dbs *d, uint16_t db, uint64_t at)
{
    const struct dbs_list *l = &d->moves[db];
    size_t i = list_upto(l, 2, at);
    return i ? (uint16_t)l->at[2 * (i - 1) + 1] : db;
}

void dbs_at(struct dbs *d, uint16_t db, uint64_t at, struct db_view *out)
{
    ASSERT(db < ENGINE_DATABASES_MAX && out);
    for (;;) {
        uint64_t before = atomic_load_explicit(&d->turn, memory_order_acquire);
        if (before & 1) continue;
        uint64_t newest = atomic_load_explicit(&d->newest_event, memory_order_acquire);
        uint16_t lineage = atomic_load_explicit(&d->lineage_of[db], memory_order_acquire);
        uint64_t flushed = atomic_load_explicit(&d->flushed[lineage], memory_order_acquire);
        if (atomic_load_explicit(&d->turn, memory_order_relaxed) != before) continue;
        if (at < newest) break;
        *out = (struct db_view){.lineage = lineage, .flushed = flushed};
        return;
    }
    mutex_lock(&d->mutex);
    uint16_t lineage = search_lineage(d, db, at);
    *out = (struct db_view){.lineage = lineage, .flushed = search_flushed(d, lineage, at)};
    mutex_unlock(&d->mutex);
}

uint64_t dbs_flushed(struct dbs *d, uint16_t lineage, uint64_t at)
{
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    uint64_t newest = atomic_load_explicit(&d->flushed[lineage], memory_order_acquire);
    if (newest <= at) return newest;
    mutex_lock(&d->mutex);
    uint64_t r = search_flushed(d, lineage, at);
    mutex_unlock(&d->mutex);
    return r;
}

uint64_t dbs_flushed_next(struct dbs *d, uint16_t lineage, uint64_t seq)
{
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    if (atomic_load_explicit(&d->flushed[lineage], memory_order_acquire) <= seq) return UINT64_MAX;
    const struct dbs_list *own = &d->flushes[lineage], *all = &d->flushes_of_all;
    mutex_lock(&d->mutex);
    size_t i = list_upto(own, 1, seq), j = list_upto(all, 1, seq);
    uint64_t a = i < own->n ? own->at[i] : UINT64_MAX, b = j < all->n ? all->at[j] : UINT64_MAX;
    mutex_unlock(&d->mutex);
    return a < b ? a : b;
}

uint64_t dbs_moved_next(struct dbs *d, uint16_t db, uint64_t seq)
{
    ASSERT(db < ENGINE_DATABASES_MAX);
    const struct dbs_list *l = &d->moves[db];
    mutex_lock(&d->mutex);
    size_t i = list_upto(l, 2, seq);
    uint64_t r = 2 * i < l->n ? l->at[2 * i] : UINT64_MAX;
    mutex_unlock(&d->mutex);
    return r;
}

void dbs_check(struct dbs *d)
{
    bool seen[ENGINE_DATABASES_MAX] = {false};
    mutex_lock(&d->mutex);
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) {
        uint16_t lineage = atomic_load(&d->lineage_of[i]);
        ASSERT(lineage < ENGINE_DATABASES_MAX && !seen[lineage]);
        seen[lineage] = true;
        ASSERT(search_lineage(d, (uint16_t)i, UINT64_MAX) == lineage);
        ASSERT(search_flushed(d, (uint16_t)i, UINT64_MAX) == atomic_load(&d->flushed[i]));
        for (size_t k = 1; k < d->flushes[i].n; k++) ASSERT(d->flushes[i].at[k - 1] < d->flushes[i].at[k]);
        for (size_t k = 2; k < d->moves[i].n; k += 2) ASSERT(d->moves[i].at[k - 2] < d->moves[i].at[k]);
    }
    mutex_unlock(&d->mutex);
}

/* ---- the engine's side ---- */

void engine_db_at(struct engine *e, uint16_t db, uint64_t at, struct db_view *out)
{
    ASSERT(e && e->fold);
    dbs_at(&e->fold->dbs, db, at, out);
}

void engine_db_counts(struct engine *e, uint16_t lineage, struct db_counts *out)
{
    ASSERT(e && e->fold);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    struct lineage_book *b = &e->fold->lineage[lineage];
    *out = (struct db_counts){.keys = atomic_load_explicit(&b->keys, memory_order_relaxed),
                              .docs = atomic_load_explicit(&b->docs, memory_order_relaxed),
                              .expiring = atomic_load_explicit(&b->expiring, memory_order_relaxed)};
}

uint64_t engine_flushed(struct engine *e, uint16_t lineage)
{
    ASSERT(e && e->fold);
    return dbs_flushed(&e->fold->dbs, lineage, UINT64_MAX);
}

uint64_t engine_next_event(struct engine *e, uint16_t db, uint16_t lineage, uint64_t after)
{
    ASSERT(e && e->fold);
    ASSERT(db < ENGINE_DATABASES_MAX && lineage < ENGINE_DATABASES_MAX);
    uint64_t flush = dbs_flushed_next(&e->fold->dbs, lineage, after), move = dbs_moved_next(&e->fold->dbs, db, after);
    return flush < move ? flush : move;
}
