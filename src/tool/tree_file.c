/* One pass over the entries gives the root and, on the way, the root of every whole tile, which is compared with what t1, t2, … hold; and that of every
 * whole block of 2^18, which the look-up file of the block carries. */
#include "tool/tree_file.h"

#include "base/codec.h"

#define LEVELS 8
#define TILE_BITS 8
#define BLOCK_BITS 18
#define LOOKUP_HEAD 64u
#define LOOKUP_MOST (64u << 20)

struct pass {
    struct report *r;
    const char *dir;
    struct file tile[LEVELS];    /* [1] is t1 */
    bool bad[LEVELS];            /* reported */
};

/* ---- look-up files: magic, version, block bits, CRC with its field zero, block, 8 zeros, the block's root ---- */

static const char *lookup_wrong(struct buf *b, uint64_t block, const uint8_t *root)
{
    if (b->n < LOOKUP_HEAD || memcmp(b->p, "VRVTREEH", 8) != 0) return "it is no look-up file";
    uint32_t crc = get_u32(b->p + 12);
    put_u32(b->p + 12, 0);
    if (digest_crc(0, b->p, b->n) != crc) return "its checksum is wrong";
    if (get_u16(b->p + 8) != 1 || get_u16(b->p + 10) != BLOCK_BITS) return "it is of an unknown version";
    if (get_u64(b->p + 16) != block) return "it is about another block";
    return memcmp(b->p + 32, root, DIGEST_BYTES) == 0 ? NULL : "its root is not the block's";
}

static void check_lookup(struct pass *p, uint64_t block, const uint8_t *root)
{
    char name[40];
    struct buf b = {0};
    (void)snprintf(name, sizeof name, "tree/h%08llu", (unsigned long long)block);
    int rc = file_load(p->dir, name, LOOKUP_MOST, &b);
    const char *why = rc == E_NOTFOUND ? NULL : rc ? "it cannot be read" : lookup_wrong(&b, block, root);
    if (why) report_fault(p->r, (struct place){name, NO_OFFSET, 0}, "%s (a start builds it anew)", why);
    buf_fini(&b);
}

/* ---- tiles ---- */

static void check_tile(struct pass *p, unsigned level, uint64_t index, const uint8_t *root)
{
    char name[16];
    if (p->bad[level]) return;
    (void)snprintf(name, sizeof name, "tree/t%u", level);
    struct place at = {name, index * DIGEST_BYTES, 0};
    struct file *f = &p->tile[level];
    if (f->fd < 0 && file_open(f, p->dir, name)) {
        at.offset = NO_OFFSET;
        report_fault(p->r, at, "the file is missing (a start builds it anew)");
        p->bad[level] = true;
        return;
    }
    const uint8_t *stored = file_at(f, index * DIGEST_BYTES, DIGEST_BYTES);
    if (stored && memcmp(stored, root, DIGEST_BYTES) == 0) return;
    report_fault(p->r, at, stored ? "the tile's root is not that of its entries" : "the file is too short (a start builds it anew)");
    p->bad[level] = stored == NULL;
}

static void on_whole(void *ctx, unsigned height, uint64_t index, const uint8_t root[DIGEST_BYTES])
{
    struct pass *p = ctx;
    if (height == BLOCK_BITS) check_lookup(p, index, root);
    if (height && height % TILE_BITS == 0 && height / TILE_BITS < LEVELS) check_tile(p, height / TILE_BITS, index, root);
}

/* ---- entries ---- */

static void check_entries(struct tree_file *t, struct pass *p, const uint8_t *root)
{
    struct merkle m = {.whole = on_whole, .ctx = p};
    uint8_t got[DIGEST_BYTES];
    char a[2 * DIGEST_BYTES + 1], b[2 * DIGEST_BYTES + 1];
    for (uint64_t i = 0; i < t->size; i++) {
        const uint8_t *e = file_at(&t->near, i * DIGEST_BYTES, DIGEST_BYTES);
        if (!e) {
            report_fault(p->r, (struct place){"tree/entries", i * DIGEST_BYTES, i + 1}, "cannot be read");
            return;
        }
        merkle_add(&m, e);
        if ((i & 4095) == 0) report_progress(p->r, "tree", i, t->size);
    }
    merkle_root(&m, got);
    if (!root) return;
    t->rooted = memcmp(got, root, DIGEST_BYTES) == 0;
    digest_hex(a, got);
    digest_hex(b, root);
    if (!t->rooted) report_fault(p->r, (struct place){"tree/entries", NO_OFFSET, 0}, "the first %llu entries give the root %s, the manifest says %s", (unsigned long long)t->size, a, b);
}

void tree_file_check(struct tree_file *t, const char *dir, uint64_t covers, const uint8_t *root, struct report *r)
{
    struct pass p = {.r = r, .dir = dir};
    *t = (struct tree_file){.near = {.fd = -1}, .far = {.fd = -1}};
    for (int i = 0; i < LEVELS; i++) p.tile[i].fd = -1;
    int rc = file_open(&t->near, dir, "tree/entries");
    if (rc == E_OK) rc = file_open(&t->far, dir, "tree/entries");
    uint64_t have = rc ? 0 : t->near.size / DIGEST_BYTES;
    t->size = root ? covers : have;
    if (rc && covers > 0) {
        report_fault(r, (struct place){"tree/entries", NO_OFFSET, 0}, rc == E_NOTFOUND ? "the file is missing" : "the file cannot be read");
        t->size = 0;
        return;
    }
    if (have < t->size) {
        report_fault(r, (struct place){"tree/entries", have * DIGEST_BYTES, have + 1}, "the file has %llu entries, the manifest names %llu", (unsigned long long)have, (unsigned long long)covers);
        t->size = have;
        root = NULL;
    }
    check_entries(t, &p, root);
    for (int i = 0; i < LEVELS; i++) file_close(&p.tile[i]);
}

static uint8_t *newer_at(struct tree_file *t, uint64_t seq)
{
    uint64_t off = (seq - t->size - 1) * (DIGEST_BYTES + 1);
    return off < t->newer.n ? t->newer.p + off : NULL;
}

enum leaf_state tree_file_leaf(struct tree_file *t, uint64_t seq, uint8_t out[DIGEST_BYTES])
{
    static const uint8_t zero[DIGEST_BYTES];
    if (seq > t->size) {
        const uint8_t *p = newer_at(t, seq);
        if (!p || !p[0]) return LEAF_UNKNOWN;
        memcpy(out, p + 1, DIGEST_BYTES);
        return LEAF_OK;
    }
    uint64_t off = (seq - 1) * DIGEST_BYTES;
    bool near = off >= t->near.window_at && off < t->near.window_at + t->near.window.n + FILE_WINDOW_BYTES;
    const uint8_t *p = file_at(near ? &t->near : &t->far, off, DIGEST_BYTES);
    if (!p) return LEAF_UNKNOWN;
    memcpy(out, p, DIGEST_BYTES);
    return memcmp(p, zero, DIGEST_BYTES) == 0 ? LEAF_ZERO : LEAF_OK;
}

void tree_file_put(struct tree_file *t, uint64_t seq, const uint8_t hash[DIGEST_BYTES])
{
    uint64_t gap = seq - t->size - 1 - t->newer.n / (DIGEST_BYTES + 1);
    if (seq <= t->size || newer_at(t, seq) || gap > 1u << 24) return;
    size_t n = (size_t)(gap + 1) * (DIGEST_BYTES + 1);
    uint8_t *p = buf_reserve(&t->newer, n);
    memset(p, 0, n);
    p[n - DIGEST_BYTES - 1] = 1;
    memcpy(p + n - DIGEST_BYTES, hash, DIGEST_BYTES);
    t->newer.n += n;
}

void tree_file_fini(struct tree_file *t)
{
    file_close(&t->near);
    file_close(&t->far);
    buf_fini(&t->newer);
}
