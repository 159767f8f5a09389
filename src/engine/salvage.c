/* Salvage of what the manifest said about the log, and of the tree.
 *
 * Which generation of a range counts? Compaction writes a segment, its sidecar, and then removes what the two replace, the file with the same first seq first. So
 * a newer generation with a good sidecar is whole, and nothing older of its range is needed; one without is not finished, if an older one is still there.
 *
 * The tree: leaves outlive the file that they were in.
 *
 * When the tree does not give its root, or the manifest that said the root is lost, the tree is made anew: hashes of the nodes that are
 * there come from the nodes, all others (dropped by compaction, or lost) from the old file of entries, which is set aside first. So the root
 * is the same as before unless the entry of a node that is gone was itself damaged.
 *
 * The old file stays until a manifest that names the new root is durable: a salvage that is interrupted begins again with it. */
#include "engine/own.h"

#include "base/mem.h"
#include "engine/segment.h"

#define ENTRIES   "tree/entries"
#define OLD_NAME  "tree/entries.old"
#define TREE_NAME "tree"

/* Was this one finished? *last_seq: how far it reaches. */
static int is_finished(struct engine *e, const char *dir, const struct manifest *m, const struct seg_id *id, bool *yes, uint64_t *last_seq)
{
    char name[SEGMENT_NAME_BYTES];
    struct buf path = {0};
    struct sidecar *side = NULL;
    struct os_file *file = NULL;
    uint64_t size = 0;
    segment_name(name, id->first_seq, id->generation, "seg");
    int rc = os_open(e->os, segment_path(&path, dir, name), OS_READ, &file);
    if (rc == E_OK) rc = os_size(e->os, file, &size);
    segment_name(name, id->first_seq, id->generation, "idx");
    if (rc == E_OK) rc = sidecar_open(e->os, segment_path(&path, dir, name), &side);
    const struct sidecar_info *about = rc == E_OK ? sidecar_about(side) : NULL;
    *yes = about && about->first_seq == id->first_seq && about->generation == id->generation && about->segment_bytes <= size &&
           memcmp(about->store_id, m->store_id, MANIFEST_ID_BYTES) == 0;
    if (*yes) *last_seq = about->last_seq;
    sidecar_close(&side);
    os_close(e->os, &file);
    buf_fini(&path);
    return rc == E_IO ? rc : E_OK;
}

int salvage_segments(struct engine *e, struct manifest *m)
{
    struct buf dir = {0};
    struct seg_id last = {0}; /* the newest one known to be finished, and how far it reaches */
    uint64_t reach = 0;
    size_t kept = 0;
    int rc = E_OK;
    ASSERT(e->own->opt.salvage);
    engine_path(&dir, e->own->dir, "log");
    for (size_t i = 0, n; rc == E_OK && i < m->n_segments; i += n) {
        const struct seg_id *s = &m->segments[i];
        for (n = 1; i + n < m->n_segments && s[n].first_seq == s->first_seq;) n++;
        struct seg_id chosen = *s;
        uint64_t upto = 0;
        bool finished = false;
        for (size_t k = n; rc == E_OK && k-- > 0 && s[k].generation > 0 && !finished;) {
            rc = is_finished(e, (const char *)dir.p, m, &s[k], &finished, &upto);
            if (finished) chosen = s[k];
        }
        if (chosen.first_seq <= reach && chosen.generation < last.generation) continue;
        if (finished) last = chosen, reach = upto;
        m->segments[kept++] = chosen;
    }
    ASSERT(kept <= m->n_segments);
    if (rc == E_OK) m->n_segments = kept;
    buf_fini(&dir);
    return rc;
}

static int open_old(struct engine *e, const char *name)
{
    struct engine_own *own = e->own;
    struct buf path = {0};
    uint64_t bytes = 0;
    ASSERT(!own->old_entries);
    engine_path(&path, own->dir, name);
    int rc = os_open(e->os, (const char *)path.p, OS_READ, &own->old_entries);
    if (rc == E_OK) rc = os_size(e->os, own->old_entries, &bytes);
    if (rc == E_OK) own->n_old = bytes / HASH_BYTES;
    buf_fini(&path);
    return rc;
}

int salvage_begin_tree(struct engine *e)
{
    struct engine_own *own = e->own;
    struct buf from = {0}, to = {0}, dir = {0};
    ASSERT(own->opt.salvage && !e->tree);
    int rc = open_old(e, OLD_NAME); /* of a salvage that did not get to its end */
    if (rc == E_NOTFOUND && own->opt.read_only) rc = open_old(e, ENTRIES);
    if (rc == E_NOTFOUND && !own->opt.read_only) {
        engine_path(&from, own->dir, ENTRIES);
        engine_path(&to, own->dir, OLD_NAME);
        engine_path(&dir, own->dir, TREE_NAME);
        rc = os_rename(e->os, (const char *)from.p, (const char *)to.p);
        if (rc == E_OK) rc = os_sync_dir(e->os, (const char *)dir.p);
        if (rc == E_OK) rc = open_old(e, OLD_NAME);
    }
    buf_fini(&from);
    buf_fini(&to);
    buf_fini(&dir);
    return rc == E_NOTFOUND ? E_OK : rc;
}

int salvage_leaves(struct engine *e, uint64_t first, size_t n, uint8_t (*out)[HASH_BYTES])
{
    struct engine_own *own = e->own;
    ASSERT(out && n > 0);
    ASSERT(own->n_old == 0 || own->old_entries);
    memset(out, 0, n * HASH_BYTES);
    if (first >= own->n_old) return E_OK;
    if (n > own->n_old - first) n = own->n_old - first;
    return os_read_full(e->os, own->old_entries, first * HASH_BYTES, out, n * HASH_BYTES);
}

int salvage_end_tree(struct engine *e)
{
    struct engine_own *own = e->own;
    struct buf path = {0};
    ASSERT(!own->opt.read_only);
    os_close(e->os, &own->old_entries);
    own->n_old = 0;
    engine_path(&path, own->dir, OLD_NAME);
    int rc = os_remove(e->os, (const char *)path.p);
    bool removed = rc == E_OK;
    engine_path(&path, own->dir, TREE_NAME);
    if (removed) rc = os_sync_dir(e->os, (const char *)path.p);
    buf_fini(&path);
    return rc == E_NOTFOUND ? E_OK : rc;
}
