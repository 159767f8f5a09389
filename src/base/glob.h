/* Glob patterns as Redis matches them: * ? [abc] [^a] [a-z] and \ to quote.
 * An empty text matches the empty pattern and `*` only (not `**`, as in Redis).
 * Linear in pattern times text at worst; no recursion that a client can drive. */
#ifndef VARVE_BASE_GLOB_H
#define VARVE_BASE_GLOB_H

#include "base/err.h"
#include "base/slice.h"

API bool glob_match(slice pattern, slice text, bool ignore_case);

#endif
