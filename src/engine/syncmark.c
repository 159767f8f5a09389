/* Slot: magic u32, CRC-32C u32 over the rest, seq u64, store id 16 bytes. The greater of the two valid slots counts. */
#include "engine/syncmark.h"

#include "base/codec.h"
#include "base/hash.h"
#include "base/mem.h"

#define SLOT_BYTES 32
#define SLOT_STEP  512         /* a sector each: a torn write spoils one */
#define MAGIC      0x4d535656u /* "VVSM" */

struct syncmark {
    struct os *os;
    struct os_file *file; /* NULL: read-only and missing */
    uint8_t store_id[16];
    uint64_t seq, written_us;
    unsigned slot;
    bool read_only, fresh; /* fresh: nothing written by this process yet */
};

static void encode(const struct syncmark *m, uint64_t seq, uint8_t *s)
{
    put_u32(s, MAGIC);
    put_u64(s + 8, seq);
    memcpy(s + 16, m->store_id, 16);
    put_u32(s + 4, crc32c(0, s + 8, SLOT_BYTES - 8));
}

static int load(struct syncmark *m)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t s[SLOT_BYTES];
        size_t got = 0;
        int rc = os_read(m->os, m->file, (uint64_t)i * SLOT_STEP, s, sizeof s, &got);
        if (rc) return rc;
        if (got < sizeof s || get_u32(s) != MAGIC || get_u32(s + 4) != crc32c(0, s + 8, SLOT_BYTES - 8)) continue;
        if (memcmp(s + 16, m->store_id, 16) != 0 || get_u64(s + 8) < m->seq) continue;
        m->seq = get_u64(s + 8);
        m->slot = i ^ 1;
    }
    return E_OK;
}

int syncmark_open(struct os *os, const char *dir, const uint8_t store_id[16], bool read_only, struct syncmark **out,
                  uint64_t *seq)
{
    struct buf path = {0};
    struct syncmark *m = mem_zalloc(sizeof *m);
    ASSERT(os && dir && store_id && out && seq);
    m->os = os;
    m->read_only = read_only;
    m->fresh = true;
    memcpy(m->store_id, store_id, 16);
    buf_printf(&path, "%s/%s%c", dir, SYNCMARK_NAME, 0);
    int rc = os_open(os, (const char *)path.p, read_only ? OS_READ : OS_WRITE, &m->file);
    buf_fini(&path);
    if (rc == E_NOTFOUND && read_only) rc = E_OK;
    if (rc == E_OK && m->file) rc = load(m);
    if (rc) {
        syncmark_close(&m);
        return rc;
    }
    *seq = m->seq;
    *out = m;
    return E_OK;
}

void syncmark_close(struct syncmark **m)
{
    if (!*m) return;
    os_close((*m)->os, &(*m)->file);
    mem_free(*m);
    *m = NULL;
}

void syncmark_put(struct syncmark *m, uint64_t seq, bool now)
{
    uint8_t s[SLOT_BYTES];
    ASSERT(!m->read_only);
    if (seq <= m->seq) return;
    uint64_t us = os_mono_us(m->os);
    if (!now && !m->fresh && us - m->written_us < SYNCMARK_INTERVAL_US) return;
    encode(m, seq, s);
    m->written_us = us;
    m->fresh = false;
    if (os_write(m->os, m->file, (uint64_t)m->slot * SLOT_STEP, s, sizeof s)) return;
    m->slot ^= 1;
    m->seq = seq;
}
