/* The tree's store: files of hashes, the appender, opening and syncing.
 *
 * An append costs one leaf hash and one inner hash (row by row over a batch, two at a time): `peak` holds the roots of the whole subtrees that the bits of the size
 * stand for (a binary counter), and a carry merges two of them. Whenever a carry reaches a height of 8, 16, … the new root is also the
 * next hash of t1, t2, …. So the peaks are the tree's right edge, and everything left of it can be verified against them from tiles.
 *
 * Invariants:
 *   1. A level's published count is size >> 8q; written <= published or not yet flushed hashes are in `pending`; filled = written + pending.
 *   2. Hashes below `written` never change, so readers read files without a lock; pending hashes are copied under the meta lock.
 *   3. peak[l] is right for every bit l of size, for work_peak and work_size alike. tree_open establishes it by the given root.
 *   4. Published sizes only grow; size and peaks change together under the meta lock.
 *
 * Writes go out in chunks of 64 KiB by the appender, without the meta lock. A failed write or sync is sticky: nothing is written again. */
#include "base/mem.h"
#include "engine/tree_part.h"

#include <stdio.h>

static void level_name(unsigned level, char out[16])
{
    if (level == 0) snprintf(out, 16, "entries");
    else snprintf(out, 16, "t%u", level);
}

const char *tree_path(const struct tree *t, const char *name, struct buf *out)
{
    buf_clear(out);
    buf_printf(out, "%s/%s", t->dir, name);
    buf_add_byte(out, 0);
    return (const char *)out->p;
}

uint64_t tree_prefix(const uint8_t hash[HASH_BYTES])
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v = v << 8 | hash[i];
    return v;
}

void tree_set_block_bits(struct tree *t, unsigned bits)
{
    ASSERT(bits >= TREE_TILE_BITS && bits <= TREE_BLOCK_BITS);
    ASSERT(t->recent == NULL && t->blocks == NULL);
    t->block_bits = bits;
}

uint64_t tree_size(const struct tree *t) { return atomic_load_explicit(&t->size, memory_order_acquire); }

int tree_read(struct tree *t, unsigned level, uint64_t first, size_t n, uint8_t (*out)[HASH_BYTES])
{
    ASSERT(level < TREE_LEVELS);
    ASSERT(first + n <= tree_size(t) >> (level * TREE_TILE_BITS));
    struct tree_level *l = &t->level[level];
    mutex_lock(&t->meta);
    uint64_t written = l->written;
    size_t in_file = first >= written ? 0 : n < written - first ? n : (size_t)(written - first);
    if (in_file < n) memcpy(out + in_file, l->pending + (first + in_file - written), (n - in_file) * HASH_BYTES);
    struct os_file *file = l->file;
    mutex_unlock(&t->meta);
    if (in_file == 0) return E_OK;
    return os_read_full(t->os, file, first * HASH_BYTES, out, in_file * HASH_BYTES);
}

int tree_entries_unchecked(struct tree *t, uint64_t first, size_t n, uint8_t (*out)[HASH_BYTES])
{
    ASSERT(t && out);
    uint64_t size = tree_size(t);
    return first > size || n > size - first ? E_INVALID : tree_read(t, 0, first, n, out);
}

/* ---- writing ---- */

static int level_open(struct tree *t, unsigned level, unsigned flags)
{
    char name[16];
    struct buf path = {0};
    struct os_file *file = NULL;
    level_name(level, name);
    int r = os_open(t->os, tree_path(t, name, &path), flags, &file);
    if (r == E_OK) {
        mutex_lock(&t->meta);
        t->level[level].file = file;
        mutex_unlock(&t->meta);
    }
    buf_fini(&path);
    return r;
}

/* Writes a level's pending hashes out; writer lock held. */
static int level_flush(struct tree *t, unsigned level)
{
    struct tree_level *l = &t->level[level];
    uint64_t n = l->filled - l->written;
    ASSERT(n <= TREE_CHUNK && !t->read_only);
    if (n == 0) return E_OK;
    if (!l->file) {
        int r = level_open(t, level, OS_WRITE);
        if (r) return r;
        t->dir_dirty = true;
    }
    int r = os_write(t->os, l->file, l->written * HASH_BYTES, l->pending, n * HASH_BYTES);
    if (r) return r;
    l->dirty = true;
    mutex_lock(&t->meta);
    l->written += n;
    mutex_unlock(&t->meta);
    return E_OK;
}

/* Takes the roots of whole tiles. */
struct tile_sink {
    int (*put)(void *ctx, unsigned level, const uint8_t *hash);
    void *ctx;
};

/* Room for one more pending hash. Read-only nothing is ever written, so all that is appended stays there: it doubles. */
static void level_grow(struct tree *t, struct tree_level *l)
{
    uint64_t n = l->filled - l->written;
    if (n < TREE_CHUNK ? l->pending != NULL : (n & (n - 1)) != 0) return;
    mutex_lock(&t->meta);
    l->pending = mem_realloc(l->pending, (n < TREE_CHUNK ? TREE_CHUNK : 2 * n) * HASH_BYTES);
    mutex_unlock(&t->meta);
}

static int level_put(struct tree *t, unsigned level, const uint8_t hash[HASH_BYTES])
{
    struct tree_level *l = &t->level[level];
    ASSERT(level < TREE_LEVELS && l->filled >= l->written);
    if (l->filled - l->written == TREE_CHUNK && !t->read_only) {
        int r = level_flush(t, level);
        if (r) return r;
    }
    level_grow(t, l);
    memcpy(l->pending[l->filled++ - l->written], hash, HASH_BYTES);
    return E_OK;
}

/* Adds up to a tile of leaves to a binary counter of peaks, row by row, since the hashes of a row are independent and cheaper together. Hands
 * the roots of whole tiles to `put`, in order for each level. Returns the height reached, or an error. */
static int carry(uint8_t peak[64][HASH_BYTES], uint64_t size, const uint8_t (*entry)[HASH_BYTES], size_t n, const struct tile_sink *sink)
{
    uint8_t room[TREE_TILE + 1][HASH_BYTES], (*row)[HASH_BYTES] = room + 1; /* one before: the peak that the first one joins */
    int height = 0;
    ASSERT(n > 0 && n <= TREE_TILE);
    sha256_leaves(row, entry, n);
    for (;; height++) {
        ASSERT(height < 64);
        for (size_t i = 0; i < n && height && height % TREE_TILE_BITS == 0; i++) {
            int r = sink->put(sink->ctx, (unsigned)height / TREE_TILE_BITS, row[i]);
            if (r) return r;
        }
        bool joins = size & 1;
        uint8_t last[HASH_BYTES];
        memcpy(last, row[n - 1], HASH_BYTES);
        if (joins) memcpy(row[-1], peak[height], HASH_BYTES);
        if ((size + n) & 1) memcpy(peak[height], last, HASH_BYTES);
        size_t pairs = (n + joins) / 2;
        if (pairs == 0) return height;
        sha256_row(row, (const uint8_t(*)[HASH_BYTES])(row - joins), pairs);
        n = pairs;
        size /= 2;
    }
}

static int put_tile_root(void *ctx, unsigned level, const uint8_t *hash) { return level_put(ctx, level, hash); }

static void publish(struct tree *t, unsigned top)
{
    mutex_lock(&t->meta);
    memcpy(t->peak, t->work_peak, (top + 1) * sizeof t->peak[0]);
    atomic_store_explicit(&t->size, t->work_size, memory_order_release);
    mutex_unlock(&t->meta);
}

static int fail(struct tree *t, int code, const char *what)
{
    int none = E_OK;
    if (!atomic_compare_exchange_strong(&t->failed, &none, code)) return none;
    return err_note(code, "tree %s: %s failed at size %llu", t->dir, what, (unsigned long long)tree_size(t));
}

int tree_append(struct tree *t, const uint8_t (*entries)[HASH_BYTES], size_t n)
{
    ASSERT(t->work_size >= tree_size(t));
    ASSERT(entries || n == 0);
    const struct tile_sink sink = {put_tile_root, t};
    int r = E_OK;
    mutex_lock(&t->writer);
    int failed = atomic_load(&t->failed);
    for (size_t i = 0, m; i < n && !failed; i += m) {
        m = n - i < TREE_TILE ? n - i : TREE_TILE;
        for (size_t k = 0; k < m && r == E_OK; k++) r = level_put(t, 0, entries[i + k]);
        if (r == E_OK) r = carry(t->work_peak, t->work_size, entries + i, m, &sink);
        if (r < 0) break; /* sticky from here: what was half added is never published */
        for (size_t k = 0; k < m; k++, t->work_size++) tree_recent_note(t, t->work_size, entries[i + k]);
        publish(t, (unsigned)r);
        r = E_OK;
    }
    if (r < 0) failed = fail(t, r, "append");
    mutex_unlock(&t->writer);
    return failed;
}

int tree_sync(struct tree *t)
{
    struct os_file *dirty[TREE_LEVELS];
    unsigned n = 0;
    int r = E_OK;
    ASSERT(!t->read_only);
    mutex_lock(&t->writer);
    int failed = atomic_load(&t->failed);
    for (unsigned i = 0; i < TREE_LEVELS && !failed && r == E_OK; i++) {
        r = level_flush(t, i);
        if (t->level[i].dirty) dirty[n++] = t->level[i].file;
        if (r == E_OK) t->level[i].dirty = false;
    }
    bool names = t->dir_dirty;
    t->dir_dirty = false;
    ASSERT(failed || r || t->level[0].written >= tree_size(t));
    mutex_unlock(&t->writer);
    if (failed) return failed;
    /* Without the lock: the appender goes on, and what it adds is the next sync's. */
    for (unsigned i = 0; i < n && r == E_OK; i++) r = os_sync(t->os, dirty[i]);
    if (r == E_OK && names) r = os_sync_dir(t->os, t->dir);
    return r == E_OK ? E_OK : fail(t, r, "sync");
}

/* ---- opening ---- */

static uint64_t level_count(uint64_t size, unsigned level) { return size >> (level * TREE_TILE_BITS); }

/* Opens the level's file if it is there; *have = whole hashes in it. */
static int level_begin(struct tree *t, unsigned level, uint64_t *have)
{
    *have = 0;
    int r = level_open(t, level, OS_READ);
    if (r == E_NOTFOUND) return E_OK;
    if (r == E_OK && !t->read_only) { /* for appending: again, writable */
        os_close(t->os, &t->level[level].file);
        r = level_open(t, level, OS_WRITE);
    }
    uint64_t bytes = 0;
    if (r == E_OK) r = os_size(t->os, t->level[level].file, &bytes);
    if (r == E_OK) *have = bytes / HASH_BYTES;
    return r;
}

/* The peaks of a size from the last hashes of each level; they are right only if the root they give is. */
static int peaks_from_tiles(struct tree *t, uint64_t size)
{
    uint8_t(*row)[HASH_BYTES] = mem_alloc(TREE_TILE * HASH_BYTES);
    int r = E_OK;
    for (unsigned level = 0; level < TREE_LEVELS && r == E_OK; level++) {
        uint64_t count = level_count(size, level), n = count % TREE_TILE;
        if (n == 0) continue;
        r = os_read_full(t->os, t->level[level].file, (count - n) * HASH_BYTES, row, n * HASH_BYTES);
        if (r) break;
        for (uint64_t i = 0; level == 0 && i < n; i++) sha256_leaf(row[i], row[i]);
        for (unsigned height = level * TREE_TILE_BITS; n > 0; height++, n /= 2) {
            if (n & 1) memcpy(t->work_peak[height], row[n - 1], HASH_BYTES);
            for (uint64_t i = 0; i < n / 2; i++) sha256_inner(row[i], row[2 * i], row[2 * i + 1]);
        }
    }
    mem_free(row);
    return r;
}

static void root_of_peaks(const uint8_t peak[64][HASH_BYTES], uint64_t size, uint8_t root[HASH_BYTES])
{
    bool any = false;
    ASSERT(size > 0);
    for (unsigned height = 0; height < 64; height++) {
        if (!(size >> height & 1)) continue;
        if (any) sha256_inner(root, peak[height], root);
        else memcpy(root, peak[height], HASH_BYTES);
        any = true;
    }
}

static int keep_tile_root(void *ctx, unsigned level, const uint8_t *hash)
{
    struct buf *kept = ctx;
    buf_add(&kept[level], hash, HASH_BYTES);
    return E_OK;
}

/* Computes every level anew from the entries. Writes only when the entries give the root, so that nothing good is lost to a bad file. */
static int rebuild(struct tree *t, uint64_t size, const uint8_t root[HASH_BYTES])
{
    struct buf kept[TREE_LEVELS] = {0};
    const struct tile_sink sink = {keep_tile_root, kept};
    uint8_t(*chunk)[HASH_BYTES] = mem_alloc(TREE_CHUNK * HASH_BYTES);
    uint8_t got[HASH_BYTES];
    int r = E_OK;
    for (uint64_t at = 0; at < size && r >= 0;) {
        size_t n = size - at < TREE_CHUNK ? (size_t)(size - at) : TREE_CHUNK;
        r = os_read_full(t->os, t->level[0].file, at * HASH_BYTES, chunk, n * HASH_BYTES);
        for (size_t i = 0, m; i < n && r >= 0; i += m, at += m) {
            m = n - i < TREE_TILE ? n - i : TREE_TILE;
            r = carry(t->work_peak, at, (const uint8_t(*)[HASH_BYTES])chunk + i, m, &sink);
        }
    }
    if (r >= 0) {
        root_of_peaks(t->work_peak, size, got);
        r = memcmp(got, root, HASH_BYTES) == 0 ? E_OK : err_note(E_CORRUPT, "tree %s: the entries do not give the root of size %llu", t->dir, (unsigned long long)size);
    }
    for (unsigned i = 1; i < TREE_LEVELS && r == E_OK && level_count(size, i) > 0; i++) {
        ASSERT(kept[i].n == level_count(size, i) * HASH_BYTES);
        if (!t->level[i].file) {
            r = level_open(t, i, OS_WRITE);
            t->dir_dirty = true;
        }
        if (r == E_OK) r = os_write(t->os, t->level[i].file, 0, kept[i].p, kept[i].n);
        t->level[i].dirty = true;
    }
    for (unsigned i = 0; i < TREE_LEVELS; i++) buf_fini(&kept[i]);
    mem_free(chunk);
    return r;
}

/* Makes peaks and files stand for exactly `size` entries with this root. */
static int settle(struct tree *t, uint64_t size, const uint8_t root[HASH_BYTES])
{
    uint64_t have[TREE_LEVELS];
    bool enough = true;
    for (unsigned i = 0; i < TREE_LEVELS; i++) {
        int r = level_begin(t, i, &have[i]);
        if (r) return r;
        if (i > 0 && have[i] < level_count(size, i)) enough = false;
    }
    if (have[0] < size)
        return err_note(E_CORRUPT, "tree %s: %llu entries, %llu are named", t->dir, (unsigned long long)have[0], (unsigned long long)size);
    if (size > 0) {
        uint8_t got[HASH_BYTES] = {0};
        if (enough) {
            int r = peaks_from_tiles(t, size);
            if (r) return r;
            root_of_peaks(t->work_peak, size, got);
        }
        if (!enough || memcmp(got, root, HASH_BYTES) != 0) {
            int r = err_note(E_CORRUPT, "tree %s: tiles do not give the root of size %llu", t->dir, (unsigned long long)size);
            if (t->read_only) return r;
            r = rebuild(t, size, root);
            if (r) return r;
        }
    }
    for (unsigned i = 0; i < TREE_LEVELS; i++) {
        struct tree_level *l = &t->level[i];
        l->written = l->filled = level_count(size, i);
        if (t->read_only || !l->file || have[i] <= l->written) continue;
        int r = os_truncate(t->os, l->file, l->written * HASH_BYTES);
        if (r) return r;
    }
    t->work_size = size;
    publish(t, 63);
    return E_OK;
}

int tree_open(struct os *os, const char *dir, uint64_t size, const uint8_t root[HASH_BYTES], bool read_only, struct tree **out)
{
    ASSERT(os && dir && out);
    ASSERT(root || size == 0);
    struct tree *t = mem_zalloc(sizeof *t);
    struct buf path = {0};
    buf_printf(&path, "%s/tree", dir);
    t->dir = mem_dup(path.p, path.n);
    buf_fini(&path);
    t->os = os;
    t->read_only = read_only;
    t->block_bits = TREE_BLOCK_BITS;
    mutex_init(&t->build, "tree build", TREE_RANK_BUILD);
    mutex_init(&t->find, "tree find", TREE_RANK_FIND);
    mutex_init(&t->writer, "tree writer", TREE_RANK_WRITER);
    mutex_init(&t->meta, "tree", TREE_RANK_META);
    int r = read_only ? E_OK : os_mkdir(os, t->dir);
    if (r == E_OK && !read_only && size == 0) r = os_sync_dir(os, dir); /* the name of a directory just made */
    if (r == E_OK) r = settle(t, size, root);
    if (r) tree_close(&t);
    else *out = t;
    return r;
}

void tree_close(struct tree **p)
{
    struct tree *t = *p;
    if (!t) return;
    *p = NULL;
    tree_find_fini(t);
    tree_cache_drop(t);
    for (unsigned i = 0; i < TREE_LEVELS; i++) {
        os_close(t->os, &t->level[i].file);
        mem_free(t->level[i].pending);
    }
    mutex_fini(&t->build);
    mutex_fini(&t->find);
    mutex_fini(&t->writer);
    mutex_fini(&t->meta);
    mem_free(t->dir);
    mem_free(t);
}
