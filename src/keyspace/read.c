/* Reading the present: the hot path is place_find, one comparison of expiry, and a slice.
 *
 * A read that meets a key past its expiry writes the removal, as a commit of its own (or into the open batch). When the log refuses,
 * the key is absent all the same: expiry is a property of the value and the clock, the removal only its record. */
#include "keyspace/parts.h"

static void tell(const struct entry *e, bool bytes, struct ks_value *out)
{
    out->type = e->type;
    out->flags = (e->marks & ENTRY_RAW ? NODE_ENC_RAW : 0) | (e->as_text ? KS_ENC_TEXT : 0);
    out->blob = bytes ? entry_value(e) : (slice){0};
    out->seq = e->head;
    out->ver = entry_ver(e);
    out->expire_ms = entry_expiry(e);
    out->hash = entry_hash(e);
}

void ks_tally_look(struct ks_ctx *c, bool found)
{
    struct gate *g = &c->ks->gates[c->loop];
    uint64_t *which = found ? &g->hits : &g->misses; /* other loops read it */
    __atomic_store_n(which, *which + 1, __ATOMIC_RELAXED);
}

/* E_NOTFOUND when nothing is live. The removal of a key that is due may fail only by the log refusing it. */
static int look(struct ks_ctx *c, slice key, struct place *p)
{
    ASSERT(c->db < c->ks->databases);
    if (key.n > NODE_KEY_MAX) return E_NOTFOUND;
    int err = place_head(c, ks_line(c->ks, c->ks->map[c->db]), key, p);
    if (err != E_OK) return err;
    if (p->e == NULL || !entry_live(p->e)) return E_NOTFOUND;
    if (!place_due(c, p->e)) return E_OK;
    err = write_expire(c, p);
    return err == E_OK || err == E_STICKY ? E_NOTFOUND : err;
}

/* Inlined into both, so that the hot path has no further test. */
static inline __attribute__((always_inline)) int get(struct ks_ctx *c, slice key, bool peek, struct ks_value *out)
{
    struct place p;
    int err = look(c, key, &p);
    if (err == E_OK && !(p.e->marks & ENTRY_LOADED)) err = place_load(c, &p);
    if (!peek && (err == E_OK || err == E_NOTFOUND)) ks_tally_look(c, err == E_OK);
    if (err != E_OK) return err;
    if (!peek && !c->no_touch) place_use(c, p.e);
    tell(p.e, true, out);
    return E_OK;
}

int ks_get(struct ks_ctx *c, slice key, struct ks_value *out)
{
    return __builtin_expect(c->viewing, 0) ? view_get(c, key, out) : get(c, key, false, out);
}

int ks_peek(struct ks_ctx *c, slice key, struct ks_value *out)
{
    return c->viewing ? view_get(c, key, out) : get(c, key, true, out);
}

int ks_look(struct ks_ctx *c, slice key, unsigned counts, struct ks_value *out)
{
    struct place p;
    if (__builtin_expect(c->viewing, 0)) return view_get(c, key, out);
    int err = look(c, key, &p);
    if ((counts & KS_TALLY) && (err == E_OK || err == E_NOTFOUND)) ks_tally_look(c, err == E_OK);
    if (err != E_OK) return err;
    if ((counts & KS_USE) && !c->no_touch) place_use(c, p.e);
    tell(p.e, false, out);
    return E_OK;
}

int ks_stat_other(struct ks_ctx *c, slice key, uint8_t hash[HASH_BYTES], struct ks_value *out)
{
    ASSERT(hash != NULL && out != NULL);
    bool borrowed = !c->viewing && lock_also(c, key);
    int err = ks_look(c, key, KS_NOTHING, out);
    if (err == E_OK && out->hash != NULL) {
        memcpy(hash, out->hash, HASH_BYTES);
        out->hash = hash;
    }
    if (borrowed) lock_also_return(c, key);
    return err;
}

/* A live entry's head is newer than every flush, so at or before the point it is what stands there. */
static int tell_held(const struct entry *e, uint64_t at, struct ks_value *out)
{
    if (e == NULL || !entry_live(e) || e->head > at || (e->marks & (ENTRY_LOADED | ENTRY_EXPIRES)) != ENTRY_LOADED) return E_AGAIN;
    tell(e, true, out);
    return E_OK;
}

int ks_get_held(struct ks_ctx *c, slice key, uint64_t at, struct buf *mem, struct ks_value *out)
{
    struct keyspace *ks = c->ks;
    struct place p;
    ASSERT(c->entered != 0 && c->db < ks->databases);
    ASSERT(mem != NULL && out != NULL);
    if (key.n > NODE_KEY_MAX || c->viewing) return E_AGAIN;
    if (!ks_many(ks) || c->entered == 1 + KS_EXCLUSIVE) {
        place_find(c, ks_line(ks, ks->map[c->db]), key, &p);
        return tell_held(p.e, at, out);
    }
    unsigned s = place_stripe(key_hash(&ks->seed, key.p, key.n));
    bool held = (ks->gates[c->loop].held[s / 64] >> s % 64) & 1;
    if (!held) mutex_lock(&ks->stripes[s]);
    place_find(c, ks_line(ks, ks->map[c->db]), key, &p);
    int err = tell_held(p.e, at, out);
    if (err == E_OK) {
        buf_clear(mem);
        buf_add_slice(mem, out->blob);
        out->blob = buf_slice(mem);
        out->hash = NULL; /* lies in the entry, which may go */
    }
    if (!held) mutex_unlock(&ks->stripes[s]);
    return err;
}

int ks_usage(struct ks_ctx *c, slice key, struct ks_usage *out)
{
    struct place p;
    if (c->viewing) return view_usage(c, key, out);
    int err = look(c, key, &p);
    if (err != E_OK) return err;
    uint32_t second = (uint32_t)(c->now_ms / 1000) & 0xffffff;
    uint32_t idle_s = (second - p.e->used_s) & 0xffffff;
    uint32_t minutes = idle_s / 60;
    out->idle_ms = (uint64_t)idle_s * 1000;
    out->freq = (uint8_t)(p.e->freq > minutes ? p.e->freq - minutes : 0);
    out->bytes = p.e->room_bytes + sizeof(struct bucket) / TABLE_LOAD;
    out->loaded = (p.e->marks & ENTRY_LOADED) != 0;
    return E_OK;
}

void ks_set_usage(struct ks_ctx *c, slice key, uint64_t idle_s, uint8_t freq)
{
    struct place p;
    ASSERT(c->db < c->ks->databases && !c->viewing);
    ASSERT(key.n <= NODE_KEY_MAX);
    place_find(c, ks_line(c->ks, c->ks->map[c->db]), key, &p);
    if (p.e == NULL || !entry_live(p.e)) return;
    uint64_t now_s = c->now_ms / 1000;
    p.e->used_s = (uint32_t)(now_s - (idle_s < now_s ? idle_s : now_s)) & 0xffffff;
    p.e->freq = freq;
}

/* A state packs how often the database has changed places (16 bits, modulo), the head's seq (47 bits, 0 for what never was or was ended by time) and whether the key is live. So
 * making and deleting again shows, and a key that is in neither of two databases looks alike. */
#define STATE_SEQ_BITS 47
#define STATE_LIVE     1u

/* *head: the newest version of the key, 0 = none is known. */
static int state_of(struct ks_ctx *c, uint16_t db, slice key, uint64_t *state, uint64_t *head)
{
    ASSERT(db < c->ks->databases);
    struct place p;
    *state = (uint64_t)c->ks->swaps[db] << (STATE_SEQ_BITS + 1);
    *head = 0;
    if (key.n > NODE_KEY_MAX) return E_OK;
    int err = place_head(c, ks_line(c->ks, c->ks->map[db]), key, &p);
    if (err != E_OK || p.e == NULL) return err;
    *head = p.e->head;
    if (entry_live(p.e) && place_due(c, p.e)) return E_OK;
    if (p.e->marks & ENTRY_TIMED_OUT) return E_OK;
    ASSERT(p.e->head >> STATE_SEQ_BITS == 0);
    *state |= p.e->head << 1 | (entry_live(p.e) ? STATE_LIVE : 0);
    return E_OK;
}

int ks_watch(struct ks_ctx *c, uint16_t db, slice key, struct ks_stamp *out)
{
    uint64_t head;
    struct engine_marks m;
    ASSERT(out != NULL);
    engine_get_marks(c->ks->engine, &m);
    out->seq = m.last_seq;
    return state_of(c, db, key, &out->state, &head);
}

/* Is there a version in [from, to]? The removal of what time had ended before changes nothing of a key that is absent. */
static int was_written(struct ks_ctx *c, uint16_t lineage, slice key, uint64_t from, uint64_t to, bool absent, bool *yes)
{
    struct version_cursor *it = NULL;
    struct version v;
    if (from > to) return E_OK;
    int err = engine_versions(c->ks->engine, SPACE_KEY, lineage, key, from, to, true, &it);
    while (err == E_OK && !*yes && (err = version_next(it, &v)) == E_OK) *yes = !(absent && v.op == NODE_EXPIRE);
    version_close(&it);
    return err == E_END ? E_OK : err;
}

/* Does the key stand in the database that has come at `at`? */
static int comes_along(struct ks_ctx *c, const struct db_view *db, slice key, uint64_t at, bool *yes)
{
    struct version v;
    bool gone = false;
    int err = engine_find(c->ks->engine, SPACE_KEY, db->lineage, key, at, FIND_ALL, &v);
    bool live = err == E_OK && v.seq > db->flushed && v.op != NODE_DELETE && v.op != NODE_EXPIRE;
    *yes = err == E_PRUNED; /* nobody knows */
    if (live) err = past_gone_by(c->ks, v.expire_ms, at, &gone);
    if (live && err == E_OK) *yes = !gone;
    return err == E_NOTFOUND || err == E_PRUNED ? E_OK : err;
}

/* The database has changed places since: the log tells what the key was each time. A key that was live then went with the first swap. One that was absent is so until a
 * version of it is written where the database is at that time, or another database comes that has it. */
static int changed_by_swaps(struct ks_ctx *c, uint16_t db, slice key, const struct ks_stamp *then, bool *yes)
{
    struct engine *e = c->ks->engine;
    struct engine_horizons h;
    struct db_view view, next;
    uint64_t at = then->seq;
    int err = engine_catch_up(e, 0);
    engine_get_horizons(e, &h);
    *yes = at < h.changes || (then->state & STATE_LIVE); /* what is dropped cannot tell */
    engine_db_at(e, db, at, &view);
    while (err == E_OK && !*yes && at != UINT64_MAX) {
        uint64_t event = engine_next_event(e, db, view.lineage, at);
        err = was_written(c, view.lineage, key, at + 1, event == UINT64_MAX ? event : event - 1, true, yes);
        if (err == E_OK && !*yes && event != UINT64_MAX) {
            engine_db_at(e, db, event, &next);
            if (next.lineage != view.lineage) err = comes_along(c, &next, key, event, yes);
            view = next;
        }
        at = event;
    }
    return err;
}

int ks_watch_changed(struct ks_ctx *c, uint16_t db, slice key, const struct ks_stamp *then, bool *yes)
{
    uint64_t now, head;
    ASSERT(c->batch == NULL);
    int err = state_of(c, db, key, &now, &head);
    if (err != E_OK) return err;
    *yes = false;
    if (key.n > NODE_KEY_MAX) return E_OK;
    if ((then->state ^ now) >> (STATE_SEQ_BITS + 1)) return changed_by_swaps(c, db, key, then, yes);
    *yes = then->state != now;
    if (*yes || head <= then->seq || (then->state & STATE_LIVE)) return E_OK;
    /* Absent then and ended by time now: it may have been made in between. */
    err = engine_catch_up(c->ks->engine, 0);
    return err == E_OK ? was_written(c, c->ks->map[db], key, then->seq + 1, UINT64_MAX, true, yes) : err;
}

struct db_view ks_db(struct ks_ctx *c, uint16_t db)
{
    ASSERT(db < c->ks->databases);
    if (c->viewing) return view_db(c, db);
    const struct line *l = ks_line(c->ks, c->ks->map[db]);
    return (struct db_view){.lineage = l->lineage, .flushed = l->flushed};
}
