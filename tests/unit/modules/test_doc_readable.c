/* What PRUNED names in the place of a list can be read there: against every point of stores that were compacted at random. */
#include "bed_client.h"
#include "modules/doc/doc.h"

#include "support/json_gen.h"

#define SEQS_MAX 400

/* `p` in a pattern is the point. */
static const char *const lists[] = {
    "DSCAN 0 COUNT 1000 ASOF p", "DSCAN 0 COUNT 1000 COLL a ASOF p", "DSCAN 0 COUNT 1000 PREFIX b:k ASOF p", "DCOLLS ASOF p", "DCOUNT a ASOF p", "DTOP b n ASC 1000 ASOF p", "DRUN p DINFO COLL a",
};

static const char *ask_at(struct bed *b, struct peer *p, const char *pattern, uint64_t at)
{
    const char *place = strstr(pattern, " p") + 1;
    return peer_ask(b, p, "%.*s%llu%s", (int)(place - pattern), pattern, (unsigned long long)at, place + 1);
}

/* "… oldest readable seq of 'NAME' is N": false when the reply says no such thing. */
static bool refused(const char *reply, char name[64], uint64_t *n)
{
    static const char mark[] = "oldest readable seq of '";
    const char *at = strstr(reply, "-PRUNED ");
    if (!at) return false;
    at = strstr(at, mark);
    if (!at) fail_msg("%s", reply);
    at += sizeof mark - 1;
    const char *end = strchr(at, '\'');
    snprintf(name, 64, "%.*s", (int)(end - at), at);
    assert_memory_equal(end, "' is ", 5);
    *n = strtoull(end + 5, NULL, 10);
    return true;
}

static bool is_range(const char *name)
{
    return strcmp(name, "*") == 0 || strchr(name, ':') == NULL || name[strlen(name) - 1] == ':' || strcmp(name, "b:k") == 0;
}

static unsigned check(struct bed *b, struct peer *p, const char *pattern)
{
    static uint64_t told[SEQS_MAX];
    static bool no[SEQS_MAX];
    uint64_t last = bed_seq(b), horizon = (uint64_t)text_field(peer_ask(b, p, "DINFO"), "horizon");
    unsigned ranges = 0;
    char name[64];
    assert_true(last < SEQS_MAX);
    for (uint64_t at = 0; at <= last; at++) {
        told[at] = 0;
        no[at] = refused(ask_at(b, p, pattern, at), name, &told[at]);
        if (!no[at]) continue;
        if (is_range(name)) {
            ranges++;
            continue;
        }
        if (strstr(peer_ask(b, p, "DASOF %s %llu", name, (unsigned long long)told[at]), "-PRUNED"))
            fail_msg("%s at %llu: %s is not readable at %llu", pattern, (unsigned long long)at, name, (unsigned long long)told[at]);
        told[at] = 0;
    }
    for (uint64_t at = 0; at <= last; at++) {
        if (no[at] && at >= horizon) fail_msg("%s at %llu: everything is readable from %llu on", pattern, (unsigned long long)at, (unsigned long long)horizon);
        if (told[at] == 0) continue;
        if (told[at] <= at || told[at] > last || no[told[at]]) fail_msg("%s at %llu: not readable at %llu", pattern, (unsigned long long)at, (unsigned long long)told[at]);
    }
    return ranges;
}

static void write_one(struct bed *b, struct peer *p, struct rng *r)
{
    unsigned k = rng_below(r, 6), coll = rng_below(r, 2);
    switch (rng_below(r, 12)) {
    case 0: (void)peer_ask(b, p, "DDEL %c:k%u", 'a' + coll, k); break;
    case 1: (void)peer_ask(b, p, "DEL %c:k%u", 'a' + coll, k); break;
    case 2: (void)peer_ask(b, p, "SET %c:k%u text", 'a' + coll, k); break;
    case 3: (void)peer_ask(b, p, "SET s %u", k); break;
    case 4:
        (void)peer_ask(b, p, "MULTI");
        for (unsigned i = 0; i < 3; i++) (void)peer_ask(b, p, "DPUT %c:k%u {\"n\":%u}", 'a' + rng_below(r, 2), rng_below(r, 6), i);
        (void)peer_ask(b, p, "EXEC");
        break;
    case 5:
        if (rng_below(r, 4) == 0) (void)peer_ask(b, p, "FLUSHDB");
        break;
    default:
        if (!text_starts(peer_ask(b, p, "DPUT %c:k%u {\"n\":%u}", 'a' + coll, k, rng_below(r, 9)), "*2")) (void)peer_ask(b, p, "DEL %c:k%u", 'a' + coll, k);
    }
}

static void what_is_named_can_be_read(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    struct rng r = {14140};
    unsigned ranges = 0;
    assert_true(text_starts(peer_ask(b, &p, "DINDEX CREATE b n"), "+OK"));
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 25; i++) write_one(b, &p, &r);
        unsigned long long point = 1 + rng_below(&r, (uint32_t)bed_seq(b));
        if (round == 1) (void)peer_ask(b, &p, "DTAG SET t %llu", point);
        if (round % 3 == 0) (void)peer_ask(b, &p, "DCOMPACT KEEP %u", 1 + round % 2);
        if (round % 3 == 1) (void)peer_ask(b, &p, "DCOMPACT BEFORE %llu PREFIX a", point);
        if (round % 3 == 2) (void)peer_ask(b, &p, "DCOMPACT BEFORE %llu", point);
        assert_true(text_starts(peer_ask(b, &p, "DINDEX WAIT b n 0"), ":1"));
        for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++) ranges += check(b, &p, lists[i]);
    }
    assert_true(ranges > 20);
    peer_forget(&p);
}

/* Too many documents to look at for an error: the store's horizon has to do, and does. */
static void a_long_list_names_the_horizon(void **state)
{
    struct bed *b = *state;
    struct peer p = peer_own(b);
    char name[64];
    uint64_t n;
    for (unsigned i = 0; i < 2 * DOC_SLICE_ROWS; i++) (void)peer_ask(b, &p, "DPUT c:%04u 1", i);
    uint64_t then = bed_seq(b);
    for (unsigned i = 0; i < 2 * DOC_SLICE_ROWS; i++) (void)peer_ask(b, &p, "DPUT c:%04u 2", i);
    (void)peer_ask(b, &p, "DCOMPACT KEEP 1");
    assert_true(refused(peer_ask(b, &p, "DCOLLS ASOF %llu", (unsigned long long)then), name, &n));
    assert_string_equal(name, "*");
    assert_int_equal(n, text_field(peer_ask(b, &p, "DINFO"), "horizon"));
    assert_false(refused(peer_ask(b, &p, "DCOLLS ASOF %llu", (unsigned long long)n), name, &n));
    peer_forget(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(what_is_named_can_be_read), WITH_SERVER(a_long_list_names_the_horizon)};
    return cmocka_run_group_tests_name("doc_readable", tests, NULL, NULL);
}
