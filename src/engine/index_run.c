/* Reading run files: opening, blocks, cursors, verification. See index_run.h and src/docs/format-index.md.
 *
 * Every length and offset is checked against the bytes that are there, whether or not a checksum vouches for them: a run may come from
 * anywhere. A cursor only ever moves to higher blocks when going forward and to lower ones when going back, so no input makes it run for ever.
 *
 * A cursor decodes groups (restart to restart): forward entry by entry, backward the whole group first. All keys of a group are kept, so
 * going back inside a group costs nothing.
 *
 * A seek builds no keys of entries below the key sought, K. It knows how many leading bytes the entry before agrees with K in, a. An entry that shares
 * more than a bytes with the one before is below K for the same reason as that; one that shares fewer is above K, because it is above the one before in a
 * byte where that equals K; one that shares exactly a bytes is compared from there on. So the entry found begins with bytes of K itself, and
 * what was passed over is decoded only for who goes back.
 *
 * Which block? The first whose last key L is >= K, by eight bytes of each L in an array, and where those tie by its fence: L as far as it agrees with the
 * next block's last key and FENCE_EXTRA bytes more, or the whole of it where that is no longer. A fence that was cut lets in what begins with it or is below:
 * every K <= L, and of those above L only such as agree with L in all that it kept. Those are below the next block's last key, which differs from L within
 * the fence. So the answer is the right block, or seldom the one before it, and then a seek, which finds all of that below K, goes on to the next. Both
 * kinds of order, by eight bytes and by fence, are monotone in the block and in K, so a binary search is right. */
#include "engine/index_run.h"

#include "base/codec.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/index_buffer.h"
#include <inttypes.h>
#include <stdio.h>

enum { FENCE_EXTRA = 4 };

static int damaged(const struct index_run *r, const char *what, uint64_t off)
{
    return err_note(E_CORRUPT, "index run %s: %s at offset %" PRIu64, r->path, what, off);
}

void index_run_path(char out[RUN_PATH_MAX], const char *dir, uint64_t id)
{
    int n = snprintf(out, RUN_PATH_MAX, "%s/%08" PRIu64 ".run", dir, id);
    ASSERT(n > 0 && (unsigned)n < RUN_PATH_MAX);
}

/* ---- opening ---- */

static int load_section(struct index_run *r, const uint8_t *footer, unsigned at, unsigned crc_at, uint8_t *to)
{
    uint64_t off = get_u64(footer + at), n = get_u64(footer + at + 8);
    int rc = os_read_full(r->os, r->file, off, to, n);
    if (rc < 0) return rc;
    return crc32c(0, to, n) == get_u32(footer + crc_at) ? E_OK : damaged(r, "section checksum", off);
}

/* The sections must lie back to back and fill the file, so that no byte is outside some checksum. */
static int check_footer(struct index_run *r, const uint8_t *f)
{
    uint64_t foot = r->bytes - RUN_FOOTER_BYTES;
    if (memcmp(f, RUN_FOOTER_MAGIC, 8) != 0) return damaged(r, "footer magic", foot);
    if (crc32c(0, f, 124) != get_u32(f + 124)) return damaged(r, "footer checksum", foot);
    if (get_u16(f + 8) > RUN_VERSION) return err_note(E_VERSION, "index run %s: version %u", r->path, get_u16(f + 8));
    uint64_t index = get_u64(f + 64), index_n = get_u64(f + 72), filter = get_u64(f + 80), filter_n = get_u64(f + 88);
    uint64_t bounds = get_u64(f + 96), bounds_n = get_u64(f + 104);
    bool fits = index >= RUN_HEADER_BYTES && index <= foot && index_n <= foot - index && filter == index + index_n &&
                filter_n <= foot - filter && bounds == filter + filter_n && bounds_n == foot - bounds;
    if (!fits || get_u16(f + 8) != RUN_VERSION || get_u16(f + 10) != RUN_FOOTER_BYTES || f[12] >= INDEX_LEVELS ||
        get_u64(f + 16) != r->id || filter_n % FILTER_BLOCK_BYTES || filter_n / FILTER_BLOCK_BYTES > UINT32_MAX ||
        get_u64(f + 56) > index_n / 2)
        return damaged(r, "footer fields", foot);
    r->level = f[12];
    r->filtered = f[13] | (uint32_t)f[14] << 8 | (uint32_t)f[15] << 16;
    r->covers = get_u64(f + 24);
    r->entries = get_u64(f + 32);
    r->tombstones = get_u64(f + 40);
    r->filter_keys = get_u64(f + 48);
    r->n_blocks = get_u64(f + 56);
    return E_OK;
}

/* Reads an entry of the block index. NULL: damaged. */
static const uint8_t *index_entry(const uint8_t *p, const uint8_t *end, uint64_t *bytes, slice *last)
{
    uint64_t n;
    p = get_varint(p, end, bytes);
    if (p) p = get_varint(p, end, &n);
    if (!p || n > INDEX_KEY_MAX || n > (size_t)(end - p)) return NULL;
    *last = slice_of(p, n);
    return p + n;
}

static void put_place(struct index_run *r, uint64_t no, uint64_t off, uint64_t fence)
{
    struct run_span *s = &r->span[no / RUN_SPAN];
    if (no % RUN_SPAN == 0) *s = (struct run_span){off, fence};
    ASSERT(off - s->off <= UINT32_MAX && fence - s->fence <= UINT32_MAX);
    r->place[no] = (struct run_place){(uint32_t)(off - s->off), (uint32_t)(fence - s->fence)};
}

/* Writes the fence of a block whose last key lies behind `to`, together with two varints at least as long as the one written here. Returns its end. */
static uint8_t *put_fence(uint8_t *to, slice last, size_t keep)
{
    size_t n = keep < last.n ? keep : last.n;
    uint8_t *p = put_varint(to, (uint64_t)n << 1 | (n == last.n));
    ASSERT(last.n == 0 || p <= last.p);
    if (n) memmove(p, last.p, n);
    return p + n;
}

/* Turns the block index section, which stands in `fences`, into places and fences. A fence is written when the next last key is known: it never reaches
 * what is still to be read. */
static int parse_index(struct index_run *r, uint64_t off)
{
    const uint8_t *p = r->fences, *end = p + r->index_n;
    uint8_t *to = r->fences;
    uint64_t at = RUN_HEADER_BYTES, bytes;
    slice last, before = {0};
    for (uint64_t i = 0; i < r->n_blocks; i++, at += bytes, before = last) {
        p = index_entry(p, end, &bytes, &last);
        if (!p || (i > 0 && slice_cmp(before, last) >= 0)) return damaged(r, "block index", off);
        if (bytes < 16 || bytes > RUN_BLOCK_MAX || bytes > off - at) return damaged(r, "block length in the index", off);
        if (i > 0) to = put_fence(to, before, run_agreeing(before.p, last.p, before.n < last.n ? before.n : last.n) + FENCE_EXTRA);
        put_place(r, i, at, (uint64_t)(to - r->fences));
        r->last_prefix[i] = key_prefix(last);
    }
    if (p != end || at != off) return damaged(r, "block index", off);
    if (r->n_blocks) to = put_fence(to, before, before.n);
    r->fences_n = (uint64_t)(to - r->fences);
    put_place(r, r->n_blocks, at, r->fences_n);
    r->fences = mem_realloc(r->fences, r->fences_n + 1);
    return E_OK;
}

static int parse_bounds(struct index_run *r, uint64_t off, uint64_t n)
{
    const uint8_t *p = r->bounds, *end = p + n;
    slice *out[4] = {&r->smallest, &r->largest, &r->tombstone_smallest, &r->tombstone_largest};
    for (int i = 0; i < 4; i++) {
        uint64_t len;
        p = get_varint(p, end, &len);
        if (!p || len > (size_t)(end - p)) return damaged(r, "bounds", off);
        *out[i] = slice_of(p, len);
        p += len;
    }
    return p == end ? E_OK : damaged(r, "bounds", off);
}

static int load(struct index_run *r)
{
    uint8_t h[RUN_HEADER_BYTES], f[RUN_FOOTER_BYTES];
    int rc = os_read_full(r->os, r->file, 0, h, sizeof h);
    if (rc < 0) return rc;
    if (memcmp(h, RUN_MAGIC, 8) != 0) return damaged(r, "header magic", 0);
    if (crc32c(0, h, 28) != get_u32(h + 28)) return damaged(r, "header checksum", 0);
    if (get_u16(h + 8) > RUN_VERSION) return err_note(E_VERSION, "index run %s: version %u", r->path, get_u16(h + 8));
    if (get_u16(h + 8) != RUN_VERSION || get_u16(h + 10) != RUN_HEADER_BYTES || get_u64(h + 16) != r->id)
        return damaged(r, "header fields", 0);
    rc = os_read_full(r->os, r->file, r->bytes - RUN_FOOTER_BYTES, f, sizeof f);
    if (rc < 0) return rc;
    if ((rc = check_footer(r, f)) < 0) return rc;
    uint64_t filter_n = get_u64(f + 88), bounds_n = get_u64(f + 104);
    r->index_n = get_u64(f + 72);
    r->fences = mem_alloc(r->index_n + 1);
    r->bounds = mem_alloc(bounds_n + 1);
    r->place = mem_alloc((r->n_blocks + 1) * sizeof *r->place);
    r->span = mem_alloc((r->n_blocks / RUN_SPAN + 1) * sizeof *r->span);
    r->last_prefix = mem_alloc(r->n_blocks * sizeof *r->last_prefix + 1);
    r->verified = mem_zalloc((r->n_blocks / 64 + 1) * sizeof *r->verified);
    index_filter_init_blocks(&r->filter, filter_n / FILTER_BLOCK_BYTES);
    if ((rc = load_section(r, f, 64, 112, r->fences)) < 0) return rc;
    if (filter_n && (rc = load_section(r, f, 80, 116, r->filter.bits)) < 0) return rc;
    if (!filter_n && get_u32(f + 116) != 0) return damaged(r, "filter checksum", get_u64(f + 80));
    if ((rc = load_section(r, f, 96, 120, r->bounds)) < 0) return rc;
    if ((rc = parse_index(r, get_u64(f + 64))) < 0) return rc;
    return parse_bounds(r, get_u64(f + 96), bounds_n);
}

static void run_free(struct index_run *r)
{
    if (r->file) os_close(r->os, &r->file);
    index_filter_fini(&r->filter);
    mem_free(r->fences);
    mem_free(r->bounds);
    mem_free(r->place);
    mem_free(r->span);
    mem_free(r->last_prefix);
    mem_free(r->verified);
    mem_free(r->path);
    mem_free(r);
}

int index_run_open(struct os *os, const char *dir, const struct run_id *want, struct index_run **out)
{
    ASSERT(os && dir && want && out);
    char path[RUN_PATH_MAX];
    index_run_path(path, dir, want->id);
    struct index_run *r = mem_zalloc(sizeof *r);
    atomic_init(&r->refs, 1);
    r->os = os;
    r->path = mem_strdup(path);
    r->id = want->id;
    int rc = os_open(os, path, OS_READ | OS_MAPPED, &r->file);
    if (rc == E_NOTFOUND) rc = err_note(E_CORRUPT, "index run %s: the file is missing", path);
    if (rc < 0) goto fail;
    if ((rc = os_size(os, r->file, &r->bytes)) < 0) goto fail;
    if (r->bytes != want->bytes || r->bytes < RUN_HEADER_BYTES + RUN_FOOTER_BYTES) {
        rc = err_note(E_CORRUPT, "index run %s: %" PRIu64 " bytes where %" PRIu64 " were written", path, r->bytes, want->bytes);
        goto fail;
    }
    if ((rc = load(r)) < 0) goto fail;
    if (r->entries != want->entries || r->level != want->level) {
        rc = err_note(E_CORRUPT, "index run %s: not the run that is listed", path);
        goto fail;
    }
    os_forget(os, r->file); /* the parts that were read stand in memory of their own now */
    *out = r;
    return E_OK;
fail:
    run_free(r);
    return rc;
}

void index_run_hold(struct index_run *r)
{
    unsigned before = atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
}

void index_run_drop(struct index_run *r)
{
    unsigned before = atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) return;
    if (atomic_load(&r->retired)) {
        os_close(r->os, &r->file);
        int rc = os_remove(r->os, r->path);
        (void)rc; /* what cannot be removed now is a leftover for the next opening */
    }
    run_free(r);
}

size_t index_run_memory(const struct index_run *r)
{
    return sizeof *r + mem_size(r->fences) + mem_size(r->bounds) + mem_size(r->place) + mem_size(r->span) + mem_size(r->last_prefix) +
           mem_size(r->verified) + r->filter.n_blocks * FILTER_BLOCK_BYTES;
}

bool index_run_may_hide(const struct index_run *r, slice key)
{
    return r->tombstones > 0 && slice_cmp(key, r->tombstone_smallest) >= 0 && slice_cmp(key, r->tombstone_largest) <= 0;
}

bool index_run_may_have(const struct index_run *r, slice lower, slice upper, slice prefix, uint64_t hash)
{
    if (r->entries == 0 || slice_cmp(lower, r->largest) > 0 || (upper.n && slice_cmp(upper, r->smallest) <= 0)) return false;
    if (!(r->filtered & run_filtered_bit(prefix)) || index_filter_has(&r->filter, hash)) return true;
    /* Filters know no tombstones. */
    return r->tombstones > 0 && slice_cmp(lower, r->tombstone_largest) <= 0 && !(upper.n && slice_cmp(upper, r->tombstone_smallest) <= 0);
}

/* ---- blocks ---- */

static int check_block(struct index_run *r, uint64_t no, const uint8_t *p, uint64_t off, uint32_t bytes)
{
    uint64_t bit = (uint64_t)1 << no % 64;
    if (atomic_load_explicit(&r->verified[no / 64], memory_order_relaxed) & bit) return E_OK;
    uint8_t place[16];
    put_u64(place, r->id);
    put_u64(place + 8, off);
    if (crc32c(crc32c(0, place, sizeof place), p, bytes - 4) != get_u32(p + bytes - 4)) return damaged(r, "block checksum", off);
    atomic_fetch_or_explicit(&r->verified[no / 64], bit, memory_order_relaxed);
    return E_OK;
}

void run_cursor_init(struct run_cursor *c, struct index_run *r)
{
    ASSERT(c && r);
    c->run = r;
    c->block_no = UINT64_MAX;
    c->on = false;
    c->block = c->block_space;
    c->block_cap = sizeof c->block_space;
    c->keys = c->keys_space;
    c->keys_cap = sizeof c->keys_space;
    c->decoded = c->passed = c->at = 0;
}

void run_cursor_fini(struct run_cursor *c)
{
    if (c->block != c->block_space) mem_free(c->block);
    if (c->keys != c->keys_space) mem_free(c->keys);
    c->run = NULL;
}

static int load_block(struct run_cursor *c, uint64_t no)
{
    if (c->block_no == no) return E_OK;
    ASSERT(no < c->run->n_blocks);
    uint64_t off = index_run_block_off(c->run, no);
    uint32_t bytes = (uint32_t)(index_run_block_off(c->run, no + 1) - off);
    c->block_no = UINT64_MAX;
    if (bytes > c->block_cap) {
        if (c->block != c->block_space) mem_free(c->block);
        c->block = mem_alloc(bytes);
        c->block_cap = bytes;
    }
    int rc = os_read_full(c->run->os, c->run->file, off, c->block, bytes);
    if (rc < 0) return rc;
    if ((rc = check_block(c->run, no, c->block, off, bytes)) < 0) return rc;
    uint32_t groups = get_u32(c->block + bytes - 8);
    if (groups == 0 || groups > (bytes - 8) / 4) return damaged(c->run, "restart count", off);
    c->n_groups = groups;
    c->entries_end = bytes - 8 - 4 * groups;
    c->restarts = c->block + c->entries_end;
    c->block_no = no;
    return E_OK;
}

static int broken(struct run_cursor *c)
{
    uint64_t no = c->block_no;
    c->on = false;
    c->block_no = UINT64_MAX;
    return damaged(c->run, "entry", no < c->run->n_blocks ? index_run_block_off(c->run, no) : 0);
}

/* ---- groups ---- */

static int enter_group(struct run_cursor *c, uint32_t g)
{
    ASSERT(g < c->n_groups);
    uint32_t from = get_u32(c->restarts + 4 * g);
    uint32_t to = g + 1 < c->n_groups ? get_u32(c->restarts + 4 * (g + 1)) : c->entries_end;
    if (from >= to || to > c->entries_end) return broken(c);
    c->group = g;
    c->next_at = from;
    c->group_end = to;
    c->decoded = c->passed = 0;
    c->keys_n = 0;
    return E_OK;
}

static void grow_keys(struct run_cursor *c, size_t need)
{
    size_t cap = c->keys_cap * 2 > need ? c->keys_cap * 2 : need;
    uint8_t *p = mem_alloc(cap);
    memcpy(p, c->keys, c->keys_n);
    if (c->keys != c->keys_space) mem_free(c->keys);
    c->keys = p;
    c->keys_cap = cap;
}

struct entry_head {
    uint64_t shared, rest, tag, value_n;
};

static const uint8_t *decode_long_head(const uint8_t *p, const uint8_t *end, struct entry_head *h)
{
    p = get_varint(p, end, &h->shared);
    if (p) p = get_varint(p, end, &h->rest);
    if (p) p = get_varint(p, end, &h->tag);
    return p ? get_varint(p, end, &h->value_n) : NULL;
}

static inline const uint8_t *decode_head(const uint8_t *p, const uint8_t *end, struct entry_head *h)
{
    if (__builtin_expect(end - p >= 4, 1)) {
        uint32_t four = get_u32(p);
        if (__builtin_expect((four & 0x80808080u) == 0, 1)) {
            *h = (struct entry_head){four & 255, four >> 8 & 255, four >> 16 & 255, four >> 24};
            return p + 4;
        }
    }
    return decode_long_head(p, end, h);
}

/* Decodes the head of the entry at `at` of the group, behind one whose key has before_n bytes. Its key's rest and value follow the head, all inside the
 * group. NULL: damaged. */
static inline const uint8_t *entry_head(const struct run_cursor *c, uint32_t at, size_t before_n, struct entry_head *h)
{
    const uint8_t *end = c->block + c->group_end, *p = decode_head(c->block + at, end, h);
    bool right = p && h->shared <= before_n && h->rest <= INDEX_KEY_MAX && h->shared + h->rest <= INDEX_KEY_MAX && h->value_n <= INDEX_VALUE_MAX &&
                 h->rest + h->value_n <= (size_t)(end - p) && h->tag >> 1 <= h->shared + h->rest;
    return right ? p : NULL;
}

/* Takes the entry with this head: its key is the first h->shared bytes at `start` and the rest at p, where the value follows. */
static void take_entry(struct run_cursor *c, const struct entry_head *h, const uint8_t *start, const uint8_t *p)
{
    size_t key_n = h->shared + h->rest;
    uint8_t *k = c->keys + c->keys_n;
    ASSERT(c->decoded < RUN_GROUP && c->keys_n + key_n <= c->keys_cap);
    if (h->shared) memcpy(k, start, h->shared);
    memcpy(k + h->shared, p, h->rest);
    c->entry[c->decoded++] = (struct run_entry){.key_at = (uint32_t)c->keys_n,
                                                .key_n = (uint32_t)key_n,
                                                .value = slice_of(p + h->rest, h->value_n),
                                                .filter_n = (uint32_t)(h->tag >> 1),
                                                .tombstone = h->tag & 1};
    c->keys_n += key_n;
    c->next_at = (uint32_t)(p + h->rest + h->value_n - c->block);
}

/* Decodes the next entry of the group; the caller knows that there is one. */
static int decode_next(struct run_cursor *c)
{
    if (c->decoded == RUN_GROUP) return broken(c);
    struct entry_head h;
    const struct run_entry *before = c->decoded ? &c->entry[c->decoded - 1] : NULL;
    const uint8_t *p = entry_head(c, c->next_at, before ? before->key_n : 0, &h);
    if (!p) return broken(c);
    size_t key_n = h.shared + h.rest;
    if (c->keys_n + key_n > c->keys_cap) grow_keys(c, c->keys_n + key_n);
    take_entry(c, &h, before ? c->keys + before->key_at : NULL, p);
    return E_OK;
}

static int decode_group(struct run_cursor *c)
{
    while (c->next_at < c->group_end) {
        int rc = decode_next(c);
        if (rc < 0) return rc;
    }
    return E_OK;
}

/* ---- moving ---- */

static int stand(struct run_cursor *c, uint32_t at)
{
    c->at = at;
    c->on = true;
    return E_OK;
}

static int enter_first(struct run_cursor *c, uint64_t no)
{
    c->on = false;
    if (no >= c->run->n_blocks) return E_END;
    int rc = load_block(c, no);
    if (rc == E_OK) rc = enter_group(c, 0);
    if (rc == E_OK) rc = decode_next(c);
    return rc < 0 ? rc : stand(c, 0);
}

static int enter_last(struct run_cursor *c, uint64_t no, uint32_t group_end)
{
    c->on = false;
    int rc = load_block(c, no);
    if (rc == E_OK) rc = enter_group(c, group_end ? group_end - 1 : c->n_groups - 1);
    if (rc == E_OK) rc = decode_group(c);
    return rc < 0 ? rc : stand(c, c->decoded - 1);
}

int run_cursor_first(struct run_cursor *c) { return enter_first(c, 0); }

int run_cursor_last(struct run_cursor *c)
{
    c->on = false;
    return c->run->n_blocks ? enter_last(c, c->run->n_blocks - 1, 0) : E_END;
}

/* Stands on the first entry behind the group. */
static int enter_next(struct run_cursor *c)
{
    if (c->group + 1 == c->n_groups) return enter_first(c, c->block_no + 1);
    c->on = false;
    int rc = enter_group(c, c->group + 1);
    if (rc == E_OK) rc = decode_next(c);
    return rc < 0 ? rc : stand(c, 0);
}

int run_cursor_next(struct run_cursor *c)
{
    ASSERT(c->on);
    if (c->at + 1 < c->decoded) {
        c->at++;
        return E_OK;
    }
    if (c->next_at == c->group_end) return enter_next(c);
    int rc = decode_next(c);
    return rc < 0 ? rc : stand(c, c->decoded - 1);
}

/* Decodes what a seek passed over, up to where the cursor stands. */
static int decode_before(struct run_cursor *c)
{
    uint32_t at = c->at;
    c->on = false;
    int rc = enter_group(c, c->group);
    while (rc == E_OK && c->decoded < at) rc = c->next_at < c->group_end ? decode_next(c) : broken(c);
    c->on = rc == E_OK;
    return rc;
}

int run_cursor_prev(struct run_cursor *c)
{
    ASSERT(c->on);
    if (c->at > 0) {
        int rc = c->at > c->passed ? E_OK : decode_before(c);
        if (rc == E_OK) c->at--;
        return rc;
    }
    if (c->group > 0) return enter_last(c, c->block_no, c->group);
    c->on = false;
    return c->block_no == 0 ? E_END : enter_last(c, c->block_no - 1, 0);
}

/* Is key at or below the block's last key, as far as its fence tells? */
static bool fence_lets_in(const struct index_run *r, uint64_t no, slice key)
{
    const uint8_t *p = r->fences + r->span[no / RUN_SPAN].fence + r->place[no].fence;
    uint64_t head = 0;
    p = get_varint(p, r->fences + r->fences_n, &head);
    size_t n = head >> 1;
    ASSERT(p && n <= INDEX_KEY_MAX);
    if (!(head & 1) && key.n > n) key.n = n;
    return slice_cmp(key, slice_of(p, n)) <= 0;
}

uint64_t index_run_block_of(const struct index_run *r, slice key)
{
    uint64_t prefix = key_prefix(key), lo = 0, n = r->n_blocks;
    while (n > 0) {
        uint64_t h = n / 2, at = lo + h;
        bool below = r->last_prefix[at] != prefix ? r->last_prefix[at] < prefix : !fence_lets_in(r, at, key);
        lo += below ? h + 1 : 0;
        n = below ? n - h - 1 : h;
    }
    return lo;
}

/* The last group of the block in memory whose first key is <= key; 0 when all are above. */
static int find_group(struct run_cursor *c, slice key, uint32_t *out)
{
    uint32_t lo = 0, hi = c->n_groups; /* the answer is in [lo, hi) */
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2, at = get_u32(c->restarts + 4 * mid);
        if (at >= c->entries_end) return broken(c);
        struct entry_head h;
        const uint8_t *end = c->block + c->entries_end, *p = decode_head(c->block + at, end, &h);
        if (!p || h.shared != 0 || h.rest > (size_t)(end - p)) return broken(c);
        if (slice_cmp(slice_of(p, h.rest), key) <= 0)
            lo = mid;
        else
            hi = mid;
    }
    *out = lo;
    return E_OK;
}

/* Stands on the group's first entry >= key, by the rule at the top. E_END: all are below. */
static int seek_in_group(struct run_cursor *c, slice key)
{
    size_t agreed = 0, before_n = 0; /* of the entry before, which is below: bytes that it shares with key, and all of its key */
    struct entry_head h;
    while (c->next_at < c->group_end) {
        const uint8_t *p = c->decoded < RUN_GROUP ? entry_head(c, c->next_at, before_n, &h) : NULL;
        if (!p) return broken(c);
        bool below = h.shared > agreed;
        if (h.shared == agreed) {
            size_t max = h.rest < key.n - agreed ? h.rest : key.n - agreed, n = run_agreeing(p, key.p + agreed, max);
            agreed += n;
            below = agreed < key.n && (n == h.rest || p[n] < key.p[agreed]);
        }
        if (!below) {
            c->passed = c->decoded;
            if (h.shared + h.rest > c->keys_cap) grow_keys(c, h.shared + h.rest);
            take_entry(c, &h, key.p, p);
            return stand(c, c->passed);
        }
        before_n = h.shared + h.rest;
        c->decoded++;
        c->next_at = (uint32_t)(p + h.rest + h.value_n - c->block);
    }
    return E_END;
}

/* Stands on the block's first entry >= key. E_END: all are below. */
static int seek_in_block(struct run_cursor *c, uint64_t no, slice key)
{
    uint32_t g = 0;
    int rc = load_block(c, no);
    if (rc == E_OK) rc = find_group(c, key, &g);
    if (rc == E_OK) rc = enter_group(c, g);
    if (rc == E_OK) rc = seek_in_group(c, key);
    if (rc != E_END || g + 1 == c->n_groups) return rc;
    rc = enter_next(c); /* the next group begins above, unless the file lies */
    while (rc == E_OK && slice_cmp(run_cursor_key(c), key) < 0) rc = run_cursor_next(c);
    return rc;
}

int run_cursor_seek(struct run_cursor *c, slice key)
{
    int rc = E_END;
    c->on = false;
    for (uint64_t no = index_run_block_of(c->run, key); rc == E_END && no < c->run->n_blocks; no++) rc = seek_in_block(c, no, key);
    return rc;
}

int run_cursor_seek_before(struct run_cursor *c, slice key)
{
    int rc = run_cursor_seek(c, key);
    if (rc == E_END) return run_cursor_last(c);
    return rc < 0 ? rc : run_cursor_prev(c);
}

/* ---- verification ---- */

/* Where a verification is: the last entry's key, and the block index, read once more, up to the block that it is in. */
struct run_check {
    struct buf key;
    uint64_t block_no;
    uint8_t *index;
    const uint8_t *index_at;
};

/* Is the key at hand what the block index says is the last one of its block? To be asked once a block. */
static bool is_last_of_block(const struct index_run *r, struct run_check *k)
{
    uint64_t bytes;
    slice last;
    const uint8_t *p = index_entry(k->index_at, k->index + r->index_n, &bytes, &last);
    if (p) k->index_at = p;
    return p && slice_eq(last, buf_slice(&k->key));
}

static int verify_entries(struct index_run *r, struct run_cursor *c, struct run_check *k, uint64_t *entries, uint64_t *tombstones)
{
    int rc = run_cursor_first(c);
    for (; rc == E_OK; rc = run_cursor_next(c)) {
        slice key = run_cursor_key(c);
        const struct run_entry *e = run_cursor_entry(c);
        const char *wrong = NULL;
        if (*entries > 0 && slice_cmp(buf_slice(&k->key), key) >= 0) wrong = "order";
        if (*entries == 0 && !slice_eq(key, r->smallest)) wrong = "smallest key";
        if (*entries > 0 && k->block_no != c->block_no && !is_last_of_block(r, k)) wrong = "last key of the block before";
        if (e->tombstone && !index_run_may_hide(r, key)) wrong = "tombstone bounds";
        if (!e->tombstone && !e->filter_n && r->filtered & run_filtered_bit(key)) wrong = "filtered letters";
        if (!e->tombstone && e->filter_n && !index_filter_has(&r->filter, index_filter_hash(slice_of(key.p, e->filter_n)))) wrong = "filter";
        if (wrong) return damaged(r, wrong, index_run_block_off(r, c->block_no));
        k->block_no = c->block_no;
        ++*entries;
        *tombstones += e->tombstone;
        buf_clear(&k->key);
        buf_add_slice(&k->key, key);
    }
    if (rc != E_END || *entries == 0) return rc == E_END ? E_OK : rc;
    if (!is_last_of_block(r, k)) return damaged(r, "last key of the last block", r->bytes);
    return slice_eq(buf_slice(&k->key), r->largest) ? E_OK : damaged(r, "largest key", r->bytes);
}

int index_run_verify(struct index_run *r, char *where, size_t where_n)
{
    ASSERT(r && where && where_n > 0);
    for (uint64_t i = 0; i <= r->n_blocks / 64; i++) atomic_store_explicit(&r->verified[i], 0, memory_order_relaxed);
    struct run_cursor *c = mem_alloc(sizeof *c);
    run_cursor_init(c, r);
    uint64_t entries = 0, tombstones = 0;
    struct run_check k = {.index = mem_alloc(r->index_n + 1)};
    k.index_at = k.index;
    int rc = os_read_full(r->os, r->file, index_run_block_off(r, r->n_blocks), k.index, r->index_n);
    if (rc == E_OK) rc = verify_entries(r, c, &k, &entries, &tombstones);
    if (rc == E_OK && (entries != r->entries || tombstones != r->tombstones)) rc = damaged(r, "entry count", r->bytes);
    if (rc < 0) snprintf(where, where_n, "index run %s, behind entry %" PRIu64 " of %" PRIu64, r->path, entries, r->entries);
    buf_fini(&k.key);
    mem_free(k.index);
    run_cursor_fini(c);
    mem_free(c);
    return rc;
}
