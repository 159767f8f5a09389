/* A file system in memory: nothing survives the process, and syncs do nothing.
 * The clock and the randomness are the real ones.
 *
 * Threads: `lock` guards the names, the counts of references and the locks;
 * each file has a reader-writer lock for its bytes, so reads run beside one
 * another and wait only while a writer copies. */
#include "base/chunks.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/os.h"

#include <pthread.h>

struct content {
    pthread_rwlock_t lock;
    struct chunks bytes; /* under lock */
    unsigned refs;       /* names and handles; under memory.lock */
    bool owned;          /* somebody holds the os_lock of it; under memory.lock */
};

struct memory {
    struct os os;
    pthread_mutex_t lock;
    struct names names; /* under lock */
};

struct handle {
    struct content *content;
    bool writable;
    bool owner; /* holds the os_lock */
};

static struct memory *memory_of(struct os *os) { return (struct memory *)(void *)os; }
static struct handle *handle_of(struct os_file *f) { return (struct handle *)(void *)f; }

static void release(struct content *c)
{
    ASSERT(c->refs > 0);
    if (--c->refs > 0) return;
    chunks_fini(&c->bytes);
    pthread_rwlock_destroy(&c->lock);
    mem_free(c);
}

static struct content *new_content(struct memory *m, const char *path)
{
    struct content *c = mem_zalloc(sizeof *c);
    pthread_rwlock_init(&c->lock, NULL);
    c->refs = 1;
    names_put(&m->names, path, c);
    return c;
}

/* Finds or makes the file of a clean path; lock held. */
static int find_content(struct memory *m, const char *path, unsigned flags, struct content **out)
{
    void *file = NULL;
    if (names_find(&m->names, path, &file)) {
        if (file == NULL) return E_IO; /* a directory */
        if (flags & OS_EXCLUSIVE) return E_EXISTS;
        *out = file;
        return E_OK;
    }
    if (!(flags & OS_WRITE) || !names_has_parent(&m->names, path)) return E_NOTFOUND;
    *out = new_content(m, path);
    return E_OK;
}

static int open_common(struct memory *m, const char *path, unsigned flags, bool own, struct os_file **out)
{
    char *clean = names_clean(path);
    struct content *c = NULL;
    pthread_mutex_lock(&m->lock);
    int rc = find_content(m, clean, flags, &c);
    if (rc == E_OK && own && c->owned) rc = E_LOCKED;
    if (rc == E_OK) {
        struct handle *h = mem_zalloc(sizeof *h);
        *h = (struct handle){c, (flags & OS_WRITE) != 0, own};
        c->refs++;
        c->owned = c->owned || own;
        *out = (struct os_file *)(void *)h;
    }
    pthread_mutex_unlock(&m->lock);
    mem_free(clean);
    return rc;
}

static int memory_open(struct os *os, const char *path, unsigned flags, struct os_file **out)
{
    int rc = open_common(memory_of(os), path, flags, false, out);
    if (rc == E_OK && (flags & OS_TRUNCATE)) rc = os->ops->truncate(os, *out, 0);
    return rc;
}

static int memory_lock(struct os *os, const char *path, struct os_file **out)
{
    return open_common(memory_of(os), path, OS_WRITE, true, out);
}

static void memory_close(struct os *os, struct os_file *f)
{
    struct memory *m = memory_of(os);
    struct handle *h = handle_of(f);
    pthread_mutex_lock(&m->lock);
    if (h->owner) h->content->owned = false;
    release(h->content);
    pthread_mutex_unlock(&m->lock);
    mem_free(h);
}

static int memory_read(struct os *os, struct os_file *f, uint64_t off, void *p, size_t n, size_t *got)
{
    struct content *c = handle_of(f)->content;
    pthread_rwlock_rdlock(&c->lock);
    *got = chunks_read(&c->bytes, off, p, n);
    pthread_rwlock_unlock(&c->lock);
    return E_OK;
}

static int memory_write(struct os *os, struct os_file *f, uint64_t off, const void *p, size_t n)
{
    struct content *c = handle_of(f)->content;
    ASSERT(handle_of(f)->writable);
    pthread_rwlock_wrlock(&c->lock);
    chunks_write(&c->bytes, off, p, n);
    pthread_rwlock_unlock(&c->lock);
    return E_OK;
}

static int memory_sync(struct os *os, struct os_file *f) { return E_OK; }

static int memory_size(struct os *os, struct os_file *f, uint64_t *out)
{
    struct content *c = handle_of(f)->content;
    pthread_rwlock_rdlock(&c->lock);
    *out = c->bytes.size;
    pthread_rwlock_unlock(&c->lock);
    return E_OK;
}

static void resize(struct os_file *f, uint64_t size, bool may_shrink)
{
    struct content *c = handle_of(f)->content;
    ASSERT(handle_of(f)->writable);
    pthread_rwlock_wrlock(&c->lock);
    if (may_shrink || size > c->bytes.size) chunks_resize(&c->bytes, size);
    pthread_rwlock_unlock(&c->lock);
}

static int memory_truncate(struct os *os, struct os_file *f, uint64_t size)
{
    resize(f, size, true);
    return E_OK;
}

static int memory_extend(struct os *os, struct os_file *f, uint64_t size)
{
    resize(f, size, false);
    return E_OK;
}

static int memory_remove(struct os *os, const char *path)
{
    struct memory *m = memory_of(os);
    char *clean = names_clean(path);
    void *file = NULL;
    int rc = E_OK;
    pthread_mutex_lock(&m->lock);
    if (!names_find(&m->names, clean, &file))
        rc = E_NOTFOUND;
    else if (file == NULL && names_has_children(&m->names, clean))
        rc = E_EXISTS;
    if (rc == E_OK) names_drop(&m->names, clean);
    if (rc == E_OK && file) release(file);
    pthread_mutex_unlock(&m->lock);
    mem_free(clean);
    return rc;
}

static int memory_rename(struct os *os, const char *from_path, const char *to_path)
{
    struct memory *m = memory_of(os);
    char *from = names_clean(from_path), *to = names_clean(to_path);
    void *replaced = NULL;
    pthread_mutex_lock(&m->lock);
    int rc = names_check_move(&m->names, from, to, &replaced);
    if (rc == E_OK) names_move(&m->names, from, to);
    if (rc == E_OK && replaced) release(replaced);
    pthread_mutex_unlock(&m->lock);
    mem_free(from);
    mem_free(to);
    return rc;
}

static int memory_mkdir(struct os *os, const char *path)
{
    struct memory *m = memory_of(os);
    char *clean = names_clean(path);
    int rc = E_OK;
    pthread_mutex_lock(&m->lock);
    for (char *end = clean + 1; rc == E_OK; end++) {
        if (*end != '/' && *end != 0) continue;
        char *level = mem_dup(clean, (size_t)(end - clean));
        void *file = NULL;
        if (names_find(&m->names, level, &file))
            rc = file ? E_EXISTS : E_OK;
        else if (!names_is_dir(&m->names, level))
            names_put(&m->names, level, NULL);
        mem_free(level);
        if (*end == 0) break;
    }
    pthread_mutex_unlock(&m->lock);
    mem_free(clean);
    return rc;
}

static int memory_list(struct os *os, const char *path, os_list_fn fn, void *ctx)
{
    struct memory *m = memory_of(os);
    char *clean = names_clean(path);
    struct buf children = {0};
    pthread_mutex_lock(&m->lock);
    int rc = names_is_dir(&m->names, clean) ? E_OK : E_NOTFOUND;
    if (rc == E_OK) names_children(&m->names, clean, &children);
    pthread_mutex_unlock(&m->lock);
    /* From a copy: the callback may remove what it is shown. */
    for (size_t i = 0; rc == E_OK && i < children.n; i += strlen((char *)children.p + i) + 1)
        rc = fn(ctx, (char *)children.p + i);
    buf_fini(&children);
    mem_free(clean);
    return rc;
}

static int memory_sync_dir(struct os *os, const char *path)
{
    struct memory *m = memory_of(os);
    char *clean = names_clean(path);
    pthread_mutex_lock(&m->lock);
    bool yes = names_is_dir(&m->names, clean);
    pthread_mutex_unlock(&m->lock);
    mem_free(clean);
    return yes ? E_OK : E_NOTFOUND;
}

static uint64_t memory_wall_us(struct os *os) { return os_wall_us(os_posix()); }
static uint64_t memory_mono_us(struct os *os) { return os_mono_us(os_posix()); }
static void memory_random(struct os *os, void *p, size_t n) { os_random(os_posix(), p, n); }

static void memory_destroy(struct os *os)
{
    struct memory *m = memory_of(os);
    for (size_t i = 0; i < m->names.n; i++)
        if (m->names.v[i].file) release(m->names.v[i].file);
    names_fini(&m->names);
    pthread_mutex_destroy(&m->lock);
    mem_free(m);
}

struct os *os_memory_new(void)
{
    static const struct os_ops ops = {
        .open = memory_open, .close = memory_close, .read = memory_read, .write = memory_write, .sync = memory_sync,
        .size = memory_size, .truncate = memory_truncate, .extend = memory_extend, .remove = memory_remove,
        .rename = memory_rename, .mkdir = memory_mkdir, .list = memory_list, .sync_dir = memory_sync_dir,
        .lock = memory_lock, .wall_us = memory_wall_us, .mono_us = memory_mono_us, .random = memory_random,
        .destroy = memory_destroy,
    };
    struct memory *m = mem_zalloc(sizeof *m);
    m->os.ops = &ops;
    pthread_mutex_init(&m->lock, NULL);
    return &m->os;
}
