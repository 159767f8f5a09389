/* The expiry cycle: the index lists keys by the time of their expiry; each one due is checked against its entry and removed, by a node of
 * its own. The position moves on with time, so a cycle costs what is due, not what expires some day.
 *
 * The position stays a moment behind the clock: a command whose time was fixed earlier may still set an expiry that lies before now. */
#include "keyspace/parts.h"

#define LAG_MS 1000
#define BUDGET_LOOK 16 /* keys between two looks at the clock */
#define IDLE_BUCKETS 256

static int expire_one(struct ks_ctx *c, uint16_t lineage, slice key)
{
    struct keyspace *ks = c->ks;
    struct line *l = ks_line(ks, lineage);
    struct place p;
    if (l->tables == NULL) return E_OK; /* no database number leads there now */
    ks_enter(c, KS_SHARED, &key, 1);
    int err = place_head(c, l, key, &p);
    if (err == E_OK && p.e != NULL && entry_live(p.e) && place_due(c, p.e)) err = write_expire(c, &p);
    ks_leave(c);
    return err;
}

static int expire_due(struct ks_ctx *c, uint64_t end_us, bool *more)
{
    struct keyspace *ks = c->ks;
    struct expiry_cursor *it = NULL;
    uint64_t lag = c->now_ms > LAG_MS ? c->now_ms - LAG_MS : 0;
    uint64_t after = ks->expired_upto_ms < lag ? ks->expired_upto_ms : lag, ms = 0;
    int err = engine_catch_up(ks->engine, 0);
    if (err == E_OK) err = engine_expiring(ks->engine, after, c->now_ms, &it);
    for (unsigned n = 1; err == E_OK; n++) {
        uint16_t lineage;
        slice key;
        uint64_t seq;
        err = expiry_next(it, &ms, &lineage, &key, &seq);
        if (err == E_OK) err = expire_one(c, lineage, key);
        if (err != E_OK || n % BUDGET_LOOK != 0 || os_mono_us(engine_os(ks->engine)) < end_us) continue;
        *more = true;
        ks->expired_upto_ms = ms - 1; /* that millisecond again: others may share it */
        break;
    }
    expiry_close(&it);
    if (err == E_END) ks->expired_upto_ms = c->now_ms;
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
    return expire_due(c, end_us, more);
}
