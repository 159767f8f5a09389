/* varve repair: check, keep the damaged files aside, let the engine salvage, check again.
 *
 * The check before decides whether there is anything to repair and is what the user is told about losses; the engine's salvage is what brings the store
 * into order: it keeps every whole commit that can be read and rebuilds the rest. An opening engine trusts what it has sealed, so what the check
 * found wrong is taken out of its sight first: files that follow from others are moved to DIR/damaged-TIME and are made anew; a damaged segment
 * loses its sidecar and so is read from end to end. Segments, manifest and the tree's entries are copied there, since they are changed in place. Nothing is
 * deleted. */
#include "base/logline.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "tool/mend.h"
#include "tool/tool.h"
#include "tool/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME "repair"
#define COPY_BYTES (1u << 20)
#define PATH_MOST 4200
#define ASIDE_TRIES 100
#define BEYOND_MOST (1ull << 28) /* seqs that no checkpoint had come to yet, and many more */

struct aside {
    const char *dir;
    char folder[64]; /* below dir */
    unsigned files;
};

/* ---- copies ---- */

static bool copy_bytes(int from, int to)
{
    uint8_t *room = mem_alloc(COPY_BYTES);
    ssize_t n = 0;
    uint64_t at = 0, hole = 0;
    while ((n = pread(from, room, COPY_BYTES, (off_t)at)) > 0) {
        bool zero = room[0] == 0 && memcmp(room, room + 1, (size_t)n - 1) == 0;
        if (zero) hole = at + (uint64_t)n; /* stays sparse */
        else if (pwrite(to, room, (size_t)n, (off_t)at) != n) break;
        at += (uint64_t)n;
    }
    /* What cannot be read cannot be kept aside: zeros stand for it, and the original stays where it is as long as salvage lets it. */
    bool ok = n >= 0 || errno == EIO;
    if (ok && hole) ok = ftruncate(to, (off_t)at) == 0;
    mem_free(room);
    return ok && n <= 0 && fsync(to) == 0;
}

static int copy_file(struct aside *a, const char *name)
{
    char from[PATH_MOST], to[PATH_MOST];
    (void)snprintf(from, sizeof from, "%s/%s", a->dir, name);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) return errno == ENOENT ? E_OK : E_IO;
    (void)snprintf(to, sizeof to, "%s/%s/%s", a->dir, a->folder, name);
    char *slash = strrchr(to, '/');
    *slash = 0;
    int rc = os_mkdir(os_posix(), to);
    *slash = '/';
    int out = rc ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0) rc = errno == EEXIST ? E_OK : E_IO;
    else if (!copy_bytes(in, out)) rc = E_IO;
    else a->files++;
    if (out >= 0) close(out);
    close(in);
    *slash = 0;
    if (rc == E_OK) rc = os_sync_dir(os_posix(), to);
    return rc;
}

/* Beside the damaged files: what salvage may write anew because of them. */
static int copy_all(struct aside *a, const struct store *s, const struct report *r)
{
    static const char *const always[] = {MANIFEST_FILE, "log/synced", "tree/entries"};
    int rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < r->files.n; i += strlen((const char *)r->files.p + i) + 1) rc = copy_file(a, (const char *)r->files.p + i);
    for (size_t i = 0; rc == E_OK && i < sizeof always / sizeof *always; i++) rc = copy_file(a, always[i]);
    for (size_t i = 0; rc == E_OK && i < s->n_segments; i++) {
        char name[SEGMENT_NAME_MOST];
        segment_name_write(name, &s->segments[i].name, "idx");
        rc = copy_file(a, name);
        segment_name_write(name, &s->segments[i].name, "seg");
        if (rc == E_OK && i + 1 == s->n_segments) rc = copy_file(a, name); /* the tail may be cut */
    }
    for (size_t i = 0; rc == E_OK && i < s->leftovers.n; i += strlen((const char *)s->leftovers.p + i) + 1)
        if (strstr((const char *)s->leftovers.p + i, ".seg")) rc = copy_file(a, (const char *)s->leftovers.p + i);
    return rc == E_OK ? os_sync_dir(os_posix(), a->dir) : rc;
}

/* ---- taking out of sight ---- */

static int move_file(struct aside *a, const char *name)
{
    char from[PATH_MOST], to[PATH_MOST];
    (void)snprintf(from, sizeof from, "%s/%s", a->dir, name);
    (void)snprintf(to, sizeof to, "%s/%s/%s", a->dir, a->folder, name);
    if (access(from, F_OK) != 0) return E_OK;
    char *slash = strrchr(to, '/');
    *slash = 0;
    int rc = os_mkdir(os_posix(), to);
    *slash = '/';
    if (rc == E_OK && access(to, F_OK) != 0) a->files++; /* else its copy is replaced by itself */
    return rc == E_OK && rename(from, to) == 0 ? E_OK : E_IO;
}

static bool has_fault(const struct report *r, const char *prefix)
{
    for (size_t i = 0; i < r->files.n; i += strlen((const char *)r->files.p + i) + 1)
        if (strncmp((const char *)r->files.p + i, prefix, strlen(prefix)) == 0) return true;
    return false;
}

static int move_tiles(struct aside *a)
{
    char name[16];
    int rc = E_OK;
    for (unsigned level = 1; rc == E_OK && level < 8; level++) {
        (void)snprintf(name, sizeof name, "tree/t%u", level);
        rc = move_file(a, name);
    }
    return rc;
}

/* The tree cannot be mended: it is made anew with the index, by one fold of the whole log. */
static int give_up_tree(struct aside *a, const struct store *s)
{
    int rc = move_file(a, "tree/entries");
    printf("The tree's entries cannot be mended: the tree is made anew from the nodes that are there, and its root changes.\n");
    for (uint32_t i = 0; rc == E_OK && i < s->manifest.n_runs; i++) {
        struct manifest_run run;
        char name[40];
        manifest_file_run(&s->manifest, i, &run);
        (void)snprintf(name, sizeof name, "index/%08llu.run", (unsigned long long)run.id);
        rc = move_file(a, name);
    }
    return rc;
}

static int clear_way(struct aside *a, const struct store *s, const struct report *r)
{
    unsigned spoiled = 0;
    int rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < r->files.n; i += strlen((const char *)r->files.p + i) + 1) {
        char name[SEGMENT_NAME_MOST + 8];
        (void)snprintf(name, sizeof name, "%s", (const char *)r->files.p + i);
        char *dot = strrchr(name, '.');
        bool segment = dot && strcmp(dot, ".seg") == 0;
        if (segment) memcpy(dot, ".idx", 4);
        if (segment || (strcmp(name, MANIFEST_FILE) != 0 && strcmp(name, "tree/entries") != 0)) rc = move_file(a, name);
    }
    if (rc == E_OK && has_fault(r, "tree/")) rc = move_tiles(a);
    if (rc == E_OK && s->manifest.good && has_fault(r, "tree/entries")) {
        int mended = mend_tree(s);
        if (mended == E_OK) printf("The tree's entries were mended from the nodes; the root is as it was.\n");
        else rc = give_up_tree(a, s);
    } else if (rc == E_OK && has_fault(r, "log/")) {
        rc = mend_altered(s, &spoiled);
    }
    if (spoiled) printf("%u node%s altered: taken out.\n", spoiled, spoiled == 1 ? " was" : "s were");
    return rc;
}

/* damaged-TIME, or damaged-TIME-2 … when one repair follows another within a second. */
static int make_aside(struct aside *a)
{
    char path[PATH_MOST];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    size_t n = strftime(a->folder, sizeof a->folder, "damaged-%Y%m%dT%H%M%SZ", &tm);
    for (unsigned i = 2;; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", a->dir, a->folder);
        if (mkdir(path, 0700) == 0) return E_OK;
        if (errno != EEXIST || i > ASIDE_TRIES) return E_IO;
        (void)snprintf(a->folder + n, sizeof a->folder - n, "-%u", i);
    }
}

/* ---- telling ---- */

static void tell_losses(const struct report *r)
{
    if (r->n_lost == 0) {
        printf("No node is lost: what is damaged can be rebuilt.\n");
        return;
    }
    printf("Lost for good: %llu seq%s\n", (unsigned long long)report_lost_count(r), report_lost_count(r) == 1 ? "" : "s");
    for (size_t i = 0; i < r->n_lost; i++) printf("    %llu-%llu\n", (unsigned long long)r->lost[i].from, (unsigned long long)r->lost[i].to);
}

static void on_progress(void *report, const char *what, uint64_t done, uint64_t total) { report_progress(report, what, done, total); }

/* ---- the work ---- */

static int salvage(struct aside *a)
{
    char log[PATH_MOST];
    struct report shown;
    struct engine *e = NULL;
    struct engine_report found;
    struct engine_options o = {.dir = a->dir, .durability = DURABLE_ALWAYS, .salvage = true, .progress = on_progress, .progress_ctx = &shown};
    (void)snprintf(log, sizeof log, "%s/%s/repair.log", a->dir, a->folder);
    report_init(&shown, false);
    if (log_open(log) < 0) log_set_level(LOG_NOTHING);
    int rc = engine_open(&o, &e, &found);
    report_progress_end(&shown);
    if (rc < 0) return tool_trouble(NAME, "the store cannot be salvaged: %s: %s (see %s)", found.where, err_text(rc), log);
    printf("Salvaged: %llu nodes folded, %llu bytes cut from the tail, %llu sidecars rebuilt.\n", (unsigned long long)found.folded_nodes, (unsigned long long)found.torn_bytes,
           (unsigned long long)found.sidecars_rebuilt);
    rc = engine_close(&e);
    return rc < 0 ? tool_trouble(NAME, "the salvaged store cannot be written: %s", err_text(rc)) : EXIT_YES;
}

/* The check after: nothing may be wrong any more. */
static int check_again(const char *dir, const struct manifest_file *before)
{
    struct store s;
    struct report r;
    struct verify_sum sum;
    int status = store_open(NAME, dir, &s);
    if (status != EXIT_YES) return status;
    report_init(&r, false);
    printf("Checking the result:\n");
    verify_store(&s, &r, &sum);
    printf(r.faults ? "DAMAGED: %llu faults remain.\n" : "whole: %llu faults, ", (unsigned long long)r.faults);
    if (!r.faults) printf("%llu nodes, newest seq %llu\n", (unsigned long long)sum.nodes, (unsigned long long)sum.last);
    if (!before->good && sum.dropped) printf("The manifest was lost: leaves of nodes that compaction had dropped are what the tree's file held, and nothing is left to check them by.\n");
    status = r.faults ? EXIT_NO : EXIT_YES;
    report_fini(&r);
    store_close(&s);
    return status;
}

/* The salvage puts a filler into the place of each seq that was on disk and is behind the log's end: a number that is none must not make it fill the disk. */
static bool floor_is_possible(const struct store *s, const struct verify_sum *sum)
{
    uint64_t floor = store_floor(s), known = sum->last > sum->tree_size ? sum->last : sum->tree_size;
    return floor <= known || floor - known <= BEYOND_MOST;
}

static int repair(struct store *s, const struct report *r, const struct verify_sum *sum, bool dry_run)
{
    struct aside a = {.dir = s->dir};
    tell_losses(r);
    if (!floor_is_possible(s, sum)) {
        (void)tool_trouble(NAME, "manifest or sync mark name seq %llu as on disk, which cannot be: log and tree know of %llu and %llu. Nothing was changed",
                           (unsigned long long)store_floor(s), (unsigned long long)sum->last, (unsigned long long)sum->tree_size);
        return EXIT_NO;
    }
    if (dry_run) {
        printf("Dry run: nothing was changed.\n");
        return EXIT_YES;
    }
    int rc = make_aside(&a);
    if (rc == E_OK) rc = copy_all(&a, s, r);
    if (rc < 0) return tool_trouble(NAME, "the damaged files cannot be kept aside in %s/%s; nothing was changed", s->dir, a.folder);
    rc = clear_way(&a, s, r);
    if (rc < 0) return tool_trouble(NAME, "the store cannot be prepared for salvage: %s. What was there is in %s/%s", err_text(rc), s->dir, a.folder);
    printf("%u file%s kept aside in %s/%s\n", a.files, a.files == 1 ? "" : "s", s->dir, a.folder);
    os_close(os_posix(), &s->lock); /* the engine takes it */
    int status = salvage(&a);
    return status == EXIT_YES ? check_again(s->dir, &s->manifest) : EXIT_NO;
}

int tool_repair(int argc, char **argv)
{
    const char *dir = NULL;
    bool dry_run = false;
    struct store s;
    struct report r;
    struct verify_sum sum;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--dry-run") == 0) dry_run = true;
        else if (argv[i][0] == '-') return tool_usage(NAME, "unknown option '%s'", argv[i]);
        else if (dir) return tool_usage(NAME, "one data directory at a time");
        else dir = argv[i];
    }
    if (!dir) return tool_usage(NAME, "which data directory?");
    int status = store_open(NAME, dir, &s);
    if (status != EXIT_YES) return status;
    report_init(&r, false);
    verify_store(&s, &r, &sum);
    if (r.faults) status = repair(&s, &r, &sum, dry_run);
    else printf("Nothing to repair: the store is whole.\n");
    report_fini(&r);
    store_close(&s);
    return status;
}
