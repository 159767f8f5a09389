/* The sentences of the error codes, and the one place where failures are
 * recorded. A code travels up the call chain silently; only its birth is
 * logged, so one failure is one line. */
#include "base/err.h"
#include "base/logline.h"

#include <errno.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_MAX 1024 /* longest place text; longer is cut */

const char *err_text(int code)
{
    switch (code) {
    case E_OK: return "done";
    case E_IO: return "the operating system reported an input/output failure; the operation did not take effect as a whole";
    case E_NOSPACE: return "no space is left on the device; nothing was acknowledged";
    case E_CORRUPT: return "bytes do not match their checksum or format; nothing was changed";
    case E_NOTFOUND: return "nothing is there; nothing was changed";
    case E_PRUNED: return "it was there and retention has dropped it; nothing was changed";
    case E_EXISTS: return "something is there already; nothing was changed";
    case E_INVALID: return "a value is outside its documented range; nothing was changed";
    case E_TOOBIG: return "a named maximum is exceeded; nothing was changed";
    case E_STICKY: return "an earlier failure of the log stands, so writes are refused; nothing was changed";
    case E_LOCKED: return "another process owns the data directory; nothing was changed";
    case E_VERSION: return "the format version is unknown to this build; nothing was changed";
    case E_CONFLICT: return "a stated condition does not hold; nothing was changed";
    case E_BUSY: return "the same work is already running; nothing was changed, try later";
    case E_CANCELLED: return "stopped on request before it finished; what was complete stays";
    case E_AMBIGUOUS: return "more than one thing matches the prefix; nothing was changed";
    case E_UNSUPPORTED: return "not available in this mode; nothing was changed";
    case E_SYNTAX: return "the text does not parse; nothing was changed";
    case E_TIMEOUT: return "the time allowed ran out; the operation may still complete";
    case E_END: return "past the last entry; nothing was changed";
    case E_ERASED: return "the payload was destroyed on request; nothing was changed";
    case E_AGAIN: return "more input or more time is needed; nothing was changed";
    default: return "an unknown error code; whether state changed is unknown";
    }
}

/* Outcomes are not incidents. */
static bool outcome(int code)
{
    return code == E_OK || code == E_NOTFOUND || code == E_END || code == E_AGAIN;
}

int err_note(int code, const char *fmt, ...)
{
    int os_error = errno;
    char text[NOTE_MAX];
    va_list ap;
    if (outcome(code)) return code;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if ((code == E_IO || code == E_NOSPACE) && os_error != 0) {
        char why[128];
        log_line(LOG_WARNING, "%s: %s (error %d, %s)", text, err_text(code), code,
                 strerror_r(os_error, why, sizeof why));
    } else {
        log_line(LOG_WARNING, "%s: %s (error %d)", text, err_text(code), code);
    }
    errno = os_error;
    return code;
}

void assert_failed(const char *expr, const char *file, int line)
{
    log_line(LOG_WARNING, "ASSERTION FAILED: %s at %s:%d; this is a programming error, the process ends", expr, file, line);
    fprintf(stderr, "ASSERTION FAILED: %s at %s:%d\n", expr, file, line);
    abort();
}
