#include "unit/keyspace/keyspace_fixture.h"

static void test_a_read_tells_all_about_the_head(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    struct receipt r;
    uint64_t until = f->c.now_ms + 5000;
    struct ks_write w = {.expiry = KS_EXPIRY_SET, .expire_ms = until, .receipt = &r, .flags = NODE_ENC_RAW};
    put(f, "k", "old");
    assert_int_equal(ks_put(&f->c, S("k"), TYPE_STRING, S("new"), &w), E_OK);
    assert_int_equal(ks_get(&f->c, S("k"), &v), E_OK);
    assert_int_equal(v.type, TYPE_STRING);
    assert_int_equal(v.flags, NODE_ENC_RAW);
    assert_int_equal(v.seq, r.seq);
    assert_int_equal(v.ver, 2);
    assert_int_equal(v.expire_ms, until);
    assert_null(v.hash);
    ks_drop_cache(&f->c);
    assert_int_equal(ks_stat(&f->c, S("k"), true, &v), E_OK);
    assert_int_equal(v.ver, 2);
    assert_int_equal(v.flags, NODE_ENC_RAW);
    assert_int_equal(v.expire_ms, until);
    assert_value(f, "k", "new");
}

static void test_a_document_has_its_hash_hot_and_cold(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    struct receipt r;
    uint8_t hash[HASH_BYTES];
    struct ks_write w = {.receipt = &r};
    assert_int_equal(ks_put(&f->c, S("user:1"), TYPE_DOCUMENT, S("{}"), &w), E_OK);
    assert_int_equal(ks_get(&f->c, S("user:1"), &v), E_OK);
    assert_memory_equal(v.hash, r.hash, HASH_BYTES);
    ks_drop_cache(&f->c);
    assert_int_equal(ks_get(&f->c, S("user:1"), &v), E_OK);
    assert_memory_equal(v.hash, r.hash, HASH_BYTES);
    assert_int_equal(engine_catch_up(f->e, 0), E_OK);
    assert_int_equal(engine_hash(f->e, r.seq, hash), E_OK);
    assert_memory_equal(hash, r.hash, HASH_BYTES);
}

/* From memory only what is surely the version at the point. */
static void test_held_values(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    struct buf mem = {0};
    ks_enter(&f->c, KS_SHARED, NULL, 0);
    put(f, "k", "one");
    uint64_t first = f->c.last_seq;
    assert_int_equal(ks_get_held(&f->c, S("k"), first, &mem, &v), E_OK);
    assert_true(slice_eq(v.blob, S("one")));
    assert_int_equal(v.seq, first);
    assert_int_equal(ks_get_held(&f->c, S("k"), first - 1, &mem, &v), E_AGAIN);
    assert_int_equal(ks_get_held(&f->c, S("none"), first, &mem, &v), E_AGAIN);
    put(f, "k", "two");
    assert_int_equal(ks_get_held(&f->c, S("k"), first, &mem, &v), E_AGAIN);
    assert_int_equal(ks_get_held(&f->c, S("k"), UINT64_MAX, &mem, &v), E_OK);
    assert_true(slice_eq(v.blob, S("two")));
    put_until(f, "e", "v", f->c.now_ms + 1000);
    assert_int_equal(ks_get_held(&f->c, S("e"), UINT64_MAX, &mem, &v), E_AGAIN);
    assert_int_equal(ks_delete(&f->c, S("k"), NULL), E_OK);
    assert_int_equal(ks_get_held(&f->c, S("k"), UINT64_MAX, &mem, &v), E_AGAIN);
    put(f, "k", "three");
    ks_leave(&f->c);
    ks_drop_cache(&f->c);
    ks_enter(&f->c, KS_SHARED, NULL, 0);
    assert_int_equal(ks_get_held(&f->c, S("k"), UINT64_MAX, &mem, &v), E_AGAIN);
    ks_leave(&f->c);
    buf_fini(&mem);
}

static void test_reading_an_expired_key_logs_its_removal_once(void **state)
{
    struct fixture *f = *state;
    put_until(f, "k", "v", f->c.now_ms + 10);
    uint64_t before = f->c.last_seq;
    assert_value(f, "k", "v");
    f->c.now_ms += 10;
    assert_absent(f, "k");
    assert_int_equal(f->c.last_seq, before + 1);
    assert_absent(f, "k");
    assert_int_equal(f->c.last_seq, before + 1);
    assert_int_equal(newest(f, "k").op, NODE_EXPIRE);
    assert_int_equal(ks_count(&f->c, 0, NULL), 0);
    assert_counts_agree(f);
}

static void test_usage_knows_idle_time_and_frequency(void **state)
{
    struct fixture *f = *state;
    struct ks_usage u;
    struct ks_value v;
    ks_set_lfu(f->ks, true);
    put(f, "k", "v");
    f->c.now_ms += 5000;
    assert_int_equal(ks_usage(&f->c, S("k"), &u), E_OK);
    assert_true(u.idle_ms >= 4000 && u.idle_ms <= 6000);
    assert_true(u.loaded && u.bytes > 40);
    assert_int_equal(ks_stat(&f->c, S("k"), true, &v), E_OK);
    assert_int_equal(ks_usage(&f->c, S("k"), &u), E_OK);
    assert_true(u.idle_ms >= 4000); /* a peek is no access */
    struct ks_stats before, after;
    ks_get_stats(f->ks, &before);
    assert_int_equal(ks_look(&f->c, S("k"), KS_TALLY, &v), E_OK);
    assert_int_equal(ks_look(&f->c, S("none"), KS_TALLY, &v), E_NOTFOUND);
    assert_int_equal(ks_look(&f->c, S("none"), KS_USE, &v), E_NOTFOUND);
    f->c.no_touch = true;
    assert_value(f, "k", "v");
    assert_int_equal(ks_look(&f->c, S("k"), KS_USE, &v), E_OK);
    f->c.no_touch = false;
    ks_get_stats(f->ks, &after);
    assert_true(after.hits == before.hits + 2 && after.misses == before.misses + 1);
    assert_int_equal(ks_usage(&f->c, S("k"), &u), E_OK);
    assert_true(u.idle_ms >= 4000); /* none of these was one either */
    assert_int_equal(ks_look(&f->c, S("k"), KS_USE, &v), E_OK);
    assert_int_equal(ks_usage(&f->c, S("k"), &u), E_OK);
    assert_int_equal(u.idle_ms, 0);
    for (int i = 0; i < 1000; i++) assert_value(f, "k", "v");
    assert_int_equal(ks_usage(&f->c, S("k"), &u), E_OK);
    assert_int_equal(u.idle_ms, 0);
    assert_true(u.freq > 6);
    ks_set_usage(&f->c, S("k"), 3600, 77);
    assert_int_equal(ks_usage(&f->c, S("k"), &u), E_OK);
    assert_true(u.idle_ms == 3600000 && u.freq == 17); /* an hour has worn it down */
    ks_set_usage(&f->c, S("none"), 1, 1);
    ks_set_usage(&f->c, S("k"), 0, 77);
    assert_int_equal(ks_usage(&f->c, S("k"), &u), E_OK);
    assert_true(u.idle_ms == 0 && u.freq == 77);
    uint8_t high = u.freq;
    f->c.now_ms += 3 * 60000;
    assert_int_equal(ks_usage(&f->c, S("k"), &u), E_OK);
    assert_int_equal(u.freq, high - 3);
    assert_int_equal(ks_usage(&f->c, S("none"), &u), E_NOTFOUND);
}

static struct ks_stamp stamp(struct fixture *f, uint16_t db, const char *key)
{
    struct ks_stamp s;
    assert_int_equal(ks_watch(&f->c, db, S(key), &s), E_OK);
    return s;
}

static bool changed(struct fixture *f, uint16_t db, const char *key, struct ks_stamp then)
{
    bool yes;
    assert_int_equal(ks_watch_changed(&f->c, db, S(key), &then, &yes), E_OK);
    return yes;
}

static void test_a_watch_sees_every_kind_of_change(void **state)
{
    struct fixture *f = *state;
    struct ks_stamp none = stamp(f, 0, "k");
    put(f, "k", "1");
    struct ks_stamp one = stamp(f, 0, "k");
    assert_true(changed(f, 0, "k", none) && !changed(f, 0, "k", one));
    put(f, "k", "1");
    struct ks_stamp two = stamp(f, 0, "k");
    assert_true(changed(f, 0, "k", one));
    assert_int_equal(ks_delete(&f->c, S("k"), NULL), E_OK);
    assert_true(changed(f, 0, "k", two) && changed(f, 0, "k", none)); /* made and deleted since */
    put(f, "k", "2");
    struct ks_stamp three = stamp(f, 0, "k");
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    assert_true(changed(f, 0, "k", three));
}

static void swap(struct fixture *f, uint16_t a, uint16_t b)
{
    assert_int_equal(ks_swap(&f->c, a, b), E_OK);
}

static void test_a_watch_follows_swaps(void **state)
{
    struct fixture *f = *state;
    struct ks_stamp other = stamp(f, 0, "other"), there, here;
    put(f, "k", "3");
    here = stamp(f, 0, "k"), there = stamp(f, 1, "k");
    swap(f, 0, 1);
    assert_true(changed(f, 0, "k", here) && changed(f, 1, "k", there));
    assert_false(changed(f, 0, "other", other)); /* absent in both */
    swap(f, 0, 1);
    assert_true(changed(f, 0, "k", here)); /* back where it was, but it had gone */
    assert_true(changed(f, 1, "k", there));
    swap(f, 0, 2);
    swap(f, 2, 1);
    assert_false(changed(f, 0, "other", other)); /* absent wherever it was */
    put(f, "other", "x");
    assert_int_equal(ks_delete(&f->c, S("other"), NULL), E_OK);
    swap(f, 0, 1);
    assert_true(changed(f, 0, "other", other)); /* came and went before the swap */
    other = stamp(f, 0, "other");
    here = stamp(f, 3, "k");
    swap(f, 1, 2);
    assert_false(changed(f, 0, "other", other) || changed(f, 3, "k", here)); /* others' places */
}

static void test_a_watch_tells_what_a_swap_brings_from_what_was_there(void **state)
{
    struct fixture *f = *state;
    f->c.db = 1;
    put_until(f, "k", "v", f->c.now_ms + 5);
    put(f, "flushed", "v");
    assert_int_equal(ks_flush(&f->c, 1), E_OK);
    put(f, "gone", "v");
    assert_int_equal(ks_delete(&f->c, S("gone"), NULL), E_OK);
    put(f, "stands", "v");
    f->c.db = 0;
    struct ks_stamp gone = stamp(f, 0, "gone"), flushed = stamp(f, 0, "flushed"), stands = stamp(f, 0, "stands");
    swap(f, 0, 1);
    assert_false(changed(f, 0, "gone", gone) || changed(f, 0, "flushed", flushed));
    assert_true(changed(f, 0, "stands", stands));
    swap(f, 1, 0);
    assert_true(changed(f, 0, "stands", stands)); /* it has been there */
    assert_false(changed(f, 0, "gone", gone));
}

static void test_a_still_context_writes_no_removal(void **state)
{
    struct fixture *f = *state;
    struct engine_marks before, after;
    put_until(f, "k", "v", f->c.now_ms + 5);
    f->c.now_ms += 5;
    engine_get_marks(f->e, &before);
    f->c.still = true;
    assert_absent(f, "k");
    engine_get_marks(f->e, &after);
    assert_int_equal(after.last_seq, before.last_seq);
    f->c.still = false;
    assert_absent(f, "k");
    engine_get_marks(f->e, &after);
    assert_int_equal(after.last_seq, before.last_seq + 1);
}

static void test_a_stale_key_is_like_one_that_never_was(void **state)
{
    struct fixture *f = *state;
    put_until(f, "k", "v", f->c.now_ms + 5);
    struct ks_stamp fresh = stamp(f, 0, "k");
    f->c.now_ms += 5;
    struct ks_stamp stale = stamp(f, 0, "k");
    assert_true(changed(f, 0, "k", fresh));
    assert_absent(f, "k"); /* logs the removal */
    assert_false(changed(f, 0, "k", stale));
    assert_int_equal(ks_swap(&f->c, 0, 1), E_OK);
    assert_false(changed(f, 0, "k", stale));
    assert_int_equal(ks_swap(&f->c, 0, 1), E_OK);
    put_until(f, "k", "v", f->c.now_ms + 5);
    f->c.now_ms += 5;
    stale = stamp(f, 0, "k");
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    assert_false(changed(f, 0, "k", stale));
    put_until(f, "k", "v", f->c.now_ms + 5);
    f->c.now_ms += 5;
    assert_true(changed(f, 0, "k", stale)); /* made since, and ended by time */
    assert_absent(f, "k");
    assert_true(changed(f, 0, "k", stale));
}

static void test_a_key_beyond_the_limit_is_absent_and_too_big_to_write(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    struct ks_stamp s;
    uint8_t *big = mem_zalloc(NODE_KEY_MAX + 1);
    slice key = slice_of(big, NODE_KEY_MAX + 1);
    assert_int_equal(ks_get(&f->c, key, &v), E_NOTFOUND);
    assert_int_equal(ks_delete(&f->c, key, NULL), E_NOTFOUND);
    assert_int_equal(ks_watch(&f->c, 0, key, &s), E_OK);
    assert_int_equal(ks_put(&f->c, key, TYPE_STRING, S("v"), NULL), E_TOOBIG);
    key.n--;
    assert_int_equal(ks_put(&f->c, key, TYPE_STRING, S("v"), NULL), E_OK);
    assert_int_equal(ks_get(&f->c, key, &v), E_OK);
    mem_free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_a_read_tells_all_about_the_head),
        WITH_KEYSPACE(test_a_document_has_its_hash_hot_and_cold),
        WITH_KEYSPACE(test_held_values),
        WITH_KEYSPACE(test_reading_an_expired_key_logs_its_removal_once),
        WITH_KEYSPACE(test_usage_knows_idle_time_and_frequency),
        WITH_KEYSPACE(test_a_watch_sees_every_kind_of_change),
        WITH_KEYSPACE(test_a_watch_follows_swaps),
        WITH_KEYSPACE(test_a_watch_tells_what_a_swap_brings_from_what_was_there),
        WITH_KEYSPACE(test_a_still_context_writes_no_removal),
        WITH_KEYSPACE(test_a_stale_key_is_like_one_that_never_was),
        WITH_KEYSPACE(test_a_key_beyond_the_limit_is_absent_and_too_big_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
