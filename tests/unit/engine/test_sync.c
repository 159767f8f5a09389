/* Marks and acknowledgement: inline, from threads, and after a failure. */
#include "unit/engine/engine_world.h"

#include "base/os_sim.h"
#include "base/thread.h"

#include <sched.h>
#include <stdatomic.h>

static void marks_follow(void **state)
{
    struct world w = {0};
    struct engine_marks m;
    world_start(&w);
    world_put(&w, 0, "a");
    engine_get_marks(w.e, &m);
    assert_int_equal(m.last_seq, 1);
    assert_int_equal(m.written_seq, 0);
    assert_int_equal(engine_write_out(w.e, w.end), E_OK);
    engine_get_marks(w.e, &m);
    assert_int_equal(m.written_seq, 1);
    assert_int_equal(m.written_end, w.end);
    assert_int_equal(m.durable_seq, 0);
    assert_int_equal(engine_sync(w.e, w.end), E_OK);
    engine_get_marks(w.e, &m);
    assert_int_equal(m.durable_seq, 1);
    assert_int_equal(engine_durable_end(w.e), w.end);
    assert_int_equal(m.indexed_seq, 0);
    assert_int_equal(engine_catch_up(w.e, 1), E_OK);
    engine_get_marks(w.e, &m);
    assert_int_equal(m.indexed_seq, 1);
    assert_int_equal(m.flushed_seq, 0);
    assert_int_equal(engine_checkpoint(w.e), E_OK);
    assert_int_equal(engine_flushed_seq(w.e), 1);
    world_stop(&w);
}

static atomic_uint marked;
static void on_mark(void *ctx)
{
    atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void async_sync_tells(void **state)
{
    struct world w = {.o.durability = DURABLE_NO};
    w.os = NULL;
    log_set_level(LOG_NOTHING);
    w.os = os_memory_new();
    world_open(&w);
    engine_on_mark(w.e, on_mark, &marked);
    world_put(&w, 0, "a");
    engine_sync_async(w.e, w.end);
    while (engine_durable_end(w.e) < w.end) sched_yield();
    while (atomic_load(&marked) == 0) sched_yield();
    /* Requests meet the thread in every state between working and asleep; a lost one would cost a second. */
    for (int i = 0; i < 500; i++) {
        world_put(&w, 0, "a");
        engine_sync_async(w.e, w.end);
        while (engine_durable_end(w.e) < w.end) sched_yield();
    }
    world_stop(&w);
}

/* The clock is the test's own: a second of it passes, and nobody asked for anything. `everysec` syncs then, `no` writes out and leaves it at that. */
static void timer_syncs(void **state)
{
    for (int d = DURABLE_NO; d <= DURABLE_EVERYSEC; d++) {
        struct world w = {.os = os_sim_new(2), .o.durability = (enum engine_durability)d};
        struct engine_marks m;
        log_set_level(LOG_NOTHING);
        world_open(&w);
        world_put(&w, 0, "a");
        assert_int_equal(engine_sync(w.e, 0), E_OK);
        uint64_t before = engine_durable_end(w.e);
        world_put(&w, 0, "b");
        assert_true(engine_durable_end(w.e) == before && before > 0);
        uint64_t until = os_mono_us(os_posix()) + 20000000;
        do {
            assert_true(os_mono_us(os_posix()) < until);
            os_sim_advance(w.os, 100000);
            engine_sync_async(w.e, before); /* wakes the thread, asks for nothing new */
            sched_yield();
            engine_get_marks(w.e, &m);
        } while (d == DURABLE_NO ? m.written_end < w.end : m.durable_end < w.end);
        if (d == DURABLE_NO) assert_int_equal(m.durable_end, before);
        world_stop(&w);
    }
}

enum { WRITERS = 3, WRITES = 400 };

static void writer(void *ctx)
{
    struct world *w = ctx;
    char key[32];
    for (int i = 0; i < WRITES; i++) {
        snprintf(key, sizeof(key), "t:%p:%d", (void *)&key, i);
        struct node n = {.op = NODE_PUT,
                         .type = TYPE_STRING,
                         .flags = NODE_CREATED,
                         .ver = 1,
                         .key = slice_str(key),
                         .payload = slice_str("v")};
        struct receipt r;
        ASSERT(engine_append(w->e, &n, false, &r) == E_OK);
        if (i % 4 == 0) {
            ASSERT(engine_sync(w->e, r.end) == E_OK && engine_durable_end(w->e) >= r.end);
        } else {
            ASSERT(engine_write_out(w->e, r.end) == E_OK && engine_written_end(w->e) >= r.end);
        }
        if (i % 16 == 0) ASSERT(engine_catch_up(w->e, r.seq) == E_OK);
    }
}

static void many_writers(void **state)
{
    struct world w = {.o = {.segment_bytes = 64 << 10, .checkpoint_bytes = 32 << 10}};
    pthread_t t[WRITERS];
    struct db_counts counts;
    log_set_level(LOG_NOTHING);
    w.os = os_memory_new();
    world_open(&w);
    for (int i = 0; i < WRITERS; i++) assert_int_equal(thread_start(&t[i], "writer", writer, &w), E_OK);
    for (int i = 0; i < WRITERS; i++) thread_join(t[i]);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    engine_db_counts(w.e, 0, &counts);
    assert_int_equal(counts.keys, WRITERS * WRITES);
    world_reopen(&w);
    assert_true(w.rep.clean && w.rep.folded_nodes == 0);
    engine_db_counts(w.e, 0, &counts);
    assert_int_equal(counts.keys, WRITERS * WRITES);
    world_stop(&w);
}

static void failed_sync_is_sticky(void **state)
{
    struct world w = {0};
    log_set_level(LOG_NOTHING);
    w.os = os_sim_new(1);
    w.o.no_threads = true;
    world_open(&w);
    atomic_store(&marked, 0);
    engine_on_mark(w.e, on_mark, &marked);
    world_put(&w, 0, "a");
    assert_int_equal(engine_sync(w.e, 0), E_OK);
    uint64_t durable = engine_durable_end(w.e);
    world_put(&w, 0, "b");
    assert_int_equal(engine_write_out(w.e, 0), E_OK);
    os_sim_set(w.os, &(struct os_sim_faults){.fail_sync_at = os_sim_events(w.os) + 1, .seed = 1});
    assert_int_equal(engine_sync(w.e, 0), E_IO);
    assert_int_equal(engine_failure(w.e), E_IO);
    assert_int_equal(engine_durable_end(w.e), durable);
    assert_true(atomic_load(&marked) > 0);
    assert_true(engine_sync(w.e, 0) < 0);
    struct node n = {.op = NODE_PUT, .key = slice_str("x"), .ver = 1, .flags = NODE_CREATED};
    struct receipt r;
    assert_int_equal(engine_append(w.e, &n, false, &r), E_STICKY);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    world_expect(&w, 0, UINT64_MAX, "b", 0); /* reads go on */
    assert_true(engine_close(&w.e) < 0);
    world_open(&w);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    world_expect(&w, 0, 1, "a", 0);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_follow),
        cmocka_unit_test(async_sync_tells),
        cmocka_unit_test(timer_syncs),
        cmocka_unit_test(many_writers),
        cmocka_unit_test(failed_sync_is_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
