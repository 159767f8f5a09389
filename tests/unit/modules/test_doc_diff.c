/* DDIFF: whatever two points hold, its patch makes the one of the other through DPATCH; a merge patch too, or it says that it cannot. */
#include "bed_client.h"

#include "support/json_gen.h"

static void put(struct bed *b, struct peer *p, const char *key, slice json)
{
    slice word[] = {slice_str("DPUT"), slice_str(key), json};
    peer_words(b, p, 3, word);
    assert_true(text_starts(peer_reply(b, p), "*2 :"));
}

static void patches_lead_from_one_to_the_other(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {15};
    unsigned merged = 0;
    for (unsigned round = 0; round < 150; round++) {
        struct buf x = {0}, y = {0}, patch = {0};
        gen_value(&r, &x, 3);
        gen_value(&r, &y, 3);
        put(b, &p, "k", buf_slice(&x));
        put(b, &p, "k", buf_slice(&y));
        unsigned long long to = bed_seq(b);
        for (int merge = 0; merge < 2; merge++) {
            put(b, &p, "work", buf_slice(&x));
            const char *diff = peer_ask(b, &p, "DDIFF k %llu %llu %s", to - 1, to, merge ? "MERGE" : "OPS");
            if (text_starts(diff, "-BADPATCH a merge patch cannot")) continue;
            if (strcmp(diff, "$-1") != 0) {
                buf_clear(&patch);
                buf_add_slice(&patch, peer_bulk(&p));
                slice word[] = {slice_str("DPATCH"), slice_str("work"), slice_str(merge ? "MERGE" : "OPS"), buf_slice(&patch)};
                peer_words(b, &p, 4, word);
                if (!text_starts(peer_reply(b, &p), "*2 :")) fail_msg("%s", (const char *)p.text.p);
            }
            slice want, got;
            (void)peer_ask(b, &p, "DGET work");
            got = peer_bulk(&p);
            assert_int_equal(json_check(buf_slice(&y), &want, NULL), E_OK);
            assert_int_equal(json_compare(got, want), 0);
            merged += (unsigned)merge;
        }
        buf_fini(&x);
        buf_fini(&y);
        buf_fini(&patch);
    }
    assert_true(merged > 20);
    peer_forget(&p);
}

static void points_where_there_is_none(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    (void)peer_ask(b, &p, "DPUT k 1");
    (void)peer_ask(b, &p, "DDEL k");
    (void)peer_ask(b, &p, "SET k 1");
    (void)peer_ask(b, &p, "DEL k");
    (void)peer_ask(b, &p, "DPUT k 1.0");
    peer_expect(b, &p, "DDIFF k 1 head", "$-1"); /* equal by value */
    assert_true(text_starts(peer_ask(b, &p, "DDIFF k 0 head"), "-NOKEY "));
    assert_true(text_starts(peer_ask(b, &p, "DDIFF k 1 2"), "-NOKEY "));
    assert_true(text_starts(peer_ask(b, &p, "DDIFF k 3 1"), "-WRONGTYPE "));
    assert_true(text_starts(peer_ask(b, &p, "DDIFF k 1 head MERGE OPS"), "-ERR syntax error"));
    assert_true(text_starts(peer_ask(b, &p, "DDIFF k 1 head BOTH"), "-ERR syntax error"));
    assert_true(text_starts(peer_ask(b, &p, "DDIFF k 1 hash:zz"), "-BAD"));
    peer_forget(&p);
}

static void pruned_ends_are_refused(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    for (unsigned i = 0; i < 10; i++) (void)peer_ask(b, &p, "DPUT k {\"v\":%u}", i);
    (void)peer_ask(b, &p, "DCOMPACT KEEP 2");
    assert_true(text_starts(peer_ask(b, &p, "DDIFF k 1 head"), "-PRUNED "));
    assert_true(text_starts(peer_ask(b, &p, "DDIFF k head 1"), "-PRUNED "));
    assert_true(text_starts(peer_ask(b, &p, "DDIFF k 9 10"), "$"));
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(patches_lead_from_one_to_the_other), WITH_SERVER(points_where_there_is_none), WITH_SERVER(pruned_ends_are_refused)};
    return cmocka_run_group_tests_name("doc_diff", tests, NULL, NULL);
}
