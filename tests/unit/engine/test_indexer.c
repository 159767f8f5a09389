/* The indexer: catching up, lag, commits that span batches, hash groups. */
#include "unit/engine/engine_world.h"

#include "base/thread.h"
#include "engine/own.h"

#include <sched.h>
#include <stdatomic.h>

#define LOOKS 2000

static void catch_up_reaches(void **state)
{
    struct world w = {0};
    struct engine_marks m;
    world_start(&w);
    for (unsigned i = 0; i < 1000; i++) world_put(&w, i % WORLD_KEYS, "v");
    assert_int_equal(engine_catch_up(w.e, 10), E_OK);
    engine_get_marks(w.e, &m);
    assert_true(m.indexed_seq >= 10);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    engine_get_marks(w.e, &m);
    assert_int_equal(m.indexed_seq, 1000);
    assert_int_equal(engine_catch_up(w.e, 5000), E_OK); /* never handed out: no waiting */
    world_stop(&w);
}

/* A commit larger than a batch is folded as a whole or not at all. */
static void long_commit(void **state)
{
    struct world w = {0};
    struct engine_marks m;
    world_start(&w);
    uint64_t first = world_batch(&w, 0, 1000, "v");
    assert_int_equal(engine_catch_up(w.e, first + 3), E_OK);
    engine_get_marks(w.e, &m);
    assert_int_equal(m.indexed_seq, first + 999);
    world_stop(&w);
}

static void tree_has_every_hash(void **state)
{
    struct world w = {0};
    uint8_t want[HASH_BYTES], got[HASH_BYTES];
    struct buf mem = {0};
    slice raw;
    world_start(&w);
    char text[600];
    for (unsigned i = 0; i < 300; i++) {
        memset(text, 'a', sizeof(text));
        text[i * 7 % 599] = 0;
        world_put(&w, i % WORLD_KEYS, text);
    }
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    for (uint64_t s = 1; s <= 300; s++) {
        assert_int_equal(engine_read_raw(w.e, s, &mem, &raw), E_OK);
        blake2b_256(want, raw.p, raw.n);
        assert_int_equal(engine_hash(w.e, s, got), E_OK);
        assert_memory_equal(want, got, HASH_BYTES);
    }
    buf_fini(&mem);
    world_stop(&w);
}

/* With threads nobody has to ask: the index follows by itself. */
static void follows_by_itself(void **state)
{
    struct world w = {0};
    log_set_level(LOG_NOTHING);
    w.os = os_memory_new();
    world_open(&w);
    for (unsigned i = 0; i < 3000; i++) world_put(&w, i % WORLD_KEYS, "v");
    assert_int_equal(engine_write_out(w.e, 0), E_OK);
    struct engine_marks m = {0};
    while (m.indexed_seq < 3000) {
        engine_get_marks(w.e, &m);
        sched_yield();
    }
    world_stop(&w);
}

static void failure_is_final(void **state)
{
    struct world w = {0};
    struct receipt r;
    world_start(&w);
    world_put(&w, 0, "good");
    /* A swap without its two numbers contradicts the books. */
    struct node n = {.op = NODE_SWAP};
    assert_int_equal(engine_append(w.e, &n, false, &r), E_OK);
    assert_int_equal(engine_catch_up(w.e, 0), E_CORRUPT);
    assert_int_equal(engine_catch_up(w.e, 0), E_CORRUPT);
    assert_int_equal(engine_failure(w.e), E_CORRUPT);
    struct node m = {.op = NODE_PUT, .key = slice_str("x"), .ver = 1};
    assert_int_equal(engine_append(w.e, &m, false, &r), E_STICKY);
    struct buf mem = {0};
    assert_int_equal(engine_read(w.e, 1, &mem, &m), E_OK);
    buf_fini(&mem);
    assert_int_equal(engine_close(&w.e), E_CORRUPT);
    world_stop(&w);
}

/* One commit makes all keys, the next ends them. Whoever looks, whenever, sees all of them or none. */
static atomic_uint looked;
static void look_on(void *ctx)
{
    struct world *w = ctx;
    while (atomic_load(&looked) < LOOKS) {
        struct key_cursor *c = NULL;
        struct live_key k;
        unsigned n = 0;
        ASSERT(engine_keys(w->e, 0, 0, 0, &c) == E_OK);
        while (key_cursor_next(c, &k) == E_OK) n++;
        key_cursor_close(&c);
        ASSERT(n == 0 || n == WORLD_KEYS);
        atomic_fetch_add(&looked, 1);
    }
}

static void commits_show_as_a_whole(void **state)
{
    struct world w = {0};
    pthread_t t;
    log_set_level(LOG_NOTHING);
    w.os = os_memory_new();
    world_open(&w);
    atomic_store(&looked, 0);
    assert_int_equal(thread_start(&t, "looker", look_on, &w), E_OK);
    for (unsigned round = 0; atomic_load(&looked) < LOOKS; round++) {
        struct batch *b = engine_batch_begin(w.e);
        for (unsigned k = 0; k < WORLD_KEYS; k++) {
            char name[32];
            struct receipt r;
            struct node n = world_node(&w, k, round % 2 ? NODE_DELETE : NODE_PUT, slice_str(round % 2 ? "" : "v"), name);
            engine_batch_add(b, &n, false, &r);
            world_took(&w, k, &n);
        }
        assert_int_equal(engine_batch_commit(&b, &w.end), E_OK);
        assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    }
    thread_join(t);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(catch_up_reaches),  cmocka_unit_test(long_commit),      cmocka_unit_test(tree_has_every_hash),
        cmocka_unit_test(follows_by_itself), cmocka_unit_test(failure_is_final),
        cmocka_unit_test(commits_show_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
