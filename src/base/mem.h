/* Memory. Allocation never returns NULL: running out ends the process with a
 * log line that names the size asked for. The allocator behind it is chosen at
 * link time (jemalloc in release builds, the C library's in sanitizer builds).
 * mem_used() is what INFO shows as used_memory. */
#ifndef VARVE_BASE_MEM_H
#define VARVE_BASE_MEM_H

#include "base/err.h"
#include <stddef.h>

API void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull));
API void *mem_zalloc(size_t n) __attribute__((malloc, returns_nonnull));
API void *mem_realloc(void *p, size_t n) __attribute__((returns_nonnull));
API void mem_free(void *p);              /* NULL is fine */
API char *mem_strdup(const char *s) __attribute__((returns_nonnull));
API void *mem_dup(const void *p, size_t n) __attribute__((returns_nonnull)); /* adds a NUL after the copy */
API size_t mem_size(const void *p);      /* usable bytes of an allocation; 0 for NULL */
API size_t mem_used(void);               /* bytes allocated now, whole process */
API size_t mem_rss(void);                /* resident set, bytes */
API void mem_release(void);              /* gives pages that nothing lies in back to the operating system: for when a process comes to rest */
API const char *mem_allocator(void);     /* "jemalloc-5.3.0" or "libc" */

#endif
