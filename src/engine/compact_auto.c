/* When compaction starts by itself: as a rewrite of an append-only file does, when what may go outweighs what stays.
 *
 * The fold's estimate (fold_dead.c) says when a look is due; a plan then knows exactly, and only what is worth it is carried out. Either way the plan
 * sets the estimate right, so that the next look needs as much to die again. An attempt that came to little, or failed, is followed by a pause
 * that doubles up to an hour: where rules wait for an age, or tags hold much, nothing is planned again and again.
 *
 * A change of the rules is a reason to look, too: what was counted under others says little.
 *
 * All state here is the worker's own (or the caller's of engine_turn, with no threads). */
#include "engine/books.h"
#include "engine/own.h"

#define PAUSE_MIN_US (60ull * 1000000)
#define PAUSE_MAX_US (3600ull * 1000000)

static bool outweighs(const struct engine_policy *p, uint64_t log_bytes, uint64_t dead)
{
    uint64_t live = log_bytes > dead ? log_bytes - dead : 0;
    return dead > 0 && log_bytes >= p->auto_min_bytes && (double)dead * 100.0 >= (double)live * (double)p->auto_percentage;
}

bool compact_auto_due(struct engine *e)
{
    ASSERT(e && e->own);
    ASSERT(!e->own->opt.read_only);
    struct engine_policy p;
    uint64_t waiting, now = os_mono_us(e->os), dead = fold_dead(e->fold, &waiting);
    engine_get_policy(e, &p);
    if (p.auto_percentage == 0 || now < e->own->auto_after_us) return false;
    if (atomic_load(&e->fold->named.rules_turn) != e->own->auto_turn) return seglog_bytes(e->log) >= p.auto_min_bytes;
    if (dead + waiting == 0) return false;
    if (now >= e->own->waiting_until_us) dead += waiting;
    return outweighs(&p, seglog_bytes(e->log), dead);
}

bool compact_auto_worth(struct engine *e, uint64_t drop_bytes)
{
    ASSERT(e && e->own);
    ASSERT(e->log);
    struct engine_policy p;
    engine_get_policy(e, &p);
    return outweighs(&p, seglog_bytes(e->log), drop_bytes);
}

void compact_auto_ended(struct engine *e, int result, uint64_t waiting_ms, uint64_t rules_turn)
{
    ASSERT(e && e->own);
    ASSERT(result <= 0);
    struct engine_own *own = e->own;
    uint64_t now = os_mono_us(e->os), age_us = waiting_ms > PAUSE_MAX_US / 1000 ? PAUSE_MAX_US : waiting_ms * 1000;
    own->auto_turn = rules_turn;
    own->waiting_until_us = now + (age_us < PAUSE_MIN_US ? PAUSE_MIN_US : age_us);
    if (result == E_OK) {
        own->auto_pause_us = own->auto_after_us = 0;
        return;
    }
    own->auto_pause_us = own->auto_pause_us ? own->auto_pause_us * 2 : PAUSE_MIN_US;
    if (own->auto_pause_us > PAUSE_MAX_US) own->auto_pause_us = PAUSE_MAX_US;
    own->auto_after_us = now + own->auto_pause_us;
}
