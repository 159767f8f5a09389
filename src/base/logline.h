/* Log lines for people: `PID:ROLE DD Mon YYYY HH:MM:SS.mmm LEVEL text`, as Redis
 * writes them, to standard output or a file. Thread-safe; one write per line. */
#ifndef VARVE_BASE_LOGLINE_H
#define VARVE_BASE_LOGLINE_H

#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_NOTHING };

API void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
API void log_set_level(enum log_level level);
API enum log_level log_get_level(void);
API int log_open(const char *path); /* "" = standard output; reopens; E_IO */

#endif
