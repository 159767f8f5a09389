#include "tool/manifest_file.h"

#include "base/codec.h"
#include "tool/file.h"

#define HEAD 152u
#define LEAST (HEAD + 4)
#define MOST (256u << 20)

static const char *parse(struct manifest_file *m)
{
    const uint8_t *p = m->bytes.p;
    size_t n = m->bytes.n;
    if (n < LEAST) return "the file is too short";
    if (memcmp(p, "VARVEMAN", 8) != 0) return "it does not begin with VARVEMAN";
    if (get_u32(p + 12) != n) return "its length is not the one it names";
    if (digest_crc(0, p, n - 4) != get_u32(p + n - 4)) return "its checksum is wrong";
    if (get_u16(p + 8) != 1) return "it is of an unknown version";
    m->flags = get_u32(p + 16);
    memcpy(m->store_id, p + 20, 16);
    uint64_t *field[] = {&m->covers, &m->floor, &m->newest_ms, &m->horizon, &m->created_ms, &m->number, &m->first_unlisted};
    for (size_t i = 0; i < 7; i++) *field[i] = get_u64(p + 52 + 8 * i);
    memcpy(m->root, p + 108, DIGEST_BYTES);
    m->n_segments = get_u32(p + 140);
    m->n_runs = get_u32(p + 144);
    m->books_bytes = get_u32(p + 148);
    if (m->flags > 3) return "it has unknown flags";
    if (LEAST + 16ull * m->n_segments + 32ull * m->n_runs + m->books_bytes != n) return "its counts do not fit its length";
    if (m->covers > m->floor) return "it covers more than was on disk";
    for (uint32_t i = 0; i < m->n_segments; i++) {
        struct manifest_segment a, b;
        manifest_file_segment(m, i, &b);
        if (i) manifest_file_segment(m, i - 1, &a);
        if (b.flags > 1 || b.first == 0 || (i && b.first <= a.first)) return "its list of segments is out of order";
    }
    return NULL;
}

const char *manifest_file_read(const char *dir, struct manifest_file *out)
{
    *out = (struct manifest_file){0};
    int rc = file_load(dir, MANIFEST_FILE, MOST, &out->bytes);
    if (rc == E_NOTFOUND) return NULL;
    out->there = true;
    const char *why = rc ? "it cannot be read" : parse(out);
    out->good = why == NULL;
    if (why) out->n_segments = out->n_runs = 0;
    return why;
}

void manifest_file_fini(struct manifest_file *m)
{
    buf_fini(&m->bytes);
    *m = (struct manifest_file){0};
}

void manifest_file_segment(const struct manifest_file *m, uint32_t i, struct manifest_segment *out)
{
    const uint8_t *p = m->bytes.p + HEAD + 16ull * i;
    *out = (struct manifest_segment){.first = get_u64(p), .generation = get_u32(p + 8), .flags = get_u32(p + 12)};
}

void manifest_file_run(const struct manifest_file *m, uint32_t i, struct manifest_run *out)
{
    const uint8_t *p = m->bytes.p + HEAD + 16ull * m->n_segments + 32ull * i;
    *out = (struct manifest_run){.id = get_u64(p), .bytes = get_u64(p + 8), .entries = get_u64(p + 16), .level = get_u64(p + 24)};
}
