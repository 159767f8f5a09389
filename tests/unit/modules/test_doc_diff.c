/* DDIFF between any two points of random documents: what it says, put through DPATCH, gives the other one. */
#include "unit/modules/doc_bed.h"

#define VERSIONS 24

/* A command as an array, so that its words may hold any bytes. */
static void add_words(struct buf *out, size_t n, const slice *word)
{
    buf_clear(out);
    buf_printf(out, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "$%zu\r\n", word[i].n);
        buf_add_slice(out, word[i]);
        buf_add_str(out, i + 1 < n ? "\r\n" : "");
    }
    buf_add_byte(out, 0);
}

/* The bulk of a reply as the peer has it, before its line ends are changed; p NULL: nil. Valid until the next command. */
static slice ask_bulk(struct bed *b, struct peer *p, const char *command)
{
    peer_send(p, command);
    for (int i = 0; !peer_turn(b, p); i++) assert_true(i < BED_TURNS);
    assert_int_equal(p->got.p[0], '$');
    char *end;
    long n = strtol((char *)p->got.p + 1, &end, 10);
    return n < 0 ? (slice){0} : slice_of(end + 2, (size_t)n);
}

static void test_patches_lead_there(void **state)
{
    struct bed *b = *state;
    struct rng r = {151};
    struct peer p;
    struct buf json[VERSIONS] = {{0}}, command = {0}, patch = {0};
    uint64_t seq[VERSIONS];
    peer_up(b, &p);
    for (size_t i = 0; i < VERSIONS; i++) {
        gen_value(&r, &json[i], 3);
        add_words(&command, 3, (slice[]){slice_str("DPUT"), slice_str("k"), buf_slice(&json[i])});
        assert_int_equal(peer_ask(b, &p, (char *)command.p)[0], '*');
        seq[i] = head_of(b);
    }
    unsigned equal = 0, unsayable = 0;
    for (unsigned i = 0; i < 300; i++) {
        unsigned from = rng_below(&r, VERSIONS), to = rng_below(&r, VERSIONS);
        bool merge = i & 1;
        char text[80];
        snprintf(text, sizeof text, "DDIFF k %llu %llu%s", (unsigned long long)seq[from], (unsigned long long)seq[to],
                 merge ? " MERGE" : "");
        if (merge && peer_ask(b, &p, text)[0] == '-') { /* a null in the other one */
            assert_memory_equal(p.got.p, "-BADPATCH", 9);
            unsayable++;
            continue;
        }
        slice said = ask_bulk(b, &p, text);
        buf_clear(&patch);
        buf_add_slice(&patch, said);
        if (said.p == NULL) {
            assert_int_equal(json_compare(buf_slice(&json[from]), buf_slice(&json[to])), 0);
            equal++;
            continue;
        }
        add_words(&command, 3, (slice[]){slice_str("DPUT"), slice_str("w"), buf_slice(&json[from])});
        assert_int_equal(peer_ask(b, &p, (char *)command.p)[0], '*');
        add_words(&command, 4, (slice[]){slice_str("DPATCH"), slice_str("w"), slice_str(merge ? "MERGE" : "OPS"), buf_slice(&patch)});
        assert_int_equal(peer_ask(b, &p, (char *)command.p)[0], '*');
        slice got = ask_bulk(b, &p, "DGET w");
        if (json_compare(got, buf_slice(&json[to])) != 0) fail_msg("%s: %.*s", text, (int)patch.n, (char *)patch.p);
    }
    assert_true(equal > 3 && unsayable < 140);
    peer_down(b, &p);
    for (size_t i = 0; i < VERSIONS; i++) buf_fini(&json[i]);
    buf_fini(&command), buf_fini(&patch);
}

/* A point at which there is no document, another type, or nothing any more, is named; the other one does not matter then. */
static void test_points_without_a_document(void **state)
{
    struct bed *b = *state;
    say(b, "SET other 1");
    say(b, "DPUT k 1");
    say(b, "DDEL k");
    say(b, "SET k text");
    say(b, "DEL k");
    say(b, "DPUT k 2");
    bed_expect(b, "DDIFF k 1 2", "-NOKEY no such document 'k' at '1'");
    bed_expect(b, "DDIFF k 2 3", "-NOKEY no such document 'k' at '3'");
    bed_expect(b, "DDIFF k 4 2", "-WRONGTYPE Operation against a key holding the wrong kind of value");
    bed_expect(b, "DDIFF k 2 2", "$-1");
    say(b, "DCOMPACT KEEP 1");
    bed_expect(b, "DDIFF k 2 head", "-PRUNED oldest readable seq of 'k' is 6");
    bed_expect(b, "DDIFF k head 2", "-PRUNED oldest readable seq of 'k' is 6");
}

/* A document past its expiry is not there at instants behind it, and is at the point of its own. */
static void test_expiry(void **state)
{
    struct bed *b = *state;
    say(b, "DPUT k 1");
    say(b, "DPUT k 2 PX 1");
    uint64_t seq = head_of(b), until = b->server.loops[0]->now_ms + 5;
    while (engine_now_ms(b->server.engine) <= until) bed_turn(b);
    char text[60];
    snprintf(text, sizeof text, "DDIFF k %llu %llu MERGE", (unsigned long long)seq - 1, (unsigned long long)seq);
    bed_expect(b, text, "$1 2");
    bed_expect(b, "DDIFF k 1 head", "-NOKEY no such document 'k' at 'head'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(test_patches_lead_there), WITH_SERVER(test_points_without_a_document),
                                       WITH_SERVER(test_expiry)};
    return cmocka_run_group_tests_name("doc_diff", tests, NULL, NULL);
}
