/* The output is one sequence of bytes, whatever lies in pieces and whatever was sent: held against a plain buffer under random work. */
#include "serverbed.h"

#include "server/output.h"
#include "support/json_gen.h"

static uint8_t pattern(uint64_t at, unsigned salt) { return (uint8_t)(at * 31 + (at >> 8) * 7 + salt); }

struct model {
    struct buf all;  /* everything that was written and not taken back */
    uint64_t base;   /* place of its first byte */
    size_t received; /* of it */
    unsigned salt;
};

static void write_both(struct buf *to, struct model *m, size_t n)
{
    m->salt++;
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = pattern(m->all.n, m->salt);
        buf_add_byte(to, byte);
        buf_add_byte(&m->all, byte);
    }
}

static void add_pieces(struct client *c, struct rng *r, struct model *m)
{
    struct output_queue q = {0};
    size_t pieces = rng_below(r, 5);
    for (size_t i = 0; i < pieces; i++) {
        struct buf b = {0};
        write_both(&b, m, 1 + rng_below(r, rng_below(r, 4) ? 300 : 300000));
        output_queue_add(&q, &b, 0);
        assert_null(b.p);
    }
    size_t bytes = q.bytes;
    assert_int_equal(q.n, pieces);
    uint64_t end = output_end(c);
    output_add(c, &q);
    assert_int_equal(output_end(c), end + bytes);
    assert_null(q.first);
}

static void receive(int fd, struct model *m)
{
    static uint8_t got[1 << 16];
    ssize_t n;
    while ((n = recv(fd, got, sizeof got, MSG_DONTWAIT)) > 0) {
        assert_true(m->received + (size_t)n <= m->all.n);
        assert_memory_equal(got, m->all.p + m->received, (size_t)n);
        m->received += (size_t)n;
    }
}

static void check(const struct client *c, const struct model *m)
{
    unsigned n = 0;
    size_t bytes = 0;
    for (const struct output_piece *p = c->pieces.first; p; p = p->next, n++) bytes += p->bytes.n;
    assert_int_equal(c->pieces.n, n);
    assert_int_equal(c->pieces.bytes, bytes);
    assert_int_equal(output_end(c), m->base + m->all.n);
    assert_int_equal(output_waiting(c), output_end(c) - output_sent(c));
    assert_true(output_sent(c) >= m->base + m->received);
}

static void any_work(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_connect(b, 0);
    struct client *c = b->server.loops[0]->clients;
    struct rng r = {7};
    struct model m = {.base = output_end(c)};
    unsigned cuts = 0, over_pieces = 0, parts = 0;
    for (int i = 0; i < 6000; i++) {
        switch (rng_below(&r, 6)) {
        case 0: write_both(&c->out, &m, rng_below(&r, 2000)); break;
        case 1: add_pieces(c, &r, &m); break;
        case 2: receive(b->fd[0], &m); break;
        case 3: { /* taken back */
            uint64_t end = output_end(c) - rng_below(&r, output_waiting(c) + 1);
            if (rng_below(&r, 4) == 0) {
                cuts++;
                over_pieces += end < c->out_base;
                output_cut(c, end);
                m.all.n = (size_t)(end - m.base);
            }
            break;
        }
        default: { /* sent up to some place */
            uint64_t until = rng_below(&r, 3) ? output_end(c) : output_end(c) - rng_below(&r, output_waiting(c) + 1);
            uint64_t sent = output_sent(c);
            assert_true(output_send(c, until));
            assert_true(output_sent(c) >= sent && output_sent(c) <= (until > sent ? until : sent));
            parts += output_waiting(c) > 0;
            if (output_waiting(c) == 0) output_clear(c);
        }
        }
        check(c, &m);
    }
    while (output_waiting(c) > 0) {
        assert_true(output_send(c, output_end(c)));
        receive(b->fd[0], &m);
    }
    receive(b->fd[0], &m);
    assert_int_equal(m.received, m.all.n);
    output_clear(c);
    assert_true(cuts > 100 && over_pieces > 20 && parts > 100);
    buf_fini(&m.all);
    bed_free(&b);
}

/* What is behind the border is not sent, though it lies in the same piece. */
static void a_border_in_a_piece(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_connect(b, 0);
    struct client *c = b->server.loops[0]->clients;
    struct output_queue q = {0};
    struct buf piece = {0};
    uint64_t from = output_end(c);
    char got[16];
    buf_add_str(&c->out, "ab");
    buf_add_str(&piece, "cdef");
    output_queue_add(&q, &piece, 0);
    output_add(c, &q);
    buf_add_str(&c->out, "gh");
    for (size_t i = 0; i <= 8; i++) {
        assert_true(output_send(c, from + i));
        assert_int_equal(output_sent(c), from + i);
        assert_true(output_send(c, from + i / 2)); /* below what was sent: nothing to do */
        assert_int_equal(output_sent(c), from + i);
        if (i == 0) continue;
        assert_int_equal(recv(b->fd[0], got, sizeof got, MSG_DONTWAIT), 1);
        assert_int_equal(got[0], "abcdefgh"[i - 1]);
    }
    output_clear(c);
    assert_int_equal(output_end(c), from + 8);
    bed_free(&b);
}

static void a_broken_connection(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_connect(b, 0);
    struct client *c = b->server.loops[0]->clients;
    struct output_queue q = {0};
    struct buf piece = {0};
    buf_add_str(&piece, "x");
    output_queue_add(&q, &piece, 0);
    output_add(c, &q);
    close(b->fd[0]);
    b->fd[0] = -1;
    assert_false(output_send(c, output_end(c)));
    bed_free(&b); /* what waits is freed with the client */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_work), cmocka_unit_test(a_border_in_a_piece), cmocka_unit_test(a_broken_connection)};
    return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
