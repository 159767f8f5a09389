/* The links of a key one by one: every choice of directions and relations against a list kept by the test, begun anew behind every link. */
#include "unit/modules/doc_bed.h"

#include "modules/doc/link_walk.h"

#define KEYS 6
#define RELS 3

static uint64_t link_seq[KEYS][RELS][KEYS]; /* 0: none */

static void make_links(struct bed *b, struct rng *r)
{
    for (unsigned i = 0; i < KEYS; i++) say(b, "DPUT k%u 1", i);
    for (unsigned i = 0; i < KEYS; i++)
        for (unsigned k = 0; k < RELS; k++)
            for (unsigned m = 0; m < KEYS; m++) {
                link_seq[i][k][m] = 0;
                if (rng_below(r, 2)) continue;
                say(b, "DLINK k%u r%u k%u", i, k, m);
                link_seq[i][k][m] = head_of(b);
                if (rng_below(r, 4)) continue;
                say(b, "DUNLINK k%u r%u k%u", i, k, m);
                link_seq[i][k][m] = 0;
            }
}

/* Out before in, relations as named (each once), the other ends ascending; a link to itself once. */
static size_t naive(unsigned key, bool out, bool in, const char *rels, uint64_t *seq)
{
    size_t n = 0;
    for (int direction = 0; direction < 2; direction++) {
        if (direction ? !in : !out) continue;
        for (const char *rel = *rels ? rels : "012"; *rel; rel++) {
            if (*rels && strchr(rels, *rel) < rel) continue;
            unsigned k = (unsigned)(*rel - '0');
            for (unsigned m = 0; k < RELS && m < KEYS; m++) {
                uint64_t s = direction ? link_seq[m][k][key] : link_seq[key][k][m];
                if (s && !(direction && out && m == key)) seq[n++] = s;
            }
        }
    }
    return n;
}

static void check_choice(struct bed *b, unsigned key, const char *direction, const char *rels)
{
    uint64_t want[4 * KEYS * RELS];
    slice argv[16] = {slice_str("DLINKS"), slice_str("k"), slice_str(direction)};
    char word[2] = {(char)('0' + strlen(rels)), 0}, names[8][3], key_text[3] = {'k', (char)('0' + key), 0};
    int argc = 3;
    if (*rels) {
        argv[argc++] = slice_str("REL");
        argv[argc++] = slice_str(word);
        for (size_t i = 0; rels[i]; i++) {
            names[i][0] = 'r', names[i][1] = rels[i], names[i][2] = 0;
            argv[argc++] = slice_str(names[i]);
        }
    }
    struct call c = probe(b, argv, argc);
    struct link_choice choice = {.at = {.seq = head_of(b)}};
    for (int i = 2; i < argc; i++) assert_int_equal(link_choice_parse(&c, &i, &choice), 1);
    assert_int_equal(engine_catch_up(b->server.engine, 0), E_OK);
    engine_db_at(b->server.engine, 0, choice.at.seq, &choice.db);
    size_t n = naive(key, choice.out, choice.in, rels, want);
    for (size_t from = 0; from <= n;
         from++) { /* leaves the walk behind `from` links, and another one goes on from what it says */
        struct link_walk w = {0}, on = {0};
        struct link k;
        int r = E_OK;
        link_walk_start(&w, &choice);
        for (size_t i = 0; i < from; i++) {
            while ((r = link_walk_next(&c, &w, &choice, slice_str(key_text), &k)) == E_AGAIN) continue;
            assert_int_equal(r, E_OK);
            assert_int_equal(k.seq, want[i]);
        }
        on.direction = from ? w.direction : choice.out ? 0 : 1;
        on.rel = w.rel;
        buf_add_slice(&on.after, buf_slice(&w.after));
        link_walk_fini(&w);
        for (size_t i = from; i < n; i++) {
            while ((r = link_walk_next(&c, &on, &choice, slice_str(key_text), &k)) == E_AGAIN) continue;
            assert_int_equal(r, E_OK);
            assert_int_equal(k.seq, want[i]);
        }
        while ((r = link_walk_next(&c, &on, &choice, slice_str(key_text), &k)) == E_AGAIN) continue;
        assert_int_equal(r, E_END);
        assert_int_equal(link_walk_next(&c, &on, &choice, slice_str(key_text), &k), E_END); /* stays at its end */
        link_walk_fini(&on);
    }
}

static void test_every_choice(void **state)
{
    static const char *const directions[] = {"OUT", "IN", "BOTH"}, *const rels[] = {"",   "0",  "1",   "20",
                                                                                    "02", "11", "919", "2102"};
    struct bed *b = *state;
    struct rng r = {51};
    make_links(b, &r);
    for (unsigned key = 0; key < KEYS; key++)
        for (size_t d = 0; d < 3; d++)
            for (size_t i = 0; i < sizeof rels / sizeof *rels; i++) check_choice(b, key, directions[d], rels[i]);
}

/* What a flush hides is not walked, what was made behind it is. */
static void test_behind_a_flush(void **state)
{
    struct bed *b = *state;
    struct rng r = {53};
    make_links(b, &r);
    say(b, "FLUSHDB");
    memset(link_seq, 0, sizeof link_seq);
    check_choice(b, 1, "BOTH", "");
    make_links(b, &r);
    check_choice(b, 1, "BOTH", "");
    check_choice(b, 2, "IN", "21");
}

static void test_choices_that_are_none(void **state)
{
    struct bed *b = *state;
    static const struct {
        const char *word[4];
        int argc, want, at;
    } all[] = {
        {{"COUNT", "1"}, 2, 0, 0},
        {{"REL"}, 1, -1, 0},
        {{"REL", "1"}, 2, -1, 0},
        {{"REL", "0", "a"}, 3, -1, 0},
        {{"REL", "x", "a"}, 3, -1, 0},
        {{"REL", "2", "a"}, 3, -1, 0},
        {{"REL", "2", "a", "b"}, 4, 1, 3},
        {{"REL", "1", "a", "b"}, 4, 1, 2},
        {{"REL", "1001", "a", "b"}, 4, -1, 0},
        {{"both"}, 1, 1, 0},
        {{""}, 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        slice argv[4] = {{0}};
        for (int k = 0; k < all[i].argc; k++) argv[k] = slice_str(all[i].word[k]);
        struct call c = probe(b, argv, all[i].argc);
        struct link_choice choice = {0};
        int at = 0;
        assert_int_equal(link_choice_parse(&c, &at, &choice), all[i].want);
        assert_int_equal(probe_text(b)[0] == '-', all[i].want < 0);
        if (all[i].want > 0) assert_int_equal(at, all[i].at);
    }
    static slice many[1003]; /* as many relations as there may be */
    for (int i = 0; i < 1003; i++) many[i] = slice_str("r");
    many[0] = slice_str("REL"), many[1] = slice_str("1000");
    struct call c = probe(b, many, 1002);
    struct link_choice choice = {0};
    int at = 0;
    assert_int_equal(link_choice_parse(&c, &at, &choice), 1);
    assert_int_equal(at, 1001);
    many[1] = slice_str("1001");
    at = 0;
    assert_int_equal(link_choice_parse(&c, &at, &choice), -1);
    (void)probe_text(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(test_every_choice), WITH_SERVER(test_behind_a_flush),
                                       WITH_SERVER(test_choices_that_are_none)};
    return cmocka_run_group_tests_name("doc_link_walk", tests, NULL, NULL);
}
