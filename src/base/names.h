/* The directory tree of a file system that lives in memory: a sorted table from
 * whole paths to files, where a NULL file is a directory. `/`, `.` and relative
 * top levels exist always. Files are the owner's: the table only points to
 * them. Not thread-safe: the owner locks. */
#ifndef VARVE_BASE_NAMES_H
#define VARVE_BASE_NAMES_H

#include "base/buf.h"
#include "base/err.h"

struct name {
    char *path; /* clean: see names_clean */
    void *file; /* NULL: a directory */
};
struct names {
    struct name *v; /* sorted by path */
    size_t n, cap;
};

/* The path without doubled slashes, `.` steps and a slash at the end; the caller frees it. */
API char *names_clean(const char *path);
/* The directory that holds a clean path ("." for a bare name); the caller frees it. */
API char *names_parent(const char *path);

API void names_fini(struct names *t);
API bool names_find(const struct names *t, const char *path, void **file); /* `file` may be NULL */
API bool names_is_dir(const struct names *t, const char *path);
API bool names_has_children(const struct names *t, const char *path);
API void names_put(struct names *t, const char *path, void *file); /* adds or replaces */
API bool names_drop(struct names *t, const char *path);            /* false: was not there */
API bool names_has_parent(const struct names *t, const char *path); /* the directory it would be in exists */
/* Whether `from` may be renamed to `to`: E_NOTFOUND, E_EXISTS (a directory that is not empty), E_INVALID
 * (into itself). *replaced is the file that would go, or NULL. */
API int names_check_move(const struct names *t, const char *from, const char *to, void **replaced) MUST_CHECK;
API void names_move(struct names *t, const char *from, const char *to); /* with all below; replaces `to` */
API void names_copy(struct names *to, const struct names *from);
API void names_drop_orphans(struct names *t); /* entries whose directory is missing, repeatedly */
/* Appends the base names directly in a directory, each with its NUL. */
API void names_children(const struct names *t, const char *path, struct buf *out);

#endif
