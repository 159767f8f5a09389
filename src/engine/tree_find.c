/* Look-up of a hash by its first digits.
 *
 * Every whole block of 2^18 entries gets a file h00000000, h00000001, …:
 *
 *   0  8B   magic "VRVTREEH"
 *   8  u16  format version (1)
 *  10  u16  block bits (18; tests use less)
 *  12  u32  CRC-32C of the whole file with this field zero
 *  16  u64  block number
 *  24  8B   zero
 *  32  32B  root of the block's subtree: binds the file to these entries and no others
 *  64       filter: 2^(bits+4) bits, one set for the first bits+4 bits of every hash
 *           fan: u32 × (2^(bits-2) + 1), where the records that begin with these bits begin
 *           records, ascending: u64 first 8 bytes of the hash as a number, u32 place in the block
 *
 * A search asks each block's filter with one read of a byte; one block in sixteen goes on to its fan and records. What is found is compared
 * with the verified entry, so a wrong file cannot give a wrong answer; that it does not hide one is what CRC and root are for, checked
 * once before its first use. Blocks without a good file are searched in memory while their hashes are there, else entry by entry. */
#include "base/codec.h"
#include "base/mem.h"
#include "engine/tree_part.h"

#include <stdio.h>
#include <stdlib.h>

#define H_MAGIC "VRVTREEH"
#define H_VERSION 1
#define H_HEADER_BYTES 64
#define H_RECORD_BYTES 12
#define H_READ_RECORDS 256 /* at once; a search expects four */
#define BUCKET_SMALL 32      /* records that are sorted by insertion */
#define DIGITS_MIN 8
#define DIGITS_MAX 64

struct shape { /* of an h file, from the block bits */
    uint64_t fan_at, records_at, bytes, entries;
    unsigned filter_bits, fan_bits;
};

static struct shape shape_of(unsigned bits)
{
    struct shape s = {.entries = 1ull << bits, .filter_bits = bits + 4, .fan_bits = bits - 2};
    s.fan_at = H_HEADER_BYTES + (1ull << s.filter_bits) / 8;
    s.records_at = s.fan_at + 4 * ((1ull << s.fan_bits) + 1);
    s.bytes = s.records_at + s.entries * H_RECORD_BYTES;
    return s;
}

struct search {
    struct tree_view view;
    const uint8_t *prefix;
    unsigned digits;
    uint64_t lo, hi; /* range of first-8-byte values that the digits allow */
    uint64_t index;
    unsigned found;
};

static bool digits_match(const struct search *s, const uint8_t hash[HASH_BYTES])
{
    if (memcmp(hash, s->prefix, s->digits / 2) != 0) return false;
    return s->digits % 2 == 0 || hash[s->digits / 2] >> 4 == s->prefix[s->digits / 2] >> 4;
}

/* A place that a summary names. E_AMBIGUOUS at the second one that really matches. */
static int candidate(struct search *s, uint64_t index)
{
    const struct tree_tile *tile;
    int r = tree_view_tile(&s->view, 0, index / TREE_TILE, &tile);
    if (r) return r;
    const uint8_t *hash = tile->entry[index % TREE_TILE];
    uint64_t v = tree_prefix(hash);
    if (v < s->lo || v > s->hi) return err_note(E_CORRUPT, "tree %s: the look-up files disagree with entry %llu", s->view.t->dir, (unsigned long long)index);
    if (!digits_match(s, hash)) return E_OK;
    if (s->found++) return E_AMBIGUOUS;
    s->index = index;
    return E_OK;
}

/* ---- blocks in memory ---- */

static void recent_release(struct tree_recent *r)
{
    if (r && atomic_fetch_sub(&r->refs, 1) == 1) mem_free(r);
}

/* A reference to the block's, or NULL. The newest block's is made when there is none: whoever makes it, everything before the published size
 * is for a search to fill, and the appender takes it up when it notes the next hash. */
static struct tree_recent *recent_get(struct tree *t, uint64_t block)
{
    struct tree_recent *dropped = NULL, *r;
    mutex_lock(&t->meta);
    uint64_t size = tree_size(t);
    for (r = t->recent; r && r->block != block;) r = r->older;
    if (!r && block >= size >> t->block_bits) {
        uint64_t first = block << t->block_bits, from = size > first ? size - first : 0;
        r = mem_alloc(sizeof *r + (sizeof(uint64_t) << t->block_bits));
        atomic_init(&r->refs, 1);
        r->block = block;
        r->from = from;
        r->older = t->recent;
        t->recent = r;
        struct tree_recent *last = r;
        for (unsigned n = 1; n < TREE_RECENT_MAX && last->older; n++) last = last->older;
        dropped = last->older;
        last->older = NULL;
        ASSERT(!dropped || !dropped->older);
    }
    if (r) atomic_fetch_add(&r->refs, 1);
    mutex_unlock(&t->meta);
    recent_release(dropped);
    return r;
}

static void recent_forget(struct tree *t, uint64_t block)
{
    mutex_lock(&t->meta);
    struct tree_recent **at = &t->recent;
    while (*at && (*at)->block != block) at = &(*at)->older;
    struct tree_recent *r = *at;
    if (r) *at = r->older;
    mutex_unlock(&t->meta);
    recent_release(r);
}

void tree_recent_note(struct tree *t, uint64_t index, const uint8_t hash[HASH_BYTES])
{
    uint64_t block = index >> t->block_bits, place = index & ((1ull << t->block_bits) - 1);
    ASSERT(index == t->work_size);
    if (!t->work_recent || t->work_recent->block != block) {
        recent_release(t->work_recent);
        t->work_recent = recent_get(t, block);
        ASSERT(t->work_recent); /* the block cannot be whole before this hash is published */
    }
    t->work_recent->prefix[place] = tree_prefix(hash);
}

static uint64_t recent_from(struct tree *t, const struct tree_recent *r)
{
    mutex_lock(&t->meta);
    uint64_t from = r->from;
    mutex_unlock(&t->meta);
    return from;
}

/* Fills what lies before the appender's part. */
static int recent_load(struct search *s, struct tree_recent *r)
{
    struct tree *t = s->view.t;
    uint64_t first = r->block << t->block_bits;
    int e = E_OK;
    if (recent_from(t, r) == 0) return E_OK;
    mutex_lock(&t->find); /* one loads, the others wait for it */
    uint64_t from = recent_from(t, r);
    for (uint64_t i = 0; i < from && e == E_OK; i += TREE_TILE) {
        const struct tree_tile *tile;
        e = tree_view_tile(&s->view, 0, (first + i) / TREE_TILE, &tile);
        for (uint64_t k = i; e == E_OK && k < from && k < i + TREE_TILE; k++) r->prefix[k] = tree_prefix(tile->entry[k - i]);
    }
    mutex_lock(&t->meta);
    if (e == E_OK) r->from = 0;
    mutex_unlock(&t->meta);
    mutex_unlock(&t->find);
    return e;
}

static int search_recent(struct search *s, struct tree_recent *r, uint64_t n)
{
    struct tree *t = s->view.t;
    uint64_t first = r->block << t->block_bits;
    int e = recent_load(s, r);
    for (uint64_t i = 0; i < n && e == E_OK; i++)
        if (r->prefix[i] - s->lo <= s->hi - s->lo) e = candidate(s, first + i);
    return e;
}

/* ---- h files ---- */

static const char *block_path(struct tree *t, uint64_t block, struct buf *path)
{
    char name[32];
    snprintf(name, sizeof name, "h%08llu", (unsigned long long)block);
    return tree_path(t, name, path);
}

static int check_bytes(struct search *s, uint64_t block, struct buf *b)
{
    struct tree *t = s->view.t;
    struct shape shape = shape_of(t->block_bits);
    uint8_t root[HASH_BYTES];
    if (b->n != shape.bytes || memcmp(b->p, H_MAGIC, 8) != 0 || get_u16(b->p + 8) != H_VERSION) return E_CORRUPT;
    if (get_u16(b->p + 10) != t->block_bits || get_u64(b->p + 16) != block) return E_CORRUPT;
    uint32_t crc = get_u32(b->p + 12);
    put_u32(b->p + 12, 0);
    if (crc32c(0, b->p, b->n) != crc) return E_CORRUPT;
    int r = tree_view_node(&s->view, t->block_bits, block, root);
    if (r) return r;
    return memcmp(root, b->p + 32, HASH_BYTES) == 0 ? E_OK : E_CORRUPT;
}

static void block_set(struct tree *t, uint64_t block, enum tree_block_state state, struct os_file **file)
{
    mutex_lock(&t->meta);
    ASSERT(block < t->n_blocks);
    struct tree_block *b = &t->blocks[block];
    ASSERT(b->state != BLOCK_GOOD);
    b->state = state;
    if (*file && t->n_open < TREE_OPEN_MAX) {
        t->n_open++;
        b->file = *file;
        *file = NULL;
    }
    mutex_unlock(&t->meta);
}

static struct tree_block block_get(struct tree *t, uint64_t block)
{
    mutex_lock(&t->meta);
    if (block >= t->n_blocks) {
        uint64_t n = block + 1 + block / 2;
        t->blocks = mem_realloc(t->blocks, n * sizeof *t->blocks);
        memset(t->blocks + t->n_blocks, 0, (n - t->n_blocks) * sizeof *t->blocks);
        t->n_blocks = n;
    }
    struct tree_block b = t->blocks[block];
    mutex_unlock(&t->meta);
    return b;
}

/* Decides whether a block's file is good, once. Errors are those of the tree itself; a wrong or missing file is BLOCK_BAD. */
static int block_check(struct search *s, uint64_t block, struct tree_block *out)
{
    struct tree *t = s->view.t;
    struct buf path = {0}, bytes = {0};
    struct os_file *file = NULL;
    int r = E_OK;
    mutex_lock(&t->find);
    *out = block_get(t, block);
    if (out->state != BLOCK_UNKNOWN) goto done;
    uint8_t root[HASH_BYTES];
    r = tree_view_node(&s->view, t->block_bits, block, root); /* apart, so that damage to the tree is not taken for the file's */
    if (r) goto done;
    const char *name = block_path(t, block, &path);
    int e = os_read_file(t->os, name, shape_of(t->block_bits).bytes, &bytes);
    if (e == E_OK) e = check_bytes(s, block, &bytes);
    if (e == E_OK) e = os_open(t->os, name, OS_READ, &file);
    if (e && e != E_NOTFOUND) (void)err_note(e, "tree: look-up file %s is not good and will be built anew", name);
    block_set(t, block, e ? BLOCK_BAD : BLOCK_GOOD, &file);
    *out = block_get(t, block);
done:
    mutex_unlock(&t->find);
    os_close(t->os, &file);
    buf_fini(&path);
    buf_fini(&bytes);
    return r;
}

static int search_file(struct search *s, uint64_t block, struct os_file *file)
{
    struct tree *t = s->view.t;
    struct shape shape = shape_of(t->block_bits);
    uint64_t key = s->lo >> (64 - shape.filter_bits), bucket = s->lo >> (64 - shape.fan_bits);
    uint8_t byte, fan[8], records[H_READ_RECORDS * H_RECORD_BYTES];
    int r = os_read_full(t->os, file, H_HEADER_BYTES + key / 8, &byte, 1);
    if (r || !(byte >> (key % 8) & 1)) return r;
    r = os_read_full(t->os, file, shape.fan_at + bucket * 4, fan, 8);
    uint64_t at = get_u32(fan), end = get_u32(fan + 4);
    if (r == E_OK && (at > end || end > shape.entries)) r = err_note(E_CORRUPT, "tree %s: look-up file %llu", t->dir, (unsigned long long)block);
    while (r == E_OK && at < end) {
        size_t n = end - at < H_READ_RECORDS ? (size_t)(end - at) : H_READ_RECORDS;
        r = os_read_full(t->os, file, shape.records_at + at * H_RECORD_BYTES, records, n * H_RECORD_BYTES);
        for (size_t i = 0; i < n && r == E_OK; i++) {
            uint64_t v = get_u64(records + i * H_RECORD_BYTES), place = get_u32(records + i * H_RECORD_BYTES + 8);
            if (v < s->lo || v > s->hi) continue;
            r = place < shape.entries ? candidate(s, (block << t->block_bits) + place) : E_CORRUPT;
        }
        at += n;
    }
    return r;
}

/* The last resort, and what builds every other way. */
static int search_entries(struct search *s, uint64_t first, uint64_t n)
{
    int r = E_OK;
    for (uint64_t i = first; i < first + n && r == E_OK; i++) {
        const struct tree_tile *tile;
        r = tree_view_tile(&s->view, 0, i / TREE_TILE, &tile);
        if (r == E_OK && tree_prefix(tile->entry[i % TREE_TILE]) - s->lo <= s->hi - s->lo) r = candidate(s, i);
    }
    return r;
}

static int search_block(struct search *s, uint64_t block, uint64_t size)
{
    struct tree *t = s->view.t;
    uint64_t first = block << t->block_bits, n = size - first;
    bool whole = n >= 1ull << t->block_bits;
    if (whole) {
        n = 1ull << t->block_bits;
        struct tree_block b = block_get(t, block);
        int r = b.state == BLOCK_UNKNOWN ? block_check(s, block, &b) : E_OK;
        if (r) return r;
        if (b.state == BLOCK_GOOD && b.file) return search_file(s, block, b.file);
        if (b.state == BLOCK_GOOD) {
            struct buf path = {0};
            struct os_file *file = NULL;
            r = os_open(t->os, block_path(t, block, &path), OS_READ, &file);
            if (r == E_OK) r = search_file(s, block, file);
            os_close(t->os, &file);
            buf_fini(&path);
            return r;
        }
    }
    struct tree_recent *recent = recent_get(t, block);
    if (!recent) return search_entries(s, first, n);
    int r = search_recent(s, recent, n);
    recent_release(recent);
    return r;
}

int tree_find(struct tree *t, const uint8_t *prefix, unsigned digits, uint64_t *index)
{
    ASSERT(t && prefix && index);
    if (digits < DIGITS_MIN || digits > DIGITS_MAX) return E_INVALID;
    struct search s = {.view.t = t, .prefix = prefix, .digits = digits};
    for (unsigned i = 0; i < 16; i++) {
        unsigned digit = i < digits ? prefix[i / 2] >> (i % 2 ? 0 : 4) & 15 : 0;
        s.lo = s.lo << 4 | digit;
    }
    s.hi = digits < 16 ? s.lo | UINT64_MAX >> 4 * digits : s.lo;
    uint64_t size = tree_size(t), blocks = (size + (1ull << t->block_bits) - 1) >> t->block_bits;
    int r = E_OK;
    for (uint64_t b = blocks; b > 0 && r == E_OK; b--) r = search_block(&s, b - 1, size);
    tree_view_fini(&s.view);
    if (r) return r;
    if (s.found == 0) return E_NOTFOUND;
    *index = s.index;
    return E_OK;
}

/* ---- building ---- */

struct record {
    uint64_t prefix;
    uint32_t place;
};

static int record_cmp(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    if (x->prefix != y->prefix) return x->prefix < y->prefix ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* Hashes are even: a bucket of the fan has four records. More than a few come only from gaps in the log or from damage. */
static void sort_bucket(struct record *r, size_t n)
{
    if (n > BUCKET_SMALL) {
        qsort(r, n, sizeof *r, record_cmp);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct record x = r[i];
        size_t k = i;
        for (; k > 0 && x.prefix < r[k - 1].prefix; k--) r[k] = r[k - 1];
        r[k] = x;
    }
}

/* Counting by the fan's bits is most of the sorting, and the counts are the fan. `end` has a zero for each bucket and one before. */
static void sort_block(const struct shape *s, const uint64_t *prefix, uint32_t *end, struct record *out)
{
    unsigned shift = 64 - s->fan_bits;
    uint64_t buckets = 1ull << s->fan_bits;
    for (uint64_t i = 0; i < s->entries; i++) end[(prefix[i] >> shift) + 1]++;
    for (uint64_t b = 1, at = 0; b <= buckets; b++) {
        uint32_t n = end[b];
        end[b] = (uint32_t)at; /* where the bucket begins; below it moves to where it ends */
        at += n;
    }
    for (uint64_t i = 0; i < s->entries; i++) out[end[(prefix[i] >> shift) + 1]++] = (struct record){prefix[i], (uint32_t)i};
    ASSERT(end[buckets] == s->entries && end[0] == 0);
    for (uint64_t b = 0; b < buckets; b++) sort_bucket(out + end[b], end[b + 1] - end[b]);
}

static void encode(const struct tree *t, uint64_t block, const uint8_t root[HASH_BYTES], const uint64_t *prefix, struct buf *out)
{
    struct shape s = shape_of(t->block_bits);
    struct record *rec = mem_alloc(s.entries * sizeof *rec);
    uint32_t *end = mem_zalloc(((1ull << s.fan_bits) + 1) * sizeof *end);
    uint8_t *p = buf_reserve(out, s.bytes);
    sort_block(&s, prefix, end, rec);
    memset(p, 0, s.fan_at);
    memcpy(p, H_MAGIC, 8);
    put_u16(p + 8, H_VERSION);
    put_u16(p + 10, (uint16_t)t->block_bits);
    put_u64(p + 16, block);
    memcpy(p + 32, root, HASH_BYTES);
    for (uint64_t b = 0; b <= 1ull << s.fan_bits; b++) put_u32(p + s.fan_at + 4 * b, end[b]);
    for (uint64_t i = 0; i < s.entries; i++) {
        uint64_t key = rec[i].prefix >> (64 - s.filter_bits);
        p[H_HEADER_BYTES + key / 8] |= (uint8_t)(1u << key % 8);
        put_u64(p + s.records_at + i * H_RECORD_BYTES, rec[i].prefix);
        put_u32(p + s.records_at + i * H_RECORD_BYTES + 8, rec[i].place);
    }
    put_u32(p + 12, crc32c(0, p, s.bytes));
    out->n = s.bytes;
    mem_free(end);
    mem_free(rec);
}

/* The block's hashes as the appender had them in its hands, if they are still in memory: those need no verification. Else NULL. */
static struct tree_recent *noted_block(struct tree *t, uint64_t block)
{
    struct tree_recent *r = recent_get(t, block);
    ASSERT(!r || r->block == block);
    if (!r || recent_from(t, r) == 0) return r;
    recent_release(r);
    return NULL;
}

/* From verified tiles. */
static int read_prefixes(struct tree_view *v, uint64_t block, uint64_t *out)
{
    uint64_t n = 1ull << v->t->block_bits, first = block << v->t->block_bits;
    int r = E_OK;
    for (uint64_t i = 0; i < n && r == E_OK; i += TREE_TILE) {
        const struct tree_tile *tile;
        r = tree_view_tile(v, 0, (first + i) / TREE_TILE, &tile);
        for (uint64_t k = 0; k < TREE_TILE && r == E_OK; k++) out[i + k] = tree_prefix(tile->entry[k]);
    }
    return r;
}

static int build(struct tree *t, uint64_t block)
{
    struct tree_view v = {.t = t, .fresh = true}; /* leaves the cache to those who ask */
    struct tree_recent *noted = noted_block(t, block);
    uint64_t *read = noted ? NULL : mem_alloc(sizeof *read << t->block_bits);
    struct buf out = {0};
    uint8_t root[HASH_BYTES];
    char name[32];
    int r = tree_view_node(&v, t->block_bits, block, root);
    if (r == E_OK && !noted) r = read_prefixes(&v, block, read);
    if (r == E_OK) {
        encode(t, block, root, noted ? noted->prefix : read, &out);
        snprintf(name, sizeof name, "h%08llu", (unsigned long long)block);
        r = os_replace_file(t->os, t->dir, name, buf_slice(&out));
    }
    tree_view_fini(&v);
    recent_release(noted);
    mem_free(read);
    buf_fini(&out);
    return r;
}

/* One block: checks its file, or builds it and checks that. */
static int settle_block(struct tree *t, uint64_t block)
{
    struct search s = {.view.t = t};
    struct tree_block b;
    int r = block_check(&s, block, &b);
    if (r == E_OK && b.state == BLOCK_BAD) {
        r = build(t, block);
        if (r == E_OK) {
            struct os_file *none = NULL;
            mutex_lock(&t->find);
            block_set(t, block, BLOCK_UNKNOWN, &none);
            mutex_unlock(&t->find);
            r = block_check(&s, block, &b);
        }
    }
    tree_view_fini(&s.view);
    if (r == E_OK && b.state == BLOCK_BAD) r = E_CORRUPT; /* what was just written does not read back */
    return r;
}

int tree_background(struct tree *t)
{
    ASSERT(t);
    if (t->read_only || !mutex_trylock(&t->build)) return E_AGAIN;
    uint64_t whole = tree_size(t) >> t->block_bits, block = t->due;
    int r = E_AGAIN;
    if (block < whole) {
        r = settle_block(t, block);
        /* A damaged block is passed by, once noted: the others are still worth their files. */
        if (r == E_OK || r == E_CORRUPT) t->due++;
        if (r == E_OK) recent_forget(t, block);
    }
    mutex_unlock(&t->build);
    return r;
}

void tree_find_fini(struct tree *t)
{
    recent_release(t->work_recent);
    t->work_recent = NULL;
    while (t->recent) {
        struct tree_recent *r = t->recent;
        t->recent = r->older;
        recent_release(r);
    }
    for (uint64_t i = 0; i < t->n_blocks; i++) os_close(t->os, &t->blocks[i].file);
    mem_free(t->blocks);
}
