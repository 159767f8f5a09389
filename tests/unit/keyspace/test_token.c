/* Tokens: what their command wrote, in the log and in an open batch. */
#include "unit/keyspace/keyspace_fixture.h"

#include <pthread.h>

#define DAY_MS ENGINE_TOKEN_WINDOW_MS

static void put_with(struct fixture *f, const char *key, const char *token)
{
    struct ks_write w = {.idem = slice_str(token), .want_hash = true};
    assert_int_equal(ks_put(&f->c, slice_str(key), TYPE_DOCUMENT, slice_str("{}"), &w), E_OK);
}

/* Places of the token's nodes, as "first-last", or "none". */
static const char *nodes(struct fixture *f, const char *token, uint64_t window_ms)
{
    static char text[64];
    struct buf refs = {0};
    struct node_ref first = {0}, last = {0};
    uint8_t hash[HASH_BYTES];
    int err = ks_token_nodes(&f->c, slice_str(token), window_ms, &refs);
    if (err == E_NOTFOUND) return "none";
    assert_int_equal(err, E_OK);
    size_t n = refs.n / sizeof first;
    assert_true(n > 0 && refs.n % sizeof first == 0);
    for (size_t i = 0; i < n; i++) {
        memcpy(&last, refs.p + i * sizeof last, sizeof last);
        if (i == 0) first = last;
        assert_int_equal(last.seq, first.seq + i);
        if (ks_in_batch(&f->c)) continue;
        assert_int_equal(engine_hash(f->e, last.seq, hash), E_OK);
        assert_memory_equal(hash, last.hash, HASH_BYTES);
    }
    snprintf(text, sizeof text, "%llu-%llu", (unsigned long long)first.seq, (unsigned long long)last.seq);
    buf_fini(&refs);
    return text;
}

static void test_single_writes(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(nodes(f, "t", DAY_MS), "none");
    put_with(f, "a", "t");
    put_with(f, "b", "u");
    assert_string_equal(nodes(f, "t", DAY_MS), "1-1");
    assert_string_equal(nodes(f, "u", DAY_MS), "2-2");
    put_with(f, "c", "u"); /* a commit of its own: not one command with the one before */
    assert_string_equal(nodes(f, "u", DAY_MS), "3-3");
}

static void test_a_command_of_several(void **state)
{
    struct fixture *f = *state;
    put(f, "s", "0");
    ks_begin(&f->c);
    put_with(f, "a", "t");
    put_with(f, "a", "t");
    put_with(f, "b", "t");
    assert_string_equal(nodes(f, "t", DAY_MS), "2-4");
    put_with(f, "b", "u");
    assert_string_equal(nodes(f, "t", DAY_MS), "2-4");
    assert_string_equal(nodes(f, "u", DAY_MS), "5-5");
    assert_string_equal(nodes(f, "v", DAY_MS), "none");
    put_with(f, "b", "t"); /* the token is used once more, by another command */
    assert_string_equal(nodes(f, "t", DAY_MS), "6-6");
    assert_int_equal(ks_commit(&f->c), E_OK);
    assert_string_equal(nodes(f, "u", DAY_MS), "5-5");
    ks_begin(&f->c);
    assert_string_equal(nodes(f, "u", DAY_MS), "5-5"); /* from the log, inside the next batch */
    assert_int_equal(ks_commit(&f->c), E_OK);
}

static void test_many_tokens(void **state)
{
    struct fixture *f = *state;
    char name[16];
    ks_begin(&f->c);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        put_with(f, "k", name);
    }
    assert_string_equal(nodes(f, "t0", DAY_MS), "1-1");
    assert_string_equal(nodes(f, "t2999", DAY_MS), "3000-3000");
    assert_int_equal(ks_commit(&f->c), E_OK);
    assert_string_equal(nodes(f, "t1500", DAY_MS), "1501-1501");
}

static void test_the_window_ends(void **state)
{
    struct fixture *f = *state;
    put_with(f, "a", "t");
    f->c.now_ms += 1000;
    put(f, "s", "1");
    assert_string_equal(nodes(f, "t", 2000), "1-1");
    assert_string_equal(nodes(f, "t", 500), "none");
}

/* ---- two clients with one token on two loops ---- */

#define LOOPS 2
#define TOKENS 1500

struct client {
    struct fixture *f;
    uint16_t loop;
    unsigned wrote;
    pthread_t thread;
};

static void write_once(struct client *w, struct ks_ctx *c, unsigned i)
{
    char key[24], token[24];
    struct buf refs = {0};
    snprintf(key, sizeof key, "k%u:%u", w->loop, i % 7);
    snprintf(token, sizeof token, "t%u", i);
    slice name = slice_str(key);
    struct ks_write with = {.idem = slice_str(token), .want_hash = true};
    c->now_ms = engine_now_ms(w->f->e);
    ks_enter(c, KS_SHARED, &name, 1);
    int err = ks_token_nodes(c, with.idem, DAY_MS, &refs);
    assert_true(err == E_OK || err == E_NOTFOUND);
    if (err == E_NOTFOUND) {
        assert_int_equal(ks_put(c, name, TYPE_DOCUMENT, slice_str("1"), &with), E_OK);
        w->wrote++;
    }
    ks_leave(c);
    assert_int_equal(c->token, 0);
    buf_fini(&refs);
}

static void *write_all(void *arg)
{
    struct client *w = arg;
    struct ks_ctx c = {.ks = w->f->ks, .loop = w->loop};
    for (unsigned i = 0; i < TOKENS; i++) write_once(w, &c, i);
    return NULL;
}

static void test_one_of_two_clients_writes(void **state)
{
    struct fixture f = {.os = os_memory_new(), .loops = LOOPS, .threads = true};
    struct client w[LOOPS];
    unsigned wrote = 0;
    (void)state;
    fixture_open(&f);
    for (uint16_t i = 0; i < LOOPS; i++) {
        w[i] = (struct client){.f = &f, .loop = i};
        assert_int_equal(pthread_create(&w[i].thread, NULL, write_all, &w[i]), 0);
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(pthread_join(w[i].thread, NULL), 0);
        wrote += w[i].wrote;
    }
    assert_int_equal(wrote, TOKENS);
    fixture_close(&f);
    os_free(&f.os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_KEYSPACE(test_single_writes), WITH_KEYSPACE(test_a_command_of_several),
                                       WITH_KEYSPACE(test_many_tokens), WITH_KEYSPACE(test_the_window_ends),
                                       cmocka_unit_test(test_one_of_two_clients_writes)};
    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
