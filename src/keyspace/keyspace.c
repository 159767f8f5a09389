/* Opening and closing, the books over all lineages, and what happens when the cache or the log is thrown away.
 *
 * At start the tables are empty. The engine has folded the whole log, so counts and the map of databases are taken from it; what is newer than the index
 * runs counts as forgotten (place.c), until the next checkpoint. */
#include "keyspace/parts.h"

#include "base/mem.h"

#include <unistd.h>

struct line *ks_line(struct keyspace *ks, uint16_t lineage)
{
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    return &ks->lines[lineage];
}

struct table *ks_tables_new(struct keyspace *ks)
{
    struct table *t = mem_alloc(ks->shards * sizeof *t);
    for (unsigned i = 0; i < ks->shards; i++) table_init(&t[i], &ks->seed);
    return t;
}

int64_t ks_tables_bytes(const struct keyspace *ks, const struct table *tables)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < ks->shards; i++) sum += tables[i].bytes;
    return (int64_t)sum;
}

void ks_forget(struct keyspace *ks, uint64_t seq)
{
    if (seq > __atomic_load_n(&ks->forgot, __ATOMIC_RELAXED)) __atomic_store_n(&ks->forgot, seq, __ATOMIC_RELAXED);
}

/* Database map, flushes and counts as the engine has folded them. */
static void take_books(struct keyspace *ks)
{
    for (unsigned db = 0; db < ks->databases; db++) {
        struct db_view view;
        engine_db_at(ks->engine, (uint16_t)db, UINT64_MAX, &view);
        struct line *l = ks_line(ks, view.lineage);
        struct db_counts n;
        engine_db_counts(ks->engine, view.lineage, &n);
        ks->map[db] = view.lineage;
        l->flushed = view.flushed;
        l->keys = n.keys;
        l->expiring = n.expiring;
        if (l->tables == NULL) l->tables = ks_tables_new(ks);
    }
}

static uint64_t default_cache_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page / 2 : 1ull << 30;
}

int ks_open(const struct ks_options *o, struct keyspace **out)
{
    ASSERT(o->engine != NULL && out != NULL);
    if (o->databases == 0 || o->databases > ENGINE_DATABASES_MAX || o->loops == 0 || o->loops > KS_LOOPS_MAX) return E_INVALID;
    int err = engine_catch_up(o->engine, 0);
    if (err != E_OK) return err;
    struct keyspace *ks = mem_zalloc(sizeof *ks);
    ks->engine = o->engine;
    ks->seed = *engine_seed(o->engine);
    ks->databases = o->databases;
    ks->loops = o->loops;
    ks->shards = o->loops > 1 ? KS_STRIPES : 1;
    ks->cache_bytes = o->cache_bytes != 0 ? o->cache_bytes : default_cache_bytes();
    ks->active_expiry = true;
    ks->map = mem_zalloc(o->databases * sizeof *ks->map);
    ks->swaps = mem_zalloc(o->databases * sizeof *ks->swaps);
    ks->lines = mem_zalloc(ENGINE_DATABASES_MAX * sizeof *ks->lines);
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) ks->lines[i].lineage = (uint16_t)i;
    lock_open(ks);
    take_books(ks);
    struct engine_marks marks;
    engine_get_marks(ks->engine, &marks);
    ks_forget(ks, marks.last_seq);
    *out = ks;
    return E_OK;
}

static void tables_free(struct keyspace *ks, struct line *l)
{
    for (unsigned i = 0; i < ks->shards; i++) table_fini(&l->tables[i]);
    mem_free(l->tables);
    l->tables = NULL;
}

void ks_close(struct keyspace **pks)
{
    struct keyspace *ks = *pks;
    if (ks == NULL) return;
    ASSERT(!ks->undo.open);
    late_finish(ks);
    mem_free(ks->late);
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++)
        if (ks->lines[i].tables != NULL) tables_free(ks, &ks->lines[i]);
    (void)sweep_graves(ks, UINT32_MAX);
    lock_close(ks);
    buf_fini(&ks->undo.keys);
    mem_free(ks->undo.v);
    token_fini(&ks->undo.tokens);
    mem_free(ks->lines);
    mem_free(ks->map);
    mem_free(ks->swaps);
    mem_free(ks);
    *pks = NULL;
}

struct engine *ks_engine(struct keyspace *ks)
{
    return ks->engine;
}
unsigned ks_databases(const struct keyspace *ks)
{
    return ks->databases;
}
void ks_set_active_expiry(struct keyspace *ks, bool on)
{
    __atomic_store_n(&ks->active_expiry, on, __ATOMIC_RELAXED);
}
void ks_set_lfu(struct keyspace *ks, bool on)
{
    __atomic_store_n(&ks->lfu, on, __ATOMIC_RELAXED);
}

uint64_t ks_count(struct ks_ctx *c, uint16_t db, uint64_t *expiring)
{
    ASSERT(db < c->ks->databases);
    const struct line *l = ks_line(c->ks, c->ks->map[db]);
    if (expiring != NULL) *expiring = __atomic_load_n(&l->expiring, __ATOMIC_RELAXED);
    return __atomic_load_n(&l->keys, __ATOMIC_RELAXED);
}

/* ---- throwing the cache away ---- */

static void drop_tables(struct keyspace *ks)
{
    late_finish(ks);
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) {
        struct line *l = &ks->lines[i];
        if (l->tables == NULL) continue;
        ks_tally(ks, &ks->entry_bytes, -ks_tables_bytes(ks, l->tables));
        for (unsigned k = 0; k < ks->shards; k++) table_fini(&l->tables[k]);
    }
    ASSERT(ks->entry_bytes == 0);
}

void ks_drop_cache(struct ks_ctx *c)
{
    struct keyspace *ks = c->ks;
    struct engine_marks marks;
    ASSERT(c->batch == NULL);
    ASSERT(!ks_many(ks) || c->entered == 1 + KS_EXCLUSIVE);
    int rc = engine_checkpoint(ks->engine);
    (void)rc; /* when it fails, look-ups ask the whole index instead of the runs */
    engine_get_marks(ks->engine, &marks);
    ks_forget(ks, marks.last_seq);
    drop_tables(ks);
}

/* What the log did not take never was: entries come back from what it did take. Entries at or below written_seq go too:
 * one that was overwritten since has lost what it was, and telling them apart saves nothing on such a day. */
void ks_log_failed(struct ks_ctx *c)
{
    struct keyspace *ks = c->ks;
    struct engine_marks marks;
    ASSERT(c->batch == NULL);
    ASSERT(!ks_many(ks) || c->entered == 1 + KS_EXCLUSIVE);
    engine_get_marks(ks->engine, &marks);
    drop_tables(ks);
    __atomic_store_n(&ks->forgot, marks.written_seq, __ATOMIC_RELAXED);
    if (engine_catch_up(ks->engine, marks.written_seq) == E_OK) take_books(ks);
}

/* ---- figures and checks ---- */

void ks_get_stats(struct keyspace *ks, struct ks_stats *out)
{
    *out = (struct ks_stats){0};
    for (unsigned k = 0; k < ks->shards; k++) {
        if (ks_many(ks)) mutex_lock(&ks->stripes[k]);
        for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) {
            const struct line *l = &ks->lines[i];
            if (l->tables == NULL) continue;
            out->entries += l->tables[k].count;
            out->entry_bytes += table_bytes(&l->tables[k]);
        }
        if (ks_many(ks)) mutex_unlock(&ks->stripes[k]);
    }
    for (unsigned i = 0; i < ks->loops; i++) {
        out->hits += __atomic_load_n(&ks->gates[i].hits, __ATOMIC_RELAXED);
        out->misses += __atomic_load_n(&ks->gates[i].misses, __ATOMIC_RELAXED);
    }
    uint64_t all = __atomic_load_n(&ks->entry_bytes, __ATOMIC_RELAXED), fixed = out->entries * ENTRY_HEADER_BYTES;
    out->value_bytes = all > fixed ? all - fixed : 0;
    out->entry_bytes += all - out->value_bytes;
    out->loads = __atomic_load_n(&ks->loads, __ATOMIC_RELAXED);
    out->evicted = __atomic_load_n(&ks->evicted, __ATOMIC_RELAXED);
    out->expired = __atomic_load_n(&ks->expired, __ATOMIC_RELAXED);
}

struct checked {
    struct keyspace *ks;
    const struct line *line;
    uint64_t last_seq, bytes, touched;
};

static struct entry *check_entry(void *ctx, struct table *t, struct entry *e)
{
    struct checked *k = ctx;
    ASSERT(k->touched != 0 || e->head <= k->last_seq);
    ASSERT(!entry_live(e) || e->head > k->line->flushed);
    ASSERT(k->ks->undo.open || !(e->marks & ENTRY_TOUCHED));
    k->bytes += e->room_bytes;
    return e;
}

void ks_check(struct keyspace *ks)
{
    struct engine_marks marks;
    uint64_t bytes = 0;
    engine_get_marks(ks->engine, &marks);
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) {
        const struct line *l = &ks->lines[i];
        ASSERT(l->expiring <= l->keys);
        for (unsigned k = 0; l->tables != NULL && k < ks->shards; k++) {
            struct table *t = &l->tables[k];
            struct checked sum = {.ks = ks, .line = l, .last_seq = marks.last_seq, .touched = ks->undo.open};
            table_check(t);
            for (uint64_t b = 0; b < t->buckets; b++) table_each(t, b, check_entry, &sum);
            ASSERT(sum.bytes == t->bytes);
            bytes += sum.bytes;
        }
    }
    ASSERT(bytes == ks->entry_bytes);
    for (unsigned db = 0; db < ks->databases; db++)
        for (unsigned other = 0; other < db; other++) ASSERT(ks->map[db] != ks->map[other]);
}
