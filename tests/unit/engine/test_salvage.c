/* Salvage: whatever file is damaged, what is left is found, what can be made anew is, and the root stays where leaves are left. */
#include "unit/engine/engine_world.h"

#include "base/codec.h"
#include "base/os_sim.h"

#define TEXT  "something of a certain length, so that segments fill up"
#define NODES 2000
#ifdef VARVE_DEBUG /* sanitizer builds are slow */
#define COMPACT_STEP 7
#else
#define COMPACT_STEP 1
#endif

static void start(struct world *w)
{
    *w = (struct world){.os = os_sim_new(3), .o = {.no_threads = true, .segment_bytes = 64 << 10}};
    log_set_level(LOG_NOTHING);
    world_open(w);
    for (unsigned i = 0; i < NODES; i++) {
        world_put(w, i % WORLD_KEYS, TEXT);
        if (i % 100 == 0) assert_int_equal(engine_write_out(w->e, 0), E_OK);
    }
    assert_int_equal(engine_write_out(w->e, 0), E_OK);
    assert_int_equal(engine_turn(w->e), E_OK);
    assert_int_equal(engine_checkpoint(w->e), E_OK);
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

static void flip(struct os *os, const char *path, uint64_t off)
{
    assert_int_equal(os_sim_flip(os, path, off, 3), E_OK);
}

struct first_of {
    const char *dir, *suffix;
    char path[300];
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
static const char *first_file(struct os *os, const char *dir, const char *suffix, struct first_of *f)
{
    *f = (struct first_of){.dir = dir, .suffix = suffix};
    assert_int_equal(os_list(os, dir, take_first, f), E_OK);
    assert_true(f->path[0] != 0);
    return f->path;
}

static bool is_there(struct os *os, const char *path)
{
    struct os_file *f = NULL;
    int rc = os_open(os, path, OS_READ, &f);
    os_close(os, &f);
    return rc == E_OK;
}

static void count_shown(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    (void)what;
    assert_true(done <= total);
    ++*(unsigned *)ctx;
}

static void salvage(struct world *w)
{
    unsigned shown = 0;
    w->o.salvage = true;
    w->o.progress = count_shown;
    w->o.progress_ctx = &shown;
    world_open(w);
    w->o.salvage = false;
    w->o.progress = NULL;
    assert_true(shown > 0);
    assert_false(is_there(w->os, "/db/tree/entries.old"));
}

static void expect_whole(struct world *w)
{
    struct verify_found f = {0};
    uint64_t next, bad;
    assert_int_equal(engine_verify_slice(w->e, 1, UINT64_MAX, UINT64_MAX, NULL, NULL, &f, &next), E_OK);
    assert_int_equal(f.bad, 0);
    assert_int_equal(engine_verify_tree(w->e, &bad), E_OK);
}

static void expect_root(struct world *w, const uint8_t root[HASH_BYTES])
{
    uint8_t now[HASH_BYTES];
    assert_int_equal(engine_tree_size(w->e), NODES);
    assert_int_equal(engine_root(w->e, NODES, now), E_OK);
    assert_memory_equal(now, root, HASH_BYTES);
}

/* The index is whole, and still everything has to be folded anew: the tree would get zeros for what the books have passed. */
static void damaged_tree(void **state)
{
    static const char *const files[] = {"/db/tree/entries", "/db/tree/t1"};
    struct world w;
    uint8_t root[HASH_BYTES];
    start(&w);
    assert_int_equal(engine_root(w.e, NODES, root), E_OK);
    for (unsigned i = 0; i < 2; i++) {
        for (uint64_t off = 5; off < file_size(w.os, files[i]); off += file_size(w.os, files[i]) - 33) { /* left, and at the edge */
            assert_int_equal(engine_close(&w.e), E_OK);
            flip(w.os, files[i], off);
            salvage(&w);
            expect_root(&w, root);
            world_expect(&w, 5, UINT64_MAX, TEXT, 0);
            world_expect(&w, 5, 6, TEXT, 0);
            expect_whole(&w);
            world_reopen(&w);
            expect_whole(&w);
        }
    }
    world_stop(&w);
}

/* Dropped nodes' leaves are nowhere but in the old file. */
static void damaged_tree_after_compaction(void **state)
{
    struct world w;
    struct compact_stats s;
    uint8_t root[HASH_BYTES];
    start(&w);
    assert_int_equal(engine_root(w.e, NODES, root), E_OK);
    assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
    assert_int_equal(engine_close(&w.e), E_OK);
    flip(w.os, "/db/tree/entries", (NODES - 3) * HASH_BYTES + 1); /* of a node that is there */
    salvage(&w);
    expect_root(&w, root);
    expect_whole(&w);
    world_stop(&w);
}

static void lost_manifest_after_compaction(void **state)
{
    struct world w;
    struct compact_stats s;
    uint8_t root[HASH_BYTES], leaf[HASH_BYTES], now[HASH_BYTES];
    start(&w);
    assert_int_equal(engine_root(w.e, NODES, root), E_OK);
    assert_int_equal(engine_hash(w.e, 3, leaf), E_OK);
    assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
    assert_int_equal(engine_close(&w.e), E_OK);
    assert_int_equal(os_remove(w.os, "/db/MANIFEST"), E_OK);
    salvage(&w);
    for (int round = 0; round < 2; round++) {
        expect_root(&w, root);
        assert_int_equal(engine_hash(w.e, 3, now), E_OK);
        assert_memory_equal(leaf, now, HASH_BYTES);
        world_expect(&w, 5, UINT64_MAX, TEXT, 0);
        world_expect(&w, 5, 6, NULL, E_PRUNED);
        expect_whole(&w);
        world_reopen(&w);
    }
    world_stop(&w);
}

/* Whenever the process dies on the way, the next salvage comes to the same root. */
static void interrupted(void **state)
{
    struct world w;
    struct compact_stats s;
    uint8_t root[HASH_BYTES];
    start(&w);
    assert_int_equal(engine_root(w.e, NODES, root), E_OK);
    assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
    for (unsigned at = 1, done = 0; !done; at += 2) {
        assert_int_equal(engine_close(&w.e), E_OK);
        flip(w.os, "/db/tree/entries", (NODES - 3) * HASH_BYTES + 1);
        os_sim_set(w.os, &(struct os_sim_faults){.crash_at = os_sim_events(w.os) + at, .process_only = at % 4 == 1, .seed = at});
        w.o.salvage = true;
        struct engine_report rep;
        if (engine_open(&w.o, &w.e, &rep) == E_OK && !os_sim_crashed(w.os)) {
            done = 1;
            os_sim_set(w.os, &(struct os_sim_faults){0});
        } else {
            if (w.e) (void)!engine_close(&w.e);
            os_sim_reboot(w.os);
            salvage(&w);
        }
        expect_root(&w, root);
        expect_whole(&w);
    }
    w.o.salvage = false;
    world_stop(&w);
}

/* The manifest is lost of a store whose compaction was killed at any event: a new generation that was not finished must not stand for the old one. */
static void lost_manifest_in_compaction(void **state)
{
    bool ended = false;
    for (unsigned at = 1; !ended; at += COMPACT_STEP) {
        struct world w;
        struct compact_stats s;
        start(&w);
        os_sim_set(w.os, &(struct os_sim_faults){.crash_at = os_sim_events(w.os) + at, .process_only = at % 3 != 0, .seed = at});
        ended = engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s) == E_OK;
        (void)!engine_close(&w.e);
        os_sim_reboot(w.os);
        flip(w.os, "/db/MANIFEST", 70);
        salvage(&w);
        for (unsigned k = 0; k < WORLD_KEYS; k++) world_expect(&w, k, UINT64_MAX, TEXT, 0);
        expect_whole(&w);
        assert_int_equal(engine_tree_size(w.e), NODES);
        world_reopen(&w);
        for (unsigned k = 0; k < WORLD_KEYS; k++) world_expect(&w, k, UINT64_MAX, TEXT, 0);
        world_stop(&w);
    }
}

/* A sealed segment is not read when the store opens; salvage reads it. */
static void damaged_sealed_segment(void **state)
{
    struct world w;
    struct first_of f;
    struct buf mem = {0};
    struct node n;
    start(&w);
    assert_int_equal(engine_close(&w.e), E_OK);
    first_file(w.os, "/db/log", ".idx", &f);
    flip(w.os, first_file(w.os, "/db/log", ".seg", &f), 3000);
    salvage(&w);
    uint64_t lost = w.rep.lost_from;
    assert_true(lost > 1 && w.rep.lost_to >= lost);
    assert_int_equal(engine_read(w.e, lost, &mem, &n), E_CORRUPT);
    assert_int_equal(engine_read(w.e, lost - 1, &mem, &n), E_OK);
    world_expect(&w, 5, UINT64_MAX, TEXT, 0);
    assert_int_equal(engine_close(&w.e), E_OK);
    salvage(&w); /* once more: nothing is new */
    assert_int_equal(w.rep.lost_from, 0);
    assert_int_equal(w.rep.sidecars_rebuilt, 0);
    buf_fini(&mem);
    world_stop(&w);
}

static uint64_t tag_here(struct world *w)
{
    uint64_t here = w->key[1].seq; /* behind the version that it holds */
    uint8_t point[8];
    struct receipt r;
    char name[16];
    put_u64(point, here);
    snprintf(name, sizeof(name), "t%u", (unsigned)w->key[0].ver);
    struct node n = {.op = NODE_PUT, .space = SPACE_TAG, .flags = NODE_CREATED, .ver = 1, .key = slice_str(name), .payload = slice_of(point, 8)};
    assert_int_equal(engine_append(w->e, &n, false, &r), E_OK);
    return here;
}

/* A tag holds an old version, compaction drops what is between it and the newest. An index made anew must not take the old one for those. */
static void gap_between_kept_versions(void **state)
{
    for (unsigned between = 1; between <= 3; between++) {
        struct world w;
        struct first_of f;
        struct compact_stats s;
        uint64_t seq[5] = {0};
        start(&w);
        world_put(&w, 0, "held");
        world_put(&w, 1, TEXT);
        uint64_t held = tag_here(&w);
        for (unsigned i = 0; i < between; i++) {
            seq[i] = world_put(&w, 0, "between");
            world_put(&w, 1, TEXT);
        }
        uint64_t newest = world_put(&w, 0, "newest");
        assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
        for (int round = 0; round < 2; round++) {
            world_expect(&w, 0, held, "held", 0);
            for (unsigned i = 0; i < between; i++) {
                world_expect(&w, 0, seq[i], NULL, E_PRUNED);
                world_expect(&w, 0, seq[i] + 1, NULL, E_PRUNED);
            }
            world_expect(&w, 0, newest, "newest", 0);
            assert_int_equal(engine_close(&w.e), E_OK);
            first_file(w.os, "/db/index", ".run", &f);
            flip(w.os, f.path, file_size(w.os, f.path) - 10);
            salvage(&w);
        }
        struct engine_stats stats;
        assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
        world_expect(&w, 0, held, "held", 0);
        world_expect(&w, 0, seq[0], NULL, E_PRUNED);
        engine_get_stats(w.e, &stats);
        assert_true(stats.nodes < NODES);
        world_stop(&w);
    }
}

struct lost {
    uint64_t from, to, n;
};
static void count_lost(void *ctx, uint64_t seq, const char *why)
{
    struct lost *l = ctx;
    assert_true(seq >= l->from && seq <= l->to);
    assert_string_equal(why, "the node was lost: a filler is in its place");
    l->n++;
}
static void expect_lost(struct world *w, struct lost *l)
{
    struct verify_found f = {0};
    uint64_t next, bad;
    l->n = 0;
    assert_int_equal(engine_verify_slice(w->e, 1, UINT64_MAX, UINT64_MAX, count_lost, l, &f, &next), E_OK);
    assert_true(l->n > 0);
    assert_int_equal(engine_verify_tree(w->e, &bad), E_OK);
}

/* The log's end is lost: fillers take its seqs, the leaves stay. A check says so, and a compaction does not stumble over it. */
static void lost_end(void **state)
{
    struct world w;
    struct first_of f;
    struct compact_stats s;
    struct os_file *file = NULL;
    start(&w);
    for (unsigned i = 0; i < 300; i++) world_put(&w, i % 7, TEXT);
    assert_int_equal(engine_close(&w.e), E_OK);
    first_file(w.os, "/db/log", ".seg", &f);
    for (uint64_t i = 1; i < 9999; i++) { /* the newest one */
        char path[100];
        snprintf(path, sizeof(path), "/db/log/%016llx-0000.seg", (unsigned long long)i);
        if (is_there(w.os, path)) snprintf(f.path, sizeof(f.path), "%s", path);
    }
    assert_int_equal(os_open(w.os, f.path, OS_WRITE, &file), E_OK);
    assert_int_equal(os_truncate(w.os, file, 2000), E_OK);
    os_close(w.os, &file);
    salvage(&w);
    assert_int_equal(w.rep.lost_to, NODES + 300);
    struct lost lost = {w.rep.lost_from, w.rep.lost_to, 0};
    expect_lost(&w, &lost);
    assert_int_equal(engine_compact(w.e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
    expect_lost(&w, &lost);
    world_stop(&w);
}

/* A block in the middle of a run is read when it is asked for; salvage asks for all. */
static void damaged_block(void **state)
{
    struct world w;
    struct first_of f;
    start(&w);
    assert_int_equal(engine_close(&w.e), E_OK);
    first_file(w.os, "/db/index", ".run", &f);
    flip(w.os, f.path, file_size(w.os, f.path) / 3);
    salvage(&w);
    assert_true(w.rep.folded_nodes > 0);
    for (unsigned k = 0; k < WORLD_KEYS; k++) world_expect(&w, k, UINT64_MAX, TEXT, 0);
    for (unsigned k = 0; k < WORLD_KEYS; k++) world_expect(&w, k, 1 + k, TEXT, 0);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_tree),           cmocka_unit_test(damaged_tree_after_compaction), cmocka_unit_test(lost_manifest_after_compaction),
        cmocka_unit_test(damaged_sealed_segment), cmocka_unit_test(damaged_block),                 cmocka_unit_test(interrupted),
        cmocka_unit_test(gap_between_kept_versions), cmocka_unit_test(lost_end), cmocka_unit_test(lost_manifest_in_compaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
