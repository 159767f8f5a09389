/* The expiry cycle: the index lists keys by the time of their expiry; each one due is checked against its entry and removed, by a node of
 * its own. The position moves on with time, so a cycle costs what is due, not what expires some day.
 *
 * The cycle never waits for the index. Instead it remembers the newest seq and the time at its beginning (the mark); once the index has
 * folded that far, every expiry before the mark's time is in it, and a scan that began after that may move the position up to there. The
 * position also stays a moment behind the clock: a command whose time was fixed earlier may still set an expiry that lies before now. */
#include "keyspace/parts.h"

#define LAG_MS       1000
#define BUDGET_LOOK  16 /* keys between two looks at the clock */
#define IDLE_BUCKETS 256

static int expire_one(struct ks_ctx *c, uint16_t lineage, slice key)
{
    struct keyspace *ks = c->ks;
    struct line *l = ks_line(ks, lineage);
    struct place p;
    ks_enter(c, KS_SHARED, &key, 1);
    bool reached = l->tables != NULL; /* or no database number leads there now */
    int err = reached ? place_head(c, l, key, &p) : E_OK;
    if (err == E_OK && reached && p.e != NULL && entry_live(p.e) && place_due(c, p.e)) err = write_expire(c, &p);
    ks_leave(c);
    return err;
}

/* The scan is through up to and with `ms`: as far as the mark covers that, it is done with. */
static void move_position(struct ks_ctx *c, const struct engine_marks *begin, uint64_t ms)
{
    struct keyspace *ks = c->ks;
    if (begin->indexed_seq < ks->expiry_mark_seq) return;
    if (ms < ks->expiry_mark_ms) {
        if (ms > ks->expired_upto_ms) ks->expired_upto_ms = ms;
        return;
    }
    ks->expired_upto_ms = ks->expiry_mark_ms;
    ks->expiry_mark_seq = begin->last_seq;
    ks->expiry_mark_ms = c->now_ms > LAG_MS ? c->now_ms - LAG_MS : 0;
}

static bool anything_expires(const struct keyspace *ks)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) sum += __atomic_load_n(&ks->lines[i].expiring, __ATOMIC_RELAXED);
    return sum != 0;
}

static int expire_due(struct ks_ctx *c, uint64_t end_us, bool *more)
{
    struct keyspace *ks = c->ks;
    struct engine_marks begin;
    struct expiry_cursor *it = NULL;
    uint64_t ms = 0;
    engine_get_marks(ks->engine, &begin);
    int err = engine_expiring(ks->engine, ks->expired_upto_ms, c->now_ms, &it);
    for (unsigned n = 1; err == E_OK; n++) {
        uint16_t lineage;
        slice key;
        uint64_t seq;
        err = expiry_next(it, &ms, &lineage, &key, &seq);
        if (err == E_OK) err = expire_one(c, lineage, key);
        if (err != E_OK || n % BUDGET_LOOK != 0 || os_mono_us(engine_os(ks->engine)) < end_us) continue;
        *more = true;
        move_position(c, &begin, ms - 1); /* that millisecond again: others may share it */
        break;
    }
    expiry_close(&it);
    if (err == E_END) move_position(c, &begin, c->now_ms);
    return err == E_END || err == E_STICKY ? E_OK : err;
}

int ks_expire_cycle(struct ks_ctx *c, uint64_t budget_us, bool *more)
{
    struct keyspace *ks = c->ks;
    struct os *os = engine_os(ks->engine);
    uint64_t end_us = os_mono_us(os) + budget_us;
    ASSERT(c->entered == 0 && c->batch == NULL);
    *more = false;
    while (sweep_graves(ks, IDLE_BUCKETS) && os_mono_us(os) < end_us) continue;
    ks_enter(c, KS_SHARED, NULL, 0);
    sweep_absent(c, IDLE_BUCKETS);
    ks_leave(c);
    if (!__atomic_load_n(&ks->active_expiry, __ATOMIC_RELAXED)) return E_OK;
    if (engine_failure(ks->engine) != 0) return E_OK;
    return anything_expires(ks) ? expire_due(c, end_us, more) : E_OK;
}
