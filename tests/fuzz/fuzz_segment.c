/* Any bytes as a segment file: opened, salvaged, read and appended to. Whatever it is, open ends with a log whose every record reads back by seq and by
 * cursor alike, in whole commits, or with an error that says where.
 *
 * First byte: bit 0 a good header stands before the rest; bit 1 length words and checksums of what follows are put right, so that
 * records with wild content get through. */
#include "base/codec.h"
#include "base/logline.h"
#include "engine/segment.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t store[16] = "fuzzed store";

/* Cuts the input into records: a length byte, then that many node bytes with version and seq put in. */
static void lay_records(struct buf *out, slice in)
{
    uint64_t seq = 1;
    while (in.n > 1) {
        size_t n = NODE_BYTES_MIN + in.p[0] / 2, left = in.n - 1;
        bool more = in.p[0] & 1;
        uint8_t *rec = buf_reserve(out, record_size(n));
        memset(rec, 0, record_size(n));
        memcpy(rec + RECORD_HEADER_BYTES, in.p + 1, left < n ? left : n);
        rec[RECORD_HEADER_BYTES] = NODE_VERSION;
        if (rec[RECORD_HEADER_BYTES + 9] < 250) put_u64(rec + RECORD_HEADER_BYTES + 8, seq++);
        put_u32(rec, record_seal(rec, n, more));
        out->n += record_size(n);
        in.p += 1 + (left < n ? left : n);
        in.n -= 1 + (left < n ? left : n);
    }
}

static void check_log(struct seglog *l)
{
    struct seglog_cursor *c;
    struct buf mem = {0};
    uint64_t seq, behind = 0, last = seglog_last_seq(l);
    slice raw, read;
    bool more = false, again;
    ASSERT(seglog_cursor_open(l, 1, &c) == E_OK);
    int rc;
    while ((rc = seglog_cursor_next(c, &seq, &raw, &more)) == E_OK) {
        ASSERT(seq > behind && seq <= last);
        ASSERT(seglog_read(l, seq, &mem, &read, &again) == E_OK);
        ASSERT(slice_eq(raw, read) && again == more);
        behind = seq;
    }
    ASSERT(rc == E_END && !more);
    seglog_cursor_close(&c);
    buf_fini(&mem);
}

static void append_one(struct seglog *l)
{
    uint8_t rec[64] __attribute__((aligned(4))) = {0};
    struct node n = {.op = NODE_FILLER, .seq = seglog_last_seq(l) + 1};
    node_encode(&n, rec + RECORD_HEADER_BYTES);
    put_u32(rec, record_seal(rec, node_size(&n), false));
    ASSERT(seglog_append(l, slice_of(rec, record_size(node_size(&n))), n.seq, 1) == E_OK);
}

static void open_check(struct os *os, bool salvage, bool read_only)
{
    struct seglog_options o = {.os = os,
                               .dir = "/s",
                               .segment_bytes = SEGMENT_BYTES_MIN,
                               .first_unlisted_seq = 1,
                               .store_id = store,
                               .salvage = salvage,
                               .read_only = read_only};
    struct seglog *l;
    struct seglog_report rep;
    int rc = seglog_open(&o, &l, &rep);
    if (rc) {
        ASSERT(rc == E_CORRUPT || rc == E_VERSION);
        ASSERT(rc == E_VERSION || (rep.where[0] && rep.lost_from));
        return;
    }
    check_log(l);
    if (!read_only) append_one(l), check_log(l);
    seglog_close(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > (1 << 16)) return 0;
    log_set_level(LOG_NOTHING);
    struct os *os = os_memory_new();
    struct os_file *f;
    struct buf file = {0};
    struct segment_header h = {.first_seq = 1};
    memcpy(h.store_id, store, 16);
    if (data[0] & 1) {
        segment_header_encode(&h, buf_reserve(&file, SEGMENT_HEADER_BYTES));
        file.n += SEGMENT_HEADER_BYTES;
    }
    if (data[0] & 2)
        lay_records(&file, slice_of(data + 1, size - 1));
    else
        buf_add(&file, data + 1, size - 1);
    if (file.n > 200 && data[0] & 4) file.p[file.n / 2] ^= data[1]; /* one flip in good bytes */
    ASSERT(os_mkdir(os, "/s/log") == E_OK);
    ASSERT(os_open(os, "/s/log/0000000000000001-0000.seg", OS_WRITE, &f) == E_OK);
    ASSERT(os_write(os, f, 0, file.p, file.n) == E_OK);
    os_close(os, &f);
    open_check(os, false, true);
    open_check(os, true, true);
    open_check(os, data[0] & 8, false);
    open_check(os, true, false);
    open_check(os, false, false); /* what a repair decided stands */
    buf_fini(&file);
    os_free(&os);
    return 0;
}
