/* What the tests of the segment log share: commits whose content follows from their seqs, so that any record can be checked alone. */
#ifndef VARVE_TESTS_LOGWORK_H
#define VARVE_TESTS_LOGWORK_H

#include "base/codec.h"
#include "base/logline.h"
#include "base/os_sim.h"
#include "engine/seglog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Sanitizer builds are slow: they look at one place in several. */
#ifdef VARVE_DEBUG
#define WORK_STEP 7
#else
#define WORK_STEP 1
#endif

static const uint8_t work_store[16] = "a store for test";

static inline uint64_t work_mix(uint64_t x)
{
    x ^= x >> 33, x *= 0xff51afd7ed558ccdull, x ^= x >> 33;
    return x;
}
/* Commits have 1 to 4 nodes; which seq is in which follows from nothing but the seq: groups of ten are cut as 1 2 3 4. */
static inline uint64_t work_commit_first(uint64_t seq)
{
    uint64_t base = (seq - 1) / 10 * 10, k = (seq - 1) % 10;
    return base + 1 + (k < 1 ? 0 : k < 3 ? 1 : k < 6 ? 3 : 6);
}
static inline uint64_t work_commit_last(uint64_t seq)
{
    uint64_t base = (seq - 1) / 10 * 10, k = (seq - 1) % 10;
    return base + (k < 1 ? 1 : k < 3 ? 3 : k < 6 ? 6 : 10);
}
static inline size_t work_payload(uint64_t seq)
{
    return work_mix(seq) % 7 == 0 ? 900 : work_mix(seq) % 150;
}

static inline void work_add(struct buf *out, uint64_t seq)
{
    uint8_t payload[1024], key[8];
    put_u64(key, seq);
    struct node n = {.op = NODE_PUT,
                     .type = TYPE_STRING,
                     .seq = seq,
                     .ver = 1,
                     .key = slice_of(key, 8),
                     .payload = slice_of(payload, work_payload(seq))};
    for (size_t i = 0; i < n.payload.n; i++) payload[i] = (uint8_t)(work_mix(seq + i / 8) >> i % 8 * 8);
    n.commit_pos = (uint32_t)(seq - work_commit_first(seq));
    size_t bytes = node_size(&n), size = record_size(bytes);
    uint8_t *p = buf_reserve(out, size);
    node_encode(&n, p + RECORD_HEADER_BYTES);
    put_u32(p, record_seal(p, bytes, seq != work_commit_last(seq)));
    out->n += size;
}

/* True when raw is the node that work_add makes for seq. */
static inline bool work_is(uint64_t seq, slice raw)
{
    struct buf b = {0};
    work_add(&b, seq);
    size_t n = get_u32(b.p) & ~RECORD_MORE;
    bool same = raw.n == n && memcmp(raw.p, b.p + RECORD_HEADER_BYTES, n) == 0;
    buf_fini(&b);
    return same;
}

/* Appends whole commits from last + 1 to `upto` (the end of a commit), one call for about `batch` commits. */
static inline int work_append(struct seglog *l, uint64_t upto, unsigned batch)
{
    struct buf b = {0};
    int rc = E_OK;
    for (uint64_t seq = seglog_last_seq(l) + 1, first = seq, commits = 0; rc == E_OK && seq <= upto; seq++) {
        work_add(&b, seq);
        if (seq != work_commit_last(seq)) continue;
        if (++commits % batch && seq != upto) continue;
        rc = seglog_append(l, buf_slice(&b), first, (uint32_t)(seq - first + 1));
        buf_clear(&b);
        first = seq + 1;
    }
    buf_fini(&b);
    return rc;
}

static inline struct seglog_options work_options(struct os *os)
{
    return (struct seglog_options){
        .os = os, .dir = "/store", .segment_bytes = SEGMENT_BYTES_MIN, .first_unlisted_seq = 1, .store_id = work_store};
}

static inline int work_open(struct os *os, struct seglog **l, struct seglog_report *rep)
{
    struct seglog_options o = work_options(os);
    return seglog_open(&o, l, rep);
}

/* Every seq from 1 to the end by read, by cursor, and its `more`; all must be there. */
static inline void work_check_all(struct seglog *l)
{
    struct buf mem = {0};
    struct seglog_cursor *c;
    uint64_t last = seglog_last_seq(l), got;
    slice raw;
    bool more, again;
    assert_int_equal(seglog_cursor_open(l, 1, &c), E_OK);
    for (uint64_t seq = 1; seq <= last; seq++) {
        assert_int_equal(seglog_read(l, seq, &mem, &raw, &more), E_OK);
        assert_true(work_is(seq, raw));
        assert_int_equal(more, seq != work_commit_last(seq));
        assert_int_equal(seglog_more(l, seq, &again), E_OK);
        assert_int_equal(again, more);
        assert_int_equal(seglog_cursor_next(c, &got, &raw, &again), E_OK);
        assert_true(got == seq && again == more && work_is(seq, raw));
    }
    assert_int_equal(seglog_cursor_next(c, &got, &raw, &again), E_END);
    assert_int_equal(seglog_read(l, last + 1, &mem, &raw, &more), E_NOTFOUND);
    seglog_cursor_close(&c);
    buf_fini(&mem);
}

static inline void work_background(struct seglog *l)
{
    while (seglog_background(l) == E_OK) continue;
}

#endif
