/* Look-ups in a dense sidecar are one read of four or eight bytes out of the mapped file. A sparse one is searched in two steps: `fence`
 * holds every FENCE_STEP-th seq in memory, which leaves one block of at most FENCE_STEP seqs to be copied out and searched. So a compacted
 * segment costs a byte of memory for every hundred records. */
#include "engine/sidecar.h"

#include "base/codec.h"
#include "base/hash.h"
#include "base/mem.h"

#define FENCE_STEP  512u
#define MARKS_STEP  1024u
#define CHECK_CHUNK (256u << 10)
#define KNOWN_FLAGS (SIDECAR_SPARSE | SIDECAR_LOSSY | SIDECAR_CUTS)
static const char magic[8] = {'V', 'A', 'R', 'V', 'E', 'I', 'D', 'X'};

struct sidecar {
    struct os *os;
    struct os_file *file;
    struct sidecar_info info;
    uint64_t count, entries_at; /* file offset of the entries */
    uint32_t *fence;            /* NULL when dense */
};

void sidecar_draft_add(struct sidecar_draft *d, uint64_t distance, uint64_t offset, bool more)
{
    ASSERT(distance <= SIDECAR_RANGE_MAX && offset % ENTRY_UNIT == 0 && offset <= ENTRY_OFFSET_MAX);
    ASSERT(d->count < SIDECAR_ENTRIES_MAX);
    put_u32(buf_reserve(&d->seqs, 4), (uint32_t)distance);
    d->seqs.n += 4;
    put_u32(buf_reserve(&d->entries, 4), (uint32_t)(offset / ENTRY_UNIT) | (more ? ENTRY_MORE : 0));
    d->entries.n += 4;
    d->count++;
}

void sidecar_draft_fini(struct sidecar_draft *d)
{
    buf_fini(&d->seqs);
    buf_fini(&d->entries);
    d->count = 0;
}

static void put_header(uint8_t *h, const struct sidecar_info *i, uint64_t count, uint32_t body_crc)
{
    memcpy(h, magic, 8);
    put_u16(h + 8, SIDECAR_VERSION);
    put_u16(h + 10, SIDECAR_HEADER_BYTES);
    put_u32(h + 12, i->flags);
    put_u64(h + 16, i->first_seq);
    put_u64(h + 24, i->last_seq);
    put_u64(h + 32, i->generation);
    put_u64(h + 40, count);
    put_u64(h + 48, i->segment_bytes);
    memcpy(h + 56, i->store_id, 16);
    put_u32(h + 72, body_crc);
    put_u32(h + 76, crc32c(0, h, 76));
}

int sidecar_write(struct os *os, const char *dir, const char *name, const struct sidecar_info *info,
                  const struct sidecar_draft *d)
{
    bool sparse = info->flags & SIDECAR_SPARSE;
    ASSERT((info->flags & ~(uint32_t)KNOWN_FLAGS) == 0 && (sparse || !(info->flags & ~(uint32_t)SIDECAR_SPARSE)));
    ASSERT(sparse || info->last_seq + 1 - info->first_seq == d->count);
    struct buf file = {0};
    uint32_t crc = sparse ? crc32c(0, d->seqs.p, d->seqs.n) : 0;
    crc = crc32c(crc, d->entries.p, d->entries.n);
    put_header(buf_reserve(&file, SIDECAR_HEADER_BYTES), info, d->count, crc);
    file.n += SIDECAR_HEADER_BYTES;
    if (sparse) buf_add(&file, d->seqs.p, d->seqs.n);
    buf_add(&file, d->entries.p, d->entries.n);
    int rc = os_replace_file(os, dir, name, buf_slice(&file));
    buf_fini(&file);
    return rc;
}

/* ---- open ---- */

static int read_header(struct sidecar *s, uint32_t *body_crc)
{
    uint8_t h[SIDECAR_HEADER_BYTES];
    int rc = os_read_full(s->os, s->file, 0, h, sizeof h);
    if (rc) return rc;
    if (memcmp(h, magic, 8) != 0 || get_u32(h + 76) != crc32c(0, h, 76)) return E_CORRUPT;
    if (get_u16(h + 8) != SIDECAR_VERSION || get_u16(h + 10) != SIDECAR_HEADER_BYTES) return E_VERSION;
    struct sidecar_info *i = &s->info;
    i->flags = get_u32(h + 12);
    i->first_seq = get_u64(h + 16);
    i->last_seq = get_u64(h + 24);
    i->generation = get_u64(h + 32);
    s->count = get_u64(h + 40);
    i->segment_bytes = get_u64(h + 48);
    memcpy(i->store_id, h + 56, 16);
    *body_crc = get_u32(h + 72);
    if ((i->flags & ~(uint32_t)KNOWN_FLAGS) || i->first_seq == 0 || s->count > SIDECAR_ENTRIES_MAX) return E_CORRUPT;
    if (i->last_seq + 1 < i->first_seq || i->segment_bytes > ENTRY_OFFSET_MAX) return E_CORRUPT;
    bool sparse = i->flags & SIDECAR_SPARSE;
    if (!sparse && i->last_seq + 1 - i->first_seq != s->count) return E_CORRUPT;
    if (sparse && i->last_seq + 1 - i->first_seq > (uint64_t)SIDECAR_RANGE_MAX + 1) return E_CORRUPT;
    s->entries_at = SIDECAR_HEADER_BYTES + (sparse ? s->count * 4 : 0);
    uint64_t size;
    rc = os_size(s->os, s->file, &size);
    return rc ? rc : size == s->entries_at + s->count * 4 ? E_OK : E_CORRUPT;
}

static int check_body(struct sidecar *s, uint32_t want)
{
    uint64_t at = SIDECAR_HEADER_BYTES, end = s->entries_at + s->count * 4;
    uint8_t *chunk = mem_alloc(CHECK_CHUNK);
    uint32_t crc = 0;
    int rc = E_OK;
    while (rc == E_OK && at < end) {
        size_t n = end - at < CHECK_CHUNK ? (size_t)(end - at) : CHECK_CHUNK;
        rc = os_read_full(s->os, s->file, at, chunk, n);
        if (rc == E_OK) crc = crc32c(crc, chunk, n);
        at += n;
    }
    mem_free(chunk);
    return rc ? rc : crc == want ? E_OK : E_CORRUPT;
}

static int read_u32(const struct sidecar *s, uint64_t at, uint32_t *out)
{
    uint8_t b[4];
    int rc = os_read_full(s->os, s->file, at, b, 4);
    if (rc == E_OK) *out = get_u32(b);
    return rc;
}

static int build_fence(struct sidecar *s)
{
    uint64_t n = (s->count + FENCE_STEP - 1) / FENCE_STEP;
    int rc = E_OK;
    s->fence = mem_alloc((n ? n : 1) * sizeof *s->fence);
    for (uint64_t i = 0; rc == E_OK && i < n; i++) {
        rc = read_u32(s, SIDECAR_HEADER_BYTES + i * FENCE_STEP * 4, &s->fence[i]);
        if (rc == E_OK && i > 0 && s->fence[i] <= s->fence[i - 1]) rc = E_CORRUPT;
    }
    return rc;
}

int sidecar_open(struct os *os, const char *path, struct sidecar **out)
{
    struct sidecar *s = mem_zalloc(sizeof *s);
    uint32_t crc;
    ASSERT(os && path && out);
    s->os = os;
    int rc = os_open(os, path, OS_READ | OS_MAPPED, &s->file);
    if (rc == E_OK) rc = read_header(s, &crc);
    if (rc == E_OK) rc = check_body(s, crc);
    if (rc == E_OK && (s->info.flags & SIDECAR_SPARSE)) rc = build_fence(s);
    if (rc) {
        sidecar_close(&s);
        return rc;
    }
    *out = s;
    return E_OK;
}

void sidecar_close(struct sidecar **s)
{
    if (!*s) return;
    os_close((*s)->os, &(*s)->file);
    mem_free((*s)->fence);
    mem_free(*s);
    *s = NULL;
}

const struct sidecar_info *sidecar_about(const struct sidecar *s)
{
    return &s->info;
}

uint64_t sidecar_count(const struct sidecar *s)
{
    return s->count;
}

/* ---- look-up ---- */

static int sparse_ceiling(const struct sidecar *s, uint32_t want, uint64_t *index)
{
    uint64_t lo = 0, hi = (s->count + FENCE_STEP - 1) / FENCE_STEP; /* blocks before lo begin at or below want */
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (s->fence[mid] <= want)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0) {
        *index = 0;
        return E_OK;
    }
    uint64_t from = (lo - 1) * FENCE_STEP;
    size_t n = s->count - from < FENCE_STEP ? (size_t)(s->count - from) : FENCE_STEP, a = 0, b = n;
    uint8_t block[FENCE_STEP * 4];
    int rc = os_read_full(s->os, s->file, SIDECAR_HEADER_BYTES + from * 4, block, n * 4);
    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (get_u32(block + mid * 4) < want)
            a = mid + 1;
        else
            b = mid;
    }
    if (rc == E_OK) *index = from + a;
    return rc;
}

int sidecar_ceiling(const struct sidecar *s, uint64_t seq, uint64_t *index)
{
    ASSERT(s && index);
    ASSERT(s->count == 0 || s->entries_at >= SIDECAR_HEADER_BYTES);
    uint64_t distance = seq > s->info.first_seq ? seq - s->info.first_seq : 0;
    if (seq > s->info.last_seq) {
        *index = s->count;
    } else if (!s->fence) {
        *index = distance;
    } else {
        return sparse_ceiling(s, (uint32_t)distance, index);
    }
    return E_OK;
}

int sidecar_place(const struct sidecar *s, uint64_t index, struct sidecar_place *out)
{
    uint8_t b[8];
    uint32_t distance = (uint32_t)index;
    ASSERT(index < s->count);
    bool last = index + 1 == s->count;
    int rc = os_read_full(s->os, s->file, s->entries_at + index * 4, b, last ? 4 : 8);
    if (rc == E_OK && s->fence) rc = read_u32(s, SIDECAR_HEADER_BYTES + index * 4, &distance);
    if (rc) return rc;
    uint32_t entry = get_u32(b);
    out->seq = s->info.first_seq + (s->fence ? distance : index);
    out->more = entry & ENTRY_MORE;
    out->offset = (uint64_t)(entry & ~ENTRY_MORE) * ENTRY_UNIT;
    out->end = last ? s->info.segment_bytes : (uint64_t)(get_u32(b + 4) & ~ENTRY_MORE) * ENTRY_UNIT;
    if (out->offset >= out->end || out->end > s->info.segment_bytes)
        return err_note(E_CORRUPT, "sidecar: entry %llu is out of order", (unsigned long long)index);
    return E_OK;
}

int sidecar_marks(const struct sidecar *s, int (*see)(void *ctx, uint64_t seq, bool more), void *ctx)
{
    uint8_t entries[MARKS_STEP * 4], seqs[MARKS_STEP * 4];
    int rc = E_OK;
    ASSERT(s && see);
    for (uint64_t i = 0; rc == E_OK && i < s->count; i += MARKS_STEP) {
        size_t n = s->count - i < MARKS_STEP ? (size_t)(s->count - i) : MARKS_STEP;
        rc = os_read_full(s->os, s->file, s->entries_at + i * 4, entries, n * 4);
        if (rc == E_OK && s->fence) rc = os_read_full(s->os, s->file, SIDECAR_HEADER_BYTES + i * 4, seqs, n * 4);
        for (size_t k = 0; rc == E_OK && k < n; k++)
            rc = see(ctx, s->info.first_seq + (s->fence ? get_u32(seqs + k * 4) : i + k), get_u32(entries + k * 4) & ENTRY_MORE);
    }
    return rc;
}
