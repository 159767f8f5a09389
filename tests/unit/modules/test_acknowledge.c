/* What a reply waits for. A whole server over a simulated disk without threads: nothing is synced but by the loop itself, or when the test says so. */
#include "crash/command_bed.h"

#include "base/os_sim.h"

#define PIPELINE 400 /* replies: more than the loop syncs for by itself */
#define WHILE    50  /* turns in which nothing may come */

static struct command_bed *start(enum engine_durability d)
{
    struct command_bed *b = command_bed_new();
    struct engine_options o = {.os = os_sim_new(7), .dir = "/db", .no_threads = true, .durability = d, .ring_bytes = 1 << 20, .segment_bytes = 1 << 20};
    assert_int_equal(command_bed_open(b, &o, 16, 1 << 20), E_OK);
    return b;
}

static void stop(struct command_bed *b, bool well)
{
    struct os *os = engine_os(b->bed.server.engine);
    assert_true((command_bed_close(b) == E_OK) == well);
    os_free(&os);
    command_bed_free(&b);
}

static struct os *disk(struct command_bed *b) { return engine_os(b->bed.server.engine); }

static void expect_silence(struct command_bed *b, struct peer *p)
{
    for (int i = 0; i < WHILE; i++) {
        atomic_store(&b->bed.server.loops[0]->marks_moved, true); /* those of others, or of the index */
        assert_false(peer_hears(&b->bed, p));
    }
    assert_int_equal(p->in.n, 0);
}

/* What the sync thread and its call do. */
static int sync_now(struct command_bed *b)
{
    int rc = engine_sync(b->bed.server.engine, 0);
    atomic_store(&b->bed.server.loops[0]->marks_moved, true);
    return rc;
}

/* WAITAOF and DSYNC: written is not on disk. */
static void waiting_for_the_disk(void **state)
{
    static const char *const asks[] = {"WAITAOF 1 0 0", "DSYNC", "WAITAOF 1 0 0"};
    static const char *const answers[] = {"*2 :1 :0", ":1", "*2 :1 :0"};
    for (int i = 0; i < 3; i++) {
        struct command_bed *b = start(i == 2 ? DURABLE_NO : DURABLE_EVERYSEC);
        peer_expect(&b->bed, &b->peer[0], "SET a 1", "+OK");
        peer_say(&b->bed, &b->peer[0], asks[i]);
        expect_silence(b, &b->peer[0]);
        peer_expect(&b->bed, &b->peer[1], "WAITAOF 1 0 0", "*2 :1 :0"); /* who wrote nothing has nothing to wait for */
        assert_int_equal(sync_now(b), E_OK);
        assert_string_equal(peer_reply(&b->bed, &b->peer[0]), answers[i]);
        stop(b, true);
    }
}

/* appendfsync always, and more replies than the loop syncs for: none leaves before the sync thread is done. */
static void always(bool fails)
{
    struct command_bed *b = start(DURABLE_ALWAYS);
    struct peer *p = &b->peer[0], *other = &b->peer[1];
    for (int i = 0; i < PIPELINE; i++) {
        b->line.n = 0;
        buf_printf(&b->line, "SET k%d %d", i, i);
        bed_send(b, 0);
    }
    expect_silence(b, p);
    peer_say(&b->bed, other, "GET k7"); /* nor what tells of it */
    expect_silence(b, other);
    assert_int_equal(engine_write_out(b->bed.server.engine, 0), E_OK);
    expect_silence(b, p);
    if (fails) os_sim_set(disk(b), &(struct os_sim_faults){.fail_sync_at = os_sim_events(disk(b)) + 1, .seed = 1});
    assert_int_equal(sync_now(b), fails ? E_IO : E_OK);
    for (int i = 0; i < PIPELINE; i++) {
        const char *got = peer_reply(&b->bed, p);
        assert_true(fails ? text_starts(got, "-MISCONF ") : strcmp(got, "+OK") == 0);
    }
    assert_true(text_starts(peer_reply(&b->bed, other), fails ? "-MISCONF " : "$1 7"));
    stop(b, !fails);
}

static void always_waits(void **state)
{
    always(false);
    always(true);
}

/* A write that the disk refused has not happened for readers either, not in the server that still runs. */
static void refused_is_not_shown(void **state)
{
    static const char *const tries[] = {"SET a 2", "DEL a", "APPEND a x", "SET b 1", "PEXPIRE a 1", "FLUSHALL", "MSET a 3 b 3", "DPUT d:1 {}"};
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct command_bed *b = start(DURABLE_EVERYSEC);
        struct peer *p = &b->peer[0];
        peer_expect(&b->bed, p, "SET a 1", "+OK");
        os_sim_set(disk(b), &(struct os_sim_faults){.fail_write_at = os_sim_events(disk(b)) + 1, .seed = i});
        assert_true(text_starts(peer_ask(&b->bed, p, "%s", tries[i]), "-MISCONF "));
        os_sim_set(disk(b), &(struct os_sim_faults){0});
        for (int who = 0; who < BED_PEERS; who++) {
            peer_expect(&b->bed, &b->peer[who], "GET a", "$1 1");
            peer_expect(&b->bed, &b->peer[who], "PTTL a", ":-1");
            peer_expect(&b->bed, &b->peer[who], "EXISTS b d:1", ":0");
            peer_expect(&b->bed, &b->peer[who], "DBSIZE", ":1");
            assert_true(text_starts(peer_ask(&b->bed, &b->peer[who], "SET c 1"), "-MISCONF "));
        }
        stop(b, false);
    }
}

/* A transaction of which the disk takes nothing, or a part: none of it shows, before and after the restart. */
static void refused_transaction(void **state)
{
    for (uint64_t part = 0; part < 6; part++) {
        struct command_bed *b = start(DURABLE_EVERYSEC);
        struct peer *p = &b->peer[0];
        peer_expect(&b->bed, p, "MSET a 1 b 1", "+OK");
        peer_expect(&b->bed, p, "SELECT 1", "+OK");
        peer_expect(&b->bed, p, "SET a other", "+OK");
        peer_expect(&b->bed, p, "SELECT 0", "+OK");
        peer_expect(&b->bed, p, "MULTI", "+OK");
        static const char *const queue[] = {"SET a 2", "DEL b", "SWAPDB 0 1", "SET c 1", "FLUSHDB", "SET a 3", "INCR n", "PEXPIRE a 100000"};
        for (size_t i = 0; i < sizeof queue / sizeof *queue; i++) peer_expect(&b->bed, p, queue[i], "+QUEUED");
        os_sim_set(disk(b), &(struct os_sim_faults){.fail_write_at = os_sim_events(disk(b)) + 1, .seed = part, .process_only = true});
        assert_true(text_starts(peer_ask(&b->bed, p, "EXEC"), "-MISCONF "));
        struct os *os = disk(b);
        for (int round = 0; round < 2; round++) {
            peer_expect(&b->bed, p, "MGET a b c n", "*4 $1 1 $1 1 $-1 $-1");
            peer_expect(&b->bed, p, "PTTL a", ":-1");
            peer_expect(&b->bed, p, "DBSIZE", ":2");
            peer_expect(&b->bed, p, "SELECT 1", "+OK");
            peer_expect(&b->bed, p, "GET a", "$5 other");
            peer_expect(&b->bed, p, "DBSIZE", ":1");
            peer_expect(&b->bed, p, "SELECT 0", "+OK");
            if (round) break;
            (void)!command_bed_close(b);
            os_sim_reboot(os);
            struct engine_options o = {.os = os, .dir = "/db", .no_threads = true, .durability = DURABLE_EVERYSEC, .ring_bytes = 1 << 20, .segment_bytes = 1 << 20};
            assert_int_equal(command_bed_open(b, &o, 16, 1 << 20), E_OK);
        }
        stop(b, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_for_the_disk),
        cmocka_unit_test(always_waits),
        cmocka_unit_test(refused_is_not_shown),
        cmocka_unit_test(refused_transaction),
    };
    log_set_level(LOG_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
