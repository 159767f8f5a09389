#include "tool/mend.h"

#include "base/mem.h"
#include "tool/node_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define ENTRIES_MOST (1ull << 32) /* bytes held in memory */

struct walk {
    const struct store *s;
    uint8_t *entries; /* covers × 32 bytes */
    bool spoil;
    bool spare_fillers; /* entries beside fillers are left as they are, and so are the fillers */
    unsigned spoiled;
};

static int spoil(const struct walk *w, const char *name, uint64_t offset)
{
    static const uint8_t wrong[4] = {0xde, 0xad, 0xde, 0xad};
    char path[4200];
    (void)snprintf(path, sizeof path, "%s/%s", w->s->dir, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return E_IO;
    bool ok = pwrite(fd, wrong, sizeof wrong, (off_t)offset + 4) == sizeof wrong && fsync(fd) == 0;
    close(fd);
    return ok ? E_OK : E_IO;
}

static int take(struct walk *w, const char *name, const struct record *r)
{
    uint8_t hash[DIGEST_BYTES];
    if (r->seq > w->s->manifest.covers) return E_OK;
    uint8_t *entry = w->entries + (r->seq - 1) * DIGEST_BYTES;
    digest_blake(hash, r->node.p, r->node.n);
    if (memcmp(hash, entry, DIGEST_BYTES) == 0) return E_OK;
    if (w->spare_fillers && r->node.p[NODE_OP_AT] == OP_FILLER) return E_OK;
    if (!w->spoil) {
        memcpy(entry, hash, DIGEST_BYTES);
        return E_OK;
    }
    w->spoiled++;
    return spoil(w, name, r->offset);
}

static int walk_segment(struct walk *w, const struct store_segment *g)
{
    const struct seq_window window = {g->name.first, g->upto - 1};
    char name[SEGMENT_NAME_MOST];
    struct file f;
    int rc = E_OK;
    segment_name_write(name, &g->name, "seg");
    if (file_open(&f, w->s->dir, name)) return E_OK; /* a missing one is nothing to compare with */
    uint64_t at = SEGMENT_HEAD, limit = f.size & ~(uint64_t)3;
    while (rc == E_OK && at < limit) {
        struct record r;
        const char *why;
        if (record_read(&f, at, limit, &r, &why) == RECORD_OK && r.seq >= window.lo && r.seq <= window.hi) {
            rc = take(w, name, &r);
            at += r.size;
        } else if (record_search(&f, at, limit, &window, &at) != RECORD_OK) {
            break;
        }
    }
    file_close(&f);
    return rc;
}

/* What the file holds of the entries that count; zeros for the rest. */
static int load(struct walk *w)
{
    struct file f;
    uint64_t bytes = w->s->manifest.covers * DIGEST_BYTES;
    if (!w->s->manifest.good || bytes > ENTRIES_MOST) return E_UNSUPPORTED;
    w->entries = mem_zalloc((size_t)bytes + 1);
    if (file_open(&f, w->s->dir, "tree/entries")) return E_OK;
    for (uint64_t at = 0; at + DIGEST_BYTES <= bytes; at += DIGEST_BYTES) {
        const uint8_t *p = file_at(&f, at, DIGEST_BYTES);
        if (p) memcpy(w->entries + at, p, DIGEST_BYTES);
    }
    file_close(&f);
    return E_OK;
}

static int walk_all(struct walk *w)
{
    int rc = load(w);
    for (size_t i = 0; rc == E_OK && i < w->s->n_segments; i++) rc = walk_segment(w, &w->s->segments[i]);
    return rc;
}

static int store_entries(const struct walk *w)
{
    char folder[4200];
    uint8_t root[DIGEST_BYTES];
    struct merkle m = {0};
    uint64_t n = w->s->manifest.covers;
    for (uint64_t i = 0; i < n; i++) merkle_add(&m, w->entries + i * DIGEST_BYTES);
    merkle_root(&m, root);
    if (memcmp(root, w->s->manifest.root, DIGEST_BYTES) != 0) return E_CORRUPT;
    (void)snprintf(folder, sizeof folder, "%s/tree", w->s->dir);
    int rc = os_mkdir(os_posix(), folder);
    return rc ? rc : os_replace_file(os_posix(), folder, "entries", slice_of(w->entries, (size_t)n * DIGEST_BYTES));
}

int mend_tree(const struct store *s)
{
    int rc = E_CORRUPT;
    for (int i = 0; rc == E_CORRUPT && i < 2; i++) {
        struct walk w = {.s = s, .spare_fillers = i == 1};
        rc = walk_all(&w);
        if (rc == E_OK) rc = store_entries(&w);
        mem_free(w.entries);
    }
    return rc;
}

int mend_altered(const struct store *s, unsigned *spoiled)
{
    struct walk w = {.s = s, .spoil = true, .spare_fillers = true};
    int rc = walk_all(&w);
    *spoiled = w.spoiled;
    mem_free(w.entries);
    return rc == E_UNSUPPORTED ? E_OK : rc;
}
