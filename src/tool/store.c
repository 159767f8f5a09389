#include "tool/store.h"

#include "base/codec.h"
#include "base/logline.h"
#include "base/mem.h"
#include "tool/tool.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK_MAGIC 0x4d535656u
#define MARK_SLOT 32u
#define MARK_STEP 512u

/* ---- the sync mark: the greatest seq of its two slots that are whole and of this store ---- */

static void read_mark(struct store *s)
{
    static const uint8_t nothing[MARK_SLOT];
    struct file f;
    if (file_open(&f, s->dir, "log/synced")) return;
    s->mark_there = true;
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *p = file_at(&f, i * MARK_STEP, MARK_SLOT);
        if (!p || memcmp(p, nothing, MARK_SLOT) == 0) continue;
        if (get_u32(p) != MARK_MAGIC || digest_crc(0, p + 8, MARK_SLOT - 8) != get_u32(p + 4)) {
            s->mark_why[i] = "a slot of the sync mark is damaged";
            continue;
        }
        if (s->manifest.good && memcmp(p + 16, s->manifest.store_id, 16) != 0) continue;
        if (get_u64(p + 8) > s->mark) s->mark = get_u64(p + 8);
    }
    uint64_t gap = f.size < MARK_STEP ? f.size : MARK_STEP, all = MARK_STEP + MARK_SLOT;
    if (f.size > MARK_SLOT && !file_is_zero(&f, MARK_SLOT, gap)) s->mark_why[2] = "bytes stand where there should be none";
    if (f.size > all) s->mark_why[2] = "the file is too long";
    file_close(&f);
}

uint64_t store_floor(const struct store *s)
{
    uint64_t floor = s->manifest.good ? s->manifest.floor : 0;
    return s->mark > floor ? s->mark : floor;
}

/* ---- which files are the log ---- */

static struct store_segment *add_segment(struct store *s, const struct segment_name *n)
{
    if ((s->n_segments & (s->n_segments + 1)) == 0) s->segments = mem_realloc(s->segments, (s->n_segments * 2 + 2) * sizeof *s->segments);
    struct store_segment *g = &s->segments[s->n_segments++];
    *g = (struct store_segment){.name = *n, .upto = UINT64_MAX};
    return g;
}

static struct store_segment *find_segment(struct store *s, uint64_t first)
{
    for (size_t i = 0; i < s->n_segments; i++)
        if (s->segments[i].name.first == first) return &s->segments[i];
    return NULL;
}

static int by_first(const void *a, const void *b)
{
    const struct store_segment *x = a, *y = b;
    return (x->name.first > y->name.first) - (x->name.first < y->name.first);
}

/* Without a manifest the highest generation of each first seq counts. */
static void take_found(struct store *s, const struct segment_name *n)
{
    struct store_segment *g = find_segment(s, n->first);
    if (s->manifest.good) {
        if (n->first >= s->manifest.first_unlisted && n->generation == 0 && !g) add_segment(s, n)->there = true;
        return;
    }
    if (!g) g = add_segment(s, n);
    if (n->generation >= g->name.generation) *g = (struct store_segment){.name = *n, .compacted = n->generation > 0, .there = true, .upto = UINT64_MAX};
}

static void note_leftover(struct store *s, const char *folder, const char *name)
{
    buf_printf(&s->leftovers, "%s/%s", folder, name);
    buf_add_byte(&s->leftovers, 0);
}

/* Two passes over DIR/log: the segments, then what belongs to none of them. */
static int list_log(struct store *s, bool leftovers)
{
    char path[4096];
    struct dirent *e;
    (void)snprintf(path, sizeof path, "%s/log", s->dir);
    DIR *d = opendir(path);
    if (!d) return errno == ENOENT ? E_OK : E_IO;
    while ((e = readdir(d))) {
        struct segment_name n;
        bool sidecar;
        if (e->d_name[0] == '.' || strcmp(e->d_name, "synced") == 0) continue;
        bool ours = segment_name_read(e->d_name, &n, &sidecar);
        if (!leftovers && ours && !sidecar) take_found(s, &n);
        if (!leftovers) continue;
        const struct store_segment *g = ours ? find_segment(s, n.first) : NULL;
        if (!g || g->name.generation != n.generation) note_leftover(s, "log", e->d_name);
    }
    closedir(d);
    return E_OK;
}

/* Manifest lost: an older generation of a range that a compacted segment covers is a leftover, not the log. */
static void drop_covered(struct store *s)
{
    uint64_t covered = 0;
    size_t kept = 0;
    for (size_t i = 0; i < s->n_segments; i++) {
        struct store_segment g = s->segments[i];
        struct sidecar_file side;
        if (g.name.first <= covered) continue;
        s->segments[kept++] = g;
        (void)sidecar_file_read(s->dir, &g.name, &side);
        if (g.compacted && side.good) covered = side.last;
        sidecar_file_fini(&side);
    }
    s->n_segments = kept;
}

static int list_segments(struct store *s)
{
    char name[SEGMENT_NAME_MOST];
    for (uint32_t i = 0; i < s->manifest.n_segments; i++) {
        struct manifest_segment m;
        manifest_file_segment(&s->manifest, i, &m);
        const struct segment_name n = {m.first, m.generation};
        struct store_segment *g = add_segment(s, &n);
        segment_name_write(name, &n, "seg");
        g->listed = true;
        g->compacted = m.flags & 1;
        g->there = file_exists(s->dir, name);
    }
    int rc = list_log(s, false);
    if (rc) return rc;
    if (s->n_segments) qsort(s->segments, s->n_segments, sizeof *s->segments, by_first);
    if (!s->manifest.good) drop_covered(s);
    for (size_t i = 0; i + 1 < s->n_segments; i++) s->segments[i].upto = s->segments[i + 1].name.first;
    return list_log(s, true);
}

/* Run files and temporary files that nothing names. */
static void list_other_leftovers(struct store *s)
{
    static const char *const folders[] = {"index", "tree"};
    for (size_t k = 0; k < 2; k++) {
        char path[4096];
        struct dirent *e;
        (void)snprintf(path, sizeof path, "%s/%s", s->dir, folders[k]);
        DIR *d = opendir(path);
        while (d && (e = readdir(d))) {
            size_t n = strlen(e->d_name);
            bool run = n > 4 && strcmp(e->d_name + n - 4, ".run") == 0, named = !s->manifest.good;
            for (uint32_t i = 0; run && i < s->manifest.n_runs && !named; i++) {
                struct manifest_run r;
                char expect[32];
                manifest_file_run(&s->manifest, i, &r);
                (void)snprintf(expect, sizeof expect, "%08llu.run", (unsigned long long)r.id);
                named = strcmp(expect, e->d_name) == 0;
            }
            if ((run && !named) || (n > 4 && strcmp(e->d_name + n - 4, ".tmp") == 0)) note_leftover(s, folders[k], e->d_name);
        }
        if (d) closedir(d);
    }
}

static int take_lock(const char *command, struct store *s)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/LOCK", s->dir);
    if (!file_exists(s->dir, "LOCK") && access(s->dir, W_OK) != 0 && errno == EROFS) return EXIT_YES; /* nobody can be writing there */
    enum log_level level = log_get_level();
    log_set_level(LOG_NOTHING);
    int rc = os_lock(os_posix(), path, &s->lock);
    log_set_level(level);
    if (rc == E_LOCKED) return tool_trouble(command, "%s is open in another process; stop the server first", s->dir);
    return rc ? tool_trouble(command, "%s cannot be locked: %s", s->dir, strerror(errno)) : EXIT_YES;
}

int store_open(const char *command, const char *dir, struct store *out)
{
    struct stat st;
    *out = (struct store){.dir = dir};
    if (stat(dir, &st) != 0) return tool_trouble(command, "%s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode)) return tool_trouble(command, "%s is not a directory", dir);
    if (!file_exists(dir, MANIFEST_FILE) && !file_exists(dir, "log")) return tool_trouble(command, "%s is not a Varve data directory", dir);
    int status = take_lock(command, out);
    if (status != EXIT_YES) return status;
    out->manifest_why = manifest_file_read(dir, &out->manifest);
    if (list_segments(out)) {
        store_close(out);
        return tool_trouble(command, "%s/log cannot be read", dir);
    }
    read_mark(out);
    list_other_leftovers(out);
    return EXIT_YES;
}

void store_close(struct store *s)
{
    os_close(os_posix(), &s->lock);
    manifest_file_fini(&s->manifest);
    mem_free(s->segments);
    buf_fini(&s->leftovers);
    *s = (struct store){0};
}
