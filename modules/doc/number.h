/* Adding to a JSON number without losing what it says. */
#ifndef VARVE_MODULES_DOC_NUMBER_H
#define VARVE_MODULES_DOC_NUMBER_H

#include "module.h"

#define NUMBER_TEXT_MAX 48

enum number_sum { NUMBER_OK, NUMBER_OVERFLOW, NUMBER_INFINITE };
/* a + b, both texts of JSON numbers. Exact when both are integers of int64 or uint64 (1.0 and 1e2 are integers), and then NUMBER_OVERFLOW when the sum is
 * neither; else as doubles, in the shortest text that reads back, NUMBER_INFINITE when there is none. *n = bytes of `out`. */
enum number_sum number_add(slice a, slice b, char out[NUMBER_TEXT_MAX], size_t *n) MUST_CHECK;

#endif
