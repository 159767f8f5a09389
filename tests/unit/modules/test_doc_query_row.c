/* A candidate's version: by memory and by the log, at any point; places that order rows as NQL does; links at an instant. */
#include "unit/modules/query_bed.h"

#define KEYS 20

struct seen {
    int err;
    struct buf json;
    uint64_t seq, ver;
};

static struct seen read_at(struct bed *b, const char *key, uint64_t at, bool held)
{
    struct prepared p;
    struct seen s = {0};
    prepare_query(b, &p, "FROM r WHERE _hash = \"x\"");
    p.q.view.at.seq = at;
    engine_db_at(b->server.engine, 0, at, &p.q.view.db);
    p.q.view.held = held;
    ks_enter(&p.c.ks, KS_SHARED, NULL, 0);
    s.err = query_row_read(&p.c, &p.q, slice_str(key));
    if (s.err == E_OK) {
        uint8_t hash[HASH_BYTES];
        buf_add_slice(&s.json, p.q.row.nql.json);
        s.seq = p.q.row.nql.seq, s.ver = p.q.row.nql.ver;
        assert_int_equal(engine_hash(b->server.engine, s.seq, hash), E_OK);
        assert_memory_equal(p.q.row.nql.hash, hash, HASH_BYTES);
    }
    ks_leave(&p.c.ks);
    prepared_fini(&p);
    return s;
}

/* Random writes; at every point both ways say the same as the list kept here. */
static void test_two_ways(void **state)
{
    enum { WRITES = 300 };
    static int value[WRITES + 1][KEYS]; /* by point: -1 none */
    static uint64_t point[WRITES + 1];
    struct bed *b = *state;
    struct rng r = {81};
    char key[16], want[40];
    for (unsigned i = 0; i < KEYS; i++) value[0][i] = -1;
    point[0] = head_of(b);
    for (int w = 1; w <= WRITES; w++) {
        unsigned k = rng_below(&r, KEYS), kind = rng_below(&r, 8);
        memcpy(value[w], value[w - 1], sizeof value[w]);
        if (kind == 0)
            say(b, "DEL r:%u", k), value[w][k] = -1;
        else if (kind == 1)
            say(b, "SET r:%u text", k), value[w][k] = -1;
        else if (w == WRITES / 2)
            say(b, "FLUSHDB"), memset(value[w], -1, sizeof value[w]);
        else
            say(b, "DEL r:%u", k), say(b, "DPUT r:%u '{\"n\":%d}'", k, w), value[w][k] = w;
        point[w] = head_of(b);
    }
    for (int w = 0; w <= WRITES; w += w < WRITES - 8 ? 7 : 1)
        for (unsigned k = 0; k < KEYS; k++)
            for (int held = 0; held < 2; held++) {
                snprintf(key, sizeof key, "r:%u", k);
                snprintf(want, sizeof want, "{\"n\":%d}", value[w][k]);
                struct seen s = read_at(b, key, point[w], held);
                assert_int_equal(s.err, value[w][k] < 0 ? E_NOTFOUND : E_OK);
                if (s.err == E_OK) assert_true(slice_is(buf_slice(&s.json), want) && s.seq <= point[w]);
                buf_fini(&s.json);
            }
}

/* Places compare as bytes the way rows compare by NQL, for any values and keys. */
static void test_places(void **state)
{
    enum { ROWS = 120 };
    static const char *const orders[] = {"FROM r", "FROM r ORDER BY a", "FROM r ORDER BY a DESC, b", "FROM r ORDER BY b, a DESC"};
    struct bed *b = *state;
    struct rng r = {91};
    struct buf json[ROWS] = {{0}}, place[ROWS] = {{0}};
    char keys[ROWS][24];
    for (size_t i = 0; i < ROWS; i++) {
        buf_add_str(&json[i], "{\"a\":");
        gen_value(&r, &json[i], 2);
        if (rng_below(&r, 2)) buf_printf(&json[i], ",\"b\":%d", (int)rng_below(&r, 3));
        buf_add_str(&json[i], "}");
        snprintf(keys[i], sizeof keys[i], "r:%u%c%zu", rng_below(&r, 3), 1 + (int)rng_below(&r, 3), i);
    }
    for (size_t o = 0; o < 4; o++) {
        struct prepared p;
        struct nql_row rows[ROWS];
        prepare_query(b, &p, orders[o]);
        for (size_t i = 0; i < ROWS; i++) {
            rows[i] = p.q.row.nql = (struct nql_row){.json = buf_slice(&json[i]), .key = slice_str(keys[i])};
            query_row_place(&p.q, &place[i]);
        }
        for (size_t i = 0; i < ROWS; i++)
            for (size_t k = 0; k < ROWS; k++) {
                int by_bytes = slice_cmp(buf_slice(&place[i]), buf_slice(&place[k])),
                    by_nql = nql_compare_rows(p.q.nql, &rows[i], &rows[k]);
                assert_int_equal((by_bytes > 0) - (by_bytes < 0), (by_nql > 0) - (by_nql < 0));
                assert_int_equal(by_bytes == 0, i == k);
            }
        prepared_fini(&p);
    }
    for (size_t i = 0; i < ROWS; i++) buf_fini(&json[i]), buf_fini(&place[i]);
}

/* Links are in the order of their parts, zero bytes and all: a shorter part comes before a longer one that begins so. */
static void test_places_of_links(void **state)
{
    static const slice parts[] = {{(const uint8_t *)"a", 1},     {(const uint8_t *)"a\0", 2}, {(const uint8_t *)"a\0\0", 3},
                                  {(const uint8_t *)"a\0\1", 3}, {(const uint8_t *)"a\1", 2}, {(const uint8_t *)"aa", 2},
                                  {(const uint8_t *)"\xff", 1}};
    enum { N = sizeof parts / sizeof *parts };
    struct bed *b = *state;
    struct prepared p;
    struct buf before = {0}, place = {0};
    prepare_query(b, &p, "FROM __links__");
    for (size_t f = 0; f < N; f++)
        for (size_t r = 0; r < N; r++)
            for (size_t t = 0; t < N; t++) {
                p.q.row.nql = (struct nql_row){.key = slice_str("[]"), .from = parts[f], .rel = parts[r], .to = parts[t]};
                query_row_place(&p.q, &place);
                assert_true(slice_cmp(buf_slice(&before), buf_slice(&place)) < 0);
                buf_clear(&before);
                buf_add_slice(&before, buf_slice(&place));
            }
    buf_fini(&before), buf_fini(&place);
    prepared_fini(&p);
}

static uint64_t link_seq(struct bed *b, uint64_t at, int64_t instant)
{
    struct prepared p;
    struct buf key = {0}, mem = {0};
    struct node n;
    prepare_query(b, &p, "FROM __links__");
    p.q.view.at.seq = at;
    p.q.view.valid_at = instant;
    engine_db_at(b->server.engine, 0, at, &p.q.view.db);
    link_key(&key, slice_str("a"), slice_str("r"), slice_str("b"));
    int err = query_link_at(&p.c, &p.q.view, buf_slice(&key), &mem, &n);
    uint64_t seq = err == E_OK ? n.seq : 0;
    assert_true(err == E_OK || err == E_NOTFOUND);
    buf_fini(&key), buf_fini(&mem);
    prepared_fini(&p);
    return seq;
}

static void test_links_at_an_instant(void **state)
{
    struct bed *b = *state;
    uint64_t seq[5];
    say(b, "DPUT a 1");
    say(b, "DPUT b 1");
    assert_int_equal(link_seq(b, head_of(b), KS_ANY_VALID), 0);
    say(b, "DLINK a r b VALID 10 20"), seq[0] = head_of(b);
    say(b, "DLINK a r b VALID 15 30"), seq[1] = head_of(b);
    assert_int_equal(link_seq(b, seq[1], KS_ANY_VALID), seq[1]);
    assert_int_equal(link_seq(b, seq[1], 9), 0);
    assert_int_equal(link_seq(b, seq[1], 10), seq[0]);
    assert_int_equal(link_seq(b, seq[1], 15), seq[1]);
    assert_int_equal(link_seq(b, seq[0], 15), seq[0]);
    assert_int_equal(link_seq(b, seq[1], 30), 0);
    say(b, "DUNLINK a r b"), seq[2] = head_of(b);
    assert_int_equal(link_seq(b, seq[2], 12), 0); /* what was before an end does not come back */
    say(b, "DLINK a r b PROPS {}"), seq[3] = head_of(b);
    assert_int_equal(link_seq(b, seq[3], 12), seq[3]);
    say(b, "FLUSHDB"), seq[4] = head_of(b);
    assert_int_equal(link_seq(b, seq[4], 12), 0);
    assert_int_equal(link_seq(b, seq[3], 12), seq[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_two_ways),
        WITH_SERVER(test_places),
        WITH_SERVER(test_places_of_links),
        WITH_SERVER(test_links_at_an_instant),
    };
    return cmocka_run_group_tests_name("doc_query_row", tests, NULL, NULL);
}
