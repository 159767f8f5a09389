/* DREVERT of many keys on a failing machine: real commands of two clients go through the dispatcher to a simulated disk, a workload of writes of every kind and
 * reverts of prefixes and of everything, to points far and near, is stopped at every event of that disk, and what comes back is held against an oracle.
 *
 *   1. a revert is there as a whole or not at all, at every event: the log is exactly the commits that were asked for (asked.h), the last one whole;
 *   2. what was acknowledged is there, a revert as any other write; a DRYRUN counted what then happens, and wrote nothing;
 *   3. every key and link is now, and was at earlier points, the revert's and the one before it among them, what the oracle knows; versions are dense;
 *   4. DBSIZE, the engine's counts and a scan agree; 5. the same revert again goes through, writing goes on, and an orderly stop changes nothing of all this.
 *
 * Modes, at every event while a revert is on its way: killed, power cut, a write that fails, a sync that fails (then the power goes, and with it what that sync was for);
 * beside them a disk that is full when it begins, or soon. Its reply is an error then, or it is wholly there, in the running server and after its restart. Of the other
 * events a world takes a quarter, killed and power cut.
 *
 * Commits are larger than the ring and than a segment, and come when the ring is full; more keys differ than a slice compares, and the other client writes between
 * slices. In every second world an acknowledgement means synced, in every third history is dropped by rules.
 *
 * test_revert_crash [--points N] [--seed S]: N faults (0: without end). CRASH_EVENT and CRASH_MODE in the environment: one of them again. */
#include "asked.h"
#include "command_bed.h"

#include "base/os_sim.h"

#define STEPS          22
#define FILLS          4  /* commits of 300 keys to begin with */
#define FILLS_LONG     16 /* in every fifth world: more changes than a slice looks at */
#define POINTS_DEFAULT 1000
#define REVERTS_MAX    64
#define EVENTS_MAX     20000
#define FULL_TRIES     3 /* of a disk that gets full, for each revert */
#define OTHERS_ONE_IN  4 /* of the events outside of reverts; another seed takes others */

enum mode { KILLED, POWER_CUT, WRITE_FAILS, DISK_FULL, SYNC_FAILS };
static const char *const mode_names[] = {"killed", "power cut", "write fails", "disk full", "sync fails"};

struct run {
    struct world w;
    struct command_bed *b;
    struct os *os;
    struct ks_ctx c;
    uint64_t dice, seed, serial;
    uint64_t written, durable; /* what has to be there */
    bool always, compacts, compacted;
    uint16_t db[BED_PEERS];
    struct asking last_revert;
    uint64_t before_revert;
    unsigned n_reverts;
    uint64_t from[REVERTS_MAX], upto[REVERTS_MAX]; /* the events of each */
    unsigned full_at;                              /* 1 + the revert from which on the disk is full; 0 = never */
    uint64_t full_bytes;                           /* what still fits then */
};

/* Which events are syncs, of the world without a fault: the simulated disk's calls are listened to. */
static struct {
    struct os_ops ops;
    const struct os_ops *sim; /* NULL: nobody listens */
    bool is_sync[EVENTS_MAX];
} heard;

static void hear_sync(struct os *os)
{
    uint64_t event = os_sim_events(os) + 1;
    ASSERT(event < EVENTS_MAX);
    heard.is_sync[event] = true;
}
static int heard_sync(struct os *os, struct os_file *f)
{
    hear_sync(os);
    return heard.sim->sync(os, f);
}
static int heard_sync_dir(struct os *os, const char *path)
{
    hear_sync(os);
    return heard.sim->sync_dir(os, path);
}
static void listen_to(struct os *os)
{
    memset(&heard, 0, sizeof heard);
    heard.sim = os->ops;
    heard.ops = *os->ops;
    heard.ops.sync = heard_sync;
    heard.ops.sync_dir = heard_sync_dir;
    os->ops = &heard.ops;
}

static uint64_t roll(struct run *r, uint64_t below) { return points_roll(&r->dice, below); }

static int open_store(struct run *r)
{
    struct engine_options o = {.os = r->os,
                               .dir = "/db",
                               .no_threads = true,
                               .durability = r->always ? DURABLE_ALWAYS : DURABLE_EVERYSEC,
                               .ring_bytes = 1 << 16,
                               .segment_bytes = 64 << 10,
                               .index_buffer_bytes = 1 << 17,
                               .checkpoint_bytes = 150 << 10};
    int rc = command_bed_open(r->b, &o, DATABASES, 60000);
    struct server *s = &r->b->bed.server;
    r->w.e = s->engine;
    if (rc == E_OK) r->c = (struct ks_ctx){.ks = s->ks, .now_ms = engine_now_ms(s->engine), .still = true};
    memset(r->db, 0, sizeof r->db);
    return rc;
}

static int close_store(struct run *r)
{
    r->w.e = NULL;
    return command_bed_close(r->b);
}

static bool is_broken(struct run *r) { return os_sim_crashed(r->os) || engine_failure(r->w.e) != 0; }

/* ---- asking ---- */

static void line_keys(struct run *r, const struct asking *a, const char *every)
{
    struct buf value = {0};
    for (unsigned k = a->first; k < a->first + a->n; k++) {
        slice name = thing_name(k, &r->w.name);
        buf_add_str(&r->b->line, " ");
        buf_add_slice(&r->b->line, name);
        if (!every) continue;
        buf_add_str(&r->b->line, " ");
        buf_add_slice(&r->b->line, value_of(a, k, &value));
        buf_add_str(&r->b->line, every);
    }
    buf_fini(&value);
}

static void line_put(struct run *r, const struct asking *a)
{
    struct buf *l = &r->b->line;
    if (a->n > 1 && !a->text)
        buf_printf(l, "DMPUT %u", a->n);
    else
        buf_add_str(l, a->n > 1 ? "MSET" : a->text ? "SET" : "DPUT");
    line_keys(r, a, a->n > 1 && !a->text ? " *" : "");
    if (a->expire_ms) buf_printf(l, " PXAT %llu", (unsigned long long)a->expire_ms);
}

static void line_link(struct run *r, const struct asking *a)
{
    unsigned from = a->first - KEYS + LINK_FIRST;
    buf_printf(&r->b->line, "%s d:%03u next d:%03u", a->act == ASK_LINK ? "DLINK" : "DUNLINK", from, from + 1);
    if (a->act == ASK_UNLINK) return;
    buf_add_str(&r->b->line, " PROPS ");
    buf_add_slice(&r->b->line, value_of(a, a->first, &r->w.value));
}

static void line_revert(struct run *r, const struct asking *a)
{
    struct buf *l = &r->b->line;
    if (a->prefix[0])
        buf_printf(l, "DREVERT PREFIX %s %llu", a->prefix, (unsigned long long)a->point);
    else
        buf_printf(l, "DREVERT ALL %llu", (unsigned long long)a->point);
    if (a->dry) buf_add_str(l, " DRYRUN");
    if (a->serial % 3 == 0) buf_printf(l, " NOTE back%llu", (unsigned long long)a->serial);
}

static void line_of(struct run *r, const struct asking *a)
{
    struct buf *l = &r->b->line;
    buf_clear(l);
    switch (a->act) {
    case ASK_NOTHING: buf_printf(l, "SELECT %u", a->db); break;
    case ASK_PUT: line_put(r, a); break;
    case ASK_DELETE: buf_add_str(l, a->documents ? "DDEL" : "DEL"), line_keys(r, a, NULL); break;
    case ASK_EXPIRY:
        buf_add_str(l, a->expire_ms ? "PEXPIREAT" : "PERSIST"), line_keys(r, a, NULL);
        if (a->expire_ms) buf_printf(l, " %llu", (unsigned long long)a->expire_ms);
        break;
    case ASK_APPEND: buf_add_str(l, "APPEND"), line_keys(r, a, ""); break;
    case ASK_LINK:
    case ASK_UNLINK: line_link(r, a); break;
    case ASK_FLUSH: buf_add_str(l, a->everywhere ? "FLUSHALL" : "FLUSHDB"); break;
    case ASK_SWAP: buf_add_str(l, "SWAPDB 0 1"); break;
    case ASK_RULE:
        if (a->point)
            buf_printf(l, "DTAG SET tag:%llu %llu", (unsigned long long)a->serial, (unsigned long long)a->point);
        else
            buf_printf(l, "DRETAIN SET %c:* VERSIONS %llu", a->text ? 's' : 'd', 2 + (unsigned long long)a->serial % 2);
        break;
    case ASK_REVERT: line_revert(r, a); break;
    }
}

static void ask(struct run *r, struct asking a)
{
    struct world *w = &r->w;
    if (r->db[a.peer] != a.db && a.act != ASK_NOTHING) {
        ask(r, (struct asking){.act = ASK_NOTHING, .peer = a.peer, .db = a.db});
        r->db[a.peer] = a.db;
    }
    ASSERT(w->n_asked < ASKED_MAX);
    a.now_ms = engine_now_ms(w->e);
    a.serial = ++r->serial;
    line_of(r, &a);
    bed_send(r->b, a.peer);
    w->asked[w->n_asked++] = a;
}

static void take_reply(struct run *r, struct asking *a, const char *text)
{
    a->replied = true;
    a->acknowledged = text[0] != '-';
    if (!a->acknowledged && a->act == ASK_REVERT && !is_broken(r)) {
        a->refused = true;
        HOLDS(&r->w, r->compacted && text_starts(text, "-PRUNED ") && a->point < engine_horizon(r->w.e));
    }
    if (!a->acknowledged || a->act != ASK_REVERT) return;
    a->changed = text_field(text, "changed");
    a->restored = text_field(text, "restored");
    a->deleted = text_field(text, "deleted");
    if (a->dry || a->changed == 0) return;
    a->first_seq = text_field(text, "first_seq");
    a->last_seq = text_field(text, "last_seq");
}

static struct asking *next_reply(struct world *w, unsigned peer)
{
    for (unsigned i = 0; i < w->n_asked; i++)
        if (w->asked[i].peer == peer && !w->asked[i].replied) return &w->asked[i];
    return NULL;
}

static void hear(struct run *r)
{
    for (unsigned peer = 0; peer < BED_PEERS; peer++) {
        struct asking *a;
        while ((a = next_reply(&r->w, peer)) != NULL && peer_hears(&r->b->bed, &r->b->peer[peer])) take_reply(r, a, (const char *)r->b->peer[peer].text.p);
    }
}

static bool all_replied(const struct world *w)
{
    for (unsigned i = 0; i < w->n_asked; i++)
        if (!w->asked[i].replied) return false;
    return true;
}

static struct asking one_put(struct run *r, unsigned peer, unsigned thing)
{
    struct asking a = {.act = ASK_PUT, .peer = peer, .first = thing, .n = 1, .text = thing < STRINGS, .pad = roll(r, 12) ? roll(r, 60) : 900 + roll(r, 900)};
    return a;
}

/* Turns until every reply has come. beside: so many writes of the other client between the turns. */
static void await(struct run *r, unsigned beside)
{
    for (unsigned turn = 0; !all_replied(&r->w) && !r->w.failed; turn++) {
        HOLDS(&r->w, turn < 100000);
        hear(r);
        if (beside == 0 || all_replied(&r->w)) continue;
        ask(r, one_put(r, 1, (unsigned)roll(r, KEYS)));
        beside--;
    }
}

/* The step is over: the log has what was asked, exactly. Not when the machine failed: then the next start tells. */
static void conclude(struct run *r)
{
    struct engine_marks m;
    if (r->w.failed || is_broken(r) || engine_write_out(r->w.e, 0) != E_OK) return;
    engine_get_marks(r->w.e, &m);
    learn(&r->w, m.last_seq);
    if (!r->w.failed) settle(&r->w, false, true);
    r->written = r->w.o.last;
    if (r->always) r->durable = r->w.acknowledged;
}

/* ---- steps ---- */

static uint64_t some_expiry(struct run *r) { return (engine_now_ms(r->w.e) / 1000 + 1 + roll(r, 9)) * 1000 + 500; } /* never while a command runs: see step */

static void step_fill(struct run *r, uint64_t pad)
{
    bool text = roll(r, 2);
    unsigned n = 2 + (unsigned)roll(r, 298), first = (text ? 0 : STRINGS) + (unsigned)roll(r, 301 - n);
    if (roll(r, 12) == 0 && !text) n = 1, text = true; /* a document's key becomes a string */
    ask(r, (struct asking){.act = ASK_PUT, .db = roll(r, 8) == 0, .first = first, .n = n, .text = text, .pad = pad});
    await(r, 0);
}

static struct asking one_change(struct run *r)
{
    unsigned thing = (unsigned)roll(r, KEYS), link = KEYS + (unsigned)roll(r, LINKS);
    switch (roll(r, 9)) {
    case 0: return (struct asking){.act = ASK_DELETE, .first = thing, .n = 1, .documents = thing >= STRINGS && roll(r, 2)};
    case 1: return (struct asking){.act = ASK_EXPIRY, .first = thing, .n = 1, .expire_ms = roll(r, 4) ? some_expiry(r) : 0};
    case 2: return (struct asking){.act = ASK_APPEND, .first = thing % STRINGS, .n = 1, .pad = roll(r, 40)};
    case 3:
    case 4: return (struct asking){.act = roll(r, 4) ? ASK_LINK : ASK_UNLINK, .first = link, .n = 1, .pad = roll(r, 10)};
    default: {
        struct asking a = one_put(r, 0, thing);
        if (roll(r, 4) == 0) a.expire_ms = some_expiry(r);
        return a;
    }
    }
}

/* One after the other, without waiting. */
static void step_pipeline(struct run *r)
{
    uint16_t db = roll(r, 8) == 0;
    for (uint64_t n = 1 + roll(r, 40); n > 0; n--) {
        struct asking a = one_change(r);
        a.db = db;
        ask(r, a);
    }
    await(r, 0);
}

static void step_delete(struct run *r)
{
    unsigned n = 2 + (unsigned)roll(r, 200);
    ask(r, (struct asking){.act = ASK_DELETE, .first = (unsigned)roll(r, KEYS - n), .n = n});
    await(r, 0);
}

static struct asking some_revert(struct run *r)
{
    static const char *const prefixes[] = {"", "", "", "s:", "d:", "d:1", "s:2", "d:1", "s:29", "x"};
    const struct oracle *o = &r->w.o;
    struct asking a = {.act = ASK_REVERT, .db = roll(r, 10) == 0};
    uint64_t back = roll(r, 3) ? roll(r, o->last + 1) : o->last - roll(r, o->last / 8 + 1);
    if (r->compacted && roll(r, 4) && back < engine_horizon(r->w.e)) back = o->last - roll(r, o->last / 8 + 1);
    a.point = back ? point_at_or_before(o, back) : 0;
    snprintf(a.prefix, sizeof a.prefix, "%s", prefixes[roll(r, sizeof prefixes / sizeof prefixes[0])]);
    return a;
}

static int add_size(void *ctx, const char *name)
{
    struct run *r = ctx;
    struct os_file *f = NULL;
    char path[256];
    uint64_t size = 0;
    snprintf(path, sizeof path, "/db/%s", name);
    if (os_open(r->os, path, 0, &f) == E_OK && os_size(r->os, f, &size) == E_OK) r->full_bytes += size;
    os_close(r->os, &f);
    return 0;
}

/* From here on the files may grow by full_bytes. */
static void fill_disk(struct run *r)
{
    (void)!os_list(r->os, "/db", add_size, r);
    os_sim_set(r->os, &(struct os_sim_faults){.capacity_bytes = r->full_bytes, .process_only = true, .seed = r->seed});
}

static void step_revert(struct run *r)
{
    struct asking a = some_revert(r), dry = a;
    dry.dry = true;
    if (roll(r, 3) == 0) {
        ask(r, dry);
        await(r, 0);
        conclude(r);
    }
    if (r->w.failed || is_broken(r)) return;
    unsigned at = r->n_reverts < REVERTS_MAX ? r->n_reverts++ : REVERTS_MAX - 1;
    r->from[at] = os_sim_events(r->os) + 1;
    if (r->full_at == at + 1) fill_disk(r);
    r->before_revert = r->w.o.last;
    r->last_revert = a;
    bool crowd = roll(r, 3) == 0, beside = roll(r, 3) == 0;
    for (unsigned i = 0; crowd && i < 40; i++) { /* the ring is full when it comes */
        struct asking one = one_put(r, 0, (unsigned)roll(r, KEYS));
        one.pad = 1700;
        one.db = a.db;
        ask(r, one);
    }
    ask(r, a);
    await(r, beside ? 1 + (unsigned)roll(r, 4) : 0);
    r->upto[at] = os_sim_events(r->os);
}

static void step_compact(struct run *r)
{
    uint64_t last = r->w.o.last;
    if (!r->compacted || roll(r, 2)) ask(r, (struct asking){.act = ASK_RULE, .text = roll(r, 2)});
    if (roll(r, 3) == 0 && last) ask(r, (struct asking){.act = ASK_RULE, .point = point_at_or_before(&r->w.o, 1 + roll(r, last))});
    await(r, 0);
    if (r->w.failed || is_broken(r)) return;
    r->compacted = true;
    buf_clear(&r->b->line);
    buf_add_str(&r->b->line, "DCOMPACT ASYNC");
    bed_send(r->b, 0);
    (void)peer_reply(&r->b->bed, &r->b->peer[0]);
    (void)!engine_turn(r->w.e);
}

static void step_store(struct run *r)
{
    switch (roll(r, 6)) {
    case 0: (void)!engine_checkpoint(r->w.e); break;
    case 1: ks_drop_cache(&r->c); break;
    case 2:
        if (engine_sync(r->w.e, 0) == E_OK) r->durable = r->w.o.last;
        break;
    case 3:
        if (roll(r, 3) == 0) ask(r, (struct asking){.act = ASK_SWAP});
        break;
    case 4:
        if (roll(r, 3) == 0) ask(r, (struct asking){.act = ASK_FLUSH, .everywhere = roll(r, 3) == 0});
        break;
    default: (void)!engine_turn(r->w.e); break;
    }
    await(r, 0);
}

/* As the loop's timer does it. */
static void step_expire(struct run *r)
{
    bool more = true;
    struct ks_ctx c = {.ks = r->c.ks, .now_ms = engine_now_ms(r->w.e)};
    while (more && ks_expire_cycle(&c, 1000000, &more) == E_OK) {}
    if (c.nodes > 0) r->b->bed.server.loops[0]->gate = c.end;
    bed_turn(&r->b->bed);
}

/* Begins within the first half of a second of the clock; expiries lie at its middle. */
static void step(struct run *r)
{
    uint64_t us = os_wall_us(r->os) % 1000000;
    os_sim_advance(r->os, 1000000 - us + roll(r, 3) * 1000000 + roll(r, 200000));
    r->c.now_ms = engine_now_ms(r->w.e);
    switch (roll(r, 16)) {
    case 0:
    case 1:
    case 2: step_fill(r, roll(r, 150)); break;
    case 3:
    case 4: step_pipeline(r); break;
    case 5: step_delete(r); break;
    case 6:
    case 7:
    case 8: step_store(r); break;
    case 9: step_expire(r); break;
    case 10: r->compacts ? step_compact(r) : step_pipeline(r); break;
    default: step_revert(r); break;
    }
    conclude(r);
}

static void workload(struct run *r)
{
    if (open_store(r) != E_OK) return;
    unsigned fills = r->seed % 5 == 3 ? FILLS_LONG : FILLS;
    for (unsigned i = 0; i < STEPS + fills && !r->w.failed && !is_broken(r); i++) {
        if (i < fills) {
            ask(r, (struct asking){.act = ASK_PUT, .first = i % 2 ? STRINGS : 0, .n = 300, .text = i % 2 == 0, .pad = i < 2 ? 20 : 120});
            await(r, 0);
            conclude(r);
        } else {
            step(r);
        }
    }
}

/* ---- what has to hold afterwards ---- */

static void compare_value(struct run *r, int rc, const struct ks_value *v, const struct fact *want)
{
    HOLDS(&r->w, rc == (want ? E_OK : E_NOTFOUND));
    if (!want) return;
    HOLDS(&r->w, slice_eq(v->blob, slice_of(want->value, want->n)));
    HOLDS(&r->w, v->type == want->type && v->ver == want->ver && v->expire_ms == want->expire_ms);
}

static int count_key(void *ctx, slice key, uint8_t type)
{
    (void)key, (void)type;
    ++*(uint64_t *)ctx;
    return 0;
}

static void check_present(struct run *r, uint16_t db)
{
    struct world *w = &r->w;
    uint64_t cursor = 0, there = 0, counted = 0, seen = 0;
    struct db_counts counts;
    r->c.db = db;
    for (unsigned k = 0; k < KEYS && !w->failed; k++) {
        struct ks_value v;
        const struct fact *f = view_live(&w->o, &w->o.now, w->o.now.lineage[db], k);
        bool due = f && is_due(f, r->c.now_ms);
        counted += f != NULL;
        there += f && !due;
        compare_value(r, ks_get(&r->c, thing_name(k, &w->name), &v), &v, due ? NULL : f);
    }
    if (w->failed) return;
    engine_db_counts(w->e, w->o.now.lineage[db], &counts);
    HOLDS(w, ks_count(&r->c, db, NULL) == counted && counts.keys == counted);
    do HOLDS(w, ks_scan(&r->c, &cursor, 50, 0, count_key, &seen) == E_OK);
    while (cursor != 0);
    HOLDS(w, seen == there);
}

/* PRUNED is right only below the horizon of a store that was compacted. */
static bool may_be_pruned(struct run *r, int rc, uint64_t point) { return rc == E_PRUNED && r->compacted && point < engine_horizon(r->w.e); }

static void check_past_links(struct run *r, const struct view *view, uint16_t db, uint64_t point)
{
    struct world *w = &r->w;
    struct link_cursor *it = NULL;
    struct link l;
    uint64_t want = 0, found = 0;
    uint16_t lineage = view->lineage[db];
    for (unsigned k = KEYS; k < THINGS; k++) want += view_live(&w->o, view, lineage, k) != NULL;
    int rc = engine_all_links(w->e, lineage, point, (slice){0}, &it);
    while (rc == E_OK && ((rc = link_cursor_next(it, &l)) == E_OK || rc == E_AGAIN)) {
        for (unsigned k = KEYS; rc == E_OK && k < THINGS; k++) {
            const struct fact *f = view_live(&w->o, view, lineage, k);
            found += f && seq_of(w, f) == l.seq;
        }
        rc = E_OK;
    }
    link_cursor_close(&it);
    HOLDS(w, may_be_pruned(r, rc, point) || (rc == E_END && found == want));
}

/* one in `sparse` keys */
static void check_past(struct run *r, uint64_t point, unsigned sparse)
{
    struct world *w = &r->w;
    struct view view;
    struct buf mem = {0};
    view_at(&w->o, point, &view);
    for (uint16_t db = 0; db < DATABASES && point; db++) {
        r->c.db = db;
        for (unsigned k = (unsigned)roll(r, sparse); k < KEYS && !w->failed; k += sparse) {
            struct ks_value v;
            const struct fact *f = view_live(&w->o, &view, view.lineage[db], k);
            if (f && is_due(f, w->o.fact[point].ts_ms)) f = NULL;
            int rc = ks_get_at(&r->c, thing_name(k, &w->name), point, KS_ANY_VALID, &mem, &v);
            if (!may_be_pruned(r, rc, point)) compare_value(r, rc, &v, f);
        }
        if (!w->failed) check_past_links(r, &view, db, point);
    }
    buf_fini(&mem);
}

/* Newest first, each naming the one before; after a compaction some may be missing, never the newest that stands. */
static void check_versions(struct run *r, unsigned thing, uint16_t lineage)
{
    struct world *w = &r->w;
    struct version_cursor *it = NULL;
    struct version v;
    uint64_t want = w->o.now.head[lineage][thing];
    bool first = true;
    int rc = engine_versions(w->e, thing < KEYS ? SPACE_KEY : SPACE_LINK, lineage, thing_name(thing, &w->name), 0, UINT64_MAX, false, &it);
    while (rc == E_OK && (rc = version_next(it, &v)) == E_OK && !w->failed) {
        while (r->compacted && !(first && view_live(&w->o, &w->o.now, lineage, thing)) && want > v.seq) want = w->o.fact[want].prev;
        if (v.seq != want || want == 0 || v.ver != w->o.fact[want].ver) w->failed = "versions are dense", w->line = __LINE__;
        want = w->o.fact[want].prev;
        first = false;
    }
    version_close(&it);
    HOLDS(w, rc == E_END && (want == 0 || r->compacted));
}

static void check_all(struct run *r)
{
    struct world *w = &r->w;
    r->c.now_ms = engine_now_ms(w->e);
    HOLDS(w, engine_catch_up(w->e, 0) == E_OK);
    for (uint16_t db = 0; db < DATABASES && !w->failed; db++) check_present(r, db);
    for (unsigned i = 0; i < 60 && !w->failed; i++) check_versions(r, (unsigned)roll(r, THINGS), (uint16_t)roll(r, DATABASES));
    if (!w->failed) check_past(r, w->o.last, 3);
    if (!w->failed) check_past(r, r->before_revert < w->o.last ? r->before_revert : w->o.last, 3);
    if (!w->failed && w->o.last) check_past(r, point_at_or_before(&w->o, 1 + roll(r, w->o.last)), 5);
    if (!w->failed) ks_check(r->c.ks);
}

/* ---- one fault ---- */

/* The store is open again: what is in the log, and is that right? */
static void look_back(struct run *r, bool power_cut)
{
    struct world *w = &r->w;
    struct engine_marks m;
    HOLDS(w, open_store(r) == E_OK);
    engine_get_marks(w->e, &m);
    HOLDS(w, m.last_seq >= (power_cut ? r->durable : r->written));
    if (m.last_seq < w->o.last) {
        HOLDS(w, w->o.fact[m.last_seq + 1].commit_first == m.last_seq + 1);
        oracle_cut(&w->o, m.last_seq);
        w->n_asked = 0; /* they came behind what is gone */
    }
    learn(w, m.last_seq);
    if (!w->failed) settle(w, power_cut && !r->always, false);
    if (!w->failed) check_all(r);
}

static void after_fault(struct run *r, bool power_cut)
{
    struct world *w = &r->w;
    look_back(r, power_cut);
    if (w->failed) return;
    r->written = r->durable = w->acknowledged = w->o.last;
    if (r->last_revert.act && r->last_revert.point <= w->o.last) {
        ask(r, r->last_revert);
        await(r, 0);
        conclude(r);
    }
    for (unsigned i = 0; i < 2 && !w->failed; i++) step(r);
    HOLDS(w, w->failed || !is_broken(r));
    step_expire(r);
    conclude(r);
    if (w->failed) return;
    HOLDS(w, close_store(r) == E_OK);
    look_back(r, false);
}

/* The log took no more: reads go on, and show what is in it. Where the index failed too they may be refused, and are right otherwise. */
static void while_failed(struct run *r)
{
    struct world *w = &r->w;
    struct engine_marks m;
    engine_get_marks(w->e, &m);
    learn(w, m.written_seq);
    if (w->failed) return;
    if (engine_catch_up(w->e, 0) == E_OK) {
        check_all(r);
        return;
    }
    r->c.db = 0;
    r->c.now_ms = engine_now_ms(w->e);
    for (unsigned k = 0; k < KEYS && !w->failed; k++) {
        struct ks_value v;
        const struct fact *f = view_live(&w->o, &w->o.now, w->o.now.lineage[0], k);
        int rc = ks_get(&r->c, thing_name(k, &w->name), &v);
        if (rc == E_OK || rc == E_NOTFOUND) compare_value(r, rc, &v, f && is_due(f, r->c.now_ms) ? NULL : f);
    }
}

static struct run *run_new(struct command_bed *b, uint64_t seed)
{
    struct run *r = mem_zalloc(sizeof *r);
    r->b = b;
    r->os = os_sim_new(seed);
    r->dice = r->seed = seed;
    r->always = seed % 2 == 0;
    r->compacts = seed % 3 == 1;
    view_start(&r->w.o.now);
    return r;
}

static void run_free(struct run *r)
{
    (void)!close_store(r);
    oracle_cut(&r->w.o, 0);
    buf_fini(&r->w.name);
    buf_fini(&r->w.value);
    os_free(&r->os);
    mem_free(r);
}

static bool one_point(struct command_bed *b, uint64_t seed, uint64_t event, enum mode mode)
{
    struct run *r = run_new(b, seed);
    bool power_cut = mode == POWER_CUT || mode == SYNC_FAILS;
    struct os_sim_faults f = {.seed = seed * 1000003 + event, .process_only = !power_cut};
    if (mode == KILLED || mode == POWER_CUT) f.crash_at = event;
    if (mode == WRITE_FAILS) f.fail_write_at = event;
    if (mode == SYNC_FAILS) f.fail_sync_at = event;
    if (mode == DISK_FULL) r->full_at = 1 + (unsigned)(event / FULL_TRIES), r->full_bytes = event % FULL_TRIES * 40000;
    os_sim_set(r->os, &f);
    workload(r);
    if (r->w.e && !r->w.failed && !os_sim_crashed(r->os) && engine_failure(r->w.e)) while_failed(r);
    /* One that outlived its fault dies now. */
    if (!os_sim_crashed(r->os))
        os_sim_set(r->os, &(struct os_sim_faults){.crash_at = os_sim_events(r->os) + 1, .process_only = !power_cut, .seed = seed});
    (void)!close_store(r);
    os_sim_reboot(r->os);
    if (!r->w.failed) after_fault(r, power_cut);
    bool good = !r->w.failed;
    if (!good)
        printf("FAILED: %s at event %llu (CRASH_MODE %d), seed %llu: line %u: %s\n", mode_names[mode], (unsigned long long)event, mode,
               (unsigned long long)seed, r->w.line, r->w.failed);
    run_free(r);
    return good;
}

static bool in_revert(const struct run *r, uint64_t event)
{
    for (unsigned i = 0; i < r->n_reverts; i++)
        if (event >= r->from[i] && event <= r->upto[i]) return true;
    return false;
}

/* The points of one world: every event while a revert is on its way, and some of the others. */
static void every_point(struct points *p, struct command_bed *b)
{
    struct run *r = run_new(b, p->seed);
    listen_to(r->os);
    workload(r);
    uint64_t events = os_sim_events(r->os);
    if (r->w.failed) {
        printf("FAILED: without a fault, seed %llu: line %u: %s\n", (unsigned long long)p->seed, r->w.line, r->w.failed);
        points_count(p, false);
        events = r->n_reverts = 0;
    }
    printf("seed %llu: %llu events, %u reverts, %llu nodes\n", (unsigned long long)p->seed, (unsigned long long)events, r->n_reverts,
           (unsigned long long)r->w.o.last);
    for (uint64_t event = 1; event <= events; event++) {
        bool reverting = in_revert(r, event);
        if (!reverting && event % OTHERS_ONE_IN != p->seed % OTHERS_ONE_IN) continue;
        for (int mode = KILLED; mode <= (reverting ? WRITE_FAILS : POWER_CUT) && points_left(p); mode++)
            points_count(p, one_point(b, p->seed, event, (enum mode)mode));
        if (reverting && heard.is_sync[event] && points_left(p)) points_count(p, one_point(b, p->seed, event, SYNC_FAILS));
    }
    for (unsigned i = 0; i < r->n_reverts * FULL_TRIES && points_left(p); i++) points_count(p, one_point(b, p->seed, i, DISK_FULL));
    run_free(r);
}

int main(int argc, char **argv)
{
    struct points p = points_from(argc, argv, POINTS_DEFAULT);
    struct command_bed *b = command_bed_new();
    if (p.only) {
        bool good = one_point(b, p.seed, p.event, (enum mode)p.mode);
        command_bed_free(&b);
        return !good;
    }
    for (; points_left(&p); p.seed++) every_point(&p, b);
    command_bed_free(&b);
    return points_end(&p, "revert");
}
