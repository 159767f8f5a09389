/* DLINKS page by page against the whole list, while links come and go; long lists in turns. */
#include "unit/modules/doc_bed.h"

#define TARGETS 40

static void make_links(struct bed *b)
{
    struct buf commands = {0};
    unsigned n = 0;
    for (unsigned i = 0; i < TARGETS; i++, n++) buf_printf(&commands, "DPUT d:%u 1\r\n", i);
    for (unsigned i = 0; i < TARGETS; i++)
        for (unsigned k = 0; k < 3; k++) {
            if ((i + k) % 4 == 0) continue;
            buf_printf(&commands, "DLINK d:0 r%u d:%u\r\nDLINK d:%u r%u d:0\r\n", k, i, i, k);
            n += 2;
        }
    say_all(b, &commands, n);
    buf_fini(&commands);
}

/* The cursor of a reply: the first bulk. */
static void cursor_of(const char *reply, char *out, size_t room)
{
    assert_memory_equal(reply, "*2 $", 4);
    char *end;
    size_t n = (size_t)strtol(reply + 4, &end, 10);
    assert_true(n < room);
    memcpy(out, end + 1, n);
    out[n] = 0;
}

static size_t all_pages(struct bed *b, struct peer *p, const char *choice, unsigned count, bool disturb, uint64_t *seq,
                        size_t max)
{
    char command[1400], cursor[1200] = "0";
    size_t n = 0;
    do {
        snprintf(command, sizeof command, "DLINKS d:0 %s COUNT %u CURSOR %s", choice, count, cursor);
        const char *reply = peer_ask(b, p, command);
        size_t rows = numbers_after(reply, "$3 seq :", seq + n, max - n);
        assert_true(rows <= count);
        n += rows;
        cursor_of(reply, cursor, sizeof cursor);
        assert_true(strcmp(cursor, "0") == 0 || rows == count);
        if (disturb) { /* pinned: what comes and goes now is not seen */
            say(b, "DUNLINK d:0 r1 d:%u", (unsigned)(n % TARGETS));
            say(b, "DLINK d:0 a%u d:1", (unsigned)n);
        }
    } while (strcmp(cursor, "0") != 0);
    return n;
}

static void test_pages(void **state)
{
    static const char *const choices[] = {"OUT", "IN", "BOTH", "REL 2 r2 r0", "IN REL 3 r1 nothing r1", "BOTH REL 1 r2"};
    static const unsigned counts[] = {1, 2, 7, 28, 29, 1000};
    static uint64_t whole[600], got[600];
    struct bed *b = *state;
    struct peer p;
    char at[80];
    make_links(b);
    unsigned long long point = head_of(b);
    peer_up(b, &p);
    for (size_t i = 0; i < 6; i++) {
        snprintf(at, sizeof at, "%s ASOF %llu", choices[i], point);
        size_t n = all_pages(b, &p, at, 100000, false, whole, 600);
        assert_true(n > 10);
        for (size_t k = 0; k < n; k++)
            for (size_t m = 0; m < k; m++) assert_int_not_equal(whole[k], whole[m]);
        for (size_t k = 0; k < 6; k++) {
            assert_int_equal(all_pages(b, &p, at, counts[k], i == 2, got, 600), n);
            assert_memory_equal(got, whole, n * sizeof *got);
        }
    }
    peer_down(b, &p);
}

/* A cursor goes with what it was given for: another key's, a direction or relation that is not asked for, digits that are none. */
static void test_cursors_that_are_none(void **state)
{
    static const char *const bad[] = {"1",        "x",     "",      "9999999:0:0:", "1:2:0:", "1:0:1:",   "1:1:0:", "1:0:0:0",
                                      "1:0:0:zz", ":0:0:", "1::0:", "1:0::",        "1:0:0",  "1:0:0:00", "-1:0:0:"};
    struct bed *b = *state;
    char command[3000], cursor[1200];
    make_links(b);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(command, sizeof command, "DLINKS d:0 CURSOR '%s'", bad[i]);
        bed_expect(b, command, "-BADCURSOR a cursor is 0 or what DLINKS returned for the same key and relations");
    }
    struct peer p;
    peer_up(b, &p);
    cursor_of(peer_ask(b, &p, "DLINKS d:0 COUNT 5"), cursor, sizeof cursor);
    snprintf(command, sizeof command, "DLINKS d:1 CURSOR %s", cursor);
    bed_expect(b, command, "-BADCURSOR a cursor is 0 or what DLINKS returned for the same key and relations");
    /* Each digit in turn becomes another: never a crash, and never a link of another key. */
    struct rng r = {3};
    for (size_t i = 0; cursor[i]; i++) {
        char was = cursor[i];
        cursor[i] = "0123456789abcdef:"[rng_below(&r, 17)];
        snprintf(command, sizeof command, "DLINKS d:0 CURSOR %s", cursor);
        const char *reply = peer_ask(b, &p, command);
        if (reply[0] != '-') assert_int_equal(times_in(reply, "$4 from $3 d:0 "), times_in(reply, "$4 from "));
        cursor[i] = was;
    }
    peer_down(b, &p);
}

static void test_turns(void **state)
{
    enum { MANY = 2500 };
    struct bed *b = *state;
    struct peer p;
    struct buf commands = {0};
    buf_add_str(&commands, "DPUT hub 1\r\nDPUT x 1\r\n");
    for (unsigned i = 0; i < MANY; i++) buf_printf(&commands, "DLINK hub r%04u x\r\n", i);
    say_all(b, &commands, MANY + 2);
    for (int leave = 3; leave >= 0; leave--) {
        peer_up(b, &p);
        peer_send(&p, "DLINKS hub COUNT 100000");
        int turns = 0;
        for (; (leave == 0 || turns < leave) && !peer_turn(b, &p); turns++)
            say(b, "DUNLINK hub r%04d x", MANY - 1 - turns - 10 * leave);
        if (leave == 0) {
            assert_true(turns >= 2);
            assert_int_equal(times_in(plain(&p.got), "$3 seq :"),
                             MANY - 3 - 2 - 1); /* those that went before it began, and only those */
            assert_null(strstr((char *)p.got.p, " -"));
        }
        peer_down(b, &p);
        assert_int_equal(b->server.loops[0]->n_laters, 0);
    }
    buf_fini(&commands);
}

/* Names at the longest: a relation of 255 bytes, a link's whole name as long as a key may be. */
static void test_limits(void **state)
{
    struct bed *b = *state;
    char rel[300], command[400];
    memset(rel, 'r', sizeof rel);
    say(b, "DPUT a 1");
    say(b, "DPUT b 1");
    snprintf(command, sizeof command, "DLINK a %.255s b", rel);
    bed_expect(b, command, NULL);
    snprintf(command, sizeof command, "DLINK a %.256s b", rel);
    bed_expect(b, command, "-TOOBIG a relation's name takes 1 to 255 bytes");
    snprintf(command, sizeof command, "DUNLINK a %.256s b", rel);
    bed_expect(b, command, ":0");
    struct buf long_key = {0};
    struct peer p;
    peer_up(b, &p);
    memset(buf_reserve(&long_key, 33000), 'k', 33000);
    long_key.n = 33000;
    buf_add_byte(&long_key, 0);
    struct buf text = {0};
    for (int twice = 0; twice < 2; twice++) { /* an array: inline commands are shorter */
        buf_clear(&text);
        buf_printf(&text, "*3\r\n$4\r\nDPUT\r\n$%d\r\n%s%c\r\n$1\r\n1", 33001, (char *)long_key.p, 'x' + twice);
        buf_add_byte(&text, 0);
        assert_memory_equal(peer_ask(b, &p, (char *)text.p), "*2 :", 4);
    }
    buf_clear(&text);
    buf_printf(&text, "*4\r\n$5\r\nDLINK\r\n$33001\r\n%sx\r\n$1\r\nr\r\n$33001\r\n%sy", (char *)long_key.p, (char *)long_key.p);
    buf_add_byte(&text, 0);
    uint64_t before = head_of(b);
    assert_memory_equal(peer_ask(b, &p, (char *)text.p), "-TOOBIG", 7);
    assert_int_equal(head_of(b), before);
    peer_down(b, &p);
    buf_fini(&text), buf_fini(&long_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(test_pages), WITH_SERVER(test_cursors_that_are_none), WITH_SERVER(test_turns),
                                       WITH_SERVER(test_limits)};
    return cmocka_run_group_tests_name("doc_links", tests, NULL, NULL);
}
