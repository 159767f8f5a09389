/* The ring: what the sink sees under one writer, then under several with a ring so small that it wraps and parks all the time. */
#include "engine/ring.h"

#include "base/codec.h"
#include "base/mem.h"
#include "base/thread.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* Checks order, density, sums and content of everything handed over. Runs under the drain lock, so its fields need none. */
struct sink {
    uint64_t next; /* seq expected */
    uint64_t fillers, commits, calls;
    uint64_t fail_at; /* the call that fails; 0 = none */
    int fail_code;
    bool failed, bad;
    struct buf bytes; /* everything, when `keep` */
    bool keep;
};

static uint8_t content(uint64_t seq, size_t i)
{
    return (uint8_t)(seq * 31 + i * 7 + (seq >> 8));
}

static bool check_node(struct sink *s, slice raw, bool *first)
{
    struct node n;
    if (node_decode(raw, &n) || n.seq != s->next) return false;
    if (n.op == NODE_FILLER) {
        s->fillers++;
        for (size_t i = 0; i < n.payload.n; i++)
            if (n.payload.p[i]) return false;
        return true;
    }
    if ((n.commit_pos == 0) != *first || n.key.n != 8 || get_u64(n.key.p) != n.seq) return false;
    for (size_t i = 0; i < n.payload.n; i++)
        if (n.payload.p[i] != content(n.seq, i)) return false;
    return true;
}

static int take(void *ctx, slice bytes, uint64_t first_seq, uint32_t count)
{
    struct sink *s = ctx;
    s->calls++;
    if (s->failed || first_seq != s->next || count == 0) s->bad = true;
    if (s->calls == s->fail_at) {
        s->failed = true;
        return s->fail_code;
    }
    if (s->keep) buf_add_slice(&s->bytes, bytes);
    bool first = true, more = false;
    for (uint32_t i = 0; i < count && !s->bad; i++, s->next++) {
        struct log_record r = {0};
        if (record_check(bytes, &r) || r.cut || !check_node(s, r.node, &first)) s->bad = true;
        if (s->bad) break;
        bytes.p += r.size, bytes.n -= r.size;
        more = r.more;
        first = !more;
        s->commits += !more;
    }
    if (bytes.n || more) s->bad = true;
    return 0;
}

static struct ring *start(struct sink *s, size_t bytes, uint64_t next_seq)
{
    struct ring *r;
    s->next = next_seq;
    assert_int_equal(ring_open(bytes, next_seq, take, s, &r), E_OK);
    return r;
}

/* Writes one commit of `count` nodes with payloads of sizes[i]. */
static int commit(struct ring *r, uint32_t count, const size_t *sizes, bool abandon, struct ring_slot *slot)
{
    uint8_t key[8] = {0};
    struct node n = {.op = NODE_PUT, .type = TYPE_STRING, .key = slice_of(key, 8), .ver = 1};
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        n.commit_pos = i;
        n.payload.n = sizes[i];
        total += record_size(node_size(&n));
    }
    int rc = ring_reserve(r, total, count, slot);
    if (rc) return rc;
    uint32_t words[8];
    static _Thread_local uint8_t payload[1 << 19];
    uint8_t *at = slot->at;
    for (uint32_t i = 0; i < count; i++) {
        n.seq = slot->first_seq + i;
        n.commit_pos = i;
        put_u64(key, n.seq);
        n.payload = slice_of(payload, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) payload[k] = content(n.seq, k);
        uint8_t *end = node_encode(&n, at + RECORD_HEADER_BYTES);
        words[i] = record_seal(at, (size_t)(end - at) - RECORD_HEADER_BYTES, i + 1 < count);
        at += record_size(words[i] & ~RECORD_MORE);
        if (abandon && i == count / 2) break;
    }
    if (abandon)
        ring_abandon(r, slot);
    else if (count == 1)
        ring_publish_one(r, slot, words[0]);
    else
        ring_publish(r, slot, words);
    return E_OK;
}

static void test_one_writer(void **state)
{
    struct sink s = {.keep = true};
    struct ring *r = start(&s, RING_BYTES_MIN, 5);
    struct ring_slot a, b;
    assert_int_equal(ring_reserved_seq(r), 4);
    assert_int_equal(commit(r, 1, (size_t[]){3}, false, &a), E_OK);
    assert_int_equal(commit(r, 3, (size_t[]){0, 100, 7}, false, &b), E_OK);
    assert_true(a.first_seq == 5 && b.first_seq == 6 && a.end < b.end);
    assert_int_equal(ring_reserved_seq(r), 8);
    assert_int_equal(ring_reserved_end(r), b.end);
    assert_int_equal(ring_drained_seq(r), 4);
    assert_int_equal(ring_drain(r, a.end), E_OK);
    assert_true(ring_drained_end(r) >= a.end && ring_drained_seq(r) >= 5);
    assert_int_equal(ring_drain(r, 0), E_OK);
    assert_int_equal(ring_drained_seq(r), 8);
    assert_int_equal(ring_drained_end(r), b.end);
    assert_int_equal(s.bytes.n, b.end);
    assert_true(!s.bad && s.commits == 2);
    ring_close(&r);
    assert_null(r);
    buf_fini(&s.bytes);
}

/* An unpublished reservation holds back what lies behind it, and only that. */
static void test_gap_holds(void **state)
{
    struct sink s = {0};
    struct ring *r = start(&s, RING_BYTES_MIN, 1);
    struct ring_slot a, gap, b;
    assert_int_equal(commit(r, 1, (size_t[]){10}, false, &a), E_OK);
    assert_int_equal(ring_reserve(r, 3 * RECORD_BYTES_MIN + 8, 3, &gap), E_OK);
    assert_int_equal(commit(r, 2, (size_t[]){10, 20}, false, &b), E_OK);
    assert_int_equal(ring_drain(r, 0), E_OK);
    assert_int_equal(ring_drained_seq(r), 1);
    ring_abandon(r, &gap);
    assert_int_equal(ring_drain(r, b.end), E_OK);
    assert_int_equal(ring_drained_seq(r), 6);
    struct ring_stats st;
    ring_get_stats(r, &st);
    assert_true(st.fillers == 3 && s.fillers == 3 && !s.bad);
    ring_close(&r);
}

static void test_oversize(void **state)
{
    struct sink s = {0};
    struct ring *r = start(&s, RING_BYTES_MIN, 1);
    struct ring_slot a, b, c;
    assert_int_equal(commit(r, 2, (size_t[]){500000, 9}, false, &a), E_OK);
    assert_int_equal(commit(r, 1, (size_t[]){300000}, false, &b), E_OK);
    assert_int_equal(commit(r, 3, (size_t[]){1, 400000, 2}, true, &c), E_OK);
    assert_true(a.end == 32 && b.end == 64 && c.end == 96);
    assert_int_equal(ring_drain(r, c.end), E_OK);
    assert_int_equal(ring_drained_seq(r), 6);
    assert_int_equal(s.fillers, 3);
    assert_false(s.bad);
    ring_close(&r);
}

/* The seq field has 24 bits and carries come in from the position: start next to both borders. */
static void test_wraps(void **state)
{
    static const uint64_t starts[] = {1, (1ull << 24) - 3, (1ull << 40) - 3, (1ull << 63) - 2};
    for (size_t i = 0; i < 4; i++) {
        struct sink s = {0};
        struct ring *r = start(&s, RING_BYTES_MIN, starts[i]);
        struct ring_slot slot;
        for (unsigned k = 0; k < 3000; k++)
            assert_int_equal(commit(r, 1 + k % 3, (size_t[]){k % 400, 3, 200}, false, &slot), E_OK);
        assert_int_equal(ring_drain(r, slot.end), E_OK);
        assert_true(ring_drained_seq(r) == starts[i] + 5999);
        assert_false(s.bad);
        ring_close(&r);
    }
}

static void test_sticky_sink(void **state)
{
    struct sink s = {.fail_at = 2, .fail_code = E_NOSPACE};
    struct ring *r = start(&s, RING_BYTES_MIN, 1);
    struct ring_slot a, b, c;
    assert_int_equal(commit(r, 1, (size_t[]){10}, false, &a), E_OK);
    assert_int_equal(ring_drain(r, a.end), E_OK);
    assert_int_equal(commit(r, 1, (size_t[]){10}, false, &b), E_OK);
    assert_int_equal(ring_drain(r, b.end), E_NOSPACE);
    assert_int_equal(ring_failure(r), E_NOSPACE);
    assert_int_equal(ring_drained_seq(r), 1);
    assert_int_equal(commit(r, 1, (size_t[]){10}, false, &c), E_STICKY);
    assert_int_equal(ring_drain(r, 0), E_NOSPACE);
    ring_fail(r, E_IO); /* the first reason stands */
    assert_int_equal(ring_failure(r), E_NOSPACE);
    assert_int_equal(s.calls, 2);
    ring_close(&r);
}

/* ---- several writers ---- */

struct party {
    struct ring *r;
    uint64_t next_id; /* atomic */
    uint64_t commits; /* each */
    uint64_t refused; /* atomic */
    uint64_t written; /* atomic: nodes */
    bool stop;        /* atomic */
    bool lazy;        /* nobody asks for a drain but who must */
};

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    return *x;
}

static void write_many(void *arg)
{
    struct party *p = arg;
    uint64_t x = 88172645463325252ull + 977 * __atomic_add_fetch(&p->next_id, 1, __ATOMIC_RELAXED);
    for (uint64_t i = 0; i < p->commits; i++) {
        size_t sizes[5];
        uint32_t count = 1 + (uint32_t)(next_random(&x) % 5);
        for (uint32_t k = 0; k < count; k++) sizes[k] = next_random(&x) % 600;
        if (next_random(&x) % 100 == 0) sizes[0] = 5000 + next_random(&x) % 40000; /* some oversize, some nearly */
        struct ring_slot slot;
        int rc = commit(p->r, count, sizes, next_random(&x) % 16 == 0, &slot);
        if (rc) {
            if (rc != E_STICKY) abort();
            __atomic_add_fetch(&p->refused, 1, __ATOMIC_RELAXED);
            return;
        }
        __atomic_add_fetch(&p->written, count, __ATOMIC_RELAXED);
        if (p->lazy || next_random(&x) % 4) continue;
        rc = ring_drain(p->r, slot.end);
        if (rc == E_OK && (ring_drained_end(p->r) < slot.end || ring_drained_seq(p->r) < slot.first_seq + count - 1)) abort();
    }
}

static void drain_beside(void *arg)
{
    struct party *p = arg;
    while (!__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE)) {
        uint64_t seq = ring_reserved_seq(p->r);
        if (ring_drain(p->r, 0)) return;
        if (ring_drained_seq(p->r) > ring_reserved_seq(p->r) || seq > ring_reserved_seq(p->r)) abort();
    }
}

#ifdef VARVE_DEBUG
#define STRESS_COMMITS 4000
#else
#define STRESS_COMMITS 30000
#endif

static void run_party(struct party *p, unsigned writers, unsigned drainers)
{
    pthread_t w[8], d[4];
    for (unsigned i = 0; i < drainers; i++) assert_int_equal(thread_start(&d[i], "drainer", drain_beside, p), E_OK);
    for (unsigned i = 0; i < writers; i++) assert_int_equal(thread_start(&w[i], "writer", write_many, p), E_OK);
    for (unsigned i = 0; i < writers; i++) thread_join(w[i]);
    __atomic_store_n(&p->stop, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < drainers; i++) thread_join(d[i]);
}

static void stress(unsigned writers, unsigned drainers, bool lazy)
{
    struct sink s = {0};
    struct party p = {.r = start(&s, RING_BYTES_MIN, (1ull << 24) - 1000), .commits = STRESS_COMMITS, .lazy = lazy};
    run_party(&p, writers, drainers);
    assert_int_equal(ring_drain(p.r, ring_reserved_end(p.r)), E_OK);
    assert_int_equal(ring_drained_seq(p.r), (1ull << 24) - 1001 + p.written);
    assert_true(!s.bad && s.next == ring_reserved_seq(p.r) + 1);
    struct ring_stats st;
    ring_get_stats(p.r, &st);
    assert_true(st.oversize > 0 && st.fillers == s.fillers && s.fillers > 0);
    if (lazy) assert_true(st.parks > 0);
    ring_close(&p.r);
}

static void test_stress_four(void **state)
{
    stress(4, 0, false);
}
static void test_stress_drainers(void **state)
{
    stress(4, 2, true);
}
static void test_stress_nobody_drains(void **state)
{
    stress(4, 0, true);
}

/* A failure in the middle of it all: everyone comes home, nothing is handed over behind it. */
static void test_stress_sticky(void **state)
{
    for (unsigned round = 0; round < 40; round++) {
        struct sink s = {.fail_at = 1 + round * 7, .fail_code = E_IO};
        struct party p = {.r = start(&s, RING_BYTES_MIN, 1), .commits = 100000, .lazy = round & 1};
        run_party(&p, 4, round % 3);
        assert_int_equal(ring_failure(p.r), E_IO);
        assert_int_equal(p.refused, 4);
        assert_true(!s.bad && s.calls == s.fail_at);
        assert_true(ring_drained_seq(p.r) == s.next - 1);
        ring_close(&p.r);
    }
}

/* ---- a drainer that stands at a commit while it is published ---- */

#define LONG_COMMIT 2000

struct watcher {
    struct ring *r;
    uint64_t end; /* atomic: what to drain up to; UINT64_MAX: no more */
};

static void drain_what_comes(void *arg)
{
    struct watcher *w = arg;
    for (uint64_t end; (end = __atomic_load_n(&w->end, __ATOMIC_ACQUIRE)) != UINT64_MAX;)
        if (end > ring_drained_end(w->r) && ring_drain(w->r, end)) abort();
}

static void test_long_commits_appear_whole(void **state)
{
    static uint32_t words[LONG_COMMIT];
    struct sink s = {0};
    struct watcher w = {.r = start(&s, 1 << 20, 1)};
    uint8_t key[8] = {0};
    struct node n = {.op = NODE_PUT, .type = TYPE_STRING, .key = slice_of(key, 8), .ver = 1};
    size_t total = 0;
    pthread_t t;
    for (uint32_t i = 0; i < LONG_COMMIT; i++) n.commit_pos = i, total += record_size(node_size(&n));
    assert_int_equal(thread_start(&t, "drainer", drain_what_comes, &w), E_OK);
    for (int round = 0; round < STRESS_COMMITS / 100; round++) {
        struct ring_slot slot;
        assert_int_equal(ring_reserve(w.r, total, LONG_COMMIT, &slot), E_OK);
        uint8_t *at = slot.at;
        for (uint32_t i = 0; i < LONG_COMMIT; i++) {
            n.seq = slot.first_seq + i;
            n.commit_pos = i;
            put_u64(key, n.seq);
            uint8_t *end = node_encode(&n, at + RECORD_HEADER_BYTES);
            words[i] = record_seal(at, (size_t)(end - at) - RECORD_HEADER_BYTES, i + 1 < LONG_COMMIT);
            at += record_size(words[i] & ~RECORD_MORE);
        }
        __atomic_store_n(&w.end, slot.end, __ATOMIC_RELEASE);
        for (struct timespec nap = {0, 1000}; round % 2 && nap.tv_nsec; nap.tv_nsec = 0) (void)nanosleep(&nap, NULL); /* it stands at the first word by now */
        ring_publish(w.r, &slot, words);
        while (ring_drained_end(w.r) < slot.end) sched_yield();
    }
    __atomic_store_n(&w.end, UINT64_MAX, __ATOMIC_RELEASE);
    thread_join(t);
    assert_true(!s.bad && s.commits == STRESS_COMMITS / 100);
    ring_close(&w.r);
}

static void test_commit_too_many_nodes(void **state)
{
    struct sink s = {0};
    struct ring *r = start(&s, RING_BYTES_MAX / 8, 1);
    enum { COUNT = RING_DIRECT_NODES_MAX + 1 };
    struct ring_slot slot;
    assert_int_equal(ring_reserve(r, (size_t)COUNT * RECORD_BYTES_MIN, COUNT, &slot), E_OK);
    assert_int_equal(slot.end, 32);
    ring_abandon(r, &slot);
    assert_int_equal(ring_drain(r, slot.end), E_OK);
    assert_int_equal(ring_drained_seq(r), COUNT);
    assert_false(s.bad);
    ring_close(&r);
}

static int count_only(void *ctx, slice bytes, uint64_t first_seq, uint32_t count)
{
    *(uint64_t *)ctx += count;
    return 0;
}

/* A figure for the log of the build: the way of one small write through the ring. */
static void test_speed(void **state)
{
    struct ring *r;
    uint64_t got = 0;
    assert_int_equal(ring_open(RING_BYTES_DEFAULT, 1, count_only, &got, &r), E_OK);
    struct node n = {
        .op = NODE_PUT, .type = TYPE_STRING, .key = slice_str("key:12345678"), .payload = slice_str("abc"), .ver = 1};
    enum { ROUNDS = 400000 };
    struct timespec a, b;
    for (int lap = 0; lap < 2; lap++) {
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int i = 0; i < ROUNDS; i++) {
            size_t size = node_size(&n);
            struct ring_slot s;
            if (ring_reserve(r, record_size(size), 1, &s)) fail();
            n.seq = s.first_seq;
            node_encode(&n, s.at + RECORD_HEADER_BYTES);
            ring_publish_one(r, &s, record_seal(s.at, size, false));
            if (i % 64 == 63 && ring_drain(r, s.end)) fail();
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
    }
    double ns = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / ROUNDS;
    printf("reserve, encode, seal, publish, drain of 3 bytes: %.0f ns\n", ns);
    assert_int_equal(got, 2 * ROUNDS);
    ring_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_writer),
        cmocka_unit_test(test_gap_holds),
        cmocka_unit_test(test_oversize),
        cmocka_unit_test(test_wraps),
        cmocka_unit_test(test_sticky_sink),
        cmocka_unit_test(test_commit_too_many_nodes), cmocka_unit_test(test_long_commits_appear_whole),
        cmocka_unit_test(test_stress_four),
        cmocka_unit_test(test_stress_drainers),
        cmocka_unit_test(test_stress_nobody_drains),
        cmocka_unit_test(test_stress_sticky),
        cmocka_unit_test(test_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
