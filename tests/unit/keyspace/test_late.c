/* Late hashes: whatever looks at a document finds its hash, whenever that was computed. */
#include "unit/keyspace/keyspace_fixture.h"

static uint64_t put_late(struct fixture *f, const char *key, const char *json, struct receipt *r)
{
    struct ks_write w = {.late_hash = true, .receipt = r};
    assert_int_equal(ks_put(&f->c, S(key), TYPE_DOCUMENT, S(json), &w), E_OK);
    assert_int_equal(r->seq, f->c.last_seq);
    return r->seq;
}

/* The hash of a node by its bytes in the log. */
static void hash_in_log(struct fixture *f, uint64_t seq, uint8_t out[HASH_BYTES])
{
    struct buf mem = {0};
    slice raw;
    if (engine_read_raw(f->e, seq, &mem, &raw) != E_OK) {
        assert_int_equal(engine_write_out(f->e, 0), E_OK);
        assert_int_equal(engine_read_raw(f->e, seq, &mem, &raw), E_OK);
    }
    blake2b_256(out, raw.p, raw.n);
    buf_fini(&mem);
}

static void assert_hash(struct fixture *f, const char *key, uint64_t seq)
{
    uint8_t want[HASH_BYTES];
    struct ks_value v;
    hash_in_log(f, seq, want);
    assert_int_equal(ks_get(&f->c, S(key), &v), E_OK);
    assert_int_equal(v.seq, seq);
    assert_memory_equal(v.hash, want, HASH_BYTES);
}

static void assert_prev(struct fixture *f, uint64_t seq, uint64_t prev)
{
    struct buf mem = {0};
    struct node n;
    uint8_t want[HASH_BYTES];
    hash_in_log(f, prev, want);
    assert_int_equal(engine_write_out(f->e, 0), E_OK);
    assert_int_equal(engine_read(f->e, seq, &mem, &n), E_OK);
    assert_int_equal(n.prev, prev);
    assert_non_null(n.prev_hash);
    assert_memory_equal(n.prev_hash, want, HASH_BYTES);
    buf_fini(&mem);
}

static void test_eight_are_computed_together(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    uint64_t seq[8];
    struct receipt r;
    uint8_t want[HASH_BYTES];
    f->c.late_hashes = true;
    for (int i = 0; i < 8; i++) {
        seq[i] = put_late(f, keys[i], "{\"x\":[1,2,3]}", &r);
        assert_int_equal(ks_hash_waits(&f->c), i < 7);
    }
    hash_in_log(f, r.seq, want);
    assert_memory_equal(r.hash, want, HASH_BYTES); /* the eighth has its own at once */
    for (int i = 0; i < 8; i++) assert_hash(f, keys[i], seq[i]);
    assert_int_equal(engine_catch_up(f->e, 0), E_OK);
    for (int i = 0; i < 8; i++) { /* what the indexer took over is the same */
        uint8_t got[HASH_BYTES];
        hash_in_log(f, seq[i], want);
        assert_int_equal(engine_hash(f->e, seq[i], got), E_OK);
        assert_memory_equal(got, want, HASH_BYTES);
    }
}

static void test_digits_are_written_where_they_belong(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g"};
    for (unsigned n = 1; n <= 7; n++) {
        struct buf out[7] = {{0}};
        uint64_t seq[7];
        f->c.late_hashes = true;
        for (unsigned i = 0; i < n; i++) {
            struct receipt r;
            seq[i] = put_late(f, keys[i], "[1]", &r);
            memset(buf_reserve(&out[i], 100), '.', 100);
            out[i].n = 100;
            if (!ks_hash_into(&f->c, r.seq, &out[i], 20)) hex_digits((char *)out[i].p + 20, r.hash, HASH_BYTES);
            buf_grow(&out[i], 5000); /* it may move */
        }
        ks_hash_finish(&f->c);
        assert_false(ks_hash_waits(&f->c));
        for (unsigned i = 0; i < n; i++) {
            uint8_t want[HASH_BYTES];
            char text[2 * HASH_BYTES + 1];
            hash_in_log(f, seq[i], want);
            hex_encode(text, want, HASH_BYTES);
            assert_memory_equal(out[i].p + 20, text, 64);
            assert_int_equal(out[i].p[19], '.');
            assert_int_equal(out[i].p[84], '.');
            buf_fini(&out[i]);
        }
    }
}

static void test_a_chain_of_one_key(void **state)
{
    struct fixture *f = *state;
    struct receipt r;
    uint64_t before = 0;
    f->c.late_hashes = true;
    for (int i = 0; i < 9; i++) {
        uint64_t other = i % 2 ? put_late(f, "other", "1", &r) : 0, seq = put_late(f, "k", "{}", &r);
        if (before) assert_prev(f, seq, before);
        if (other) assert_hash(f, "other", other);
        before = seq;
    }
    ks_hash_finish(&f->c);
    assert_hash(f, "k", before);
}

static void test_whoever_looks_finds_it(void **state)
{
    struct fixture *f = *state;
    struct receipt r;
    struct ks_value v;
    uint8_t want[HASH_BYTES];
    uint64_t seq = put_late(f, "k", "1", &r);
    assert_hash(f, "k", seq); /* not late: the context does not allow it */
    f->c.late_hashes = true;
    seq = put_late(f, "k", "2", &r);
    assert_true(ks_hash_waits(&f->c));
    assert_hash(f, "k", seq);
    seq = put_late(f, "k", "3", &r);
    assert_int_equal(ks_stat(&f->c, S("k"), true, &v), E_OK);
    hash_in_log(f, seq, want);
    assert_memory_equal(v.hash, want, HASH_BYTES);
    seq = put_late(f, "k", "4", &r);
    assert_int_equal(ks_set_expiry(&f->c, S("k"), f->c.now_ms + 5), E_OK);
    assert_prev(f, f->c.last_seq, seq);
    f->c.now_ms += 10; /* due: the next write finds its removal first */
    struct ks_write w = {.late_hash = true, .keep_type = true, .receipt = &r};
    assert_int_equal(ks_put(&f->c, S("k"), TYPE_DOCUMENT, S("5"), &w), E_OK);
    assert_prev(f, r.seq, r.seq - 1);
    seq = put_late(f, "k", "6", &r);
    assert_int_equal(ks_delete(&f->c, S("k"), NULL), E_OK);
    assert_prev(f, f->c.last_seq, seq);
    seq = put_late(f, "m", "7", &r);
    assert_int_equal(ks_copy(&f->c, S("m"), 3, S("m")), E_OK);
    assert_hash(f, "m", seq);
    assert_counts_agree(f);
}

static void test_what_throws_entries_away_finishes_first(void **state)
{
    struct fixture *f = *state;
    struct receipt r;
    f->c.late_hashes = true;
    put_late(f, "a", "1", &r);
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    assert_false(ks_hash_waits(&f->c));
    assert_absent(f, "a");
    uint64_t seq = put_late(f, "a", "2", &r);
    ks_drop_cache(&f->c);
    assert_false(ks_hash_waits(&f->c));
    assert_hash(f, "a", seq);
    seq = put_late(f, "b", "3", &r);
    ks_begin(&f->c);
    assert_false(ks_hash_waits(&f->c));
    uint64_t inside = put_late(f, "b", "4", &r);
    assert_false(ks_hash_waits(&f->c)); /* never late in a batch */
    assert_int_equal(ks_commit(&f->c), E_OK);
    assert_hash(f, "b", inside);
    assert_prev(f, inside, seq);
    put_late(f, "c", "5", &r);
    f->ks->cache_bytes = 1;
    ks_enter(&f->c, KS_SHARED, NULL, 0); /* sweeps */
    assert_false(ks_hash_waits(&f->c));
    ks_leave(&f->c);
    f->ks->cache_bytes = 1 << 20;
    put_late(f, "d", "6", &r); /* and closing does */
}

static void test_a_long_document_is_hashed_at_once(void **state)
{
    struct fixture *f = *state;
    struct receipt r;
    char json[LATE_NODE_MAX + 3];
    uint8_t want[HASH_BYTES];
    json[0] = '"';
    memset(json + 1, 'x', LATE_NODE_MAX);
    json[LATE_NODE_MAX + 1] = '"', json[LATE_NODE_MAX + 2] = 0;
    f->c.late_hashes = true;
    uint64_t first = put_late(f, "a", "1", &r);
    put_late(f, "b", json, &r);
    assert_true(ks_hash_waits(&f->c));
    assert_false(ks_hash_into(&f->c, r.seq, NULL, 0));
    hash_in_log(f, r.seq, want);
    assert_memory_equal(r.hash, want, HASH_BYTES);
    assert_hash(f, "b", r.seq);
    assert_hash(f, "a", first);
}

static void test_types_are_kept_on_request(void **state)
{
    struct fixture *f = *state;
    struct receipt r;
    struct ks_write w = {.keep_type = true, .late_hash = true, .receipt = &r};
    put(f, "s", "string");
    uint64_t last = f->c.last_seq;
    assert_int_equal(ks_put(&f->c, S("s"), TYPE_DOCUMENT, S("1"), &w), E_CONFLICT);
    assert_int_equal(f->c.last_seq, last);
    assert_value(f, "s", "string");
    assert_int_equal(ks_delete(&f->c, S("s"), NULL), E_OK);
    assert_int_equal(ks_put(&f->c, S("s"), TYPE_DOCUMENT, S("1"), &w), E_OK);
    put_until(f, "t", "string", f->c.now_ms + 1);
    f->c.now_ms += 2;
    assert_int_equal(ks_put(&f->c, S("t"), TYPE_DOCUMENT, S("1"), &w), E_OK); /* past its expiry it is no more */
    assert_int_equal(f->c.last_seq, last + 5); /* the removal came before */
    assert_counts_agree(f);
}

static void test_several_loops_have_none(void **state)
{
    struct fixture f = {.os = os_memory_new(), .loops = 2};
    struct receipt r;
    fixture_open(&f);
    f.c.late_hashes = true;
    slice key = S("k");
    ks_enter(&f.c, KS_SHARED, &key, 1);
    uint64_t seq = put_late(&f, "k", "1", &r);
    assert_false(ks_hash_waits(&f.c));
    assert_hash(&f, "k", seq);
    ks_leave(&f.c);
    fixture_close(&f);
    os_free(&f.os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_eight_are_computed_together),
        WITH_KEYSPACE(test_digits_are_written_where_they_belong),
        WITH_KEYSPACE(test_a_chain_of_one_key),
        WITH_KEYSPACE(test_whoever_looks_finds_it),
        WITH_KEYSPACE(test_what_throws_entries_away_finishes_first),
        WITH_KEYSPACE(test_a_long_document_is_hashed_at_once),
        WITH_KEYSPACE(test_types_are_kept_on_request),
        cmocka_unit_test(test_several_loops_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
