/* Opening what crashes, decay and clumsy hands leave: cut, refused or salvaged, and never in silence. */
#include "logwork.h"

#include "base/codec.h"
#include "engine/segment.h"

#include <unistd.h>

#define SEG1 "/store/log/0000000000000001-0000.seg"
#define IDX1 "/store/log/0000000000000001-0000.idx"

/* A store on the simulator with seqs 1 to `upto`, synced and closed. Small enough to be flipped bit by bit. */
static struct os *small_store(uint64_t upto)
{
    struct os *os = os_sim_new(9);
    struct seglog *l;
    struct seglog_report rep;
    uint64_t seq;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    if (upto) assert_int_equal(work_append(l, upto, 1), E_OK);
    assert_int_equal(seglog_sync(l, &seq), E_OK);
    seglog_close(&l);
    return os;
}

/* The same in several segments; all but the tail sealed when asked. */
static struct os *wide_store(uint64_t upto, bool seal)
{
    struct os *os = os_sim_new(9);
    struct seglog *l;
    struct seglog_report rep;
    uint64_t seq;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(work_append(l, upto, 3), E_OK);
    assert_int_equal(seglog_sync(l, &seq), E_OK);
    if (seal) work_background(l);
    seglog_close(&l);
    return os;
}

static int open_as(struct os *os, bool salvage, bool read_only, struct seglog **l, struct seglog_report *rep)
{
    struct seglog_options o = work_options(os);
    o.salvage = salvage;
    o.read_only = read_only;
    return seglog_open(&o, l, rep);
}

static uint64_t file_size(struct os *os, const char *path)
{
    struct os_file *f;
    uint64_t size;
    assert_int_equal(os_open(os, path, OS_READ, &f), E_OK);
    assert_int_equal(os_size(os, f, &size), E_OK);
    os_close(os, &f);
    return size;
}

static uint64_t log_bytes(struct os *os)
{
    struct seglog *l;
    struct seglog_report rep;
    assert_int_equal(open_as(os, false, true, &l, &rep), E_OK);
    uint64_t n = seglog_bytes(l);
    seglog_close(&l);
    return n;
}

/* Whatever can be read is what was written, commits are whole, and what is missing is said. */
static void check_partial(struct seglog *l, uint64_t upto, uint64_t *there)
{
    struct buf mem = {0};
    struct seglog_cursor *c;
    slice raw;
    bool more;
    uint64_t seq, behind = 0;
    *there = 0;
    for (uint64_t s = 1; s <= seglog_last_seq(l); s++) {
        int rc = seglog_read(l, s, &mem, &raw, NULL);
        if (s > upto) continue;
        assert_true(rc == E_OK || rc == E_CORRUPT);
        if (rc) continue;
        assert_true(work_is(s, raw));
        (*there)++;
        for (uint64_t k = work_commit_first(s); k <= work_commit_last(s); k++)
            assert_int_equal(seglog_read(l, k, &mem, &raw, NULL), E_OK);
    }
    uint64_t seen = 0;
    assert_int_equal(seglog_cursor_open(l, 1, &c), E_OK);
    int rc;
    while ((rc = seglog_cursor_next(c, &seq, &raw, &more)) == E_OK) {
        assert_true(seq > behind && (seq > upto || work_is(seq, raw)));
        behind = seq;
        seen += seq <= upto;
    }
    assert_int_equal(rc, E_END);
    assert_int_equal(seen, *there);
    seglog_cursor_close(&c);
    buf_fini(&mem);
}

/* Every bit-flip in the file of a small store: refused, or cut at the end with a report, or harmless; and salvage brings back all the rest. */
static void test_flip_everywhere(void **state)
{
    struct os *os = small_store(30);
    uint64_t size = log_bytes(os), refused = 0, cut = 0;
    for (uint64_t off = 0; off < size; off += WORK_STEP) {
        struct seglog *l;
        struct seglog_report rep;
        uint64_t there;
        assert_int_equal(os_sim_flip(os, SEG1, off, off % 8), E_OK);
        int rc = open_as(os, false, true, &l, &rep);
        if (rc == E_OK) {
            assert_true(rep.lost_from > 20 && rep.lost_to == 30 && rep.torn_bytes > 0); /* the last commit only */
            assert_true(seglog_last_seq(l) == 26);
            work_check_all(l);
            seglog_close(&l);
            cut++;
        } else {
            assert_int_equal(rc, E_CORRUPT);
            assert_true(rep.lost_from >= 1 && rep.lost_to >= rep.lost_from &&
                        strstr(rep.where, "0000000000000001-0000.seg, offset "));
            refused++;
            assert_int_equal(open_as(os, true, true, &l, &rep), E_OK);
            check_partial(l, 30, &there);
            assert_true(off < 64 ? there == 30 : there >= 26);
            seglog_close(&l);
        }
        assert_int_equal(os_sim_flip(os, SEG1, off, off % 8), E_OK);
    }
    assert_true(refused > size / WORK_STEP / 2 && cut >= RECORD_BYTES_MIN / WORK_STEP);
    assert_true(log_bytes(os) == size);
    os_free(&os);
}

/* A record that says its commit was cut, whole and with the seq that is due, but in a segment that no compaction wrote. */
static void test_cut_where_none_can_be(void **state)
{
    struct os *os = small_store(30);
    struct seglog *l;
    struct seglog_report rep;
    struct os_file *f;
    uint8_t raw[65536];
    uint64_t at = SEGMENT_HEADER_BYTES, there, seq = 1;
    assert_true(log_bytes(os) <= sizeof raw);
    assert_int_equal(os_open(os, SEG1, OS_WRITE, &f), E_OK);
    assert_int_equal(os_read_full(os, f, 0, raw, log_bytes(os)), E_OK);
    for (; seq < 8 || get_u32(raw + at) & RECORD_MORE; seq++) at += record_bytes(get_u32(raw + at));
    uint32_t node = get_u32(raw + at) & RECORD_LENGTH, word = record_seal_cut(raw + at, node, 1); /* the next record's length goes */
    put_u32(raw + at, word);
    assert_int_equal(os_write(os, f, at, raw + at, record_bytes(word)), E_OK);
    os_close(os, &f);
    alarm(20); /* it was looked at for ever */
    assert_int_equal(open_as(os, false, true, &l, &rep), E_CORRUPT);
    assert_int_equal(rep.lost_from, work_commit_first(seq));
    assert_int_equal(open_as(os, true, true, &l, &rep), E_OK);
    alarm(0);
    check_partial(l, 30, &there);
    assert_true(there >= 20);
    seglog_close(&l);
    os_free(&os);
}

/* Dirt behind the end: the zero tail is not believed, whatever is in it. */
static void test_dirt_behind_the_end(void **state)
{
    struct os *os = small_store(10);
    uint64_t end = log_bytes(os), size = file_size(os, SEG1);
    struct seglog *l;
    struct seglog_report rep;
    for (uint64_t off = end; off < size; off += 1 + (off - end) * 3) {
        assert_int_equal(os_sim_flip(os, SEG1, off, off % 8), E_OK);
        assert_int_equal(open_as(os, false, true, &l, &rep), E_OK);
        assert_true(seglog_last_seq(l) == 10 && rep.torn_bytes >= off / 4 * 4 + 4 - end && rep.lost_from == 0);
        seglog_close(&l);
        assert_int_equal(os_sim_flip(os, SEG1, off, off % 8), E_OK);
    }
    assert_int_equal(os_sim_flip(os, SEG1, end + 100, 1), E_OK);
    assert_int_equal(open_as(os, false, false, &l, &rep), E_OK);
    assert_int_equal(work_append(l, 100, 1), E_OK); /* cut, then written over */
    seglog_close(&l);
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(rep.torn_bytes, 0);
    work_check_all(l);
    seglog_close(&l);
    os_free(&os);
}

static void test_truncate_everywhere(void **state)
{
    struct os *os = small_store(20);
    uint64_t end = log_bytes(os);
    struct os_file *f;
    assert_int_equal(os_open(os, SEG1, OS_WRITE, &f), E_OK);
    for (uint64_t n = end - 1; n < end; n -= WORK_STEP) {
        struct seglog *l;
        struct seglog_report rep;
        assert_int_equal(os_truncate(os, f, n), E_OK);
        int rc = open_as(os, false, true, &l, &rep);
        if (n < 64) {
            assert_int_equal(rc, E_CORRUPT);
            continue;
        }
        assert_int_equal(rc, E_OK);
        uint64_t last = seglog_last_seq(l);
        assert_true(last < 20 && (last == 0 || last == work_commit_last(last)));
        assert_true(rep.lost_from == last + 1 && rep.lost_to == 20); /* it had been durable */
        work_check_all(l);
        seglog_close(&l);
    }
    os_close(os, &f);
    os_free(&os);
}

/* An end that had been durable is not cut like a torn one: refused as often as it is tried, until salvage is asked for. */
static void lose_end(uint64_t last, uint64_t kept)
{
    struct os *os = small_store(last);
    struct seglog *l;
    struct seglog_report rep;
    uint64_t end = log_bytes(os), size = file_size(os, SEG1);
    assert_int_equal(os_sim_flip(os, SEG1, end - 20, 3), E_OK);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(open_as(os, false, false, &l, &rep), E_CORRUPT);
        assert_true(rep.lost_from == kept + 1 && rep.lost_to == last && strstr(rep.where, "offset "));
        assert_int_equal(file_size(os, SEG1), size);
    }
    for (int again = 0; again < 2; again++) { /* until somebody fills the log up to where it was, nobody may go on as if nothing were missing */
        assert_int_equal(open_as(os, true, false, &l, &rep), E_OK);
        assert_true(seglog_last_seq(l) == kept && rep.lost_from == kept + 1 && rep.lost_to == last && rep.durable == last);
        work_check_all(l);
        if (again) assert_int_equal(work_append(l, last, 1), E_OK);
        seglog_close(&l);
        assert_int_equal(open_as(os, false, false, &l, &rep), again ? E_OK : E_CORRUPT);
    }
    work_check_all(l);
    seglog_close(&l);
    os_free(&os);
}

static void test_lost_end(void **state)
{
    lose_end(30, 26);
    lose_end(31, 30); /* a single node */
}

/* A commit of which the last record is missing is no commit, even when the space goes on. */
static void test_half_commit(void **state)
{
    struct os *os = small_store(10);
    struct seglog *l;
    struct seglog_report rep;
    struct buf b = {0};
    uint64_t end = log_bytes(os);
    struct os_file *f;
    for (uint64_t seq = 11; seq <= 15; seq++) work_add(&b, seq); /* 11, 12-13, and two of 14-16 */
    assert_int_equal(os_open(os, SEG1, OS_WRITE, &f), E_OK);
    assert_int_equal(os_write(os, f, end, b.p, b.n), E_OK);
    os_close(os, &f);
    for (int salvage = 1; salvage >= 0; salvage--) {
        assert_int_equal(open_as(os, salvage, salvage, &l, &rep), E_OK);
        assert_int_equal(seglog_last_seq(l), 13);
        work_check_all(l);
        seglog_close(&l);
    }
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(seglog_last_seq(l), 13);
    assert_int_equal(rep.torn_bytes, 0); /* gone for good */
    seglog_close(&l);
    buf_fini(&b);
    os_free(&os);
}

/* Behind the sync mark a hole with records behind it is a lost write; before it, it is damage. */
static void test_hole(void **state)
{
    for (int durable = 0; durable < 2; durable++) {
        struct os *os = small_store(20);
        struct seglog *l;
        struct seglog_report rep;
        struct os_file *f;
        uint64_t from, seq;
        assert_int_equal(work_open(os, &l, &rep), E_OK);
        from = seglog_bytes(l);
        assert_int_equal(work_append(l, 60, 1), E_OK);
        if (durable) assert_int_equal(seglog_sync(l, &seq), E_OK);
        seglog_close(&l);
        uint8_t zeros[600] = {0};
        assert_int_equal(os_open(os, SEG1, OS_WRITE, &f), E_OK);
        assert_int_equal(os_write(os, f, from, zeros, sizeof zeros), E_OK);
        os_close(os, &f);
        int rc = work_open(os, &l, &rep);
        assert_int_equal(rc, durable ? E_CORRUPT : E_OK);
        if (durable) {
            assert_true(rep.lost_from == 21 && rep.lost_to > 21 && rep.lost_to < 60);
        } else {
            assert_true(seglog_last_seq(l) == 20 && rep.torn_bytes > 600 && rep.lost_from == 0);
            assert_int_equal(work_append(l, 90, 1), E_OK);
            work_check_all(l);
            seglog_close(&l);
        }
        os_free(&os);
    }
}

static void test_sidecars_are_rebuilt(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct os *os = wide_store(1500, true);
        struct seglog *l;
        struct seglog_report rep;
        struct os_file *f;
        if (how == 0) assert_int_equal(os_remove(os, IDX1), E_OK);
        if (how == 1) assert_int_equal(os_sim_flip(os, IDX1, 200, 3), E_OK);
        if (how == 2) {
            assert_int_equal(os_open(os, IDX1, OS_WRITE, &f), E_OK);
            assert_int_equal(os_truncate(os, f, 100), E_OK);
            os_close(os, &f);
        }
        assert_int_equal(open_as(os, false, true, &l, &rep), E_OK);
        assert_int_equal(rep.sidecars_rebuilt, 1);
        work_check_all(l);
        seglog_close(&l);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(work_open(os, &l, &rep), E_OK);
            assert_int_equal(rep.sidecars_rebuilt, !again);
            work_check_all(l);
            seglog_close(&l);
        }
        os_free(&os);
    }
}

/* Segments that were full and not yet sealed when the process went. */
static void test_unsealed_are_sealed(void **state)
{
    struct os *os = wide_store(1500, false);
    struct seglog *l;
    struct seglog_report rep;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_true(rep.sidecars_rebuilt > 1 && rep.lost_from == 0 && rep.torn_bytes == 0);
    work_check_all(l);
    struct seg_info info[64];
    size_t n = seglog_segments(l, info, 64);
    for (size_t i = 0; i < n; i++) assert_int_equal(info[i].sealed, i + 1 < n);
    seglog_close(&l);
    os_free(&os);
}

static void test_damage_in_the_middle(void **state)
{
    struct os *os = wide_store(1500, true);
    struct seglog *l;
    struct seglog_report rep;
    uint64_t there;
    struct buf mem = {0};
    slice raw;
    assert_int_equal(os_sim_flip(os, SEG1, 5000, 3), E_OK);
    /* With a good sidecar it shows when it is read. */
    assert_int_equal(open_as(os, false, true, &l, &rep), E_OK);
    unsigned bad = 0;
    for (uint64_t s = 1; s <= 1500; s++) bad += seglog_read(l, s, &mem, &raw, NULL) == E_CORRUPT;
    assert_int_equal(bad, 1);
    seglog_close(&l);
    /* Without, open reads it all and refuses. */
    assert_int_equal(os_remove(os, IDX1), E_OK);
    assert_int_equal(work_open(os, &l, &rep), E_CORRUPT);
    assert_true(rep.lost_from > 1 && rep.lost_to >= rep.lost_from && rep.lost_to < rep.lost_from + 4);
    assert_non_null(strstr(rep.where, "segment 0000000000000001-0000.seg, offset "));
    uint64_t from = rep.lost_from, to = rep.lost_to;
    assert_int_equal(open_as(os, true, false, &l, &rep), E_OK);
    assert_true(rep.lost_from == from && rep.lost_to == to && seglog_last_seq(l) == 1500);
    check_partial(l, 1500, &there);
    assert_true(there < 1500 && there >= 1496);
    seglog_close(&l);
    /* What a repair decided stays decided. */
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    check_partial(l, 1500, &there);
    assert_true(there >= 1496);
    assert_int_equal(work_append(l, 1600, 1), E_OK);
    seglog_close(&l);
    buf_fini(&mem);
    os_free(&os);
}

static void test_damage_in_the_tail(void **state)
{
    struct os *os = small_store(60);
    struct seglog *l;
    struct seglog_report rep;
    uint64_t there;
    assert_int_equal(os_sim_flip(os, SEG1, 2000, 3), E_OK);
    assert_int_equal(work_open(os, &l, &rep), E_CORRUPT);
    assert_int_equal(open_as(os, true, false, &l, &rep), E_OK);
    assert_int_equal(seglog_last_seq(l), 60);
    check_partial(l, 60, &there);
    assert_true(there >= 56 && there < 60);
    assert_int_equal(work_append(l, 100, 1), E_OK); /* in a new segment */
    seglog_close(&l);
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_true(seglog_last_seq(l) == 100 && seglog_segments(l, NULL, 0) == 2);
    check_partial(l, 100, &there);
    assert_true(there >= 96 && there < 100);
    seglog_close(&l);
    os_free(&os);
}

static void test_nothing_left(void **state)
{
    struct os *os = small_store(10);
    struct seglog *l;
    struct seglog_report rep;
    struct os_file *f;
    assert_int_equal(os_open(os, SEG1, OS_WRITE, &f), E_OK);
    assert_int_equal(os_truncate(os, f, 20), E_OK);
    os_close(os, &f);
    assert_int_equal(work_open(os, &l, &rep), E_CORRUPT);
    assert_int_equal(open_as(os, true, false, &l, &rep), E_OK);
    assert_int_equal(seglog_last_seq(l), 0);
    assert_int_equal(work_append(l, 10, 1), E_OK);
    work_check_all(l);
    seglog_close(&l);
    assert_int_equal(file_size(os, SEG1 ".damaged"), 20); /* kept for a closer look */
    os_free(&os);
}

static void test_missing_and_foreign(void **state)
{
    struct os *os = wide_store(1500, true);
    struct seglog *l;
    struct seglog_report rep;
    struct seg_info info[64];
    char path[128];
    uint64_t there;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    size_t n = seglog_segments(l, info, 64);
    seglog_close(&l);
    assert_true(n > 3);
    snprintf(path, sizeof path, "/store/log/%016llx-0000.seg", (unsigned long long)info[1].id.first_seq);
    assert_int_equal(os_rename(os, path, "/store/away"), E_OK);
    assert_int_equal(work_open(os, &l, &rep), E_CORRUPT);
    assert_true(rep.lost_from == info[1].id.first_seq && rep.lost_to == info[1].last_seq);
    assert_int_equal(open_as(os, true, true, &l, &rep), E_OK);
    check_partial(l, 1500, &there);
    assert_int_equal(there, 1500 - info[1].nodes);
    seglog_close(&l);
    assert_int_equal(os_rename(os, "/store/away", path), E_OK);
    assert_int_equal(os_rename(os, SEG1, "/store/away"), E_OK);
    assert_int_equal(work_open(os, &l, &rep), E_CORRUPT);
    assert_true(rep.lost_from == 1 && rep.lost_to == info[0].last_seq);
    assert_int_equal(os_rename(os, "/store/away", SEG1), E_OK);

    static const uint8_t other[16] = "another store's";
    struct seglog_options o = work_options(os);
    o.store_id = other;
    assert_int_equal(seglog_open(&o, &l, &rep), E_CORRUPT);
    o.salvage = true;
    assert_int_equal(seglog_open(&o, &l, &rep), E_CORRUPT);
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    work_check_all(l);
    seglog_close(&l);
    os_free(&os);
}

/* Names that are no part of the log are removed when they are ours, and left alone when not; only after all the rest was in order. */
static void test_leftovers(void **state)
{
    struct os *os = wide_store(1500, true);
    struct seglog *l;
    struct seglog_report rep;
    static const char *const gone[] = {"/store/log/0000000000000001-0001.seg", "/store/log/0000000000000001-0001.idx",
                                       "/store/log/next.tmp", "/store/log/0000000000000001-0000.idx.tmp",
                                       "/store/log/0000000000000007-0000.idx"};
    static const char *const kept[] = {"/store/log/notes.txt", "/store/log/0000000000000001-0000.seg.damaged"};
    struct os_file *f;
    for (int i = 0; i < 5; i++) assert_int_equal(os_open(os, gone[i], OS_WRITE, &f), E_OK), os_close(os, &f);
    for (int i = 0; i < 2; i++) assert_int_equal(os_open(os, kept[i], OS_WRITE, &f), E_OK), os_close(os, &f);
    assert_int_equal(open_as(os, false, true, &l, &rep), E_OK);
    seglog_close(&l);
    for (int i = 0; i < 5; i++) assert_int_equal(file_size(os, gone[i]), 0);
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    work_check_all(l);
    seglog_close(&l);
    for (int i = 0; i < 5; i++) assert_int_equal(os_open(os, gone[i], OS_READ, &f), E_NOTFOUND);
    for (int i = 0; i < 2; i++) assert_int_equal(file_size(os, kept[i]), 0);
    os_free(&os);
}

static void test_read_only_writes_nothing(void **state)
{
    struct os *os = wide_store(1500, false);
    struct seglog *l;
    struct seglog_report rep;
    uint64_t events = os_sim_events(os);
    assert_int_equal(open_as(os, false, true, &l, &rep), E_OK);
    work_check_all(l);
    seglog_close(&l);
    struct os *empty = os_sim_new(1);
    assert_int_equal(open_as(empty, false, true, &l, &rep), E_OK);
    assert_int_equal(seglog_last_seq(l), 0);
    work_check_all(l);
    seglog_close(&l);
    assert_int_equal(os_sim_events(empty), 0);
    assert_int_equal(os_sim_events(os), events);
    os_free(&empty);
    os_free(&os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flip_everywhere),
        cmocka_unit_test(test_dirt_behind_the_end),
        cmocka_unit_test(test_truncate_everywhere),
        cmocka_unit_test(test_lost_end),
        cmocka_unit_test(test_half_commit),
        cmocka_unit_test(test_hole),
        cmocka_unit_test(test_cut_where_none_can_be),
        cmocka_unit_test(test_sidecars_are_rebuilt),
        cmocka_unit_test(test_unsealed_are_sealed),
        cmocka_unit_test(test_damage_in_the_middle),
        cmocka_unit_test(test_damage_in_the_tail),
        cmocka_unit_test(test_nothing_left),
        cmocka_unit_test(test_missing_and_foreign),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_read_only_writes_nothing),
    };
    log_set_level(LOG_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
