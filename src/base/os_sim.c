/* Two views of one file system. `live` is what the running program reads;
 * `disk` is what is certain to be there after a power cut. Between them stand
 * the pending operations, of each file and of the directory tree, in the order
 * in which they were made. A sync applies them to the disk view; a reboot
 * decides about each of them by the seed and then makes the disk view the live
 * one.
 *
 * What a reboot may do with a file's pending writes is one of four plans, drawn
 * for each file: all stay; all go; each on its own (a disk that reorders); a
 * prefix stays and the write behind it is torn. Pending directory operations
 * stay as a prefix, as with a journalling file system.
 *
 * Everything is under one mutex. */
#include "base/os_sim.h"
#include "base/chunks.h"
#include "base/mem.h"
#include "base/names.h"

#include <pthread.h>

#define SECTOR 512u
#define WALL_START_US ((uint64_t)1767225600 * 1000000) /* 2026-01-01 00:00:00 UTC */
#define MONO_START_US ((uint64_t)1000000)

struct change { /* of a file's bytes */
    enum { CHANGE_WRITE, CHANGE_SIZE, CHANGE_EXTEND } kind;
    uint64_t off; /* for the size changes: the new size */
    size_t n;
    uint8_t *p; /* owned */
};

struct inode {
    struct inode *next;
    struct chunks live, disk;
    struct change *pending;
    size_t pending_n, pending_cap;
    bool owned;  /* os_lock */
    bool marked; /* by sweep */
};

struct tree_change { /* of the directory tree */
    enum { TREE_PUT, TREE_DROP, TREE_MOVE } kind;
    char *path, *to; /* owned; `to` of a move only */
    struct inode *file; /* of a put; NULL: a directory */
};

struct sim_handle {
    struct sim_handle *next;
    struct inode *file; /* NULL after a reboot */
    bool writable, owner;
};

struct sim {
    struct os os;
    pthread_mutex_t lock;
    struct names live, disk;
    struct tree_change *pending;
    size_t pending_n, pending_cap;
    struct inode *inodes;
    struct sim_handle *handles;
    struct os_sim_faults faults;
    uint64_t events, reads; /* reads since os_sim_set */
    uint64_t dice, random;  /* states of two generators: faults, os_random */
    uint64_t wall_us, mono_us;
    bool crashed;
};

static struct sim *sim_of(struct os *os) { return (struct sim *)(void *)os; }
static struct sim_handle *handle_of(struct os_file *f) { return (struct sim_handle *)(void *)f; }
static void lock(struct sim *s) { pthread_mutex_lock(&s->lock); }
static void unlock(struct sim *s) { pthread_mutex_unlock(&s->lock); }

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static uint64_t roll(struct sim *s, uint64_t below) { return next_random(&s->dice) % below; }

/* ---- events ---- */

enum fate { FATE_DO, FATE_FAIL, FATE_FAIL_SYNC, FATE_CRASH, FATE_DEAD };

static enum fate next_fate(struct sim *s, bool is_sync)
{
    if (s->crashed) return FATE_DEAD;
    s->events++;
    if (s->faults.crash_at && s->events >= s->faults.crash_at) {
        s->crashed = true;
        return FATE_CRASH;
    }
    if (is_sync && s->events == s->faults.fail_sync_at) return FATE_FAIL_SYNC;
    return s->events == s->faults.fail_write_at ? FATE_FAIL : FATE_DO;
}

/* Whether an operation that happens as a whole or not at all still happens. */
static bool takes_place(struct sim *s, enum fate fate)
{
    if (fate == FATE_CRASH) return roll(s, 2) == 0;
    return fate == FATE_DO;
}

/* ---- bytes ---- */

static void apply(struct chunks *c, const struct change *op)
{
    if (op->kind == CHANGE_WRITE)
        chunks_write(c, op->off, op->p, op->n);
    else if (op->kind == CHANGE_SIZE || op->off > c->size)
        chunks_resize(c, op->off);
}

static void drop_pending(struct inode *f)
{
    for (size_t i = 0; i < f->pending_n; i++) mem_free(f->pending[i].p);
    f->pending_n = 0;
}

static void change(struct inode *f, struct change op)
{
    if (f->pending_n == f->pending_cap) {
        f->pending_cap = f->pending_cap ? f->pending_cap * 2 : 8;
        f->pending = mem_realloc(f->pending, f->pending_cap * sizeof *f->pending);
    }
    apply(&f->live, &op);
    if (op.kind == CHANGE_WRITE) op.p = mem_dup(op.p, op.n);
    f->pending[f->pending_n++] = op;
}

/* Keeps some sectors' worth of a write: what lies before, or behind, one border. */
static void apply_torn(struct sim *s, struct chunks *c, const struct change *op)
{
    uint64_t first = op->off / SECTOR + 1, last = (op->off + op->n - 1) / SECTOR; /* borders inside the write */
    if (first > last) return; /* within one sector: it is written or it is not */
    uint64_t border = (first + roll(s, last - first + 1)) * SECTOR;
    size_t head = (size_t)(border - op->off);
    if (roll(s, 4) == 0)
        chunks_write(c, border, op->p + head, op->n - head);
    else
        chunks_write(c, op->off, op->p, head);
}

static void apply_maybe(struct sim *s, struct chunks *c, const struct change *op)
{
    uint64_t what = roll(s, 4);
    if (what == 0) return;
    if (op->kind != CHANGE_WRITE || what == 1) {
        apply(c, op);
    } else if (what == 2) {
        apply_torn(s, c, op);
    } else if (op->off + op->n > c->size) {
        chunks_resize(c, op->off + op->n); /* the new size arrived, the bytes did not */
    }
}

/* Brings the disk view of a file to one of the states that a power cut may leave. */
static void settle_file(struct sim *s, struct inode *f)
{
    uint64_t plan = roll(s, 4);
    size_t keep = plan == 0 ? f->pending_n : plan == 3 ? (size_t)roll(s, f->pending_n + 1) : 0;
    for (size_t i = 0; i < f->pending_n; i++) {
        const struct change *op = &f->pending[i];
        if (i < keep)
            apply(&f->disk, op);
        else if (plan == 2)
            apply_maybe(s, &f->disk, op);
        else if (plan == 3 && i == keep && op->kind == CHANGE_WRITE)
            apply_torn(s, &f->disk, op);
    }
    drop_pending(f);
}

static void free_inode(struct inode *f)
{
    drop_pending(f);
    mem_free(f->pending);
    chunks_fini(&f->live);
    chunks_fini(&f->disk);
    mem_free(f);
}

/* ---- the tree ---- */

static void apply_tree(struct names *t, const struct tree_change *op)
{
    if (op->kind == TREE_PUT)
        names_put(t, op->path, op->file);
    else if (op->kind == TREE_DROP)
        names_drop(t, op->path);
    else
        names_move(t, op->path, op->to);
}

static void forget(struct tree_change *op)
{
    mem_free(op->path);
    mem_free(op->to);
}

static void change_tree(struct sim *s, struct tree_change op)
{
    if (s->pending_n == s->pending_cap) {
        s->pending_cap = s->pending_cap ? s->pending_cap * 2 : 8;
        s->pending = mem_realloc(s->pending, s->pending_cap * sizeof *s->pending);
    }
    op.path = mem_strdup(op.path);
    if (op.to) op.to = mem_strdup(op.to);
    apply_tree(&s->live, &op);
    s->pending[s->pending_n++] = op;
}

static bool is_in(const char *path, const char *dir)
{
    char *parent = names_parent(path);
    bool yes = strcmp(parent, dir) == 0;
    mem_free(parent);
    return yes;
}

/* Makes a directory's pending operations safe. A move between directories takes
 * everything before it along, because it cannot be told without it. */
static void settle_dir(struct sim *s, const char *dir)
{
    size_t whole = 0, left = 0;
    for (size_t i = 0; i < s->pending_n; i++) {
        const struct tree_change *op = &s->pending[i];
        if (op->kind == TREE_MOVE && is_in(op->path, dir) != is_in(op->to, dir)) whole = i + 1;
    }
    for (size_t i = 0; i < s->pending_n; i++) {
        struct tree_change *op = &s->pending[i];
        if (i < whole || is_in(op->path, dir)) {
            apply_tree(&s->disk, op);
            forget(op);
        } else {
            s->pending[left++] = *op;
        }
    }
    s->pending_n = left;
}

static void mark_names(const struct names *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].file) ((struct inode *)t->v[i].file)->marked = true;
}

/* Frees the files that no name, no handle and no pending operation reaches. */
static void sweep(struct sim *s)
{
    mark_names(&s->live);
    mark_names(&s->disk);
    for (size_t i = 0; i < s->pending_n; i++)
        if (s->pending[i].file) s->pending[i].file->marked = true;
    for (struct sim_handle *h = s->handles; h; h = h->next)
        if (h->file) h->file->marked = true;
    for (struct inode **at = &s->inodes; *at;) {
        struct inode *f = *at;
        if (f->marked) {
            f->marked = false;
            at = &f->next;
        } else {
            *at = f->next;
            free_inode(f);
        }
    }
}

/* ---- files ---- */

static int create(struct sim *s, const char *path, struct inode **out)
{
    if (!names_has_parent(&s->live, path)) return E_NOTFOUND;
    enum fate fate = next_fate(s, false);
    if (takes_place(s, fate)) {
        struct inode *f = mem_zalloc(sizeof *f);
        f->next = s->inodes;
        s->inodes = f;
        change_tree(s, (struct tree_change){TREE_PUT, (char *)(uintptr_t)path, NULL, f});
        *out = f;
    }
    return fate == FATE_DO ? E_OK : E_IO;
}

static int find_inode(struct sim *s, const char *path, unsigned flags, struct inode **out)
{
    void *file = NULL;
    if (s->crashed) return E_IO;
    if (!names_find(&s->live, path, &file)) return flags & OS_WRITE ? create(s, path, out) : E_NOTFOUND;
    if (file == NULL) return E_IO; /* a directory */
    if (flags & OS_EXCLUSIVE) return E_EXISTS;
    *out = file;
    return E_OK;
}

static int resize(struct sim *s, struct inode *f, int kind, uint64_t size)
{
    enum fate fate = next_fate(s, false);
    if (takes_place(s, fate)) change(f, (struct change){kind, size, 0, NULL});
    return fate == FATE_DO ? E_OK : E_IO;
}

static int open_common(struct os *os, const char *path, unsigned flags, bool own, struct os_file **out)
{
    struct sim *s = sim_of(os);
    char *clean = names_clean(path);
    struct inode *f = NULL;
    lock(s);
    int rc = find_inode(s, clean, flags, &f);
    if (rc == E_OK && own && f->owned) rc = E_LOCKED;
    if (rc == E_OK && (flags & OS_TRUNCATE) && f->live.size > 0) rc = resize(s, f, CHANGE_SIZE, 0);
    if (rc == E_OK) {
        struct sim_handle *h = mem_zalloc(sizeof *h);
        *h = (struct sim_handle){s->handles, f, (flags & OS_WRITE) != 0, own};
        s->handles = h;
        f->owned = f->owned || own;
        *out = (struct os_file *)(void *)h;
    }
    unlock(s);
    mem_free(clean);
    return rc;
}

static int sim_open(struct os *os, const char *path, unsigned flags, struct os_file **out)
{
    return open_common(os, path, flags, false, out);
}

static int sim_lock(struct os *os, const char *path, struct os_file **out)
{
    return open_common(os, path, OS_WRITE, true, out);
}

static void sim_close(struct os *os, struct os_file *file)
{
    struct sim *s = sim_of(os);
    struct sim_handle *h = handle_of(file);
    lock(s);
    struct sim_handle **at = &s->handles;
    while (*at && *at != h) at = &(*at)->next;
    ASSERT(*at == h); /* else closed twice */
    *at = h->next;
    if (h->file && h->owner) h->file->owned = false;
    unlock(s);
    mem_free(h);
}

static int sim_read(struct os *os, struct os_file *file, uint64_t off, void *p, size_t n, size_t *got)
{
    struct sim *s = sim_of(os);
    struct inode *f;
    lock(s);
    f = handle_of(file)->file;
    s->reads++;
    int rc = s->crashed || f == NULL || s->reads == s->faults.fail_read_at ? E_IO : E_OK;
    if (rc == E_OK) *got = chunks_read(&f->live, off, p, n);
    unlock(s);
    return rc;
}

static uint64_t used_bytes(const struct sim *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->live.n; i++)
        if (s->live.v[i].file) sum += ((const struct inode *)s->live.v[i].file)->live.size;
    return sum;
}

/* The size up to which a file may grow. */
static uint64_t size_limit(const struct sim *s, const struct inode *f)
{
    uint64_t used = used_bytes(s);
    if (s->faults.capacity_bytes == 0) return UINT64_MAX;
    return f->live.size + (s->faults.capacity_bytes > used ? s->faults.capacity_bytes - used : 0);
}

static int write_locked(struct sim *s, struct sim_handle *h, uint64_t off, const void *p, size_t n)
{
    enum fate fate = h->file ? next_fate(s, false) : FATE_DEAD;
    size_t part = n;
    if (fate == FATE_DEAD) return E_IO;
    /* A killed process or a failed call leaves any part; at a power cut the reboot decides. */
    if (fate == FATE_FAIL || (fate == FATE_CRASH && s->faults.process_only)) part = (size_t)roll(s, n + 1);
    uint64_t limit = size_limit(s, h->file);
    bool fits = off + part <= limit;
    if (!fits) part = off < limit ? (size_t)(limit - off) : 0;
    if (part > 0) {
        union {
            const void *in;
            uint8_t *out;
        } bytes = {p}; /* copied by change(), which keeps its own */
        change(h->file, (struct change){CHANGE_WRITE, off, part, bytes.out});
    }
    return fate != FATE_DO ? E_IO : fits ? E_OK : E_NOSPACE;
}

static int sim_write(struct os *os, struct os_file *file, uint64_t off, const void *p, size_t n)
{
    struct sim *s = sim_of(os);
    ASSERT(handle_of(file)->writable);
    lock(s);
    int rc = write_locked(s, handle_of(file), off, p, n);
    unlock(s);
    return rc;
}

static int sim_sync(struct os *os, struct os_file *file)
{
    struct sim *s = sim_of(os);
    lock(s);
    struct inode *f = handle_of(file)->file;
    enum fate fate = f ? next_fate(s, true) : FATE_DEAD;
    if (fate == FATE_DO) {
        for (size_t i = 0; i < f->pending_n; i++) apply(&f->disk, &f->pending[i]);
        drop_pending(f);
    } else if (fate == FATE_FAIL_SYNC) {
        /* The kernel marks the pages clean and forgets them: what is not on disk now never will be, though
         * the program goes on reading it. */
        settle_file(s, f);
    }
    unlock(s);
    return fate == FATE_DO ? E_OK : E_IO;
}

static int sim_size(struct os *os, struct os_file *file, uint64_t *out)
{
    struct sim *s = sim_of(os);
    lock(s);
    const struct inode *f = handle_of(file)->file;
    int rc = s->crashed || f == NULL ? E_IO : E_OK;
    if (rc == E_OK) *out = f->live.size;
    unlock(s);
    return rc;
}

static int sim_truncate(struct os *os, struct os_file *file, uint64_t size)
{
    struct sim *s = sim_of(os);
    ASSERT(handle_of(file)->writable);
    lock(s);
    struct inode *f = handle_of(file)->file;
    int rc = f ? resize(s, f, CHANGE_SIZE, size) : E_IO;
    unlock(s);
    return rc;
}

static int sim_extend(struct os *os, struct os_file *file, uint64_t size)
{
    struct sim *s = sim_of(os);
    ASSERT(handle_of(file)->writable);
    lock(s);
    struct inode *f = handle_of(file)->file;
    int rc = E_IO;
    if (f && size > size_limit(s, f) && !s->crashed)
        rc = E_NOSPACE;
    else if (f)
        rc = resize(s, f, CHANGE_EXTEND, size);
    unlock(s);
    return rc;
}

/* ---- names ---- */

static int tree_event(struct sim *s, struct tree_change op)
{
    enum fate fate = next_fate(s, false);
    if (takes_place(s, fate)) change_tree(s, op);
    return fate == FATE_DO ? E_OK : E_IO;
}

static int sim_remove(struct os *os, const char *path)
{
    struct sim *s = sim_of(os);
    char *clean = names_clean(path);
    void *file = NULL;
    int rc;
    lock(s);
    if (!s->crashed && !names_find(&s->live, clean, &file))
        rc = E_NOTFOUND;
    else if (!s->crashed && file == NULL && names_has_children(&s->live, clean))
        rc = E_EXISTS;
    else
        rc = tree_event(s, (struct tree_change){TREE_DROP, clean, NULL, NULL});
    unlock(s);
    mem_free(clean);
    return rc;
}

static int sim_rename(struct os *os, const char *from_path, const char *to_path)
{
    struct sim *s = sim_of(os);
    char *from = names_clean(from_path), *to = names_clean(to_path);
    void *replaced = NULL;
    lock(s);
    int rc = s->crashed ? E_IO : names_check_move(&s->live, from, to, &replaced);
    if (rc == E_OK) rc = tree_event(s, (struct tree_change){TREE_MOVE, from, to, NULL});
    unlock(s);
    mem_free(from);
    mem_free(to);
    return rc;
}

static int make_level(struct sim *s, char *level)
{
    void *file = NULL;
    if (s->crashed) return E_IO;
    if (names_is_dir(&s->live, level)) return E_OK;
    if (names_find(&s->live, level, &file)) return E_EXISTS;
    return tree_event(s, (struct tree_change){TREE_PUT, level, NULL, NULL});
}

static int sim_mkdir(struct os *os, const char *path)
{
    struct sim *s = sim_of(os);
    char *clean = names_clean(path);
    int rc = E_OK;
    lock(s);
    for (char *end = clean + 1; rc == E_OK; end++) {
        if (*end != '/' && *end != 0) continue;
        char *level = mem_dup(clean, (size_t)(end - clean));
        rc = make_level(s, level);
        mem_free(level);
        if (*end == 0) break;
    }
    unlock(s);
    mem_free(clean);
    return rc;
}

static int sim_list(struct os *os, const char *path, os_list_fn fn, void *ctx)
{
    struct sim *s = sim_of(os);
    char *clean = names_clean(path);
    struct buf children = {0};
    lock(s);
    int rc = s->crashed ? E_IO : names_is_dir(&s->live, clean) ? E_OK : E_NOTFOUND;
    if (rc == E_OK) names_children(&s->live, clean, &children);
    unlock(s);
    for (size_t i = 0; rc == E_OK && i < children.n; i += strlen((char *)children.p + i) + 1)
        rc = fn(ctx, (char *)children.p + i);
    buf_fini(&children);
    mem_free(clean);
    return rc;
}

static int sim_sync_dir(struct os *os, const char *path)
{
    struct sim *s = sim_of(os);
    char *clean = names_clean(path);
    int rc = E_OK;
    lock(s);
    if (!s->crashed && !names_is_dir(&s->live, clean))
        rc = E_NOTFOUND;
    else if (next_fate(s, true) != FATE_DO)
        rc = E_IO; /* the operations stay pending, their outcome open */
    if (rc == E_OK) {
        settle_dir(s, clean);
        sweep(s);
    }
    unlock(s);
    mem_free(clean);
    return rc;
}

/* ---- clock and randomness ---- */

static uint64_t tick(struct sim *s, uint64_t *clock)
{
    lock(s);
    uint64_t now = ++*clock;
    unlock(s);
    return now;
}

static uint64_t sim_wall_us(struct os *os) { return tick(sim_of(os), &sim_of(os)->wall_us); }
static uint64_t sim_mono_us(struct os *os) { return tick(sim_of(os), &sim_of(os)->mono_us); }

static void sim_random(struct os *os, void *p, size_t n)
{
    struct sim *s = sim_of(os);
    lock(s);
    for (size_t done = 0; done < n; done += 8) {
        uint64_t r = next_random(&s->random);
        memcpy((uint8_t *)p + done, &r, n - done < 8 ? n - done : 8);
    }
    unlock(s);
}

/* ---- the simulator itself ---- */

static void sim_destroy(struct os *os)
{
    struct sim *s = sim_of(os);
    while (s->handles) {
        struct sim_handle *h = s->handles;
        s->handles = h->next;
        mem_free(h);
    }
    for (size_t i = 0; i < s->pending_n; i++) forget(&s->pending[i]);
    s->pending_n = 0;
    names_fini(&s->live);
    names_fini(&s->disk);
    sweep(s);
    mem_free(s->pending);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

struct os *os_sim_new(uint64_t seed)
{
    static const struct os_ops ops = {
        .open = sim_open, .close = sim_close, .read = sim_read, .write = sim_write, .sync = sim_sync, .size = sim_size,
        .truncate = sim_truncate, .extend = sim_extend, .remove = sim_remove, .rename = sim_rename, .mkdir = sim_mkdir,
        .list = sim_list, .sync_dir = sim_sync_dir, .lock = sim_lock, .wall_us = sim_wall_us, .mono_us = sim_mono_us,
        .random = sim_random, .destroy = sim_destroy,
    };
    struct sim *s = mem_zalloc(sizeof *s);
    s->os.ops = &ops;
    pthread_mutex_init(&s->lock, NULL);
    s->dice = seed;
    s->random = ~seed;
    s->wall_us = WALL_START_US;
    s->mono_us = MONO_START_US;
    return &s->os;
}

void os_sim_set(struct os *os, const struct os_sim_faults *faults)
{
    struct sim *s = sim_of(os);
    lock(s);
    s->faults = *faults;
    s->reads = 0;
    s->dice = faults->seed;
    unlock(s);
}

uint64_t os_sim_events(struct os *os)
{
    struct sim *s = sim_of(os);
    lock(s);
    uint64_t n = s->events;
    unlock(s);
    return n;
}

bool os_sim_crashed(struct os *os)
{
    struct sim *s = sim_of(os);
    lock(s);
    bool crashed = s->crashed;
    unlock(s);
    return crashed;
}

static void settle_tree(struct sim *s)
{
    size_t keep = (size_t)roll(s, s->pending_n + 1);
    for (size_t i = 0; i < s->pending_n; i++) {
        if (i < keep) apply_tree(&s->disk, &s->pending[i]);
        forget(&s->pending[i]);
    }
    s->pending_n = 0;
    names_drop_orphans(&s->disk);
    names_copy(&s->live, &s->disk);
}

void os_sim_reboot(struct os *os)
{
    struct sim *s = sim_of(os);
    lock(s);
    for (struct sim_handle *h = s->handles; h; h = h->next) h->file = NULL;
    for (struct inode *f = s->inodes; f; f = f->next) f->owned = false;
    /* When only the process died, the operating system lives on with all that is pending. */
    if (!s->faults.process_only) {
        settle_tree(s);
        sweep(s);
        for (struct inode *f = s->inodes; f; f = f->next) {
            settle_file(s, f);
            chunks_copy(&f->live, &f->disk);
        }
    }
    s->faults = (struct os_sim_faults){0};
    s->crashed = false;
    unlock(s);
}

void os_sim_advance(struct os *os, uint64_t us)
{
    struct sim *s = sim_of(os);
    lock(s);
    s->wall_us += us;
    s->mono_us += us;
    unlock(s);
}

static void flip(struct chunks *c, uint64_t off, unsigned bit)
{
    uint8_t byte;
    if (chunks_read(c, off, &byte, 1) == 0) return; /* not in this view yet */
    byte ^= (uint8_t)(1u << bit);
    chunks_write(c, off, &byte, 1);
}

int os_sim_flip(struct os *os, const char *path, uint64_t off, unsigned bit)
{
    struct sim *s = sim_of(os);
    char *clean = names_clean(path);
    void *file = NULL;
    lock(s);
    int rc = names_find(&s->live, clean, &file) && file ? E_OK : E_NOTFOUND;
    struct inode *f = rc == E_OK ? file : NULL;
    if (rc == E_OK && (bit > 7 || off >= f->live.size)) rc = E_INVALID;
    if (rc == E_OK) {
        flip(&f->live, off, bit);
        flip(&f->disk, off, bit);
    }
    unlock(s);
    mem_free(clean);
    return rc;
}
