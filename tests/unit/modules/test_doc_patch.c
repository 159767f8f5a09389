/* DPATCH as a command: limits of size and nesting, refusals without a trace, conditions, and that what is not touched keeps its bytes. */
#include "bed_client.h"

static const char *patch(struct bed *b, struct peer *p, const char *how, slice text)
{
    slice word[] = {slice_str("DPATCH"), slice_str("k"), slice_str(how), text};
    peer_words(b, p, 4, word);
    return peer_reply(b, p);
}

static void size_at_the_limit(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct buf text = {0};
    (void)peer_ask(b, &p, "DPUT k {\"a\":1}");
    peer_expect(b, &p, "CONFIG SET proto-max-bulk-len 1048576", "+OK");
    for (int over = 0; over < 2; over++) {
        buf_clear(&text);
        buf_add_str(&text, "{\"a\":null,\"b\":\"");
        size_t room = 1048576 - strlen("{\"b\":\"\"}") + (size_t)over;
        if (text.n + room + 2 > 1048576) { /* the patch itself has to pass: in two parts */
            (void)peer_ask(b, &p, "DPUT k {}");
            room -= 600000;
            buf_clear(&text);
            buf_add_str(&text, "{\"c\":\"");
            memset(buf_reserve(&text, 600000), 'x', 600000);
            text.n += 600000 - strlen(",\"c\":\"\"");
            buf_add_str(&text, "\"}");
            assert_true(text_starts(patch(b, &p, "MERGE", buf_slice(&text)), "*2 :"));
            buf_clear(&text);
            buf_add_str(&text, "{\"b\":\"");
        }
        memset(buf_reserve(&text, room), 'x', room);
        text.n += room;
        buf_add_str(&text, "\"}");
        uint64_t seq = bed_seq(b);
        const char *got = patch(b, &p, "MERGE", buf_slice(&text));
        assert_true(text_starts(got, over ? "-" : "*2 :"));
        assert_int_equal(bed_seq(b), seq + !over);
    }
    buf_fini(&text);
    peer_forget(&p);
}

static void nesting_at_the_limit(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct buf deep = {0}, ops = {0};
    for (int over = 0; over < 2; over++) {
        int depth = JSON_DEPTH_MAX - 3 + over; /* below { and [, inside the operations' own [ { */
        (void)peer_ask(b, &p, "DPUT k {\"a\":[[]]}");
        buf_clear(&deep);
        buf_clear(&ops);
        for (int i = 0; i < depth; i++) buf_add_byte(&deep, '[');
        for (int i = 0; i < depth; i++) buf_add_byte(&deep, ']');
        buf_add_str(&ops, "[{\"op\":\"add\",\"path\":\"/a/0/0\",\"value\":");
        buf_add_slice(&ops, buf_slice(&deep));
        buf_add_str(&ops, "}]");
        uint64_t seq = bed_seq(b);
        assert_true(text_starts(patch(b, &p, "OPS", buf_slice(&ops)), over ? "-BADPATCH op 0: " : "*2 :"));
        assert_int_equal(bed_seq(b), seq + !over);
    }
    buf_fini(&deep);
    buf_fini(&ops);
    peer_forget(&p);
}

static void refusals_leave_no_trace(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    static const char *const bad[] = {
        "OPS [{\"op\":\"add\",\"path\":\"/n\",\"value\":1},{\"op\":\"test\",\"path\":\"/n\",\"value\":2}]", "OPS [{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"remove\",\"path\":\"/a\"}]", "OPS {}", "OPS [", "OPS [{\"op\":\"go\",\"path\":\"/a\"}]",
        "MERGE [", "MERGE", "BOTH {}", "MERGE {} IFSEQ 99", "OPS [{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]",
    };
    (void)peer_ask(b, &p, "DPUT k {\"a\":[1,2.0]}");
    uint64_t seq = bed_seq(b);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!text_starts(peer_ask(b, &p, "DPATCH k %s", bad[i]), "-")) fail_msg("%s: %s", bad[i], (const char *)p.text.p);
    peer_expect(b, &p, "DPATCH none MERGE {}", "$-1");
    peer_expect(b, &p, "DPATCH k MERGE {\"x\":1} NX", "$-1");
    assert_true(text_starts(peer_ask(b, &p, "DPATCH k MERGE {} IFCHANGED"), "*2 :1 "));
    assert_int_equal(bed_seq(b), seq);
    peer_expect(b, &p, "DGET k", "$13 {\"a\":[1,2.0]}");
    bed_break_log(b);
    assert_true(text_starts(peer_ask(b, &p, "DPATCH k MERGE {\"x\":1}"), "-MISCONF "));
    peer_expect(b, &p, "DGET k", "$13 {\"a\":[1,2.0]}");
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(size_at_the_limit), WITH_SERVER(nesting_at_the_limit), WITH_SERVER(refusals_leave_no_trace)};
    return cmocka_run_group_tests_name("doc_patch", tests, NULL, NULL);
}
