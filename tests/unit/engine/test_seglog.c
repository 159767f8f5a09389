/* The segment log while it runs: append, roll over, seal, read; failures of the disk; a crash at every event. */
#include "logwork.h"

#include "base/thread.h"
#include "engine/ring.h"

#include <time.h>
#include <unistd.h>

static void test_append_and_read(void **state)
{
    struct os *os = os_memory_new();
    struct seglog *l;
    struct seglog_report rep;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(seglog_last_seq(l), 0);
    work_check_all(l);
    assert_int_equal(work_append(l, 30, 1), E_OK);
    work_check_all(l);
    assert_int_equal(work_append(l, 3000, 3), E_OK); /* several segments, none sealed */
    work_check_all(l);
    assert_true(seglog_segments(l, NULL, 0) > 3);
    work_background(l);
    work_check_all(l);
    struct seg_info info[64];
    size_t n = seglog_segments(l, info, 64);
    uint64_t next = 1, bytes = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(info[i].id.first_seq == next && info[i].sealed == (i + 1 < n));
        assert_int_equal(info[i].nodes, info[i].last_seq + 1 - next);
        next = info[i].last_seq + 1;
        bytes += info[i].bytes;
    }
    assert_int_equal(next, 3001);
    assert_int_equal(bytes, seglog_bytes(l));
    seglog_close(&l);
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(seglog_last_seq(l), 3000);
    assert_int_equal(rep.torn_bytes + rep.sidecars_rebuilt + rep.lost_from, 0);
    work_check_all(l);
    assert_int_equal(work_append(l, 3500, 2), E_OK);
    work_check_all(l);
    seglog_close(&l);
    os_free(&os);
}

static void test_roll(void **state)
{
    struct os *os = os_memory_new();
    struct seglog *l;
    struct seglog_report rep;
    struct seg_info info[4];
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(seglog_roll(l), E_OK);
    assert_int_equal(seglog_segments(l, info, 4), 1);
    assert_int_equal(work_append(l, 10, 1), E_OK);
    assert_int_equal(seglog_roll(l), E_OK);
    assert_int_equal(seglog_roll(l), E_OK);
    assert_int_equal(seglog_segments(l, info, 4), 2);
    assert_true(info[0].sealed && !info[1].sealed && info[1].id.first_seq == 11 && info[1].last_seq == 10);
    work_check_all(l);
    seglog_close(&l);
    assert_int_equal(work_open(os, &l, &rep), E_OK); /* an empty tail is no damage */
    assert_int_equal(seglog_last_seq(l), 10);
    assert_int_equal(work_append(l, 20, 1), E_OK);
    work_check_all(l);
    seglog_close(&l);
    os_free(&os);
}

static void test_cursor_goes_on(void **state)
{
    struct os *os = os_memory_new();
    struct seglog *l;
    struct seglog_report rep;
    struct seglog_cursor *c;
    slice raw;
    bool more;
    uint64_t seq, next = 1;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(seglog_cursor_open(l, 0, &c), E_OK);
    for (uint64_t upto = 0; upto <= 4000; upto += 10) {
        if (upto) assert_int_equal(work_append(l, upto, 1 + upto % 7), E_OK);
        if (upto % 400 == 0) work_background(l);
        int rc;
        while ((rc = seglog_cursor_next(c, &seq, &raw, &more)) == E_OK) {
            assert_true(seq == next && work_is(seq, raw));
            next++;
        }
        assert_int_equal(rc, E_END);
        assert_int_equal(next, upto + 1);
    }
    seglog_cursor_close(&c);
    seglog_close(&l);
    os_free(&os);
}

static void test_commit_larger_than_a_segment(void **state)
{
    struct os *os = os_memory_new();
    struct seglog *l;
    struct seglog_report rep;
    struct buf b = {0}, mem = {0};
    uint8_t *payload = calloc(1, 200000);
    slice raw;
    bool more;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct node n = {.op = NODE_PUT, .seq = seq, .payload = slice_of(payload, 200000)};
        size_t size = record_size(node_size(&n));
        buf_clear(&b);
        uint8_t *p = buf_reserve(&b, size);
        node_encode(&n, p + 8);
        put_u32(p, record_seal(p, node_size(&n), false));
        assert_int_equal(seglog_append(l, slice_of(p, size), seq, 1), E_OK);
    }
    assert_int_equal(seglog_segments(l, NULL, 0), 3);
    work_background(l);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(seglog_read(l, seq, &mem, &raw, &more), E_OK);
        assert_true(raw.n > 200000 && get_u64(raw.p + 8) == seq);
    }
    buf_fini(&b), buf_fini(&mem), free(payload);
    seglog_close(&l);
    os_free(&os);
}

/* ---- ring to segment: the same bytes ---- */

struct tee {
    struct seglog *l;
    struct buf all;
};

static int tee_sink(void *ctx, slice bytes, uint64_t first_seq, uint32_t count)
{
    struct tee *t = ctx;
    buf_add_slice(&t->all, bytes);
    return seglog_append(t->l, bytes, first_seq, count);
}

static void test_byte_identity(void **state)
{
    struct os *os = os_memory_new();
    struct tee t = {0};
    struct seglog_report rep;
    struct ring *r;
    struct buf b = {0}, read = {0}, file = {0}, one = {0};
    assert_int_equal(work_open(os, &t.l, &rep), E_OK);
    assert_int_equal(ring_open(RING_BYTES_MIN, 1, tee_sink, &t, &r), E_OK);
    for (uint64_t seq = 1; seq <= 2000; seq = work_commit_last(seq) + 1) {
        uint32_t words[4], n = 0;
        struct ring_slot s;
        buf_clear(&b);
        for (uint64_t k = seq; k <= work_commit_last(seq); k++) {
            words[n++] = (uint32_t)b.n;
            work_add(&b, k);
        }
        assert_int_equal(ring_reserve(r, b.n, n, &s), E_OK);
        for (uint32_t i = 0; i < n; i++) {
            size_t at = words[i], end = i + 1 < n ? words[i + 1] : b.n;
            memcpy(s.at + at + 4, b.p + at + 4, end - at - 4); /* all but the length word */
            words[i] = get_u32(b.p + at);
        }
        ring_publish(r, &s, words);
        buf_add(&one, b.p, b.n);
        if (seq % 7 == 0) assert_int_equal(ring_drain(r, s.end), E_OK);
    }
    assert_int_equal(ring_drain(r, ring_reserved_end(r)), E_OK);
    ring_close(&r);
    work_check_all(t.l);
    work_background(t.l);
    struct seg_info info[64];
    size_t n = seglog_segments(t.l, info, 64);
    for (size_t i = 0; i < n; i++) {
        char path[128];
        snprintf(path, sizeof path, "/store/log/%016llx-0000.seg", (unsigned long long)info[i].id.first_seq);
        buf_clear(&file);
        assert_int_equal(os_read_file(os, path, 64 << 20, &file), E_OK);
        buf_add(&read, file.p + 64, info[i].bytes - 64);
    }
    assert_true(slice_eq(buf_slice(&one), buf_slice(&t.all)));
    assert_true(slice_eq(buf_slice(&one), buf_slice(&read)));
    buf_fini(&b), buf_fini(&read), buf_fini(&file), buf_fini(&one), buf_fini(&t.all);
    seglog_close(&t.l);
    os_free(&os);
}

/* ---- a disk that fails ---- */

static void test_disk_full(void **state)
{
    struct os *os = os_sim_new(1);
    struct seglog *l;
    struct seglog_report rep;
    struct os_sim_faults f = {.capacity_bytes = 150000};
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    os_sim_set(os, &f);
    int rc = work_append(l, 10000, 1);
    uint64_t last = seglog_last_seq(l), seq;
    assert_int_equal(rc, E_NOSPACE);
    assert_int_equal(work_append(l, last + 20, 1), E_STICKY);
    assert_int_equal(seglog_sync(l, &seq), E_STICKY);
    work_check_all(l); /* reads go on */
    seglog_close(&l);
    os_sim_set(os, &(struct os_sim_faults){0});
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(seglog_last_seq(l), last); /* what was refused is not there */
    assert_int_equal(work_append(l, last / 10 * 10 + 100, 1), E_OK);
    work_check_all(l);
    seglog_close(&l);
    os_free(&os);
}

/* A failing call at every place: refused, sticky, and after a new start everything that was acknowledged by a sync is there. */
static void test_failing_calls(void **state)
{
    uint64_t events = 1;
    for (uint64_t at = 1; at <= events; at++)
        for (int kind = 0; kind < 2; kind++) {
            struct os *os = os_sim_new(at);
            struct seglog *l;
            struct seglog_report rep;
            uint64_t synced = 0, seq = 0;
            assert_int_equal(work_open(os, &l, &rep), E_OK);
            struct os_sim_faults f = {.fail_write_at = kind ? 0 : os_sim_events(os) + at,
                                      .fail_sync_at = kind ? os_sim_events(os) + at : 0};
            os_sim_set(os, &f);
            uint64_t before = os_sim_events(os);
            int rc = E_OK, late = E_OK;
            for (uint64_t upto = 50; rc == E_OK && upto <= 1500; upto += 50) {
                rc = work_append(l, upto, 4);
                if (rc == E_OK) rc = seglog_sync(l, &seq);
                if (rc == E_OK) synced = seq;
                if (upto % 500 == 0 && rc == E_OK) late = seglog_background(l);
            }
            (void)late;
            if (os_sim_events(os) - before > events) events = os_sim_events(os) - before;
            if (rc) assert_true(work_append(l, seglog_last_seq(l) + 10, 1) == E_STICKY);
            work_check_all(l);
            seglog_close(&l);
            os_sim_set(os, &(struct os_sim_faults){0});
            assert_int_equal(work_open(os, &l, &rep), E_OK);
            assert_true(seglog_last_seq(l) >= synced);
            work_check_all(l);
            seglog_close(&l);
            os_free(&os);
            if (at > 60 && kind == 0) at += 6; /* the rest in larger steps */
            if (at > 10 && kind == 0) at += WORK_STEP - 1;
        }
}

static void test_read_errors(void **state)
{
    struct os *os = os_sim_new(3);
    struct seglog *l;
    struct seglog_report rep;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(work_append(l, 1200, 2), E_OK);
    work_background(l);
    assert_int_equal(work_append(l, 1300, 2), E_OK);
    seglog_close(&l);
    unsigned refused = 0;
    for (uint64_t at = 1; at < 200; at++) {
        os_sim_set(os, &(struct os_sim_faults){.fail_read_at = at});
        int rc = work_open(os, &l, &rep);
        if (rc) {
            assert_int_equal(rc, E_IO);
            refused++;
            continue;
        }
        os_sim_set(os, &(struct os_sim_faults){0});
        assert_int_equal(seglog_last_seq(l), 1300); /* a read error is never a cut */
        assert_int_equal(rep.torn_bytes, 0);
        seglog_close(&l);
    }
    assert_true(refused > 3 && refused < 199);
    os_sim_set(os, &(struct os_sim_faults){0});
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    work_check_all(l);
    struct buf mem = {0};
    slice raw;
    os_sim_set(os, &(struct os_sim_faults){.fail_read_at = 1});
    assert_int_equal(seglog_read(l, 1290, &mem, &raw, NULL), E_IO);
    assert_int_equal(seglog_read(l, 1290, &mem, &raw, NULL), E_OK);
    buf_fini(&mem);
    seglog_close(&l);
    os_free(&os);
}

/* ---- the power goes, or the process, at every event ---- */

static void crash_once(uint64_t at, uint64_t seed, bool process_only, uint64_t *events)
{
    struct os *os = os_sim_new(seed);
    struct seglog *l;
    struct seglog_report rep;
    uint64_t synced = 0, written = 0, seq;
    assert_int_equal(os_mkdir(os, "/store"), E_OK);
    assert_int_equal(os_sync_dir(os, "/"), E_OK);
    os_sim_set(os, &(struct os_sim_faults){
                       .crash_at = at ? os_sim_events(os) + at : 0, .seed = seed * 7919 + at, .process_only = process_only});
    uint64_t before = os_sim_events(os);
    int rc = work_open(os, &l, &rep);
    if (rc == E_OK) {
        for (uint64_t upto = 20; rc == E_OK && upto <= 1000; upto += 20) {
            rc = work_append(l, upto, 1 + (unsigned)(upto / 20 % 3));
            if (rc == E_OK) written = upto;
            if (rc == E_OK && upto % 60 == 0) {
                rc = seglog_sync(l, &seq);
                if (rc == E_OK) synced = seq;
            }
            if (rc == E_OK && upto % 200 == 0) {
                int bg;
                while ((bg = seglog_background(l)) == E_OK) continue;
                if (bg != E_AGAIN) rc = bg;
            }
        }
        seglog_close(&l);
    }
    *events = os_sim_events(os) - before;
    os_sim_reboot(os);
    os_sim_set(os, &(struct os_sim_faults){0});
    for (int again = 0; again < 2; again++) {
        rc = work_open(os, &l, &rep);
        if (rc != E_OK)
            print_error("crash at %llu seed %llu: open says %d, %s\n", (unsigned long long)at, (unsigned long long)seed, rc,
                        rep.where);
        assert_int_equal(rc, E_OK);
        uint64_t last = seglog_last_seq(l);
        if (last < synced || (process_only && last < written))
            print_error("crash at %llu seed %llu: last %llu, synced %llu, written %llu, %s\n", (unsigned long long)at,
                        (unsigned long long)seed, (unsigned long long)last, (unsigned long long)synced,
                        (unsigned long long)written, rep.where);
        assert_true(last >= synced && (!process_only || last >= written));
        assert_true(last == 0 || last == work_commit_last(last)); /* whole commits */
        assert_int_equal(rep.lost_from, 0);
        work_check_all(l);
        assert_int_equal(work_append(l, last + 10 + (10 - last % 10) % 10, 1), E_OK);
        work_check_all(l);
        seglog_close(&l);
    }
    os_free(&os);
}

static void test_crash_everywhere(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        uint64_t events = 0, reached;
        crash_once(0, seed, seed == 3, &events); /* how many there are */
        for (uint64_t at = WORK_STEP > 1 ? seed : 1; at <= events; at += WORK_STEP) crash_once(at, seed, seed == 3, &reached);
        assert_true(events > 60);
    }
}

/* Readers beside one appender, a syncer and the background. */
struct crowd {
    struct seglog *l;
    bool stop;
};

static void read_beside(void *arg)
{
    struct crowd *c = arg;
    struct buf mem = {0};
    uint64_t x = 12345;
    slice raw;
    while (!__atomic_load_n(&c->stop, __ATOMIC_ACQUIRE)) {
        uint64_t last = seglog_last_seq(c->l);
        if (last == 0) continue;
        x = work_mix(x + 1);
        uint64_t seq = x % 4 ? 1 + x % last : last;
        if (seglog_read(c->l, seq, &mem, &raw, NULL) || !work_is(seq, raw)) abort();
    }
    buf_fini(&mem);
}

static void follow_beside(void *arg)
{
    struct crowd *c = arg;
    struct seglog_cursor *cur;
    uint64_t next = 1, seq;
    slice raw;
    bool more;
    if (seglog_cursor_open(c->l, 1, &cur)) abort();
    for (;;) {
        bool stop = __atomic_load_n(&c->stop, __ATOMIC_ACQUIRE);
        int rc = seglog_cursor_next(cur, &seq, &raw, &more);
        if (rc == E_END && stop) break;
        if (rc == E_END) continue;
        if (rc || seq != next++ || !work_is(seq, raw)) abort();
    }
    if (next != seglog_last_seq(c->l) + 1) abort();
    seglog_cursor_close(&cur);
}

static void upkeep_beside(void *arg)
{
    struct crowd *c = arg;
    uint64_t seq;
    while (!__atomic_load_n(&c->stop, __ATOMIC_ACQUIRE)) {
        int rc = seglog_background(c->l);
        if (rc < 0 && rc != E_AGAIN) abort();
        if (seglog_sync(c->l, &seq)) abort();
    }
}

static void test_crowd(void **state)
{
    struct os *os = os_memory_new();
    struct crowd c = {0};
    struct seglog_report rep;
    pthread_t t[3];
    assert_int_equal(work_open(os, &c.l, &rep), E_OK);
    assert_int_equal(thread_start(&t[0], "reader", read_beside, &c), E_OK);
    assert_int_equal(thread_start(&t[1], "follower", follow_beside, &c), E_OK);
    assert_int_equal(thread_start(&t[2], "upkeep", upkeep_beside, &c), E_OK);
    assert_int_equal(work_append(c.l, 6000, 2), E_OK);
    __atomic_store_n(&c.stop, true, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++) thread_join(t[i]);
    work_check_all(c.l);
    seglog_close(&c.l);
    os_free(&os);
}

/* On the real file system; a figure for the log of the build. */
static void test_posix(void **state)
{
    char dir[] = "/tmp/varve-seglog-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct seglog_options o = work_options(os_posix());
    struct seglog *l;
    struct seglog_report rep;
    struct buf mem = {0};
    slice raw;
    struct timespec a, b;
    uint64_t seq, x = 1;
    o.dir = dir;
    o.segment_bytes = 1 << 20;
    assert_int_equal(seglog_open(&o, &l, &rep), E_OK);
    assert_int_equal(work_append(l, 20000, 16), E_OK);
    assert_int_equal(seglog_sync(l, &seq), E_OK);
    assert_int_equal(seq, 20000);
    work_background(l);
    work_check_all(l);
    seglog_close(&l);
    assert_int_equal(seglog_open(&o, &l, &rep), E_OK);
    work_check_all(l);
    enum { ROUNDS = 200000 / WORK_STEP };
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < ROUNDS; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        if (seglog_read(l, 1 + (x >> 33) % 15000, &mem, &raw, NULL)) fail();
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("read of a node in a mapped segment: %.0f ns\n",
           ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / ROUNDS);
    struct seg_info info[64];
    size_t n = seglog_segments(l, info, 64);
    seglog_close(&l);
    buf_fini(&mem);
    char path[300];
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 2; k++) {
            snprintf(path, sizeof path, "%s/log/%016llx-0000.%s", dir, (unsigned long long)info[i].id.first_seq,
                     k ? "seg" : "idx");
            unlink(path);
        }
    static const char *const rest[] = {"log/synced", "log/next.tmp", "log", ""};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, rest[i]);
        remove(path);
    }
    assert_int_not_equal(access(dir, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_read),
        cmocka_unit_test(test_roll),
        cmocka_unit_test(test_cursor_goes_on),
        cmocka_unit_test(test_commit_larger_than_a_segment),
        cmocka_unit_test(test_byte_identity),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_failing_calls),
        cmocka_unit_test(test_read_errors),
        cmocka_unit_test(test_crash_everywhere),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_posix),
    };
    log_set_level(LOG_NOTHING); /* faults are the point here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
