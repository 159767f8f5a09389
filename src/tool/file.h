/* A file that is only read, through a window that moves over it. One thread. */
#ifndef VARVE_TOOL_FILE_H
#define VARVE_TOOL_FILE_H

#include "base/buf.h"

#include <stdbool.h>

#define FILE_WINDOW_BYTES (1u << 20)

struct file {
    int fd;          /* -1: not open */
    uint64_t size;
    uint64_t window_at;
    struct buf window;
};

/* E_OK, E_NOTFOUND, E_IO (errno says why). */
int file_open(struct file *f, const char *dir, const char *name) MUST_CHECK;
void file_close(struct file *f);
/* n bytes at off, valid until the next call; NULL when they cannot be read (the file is shorter, or errno). */
const uint8_t *file_at(struct file *f, uint64_t off, size_t n);
/* Is everything in [from, to) zero? false also when it cannot be read. */
bool file_is_zero(struct file *f, uint64_t from, uint64_t to);
bool file_exists(const char *dir, const char *name);
/* Reads a whole small file; appends. E_OK, E_NOTFOUND, E_TOOBIG, E_IO. */
int file_load(const char *dir, const char *name, uint64_t max, struct buf *out) MUST_CHECK;

#endif
