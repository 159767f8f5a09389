/* Opening on a machine that fails on the way: reads that fail are no damage, and a repair that is interrupted at any event is done by the next one. */
#include "unit/engine/engine_world.h"

#include "base/os_sim.h"

#define TEXT  "something of a certain length, so that segments fill up, something of a certain length, so that segments fill up"
#define NODES   900
#ifdef VARVE_DEBUG /* sanitizer builds are slow */
#define EVENTS_STEP 7
#else
#define EVENTS_STEP 1
#endif
#define COVERED 841 /* by the last checkpoint */

/* Sealed segments, runs, a tile and a tail that no manifest knows, all of it on the disk. The process dies; with `closed` it stops in order. */
static void make_store(struct world *w, bool closed)
{
    *w = (struct world){.os = os_sim_new(3), .o = {.no_threads = true, .segment_bytes = 64 << 10, .ring_bytes = 1 << 16}};
    log_set_level(LOG_NOTHING);
    world_open(w);
    for (unsigned i = 0; i < NODES; i++) {
        world_put(w, i % WORLD_KEYS, TEXT);
        if (i % 50 == 0) assert_int_equal(engine_write_out(w->e, 0), E_OK);
        if (i == NODES / 2 || i + 1 == COVERED) assert_int_equal(engine_checkpoint(w->e), E_OK);
        if (i + 1 == COVERED) assert_int_equal(engine_turn(w->e), E_OK);
    }
    struct os_file *mark = NULL;
    os_sim_advance(w->os, 1000000); /* the sync mark is written, and here it reaches the disk */
    assert_int_equal(engine_sync(w->e, 0), E_OK);
    assert_int_equal(os_open(w->os, "/db/log/synced", OS_WRITE, &mark), E_OK);
    assert_int_equal(os_sync(w->os, mark), E_OK);
    os_close(w->os, &mark);
    assert_int_equal(os_sync_dir(w->os, "/db/log"), E_OK);
    if (!closed) os_sim_set(w->os, &(struct os_sim_faults){.crash_at = os_sim_events(w->os) + 1, .process_only = true, .seed = 5});
    assert_true((engine_close(&w->e) == E_OK) == closed);
    os_sim_reboot(w->os);
}

static void drop_store(struct world *w)
{
    if (w->e) assert_int_equal(engine_close(&w->e), E_OK);
    os_free(&w->os);
}

/* ---- reads that fail ---- */

static void expect_all(struct world *w)
{
    struct verify_found f = {0};
    uint64_t next, bad;
    struct engine_marks m;
    engine_get_marks(w->e, &m);
    assert_int_equal(m.last_seq, NODES);
    assert_int_equal(m.indexed_seq, NODES);
    assert_int_equal(w->rep.lost_from, 0);
    assert_int_equal(w->rep.sidecars_rebuilt, 0);
    for (unsigned k = 0; k < WORLD_KEYS; k++) world_expect(w, k, UINT64_MAX, TEXT, 0);
    world_expect(w, 3, 4, TEXT, 0);
    assert_int_equal(engine_verify_slice(w->e, 1, UINT64_MAX, UINT64_MAX, NULL, NULL, &f, &next), E_OK);
    assert_int_equal(f.bad, 0);
    assert_int_equal(engine_verify_tree(w->e, &bad), E_OK);
}

static void reads_fail(bool closed, bool salvage)
{
    struct world w;
    make_store(&w, closed);
    w.o.salvage = salvage;
    unsigned refused = 0, well = 0;
    for (uint64_t at = 1; well < 3; at += EVENTS_STEP) {
        os_sim_set(w.os, &(struct os_sim_faults){.fail_read_at = at, .seed = at});
        int rc = engine_open(&w.o, &w.e, &w.rep);
        os_sim_set(w.os, &(struct os_sim_faults){0});
        if (rc == E_OK) {
            expect_all(&w);
            assert_int_equal(engine_close(&w.e), E_OK);
        } else {
            assert_null(w.e);
            refused++;
        }
        world_open(&w); /* nothing was cut, nor taken for damage */
        expect_all(&w);
        os_sim_set(w.os, &(struct os_sim_faults){.crash_at = os_sim_events(w.os) + 1, .process_only = true, .seed = at});
        if (closed) os_sim_set(w.os, &(struct os_sim_faults){0});
        (void)!engine_close(&w.e);
        os_sim_reboot(w.os);
        well = rc == E_OK ? well + 1 : 0;
    }
    assert_true(refused > 2);
    drop_store(&w);
}

static void failing_reads(void **state)
{
    reads_fail(true, false);
    reads_fail(false, false);
}

static void failing_reads_of_a_repair(void **state)
{
    reads_fail(true, true);
    reads_fail(false, true);
}

/* ---- repairs that are interrupted ---- */

struct first_of {
    const char *dir, *suffix;
    char path[300];
    bool last;
};
static int take_first(void *ctx, const char *name)
{
    struct first_of *f = ctx;
    size_t n = strlen(name), s = strlen(f->suffix);
    if (n < s || strcmp(name + n - s, f->suffix) != 0) return 0;
    if (f->path[0] && (strcmp(name, strrchr(f->path, '/') + 1) > 0) != f->last) return 0;
    snprintf(f->path, sizeof(f->path), "%s/%.200s", f->dir, name);
    return 0;
}
static void find_file(struct os *os, const char *dir, const char *suffix, bool last, struct first_of *f)
{
    *f = (struct first_of){.suffix = suffix, .dir = dir, .last = last};
    assert_int_equal(os_list(os, dir, take_first, f), E_OK);
    assert_true(f->path[0] != 0);
}

enum damage { MANIFEST_FLIPPED, RUN_FLIPPED, RUN_MISSING, ENTRIES_FLIPPED, SEALED_FLIPPED, HEADER_FLIPPED, END_CUT, TAIL_FLIPPED, LAST_HEADER_FLIPPED, TWO_THINGS, DAMAGES };

static void damage(struct os *os, enum damage what)
{
    struct first_of f;
    struct os_file *file = NULL;
    switch (what) {
    case MANIFEST_FLIPPED: assert_int_equal(os_sim_flip(os, "/db/MANIFEST", 70, 3), E_OK); break;
    case RUN_FLIPPED: find_file(os, "/db/index", ".run", false, &f), assert_int_equal(os_sim_flip(os, f.path, 2000, 3), E_OK); break;
    case RUN_MISSING: find_file(os, "/db/index", ".run", false, &f), assert_int_equal(os_remove(os, f.path), E_OK); break;
    case TWO_THINGS: damage(os, RUN_MISSING), damage(os, END_CUT); break;
    case ENTRIES_FLIPPED: assert_int_equal(os_sim_flip(os, "/db/tree/entries", 99, 3), E_OK); break;
    case SEALED_FLIPPED: find_file(os, "/db/log", ".seg", false, &f), assert_int_equal(os_sim_flip(os, f.path, 5000, 3), E_OK); break;
    case HEADER_FLIPPED: find_file(os, "/db/log", ".seg", false, &f), assert_int_equal(os_sim_flip(os, f.path, 20, 3), E_OK); break;
    case LAST_HEADER_FLIPPED: find_file(os, "/db/log", ".seg", true, &f), assert_int_equal(os_sim_flip(os, f.path, 20, 3), E_OK); break;
    case TAIL_FLIPPED: find_file(os, "/db/log", ".seg", true, &f), assert_int_equal(os_sim_flip(os, f.path, 700, 3), E_OK); break;
    default:
        find_file(os, "/db/log", ".seg", true, &f);
        assert_int_equal(os_open(os, f.path, OS_WRITE, &file), E_OK);
        assert_int_equal(os_truncate(os, file, 1000), E_OK);
        assert_int_equal(os_sync(os, file), E_OK);
        os_close(os, &file);
        break;
    }
}

/* What a repaired store answers: of each seq, what reading it gives. A lost one is refused, or a filler stands in its place. */
struct answers {
    int rc[NODES + 1];
    uint64_t last;
    uint8_t root[HASH_BYTES];
};

static void take_answers(struct world *w, struct answers *a)
{
    struct engine_marks m;
    struct buf mem = {0};
    struct node n;
    memset(a, 0, sizeof(*a));
    engine_get_marks(w->e, &m);
    a->last = m.last_seq;
    assert_int_equal(m.indexed_seq, m.last_seq);
    for (uint64_t s = 1; s <= NODES; s++) {
        a->rc[s] = engine_read(w->e, s, &mem, &n);
        if (a->rc[s] == E_OK && n.op == NODE_FILLER) a->rc[s] = E_CORRUPT;
    }
    assert_int_equal(engine_tree_size(w->e), m.last_seq);
    assert_int_equal(engine_root(w->e, COVERED, a->root), E_OK);
    buf_fini(&mem);
}

static void expect_answers(struct world *w, const struct answers *want, const char *when, uint64_t event, enum damage what)
{
    struct answers *now = mem_alloc(sizeof(*now));
    take_answers(w, now);
    if (memcmp(now, want, sizeof(*now)) != 0) print_error("damage %d, %s, event %llu: last %llu, wanted %llu\n", what, when, (unsigned long long)event, (unsigned long long)now->last, (unsigned long long)want->last);
    assert_memory_equal(now, want, sizeof(*now));
    mem_free(now);
}

enum stop { NOTHING, POWER_CUT, KILLED, CALL_FAILS };

/* Repairs, stopped at an event from here. True: it came to its end. */
static bool repair(struct world *w, uint64_t event, enum stop how)
{
    uint64_t at = os_sim_events(w->os) + event;
    struct os_sim_faults f = {.process_only = how != POWER_CUT, .seed = event};
    if (how == POWER_CUT || how == KILLED) f.crash_at = at;
    if (how == CALL_FAILS) f.fail_write_at = at;
    os_sim_set(w->os, &f);
    w->o.salvage = true;
    int rc = engine_open(&w->o, &w->e, &w->rep);
    w->o.salvage = false;
    bool stopped = os_sim_crashed(w->os) || (how == CALL_FAILS && rc != E_OK);
    if (!stopped) {
        if (rc) print_error("repair: %s; %s\n", err_text(rc), w->rep.where);
        assert_int_equal(rc, E_OK);
        os_sim_set(w->os, &(struct os_sim_faults){0});
        return true;
    }
    if (w->e) (void)!engine_close(&w->e);
    os_sim_reboot(w->os);
    return false;
}

static void interrupted(enum damage what, struct answers *want)
{
    struct world w;
    make_store(&w, what == RUN_FLIPPED);
    damage(w.os, what);
    assert_true(repair(&w, 0, NOTHING));
    take_answers(&w, want);
    assert_int_equal(want->last, NODES);
    drop_store(&w);
    bool ended = false;
    for (uint64_t event = 1; !ended; event += EVENTS_STEP) {
        make_store(&w, what == RUN_FLIPPED);
        damage(w.os, what);
        enum stop how = POWER_CUT + (event + what) % 3;
        bool whole = repair(&w, event, how);
        ended = whole && how != CALL_FAILS;
        if (!whole) {
            /* Who does not ask for a repair gets a refusal, or all of it. */
            int rc = engine_open(&w.o, &w.e, &w.rep);
            if (rc == E_OK) expect_answers(&w, want, "opened", event, what);
            if (rc == E_OK) assert_int_equal(engine_close(&w.e), E_OK);
            assert_true(repair(&w, 0, NOTHING));
        }
        expect_answers(&w, want, "repaired again", event, what);
        assert_int_equal(engine_close(&w.e), E_OK);
        world_open(&w);
        expect_answers(&w, want, "opened at last", event, what);
        drop_store(&w);
    }
}

static void interrupted_repairs(void **state)
{
    struct answers *want = mem_alloc(sizeof(*want));
    for (int what = 0; what < DAMAGES; what++) interrupted((enum damage)what, want);
    mem_free(want);
}

/* ---- openings that are interrupted ---- */

/* The power goes while writes are on their way, which leaves a torn end and half a checkpoint; *acknowledged = what was synced. */
static void make_torn(struct world *w, uint64_t seed, uint64_t *acknowledged)
{
    struct engine_marks m;
    *w = (struct world){.os = os_sim_new(seed), .o = {.no_threads = true, .segment_bytes = 64 << 10, .ring_bytes = 1 << 16}};
    log_set_level(LOG_NOTHING);
    world_open(w);
    world_batch(w, 0, WORLD_KEYS, TEXT);
    for (unsigned i = 0; i < 60; i++) {
        world_batch(w, i * 7, 1 + i % 9, TEXT);
        assert_int_equal(engine_write_out(w->e, 0), E_OK);
        if (i == 20) assert_int_equal(engine_checkpoint(w->e), E_OK);
        if (i == 45) assert_int_equal(engine_sync(w->e, 0), E_OK);
    }
    engine_get_marks(w->e, &m);
    *acknowledged = m.durable_seq;
    os_sim_set(w->os, &(struct os_sim_faults){.crash_at = os_sim_events(w->os) + 1 + seed % 5, .seed = seed});
    (void)!engine_checkpoint(w->e);
    (void)!engine_close(&w->e);
    os_sim_reboot(w->os);
}

static void expect_whole_commits(struct world *w, uint64_t acknowledged)
{
    struct buf mem = {0};
    struct node n;
    struct engine_marks m;
    struct verify_found f = {0};
    uint64_t next, bad, first, last;
    engine_get_marks(w->e, &m);
    assert_true(m.last_seq >= acknowledged && m.indexed_seq == m.last_seq && m.durable_seq == m.last_seq);
    for (uint64_t s = 1; s <= m.last_seq; s++) {
        assert_int_equal(engine_read(w->e, s, &mem, &n), E_OK);
        assert_true(slice_eq(n.payload, slice_str(TEXT)));
    }
    assert_int_equal(engine_commit_of(w->e, m.last_seq, &first, &last), E_OK);
    assert_int_equal(last, m.last_seq);
    assert_int_equal(engine_verify_slice(w->e, 1, UINT64_MAX, UINT64_MAX, NULL, NULL, &f, &next), E_OK);
    assert_int_equal(f.bad, 0);
    assert_int_equal(engine_verify_tree(w->e, &bad), E_OK);
    for (unsigned k = 0; k < WORLD_KEYS; k++) world_expect(w, k, UINT64_MAX, TEXT, 0);
    buf_fini(&mem);
}

/* The power goes again while the store recovers, at any event; and once more. */
static void interrupted_openings(void **state)
{
    unsigned torn = 0;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        bool ended = false;
        for (uint64_t event = 1; !ended; event += EVENTS_STEP) {
            struct world w;
            uint64_t acknowledged;
            make_torn(&w, seed, &acknowledged);
            for (uint64_t again = 0; again < 2 && !ended; again++) {
                os_sim_set(w.os, &(struct os_sim_faults){.crash_at = os_sim_events(w.os) + event, .process_only = (seed + again) % 2, .seed = event + again});
                ended = engine_open(&w.o, &w.e, &w.rep) == E_OK && !os_sim_crashed(w.os);
                torn += w.rep.torn_bytes > 0;
                if (ended) os_sim_set(w.os, &(struct os_sim_faults){0});
                if (ended) break;
                if (w.e) (void)!engine_close(&w.e);
                os_sim_reboot(w.os);
            }
            if (!ended) world_open(&w);
            expect_whole_commits(&w, acknowledged);
            world_reopen(&w);
            expect_whole_commits(&w, acknowledged);
            drop_store(&w);
        }
    }
    assert_true(torn > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failing_reads),
        cmocka_unit_test(failing_reads_of_a_repair),
        cmocka_unit_test(interrupted_repairs),
        cmocka_unit_test(interrupted_openings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
