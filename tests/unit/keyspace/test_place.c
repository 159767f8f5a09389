#include "unit/keyspace/keyspace_fixture.h"

static struct line *line(struct fixture *f)
{
    return ks_line(f->ks, f->ks->map[0]);
}

static void test_memory_first_then_index(void **state)
{
    struct fixture *f = *state;
    struct place p;
    put(f, "k", "v");
    place_find(&f->c, line(f), S("k"), &p);
    assert_non_null(p.e);
    ks_drop_cache(&f->c);
    place_find(&f->c, line(f), S("k"), &p);
    assert_null(p.e);
    assert_int_equal(place_head(&f->c, line(f), S("k"), &p), E_OK);
    assert_non_null(p.e);
    assert_false(p.e->marks & ENTRY_LOADED);
    assert_int_equal(place_load(&f->c, &p), E_OK);
    assert_memory_equal(entry_value(p.e).p, "v", 1);
    assert_int_equal(place_head(&f->c, line(f), S("never"), &p), E_OK);
    assert_null(p.e);
}

/* After start, nodes that are in no run yet are found all the same; a checkpoint ends the long way round. */
static void test_what_was_forgotten_is_asked_of_the_whole_index(void **state)
{
    struct fixture *f = *state;
    put(f, "k", "1");
    put(f, "k", "2");
    ks_forget(f->ks, f->c.last_seq);
    assert_int_equal(ks_flush(&f->c, 1), E_OK);
    assert_true(f->ks->forgot >= f->c.last_seq);
    struct line *l = line(f);
    f->ks->entry_bytes -= l->tables[0].bytes;
    table_fini(&l->tables[0]);
    assert_value(f, "k", "2");
    assert_int_equal(engine_checkpoint(f->e), E_OK);
    struct place p;
    assert_int_equal(place_head(&f->c, line(f), S("other"), &p), E_OK);
    assert_int_equal(f->ks->forgot, 0);
}

static void test_prefetching_changes_nothing(void **state)
{
    struct fixture *f = *state;
    slice keys[200];
    char names[200][16];
    put(f, "k7", "v");
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        keys[i] = S(names[i]);
    }
    ks_prefetch(&f->c, keys, 200);
    ks_prefetch(&f->c, NULL, 0);
    assert_value(f, "k7", "v");
}

static void test_the_hash_of_a_cold_head_comes_from_the_log(void **state)
{
    struct fixture *f = *state;
    struct receipt r;
    struct place p;
    uint8_t hash[HASH_BYTES];
    struct ks_write w = {.receipt = &r, .want_hash = true};
    assert_int_equal(ks_put(&f->c, S("k"), TYPE_STRING, S("v"), &w), E_OK);
    ks_drop_cache(&f->c);
    assert_int_equal(place_head(&f->c, line(f), S("k"), &p), E_OK);
    assert_int_equal(place_hash(&f->c, &p, hash), E_OK);
    assert_memory_equal(hash, r.hash, HASH_BYTES);
    assert_int_equal(place_head(&f->c, line(f), S("none"), &p), E_OK);
    assert_int_equal(place_hash(&f->c, &p, hash), E_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(test_memory_first_then_index),
        WITH_KEYSPACE(test_what_was_forgotten_is_asked_of_the_whole_index),
        WITH_KEYSPACE(test_prefetching_changes_nothing),
        WITH_KEYSPACE(test_the_hash_of_a_cold_head_comes_from_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
