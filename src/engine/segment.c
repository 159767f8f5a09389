/* The table of an open segment is an array of chunks: the array of pointers has its final size from the start and chunks are never moved, so
 * readers need no lock. Entry i holds offset / 4 and RECORD_MORE of record i; entry [count] already holds the end, so that the size of the
 * newest record is known without asking for `end`, which may be ahead.
 *
 * Invariants: (1) entries below count are final; (2) count is stored (release) after the bytes are written and the entries filled;
 * (3) the file's bytes below `end` never change. */
#include "engine/segment.h"

#include "base/codec.h"
#include "base/mem.h"

#include <stdio.h>

#define TABLE_CHUNK  4096u
#define READ_AT_ONCE (64u << 10) /* longer than this, the length word is read first */
#define MORE_BIT     ENTRY_MORE

static const char magic[8] = {'V', 'A', 'R', 'V', 'E', 'S', 'E', 'G'};

struct segment_table {
    uint64_t capacity; /* records */
    uint32_t *chunk[];
};

/* ---- header and names ---- */

void segment_header_encode(const struct segment_header *h, uint8_t out[SEGMENT_HEADER_BYTES])
{
    ASSERT(h->first_seq > 0);
    ASSERT((h->flags & ~(uint32_t)SEGMENT_COMPACTED) == 0);
    memset(out, 0, SEGMENT_HEADER_BYTES);
    memcpy(out, magic, 8);
    put_u16(out + 8, h->flags & SEGMENT_COMPACTED ? SEGMENT_VERSION : SEGMENT_VERSION_APPENDED);
    put_u16(out + 10, SEGMENT_HEADER_BYTES);
    put_u32(out + 12, h->flags);
    put_u64(out + 16, h->first_seq);
    put_u64(out + 24, h->generation);
    memcpy(out + 32, h->store_id, 16);
    put_u64(out + 48, h->created_ms);
    put_u32(out + 56, h->records);
    put_u32(out + 60, crc32c(0, out, 60));
}

int segment_header_decode(slice raw, struct segment_header *out)
{
    const uint8_t *p = raw.p;
    ASSERT(out);
    if (raw.n < SEGMENT_HEADER_BYTES || memcmp(p, magic, 8) != 0) return E_CORRUPT;
    if (get_u32(p + 60) != crc32c(0, p, 60)) return E_CORRUPT;
    uint16_t version = get_u16(p + 8);
    if (version < SEGMENT_VERSION_APPENDED || version > SEGMENT_VERSION || get_u16(p + 10) != SEGMENT_HEADER_BYTES) return E_VERSION;
    struct segment_header h = {.flags = get_u32(p + 12),
                               .first_seq = get_u64(p + 16),
                               .generation = get_u64(p + 24),
                               .created_ms = get_u64(p + 48),
                               .records = get_u32(p + 56)};
    memcpy(h.store_id, p + 32, 16);
    if ((h.flags & ~(uint32_t)SEGMENT_COMPACTED) || h.first_seq == 0 || h.generation > UINT32_MAX ||
        ((h.records || version > SEGMENT_VERSION_APPENDED) && !(h.flags & SEGMENT_COMPACTED)))
        return E_CORRUPT;
    *out = h;
    return E_OK;
}

void segment_name(char out[SEGMENT_NAME_BYTES], uint64_t first_seq, uint64_t generation, const char *ext)
{
    int n = snprintf(out, SEGMENT_NAME_BYTES, "%016llx-%04llx.%s", (unsigned long long)first_seq, (unsigned long long)generation,
                     ext);
    ASSERT(n > 0 && n < SEGMENT_NAME_BYTES);
}

bool segment_name_parse(const char *name, uint64_t *first_seq, uint32_t *generation, bool *sidecar)
{
    unsigned long long first, gen;
    char again[SEGMENT_NAME_BYTES];
    if (strlen(name) >= SEGMENT_NAME_BYTES || sscanf(name, "%16llx-%8llx.", &first, &gen) != 2 || gen > UINT32_MAX || first == 0)
        return false;
    /* Only the one spelling that segment_name gives. */
    for (int i = 0; i < 2; i++) {
        segment_name(again, first, gen, i ? "idx" : "seg");
        if (strcmp(again, name) != 0) continue;
        *first_seq = first;
        *generation = (uint32_t)gen;
        *sidecar = i;
        return true;
    }
    return false;
}

const char *segment_path(struct buf *out, const char *dir, const char *name)
{
    buf_clear(out);
    buf_printf(out, "%s/%s%c", dir, name, 0);
    return (const char *)out->p;
}

/* ---- life ---- */

static struct segment *blank(struct os *os, const char *dir, const struct seg_id *id)
{
    struct segment *s = mem_zalloc(sizeof *s);
    ASSERT(id->first_seq > 0);
    s->refs = 1;
    s->os = os;
    s->dir = mem_strdup(dir);
    s->id = *id;
    return s;
}

static uint32_t *entry(const struct segment *s, uint64_t i)
{
    return &s->table->chunk[i / TABLE_CHUNK][i % TABLE_CHUNK];
}

static void set_entry(struct segment *s, uint64_t i, uint64_t offset, bool more)
{
    uint32_t **chunk = &s->table->chunk[i / TABLE_CHUNK];
    ASSERT(i <= s->table->capacity && offset <= ENTRY_OFFSET_MAX && offset % ENTRY_UNIT == 0);
    if (!*chunk) *chunk = mem_alloc(TABLE_CHUNK * sizeof **chunk);
    __atomic_store_n(entry(s, i), (uint32_t)(offset / ENTRY_UNIT) | (more ? MORE_BIT : 0), __ATOMIC_RELAXED);
}

struct segment *segment_new(struct os *os, const char *dir, struct os_file **file, const struct seg_id *id, uint64_t bytes)
{
    struct segment *s = blank(os, dir, id);
    uint64_t capacity = bytes / RECORD_BYTES_MIN + SEGMENT_APPEND_NODES_MAX;
    ASSERT(file && *file);
    s->file = *file;
    *file = NULL;
    s->table = mem_zalloc(sizeof *s->table + (capacity / TABLE_CHUNK + 1) * sizeof s->table->chunk[0]);
    s->table->capacity = capacity;
    s->end = SEGMENT_HEADER_BYTES;
    set_entry(s, 0, s->end, false);
    return s;
}

void segment_add(struct segment *s, uint64_t offset, size_t size, bool more)
{
    ASSERT(s->table && offset == s->end);
    set_entry(s, s->count, offset, more);
    s->end = offset + size;
    set_entry(s, ++s->count, s->end, false);
}

int segment_sealed(struct os *os, const char *dir, const struct seg_id *id, struct sidecar **side, struct segment **out)
{
    char name[SEGMENT_NAME_BYTES];
    struct buf path = {0};
    struct os_file *file = NULL;
    segment_name(name, id->first_seq, id->generation, "seg");
    int rc = os_open(os, segment_path(&path, dir, name), OS_READ | OS_MAPPED, &file);
    buf_fini(&path);
    if (rc) return rc;
    struct segment *s = blank(os, dir, id);
    s->file = file;
    s->side = *side;
    *side = NULL;
    s->count = sidecar_count(s->side);
    s->end = sidecar_about(s->side)->segment_bytes;
    *out = s;
    return E_OK;
}

void segment_see(struct segment *s)
{
    char name[SEGMENT_NAME_BYTES];
    struct buf path = {0};
    uint32_t n = s->views;
    uint64_t size = __atomic_load_n(&s->extended, __ATOMIC_ACQUIRE);
    ASSERT(s->table);
    if (n == SEGMENT_VIEWS_MAX || size <= (n ? s->view_bytes[n - 1] : 0)) return;
    segment_name(name, s->id.first_seq, s->id.generation, "seg");
    if (os_open(s->os, segment_path(&path, s->dir, name), OS_READ | OS_MAPPED, &s->view[n]) == E_OK) {
        s->view_bytes[n] = size;
        __atomic_store_n(&s->views, n + 1, __ATOMIC_RELEASE);
    }
    buf_fini(&path);
}

/* The handle for bytes below `end`. */
static struct os_file *handle(const struct segment *s, uint64_t end)
{
    uint32_t n = __atomic_load_n(&s->views, __ATOMIC_ACQUIRE);
    return n > 0 && end <= s->view_bytes[n - 1] ? s->view[n - 1] : s->file;
}

struct segment *segment_ref(struct segment *s)
{
    uint32_t before = __atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
    ASSERT(before > 0);
    return s;
}

static void remove_files(const struct segment *s)
{
    static const char *const ext[] = {
        "idx", "seg"}; /* a sidecar without segment is a leftover; the other way round it would be rebuilt */
    struct buf path = {0};
    for (int i = 0; i < 2; i++) {
        char name[SEGMENT_NAME_BYTES];
        segment_name(name, s->id.first_seq, s->id.generation, ext[i]);
        if (os_remove(s->os, segment_path(&path, s->dir, name)) < 0) continue; /* open removes leftovers */
    }
    buf_fini(&path);
}

void segment_unref(struct segment **segment)
{
    struct segment *s = *segment;
    *segment = NULL;
    if (!s) return;
    uint32_t before = __atomic_fetch_sub(&s->refs, 1, __ATOMIC_ACQ_REL);
    ASSERT(before > 0);
    if (before > 1) return;
    for (uint32_t i = 0; i < s->views; i++) os_close(s->os, &s->view[i]);
    os_close(s->os, &s->file);
    sidecar_close(&s->side);
    if (s->doomed) remove_files(s);
    if (s->table) {
        for (uint64_t i = 0; i <= s->table->capacity / TABLE_CHUNK; i++) mem_free(s->table->chunk[i]);
        mem_free(s->table);
    }
    mem_free(s->dir);
    mem_free(s);
}

/* ---- append ---- */

bool segment_fits(const struct segment *s, uint32_t count, size_t bytes)
{
    return s->count + count <= s->table->capacity && s->end + bytes <= ENTRY_OFFSET_MAX;
}

int segment_append(struct segment *s, slice records, uint32_t count)
{
    uint64_t at = s->end, i = s->count;
    bool more = false;
    ASSERT(s->table && segment_fits(s, count, records.n));
    int rc = os_write(s->os, s->file, at, records.p, records.n);
    if (rc) {
        /* What stands behind the end now was refused; best not to find it there at the next start. */
        int cut = os_truncate(s->os, s->file, at);
        (void)cut; /* the first failure is the one that counts */
        return rc;
    }
    for (size_t off = 0; off < records.n;) {
        uint32_t word = get_u32(records.p + off);
        size_t size = record_size(word & RECORD_LENGTH);
        ASSERT(size >= RECORD_BYTES_MIN && size <= records.n - off && !(word & RECORD_CUT));
        DEBUG_ASSERT(get_u64(records.p + off + RECORD_HEADER_BYTES + 8) == s->id.first_seq + i);
        more = word & RECORD_MORE;
        set_entry(s, i++, at + off, more);
        off += size;
        set_entry(s, i, at + off, false);
    }
    ASSERT(i == s->count + count && !more); /* whole commits */
    __atomic_store_n(&s->end, at + records.n, __ATOMIC_RELEASE);
    __atomic_store_n(&s->count, i, __ATOMIC_RELEASE);
    return E_OK;
}

int segment_write_sidecar(struct segment *s, const uint8_t store_id[16])
{
    struct sidecar_draft d = {0};
    char name[SEGMENT_NAME_BYTES];
    uint64_t n = segment_count(s);
    ASSERT(s->table && !s->id.compacted);
    struct sidecar_info info = {.first_seq = s->id.first_seq,
                                .last_seq = s->id.first_seq + n - 1,
                                .generation = s->id.generation,
                                .segment_bytes = segment_end(s)};
    memcpy(info.store_id, store_id, 16);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t e = __atomic_load_n(entry(s, i), __ATOMIC_RELAXED);
        sidecar_draft_add(&d, i, (uint64_t)(e & ~MORE_BIT) * ENTRY_UNIT, e & MORE_BIT);
    }
    segment_name(name, s->id.first_seq, s->id.generation, "idx");
    int rc = sidecar_write(s->os, s->dir, name, &info, &d);
    sidecar_draft_fini(&d);
    return rc;
}

/* ---- look-up ---- */

uint64_t segment_count(const struct segment *s)
{
    return __atomic_load_n(&s->count, __ATOMIC_ACQUIRE);
}

uint64_t segment_end(const struct segment *s)
{
    return __atomic_load_n(&s->end, __ATOMIC_ACQUIRE);
}

bool segment_is_lossy(const struct segment *s)
{
    return s->side && (sidecar_about(s->side)->flags & SIDECAR_LOSSY);
}

static void table_place(const struct segment *s, uint64_t i, struct sidecar_place *out)
{
    uint32_t e = __atomic_load_n(entry(s, i), __ATOMIC_RELAXED), next = __atomic_load_n(entry(s, i + 1), __ATOMIC_RELAXED);
    out->seq = s->id.first_seq + i;
    out->offset = (uint64_t)(e & ~MORE_BIT) * ENTRY_UNIT;
    out->end = (uint64_t)(next & ~MORE_BIT) * ENTRY_UNIT;
    out->more = e & MORE_BIT;
}

int segment_ceiling(const struct segment *s, uint64_t seq, struct sidecar_place *out)
{
    uint64_t i = seq > s->id.first_seq ? seq - s->id.first_seq : 0;
    ASSERT(seq > 0 && out);
    if (s->side) {
        int rc = sidecar_ceiling(s->side, seq, &i);
        if (rc) return rc;
        return i < s->count ? sidecar_place(s->side, i, out) : E_END;
    }
    if (i >= segment_count(s)) return E_END;
    table_place(s, i, out);
    return E_OK;
}

int segment_around(const struct segment *s, uint64_t seq, uint64_t *below, uint64_t *above)
{
    struct sidecar_place at;
    uint64_t i = 0, n = segment_count(s);
    ASSERT(seq >= s->id.first_seq);
    *below = *above = 0;
    if (!s->side) {
        uint64_t newest = s->id.first_seq + n - 1;
        if (n) *below = seq < newest ? seq : newest;
        if (n && seq <= newest) *above = seq;
        return E_OK;
    }
    int rc = sidecar_ceiling(s->side, seq, &i);
    if (rc == E_OK && i < n && (rc = sidecar_place(s->side, i, &at)) == E_OK) {
        *above = at.seq;
        if (at.seq == seq) *below = seq;
    }
    if (rc == E_OK && *below == 0 && i > 0 && (rc = sidecar_place(s->side, i - 1, &at)) == E_OK) *below = at.seq;
    return rc;
}

int segment_marks(const struct segment *s, int (*see)(void *ctx, uint64_t seq, bool more), void *ctx)
{
    ASSERT(see);
    if (s->side) return sidecar_marks(s->side, see, ctx);
    uint64_t n = segment_count(s);
    int rc = E_OK;
    for (uint64_t i = 0; rc == E_OK && i < n; i++)
        rc = see(ctx, s->id.first_seq + i, __atomic_load_n(entry(s, i), __ATOMIC_RELAXED) & MORE_BIT);
    return rc;
}

int segment_is_whole(const struct segment *s, uint64_t first, uint64_t last, bool *whole)
{
    ASSERT(first >= s->id.first_seq && first <= last);
    uint64_t n = segment_count(s), a = 0, b = 0;
    if (!s->side) {
        *whole = last - s->id.first_seq < n;
        return E_OK;
    }
    int rc = sidecar_ceiling(s->side, first, &a);
    if (rc == E_OK) rc = sidecar_ceiling(s->side, last + 1, &b);
    if (rc == E_OK) *whole = b - a == last - first + 1;
    return rc;
}

bool segment_has_cuts(const struct segment *s)
{
    return s->side && (sidecar_about(s->side)->flags & SIDECAR_CUTS);
}

int segment_locate(const struct segment *s, uint64_t seq, struct sidecar_place *out)
{
    ASSERT(seq >= s->id.first_seq);
    int rc = segment_ceiling(s, seq, out);
    if (rc == E_OK && out->seq == seq) return E_OK;
    if (rc < 0 && rc != E_END) return rc;
    if (!s->side) return E_NOTFOUND;
    return s->id.compacted && !segment_is_lossy(s) ? E_PRUNED : E_CORRUPT;
}

static int damaged(const struct segment *s, const struct sidecar_place *at, const char *why)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, s->id.first_seq, s->id.generation, "seg");
    return err_note(E_CORRUPT, "segment %s, offset %llu, seq %llu: %s", name, (unsigned long long)at->offset,
                    (unsigned long long)at->seq, why);
}

int segment_read(const struct segment *s, const struct sidecar_place *at, struct buf *mem, struct log_record *out)
{
    uint64_t n = at->end - at->offset;
    struct log_record r;
    ASSERT(at->offset < at->end);
    if (n > READ_AT_ONCE) { /* behind the last record before a gap the space may be anything */
        uint8_t word[4];
        int early = os_read_full(s->os, handle(s, at->offset + 4), at->offset, word, 4);
        if (early) return early == E_CORRUPT ? damaged(s, at, "the file is too short") : early;
        size_t size = record_bytes(get_u32(word));
        if (size > n) return damaged(s, at, "the length is wrong");
        n = size;
    }
    buf_clear(mem);
    int rc = os_read_full(s->os, handle(s, at->offset + n), at->offset, buf_reserve(mem, n), n);
    if (rc) return rc == E_CORRUPT ? damaged(s, at, "the file is too short") : rc;
    mem->n = n;
    if (record_check(buf_slice(mem), &r)) return damaged(s, at, "the record's checksum is wrong");
    if (get_u64(r.node.p + 8) != at->seq || r.more != at->more) return damaged(s, at, "another record is here");
    *out = r;
    return E_OK;
}
