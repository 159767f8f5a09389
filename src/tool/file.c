#include "tool/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void path_of(char out[4096], const char *dir, const char *name)
{
    (void)snprintf(out, 4096, "%s%s%s", dir ? dir : "", dir ? "/" : "", name);
}

int file_open(struct file *f, const char *dir, const char *name)
{
    char path[4096];
    struct stat st;
    path_of(path, dir, name);
    *f = (struct file){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (f->fd < 0) return errno == ENOENT || errno == ENOTDIR ? E_NOTFOUND : E_IO;
    if (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        file_close(f);
        return E_IO;
    }
    f->size = (uint64_t)st.st_size;
    return E_OK;
}

void file_close(struct file *f)
{
    if (f->fd >= 0) close(f->fd);
    buf_fini(&f->window);
    *f = (struct file){.fd = -1};
}

const uint8_t *file_at(struct file *f, uint64_t off, size_t n)
{
    static const uint8_t nothing[1];
    if (off > f->size || n > f->size - off) return NULL;
    if (n == 0) return nothing;
    if (off >= f->window_at && off + n <= f->window_at + f->window.n) return f->window.p + (off - f->window_at);
    size_t want = n > FILE_WINDOW_BYTES ? n : FILE_WINDOW_BYTES, got = 0;
    if (want > f->size - off) want = (size_t)(f->size - off);
    buf_clear(&f->window);
    buf_reserve(&f->window, want);
    while (got < want) {
        ssize_t k = pread(f->fd, f->window.p + got, want - got, (off_t)(off + got));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break; /* what was read before a bad place still counts */
        got += (size_t)k;
    }
    f->window.n = got;
    f->window_at = off;
    return got >= n ? f->window.p : NULL;
}

bool file_is_zero(struct file *f, uint64_t from, uint64_t to)
{
    while (from < to) {
        size_t n = to - from < 4096 ? (size_t)(to - from) : 4096;
        const uint8_t *p = file_at(f, from, n);
        if (!p) return false;
        for (size_t i = 0; i < n; i++)
            if (p[i]) return false;
        from += n;
    }
    return true;
}

bool file_exists(const char *dir, const char *name)
{
    char path[4096];
    struct stat st;
    path_of(path, dir, name);
    return stat(path, &st) == 0;
}

int file_load(const char *dir, const char *name, uint64_t max, struct buf *out)
{
    struct file f;
    int rc = file_open(&f, dir, name);
    if (rc) return rc;
    if (f.size > max) {
        rc = E_TOOBIG;
    } else {
        const uint8_t *p = file_at(&f, 0, (size_t)f.size);
        if (p) buf_add(out, p, (size_t)f.size);
        else rc = E_IO;
    }
    file_close(&f);
    return rc;
}
