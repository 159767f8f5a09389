/* The engine: opening, closing, its threads, its figures.
 *
 * Open: lock, manifest, segments, tree, index, books, ring, then fold what the books do not know yet, by the indexer's own code. What damage is
 * found is never repaired in passing: without `salvage` open refuses and says where. With it, every record, run and leaf is checked, everything
 * that the log still holds is kept, and what does not hold is folded anew from the first node: index and books when nodes or runs are damaged, all
 * of it when the tree or the manifest is (salvage.c). Seqs that were handed out once are not handed out again (lost ones at the end become filler).
 *
 * Invariants (after open): next seq > every seq that the manifest knows of; indexed_seq = newest seq of the log; tree_size = indexed_seq. */
#include "engine/own.h"

#include "base/mem.h"
#include "engine/segment.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECKPOINT_BYTES_DEFAULT (64ull << 20)
#define REST_MS_DEFAULT          1500u
#define CHECKPOINT_NODES_DEFAULT (512ull << 10) /* fold in half a second */
#define PROGRESS_NODES           100000
#define LARGE_TAIL_BYTES         (16u << 20)

/* ---- threads ---- */

int engine_thread_start(struct engine_thread *t, const char *name, engine_thread_fn fn, struct engine *e)
{
    ASSERT(!t->started);
    ASSERT(fn && e);
    int rc = thread_start(&t->thread, name, fn, e);
    t->started = rc == E_OK;
    return rc;
}

void engine_thread_stop(struct engine_thread *t)
{
    ASSERT(t);
    if (!t->started) return;
    mutex_lock(&t->lock);
    atomic_store(&t->stop, true);
    cond_signal(&t->wake);
    mutex_unlock(&t->lock);
    thread_join(t->thread);
    t->started = false;
}

/* No poke is lost: it says `poked` and then looks whether the thread is idle; the thread says `idle` and then looks whether it was poked. All
 * four are sequentially consistent, so one of the two sees the other. */
void engine_thread_poke(struct engine_thread *t)
{
    ASSERT(t);
    atomic_store(&t->poked, true);
    if (!atomic_load(&t->idle)) return;
    mutex_lock(&t->lock);
    cond_signal(&t->wake);
    mutex_unlock(&t->lock);
}

void engine_thread_sleep(struct engine_thread *t, uint64_t us)
{
    ASSERT(us > 0);
    mutex_lock(&t->lock);
    atomic_store(&t->idle, true);
    if (!atomic_load(&t->poked) && !atomic_load(&t->stop)) (void)cond_wait_us(&t->wake, &t->lock, us);
    atomic_store(&t->poked, false);
    atomic_store(&t->idle, false);
    mutex_unlock(&t->lock);
}

static void thread_init(struct engine_thread *t, const char *name)
{
    mutex_init(&t->lock, name, RANK_LEAF);
    cond_init(&t->wake);
}

static void thread_fini(struct engine_thread *t)
{
    cond_fini(&t->wake);
    mutex_fini(&t->lock);
}

static int start_threads(struct engine *e)
{
    struct engine_own *own = e->own;
    if (own->opt.no_threads || own->opt.read_only) return E_OK;
    int rc = engine_thread_start(&own->syncer, "varve-sync", sync_thread, e);
    if (rc == E_OK) rc = engine_thread_start(&own->indexer, "varve-index", indexer_thread, e);
    if (rc == E_OK) rc = engine_thread_start(&own->worker, "varve-work", worker_thread, e);
    return rc;
}

/* ---- making and releasing the object ---- */

void engine_path(struct buf *out, const char *dir, const char *name)
{
    ASSERT(out && dir && name);
    buf_clear(out);
    buf_printf(out, "%s/%s", dir, name);
    buf_add_byte(out, 0);
}

static struct engine *engine_new(const struct engine_options *o)
{
    struct engine *e = mem_zalloc(sizeof(*e));
    struct engine_own *own = e->own = mem_zalloc(sizeof(*own));
    e->os = o->os ? o->os : os_posix();
    own->opt = *o;
    own->dir = mem_strdup(o->dir);
    own->opt.dir = own->dir;
    if (!own->opt.ring_bytes) own->opt.ring_bytes = o->read_only ? RING_BYTES_MIN : RING_BYTES_DEFAULT;
    if (!own->opt.segment_bytes) own->opt.segment_bytes = SEGMENT_BYTES_DEFAULT;
    if (!own->opt.checkpoint_bytes) own->opt.checkpoint_bytes = CHECKPOINT_BYTES_DEFAULT;
    if (!own->opt.rest_ms) own->opt.rest_ms = o->no_threads ? UINT64_MAX : REST_MS_DEFAULT;
    if (!own->opt.checkpoint_nodes) own->opt.checkpoint_nodes = CHECKPOINT_NODES_DEFAULT;
    atomic_store(&own->durability, (int)o->durability);
    mutex_init(&own->sync_lock, "engine sync", RANK_LEAF);
    mutex_init(&own->status_lock, "engine compaction status", RANK_LEAF);
    mutex_init(&own->fold_lock, "engine indexer", RANK_INDEXER);
    mutex_init(&own->checkpoint_lock, "engine checkpoint", RANK_CHECKPOINT);
    mutex_init(&own->compact_lock, "engine compaction", RANK_COMPACT);
    cond_init(&own->sync_done);
    thread_init(&own->syncer, "sync thread");
    thread_init(&own->indexer, "indexer thread");
    thread_init(&own->worker, "worker thread");
    return e;
}

static void engine_free(struct engine **engine)
{
    struct engine *e = *engine;
    struct engine_own *own = e->own;
    ASSERT(!own->syncer.started && !own->indexer.started && !own->worker.started);
    if (e->ring) ring_close(&e->ring);
    indexer_close(e);
    if (e->fold) fold_close(&e->fold);
    if (e->index) index_close(&e->index);
    if (e->tree) tree_close(&e->tree);
    if (e->log) seglog_close(&e->log);
    os_close(e->os, &own->old_entries);
    os_close(e->os, &own->lock_file);
    manifest_fini(&own->manifest);
    compact_fini(e);
    thread_fini(&own->syncer);
    thread_fini(&own->indexer);
    thread_fini(&own->worker);
    cond_fini(&own->sync_done);
    mutex_fini(&own->compact_lock);
    mutex_fini(&own->checkpoint_lock);
    mutex_fini(&own->fold_lock);
    mutex_fini(&own->status_lock);
    mutex_fini(&own->sync_lock);
    mem_free(own->dir);
    mem_free(own);
    mem_free(e);
    *engine = NULL;
}

/* ---- open: the manifest ---- */

static int refuse(struct engine_report *rep, int rc, const char *where)
{
    ASSERT(rc < 0);
    if (rep->where[0] == 0) snprintf(rep->where, sizeof(rep->where), "%s", where);
    return err_note(rc, "the store cannot be opened: %s", rep->where);
}

struct found_segments {
    struct manifest *m;
    size_t cap;
};

/* NNNNNNNNNNNNNNNN-GGGG.seg */
static int find_segment(void *ctx, const char *name)
{
    struct found_segments *f = ctx;
    unsigned long long first;
    unsigned generation;
    int end = 0;
    if (sscanf(name, "%16llx-%8x.seg%n", &first, &generation, &end) != 2 || end == 0 || name[end] != 0) return 0;
    struct manifest *m = f->m;
    if (m->n_segments == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 64;
        m->segments = mem_realloc(m->segments, f->cap * sizeof(*m->segments));
    }
    m->segments[m->n_segments++] = (struct seg_id){first, generation, generation > 0};
    return 0;
}

static int order_segments(const void *a, const void *b)
{
    const struct seg_id *x = a, *y = b;
    if (x->first_seq != y->first_seq) return x->first_seq < y->first_seq ? -1 : 1;
    return (x->generation > y->generation) - (x->generation < y->generation);
}

/* The store's identity, out of the first segment's header that is whole; *known = false: there is none. */
static int find_identity(struct engine *e, struct manifest *m, bool *known)
{
    struct buf path = {0};
    int rc = E_OK;
    *known = false;
    for (size_t i = 0; rc == E_OK && i < m->n_segments && !*known; i++) {
        uint8_t head[SEGMENT_HEADER_BYTES];
        char name[SEGMENT_NAME_BYTES];
        struct os_file *file = NULL;
        struct segment_header h;
        size_t got = 0;
        engine_path(&path, e->own->dir, "log/");
        path.n--;
        segment_name(name, m->segments[i].first_seq, m->segments[i].generation, "seg");
        buf_add(&path, name, strlen(name) + 1);
        rc = os_open(e->os, (const char *)path.p, OS_READ, &file);
        if (rc == E_OK) rc = os_read(e->os, file, 0, head, sizeof(head), &got);
        *known = rc == E_OK && segment_header_decode(slice_of(head, got), &h) == E_OK;
        if (*known) memcpy(m->store_id, h.store_id, sizeof(h.store_id));
        os_close(e->os, &file);
    }
    buf_fini(&path);
    return rc;
}

/* What the directory itself says about the log: its segments, and whose they are. */
static int scan_log(struct engine *e, struct manifest *m, bool *known)
{
    struct buf path = {0};
    struct found_segments f = {.m = m};
    *known = false;
    engine_path(&path, e->own->dir, "log");
    int rc = os_list(e->os, (const char *)path.p, find_segment, &f);
    buf_fini(&path);
    if (rc == E_NOTFOUND) rc = E_OK;
    if (rc < 0 || m->n_segments == 0) return rc;
    qsort(m->segments, m->n_segments, sizeof(*m->segments), order_segments);
    m->first_unlisted = m->segments[m->n_segments - 1].first_seq + 1;
    rc = find_identity(e, m, known);
    return rc == E_OK && e->own->opt.salvage ? salvage_segments(e, m) : rc;
}

/* The directory that holds dir's name. */
static void parent_of(struct buf *out, const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') n--;
    while (n > 0 && dir[n - 1] != '/') n--;
    while (n > 1 && dir[n - 1] == '/') n--;
    buf_clear(out);
    buf_add(out, n ? dir : ".", n ? n : 1);
    buf_add_byte(out, 0);
}

/* Directories, their names in their parent, identity, manifest: in this order, so that a store whose manifest is durable has all of itself. */
static int make_store(struct engine *e, struct manifest *m)
{
    static const char *const parts[] = {"log", "index", "tree"};
    struct buf path = {0};
    int rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < sizeof(parts) / sizeof(*parts); i++) {
        engine_path(&path, e->own->dir, parts[i]);
        rc = os_mkdir(e->os, (const char *)path.p);
    }
    parent_of(&path, e->own->dir);
    if (rc == E_OK) rc = os_sync_dir(e->os, (const char *)path.p);
    buf_fini(&path);
    if (rc < 0) return rc;
    os_random(e->os, m->store_id, sizeof(m->store_id));
    os_random(e->os, &m->seed, sizeof(m->seed));
    m->created_ms = m->newest_ms = os_wall_us(e->os) / 1000;
    m->first_unlisted = 1;
    sha256(m->root, "", 0); /* of the empty tree, RFC 9162 */
    return manifest_write(e->os, e->own->dir, m);
}

/* Fills own->manifest. *lost: it had to be made up. */
static int load_manifest(struct engine *e, struct engine_report *rep, bool *lost)
{
    struct engine_own *own = e->own;
    struct manifest *m = &own->manifest;
    int rc = manifest_read(e->os, own->dir, m);
    if (rc == E_OK) return E_OK;
    bool missing = rc == E_NOTFOUND, damaged = rc == E_CORRUPT;
    if (!missing && !damaged) return refuse(rep, rc, "the manifest cannot be read");
    bool known;
    int scanned = scan_log(e, m, &known);
    if (scanned < 0) return refuse(rep, scanned, "the log directory cannot be read");
    if (missing && m->n_segments == 0 && own->opt.read_only) return E_NOTFOUND;
    if (missing && m->n_segments == 0) {
        rep->fresh = true;
        return make_store(e, m);
    }
    if (!own->opt.salvage)
        return refuse(rep, E_CORRUPT,
                      missing ? "there are segments but no MANIFEST"
                              : "MANIFEST is damaged; a repair can rebuild it from the segments");
    *lost = true;
    os_random(e->os, &m->seed, sizeof(m->seed)); /* the index is made anew under it */
    sha256(m->root, "", 0);
    if (!known) os_random(e->os, m->store_id, sizeof(m->store_id));
    for (size_t i = 0; i < m->n_segments; i++) {
        if (!m->segments[i].compacted) continue;
        log_line(LOG_WARNING, "Repair: the log was compacted; leaves of dropped nodes are taken from what is left of the tree, unchecked.");
        m->horizon = UINT64_MAX; /* not known: set to the log's end when that is */
        break;
    }
    return E_OK;
}

/* ---- open: the parts ---- */

/* Seqs behind the log's end that were handed out before: filler takes their place, so that nothing is ever numbered twice. */
static int fill_lost_end(struct engine *e, uint64_t upto)
{
    struct node n = {.op = NODE_FILLER, .ts_ms = e->own->manifest.newest_ms};
    struct buf rec = {0};
    int rc = E_OK;
    size_t bytes = node_size(&n);
    for (uint64_t seq = seglog_last_seq(e->log) + 1; rc == E_OK && seq <= upto; seq++) {
        n.seq = seq;
        buf_clear(&rec);
        uint8_t *p = buf_reserve(&rec, record_size(bytes));
        node_encode(&n, p + RECORD_HEADER_BYTES);
        uint32_t word = record_seal(p, bytes, false);
        memcpy(p, &word, sizeof(word));
        rc = seglog_append(e->log, slice_of(p, record_size(bytes)), seq, 1);
    }
    buf_fini(&rec);
    return rc;
}

/* The log must reach what manifest or sync mark (`marked`) know to have been durable. */
static int check_end(struct engine *e, uint64_t marked, struct engine_report *rep)
{
    struct engine_own *own = e->own;
    uint64_t last = seglog_last_seq(e->log), floor = own->manifest.floor > marked ? own->manifest.floor : marked;
    if (last >= floor) return E_OK;
    char where[128];
    snprintf(where, sizeof(where), "the log ends at seq %llu, but was on disk up to %llu", (unsigned long long)last,
             (unsigned long long)floor);
    if (!own->opt.salvage) return refuse(rep, E_CORRUPT, where);
    if (rep->lost_from == 0) rep->lost_from = last + 1;
    rep->lost_to = floor;
    snprintf(rep->where, sizeof(rep->where), "%s", where);
    log_line(LOG_WARNING, "Repair: %s.", where);
    return own->opt.read_only ? E_OK : fill_lost_end(e, floor);
}

static int open_log(struct engine *e, struct engine_report *rep)
{
    struct engine_own *own = e->own;
    const struct manifest *m = &own->manifest;
    struct seglog_report found = {0};
    struct seglog_options o = {
        .os = e->os,
        .dir = own->dir,
        .segment_bytes = own->opt.segment_bytes,
        .installed = m->segments,
        .n_installed = m->n_segments,
        .first_unlisted_seq = m->first_unlisted,
        .store_id = m->store_id,
        .salvage = own->opt.salvage,
        .read_only = own->opt.read_only,
        .progress = own->opt.progress,
        .progress_ctx = own->opt.progress_ctx,
    };
    int rc = seglog_open(&o, &e->log, &found);
    rep->torn_bytes = found.torn_bytes;
    rep->sidecars_rebuilt = found.sidecars_rebuilt;
    rep->lost_from = found.lost_from;
    rep->lost_to = found.lost_to;
    if (rc == E_OK && m->horizon == UINT64_MAX) own->manifest.horizon = seglog_last_seq(e->log);
    snprintf(rep->where, sizeof(rep->where), "%s", found.where);
    return rc < 0 ? refuse(rep, rc, "the log") : check_end(e, found.durable, rep);
}

static void show_check(struct engine *e, const char *what, uint64_t done)
{
    struct engine_own *own = e->own;
    if (own->opt.salvage && own->opt.progress) own->opt.progress(own->opt.progress_ctx, what, done, 1);
}

/* *anew: the tree starts empty, and everything is to be folded from the first node. */
static int open_tree(struct engine *e, struct engine_report *rep, bool lost, bool *anew)
{
    struct engine_own *own = e->own;
    struct manifest *m = &own->manifest;
    uint64_t bad;
    int rc = lost ? E_CORRUPT : tree_open(e->os, own->dir, m->covers, m->root, own->opt.read_only, &e->tree);
    if (rc == E_OK && own->opt.salvage) {
        show_check(e, "checking the tree", 0);
        rc = tree_verify(e->tree, &bad);
        show_check(e, "checking the tree", 1);
    }
    if (rc == E_CORRUPT && own->opt.salvage) {
        if (!lost) log_line(LOG_WARNING, "Repair: the tree is damaged and is made anew from nodes and old leaves.");
        if (e->tree) tree_close(&e->tree);
        sha256(m->root, "", 0);
        m->covers = 0;
        *anew = true;
        rc = salvage_begin_tree(e);
        if (rc == E_OK) rc = tree_open(e->os, own->dir, 0, m->root, own->opt.read_only, &e->tree);
    }
    return rc < 0 ? refuse(rep, rc, "the tree of hashes is damaged; a repair rebuilds it from the log") : E_OK;
}

/* Merging may start before the fold is there. */
static bool drop_entry(void *engine, slice key, slice value)
{
    struct engine *e = engine;
    return e->fold && fold_drop(e->fold, key, value);
}

/* Index and books; with `anew` both start empty. */
static int open_index(struct engine *e, bool anew)
{
    struct engine_own *own = e->own;
    const struct manifest *m = &own->manifest;
    struct index_options o = {
        .os = e->os,
        .dir = own->dir,
        .buffer_bytes = own->opt.index_buffer_bytes,
        .runs = m->runs,
        .n_runs = anew ? 0 : m->n_runs,
        .drop = drop_entry,
        .drop_ctx = e,
        .read_only = own->opt.read_only,
    };
    int rc = index_open(&o, &e->index);
    if (rc == E_OK) rc = fold_open(e, anew ? (slice){0} : buf_slice(&m->books), &e->fold);
    if (rc < 0 && e->index) index_close(&e->index);
    return rc;
}

static int check_index(struct engine *e)
{
    char where[128];
    show_check(e, "checking the index", 0);
    int rc = index_verify(e->index, where, sizeof(where));
    show_check(e, "checking the index", 1);
    return rc;
}

/* What books of an older version do not say is taken for the worst that the compacted segments allow. An index made anew over gaps knows versions, and where
 * some are missing, but lists of documents and links at points before are not whole: they are refused. */
static void raise_horizons(struct engine *e, const struct engine_report *rep, bool anew)
{
    const struct manifest *m = &e->own->manifest;
    struct engine_horizons h = {.keys = m->horizon};
    uint64_t gone = rep->lost_to, last = seglog_last_seq(e->log);
    for (size_t i = 0; i < m->n_segments; i++) {
        uint64_t upto = i + 1 < m->n_segments ? m->segments[i + 1].first_seq - 1 : last;
        if (m->segments[i].compacted && upto > gone) gone = upto;
    }
    if (!fold_knows_horizons(e->fold)) {
        h.documents = anew && gone ? last : m->horizon;
        h.changes = h.document_changes = gone > m->horizon ? gone : m->horizon;
    }
    if (rep->lost_to || (gone && !fold_knows_horizons(e->fold))) h.readable = last;
    fold_raise_horizons(e->fold, &h);
}

static int open_folded(struct engine *e, struct engine_report *rep, bool anew)
{
    struct engine_own *own = e->own;
    int rc = open_index(e, anew);
    if (rc == E_OK && own->opt.salvage && !anew) rc = check_index(e);
    if (rc == E_CORRUPT && own->opt.salvage && !anew) {
        log_line(LOG_WARNING, "Repair: the index is damaged and is made anew from the log.");
        if (e->fold) fold_close(&e->fold);
        if (e->index) index_close(&e->index);
        anew = true;
        rc = open_index(e, true);
    }
    if (rc < 0) return refuse(rep, rc, "the index is damaged; a repair rebuilds it from the log");
    if (anew) {
        own->manifest.clean = false;
        own->rebuilding = true;
        if (rep->lost_to > own->manifest.horizon) own->manifest.horizon = rep->lost_to;
    }
    atomic_store(&own->horizon, own->manifest.horizon);
    raise_horizons(e, rep, anew);
    own->forget_due = own->manifest.forget_due && !anew;
    return indexer_open(e, fold_seq(e->fold));
}

static int fold_tail(struct engine *e, struct engine_report *rep)
{
    struct engine_own *own = e->own;
    uint64_t from = fold_seq(e->fold), last = seglog_last_seq(e->log);
    int rc = E_OK;
    for (uint64_t at = from; rc == E_OK && at < last;) {
        rc = indexer_reach(e, at + PROGRESS_NODES < last ? at + PROGRESS_NODES : last);
        uint64_t now = atomic_load(&own->indexed_seq);
        if (rc == E_OK && now == at)
            rc = err_note(E_CORRUPT, "the log ends at seq %llu but answers nothing behind %llu", (unsigned long long)last,
                          (unsigned long long)at);
        at = now;
        if (own->opt.progress && rc == E_OK) own->opt.progress(own->opt.progress_ctx, "folding the log", at - from, last - from);
    }
    rep->folded_nodes = last > from ? last - from : 0;
    if (rc == E_OK && own->rebuilding) {
        indexer_lock(e);
        rc = fold_gaps_end(e->fold);
        index_step(e->index, atomic_load(&own->indexed_seq));
        indexer_unlock(e);
    }
    own->rebuilding = false;
    if (rc < 0) return refuse(rep, rc, "the log cannot be folded");
    return E_OK;
}

/* Is the tree that was made anew the one that the manifest named? */
static void compare_root(struct engine *e, uint64_t size, const uint8_t root[HASH_BYTES])
{
    uint8_t now[HASH_BYTES];
    if (size == 0) return;
    bool same = tree_size(e->tree) >= size && tree_root(e->tree, size, now) == E_OK && memcmp(now, root, HASH_BYTES) == 0;
    log_line(LOG_WARNING, same ? "Repair: the tree's root is as it was." : "Repair: the tree's root has changed; proofs from before do not hold any more.");
}

/* Who only looks makes no lock file: where there is none, nobody has the store open. */
static int lock_store(struct engine *e)
{
    struct engine_own *own = e->own;
    struct buf path = {0};
    struct os_file *there = NULL;
    engine_path(&path, own->dir, "LOCK");
    int rc = own->opt.read_only ? os_open(e->os, (const char *)path.p, OS_READ, &there) : E_OK;
    bool nobody = rc == E_NOTFOUND;
    os_close(e->os, &there);
    if (rc == E_OK) rc = os_lock(e->os, (const char *)path.p, &own->lock_file);
    buf_fini(&path);
    return nobody ? E_OK : rc;
}

static int open_all(struct engine *e, struct engine_report *rep)
{
    struct engine_own *own = e->own;
    bool lost = false, anew = false;
    int rc = own->opt.read_only ? E_OK : os_mkdir(e->os, own->dir);
    if (rc == E_OK) rc = lock_store(e);
    if (rc == E_LOCKED) return refuse(rep, rc, "another process has it open");
    if (rc == E_OK) rc = load_manifest(e, rep, &lost);
    if (rc < 0) return rc;
    memcpy(own->store_id, own->manifest.store_id, MANIFEST_ID_BYTES);
    e->seed = own->manifest.seed;
    own->created_ms = own->manifest.created_ms;
    append_raise_clock(e, own->manifest.newest_ms);
    uint8_t root[HASH_BYTES];
    uint64_t size = lost ? 0 : own->manifest.covers;
    memcpy(root, own->manifest.root, HASH_BYTES);
    rc = open_log(e, rep);
    if (rc == E_OK) rc = open_tree(e, rep, lost, &anew);
    if (rc == E_OK) rc = ring_open(own->opt.ring_bytes, seglog_last_seq(e->log) + 1, sync_sink, e, &e->ring);
    if (rc == E_OK) rc = open_folded(e, rep, anew || rep->lost_from != 0);
    uint64_t fold_from = rc == E_OK ? fold_seq(e->fold) : 0;
    if (rc == E_OK) rc = fold_tail(e, rep);
    if (rc < 0) return rc;
    if (anew) compare_root(e, size, root);
    rep->clean = own->manifest.clean && rep->folded_nodes == 0 && rep->torn_bytes == 0;
    /* The tail that was folded counts: stores that are killed again and again must not have more and more to fold. */
    atomic_store(&own->checkpoint_mark, 0 - atomic_load(&own->indexed_bytes));
    atomic_store(&own->indexed_bytes, 0);
    atomic_store(&own->flushed_seq, fold_from);
    if (own->opt.read_only) {
        ring_fail(e->ring, E_UNSUPPORTED);
        return E_OK;
    }
    rc = sync_log(e);
    if (rc == E_OK && own->opt.salvage) rc = worker_checkpoint(e, false);
    return rc == E_OK ? salvage_end_tree(e) : rc;
}

int engine_open(const struct engine_options *o, struct engine **out, struct engine_report *rep)
{
    ASSERT(o && o->dir && out);
    ASSERT(!o->ring_bytes || (o->ring_bytes & (o->ring_bytes - 1)) == 0);
    struct engine_report unused;
    if (!rep) rep = &unused;
    *rep = (struct engine_report){0};
    struct engine *e = engine_new(o);
    uint64_t start_us = os_mono_us(e->os);
    int rc = open_all(e, rep);
    if (rc == E_OK) rc = start_threads(e);
    if (rc < 0) {
        engine_thread_stop(&e->own->indexer);
        engine_thread_stop(&e->own->syncer);
        engine_free(&e);
        return rc;
    }
    rep->open_us = os_mono_us(e->os) - start_us;
    *out = e;
    return E_OK;
}

/* Opening reads through the tail, but not through sealed segments: a large tail is worth a sidecar. */
static int seal_large_tail(struct engine *e)
{
    size_t n = seglog_segments(e->log, NULL, 0);
    struct seg_info *info = mem_alloc((n + 1) * sizeof(*info));
    size_t got = seglog_segments(e->log, info, n);
    ASSERT(got > 0);
    bool large = got == n && !info[n - 1].sealed && info[n - 1].bytes >= LARGE_TAIL_BYTES;
    mem_free(info);
    return large ? seglog_roll(e->log) : E_OK;
}

int engine_close(struct engine **engine)
{
    ASSERT(engine && *engine);
    struct engine *e = *engine;
    struct engine_own *own = e->own;
    int rc = E_OK;
    engine_compact_cancel(e);
    engine_thread_stop(&own->worker);
    engine_thread_stop(&own->indexer);
    engine_thread_stop(&own->syncer);
    if (!own->opt.read_only) {
        rc = engine_sync(e, 0);
        if (rc == E_OK) rc = engine_catch_up(e, 0);
        if (rc == E_OK) rc = seal_large_tail(e);
        if (rc == E_OK) rc = worker_checkpoint(e, true);
    }
    ASSERT(ring_failure(e->ring) || ring_drained_end(e->ring) == ring_reserved_end(e->ring));
    engine_free(engine);
    return rc;
}

/* ---- what it is, and figures ---- */

struct os *engine_os(struct engine *e)
{
    return e->os;
}
const uint8_t *engine_store_id(struct engine *e)
{
    return e->own->store_id;
}
const struct hash_seed *engine_seed(struct engine *e)
{
    return &e->seed;
}

void engine_get_stats(struct engine *e, struct engine_stats *out)
{
    struct engine_own *own = e->own;
    ASSERT(own && out);
    struct fold_totals totals;
    struct index_stats index;
    struct ring_stats ring;
    fold_get_totals(e->fold, &totals);
    index_get_stats(e->index, &index);
    ring_get_stats(e->ring, &ring);
    uint64_t bytes_log = seglog_bytes(e->log);
    *out = (struct engine_stats){
        .nodes = totals.nodes,
        .links = totals.links,
        .docs = totals.docs,
        .keys = totals.keys,
        .segments = seglog_segments(e->log, NULL, 0),
        .bytes_log = bytes_log,
        .bytes_live = bytes_log > totals.bytes_dead ? bytes_log - totals.bytes_dead : 0,
        .bytes_dead = totals.bytes_dead,
        .bytes_index = index.bytes,
        .bytes_tree = tree_size(e->tree) * HASH_BYTES,
        .ring_parks = ring.parks,
        .sealed = atomic_load(&own->sealed),
        .checkpoints = atomic_load(&own->checkpoints),
        .last_checkpoint_ms = atomic_load(&own->last_checkpoint_ms),
        .merges = index.merges,
        .memory_bytes = index.memory_bytes + own->opt.ring_bytes,
    };
}
