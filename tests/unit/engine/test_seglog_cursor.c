/* The cursor: any start, the end and beyond, and damage that it must not walk over. */
#include "logwork.h"

#include "base/codec.h"
#include "engine/segment.h"

static void test_any_start(void **state)
{
    struct os *os = os_memory_new();
    struct seglog *l;
    struct seglog_report rep;
    struct seglog_cursor *c;
    slice raw;
    bool more;
    uint64_t seq;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(work_append(l, 1200, 2), E_OK);
    for (int sealed = 0; sealed < 2; sealed++) {
        for (uint64_t from = 1; from <= 1200; from++) {
            assert_int_equal(seglog_cursor_open(l, from, &c), E_OK);
            for (uint64_t k = from; k < from + 3 && k <= 1200; k++) {
                assert_int_equal(seglog_cursor_next(c, &seq, &raw, &more), E_OK);
                assert_true(seq == k && work_is(k, raw) && more == (k != work_commit_last(k)));
            }
            seglog_cursor_close(&c);
        }
        work_background(l);
    }
    assert_int_equal(seglog_cursor_open(l, 1205, &c), E_OK); /* beyond the end: waits for it */
    assert_int_equal(seglog_cursor_next(c, &seq, &raw, &more), E_END);
    assert_int_equal(work_append(l, 1210, 2), E_OK);
    assert_int_equal(seglog_cursor_next(c, &seq, &raw, &more), E_OK);
    assert_int_equal(seq, 1205);
    seglog_cursor_close(&c);
    seglog_close(&l);
    os_free(&os);
}

/* While it holds the next record, what it lent before stays. */
static void test_lends_until_the_buffer_ends(void **state)
{
    enum { N = 1200 };
    struct os *os = os_memory_new();
    struct seglog *l;
    struct seglog_report rep;
    struct seglog_cursor *c;
    slice raw[N + 1];
    bool more;
    uint64_t seq, from = 1, groups = 0;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(work_append(l, N, 2), E_OK);
    assert_int_equal(seglog_cursor_open(l, 1, &c), E_OK);
    assert_false(seglog_cursor_holds(c));
    for (uint64_t k = 1; k <= N; k++) {
        assert_int_equal(seglog_cursor_next(c, &seq, &raw[k], &more), E_OK);
        assert_int_equal(seq, k);
        if (seglog_cursor_holds(c)) continue;
        for (; from <= k; from++) assert_true(work_is(from, raw[from]));
        groups++;
    }
    assert_true(from == N + 1 && groups < N / 10);
    assert_int_equal(seglog_cursor_next(c, &seq, &raw[0], &more), E_END);
    seglog_cursor_close(&c);
    seglog_close(&l);
    os_free(&os);
}

/* Damage stops it with the reason, and stops it again: nothing is skipped. */
static void test_stops_at_damage(void **state)
{
    struct os *os = os_sim_new(1);
    struct seglog *l;
    struct seglog_report rep;
    struct seglog_cursor *c;
    slice raw;
    bool more;
    uint64_t seq, next = 1;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(work_append(l, 1200, 2), E_OK);
    work_background(l);
    assert_int_equal(os_sim_flip(os, "/store/log/0000000000000001-0000.seg", 9000, 1), E_OK);
    assert_int_equal(seglog_cursor_open(l, 1, &c), E_OK);
    int rc;
    while ((rc = seglog_cursor_next(c, &seq, &raw, &more)) == E_OK) assert_int_equal(seq, next++);
    assert_int_equal(rc, E_CORRUPT);
    assert_true(next > 10 && next < 200);
    assert_int_equal(seglog_cursor_next(c, &seq, &raw, &more), E_CORRUPT);
    seglog_cursor_close(&c);
    os_sim_set(os, &(struct os_sim_faults){.fail_read_at = 1});
    assert_int_equal(seglog_cursor_open(l, 900, &c), E_OK);
    rc = seglog_cursor_next(c, &seq, &raw, &more);
    assert_true(rc == E_IO);
    assert_int_equal(seglog_cursor_next(c, &seq, &raw, &more), E_OK); /* a passing error passes */
    assert_int_equal(seq, 900);
    seglog_cursor_close(&c);
    seglog_close(&l);
    os_free(&os);
}

/* A lazy one walks over damage inside a record; the check finds it, and nothing but it. */
static void test_lazy_leaves_checks_to_the_caller(void **state)
{
    struct os *os = os_sim_new(1);
    struct seglog *l;
    struct seglog_report rep;
    struct seglog_cursor *c;
    slice raw;
    bool more;
    uint64_t seq, next = 1, wrong = 0;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(work_append(l, 1200, 2), E_OK);
    work_background(l);
    assert_int_equal(seglog_cursor_open(l, 1, &c), E_OK);
    seglog_cursor_lazy(c);
    for (uint64_t k = 1; k <= 1200; k++) {
        assert_int_equal(seglog_cursor_next(c, &seq, &raw, &more), E_OK);
        assert_true(seq == k && work_is(k, raw) && more == (k != work_commit_last(k)));
        assert_int_equal(seglog_cursor_check(c, seq, raw), E_OK);
    }
    seglog_cursor_close(&c);
    const char *file = "/store/log/0000000000000001-0000.seg";
    struct os_file *f;
    uint8_t word[4];
    assert_int_equal(os_open(os, file, 0, &f), E_OK);
    assert_int_equal(os_read_full(os, f, SEGMENT_HEADER_BYTES, word, 4), E_OK);
    os_close(os, &f);
    /* the last byte of the first record's node: in its payload or its key */
    assert_int_equal(os_sim_flip(os, file, SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES + (get_u32(word) & ~RECORD_MORE) - 1, 1),
                     E_OK);
    assert_int_equal(seglog_cursor_open(l, 1, &c), E_OK);
    seglog_cursor_lazy(c);
    for (; next <= 1200; next++) {
        assert_int_equal(seglog_cursor_next(c, &seq, &raw, &more), E_OK);
        assert_int_equal(seq, next);
        int rc = seglog_cursor_check(c, seq, raw);
        assert_int_equal(rc, seq == 1 ? E_CORRUPT : E_OK);
        wrong += rc == E_CORRUPT;
    }
    assert_int_equal(wrong, 1);
    seglog_cursor_close(&c);
    seglog_close(&l);
    os_free(&os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_start), cmocka_unit_test(test_lends_until_the_buffer_ends),
                                       cmocka_unit_test(test_stops_at_damage),
                                       cmocka_unit_test(test_lazy_leaves_checks_to_the_caller)};
    log_set_level(LOG_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
