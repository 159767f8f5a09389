/* Loading versions: their state as the key goes on, hashes two ways, values that have to be rebuilt. */
#include "unit/modules/doc_bed.h"

#include "modules/doc/node_map.h"

static enum doc_state state_of(struct bed *b, uint64_t seq, bool *pruned)
{
    struct call c = probe(b, NULL, 0);
    struct doc_view v = {0};
    assert_int_equal(doc_view_load(&c, seq, &v), E_OK);
    assert_int_equal(v.seq, seq);
    if (pruned) *pruned = v.pruned;
    doc_view_fini(&v);
    return v.state;
}

static void test_states(void **state)
{
    struct bed *b = *state;
    bool pruned;
    say(b, "DPUT k 1");
    uint64_t first = head_of(b);
    assert_int_equal(state_of(b, first, NULL), DOC_LIVE);
    say(b, "DPUT k 2");
    uint64_t second = head_of(b);
    assert_int_equal(state_of(b, first, NULL), DOC_OLD);
    assert_int_equal(state_of(b, second, NULL), DOC_LIVE);
    say(b, "DDEL k");
    uint64_t gone = head_of(b);
    assert_int_equal(state_of(b, second, NULL), DOC_OLD);
    assert_int_equal(state_of(b, gone, NULL), DOC_DELETED);
    say(b, "DPUT k 3");
    uint64_t third = head_of(b);
    say(b, "DPUT x 3");
    say(b, "DLINK k r x");
    uint64_t link = head_of(b);
    assert_int_equal(state_of(b, link, NULL), DOC_LIVE);
    say(b, "DTAG SET t");
    uint64_t tag = head_of(b);
    say(b, "FLUSHALL");
    assert_int_equal(state_of(b, third, NULL), DOC_OLD); /* hidden by the flush, though its key has none newer */
    assert_int_equal(state_of(b, link, NULL), DOC_OLD);
    assert_int_equal(state_of(b, tag, NULL), DOC_LIVE); /* a flush does not reach tags */
    assert_int_equal(state_of(b, head_of(b), NULL), DOC_LIVE);
    say(b, "DTAG DEL t");
    say(b, "DCOMPACT KEEP 1");
    assert_int_equal(state_of(b, first, &pruned), DOC_PRUNED);
    assert_true(pruned);
}

/* Asked at once, before the index has heard of it: what ended the version came a moment ago. */
static void test_ended_a_moment_ago(void **state)
{
    struct bed *b = *state;
    for (int i = 0; i < 50; i++) {
        say(b, "DPUT a 1");
        say(b, "DPUT b 1");
        say(b, "DLINK a r b");
        uint64_t link = head_of(b);
        say(b, "DUNLINK a r b");
        assert_int_equal(state_of(b, link, NULL), DOC_OLD);
        say(b, "FLUSHDB");
        assert_int_equal(state_of(b, link - 1, NULL), DOC_OLD);
    }
}

static void test_expired_is_not_live(void **state)
{
    struct bed *b = *state;
    say(b, "DPUT k 1 PX 100000");
    uint64_t seq = head_of(b);
    assert_int_equal(state_of(b, seq, NULL), DOC_LIVE);
    struct call c = probe(b, NULL, 0);
    struct doc_view v = {0};
    c.ks.now_ms += 100001;
    assert_int_equal(doc_view_load(&c, seq, &v), E_OK);
    assert_int_equal(v.state, DOC_OLD);
    c.ks.now_ms -= 2000;
    assert_int_equal(doc_view_load(&c, seq, &v), E_OK); /* the buffer is used again */
    assert_int_equal(v.state, DOC_LIVE);
    doc_view_fini(&v);
}

/* Short nodes are hashed anew, long ones looked up in the tree: around the border both say the same, and what the writer was told. */
static void test_hashes(void **state)
{
    struct bed *b = *state;
    for (unsigned bytes = 300; bytes < 700; bytes += 7) {
        const char *reply = say(b, "DPUT k:%u '\"%0*u\"'", bytes, (int)bytes, bytes);
        uint64_t seq = (uint64_t)number_after(reply, "*2 :");
        uint8_t said[HASH_BYTES], tree[HASH_BYTES];
        assert_true(hex_decode(said, strstr(reply, "$64 ") + 4, HASH_BYTES));
        struct call c = probe(b, NULL, 0);
        struct doc_view v = {0};
        assert_int_equal(doc_view_load(&c, seq, &v), E_OK);
        assert_memory_equal(v.hash, said, HASH_BYTES);
        assert_int_equal(doc_node_hash(&c, seq, (slice){0}, tree), E_OK);
        assert_memory_equal(tree, said, HASH_BYTES);
        doc_view_fini(&v);
    }
}

static void check_data(struct bed *b, uint64_t seq, int want_code, const char *want, size_t want_bytes)
{
    struct call c = probe(b, NULL, 0);
    struct doc_view v = {0};
    struct buf mem = {0};
    slice data = {0};
    assert_int_equal(doc_view_load(&c, seq, &v), E_OK);
    assert_int_equal(doc_view_data(&c, &v, &mem, &data), want_code);
    if (want_code == E_OK) {
        assert_int_equal(data.n, want_bytes);
        assert_memory_equal(data.p, want, strlen(want));
    }
    buf_fini(&mem);
    doc_view_fini(&v);
}

/* Splices of long strings and changes of expiry alone hold no value of their own: it is rebuilt as of that version. */
static void test_rebuilt_values(void **state)
{
    struct bed *b = *state;
    uint64_t seq[21], touched;
    say(b, "SET s %0*d", 2000, 0);
    seq[0] = head_of(b);
    for (int i = 1; i <= 20; i++) {
        say(b, "SETRANGE s 0 %02d", i);
        seq[i] = head_of(b);
    }
    say(b, "EXPIRE s 1000");
    touched = head_of(b);
    say(b, "DPUT d '{\"n\":1}'");
    say(b, "EXPIRE d 1000");
    uint64_t doc = head_of(b);
    say(b, "SET s short");
    for (int i = 1; i <= 20; i++) {
        char want[8];
        snprintf(want, sizeof want, "%02d00", i);
        check_data(b, seq[i], E_OK, want, 2000);
    }
    check_data(b, touched, E_OK, "2000", 2000);
    check_data(b, doc, E_OK, "{\"n\":1}", 7);
    say(b, "DEL s");
    check_data(b, head_of(b), E_NOTFOUND, "", 0);
    say(b, "DPUT e 1");
    say(b, "DLINK d r e");
    check_data(b, head_of(b), E_NOTFOUND, "", 0); /* without properties */
    say(b, "DLINK d r e PROPS {}");
    check_data(b, head_of(b), E_OK, "{}", 2);
    say(b, "FLUSHALL");
    check_data(b, head_of(b), E_NOTFOUND, "", 0);
}

static void test_commits(void **state)
{
    struct bed *b = *state;
    say(b, "DMPUT 3 a 1 * b 2 * c 3 *");
    uint64_t last = head_of(b);
    for (uint64_t seq = last - 2; seq <= last; seq++) {
        struct call c = probe(b, NULL, 0);
        struct doc_view v = {0};
        assert_int_equal(doc_view_load(&c, seq, &v), E_OK);
        assert_int_equal(v.commit_first, last - 2);
        assert_int_equal(v.commit_last, last);
        doc_view_fini(&v);
    }
    struct call c = probe(b, NULL, 0);
    struct doc_view v = {0};
    assert_int_not_equal(doc_view_load(&c, last + 1, &v), E_OK);
    assert_int_not_equal(doc_is_logged(&c, last + 1), E_OK);
    assert_int_equal(doc_is_logged(&c, last), E_OK);
    doc_view_fini(&v);
}

static void change_something(struct bed *b, unsigned what, unsigned n)
{
    switch (what) {
    case 0: say(b, "DPUT k:%u 1", n); break;
    case 1: say(b, "DPUT k:%u '\"%0900u\"'", n, n); break;
    case 2: say(b, "SET s:%u x", n); break;
    case 3: say(b, "DPUT k:%u 1", n), say(b, "DPUT k:%u 1", n + 1), say(b, "DLINK k:%u r k:%u", n, n + 1); break;
    case 4: say(b, "DUNLINK k:%u r k:%u", n, n + 1); break;
    case 5: say(b, "DDEL k:%u", n); break;
    case 6: say(b, "DEL s:%u", n); break;
    case 7: say(b, "EXPIRE k:%u 100", n); break;
    default: say(b, "DTAG SET t:%u HEAD FORCE", n); break;
    }
}

/* Many views finished together say what each says alone: several databases, kinds, sizes and states in any mix. */
static void test_many_together(void **state)
{
    struct bed *b = *state;
    struct rng r = {41};
    uint64_t first = head_of(b) + 1;
    for (int i = 0; i < 400; i++) {
        unsigned n = (unsigned)rng_below(&r, 9);
        if (i % 7 == 0) say(b, "SELECT %d", (int)rng_below(&r, 3));
        if (i == 200) say(b, "FLUSHDB");
        if (i == 300) say(b, "DCOMPACT KEEP 2");
        change_something(b, (unsigned)rng_below(&r, 9), n);
    }
    uint64_t last = head_of(b);
    struct call c = probe(b, NULL, 0);
    bool met[DOC_PRUNED + 1] = {0};
    for (int round = 0; round < 300; round++) {
        struct doc_view v[DOC_VIEWS_MAX] = {0};
        int code[DOC_VIEWS_MAX];
        size_t n = 1 + rng_below(&r, DOC_VIEWS_MAX);
        for (size_t i = 0; i < n; i++) assert_int_equal(doc_view_read(&c, first + rng_below(&r, last - first + 1), &v[i]), E_OK);
        doc_views_finish(&c, v, n, code);
        for (size_t i = 0; i < n; i++) {
            struct doc_view alone = {0};
            assert_int_equal(code[i], E_OK);
            assert_int_equal(doc_view_load(&c, v[i].seq, &alone), E_OK);
            assert_int_equal(v[i].state, alone.state);
            assert_int_equal(v[i].pruned, alone.pruned);
            assert_memory_equal(v[i].hash, alone.hash, HASH_BYTES);
            met[v[i].state] = true;
            doc_view_fini(&alone);
            doc_view_fini(&v[i]);
        }
    }
    for (int s = 0; s <= DOC_PRUNED; s++) assert_true(met[s]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_states), WITH_SERVER(test_ended_a_moment_ago), WITH_SERVER(test_expired_is_not_live),
        WITH_SERVER(test_hashes), WITH_SERVER(test_rebuilt_values),     WITH_SERVER(test_commits),
        WITH_SERVER(test_many_together),
    };
    return cmocka_run_group_tests_name("doc_reply_node", tests, NULL, NULL);
}
