/* DTAG: names at their borders, and that a tagged point stays readable through any compaction until the tag goes. */
#include "bed_client.h"

static const char *tag(struct bed *b, struct peer *p, slice name, const char *point)
{
    slice word[] = {slice_str("DTAG"), slice_str("SET"), name, slice_str(point)};
    peer_words(b, p, 4, word);
    return peer_reply(b, p);
}

static void names_at_their_borders(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    char name[257];
    memset(name, 't', sizeof name);
    assert_true(text_starts(peer_ask(b, &p, "DTAG SET x"), "-BADPOINT ")); /* nothing is there to be named */
    (void)peer_ask(b, &p, "DPUT k 1");
    assert_string_equal(tag(b, &p, slice_of(name, 255), "1"), "+OK");
    assert_true(text_starts(tag(b, &p, slice_of(name, 256), "1"), "-ERR "));
    assert_true(text_starts(tag(b, &p, slice_str(""), "1"), "-ERR "));
    assert_true(text_starts(tag(b, &p, slice_str("a\nb"), "1"), "-ERR "));
    assert_true(text_starts(tag(b, &p, slice_str("a\x7f"), "1"), "-ERR "));
    assert_true(text_starts(tag(b, &p, slice_str("z"), "0"), "-BADPOINT "));
    assert_true(text_starts(tag(b, &p, slice_str("z"), "FORCE"), "+OK")); /* no point: the newest */
    peer_expect(b, &p, "DTAG DEL none", ":0");
    slice del[] = {slice_str("DTAG"), slice_str("DEL"), slice_of(name, 256)};
    peer_words(b, &p, 3, del);
    assert_string_equal(peer_reply(b, &p), ":0");
    peer_forget(&p);
}

static void moved_only_by_force(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    for (unsigned i = 0; i < 5; i++) (void)peer_ask(b, &p, "DPUT k %u", i);
    peer_expect(b, &p, "DTAG SET t 2", "+OK");
    uint64_t seq = bed_seq(b);
    assert_string_equal(peer_ask(b, &p, "DTAG SET t 3"), "-ERR tag 't' stands at seq 2; FORCE moves it");
    assert_string_equal(peer_ask(b, &p, "DTAG SET t 3 FORCED"), "-ERR syntax error");
    assert_int_equal(bed_seq(b), seq);
    peer_expect(b, &p, "DTAG SET t 3 FORCE", "+OK");
    peer_expect(b, &p, "DGET k ASOF tag:t", "$1 2");
    peer_expect(b, &p, "DTAG SET t tag:t FORCE", "+OK");
    peer_expect(b, &p, "DTAG DEL t", ":1");
    peer_expect(b, &p, "DTAG DEL t", ":0");
    peer_expect(b, &p, "DTAG GET t", "$-1");
    assert_true(text_starts(peer_ask(b, &p, "DGET k ASOF tag:t"), "-BADPOINT "));
    peer_expect(b, &p, "MULTI", "+OK");
    peer_expect(b, &p, "DTAG SET u 1", "+QUEUED");
    peer_expect(b, &p, "DTAG SET u 2", "+QUEUED");
    assert_non_null(strstr(peer_ask(b, &p, "EXEC"), "was set in this transaction"));
    peer_forget(&p);
}

static void a_tagged_point_stays_readable(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    char want[16];
    for (unsigned i = 1; i <= 60; i++) {
        (void)peer_ask(b, &p, "DPUT k:%u %u", i % 3, i);
        if (i % 20 == 0) assert_string_equal(peer_ask(b, &p, "DTAG SET t%u", i), "+OK");
    }
    assert_true(text_field(peer_ask(b, &p, "DCOMPACT KEEP 1"), "dropped") > 30);
    for (unsigned i = 20; i <= 60; i += 20)
        for (unsigned k = 0; k < 3; k++) {
            unsigned newest = i;
            while (newest % 3 != k) newest--;
            snprintf(want, sizeof want, "$2 %u", newest);
            assert_string_equal(peer_ask(b, &p, "DGET k:%u ASOF tag:t%u", k, i), want);
        }
    unsigned long long tagged = (unsigned long long)text_field(peer_ask(b, &p, "DTAG GET t40"), "seq");
    peer_expect(b, &p, "DTAG DEL t40", ":1");
    (void)peer_ask(b, &p, "DCOMPACT KEEP 1");
    assert_true(text_starts(peer_ask(b, &p, "DGET k:0 ASOF %llu", tagged), "-PRUNED "));
    peer_expect(b, &p, "DGET k:2 ASOF tag:t20", "$2 20");
    assert_non_null(strstr(peer_ask(b, &p, "DTAG LIST t?0"), "$3 t20"));
    assert_null(strstr((const char *)p.text.p, "$3 t40"));
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(names_at_their_borders), WITH_SERVER(moved_only_by_force), WITH_SERVER(a_tagged_point_stays_readable)};
    return cmocka_run_group_tests_name("doc_tag", tests, NULL, NULL);
}
