/* Writing a run file, front to back, with bounded memory: one block, one file buffer, the block index and the filter.
 *
 * The file gets its final name at once. That is safe because no run is read unless the manifest lists it, and it is listed only after
 * run_writer_finish has synced file and directory; what is not listed is removed when the index opens. */
#include "engine/index_run.h"

#include "base/codec.h"
#include "base/hash.h"
#include "base/mem.h"
#include <stdio.h>

enum {
    FILE_BUFFER_BYTES = 256 << 10,
    HASHES_PENDING = 16,
    SYNC_BYTES = 16 << 20, /* sync as we go: one huge sync at the end would hold up the log's small ones */
};

struct run_writer {
    struct os *os;
    struct os_file *file;
    char dir[RUN_PATH_MAX], path[RUN_PATH_MAX];
    uint64_t id;
    uint8_t level;
    struct buf out;       /* bytes not yet in the file */
    uint64_t out_off;     /* where they go */
    uint64_t synced_off;
    struct buf block;     /* entries of the block being built */
    struct buf restarts;  /* u32 each */
    unsigned in_group;    /* entries since the last restart */
    struct buf last_key;
    size_t last_filter_n; /* of the newest entry with one, 0 = none yet */
    size_t filter_shared; /* leading bytes that all keys since then share with it */
    struct buf index;
    struct buf smallest, tombstone_smallest, tombstone_largest;
    struct index_filter filter;
    uint64_t filter_keys;
    uint64_t hashes[HASHES_PENDING]; /* of the newest filter_keys: set in the filter later, when their cache lines have come */
    uint64_t entries, tombstones, blocks;
    uint32_t unfiltered; /* first letters of live entries without a filter prefix */
};

int run_writer_open(struct os *os, const char *dir, uint64_t id, uint8_t level, uint64_t filter_keys, struct run_writer **out)
{
    ASSERT(os && dir && out);
    ASSERT(level < INDEX_LEVELS && strlen(dir) + 32 < RUN_PATH_MAX);
    struct run_writer *w = mem_zalloc(sizeof *w);
    w->os = os;
    w->id = id;
    w->level = level;
    snprintf(w->dir, sizeof w->dir, "%s", dir);
    index_run_path(w->path, dir, id);
    int rc = os_open(os, w->path, OS_WRITE | OS_EXCLUSIVE, &w->file);
    if (rc < 0) {
        mem_free(w);
        return rc;
    }
    index_filter_init(&w->filter, filter_keys);
    uint8_t *h = buf_reserve(&w->out, RUN_HEADER_BYTES);
    memset(h, 0, RUN_HEADER_BYTES);
    memcpy(h, RUN_MAGIC, 8);
    put_u16(h + 8, RUN_VERSION);
    put_u16(h + 10, RUN_HEADER_BYTES);
    put_u64(h + 16, id);
    put_u32(h + 28, crc32c(0, h, 28));
    w->out.n = RUN_HEADER_BYTES;
    *out = w;
    return E_OK;
}

static void writer_free(struct run_writer *w)
{
    if (w->file) os_close(w->os, &w->file);
    index_filter_fini(&w->filter);
    struct buf *all[] = {&w->out, &w->block, &w->restarts, &w->last_key, &w->index, &w->smallest, &w->tombstone_smallest, &w->tombstone_largest};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) buf_fini(all[i]);
    mem_free(w);
}

void run_writer_abort(struct run_writer **pw)
{
    struct run_writer *w = *pw;
    *pw = NULL;
    if (!w) return;
    os_close(w->os, &w->file);
    int rc = os_remove(w->os, w->path);
    (void)rc; /* a leftover is removed at the next opening */
    writer_free(w);
}

static uint64_t file_off(const struct run_writer *w) { return w->out_off + w->out.n; }

static int write_out(struct run_writer *w)
{
    if (w->out.n == 0) return E_OK;
    int rc = os_write(w->os, w->file, w->out_off, w->out.p, w->out.n);
    if (rc < 0) return rc;
    w->out_off += w->out.n;
    buf_clear(&w->out);
    if (w->out_off - w->synced_off < SYNC_BYTES) return E_OK;
    w->synced_off = w->out_off;
    return os_sync(w->os, w->file);
}

static void add_varint(struct buf *b, uint64_t v)
{
    uint8_t *p = buf_reserve(b, VARINT_MAX);
    b->n = (size_t)(put_varint(p, v) - b->p);
}

static int close_block(struct run_writer *w)
{
    ASSERT(w->restarts.n > 0 && w->block.n > 0);
    uint32_t groups = (uint32_t)(w->restarts.n / 4);
    buf_add(&w->block, w->restarts.p, w->restarts.n);
    uint8_t tail[8], place[16];
    put_u32(tail, groups);
    buf_add(&w->block, tail, 4);
    put_u64(place, w->id);
    put_u64(place + 8, file_off(w));
    put_u32(tail + 4, crc32c(crc32c(0, place, sizeof place), w->block.p, w->block.n));
    buf_add(&w->block, tail + 4, 4);
    ASSERT(w->block.n <= RUN_BLOCK_MAX);
    add_varint(&w->index, w->block.n);
    add_varint(&w->index, w->last_key.n);
    buf_add(&w->index, w->last_key.p, w->last_key.n);
    buf_add(&w->out, w->block.p, w->block.n);
    buf_clear(&w->block);
    buf_clear(&w->restarts);
    w->in_group = 0;
    w->blocks++;
    return w->out.n >= FILE_BUFFER_BYTES ? write_out(w) : E_OK;
}

static size_t shared_with(const struct buf *last, slice key)
{
    return run_agreeing(last->p, key.p, last->n < key.n ? last->n : key.n);
}

static void note_filter(struct run_writer *w, slice key, size_t filter_n, size_t shared)
{
    if (shared < w->filter_shared) w->filter_shared = shared;
    if (filter_n == 0) return;
    bool known = filter_n == w->last_filter_n && w->filter_shared >= filter_n;
    w->filter_shared = key.n;
    if (known) return;
    w->last_filter_n = filter_n;
    uint64_t *pending = &w->hashes[w->filter_keys % HASHES_PENDING];
    if (w->filter_keys++ >= HASHES_PENDING) index_filter_add(&w->filter, *pending);
    *pending = index_filter_hash(slice_of(key.p, filter_n));
    index_filter_prefetch(&w->filter, *pending);
}

static void finish_filter(struct run_writer *w)
{
    uint64_t n = w->filter_keys < HASHES_PENDING ? w->filter_keys : HASHES_PENDING;
    for (uint64_t i = 0; i < n; i++) index_filter_add(&w->filter, w->hashes[i]);
    index_filter_shrink(&w->filter, w->filter_keys);
}

static void note_tombstone(struct run_writer *w, slice key)
{
    if (w->tombstones++ == 0) buf_add_slice(&w->tombstone_smallest, key);
    buf_clear(&w->tombstone_largest);
    buf_add_slice(&w->tombstone_largest, key);
}

int run_writer_add(struct run_writer *w, slice key, slice value, size_t filter_n, bool tombstone)
{
    ASSERT(key.n <= INDEX_KEY_MAX && value.n <= INDEX_VALUE_MAX && filter_n <= key.n);
    DEBUG_ASSERT(w->entries == 0 || slice_cmp(buf_slice(&w->last_key), key) < 0);
    size_t shared = shared_with(&w->last_key, key), kept = shared;
    if (tombstone) note_tombstone(w, key);
    else if (filter_n == 0) w->unfiltered |= run_filtered_bit(key);
    note_filter(w, key, tombstone ? 0 : filter_n, shared);
    if (w->entries++ == 0) buf_add_slice(&w->smallest, key);
    if (w->in_group == 0) {
        put_u32(buf_reserve(&w->restarts, 4), (uint32_t)w->block.n);
        w->restarts.n += 4;
        shared = 0;
    }
    if (++w->in_group == RUN_GROUP) w->in_group = 0;
    uint8_t *start = buf_reserve(&w->block, RUN_ENTRY_HEAD_MAX + key.n - shared + value.n), *p = start;
    p = put_varint(p, shared);
    p = put_varint(p, key.n - shared);
    p = put_varint(p, (uint64_t)filter_n << 1 | tombstone);
    p = put_varint(p, value.n);
    if (key.n > shared) memcpy(p, key.p + shared, key.n - shared);
    p += key.n - shared;
    if (value.n) memcpy(p, value.p, value.n);
    w->block.n += (size_t)(p - start) + value.n;
    w->last_key.n = kept;
    buf_add(&w->last_key, key.p + kept, key.n - kept);
    return w->block.n + w->restarts.n >= RUN_BLOCK_BYTES ? close_block(w) : E_OK;
}

static void add_bound(struct buf *b, const struct buf *key)
{
    add_varint(b, key->n);
    buf_add(b, key->p, key->n);
}

/* Adds one section and its place to the footer: u64 offset, u64 bytes at `at`, u32 checksum at `crc_at`. */
static void add_section(struct run_writer *w, uint8_t *footer, unsigned at, unsigned crc_at, slice s)
{
    put_u64(footer + at, file_off(w));
    put_u64(footer + at + 8, s.n);
    put_u32(footer + crc_at, crc32c(0, s.p, s.n));
    buf_add_slice(&w->out, s);
}

static int write_tail(struct run_writer *w, uint64_t covers)
{
    if (w->block.n > 0) {
        int rc = close_block(w);
        if (rc < 0) return rc;
    }
    finish_filter(w);
    struct buf bounds = {0};
    add_bound(&bounds, &w->smallest);
    add_bound(&bounds, &w->last_key);
    add_bound(&bounds, &w->tombstone_smallest);
    add_bound(&bounds, &w->tombstone_largest);
    uint8_t f[RUN_FOOTER_BYTES] = {0};
    memcpy(f, RUN_FOOTER_MAGIC, 8);
    put_u16(f + 8, RUN_VERSION);
    put_u16(f + 10, RUN_FOOTER_BYTES);
    f[12] = w->level;
    for (int i = 0; i < 3; i++) f[13 + i] = (uint8_t)(~w->unfiltered >> 8 * i);
    put_u64(f + 16, w->id);
    put_u64(f + 24, covers);
    put_u64(f + 32, w->entries);
    put_u64(f + 40, w->tombstones);
    put_u64(f + 48, w->filter_keys);
    put_u64(f + 56, w->blocks);
    add_section(w, f, 64, 112, buf_slice(&w->index));
    add_section(w, f, 80, 116, slice_of(w->filter.bits, w->filter.n_blocks * FILTER_BLOCK_BYTES));
    add_section(w, f, 96, 120, buf_slice(&bounds));
    put_u32(f + 124, crc32c(0, f, 124));
    buf_add(&w->out, f, sizeof f);
    buf_fini(&bounds);
    int rc = write_out(w);
    if (rc < 0) return rc;
    rc = os_sync(w->os, w->file);
    return rc < 0 ? rc : os_sync_dir(w->os, w->dir);
}

int run_writer_finish(struct run_writer **pw, uint64_t covers, struct index_run **out)
{
    struct run_writer *w = *pw;
    ASSERT(w && out);
    int rc = write_tail(w, covers);
    if (rc < 0) goto done;
    os_close(w->os, &w->file);
    struct run_id want = {.id = w->id, .level = w->level, .bytes = w->out_off, .entries = w->entries};
    rc = index_run_open(w->os, w->dir, &want, out);
done:
    if (rc < 0) {
        run_writer_abort(pw);
        return rc;
    }
    writer_free(w);
    *pw = NULL;
    return E_OK;
}
