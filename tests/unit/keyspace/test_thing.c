#include "unit/keyspace/keyspace_fixture.h"

static struct version thing(struct fixture *f, uint8_t space, uint16_t lineage, const char *key)
{
    struct version v;
    assert_int_equal(engine_catch_up(f->e, 0), E_OK);
    assert_int_equal(engine_find(f->e, space, lineage, S(key), UINT64_MAX, FIND_ALL, &v), E_OK);
    return v;
}

static void test_things_have_versions_and_tombstones(void **state)
{
    struct fixture *f = *state;
    struct receipt r;
    uint8_t point[8] = {1};
    struct ks_write w = {.receipt = &r, .want_hash = true};
    assert_int_equal(ks_put_thing(&f->c, SPACE_TAG, S("v1"), slice_of(point, 8), &w), E_OK);
    assert_int_equal(thing(f, SPACE_TAG, 0, "v1").seq, r.seq);
    assert_true(thing(f, SPACE_TAG, 0, "v1").flags & NODE_CREATED);
    f->c.db = 3; /* tags belong to the store, not to a database */
    assert_int_equal(ks_put_thing(&f->c, SPACE_TAG, S("v1"), slice_of(point, 8), NULL), E_OK);
    assert_int_equal(thing(f, SPACE_TAG, 0, "v1").ver, 2);
    assert_int_equal(ks_delete_thing(&f->c, SPACE_TAG, S("v1"), NULL), E_OK);
    assert_int_equal(ks_delete_thing(&f->c, SPACE_TAG, S("v1"), NULL), E_NOTFOUND);
    assert_int_equal(thing(f, SPACE_TAG, 0, "v1").op, NODE_DELETE);
}

static void test_a_batch_knows_the_things_it_wrote(void **state)
{
    struct fixture *f = *state;
    bool yes;
    assert_int_equal(ks_has_thing(&f->c, SPACE_RETAIN, S("a*"), &yes), E_OK);
    assert_false(yes);
    ks_begin(&f->c);
    uint8_t rule[16] = {3};
    assert_int_equal(ks_put_thing(&f->c, SPACE_RETAIN, S("a*"), slice_of(rule, 16), NULL), E_OK);
    assert_int_equal(ks_put_thing(&f->c, SPACE_RETAIN, S("a*"), slice_of(rule, 16), NULL), E_OK);
    assert_int_equal(ks_has_thing(&f->c, SPACE_RETAIN, S("a*"), &yes), E_OK);
    assert_true(yes);
    assert_int_equal(ks_delete_thing(&f->c, SPACE_RETAIN, S("a*"), NULL), E_OK);
    assert_int_equal(ks_has_thing(&f->c, SPACE_RETAIN, S("a*"), &yes), E_OK);
    assert_false(yes);
    assert_int_equal(ks_delete_thing(&f->c, SPACE_RETAIN, S("a*"), NULL), E_NOTFOUND);
    assert_int_equal(ks_commit(&f->c), E_OK);
    assert_int_equal(thing(f, SPACE_RETAIN, 0, "a*").ver, 3);
}

static void test_links_end_with_their_database(void **state)
{
    struct fixture *f = *state;
    struct buf key = {0};
    link_key(&key, S("a"), S("knows"), S("b"));
    assert_int_equal(ks_put_thing(&f->c, SPACE_LINK, buf_slice(&key), (slice){0}, NULL), E_OK);
    assert_int_equal(ks_flush(&f->c, 0), E_OK);
    assert_int_equal(ks_delete_thing(&f->c, SPACE_LINK, buf_slice(&key), NULL), E_NOTFOUND);
    assert_int_equal(ks_put_thing(&f->c, SPACE_LINK, buf_slice(&key), (slice){0}, NULL), E_OK);
    assert_int_equal(ks_delete_thing(&f->c, SPACE_LINK, buf_slice(&key), NULL), E_OK);
    buf_fini(&key);
}

static void test_a_batch_of_many_things(void **state)
{
    struct fixture *f = *state;
    struct buf key = {0};
    char name[32];
    static const uint8_t point[8] = {1};
    for (int round = 0; round < 2; round++) {
        ks_begin(&f->c);
        for (int i = 0; i < 3000; i++) {
            (void)snprintf(name, sizeof name, "t%d", i % 1000);
            buf_clear(&key);
            link_key(&key, S("a"), S("knows"), S(name));
            assert_int_equal(ks_put_thing(&f->c, SPACE_LINK, buf_slice(&key), (slice){0}, NULL), E_OK);
            if (i < 10) assert_int_equal(ks_put_thing(&f->c, SPACE_TAG, buf_slice(&key), slice_of(point, 8), NULL), E_OK);
        }
        buf_clear(&key);
        link_key(&key, S("a"), S("knows"), S("t7"));
        assert_int_equal(ks_delete_thing(&f->c, SPACE_LINK, buf_slice(&key), NULL), E_OK);
        assert_int_equal(ks_delete_thing(&f->c, SPACE_LINK, buf_slice(&key), NULL), E_NOTFOUND);
        assert_int_equal(ks_delete_thing(&f->c, SPACE_TAG, buf_slice(&key), NULL), E_OK);
        assert_int_equal(ks_commit(&f->c), E_OK);
    }
    struct version v;
    assert_int_equal(engine_catch_up(f->e, 0), E_OK);
    assert_int_equal(engine_find(f->e, SPACE_LINK, 0, buf_slice(&key), UINT64_MAX, FIND_ALL, &v), E_OK);
    assert_int_equal(v.ver, 8);
    assert_int_equal(engine_find(f->e, SPACE_TAG, 0, buf_slice(&key), UINT64_MAX, FIND_ALL, &v), E_OK);
    assert_int_equal(v.ver, 4);
    buf_fini(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_things_have_versions_and_tombstones),
        WITH_KEYSPACE(test_a_batch_knows_the_things_it_wrote),
        WITH_KEYSPACE(test_links_end_with_their_database),
        WITH_KEYSPACE(test_a_batch_of_many_things),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
