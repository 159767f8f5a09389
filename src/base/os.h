/* The operating system as an object, so that tests can replace it.
 *
 * Three implementations: POSIX; memory (the memory-only mode, and fast tests);
 * simulator (memory plus faults: it drops unsynced bytes and unsynced directory
 * entries at a "power cut", tears writes, reorders, fills up, and fails the
 * n-th call). Everything that touches a disk, a clock or randomness in
 * src/engine goes through this object.
 *
 * Paths are relative to nothing: the caller passes whole paths. Writes carry
 * their offset, so no hidden file position exists that could run ahead of the
 * books. All functions are safe to call from any thread on different files;
 * reads may run beside one writer of the same file.
 *
 * Errors: E_IO, E_NOSPACE, E_NOTFOUND (open/remove/size of a missing name),
 * E_EXISTS (OS_EXCLUSIVE). A short read at end of file is not an error: see
 * os_read. */
#ifndef VARVE_BASE_OS_H
#define VARVE_BASE_OS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct os;
struct os_file;

enum os_open_flags {
    OS_READ = 0,
    OS_WRITE = 1,      /* read and write; made if missing */
    OS_EXCLUSIVE = 2,  /* with OS_WRITE: must not exist yet */
    OS_TRUNCATE = 4,   /* with OS_WRITE: start empty */
    OS_MAPPED = 8,     /* a file that will not grow: reads are copies out of a mapping
                          (a failing page is reported as E_IO, not as a signal) */
};

typedef int (*os_list_fn)(void *ctx, const char *name); /* base names; nonzero stops and is returned */

struct os_ops {
    int (*open)(struct os *, const char *path, unsigned flags, struct os_file **out);
    void (*close)(struct os *, struct os_file *);
    int (*read)(struct os *, struct os_file *, uint64_t off, void *p, size_t n, size_t *got);
    int (*write)(struct os *, struct os_file *, uint64_t off, const void *p, size_t n);
    int (*sync)(struct os *, struct os_file *);
    int (*size)(struct os *, struct os_file *, uint64_t *out);
    void (*forget)(struct os *, struct os_file *); /* may be NULL */
    int (*truncate)(struct os *, struct os_file *, uint64_t size);
    int (*extend)(struct os *, struct os_file *, uint64_t size);
    int (*remove)(struct os *, const char *path);
    int (*rename)(struct os *, const char *from, const char *to);
    int (*mkdir)(struct os *, const char *path);
    int (*list)(struct os *, const char *path, os_list_fn fn, void *ctx);
    int (*sync_dir)(struct os *, const char *path);
    int (*lock)(struct os *, const char *path, struct os_file **out);
    uint64_t (*wall_us)(struct os *);
    uint64_t (*mono_us)(struct os *);
    void (*random)(struct os *, void *p, size_t n);
    void (*destroy)(struct os *);
};

/* Implementations embed this as their first member. */
struct os {
    const struct os_ops *ops;
};

API struct os *os_posix(void);        /* the one shared instance; never destroyed */
API struct os *os_memory_new(void);   /* an empty in-memory file system; real clock and randomness */
API void os_free(struct os **os);     /* destroys a memory or simulated one; no-op for POSIX */

/* Thin calls: MUST_CHECK and argument assertions live here. */
API int os_open(struct os *, const char *path, unsigned flags, struct os_file **out) MUST_CHECK;
API void os_close(struct os *, struct os_file **f); /* nulls *f; NULL is fine */
/* Reads up to n bytes at off; *got < n only at end of file. */
API int os_read(struct os *, struct os_file *, uint64_t off, void *p, size_t n, size_t *got) MUST_CHECK;
/* All n bytes or an error (E_CORRUPT, not logged here, when the file is shorter). */
API int os_read_full(struct os *, struct os_file *, uint64_t off, void *p, size_t n) MUST_CHECK;
API int os_write(struct os *, struct os_file *, uint64_t off, const void *p, size_t n) MUST_CHECK;
API int os_sync(struct os *, struct os_file *) MUST_CHECK; /* data and size (fdatasync) */
API int os_size(struct os *, struct os_file *, uint64_t *out) MUST_CHECK;
/* Lets go of what a mapping of the file holds in memory; reads fetch it again. Any thread, also beside reads. */
API void os_forget(struct os *, struct os_file *);
API int os_truncate(struct os *, struct os_file *, uint64_t size) MUST_CHECK;
/* Reserves space and sets the size if smaller; new bytes read as zero. E_NOSPACE early. */
API int os_extend(struct os *, struct os_file *, uint64_t size) MUST_CHECK;
API int os_remove(struct os *, const char *path) MUST_CHECK;
API int os_rename(struct os *, const char *from, const char *to) MUST_CHECK; /* replaces `to` */
API int os_mkdir(struct os *, const char *path) MUST_CHECK; /* with parents; existing is fine */
API int os_list(struct os *, const char *path, os_list_fn fn, void *ctx) MUST_CHECK;
API int os_sync_dir(struct os *, const char *path) MUST_CHECK;
/* Exclusive advisory lock held until closed; E_LOCKED when another process (or another
 * holder in this one) has it. */
API int os_lock(struct os *, const char *path, struct os_file **out) MUST_CHECK;
API uint64_t os_wall_us(struct os *);  /* Unix time */
API uint64_t os_mono_us(struct os *);  /* never goes back; arbitrary origin */
API void os_random(struct os *, void *p, size_t n); /* unpredictable bytes (buffered per thread) */

/* Helpers over the object. */
API int os_read_file(struct os *, const char *path, size_t max, struct buf *out) MUST_CHECK; /* appends; E_TOOBIG over max */
/* Writes `dir/name.tmp`, syncs it, renames it over `dir/name`, syncs the directory. Calls for one name take turns. */
API int os_replace_file(struct os *, const char *dir, const char *name, slice content) MUST_CHECK;

#endif
