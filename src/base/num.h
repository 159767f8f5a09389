/* Numbers as text, with Redis's exact rules. */
#ifndef VARVE_BASE_NUM_H
#define VARVE_BASE_NUM_H

#include "base/err.h"
#include "base/slice.h"

#define NUM_TEXT_MAX 5120 /* longest text any of these writes (long double in %Lf) */

/* Strict decimal: optional '-', no leading zeros, no spaces, in range. "-0" is refused. */
API bool num_parse_i64(slice s, int64_t *out);
API bool num_parse_u64(slice s, uint64_t *out);
/* As strtold on the whole slice, no leading space, no trailing junk; NaN refused; "inf" and hex accepted. */
API bool num_parse_ldouble(slice s, long double *out);
API bool num_parse_double(slice s, double *out);
API size_t num_format_i64(char out[24], int64_t v);   /* length; NUL added */
API size_t num_format_u64(char out[24], uint64_t v);
/* Human form of Redis's long doubles: %.17Lf with trailing zeros removed. */
API size_t num_format_ldouble(char out[NUM_TEXT_MAX], long double v);
/* Shortest text that reads back to the same double ("inf", "-inf", "nan" too), as RESP3 sends it. */
API size_t num_format_double(char out[40], double v);
/* %.17g, as Redis 7.0 sends scores and distances. */
API size_t num_format_score(char out[40], double v);
/* "1kb", "10mb", "1g" … as redis.conf takes them; b, k=1000, kb=1024, … any case. */
API bool num_parse_memory(slice s, uint64_t *out);

#endif
