/* Giving memory back: a clock hand over all tables.
 *
 * The hand goes bucket by bucket. An entry used since it last came by loses its mark and stays; of the others, those whose head the index runs
 * have (invariant 1) go whole, the rest lose their value when that is worth it: the log has it. Absent entries go as soon as
 * the runs know them, also when memory is not short. Tables of flushed databases wait in graves and are freed in slices.
 *
 * One sweeper at a time. With more than one loop it tries each table's stripe and passes by when someone holds it, so it can run while its own
 * command holds stripes. Never inside a batch: undo holds pointers into the tables. */
#include "keyspace/parts.h"

#include "base/mem.h"

#define TURN_BUCKETS    32
#define STRIP_BYTES_MIN 64
#define BURY_AT_ONCE    65536 /* entries that are freed without a grave */

struct broom {
    struct keyspace *ks;
    uint64_t flushed_seq;
    bool absent_only;
    int64_t freed;
    uint64_t evicted;
};

static struct entry *sweep_entry(void *ctx, struct table *t, struct entry *e)
{
    struct broom *b = ctx;
    bool known = e->head <= b->flushed_seq;
    if (!entry_live(e)) {
        if (!known) return e;
        t->absent--;
    } else {
        if (b->absent_only) return e;
        if (e->marks & ENTRY_USED) {
            e->marks &= (uint8_t)~ENTRY_USED;
            return e;
        }
        if (!known) {
            if (e->value_bytes < STRIP_BYTES_MIN) return e;
            uint32_t before = e->room_bytes;
            unsigned marks = e->marks & ~(unsigned)(ENTRY_LOADED | ENTRY_WEIGHED);
            struct entry *small = entry_shape(e, marks, 0, 0, ENTRY_FRESH);
            b->freed += (int64_t)before - (int64_t)small->room_bytes;
            t->bytes -= before - small->room_bytes;
            entry_free(&e);
            return small;
        }
        b->evicted++;
    }
    b->freed += e->room_bytes;
    t->bytes -= e->room_bytes;
    entry_free(&e);
    return NULL;
}

/* Moves on to the next table; false after a whole round. */
static bool next_table(struct keyspace *ks, unsigned *passed)
{
    if (++ks->sweep_shard >= ks->shards) {
        ks->sweep_shard = 0;
        do {
            ks->sweep_line = (ks->sweep_line + 1) % ENGINE_DATABASES_MAX;
            if (++*passed > ENGINE_DATABASES_MAX) return false;
        } while (ks->lines[ks->sweep_line].tables == NULL);
    }
    return true;
}

/* Up to `buckets` buckets from the hand on, of the table that it is in. */
static unsigned sweep_table(struct keyspace *ks, struct broom *b, unsigned buckets)
{
    struct table *tables = ks->lines[ks->sweep_line].tables;
    if (tables == NULL) return 0;
    struct table *t = &tables[ks->sweep_shard];
    struct mutex *stripe = ks_many(ks) ? &ks->stripes[ks->sweep_shard] : NULL;
    if (stripe != NULL && !mutex_trylock(stripe)) {
        return 0;
    }
    unsigned done = 0;
    bool any = t->count > 0 && (!b->absent_only || t->absent > 0);
    for (; any && t->hand < t->buckets && done < buckets; done++) table_each(t, t->hand++, sweep_entry, b);
    if (!any || t->hand >= t->buckets) t->hand = UINT64_MAX; /* through */
    if (stripe != NULL) mutex_unlock(stripe);
    return done;
}

static bool sweep(struct keyspace *ks, struct broom *b, unsigned buckets, uint64_t until_bytes)
{
    unsigned passed = 0;
    bool more = true;
    late_finish(ks);
    for (unsigned done = 0; more && done < buckets;) {
        struct table *tables = ks->lines[ks->sweep_line].tables;
        done += sweep_table(ks, b, buckets - done);
        bool through = tables == NULL || tables[ks->sweep_shard].hand == UINT64_MAX;
        if (tables != NULL && through) tables[ks->sweep_shard].hand = 0;
        if (through || ks_many(ks)) more = next_table(ks, &passed);
        if (!b->absent_only && __atomic_load_n(&ks->entry_bytes, __ATOMIC_RELAXED) - (uint64_t)b->freed <= until_bytes) break;
    }
    ks_tally(ks, &ks->entry_bytes, -b->freed);
    ks_tally(ks, &ks->evicted, (int64_t)b->evicted);
    return more;
}

void sweep_turn(struct ks_ctx *c)
{
    struct keyspace *ks = c->ks;
    if (ks->undo.open || !mutex_trylock(&ks->sweep_lock)) return;
    struct broom b = {.ks = ks, .flushed_seq = engine_flushed_seq(ks->engine)};
    sweep(ks, &b, TURN_BUCKETS, ks->cache_bytes);
    mutex_unlock(&ks->sweep_lock);
}

bool sweep_absent(struct ks_ctx *c, unsigned buckets)
{
    struct keyspace *ks = c->ks;
    if (ks->undo.open || !mutex_trylock(&ks->sweep_lock)) return false;
    struct broom b = {.ks = ks, .flushed_seq = engine_flushed_seq(ks->engine), .absent_only = true};
    bool more = sweep(ks, &b, buckets, 0);
    mutex_unlock(&ks->sweep_lock);
    return more;
}

/* ---- graves ---- */

static struct entry *free_entry(void *ctx, struct table *t, struct entry *e)
{
    entry_free(&e);
    return NULL;
}

static bool dig(struct keyspace *ks, struct grave *g, unsigned *buckets)
{
    for (; g->at < g->shards; g->at++, g->bucket = 0) {
        struct table *t = &g->tables[g->at];
        for (; g->bucket < t->buckets; g->bucket++) {
            if (*buckets == 0) return false;
            table_each(t, g->bucket, free_entry, NULL);
            --*buckets;
        }
        table_fini(t);
    }
    return true;
}

void sweep_bury(struct keyspace *ks, struct table *tables)
{
    late_finish(ks);
    struct grave *g = mem_zalloc(sizeof *g);
    uint64_t entries = 0;
    for (unsigned i = 0; i < ks->shards; i++) entries += tables[i].count;
    g->tables = tables;
    g->shards = ks->shards;
    mutex_lock(&ks->sweep_lock);
    g->next = ks->graves;
    ks->graves = g;
    mutex_unlock(&ks->sweep_lock);
    if (entries <= BURY_AT_ONCE) (void)sweep_graves(ks, UINT32_MAX);
}

bool sweep_graves(struct keyspace *ks, unsigned buckets)
{
    mutex_lock(&ks->sweep_lock);
    while (ks->graves != NULL && dig(ks, ks->graves, &buckets)) {
        struct grave *g = ks->graves;
        ks->graves = g->next;
        mem_free(g->tables);
        mem_free(g);
    }
    bool more = ks->graves != NULL;
    mutex_unlock(&ks->sweep_lock);
    return more;
}
