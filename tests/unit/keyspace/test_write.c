#include "unit/keyspace/keyspace_fixture.h"

static void test_versions_chain_over_deletes_and_flushes(void **state)
{
    struct fixture *f = *state;
    struct node n;
    struct buf mem = {0};
    put(f, "k", "1");
    uint64_t first = f->c.last_seq;
    assert_int_equal(ks_delete(&f->c, S("k"), NULL), E_OK);
    put(f, "k", "2");
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    assert_absent(f, "k");
    put(f, "k", "3");
    struct version v = newest(f, "k");
    assert_int_equal(v.ver, 4);
    assert_true(v.flags & NODE_CREATED);
    assert_int_equal(engine_read(f->e, v.seq, &mem, &n), E_OK);
    assert_int_equal(n.prev, first + 2);
    buf_fini(&mem);
    assert_counts_agree(f);
}

static void test_created_and_retyped_are_exact(void **state)
{
    struct fixture *f = *state;
    put(f, "k", "1");
    assert_int_equal(newest(f, "k").flags & (NODE_CREATED | NODE_RETYPED), NODE_CREATED);
    put(f, "k", "2");
    assert_int_equal(newest(f, "k").flags & (NODE_CREATED | NODE_RETYPED), 0);
    put_until(f, "k", "3", f->c.now_ms + 10);
    assert_int_equal(newest(f, "k").flags & (NODE_CREATED | NODE_RETYPED), NODE_RETYPED);
    f->c.now_ms += 20;
    put(f, "k", "4"); /* past its expiry but never removed: still counted */
    assert_int_equal(newest(f, "k").flags & (NODE_CREATED | NODE_RETYPED), NODE_RETYPED);
    assert_int_equal(ks_put(&f->c, S("k"), TYPE_DOCUMENT, S("{}"), NULL), E_OK);
    assert_int_equal(newest(f, "k").flags & (NODE_CREATED | NODE_RETYPED), NODE_RETYPED);
    assert_int_equal(ks_delete(&f->c, S("k"), NULL), E_OK);
    assert_int_equal(newest(f, "k").type, TYPE_DOCUMENT);
    assert_counts_agree(f);
}

static void test_expiry_is_set_kept_and_cleared(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    uint64_t until = f->c.now_ms + 1000;
    struct ks_write keep = {.expiry = KS_EXPIRY_KEEP};
    put(f, "k", "1");
    assert_int_equal(ks_set_expiry(&f->c, S("k"), until), E_OK);
    assert_int_equal(newest(f, "k").op, NODE_META);
    assert_int_equal(ks_put(&f->c, S("k"), TYPE_STRING, S("2"), &keep), E_OK);
    assert_int_equal(ks_get(&f->c, S("k"), &v), E_OK);
    assert_int_equal(v.expire_ms, until);
    ks_drop_cache(&f->c);
    assert_value(f, "k", "2");
    assert_int_equal(ks_set_expiry(&f->c, S("k"), 0), E_OK);
    ks_drop_cache(&f->c);
    assert_int_equal(ks_get(&f->c, S("k"), &v), E_OK); /* the value stands below two changes of expiry */
    assert_int_equal(v.expire_ms, 0);
    assert_value(f, "k", "2");
    uint64_t nodes = f->c.nodes;
    assert_int_equal(ks_set_expiry(&f->c, S("k"), 0), E_OK); /* nothing to persist: no node */
    assert_int_equal(f->c.nodes, nodes);
    assert_int_equal(ks_set_expiry(&f->c, S("k"), f->c.now_ms), E_OK);
    assert_absent(f, "k");
    assert_int_equal(newest(f, "k").op, NODE_DELETE);
    assert_int_equal(ks_set_expiry(&f->c, S("k"), until), E_NOTFOUND);
    assert_counts_agree(f);
}

static void test_an_expired_value_does_not_hand_its_expiry_on(void **state)
{
    struct fixture *f = *state;
    struct ks_write keep = {.expiry = KS_EXPIRY_KEEP};
    put_until(f, "k", "1", f->c.now_ms + 10);
    f->c.now_ms += 10;
    assert_int_equal(ks_put(&f->c, S("k"), TYPE_STRING, S("2"), &keep), E_OK);
    assert_value(f, "k", "2");
    assert_counts_agree(f);
}

static void test_a_put_may_take_its_bytes_from_the_value_itself(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    struct ks_write w = {.expiry = KS_EXPIRY_SET, .expire_ms = f->c.now_ms + 1000};
    put(f, "k", "0123456789");
    assert_int_equal(ks_get(&f->c, S("k"), &v), E_OK);
    assert_int_equal(ks_put(&f->c, S("k"), TYPE_STRING, slice_of(v.blob.p + 2, 6), &w), E_OK);
    assert_value(f, "k", "234567");
}

static void test_documents_refer_to_what_was_before_by_hash(void **state)
{
    struct fixture *f = *state;
    struct receipt first, second, third;
    struct node n;
    struct buf mem = {0};
    struct ks_write w = {.receipt = &first};
    assert_int_equal(ks_put(&f->c, S("d"), TYPE_DOCUMENT, S("1"), &w), E_OK);
    w.receipt = &second;
    assert_int_equal(ks_delete(&f->c, S("d"), &w), E_OK);
    ks_drop_cache(&f->c);
    w.receipt = &third;
    assert_int_equal(ks_put(&f->c, S("d"), TYPE_DOCUMENT, S("2"), &w), E_OK);
    assert_int_equal(engine_read(f->e, second.seq, &mem, &n), E_OK);
    assert_memory_equal(n.prev_hash, first.hash, HASH_BYTES);
    mem.n = 0;
    assert_int_equal(engine_read(f->e, third.seq, &mem, &n), E_OK);
    assert_memory_equal(n.prev_hash, second.hash, HASH_BYTES);
    buf_fini(&mem);
}

static void test_a_splice_pads_and_grows(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    uint64_t len;
    assert_int_equal(ks_splice(&f->c, S("k"), 3, S("ab"), &len), E_OK);
    assert_int_equal(len, 5);
    assert_int_equal(ks_get(&f->c, S("k"), &v), E_OK);
    assert_memory_equal(v.blob.p, "\0\0\0ab", 5);
    assert_int_equal(v.flags, NODE_ENC_RAW);
    assert_int_equal(ks_splice(&f->c, S("k"), 0, S("xyz"), &len), E_OK);
    assert_int_equal(len, 5);
    assert_value(f, "k", "xyzab");
}

/* Appends and overwrites at random; hot and rebuilt values must be the same. */
static void test_long_strings_are_logged_as_effects(void **state)
{
    struct fixture *f = *state;
    static uint8_t model[200000];
    size_t n = 0;
    unsigned effects = 0, bases = 0;
    struct ks_value v;
    uint64_t len;
    srand(3);
    for (int i = 0; i < 600; i++) {
        uint8_t piece[300];
        size_t k = 1 + (size_t)rand() % sizeof piece, at = rand() % 3 ? n : (size_t)rand() % (n + 50);
        for (size_t j = 0; j < k; j++) piece[j] = (uint8_t)rand();
        if (at > n) memset(model + n, 0, at - n);
        memcpy(model + at, piece, k);
        if (at + k > n) n = at + k;
        assert_int_equal(ks_splice(&f->c, S("k"), at, slice_of(piece, k), &len), E_OK);
        assert_int_equal(len, n);
        uint8_t op = newest(f, "k").op;
        effects += op == NODE_EFFECT;
        bases += op == NODE_PUT;
        if (i % 50 == 0) ks_drop_cache(&f->c);
        if (i == 300) assert_int_equal(ks_set_expiry(&f->c, S("k"), f->c.now_ms + 100000), E_OK);
        assert_int_equal(ks_get(&f->c, S("k"), &v), E_OK);
        assert_int_equal(v.blob.n, n);
        assert_memory_equal(v.blob.p, model, n);
    }
    assert_true(effects > 500);
    assert_true(bases < 100);
    assert_true(v.expire_ms != 0);
    fixture_reopen(f);
    assert_int_equal(ks_get(&f->c, S("k"), &v), E_OK);
    assert_memory_equal(v.blob.p, model, n);
}

static void test_copies_and_moves_take_expiry_and_encoding_along(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    uint64_t len, until = f->c.now_ms + 1000;
    assert_int_equal(ks_splice(&f->c, S("a"), 0, S("value"), &len), E_OK);
    assert_int_equal(ks_set_expiry(&f->c, S("a"), until), E_OK);
    put(f, "b", "other");
    assert_int_equal(ks_copy(&f->c, S("a"), 0, S("b")), E_OK);
    assert_int_equal(ks_get(&f->c, S("b"), &v), E_OK);
    assert_int_equal(v.expire_ms, until);
    assert_int_equal(v.flags, NODE_ENC_RAW);
    assert_value(f, "b", "value");
    assert_int_equal(ks_copy(&f->c, S("none"), 0, S("b")), E_NOTFOUND);
    ks_drop_cache(&f->c);
    ks_begin(&f->c);
    assert_int_equal(ks_move(&f->c, S("a"), 3, S("a")), E_OK);
    assert_int_equal(ks_commit(&f->c), E_OK);
    assert_absent(f, "a");
    f->c.db = 3;
    assert_value(f, "a", "value");
    assert_counts_agree(f);
}

/* Tombstones behind a tombstone: the past at other instants stays, and every count is as after the first one. */
static void test_intervals_end_one_by_one(void **state)
{
    struct fixture *f = *state;
    struct ks_write w = {.has_valid = true, .valid_from = 10, .valid_to = 20};
    struct buf mem = {0};
    struct ks_value v;
    put(f, "s", "1");
    assert_int_equal(ks_end_interval(&f->c, S("d"), &w), E_NOTFOUND);
    assert_int_equal(ks_put(&f->c, S("d"), TYPE_DOCUMENT, S("{}"), NULL), E_OK);
    assert_int_equal(ks_end_interval(&f->c, S("d"), &w), E_NOTFOUND);
    assert_int_equal(ks_delete(&f->c, S("d"), &w), E_OK);
    for (int i = 0; i < 3; i++) {
        w.valid_from += 20, w.valid_to += 20;
        if (i == 1) fixture_reopen(f);
        if (i == 2) ks_begin(&f->c);
        assert_int_equal(ks_end_interval(&f->c, S("d"), &w), E_OK);
        if (i == 2) assert_int_equal(ks_commit(&f->c), E_OK);
    }
    assert_int_equal(newest(f, "d").ver, 5);
    assert_absent(f, "d");
    for (int at = 5; at < 90; at += 10) {
        int r = ks_get_at(&f->c, S("d"), UINT64_MAX, at, &mem, &v);
        assert_int_equal(r, at / 10 % 2 ? E_NOTFOUND : E_OK);
    }
    assert_int_equal(ks_count(&f->c, 0, NULL), 1);
    assert_counts_agree(f);
    fixture_reopen(f);
    assert_int_equal(ks_count(&f->c, 0, NULL), 1);
    assert_int_equal(ks_put(&f->c, S("d"), TYPE_DOCUMENT, S("{}"), NULL), E_OK);
    assert_int_equal(ks_count(&f->c, 0, NULL), 2);
    assert_counts_agree(f);
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    assert_int_equal(ks_end_interval(&f->c, S("d"), &w), E_NOTFOUND);
    buf_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_versions_chain_over_deletes_and_flushes),
        WITH_KEYSPACE(test_created_and_retyped_are_exact),
        WITH_KEYSPACE(test_expiry_is_set_kept_and_cleared),
        WITH_KEYSPACE(test_an_expired_value_does_not_hand_its_expiry_on),
        WITH_KEYSPACE(test_a_put_may_take_its_bytes_from_the_value_itself),
        WITH_KEYSPACE(test_documents_refer_to_what_was_before_by_hash),
        WITH_KEYSPACE(test_a_splice_pads_and_grows),
        WITH_KEYSPACE(test_long_strings_are_logged_as_effects),
        WITH_KEYSPACE(test_copies_and_moves_take_expiry_and_encoding_along),
        WITH_KEYSPACE(test_intervals_end_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
