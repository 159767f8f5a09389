/* What a reader that wakes is told: never "no news" when there are some, and "no news" where they are for others. */
#include "unit/modules/doc_bed.h"

#include "modules/doc/changes.h"

static bool no_news(struct bed *b, enum feed_filter filter, const char *word, uint64_t at, uint64_t limit)
{
    struct call c = probe(b, NULL, 0);
    struct db_view db;
    assert_int_equal(engine_catch_up(b->server.engine, 0), E_OK);
    engine_db_at(b->server.engine, 0, limit, &db);
    struct feed f = {
        .filter = filter, .word = slice_str(word), .at = at, .limit = limit, .lineage = db.lineage, .flushed = db.flushed};
    return feed_no_news(&c, &f);
}

static void test_filters(void **state)
{
    struct bed *b = *state;
    say(b, "DPUT a:1 1"), say(b, "DPUT b:1 1");
    uint64_t at = head_of(b);
    say(b, "DPUT a:2 1"), say(b, "SET a:3 text"), say(b, "DLINK a:1 r b:1");
    say(b, "SELECT 1"), say(b, "DPUT z:1 1"), say(b, "SELECT 0");
    uint64_t to = head_of(b);
    for (int again = 0; again < 2; again++) { /* the second time from what is kept */
        assert_false(no_news(b, FEED_ALL, "", at, to));
        assert_false(no_news(b, FEED_COLLECTION, "a", at, to));
        assert_true(no_news(b, FEED_COLLECTION, "b", at, to));
        assert_true(no_news(b, FEED_COLLECTION, "", at, to));
        assert_true(no_news(b, FEED_COLLECTION, "z", at, to)); /* another database's */
        assert_false(no_news(b, FEED_PREFIX, "a:", at, to));
        assert_false(no_news(b, FEED_PREFIX, "a:3", at, to));
        assert_true(no_news(b, FEED_PREFIX, "a:4", at, to));
        assert_true(no_news(b, FEED_PREFIX, "b", at, to)); /* links are of the key they come from */
        assert_false(no_news(b, FEED_KEY, "a:2", at, to));
        assert_true(no_news(b, FEED_KEY, "a:1", at, to)); /* a link is no version of its key */
        assert_true(no_news(b, FEED_ALL, "", to, to));
    }
}

/* A reader that has come further than another uses the same news, from its own place on. */
static void test_each_from_its_place(void **state)
{
    struct bed *b = *state;
    uint64_t seq[20];
    say(b, "DPUT x 1");
    uint64_t at = head_of(b);
    for (unsigned i = 0; i < 20; i++) say(b, "DPUT k%02u 1", i), seq[i] = head_of(b);
    for (unsigned i = 0; i < 20; i++)
        for (unsigned k = 0; k < 20; k++) {
            char key[8];
            snprintf(key, sizeof key, "k%02u", k);
            assert_int_equal(no_news(b, FEED_KEY, key, i ? seq[i - 1] : at, seq[19]), k < i);
        }
    assert_true(no_news(b, FEED_KEY, "k15", at, seq[10])); /* another end: gathered anew */
    assert_false(no_news(b, FEED_KEY, "k15", at, seq[19]));
    assert_false(no_news(b, FEED_KEY, "k03", at, seq[5]));
}

/* More than is kept, or longer: the reader has to look itself, wanted or not. At the border they are kept. */
static void test_limits(void **state)
{
    struct bed *b = *state;
    char name[4200];
    say(b, "DPUT x 1");
    for (unsigned n = 31; n <= 33; n++) {
        uint64_t at = head_of(b);
        for (unsigned i = 0; i < n; i++) say(b, "SET many %u", i);
        assert_int_equal(no_news(b, FEED_KEY, "other", at, head_of(b)), n <= 32);
        assert_false(no_news(b, FEED_KEY, "many", at, head_of(b)));
    }
    for (unsigned bytes = 4095; bytes <= 4097; bytes++) {
        uint64_t at = head_of(b);
        memset(name, 'n', bytes);
        name[bytes] = 0;
        say(b, "SET %s 1", name);
        assert_int_equal(no_news(b, FEED_KEY, "other", at, head_of(b)), bytes <= 4096);
        assert_false(no_news(b, FEED_KEY, name, at, head_of(b)));
    }
    uint64_t at = head_of(b);
    name[2048] = 0;
    say(b, "SET %s 1", name), say(b, "SET %s 2", name); /* together just as long as may be */
    assert_true(no_news(b, FEED_KEY, "other", at, head_of(b)));
    say(b, "SET o 1");
    assert_false(no_news(b, FEED_KEY, "other", at, head_of(b)));
}

/* What happens to the database as a whole is news for everybody in it. */
static void test_whole_databases(void **state)
{
    static const char *const events[] = {"FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "SWAPDB 2 0"};
    struct bed *b = *state;
    for (size_t i = 0; i < 4; i++) {
        say(b, "DPUT x 1");
        uint64_t at = head_of(b);
        say(b, "%s", events[i]);
        for (int filter = FEED_ALL; filter <= FEED_KEY; filter++)
            assert_false(no_news(b, (enum feed_filter)filter, "nothing", at, head_of(b)));
    }
    uint64_t at = head_of(b);
    say(b, "SWAPDB 3 4");
    say(b, "SELECT 5"), say(b, "SET s 1"), say(b, "FLUSHDB"), say(b, "SELECT 0");
    say(b, "DTAG SET t"), say(b, "DINDEX CREATE c p"), say(b, "DRETAIN SET 'zz*' VERSIONS 3");
    assert_true(no_news(b, FEED_ALL, "", at, head_of(b)));
}

/* News of a store that was closed are not another one's. */
static void test_another_store(void **state)
{
    struct bed *b = *state;
    say(b, "DPUT first 1"), say(b, "DPUT second 1");
    assert_true(no_news(b, FEED_KEY, "third", 1, 2));
    void *other;
    assert_int_equal(bed_up(&other), 0);
    struct bed *o = other;
    say(o, "DPUT first 1"), say(o, "DPUT third 1");
    assert_false(no_news(o, FEED_KEY, "third", 1, 2));
    assert_true(no_news(o, FEED_KEY, "second", 1, 2));
    assert_int_equal(bed_down(&other), 0);
    assert_false(no_news(b, FEED_KEY, "second", 1, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_filters),         WITH_SERVER(test_each_from_its_place), WITH_SERVER(test_limits),
        WITH_SERVER(test_whole_databases), WITH_SERVER(test_another_store),
    };
    return cmocka_run_group_tests_name("doc_changes_news", tests, NULL, NULL);
}
