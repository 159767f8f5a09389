/* Pipelines of DPUT: their hashes are computed together, and nothing in the same pipeline can tell. */
#include "family_bed.h"

#include "base/hash.h"

struct pipe {
    struct buf out;
    unsigned n;
};

/* Adds a command whose words are parted by blanks. */
static void add(struct pipe *p, const char *text)
{
    const char *word[16];
    size_t len[16], n = 0;
    for (const char *at = text; *at != 0; n++) {
        assert_true(n < 16);
        word[n] = at;
        len[n] = strcspn(at, " ");
        at += len[n] + (at[len[n]] == ' ');
    }
    buf_printf(&p->out, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++) buf_printf(&p->out, "$%zu\r\n%.*s\r\n", len[i], (int)len[i], word[i]);
    p->n++;
}

/* Sends all of it at once and waits for as many replies; they are in b->got. */
static void run(struct bed *b, struct pipe *p)
{
    size_t at = 0;
    unsigned replies = 0;
    b->n = 0;
    assert_int_equal(send(b->fd, p->out.p, p->out.n, MSG_NOSIGNAL), p->out.n);
    for (int turn = 0; turn < BED_TURNS && replies < p->n; turn++) {
        ev_run(b->server.loops[0]->ev, EVRUN_NOWAIT);
        ssize_t got = recv(b->fd, b->got + b->n, sizeof b->got - b->n - 1, MSG_DONTWAIT);
        if (got > 0) b->n += (size_t)got;
        for (size_t len; replies < p->n && (len = bed_reply_bytes(b->got + at, b->n - at)) > 0; at += len) replies++;
    }
    assert_int_equal(replies, p->n);
    assert_int_equal(at, b->n);
    b->got[at] = 0;
    buf_fini(&p->out);
    *p = (struct pipe){0};
}

/* Every hash that stands in the replies behind ":seq\r\n$64\r\n" is that node's; returns how many. */
static unsigned check_hashes(struct bed *b)
{
    static const char mark[] = "\r\n$64\r\n";
    unsigned n = 0;
    char *at = b->got;
    while ((at = memmem(at, b->n - (size_t)(at - b->got), mark, sizeof mark - 1)) != NULL) {
        char *digits = at + sizeof mark - 1, *from = at;
        at = digits;
        while (from > b->got && from[-1] >= '0' && from[-1] <= '9') from--;
        if (from == b->got || from[-1] != ':') continue; /* another hash, for example a predecessor's */
        uint8_t got[HASH_BYTES], want[HASH_BYTES];
        struct buf mem = {0};
        slice raw;
        assert_true(hex_decode(got, digits, HASH_BYTES));
        assert_int_equal(engine_read_raw(b->server.engine, strtoull(from, NULL, 10), &mem, &raw), E_OK);
        blake2b_256(want, raw.p, raw.n);
        assert_memory_equal(got, want, HASH_BYTES);
        buf_fini(&mem);
        n++;
    }
    return n;
}

static void test_any_number(void **state)
{
    struct bed *b = *state;
    for (unsigned n = 1; n <= 70; n += n < 10 ? 1 : 15) {
        struct pipe p = {0};
        for (unsigned i = 0; i < n; i++) {
            char text[600];
            snprintf(text, sizeof text, "DPUT k:%u {\"n\":%u,\"s\":\"%0*u\"}", i % 50, n, (int)(1 + i * 37 % 500), i);
            add(&p, text);
        }
        run(b, &p);
        assert_int_equal(check_hashes(b), n);
    }
}

static void test_what_comes_between(void **state)
{
    struct bed *b = *state;
    static const char *const between[] = {
        "DGET b WITHMETA", "DPUT b 3", "DPUT a 4 IFSEQ 99", "DPUT b 5 NX", "DPUT b 2 IFCHANGED", "DPUT c 1 CAUSEDBY 1 key:b", "DDEL b", "GET b",
        "DHISTORY b", "PEXPIRE b 100000", "PEXPIREAT b 1", "DEL b", "SET b x", "FLUSHALL", "DNODE key:b", "DPROVE INCLUSION key:b", "COPY b z", "RENAME b z",
        "DEBUG RELOAD", "SWAPDB 0 1", "DPUT b [", "NOSUCH", "DPUT", "OBJECT ENCODING b", "DSCAN 0", "DCOMPACT NOW", "DLINK b r a", "MOVE b 3", "PERSIST b", "WATCH b",
        "DPUT b 6 IDEM t", "DTRACE key:b", "KEYS *", "RANDOMKEY", "DBSIZE", "INFO", "CLIENT LIST", "DSYNC", "SELECT 0",
    };
    for (size_t i = 0; i < sizeof between / sizeof *between; i++) {
        struct pipe p = {0};
        add(&p, "FLUSHALL");
        add(&p, "DPUT a 1");
        add(&p, "DPUT b 2");
        add(&p, between[i]);
        add(&p, "DPUT d 3");
        add(&p, "DPUT a 4");
        add(&p, "DGET a WITHMETA");
        add(&p, "UNWATCH");
        run(b, &p);
        unsigned n = check_hashes(b);
        if (n < 4) print_error("%s: %u\n%s\n", between[i], n, b->got);
        assert_true(n >= 4);
    }
}

static void test_transactions(void **state)
{
    struct bed *b = *state;
    struct pipe p = {0};
    add(&p, "DPUT a 1");
    add(&p, "MULTI");
    add(&p, "DPUT a 2");
    add(&p, "DPUT b 2");
    add(&p, "EXEC");
    add(&p, "DPUT a 3");
    add(&p, "DPUT b 3");
    add(&p, "DGET a WITHMETA");
    run(b, &p);
    assert_true(check_hashes(b) >= 5);
    add(&p, "DPUT a 4");
    add(&p, "WATCH a");
    add(&p, "DPUT a 5");
    add(&p, "MULTI");
    add(&p, "DPUT a 6");
    add(&p, "EXEC"); /* the key changed: nothing happens */
    add(&p, "DPUT a 7");
    run(b, &p);
    assert_int_equal(check_hashes(b), 3);
}

/* A dropped reply's room belongs to the next one. */
static void test_replies_that_are_not_wanted(void **state)
{
    struct bed *b = *state;
    struct pipe p = {0};
    add(&p, "DPUT a 1");
    add(&p, "CLIENT REPLY SKIP");
    add(&p, "DPUT a 2");
    add(&p, "DPUT b 3");
    add(&p, "CLIENT REPLY OFF");
    add(&p, "DPUT b 4");
    add(&p, "DPUT c 5");
    add(&p, "CLIENT REPLY ON");
    add(&p, "DPUT c 6");
    p.n = 4;
    run(b, &p);
    assert_int_equal(check_hashes(b), 3);
    assert_non_null(strstr(b->got, "+OK\r\n*2\r\n:6\r\n"));
}

static void test_the_wrong_type_changes_nothing(void **state)
{
    struct bed *b = *state;
    struct pipe p = {0};
    add(&p, "SET s x");
    add(&p, "DPUT s 1");
    add(&p, "GET s");
    add(&p, "DPUT t 1");
    run(b, &p);
    assert_non_null(strstr(b->got, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n$1\r\nx\r\n*2\r\n:2\r\n"));
}

/* One client's pipeline ends in the middle of a group: the other's documents are no part of it. */
static void test_quit_and_shutdown(void **state)
{
    struct bed *b = *state;
    struct pipe p = {0};
    add(&p, "DPUT a 1");
    add(&p, "DPUT b 1");
    add(&p, "QUIT");
    run(b, &p);
    assert_int_equal(check_hashes(b), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_any_number),
        WITH_SERVER(test_what_comes_between),
        WITH_SERVER(test_transactions),
        WITH_SERVER(test_replies_that_are_not_wanted),
        WITH_SERVER(test_the_wrong_type_changes_nothing),
        WITH_SERVER(test_quit_and_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
