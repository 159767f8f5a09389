/* Preloaded into a server under test: writes and syncs fail with EIO as long as the file named by VARVE_FAULT exists. Its first byte says which:
 * `s` syncs, `w` writes (nothing is written), `h` writes (half of the bytes are, and then it fails: the file is ahead of the books). */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

typedef ssize_t (*pwrite_fn)(int, const void *, size_t, off_t);
typedef int (*sync_fn)(int);

static char fault(void)
{
    const char *path = getenv("VARVE_FAULT");
    char c = 0;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    if (read(fd, &c, 1) != 1) c = 0;
    close(fd);
    return c;
}

static ssize_t write_or_fail(const char *name, int fd, const void *p, size_t n, off_t off)
{
    pwrite_fn real = (pwrite_fn)dlsym(RTLD_NEXT, name);
    char f = fault();
    if (f == 'h' && n > 1) (void)!real(fd, p, n / 2, off);
    if (f != 'h' && f != 'w') return real(fd, p, n, off);
    errno = EIO;
    return -1;
}

static int sync_or_fail(const char *name, int fd)
{
    if (fault() != 's') return ((sync_fn)dlsym(RTLD_NEXT, name))(fd);
    errno = EIO;
    return -1;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
    return write_or_fail("pwrite", fd, p, n, off);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off_t off)
{
    return write_or_fail("pwrite64", fd, p, n, off);
}
int fdatasync(int fd)
{
    return sync_or_fail("fdatasync", fd);
}
int fsync(int fd)
{
    return sync_or_fail("fsync", fd);
}
