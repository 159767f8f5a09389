/* Sums of JSON numbers. Two integers are added as 128-bit integers, which holds any sum of int64 and uint64. */
#include "modules/doc/number.h"

#include <math.h>
#include <stdlib.h>

static bool is_integer(slice text, __int128 *out)
{
    int64_t small;
    uint64_t large;
    if (json_number_i64(text, &small)) {
        *out = small;
        return true;
    }
    if (!num_parse_u64(text, &large)) return false;
    *out = large;
    return true;
}

/* Everything from -2^63 to 2^64 - 1 is below ten to the twentieth. */
static size_t write_integer(char out[NUMBER_TEXT_MAX], __int128 v)
{
    return v < 0 ? num_format_i64(out, (int64_t)v) : num_format_u64(out, (uint64_t)v);
}

static double as_double(slice text)
{
    char copy[512], *long_copy = text.n < sizeof copy ? copy : mem_alloc(text.n + 1);
    memcpy(long_copy, text.p, text.n);
    long_copy[text.n] = 0;
    double v = strtod(long_copy, NULL);
    if (long_copy != copy) mem_free(long_copy);
    return v;
}

enum number_sum number_add(slice a, slice b, char out[NUMBER_TEXT_MAX], size_t *n)
{
    __int128 x, y;
    ASSERT(json_type_of(a) == JSON_NUMBER && json_type_of(b) == JSON_NUMBER);
    if (is_integer(a, &x) && is_integer(b, &y)) {
        __int128 sum = x + y;
        if (sum < INT64_MIN || sum > UINT64_MAX) return NUMBER_OVERFLOW;
        *n = write_integer(out, sum);
        return NUMBER_OK;
    }
    double sum = as_double(a) + as_double(b);
    if (!isfinite(sum)) return NUMBER_INFINITE;
    *n = num_format_double(out, sum);
    return NUMBER_OK;
}
