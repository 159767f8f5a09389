#include "base/os_sim.h"
#include "unit/keyspace/keyspace_fixture.h"

static void test_a_batch_is_one_commit(void **state)
{
    struct fixture *f = *state;
    uint64_t first, last;
    struct node n;
    struct buf mem = {0};
    put(f, "a", "0");
    ks_begin(&f->c);
    assert_true(ks_in_batch(&f->c));
    put(f, "a", "1");
    put(f, "a", "2");
    put(f, "b", "3");
    assert_value(f, "a", "2"); /* the batch sees what it wrote */
    ks_check(f->ks);
    assert_int_equal(ks_commit(&f->c), E_OK);
    assert_false(ks_in_batch(&f->c));
    assert_value(f, "a", "2");
    struct version v = newest(f, "a");
    assert_int_equal(v.ver, 3);
    assert_int_equal(engine_read(f->e, v.seq, &mem, &n), E_OK);
    assert_int_equal(n.prev, v.seq - 1); /* two writes of one key follow each other */
    assert_int_equal(engine_commit_of(f->e, v.seq, &first, &last), E_OK);
    assert_int_equal(last - first, 2);
    assert_int_equal(f->c.nodes, 4);
    buf_fini(&mem);
    assert_counts_agree(f);
}

static void test_a_batch_shows_its_nodes(void **state)
{
    struct fixture *f = *state;
    struct node n;
    slice raw, a = slice_str("a"), b = slice_str("b");
    put(f, "a", "0");
    assert_int_equal(ks_batch_node(&f->c, a, &n, &raw), E_NOTFOUND);
    ks_begin(&f->c);
    assert_int_equal(ks_batch_node(&f->c, a, &n, &raw), E_NOTFOUND); /* of an older commit */
    assert_int_equal(ks_batch_node(&f->c, b, &n, &raw), E_NOTFOUND);
    put(f, "a", "1");
    put(f, "a", "2");
    assert_int_equal(ks_batch_node(&f->c, a, &n, &raw), E_OK);
    assert_int_equal(n.ver, 3);
    assert_true(n.op == NODE_PUT && slice_eq(n.payload, slice_str("2")));
    uint64_t seq = n.seq;
    size_t bytes = raw.n;
    assert_int_equal(ks_delete(&f->c, a, NULL), E_OK);
    assert_int_equal(ks_batch_node(&f->c, a, &n, &raw), E_OK);
    assert_true(n.op == NODE_DELETE && n.seq == seq + 1 && n.ver == 4);
    put(f, "b", "1");
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    assert_int_equal(ks_batch_node(&f->c, b, &n, &raw), E_OK); /* a flush hides versions, it writes none */
    assert_true(n.op == NODE_PUT && n.ver == 1);
    put(f, "a", "2");
    assert_int_equal(ks_batch_node(&f->c, a, &n, &raw), E_OK);
    assert_int_equal(n.seq, f->c.last_seq);
    assert_int_equal(raw.n, bytes);
    assert_int_equal(ks_commit(&f->c), E_OK);
    assert_int_equal(ks_batch_node(&f->c, a, &n, &raw), E_NOTFOUND);
}

static void test_an_empty_batch_writes_nothing(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "0");
    uint64_t seq = f->c.last_seq, end = f->c.end;
    ks_begin(&f->c);
    assert_value(f, "a", "0");
    assert_int_equal(ks_commit(&f->c), E_OK);
    assert_int_equal(f->c.last_seq, seq);
    assert_int_equal(f->c.end, end);
}

/* Nor of databases that changed places, nor of tokens. */
static void test_an_abort_takes_swaps_and_tokens_back(void **state)
{
    struct fixture *f = *state;
    struct buf refs = {0};
    struct ks_write w = {.idem = S("token"), .want_hash = true};
    put(f, "a", "0");
    ks_begin(&f->c);
    assert_int_equal(ks_put(&f->c, S("b"), TYPE_STRING, S("1"), &w), E_OK);
    assert_int_equal(ks_token_nodes(&f->c, S("token"), ENGINE_TOKEN_WINDOW_MS, &refs), E_OK);
    assert_int_equal(ks_swap(&f->c, 0, 2), E_OK);
    assert_absent(f, "a");
    ks_abort(&f->c);
    assert_value(f, "a", "0");
    assert_absent(f, "b");
    ks_begin(&f->c);
    assert_int_equal(ks_token_nodes(&f->c, S("token"), ENGINE_TOKEN_WINDOW_MS, &refs), E_NOTFOUND);
    ks_abort(&f->c);
    assert_int_equal(ks_count(&f->c, 0, NULL), 1);
    assert_int_equal(ks_count(&f->c, 2, NULL), 0);
    buf_fini(&refs);
}

static void test_a_batch_may_flush_what_it_wrote(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "old");
    put(f, "c", "old");
    ks_begin(&f->c);
    put(f, "a", "1");
    put(f, "b", "1");
    assert_int_equal(ks_flush(&f->c, -1), E_OK);
    assert_absent(f, "a");
    assert_absent(f, "c");
    put(f, "a", "2");
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    put(f, "b", "2");
    ks_check(f->ks);
    assert_int_equal(ks_commit(&f->c), E_OK);
    assert_absent(f, "a");
    assert_value(f, "b", "2");
    assert_int_equal(newest(f, "a").ver, 3);
    assert_int_equal(newest(f, "b").ver, 2);
    put(f, "a", "3");
    assert_int_equal(newest(f, "a").ver, 4);
    assert_counts_agree(f);
    fixture_reopen(f);
    assert_value(f, "a", "3");
    assert_value(f, "b", "2");
}

static void test_meta_of_a_cold_key_can_be_read_inside_the_batch(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "value");
    ks_drop_cache(&f->c);
    ks_begin(&f->c);
    assert_int_equal(ks_set_expiry(&f->c, S("a"), f->c.now_ms + 1000), E_OK);
    assert_value(f, "a", "value");
    assert_int_equal(ks_commit(&f->c), E_OK);
}

struct before {
    uint64_t keys, expiring, seq;
};

static struct before books(struct fixture *f)
{
    struct before b = {.seq = f->c.last_seq};
    b.keys = ks_count(&f->c, 0, &b.expiring);
    return b;
}

/* A log that has failed refuses the commit: everything is as before begin. */
static void test_a_commit_that_fails_puts_everything_back(void **state)
{
    struct fixture f = {.os = os_sim_new(1)};
    uint64_t len;
    fixture_open(&f);
    put(&f, "a", "1");
    put_until(&f, "b", "2", f.c.now_ms + 100000);
    put(&f, "gone", "x");
    assert_int_equal(ks_delete(&f.c, S("gone"), NULL), E_OK);
    assert_int_equal(engine_sync(f.e, 0), E_OK);
    put(&f, "unwritten", "x");
    os_sim_set(f.os, &(struct os_sim_faults){.fail_write_at = os_sim_events(f.os) + 1});
    struct before was = books(&f);
    ks_begin(&f.c);
    put(&f, "a", "changed");
    put(&f, "a", "changed again");
    put(&f, "new", "n");
    assert_int_equal(ks_splice(&f.c, S("b"), 0, S("spliced"), &len), E_OK);
    assert_int_equal(ks_set_expiry(&f.c, S("b"), 0), E_OK);
    put(&f, "gone", "back");
    assert_int_equal(ks_swap(&f.c, 0, 2), E_OK);
    put(&f, "in two", "x");
    assert_int_equal(ks_swap(&f.c, 0, 2), E_OK);
    assert_int_equal(ks_flush(&f.c, -1), E_OK);
    put(&f, "a", "third");
    assert_int_equal(engine_write_out(f.e, 0) != E_OK, 1); /* fails on the unwritten node, the log is sticky */
    assert_int_equal(ks_commit(&f.c), E_STICKY);
    ks_check(f.ks);
    assert_value(&f, "a", "1");
    assert_value(&f, "b", "2");
    assert_absent(&f, "new");
    assert_absent(&f, "gone");
    assert_int_equal(f.c.last_seq, was.seq);
    struct before now = books(&f);
    assert_int_equal(now.keys, was.keys);
    assert_int_equal(now.expiring, was.expiring);
    assert_int_equal(ks_put(&f.c, S("a"), TYPE_STRING, S("no"), NULL), E_STICKY);
    assert_value(&f, "a", "1");
    assert_value(&f, "unwritten", "x");
    ks_log_failed(&f.c); /* what never reached the log is not shown any more */
    assert_absent(&f, "unwritten");
    assert_value(&f, "a", "1");
    assert_int_equal(ks_count(&f.c, 0, NULL), 2);
    ks_check(f.ks);
    ks_close(&f.ks);
    (void)engine_close(&f.e);
    os_free(&f.os);
}

static void test_an_abort_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "0");
    put(f, "gone", "0");
    uint64_t seq = f->c.last_seq, end = f->c.end;
    ks_begin(&f->c);
    put(f, "a", "1");
    put(f, "b", "1");
    assert_int_equal(ks_delete(&f->c, S("gone"), NULL), E_OK);
    assert_int_equal(ks_put_thing(&f->c, SPACE_TAG, S("t"), (slice){0}, NULL), E_OK);
    ks_abort(&f->c);
    assert_false(ks_in_batch(&f->c));
    assert_int_equal(f->c.last_seq, seq);
    assert_int_equal(f->c.end, end);
    assert_value(f, "a", "0");
    assert_value(f, "gone", "0");
    assert_int_equal(ks_count(&f->c, 0, NULL), 2);
    assert_int_equal(ks_delete_thing(&f->c, SPACE_TAG, S("t"), NULL), E_NOTFOUND);
    put(f, "a", "2");
    assert_int_equal(f->c.last_seq, seq + 1);
    fixture_reopen(f);
    assert_value(f, "a", "2");
    assert_counts_agree(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_a_batch_is_one_commit),
        WITH_KEYSPACE(test_a_batch_shows_its_nodes),
        WITH_KEYSPACE(test_an_empty_batch_writes_nothing),
        WITH_KEYSPACE(test_an_abort_leaves_no_trace),
        WITH_KEYSPACE(test_an_abort_takes_swaps_and_tokens_back),
        WITH_KEYSPACE(test_a_batch_may_flush_what_it_wrote),
        WITH_KEYSPACE(test_meta_of_a_cold_key_can_be_read_inside_the_batch),
        cmocka_unit_test(test_a_commit_that_fails_puts_everything_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
