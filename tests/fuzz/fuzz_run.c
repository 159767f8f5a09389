/* A run file of arbitrary bytes: opening, walking both ways, seeking and verifying must end in an answer or an error.
 *
 * Checksums would turn nearly every input away at once, so the input is also tried with its checksums made good: the first byte chooses. */
#include "base/codec.h"
#include "base/hash.h"
#include "base/logline.h"
#include "base/mem.h"
#include "engine/index_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(uint64_t off, uint64_t n, uint64_t size) { return off <= size && n <= size - off; }

static void mend_section(uint8_t *p, uint64_t size, uint8_t *footer, unsigned at, unsigned crc_at)
{
    uint64_t off = get_u64(footer + at), n = get_u64(footer + at + 8);
    if (within(off, n, size)) put_u32(footer + crc_at, crc32c(0, p + off, n));
}

/* Follows the block index as far as it makes sense. */
static void mend_blocks(uint8_t *p, uint64_t size, const uint8_t *footer)
{
    uint64_t off = get_u64(footer + 64), n = get_u64(footer + 72), at = RUN_HEADER_BYTES;
    if (!within(off, n, size)) return;
    const uint8_t *q = p + off, *end = q + n;
    while (q < end) {
        uint64_t bytes, key_n;
        q = get_varint(q, end, &bytes);
        if (q) q = get_varint(q, end, &key_n);
        if (!q || key_n > (size_t)(end - q) || bytes < 16 || !within(at, bytes, off)) return;
        uint8_t place[16];
        put_u64(place, 1);
        put_u64(place + 8, at);
        put_u32(p + at + bytes - 4, crc32c(crc32c(0, place, sizeof place), p + at, bytes - 4));
        q += key_n;
        at += bytes;
    }
}

static void mend(uint8_t *p, uint64_t size)
{
    if (size < RUN_HEADER_BYTES + RUN_FOOTER_BYTES) return;
    uint8_t *footer = p + size - RUN_FOOTER_BYTES;
    memcpy(p, RUN_MAGIC, 8);
    put_u16(p + 8, RUN_VERSION);
    put_u16(p + 10, RUN_HEADER_BYTES);
    put_u64(p + 16, 1);
    put_u32(p + 28, crc32c(0, p, 28));
    memcpy(footer, RUN_FOOTER_MAGIC, 8);
    put_u16(footer + 8, RUN_VERSION);
    put_u16(footer + 10, RUN_FOOTER_BYTES);
    put_u64(footer + 16, 1);
    mend_blocks(p, size, footer);
    mend_section(p, size, footer, 64, 112);
    mend_section(p, size, footer, 80, 116);
    mend_section(p, size, footer, 96, 120);
    put_u32(footer + 124, crc32c(0, footer, 124));
}

/* A step count above the number of bytes would mean that the cursor runs in circles. */
static void walk(struct run_cursor *c, size_t size)
{
    size_t steps = 0;
    int rc = run_cursor_first(c);
    for (; rc == E_OK; rc = run_cursor_next(c)) ASSERT(++steps <= size);
    steps = 0;
    rc = run_cursor_last(c);
    for (; rc == E_OK; rc = run_cursor_prev(c)) ASSERT(++steps <= size);
}

static void seek(struct run_cursor *c, slice key)
{
    int rc = run_cursor_seek(c, key);
    if (rc == E_OK) rc = run_cursor_prev(c);
    rc = run_cursor_seek_before(c, key);
    if (rc == E_OK) rc = run_cursor_next(c);
    (void)rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    log_set_level(LOG_NOTHING);
    if (size == 0) return 0;
    struct os *os = os_memory_new();
    struct os_file *f = NULL;
    struct index_run *r = NULL;
    uint8_t *copy = mem_dup(data + 1, size - 1);
    size_t n = size - 1;
    if (data[0] & 1) mend(copy, n);
    struct run_id want = {.id = 1, .bytes = n};
    if (n >= RUN_FOOTER_BYTES) {
        want.level = copy[n - RUN_FOOTER_BYTES + 12];
        want.entries = get_u64(copy + n - RUN_FOOTER_BYTES + 32);
    }
    int rc = os_mkdir(os, "/d");
    if (rc == E_OK) rc = os_open(os, "/d/00000001.run", OS_WRITE, &f);
    if (rc == E_OK) rc = os_write(os, f, 0, copy, n);
    if (f) os_close(os, &f);
    if (rc == E_OK) rc = index_run_open(os, "/d", &want, &r);
    if (rc == E_OK) {
        char where[100];
        struct run_cursor *c = mem_alloc(sizeof *c);
        run_cursor_init(c, r);
        walk(c, n);
        seek(c, slice_of(copy, n < 20 ? n : 20));
        seek(c, r->smallest.n <= INDEX_KEY_MAX ? r->smallest : slice_of(NULL, 0));
        run_cursor_fini(c);
        mem_free(c);
        rc = index_run_verify(r, where, sizeof where);
        index_run_drop(r);
    }
    (void)rc;
    mem_free(copy);
    os_free(&os);
    return 0;
}
