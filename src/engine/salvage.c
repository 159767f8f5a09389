/* Salvage of the tree: leaves outlive the file that they were in.
 *
 * When the tree does not give its root, or the manifest that said the root is lost, the tree is made anew: hashes of the nodes that are
 * there come from the nodes, all others (dropped by compaction, or lost) from the old file of entries, which is set aside first. So the root
 * is the same as before unless the entry of a node that is gone was itself damaged.
 *
 * The old file stays until a manifest that names the new root is durable: a salvage that is interrupted begins again with it. */
#include "engine/own.h"

#include "base/mem.h"

#define ENTRIES   "tree/entries"
#define OLD_NAME  "tree/entries.old"
#define TREE_NAME "tree"

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
