/* The thin calls check what a caller may get wrong, so that each implementation
 * needs to check only what the world may get wrong. */
#include "base/os.h"

#define OPEN_FLAGS_ALL (OS_WRITE | OS_EXCLUSIVE | OS_TRUNCATE | OS_MAPPED)
#define FILE_MAX_BYTES ((uint64_t)1 << 62) /* keeps every off_t in range */

void os_free(struct os **os)
{
    if (*os == NULL) return;
    if ((*os)->ops->destroy) (*os)->ops->destroy(*os);
    *os = NULL;
}

int os_open(struct os *os, const char *path, unsigned flags, struct os_file **out)
{
    ASSERT(path != NULL && path[0] != 0 && (flags & ~(unsigned)OPEN_FLAGS_ALL) == 0);
    ASSERT((flags & OS_WRITE) || !(flags & (OS_EXCLUSIVE | OS_TRUNCATE)));
    ASSERT(!((flags & OS_WRITE) && (flags & OS_MAPPED)));
    return os->ops->open(os, path, flags, out);
}

void os_close(struct os *os, struct os_file **f)
{
    if (*f == NULL) return;
    os->ops->close(os, *f);
    *f = NULL;
}

int os_read(struct os *os, struct os_file *f, uint64_t off, void *p, size_t n, size_t *got)
{
    ASSERT(f != NULL && (p != NULL || n == 0) && got != NULL);
    ASSERT(off <= FILE_MAX_BYTES && n <= FILE_MAX_BYTES);
    return os->ops->read(os, f, off, p, n, got);
}

int os_read_full(struct os *os, struct os_file *f, uint64_t off, void *p, size_t n)
{
    size_t got = 0;
    int rc = os_read(os, f, off, p, n, &got);
    return rc < 0 ? rc : got == n ? E_OK : E_CORRUPT;
}

int os_write(struct os *os, struct os_file *f, uint64_t off, const void *p, size_t n)
{
    ASSERT(f != NULL && (p != NULL || n == 0));
    ASSERT(off <= FILE_MAX_BYTES && n <= FILE_MAX_BYTES);
    return os->ops->write(os, f, off, p, n);
}

int os_sync(struct os *os, struct os_file *f)
{
    ASSERT(f != NULL);
    return os->ops->sync(os, f);
}

int os_size(struct os *os, struct os_file *f, uint64_t *out)
{
    ASSERT(f != NULL && out != NULL);
    return os->ops->size(os, f, out);
}

void os_forget(struct os *os, struct os_file *f)
{
    ASSERT(os && f);
    if (os->ops->forget) os->ops->forget(os, f);
}

int os_truncate(struct os *os, struct os_file *f, uint64_t size)
{
    ASSERT(f != NULL && size <= FILE_MAX_BYTES);
    return os->ops->truncate(os, f, size);
}

int os_extend(struct os *os, struct os_file *f, uint64_t size)
{
    ASSERT(f != NULL && size <= FILE_MAX_BYTES);
    return os->ops->extend(os, f, size);
}

int os_remove(struct os *os, const char *path)
{
    ASSERT(path != NULL && path[0] != 0);
    return os->ops->remove(os, path);
}

int os_rename(struct os *os, const char *from, const char *to)
{
    ASSERT(from != NULL && from[0] != 0 && to != NULL && to[0] != 0);
    return os->ops->rename(os, from, to);
}

int os_mkdir(struct os *os, const char *path)
{
    ASSERT(path != NULL && path[0] != 0);
    return os->ops->mkdir(os, path);
}

int os_list(struct os *os, const char *path, os_list_fn fn, void *ctx)
{
    ASSERT(path != NULL && path[0] != 0 && fn != NULL);
    return os->ops->list(os, path, fn, ctx);
}

int os_sync_dir(struct os *os, const char *path)
{
    ASSERT(path != NULL && path[0] != 0);
    return os->ops->sync_dir(os, path);
}

int os_lock(struct os *os, const char *path, struct os_file **out)
{
    ASSERT(path != NULL && path[0] != 0 && out != NULL);
    return os->ops->lock(os, path, out);
}

uint64_t os_wall_us(struct os *os) { return os->ops->wall_us(os); }
uint64_t os_mono_us(struct os *os) { return os->ops->mono_us(os); }

void os_random(struct os *os, void *p, size_t n)
{
    ASSERT(p != NULL || n == 0);
    os->ops->random(os, p, n);
}

int os_read_file(struct os *os, const char *path, size_t max, struct buf *out)
{
    struct os_file *f = NULL;
    uint64_t size = 0;
    int rc = os_open(os, path, OS_READ, &f);
    if (rc == E_OK) rc = os_size(os, f, &size);
    if (rc == E_OK && size > max) rc = E_TOOBIG;
    if (rc == E_OK) {
        size_t got = 0;
        rc = os_read(os, f, 0, buf_reserve(out, (size_t)size), (size_t)size, &got);
        if (rc == E_OK) out->n += got;
    }
    os_close(os, &f);
    return rc;
}

int os_replace_file(struct os *os, const char *dir, const char *name, slice content)
{
    ASSERT(name != NULL && name[0] != 0 && strchr(name, '/') == NULL);
    struct buf path = {0}, temporary = {0};
    struct os_file *f = NULL;
    buf_printf(&path, "%s/%s%c", dir, name, 0);
    buf_printf(&temporary, "%s/%s.tmp%c", dir, name, 0);
    int rc = os_open(os, (char *)temporary.p, OS_WRITE | OS_TRUNCATE, &f);
    if (rc < 0) goto done;
    rc = os_write(os, f, 0, content.p, content.n);
    /* Synced before the rename: else the name could reach the disk before the bytes. */
    if (rc == E_OK) rc = os_sync(os, f);
    os_close(os, &f);
    if (rc == E_OK) rc = os_rename(os, (char *)temporary.p, (char *)path.p);
    if (rc == E_OK) {
        rc = os_sync_dir(os, dir);
    } else {
        int ignored = os_remove(os, (char *)temporary.p); /* the first failure is the one to report */
        (void)ignored;
    }
done:
    buf_fini(&path);
    buf_fini(&temporary);
    return rc;
}
