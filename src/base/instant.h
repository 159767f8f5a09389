/* Instants as people write them: Unix milliseconds, or ISO 8601 dates and date-times. */
#ifndef VARVE_BASE_INSTANT_H
#define VARVE_BASE_INSTANT_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define INSTANT_TEXT_MAX 32

/* Unix ms of `2026-11-21`, `2026-11-21T03:52`, `2026-11-21T03:52:00.5Z`, `2026-11-21 03:52:00+01:00`: UTC unless an offset is given, years 0000 to 9999,
 * no leap seconds, digits behind the millisecond are dropped. *ms is written only on success. */
API bool instant_parse_iso(slice text, int64_t *ms);
/* The same, or a signed decimal number of Unix milliseconds. */
API bool instant_parse(slice text, int64_t *ms);
/* As instant_parse_iso reads it, in UTC to the millisecond; a number outside the years 0000 to 9999. */
API void instant_format(int64_t ms, char out[INSTANT_TEXT_MAX]);

#endif
