/* Piles of elements become the reply that the elements one by one would have been, whatever goes before them and however many they are. */
#include "serverbed.h"

#include "server/dispatch.h"
#include "server/later.h"
#include "server/output.h"

#define LONG_BYTES 1000

static int piled;          /* elements that the command piles up, LONG_BYTES each */
static int per_step;       /* in one step */

struct heap {
    struct reply_pile *pile;
    int n;
};

static bool heap_step(struct call *c, void *state)
{
    struct heap *h = state;
    char text[LONG_BYTES];
    if (h->n < piled) {
        reply_pile_begin(c, h->pile);
        for (int i = 0; i < per_step && h->n < piled; i++, h->n++) {
            memset(text, 'a' + h->n % 26, sizeof text);
            reply_bulk(c, slice_of(text, sizeof text));
        }
        reply_pile_end(c, h->pile);
        if (h->n < piled) return false;
    }
    reply_array(c, 2);
    reply_bulk(c, c->argv[1]);
    reply_array(c, (size_t)piled);
    reply_pile_give(c, h->pile);
    return true;
}

static void heap_drop(void *state)
{
    struct heap *h = state;
    reply_pile_free(&h->pile);
    mem_free(h);
}

static void cmd_heap(struct call *c)
{
    struct heap *h = mem_zalloc(sizeof *h);
    h->pile = reply_pile_new();
    bool done;
    while (!(done = heap_step(c, h)) && c->in_multi) continue;
    if (done)
        heap_drop(h);
    else
        call_later(c, LATER_TURN, heap_step, heap_drop, h);
}

static const struct command rows[] = {{"heap", cmd_heap, 2, CMD_READONLY, "string"}, {NULL}};
FAMILY(key, rows);

static void expect_bytes(struct bed *b, const char *p, size_t n)
{
    static char got[1 << 16];
    while (n > 0) {
        ssize_t have = recv(b->fd[0], got, n < sizeof got ? n : sizeof got, MSG_DONTWAIT);
        if (have <= 0) {
            bed_turn(b);
            continue;
        }
        assert_memory_equal(got, p, (size_t)have);
        p += have;
        n -= (size_t)have;
    }
}

static void add_heap(struct buf *want, const char *head, int n)
{
    buf_printf(want, "*2\r\n$%zu\r\n%s\r\n*%d\r\n", strlen(head), head, n);
    for (int i = 0; i < n; i++) {
        buf_printf(want, "$%d\r\n", LONG_BYTES);
        memset(buf_reserve(want, LONG_BYTES), 'a' + i % 26, LONG_BYTES);
        want->n += LONG_BYTES;
        buf_add_str(want, "\r\n");
    }
}

static void check(struct bed *b, int n, int a_step, const char *head)
{
    struct buf want = {0}, send = {0};
    piled = n;
    per_step = a_step;
    buf_printf(&send, "PUT k v\r\nHEAP %s\r\nFETCH k\r\n", head);
    buf_add_byte(&send, 0);
    buf_add_str(&want, "+OK\r\n");
    add_heap(&want, head, n);
    buf_add_str(&want, "$1\r\nv\r\n");
    bed_send(b, 0, (const char *)send.p);
    expect_bytes(b, (const char *)want.p, want.n);
    buf_fini(&want);
    buf_fini(&send);
}

static void any_size_with(const char *const *options)
{
    struct bed *b = bed_new(options);
    char longer[400];
    memset(longer, 'h', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    check(b, 0, 10, "none");
    check(b, 3, 10, "one-step");
    check(b, 3, 1, "three-steps");
    check(b, 600, 1000, "several-pieces-in-one-step");
    check(b, 600, 100, "several-pieces");
    check(b, 5000, 100, "many-pieces");
    check(b, 5000, 5000, "a-large-piece");
    check(b, 5000, 100, longer); /* no room before it */
    check(b, 5000, 100, "again");
    bed_free(&b);
}

static void any_size(void **state)
{
    any_size_with(NULL);
}

/* The write before it holds the whole reply back until it is synced. */
static void behind_a_sync(void **state)
{
    const char *options[] = {"appendfsync", "always", NULL};
    any_size_with(options);
}

/* A reply that waits for a log which fails becomes an error, all its pieces with it. */
static void the_log_fails(void **state)
{
    struct bed *b = bed_new(NULL);
    struct client *c;
    piled = 5000;
    per_step = 100;
    bed_ask(b, 0, "PUT k v\r\n", "+OK\r\n");
    c = b->server.loops[0]->clients;
    uint64_t safe = loop_safe_end(b->server.loops[0]);
    b->server.loops[0]->gate = safe + 1000; /* as a write would that is not yet out */
    struct call call;
    static const slice words[] = {{(const uint8_t *)"heap", 4}, {(const uint8_t *)"x", 1}};
    dispatch_prepare(c, &call, words, 2);
    const struct command_entry *e = command_find(atomic_load(&b->server.commands), slice_str("heap"));
    struct heap h = {.pile = reply_pile_new()};
    uint64_t before = output_end(c);
    static struct later later; /* the pile is given as it is only when the command waits */
    c->later = &later;
    while (!heap_step(&call, &h)) continue;
    c->later = NULL;
    assert_true(c->pieces.n > 5);
    dispatch_replied(c, e, before);
    assert_int_equal(c->unsafe_count, 1);
    client_flush(c);
    assert_int_equal(output_sent(c), before); /* nothing of it is sent */
    dispatch_fail_replies(c);
    assert_int_equal(c->pieces.n, 0);
    assert_true(c->out.n > 8 && memcmp(c->out.p, "-MISCONF ", 9) == 0);
    b->server.loops[0]->gate = 0;
    output_cut(c, before);
    reply_pile_free(&h.pile);
    bed_free(&b);
}

static void inside_a_transaction(void **state)
{
    struct bed *b = bed_new(NULL);
    struct buf want = {0};
    piled = 3000;
    per_step = 100;
    bed_send(b, 0, "MULTI\r\nPUT k v\r\nHEAP x\r\nEXEC\r\n");
    buf_add_str(&want, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n");
    add_heap(&want, "x", piled);
    expect_bytes(b, (const char *)want.p, want.n);
    buf_fini(&want);
    bed_free(&b);
}

static void the_client_goes(void **state)
{
    struct bed *b = bed_new(NULL);
    piled = 1000000;
    per_step = 10;
    bed_send(b, 0, "HEAP x\r\n");
    for (int i = 0; i < 100; i++) bed_turn(b);
    assert_int_equal(atomic_load(&b->server.blocked), 1);
    close(b->fd[0]);
    b->fd[0] = -1;
    for (int i = 0; i < 20; i++) bed_turn(b);
    assert_int_equal(atomic_load(&b->server.blocked), 0);
    bed_free(&b);
}

static void replies_that_are_not_wanted(void **state)
{
    struct bed *b = bed_new(NULL);
    piled = 3000;
    per_step = 100;
    bed_send(b, 0, "CLIENT REPLY SKIP\r\nHEAP x\r\nPING\r\n");
    bed_wait(b, 0, "+PONG\r\n");
    bed_ask(b, 0, "CLIENT REPLY OFF\r\nHEAP x\r\nHEAP y\r\nCLIENT REPLY ON\r\n", "+OK\r\n");
    bed_free(&b);
}

static bool is_in(const char *text, const char *field, unsigned long at_least)
{
    const char *p = strstr(text, field);
    return p && strtoul(p + strlen(field), NULL, 10) >= at_least;
}

/* The client list tells how much of it lies there. */
static void a_slow_reader(void **state)
{
    struct bed *b = bed_new(NULL);
    piled = 5000;
    per_step = 100;
    bed_send(b, 0, "HEAP x\r\n");
    for (int i = 0; i < 100; i++) bed_turn(b);
    bed_ask(b, 1, "CLIENT SETNAME other\r\n", "+OK\r\n");
    const char *list = bed_read(b, 1, "CLIENT LIST ID 1 2 3\r\n");
    assert_true(is_in(list, " oll=", 10));
    assert_true(is_in(list, " omem=", 4000000));
    assert_true(is_in(list, " tot-mem=", 4000000));
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_size), cmocka_unit_test(inside_a_transaction), cmocka_unit_test(the_client_goes),
                                       cmocka_unit_test(replies_that_are_not_wanted), cmocka_unit_test(behind_a_sync), cmocka_unit_test(the_log_fails),
                                       cmocka_unit_test(a_slow_reader)};
    return cmocka_run_group_tests_name("reply_pile", tests, NULL, NULL);
}
