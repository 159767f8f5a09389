/* Encoding and checking of the manifest. Little-endian; one CRC-32C over everything before it.
 *
 * Invariants, checked on decode: lengths add up exactly; segments ascend strictly by first seq, below
 * first_unlisted; covers <= floor. */
#include "engine/manifest.h"

#include "base/codec.h"
#include "base/mem.h"

static const uint8_t manifest_magic[8] = {'V', 'A', 'R', 'V', 'E', 'M', 'A', 'N'};

enum {
    AT_VERSION = 8,
    AT_LENGTH = 12,
    AT_FLAGS = 16,
    AT_ID = 20,
    AT_SEED = 36,
    AT_COVERS = 52,
    AT_FLOOR = 60,
    AT_NEWEST = 68,
    AT_HORIZON = 76,
    AT_CREATED = 84,
    AT_NUMBER = 92,
    AT_UNLISTED = 100,
    AT_ROOT = 108,
    AT_SEGMENTS = 140,
    AT_RUNS = 144,
    AT_BOOKS = 148,
    HEAD_BYTES = 152,
    SEGMENT_BYTES = 16,
    RUN_BYTES = 32,
    CRC_BYTES = 4,
};
enum { FLAG_CLEAN = 1, FLAG_FORGET = 2, SEGMENT_COMPACTED = 1 };

void manifest_fini(struct manifest *m)
{
    ASSERT(m);
    mem_free(m->segments);
    mem_free(m->runs);
    buf_fini(&m->books);
    *m = (struct manifest){0};
}

static void encode_lists(const struct manifest *m, uint8_t *p)
{
    for (size_t i = 0; i < m->n_segments; i++, p += SEGMENT_BYTES) {
        put_u64(p, m->segments[i].first_seq);
        put_u32(p + 8, m->segments[i].generation);
        put_u32(p + 12, m->segments[i].compacted ? SEGMENT_COMPACTED : 0);
    }
    for (size_t i = 0; i < m->n_runs; i++, p += RUN_BYTES) {
        put_u64(p, m->runs[i].id);
        put_u64(p + 8, m->runs[i].bytes);
        put_u64(p + 16, m->runs[i].entries);
        put_u64(p + 24, m->runs[i].level);
    }
    if (m->books.n) memcpy(p, m->books.p, m->books.n);
}

void manifest_encode(const struct manifest *m, struct buf *out)
{
    ASSERT(m->n_segments <= MANIFEST_SEGMENTS_MAX && m->n_runs <= MANIFEST_RUNS_MAX);
    ASSERT(m->covers <= m->floor);
    size_t n = HEAD_BYTES + m->n_segments * SEGMENT_BYTES + m->n_runs * RUN_BYTES + m->books.n + CRC_BYTES;
    ASSERT(n <= MANIFEST_BYTES_MAX);
    buf_clear(out);
    uint8_t *p = buf_reserve(out, n);
    memset(p, 0, HEAD_BYTES);
    memcpy(p, manifest_magic, sizeof(manifest_magic));
    put_u16(p + AT_VERSION, MANIFEST_VERSION);
    put_u32(p + AT_LENGTH, (uint32_t)n);
    put_u32(p + AT_FLAGS, (m->clean ? FLAG_CLEAN : 0) | (m->forget_due ? FLAG_FORGET : 0));
    memcpy(p + AT_ID, m->store_id, MANIFEST_ID_BYTES);
    put_u64(p + AT_SEED, m->seed.k[0]);
    put_u64(p + AT_SEED + 8, m->seed.k[1]);
    put_u64(p + AT_COVERS, m->covers);
    put_u64(p + AT_FLOOR, m->floor);
    put_u64(p + AT_NEWEST, m->newest_ms);
    put_u64(p + AT_HORIZON, m->horizon);
    put_u64(p + AT_CREATED, m->created_ms);
    put_u64(p + AT_NUMBER, m->number);
    put_u64(p + AT_UNLISTED, m->first_unlisted);
    memcpy(p + AT_ROOT, m->root, HASH_BYTES);
    put_u32(p + AT_SEGMENTS, (uint32_t)m->n_segments);
    put_u32(p + AT_RUNS, (uint32_t)m->n_runs);
    put_u32(p + AT_BOOKS, (uint32_t)m->books.n);
    encode_lists(m, p + HEAD_BYTES);
    put_u32(p + n - CRC_BYTES, crc32c(0, p, n - CRC_BYTES));
    out->n = n;
}

static int decode_lists(struct manifest *m, const uint8_t *p, size_t n_books)
{
    for (size_t i = 0; i < m->n_segments; i++, p += SEGMENT_BYTES) {
        struct seg_id *s = &m->segments[i];
        uint32_t flags = get_u32(p + 12);
        *s = (struct seg_id){get_u64(p), get_u32(p + 8), flags == SEGMENT_COMPACTED};
        if (flags > SEGMENT_COMPACTED || s->first_seq == 0) return E_CORRUPT;
        if (i && s->first_seq <= s[-1].first_seq) return E_CORRUPT;
    }
    if (m->n_segments && m->first_unlisted <= m->segments[m->n_segments - 1].first_seq) return E_CORRUPT;
    for (size_t i = 0; i < m->n_runs; i++, p += RUN_BYTES) {
        if (get_u64(p + 24) >= INDEX_LEVELS) return E_CORRUPT;
        m->runs[i] = (struct run_id){.id = get_u64(p), .bytes = get_u64(p + 8), .entries = get_u64(p + 16), .level = p[24]};
    }
    buf_add(&m->books, p, n_books);
    return E_OK;
}

int manifest_decode(slice b, struct manifest *out)
{
    ASSERT(out);
    ASSERT(b.p || b.n == 0);
    const uint8_t *p = b.p;
    if (b.n < HEAD_BYTES + CRC_BYTES || b.n > MANIFEST_BYTES_MAX || memcmp(p, manifest_magic, sizeof(manifest_magic)) != 0)
        return E_CORRUPT;
    if (get_u32(p + AT_LENGTH) != b.n || get_u32(p + b.n - CRC_BYTES) != crc32c(0, p, b.n - CRC_BYTES)) return E_CORRUPT;
    if (get_u16(p + AT_VERSION) != MANIFEST_VERSION) return E_VERSION;
    uint32_t flags = get_u32(p + AT_FLAGS);
    size_t n_segments = get_u32(p + AT_SEGMENTS), n_runs = get_u32(p + AT_RUNS), n_books = get_u32(p + AT_BOOKS);
    if (flags > (FLAG_CLEAN | FLAG_FORGET) || n_segments > MANIFEST_SEGMENTS_MAX || n_runs > MANIFEST_RUNS_MAX) return E_CORRUPT;
    if (HEAD_BYTES + n_segments * SEGMENT_BYTES + n_runs * RUN_BYTES + n_books + CRC_BYTES != b.n) return E_CORRUPT;
    struct manifest m = {
        .clean = flags & FLAG_CLEAN,
        .forget_due = flags & FLAG_FORGET,
        .seed = {{get_u64(p + AT_SEED), get_u64(p + AT_SEED + 8)}},
        .covers = get_u64(p + AT_COVERS),
        .floor = get_u64(p + AT_FLOOR),
        .newest_ms = get_u64(p + AT_NEWEST),
        .horizon = get_u64(p + AT_HORIZON),
        .created_ms = get_u64(p + AT_CREATED),
        .number = get_u64(p + AT_NUMBER),
        .first_unlisted = get_u64(p + AT_UNLISTED),
        .n_segments = n_segments,
        .n_runs = n_runs,
    };
    if (m.covers > m.floor) return E_CORRUPT;
    memcpy(m.store_id, p + AT_ID, MANIFEST_ID_BYTES);
    memcpy(m.root, p + AT_ROOT, HASH_BYTES);
    m.segments = mem_zalloc((n_segments + 1) * sizeof(*m.segments));
    m.runs = mem_zalloc((n_runs + 1) * sizeof(*m.runs));
    int rc = decode_lists(&m, p + HEAD_BYTES, n_books);
    if (rc == E_OK)
        *out = m;
    else
        manifest_fini(&m);
    return rc;
}

int manifest_read(struct os *os, const char *dir, struct manifest *out)
{
    ASSERT(os && dir);
    ASSERT(out);
    struct buf path = {0}, bytes = {0};
    buf_printf(&path, "%s/%s", dir, MANIFEST_NAME);
    buf_add_byte(&path, 0);
    int rc = os_read_file(os, (const char *)path.p, MANIFEST_BYTES_MAX, &bytes);
    if (rc == E_OK) {
        rc = manifest_decode(buf_slice(&bytes), out);
        if (rc < 0) err_note(rc, "%s: %s", (const char *)path.p, err_text(rc));
    }
    buf_fini(&bytes);
    buf_fini(&path);
    return rc;
}

int manifest_write(struct os *os, const char *dir, struct manifest *m)
{
    ASSERT(os && dir);
    ASSERT(m->segments || m->n_segments == 0);
    struct buf bytes = {0};
    m->number++;
    manifest_encode(m, &bytes);
    int rc = os_replace_file(os, dir, MANIFEST_NAME, buf_slice(&bytes));
    buf_fini(&bytes);
    return rc;
}
