/* The allocator behind mem_* is whichever malloc the program was linked with.
 * jemalloc announces itself by mallctl, looked up as a weak symbol, so the same
 * object file serves release and sanitizer builds. */
#include "base/mem.h"
#include "base/logline.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern int mallctl(const char *name, void *old, size_t *old_n, void *new_value, size_t new_n) __attribute__((weak));
extern int mallctlnametomib(const char *name, size_t *mib, size_t *n) __attribute__((weak));
extern int mallctlbymib(const size_t *mib, size_t mib_n, void *old, size_t *old_n, void *new_value, size_t new_n)
    __attribute__((weak));

static bool has_jemalloc(void) { return mallctl && mallctlnametomib && mallctlbymib; }

static _Noreturn void out_of_memory(size_t n)
{
    log_line(LOG_WARNING, "Out of memory: could not allocate %zu bytes", n);
    abort();
}

void *mem_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (__builtin_expect(p == NULL, 0)) out_of_memory(n);
    return p;
}

void *mem_zalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (__builtin_expect(p == NULL, 0)) out_of_memory(n);
    return p;
}

void *mem_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (__builtin_expect(q == NULL, 0)) out_of_memory(n);
    return q;
}

void mem_free(void *p) { free(p); }

void *mem_dup(const void *p, size_t n)
{
    if (n == SIZE_MAX) out_of_memory(n);
    char *q = mem_alloc(n + 1);
    if (n) memcpy(q, p, n);
    q[n] = 0;
    return q;
}

char *mem_strdup(const char *s) { return mem_dup(s, strlen(s)); }

size_t mem_size(const void *p)
{
    union {
        const void *in;
        void *out;
    } u = {p}; /* malloc_usable_size only reads, but its parameter is not const */
    return p ? malloc_usable_size(u.out) : 0;
}

static pthread_once_t mib_once = PTHREAD_ONCE_INIT;
static size_t epoch_mib[1], allocated_mib[2];

static void find_mibs(void)
{
    size_t n = 1, m = 2;
    if (mallctlnametomib("epoch", epoch_mib, &n) != 0 || mallctlnametomib("stats.allocated", allocated_mib, &m) != 0)
        epoch_mib[0] = SIZE_MAX;
}

size_t mem_used(void)
{
    if (!has_jemalloc()) {
        struct mallinfo2 m = mallinfo2();
        return m.uordblks + m.hblkhd;
    }
    pthread_once(&mib_once, find_mibs);
    uint64_t epoch = 1;
    size_t used = 0, n = sizeof used;
    if (epoch_mib[0] == SIZE_MAX) return 0;
    /* The statistics are a snapshot; writing the epoch takes a new one. */
    if (mallctlbymib(epoch_mib, 1, NULL, NULL, &epoch, sizeof epoch) != 0) return 0;
    if (mallctlbymib(allocated_mib, 2, &used, &n, NULL, 0) != 0) return 0;
    return used;
}

size_t mem_rss(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = 0;
    const char *second = strchr(text, ' ');
    return second ? (size_t)strtoull(second, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

void mem_release(void)
{
    if (!has_jemalloc()) {
        (void)malloc_trim(0);
        return;
    }
    /* 4096 stands for all arenas. */
    (void)mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
}

static char allocator_name[64] = "libc";
static pthread_once_t name_once = PTHREAD_ONCE_INIT;

static void find_name(void)
{
    const char *version = NULL;
    size_t n = sizeof version;
    if (!has_jemalloc() || mallctl("version", &version, &n, NULL, 0) != 0 || version == NULL) return;
    /* "5.3.0-0-g54ea…": the commit behind the number says nothing to a reader of INFO. */
    snprintf(allocator_name, sizeof allocator_name, "jemalloc-%.*s", (int)strcspn(version, "-"), version);
}

const char *mem_allocator(void)
{
    pthread_once(&name_once, find_name);
    return allocator_name;
}
