/* Opening and closing: fresh, clean, after a kill, read-only, locked, damaged, repaired. */
#include "unit/engine/engine_world.h"

#include "base/os_sim.h"

static void fresh_then_clean(void **state)
{
    struct world w = {0};
    uint8_t id[16];
    world_start(&w);
    assert_true(w.rep.fresh);
    memcpy(id, engine_store_id(w.e), 16);
    struct hash_seed seed = *engine_seed(w.e);
    for (unsigned i = 0; i < 300; i++) world_put(&w, i % 7, "v");
    world_reopen(&w);
    assert_true(!w.rep.fresh && w.rep.clean);
    assert_int_equal(w.rep.folded_nodes, 0);
    assert_memory_equal(id, engine_store_id(w.e), 16);
    assert_memory_equal(&seed, engine_seed(w.e), sizeof(seed));
    assert_int_equal(world_put(&w, 0, "next"), 301);
    world_reopen(&w);
    world_expect(&w, 0, UINT64_MAX, "next", 0);
    assert_int_equal(engine_tree_size(w.e), 301);
    world_stop(&w);
}

/* A world on a simulated disk. */
static void start_on_sim(struct world *w)
{
    *w = (struct world){.os = os_sim_new(3), .o = {.no_threads = true, .segment_bytes = 64 << 10}};
    log_set_level(LOG_NOTHING);
    world_open(w);
}

static void kill_and_reopen(struct world *w)
{
    os_sim_set(w->os, &(struct os_sim_faults){.crash_at = os_sim_events(w->os) + 1, .process_only = true, .seed = 5});
    (void)!engine_close(&w->e);
    assert_null(w->e);
    os_sim_reboot(w->os);
    world_open(w);
}

static void tail_is_folded(void **state)
{
    struct world w;
    uint8_t before[HASH_BYTES], after[HASH_BYTES];
    start_on_sim(&w);
    for (unsigned i = 0; i < 100; i++) world_put(&w, i % 7, "old");
    assert_int_equal(engine_checkpoint(w.e), E_OK);
    for (unsigned i = 0; i < 50; i++) world_put(&w, i % 7, "new");
    assert_int_equal(engine_write_out(w.e, 0), E_OK);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    assert_int_equal(engine_root(w.e, 150, before), E_OK);
    kill_and_reopen(&w);
    assert_false(w.rep.clean);
    assert_int_equal(w.rep.folded_nodes, 50);
    struct engine_marks m;
    engine_get_marks(w.e, &m);
    assert_int_equal(m.durable_seq, 150); /* what is shown from now on was brought to the disk first */
    assert_int_equal(engine_root(w.e, 150, after), E_OK);
    assert_memory_equal(before, after, HASH_BYTES);
    for (unsigned k = 0; k < 7; k++) world_expect(&w, k, UINT64_MAX, "new", 0);
    world_expect(&w, 0, 100, "old", 0);
    assert_int_equal(world_put(&w, 0, "x"), 151);
    world_stop(&w);
}

static void locked_while_open(void **state)
{
    struct world w = {0};
    struct engine *second = NULL;
    struct engine_report rep;
    world_start(&w);
    assert_int_equal(engine_open(&w.o, &second, &rep), E_LOCKED);
    assert_null(second);
    world_stop(&w);
}

static int any_file(void *ctx, const char *name)
{
    return 1;
}

static void read_only_changes_nothing(void **state)
{
    struct world w = {0};
    struct receipt r;
    char name[32];
    world_start(&w);
    world_put(&w, 1, "one");
    assert_int_equal(engine_close(&w.e), E_OK);
    w.o.read_only = true;
    w.o.ring_bytes = 0;
    world_open(&w);
    world_expect(&w, 1, UINT64_MAX, "one", 0);
    struct node n = world_node(&w, 1, NODE_PUT, slice_str("two"), name);
    assert_int_equal(engine_append(w.e, &n, false, &r), E_STICKY);
    assert_int_equal(engine_checkpoint(w.e), E_UNSUPPORTED);
    world_stop(&w);
    struct engine *e = NULL;
    struct os *os = os_memory_new();
    struct engine_options o = {.os = os, .dir = "/none", .read_only = true};
    assert_true(engine_open(&o, &e, NULL) < 0);
    assert_int_equal(os_mkdir(os, "/none"), E_OK);
    assert_int_equal(engine_open(&o, &e, NULL), E_NOTFOUND);
    assert_int_equal(os_list(os, "/none", any_file, NULL), 0);
    os_free(&os);
}

static uint64_t file_size(struct os *os, const char *path)
{
    struct os_file *f = NULL;
    uint64_t n = 0;
    assert_int_equal(os_open(os, path, OS_READ, &f), E_OK);
    assert_int_equal(os_size(os, f, &n), E_OK);
    os_close(os, &f);
    return n;
}

/* A killed store is looked at: its tail is folded in memory, and nothing is written. */
static void read_only_folds_in_memory(void **state)
{
    struct world w;
    uint8_t before[HASH_BYTES], after[HASH_BYTES];
    struct db_counts counts;
    struct tree_proof proof;
    const unsigned old = 1000, all = 9000; /* more than the tree writes at once */
    start_on_sim(&w);
    for (unsigned i = 0; i < old; i++) world_put(&w, i % 7, "old");
    assert_int_equal(engine_checkpoint(w.e), E_OK);
    for (unsigned i = old; i < all; i++) {
        world_put(&w, i % 9, "new");
        if (i % 50 == 0) assert_int_equal(engine_write_out(w.e, 0), E_OK);
    }
    assert_int_equal(engine_write_out(w.e, 0), E_OK);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    assert_int_equal(engine_root(w.e, all, before), E_OK);
    w.o.read_only = true;
    kill_and_reopen(&w);
    uint64_t events = os_sim_events(w.os);
    assert_int_equal(w.rep.folded_nodes, all - old);
    assert_int_equal(engine_root(w.e, all, after), E_OK);
    assert_memory_equal(before, after, HASH_BYTES);
    assert_int_equal(engine_prove_inclusion(w.e, all - 5, all, &proof), E_OK);
    assert_int_equal(engine_hash(w.e, all - 5, after), E_OK);
    assert_true(tree_check_inclusion(after, all - 6, all, &proof, before));
    engine_db_counts(w.e, 0, &counts);
    assert_int_equal(counts.keys, 9);
    world_expect(&w, 8, UINT64_MAX, "new", 0);
    world_expect(&w, 0, old, "old", 0);
    assert_int_equal(engine_close(&w.e), E_OK);
    world_open(&w);
    assert_int_equal(w.rep.folded_nodes, all - old);
    assert_int_equal(os_sim_events(w.os), events);
    assert_int_equal(engine_close(&w.e), E_OK);
    w.o.read_only = false;
    world_open(&w);
    assert_int_equal(world_put(&w, 0, "x"), all + 1);
    world_stop(&w);
}

static void flip_file(struct os *os, const char *path, uint64_t off)
{
    assert_int_equal(os_sim_flip(os, path, off, 3), E_OK);
}

static void expect_refusal(struct world *w)
{
    struct engine_report rep;
    struct engine *e = NULL;
    assert_int_equal(engine_open(&w->o, &e, &rep), E_CORRUPT);
    assert_null(e);
    assert_true(rep.where[0] != 0);
}

static void fill(struct world *w)
{
    for (unsigned i = 0; i < 2000; i++) {
        world_put(w, i % WORLD_KEYS, "something of a certain length, so that segments fill up");
        if (i % 100 == 0) assert_int_equal(engine_write_out(w->e, 0), E_OK);
    }
    assert_int_equal(engine_write_out(w->e, 0), E_OK);
    assert_int_equal(engine_turn(w->e), E_OK);
}

static void damaged_manifest(void **state)
{
    struct world w;
    uint8_t before[HASH_BYTES], after[HASH_BYTES], id[16];
    start_on_sim(&w);
    fill(&w);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    assert_int_equal(engine_root(w.e, 2000, before), E_OK);
    memcpy(id, engine_store_id(w.e), 16);
    assert_int_equal(engine_close(&w.e), E_OK);
    flip_file(w.os, "/db/MANIFEST", file_size(w.os, "/db/MANIFEST") / 2);
    expect_refusal(&w);
    w.o.salvage = true;
    world_open(&w);
    assert_memory_equal(id, engine_store_id(w.e), 16);
    assert_int_equal(engine_root(w.e, 2000, after), E_OK);
    assert_memory_equal(before, after, HASH_BYTES);
    world_expect(&w, 5, UINT64_MAX, "something of a certain length, so that segments fill up", 0);
    w.o.salvage = false;
    world_reopen(&w);
    assert_int_equal(world_put(&w, 0, "x"), 2001);
    world_stop(&w);
}

struct first_of {
    const char *suffix;
    char path[300];
    const char *dir;
};
static int take_first(void *ctx, const char *name)
{
    struct first_of *f = ctx;
    size_t n = strlen(name), s = strlen(f->suffix);
    if (n < s || strcmp(name + n - s, f->suffix) != 0) return 0;
    if (f->path[0] && strcmp(name, strrchr(f->path, '/') + 1) > 0) return 0;
    snprintf(f->path, sizeof(f->path), "%s/%.200s", f->dir, name);
    return 0;
}
static void first_file(struct os *os, const char *dir, const char *suffix, struct first_of *f)
{
    *f = (struct first_of){.suffix = suffix, .dir = dir};
    assert_int_equal(os_list(os, dir, take_first, f), E_OK);
    assert_true(f->path[0] != 0);
}

/* The manifest is gone, and one segment cannot say whose it is: the others do. */
struct numbered {
    unsigned wanted, at;
    char path[300];
};
static int take_numbered(void *ctx, const char *name)
{
    struct numbered *f = ctx;
    size_t n = strlen(name);
    if (n > 4 && strcmp(name + n - 4, ".seg") == 0 && f->at++ == f->wanted)
        snprintf(f->path, sizeof(f->path), "/db/log/%.200s", name);
    return 0;
}
static void damaged_manifest_and_header(void **state)
{
    unsigned segments = 2;
    for (unsigned i = 0; i < segments; i++) {
        struct world w;
        uint8_t id[16];
        struct numbered f = {.wanted = i};
        start_on_sim(&w);
        fill(&w);
        memcpy(id, engine_store_id(w.e), 16);
        assert_int_equal(engine_close(&w.e), E_OK);
        flip_file(w.os, "/db/MANIFEST", 30);
        assert_int_equal(os_list(w.os, "/db/log", take_numbered, &f), E_OK);
        assert_true(f.at > 2);
        segments = f.at;
        flip_file(w.os, f.path, 33);
        w.o.salvage = true;
        world_open(&w);
        assert_memory_equal(id, engine_store_id(w.e), 16);
        world_expect(&w, 5, UINT64_MAX, "something of a certain length, so that segments fill up", 0);
        w.o.salvage = false;
        world_reopen(&w);
        assert_int_equal(world_put(&w, 0, "x"), 2001);
        world_stop(&w);
    }
}

static void damaged_index(void **state)
{
    struct world w;
    struct first_of f;
    start_on_sim(&w);
    fill(&w);
    assert_int_equal(engine_close(&w.e), E_OK);
    first_file(w.os, "/db/index", ".run", &f);
    flip_file(w.os, f.path, file_size(w.os, f.path) - 10);
    expect_refusal(&w);
    w.o.salvage = true;
    world_open(&w);
    world_expect(&w, 5, UINT64_MAX, "something of a certain length, so that segments fill up", 0);
    w.o.salvage = false;
    world_reopen(&w);
    world_expect(&w, 6, UINT64_MAX, "something of a certain length, so that segments fill up", 0);
    world_stop(&w);
}

/* A compacted log has gaps; the index that is made anew from it counts the same keys. */
static void rebuilt_over_gaps(void **state)
{
    struct world w;
    struct first_of f;
    struct db_counts before, after;
    struct compact_stats s;
    start_on_sim(&w);
    fill(&w);
    for (unsigned k = 0; k < 10; k++) world_delete(&w, k);
    for (unsigned k = 5; k < 8; k++) world_put(&w, k, "again");
    assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 2}, &s), E_OK);
    assert_true(s.dropped > 0);
    engine_db_counts(w.e, 0, &before);
    assert_int_equal(before.keys, WORLD_KEYS - 7);
    assert_int_equal(engine_close(&w.e), E_OK);
    for (int round = 0; round < 2; round++) { /* first the index is damaged, then the manifest as well */
        first_file(w.os, "/db/index", ".run", &f);
        flip_file(w.os, f.path, file_size(w.os, f.path) - 10);
        if (round) flip_file(w.os, "/db/MANIFEST", 30);
        expect_refusal(&w);
        w.o.salvage = true;
        world_open(&w);
        engine_db_counts(w.e, 0, &after);
        assert_int_equal(after.keys, before.keys);
        world_expect(&w, 6, UINT64_MAX, "again", 0);
        world_expect(&w, 20, 1, NULL, E_PRUNED);
        w.o.salvage = false;
        world_reopen(&w);
        engine_db_counts(w.e, 0, &after);
        assert_int_equal(after.keys, before.keys);
        assert_int_equal(engine_close(&w.e), E_OK);
    }
    world_stop(&w);
}

static void damaged_segment(void **state)
{
    struct world w;
    struct first_of f;
    start_on_sim(&w);
    fill(&w);
    assert_int_equal(engine_close(&w.e), E_OK);
    /* The sidecar goes too: otherwise a sealed segment is not read at open, and its damage is found when it is. */
    first_file(w.os, "/db/log", ".idx", &f);
    assert_int_equal(os_remove(w.os, f.path), E_OK);
    first_file(w.os, "/db/log", ".seg", &f);
    flip_file(w.os, f.path, 3000);
    expect_refusal(&w);
    w.o.salvage = true;
    world_open(&w);
    assert_true(w.rep.lost_from > 0 && w.rep.lost_to >= w.rep.lost_from);
    assert_int_equal(world_put(&w, 0, "x"), 2001);
    w.o.salvage = false;
    world_stop(&w);
}

/* Killed behind a checkpoint: what was durable then is known from the sync mark only. */
static void kill_synced(struct world *w)
{
    os_sim_advance(w->os, 1000000);
    assert_int_equal(engine_sync(w->e, 0), E_OK);
    os_sim_set(w->os, &(struct os_sim_faults){.crash_at = os_sim_events(w->os) + 1, .process_only = true, .seed = 1});
    (void)!engine_close(&w->e);
    os_sim_reboot(w->os);
}

/* The end of the log vanished although it was on disk once. */
static void shortened_log_after(bool killed)
{
    struct world w;
    start_on_sim(&w);
    for (unsigned i = 0; i < 50; i++) {
        world_put(&w, i % 7, "v");
        if (killed && i == 5) assert_int_equal(engine_checkpoint(w.e), E_OK);
    }
    if (killed)
        kill_synced(&w);
    else
        assert_int_equal(engine_close(&w.e), E_OK);
    struct first_of f;
    struct os_file *file = NULL;
    first_file(w.os, "/db/log", ".seg", &f);
    assert_int_equal(os_open(w.os, f.path, OS_WRITE, &file), E_OK);
    assert_int_equal(os_truncate(w.os, file, 1000), E_OK);
    os_close(w.os, &file);
    expect_refusal(&w);
    expect_refusal(&w);
    w.o.salvage = true;
    world_open(&w);
    assert_int_equal(w.rep.lost_to, 50);
    struct receipt r;
    struct node n = {.op = NODE_PUT,
                     .type = TYPE_STRING,
                     .flags = NODE_CREATED,
                     .ver = 1,
                     .key = slice_str("later"),
                     .payload = slice_str("v")};
    assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    assert_int_equal(r.seq, 51); /* 50 is not given out again */
    w.o.salvage = false;
    world_stop(&w);
}

static void shortened_log(void **state)
{
    shortened_log_after(false);
    shortened_log_after(true);
}

static void figures(void **state)
{
    struct world w = {0};
    struct engine_stats s;
    world_start(&w);
    fill(&w);
    engine_get_stats(w.e, &s);
    assert_int_equal(s.nodes, 2000);
    assert_int_equal(s.keys, WORLD_KEYS);
    assert_true(s.segments > 1 && s.bytes_log > 2000 * 60 && s.sealed > 0);
    assert_ptr_equal(engine_os(w.e), w.os);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_then_clean),  cmocka_unit_test(tail_is_folded),
        cmocka_unit_test(locked_while_open), cmocka_unit_test(read_only_changes_nothing),
        cmocka_unit_test(read_only_folds_in_memory),
        cmocka_unit_test(damaged_manifest),  cmocka_unit_test(damaged_manifest_and_header),
        cmocka_unit_test(damaged_index),
        cmocka_unit_test(rebuilt_over_gaps), cmocka_unit_test(damaged_segment),
        cmocka_unit_test(shortened_log),     cmocka_unit_test(figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
