/* Where a key is: the table first, then the index, then the log.
 *
 * A key without an entry has its newest version in the index runs (invariant 1), unless entries were thrown away before the runs had
 * them (a flush, a failed log, start): then ks->forgot names the newest such seq, the index is brought up to it once, and the whole
 * index is asked until the runs have passed it. */
#include "keyspace/parts.h"

#define PREFETCH_MAX   64
#define LFU_START      5
#define LFU_LOG_FACTOR 10

void place_find(struct ks_ctx *c, struct line *l, slice key, struct place *out)
{
    struct keyspace *ks = c->ks;
    uint64_t hash = key_hash(&ks->seed, key.p, key.n);
    struct table *t = &l->tables[ks_many(ks) ? place_stripe(hash) : 0];
    uint64_t *slot = table_find(t, hash, key);
    struct entry *e = slot != NULL ? slot_entry(*slot) : NULL;
    if (__builtin_expect(ks->late != NULL && e != NULL, 0) && ks->late->n > 0 && e->head >= ks->late->first) late_finish(ks);
    *out = (struct place){.line = l, .table = t, .hash = hash, .key = key, .slot = slot, .e = e};
    out->absent = e != NULL && !entry_live(e);
}

static int find_flags(struct keyspace *ks, unsigned *flags)
{
    uint64_t forgot = __atomic_load_n(&ks->forgot, __ATOMIC_RELAXED);
    *flags = FIND_RUNS_ONLY;
    if (forgot == 0) return E_OK;
    if (engine_flushed_seq(ks->engine) >= forgot) {
        __atomic_compare_exchange_n(&ks->forgot, &forgot, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        return E_OK;
    }
    *flags = FIND_ALL;
    return engine_catch_up(ks->engine, forgot);
}

int place_head(struct ks_ctx *c, struct line *l, slice key, struct place *out)
{
    ASSERT(key.n <= NODE_KEY_MAX);
    place_find(c, l, key, out);
    if (out->e != NULL) return E_OK;
    unsigned flags;
    struct version v;
    int err = find_flags(c->ks, &flags);
    if (err == E_OK) err = engine_find(c->ks->engine, SPACE_KEY, l->lineage, key, UINT64_MAX, flags, &v);
    if (err == E_NOTFOUND || err == E_PRUNED) return E_OK; /* PRUNED: even its last tombstone is gone, the key starts again */
    if (err != E_OK) return err;
    bool live = v.op != NODE_DELETE && v.op != NODE_EXPIRE && v.seq > l->flushed;
    unsigned marks = 0;
    if (live && v.expire_ms != 0) marks |= ENTRY_EXPIRES;
    if (live && (v.flags & NODE_ENC_RAW)) marks |= ENTRY_RAW;
    bool due = v.expire_ms != 0 && v.expire_ms <= c->now_ms;
    if (v.op == NODE_EXPIRE || (!live && v.op != NODE_DELETE && due)) marks |= ENTRY_TIMED_OUT;
    struct entry *e = entry_new(key, marks, 0, 0);
    e->head = v.seq;
    entry_set_ver(e, v.ver);
    e->type = live ? v.type : TYPE_NONE;
    place_fresh(c, e);
    if (marks & ENTRY_EXPIRES) entry_set_expiry(e, v.expire_ms);
    place_set(c, out, e);
    return E_OK;
}

static void tally_bytes(struct keyspace *ks, struct table *t, int64_t by)
{
    t->bytes += (uint64_t)by;
    ks_tally(ks, &ks->entry_bytes, by);
}

void place_set(struct ks_ctx *c, struct place *p, struct entry *e)
{
    struct keyspace *ks = c->ks;
    struct entry *old = p->e;
    ASSERT(e != NULL);
    if (old == NULL) {
        table_insert(p->table, p->hash, e);
        p->slot = NULL;
        tally_bytes(ks, p->table, e->room_bytes);
    } else if (old != e) {
        if (p->slot == NULL) p->slot = table_find(p->table, p->hash, p->key);
        ASSERT(p->slot != NULL && slot_entry(*p->slot) == old);
        slot_replace(p->slot, e);
        tally_bytes(ks, p->table, (int64_t)e->room_bytes - (int64_t)old->room_bytes);
        if (!p->kept) entry_free(&old);
    }
    bool absent = !entry_live(e);
    p->table->absent += (uint64_t)absent - (uint64_t)p->absent;
    p->absent = absent;
    p->e = e;
    p->kept = p->fresh = false;
}

struct entry *place_shape(struct ks_ctx *c, struct place *p, unsigned marks, size_t value_bytes, size_t extra, bool keep_value)
{
    if (c->batch != NULL) {
        if (p->e == NULL || !(p->e->marks & ENTRY_TOUCHED)) undo_key(c, p);
        marks |= ENTRY_TOUCHED;
    }
    if (p->e == NULL) return entry_new(p->key, marks, value_bytes, extra);
    unsigned how = (p->kept || p->fresh ? ENTRY_FRESH : 0) | (keep_value ? ENTRY_KEEP_VALUE : 0);
    return entry_shape(p->e, marks, value_bytes, extra, how);
}

/* ---- bringing the value in ---- */

static int read_head(struct keyspace *ks, const struct place *p, struct buf *mem, slice *raw, struct node *n)
{
    uint64_t seq = p->e->head;
    int err = engine_read_raw(ks->engine, seq, mem, raw);
    if (err == E_OK) err = node_decode(*raw, n);
    if (err == E_PRUNED || err == E_NOTFOUND)
        return err_note(E_CORRUPT, "the newest version of a key, seq %llu, is not in the log", (unsigned long long)seq);
    if (err != E_OK) return err;
    if (n->seq != seq || n->space != SPACE_KEY || n->lineage != p->line->lineage || !slice_eq(n->key, p->key))
        return err_note(E_CORRUPT, "seq %llu is not the version that the index names", (unsigned long long)seq);
    return E_OK;
}

int place_load(struct ks_ctx *c, struct place *p)
{
    struct keyspace *ks = c->ks;
    ASSERT(p->e != NULL && entry_live(p->e));
    if (p->e->marks & ENTRY_LOADED) return E_OK;
    struct buf mem = {0}, value = {0};
    slice raw, blob = {0};
    struct node n;
    uint64_t weight = 0;
    int err = read_head(ks, p, &mem, &raw, &n);
    if (err != E_OK) goto done;
    if (n.op == NODE_PUT) {
        blob = n.payload;
    } else {
        err = engine_catch_up(ks->engine, p->e->head);
        if (err == E_OK) err = past_rebuild(ks, p->line->lineage, p->key, p->e->head, &value, &weight);
        if (err != E_OK) goto done;
        blob = buf_slice(&value);
    }
    unsigned marks = p->e->marks | ENTRY_LOADED;
    if (weight > 0) marks |= ENTRY_WEIGHED;
    if (p->e->type == TYPE_DOCUMENT) marks |= ENTRY_HASHED;
    struct entry *e = entry_shape(p->e, marks, blob.n, 0, 0);
    if (blob.n > 0) memcpy(entry_value_at(e), blob.p, blob.n);
    if (marks & ENTRY_WEIGHED) put_u64(entry_weight_at(e), weight);
    if (e->type == TYPE_DOCUMENT) blake2b_256(entry_weight_at(e) + (marks & ENTRY_WEIGHED ? 8 : 0), raw.p, raw.n);
    place_set(c, p, e);
    ks_tally(ks, &ks->loads, 1);
done:
    buf_fini(&value);
    buf_fini(&mem);
    return err;
}

int place_hash(struct ks_ctx *c, const struct place *p, uint8_t out[HASH_BYTES])
{
    if (p->e == NULL) return E_NOTFOUND;
    const uint8_t *known = entry_hash(p->e);
    if (known != NULL) {
        memcpy(out, known, HASH_BYTES);
        return E_OK;
    }
    if (c->batch != NULL && engine_batch_hash(c->batch, p->e->head, out)) return E_OK; /* not in the log yet */
    if (!entry_live(p->e)) return engine_hash(c->ks->engine, p->e->head, out); /* a tombstone may be compacted away; its hash stays */
    struct buf mem = {0};
    slice raw;
    struct node n;
    int err = read_head(c->ks, p, &mem, &raw, &n);
    if (err == E_OK) blake2b_256(out, raw.p, raw.n);
    buf_fini(&mem);
    return err;
}

/* ---- accesses ---- */

static uint64_t dice(void)
{
    static _Thread_local uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    return x ^= x << 17;
}

/* A logarithmic counter that loses one a minute: the likelier to grow the smaller it is. */
static void count_access(struct entry *e, uint32_t second)
{
    uint32_t minutes = ((second - e->used_s) & 0xffffff) / 60;
    uint32_t f = e->freq > minutes ? e->freq - minutes : 0;
    uint32_t above = f > LFU_START ? f - LFU_START : 0;
    if (f < 255 && dice() % (above * LFU_LOG_FACTOR + 1) == 0) f++;
    e->freq = f & 0xff;
}

void place_use(struct ks_ctx *c, struct entry *e)
{
    uint32_t second = (uint32_t)(c->now_ms / 1000) & 0xffffff;
    if (c->ks->lfu) count_access(e, second);
    if (e->used_s != second) e->used_s = second;
    if (!(e->marks & ENTRY_USED)) e->marks |= ENTRY_USED;
}

void place_fresh(struct ks_ctx *c, struct entry *e)
{
    e->used_s = (uint32_t)(c->now_ms / 1000) & 0xffffff;
    e->freq = LFU_START;
}

/* All buckets are asked for before the first is looked at, so that the misses of a pipeline overlap. */
void ks_prefetch(struct ks_ctx *c, const slice *keys, size_t n)
{
    struct keyspace *ks = c->ks;
    if (ks_many(ks)) return; /* a bucket may change under a reader without its stripe */
    const struct table *t = ks_line(ks, ks->map[c->db])->tables;
    uint64_t hash[PREFETCH_MAX];
    for (size_t from = 0; from < n; from += PREFETCH_MAX) {
        size_t k = n - from < PREFETCH_MAX ? n - from : PREFETCH_MAX;
        for (size_t i = 0; i < k; i++) {
            hash[i] = key_hash(&ks->seed, keys[from + i].p, keys[from + i].n);
            table_prefetch_bucket(t, hash[i]);
        }
        for (size_t i = 0; i < k; i++) table_prefetch_entry(t, hash[i]);
    }
}
