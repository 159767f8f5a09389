/* Lines of valid time against brute force over every instant. */
#include "modules/doc/timeline_line.h"
#include "support/json_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define INSTANTS 40

static void by_hand(void **state)
{
    (void)state;
    struct line l;
    line_init(&l, INT64_MIN, INT64_MAX);
    assert_true(line_cover(&l, 10, 20, 3));
    assert_true(line_cover(&l, 15, 30, 0));
    assert_true(line_cover(&l, INT64_MIN, INT64_MAX, 1));
    assert_true(line_is_full(&l));
    assert_true(line_cover(&l, 0, 5, 9));
    line_sort(&l);
    assert_int_equal(l.n_rows, 3);
    assert_true(l.row[0].from == INT64_MIN && l.row[0].to == 10 && l.row[0].seq == 1);
    assert_true(l.row[1].from == 10 && l.row[1].to == 20 && l.row[1].seq == 3);
    assert_true(l.row[2].from == 30 && l.row[2].to == INT64_MAX && l.row[2].seq == 1);
    line_fini(&l);
}

static void one_line(struct rng *r)
{
    struct line l;
    uint64_t answer[INSTANTS] = {0};
    bool covered[INSTANTS] = {false};
    int64_t lo = rng_below(r, INSTANTS / 2), hi = lo + 1 + rng_below(r, INSTANTS / 2);
    unsigned versions = rng_below(r, 30);
    line_init(&l, lo, hi);
    for (uint64_t seq = 1000; versions-- > 0; seq--) {
        int64_t from = rng_below(r, INSTANTS), to = from + 1 + rng_below(r, 8);
        bool hole = rng_below(r, 4) == 0;
        if (rng_below(r, 10) == 0) from = INT64_MIN;
        if (rng_below(r, 10) == 0) to = INT64_MAX;
        assert_true(line_cover(&l, from, to, hole ? 0 : seq));
        for (int64_t t = lo; t < hi; t++) {
            if (covered[t] || t < from || t >= to) continue;
            covered[t] = true;
            answer[t] = hole ? 0 : seq;
        }
    }
    line_sort(&l);
    int64_t t = lo;
    bool full = true;
    for (size_t i = 0; i < l.n_rows; i++) {
        assert_true(l.row[i].from < l.row[i].to && l.row[i].to <= hi);
        for (; t < l.row[i].from; t++) assert_int_equal(answer[t], 0);
        for (; t < l.row[i].to; t++) assert_int_equal(answer[t], l.row[i].seq);
        if (i) assert_true(l.row[i - 1].to < l.row[i].from || l.row[i - 1].seq != l.row[i].seq); /* maximal */
    }
    for (; t < hi; t++) assert_int_equal(answer[t], 0);
    for (t = lo; t < hi; t++) full = full && covered[t];
    assert_int_equal(full, line_is_full(&l));
    line_fini(&l);
}

static void as_brute_force(void **state)
{
    (void)state;
    struct rng r = {7};
    for (int i = 0; i < 20000; i++) one_line(&r);
}

static void bounded(void **state)
{
    (void)state;
    struct line l;
    line_init(&l, 0, INT64_MAX);
    bool more = true;
    int64_t i = 0;
    for (; more && i < 2 * LINE_GAPS_MAX; i++) more = line_cover(&l, 2 * i + 1, 2 * i + 2, 0);
    assert_false(more);
    assert_int_equal(l.n_gaps, LINE_GAPS_MAX);
    line_fini(&l);
    line_init(&l, 0, INT64_MAX);
    for (i = 0, more = true; more; i++) more = line_cover(&l, i, i + 1, (uint64_t)i + 1);
    assert_int_equal(l.n_rows, LINE_ROWS_MAX);
    line_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(as_brute_force), cmocka_unit_test(bounded)};
    return cmocka_run_group_tests_name("doc_timeline_line", tests, NULL, NULL);
}
