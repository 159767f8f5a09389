/* Compaction: dropping what retention lets go, beside reads and writes.
 *
 *   1 checkpoint; choose (compact_plan.c) from a snapshot of the index
 *   2 raise the horizon and note in the manifest that the index will have to forget, before the first node goes
 *   3 group by group: write the new segment (synced), the manifest that names it, then install it and delete the old files
 *   4 the index forgets the versions whose nodes went; checkpoint; the note is taken back
 *
 * At every moment of a crash the manifest names files that exist and are whole. Between 3 and 4 an index entry may lead to a node that is gone: reading it
 * answers E_PRUNED, which is the truth. After a crash there, 4 is done from what the segments still hold (compact_plan_resume).
 *
 * Every node that is copied is hashed and compared with the tree's leaf: damage that its CRC does not show is not carried on with a fresh one, it ends
 * the compaction with E_CORRUPT and stays where it is.
 *
 * A manifest write that fails in 3 leaves unknown which of the two segments the file on disk names: both stay, and no compaction runs until the
 * next start has sorted it out (`blocked`). */
#include "engine/books.h"
#include "engine/compact_plan.h"
#include "engine/own.h"

#include "base/mem.h"

#include <time.h>

#define FORGET_SLICE         1024
#define THROTTLE_SLICE_BYTES (256u << 10)
#define SLEEP_MAX_US         100000u
#define LEAVES               2048 /* read at once */
#define PLANS_MAX            16   /* made anew because of tags and rules that came between */

struct compaction {
    struct engine *e;
    struct compact_plan plan;
    uint64_t node_bytes;  /* mean, of the group at hand */
    uint64_t paced_bytes; /* since pace_us */
    uint64_t pace_us;
    uint64_t done;
    /* of groups that are done: what a plan that is made anew no longer knows */
    uint64_t earlier_dropped, earlier_bytes, earlier_nodes, earlier_segments;
    size_t n_done; /* groups of the plan at hand */
    uint64_t bytes_before;
    bool automatic, anew;
    uint64_t leaf_first, n_leaves; /* entries of the tree at hand */
    uint8_t (*leaf)[HASH_BYTES];
};

static bool cancelled(void *ctx)
{
    struct compaction *c = ctx;
    return atomic_load_explicit(&c->e->own->cancel, memory_order_relaxed) || ring_failure(c->e->ring) < 0;
}

/* ---- pace and progress ---- */

void engine_set_throttle(struct engine *e, uint64_t bytes_per_second)
{
    ASSERT(e && e->own);
    atomic_store(&e->own->throttle, bytes_per_second);
}

/* Sleeps when the work is ahead of the throttle. */
static void pace(struct compaction *c)
{
    struct engine_own *own = c->e->own;
    uint64_t limit = atomic_load(&own->throttle), now = os_mono_us(c->e->os);
    if (limit == 0 || own->opt.no_threads) return;
    uint64_t due_us = c->pace_us + c->paced_bytes * 1000000u / limit;
    if (now >= due_us) {
        c->pace_us = now;
        c->paced_bytes = 0;
        return;
    }
    uint64_t us = due_us - now < SLEEP_MAX_US ? due_us - now : SLEEP_MAX_US;
    struct timespec t = {.tv_sec = 0, .tv_nsec = (long)(us * 1000)};
    (void)nanosleep(&t, NULL);
}

static void show_progress(struct compaction *c)
{
    struct engine_own *own = c->e->own;
    mutex_lock(&own->status_lock);
    own->status.done = c->done;
    mutex_unlock(&own->status_lock);
}

static bool keep_node(void *ctx, uint64_t seq)
{
    struct compaction *c = ctx;
    uint64_t before = c->paced_bytes;
    c->done++;
    c->paced_bytes += c->node_bytes;
    if (before / THROTTLE_SLICE_BYTES != c->paced_bytes / THROTTLE_SLICE_BYTES) {
        show_progress(c);
        pace(c);
    }
    return seq > c->plan.base || !compact_bit(c->plan.drop, seq);
}

/* ---- checking what is copied ---- */

static int load_leaves(struct compaction *c, uint64_t first)
{
    uint64_t size = tree_size(c->e->tree), n = LEAVES;
    ASSERT(first < size);
    if (!c->leaf) c->leaf = mem_alloc(LEAVES * sizeof(*c->leaf));
    if (n > size - first) n = size - first;
    int rc = tree_entries_unchecked(c->e->tree, first, n, c->leaf);
    c->leaf_first = first;
    c->n_leaves = rc == E_OK ? n : 0;
    return rc;
}

/* The hash is not what the tree's file says: which of the two is wrong? */
static int judge(struct compaction *c, uint64_t seq, const uint8_t hash[HASH_BYTES], slice raw)
{
    uint8_t leaf[HASH_BYTES];
    struct node n;
    /* Salvage put it in the place of a lost node, whose leaf stayed. It holds nothing that could be carried on. */
    if (node_decode(raw, &n) == E_OK && n.op == NODE_FILLER && n.seq == seq) return E_OK;
    int rc = tree_entry(c->e->tree, seq - 1, leaf);
    if (rc == E_CORRUPT) return err_note(rc, "compaction: the tree's entry of seq %llu is damaged", (unsigned long long)seq);
    if (rc == E_OK && memcmp(leaf, hash, HASH_BYTES) != 0)
        rc = err_note(E_CORRUPT, "compaction: node %llu does not have the hash that it was written with", (unsigned long long)seq);
    return rc;
}

static int check_nodes(void *ctx, size_t n, const uint64_t *seq, const slice *raw)
{
    struct compaction *c = ctx;
    uint8_t hash[SEG_REWRITE_GROUP][HASH_BYTES];
    int rc = E_OK;
    ASSERT(n > 0 && n <= SEG_REWRITE_GROUP);
    if (n == 4)
        blake2b_256_x4(hash, raw);
    else
        for (size_t i = 0; i < n; i++) blake2b_256(hash[i], raw[i].p, raw[i].n);
    for (size_t i = 0; rc == E_OK && i < n; i++) {
        uint64_t at = seq[i] - 1;
        if (at - c->leaf_first >= c->n_leaves) rc = load_leaves(c, at);
        if (rc == E_OK && memcmp(c->leaf[at - c->leaf_first], hash[i], HASH_BYTES) != 0) rc = judge(c, seq[i], hash[i], raw[i]);
    }
    return rc;
}

/* ---- step 3 ---- */

/* Have tags or rules come since the plan was made? It may want to drop what they hold. */
static int check_plan(struct compaction *c)
{
    int rc = engine_catch_up(c->e, 0);
    c->anew = rc == E_OK && named_turn(&c->e->fold->named) != c->plan.turn;
    return rc;
}

static int install(struct engine *e, const struct seg_rewrite *rw)
{
    struct engine_own *own = e->own;
    mutex_lock(&own->checkpoint_lock);
    own->manifest.clean = false;
    own->manifest.forget_due = true;
    own->manifest.horizon = atomic_load(&own->horizon);
    int rc = worker_write_manifest(e, rw);
    if (rc == E_OK) rc = seglog_install(e->log, rw);
    if (rc < 0) own->blocked = true;
    mutex_unlock(&own->checkpoint_lock);
    return rc;
}

static int rewrite_group(struct compaction *c, const struct compact_group *g)
{
    struct engine *e = c->e;
    struct seg_rewrite rw;
    ASSERT(g->nodes >= g->drops);
    c->node_bytes = g->nodes ? g->bytes / g->nodes : 0;
    const struct seg_rewrite_options o = {.first_seq = g->first_seq,
                                          .last_seq = g->last_seq,
                                          .keep = keep_node,
                                          .check = check_nodes,
                                          .cancelled = cancelled,
                                          .ctx = c};
    int rc = check_plan(c); /* and the tail may hold what has no leaf yet */
    if (rc < 0 || c->anew) return rc;
    rc = seglog_rewrite(e->log, &o, &rw);
    if (rc < 0) return rc;
    rc = check_plan(c);
    if (rc < 0 || c->anew) {
        seglog_discard(e->log, &rw);
        return rc;
    }
    rc = install(e, &rw);
    show_progress(c);
    if (rc < 0) return rc;
    c->earlier_dropped += g->drops;
    c->earlier_bytes += g->drop_bytes;
    c->earlier_nodes += g->nodes;
    c->earlier_segments += g->segments;
    c->n_done++;
    return E_OK;
}

/* ---- step 2 and 4 ---- */

/* In memory first, then in a checkpoint: the books hold the horizons. */
static int promise(struct engine *e, const struct engine_horizons *h)
{
    struct engine_own *own = e->own;
    indexer_lock(e);
    own->forget_due = true;
    if (h->keys > atomic_load(&own->horizon)) atomic_store(&own->horizon, h->keys);
    fold_raise_horizons(e->fold, h);
    indexer_unlock(e);
    return worker_checkpoint(e, false);
}

static bool is_forgotten(void *ctx, uint64_t seq)
{
    const struct compact_plan *p = ctx;
    return seq <= p->base && compact_bit(p->forget, seq);
}

static int forget(struct compaction *c)
{
    struct engine *e = c->e;
    struct engine_own *own = e->own;
    struct buf resume = {0};
    int rc = E_OK;
    while (rc == E_OK) {
        if (engine_thread_stopping(&own->worker)) {
            rc = E_CANCELLED;
            break;
        }
        /* Not between a checkpoint's books and its runs: the books would count what the runs no longer hold. */
        mutex_lock(&own->checkpoint_lock);
        indexer_lock(e);
        rc = atomic_load(&own->index_failure);
        if (rc == E_OK) rc = fold_forget(e->fold, is_forgotten, &c->plan, &resume, FORGET_SLICE);
        if (rc == E_OK || rc == E_END) index_step(e->index, atomic_load(&own->indexed_seq));
        if (rc == E_END) own->forget_due = false;
        indexer_unlock(e);
        mutex_unlock(&own->checkpoint_lock);
    }
    buf_fini(&resume);
    return rc == E_END ? worker_checkpoint(e, false) : rc;
}

/* Step 4 of a compaction that was interrupted. */
static int finish_forgetting(struct engine *e)
{
    struct compaction c = {.e = e};
    int rc = engine_catch_up(e, 0);
    if (rc == E_OK) rc = compact_plan_resume(e, engine_tree_size(e), &c.plan);
    if (rc == E_OK) rc = forget(&c);
    compact_plan_fini(&c.plan);
    return rc;
}

/* ---- one compaction ---- */

static void fill_status(struct compaction *c, bool running, int result)
{
    struct engine_own *own = c->e->own;
    const struct compact_plan *p = &c->plan;
    uint64_t total = c->earlier_nodes, segments = c->earlier_segments, dropped = c->earlier_dropped;
    for (size_t i = c->n_done; i < p->n_groups; i++) {
        total += p->groups[i].nodes;
        segments += p->groups[i].segments;
        dropped += p->groups[i].drops;
    }
    mutex_lock(&own->status_lock);
    own->status = (struct compact_stats){
        .live = p->live,
        .dropped = dropped,
        .held = p->held,
        .bytes_before = c->bytes_before ? c->bytes_before : p->bytes_before,
        .bytes_after = p->bytes_after,
        .horizon = p->horizons.readable,
        .segments = segments,
        .done = c->done,
        .total = total,
        .running = running,
        .automatic = c->automatic,
        .result = result,
    };
    mutex_unlock(&own->status_lock);
}

/* Ends the tail when the last group has it, which may have grown since the plan was made. */
static int end_tail(struct compaction *c)
{
    struct compact_group *last = &c->plan.groups[c->plan.n_groups - 1];
    struct seg_info *info = NULL;
    size_t room = 0, n = 16;
    if (!last->with_tail) return E_OK;
    int rc = seglog_roll(c->e->log);
    while (rc == E_OK && n > room) {
        room = n + 16;
        info = mem_realloc(info, room * sizeof(*info));
        n = seglog_segments(c->e->log, info, room);
    }
    for (size_t i = 0; rc == E_OK && i < n; i++)
        if (info[i].id.first_seq <= last->last_seq)
            last->last_seq = info[i].last_seq > last->last_seq ? info[i].last_seq : last->last_seq;
    mem_free(info);
    return rc;
}

static int carry_out(struct compaction *c)
{
    struct engine *e = c->e;
    ASSERT(c->plan.n_groups > 0);
    int rc = promise(e, &c->plan.horizons);
    if (rc == E_OK) rc = end_tail(c);
    for (size_t i = 0; rc == E_OK && !c->anew && i < c->plan.n_groups; i++) {
        rc = cancelled(c) ? E_CANCELLED : rewrite_group(c, &c->plan.groups[i]);
        if (rc == E_OK && !e->own->opt.no_threads && worker_checkpoint_due(e)) rc = worker_checkpoint(e, false);
    }
    return rc < 0 || c->anew ? rc : forget(c);
}

/* What the plan found out, and what has come of it, into the books' estimate. */
static void settle(struct compaction *c, const struct compact_options *o, uint64_t counted, uint64_t left)
{
    struct engine *e = c->e;
    bool rules = !o->keep_versions && !o->before && o->prefix.n == 0;
    uint64_t waiting, dropped = c->earlier_bytes;
    indexer_lock(e);
    (void)fold_dead(e->fold, &waiting);
    if (rules)
        fold_settle_dead(e->fold, counted, left, c->plan.waiting_bytes);
    else
        fold_settle_dead(e->fold, counted, counted > dropped ? counted - dropped : 0, waiting);
    indexer_unlock(e);
}

/* One plan and what comes of it. c->anew: tags or rules came between, the rest is to be planned again. */
static int attempt(struct compaction *c, const struct compact_options *o)
{
    struct engine *e = c->e;
    uint64_t counted = fold_dead(e->fold, NULL), base = o->dry_run ? engine_tree_size(e) : engine_flushed_seq(e);
    c->anew = false;
    c->n_done = 0;
    compact_plan_fini(&c->plan);
    int rc = compact_plan_make(e, o, base, cancelled, c, &c->plan);
    if (rc < 0) return rc;
    if (c->bytes_before == 0) c->bytes_before = c->plan.bytes_before;
    fill_status(c, true, E_OK);
    if (o->dry_run) return E_OK;
    uint64_t earlier = c->earlier_bytes, drop_bytes = c->plan.drop_bytes;
    if (c->automatic && !compact_auto_worth(e, drop_bytes))
        rc = E_AGAIN;
    else if (c->plan.n_groups)
        rc = carry_out(c);
    uint64_t gone = c->earlier_bytes - earlier;
    if (!c->anew) settle(c, o, counted, drop_bytes > gone ? drop_bytes - gone : 0);
    return rc;
}

/* compact_lock held. */
static int compact(struct engine *e, const struct compact_options *o, bool automatic)
{
    struct engine_own *own = e->own;
    struct compaction c = {.e = e, .pace_us = os_mono_us(e->os), .automatic = automatic};
    uint64_t rules_turn = atomic_load(&e->fold->named.rules_turn);
    int rc = own->blocked ? E_UNSUPPORTED : E_OK;
    if (rc == E_OK) rc = engine_catch_up(e, 0);
    if (rc == E_OK && !o->dry_run && own->forget_due) rc = finish_forgetting(e);
    if (rc == E_OK && !o->dry_run) rc = worker_checkpoint(e, false);
    for (unsigned i = 0; rc == E_OK; i++) {
        rc = attempt(&c, o);
        if (rc < 0 || !c.anew) break;
        if (i == PLANS_MAX) rc = E_BUSY;
    }
    if (automatic) compact_auto_ended(e, rc, c.plan.waiting_ms, rules_turn);
    mutex_lock(&own->status_lock);
    if (rc == E_OK && !o->dry_run) own->runs++, own->automatic_runs += automatic;
    if (rc != E_AGAIN) own->ended_ms = os_wall_us(e->os) / 1000;
    mutex_unlock(&own->status_lock);
    fill_status(&c, false, rc);
    mem_free(c.leaf);
    compact_plan_fini(&c.plan);
    return rc;
}

/* One at a time: whoever gets `running` goes on to wait for compact_lock, which may still finish forgetting. */
static int claim(struct engine_own *own)
{
    mutex_lock(&own->status_lock);
    int rc = own->status.running ? E_BUSY : E_OK;
    if (rc == E_OK) {
        own->status = (struct compact_stats){.running = true};
        atomic_store(&own->cancel, false);
    }
    mutex_unlock(&own->status_lock);
    return rc;
}

int engine_compact(struct engine *e, const struct compact_options *o, struct compact_stats *out)
{
    struct engine_own *own = e->own;
    ASSERT(o);
    if (own->opt.read_only && !o->dry_run) return E_UNSUPPORTED;
    int rc = claim(own);
    if (rc < 0) return rc;
    mutex_lock(&own->compact_lock);
    rc = compact(e, o, false);
    if (out) engine_compact_status(e, out);
    mutex_unlock(&own->compact_lock);
    return rc;
}

/* ---- on the worker ---- */

int engine_compact_start(struct engine *e, const struct compact_options *o)
{
    struct engine_own *own = e->own;
    ASSERT(o);
    if (own->opt.read_only) return E_UNSUPPORTED;
    int rc = claim(own);
    if (rc < 0) return rc;
    mutex_lock(&own->status_lock);
    ASSERT(!own->requested);
    buf_clear(&own->request_prefix);
    buf_add_slice(&own->request_prefix, o->prefix);
    own->request = *o;
    own->request.prefix = buf_slice(&own->request_prefix);
    own->requested = true;
    mutex_unlock(&own->status_lock);
    engine_thread_poke(&own->worker);
    return E_OK;
}

static bool take_request(struct engine_own *own, struct compact_options *o, struct buf *prefix)
{
    mutex_lock(&own->status_lock);
    bool got = own->requested;
    if (got) {
        buf_add_slice(prefix, own->request.prefix);
        *o = own->request;
        o->prefix = buf_slice(prefix);
        own->requested = false;
    }
    mutex_unlock(&own->status_lock);
    return got;
}

static int run_logged(struct engine *e, const struct compact_options *o, bool automatic)
{
    struct compact_stats s;
    if (!o->dry_run) log_line(LOG_NOTICE, automatic ? "Automatic compaction started" : "Compaction started");
    int rc = compact(e, o, automatic);
    engine_compact_status(e, &s);
    if (rc == E_OK && !o->dry_run)
        log_line(LOG_NOTICE, "Compaction ended: %llu versions dropped, %llu kept, the log went from %llu to %llu bytes",
                 (unsigned long long)s.dropped, (unsigned long long)s.live, (unsigned long long)s.bytes_before,
                 (unsigned long long)s.bytes_after);
    else if (rc == E_AGAIN)
        log_line(LOG_NOTICE, "Compaction ended: too little may go");
    else if (rc < 0)
        log_line(LOG_WARNING, "Compaction ended early: %s", err_text(rc));
    return rc;
}

/* What was not worth it leaves the status of the last one that was. */
static int run_automatic(struct engine *e)
{
    struct engine_own *own = e->own;
    struct compact_stats before;
    mutex_lock(&own->status_lock);
    before = own->status;
    mutex_unlock(&own->status_lock);
    if (claim(own) < 0) return E_AGAIN;
    int rc = run_logged(e, &(struct compact_options){0}, true);
    mutex_lock(&own->status_lock);
    if (rc == E_AGAIN && !own->status.running) own->status = before;
    mutex_unlock(&own->status_lock);
    return rc == E_AGAIN ? E_AGAIN : E_OK;
}

int compact_turn(struct engine *e)
{
    struct engine_own *own = e->own;
    struct compact_options o;
    struct buf prefix = {0};
    ASSERT(!own->opt.read_only);
    if (!mutex_trylock(&own->compact_lock)) return E_AGAIN;
    int rc = E_AGAIN;
    indexer_lock(e);
    bool unfinished = own->forget_due && !own->blocked;
    indexer_unlock(e);
    if (take_request(own, &o, &prefix)) {
        run_logged(e, &o, false);
        rc = E_OK;
    } else if (unfinished) {
        rc = finish_forgetting(e);
        if (rc == E_CANCELLED) rc = E_AGAIN;
    } else if (!own->blocked && compact_auto_due(e)) {
        rc = run_automatic(e);
    }
    mutex_unlock(&own->compact_lock);
    buf_fini(&prefix);
    return rc;
}

void engine_compact_status(struct engine *e, struct compact_stats *out)
{
    ASSERT(e && e->own && out);
    mutex_lock(&e->own->status_lock);
    *out = e->own->status;
    out->ended_ms = e->own->ended_ms;
    out->runs = e->own->runs;
    out->automatic_runs = e->own->automatic_runs;
    if (out->ended_ms == 0) out->result = E_NOTFOUND;
    mutex_unlock(&e->own->status_lock);
}

void engine_compact_cancel(struct engine *e)
{
    ASSERT(e && e->own);
    atomic_store(&e->own->cancel, true);
}

void compact_fini(struct engine *e)
{
    ASSERT(e && e->own);
    buf_fini(&e->own->request_prefix);
}
