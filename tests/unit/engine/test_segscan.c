/* Walking records, finding back behind damage, and what a lost write looks like. */
#include "logwork.h"

#include "engine/segscan.h"

struct bed {
    struct os *os;
    struct os_file *f;
    struct buf bytes;
    uint64_t at[200]; /* offset of each seq */
};

static void lay(struct bed *b, uint64_t seqs, size_t zeros)
{
    *b = (struct bed){.os = os_sim_new(2)};
    assert_int_equal(os_open(b->os, "/f", OS_WRITE, &b->f), E_OK);
    for (uint64_t seq = 1; seq <= seqs; seq++) {
        b->at[seq] = b->bytes.n;
        work_add(&b->bytes, seq);
    }
    b->at[seqs + 1] = b->bytes.n;
    assert_int_equal(os_write(b->os, b->f, 0, b->bytes.p, b->bytes.n), E_OK);
    assert_int_equal(os_extend(b->os, b->f, b->bytes.n + zeros), E_OK);
}

static void lift(struct bed *b)
{
    os_close(b->os, &b->f);
    buf_fini(&b->bytes);
    os_free(&b->os);
}

static void zero(struct bed *b, uint64_t from, uint64_t to)
{
    uint8_t z[4096] = {0};
    assert_true(to - from <= sizeof z);
    assert_int_equal(os_write(b->os, b->f, from, z, to - from), E_OK);
}

static void test_walk(void **state)
{
    struct bed b;
    struct segscan s;
    struct segscan_record r;
    lay(&b, 100, 400);
    segscan_init(&s, b.os, b.f, 0, b.bytes.n + 400);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        assert_int_equal(segscan_next(&s, &r), E_OK);
        assert_true(r.seq == seq && r.offset == b.at[seq] && r.size == b.at[seq + 1] - b.at[seq] && work_is(seq, r.node));
        assert_int_equal(r.more, seq != work_commit_last(seq));
        assert_int_equal(segscan_holds(&s), seq < 100); /* all of it is in one buffer, and nothing is behind it */
    }
    assert_int_equal(segscan_next(&s, &r), E_END);
    assert_int_equal(s.at, b.bytes.n);
    uint64_t used;
    assert_int_equal(segscan_resync(&s, 1, 1000, &used), E_END);
    assert_true(used == s.at && s.at == b.bytes.n);
    segscan_fini(&s);
    segscan_init(&s, b.os, b.f, b.at[100], b.at[101] - 4); /* a limit inside a record */
    assert_int_equal(segscan_next(&s, &r), E_CORRUPT);
    segscan_fini(&s);
    lift(&b);
}

static void test_resync(void **state)
{
    struct bed b;
    struct segscan s;
    struct segscan_record r;
    uint64_t used;
    lay(&b, 100, 64);
    for (uint64_t seq = 1; seq < 100; seq++) {
        assert_int_equal(os_sim_flip(b.os, "/f", b.at[seq] + seq % 20, seq % 8), E_OK);
        segscan_init(&s, b.os, b.f, b.at[seq], b.bytes.n + 64);
        assert_int_equal(segscan_next(&s, &r), E_CORRUPT);
        assert_int_equal(segscan_resync(&s, seq, 200, &used), E_OK);
        assert_int_equal(s.at, b.at[seq + 1]);
        s.at = b.at[seq];
        assert_int_equal(segscan_resync(&s, seq + 10, 200, &used), seq + 10 <= 100 ? E_OK : E_END); /* only what can follow */
        if (seq + 10 <= 100) assert_int_equal(s.at, b.at[seq + 10]);
        segscan_fini(&s);
        assert_int_equal(os_sim_flip(b.os, "/f", b.at[seq] + seq % 20, seq % 8), E_OK);
    }
    os_sim_set(b.os, &(struct os_sim_faults){.fail_read_at = 1});
    segscan_init(&s, b.os, b.f, b.at[5] + 4, b.bytes.n);
    assert_int_equal(segscan_resync(&s, 1, 200, &used), E_IO);
    segscan_fini(&s);
    lift(&b);
}

static void test_hole(void **state)
{
    struct bed b;
    struct segscan s;
    bool hole;
    lay(&b, 120, 64);
    segscan_init(&s, b.os, b.f, b.at[7], b.bytes.n + 64);
    assert_int_equal(os_sim_flip(b.os, "/f", b.at[7] + 30, 1), E_OK); /* decay */
    assert_int_equal(segscan_is_hole(&s, &hole), E_OK);
    assert_false(hole);
    segscan_fini(&s);
    uint64_t word = 9; /* a length word alone, far from a border: no write ends so */
    while (b.at[word] % 512 > 300) word++;
    zero(&b, b.at[word], b.at[word] + 4);
    segscan_init(&s, b.os, b.f, b.at[word], b.bytes.n + 64);
    assert_int_equal(segscan_is_hole(&s, &hole), E_OK);
    assert_false(hole);
    segscan_fini(&s);
    segscan_init(&s, b.os, b.f, b.at[20], b.bytes.n + 64);
    zero(&b, b.at[20], b.at[22]); /* a whole write is missing */
    assert_int_equal(segscan_is_hole(&s, &hole), E_OK);
    assert_true(hole);
    segscan_fini(&s);
    uint64_t torn = 30; /* a record with a sector border inside, lost from there on */
    while (b.at[torn] / 512 == (b.at[torn + 1] - 1) / 512) torn++;
    uint64_t border = (b.at[torn] / 512 + 1) * 512;
    zero(&b, border, b.at[torn + 3]);
    segscan_init(&s, b.os, b.f, b.at[torn], b.bytes.n + 64);
    assert_int_equal(segscan_is_hole(&s, &hole), E_OK);
    assert_true(hole);
    segscan_fini(&s);
    lift(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_walk), cmocka_unit_test(test_resync), cmocka_unit_test(test_hole)};
    log_set_level(LOG_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
