/* The real operating system.
 *
 * Reads of an OS_MAPPED file are copies out of a shared read-only mapping: no
 * system call, and the page cache is the only copy. A page that cannot be read
 * (bad sector, file cut behind our back) raises SIGBUS in the copying thread;
 * the handler jumps back into the copy, which then reports E_IO. The handler
 * acts only for a thread that is inside such a copy and an address inside that
 * mapping; every other SIGBUS goes to whoever handled it before.
 *
 * The lock is an open-file-description lock: it belongs to the opened file, not
 * to the process, so a second opening in one process is refused as well, and
 * closing some other descriptor of the file does not drop it. On a read-only file
 * system it is a shared one: nobody writes through this mount, and who does
 * through another is still seen. */
#include "base/mem.h"
#include "base/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define FILE_MODE 0600
#define DIR_MODE 0700

struct posix_file {
    int fd;
    uint8_t *map; /* NULL unless OS_MAPPED and not empty */
    size_t map_n;
    char path[]; /* for messages */
};

static struct posix_file *file_of(struct os_file *f) { return (struct posix_file *)(void *)f; }

/* The code for errno. What is an incident is recorded here, where it is seen first. */
static int fail(const char *what, const char *path)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR: return E_NOTFOUND;
    case EEXIST:
    case ENOTEMPTY: return E_EXISTS;
    case ENOSPC:
    case EDQUOT: return err_note(E_NOSPACE, "%s %s", what, path);
    default: return err_note(E_IO, "%s %s", what, path);
    }
}

static struct posix_file *new_file(int fd, const char *path)
{
    size_t n = strlen(path) + 1;
    struct posix_file *f = mem_zalloc(sizeof *f + n);
    f->fd = fd;
    memcpy(f->path, path, n);
    return f;
}

static int open_retry(const char *path, int flags)
{
    int fd;
    do fd = open(path, flags | O_CLOEXEC, FILE_MODE);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* ---- mapped reads ---- */

static struct sigaction bus_before; /* written once, before the handler can run */
static pthread_once_t bus_once = PTHREAD_ONCE_INIT;
static _Thread_local sigjmp_buf copy_fault;
static _Thread_local const uint8_t *volatile copy_from; /* NULL: not inside a copy */
static _Thread_local volatile size_t copy_n;

static void on_bus(int sig, siginfo_t *info, void *context)
{
    const uint8_t *from = copy_from;
    const uint8_t *at = info->si_addr;
    if (from != NULL && at >= from && at < from + copy_n) {
        /* The jump leaves the handler for good without restoring the signal mask. Saving the mask at each
         * copy would cost a system call; here it costs only who faults. */
        const ucontext_t *interrupted = context;
        pthread_sigmask(SIG_SETMASK, &interrupted->uc_sigmask, NULL);
        siglongjmp(copy_fault, 1);
    }
    if (bus_before.sa_flags & SA_SIGINFO) {
        bus_before.sa_sigaction(sig, info, context);
    } else if (bus_before.sa_handler == SIG_DFL || bus_before.sa_handler == SIG_IGN) {
        signal(SIGBUS, SIG_DFL); /* the instruction runs again on return and the process ends */
    } else {
        bus_before.sa_handler(sig);
    }
}

static void install_bus_handler(void)
{
    struct sigaction sa = {0};
    sa.sa_sigaction = on_bus;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&sa.sa_mask);
    sigaction(SIGBUS, &sa, &bus_before);
}

static bool guarded_copy(void *to, const uint8_t *from, size_t n)
{
    copy_n = n;
    copy_from = from;
    if (sigsetjmp(copy_fault, 0) != 0) {
        copy_from = NULL;
        return false;
    }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    memcpy(to, from, n);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    copy_from = NULL;
    return true;
}

static int map_file(struct posix_file *f)
{
    struct stat st;
    if (fstat(f->fd, &st) != 0) return fail("size of", f->path);
    if (st.st_size == 0) return E_OK;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, f->fd, 0);
    if (p == MAP_FAILED) return fail("map", f->path);
    pthread_once(&bus_once, install_bus_handler);
    f->map = p;
    f->map_n = (size_t)st.st_size;
    return E_OK;
}

/* ---- files ---- */

static void posix_forget(struct os *os, struct os_file *file)
{
    struct posix_file *f = file_of(file);
    if (f->map) (void)madvise(f->map, f->map_n, MADV_DONTNEED); /* shared and never written: nothing is lost */
}

static void posix_close(struct os *os, struct os_file *file)
{
    struct posix_file *f = file_of(file);
    if (f->map) munmap(f->map, f->map_n);
    close(f->fd); /* never repeated: the descriptor is gone even after EINTR */
    mem_free(f);
}

static int posix_open(struct os *os, const char *path, unsigned flags, struct os_file **out)
{
    int how = flags & OS_WRITE ? O_RDWR | O_CREAT : O_RDONLY;
    if (flags & OS_EXCLUSIVE) how |= O_EXCL;
    if (flags & OS_TRUNCATE) how |= O_TRUNC;
    int fd = open_retry(path, how);
    if (fd < 0) return fail("open", path);
    struct posix_file *f = new_file(fd, path);
    struct os_file *file = (struct os_file *)(void *)f;
    if (flags & OS_MAPPED) {
        int rc = map_file(f);
        if (rc < 0) {
            posix_close(os, file);
            return rc;
        }
    }
    *out = file;
    return E_OK;
}

static int posix_read(struct os *os, struct os_file *file, uint64_t off, void *p, size_t n, size_t *got)
{
    struct posix_file *f = file_of(file);
    if (f->map && off <= f->map_n) {
        size_t take = f->map_n - off < n ? (size_t)(f->map_n - off) : n;
        if (take > 0 && !guarded_copy(p, f->map + off, take)) {
            errno = EIO;
            return err_note(E_IO, "read %s at %llu", f->path, (unsigned long long)off);
        }
        *got = take;
        return E_OK;
    }
    size_t done = 0;
    while (done < n) {
        ssize_t did = pread(f->fd, (uint8_t *)p + done, n - done, (off_t)(off + done));
        if (did < 0 && errno == EINTR) continue;
        if (did < 0) return fail("read", f->path);
        if (did == 0) break;
        done += (size_t)did;
    }
    *got = done;
    return E_OK;
}

static int posix_write(struct os *os, struct os_file *file, uint64_t off, const void *p, size_t n)
{
    struct posix_file *f = file_of(file);
    size_t done = 0;
    while (done < n) {
        ssize_t did = pwrite(f->fd, (const uint8_t *)p + done, n - done, (off_t)(off + done));
        if (did < 0 && errno == EINTR) continue;
        if (did == 0) errno = EIO; /* no progress and no error: do not spin on it */
        if (did <= 0) return fail("write", f->path);
        done += (size_t)did;
    }
    return E_OK;
}

static int posix_sync(struct os *os, struct os_file *file)
{
    /* Not repeated on failure: the kernel may have dropped the pages, so a second success would lie. */
    if (fdatasync(file_of(file)->fd) != 0) return fail("sync", file_of(file)->path);
    return E_OK;
}

static int posix_size(struct os *os, struct os_file *file, uint64_t *out)
{
    struct stat st;
    if (fstat(file_of(file)->fd, &st) != 0) return fail("size of", file_of(file)->path);
    *out = (uint64_t)st.st_size;
    return E_OK;
}

static int posix_truncate(struct os *os, struct os_file *file, uint64_t size)
{
    int rc;
    do rc = ftruncate(file_of(file)->fd, (off_t)size);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? E_OK : fail("truncate", file_of(file)->path);
}

static int posix_extend(struct os *os, struct os_file *file, uint64_t size)
{
    struct posix_file *f = file_of(file);
    struct stat st;
    int rc;
    if (size == 0) return E_OK;
    do rc = fallocate(f->fd, 0, 0, (off_t)size);
    while (rc != 0 && errno == EINTR);
    if (rc == 0) return E_OK;
    if (errno != EOPNOTSUPP && errno != ENOSYS) return fail("extend", f->path);
    /* A file system that cannot reserve: the size alone still saves metadata updates. */
    if (fstat(f->fd, &st) != 0) return fail("size of", f->path);
    return (uint64_t)st.st_size >= size ? E_OK : posix_truncate(os, file, size);
}

static int posix_remove(struct os *os, const char *path)
{
    return remove(path) == 0 ? E_OK : fail("remove", path);
}

static int posix_rename(struct os *os, const char *from, const char *to)
{
    return rename(from, to) == 0 ? E_OK : fail("rename", from);
}

/* ---- directories ---- */

static int make_one(const char *path)
{
    struct stat st;
    if (mkdir(path, DIR_MODE) == 0) return E_OK;
    if (errno != EEXIST) return fail("mkdir", path);
    if (stat(path, &st) != 0) return fail("mkdir", path);
    return S_ISDIR(st.st_mode) ? E_OK : E_EXISTS;
}

static int posix_mkdir(struct os *os, const char *path)
{
    char *copy = mem_strdup(path);
    int rc = E_OK;
    for (char *slash = copy + 1; rc == E_OK && *slash; slash++) {
        if (*slash != '/') continue;
        *slash = 0;
        rc = make_one(copy);
        *slash = '/';
    }
    if (rc == E_OK) rc = make_one(copy);
    mem_free(copy);
    return rc;
}

static int posix_list(struct os *os, const char *path, os_list_fn fn, void *ctx)
{
    DIR *d = opendir(path);
    int rc = E_OK;
    if (d == NULL) return fail("list", path);
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (e == NULL) {
            if (errno != 0) rc = fail("list", path);
            break;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        rc = fn(ctx, e->d_name);
        if (rc != 0) break;
    }
    closedir(d);
    return rc;
}

static int posix_sync_dir(struct os *os, const char *path)
{
    int fd = open_retry(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return fail("open directory", path);
    int rc = fsync(fd) == 0 ? E_OK : fail("sync directory", path);
    close(fd);
    return rc;
}

static int posix_lock(struct os *os, const char *path, struct os_file **out)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open_retry(path, O_RDWR | O_CREAT), rc;
    if (fd < 0 && errno == EROFS) {
        fd = open_retry(path, O_RDONLY);
        whole.l_type = F_RDLCK;
    }
    if (fd < 0) return fail("open lock", path);
    do rc = fcntl(fd, F_OFD_SETLK, &whole);
    while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        rc = errno == EAGAIN || errno == EACCES ? E_LOCKED : fail("lock", path);
        close(fd);
        return rc;
    }
    *out = (struct os_file *)(void *)new_file(fd, path);
    return E_OK;
}

/* ---- clock and randomness ---- */

static uint64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t posix_wall_us(struct os *os) { return clock_us(CLOCK_REALTIME); }
static uint64_t posix_mono_us(struct os *os) { return clock_us(CLOCK_MONOTONIC); }

/* Random bytes come from the kernel; small requests through a pool of each thread's own, since 16 bytes of the kernel's ChaCha cost 50 ns.
 *
 * Where the processor has AES instructions, the pool is the key stream of AES-128 in counter mode under a key from the kernel, with the key
 * erased as it goes ("fast key erasure"): 16 bytes of every refill become the next key and are never handed out, and what was handed
 * out is zeroed. So neither the pool nor the key at any moment tells what was handed out before. After REKEY_BYTES a key comes from the
 * kernel again, so a key seen once tells a bounded part of what follows, and one key makes one refill of 256 blocks, far below where
 * counter mode could be told from chance.
 *
 * That is enough for what the engine takes it for: salts, which must be unguessable and must not repeat, by someone who sees other salts
 * (each node shows its own to whoever may read the node) but not the process's memory; whoever sees that sees the values themselves.
 * A child of fork would repeat its parent's stream: it drops the pool. Elsewhere the pool is filled by the kernel. */
#define POOL_BYTES 4096
#define KEY_BYTES 16
#define REKEY_BYTES (1u << 20)

struct pool {
    uint8_t bytes[POOL_BYTES];
    uint8_t key[KEY_BYTES];
    size_t left;      /* in bytes[0 .. left) */
    size_t key_left;  /* bytes until a new key from the kernel; 0 = no key yet */
    unsigned forks;
};
static _Thread_local struct pool pool;
static _Atomic unsigned forks;

static void kernel_random(void *p, size_t n)
{
    uint8_t *to = p;
    while (n > 0) {
        ssize_t did = getrandom(to, n, 0);
        ASSERT(did > 0 || (did < 0 && errno == EINTR)); /* nothing else can happen, and nothing else may pass */
        if (did < 0) continue;
        to += did;
        n -= (size_t)did;
    }
}

static void note_fork(void) { atomic_fetch_add(&forks, 1); }

#ifdef __x86_64__
#define AES_NI __attribute__((target("aes,sse4.1")))
#define AES_ROUNDS 10
#define AES_LANES 8 /* blocks at once: a round waits for the one before it, eight blocks fill the wait */

static bool has_aes; /* written once, before main */

AES_NI static __m128i next_round_key(__m128i key, __m128i assist)
{
    assist = _mm_shuffle_epi32(assist, 0xff);
    for (int i = 0; i < 3; i++) key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    return _mm_xor_si128(key, assist);
}

/* FIPS 197, key expansion of AES-128. */
AES_NI static void expand_key(const uint8_t key[KEY_BYTES], __m128i round[AES_ROUNDS + 1])
{
    round[0] = _mm_loadu_si128((const __m128i *)(const void *)key);
#define ROUND_KEY(i, constant) round[i] = next_round_key(round[(i) - 1], _mm_aeskeygenassist_si128(round[(i) - 1], constant))
    ROUND_KEY(1, 0x01), ROUND_KEY(2, 0x02), ROUND_KEY(3, 0x04), ROUND_KEY(4, 0x08), ROUND_KEY(5, 0x10);
    ROUND_KEY(6, 0x20), ROUND_KEY(7, 0x40), ROUND_KEY(8, 0x80), ROUND_KEY(9, 0x1b), ROUND_KEY(10, 0x36);
#undef ROUND_KEY
}

/* Fills out with the encryptions of 0, 1, 2 …; n is a multiple of eight blocks. */
AES_NI static void key_stream(const uint8_t key[KEY_BYTES], uint8_t *out, size_t n)
{
    __m128i round[AES_ROUNDS + 1], x[AES_LANES];
    expand_key(key, round);
    for (size_t at = 0; at < n; at += sizeof x) {
        for (int i = 0; i < AES_LANES; i++) x[i] = _mm_xor_si128(_mm_set_epi64x(0, (long long)(at / 16) + i), round[0]);
        for (int r = 1; r < AES_ROUNDS; r++)
            for (int i = 0; i < AES_LANES; i++) x[i] = _mm_aesenc_si128(x[i], round[r]);
        for (int i = 0; i < AES_LANES; i++) _mm_storeu_si128((__m128i *)(void *)(out + at + 16 * (size_t)i), _mm_aesenclast_si128(x[i], round[AES_ROUNDS]));
    }
    explicit_bzero(round, sizeof round);
}

__attribute__((constructor)) static void choose(void)
{
    __builtin_cpu_init();
    has_aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1") && pthread_atfork(NULL, NULL, note_fork) == 0;
}
#else
#define has_aes false
#define key_stream(key, out, n) ((void)0)
#endif

static void refill(struct pool *p)
{
    p->forks = atomic_load_explicit(&forks, memory_order_relaxed);
    p->left = POOL_BYTES;
    if (!has_aes) {
        kernel_random(p->bytes, POOL_BYTES);
        return;
    }
    if (p->key_left < POOL_BYTES) {
        kernel_random(p->key, KEY_BYTES);
        p->key_left = REKEY_BYTES;
    }
    key_stream(p->key, p->bytes, POOL_BYTES);
    p->key_left -= POOL_BYTES;
    p->left -= KEY_BYTES; /* the last bytes: the pool is handed out from its end */
    memcpy(p->key, p->bytes + p->left, KEY_BYTES);
    explicit_bzero(p->bytes + p->left, KEY_BYTES);
}

static void posix_random(struct os *os, void *out, size_t n)
{
    struct pool *p = &pool;
    if (n > POOL_BYTES / 4) {
        kernel_random(out, n);
        return;
    }
    if (p->forks != atomic_load_explicit(&forks, memory_order_relaxed)) p->left = p->key_left = 0;
    if (p->left < n) refill(p);
    if (n == 0) return;
    p->left -= n;
    memcpy(out, p->bytes + p->left, n);
    explicit_bzero(p->bytes + p->left, n); /* handed out once, found nowhere afterwards */
}

struct os *os_posix(void)
{
    static const struct os_ops ops = {
        .open = posix_open, .close = posix_close, .read = posix_read, .write = posix_write, .sync = posix_sync,
        .size = posix_size, .forget = posix_forget, .truncate = posix_truncate, .extend = posix_extend, .remove = posix_remove,
        .rename = posix_rename, .mkdir = posix_mkdir, .list = posix_list, .sync_dir = posix_sync_dir, .lock = posix_lock,
        .wall_us = posix_wall_us, .mono_us = posix_mono_us, .random = posix_random,
    };
    static struct os posix = {&ops};
    return &posix;
}
