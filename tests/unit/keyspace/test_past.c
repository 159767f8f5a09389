#include "unit/keyspace/keyspace_fixture.h"

static void test_every_point_has_its_value(void **state)
{
    struct fixture *f = *state;
    uint64_t at[6];
    put(f, "other", "x");
    at[0] = f->c.last_seq;
    put(f, "k", "1");
    at[1] = f->c.last_seq;
    put(f, "k", "2");
    at[2] = f->c.last_seq;
    assert_int_equal(ks_delete(&f->c, S("k"), NULL), E_OK);
    at[3] = f->c.last_seq;
    put(f, "k", "3");
    at[4] = f->c.last_seq;
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    at[5] = f->c.last_seq;
    for (int round = 0; round < 2; round++) {
        assert_at(f, "k", 0, NULL);
        assert_at(f, "k", at[0], NULL);
        assert_at(f, "k", at[1], "1");
        assert_at(f, "k", at[2], "2");
        assert_at(f, "k", at[3], NULL);
        assert_at(f, "k", at[4], "3");
        assert_at(f, "k", at[5], NULL);
        assert_at(f, "k", UINT64_MAX, NULL);
        fixture_reopen(f);
    }
}

static void test_expiry_is_judged_by_the_time_of_the_point(void **state)
{
    struct fixture *f = *state;
    put_until(f, "k", "v", f->c.now_ms + 100);
    uint64_t made = f->c.last_seq;
    f->c.now_ms += 99;
    put(f, "x", "1");
    uint64_t before = f->c.last_seq;
    f->c.now_ms += 1;
    put(f, "x", "2");
    uint64_t after = f->c.last_seq;
    assert_at(f, "k", made, "v");
    assert_at(f, "k", before, "v");
    assert_at(f, "k", after, NULL); /* its removal is not even logged */
}

static void test_swapped_databases_are_followed_into_the_past(void **state)
{
    struct fixture *f = *state;
    put(f, "k", "zero");
    f->c.db = 1;
    put(f, "k", "one");
    uint64_t before = f->c.last_seq;
    assert_int_equal(ks_swap(&f->c, 0, 1), E_OK);
    assert_at(f, "k", before, "one");
    assert_at(f, "k", UINT64_MAX, "zero");
    f->c.db = 0;
    assert_at(f, "k", before, "zero");
    assert_at(f, "k", UINT64_MAX, "one");
}

static void test_effects_are_replayed_to_any_version(void **state)
{
    struct fixture *f = *state;
    static uint64_t at[300], lens[300];
    static char big[2000];
    uint64_t len;
    memset(big, 'x', sizeof big);
    assert_int_equal(ks_put(&f->c, S("k"), TYPE_STRING, slice_of(big, sizeof big), NULL), E_OK);
    for (int i = 0; i < 300; i++) {
        char piece[8];
        int n = snprintf(piece, sizeof piece, "%d", i);
        assert_int_equal(ks_splice(&f->c, S("k"), i == 0 ? sizeof big : lens[i - 1], slice_of(piece, (size_t)n), &len), E_OK);
        at[i] = f->c.last_seq;
        lens[i] = len;
    }
    for (int i = 0; i < 300; i += 13) {
        struct ks_value v;
        struct buf mem = {0};
        char tail[8];
        int n = snprintf(tail, sizeof tail, "%d", i);
        assert_int_equal(ks_get_at(&f->c, S("k"), at[i], KS_ANY_VALID, &mem, &v), E_OK);
        assert_int_equal(v.seq, at[i]);
        assert_int_equal(v.blob.n, lens[i]);
        assert_memory_equal(v.blob.p + v.blob.n - n, tail, n);
        assert_memory_equal(v.blob.p, big, sizeof big);
        buf_fini(&mem);
    }
}

static void put_valid(struct fixture *f, const char *json, int64_t from, int64_t to)
{
    struct ks_write w = {.has_valid = true, .valid_from = from, .valid_to = to};
    assert_int_equal(ks_put(&f->c, S("d"), TYPE_DOCUMENT, S(json), &w), E_OK);
}

static void assert_valid(struct fixture *f, int64_t valid_at, const char *json)
{
    struct ks_value v;
    struct buf mem = {0};
    int err = ks_get_at(&f->c, S("d"), UINT64_MAX, valid_at, &mem, &v);
    assert_int_equal(err, json ? E_OK : E_NOTFOUND);
    if (json) assert_memory_equal(v.blob.p, json, strlen(json));
    buf_fini(&mem);
}

static void test_valid_time_takes_the_newest_version_that_holds(void **state)
{
    struct fixture *f = *state;
    put_valid(f, "1", 100, 200);
    put_valid(f, "2", 150, 300);
    put_valid(f, "3", 400, INT64_MAX);
    assert_int_equal(ks_set_expiry(&f->c, S("d"), f->c.now_ms + 10000), E_OK);
    assert_valid(f, 99, NULL);
    assert_valid(f, 100, "1");
    assert_valid(f, 150, "2");
    assert_valid(f, 299, "2");
    assert_valid(f, 300, NULL);
    assert_valid(f, 400, "3");
    assert_valid(f, KS_ANY_VALID, "3");
}

static void keep_one(struct fixture *f)
{
    struct compact_stats s;
    assert_int_equal(engine_compact(f->e, &(struct compact_options){.keep_versions = 1}, &s), E_OK);
}

static int valid_at(struct fixture *f, uint64_t at, int64_t instant, struct ks_value *v)
{
    struct buf mem = {0};
    int err = ks_get_at(&f->c, S("d"), at, instant, &mem, v);
    buf_fini(&mem);
    return err;
}

/* What was dropped may have held at the instant: absent would be a guess. A tag keeps all that shows at its point. */
static void test_dropped_intervals_are_not_taken_for_none(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    uint8_t point[8];
    put_valid(f, "1", 0, 10);
    put_valid(f, "2", 10, 20);
    put_u64(point, f->c.last_seq);
    uint64_t tagged = f->c.last_seq;
    assert_int_equal(ks_put_thing(&f->c, SPACE_TAG, S("t"), slice_of(point, 8), NULL), E_OK);
    put_valid(f, "3", 20, 30);
    uint64_t third = f->c.last_seq;
    keep_one(f);
    assert_int_equal(valid_at(f, tagged, 5, &v), E_OK);
    assert_int_equal(valid_at(f, tagged, 15, &v), E_OK);
    assert_int_equal(valid_at(f, third, 5, &v), E_OK);
    assert_int_equal(valid_at(f, third, 40, &v), E_NOTFOUND); /* all is there, nothing holds */
    assert_int_equal(ks_delete_thing(&f->c, SPACE_TAG, S("t"), NULL), E_OK);
    keep_one(f);
    assert_int_equal(valid_at(f, third, 25, &v), E_OK);
    assert_int_equal(valid_at(f, third, 5, &v), E_PRUNED);
    assert_int_equal(v.seq, third);
}

/* A flush between what was dropped and the oldest version that is left: what was dropped cannot hold. */
static void test_dropped_intervals_behind_a_flush_do_not_matter(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    put_valid(f, "1", 0, 10);
    put_valid(f, "2", 0, 10);
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    put_valid(f, "3", 20, 30);
    uint64_t third = f->c.last_seq;
    keep_one(f);
    assert_int_equal(valid_at(f, third, 25, &v), E_OK);
    assert_int_equal(valid_at(f, third, 5, &v), E_NOTFOUND);
    put_valid(f, "4", 40, 50);
    uint64_t fourth = f->c.last_seq;
    keep_one(f);
    assert_int_equal(valid_at(f, fourth, 5, &v), E_PRUNED); /* the third might have held */
}

static void test_an_effect_that_does_not_parse_is_refused(void **state)
{
    uint64_t offset;
    slice bytes;
    uint8_t good[] = {5, 'a', 'b'}, cut[] = {0x85};
    assert_true(splice_parse(slice_of(good, 3), &offset, &bytes));
    assert_int_equal(offset, 5);
    assert_int_equal(bytes.n, 2);
    assert_false(splice_parse(slice_of(cut, 1), &offset, &bytes));
    assert_false(splice_parse((slice){0}, &offset, &bytes));
    uint8_t far[VARINT_MAX];
    uint8_t *end = put_varint(far, (uint64_t)NODE_PAYLOAD_MAX + 1);
    assert_false(splice_parse(slice_of(far, (size_t)(end - far)), &offset, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_every_point_has_its_value),
        WITH_KEYSPACE(test_expiry_is_judged_by_the_time_of_the_point),
        WITH_KEYSPACE(test_swapped_databases_are_followed_into_the_past),
        WITH_KEYSPACE(test_effects_are_replayed_to_any_version),
        WITH_KEYSPACE(test_valid_time_takes_the_newest_version_that_holds),
        WITH_KEYSPACE(test_dropped_intervals_are_not_taken_for_none),
        WITH_KEYSPACE(test_dropped_intervals_behind_a_flush_do_not_matter),
        cmocka_unit_test(test_an_effect_that_does_not_parse_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
