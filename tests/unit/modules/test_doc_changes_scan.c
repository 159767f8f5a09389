/* Events by the log and by one key's versions: the same ones, whole commits, in turns of bounded work, behind every point. */
#include "unit/modules/doc_bed.h"

#include "modules/doc/changes.h"

#define EVENTS_MAX 12000

/* The rows so far, which are few. */
static slice rows_of(const struct feed *f)
{
    return f->maps.pile ? buf_slice(reply_pile_open(f->maps.pile)) : (slice){0};
}

static void feed_begin(struct bed *b, struct feed *f, enum feed_filter filter, const char *word, uint64_t after, uint64_t count)
{
    struct db_view db;
    assert_int_equal(engine_catch_up(b->server.engine, 0), E_OK);
    engine_db_at(b->server.engine, 0, head_of(b), &db);
    *f = (struct feed){.filter = filter,
                       .word = slice_str(word),
                       .after = after,
                       .at = after,
                       .base = after,
                       .count = count,
                       .limit = head_of(b),
                       .head = head_of(b),
                       .lineage = db.lineage,
                       .flushed = db.flushed,
                       .upto = DOC_NOW};
}

static void feed_end(struct feed *f)
{
    change_cursor_close(&f->log);
    node_maps_fini(&f->maps);
    buf_fini(&f->raws);
    buf_fini(&f->name);
}

static size_t seqs_of(struct feed *f, uint64_t *seq, size_t max)
{
    struct buf text = {0};
    buf_add_slice(&text, rows_of(f));
    size_t n = numbers_after(plain(&text), "$3 seq :", seq, max);
    assert_int_equal(n, f->maps.n); /* all of them lie in the open piece */
    buf_fini(&text);
    return n;
}

static void write_some(struct bed *b, struct rng *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned k = rng_below(r, 6);
        switch (rng_below(r, 10)) {
        case 0: say(b, "DEL k:%u", k); break;
        case 1: say(b, "SET k:%u text", k); break;
        case 2: say(b, "DEL k:%u k:%u", k, (k + 1) % 6), say(b, "DMPUT 3 k:%u 1 * k:%u 2 * o:%u 3 *", k, (k + 1) % 6, k); break;
        case 3: say(b, "EXPIRE k:%u 1000", k); break;
        case 4:
            if (rng_below(r, 8) == 0) say(b, "FLUSHDB");
            break;
        case 5: say(b, "SET other %u", i); break;
        default: say(b, "DEL k:%u", k), say(b, "DPUT k:%u %u", k, i);
        }
    }
}

/* One key: by its versions and by the log, in pages of every size, the same events and the same places to go on from. */
static void test_two_ways(void **state)
{
    static uint64_t a[EVENTS_MAX], c[EVENTS_MAX];
    struct bed *b = *state;
    struct rng r = {141};
    write_some(b, &r, 250);
    for (unsigned k = 0; k < 6; k++)
        for (uint64_t count = 1; count < 80; count += 1 + count / 2) {
            char word[8];
            uint64_t after = 0;
            snprintf(word, sizeof word, "k:%u", k);
            for (unsigned page = 0;; page++) {
                struct feed scan, versions;
                struct call call = probe(b, NULL, 0);
                int r1, r2;
                feed_begin(b, &scan, FEED_KEY, word, after, count);
                feed_begin(b, &versions, FEED_KEY, word, after, count);
                while ((r1 = feed_scan(&call, &scan)) == E_AGAIN) continue;
                while ((r2 = feed_versions(&call, &versions)) == E_AGAIN) continue;
                assert_true((r1 == E_OK || r1 == E_END) &&
                            (r2 == E_OK || r2 == E_END)); /* the log has more, though perhaps nothing of this key */
                size_t n = seqs_of(&scan, a, EVENTS_MAX), m = seqs_of(&versions, c, EVENTS_MAX);
                assert_int_equal(n, m);
                assert_memory_equal(a, c, n * sizeof *a);
                assert_int_equal(scan.maps.n, versions.maps.n);
                assert_true(slice_eq(rows_of(&scan), rows_of(&versions)));
                assert_true(page == 0 || n == 0 || a[0] > after);
                after = scan.at < versions.at ? scan.at : versions.at; /* either is the end of a commit before the next event */
                feed_end(&scan), feed_end(&versions);
                if (r1 == E_END) break;
                assert_true(page < 1000);
            }
        }
}

/* A commit is never parted: COUNT is passed by so many rows as its commit has left, and no more. */
static void test_whole_commits(void **state)
{
    static uint64_t seq[EVENTS_MAX];
    struct bed *b = *state;
    for (unsigned i = 0; i < 40; i++) {
        if (i % 3)
            say(b, "DMPUT 4 a 1 * b 2 * c 3 * d 4 *");
        else
            say(b, "DPUT a %u", i);
    }
    for (uint64_t count = 1; count < 12; count++) {
        uint64_t after = 0;
        int r = E_OK;
        for (size_t all = 0; r != E_END;) {
            struct feed f;
            struct call c = probe(b, NULL, 0);
            uint64_t first, last;
            feed_begin(b, &f, FEED_ALL, "", after, count);
            while ((r = feed_scan(&c, &f)) == E_AGAIN) continue;
            assert_true(r == E_OK || r == E_END);
            size_t n = seqs_of(&f, seq, EVENTS_MAX);
            for (size_t i = 0; i < n; i++) assert_int_equal(seq[i], after + 1 + i);
            if (r == E_OK) {
                assert_true(n >= count && n < count + 4);
                assert_int_equal(f.at, seq[n - 1]);
                assert_int_equal(engine_commit_of(b->server.engine, f.at, &first, &last), E_OK);
                assert_int_equal(f.at, last);
            }
            all += n;
            after = f.at;
            if (r == E_END) assert_int_equal(all, head_of(b));
            feed_end(&f);
        }
    }
}

/* Nodes that are not wanted cost turns, too; each turn looks at so many and no more. */
static void test_turns(void **state)
{
    struct bed *b = *state;
    struct buf commands = {0};
    struct call c = probe(b, NULL, 0);
    struct feed f;
    unsigned n = 2 * FEED_SLICE_NODES + 100, turns = 0;
    for (unsigned i = 0; i < n; i++) buf_printf(&commands, "SET x:%u 1\r\n", i % 1000);
    say_all(b, &commands, n);
    say(b, "DPUT last 1");
    feed_begin(b, &f, FEED_PREFIX, "last", 0, 10);
    uint64_t before = 0;
    int r;
    for (; (r = feed_scan(&c, &f)) == E_AGAIN; turns++) {
        assert_true(f.at - before <= FEED_SLICE_NODES && f.at > before);
        before = f.at;
    }
    assert_int_equal(r, E_END);
    assert_int_equal(turns, 2);
    assert_int_equal(f.maps.n, 1);
    feed_end(&f);
    feed_begin(b, &f, FEED_ALL, "", 0, 100000); /* and rows, too */
    turns = 0;
    for (size_t rows = 0; (r = feed_scan(&c, &f)) == E_AGAIN; turns++) {
        assert_true(f.maps.n - rows <= FEED_SLICE_ROWS + FEED_BATCH);
        rows = f.maps.n;
    }
    assert_int_equal(r, E_END);
    assert_int_equal(f.maps.n, n + 1);
    assert_true(turns >= n / (FEED_SLICE_ROWS + FEED_BATCH));
    feed_end(&f);
    buf_fini(&commands);
}

/* A document that another type takes the place of has ended for its collection; its successor's value is not the collection's. */
static void test_replaced_documents(void **state)
{
    struct bed *b = *state;
    struct call c = probe(b, NULL, 0);
    struct feed f;
    uint64_t seq[8];
    say(b, "DPUT k:1 1");
    say(b, "SET k:1 secret");
    uint64_t ended = head_of(b);
    say(b, "SET k:1 more");
    say(b, "SET k:2 text");
    feed_begin(b, &f, FEED_COLLECTION, "k", ended - 1, 100);
    f.maps.with_data = true;
    int r;
    while ((r = feed_scan(&c, &f)) == E_AGAIN) continue;
    assert_int_equal(r, E_END);
    assert_int_equal(seqs_of(&f, seq, 8), 1);
    assert_int_equal(seq[0], ended);
    assert_null(memmem(rows_of(&f).p, rows_of(&f).n, "secret", 6));
    assert_true(f.maps.with_data);
    feed_end(&f);
    feed_begin(b, &f, FEED_PREFIX, "k:", ended - 1, 100);
    f.maps.with_data = true;
    while ((r = feed_scan(&c, &f)) == E_AGAIN) continue;
    assert_int_equal(seqs_of(&f, seq, 8), 3);
    assert_non_null(memmem(rows_of(&f).p, rows_of(&f).n, "secret", 6));
    feed_end(&f);
}

/* How far back: a collection's feed does not mind what strings have lost, a key's not what others have. */
static void test_horizons(void **state)
{
    struct bed *b = *state;
    struct call c = probe(b, NULL, 0);
    struct feed f;
    uint64_t all, coll, quiet, busy;
    say(b, "DPUT d:1 1");
    say(b, "SET quiet 1");
    for (int i = 0; i < 20; i++) say(b, "SET busy %d", i);
    say(b, "DCOMPACT KEEP 1");
    feed_begin(b, &f, FEED_ALL, "", 0, 10);
    assert_int_equal(feed_horizon(&c, &f, &all), E_OK);
    f.filter = FEED_COLLECTION;
    assert_int_equal(feed_horizon(&c, &f, &coll), E_OK);
    f.filter = FEED_KEY, f.word = slice_str("quiet");
    assert_int_equal(feed_horizon(&c, &f, &quiet), E_OK);
    f.word = slice_str("busy");
    assert_int_equal(feed_horizon(&c, &f, &busy), E_OK);
    assert_true(all > 0 && all <= head_of(b));
    assert_int_equal(coll, 0);
    assert_int_equal(quiet, 0);
    assert_true(busy > 2 && busy <= head_of(b));
    feed_end(&f);
}

/* A tag holds a version below ones that went: the feed of the key is whole up to the gap, and behind it. A walk from 0 passes it. */
static void test_gaps(void **state)
{
    struct bed *b = *state;
    struct call c = probe(b, NULL, 0);
    struct feed f;
    uint64_t seq[8], good;
    say(b, "SET other 1");
    for (int i = 0; i < 3; i++) say(b, "DPUT k %d", i); /* 2 to 4 */
    say(b, "DTAG SET t");                               /* 5 */
    for (int i = 0; i < 3; i++) say(b, "DPUT k %d", i); /* 6 to 8 */
    say(b, "DCOMPACT KEEP 1");
    for (int whole = 0; whole < 2; whole++) {
        feed_begin(b, &f, FEED_KEY, "k", 4, 10);
        f.whole = whole;
        assert_int_equal(feed_horizon(&c, &f, &good), E_OK);
        assert_int_equal(good, 4);
        assert_int_equal(feed_good_from(&c, &f, &good), E_OK);
        assert_int_equal(good, 7);
        assert_int_equal(feed_walk_end(&c, &f), 7);
        assert_int_equal(feed_versions(&c, &f), whole ? E_END : E_PRUNED);
        assert_int_equal(seqs_of(&f, seq, 8), whole);
        feed_end(&f);
    }
    feed_begin(b, &f, FEED_KEY, "k", 3, 1); /* a page that is full before it */
    assert_int_equal(feed_versions(&c, &f), E_OK);
    assert_int_equal(seqs_of(&f, seq, 8), 1);
    assert_int_equal(f.at, 5);
    feed_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_two_ways),           WITH_SERVER(test_whole_commits), WITH_SERVER(test_turns),
        WITH_SERVER(test_replaced_documents), WITH_SERVER(test_horizons),     WITH_SERVER(test_gaps),
    };
    return cmocka_run_group_tests_name("doc_changes_scan", tests, NULL, NULL);
}
