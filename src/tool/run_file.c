#include "tool/run_file.h"

#include "base/codec.h"
#include "tool/digest.h"
#include "tool/file.h"

#define HEAD 32u
#define FOOT 128u
#define KEY_MOST (256u << 10)
#define VALUE_MOST (1u << 20)
#define BLOCK_MOST (4096u + KEY_MOST + VALUE_MOST + (64u << 10))
#define GROUP 16u

struct section {
    uint64_t at, bytes;
    uint32_t crc;
};

struct reading {
    struct file f;
    const char *name;
    struct report *r;
    struct run_file *out;
    run_entry_fn fn;
    void *ctx;
    struct section index, filter, bounds;
    struct buf block_index;    /* a copy: blocks are read meanwhile */
    struct buf key;            /* the entry's */
    struct buf before;         /* the key before it */
    uint64_t n, tombstones;
};

static bool wrong(struct reading *d, uint64_t at, const char *why)
{
    report_fault(d->r, (struct place){d->name, at, 0}, "%s", why);
    return false;
}

static const uint8_t *number(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    *out = 0;
    for (unsigned i = 0; p && i < 10 && p < end; i++) {
        *out |= (uint64_t)(*p & 127) << 7 * i;
        if (!(*p++ & 128)) return p;
    }
    return NULL;
}

/* ---- header and footer ---- */

static bool check_ends(struct reading *d)
{
    struct run_file *o = d->out;
    const uint8_t *p = d->f.size < HEAD + FOOT ? NULL : file_at(&d->f, 0, HEAD);
    if (!p) return wrong(d, 0, "the file is too short or cannot be read");
    if (memcmp(p, "VARVERUN", 8) != 0 || digest_crc(0, p, 28) != get_u32(p + 28)) return wrong(d, 0, "the header is damaged");
    if (get_u16(p + 8) != 1 || get_u16(p + 10) != HEAD) return wrong(d, 8, "the header is of an unknown version");
    o->id = get_u64(p + 16);
    uint64_t at = d->f.size - FOOT;
    p = file_at(&d->f, at, FOOT);
    if (!p) return wrong(d, at, "the footer cannot be read");
    if (memcmp(p, "VARVEEND", 8) != 0 || digest_crc(0, p, 124) != get_u32(p + 124)) return wrong(d, at, "the footer is damaged");
    if (get_u16(p + 8) != 1 || get_u16(p + 10) != FOOT || get_u64(p + 16) != o->id) return wrong(d, at, "the footer does not belong to the header");
    o->level = p[12];
    o->covers = get_u64(p + 24);
    o->entries = get_u64(p + 32);
    o->tombstones = get_u64(p + 40);
    o->blocks = get_u64(p + 56);
    d->index = (struct section){get_u64(p + 64), get_u64(p + 72), get_u32(p + 112)};
    d->filter = (struct section){get_u64(p + 80), get_u64(p + 88), get_u32(p + 116)};
    d->bounds = (struct section){get_u64(p + 96), get_u64(p + 104), get_u32(p + 120)};
    uint64_t a = d->index.at + d->index.bytes, b = d->filter.at + d->filter.bytes, c = d->bounds.at + d->bounds.bytes;
    if (d->index.at < HEAD || d->index.at > at || a != d->filter.at || b != d->bounds.at || c != at || a > at || b > at) return wrong(d, at + 64, "the parts do not fill the file");
    return true;
}

static bool check_section(struct reading *d, const struct section *s, const char *what)
{
    uint32_t crc = 0;
    for (uint64_t done = 0; done < s->bytes;) {
        size_t n = s->bytes - done < FILE_WINDOW_BYTES ? (size_t)(s->bytes - done) : FILE_WINDOW_BYTES;
        const uint8_t *p = file_at(&d->f, s->at + done, n);
        if (!p) return wrong(d, s->at + done, "cannot be read");
        crc = digest_crc(crc, p, n);
        done += n;
    }
    return crc == s->crc ? true : wrong(d, s->at, what);
}

/* ---- blocks ---- */

static const char *take_entry(struct reading *d, const uint8_t **p, const uint8_t *end, bool restart)
{
    uint64_t shared, rest, tag, value_n;
    const uint8_t *q = number(*p, end, &shared);
    q = number(q, end, &rest);
    q = number(q, end, &tag);
    q = number(q, end, &value_n);
    if (!q || rest > (uint64_t)(end - q) || value_n > (uint64_t)(end - q) - rest) return "an entry runs over its block's end";
    if (shared > d->key.n || (restart && shared) || shared + rest > KEY_MOST || value_n > VALUE_MOST || tag >> 1 > shared + rest) return "an entry's lengths are not possible";
    buf_clear(&d->before);
    buf_add_slice(&d->before, buf_slice(&d->key));
    d->key.n = (size_t)shared;
    buf_add(&d->key, q, (size_t)rest);
    if (d->n && slice_cmp(buf_slice(&d->before), buf_slice(&d->key)) >= 0) return "the keys do not ascend";
    d->n++;
    d->tombstones += tag & 1;
    if (d->fn) d->fn(d->ctx, buf_slice(&d->key), slice_of(q + rest, (size_t)value_n), tag & 1);
    *p = q + rest + value_n;
    return NULL;
}

static const char *check_block(struct reading *d, const uint8_t *b, size_t n, uint64_t at, slice last_key)
{
    uint8_t place[16];
    put_u64(place, d->out->id);
    put_u64(place + 8, at);
    if (digest_crc(digest_crc(0, place, 16), b, n - 4) != get_u32(b + n - 4)) return "a block's checksum is wrong";
    uint64_t restarts = get_u32(b + n - 8);
    if (restarts > (n - 8) / 4) return "a block's number of restarts is not possible";
    const uint8_t *end = b + n - 8 - 4 * restarts, *p = b;
    uint64_t i = 0;
    for (; p < end; i++) {
        bool restart = i % GROUP == 0;
        if (restart && (i / GROUP >= restarts || get_u32(end + i / GROUP * 4) != (uint64_t)(p - b))) return "a restart is in the wrong place";
        const char *why = take_entry(d, &p, end, restart);
        if (why) return why;
    }
    if ((i + GROUP - 1) / GROUP != restarts) return "a block has more restarts than entries need";
    return slice_eq(buf_slice(&d->key), last_key) ? NULL : "a block's last key is not the one in the block index";
}

static bool check_blocks(struct reading *d)
{
    uint64_t at = HEAD, blocks = 0;
    const uint8_t *p = file_at(&d->f, d->index.at, (size_t)d->index.bytes);
    if (!p) return wrong(d, d->index.at, "the block index cannot be read");
    buf_add(&d->block_index, p, (size_t)d->index.bytes);
    p = d->block_index.p;
    const uint8_t *end = p + d->block_index.n;
    for (; p < end; blocks++) {
        uint64_t bytes, key_n;
        const uint8_t *q = number(number(p, end, &bytes), end, &key_n);
        if (!q || key_n > (uint64_t)(end - q) || bytes < 12 || bytes > BLOCK_MOST || bytes > d->index.at - at) return wrong(d, d->index.at, "the block index is not possible");
        const uint8_t *b = file_at(&d->f, at, (size_t)bytes);
        const char *why = b ? check_block(d, b, (size_t)bytes, at, slice_of(q, (size_t)key_n)) : "a block cannot be read";
        if (why) {
            (void)wrong(d, at, why);
            buf_clear(&d->key); /* go on behind it */
            buf_add(&d->key, q, (size_t)key_n);
        }
        at += bytes;
        p = q + key_n;
    }
    if (at != d->index.at) return wrong(d, at, "the blocks do not reach the block index");
    if (blocks != d->out->blocks) return wrong(d, d->f.size - FOOT, "the number of blocks is another");
    return true;
}

static void check_all(struct reading *d, const struct manifest_run *want)
{
    struct run_file *o = d->out;
    uint64_t faults = d->r->faults;
    if (!check_ends(d)) return;
    if (want && (want->id != o->id || want->bytes != d->f.size || want->entries != o->entries || want->level != o->level))
        (void)wrong(d, NO_OFFSET, "id, length, entries or level are not those that the manifest names");
    bool ok = check_section(d, &d->index, "the block index's checksum is wrong");
    (void)check_section(d, &d->filter, "the filter's checksum is wrong");
    (void)check_section(d, &d->bounds, "the bounds' checksum is wrong");
    if (!ok || !check_blocks(d) || d->r->faults != faults) return;
    if (d->n != o->entries || d->tombstones != o->tombstones) (void)wrong(d, d->f.size - FOOT, "the number of entries is another");
}

void run_file_check(const char *dir, const char *name, const struct manifest_run *want, run_entry_fn fn, void *ctx, struct report *r, struct run_file *out)
{
    struct reading d = {.name = name, .r = r, .out = out, .fn = fn, .ctx = ctx};
    *out = (struct run_file){0};
    int rc = file_open(&d.f, dir, name);
    if (rc) {
        (void)wrong(&d, NO_OFFSET, rc == E_NOTFOUND ? "the file is missing" : "the file cannot be read");
        return;
    }
    out->bytes = d.f.size;
    check_all(&d, want);
    file_close(&d.f);
    buf_fini(&d.block_index);
    buf_fini(&d.key);
    buf_fini(&d.before);
}
