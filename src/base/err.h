/* Error codes shared by every layer.
 *
 * A fallible function returns int: E_OK (0) or a negative code. Each code has a
 * sentence (err_text) that says whether state changed. `E_NOTFOUND` is an
 * outcome, never an incident: it is not logged. Where an I/O error or damage is
 * first seen, err_note() records it once with its place; callers only pass the
 * code on. */
#ifndef VARVE_BASE_ERR_H
#define VARVE_BASE_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
/* Visible outside the executable, so that loaded modules can link to it. */
#define API __attribute__((visibility("default")))

enum err {
    E_OK = 0,
    E_IO = -1,          /* the OS reported a failed read, write, sync, open … */
    E_NOSPACE = -2,     /* disk full */
    E_CORRUPT = -3,     /* bytes read do not match their checksum or format */
    E_NOTFOUND = -4,    /* nothing there: an outcome */
    E_PRUNED = -5,      /* was there, dropped by retention */
    E_EXISTS = -6,      /* something is there already */
    E_INVALID = -7,     /* the caller's value is outside the documented range */
    E_TOOBIG = -8,      /* over a named maximum */
    E_STICKY = -9,      /* an earlier log failure stands; writes are refused */
    E_LOCKED = -10,     /* another process owns the data directory */
    E_VERSION = -11,    /* written by a later, unknown format version */
    E_CONFLICT = -12,   /* a stated condition does not hold */
    E_BUSY = -13,       /* already running; try later */
    E_CANCELLED = -14,  /* stopped on request before it finished */
    E_AMBIGUOUS = -15,  /* more than one thing matches the prefix */
    E_UNSUPPORTED = -16,/* not available in this mode */
    E_SYNTAX = -17,     /* text that does not parse */
    E_TIMEOUT = -18,    /* the time allowed ran out */
    E_END = -19,        /* an iterator is past its last entry: an outcome */
    E_ERASED = -20,     /* payload destroyed on request */
    E_AGAIN = -21,      /* not yet: more input or more time is needed */
};

/* The sentence for a code; never NULL, static. */
API const char *err_text(int code);

/* Records where a failure was born: one log line at warning level with code,
 * the current errno when it is E_IO, and the text. Returns `code`, so that
 * `return err_note(E_CORRUPT, "segment %s …", …)` reads well. */
API int err_note(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Assertions are for programmers' errors and stay on in production: they print
 * file, line and expression to the log and abort. Bytes from disk or network
 * are checked, never asserted. */
API _Noreturn void assert_failed(const char *expr, const char *file, int line);
#define ASSERT(e) ((e) ? (void)0 : assert_failed(#e, __FILE__, __LINE__))
/* The costly ones: only with -DVARVE_DEBUG (sanitizer and debug modes). */
#ifdef VARVE_DEBUG
#define DEBUG_ASSERT(e) ASSERT(e)
#else
#define DEBUG_ASSERT(e) ((void)sizeof(!(e)))
#endif

#endif
