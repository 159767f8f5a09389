/* Compaction's side of the log: what is kept, commits after losing members, installing beside readers, crashes at every step. */
#include "logwork.h"

#define MANIFEST "manifest"

static bool keep_some(void *ctx, uint64_t seq)
{
    return work_mix(seq * 3 + *(uint64_t *)ctx) % 3 != 0;
}
static bool keep_none(void *ctx, uint64_t seq)
{
    return false;
}
static bool stop_now(void *ctx)
{
    return true;
}

static int rewrite(struct seglog *l, uint64_t first, uint64_t last, bool (*keep)(void *ctx, uint64_t seq), uint64_t *seed, bool (*stop)(void *ctx),
                   struct seg_rewrite *out)
{
    const struct seg_rewrite_options o = {.first_seq = first, .last_seq = last, .keep = keep, .cancelled = stop, .ctx = seed};
    return seglog_rewrite(l, &o, out);
}

static uint64_t newest_kept(uint64_t seed, uint64_t seq)
{
    uint64_t last = 0;
    for (uint64_t k = work_commit_first(seq); k <= work_commit_last(seq); k++)
        if (keep_some(&seed, k)) last = k;
    return last;
}

static bool is_there(uint64_t seed, uint64_t through, uint64_t seq)
{
    return seq > through || keep_some(&seed, seq);
}

/* Below and above are the nearest ones left, or 0 where the segment begins or ends before. */
static void check_around(struct seglog *l, uint64_t seed, uint64_t through, uint64_t seq, uint64_t below, uint64_t above)
{
    uint64_t down = seq, up = seq, last = seglog_last_seq(l);
    bool whole;
    while (down > 0 && !is_there(seed, through, down)) down--;
    while (up <= last && !is_there(seed, through, up)) up++;
    if (below || down >= work_commit_first(seq)) assert_int_equal(below, down);
    if (above || up <= work_commit_last(seq)) assert_int_equal(above, up);
    assert_int_equal(seglog_whole(l, seq, work_commit_last(seq), &whole), E_OK);
    for (up = seq; up <= work_commit_last(seq) && is_there(seed, through, up); up++) {}
    assert_int_equal(whole, up > work_commit_last(seq));
}

/* Seqs 1 … through were rewritten with keep_some(seed), the rest is whole. */
static void check_compacted(struct seglog *l, uint64_t seed, uint64_t through)
{
    struct buf mem = {0};
    struct seglog_cursor *c;
    slice raw;
    bool more, again;
    uint64_t got;
    assert_int_equal(seglog_cursor_open(l, 1, &c), E_OK);
    for (uint64_t seq = 1; seq <= seglog_last_seq(l); seq++) {
        int rc = seglog_read(l, seq, &mem, &raw, &more);
        uint64_t cut, below, above;
        assert_int_equal(seglog_more(l, seq, &again), rc);
        assert_int_equal(seglog_rest(l, seq, &again, &cut), rc);
        assert_int_equal(seglog_around(l, seq, &below, &above), E_OK);
        check_around(l, seed, through, seq, below, above);
        if (seq <= through && !keep_some(&seed, seq)) {
            assert_int_equal(rc, E_PRUNED);
            continue;
        }
        assert_int_equal(rc, E_OK);
        assert_true(work_is(seq, raw) && more == again);
        assert_int_equal(more, seq != (seq <= through ? newest_kept(seed, seq) : work_commit_last(seq)));
        assert_int_equal(cut, more ? 0 : work_commit_last(seq) - seq);
        assert_int_equal(seglog_cursor_next(c, &got, &raw, &again), E_OK);
        assert_true(got == seq && again == more && work_is(seq, raw));
        assert_int_equal(seglog_cursor_cut(c), cut);
    }
    assert_int_equal(seglog_cursor_next(c, &got, &raw, &again), E_END);
    seglog_cursor_close(&c);
    /* from the middle, too: the first one there is */
    for (uint64_t from = 1; from <= through; from += 17 * WORK_STEP) {
        uint64_t want = from;
        while (want <= through && !keep_some(&seed, want)) want++;
        assert_int_equal(seglog_cursor_open(l, from, &c), E_OK);
        assert_int_equal(seglog_cursor_next(c, &got, &raw, &again), want <= seglog_last_seq(l) ? E_OK : E_END);
        if (want <= seglog_last_seq(l)) assert_int_equal(got, want);
        seglog_cursor_close(&c);
    }
    buf_fini(&mem);
}

/* ---- a manifest of our own: the list of segments, replaced as a whole ---- */

static int save_list(struct os *os, struct seglog *l, const struct seg_rewrite *instead)
{
    struct seg_info info[64];
    struct seg_id id[64] = {0};
    size_t n = seglog_segments(l, info, 64), k = 0;
    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++) {
        if (instead && info[i].id.first_seq == instead->id.first_seq) id[k++] = instead->id;
        if (!instead || info[i].id.first_seq < instead->id.first_seq || info[i].id.first_seq > instead->last_seq)
            id[k++] = info[i].id;
    }
    return os_replace_file(os, "/store", MANIFEST, slice_of(id, k * sizeof *id));
}

static int open_listed(struct os *os, struct seglog **l, struct seglog_report *rep)
{
    struct buf b = {0};
    struct seg_id id[64];
    struct seglog_options o = work_options(os);
    int rc = os_read_file(os, "/store/" MANIFEST, sizeof id, &b);
    assert_true(rc == E_OK || rc == E_NOTFOUND);
    if (b.n) memcpy(id, b.p, b.n);
    o.installed = id;
    o.n_installed = b.n / sizeof *id;
    if (o.n_installed) o.first_unlisted_seq = id[o.n_installed - 1].first_seq + 1;
    buf_fini(&b);
    return seglog_open(&o, l, rep);
}

static uint64_t rewrite_all(struct os *os, struct seglog *l, uint64_t seed, uint64_t *through)
{
    struct seg_info info[64];
    struct seg_rewrite rw;
    size_t n = seglog_segments(l, info, 64), kept = 0;
    assert_true(n > 2);
    *through = info[n - 2].last_seq;
    for (uint64_t s = 1; s <= *through; s++) kept += keep_some(&seed, s);
    assert_int_equal(rewrite(l, 1, *through, keep_some, &seed, NULL, &rw), E_OK);
    assert_true(rw.nodes == kept && rw.last_seq == *through && rw.bytes_after < rw.bytes_before && rw.id.compacted);
    assert_int_equal(save_list(os, l, &rw), E_OK);
    assert_int_equal(seglog_install(l, &rw), E_OK);
    return kept;
}

static void test_rewrite_and_install(void **state)
{
    struct os *os = os_memory_new();
    struct seglog *l;
    struct seglog_report rep;
    struct seglog_cursor *old;
    uint64_t through, again, seq, seed = 5;
    slice raw;
    bool more;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(work_append(l, 2500, 3), E_OK);
    work_background(l);
    assert_int_equal(seglog_cursor_open(l, 1, &old), E_OK);
    assert_int_equal(seglog_cursor_next(old, &seq, &raw, &more), E_OK);
    rewrite_all(os, l, seed, &through);
    check_compacted(l, seed, through);
    struct seg_info info[8];
    assert_int_equal(seglog_segments(l, info, 8), 2);
    assert_true(info[0].id.compacted && info[0].id.generation == 1 && info[0].last_seq == through &&
                info[1].id.first_seq == through + 1);
    /* A cursor from before reads its old segment to the end and goes on in the new ones. */
    uint64_t behind = 1, whole = 0;
    int rc;
    while ((rc = seglog_cursor_next(old, &seq, &raw, &more)) == E_OK) {
        assert_true(seq > behind && work_is(seq, raw));
        whole += seq == behind + 1;
        behind = seq;
    }
    assert_true(rc == E_END && behind == 2500 && whole > 200);
    seglog_cursor_close(&old);
    seglog_close(&l);
    assert_int_equal(open_listed(os, &l, &rep), E_OK);
    assert_int_equal(rep.sidecars_rebuilt, 0);
    check_compacted(l, seed, through);
    /* Again, over the compacted one: a new generation. */
    assert_int_equal(work_append(l, 4000, 3), E_OK);
    assert_int_equal(seglog_roll(l), E_OK);
    again = through;
    rewrite_all(os, l, seed, &through);
    assert_true(through == 4000 && again < through);
    check_compacted(l, seed, through);
    assert_int_equal(seglog_segments(l, info, 8), 2);
    assert_int_equal(info[0].id.generation, 2);
    seglog_close(&l);
    assert_int_equal(open_listed(os, &l, &rep), E_OK);
    check_compacted(l, seed, through);
    seglog_close(&l);
    os_free(&os);
}

static void test_lost_sidecar_of_compacted(void **state)
{
    struct os *os = os_sim_new(1);
    struct seglog *l;
    struct seglog_report rep;
    struct os_file *f;
    uint64_t through, size, seed = 8;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(work_append(l, 2500, 3), E_OK);
    work_background(l);
    rewrite_all(os, l, seed, &through);
    seglog_close(&l);
    assert_int_equal(os_remove(os, "/store/log/0000000000000001-0001.idx"), E_OK);
    assert_int_equal(open_listed(os, &l, &rep), E_OK);
    assert_int_equal(rep.sidecars_rebuilt, 1);
    check_compacted(l, seed, through);
    seglog_close(&l);
    /* Cut at the border of a record: the header knows how many there were. */
    assert_int_equal(os_open(os, "/store/log/0000000000000001-0001.seg", OS_WRITE, &f), E_OK);
    assert_int_equal(os_size(os, f, &size), E_OK);
    struct buf b = {0};
    uint64_t last = through;
    while (!keep_some(&seed, last)) last--;
    work_add(&b, last);
    if (last < work_commit_last(last)) buf_add(&b, "cut!", RECORD_CUT_BYTES);
    assert_int_equal(os_truncate(os, f, size - b.n), E_OK);
    os_close(os, &f);
    buf_fini(&b);
    assert_int_equal(open_listed(os, &l, &rep), E_CORRUPT);
    assert_true(rep.lost_from > 1 && rep.lost_to == through);
    os_free(&os);
}

static void test_none_kept_discard_cancel_invalid(void **state)
{
    struct os *os = os_memory_new();
    struct seglog *l;
    struct seglog_report rep;
    struct seg_info info[64];
    struct seg_rewrite rw;
    struct buf mem = {0};
    slice raw;
    uint64_t seed = 1;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(work_append(l, 1500, 3), E_OK);
    work_background(l);
    size_t n = seglog_segments(l, info, 64);
    assert_true(n > 2);
    assert_int_equal(rewrite(l, 2, info[0].last_seq, keep_some, &seed, NULL, &rw), E_INVALID);
    assert_int_equal(rewrite(l, 1, info[0].last_seq - 1, keep_some, &seed, NULL, &rw), E_INVALID);
    assert_int_equal(rewrite(l, 1, 1500, keep_some, &seed, NULL, &rw), E_INVALID); /* the tail is not sealed */
    assert_int_equal(rewrite(l, 1, info[0].last_seq, keep_some, &seed, stop_now, &rw), E_CANCELLED);
    assert_int_equal(rewrite(l, 1, info[0].last_seq, keep_some, &seed, NULL, &rw), E_OK);
    seglog_discard(l, &rw);
    work_check_all(l);
    struct os_file *f;
    assert_int_equal(os_open(os, "/store/log/0000000000000001-0001.seg", OS_READ, &f), E_NOTFOUND);
    assert_int_equal(rewrite(l, 1, info[1].last_seq, keep_none, NULL, NULL, &rw), E_OK);
    assert_int_equal(rw.nodes, 0);
    assert_int_equal(save_list(os, l, &rw), E_OK);
    assert_int_equal(seglog_install(l, &rw), E_OK);
    for (int again = 0; again < 2; again++) {
        for (uint64_t s = 1; s <= 1500; s++)
            assert_int_equal(seglog_read(l, s, &mem, &raw, NULL), s <= info[1].last_seq ? E_PRUNED : E_OK);
        seglog_close(&l);
        assert_int_equal(open_listed(os, &l, &rep), E_OK);
    }
    seglog_close(&l);
    buf_fini(&mem);
    os_free(&os);
}

struct seen {
    uint64_t seed, last, n, fail_at;
};
static bool keep_seen(void *ctx, uint64_t seq)
{
    struct seen *s = ctx;
    return keep_some(&s->seed, seq);
}
static int see(void *ctx, size_t n, const uint64_t *seq, const slice *raw)
{
    struct seen *s = ctx;
    assert_true(n > 0 && n <= SEG_REWRITE_GROUP);
    for (size_t i = 0; i < n; i++) {
        struct node node;
        assert_true(seq[i] > s->last && keep_some(&s->seed, seq[i]));
        assert_int_equal(node_decode(raw[i], &node), E_OK);
        assert_int_equal(node.seq, seq[i]);
        s->last = seq[i];
        s->n++;
    }
    return s->fail_at && s->last >= s->fail_at ? E_CORRUPT : E_OK;
}

/* Every kept node is shown once, in order, as it will be written; what the check does not like is not kept. */
static void test_check(void **state)
{
    struct os *os = os_memory_new();
    struct seglog *l;
    struct seglog_report rep;
    struct seg_info info[64];
    struct seg_rewrite rw;
    struct os_file *f = NULL;
    struct seen seen = {.seed = 3, .fail_at = 700};
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(work_append(l, 1500, 3), E_OK);
    work_background(l);
    size_t n = seglog_segments(l, info, 64);
    struct seg_rewrite_options o = {.first_seq = 1, .last_seq = info[n - 2].last_seq, .keep = keep_seen, .check = see, .ctx = &seen};
    assert_true(n > 2 && o.last_seq > 700);
    assert_int_equal(seglog_rewrite(l, &o, &rw), E_CORRUPT);
    assert_true(seen.last < 704 + 3 * SEG_REWRITE_GROUP);
    assert_int_equal(os_open(os, "/store/log/0000000000000001-0001.seg", OS_READ, &f), E_NOTFOUND);
    seen = (struct seen){.seed = 3};
    assert_int_equal(seglog_rewrite(l, &o, &rw), E_OK);
    assert_int_equal(seen.n, rw.nodes);
    seglog_discard(l, &rw);
    seglog_close(&l);
    os_free(&os);
}

/* Append, seal, rewrite, list, install, with the power going at every event: always the old state or the new one. */
static void crash_once(uint64_t at, uint64_t seed, uint64_t *events)
{
    struct os *os = os_sim_new(seed);
    struct seglog *l;
    struct seglog_report rep;
    struct seg_info info[64];
    struct seg_rewrite rw;
    uint64_t seq, through;
    bool more, listed = false;
    assert_int_equal(work_open(os, &l, &rep), E_OK);
    assert_int_equal(os_sync_dir(os, "/"), E_OK);
    assert_int_equal(work_append(l, 900, 3), E_OK);
    assert_int_equal(seglog_sync(l, &seq), E_OK);
    uint64_t before = os_sim_events(os);
    os_sim_set(os, &(struct os_sim_faults){.crash_at = at ? before + at : 0, .seed = seed * 31 + at, .process_only = seed == 2});
    int rc = seglog_roll(l);
    size_t n = seglog_segments(l, info, 64);
    through = info[n - 2].last_seq;
    if (rc == E_OK) rc = rewrite(l, 1, through, keep_some, &seed, NULL, &rw);
    if (rc == E_OK) rc = work_append(l, 950, 3);
    if (rc == E_OK) rc = seglog_sync(l, &seq);
    if (rc == E_OK) rc = save_list(os, l, &rw);
    if (rc == E_OK) listed = true;
    if (rc == E_OK) rc = seglog_install(l, &rw);
    seglog_close(&l);
    *events = os_sim_events(os) - before;
    os_sim_reboot(os);
    os_sim_set(os, &(struct os_sim_faults){0});
    for (int again = 0; again < 2; again++) {
        rc = open_listed(os, &l, &rep);
        if (rc) print_error("crash at %llu seed %llu: %s\n", (unsigned long long)at, (unsigned long long)seed, rep.where);
        assert_int_equal(rc, E_OK);
        assert_true(seglog_last_seq(l) >= seq && rep.lost_from == 0);
        bool done = false;
        for (uint64_t s = 1; s <= through && !done; s++) done = seglog_more(l, s, &more) == E_PRUNED;
        assert_true(done || !listed);
        if (done)
            check_compacted(l, seed, through);
        else
            work_check_all(l);
        seglog_close(&l);
    }
    os_free(&os);
}

static void test_crash_everywhere(void **state)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint64_t events, reached;
        crash_once(0, seed, &events);
        for (uint64_t at = 1 + seed % WORK_STEP; at <= events; at += WORK_STEP) crash_once(at, seed, &reached);
        assert_true(events > 15);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_rewrite_and_install),
        cmocka_unit_test(test_lost_sidecar_of_compacted),
        cmocka_unit_test(test_none_kept_discard_cancel_invalid),
        cmocka_unit_test(test_crash_everywhere),
    };
    log_set_level(LOG_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
